"""The networks that a study asks for: those that come with lrpref, and those of a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .. import weights
from ..network import Network

SUBFOLDER = "bn"
"""Where, among the weights, the small networks with BatchNorm in different places are."""


def path_of(name: str, folder: str | os.PathLike[str] | None = None) -> Path | None:
    """The file of a network, looked for in `folder` and then among those that come with lrpref; None if nowhere."""
    places: Sequence[Path] = [Path(folder)] if folder is not None else []
    for home in weights._FOLDERS:
        places = [*places, home / SUBFOLDER, home]
    return next((place / f"{name}.npz" for place in places if (place / f"{name}.npz").is_file()), None)


def seeded(name: str, seed: int) -> str:
    """The name of a network's file for a training seed: "mnist-conv" and 2 are "mnist-conv-seed2"."""
    return f"{name}-seed{seed}"


def load(name: str, folder: str | os.PathLike[str] | None = None) -> Network:
    """The network, looked for as in `path_of`; raises UnknownNameError."""
    path = path_of(name, folder)
    return weights.load(path if path is not None else name)
