"""Expand what an ONNX file writes more than once or under a condition: functions of its own, and branches of If.

A function that calls two others that call two others ... is short in the file and long once it is expanded, so the
length is computed first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np

from ..._support.extras import library
from ..._support.untrusted import MAX_DEPTH, MAX_ENTRIES
from ...errors import ConversionError, WeightsError
from ..graph import require

Key = tuple[str, str, str]
"""A function's domain, name and overload."""

MAX_EXPANDED = 2**24
"""The most bytes of the operations of a file whose functions are expanded, without weights."""


def inlined(onnx: Any, proto: Any) -> Any:
    """Return a model without functions and without conditions that are constant."""
    if proto.functions:
        _check_functions(proto)
        proto = library("onnx.inliner", "onnx", "ONNX files").inline_local_functions(proto)
    if any(node.op_type == "If" for node in proto.graph.node):
        known = {tensor.name: tensor for tensor in proto.graph.initializer}
        nodes = list(_without_conditions(onnx, proto.graph, proto.graph.node, known))
        del proto.graph.node[:]
        proto.graph.node.extend(nodes)
    return proto


def _check_functions(proto: Any) -> None:
    """Raise unless the expanded model has a bounded number of operations and bytes, and calls of a bounded depth."""
    functions = {(f.domain, f.name, f.overload): f for f in proto.functions}
    require(len(functions) <= MAX_ENTRIES, f"it has {len(functions)} functions; at most {MAX_ENTRIES} are supported")
    calls = {key: [called for called in map(_key, _all(f.node)) if called in functions] for key, f in functions.items()}
    try:
        order = list(TopologicalSorter(calls).static_order())
    except CycleError as error:
        raise WeightsError(f"its function {error.args[1][0][1]!r} calls itself") from error
    sizes: dict[Key, tuple[int, int, int]] = {}
    for key in order:
        sizes[key] = _expanded(functions[key].node, sizes)
    count, total, depth = _expanded(proto.graph.node, sizes)
    require(
        count <= MAX_ENTRIES and total <= MAX_EXPANDED and depth <= MAX_DEPTH,
        f"with its functions expanded, it has {count} operations of {total} bytes in {depth} levels; at most "
        f"{MAX_ENTRIES} operations of {MAX_EXPANDED} bytes in {MAX_DEPTH} levels are supported",
    )


def _expanded(nodes: Any, sizes: Mapping[Key, tuple[int, int, int]]) -> tuple[int, int, int]:
    """Return the number of operations with all calls expanded, their bytes, and the depth of the calls."""
    count = total = depth = 0
    for node in _all(nodes):
        more, size, below = sizes.get(_key(node), (1, 0, 0))
        count, total, depth = count + more, total + size + node.ByteSize(), max(depth, below + 1)
    return count, total, depth


def _key(node: Any) -> Key:
    """Return what identifies the function that an operation calls."""
    return node.domain, node.op_type, node.overload


def _all(nodes: Any) -> Iterator[Any]:
    """Yield operations and those of their branches and bodies."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _all(graph.node)


def _without_conditions(onnx: Any, graph: Any, nodes: Any, known: dict[str, Any]) -> Iterator[Any]:
    """Yield the operations, with the taken branch in place of each If whose condition is a constant of the file."""
    for node in nodes:
        if node.op_type == "Constant":
            known.update((node.output[0], a.t) for a in node.attribute if a.name == "value")
        if node.op_type != "If" or node.input[0] not in known:
            yield node
            continue
        taken = "then_branch" if _truth(onnx, known[node.input[0]]) else "else_branch"
        branch = next((a.g for a in node.attribute if a.name == taken), None)
        if branch is None or len(branch.output) != len(node.output):
            raise ConversionError(f"the If {node.name or node.output[0]!r} has no {taken} with its outputs")
        known |= {tensor.name: tensor for tensor in branch.initializer}
        graph.initializer.extend(branch.initializer)
        yield from _without_conditions(onnx, graph, branch.node, known)
        for source, target in zip(branch.output, node.output, strict=True):
            yield onnx.helper.make_node("Identity", [source.name], [target])


def _truth(onnx: Any, tensor: Any) -> bool:
    """Return the condition in a tensor, which must be one boolean."""
    require(
        tensor.data_type == onnx.TensorProto.BOOL and list(tensor.dims) in ([], [1]) and not tensor.external_data,
        "the condition of an If must be one boolean",
    )
    return bool(np.ravel(onnx.numpy_helper.to_array(tensor))[0])
