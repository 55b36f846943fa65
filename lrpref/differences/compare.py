"""Two heatmaps of one input: how far they are apart, where, and which convention would explain it.

`compare` measures. `explain_difference` makes lrpref's own map first and then, where somebody else's differs, tries
the choices that implementations are known to make differently (`choices.CONVENTIONS`), singly and in pairs:

    equal to 1e-7 if the bias is left out of alpha-beta's pools

`crosscheck` does all of it for a PyTorch module. A match is a finding about two maps, not a proof about two programs:
on another input, or another network, two conventions may coincide that differ here. Use inputs of both signs, and a
network that has biases.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from math import ceil, isfinite, log10
from typing import Any

import numpy as np

from ..arithmetic import as_floating, check_finite, is_exact
from ..backend import Array, to_numpy
from ..composites import Composite, Place, resolve
from ..engine import Rule
from ..errors import ParameterError, RelevanceWarning, ShapeError
from ..layers import Softmax
from ..network import INPUT, Network
from ..rational.conversion import to_float
from ..scale.explanation import explain
from ..walk import DEFAULT_RULE
from .choices import CONVENTIONS, Case, Convention, Start

TOLERANCE = 1e-5
"""The relative L2 distance, in the worst sample, up to which two maps count as equal unless told otherwise."""

ROUNDING = 1e-13
"""Distances below this are rounding in float64."""

# ---- how far apart ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spot:
    """One place where two maps differ: its index, and the two values there."""

    index: tuple[int, ...]
    first: float
    second: float

    def __str__(self) -> str:
        return f"{self.index}: {self.first:.6g} and {self.second:.6g}"


@dataclass(frozen=True)
class Comparison:
    """How far two maps R1 and R2 are apart.

    relative_l2       |R1 - R2| / |R1|
    max_abs           max |R1 - R2|
    max_rel           max |R1 - R2| / max |R1|
    cosine            of the angle between them; NaN where one is zero
    rank_correlation  Spearman's, ties ranked alike; NaN where one is constant, None without scipy
    where             the places where they differ most, the largest difference first; none where they are equal
    samples           the same for every sample by itself

    A ratio to zero is 0 where the maps are equal, infinite where they are not.
    """

    relative_l2: float
    max_abs: float
    max_rel: float
    cosine: float
    rank_correlation: float | None
    where: tuple[Spot, ...]
    samples: tuple[Comparison, ...] = ()

    @property
    def worst(self) -> float:
        """relative_l2 of the sample that differs most: no batch can hide it."""
        return max((sample.relative_l2 for sample in self.samples), default=self.relative_l2)

    def table(self, first: str = "R1", second: str = "R2") -> str:
        """The numbers as text, under these names for the two maps."""
        ranks = "needs scipy" if self.rank_correlation is None else f"{self.rank_correlation:.4f}"
        lines = [
            f"relative L2         {self.relative_l2:.3g}",
            f"largest difference  {self.max_abs:.3g} ({self.max_rel:.3g} of the largest relevance)",
            f"cosine              {self.cosine:.6f}",
            f"rank correlation    {ranks}",
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
    """How far `R2` is from `R1`, over all of it and per sample: see `Comparison`.

    R1, R2  arrays of one shape (N, ...), of any backend and number type; `R1` is what ratios refer to
    k       how many places to name

    Raises ShapeError where the shapes differ, InputError for NaN or infinities.

    >>> print(compare(np.array([[3.0, 4.0, 0.0]]), np.array([[3.0, 4.0, 0.5]])))
    relative L2         0.1
    largest difference  0.5 (0.125 of the largest relevance)
    cosine              0.995037
    rank correlation    1.0000
    they differ most at          R1          R2  difference
    (0, 2)                        0         0.5        -0.5
    """
    first, second = _as_map(R1, "the first map"), _as_map(R2, "the second map")
    if first.shape != second.shape:
        raise ShapeError(f"the maps have shapes {first.shape} and {second.shape}")
    samples = tuple(_measure(a, b, k) for a, b in zip(first, second, strict=True)) if first.ndim > 1 else ()
    return _measure(first, second, k, samples)


def _as_map(given: Any, what: str) -> np.ndarray:
    """A finite map in float64."""
    R = to_float(as_floating(to_numpy(given) if hasattr(given, "dtype") else np.asarray(given), what))
    if R.ndim == 0:
        raise ShapeError(f"{what} is one number; a map is an array (N, ...)")
    check_finite(R, what)
    return R


def _measure(a: np.ndarray, b: np.ndarray, k: int, samples: tuple[Comparison, ...] = ()) -> Comparison:
    """The numbers for two arrays."""
    peak = max(_peak(a), _peak(b)) or 1.0
    u, v = a / peak, b / peak  # so that no square overflows or vanishes
    difference = abs(u - v)
    max_abs = _peak(difference)
    sizes = float(np.linalg.norm(u)), float(np.linalg.norm(v))
    cosine = float(np.sum(u * v)) / (sizes[0] * sizes[1]) if min(sizes) > 0 else float("nan")
    return Comparison(
        relative_l2=_ratio(float(np.linalg.norm(difference)), sizes[0]),
        max_abs=max_abs * peak,
        max_rel=_ratio(max_abs, _peak(u)),
        cosine=min(1.0, max(-1.0, cosine)) if isfinite(cosine) else cosine,
        rank_correlation=_rank_correlation(u, v),
        where=_largest(a, b, difference, k),
        samples=samples,
    )


def _peak(x: np.ndarray) -> float:
    return float(abs(x).max(initial=0.0))


def _ratio(part: float, whole: float) -> float:
    """part / whole; to nothing, 0 for nothing and infinity for anything else."""
    return part / whole if whole > 0 else 0.0 if part == 0 else float("inf")


def _largest(a: np.ndarray, b: np.ndarray, difference: np.ndarray, k: int) -> tuple[Spot, ...]:
    """The k places of the largest differences that are none zero, in reading order where they are equal."""
    flat = difference.reshape(-1)
    order = [int(i) for i in np.argsort(-flat, kind="stable")[:k] if flat[i] > 0]
    places = [tuple(int(n) for n in np.unravel_index(i, difference.shape)) for i in order]
    return tuple(Spot(place, float(a[place]), float(b[place])) for place in places)


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Spearman's rank correlation; NaN where a map is constant, None where scipy is not installed."""
    try:
        from scipy.stats import spearmanr
    except ImportError:
        return None
    if a.size < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a.reshape(-1), b.reshape(-1)).statistic)


# ---- why -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Match:
    """Conventions under which lrpref's map comes to lie at `distance` (relative L2, worst sample) of the other."""

    conventions: tuple[Convention, ...]
    distance: float

    @property
    def names(self) -> tuple[str, ...]:
        """The conventions' names."""
        return tuple(convention.name for convention in self.conventions)

    @property
    def words(self) -> str:
        """The conventions as a clause, and who has them."""
        clauses = " and ".join(convention.words for convention in self.conventions)
        return f"{clauses}  [{'; '.join(convention.source for convention in self.conventions)}]"

    def __str__(self) -> str:
        return f"{_equal(self.distance)} if {self.words}"


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was found about somebody else's map; prints as sentences.

    relevance   lrpref's own map, in float64
    comparison  the two maps as they are; None where their shapes differ
    distance    relative L2 in the worst sample; infinite where the shapes differ
    tolerance   up to which distance they count as equal
    matches     what makes them equal, the nearest first; a map that is equal as it is may have nearer ones
    closest     the nearest of all that was tried, if it is nearer than the map as it is
    tried       how many conventions, and how many pairs of them, gave another map
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
        """Whether the maps are equal as they are."""
        return self.distance <= self.tolerance

    @property
    def explained(self) -> bool:
        """Whether they are equal, or would be under some convention."""
        return self.equal or bool(self.matches)

    def __str__(self) -> str:
        lines = ["the shapes differ"] if self.comparison is None else [self.comparison.table("other", "lrpref")]
        if self.equal:
            lines.append(f"{_equal(self.distance)} as it is")
        if len(self.matches) > 1:
            lines.append("on this network and input, several conventions come to the same:")
        lines += [str(match) for match in self.matches]
        if not self.explained:
            singly, paired = self.tried
            lines.append(
                f"no convention known here explains the difference ({singly} tried, and {paired} pairs of them)"
            )
            if self.closest is not None:
                lines.append(f"the closest: relative L2 {self.closest.distance:.3g} if {self.closest.words}")
        return "\n".join(lines)


def _equal(distance: float) -> str:
    """A distance in words, to the next power of ten above."""
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
    """Compare somebody else's map of `x` with lrpref's, and find the convention that explains the difference.

    net, x, target, rule, seed   as `lrpref.explain` takes them: what the other map is thought to be
    R_other      the other map, shaped like `x`; or with its channels summed, or last
    tolerance    up to which distance (relative L2, in the worst sample) maps count as equal
    pairs        whether two conventions at once are tried where none explains the difference alone
    conventions  what is tried, in the order in which two are applied

    lrpref's side is computed in float64 on NumPy (in exact arithmetic if the network is), so that the distance is the
    other side's rounding.
    Raises what `explain` raises, ShapeError for a map of no such shape, InputError for NaN in it, ParameterError for
    a negative tolerance.

    >>> from lrpref import Dense
    >>> net = Network.sequential(Dense([[1.0, 2.0]], [3.0]))
    >>> found = explain_difference(net, [[1.0, -1.0]], [[1 / 14, 4 / 14]], rule="w-square", seed="one")
    >>> found.equal, found.explained, found.matches[0].words
    (False, True, 'w-square has b^2 in its denominator  [zennit]')
    """
    if not tolerance >= 0:
        raise ParameterError(f"the tolerance must be >= 0, got {tolerance}")
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
    """`explain_difference` for a PyTorch module, its input and an attribution of any library, in one call.

    module          a `torch.nn.Module`, taken over by `lrpref.from_torch`
    x, attribution  tensors, or arrays
    the rest        as for `explain_difference`

    Raises ConversionError for a module that cannot be taken over, LrprefError where torch is not installed, and what
    `explain_difference` raises.
    """
    from ..importers.torch import from_torch
    from ..weights.state_dict import as_array

    net = from_torch(module, x)
    where = as_array(target) if hasattr(target, "detach") else target
    return explain_difference(net, as_array(x), as_array(attribution), rule, where, seed, tolerance, pairs)


def _nearest(found: Sequence[Match], distance: float, tolerance: float) -> tuple[Match, ...]:
    """The matches within the tolerance that none beats by a digit, and that beat the map as it is by one."""
    best = max(found[0].distance, ROUNDING) if found else 0.0
    return tuple(m for m in found if m.distance <= min(tolerance, 10 * best) and m.distance <= distance / 10)


def _pairs(bench: _Bench, conventions: Sequence[Convention]) -> Iterator[tuple[Convention, ...]]:
    """Two of different groups, in their order, where there is more to them than to either."""
    awake = {c.name for c in conventions if bench.matters(c)}
    worth = [c for c in conventions if c.name in awake or bench.sleeps(c)]
    for two in combinations(worth, 2):
        apart = two[0].group != two[1].group and awake.intersection(c.name for c in two)
        if apart and all(bench.changes(two, (one,)) for one in two):
            yield two


def _fit(R: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """A map in another shape, where that differs by axes of length 1 only; else None."""
    alike = [n for n in R.shape if n != 1] == [n for n in shape if n != 1]
    return R.reshape(shape) if alike else None


def _distance(theirs: np.ndarray, R: np.ndarray | None) -> float:
    """relative L2 in the worst sample; infinite for a map that is none, does not fit or is not finite."""
    fitting = None if R is None else _fit(R, theirs.shape)
    if fitting is None or not np.all(np.isfinite(fitting)):
        return float("inf")
    samples = [(a, a - b) for a, b in zip(theirs, fitting, strict=True)]
    return max((_ratio(_norm(difference), _norm(a)) for a, difference in samples), default=0.0)


def _norm(x: np.ndarray) -> float:
    """The Euclidean norm, by way of the largest magnitude, so that no square overflows or vanishes."""
    peak = _peak(x)
    return peak * float(np.linalg.norm(x / peak)) if 0 < peak < float("inf") else peak


@dataclass(frozen=True, eq=False)
class _Setting:
    """All that an explanation of one input depends on."""

    net: Network
    rows: tuple[tuple[Place, Rule], ...]
    target: Any
    seed: Any

    @property
    def key(self) -> tuple[Any, ...]:
        """The same for settings that give the same map; settings must be kept, it speaks of addresses."""
        layers = tuple(id(layer) for _, layer, _ in self.net.nodes)
        return layers, tuple(_key(rule) for _, rule in self.rows), _key(self.target), _key(self.seed)


def _key(value: Any) -> Any:
    """A rule by its type and parameters, numbers and text by their value, anything else by its address."""
    if isinstance(value, Rule):
        return type(value), tuple(_key(getattr(value, field.name)) for field in fields(value))
    return value if isinstance(value, str | int | float | None) else id(value)


class _Bench:
    """One explanation, ready to be made under any conventions."""

    def __init__(self, net: Network, x: Array, rule: Any, target: Any, seed: Any) -> None:
        net = net.to("numpy")
        exact = net.dtype == np.dtype(object) or is_exact(x)
        net = net if exact else net.astype(np.float64)
        x = net.cast(to_numpy(x) if hasattr(x, "dtype") else x)
        self.x = x if exact else x.astype(np.float64)
        self._rule, self._target, self._seed = resolve(rule), target, seed
        self._nets: dict[tuple[str, ...], Network] = {(): net}
        self._settings: dict[tuple[str, ...], _Setting] = {}
        self._logits: dict[int, np.ndarray] = {}
        self._maps: dict[tuple[Any, ...], np.ndarray] = {}
        self.plain = self._explain(self._setting(()))

    def map(self, conventions: tuple[Convention, ...]) -> np.ndarray | None:
        """The map under these conventions; None where they cannot be applied here."""
        made = tuple(c for c in conventions if c.show is None)
        R = self._attempt(made)
        for convention in conventions:
            if R is not None and convention.show is not None:
                with np.errstate(all="ignore"):
                    R = convention.show(R)
        return R

    def matters(self, convention: Convention) -> bool:
        """Whether the map under this convention is another one, by more than rounding."""
        R = self.map((convention,))
        return R is not None and (R.shape != self.plain.shape or not _distance(self.plain, R) <= ROUNDING)

    def sleeps(self, convention: Convention) -> bool:
        """Whether this convention changes nothing here, but may once another has been applied."""
        return not self.matters(convention) and (convention.show is not None or not self.changes((convention,), ()))

    def changes(self, conventions: tuple[Convention, ...], others: tuple[Convention, ...]) -> bool:
        """Whether there is anything in which an explanation under `conventions` differs from one under `others`."""
        if any(c.show is not None for c in conventions):
            return True
        try:
            return self._setting(conventions).key != self._setting(others).key
        except Exception:
            return False

    def _attempt(self, conventions: tuple[Convention, ...]) -> np.ndarray | None:
        """The map, without warnings; None where it cannot be made. Maps under one convention are kept.

        The plain map was made, so that whatever is raised here is the convention's: a rule of one's own may raise
        anything where it was not meant to be put.
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
        """The network, rules and start under these conventions, each applied to what those before it left."""
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
        """The network under these conventions; each is made once, so that its layers are known again."""
        names = tuple(c.name for c in conventions)
        if names not in self._nets:
            *before, last = conventions
            assert last.network is not None
            self._nets[names] = last.network(self._net(tuple(before)))
        return self._nets[names]

    def _start(self, net: Network, conventions: tuple[Convention, ...]) -> tuple[Any, Any]:
        """Target and seed."""
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
    """The composite that gives every linear layer of one network the rule in its row."""
    rules = {place.name: rule for place, rule in rows}
    names = {id(rule): {name for name in rules if rules[name] is rule} for rule in rules.values()}
    pairs = [(lambda place, held=held: place.name in held, next(rules[n] for n in held)) for held in names.values()]
    return Composite(pairs)


def _logits(net: Network, x: np.ndarray) -> np.ndarray:
    """The output, before a final Softmax."""
    *_, (name, layer, inputs) = net.nodes
    found: np.ndarray = net.activations(x)[inputs[0] if isinstance(layer, Softmax) and inputs[0] != INPUT else name]
    return found
