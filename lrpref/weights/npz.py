"""Networks in files: `.npz` with the architecture as JSON. Nothing is ever unpickled.

A file holds one array per parameter, named "node.field", and two texts:

    format        "lrpref-network/1"
    architecture  JSON: {"nodes": [[name, layer, [inputs]], ...], "layers": {layer: {"type", "config", "arrays"}},
                  "metadata": {...}}

A layer that stands at several nodes is stored once. Sizes are read from the headers and checked before anything
is allocated; files are written whole or not at all.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from .. import layers as layer_types
from .._support.files import whole
from ..arithmetic import all_finite
from ..backend import asarray, is_array, to_numpy
from ..errors import LrprefError, WeightsError, unknown
from ..layers import DiagonalLayer, Elementwise, Layer, LinearLayer, Routing, WeightedLayer
from ..network import Network

FORMAT = "lrpref-network/1"
MAX_BYTES = 4 * 2**30
"""The largest network that `load` accepts unless told otherwise."""

UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, SyntaxError, TokenError, RuntimeError, MemoryError)
"""What NumPy raises, besides the errors of zip files, when it reads a damaged array."""

ABSTRACT = (Layer, LinearLayer, WeightedLayer, DiagonalLayer, Elementwise, Routing)
"""What `lrpref.layers` holds that is no layer by itself."""

_HERE = Path(__file__).parent
FOLDERS = (_HERE / "networks", _HERE.parent.parent / "weights")  # in a wheel; in a checkout


def names() -> list[str]:
    """The networks that come with lrpref, by the bare names that `load` knows them by."""
    return sorted({path.stem for folder in FOLDERS for path in folder.glob("*.npz")})


def find(name: str | os.PathLike[str]) -> Path:
    """The file of a network: a path, or the bare name of one that comes with lrpref.

    Raises UnknownNameError for a bare name that does not, WeightsError for a path that is no file.
    """
    path = Path(name)
    if path.suffix == ".npz" or len(path.parts) > 1:
        if not path.is_file():
            raise WeightsError(f"there is no file {path}")
        return path
    for folder in FOLDERS:
        if (folder / f"{name}.npz").is_file():
            return folder / f"{name}.npz"
    raise unknown("network", str(name), names())


def load(name: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> Network:
    """The network in a file, or the one that comes with lrpref under a bare name.

    name       a path ending in .npz, or a bare name such as "mnist-cnn"
    max_bytes  refuse files whose arrays need more memory than this

    Half-precision parameters are for storage and become float32.
    Raises WeightsError for a file that is damaged, of another format, or lies about its content.
    """
    path = find(name)
    arrays = read_arrays(path, max_bytes)
    architecture = _architecture(path, arrays)
    try:
        built = {key: _build(key, spec, arrays) for key, spec in architecture["layers"].items()}
        return Network([(node, built[layer], inputs) for node, layer, inputs in architecture["nodes"]])
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except (LrprefError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path}: its architecture makes no network: {error}") from error


def metadata(name: str | os.PathLike[str]) -> dict[str, Any]:
    """What a file says of its network: input, classes, accuracy, seed, how it was made (`{}` if nothing)."""
    path = find(name)
    return dict(_architecture(path, read_arrays(path)).get("metadata", {}))


def save(
    net: Network, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None, dtype: Any = None
) -> None:
    """Write a network to `path` (.npz), whole or not at all.

    metadata  anything JSON can hold
    dtype     the number type to store, such as numpy.float16; None for the parameters' own

    Raises WeightsError for a network of layers that are not lrpref's, or metadata that JSON cannot hold.
    """
    keys: dict[int, str] = {}
    arrays: dict[str, np.ndarray] = {}
    specs: dict[str, Any] = {}
    for name, layer, _ in net.nodes:
        if id(layer) not in keys:
            keys[id(layer)] = name
            specs[name] = _describe(name, layer, arrays, dtype)
    nodes = [[name, keys[id(layer)], list(inputs)] for name, layer, inputs in net.nodes]
    try:
        text = json.dumps({"nodes": nodes, "layers": specs, "metadata": dict(metadata or {})})
    except TypeError as error:
        raise WeightsError(f"metadata must be what JSON can hold: {error}") from error
    _write(Path(path), {"format": np.asarray(FORMAT), "architecture": np.asarray(text), **arrays})


# ---- layers as data --------------------------------------------------------------------------------------------


def _describe(name: str, layer: Layer, arrays: dict[str, np.ndarray], dtype: Any) -> dict[str, Any]:
    """A layer as JSON; its arrays are put into `arrays`."""
    kind = type(layer).__name__
    if getattr(layer_types, kind, None) is not type(layer):
        raise WeightsError(f"node {name!r}: {kind} is not a layer of lrpref, a file could not bring it back")
    config, held = {}, []
    for field in fields(layer):
        value = getattr(layer, field.name)
        if is_array(value):
            value = to_numpy(value)
            if value.dtype == object:
                raise WeightsError(f"node {name!r}: exact numbers cannot be stored; use net.astype(numpy.float64)")
            keep = dtype is None or value.dtype == bool
            arrays[f"{name}.{field.name}"] = value if keep else _narrowed(value, dtype, f"node {name!r}: {field.name}")
            held.append(field.name)
        else:
            config[field.name] = value
    return {"type": kind, "config": config, "arrays": held}


def _narrowed(value: np.ndarray, dtype: Any, what: str) -> np.ndarray:
    """`value` in the number type to store; raises WeightsError where that would lose more than digits."""
    if np.dtype(dtype).kind != "f":
        raise WeightsError(f"networks are stored in floating point, not in {np.dtype(dtype)}")
    with np.errstate(over="ignore"):
        stored = value.astype(dtype)
    if not all_finite(stored):
        raise WeightsError(f"{what} does not fit into {np.dtype(dtype)}")
    return stored


def _build(name: str, spec: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Layer:
    """A layer from its description."""
    kind = getattr(layer_types, str(spec["type"]), None)
    if kind in ABSTRACT or not (isinstance(kind, type) and issubclass(kind, Layer)):
        raise WeightsError(f"layer {name!r} is of unknown type {spec['type']!r}")
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in spec["config"].items()}
    for field in spec["arrays"]:
        if f"{name}.{field}" not in arrays:
            raise WeightsError(f"the array {name}.{field} is missing")
        array = arrays[f"{name}.{field}"]
        values[field] = array.astype(np.float32) if array.dtype == np.float16 else asarray(array)
    return kind(**values)


# ---- files -----------------------------------------------------------------------------------------------------


def read_arrays(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Every array of an npz file, after its headers were found to be honest; raises WeightsError."""
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(_checked_size(path, archive, member) for member in archive.infolist())
        if total > max_bytes:
            raise WeightsError(f"{path}: its arrays need {total} bytes, more than the {max_bytes} allowed")
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except WeightsError:
        raise
    except (*UNREADABLE, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: not a readable .npz file: {error}") from error
    except zlib.error as error:
        raise WeightsError(f"{path}: damaged: {error}") from error


def _checked_size(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """The bytes that a member's array needs, by its header; raises WeightsError if the file has fewer or more."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read:
            raise WeightsError(f"{path}: {member.filename} has an unknown array format {version}")
        shape, _, dtype = read[version](stream)
        start = stream.tell()
    if dtype.kind not in "fiubU":
        raise WeightsError(f"{path}: {member.filename} holds {dtype}, which lrpref does not read")
    size = prod(shape) * dtype.itemsize
    if size != member.file_size - start:
        raise WeightsError(
            f"{path}: {member.filename} says it is {shape} of {dtype} ({size} bytes), "
            f"but there are {member.file_size - start}"
        )
    return int(size)


def _architecture(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The architecture that a file describes; raises WeightsError."""
    if "format" not in arrays or "architecture" not in arrays:
        raise WeightsError(f"{path}: an .npz file, but not one that lrpref.save wrote")
    if str(arrays["format"]) != FORMAT:
        raise WeightsError(f"{path}: format {str(arrays['format'])!r}, this version reads {FORMAT!r}")
    try:
        found = json.loads(str(arrays["architecture"]))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its architecture is not JSON: {error}") from error
    if not isinstance(found, dict) or not {"nodes", "layers"} <= set(found):
        raise WeightsError(f"{path}: its architecture has no nodes or no layers")
    if not isinstance(found.get("metadata", {}), dict):
        raise WeightsError(f"{path}: its metadata is no table of names and values")
    return found


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a .npz file, whole or not at all."""
    if path.suffix != ".npz":
        raise WeightsError(f"networks are stored as .npz, got {path}")
    with whole(path) as part, part.open("xb") as stream:
        np.savez_compressed(stream, **arrays)  # NumPy 2.1 would store allow_pickle=False as one more array
