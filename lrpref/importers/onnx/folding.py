"""Operations of an ONNX file that depend on constants and shapes only: which are computed, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from math import ceil, prod
from typing import Any

import numpy as np

from ..._support.untrusted import MAX_AXES
from ..graph import Shape, require

_BROADCAST = (
    *("Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul"),
    *("Or", "Pow", "Sub", "Sum", "Where", "Xor"),
)
_COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
_ROUNDED = ("Cast", "Ceil", "Floor", "Round")

FOLDED = tuple(
    sorted(
        (
            *_BROADCAST,
            *_ROUNDED,
            *(
                "Abs",
                "CastLike",
                "Concat",
                "ConstantOfShape",
                "DequantizeLinear",
                "Exp",
                "Expand",
                "EyeLike",
                "Flatten",
            ),
            *("Gather", "Identity", "Log", "Neg", "Not", "Range", "Reciprocal", "ReduceL2", "ReduceMax", "ReduceMean"),
            *("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Reshape", "Shape", "Size", "Slice", "Split"),
            *("Sqrt", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
        )
    )
)
"""The operations that are computed during the import if they depend only on constants and shapes."""

NEAR = 1e-4
"""How close to an integer a number may be, relative to it, without being one, before float32 may round it elsewhere."""


def folded_size(node: Any, values: Sequence[np.ndarray]) -> int:
    """Return how many elements, at most, an operation on constants has; raises for inputs that do not fit."""
    kind, first = node.op_type, values[0] if values else np.zeros(0)
    if kind == "ConstantOfShape":
        return prod(map(abs, _sizes(first)))
    if kind == "Expand":
        return _broadcast(first.shape, _sizes(values[1]))
    if kind == "Tile":
        return first.size * prod(map(abs, _sizes(values[1])))
    if kind == "Range":
        start, limit, step = (_integer(value) for value in values)
        require(step != 0, "a range with a step of 0")
        return max(ceil((limit - start) / step), 0)
    if kind in _BROADCAST:
        return _broadcast(*(value.shape for value in values))
    if kind == "Gather":
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        return int(first.size // max(first.shape[axis], 1) * values[1].size)
    return MAX_AXES if kind == "Shape" else sum(value.size for value in values)


def check_rounding(node: Any, values: Sequence[np.ndarray]) -> None:
    """Raise ConversionError if float32, in which the file computes, may give other integers than float64 does."""
    floats = [value for value in values if value.dtype.kind == "f"]
    if node.op_type in _COMPARISONS:
        require(not floats, "a comparison of numbers that are not integers may differ between float32 and float64")
    if node.op_type not in _ROUNDED or (node.op_type == "Cast" and _to_float(node)):
        return
    for value in floats:
        off = abs(value - np.rint(value))
        require(
            not bool(np.any((off > 0) & (off < NEAR * np.maximum(abs(value), 1)))),
            "it rounds a number that is almost an integer, which may differ between float32 and float64",
        )


def _to_float(node: Any) -> bool:
    """Whether a Cast makes floating-point numbers: those of the twin are all float64."""
    return any(attribute.name == "to" and attribute.i == 11 for attribute in node.attribute)


def _sizes(value: np.ndarray) -> Shape:
    """Return a shape that is given as an array."""
    require(value.size <= MAX_AXES, f"a shape of {value.size} axes; at most {MAX_AXES} are supported")
    return tuple(value.ravel().tolist())


def _broadcast(*shapes: Shape) -> int:
    """Return the size of the result of broadcasting, at most; it need not be possible."""
    return prod(max(map(abs, sizes)) for sizes in zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1))


def _integer(value: np.ndarray) -> int:
    """Return the integer in an array of one number, of any dtype."""
    number = value.item()
    require(
        number == number and abs(number) < 2**62 and int(number) == number, "a range of numbers that are not integers"
    )
    return int(number)
