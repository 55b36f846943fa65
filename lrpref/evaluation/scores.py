"""What is measured while an input is changed: one number per sample, from the outputs of a network.

A scorer is any callable that takes a batch and returns (N, classes). The scores of an lrpref network are its logits, as
in `explain`, so that "logit" means the same for both; its own head turns them into probabilities.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from ..backend import Array, asarray, backend_name, is_array, numbers, to_numpy
from ..errors import DTypeError, InputError, ParameterError, ShapeError, shown
from ..layers import Layer, Softmax
from ..network import Network, check_one_input
from ..seeds import target_index

Scorer = Callable[[Array], Array]
"""Maps a batch to (N, classes) outputs."""


def as_scorer(scorer: Scorer) -> Scorer:
    """Return a network without its head; any other callable unchanged."""
    given: object = scorer
    if not callable(given) or isinstance(given, type):
        raise ParameterError(f"a scorer must be a network or a function of a batch, got {shown(scorer)}")
    if isinstance(scorer, Network):
        check_one_input(scorer, "lrpref.evaluation")
        return scorer.without_head()
    return scorer


def head_of(scorer: Scorer) -> Layer:
    """Return the function that turns a scorer's outputs into probabilities: a softmax, unless a network has another."""
    return (scorer.head if isinstance(scorer, Network) else None) or Softmax()


def outputs(scorer: Scorer, images: np.ndarray, home: str) -> np.ndarray:
    """Return the scorer's outputs on images, passed to it on the backend called `home`, as float64 (N, classes).

    Raises ShapeError, InputError or DTypeError for an output that is not (N, classes), not finite or complex.
    """
    given = scorer(asarray(images, home))
    given = np.asarray(to_numpy(given) if is_array(given) else given)
    if np.iscomplexobj(given):
        raise DTypeError(f"a scorer must return real numbers, got {given.dtype}")
    found = given.astype(np.float64)
    if found.ndim != 2 or len(found) != len(images):
        raise ShapeError(f"a scorer must return (N, classes), got {found.shape} for a batch of {len(images)}")
    if not np.isfinite(found).all():
        raise InputError("the scorer returned NaN or infinities")
    return found


def measured(found: np.ndarray, target: np.ndarray, output: str, head: Layer) -> np.ndarray:
    """Return the logit, probability or margin of one class per sample, (N,), from outputs (N, classes).

    >>> measured(np.array([[3.0, 1.0, 2.0]]), np.array([0]), "margin", Softmax())
    array([1.])
    """
    rows = np.arange(len(found))
    if output == "probability":
        found = to_numpy(head.forward(found))
    own: np.ndarray = found[rows, target]
    if output != "margin":
        return own
    others = found.copy()
    others[rows, target] = -np.inf
    margin: np.ndarray = own - others.max(axis=1)
    return margin


def check_output(found: np.ndarray, output: str) -> None:
    """Raise ParameterError where a softmax would be applied twice, or a margin has no other class."""
    if output == "margin" and found.shape[1] < 2:
        raise ParameterError("a margin needs at least two classes")
    looks_like = (found >= 0).all() and np.allclose(found.sum(axis=1), 1, rtol=0, atol=1e-5)
    if output == "probability" and found.shape[1] > 1 and looks_like:
        raise ParameterError(
            'the scorer already returns probabilities, and output="probability" would apply a softmax to them once '
            'more; use output="logit", which takes the outputs as they are'
        )


def prepared(
    scorer: Scorer, x: Array, target: int | Array | None, output: str
) -> tuple[Scorer, Layer, np.ndarray, str, np.ndarray]:
    """Return the scorer and its head, the batch as NumPy array, the name of its backend, and each sample's class.

    Raises InputError, ShapeError, TargetError, or ParameterError.
    """
    x = numbers(x, "the input")
    scorer, head, home, batch = as_scorer(scorer), head_of(scorer), backend_name(x), to_numpy(x)
    if batch.ndim < 2 or batch.dtype.kind != "f" or not len(batch) or not np.isfinite(batch).all():
        raise InputError(
            f"the input must be a batch (N, ...) of finite floating-point numbers, got {batch.dtype} {batch.shape}"
        )
    found = np.concatenate([outputs(scorer, batch[k : k + 64], home) for k in range(0, len(batch), 64)])
    check_output(found, output)
    chosen = target_index(found, target, "logit")
    assert chosen is not None  # only a seed array leaves the target open
    return scorer, head, batch, home, to_numpy(chosen)


def generators(x: np.ndarray, seed: int, draw: int = 0) -> list[np.random.Generator]:
    """Return a generator per sample, seeded by `seed`, the draw, and the sample's values: its batch does not matter."""
    keys = [zlib.crc32(np.ascontiguousarray(sample, dtype=np.float64).tobytes()) for sample in x]
    return [np.random.default_rng([seed, draw, key]) for key in keys]
