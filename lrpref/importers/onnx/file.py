"""Read an untrusted ONNX file: sizes are checked before any memory is allocated, and files outside its folder refused.

The onnx package parses the file. Weights may be stored in files beside it ("external data"): these must be regular
files in the same folder or below, of the size that the model declares. Only what the requested output depends on is
read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..._support.extras import library
from ..._support.untrusted import MAX_AXES, MAX_ENTRIES, reason
from ...errors import ConversionError, LrprefError, WeightsError
from ...weights.state_dict import as_array
from ..graph import Shape, require
from .inlining import inlined

DOMAINS = ("", "ai.onnx")
"""The domains of ONNX's own operators."""

CLASSICAL = "ai.onnx.ml"
"""The domain of the operators of classical machine learning."""

FLOATING = (0, 1, 10, 11, 16)
"""The codes in onnx.TensorProto of undefined, float32, float16, float64 and bfloat16."""

INTEGERS = (6, 7)
"""The codes of int32 and int64, for inputs that are indices."""


Declared = tuple[int | None, ...] | None
"""The declared shape of an input."""


@dataclass(frozen=True)
class Model:
    """The content of a file that one of its outputs depends on.

    Parameters
    ----------
    nodes : tuple of onnx.NodeProto
        The operations in order, without Constants.
    constants : dict of str to array
        The weights, and the values of Constants; half precision is already converted to float32.
    opset : int
        The version of ONNX's operators.
    classical : int
        The version of the operators of classical machine learning; 0 if the file uses none.
    inputs : dict of str to (tuple of int or None) or None
        The names of the inputs and their declared shapes, None for each axis that is not fixed; None if no shape is
        declared.
    output : str
        The name of the output.
    double : bool
        Whether an input is declared as float64.
    counts : dict of str to int
        The inputs that are indices, and how many indices are known.
    """

    nodes: tuple[Any, ...]
    constants: dict[str, np.ndarray]
    opset: int
    classical: int
    inputs: dict[str, Declared]
    output: str
    double: bool
    counts: dict[str, int]


def read_model(path: Path, output: str | None, max_bytes: int) -> Model:
    """Read the model in a file; raises WeightsError if it is damaged, ConversionError if it is not supported."""
    onnx = library("onnx", "onnx", "ONNX files")
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    if path.stat().st_size > max_bytes:
        raise WeightsError(f"{path}: the file has {path.stat().st_size} bytes, more than max_bytes={max_bytes}")
    try:
        content = path.read_bytes()
        _check_structure(memoryview(content), _TENSORS)
        proto = onnx.load_model_from_string(content, format="protobuf")
        return _model(onnx, inlined(onnx, proto), path, output, max_bytes)
    except LrprefError as error:
        raise type(error)(f"{path}: {error}") from error
    except Exception as error:  # the parser of protocol buffers may raise anything
        raise WeightsError(f"{path}: not a readable ONNX file: {reason(error)}") from error


def _model(onnx: Any, proto: Any, path: Path, output: str | None, max_bytes: int) -> Model:
    """Extract the part of a parsed file that the output depends on."""
    graph = proto.graph
    if not proto.ir_version or not graph.node:
        raise WeightsError("the file is not an ONNX file, or has no operations")
    require(len(graph.node) <= MAX_ENTRIES, f"it has {len(graph.node)} operations; at most {MAX_ENTRIES} are supported")
    output = _output(graph, output)
    nodes = _reaching(graph.node, output)
    stored = {tensor.name: tensor for tensor in graph.initializer}
    stored_sparse = {tensor.values.name for tensor in graph.sparse_initializer}
    given = [value for value in graph.input if value.name not in stored and value.name not in stored_sparse]
    require(bool(given), "the file has no input")
    require(len(given) <= MAX_AXES, f"the file has {len(given)} inputs; at most {MAX_AXES} are supported")
    versions = [entry.version for entry in proto.opset_import if entry.domain in DOMAINS]
    require(bool(versions), "the file does not declare the version of ONNX's operators (opset) that it uses")
    read = {name for node in nodes for name in node.input}
    sparse = {tensor.values.name: tensor for tensor in graph.sparse_initializer if tensor.values.name in read}
    constants = _constants(onnx, {k: t for k, t in stored.items() if k in read}, sparse, nodes, path, max_bytes)
    return Model(
        nodes=tuple(node for node in nodes if node.op_type != "Constant"),
        constants=constants,
        opset=max(versions),
        classical=max((entry.version for entry in proto.opset_import if entry.domain == CLASSICAL), default=0),
        inputs={value.name: _declared(value) for value in given},
        output=output,
        double=any(value.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE for value in given),
        counts=_index_counts(given, nodes, constants),
    )


def _index_counts(given: list[Any], nodes: list[Any], constants: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Return the inputs of integers, which must be places in constant tables, and how many places these have."""
    found = {}
    for value in given:
        if value.type.tensor_type.elem_type not in INTEGERS:
            continue
        readers = [node for node in nodes if value.name in node.input]
        tables = [constants.get(node.input[0]) for node in readers if node.op_type == "Gather"]
        known = [table.shape[0] for table in tables if table is not None and table.ndim == 2]
        require(
            bool(known) and len(known) == len(readers),
            f"the input {value.name!r} holds integers, and an operation other than an embedding reads it",
        )
        found[value.name] = min(known)
    return found


def _declared(value: Any) -> Declared:
    """Return the declared shape of an input; raises ConversionError for one of another type."""
    kind = value.type.tensor_type
    require(len(kind.shape.dim) <= MAX_AXES, f"the input {value.name!r} has more than {MAX_AXES} axes")
    require(
        kind.elem_type in (*FLOATING, *INTEGERS),
        f"the input {value.name!r} must have a floating-point type, or be int32 or int64, for indices",
    )
    dims = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in kind.shape.dim]
    return tuple(dims) if kind.HasField("shape") else None


def _output(graph: Any, output: str | None) -> str:
    """Return the name of the output to import: the requested one, the only one, or the only one of numbers.

    Classifiers of scikit-learn return labels beside probabilities, and those in a ZipMap, which is passed over.
    """
    names = [value.name for value in graph.output]
    require(bool(names), "the file has no output")
    zipped = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "ZipMap" and node.input}
    if output is None:
        numbers = [value.name for value in graph.output if _holds_numbers(value) or value.name in zipped]
        choices = numbers if len(numbers) == 1 else names
        require(
            len(choices) == 1,
            f"the file has {len(names)} outputs; choose one with output= (--result of lrpref convert): "
            f"{', '.join(names)}",
        )
        output = choices[0]
    require(output in names, f"the file has no output {output!r}; its outputs are: {', '.join(names)}")
    return str(zipped.get(output, output))


def _holds_numbers(value: Any) -> bool:
    """Whether an output is declared as an array of floating-point numbers."""
    return value.type.WhichOneof("value") == "tensor_type" and value.type.tensor_type.elem_type in FLOATING[1:]


def _reaching(nodes: Any, output: str) -> list[Any]:
    """Return the operations that the output depends on, in order."""
    wanted, found = {output}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            found.append(node)
    return found[::-1]


# ---- weights ---------------------------------------------------------------------------------------------------


def _constants(
    onnx: Any, stored: dict[str, Any], sparse: dict[str, Any], nodes: list[Any], path: Path, max_bytes: int
) -> dict[str, np.ndarray]:
    """Return the constants by name: the stored weights, and the values of Constant operations."""
    tensors, sparse, values, folder = dict(stored), dict(sparse), {}, path.parent
    for node in nodes:
        for attribute in node.attribute if node.op_type == "Constant" and node.domain in DOMAINS else ():
            value = onnx.helper.get_attribute_value(attribute)
            if attribute.name == "value":
                tensors[node.output[0]] = value
            elif attribute.name == "sparse_value":
                sparse[node.output[0]] = value
            else:  # value_float, value_ints and so on
                values[node.output[0]] = _numbers(attribute.name, value)
    arrays = len(tensors) + len(sparse)
    require(arrays <= MAX_ENTRIES, f"it has {arrays} arrays; at most {MAX_ENTRIES} are supported")
    total = sum(_checked_size(onnx, tensor, folder) for tensor in tensors.values())
    total += sum(_checked_sparse(onnx, name, tensor, folder) for name, tensor in sparse.items())
    if total > max_bytes:
        raise WeightsError(f"the weights need {total} bytes in float64, more than max_bytes={max_bytes}")
    values |= {k: as_array(onnx.numpy_helper.to_array(t, str(folder))) for k, t in tensors.items()}
    return values | {k: _dense(onnx, t, folder) for k, t in sparse.items()}


def _checked_sparse(onnx: Any, name: str, sparse: Any, folder: Path) -> int:
    """Return the bytes that a sparse array needs in float64 once all numbers are stored; raises WeightsError."""
    for tensor in (sparse.values, sparse.indices):
        _checked_size(onnx, tensor, folder)
    count = prod(sparse.values.dims)
    if (
        not 0 < len(sparse.dims) <= MAX_AXES
        or min(sparse.dims) < 0
        or sparse.indices.data_type != onnx.TensorProto.INT64
        or list(sparse.values.dims) != [count]
        or list(sparse.indices.dims) not in ([count], [count, len(sparse.dims)])
    ):
        raise WeightsError(f"the sparse weights {name!r} have values or indices that do not fit their shape")
    return int(prod(sparse.dims) * 8)


def _dense(onnx: Any, sparse: Any, folder: Path) -> np.ndarray:
    """Return a sparse array with all of its numbers."""
    values = as_array(onnx.numpy_helper.to_array(sparse.values, str(folder)))
    places = onnx.numpy_helper.to_array(sparse.indices, str(folder))
    dense = np.zeros(tuple(sparse.dims), dtype=values.dtype)
    if places.size and (places.min() < 0 or np.any(places >= (dense.size if places.ndim == 1 else dense.shape))):
        raise WeightsError(f"the sparse weights {sparse.values.name!r} have an index outside their shape")
    dense[np.unravel_index(places, dense.shape) if places.ndim == 1 else tuple(places.T)] = values
    return dense


def _numbers(name: str, value: Any) -> np.ndarray:
    """Return the value of a Constant that is given by another attribute than "value"."""
    require(
        name in ("value_float", "value_floats", "value_int", "value_ints"), f"a constant by {name} is not supported"
    )
    return np.asarray(value)


def _checked_size(onnx: Any, tensor: Any, folder: Path) -> int:
    """Return the bytes that a tensor needs in float64; raises WeightsError if the file holds more or fewer numbers."""
    name = f"the weights {tensor.name!r}"
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except KeyError as error:
        raise ConversionError(f"{name} have the unknown type {tensor.data_type}") from error
    half = str(dtype) == "bfloat16"
    require(half or dtype.kind in "fiub", f"{name} have dtype {dtype}; lrpref reads real numbers and booleans only")
    if len(tensor.dims) > MAX_AXES:
        raise WeightsError(f"{name} have {len(tensor.dims)} axes; at most {MAX_AXES} are supported")
    if any(n < 0 for n in tensor.dims):
        raise WeightsError(f"{name} have a negative size: {tuple(tensor.dims)}")
    size = int(prod(tensor.dims) * dtype.itemsize)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        _check_external(tensor, folder, size)
    elif tensor.HasField("raw_data") and len(tensor.raw_data) != size:
        raise WeightsError(
            f"{name} declare shape {tuple(tensor.dims)} ({size} bytes), but hold {len(tensor.raw_data)} bytes"
        )
    return int(prod(tensor.dims) * 8)


def _check_external(tensor: Any, folder: Path, size: int) -> None:
    """Raise WeightsError unless a tensor is stored in a regular file inside the folder, with the declared size."""
    name = f"the weights {tensor.name!r}"
    told = {entry.key: entry.value for entry in tensor.external_data}
    file = Path(os.path.realpath(folder / told.get("location", "")))
    if not file.is_relative_to(os.path.realpath(folder)):
        raise WeightsError(
            f"{name} are stored outside the model's folder, in {told.get('location')!r}; this is refused"
        )
    if not file.is_file():
        raise WeightsError(f"{name} are stored in {told.get('location')!r}, which is not a file beside the model")
    offset, length = (int(told.get(key, default)) for key, default in (("offset", 0), ("length", size)))
    if length != size or not 0 <= offset <= file.stat().st_size - size:
        raise WeightsError(
            f"{name} need {size} bytes, but the model declares {length} bytes at offset {offset} of "
            f"{told.get('location')!r}, which has {file.stat().st_size}"
        )


# ---- before the file is parsed -----------------------------------------------------------------------------------

MAX_STRUCTURE = 2**24
"""The most bytes of a file without the numbers of its weights: 16 MiB. Parsed, they take up to a hundredfold."""

FIELD = 16
"""The least that a field counts, in bytes."""

_NUMBERS = dict.fromkeys((4, 5, 7, 9, 10, 11))
_TENSORS = {7: {1: {5: {5: _NUMBERS}}, 5: _NUMBERS}}
"""Where the numbers are, as numbers of fields: of the model's graph, the nodes' attributes, and the initialisers."""


def _check_structure(message: memoryview, path: Mapping[int, Any], used: int = 0) -> int:
    """Return `used` plus the bytes of a protobuf message, without numbers; raises WeightsError at MAX_STRUCTURE."""
    at = 0
    while at < len(message):
        key, start = _varint(message, at)
        size, start = _field(message, key & 7, start)
        used += FIELD + start - at
        at = start + size
        if key >> 3 not in path:
            used += size
        elif (inner := path[key >> 3]) is not None:
            used = _check_structure(message[start:at], inner, used)
        if used > MAX_STRUCTURE:
            raise WeightsError(f"without its weights, the file has more than {MAX_STRUCTURE} bytes")
    return used


def _field(message: memoryview, kind: int, start: int) -> tuple[int, int]:
    """Return the size and the start of a field's content; raises ValueError for kinds that ONNX does not use."""
    if kind == 0:
        return 0, _varint(message, start)[1]
    if kind == 2:
        return _varint(message, start)
    if kind in (1, 5):
        return {1: 8, 5: 4}[kind], start
    raise ValueError(f"unknown kind of field, {kind}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return an integer of variable length, and where it ends."""
    value = 0
    for k, byte in enumerate(message[at : at + 10]):
        value |= (byte & 127) << 7 * k
        if byte < 128:
            return value, at + k + 1
    raise ValueError("the file ends within a number")


def fixed_shape(declared: Declared, given: Shape | None, batch: int) -> Shape:
    """Return the shape of an input: what the file declares, completed by the shape `given` of one sample.

    A free batch axis becomes `batch`. Raises ConversionError if the two shapes differ or leave an axis undetermined.
    """
    told = declared or (None,) * (1 + len(given or ()))
    shape = tuple(n or m for n, m in zip(told, (batch, *(given or told[1:])), strict=False))
    fits = given is None or (len(given) == len(told) - 1 and shape[1:] == given)
    require(fits, f"the input shape {given} does not fit; the file expects {in_words(told[1:])}")
    if (declared is None and given is None) or None in shape:
        raise ConversionError(
            f"the file does not determine the shape of its input, {in_words(declared)}; give an example, "
            "or the shape (--input-shape of lrpref convert)"
        )
    return tuple(n for n in shape if n is not None)


def in_words(shape: tuple[int | None, ...] | None) -> str:
    """Return a shape as text, with ? for an axis that is not fixed."""
    return "undeclared" if shape is None else f"({', '.join('?' if n is None else str(n) for n in shape)})"
