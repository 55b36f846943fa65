"""`load`: a data set by name, from a folder, checked against what was published, fetched where one asks for it."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import numpy as np

from ..._support.extras import library
from ...errors import DataError, LrprefError, unknown
from . import cifar10, mnist
from .dataset import Dataset
from .part import Part

SOURCES: dict[str, ModuleType] = {"mnist": mnist, "cifar10": cifar10}

VARIABLE = "LRPREF_DATA"
"""The environment variable that names the folder."""


def names() -> list[str]:
    """The data sets that `load` knows."""
    return sorted(SOURCES)


def load(
    name: str,
    split: str = "test",
    folder: str | os.PathLike[str] | None = None,
    download: bool = False,
    check: bool = True,
) -> Dataset:
    """A data set, as it was published: images (N, C, H, W) of uint8, labels, names of the classes.

    name      "mnist" or "cifar10"
    split     "train" or "test"; for CIFAR-10 also "val", where the folder has lrpref's own parts
    folder    where the files lie; None for the environment variable LRPREF_DATA, else for where downloads go
    download  fetch what is missing, into that folder, with pooch
    check     compare checksums with those of the published data; False for data of one's own in these formats

    Raises UnknownNameError; DataError, saying what to do, for files that are missing, damaged or not the published
    ones; LrprefError where `download` needs a library.
    """
    if name not in SOURCES:
        raise unknown("data set", name, names())
    source = SOURCES[name]
    if split not in source.SPLITS:
        raise unknown("split", split, source.SPLITS)
    where = _folder(folder)
    part = source.read(where, split)
    if part is None and download:
        _fetch(source, where)
        part = source.read(where, split)
    if part is None:
        raise DataError(_missing(name, split, source, where))
    if check:
        source.check(part, split)
    return _dataset(part, source)


def _folder(folder: str | os.PathLike[str] | None) -> Path:
    told = folder if folder is not None else os.environ.get(VARIABLE)
    if told:
        return Path(told).expanduser()
    return Path.home() / ".cache" / "lrpref"


def _dataset(part: Part, source: ModuleType) -> Dataset:
    return Dataset(part.x, part.y.astype(np.int64), source.CLASSES, part.index, str(part.path))


def _missing(name: str, split: str, source: ModuleType, where: Path) -> str:
    """What to do."""
    urls = ", ".join(each.url for each in source.DOWNLOADS)
    return (
        f'there is no {name} "{split}" in {where}. Name a folder (folder=, or the environment variable {VARIABLE}) '
        f"with {source.FILES}; or let it be fetched with download=True, from {urls}"
    )


def _fetch(source: ModuleType, where: Path) -> None:
    """Download the published files with pooch, which checks them; raises DataError where that fails."""
    pooch = library("pooch", "data", "downloads")
    for each in source.DOWNLOADS:
        try:
            pooch.retrieve(each.url, known_hash=f"md5:{each.md5}", fname=each.name, path=where, progressbar=False)
        except LrprefError:
            raise
        except Exception as error:  # no network, no such page, another checksum: requests and pooch have many kinds
            raise DataError(
                f"could not fetch {each.url}: {error}. Fetch it on another machine, and put it into {where}"
            ) from error
