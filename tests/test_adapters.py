"""Adapters of other libraries: their recorded results, and live runs of the libraries that are installed.

docs/adapters.md describes an environment with torch, zennit and captum. Without it, only the records are checked.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from test_conformance import CASES

import lrpref
from lrpref.composites import Composite
from lrpref.conformance import Report, exit_code, known_differences, load_adapter, load_cases, run
from lrpref.conformance.adapter import AdapterError, NotOffered, known_adapters
from lrpref.conformance.adapters import _asking as asking
from lrpref.conformance.adapters._torch_twin import twin
from lrpref.conformance.suite import VERDICTS
from lrpref.differences import conventions as others
from lrpref.layers import ConvTranspose, Dense, LinearLayer, MatMul, Routing, WeightedLayer
from lrpref.layers.conv import Kernels
from lrpref.layers.sample_norm import SampleNorm
from lrpref.rules import AlphaBeta, Epsilon, Gamma, Rule, Zero, ZPlus
from lrpref.testing import strategies

RECORDED = Path(__file__).parent.parent / "lrpref" / "conformance" / "adapters" / "recorded"
PAGE = Path(__file__).parent.parent / "docs" / "adapters.md"
RECORDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RECORDED.glob("*.json"))}
NEEDS = {
    "zennit": ("torch", "zennit"),
    "captum": ("torch", "captum"),
    "innvestigate": ("tensorflow", "tf_keras", "innvestigate"),
    "lxt": ("torch", "lxt"),
    "autolrp": ("torch", "autolrp"),
    "torchlrp": ("torch", "lrp"),
    "dynamiclrp": ("torch", "transformers", "einops", "lrp_engine"),
}
COMMITS = {"torchlrp": "74253a1", "dynamiclrp": "0535f39"}
WRITE_ANEW = "the table has changed: write the record anew, as docs/adapters.md says"

AGREES = {
    "zennit": [
        "ab-neg-input", "ab-neg-input-zplus", "ab-shared-fixture-alpha1beta0", "ab-shared-fixture-alpha2beta1",
        "ab-neg-bias", "ab-joint-denominator-conv", "gamma-bias", "gamma-bias-generalised", "eps-sign-zero-tenth",
        "eps-negative-z-below", "zbox-closed-bias-7", "zbox-per-channel-and-pad-cell", "flat-padding-all",
        "maxpool-overlap-first", "zero-is-gxi-conv", "add-conservation-0", "concat-axis-2", "layer-norm-pass",
    ],
    "captum": ["ab-bias-mode-keep", "ab-bias-mode-ignore", "gamma-linear", "zero-is-gxi-conv", "add-conservation-0"],
    "innvestigate": ["ab-neg-input", "ab-neg-input-zplus", "ab-joint-denominator-conv", "wsquare-bias",
                     "zero-is-gxi-skip", "add-conservation-0"],
    "lxt": ["eps-sign-zero-tenth", "eps-negative-z-positive", "zero-is-gxi-conv", "zero-is-gxi-skip",
            "add-cancellation-signed-2pow20", "avgpool-zero", "maxpool-overlap-first", "multiply-half",
            "multiply-broadcast", "layer-norm-linear"],
    "autolrp": ["ab-neg-input", "ab-joint-denominator-conv", "gamma-linear", "gamma-z-zero", "matmul-half-epsilon"],
    "torchlrp": ["ab-neg-input-zplus", "ab-bias-mode-ignore", "ab-joint-denominator-dense", "ab-signed-R"],
    "dynamiclrp": ["ab-signed-R", "gamma-linear-generalised", "add-cancellation-magnitude-2pow20", "matmul-half",
                   "maxpool-overlap-first", "adaptive-avg-pool-flat", "graph-hygiene-shared", "layer-norm-pass"],
}  # fmt: skip
DIFFERS = {
    "zennit": ["gamma-z-zero", "gamma-z-zero-generalised"],
    "captum": ["ab-neg-input", "ab-neg-input-zplus", "ab-neg-bias", "ab-shared-fixture-alpha1beta0",
               "ab-joint-denominator-dense", "ab-joint-denominator-conv"],
    "innvestigate": ["ab-shared-fixture-alpha1beta0", "ab-shared-fixture-alpha2beta1", "ab-neg-bias"],
    "autolrp": ["gamma-z-zero-generalised"],
    "torchlrp": ["gamma-linear", "eps-sign-zero-tenth", "ab-joint-denominator-conv"],
    "dynamiclrp": ["ab-neg-input", "ab-joint-denominator-conv", "gamma-z-zero-generalised", "softmax-inside-two"],
}  # fmt: skip
CONVENTION = {
    "zennit": [
        "wsquare-bias",
        "graph-hygiene-shared",
        "ab-all-zero-zplus",
        "avgpool-zplus",
        "head-and-seed-one",
        "group-norm-linear",
        "group-norm-constant",
        "group-norm-centred",
        "add-gamma-positive",
        "add-gamma-zero",
    ],
    "captum": ["gamma-bias", "avgpool-zplus", "group-norm-linear"],
    "innvestigate": ["unrolled-oracle-conv-zplus"],
    "lxt": ["eps-negative-z-below", "eps-negative-z-at-minus-epsilon", "ab-all-zero-zero"],
    "autolrp": ["ab-neg-bias", "ab-shared-fixture-alpha1beta0", "gamma-bias", "ab-all-zero-zplus"],
    "dynamiclrp": ["ab-neg-bias", "gamma-bias", "unrolled-oracle-conv-zplus", "prelu-dense", "attention-attnlrp"],
}
NOT_OFFERED = {
    "zennit": ["ab-all-zero-absolute", "maxpool-ties-equal", "ab-one-pool-empty-renormalise", "multiply-half"],
    "captum": ["ab-shared-fixture-alpha2beta1", "wsquare-bias", "graph-hygiene-shared", "head-and-seed-logit"],
    "lxt": ["gamma-linear", "ab-neg-input", "wsquare-bias", "multiply-signal", "rms-norm-epsilon"],
    "torchlrp": ["ab-bias-mode-keep", "add-conservation-0", "zero-is-gxi-conv"],
    "dynamiclrp": ["eps-sign-zero-tenth", "avgpool-zero", "wsquare-bias", "multiply-half", "head-and-seed-logit"],
}
EXPECTED = [
    (library, case, verdict)
    for verdict, told in zip(("agrees", "differs", "convention", "not-offered"),
                             (AGREES, DIFFERS, CONVENTION, NOT_OFFERED), strict=True)
    for library, cases in told.items()
    for case in cases
]  # fmt: skip


def record(library: str) -> dict[str, Any]:
    """Return the record of a library; there must be exactly one."""
    (found,) = [data for data in RECORDS.values() if data["library"] == library]
    return found


@cache
def live(library: str) -> Report:
    """Run the whole suite on an installed library; skip if it is not installed."""
    if missing := [package for package in NEEDS[library] if find_spec(package) is None]:
        pytest.skip(f"{', '.join(missing)} not installed (see docs/adapters.md); the record is checked instead")
    return run(load_adapter(library))


# ---- records ---------------------------------------------------------------------------------------------------


def test_there_is_a_record_of_every_adapter_but_lrprefs_own():
    assert {data["library"] for data in RECORDS.values()} == set(known_adapters()) - {"lrpref"}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_of_the_cases_that_come_with_lrpref(name):
    data = RECORDS[name]
    assert name == f"{data['library']}-{data['version']}"
    versions = data["table"], *{case.table for case in CASES.values()}
    assert len({version.rpartition(".")[0] for version in versions}) == 1, WRITE_ANEW  # a patch changes no verdict
    assert [told["id"] for told in data["cases"]] == list(CASES), WRITE_ANEW


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_counts_its_verdicts(name):
    verdicts = [told["verdict"] for told in RECORDS[name]["cases"]]
    assert RECORDS[name]["verdicts"] == {verdict: verdicts.count(verdict) for verdict in VERDICTS}
    assert not RECORDS[name]["verdicts"]["error"]


@pytest.mark.parametrize("name", RECORDS)
def test_whoever_differs_has_promised_otherwise(name):
    wrong = [told for told in RECORDS[name]["cases"] if told["verdict"] == "differs"]
    assert all('"' in told["reason"] for told in wrong)  # the promise is quoted


@pytest.mark.parametrize("name", RECORDS)
def test_the_record_expects_what_the_fixtures_expect(name):
    for told in RECORDS[name]["cases"]:
        if told["verdict"] == "differs":
            np.testing.assert_array_equal(np.array(told["expected"], dtype=float), CASES[told["id"]].expected)


@pytest.mark.parametrize(("library", "case", "verdict"), EXPECTED)
def test_the_recorded_verdict(library, case, verdict):
    verdicts = {told["id"]: told["verdict"] for told in record(library)["cases"]}
    assert verdicts[case] == verdict


@pytest.mark.parametrize("name", RECORDS)
def test_the_page_tells_of_every_count_and_every_case_that_differs(name):
    page, data = PAGE.read_text(encoding="utf-8"), RECORDS[name]
    counts = " | ".join(str(data["verdicts"][verdict]) for verdict in VERDICTS)
    assert f"| {data['library']} {data['version']} | {counts} |" in page
    for told in data["cases"]:
        if told["verdict"] in ("differs", "convention"):
            assert f"`{told['id']}`" in page


def test_the_page_counts_the_cases_that_no_library_offers():
    lacking = [{told["id"] for told in data["cases"] if told["verdict"] == "not-offered"} for data in RECORDS.values()]
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"None of these libraries offers {len(set.intersection(*lacking))} of the {len(CASES)} cases" in page


# ---- live runs -------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", NEEDS)
def test_live_verdicts_are_the_recorded_ones(library):
    report, told = live(library), record(library)
    if report.version != told["version"]:
        pytest.skip(f"{library} {report.version} is installed, the record is of {told['version']}")
    found = {result.case.id: result.verdict for result in report.results}
    assert found == {case["id"]: case["verdict"] for case in told["cases"]}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", NEEDS)
def test_a_live_library_is_green_with_its_known_differences(library):
    report = live(library)
    known = known_differences(PAGE.parent.parent / "cases" / "known" / f"{library}.json", library)
    if report.version not in known.versions:
        pytest.skip(f"{library} {report.version} is installed, the list is of {known.versions}")
    assert exit_code(report, known) == 0
    gone = dict(list(known.known.items())[1:])
    assert exit_code(report, replace(known, known=gone)) == 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", NEEDS)
def test_a_library_that_is_missing_is_named_with_what_to_install(library):
    if all(find_spec(package) for package in NEEDS[library]):
        assert load_adapter(library).version == (COMMITS.get(library) or version(library))
        return
    with pytest.raises(AdapterError, match=r"pip install|git clone"):
        load_adapter(library)


@pytest.mark.parametrize("library", NEEDS)
def test_the_installation_names_the_recorded_version(library):
    module = import_module(f"lrpref.conformance.adapters.{library}")
    version = record(library)["version"]
    words = getattr(module, "HOW", None) or module.INSTALL
    assert f"{library}=={version}" in words or f"check out {version}" in words


def test_zennit_kept_from_dividing_by_zero_agrees_on_more():
    report = live("zennit")
    stabilized = run(load_adapter("lrpref.conformance.adapters.zennit:stabilized"))
    assert {r.case.id for r in report.of("agrees")} < {r.case.id for r in stabilized.of("agrees")}
    assert {r.case.id for r in report.of("differs")} == {r.case.id for r in stabilized.of("differs")}
    assert "ab-all-zero-zplus" in {r.case.id for r in stabilized.of("agrees")}


def test_lxt_without_the_adapter_makes_the_same_errors():
    """lxt adds epsilon without the sign of z, and its rule modifies shared gradients in place."""
    live("lxt")
    import torch
    from lxt.explicit.functional import add2
    from lxt.explicit.rules import EpsilonRule

    layer, x = torch.nn.Linear(1, 1, bias=False), torch.ones((1, 1), requires_grad=True)
    layer.weight.data[:] = -2
    EpsilonRule(layer, epsilon=1.0)(x).backward(torch.ones((1, 1)))
    np.testing.assert_array_equal(x.grad, [[2.0]])  # -2 / (-2 + 1); with the sign of z it would be 2/3

    class Sum(torch.nn.Module):
        def forward(self, a, b):
            return a + b

    for add, expected in (
        (EpsilonRule(Sum(), epsilon=0), [6.0, 6.0]),
        (lambda a, b: add2(a, b, epsilon=0), [2.0, 3.0]),
    ):
        a, b = (torch.full((1, 1), value, requires_grad=True) for value in (2.0, 3.0))
        add(a, b).backward(torch.full((1, 1), 5.0))
        np.testing.assert_array_equal([a.grad.item(), b.grad.item()], expected)


def test_autolrp_without_the_adapter_does_the_same():
    """One neuron by hand: the bias takes its share by magnitude; gamma loses R at z = 0; a small gamma is epsilon."""
    live("autolrp")
    import torch
    from autolrp import BASE, LRPConfig, tensor

    def relevance(w, b, rule):
        layer = torch.nn.Linear(2, 1, bias=b is not None).double()
        layer.weight.data = torch.tensor([w]).double()
        if b is not None:
            layer.bias.data = torch.tensor([b]).double()
        x = tensor(torch.ones((1, 2)).double())
        layer(x)[0, 0].lrp(config=LRPConfig(rule={**BASE, "AddmmBackward": rule, "MmBackward": rule}, eps=1e-290))
        return x.relevance[0]

    plus = ("alpha_beta", {"alpha": 1.0, "beta": 0.0})
    np.testing.assert_allclose(relevance([1.0, 2.0], -1.0, "epsilon"), [1 / 4, 1 / 2])  # 3/4 of (1/3, 2/3)
    np.testing.assert_allclose(relevance([1.0, -1.0], -1.0, plus), [0, 0])  # z = 0; by Bach et al., (1, 0)
    np.testing.assert_allclose(relevance([1.0, -1.0], None, ("gamma", {"gamma": 0.25})), [0, 0])
    np.testing.assert_allclose(relevance([1.0, -1.0], None, ("gamma_montavon", {"gamma": 0.25})), [5, -4])
    np.testing.assert_allclose(relevance([2.0, -1.0], None, ("gamma_montavon", {"gamma": 0.01})), [2, -1])


def test_torchlrp_without_the_adapter_makes_the_same_errors():
    live("torchlrp")
    import lrp
    import torch

    for w, rule, got in (([2.0, -1.0], "gamma", [12 / 7, -5 / 7]), ([1.0, -1.0], "epsilon", [-10.0, 10.0])):
        layer, x = lrp.Linear(2, 1, bias=True), torch.ones((1, 2), requires_grad=True)
        layer.weight.data, layer.bias.data = torch.tensor([w]), torch.zeros(1)
        layer(x, explain=True, rule=rule).backward(torch.ones((1, 1)))
        np.testing.assert_allclose(x.grad, [got], rtol=1e-6)
    conv, x = lrp.Conv2d(1, 1, 1, bias=False), torch.ones((1, 1, 2, 2), requires_grad=True)
    output = conv(x, explain=True, rule="alpha1beta0")
    with pytest.raises(RuntimeError, match="must match"):
        output.backward(torch.ones_like(output))


def as_dynamiclrp(layer: LinearLayer, rule: Rule, attention: bool) -> Rule:
    """Return the rule by which DynamicLRP explains a layer under this rule, its stabilizer included.

    With `attention`, its option for products of activations is on.
    """
    least = 1e-11
    if isinstance(rule, Gamma):
        rule = others.GammaZeroNegative(rule.gamma, generalised=True, stabilizer=least)
    elif isinstance(rule, ZPlus | AlphaBeta):
        rule = others.WeightsClamped(stabilizer=least) if isinstance(layer, Dense) else others.NumeratorClamped(least)
    elif isinstance(rule, Zero):
        rule = Epsilon(least)
    rule = others.BiasByMagnitude(rule) if isinstance(layer, WeightedLayer) else rule
    return others.WeightsShare(rule) if attention and isinstance(layer, WeightedLayer) else rule


@pytest.mark.filterwarnings("ignore::lrpref.errors.RelevanceWarning")  # denominators near zero
def test_the_conventions_of_dynamiclrp_give_its_answers():
    """All answers in the record, except for PReLU and softmax, which the next test works by hand."""
    checked = 0
    for told in record("dynamiclrp")["cases"]:
        case = CASES[told["id"]]
        by_hand = told["id"] in ("prelu-dense", "softmax-inside-two", "softmax-inside-rows")
        if told["got"] is None or case.kind != "relevance" or by_hand:
            continue
        net = case.network
        attention = any(isinstance(node.layer, MatMul) for node in net.nodes)
        by = Composite([(node, as_dynamiclrp(net[node], rule, attention)) for node, rule in case.rules.items()])
        answer = np.array(told["got"], dtype=float)
        found = lrpref.explain(net, case.input, case.target, by, case.seed)
        assert_allclose(found, answer, rtol=1e-10, atol=1e-10 * abs(answer).max(), err_msg=told["id"])
        checked += 1
    assert checked > 50


def test_dynamiclrp_without_the_adapter_does_the_same():
    """One neuron by hand, and what the page tells of besides the table."""
    live("dynamiclrp")
    import torch
    from lrp_engine import LRPEngine, create_checkpoint
    from torch import nn

    def linear(*w, b=None):
        layer = nn.Linear(len(w[0]), len(w), bias=b is not None).double()
        layer.weight.data = torch.tensor(w).double()
        if b is not None:
            layer.bias.data = torch.tensor([b]).double()
        return layer

    def answer(module, x, R, checkpoint=True, **options):
        x, R = (torch.tensor(values, dtype=torch.float64) for values in (x, R))
        x.requires_grad_(True)
        y = module(create_checkpoint(x) if checkpoint else x)
        asked = {} if checkpoint else {"params_to_interpret": [x]}
        return LRPEngine(starting_relevance=R, dtype=torch.float64, **asked, **options).run(y)

    def relevance(*asked, **options):
        return answer(*asked, **options)[0][0].tolist()

    one, ones = [[1.0]], [[1.0, 1.0]]
    conv = nn.Conv2d(1, 1, (1, 2), bias=False).double()
    conv.weight.data[:] = torch.tensor([2.0, -1.0])
    z_plus = {"use_z_plus": True}
    for found, expected in (
        (relevance(linear([1.0, -2.0, 2.0]), [[1.0, -1.0, -1.0]], one, **z_plus), [[-1, 0, 2]]),
        (relevance(conv, [[ones]], [[one]], **z_plus), [[[[2, 0]]]]),
        (relevance(linear([1.0, -1.0]), ones, one, use_gamma=True, mm_gamma=0.25), [[-4, 5]]),
        (relevance(lambda x: x.softmax(-1), [[1.0, 1.0, 1.0]], [[3.0, 1.0, 2.0]]), [[1, 0, 0]]),
        (relevance(lambda x: x.softmax(-1), [*ones, *ones], [[3.0, 1.0], [3.0, 1.0]]), [[1, 0], [1, -1]]),
        (relevance(linear([1.0, -1.0]), ones, one), [[1e11, -1e11]]),
        (relevance(linear([1.0, 2.0], b=-1.0), ones, one), [[1 / 4, 1 / 2]]),
        (relevance(linear([1.0, 2.0]), ones, one, use_attn_lrp=True), [[1 / 6, 1 / 3]]),
        (relevance(linear([1.0, 2.0]), ones, one, use_attn_lrp=True, use_gamma=True, mm_gamma=0.0), [[1 / 3, 2 / 3]]),
        (relevance(nn.PReLU().double(), ones, [[2.0, 4.0]]), [[1, 2]]),
        (relevance(lambda x: x[:, :1] * x[:, 1:], [[1.0, -3.0]], [[8.0]]), [[2, 6]]),
        (relevance(nn.AdaptiveAvgPool2d(1), [[[[1.0, -3.0]]]], [[[[8.0]]]]), [[[[2, 6]]]]),
        (relevance(nn.AvgPool2d(2), [[[[1.0, 1.0], [1.0, 1.0]]]], [[one]]), [[one]]),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)

    first, second = linear([2.0, -1.0], [1.0, 1.0]), linear([1.0, 0.0], [0.0, 1.0])
    both = answer(lambda x: first(x) + second(x), [[1.0, 2.0]], ones)[0][0]
    np.testing.assert_allclose(both, [[6 / 5, 4 / 5]])
    kept = answer(lambda x: first(x) + second(x), [[1.0, 2.0]], ones, checkpoint=False)[1][0]
    np.testing.assert_allclose(kept, [[1, 2 / 5]])

    norm, along = nn.BatchNorm1d(2).double().eval(), nn.Conv1d(1, 1, 2).double()
    for module, x, R, options in (
        (nn.Conv2d(1, 1, 2, stride=2, bias=False).double(), np.ones((1, 1, 3, 3)), [[one]], {}),
        (lambda x: x + norm(x), ones, ones, {}),
        (lambda x: x.mean(1), ones, [1.0], {}),
        (along, np.ones((1, 1, 3)), np.ones((1, 1, 2)), {"use_gamma": True}),
        (linear([1.0, 2.0]).requires_grad_(False), ones, one, {}),
    ):
        assert isinstance(answer(module, x, R, **options)[-1], Exception)


def test_captum_without_the_adapter_makes_the_same_errors():
    """The published defects occur through captum's own interface and defaults, so the adapter does not cause them."""
    live("captum")
    import torch
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule

    for w, b, x, got in (
        ([1.0, -2.0, 2.0], 0.0, [1.0, -1.0, -1.0], [-1.0, 0.0, 2.0]),
        ([1.0, -0.1], -0.5, [1.0, 1.0], [0.8, 0.0]),
    ):
        layer = torch.nn.Linear(len(w), 1).double()
        layer.weight.data, layer.bias.data = torch.tensor([w]).double(), torch.tensor([b]).double()
        layer.rule = Alpha1_Beta0_Rule()
        inputs = torch.tensor([x], dtype=torch.float64, requires_grad=True)
        relevance = LRP(torch.nn.Sequential(layer)).attribute(inputs, target=0)
        np.testing.assert_allclose(relevance.detach().numpy(), [got], atol=1e-8)


@pytest.mark.parametrize(("id_", "words"), [("group-norm-linear", None), ("layer-norm-pass", "words")])
def test_a_promise_about_linear_layers_is_none_about_a_norm_of_the_sample(id_, words):
    (case,) = load_cases(only=id_)
    assert asking.quotations(case, lambda case, node: "words") == words


# ---- the torch twin ----------------------------------------------------------------------------------------------

SEVERAL_INPUTS = {"add", "concat", "mat_mul", "maximum", "minimum", "subtract"}
KINDS = sorted({*strategies.LINEAR, *strategies.ROUTING} - SEVERAL_INPUTS - {"channel_shuffle"})
"""The layers with one input, except ChannelShuffle: torch's function takes no vectors."""


def alone(layer: lrpref.Layer) -> lrpref.Network:
    """Return the network of this layer."""
    return lrpref.Network([("layer", layer, ["input"])])


def offered(layer: lrpref.Layer) -> lrpref.Layer:
    """Return a drawn layer without what torch's convolutions lack: a bias per tap, and cutting off unequal sides."""
    if isinstance(layer, ConvTranspose):
        layer = replace(layer, padding=tuple(map(min, layer.padding[::2], layer.padding[1::2])))
    return replace(layer, bias_taps=None) if isinstance(layer, Kernels) else layer


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_the_twin_of_a_layer_computes_the_same(kind, data):
    """Forward; and its gradient g routes relevance: R_i = g_i, or R_i = a_i g_i under Zero where the layer is linear.

    For the latter, R / z is drawn instead of R, so that no z divides.
    """
    torch = pytest.importorskip("torch", reason="torch is not installed")
    layer, (a,), _ = data.draw(strategies.layer_cases(kind))
    layer = offered(layer)
    R = data.draw(strategies.relevances(layer, a))
    try:
        module = twin(alone(layer))
    except NotOffered:
        return
    x = torch.tensor(a, requires_grad=True)
    output, z = module(x), layer.forward(a)
    assert_allclose(output.detach().numpy(), z, rtol=1e-13, atol=1e-13)
    if isinstance(layer, Routing):
        output.backward(torch.tensor(R))
        assert_allclose(x.grad.numpy(), layer.relevance(a, R, Zero()), rtol=1e-13, atol=1e-13)
    elif isinstance(layer, LinearLayer) and not isinstance(layer, SampleNorm):  # whose statistics torch differentiates
        s = np.where(np.abs(z) < 1e-9, 0.0, R)
        output.backward(torch.tensor(s))
        assert_allclose(a * x.grad.numpy(), layer.relevance(a, z * s, Zero()), rtol=1e-12, atol=1e-12)


TWINS = [
    (lrpref.Conv1D(np.ones((2, 1, 2)), padding=(1, 0)), (1, 1, 4), "PaddedConv"),
    (lrpref.Conv1D(np.ones((2, 1, 2)), padding=1), (1, 1, 4), "Conv1d"),
    (lrpref.Conv3D(np.ones((2, 1, 1, 2, 2)), padding=(0, 1, 2, 3, 4, 5)), (1, 1, 2, 2, 2), "PaddedConv"),
    (lrpref.ConvTranspose3D(np.ones((1, 2, 2, 2, 2)), stride=2, output_padding=1), (1, 1, 2, 2, 2), "ConvTranspose3d"),
    (lrpref.MaxPool1D(2, dilation=2, ceil_mode=True), (1, 1, 6), "MaxPool1d"),
    (lrpref.AvgPool3D(2, padding=1, count_include_pad=False, ceil_mode=True), (1, 1, 3, 3, 3), "AvgPool3d"),
    (lrpref.AvgPool3D(2, divisor=5), (1, 1, 3, 3, 3), "AvgPool3d"),
    (lrpref.GlobalMaxPool3D(), (1, 2, 2, 3, 2), "AdaptiveMaxPool3d"),
    (lrpref.AdaptiveAvgPool1D(3), (1, 2, 5), "AdaptiveAvgPool1d"),
    (lrpref.UpsampleLinear(scale_factor=2), (1, 1, 2, 3, 2), "Interpolate"),
    (lrpref.UpsampleLinear(size=(5, 4), coordinates="align_corners"), (1, 1, 2, 3), "Interpolate"),
    (lrpref.UpsampleNearest(scale_factor=2), (1, 1, 2, 3, 2), None),
    (lrpref.UpsampleNearest(5, coordinates="half_pixel", rounding="round_prefer_ceil"), (1, 1, 3), None),
    (lrpref.BatchNorm(np.ones(2), None, np.ones(2), np.ones(2)), (1, 2, 2, 3, 2), "EitherBatchNorm2d"),
    *(
        (lrpref.Pad3D((0, 1, 1, 0, 2, 1), mode=mode), (1, 1, 3, 3, 3), None)
        for mode in ("constant", "reflect", "replicate", "circular")
    ),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "name"), TWINS, ids=[type(layer).__name__ for layer, *_ in TWINS])
def test_the_twin_of_a_layer_is_torchs_module_of_its_rank(layer, shape, name):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    module, x = twin(alone(layer)), np.random.default_rng(0).normal(size=shape)
    assert [type(child).__name__ for child in module.children()] == ([name] if name else [])
    found = module(torch.tensor(x)).detach().numpy()
    assert_allclose(found, layer.forward(x), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (lrpref.ConvTranspose1D(np.ones((1, 1, 2)), padding=(1, 0)), "the same padding on opposite sides"),
        (lrpref.ConvTranspose2D(np.ones((1, 1, 2, 2)), bias_taps=np.ones((1, 2, 2))), "no bias per tap"),
        (lrpref.Conv3D(np.ones((1, 1, 2, 2, 2)), bias_taps=np.ones((1, 2, 2, 2))), "no bias per tap"),
        (lrpref.MaxPool1D(2, padding=(0, 1)), "the same padding on opposite sides"),
        (lrpref.AvgPool3D(3, padding=2), "at most half the kernel"),
        (lrpref.AvgPool1D(2, divisor=3), "AvgPool1d has no divisor"),
        (lrpref.AvgPool2D(2, dilation=2), "average pools have no dilation"),
        (lrpref.UpsampleLinear(2, coordinates="asymmetric"), "half_pixel or align_corners"),
        (lrpref.UpsampleNearest(2, rounding="ceil"), "no nearest cell by asymmetric and ceil"),
        (lrpref.MaxPool3D(2, ties="equal"), "one winner"),
        (lrpref.GlobalMaxPool1D("equal"), "one winner"),
        (lrpref.AdaptiveMaxPool2D(2, "equal"), "one winner"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_torch_has_no_such_layer(layer, reason):
    pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(NotOffered, match=reason):
        twin(alone(layer))


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_the_twin_of_a_concatenation_has_its_axis(axis):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    nodes = [("relu", lrpref.ReLU(), ["input"]), ("concat", lrpref.Concat(axis), ["input", "relu"])]
    net, a = lrpref.Network(nodes), np.arange(-4.0, 4.0).reshape(1, 2, 2, 2)
    assert_allclose(twin(net)(torch.tensor(a)).numpy(), net(a), rtol=0, atol=0)
