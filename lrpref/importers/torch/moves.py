"""Convert PyTorch's operations that move, sum and multiply activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from ...arithmetic import LARGEST
from ...layers import (
    ChannelShuffle,
    Concat,
    Layer,
    Max,
    Mean,
    Multiply,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    Reshape,
    Slice,
    Sum,
)
from ...weights.state_dict import as_array
from ..graph import Shape, cells, require, reshaped
from .call import Call

# ---- parts -------------------------------------------------------------------------------------------------------


def _getitem(call: Call) -> list[Layer]:
    """Convert x[index]: each slice is a Slice, and integers and None change the shape afterwards."""
    index = [entry for entry in full_index(call["index"], len(call.shapes[0])) if entry is not None]
    layers = [layer for k, entry in enumerate(index) for layer in _along(k, entry, call.shapes[0][k])]
    return layers + _to_result(layers, call)


def _index(call: Call) -> list[Layer]:
    """Convert torch.export's form of x[:, numbers], in which None stands for all cells of an axis."""
    index = tuple(slice(None) if entry is None else entry for entry in call["indices"])
    return _getitem(replace(call, arguments={**call.arguments, "index": index}))


def full_index(index: Any, rank: int) -> list[Any]:
    """Return the index with an entry for every axis, in place of an ellipsis and of what is left out at the end."""
    entries = list(index) if isinstance(index, tuple) else [index]
    missing = [slice(None)] * (rank - sum(entry is not None and entry is not Ellipsis for entry in entries))
    for k, entry in enumerate(entries):
        if entry is Ellipsis:
            return [*entries[:k], *missing, *entries[k + 1 :]]
    return entries + missing


def _along(axis: int, entry: Any, n: int) -> list[Layer]:
    """Return the layer that reads one entry of an index along an axis, none for all of it."""
    if isinstance(entry, slice):
        start, stop, step = (_bounded(bound) for bound in (entry.start, entry.stop, entry.step))
        if start in (None, 0) and stop is None and step in (None, 1):
            return []
        if axis == 0:
            require(range(n)[entry] == range(n), "it takes samples out of the batch")
            return []
        return [Slice(axis, start, stop, 1 if step is None else step)]
    require(axis != 0, "it takes a sample out of the batch")
    return cells(axis, _numbers(entry, n), n)


def _bounded(bound: Any) -> int | None:
    """Return a bound of a slice; the numbers that torch.export writes for "to the end" become None."""
    return None if bound is None or bound > LARGEST else int(bound)


def _numbers(entry: Any, n: int) -> list[int]:
    """Return an integer, or a list or tensor of them, as indices from 0."""
    found = as_array(entry)
    require(found.dtype.kind in "iu" and found.ndim <= 1, "masks, and indices with several axes, are not supported")
    numbers = [int(k) for k in found.reshape(-1)]
    require(all(-n <= k < n for k in numbers), f"an index is out of range for {n} cells")
    return [k % n for k in numbers]


def _to_result(layers: Sequence[Layer], call: Call) -> list[Layer]:
    """Return the layer for the axes that an index removes or adds."""
    shape = call.shapes[0]
    for layer in layers:
        shape = layer.output_shape(shape)
    return reshaped(shape, call.result)


def _axis(call: Call, name: str = "dim") -> int:
    """Return an axis counted from 0; the batch axis is refused."""
    rank, given = len(call.shapes[0]), 0 if call[name] is None else call[name]
    axis = given % rank
    require(axis != 0, f"it is along axis {given}, the batch axis")
    return int(axis)


def _chunk(call: Call) -> list[Layer]:
    axis = _axis(call)
    size = -(-call.shapes[0][axis] // call["chunks"])
    if axis > 1:
        call.bound.append("its parts are computed")
    return _piece(call, axis, size * (call.part or 0))


def _split(call: Call) -> list[Layer]:
    axis, told, part = _axis(call), call["split_size"], call.part or 0
    sizes = [told] * (part + 1) if isinstance(told, int) else list(told)
    return _piece(call, axis, list(accumulate(sizes, initial=0))[part])


def _piece(call: Call, axis: int, start: int) -> list[Layer]:
    """Return the layer for a part that begins at `start` and is as long as the result."""
    return [Slice(axis, start, start + call.result[axis])]


def _unbind(call: Call) -> list[Layer]:
    return _selected(call, _axis(call), call.part or 0)


def _select(call: Call) -> list[Layer]:
    axis = _axis(call)
    return _selected(call, axis, _numbers(call["index"], call.shapes[0][axis])[0])


def _selected(call: Call, axis: int, index: int) -> list[Layer]:
    """Return the layers for one cell along an axis, and for the axis removed."""
    layers = cells(axis, [index], call.shapes[0][axis])
    return layers + _to_result(layers, call)


def _slice(call: Call) -> list[Layer]:
    axis = (call["dim"] or 0) % len(call.shapes[0])
    return _along(axis, slice(call["start"], call["end"], call["step"]), call.shapes[0][axis])


def _narrow(call: Call) -> list[Layer]:
    axis = _axis(call)
    return _piece(call, axis, call["start"] % call.shapes[0][axis])


def _index_select(call: Call) -> list[Layer]:
    axis = _axis(call)
    return _along(axis, call["index"], call.shapes[0][axis])


def _flip(call: Call) -> list[Layer]:
    return [Slice(axis, step=-1) for axis in _dims(call, "dims")]


# ---- order and shape ---------------------------------------------------------------------------------------------


def _reshape(call: Call) -> list[Layer]:
    return reshaped(call.shapes[0], call.result)


def check_samples_stay(call: Call) -> None:
    """Raise ConversionError if a reshape leaves a single sample without a batch axis."""
    (before,) = call.shapes
    require(
        before[0] != 1 or len(call.result) > 1,
        f"from {before} to {call.result}, it removes the batch axis when there is one sample; use x.flatten(1) instead",
    )


def _permute(call: Call) -> list[int]:
    rank = len(call.shapes[0])
    return [d % rank for d in call["dims"]]


def _transpose(call: Call) -> list[int]:
    axes = list(range(len(call.shapes[0])))
    first, second = call["dim0"], call["dim1"]
    axes[first], axes[second] = axes[second], axes[first]
    return axes


def _movedim(call: Call) -> list[int]:
    rank = len(call.shapes[0])
    source, target = ([d % rank for d in sequence(call[name])] for name in ("source", "destination"))
    axes = [axis for axis in range(rank) if axis not in source]
    for to, axis in sorted(zip(target, source, strict=True)):
        axes.insert(to, axis)
    return axes


def _last_two(call: Call) -> list[int]:
    rank = len(call.shapes[0])
    return [*range(rank - 2), rank - 1, rank - 2]


ORDERS: Mapping[str, Callable[[Call], list[int]]] = {
    "mT": _last_two,
    "movedim": _movedim,
    "permute": _permute,
    "transpose": _transpose,
}
"""The operations that change the order of the axes: axis k of the result is the axis at k in the list."""


def _ordered(call: Call) -> list[Layer]:
    axes = ORDERS[call.name](call)
    return [] if axes == list(range(len(axes))) else [Permute(tuple(axes))]


# ---- copies ------------------------------------------------------------------------------------------------------


def repeated(call: Call) -> list[tuple[int, list[Layer]]]:
    """Return, for each axis that is repeated, how many copies of an activation there are, and the layers of these."""
    before, after = call.shapes[0], call.result
    require(len(before) == len(after), f"from {before} to {after}, it adds axes; add them first, as in x[:, None]")
    require(before[0] == after[0], f"from {before} to {after}, it repeats the samples")
    require(
        call.name != "repeat_interleave" or isinstance(call["repeats"], int),
        "it repeats each cell another number of times; only one number for all is supported",
    )
    counts = [m // n for n, m in zip(before, after, strict=True)]
    found, shape = [], before
    for axis, copies in [(axis, n) for axis, n in enumerate(counts) if n > 1]:
        layers: list[Layer] = [Concat(axis)]
        if call.name == "repeat_interleave" and shape[axis] > 1:
            order = [*range(axis), axis + 1, axis, *range(axis + 2, len(shape) + 1)]
            layers += [Reshape((*shape[1:axis], copies, *shape[axis:])), Permute(tuple(order)), Reshape(after[1:])]
        shape = (*shape[:axis], copies * shape[axis], *shape[axis + 1 :])
        found.append((copies, layers))
    return found


def _copy(call: Call) -> list[Layer]:
    return [layer for _, layers in repeated(call) for layer in layers]


REPEATING = ("expand", "repeat", "repeat_interleave")
"""The operations that `repeated` converts."""


def _stack(call: Call) -> list[Layer]:
    """Return the layers that join activations along a new axis: along the next one, which is then split."""
    rank, copies = len(call.result), len(call["tensors"])
    axis = (call["dim"] or 0) % rank
    require(axis != 0, "torch.stack along axis 0 puts another axis before the batch axis; use dim=1 or more")
    require(len(call.shapes) == copies, "constants cannot be stacked with activations")
    at = min(axis, rank - 2)
    before = call.shapes[0]
    apart = Reshape((*before[1:at], copies, *before[at:]))
    joined: list[Layer] = [Concat(at), apart] if copies > 1 else [apart]
    return joined if at == axis else [*joined, Permute((*range(at), at + 1, at))]


# ---- reductions --------------------------------------------------------------------------------------------------


def _dims(call: Call, name: str = "dim") -> Shape:
    """Return the axes of a reduction, counted from 0; all of them together, or the batch axis, are refused."""
    given = call[name]
    require(given is not None and sequence(given) != [], "it is over all axes, including the batch axis")
    axes = tuple(sorted(d % len(call.shapes[0]) for d in sequence(given)))
    require(0 not in axes, f"it is over axes {given}, which include the batch axis")
    return axes


def sequence(value: Any) -> list[int]:
    """Return one number or several as a list."""
    return list(value) if isinstance(value, Sequence) else [value]


def _sum(call: Call) -> list[Layer]:
    return [Sum(_dims(call), bool(call["keepdim"]))]


def mean(call: Call) -> list[Layer]:
    """Return the layer for a mean over axes."""
    return [Mean(_dims(call), bool(call["keepdim"]))]


def _max(call: Call) -> list[Layer]:
    require(not call.part, "the indices of the maxima are not activations; only the maxima are supported")
    return [Max(_dims(call), bool(call["keepdim"]))]


# ---- products ----------------------------------------------------------------------------------------------------


def product(shapes: Sequence[Shape]) -> list[Layer]:
    """Return the layer for the product of two activations."""
    first, second = shapes
    require(
        len(first) == len(second) and first[0] == second[0],
        f"cannot multiply activations of shapes {first} and {second}; both need the same number of axes",
    )
    return [Multiply()]


PARAMETERS: Mapping[str, str] = {
    "amax": "input dim keepdim",
    "channel_shuffle": "input groups",
    "chunk": "input chunks dim",
    "flip": "input *dims",
    "getitem": "input index",
    "expand": "input *sizes",
    "expand_as": "input",
    "index": "input indices",
    "index_select": "input dim index",
    "max": "input dim keepdim",
    "mT": "input",
    "movedim": "input source destination",
    "narrow": "input dim start length",
    "permute": "input *dims",
    "pixel_shuffle": "input upscale_factor",
    "pixel_unshuffle": "input downscale_factor",
    "repeat": "input *sizes",
    "repeat_interleave": "input repeats dim",
    "select": "input dim index",
    "slice": "input dim start end step",
    "split": "input split_size dim",
    "stack": "tensors dim",
    "sum": "input dim keepdim",
    "transpose": "input dim0 dim1",
    "unbind": "input dim",
}

MODULES: Mapping[str, str] = {
    "ChannelShuffle": "channel_shuffle",
    "PixelShuffle": "pixel_shuffle",
    "PixelUnshuffle": "pixel_unshuffle",
}

SPELLINGS: Mapping[str, str] = {
    "adjoint": "mT",
    "broadcast_to": "expand",
    "expand_as": "expand",
    "mH": "mT",
    "moveaxis": "movedim",
    "native_channel_shuffle": "channel_shuffle",
    "split_with_sizes": "split",
    "swapaxes": "transpose",
    "swapdims": "transpose",
    "tile": "repeat",
}

RENAMED: Mapping[str, str] = {
    "tensor": "input",
    "split_size_or_sections": "split_size",
    "split_sizes": "split_size",
    "axis0": "dim0",
    "axis1": "dim1",
}

OPERATIONS: Mapping[str, Callable[[Call], list[Layer]]] = {
    "amax": _max,
    "channel_shuffle": lambda call: [ChannelShuffle(call["groups"])],
    "chunk": _chunk,
    "flip": _flip,
    "getitem": _getitem,
    "index": _index,
    "index_select": _index_select,
    "max": _max,
    "narrow": _narrow,
    "pixel_shuffle": lambda call: [PixelShuffle(call["upscale_factor"])],
    "pixel_unshuffle": lambda call: [PixelUnshuffle(call["downscale_factor"])],
    "reshape": _reshape,
    "select": _select,
    "slice": _slice,
    "split": _split,
    "stack": _stack,
    "sum": _sum,
    "unbind": _unbind,
    **dict.fromkeys(ORDERS, _ordered),
    **dict.fromkeys(REPEATING, _copy),
}
