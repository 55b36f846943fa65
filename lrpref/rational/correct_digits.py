"""The number of correct digits of a heatmap.

`digits(net, x, rule)` explains `x` in float32, float64 and long double, and once more in a reference arithmetic without
rounding that matters: in fractions (`lrpref.exact`) if network and rule are rational and the fractions stay short
enough, else in mpmath with a given number of decimal digits. A relevance R compared with the true R* has

    digits = -log10(|R - R*| / |R*|)

correct digits, at least 0 and at most as many as the number type holds (24, 53 or 64 bits are 7.2, 16.0 or 19.3
digits). Where R* is exactly zero, R has all digits if it is zero too, and none otherwise. A NaN has none. Values that
are zero in both are in the array but do not count in the summary: a black background would flatter any heatmap.

Every arithmetic starts from the weights and the input as given, rounds them to itself, and makes its own decisions:
which units a ReLU closes, which cell wins a max-pool. Where rounding flips such a decision, the heatmap changes, and
its digits show it. The explained output is the same for all: the reference chooses it.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import inf, log10
from typing import Any

import numpy as np

from .._support.budget import EXACT_SECONDS, Budget
from .._support.extras import library
from .._support.progress import Bar
from ..arithmetic import (
    as_dtype,
    as_floating,
    check_choice,
    check_flag,
    check_integer,
    converted,
    is_rational,
    is_real_floating,
)
from ..backend import Array, to_numpy
from ..composites import Composite, resolve
from ..errors import BudgetError, DTypeError, LrprefError, RelevanceWarning, shown
from ..layers import Layer
from ..network import Network, check_network, check_one_input
from ..rules import Rule
from ..walk import DEFAULT_RULE, Trace, trace
from .conversion import MOST_DIGITS, convert_layers, exact, exact_layer

REFERENCES = ("auto", "exact", "mpmath")

AUTO_SECONDS = 20.0
"""How many seconds of its budget the reference "auto" spends on exact arithmetic before it falls back to mpmath."""


@dataclass(frozen=True)
class Summary:
    """The correct digits of one number type over all values that count.

    Parameters
    ----------
    holds : float
        How many decimal digits the number type holds.
    median : float
        The median number of correct digits.
    worst : float
        The smallest number of correct digits.
    below_three : float
        The fraction of values with fewer than three correct digits, in [0, 1].
    relative_l2 : float
        |R - R*| / |R*|, Euclidean, over all values.
    values : int
        How many values count: those that are not zero in both heatmaps.
    """

    holds: float
    median: float
    worst: float
    below_three: float
    relative_l2: float
    values: int


@dataclass(frozen=True, eq=False)
class Digits:
    """The number of correct digits of a heatmap, by number type; prints as a table.

    Parameters
    ----------
    correct : mapping of str to numpy.ndarray
        For each number type ("float32", ...) the correct decimal digits of every value, shaped like the input.
    summary : mapping of str to Summary
        For each number type the digits over all values.
    reference : str
        The arithmetic of the reference, such as "exact arithmetic".
    rule : str
        The name of the rule or composite.
    target : numpy.ndarray, shape (N,)
        The explained outputs.
    """

    correct: Mapping[str, np.ndarray]
    summary: Mapping[str, Summary]
    reference: str
    rule: str
    target: np.ndarray

    def __getitem__(self, number_type: str) -> np.ndarray:
        """Return the correct digits of one number type."""
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
    budget: float = EXACT_SECONDS,
) -> Digits:
    """Count the correct decimal digits of the heatmap of `x` in each of several number types.

    Parameters
    ----------
    net : Network
        The network; its head is left out, since explanations start at the logits.
    x : array, shape (N, ...)
        A batch.
    rule : str, Rule or Composite
        As in `explain`.
    dtypes : sequence of dtype, default (np.float32, np.float64, np.longdouble)
        NumPy's floating-point types or their names.
    target : int, array of int, or None
        As in `explain`; None explains the largest output according to the reference.
    reference : {"auto", "exact", "mpmath"}, default "auto"
        The arithmetic to compare with. "auto" tries exact arithmetic for at most 20 seconds of the budget
        (`AUTO_SECONDS`; for all of it if mpmath is not installed) and falls back to mpmath if that is not enough or
        if the network or the rule is irrational.
    precision : int, default 60
        Decimal digits of mpmath, and of BatchNorm's square root in exact arithmetic; at least 30.
    progress : bool or None
        Whether to draw a progress bar on stderr if the reference takes longer than two seconds; None draws it if
        stderr is a terminal.
    budget : float
        Seconds that the reference may take, checked before every layer: a layer that has begun is finished.

    Returns
    -------
    Digits
        The correct digits of every value, and their summary by number type.

    Raises
    ------
    BudgetError
        If the reference spends its budget; names the node that it had reached.
    DTypeError
        If a number type is not supported, or if `reference` is "exact" and a layer is irrational.
    RuleError
        If `reference` is "exact" and a rule is irrational.
    ParameterError
        If `reference`, `precision` or `budget` is invalid.
    LrprefError
        If mpmath is needed and not installed; and any error of `explain`.

    Examples
    --------
    >>> import lrpref
    >>> net = lrpref.Network.sequential(lrpref.Dense([[0.1, 0.7]]))
    >>> found = digits(net, np.array([[0.3, 0.9]]), "z-plus", dtypes=("float32", "float64"))
    >>> found.reference
    'exact arithmetic'
    >>> {name: bool(summary.worst > 6) for name, summary in found.summary.items()}
    {'float32': True, 'float64': True}
    """
    check_network(net)
    check_one_input(net, "lrpref.digits")
    check_choice(reference, "reference", REFERENCES)
    check_integer(precision, "precision, in decimal digits,", least=30, most=MOST_DIGITS)
    if progress is not None:
        check_flag(progress, "progress")
    if not (isinstance(dtypes, tuple | list) and dtypes):
        raise DTypeError(f"dtypes must be a sequence of floating-point types, got {shown(dtypes)}")
    total = Budget(budget, '; or use reference="mpmath", whose numbers do not grow' if reference == "exact" else "")
    kinds = {kind.type.__name__: kind for kind in map(_floating_type, dtypes)}
    net, x, composite = net.to("numpy").without_head(), to_numpy(as_floating(x, "the input")), resolve(rule)
    net.shapes(tuple(net.cast(x).shape))  # raises InputError or ShapeError before anything is computed
    rational = all(rule.exact for rule in composite.assign(net).values())
    explained = partial(_explained, net, x, target, composite, precision, progress)
    truth, label = _reference(reference, explained, rational, total)
    correct, summary, short = {}, {}, _shortened(to_numpy(truth.relevance))
    for name, kind in kinds.items():
        found = _trace_without_warnings(net.astype(kind), as_dtype(x, kind), truth.target, composite)
        correct[name], summary[name] = _measure(to_numpy(found.relevance), short)
    return Digits(correct, summary, label, composite.name, np.asarray(truth.target))


def _floating_type(kind: Any) -> np.dtype[Any]:
    """The NumPy number type; raises DTypeError if it is not one of those that lrpref computes with."""
    try:
        found: np.dtype[Any] = np.dtype("O" if kind is None else kind)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"{shown(kind)} is not a NumPy number type") from error
    if found == np.dtype(object) or not is_real_floating(np.empty(0, found)):
        raise DTypeError(f"expected float32, float64 or longdouble, got {found}")
    return found


# ---- the reference ---------------------------------------------------------------------------------------------


def _reference(
    reference: str, explained: Callable[[str, Budget], tuple[Trace, str]], rational: bool, total: Budget
) -> tuple[Trace, str]:
    """The explanation in the arithmetic of the reference, and the name of that arithmetic.

    `explained(way, budget)` computes it one way, "exact" or "mpmath"; `rational` is whether all rules are.
    """
    has_mpmath = importlib.util.find_spec("mpmath") is not None
    if reference == "exact":
        return explained("exact", total)
    if reference == "mpmath" or (has_mpmath and not rational):
        return explained("mpmath", total)
    try:
        return explained("exact", Budget(min(AUTO_SECONDS, total.seconds)) if has_mpmath else total)
    except LrprefError as error:
        if rational and not isinstance(error, BudgetError | DTypeError):  # a DTypeError: an irrational layer
            raise
        if not has_mpmath:
            raise type(error)(f"{error}. To compare with mpmath: pip install mpmath") from error
    return explained("mpmath", total)


def _explained(
    net: Network,
    x: np.ndarray,
    target: int | Array | None,
    composite: Composite,
    precision: int,
    progress: bool | None,
    way: str,
    budget: Budget,
) -> tuple[Trace, str]:
    """The explanation in exact arithmetic or in mpmath, and the name of that arithmetic."""
    label = "exact arithmetic" if way == "exact" else f"mpmath with {precision} digits"
    of_layer, of_array = _arithmetic(way, precision)
    with Bar(label, progress) as bar:
        watched = _WatchedBudget(budget, bar, steps=3 * len(net.nodes) + 1)  # each is converted, run and explained

        def convert(name: str, layer: Layer) -> Layer:
            watched.check(name, "conversion")
            return of_layer(name, layer)

        return _trace_without_warnings(convert_layers(net, convert), of_array(x), target, composite, watched), label


class _WatchedBudget(Budget):
    """A budget whose checks move a progress bar, one of `steps` each."""

    def __init__(self, budget: Budget, bar: Bar, steps: int) -> None:
        super().__init__(budget.seconds, budget.remedy)
        self.start, self.bar, self.share = budget.start, bar, 1 / steps

    def check(self, node: str, work: str) -> None:
        """Raise BudgetError if the time is spent; else move the bar."""
        super().check(node, work)
        self.bar.tick(self.share)


def _arithmetic(way: str, precision: int) -> tuple[Callable[[str, Layer], Layer], Callable[[Array], np.ndarray]]:
    """Two functions that convert a layer (given with its node's name) and an array to the reference's arithmetic."""
    if way == "exact":
        return lambda name, layer: exact_layer(name, layer, precision), exact
    zero = np.asarray([mpmath_numbers(precision).from_fraction(Fraction())], dtype=object)

    def convert(array: Array) -> np.ndarray:
        return to_numpy(converted(array, like=zero) if is_real_floating(array) else array)  # masks stay

    return lambda name, layer: layer.map_arrays(convert), convert


def mpmath_numbers(precision: int) -> Any:
    """Return mpmath's number type at its own precision, extended by the methods that layers call on its numbers.

    `lrpref.arithmetic.irrational` computes functions of Python objects by their methods of that name, of which mpmath's
    numbers have only `sqrt`; lrpref makes constants by `from_fraction`.
    """
    context = library("mpmath", "exact", "references beyond exact arithmetic").MPContext()  # mpmath.mp stays as it is
    context.dps = precision
    for name in ("exp", "expm1", "log", "log1p", "ncdf", "tanh"):
        setattr(context.mpf, name, _as_method(getattr(context, name)))
    context.mpf.from_fraction = staticmethod(context.convert)
    return context.mpf


def _as_method(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of one number as a method."""
    return lambda number: function(number)


def _trace_without_warnings(
    net: Network, x: Array, target: int | Array | None, composite: Composite, budget: Budget | None = None
) -> Trace:
    """A trace without warnings about unsound relevance, which is what is being measured."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RelevanceWarning)
        return trace(net, x, target, composite, budget=budget)


# ---- the measure -----------------------------------------------------------------------------------------------


def _shortened(truth: np.ndarray) -> np.ndarray:
    """The reference with its fractions cut to 400 bits: precise enough, and fast to compute with."""
    if not is_rational(truth):
        return truth
    short = np.empty(truth.shape, dtype=object)
    for index, value in np.ndenumerate(truth):
        top, bottom = int(value.numerator), int(value.denominator)
        shift = max(0, 400 - abs(top).bit_length() + bottom.bit_length())
        short[index] = Fraction((top << shift) // bottom, 1 << shift)
    return exact(short)


def _measure(R: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, Summary]:
    """The correct digits of `R` compared with `truth`, and their summary."""
    holds = (np.finfo(R.dtype).nmant + 1) * log10(2)
    sound = np.isfinite(R)
    error = abs(to_numpy(converted(np.where(sound, R, 0), like=truth)) - truth)
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
    """|error| / |truth|, Euclidean; each is scaled by its own largest value first."""
    worst, largest = (max(abs(values).flat, default=0) for values in (error, truth))
    if largest == 0 or worst == 0:
        return inf if worst != 0 else 0.0
    sizes = [np.linalg.norm((v / peak).astype(np.float64)) for v, peak in ((error, worst), (truth, largest))]
    try:
        with np.errstate(over="ignore"):
            return float(worst / largest) * float(sizes[0] / sizes[1])
    except OverflowError:  # the ratio of two fractions
        return inf
