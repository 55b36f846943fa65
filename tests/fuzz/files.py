"""Mutated files of every kind that lrpref reads.

A file is either read, and what was read is consistent, or refused with an error of lrpref's. The structure of an
archive or of JSON is mutated too, with checksums put right, so that mutations reach what lies behind the first check.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import lrpref
from lrpref import conformance, layers, weights
from lrpref.errors import LrprefError, RelevanceWarning
from lrpref.importers import read_safetensors
from lrpref.reproduce import runner as reproduce
from lrpref.zoo import datasets, inputs

from . import mutate
from .runner import Fuzzer


@dataclass(frozen=True)
class Format:
    """A kind of file: valid seeds, mutations that respect its structure, a name, and a reader that checks itself."""

    seeds: Callable[[], list[bytes]]
    structured: Callable[[Random, bytes], bytes]
    name: str
    read: Callable[[Path], None]


def case(seed: int, folder: Path) -> Mapping[str, int]:
    """One mutated file."""
    rng = Random(seed)
    name = rng.choice(CHOICES)
    form = FORMATS[name]
    seeds = form.seeds()
    data = rng.choice(seeds)
    data = form.structured(rng, data) if rng.random() < 0.6 else mutate.of_bytes(rng, data, seeds)
    path = folder / form.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    try:
        form.read(path)
    except LrprefError as error:
        return {f"{name}: {type(error).__name__}": 1}
    finally:
        path.unlink(missing_ok=True)
    return {f"{name}: read": 1}


# ---- networks in .npz files ------------------------------------------------------------------------------------------


def random(*shape: int) -> np.ndarray:
    """Numbers between -1 and 1, always the same."""
    return np.sin(np.arange(np.prod(shape)) + 1.0).reshape(shape).astype(np.float32)


def small_networks() -> list[lrpref.Network]:
    """Every layer, in networks of few numbers."""
    conv = layers.Conv2D(random(2, 1, 2, 2), random(2), padding=1)
    norm = layers.BatchNorm(random(2), random(2), random(2), random(2) ** 2 + 0.1)
    body = [conv, norm, layers.ReLU(), layers.MaxPool2D(2), layers.Pad2D(1, 0.5), layers.AvgPool2D(2, 1)]
    first = lrpref.Network.sequential(*body, layers.Flatten(), layers.Dense(random(3, 18), random(3)), layers.Softmax())
    skip = lrpref.Network(
        [
            ("scale", layers.Scale(random(2), random(2)), ["input"]),
            ("act", layers.ThreshReLU(random(2)), ["scale"]),
            ("add", layers.Add(), ["act", "scale"]),
            ("cat", layers.Concat(), ["add", "act"]),
            ("leaky", layers.LeakyReLU(0.1), ["cat"]),
            ("shuffle", layers.ChannelShuffle(2), ["leaky"]),
            ("gate", layers.Multiply("signal"), ["shuffle", "cat"]),
            ("minus", layers.Subtract(), ["gate", "cat"]),
            ("part", layers.Slice(1, None, None, -1), ["minus"]),
            ("rows", layers.Reshape((2, -1, 1)), ["part"]),
            ("up", layers.PixelUnshuffle(1), ["rows"]),
            ("down", layers.PixelShuffle(1), ["up"]),
            ("turn", layers.Permute((0, 2, 1, 3)), ["down"]),
            ("mean", layers.Mean(-1, keepdims=True), ["turn"]),
            ("max", layers.Max((2, 3)), ["mean"]),
            ("sum", layers.Sum(3), ["turn"]),
            ("flat", layers.Flatten(), ["sum"]),
            ("both", layers.Concat(), ["max", "flat"]),
            ("fc", layers.Dense(random(2, 6)), ["both"]),
        ]
    )
    return [first, skip]


@cache
def npz_seeds() -> list[bytes]:
    return [_saved(net, {"input": {"shape": [1, 4, 4]}, "classes": ["a"]}) for net in small_networks()]


def _saved(net: lrpref.Network, about: Mapping[str, Any]) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        lrpref.save(net, Path(folder) / "net.npz", about)
        return (Path(folder) / "net.npz").read_bytes()


@cache
def members(data: bytes) -> dict[str, bytes]:
    """The members of an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def npz_structured(rng: Random, data: bytes) -> bytes:
    """Mutate the architecture, a member, or the set of members, and pack them again."""
    found = dict(members(data))
    for _ in range(rng.choice((1, 1, 2))):
        key, what = rng.choice(list(found)), rng.random()
        if what < 0.5 and "architecture.npy" in found:
            found["architecture.npy"] = _architecture(rng, found["architecture.npy"])
        elif what < 0.8:
            found[key] = mutate.of_bytes(rng, found[key], list(found.values()))
        elif what < 0.85:
            found.pop(key)
        elif what < 0.9:
            found[rng.choice(("x.npy", "../x.npy", "x", "", key + "x", "format.npy"))] = found[key]
        else:
            found[key] = found[rng.choice(list(found))]
    return _packed(rng, found)


def _packed(rng: Random, found: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    how = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, content in found.items():
            archive.writestr(zipfile.ZipInfo(name), content, how)
    return stream.getvalue()


def _architecture(rng: Random, member: bytes) -> bytes:
    """A member of text whose JSON is mutated; anything that is not JSON by now is mutated as bytes."""
    try:
        tree = json.loads(str(np.lib.format.read_array(io.BytesIO(member))))
    except Exception:  # an earlier mutation hit it
        return mutate.of_bytes(rng, member)
    text = json.dumps(mutate.of_json(rng, tree))
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(text))
    return stream.getvalue()


def read_npz(path: Path) -> None:
    """Load the network, run it if it is small, and read what else the file says."""
    net = lrpref.load(path)
    about = weights.metadata(path)
    json.dumps(about)
    check_network(net, (1, 4, 4))
    inputs.Normalisation.of(about)


def check_network(net: lrpref.Network, shape: tuple[int, ...]) -> None:
    """A network's outputs have the shapes that it states; its names are text."""
    assert all(isinstance(name, str) for name in net.names)
    for given in ((2, *shape), (2, 2)):
        try:
            shapes = net.shapes(given)
        except LrprefError:
            continue
        if max(int(np.prod(each)) for each in shapes.values()) > 2**16:
            continue
        x = np.full(given, 0.25, net.dtype or np.float32)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RelevanceWarning)  # documented: an output is not finite
            assert net.forward(x).shape == shapes[net.output]


# ---- arrays --------------------------------------------------------------------------------------------------------


@cache
def npy_seeds() -> list[bytes]:
    found = []
    for array in (random(1, 1, 4, 4), random(1, 4, 4).astype(">f8"), np.arange(16, dtype=np.uint8).reshape(1, 4, 4)):
        stream = io.BytesIO()
        np.save(stream, array)
        found.append(stream.getvalue())
    return found


def npy_structured(rng: Random, data: bytes) -> bytes:
    """Mutate the words of the header, and keep its length right."""
    header = bytearray(data[10 : 10 + struct.unpack("<H", data[8:10])[0]])
    for _ in range(rng.choice((1, 1, 2))):
        mutate._word(rng, header)
    rest = data[10 + struct.unpack("<H", data[8:10])[0] :]
    return data[:8] + mutate.with_length(rng, bytes(header)[: 2**16 - 1], "<H") + rest


def read_npy(path: Path) -> None:
    x = inputs.read(str(path), (1, 4, 4))
    assert x.shape == (1, 1, 4, 4)
    assert x.dtype.kind == "f"


@cache
def safetensors_seeds() -> list[bytes]:
    from safetensors.numpy import save

    half = {"half": random(4).astype(np.float16), "flags": np.ones(3, bool)}
    return [save({"fc.weight": random(3, 4), "fc.bias": random(3)}), save(half)]


def safetensors_structured(rng: Random, data: bytes) -> bytes:
    """Mutate the JSON of the header, and put its length in front."""
    size = struct.unpack("<Q", data[:8])[0]
    header = json.dumps(mutate.of_json(rng, json.loads(data[8 : 8 + size]))).encode()
    return mutate.with_length(rng, header, "<Q") + data[8 + size :]


def read_tensors(path: Path) -> None:
    for name, array in read_safetensors(path).items():
        assert isinstance(name, str)
        assert array.dtype.kind in "fiub"


# ---- ONNX ----------------------------------------------------------------------------------------------------------


@cache
def onnx_seeds() -> list[bytes]:
    from onnx import TensorProto, helper, numpy_helper

    def model(nodes: list[Any], constants: dict[str, np.ndarray], shape: list[Any]) -> bytes:
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(array, name) for name, array in constants.items()],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        content: bytes = made.SerializeToString()
        return content

    node = helper.make_node
    mlp = [node("Gemm", ["x", "w", "b"], ["h"], transB=1), node("Relu", ["h"], ["r"]), node("Softmax", ["r"], ["y"])]
    conv = [
        node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[2, 2], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c", "b", "b", "b", "v"], ["n"], epsilon=1e-3),
        node("Relu", ["n"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["p", "s"], ["f"]),
        node("MatMul", ["f", "m"], ["y"]),
    ]
    joins = [
        node("Mul", ["x", "k"], ["a"]),
        node("Add", ["a", "x"], ["s"]),
        node("Concat", ["s", "x"], ["c"], axis=1),
        node("AveragePool", ["c"], ["p"], kernel_shape=[2, 2]),
        node("GlobalAveragePool", ["p"], ["y"]),
    ]
    held = {"w": random(2, 1, 2, 2), "b": random(2), "v": random(2) ** 2, "m": random(8, 2), "s": np.array([0, -1])}
    return [
        model(mlp, {"w": random(3, 4), "b": random(3)}, ["N", 4]),
        model(conv, held, ["N", 1, 4, 4]),
        model(joins, {"k": random(1)}, [2, 1, 4, 4]),
    ]


def onnx_structured(rng: Random, data: bytes) -> bytes:
    """Mutate fields of the parsed message."""
    import onnx

    proto = onnx.load_model_from_string(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change_message(rng, proto)
    content: bytes = proto.SerializeToString()
    return content


def _change_message(rng: Random, message: Any) -> None:
    """Walk down to a random field, and change it."""
    for _ in range(12):
        fields = message.ListFields()
        if not fields:
            return
        field, value = rng.choice(fields)
        several = not isinstance(value, int | float | str | bytes) and hasattr(value, "__len__")
        if field.message_type is not None:
            if several and (not value or rng.random() < 0.15):
                _change_list(rng, value)
                return
            message = rng.choice(value) if several else value
            continue
        change = {"int": _int, "float": _float, "str": _text, "bytes": _raw}
        try:
            if several:
                at = rng.randrange(len(value)) if value else 0
                if not value or rng.random() < 0.2:
                    _change_list(rng, value)
                else:
                    value[at] = change[type(value[at]).__name__](rng, value[at])
            else:
                setattr(message, field.name, change[type(value).__name__](rng, value))
        except (ValueError, TypeError):  # a number that the field cannot hold
            pass
        return


def _change_list(rng: Random, values: Any) -> None:
    """Remove or repeat an entry."""
    if values and rng.random() < 0.5:
        del values[rng.randrange(len(values))]
    elif values:
        entry = rng.choice(values)
        values.extend([entry])


def _int(rng: Random, value: int) -> int:
    return rng.choice((value + 1, -value, value * 2, rng.choice(mutate.SIZES), rng.randrange(20)))


def _float(rng: Random, value: float) -> float:
    return rng.choice((-value, value * 1e30, 0.0, float("nan"), float("inf"), 1.0))


OPERATIONS = ["Add", "Sub", "Div", "Conv", "Gemm", "MatMul", "MaxPool", "Pad", "Clip", "Flatten", "Transpose", "Sum"]
OPERATIONS += ["Identity", "LRN", "Sigmoid", "Squeeze", "Unsqueeze", "Cast", "Shape", "Gather", "Reshape", "Dropout"]


def _text(rng: Random, value: str) -> str:
    return rng.choice(("", "x", "y", "w", "b", "input", value + "x", value, *OPERATIONS))


def _raw(rng: Random, value: bytes) -> bytes:
    return mutate.of_bytes(rng, value)


def read_onnx(path: Path) -> None:
    check_network(lrpref.from_onnx(path), (1, 4, 4))


# ---- data sets -----------------------------------------------------------------------------------------------------


def _idx(*shape: int) -> bytes:
    size = int(np.prod(shape))
    header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    return header + (np.arange(size) % 10).astype(np.uint8).tobytes()


@cache
def idx_seeds() -> list[bytes]:
    images = _idx(1, 28, 28)
    return [images, gzip.compress(images, 1, mtime=0)]


def idx_structured(rng: Random, data: bytes) -> bytes:
    """Mutate what is packed, and pack it with the right checksum."""
    packed = data[:2] == b"\x1f\x8b"
    raw = mutate.of_bytes(rng, gzip.decompress(data) if packed else data)
    return gzip.compress(raw, 1, mtime=0) if packed else raw


def read_mnist(path: Path) -> None:
    labels = path.with_name("t10k-labels-idx1-ubyte")
    if not labels.is_file():
        labels.write_bytes(_idx(1))
    found = datasets.load("mnist", folder=path.parent, check=False)
    assert found.x.shape == (len(found.y), 1, 28, 28)


@cache
def cifar_seeds() -> list[bytes]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        content = bytes(i % 10 for i in range(3073))
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return [gzip.compress(stream.getvalue()[:5120], 1, mtime=0)]


def cifar_structured(rng: Random, data: bytes) -> bytes:
    """Mutate the header of a member, put its checksum right, and pack it again."""
    raw = bytearray(gzip.decompress(data))
    head = bytearray(mutate.of_bytes(rng, bytes(raw[:512])).ljust(512, b"\0")[:512])
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return gzip.compress(bytes(head + raw[512:]), 1, mtime=0)


def read_cifar(path: Path) -> None:
    found = datasets.load("cifar10", folder=path.parent, check=False)
    assert found.x.shape == (len(found.y), 3, 32, 32)


# ---- pictures ------------------------------------------------------------------------------------------------------


PICTURES = {
    "png": [("L", "PNG"), ("RGB", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("I;16", "PNG")],
    "jpg": [("L", "JPEG"), ("RGB", "JPEG"), ("CMYK", "JPEG")],
    "tif": [("L", "TIFF"), ("RGB", "TIFF"), ("F", "TIFF"), ("I;16", "TIFF")],
    "gif": [("P", "GIF")],
    "bmp": [("L", "BMP"), ("RGB", "BMP")],
}


def picture_seeds(suffix: str) -> Callable[[], list[bytes]]:
    @cache
    def seeds() -> list[bytes]:
        from PIL import Image

        found = []
        for mode, form in PICTURES[suffix]:
            image = Image.fromarray((np.arange(25, dtype=np.uint8) * 10).reshape(5, 5))
            stream = io.BytesIO()
            (image if mode == "L" else image.convert("I").convert(mode)).save(stream, form)
            found.append(stream.getvalue())
        return found

    return seeds


def picture_structured(rng: Random, data: bytes) -> bytes:
    """Mutate a chunk of a PNG and put its checksum right; other formats have none."""
    if not data.startswith(b"\x89PNG"):
        return mutate.of_bytes(rng, data)
    chunks, at = [], 8
    while at < len(data):
        size = struct.unpack(">I", data[at : at + 4])[0]
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    k = rng.randrange(len(chunks))
    kind, body = chunks[k]
    packed = kind == b"IDAT"
    body = mutate.of_bytes(rng, zlib.decompress(body) if packed else body)
    body = zlib.compress(body) if packed else body
    chunks[k] = (rng.choice((kind, kind, kind, b"tRNS", b"PLTE", b"acTL", b"zTXt", b"eXIf")), body)
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def read_picture(path: Path) -> None:
    for shape in ((1, 4, 4), (3, 6, 5)):
        x = inputs.read(str(path), shape)
        assert x.shape == (1, *shape)
        assert np.isfinite(x).all()
        assert 0 <= x.min() <= x.max() <= 1


# ---- cases and results ---------------------------------------------------------------------------------------------


@cache
def case_seeds() -> list[bytes]:
    paths = sorted((conformance.case.FIXTURES / "cases").glob("*.json"), key=lambda path: path.stat().st_size)
    return [path.read_bytes() for path in paths[::4] if path.stat().st_size < 4000]


def json_structured(rng: Random, data: bytes) -> bytes:
    return json.dumps(mutate.of_json(rng, json.loads(data))).encode()


def read_case(path: Path) -> None:
    """Read the table that holds this case alone; the index names what the file names."""
    try:
        name = json.loads(path.read_bytes())["id"]
    except Exception:
        name = "ab-neg-input"
    name = name if isinstance(name, str) and name.replace("-", "").isalnum() and len(name) < 80 else "x"
    about = {"format": conformance.case.FORMAT, "version": "1", "cases": [name]}
    path.with_name("index.json").write_text(json.dumps(about))
    named = path.parent / "cases" / f"{name}.json"
    named.parent.mkdir(exist_ok=True)
    named.write_bytes(path.read_bytes())
    try:
        [found] = conformance.load_cases(path.parent)
        assert found.id == name
        if found.network is not None:
            check_network(found.network, found.input.shape[1:])
    finally:
        named.unlink()


ABOUT = {"format": reproduce.FORMAT, "paper": "2002.11018", "unit": {"seed": 0}, "protocol": {}, "images": "one"}


@cache
def rows_seeds() -> list[bytes]:
    rows = [ABOUT, *({"flip": 0.25 * k, "one": None, "two": -1e-7} for k in range(4))]
    return ["\n".join([*map(json.dumps, rows), ""]).encode()]


def rows_structured(rng: Random, data: bytes) -> bytes:
    lines = [json.loads(line) for line in data.splitlines()]
    k = rng.randrange(len(lines))
    lines[k] = mutate.of_json(rng, lines[k])
    return "\n".join(map(json.dumps, lines)).encode()


def read_rows(path: Path) -> None:
    rows = reproduce.read(path, ABOUT)
    assert len({len(values) for values in rows.values()}) <= 1
    assert all(values.dtype.kind in "fiu" for values in rows.values()), "text or objects in the place of numbers"


# ---- all of them ---------------------------------------------------------------------------------------------------


FORMATS: dict[str, Format] = {
    "npz": Format(npz_seeds, npz_structured, "net.npz", read_npz),
    "npy": Format(npy_seeds, npy_structured, "x.npy", read_npy),
    "safetensors": Format(safetensors_seeds, safetensors_structured, "net.safetensors", read_tensors),
    "onnx": Format(onnx_seeds, onnx_structured, "net.onnx", read_onnx),
    "idx": Format(idx_seeds, idx_structured, "mnist/t10k-images-idx3-ubyte", read_mnist),
    "cifar": Format(cifar_seeds, cifar_structured, "cifar/cifar-10-binary.tar.gz", read_cifar),
    **{s: Format(picture_seeds(s), picture_structured, f"picture.{s}", read_picture) for s in PICTURES},
    "case": Format(case_seeds, json_structured, "table/case.json", read_case),
    "rows": Format(rows_seeds, rows_structured, "unit.jsonl", read_rows),
}
CHOICES = [*FORMATS, "npz", "safetensors", "npy"]

FUZZER = Fuzzer(
    "files",
    case,
    seconds=5,
    mebibytes=1600,  # a picture of MAX_PIXELS; others take far less
    demanded=frozenset(f"{name}: read" for name in FORMATS),
)
