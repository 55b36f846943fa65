"""The specification, and the clauses that the cases cite."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import spec
from clauses import profile_of
from test_cases import CASES

from lrpref import engine, layers, rules, trace
from lrpref.backend import array_namespace
from lrpref.composites import Composite
from lrpref.conformance import Case
from lrpref.conformance.case import FIXTURES
from lrpref.differences import conventions as other
from lrpref.engine import Ratio, Rule, Term, negative, positive
from lrpref.errors import RelevanceWarning
from lrpref.layers import Add, Elementwise, LinearLayer, MaxPool2D, WeightedLayer
from lrpref.ledger import Flow

# ---- what each answer but lrpref's own would change ------------------------------------------------------------


@dataclass(frozen=True)
class WeightsSplit(rules.AlphaBeta):
    """Answer 6.3b."""

    def ratios(self) -> tuple[Ratio, ...]:
        keep = self.bias == "keep"
        return (
            Ratio((Term(w=positive, b=positive if keep else None),), self.alpha),
            Ratio((Term(w=negative, b=negative if keep else None),), -self.beta),
        )


@dataclass(frozen=True)
class Parts(rules.AlphaBeta):
    """Answer 6.4b, with the bias in the first of the two denominators."""

    def ratios(self) -> tuple[Ratio, ...]:
        up, down = (positive, negative) if self.bias == "keep" else (None, None)
        return (
            Ratio((Term(positive, positive, up),), self.alpha),
            Ratio((Term(negative, negative),), self.alpha),
            Ratio((Term(positive, negative, down),), -self.beta),
            Ratio((Term(negative, positive),), -self.beta),
        )

    def shares(self, layer: Any, inputs: Any, R: Any, ratios: Any, zs: Any) -> list[Any]:
        return Rule.shares(self, layer, inputs, R, ratios, zs)


@dataclass(frozen=True, eq=False)
class Sloped(Elementwise):
    """Answer 11.1b: the gradient of an activation, by differences; of a step, the slope to its right."""

    inner: Elementwise

    def output_shape(self, *shapes: Any) -> Any:
        return self.inner.output_shape(*shapes)

    def forward(self, *inputs: Any) -> Any:
        return self.inner.forward(*inputs)

    def flow(self, inputs: Any, R: Any, rule: Any) -> Flow:
        h = 1e-6
        return Flow((R * (self.forward(inputs[0] + h) - self.forward(inputs[0])) / h,))


def alpha_beta(rule: Rule) -> rules.AlphaBeta | None:
    """The rule as alpha-beta, if it is one."""
    if type(rule) is rules.ZPlus:
        return rules.AlphaBeta(1, 0, stabilizer=rule.stabilizer)
    return rule if type(rule) is rules.AlphaBeta else None


def by_rule(change: Callable[[Rule], Rule]) -> Callable[[Case], Case]:
    """Every rule replaced."""
    return lambda case: replace(case, rules={node: change(rule) for node, rule in case.rules.items()})


def of(kind: type[Rule] | tuple[type[Rule], ...], change: Callable[[Any], Rule]) -> Callable[[Case], Case]:
    """Rules of these kinds replaced."""
    return by_rule(lambda rule: change(rule) if type(rule) in (kind if isinstance(kind, tuple) else (kind,)) else rule)


def of_alpha_beta(change: Callable[[rules.AlphaBeta], Rule]) -> Callable[[Case], Case]:
    """Alpha-beta and z-plus replaced."""
    return by_rule(lambda r: r if (found := alpha_beta(r)) is None or found.empty != "literal" else change(found))


def at(kinds: Any, rule: Rule) -> Callable[[Case], Case]:
    """The rule at layers of these kinds replaced."""
    return lambda case: replace(
        case, rules={n: rule if isinstance(case.network[n], kinds) else r for n, r in case.rules.items()}
    )


def by_layer(change: Callable[[Any], Any]) -> Callable[[Case], Case]:
    """Every layer replaced."""
    return lambda case: replace(case, network=case.network.map_layers(change))


def ties(layer: Any) -> Any:
    """The layer with the other answer to 11.7."""
    return replace(layer, ties="equal" if layer.ties == "first" else "first") if hasattr(layer, "ties") else layer


def averaged(layer: Any) -> Any:
    """Answer 11.8b, for max-pools of images."""
    if type(layer) is not MaxPool2D:
        return layer
    return other.AveragedMaxPool(layer.kernel_size, layer.stride, layer.padding, count_include_pad=False)


def sloped(layer: Any) -> Any:
    """Answer 11.1b."""
    return Sloped(layer) if isinstance(layer, Elementwise) else layer


class PassingSoftmax(layers.Softmax):
    """Answer 11.12b."""

    def flow(self, inputs: Any, R: Any, rule: Any) -> Flow:
        return Flow((R,))


def passed(layer: Any) -> Any:
    """Answer 11.12b; a head is not asked."""
    return PassingSoftmax(layer.axis) if type(layer) is layers.Softmax else layer


def epsilon_once(case: Case) -> Case:
    """Answer 10.8b."""
    return replace(case, rules={
        n: rules.Epsilon(r.epsilon / 2) if isinstance(layer := case.network[n], layers.MatMul)
        and layer.split == "half" and isinstance(r, rules.Epsilon) else r
        for n, r in case.rules.items()
    })  # fmt: skip


def weightless(layer: Any) -> bool:
    """Whether a linear layer is a pool, a sum or a join."""
    return isinstance(layer, LinearLayer) and not isinstance(
        layer, WeightedLayer | layers.DiagonalLayer | layers.SampleNorm
    )


def epsilon_where_weightless(case: Case) -> Case:
    """Answer 9.9b."""
    kept = (rules.Zero, rules.Epsilon)
    return replace(case, rules={
        n: rules.Zero() if weightless(case.network[n]) and type(r) not in kept else r
        for n, r in case.rules.items()
    })  # fmt: skip


OTHERWISE: dict[str, list[Callable[[Case], Case]]] = {
    "3.1": [by_rule(lambda r: other.Unsigned(r) if getattr(r, "epsilon", 0) or getattr(r, "stabilizer", 0) else r)],
    "4.4": [of((rules.Zero, rules.Epsilon), other.Biasless)],
    "5.3": [of(rules.Gamma, lambda r: other.GammaBiasAsItIs(r.gamma, r.generalised, r.stabilizer))],
    "6.3": [of_alpha_beta(lambda r: WeightsSplit(r.alpha, r.beta, r.bias, r.empty, r.stabilizer))],
    "6.4": [of_alpha_beta(lambda r: Parts(r.alpha, r.beta, r.bias, r.empty, r.stabilizer))],
    "6.5": [
        of_alpha_beta(lambda r: replace(r, bias="ignore" if r.bias == "keep" else "keep")),
        of_alpha_beta(lambda r: other.BiasInBothParts(r.alpha, r.beta, r.stabilizer)),
    ],
    "6.6": [of(rules.AlphaBeta, lambda r: replace(r, empty="literal" if r.empty == "renormalise" else "renormalise"))],
    "7.4": [of(rules.WSquare, lambda r: other.WSquareWithBias(r.stabilizer))],
    "7.6": [of(rules.Flat, lambda r: other.FlatWithBias(r.stabilizer))],
    "7.7": [of(rules.Flat, lambda r: other.FlatWithPadding(r.stabilizer))],
    "9.9": [epsilon_where_weightless],
    "10.2": [at(Add, other.ToEvery())],
    "10.8": [epsilon_once],
    "11.1": [by_layer(sloped)],
    "11.7": [by_layer(ties)],
    "11.8": [by_layer(averaged)],
    "11.12": [by_layer(passed)],
}  # fmt: skip


def other_sign_of_zero(z: Any, epsilon: Any) -> Any:
    """Answer 3.2b."""
    return array_namespace(z).where(z > 0, z + epsilon, z - epsilon)


def not_a_number(R: Any, z: Any) -> Any:
    """Answer 3.3b, where there is relevance to redistribute."""
    zero = z == 0
    return np.where(zero, np.where(R == 0, 0.0, np.nan), R / np.where(zero, 1, z))


def nothing_at_zero(self: Any, layer: Any, inputs: Any, R: Any, ratios: Any, zs: Any) -> list[Any]:
    """Answer 5.4b."""
    if not self.generalised:
        return Rule.shares(self, layer, inputs, R, ratios, zs)
    z = layer.forward(*inputs)
    return [np.where(z > 0, R, 0), np.where(z < 0, R, 0)]


PATCHED: dict[str, list[tuple[Any, str, Any]]] = {
    "3.2": [(engine, "stabilize", other_sign_of_zero), (rules, "stabilize", other_sign_of_zero)],
    "3.3": [(engine, "divide", not_a_number)],
    "5.4": [(rules.Gamma, "shares", nothing_at_zero)],
}


def explained(case: Case) -> Any:
    """The relevance of the input by lrpref."""
    by = Composite(tuple(case.rules.items()) or ((LinearLayer, rules.Zero()),))
    return trace(case.network, case.input, case.target, by, case.seed).relevance


def changed(case: Case, found: Any) -> bool:
    """Whether relevance differs from the expected one, or is NaN."""
    return not bool(np.all(np.abs(found - case.expected) <= 1e-4 * (1 + np.abs(case.expected))))


def resting(number: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The ids of the cases whose expected value another answer to a question would change."""
    for target, name, value in PATCHED.get(number, []):
        monkeypatch.setattr(target, name, value)
    for case in CASES.values():
        if case.kind == "relevance":
            others = [change(case) for change in OTHERWISE.get(number, [])]
            others = [case] if number in PATCHED else [another for another in others if asks_otherwise(case, another)]
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", RelevanceWarning)
                if any(changed(case, explained(another)) for another in others):
                    yield case.id


def asks_otherwise(case: Case, another: Case) -> bool:
    """Whether a case has another rule or layer."""
    pairs = zip(case.network.nodes, another.network.nodes, strict=True)
    return case.rules != another.rules or any(node.layer is not new.layer for node, new in pairs)


# ---- cases and clauses -----------------------------------------------------------------------------------------

CLAUSES = spec.read()
PROFILES = spec.profiles(CLAUSES)
CITED = {cited for case in CASES.values() for cited in case.clauses}
STATED = {
    "2.5": "the network has a head",
    "4.3": "a parameter of the rule",
    "5.2": "a parameter of the rule",
    "6.7": "the parameters of the rule are given in this form",
    "10.6": "a parameter of the layer",
    "10.7": "a parameter of the layer",
    "12.2": "the rule of the layer",
    "12.10": "a parameter of the layer",
    "12.11": "the rule of the layer",
}
"""The questions that a case answers itself, and where."""

COINCIDENCES = {"relative-skip-signed-bare": "10.2"}
"""Cases that cite an answer, and whose expected value happens to be the same with another one."""


@pytest.mark.parametrize("number", [*OTHERWISE, *PATCHED])
def test_cases_cite_the_answers_that_their_values_depend_on(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No case depends on an answer that it does not cite, and none cites one that does not matter."""
    citing = {
        case.id
        for case in CASES.values()
        if case.kind == "relevance" and any(cited[:-1] == number and cited[-1].isalpha() for cited in case.clauses)
    }
    unaffected = {name for name, question in COINCIDENCES.items() if question == number}
    assert set(resting(number, monkeypatch)) == citing - unaffected
    assert citing


def test_every_question_that_a_case_depends_on_is_computed_or_answered_by_the_case() -> None:
    questions = {cited[:-1] for case in CASES.values() for cited in case.clauses if cited[-1].isalpha()}
    assert questions == {*OTHERWISE, *PATCHED, *STATED}
    assert not {*OTHERWISE, *PATCHED} & set(STATED)


def test_cases_cite_clauses_and_answers_that_exist() -> None:
    for cited in CITED:
        clause = CLAUSES[spec.number_of(cited)]
        assert not cited[-1].isalpha() or cited[-1] in clause.answers, cited


def test_every_case_cites_a_clause() -> None:
    assert all(case.clauses for case in CASES.values())
    for case in CASES.values():
        assert list(case.clauses) == sorted(set(case.clauses), key=spec.order)
    assert json.loads((FIXTURES / "index.json").read_text())["specification"] == spec.version()


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_every_clause_of_a_profile_has_a_case_or_says_that_it_has_none(profile: str) -> None:
    cited = CITED | {spec.number_of(each) for each in CITED}
    for listed in PROFILES[profile]:
        assert (listed in cited) is not CLAUSES[spec.number_of(listed)].uncited, listed
    assert profile in {profile_of(case.data, CLAUSES) for case in CASES.values()}


def test_every_clause_belongs_to_one_profile() -> None:
    listed = [number for numbers in PROFILES.values() for number in numbers]
    assert len(listed) == len(set(listed))
    assert {each for each in listed if each in CLAUSES} == {each for each in CLAUSES if not each.startswith("14.")}
    for answer in set(listed) - set(CLAUSES):
        assert answer[-1] in CLAUSES[spec.number_of(answer)].answers
    assert all(list(numbers) == sorted(numbers, key=spec.order) for numbers in PROFILES.values())


def test_clauses_are_numbered_in_order() -> None:
    assert list(CLAUSES) == sorted(CLAUSES, key=spec.order)
    headings = re.findall(r"^#{2,} .*", spec.SPEC.read_text(encoding="utf-8"), re.MULTILINE)
    assert len([heading for heading in headings if heading.startswith("###")]) == len(CLAUSES)


def test_clauses_with_answers_ask_a_question() -> None:
    for clause in CLAUSES.values():
        assert bool(clause.answers) is (clause.question != ""), clause.number
        assert len(clause.answers) != 1, clause.number


def test_the_line_that_declares_core_answers_each_of_its_questions() -> None:
    """The example of the introduction, which others will copy."""
    quoted = re.search(r"^(?:> .*\n)+", spec.SPEC.read_text(encoding="utf-8"), re.MULTILINE)
    assert quoted is not None
    found = re.search(r"implements LRP (\S+), core, with (.*)", " ".join(quoted[0].replace(">", "").split()))
    assert found is not None
    assert found[1] == spec.version()
    answered = dict(re.findall(r"(\d+\.\d+)([a-z]+)", found[2]))
    assert set(answered) == {number for number in PROFILES["core"] if CLAUSES[number].answers}
    assert all(set(letters) <= set(CLAUSES[number].answers) for number, letters in answered.items())


def test_the_conventions_answer_every_question() -> None:
    page = (spec.SPEC.parents[1] / "docs" / "conventions.md").read_text(encoding="utf-8")
    answered = re.findall(r"^\| \[(\d+\.\d+)([a-z])\]\(\.\./cases/SPEC\.md#\1\)", page, re.MULTILINE)
    assert {number for number, _ in answered} == {number for number, clause in CLAUSES.items() if clause.answers}


def test_a_number_is_never_used_twice() -> None:
    twice = '### <a id="1.1"></a>1.1 One\n\nText.\n\n### <a id="1.1"></a>1.1 Two\n\nText.\n'
    with pytest.raises(ValueError, match=r"clause 1\.1 is defined twice"):
        spec.read(twice)
    strange = '### <a id="1.1"></a>1.1 One\n\nWhat?\n\n- **1.2a** `yes`: Yes.\n'
    with pytest.raises(ValueError, match=r"clause 1\.1 lists the answer 1\.2a"):
        spec.read(strange)
