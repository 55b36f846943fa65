"""Files made to hurt, and what each of them costs. `python tests/hostile.py` prints the table.

Each file is read in a process of its own, with limits on memory and processor time, so that a loader that has no bound
is stopped instead of the machine. Only Linux has all that this needs (`fork` and limits on a process's memory).
"""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

MIB = 2**20
MEMORY = 1024 * MIB
"""How much more memory a loader may take than the process has at its start; more is a MemoryError."""

SECONDS = 60
"""How much processor time a loader may take; it is killed after that."""


@dataclass(frozen=True)
class Found:
    """What reading a file led to: the error's type and message, processor time, and the growth of memory in MiB."""

    name: str
    error: str
    message: str
    seconds: float
    memory: float


# ---- loaders -----------------------------------------------------------------------------------------------------


def load_npz(path: Path) -> Any:
    import lrpref

    return lrpref.load(path)


def forward(path: Path) -> Any:
    return load_npz(path).forward(np.ones((1, 1, 8, 8), np.float32))


def load_state(path: Path) -> Any:
    import lrpref

    net = lrpref.Network.sequential(lrpref.Dense(np.zeros((2, 2))), names=["fc"])
    return lrpref.importers.read(path, architecture=net)


def load_onnx(path: Path) -> Any:
    import lrpref

    return lrpref.from_onnx(path)


def load_mnist(path: Path) -> Any:
    import lrpref

    return lrpref.datasets.load("mnist", folder=path.parent, check=False)


def load_cifar(path: Path) -> Any:
    import lrpref

    return lrpref.datasets.load("cifar10", folder=path.parent, check=False)


def load_npy(path: Path) -> Any:
    from lrpref.zoo import inputs

    return inputs.read(str(path), (1, 8, 8))


def load_heatmap(path: Path) -> Any:
    from lrpref.cli import saved_maps

    return saved_maps.read(path)


def load_cases(path: Path) -> Any:
    from lrpref import conformance

    return conformance.load_cases(path)


def load_rows(path: Path) -> Any:
    from lrpref.reproduce import runner

    return runner.read(path, {})


def load_headers(path: Path) -> Any:
    from lrpref.reproduce import runner

    (path.parent / "units").mkdir()
    path.rename(path.parent / "units" / path.name)
    return runner.read(path.parent / "units" / path.name, {})


# ---- makers ------------------------------------------------------------------------------------------------------

Maker = Callable[[Path], Path]
CASES: dict[str, tuple[Callable[[Path], Any], str, Maker]] = {}
"""Name -> the loader, what its error says as a regular expression ("" for a file that is read), and the maker."""


def case(loader: Callable[[Path], Any], message: str) -> Callable[[Maker], Maker]:
    """Register a maker of a file under its name."""

    def register(maker: Maker) -> Maker:
        CASES[maker.__name__] = loader, message, maker
        return maker

    return register


def npy(shape: Any, descr: str = "<f4", data: bytes = b"") -> bytes:
    """A .npy file whose header says what it likes."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def text(value: str) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(value))
    return stream.getvalue()


DENSE = {"type": "Dense", "config": {}, "arrays": ["weight"]}


def network_json(nodes: Any = None, layers: Any = None, **more: Any) -> str:
    nodes = [["a", "a", ["input"]]] if nodes is None else nodes
    return json.dumps({"nodes": nodes, "layers": {"a": DENSE} if layers is None else layers, **more})


def network_file(path: Path, architecture: str, members: dict[str, bytes] | None = None) -> Path:
    """A file like those of lrpref.save, with one Dense layer "a" unless the architecture says otherwise."""
    told = {"format": text("lrpref-network/1"), "architecture": text(architecture)}
    weight = io.BytesIO()
    np.lib.format.write_array(weight, np.ones((1, 2), np.float32))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**told, "a.weight": weight.getvalue(), **(members or {})}.items():
            archive.writestr(f"{name}.npy", content)
    return path


@dataclass(frozen=True)
class Member:
    """A member of a zip archive, with the sizes and the checksum that the archive declares for it."""

    name: str
    packed: bytes
    size: int
    crc: int
    method: int = 8


def member(name: str, content: bytes, size: int | None = None, crc: int | None = None) -> Member:
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = squeezed.compress(content) + squeezed.flush()
    return Member(name, packed, len(content) if size is None else size, zlib.crc32(content) if crc is None else crc)


def zip_file(path: Path, members: Sequence[Member], directory: int | None = None, count: int | None = None) -> Path:
    """A zip archive in zip64 form, written by hand; `directory` and `count` replace what it declares at its end."""
    body, entries = bytearray(), bytearray()
    for each in members:
        name = each.name.encode()
        sizes = struct.pack("<HHQQQ", 1, 24, each.size, len(each.packed), len(body))
        entries += (
            struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 45, 45, 0, each.method, 0, 0, each.crc, 2**32 - 1, 2**32 - 1,
                        len(name), len(sizes), 0, 0, 0, 0, 2**32 - 1) + name + sizes
        )  # fmt: skip
        local = struct.pack("<HHQQ", 1, 16, each.size, len(each.packed))
        body += struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 45, 0, each.method, 0, 0, each.crc, 2**32 - 1, 2**32 - 1,
                            len(name), len(local)) + name + local  # fmt: skip
        body += each.packed
    size, n = len(entries) if directory is None else directory, len(members) if count is None else count
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, n, n, size, len(body))
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(body) + len(entries), 1)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 2**16 - 1, 2**16 - 1, 2**32 - 1, 2**32 - 1, 0)
    path.write_bytes(body + entries + end64 + locator + end)
    return path


def bomb(prefix: bytes, zeros: int) -> bytes:
    """Raw deflate data of `prefix` and a great many zeros; a block of them is compressed once and repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(prefix) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(16 * MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * (zeros // (16 * MIB)) + packer.flush()


def gzip_bomb(prefix: bytes, zeros: int) -> bytes:
    """The same with the header of gzip, and a wrong checksum."""
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + bomb(prefix, zeros) + bytes(8)


# ---- .npz --------------------------------------------------------------------------------------------------------


@case(load_npz, "its directory has 12489064 bytes; at most 4194304 are supported")
def npz_of_150000_members(folder: Path) -> Path:
    empty = member("", npy((0,)))
    told = {"format": text("lrpref-network/1"), "architecture": text(network_json())}
    members = [member(f"{name}.npy", content) for name, content in told.items()]
    return zip_file(folder / "net.npz", members + [replace(empty, name=f"{i}.npy") for i in range(150_000)])


@case(load_npz, "the archive has 20000 members; at most 10000 are supported")
def npz_of_20000_members(folder: Path) -> Path:
    """Their directory is small enough to be read."""
    return zip_file(folder / "net.npz", [Member(f"{i}", b"", 0, 0, 0) for i in range(20_000)])


@case(load_npz, "compressed by another method than deflate")
def npz_of_lzma(folder: Path) -> Path:
    return zip_file(folder / "net.npz", [replace(member("a.npy", npy((0,))), method=14)])


@case(load_npz, "the archive contains a.weight twice")
def npz_with_a_member_twice(folder: Path) -> Path:
    weight = npy((1, 2), "<f4", np.ones(2, np.float32).tobytes())
    told = [("format", text("lrpref-network/1")), ("architecture", text(network_json()))]
    told += [("a.weight", weight), ("a.weight", npy((1, 2), "<f4", np.zeros(2, np.float32).tobytes()))]
    return zip_file(folder / "net.npz", [member(f"{name}.npy", content) for name, content in told])


@case(load_npz, "the arrays need 8589934592 bytes, more than max_bytes=4294967296")
def npz_bomb_in_the_array(folder: Path) -> Path:
    zeros = 8 * 2**30
    head = npy((zeros // 4,))
    return zip_file(folder / "net.npz", [Member("a.npy", bomb(head, zeros), len(head) + zeros, 0)])


@case(load_npz, "reading array header, expected 2147483648 bytes")
def npz_bomb_in_the_header(folder: Path) -> Path:
    zeros = 2 * 2**30
    head = b"\x93NUMPY\x02\x00" + struct.pack("<I", zeros)
    return zip_file(folder / "net.npz", [Member("a.npy", bomb(head, zeros), len(head) + zeros, 0)])


@case(load_npz, "Bad CRC-32")
def npz_with_a_wrong_checksum(folder: Path) -> Path:
    return zip_file(folder / "net.npz", [member("format.npy", text("lrpref-network/1"), crc=7)])


@case(load_npz, "Bad CRC-32")
def npz_of_more_than_declared(folder: Path) -> Path:
    content = npy((2,), "<f4", bytes(8)) + bytes(64 * MIB)
    return zip_file(folder / "net.npz", [member("a.npy", content, size=len(content) - 64 * MIB)])


@case(load_npz, r"a declares 1073741\d+ bytes, but stores \d\d")
def npz_of_less_than_declared(folder: Path) -> Path:
    content = npy((2**28,), "<f4", bytes(8))
    return zip_file(folder / "net.npz", [member("a.npy", content, size=len(content) - 8 + 2**30)])


@case(load_npz, "reading array data, expected 65536 bytes got 8")
def npz_of_less_than_its_packed_bytes_could_hold(folder: Path) -> Path:
    content = npy((2**14,), "<f4", bytes(8))
    return zip_file(folder / "net.npz", [member("a.npy", content, size=len(content) - 8 + 2**16)])


@case(load_npz, "Bad offset for central directory|its directory has")
def npz_with_a_directory_of_2_exabytes(folder: Path) -> Path:
    return zip_file(folder / "net.npz", [member("a.npy", npy((0,)))], directory=2**61)


@case(load_npz, "its directory has 97615890 bytes")
def npz_with_a_large_directory(folder: Path) -> Path:
    """The directory is read whole: here it has 200 MB, almost all of it names of members."""
    members = [Member("a" * 65_000 + str(i), b"", 0, 0, 0) for i in range(1_500)]
    return zip_file(folder / "net.npz", members)


@case(load_npz, "not written by lrpref.save")
def npz_with_2_to_the_60_members_declared(folder: Path) -> Path:
    return zip_file(folder / "net.npz", [member("a.npy", npy((0,)))], count=2**60)


@case(load_npz, r"a.weight.npy declares shape \(10{30}, 0\)")
def npz_of_shape_1e30_by_0(folder: Path) -> Path:
    return network_file(folder / "net.npz", network_json(), {"a.weight": npy((10**30, 0))})


@case(load_npz, "Dense weight has dtype <U0")
def npz_of_empty_text(folder: Path) -> Path:
    return network_file(folder / "net.npz", network_json(), {"a.weight": npy((2**60,), "<U0")})


@case(load_npz, "not a readable .npz file: can only specify one unknown dimension")
def npz_of_negative_shape(folder: Path) -> Path:
    return network_file(folder / "net.npz", network_json(), {"a.weight": npy((-1, -2), "<f4", bytes(8))})


@case(load_npz, "a.weight.npy has 3000 axes; at most 32 are supported")
def npz_of_3000_axes(folder: Path) -> Path:
    return network_file(folder / "net.npz", network_json(), {"a.weight": npy((1,) * 3000, "<f4", bytes(4))})


def batch_norm(eps: str) -> str:
    spec = {"type": "BatchNorm", "config": {"eps": 0}, "arrays": ["weight", "bias", "mean", "var"]}
    return network_json(layers={"a": spec}).replace('"eps": 0', f'"eps": {eps}')


@case(load_npz, "not valid JSON: a number has 400 digits; at most 300 are supported")
def json_with_an_eps_of_400_digits(folder: Path) -> Path:
    ones = npy((2,), "<f4", np.ones(2, np.float32).tobytes())
    fields = {f"a.{name}": ones for name in ("weight", "bias", "mean", "var")}
    return network_file(folder / "net.npz", batch_norm("9" * 400), fields)


@case(load_npz, "a number has 1000000 digits; at most 300")
def json_with_a_number_of_a_million_digits(folder: Path) -> Path:
    return network_file(folder / "net.npz", batch_norm("9" * 10**6))


@case(load_npz, "the array a.bias is missing")
def json_with_a_fraction_of_4_million_digits(folder: Path) -> Path:
    return network_file(folder / "net.npz", batch_norm("0." + "3" * 4_000_000))


@case(load_npz, "not valid JSON: nested deeper than 64 levels")
def json_of_depth_100000(folder: Path) -> Path:
    return network_file(folder / "net.npz", "[" * 100_000 + "]" * 100_000)


@case(load_npz, "not valid JSON: nested deeper than 64 levels")
def json_of_depth_900(folder: Path) -> Path:
    layer = network_json().replace('"Dense"', "[" * 900 + "]" * 900)
    return network_file(folder / "net.npz", layer)


@case(load_npz, "holds text of 104857600 characters; at most 16777216 are supported")
def json_of_100_million_characters(folder: Path) -> Path:
    size = 100 * MIB  # in four bytes each
    head = npy((), f"<U{size}")
    return zip_file(
        folder / "net.npz",
        [
            member("format.npy", text("lrpref-network/1")),
            Member("architecture.npy", bomb(head, 4 * size), len(head) + 4 * size, 0),
        ],
    )


@case(load_npz, "holds text of 30000004 characters; at most 16777216")
def json_of_30_million_characters(folder: Path) -> Path:
    return network_file(folder / "net.npz", "[" + "{}," * 10**7 + "{}]")


@case(load_npz, "the name of a node must be a string, got 1")
def json_with_a_node_called_1(folder: Path) -> Path:
    return network_file(folder / "net.npz", network_json([[1, "a", ["input"]], ["b", "a", [1]]]))


@case(load_npz, "the name of a node must be a string, got nan")
def json_with_a_node_called_nan(folder: Path) -> Path:
    return network_file(folder / "net.npz", network_json([[float("nan"), "a", ["input"]]]))


@case(load_npz, "the name of a node must be a string, got None")
def json_with_a_node_called_null(folder: Path) -> Path:
    return network_file(folder / "net.npz", network_json([[None, "a", ["input"]]]))


@case(load_npz, r"inputs must be a list of names, got \[\['input'\]\]")
def json_with_a_list_as_an_input(folder: Path) -> Path:
    return network_file(folder / "net.npz", network_json([["a", "a", [["input"]]]]))


@case(load_npz, "")
def json_of_9999_nodes_in_reverse(folder: Path) -> Path:
    """As many nodes as are allowed, in the order that is the most work to sort; this one is a network."""
    nodes = [[f"n{i}", "a", [f"n{i - 1}" if i else "input"]] for i in range(9_999)][::-1]
    return network_file(folder / "net.npz", network_json(nodes, {"a": {"type": "ReLU", "config": {}, "arrays": []}}))


@case(load_npz, "the nodes must be a list of at most 10000")
def json_of_100000_nodes(folder: Path) -> Path:
    nodes = [[f"n{i}", "a", [f"n{i - 1}" if i else "input"]] for i in range(100_000)][::-1]
    return network_file(folder / "net.npz", network_json(nodes, {"a": {"type": "ReLU", "config": {}, "arrays": []}}))


@case(load_npz, "the graph has a cycle")
def json_of_a_cycle_of_9999_nodes(folder: Path) -> Path:
    nodes = [[f"n{i}", "a", [f"n{(i + 1) % 9_998}"]] for i in range(9_998)] + [["last", "a", ["n0"]]]
    return network_file(folder / "net.npz", network_json(nodes, {"a": {"type": "ReLU", "config": {}, "arrays": []}}))


def one_layer(folder: Path, kind: str, arrays: dict[str, bytes] | None = None, **config: Any) -> Path:
    spec = {"type": kind, "config": config, "arrays": [name.partition(".")[2] for name in arrays or ()]}
    return network_file(folder / "net.npz", network_json(layers={"a": spec}), arrays)


@case(forward, r"node 'a' \(Pad2D\): one sample of shape \(1, 200000008, 200000008\) would have")
def pad_of_1e8(folder: Path) -> Path:
    return one_layer(folder, "Pad2D", padding=10**8)


@case(forward, r"node 'a' \(MaxPool2D\): one sample of shape \(1, 200000008, 200000008\) would have")
def pool_padded_by_1e8(folder: Path) -> Path:
    return one_layer(folder, "MaxPool2D", kernel_size=10**8 + 1, padding=10**8)


KERNEL = {"a.weight": npy((1, 1, 1, 1), "<f4", np.ones(1, np.float32).tobytes())}


@case(forward, r"node 'a' \(Conv2D\): one sample of shape \(1, 200000008, 200000008\) would have")
def convolution_padded_by_1e8(folder: Path) -> Path:
    """Its output is small."""
    return one_layer(folder, "Conv2D", KERNEL, padding=10**8, stride=10**8)


@case(load_npz, "stride takes 1 or 2 integers >= 1, got 1000000000000000000000000000000")
def stride_of_1e30(folder: Path) -> Path:
    return one_layer(folder, "Conv2D", KERNEL, stride=10**30)


@case(load_npz, "groups must be an integer >= 1, got 1000000000000000000000000000000")
def groups_of_1e30(folder: Path) -> Path:
    return one_layer(folder, "Conv2D", KERNEL, groups=10**30)


@case(load_npz, "dilation takes 1 or 2 integers >= 1, got 1000000000000000000000000000000")
def dilation_of_1e30(folder: Path) -> Path:
    weight = {"a.weight": npy((1, 1, 2, 2), "<f4", np.ones(4, np.float32).tobytes())}
    return one_layer(folder, "Conv2D", weight, dilation=10**30)


# ---- .npy --------------------------------------------------------------------------------------------------------


@case(load_npy, r"x.npy is not a readable .npy file: it declares shape \(10{30}, 0\)")
def npy_of_shape_1e30_by_0(folder: Path) -> Path:
    (path := folder / "x.npy").write_bytes(npy((10**30, 0)))
    return path


@case(load_heatmap, r"x.npy is not a readable .npy file: it declares shape \(10{30}, 0\)")
def heatmap_of_shape_1e30_by_0(folder: Path) -> Path:
    (path := folder / "x.npy").write_bytes(npy((10**30, 0)))
    return path


@case(load_npy, r"declares shape \(4294967296, 4294967296\) and dtype float32 \(\d+ bytes\), but holds 0 bytes")
def npy_whose_size_overflows_to_0(folder: Path) -> Path:
    (path := folder / "x.npy").write_bytes(npy((2**32, 2**32)))
    return path


@case(load_heatmap, "x.npy is not a readable .npy file: .*reading array header, expected 3221225472 bytes")
def heatmap_with_a_header_of_3_gib(folder: Path) -> Path:
    path = folder / "x.npy"
    with path.open("wb") as stream:
        stream.write(b"\x93NUMPY\x02\x00" + struct.pack("<I", 3 * 2**30))
        stream.truncate(3 * 2**30 + 12)
    return path


@case(load_npy, "x.npy is not a readable .npy file: it needs 8589934592 bytes, more than max_bytes=4294967296")
def npy_of_8_gib_of_holes(folder: Path) -> Path:
    path = folder / "x.npy"
    head = npy((2**31,))
    with path.open("wb") as stream:
        stream.write(head)
        stream.truncate(len(head) + 2**33)
    return path


# ---- .onnx -------------------------------------------------------------------------------------------------------


def model(folder: Path, nodes: Sequence[Any], shape: Sequence[Any], constants: dict[str, Any] | None = None) -> Path:
    """A float32 model from "x" to "y"."""
    import onnx

    kind = onnx.TensorProto.FLOAT
    told = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    ends = [onnx.helper.make_tensor_value_info(name, kind, at) for name, at in (("x", shape), ("y", None))]
    graph = onnx.helper.make_graph(nodes, "", ends[:1], ends[1:], told)
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    (path := folder / "net.onnx").write_bytes(made.SerializeToString())
    return path


def node(kind: str, inputs: Sequence[str], output: str = "y", **attributes: Any) -> Any:
    import onnx

    return onnx.helper.make_node(kind, inputs, [output], **attributes)


@case(
    load_onnx, r"node 'y' \(MaxPool\): on the example, the network needs more than 2.7e\+11 operations; give a smaller"
)
def onnx_pool_of_1000_by_1000(folder: Path) -> Path:
    return model(folder, [node("MaxPool", ["x"], kernel_shape=[1000, 1000])], (1, 1, 1000, 1000))


@case(load_onnx, r"node 'y' \(MaxPool\): on the example, the network needs more than 2.7e\+11 operations")
def onnx_pool_padded_from_one_pixel(folder: Path) -> Path:
    pool = node("MaxPool", ["x"], kernel_shape=[900, 900], pads=[899] * 4, strides=[1, 1])
    return model(folder, [pool], (1, 1, 1, 1))


@case(load_onnx, r"node 'y' \(Conv\): the patches of this convolution need \d+ bytes, more than max_bytes=")
def onnx_convolution_of_500_by_500(folder: Path) -> Path:
    """A kernel of 1 MB whose patches would need 4 TiB."""
    return model(folder, [node("Conv", ["x", "w"])], (1, 1, 1500, 1500), {"w": np.ones((1, 1, 500, 500), np.float32)})


@case(load_onnx, r"node 'y' \(Conv\): the patches of this convolution need \d+ bytes")
def onnx_convolution_with_dilation_1000(folder: Path) -> Path:
    convolution = node("Conv", ["x", "w"], dilations=[1000, 1000])
    return model(folder, [convolution], (1, 64, 1100, 1100), {"w": np.ones((64, 64, 2, 2), np.float32)})


@case(load_onnx, r"on the example, the network needs more than 2.7e\+11 operations")
def onnx_convolution_with_many_channels(folder: Path) -> Path:
    nodes = [
        node("Conv", [f"y{i}" if i else "x", "w"], f"y{i + 1}" if i < 99 else "y", pads=[1] * 4) for i in range(100)
    ]
    return model(folder, nodes, (1, 512, 64, 64), {"w": np.ones((512, 512, 3, 3), np.float32)})


@case(load_onnx, r"node 'y' \(Pad\): one sample of shape \(1, 1000000004, 4\) would have")
def onnx_padding_of_1e9(folder: Path) -> Path:
    return model(folder, [node("Pad", ["x", "p"])], (1, 1, 4, 4), {"p": np.array([0, 0, 10**9, 0, 0, 0, 0, 0])})


@case(load_onnx, "stride takes 1 or 2 integers >= 1")
def onnx_stride_and_group_of_1e18(folder: Path) -> Path:
    convolution = node("Conv", ["x", "w"], strides=[10**18, 10**18], group=10**18)
    return model(folder, [convolution], (1, 1, 4, 4), {"w": np.ones((1, 1, 2, 2), np.float32)})


@case(load_onnx, r"an input of shape \(1, 1000000000, 1000000000\) needs more memory than max_bytes=")
def onnx_input_of_1e18(folder: Path) -> Path:
    return model(folder, [node("Relu", ["x"])], (1, 10**9, 10**9))


@case(load_onnx, "the input 'x' has more than 32 axes")
def onnx_input_of_1000_axes(folder: Path) -> Path:
    return model(folder, [node("Relu", ["x"])], (1,) * 1000)


@case(load_onnx, r"axis 0 of the output holds more than the samples")
def onnx_reshape_of_12_axes(folder: Path) -> Path:
    """39,916,800 orders of the axes lead from one shape to the other, but not without mixing samples."""
    shape = [2, 2, *[1] * 9, 2]
    return model(folder, [node("Reshape", ["x", "s"])], shape, {"s": np.array([4, *[1] * 9, 1, 2])})


@case(load_onnx, r"node 'y' \(Reshape\): a shape of 1000000 axes; at most 32 are supported")
def onnx_reshape_to_a_million_axes(folder: Path) -> Path:
    return model(folder, [node("Reshape", ["x", "s"])], (1, 4), {"s": np.full(10**6, 2**62)})


@case(load_onnx, r"node 'e' \(Expand\): with an array of shape \(1000000000,\), .* more memory than max_bytes=")
def onnx_expand_to_1e9(folder: Path) -> Path:
    nodes = [node("Expand", ["c", "s"], "e"), node("Add", ["x", "e"])]
    return model(folder, nodes, (1, 4), {"c": np.ones(1, np.float32), "s": np.array([10**9])})


@case(load_onnx, r"node 'e' \(Range\): with an array of shape \(1000000000,\), .* more memory than max_bytes=")
def onnx_range_to_1e9(folder: Path) -> Path:
    nodes = [node("Range", ["a", "b", "c"], "e"), node("Add", ["x", "e"])]
    return model(folder, nodes, (1, 4), {"a": np.array(0.0), "b": np.array(1e9), "c": np.array(1.0)})


@case(
    load_onnx, r"node 'e' \(ConstantOfShape\): with an array of shape \(1000000000,\), .* more memory than max_bytes="
)
def onnx_constant_of_shape_1e9(folder: Path) -> Path:
    nodes = [node("ConstantOfShape", ["s"], "e"), node("Add", ["x", "e"])]
    return model(folder, nodes, (1, 4), {"s": np.array([10**9])})


@case(load_onnx, r"node 'e' \(ConstantOfShape\): a shape of 1000000 axes")
def onnx_constant_of_shape_of_a_million_axes(folder: Path) -> Path:
    nodes = [node("ConstantOfShape", ["s"], "e"), node("Add", ["x", "e"])]
    return model(folder, nodes, (1, 4), {"s": np.full(10**6, 2**62)})


@case(load_onnx, r"node 'e2\d' \(Concat\)")
def onnx_constants_that_grow_step_by_step(folder: Path) -> Path:
    """Each doubles the one before; together they would need 2^40 numbers."""
    nodes = [node("Concat", [f"e{i}"] * 2, f"e{i + 1}", axis=0) for i in range(40)]
    return model(folder, [*nodes, node("Add", ["x", "e40"])], (1, 4), {"e0": np.ones(1, np.float32)})


@case(load_onnx, r"node 'y\d+' \(Gemm\): .*(not enough memory|more memory than max_bytes)")
def onnx_weight_used_by_2000_layers(folder: Path) -> Path:
    """Each Gemm with an alpha makes a copy of a weight of 4 MB."""
    nodes = [
        node("Gemm", [f"y{i}" if i else "x", "w"], f"y{i + 1}" if i < 1999 else "y", alpha=0.5) for i in range(2000)
    ]
    return model(folder, nodes, (1, 1024), {"w": np.ones((1024, 1024), np.float32)})


@case(load_onnx, "it has 100000 operations; at most 10000 are supported")
def onnx_of_100000_nodes(folder: Path) -> Path:
    nodes = [node("Relu", [f"y{i}" if i else "x"], f"y{i + 1}" if i < 99_999 else "y") for i in range(100_000)]
    return model(folder, nodes, (1, 4))


@case(load_onnx, "")
def onnx_of_9999_nodes(folder: Path) -> Path:
    """As many as are allowed; this one is a network."""
    nodes = [node("Relu", [f"y{i}" if i else "x"], f"y{i + 1}" if i < 9_998 else "y") for i in range(9_999)]
    return model(folder, nodes, (1, 4))


def field(number: int, content: bytes) -> bytes:
    """A field of a protobuf message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    start = b""
    while value > 127:
        start, value = start + bytes([value & 127 | 128]), value >> 7
    return start + bytes([value])


@case(load_onnx, "without its weights, the file has more than 16777216 bytes")
def onnx_of_5_million_empty_nodes(folder: Path) -> Path:
    (path := folder / "net.onnx").write_bytes(b"\x08\x08" + field(7, field(1, b"") * 5_000_000))
    return path


@case(load_onnx, "without its weights, the file has more than 16777216 bytes")
def onnx_of_5_million_empty_attributes(folder: Path) -> Path:
    (path := folder / "net.onnx").write_bytes(b"\x08\x08" + field(7, field(1, field(5, b"") * 5_000_000)))
    return path


@case(load_onnx, "without its weights, the file has more than 16777216 bytes")
def onnx_of_20_mb_of_descriptions(folder: Path) -> Path:
    (path := folder / "net.onnx").write_bytes(b"\x08\x08" + field(7, field(13, b"") * 10_000_000))
    return path


@case(load_onnx, "net.onnx: not a readable ONNX file")
def onnx_nested_10000_deep(folder: Path) -> Path:
    content = b""
    for _ in range(10_000):
        content = field(6, field(1, field(5, content)))  # an attribute that is a graph
    (path := folder / "net.onnx").write_bytes(b"\x08\x08" + field(7, field(1, field(5, content))))
    return path


@case(load_onnx, "the weights 'w' have 1000000 axes; at most 32 are supported")
def onnx_initialiser_of_a_million_axes(folder: Path) -> Path:
    tensor = field(1, varint(2**60) * 10**6) + b"\x10\x01" + field(8, b"w")
    path = model(folder, [node("MatMul", ["x", "w"])], (1, 4))
    path.write_bytes(path.read_bytes() + field(7, field(5, tensor)))
    return path


@case(load_onnx, r"node 'y' \(MatMul\): its weights take 10{18} features")
def onnx_initialiser_of_1e18_by_0(folder: Path) -> Path:
    tensor = field(1, varint(10**18) + varint(0)) + b"\x10\x01" + field(8, b"w")
    path = model(folder, [node("MatMul", ["x", "w"])], (1, 4))
    path.write_bytes(path.read_bytes() + field(7, field(5, tensor)))
    return path


@case(load_onnx, r"node 'e' \(Tile\): with an array of shape \(1000000000,\), .* more memory than max_bytes=")
def onnx_tile_to_1e9(folder: Path) -> Path:
    nodes = [node("Tile", ["c", "s"], "e"), node("Add", ["x", "e"])]
    return model(folder, nodes, (1, 4), {"c": np.ones(1000, np.float32), "s": np.array([10**6])})


@case(load_onnx, r"the weights need 8000000000000000000 bytes in float64, more than max_bytes=")
def onnx_sparse_weights_of_1e18(folder: Path) -> Path:
    import onnx

    path = model(folder, [node("MatMul", ["x", "w"])], (1, 4))
    values, places = (onnx.numpy_helper.from_array(np.array(v), "w") for v in ([1.0], [0]))
    sparse = onnx.SparseTensorProto(values=values, indices=places, dims=[10**9, 10**9])
    path.write_bytes(path.read_bytes() + field(7, field(15, sparse.SerializeToString())))
    return path


def functions(path: Path, calls: Sequence[Sequence[str]]) -> Path:
    """A model that calls the last of its functions; each is given by the operations that it applies in turn."""
    import onnx

    made = []
    for k, called in enumerate(calls):
        chain = [
            onnx.helper.make_node(each, [f"v{i}"], [f"v{i + 1}"], domain="" if each == "Relu" else "own")
            for i, each in enumerate(called)
        ]
        ends = (["v0"], [f"v{len(called)}"])
        told = [onnx.helper.make_opsetid(*version) for version in (("", 20), ("own", 1))]
        made.append(onnx.helper.make_function("own", f"f{k}", *ends, chain, told))
    model(path, [node(f"f{len(calls) - 1}", ["x"], domain="own")], (1, 4))
    loaded = onnx.load(path / "net.onnx")
    loaded.functions.extend(made)
    loaded.opset_import.append(onnx.helper.make_opsetid("own", 1))
    (path / "net.onnx").write_bytes(loaded.SerializeToString())
    return path / "net.onnx"


@case(load_onnx, r"with its functions expanded, it has 1099511627776 operations of \d+ bytes in 42 levels; at most")
def onnx_functions_that_double(folder: Path) -> Path:
    """Forty functions, each of which calls the one before it twice."""
    return functions(folder, [["Relu"], *([f"f{k}"] * 2 for k in range(40))])


@case(load_onnx, r"it has 1 operations of \d+ bytes in 5002 levels; at most 10000 operations of \d+ bytes in 64 levels")
def onnx_functions_5000_deep(folder: Path) -> Path:
    return functions(folder, [["Relu"], *([f"f{k}"] for k in range(5000))])


@case(load_onnx, r"its function 'f\d' calls itself")
def onnx_function_that_calls_itself(folder: Path) -> Path:
    return functions(folder, [["f1"], ["f0"]])


# ---- .safetensors ------------------------------------------------------------------------------------------------


def safetensors(path: Path, header: bytes, size: int | None = None, data: bytes = b"") -> Path:
    path.write_bytes(struct.pack("<Q", len(header) if size is None else size) + header + data)
    return path


@case(load_state, "its header has 1000000000 bytes; at most 4194304 are supported")
def safetensors_header_of_1e9_bytes(folder: Path) -> Path:
    path = safetensors(folder / "x.safetensors", b"{", 10**9)
    os.truncate(path, 10**9 + 8)
    return path


@case(load_state, r"its header has \d+ bytes; at most 4194304 are supported")
def safetensors_header_of_90_mb(folder: Path) -> Path:
    entry = '"{}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
    header = "{" + ",".join(entry.format(i) for i in range(1_500_000)) + "}"
    return safetensors(folder / "x.safetensors", header.encode())


@case(load_state, "it has 20000 tensors; at most 10000 are supported")
def safetensors_of_20000_tensors(folder: Path) -> Path:
    entry = '"{}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
    header = "{" + ",".join(entry.format(i) for i in range(20_000)) + "}"
    return safetensors(folder / "x.safetensors", header.encode())


@case(load_state, "not a readable .safetensors file")
def safetensors_of_shape_1e19_by_0(folder: Path) -> Path:
    told = {"fc.weight": {"dtype": "F32", "shape": [10**19, 0], "data_offsets": [0, 0]}}
    return safetensors(folder / "x.safetensors", json.dumps(told).encode())


@case(load_state, "not a readable .safetensors file")
def safetensors_of_1000_axes(folder: Path) -> Path:
    told = {"fc.weight": {"dtype": "F32", "shape": [1] * 1000, "data_offsets": [0, 4]}}
    return safetensors(folder / "x.safetensors", json.dumps(told).encode(), data=bytes(4))


# ---- data sets ---------------------------------------------------------------------------------------------------

IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx(folder: Path, images: bytes, suffix: str = "") -> Path:
    (path := folder / f"{IMAGES}{suffix}").write_bytes(images)
    (folder / LABELS).write_bytes(struct.pack(">HBBI", 0, 8, 1, 1) + b"\0")
    return path


@case(load_mnist, "the gzip data are truncated, or hold more than 268435456 bytes")
def idx_bomb(folder: Path) -> Path:
    return idx(folder, gzip_bomb(struct.pack(">HBB3I", 0, 8, 3, 1, 28, 28), 2**32), ".gz")


@case(load_mnist, "the header gives shape .*, 841813590016 bytes, but the IDX file has 784")
def idx_that_declares_a_terabyte(folder: Path) -> Path:
    return idx(folder, struct.pack(">HBB3I", 0, 8, 3, 2**30, 28, 28) + bytes(784))


@case(load_mnist, "the gzip data are truncated")
def idx_with_a_name_of_100_mb(folder: Path) -> Path:
    """The name in a gzip header ends with a zero byte; Python looks for it byte by byte."""
    return idx(folder, b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"a" * 10**8, ".gz")


def archive(folder: Path, content: bytes) -> Path:
    (path := folder / "cifar-10-binary.tar.gz").write_bytes(content)
    return path


def tar_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


BATCH = "cifar-10-batches-bin/test_batch.bin"


@case(load_cifar, "a header of 3221225472 bytes; at most 1048576 are read")
def tar_with_a_pax_header_of_3_gib(folder: Path) -> Path:
    return archive(folder, gzip_bomb(tar_header("x", 3 * 2**30, tarfile.XHDTYPE), 3 * 2**30))


@case(load_cifar, "a header of 3221225472 bytes; at most 1048576 are read")
def tar_with_a_long_name_of_3_gib(folder: Path) -> Path:
    return archive(folder, gzip_bomb(tar_header("x", 3 * 2**30, tarfile.GNUTYPE_LONGNAME), 3 * 2**30))


@case(load_cifar, "it unpacks to more than 268435456 bytes")
def tar_with_a_member_of_4_gib(folder: Path) -> Path:
    return archive(folder, gzip_bomb(tar_header("x", 4 * 2**30), 4 * 2**30))


@case(load_cifar, "more than 1000 members")
def tar_of_100000_members(folder: Path) -> Path:
    return archive(folder, gzip.compress(tar_header("x", 0) * 100_000, 1))


@case(load_cifar, "not a readable archive")
def tar_of_10000_pax_headers_in_a_row(folder: Path) -> Path:
    return archive(folder, gzip.compress((tar_header("x", 0, tarfile.XHDTYPE)) * 10_000))


@case(load_cifar, "does not contain test_batch.bin")
def tar_with_a_link_in_place_of_the_batch(folder: Path) -> Path:
    (folder / "secret").write_bytes(bytes(3073))
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "../secret"), (tarfile.CHRTYPE, "")):
            info = tarfile.TarInfo(BATCH)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    return archive(folder, stream.getvalue())


@case(load_cifar, "cifar-10-binary.tar.gz")
def tar_of_a_negative_size(folder: Path) -> Path:
    header = bytearray(tar_header("x", 512))
    header[124:136] = b"\xff" * 10 + b"\xfc\x00"  # base 256: -1024
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return archive(folder, gzip.compress(bytes(header) * 4))


# ---- cases and results -------------------------------------------------------------------------------------------


def cases(folder: Path, content: str) -> Path:
    (folder / "cases").mkdir()
    told = {"format": "lrp-cases/1", "version": "1", "cases": ["a"]}
    (folder / "index.json").write_text(json.dumps(told))
    (folder / "cases" / "a.json").write_text(content)
    return folder


def conformance(**more: Any) -> str:
    about = {"format": "lrp-cases/1", "id": "a", "number": 1, "title": "", "citation": "", "kind": "relevance"}
    network = {"nodes": [["a", "a", ["input"]]], "layers": {"a": {**DENSE, "arrays": {"weight": [["1", "1"]]}}}}
    told = {"derivation": "hand", "revision": 1, "network": network, "input": [["1", "2"]], "target": 0}
    return json.dumps(about | told | {"expected": [["1", "2"]], "rules": {}} | more)


@case(load_cases, "cannot be read as JSON: nested deeper than 64 levels")
def case_of_depth_100000(folder: Path) -> Path:
    return cases(folder, '{"id":' + "[" * 100_000 + "]" * 100_000 + "}")


@case(load_cases, "cannot be read as JSON: nested deeper than 64 levels")
def case_of_depth_900(folder: Path) -> Path:
    return cases(folder, conformance(arguments={"x": 0}).replace('"x": 0', '"x": ' + "[" * 900 + "]" * 900))


@case(load_cases, "case")
def case_of_60_axes(folder: Path) -> Path:
    return cases(folder, conformance(input="X").replace('"X"', "[" * 60 + '"1"' + "]" * 60))


@case(load_cases, "a number has 1000000 digits; at most 300")
def case_with_a_number_of_a_million_digits(folder: Path) -> Path:
    return cases(folder, conformance(number=0).replace('"number": 0', '"number": ' + "9" * 10**6))


@case(load_cases, "the name of a node must be a string, got 1")
def case_with_a_node_called_1(folder: Path) -> Path:
    network = {"nodes": [[1, "a", ["input"]]], "layers": {"a": {**DENSE, "arrays": {"weight": [["1", "1"]]}}}}
    return cases(folder, conformance(network=network))


@case(load_cases, "more than 16777216 bytes")
def case_of_100_mb(folder: Path) -> Path:
    path = cases(folder, "")
    with (path / "cases" / "a.json").open("w") as stream:
        for _ in range(100):
            stream.write("[" * 2**20)
    return path


@case(load_rows, "unit.jsonl is damaged .*nested deeper than 64 levels")
def results_of_depth_100000(folder: Path) -> Path:
    (path := folder / "unit.jsonl").write_text("{}\n" + "[" * 100_000 + "]" * 100_000)
    return path


@case(load_rows, "unit.jsonl is damaged .*a number has 1000 digits")
def results_of_1000_digits(folder: Path) -> Path:
    (path := folder / "unit.jsonl").write_text('{}\n{"a": ' + "9" * 1000 + "}\n")
    return path


@case(load_rows, "unit.jsonl is damaged")
def results_of_lists(folder: Path) -> Path:
    (path := folder / "unit.jsonl").write_text('{}\n{"a": [1, 2]}\n')
    return path


@case(load_rows, "it has more than 16777216 bytes")
def results_of_200_mb(folder: Path) -> Path:
    (path := folder / "unit.jsonl").write_text('{}\n{"a": 1}\n' * 10**7)
    return path


@case(load_headers, "unit.jsonl is damaged .*nested deeper than 64 levels")
def result_header_of_depth_100000(folder: Path) -> Path:
    (path := folder / "unit.jsonl").write_text("[" * 100_000 + "]" * 100_000)
    return path


# ---- the process that reads --------------------------------------------------------------------------------------


def measured(name: str, folder: Path) -> Found:
    """Make the file, and read it in a process of its own."""
    loader, _, maker = CASES[name]
    path = maker(folder)
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ready)
        _read(loader, path, told)
    os.close(told)
    with os.fdopen(ready, "rb") as stream:
        answer = stream.read()
    _, status, used = os.wait4(child, 0)
    seconds = used.ru_utime + used.ru_stime
    first = resident()
    if status or not answer:
        error, message = "killed", f"by signal {os.WTERMSIG(status)} after {used.ru_utime:.1f} s"
    else:
        error, message = json.loads(answer)
    return Found(name, error, message[:300], seconds, used.ru_maxrss / 1024 - first)


def resident() -> float:
    """The resident memory of this process in MiB, which a child of it starts with."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


def _read(loader: Callable[[Path], Any], path: Path, told: int) -> None:
    """In the child: limit memory and time, read, write what happened to the pipe, and end."""
    import resource

    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    answer = ("", "")
    try:
        loader(path)
    except BaseException as error:
        answer = (type(error).__name__, str(error)[:2000])
    with suppress(BaseException):
        os.write(told, json.dumps(answer).encode())
    os._exit(0)


def main(names: Sequence[str]) -> None:
    """Print one line of JSON per file; as a table if this is a terminal."""
    import lrpref.cli
    import lrpref.conformance
    import lrpref.importers
    import lrpref.reproduce  # noqa: F401 - imported once, not in every child

    with suppress(ImportError):
        import onnx.reference  # noqa: F401
    for name in names or CASES:
        with tempfile.TemporaryDirectory() as folder:
            found = measured(name, Path(folder))
        if sys.stdout.isatty() or os.environ.get("TABLE"):
            print(
                f"{name:44} {found.seconds:6.2f} s {found.memory:7.1f} MiB  {found.error}: {found.message[:150]}",
                flush=True,
            )
        else:
            print(json.dumps(asdict(found)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
