"""Rules in every mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from ... import rules as rule_types
from ...layers.base import Shape
from ...relative import READINGS
from ...rules import Rule
from ..cases import LayerCase
from .kinds import DIAGONAL, LINEAR, layer_cases
from .numbers import Arrays, Strategy, drawn, nonnegative

STABILIZERS = st.sampled_from([0.0, 1e-6, 0.25])
GAMMAS = st.sampled_from([0.0, 0.25, 1.0])


@st.composite
def z_box(
    draw: Any, shapes: tuple[Shape, ...], whole_batch: bool = True, stabilizer: Any = STABILIZERS
) -> rule_types.ZBox:
    """ZBox rules with low <= 0 <= high; each bound is a number, or given per channel, per cell, or per cell and sample.

    Parameters
    ----------
    shapes : tuple of tuples of int
        The shapes of the layer's inputs.
    whole_batch : bool, default True
        Whether bounds may be given per sample.
    stabilizer : float or strategy
        As that of `ZBox`.

    Returns
    -------
    SearchStrategy of ZBox
    """
    shape = shapes[0]
    per_channel = [(shape[1],)] if len(shape) in (2, 4) else []  # ZBox lines these up with whole images only
    choices = [(), *per_channel, shape[1:], *([shape] if whole_batch else [])]
    low, high = (draw(nonnegative(draw(st.sampled_from(choices)))) for _ in range(2))
    low, high = (float(v) if v.ndim == 0 else v for v in (-low, high))
    return rule_types.ZBox(low, high, drawn(draw, stabilizer))


def _stabilized(rule: Callable[..., Rule]) -> Callable[..., Strategy[Rule]]:
    """Return a strategy for a rule whose only parameter is its stabilizer."""
    return lambda shapes: st.builds(rule, stabilizer=STABILIZERS)


RULES: dict[str, Callable[..., Strategy[Rule]]] = {
    "zero": lambda shapes: st.just(rule_types.Zero()),
    "epsilon": lambda shapes: st.builds(rule_types.Epsilon, STABILIZERS, st.sampled_from([None, "rms"])),
    "gamma": lambda shapes: st.builds(rule_types.Gamma, GAMMAS, st.booleans(), STABILIZERS),
    "alpha-beta": lambda shapes: st.builds(
        lambda alpha, *rest: rule_types.AlphaBeta(alpha, alpha - 1, *rest),
        st.sampled_from([1, 2]),
        st.sampled_from(["keep", "ignore"]),
        st.sampled_from(["literal", "renormalise"]),
        STABILIZERS,
    ),
    "z-plus": _stabilized(rule_types.ZPlus),
    "z-box": z_box,
    "w-square": _stabilized(rule_types.WSquare),
    "flat": _stabilized(rule_types.Flat),
    "absolute": _stabilized(rule_types.Absolute),
    "pass": lambda shapes: st.just(rule_types.Pass()),
    "relative": lambda shapes: st.builds(rule_types.Relative, st.sampled_from(READINGS[1:])),
}
"""Every rule in every mode, drawn for inputs of given shapes.

Relative is drawn without rescaling: rescaling divides the sum of the messages by its own norm, which is rounding noise
where dyadic numbers cancel exactly.
"""


ANY_RULE = st.sampled_from(list(RULES))


def kinds_for(rule: str) -> list[str]:
    """Return the kinds of linear layers that a rule (a key of `RULES`) supports: keys of `LINEAR`."""
    return list(DIAGONAL if rule == "pass" else LINEAR)


@st.composite
def rules(draw: Any, /, name: Any = ANY_RULE, *, shapes: Any, **options: Any) -> Rule:
    """Rules in any of their modes.

    Parameters
    ----------
    name : str or strategy
        A key of `RULES`.
    shapes : tuple of tuples of int, or strategy
        The shapes of the layer's inputs.
    **options
        Passed on to the entry of `RULES`.

    Returns
    -------
    SearchStrategy of Rule
    """
    found: Rule = draw(RULES[drawn(draw, name)](drawn(draw, shapes), **options))
    return found


@st.composite
def rule_cases(draw: Any, /, name: Any = ANY_RULE, *, kind: Any = None, **numbers: Arrays) -> tuple[Rule, LayerCase]:
    """Rules, each with a linear layer, its inputs and relevance.

    Parameters
    ----------
    name : str or strategy
        A key of `RULES`.
    kind : str or strategy, optional
        A key of `LINEAR`; None draws one that the rule supports.
    **numbers : callable
        `inputs` and `relevance`, as in `layer_cases`.

    Returns
    -------
    SearchStrategy of (Rule, LayerCase)
    """
    name = drawn(draw, name)
    case = draw(layer_cases(st.sampled_from(kinds_for(name)) if kind is None else kind, **numbers))
    return draw(rules(name, shapes=case.shapes)), case
