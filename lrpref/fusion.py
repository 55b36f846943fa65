"""Folding batch normalisation away.

At inference BatchNorm is the diagonal layer z = w a + b with w = g / s, b = beta - g mu / s, s = sqrt(var + eps).
Next to a fully connected or convolutional layer it can be folded into that layer's weights (Guillemot et al. 2020,
arXiv 2002.11018, "fuse"; the formulas are the elementary ones, written out below):

    linear, then BN:   W' = diag(w) W        b' = w b_linear + b
    BN, then Dense:    W' = W diag(w)        b' = b_linear + W b
    BN, then Conv2D:   W' = W diag(w)        b' = b_linear + conv(b everywhere in the image, W)
    BN, then BN:       w' = w_second w       b' = b_second + w_second b

The bias of a Conv2D is then a map: where the kernel meets zero padding, the shift b is missing, because padding is
zero *after* BatchNorm. So the folded convolution keeps, per tap, what that tap adds (`Conv2D.bias_taps`); nothing is
divided by w, and channels with g = 0 are no problem.

What stands between ReLU and Conv2D cannot be folded into either and stays a `Scale`. On request, BN before ReLU
becomes a ThreshReLU before BN, and that BN may then be folded into what follows.

`fuse` returns a new network and leaves the old one untouched; `fusion_plan` says what it would do, and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .arithmetic import all_finite, is_exact, ones_like, zeros_like
from .backend import Array, array_namespace
from .errors import FusionError
from .layers import Conv2D, Dense, DiagonalLayer, Dropout, Flatten, Layer, LinearLayer, ReLU, Scale, ThreshReLU
from .network import INPUT, Network, Node


@dataclass(frozen=True)
class Decision:
    """What becomes of one BatchNorm or Scale: the node, what is done, and the reason."""

    node: str
    layer: str
    action: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Every decision of a fusion, in the order of the network; prints as a table."""

    decisions: tuple[Decision, ...]

    @property
    def kept(self) -> tuple[Decision, ...]:
        """What could not be folded."""
        return tuple(d for d in self.decisions if not d.action.startswith("folded"))

    def __str__(self) -> str:
        if not self.decisions:
            return "nothing to fuse: the network has no BatchNorm and no Scale"
        rows = [("node", "layer", "action", "because")]
        rows += [(d.node, d.layer, d.action, d.reason) for d in self.decisions]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        return "\n".join("  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def fuse(net: Network, verify: Array | None = None, threshold_relu: bool = False) -> Network:
    """The same function with every BatchNorm folded away that can be; what cannot becomes a `Scale`.

    net             left untouched
    verify          a batch on which the two forward passes must agree (to rounding) before the result is returned
    threshold_relu  turn BatchNorm before ReLU into ThreshReLU before BatchNorm, which may then fold

    Raises FusionError when `verify` shows a difference.

    >>> import numpy as np
    >>> from lrpref import BatchNorm, Dense, Network
    >>> net = Network.sequential(Dense([[2.0]]), BatchNorm([3.0], [1.0], [4.0], [1.0], eps=0.0))
    >>> fused = fuse(net, verify=np.array([[5.0]]))
    >>> fused.names, fused["dense1"].weight, fused["dense1"].bias
    (['dense1'], array([[6.]]), array([-11.]))
    """
    nodes, _ = _rewrite(net, threshold_relu)
    fused = Network(nodes)
    if verify is not None:
        error = forward_difference(net, fused, verify)
        if not error <= _tolerance(net.cast(verify)):  # so that NaN is refused
            raise FusionError(f"the fused network differs from the original by {error:.3g} of its largest output")
    return fused


def fusion_plan(net: Network, threshold_relu: bool = False) -> Plan:
    """What `fuse` would do with each BatchNorm and Scale, and why."""
    return Plan(tuple(_rewrite(net, threshold_relu)[1]))


def forward_difference(net: Network, other: Network, x: Array) -> float:
    """The largest difference between two networks' outputs on `x`, relative to the largest output."""
    y, y_other = net.forward(x), other.forward(x)
    xp = array_namespace(y)
    if y.shape[0] == 0:
        return 0.0
    largest = float(xp.max(abs(y)))
    difference = float(xp.max(abs(y - y_other)))
    return difference / largest if largest else difference


def _tolerance(x: Array) -> float:
    """What rounding may do to a forward pass: none when exact, four digits of the number type otherwise."""
    return 0.0 if is_exact(x) else 1e4 * float(array_namespace(x).finfo(x.dtype).eps)


# ---- the rewriting ---------------------------------------------------------------------------------------------


def _rewrite(net: Network, threshold_relu: bool) -> tuple[list[Node], list[Decision]]:
    """The fused graph, and what was decided on the way."""
    nodes, decisions = list(net.nodes), []
    for name, layer, _ in net.nodes:
        if isinstance(layer, DiagonalLayer):
            nodes, action, reason = _treat(nodes, name, threshold_relu)
            decisions.append(Decision(name, type(layer).__name__, action, reason))
    return nodes, decisions


def _treat(nodes: list[Node], name: str, threshold_relu: bool) -> tuple[list[Node], str, str]:
    """Fold one diagonal layer: backwards if possible, else forwards, else keep it; (nodes, action, reason)."""
    back, why_not_back = _backward_target(nodes, name)
    if back is not None:
        layer = _after(_find(nodes, back).layer, _diagonal(nodes, name))
        return _remove(_put(nodes, back, layer), name), f"folded into {back}", "it follows a linear layer"
    targets, why_not_forward = _forward_targets(nodes, name)
    if targets:
        for target in targets:
            layer = _before(_find(nodes, target).layer, _diagonal(nodes, name))
            nodes = _put(nodes, target, layer)
        return _remove(nodes, name), f"folded into {', '.join(targets)}", f"{why_not_back}; what follows is linear"
    if threshold_relu and (relu := _relu_after(nodes, name)) is not None:
        swapped = _swap_with_relu(nodes, name, relu)
        if swapped is not None:
            nodes, action, _ = _treat(swapped, name, threshold_relu)
            return nodes, action, f"{relu} became a ThreshReLU, which now comes first"
    scale = Scale(*_diagonal(nodes, name))
    return _put(nodes, name, scale), "stays, as a Scale", f"{why_not_back}; {why_not_forward}"


def _backward_target(nodes: Sequence[Node], name: str) -> tuple[str | None, str]:
    """The linear layer before `name` that can take it, or None and the reason."""
    here = _find(nodes, name)
    while True:
        above = here.inputs[0]
        if above == INPUT:
            return None, "before it is the input"
        if len(readers := _readers(nodes, above)) > 1:
            return None, f"{above} is also read by {', '.join(r for r in readers if r != here.name)}"
        here = _find(nodes, above)
        if isinstance(here.layer, Dense | Conv2D):
            return above, ""
        if not isinstance(here.layer, Dropout):
            return None, f"before it is {above} ({type(here.layer).__name__})"


def _forward_targets(nodes: Sequence[Node], name: str) -> tuple[list[str], str]:
    """The linear layers that read `name`, if all of its readers are such; else [] and the reason."""
    targets: list[str] = []
    if not (readers := _readers(nodes, name)):
        return [], "nothing follows it"
    for reader in readers:
        node = _find(nodes, reader)
        if isinstance(node.layer, Flatten | Dropout):
            further, reason = _forward_targets(nodes, reader)
            if not further:
                return [], reason
            targets += further
        elif isinstance(node.layer, Dense | Conv2D | DiagonalLayer):
            targets.append(reader)
        else:
            return [], f"after it is {reader} ({type(node.layer).__name__})"
    return targets, ""


def _relu_after(nodes: Sequence[Node], name: str) -> str | None:
    """The ReLU that alone reads `name`."""
    readers = _readers(nodes, name)
    return readers[0] if len(readers) == 1 and type(_find(nodes, readers[0]).layer) is ReLU else None


def _swap_with_relu(nodes: list[Node], name: str, relu: str) -> list[Node] | None:
    """BN, ReLU -> ThreshReLU, Scale: the ReLU's node comes first now; None where a threshold overflows.

    relu(w a + b) = w max(a, t) + b for w > 0 and w min(a, t) + b for w < 0, with t = -b / w; for w = 0 it is the
    constant max(b, 0).
    """
    w, b = _diagonal(nodes, name)
    xp = array_namespace(w)
    dead = w == 0
    with np.errstate(over="ignore"):
        t = -b / xp.where(dead, ones_like(w), w)
    if not all_finite(t):
        return None
    threshold = ThreshReLU(xp.where(dead, zeros_like(t), t), below=w < 0)
    scale = Scale(w, xp.where(dead, xp.where(b > 0, b, zeros_like(b)), b))
    source = _find(nodes, name).inputs
    moved = []
    for node in nodes:
        if node.name == name:
            moved.append(Node(relu, threshold, source))
        elif node.name == relu:
            moved.append(Node(name, scale, (relu,)))
        else:
            moved.append(node._replace(inputs=tuple(name if i == relu else i for i in node.inputs)))
    return moved


# ---- the algebra -----------------------------------------------------------------------------------------------


def _diagonal(nodes: Sequence[Node], name: str) -> tuple[Array, Array]:
    """w and b of a BatchNorm or Scale, b never None."""
    layer = _find(nodes, name).layer
    assert isinstance(layer, DiagonalLayer)
    w, b = layer.scale_and_shift()
    return w, zeros_like(w) if b is None else b


def _after(layer: Layer, diagonal: tuple[Array, Array]) -> LinearLayer:
    """The linear layer followed by the diagonal one: W' = diag(w) W, b' = w b_linear + b."""
    w, b = diagonal
    xp = array_namespace(w)
    assert isinstance(layer, Dense | Conv2D)
    weight = xp.reshape(w, (-1, *(1,) * (layer.weight.ndim - 1))) * layer.weight
    bias = b if layer.bias is None else w * layer.bias + b
    if isinstance(layer, Conv2D) and layer.bias_taps is not None:
        return replace(layer, weight=weight, bias=bias, bias_taps=xp.reshape(w, (-1, 1, 1)) * layer.bias_taps)
    return replace(layer, weight=weight, bias=bias)


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
        return replace(layer, weight=layer.weight * w, bias=shift if layer.bias is None else layer.bias + shift)
    assert isinstance(layer, Conv2D)
    w, b = (_per_output(v, layer) for v in (w, b))
    taps = xp.sum(layer.weight * b, axis=1)
    if layer.bias_taps is not None:
        taps = taps + layer.bias_taps
    if any(layer.window.padding):
        return replace(layer, weight=layer.weight * w, bias_taps=taps)
    shift = xp.sum(taps, axis=(1, 2))  # no padding: every tap always meets the image
    return replace(layer, weight=layer.weight * w, bias=shift if layer.bias is None else layer.bias + shift)


def _per_feature(v: Array, features: int) -> Array:
    """A value per channel for each of `features`: after a Flatten, every cell of a channel alike."""
    xp = array_namespace(v)
    return xp.reshape(xp.broadcast_to(v[:, None], (v.shape[0], features // v.shape[0])), (-1,))


def _per_output(v: Array, layer: Conv2D) -> Array:
    """A value per input channel, laid out like the weight: (out, in // groups, 1, 1)."""
    xp = array_namespace(v)
    out, channels = layer.weight.shape[:2]
    groups = xp.reshape(v, (layer.groups, 1, channels))
    return xp.reshape(xp.broadcast_to(groups, (layer.groups, out // layer.groups, channels)), (out, channels, 1, 1))


# ---- the graph -------------------------------------------------------------------------------------------------


def _find(nodes: Sequence[Node], name: str) -> Node:
    return next(node for node in nodes if node.name == name)


def _readers(nodes: Sequence[Node], name: str) -> list[str]:
    return [node.name for node in nodes if name in node.inputs]


def _put(nodes: Sequence[Node], name: str, layer: Layer) -> list[Node]:
    """The nodes with another layer at `name`; other nodes that share the old layer keep it."""
    return [node._replace(layer=layer) if node.name == name else node for node in nodes]


def _remove(nodes: Sequence[Node], name: str) -> list[Node]:
    """The nodes without `name`, whose readers now read its input."""
    (source,) = _find(nodes, name).inputs
    rest = [node for node in nodes if node.name != name]
    return [node._replace(inputs=tuple(source if i == name else i for i in node.inputs)) for node in rest]
