"""How many digits of a heatmap are right.

`digits(net, x, rule)` explains `x` in float32, float64 and long double, and once more in an arithmetic that leaves
nothing to rounding: in fractions (`lrpref.exact`) where network and rule are rational and small enough, else in
mpmath with so many decimal digits. A relevance R next to the true R* has

    digits = -log10(|R - R*| / |R*|)

right, at least 0 and at most what the number type can hold (24, 53 or 64 bits are 7.2, 16.0 or 19.3 digits). Where
R* is exactly zero, R has all digits if it is zero too, and none otherwise; so has a NaN none. Values that are zero in
both stand in the array, but do not count in the summary: a black background would make any heatmap look good.

Every arithmetic starts from the weights and the input as they are given, rounds them to itself, and takes its own
decisions: which units a ReLU closes, which cell wins a max-pool. Where rounding turns one of these round, the heatmap
is another one, and its digits say so. The output that is explained is the same for all: the reference chooses it.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf, log10
from typing import Any

import numpy as np

from .._support.progress import Bar
from ..arithmetic import as_dtype, as_floating, converted, is_rational, is_real_floating
from ..backend import Array, to_numpy
from ..composites import Composite, resolve
from ..errors import DTypeError, LrprefError, ParameterError, RelevanceWarning
from ..layers import Dense, Layer, LinearLayer, Softmax
from ..layers.base import Shape
from ..network import Network
from ..rules import Rule
from ..walk import DEFAULT_RULE, Trace, trace
from . import conversion as rational
from .conversion import Cost

REFERENCES = ("auto", "exact", "mpmath")
EXACT_SECONDS = 180.0
"""Beyond this estimate "auto" takes mpmath, if it is installed."""


@dataclass(frozen=True)
class Summary:
    """The digits of one number type over all values that count.

    holds        how many digits the number type has
    median       of the correct digits
    worst        the fewest
    below_three  the share of values with fewer than three correct digits
    relative_l2  |R - R*| / |R*|, Euclidean, over all values
    values       how many values count: those that are not zero in both heatmaps
    """

    holds: float
    median: float
    worst: float
    below_three: float
    relative_l2: float
    values: int


@dataclass(frozen=True, eq=False)
class Digits:
    """How many digits of a heatmap are right, by number type; prints as a table.

    correct    "float32", ... -> correct decimal digits, an array shaped like the input
    summary    "float32", ... -> `Summary`
    reference  what they were measured against
    rule       the rule or composite
    target     (N,) the outputs that were explained
    """

    correct: Mapping[str, np.ndarray]
    summary: Mapping[str, Summary]
    reference: str
    rule: str
    target: np.ndarray

    def __getitem__(self, number_type: str) -> np.ndarray:
        """The correct digits of one number type."""
        return self.correct[number_type]

    def __str__(self) -> str:
        size = next(iter(self.correct.values())).size if self.correct else 0
        head = f"{'number type':12}{'holds':>7}{'median':>8}{'worst':>7}{'below 3':>9}{'relative L2':>13}{'values':>9}"
        lines = [f"correct digits under {self.rule}, against {self.reference}", head, "-" * len(head)]
        lines += [
            f"{name:12}{s.holds:7.1f}{s.median:8.1f}{s.worst:7.1f}{s.below_three:9.1%}{s.relative_l2:13.1e}{s.values:9}"
            for name, s in self.summary.items()
        ]
        return "\n".join([*lines, f"of {size} values; those that are zero in both do not count"])


def digits(
    net: Network,
    x: Array,
    rule: str | Rule | Composite = DEFAULT_RULE,
    dtypes: Sequence[Any] = (np.float32, np.float64, np.longdouble),
    target: int | Array | None = None,
    reference: str = "auto",
    precision: int = 60,
    progress: bool | None = None,
) -> Digits:
    """How many decimal digits of the heatmap of `x` are right, in each of several number types.

    net        the network; a final Softmax is left out, as explanations start at its input
    x          a batch (N, ...)
    rule       as in `explain`
    dtypes     NumPy's number types, or their names
    target     as in `explain`; None for the largest output by the reference
    reference  "exact", "mpmath", or "auto": exact where that is possible and takes minutes at most
    precision  decimal digits of mpmath, and of BatchNorm's square root in exact arithmetic
    progress   a bar on stderr where this takes longer than two seconds; None: if stderr is a terminal

    Raises ParameterError, DTypeError; what `explain` raises; LrprefError where the reference cannot be had, or would
    take longer than `rational.MAX_SECONDS`.

    >>> import lrpref
    >>> net = lrpref.Network.sequential(lrpref.Dense([[0.1, 0.7]]))
    >>> found = digits(net, np.array([[0.3, 0.9]]), "z-plus", dtypes=("float32", "float64"))
    >>> found.reference
    'exact arithmetic'
    >>> {name: bool(summary.worst > 6) for name, summary in found.summary.items()}
    {'float32': True, 'float64': True}
    """
    if reference not in REFERENCES:
        raise ParameterError(f"reference is one of {', '.join(map(repr, REFERENCES))}, got {reference!r}")
    if precision < 30:
        raise ParameterError(f"a reference needs at least 30 digits, got precision={precision}")
    kinds = {kind.type.__name__: kind for kind in map(_floating_type, dtypes)}
    net, x, composite = _without_softmax(net.to("numpy")), to_numpy(as_floating(x, "the input")), resolve(rule)
    net.cast(x)  # raises InputError, before anything is computed
    way, costs = _choose(net, tuple(x.shape), composite, reference)
    label = "exact arithmetic" if way == "exact" else f"mpmath with {precision} digits"
    truth = _reference(net, x, target, composite, _arithmetic(way, precision), costs, Bar(label, progress))
    correct, summary, short = {}, {}, _shortened(truth.relevance)
    for name, kind in kinds.items():
        found = _quietly(net.astype(kind), as_dtype(x, kind), truth.target, composite)
        correct[name], summary[name] = _measure(found.relevance, short)
    return Digits(correct, summary, label, composite.name, np.asarray(truth.target))


def _floating_type(kind: Any) -> np.dtype[Any]:
    """A number type; raises DTypeError for one that lrpref does not compute with."""
    try:
        found: np.dtype[Any] = np.dtype(kind)
    except TypeError as error:
        raise DTypeError(f"{kind!r} is no number type of NumPy") from error
    if found == np.dtype(object) or not is_real_floating(np.empty(0, found)):
        raise DTypeError(f"digits are measured of float32, float64 and longdouble, not of {found}")
    return found


def _without_softmax(net: Network) -> Network:
    """The network up to its logits."""
    return Network(net.nodes[:-1]) if len(net.nodes) > 1 and isinstance(net.nodes[-1].layer, Softmax) else net


# ---- the reference ---------------------------------------------------------------------------------------------


def _choose(net: Network, shape: Shape, composite: Composite, reference: str) -> tuple[str, dict[str, Cost]]:
    """ "exact" or "mpmath", and what it costs; raises LrprefError where neither will do."""
    rules, has_mpmath = composite.assign(net), importlib.util.find_spec("mpmath") is not None
    if reference != "mpmath":
        try:
            costs = rational.check(net, shape, rules)
        except LrprefError as error:
            if reference == "exact":
                raise
            if not has_mpmath:
                raise LrprefError(f'{error}. Or measure against mpmath: pip install "lrpref[exact]"') from error
        else:
            if reference == "exact" or not has_mpmath or sum(cost.total for cost in costs.values()) <= EXACT_SECONDS:
                return "exact", costs
    return "mpmath", rational.check_size(net, shape, rules, "mpf")


def _arithmetic(way: str, precision: int) -> tuple[Callable[[Network], Network], Callable[[Array], np.ndarray]]:
    """What puts a network, and what puts an array, into the arithmetic of the reference."""
    if way == "exact":
        return lambda net: rational.exact(net, precision), rational.exact
    zero = np.asarray([mpmath_numbers(precision).from_fraction(Fraction())], dtype=object)

    def convert(array: Array) -> np.ndarray:
        found: np.ndarray = converted(array, like=zero) if is_real_floating(array) else array  # masks stay
        return found

    return lambda net: net.map_arrays(convert), convert


def mpmath_numbers(precision: int) -> Any:
    """mpmath's number type at a precision of its own, with all that the plain code asks of numbers in an object array.

    NumPy computes roots, exp and tanh of Python objects by their methods of that name, of which mpmath's numbers have
    `sqrt`; `from_fraction` makes constants.
    """
    try:
        context = importlib.import_module("mpmath").MPContext()  # of its own: mpmath.mp stays as it is
    except ImportError as error:
        raise LrprefError('mpmath is not installed: pip install "lrpref[exact]"') from error
    context.dps = precision
    for name in ("exp", "tanh"):
        setattr(context.mpf, name, _as_method(getattr(context, name)))
    context.mpf.from_fraction = staticmethod(context.convert)
    return context.mpf


def _as_method(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of one number as a method of it."""
    return lambda number: function(number)


def _reference(
    net: Network,
    x: np.ndarray,
    target: int | Array | None,
    composite: Composite,
    arithmetic: tuple[Callable[[Network], Network], Callable[[Array], np.ndarray]],
    costs: Mapping[str, Cost],
    bar: Bar,
) -> Trace:
    """The explanation in the arithmetic of the reference."""
    of_network, of_array = arithmetic
    with bar:
        converted_net = of_network(net)
        if bar.shown:
            converted_net = _watched(converted_net, costs, bar)
        return _quietly(converted_net, of_array(x), target, composite)


def _quietly(net: Network, x: np.ndarray, target: int | Array | None, composite: Composite) -> Trace:
    """A trace without its warnings: how far a heatmap can be trusted is what is being measured."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RelevanceWarning)
        return trace(net, x, target, composite)


# ---- the measure -----------------------------------------------------------------------------------------------


def _shortened(truth: np.ndarray) -> np.ndarray:
    """The reference with its fractions cut to 400 bits, which is precise enough and fast to compute with."""
    if not is_rational(truth):
        return truth
    short = np.empty(truth.shape, dtype=object)
    for index, value in np.ndenumerate(truth):
        top, bottom = int(value.numerator), int(value.denominator)
        shift = max(0, 400 - abs(top).bit_length() + bottom.bit_length())
        short[index] = Fraction((top << shift) // bottom, 1 << shift)
    return rational.exact(short)


def _measure(R: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, Summary]:
    """The correct digits of `R`, and their summary."""
    holds = (np.finfo(R.dtype).nmant + 1) * log10(2)
    sound = np.isfinite(R)
    error = abs(converted(np.where(sound, R, 0), like=truth) - truth)
    counts = (truth != 0) | (R != 0)
    comparable = sound & (truth != 0)
    relative = np.where(comparable, error, 1 * counts) / np.where(comparable, abs(truth), 1)
    relative = np.where(relative < 1, relative, 1).astype(np.float64)
    found = np.where(relative > 0, -np.log10(np.where(relative > 0, relative, 1)), inf)
    correct = np.minimum(found, holds)
    counted = correct[counts] if counts.any() else np.asarray([holds])
    summary = Summary(
        holds=holds,
        median=float(np.median(counted)),
        worst=float(counted.min()),
        below_three=float(np.mean(counted < 3)),
        relative_l2=_relative_l2(error, truth) if sound.all() else inf,
        values=int(counts.sum()),
    )
    return correct, summary


def _relative_l2(error: np.ndarray, truth: np.ndarray) -> float:
    """|error| / |truth|, Euclidean; both are scaled by the largest value of the truth first."""
    largest = max(abs(truth).flat, default=0)
    if largest == 0:
        return inf if (error != 0).any() else 0.0
    ratio = [float(np.linalg.norm((values / largest).astype(np.float64))) for values in (error, truth)]
    return ratio[0] / ratio[1]


# ---- progress --------------------------------------------------------------------------------------------------


def _watched(net: Network, costs: Mapping[str, Cost], bar: Bar) -> Network:
    """The same network, whose linear layers tell the bar what they have done, a Dense layer in parts."""
    total = sum(cost.total for cost in costs.values()) or 1.0
    nodes = []
    for name, layer, inputs in net.nodes:
        if isinstance(layer, LinearLayer):
            layer = _watched_layer(layer, costs[name].forward / total, costs[name].back / total, bar)
        nodes.append((name, layer, inputs))
    return Network(nodes)


def _watched_layer(layer: LinearLayer, forward: float, back: float, bar: Bar) -> Layer:
    """The same layer; `forward` and `back` are the shares of all work that one pass through it is."""
    kind: Any = type(layer)

    def linear(self: Any, w: Array, *inputs: Array) -> Array:
        z = kind.linear(self, w, *inputs)
        bar.tick(forward)
        return z

    def adjoint(self: Any, w: Array, s: Array, *shapes: Any) -> Any:
        if not isinstance(layer, Dense):
            c = kind.adjoint(self, w, s, *shapes)
            bar.tick(back)
            return c
        parts = np.array_split(w, min(50, w.shape[1]) or 1, axis=1)
        found = []
        for part in parts:
            found.append(kind.adjoint(self, part, s, (*shapes[0][:1], part.shape[1])))
            bar.tick(back / len(parts))
        return np.concatenate(found, axis=1)

    watched: Layer = object.__new__(type(kind.__name__, (kind,), {"linear": linear, "adjoint": adjoint}))
    vars(watched).update(vars(layer))
    return watched
