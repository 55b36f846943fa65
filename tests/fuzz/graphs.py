"""Random networks under every rule: the plain walk against the prepared engine, in both precisions and every form.

Three kinds of networks: those of `lrpref.testing`, whose sums are exact; those of tests/graphs.py, with BatchNorm in
every position, fused and not; and wide ones, in which every step and every kernel of the prepared engine has its place.
The tolerance is derived, network by network (`bounds`).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from graphs import Sketch, convolution, graphs
from hypothesis import HealthCheck, Phase, settings

import lrpref
from lrpref import composites, layers, rules
from lrpref.errors import RelevanceWarning, RuleError
from lrpref.layers import Conv2D
from lrpref.testing.strategies import networks
from lrpref.walk import Trace

from . import bounds
from .runner import Fuzzer

RULES: dict[str, Any] = {
    "zero": rules.Zero(),
    "epsilon": rules.Epsilon(1e-6),
    "epsilon-large": rules.Epsilon(0.25),
    "rms": rules.Epsilon(0.1, scale="rms"),
    "gamma": rules.Gamma(0.25),
    "gamma-stabilized": rules.Gamma(1.0, stabilizer=1e-6),
    "gamma-generalised": rules.Gamma(0.25, generalised=True),
    "gamma-generalised-stabilized": rules.Gamma(0.5, generalised=True, stabilizer=1e-6),
    "alpha-beta": rules.AlphaBeta(2, 1),
    "alpha1": rules.AlphaBeta(1, 0),
    "alpha-beta-biasless": rules.AlphaBeta(2, 1, bias="ignore", stabilizer=1e-6),
    "alpha-beta-renormalised": rules.AlphaBeta(2, 1, empty="renormalise"),
    "z-plus": rules.ZPlus(),
    "z-plus-stabilized": rules.ZPlus(1e-6),
    "z-box": rules.ZBox(-4.0, 4.0),
    "w-square": rules.WSquare(),
    "flat": rules.Flat(),
    "absolute": rules.Absolute(),
    "relative": rules.Relative(rescale=False),
    "EpsilonPlus": composites.EpsilonPlus(),
    "EpsilonPlusFlat": composites.EpsilonPlusFlat(),
    "EpsilonGammaBox": composites.EpsilonGammaBox(-4.0, 4.0),
    "EpsilonAlpha2Beta1": composites.EpsilonAlpha2Beta1(),
    "EpsilonAlpha2Beta1Flat": composites.EpsilonAlpha2Beta1Flat(),
}
"""Every rule, and every composite that prepares differently."""

FORMS = ("direct", "winograd")
UNDERIVED = {np.float64: 1e-7}
"""Where no bound is derived: the largest difference, of the largest value. Float32 is not compared there."""


def case(seed: int, folder: Path) -> Mapping[str, int]:
    """One network, under every rule, in both precisions and several forms."""
    rng = np.random.default_rng(seed)
    kind = ("exact", "norms", "wide", "exact", "norms", "exact")[seed % 6]  # wide networks take ten times as long
    net, x = {"exact": _exact, "norms": _norms, "wide": _wide}[kind](seed, rng)
    counts = Counter({f"network: {kind}": 1})
    for dtype in (np.float64, np.float32):
        used = net.astype(dtype)
        for name in RULES:
            counts.update(compare(used, x.astype(dtype), name, kind == "exact" and dtype == np.float64, rng))
    return counts


def compare(net: lrpref.Network, x: np.ndarray, name: str, exact: bool, rng: np.random.Generator) -> Counter[str]:
    """The plain map against those of the prepared engine, under one rule."""
    counts: Counter[str] = Counter()
    rule, target = RULES[name], None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RelevanceWarning)
        try:
            plain = lrpref.trace(net, x, target, rule)
        except RuleError:
            return Counter({"refused by both": _refused(net, x, rule)})
        target = plain.target
        known: dict[str, bounds.Bound | None] = {}  # forms with the same tiles have the same bound
        for form in _forms(net, rng):
            prepared = lrpref.prepare(net, rule, form=form, shape=_shape(x, rng), threads=1)
            R = prepared.explain(x, target)
            counts.update(_steps(prepared))
            tiles = _winograd(prepared)
            if (key := repr(sorted(tiles.items()))) not in known:
                known[key] = derived(net, x, plain, tiles, exact)
            decided = agree(x, plain, R, known[key], f"{name}, {form}, {net.dtype}")
            if not decided.any():
                counts["undecided"] += 1
                continue
            counts["comparisons"] += 1
            counts[f"compared: {name}"] += 1
            counts[f"compared: {form}, {net.dtype}"] += 1
    return counts


def agree(x: np.ndarray, plain: Trace, R: np.ndarray, bound: bounds.Bound | None, where: str) -> np.ndarray:
    """Demand that R is the plain map up to rounding; return which samples were decided."""
    assert R.dtype == plain.relevance.dtype
    assert R.shape == x.shape
    if bound is None:
        return _agree_roughly(plain.relevance, R, where)
    axes = tuple(range(1, R.ndim))
    finite = np.isfinite(plain.relevance).all(axis=axes) & np.isfinite(bound.error).all(axis=axes)
    decided: np.ndarray = bound.decided & finite
    difference = abs(R.astype(np.float64) - plain.relevance)
    tiny = 64 * np.finfo(R.dtype).tiny / np.finfo(R.dtype).eps
    wrong = ~(difference <= 4 * bound.error + tiny) & decided.reshape(-1, *[1] * len(axes))
    if wrong.any():
        at = tuple(int(i[0]) for i in np.nonzero(wrong))
        raise AssertionError(f"{where}: {R[at]} for {plain.relevance[at]} at {at}, bound {bound.error[at]:.1e}")
    return decided


def derived(
    net: lrpref.Network, x: np.ndarray, plain: Trace, tiles: Mapping[str, Any], exact: bool
) -> bounds.Bound | None:
    """The bound for one explanation; None for rules without one."""
    double = net.astype(np.float64)
    walk = bounds.forward(double, x.astype(np.float64), float(np.finfo(x.dtype).eps), exact, tiles)
    start = double.logits
    z, error = walk.values[start], walk.errors[start]
    hit = np.zeros_like(z).reshape(len(z), -1)
    hit[np.arange(len(z)), plain.target] = 1
    hit = hit.reshape(z.shape)
    try:
        return bounds.backward(walk, plain.rules, start, z * hit, error * hit)
    except bounds.NoBoundError:
        return None


def _agree_roughly(plain: np.ndarray, R: np.ndarray, where: str) -> np.ndarray:
    """For rules without a derived bound."""
    if R.dtype == np.float64 and np.isfinite(plain).all():
        largest = abs(plain).max(initial=1e-300)
        assert abs(R - plain).max(initial=0) <= UNDERIVED[np.float64] * largest, where
        return np.ones(len(R), bool)
    return np.zeros(len(R), bool)


def _refused(net: lrpref.Network, x: np.ndarray, rule: Any) -> int:
    """Where the walk refuses a rule, so does the prepared engine."""
    try:
        lrpref.prepare(net, rule).explain(x)
    except RuleError:
        return 1
    raise AssertionError(f"{rule} is refused by trace only")


# ---- what ran --------------------------------------------------------------------------------------------------------


def _forms(net: lrpref.Network, rng: np.random.Generator) -> tuple[str, ...]:
    """Every form where there is a convolution that has them; else the default."""
    wide = (type(n.layer) is Conv2D and n.layer.window.kernel == (3, 3) and min(n.layer.weight.shape[:2]) >= 64
            for n in net.nodes)  # fmt: skip
    return FORMS if any(wide) else ("direct", str(rng.choice(FORMS[1:])))


def _shape(x: np.ndarray, rng: np.random.Generator) -> tuple[int, ...] | None:
    return x.shape[1:] if rng.random() < 0.3 else None


def _parts(step: Any) -> Iterator[Any]:
    """A step, and the kernels in it."""
    yield step
    held = [getattr(step, f.name) for f in fields(step)] if is_dataclass(step) else []
    for value in held:
        for each in value if isinstance(value, tuple) else (value,):
            if type(each).__module__.startswith("lrpref.fast") and is_dataclass(each):
                yield from _parts(each)
            elif isinstance(each, tuple):
                yield from (part for one in each if is_dataclass(one) for part in _parts(one))


def _names(step: Any) -> set[str]:
    wanted = ("lrpref.fast.steps", "lrpref.fast.kernels", "lrpref.fast.winograd")
    return {type(part).__name__ for part in _parts(step) if type(part).__module__.startswith(wanted)}


def _steps(prepared: Any) -> Counter[str]:
    """Each kind of step and kernel that this network has."""
    found = set().union(*(_names(placed.step) for placed in prepared.steps))
    return Counter({f"ran: {name}": 1 for name in found} | {f"ran: {form}": 1 for form in prepared.forms.values()})


def _winograd(prepared: Any) -> dict[str, set[str]]:
    """The forms of Winograd's in each node's products, forward or back."""
    found: dict[str, set[str]] = {}
    for placed in prepared.steps:
        forms = {getattr(part, "form", "") for part in _parts(placed.step)}
        found[placed.nodes[0]] = forms & set(bounds.GROWTH)
    return found


# ---- networks --------------------------------------------------------------------------------------------------------


def _drawn(strategy: Any, seed: int) -> Any:
    """One value of a strategy of Hypothesis, by a seed."""
    found: list[Any] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=3, database=None, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck)
    )
    @hypothesis.given(strategy)
    def take(value: Any) -> None:
        found.append(value)

    take()
    return found[-1]


def _exact(seed: int, rng: np.random.Generator) -> tuple[lrpref.Network, np.ndarray]:
    """A network whose sums are exact in float64; BatchNorm is folded away half of the time."""
    net, x = _drawn(networks(), seed)
    return (lrpref.fuse(net) if seed % 2 else net), x


def _norms(seed: int, rng: np.random.Generator) -> tuple[lrpref.Network, np.ndarray]:
    net, x = _drawn(graphs(shape=(2, 4, 6, 5)), seed)
    return (lrpref.fuse(net) if seed % 2 else net), x


def _wide(seed: int, rng: np.random.Generator) -> tuple[lrpref.Network, np.ndarray]:
    """One to four blocks, of which some have 64 channels or more."""
    channels = int(rng.choice([1, 3, 4]))
    shape = (2, channels, int(rng.integers(5, 12)), int(rng.integers(5, 12)))
    sketch, at = Sketch(shape, rng), "input"
    for _ in range(rng.integers(1, 4)):
        block: Callable[[Sketch, str], str] = BLOCKS[rng.integers(len(BLOCKS))]
        at = block(sketch, at)
    at = sketch.dense(at, 6) if rng.random() < 0.5 else sketch.put(layers.GlobalAvgPool2D(), at)
    at = sketch.dense(sketch.relu(at) if rng.random() < 0.7 else at, 4)
    if rng.random() < 0.3:
        sketch.put(layers.Softmax(), at)
    x = rng.normal(size=shape) * (rng.random() < 0.9) * 10 ** rng.uniform(-1, 1)
    return lrpref.fuse(lrpref.Network(sketch.nodes)), np.maximum(x, 0) if rng.random() < 0.3 else x


def _pair(s: Sketch, at: str) -> str:
    """Two convolutions wide enough for Winograd's form, some of the columns much larger than others."""
    C = int(s.rng.integers(64, 68))
    at = s.relu(s.put(convolution(s.rng, s.channels(at), C, 3, padding=1), at))
    layer = convolution(s.rng, C, int(s.rng.integers(64, 68)), 3, padding=int(s.rng.integers(0, 2)))
    if s.rng.random() < 0.3:
        layer = replace(layer, weight=layer.weight * np.array([10 ** s.rng.uniform(0, 3), 1, 1]))
    return s.relu(s.put(layer, at)) if s.rng.random() < 0.8 else s.put(layer, at)


def _any_convolution(s: Sketch, at: str) -> str:
    """Any stride, dilation, grouping and padding."""
    C, groups = s.channels(at), int(s.rng.choice([1, 1, 2, 4]))
    groups = groups if C % groups == 0 else 1
    stride, dilation = (tuple(int(v) for v in s.rng.integers(1, 3, size=2)) for _ in range(2))
    layer = convolution(
        s.rng, C, 4 * groups, 3, bool(s.rng.random() < 0.7), stride=stride, dilation=dilation, groups=groups, padding=2
    )
    return s.relu(s.put(layer, at)) if s.rng.random() < 0.7 else s.put(layer, at)


def _pool(s: Sketch, at: str) -> str:
    made = (
        layers.MaxPool2D(2, 1, 1),
        layers.MaxPool2D((2, 3), 2, 1),
        layers.MaxPool2D(2, 1, ties="equal"),
        layers.AvgPool2D(2, 1, 1),
        layers.AvgPool2D(2, 1, 1, count_include_pad=False),
    )
    return s.put(made[s.rng.integers(len(made))], at)


def _activation(s: Sketch, at: str) -> str:
    made = (layers.LeakyReLU(0.1), layers.ReLU6(), layers.Sigmoid(), layers.Tanh(), layers.Dropout())
    made += (layers.ThreshReLU(0.3), layers.Pad2D(1, -0.5), layers.Pad2D((1, 0, 2, 0), 0.25))
    return s.put(made[s.rng.integers(len(made))], at)


def _join(s: Sketch, at: str) -> str:
    """Two to five branches, added or side by side."""
    branches = [at, *(s.same(at) for _ in range(s.rng.integers(1, 5)))]
    branches = [s.relu(b) if s.rng.random() < 0.5 else b for b in branches]
    joined = s.put(layers.Add() if s.rng.random() < 0.7 else layers.Concat(), *branches)
    return s.relu(joined) if s.rng.random() < 0.5 else joined


def _normed(s: Sketch, at: str) -> str:
    """A convolution with a BatchNorm before it, which folds into bias taps where it is padded, and after it."""
    return s.relu(s.norm(s.same(s.norm(s.relu(s.same(at, 4))), 4)))


def _pointwise(s: Sketch, at: str) -> str:
    return s.relu(s.put(convolution(s.rng, s.channels(at), 65, 1), at))


BLOCKS = (_pair, _pair, _any_convolution, _any_convolution, _pool, _activation, _join, _normed, _pointwise)

STEPS = ("WeightedStep", "FlatRuleStep", "PlainStep", "AddStep", "GlobalAvgPoolStep", "MaxPoolStep")
STEPS += ("FlattenStep", "DropoutStep", "Direct", "Scatter", "Winograd")
STEPS += ("plain", "direct", "winograd")

FUZZER = Fuzzer(
    "graphs",
    case,
    seconds=120,
    mebibytes=1024,
    demanded=frozenset([*(f"ran: {step}" for step in STEPS), *(f"compared: {rule}" for rule in RULES)]),
)
