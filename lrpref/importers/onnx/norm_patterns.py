"""Norms that exporters write as several operations of ONNX, recognised and replaced by one operation each.

    GroupNormalization    Reshape, InstanceNormalization, Reshape [, Mul, Add]
    LayerNormalization    ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div [, Mul, Add]
    RMSNormalization      Pow, ReduceMean, Add, Sqrt, Div or Reciprocal and Mul [, Mul]

PyTorch writes these for opsets that lack the operation. What they compute in between stays in the graph, where it is
left out if nothing else reads it, and is refused by name otherwise. Norms of constants are left as they are, and
computed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NORM_PARTS = ("Pow", "Reciprocal", "Sqrt")
"""The operations that are supported only as parts of a norm, or of an activation."""


@dataclass(frozen=True)
class Found:
    """A recognised norm.

    Parameters
    ----------
    op : str
        The operation that computes the same.
    x : str
        Its input.
    last : node
        The last operation of the pattern so far, without factor and shift.
    attributes : mapping of str to value
        Its attributes.
    """

    op: str
    x: str
    last: Any
    attributes: Mapping[str, Any]


def norms(onnx: Any, nodes: Sequence[Any], constants: Mapping[str, np.ndarray]) -> list[Any]:
    """Return the operations, with one in place of the last of each recognised norm."""
    patterns, made_of, fixed = _Patterns(nodes, constants), {}, set(constants)
    for node in nodes:
        if fixed.issuperset(name for name in node.input if name):
            fixed.update(node.output)
            continue
        found = patterns.group_norm(node) or patterns.layer_norm(node) or patterns.rms_norm(node)
        if found is not None:
            factor, last = patterns.followed_by("Mul", found.last)
            shift, last = ("", last) if found.op == "RMSNormalization" else patterns.followed_by("Add", last)
            read = [found.x, factor, shift]
            made = onnx.helper.make_node(found.op, read, [last.output[0]], name=last.name, **found.attributes)
            made.metadata_props.extend(last.metadata_props)
            made_of[last.output[0]] = made
    return [made_of.get(node.output[0], node) for node in nodes]


class _Patterns:
    """The operations by what they compute and by what they read, and the constants."""

    def __init__(self, nodes: Sequence[Any], constants: Mapping[str, np.ndarray]) -> None:
        self.constants = constants
        self.made = {name: node for node in nodes for name in node.output}
        self.readers: dict[str, list[Any]] = defaultdict(list)
        for node in nodes:
            for name in node.input:
                self.readers[name].append(node)

    def group_norm(self, node: Any) -> Found | None:
        """An InstanceNormalization without factor and shift between two Reshapes to groups and back."""
        before, after = self.source(node, 0, "Reshape"), self.only_reader(node, "Reshape")
        if node.op_type != "InstanceNormalization" or before is None or after is None:
            return None
        shape = self.constant(before, 1)
        plain = [self.constant(node, k) for k in (1, 2)]
        if shape is None or shape.size != 3 or shape[1] < 1 or shape[2] != -1:
            return None
        if any(v is None or np.any(v != one) for v, one in zip(plain, (1, 0), strict=True)):
            return None
        told = {"num_groups": int(shape[1]), "broadcast": 1, **_epsilon_of(node)}
        return Found("GroupNormalization", before.input[0], after, told)

    def layer_norm(self, node: Any) -> Found | None:
        """(x - mean) / sqrt(mean((x - mean)^2) + eps), both means over the same axes."""
        centred = self.source(node, 0, "Sub")
        if node.op_type != "Div" or centred is None:
            return None
        x, mean = centred.input[0], self.source(centred, 1, "ReduceMean")
        root = self.root_mean_square(node, 1, centred.output[0])
        if mean is None or root is None or mean.input[0] != x or self.axes(mean) != root["axes"]:
            return None
        return Found("LayerNormalization", x, node, root)

    def rms_norm(self, node: Any) -> Found | None:
        """x / sqrt(mean(x^2) + eps), or x times the reciprocal of the root."""
        if node.op_type not in ("Div", "Mul") or len(node.input) != 2:
            return None
        for k in (0, 1) if node.op_type == "Mul" else (1,):
            x, divisor = node.input[1 - k], node
            if node.op_type == "Mul":
                divisor = self.source(node, k, "Reciprocal")
            root = None if divisor is None else self.root_mean_square(divisor, len(divisor.input) - 1, x)
            if root is not None:
                return Found("RMSNormalization", x, node, root)
        return None

    def root_mean_square(self, node: Any, k: int, x: str) -> dict[str, Any] | None:
        """The axes and the epsilon, if input k of the node is sqrt(mean(x^2) + eps); else None."""
        root = self.source(node, k, "Sqrt")
        added = None if root is None else self.source(root, 0, "Add")
        if added is None:
            return None
        for i in (0, 1):
            mean, eps = self.source(added, i, "ReduceMean"), self.constant(added, 1 - i)
            if mean is not None and eps is not None and eps.size == 1 and self.is_square(mean.input[0], x):
                axes = self.axes(mean)
                return None if axes is None else {"axes": axes, "epsilon": float(eps.ravel()[0])}
        return None

    def is_square(self, name: str, x: str) -> bool:
        """Whether a value is x * x or x ** 2."""
        node = self.made.get(name)
        if node is None or node.op_type not in ("Mul", "Pow") or node.input[0] != x:
            return False
        power = self.constant(node, 1)
        return node.input[1] == x if node.op_type == "Mul" else power is not None and bool(np.all(power == 2))

    def axes(self, mean: Any) -> list[int] | None:
        """The axes of a ReduceMean that keeps them with size 1; None if it does not."""
        attributes = {a.name: a for a in mean.attribute}
        told = self.constant(mean, 1)
        axes = attributes["axes"].ints if "axes" in attributes else [] if told is None else told.ravel().tolist()
        kept = "keepdims" not in attributes or attributes["keepdims"].i == 1
        return sorted(map(int, axes)) if kept and len(axes) else None

    def followed_by(self, op: str, node: Any) -> tuple[str, Any]:
        """The constant that the only reader multiplies by or adds, and that reader; "" and the node itself if none."""
        reader = self.only_reader(node, op)
        found = [] if reader is None else [name for name in reader.input if name in self.constants]
        return (found[0], reader) if found else ("", node)

    def only_reader(self, node: Any, op: str) -> Any:
        """The operation that alone reads a node's output, if it is of type `op`; else None."""
        readers = self.readers[node.output[0]]
        return readers[0] if len(readers) == 1 and readers[0].op_type == op else None

    def source(self, node: Any, k: int, op: str) -> Any:
        """The operation that computes input k of a node, if it is of type `op`; else None."""
        found = self.made.get(node.input[k]) if k < len(node.input) else None
        return found if found is not None and found.op_type == op else None

    def constant(self, node: Any, k: int) -> np.ndarray | None:
        """Input k of a node, if it is a constant."""
        return self.constants.get(node.input[k]) if k < len(node.input) else None


def _epsilon_of(node: Any) -> dict[str, Any]:
    """The attribute "epsilon" of an operation, where it is given."""
    return {a.name: a.f for a in node.attribute if a.name == "epsilon"}
