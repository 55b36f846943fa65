"""`load`: a data set by name, read from a folder, compared with the published one, and downloaded on request."""

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
    """Return the names of the data sets that `load` knows."""
    return sorted(SOURCES)


def load(
    name: str,
    split: str = "test",
    folder: str | os.PathLike[str] | None = None,
    download: bool = False,
    check: bool = True,
) -> Dataset:
    """Load a data set as it was published.

    Parameters
    ----------
    name : str
        "mnist" or "cifar10".
    split : str, default "test"
        "train" or "test"; for CIFAR-10 also "val", if the folder has lrpref's own parts.
    folder : path or None
        The folder of the files. None takes the environment variable LRPREF_DATA or, without it, ~/.cache/lrpref.
    download : bool, default False
        Download missing files into the folder with pooch.
    check : bool, default True
        Compare checksums with those of the published data. Pass False to read your own data in these formats.

    Returns
    -------
    Dataset
        Images (N, C, H, W) of uint8, labels, and the names of the classes.

    Raises
    ------
    UnknownNameError
        If the data set or the split is unknown.
    DataError
        If files are missing, damaged, or not the published ones; the message says what to do.
    LrprefError
        If `download` needs pooch and it is not installed.
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
    """The folder of the files: the argument, the environment variable, or the cache."""
    chosen = folder if folder is not None else os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "lrpref"


def _dataset(part: Part, source: ModuleType) -> Dataset:
    """A part as the public data set."""
    return Dataset(part.x, part.y.astype(np.int64), source.CLASSES, part.index, str(part.path))


def _missing(name: str, split: str, source: ModuleType, where: Path) -> str:
    """The error message for files that are missing: what was found instead, and what to do."""
    pickles = [found for found in source.PICKLES if (where / found).exists()]
    refused = (
        f": {pickles[0]} holds pickles, which can run code when they are loaded, and is not read" if pickles else ""
    )
    urls = ", ".join(each.url for each in source.DOWNLOADS)
    return (
        f'no {name} "{split}" in {where}{refused}. Name a folder (folder=, or the environment variable {VARIABLE}) '
        f"with {source.FILES}; or pass download=True to download {urls}"
    )


def _fetch(source: ModuleType, where: Path) -> None:
    """Download the published files with pooch, which verifies them; raises DataError if that fails."""
    pooch = library("pooch", "data", "downloads")
    for each in source.DOWNLOADS:
        try:
            pooch.retrieve(each.url, known_hash=f"md5:{each.md5}", fname=each.name, path=where, progressbar=False)
        except LrprefError:
            raise
        except Exception as error:  # no network, a missing page, a wrong checksum: requests and pooch raise many types
            raise DataError(
                f"could not download {each.url}: {error}. Download it on another machine and copy it to {where}"
            ) from error
