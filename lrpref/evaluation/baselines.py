"""Baselines: three simple maps that a method should beat.

    gradient-x-input  x times the network's gradient, equal to LRP-0 on every layer (with ReLUs and max-pools)
    random            noise, independent of the input and of the network
    sobel             an edge filter, which depends on the image but not on the network

A method that does not beat the edge filter on a test may have found the digit, not the reason for the output (Adebayo
et al. 2018, arXiv 1810.03292, make that point).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..arithmetic import as_floating, check_integer
from ..backend import Array, asarray, backend_name, is_array, to_numpy
from ..composites import Composite
from ..errors import RuleError, ShapeError, unknown
from ..layers import LeakyReLU, LinearLayer, MatMul, ReLU, Routing, SampleNorm
from ..network import Network, check_network, check_one_input
from ..rules import Zero
from ..scale.explanation import explain
from .scores import generators

LRP_0 = Composite([(LinearLayer, Zero())], "LRP-0 everywhere")


def gradient_x_input(net: Network, x: Array, target: int | Array | None = None, seed: int = 0) -> Array:
    """Compute gradient x input, x_i df/dx_i, of the target's output f.

    In a network of linear layers, ReLUs, LeakyReLUs and max-pools this equals LRP-0 on every linear layer, started at
    the logit (a property test checks it), so it is computed in this way. A unit at exactly 0 passes nothing, in
    agreement with the usual gradient of ReLU.

    Parameters
    ----------
    net : Network
        The network.
    x : array, shape (N, ...)
        A batch.
    target : int, array of int, or None
        As in `explain`.
    seed : int, default 0
        Not used.

    Returns
    -------
    array, shape (N, ...)

    Raises
    ------
    RuleError
        If the network has another activation, a product, or a norm by the sample's statistics: with these, the two
        differ.

    References
    ----------
    Shrikumar et al. 2016, arXiv 1605.01713.
    """
    check_network(net)
    check_one_input(net, "lrpref.evaluation")
    for name, layer, _ in net.without_head().nodes:
        # a MatMul and a norm are linear with one factor, or the statistics, held constant; a gradient holds nothing
        linear = isinstance(layer, LinearLayer) and not isinstance(layer, (MatMul, SampleNorm))
        if not (linear or isinstance(layer, Routing) or type(layer) in (ReLU, LeakyReLU)):
            raise RuleError(f"node {name!r}: with {type(layer).__name__}, LRP-0 is not gradient x input")
    return explain(net, x, target, LRP_0)


def random(net: Network | None, x: Array, target: int | Array | None = None, seed: int = 0) -> Array:
    """Draw normal noise shaped like `x`.

    Parameters
    ----------
    net : Network or None
        Not used.
    x : array, shape (N, ...)
        A batch.
    target : int, array of int, or None
        Not used.
    seed : int, default 0
        Each sample has its own generator, seeded by this and by its values, so its batch does not matter.

    Returns
    -------
    array, shape (N, ...)
    """
    check_integer(seed, "seed", least=0)
    batch = to_numpy(as_floating(x, "the input"))
    if batch.ndim == 0:
        raise ShapeError("expected a batch (N, ...), got one number")
    drawn = [rng.normal(size=batch.shape[1:]) for rng in generators(batch, seed)]
    noise = np.stack(drawn) if drawn else np.zeros(batch.shape)
    return asarray(noise, backend_name(x) if is_array(x) else "numpy")


def sobel(net: Network | None, x: Array, target: int | Array | None = None, seed: int = 0) -> Array:
    """Compute the magnitude of the image gradient by Sobel's filter.

    The filter is applied to the mean over the channels; the outermost pixels are repeated at the border.

    Parameters
    ----------
    net : Network or None
        Not used.
    x : array, shape (N, C, H, W)
        A batch of images.
    target : int, array of int, or None
        Not used.
    seed : int, default 0
        Not used.

    Returns
    -------
    array, shape (N, 1, H, W)

    Raises
    ------
    ShapeError
        If `x` does not have four axes.

    Examples
    --------
    >>> sobel(None, np.array([[[[0.0, 0.0, 1.0]]]]))
    array([[[[0., 4., 4.]]]])
    """
    x = as_floating(x, "the input")
    if x.ndim != 4:
        raise ShapeError(f"an edge filter needs images (N, C, H, W), got {tuple(x.shape)}")
    grey = np.pad(to_numpy(x).astype(np.float64).mean(axis=1), ((0, 0), (1, 1), (1, 1)), mode="edge")
    along_rows = grey[:, :, 2:] - grey[:, :, :-2]
    along_columns = grey[:, 2:] - grey[:, :-2]
    slope = np.hypot(_smooth(along_rows, axis=1), _smooth(along_columns, axis=2))
    return asarray(slope[:, None], backend_name(x))


def _smooth(v: np.ndarray, axis: int) -> np.ndarray:
    """Convolve with (1, 2, 1) along an axis."""
    v = np.moveaxis(v, axis, 0)
    return np.moveaxis(v[:-2] + 2 * v[1:-1] + v[2:], 0, axis)


BASELINES: Mapping[str, Callable[..., Array]] = {
    "gradient-x-input": gradient_x_input,
    "random": random,
    "sobel": sobel,
}
"""The baselines by name."""


def baseline(name: str, net: Any, x: Array, target: int | Array | None = None, seed: int = 0) -> Array:
    """Compute the map of a baseline by its name; raises UnknownNameError."""
    if name not in BASELINES:
        raise unknown("baseline", name, BASELINES)
    return BASELINES[name](net, x, target, seed)
