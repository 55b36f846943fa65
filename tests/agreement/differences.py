"""Where lrpref and zennit differ on purpose, each case on a network small enough to work out by hand.

Each case runs in both libraries. make_fixtures.py stores the results and writes DIFFERENCES.md; the tests run lrpref
again, and zennit too if it is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from textwrap import fill
from typing import Any

import numpy as np

import lrpref
from lrpref import (
    Add,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    ConvTranspose1D,
    Dense,
    Flatten,
    MaxPool2D,
    Network,
    ReLU,
    Scale,
    Softmax,
)
from lrpref.composites import Composite, EpsilonPlus, EpsilonPlusFlat
from lrpref.layers import LinearLayer, WeightedLayer
from lrpref.rules import AlphaBeta, Epsilon, Flat, Gamma, Pass, Rule, WSquare, ZBox, Zero, ZPlus

from .pairs import on_weighted

Zennit = Any
"""The module zennit_side, passed as an argument because importing it requires torch and zennit."""


@dataclass(frozen=True, eq=False)
class Case:
    """An explanation to be computed by both libraries.

    Parameters
    ----------
    name : str
        The title of the case.
    net : Network
        The network; output 0 is explained, with an initial relevance of 1.
    x : sequence
        The batch to explain.
    ours : Rule, Composite or callable
        lrpref's rule or composite, or a function that makes it if the libraries differ in accepting it.
    theirs : callable
        Takes zennit_side and returns zennit's composite.
    reason : str
        Why lrpref gives a different result.
    remedy : str, optional
        How to make the two agree, if possible.
    same : mapping
        The fields of this case that the remedy changes.
    module : callable, optional
        Takes zennit_side and net and returns the torch module; the default is `zennit_side.Twin(net)`.
    fuse : bool
        Whether lrpref fuses the network first.
    named : bool
        Whether target and seed are given; if not, both libraries use their defaults.
    refuses : str, optional
        The library that raises an error.
    """

    name: str
    net: Network
    x: Sequence[Any]
    ours: Rule | Composite | Callable[[], Rule]
    theirs: Callable[[Zennit], Any]
    reason: str = ""
    remedy: str | None = None
    same: Mapping[str, Any] = field(default_factory=dict)
    module: Callable[[Zennit, Network], Any] | None = None
    fuse: bool = False
    named: bool = True
    refuses: str | None = None

    def remedied(self) -> Case:
        """The case with the remedy applied, in which both agree."""
        return replace(self, refuses=None, **self.same)


Outcome = np.ndarray | str
"""Relevance, or the name of the error that was raised."""


def lrpref_outcome(case: Case) -> Outcome:
    """The result of lrpref."""
    return _attempt(lambda: _lrpref(case), case.refuses == "lrpref")


def zennit_outcome(case: Case, zennit_side: Zennit) -> Outcome:
    """The result of zennit."""
    return _attempt(lambda: _zennit(case, zennit_side), case.refuses == "zennit")


def _attempt(run: Callable[[], np.ndarray], refuses: bool) -> Outcome:
    """The result of `run`, or the name of its error where one is expected."""
    if not refuses:
        return run()
    try:
        return run()
    except Exception as error:
        return type(error).__name__


def _lrpref(case: Case) -> np.ndarray:
    rule = on_weighted(case.ours if isinstance(case.ours, Rule | Composite) else case.ours())
    net = lrpref.fuse(case.net) if case.fuse else case.net
    x = np.asarray(case.x, dtype=np.float64)
    return lrpref.explain(net, x, 0, rule, "one") if case.named else lrpref.explain(net, x, rule=rule)


def _zennit(case: Case, zennit_side: Zennit) -> np.ndarray:
    module = zennit_side.Twin(case.net) if case.module is None else case.module(zennit_side, case.net)
    x = np.asarray(case.x, dtype=np.float64)
    composite = case.theirs(zennit_side)
    if not case.named:
        return zennit_side.relevance_of_everything(module, composite, x)
    return zennit_side.relevance(module, composite, x, np.zeros(len(x), dtype=int), "one")[1]


# ---- networks --------------------------------------------------------------------------------------------------


def dense(*rows: Sequence[float], bias: Sequence[float] | None = None) -> Dense:
    """A Dense layer with these rows of weights."""
    return Dense([list(row) for row in rows], bias)


UNSTABILIZED = {"epsilon": 0, "stabilizer": 0}
ONES = [[1.0, 1.0]]
SUM = Network.sequential(dense([1.0, 2.0]))
CANCELLING = Network.sequential(dense([1.0, -1.0]))
TWO_CLASSES = Network.sequential(dense([1.0, 2.0], [3.0, -1.0]))
POOL, IMAGE = Network.sequential(AvgPool2D(2), Flatten()), [[[[1.0, -1.0], [3.0, 1.0]]]]

PADDED = Network.sequential(Conv2D([[[[1.0, -2.0, 3.0]]]], padding=(0, 1)), Flatten())
STRIP = [[[[0.5, 1.0]]]]

NORM = BatchNorm([1.0, 1.0], [1.0, -2.0], [0.5, 0.5], [1.0, 1.0], eps=0.0)
SHARED = dense([1.0, 2.0], [3.0, 1.0])
SAME_LAYER_TWICE = Network([("a", SHARED, ["input"]), ("relu", ReLU(), ["a"]), ("b", SHARED, ["relu"])])
SKIP = Network([("a", dense([1.0]), ["input"]), ("y", Add(), ["a", "input"])])
TWO_STEMS = Network(
    [("a", dense([1.0, 3.0]), ["input"]), ("b", dense([3.0, 1.0]), ["input"]), ("y", Add(), ["a", "b"])]
)
NORM_APART = Network(
    [
        ("a", dense([1.0, 2.0]), ["input"]),
        ("b", dense([2.0, 1.0]), ["input"]),
        ("bn", BatchNorm([2.0], [1.0], [0.0], [1.0], eps=0.0), ["a"]),
        ("y", Add(), ["bn", "b"]),
    ]
)


def box(z: Zennit, low: Any, high: Any) -> Any:
    """zennit's z-box rule with bounds as float64 tensors."""
    return z.make("ZBox", {"low": z.tensor(low), "high": z.tensor(high), "stabilizer": 0})


def merge_into_a(z: Zennit) -> Any:
    """zennit's composite that merges the BatchNorm of NORM_APART into the layer it follows."""
    return z.bare(z.rules.Epsilon(0), z.rules.Pass(), [z.canonizers.NamedMergeBatchNorm([(["a"], "bn")])])


# ---- differences -----------------------------------------------------------------------------------------------

DIFFERENCES = [
    Case(
        "the w-square rule on a layer with a bias",
        Network.sequential(dense([1.0, 2.0], bias=[3.0])),
        ONES,
        WSquare(),
        lambda z: z.make("WSquare", {"stabilizer": 0}),
        "zennit squares every parameter, so b² is part of the denominator and absorbs a share. In the w²-rule of "
        "Montavon et al. 2017 the denominator is the sum of the squared weights.",
        'zennit\'s `WSquare(zero_params=["bias"])`',
        {"theirs": lambda z: z.make("WSquare", {"stabilizer": 0.0, "zero_params": ["bias"]})},
    ),
    Case(
        "the gamma rule where z is exactly 0",
        CANCELLING,
        ONES,
        Gamma(0.25, generalised=True),
        lambda z: z.make("Gamma", {"gamma": 0.25, "stabilizer": 0}),
        "zennit has one branch for z > 0 and one for z < 0, and drops the relevance at z = 0. In lrpref z = 0 belongs "
        "to the positive branch, as sign(0) = +1 in every stabilizer; the denominator of that branch can be far from "
        "zero.",
    ),
    Case(
        "the plain gamma rule where z is negative",
        Network.sequential(dense([1.0, -2.0])),
        ONES,
        Gamma(0.25),
        lambda z: z.make("Gamma", {"gamma": 0.25, "stabilizer": 0}),
        "zennit's Gamma is the generalised rule, which strengthens the contributions that have the sign of z. lrpref's "
        "default is the rule as printed in Montavon et al. 2019, w + γw⁺ regardless of the sign of z. The two agree "
        "where inputs and z are positive; positive inputs alone are not enough.",
        "`Gamma(generalised=True)`",
        {"ours": Gamma(0.25, generalised=True)},
    ),
    Case(
        "BatchNorm left in the network, under a single rule",
        Network.sequential(dense([1.0, 2.0], [3.0, -1.0]), NORM, dense([1.0, 1.0])),
        ONES,
        Zero(),
        lambda z: z.bare(z.rules.Epsilon(0), z.rules.Pass()),
        "In the layer map shared by zennit's composites, BatchNorm passes relevance through unchanged, and so it does "
        "in lrpref's composites of the same names. A single rule in lrpref, however, applies to weighted layers, and "
        "epsilon to every other linear layer, including BatchNorm, which is linear with a bias.",
        "`Composite([(BatchNorm, Pass()), (WeightedLayer, Zero())])`; or zennit's `Norm` on BatchNorm; or fuse",
        {"ours": Composite([(BatchNorm, Pass()), (WeightedLayer, Zero())])},
    ),
    Case(
        "rules other than pass and epsilon on BatchNorm",
        Network.sequential(BatchNorm([1.0, 1.0], [0.0, 0.0], [0.5, 0.25], [1.0, 1.0], eps=0.0), dense([1.0, 1.0])),
        ONES,
        Composite([(LinearLayer, ZPlus())]),
        lambda z: z.LayerMapComposite([(z.BatchNorm, z.rules.ZPlus(0)), (z.Linear, z.rules.ZPlus(0))]),
        "zennit's rules modify the parameters named weight and bias, but not the running mean, which is subtracted as "
        "before. lrpref treats BatchNorm as the diagonal layer z = w a + b, where the mean is part of b. No composite "
        "of either library uses such a rule on BatchNorm.",
    ),
    Case(
        "rules that tell signs apart, on an average pool or an addition",
        POOL,
        IMAGE,
        Composite([(LinearLayer, ZPlus())]),
        lambda z: z.LayerMapComposite([(z.AvgPool, z.rules.ZPlus(0))]),
        "zennit's rules modify parameters, and these layers have none: z-plus, gamma and alpha-beta become epsilon "
        "there, and z-box another rule. In lrpref an average pool is a linear layer with weights 1/n, and z-plus "
        "distributes relevance over the positive contributions. No composite of either library uses such a rule here.",
    ),
    Case(
        "the stabilizer of flat and w-square on an average pool",
        POOL,
        IMAGE,
        Composite([(LinearLayer, Flat(0.5))]),
        lambda z: z.LayerMapComposite([(z.AvgPool, z.rules.Flat(0.5))]),
        "For the same reason, the denominator is 1 in zennit, the mean of ones, and 4 in lrpref, their sum. The "
        "stabilizer is added to it and so has a different effect.",
        "`stabilizer=0`",
        {
            "ours": Composite([(LinearLayer, Flat())]),
            "theirs": lambda z: z.LayerMapComposite([(z.AvgPool, z.rules.Flat(0))]),
        },
    ),
    Case(
        "two first layers",
        TWO_STEMS,
        ONES,
        EpsilonPlusFlat(0, 0),
        lambda z: z.make("EpsilonPlusFlat", UNSTABILIZED),
        "zennit's first layer is the one registered first. In lrpref every weighted layer that reads the input is a "
        "first layer, whatever their order.",
        'name the layer: `Composite([("a", Flat(1e-6)), *EpsilonPlus().pairs])`',
        {"ours": Composite([("a", Flat()), *EpsilonPlus(0, 0).pairs])},
    ),
    Case(
        "a first layer behind a BatchNorm, a Scale or an average pool",
        Network.sequential(Scale([2.0]), Conv2D([[[[1.0, 3.0]]]]), Flatten()),
        [[[[1.0, 1.0]]]],
        EpsilonPlusFlat(0, 0),
        lambda z: z.make("EpsilonPlusFlat", UNSTABILIZED),
        "Rules for the first layer depend on the domain of the input: z-box uses its bounds, flat assumes nothing. "
        "After a layer that scales or averages, the domain is different. zennit takes the first layer of the right "
        "type wherever it is (for z-box even a convolution after a fully connected layer); in lrpref a first layer is "
        "reached from the input through routing and activations only.",
        'name the layer: `Composite([("conv2d1", Flat(1e-6)), *EpsilonPlus().pairs])`',
        {"ours": Composite([("conv2d1", Flat()), *EpsilonPlus(0, 0).pairs])},
    ),
    Case(
        "a zero denominator without stabilizer",
        Network.sequential(dense([1.0, -1.0], [1.0, 1.0]), ReLU(), dense([1.0, 1.0], bias=[2.0])),
        ONES,
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}),
        "In zennit 0/0 is NaN, so a single dead unit spoils the heatmap. In lrpref a zero denominator sends nothing, "
        "and the ledger records that relevance as dropped. (The same holds where epsilon is scaled by the rms of a z "
        "that is all zero.)",
        "any stabilizer",
        {"ours": Epsilon(1e-6), "theirs": lambda z: z.make("Epsilon", {"epsilon": 1e-6})},
    ),
    Case(
        "z-box bounds given as Python numbers",
        CANCELLING,
        [[0.5, 0.25]],
        ZBox(-2.1, 2.6),
        lambda z: z.make("ZBox", {"low": -2.1, "high": 2.6, "stabilizer": 0}),
        "zennit converts them to tensors of torch's default type, so -2.1 is rounded to float32 even in a float64 "
        "model. lrpref uses the precision of the input.",
        "give zennit float64 tensors",
        {"theirs": lambda z: box(z, -2.1, 2.6)},
    ),
    Case(
        "z-box bounds of shape (C,)",
        CANCELLING,
        [[0.5, 0.25], [0.5, 0.25]],
        ZBox([-1.0, -3.0], [1.0, 3.0]),
        lambda z: box(z, [-1, -3], [1, 3]),
        "In lrpref this means one bound per channel. zennit aligns them with the first axis, the batch: one bound per "
        "sample if there happen to be C samples, otherwise an error.",
        "shape (1, C, 1, 1) for images, (1, C) for vectors",
        {"theirs": lambda z: box(z, [[-1, -3]], [[1, 3]])},
    ),
    Case(
        "a final Softmax",
        Network.sequential(dense([1.0, 2.0], [3.0, -1.0]), Softmax()),
        ONES,
        EpsilonPlus(0, 0),
        lambda z: z.make("EpsilonPlus", UNSTABILIZED),
        "zennit has no rule for Softmax and uses its gradient. lrpref starts at the input of a final Softmax, the "
        "logits.",
        "explain the model without its Softmax",
        {"net": TWO_CLASSES},
    ),
    Case(
        "what is explained unless told",
        TWO_CLASSES,
        ONES,
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}),
        "By default zennit's attributor starts from the whole output, each class with its logit; lrpref starts from "
        "the largest logit only.",
        "give the target and the seed",
        {"named": True},
        named=False,
    ),
    Case(
        "a layer that stands at two nodes",
        SAME_LAYER_TWICE,
        ONES,
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}),
        "zennit's hook stores only the last input of its module and uses it for both nodes. lrpref's layers store "
        "nothing; each node has its own input.",
        "one torch module per use, with the same parameters",
        {"module": None},
        module=lambda z, net: z.Twin(net, shared=True),
    ),
    Case(
        "a skip connection written as +",
        SKIP,
        [[1.0]],
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}),
        "Hooks only see modules. For an operator in `forward` the gradient is used, which sends all of R to both "
        "branches, so relevance doubles. In lrpref every addition is the layer Add. (The same applies to activations "
        "called as functions: they multiply relevance by their slope instead of passing it.)",
        "zennit's `Sum` module",
        {"module": None},
        module=lambda z, net: z.with_plus(net),
    ),
    Case(
        "merging a BatchNorm into the layer after it",
        Network.sequential(NORM, dense([1.0, 2.0])),
        ONES,
        EpsilonPlus(0, 0),
        lambda z: z.make("EpsilonPlus", UNSTABILIZED, merge=True),
        "zennit's canonizer only merges a BatchNorm into the layer before it, so this one remains, under the pass "
        "rule. `lrpref.fuse` folds it into the layer after it.",
        "do not fuse",
        {"fuse": False},
        fuse=True,
    ),
    Case(
        "merging a BatchNorm that is not registered right after its layer",
        NORM_APART,
        ONES,
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}, merge=True),
        "zennit's sequential canonizer follows the order of registration. Here it merges the BatchNorm into layer b, "
        "although its input is layer a, and the model computes a different function. `lrpref.fuse` follows the graph.",
        "zennit's `NamedMergeBatchNorm`",
        {
            "theirs": lambda z: z.bare(
                z.rules.Epsilon(0), z.rules.Pass(), [z.canonizers.NamedMergeBatchNorm([(["a"], "bn")])]
            )
        },
        fuse=True,
    ),
    Case(
        "merging a BatchNorm without affine part",
        Network.sequential(dense([1.0, 2.0]), BatchNorm(None, None, [0.5], [4.0], eps=0.0)),
        ONES,
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}, merge=True),
        "zennit's canonizer tries to compute with a weight of None. In lrpref None means a weight of 1 or a bias of 0.",
        "give the torch module a weight of 1 and a bias of 0",
        {"module": None},
        module=lambda z, net: z.without_affine(net),
        fuse=True,
        refuses="zennit",
    ),
    Case(
        "merging a BatchNorm into a transposed convolution with groups",
        Network.sequential(
            ConvTranspose1D([[[2.0]], [[3.0]]], groups=2),
            BatchNorm([0.5, 1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0], eps=0.0),
            Flatten(),
            dense([1.0, 1.0]),
        ),
        [[[1.0], [1.0]]],
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}, merge=True),
        "The weight of a transposed convolution has shape (in, out // groups, ...), and zennit's canonizer multiplies "
        "axis 1 by all output channels. `lrpref.fuse` splits the channels by group.",
        "do not merge",
        {"theirs": lambda z: z.make("Epsilon", {"epsilon": 0}), "fuse": False},
        fuse=True,
        refuses="zennit",
    ),
    Case(
        "alpha - beta = 1, but for rounding",
        CANCELLING,
        [[2.0, 1.0]],
        AlphaBeta(2.2, 1.2),
        lambda z: z.make("AlphaBeta", {"alpha": 2.2, "beta": 1.2, "stabilizer": 0}),
        "2.2 - 1.2 is 1.0000000000000002 in floating point, which zennit refuses. lrpref allows for rounding.",
        refuses="zennit",
    ),
    Case(
        "z-box with low above high",
        CANCELLING,
        [[0.5, 0.25]],
        lambda: ZBox(1.0, -1.0),
        lambda z: z.make("ZBox", {"low": 1.0, "high": -1.0, "stabilizer": 0}),
        "Bounds in the wrong order are a mistake, which lrpref reports.",
        refuses="lrpref",
    ),
    Case(
        "the pass rule on a layer that mixes its inputs",
        TWO_CLASSES,
        ONES,
        Pass(),
        lambda z: z.make("Pass", {}),
        "R_i = R_j is meaningful only where output j depends on input i alone. zennit passes relevance wherever the "
        "shapes happen to agree; lrpref refuses.",
        refuses="lrpref",
    ),
    Case(
        "an input that holds NaN",
        SUM,
        [[1.0, float("nan")]],
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}),
        "lrpref refuses it and reports the sample; in zennit the heatmap is NaN.",
        refuses="lrpref",
    ),
]

AGREEMENTS = [
    Case(
        "sign(0) = +1 in the stabilizer",
        CANCELLING,
        ONES,
        Epsilon(0.5),
        lambda z: z.make("Epsilon", {"epsilon": 0.5}),
    ),
    Case(
        "z-plus takes the positive products, not the positive weights",
        Network.sequential(dense([1.0, -2.0, 2.0])),
        [[1.0, -1.0, -1.0]],
        ZPlus(),
        lambda z: z.make("ZPlus", {"stabilizer": 0}),
    ),
    Case(
        "alpha-beta puts a bias into the pool of its own sign",
        Network.sequential(dense([1.0, -1.0], bias=[-1.0])),
        ONES,
        AlphaBeta(2, 1),
        lambda z: z.make("AlphaBeta", {"alpha": 2, "beta": 1, "stabilizer": 0}),
    ),
    Case(
        "an empty alpha-beta pool sends nothing, the other still alpha times R",
        SUM,
        ONES,
        AlphaBeta(2, 1, stabilizer=0.5),
        lambda z: z.make("AlphaBeta", {"alpha": 2, "beta": 1, "stabilizer": 0.5}),
    ),
    Case(
        "gamma strengthens a bias as it does a contribution",
        Network.sequential(dense([1.0, -0.5], bias=[0.5])),
        ONES,
        Gamma(1.0, generalised=True),
        lambda z: z.make("Gamma", {"gamma": 1.0, "stabilizer": 0}),
    ),
    Case(
        "a bias cancels in z-box",
        Network.sequential(dense([1.0, -2.0], bias=[4.0])),
        [[0.5, 0.5]],
        ZBox(-1.0, 1.0),
        lambda z: z.make("ZBox", {"low": -1.0, "high": 1.0, "stabilizer": 0}),
    ),
    Case(
        "z-box: a convolution's own padding is 0 in the input and in both bounds",
        PADDED,
        STRIP,
        ZBox(-1.0, 2.0),
        lambda z: z.make("ZBox", {"low": -1.0, "high": 2.0, "stabilizer": 0}),
    ),
    Case(
        "flat: a convolution's own padding gets nothing and is not counted",
        PADDED,
        STRIP,
        Flat(),
        lambda z: z.make("Flat", {"stabilizer": 0}),
    ),
    Case(
        "w-square: nor is it there",
        PADDED,
        STRIP,
        WSquare(),
        lambda z: z.make("WSquare", {"stabilizer": 0}),
    ),
    Case(
        "max-pooling: the first of tied maxima takes all",
        Network.sequential(MaxPool2D(2), Flatten()),
        [[[[0.0, 2.0], [2.0, 2.0]]]],
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}),
    ),
    Case(
        "max-pooling: padding never wins",
        Network.sequential(MaxPool2D(2, padding=1), Flatten()),
        [[[[-1.0, -2.0], [-3.0, -4.0]]]],
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}),
    ),
]
"""Points on which other libraries are known to differ, but these two agree."""

# ---- storage, and the page -------------------------------------------------------------------------------------


def encode(outcome: Outcome) -> list[float | str] | str:
    """An outcome as JSON: a flat list of numbers ("nan" as text), or the name of an error."""
    if isinstance(outcome, str):
        return outcome
    return [float(v) if np.isfinite(v) else str(v) for v in np.ravel(outcome)]


def decode(stored: list[float | str] | str) -> Outcome:
    """The inverse of `encode`, except for the shape."""
    return stored if isinstance(stored, str) else np.array([float(v) for v in stored])


def close(one: Outcome, other: Outcome, tolerance: float = 1e-10) -> bool:
    """Whether two outcomes are the same error, or the same relevance to within a relative tolerance."""
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str) and one == other
    return np.allclose(np.ravel(one), np.ravel(other), rtol=tolerance, atol=0, equal_nan=True)


def page(stored: Mapping[str, Mapping[str, Any]], versions: Mapping[str, str]) -> str:
    """The text of DIFFERENCES.md."""
    differ = [_section(number, case, stored[case.name]) for number, case in enumerate(DIFFERENCES, start=1)]
    agree = "\n".join(f"- {case.name}: {_brief(stored[case.name]['zennit'])}" for case in AGREEMENTS)
    return "\n".join([_HEAD.format(**versions), *differ, _TAIL.format(agree=agree)])


def _section(number: int, case: Case, found: Mapping[str, Any]) -> str:
    items = [f"zennit: {_brief(found['zennit'])}", f"lrpref: {_brief(found['lrpref'])}", f"Why: {case.reason}"]
    items += [f"To make them agree: {case.remedy}."] if case.remedy else []
    wrapped = [fill(item, 120, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False) for item in items]
    return "\n".join([f"### {number}. {case.name[0].upper()}{case.name[1:]}", "", *wrapped, ""])


def _brief(stored: list[float | str] | str) -> str:
    """Numbers to ten digits, or the error."""
    if isinstance(stored, str):
        return f"refused ({stored})"
    return f"`({', '.join(f'{float(v):.10g}' for v in stored)})`"


_HEAD = """\
# Where lrpref and zennit differ on purpose

Written by make_fixtures.py from differences.py; do not edit. zennit {zennit}, torch {torch}.

Wherever both libraries define a rule alike, whole networks agree to a relative L2 distance below 1e-10 in float64
(README.md). This page lists the cases where they differ. Each is a network small enough to work out by hand, run in
both libraries: the relevance of the inputs for output 0, starting from a relevance of 1, without a stabilizer unless
the case is about it. Tests check every number, and that each remedy works.
"""

_TAIL = """\
## Looked for, and not found

Other libraries differ on these points; lrpref and zennit agree, which is also tested:

{agree}

## Offered by only one of the two

Only zennit: `zero_params` for epsilon, gamma and z-plus (in lrpref, a layer without that bias); a stabilizer that
clips; rules for activations that change gradients.

Only lrpref: the plain gamma rule, `Absolute` and `Relative`, `AlphaBeta(empty="renormalise")`, max-pooling with shared
ties, rules that distinguish signs on an addition, and folding a BatchNorm into the convolution after it.
"""
