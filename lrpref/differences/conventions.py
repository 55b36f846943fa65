"""Other people's conventions, as rules: what other implementations compute where lrpref has no mode of that kind.

Each rule says whose it is; some are known mistakes. They are here to be recognised (`choices` tries them when two
heatmaps differ), not to be used: `explain` knows none of them by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..arithmetic import constant, zeros_like
from ..backend import Array, array_namespace
from ..engine import Ratio, Rule, Term, identity, negative, one, positive, square
from ..layers import AvgPool2D, LinearLayer, MaxPool2D, ReLU
from ..layers.base import SupportsFlow
from ..ledger import Flow
from ..rules import AlphaBeta, Flat, Gamma


@dataclass(frozen=True)
class WeightsClamped(Rule):
    """Alpha-beta with alpha = 1, beta = 0, made by clamping the weights alone; right only where a >= 0 and b >= 0.

        R_i = sum_j  a_i w_ij+ / (sum_i a_i w_ij+ + b_j)  R_j

    captum's `Alpha1_Beta0_Rule` (0.9.0, captum/attr/_utils/lrp_rules.py; meta-pytorch/captum#1234). With the bias
    clamped too it is the mistake of frankaging/BERT-LRP#4.

    clamp_bias  whether b_j+ stands for b_j

    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -2.0, 2.0]]).relevance(np.array([[1.0, -1.0, -1.0]]), np.array([[1.0]]), WeightsClamped())
    array([[-1.,  0.,  2.]])
    """

    name: ClassVar[str] = "weights-clamped"

    clamp_bias: bool = False
    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: a w+ + b."""
        return (Ratio((Term(w=positive, b=positive if self.clamp_bias else identity),)),)


@dataclass(frozen=True)
class PoolsApart(Rule):
    """Alpha-beta with alpha = 1, beta = 0, where a+ w+ and a- w- each share out all of R_j: it may double.

        R_i = sum_j  (a_i+ w_ij+ / sum_i a_i+ w_ij+  +  a_i- w_ij- / sum_i a_i- w_ij-)  R_j

    hila-chefer/Transformer-Explainability, `Conv2d.relprop` (modules/layers_ours.py, and #55 there). No bias.

    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -1.0]]).relevance(np.array([[1.0, -1.0]]), np.array([[1.0]]), PoolsApart())
    array([[1., 1.]])
    """

    name: ClassVar[str] = "pools-apart"

    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """Two ratios, each for all of R."""
        return (Ratio((Term(positive, positive),)), Ratio((Term(negative, negative),)))

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """The engine's; what is shared out twice is in no book."""
        return replace(super().flow(layer, inputs, R), attributed=False)


@dataclass(frozen=True)
class BiasInEveryPool(Rule):
    """Alpha-beta whose ratios both hold the whole bias, whatever its sign.

        z_j+ = sum_i (a_i w_ij)+ + b_j          z_j- = sum_i (a_i w_ij)- + b_j

    iNNvestigate's `AlphaBetaRule` (2.1.2, relevance_rule.py): each ratio is a sum of two layers, one with b+ and one
    with b- (albermax/innvestigate#273).

    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -1.0]], [-3.0]).relevance(np.array([[1.0, 1.0]]), np.array([[1.0]]), BiasInEveryPool(2, 1))
    array([[-1.  , -0.25]])
    """

    name: ClassVar[str] = "bias-in-every-pool"

    alpha: float = 2
    beta: float = 1
    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """The positive products under alpha, the negative ones under -beta, b in both."""
        return (
            Ratio((Term(positive, positive, identity), Term(negative, negative)), self.alpha),
            Ratio((Term(positive, negative, identity), Term(negative, positive)), -self.beta),
        )


@dataclass(frozen=True)
class MixedPools(Rule):
    """Both ratios with a positive coefficient: alpha for the positive products, 1 - alpha for the negative ones.

        R_i = sum_j  (alpha (a_i w_ij)+ / z_j+  +  (1 - alpha) (a_i w_ij)- / z_j-)  R_j

    innsight's "alpha_beta" (0.3.2), whose default alpha is 0.5. With alpha = 2 it is Bach et al. 2015, eq. 60.

    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -1.0]]).relevance(np.array([[1.0, 1.0]]), np.array([[1.0]]), MixedPools())
    array([[0.5, 0.5]])
    """

    name: ClassVar[str] = "mixed-pools"

    alpha: float = 0.5
    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """The ratios of AlphaBeta under alpha and 1 - alpha."""
        up, down = AlphaBeta().ratios()
        return (replace(up, coefficient=self.alpha), replace(down, coefficient=1 - self.alpha))


@dataclass(frozen=True)
class GammaBiasAsItIs(Rule):
    """LRP-gamma with b_j in the denominator where lrpref and zennit have b_j + gamma b_j+.

    captum's `GammaRule` (0.9.0), which changes weights only; its form is the plain one.

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
        """Gamma's ratios, b for b + gamma b+."""
        ratios = Gamma(self.gamma, self.generalised).ratios()
        return tuple(replace(ratio, terms=tuple(_plain_bias(term) for term in ratio.terms)) for ratio in ratios)

    def shares(self, *what: Any) -> list[Array]:
        """As Gamma."""
        return Gamma(self.gamma, self.generalised).shares(*what)


def _plain_bias(term: Term) -> Term:
    """The term with b as it is, if it has one."""
    return term if term.b is None else replace(term, b=identity)


@dataclass(frozen=True)
class GammaTwice(Rule):
    """LRP-gamma whose weights are multiplied by themselves once more: w + gamma w w+, and the bias alike.

    TorchLRP's `gamma_fn` (fhvilshoj/TorchLRP at 74253a1, lrp/functional/utils.py).

    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[2.0, -1.0]]).relevance(np.array([[1.0, 1.0]]), np.array([[1.4]]), GammaTwice(0.1))
    array([[ 2.4, -1. ]])
    """

    name: ClassVar[str] = "gamma-twice"

    gamma: float = 0.25
    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio."""
        return (Ratio((Term(w=self._more, b=self._more),)),)

    def _more(self, x: Array) -> Array:
        """x + gamma x x+."""
        return x + constant(self.gamma, like=x) * x * positive(x)


@dataclass(frozen=True)
class WSquareWithBias(Rule):
    """The w-square rule with the squared bias in the denominator, where it takes its share.

        R_i = sum_j  w_ij^2 / (sum_i w_ij^2 + b_j^2)  R_j

    zennit's `WSquare` (6204e31) unless told zero_params=["bias"].

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
    """The flat rule with the bias as one more input.

        R_i = sum_j  1 / (number of inputs of j + 1)  R_j

    zennit before chr5tphr/zennit PR #102.

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
    """The flat rule with n the same for every unit, cells of the convolution's padding included: they take a share.

        R_i = sum_j  1 / n  R_j          n = taps times channels

    What the gradient of a convolution with the weights 1 / n gives (see chr5tphr/zennit#154 on padding).

    >>> import numpy as np
    >>> from lrpref import Conv2D
    >>> layer = Conv2D([[[[1.0, 1.0, 1.0]]]], padding=(0, 1))
    >>> layer.relevance(np.ones((1, 1, 1, 2)), np.array([[[[3.0, 3.0]]]]), FlatWithPadding())
    array([[[[2., 2.]]]])
    """

    name: ClassVar[str] = "flat-with-padding"

    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        """Flat's."""
        return Flat().ratios()

    def shares(self, layer: Any, inputs: tuple[Array, ...], R: Array, ratios: Any, zs: Any) -> list[Array]:
        """R times the fraction of n that is no padding."""
        return [R * zs[0] / layer.fan_in(*(tuple(a.shape) for a in inputs))]

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """The engine's; what fell on the padding is in no book."""
        return replace(super().flow(layer, inputs, R), attributed=False)


@dataclass(frozen=True)
class ToEvery(Rule):
    """All of R to every input, so that relevance doubles at a skip connection.

    The gradient of a plain `+`: what zennit's hooks give where `forward` adds with an operator and not with a
    module (zennit 6204e31 and 1.0.0).

    >>> import numpy as np
    >>> from lrpref import Add
    >>> a = np.array([[1.0]])
    >>> Add().relevance((a, a), np.array([[3.0]]), ToEvery())
    (array([[3.]]), array([[3.]]))
    """

    name: ClassVar[str] = "to-every"

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """R, and R again."""
        return Flow(tuple(R for _ in inputs), attributed=False)


@dataclass(frozen=True)
class Gradient(Rule):
    """The layer's transpose, and no more: R_i = sum_j w_ij R_j.

    What a BatchNorm without a rule gives in libraries that hook the gradient (zennit until mid-2022).

    >>> import numpy as np
    >>> from lrpref import Scale
    >>> Scale([2.0]).relevance(np.array([[1.0]]), np.array([[3.0]]), Gradient())
    array([[6.]])
    """

    name: ClassVar[str] = "gradient"

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """W^T R."""
        w, _ = layer.parameters(*inputs)
        c = layer.adjoint(w, R, *(tuple(a.shape) for a in inputs))
        return Flow(c if isinstance(c, tuple) else (c,), attributed=False)


@dataclass(frozen=True)
class Unsigned(Rule):
    """Another rule with its stabilizer added whatever the sign of z: z + epsilon has a pole at z = -epsilon.

    LXT (lxt/explicit/functional.py at f043441); the tutorial of heatmapping.org increments alike.

    >>> import numpy as np
    >>> from lrpref import Dense, rules
    >>> Dense([[-2.0]]).relevance(np.array([[1.0]]), np.array([[1.0]]), Unsigned(rules.Epsilon(1.0)))
    array([[2.]])
    """

    name: ClassVar[str] = "unsigned"

    inner: Rule

    def ratios(self) -> tuple[Ratio, ...]:
        """The other rule's."""
        return self.inner.ratios()

    def shares(self, *what: Any) -> list[Array]:
        """The other rule's."""
        return self.inner.shares(*what)

    def stabilize(self, z: Array) -> Array:
        """z + epsilon."""
        return z + abs(self.inner.stabilize(z) - z)


@dataclass(frozen=True)
class Biasless(Rule):
    """Another rule that sees no bias: it is in no denominator, though the forward pass had it.

    VigneshSrinivasan10/interprettensor#2; zennit with zero_params="bias".

    >>> import numpy as np
    >>> from lrpref import Dense, rules
    >>> Dense([[1.0, 1.0]], [2.0]).relevance(np.array([[1.0, 1.0]]), np.array([[4.0]]), Biasless(rules.Zero()))
    array([[2., 2.]])
    """

    name: ClassVar[str] = "biasless"

    inner: Rule

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """The other rule's, on the layer without its bias."""
        return self.inner.flow(_WithoutBias(layer), inputs, R)


class _WithoutBias:
    """A linear layer as a rule sees it, but for its bias."""

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
    """A max-pool that takes relevance as an average pool would, from the same inputs.

    The tutorial of heatmapping.org (git.tu-berlin.de/gmontavon/lrp-tutorial) puts average pools in the place of
    max-pools on the way back.
    """

    def forward(self, *inputs: Array) -> Array:
        """The largest value of each window."""
        return MaxPool2D(self.kernel_size, self.stride, self.padding).forward(*inputs)


@dataclass(frozen=True, eq=False)
class GatedReLU(ReLU):
    """A ReLU that stops relevance where it is off, which makes a difference under rules that ignore the input.

    Its gradient: what zennit (6204e31) and captum (0.9.0) give an activation that is called as a function and not as a
    module, so that no hook sees it.

    >>> import numpy as np
    >>> GatedReLU().relevance(np.array([[1.0, -1.0]]), np.array([[3.0, 3.0]]), rule=Flat())
    array([[3., 0.]])
    """

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """R where x > 0."""
        return Flow((array_namespace(R).where(inputs[0] > 0, R, zeros_like(R)),), attributed=False)
