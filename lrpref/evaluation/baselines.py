"""What a map has to beat: three that know less.

    gradient-x-input  the network's own slope, which LRP-0 everywhere is (networks of ReLUs and max-pools)
    random            noise: no knowledge at all
    sobel             an edge filter: knows the picture and not the network

A method that does not beat the edge filter on a test may have found the digit, not the reason (Adebayo et al. 2018,
arXiv 1810.03292, make that point).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..backend import Array, asarray, backend_name, to_numpy
from ..composites import Composite
from ..errors import RuleError, ShapeError, unknown
from ..layers import Elementwise, LeakyReLU, LinearLayer, ReLU
from ..network import Network
from ..rules import Zero
from ..scale.explanation import explain
from .scores import generators

LRP_0 = Composite([(LinearLayer, Zero())], "LRP-0 everywhere")


def gradient_x_input(net: Network, x: Array, target: int | Array | None = None, seed: int = 0) -> Array:
    """x_i df/dx_i of the target's output, shaped like `x`.

    LRP-0 on every linear layer, from the logit, is exactly that in a network of linear layers, ReLUs, LeakyReLUs and
    max-pools (Shrikumar et al. 2016, arXiv 1605.01713; a property test of the library). A unit at exactly 0 passes
    nothing, as ReLU's usual gradient does. So no gradient is computed here. `seed` is not used.

    Raises RuleError for a network with another activation, where the two differ.
    """
    for name, layer, _ in net.nodes:
        if isinstance(layer, Elementwise) and not isinstance(layer, ReLU | LeakyReLU):
            raise RuleError(f"node {name!r}: with {type(layer).__name__}, LRP-0 is not gradient x input")
    return explain(net, x, target, LRP_0)


def random(net: Network | None, x: Array, target: int | Array | None = None, seed: int = 0) -> Array:
    """Normal noise shaped like `x`, for each sample from a generator seeded by `seed` and the sample's own values."""
    batch = to_numpy(x)
    drawn = [rng.normal(size=batch.shape[1:]) for rng in generators(batch, seed)]
    noise = np.stack(drawn) if drawn else np.zeros(batch.shape)
    return asarray(noise, backend_name(x))


def sobel(net: Network | None, x: Array, target: int | Array | None = None, seed: int = 0) -> Array:
    """The size of the picture's slope by Sobel's filter, one value per pixel: (N, 1, H, W), for images (N, C, H, W).

    The mean of the channels is filtered, over a border that repeats the outermost pixels. Network, target and seed are
    not used.

    >>> sobel(None, np.array([[[[0.0, 0.0, 1.0]]]]))
    array([[[[0., 4., 4.]]]])
    """
    if x.ndim != 4:
        raise ShapeError(f"an edge filter needs images (N, C, H, W), got {tuple(x.shape)}")
    grey = np.pad(to_numpy(x).astype(np.float64).mean(axis=1), ((0, 0), (1, 1), (1, 1)), mode="edge")
    along_rows = grey[:, :, 2:] - grey[:, :, :-2]
    along_columns = grey[:, 2:] - grey[:, :-2]
    slope = np.hypot(_smooth(along_rows, axis=1), _smooth(along_columns, axis=2))
    return asarray(slope[:, None], backend_name(x))


def _smooth(v: np.ndarray, axis: int) -> np.ndarray:
    """1, 2, 1 along an axis."""
    v = np.moveaxis(v, axis, 0)
    return np.moveaxis(v[:-2] + 2 * v[1:-1] + v[2:], 0, axis)


BASELINES: Mapping[str, Callable[..., Array]] = {
    "gradient-x-input": gradient_x_input,
    "random": random,
    "sobel": sobel,
}
"""The baselines by name."""


def baseline(name: str, net: Any, x: Array, target: int | Array | None = None, seed: int = 0) -> Array:
    """The map of a baseline by its name; raises UnknownNameError."""
    if name not in BASELINES:
        raise unknown("baseline", name, BASELINES)
    return BASELINES[name](net, x, target, seed)
