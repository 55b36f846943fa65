"""Folding batch normalisation away.

At inference, BatchNorm is the diagonal layer z = w a + b with w = g / s, b = beta - g mu / s, s = sqrt(var + eps). Next
to a fully connected or convolutional layer it can be folded into that layer's weights (Guillemot et al. 2020, arXiv
2002.11018, "fuse"; the formulas below are elementary).

The following layers are equivalent to a linear layer before BN, to BN before a linear layer, and to two BNs:

    W' = diag(w) W        b' = w b_linear + b
    W' = W diag(w)        b' = b_linear + W b
    w' = w_second w       b' = b_second + w_second b

W b is the linear layer, without its bias, of an input that holds b in every cell of its channels. For convolutions over
any number of axes, transposed ones included, this is a map: where the kernel meets zero padding, the shift b is
missing, because padding is zero *after* BatchNorm, and the cells that a transposed convolution computes are not reached
by the same number of taps. So the folded convolution keeps what each tap adds (`Conv.bias_taps`); nothing is divided by
w, and channels with g = 0 cause no problem.

A BatchNorm that has no linear neighbour becomes a `Scale`. On request, BN before ReLU becomes a ThreshReLU before BN,
and that BN may then be folded into what follows.

BN is folded only into layers whose type is exactly one of lrpref's own, because a subclass may compute something else.

`fuse` returns a new network and leaves the old one untouched; `fusion_plan` reports what it would do, and why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._support.tables import aligned
from .arithmetic import all_finite, check_flag, given_up, is_exact, ones_like, quiet, zeros_like
from .backend import Array, array_namespace
from .errors import FusionError
from .layers import (
    BatchNorm,
    Conv1D,
    Conv2D,
    Conv3D,
    ConvTranspose1D,
    ConvTranspose2D,
    ConvTranspose3D,
    Dense,
    DiagonalLayer,
    Dropout,
    Flatten,
    Layer,
    LinearLayer,
    ReLU,
    Scale,
    ThreshReLU,
)
from .layers.conv import Conv, Kernels
from .network import Network, check_network


@dataclass(frozen=True)
class Decision:
    """What happens to one BatchNorm or Scale: its node, its type, the action and the reason."""

    node: str
    layer: str
    action: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Every decision of a fusion, in the order of the network; prints as a table.

    Parameters
    ----------
    decisions : tuple of Decision
        One for every BatchNorm and Scale.
    """

    decisions: tuple[Decision, ...]

    @property
    def kept(self) -> tuple[Decision, ...]:
        """The decisions that folded nothing."""
        return tuple(d for d in self.decisions if not d.action.startswith("folded"))

    def __str__(self) -> str:
        if not self.decisions:
            return "nothing to fuse: the network has no BatchNorm and no Scale"
        rows = [("node", "layer", "action", "because")]
        rows += [(d.node, d.layer, d.action, d.reason) for d in self.decisions]
        return aligned(rows)


def fuse(net: Network, verify: Any = None, threshold_relu: bool = False) -> Network:
    """Fold every BatchNorm and Scale into a neighbouring layer where possible; the others become a `Scale`.

    Parameters
    ----------
    net : Network
        Left untouched.
    verify : array, shape (N, ...), or tuple or dict of arrays, optional
        A batch on which the two forward passes must agree before the result is returned: to 1e4 times the eps of the
        dtype, relative to the largest output; exactly in exact arithmetic.
    threshold_relu : bool, default False
        Turn BatchNorm before ReLU into ThreshReLU before BatchNorm, which may then be folded into what follows.

    Returns
    -------
    Network
        A network that computes the same function.

    Raises
    ------
    FusionError
        If the forward passes differ on `verify`.
    GraphError
        If the parameters are on several backends.

    References
    ----------
    Guillemot et al. 2020, arXiv 2002.11018.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import BatchNorm, Dense, Network
    >>> net = Network.sequential(Dense([[2.0]]), BatchNorm([3.0], [1.0], [4.0], [1.0], eps=0.0))
    >>> fused = fuse(net, verify=np.array([[5.0]]))
    >>> fused.names, fused["dense1"].weight, fused["dense1"].bias
    (['dense1'], array([[6.]]), array([-11.]))
    """
    fused, _ = _rewrite(net, threshold_relu)
    if verify is not None:
        error, allowed = forward_difference(net, fused, verify), _tolerance(net, verify)
        if not error <= allowed:  # so that NaN is refused
            raise FusionError(
                f"the fused network differs from the original by {error:.3g} of its largest output; {allowed:.3g} is "
                "allowed. Try net.astype('float64'), and report it if the difference remains"
            )
    return fused


def fusion_plan(net: Network, threshold_relu: bool = False) -> Plan:
    """Report what `fuse` would do with each BatchNorm and Scale, and why.

    Parameters
    ----------
    net : Network
        The network.
    threshold_relu : bool, default False
        As for `fuse`.

    Returns
    -------
    Plan
        Every decision; prints as a table.
    """
    return Plan(tuple(_rewrite(net, threshold_relu)[1]))


def forward_difference(net: Network, other: Network, x: Any) -> float:
    """Return the largest difference between two networks' outputs on `x`, relative to the largest output.

    For several outputs it is that of the output which differs most.
    """
    y, y_other = net.forward(x), other.forward(x)
    if isinstance(y, tuple):
        return max(map(_difference, y, y_other))
    return _difference(y, y_other)


def _difference(y: Array, y_other: Array) -> float:
    """The largest difference between two arrays, relative to the largest number of the first."""
    xp = array_namespace(y)
    if y.shape[0] == 0:
        return 0.0
    with quiet():
        largest, difference = float(xp.max(abs(y))), float(xp.max(abs(y - y_other)))
    return difference / largest if largest else difference


def _tolerance(net: Network, x: Any) -> float:
    """The rounding error allowed in a forward pass: none if exact, else four digits of the dtype."""
    x, *_ = net.by_name(net.cast(x)).values()
    return 0.0 if is_exact(x) else 1e4 * float(array_namespace(x).finfo(x.dtype).eps)


# ---- the rewriting ---------------------------------------------------------------------------------------------


def _rewrite(net: Network, threshold_relu: bool) -> tuple[Network, list[Decision]]:
    """The fused network, and the decisions."""
    check_network(net)
    check_flag(threshold_relu, "threshold_relu")
    _ = net.backend  # raises GraphError for parameters in several places
    fused, decisions = net.with_nodes(net.nodes), []
    for name, layer, _ in net.nodes:
        if isinstance(layer, DiagonalLayer) and type(layer) not in DIAGONAL:
            kind = type(layer).__name__
            decisions.append(Decision(name, kind, "stays", f"it is a {kind}, a type of your own"))
        elif isinstance(layer, DiagonalLayer):
            fused, action, reason = _fold(fused, name, threshold_relu)
            decisions.append(Decision(name, type(layer).__name__, action, reason))
    return fused, decisions


def _fold(net: Network, name: str, threshold_relu: bool) -> tuple[Network, str, str]:
    """Fold one diagonal layer: backward if possible, else forward, else keep it. Returns (network, action, reason)."""
    diagonal = _diagonal(net, name)
    back, why_not_back = _backward_target(net, name)
    if back is not None:
        folded = net.replace(back, _after(net[back], diagonal)).remove(name)
        return folded, f"folded into {back}", "it follows a linear layer"
    targets, why_not_forward = _forward_targets(net, name)
    if targets:
        folded = net
        for target in targets:
            folded = folded.replace(target, _before(folded[target], diagonal))
        return folded.remove(name), f"folded into {', '.join(targets)}", f"{why_not_back}; a linear layer follows"
    if threshold_relu and (relu := _relu_after(net, name)) is not None:
        swapped = _swap_with_relu(net, name, relu)
        if swapped is not None:
            folded, action, _ = _fold(swapped, name, threshold_relu)
            return folded, action, f"{relu} became a ThreshReLU, which now comes first"
    return net.replace(name, Scale(*diagonal)), "stays, as a Scale", f"{why_not_back}; {why_not_forward}"


DIAGONAL = (BatchNorm, Scale)
"""The types that are folded away. A subclass may compute something else, so only these very types count."""

FOLDABLE = (Dense, Conv1D, Conv2D, Conv3D, ConvTranspose1D, ConvTranspose2D, ConvTranspose3D)
"""The types into which they are folded; again, no subclass."""


PASSED = (Flatten, Dropout)
"""The types through which a diagonal layer is folded; again, no subclass."""


def _is_foldable(layer: Layer) -> bool:
    return type(layer) in FOLDABLE


def _reason_to_stay(name: str, layer: Layer) -> str:
    """Why a layer that is not foldable keeps its diagonal neighbour."""
    kind = type(layer).__name__
    own = isinstance(layer, FOLDABLE + DIAGONAL + PASSED)
    return f"{name}, a {kind}, which is a type of your own," if own else f"{name} ({kind})"


def _backward_target(net: Network, name: str) -> tuple[str | None, str]:
    """The linear layer before `name` that can absorb it, or None and the reason."""
    here = net.node(name)
    while True:
        above = here.inputs[0]
        if above in net.inputs:
            return None, "it follows the input"
        if len(readers := net.readers(above)) > 1:
            return None, f"{above} is also read by {', '.join(r for r in readers if r != here.name)}"
        if above in net.outputs:
            return None, f"{above} is an output"
        here = net.node(above)
        if _is_foldable(here.layer):
            return above, ""
        if type(here.layer) is not Dropout:
            return None, f"it follows {_reason_to_stay(above, here.layer)}".rstrip(",")


def _forward_targets(net: Network, name: str) -> tuple[list[str], str]:
    """The linear layers that read `name`, if all of its readers are linear; else [] and the reason."""
    targets: list[str] = []
    if not (readers := net.readers(name)):
        return [], "nothing follows it"
    if name in net.outputs:
        return [], f"{name} is an output"
    for reader in readers:
        layer = net[reader]
        if type(layer) in PASSED:
            further, reason = _forward_targets(net, reader)
            if not further:
                return [], reason
            targets += further
        elif _is_foldable(layer) or type(layer) in DIAGONAL:
            targets.append(reader)
        else:
            return [], f"{_reason_to_stay(reader, layer)} follows it"
    return targets, ""


def _relu_after(net: Network, name: str) -> str | None:
    """The ReLU that is the only reader of `name`, which is no output itself."""
    readers = [] if name in net.outputs else net.readers(name)
    return readers[0] if len(readers) == 1 and type(net[readers[0]]) is ReLU else None


def _swap_with_relu(net: Network, name: str, relu: str) -> Network | None:
    """BN, ReLU -> ThreshReLU, Scale: the ReLU's node now comes first; None where a threshold overflows.

    relu(w a + b) = w max(a, t) + b for w > 0 and w min(a, t) + b for w < 0, with t = -b / w; for w = 0 it is the
    constant max(b, 0).
    """
    w, b = _diagonal(net, name)
    xp = array_namespace(w)
    dead = w == 0
    with np.errstate(over="ignore"):
        t = -b / xp.where(dead, ones_like(w), w)
    if not all_finite(t):
        return None
    threshold = ThreshReLU(xp.where(dead, zeros_like(t), t), below=w < 0)
    scale = Scale(w, xp.where(dead, xp.where(b > 0, b, zeros_like(b)), b))
    return net.remove(name).replace(relu, threshold).insert_after(relu, name, scale)


# ---- the algebra -----------------------------------------------------------------------------------------------


def _diagonal(net: Network, name: str) -> tuple[Array, Array]:
    """w and b of a BatchNorm or Scale, b never None."""
    layer = net[name]
    assert isinstance(layer, DiagonalLayer)
    w, b = layer.scale_and_shift()
    return w, zeros_like(w) if b is None else b


def _after(layer: Layer, diagonal: tuple[Array, Array]) -> LinearLayer:
    """The linear layer followed by the diagonal one: W' = diag(w) W, b' = w b_linear + b."""
    w, b = diagonal
    xp = array_namespace(w)
    assert isinstance(layer, Dense | Kernels)
    weight = layer.weight * (_per_output(w, layer) if isinstance(layer, Kernels) else w[:, None])
    bias = b if layer.bias is None else w * layer.bias + b
    if isinstance(layer, Kernels) and layer.bias_taps is not None:
        taps = xp.reshape(w, (-1, *(1,) * layer.axes)) * layer.bias_taps
        return replace(layer, weight=given_up(weight), bias=bias, bias_taps=taps)
    return replace(layer, weight=given_up(weight), bias=bias)


def _before(layer: Layer, diagonal: tuple[Array, Array]) -> LinearLayer:
    """The diagonal layer followed by the linear one: W' = W diag(w), b' = b_linear + W b."""
    w, b = diagonal
    xp = array_namespace(w)
    if isinstance(layer, DiagonalLayer):
        w, b = (_per_feature(v, layer.channels) for v in (w, b))
        second, shift = layer.scale_and_shift()
        return Scale(second * w, second * b if shift is None else second * b + shift)
    if isinstance(layer, Dense):
        w, b = (_per_feature(v, layer.weight.shape[1]) for v in (w, b))
        shift = layer.weight @ b
        bias = shift if layer.bias is None else layer.bias + shift
        return replace(layer, weight=given_up(layer.weight * w), bias=bias)
    assert isinstance(layer, Kernels)
    w, b = (_per_input(v, layer) for v in (w, b))
    taps = _sum_over_inputs(layer.weight * b, layer)
    if layer.bias_taps is not None:
        taps = taps + layer.bias_taps
    weight = given_up(layer.weight * w)
    if any(layer.window.padding) or not isinstance(layer, Conv):
        return replace(layer, weight=weight, bias_taps=taps)
    shift = xp.sum(taps, axis=tuple(range(1, taps.ndim)))  # no padding: every tap always meets the input
    bias = shift if layer.bias is None else layer.bias + shift
    return replace(layer, weight=weight, bias=bias, bias_taps=None)


def _per_feature(v: Array, features: int) -> Array:
    """A value per channel for each of `features`: after a Flatten, all cells of a channel have the same."""
    xp = array_namespace(v)
    return xp.reshape(xp.broadcast_to(v[:, None], (v.shape[0], features // v.shape[0])), (-1,))


# The weight of a convolution is (out, in // groups, *kernel), that of a transposed one (in, out // groups, *kernel):
# axis 0 counts the channels of all groups, axis 1 those of one group.


def _per_output(v: Array, layer: Kernels) -> Array:
    """A value per output channel, shaped to broadcast over the weight."""
    return _across(v, layer) if isinstance(layer, Conv) else _within(v, layer)


def _per_input(v: Array, layer: Kernels) -> Array:
    """A value per input channel, shaped to broadcast over the weight."""
    return _within(v, layer) if isinstance(layer, Conv) else _across(v, layer)


def _across(v: Array, layer: Kernels) -> Array:
    """A value per entry of axis 0 of the weight."""
    return array_namespace(v).reshape(v, (-1, *(1,) * (layer.axes + 1)))


def _within(v: Array, layer: Kernels) -> Array:
    """A value per channel of each group, for every entry of axis 0 of the weight."""
    xp, ones = array_namespace(v), (1,) * layer.axes
    first, second = layer.weight.shape[:2]
    groups = xp.reshape(v, (layer.groups, 1, second))
    return xp.reshape(xp.broadcast_to(groups, (layer.groups, first // layer.groups, second)), (first, second, *ones))


def _sum_over_inputs(x: Array, layer: Kernels) -> Array:
    """An array shaped like the weight, summed over the input channels of each group: (out, *kernel)."""
    xp = array_namespace(x)
    if isinstance(layer, Conv):
        return xp.sum(x, axis=1)
    by_group = xp.sum(xp.reshape(x, (layer.groups, -1, *x.shape[1:])), axis=1)
    return xp.reshape(by_group, (-1, *x.shape[2:]))
