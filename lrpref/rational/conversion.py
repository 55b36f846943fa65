"""Exact arithmetic: the same layers and rules on fractions, so that laws hold with `==`.

`exact(net)` converts every number of a network to the fraction that it equals. The same code then runs unchanged on
NumPy arrays of Python objects (`fractions.Fraction`, or gmpy2's faster `mpq` if it is installed) and rounds nothing,
neither in the forward pass, nor in the relevance, nor in the ledger. Constants (epsilon, gamma, bounds) become the
fraction of the decimal as written: 0.1 is one tenth. Arrays of floats become the binary fractions that they hold.

Two things are irrational. The square root of BatchNorm is computed once, to `digits` decimal digits, and everything
after it is exact again; such a BatchNorm becomes a `Scale`. Layers with exponentials (`layers.Smooth`,
Softmax, LogSoftmax) are refused by name, and so is the root in `Epsilon(scale="rms")`.

Fractions grow. A relevance is a sum over units j of terms with the denominators z_j, so its own denominator is about
their product, and the time to add two fractions grows with the square of their length. The size of a network does not
predict the time, so `trace` checks a time budget before every layer instead. docs/exact.md gives measured times.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, overload

import numpy as np

from ..arithmetic import (
    as_fraction,
    check_integer,
    check_not_pixels,
    exact_array,
    exact_number,
    is_exact,
    is_real_floating,
    rounded,
)
from ..backend import Array, to_numpy
from ..errors import DTypeError
from ..layers import BatchNorm, Head, Layer, Scale, Sigmoid, Smooth
from ..network import Network

MOST_DIGITS = 10_000
"""The largest number of decimal digits that `exact` and `digits` accept."""


@overload
def exact(x: Network, digits: int = 50) -> Network: ...
@overload
def exact(x: Any, digits: int = 50) -> np.ndarray: ...


def exact(x: Any, digits: int = 50) -> Network | np.ndarray:
    """Convert a network or an array to exact arithmetic.

    Parameters
    ----------
    x : Network or array-like
        A network; or an array or nested lists of floats (taken as the binary fractions that they are), integers,
        fractions, or text such as "1/3" and "0.1".
    digits : int, default 50
        The number of significant decimal digits to which BatchNorm's square root is computed.

    Returns
    -------
    Network or numpy.ndarray
        The same network on exact numbers, with a `Scale` in place of each BatchNorm; or an object array of fractions.

    Raises
    ------
    DTypeError
        If a layer is irrational; names the node.
    ParameterError
        If an element is not a number, or `digits` is not an integer from 1 to 10,000.

    Examples
    --------
    >>> from lrpref import Dense, Network, explain
    >>> net = exact(Network.sequential(Dense([[2.0, -1.0]], [0.5])))
    >>> [str(r) for r in explain(net, exact([["1/3", "1/2"]]), rule="zero")[0]]
    ['2/3', '-1/2']
    """
    if not isinstance(x, Network):
        numbers = exact_array(x)
        check_not_pixels(x, "the array")
        return numbers
    check_integer(digits, "digits, those of BatchNorm's square root,", least=1, most=MOST_DIGITS)
    return convert_layers(x, lambda name, layer: exact_layer(name, layer, digits))


def to_float(x: Array) -> np.ndarray:
    """Round exact numbers once, to float64."""
    values = to_numpy(x)
    return rounded(values) if is_exact(values) else np.asarray(values, dtype=np.float64)


def convert_layers(net: Network, convert: Callable[[str, Layer], Layer]) -> Network:
    """Return the same graph with `convert(name, layer)` in place of every layer; a shared layer stays shared."""
    done: dict[int, Layer] = {}
    for name, layer, _ in net.nodes:
        if id(layer) not in done:
            done[id(layer)] = convert(name, layer)
    return net.with_nodes([(name, done[id(layer)], inputs) for name, layer, inputs in net.nodes])


def exact_layer(name: str, layer: Layer, digits: int) -> Layer:
    """Convert one layer to exact arithmetic; raise DTypeError, naming its node, if it is irrational."""
    if isinstance(layer, Smooth | Head):
        kind = type(layer).__name__
        ends = "; if it ends the network, use net.without_head(): explanations start there"
        hint = ends if isinstance(layer, Sigmoid | Head) else ""
        raise DTypeError(f"node {name!r}: {kind} is irrational, so exact arithmetic cannot represent it{hint}")
    if isinstance(layer, BatchNorm) and type(layer) is not BatchNorm:
        raise DTypeError(
            f"node {name!r}: {type(layer).__name__} may compute something other than BatchNorm, so exact arithmetic "
            "cannot replace its square root; put a Scale in its place"
        )
    if isinstance(layer, BatchNorm):
        return _exact_batchnorm(layer, digits)
    return layer.map_arrays(lambda array: exact_array(array) if is_real_floating(array) else array)  # masks stay


def _exact_batchnorm(layer: BatchNorm, digits: int) -> Scale:
    """w = g / s and b = beta - g mu / s, with s = sqrt(var + eps) rounded once to `digits` digits."""
    eps = as_fraction(str(layer.eps))
    s = exact_array([exact_number(_root(as_fraction(v) + eps, digits)) for v in to_numpy(layer.var)])
    g = exact_array(np.ones(layer.channels) if layer.weight is None else layer.weight)
    beta = exact_array(np.zeros(layer.channels) if layer.bias is None else layer.bias)
    return Scale(g / s, beta - g * exact_array(layer.mean) / s)


def _root(value: Fraction, digits: int) -> Fraction:
    """The square root to `digits` significant digits, as a fraction."""
    context = Context(prec=digits + 5)
    quotient = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    return Fraction(Context(prec=digits).plus(context.sqrt(quotient)))
