"""All laws of a layer, on given inputs; Hypothesis is not needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..arithmetic import converted, is_exact
from ..backend import Array, array_namespace, to_numpy
from ..layers import Layer, LinearLayer, Routing
from ..rational import conversion as rational
from ..rules import Absolute
from .cases import describe_layer, layer_arrays
from .laws import (
    Explain,
    Pair,
    check_adjoint,
    check_batch_independence,
    check_conservation,
    check_finite,
    check_forward,
    check_linear_in_R,
    check_no_mutation,
    check_number_type,
    check_routes,
    check_shape,
    check_weights,
    holds,
)
from .search import Pairs, demand_none, failures_at


def check_layer(layer: Layer, *inputs: Array) -> None:
    """Check all laws of a layer on your own inputs.

    The methods `linear` and `adjoint` of a linear layer must be a matrix and its transpose, for any weights they are
    given, and the forward pass the same matrix plus the bias. A routing layer must return relevance to where each value
    came from. The relevance of every layer must be shaped like its inputs, be conserved, and not depend on the batch;
    no call may change its arguments. If the transpose is wrong, the message names the first input and output that
    disagree.

    Parameters
    ----------
    layer : Layer
        A layer of lrpref, or your own.
    *inputs : array, shape (N, features) or (N, C, ...)
        A batch for each input of the layer.

    Raises
    ------
    ChecksFailed
        If a law does not hold. It is an AssertionError.

    Examples
    --------
    >>> from lrpref import Conv2D
    >>> check_layer(Conv2D(np.ones((1, 1, 2, 2)), padding=1), np.ones((1, 1, 3, 3)))
    """
    demand_none(describe_layer(layer), failures_at(inputs, layer_laws(layer)))


def layer_laws(layer: Layer) -> dict[str, Pairs]:
    """Return the laws of a layer by name; each takes a tuple of inputs."""

    def relevance(inputs: Any, R: Array) -> Any:
        return layer.relevance(inputs, R, Absolute())

    found: dict[str, Pairs] = {
        "check_shape": lambda inputs: _layer_shapes(layer, relevance, inputs),
        "check_finite": lambda inputs: check_finite.pairs(layer.forward, *inputs),
        "check_number_type": lambda inputs: check_number_type.pairs(relevance, inputs, layer.forward(*inputs)),
        "check_no_mutation": lambda inputs: check_no_mutation.pairs(
            relevance,
            inputs,
            layer.forward(*inputs),
            watched=layer_arrays(layer),
            between=lambda a, R: layer.forward(*a),
        ),
        "check_batch_independence": lambda inputs: _layer_batch(layer, relevance, inputs),
        "check_linear_in_R": lambda inputs: check_linear_in_R.pairs(relevance, inputs, layer.forward(*inputs)),
        "check_conservation": lambda inputs: _layer_conservation(layer, relevance, inputs),
    }
    if isinstance(layer, LinearLayer):
        found["check_adjoint"] = lambda inputs: _adjoint(layer, inputs)
        found["check_weights"] = lambda inputs: _weights(layer, inputs)
        found["check_forward"] = lambda inputs: _forward(layer, inputs)
    if isinstance(layer, Routing):
        found["check_routes"] = lambda inputs: check_routes.pairs(relevance, layer.forward, _distinct(inputs))
    return found


def _layer_shapes(layer: Layer, relevance: Explain, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """Compare the shape of the output with output_shape, relevance with the inputs, and fan_in with the connections."""
    z, shapes = layer.forward(*inputs), [tuple(a.shape) for a in inputs]
    promised = layer.output_shape(*shapes)
    yield holds(
        f"output of shape {promised}, as output_shape returns, got {tuple(z.shape)}", tuple(z.shape) == promised
    )
    yield from check_shape.pairs(relevance, inputs, z)
    if isinstance(layer, LinearLayer):
        w, _ = layer.parameters(*inputs)
        connected = int(to_numpy(layer.linear(0 * w + 1, *(0 * a + 1 for a in inputs))).max(initial=0))
        n = layer.fan_in(*shapes)
        yield holds(f"fan_in of at least {connected}, the most inputs of any unit, got {n}", connected <= n)


def _layer_batch(layer: Layer, relevance: Explain, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """Check that neither the forward pass nor the relevance of a sample depends on its batch."""
    yield from check_batch_independence.pairs(layer.forward, *inputs)
    yield from check_batch_independence.pairs(relevance, inputs, layer.forward(*inputs))


def _layer_conservation(layer: Layer, relevance: Explain, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """Check that the relevance passed on and the losses in the ledger add up to the relevance received."""
    R = layer.forward(*inputs)
    flow = layer.flow(inputs, R, Absolute())
    if flow.attributed:
        yield from check_conservation.pairs(relevance, inputs, R, sum(flow.losses.values()))


def _adjoint(layer: LinearLayer, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """Check the transpose on small integers shaped like the inputs, and if that fails, on unit vectors."""
    shapes = [tuple(a.shape) for a in inputs]
    rng = np.random.default_rng(0)
    *x, s = (_integers(rng, shape, like=inputs[0]) for shape in (*shapes, layer.output_shape(*shapes)))

    def law(x: tuple[Array, ...], s: Array) -> Iterator[Pair]:
        w, _ = layer.parameters(*(a[: s.shape[0]] for a in inputs))
        linear, adjoint = partial(layer.linear, w), lambda s: layer.adjoint(w, s, *(tuple(a.shape) for a in x))
        return check_adjoint.pairs(linear, adjoint, x, s)

    found = list(law(tuple(x), s))
    yield from found if all(pair.agrees for pair in found) else _unit_vectors(law, inputs, s) or found


def _integers(rng: np.random.Generator, shape: tuple[int, ...], like: Array) -> Any:
    """Draw integers from -4 to 4, in the number type of `like`."""
    drawn = rng.integers(-4, 5, shape)
    return rational.exact(drawn) if is_exact(like) else drawn.astype(to_numpy(like).dtype)


def _unit_vectors(
    law: Callable[..., Iterator[Pair]], inputs: tuple[Array, ...], s: Array, most: int = 64
) -> list[Pair]:
    """Return the pair for the first input and output, of the first sample, at which W and W^T differ."""
    zeros: list[Any] = [0 * a[:1] for a in inputs]
    for k, a in enumerate(zeros):
        for i in list(np.ndindex(*a.shape))[:most]:
            for j in list(np.ndindex(*s[:1].shape))[:most]:
                x, unit = [z.copy() for z in zeros], 0 * s[:1]
                x[k][i], unit[j] = 1, 1
                try:
                    wrong = [pair for pair in law(tuple(x), unit) if not pair.agrees]
                except Exception:
                    return []
                if wrong:
                    where = f"input {i[1:]}" if len(zeros) == 1 else f"input {k + 1} at {i[1:]}"
                    return [replace(wrong[-1], what=f"between {where} and output {j[1:]}: {wrong[-1].what}")]
    return []


def _forward(layer: LinearLayer, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """Check that the forward pass is what rules take it for."""
    w, b = layer.parameters(*inputs)
    return check_forward.pairs(layer.forward, partial(layer.linear, w), inputs, b)


def _distinct(inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Different whole numbers in the shapes and the number type of the inputs, in random order."""
    ends = np.cumsum([0, *(a.size for a in inputs)])
    numbers = np.random.default_rng(0).permutation(ends[-1]) + 1
    parts = [numbers[i:j].reshape(tuple(a.shape)) for i, j, a in zip(ends, ends[1:], inputs, strict=False)]
    return tuple(converted(array_namespace(a).asarray(part), like=a) for part, a in zip(parts, inputs, strict=True))


def _weights(layer: LinearLayer, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """Check that forward and backward pass use the weights they are given."""
    w, _ = layer.parameters(*inputs)
    shapes = [tuple(a.shape) for a in inputs]
    s = layer.linear(w, *inputs)
    yield from check_weights.pairs(lambda w: layer.linear(w, *inputs), w)
    yield from check_weights.pairs(lambda w: layer.adjoint(w, s, *shapes), w)
