"""Exact arithmetic: the same layers and rules on fractions, so that laws hold with `==`.

`exact(net)` turns every number of a network into the fraction that it is. The plain code then runs unchanged on
NumPy arrays of Python objects (`fractions.Fraction`, or gmpy2's faster `mpq` where that is installed): no rounding
anywhere, in the forward pass, the relevance, or the books. Constants (epsilon, gamma, bounds) become the fraction
of the decimal as written: 0.1 is one tenth.

Two things are not rational. BatchNorm's square root is taken once, to `digits` decimal digits, and everything after
it is exact again; such a BatchNorm becomes a `Scale`. Exponentials (Sigmoid, Tanh, Softmax) are refused by name.

Fractions grow. A relevance is a sum over j of terms with the denominators z_j, so its own denominator is about
their product: some ten thousand digits after a few layers of a hundred units. `exact` counts the units that divide
and stops with a message where that gets out of hand (see `MAX_UNITS`).
"""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from math import prod
from typing import Any, overload

import numpy as np

from .backend import Array, exact_array, exact_number, is_exact
from .errors import LrprefError
from .layers import BatchNorm, Layer, Scale, Sigmoid, Softmax, Tanh
from .layers.base import LinearLayer, Shape
from .network import Network

MAX_UNITS = 2000
"""How many units of linear layers `check_size` lets through: each brings a denominator of its own."""


@overload
def exact(x: Network, digits: int = 50) -> Network: ...
@overload
def exact(x: Any, digits: int = 50) -> np.ndarray: ...


def exact(x: Any, digits: int = 50) -> Network | np.ndarray:
    """A network, or an array, in exact arithmetic.

    x       a Network; or an array, or nested lists, of floats (taken as the binary fractions they are),
            integers, fractions, or text such as "1/3" and "0.1"
    digits  to how many significant decimal digits BatchNorm's square root is taken

    Raises LrprefError, naming the node, for a layer that is not rational.

    >>> from lrpref import Dense, Network, explain
    >>> net = exact(Network.sequential(Dense([[2.0, -1.0]], [0.5])))
    >>> [str(r) for r in explain(net, exact([["1/3", "1/2"]]), rule="zero")[0]]
    ['2/3', '-1/2']
    """
    if not isinstance(x, Network):
        return exact_array(x)
    done: dict[int, Layer] = {}
    for name, layer, _ in x.nodes:
        if id(layer) not in done:
            done[id(layer)] = _exact_layer(name, layer, digits)
    return Network([(name, done[id(layer)], inputs) for name, layer, inputs in x.nodes])


def to_float(x: Array) -> np.ndarray:
    """Exact numbers rounded once, to float64."""
    return np.vectorize(float, otypes=[np.float64])(x) if is_exact(x) and x.size else np.asarray(x, dtype=np.float64)


def check_size(net: Network, input_shape: Shape, max_units: int = MAX_UNITS) -> int:
    """The number of units that divide in an explanation of one sample; raises LrprefError above `max_units`.

    input_shape  (N, ...); N does not count, samples do not mix
    """
    shapes = net.shapes((1, *input_shape[1:]))
    units = sum(prod(shapes[name][1:]) for name, layer, _ in net.nodes if isinstance(layer, LinearLayer))
    if units > max_units:
        raise LrprefError(
            f"{units} units would each bring a denominator, and fractions grow with their product; exact arithmetic "
            f"is for networks of up to about {max_units} (see lrpref.rational). Use a smaller network, or mpmath "
            "through lrpref.digits"
        )
    return units


def _exact_layer(name: str, layer: Layer, digits: int) -> Layer:
    """One layer in exact arithmetic."""
    if isinstance(layer, Sigmoid | Tanh | Softmax):
        kind = type(layer).__name__
        hint = "; leave it out: explanations start at its input anyway" if kind == "Softmax" else ""
        raise LrprefError(f"node {name!r}: {kind} needs an exponential, which no fraction can hold{hint}")
    if isinstance(layer, BatchNorm):
        return _exact_batchnorm(layer, digits)
    return layer.map_arrays(lambda array: array if array.dtype == bool else exact_array(array))


def _exact_batchnorm(layer: BatchNorm, digits: int) -> Scale:
    """w = g / s and b = beta - g mu / s, with s = sqrt(var + eps) rounded once to `digits` digits."""
    mean, var = exact_array(layer.mean), exact_array(layer.var)
    eps = Fraction(repr(layer.eps))
    s = np.asarray([exact_number(_root(Fraction(int(v.numerator), int(v.denominator)) + eps, digits)) for v in var])
    g = exact_array(np.ones(layer.channels)) if layer.weight is None else exact_array(layer.weight)
    beta = exact_array(np.zeros(layer.channels)) if layer.bias is None else exact_array(layer.bias)
    return Scale(g / s, beta - g * mean / s)


def _root(value: Fraction, digits: int) -> Fraction:
    """The square root to `digits` significant digits, as a fraction."""
    context = Context(prec=digits + 5)
    quotient = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    return Fraction(Context(prec=digits).plus(context.sqrt(quotient)))
