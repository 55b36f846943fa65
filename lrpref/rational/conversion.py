"""Exact arithmetic: the same layers and rules on fractions, so that laws hold with `==`.

`exact(net)` turns every number of a network into the fraction that it is. The plain code then runs unchanged on
NumPy arrays of Python objects (`fractions.Fraction`, or gmpy2's faster `mpq` where that is installed): no rounding
anywhere, in the forward pass, the relevance, or the books. Constants (epsilon, gamma, bounds) become the fraction
of the decimal as written: 0.1 is one tenth. Arrays of floats become the binary fractions that they are.

Two things are not rational. BatchNorm's square root is taken once, to `digits` decimal digits, and everything after
it is exact again; such a BatchNorm becomes a `Scale`. Exponentials (Sigmoid, Tanh, Softmax) are refused by name, and
so is the root in `Epsilon(scale="rms")`.

Fractions grow. A relevance is a sum over units j of terms with the denominators z_j, so its own denominator is about
their product, and adding two fractions takes time with the square of their length. `check_size` estimates the time
before anything is computed and stops beyond `MAX_SECONDS`. docs/exact.md says what that means for networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal
from fractions import Fraction
from math import prod
from typing import Any, NamedTuple, overload

import numpy as np

from ..arithmetic import as_fraction, exact_array, exact_number, is_exact, is_real_floating, rounded
from ..backend import Array, is_array, to_numpy
from ..engine import Rule
from ..errors import InputError, LrprefError, ParameterError, RuleError
from ..layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    MaxPool2D,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    Softmax,
    Tanh,
)
from ..layers.base import LinearLayer, Shape
from ..network import INPUT, Network
from ..rules import Flat, Pass, Relative, Zero, ZPlus

MAX_SECONDS = 600.0
"""How long an explanation may take by `estimate`; set it to allow more."""

COSTS = {"Fraction": (2.5e-6, 2.0e-5, 2.0e-6), "mpq": (0.3e-6, 2.0e-6, 0.7e-6), "mpf": (4.0e-6, 4.0e-6, 0.0)}
"""Measured seconds per product of a weight: at all; where relevance flows; and there, times the square of kilobits."""


class Cost(NamedTuple):
    """About how many seconds a linear layer takes: a pass forward, a pass back, and with how many of each per rule."""

    forward: float
    back: float
    terms: int

    @property
    def total(self) -> float:
        """Once forward, then once forward and back for every term of the rule."""
        return self.forward + self.terms * (self.forward + self.back)


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
    if digits < 1:
        raise ParameterError(f"a root has at least one digit, got digits={digits}")
    done: dict[int, Layer] = {}
    for name, layer, _ in x.nodes:
        if id(layer) not in done:
            done[id(layer)] = _exact_layer(name, layer, digits)
    return Network([(name, done[id(layer)], inputs) for name, layer, inputs in x.nodes])


def to_float(x: Array) -> np.ndarray:
    """Exact numbers rounded once, to float64."""
    return rounded(x) if is_exact(x) else np.asarray(x, dtype=np.float64)


def check(net: Network, input_shape: Shape, rules: Mapping[str, Rule], seed: object = "logit") -> dict[str, Cost]:
    """Raise, before anything is computed, where exact arithmetic cannot carry an explanation; else what it costs.

    Raises LrprefError and RuleError that name the node, InputError for a seed that is not rational, and LrprefError
    where it would take too long.
    """
    for name, layer, _ in net.nodes:
        _check_rational(name, layer)
    for name, rule in rules.items():
        if not rule.exact:
            raise RuleError(f"node {name!r}: {rule} needs a square root or an exponential, which no fraction can hold")
    if isinstance(seed, str) and seed == "probability":
        raise InputError('seed "probability" needs an exponential, which no fraction can hold; use "logit" or a number')
    return check_size(net, input_shape, rules)


# ---- networks --------------------------------------------------------------------------------------------------


def _check_rational(name: str, layer: Layer) -> None:
    """Raise LrprefError for a layer with an exponential."""
    if isinstance(layer, Sigmoid | Tanh | Softmax):
        kind = type(layer).__name__
        hint = "; leave it out: explanations start at its input anyway" if kind == "Softmax" else ""
        raise LrprefError(f"node {name!r}: {kind} needs an exponential, which no fraction can hold{hint}")


def _exact_layer(name: str, layer: Layer, digits: int) -> Layer:
    """One layer in exact arithmetic."""
    _check_rational(name, layer)
    if isinstance(layer, BatchNorm):
        return _exact_batchnorm(layer, digits)
    return layer.map_arrays(lambda array: exact_array(array) if is_real_floating(array) else array)  # masks stay


def _exact_batchnorm(layer: BatchNorm, digits: int) -> Scale:
    """w = g / s and b = beta - g mu / s, with s = sqrt(var + eps) rounded once to `digits` digits."""
    eps = as_fraction(str(layer.eps))
    s = np.asarray([exact_number(_root(as_fraction(v) + eps, digits)) for v in layer.var], dtype=object)
    g = exact_array(np.ones(layer.channels) if layer.weight is None else layer.weight)
    beta = exact_array(np.zeros(layer.channels) if layer.bias is None else layer.bias)
    return Scale(g / s, beta - g * exact_array(layer.mean) / s)


def _root(value: Fraction, digits: int) -> Fraction:
    """The square root to `digits` significant digits, as a fraction."""
    context = Context(prec=digits + 5)
    quotient = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    return Fraction(Context(prec=digits).plus(context.sqrt(quotient)))


# ---- how long will it take? ------------------------------------------------------------------------------------


def check_size(
    net: Network, input_shape: Shape, rules: Mapping[str, Rule], arithmetic: str | None = None
) -> dict[str, Cost]:
    """What `estimate` says; raises LrprefError where it is more than `MAX_SECONDS` altogether."""
    costs = estimate(net, input_shape, rules, arithmetic)
    total = sum(cost.total for cost in costs.values())
    if total > MAX_SECONDS:
        slowest = max(costs, key=lambda name: costs[name].total)
        raise LrprefError(
            f"this would take about {_in_words(total)}, most of it at node {slowest!r} ({_HOW[arithmetic or _own()]}). "
            "Take fewer samples or a smaller network, or, to wait, set lrpref.rational.MAX_SECONDS, "
            f"which is {MAX_SECONDS:.0f}"
        )
    return costs


_HOW = {
    "Fraction": "exact fractions grow with every unit that divides; with gmpy2 installed it is three times as fast, "
    'and lrpref.digits(..., reference="mpmath") does not grow',
    "mpq": 'exact fractions grow with every unit that divides; lrpref.digits(..., reference="mpmath") does not grow',
    "mpf": "in mpmath",
}


def estimate(
    net: Network, input_shape: Shape, rules: Mapping[str, Rule], arithmetic: str | None = None
) -> dict[str, Cost]:
    """What each linear layer costs in exact arithmetic; right to a factor of about five.

    net          in exact or in floating-point numbers
    input_shape  (N, ...)
    rules        node -> rule, as `composites.resolve(rule).assign(net)` gives them
    arithmetic   a key of `COSTS`; None for the exact numbers in use
    """
    shapes, length, live = net.shapes(input_shape), _lengths(net), _live(net)
    always, flowing, square = COSTS[arithmetic or _own()]
    linear = [(name, layer, inputs) for name, layer, inputs in net.nodes if isinstance(layer, LinearLayer)]
    cancels = all(type(rule) is Zero for rule in rules.values())  # R_j / z_j is then the gradient at j, times a seed
    costs = {}
    for name, layer, inputs in linear:
        units = _reached(net, shapes, name)
        units[linear[-1][0]] = 1  # where explanations start
        growth = {n: 0 if cancels else _dividing(rules[n]) * live[n] * units[n] * length[n] for n in units}
        kilobits = (length[name] + sum(growth.values()) - growth[name] / 2) / 1000
        products = prod(shapes[name]) * layer.fan_in(*(shapes[i] for i in inputs))
        back = live[name] * (flowing + square * kilobits**2)
        costs[name] = Cost(products * always, products * back, _terms(rules[name]))
    return costs


def _own() -> str:
    """The exact number type in use: "Fraction" or "mpq"."""
    return type(exact_number(0)).__name__


def _dividing(rule: Rule) -> float:
    """The share of the units that relevance goes through that bring a denominator of their own."""
    if isinstance(rule, Flat | Pass | Relative):
        return 0.0  # one number for the whole layer
    return 0.5 if isinstance(rule, ZPlus) else 1.0


def _live(net: Network) -> dict[str, float]:
    """The share of each node's outputs that relevance goes through: ReLUs close half, max-pools pass the winners."""
    live = dict.fromkeys([INPUT, *net.names], 0.0)
    live[net.output] = 1.0
    for name, layer, inputs in reversed(net.nodes):
        share = 1.0 if isinstance(layer, LinearLayer) else live[name]
        if isinstance(layer, ReLU | ReLU6):
            share /= 2
        elif isinstance(layer, MaxPool2D):
            share /= prod(layer.window.stride)
        for i in inputs:
            live[i] = max(live[i], share)
    return live


def _terms(rule: Rule) -> int:
    """How many terms a rule's ratios have."""
    try:
        return sum(len(ratio.terms) for ratio in rule.ratios())
    except RuleError:  # a rule with a flow of its own
        return 1


def _lengths(net: Network) -> dict[str, int]:
    """About how many bits an output of each node has: those of the input and of all weights on the way."""
    length = {INPUT: 32}
    for name, layer, inputs in net.nodes:
        held = [_bits(v) for v in vars(layer).values() if is_array(v) and is_real_floating(v)]
        own = 200 if isinstance(layer, BatchNorm) else max(held, default=0)
        length[name] = max(length[i] for i in inputs) + own
    return length


def _bits(x: Array) -> int:
    """The length of the longest denominator in `x`."""
    if is_exact(x):
        return max((int(as_fraction(v).denominator).bit_length() for v in x.flat), default=0)
    values = abs(to_numpy(x)).ravel()
    smallest = values[values > 0].min(initial=1.0)
    return max(0, int(np.finfo(values.dtype).nmant) - int(np.frexp(smallest)[1]) + 1)


def _reached(net: Network, shapes: Mapping[str, Shape], source: str) -> dict[str, int]:
    """How many units of each linear layer hang on one input of the layer at `source`."""
    seen: dict[str, Shape] = {}
    units: dict[str, int] = {}
    for name, layer, inputs in net.nodes:
        cells = [seen[i] for i in inputs if i in seen]
        if name == source:
            cells = [(1,) * (len(shapes[inputs[0]]) - 1)]
        if cells:
            seen[name] = _widened(layer, tuple(map(max, zip(*cells, strict=True))), shapes[name][1:])
            if isinstance(layer, LinearLayer):
                units[name] = prod(seen[name])
    return units


def _widened(layer: Layer, cells: Shape, output: Shape) -> Shape:
    """The outputs (channels, rows, columns) that hang on so many neighbouring inputs."""
    if isinstance(layer, Flatten):
        return (prod(cells),)
    if isinstance(layer, GlobalAvgPool2D):
        return (cells[0], 1, 1)
    if isinstance(layer, Dense) or len(cells) != len(output):
        return output
    if (window := getattr(layer, "window", None)) is None:
        return cells
    channels = output[0] // layer.groups * min(cells[0], layer.groups) if isinstance(layer, Conv2D) else cells[0]
    sides = zip(cells[1:], window.kernel, window.dilation, window.stride, output[1:], strict=True)
    return (channels, *(min(size, -(-(n + d * (k - 1)) // s)) for n, k, d, s, size in sides))


def _in_words(seconds: float) -> str:
    """A duration to one figure or two."""
    for unit, length in (("years", 3.2e7), ("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.2g} {unit}" if seconds < 1e9 else "many years"
    return f"{seconds:.0f} seconds"
