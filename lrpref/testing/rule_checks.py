"""All laws that the tags of a rule promise, on random layers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ..backend import Array, to_numpy
from ..engine import Rule
from ..layers import BatchNorm, Dense, Scale
from ..rational import conversion as rational
from ..rules import RULES
from .cases import LayerCase, doubled, layer_arrays, without_bias
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
from .search import Cases, Pairs, demand_none, search


def check_rule(
    rule: Rule, *, like: Rule | None = None, cases: Any = None, max_examples: int = 40, seed: int = 0
) -> None:
    """Check all laws that the tags of a rule promise, on every small neuron and on random small layers.

    First come all neurons of two inputs and a bias whose numbers are small integers. Most mistakes show there: a bias
    in the wrong sum, the wrong sign, a zero that is treated wrongly. A rule tagged `exact` is checked in exact
    fractions. The other tags, `conserves`, `linear`, `needs_nonnegative` and `diagonal_only`, select the laws and the
    layers.

    Parameters
    ----------
    rule : Rule
        A rule of lrpref, or your own.
    like : Rule, optional
        The rule of lrpref that `rule` claims to be: its relevance must be the sum of that rule's messages. A rule of
        lrpref is always compared with its own messages.
    cases : hypothesis.strategies.SearchStrategy, optional
        A strategy for `LayerCase`, if random layers do not suit the rule; only its cases are tried then.
    max_examples : int, default 40
        How many random cases are tried, all laws on each.
    seed : int, default 0
        The seed of the search.

    Raises
    ------
    ChecksFailed
        If a law does not hold, with the smallest case for each law that is violated. It is an AssertionError.

    Examples
    --------
    >>> from lrpref import rules
    >>> check_rule(rules.ZPlus(), max_examples=5)
    """
    found = rule_cases(rule) if cases is None else Cases([cases])
    demand_none(repr(rule), search(found, rule_laws(rule, like), max_examples, seed))


def rule_laws(rule: Rule, like: Rule | None = None) -> dict[str, Pairs]:
    """Return the laws that the tags of a rule promise, by name; each takes a `LayerCase`."""
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
    floats: dict[str, Pairs] = {  # in floats, where a division by zero shows
        "check_finite": lambda case: check_finite.pairs(_explain(case, rule), case.inputs, case.R),
        "check_number_type": lambda case: _number_type(rule, case),
    }
    return floats | {name: partial(_in_number_type, rule, law) for name, law in found.items()}


def rule_cases(rule: Rule) -> Cases:
    """Return cases that a rule supports: every small neuron, then the simplest kind of layer, and every kind."""
    from hypothesis import strategies as st

    from .strategies import LINEAR, arrays, layer_cases, nonnegative

    plain = [kind for kind in LINEAR if kind != "batch_norm" and LINEAR[kind].fitted is None]  # on any input
    kinds = ["scale"] if rule.diagonal_only else plain
    numbers = nonnegative if rule.needs_nonnegative else arrays
    levels = [layer_cases(kind, inputs=numbers) for kind in (kinds[0], st.sampled_from(kinds))]
    return Cases(levels, known=[every_neuron(rule)])


def every_neuron(rule: Rule) -> LayerCase:
    """Return all neurons of two inputs and a bias, on all inputs, with three values for each number, as a single case.

    Each output of the layer is a neuron, each sample of the batch a pair of inputs. Among the values are both signs and
    zero, contributions and bias cancel in some sums, and 2 or -2 tells a square from a magnitude. The relevances
    differ, so that the messages of one neuron do not cancel those of another. A rule for diagonal layers gets neurons
    of one input.
    """
    inputs = (0.0, 1.0, 2.0) if rule.needs_nonnegative else (-2.0, 0.0, 1.0)
    weights, biases, fan_in = (-1.0, 0.0, 2.0), (-1.0, 0.0, 1.0), 1 if rule.diagonal_only else 2
    *weight, bias = np.transpose(list(product(*[weights] * fan_in, biases)))
    samples = np.asarray(list(product(inputs, repeat=fan_in)))
    layer = Scale(weight[0], bias) if rule.diagonal_only else Dense(np.transpose(weight), bias)
    a = np.repeat(samples, len(bias), axis=1) if rule.diagonal_only else samples
    size = len(samples) * len(bias)
    R = np.random.default_rng(0).permutation(np.arange(size) - float(size // 2)).reshape(len(samples), -1)
    return LayerCase(layer, (a,), R)


def _in_number_type(rule: Rule, law: Pairs, case: Any) -> Iterator[Pair]:
    """Check a law on a case, in exact fractions if the rule is exact."""
    return law(_exactly(case) if rule.exact else case)


def _exactly(case: Any) -> Any:
    """Return the case in exact fractions. A BatchNorm becomes a Scale, because its square root is not a fraction."""
    layer = Scale(*case.layer.scale_and_shift()) if isinstance(case.layer, BatchNorm) else case.layer
    inputs = tuple(map(rational.exact, case.inputs))
    return type(case)(layer.map_arrays(rational.exact), inputs, rational.exact(case.R))


def _explain(case: Any, rule: Rule) -> Explain:
    """Return explain(x, R) of a layer under a rule."""
    return lambda inputs, R: case.layer.relevance(inputs, R, rule)


def _number_type(rule: Rule, case: Any) -> Iterator[Pair]:
    """Check the number type in float32, and in fractions if the rule is exact, otherwise in float64."""

    def single(x: Array) -> np.ndarray:
        return np.asarray(x, dtype=np.float32)

    short = type(case)(case.layer.map_arrays(single), tuple(map(single, case.inputs)), single(case.R))
    for each in (short, _exactly(case)) if rule.exact else (short, case):
        yield from check_number_type.pairs(_explain(each, rule), each.inputs, each.R)


def _conservation(rule: Rule, case: Any) -> Iterator[Pair]:
    """Check conservation with the losses that the rule reports.

    A rule that reports no losses but is tagged `conserves` is checked where nothing can be lost: on positive numbers,
    without a bias.
    """
    flow = case.layer.flow(case.inputs, case.R, rule)
    explain = _explain(case, rule)
    if flow.attributed:
        columns = ("bias", "stabilizer", "dropped") if rule.conserves else tuple(flow.losses)
        lost = sum(flow.losses[name] for name in columns if name in flow.losses)
        yield from check_conservation.pairs(explain, case.inputs, case.R, lost)
    elif rule.conserves and not _stabilized(rule):
        plain = without_bias(case.layer.map_arrays(_positive))
        inputs = tuple(map(_positive, case.inputs))
        R = np.where(to_numpy(plain.forward(*inputs)) == 0, 0 * case.R, case.R)  # windows that see only padding
        yield from check_conservation.pairs(_explain(case._replace(layer=plain), rule), inputs, R)


def _positive(x: np.ndarray) -> np.ndarray:
    """Return |x|, and 1 for 0."""
    return np.where(x == 0, 0 * x + 1, abs(x))


def _stabilized(rule: Rule) -> bool:
    """Return whether a rule adds anything to its denominators, judged by its fields and its `stabilize`."""
    z = np.asarray([[-2.0, -1.0, 1.0, 2.0]])
    declared = any(getattr(rule, name, 0) for name in ("stabilizer", "epsilon"))
    return bool(declared or (to_numpy(rule.stabilize(z)) != z).any())


def _scale_covariance(rule: Rule, case: Any) -> Iterator[Pair]:
    """Compare the relevance with that of the layer whose weights and biases are doubled."""
    scaled = case._replace(layer=doubled(case.layer))
    yield from check_scale_covariance.pairs(_explain(case, rule), _explain(scaled, rule), case.inputs, case.R)
