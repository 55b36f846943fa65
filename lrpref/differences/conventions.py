"""Rules, layers and foldings that reproduce other implementations, where lrpref itself has no such mode.

Each docstring names the implementation; some of these rules are known mistakes. `choices` applies them to recognise the
cause of a difference between two heatmaps. They are not meant for explaining: `explain` does not know them by name.

As with lrpref's own rules, the ledger accounts for all relevance. Relevance that a rule multiplies or withholds is
recorded as *factor*, relevance that falls on padding as *bias*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from ..arithmetic import constant, full, zeros_like
from ..backend import Array, array_namespace, as_tuple, sum_per_sample
from ..engine import Map, Ratio, Rule, Term, divide, identity, negative, one, positive, square, stabilize
from ..fusion import fuse
from ..layers import AvgPool2D, BatchNorm, Conv2D, Dense, LinearLayer, MaxPool2D, Multiply, ReLU
from ..layers.base import SupportsFlow
from ..layers.product import summed
from ..ledger import Flow
from ..network import Network
from ..rules import AlphaBeta, Epsilon, Flat, Gamma


@dataclass(frozen=True)
class WeightsClamped(Rule):
    """Alpha-beta with alpha = 1 and beta = 0, computed by clamping the weights only; correct for a >= 0 and b >= 0.

        R_i = sum_j  a_i w_ij+ / (sum_i a_i w_ij+ + b_j)  R_j

    captum's `Alpha1_Beta0_Rule` (0.9.0, captum/attr/_utils/lrp_rules.py; meta-pytorch/captum#1234). With a clamped
    bias it is the mistake reported in frankaging/BERT-LRP#4.

    Parameters
    ----------
    clamp_bias : bool, default False
        Whether the denominator contains b_j+ instead of b_j.
    stabilizer : float, default 0.0
        Added to the denominator with its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -2.0, 2.0]]).relevance(np.array([[1.0, -1.0, -1.0]]), np.array([[1.0]]), WeightsClamped())
    array([[-1.,  0.,  2.]])
    """

    name: ClassVar[str] = "weights-clamped"

    clamp_bias: bool = False
    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: a w+ + b, or a w+ + b+."""
        return (Ratio((Term(w=positive, b=positive if self.clamp_bias else identity),)),)


@dataclass(frozen=True)
class NumeratorClamped(Rule):
    """Alpha-beta with alpha = 1 and beta = 0, computed by clamping the weights of the numerator alone.

        R_i = sum_j  a_i w_ij+ / z_j  R_j        z_j = sum_i a_i w_ij + b_j

    DynamicLRP's z-plus for convolutions (0535f39, `DecomposedConvolutionBackwardProp` in src/lrp_engine/
    lrp_prop_fcns.py), which has no bias. Its z-plus for linear layers clamps both, as `WeightsClamped` does.

    Parameters
    ----------
    stabilizer : float, default 0.0
        Added to the denominator with its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[2.0, -1.0]]).relevance(np.array([[1.0, 1.0]]), np.array([[1.0]]), NumeratorClamped())
    array([[2., 0.]])
    """

    name: ClassVar[str] = "numerator-clamped"

    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: a w+ over a w + b."""
        return (Ratio((Term(w=positive),), denominator=(Term(b=identity),)),)


@dataclass(frozen=True)
class EachPartInFull(Rule):
    """Alpha-beta with alpha = 1 and beta = 0, where a+ w+ and a- w- each redistribute all of R_j, which may double.

        R_i = sum_j  (a_i+ w_ij+ / sum_i a_i+ w_ij+  +  a_i- w_ij- / sum_i a_i- w_ij-)  R_j

    hila-chefer/Transformer-Explainability, `Conv2d.relprop` (modules/layers_ours.py; issue #55 there). The bias takes
    no part.

    In terms of ratios, each part has a coefficient of 1/2 and is divided by half of its sum. What the rule creates is
    therefore recorded as a negative *factor*.

    Parameters
    ----------
    stabilizer : float, default 0.0
        Added to the sum of each part with its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -1.0]]).relevance(np.array([[1.0, -1.0]]), np.array([[1.0]]), EachPartInFull())
    array([[1., 1.]])
    """

    name: ClassVar[str] = "each-part-in-full"

    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """Two ratios, each for half of R over half of its own sum."""
        return tuple(
            Ratio((Term(part, part),), 0.5, denominator=(Term(_half(part), part),)) for part in (positive, negative)
        )

    def stabilize(self, z: Array) -> Array:
        """Half of the stabilizer for half of the sum."""
        return stabilize(z, constant(self.stabilizer, like=z) / 2)


def _half(part: Map) -> Map:
    """The map to half of `part(x)`."""
    return lambda x: part(x) / constant(2, like=x)


@dataclass(frozen=True)
class BiasInBothParts(Rule):
    """Alpha-beta with the whole bias in the denominators of both parts, whatever its sign.

        z_j+ = sum_i (a_i w_ij)+ + b_j          z_j- = sum_i (a_i w_ij)- + b_j

    iNNvestigate's `AlphaBetaRule` (2.1.2, relevance_rule.py): each part is a sum of two layers, one with b+ and one
    with b- (albermax/innvestigate#273).

    Parameters
    ----------
    alpha, beta : float, default 2 and 1
        The coefficients of the positive and the negative part.
    stabilizer : float, default 0.0
        Added to each denominator with its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -1.0]], [-3.0]).relevance(np.array([[1.0, 1.0]]), np.array([[1.0]]), BiasInBothParts(2, 1))
    array([[-1.  , -0.25]])
    """

    name: ClassVar[str] = "bias-in-both-parts"

    alpha: float = 2
    beta: float = 1
    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """The positive products with alpha and the negative ones with -beta, b in both."""
        return (
            Ratio((Term(positive, positive, identity), Term(negative, negative)), self.alpha),
            Ratio((Term(positive, negative, identity), Term(negative, positive)), -self.beta),
        )


@dataclass(frozen=True)
class MixedParts(Rule):
    """The positive and the negative part with coefficients alpha and 1 - alpha, both positive for 0 < alpha < 1.

        R_i = sum_j  (alpha (a_i w_ij)+ / z_j+  +  (1 - alpha) (a_i w_ij)- / z_j-)  R_j

    innsight's "alpha_beta" (0.3.2), whose default alpha is 0.5. With alpha = 2 it is Bach et al. 2015, eq. 60.

    Parameters
    ----------
    alpha : float, default 0.5
        The coefficient of the positive part.
    stabilizer : float, default 0.0
        Added to each denominator with its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -1.0]]).relevance(np.array([[1.0, 1.0]]), np.array([[1.0]]), MixedParts())
    array([[0.5, 0.5]])
    """

    name: ClassVar[str] = "mixed-parts"

    alpha: float = 0.5
    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """The ratios of AlphaBeta with the coefficients alpha and 1 - alpha."""
        up, down = AlphaBeta().ratios()
        return (replace(up, coefficient=self.alpha), replace(down, coefficient=1 - self.alpha))


@dataclass(frozen=True)
class GammaBiasAsItIs(Rule):
    """LRP-gamma with b_j in the denominator where lrpref and zennit have b_j + gamma b_j+.

    captum's `GammaRule` (0.9.0), which modifies weights only; captum has the plain form.

    Parameters
    ----------
    gamma : float, default 0.25
        The additional weight of positive contributions.
    generalised : bool, default False
        Whether the sign of z decides which contributions gain weight, as in `Gamma`.
    stabilizer : float, default 0.0
        Added to the denominator with its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -0.5]], [0.5]).relevance(np.array([[1.0, 1.0]]), np.array([[1.0]]), GammaBiasAsItIs(1.0))
    array([[ 1.  , -0.25]])
    """

    name: ClassVar[str] = "gamma-bias-as-it-is"

    gamma: float = 0.25
    generalised: bool = False
    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """The ratios of Gamma, with b instead of b + gamma b+."""
        ratios = Gamma(self.gamma, self.generalised).ratios()
        return tuple(replace(ratio, terms=tuple(_plain_bias(term) for term in ratio.terms)) for ratio in ratios)

    def shares(self, *what: Any) -> list[Array]:
        """The shares of Gamma."""
        return Gamma(self.gamma, self.generalised).shares(*what)


def _plain_bias(term: Term) -> Term:
    """The term with an unmodified bias, if it has a bias."""
    return term if term.b is None else replace(term, b=identity)


@dataclass(frozen=True)
class GammaTwice(Rule):
    """LRP-gamma with squared positive weights: w + gamma w w+, and the same for the bias.

    TorchLRP's `gamma_fn` (fhvilshoj/TorchLRP at 74253a1, lrp/functional/utils.py).

    Parameters
    ----------
    gamma : float, default 0.25
        The coefficient of the squared positive weights.
    stabilizer : float, default 0.0
        Added to the denominator with its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[2.0, -1.0]]).relevance(np.array([[1.0, 1.0]]), np.array([[1.4]]), GammaTwice(0.1))
    array([[ 2.4, -1. ]])
    """

    name: ClassVar[str] = "gamma-twice"

    gamma: float = 0.25
    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: a (w + gamma w w+) + b + gamma b b+."""
        return (Ratio((Term(w=self._more, b=self._more),)),)

    def _more(self, x: Array) -> Array:
        """x + gamma x x+."""
        return x + constant(self.gamma, like=x) * x * positive(x)


@dataclass(frozen=True)
class WSquareWithBias(Rule):
    """The w-square rule with the squared bias in the denominator, so that the bias receives relevance.

        R_i = sum_j  w_ij^2 / (sum_i w_ij^2 + b_j^2)  R_j

    zennit's `WSquare` (6204e31) without zero_params=["bias"].

    Parameters
    ----------
    stabilizer : float, default 0.0
        Added to the denominator.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, 2.0]], [3.0]).relevance(np.array([[5.0, 5.0]]), np.array([[14.0]]), WSquareWithBias())
    array([[1., 4.]])
    """

    name: ClassVar[str] = "w-square-with-bias"

    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: 1 for a, w squared for w, b squared for b."""
        return (Ratio((Term(one, square, square),)),)


@dataclass(frozen=True)
class FlatWithBias(Rule):
    """The flat rule with the bias as an additional input.

        R_i = sum_j  1 / (number of inputs of j + 1)  R_j

    zennit before chr5tphr/zennit PR #102.

    Parameters
    ----------
    stabilizer : float, default 0.0
        Added to the denominator.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, 2.0]], [3.0]).relevance(np.array([[5.0, 5.0]]), np.array([[3.0]]), FlatWithBias())
    array([[1., 1.]])
    """

    name: ClassVar[str] = "flat-with-bias"

    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: 1 for a, w and b."""
        return (Ratio((Term(one, one, one),)),)


@dataclass(frozen=True)
class FlatWithPadding(Rule):
    """The flat rule with the same n for every output unit: cells of a convolution's padding count as inputs.

        R_i = sum_j  1 / n  R_j          n = kernel positions times channels

    The gradient of a convolution with all weights 1 / n (see chr5tphr/zennit#154 on padding). The share of the padding
    is lost to the input, and recorded as *bias*: padding is a constant.

    Parameters
    ----------
    stabilizer : float, default 0.0
        Added to the number of inputs that are not padding.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Conv2D
    >>> layer = Conv2D([[[[1.0, 1.0, 1.0]]]], padding=(0, 1))
    >>> layer.relevance(np.ones((1, 1, 1, 2)), np.array([[[[3.0, 3.0]]]]), FlatWithPadding())
    array([[[[2., 2.]]]])
    """

    name: ClassVar[str] = "flat-with-padding"

    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """The ratio of Flat."""
        return Flat().ratios()

    def shares(self, layer: Any, inputs: tuple[Array, ...], R: Array, ratios: Any, zs: Any) -> list[Array]:
        """R times the fraction of the n inputs that is not padding."""
        return [R * zs[0] / layer.fan_in(*(tuple(a.shape) for a in inputs))]

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """The engine's flow, with the share of the padding recorded as *bias*."""
        found = super().flow(layer, inputs, R)
        (ratio,) = self.ratios()
        z, _, _ = ratio.sums(layer, inputs, *layer.parameters(*inputs))
        n = layer.fan_in(*(tuple(a.shape) for a in inputs))
        return replace(found, losses={**found.losses, "bias": sum_per_sample(R * (n - z) / n)})


@dataclass(frozen=True)
class ToEvery(Rule):
    """All of R to every input, so that relevance doubles at a skip connection.

    The gradient of a plain `+`: the result of zennit's hooks where `forward` adds with an operator instead of a module
    (zennit 6204e31 and 1.0.0).

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Add
    >>> a = np.array([[1.0]])
    >>> Add().relevance((a, a), np.array([[3.0]]), ToEvery())
    (array([[3.]]), array([[3.]]))
    """

    name: ClassVar[str] = "to-every"

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """R for each input."""
        return Flow(tuple(R for _ in inputs), {"factor": (1 - len(inputs)) * sum_per_sample(R)})


@dataclass(frozen=True)
class OneBranch(Rule):
    """All of R to one branch of a join, and nothing to the others.

    The program of Otsuki et al. 2024 (keio-smilab24/LRP-for-ResNet cadd126, src/lrp_layers.py) does so by default at a
    skip connection without a projection.

    Parameters
    ----------
    branch : int, default 0
        The index of the branch.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Add
    >>> a = np.array([[1.0]])
    >>> Add().relevance((a, a), np.array([[3.0]]), OneBranch(1))
    (array([[0.]]), array([[3.]]))
    """

    name: ClassVar[str] = "one-branch"

    branch: int = 0

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """R for the branch, zeros for the others."""
        return Flow(tuple(R if k == self.branch else zeros_like(a) for k, a in enumerate(inputs)))


@dataclass(frozen=True)
class Gradient(Rule):
    """The transposed layer without any division: R_i = sum_j w_ij R_j.

    The treatment of a BatchNorm without a rule in libraries that hook the gradient (zennit until mid-2022).

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Scale
    >>> Scale([2.0]).relevance(np.array([[1.0]]), np.array([[3.0]]), Gradient())
    array([[6.]])
    """

    name: ClassVar[str] = "gradient"

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """W^T R; output unit j multiplies its relevance by sum_i w_ij."""
        w, _ = layer.parameters(*inputs)
        c = as_tuple(layer.adjoint(w, R, *(tuple(a.shape) for a in inputs)))
        sums = layer.linear(w, *map(one, inputs))
        return Flow(c, {"factor": sum_per_sample(R * (1 - sums))})


@dataclass(frozen=True)
class Unsigned(Rule):
    """Another rule with the stabilizer added whatever the sign of z: z + epsilon has a pole at z = -epsilon.

    LXT (lxt/explicit/functional.py at f043441); the tutorial of heatmapping.org increments in the same way.

    Parameters
    ----------
    inner : Rule
        The rule whose ratios, shares and stabilizer are used.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense, rules
    >>> Dense([[-2.0]]).relevance(np.array([[1.0]]), np.array([[1.0]]), Unsigned(rules.Epsilon(1.0)))
    array([[2.]])
    """

    name: ClassVar[str] = "unsigned"

    inner: Rule

    def ratios(self) -> tuple[Ratio, ...]:
        """The ratios of the inner rule."""
        return self.inner.ratios()

    def shares(self, *what: Any) -> list[Array]:
        """The shares of the inner rule."""
        return self.inner.shares(*what)

    def stabilize(self, z: Array) -> Array:
        """z + epsilon."""
        return z + abs(self.inner.stabilize(z) - z)


@dataclass(frozen=True)
class GammaZeroLost(Rule):
    """LRP-gamma that redistributes nothing where z_j is exactly 0, and as `Gamma` elsewhere.

    zennit's `Gamma` (1.0.0, rules.py), which has a branch for z > 0 and one for z < 0. The relevance is recorded as
    *dropped*.

    Parameters
    ----------
    gamma : float, default 0.25
        The additional weight of positive contributions.
    generalised : bool, default False
        As in `Gamma`.
    stabilizer : float, default 0.0
        Added to the denominator with its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -1.0], [1.0, 0.0]]).relevance(np.array([[1.0, 1.0]]), np.array([[1.0, 1.0]]), GammaZeroLost())
    array([[1., 0.]])
    """

    name: ClassVar[str] = "gamma-zero-lost"

    gamma: float = 0.25
    generalised: bool = False
    stabilizer: float = 0.0

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """The flow of Gamma for the relevance of units with z != 0."""
        kept = array_namespace(R).where(layer.forward(*inputs) == 0, zeros_like(R), R)
        found = Gamma(self.gamma, self.generalised, self.stabilizer).flow(layer, inputs, kept)
        lost = sum_per_sample(R - kept)
        return replace(found, losses={**found.losses, "dropped": found.losses["dropped"] + lost})


@dataclass(frozen=True)
class GammaZeroNegative(Rule):
    """LRP-gamma that favours negative contributions where z_j is exactly 0, and as `Gamma` elsewhere.

        z_j = 0:  R_i = sum_j  ((a_i w_ij + gamma (a_i w_ij)-) / gamma z_j-)  R_j

    DynamicLRP's `gamma_lrp_general` (0535f39, src/lrp_engine/util.py), which has a branch for z > 0 and one for all
    other z.

    Parameters
    ----------
    gamma : float, default 0.25
        The additional weight of the contributions that are favoured.
    generalised : bool, default False
        As in `Gamma`.
    stabilizer : float, default 0.0
        Added to the denominator with its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -1.0]]).relevance(np.array([[1.0, 1.0]]), np.array([[1.0]]), GammaZeroNegative())
    array([[-4.,  5.]])
    """

    name: ClassVar[str] = "gamma-zero-negative"

    gamma: float = 0.25
    generalised: bool = False
    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """Those of Gamma, with the one that favours negative contributions last."""
        usual, below = Gamma(self.gamma, self.generalised).ratios()[0], Gamma(self.gamma, generalised=True).ratios()[1]
        return (usual, below)

    def shares(
        self, layer: Any, inputs: tuple[Array, ...], R: Array, ratios: Sequence[Ratio], zs: Sequence[Array]
    ) -> list[Array]:
        """The sign of z_j selects the ratio; 0 is among the negative."""
        z, where = layer.forward(*inputs), array_namespace(R).where
        usual = z > 0 if self.generalised else z != 0
        return [where(usual, R, zeros_like(R)), where(usual, zeros_like(R), R)]


@dataclass(frozen=True)
class FlatWithWeights(Rule):
    """The flat rule with the weights of the layer: R_i = sum_j  w_ij / sum_i w_ij  R_j.

    zennit's `Flat` (1.0.0) at a module without parameters, such as an interpolation: there are none to set to 1.

    Parameters
    ----------
    stabilizer : float, default 0.0
        Added to the denominator with its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, 3.0]]).relevance(np.array([[5.0, 7.0]]), np.array([[4.0]]), FlatWithWeights())
    array([[1., 3.]])
    """

    name: ClassVar[str] = "flat-with-weights"

    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: 1 for a, w for w."""
        return (Ratio((Term(a=one),)),)


@dataclass(frozen=True)
class EpsilonOfSum(Rule):
    """Epsilon for a mean of n numbers, added to their sum: R_i = a_i / (z_j + epsilon sign(z_j)) R_j, z_j = sum_i a_i.

    LXT's `mean` (2.1, lxt/explicit/functional.py).

    Parameters
    ----------
    epsilon : float, default 1e-06
        Added to the sum; that adds epsilon / n to the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Mean
    >>> Mean(1).relevance(np.array([[1.0, 2.0]]), np.array([4.0]), EpsilonOfSum(1.0))
    array([[1., 2.]])
    """

    name: ClassVar[str] = "epsilon-of-sum"

    epsilon: float = 1e-6

    def ratios(self) -> tuple[Ratio, ...]:
        """The ratio of Epsilon."""
        return Epsilon().ratios()

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """The flow of epsilon / n."""
        return Epsilon(self.epsilon / layer.fan_in(*(tuple(a.shape) for a in inputs))).flow(layer, inputs, R)


@dataclass(frozen=True)
class MeanSubtracted(Rule):
    """Another rule at a BatchNorm, whose maps are applied to g and beta, while the mean is subtracted as usual.

        z_j = sum over the terms of  w'(g_j) (a'(a_j) - mu_j) / s_j + b'(beta_j)

    zennit (1.0.0): a rule modifies the parameters of a module, and mu and s are not among them.

    Parameters
    ----------
    inner : Rule
        The rule whose terms and shares are used.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import BatchNorm, rules
    >>> norm = BatchNorm([2.0], [1.0], [3.0], [1.0], eps=0.0)
    >>> norm.relevance(np.array([[4.0]]), np.array([[3.0]]), MeanSubtracted(rules.Zero()))  # z = 2 (4 - 3) + 1
    array([[8.]])
    """

    name: ClassVar[str] = "mean-subtracted"

    inner: Rule

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """The four steps for a diagonal layer, with the weight w' / s and the bias b' - w' mu / s of each term."""
        (a,) = inputs
        ratios = self.inner.ratios()
        terms = [[self._mapped(layer, term, a) for term in ratio.terms] for ratio in ratios]
        zs = [sum((x + b for x, b in each), start=zeros_like(a)) for each in terms]
        losses: dict[str, Any] = dict.fromkeys(("bias", "stabilizer", "dropped"), 0)
        R_in = zeros_like(a)
        for each, z, share in zip(terms, zs, self.inner.shares(layer, inputs, R, ratios, zs), strict=True):
            denominator = self.inner.stabilize(z)
            s = divide(share, denominator)
            for x, b in each:
                R_in = R_in + x * s
                losses["bias"] += sum_per_sample(b * s)
            losses["stabilizer"] += sum_per_sample(s * (denominator - z))
            losses["dropped"] += sum_per_sample(array_namespace(z).where(denominator == 0, share, zeros_like(share)))
        return Flow((R_in,), losses)

    def _mapped(self, layer: Any, term: Term, a: Array) -> tuple[Array, Array]:
        """a' w' / s and b' - w' mu / s of a term."""
        g = full(layer.mean.shape, 1, like=layer.mean) if layer.weight is None else layer.weight
        beta = zeros_like(layer.mean) if layer.bias is None else layer.bias
        w, shift = replace(layer, weight=term.of_weight(g), bias=None).scale_and_shift()
        b = shift if term.b is None else shift + term.b(beta)
        along = (1, -1, *(1,) * (a.ndim - 2))
        w, b = (array_namespace(a).reshape(v, along) for v in (w, b))
        return term.of_input(a) * w, zeros_like(a) + b


@dataclass(frozen=True)
class WholeGradient(Rule):
    """Epsilon at a norm by the sample's own statistics, with the gradient of the deviation included.

        R_i = a_i sum_j  dz_j / da_i  R_j / (z_j + epsilon sign(z_j))

    zennit (1.0.0) and captum (0.9.0), whose rules differentiate the module; lrpref holds the deviation constant. With
    u_j = g_j R_j / (z_j + epsilon sign(z_j)), x_j = (a_j - mu) / s and means over the group, the sum over j is
    (u_i - mean(u) - x_i mean(u x)) / s. The norms that subtract no mean lack the second term.

    Parameters
    ----------
    epsilon : float, default 1e-06
        Added to the denominator with its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import LayerNorm
    >>> norm = LayerNorm(2, eps=0.0)  # two numbers always become -1 and 1, so their derivative is 0
    >>> norm.relevance(np.array([[1.0, 3.0]]), np.array([[1.0, 2.0]]), WholeGradient())
    array([[0., 0.]])
    """

    name: ClassVar[str] = "whole-gradient"

    epsilon: float = 1e-6

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """a times the gradient."""
        (a,) = inputs
        changed: dict[str, Any] = {"weight": None, "bias": None, "mean": "linear"}
        unit = replace(layer, **{f.name: changed[f.name] for f in fields(layer) if f.name in changed})
        u = divide(R, stabilize(layer.forward(a), self.epsilon))
        u = u if layer.weight is None else u * layer.aligned(layer.weight, a.shape)
        w, _ = unit.parameters(a)
        per_s = w if w.ndim == 3 else w[0, ...] - w[1, ...]  # 1 / s of each group
        groups, x = (a.shape[0], *unit.groups(tuple(a.shape))), unit.forward(a)
        xp = array_namespace(a)
        mean = xp.sum(xp.reshape(u * x, groups), axis=2, keepdims=True) / groups[2]
        c = unit.adjoint(w, u, tuple(a.shape)) - xp.reshape(xp.reshape(x, groups) * mean * per_s, a.shape)
        return Flow((a * c,), {"factor": sum_per_sample(R - a * c)})


@dataclass(frozen=True)
class NegativeAtZero(Rule):
    """Another rule with sign(0) = -1, where the others have sign(0) = +1.

    TorchLRP (fhvilshoj/TorchLRP at 74253a1, lrp/functional/utils.py).

    Parameters
    ----------
    inner : Rule
        The rule whose ratios, shares and stabilizer are used.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense, rules
    >>> Dense([[1.0, -1.0]]).relevance(np.array([[1.0, 1.0]]), np.array([[1.0]]), NegativeAtZero(rules.Epsilon(0.5)))
    array([[-2.,  2.]])
    """

    name: ClassVar[str] = "negative-at-zero"

    inner: Rule

    def ratios(self) -> tuple[Ratio, ...]:
        """The ratios of the inner rule."""
        return self.inner.ratios()

    def shares(self, *what: Any) -> list[Array]:
        """The shares of the inner rule."""
        return self.inner.shares(*what)

    def stabilize(self, z: Array) -> Array:
        """The inner rule's denominator, with the other sign where z is zero."""
        denominator = self.inner.stabilize(z)
        return array_namespace(z).where(z == 0, -denominator, denominator)


@dataclass(frozen=True, eq=False)
class WithInputs(Rule):
    """Another rule with inputs of its own in place of those of the layer.

    zennit (1.0.0), for a module that is called several times: its hook stores the input of the last call only.

    Parameters
    ----------
    inner : Rule
        The rule that is applied.
    inputs : tuple of array
        The inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense, rules
    >>> rule = WithInputs(rules.Zero(), (np.array([[3.0, 1.0]]),))
    >>> Dense([[1.0, 1.0]]).relevance(np.array([[1.0, 1.0]]), np.array([[4.0]]), rule)
    array([[3., 1.]])
    """

    name: ClassVar[str] = "with-inputs"

    inner: Rule
    inputs: tuple[Array, ...]

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """The flow of the inner rule on these inputs."""
        return self.inner.flow(layer, self.inputs, R)


@dataclass(frozen=True)
class Biasless(Rule):
    """Another rule without the bias in its denominators, although the forward pass includes it.

    VigneshSrinivasan10/interprettensor#2; zennit with zero_params="bias".

    Parameters
    ----------
    inner : Rule
        The rule that is applied.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense, rules
    >>> Dense([[1.0, 1.0]], [2.0]).relevance(np.array([[1.0, 1.0]]), np.array([[4.0]]), Biasless(rules.Zero()))
    array([[2., 2.]])
    """

    name: ClassVar[str] = "biasless"

    inner: Rule

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """The flow of the inner rule on the layer without its bias."""
        return self.inner.flow(_WithoutBias(layer), inputs, R)


@dataclass(frozen=True)
class BiasByMagnitude(Rule):
    """Another rule without bias, for the share of R that the linear part has by magnitude; the bias keeps the rest.

        R'_j = |z_j| / (|z_j| + |b_j| + epsilon) R_j        z_j = sum_i a_i w_ij

    autoLRP's `apply_bias_split` (0.2.0, backward/lrp_utils.py), under all of its rules for layers with weights; epsilon
    is the stabilizer of the rule. DynamicLRP (0535f39) does the same: to it, a bias is an operand of an addition.

    Parameters
    ----------
    inner : Rule
        The rule that redistributes R'.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense, rules
    >>> Dense([[1.0, 2.0]], [-1.0]).relevance(np.array([[1.0, 1.0]]), np.array([[4.0]]), BiasByMagnitude(rules.Zero()))
    array([[1., 2.]])
    """

    name: ClassVar[str] = "bias-by-magnitude"

    inner: Rule

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """The flow of R'; the bias keeps its share, and the stabilizer its own."""
        w, b = layer.parameters(*inputs)
        if b is None:
            return self.inner.flow(layer, inputs, R)
        z = abs(layer.linear(w, *inputs))
        both = z + abs(b)
        stabilized = self.inner.stabilize(both)
        s = divide(R, stabilized)
        flow = self.inner.flow(_WithoutBias(layer), inputs, z * s)
        kept = {
            "bias": abs(b) * s,
            "stabilizer": (stabilized - both) * s,
            "dropped": array_namespace(R).where(stabilized == 0, R, zeros_like(R)),
        }
        sums = {column: sum_per_sample(part) for column, part in kept.items()}
        return Flow(flow.inputs, {column: sums[column] + flow.losses.get(column, 0) for column in kept})


@dataclass(frozen=True)
class WeightsShare(Rule):
    """Another rule for half of the relevance; the other half belongs to the weights, as factors of the product.

    DynamicLRP (0535f39) with `use_attn_lrp` or `use_bilinear_mm`: it applies AttnLRP's rule for a product of two
    activations to every product of matrices, and the weights of a linear layer are one of the two matrices.

    Parameters
    ----------
    inner : Rule
        The rule that redistributes the half of the inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense, rules
    >>> Dense([[1.0, 3.0]]).relevance(np.array([[1.0, 1.0]]), np.array([[8.0]]), WeightsShare(rules.Zero()))
    array([[1., 3.]])
    """

    name: ClassVar[str] = "weights-share"

    inner: Rule

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """The flow of R / 2; the rest is recorded as *factor*."""
        half = R / 2
        found = self.inner.flow(layer, inputs, half)
        return replace(found, losses={**found.losses, "factor": found.losses.get("factor", 0) + sum_per_sample(half)})


class _WithoutBias:
    """A linear layer without its bias, as rules see it."""

    def __init__(self, layer: LinearLayer) -> None:
        self._layer = layer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)

    def parameters(self, *inputs: Array) -> tuple[Array, None]:
        """(w, None)."""
        return self._layer.parameters(*inputs)[0], None

    def forward(self, *inputs: Array) -> Array:
        """W a."""
        return self._layer.linear(self.parameters(*inputs)[0], *inputs)


@dataclass(frozen=True, eq=False)
class AveragedMaxPool(AvgPool2D):
    """A max-pool that redistributes relevance as an average pool of the same inputs does.

    The tutorial of heatmapping.org (git.tu-berlin.de/gmontavon/lrp-tutorial) replaces max-pools by average pools in the
    backward pass.
    """

    def forward(self, *inputs: Array) -> Array:
        """The largest value of each window."""
        return MaxPool2D(self.kernel_size, self.stride, self.padding).forward(*inputs)


@dataclass(frozen=True, eq=False)
class GatedReLU(ReLU):
    """A ReLU that withholds relevance where it is off, which matters for rules that ignore the input.

    The gradient of a ReLU: the treatment in zennit (6204e31) and captum (0.9.0) of an activation that is called as a
    function instead of a module, and so escapes their hooks.

    Examples
    --------
    >>> import numpy as np
    >>> GatedReLU().relevance(np.array([[1.0, -1.0]]), np.array([[3.0, 3.0]]), rule=Flat())
    array([[3., 0.]])
    """

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """R where x > 0."""
        where, zero = array_namespace(R).where, zeros_like(R)
        on, off = where(inputs[0] > 0, R, zero), where(inputs[0] > 0, zero, R)
        return Flow((on,), {"factor": sum_per_sample(off)})


@dataclass(frozen=True, eq=False)
class MultiplyByMagnitude(Multiply):
    """A product whose factors share relevance by their magnitudes: R_a = |a| / (|a| + |b|) R.

    autoLRP (0.2.0) and DynamicLRP (0535f39, `MulBackwardProp`), whatever the layer's `split`. Where both factors are 0,
    nothing is passed on.

    Examples
    --------
    >>> import numpy as np
    >>> MultiplyByMagnitude().relevance((np.array([[1.0]]), np.array([[-3.0]])), np.array([[8.0]]), None)
    (array([[2.]]), array([[6.]]))
    """

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """The shares of the two factors."""
        both = abs(inputs[0]) + abs(inputs[1])
        s = divide(R, both)
        shares = tuple(summed(abs(a) * s, tuple(a.shape)) for a in inputs)
        return Flow(shares, {"dropped": sum_per_sample(array_namespace(R).where(both == 0, R, zeros_like(R)))})


def scalar_fold(net: Network) -> Network:
    """Fold every BatchNorm into a neighbour, and one *before* a layer as if it had a single channel.

        W' = diag(w) W          b' = b_linear + diag(b) W 1

    where W' = W diag(w), b' = b_linear + W b is right (see `lrpref.fusion`). The two agree if BatchNorm has one
    channel, or the same numbers in all of them. A program that cites Guillemot et al. 2020 folds like this
    (`BNParametrizer`, a wrapper of captum's LRP; its repository is not known to us). Its shift also falls on the zeros
    of the padding. It folds a BatchNorm *after* a convolution correctly, and so does this function.

    A BatchNorm with another number of channels than the layer behind it has outputs is folded correctly: there the
    program stops with an error. A network without a BatchNorm before a layer is returned as it is: there the fold is
    that of `lrpref.fuse`.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import BatchNorm, Dense, fuse
    >>> norm = BatchNorm(np.array([1.0, 10.0]), None, np.zeros(2), np.ones(2), eps=0.0)
    >>> net = Network.sequential(norm, Dense([[1.0, 2.0], [3.0, 4.0]]))
    >>> fuse(net)["dense1"].weight.tolist(), scalar_fold(net)["dense1"].weight.tolist()
    ([[1.0, 20.0], [3.0, 40.0]], [[1.0, 2.0], [30.0, 40.0]])
    """
    given = net
    for name, layer, inputs in given.nodes:
        readers = net.readers(name)
        behind: Any = net[readers[0]] if len(readers) == 1 else None
        before = net[inputs[0]] if inputs[0] in net.names else None
        if type(layer) is not BatchNorm or type(behind) not in (Dense, Conv2D) or type(before) in (Dense, Conv2D):
            continue
        w, shift = layer.scale_and_shift()
        if behind.weight.shape[0] == len(w):
            net = net.replace(readers[0], _scaled_by_output(behind, w, shift)).remove(name)
    return net if net is given else fuse(net)


def _scaled_by_output(layer: Any, w: Array, shift: Array | None) -> Any:
    """The layer with diag(w) W and the bias b + diag(shift) W 1."""
    xp = array_namespace(layer.weight)
    along = xp.reshape(w, (-1, *(1,) * (layer.weight.ndim - 1)))
    bias = zeros_like(w) if layer.bias is None else layer.bias
    if shift is not None:
        bias = bias + shift * xp.sum(layer.weight, axis=tuple(range(1, layer.weight.ndim)))
    return replace(layer, weight=layer.weight * along, bias=bias)
