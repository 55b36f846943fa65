"""Activations that exporters write as several operations, such as x * sigmoid(x) for a SiLU.

They are recognised by what they compute, not by how they are written: an expression of a single value and of constant
numbers that agrees with an activation wherever it is tried becomes that activation. The forward check of the import
then compares it with the file once more.

Exporters round constants such as the square root of 2 to float32. Where an expression is recognised, such a constant is
read as the number that it stands for, in the network and in the check alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from ...errors import LrprefError
from ...layers import GELU, HardSigmoid, HardSwish, Layer, Mish, SiLU, Softplus, Softsign, Threshold
from .evaluator import MEANT, evaluated, meant

CURVED = (
    *("Abs", "Clip", "Erf", "Exp", "Greater", "HardSigmoid", "LessOrEqual", "Log", "Pow", "Relu", "Sigmoid"),
    *("Softplus", "Tanh", "Where"),
)
LAST = ("Div", "Mul", "Where")
"""The operations that may be the last one of an activation."""

PARTS = (*CURVED, "Add", "Div", "Mul", "Neg", "Sub")
"""The operations that an activation may consist of; one of them must be curved."""

LONGEST = 12
"""The most operations of an activation."""

UNBOUNDED = 1e6
"""The threshold of a Softplus that has none."""

MAX_TRIES = 1000
"""The most expressions of a file that are tried, in about three seconds."""

LARGEST, MAX_NUMBERS = 1e6, 4
"""The largest constants that are looked at, and the most of them, for activations with parameters of their own."""


@dataclass(frozen=True)
class Found:
    """An activation, and the value that it is applied to.

    Parameters
    ----------
    read : str
        The value in the file.
    layer : Layer
        The activation.
    meant : mapping of str to array
        The constants of the file that are rounded, and the numbers that they stand for.
    """

    read: str
    layer: Layer
    meant: Mapping[str, np.ndarray] = field(default_factory=dict)


def activations(onnx: Any, nodes: Sequence[Any], constants: Mapping[str, np.ndarray], opset: int) -> dict[str, Found]:
    """Return the activations that consist of several operations, by the name of their output."""
    makers = {name: k for k, node in enumerate(nodes) for name in node.output}
    found: dict[str, Found] = {}
    tries = 0
    for k, node in enumerate(nodes):
        for read, parts in _expressions(k, nodes, makers, constants) if node.op_type in LAST else ():
            tries += 1
            one = _recognised(onnx, [nodes[i] for i in parts], read, constants, opset) if tries <= MAX_TRIES else None
            if one is not None:
                found[node.output[0]] = one
                break
    return found


def reached(nodes: Sequence[Any], output: str, found: Mapping[str, Found]) -> set[str]:
    """Return the outputs of all operations that the file's output depends on, given the activations."""
    wanted = {output}
    for node in reversed(nodes):
        if name := next((name for name in node.output if name in wanted), ""):
            wanted.update([found[name].read] if name in found else node.input, node.output)
    return wanted


def _expressions(
    last: int, nodes: Sequence[Any], makers: Mapping[str, int], constants: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, list[int]]]:
    """Yield the values of which an operation is a function of one variable, and the operations in between, in order."""
    parts = [last]
    while len(parts) <= LONGEST:
        made = {name for k in parts for name in nodes[k].output}
        read = {name for k in parts for name in nodes[k].input if name} - made
        held = [constants[name] for name in read & constants.keys()]
        if any(value.size != 1 or value.dtype.kind not in "fiu" for value in held):
            return
        variables = read - constants.keys()
        if len(variables) == 1 and any(nodes[k].op_type in CURVED for k in parts):
            yield next(iter(variables)), sorted(parts)
        latest = max((makers.get(name, -1) for name in variables), default=-1)
        if latest < 0 or nodes[latest].op_type not in PARTS:
            return
        parts.append(latest)


def _recognised(
    onnx: Any, parts: Sequence[Any], read: str, constants: Mapping[str, np.ndarray], opset: int
) -> Found | None:
    """Return the activation that the operations compute, if there is one."""
    used = {name: constants[name] for node in parts for name in node.input if name in constants}
    used = {name: np.full(value.shape, meant(float(value.item()))) for name, value in used.items()}
    numbers = sorted({float(value.item()) for value in used.values() if abs(value.item()) <= LARGEST})
    x = np.concatenate([np.linspace(-30, 30, 241), numbers, np.add(numbers, 1e-3)])
    try:
        y = evaluated(_model(onnx, parts, read, used, opset), {**used, read: x}, parts[-1].output[0])
    except LrprefError:
        return None
    for layer in _candidates(parts, numbers):
        with np.errstate(all="ignore"):
            agrees = y.shape == x.shape and np.all(abs(layer.forward(x) - y) <= 1e-12 * np.maximum(1, abs(x)))
        if agrees:
            rounded = {name: value for name, value in used.items() if constants[name].item() in MEANT}
            return Found(read, layer, rounded)
    return None


def _candidates(parts: Sequence[Any], numbers: Sequence[float]) -> Iterator[Layer]:
    """Yield the activations that operations with these constants may be."""
    yield from (SiLU(), GELU(), GELU("tanh"), Mish(), Softsign(), HardSwish(), HardSigmoid())
    kinds = {node.op_type for node in parts}
    if len(numbers) > MAX_NUMBERS:
        return
    if "Where" in kinds:
        yield from (Threshold(*pair) for pair in product(numbers, repeat=2))
    if "Softplus" in kinds:
        sharpness = {1.0, *(n for n in numbers if n > 0)}
        yield from (Softplus(*pair) for pair in product(sharpness, (*numbers, UNBOUNDED)))


def _model(onnx: Any, parts: Sequence[Any], read: str, used: Mapping[str, np.ndarray], opset: int) -> Any:
    """Return a model of the operations alone, in float64."""
    kinds, double = onnx.helper, onnx.TensorProto.DOUBLE
    values = [kinds.make_tensor_value_info(name, double, value.shape) for name, value in used.items()]
    given = [kinds.make_tensor_value_info(read, double, (None,)), *values]
    output = kinds.make_tensor_value_info(parts[-1].output[0], double, (None,))
    graph = kinds.make_graph(list(parts), "lrpref", given, [output])
    return kinds.make_model(graph, opset_imports=[kinds.make_opsetid("", opset)])
