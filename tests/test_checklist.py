"""The checklist of CONTRIBUTING.md: what every layer and every mode of every rule needs before it can be released.

For users, a new layer or rule is a single file. In the library it also needs a literal form in the oracle, support in
both importers (or a refusal that names it), in the file format of networks, in the strategies, in the schema of the
conformance cases and in exact arithmetic, and documentation. Each of these was forgotten once without any other test
failing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from fractions import Fraction
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrpref
from lrpref import layers, oracle, rules
from lrpref.errors import DTypeError, LrprefError, RuleError, ShapeError
from lrpref.importers.onnx import operations as onnx_operations
from lrpref.importers.torch import operations as torch_operations
from lrpref.rational import exact
from lrpref.relative import READINGS
from lrpref.testing import strategies

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "cases" / "lrp_cases" / "data" / "schema.json").read_text())["$defs"]

CONCRETE = {name: kind for name in layers.__all__ if (kind := getattr(layers, name)) not in layers.BASES}


@dataclass(frozen=True)
class Imported:
    """The torch.nn module and the ONNX operator that become a layer, or why the importers never produce it."""

    torch: str = ""
    onnx: str = ""
    never: str = ""


IMPORTED = {
    "Add": Imported("add", "Add"),
    **{
        f"{kind}{d}D": Imported(f"{kind}{d}d", onnx)
        for d in (1, 2, 3)
        for kind, onnx in {
            "AvgPool": "AveragePool",
            "Conv": "Conv",
            "ConvTranspose": "ConvTranspose",
            "MaxPool": "MaxPool",
        }.items()
    },
    **{f"AdaptiveAvgPool{d}D": Imported(f"AdaptiveAvgPool{d}d", never="ONNX has no adaptive pools") for d in (1, 2, 3)},
    **{f"AdaptiveMaxPool{d}D": Imported(f"AdaptiveMaxPool{d}d", never="ONNX has no adaptive pools") for d in (1, 2, 3)},
    **{f"GlobalAvgPool{d}D": Imported(f"AdaptiveAvgPool{d}d", "GlobalAveragePool") for d in (1, 2, 3)},
    **{f"GlobalMaxPool{d}D": Imported(f"AdaptiveMaxPool{d}d", "GlobalMaxPool") for d in (1, 2, 3)},
    **{f"Pad{d}D": Imported(f"ConstantPad{d}d", "Pad") for d in (1, 2, 3)},
    "UpsampleLinear": Imported("Upsample", "Resize"),
    "UpsampleNearest": Imported("Upsample", "Resize"),
    "BatchNorm": Imported("BatchNorm2d", "BatchNormalization"),
    "ChannelShuffle": Imported("ChannelShuffle", "DepthToSpace"),
    "Concat": Imported("cat", "Concat"),
    "Dense": Imported("Linear", "Gemm"),
    "Dropout": Imported("Dropout", "Dropout"),
    "Flatten": Imported("Flatten", "Flatten"),
    "GroupNorm": Imported("GroupNorm", "GroupNormalization"),
    "InstanceNorm": Imported("InstanceNorm2d", "InstanceNormalization"),
    "LayerNorm": Imported("LayerNorm", "LayerNormalization"),
    "LeakyReLU": Imported("LeakyReLU", "LeakyRelu"),
    "Affine": Imported("add", "Add"),
    "Embedding": Imported("Embedding", "Gather"),
    "MatMul": Imported("matmul", "MatMul"),
    "PrependTokens": Imported("cat", "Concat"),
    "TokenDense": Imported("Linear", "MatMul"),
    "LocalResponseNorm": Imported("LocalResponseNorm", "LRN"),
    "LogSoftmax": Imported("LogSoftmax", "LogSoftmax"),
    "Max": Imported("amax", "ReduceMax"),
    "Maximum": Imported("maximum", "Max"),
    "Minimum": Imported("minimum", "Min"),
    "Mean": Imported("mean", "ReduceMean"),
    "Multiply": Imported("mul", "Mul"),
    "Permute": Imported("permute", "Transpose"),
    "PixelShuffle": Imported("PixelShuffle", "DepthToSpace"),
    "PixelUnshuffle": Imported("PixelUnshuffle", "SpaceToDepth"),
    "ReLU": Imported("ReLU", "Relu"),
    "ReLU6": Imported("ReLU6", "Clip"),
    "Reshape": Imported("reshape", "Reshape"),
    "Scale": Imported("mul", "Mul"),
    "RMSNorm": Imported("RMSNorm", "RMSNormalization"),
    "Sigmoid": Imported("Sigmoid", "Sigmoid"),
    "Slice": Imported("getitem", "Slice"),
    "Softmax": Imported("Softmax", "Softmax"),
    "Subtract": Imported("sub", "Sub"),
    "Sum": Imported("sum", "ReduceSum"),
    "Tanh": Imported("Tanh", "Tanh"),
    "CELU": Imported("CELU", "Celu"),
    "Clip": Imported("clamp", "Clip"),
    "ELU": Imported("ELU", "Elu"),
    "GELU": Imported("GELU", "Gelu"),
    "HardSigmoid": Imported("Hardsigmoid", "HardSigmoid"),
    "HardSwish": Imported("Hardswish", "HardSwish"),
    "HardTanh": Imported("Hardtanh", never="ONNX has Clip instead, which becomes a Clip"),
    "Mish": Imported("Mish", "Mish"),
    "PReLU": Imported("PReLU", "PRelu"),
    "SELU": Imported("SELU", "Selu"),
    "SiLU": Imported("SiLU", "Swish"),
    "Softplus": Imported("Softplus", "Softplus"),
    "Softsign": Imported("Softsign", "Softsign"),
    "Threshold": Imported("Threshold", "ThresholdedRelu"),
    "ThreshReLU": Imported(never="only lrpref.fuse makes it; neither library has one"),
}

INPUTS = {name: (np.asarray([[[[1.0, -2.0], [0.5, 4.0]]]]),) for name in CONCRETE}
INPUTS |= {name: 2 * INPUTS[name] for name in ("Add", "Concat", "Maximum", "Minimum", "Multiply", "Subtract")}
INPUTS["RMSNorm"] = (np.asarray([[[[1.0, -7.0], [0.5, 0.5]]]]),)
INPUTS["Dense"] = (np.asarray([[1.0, -2.0]]),)
INPUTS["Embedding"] = (np.asarray([[1.0, 0.0, 1.0]]),)
INPUTS["MatMul"] = 2 * INPUTS["ReLU"]
INPUTS["PrependTokens"] = (np.asarray([[[1.0, -2.0], [0.5, 4.0]]]),)
INPUTS["Softmax"] = (np.asarray([[1.0, -2.0, 0.5]]),)
INPUTS |= {name: (INPUTS["ReLU"][0][:, :, 0, :],) for name in CONCRETE if name.endswith("1D")}
INPUTS |= {name: (INPUTS["ReLU"][0][..., None],) for name in CONCRETE if name.endswith("3D")}

MADE: dict[str, Any] = {
    **{
        f"{kind}{d}D": partial(getattr(layers, f"{kind}{d}D"), 1)
        for d in (1, 2, 3)
        for kind in ("AvgPool", "MaxPool", "Pad")
    },
    **{
        f"Adaptive{kind}Pool{d}D": partial(getattr(layers, f"Adaptive{kind}Pool{d}D"), 2)
        for d in (1, 2, 3)
        for kind in ("Avg", "Max")
    },
    **{
        f"{kind}{d}D": partial(
            getattr(layers, f"{kind}{d}D"), [[[1.0, -2.0]]] if d == 1 else np.ones((1, 1, 2, *(1,) * (d - 1)))
        )
        for d in (1, 2, 3)
        for kind in ("Conv", "ConvTranspose")
    },
    "UpsampleLinear": lambda: layers.UpsampleLinear(scale_factor=2),
    "UpsampleNearest": lambda: layers.UpsampleNearest(scale_factor=2),
    "BatchNorm": lambda: layers.BatchNorm([1.0], [0.0], [0.0], [0.25], eps=0.0),
    "Conv2D": lambda: layers.Conv2D([[[[1.0, -2.0], [0.5, 1.0]]]], [0.5]),
    "Affine": lambda: layers.Affine([[2.0, -1.0]], [[1.0], [0.5]]),
    "Dense": lambda: layers.Dense([[1.0, -3.0]], [0.5]),
    "Embedding": lambda: layers.Embedding([[1.0, -3.0], [0.5, 2.0]]),
    "PrependTokens": lambda: layers.PrependTokens([[1.0, -3.0]]),
    "TokenDense": lambda: layers.TokenDense([[1.0, -3.0]], [0.5]),
    "LocalResponseNorm": lambda: layers.LocalResponseNorm(3),
    "MaxPool2D": lambda: layers.MaxPool2D(2),
    "AvgPool2D": lambda: layers.AvgPool2D(2),
    "GroupNorm": lambda: layers.GroupNorm(1, [3.0], [1.0], eps=4.453125),
    "InstanceNorm": lambda: layers.InstanceNorm([3.0], [1.0], eps=4.453125),
    "LayerNorm": lambda: layers.LayerNorm(2, [3.0, 4.0], [1.0, 2.0], eps=0.0),
    "RMSNorm": lambda: layers.RMSNorm(2, [3.0, 4.0], eps=0.0),
    "Scale": lambda: layers.Scale([2.0], [1.0]),
    "Clip": lambda: layers.Clip(-0.5, 2.0),
    "Threshold": lambda: layers.Threshold(0.75, -1.0),
    "ChannelShuffle": lambda: layers.ChannelShuffle(1),
    "Max": lambda: layers.Max(2),
    "Mean": lambda: layers.Mean((2, 3)),
    "Permute": lambda: layers.Permute((0, 2, 3, 1)),
    "PixelShuffle": lambda: layers.PixelShuffle(1),
    "PixelUnshuffle": lambda: layers.PixelUnshuffle(2),
    "Reshape": lambda: layers.Reshape((4, -1)),
    "Slice": lambda: layers.Slice(3, -1),
    "Sum": lambda: layers.Sum((1, 3), keepdims=True),
}
"""A small example of each layer whose parameters have no default."""

INTERACTIVE = pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")

HEADS = {"LogSoftmax"}
"""The layer that does not propagate relevance."""

IRRATIONAL = {name for name, kind in CONCRETE.items() if issubclass(kind, layers.Smooth | layers.Head)}


def example(name: str) -> Any:
    return MADE.get(name, CONCRETE[name])()


# ---- layers ------------------------------------------------------------------------------------------------------


def schema_layers() -> Iterator[tuple[str, Any]]:
    """Each type of layer in the schema of the conformance cases, and what the schema says about it."""
    for described in SCHEMA["layer"]["anyOf"]:
        kind = described["properties"]["type"]
        yield from ((name, described) for name in kind.get("enum", [kind.get("const")]))


def missing_places(name: str) -> Iterator[str]:
    """The places where a layer is missing."""
    if name not in IMPORTED:
        yield "importers: say in IMPORTED which module and operator become it, or why none does"
    elif not (origin := IMPORTED[name]).never or origin.torch or origin.onnx:
        known = {**torch_operations.MODULES, **torch_operations.OPERATIONS}
        if origin.torch not in known and not origin.never:
            yield f"torch importer: {origin.torch!r}"
        if (origin.onnx or not origin.never) and origin.onnx not in onnx_operations.OPERATIONS:
            yield f"ONNX importer: {origin.onnx!r}"
    if name not in {kind for kind, _ in schema_layers()}:
        yield "schema of the conformance cases"
    page = (ROOT / "docs" / "layers.md").read_text() if (ROOT / "docs" / "layers.md").is_file() else ""
    if f"## {name}\n" not in page:
        yield "docs/layers.md: run scripts/make_docs.py"


@pytest.mark.parametrize("name", CONCRETE)
def test_a_layer_has_its_place_everywhere(name: str) -> None:
    assert (missing := list(missing_places(name))) == [], missing


@pytest.mark.parametrize("name", sorted(set(CONCRETE) - HEADS))
def test_a_layer_has_a_literal_form(name: str) -> None:
    """The relevance of the inputs is the sum of the oracle's messages."""
    layer, inputs = example(name), INPUTS[name]
    R = np.ones(layer.forward(*inputs).shape)
    sent = oracle.messages(layer, inputs, R, rules.Flat())
    found = layer.flow(inputs, R, rules.Flat()).inputs
    for message, R_i in zip(sent, found, strict=True):
        np.testing.assert_allclose(message.sum(axis=tuple(range(R_i.ndim, message.ndim))), R_i)


@pytest.mark.parametrize("name", CONCRETE)
def test_a_layer_is_stored_and_restored(name: str, tmp_path: Path) -> None:
    inputs = [f"in{k}" for k in range(len(INPUTS[name]))]
    nodes = [(i, layers.ReLU(), ["input"]) for i in inputs]
    net = lrpref.Network([*nodes, ("layer", example(name), inputs)])
    lrpref.save(net, tmp_path / "net.npz")
    back = lrpref.load(tmp_path / "net.npz")
    x = INPUTS[name][0]
    assert type(back["layer"]) is CONCRETE[name]
    assert_array_equal(back.forward(x), net.forward(x))


@pytest.mark.parametrize("name", CONCRETE)
def test_a_layer_refuses_too_many_and_too_few_inputs(name: str) -> None:
    """In everything that takes inputs; a second input is not left out without notice."""
    layer, x = example(name), np.asarray(INPUTS[name][0])
    z = layer.forward(*map(np.asarray, INPUTS[name]))
    for n in (n for n in range(4) if layer.takes(n)):
        given, message = (x,) * n, rf"^{name} takes \d( or more)? inputs?, got {n}$"
        with pytest.raises(ShapeError, match=message):
            layer.forward(*given)
        with pytest.raises(ShapeError, match=message):
            layer.output_shape(*(a.shape for a in given))
        with pytest.raises(ShapeError, match=message):
            layer.relevance(given, z, rules.Epsilon())
        with pytest.raises(ShapeError, match=message):
            lrpref.messages(layer, given, z, rules.Epsilon())


@pytest.mark.slow
@INTERACTIVE
def test_the_strategies_draw_every_layer() -> None:
    """Every layer except the heads."""
    drawn = set()
    for kind in strategies.LAYERS.values():
        for shape in ((1, 4), (1, 4, 4), (1, 4, 4, 4), (1, 4, 4, 4, 4)):
            try:
                drawn.add(type(kind.layer(shape).example()).__name__)
            except (ValueError, LrprefError):  # this kind needs the other shape
                continue
    assert drawn == set(CONCRETE) - HEADS


@pytest.mark.parametrize("name", CONCRETE)
def test_a_layer_is_exact_or_refused_by_name(name: str) -> None:
    inputs = INPUTS[name]
    layer = example(name)
    if name in IRRATIONAL:
        with pytest.raises(DTypeError, match=f"{name} needs an exponential"):
            layer.forward(*map(exact, inputs))
        return
    net = lrpref.Network([("a", layers.ReLU(), ["input"]), ("b", layers.ReLU(), ["input"]),
                          ("layer", layer, ["a", "b"][: len(inputs)])]) if len(inputs) > 1 else None  # fmt: skip
    layer = exact(net if net is not None else lrpref.Network([("layer", layer, ["input"])]))["layer"]
    z = layer.forward(*map(exact, inputs))
    assert all(isinstance(value, Fraction | type(exact([[1]])[0, 0])) for value in z.flat)


# ---- rules -------------------------------------------------------------------------------------------------------

VALUES = {
    (rules.Epsilon, "scale"): [None, "rms"],
    (rules.Gamma, "generalised"): [False, True],
    (rules.AlphaBeta, "bias"): ["keep", "ignore"],
    (rules.AlphaBeta, "empty"): ["literal", "renormalise"],
    (rules.Relative, "reading"): list(READINGS),
}
"""The parameters that select a mode, and their values."""


def modes(kind: type[rules.Rule]) -> list[dict[str, Any]]:
    """Every combination of a rule's modes, as keyword arguments; z-box also needs its bounds."""
    choices = {name: values for (owner, name), values in VALUES.items() if owner is kind}
    bounds = {"low": -3.0, "high": 5.0} if kind is rules.ZBox else {}
    return [dict(zip(choices, values, strict=True)) | bounds for values in product(*choices.values())]


MODES = [(kind, mode) for kind in rules.RULES.values() for mode in modes(kind)]


def unknown_modes(kind: type[rules.Rule]) -> Iterator[str]:
    """The places where a parameter of a rule is missing."""
    schema = {each["properties"]["type"]["const"]: each["properties"] for each in SCHEMA["rule"]["anyOf"]}
    _, _, page = (ROOT / "docs" / "rules.md").read_text().partition(f"\n## {kind.name}\n")
    page, _, _ = page.partition("\n## ")
    if not page:
        yield "docs/rules.md: run scripts/make_docs.py"
    if kind.__name__ not in schema:
        yield "schema of the conformance cases"
    for field in fields(kind):
        default = field.default
        chooses = default is not MISSING and (default is None or isinstance(default, str | bool))
        if chooses and (kind, field.name) not in VALUES:
            yield f"VALUES: the values of {field.name}"
        if field.name not in oracle.PARAMETERS.get(kind, ()):
            yield f"oracle: {field.name}"
        if field.name not in schema.get(kind.__name__, {}):
            yield f"schema of the conformance cases: {field.name}"
        if not re.search(rf"^- `[^`]*\b{field.name}\b", page, re.MULTILINE):
            yield f"docs/rules.md: {field.name}; run scripts/make_docs.py"
    for name in (name for owner, name in VALUES if owner is kind):
        if name not in {field.name for field in fields(kind)}:
            yield f"VALUES: there is no {name} any more"


@pytest.mark.parametrize("kind", rules.RULES.values(), ids=rules.RULES)
def test_a_rules_parameters_have_their_place_everywhere(kind: type[rules.Rule]) -> None:
    assert (missing := list(unknown_modes(kind))) == [], missing


A, R = np.asarray([[1.0, -2.0, 0.0]]), np.asarray([[3.0, -1.0, 0.5]])
DENSE = layers.Dense([[1.0, 2.0, -1.0], [-1.0, -0.5, 2.0], [1.0, -1.0, 5.0]], [0.5, -2.0, 0.0])
"""The last unit has no negative part."""
DIAGONAL = layers.Scale([2.0, -1.0, 3.0], [0.5, 0.0, -1.0])


def at_work(kind: type[rules.Rule]) -> tuple[Any, np.ndarray]:
    """An example layer for the rule, and a relevance at its output."""
    return (DIAGONAL, np.asarray([[1.0, -2.0, 0.5]])) if kind.diagonal_only else (DENSE, R)


@pytest.mark.parametrize(("kind", "mode"), MODES, ids=lambda value: getattr(value, "name", str(value)))
def test_a_mode_has_a_literal_form_of_its_own(kind: type[rules.Rule], mode: dict[str, Any]) -> None:
    """The oracle agrees with the engine in this mode, so a mode that the oracle ignored would be noticed."""
    layer, received = at_work(kind)
    sent = oracle.messages(layer, A, received, kind(**mode))
    np.testing.assert_allclose(sent.sum(axis=-1), layer.relevance(A, received, kind(**mode)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [owner for owner, _ in VALUES], ids=[f"{o.name}-{n}" for o, n in VALUES])
def test_modes_differ(kind: type[rules.Rule]) -> None:
    """The modes of a rule give different maps on the example; otherwise the test above would prove nothing."""
    layer, received = at_work(kind)
    found = [layer.relevance(A, received, kind(**mode)).tolist() for mode in modes(kind)]
    assert all(found.count(each) == 1 for each in found), found


@pytest.mark.parametrize(("kind", "mode"), MODES, ids=lambda value: getattr(value, "name", str(value)))
def test_a_mode_is_exact_or_refused_by_name(kind: type[rules.Rule], mode: dict[str, Any]) -> None:
    layer, received = at_work(kind)
    net = exact(lrpref.Network.sequential(layer))
    rule = kind(**mode)
    if not rule.exact:
        with pytest.raises(RuleError, match="irrational"):
            lrpref.trace(net, exact(A), rule=rule)
        return
    everywhere = lrpref.composites.Composite([(layers.LinearLayer, rule)])
    found = lrpref.trace(net, exact(A), rule=everywhere, seed=exact(received))
    assert all(value == 0 for value in found.ledger.residual().flat)
    np.testing.assert_allclose(found.relevance.astype(float), layer.relevance(A, received, rule), rtol=1e-12)


@pytest.mark.slow
@INTERACTIVE
def test_the_strategies_draw_every_mode() -> None:
    """Every mode of every rule except Relative, whose rescaled messages are left out (see strategies.RULES)."""
    for kind in rules.RULES.values():
        seen: dict[str, set[Any]] = {name: set() for owner, name in VALUES if owner is kind}
        if kind is rules.Relative:
            continue
        strategy = strategies.RULES[kind.name](((1, 3),))
        for _ in range(60):
            rule = strategy.example()
            for name, values in seen.items():
                values.add(getattr(rule, name))
        for name, values in seen.items():
            assert values == set(VALUES[kind, name]), f"{kind.name}: {name}"


# ---- the checklist can fail --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Squared(rules.WSquare):
    """w-square with a mode that is implemented nowhere else."""

    bias: str = "ignore"


def test_a_mode_that_the_oracle_ignores_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(oracle.PARAMETERS, Squared, oracle.PARAMETERS[rules.WSquare])
    monkeypatch.setitem(oracle._LITERAL, Squared, oracle._LITERAL[rules.WSquare])
    assert {"VALUES: the values of bias", "oracle: bias"} < set(unknown_modes(Squared))
    with pytest.raises(RuleError, match="does not know its parameters bias"):
        oracle.messages(DENSE, A, R, Squared())


def test_a_layer_that_was_only_exported_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [place.partition(":")[0] for place in missing_places("Imaginary2D")]
    assert found == ["importers", "schema of the conformance cases", "docs/layers.md"]
