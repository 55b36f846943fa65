"""Every law of a layer, on inputs that are handed over; no Hypothesis is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..arithmetic import is_exact
from ..backend import Array, to_numpy
from ..layers import Layer, LinearLayer
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
    check_linear_in_R,
    check_no_mutation,
    check_number_type,
    check_shape,
    check_weights,
    holds,
)
from .search import ChecksFailed, Failure, Pairs, problem_of


def check_layer(layer: Layer, *inputs: Array) -> None:
    """Try every law of a layer on inputs of yours: a batch per input, (N, features) or (N, C, H, W).

    A linear layer's `linear` and `adjoint` must be one matrix and its transpose, for whatever weights they are handed;
    every layer's relevance must be shaped like its inputs, add up, and not depend on the batch; nothing may be changed.
    Where the transpose is wrong, the first pair of an input and an output that disagree is told.

    Raises ChecksFailed, an AssertionError.

    >>> from lrpref import Conv2D
    >>> check_layer(Conv2D(np.ones((1, 1, 2, 2)), padding=1), np.ones((1, 1, 3, 3)))
    """
    failures = []
    for name, law in layer_laws(layer).items():
        problem = problem_of(law, inputs)
        if problem is not None:
            failures.append(Failure(name, None, problem))
    if failures:
        raise ChecksFailed(describe_layer(layer), failures)


def layer_laws(layer: Layer) -> dict[str, Pairs]:
    """The laws of a layer, by name, each to be put to a tuple of inputs."""

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
        "check_conservation": lambda inputs: _layer_books(layer, relevance, inputs),
    }
    if isinstance(layer, LinearLayer):
        found["check_adjoint"] = lambda inputs: _adjoint(layer, inputs)
        found["check_weights"] = lambda inputs: _weights(layer, inputs)
    return found


def _layer_shapes(layer: Layer, relevance: Explain, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """The output is shaped as the layer says, the relevance as the inputs are; fan_in counts the most connections."""
    z, shapes = layer.forward(*inputs), [tuple(a.shape) for a in inputs]
    told = layer.output_shape(*shapes)
    yield holds(f"the output has shape {tuple(z.shape)}, output_shape says {told}", tuple(z.shape) == told)
    yield from check_shape.pairs(relevance, inputs, z)
    if isinstance(layer, LinearLayer):
        w, _ = layer.parameters(*inputs)
        connected = int(to_numpy(layer.linear(0 * w + 1, *(0 * a + 1 for a in inputs))).max(initial=0))
        n = layer.fan_in(*shapes)
        yield holds(f"a unit has up to {connected} inputs, and fan_in says {n}", connected <= n)


def _layer_batch(layer: Layer, relevance: Explain, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """The forward pass and the relevance."""
    yield from check_batch_independence.pairs(layer.forward, *inputs)
    yield from check_batch_independence.pairs(relevance, inputs, layer.forward(*inputs))


def _layer_books(layer: Layer, relevance: Explain, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """What the layer hands on and what it books is what it got."""
    R = layer.forward(*inputs)
    flow = layer.flow(inputs, R, Absolute())
    if flow.attributed:
        yield from check_conservation.pairs(relevance, inputs, R, sum(flow.losses.values()))


def _adjoint(layer: LinearLayer, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """On small whole numbers in the shape of the inputs; where that fails, on unit vectors."""
    w, _ = layer.parameters(*inputs)
    shapes = [tuple(a.shape) for a in inputs]
    rng = np.random.default_rng(0)
    *x, s = (_whole(rng, shape, like=inputs[0]) for shape in (*shapes, layer.output_shape(*shapes)))

    def law(x: tuple[Array, ...], s: Array) -> Iterator[Pair]:
        linear, adjoint = partial(layer.linear, w), lambda s: layer.adjoint(w, s, *(tuple(a.shape) for a in x))
        return check_adjoint.pairs(linear, adjoint, x, s)

    found = list(law(tuple(x), s))
    yield from found if all(pair.agrees for pair in found) else _unit_vectors(law, inputs, s) or found


def _whole(rng: np.random.Generator, shape: tuple[int, ...], like: Array) -> Any:
    """Whole numbers from -4 to 4, of a number type."""
    drawn = rng.integers(-4, 5, shape)
    return rational.exact(drawn) if is_exact(like) else drawn.astype(to_numpy(like).dtype)


def _unit_vectors(
    law: Callable[..., Iterator[Pair]], inputs: tuple[Array, ...], s: Array, most: int = 64
) -> list[Pair]:
    """The first input and output, of the first sample, between which W and W^T differ."""
    zeros = [0 * a[:1] for a in inputs]
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


def _weights(layer: LinearLayer, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """Forward and backward."""
    w, _ = layer.parameters(*inputs)
    shapes = [tuple(a.shape) for a in inputs]
    s = layer.linear(w, *inputs)
    yield from check_weights.pairs(lambda w: layer.linear(w, *inputs), w)
    yield from check_weights.pairs(lambda w: layer.adjoint(w, s, *shapes), w)
