"""The search for groups of conventions that explain a difference together.

To try all pairs costs as many explanations as there are pairs, and finds no group of three. This search needs fewer,
by two observations:

1. Conventions of presentation (channels, sign, scale, layout) change a finished map, which is cheap. All chains of up
   to three of them are therefore tried on every map that has been computed.
2. A convention that belongs to the answer usually brings the map closer in *shape*, even while another one, such as
   the seed, leaves its size wrong. The distance in shape is

       d = mean over samples of  min_c |R1 - c R2| / |R1|

   and the least value over all presentations counts.

It is a beam search: the groups of k conventions that are nearest in shape, `BEAM` of them, are extended by every
convention of another kind, which makes groups of k + 1. It ends once the extensions of a group include one that
explains the difference, with groups of `MOST` conventions, or when a round brings no group clearly closer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, log10

import numpy as np

from .bench import Bench
from .choices import Convention
from .comparison import fit, worst_distance

BEAM = 8
"""How many groups of one size are extended."""

MOST = 4
"""The most conventions of a group, besides those of presentation."""

CHAIN = 3
"""The most conventions of presentation in a group."""

CLOSER = 0.7
"""A round goes on if the nearest distance in shape is at most this fraction of the one before."""

Group = tuple[Convention, ...]


@dataclass(frozen=True)
class Match:
    """Conventions, and the distance of lrpref's map under them from the other map (relative L2, worst sample)."""

    conventions: Group
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
        return f"{equal(self.distance)} if {self.words}"


def equal(distance: float) -> str:
    """Return a distance in words, rounded up to a power of ten.

    Examples
    --------
    >>> equal(3e-8), equal(0.0)
    ('equal to 1e-7', 'exactly equal')
    """
    return f"equal to 1e{ceil(log10(distance))}" if distance > 0 else "exactly equal"


@dataclass(frozen=True, eq=False)
class Reached:
    """A group of conventions of the explanation, lrpref's map under it, and its distance in shape from the other."""

    group: Group
    R: np.ndarray
    shape_distance: float


class Search:
    """The search for one map.

    Parameters
    ----------
    bench : Bench
        The explanation.
    theirs : array
        The other map.
    conventions : sequence of Convention
        The conventions, in the order in which several are applied.
    tolerance : float
        The distance up to which maps count as equal.
    """

    def __init__(self, bench: Bench, theirs: np.ndarray, conventions: Sequence[Convention], tolerance: float) -> None:
        self._bench, self._theirs, self._tolerance = bench, theirs, tolerance
        self._order = {convention.name: k for k, convention in enumerate(conventions)}
        self._makers = [c for c in conventions if c.show is None]
        self._chains = list(self._fitting([c for c in conventions if c.show is not None]))
        self._shapes = list(self._of_different_shape())
        self._best = np.inf

    def groups(self) -> Iterator[Match]:
        """Yield the groups of two and more conventions, as far as the search goes."""
        singles = [self._reached((c,), R) for c in self._makers if (R := self._active(c)) is not None]
        reached, closest, seen = [self._reached((), self._bench.plain), *singles], np.inf, set()
        yield from (match for one in reached for match in self._near(one))
        for _ in range(1, MOST):
            nearest = sorted((one for one in reached if one.group), key=lambda one: one.shape_distance)[:BEAM]
            if self._best <= self._tolerance or not nearest or nearest[0].shape_distance > CLOSER * closest:
                return
            reached, closest = [], nearest[0].shape_distance
            for one in nearest:
                yield from self._presented(one)
                for group in self._extensions(one.group):
                    names = frozenset(c.name for c in group)
                    if names not in seen and (R := self._bench.map(group)) is not None:
                        seen.add(names)
                        reached.append(self._reached(group, R))
                        yield self._match(group, R)
                        yield from self._near(reached[-1])
                if self._best <= self._tolerance:
                    return

    def _active(self, convention: Convention) -> np.ndarray | None:
        """The map under one convention if that changes the map, else None."""
        return self._bench.map((convention,)) if self._bench.matters(convention) else None

    def _extensions(self, group: Group) -> Iterator[Group]:
        """The groups with one more convention of another kind, each of whose members changes something."""
        for convention in self._makers:
            if convention.group in {member.group for member in group}:
                continue
            larger = tuple(sorted((*group, convention), key=lambda member: self._order[member.name]))
            if all(self._bench.changes(larger, tuple(m for m in larger if m is not member)) for member in larger):
                yield larger

    def _match(self, group: Group, R: np.ndarray) -> Match:
        """A group with its distance; the least of them is remembered."""
        match = Match(group, worst_distance(self._theirs, R))
        self._best = min(self._best, match.distance)
        return match

    def _near(self, one: Reached) -> Iterator[Match]:
        """The group under every chain, if one of them may explain the difference: no distance is less than in shape."""
        if one.shape_distance <= self._tolerance:
            yield from self._presented(one)

    def _presented(self, one: Reached) -> Iterator[Match]:
        """The group under every chain, as far as these are groups of two or more."""
        for chain in self._chains:
            if len(one.group) + len(chain) > 1:
                yield self._match((*one.group, *chain), _shown(one.R, chain))

    def _reached(self, group: Group, R: np.ndarray) -> Reached:
        """A group with its distance in shape, the least over all presentations."""
        distances = (shape_distance(self._theirs, _shown(R, chain)) for chain in self._shapes)
        return Reached(group, R, min(distances, default=np.inf))

    def _fitting(self, showing: Sequence[Convention]) -> Iterator[Group]:
        """The chains of up to CHAIN conventions of presentation that lead to the shape of the other map.

        Each of their members changes a map of the shape of lrpref's.
        """
        kinds: dict[str, list[Convention | None]] = {}
        for convention in showing:
            kinds.setdefault(convention.group, [None]).append(convention)
        for chosen in product(*kinds.values()):
            chain = tuple(sorted((c for c in chosen if c is not None), key=lambda member: self._order[member.name]))
            if 0 < len(chain) <= CHAIN and self._fits(chain) and all(map(self._changed(chain), chain)):
                yield chain

    def _of_different_shape(self) -> Iterator[Group]:
        """The chains that fit, the empty one included, without those that only rescale what another one shows."""
        distinct: list[np.ndarray] = []
        for chain in ((), *self._chains):
            R = _shown(self._probe(), chain)
            if self._fits(chain) and not any(shape_distance(other, R) < 1e-9 for other in distinct):
                distinct.append(R)
                yield chain

    def _fits(self, chain: Group) -> bool:
        return fit(_shown(self._bench.plain, chain), self._theirs.shape) is not None

    def _changed(self, chain: Group) -> Callable[[Convention], bool]:
        """Whether a member of a chain makes a difference."""
        R = _shown(self._probe(), chain)

        def changes(member: Convention) -> bool:
            without = _shown(self._probe(), tuple(other for other in chain if other is not member))
            return without.shape != R.shape or not np.array_equal(without, R, equal_nan=True)

        return changes

    def _probe(self) -> np.ndarray:
        """A map of the shape of lrpref's whose values have both signs."""
        size = self._bench.plain.size
        return np.sin(1.0 + np.arange(size, dtype=np.float64)).reshape(self._bench.plain.shape)


def shape_distance(theirs: np.ndarray, R: np.ndarray) -> float:
    """Return the mean over samples of min_c |theirs - c R| / |theirs|; infinite for maps that cannot be compared.

    Examples
    --------
    >>> shape_distance(np.array([[3.0, 4.0]]), np.array([[-6.0, -8.0]]))
    0.0
    """
    fitting = fit(R, theirs.shape)
    if fitting is None or not np.all(np.isfinite(fitting)):
        return float("inf")
    t, r = _directions(theirs), _directions(fitting)
    rest = t - np.sum(t * r, axis=1, keepdims=True) * r
    return float(np.linalg.norm(rest, axis=1).mean()) if len(t) else 0.0


def _directions(R: np.ndarray) -> np.ndarray:
    """Each sample as a vector of length 1; of length 0 where it is zero."""
    rows = R.reshape(len(R), -1) if R.ndim > 1 else R.reshape(1, -1)
    peaks = abs(rows).max(axis=1, initial=0.0, keepdims=True)
    rows = rows / np.where(peaks == 0, 1, peaks)  # so that no square overflows
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length == 0, 1, length)


def _shown(R: np.ndarray, chain: Group) -> np.ndarray:
    """A map under conventions of presentation."""
    with np.errstate(all="ignore"):
        for convention in chain:
            assert convention.show is not None
            R = convention.show(R)
    return R


def minimal(found: Sequence[Match]) -> list[Match]:
    """Return the matches without those that a part of their conventions explains at most a digit worse."""

    def is_needless(match: Match) -> bool:
        names = set(match.names)
        return any(set(other.names) < names and other.distance <= 10 * match.distance for other in found)

    return [match for match in found if not is_needless(match)]


def simplest(found: Sequence[Match]) -> Match:
    """Return the nearest match, or the smallest part of its conventions that is hardly further away (by a tenth)."""
    nearest = found[0]
    parts = [m for m in found if set(m.names) <= set(nearest.names) and m.distance <= 1.1 * nearest.distance]
    return min(parts, key=lambda match: len(match.names))
