"""Signatures: laws of writing and reading, what they distinguish, and how damaged text is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lrpref
from lrpref import (
    Add,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    Network,
    ReLU,
    Softmax,
    composites,
    rules,
)
from lrpref._support.version import CASES, __version__
from lrpref.composites import PRESETS, Composite, EpsilonPlus, EpsilonPlusFlat, resolve
from lrpref.engine import Rule
from lrpref.errors import GraphError, InputError, ParameterError, RuleError, UnknownNameError
from lrpref.relative import READINGS
from lrpref.signatures import Signature, composite_text, node_name, rule_text, seed_text
from lrpref.testing import strategies

ROOT = Path(__file__).parent.parent


def small() -> Network:
    """Two convolutions with BatchNorm, a skip connection, a pool and two Dense layers."""
    return Network(
        [
            ("conv1", Conv2D(np.ones((2, 2, 1, 1))), ["input"]),
            ("bn", BatchNorm(None, None, np.zeros(2), np.ones(2)), ["conv1"]),
            ("relu", ReLU(), ["bn"]),
            ("conv2", Conv2D(np.ones((2, 2, 1, 1))), ["relu"]),
            ("add", Add(), ["conv2", "relu"]),
            ("pool", GlobalAvgPool2D(), ["add"]),
            ("flat", Flatten(), ["pool"]),
            ("fc1", Dense(np.ones((3, 2))), ["flat"]),
            ("fc2", Dense(np.ones((2, 3))), ["fc1"]),
        ]
    )


NET = small()
PLAIN = lrpref.fuse(NET)

# ---- what is drawn -----------------------------------------------------------------------------------------------

NOT_NEGATIVE = st.one_of(
    st.floats(0, 1e6), st.integers(0, 9), st.floats(0, 1, width=32).map(np.float32), st.just(1e-300)
)


@st.composite
def alpha_beta(draw: Any) -> Rule:
    beta = draw(st.sampled_from([0, 0.25, 1, 1.5]))
    modes = draw(st.sampled_from(["keep", "ignore"])), draw(st.sampled_from(["literal", "renormalise"]))
    return rules.AlphaBeta(1 + beta, beta, *modes, draw(NOT_NEGATIVE))


@st.composite
def z_box(draw: Any) -> Rule:
    low = draw(st.one_of(st.floats(-9, 0), st.lists(st.floats(-9, 0), min_size=1, max_size=16)))
    high = draw(st.floats(0, 9))
    return rules.ZBox(low, high, draw(NOT_NEGATIVE))


RULES: st.SearchStrategy[Any] = st.one_of(
    st.just(rules.Zero()),
    st.just(rules.Pass()),
    st.builds(rules.Epsilon, NOT_NEGATIVE, st.sampled_from([None, "rms"])),
    st.builds(rules.Gamma, NOT_NEGATIVE, st.booleans(), NOT_NEGATIVE),
    alpha_beta(),
    z_box(),
    *(st.builds(kind, NOT_NEGATIVE) for kind in (rules.ZPlus, rules.WSquare, rules.Flat, rules.Absolute)),
)


@dataclass(frozen=True)
class Own(Rule):
    """A rule of one's own with parameters of every kind."""

    value: Any = 0
    inner: Any = None

    def flow(self, layer: Any, inputs: Any, R: Any) -> Any:
        return (self.inner or rules.Zero()).flow(layer, inputs, R)


OWN = st.builds(
    Own,
    st.one_of(NOT_NEGATIVE, st.text(), st.booleans(), st.none(), st.fractions(), st.just(len), st.just(np.eye(2))),
    st.one_of(st.none(), RULES, st.builds(Own, st.text(), RULES)),
)


@st.composite
def by_layer(draw: Any, drawn: Any = RULES) -> Composite:
    """A composite that gives every linear layer of NET a rule of its own, or one of a few."""
    few = draw(st.lists(drawn, min_size=1, max_size=3))
    names = [place.name for place in composites.places(NET)]
    return Composite([(name, draw(st.sampled_from(few))) for name in names])


SEEDS = st.one_of(
    st.sampled_from(["logit", "one", "probability"]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**20), 10**20),
    st.fractions(),
    st.just(np.ones((2, 3), np.float32)),
)
NODES = st.one_of(st.just(""), st.text(min_size=1).map(lambda name: name or "x"))


@st.composite
def signatures(draw: Any) -> Signature:
    """A signature of anything that has one."""
    assignment = draw(st.one_of(by_layer(), by_layer(st.one_of(RULES, OWN)), RULES.map(resolve))).assign(NET)
    several = st.dictionaries(st.text(min_size=1), st.one_of(st.none(), SEEDS), min_size=1)
    seed = draw(st.one_of(SEEDS, several.filter(lambda seeds: any(one is not None for one in seeds.values()))))
    form = draw(st.sampled_from(["plain", "direct", "winograd", "direct+winograd"]))
    node = quote(draw(NODES), safe="")
    return replace(
        lrpref.signatures.of_explanation(assignment, seed_text(seed), form, node),
        bn=draw(st.sampled_from(["none", "kept", "fused"])),
        version=draw(st.sampled_from([__version__, "10.0.1", "1.0.0rc1+local"])),
    )


# ---- laws --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(signatures())
def test_reading_inverts_writing(signature: Signature) -> None:
    assert Signature.parse(str(signature)) == signature
    assert Signature.parse(f" {signature}\n") == signature
    assert str(signature).isascii()
    assert " " not in str(signature)


@pytest.mark.slow
@given(signatures(), st.data())
def test_damaged_text_is_refused_or_says_what_it_says(signature: Signature, data: Any) -> None:
    """A text with a letter removed, replaced or added is refused, or is the only spelling of what is read."""
    text = str(signature)
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.one_of(st.sampled_from("|:;=+*()[]',#?.%-0aA"), st.characters()))
    for damaged in (
        text[:at],
        text[:at] + text[at + 1 :],
        text[:at] + letter + text[at:],
        text[:at] + letter + text[at + 1 :],
    ):
        with suppress(InputError):
            assert str(Signature.parse(damaged)) == damaged.strip()


@given(signatures())
def test_a_shortened_text_is_refused(signature: Signature) -> None:
    """Only the digits of the last number can be missing unnoticed."""
    text = str(signature)
    for end in range(text.rindex(".") + 1):
        with pytest.raises(InputError, match="not a signature"):
            Signature.parse(text[:end])


@given(st.one_of(by_layer(), RULES.map(resolve)))
def test_the_rules_are_in_it_exactly(composite: Composite) -> None:
    """With the network, a signature gives back the rule of every layer, to the last digit."""
    signature = lrpref.signature(NET, composite)
    rebuilt = Signature.parse(str(signature)).composite(NET)
    assigned, again = composite.assign(NET), rebuilt.assign(NET)
    assert list(assigned) == list(again)
    assert all(lrpref.signatures._same_rule(again[name], rule) for name, rule in assigned.items())
    assert lrpref.signature(NET, rebuilt) == signature


PARAMETERS = {
    "epsilon": NOT_NEGATIVE,
    "gamma": NOT_NEGATIVE,
    "stabilizer": NOT_NEGATIVE,
    "reading": st.sampled_from(READINGS),
}


@pytest.mark.parametrize("name", PRESETS)
@given(data=st.data())
def test_every_preset_is_known_by_its_name_whatever_its_parameters(name: str, data: Any) -> None:
    taken = lrpref.signatures.inspect.signature(PRESETS[name]).parameters
    drawn = {key: data.draw(PARAMETERS[key]) for key in taken if key in PARAMETERS and data.draw(st.booleans())}
    bounds = {"low": data.draw(st.lists(st.floats(-9, 0), min_size=1, max_size=16)), "high": 1.5}
    made = PRESETS[name](**{key: value for key, value in bounds.items() if key in taken}, **drawn)
    text = composite_text(made)
    assert text is not None
    assert text.partition("(")[0] == name
    again = resolve(text)
    assert lrpref.signatures._makes(lambda: again, made)


@given(st.sampled_from(sorted(PRESETS)), st.data())
def test_a_changed_preset_has_no_name(name: str, data: Any) -> None:
    """A pair replaced, added or removed, and a parameter that differs between the pairs."""
    pairs = list((PRESETS[name](0, 1) if name == "epsilon-gamma-box" else PRESETS[name]()).pairs)
    at = data.draw(st.integers(0, len(pairs) - 1))
    other = data.draw(RULES.filter(lambda rule: not lrpref.signatures._same_rule(rule, pairs[at][1])))
    changed = data.draw(st.sampled_from(["replaced", "added", "removed"]))
    kept = [*pairs[:at], *pairs[at + 1 :]]
    made = {
        "replaced": [*pairs[:at], (pairs[at][0], other), *pairs[at + 1 :]],
        "added": [*pairs[:at], (0, other), *pairs[at:]],
        "removed": kept,
    }[changed]
    text = composite_text(Composite(made, "EpsilonPlusFlat"))
    if text is not None:  # another preset, or other parameters of this one
        assert lrpref.signatures._makes(lambda: resolve(text), Composite(made))


def test_a_preset_with_one_pair_more_or_less_has_no_name() -> None:
    pairs = list(EpsilonPlus().pairs)
    for changed in ([*pairs, (0, rules.Flat())], pairs[:-1], pairs[1:], [(0, rules.Flat()), *pairs], pairs[::-1]):
        assert composite_text(Composite(changed, "EpsilonPlus")) is None
    assert composite_text(Composite(pairs, "mine")) == "epsilon-plus"


# ---- by hand -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("epsilon-plus-flat", "epsilon-plus-flat"),
        (EpsilonPlusFlat(), "epsilon-plus-flat"),
        (EpsilonPlus(stabilizer=1e-9), "epsilon-plus(stabilizer=1e-09)"),
        ("epsilon-gamma-box(low=0, high=[1, 2.5])", "epsilon-gamma-box(low=0,high=[1,2.5])"),
        ("relative", "relative"),
        (rules.Relative(rescale=False), "relative(reading='bare')"),
        (rules.Gamma(0.5), "gamma(gamma=0.5)"),
        (rules.Gamma(1.0, True), "gamma(gamma=1,generalised=True)"),
        (rules.AlphaBeta(1, 0, bias="ignore"), "alpha-beta(alpha=1,beta=0,bias='ignore')"),
        (rules.Epsilon(np.float32(0.1)), "epsilon(epsilon=0.10000000149011612)"),
        (rules.Epsilon(Fraction(1, 3)), "epsilon(epsilon=1/3)"),
        (Own(rules.Flat(), None), "own.Own(value=flat)"),
        (Own("a|b", len), "own.Own(value='a%7Cb',inner=?)"),
        (
            Composite([(0, rules.Flat()), *EpsilonPlus().pairs]),
            "layers(Conv2D=flat+z-plus(stabilizer=1e-06);BatchNorm=pass;Add=epsilon;GlobalAvgPool2D=epsilon;"
            "Dense=2*epsilon)",
        ),
    ],
    ids=str,
)
def test_rules_as_they_are_written(rule: Any, text: str) -> None:
    net = PLAIN if "relative" in text else NET
    assert lrpref.signature(net, rule).rule == text


def test_an_array_is_written_out_or_digested() -> None:
    long = rules.ZBox(np.zeros(17), 1)
    assert rule_text(rules.ZBox(np.float32([-0.5, 0]), 1)) == "z-box(low=[-0.5,0],high=1)"
    assert rule_text(long).startswith("z-box(low=array(17)#")
    assert rule_text(rules.ZBox(-np.ones((1, 2, 3)), 1)).startswith("z-box(low=array(1,2,3)#")
    assert rule_text(rules.ZBox(np.full(17, -1e-9), 1)) != rule_text(long)
    assert rule_text(rules.ZBox(-np.zeros(17, np.float32), 1)) == rule_text(long)
    with pytest.raises(RuleError, match=r"only names array\(17\)#"):
        Signature(rule_text(long)).composite(NET)


@pytest.mark.parametrize(
    ("seed", "text"),
    [("logit", "logit"), (1, "one"), (1.0, "one"), (-2.5, "-2.5"), (Fraction(1, 3), "1/3"), (1e20, "1e+20")],
)
def test_seeds_as_they_are_written(seed: Any, text: str) -> None:
    assert lrpref.signature(NET, seed=seed).seed == text


def test_the_digest_of_a_seed_depends_on_its_numbers_and_its_shape() -> None:
    seeds = [np.ones((1, 6)), np.ones((2, 3)), np.ones((1, 6)) + 1e-15, np.ones((1, 6), np.float32), [[1] * 6]]
    texts = [seed_text(seed) for seed in seeds]
    assert texts[0] == texts[3] == texts[4]
    assert len(set(texts)) == 3


def test_what_is_said_of_batch_norm() -> None:
    assert lrpref.signature(NET).bn == "kept"
    assert lrpref.signature(PLAIN).bn == "none"
    assert lrpref.signature(PLAIN, fused=True).bn == "fused"
    with pytest.raises(ParameterError, match="node 'bn' is a BatchNorm"):
        lrpref.signature(NET, fused=True)


@pytest.mark.parametrize("seed", ["logit", "one", 2.5, np.ones((1, 2))], ids=str)
@pytest.mark.parametrize("node", [None, "relu", "fc2"])
def test_a_trace_has_the_signature_of_its_arguments(seed: Any, node: str | None) -> None:
    x = np.ones((1, 2, 2, 2))
    if node == "relu" and not isinstance(seed, str | float):
        seed = np.ones((1, 2, 2, 2))
    found = lrpref.trace(NET, x, rule="gamma", seed=seed, node=node).signature
    assert found == lrpref.signature(NET, "gamma", seed, "plain", node)
    assert node_name(found.node) == ("relu" if node == "relu" else None)


def test_the_head_is_another_node() -> None:
    net = Network.sequential(Dense([[1.0], [2.0]]), Softmax())
    head = lrpref.trace(net, np.ones((1, 1)), node="softmax1").signature
    logits = lrpref.trace(net, np.ones((1, 1))).signature
    assert (head.node, logits.node) == ("softmax1", "")
    assert lrpref.signature(net, node="softmax1", form="plain") == head


def test_several_outputs_have_a_seed_each() -> None:
    nodes: Any = [("a", Dense([[1.0]]), ["input"]), ("b|c", Dense([[2.0]]), ["input"])]
    net = Network(nodes, outputs=["a", "b|c"])
    found = lrpref.trace(net, np.ones((1, 1)), seed={"a": "logit", "b|c": 2.0}).signature
    assert found.seed == "a=logit;b%7Cc=2"
    assert lrpref.signature(net, seed=("logit", 2.0)) == found
    assert lrpref.trace(net, np.ones((1, 1)), seed=(None, 1.0)).signature.seed == "b%7Cc=one"


def test_the_form_is_the_one_that_computes() -> None:
    assert lrpref.signature(NET).form == "direct"
    assert lrpref.signature(NET, form="winograd").form == "winograd"
    assert lrpref.signature(lrpref.exact(PLAIN)).form == "plain"
    assert lrpref.trace(NET, np.ones((1, 2, 2, 2))).signature.form == "plain"


def test_a_prepared_network_has_a_signature() -> None:
    prepared = lrpref.prepare(NET, "gamma(gamma=0.5)")
    assert prepared.signature == lrpref.signature(NET, "gamma(gamma=0.5)")
    assert lrpref.prepare(NET, node="relu").signature.node == "relu"
    wide = Network.sequential(
        Conv2D(np.ones((64, 64, 3, 3), np.float32), padding=1), Flatten(), Dense(np.ones((1, 64 * 256), np.float32))
    )
    forms = lrpref.prepare(wide, "epsilon", "winograd", shape=(64, 16, 16)).signature.form
    assert forms == "direct+winograd"


def test_the_differences_are_named() -> None:
    a, b = lrpref.signature(NET, "epsilon-plus"), lrpref.signature(PLAIN, "epsilon-plus-flat", 1)
    assert a.differences(b) == {
        "rule": ("epsilon-plus", "epsilon-plus-flat"),
        "seed": ("logit", "one"),
        "BatchNorm": ("kept", "none"),
    }
    assert a.differences(a) == {}
    assert list(a.differences(replace(a, version="9", cases="9.9", node="x", form="plain"))) == [
        *("version of lrpref", "form", "node", "version of the cases")
    ]


def test_the_version_of_the_cases_is_that_of_the_table() -> None:
    index = json.loads((ROOT / "cases" / "lrp_cases" / "data" / "index.json").read_text())
    assert index["version"].rpartition(".")[0] == CASES


# ---- mistakes ----------------------------------------------------------------------------------------------------

GOOD = "lrpref:0.2.0|epsilon-plus|seed:logit|bn:none|form:plain|cases:1.4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a string such as lrpref:"),
        ("BLEU|case.mixed", "expected a string such as lrpref:"),
        (3, "expected a string such as lrpref:"),
        (GOOD.replace("seed:", "sed:"), "expected seed:..., got 'sed:logit'"),
        (GOOD.replace("|seed:logit", ""), "expected seed, bn, form"),
        (GOOD.replace("|cases:1.4", ""), "last part must be cases:..., got 'form:plain'"),
        (GOOD.replace("bn:none", "bn:folded"), "'folded' is not the BatchNorm of a signature"),
        (GOOD.replace("plus", "plus("), r"'epsilon-plus\(' is not the rule of a signature"),
        (GOOD.replace("plus", "plus(epsilon=)"), "is not the rule of a signature"),
        (GOOD.replace("plus", "plus(epsilon=1e)"), "is not the rule of a signature"),
        (GOOD.replace("logit", "loud"), "'loud' is not the seed of a signature"),
        (GOOD.replace("1.4", "1.4.0"), "'1.4.0' is not the version of the cases of a signature"),
        (GOOD.replace("form:plain", "form:plain|node:"), "no name follows node:"),
        (GOOD.replace("form:plain", "form:plain|knot:a"), "expected node:..., got 'knot:a'"),
        (GOOD + "|" + GOOD, "expected seed, bn, form"),
        (f"{GOOD}{'0' * 70000}", "expected a string such as lrpref:"),
    ],
)
def test_damage_is_named(text: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"not a signature: .*{message}"):
        Signature.parse(text)


def test_a_text_made_to_be_slow_is_not() -> None:
    """Nested and repeated parts are read in one pass."""
    deep = "own.A(b=" * 3 + ",".join(["own.C(d=True"] + ["e=1"] * 3000)
    for rule in (deep, deep + ")))", "layers(" + "D=2*zero;" * 3000, "gamma(gamma=" + "1" * 60000 + "e)"):
        with pytest.raises(InputError):
            Signature.parse(GOOD.replace("epsilon-plus", rule))


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        ("own.Mine(a=1)", RuleError, "only names own.Mine; pass the rule itself"),
        ("foo(bar=1)", UnknownNameError, "foo"),
        ("layers(Conv2D=2*flat)", RuleError, "0 layers of type BatchNorm; the network has 1"),
        ("layers(Conv3D=flat)", RuleError, "1 layers of type Conv3D; the network has 0"),
        ("epsilon(epsilon=1/3)", RuleError, "not a valid rule"),
    ],
)
def test_what_a_signature_cannot_give_back(rule: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Signature(rule).composite(NET)


def test_arguments_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="form"):
        lrpref.signature(NET, form="quick")
    with pytest.raises(InputError, match="seed must be"):
        lrpref.signature(NET, seed="loud")
    with pytest.raises(InputError, match="seed"):
        lrpref.signature(NET, seed=float("nan"))
    with pytest.raises(GraphError):
        lrpref.signature(NET, node="nowhere")
    with pytest.raises(ParameterError, match="'a b' is not the seed"):
        Signature("zero", seed="a b")


@given(strategies.networks())
def test_random_networks(case: Any) -> None:
    """Layer by layer, on any network."""
    net = case.net
    names = [place.name for place in composites.places(net)]
    made = Composite([(name, rules.Epsilon(1e-6 * (1 + k // 2))) for k, name in enumerate(names)])
    signature = Signature.parse(str(lrpref.signature(net, made)))
    assert dict(signature.composite(net).assign(net)) == dict(made.assign(net))
