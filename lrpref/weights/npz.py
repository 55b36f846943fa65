"""Networks stored as `.npz` files, with the architecture as JSON. Nothing is ever unpickled.

A file holds one array per parameter, named "node.field", and two strings:

    format        "lrpref-network/1"
    architecture  JSON: {"nodes": [[name, layer, [inputs]], ...], "layers": {layer: {"type", "config", "arrays"}},
                  "metadata": {...}}, and "input_shape" and "fixed_by" if the network is valid for one input shape only

The format is "lrpref-network/2" if the network has several inputs or outputs, or an input of another name than "input".
The architecture then also lists the names of its "inputs" and "outputs".

A layer that is shared by several nodes is stored once. Sizes are read from the headers and checked before any memory
is allocated. File writes are atomic: an error leaves the previous file intact.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from .. import layers as layer_types
from .._support.files import check_writable, is_stream, whole
from .._support.untrusted import (
    MAX_BYTES,
    MAX_ENTRIES,
    UNREADABLE,
    checked_size,
    npy_header,
    parse_json,
    reason,
)
from ..arithmetic import all_finite, given_up
from ..backend import is_array, to_numpy
from ..errors import LrprefError, WeightsError, shown, unknown
from ..layers import BASES, Layer
from ..network import INPUT, Network, check_network
from .formats import CONVERTED, REFUSED, what_to_do

FORMAT = "lrpref-network/1"
FORMAT_OF_SEVERAL = "lrpref-network/2"
MAX_DIRECTORY = 2**22
"""The most bytes of an archive's directory, the list of its members: 4 MiB."""
MAX_EXPANSION = 1032
"""The most bytes that a byte of deflated data expands to: two bits can copy 258 bytes (RFC 1951, section 3.2.5)."""

_HERE = Path(__file__).parent
FOLDERS = (_HERE / "networks", _HERE.parent.parent / "weights")  # of an installed wheel; of a source checkout


def names() -> list[str]:
    """Return the names of the networks that come with lrpref; `load` accepts them without a path."""
    return sorted({path.stem for folder in FOLDERS for path in folder.glob("*.npz")})


def find(name: str | os.PathLike[str]) -> Path:
    """Return the path of a network's file.

    Parameters
    ----------
    name : str or path-like
        The path of an .npz file, or the name of a network that comes with lrpref. The name comes first.

    Returns
    -------
    pathlib.Path
        The path of an existing file.

    Raises
    ------
    UnknownNameError
        If no network of this name comes with lrpref.
    WeightsError
        If the path does not exist, or is a folder or a file of another format; the message says what to do.
    """
    given: object = name
    if not isinstance(given, str | os.PathLike):
        raise unknown("network", given, names())
    path = Path(name)
    if str(name) in names():
        return next(found for folder in FOLDERS if (found := folder / f"{name}.npz").is_file())
    if path.exists():
        if advice := what_to_do(path):
            raise WeightsError(advice)
        return path
    if path.suffix.lower() in (".npz", *CONVERTED, *REFUSED) or len(path.parts) > 1:
        raise WeightsError(f"there is no file {path}")
    raise unknown("network", str(name), names())


def load(name: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> Network:
    """Load a network from a file, or one of those that come with lrpref.

    Half precision is used for storage only: float16 parameters become float32.

    Parameters
    ----------
    name : str or path-like
        A path ending in .npz, or the name of a network that comes with lrpref, such as "mnist-cnn".
    max_bytes : int
        The most memory, in bytes, that the file's arrays may need; 4 GiB by default.

    Returns
    -------
    Network
        The network, with its arrays on NumPy.

    Raises
    ------
    UnknownNameError
        If no network of this name comes with lrpref.
    WeightsError
        If the file does not exist, is damaged, inconsistent or too large, or was not written by `save`.

    Examples
    --------
    >>> load("mnist-mlp").names
    ['flatten', 'fc1', 'relu1', 'fc2', 'relu2', 'fc3']
    """
    path = find(name)
    arrays = read_arrays(path, max_bytes)
    architecture = _architecture(path, arrays)
    try:
        built = {key: _build(key, spec, arrays) for key, spec in architecture["layers"].items()}
        nodes = [(node, built[layer], inputs) for node, layer, inputs in architecture["nodes"]]
        names = (architecture.get("inputs", [INPUT]), architecture.get("outputs"))
        return Network(nodes, architecture.get("input_shape"), str(architecture.get("fixed_by", "")), *names)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except (LrprefError, *UNREADABLE) as error:
        raise WeightsError(f"{path}: the architecture is not a valid network: {reason(error)}") from error


def metadata(name: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the metadata stored with a network: input, classes, accuracy, seed, origin; `{}` if there are none."""
    path = find(name)
    return dict(_architecture(path, read_arrays(path)).get("metadata", {}))


def save(
    net: Network, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None, dtype: Any = None
) -> None:
    """Save a network to a file. The write is atomic: an error leaves a previous file intact.

    Parameters
    ----------
    net : Network
        A network of lrpref's own layers.
    path : str or path-like
        The file to write; its name must end in .npz, unless it is a pipe or a device.
    metadata : mapping or None
        Information about the network that JSON can represent; `metadata(path)` returns it.
    dtype : dtype or None
        The floating-point type to store, such as numpy.float16; None keeps the type of each parameter.

    Raises
    ------
    WeightsError
        If a layer is not one of lrpref's, a parameter is exact or overflows in `dtype`, JSON cannot represent the
        metadata, or the suffix is not .npz.
    OutputError
        If the file cannot be written: `path` is a folder, its folder does not exist, or it is read-only.
    """
    check_network(net)
    given: object = path
    if not isinstance(given, str | os.PathLike):
        raise WeightsError(f"networks are stored as .npz files; a path is expected, got {shown(given)}")
    keys: dict[int, str] = {}
    arrays: dict[str, np.ndarray] = {}
    specs: dict[str, Any] = {}
    for name, layer, _ in net.nodes:
        if id(layer) not in keys:
            keys[id(layer)] = name
            specs[name] = _describe(name, layer, arrays, dtype)
    nodes = [[name, keys[id(layer)], list(inputs)] for name, layer, inputs in net.nodes]
    fixed = {} if net.input_shape is None else {"input_shape": net.input_shape, "fixed_by": net.fixed_by}
    plain = net.inputs == (INPUT,) and len(net.outputs) == 1
    ends = {} if plain else {"inputs": net.inputs, "outputs": net.outputs}
    try:
        text = json.dumps({"nodes": nodes, "layers": specs, "metadata": dict(metadata or {}), **fixed, **ends})
    except TypeError as error:
        raise WeightsError(f"metadata must be representable as JSON: {error}") from error
    written = FORMAT if plain else FORMAT_OF_SEVERAL
    _write(Path(path), {"format": np.asarray(written), "architecture": np.asarray(text), **arrays})


# ---- layers as data --------------------------------------------------------------------------------------------


def _describe(name: str, layer: Layer, arrays: dict[str, np.ndarray], dtype: Any) -> dict[str, Any]:
    """Describe a layer as JSON data, and add its arrays to `arrays`."""
    kind = type(layer).__name__
    if getattr(layer_types, kind, None) is not type(layer):
        raise WeightsError(f"node {name!r}: {kind} is not a layer of lrpref; a file could not restore it")
    config, held = {}, []
    for field in (f for f in fields(layer) if f.init):
        value = getattr(layer, field.name)
        if is_array(value):
            value = to_numpy(value)
            if value.dtype == object:
                raise WeightsError(f"node {name!r}: exact numbers cannot be saved; use net.astype(numpy.float64)")
            keep = dtype is None or value.dtype == bool
            arrays[f"{name}.{field.name}"] = value if keep else _narrowed(value, dtype, f"node {name!r}: {field.name}")
            held.append(field.name)
        else:
            config[field.name] = value
    return {"type": kind, "config": config, "arrays": held}


def _narrowed(value: np.ndarray, dtype: Any, what: str) -> np.ndarray:
    """Cast `value` to the type to store; raises WeightsError if that is not floating-point, or overflows."""
    try:
        floating = np.dtype(dtype).kind == "f"
    except (TypeError, ValueError):
        floating = False
    if not floating:
        raise WeightsError(f"dtype must be a floating-point type or None, got {shown(dtype)}")
    with np.errstate(over="ignore"):
        stored = value.astype(dtype)
    if not all_finite(stored):
        raise WeightsError(f"{what} overflows in {np.dtype(dtype)}; store it in a type of wider range")
    return stored


def _build(name: str, spec: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Layer:
    """Build a layer from its description."""
    kind = getattr(layer_types, str(spec["type"]), None)
    if kind in BASES or not (isinstance(kind, type) and issubclass(kind, Layer)):
        raise WeightsError(f"layer {name!r} has the unknown type {spec['type']!r}")
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in spec["config"].items()}
    for field in spec["arrays"]:
        if f"{name}.{field}" not in arrays:
            raise WeightsError(f"layer {name!r}: the array {name}.{field} is missing")
        array = arrays[f"{name}.{field}"]
        values[field] = given_up(array.astype(np.float32) if array.dtype == np.float16 else array)
    return kind(**values)


# ---- files -----------------------------------------------------------------------------------------------------


def read_arrays(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Read every array of an .npz file, once its headers have been checked against the file.

    Parameters
    ----------
    path : pathlib.Path
        An .npz file.
    max_bytes : int
        The most memory, in bytes, that the arrays may need; 4 GiB by default.

    Returns
    -------
    dict of str to numpy.ndarray
        The arrays by name.

    Raises
    ------
    WeightsError
        If the file is unreadable, damaged or inconsistent, holds Python objects, or needs more memory than allowed.
    """
    try:
        with _Archive(path.open("rb", buffering=0)) as stream, zipfile.ZipFile(stream) as archive:
            stream.largest = max_bytes
            members = _members(archive)
            total = sum(_checked_size(archive, member) for member in members.values())
            if total > max_bytes:
                raise WeightsError(f"the arrays need {total} bytes, more than max_bytes={max_bytes}")
            return {name: _array(archive, member) for name, member in members.items()}
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except UNREADABLE as error:
        raise WeightsError(f"{path}: not a readable .npz file: {reason(error)}") from error


class _Archive(io.BufferedReader):
    """A file that refuses to be read in pieces of more than `largest` bytes; `zipfile` reads a directory as one."""

    largest = MAX_DIRECTORY

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes; raises BadZipFile if `size` is too large."""
        if size is not None and size > self.largest:
            raise zipfile.BadZipFile(f"its directory has {size} bytes; at most {self.largest} are supported")
        return super().read(size)


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the members by the names of their arrays; raises WeightsError unless each name occurs once.

    A member that declares more bytes than its stored bytes can expand to is refused before NumPy allocates them.
    """
    listed = archive.infolist()
    if len(listed) > MAX_ENTRIES:
        raise WeightsError(f"the archive has {len(listed)} members; at most {MAX_ENTRIES} are supported")
    members: dict[str, zipfile.ZipInfo] = {}
    for member in listed:
        name = member.filename.removesuffix(".npy")
        if name in members:
            raise WeightsError(f"the archive contains {name} twice")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise WeightsError(f"{name} is compressed by another method than deflate; save the file with NumPy")
        expansion = 1 if member.compress_type == zipfile.ZIP_STORED else MAX_EXPANSION
        if member.file_size > expansion * member.compress_size:
            raise WeightsError(f"{name} declares {member.file_size} bytes, but stores {member.compress_size}")
        members[name] = member
    return members


def _checked_size(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Return the bytes an array needs according to its header; raises WeightsError if the file holds more or fewer."""
    with archive.open(member) as stream:
        try:
            shape, dtype, start = npy_header(stream)
            if dtype.kind not in "fiubU":
                raise WeightsError(f"has dtype {dtype}; lrpref reads real numbers, booleans and text only")
            return checked_size(shape, dtype, member.file_size - start)
        except WeightsError as error:
            raise WeightsError(f"{member.filename} {error}") from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Read the array of one member."""
    with archive.open(member) as stream:
        array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _architecture(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the architecture stored in a file; raises WeightsError unless it has nodes and layers."""
    if "format" not in arrays or "architecture" not in arrays:
        raise WeightsError(
            f"{path}: not written by lrpref.save; read weights alone with lrpref.importers.read(path, architecture=...)"
        )
    if str(arrays["format"]) not in (FORMAT, FORMAT_OF_SEVERAL):
        raise WeightsError(
            f"{path}: unknown format {str(arrays['format'])!r}; this version of lrpref reads {FORMAT!r} and "
            f"{FORMAT_OF_SEVERAL!r}"
        )
    try:
        found = parse_json(str(arrays["architecture"]))
    except ValueError as error:
        raise WeightsError(f"{path}: the architecture is not valid JSON: {error}") from error
    if not isinstance(found, dict) or not {"nodes", "layers"} <= set(found):
        raise WeightsError(f'{path}: the architecture must be a JSON object with "nodes" and "layers"')
    if not isinstance(found["nodes"], list) or len(found["nodes"]) > MAX_ENTRIES:
        raise WeightsError(f"{path}: the nodes must be a list of at most {MAX_ENTRIES}")
    if not isinstance(found.get("metadata", {}), dict):
        raise WeightsError(f"{path}: the metadata must be a JSON object, got {type(found['metadata']).__name__}")
    return found


def check_path(path: str | os.PathLike[str]) -> None:
    """Raise the error that `save` would raise for this path. Call this before the work whose result it will hold.

    Parameters
    ----------
    path : str or path-like
        The file to write.

    Raises
    ------
    WeightsError
        If the suffix is not .npz.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".npz" and not is_stream(path):
        raise WeightsError(f"networks are stored as .npz files; use a file name that ends in .npz, got {path}")
    check_writable(path)


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz file atomically."""
    check_path(path)
    with whole(path) as part, part.open("wb") as stream:
        named: dict[str, Any] = dict(arrays)
        np.savez_compressed(stream, **named)  # NumPy 2.1 would store allow_pickle=False as one more array
