"""Convert ONNX's operations that move, sum and multiply activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from math import prod

from ..._support.untrusted import MAX_AXES
from ...arithmetic import LARGEST
from ...layers import (
    ChannelShuffle,
    Embedding,
    Flatten,
    Layer,
    Max,
    Multiply,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    Reshape,
    Slice,
    Subtract,
    Sum,
)
from .. import mixed
from ..graph import Shape, cells, require, reshaped
from ..layout import Activation, Layout, Step, channels_last, plain
from ..mixed import Mixed
from .call import Call

# ---- parts -------------------------------------------------------------------------------------------------------


def _slice(call: Call) -> Step:
    """Slice, along any axes but the batch axis"""
    x = call.x
    starts, ends = (_numbers(call, name, k) for k, name in enumerate(("starts", "ends"), 1))
    axes = _numbers(call, "axes", 3) or list(range(len(starts)))
    steps = _numbers(call, "steps", 4) or [1] * len(starts)
    layers: list[Layer] = []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        first, last = _bound(start, step < 0), _bound(end, step > 0)
        layers += (
            [] if (first, last, step) in ((0, None, 1), (None, None, 1)) else [Slice(_own(x, axis), first, last, step)]
        )
    return layers, x.layout


def _bound(n: int, above: bool) -> int | None:
    """Return a bound of a slice; None for the huge numbers, positive if `above`, that mean the end of the array."""
    if abs(n) <= LARGEST:
        return n
    require((n > 0) == above, "it reads nothing")
    return None


def _numbers(call: Call, name: str, index: int, most: int = MAX_AXES) -> list[int]:
    """Return a setting that is a list of at most `most` integers; an empty list if it is omitted."""
    value = call.setting(name, index)
    found = [] if value is None else value if isinstance(value, list) else [value]
    require(len(found) <= most, f"its {name} are {len(found)} numbers; at most {most} are supported")
    return [int(n) for n in found]


def _own(x: Activation, axis: int) -> int:
    """Return lrpref's axis for one of the file's; the batch axis, and features in another order, are refused."""
    own = x.layout.own_axis(axis)
    require(own != 0, f"it is along axis {axis}, the batch axis")
    require(x.layout.order is None, "it takes apart a flattened (N, H, W, C) image, which is not supported")
    return own


def _split(call: Call) -> Step:
    """Slice, one for each part"""
    x, axis = call.x, call.attributes.get("axis", 0)
    own, n = _own(x, axis), call.x.foreign[axis]
    sizes = _numbers(call, "split", 1, most=call.parts)
    if not sizes:
        size = -(-n // call.parts)
        sizes = [min(size, n - start) for start in range(0, n, size)]
        if own > 1:
            call.bound.append("its parts are computed")
    require(call.part < len(sizes), f"it has {call.parts} outputs, but {len(sizes)} parts")
    start = list(accumulate(sizes, initial=0))[call.part]
    return [Slice(own, start, start + sizes[call.part])], x.layout


def _gather(call: Call) -> Step:
    """Slice, for constant and evenly spaced indices; one index removes the axis; Embedding, of indices"""
    if not isinstance(call.inputs[0], Activation):
        return _embedding(call)
    x, axis = call.x, call.attributes.get("axis", 0)
    index = call.weight(1, "indices")
    if isinstance(x.layout, Mixed):
        require(index.ndim == 0, "axis 0 holds more than the samples, where only one index is supported")
        return mixed.gathered(x, axis, int(index) % x.foreign[axis])
    own, n = _own(x, axis), call.x.foreign[axis]
    require(index.dtype.kind in "iu" and index.ndim <= 1, "indices with several axes are not supported")
    numbers = [int(k) for k in index.reshape(-1)]
    require(all(-n <= k < n for k in numbers), f"an index is out of range for {n} cells")
    layers = cells(own, [k % n for k in numbers], n)
    if index.ndim:
        return layers, x.layout
    after = tuple(1 if k == own else m for k, m in enumerate(x.shape))
    return layers + reshaped(after, _without(after, [own])), _layout_without(x.layout, [own])


def _embedding(call: Call) -> Step:
    """Convert rows of a constant table at places that the input says."""
    table, [x] = call.weight(0, "table"), call.activations
    require(
        table.ndim == 2 and call.attributes.get("axis", 0) == 0 and x.layout.plain,
        f"a table of shape {table.shape} is not supported; only one vector for each index",
    )
    return [Embedding(table)], plain(len(x.shape) + 1)


def _without(shape: Shape, axes: Sequence[int]) -> Shape:
    """Return a shape without some of its axes."""
    return tuple(n for axis, n in enumerate(shape) if axis not in axes)


def _layout_without(layout: Layout, axes: Sequence[int]) -> Layout:
    """Return the layout of an array from which some of lrpref's axes are removed."""
    left = [axis for axis in layout.axes if axis not in axes]
    return Layout(tuple(sorted(left).index(axis) for axis in left))


# ---- shape -------------------------------------------------------------------------------------------------------


def to_shape(x: Activation, target: Shape) -> Step:
    """Convert a change of the shape of the file's array to `target`.

    Where only axes of size 1 move, and where an image is flattened, only the layout changes. Otherwise the axes are
    first put into the file's order.
    """
    if isinstance(x.layout, Mixed) or target[:1] != x.foreign[:1]:
        return mixed.reshaped(x, target)
    if target == (x.foreign[0], prod(x.foreign[1:])):
        return [Flatten()] if len(x.shape) > 2 else [], x.layout.flattened(x.shape)
    layout = x.layout.reshaped(x.shape, target)
    if layout is not None:
        return [], layout
    if len(target) in (4, 5) and target == (x.foreign[0], *(1,) * (len(target) - 2), x.shape[-1]) and len(x.shape) == 2:
        cells = (1,) * (len(target) - 2)  # Keras's gates: features become the channels of one cell, (N, 1, 1, C)
        return [*_as_in_the_file(x), Reshape((x.shape[1], *cells))], channels_last(len(target))
    layers = _as_in_the_file(x)
    return layers + reshaped(x.foreign, target), plain(len(target))


def _as_in_the_file(x: Activation) -> list[Layer]:
    """Return the layer that puts axes into the file's order, none if they are."""
    require(x.layout.order is None, "it takes apart a flattened (N, H, W, C) image, which is not supported")
    return [] if x.layout.plain else [Permute(x.layout.axes)]


def _unsqueeze(call: Call) -> Step:
    """Reshape, or no layer where axes of size 1 only move"""
    shape, added = list(call.x.foreign), _numbers(call, "axes", 1)
    rank = len(shape) + len(added)
    require(rank <= MAX_AXES, f"it returns {rank} axes; at most {MAX_AXES} are supported")
    for axis in sorted(axis % rank for axis in added):
        shape.insert(axis, 1)
    return to_shape(call.x, tuple(shape))


def _depth_to_space(call: Call) -> Step:
    """PixelShuffle, after a ChannelShuffle in mode DCR"""
    r = call.attributes["blocksize"]
    dealt = [ChannelShuffle(r * r)] if call.attributes.get("mode", "DCR") == "DCR" and r > 1 else []
    return [*dealt, PixelShuffle(r)], call.image().layout


def _space_to_depth(call: Call) -> Step:
    """PixelUnshuffle and ChannelShuffle"""
    x = call.image()
    return [PixelUnshuffle(call.attributes["blocksize"]), ChannelShuffle(x.shape[1])], x.layout


# ---- reductions --------------------------------------------------------------------------------------------------


def _reduce_sum(call: Call) -> Step:
    """Sum over axes"""
    return reduced(call, Sum)


def _reduce_max(call: Call) -> Step:
    """Max over axes"""
    return reduced(call, Max)


def _axes(call: Call) -> list[int]:
    """Return lrpref's axes of a reduction; all of them together, or the batch axis, are refused."""
    told = _numbers(call, "axes", 1)
    require(bool(told), "it is over all axes, including the batch axis")
    return sorted({_own(call.x, axis) for axis in told})


def reduced(call: Call, kind: Callable[..., Layer]) -> Step:
    """Return a reduction, and the layout of the axes that are left."""
    axes, kept = _axes(call), bool(call.attributes.get("keepdims", 1))
    return [kind(tuple(axes), kept)], call.x.layout if kept else _layout_without(call.x.layout, axes)


# ---- products and differences ------------------------------------------------------------------------------------


def product(call: Call) -> Step:
    """Return the product of two activations."""
    first, second = call.activations
    require(
        len(first.shape) == len(second.shape),
        f"cannot multiply activations of shapes {first.foreign} and {second.foreign}; both need as many axes",
    )
    return [Multiply()], _common_layout(call, "multiply")


def difference(call: Call) -> Step:
    """Return the difference of two activations."""
    shapes = [x.foreign for x in call.activations]
    require(len(set(shapes)) == 1, f"cannot subtract arrays of different shapes: {', '.join(map(str, shapes))}")
    return [Subtract()], _common_layout(call, "subtract")


def _common_layout(call: Call, verb: str) -> Layout:
    """Return the layout of two activations, which must be the same."""
    first, second = call.activations
    require(first.layout.same(second.layout), f"cannot {verb} arrays whose axes are in different orders")
    return first.layout


OPERATIONS: Mapping[str, Callable[[Call], Step]] = {
    "DepthToSpace": _depth_to_space,
    "Gather": _gather,
    "ReduceMax": _reduce_max,
    "ReduceSum": _reduce_sum,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Unsqueeze": _unsqueeze,
}

PARTED = ("Split",)
"""The operations of several results, each of which is converted."""
