"""The choices that implementations of LRP make differently, as a table of changes to apply.

Each entry of `CONVENTIONS` is a choice that another implementation may have made. It changes the network, the rule of a
layer, the relevance at the output, or the presentation of the finished map. `lrpref.explain_difference` applies the
entries in turn, to find the one that turns lrpref's map into the other one. Choices that are not a mode of lrpref's own
rules are computed by `lrpref.differences.conventions`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from ..backend import to_numpy
from ..composites import JOINS, Place
from ..engine import Rule
from ..fusion import fuse
from ..layers import (
    Add,
    BatchNorm,
    Conv2D,
    Dense,
    DiagonalLayer,
    Layer,
    LinearLayer,
    MaxPool2D,
    Mean,
    Multiply,
    ReLU,
    SampleNorm,
    Softmax,
    TokenDense,
    UpsampleLinear,
    WeightedLayer,
)
from ..layers.adaptive import AdaptiveAvgPool
from ..layers.avg_pool import AvgPool
from ..layers.global_pool import GlobalAvgPool
from ..network import Network
from ..rules import Absolute, AlphaBeta, Epsilon, Flat, Gamma, Pass, Relative, WSquare, ZBox, Zero, ZPlus
from ..seeds import target_index
from .conventions import (
    AveragedMaxPool,
    BiasByMagnitude,
    BiasInBothParts,
    Biasless,
    EachPartInFull,
    EpsilonOfSum,
    FlatWithBias,
    FlatWithPadding,
    FlatWithWeights,
    GammaBiasAsItIs,
    GammaTwice,
    GammaZeroLost,
    GammaZeroNegative,
    GatedReLU,
    Gradient,
    MeanSubtracted,
    MixedParts,
    MultiplyByMagnitude,
    NegativeAtZero,
    NumeratorClamped,
    OneBranch,
    ToEvery,
    Unsigned,
    WeightsClamped,
    WeightsShare,
    WholeGradient,
    WithInputs,
    WSquareWithBias,
    scalar_fold,
)

SMALL = 1e-4
"""Epsilons up to this value count as stabilizers, and so as a convention; larger ones are a deliberate choice."""


@dataclass(frozen=True, eq=False)
class Case:
    """What a change of rules may depend on.

    Parameters
    ----------
    net : Network
        The network.
    x : array, shape (N, ...)
        The input.
    rows : tuple of (Place, Rule)
        The place and the rule of every linear layer.
    """

    net: Network
    x: np.ndarray
    rows: tuple[tuple[Place, Rule], ...]


@dataclass(frozen=True, eq=False)
class Start:
    """The start of an explanation.

    Parameters
    ----------
    target, seed
        As `lrpref.explain` takes them.
    logits : array, shape (N, ...)
        The logits.
    """

    target: Any
    seed: Any
    logits: np.ndarray


RuleChange = Callable[[Place, Rule, Case], Rule]
MapChange = Callable[[np.ndarray], np.ndarray]
SomeRule = TypeVar("SomeRule", bound=Rule)


@dataclass(frozen=True)
class Convention:
    """A choice that another implementation may have made, and its equivalent here.

    One of `network`, `rule`, `start` and `show` is given. Each returns its argument where there is nothing to change.

    Parameters
    ----------
    name : str
        A short name, for programs.
    group : str
        The subject of the choice. Choices of one group exclude each other.
    words : str
        The condition, to complete the sentence "equal if ...".
    source : str
        The implementations that make this choice.
    network : callable, optional
        Network -> Network.
    rule : callable, optional
        (place, rule, case) -> the rule of a linear layer.
    start : callable, optional
        Start -> Start.
    show : callable, optional
        The finished map -> the map as the other implementation presents it.
    """

    name: str
    group: str
    words: str
    source: str
    network: Callable[[Network], Network] | None = None
    rule: RuleChange | None = None
    start: Callable[[Start], Start] | None = None
    show: MapChange | None = None


# ---- changes of the network -----------------------------------------------------------------------------------


def _layers(change: Callable[[Layer], Layer]) -> Callable[[Network], Network]:
    """Apply `change` to every layer; a shared layer stays shared."""

    def changed(net: Network) -> Network:
        return net.map_layers(change)

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


def _by_magnitude(layer: Layer) -> Layer:
    return MultiplyByMagnitude() if type(layer) is Multiply else layer


# ---- changes of rules -----------------------------------------------------------------------------------------


def _stabilizer_of(rule: Rule) -> float:
    """The number that keeps the rule's denominators away from zero, or 0."""
    if isinstance(rule, Epsilon):
        return rule.epsilon if rule.epsilon <= SMALL else 0.0
    return float(getattr(rule, "stabilizer", 0.0))


AVERAGES = (AvgPool, GlobalAvgPool, AdaptiveAvgPool)
"""The average pools."""


def _at(kinds: type[Layer] | tuple[type[Layer], ...], make: Callable[[float], Rule]) -> RuleChange:
    """At layers of these kinds, the rule that `make` returns for the present stabilizer."""
    return lambda place, rule, case: make(_stabilizer_of(rule)) if isinstance(place.layer, kinds) else rule


def _at_first(make: Callable[[Place, Rule, Case], Rule]) -> RuleChange:
    """At the first layers, the rule that `make` returns."""
    return lambda place, rule, case: make(place, rule, case) if place.first else rule


def _in_place_of(kind: type[SomeRule], make: Callable[[SomeRule], Rule]) -> RuleChange:
    """In place of rules of this kind, the rule that `make` returns for them."""
    return lambda place, rule, case: make(rule) if isinstance(rule, kind) else rule


def _like_the_rest(place: Place, rule: Rule, case: Case) -> Rule:
    """The rule of the next weighted layer of the same type, else of any type, else the layer's own rule."""
    rest = [(p, r) for p, r in case.rows if isinstance(p.layer, WeightedLayer) and not p.first]
    alike = [r for p, r in rest if type(p.layer) is type(place.layer)]
    return next(iter([*alike, *(r for _, r in rest)]), rule)


def _box(low: float, high: float) -> RuleChange:
    return _at_first(lambda place, rule, case: ZBox(low, high, _stabilizer_of(rule)))


def _box_of_data(place: Place, rule: Rule, case: Case) -> Rule:
    """The z-box rule with the smallest and the largest value of each sample as bounds."""
    if case.x.shape[0] == 0:
        return rule
    flat = case.x.reshape(case.x.shape[0], -1)
    shape = (-1, *(1,) * (1 if isinstance(place.layer, Dense) else 3))
    return ZBox(flat.min(axis=1).reshape(shape), flat.max(axis=1).reshape(shape), _stabilizer_of(rule))


_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def _box_of_imagenet(place: Place, rule: Rule, case: Case) -> Rule:
    """The z-box rule between black and white, normalised as torchvision's models expect it."""
    if not isinstance(place.layer, Conv2D) or case.x.shape[1:2] != (3,):
        return rule
    return ZBox(-_MEAN / _DEVIATION, (1 - _MEAN) / _DEVIATION, _stabilizer_of(rule))


def _alpha_beta(change: Callable[[AlphaBeta], Rule], only: tuple[float, float] | None = None) -> RuleChange:
    """Change alpha-beta, and z-plus as its case (1, 0); with `only`, for these (alpha, beta) alone."""

    def changed(place: Place, rule: Rule, case: Case) -> Rule:
        found = AlphaBeta(1, 0, stabilizer=rule.stabilizer) if isinstance(rule, ZPlus) else rule
        fits = isinstance(found, AlphaBeta) and only in (None, (found.alpha, found.beta))
        return change(found) if isinstance(found, AlphaBeta) and fits else rule

    return changed


def _stabilized(value: float) -> RuleChange:
    """Set every stabilizer, and every epsilon up to SMALL, to `value`; LRP-0 becomes epsilon."""

    def changed(place: Place, rule: Rule, case: Case) -> Rule:
        if isinstance(rule, Zero):
            return Epsilon(value)
        if isinstance(rule, Epsilon):
            return replace(rule, epsilon=value) if rule.epsilon <= SMALL else rule
        return replace(rule, stabilizer=value) if hasattr(rule, "stabilizer") else rule  # type: ignore[call-arg]

    return changed


def _unsigned(place: Place, rule: Rule, case: Case) -> Rule:
    return Unsigned(rule) if getattr(rule, "epsilon", 0) or getattr(rule, "stabilizer", 0) else rule


def _mean_subtracted(place: Place, rule: Rule, case: Case) -> Rule:
    """At a BatchNorm under a rule that maps weights."""
    maps = isinstance(rule, Gamma | AlphaBeta | ZPlus | WSquare | Flat)
    return MeanSubtracted(rule) if maps and isinstance(place.layer, BatchNorm) else rule


def _weights_kept(place: Place, rule: Rule, case: Case) -> Rule:
    """At an interpolation under flat."""
    flat = isinstance(rule, Flat) and isinstance(place.layer, UpsampleLinear)
    return FlatWithWeights(_stabilizer_of(rule)) if flat else rule


def _of_sum(place: Place, rule: Rule, case: Case) -> Rule:
    """At a mean under epsilon."""
    return EpsilonOfSum(rule.epsilon) if isinstance(rule, Epsilon) and isinstance(place.layer, Mean) else rule


def _of_last_use(place: Place, rule: Rule, case: Case) -> Rule:
    """At every use but the last of a layer, with the inputs of the last."""
    *others, last = [node for node in case.net.nodes if node.layer is place.layer]
    if not others or last.name == place.name:
        return rule
    at = case.net.activations(case.x)
    return WithInputs(rule, tuple(at[name] for name in last.inputs))


def through_the_block(place: Place, rule: Rule, case: Case) -> Rule:
    """At a sum, all to the branch that is computed from the other one, past which that is an identity skip.

    Where neither is computed from the other, the skip has a projection, and relevance is divided by magnitude.
    """
    if type(place.layer) is not Add:
        return rule
    inputs = case.net.node(place.name).inputs
    blocks = [k for k, block in enumerate(inputs) if any(_reads(case.net, block, skip) for skip in inputs)]
    return OneBranch(blocks[0]) if len(blocks) == 1 else Absolute(_stabilizer_of(rule))


def _reads(net: Network, name: str, source: str) -> bool:
    """Whether a node is computed from another one."""
    return name not in net.inputs and any(source in node.inputs for node in net.up_to(name).nodes)


def _with_weights(place: Place, rule: Rule, case: Case) -> Rule:
    """At linear layers of features."""
    return WeightsShare(rule) if isinstance(place.layer, Dense | TokenDense) else rule


def _negative_at_zero(place: Place, rule: Rule, case: Case) -> Rule:
    return NegativeAtZero(rule) if getattr(rule, "epsilon", 0) or getattr(rule, "stabilizer", 0) else rule


def _rms(place: Place, rule: Rule, case: Case) -> Rule:
    return replace(rule, scale="rms") if isinstance(rule, Epsilon) and isinstance(place.layer, WeightedLayer) else rule


# ---- changes of the start -------------------------------------------------------------------------------------


def _seed(seed: str) -> Callable[[Start], Start]:
    return lambda start: replace(start, seed=seed) if isinstance(start.seed, str | int | float) else start


def _all_outputs(seed: MapChange) -> Callable[[Start], Start]:
    return lambda start: replace(start, seed=seed(start.logits))


def _through_softmax(start: Start) -> Start:
    """v p_t (delta_tk - p_k), the gradient of the softmax p at the explained output t, times the value v there.

    The seeds "logit" and "probability" both start with the output of the softmax, v = p_t.
    """
    seed = start.seed
    if not isinstance(seed, str | int | float):
        return start
    logits = start.logits.reshape(start.logits.shape[0], -1)
    t = to_numpy(target_index(start.logits, start.target, "one"))
    p = to_numpy(Softmax().forward(logits))
    explained = np.arange(logits.shape[1]) == t[:, None]
    p_t = p[explained][:, None]
    v = seed if not isinstance(seed, str) else 1 if seed == "one" else p_t
    return replace(start, seed=(v * p_t * (explained - p)).reshape(start.logits.shape))


def _runner_up(start: Start) -> Start:
    flat = start.logits.reshape(start.logits.shape[0], -1)
    return start if flat.shape[1] < 2 else replace(start, target=np.argsort(-flat, axis=1, kind="stable")[:, 1])


# ---- changes of the map ---------------------------------------------------------------------------------------


def _over(size: MapChange) -> MapChange:
    """Divide each sample by its own `size`, unless that is 0."""

    def scaled(R: np.ndarray) -> np.ndarray:
        of_sample = size(R.reshape(R.shape[0], -1)).reshape(-1, *(1,) * (R.ndim - 1))
        return R / np.where(of_sample == 0, 1, of_sample)

    return scaled


def _to_unit(R: np.ndarray) -> np.ndarray:
    """Each sample, scaled and shifted to [0, 1]."""
    least = R.reshape(R.shape[0], -1).min(axis=1, initial=np.inf).reshape(-1, *(1,) * (R.ndim - 1))
    return _over(lambda r: r.max(axis=1, initial=0))(R - least)


def _as_reading(reading: str) -> RuleChange:
    """Read Relative LRP in another way."""
    return _in_place_of(Relative, lambda rule: Relative(reading))


def _of_images(change: MapChange) -> MapChange:
    """Apply `change` to maps that have channels."""
    return lambda R: change(R) if R.ndim > 2 else R


CONVENTIONS: tuple[Convention, ...] = (
    Convention(
        "network-bias-free", "bias of the network", "the biases are zero in the forward pass too",
        "A. Binder's notes call it the classic bug",
        network=_layers(_without_bias),
    ),
    Convention(
        "batch-norm-fused", "BatchNorm", "BatchNorm is folded into its neighbours first (lrpref.fuse)",
        "Guillemot et al. 2020; RelevancePropagation.jl requires it",
        network=fuse,
    ),
    Convention(
        "batch-norm-scalar-fold", "BatchNorm",
        "BatchNorm is folded first, but before a layer as if it had one channel: it scales the layer's outputs",
        "`BNParametrizer`, a program that cites Guillemot et al. 2020 for it",
        network=scalar_fold,
    ),
    Convention(
        "max-pool-equal", "max-pool", "equal maxima of a max-pool receive equal relevance", "lrp_toolbox",
        network=_layers(_ties("equal")),
    ),
    Convention(
        "max-pool-first", "max-pool", "the first of several equal maxima of a max-pool receives all relevance",
        "captum, zennit",
        network=_layers(_ties("first")),
    ),
    Convention(
        "max-pool-averaged", "max-pool", "max-pools redistribute relevance as average pools do",
        "the tutorial of heatmapping.org",
        network=_layers(_averaged),
    ),
    Convention(
        "relu-gradient", "activation", "a ReLU withholds relevance where it is off (its gradient)",
        "captum and zennit, where the ReLU is a function and not a module",
        network=_layers(_gated),
    ),
    Convention(
        "product-by-magnitude", "product", "a product gives each factor a share by its magnitude",
        "autoLRP 0.2.0; DynamicLRP 0535f39",
        network=_layers(_by_magnitude),
    ),
    Convention(
        "zero-everywhere", "rules",
        "every layer uses LRP-0 instead of the requested rule (in a network of ReLUs and max-pools: gradient x input)",
        "gradient x input, by any library",
        rule=_at(LinearLayer, lambda epsilon: Zero()),
    ),
    Convention(
        "epsilon-everywhere", "rules", "every layer uses epsilon = 1e-9 instead of the requested rule",
        "captum from the second call on, because the first call deletes the rules",
        rule=_at(LinearLayer, lambda epsilon: Epsilon(1e-9)),
    ),
    Convention(
        "batch-norm-pass", "BatchNorm", "BatchNorm passes relevance on unchanged", "zennit",
        rule=_at(DiagonalLayer, lambda epsilon: Pass()),
    ),
    Convention(
        "batch-norm-epsilon", "BatchNorm", "BatchNorm uses the epsilon rule",
        "captum; iNNvestigate, except where x equals the mean",
        rule=_at(DiagonalLayer, Epsilon),
    ),
    Convention(
        "batch-norm-absolute", "BatchNorm", "BatchNorm passes on the fraction |w x| / (|w x| + |b|)",
        "third-party code after Hui and Binder 2019",
        rule=_at(DiagonalLayer, Absolute),
    ),
    Convention(
        "batch-norm-gradient", "BatchNorm", "BatchNorm multiplies relevance by its gradient", "zennit until mid-2022",
        rule=_at(DiagonalLayer, lambda epsilon: Gradient()),
    ),
    Convention(
        "batch-norm-mean-subtracted", "BatchNorm",
        "a rule modifies the weight and the bias of BatchNorm, and its mean is subtracted as usual", "zennit",
        rule=_mean_subtracted,
    ),
    Convention(
        "norm-whole-gradient", "norm by the sample's statistics",
        "norms by the sample's statistics use epsilon with the gradient of the deviation included", "zennit; captum",
        rule=_at(SampleNorm, WholeGradient),
    ),
    Convention(
        "average-pool-equal", "average pool", "average pools split relevance equally, whatever their inputs",
        "libraries that hook the gradient, for a pool without a rule",
        rule=_at(AVERAGES, Flat),
    ),
    Convention(
        "average-pool-epsilon", "average pool", "average pools use the epsilon rule, whatever their rule",
        "zennit and captum, whose rules change parameters only",
        rule=_at(AVERAGES, Epsilon),
    ),
    Convention(
        "average-pool-absolute", "average pool",
        "average pools split relevance by the magnitudes of their inputs, whatever their rule",
        "DynamicLRP 0535f39, for a mean over all positions",
        rule=_at(AVERAGES, Absolute),
    ),
    Convention(
        "mean-epsilon-of-sum", "mean", "a mean over an axis adds epsilon to the sum, not to the mean", "LXT's `mean`",
        rule=_of_sum,
    ),
    Convention(
        "upsample-flat-weights", "interpolation", "an interpolation keeps its weights under flat", "zennit",
        rule=_weights_kept,
    ),
    Convention(
        "shared-last-input", "layer used twice", "a layer that is used twice has the input of its last use in both",
        "zennit",
        rule=_of_last_use,
    ),
    Convention(
        "add-epsilon", "skip connection", "a skip connection splits in proportion to its signed inputs (epsilon)",
        "captum's addition module; zennit's `Norm`; iNNvestigate",
        rule=_at(Add, Epsilon),
    ),
    Convention(
        "add-absolute", "skip connection", "a skip connection splits in proportion to the magnitudes of its inputs",
        "the program of Otsuki et al. 2024, with `flows_skip`; autoLRP 0.2.0, by default; DynamicLRP 0535f39",
        rule=_at(Add, Absolute),
    ),
    Convention(
        "add-equal", "skip connection", "a skip connection splits equally",
        "the program of Otsuki et al. 2024, with `flows_skip_simple`",
        rule=_at(Add, Flat),
    ),
    Convention(
        "add-gamma", "skip connection", "a skip connection splits by generalised gamma, with gamma = 1",
        "ResLRP in erenerogullari/cav-disentanglement",
        rule=_at(Add, JOINS["gamma"]),
    ),
    Convention(
        "add-block", "skip connection",
        "relevance passes through the block, and past it only where the skip has a projection, by magnitude",
        "the program of Otsuki et al. 2024, by default",
        rule=through_the_block,
    ),
    Convention(
        "add-to-every", "skip connection", "a skip connection passes all relevance to every branch (a plain `+`)",
        "zennit without a `Sum` module",
        rule=_at(Add, lambda epsilon: ToEvery()),
    ),
    Convention(
        "first-like-the-rest", "first layer", "the first layer uses the rule of the other layers",
        "a composite without a rule for the first layer",
        rule=_at_first(_like_the_rest),
    ),
    Convention(
        "first-flat", "first layer", "the first layer uses the flat rule", "zennit's composites `...Flat`",
        rule=_at_first(lambda place, rule, case: Flat(_stabilizer_of(rule))),
    ),
    Convention(
        "first-w-square", "first layer", "the first layer uses the w-square rule",
        "Montavon et al. 2017, for unbounded inputs",
        rule=_at_first(lambda place, rule, case: WSquare(_stabilizer_of(rule))),
    ),
    Convention(
        "first-box-0-1", "first layer", "the first layer uses z-box with the bounds 0 and 1", "raw pixels",
        rule=_box(0.0, 1.0),
    ),
    Convention(
        "first-box-1-1", "first layer", "the first layer uses z-box with the bounds -1 and 1",
        "pixels scaled to [-1, 1], as in the tutorial of heatmapping.org",
        rule=_box(-1.0, 1.0),
    ),
    Convention(
        "first-box-data", "first layer",
        "the first layer uses z-box with the smallest and the largest value of each sample as bounds",
        "hila-chefer/Transformer-Explainability",
        rule=_at_first(_box_of_data),
    ),
    Convention(
        "first-box-imagenet", "first layer",
        "the first layer uses z-box with torchvision's normalised black and white as bounds",
        "zennit's examples; the tutorial of heatmapping.org",
        rule=_at_first(_box_of_imagenet),
    ),
    Convention(
        "alpha1-beta0", "alpha-beta", "alpha is 1 and beta 0", "captum, which has no other parameters",
        rule=_alpha_beta(lambda rule: replace(rule, alpha=1, beta=0)),
    ),
    Convention(
        "alpha2-beta1", "alpha-beta", "alpha is 2 and beta 1", "zennit's default",
        rule=_alpha_beta(lambda rule: replace(rule, alpha=2, beta=1)),
    ),
    Convention(
        "alpha-half", "alpha-beta", "both parts of alpha-beta have the coefficient +1/2", "innsight's default",
        rule=_alpha_beta(lambda rule: MixedParts(0.5, rule.stabilizer)),
    ),
    Convention(
        "weights-clamped", "alpha-beta", "alpha-beta clamps only the weights: inputs and bias keep their sign",
        "captum 0.9.0 (meta-pytorch/captum#1234); DynamicLRP 0535f39, for linear layers",
        rule=_alpha_beta(lambda rule: WeightsClamped(False, rule.stabilizer), only=(1, 0)),
    ),
    Convention(
        "numerator-clamped", "alpha-beta", "alpha-beta clamps only the weights, and only in the numerator",
        "DynamicLRP 0535f39, for convolutions",
        rule=_alpha_beta(lambda rule: NumeratorClamped(rule.stabilizer), only=(1, 0)),
    ),
    Convention(
        "weights-and-bias-clamped", "alpha-beta", "alpha-beta clamps only weights and bias: inputs keep their sign",
        "frankaging/BERT-LRP#4",
        rule=_alpha_beta(lambda rule: WeightsClamped(True, rule.stabilizer), only=(1, 0)),
    ),
    Convention(
        "each-part-in-full", "alpha-beta",
        "positive inputs with positive weights receive all relevance, and negative with negative receive it again",
        "hila-chefer/Transformer-Explainability#55",
        rule=_alpha_beta(lambda rule: EachPartInFull(rule.stabilizer), only=(1, 0)),
    ),
    Convention(
        "alpha-beta-bias-ignored", "bias in alpha-beta", "the bias takes no part in alpha-beta",
        "TorchLRP; iNNvestigate's rules `...IgnoreBias`",
        rule=_alpha_beta(lambda rule: replace(rule, bias="ignore")),
    ),
    Convention(
        "alpha-beta-bias-kept", "bias in alpha-beta", "the bias takes part in alpha-beta, in the part of its own sign",
        "Bach et al. 2015; zennit",
        rule=_alpha_beta(lambda rule: replace(rule, bias="keep")),
    ),
    Convention(
        "alpha-beta-bias-in-both-parts", "bias in alpha-beta", "both parts of alpha-beta contain the whole bias",
        "iNNvestigate 2.1.2 (albermax/innvestigate#273)",
        rule=_alpha_beta(lambda rule: BiasInBothParts(rule.alpha, rule.beta, rule.stabilizer)),
    ),
    Convention(
        "empty-renormalised", "empty part",
        "where one part of alpha-beta is empty, the other part redistributes all relevance",
        "discussed in lrp_toolbox#19",
        rule=_alpha_beta(lambda rule: replace(rule, empty="renormalise")),
    ),
    Convention(
        "empty-literal", "empty part",
        "where one part of alpha-beta is empty, its relevance is dropped and the other part keeps its coefficient",
        "Bach et al. 2015, to the letter; zennit",
        rule=_alpha_beta(lambda rule: replace(rule, empty="literal")),
    ),
    Convention(
        "gamma-generalised", "gamma", "gamma is generalised: it favours contributions with the sign of z",
        "zennit; RelevancePropagation.jl's GeneralizedGammaRule; DynamicLRP",
        rule=_in_place_of(Gamma, lambda rule: replace(rule, generalised=True)),
    ),
    Convention(
        "gamma-plain", "gamma", "gamma is plain: it favours positive weights, whatever the sign of the input and of z",
        "Montavon et al. 2019; captum",
        rule=_in_place_of(Gamma, lambda rule: replace(rule, generalised=False)),
    ),
    Convention(
        "gamma-twice", "gamma", "gamma squares positive weights: w + gamma w w+", "TorchLRP",
        rule=_in_place_of(Gamma, lambda rule: GammaTwice(rule.gamma, rule.stabilizer)),
    ),
    Convention(
        "gamma-bias-as-it-is", "bias in gamma", "gamma does not modify the bias: b, not b + gamma b+", "captum",
        rule=_in_place_of(Gamma, lambda rule: GammaBiasAsItIs(rule.gamma, rule.generalised, rule.stabilizer)),
    ),
    Convention(
        "gamma-small-is-epsilon", "small gamma", "for a gamma up to 0.01, epsilon takes the place of gamma",
        "autoLRP 0.2.0",
        rule=_in_place_of(Gamma, lambda rule: Epsilon(rule.stabilizer) if rule.gamma <= 0.01 else rule),
    ),
    Convention(
        "gamma-zero-lost", "gamma at zero", "gamma redistributes nothing where z is exactly 0",
        "zennit; autoLRP's gamma",
        rule=_in_place_of(Gamma, lambda rule: GammaZeroLost(rule.gamma, rule.generalised, rule.stabilizer)),
    ),
    Convention(
        "gamma-zero-negative", "gamma at zero", "gamma favours negative contributions where z is exactly 0",
        "DynamicLRP 0535f39",
        rule=_in_place_of(Gamma, lambda rule: GammaZeroNegative(rule.gamma, rule.generalised, rule.stabilizer)),
    ),
    *(
        Convention(
            f"relative-{reading}", "Relative LRP", f"the messages of Relative LRP are {words}", source,
            rule=_as_reading(reading),
        )
        for reading, words, source in (
            ("rescaled", "rescaled at every layer", "lrpref; similar in Vukadin et al. 2024 (second-hand)"),
            ("bare", "bare", "the abstract of Nyiri and Gibaru 2025"),
            ("unsigned", "bare and without the sign of z", "theoOmathimatikos/Simple_LRP (its code)"),
            ("no-divisor", "bare and without a divisor", "theoOmathimatikos/Simple_LRP (its README)"),
            (
                "unit-norm", "bare and divided by the unit's sum of |w|",
                "nobody that we know of; it satisfies the abstract as well",
            ),
        )
    ),
    Convention(
        "w-square-bias", "w-square", "w-square has b^2 in its denominator", "zennit",
        rule=_in_place_of(WSquare, lambda rule: WSquareWithBias(rule.stabilizer)),
    ),
    Convention(
        "flat-bias", "flat", "flat counts the bias as an additional input", "zennit before its PR #102",
        rule=_in_place_of(Flat, lambda rule: FlatWithBias(rule.stabilizer)),
    ),
    Convention(
        "flat-padding", "flat", "flat gives a share to the padding of a convolution, where it is lost",
        "discussed in chr5tphr/zennit#154",
        rule=_in_place_of(Flat, lambda rule: FlatWithPadding(rule.stabilizer)),
    ),
    Convention(
        "stabilizer-0", "stabilizer", "every stabilizer is 0", "the papers; lrpref's bare rules",
        rule=_stabilized(0.0),
    ),
    Convention("stabilizer-1e-12", "stabilizer", "every stabilizer is 1e-12", "lrp_toolbox", rule=_stabilized(1e-12)),
    Convention(
        "stabilizer-1e-11", "stabilizer", "every stabilizer is 1e-11", "DynamicLRP 0535f39", rule=_stabilized(1e-11)
    ),
    Convention(
        "stabilizer-1e-9", "stabilizer", "every stabilizer is 1e-9",
        "captum; RelevancePropagation.jl, except for epsilon",
        rule=_stabilized(1e-09),
    ),
    Convention(
        "stabilizer-1e-7", "stabilizer", "every stabilizer is 1e-7", "iNNvestigate's epsilon",
        rule=_stabilized(1e-07),
    ),
    Convention(
        "stabilizer-1e-6", "stabilizer", "every stabilizer is 1e-6", "zennit; RelevancePropagation.jl's epsilon",
        rule=_stabilized(1e-06),
    ),
    Convention(
        "epsilon-rms", "scale of epsilon", "epsilon is scaled by each sample's root mean square of z",
        "an option of zennit; similar in the tutorial of heatmapping.org",
        rule=_rms,
    ),
    Convention(
        "stabilizer-unsigned", "sign of the stabilizer", "the stabilizer is added whatever the sign of z",
        "LXT; the tutorial of heatmapping.org",
        rule=_unsigned,
    ),
    Convention(
        "stabilizer-negative-at-zero", "sign of the stabilizer", "sign(0) is -1", "TorchLRP",
        rule=_negative_at_zero,
    ),
    Convention(
        "bias-in-no-rule", "bias in rules", "the rules ignore the bias (the forward pass includes it)",
        'interprettensor#2; zennit with zero_params="bias"',
        rule=lambda place, rule, case: Biasless(rule),
    ),
    Convention(
        "bias-by-magnitude", "bias in rules",
        "the bias keeps |b| / (|z| + |b|) of the relevance, and the rules ignore it otherwise",
        "autoLRP 0.2.0; DynamicLRP 0535f39",
        rule=lambda place, rule, case: BiasByMagnitude(rule),
    ),
    Convention(
        "weights-share", "linear layer", "the weights of a linear layer receive half of the relevance",
        "DynamicLRP 0535f39, with `use_attn_lrp`",
        rule=_with_weights,
    ),
    Convention(
        "seed-logit", "seed", "the explanation starts with the logit",
        "lrpref; captum; zennit, if the output times a one-hot vector is given",
        start=_seed("logit"),
    ),
    Convention(
        "seed-one", "seed", "the explanation starts with 1",
        "zennit's examples, which give a one-hot vector; RelevancePropagation.jl; a plain gradient",
        start=_seed("one"),
    ),
    Convention(
        "seed-probability", "seed", "the explanation starts with the probability", "explanations of a softmax",
        start=_seed("probability"),
    ),
    Convention(
        "softmax-gradient", "head", "the explanation goes through the gradient of the softmax", "zennit",
        start=_through_softmax,
    ),
    Convention(
        "all-outputs", "seed", "all outputs are explained together, each from its logit", "zennit without a target",
        start=_all_outputs(lambda logits: logits),
    ),
    Convention(
        "all-ones", "seed", "all outputs are explained together, each from 1", "`output.sum().backward()`",
        start=_all_outputs(np.ones_like),
    ),
    Convention(
        "target-largest", "target", "the largest output is explained instead of the requested one", "a default target",
        start=lambda start: replace(start, target=None),
    ),
    Convention(
        "target-runner-up", "target", "the second largest output is explained",
        "explanations of the true label where the network errs",
        start=_runner_up,
    ),
    Convention(
        "channels-sum", "channels", "the channels are summed", "most pictures",
        show=_of_images(lambda R: R.sum(axis=1, keepdims=True)),
    ),
    Convention(
        "channels-mean", "channels", "the channels are averaged", "some pictures",
        show=_of_images(lambda R: R.mean(axis=1, keepdims=True)),
    ),
    Convention(
        "channels-largest", "channels", "the largest magnitude over the channels is shown", "some pictures",
        show=_of_images(lambda R: abs(R).max(axis=1, keepdims=True)),
    ),
    Convention("absolute", "sign", "the map shows magnitudes: |R|", "an option of Quantus", show=abs),
    Convention(
        "positive", "sign", "negative relevance is set to 0: max(R, 0)", "some pictures",
        show=lambda R: np.maximum(R, 0),
    ),
    Convention("negated", "sign", "the map has the opposite sign", "a reversed colour scale", show=lambda R: -R),
    Convention(
        "over-largest", "scale", "each map is divided by its largest magnitude", "Quantus; iNNvestigate's pictures",
        show=_over(lambda r: abs(r).max(axis=1, initial=0)),
    ),
    Convention(
        "over-sum", "scale", "each map is divided by its sum", "captum's docstring (but not its code)",
        show=_over(lambda r: r.sum(axis=1)),
    ),
    Convention("over-range", "scale", "each map is scaled and shifted to [0, 1]", "some pictures", show=_to_unit),
    Convention(
        "channels-last", "layout", "the axes are (N, H, W, C)", "iNNvestigate, lrp_toolbox",
        show=_of_images(lambda R: np.moveaxis(R, 1, -1)),
    ),
)  # fmt: skip
"""All choices, in the order in which several of them are applied."""


def table() -> str:
    """Return `CONVENTIONS` as a Markdown table."""
    rows = [f"| `{c.name}` | {c.group} | {c.words.replace('|', chr(92) + '|')} | {c.source} |" for c in CONVENTIONS]
    return "\n".join(["| name | choice of | equal if ... | who does so |", "|---|---|---|---|", *rows])
