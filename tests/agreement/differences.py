"""Where lrpref and zennit differ on purpose, each on a network small enough to be worked out by hand.

Each case runs in both libraries. make_fixtures.py stores what they gave and writes DIFFERENCES.md; the tests run
lrpref's side again, and zennit's where it is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from textwrap import fill
from typing import Any

import numpy as np

import lrpref
from lrpref import Add, AvgPool2D, BatchNorm, Conv2D, Dense, Flatten, MaxPool2D, Network, ReLU, Scale, Softmax
from lrpref.composites import Composite, EpsilonPlus, EpsilonPlusFlat
from lrpref.layers import LinearLayer, WeightedLayer
from lrpref.rules import AlphaBeta, Epsilon, Flat, Gamma, Pass, Rule, WSquare, ZBox, Zero, ZPlus

Zennit = Any
"""The module zennit_side. It is handed in, because importing it needs torch and zennit."""


@dataclass(frozen=True, eq=False)
class Case:
    """One question, put to both libraries.

    net, x  what is explained: output 0, with relevance 1 to start with
    ours    the rule or composite of lrpref (or a function that makes it, if making it is what differs)
    theirs  a function that is handed zennit_side and returns zennit's composite
    reason  why lrpref answers otherwise
    remedy  how to make the two agree, if that is possible
    same    the fields of this case that the remedy changes
    module  a function of zennit_side and net that returns the torch module, where it is not simply the Twin
    fuse    whether lrpref fuses the network first
    named   whether a target is named at all, or both libraries are left to their defaults
    refuses the library that raises an error instead
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
        """The case in which both agree."""
        return replace(self, refuses=None, **self.same)


Outcome = np.ndarray | str
"""Relevance, or the name of the error that was raised."""


def lrpref_outcome(case: Case) -> Outcome:
    """What lrpref gives."""
    return _attempt(lambda: _lrpref(case), case.refuses == "lrpref")


def zennit_outcome(case: Case, zennit_side: Zennit) -> Outcome:
    """What zennit gives."""
    return _attempt(lambda: _zennit(case, zennit_side), case.refuses == "zennit")


def _attempt(run: Callable[[], np.ndarray], refuses: bool) -> Outcome:
    """What `run` returns, or the name of its error where one is expected."""
    if not refuses:
        return run()
    try:
        return run()
    except Exception as error:
        return type(error).__name__


def _lrpref(case: Case) -> np.ndarray:
    rule = case.ours if isinstance(case.ours, Rule | Composite) else case.ours()
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


# ---- the networks ----------------------------------------------------------------------------------------------


def dense(*rows: Sequence[float], bias: Sequence[float] | None = None) -> Dense:
    """A Dense layer from its weights, written out."""
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
    """zennit's z-box rule with float64 tensors for bounds."""
    return z.make("ZBox", {"low": z.tensor(low), "high": z.tensor(high), "stabilizer": 0})


def merge_into_a(z: Zennit) -> Any:
    """zennit's composite that merges the BatchNorm of NORM_APART where it belongs."""
    return z.bare(z.rules.Epsilon(0), z.rules.Pass(), [z.canonizers.NamedMergeBatchNorm([(["a"], "bn")])])


# ---- the differences -------------------------------------------------------------------------------------------

DIFFERENCES = [
    Case(
        "the w-square rule on a layer with a bias",
        Network.sequential(dense([1.0, 2.0], bias=[3.0])),
        ONES,
        WSquare(),
        lambda z: z.make("WSquare", {"stabilizer": 0}),
        "zennit squares every parameter, so that b² stands in the denominator and takes its share. The denominator "
        "of the w²-rule in Montavon et al. 2017 is the sum of the squared weights.",
        'zennit\'s `WSquare(zero_params=["bias"])`',
        {"theirs": lambda z: z.make("WSquare", {"stabilizer": 0.0, "zero_params": ["bias"]})},
    ),
    Case(
        "the gamma rule where z is exactly 0",
        CANCELLING,
        ONES,
        Gamma(0.25, generalised=True),
        lambda z: z.make("Gamma", {"gamma": 0.25, "stabilizer": 0}),
        "zennit has a branch for z > 0 and one for z < 0, and drops relevance at z = 0. Here z = 0 belongs to the "
        "positive branch, as sign(0) = +1 in every stabilizer; the denominator of that branch need not be small.",
    ),
    Case(
        "the plain gamma rule where z is negative",
        Network.sequential(dense([1.0, -2.0])),
        ONES,
        Gamma(0.25),
        lambda z: z.make("Gamma", {"gamma": 0.25, "stabilizer": 0}),
        "zennit's Gamma is the generalised rule, which strengthens the contributions of the sign of z. lrpref's is by "
        "default the rule that Montavon et al. 2019 print, w + γw⁺ whatever the sign of z. They are one where inputs "
        "and z are all positive; positive inputs alone do not suffice.",
        "`Gamma(generalised=True)`",
        {"ours": Gamma(0.25, generalised=True)},
    ),
    Case(
        "BatchNorm left in the network, under a single rule",
        Network.sequential(dense([1.0, 2.0], [3.0, -1.0]), NORM, dense([1.0, 1.0])),
        ONES,
        Zero(),
        lambda z: z.bare(z.rules.Epsilon(0), z.rules.Pass()),
        "In the layer map that zennit's composites share, a BatchNorm passes relevance on as it is; lrpref's "
        "composites of those names do so too. But a single rule is short for: weighted layers under it, every other "
        "linear layer under epsilon, and BatchNorm is a linear layer with a bias.",
        "`Composite([(BatchNorm, Pass()), (WeightedLayer, Zero())])`; or zennit's `Norm` on BatchNorm; or fuse",
        {"ours": Composite([(BatchNorm, Pass()), (WeightedLayer, Zero())])},
    ),
    Case(
        "rules other than pass and epsilon on BatchNorm",
        Network.sequential(BatchNorm([1.0, 1.0], [0.0, 0.0], [0.5, 0.25], [1.0, 1.0], eps=0.0), dense([1.0, 1.0])),
        ONES,
        Composite([(LinearLayer, ZPlus())]),
        lambda z: z.LayerMapComposite([(z.BatchNorm, z.rules.ZPlus(0)), (z.Linear, z.rules.ZPlus(0))]),
        "zennit's rules change the parameters called weight and bias; the running mean is neither, and is subtracted "
        "as before. lrpref sees the diagonal layer z = w a + b that BatchNorm is, the mean being part of b. No "
        "composite of either library does this.",
    ),
    Case(
        "rules that tell signs apart, on an average pool or an addition",
        POOL,
        IMAGE,
        Composite([(LinearLayer, ZPlus())]),
        lambda z: z.LayerMapComposite([(z.AvgPool, z.rules.ZPlus(0))]),
        "Rules of zennit change parameters, and these layers have none: z-plus, gamma and alpha-beta turn into "
        "epsilon there, z-box into something else. In lrpref a pool is a linear layer with the weight 1/n, and z-plus "
        "shares relevance among the positive contributions. No composite of either library does this.",
    ),
    Case(
        "the stabilizer of flat and w-square on an average pool",
        POOL,
        IMAGE,
        Composite([(LinearLayer, Flat(0.5))]),
        lambda z: z.LayerMapComposite([(z.AvgPool, z.rules.Flat(0.5))]),
        "For the same reason zennit's denominator is the mean of ones, 1, and lrpref's their sum, 4. The stabilizer "
        "is added to the one or the other.",
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
        "zennit's first layer is the one that was registered first. In lrpref every weighted layer that reads the "
        "input is a first layer, in whatever order they were written down.",
        'name the layer: `Composite([("a", Flat(1e-6)), *EpsilonPlus().pairs])`',
        {"ours": Composite([("a", Flat()), *EpsilonPlus(0, 0).pairs])},
    ),
    Case(
        "a first layer behind a BatchNorm, a Scale or an average pool",
        Network.sequential(Scale([2.0]), Conv2D([[[[1.0, 3.0]]]]), Flatten()),
        [[[[1.0, 1.0]]]],
        EpsilonPlusFlat(0, 0),
        lambda z: z.make("EpsilonPlusFlat", UNSTABILIZED),
        "Rules for the first layer speak of the domain of the input: z-box knows its bounds, flat knows nothing of "
        "it. Behind a layer that scales or averages the domain is another. zennit takes the first layer of the right "
        "type wherever it stands (z-box even a convolution behind a fully connected layer); lrpref's is reached from "
        "the input through routing and activations only.",
        'name the layer: `Composite([("conv2d1", Flat(1e-6)), *EpsilonPlus().pairs])`',
        {"ours": Composite([("conv2d1", Flat()), *EpsilonPlus(0, 0).pairs])},
    ),
    Case(
        "a zero denominator without stabilizer",
        Network.sequential(dense([1.0, -1.0], [1.0, 1.0]), ReLU(), dense([1.0, 1.0], bias=[2.0])),
        ONES,
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}),
        "0/0 is NaN in zennit, and one dead unit spoils the heatmap. In lrpref a zero denominator sends nothing, and "
        "the ledger books what was not sent. (So too where epsilon is scaled by the rms of a z that is all zero.)",
        "any stabilizer",
        {"ours": Epsilon(1e-6), "theirs": lambda z: z.make("Epsilon", {"epsilon": 1e-6})},
    ),
    Case(
        "z-box bounds given as Python numbers",
        CANCELLING,
        [[0.5, 0.25]],
        ZBox(-2.1, 2.6),
        lambda z: z.make("ZBox", {"low": -2.1, "high": 2.6, "stabilizer": 0}),
        "zennit makes tensors of them in torch's default type, so that -2.1 becomes a float32 even in a float64 "
        "model. lrpref takes them in the precision of the input.",
        "give zennit float64 tensors",
        {"theirs": lambda z: box(z, -2.1, 2.6)},
    ),
    Case(
        "z-box bounds of shape (C,)",
        CANCELLING,
        [[0.5, 0.25], [0.5, 0.25]],
        ZBox([-1.0, -3.0], [1.0, 3.0]),
        lambda z: box(z, [-1, -3], [1, 3]),
        "In lrpref, one bound per channel. zennit lines them up with the first axis, the batch: one bound per sample "
        "where there happen to be C samples, an error elsewhere.",
        "shape (1, C, 1, 1) for images, (1, C) for vectors",
        {"theirs": lambda z: box(z, [[-1, -3]], [[1, 3]])},
    ),
    Case(
        "a final Softmax",
        Network.sequential(dense([1.0, 2.0], [3.0, -1.0]), Softmax()),
        ONES,
        EpsilonPlus(0, 0),
        lambda z: z.make("EpsilonPlus", UNSTABILIZED),
        "zennit has no rule for Softmax, so that its gradient is taken. lrpref starts at the input of a final "
        "Softmax, the logits.",
        "explain the model without its Softmax",
        {"net": TWO_CLASSES},
    ),
    Case(
        "what is explained unless told",
        TWO_CLASSES,
        ONES,
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}),
        "zennit's attributor starts with the whole output, every class by its logit; lrpref with the largest logit "
        "alone.",
        "name the target and the seed",
        {"named": True},
        named=False,
    ),
    Case(
        "a layer that stands at two nodes",
        SAME_LAYER_TWICE,
        ONES,
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}),
        "A hook of zennit remembers the last input of its module and uses it at both. lrpref's layers remember "
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
        "Hooks see modules. An operator in `forward` has its gradient, which hands all of R to both branches, so that "
        "relevance doubles. In lrpref there is no other addition than the layer Add. (So too for activations called "
        "as functions, which then do not pass relevance but multiply it by their slope.)",
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
        "zennit's canonizer merges a BatchNorm into the layer before it only; this one stays, and passes. "
        "`lrpref.fuse` folds it into the layer after it.",
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
        "zennit's sequential canonizer goes by the order of registration. Here it merges the BatchNorm into layer b, "
        "which it does not follow, and the model computes another function. `lrpref.fuse` goes by the graph.",
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
        "zennit's canonizer computes with a weight that is None. In lrpref None stands for 1, and for a bias of 0.",
        "give the torch module a weight of 1 and a bias of 0",
        {"module": None},
        module=lambda z, net: z.without_affine(net),
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
        "Bounds in the wrong order are a slip of the pen; lrpref refuses them.",
        refuses="lrpref",
    ),
    Case(
        "the pass rule on a layer that mixes its inputs",
        TWO_CLASSES,
        ONES,
        Pass(),
        lambda z: z.make("Pass", {}),
        "R_i = R_j has a meaning where input i is all that output j depends on. zennit passes wherever the shapes "
        "happen to agree; lrpref refuses.",
        refuses="lrpref",
    ),
    Case(
        "an input that holds NaN",
        SUM,
        [[1.0, float("nan")]],
        Zero(),
        lambda z: z.make("Epsilon", {"epsilon": 0}),
        "lrpref refuses it and says in which sample it is; in zennit the heatmap is NaN.",
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
"""Where libraries are known to differ from each other, and these two do not."""

# ---- as data, and as a page ------------------------------------------------------------------------------------


def encode(outcome: Outcome) -> list[float | str] | str:
    """An outcome as JSON: the numbers in a row ("nan" as text), or the name of an error."""
    if isinstance(outcome, str):
        return outcome
    return [float(v) if np.isfinite(v) else str(v) for v in np.ravel(outcome)]


def decode(stored: list[float | str] | str) -> Outcome:
    """The inverse of `encode`, but for the shape."""
    return stored if isinstance(stored, str) else np.array([float(v) for v in stored])


def close(one: Outcome, other: Outcome, tolerance: float = 1e-10) -> bool:
    """Whether two outcomes are the same error, or the same relevance to within a relative tolerance."""
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str) and one == other
    return np.allclose(np.ravel(one), np.ravel(other), rtol=tolerance, atol=0, equal_nan=True)


def page(stored: Mapping[str, Mapping[str, Any]], versions: Mapping[str, str]) -> str:
    """DIFFERENCES.md."""
    differ = [_section(number, case, stored[case.name]) for number, case in enumerate(DIFFERENCES, start=1)]
    agree = "\n".join(f"- {case.name}: {_brief(stored[case.name]['zennit'])}" for case in AGREEMENTS)
    return "\n".join([_HEAD.format(**versions), *differ, _TAIL.format(agree=agree)])


def _section(number: int, case: Case, found: Mapping[str, Any]) -> str:
    items = [f"zennit: {_brief(found['zennit'])}", f"lrpref: {_brief(found['lrpref'])}", f"Why: {case.reason}"]
    items += [f"To make them agree: {case.remedy}."] if case.remedy else []
    wrapped = [fill(item, 120, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False) for item in items]
    return "\n".join([f"### {number}. {case.name[0].upper()}{case.name[1:]}", "", *wrapped, ""])


def _brief(stored: list[float | str] | str) -> str:
    """Numbers in ten digits, or the error."""
    if isinstance(stored, str):
        return f"refused ({stored})"
    return f"`({', '.join(f'{float(v):.10g}' for v in stored)})`"


_HEAD = """\
# Where lrpref and zennit differ on purpose

Written by make_fixtures.py from differences.py; do not edit. zennit {zennit}, torch {torch}.

On everything that both define alike, whole networks agree to a relative L2 distance below 1e-10 in float64 (README.md).
These are the cases where they do not. Each is a network small enough to be worked out by hand, run in both libraries:
relevance of the inputs for output 0, with relevance 1 to start with, and without stabilizer unless it is the point. A
test holds each number, and another that the remedy works.
"""

_TAIL = """\
## Looked for, and not found

Other libraries differ here; these two give the same, which is held by a test too:

{agree}

## Offered by one alone

Only zennit: `zero_params` for epsilon, gamma and z-plus (in lrpref, a layer without that bias); a stabilizer that
clips; transposed, one- and three-dimensional convolutions; rules for activations that change gradients.

Only lrpref: the plain gamma rule, `Absolute` and `Relative`, `AlphaBeta(empty="renormalise")`, max-pooling with shared
ties, rules that tell signs apart on an addition, convolutions that a BatchNorm before them was folded into.
"""
