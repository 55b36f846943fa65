"""Functions that forward writes as several operations: GELU with a cube or with erf, and norms with means and roots.

They are recognised by what they compute, not by how they are written: an expression of one activation and of constant
numbers that agrees with a layer wherever it is tried becomes that layer. The forward check of the import then compares
it with the module once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...layers import GELU, Layer, LayerNorm, RMSNorm
from ..graph import Shape
from .call import spelled
from .operations import operation

ROOTS = ("erf", "pow", "rsqrt", "sqrt", "square", "var")
"""The operations of which an expression must have one; none of them is supported by itself."""

PARTS = (*ROOTS, "add", "div", "identity", "mean", "mul", "neg", "rsub", "sub", "tanh")
"""The operations that an expression may consist of."""

LAST = ("div", "mul")
"""The operations that may be the last one."""

LONGEST = 12
"""The most operations of an expression."""

LARGEST_EPS = 0.1
"""The largest number that is tried as the eps of a norm."""

SCALES = np.repeat([1e-4, 1e-3, 1e-2, 0.1, 1.0, 3.0, 10.0], 4)
"""The scales of the samples on which expressions are tried."""

Found = tuple[Any, str, Mapping[str, Any]]
"""The node that an expression is a function of, the operation that it is, and the arguments of this operation."""


def recognised(tracer: Any, nodes: Sequence[Any]) -> dict[Any, Found]:
    """Return the expressions that are one operation, by their last node."""
    found: dict[Any, Found] = {}
    if not any(_name(node) in ROOTS for node in nodes):
        return found
    order = {node: k for k, node in enumerate(nodes)}
    for node in nodes:
        for variable, parts in _expressions(tracer, node, order) if _name(node) in LAST else ():
            one = _one(tracer, variable, sorted(parts, key=order.__getitem__))
            if one is not None:  # a longer one may follow: u / sqrt(mean(u^2) + eps), where u is x - mean(x)
                found[node] = variable, *one
    return found


def _name(node: Any) -> str:
    """Return the operation of a function, method or operator."""
    if node.op not in ("call_function", "call_method"):
        return node.op
    spelling = spelled(node.target)
    return operation(spelling) or spelling.removesuffix("_")


def _expressions(tracer: Any, last: Any, order: Mapping[Any, int]) -> Iterator[tuple[Any, list[Any]]]:
    """Yield the nodes of which a node is a function of one variable, and the nodes in between."""
    parts = [last]
    while len(parts) <= LONGEST and not any(tracer.overwritten[part] for part in parts):
        read = {i for part in parts for i in part.all_input_nodes if i not in parts}
        variables = {i for i in read if "values" in tracer.whole(i)}
        if not variables or not all(_is_number(tracer.values[i]) for i in read - variables):
            return
        if len(variables) == 1 and any(_name(part) in ROOTS for part in parts):
            yield next(iter(variables)), parts
        latest = max(variables, key=order.__getitem__)
        if _name(latest) not in PARTS:
            return
        parts = [*parts, latest]


def _one(tracer: Any, variable: Any, parts: Sequence[Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Return the operation that an expression of a variable is, and its arguments; None for an unknown one."""
    shape = tuple(tracer.values[variable].shape)
    if len(shape) < 2:
        return None
    x = _tried((len(SCALES), *(2,) * (len(shape) - 2), shape[-1]))
    y = tracer.computed(parts, variable, x)
    if y is None or y.shape != x.shape:
        return None
    for layer, name, told in _candidates(shape[-1], _numbers(tracer, parts)):
        if np.all(abs(layer.forward(x) - y) <= 1e-11 * np.maximum(1, abs(x))):
            return name, told
    return None


def _tried(shape: Shape) -> np.ndarray:
    """Return random numbers on which expressions are tried; samples have several scales, half of them an offset."""
    rng = np.random.default_rng(0)
    later = (1,) * (len(shape) - 1)
    offset = np.where(np.arange(shape[0]) % 2, 1.0, 0.0)
    return np.asarray(SCALES.reshape(-1, *later) * (rng.normal(size=shape) + offset.reshape(-1, *later)))


def _numbers(tracer: Any, parts: Sequence[Any]) -> list[float]:
    """Return the constants of an expression."""
    given = [value for part in parts for value in (*part.args, *part.kwargs.values())]
    given = [tracer.values[value] if hasattr(value, "all_input_nodes") else value for value in given]
    return sorted({float(value) for value in given if _is_number(value)})


def _is_number(value: Any) -> bool:
    """Whether a value is one number, perhaps in a tensor."""
    return isinstance(value, int | float) or (hasattr(value, "numel") and value.numel() == 1)


def _candidates(n: int, numbers: Sequence[float]) -> Iterator[tuple[Layer, str, Mapping[str, Any]]]:
    """Yield the layers that an expression with these constants may be, each as an operation with its arguments."""
    yield GELU(), "gelu", {}
    yield GELU("tanh"), "gelu", {"approximate": "tanh"}
    for eps in numbers:
        if 0 < eps <= LARGEST_EPS:
            yield LayerNorm((n,), eps=eps), "layer_norm", {"normalized_shape": (n,), "eps": eps}
            yield RMSNorm((n,), eps=eps), "rms_norm", {"normalized_shape": (n,), "eps": eps}
