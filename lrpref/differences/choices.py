"""The choices that implementations of LRP make differently, as a table that can be tried.

Each row of `CONVENTIONS` is one such choice, put as what another implementation may have done: it changes the
network, the rule of a layer, the relevance to start with, or the way the finished map is shown. `lrpref.compare`
tries the rows in turn, to find out which of them turns lrpref's map into somebody else's. Where a row is no mode of
lrpref's own rules, one of `lrpref.differences.conventions` computes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backend import sum_per_sample
from ..composites import Place
from ..engine import Map, Rule, identity, magnitude, one, positive
from ..fusion import fuse
from ..layers import (
    Add,
    AvgPool2D,
    Conv2D,
    Dense,
    DiagonalLayer,
    GlobalAvgPool2D,
    Layer,
    LinearLayer,
    MaxPool2D,
    ReLU,
    WeightedLayer,
)
from ..network import Network
from ..rules import Absolute, AlphaBeta, Epsilon, Flat, Gamma, Pass, WSquare, ZBox, Zero, ZPlus
from .conventions import (
    AveragedMaxPool,
    BiasInEveryPool,
    Biasless,
    FlatWithBias,
    FlatWithPadding,
    GammaBiasAsItIs,
    GammaTwice,
    GatedReLU,
    Gradient,
    MixedPools,
    PoolsApart,
    ToEvery,
    Unsigned,
    WeightsClamped,
    WSquareWithBias,
)

SMALL = 1e-4
"""An epsilon up to this is a stabilizer, and so a convention; a larger one was chosen to do something."""


@dataclass(frozen=True, eq=False)
class Case:
    """What a change of rules may look at: the input, and every linear layer's place and rule."""

    x: np.ndarray
    rows: tuple[tuple[Place, Rule], ...]


@dataclass(frozen=True, eq=False)
class Start:
    """Where an explanation starts: `target` and `seed` as `lrpref.explain` takes them, and the logits."""

    target: Any
    seed: Any
    logits: np.ndarray


RuleChange = Callable[[Place, Rule, Case], Rule]


@dataclass(frozen=True)
class Convention:
    """One choice that another implementation may have made, and how to make it here.

    name     short, for programs
    group    what is chosen; choices of one group exclude each other
    words    completes the sentence "equal if ..."
    source   who does so
    network, rule, start, show   what the choice changes: the network, the rule of a linear layer, where the
             explanation starts, or the finished map; each returns its argument where there is nothing to change
    """

    name: str
    group: str
    words: str
    source: str
    network: Callable[[Network], Network] | None = None
    rule: RuleChange | None = None
    start: Callable[[Start], Start] | None = None
    show: Callable[[np.ndarray], np.ndarray] | None = None


# ---- changes of the network


def _layers(change: Callable[[Layer], Layer]) -> Callable[[Network], Network]:
    """The network with every layer changed; a shared layer stays shared."""

    def changed(net: Network) -> Network:
        done = {id(layer): change(layer) for _, layer, _ in net.nodes}
        return Network([(name, done[id(layer)], inputs) for name, layer, inputs in net.nodes])

    return changed


def _without_bias(layer: Layer) -> Layer:
    if isinstance(layer, Conv2D):
        return replace(layer, bias=None, bias_taps=None)
    return replace(layer, bias=None) if isinstance(layer, Dense) else layer


def _ties(ties: str) -> Callable[[Layer], Layer]:
    return lambda layer: replace(layer, ties=ties) if isinstance(layer, MaxPool2D) and layer.ties != ties else layer


def _averaged(layer: Layer) -> Layer:
    if not isinstance(layer, MaxPool2D):
        return layer
    return AveragedMaxPool(layer.kernel_size, layer.stride, layer.padding, count_include_pad=False)


def _gated(layer: Layer) -> Layer:
    return GatedReLU() if type(layer) is ReLU else layer


# ---- changes of rules


def stabilizer_of(rule: Rule) -> float:
    """The number that keeps the rule's denominators from zero; 0 if there is none."""
    if isinstance(rule, Epsilon):
        return rule.epsilon if rule.epsilon <= SMALL else 0.0
    return float(getattr(rule, "stabilizer", 0.0))


def _at(kinds: type[Layer] | tuple[type[Layer], ...], make: Callable[[float], Rule]) -> RuleChange:
    """At layers of these kinds, the rule that `make` makes of the stabilizer there."""
    return lambda place, rule, case: make(stabilizer_of(rule)) if isinstance(place.layer, kinds) else rule


def _at_first(make: Callable[[Place, Rule, Case], Rule]) -> RuleChange:
    """At the first layers."""
    return lambda place, rule, case: make(place, rule, case) if place.first else rule


def _like_the_rest(place: Place, rule: Rule, case: Case) -> Rule:
    """The rule of the next weighted layer of the same type, or of any type; its own if it is alone."""
    rest = [(p, r) for p, r in case.rows if isinstance(p.layer, WeightedLayer) and not p.first]
    alike = [r for p, r in rest if type(p.layer) is type(place.layer)]
    return next(iter([*alike, *(r for _, r in rest)]), rule)


def _box(low: float, high: float) -> RuleChange:
    return _at_first(lambda place, rule, case: ZBox(low, high, stabilizer_of(rule)))


def _box_of_data(place: Place, rule: Rule, case: Case) -> Rule:
    """z-box between each sample's extremes."""
    if case.x.shape[0] == 0:
        return rule
    flat = case.x.reshape(case.x.shape[0], -1)
    shape = (-1, *(1,) * (1 if isinstance(place.layer, Dense) else 3))
    return ZBox(flat.min(axis=1).reshape(shape), flat.max(axis=1).reshape(shape), stabilizer_of(rule))


_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def _box_of_imagenet(place: Place, rule: Rule, case: Case) -> Rule:
    """z-box between black and white after the normalisation that torchvision's models expect."""
    if not isinstance(place.layer, Conv2D) or case.x.shape[1:2] != (3,):
        return rule
    return ZBox(-_MEAN / _DEVIATION, (1 - _MEAN) / _DEVIATION, stabilizer_of(rule))


def _alpha_beta(change: Callable[[AlphaBeta], Rule], only: tuple[float, float] | None = None) -> RuleChange:
    """At alpha-beta and z-plus, which is (1, 0); `only` at these parameters."""

    def changed(place: Place, rule: Rule, case: Case) -> Rule:
        found = AlphaBeta(1, 0, stabilizer=rule.stabilizer) if isinstance(rule, ZPlus) else rule
        fits = isinstance(found, AlphaBeta) and only in (None, (found.alpha, found.beta))
        return change(found) if isinstance(found, AlphaBeta) and fits else rule

    return changed


def _gamma(change: Callable[[Gamma], Rule]) -> RuleChange:
    return lambda place, rule, case: change(rule) if isinstance(rule, Gamma) else rule


def _stabilized(value: float) -> RuleChange:
    """Every stabilizer, and every epsilon that is one, is `value`; LRP-0 becomes epsilon."""

    def changed(place: Place, rule: Rule, case: Case) -> Rule:
        if isinstance(rule, Zero):
            return Epsilon(value)
        if isinstance(rule, Epsilon):
            return replace(rule, epsilon=value) if rule.epsilon <= SMALL else rule
        return replace(rule, stabilizer=value) if hasattr(rule, "stabilizer") else rule  # type: ignore[call-arg]

    return changed


def _unsigned(place: Place, rule: Rule, case: Case) -> Rule:
    return Unsigned(rule) if getattr(rule, "epsilon", 0) or getattr(rule, "stabilizer", 0) else rule


def _rms(place: Place, rule: Rule, case: Case) -> Rule:
    return replace(rule, scale="rms") if isinstance(rule, Epsilon) and isinstance(place.layer, WeightedLayer) else rule


# ---- changes of the start


def _seed(seed: str) -> Callable[[Start], Start]:
    return lambda start: replace(start, seed=seed) if isinstance(start.seed, str | int | float) else start


def _all_outputs(map_: Map) -> Callable[[Start], Start]:
    return lambda start: replace(start, seed=map_(start.logits))


def _runner_up(start: Start) -> Start:
    flat = start.logits.reshape(start.logits.shape[0], -1)
    return start if flat.shape[1] < 2 else replace(start, target=np.argsort(-flat, axis=1, kind="stable")[:, 1])


# ---- changes of the map


def _over(size: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Each sample divided by its own `size`; left alone where that is 0."""

    def scaled(R: np.ndarray) -> np.ndarray:
        of_sample = size(R.reshape(R.shape[0], -1)).reshape(-1, *(1,) * (R.ndim - 1))
        return R / np.where(of_sample == 0, 1, of_sample)

    return scaled


def _to_unit(R: np.ndarray) -> np.ndarray:
    """Each sample stretched to [0, 1]."""
    least = R.reshape(R.shape[0], -1).min(axis=1, initial=np.inf).reshape(-1, *(1,) * (R.ndim - 1))
    return _over(lambda r: r.max(axis=1, initial=0))(R - least)


def _channels(reduce: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda R: reduce(R) if R.ndim > 2 else R


CONVENTIONS: tuple[Convention, ...] = (
    Convention(
        "network-bias-free",
        "bias of the network",
        "the biases are zero in the forward pass too",
        "A. Binder's notes call it the classic bug",
        network=_layers(_without_bias),
    ),
    Convention(
        "batch-norm-fused",
        "BatchNorm",
        "BatchNorm is folded into its neighbours first (lrpref.fuse)",
        "Guillemot et al. 2020; RelevancePropagation.jl requires it",
        network=fuse,
    ),
    Convention(
        "max-pool-equal",
        "max-pool",
        "equal maxima of a max-pool share alike",
        "lrp_toolbox",
        network=_layers(_ties("equal")),
    ),
    Convention(
        "max-pool-first",
        "max-pool",
        "the first of several equal maxima of a max-pool takes all",
        "captum, zennit",
        network=_layers(_ties("first")),
    ),
    Convention(
        "max-pool-averaged",
        "max-pool",
        "max-pools take relevance as average pools",
        "the tutorial of heatmapping.org",
        network=_layers(_averaged),
    ),
    Convention(
        "relu-gradient",
        "activation",
        "a ReLU stops relevance where it is off (its gradient)",
        "captum and zennit, where it is a function and not a module",
        network=_layers(_gated),
    ),
    Convention(
        "zero-everywhere",
        "rules",
        "every layer is under LRP-0, whatever was asked for (in a network of ReLUs and max-pools: gradient x input)",
        "gradient x input, by any library",
        rule=_at(LinearLayer, lambda epsilon: Zero()),
    ),
    Convention(
        "epsilon-everywhere",
        "rules",
        "every layer is under epsilon 1e-9, whatever was asked for",
        "captum's second call of one model: it deletes the rules after the first",
        rule=_at(LinearLayer, lambda epsilon: Epsilon(1e-9)),
    ),
    Convention(
        "batch-norm-pass",
        "BatchNorm",
        "BatchNorm passes relevance on as it is",
        "zennit",
        rule=_at(DiagonalLayer, lambda epsilon: Pass()),
    ),
    Convention(
        "batch-norm-epsilon",
        "BatchNorm",
        "BatchNorm is under the epsilon rule",
        "captum; iNNvestigate but for x = mean",
        rule=_at(DiagonalLayer, Epsilon),
    ),
    Convention(
        "batch-norm-absolute",
        "BatchNorm",
        "BatchNorm keeps |w x| / (|w x| + |b|) of it",
        "third-party code after Hui and Binder 2019",
        rule=_at(DiagonalLayer, Absolute),
    ),
    Convention(
        "batch-norm-gradient",
        "BatchNorm",
        "BatchNorm gets its gradient",
        "zennit until mid-2022",
        rule=_at(DiagonalLayer, lambda epsilon: Gradient()),
    ),
    Convention(
        "average-pool-equal",
        "average pool",
        "average pools share relevance equally, whatever their inputs",
        "libraries that hook the gradient, where the pool has no rule",
        rule=_at((AvgPool2D, GlobalAvgPool2D), Flat),
    ),
    Convention(
        "add-epsilon",
        "skip connection",
        "a skip connection splits in proportion to its signed inputs (epsilon)",
        "captum's addition module; zennit's `Norm`; iNNvestigate",
        rule=_at(Add, Epsilon),
    ),
    Convention(
        "add-absolute",
        "skip connection",
        "a skip connection splits in proportion to the magnitudes of its inputs",
        "after Otsuki et al. 2024",
        rule=_at(Add, Absolute),
    ),
    Convention(
        "add-equal",
        "skip connection",
        "a skip connection splits equally",
        "after Otsuki et al. 2024",
        rule=_at(Add, Flat),
    ),
    Convention(
        "add-to-every",
        "skip connection",
        "a skip connection hands all relevance to every branch (a plain `+`)",
        "zennit without a `Sum` module",
        rule=_at(Add, lambda epsilon: ToEvery()),
    ),
    Convention(
        "first-like-the-rest",
        "first layer",
        "the first layer is under the rule of the other layers",
        "a composite without a rule for the first layer",
        rule=_at_first(_like_the_rest),
    ),
    Convention(
        "first-flat",
        "first layer",
        "the first layer is under the flat rule",
        "zennit's composites `...Flat`",
        rule=_at_first(lambda place, rule, case: Flat(stabilizer_of(rule))),
    ),
    Convention(
        "first-w-square",
        "first layer",
        "the first layer is under the w-square rule",
        "Montavon et al. 2017, unbounded inputs",
        rule=_at_first(lambda place, rule, case: WSquare(stabilizer_of(rule))),
    ),
    Convention(
        "first-box-0-1",
        "first layer",
        "the first layer is under z-box with the bounds 0 and 1",
        "raw pixels",
        rule=_box(0.0, 1.0),
    ),
    Convention(
        "first-box-1-1",
        "first layer",
        "the first layer is under z-box with the bounds -1 and 1",
        "pixels scaled to [-1, 1], as in the tutorial of heatmapping.org",
        rule=_box(-1.0, 1.0),
    ),
    Convention(
        "first-box-data",
        "first layer",
        "the first layer is under z-box, its bounds the smallest and the largest value of each sample",
        "hila-chefer/Transformer-Explainability",
        rule=_at_first(_box_of_data),
    ),
    Convention(
        "first-box-imagenet",
        "first layer",
        "the first layer is under z-box with torchvision's normalised black and white as bounds",
        "zennit's examples; the tutorial of heatmapping.org",
        rule=_at_first(_box_of_imagenet),
    ),
    Convention(
        "alpha1-beta0",
        "alpha-beta",
        "alpha is 1 and beta 0",
        "captum has no other",
        rule=_alpha_beta(lambda rule: replace(rule, alpha=1, beta=0)),
    ),
    Convention(
        "alpha2-beta1",
        "alpha-beta",
        "alpha is 2 and beta 1",
        "zennit's default",
        rule=_alpha_beta(lambda rule: replace(rule, alpha=2, beta=1)),
    ),
    Convention(
        "alpha-half",
        "alpha-beta",
        "alpha-beta's pools both count half, with a plus",
        "innsight's default",
        rule=_alpha_beta(lambda rule: MixedPools(0.5, rule.stabilizer)),
    ),
    Convention(
        "weights-clamped",
        "alpha-beta",
        "alpha-beta clamps weights only: inputs and bias keep their sign",
        "captum 0.9.0 (meta-pytorch/captum#1234)",
        rule=_alpha_beta(lambda rule: WeightsClamped(False, rule.stabilizer), only=(1, 0)),
    ),
    Convention(
        "weights-and-bias-clamped",
        "alpha-beta",
        "alpha-beta clamps weights and bias only: inputs keep their sign",
        "frankaging/BERT-LRP#4",
        rule=_alpha_beta(lambda rule: WeightsClamped(True, rule.stabilizer), only=(1, 0)),
    ),
    Convention(
        "pools-apart",
        "alpha-beta",
        "positive inputs with positive weights share out all relevance, and negative with negative all once more",
        "hila-chefer/Transformer-Explainability#55",
        rule=_alpha_beta(lambda rule: PoolsApart(rule.stabilizer), only=(1, 0)),
    ),
    Convention(
        "alpha-beta-bias-ignored",
        "bias in alpha-beta",
        "the bias is left out of alpha-beta's pools",
        "TorchLRP; iNNvestigate's rules `...IgnoreBias`",
        rule=_alpha_beta(lambda rule: replace(rule, bias="ignore")),
    ),
    Convention(
        "alpha-beta-bias-kept",
        "bias in alpha-beta",
        "the bias takes part in the alpha-beta pool of its own sign",
        "Bach et al. 2015; zennit",
        rule=_alpha_beta(lambda rule: replace(rule, bias="keep")),
    ),
    Convention(
        "alpha-beta-bias-in-every-pool",
        "bias in alpha-beta",
        "alpha-beta's pools both hold the whole bias",
        "iNNvestigate 2.1.2 (albermax/innvestigate#273)",
        rule=_alpha_beta(lambda rule: BiasInEveryPool(rule.alpha, rule.beta, rule.stabilizer)),
    ),
    Convention(
        "empty-renormalised",
        "empty pool",
        "where one of alpha-beta's pools is empty the other takes all relevance",
        "discussed in lrp_toolbox#19",
        rule=_alpha_beta(lambda rule: replace(rule, empty="renormalise")),
    ),
    Convention(
        "empty-literal",
        "empty pool",
        "an empty pool of alpha-beta sends nothing, and the other its own share",
        "Bach et al. 2015, to the letter; zennit",
        rule=_alpha_beta(lambda rule: replace(rule, empty="literal")),
    ),
    Convention(
        "gamma-generalised",
        "gamma",
        "gamma is generalised: it favours the contributions of the sign of z",
        "zennit; RelevancePropagation.jl's GeneralizedGammaRule",
        rule=_gamma(lambda rule: replace(rule, generalised=True)),
    ),
    Convention(
        "gamma-plain",
        "gamma",
        "gamma is plain: it favours positive weights, whatever the sign of the input and of z",
        "Montavon et al. 2019; captum",
        rule=_gamma(lambda rule: replace(rule, generalised=False)),
    ),
    Convention(
        "gamma-twice",
        "gamma",
        "gamma multiplies by the weight once more: w + gamma w w+",
        "TorchLRP",
        rule=_gamma(lambda rule: GammaTwice(rule.gamma, rule.stabilizer)),
    ),
    Convention(
        "gamma-bias-as-it-is",
        "bias in gamma",
        "gamma leaves the bias as it is: b, not b + gamma b+",
        "captum",
        rule=_gamma(lambda rule: GammaBiasAsItIs(rule.gamma, rule.generalised, rule.stabilizer)),
    ),
    Convention(
        "w-square-bias",
        "w-square",
        "w-square has b^2 in its denominator",
        "zennit",
        rule=lambda place, rule, case: WSquareWithBias(rule.stabilizer) if isinstance(rule, WSquare) else rule,
    ),
    Convention(
        "flat-bias",
        "flat",
        "flat counts the bias as one more input",
        "zennit before its PR #102",
        rule=lambda place, rule, case: FlatWithBias(rule.stabilizer) if isinstance(rule, Flat) else rule,
    ),
    Convention(
        "flat-padding",
        "flat",
        "flat gives cells of a convolution's padding their share, which is lost",
        "chr5tphr/zennit#154 discusses it",
        rule=lambda place, rule, case: FlatWithPadding(rule.stabilizer) if isinstance(rule, Flat) else rule,
    ),
    Convention(
        "stabilizer-0", "stabilizer", "every stabilizer is 0", "the papers; lrpref's bare rules", rule=_stabilized(0.0)
    ),
    Convention("stabilizer-1e-12", "stabilizer", "every stabilizer is 1e-12", "lrp_toolbox", rule=_stabilized(1e-12)),
    Convention(
        "stabilizer-1e-9",
        "stabilizer",
        "every stabilizer is 1e-9",
        "captum; RelevancePropagation.jl but for epsilon",
        rule=_stabilized(1e-09),
    ),
    Convention(
        "stabilizer-1e-7", "stabilizer", "every stabilizer is 1e-7", "iNNvestigate's epsilon", rule=_stabilized(1e-07)
    ),
    Convention(
        "stabilizer-1e-6",
        "stabilizer",
        "every stabilizer is 1e-6",
        "zennit; RelevancePropagation.jl's epsilon",
        rule=_stabilized(1e-06),
    ),
    Convention(
        "epsilon-rms",
        "scale of epsilon",
        "epsilon is scaled by each sample's root mean square of z",
        "an option of zennit; nearly the tutorial of heatmapping.org",
        rule=_rms,
    ),
    Convention(
        "stabilizer-unsigned",
        "sign of the stabilizer",
        "the stabilizer is added whatever the sign of z",
        "LXT; the tutorial of heatmapping.org",
        rule=_unsigned,
    ),
    Convention(
        "bias-in-no-rule",
        "bias in rules",
        "the rules see no bias (the forward pass has it)",
        'interprettensor#2; zennit with zero_params="bias"',
        rule=lambda place, rule, case: Biasless(rule),
    ),
    Convention("seed-logit", "seed", "it starts from the logit", "lrpref; captum", start=_seed("logit")),
    Convention("seed-one", "seed", "it starts from 1", "RelevancePropagation.jl; a plain gradient", start=_seed("one")),
    Convention(
        "seed-probability", "seed", "it starts from the probability", "after a softmax", start=_seed("probability")
    ),
    Convention(
        "all-outputs",
        "seed",
        "every output is explained at once, each from its logit",
        "zennit unless told a target",
        start=_all_outputs(identity),
    ),
    Convention(
        "all-ones",
        "seed",
        "every output is explained at once, each from 1",
        "`output.sum().backward()`",
        start=_all_outputs(one),
    ),
    Convention(
        "target-largest",
        "target",
        "the largest output is explained, not the one asked for",
        "a default target",
        start=lambda start: replace(start, target=None),
    ),
    Convention(
        "target-runner-up",
        "target",
        "the second largest output is explained",
        "the label where the network errs",
        start=_runner_up,
    ),
    Convention(
        "channels-sum",
        "channels",
        "its channels are summed",
        "the usual picture",
        show=_channels(lambda R: R.sum(axis=1, keepdims=True)),
    ),
    Convention(
        "channels-mean",
        "channels",
        "its channels are averaged",
        "some pictures",
        show=_channels(lambda R: R.mean(axis=1, keepdims=True)),
    ),
    Convention(
        "channels-largest",
        "channels",
        "the largest magnitude of its channels is shown",
        "some pictures",
        show=_channels(lambda R: abs(R).max(axis=1, keepdims=True)),
    ),
    Convention("absolute", "sign", "the map is of magnitudes: |R|", "Quantus, by an option", show=magnitude),
    Convention("positive", "sign", "negative relevance is cut off: max(R, 0)", "some pictures", show=positive),
    Convention(
        "negated", "sign", "the map has the other sign", "a colour scale the other way round", show=lambda R: -R
    ),
    Convention(
        "over-largest",
        "scale",
        "each map is divided by its largest magnitude",
        "Quantus; iNNvestigate's pictures",
        show=_over(lambda r: abs(r).max(axis=1, initial=0)),
    ),
    Convention(
        "over-sum",
        "scale",
        "each map is divided by its sum",
        "captum's docstring (its code does not)",
        show=_over(sum_per_sample),
    ),
    Convention("over-range", "scale", "each map is stretched to [0, 1]", "some pictures", show=_to_unit),
    Convention(
        "channels-last",
        "layout",
        "its axes are (N, H, W, C)",
        "iNNvestigate, lrp_toolbox",
        show=_channels(lambda R: np.moveaxis(R, 1, -1)),
    ),
)
"""Every choice that is tried, in the order in which they are made when several are."""


def table() -> str:
    """`CONVENTIONS` as a table in Markdown."""
    rows = [f"| `{c.name}` | {c.group} | {c.words.replace('|', chr(92) + '|')} | {c.source} |" for c in CONVENTIONS]
    return "\n".join(["| name | choice of | equal if ... | who does so |", "|---|---|---|---|", *rows])
