"""lrpref verify: laws put to functions and programs, counter-examples as cases, and the page that shows it."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import redirect_stdout
from fractions import Fraction
from io import StringIO
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_array_equal

import lrpref
from lrpref import Dense, Flatten, MaxPool2D, Network, ReLU, cli, rules
from lrpref.conformance import NotOffered, load_adapter, load_cases
from lrpref.conformance import run as run_suite
from lrpref.conformance.case import Case, floats, make_rule
from lrpref.conformance.table import lrp_cases
from lrpref.errors import LrprefError, OutputError, ParameterError, UnknownNameError
from lrpref.testing import strategies as lrp
from lrpref.verification import Asked, Function, Program, ProgramError, Question, by_matrices, verify, write_cases
from lrpref.verification.laws import LAWS, Unsaid, demand_clear
from lrpref.verification.question import as_text, described, described_rule

ROOT = Path(__file__).parent.parent

FEW, MORE = 10, 50
"""The number of networks of each kind: enough to find most mistakes below, and those that need two samples."""


def read_back(network: dict[str, Any]) -> Network:
    """Build lrpref's network from its description, by the reader of the cases."""
    data = {"format": "lrp-cases/1", "id": "a", "number": 1, "title": "", "citation": "", "kind": "relation"}
    data |= {"derivation": "matrix", "revision": 1, "check": "none", "adapters_only": "it is only read"}
    return Case.from_data(json.loads(json.dumps(data | {"network": network, "input": [["0"]]}))).network


def with_text(network: dict[str, Any]) -> dict[str, Any]:
    """The description as JSON has it, with text in place of arrays."""
    layers = {
        key: layer | {"arrays": {name: as_text(np.asarray(array)) for name, array in layer["arrays"].items()}}
        for key, layer in network["layers"].items()
    }
    return network | {"layers": layers}


def computes(rule: Any) -> Callable[..., Any]:
    """A function of plain data that computes a rule of lrpref."""
    return lambda network, x, seed: lrpref.explain(read_back(with_text(network)), x, rule=rule, seed=seed)


def simple(network: dict[str, Any], x: Any, seed: Any, epsilon: float = 0.0) -> Any:
    """LRP-0 or LRP-epsilon for one Dense layer without bias."""
    layer, *more = network["layers"].values()
    if layer["type"] != "Dense" or "bias" in layer["arrays"] or more:
        raise NotImplementedError("anything but one Dense layer")
    w = layer["arrays"]["weight"]
    z = x @ w.T
    z = z + epsilon * np.where(z >= 0, 1, -1)
    return x * (np.where(z == 0, 0, seed / np.where(z == 0, 1, z)) @ w)


# ---- the description ---------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, database=None)
@given(lrp.networks())
def test_a_description_is_read_back_as_the_same_network(case: Any) -> None:
    """Text as fractions loses nothing, and a layer used twice stays one layer."""
    built = read_back(described(case.net, as_text))
    assert [(n.name, type(n.layer), n.inputs) for n in built.nodes] == [
        (n.name, type(n.layer), n.inputs) for n in case.net.nodes
    ]
    assert len({id(n.layer) for n in built.nodes}) == len({id(n.layer) for n in case.net.nodes})
    assert_array_equal(built.forward(case.x), case.net.forward(case.x))


@settings(max_examples=60, deadline=None, database=None)
@given(lrp.rules(shapes=((2, 3),)))
def test_a_described_rule_is_read_back_as_the_same_rule(rule: Any) -> None:
    spec = json.loads(json.dumps(described_rule(rule)))
    assert type(make_rule(spec, floats)) is type(rule)
    assert described_rule(make_rule(spec, floats)) == spec


# ---- laws --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_lrp_0_satisfies_every_law() -> None:
    found = verify(computes("zero"), like="zero", max_examples=FEW)
    assert {outcome.verdict for outcome in found.outcomes} == {"holds"}, found
    assert [outcome.law for outcome in found.outcomes] == list(LAWS)
    assert found.passed


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["z-plus", "epsilon-plus-flat", "gamma(stabilizer=1e-6)", "w-square"])
def test_the_rules_of_lrpref_are_those_of_lrpref(rule: str) -> None:
    assert verify(computes(rule), like=rule, only=["check_oracle"], max_examples=FEW).passed


def nan(network: Any, x: Any, seed: Any) -> Any:
    return x * ((seed / (x @ network["layers"]["dense0"]["arrays"]["weight"].T)) @ np.ones((seed.shape[1], x.shape[1])))


def spoils(network: Any, x: Any, seed: Any) -> Any:
    found = simple(network, x, seed)
    x += 1
    return found


def remembers(network: Any, x: Any, seed: Any, calls: list[int] = []) -> Any:  # noqa: B006
    calls.append(0)
    return simple(network, x, seed) + len(calls)


def raises(network: Any, x: Any, seed: Any) -> Any:
    raise KeyError("weight")


PLANTED: dict[str, tuple[Callable[..., Any], str]] = {
    # what is wrong -> the function, and the law that notices
    "one sample too few": (lambda n, x, s: simple(n, x, s)[1:], "check_shape"),
    "no numbers": (lambda n, x, s: "relevance", "check_shape"),
    "an exception": (raises, "check_shape"),
    "0 / 0": (nan, "check_finite"),
    "writes on the input": (spoils, "check_no_mutation"),
    "keeps state": (remembers, "check_no_mutation"),
    "the maximum of the batch": (
        lambda n, x, s: simple(n, x, s) / max(abs(simple(n, x, s)).max(), 1e-9),
        "check_batch_independence",
    ),
    "R squared": (lambda n, x, s: simple(n, x, s * abs(s)), "check_linear_in_R"),
    "gradient times input": (
        lambda n, x, s: simple(n, x, s * (x @ n["layers"]["dense0"]["arrays"]["weight"].T)),
        "check_conservation",
    ),
    "half of it": (lambda n, x, s: simple(n, x, s) / 2, "check_conservation"),
    "a large epsilon": (lambda n, x, s: simple(n, x, s, 0.25), "check_scale_covariance"),
    "another rule": (lambda n, x, s: abs(simple(n, x, s)), "check_oracle"),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_found_with_a_small_case(mistake: str) -> None:
    function, law = PLANTED[mistake]
    tries = MORE if law == "check_batch_independence" else FEW
    found = verify(function, like="zero", only=[law], max_examples=tries)
    [outcome] = found.outcomes
    assert outcome.verdict == "FAILS", found
    assert not found.passed
    assert outcome.case is not None
    assert [type(layer) for _, layer, _ in outcome.case.net.nodes] == [Dense]
    assert lrpref.testing.numbers(outcome.case) <= 12
    assert outcome.violated <= outcome.asked
    assert f"{law}" in str(found)
    assert outcome.problem in str(found)


def test_an_exception_violates_one_law_only() -> None:
    """The others are not asked: every law would fail otherwise, and none of them would say why."""
    found = verify(raises, like="zero", max_examples=3)
    verdicts = {outcome.law: outcome.verdict for outcome in found.outcomes}
    assert verdicts.pop("check_shape") == "FAILS"
    assert set(verdicts.values()) == {"not asked"}
    assert "raised KeyError: 'weight'" in str(found)


@pytest.mark.slow
def test_a_nan_violates_one_law_only() -> None:
    found = verify(lambda n, x, s: x * np.nan, like="zero", max_examples=3)
    assert [o.law for o in found.outcomes if o.verdict == "FAILS"] == ["check_finite"]


@pytest.mark.slow
def test_whoever_spoils_its_arguments_is_asked_on() -> None:
    """It violates one law, and the networks of the others are not spoiled."""

    def spoils_everything(network: Any, x: Any, seed: Any) -> Any:
        found = simple(network, x, seed)
        for array in (x, seed, network["layers"]["dense0"]["arrays"]["weight"]):
            array += 1
        return found

    found = verify(spoils_everything, like="zero", only=["check_no_mutation", "check_linear_in_R"], max_examples=FEW)
    assert [outcome.verdict for outcome in found.outcomes] == ["FAILS", "holds"]


@pytest.mark.slow
def test_whoever_writes_on_a_weight_is_noticed() -> None:
    """The second answer is the same, because LRP-0 does not depend on the scale of the weights."""

    def doubles(network: Any, x: Any, seed: Any) -> Any:
        found = simple(network, x, seed)
        weight = network["layers"]["dense0"]["arrays"]["weight"]
        weight *= 2
        return found

    [outcome] = verify(doubles, like="zero", only=["check_no_mutation"], max_examples=FEW).outcomes
    assert outcome.verdict == "FAILS"
    assert "weight" in outcome.problem


@pytest.mark.slow
def test_relevance_counted_twice_at_a_skip_connection_is_found() -> None:
    def twice(network: Any, x: Any, seed: Any) -> Any:
        if "Add" not in {layer["type"] for layer in network["layers"].values()}:
            raise NotImplementedError("networks without a skip connection")
        return 2 * computes("zero")(network, x, seed)

    found = verify(twice, only=["check_conservation"], max_examples=10)
    [outcome] = found.outcomes
    assert outcome.verdict == "FAILS"
    assert outcome.case is not None
    assert any(isinstance(layer, lrpref.Add) for _, layer, _ in outcome.case.net.nodes)


def test_conservation_is_shown_for_the_network_that_was_asked() -> None:
    """Not for the one from which it was made by making all numbers positive."""
    seen: list[Any] = []

    def half(network: Any, x: Any, seed: Any) -> Any:
        seen.append((x.tolist(), network["layers"]["dense0"]["arrays"]["weight"].tolist()))
        return simple(network, x, seed) / 2

    [outcome] = verify(half, only=["check_conservation"], max_examples=5).outcomes
    assert outcome.case is not None
    assert (outcome.case.x.tolist(), outcome.case.net.nodes[0].layer.weight.tolist()) == ([[1.0]], [[1.0]])
    assert ([[1.0]], [[1.0]]) in seen


@pytest.mark.slow
def test_a_law_that_is_expected_to_fail_must_fail() -> None:
    expected = {"check_scale_covariance": "epsilon has the unit of z", "check_linear_in_R": "a mistake of mine"}
    found = verify(
        lambda n, x, s: simple(n, x, s, 0.25), only=list(expected), expected_failed=expected, max_examples=FEW
    )
    verdicts = {outcome.law: outcome.verdict for outcome in found.outcomes}
    assert verdicts == {"check_linear_in_R": "UNEXPECTEDLY HOLDS", "check_scale_covariance": "expected failure"}
    assert not found.passed
    assert "epsilon has the unit of z" in str(found)
    del expected["check_linear_in_R"]
    assert verify(
        lambda n, x, s: simple(n, x, s, 0.25), only=list(expected), expected_failed=expected, max_examples=FEW
    ).passed


@pytest.mark.slow
def test_whoever_declines_everything_has_not_passed() -> None:
    def nothing(network: Any, x: Any, seed: Any) -> Any:
        raise NotImplementedError("too early")

    found = verify(nothing, max_examples=2)
    assert {outcome.verdict for outcome in found.outcomes} == {"not asked"}
    assert not found.passed
    assert "networks were declined: too early" in str(found)


def test_names_of_laws_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="check_finit"):
        verify(simple, only=["check_finit"])
    with pytest.raises(UnknownNameError, match="check_oracle"):
        verify(simple, only=["check_shape"], expected_failed={"check_oracle": "why"})
    with pytest.raises(ParameterError, match="give the reason"):
        verify(simple, expected_failed={"check_fold": " "})
    with pytest.raises(ParameterError, match="expected a function"):
        verify(3)  # type: ignore[arg-type]


# ---- networks about which nothing is said --------------------------------------------------------------------------


def test_a_denominator_that_cancels_is_left_out() -> None:
    net = Network.sequential(Dense([[1.0, -1.0]]), names=["fc"])
    demand_clear(net, np.array([[1.0, 2.0]]), {"fc": rules.Zero()})
    demand_clear(net, np.array([[1.0, 1.0]]), {"fc": rules.ZPlus()})  # its denominator is 1
    demand_clear(net, np.array([[0.0, 0.0]]), {"fc": rules.Zero()})  # nothing to share: no convention is needed
    for x in ([[1.0, 1.0]], [[1.0, 1.0 + 1e-3]]):
        with pytest.raises(Unsaid, match="cancels at fc"):
            demand_clear(net, np.array(x), {"fc": rules.Zero()})


def test_a_tie_for_a_maximum_is_left_out() -> None:
    net = Network.sequential(MaxPool2D((1, 2)), Flatten(), names=["pool", "flat"])
    demand_clear(net, np.array([[[[1.0, 2.0]]]]), {})
    with pytest.raises(Unsaid, match="tie at pool"):
        demand_clear(net, np.array([[[[2.0, 2.0]]]]), {})


# ---- programs ------------------------------------------------------------------------------------------------------

QUESTION = Question(Network.sequential(Dense([[0.5, -2.0]]), names=["fc"]), np.ones((1, 2)), np.array([[3.0]]))


def program(code: str, timeout: float = 20) -> Program:
    return Program([sys.executable, "-c", textwrap.dedent(code)], timeout)


def answering(relevance: str, more: str = "") -> Program:
    """A program that answers every question with an expression of Python."""
    return program(
        f"""
        import json, sys
        for line in sys.stdin:
            question = json.loads(line)
            print(json.dumps({{"id": question["id"], "relevance": {relevance}}}), flush=True){more}
        """
    )


def test_a_program_is_asked_in_the_format_of_the_cases() -> None:
    shares = '[[1, question["network"]["layers"]["fc"]["arrays"]["weight"][0][1]]]'
    with answering(shares) as ask:
        assert_array_equal(ask(QUESTION), [[1.0, -2.0]])
        assert_array_equal(ask(QUESTION), [[1.0, -2.0]])


def test_answers_may_be_text_and_not_finite() -> None:
    with answering('[["1/4", "-3"], [None, float("inf")]]') as ask:
        assert_array_equal(ask(QUESTION), [[0.25, -3.0], [np.nan, np.inf]])


def test_a_program_may_decline() -> None:
    code = """
    import json, sys
    for line in sys.stdin:
        print(json.dumps({"id": json.loads(line)["id"], "not_offered": "no Dense layers"}), flush=True)
    """
    with program(code) as ask, pytest.raises(NotOffered, match="no Dense layers"):
        ask(QUESTION)


BROKEN = {
    # what is wrong -> the program, and what the message must contain
    "a crash": ("import sys; print('no licence', file=sys.stderr); sys.exit(3)", ["exit code 3", "no licence"]),
    "an exception": ("1 / 0", ["ended without an answer (exit code 1)", "ZeroDivisionError"]),
    "words": ("print('Hello')", ["not JSON", "'Hello'", "standard error is empty"]),
    "no object": ("print(3)", ["is not an answer: '3'", '{"id": 1, "relevance": ...}']),
    "no relevance": ("print('{\"id\": 1}')", ["is not an answer"]),
    "an older answer": ('print(\'{"id": 7, "relevance": [[1]]}\')', ["question 7 when asked question 1"]),
    "ragged lists": ('print(\'{"id": 1, "relevance": [[1], [1, 2]]}\')', ["not an array"]),
    "text": ('print(\'{"id": 1, "relevance": [["much"]]}\')', ["not an array", "much"]),
    "truth values": ('print(\'{"id": 1, "relevance": [[true]]}\')', ["not an array", "True"]),
    "an endless line": ("import sys\nwhile True: sys.stdout.write('1' * 100000)", ["more than 16777216 bytes"]),
    "no UTF-8": ("import sys; sys.stdout.buffer.write(b'\\xff\\n')", ["not JSON"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_program_is_refused_with_what_it_said(fault: str) -> None:
    code, words = BROKEN[fault]
    with program(code) as ask:
        with pytest.raises(ProgramError) as caught:
            ask(QUESTION)
        for word in words:
            assert word in str(caught.value)
        with pytest.raises(ProgramError) as again:
            ask(QUESTION)
    assert again.value is caught.value


@pytest.mark.slow
def test_a_silent_program_is_ended_with_what_it_started(tmp_path: Path) -> None:
    child = "import time; time.sleep(60)"
    code = f"""
    import subprocess, sys, time
    started = subprocess.Popen([sys.executable, "-c", {child!r}])
    open({str(tmp_path / "pid")!r}, "w").write(str(started.pid))
    print("loading", file=sys.stderr, flush=True)
    time.sleep(60)
    """
    begun = monotonic()
    with program(code, timeout=3) as ask, pytest.raises(ProgramError, match=r"within 3 s(.|\n)*loading"):
        ask(QUESTION)
    assert monotonic() - begun < 40
    if os.name == "posix":
        pid = int((tmp_path / "pid").read_text())
        while alive(pid) and monotonic() - begun < 40:  # a signal may take a moment
            sleep(0.1)
        assert not alive(pid)


def alive(pid: int) -> bool:
    """Whether a process runs. One that has been killed may remain as a zombie until its parent notices."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_program_that_does_not_read_is_ended() -> None:
    """A question larger than a pipe holds cannot be written."""
    large = Question(Network.sequential(Dense(np.ones((200, 200)))), np.ones((1, 200)), np.ones((1, 200)))
    with program("import time; time.sleep(60)", 1) as ask, pytest.raises(ProgramError, match="within 1 s"):
        ask(large)


def test_a_program_that_cannot_be_started() -> None:
    with pytest.raises(ProgramError, match="cannot start 'no-such-program-anywhere'"):
        Program("no-such-program-anywhere")(QUESTION)
    with pytest.raises(ParameterError, match="command of a program"):
        Program("")
    with pytest.raises(ParameterError, match="quotation"):
        Program("julia 'my.jl")
    with pytest.raises(ParameterError, match="positive number of seconds"):
        Program("julia my.jl", timeout=0)


def test_a_program_that_breaks_down_ends_the_verification_and_the_network_is_named() -> None:
    with (
        answering('[[0 for _ in x] for x in question["input"]]', "\n            if question['id'] == 4: 1 / 0") as ask,
        pytest.raises(ProgramError, match=r"ZeroDivisionError(.|\n)*question was about\n +dense0 = Dense"),
    ):
        verify(ask, max_examples=3)


# ---- counter-examples as cases ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_counter_examples_are_cases_that_others_can_be_asked(tmp_path: Path) -> None:
    """Whoever was verified differs on each of them, and lrpref agrees, in fractions too."""

    def batchwise(network: Any, x: Any, seed: Any) -> Any:
        R = simple(network, x, seed)
        return R / max(abs(R).max(), 1)

    found = verify(batchwise, like="zero", max_examples=MORE)
    ids = write_cases(found, tmp_path / "found")
    assert {"batch-independence", "linear-in-R", "oracle"} <= set(ids)
    assert [case["id"] for case in lrp_cases.load(tmp_path / "found")] == ids
    cases = load_cases(tmp_path / "found")
    assert [case.id for case in cases] == ids
    assert run_suite(Asked(Function(batchwise)), cases).counts["differs"] == len(ids)
    for adapter in ("lrpref", "lrpref.conformance.adapters.lrpref:exact"):
        assert run_suite(load_adapter(adapter), cases).counts["agrees"] == len(ids)


@pytest.mark.slow
def test_counter_examples_follow_the_schema_of_the_cases(tmp_path: Path) -> None:
    """Those of a rule that is wrong on every kind of network, so that the smallest has several layers, too."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((lrp_cases.DATA / "schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    index = jsonschema.Draft202012Validator({**schema, "$ref": "#/$defs/index"})
    for number, layer in enumerate(("Dense", "Add")):
        folder = tmp_path / str(number)
        found = verify(halved_with(layer), like="zero", only=["check_oracle"], max_examples=FEW)
        assert write_cases(found, folder) == ["oracle"], found
        [case] = lrp_cases.load(folder)
        assert layer in {each["type"] for each in case["network"]["layers"].values()}
        validator.validate(json.loads((folder / "cases" / "oracle.json").read_text(encoding="utf-8")))
        index.validate(json.loads((folder / "index.json").read_text(encoding="utf-8")))


def halved_with(layer: str) -> Callable[..., Any]:
    """LRP-0, halved on networks that have a layer of this type."""

    def explain(network: Any, x: Any, seed: Any) -> Any:
        there = layer in {each["type"] for each in network["layers"].values()}
        return computes("zero")(network, x, seed) / (2 if there else 1)

    return explain


@pytest.mark.slow
def test_a_mistake_that_no_single_answer_shows_has_no_case(tmp_path: Path) -> None:
    found = verify(spoils, like="zero", only=["check_no_mutation"], max_examples=FEW)
    assert not found.passed
    assert write_cases(found, tmp_path / "found") == []
    assert not (tmp_path / "found").exists()


def test_cases_need_a_rule_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="states the rule of each layer"):
        write_cases(verify(raises, max_examples=1), tmp_path / "found")
    (tmp_path / "mine.txt").touch()
    with pytest.raises(OutputError, match="a new or empty folder"):
        write_cases(verify(raises, like="zero", max_examples=1), tmp_path)


@settings(max_examples=25, deadline=None, database=None)
@given(lrp.networks())
def test_relevance_by_matrices_is_that_of_the_exact_engine(case: Any) -> None:
    """Two computations in fractions that share no code of the rules."""
    by = lrpref.composites.resolve("gamma(gamma=0.25, stabilizer=0.125)")
    R = np.ones(case.net.forward(case.x).shape)
    question = Question(case.net, case.x, R, dict(by.assign(case.net)))
    net = lrpref.exact(case.net)
    expected = lrpref.explain(net, lrpref.exact(case.x), rule=by, seed=lrpref.exact(R))
    assert_array_equal(by_matrices(question), expected)


def test_relevance_by_matrices_by_hand() -> None:
    """z = 1 * 1 - 2 * 1 = -1, and LRP-0 sends 1 / -1 and -2 / -1 of 3."""
    net = Network.sequential(Dense([[1.0, -2.0]]), names=["fc"])
    found = by_matrices(Question(net, np.ones((1, 2)), np.array([[3.0]]), {"fc": rules.Zero()}))
    assert found.tolist() == [[Fraction(-3), Fraction(6)]]


# ---- the command line, and the page --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "either a Python function"),
        (["a:b", "--program", "c"], "either a Python function"),
        (["nomodule_of_mine:f"], "cannot import 'nomodule_of_mine:f'"),
        (["json"], "expected MODULE:FUNCTION"),
        (["json:nothing"], "cannot import"),
        (["math:hypot", "--cases", "found"], "name the rule with --like"),
        (["math:hypot", "--expect", "check_fold"], "expected LAW=REASON"),
        (["math:hypot", "--like", "epsilom"], "epsilon"),
        (["--program", "no-such-program-anywhere"], "cannot start"),
    ],
)
def test_a_mistake_on_the_command_line_is_reported_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", *arguments]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


def blocks(kind: str) -> list[tuple[str, str]]:
    """The commands of one kind on the page, each with the output that follows it."""
    return re.findall(rf"<!-- {kind} -->\n```sh\n(.*?)\n```\n\n```text\n(.*?)```", page(), re.DOTALL)


def page() -> str:
    return (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")


def files() -> dict[str, str]:
    """The files on the page by name."""
    return dict(re.findall(r"<!-- (\w+\.py) -->\n```python\n(.*?)```", page(), re.DOTALL))


def without_counts(text: str) -> str:
    """The output without the numbers of random networks, which depend on the version of Hypothesis."""
    text = re.sub(r"(check_\w+) +\d+( of \d+)? +", r"\1  ", text)
    return re.sub(r"\d+ networks were declined: .*", "networks were declined", text)


def said_by(command: str, folder: Path) -> str:
    """What a command of the page prints in a folder that holds the files of the page."""
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "bin").mkdir(exist_ok=True)
    python = folder / "bin" / "python"
    if not python.exists():
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "120",
    }  # fmt: skip
    script = re.sub(r"^lrpref", "python -m lrpref", command)
    done = subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    assert done.returncode == int("FAILS" in done.stdout), done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the commands are those of a POSIX shell")
def test_the_page_shows_what_its_commands_print(tmp_path: Path) -> None:
    commands = blocks("shell")
    assert len(commands) >= 5
    for command, expected in commands:
        assert without_counts(said_by(command, tmp_path)) == without_counts(expected)


def test_the_program_on_the_page_needs_neither_lrpref_nor_numpy(tmp_path: Path) -> None:
    """It runs without any installed package, and answers the question that the page shows."""
    code = files()["epsilon.py"]
    names = {alias.name for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import) for alias in node.names}
    assert names == {"json", "sys"}
    (tmp_path / "epsilon.py").write_text(code, encoding="utf-8")
    question, *answers = re.findall(r"```json\n(.*?)```", page(), re.DOTALL)
    line = json.dumps(json.loads(question))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "epsilon.py"], input=line, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    shown = json.loads(answers[0].splitlines()[0])
    found = json.loads(done.stdout)
    assert found["id"] == shown["id"]
    assert np.allclose(found["relevance"], shown["relevance"], rtol=1e-5)


def test_the_question_on_the_page_is_one() -> None:
    shown = json.loads(re.findall(r"```json\n(.*?)```", page(), re.DOTALL)[0])
    net = Network.sequential(Dense([[0.5, -2.0]]), names=["dense0"])
    question = Question(net, np.ones((1, 2)), np.array([[3.0]]), {"dense0": rules.Zero()})
    assert {"id": 1} | question.as_data() == shown


def test_the_page_lists_every_law() -> None:
    assert re.findall(r"^\| `(check_\w+)`", page(), re.MULTILINE) == list(LAWS)


def test_a_program_over_a_pipe_has_the_answers_of_a_function(tmp_path: Path) -> None:
    """The program on the page, asked about two layers, against lrpref."""
    (tmp_path / "epsilon.py").write_text(files()["epsilon.py"], encoding="utf-8")
    net = Network.sequential(Dense([[1.0, -0.5], [2.0, 1.0]], [0.5, -1.0]), ReLU(), Dense([[1.0, 3.0]]))
    x, R = np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([[1.0], [-2.0]])
    with Program([sys.executable, "-I", "-S", str(tmp_path / "epsilon.py")]) as ask:
        found = ask(Question(net, x, R))
    assert np.allclose(found, lrpref.explain(net, x, rule="epsilon", seed=R), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_the_page_shows_what_its_python_prints() -> None:
    [(code, expected)] = re.findall(r"```python\n(from lrpref.*?)```\n\n```text\n(.*?)```", page(), re.DOTALL)
    out = StringIO()
    with redirect_stdout(out):
        exec(compile(code, "verify.md", "exec", dont_inherit=True), {})
    assert out.getvalue() == expected


def test_errors_are_those_of_lrpref() -> None:
    assert issubclass(ProgramError, LrprefError)
