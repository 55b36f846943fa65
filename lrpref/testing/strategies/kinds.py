"""Every kind of layer, with the inputs that it takes; a layer with inputs and relevance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...layers import (
    CELU,
    ELU,
    GELU,
    SELU,
    Add,
    Concat,
    Dropout,
    Flatten,
    HardSigmoid,
    HardSwish,
    HardTanh,
    Layer,
    Maximum,
    Minimum,
    Mish,
    ReLU,
    ReLU6,
    RMSNorm,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Subtract,
    Tanh,
    Threshold,
)
from ...layers.base import Shape
from ..cases import LayerCase
from .activations import bounds, clip, leaky_relu, prelu, softmax, threshold_relu
from .axes import (
    channel_shuffle,
    maxima,
    means,
    pad,
    permute,
    pixel_shuffle,
    pixel_unshuffle,
    prepend_tokens,
    reshape,
    slices,
    sums,
)
from .linear import affine, conv, conv_transpose, dense, scale, token_dense
from .norms import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm
from .numbers import EIGHTHS, POWERS, UP_TO_2, UP_TO_3, UP_TO_4, Arrays, Strategy, arrays, drawn
from .pools import (
    TIES,
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    global_avg_pool,
    global_max_pool,
    max_pool,
    upsample,
)
from .products import embedding, mat_mul, multiply
from .shapes import images, samples, signals, spatial, vectors


@dataclass(frozen=True)
class Kind:
    """A family of layers.

    Parameters
    ----------
    layer : callable
        Maps the shape of the (first) input to a strategy for the layer.
    shapes : SearchStrategy of tuple
        Draws the shapes of all inputs.
    fitted : callable, optional
        Maps a layer and its (first) input to a layer and an input on which the numbers stay dyadic.
    """

    layer: Callable[[Shape], Strategy[Layer]]
    shapes: Strategy[tuple[Shape, ...]]
    fitted: Callable[[Any, np.ndarray], tuple[Layer, np.ndarray]] | None = None


def _one(shape: Strategy[Shape]) -> Strategy[tuple[Shape, ...]]:
    return st.tuples(shape)


def _alike(shape: Strategy[Shape]) -> Strategy[tuple[Shape, ...]]:
    """The shapes of two or three inputs of equal shape."""
    return st.builds(lambda s, k: (s,) * k, shape, st.integers(2, 3))


@st.composite
def _side_by_side(draw: Any, shape: Strategy[Shape]) -> tuple[Shape, ...]:
    """The shapes of two or three inputs that may differ on axis 1."""
    batch, _, *rest = draw(shape)
    return tuple((batch, draw(UP_TO_3), *rest) for _ in range(draw(st.integers(2, 3))))


@st.composite
def _factors(draw: Any, shape: Strategy[Shape]) -> tuple[Shape, Shape]:
    """The shapes of two inputs that are equal, except where one of them has size 1."""
    batch, *sizes = draw(shape)
    ones = [draw(st.sampled_from([(n, n), (1, n), (n, 1)])) for n in sizes]
    return (batch, *(n for n, _ in ones)), (batch, *(n for _, n in ones))


def _whole(layer: Any, a: np.ndarray) -> tuple[Layer, np.ndarray]:
    """The Embedding, and indices of its vectors."""
    return layer, np.floor(8 * abs(a)) % layer.weight.shape[0]


def _with_rational_root(layer: Any, a: np.ndarray) -> tuple[Layer, np.ndarray]:
    """The norm without eps, and an input whose groups have deviations of 1/2, 1 or 2: m - d or m + d, equally often.

    The order of the numbers, and whether there are negative ones, are those of `a`. For RMSNorm m is 0.
    """
    x = a.reshape(len(a), *layer.groups(a.shape))
    d = np.asarray([1.0, 0.5, 2.0])[abs(x[..., -1:]).astype(int) % 3]
    if isinstance(layer, RMSNorm):
        found = np.where(x < 0, -d, d)
    else:
        upper = 2 * x.argsort(axis=2, kind="stable").argsort(axis=2) >= x.shape[2]
        found = x[..., :1] + np.where(upper, d, -d) + (d if np.all(a >= 0) else 0)
    return replace(layer, eps=0.0), found.reshape(a.shape)


_ANY = vectors() | spatial()
_MATRICES = samples().filter(lambda shape: len(shape) > 2)
_TOKENS = signals(channels=UP_TO_3, length=UP_TO_3)
_TWO_OR_FOUR = st.sampled_from([2, 4])
_IMAGES_OF_POWERS = images(channels=POWERS, rows=POWERS, columns=_TWO_OR_FOUR)
_OF_POWERS = vectors(features=_TWO_OR_FOUR) | _IMAGES_OF_POWERS


LINEAR: dict[str, Kind] = {
    "dense": Kind(dense, _one(vectors())),
    "conv": Kind(conv, _one(spatial(channels=UP_TO_4))),
    "conv_transpose": Kind(conv_transpose, _one(spatial(channels=UP_TO_2, size=UP_TO_3))),
    "avg_pool": Kind(avg_pool, _one(spatial())),
    "global_avg_pool": Kind(global_avg_pool, _one(spatial(size=POWERS))),
    "adaptive_avg_pool": Kind(adaptive_avg_pool, _one(spatial(size=POWERS))),
    "upsample_linear": Kind(partial(upsample, linear=True), _one(spatial(channels=UP_TO_2, size=UP_TO_2))),
    "token_dense": Kind(token_dense, _one(_TOKENS | images(rows=UP_TO_2, columns=UP_TO_3))),
    "mat_mul": Kind(mat_mul, st.builds(lambda shape: (shape,) * 2, _MATRICES)),
    "affine": Kind(affine, _one(_ANY)),
    "scale": Kind(scale, _one(_ANY)),
    "batch_norm": Kind(batch_norm, _one(_ANY)),
    "group_norm": Kind(group_norm, _one(_OF_POWERS), _with_rational_root),
    "instance_norm": Kind(instance_norm, _one(_IMAGES_OF_POWERS), _with_rational_root),
    "layer_norm": Kind(layer_norm, _one(_OF_POWERS), _with_rational_root),
    "rms_norm": Kind(rms_norm, _one(_OF_POWERS), _with_rational_root),
    "add": Kind(lambda shape: st.just(Add()), _alike(_ANY)),
    "mean": Kind(means, _one(samples(sizes=st.sampled_from([1, 2]) | POWERS, most=3))),
    "subtract": Kind(lambda shape: st.just(Subtract()), st.builds(lambda shape: (shape,) * 2, samples())),
    "sum": Kind(sums, _one(samples())),
}
"""The layers that redistribute relevance by a rule."""


DIAGONAL = ("affine", "batch_norm", "scale", "rms_norm")
"""The linear layers with one weight per unit."""


ROUTING: dict[str, Kind] = {
    "max_pool": Kind(max_pool, _one(spatial())),
    "global_max_pool": Kind(global_max_pool, _one(spatial())),
    "adaptive_max_pool": Kind(adaptive_max_pool, _one(spatial())),
    "upsample_nearest": Kind(upsample, _one(spatial(channels=UP_TO_2, size=UP_TO_3))),
    "flatten": Kind(lambda shape: st.just(Flatten()), _one(spatial())),
    "pad": Kind(pad, _one(spatial())),
    "prepend_tokens": Kind(prepend_tokens, _one(_TOKENS)),
    "dropout": Kind(lambda shape: st.just(Dropout()), _one(_ANY)),
    "maximum": Kind(lambda shape: st.builds(Maximum, TIES), _alike(_ANY)),
    "minimum": Kind(lambda shape: st.builds(Minimum, TIES), _alike(_ANY)),
    "concat": Kind(lambda shape: st.sampled_from([Concat(), Concat(1 - len(shape))]), _side_by_side(_ANY)),
    "channel_shuffle": Kind(channel_shuffle, _one(samples(sizes=UP_TO_4, most=3))),
    "max": Kind(maxima, _one(samples())),
    "permute": Kind(permute, _one(samples())),
    "pixel_shuffle": Kind(pixel_shuffle, _one(images(channels=st.sampled_from([1, 4, 8]), rows=UP_TO_3))),
    "pixel_unshuffle": Kind(pixel_unshuffle, _one(images(rows=POWERS, columns=st.sampled_from([2, 4, 6])))),
    "reshape": Kind(reshape, _one(samples())),
    "slice": Kind(slices, _one(samples(sizes=UP_TO_4, most=3))),
}
"""The layers that send relevance back to where each value came from."""


ELEMENTWISE: dict[str, Kind] = {
    "relu": Kind(lambda shape: st.just(ReLU()), _one(_ANY)),
    "relu6": Kind(lambda shape: st.just(ReLU6()), _one(_ANY)),
    "leaky_relu": Kind(leaky_relu, _one(_ANY)),
    "threshold_relu": Kind(threshold_relu, _one(_ANY)),
    "local_response_norm": Kind(local_response_norm, _one(_ANY)),
    "sigmoid": Kind(lambda shape: st.just(Sigmoid()), _one(_ANY)),
    "tanh": Kind(lambda shape: st.just(Tanh()), _one(_ANY)),
    "celu": Kind(lambda shape: POWERS.map(CELU), _one(_ANY)),
    "clip": Kind(lambda shape: clip(), _one(_ANY)),
    "elu": Kind(lambda shape: EIGHTHS.map(ELU), _one(_ANY)),
    "gelu": Kind(lambda shape: st.sampled_from(["none", "tanh"]).map(GELU), _one(_ANY)),
    "hard_sigmoid": Kind(lambda shape: st.builds(HardSigmoid, EIGHTHS, POWERS), _one(_ANY)),
    "hard_swish": Kind(lambda shape: st.builds(HardSwish, EIGHTHS, POWERS), _one(_ANY)),
    "hard_tanh": Kind(lambda shape: bounds().map(lambda bounds: HardTanh(*bounds)), _one(_ANY)),
    "mish": Kind(lambda shape: st.just(Mish()), _one(_ANY)),
    "prelu": Kind(prelu, _one(_ANY)),
    "selu": Kind(lambda shape: st.just(SELU()), _one(_ANY)),
    "silu": Kind(lambda shape: st.just(SiLU()), _one(_ANY)),
    "softplus": Kind(lambda shape: st.builds(Softplus, POWERS, EIGHTHS), _one(_ANY)),
    "softsign": Kind(lambda shape: st.just(Softsign()), _one(_ANY)),
    "threshold": Kind(lambda shape: st.builds(Threshold, EIGHTHS, EIGHTHS), _one(_ANY)),
}
"""The activations."""


SMOOTH = (
    *("celu", "elu", "gelu", "local_response_norm", "mish", "selu", "sigmoid", "silu", "softmax", "softplus", "tanh"),
)
"""The layers with exponentials, which exact arithmetic refuses."""


PRODUCTS: dict[str, Kind] = {"multiply": Kind(multiply, _factors(samples()))}
"""The products of activations, which share relevance between their factors."""


OTHERS: dict[str, Kind] = {
    "embedding": Kind(embedding, _one(vectors()), _whole),
    "softmax": Kind(softmax, _one(samples())),
}
"""Further layers that say themselves what relevance their input receives."""


LAYERS = {**LINEAR, **ROUTING, **ELEMENTWISE, **PRODUCTS, **OTHERS}
ANY_KIND = st.sampled_from(list(LAYERS))


@st.composite
def layers(draw: Any, shape: Any, *, kind: Any = ANY_KIND) -> Layer:
    """Layers of a kind for an input of a shape.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, (N, F) or (N, C, ...).
    kind : str or strategy
        A key of `LAYERS`.

    Returns
    -------
    SearchStrategy of Layer
    """
    found: Layer = draw(LAYERS[drawn(draw, kind)].layer(drawn(draw, shape)))
    return found


@st.composite
def layer_cases(
    draw: Any, kind: Any = ANY_KIND, *, shapes: Any = None, inputs: Arrays = arrays, relevance: Arrays = arrays
) -> LayerCase:
    """Layers of a kind, with inputs and relevance.

    Parameters
    ----------
    kind : str or strategy
        A key of `LAYERS`.
    shapes : tuple of tuples of int, or strategy, optional
        The shapes of the inputs; None draws small ones.
    inputs, relevance : callable, default arrays
        Draw an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of LayerCase
    """
    found = LAYERS[drawn(draw, kind)]
    shapes = draw(found.shapes) if shapes is None else drawn(draw, shapes)
    layer = draw(found.layer(shapes[0]))
    a = tuple(draw(inputs(shape)) for shape in shapes)
    if found.fitted is not None:
        layer, fitted = found.fitted(layer, a[0])
        a = (fitted, *a[1:])
    return LayerCase(layer, a, draw(relevance(layer.output_shape(*shapes))))


@st.composite
def relevances(draw: Any, model: Any, *inputs: Any, numbers: Arrays = arrays) -> np.ndarray:
    """Relevances for the output of a layer or a network.

    Parameters
    ----------
    model : Layer, Network or strategy
        The layer or network.
    *inputs : array or strategy
        Its inputs, which determine the shape of the output.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of array
    """
    model, inputs = drawn(draw, model), tuple(drawn(draw, a) for a in inputs)
    found: np.ndarray = draw(numbers(tuple(model.forward(*inputs).shape)))
    return found
