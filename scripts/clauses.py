"""Which clauses of cases/SPEC.md a case cites: found from its layers, its rules and the question that it belongs to.

An answer such as "6.5a" is cited where the expected value would be another one with another answer. Whether it would be
can be read off the case in most places; `ANSWERS` lists the cases in which it depends on the values. tests/test_spec.py
computes the other answers and compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

from spec import Clause, number_of, order, profiles

Case = Mapping[str, Any]

LAYERS = {
    "Dense": "9.1", "Conv2D": "9.2", "Conv1D": "9.3", "Conv3D": "9.3", "ConvTranspose2D": "9.4", "AvgPool2D": "9.5",
    "GlobalAvgPool2D": "9.6", "AdaptiveAvgPool1D": "9.6", "Sum": "9.7", "Mean": "9.7", "UpsampleLinear": "9.8",
    "Add": "10.1", "Subtract": "10.3", "Maximum": "10.4", "Minimum": "10.4", "Concat": "10.5", "Multiply": "10.6",
    "ReLU": "11.2", "PReLU": "11.3", "Clip": "11.3", "Sigmoid": "11.3", "Tanh": "11.3",
    "Flatten": "11.4", "Reshape": "11.5", "Permute": "11.5",
    "Slice": "11.5", "PixelShuffle": "11.5", "ChannelShuffle": "11.5", "MaxPool2D": "11.6", "GlobalMaxPool1D": "11.6",
    "Max": "11.6", "UpsampleNearest": "11.9", "Pad1D": "11.10", "BatchNorm": "12.1", "Scale": "12.3",
    "TokenDense": "9.10", "MatMul": "10.7", "Embedding": "11.13", "PrependTokens": "11.14", "Affine": "12.12",
    "LayerNorm": "12.9", "GroupNorm": "12.9", "InstanceNorm": "12.9", "RMSNorm": "12.9", "Softmax": "2.5",
}  # fmt: skip
RULES = {
    "Zero": "4.1", "Epsilon": "4.2", "Gamma": "5.1", "AlphaBeta": "6.1", "ZPlus": "6.2", "ZBox": "7.1",
    "WSquare": "7.3", "Flat": "7.5", "Pass": "8.1", "Absolute": "8.2", "Relative": "8.3",
}  # fmt: skip
QUESTIONS = {
    8: ["6.7"], 14: ["5.5"], 17: ["2.6"], 19: ["1.2"], 27: ["12.4"], 28: ["12.5"], 29: ["12.6"], 31: ["12.4"],
    37: ["1.3"], 38: ["2.4"], 39: ["2.2"],
}  # fmt: skip
"""The clauses that all cases of a question cite, by its number."""

LAWS = {
    "float32_precision": ["1.6"], "leaves_no_trace": ["1.7"], "epsilon_absorption": ["3.1a", "4.4a"],
    "rule_is_refused": ["6.1", "6.7a"], "fused_forward": ["12.8"], "convolution_unchanged": ["12.8"],
    "identity_passed": ["8.1", "12.3", "12.7", "13.1"], "zero_rule_unfused": ["12.7"],
    "differs_from_passed": ["8.1", "12.2b", "12.7", "13.1"], "constants_cancel": ["8.4"],
    "relative_refuses_batchnorm": ["8.4"],
}  # fmt: skip
ANSWERS = {
    "2.6": ["eps-absorption-*"],
    "3.1a": [
        "eps-negative-z-below", "eps-negative-z-at-minus-epsilon", "eps-absorption-two-units",
        "unrolled-oracle-*-epsilon", "mean-over-axes-epsilon",
    ],
    "3.2a": [
        "eps-sign-zero-*", "avgpool-zero-sum-epsilon", "precision-stabilizer-at-zero",
        *(f"unrolled-oracle-{name}-epsilon"
          for name in ("conv-stride", "conv-all", "avgpool-not-counted", "transposed", "scale", "batchnorm")),
    ],
    "3.3a": [
        *(f"ab-all-zero-{name}" for name in ("alpha2beta1", "zplus", "zero", "gamma*", "absolute")),
        "ab-one-pool-empty-literal", "zbox-per-channel-and-pad-at-low", "avgpool-zero-sum-zero",
        *(f"unrolled-oracle-{name}-zero"
          for name in ("conv-stride", "conv-all", "avgpool-not-counted", "transposed", "scale", "batchnorm")),
        *(f"unrolled-oracle-{name}-alpha2beta1"
          for name in ("conv-padding", "conv-all", "avgpool-*", "transposed", "scale", "batchnorm")),
        *(f"unrolled-oracle-{name}-zplus"
          for name in ("conv-padding", "avgpool-counted", "transposed", "scale", "batchnorm")),
        "unrolled-oracle-avgpool-not-counted-gamma",
    ],
    "5.3b": ["gamma-bias-unmodified"],
    "5.4a": [
        "gamma-z-zero-generalised", "add-gamma-zero",
        *(f"unrolled-oracle-{name}-gamma-generalised"
          for name in ("conv-stride", "conv-all", "avgpool-not-counted", "transposed", "scale", "batchnorm")),
    ],
    "6.6a": [
        "ab-one-pool-empty-literal",
        *(f"unrolled-oracle-{name}-alpha2beta1"
          for name in ("conv-padding", "conv-all", "avgpool-*", "transposed", "scale", "batchnorm")),
    ],
    "6.6b": ["ab-one-pool-empty-renormalise"],
    "10.9": ["three-factors-*"],
    "8.4": ["relative-skip-*", "relative-not-invariant-*"],
    "11.1a": ["prelu-dense", "clip-dense", "lstm-signal"],
    "11.12a": ["softmax-inside-*"],
    "11.7a": ["*-ties-first", "max-over-axis-first", "global-max-pool-first"],
    "11.7b": ["*-ties-equal", "max-over-axis-equal", "global-max-pool-equal"],
    "11.8a": ["zero-is-gxi-conv", "maxpool-ties-first", "maxpool-overlap-*"],
    "1.2": ["bn-variants-no-statistics"],
    "12.1": ["bn-variants-no-statistics"],
    "5.1": ["gamma-bias-unmodified"],
}  # fmt: skip
"""Citation -> patterns of ids, where a case cites it because of its values."""

FOLDED = ("fused_forward", "convolution_unchanged", "identity_passed", "zero_rule_unfused", "differs_from_passed")
WEIGHTLESS = ("AvgPool2D", "GlobalAvgPool2D", "AdaptiveAvgPool1D", "Sum", "Mean", "UpsampleLinear", "Add", "Subtract")
SAMPLE_NORMS = ("LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm")


def clauses_of(case: Case) -> list[str]:
    """Return the citations of a case, in the order of the specification."""
    found = set(QUESTIONS.get(case["number"], [])) | set(LAWS.get(case.get("check", ""), []))
    found |= {cited for cited, ids in ANSWERS.items() if any(fnmatchcase(case["id"], pattern) for pattern in ids)}
    found |= {listed(LAYERS, spec["type"]) for spec in layers(case).values()} - {"2.5"}
    found |= {"2.4"} if "target" in case else set()
    found |= {"2.6"} if "ledger" in case else set()
    found |= {"13.1"} if len({str(sorted(by.items())) for by in case.get("rules", {}).values()}) > 1 else set()
    for node, key, inputs in case.get("network", {}).get("nodes", []):
        found.update(of_layer(case, node, layers(case)[key], inputs))
        if node in case.get("rules", {}):
            found.update(of_rule(case, case["rules"][node], layers(case)[key]))
    # an answer says more than its question
    found -= {cited[:-1] for cited in found if cited[-1].isalpha()}
    return sorted(found, key=order)


def profile_of(case: Case, clauses: Mapping[str, Clause]) -> str:
    """Return the profile of a case: the last that lists a citation of it; the last of all if it expects nothing."""
    names = list(profiles(clauses))
    home = {listed: name for name, numbers in profiles(clauses).items() for listed in numbers}
    found = {home.get(cited) or home[number_of(cited)] for cited in case["clauses"]}
    return names[-1] if case["kind"] == "not-offered" else [name for name in names if name in found][-1]


def layers(case: Case) -> Mapping[str, Any]:
    """The layers of a case by key; none if there is no network."""
    return case.get("network", {}).get("layers", {})


def of_layer(case: Case, node: str, spec: Mapping[str, Any], inputs: Iterable[str]) -> Iterator[str]:
    """What a case cites because of one node, whatever its rule."""
    kind, config = spec["type"], spec["config"]
    if kind == "Multiply":
        yield "10.6b" if config.get("split") == "signal" else "10.6a"
    if kind == "MatMul":
        yield "10.7b" if config.get("split") == "signal" else "10.7a"
    if kind == "Softmax":
        yield "2.5a" if node == case["network"]["nodes"][-1][0] else "11.12"
    if kind.endswith(("1D", "3D")):
        yield "9.3"
    if kind == "Add" and case["kind"] == "relevance":
        yield "10.2a"
    if case.get("check") in FOLDED and case["number"] == 30:
        yield from folds(case)


def folds(case: Case) -> Iterator[str]:
    """12.4 where a BatchNorm comes after a weighted layer, 12.5 where it comes before one."""
    kinds = [spec["type"] for spec in layers(case).values() if spec["type"] != "Flatten"]
    yield "12.5" if kinds[0] == "BatchNorm" else "12.4"


def of_rule(case: Case, by: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    """What a case cites because of the rule of one node: the rule, its modes, and what its value depends on."""
    rule, kind = by["type"], spec["type"]
    yield listed(RULES, rule)
    if rule == "Epsilon":
        yield "4.3b" if by.get("scale") == "rms" else "4.3a"
    if kind == "MatMul" and rule == "Epsilon" and spec["config"].get("split", "half") == "half":
        yield "10.8a"
    if rule == "Gamma":
        yield "5.2b" if by.get("generalised") else "5.2a"
    if rule == "ZBox" and (isinstance(by["low"], list) or spec["config"].get("padding")):
        yield "7.2"
    if kind == "BatchNorm" and case["kind"] == "relevance":
        yield "12.2b" if rule == "Pass" else "12.2a"
    if kind in SAMPLE_NORMS:
        yield "12.11b" if rule == "Pass" else "12.11a"
        if kind != "RMSNorm":
            yield {"linear": "12.10a", "constant": "12.10b", "centred": "12.10c"}[spec["config"].get("mean", "linear")]
    if case["kind"] == "relevance":
        yield from of_value(case, by, spec)


def of_value(case: Case, by: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    """The answers on which an expected value depends because of the bias, negative numbers, or padding."""
    rule, kind, config = by["type"], spec["type"], spec["config"]
    weight, bias = numbers(spec["arrays"].get("weight", [])), any(numbers(spec["arrays"].get("bias", [])))
    biased = kind == "BatchNorm" or (bias and config.get("mean") != "centred") or config.get("mean") == "constant"
    if biased:
        yield from {
            "Zero": ["4.4a"], "Epsilon": ["4.4a"], "Gamma": ["5.3a"], "WSquare": ["7.4a"], "Flat": ["7.6a"],
            "ZPlus": ["6.5a"], "AlphaBeta": ["6.5b" if by.get("bias") == "ignore" else "6.5a"],
        }.get(rule, [])  # fmt: skip
    if rule in ("AlphaBeta", "ZPlus") and any(a < 0 for a in numbers(case["input"])):
        yield "6.3a"
        if kind == "BatchNorm" or any(w < 0 for w in weight):
            yield "6.4a"
    reaches_less = kind in ("ConvTranspose2D", "UpsampleLinear", "AdaptiveAvgPool1D")
    if rule == "Flat" and (config.get("padding") or reaches_less):
        yield "7.7a"
    plain_gamma = rule == "Gamma" and not by.get("generalised")
    if kind in WEIGHTLESS and rule not in ("Zero", "Epsilon") and not plain_gamma:
        yield "9.9a"


def listed(table: Mapping[str, str], name: str) -> str:
    """The clause of a layer or a rule; raises ValueError for one that has no line yet."""
    if name not in table:
        raise ValueError(f"a case uses {name}: write its clause in cases/SPEC.md, and its number in scripts/clauses.py")
    return table[name]


def numbers(array: Any) -> list[Fraction]:
    """The numbers of nested lists of text."""
    return [v for part in array for v in numbers(part)] if isinstance(array, list) else [Fraction(array)]
