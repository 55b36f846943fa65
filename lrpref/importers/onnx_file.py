"""An ONNX file, read with care: sizes are checked before anything is allocated, and weights outside stay inside.

The file is parsed by the onnx package. Weights may lie in files beside it ("external data"): those must be plain
files in the same folder or below, and as long as the model says. Only what the wanted output depends on is read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .._support.extras import library
from ..errors import ConversionError, LrprefError, WeightsError
from ..weights.state_dict import as_array
from .graph import Shape, require

DOMAINS = ("", "ai.onnx")
"""The operators of ONNX itself; those of other domains are not read."""


FLOATING = (0, 1, 10, 11, 16)
"""onnx.TensorProto's numbers for undefined, float32, float16, float64 and bfloat16."""


@dataclass(frozen=True)
class Model:
    """What a file says, up to one of its outputs.

    nodes      the operations that the output depends on, in order (onnx.NodeProto), without Constants
    constants  the weights that they read and the values of Constants, by name; half precision is float32 already
    opset      the version of ONNX's operators
    input      the name of the input; `shape` is its declared shape, None for an axis that is not fixed (or for all)
    output     the name of the output
    double     whether the input is declared in float64
    """

    nodes: tuple[Any, ...]
    constants: dict[str, np.ndarray]
    opset: int
    input: str
    shape: tuple[int | None, ...] | None
    output: str
    double: bool


def read_model(path: Path, output: str | None, max_bytes: int) -> Model:
    """The model in a file; raises WeightsError for a damaged file, ConversionError for what lrpref does not read."""
    onnx = library("onnx", "onnx", "ONNX files")
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    if path.stat().st_size > max_bytes:
        raise WeightsError(f"{path}: {path.stat().st_size} bytes, more than the {max_bytes} allowed")
    try:
        proto = onnx.load_model(path, format="protobuf", load_external_data=False)
        return _model(onnx, proto, path, output, max_bytes)
    except LrprefError as error:
        raise type(error)(f"{path}: {error}") from error
    except Exception as error:  # whatever the protocol buffers say: no message of theirs is a reason to go on
        raise WeightsError(f"{path}: not a readable ONNX file: {error}") from error


def _model(onnx: Any, proto: Any, path: Path, output: str | None, max_bytes: int) -> Model:
    graph = proto.graph
    if not proto.ir_version or not graph.node:
        raise WeightsError("not an ONNX file, or one without operations")
    output = _output(graph, output)
    nodes = _reaching(graph.node, output)
    stored = {tensor.name: tensor for tensor in graph.initializer}
    given = [value for value in graph.input if value.name not in stored]
    require(len(given) == 1, f"a network has one input, the file {len(given)}: {', '.join(v.name for v in given)}")
    kind = given[0].type.tensor_type
    require(kind.elem_type in FLOATING, "its input is not of floating-point numbers")
    dims = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in kind.shape.dim]
    versions = [entry.version for entry in proto.opset_import if entry.domain in DOMAINS]
    require(bool(versions), "it does not say which version of ONNX's operators it uses")
    read = {name for node in nodes for name in node.input}
    return Model(
        nodes=tuple(node for node in nodes if node.op_type != "Constant"),
        constants=_constants(onnx, {k: t for k, t in stored.items() if k in read}, nodes, path.parent, max_bytes),
        opset=max(versions),
        input=given[0].name,
        shape=tuple(dims) if kind.HasField("shape") else None,
        output=output,
        double=kind.elem_type == onnx.TensorProto.DOUBLE,
    )


def _output(graph: Any, output: str | None) -> str:
    """The output to import: the only one, or the one that was asked for."""
    names = [value.name for value in graph.output]
    require(bool(names), "it has no output")
    if output is None:
        require(len(names) == 1, f"it has {len(names)} outputs; say which: output= one of {', '.join(names)}")
        return str(names[0])
    require(output in names, f"it has no output {output!r}; there are: {', '.join(names)}")
    return output


def _reaching(nodes: Any, output: str) -> list[Any]:
    """The operations that the output depends on."""
    wanted, found = {output}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            found.append(node)
    return found[::-1]


# ---- weights ---------------------------------------------------------------------------------------------------


def _constants(
    onnx: Any, stored: dict[str, Any], nodes: list[Any], folder: Path, max_bytes: int
) -> dict[str, np.ndarray]:
    """The weights by name: those stored as such, and the values of Constant operations."""
    tensors, values = dict(stored), {}
    for node in nodes:
        for attribute in node.attribute if node.op_type == "Constant" and node.domain in DOMAINS else ():
            value = onnx.helper.get_attribute_value(attribute)
            if attribute.name == "value":
                tensors[node.output[0]] = value
            else:  # value_float, value_ints and their like
                values[node.output[0]] = np.asarray(value)
    total = sum(_checked_size(onnx, tensor, folder) for tensor in tensors.values())
    if total > max_bytes:
        raise WeightsError(f"its weights need {total} bytes, more than the {max_bytes} allowed")
    return values | {k: as_array(onnx.numpy_helper.to_array(t, str(folder))) for k, t in tensors.items()}


def _checked_size(onnx: Any, tensor: Any, folder: Path) -> int:
    """The bytes that a tensor needs, after it was found to be honest; raises WeightsError."""
    name = f"the weights {tensor.name!r}"
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except KeyError as error:
        raise ConversionError(f"{name} are of an unknown type {tensor.data_type}") from error
    half = str(dtype) == "bfloat16"
    require(half or dtype.kind in "fiub", f"{name} are of {dtype}, which lrpref does not read")
    if any(n < 0 for n in tensor.dims):
        raise WeightsError(f"{name} have a negative size: {tuple(tensor.dims)}")
    size = int(prod(tensor.dims) * dtype.itemsize)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        _check_external(tensor, folder, size)
    elif tensor.HasField("raw_data") and len(tensor.raw_data) != size:
        there = len(tensor.raw_data)
        raise WeightsError(f"{name} say they are {tuple(tensor.dims)}, {size} bytes, but there are {there}")
    return size


def _check_external(tensor: Any, folder: Path, size: int) -> None:
    """Raise WeightsError unless a tensor's bytes lie in a plain file of the folder, as many as it says."""
    name = f"the weights {tensor.name!r}"
    told = {entry.key: entry.value for entry in tensor.external_data}
    file = Path(os.path.realpath(folder / told.get("location", "")))
    if not file.is_relative_to(os.path.realpath(folder)):
        raise WeightsError(f"{name} lie outside the model's folder, at {told.get('location')!r}; that is not followed")
    if not file.is_file():
        raise WeightsError(f"{name} lie in {told.get('location')!r}, which is no file beside the model")
    offset, length = (int(told.get(key, default)) for key, default in (("offset", 0), ("length", size)))
    if length != size or not 0 <= offset <= file.stat().st_size - size:
        raise WeightsError(
            f"{name} need {size} bytes; {told.get('location')!r} of {file.stat().st_size} bytes has "
            f"{length} of them at {offset}"
        )


def fixed_shape(model: Model, given: Shape | None) -> Shape:
    """The input's shape, as the file says it and `given` says it of one input, with a batch of 2 where that is free.

    Raises ConversionError where the two differ, or leave an axis open.
    """
    told = model.shape or (None,) * (1 + len(given or ()))
    shape = tuple(n or m for n, m in zip(told, (2, *(given or told[1:])), strict=False))
    fits = given is None or (len(given) == len(told) - 1 and shape[1:] == given)
    require(fits, f"an input of {given}; the file takes {in_words(told[1:])}")
    if (model.shape is None and given is None) or None in shape:
        raise ConversionError(
            f"the file says its input's shape as {in_words(model.shape)}; give an example, or the shape"
        )
    return tuple(n for n in shape if n is not None)


def in_words(shape: tuple[int | None, ...] | None) -> str:
    """A shape with a ? for an axis that is not fixed."""
    return "nothing" if shape is None else f"({', '.join('?' if n is None else str(n) for n in shape)})"
