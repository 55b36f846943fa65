"""`lrp.js`, the engine of the page to play with, judged in Node: by the conformance cases, and by this library."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from fractions import Fraction
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lrp_cases.__main__ import main as lrp_cases
from numpy.testing import assert_allclose

import lrpref
from lrpref import (
    Add,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LeakyReLU,
    MaxPool2D,
    Network,
    ReLU,
    ReLU6,
    Scale,
    Softmax,
    Tanh,
    composites,
    evaluation,
    play,
    rules,
)
from lrpref.play.embedding import encoded

HERE = Path(__file__).parent / "play"
FOLDER = Path(lrpref.__file__).parent / "play"

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed (Debian: nodejs)")


def node(script: str, *arguments: object, given: str) -> str:
    """What a script prints that reads `given`."""
    command = ["node", HERE / script, *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked(*questions: Mapping[str, Any], **networks: Any) -> list[Any]:
    """The answers of compute.js, all from one process; the questions name the networks."""
    given = json.dumps({"networks": networks, "questions": questions})
    found: list[Any] = json.loads(node("compute.js", FOLDER, given=given))
    return found


# ---- the conformance cases ---------------------------------------------------------------------------------------

ANSWERED = {"core": 93, "rules": 43, "layers": 63, "composites": 27, "lrpref": 60}
"""How many cases of a profile lrp.js answers. What it lacks are layers, float32, and what only adapters are asked."""


@pytest.mark.parametrize("profile", ["core", *(pytest.param(name, marks=pytest.mark.slow) for name in [*ANSWERED][1:])])
def test_the_cases_judge_its_answers(profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lrp_cases(["ask", "--float", "--profile", profile]) == 0
    answers = tmp_path / "answers.json"
    answers.write_text(node("answer.js", FOLDER / "lrp.js", given=capsys.readouterr().out))
    code = lrp_cases(["judge", str(answers), "--profile", profile])
    said = capsys.readouterr().out
    assert code == 0, said
    assert re.search(r"^ *(\d+)  agrees$", said, re.MULTILINE)[1] == str(ANSWERED[profile])  # type: ignore[index]
    assert not re.search(r"^ *\d+  (differs|error|convention)$", said, re.MULTILINE)


def test_what_it_lacks_in_the_core_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No layer and no rule: only float32, which JavaScript's numbers are not."""
    lrp_cases(["ask", "--float", "--profile", "core"])
    answers = json.loads(node("answer.js", FOLDER / "lrp.js", given=capsys.readouterr().out))
    lacking = {key: given["not_offered"] for key, given in answers.items() if isinstance(given, dict)}
    assert set(lacking.values()) == {"lrp.js does not offer the precision float32"}
    assert all(key.endswith("/float32") for key in lacking)


# ---- the maps of networks ----------------------------------------------------------------------------------------

BOX = {"low": [0.0], "high": [1.0]}
RULES: dict[str, tuple[Any, Any]] = {
    **{name: (name, name) for name in ("epsilon-plus", "epsilon-plus-flat")},
    **{name: (name, name) for name in ("epsilon-alpha2-beta1", "epsilon-alpha2-beta1-flat")},
    "epsilon-gamma-box": ("epsilon-gamma-box", composites.EpsilonGammaBox(0.0, 1.0)),
    "zero": ({"type": "Zero"}, rules.Zero()),
    "epsilon": ({"type": "Epsilon", "epsilon": 0.25}, rules.Epsilon(0.25)),
    "epsilon-rms": ({"type": "Epsilon", "epsilon": 0.1, "scale": "rms"}, rules.Epsilon(0.1, "rms")),
    "gamma": ({"type": "Gamma", "gamma": 0.5}, rules.Gamma(0.5)),
    "alpha-beta": ({"type": "AlphaBeta", "empty": "renormalise"}, rules.AlphaBeta(empty="renormalise")),
    "z-plus": ({"type": "ZPlus"}, rules.ZPlus()),
    "z-box": ({"type": "ZBox", "low": -1, "high": 2}, rules.ZBox(-1.0, 2.0)),
    "w-square": ({"type": "WSquare"}, rules.WSquare()),
    "flat": ({"type": "Flat"}, rules.Flat()),
    "absolute": ({"type": "Absolute", "stabilizer": 0.125}, rules.Absolute(0.125)),
    "relative": ({"type": "Relative"}, rules.Relative()),
    "relative-bare": ({"type": "Relative", "reading": "bare"}, rules.Relative("bare")),
}
"""Name -> the rule as lrp.js and as lrpref take it."""

SHIPPED = ("mnist-mlp", "mnist-cnn", "mnist-cnn-bn")


def embedded(net: Network, x: np.ndarray) -> dict[str, Any]:
    """A network for inputs like x, as the page has it."""
    return play.embedded(net, "a network", {}, x.shape[1:])


def question(x: np.ndarray, rule: str, network: str = "net", **more: Any) -> dict[str, Any]:
    box = {"box": BOX} if rule == "epsilon-gamma-box" else {}
    return {"ask": "trace", "network": network, "x": encoded(x[0]), "rule": RULES[rule][0], **box, **more}


def assert_agrees(answer: Mapping[str, Any], net: Network, x: np.ndarray, rule: str, **more: Any) -> None:
    """Relevance, logits and books agree with lrpref's in float64, to rounding.

    The page promises 1e-5 of the largest entry. Both compute in float64, so the bound is that of rounding in networks
    whose denominators cancel to one part in a million at worst.
    """
    tr = lrpref.trace(net.astype(np.float64), x.astype(np.float64), rule=RULES[rule][1], **more)
    close(answer["relevance"]["data"], tr.relevance[0], 1e-9)
    close(answer["logits"]["data"], tr.logits[0], 1e-12)
    books = {entry["node"]: entry for entry in answer["ledger"]}
    assert list(books) == tr.ledger.nodes
    for column in ("out", "in", "bias", "stabilizer", "dropped", "factor"):
        close([books[name][column] for name in tr.ledger.nodes], tr.ledger[column][:, 0], 1e-9, tr.ledger["out"])


def close(got: Any, expected: np.ndarray, bound: float, units: np.ndarray | None = None) -> None:
    """Equal to a part of the largest magnitude of `units`, or of what is expected."""
    largest = float(np.abs(expected if units is None else units).max())
    assert_allclose(got, np.ravel(expected), rtol=0, atol=bound * max(largest, 1.0))


def shipped(name: str, *names: str, x: np.ndarray | None = None) -> None:
    """Compare the maps of a shipped network under these rules, for the digit that looks like a nine and a four.

    Relative LRP needs BatchNorm folded, so both fold it first.
    """
    net, x = lrpref.load(name).astype(np.float64), lrpref.samples.load("hard-1") if x is None else x
    given = embedded(lrpref.load(name), x)
    folded = [rule.startswith("relative") for rule in names]
    answers = asked(*(question(x, rule, fused=fused) for rule, fused in zip(names, folded, strict=True)), net=given)
    for rule, fused, answer in zip(names, folded, answers, strict=True):
        assert_agrees(answer, lrpref.fuse(net) if fused else net, x, rule)


def test_its_maps_of_a_shipped_network_are_lrprefs() -> None:
    shipped("mnist-cnn", "epsilon-plus-flat", "relative")


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_its_maps_of_the_shipped_networks_are_lrprefs_under_every_rule(name: str) -> None:
    shipped(name, *RULES)


@pytest.mark.slow
def test_a_folded_network_is_that_of_lrpref() -> None:
    x = lrpref.samples.load("digit-4")
    net = lrpref.load("mnist-cnn-bn").astype(np.float64)
    names = ("zero", "epsilon-plus-flat")
    answers = asked(*(question(x, rule, fused=True) for rule in names), net=embedded(net, x))
    for rule, answer in zip(names, answers, strict=True):
        assert_agrees(answer, lrpref.fuse(net), x, rule)


def test_other_targets_seeds_and_the_difference_of_two_logits() -> None:
    rng = np.random.default_rng(3)
    first, second = (Dense(rng.normal(size=shape).astype(np.float32)) for shape in ((5, 4), (3, 5)))
    net = Network.sequential(Flatten(), first, ReLU(), second)
    x, seed = rng.normal(size=(1, 1, 2, 2)).astype(np.float32), np.array([[0.0, 3.0, -2.0]])
    array = {"shape": [3], "data": seed[0].tolist()}
    asks = [{"target": 2}, {"target": 2, "seed": "one"}, {"target": 2, "seed": "probability"}, {"seed": array}]
    answers = asked(*(question(x, "gamma", **more) for more in asks), net=embedded(net, x))
    for answer, more in zip(answers, [*asks[:3], {"seed": seed}], strict=True):
        assert_agrees(answer, net, x, "gamma", **more)


def every_layer(rng: np.random.Generator) -> Network:
    """A network of all layers that lrp.js has, with every parameter used; its numbers are float32."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    positive = (abs(draw(6)) + 0.5).astype(np.float32)
    convolution = Conv2D(draw(6, 1, 3, 2), draw(6), stride=(2, 2), padding=(1, 0, 2, 1), dilation=(1, 2), groups=3)
    return Network(
        [
            ("conv", convolution, ["input"]),
            ("norm", BatchNorm(draw(6), None, draw(6), positive), ["conv"]),
            ("leaky", LeakyReLU(0.125), ["norm"]),
            ("average", AvgPool2D(3, 1, padding=1, count_include_pad=False), ["leaky"]),
            ("padded", AvgPool2D((3, 3), (1, 1), padding=(1, 1)), ["leaky"]),
            ("first", MaxPool2D(3, 1, padding=1), ["leaky"]),
            ("equal", MaxPool2D(3, 1, padding=1, ties="equal"), ["leaky"]),
            ("sum", Add(), ["average", "padded", "first", "equal"]),
            ("scale", Scale(draw(6), draw(6)), ["sum"]),
            ("tanh", Tanh(), ["scale"]),
            ("dropout", Dropout(), ["tanh"]),
            ("six", ReLU6(), ["dropout"]),
            ("global", GlobalAvgPool2D(), ["six"]),
            ("flat", Flatten(), ["global"]),
            ("dense", Dense(draw(4, 6)), ["flat"]),
            ("relu", ReLU(), ["dense"]),
            ("logits", Dense(draw(3, 4), draw(3)), ["relu"]),
            ("softmax", Softmax(), ["logits"]),
        ]
    )


def test_every_layer_is_that_of_lrpref() -> None:
    rng = np.random.default_rng(1)
    net, x = every_layer(rng), (rng.integers(-2, 3, size=(1, 3, 8, 8)) / 2).astype(np.float32)
    assert {type(layer).__name__ for _, layer, _ in net.nodes} == {*play.FIELDS, "Softmax"}
    names = ["zero", "epsilon-plus", "epsilon-alpha2-beta1-flat", "absolute", "w-square"]
    answers = asked(*(question(x, rule, target=1, seed="one") for rule in names), net=embedded(net, x))
    for rule, answer in zip(names, answers, strict=True):
        assert_agrees(answer, net, x, rule, target=1, seed="one")
    folded = lrpref.fuse(net.astype(np.float64))
    for rule in ("relative", "relative-bare"):
        [answer] = asked(question(x, rule, target=1, seed="one", fused=True), net=embedded(net, x))
        assert_agrees(answer, folded, x, rule, target=1, seed="one")


@pytest.mark.parametrize("scale", [1e-320, 1e300])
def test_rescaled_messages_neither_overflow_nor_vanish(scale: float) -> None:
    """Relative LRP measures messages in units of the relevance that a layer received."""
    dense = Dense(np.array([[2.0, -1.0], [1.0, 3.0]], dtype=np.float32))
    x, seed = np.full((1, 1, 1, 2), 1e20, dtype=np.float32), np.array([[scale, 0.0]])
    net = Network.sequential(Flatten(), dense)
    given = question(x, "relative", seed={"shape": [2], "data": seed[0].tolist()})
    [answer] = asked(given, net=embedded(net, x))
    expected = lrpref.explain(net.astype(np.float64), x.astype(np.float64), rule=rules.Relative(), seed=seed)
    assert_allclose(answer["relevance"]["data"], expected.ravel(), rtol=1e-3 if scale < 1 else 1e-14)
    assert answer["relevance"]["data"][0] > 0


@pytest.mark.slow
def test_a_residual_network_is_that_of_lrpref() -> None:
    x = lrpref.samples.load("chelsea", (3, 32, 32))
    shipped("resnet20", "epsilon-plus-flat", "relative", "relative-bare", x=x)


# ---- what it has, and what it refuses ----------------------------------------------------------------------------


def test_the_tables_of_both_languages_are_equal() -> None:
    """Its layers are those that lrpref embeds; its rules and presets are some of lrpref's, with their parameters."""
    [tables] = asked({"ask": "tables"})
    assert {name: list(held) for name, held in play.FIELDS.items()} == tables["layers"]
    assert list(play.HEADS) == tables["heads"]
    for name, parameters in tables["rules"].items():
        assert set(parameters) <= set(signature(getattr(rules, name)).parameters)
    assert set(tables["presets"]) <= set(composites.PRESETS)
    page = (FOLDER.parent.parent / "docs" / "play.md").read_text()
    listed = page.partition("<!-- the rules of lrp.js -->")[2].partition("<!-- end -->")[0]
    assert re.findall(r"`(\w+)`", listed) == list(tables["rules"])


def test_it_refuses_by_name() -> None:
    weight, x = encoded(np.ones((1, 2))), encoded(np.ones(2))
    image = encoded(np.ones((1, 2, 2)))

    def layer(kind: str, config: dict[str, Any] | None = None, **arrays: Any) -> dict[str, Any]:
        described = {"type": kind, "config": config or {}, "arrays": arrays}
        return {"nodes": [["there", "key", ["input"]]], "layers": {"key": described}}

    networks = {
        "sigmoid": layer("Sigmoid"),
        "ceiling": layer("MaxPool2D", {"kernel_size": 2, "ceil_mode": True}),
        "pool": layer("MaxPool2D", {"kernel_size": 2, "ceil_mode": False, "stride": None}),
        "taps": layer("Conv2D", weight=weight, bias_taps=weight),
        "ties": layer("MaxPool2D", {"kernel_size": 2, "ties": "last"}),
        "norm": layer("BatchNorm", mean=encoded(np.zeros(2)), var=encoded(np.ones(2))),
        "dense": layer("Dense", weight=weight),
        "relu": layer("ReLU"),
    }
    refusals = {
        "the layer Sigmoid (node there)": ("sigmoid", None, {}),
        "MaxPool2D with ceil_mode (node there)": ("ceiling", None, {}),
        None: ("pool", None, {}),
        "Conv2D with bias_taps (node there)": ("taps", None, {}),
        "the rule Deep": ("dense", x, {"type": "Deep"}),
        "Epsilon: unsigned": ("dense", x, {"type": "Epsilon", "unsigned": True}),
        "Epsilon: epsilon = -1": ("dense", x, {"type": "Epsilon", "epsilon": -1}),
        'Epsilon: scale = "mean"': ("dense", x, {"type": "Epsilon", "scale": "mean"}),
        "AlphaBeta: alpha - beta = 2": ("dense", x, {"type": "AlphaBeta", "alpha": 3, "beta": 1}),
        'Relative: reading = "unit-norm"': ("dense", x, {"type": "Relative", "reading": "unit-norm"}),
        "MaxPool2D with ties = last": ("ties", None, {}),
        "Pass on a layer whose units have several inputs": ("dense", x, {"type": "Pass"}),
        "Dense on an input of shape (1,2,2)": ("dense", image, {"type": "Zero"}),
    }
    asks = [{"ask": "refusal", "network": n, "x": x, "rules": {"there": r}} for n, x, r in refusals.values()]
    presets = {
        "the preset epsilon-plush": ("dense", "epsilon-plush"),
        "epsilon-gamma-box on a network without a first layer for its box": ("relu", "epsilon-gamma-box"),
        "epsilon-gamma-box without the bounds of its box": ("dense", "epsilon-gamma-box"),
        "Relative LRP on a BatchNorm (node there), which must be folded first": ("norm", {"type": "Relative"}),
    }
    asks += [{"ask": "refusal", "network": n, "preset": preset} for n, preset in presets.values()]
    zero = {"ask": "refusal", "network": "dense", "x": x, "rules": {"there": {"type": "Zero"}}}
    starts = {"the target 1 of 1 outputs": {"target": 1}, "the seed logits": {"seed": "logits"}}
    asks += [{**zero, **start} for start in starts.values()]
    assert asked(*asks, **networks) == [*refusals, *presets, *starts]


# ---- exact fractions ---------------------------------------------------------------------------------------------

EXACT: dict[str, tuple[rules.Rule, dict[str, str]]] = {
    "Zero": (rules.Zero(), {}),
    "Epsilon": (rules.Epsilon(0.1), {"epsilon": "0.1"}),
    "Gamma": (rules.Gamma(0.25), {"gamma": "1/4"}),
    "AlphaBeta": (rules.AlphaBeta(3, 2), {"alpha": "3", "beta": "2"}),
    "ZPlus": (rules.ZPlus(), {}),
    "ZBox": (rules.ZBox(-1, 2.5), {"low": "-1", "high": "5/2"}),
    "WSquare": (rules.WSquare(), {}),
    "Flat": (rules.Flat(), {}),
    "Absolute": (rules.Absolute(), {}),
    "Relative": (rules.Relative("bare"), {}),
}


@pytest.mark.parametrize("name", EXACT)
def test_the_fractions_of_the_matrix_are_those_of_exact_arithmetic(name: str) -> None:
    """To the last digit, on layers in which denominators vanish, too; and lrp.js gives the same as floats."""
    rule, parameters = EXACT[name]
    rng = np.random.default_rng(2)
    drawn = [[rng.integers(-3, 4, size=shape) for shape in ((3,), (4, 3), (4,), (4,))] for _ in range(6)]
    drawn[0][0][:] = 0  # the inputs contribute nothing
    asks = [
        {"ask": "messages", "rule": {"type": name, **parameters}, **dict(zip("awbR", map(texts, parts), strict=True))}
        for parts in drawn
    ]
    for (a, w, b, R), answer in zip(drawn, asked(*asks), strict=True):
        layer = lrpref.exact(Network.sequential(Dense(w / 1.0, b / 1.0)))["dense1"]
        a, R = (np.array([[Fraction(int(k)) for k in part]], dtype=object) for part in (a, R))
        expected = lrpref.messages(layer, a, R, rule)[0]
        exact = [[fraction(text) for text in row] for row in answer["exact"]]
        assert exact == expected.tolist()
        assert_allclose(answer["engine"], expected.astype(float), rtol=1e-12, atol=1e-12)
        for row, values in zip(answer["working"], answer["exact"], strict=True):
            assert all(said.endswith(f" = {value}") for said, value in zip(row, values, strict=True))


def test_kappa_of_the_matrix_rescales_the_messages_as_lrpref_does() -> None:
    """kappa times the bare messages are the rescaled ones, exactly; without messages it is zero."""
    rng = np.random.default_rng(5)
    drawn = [[rng.integers(-3, 4, size=shape) for shape in ((3,), (4, 3), (4,), (4,))] for _ in range(4)]
    drawn[0][0][:] = 0
    asks = [
        {"ask": "messages", "rule": {"type": "Relative"}, **dict(zip("awbR", map(texts, parts), strict=True))}
        for parts in drawn
    ]
    for (a, w, b, R), answer in zip(drawn, asked(*asks), strict=True):
        layer = lrpref.exact(Network.sequential(Dense(w / 1.0, b / 1.0)))["dense1"]
        a, R = (np.array([[Fraction(int(k)) for k in part]], dtype=object) for part in (a, R))
        kappa, bare = fraction(answer["kappa"]), [[fraction(text) for text in row] for row in answer["exact"]]
        expected = lrpref.messages(layer, a, R, rules.Relative())[0].tolist()
        assert [[kappa * message for message in row] for row in bare] == expected


def fraction(text: str) -> Fraction:
    return Fraction(text.replace("−", "-"))


def test_fractions_are_in_lowest_terms() -> None:
    [answer] = asked(
        {"ask": "messages", "rule": {"type": "Zero"}, "a": ["2/4", "0.5"], "w": [["−6", "2"]], "b": ["0"], "R": ["-4"]}
    )
    assert answer["exact"] == [["−6"], ["2"]]
    assert answer["working"] == [["(−3) / (−2) · (−4) = −6"], ["1 / (−2) · (−4) = 2"]]


def test_what_is_read_as_a_fraction() -> None:
    """Nine digits at most, so that messages have a size on the page; nothing else is a number."""
    good = {"3": "3", "+3": "3", " −1 / 2 ": "−1/2", ".5": "1/2", "2.": "2", "-0": "0", "999999999.5": "1999999999/2"}
    bad = ["", "-", ".", "1/0", "1e5", "1/-2", "1.5/2", "½", "1234567890", "0.1234567890", "NaN"]
    [answer] = asked({"ask": "fractions", "texts": [*good, *bad]})
    assert answer == [*good.values(), *[None] * len(bad)]


def texts(numbers: np.ndarray) -> Any:
    return [texts(part) for part in numbers] if numbers.ndim else str(numbers)


# ---- the other numbers of the page -------------------------------------------------------------------------------


@pytest.mark.slow
def test_pixel_flipping_is_that_of_lrpref_and_the_page_prints_its_scores() -> None:
    net, x = lrpref.load("mnist-cnn").astype(np.float64), lrpref.samples.load("hard-1").astype(np.float64)
    R = lrpref.explain(net, x, rule="epsilon-plus-flat")
    given = {
        "ask": "flipping",
        "network": "net",
        "x": encoded(x[0]),
        "R": {"shape": [784], "data": R.ravel().tolist()},
    }
    asks = [(98, 0.0), (14, 0.0), (196, 0.5)]
    questions = ({**given, "fill": fill, "step": step, "target": 9} for step, fill in asks)
    for (step, fill), answer in zip(asks, answers := asked(*questions, net=embedded(net, x)), strict=True):
        expected = evaluation.abpc(net, x, R, target=9, fill=fill, step=step)
        close(answer["morf"], expected.morf.scores[0], 1e-12)
        close(answer["lerf"], expected.lerf.scores[0], 1e-12)
        assert answer["abpc"] == pytest.approx(float(expected.abpc[0]), abs=1e-12)
    page = " ".join((FOLDER / "page.html").read_text().split())
    told = f"ABPC is {answers[1]['abpc']:.2f} with steps of 14 and {answers[0]['abpc']:.2f} with steps of 98"
    assert told in page


def test_the_example_of_the_documentation_prints_what_it_says() -> None:
    page = (FOLDER.parent.parent / "docs" / "play.md").read_text()
    [(code, expected)] = re.findall(r"```js\n(.*?)```\n+```text\n(.*?)```", page, re.DOTALL)
    done = subprocess.run(
        ["node", "-"], input=code, cwd=FOLDER.parent.parent, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (expected, "")
    assert f"{ANSWERED['core']} of the 98 cases" in page
