"""Every law that applies, at once, and the smallest case that breaks one.

    check_rule(rule)            a rule on random layers, by its tags
    check_layer(layer, x)       a layer on an input of yours
    check_explainer(explain)    a whole explainer, explain(net, x) -> R, on random networks
    parametrize_with_checks     all of these as pytest tests, one per law

What does not hold is told by the law's name and equation, with the smallest case that Hypothesis finds for it. The
search is the same at every run. `check_layer` needs no Hypothesis: pip install "lrpref[testing]" for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from textwrap import indent
from typing import Any, NamedTuple

import numpy as np

from .. import rational
from ..arithmetic import is_exact
from ..backend import Array, to_numpy
from ..engine import Rule
from ..errors import LrprefError
from ..explain import explain as explain_by_lrpref
from ..layers import BatchNorm, Layer, LinearLayer, Scale
from ..network import Network
from ..rules import RULES, Absolute
from .cases import describe, describe_layer, layer_arrays, smaller
from .laws import (
    LAWS,
    Explain,
    LawBroken,
    Pair,
    check_adjoint,
    check_batch_independence,
    check_conservation,
    check_finite,
    check_fold,
    check_linear_in_R,
    check_no_mutation,
    check_number_type,
    check_oracle,
    check_scale_covariance,
    check_shape,
    check_weights,
    holds,
    near,
    statement,
)

Pairs = Callable[[Any], Iterator[Pair]]
"""A law of one subject, put to a case."""


@dataclass(frozen=True, eq=False)
class Failure:
    """A law that a subject breaks, and the smallest case found.

    law      its name, as in `LAWS`
    case     the case: a `LayerCase`, or a network and its input; None where there was but one
    problem  both sides of the equation, or what was raised
    """

    law: str
    case: Any
    problem: str

    def __str__(self) -> str:
        told = "" if self.case is None else indent(f"\n{describe(self.case)}", " " * 8)
        return f"    {self.law}: {statement(LAWS[self.law])}{told}\n        {self.problem}"


class ChecksFailed(LawBroken):
    """Laws that do not hold; `failures` has one entry per law."""

    def __init__(self, subject: str, failures: Sequence[Failure]) -> None:
        laws = "a law" if len(failures) == 1 else f"{len(failures)} laws"
        super().__init__("\n".join([f"{subject} breaks {laws}", *map(str, failures)]), failures[0].law)
        self.failures = tuple(failures)


# ---- rules -------------------------------------------------------------------------------------------------------


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
    levels = _rule_cases(rule) if cases is None else [cases]
    failures = _search(levels, rule_laws(rule, like), max_examples, seed)
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


def _rule_cases(rule: Rule) -> list[Any]:
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
        columns = ("bias", "stabilizer", "policy") if rule.conserves else tuple(flow.losses)
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


# ---- layers ------------------------------------------------------------------------------------------------------


def check_layer(layer: Layer, *inputs: Array) -> None:
    """Try every law of a layer on inputs of yours: a batch per input, (N, features) or (N, C, H, W).

    A linear layer's `linear` and `adjoint` must be one matrix and its transpose, for whatever weights they are handed;
    every layer's relevance must be shaped like its inputs, add up, and not depend on the batch; nothing may be changed.
    Where the transpose is wrong, the first pair of an input and an output that disagree is told.

    Raises ChecksFailed, an AssertionError.

    >>> from lrpref import Conv2D
    >>> check_layer(Conv2D(np.ones((1, 1, 2, 2)), padding=1), np.ones((1, 1, 3, 3)))
    """
    failures = []
    for name, law in layer_laws(layer).items():
        problem = _problem(law, inputs)
        if problem is not None:
            failures.append(Failure(name, None, problem))
    if failures:
        raise ChecksFailed(describe_layer(layer), failures)


def layer_laws(layer: Layer) -> dict[str, Pairs]:
    """The laws of a layer, by name, each to be put to a tuple of inputs."""

    def relevance(inputs: Any, R: Array) -> Any:
        return layer.relevance(inputs, R, Absolute())

    found: dict[str, Pairs] = {
        "check_shape": lambda inputs: _layer_shapes(layer, relevance, inputs),
        "check_finite": lambda inputs: check_finite.pairs(layer.forward, *inputs),
        "check_number_type": lambda inputs: check_number_type.pairs(relevance, inputs, layer.forward(*inputs)),
        "check_no_mutation": lambda inputs: check_no_mutation.pairs(
            relevance,
            inputs,
            layer.forward(*inputs),
            watched=layer_arrays(layer),
            between=lambda a, R: layer.forward(*a),
        ),
        "check_batch_independence": lambda inputs: _layer_batch(layer, relevance, inputs),
        "check_linear_in_R": lambda inputs: check_linear_in_R.pairs(relevance, inputs, layer.forward(*inputs)),
        "check_conservation": lambda inputs: _layer_books(layer, relevance, inputs),
    }
    if isinstance(layer, LinearLayer):
        found["check_adjoint"] = lambda inputs: _adjoint(layer, inputs)
        found["check_weights"] = lambda inputs: _weights(layer, inputs)
    return found


def _layer_shapes(layer: Layer, relevance: Explain, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """The output is shaped as the layer says, the relevance as the inputs are; fan_in counts the most connections."""
    z, shapes = layer.forward(*inputs), [tuple(a.shape) for a in inputs]
    told = layer.output_shape(*shapes)
    yield holds(f"the output has shape {tuple(z.shape)}, output_shape says {told}", tuple(z.shape) == told)
    yield from check_shape.pairs(relevance, inputs, z)
    if isinstance(layer, LinearLayer):
        w, _ = layer.parameters(*inputs)
        connected = int(to_numpy(layer.linear(0 * w + 1, *(0 * a + 1 for a in inputs))).max(initial=0))
        n = layer.fan_in(*shapes)
        yield holds(f"a unit has up to {connected} inputs, and fan_in says {n}", connected <= n)


def _layer_batch(layer: Layer, relevance: Explain, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """The forward pass and the relevance."""
    yield from check_batch_independence.pairs(layer.forward, *inputs)
    yield from check_batch_independence.pairs(relevance, inputs, layer.forward(*inputs))


def _layer_books(layer: Layer, relevance: Explain, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """What the layer hands on and what it books is what it got."""
    R = layer.forward(*inputs)
    flow = layer.flow(inputs, R, Absolute())
    if flow.attributed:
        yield from check_conservation.pairs(relevance, inputs, R, sum(flow.losses.values()))


def _adjoint(layer: LinearLayer, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """On small whole numbers in the shape of the inputs; where that fails, on unit vectors."""
    w, _ = layer.parameters(*inputs)
    shapes = [tuple(a.shape) for a in inputs]
    rng = np.random.default_rng(0)
    *x, s = (_whole(rng, shape, like=inputs[0]) for shape in (*shapes, layer.output_shape(*shapes)))

    def law(x: tuple[Array, ...], s: Array) -> Iterator[Pair]:
        linear, adjoint = partial(layer.linear, w), lambda s: layer.adjoint(w, s, *(tuple(a.shape) for a in x))
        return check_adjoint.pairs(linear, adjoint, x, s)

    found = list(law(tuple(x), s))
    yield from found if all(pair.agrees for pair in found) else _unit_vectors(law, inputs, s) or found


def _whole(rng: np.random.Generator, shape: tuple[int, ...], like: Array) -> Any:
    """Whole numbers from -4 to 4, of a number type."""
    drawn = rng.integers(-4, 5, shape)
    return rational.exact(drawn) if is_exact(like) else drawn.astype(to_numpy(like).dtype)


def _unit_vectors(
    law: Callable[..., Iterator[Pair]], inputs: tuple[Array, ...], s: Array, most: int = 64
) -> list[Pair]:
    """The first input and output, of the first sample, between which W and W^T differ."""
    zeros = [0 * a[:1] for a in inputs]
    for k, a in enumerate(zeros):
        for i in list(np.ndindex(*a.shape))[:most]:
            for j in list(np.ndindex(*s[:1].shape))[:most]:
                x, unit = [z.copy() for z in zeros], 0 * s[:1]
                x[k][i], unit[j] = 1, 1
                try:
                    wrong = [pair for pair in law(tuple(x), unit) if not pair.agrees]
                except Exception:
                    return []
                if wrong:
                    where = f"input {i[1:]}" if len(zeros) == 1 else f"input {k + 1} at {i[1:]}"
                    return [replace(wrong[-1], what=f"between {where} and output {j[1:]}: {wrong[-1].what}")]
    return []


def _weights(layer: LinearLayer, inputs: tuple[Array, ...]) -> Iterator[Pair]:
    """Forward and backward."""
    w, _ = layer.parameters(*inputs)
    shapes = [tuple(a.shape) for a in inputs]
    s = layer.linear(w, *inputs)
    yield from check_weights.pairs(lambda w: layer.linear(w, *inputs), w)
    yield from check_weights.pairs(lambda w: layer.adjoint(w, s, *shapes), w)


# ---- whole explainers --------------------------------------------------------------------------------------------


def check_explainer(
    explain: Callable[[Network, Array], Array],
    *,
    like: Any = None,
    conserves: bool = False,
    covariant: bool = False,
    folds: bool = False,
    networks: Any = None,
    tolerance: float | None = None,
    max_examples: int = 20,
    seed: int = 0,
) -> None:
    """Try the laws of a whole explainer, explain(net, x) -> R, on random small networks, residual ones among them.

    explain    relevance of x for the largest output of a network of lrpref's layers, float64, batch first
    like       a rule or composite of lrpref, or its name: the map must be `lrpref.explain`'s
    conserves  it starts from the logit and loses nothing where there are no biases
    covariant  it starts from the logit and has no stabilizer
    folds      it folds BatchNorm itself, or is LRP-0 everywhere
    networks   a strategy for (network, x), where lrpref's random networks will not do
    tolerance  see `lrpref.testing.laws`

    Raises ChecksFailed, an AssertionError.

    >>> import lrpref
    >>> check_explainer(lambda net, x: lrpref.explain(net, x, rule="z-plus"), like="z-plus", max_examples=3)
    """
    tags = {"like": like, "conserves": conserves, "covariant": covariant, "folds": folds, "tolerance": tolerance}
    levels = _networks() if networks is None else [networks]
    failures = _search(levels, explainer_laws(explain, **tags), max_examples, seed)
    if failures:
        raise ChecksFailed(getattr(explain, "__name__", str(explain)), failures)


def _networks() -> list[Any]:
    """One or two Dense layers, and every kind of network.

    Their numbers are in general position: ties, and denominators of zero, are conventions.
    """
    from .strategies import generic, networks

    return [networks(blocks=[], numbers=generic), networks(numbers=generic)]


def explainer_laws(
    explain: Callable[[Network, Array], Array],
    *,
    like: Any = None,
    conserves: bool = False,
    covariant: bool = False,
    folds: bool = False,
    tolerance: float | None = None,
) -> dict[str, Pairs]:
    """The laws of an explainer, by name, each to be put to a network and its input."""
    found: dict[str, Pairs] = {
        "check_finite": lambda case: check_finite.pairs(partial(explain, case[0]), case[1]),
        "check_shape": lambda case: check_shape.pairs(partial(explain, case[0]), case[1]),
        "check_no_mutation": lambda case: check_no_mutation.pairs(
            partial(explain, case[0]), case[1], watched=case[0].parameters
        ),
        "check_batch_independence": lambda case: check_batch_independence.pairs(
            partial(explain, case[0]), case[1], tolerance=tolerance
        ),
    }
    if like is not None:
        found["check_oracle"] = lambda case: _like(explain, like, tolerance, *case)
    if conserves:
        found["check_conservation"] = lambda case: _logit(explain, tolerance, *case)
    if covariant:
        found["check_scale_covariance"] = lambda case: _last_layer(explain, tolerance, *case)
    if folds:
        found["check_fold"] = lambda case: check_fold.pairs(explain, *case, tolerance=tolerance)
    return found


def _like(explain: Explain, like: Any, tolerance: float | None, net: Network, x: Array) -> Iterator[Pair]:
    """The map against lrpref's."""
    expected = explain_by_lrpref(net, x, rule=like)
    yield near("relevance", explain(net, x), expected, 1e-8 if tolerance is None else tolerance)


def _logit(explain: Explain, tolerance: float | None, net: Network, x: Array) -> Iterator[Pair]:
    """The sum of the map is the largest output, in the network without its biases and borders."""
    nodes = [(name, _without_bias(layer), inputs) for name, layer, inputs in net.nodes]
    bare = Network(nodes)
    logits = to_numpy(bare.forward(x))
    chosen = np.where(np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None], logits, 0)
    yield from check_conservation.pairs(lambda x, R: explain(bare, x), x, chosen, tolerance=tolerance)


def _without_bias(layer: Layer) -> Layer:
    """The layer without what adds a constant."""
    if isinstance(layer, BatchNorm):
        return Scale(layer.scale_and_shift()[0])
    changes: dict[str, Any] = {name: None for name in ("bias", "bias_taps") if getattr(layer, name, None) is not None}
    if hasattr(layer, "value"):
        changes["value"] = 0.0
    return replace(layer, **changes) if changes else layer


def _last_layer(explain: Explain, tolerance: float | None, net: Network, x: Array) -> Iterator[Pair]:
    """The last layer's weights and bias times 2: the logit and the map are doubled."""
    *nodes, (name, layer, inputs) = net.nodes
    doubled = Network([*nodes, (name, layer.map_arrays(lambda array: 2 * array), inputs)])
    yield from check_scale_covariance.pairs(
        partial(explain, net), partial(explain, doubled), x, factor=2, tolerance=tolerance
    )


# ---- the search for the smallest case ----------------------------------------------------------------------------


def _search(levels: Sequence[Any], laws: Mapping[str, Pairs], max_examples: int, seed: int) -> list[Failure]:
    """The laws that some case breaks, each with the smallest case found.

    First all laws are put to the same cases, because drawing a case takes longer than judging it. Then each law that
    was broken is searched alone, and its case shrunk.

    levels  strategies, from simple cases to all
    """
    broken: dict[str, Any] = {}

    def survey(case: Any) -> bool:
        for name, law in laws.items():
            if _problem(law, case) is not None:
                broken.setdefault(name, case)
                break  # the laws after it may be broken by the same accident
        return False

    _find(levels[-1], survey, max_examples, seed)
    failures = []
    for name, first in broken.items():
        breaks = partial(_breaks, laws, name)
        found = (smallest(level, breaks, max_examples=max_examples, seed=seed) for level in levels)
        case = next((case for case in found if case is not None), first)
        failures.append(Failure(name, case, str(_problem(laws[name], case))))
    return failures


def _breaks(laws: Mapping[str, Pairs], name: str, case: Any) -> bool:
    """Whether a case breaks a law, and not because it is one that ends in NaN, which breaks them all."""
    if _problem(laws[name], case) is None:
        return False
    return name == "check_finite" or "check_finite" not in laws or _problem(laws["check_finite"], case) is None


def smallest(cases: Any, condition: Callable[[Any], bool], *, max_examples: int = 100, seed: int = 0) -> Any:
    """The smallest case that meets a condition; None where none is found.

    cases  a strategy for `LayerCase` or `NetworkCase`

    Hypothesis finds and shrinks it; then samples, outputs and inputs are left out one by one, as `smaller` does.

    >>> from lrpref.testing import strategies
    >>> print(describe(smallest(strategies.layer_cases("dense"), lambda case: case.R.sum() < 0)))
    Dense(weight=[[0]])
    a = [[0]]
    R = [[-1]]
    """
    found = _find(cases, condition, max_examples, seed)
    return None if found is None else _reduced(found, condition)


def _reduced(case: Any, breaks: Callable[[Any], bool]) -> Any:
    """The case without the samples, outputs and inputs that the law breaks without."""
    found = next((less for less in smaller(case) if breaks(less)), None)
    return case if found is None else _reduced(found, breaks)


def _find(cases: Any, condition: Callable[[Any], bool], max_examples: int, seed: int) -> Any:
    """The smallest case that Hypothesis finds for a condition; None if there is none."""
    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis.errors import NoSuchExample

    quiet = settings(
        max_examples=max_examples,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        return find(cases, condition, settings=quiet, random=Random(seed))
    except NoSuchExample:
        return None


def _problem(law: Pairs, case: Any) -> str | None:
    """What is wrong with a law at a case: both sides, or what was raised; None if it holds."""
    try:
        with np.errstate(all="ignore"):
            return next((str(pair) for pair in law(case) if not pair.agrees), None)
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"


# ---- in pytest ---------------------------------------------------------------------------------------------------


class Check(NamedTuple):
    """One law of one subject: calling it raises ChecksFailed where the law does not hold."""

    subject: Any
    law: str

    def __call__(self) -> None:
        """Try it."""
        laws, cases, told = _of(self.subject)
        if cases is None:
            problem = _problem(laws[self.law], self.subject[1:])
            failures = [] if problem is None else [Failure(self.law, None, problem)]
        else:
            failures = _search(cases, {self.law: laws[self.law]}, 40, 0)
        if failures:
            raise ChecksFailed(told, failures)


def checks_of(subject: Any) -> list[Check]:
    """The checks of a rule, of a layer with its inputs (a tuple), or of an explainer (a callable).

    >>> from lrpref import rules
    >>> [check.law for check in checks_of(rules.Flat())][:2]
    ['check_finite', 'check_number_type']
    """
    return [Check(subject, law) for law in _of(subject)[0]]


def _of(subject: Any) -> tuple[dict[str, Pairs], Any, str]:
    """Its laws, a strategy of cases (None: it brings its own), and what it is called."""
    if isinstance(subject, Rule):
        return rule_laws(subject), _rule_cases(subject), repr(subject)
    if isinstance(subject, tuple) and subject and isinstance(subject[0], Layer):
        return layer_laws(subject[0]), None, type(subject[0]).__name__
    if callable(subject):
        return explainer_laws(subject), _networks(), getattr(subject, "__name__", str(subject))
    raise LrprefError(f"a rule, a tuple of a layer and its inputs, or a callable explain(net, x), got {subject!r}")


def parametrize_with_checks(subjects: Sequence[Any]) -> Any:
    """A pytest decorator that runs a test once per law of each subject, as scikit-learn's does for its estimators.

        @parametrize_with_checks([MyRule(), (MyLayer(...), x), my_explainer])
        def test_laws(check):
            check()

    subjects  rules, tuples of a layer and its inputs, callables explain(net, x)
    """
    import pytest

    checks = [check for subject in subjects for check in checks_of(subject)]
    return pytest.mark.parametrize("check", checks, ids=[f"{_of(c.subject)[2]}-{c.law}" for c in checks])
