"""Which convention explains the difference between two heatmaps of one input.

`explain_difference` computes lrpref's own map first. If the other map differs, it applies the choices that
implementations are known to make differently (`choices.CONVENTIONS`), one at a time and then in groups:

    equal to 1e-7 if the bias takes no part in alpha-beta

`crosscheck` does the same for a PyTorch module. A match is a finding about two maps, not a proof about two programs:
conventions that give the same map for one network and input may differ for others. Use inputs of both signs and a
network with biases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from ..arithmetic import check_flag, check_number
from ..backend import Array
from ..composites import Composite
from ..engine import Rule
from ..errors import ParameterError, ShapeError, shown
from ..network import Network, check_network, check_one_input
from ..walk import DEFAULT_RULE
from .bench import Bench
from .choices import CONVENTIONS, Convention
from .comparison import ROUNDING, TOLERANCE, Comparison, as_map, compare, fit, worst_distance
from .groups import Match, Search, equal, minimal, simplest


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
        The nearest of all conventions and groups tried, if it is nearer than the unchanged map.
    tried : tuple of int
        The number of conventions that changed the map, and of groups of them that were compared.
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
            lines.append(f"{equal(self.distance)} as it is")
        if len(self.matches) > 1:
            lines.append("on this network and input, several conventions give the same map:")
        lines += [str(match) for match in self.matches]
        if not self.explained:
            singly, together = self.tried
            lines.append(
                f"no known convention explains the difference (tried: {singly} conventions, {together} groups of them)"
            )
            if self.closest is not None:
                lines.append(f"the closest: relative L2 {self.closest.distance:.3g} if {self.closest.words}")
        return "\n".join(lines)


def explain_difference(
    net: Network,
    x: Array,
    R_other: Array,
    rule: str | Rule | Composite = DEFAULT_RULE,
    target: int | Array | None = None,
    seed: str | float | Array = "logit",
    tolerance: float = TOLERANCE,
    groups: bool = True,
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
    groups : bool, default True
        Whether to try several conventions together if no single one explains the difference.
    conventions : sequence of Convention
        The conventions to try, in the order in which several of them are applied.

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
    check_flag(groups, "groups")
    check_network(net)
    check_one_input(net, "explain_difference")
    if not (isinstance(conventions, tuple | list) and all(isinstance(c, Convention) for c in conventions)):
        raise ParameterError(f"conventions must be a sequence of Convention, got {shown(conventions)}")
    bench = Bench(net, x, rule, target, seed)
    ours, theirs = bench.plain, as_map(R_other, "the other map")
    fitting = fit(ours, theirs.shape)
    comparison = None if fitting is None else compare(theirs, fitting)
    distance = float("inf") if comparison is None else comparison.worst
    singles = [] if distance <= ROUNDING else [c for c in conventions if bench.matters(c)]
    found = [Match((c,), worst_distance(theirs, bench.map((c,)))) for c in singles]
    if comparison is None and not any(isfinite(match.distance) for match in found):
        raise ShapeError(f"the other map has shape {theirs.shape}, but maps of this input have shape {ours.shape}")
    together: list[Match] = []
    if groups and min([distance, *(match.distance for match in found)]) > tolerance:
        together = list(Search(bench, theirs, conventions, tolerance).groups())
    found = sorted([*found, *together], key=lambda match: match.distance)
    closest = simplest(found) if found and found[0].distance < distance else None
    tried = len(singles), len(together)
    return Diagnosis(ours, comparison, distance, tolerance, _nearest(found, distance, tolerance), closest, tried)


def crosscheck(
    module: Any,
    x: Any,
    attribution: Any,
    rule: str | Rule | Composite = DEFAULT_RULE,
    target: int | Array | None = None,
    seed: str | float | Array = "logit",
    tolerance: float = TOLERANCE,
    groups: bool = True,
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
    rule, target, seed, tolerance, groups
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
    return explain_difference(net, as_array(x), as_array(attribution), rule, target, seed, tolerance, groups)


def _nearest(found: Sequence[Match], distance: float, tolerance: float) -> tuple[Match, ...]:
    """The matches within the tolerance, at most a digit behind the best and at least a digit ahead of no change."""
    best = max(found[0].distance, ROUNDING) if found else 0.0
    near = [m for m in found if m.distance <= min(tolerance, 10 * best) and m.distance <= distance / 10]
    return tuple(minimal(near))
