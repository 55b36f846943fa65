"""Operations on arrays of the file whose samples are not alone on the first axis (see `importers.mixed`)."""

from __future__ import annotations

from dataclasses import replace

from ..graph import require
from ..layout import Activation, Layout, plain
from ..mixed import groups_of
from .call import Call

LAST = ("MatMul", "Gemm", "Add", "Mul", "Div", "Softmax")
"""The operations that work along the last axes, and on each of their rows by itself."""


def as_own(call: Call) -> tuple[Call, Layout]:
    """Return an operation of `LAST` on arrays that are settled, as one on lrpref's arrays, and the result's layout."""
    require(
        call.op in LAST,
        f"axis 0 holds more than the samples, which is supported for {', '.join(LAST)} only",
    )
    groups = [groups_of(x) for x in call.activations]
    rows = len(groups[0]) - (2 if len(groups) > 1 else 1)
    alike = all(group[:rows] == groups[0][:rows] for group in groups)
    apart = not any(0 in axes for group in groups for axes in group[rows:])
    require(alike and apart, "it works along an axis that holds the samples")
    attributes = dict(call.attributes)
    if call.op == "Softmax":
        axis = attributes.get("axis", -1)
        require(call.opset >= 13 and axis in (-1, len(groups[0]) - 1), "it normalises an axis other than the last")
        attributes["axis"] = -1
    inputs = tuple(
        replace(value, layout=plain(len(value.shape))) if isinstance(value, Activation) else value
        for value in call.inputs
    )
    for value in call.inputs:
        constant = 0 if value is None or isinstance(value, Activation) else value.ndim
        require(constant < 2 or call.op in ("MatMul", "Gemm"), "its constant has several axes")
    return replace(call, inputs=inputs, attributes=attributes, merged=True), call.activations[0].layout
