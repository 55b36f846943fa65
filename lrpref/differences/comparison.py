"""Compare two heatmaps of one input: how much and where they differ, and which convention explains the difference.

`compare` measures the difference. `explain_difference` computes lrpref's own map first. If the other map differs, it
applies the choices that implementations are known to make differently (`choices.CONVENTIONS`), singly and in pairs:

    equal to 1e-7 if the bias takes no part in alpha-beta

`crosscheck` does the same for a PyTorch module. A match is a finding about two maps, not a proof about two programs:
conventions that give the same map for one network and input may differ for others. Use inputs of both signs and a
network with biases.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from math import ceil, isfinite, log10
from typing import Any

import numpy as np

from ..arithmetic import as_floating, check_finite, check_flag, check_integer, check_number, is_exact
from ..backend import Array, to_numpy
from ..composites import Composite, Place, resolve
from ..engine import Rule
from ..errors import ParameterError, RelevanceWarning, ShapeError, shown
from ..evaluation import maps
from ..network import Network, check_network, check_one_input
from ..rational.conversion import to_float
from ..scale.explanation import explain
from ..walk import DEFAULT_RULE
from .choices import CONVENTIONS, Case, Convention, Start

TOLERANCE = 1e-5
"""The default tolerance: the relative L2 distance, in the worst sample, up to which two maps count as equal."""

ROUNDING = 1e-13
"""Distances up to this value are float64 rounding."""

# ---- the difference --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spot:
    """An index at which two maps differ, and their values there."""

    index: tuple[int, ...]
    first: float
    second: float


@dataclass(frozen=True)
class Comparison:
    """The difference between two maps R1 and R2; prints as a table.

    A ratio to zero is 0 for equal maps, and infinite otherwise.

    Parameters
    ----------
    relative_l2 : float
        |R1 - R2| / |R1|, Euclidean norms.
    max_abs : float
        max |R1 - R2|.
    max_rel : float
        max |R1 - R2| / max |R1|.
    cosine : float
        The cosine of the angle between the maps; NaN if one of them is zero.
    rank_correlation : float
        Spearman's, ties with their mean rank; NaN if one map is constant.
    where : tuple of Spot
        The indices with the largest differences, the largest first; empty for equal maps.
    samples : tuple of Comparison
        The comparison of each sample; empty for maps with a single axis.
    """

    relative_l2: float
    max_abs: float
    max_rel: float
    cosine: float
    rank_correlation: float
    where: tuple[Spot, ...]
    samples: tuple[Comparison, ...] = ()

    @property
    def worst(self) -> float:
        """The largest `relative_l2` of a sample, which no other sample can hide."""
        return max((sample.relative_l2 for sample in self.samples), default=self.relative_l2)

    def table(self, first: str = "R1", second: str = "R2") -> str:
        """Return the numbers as text, with these names for the two maps."""
        lines = [
            f"relative L2         {self.relative_l2:.3g}",
            f"largest difference  {self.max_abs:.3g} ({self.max_rel:.3g} of the largest relevance)",
            f"cosine              {self.cosine:.6f}",
            f"rank correlation    {self.rank_correlation:.4f}",
        ]
        if len(self.samples) > 1:
            worst = max(range(len(self.samples)), key=lambda n: self.samples[n].relative_l2)
            lines.append(f"worst sample        {worst} of {len(self.samples)}, relative L2 {self.worst:.3g}")
        if self.where:
            width = max(len("they differ most at"), *(len(str(spot.index)) for spot in self.where))
            lines.append(f"{'they differ most at':{width}}{first:>12}{second:>12}{'difference':>12}")
            for spot in self.where:
                numbers = f"{spot.first:12.5g}{spot.second:12.5g}{spot.first - spot.second:12.2g}"
                lines.append(f"{spot.index!s:{width}}{numbers}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()


def compare(R1: Array, R2: Array, k: int = 5) -> Comparison:
    """Measure the difference between two maps, for the whole batch and for each sample.

    Parameters
    ----------
    R1, R2 : array, shape (N, ...)
        The maps, of any backend and number type. Ratios refer to `R1`.
    k : int, default 5
        The number of indices to list where the maps differ most.

    Returns
    -------
    Comparison
        The measures; print it for a table.

    Raises
    ------
    ShapeError
        If the shapes differ, or a map is a single number.
    InputError
        If a map holds NaN or infinities.

    Examples
    --------
    >>> print(compare(np.array([[3.0, 4.0, 0.0]]), np.array([[3.0, 4.0, 0.5]])))
    relative L2         0.1
    largest difference  0.5 (0.125 of the largest relevance)
    cosine              0.995037
    rank correlation    1.0000
    they differ most at          R1          R2  difference
    (0, 2)                        0         0.5        -0.5
    """
    check_integer(k, "k", least=0)
    first, second = _as_map(R1, "the first map"), _as_map(R2, "the second map")
    if first.shape != second.shape:
        raise ShapeError(f"the maps have shapes {first.shape} and {second.shape}")
    samples = tuple(_measure(a, b, k) for a, b in zip(first, second, strict=True)) if first.ndim > 1 else ()
    return _measure(first, second, k, samples)


def _as_map(given: Any, what: str) -> np.ndarray:
    """Return a map in float64; raises ShapeError or InputError unless it is a finite array."""
    R = to_float(as_floating(to_numpy(given), what))
    if R.ndim == 0:
        raise ShapeError(f"{what} is one number; expected an array of shape (N, ...)")
    check_finite(R, what)
    return R


def _measure(a: np.ndarray, b: np.ndarray, k: int, samples: tuple[Comparison, ...] = ()) -> Comparison:
    """The measures of two arrays."""
    peak = max(_peak(a), _peak(b)) or 1.0
    u, v = a / peak, b / peak  # so that no difference overflows
    difference = abs(u - v)
    max_abs = _peak(difference)
    return Comparison(
        relative_l2=_of_all(maps.relative_l2, b, a),
        max_abs=max_abs * peak,
        max_rel=_ratio(max_abs, _peak(u)),
        cosine=_of_all(maps.cosine, a, b) if a.any() and b.any() else float("nan"),
        rank_correlation=_of_all(maps.spearman, a, b),
        where=_largest(a, b, difference, k),
        samples=samples,
    )


def _of_all(measure: Callable[[Array, Array], np.ndarray], a: np.ndarray, b: np.ndarray) -> float:
    """A measure of two arrays as a whole, each taken as one sample."""
    return float(measure(a[None], b[None])[0])


def _peak(x: np.ndarray) -> float:
    return float(abs(x).max(initial=0.0))


def _ratio(part: float, whole: float) -> float:
    """part / whole; with whole = 0, 0 for part = 0 and infinity otherwise."""
    return part / whole if whole > 0 else 0.0 if part == 0 else float("inf")


def _largest(a: np.ndarray, b: np.ndarray, difference: np.ndarray, k: int) -> tuple[Spot, ...]:
    """The k largest differences above zero; equal ones in reading order."""
    flat = difference.reshape(-1)
    order = [int(i) for i in np.argsort(-flat, kind="stable")[:k] if flat[i] > 0]
    places = [tuple(int(n) for n in np.unravel_index(i, difference.shape)) for i in order]
    return tuple(Spot(place, float(a[place]), float(b[place])) for place in places)


# ---- the explanation -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Match:
    """Conventions, and the distance of lrpref's map under them from the other map (relative L2, worst sample)."""

    conventions: tuple[Convention, ...]
    distance: float

    @property
    def names(self) -> tuple[str, ...]:
        """The conventions' names."""
        return tuple(convention.name for convention in self.conventions)

    @property
    def words(self) -> str:
        """The conventions as a clause, followed by their sources."""
        clauses = " and ".join(convention.words for convention in self.conventions)
        return f"{clauses}  [{'; '.join(convention.source for convention in self.conventions)}]"

    def __str__(self) -> str:
        return f"{_equal(self.distance)} if {self.words}"


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The findings of `explain_difference`; prints as sentences.

    Parameters
    ----------
    relevance : array
        lrpref's own map, float64.
    comparison : Comparison or None
        The comparison of the unchanged maps; None if their shapes differ.
    distance : float
        Relative L2 of the unchanged maps in the worst sample; infinite if their shapes differ.
    tolerance : float
        The distance up to which maps count as equal.
    matches : tuple of Match
        The conventions that make the maps equal, the nearest first. Maps that are equal without any convention may have
        matches that are nearer still.
    closest : Match or None
        The nearest of all conventions and pairs tried, if it is nearer than the unchanged map.
    tried : tuple of int
        The number of conventions, and of pairs of them, that changed the map.
    """

    relevance: np.ndarray
    comparison: Comparison | None
    distance: float
    tolerance: float
    matches: tuple[Match, ...]
    closest: Match | None
    tried: tuple[int, int]

    @property
    def equal(self) -> bool:
        """Whether the maps are equal without any convention."""
        return self.distance <= self.tolerance

    @property
    def explained(self) -> bool:
        """Whether the maps are equal, or become so under a convention."""
        return self.equal or bool(self.matches)

    def __str__(self) -> str:
        lines = ["the shapes differ"] if self.comparison is None else [self.comparison.table("other", "lrpref")]
        if self.equal:
            lines.append(f"{_equal(self.distance)} as it is")
        if len(self.matches) > 1:
            lines.append("on this network and input, several conventions give the same map:")
        lines += [str(match) for match in self.matches]
        if not self.explained:
            singly, paired = self.tried
            lines.append(
                f"no known convention explains the difference (tried: {singly} conventions, {paired} pairs of them)"
            )
            if self.closest is not None:
                lines.append(f"the closest: relative L2 {self.closest.distance:.3g} if {self.closest.words}")
        return "\n".join(lines)


def _equal(distance: float) -> str:
    """A distance in words, rounded up to a power of ten."""
    return f"equal to 1e{ceil(log10(distance))}" if distance > 0 else "exactly equal"


def explain_difference(
    net: Network,
    x: Array,
    R_other: Array,
    rule: str | Rule | Composite = DEFAULT_RULE,
    target: int | Array | None = None,
    seed: str | float | Array = "logit",
    tolerance: float = TOLERANCE,
    pairs: bool = True,
    conventions: Sequence[Convention] = CONVENTIONS,
) -> Diagnosis:
    """Compare another implementation's map with lrpref's, and find the convention that explains the difference.

    lrpref's map is computed in float64 on NumPy (in exact arithmetic for an exact network), so that the remaining
    distance is the rounding of the other implementation.

    Parameters
    ----------
    net : Network
        The network.
    x : array, shape (N, ...)
        The input.
    R_other : array
        The other map: shaped like `x`, or with its channels summed or last.
    rule, target, seed
        The presumed settings of the other map, as `lrpref.explain` takes them.
    tolerance : float
        The distance (relative L2, in the worst sample) up to which maps count as equal.
    pairs : bool, default True
        Whether to try two conventions together if no single one explains the difference.
    conventions : sequence of Convention
        The conventions to try, in the order in which two of them are applied.

    Returns
    -------
    Diagnosis
        The findings; print it for a report.

    Raises
    ------
    ShapeError
        If the shape of the other map does not fit `x` under any convention.
    InputError
        If a map or the input holds NaN or infinities.
    ParameterError
        If the tolerance is negative or NaN.
    LrprefError
        Whatever `explain` raises for these settings.

    Examples
    --------
    >>> from lrpref import Dense
    >>> net = Network.sequential(Dense([[1.0, 2.0]], [3.0]))
    >>> found = explain_difference(net, [[1.0, -1.0]], [[1 / 14, 4 / 14]], rule="w-square", seed="one")
    >>> found.equal, found.explained, found.matches[0].words
    (False, True, 'w-square has b^2 in its denominator  [zennit]')
    """
    check_number(tolerance, "the tolerance", least=0)
    check_flag(pairs, "pairs")
    check_network(net)
    check_one_input(net, "explain_difference")
    if not (isinstance(conventions, tuple | list) and all(isinstance(c, Convention) for c in conventions)):
        raise ParameterError(f"conventions must be a sequence of Convention, got {shown(conventions)}")
    bench = _Bench(net, x, rule, target, seed)
    ours, theirs = bench.plain, _as_map(R_other, "the other map")
    fitting = _fit(ours, theirs.shape)
    comparison = None if fitting is None else compare(theirs, fitting)
    distance = float("inf") if comparison is None else comparison.worst
    singles = [] if distance <= ROUNDING else [c for c in conventions if bench.matters(c)]
    found = [Match((c,), _distance(theirs, bench.map((c,)))) for c in singles]
    if comparison is None and not any(isfinite(match.distance) for match in found):
        raise ShapeError(f"the other map has shape {theirs.shape}, which fits none of x {ours.shape}")
    paired = []
    if pairs and min([distance, *(match.distance for match in found)]) > tolerance:
        paired = [Match(two, _distance(theirs, bench.map(two))) for two in _pairs(bench, conventions)]
    found = sorted([*found, *paired], key=lambda match: match.distance)
    closest = found[0] if found and found[0].distance < distance else None
    tried = len(singles), len(paired)
    return Diagnosis(ours, comparison, distance, tolerance, _nearest(found, distance, tolerance), closest, tried)


def crosscheck(
    module: Any,
    x: Any,
    attribution: Any,
    rule: str | Rule | Composite = DEFAULT_RULE,
    target: int | Array | None = None,
    seed: str | float | Array = "logit",
    tolerance: float = TOLERANCE,
    pairs: bool = True,
) -> Diagnosis:
    """Apply `explain_difference` to a PyTorch module, its input and an attribution of any library.

    Parameters
    ----------
    module : torch.nn.Module
        The model, converted by `lrpref.from_torch`.
    x : tensor or array, shape (N, ...)
        The input.
    attribution : tensor or array
        The other map.
    rule, target, seed, tolerance, pairs
        As for `explain_difference`; `target` may be a tensor.

    Returns
    -------
    Diagnosis
        The findings; print it for a report.

    Raises
    ------
    ConversionError
        If lrpref cannot represent the module.
    LrprefError
        If torch is not installed, or `explain_difference` raises.
    """
    from ..importers.torch import from_torch
    from ..weights.state_dict import as_array

    net = from_torch(module, x)
    target = as_array(target) if hasattr(target, "detach") else target
    return explain_difference(net, as_array(x), as_array(attribution), rule, target, seed, tolerance, pairs)


def _nearest(found: Sequence[Match], distance: float, tolerance: float) -> tuple[Match, ...]:
    """The matches within the tolerance, at most a digit behind the best and at least a digit ahead of no change."""
    best = max(found[0].distance, ROUNDING) if found else 0.0
    return tuple(m for m in found if m.distance <= min(tolerance, 10 * best) and m.distance <= distance / 10)


def _pairs(bench: _Bench, conventions: Sequence[Convention]) -> Iterator[tuple[Convention, ...]]:
    """Pairs from different groups, in order, whose explanation differs from that under either convention alone."""
    active = {c.name for c in conventions if bench.matters(c)}
    candidates = [c for c in conventions if c.name in active or bench.is_dormant(c)]
    for two in combinations(candidates, 2):
        combine = two[0].group != two[1].group and active.intersection(c.name for c in two)
        if combine and all(bench.changes(two, (one,)) for one in two):
            yield two


def _fit(R: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """The map in another shape if that differs only by axes of length 1, else None."""
    alike = [n for n in R.shape if n != 1] == [n for n in shape if n != 1]
    return R.reshape(shape) if alike else None


def _distance(theirs: np.ndarray, R: np.ndarray | None) -> float:
    """Relative L2 in the worst sample; infinite if R is None, does not fit or is not finite."""
    fitting = None if R is None else _fit(R, theirs.shape)
    if fitting is None or not np.all(np.isfinite(fitting)):
        return float("inf")
    return max(maps.relative_l2(fitting, theirs).tolist(), default=0.0)


@dataclass(frozen=True, eq=False)
class _Setting:
    """Everything that the explanation of one input depends on."""

    net: Network
    rows: tuple[tuple[Place, Rule], ...]
    target: Any
    seed: Any

    @property
    def key(self) -> tuple[Any, ...]:
        """A key that is equal for equal settings. It contains addresses: keep the settings alive."""
        layers = tuple(id(layer) for _, layer, _ in self.net.nodes)
        return layers, tuple(_key(rule) for _, rule in self.rows), _key(self.target), _key(self.seed)


def _key(value: Any) -> Any:
    """The key of a value: type and parameters of a rule, a number or text itself, else the address."""
    if isinstance(value, Rule):
        return type(value), tuple(_key(getattr(value, field.name)) for field in fields(value))
    return value if isinstance(value, str | int | float | None) else id(value)


class _Bench:
    """One explanation, to be computed under any conventions."""

    def __init__(self, net: Network, x: Array, rule: Any, target: Any, seed: Any) -> None:
        net = net.to("numpy")
        exact = net.dtype == np.dtype(object) or is_exact(x)
        net = net if exact else net.astype(np.float64)
        cast = to_numpy(net.cast(to_numpy(x) if hasattr(x, "dtype") else x))
        self.x = cast if exact else cast.astype(np.float64)
        self._rule, self._target, self._seed = resolve(rule), target, seed
        self._nets: dict[tuple[str, ...], Network] = {(): net}
        self._settings: dict[tuple[str, ...], _Setting] = {}
        self._logits: dict[int, np.ndarray] = {}
        self._maps: dict[tuple[Any, ...], np.ndarray] = {}
        self.plain = self._explain(self._setting(()))

    def map(self, conventions: tuple[Convention, ...]) -> np.ndarray | None:
        """The map under these conventions; None if they cannot be applied."""
        R = self._attempt(tuple(c for c in conventions if c.show is None))
        for convention in conventions:
            if R is not None and convention.show is not None:
                with np.errstate(all="ignore"):
                    R = convention.show(R)
        return R

    def matters(self, convention: Convention) -> bool:
        """Whether this convention changes the map by more than rounding."""
        R = self.map((convention,))
        return R is not None and (R.shape != self.plain.shape or not _distance(self.plain, R) <= ROUNDING)

    def is_dormant(self, convention: Convention) -> bool:
        """Whether this convention changes nothing by itself, but may do so after another one."""
        return not self.matters(convention) and (convention.show is not None or not self.changes((convention,), ()))

    def changes(self, conventions: tuple[Convention, ...], others: tuple[Convention, ...]) -> bool:
        """Whether the settings under `conventions` differ from those under `others`."""
        if any(c.show is not None for c in conventions):
            return True
        try:
            return self._setting(conventions).key != self._setting(others).key
        except Exception:
            return False

    def _attempt(self, conventions: tuple[Convention, ...]) -> np.ndarray | None:
        """The map, without warnings; None if it cannot be computed. Maps under one convention are cached.

        The unchanged map exists, so that any exception is due to the convention: a user's rule may raise anything at
        a layer that it was not meant for.
        """
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RelevanceWarning)
            try:
                setting = self._setting(conventions)
                if setting.key in self._maps:
                    return self._maps[setting.key]
                R = self._explain(setting)
            except Exception:
                return None
        if len(conventions) < 2:
            self._maps[setting.key] = R
        return R

    def _explain(self, setting: _Setting) -> np.ndarray:
        rule = _by_name(setting.rows)
        return to_float(explain(setting.net, self.x, setting.target, rule, setting.seed))

    def _setting(self, conventions: tuple[Convention, ...]) -> _Setting:
        """The network, rules and start under these conventions, each applied to the result of those before it."""
        names = tuple(c.name for c in conventions)
        if names not in self._settings:
            net = self._net(tuple(c for c in conventions if c.network is not None))
            rows = tuple((place, rule) for place, rule, _ in self._rule.assign(net).rows)
            for convention in conventions:
                if convention.rule is not None:
                    case = Case(self.x, rows)
                    rows = tuple((place, convention.rule(place, rule, case)) for place, rule in rows)
            self._settings[names] = _Setting(net, rows, *self._start(net, conventions))
        return self._settings[names]

    def _net(self, conventions: tuple[Convention, ...]) -> Network:
        """The network under these conventions, built once, so that its layers keep their identity."""
        names = tuple(c.name for c in conventions)
        if names not in self._nets:
            *before, last = conventions
            assert last.network is not None
            self._nets[names] = last.network(self._net(tuple(before)))
        return self._nets[names]

    def _start(self, net: Network, conventions: tuple[Convention, ...]) -> tuple[Any, Any]:
        """Target and seed under these conventions."""
        changes = [c.start for c in conventions if c.start is not None]
        if not changes:
            return self._target, self._seed
        if id(net) not in self._logits:
            self._logits[id(net)] = _logits(net, self.x)
        start = Start(self._target, self._seed, self._logits[id(net)])
        for change in changes:
            start = change(start)
        return start.target, start.seed


def _by_name(rows: Sequence[tuple[Place, Rule]]) -> Composite:
    """The composite that assigns to every linear layer of one network the rule in its row."""
    rules = {place.name: rule for place, rule in rows}
    names = {id(rule): {name for name in rules if rules[name] is rule} for rule in rules.values()}
    pairs = [(lambda place, held=held: place.name in held, next(rules[n] for n in held)) for held in names.values()]
    return Composite(pairs)


def _logits(net: Network, x: np.ndarray) -> np.ndarray:
    """The logits."""
    return to_numpy(net.without_head().forward(x))
