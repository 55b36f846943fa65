"""Activations whose first axis is not the batch axis.

Attention is often written with another axis in front, as in `qkv.permute(2, 0, 3, 1, 4)`, with sequences (T, N, E), or
with samples and heads, or samples and tokens, merged on one axis, (N * H, T, D). lrpref keeps the samples first: the
node of the network holds the same axes in the same order, but with the batch axis in front, and without merging it with
other axes. So no sample ever meets another one. Operations on such tensors are translated to the axes of that array;
those along the batch axis are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...layers import Layer, Reshape
from ...weights.state_dict import as_array
from .. import mixed
from ..graph import Shape, require
from ..layout import Activation as Placed
from ..layout import Layout, Step, plain
from . import activations, moves
from .call import Activation, Call

REMEDY = "move the batch axis to the front before it, as in x.transpose(0, 1) for (T, N, E)"

LAST = ("addmm", "layer_norm", "linear", "matmul", "rms_norm", "scaled_dot_product_attention")
"""The operations that work along the last axes, and on all others in the same way."""

ALIGNED = ("add", "div", "masked_fill", "mul", "rsub", "sub", "where")
"""The operations of each number by itself, with constants that are broadcast."""

WITHOUT_DIM = ("cat", "chunk", "slice", "split", "unbind")
"""The operations along an axis, which is 0 if they are not told."""

ALONG = (*WITHOUT_DIM, "flip", "getitem", "index_select", "log_softmax", "narrow", "select", "softmax")
"""The operations along axes that they are told."""

REDUCING = ("amax", "max", "mean", "sum")
"""The operations that join the cells along axes."""

OF_CHANNELS = ("local_response_norm", "prelu")
"""The activation functions that depend on the channel."""

POINTWISE = ("dropout", "identity", "maximum", "minimum", "neg", *sorted({*activations.OPERATIONS} - {*OF_CHANNELS}))
"""The operations of each number by itself."""


@dataclass(frozen=True)
class Place:
    """Where the batch axis is among the axes of PyTorch's tensor.

    Parameters
    ----------
    axis : int or None
        The batch axis; None for a single sample, which has none.
    group : tuple of int
        The axes of lrpref's array that are merged on it, in order, 0 for the batch axis.
    sizes : tuple of int
        The lengths of those other than the batch axis, in the order of lrpref's array.
    """

    axis: int | None
    group: tuple[int, ...]
    sizes: Shape

    def own(self, axis: int, rank: int) -> int:
        """Return the axis of lrpref's array for one of PyTorch's tensor; the batch axis is refused."""
        axis %= rank
        require(axis != self.axis, f"it is along axis {axis}, the batch axis")
        return axis + 1 if self.axis is None or axis < self.axis else axis + len(self.sizes)

    def own_shape(self, shape: Shape, samples: int) -> Shape:
        """Return the shape of lrpref's array."""
        if self.axis is None:
            return (samples, *shape)
        return (samples, *shape[: self.axis], *self.sizes, *shape[self.axis + 1 :])

    def without(self, axes: Sequence[int]) -> Place:
        """Return the place after axes of PyTorch's tensor are removed."""
        if self.axis is None:
            return self
        before = sum(axis < self.axis for axis in axes)
        return Place(self.axis - before, tuple(k and k - before for k in self.group), self.sizes)

    def layout(self, rank: int) -> Layout:
        """Return the layout of a tensor with `rank` axes."""
        return mixed.simplest([self.group if k == self.axis else (self.own(k, rank),) for k in range(rank)])


def place(x: Placed) -> Place:
    """Return where the batch axis of an activation is."""
    groups = mixed.groups_of(x)
    axis = next((k for k, group in enumerate(groups) if 0 in group), None)
    if axis is None:  # that of a single sample, if there is one
        axis = next((k for k, group in enumerate(groups) if not group), None)
    group = () if axis is None else groups[axis]
    return Place(axis, group, tuple(x.shape[k] for k in sorted(group) if k))


def placed(name: str, own: Shape, layout: Layout | None) -> Placed:
    """Return an activation with the shape of lrpref's array, and its layout."""
    return Placed(name, own, plain(len(own)) if layout is None else layout)


def moves_samples(call: Call, read: Sequence[Activation]) -> bool:
    """Whether an operation moves axes, and the batch axis is not the first one before or after it."""
    if call.name not in (*moves.ORDERS, "reshape"):
        return False
    if read[0].layout is not None:
        return True
    return call.result[:1] != call.shapes[0][:1] if call.name == "reshape" else moves.ORDERS[call.name](call)[0] != 0


def moved(call: Call, x: Placed) -> Step:
    """Convert such an operation: lrpref's array keeps the batch axis first, and has the others in the same order."""
    layers: list[Layer] = []
    if call.name == "reshape":
        moves.check_samples_stay(call)
        layers, x = _without_ones(x)
        further, layout = mixed.reshaped(x, call.result)
        layers += further
    else:
        layout = mixed.transposed(x, moves.ORDERS[call.name](call))[1]
    shape = x.shape
    for layer in layers:
        shape = layer.output_shape(shape)
    last, _, layout = mixed.settled(Placed(x.name, shape, layout))
    return _shortened([*layers, *last]), layout


def _without_ones(x: Placed) -> tuple[list[Layer], Placed]:
    """Return the layer that removes axes of size 1, wherever they are, and the activation after it."""
    left = [k for k, n in enumerate(x.shape) if k == 0 or n != 1]
    groups = [tuple(left.index(k) for k in group if k in left) for group in mixed.groups_of(x)]
    shape = tuple(x.shape[k] for k in left)
    layers: list[Layer] = [Reshape(shape[1:])] if shape != x.shape else []
    return layers, Placed(x.name, shape, mixed.simplest(groups))


def _shortened(layers: Sequence[Layer]) -> list[Layer]:
    """Leave out each Reshape that another one follows."""
    both = zip(layers, [*layers[1:], None], strict=False)
    return [layer for layer, after in both if not (isinstance(layer, Reshape) and isinstance(after, Reshape))]


def as_own(call: Call, xs: Sequence[Placed]) -> tuple[Call, Layout]:
    """Return an operation on PyTorch's tensors as one on lrpref's arrays, and the layout of its result."""
    where, rank = place(xs[0]), len(call.shapes[0])
    require(all(place(x) == where for x in xs), "the batch axis is another one in each of its inputs")
    _check(call, where, rank)
    removed = _removed(call, rank)
    after = where.without(removed)
    told = {**dict.fromkeys(("dim",) if call.name in WITHOUT_DIM else (), 0), **call.arguments}
    arguments = {name: _translated(call, name, value, where, rank) for name, value in told.items()}
    result = after.own_shape(call.result, xs[0].shape[0])
    own = replace(call, arguments=arguments, shapes=tuple(x.shape for x in xs), result=result, moved=True)
    return own, after.layout(len(call.result))


def _check(call: Call, where: Place, rank: int) -> None:
    """Raise ConversionError unless an operation works on each sample by itself, wherever they are."""
    behind = _last_axes(call) if call.name in LAST else 0
    if call.name == "multi_head_attention":
        require(where.axis in (1, None) and not where.sizes, "axis 1 of its input, (T, N, E), is not the batch axis")
        return
    same = call.name in moves.REPEATING and call.result == call.shapes[0]
    require(
        same or call.name in (*LAST, *ALIGNED, *ALONG, *REDUCING, *POINTWISE),
        f"the first axis of its input, of shape {call.shapes[0]}, is not the batch axis; {REMEDY}",
    )
    require(
        where.axis is None or where.axis < rank - behind,
        f"it works along axis {where.axis} of its input, the batch axis; {REMEDY}",
    )
    require(len({len(shape) for shape in call.shapes}) == 1, f"its inputs, of shapes {call.shapes}, differ in rank")


def _last_axes(call: Call) -> int:
    """Return along how many of the last axes an operation works."""
    if call.name in ("layer_norm", "rms_norm"):
        return len(moves.sequence(call["normalized_shape"]))
    return 2 if call.name == "scaled_dot_product_attention" or len(call.shapes) > 1 else 1


def _removed(call: Call, rank: int) -> list[int]:
    """Return the axes that an operation removes."""
    if call.name == "getitem":
        entries = moves.full_index(call["index"], rank)
        require(
            None not in entries, f"it adds an axis, and the first axis of its input is not the batch axis; {REMEDY}"
        )
        return [k for k, entry in enumerate(entries) if not isinstance(entry, slice) and as_array(entry).ndim == 0]
    if call.name in ("select", "unbind"):
        return [(call["dim"] or 0) % rank]
    if call.name in REDUCING:
        require(call["dim"] not in (None, [], ()), "it is over all axes, including the batch axis")
    if call.name in REDUCING and not call["keepdim"]:
        return [axis % rank for axis in moves.sequence(call["dim"])]
    return []


def _translated(call: Call, name: str, value: Any, where: Place, rank: int) -> Any:
    """Return an argument in terms of lrpref's axes."""
    if name in ("dim", "dims") and call.name in (*ALONG, *REDUCING):
        require(value is not None, "it does not say along which axis; pass dim=")
        if isinstance(value, int):
            return where.own(value, rank)
        return [where.own(axis, rank) for axis in value]
    if call.name == "getitem" and name == "index":
        entries = moves.full_index(value, rank)
        whole = [k for k, entry in enumerate(entries) if isinstance(entry, slice) and entry == slice(None)]
        own = {where.own(k, rank): entry for k, entry in enumerate(entries) if k not in whole}
        return tuple(own.get(k, slice(None)) for k in range(rank + len(where.sizes) + (where.axis is None)))
    if call.name in ALIGNED and name in ("input", "other", "mask", "condition"):
        return value if isinstance(value, Activation) else _aligned(value, where, rank)
    if call.name == "cat" and name == "tensors":
        return [each if isinstance(each, Activation) else _in_front(each, where) for each in value]
    return value


def _aligned(value: Any, where: Place, rank: int) -> np.ndarray:
    """Return a constant that is broadcast against PyTorch's tensor in a shape that is broadcast against lrpref's."""
    c = as_array(value)
    if c.ndim == 0:
        return c
    require(c.ndim <= rank, f"a constant of shape {c.shape} has more axes than the activation")
    whole = c.reshape((1,) * (rank - c.ndim) + c.shape)
    if where.axis is not None:
        first = whole.take([0], where.axis)
        require(bool((whole == first).all()), f"a constant of shape {c.shape} has one number per sample")
        whole = first
    return whole.reshape(replace(where, sizes=(1,) * len(where.sizes)).own_shape(whole.shape, 1))


def _in_front(value: Any, where: Place) -> np.ndarray:
    """Return constant tokens with the batch axis in front."""
    c = as_array(value)
    require(not where.sizes, f"constants are joined to samples that are merged with other axes; {REMEDY}")
    return c[None] if where.axis is None else np.moveaxis(c, where.axis, 0)
