"""The networks that a study asks for: those that come with lrpref, and those of a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import weights
from ..fast import can_prepare, prepare
from ..network import Network
from ..zoo.inputs import Normalisation

SUBFOLDER = "bn"
"""Where, among the weights, the small networks with BatchNorm in different places are."""


def path_of(name: str, folder: str | os.PathLike[str] | None = None) -> Path | None:
    """The file of a network, looked for in `folder` and then among those that come with lrpref; None if nowhere."""
    places: Sequence[Path] = [Path(folder)] if folder is not None else []
    for home in weights.FOLDERS:
        places = [*places, home / SUBFOLDER, home]
    return next((place / f"{name}.npz" for place in places if (place / f"{name}.npz").is_file()), None)


def seeded(name: str, seed: int) -> str:
    """The name of a network's file for a training seed: "mnist-conv" and 2 are "mnist-conv-seed2"."""
    return f"{name}-seed{seed}"


@dataclass(frozen=True, eq=False)
class Trained:
    """A network and what it wants of pixels.

    net            the network
    normalisation  what its file says of its input; None: pixels in [0, 1] as they are
    """

    net: Network
    normalisation: Normalisation | None = None

    def inputs(self, pixels: np.ndarray) -> np.ndarray:
        """What the network takes, from pixels (N, C, H, W) in [0, 1]."""
        return pixels if self.normalisation is None else self.normalisation.apply(pixels)

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """The outputs (N, classes) for pixels, so that pictures are taken apart as pictures."""
        found: np.ndarray = self.net.forward(self.inputs(pixels))
        return found

    def scorer(self) -> Callable[[np.ndarray], np.ndarray]:
        """As `scores`, for many small batches: on the prepared network, where there can be one."""
        if not can_prepare(self.net):
            return self.scores
        fast = prepare(self.net, "zero")  # whatever the rule, its forward pass is the network's

        def scores(pixels: np.ndarray) -> np.ndarray:
            found: np.ndarray = fast.forward(self.inputs(pixels))
            return found

        return scores

    def answers(self, pixels: np.ndarray) -> np.ndarray:
        """The class of the largest output for each picture: (N,)."""
        found = [self.scores(pixels[k : k + 20]).argmax(axis=1) for k in range(0, len(pixels), 20)]
        return np.concatenate(found)


def load(name: str, folder: str | os.PathLike[str] | None = None) -> Trained:
    """The network, looked for as in `path_of`; raises UnknownNameError."""
    path = path_of(name, folder)
    found = path if path is not None else name
    return Trained(weights.load(found), Normalisation.of(weights.metadata(found)))
