"""Build the fixtures of the conformance suite: cases that every LRP implementation must get right.

    python scripts/make_cases.py            write cases/lrp_cases/data
    python scripts/make_cases.py --check    compare with the existing files and lrpref's exact mode; write nothing

This script is the source of every expected value: worked out by hand (derivation "hand"), or computed here in exact
fractions from explicit matrices and the rules' equations (derivation "matrix"). It imports nothing from lrpref to do
so, which lets the table judge lrpref as well as any other library. `--check` then runs lrpref in exact arithmetic and
requires the two independent results to be equal. The output is byte-identical on every machine.

The format, for readers in any language, is described in ``cases/lrp_cases/data/README.md``:

    index.json     {"format", "version", "specification", "about", "cases": [id, ...]}
    cases/ID.json  format, id, revision, number, title, citation, clauses, kind, and by kind
      "relevance"    network, input, seed, [target], rules, expected, [output], [at], [ledger], derivation, exact,
                     tolerance
      "relation"     check, arguments, [network, input, seed, target, rules, output], tolerance, and
                     questions, comparisons (see `with_questions`), or adapters_only
      "not-offered"  reason, absent
    profiles.json  {"format", "profiles": {name: {"title", "cases": [id, ...]}}}
    float64.npz    the longer arrays, repeated and rounded: "ID/input", "ID/expected", "ID/fc.weight", ...
    network        {"layers": {key: {"type", "config", "arrays"}}, "nodes": [[node, key, [nodes or "input"]], ...]}
    array          nested lists of integers and fractions as text ("-1/3")
    rule           {"type": name, parameter: number, text or array}
"""

import argparse
import json
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import isqrt, prod
from pathlib import Path
from typing import Any

import numpy as np
import spec
from clauses import clauses_of, profile_of

FORMAT = "lrp-cases/1"
VERSION = "1.4.0"
"""Major: an expected value was wrong. Minor: new cases. Patch: no verdict changes. ERRATA.md lists the changes."""
REVISIONS: dict[str, int] = {}
"""How often each case was corrected; its revision is one more. ERRATA.md says what changed and why."""
ABOUT = (
    "Cases every LRP implementation must get right. Built by scripts/make_cases.py of lrpref; do not edit by hand. "
    "Numbers 1 to 42 are the questions; several cases may answer one."
)
FIXTURES = Path(__file__).parent.parent / "cases" / "lrp_cases" / "data"
TOLERANCE = 1e-10
LONG = 32
"""Arrays of at least this many numbers are also stored in float64.npz."""

Case = dict[str, Any]
Rule = dict[str, Any]
Row = list[tuple[int, Fraction]]
"""One unit of a linear layer: (index of the flattened input, weight) for each input that is not padding."""


# ---- numbers ---------------------------------------------------------------------------------------------------


def exact(value: Any) -> np.ndarray:
    """Convert nested lists of numbers, or text such as "1/3", to an object array of fractions."""
    array = np.asarray(value, dtype=object)
    return np.array([Fraction(str(v)) for v in array.reshape(-1)], dtype=object).reshape(array.shape)


def dyadic(seed: str, *shape: int, eighths: int = 8) -> np.ndarray:
    """Random fractions k/8 between -eighths/8 and eighths/8; a seed gives the same ones on every machine."""
    draw = random.Random(seed)
    size = int(np.prod(shape))
    numbers = [Fraction(int(draw.random() * (2 * eighths + 1)) - eighths, 8) for _ in range(size)]
    return np.array(numbers, dtype=object).reshape(shape)


def text(array: Any) -> Any:
    """An array of fractions as nested lists of text."""
    return [text(a) for a in array] if isinstance(array, list | np.ndarray) else str(Fraction(str(array)))


# ---- networks and cases as data --------------------------------------------------------------------------------


def layer(kind: str, config: dict[str, Any] | None = None, **arrays: Any) -> dict[str, Any]:
    """A layer; arrays that are None are omitted."""
    held = {name: text(a) for name, a in arrays.items() if a is not None}
    return {"type": kind, "config": config or {}, "arrays": held}


def dense(weight: Any, bias: Any = None) -> dict[str, Any]:
    """A fully connected layer; weight is (out, in)."""
    return layer("Dense", weight=weight, bias=bias)


def chain(**layers: dict[str, Any]) -> dict[str, Any]:
    """A chain of layers, each read by the next."""
    names = list(layers)
    return graph(layers, [[name, name, [before]] for name, before in zip(names, ["input", *names], strict=False)])


def graph(layers: dict[str, Any], nodes: list[list[Any]]) -> dict[str, Any]:
    """Layers by key, and [node, key, [inputs]] triples."""
    return {"layers": layers, "nodes": nodes}


def rule(kind: str, **parameters: Any) -> Rule:
    """A rule and its parameters; omitted ones have their default in lrpref."""
    return {"type": kind, **parameters}


def case(id_: str, number: int, title: str, citation: str, kind: str = "relevance", **rest: Any) -> Case:
    """A case; exact, derived by hand and with the usual tolerance, unless `rest` overrides these."""
    head = {"format": FORMAT, "id": id_, "revision": 1 + REVISIONS.get(id_, 0), "number": number, "title": title}
    head |= {"citation": citation, "kind": kind, "derivation": "hand"}
    tail = {"exact": True, "tolerance": TOLERANCE} if kind == "relevance" else {"tolerance": TOLERANCE}
    return head | {key: value for key, value in (tail | rest).items() if value is not None}


def unit(
    id_: str, number: int, title: str, citation: str, w: Any, x: Any, by: Rule, expected: Any, b: Any = None, R: Any = 1
) -> Case:
    """A case with one Dense unit: weights w, bias b, input x, relevance R."""
    return case(
        id_,
        number,
        title,
        citation,
        network=chain(fc=dense([w], None if b is None else [b])),
        input=text([x]),
        seed=text([[R]]),
        rules={"fc": by},
        expected=text([expected]),
    )


def absent(id_: str, number: int, title: str, reason: str, **what: Any) -> Case:
    """A case for which lrpref has no layer or parameter."""
    return case(id_, number, title, "", "not-offered", reason=reason, absent=what, tolerance=None)


# ---- layers as explicit matrices -------------------------------------------------------------------------------


def window_cells(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: Sequence[int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> Iterator[list[tuple[tuple[int, int], tuple[int, int]]]]:
    """Yield, for each output position in reading order, (tap, cell) for every tap that meets a cell of the image."""
    top, bottom, left, right = padding
    rows = (size[0] + top + bottom - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
    columns = (size[1] + left + right - dilation[1] * (kernel[1] - 1) - 1) // stride[1] + 1
    for y, x in product(range(rows), range(columns)):
        met = []
        for i, j in product(range(kernel[0]), range(kernel[1])):
            row, column = y * stride[0] - top + i * dilation[0], x * stride[1] - left + j * dilation[1]
            if 0 <= row < size[0] and 0 <= column < size[1]:
                met.append(((i, j), (row, column)))
        yield met


def conv_rows(weight: np.ndarray, shape: tuple[int, int, int], groups: int = 1, **geometry: Any) -> list[Row]:
    """A convolution as the rows of its matrix, outputs in the order (channel, row, column)."""
    out, per_group, *kernel = weight.shape
    rows = []
    for o in range(out):
        first = o // (out // groups) * per_group
        for cells in window_cells(shape[1:], (kernel[0], kernel[1]), **geometry):
            met = [(c, tap, cell) for c in range(per_group) for tap, cell in cells]
            rows.append([(flat(shape, first + c, *cell), weight[(o, c, *tap)]) for c, tap, cell in met])
    return rows


def valid_rows(weight: np.ndarray, shape: tuple[int, ...]) -> list[Row]:
    """A convolution over any number of axes, without padding, as rows."""
    size = [n - k + 1 for n, k in zip(shape[1:], weight.shape[2:], strict=True)]
    return [
        [
            (int(np.ravel_multi_index((c, *np.add(place, tap)), shape)), weight[(o, c, *tap)])
            for c, *tap in np.ndindex(*weight.shape[1:])
        ]
        for o, *place in np.ndindex(weight.shape[0], *size)
    ]


def transposed_rows(weight: np.ndarray, shape: tuple[int, ...], stride: int = 1) -> list[Row]:
    """A transposed convolution without padding as rows: cell p adds w[i, o, t] a_ip to cell stride p + t."""
    size = [stride * (n - 1) + k for n, k in zip(shape[1:], weight.shape[2:], strict=True)]
    output = (weight.shape[1], *size)
    rows: list[Row] = [[] for _ in range(prod(output))]
    for i, *place in np.ndindex(*shape):
        for o, *tap in np.ndindex(*weight.shape[1:]):
            at = (o, *(stride * p + t for p, t in zip(place, tap, strict=True)))
            rows[int(np.ravel_multi_index(at, output))].append(
                (int(np.ravel_multi_index((i, *place), shape)), weight[(i, o, *tap)])
            )
    return rows


def mean_rows(shape: tuple[int, int, int], kernel: tuple[int, int], include_pad: bool, **geometry: Any) -> list[Row]:
    """An average pool as the rows of its matrix."""
    rows = []
    for c in range(shape[0]):
        for cells in window_cells(shape[1:], kernel, **geometry):
            n = kernel[0] * kernel[1] if include_pad else len(cells)
            rows.append([(flat(shape, c, *cell), Fraction(1, n)) for _, cell in cells])
    return rows


def diagonal_rows(weight: np.ndarray, shape: tuple[int, int, int]) -> list[Row]:
    """One weight per channel as the rows of a matrix."""
    return [[(flat(shape, c, y, x), weight[c])] for c, y, x in product(*map(range, shape))]


def dense_rows(weight: np.ndarray) -> list[Row]:
    """A fully connected layer as rows."""
    return [list(enumerate(row)) for row in weight]


def flat(shape: tuple[int, int, int], c: int, y: int, x: int) -> int:
    """The index of (c, y, x) in a flattened (C, H, W)."""
    return (c * shape[1] + y) * shape[2] + x


def apply(rows: list[Row], a: np.ndarray, b: Iterable[Fraction]) -> np.ndarray:
    """W a + b for one flattened sample."""
    units = [sum((a[i] * w for i, w in row), start=b_j) for row, b_j in zip(rows, b, strict=True)]
    return np.array(units, dtype=object)


# ---- rules as fractions ----------------------------------------------------------------------------------------


def over(parts: list[Fraction], whole: Fraction) -> list[Fraction]:
    """Each part divided by the whole; zeros if the whole is zero."""
    return [part / whole if whole else Fraction(0) for part in parts]


def up(x: Fraction) -> Fraction:
    """The positive part."""
    return max(x, Fraction(0))


def down(x: Fraction) -> Fraction:
    """The negative part."""
    return min(x, Fraction(0))


def portions(by: Rule, a: list[Fraction], w: list[Fraction], b: Fraction) -> list[Fraction]:
    """The fraction of R_j that each input of one unit receives, from the rule's equation."""
    z = [x * y for x, y in zip(a, w, strict=True)]
    zero = Fraction(0)
    if by["type"] == "Zero":
        return over(z, sum(z, b))
    if by["type"] == "Epsilon":
        epsilon, total = Fraction(str(by["epsilon"])), sum(z, b)
        return over(z, total + epsilon if total >= 0 else total - epsilon)
    if by["type"] == "Gamma":
        gamma = Fraction(str(by["gamma"]))
        if by.get("generalised"):
            part = up if sum(z, b) >= 0 else down
            parts = [v + gamma * part(v) for v in z]
            return over(parts, sum(parts, b + gamma * part(b)))
        parts = [x * (y + gamma * up(y)) for x, y in zip(a, w, strict=True)]
        return over(parts, sum(parts, b + gamma * up(b)))
    if by["type"] == "AlphaBeta":
        alpha, beta = Fraction(str(by["alpha"])), Fraction(str(by["beta"]))
        for_ = over([up(v) for v in z], sum(map(up, z), up(b)))
        against = over([down(v) for v in z], sum(map(down, z), down(b)))
        return [alpha * p - beta * n for p, n in zip(for_, against, strict=True)]
    if by["type"] == "ZPlus":
        return over([up(v) for v in z], sum(map(up, z), up(b)))
    if by["type"] == "WSquare":
        return over([v * v for v in w], sum((v * v for v in w), zero))
    if by["type"] == "Flat":
        return over([Fraction(1) for _ in w], Fraction(len(w)))
    if by["type"] == "Absolute":
        return over([abs(v) for v in z], sum(map(abs, z), abs(b)))
    raise ValueError(f"no equation for {by['type']}")


def box_portions(a: list[Fraction], w: list[Fraction], low: list[Fraction], high: list[Fraction]) -> list[Fraction]:
    """The same for the z-box rule: a w - l w+ - h w-, divided by its sum."""
    parts = [x * v - l * up(v) - h * down(v) for x, v, l, h in zip(a, w, low, high, strict=True)]
    return over(parts, sum(parts, Fraction(0)))


def relevance(by: Rule, rows: list[Row], a: np.ndarray, b: Sequence[Fraction], R: np.ndarray) -> np.ndarray:
    """R_i of one flattened sample: the sum of what every unit sends."""
    total = np.array([Fraction(0)] * len(a), dtype=object)
    for row, b_j, R_j in zip(rows, b, R, strict=True):
        sent = portions(by, [a[i] for i, _ in row], [w for _, w in row], b_j)
        for (i, _), part in zip(row, sent, strict=True):
            total[i] += part * R_j
    return total


# ---- 1 to 9: alpha-beta ----------------------------------------------------------------------------------------


def alpha_beta_cases() -> Iterator[Case]:
    """The products are split by sign, not the weights; a bias belongs to the part of its own sign."""
    one, two = rule("AlphaBeta", alpha=1, beta=0), rule("AlphaBeta", alpha=2, beta=1)
    cited = "captum 0.9.0 clamps the weights alone (captum#1234); BERT-LRP#4 likewise"
    for suffix, by in (("", one), ("-zplus", rule("ZPlus"))):
        yield unit(
            f"ab-neg-input{suffix}", 1, "negative inputs times negative weights are positive contributions", cited,
            w=[1, -2, 2], x=[1, -1, -1], by=by, expected=["1/3", "2/3", 0],
        )  # fmt: skip
    cited = "innvestigate#273 (wrong: both biases in both pools), captum 0.9.0; zennit is right (zennit#107)"
    for suffix, by, expected in (("alpha1beta0", one, [-1, 0]), ("alpha2beta1", two, [-2, "1/2"])):
        yield unit(
            f"ab-shared-fixture-{suffix}", 2, "the fixture that three trackers share", cited,
            w=[1, -1], b=-1, x=[1, 1], R=-1, by=by, expected=expected,
        )  # fmt: skip
    yield unit(
        "ab-neg-bias", 3, "a negative bias stays out of the positive pool", "captum 0.9.0 doubles the relevance (.8)",
        w=[1, "-1/10"], b="-1/2", x=[1, 1], R="2/5", by=one, expected=["2/5", 0],
    )  # fmt: skip
    cited = "innvestigate#117; TorchLRP ignores the bias always"
    for mode, expected in (("keep", [1, 1]), ("ignore", [2, 2])):
        yield unit(
            f"ab-bias-mode-{mode}", 4, "a bias takes its part of the pool, or is ignored: both modes named", cited,
            w=[1, 1], b=2, x=[1, 1], R=4, by=one | {"bias": mode}, expected=expected,
        )  # fmt: skip
    yield unit(
        "ab-bias-mode-positive-bias", 4, "a positive bias stays out of the negative pool",
        "innvestigate#273: both biases in both pools, here a pool of zero",
        w=[1, -1], b=1, x=[1, 1], by=two, expected=[1, -1],
    ) | {"ledger": {"bias": ["1"]}}  # fmt: skip
    cited = "lrp_toolbox#19: relevance is lost or inflated where a unit has no positive or no negative part"
    for mode, expected, policy in (("literal", ["2/3", "4/3"], -1), ("renormalise", ["1/3", "2/3"], 0)):
        found = unit(
            f"ab-one-pool-empty-{mode}", 5, "no negative contribution: sum 2R as written, or R renormalised", cited,
            w=[1, 2], x=[1, 1], by=two | {"empty": mode}, expected=expected,
        )  # fmt: skip
        yield found | {"ledger": {"policy": [str(policy)], "bias": ["0"]}}
    yield from all_zero_cases()
    yield from joint_denominator_cases()
    yield from parameterisation_cases()
    yield unit(
        "ab-signed-R", 9, "negative relevance above gives a negative map of the same sum",
        "innvestigate#256, #326: readers expect alpha1-beta0 maps to be non-negative",
        w=[1, 2, -1], x=[1, 1, 1], R=-1, by=one, expected=["-1/3", "-2/3", 0],
    )  # fmt: skip


def all_zero_cases() -> Iterator[Case]:
    """All contributions are zero: the map is zero, and the ledger records the relevance."""
    for name, by in (
        ("alpha2beta1", rule("AlphaBeta", alpha=2, beta=1)),
        ("zplus", rule("ZPlus")),
        ("zero", rule("Zero")),
        ("gamma", rule("Gamma", gamma=0.25)),
        ("gamma-generalised", rule("Gamma", gamma=0.25, generalised=True)),
        ("absolute", rule("Absolute")),
        ("epsilon", rule("Epsilon", epsilon=0.5)),
    ):
        found = unit(
            f"ab-all-zero-{name}", 6, "an input of zeros gives zeros, no NaN and no infinity",
            "lrp_toolbox: NaN on the slow path (lrp_toolbox#19)",
            w=[1, -2], x=[0, 0], by=by, expected=[0, 0],
        )  # fmt: skip
        lost = "stabilizer" if name == "epsilon" else "policy"
        yield found | {"ledger": {lost: ["1"]}}


def joint_denominator_cases() -> Iterator[Case]:
    """Positive weights on positive inputs and negative weights on negative inputs share one denominator."""
    title = "mixed signs: one pool for x+ w+ and x- w-, so the sum is R"
    cited = "Transformer-Explainability#55 (convolutions) and RAP normalise the two apart, which doubles the sum"
    one = rule("AlphaBeta", alpha=1, beta=0)
    yield unit(
        "ab-joint-denominator-dense", 7, title, cited,
        w=[2, -1, 3, -2], x=[1, -1, -1, 2], by=one, expected=["2/3", "1/3", 0, 0],
    )  # fmt: skip
    yield case(
        "ab-joint-denominator-conv", 7, title, cited,
        network=chain(conv=layer("Conv2D", weight=[[[[2, -1], [3, -2]]]])),
        input=text([[[[1, -1], [-1, 2]]]]), seed=text([[[[1]]]]), rules={"conv": one},
        expected=text([[[["2/3", "1/3"], [0, 0]]]]),
    )  # fmt: skip


def parameterisation_cases() -> Iterator[Case]:
    """lrp_toolbox and innsight take only alpha: alpha z+ / sum z+  +  (1 - alpha) z- / sum z-."""
    z = [Fraction(1), Fraction(-1), Fraction(2)]
    for alpha in ("1", "3/2", "2"):
        toolbox = [Fraction(alpha) * up(v) / 3 + (1 - Fraction(alpha)) * down(v) / -1 for v in z]
        beta = Fraction(alpha) - 1
        yield unit(
            f"ab-parameterisation-alpha{alpha.replace('/', 'over')}", 8,
            "(alpha, beta = alpha - 1) is what lrp_toolbox and innsight call alpha",
            "lrp_toolbox sets beta = 1 - alpha and adds; innsight mixes alpha pos + (1 - alpha) neg",
            w=z, x=[1, 1, 1], by=rule("AlphaBeta", alpha=float(Fraction(alpha)), beta=float(beta)), expected=toolbox,
        )  # fmt: skip
    for alpha, beta in ((2, -1), (1, 1)):
        yield case(
            f"ab-parameterisation-refused-{alpha}-{beta}".replace("--", "-minus"), 8,
            "alpha - beta other than 1 is refused", "", "relation",
            check="rule_is_refused", arguments={"rule": rule("AlphaBeta", alpha=alpha, beta=beta)},
        )  # fmt: skip


# ---- 10 to 17: gamma and epsilon -------------------------------------------------------------------------------


def gamma_cases() -> Iterator[Case]:
    """Weights count (1 + gamma) times, only once; the sign of z decides, and z = 0 counts as positive."""
    plain, general = rule("Gamma", gamma=0.1), rule("Gamma", gamma=0.1, generalised=True)
    for suffix, by in (("", plain), ("-generalised", general)):
        yield unit(
            f"gamma-linear{suffix}", 10, "w + gamma w+, linear in w", "TorchLRP multiplies gamma w+ by w once more",
            w=[2, -1], x=[1, 1], by=by, expected=["11/6", "-5/6"],
        )  # fmt: skip
    cited = "zennit and RelevancePropagation.jl do so; captum leaves the bias as it is: (1, -1/4)"
    for suffix, more in (("", {}), ("-generalised", {"generalised": True})):
        yield unit(
            f"gamma-bias{suffix}", 11, "a positive bias counts (1 + gamma) times, as positive weights do", cited,
            w=[1, "-1/2"], b="1/2", x=[1, 1], by=rule("Gamma", gamma=1, **more), expected=["4/5", "-1/5"],
        )  # fmt: skip
    yield absent(
        "gamma-bias-unmodified", 11, "a mode of gamma that leaves the bias as it is",
        "the declared convention is that bias takes part as weights do; there is no second mode",
        rule="Gamma", parameter="bias",
    )  # fmt: skip
    yield from generalised_gamma_cases()
    for suffix, more in (("", {}), ("-generalised", {"generalised": True})):
        yield unit(
            f"gamma-z-zero{suffix}", 13, "z = 0 belongs to the positive branch; nothing is lost in silence",
            "zennit and RelevancePropagation.jl choose by z > 0 and z < 0, and drop R at z = 0",
            w=[1, -1], x=[1, 1], by=rule("Gamma", gamma=0.25, **more), expected=[5, -4],
        )  # fmt: skip
        yield unit(
            f"gamma-zeroed-bias-sign{suffix}", 14, "with the bias left out, the sign is that of z without it",
            "zennit's zero_params='bias' takes the sign of the biased z = -1/2, and returns +-1e6",
            w=[1, "-1/2"], x=[1, 1], by=rule("Gamma", gamma=1, **more), expected=["4/3", "-1/3"],
        )  # fmt: skip


def generalised_gamma_cases() -> Iterator[Case]:
    """The generalised form, by hand: for z < 0, with a negative input, and with a negative bias."""
    title = "generalised gamma: plain for x >= 0, z > 0, and finite for z < 0"
    cited = "captum has the plain form alone"
    by = rule("Gamma", gamma=1, generalised=True)
    for suffix, w, b, x, expected in (
        ("positive", [2, -1], None, [1, 1], ["4/3", "-1/3"]),
        ("negative", [1, -2], None, [1, 1], ["-1/3", "4/3"]),
        ("negative-input", [1, 1, -1], None, [-1, 1, 2], ["2/5", "-1/5", "4/5"]),
        ("negative-bias", [1, 1, -1], -1, [-1, 1, 2], ["2/7", "-1/7", "4/7"]),
    ):
        yield unit(f"gamma-negative-z-{suffix}", 12, title, cited, w=w, b=b, x=x, by=by, expected=expected)


def epsilon_cases() -> Iterator[Case]:
    """z + epsilon sign(z), sign(0) = +1."""
    for suffix, epsilon, expected in (("tenth", 0.1, [10, -10]), ("millionth", 1e-6, [10**6, -(10**6)])):
        yield unit(
            f"eps-sign-zero-{suffix}", 15, "sign(0) = +1 in the stabilizer", "TorchLRP: the signs flip, (-10, 10)",
            w=[1, -1], x=[1, 1], by=rule("Epsilon", epsilon=epsilon), expected=expected,
        )  # fmt: skip
    cited = "the lrp-tutorial's increment and LXT add +epsilon whatever the sign: a pole at z = -epsilon"
    for suffix, w, expected in (
        ("below", [1, -2], ["-2/3", "4/3"]),
        ("at-minus-epsilon", [1, "-3/2"], [-1, "3/2"]),
        ("positive", [1, 1], ["2/5", "2/5"]),
    ):
        yield unit(
            f"eps-negative-z-{suffix}", 16, "the denominator moves away from zero on both sides", cited,
            w=w, x=[1, 1], by=rule("Epsilon", epsilon=0.5), expected=expected,
        )  # fmt: skip
    title = "sum_i R_i = sum_j R_j (z_j - b_j) / (z_j + epsilon sign z_j)"
    cited = "innvestigate#116, #117, #161: absorption taken for a bug"
    yield case(
        "eps-absorption-two-units", 17, title, cited,
        network=chain(fc=dense([[1, 2], [1, -3]], [1, -1])), input=text([[1, 1]]), seed=text([[1, 1]]),
        rules={"fc": rule("Epsilon", epsilon=1)}, expected=text([["-1/20", "23/20"]]),
        ledger={"bias": text(["9/20"]), "stabilizer": text(["9/20"])},
    )  # fmt: skip
    yield case(
        "eps-absorption-network", 17, title, cited, "relation", check="epsilon_absorption",
        arguments={"epsilon": 0.25}, network=small_dense_network("eps-absorption-network"), seed="logit",
        rules=dict.fromkeys(SMALL_DENSE, rule("Epsilon", epsilon=0.25)),
        input=text(dyadic("eps-absorption", 3, 5)), target=1,
    )  # fmt: skip


SMALL_DENSE = ("fc1", "fc2", "fc3")
"""The linear layers of `small_dense_network`."""


def small_dense_network(id_: str) -> dict[str, Any]:
    """Three Dense layers with bias and ReLUs between: 5 -> 6 -> 4 -> 3."""
    parts = {}
    for k, (out, features) in enumerate(((6, 5), (4, 6), (3, 4)), start=1):
        weight = text(dyadic(f"{id_}.w{k}", out, features))
        bias = text(dyadic(f"{id_}.b{k}", out))
        parts[f"fc{k}"] = layer("Dense", weight=weight, bias=bias)
        parts[f"relu{k}"] = layer("ReLU")
    del parts["relu3"]
    return chain(**parts)


# ---- 18 and 19: whole networks ---------------------------------------------------------------------------------


def gradient_cases() -> Iterator[Case]:
    """LRP-0 equals gradient x input; the gradient is computed here by the chain rule, in fractions."""
    title = "LRP-0 equals gradient x input for ReLU and max-pool networks, bias kept, seed = logit"
    cited = "innvestigate#303"
    id_ = "zero-is-gxi-conv"
    x = dyadic("gxi-x", 1, 2, 6, 6)
    w1, b1 = dyadic("gxi-w1-c", 3, 2, 3, 3), exact(["1/16", "-3/16", "5/16"])
    w2, b2 = dyadic("gxi-w2", 4, 27), exact(["1/8", "-1/4", "3/8", "0"])
    rows1 = conv_rows(w1, (2, 6, 6), padding=(1, 1, 1, 1))
    z1 = apply(rows1, x[0].reshape(-1), np.repeat(b1, 36))
    winners = max_winners(z1, (3, 6, 6))
    z2 = apply(dense_rows(w2), z1[winners] * (z1[winners] > 0), b2)
    target = int(np.argmax(z2.astype(float)))
    g = np.array([Fraction(0)] * len(z1), dtype=object)
    g[winners] = w2[target] * (z1[winners] > 0)
    gradient = transposed(rows1, g, x[0].size)
    names = {"conv.weight": w1, "conv.bias": b1, "fc.weight": w2, "fc.bias": b2, "input": x}
    at = {name: text(array) for name, array in names.items()}
    yield case(
        id_, 18, title, cited,
        network=chain(
            conv=layer("Conv2D", {"padding": 1}, weight=at["conv.weight"], bias=at["conv.bias"]), relu=layer("ReLU"),
            pool=layer("MaxPool2D", {"kernel_size": 2}), flatten=layer("Flatten"),
            fc=layer("Dense", weight=at["fc.weight"], bias=at["fc.bias"]),
        ),
        input=at["input"], seed="logit", target=target, rules={"conv": rule("Zero"), "fc": rule("Zero")},
        expected=text((x[0].reshape(-1) * gradient).reshape(x.shape)), derivation="matrix",
        output=text(z2[None]),
    )  # fmt: skip
    yield gradient_through_a_skip(title, cited)


def gradient_through_a_skip(title: str, cited: str) -> Case:
    """y = w3 . (x + W2 relu(W1 x + b1)), by hand: grad = w3 + W1^T mask W2^T w3."""
    x, W1, b1 = exact([2, 1]), exact([[1, -1], [-2, 1]]), exact([1, 1])
    W2, w3 = exact([[1, 3], [2, 1]]), exact([1, -1])
    mask = (W1 @ x + b1) > 0
    gradient = w3 + W1.T @ (mask * (W2.T @ w3))
    layers = {
        "fc1": dense(W1, b1), "relu": layer("ReLU"), "fc2": dense(W2), "sum": layer("Add"), "fc3": dense([w3]),
    }  # fmt: skip
    nodes = [
        ["fc1", "fc1", ["input"]], ["relu", "relu", ["fc1"]], ["fc2", "fc2", ["relu"]],
        ["sum", "sum", ["input", "fc2"]], ["fc3", "fc3", ["sum"]],
    ]  # fmt: skip
    return case(
        "zero-is-gxi-skip", 18, title, cited, network=graph(layers, nodes), input=text([x]), seed="logit", target=0,
        rules={name: rule("Zero") for name in ("fc1", "fc2", "sum", "fc3")}, expected=text([x * gradient]),
        derivation="matrix",
    )  # fmt: skip


def max_winners(z: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The index of the maximum of each 2 x 2 window; ties are rejected, because they have no gradient."""
    found = []
    for c in range(shape[0]):
        for cells in window_cells(shape[1:], (2, 2), stride=(2, 2)):
            places = [flat(shape, c, *cell) for _, cell in cells]
            best = max(z[p] for p in places)
            winners = [p for p in places if z[p] == best]
            if best == 0 or (best > 0 and len(winners) > 1):
                raise ValueError("a window has a tie, or a maximum of zero: choose another seed")
            found.append(winners[0])
    return np.array(found)


def transposed(rows: list[Row], s: np.ndarray, size: int) -> np.ndarray:
    """W^T s."""
    c = np.array([Fraction(0)] * size, dtype=object)
    for row, s_j in zip(rows, s, strict=True):
        for i, w in row:
            c[i] += w * s_j
    return c


EVERY_RULE = {
    "zero": rule("Zero"),
    "epsilon": rule("Epsilon", epsilon=0.1),
    "epsilon-rms": rule("Epsilon", epsilon=0.1, scale="rms"),
    "gamma": rule("Gamma", gamma=0.25),
    "gamma-generalised": rule("Gamma", gamma=0.25, generalised=True),
    "alpha2beta1": rule("AlphaBeta", alpha=2, beta=1),
    "zplus": rule("ZPlus"),
    "zbox": rule("ZBox", low=-1, high=1),
    "wsquare": rule("WSquare"),
    "flat": rule("Flat"),
    "absolute": rule("Absolute"),
    "relative": rule("Relative"),
}


def batch_cases() -> Iterator[Case]:
    """A sample's map does not depend on its batch; the most common error, a scaled epsilon, has the plain id."""
    for name, by in EVERY_RULE.items():
        yield case(
            "batch-independence" if name == "epsilon-rms" else f"batch-independence-{name}", 19,
            "the map of a batch holds the maps of its samples, also with a scaled epsilon",
            "the lrp-tutorial's epsilon is .1 rms over the whole array; innvestigate#91; AlexBinder/LRP_Pytorch PR 1",
            "relation", check="batch_independence", arguments={}, network=small_dense_network("batch-independence"),
            input=text(dyadic("batch", 4, 5)), seed="logit", target=1, rules=dict.fromkeys(SMALL_DENSE, by),
        )  # fmt: skip


# ---- 20 to 23: rules for the input layer -----------------------------------------------------------------------


def input_rule_cases() -> Iterator[Case]:
    """w-square ignores the bias, flat ignores padding, and in z-box the bias cancels."""
    yield unit(
        "wsquare-bias", 20, "w-square has no bias in its denominator", "zennit has b^2 there: (1/14, 4/14)",
        w=[1, 2], b=3, x=[5, 5], by=rule("WSquare"), expected=["1/5", "4/5"],
    )  # fmt: skip
    yield from flat_padding_cases()
    cited = "zennit is right; innvestigate#327 reports loss"
    for suffix, b in (("none", None), ("7", 7), ("minus3", -3)):
        yield unit(
            f"zbox-closed-bias-{suffix}", 22, "z-box: the bias cancels", cited,
            w=[1, -2], b=b, x=["1/2", "1/2"], by=rule("ZBox", low=-1, high=1), expected=["3/5", "2/5"],
        )  # fmt: skip
    yield from box_on_images()


def flat_padding_cases() -> Iterator[Case]:
    """A 3 x 3 kernel on a padded 3 x 3 image: 4 cells under a corner, 6 under an edge, 9 in the middle."""
    rows = conv_rows(exact(np.ones((1, 1, 3, 3), dtype=int)), (1, 3, 3), padding=(1, 1, 1, 1))
    seeds = {"corner": [1, 0, 0, 0, 0, 0, 0, 0, 0], "edge": [0, 1, 0, 0, 0, 0, 0, 0, 0], "all": [1] * 9}
    by_hand = {"corner": ["1/4", "1/4", 0, "1/4", "1/4", 0, 0, 0, 0], "edge": ["1/6"] * 6 + [0] * 3}
    for name, R in seeds.items():
        worked = relevance(rule("Flat"), rows, exact([0] * 9), [Fraction(0)] * 9, exact(R))
        expected = exact(by_hand[name]) if name in by_hand else worked
        if list(expected) != list(worked):
            raise ValueError(f"flat-padding-{name}: the values by hand and from the matrix disagree")
        yield case(
            f"flat-padding-{name}", 21, "padding gets nothing and is not counted; the sum is kept",
            "related: zennit#154 (constant padding absorbs relevance)",
            network=chain(conv=layer("Conv2D", {"padding": 1}, weight=dyadic("flat-padding", 1, 1, 3, 3), bias=[1])),
            input=text([[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]]), seed=text([[exact(R).reshape(3, 3)]]),
            rules={"conv": rule("Flat")}, expected=text([[expected.reshape(3, 3)]]),
            derivation="hand" if name in by_hand else "matrix",
        )  # fmt: skip


def box_on_images() -> Iterator[Case]:
    """Bounds per channel and per cell; padding is 0 in x, low and high alike."""
    title = "bounds may be arrays; cells of the padding are 0 in x, low and high"
    shape, low, high = (2, 3, 3), exact([0, -1]), exact([1, 2])
    id_ = "zbox-per-channel-and-pad"
    w, x = dyadic("box-w", 1, 2, 3, 3), abs(dyadic("box-x", 1, *shape))
    R = dyadic("box-R", 1, 1, 3, 3)
    expected = np.array([Fraction(0)] * 18, dtype=object)
    for row, R_j in zip(conv_rows(w, shape, padding=(1, 1, 1, 1)), R.reshape(-1), strict=True):
        a, weights = [x.reshape(-1)[i] for i, _ in row], [v for _, v in row]
        bounds = ([side[i // 9] for i, _ in row] for side in (low, high))
        for (i, _), part in zip(row, box_portions(a, weights, *bounds), strict=True):
            expected[i] += part * R_j
    per_cell = {"low": np.repeat(low, 9).reshape(1, *shape), "high": np.repeat(high, 9).reshape(1, *shape)}
    stored = {name: text(a) for name, a in (("weight", w), ("input", x), ("seed", R))}
    want = text(expected.reshape(x.shape))
    for suffix, by in (
        ("channel", rule("ZBox", low=text(low), high=text(high))),
        ("cell", rule("ZBox", low=text(per_cell["low"]), high=text(per_cell["high"]))),
    ):
        yield case(
            f"{id_}-{suffix}", 23, title, "nobody states which padding the three passes use",
            network=chain(conv=layer("Conv2D", {"padding": 1}, weight=stored["weight"], bias=[5])),
            input=stored["input"], seed=stored["seed"], rules={"conv": by}, expected=want, derivation="matrix",
        )  # fmt: skip
    found = unit(
        f"{id_}-at-low", 23, "x = low with w > 0 everywhere: nothing to share by, finite",
        "0/0 in implementations without a stabilizer", w=[1, 2], b=1, x=[-1, -1], R=3,
        by=rule("ZBox", low=-1, high=1), expected=[0, 0],
    )  # fmt: skip
    yield found | {"ledger": {"policy": ["3"]}}


# ---- 24 to 26: pooling -----------------------------------------------------------------------------------------


def pool_cases() -> Iterator[Case]:
    """Max pooling routes relevance; average pooling is a linear layer."""
    for ties, expected in (("first", [[1, 0], [0, 0]]), ("equal", [["1/4", "1/4"], ["1/4", "1/4"]])):
        yield pool(
            f"maxpool-ties-{ties}", 24, "a constant window: all to the first, or equal parts; the sum is kept",
            "zennit, captum: first; lrp_toolbox: equal (lrp_toolbox#5: ties once lost everything)",
            layer("MaxPool2D", {"kernel_size": 2, "ties": ties}), [[2, 2], [2, 2]], [[1]], None, expected,
        )  # fmt: skip
    for ties in ("first", "equal"):
        yield pool(
            f"maxpool-overlap-{ties}", 25, "a maximum that wins four windows gets the sum of the four",
            "tangermeme PR 95: overlapping windows overwritten, not accumulated",
            layer("MaxPool2D", {"kernel_size": 2, "stride": 1, "ties": ties}),
            [[1, 2, 3], [4, 9, 5], [6, 7, 8]], [[1, 2], [3, 4]], None, [[0, 0, 0], [0, 10, 0], [0, 0, 0]],
        )  # fmt: skip
    yield pool(
        "maxpool-padding-never-wins", 24, "padding never wins, whatever the image holds", "",
        layer("MaxPool2D", {"kernel_size": 2, "padding": 1}),
        [[-1, -2], [-3, -4]], [[1, 2], [3, 4]], None, [[1, 2], [3, 4]],
    )  # fmt: skip
    yield from average_cases()


def pool(id_: str, number: int, title: str, cited: str, spec: Any, x: Any, R: Any, by: Any, expected: Any) -> Case:
    """A case with one pooling layer on one image of one channel."""
    return case(
        id_, number, title, cited, network=chain(pool=spec), input=text([[x]]), seed=text([[R]]),
        rules={} if by is None else {"pool": by}, expected=text([[expected]]),
    )  # fmt: skip


def average_cases() -> Iterator[Case]:
    """The assigned rule is used; windows that sum to zero stay finite; padding counts in the mean, or does not."""
    title = "average pooling: proportional to the signed inputs, under the rule it is given"
    cited = "innvestigate#180: AvgPool and Add always use the z-rule, whatever was asked"
    spec, x = layer("AvgPool2D", {"kernel_size": 2}), [[1, 2], [-1, 2]]
    for name, by, expected in (
        ("zero", rule("Zero"), [["1/4", "1/2"], ["-1/4", "1/2"]]),
        ("flat", rule("Flat"), [["1/4", "1/4"], ["1/4", "1/4"]]),
        ("zplus", rule("ZPlus"), [["1/5", "2/5"], [0, "2/5"]]),
        ("epsilon", rule("Epsilon", epsilon=1), [["1/8", "1/4"], ["-1/8", "1/4"]]),
        ("absolute", rule("Absolute"), [["1/6", "1/3"], ["1/6", "1/3"]]),
    ):
        yield pool(f"avgpool-{name}", 26, title, cited, spec, x, [[1]], by, expected)
    zero_sum = [[1, -1], [2, -2]]
    lost = pool("avgpool-zero-sum-zero", 26, "a window that sums to zero: finite", cited, spec, zero_sum, [[1]],
                rule("Zero"), [[0, 0], [0, 0]])  # fmt: skip
    yield lost | {"ledger": {"policy": ["1"]}}
    yield pool(
        "avgpool-zero-sum-epsilon", 26, "a window that sums to zero: finite", cited, spec, zero_sum, [[1]],
        rule("Epsilon", epsilon=1), [["1/4", "-1/4"], ["1/2", "-1/2"]],
    )  # fmt: skip
    for counted, part in ((True, "1/5"), (False, "1/2")):
        yield pool(
            f"avgpool-pad-{'counted' if counted else 'not-counted'}", 26, "padding counts in the mean, or does not",
            cited, layer("AvgPool2D", {"kernel_size": 2, "padding": 1, "count_include_pad": counted}),
            [[1, 1], [1, 1]], [[1, 1], [1, 1]], rule("Epsilon", epsilon=1), [[part, part], [part, part]],
        )  # fmt: skip


# ---- 27 to 33: batch normalisation -----------------------------------------------------------------------------


def batchnorm(g: Any, beta: Any, mu: Any, s: Any, eps: Any = "1/4") -> dict[str, Any]:
    """A BatchNorm with a rational square root: var = s^2 - eps, so that sqrt(var + eps) = s."""
    var = [Fraction(str(v)) ** 2 - Fraction(eps) for v in s]
    return layer("BatchNorm", {"eps": float(Fraction(eps))}, weight=g, bias=beta, mean=mu, var=var)


def normalise(z: np.ndarray, g: Any, beta: Any, mu: Any, s: Any) -> np.ndarray:
    """g (z - mu) / s + beta along axis 1, in fractions; None means 1 for g and 0 for beta."""
    shape = (1, -1, *(1,) * (z.ndim - 2))
    mu, s = exact(mu).reshape(shape), exact(s).reshape(shape)
    g = exact([1]) if g is None else exact(g)
    beta = exact([0]) if beta is None else exact(beta)
    return g.reshape(shape) * (z - mu) / s + beta.reshape(shape)


def images(rows: list[Row], x: np.ndarray, b: Sequence[Fraction], size: tuple[int, int]) -> np.ndarray:
    """Convolve a batch with the matrix: (N, C, H, W) -> (N, O, *size)."""
    bias = [b_o for b_o in b for _ in range(size[0] * size[1])]
    return np.stack([apply(rows, sample.reshape(-1), bias).reshape(len(b), *size) for sample in x])


def fusion_cases() -> Iterator[Case]:
    """A fused network computes what the original did, at the border too."""
    yield from linear_then_batchnorm_cases()
    yield from batchnorm_then_conv_cases()
    yield from batchnorm_relu_cases()
    yield from batchnorm_variant_cases()
    yield from batchnorm_kept_cases()
    yield from batchnorm_relevance_cases()


def fused(id_: str, number: int, title: str, cited: str, **rest: Any) -> Case:
    """A case of forward equality after fusion; `gone` and `kept` name layer types that must be absent or present."""
    arguments = {"gone": rest.pop("gone", []), "kept": rest.pop("kept", []), "options": rest.pop("options", {})}
    arguments |= rest.pop("arguments", {})
    check = rest.pop("check", "fused_forward")
    rest = {"tolerance": 1e-12} | rest
    return case(id_, number, title, cited, "relation", check=check, arguments=arguments, **rest)


def linear_then_batchnorm_cases() -> Iterator[Case]:
    """W' = (g/s) W, b' = (g/s)(b - mu) + beta; the epsilon is under the root."""
    title = "linear, then BatchNorm: fused = original to 1e-12, with a variance as small as 1e-6"
    cited = "RelevancePropagation.jl drops BatchNorm's epsilon: at this variance 3 times too large"
    g, beta, mu, s = [2, -3], ["1/2", 1], ["1/4", -1], ["3/1000", "3/1000"]
    w, b, x = exact([[1, -2], [3, "1/2"]]), exact([1, -1]), exact([[1, 2], [-1, "1/4"]])
    y = normalise(x @ w.T + b, g, beta, mu, s)
    yield fused(
        "bn-fuse-forward-dense", 27, title, cited, gone=["BatchNorm"], arguments={
            "weight": text(exact(g)[:, None] / exact(s)[:, None] * w),
            "bias": text(exact(g) / exact(s) * (b - exact(mu)) + exact(beta)),
        },
        network=chain(fc=dense(w, b), bn=batchnorm(g, beta, mu, s, "8/1000000")), input=text(x), output=text(y),
    )  # fmt: skip
    w, x = dyadic("bn-conv-w", 2, 1, 2, 2), dyadic("bn-conv-x", 2, 1, 3, 3)
    z = images(conv_rows(w, (1, 3, 3)), x, exact([0, 0]), (2, 2))
    yield fused(
        "bn-fuse-forward-conv", 27, title, cited, gone=["BatchNorm"],
        network=chain(conv=layer("Conv2D", weight=w), bn=batchnorm(g, beta, mu, s, "8/1000000")), input=text(x),
        output=text(normalise(z, g, beta, mu, s)),
    )  # fmt: skip


def batchnorm_then_conv_cases() -> Iterator[Case]:
    """The shift becomes a map that varies at a zero-padded border."""
    g, beta, mu, s = [2, -1], ["1/2", 3], [1, "-1/2"], ["3/2", 2]
    x, b = dyadic("bn-pad-x", 2, 2, 4, 4), exact([1, -1])
    for suffix, gammas, geometry, groups in (
        ("", g, {"padding": (1, 1, 1, 1)}, 1),
        ("-stride", g, {"padding": (1, 0, 2, 1), "stride": (2, 2)}, 1),
        ("-dilation", g, {"padding": (2, 2, 2, 2), "dilation": (2, 2)}, 1),
        ("-grouped", g, {"padding": (1, 1, 1, 1)}, 2),
        ("-zero-gamma", [0, 2], {"padding": (1, 1, 1, 1)}, 1),
    ):
        w = dyadic("bn-pad-w", 2, 2 // groups, 3, 3)
        rows = conv_rows(w, (2, 4, 4), groups, **geometry)
        size = output_size((4, 4), (3, 3), **geometry)
        config = {key: list(value) for key, value in geometry.items()} | {"groups": groups}
        yield fused(
            f"bn-conv-pad{suffix}", 28, "BatchNorm, then a padded convolution: equal on the border too",
            "zennit has no such fusion (PR 171, unmerged); a scalar bias is wrong by .158 in a 4 x 4 test",
            gone=["BatchNorm", "Scale"],
            network=chain(bn=batchnorm(gammas, beta, mu, s), conv=layer("Conv2D", config, weight=w, bias=b)),
            input=text(x), output=text(images(rows, normalise(x, gammas, beta, mu, s), b, size)),
        )  # fmt: skip


def output_size(size: Any, kernel: Any, **geometry: Any) -> tuple[int, int]:
    """(H, W) of a window's output."""
    top, bottom, left, right = geometry.get("padding", (0, 0, 0, 0))
    stride, dilation = geometry.get("stride", (1, 1)), geometry.get("dilation", (1, 1))
    rows = (size[0] + top + bottom - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
    return rows, (size[1] + left + right - dilation[1] * (kernel[1] - 1) - 1) // stride[1] + 1


def batchnorm_relu_cases() -> Iterator[Case]:
    """BatchNorm, ReLU, convolution: a thresholded ReLU moves in front of the BatchNorm, which then folds."""
    beta, mu, s = ["1/2", -1], [1, "-1/2"], ["3/2", 2]
    x, w, b = dyadic("bn-relu-x", 2, 2, 4, 4), dyadic("bn-relu-w", 3, 2, 3, 3), exact([1, -1, 0])
    rows = conv_rows(w, (2, 4, 4), padding=(1, 1, 1, 1))
    for suffix, g, gone in (
        ("positive", [2, 1], ["BatchNorm"]),
        ("negative", [-2, -1], ["BatchNorm"]),
        ("mixed", [2, -1], ["BatchNorm"]),
        ("zero", [0, 2], []),
    ):
        y = normalise(x, g, beta, mu, s)
        y = images(rows, np.where(y > 0, y, Fraction(0)), b, (4, 4))
        parts = {
            "bn": batchnorm(g, beta, mu, s), "relu": layer("ReLU"),
            "conv": layer("Conv2D", {"padding": 1}, weight=w, bias=b),
        }  # fmt: skip
        for form, options in (("threshrelu", {"threshold_relu": True}), ("plain", {})):
            dissolved = gone if form == "threshrelu" else []
            held = ["ThreshReLU"] if dissolved else ["ReLU"] if form == "plain" else []
            yield fused(
                f"bn-relu-conv-{form}-{suffix}", 29, "BN -> ReLU is ThreshReLU -> BN, for gammas of both signs",
                "zennit#165 (DenseNet, open); AlexBinder's code exits where every gamma is 0",
                gone=dissolved, kept=held, options=options, network=chain(**parts), input=text(x), output=text(y),
            )  # fmt: skip


def batchnorm_variant_cases() -> Iterator[Case]:
    """Without weight or bias, grouped, strided, before Flatten and Dense; and what lrpref does not offer."""
    title = "BatchNorm in its variants: fused = original"
    cited = "zennit crashes with affine off; zennit#63, PR 71 (wrong axis); RelevancePropagation.jl: 2-D alone"
    g, beta, mu, s = [2, -1], ["1/2", 3], [1, "-1/2"], ["3/2", 2]
    x, b = dyadic("bn-var-x", 2, 2, 3, 3), exact([1, -1])
    for suffix, weight, bias in (("affine-off", None, None), ("bias-off", g, None), ("weight-off", None, beta)):
        w = dyadic("bn-var-w", 2, 2, 2, 2)
        z = images(conv_rows(w, (2, 3, 3)), x, b, (2, 2))
        yield fused(
            f"bn-variants-{suffix}", 30, title, cited, gone=["BatchNorm"],
            network=chain(conv=layer("Conv2D", weight=w, bias=b), bn=batchnorm(weight, bias, mu, s)),
            input=text(x), output=text(normalise(z, weight, bias, mu, s)),
        )  # fmt: skip
    w = dyadic("bn-var-grouped", 2, 1, 2, 2)
    z = images(conv_rows(w, (2, 3, 3), 2, stride=(1, 1)), x, b, (2, 2))
    yield fused(
        "bn-variants-grouped", 30, title, cited, gone=["BatchNorm"],
        network=chain(conv=layer("Conv2D", {"groups": 2}, weight=w, bias=b), bn=batchnorm(g, beta, mu, s)),
        input=text(x), output=text(normalise(z, g, beta, mu, s)),
    )  # fmt: skip
    w = dyadic("bn-var-flat", 3, 18)
    y = normalise(x, g, beta, mu, s).reshape(2, -1) @ w.T
    yield fused(
        "bn-variants-before-flatten", 30, title, cited, gone=["BatchNorm", "Scale"],
        network=chain(bn=batchnorm(g, beta, mu, s), flatten=layer("Flatten"), fc=dense(w)),
        input=text(x), output=text(y),
    )  # fmt: skip
    yield from other_ranks()
    yield absent(
        "bn-variants-no-statistics", 30, "BatchNorm without running statistics",
        "it would use those of the batch, and a sample's result would depend on its batch",
        layer="BatchNorm", without=["mean", "var"],
    )  # fmt: skip


def other_ranks() -> Iterator[Case]:
    """Signals, volumes and transposed convolutions: the same fold along other axes."""
    title = "BatchNorm in its variants: fused = original"
    cited = "zennit#63, PR 71: transposed, 1-D and 3-D convolutions were scaled along the wrong axis"
    g, beta, mu, s = [2, -1], ["1/2", 3], [1, "-1/2"], ["3/2", 2]
    norm, b = batchnorm(g, beta, mu, s), exact([1, -1])
    for name, kind, shape, kernel, rows_of in (
        ("1d", "Conv1D", (2, 5), (3,), valid_rows),
        ("3d", "Conv3D", (2, 3, 2, 3), (2, 1, 2), valid_rows),
        ("transposed", "ConvTranspose2D", (2, 2, 3), (2, 2), transposed_rows),
    ):
        x, w = dyadic(f"bn-{name}-x", 2, *shape), dyadic(f"bn-{name}-w", 2, 2, *kernel)
        rows, conv = rows_of(w, shape), layer(kind, weight=w, bias=b)
        size = [n + k - 1 if kind == "ConvTranspose2D" else n - k + 1 for n, k in zip(shape[1:], kernel, strict=True)]
        bias = [b_o for b_o in b for _ in range(prod(size))]

        def convolved(a: np.ndarray, rows: list[Row] = rows, bias: Any = bias, size: Any = size) -> np.ndarray:
            return np.stack([apply(rows, sample.reshape(-1), bias).reshape(2, *size) for sample in a])

        after = f"bn-variants-conv{name}" if name != "transposed" else "bn-variants-transposed"
        yield fused(
            after, 30, title, cited, gone=["BatchNorm"], network=chain(conv=conv, bn=norm), input=text(x),
            output=text(normalise(convolved(x), g, beta, mu, s)),
        )  # fmt: skip
        yield fused(
            f"bn-variants-batchnorm{name}", 30, title, cited, gone=["BatchNorm", "Scale"],
            network=chain(bn=norm, conv=conv), input=text(x), output=text(convolved(normalise(x, g, beta, mu, s))),
        )  # fmt: skip


def batchnorm_kept_cases() -> Iterator[Case]:
    """With an activation between convolution and BatchNorm, nothing may be folded into the convolution."""
    g, beta, mu, s = [2, -1], ["1/2", 3], [1, "-1/2"], ["3/2", 2]
    x, w, b = dyadic("bn-act-x", 2, 1, 3, 3), dyadic("bn-act-w", 2, 1, 2, 2), exact([1, -1])
    z = images(conv_rows(w, (1, 3, 3)), x, b, (2, 2))
    yield fused(
        "bn-no-fuse-across-activation", 31, "convolution, ReLU, BatchNorm: not fused",
        "zennit fuses across a functional relu, and changes the output",
        check="convolution_unchanged", arguments={"node": "conv"},
        network=chain(conv=layer("Conv2D", weight=w, bias=b), relu=layer("ReLU"), bn=batchnorm(g, beta, mu, s)),
        input=text(x), output=text(normalise(np.where(z > 0, z, Fraction(0)), g, beta, mu, s)),
    )  # fmt: skip


def batchnorm_relevance_cases() -> Iterator[Case]:
    """The effect of an unfused BatchNorm on relevance, and what fusion changes."""
    title = "LRP-0 through an unfused BatchNorm: R_x = x g / (s y) R, also at x = mu; mu and beta take the rest"
    cited = "innvestigate: 0 at x = mu; captum: x 1e4 near it, by another convention"
    for suffix, x, expected, bias in (("at-mu", 1, "8/3", "-5/3"), ("elsewhere", 4, "32/27", "-5/27")):
        yield case(
            f"bn-unfused-z-{suffix}", 32, title, cited,
            network=chain(bn=batchnorm([2], ["1/2"], [1], ["3/2"])), input=text([[x]]), seed=text([[1]]),
            rules={"bn": rule("Zero")}, expected=text([[expected]]), ledger={"bias": [bias]},
        )  # fmt: skip
    title = "Dense w = (1, 1), BN g = 2, mu = s = 1, x = (1, 2): fused w = (2, 2), b = -2"
    cited = "the claim of arXiv 2002.11018: fusing changes the map"
    unfused = chain(fc=dense([[1, 1]]), bn=batchnorm([2], [0], [1], [1]))
    for suffix, network, rules, expected in (
        ("by-hand-fused", chain(fc=dense([[2, 2]], [-2])), {"fc": rule("Zero")}, ["1/2", 1]),
        ("by-hand-unfused-zero", unfused, {"fc": rule("Zero"), "bn": rule("Zero")}, ["1/2", 1]),
        ("by-hand-passed", unfused, {"fc": rule("Zero"), "bn": rule("Pass")}, ["1/3", "2/3"]),
    ):
        yield case(
            f"bn-invariance-{suffix}", 33, title, cited, network=network, input=text([[1, 2]]), seed=text([[1]]),
            rules=rules, expected=text([expected]),
        )  # fmt: skip
    yield from invariance_relations()


def invariance_relations() -> Iterator[Case]:
    """Fused maps compared with those of the folded layer followed by an identity, and with unfused LRP-0.

    A bias of 1/128 added to products of eighths keeps every z away from zero, before and after the BatchNorm.
    """
    id_ = "bn-invariance"
    arrays = {
        "conv.weight": dyadic(f"{id_}.w", 3, 2, 3, 3), "conv.bias": dyadic(f"{id_}.b", 3) + Fraction(1, 128),
        "fc.weight": dyadic(f"{id_}.v", 4, 48), "input": dyadic(f"{id_}.x", 3, 2, 4, 4),
    }  # fmt: skip
    at = {name: text(a) for name, a in arrays.items()}
    network = chain(
        conv=layer("Conv2D", {"padding": 1}, weight=at["conv.weight"], bias=at["conv.bias"]),
        bn=batchnorm([2, -1, "1/2"], ["1/2", 1, -1], [1, "-1/2", 0], ["3/2", 2, 1]), relu=layer("ReLU"),
        flatten=layer("Flatten"), fc=layer("Dense", weight=at["fc.weight"]),
    )  # fmt: skip
    kinds = {
        name: by for name, by in EVERY_RULE.items() if name not in ("epsilon-rms", "gamma", "relative")
    }  # fmt: skip
    rest = {"network": network, "input": at["input"], "seed": "logit", "target": 1, "tolerance": 1e-9, "arguments": {}}
    for name, by in kinds.items():
        yield case(
            f"{id_}-identity-passed-{name}", 33, "a fused map: the folded convolution's, with an identity passed",
            "arXiv 2002.11018", "relation", check="identity_passed", rules={"conv": by, "fc": by}, **rest,
        )  # fmt: skip
        if name in ("zero", "epsilon", "gamma-generalised", "alpha2beta1", "zplus"):
            yield case(
                f"{id_}-differs-from-passed-{name}", 33, "against a BatchNorm passed through, a fused map differs",
                "arXiv 2002.11018", "relation", check="differs_from_passed", rules={"conv": by, "fc": by}, **rest,
            )  # fmt: skip
    yield case(
        f"{id_}-zero-rule-unfused", 33, "LRP-0: fused = unfused with the BatchNorm under LRP-0", "arXiv 2002.11018",
        "relation", check="zero_rule_unfused", rules=dict.fromkeys(("conv", "bn", "fc"), rule("Zero")), **rest,
    )  # fmt: skip


# ---- 34 to 38: graphs, heads, seeds ----------------------------------------------------------------------------


def graph_cases() -> Iterator[Case]:
    """Skip connections conserve relevance in any order; layers may be shared."""
    layers = {"fc": dense([[1, 0], ["1/2", "1/4"]]), "sum": layer("Add")}
    nodes = [["fc", "fc", ["input"]], ["sum", "sum", ["input", "fc"]]]
    both = {"fc": rule("Zero"), "sum": rule("Zero")}
    for target, expected in ((0, [1, 0]), (1, ["1/6", "5/6"])):
        yield case(
            f"add-conservation-{target}", 34, "y = x + W x, seed 1: the sum is 1",
            "a plain + in zennit gives 2, in captum 33/13; zennit#236; Pytorch-LRP#5",
            network=graph(layers, nodes), input=text([[1, 2]]), seed="one", target=target, rules=both,
            expected=text([expected]), output=text([[2, 3]]),
        )  # fmt: skip
    yield from cancellation_cases()
    yield from gamma_split_cases()
    yield from branch_cases()
    layers = {"fc": dense([[1, 1], [0, 1]]), "relu": layer("ReLU")}
    nodes = [["first", "fc", ["input"]], ["relu", "relu", ["first"]], ["second", "fc", ["relu"]]]
    shared = {
        "network": graph(layers, nodes), "input": text([[3, 2]]), "target": 0,
        "rules": {"first": rule("Zero"), "second": rule("Zero")},
    }  # fmt: skip
    cited = "captum PR 911 (#857: shared layers raise), #1035; `activations` left on layers after a call"
    yield case("graph-hygiene-shared", 37, "a layer used twice", cited, seed="logit", expected=text([[3, 4]]), **shared)
    yield case(
        "graph-hygiene-repeated", 37, "a second call equals the first; weights, attributes and input are untouched",
        cited, "relation", check="leaves_no_trace", arguments={}, seed="logit", **shared,
    )  # fmt: skip


def divided(branches: Sequence[Any], by: Rule, shares: Sequence[Any]) -> dict[str, Any]:
    """A sum of branches with these values, one Dense unit each, and the shares that they receive of R = 1."""
    names = "abc"[: len(branches)]
    layers = {name: dense([[v if n == name else 0 for n in names]]) for name, v in zip(names, branches, strict=True)}
    nodes = [[name, name, ["input"]] for name in names]
    return {
        "network": graph(layers | {"sum": layer("Add")}, [*nodes, ["sum", "sum", list(names)]]),
        "input": text([[1] * len(names)]), "seed": text([[1]]),
        "rules": {**{name: rule("Zero") for name in names}, "sum": by}, "expected": text([shares]),
        "at": {name: text([[share]]) for name, share in zip(names, shares, strict=True)},
    }  # fmt: skip


def cancellation_cases() -> Iterator[Case]:
    """Branches 1 and -1 + d: the signed split grows like 1/d, the others are bounded by |R|."""
    for power in (3, 6, 20):
        d = Fraction(1, 2**power)
        for name, by, split in (
            ("signed", rule("Zero"), [1 / d, (d - 1) / d]),
            ("magnitude", rule("Absolute"), [1 / (2 - d), (1 - d) / (2 - d)]),
            ("equal", rule("Flat"), ["1/2", "1/2"]),
        ):
            yield case(
                f"add-cancellation-{name}-2pow{power}", 35, "branches that cancel: signed split 1/d, others bounded",
                "zennit#148, #194 (ResNet maps unstable)", **divided([1, d - 1], by, split),
            )  # fmt: skip


def gamma_split_cases() -> Iterator[Case]:
    """Branches with the sign of the sum count 1 + gamma times; each comment is the denominator."""
    whole, quarter = (rule("Gamma", gamma=gamma, generalised=True) for gamma in (1, 0.25))
    zennit = "zennit's Gamma acts on parameters, and a sum has none: the signed split, (2, -1) for 2 - 1"
    resnet = "erenerogullari/cav-disentanglement favours both branches at z = 0; zennit's Gamma divides 0 by 0"
    d = Fraction(1, 2**20)
    for name, branches, by, shares, cited in (
        # 2 (2) - 1 = 3
        ("positive", [2, -1], whole, ["4/3", "-1/3"], zennit),
        # 1 + 2 (-2) = -3
        ("negative", [1, -2], whole, ["-1/3", "4/3"], zennit),
        # 5/4 (1 + 2) + d - 3 = 3/4 + d
        ("near-zero", [1, 2, d - 3], quarter, [5 / (3 + 4 * d), 10 / (3 + 4 * d), 4 * (d - 3) / (3 + 4 * d)], zennit),
        # 5/4 - 1 = 1/4
        ("zero", [1, -1], quarter, [5, -4], resnet),
    ):
        yield case(
            f"add-gamma-{name}", 35, "generalised gamma at a sum: shares from -1/gamma to 1 + 1/gamma", cited,
            **divided(branches, by, shares),
        )  # fmt: skip


def branch_cases() -> Iterator[Case]:
    """Each branch keeps its own rule; the order of the branches does not matter."""
    layers = {"a": dense([[3, 1]]), "b": dense([[1, 2]]), "sum": layer("Add")}
    rules = {"a": rule("Flat"), "b": rule("Zero"), "sum": rule("Zero")}
    cited = "captum#546 (an order ambiguity); innvestigate#180 (joins ignore the rule)"
    for suffix, order in (("ab", ["a", "b"]), ("ba", ["b", "a"])):
        nodes = [["a", "a", ["input"]], ["b", "b", ["input"]], ["sum", "sum", order]]
        yield case(
            f"add-order-and-rules-{suffix}", 36, "swapping branches changes nothing; each keeps its rule", cited,
            network=graph(layers, nodes), input=text([[1, 2]]), seed="logit", target=0, rules=rules,
            expected=text([["7/2", "13/2"]]), at={"a": text([[5]]), "b": text([[5]])},
        )  # fmt: skip


def head_cases() -> Iterator[Case]:
    """A final Softmax is skipped; maps under different seeds are multiples of one another."""
    cited = "lrp_toolbox's softmax has no max shift: NaN at 1000; zennit#189; captum's docs say the sum is one"
    loud = chain(fc=dense([[1000, 0], [-1000, 0]]), softmax=layer("Softmax"))
    even = chain(fc=dense([[2, 1], [1, 2]]), softmax=layer("Softmax"))
    for suffix, network, x, seed, target, expected in (
        ("logit-1000", loud, [1, 1], "logit", 0, [1000, 0]),
        ("logit-minus-1000", loud, [1, 1], "logit", 1, [-1000, 0]),
        ("probability-1000", loud, [1, 1], "probability", 0, [1, 0]),
        ("one", even, [1, 1], "one", 1, ["1/3", "2/3"]),
        ("logit", even, [1, 1], "logit", 1, [1, 2]),
        ("probability", even, [1, 1], "probability", 1, ["1/6", "1/3"]),
        ("minus-one", even, [1, 1], -1, 1, ["-1/3", "-2/3"]),
    ):
        yield case(
            f"head-and-seed-{suffix}", 38, "softmax skipped; logits of +-1000 are finite; seeds differ by a factor",
            cited, network=network, input=text([x]), seed=seed, target=target, rules={"fc": rule("Zero")},
            expected=text([expected]), exact=False,
        )  # fmt: skip
    for suffix, by in (("", rule("Epsilon", epsilon=0.25)), ("-zplus", rule("ZPlus")), ("-relative", rule("Relative"))):
        yield case(
            f"head-and-seed-factors{suffix}", 38, "maps under one, logit, probability and -1 differ by that factor",
            cited, "relation", check="seeds_are_factors", arguments={}, seed="one", target=2,
            rules=dict.fromkeys(SMALL_DENSE, by), network=small_dense_network("head-and-seed-factors"),
            input=text(dyadic("seeds", 2, 5)),
        )  # fmt: skip


# ---- 39: every linear layer against its explicit matrix --------------------------------------------------------

UNROLLED_RULES = {
    "zero": rule("Zero"),
    "epsilon": rule("Epsilon", epsilon=0.25),
    "gamma": rule("Gamma", gamma=0.5),
    "gamma-generalised": rule("Gamma", gamma=0.5, generalised=True),
    "alpha2beta1": rule("AlphaBeta", alpha=2, beta=1),
    "zplus": rule("ZPlus"),
    "wsquare": rule("WSquare"),
    "flat": rule("Flat"),
    "absolute": rule("Absolute"),
}


@dataclass
class Unrolled:
    """A layer, the rows of its matrix, its bias per output channel, the shapes of a sample, and its fan-in."""

    name: str
    spec: dict[str, Any]
    rows: list[Row]
    bias: np.ndarray
    image: tuple[int, int, int]
    output: tuple[int, int, int]
    fan_in: int


def unrolled_convolutions() -> Iterator[Unrolled]:
    """Each geometry separately, then all together; groups have two channels, so that mixing them up shows."""
    for name, channels, config in (
        ("conv", 3, {}),
        ("conv-stride", 3, {"stride": (2, 1)}),
        ("conv-dilation", 3, {"dilation": (2, 1)}),
        ("conv-padding", 3, {"padding": (0, 1, 2, 1)}),
        ("conv-groups", 4, {"groups": 2}),
        ("conv-all", 4, {"stride": (2, 1), "dilation": (1, 2), "groups": 2, "padding": (1, 0, 2, 1)}),
    ):
        image = (4, 5, 4) if "groups" in config else (2, 5, 4)
        w, b = dyadic(f"unrolled-{name}", channels, 2, 3, 2), dyadic(f"unrolled-{name}-b", channels)
        geometry = {key: value for key, value in config.items() if key != "groups"}
        rows = conv_rows(w, image, config.get("groups", 1), **geometry)
        listed = {key: list(value) if isinstance(value, tuple) else value for key, value in config.items()}
        size = output_size(image[1:], (3, 2), **geometry)
        weight = text(w)
        yield Unrolled(name, layer("Conv2D", listed, weight=weight, bias=b), rows, b, image, (channels, *size), 12)


def unrolled_others() -> Iterator[Unrolled]:
    """Average pooling and diagonal layers."""
    image, none = (2, 5, 4), exact([0, 0])
    for name, counted in (("avgpool-counted", True), ("avgpool-not-counted", False)):
        geometry = {"stride": (2, 1), "padding": (1, 0, 1, 0)}
        config = {"kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 0, 1, 0], "count_include_pad": counted}
        size = output_size(image[1:], (3, 2), **geometry)
        rows = mean_rows(image, (3, 2), counted, **geometry)
        yield Unrolled(name, layer("AvgPool2D", config), rows, none, image, (2, *size), 6)
    means = mean_rows(image, (5, 4), True)
    yield Unrolled("globalavgpool", layer("GlobalAvgPool2D"), means, none, image, (2, 1, 1), 20)
    w, b = dyadic("unrolled-transposed", 2, 3, 3, 2), dyadic("unrolled-transposed-b", 3)
    spread = layer("ConvTranspose2D", {"stride": 2}, weight=w, bias=b)
    yield Unrolled("transposed", spread, transposed_rows(w, (2, 2, 3), 2), b, (2, 2, 3), (3, 5, 6), 4)
    w, b = exact([2, "-1/2"]), exact(["-1/4", 1])
    yield Unrolled("scale", layer("Scale", weight=w, bias=b), diagonal_rows(w, image), b, image, image, 1)
    bn = batchnorm([3, -1], ["1/4", 1], [1, "-1/2"], ["3/2", 2])
    w, b = exact([2, "-1/2"]), exact(["-7/4", "3/4"])
    yield Unrolled("batchnorm", bn, diagonal_rows(w, image), b, image, image, 1)


def unrolled_cases() -> Iterator[Case]:
    """Convolutions, pooling and diagonal layers under every rule, from their matrices."""
    for one in (*unrolled_convolutions(), *unrolled_others()):
        id_ = f"unrolled-oracle-{one.name}"
        x, R = dyadic(f"{id_}.x", 2, *one.image), dyadic(f"{id_}.R", 2, *one.output)
        b = [b_o for b_o in one.bias for _ in range(one.output[1] * one.output[2])]
        stored, seed = text(x), text(R)
        z = np.stack([apply(one.rows, a.reshape(-1), b) for a in x]).reshape(R.shape)
        output = text(z)
        for rule_name, by in UNROLLED_RULES.items():
            found = [relevance(by, one.rows, a.reshape(-1), b, r.reshape(-1)) for a, r in zip(x, R, strict=True)]
            yield case(
                f"{id_}-{rule_name}", 39, "equal to the rule on the explicit matrix", "",
                network=chain(layer=one.spec), input=stored, seed=seed, rules={"layer": by}, output=output,
                expected=text(np.stack(found).reshape(x.shape)), derivation="matrix",
            )  # fmt: skip
        for rescale in (True, False) if one.spec["type"] != "BatchNorm" else ():
            messages = [
                relative(one.rows, one.fan_in, a.reshape(-1), b, r.reshape(-1), rescale)
                for a, r in zip(x, R, strict=True)
            ]
            yield case(
                f"relative-{one.name}-{'rescaled' if rescale else 'bare'}", 40,
                "equal to the rule on the explicit matrix", RECONSTRUCTED,
                network=chain(layer=one.spec), input=stored, seed=seed,
                rules={"layer": rule("Relative", rescale=rescale)}, output=output,
                expected=text(np.stack(messages).reshape(x.shape)), derivation="matrix",
            )  # fmt: skip


# ---- 40: precision, and Relative LRP ---------------------------------------------------------------------------

RECONSTRUCTED = "reconstructed from the abstract of arXiv 2501.14322, which prints no formula; no other library has it"


def relative(rows: list[Row], n: int, a: np.ndarray, b: Sequence[Fraction], R: np.ndarray, rescale: bool) -> np.ndarray:
    """R_i of one flattened sample: sgn(z_j) (a_i w_ij / n) R_j summed, times |R| / |sum of messages| if rescaled."""
    total = np.array([Fraction(0)] * len(a), dtype=object)
    for row, b_j, R_j in zip(rows, b, R, strict=True):
        sign = 1 if sum((a[i] * w for i, w in row), start=b_j) >= 0 else -1
        for i, w in row:
            total[i] += sign * a[i] * w / n * R_j
    size = sum(map(abs, total))
    return total * (sum(map(abs, R)) / size if size else 0) if rescale else total


def precision_cases() -> Iterator[Case]:
    """float32 stays close to float64; a stabilizer of 1e-9 makes a difference in float64."""
    for name in ("epsilon", "gamma-generalised", "alpha2beta1", "zplus", "zbox", "wsquare", "flat", "relative"):
        yield case(
            f"precision-float32-{name}", 40, "float32 stays within 1e-5 of the largest entry of the float64 map",
            "LXT#27: a gap in bfloat16 taken for a fault of the rule", "relation", check="float32_precision",
            arguments={"bound": 1e-5}, network=small_dense_network("precision"), input=text(dyadic("precision", 3, 5)),
            seed="one", target=0, rules=dict.fromkeys(SMALL_DENSE, EVERY_RULE[name]),
        )  # fmt: skip
    for suffix, w, expected in (
        ("at-one", [2, -1], [2 / (1 + Fraction(1, 10**9)), -1 / (1 + Fraction(1, 10**9))]),
        ("at-zero", [1, -1], [10**9, -(10**9)]),
    ):
        yield unit(
            f"precision-stabilizer-{suffix}", 40, "a stabilizer of 1e-9 counts in float64",
            "next to 1 it vanishes in float32", w=w, x=[1, 1], by=rule("Epsilon", epsilon=1e-9), expected=expected,
        ) | {"tolerance": 1e-12}  # fmt: skip


def relative_cases() -> Iterator[Case]:
    """Bare and rescaled messages side by side, by hand; the first of each pair is bare."""
    both = ("bare", rule("Relative", rescale=False)), ("rescaled", rule("Relative"))
    for name, title, w, b, x, R, maps, ledgers in (
        # n = 2, z = 1; messages (2/2, -1/2) R; kappa = 3 / (9/2) = 2/3
        ("unit", "sgn(z) a w / n R; rescaled, |R| is kept", [2, -1], None, [1, 1], 3, (["3", "-3/2"], [2, -1]),
         ({"factor": ["3/2"], "bias": ["0"]}, {"factor": ["2"], "bias": ["0"]})),
        # z = 2; messages (1, -1/2); kappa = 2/3; bias kappa b/n, factor 1 - kappa |z|/n
        ("bias", "a bias is in the sign of z, and books b / n", [2, -1], 1, [1, 1], 1,
         (["1", "-1/2"], ["2/3", "-1/3"]), ({"bias": ["1/2"], "factor": ["0"]}, {"bias": ["1/3"], "factor": ["1/3"]})),
        # z = -1: the signs flip; kappa = 1 / (3/2)
        ("negative-z", "z < 0 turns the signs: evidence stays on its side", [1, -2], None, [1, 1], 1,
         (["-1/2", "1"], ["-1/3", "2/3"]), ({"factor": ["1/2"]}, {"factor": ["2/3"]})),
        # z = 1 - 2 = -1, negative because of the bias; messages -(1, 0) / 2; kappa = 2; bias kappa sgn(z) b / n
        ("negative-bias", "a bias may turn the sign", [1, -1], -2, [1, 0], 1,
         (["-1/2", "0"], ["-1", "0"]), ({"bias": ["1"], "factor": ["1/2"]}, {"bias": ["2"], "factor": ["0"]})),
        # z = 0, sgn(0) = +1; kappa = 1
        ("zero-z", "z = 0: finite, sgn(0) = +1", [1, -1], None, [1, 1], 1, (["1/2", "-1/2"], ["1/2", "-1/2"]),
         ({"factor": ["1"]}, {"factor": ["1"]})),
        ("zero-input", "nothing to share by: zeros, and no 0/0", [1, -2], None, [0, 0], 3, ([0, 0], [0, 0]),
         ({"factor": ["3"]}, {"factor": ["3"]})),
        ("negative-input", "negative inputs", [1, 2, -1], None, [-1, 1, 1], 2, (["-2/3", "4/3", "-2/3"],
         ["-1/2", "1", "-1/2"]), ({"factor": ["2"]}, {"factor": ["2"]})),
        ("negative-R", "odd in R", [2, -1], None, [1, 1], -3, (["-3", "3/2"], [-2, 1]),
         ({"factor": ["-3/2"]}, {"factor": ["-2"]})),
    ):  # fmt: skip
        for (form, by), expected, ledger in zip(both, maps, ledgers, strict=True):
            found = unit(
                f"relative-{name}-{form}", 40, title, RECONSTRUCTED, w=w, b=b, x=x, R=R, by=by, expected=expected
            )
            yield found | {"ledger": ledger}
    for form, by, of in (("bare", both[0][1], 0), ("rescaled", both[1][1], 1)):
        yield from relative_layers(form, by, of)
        yield from relative_graphs(form, by, of)
    yield from relative_laws()


def relative_layers(form: str, by: Rule, of: int) -> Iterator[Case]:
    """Several units, samples and layers; `of` selects the bare (0) or the rescaled (1) map."""
    # z = (3, 0); messages (1/2, 1) and (1/2, -1/2); kappa = 2 / (3/2)
    yield case(
        f"relative-two-units-{form}", 40, "messages are summed before they are rescaled", RECONSTRUCTED,
        network=chain(fc=dense([[1, 2], [1, -1]])), input=text([[1, 1]]), seed=text([[1, 1]]), rules={"fc": by},
        expected=text([([1, "1/2"], ["4/3", "2/3"])[of]]),
    )  # fmt: skip
    # the second sample is 4 times the first, with half the relevance: the bare map doubles, the rescaled one halves
    yield case(
        f"relative-samples-{form}", 40, "a sample is rescaled by its own size", RECONSTRUCTED,
        network=chain(fc=dense([[2, -1]])), input=text([[1, 1], [4, 4]]), seed=text([[3], ["3/2"]]), rules={"fc": by},
        expected=text(([["3", "-3/2"], [6, -3]], [[2, -1], [1, "-1/2"]])[of]),
    )  # fmt: skip
    # w = 1/4, n = 4: a / 16; rescaled by 1 / (6/16)
    yield pool(
        f"relative-avgpool-by-hand-{form}", 40, "average pooling: weight 1/k^2, fan-in k^2", RECONSTRUCTED,
        layer("AvgPool2D", {"kernel_size": 2}), [[1, 2], [-1, 2]], [[1]], by,
        ([["1/16", "1/8"], ["-1/16", "1/8"]], [["1/6", "1/3"], ["-1/6", "1/3"]])[of],
    )  # fmt: skip
    # z = (2, -1/2): 2 * 1 and -(-3/2) * 2; kappa = 3/5
    yield case(
        f"relative-scale-by-hand-{form}", 40, "a diagonal layer has fan-in 1", RECONSTRUCTED,
        network=chain(scale=layer("Scale", weight=[2, "-1/2"], bias=[0, 1])), input=text([[1, 3]]),
        seed=text([[1, 2]]), rules={"scale": by}, expected=text([([2, 3], ["6/5", "9/5"])[of]]),
    )  # fmt: skip
    # in the corner only 4 of 9 taps meet the image, but n is still 9
    corner = [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    yield case(
        f"relative-padding-{form}", 40, "padding counts in the fan-in", RECONSTRUCTED,
        network=chain(conv=layer("Conv2D", {"padding": 1}, weight=[[[[1] * 3] * 3]])), input=text([[[[1] * 3] * 3]]),
        seed=text([[[[1, 0, 0], [0, 0, 0], [0, 0, 0]]]]), rules={"conv": by},
        expected=text([[exact(corner) / (9, 4)[of]]]),
    )  # fmt: skip


def relative_graphs(form: str, by: Rule, of: int) -> Iterator[Case]:
    """A chain, and a skip connection that divides relevance in proportion to the signed branches."""
    # h = (3, 0 by ReLU of -1); fc2: h (1, 2) / 2 = (3/2, 0); fc1: (1, 2) / 2 times that; kappa = 2/3 and 4/9
    yield case(
        f"relative-chain-{form}", 40, "layer by layer", RECONSTRUCTED,
        network=chain(fc1=dense([[1, 1], [1, -1]]), relu=layer("ReLU"), fc2=dense([[1, 2]])), input=text([[1, 2]]),
        seed="one", target=0, rules={"fc1": by, "fc2": by}, expected=text([(["3/4", "3/2"], ["1/3", "2/3"])[of]]),
        at={"fc1": text([(["3/2", 0], [1, 0])[of]])},
    )  # fmt: skip
    # y_2 = 2 + 1: the skip gets 2/3, fc 1/3; fc sends a w / 2 = 1/4 of that to each input, 1/12; kappa = 2
    layers = {"fc": dense([[1, 0], ["1/2", "1/4"]]), "sum": layer("Add")}
    yield case(
        f"relative-skip-{form}", 40, "at a skip connection relevance is split in proportion: the one division",
        RECONSTRUCTED,
        network=graph(layers, [["fc", "fc", ["input"]], ["sum", "sum", ["input", "fc"]]]), input=text([[1, 2]]),
        seed="one", target=1, rules={"fc": by, "sum": rule("Zero")},
        expected=text([(["1/12", "3/4"], ["1/6", "5/6"])[of]]), at={"fc": text([[0, "1/3"]])},
    )  # fmt: skip
    # y = 3 - 2: split into 3 R and -2 R; bare, a sends 3 * 3 R and b sends -(-2)(-2 R); rescaled, 3 R and -2 R
    layers = {"a": dense([[3]]), "b": dense([[-2]]), "sum": layer("Add")}
    yield case(
        f"relative-skip-signed-{form}", 40, "a split of branches of both signs", RECONSTRUCTED,
        network=graph(layers, [["a", "a", ["input"]], ["b", "b", ["input"]], ["sum", "sum", ["a", "b"]]]),
        input=text([[1]]), seed=text([[1]]), rules={"a": by, "b": by, "sum": rule("Zero")},
        expected=text([([5], [1])[of]]), at={"a": text([[3]]), "b": text([[-2]])},
    )  # fmt: skip


def relative_laws() -> Iterator[Case]:
    """A constant per layer cancels, one per neuron does not; BatchNorm must be fused first."""
    w = [dyadic(f"relative-constants-{k}", *shape) for k, shape in enumerate(((6, 5), (4, 6), (3, 4)))]
    network = chain(fc1=dense(w[0]), relu1=layer("ReLU"), fc2=dense(w[1]), relu2=layer("ReLU"), fc3=dense(w[2]))
    for node, constant in (("fc1", "8"), ("fc2", "1/16"), ("fc3", "3")):
        yield case(
            f"relative-constants-{node}", 40, "a positive constant on all weights of a layer cancels", RECONSTRUCTED,
            "relation", check="constants_cancel", arguments={"node": node, "constant": constant}, network=network,
            input=text(dyadic("relative-constants-x", 2, 5)), seed="one", target=1,
            rules=dict.fromkeys(SMALL_DENSE, rule("Relative")),
        )  # fmt: skip
    # h = (1, 1) and (2, 1); both send (1/2, 1/2) to h, and then (1, 1) / 4 or (2, 1) / 4 to x
    for name, first, second, expected in (
        ("as-it-is", [[1, 0], [0, 1]], [[1, 1]], ["1/2", "1/2"]),
        ("rescaled-neuron", [[2, 0], [0, 1]], [["1/2", 1]], ["2/3", "1/3"]),
    ):
        yield case(
            f"relative-not-invariant-{name}", 40, "the same function, one neuron rescaled: another map", RECONSTRUCTED,
            network=chain(fc1=dense(first), relu=layer("ReLU"), fc2=dense(second)), input=text([[1, 1]]), seed="one",
            target=0, rules=dict.fromkeys(("fc1", "fc2"), rule("Relative")), expected=text([expected]),
            output=text([[2]]),
        )  # fmt: skip
    yield case(
        "relative-refuses-batchnorm", 40, "a BatchNorm that was not fused is refused", RECONSTRUCTED, "relation",
        check="relative_refuses_batchnorm", arguments={}, input=text([[1, 2]]),
        network=chain(fc=dense([[1, 1]]), bn=batchnorm([2], [0], [1], [1])),
    )  # fmt: skip


# ---- 41: layers that networks have had since -------------------------------------------------------------------


def since_cases() -> Iterator[Case]:
    """One small network per layer, each with a relevance that takes a line of arithmetic."""
    yield from product_cases()
    yield from join_cases()
    yield from reduction_cases()
    yield from movement_cases()
    yield from resizing_cases()
    yield from border_cases()
    yield from further_pool_cases()
    yield from sample_norm_cases()
    yield from activation_cases()


def since(id_: str, title: str, spec: Any, x: Any, R: Any, expected: Any, by: Any = None, **rest: Any) -> Case:
    """A case with one layer, or one before a Dense unit; x, R and `expected` lack the axis of the samples."""
    layers = {"layer": spec} | ({"fc": dense([rest.pop("w")])} if "w" in rest else {})
    rules = ({} if by is None else {"layer": by}) | ({"fc": rule("Zero")} if "fc" in layers else {})
    return case(
        id_, 41, title, rest.pop("cited", ""), network=chain(**layers), input=text([x]), seed=text([R]), rules=rules,
        expected=text([expected]), **rest,
    )  # fmt: skip


def joined(id_: str, title: str, spec: Any, x: Any, R: Any, expected: Any, by: Any = None, cited: str = "") -> Case:
    """A case with a layer of two inputs: x[0] and the rest of x, along the last axis if x has several."""
    axis = np.ndim(np.asarray(x, dtype=object))
    at = 1 if axis > 1 else len(x) // 2
    parts = {"first": layer("Slice", {"axis": axis, "stop": at}), "rest": layer("Slice", {"axis": axis, "start": at})}
    nodes = [["first", "first", ["input"]], ["rest", "rest", ["input"]], ["join", "join", ["first", "rest"]]]
    return case(
        id_, 41, title, cited, network=graph(parts | {"join": spec}, nodes), input=text([x]), seed=text([R]),
        rules={} if by is None else {"join": by}, expected=text([expected]),
    )  # fmt: skip


def product_cases() -> Iterator[Case]:
    """A product is not linear: its relevance is shared by a convention, whatever the values of the factors are."""
    half = "Achtibat et al. 2024 (arXiv 2402.05602), prop. 3.2; Arras et al. 2019, LRP-half"
    signal = "Arras et al. 2017 (arXiv 1706.07206); Arras et al. 2019, LRP-all"
    for name, config, title, cited, expected in (
        ("half", {"split": "half"}, "2 x 3 with R = 6: each factor receives R / 2", half, [3, 3]),
        ("signal", {"split": "signal"}, "2 x 3 with R = 6: the signal receives all, the gate 0", signal, [6, 0]),
        ("signal-second", {"split": "signal", "signal": 1}, "the second factor is the signal", signal, [0, 6]),
    ):
        yield joined(f"multiply-{name}", title, layer("Multiply", config), [2, 3], [6], expected, cited=cited)
    # The gates, of shape (N, 2, 1), are the first column: (6 + 10) / 2 and (4 + 8) / 2.
    yield joined(
        "multiply-broadcast", "a gate used for all cells of its channel receives the sum of their halves",
        layer("Multiply"), [[2, 3, 5], [1, 4, 6]], [[6, 10], [4, 8]], [[8, 3, 5], [6, 2, 4]], cited=half,
    )  # fmt: skip


def join_cases() -> Iterator[Case]:
    """A difference has the weights 1 and -1; a maximum routes; a concatenation returns every part."""
    for name, by, title, expected in (
        ("zero", rule("Zero"), "3 - 1 with R = 4: 4 (3, -1) / 2", [6, -2]),
        ("absolute", rule("Absolute"), "3 - 1 with R = 4: 4 (3, 1) / 4", [3, 1]),
        ("flat", rule("Flat"), "3 - 1 with R = 4: equal parts", [2, 2]),
        ("zplus", rule("ZPlus"), "3 - 1 with R = 4: the only positive contribution is that of 3", [4, 0]),
    ):
        yield joined(f"subtract-{name}", title, layer("Subtract"), [3, 1], [4], expected, by)
    for kind, expected in (("Maximum", [0, 7, 3, 0]), ("Minimum", [3, 0, 0, 7])):
        title = f"{kind} of (1, 5) and (2, 4): each cell's relevance goes to the input that won"
        yield joined(kind.lower(), title, layer(kind), [1, 5, 2, 4], [3, 7], expected)
    for ties, expected in (("first", [6, 0]), ("equal", [3, 3])):
        title = "equal inputs: all to the first, or equal parts; the sum is kept"
        yield joined(f"maximum-ties-{ties}", title, layer("Maximum", {"ties": ties}), [2, 2], [6], expected)
    # Of each channel (a, b, c), "rest" is (b, c), and the concatenation (b, c, a).
    found = joined(
        "concat-axis-2", "a concatenation of signals along their positions, in another order",
        layer("Concat", {"axis": 2}), [[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]], [[9, 7, 8], [12, 10, 11]],
    )  # fmt: skip
    found["network"]["nodes"][-1][-1].reverse()
    yield found | {"output": text([[[2, 3, 1], [5, 6, 4]]])}


def reduction_cases() -> Iterator[Case]:
    """Sums and means over axes are linear layers with the weights 1 and 1/n; a maximum routes."""
    x = [[1, 2], [3, -4]]
    yield since(
        "sum-over-axes-zero", "sums 3 and -1: 3 (1, 2) / 3 and 2 (3, -4) / -1", layer("Sum", {"axes": 2}), x, [3, 2],
        [[1, 2], [-6, 8]], rule("Zero"),
    )  # fmt: skip
    yield since(
        "mean-over-axes-zero", "the mean of all cells is 2/4: 2 (1/4, 2/4, 3/4, -4/4) / (2/4)",
        layer("Mean", {"axes": [1, 2]}), x, 2, x, rule("Zero"),
    )  # fmt: skip
    yield since(
        "mean-over-axes-epsilon", "means 3/2 and -1/2: 2 (1/2, 1) / (3/2 + 1/2) and 2 (3/2, -2) / (-1/2 - 1/2)",
        layer("Mean", {"axes": 2}), x, [2, 2], [["1/2", 1], [-3, 4]], rule("Epsilon", epsilon=0.5),
    )  # fmt: skip
    for ties, tied in (("first", [8, 0]), ("equal", [4, 4])):
        yield since(
            f"max-over-axis-{ties}", "the largest cell takes all; of equal ones the first, or each its part",
            layer("Max", {"axes": 2, "ties": ties}), [[1, 5], [4, 4]], [6, 8], [[0, 6], tied],
        )  # fmt: skip


def movement_cases() -> Iterator[Case]:
    """What only moves values moves relevance back."""
    yield since(
        "slice-step", "every second cell is read; the others receive 0", layer("Slice", {"axis": 1, "step": 2}),
        [1, 2, 3, 4, 5], [7, 8, 9], [7, 0, 8, 0, 9],
    )  # fmt: skip
    # (1, 2), (3, 4) is read as (1, 3, 2, 4): the contributions 1, 3, 4, -4 of the sum 4.
    yield case(
        "permute-reshape-dense", 41, "axes swapped, then flattened: 4 (1, 3, 2 x 2, -1 x 4) / 4, each to its cell", "",
        network=chain(
            permute=layer("Permute", {"axes": [0, 2, 1]}), reshape=layer("Reshape", {"shape": [-1]}),
            fc=dense([[1, 1, 2, -1]]),
        ),
        input=text([[[1, 2], [3, 4]]]), seed=text([[4]]), rules={"fc": rule("Zero")},
        expected=text([[[1, 4], [3, -4]]]), output=text([[4]]),
    )  # fmt: skip
    yield since(
        "pixel-shuffle", "four channels of one cell become the four cells of one channel, row by row",
        layer("PixelShuffle", {"upscale_factor": 2}), [[[5]], [[6]], [[7]], [[8]]], [[[1, 2], [3, 4]]],
        [[[1]], [[2]], [[3]], [[4]]], output=text([[[[5, 6], [7, 8]]]]),
    )  # fmt: skip
    yield since(
        "channel-shuffle", "two groups (a, b), (c, d) are dealt as (a, c, b, d)",
        layer("ChannelShuffle", {"groups": 2}), [[5], [6], [7], [8]], [[1], [2], [3], [4]], [[1], [3], [2], [4]],
        output=text([[[5], [7], [6], [8]]]),
    )  # fmt: skip


def resizing_cases() -> Iterator[Case]:
    """Copies return their relevance; an interpolation is a linear layer."""
    for name, config, R, expected in (
        ("twice", {"scale_factor": 2}, [1, 2, 3, 4], [3, 7]),  # copies of a, a, b, b
        ("size-3", {"size": 3}, [1, 2, 4], [3, 4]),  # cell k copies floor(2 k / 3): a, a, b
    ):
        title = "each cell receives the sum over its copies"
        yield since(f"upsample-nearest-{name}", title, layer("UpsampleNearest", config), [[5, 6]], [R], [expected])
    # a = 4, b = 12: a, 3/4 a + 1/4 b = 3 + 3, 1/4 a + 3/4 b = 1 + 9, b; the first and the last have one neighbour.
    for name, by, expected in (("zero", rule("Zero"), [3, 13]), ("flat", rule("Flat"), [7, 9])):
        yield since(
            f"upsample-linear-{name}", "twice the cells: (4, 3 + 3, 1 + 9, 12), whose ends have one neighbour each",
            layer("UpsampleLinear", {"scale_factor": 2}), [[4, 12]], [[1, 2, 10, 3]], [expected], by,
            output=text([[[4, 6, 10, 12]]]),
        )  # fmt: skip
    yield since(
        "upsample-linear-align-corners-zero", "corners aligned: (4, 2 + 6, 12)",
        layer("UpsampleLinear", {"size": 3, "coordinates": "align_corners"}), [[4, 12]], [[1, 4, 2]], [[2, 5]],
        rule("Zero"), output=text([[[4, 8, 12]]]),
    )  # fmt: skip


def border_cases() -> Iterator[Case]:
    """Copies on a border return their relevance; a constant border keeps what falls on it."""
    for mode, held, expected in (
        ("reflect", "b, a, b, c, b", [2, 1 + 3 + 5, 4]),
        ("replicate", "a, a, b, c, c", [1 + 2, 3, 4 + 5]),
        ("circular", "c, a, b, c, a", [2 + 5, 3, 1 + 4]),
    ):
        yield since(
            f"pad-{mode}", f"(a, b, c) with a border is ({held}): each receives the sum over its copies",
            layer("Pad1D", {"padding": 1, "mode": mode}), [[5, 6, 7]], [[1, 2, 3, 4, 5]], [expected],
        )  # fmt: skip
    yield since(
        "pad-constant", "what falls on a border of constants, 1 + 5, stays there",
        layer("Pad1D", {"padding": 1, "value": 1.0}), [[5, 6, 7]], [[1, 2, 3, 4, 5]], [[2, 3, 4]],
        ledger={"bias": ["6"]},
    )  # fmt: skip


def further_pool_cases() -> Iterator[Case]:
    """Adaptive windows may overlap; a global maximum is one window."""
    # Windows of 5 cells for 3 outputs: cells 0-1, 1-3 and 3-4, with the sums 2, 6 and 4.
    for name, by, expected in (
        ("zero", rule("Zero"), [1, 1 + 1, 2, 3 + 3, 1]),
        ("flat", rule("Flat"), [1, 1 + 2, 2, 2 + 2, 2]),
    ):
        yield since(
            f"adaptive-avg-pool-{name}", "5 cells, 3 windows that overlap: (1, 1), (1, 2, 3) and (3, 1)",
            layer("AdaptiveAvgPool1D", {"output_size": 3}), [[1, 1, 2, 3, 1]], [[2, 6, 4]], [expected], by,
        )  # fmt: skip
    for ties, tied in (("first", [8, 0, 0]), ("equal", [4, 4, 0])):
        yield since(
            f"global-max-pool-{ties}", "the largest cell takes all; of equal ones the first, or each its part",
            layer("GlobalMaxPool1D", {"ties": ties}), [[1, 5, 2], [4, 4, -1]], [[6], [8]], [[0, 6, 0], tied],
        )  # fmt: skip


def sample_norm_cases() -> Iterator[Case]:
    """The deviation is held constant, s = 1 for (1, 3); the mean is linear, a constant, or apart from g and beta.

    With g = (1, 2), beta = (0, 2) and R = (2, 8):

        linear     z = (1/2 - 3/2, -1 + 3 + 2)      R = 2 (1/2, -3/2) / -1 + 8 (-1, 3) / 4
        constant   z = (1 - 2, 6 - 4 + 2)           R = (2 x 1 / -1, 8 x 6 / 4)
        centred    z = (1/2 - 3/2, -1/2 + 3/2)      R = 2 (1/2, -3/2) / -1 + 8 (-1/2, 3/2) / 1
    """
    cited = "Ali et al. 2022 (arXiv 2202.07304)"
    forms = {
        "linear": ("z = (1/2 - 3/2, -1 + 3 + 2): 2 (1/2, -3/2) / -1 + 8 (-1, 3) / 4", [-3, 9], 4),
        "constant": ("z = (1 - 2, 6 - 4 + 2): (2 x 1 / -1, 8 x 6 / 4)", [-2, 12], 0),
        "centred": ("z = (1/2 - 3/2, -1/2 + 3/2): 2 (1/2, -3/2) / -1 + 8 (-1/2, 3/2) / 1", [-5, 15], 0),
    }
    g, beta, x, R = [1, 2], [0, 2], [1, 3], [2, 8]
    for kind, over in (("group", {"num_groups": 1}), ("layer", {"normalized_shape": 2})):
        for mean, (how, expected, kept) in forms.items():
            config = over | {"eps": 0.0, "mean": mean}
            yield since(
                f"{kind}-norm-{mean}", f"the mean is {mean}: {how}",
                layer(f"{kind.title()}Norm", config, weight=g, bias=beta), x, R, expected, rule("Zero"),
                cited=cited, ledger={"bias": [str(kept)]},
            )  # fmt: skip
    config = {"normalized_shape": 2, "eps": 0.0, "mean": "constant"}
    yield since(
        "layer-norm-pass", "the rule of AttnLRP: relevance passes", layer("LayerNorm", config, weight=g, bias=beta),
        x, R, R, rule("Pass"), cited="Achtibat et al. 2024 (arXiv 2402.05602), prop. 3.4",
    )  # fmt: skip
    # s is 1 for (1, 3) and 2 for (2, 6): z = (1/2 - 3/2, -1/2 + 3/2) in both channels.
    yield since(
        "instance-norm-zero", "each channel has its own mean and deviation: R_1 (1/2, -3/2) / -1 + R_2 (-1/2, 3/2) / 1",
        layer("InstanceNorm", {"eps": 0.0}, weight=[1, 1]), [[1, 3], [2, 6]], [[2, 8], [1, 1]], [[-5, 15], [-1, 3]],
        rule("Zero"), cited=cited,
    )  # fmt: skip
    yield since(
        "rms-norm-epsilon", "s^2 = (1 + 49) / 2 = 25: z = (1, 14), R = (2 x 1 / (1 + 1), 15 x 14 / (14 + 1))",
        layer("RMSNorm", {"normalized_shape": 2, "eps": 0.0}, weight=[5, 10]), [1, 7], [2, 15], [1, 14],
        rule("Epsilon", epsilon=1), output=text([[1, 14]]), ledger={"stabilizer": ["2"]},
    )  # fmt: skip


def activation_cases() -> Iterator[Case]:
    """An activation passes relevance, whatever its slope is."""
    yield since(
        "prelu-dense", "slope 1/4: z = 2 x -1/2 + 3, R = 2 (-1, 3) / 2", layer("PReLU", {"weight": 0.25}), [-2, 3], [2],
        [-1, 3], w=[2, 1], output=text([[2]]),
    )  # fmt: skip
    yield since(
        "clip-dense", "(-1, 1, 5) is clipped to (0, 1, 2): relevance passes through a cell whose value was cut",
        layer("Clip", {"low": 0.0, "high": 2.0}), [-1, 1, 5], [4], [0, 2, 2], w=[1, 2, 1], output=text([[4]]),
    )  # fmt: skip


# ---- 42: transformers and other networks of products -----------------------------------------------------------


def attention_cases() -> Iterator[Case]:
    """Products of matrices, softmax within a network, layers of tokens, and a step of an LSTM."""
    yield from matrix_product_cases()
    yield from three_factor_cases()
    yield from softmax_cases()
    yield from token_cases()
    yield from whole_attention_cases()
    yield lstm_case()


ATTNLRP, ALI = "Achtibat et al. 2024 (arXiv 2402.05602)", "Ali et al. 2022 (arXiv 2202.07304)"


def matrix_product(id_: str, title: str, config: Any, x: Any, R: Any, expected: Any, by: Rule, **rest: Any) -> Case:
    """A case with a product of two matrices: the first row of the input, and all others."""
    parts = {"first": layer("Slice", {"axis": 1, "stop": 1}), "rest": layer("Slice", {"axis": 1, "start": 1})}
    nodes = [["first", "first", ["input"]], ["rest", "rest", ["input"]], ["product", "product", ["first", "rest"]]]
    return case(
        id_, 42, title, rest.pop("cited"), network=graph(parts | {"product": layer("MatMul", config)}, nodes),
        input=text([x]), seed=text([R]), rules={"product": by}, expected=text([expected]), **rest,
    )  # fmt: skip


def matrix_product_cases() -> Iterator[Case]:
    """(1, 2) (3, 4)^T = 11 with R = 22; and weights (1, 3) times values ((2, 1), (4, -1)) = (14, -2)."""
    turned, zero = {"transpose": True}, rule("Zero")
    scores, values = [[1, 2], [3, 4]], [[1, 3], [2, 1], [4, -1]]
    half, signal = f"{ATTNLRP}, prop. 3.3", f"{ALI}; CP-LRP in {ATTNLRP}"
    yield matrix_product(
        "matmul-half", "(1, 2) (3, 4)^T = 11 with R = 22: each factor receives (3, 8)", turned, scores, [[22]],
        [[3, 8], [3, 8]], zero, cited=half, output=text([[[11]]]),
    )  # fmt: skip
    yield matrix_product(
        "matmul-half-epsilon", "scaled by 1/2, O = 11/2, epsilon 1/2: 22 (3/2, 4) / (2 x 11/2 + 2 x 1/2) each",
        turned | {"scale": 0.5}, scores, [[22]], [["11/4", "22/3"]] * 2, rule("Epsilon", epsilon=0.5), cited=half,
        ledger={"stabilizer": ["11/6"]},
    )  # fmt: skip
    for k, name, expected in ((0, "first", [[6, 16], [0, 0]]), (1, "second", [[0, 0], [6, 16]])):
        yield matrix_product(
            f"matmul-signal-{name}", f"the {name} factor is the signal and receives all of R = 22",
            turned | {"split": "signal", "signal": k}, scores, [[22]], expected, zero, cited=signal,
        )  # fmt: skip
    yield matrix_product(
        "matmul-values", "R = (28, 4), R / 2 O = (1, -1): weights 1 (2 - 1), 3 (4 + 1); values 2, -1, 12, 3", {},
        values, [[28, 4]], [[1, 15], [2, -1], [12, 3]], zero, cited=half, output=text([[[14, -2]]]),
    )  # fmt: skip
    yield matrix_product(
        "matmul-values-signal", "the weights are constants: values 2 x 2, 2 x -1, 2 x 12, 2 x 3", {"split": "signal"},
        values, [[28, 4]], [[0, 0], [4, -2], [24, 6]], zero, cited=signal,
    )  # fmt: skip


def three_factor_cases() -> Iterator[Case]:
    """One function, 2 x 3 x 4, in two orders of multiplication."""
    parts = {f"x{k}": layer("Slice", {"axis": 1, "start": k - 1, "stop": k}) for k in (1, 2, 3)}
    cut = [[name, name, ["input"]] for name in parts]
    for name, how, inner, outer, expected in (
        ("left", "(x1 x2) x3", ["x1", "x2"], ["inner", "x3"], [6, 6, 12]),
        ("right", "x1 (x2 x3)", ["x2", "x3"], ["x1", "inner"], [12, 6, 6]),
    ):
        nodes = [*cut, ["inner", "product", inner], ["outer", "product", outer]]
        yield case(
            f"three-factors-{name}", 42, f"{how} at (2, 3, 4), R = 24: halves of halves depend on the order",
            "You et al. 2025 (arXiv 2510.18810)", network=graph(parts | {"product": layer("Multiply")}, nodes),
            input=text([[2, 3, 4]]), seed=text([[24]]), rules={}, expected=text([expected]),
        )  # fmt: skip


def softmax_cases() -> Iterator[Case]:
    """Equal logits x have s_i = 1/n, so that R_i = x (R_i - sum_j R_j / n), and the bias keeps sum_j R_j."""
    for name, axis, x, R, expected, kept in (
        ("two", 1, [2, 2], [3, 1], [2, -2], 4),
        ("rows", 2, [[-1, -1, -1], [4, 4, 4]], [[3, 0, 0], [1, 1, 4]], [[-2, 1, 1], [-4, -4, 8]], 9),
    ):
        nodes = [["softmax", "softmax", ["input"]], ["flatten", "flatten", ["softmax"]]]
        yield case(
            f"softmax-inside-{name}", 42, "equal logits x: R_i = x (R_i - the mean of R)", f"{ATTNLRP}, prop. 3.1",
            network=graph({"softmax": layer("Softmax", {"axis": axis}), "flatten": layer("Flatten")}, nodes),
            input=text([x]), seed=text([np.ravel(R)]), rules={}, expected=text([expected]), exact=False,
            ledger={"bias": [str(kept)]},
        )  # fmt: skip


def token_cases() -> Iterator[Case]:
    """Layers of sequences: each with a relevance that takes a line of arithmetic."""
    zero = rule("Zero")

    def tokens(id_: str, title: str, spec: Any, x: Any, R: Any, expected: Any, by: Any = None, **rest: Any) -> Case:
        return case(
            id_, 42, title, "", network=chain(layer=spec), input=text([x]), seed=text([R]),
            rules={} if by is None else {"layer": by}, expected=text([expected]), **rest,
        )  # fmt: skip

    yield tokens(
        "token-dense-zero", "z = 1 + 2 + 1 and 3 - 1 + 1 at two positions: 8 (1, 2) / 4 and 6 (3, -1) / 3",
        layer("TokenDense", weight=[[1, 1]], bias=[1]), [[1, 2], [3, -1]], [[8], [6]], [[2, 4], [6, -2]], zero,
        ledger={"bias": ["4"]},
    )  # fmt: skip
    yield tokens(
        "affine-zero", "z = ((2 + 1, 2 + 1), (6 - 2, 4 - 2)): relevance times w a / z",
        layer("Affine", weight=[2, 1], bias=[[1], [-2]]), [[1, 2], [3, 4]], [[3, 6], [8, 2]], [[2, 4], [12, 4]], zero,
        ledger={"bias": ["-3"]},
    )  # fmt: skip
    yield tokens(
        "prepend-tokens", "the relevance 1 + 2 of the learned token is that of a constant",
        layer("PrependTokens", tokens=[[7, 8]]), [[1, 2]], [[1, 2], [3, 4]], [[3, 4]], ledger={"bias": ["3"]},
    )  # fmt: skip
    yield case(
        "embedding-dense", 42, "vectors (5, 6) and (1, 2), z = 5 - 6 + 2 + 2: the sums of (5, -6) and (2, 2)", "",
        network=chain(
            embedding=layer("Embedding", weight=[[1, 2], [3, 4], [5, 6]]), flatten=layer("Flatten"),
            fc=dense([[1, -1, 2, 1]]),
        ),
        input=text([[2, 0]]), seed=text([[3]]), rules={"fc": zero}, expected=text([[-1, 4]]),
        at={"embedding": text([[[5, -6], [2, 2]]])},
    )  # fmt: skip


def whole_attention_cases() -> Iterator[Case]:
    """One head on tokens (1, 3) with keys and values equal to them, and queries of 0: all weights are 1/2, O = 2.

    R = 4 arrives at the first token. The values receive R (1/2, 3/2) / 2 of it, or half of that; where the weights
    receive the other half, the softmax sends nothing on, because the scores are 0, and its constant term keeps it.
    """
    one, none = layer("TokenDense", weight=[[1]]), layer("TokenDense", weight=[[0]])
    for name, split, expected, kept, cited in (
        ("attnlrp", "half", [["1/2"], ["3/2"]], 2, ATTNLRP),
        ("cplrp", "signal", [[1], [3]], 0, ALI),
    ):
        layers = {
            "query": none, "key": one, "value": one, "scores": layer("MatMul", {"transpose": True, "split": split}),
            "weights": layer("Softmax", {"axis": -1}), "mixed": layer("MatMul", {"split": split}),
        }  # fmt: skip
        nodes = [[key, key, ["input"]] for key in ("query", "key", "value")]
        nodes += [["scores", "scores", ["query", "key"]], ["weights", "weights", ["scores"]]]
        nodes += [["mixed", "mixed", ["weights", "value"]]]
        yield case(
            f"attention-{name}", 42, "scores of 0 make equal weights: (1, 3) / 4 of what the values receive",
            cited, network=graph(layers, nodes), input=text([[[1], [3]]]), seed=text([[[4], [0]]]),
            rules={key: rule("Zero") for key in ("query", "key", "value", "scores", "mixed")},
            expected=text([expected]), output=text([[[2], [2]]]), exact=False, ledger={"bias": [str(kept)]},
        )  # fmt: skip


def lstm_case() -> Case:
    """Two steps of an LSTM whose gates are all 1/2 and whose cell reads x alone, at x = (1, 1): g = tanh(1) twice.

    c_1 = g/2 and c_2 = c_1/2 + g/2, of which 1/3 is from the first step: R = 3 becomes (1, 2).
    """
    signal = layer("Multiply", {"split": "signal", "signal": 1})
    layers = {
        "x1": layer("Slice", {"axis": 1, "stop": 1}), "x2": layer("Slice", {"axis": 1, "start": 1}),
        "gate": layer("Sigmoid"), "tanh": layer("Tanh"), "signal": signal, "add": layer("Add"),
        "cell": dense([[1]]), "closed": dense([[0]]),
    }  # fmt: skip
    nodes = [["x1", "x1", ["input"]], ["x2", "x2", ["input"]]]
    for t in (1, 2):
        nodes += [[f"z{t}", "closed", [f"x{t}"]], [f"gate{t}", "gate", [f"z{t}"]]]
        nodes += [[f"a{t}", "cell", [f"x{t}"]], [f"g{t}", "tanh", [f"a{t}"]]]
        nodes += [[f"new{t}", "signal", [f"gate{t}", f"g{t}"]]]
    nodes += [["kept", "signal", ["gate2", "new1"]], ["c", "add", ["kept", "new2"]]]
    nodes += [["squashed", "tanh", ["c"]], ["h", "signal", ["gate2", "squashed"]]]
    return case(
        "lstm-signal", 42, "gates of 1/2: c = g/4 + g/2, so R = 3 becomes 1 for the first step and 2 for the second",
        "Arras et al. 2017 (arXiv 1706.07206)", network=graph(layers, nodes), input=text([[1, 1]]), seed=text([[3]]),
        rules={name: rule("Zero") for name in ("z1", "a1", "z2", "a2", "c")}, expected=text([[1, 2]]), exact=False,
        at={"g1": text([[1]]), "g2": text([[2]])},
    )  # fmt: skip


# ---- the questions of the relations ----------------------------------------------------------------------------

UNASKED = {
    "leaves_no_trace": "what a call leaves behind, and whether a second one equals the first, no file of answers shows",
    "rule_is_refused": "a refusal is not relevance, so no file of answers shows it",
    "relative_refuses_batchnorm": "a refusal is not relevance, so no file of answers shows it",
    "fused_forward": "it is about the output of a network whose BatchNorm was folded, and answers are relevance",
    "convolution_unchanged": "it is about the weights of a network whose BatchNorm was folded, not about relevance",
}
"""The laws that only an adapter can be asked about, and why."""


def with_questions(found: Case) -> Case:
    """A relation with its questions, as changes of the case, and with the comparisons of their answers.

    A comparison is {"what", "got", "expected"} with a bound: "tolerance" (absolute and relative), "of_largest"
    (absolute and relative, in units of the largest entry), or "unlike" (the least difference in these units). Each side
    is {"numbers": array}, or {"answer": question} with, optionally, "sample", "times" (a factor for each sample, or for
    each entry) and "sum": true (of each sample).
    """
    if found["kind"] != "relation":
        return found
    if found["check"] in UNASKED:
        return found | {"adapters_only": UNASKED[found["check"]]}
    questions, comparisons = ASKED[found["check"]](found)
    return found | {"questions": questions, "comparisons": comparisons}


Asked = tuple[dict[str, Any], list[dict[str, Any]]]


def equal(what: str, got: Any, expected: Any, **bound: float) -> dict[str, Any]:
    """A comparison of two sides; a text is the name of a question."""
    sides = [{"answer": side} if isinstance(side, str) else side for side in (got, expected)]
    return {"what": what, "got": sides[0], "expected": sides[1], **bound}


def ask_batch(found: Case) -> Asked:
    """The batch, and each of its samples alone."""
    samples = found["input"]
    questions = {"batch": {}} | {f"sample-{n}": {"input": [sample]} for n, sample in enumerate(samples, start=1)}
    return questions, [
        equal(f"sample {n} of {len(samples)}, in its batch against alone", {"answer": "batch", "sample": n - 1},
              f"sample-{n}", tolerance=found["tolerance"])
        for n in range(1, len(samples) + 1)
    ]  # fmt: skip


def ask_seeds(found: Case) -> Asked:
    """One map for each seed that a library offers; the factors are 1, the logit, its softmax, and -1."""
    z = outputs(found)[-1]
    logit = z[:, found["target"]]
    factors = {
        "one": [Fraction(1)] * len(z), "logit": list(logit),
        "probability": [softmax(row, found["target"]) for row in z], "minus-one": [Fraction(-1)] * len(z),
    }  # fmt: skip
    questions = {name: {"seed": -1 if name == "minus-one" else name, "optional": True} for name in factors}
    names = list(factors)
    return questions, [
        equal(f"seed {other} against seed {name}", other, {
            "answer": name, "times": text([a / b for a, b in zip(factors[other], factors[name], strict=True)]),
        }, tolerance=found["tolerance"])
        for k, name in enumerate(names) for other in names[k + 1 :]
    ]  # fmt: skip


def softmax(row: Sequence[Fraction], index: int) -> Fraction:
    """exp(z_k) / sum_j exp(z_j), to 30 digits and the same on every machine."""
    return (1 / sum(exponential(z - row[index]) for z in row)).limit_denominator(10**30)


def exponential(x: Fraction) -> Fraction:
    """exp(x), by its series in fractions; the terms fall below 10^-40 for |x| < 10."""
    total = term = Fraction(1)
    for k in range(1, 100):
        term = (term * x / k).limit_denominator(10**60)
        total += term
    return total


def ask_absorption(found: Case) -> Asked:
    """The relevance at each node of a chain, as that of the input of the rest of the chain."""
    epsilon, z = Fraction(str(found["arguments"]["epsilon"])), [exact(found["input"]), *outputs(found)]
    nodes, layers = found["network"]["nodes"], found["network"]["layers"]
    questions: dict[str, Any] = {}
    comparisons = []
    for place, (name, _, _) in enumerate(nodes):
        rest = nodes[place:]
        names = [node for node, _, _ in rest]
        chained = [[node, node, [before]] for node, before in zip(names, ["input", *names], strict=False)]
        part = {
            "network": graph({node: layers[node] for node in names}, chained), "input": text(z[place]),
            "rules": {node: by for node, by in found["rules"].items() if node in names},
        }  # fmt: skip
        questions[f"from-{name}"] = part if place else {}
        if layers[name]["type"] == "Dense":
            out, b = z[place + 1], exact(layers[name]["arrays"]["bias"])
            kept = (out - b) / (out + epsilon * np.where(out >= 0, 1, -1))
            above: dict[str, Any] = {"numbers": text((out * kept)[:, found["target"]])}
            if rest[1:]:
                above = {"answer": f"from-{rest[1][0]}", "times": text(kept), "sum": True}
            comparisons.append(
                equal(name, {"answer": f"from-{name}", "sum": True}, above, tolerance=found["tolerance"])
            )
    return questions, comparisons


def ask_float32(found: Case) -> Asked:
    """The same question in both number types."""
    bound = found["arguments"]["bound"]
    return (
        {"float64": {}, "float32": {"precision": "float32"}},
        [equal("float32 against float64", "float32", "float64", of_largest=bound)],
    )


def ask_scaled(found: Case) -> Asked:
    """The network, and the one with a layer whose weights are multiplied by the constant."""
    node, constant = found["arguments"]["node"], Fraction(found["arguments"]["constant"])
    layers = found["network"]["layers"]
    scaled = dense(exact(layers[node]["arrays"]["weight"]) * constant)
    return (
        {"plain": {}, "scaled": {"network": found["network"] | {"layers": layers | {node: scaled}}}},
        [equal("relevance after scaling the weights", "scaled", "plain", tolerance=found["tolerance"])],
    )


def folded(network: dict[str, Any]) -> dict[str, Any]:
    """The chain conv, bn, ... with the BatchNorm folded: W' = (g/s) W, b' = (g/s)(b - mu) + beta."""
    layers = {key: spec for key, spec in network["layers"].items() if key != "bn"}
    conv, bn = layers["conv"], network["layers"]["bn"]
    held = {name: exact(array) for name, array in bn["arrays"].items()}
    s = exact([root(v + Fraction(str(bn["config"]["eps"]))) for v in held["var"]])
    scale = held["weight"] / s
    w = exact(conv["arrays"]["weight"]) * scale.reshape(-1, 1, 1, 1)
    b = (exact(conv["arrays"]["bias"]) - held["mean"]) * scale + held["bias"]
    return chain(**layers | {"conv": layer(conv["type"], conv["config"], weight=w, bias=b)})


def root(x: Fraction) -> Fraction:
    """The square root of a square."""
    found = Fraction(isqrt(x.numerator), isqrt(x.denominator))
    if found * found != x:
        raise ValueError(f"{x} has no rational root")
    return found


def ask_identity(found: Case) -> Asked:
    """The folded network, and the folded one with an identity under Pass after the convolution."""
    fused = folded(found["network"])
    layers = {
        key: spec
        for name, kept in fused["layers"].items()
        for key, spec in ([(name, kept), ("one", layer("Scale", weight=[1] * 3))] if name == "conv" else [(name, kept)])
    }
    return (
        {"folded": {"network": fused}, "identity": {
            "network": chain(**layers), "rules": found["rules"] | {"one": rule("Pass")},
        }},
        [equal("with an identity instead of the BatchNorm", "identity", "folded", tolerance=found["tolerance"])],
    )  # fmt: skip


def ask_unfused(found: Case) -> Asked:
    """The network with its BatchNorm, and the folded one."""
    rules = {name: by for name, by in found["rules"].items() if name != "bn"}
    return (
        {"unfused": {}, "folded": {"network": folded(found["network"]), "rules": rules}},
        [equal("relevance in the folded network", "folded", "unfused", tolerance=found["tolerance"])],
    )


def ask_passed(found: Case) -> Asked:
    """The folded network, and the one whose BatchNorm passes relevance on."""
    return (
        {"folded": {"network": folded(found["network"])}, "passed": {"rules": found["rules"] | {"bn": rule("Pass")}}},
        [equal("the folded map differs from the passed one", "passed", "folded", unlike=0.01)],
    )


ASKED = {
    "batch_independence": ask_batch, "seeds_are_factors": ask_seeds, "epsilon_absorption": ask_absorption,
    "float32_precision": ask_float32, "constants_cancel": ask_scaled, "identity_passed": ask_identity,
    "zero_rule_unfused": ask_unfused, "differs_from_passed": ask_passed,
}  # fmt: skip
"""The laws whose answers a file can hold."""


def outputs(found: Case) -> list[np.ndarray]:
    """The output of each node of a chain of Dense and ReLU layers, in fractions."""
    z, found_so_far = exact(found["input"]), []
    for name, _, _ in found["network"]["nodes"]:
        spec = found["network"]["layers"][name]
        if spec["type"] == "Dense":
            arrays = {key: exact(array) for key, array in spec["arrays"].items()}
            z = z @ arrays["weight"].T + arrays.get("bias", Fraction(0))
        else:
            z = np.where(z > 0, z, Fraction(0))
        found_so_far.append(z)
    return found_so_far


# ---- profiles --------------------------------------------------------------------------------------------------


def profiles(cases: list[Case]) -> dict[str, Any]:
    """The content of profiles.json: the profiles of cases/SPEC.md, each with the cases whose citations it holds."""
    clauses = spec.read()
    found: dict[str, Any] = {}
    for name in spec.profiles(clauses):
        title = next(clause.summary for clause in clauses.values() if clause.title == f"`{name}`")
        found[name] = {"title": title, "cases": [case["id"] for case in cases if profile_of(case, clauses) == name]}
    return {"format": FORMAT, "profiles": found}


# ---- files -----------------------------------------------------------------------------------------------------


def build() -> list[Case]:
    """Build the whole table, sorted by number."""
    makers = (
        alpha_beta_cases, gamma_cases, epsilon_cases, gradient_cases, batch_cases, input_rule_cases, pool_cases,
        fusion_cases, graph_cases, head_cases, unrolled_cases, precision_cases, relative_cases,
        since_cases,
        attention_cases,
    )  # fmt: skip
    found = (with_clauses(with_questions(case)) for maker in makers for case in maker())
    return sorted(found, key=lambda case: case["number"])


def with_clauses(case: Case) -> Case:
    """The case with the clauses of cases/SPEC.md that it cites, after its citation."""
    place = list(case).index("citation") + 1
    fields = list(case.items())
    return dict([*fields[:place], ("clauses", clauses_of(case)), *fields[place:]])


def texts(cases: list[Case]) -> dict[str, str]:
    """Path -> content of every JSON file, with one field per line for readable diffs."""
    index = {"format": FORMAT, "version": VERSION, "specification": spec.version(), "about": ABOUT}
    index["cases"] = [found["id"] for found in cases]
    files = {
        "index.json": json.dumps(index, indent=1) + "\n",
        "profiles.json": json.dumps(profiles(cases), indent=1) + "\n",
    }
    for found in cases:
        lines = [f"  {json.dumps(key)}: {written(key, value)}" for key, value in found.items()]
        files[f"cases/{found['id']}.json"] = "{\n" + ",\n".join(lines) + "\n}\n"
    return files


def written(key: str, value: Any) -> str:
    """A field as JSON: one question or comparison per line, anything else on one line."""
    if key == "questions":
        value = ",\n    ".join(f"{json.dumps(name)}: {json.dumps(changes)}" for name, changes in value.items())
        return f"{{\n    {value}\n  }}"
    if key == "comparisons":
        return "[\n    " + ",\n    ".join(map(json.dumps, value)) + "\n  ]"
    return json.dumps(value)


def rounded(cases: list[Case]) -> dict[str, np.ndarray]:
    """The longer arrays of the cases as float64, each number rounded to the nearest."""
    arrays: dict[str, np.ndarray] = {}
    for found in cases:
        named = {key: found[key] for key in ("input", "seed", "expected", "output") if isinstance(found.get(key), list)}
        for key, held in found.get("network", {}).get("layers", {}).items():
            named |= {f"{key}.{name}": array for name, array in held["arrays"].items()}
        arrays |= {f"{found['id']}/{name}": exact(array) for name, array in named.items()}
    return {name: array.astype(np.float64) for name, array in arrays.items() if array.size >= LONG}


def write(folder: Path, cases: list[Case]) -> None:
    """Write every file, and remove the files of cases that no longer exist."""
    (folder / "cases").mkdir(parents=True, exist_ok=True)
    files = texts(cases)
    for path in (folder / "cases").glob("*.json"):
        if f"cases/{path.name}" not in files:
            path.unlink()
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    np.savez_compressed(folder / "float64.npz", **rounded(cases))


def differences(folder: Path, cases: list[Case]) -> list[str]:
    """List what differs between the folder and what `write` would put there."""
    files = texts(cases)
    there = {f"cases/{path.name}" for path in (folder / "cases").iterdir()} | {"index.json", "profiles.json"}
    found = [f"{name} should not be there" for name in sorted(there - files.keys())]
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            found.append(f"{name} is not what the script makes")
    arrays = rounded(cases)
    with np.load(folder / "float64.npz", allow_pickle=False) as data:
        if set(data.files) != set(arrays) or any(not np.array_equal(data[name], a) for name, a in arrays.items()):
            found.append("float64.npz is not what the script makes")
    return found


def disagreements(folder: Path) -> list[str]:
    """List the cases whose expected value differs from what lrpref computes in exact arithmetic."""
    from lrpref.conformance import load_adapter, load_cases, run  # only for the check, after the table has been built

    cases = [found for found in load_cases(folder) if found.exact is not None]
    report = run(load_adapter("lrpref.conformance.adapters.lrpref:exact"), cases)
    print(f"{report.counts['agrees']} of {len(cases)} exact cases: lrpref's exact mode gives the same fractions")
    wrong = [result for result in report.results if result.verdict != "agrees"]
    return [f"{result.case.id}: lrpref's exact mode disagrees ({result.what}, {result.reason})" for result in wrong]


def main() -> int:
    """Write or check the fixtures; return 1 if the check fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the existing files and write nothing")
    parser.add_argument("--out", type=Path, default=FIXTURES, help="folder of the fixtures")
    chosen = parser.parse_args()
    cases = build()
    if not chosen.check:
        write(chosen.out, cases)
        print(f"wrote {len(cases)} cases to {chosen.out}")
        return 0
    wrong = differences(chosen.out, cases)
    print(f"{len(cases)} cases, version {VERSION}: " + ("as the script makes them" if not wrong else "NOT as made"))
    wrong = wrong or disagreements(chosen.out)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
