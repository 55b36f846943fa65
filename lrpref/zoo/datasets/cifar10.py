"""CIFAR-10 in a folder: the binary batches, unpacked or in their archive, or lrpref's own .npz parts.

    cifar-10-batches-bin   per image one byte of label, then 1024 bytes of red, of green, of blue
    cifar10_train_*.npz    x (N, 32, 32, 3), y, index; cifar10_eval.npz: x_val, x_test and so on. A part of the data:
                           2,500 training images of each class, 500 others of each class ("val"), 1,000 test images

The Python batches, which were published too, are pickles and not read.

References
----------
A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, and the web page of the data.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from ..._support.untrusted import UNREADABLE, reason
from ...errors import DataError
from .idx import GZIP_FORMAT
from .part import Download, Part, columns

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SPLITS = ("train", "val", "test")
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
BATCH = 10_000
MAX_BYTES = 2**26
"""The largest batch that is read; the published ones have about half as many bytes."""

MAX_UNPACKED, MAX_MEMBERS, MAX_PIECE = 2**28, 1000, 2**20
"""The most bytes that an archive may unpack to, its most members, and the most bytes of it that are read at once.

The published archive unpacks to 184 MB and has 9 members. tarfile reads a member's header at once.
"""

BATCHES = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"], "val": []}

MD5_TRAIN = (
    "5dd7e06a14cb22eb9f671a540d1b7c25",
    "5ea93a67294ea407fff1d09f752e9692",
    "942cd6a4bcdd0dd3c604fbe906cb4421",
    "ae636b3ba5c66a11e91e8cb52e771fcb",
    "53f37980c15c3d472c316c40844f3f0d",
)
"""The md5 of the binary batches 1 to 5."""

MD5_PARTS = {
    "train": "b36c4f006029427e4e76a335a85c1951",
    "val": "6f0dcfd2dcdc3a3aee368d8ba4513fe9",
    "test": "371f65da31ad652f5e24b3699a3e6515",
}
"""The md5 of lrpref's parts, and of the first 1,000 test images, in the binary form."""

ARCHIVE = Download("https://www.cs.toronto.edu/~kriz/", "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530")
DOWNLOADS = (ARCHIVE,)

FILES = (
    "cifar-10-batches-bin/ with its batches, cifar-10-binary.tar.gz, or cifar10_train_1.npz to _3.npz and "
    "cifar10_eval.npz"
)

PICKLES = ("cifar-10-python.tar.gz", "cifar-10-batches-py", "data_batch_1", "test_batch")
"""The Python batches, under every name that they have in a folder; not read."""


def read(folder: Path, split: str) -> Part | None:
    """Read one split from a folder, None if the folder does not have it; raises DataError for damaged files."""
    found = _unpacked(folder, BATCHES[split]) or _packed(folder / ARCHIVE.name, BATCHES[split])
    if not found:
        return _npz(folder, split)
    path, contents = found
    try:
        batches = [parse_binary(content) for content in contents]
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    x, y = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return Part.checked(x, y, np.arange(len(x)), path, len(CLASSES))


def check(part: Part, split: str) -> None:
    """Raise DataError unless the images and labels are the published ones.

    No checksum of the binary test batch was ever published: of a bare `test_batch.bin`, the first 1,000 images are
    checked.
    """
    if part.path.name == ARCHIVE.name:
        part.compare("bytes", part.path.read_bytes(), ARCHIVE.md5)
    if split == "train" and np.array_equal(part.index, np.arange(len(MD5_TRAIN) * BATCH)):
        for i, md5 in enumerate(MD5_TRAIN):
            batch = slice(i * BATCH, (i + 1) * BATCH)
            part.compare(f"images of batch {i + 1}", as_binary(part.x[batch], part.y[batch]), md5)
        return
    first = slice(1_000 if split == "test" else None)
    part.compare("images", as_binary(part.x[first], part.y[first]), MD5_PARTS[split])


# ---- the formats -----------------------------------------------------------------------------------------------


def parse_binary(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the images (N, 3, 32, 32) and labels in a binary batch; raises DataError."""
    if not content or len(content) % RECORD:
        raise DataError(f"{len(content)} bytes, expected a multiple of the record size, {RECORD}")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    return records[:, 1:].reshape(-1, *SHAPE), records[:, 0]


def as_binary(x: np.ndarray, y: np.ndarray) -> bytes:
    """Write images and labels as a binary batch."""
    return np.concatenate([y.astype(np.uint8)[:, None], x.reshape(len(x), -1)], axis=1).tobytes()


def _npz(folder: Path, split: str) -> Part | None:
    """A split of lrpref's own parts."""
    evaluated = folder / "cifar10_eval.npz"
    paths = sorted(folder.glob("cifar10_train_*.npz")) if split == "train" else [evaluated] * evaluated.is_file()
    if not paths:
        return None
    suffix = "" if split == "train" else f"_{split}"
    rows = [columns(path, (f"x{suffix}", f"y{suffix}", f"index{suffix}")) for path in paths]
    try:
        x, y, index = (np.concatenate(arrays) for arrays in zip(*rows, strict=True))
    except ValueError as error:
        raise DataError(f"{paths[0]} and the parts beside it differ in shape: {error}") from error
    if x.shape[1:] != (32, 32, 3) or x.dtype != np.uint8:
        raise DataError(f"{paths[0]}: expected images (N, 32, 32, 3) of uint8, got {x.shape} of {x.dtype}")
    return Part.checked(np.moveaxis(x, 3, 1), y, index, paths[0], len(CLASSES))


# ---- files -----------------------------------------------------------------------------------------------------


def _unpacked(folder: Path, names: list[str]) -> tuple[Path, list[bytes]] | None:
    """The contents of the batches, if they are in the folder, or in the archive's folder below it."""
    for base in (folder, folder / "cifar-10-batches-bin"):
        paths = [base / name for name in names]
        if paths and all(path.is_file() for path in paths):
            return paths[0], [_bytes(path) for path in paths]
    return None


def _bytes(path: Path) -> bytes:
    """The content of a batch; raises DataError for a file that is too large to be one."""
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: {path.stat().st_size} bytes, more than any batch has")
    return path.read_bytes()


def _packed(path: Path, names: list[str]) -> tuple[Path, list[bytes]] | None:
    """The contents of the batches in an archive; nothing is extracted to disk, and no name in it is used as a path."""
    if not path.is_file() or not names:
        return None
    contents: dict[str, bytes] = {}
    try:
        with path.open("rb") as packed, tarfile.open(fileobj=_Unpacked(packed), mode="r:") as archive:
            for count, member in enumerate(archive):
                if count == MAX_MEMBERS:
                    raise DataError(f"more than {MAX_MEMBERS} members")
                name = PurePosixPath(member.name).name
                if name in names and member.isfile() and 0 <= member.size <= MAX_BYTES:
                    contents[name] = _content(archive, member)
    except UNREADABLE as error:
        raise DataError(f"{path}: not a readable archive: {reason(error)}") from error
    if missing := [name for name in names if name not in contents]:
        raise DataError(f"{path} does not contain {', '.join(missing)}")
    return path, [contents[name] for name in names]


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Return the content of a member, read in pieces."""
    stream = archive.extractfile(member)
    assert stream is not None  # it is a regular file
    return b"".join(stream.read(min(MAX_PIECE, member.size - at)) for at in range(0, member.size, MAX_PIECE))


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, read forwards and in pieces; raises DataError beyond the limits above."""

    def __init__(self, packed: BinaryIO) -> None:
        self.packed, self.unpacker, self.at = packed, zlib.decompressobj(GZIP_FORMAT), 0

    def tell(self) -> int:
        """Return the position."""
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Skip bytes up to the position `offset`, if it lies ahead."""
        while self.at < offset and self.read(min(offset - self.at, MAX_PIECE)):
            pass
        return self.at

    def read(self, size: int = -1) -> bytes:
        """Return the next `size` bytes, fewer at the end."""
        if not 0 <= size <= MAX_PIECE:
            raise DataError(f"a header of {size} bytes; at most {MAX_PIECE} are read")
        found = bytearray()
        while len(found) < size and not self.unpacker.eof:
            packed = self.unpacker.unconsumed_tail or self.packed.read(2**14)
            piece = self.unpacker.decompress(packed, size - len(found))
            if not packed and not piece:
                raise EOFError("it is truncated")
            found += piece
        self.at += len(found)
        if self.at > MAX_UNPACKED:
            raise DataError(f"it unpacks to more than {MAX_UNPACKED} bytes")
        return bytes(found)
