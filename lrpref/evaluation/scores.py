"""What is measured while an input is taken apart: one number per sample, from the outputs of a network.

Any callable will do that takes a batch and returns (N, classes). Of an lrpref network that ends in a Softmax the
logits are taken, as `explain` does; so "logit" means the same for both.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from ..backend import Array, asarray, backend_name, is_array, to_numpy
from ..errors import InputError, ParameterError, ShapeError
from ..layers import Softmax
from ..network import Network
from ..seeds import target_index

Scorer = Callable[[Array], Array]
"""A batch in, (N, classes) outputs out."""


def as_scorer(scorer: Scorer) -> Scorer:
    """The network up to its logits; any other callable as it is."""
    if isinstance(scorer, Network) and isinstance(scorer.nodes[-1].layer, Softmax) and len(scorer.nodes) > 1:
        return Network(scorer.nodes[:-1])
    return scorer


def outputs(scorer: Scorer, images: np.ndarray, home: str) -> np.ndarray:
    """The scorer's outputs on images, which it gets on the backend called `home`, as float64 (N, classes).

    Raises ShapeError, InputError for what is no such array.
    """
    given = scorer(asarray(images, home))
    found = np.asarray(to_numpy(given) if is_array(given) else given, dtype=np.float64)
    if found.ndim != 2 or len(found) != len(images):
        raise ShapeError(f"a scorer returns (N, classes), got {found.shape} for a batch of {len(images)}")
    if not np.isfinite(found).all():
        raise InputError("the scorer returned NaN or infinities")
    return found


def measured(found: np.ndarray, target: np.ndarray, output: str) -> np.ndarray:
    """The convention `output` of (N, classes) outputs, for one class per sample: (N,).

    >>> measured(np.array([[3.0, 1.0, 2.0]]), np.array([0]), "margin")
    array([1.])
    """
    rows = np.arange(len(found))
    if output == "probability":
        found = Softmax().forward(found)
    own: np.ndarray = found[rows, target]
    if output != "margin":
        return own
    others = found.copy()
    others[rows, target] = -np.inf
    margin: np.ndarray = own - others.max(axis=1)
    return margin


def check_output(found: np.ndarray, output: str) -> None:
    """Raise ParameterError where a softmax would be applied twice, or a margin has nothing to be one over."""
    if output == "margin" and found.shape[1] < 2:
        raise ParameterError("a margin needs two classes at least")
    looks_like = (found >= 0).all() and np.allclose(found.sum(axis=1), 1, rtol=0, atol=1e-5)
    if output == "probability" and found.shape[1] > 1 and looks_like:
        raise ParameterError(
            'the scorer returns probabilities already, and output="probability" would apply a softmax to them once '
            'more; use output="logit", which takes the outputs as they are'
        )


def prepared(
    scorer: Scorer, x: Array, target: int | Array | None, output: str
) -> tuple[Scorer, np.ndarray, str, np.ndarray]:
    """The scorer, the batch on the CPU, the backend that it came from, and the class of each sample.

    Raises InputError, ShapeError, TargetError, ParameterError.
    """
    scorer, home, batch = as_scorer(scorer), backend_name(x), to_numpy(x)
    if batch.ndim < 2 or batch.dtype.kind != "f" or not len(batch) or not np.isfinite(batch).all():
        raise InputError(
            f"the input is a batch (N, ...) of finite floating-point numbers, got {batch.dtype} {batch.shape}"
        )
    found = np.concatenate([outputs(scorer, batch[k : k + 64], home) for k in range(0, len(batch), 64)])
    check_output(found, output)
    return scorer, batch, home, to_numpy(target_index(found, target, "logit"))


def generators(x: np.ndarray, seed: int, draw: int = 0) -> list[np.random.Generator]:
    """A generator per sample, seeded by `seed`, the draw, and the sample's own values: its batch does not matter."""
    keys = [zlib.crc32(np.ascontiguousarray(sample, dtype=np.float64).tobytes()) for sample in x]
    return [np.random.default_rng([seed, draw, key]) for key in keys]
