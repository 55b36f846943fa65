"""Every law that a rule's tags promise, on random layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..backend import Array, to_numpy
from ..engine import Rule
from ..layers import BatchNorm, Scale
from ..rational import conversion as rational
from ..rules import RULES
from .cases import layer_arrays
from .laws import (
    Explain,
    Pair,
    check_batch_independence,
    check_conservation,
    check_finite,
    check_linear_in_R,
    check_no_mutation,
    check_number_type,
    check_oracle,
    check_scale_covariance,
    check_shape,
)
from .search import ChecksFailed, Pairs, search


def check_rule(
    rule: Rule, *, like: Rule | None = None, cases: Any = None, max_examples: int = 40, seed: int = 0
) -> None:
    """Try every law that a rule's tags promise, on random small layers; in exact fractions where it is tagged `exact`.

    rule          a rule of lrpref or of yours. Its tags choose the laws and the layers: `conserves`, `linear`, `exact`,
                  `needs_nonnegative`, `diagonal_only`
    like          a rule of lrpref that it claims to be: held to the messages of that one. A rule of lrpref itself is
                  held to its own
    cases         a strategy for `LayerCase`, where random layers will not do
    max_examples  how many cases are tried, each by all laws

    Raises ChecksFailed, an AssertionError, with the smallest case for each law that is broken.

    >>> from lrpref import rules
    >>> check_rule(rules.ZPlus(), max_examples=5)
    """
    levels = rule_cases(rule) if cases is None else [cases]
    failures = search(levels, rule_laws(rule, like), max_examples, seed)
    if failures:
        raise ChecksFailed(repr(rule), failures)


def rule_laws(rule: Rule, like: Rule | None = None) -> dict[str, Pairs]:
    """The laws that a rule's tags promise, by name, each to be put to a `LayerCase`."""
    if like is None and type(rule) in RULES.values():
        like = rule
    found: dict[str, Pairs] = {
        "check_shape": lambda case: check_shape.pairs(_explain(case, rule), case.inputs, case.R),
        "check_no_mutation": lambda case: check_no_mutation.pairs(
            _explain(case, rule), case.inputs, case.R, watched=layer_arrays(case.layer)
        ),
        "check_batch_independence": lambda case: check_batch_independence.pairs(
            _explain(case, rule), case.inputs, case.R
        ),
        "check_conservation": lambda case: _conservation(rule, case),
    }
    if rule.linear:
        found["check_linear_in_R"] = lambda case: check_linear_in_R.pairs(_explain(case, rule), case.inputs, case.R)
    if rule.conserves and not _stabilized(rule):
        found["check_scale_covariance"] = lambda case: _scale_covariance(rule, case)
    if like is not None:
        found["check_oracle"] = lambda case: check_oracle.pairs(
            _explain(case, rule), case.layer, case.inputs, case.R, like
        )
    floats: dict[str, Pairs] = {  # where a division by zero shows, and then whether fractions can do the same
        "check_finite": lambda case: check_finite.pairs(_explain(case, rule), case.inputs, case.R),
        "check_number_type": lambda case: _number_type(rule, case),
    }
    return floats | {name: partial(_in_its_numbers, rule, law) for name, law in found.items()}


def rule_cases(rule: Rule) -> list[Any]:
    """Layers that a rule is for, with inputs that it is for: the simplest kind, and every kind."""
    from hypothesis import strategies as st

    from .strategies import LINEAR, arrays, layer_cases, nonnegative

    kinds = ["scale"] if rule.diagonal_only else [kind for kind in LINEAR if kind != "batch_norm"]
    numbers = nonnegative if rule.needs_nonnegative else arrays
    return [layer_cases(kind, inputs=numbers) for kind in (kinds[0], st.sampled_from(kinds))]


def _in_its_numbers(rule: Rule, law: Pairs, case: Any) -> Iterator[Pair]:
    """A law put to a case in exact fractions, if the rule is exact."""
    return law(_exactly(case) if rule.exact else case)


def _exactly(case: Any) -> Any:
    """The same case in exact fractions; a BatchNorm, whose root has none, as the Scale it is."""
    layer = Scale(*case.layer.scale_and_shift()) if isinstance(case.layer, BatchNorm) else case.layer
    inputs = tuple(map(rational.exact, case.inputs))
    return type(case)(layer.map_arrays(rational.exact), inputs, rational.exact(case.R))


def _explain(case: Any, rule: Rule) -> Explain:
    """explain(x, R) of a layer under a rule."""
    return lambda inputs, R: case.layer.relevance(inputs, R, rule)


def _number_type(rule: Rule, case: Any) -> Iterator[Pair]:
    """In float32, and in fractions if the rule is exact."""

    def single(x: Array) -> np.ndarray:
        return np.asarray(x, dtype=np.float32)

    short = type(case)(case.layer.map_arrays(single), tuple(map(single, case.inputs)), single(case.R))
    for each in (short, _exactly(case)) if rule.exact else (short, case):
        yield from check_number_type.pairs(_explain(each, rule), each.inputs, each.R)


def _conservation(rule: Rule, case: Any) -> Iterator[Pair]:
    """By the rule's books. Without books, if it conserves, where nothing can be lost: all positive, and no bias."""
    flow = case.layer.flow(case.inputs, case.R, rule)
    explain = _explain(case, rule)
    if flow.attributed:
        columns = ("bias", "stabilizer", "dropped") if rule.conserves else tuple(flow.losses)
        lost = sum(flow.losses[name] for name in columns if name in flow.losses)
        yield from check_conservation.pairs(explain, case.inputs, case.R, lost)
    elif rule.conserves and not _stabilized(rule):
        layer = case.layer.map_arrays(_positive)
        plain = replace(layer, **{name: None for name in ("bias", "bias_taps") if hasattr(layer, name)})
        inputs = tuple(map(_positive, case.inputs))
        R = np.where(to_numpy(plain.forward(*inputs)) == 0, 0 * case.R, case.R)  # windows on nothing but padding
        yield from check_conservation.pairs(_explain(case._replace(layer=plain), rule), inputs, R)


def _positive(x: Array) -> Array:
    """|x|, and 1 for 0."""
    return np.where(x == 0, 0 * x + 1, abs(x))


def _stabilized(rule: Rule) -> bool:
    """Whether a rule adds something to its denominators, by what it says of itself."""
    z = np.asarray([[-2.0, -1.0, 1.0, 2.0]])
    declared = any(getattr(rule, name, 0) for name in ("stabilizer", "epsilon"))
    return bool(declared or (to_numpy(rule.stabilize(z)) != z).any())


def _scale_covariance(rule: Rule, case: Any) -> Iterator[Pair]:
    """Weights and biases times 2."""
    doubled = case._replace(layer=case.layer.map_arrays(lambda array: 2 * array))
    yield from check_scale_covariance.pairs(_explain(case, rule), _explain(doubled, rule), case.inputs, case.R)
