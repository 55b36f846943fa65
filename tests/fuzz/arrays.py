"""Arrays as people hold them: any type, byte order, layout, shape and content, given wherever lrpref takes an array.

An array is refused with an error of lrpref's, or treated as its own plain copy is: the same numbers in the native byte
order and in C order. Complex numbers, masked arrays and matrices have no plain copy and must be refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import lrpref
from lrpref import composites, evaluation, layers, rules
from lrpref.errors import LrprefError, RelevanceWarning

from .runner import Fuzzer

DTYPES = ["<f8", "<f4", "<f2", ">f8", ">f4", "g", "i1", "u1", "<i4", "<i8", "<u8", ">i2", "?", "c16", "c8", "O", "U3"]
DTYPES += ["S2", "M8[s]", "m8[s]", "f8,f8"]
VALUES = [0.0, -0.0, 1.0, -1.0, 0.5, 255.0, 1e-30, 1e-320, 1e30, 1e300, np.inf, -np.inf, np.nan]
SHAPES = [(), (0,), (1,), (2,), (3,), (4,), (1, 4), (2, 4), (0, 4), (2, 0), (4, 2), (3, 4), (2, 1, 2, 2), (1, 2, 3, 3)]
SHAPES += [(2, 1, 3, 3), (0, 1, 3, 3), (2, 1, 0, 3), (1, 1, 1, 1), (2, 2, 2, 2, 2), (1, 4, 1), (2, 3), (2, 2), (4, 4)]


def case(seed: int, folder: Path) -> Mapping[str, int]:
    """One odd array, in one place."""
    rng = Random(seed)
    name = rng.choice(list(PLACES))
    place = PLACES[name]
    odd, clean = array(rng, rng.choice(place.shapes) if rng.random() < 0.7 else rng.choice(SHAPES))
    before = _bytes(odd)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RelevanceWarning)  # documented: the map is not finite
        try:
            found = place.call(odd)
        except LrprefError as error:
            return {f"{name}: {type(error).__name__}": 1}
        finally:
            assert _bytes(odd) == before, "the caller's array was changed"
        assert clean is not None, f"{name} accepts {_kind(odd)}"
        expected = place.call(clean)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-30, equal_nan=True)
    return {f"{name}: taken": 1}


@dataclass(frozen=True)
class Place:
    """Where an array is given: shapes that fit, and a call that returns arrays."""

    shapes: list[tuple[int, ...]]
    call: Callable[[Any], list[Any]]


# ---- arrays ----------------------------------------------------------------------------------------------------------


def array(rng: Random, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """An odd array and its plain copy; None where it has none. Objects are floats in boxes."""
    size = int(np.prod(shape))
    numbers = [rng.uniform(-2, 2) if rng.random() < 0.9 else rng.choice(VALUES) for _ in range(size)]
    if rng.random() < 0.7:
        numbers = [v if abs(v) < 1e3 else 1.0 for v in numbers]
    dtype = rng.choice(DTYPES) if rng.random() < 0.6 else rng.choice(["<f8", "<f4"])
    plain = _cast(np.array(numbers).reshape(shape), dtype)
    odd: Any = LAYOUTS[rng.randrange(len(LAYOUTS))](plain)
    if rng.random() < 0.2:
        odd = rng.choice(WRAPPERS)(odd)
    if rng.random() < 0.1 and isinstance(odd, np.ndarray):
        odd.flags.writeable = False
    if plain.dtype.kind not in "fiubO" or isinstance(odd, np.matrix | np.ma.MaskedArray):
        return odd, None
    if isinstance(odd, list | float | int | np.generic):  # Python's numbers have no type of NumPy's
        return odd, np.array(odd) if plain.ndim else odd
    return odd, np.array(plain, dtype="f8" if dtype == "O" else plain.dtype.newbyteorder("="), order="C", copy=True)


def _cast(numbers: np.ndarray, dtype: str) -> np.ndarray:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        kind = np.dtype(dtype).kind
        if kind in "iub":
            numbers = np.nan_to_num(numbers, posinf=9, neginf=-9)
            numbers = abs(numbers) if kind == "u" else numbers
            return np.clip(numbers, -100, 100).astype(dtype)
        if kind in "Mm":
            return np.nan_to_num(numbers).astype("i8").astype(dtype)
        return numbers.astype(dtype)


LAYOUTS: list[Callable[[np.ndarray], Any]] = [
    lambda a: a,
    lambda a: np.asfortranarray(a),
    lambda a: a[::-1][::-1] if a.ndim else a,
    lambda a: np.repeat(a, 2, axis=0)[::2] if a.ndim else a,
    lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 0, -1)), -1, 0) if a.ndim else a,
    lambda a: np.concatenate([a.reshape(-1), a.reshape(-1)])[: a.size].reshape(a.shape),
]


class Mine(np.ndarray):
    """A subclass that computes as arrays do."""


class Lazy:
    """Anything with the array protocol."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.held, dtype=dtype)


def _matrix(a: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.matrix(a)


WRAPPERS: list[Callable[[Any], Any]] = [
    lambda a: a.view(Mine),
    lambda a: _matrix(a) if a.ndim == 2 and a.dtype.kind in "fiub" else np.ma.masked_array(a),
    lambda a: np.ma.masked_array(a, mask=np.zeros(a.shape, bool)),
    lambda a: a.tolist(),
    lambda a: memoryview(a) if a.dtype.kind in "fiub" and a.dtype.isnative and a.dtype.char != "g" else a,
    Lazy,
]


def _bytes(value: Any) -> Any:
    return np.asarray(value).tobytes() if isinstance(value, np.ndarray) and value.dtype.kind in "fiubc" else None


def _kind(value: Any) -> str:
    return f"{type(value).__name__} of {getattr(value, 'dtype', type(value).__name__)}"


# ---- places ----------------------------------------------------------------------------------------------------------

W = np.array([[1.0, -2.0, 0.5, 0.25], [0.5, 1.0, -1.0, 2.0], [-0.5, 0.25, 1.0, 1.0]])
MLP = lrpref.Network.sequential(layers.Dense(W, [0.1, 0.2, -0.3]), layers.ReLU(), layers.Dense(W[:2, :3], [0.5, 0.25]))
CNN = lrpref.Network.sequential(
    layers.Conv2D(W[:2].reshape(2, 1, 2, 2), [0.1, -0.1]),
    layers.ReLU(),
    layers.MaxPool2D(2),
    layers.Flatten(),
    layers.Dense(W[:3, :2]),
)
X, IMAGE = np.linspace(-1, 2, 8).reshape(2, 4), np.linspace(-1, 2, 18).reshape(2, 1, 3, 3)
PREPARED = lrpref.prepare(CNN, "epsilon")
VECTORS, IMAGES = [(2, 4), (1, 4), (0, 4)], [(2, 1, 3, 3), (1, 1, 3, 3), (0, 1, 3, 3)]


def _explained(net: lrpref.Network, x: Any, rule: Any = "epsilon") -> list[Any]:
    return [lrpref.explain(net, x, rule=rule)]


def _layer(layer: lrpref.Layer, x: np.ndarray) -> list[Any]:
    return [layer.forward(x), layer.relevance(x, layer.forward(x), rules.Epsilon(0.1))]


PLACES: dict[str, Place] = {
    "forward": Place(VECTORS, lambda v: [MLP.forward(v)]),
    "explain": Place(VECTORS, lambda v: _explained(MLP, v)),
    "explain images": Place(IMAGES, lambda v: _explained(CNN, v, "gamma")),
    "prepared": Place(IMAGES, lambda v: [PREPARED.explain(v)]),
    "in batches": Place(IMAGES, lambda v: [lrpref.explain(CNN, v, rule="epsilon", batch_size=1)]),
    "float32": Place(IMAGES, lambda v: _explained(CNN.astype(np.float32), v)),
    "trace": Place(IMAGES, lambda v: [lrpref.trace(CNN, v, rule="z-plus").relevance]),
    "target": Place([(2,), (1,), ()], lambda v: [lrpref.explain(MLP, X, target=v, rule="epsilon")]),
    "seed": Place([(2, 2), (1, 2)], lambda v: [lrpref.explain(MLP, X, rule="epsilon", seed=v)]),
    "Dense": Place([(3, 4), (4, 4)], lambda v: _layer(layers.Dense(v), X)),
    "Dense bias": Place([(3,)], lambda v: _layer(layers.Dense(W, v), X)),
    "Conv2D": Place([(2, 1, 2, 2), (4, 1, 1, 1)], lambda v: _layer(layers.Conv2D(v), IMAGE)),
    "bias_taps": Place([(2, 2, 2)], lambda v: _layer(layers.Conv2D(W[:2].reshape(2, 1, 2, 2), bias_taps=v), IMAGE)),
    "BatchNorm": Place([(4,)], lambda v: _layer(layers.BatchNorm(v, None, np.ones(4), np.ones(4)), X)),
    "variance": Place([(4,)], lambda v: _layer(layers.BatchNorm(None, None, np.zeros(4), v), X)),
    "Scale": Place([(4,)], lambda v: _layer(layers.Scale(v), X)),
    "ThreshReLU": Place([(4,), ()], lambda v: [layers.ThreshReLU(v).forward(X)]),
    "ZBox": Place([(4,), (), (2, 4)], lambda v: _explained(MLP, X, rules.ZBox(v, 5.0))),
    "box": Place([(1,), (1, 3, 3)], lambda v: _explained(CNN, IMAGE, composites.EpsilonGammaBox(v, 5.0))),
    "relevance": Place([(2, 3)], lambda v: [layers.Dense(W).relevance(X, v, rules.Epsilon(0.1))]),
    "flipping": Place(IMAGES[:2], lambda v: [evaluation.pixel_flipping(CNN, IMAGE, v, steps=3).scores]),
    "measure": Place([(2, 4)], lambda v: [evaluation.maps.cosine(v, X)]),
}

FUZZER = Fuzzer(
    "arrays",
    case,
    seconds=5,
    mebibytes=256,
    demanded=frozenset(f"{name}: taken" for name in PLACES),
)
