"""The networks of a study: those that come with lrpref, and those of a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import weights
from ..backend import Array, to_numpy
from ..fast import can_prepare, prepare
from ..network import Network
from ..zoo.inputs import Normalisation

SUBFOLDER = "bn"
"""The folder, below the weights, of the small networks with BatchNorm in different positions."""


def path_of(name: str, folder: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the file of a network, from `folder` or else from those that come with lrpref; None if there is none."""
    places: Sequence[Path] = [Path(folder)] if folder is not None else []
    for home in weights.FOLDERS:
        places = [*places, home / SUBFOLDER, home]
    return next((place / f"{name}.npz" for place in places if (place / f"{name}.npz").is_file()), None)


def seeded(name: str, seed: int) -> str:
    """Return the name of a network's file for a training seed: "mnist-conv-seed2" for "mnist-conv" and 2."""
    return f"{name}-seed{seed}"


@dataclass(frozen=True, eq=False)
class Trained:
    """A network and the normalisation of its input.

    Parameters
    ----------
    net : Network
        The network.
    normalisation : Normalisation, optional
        The normalisation recorded in its file; None if it takes pixels in [0, 1] directly.
    """

    net: Network
    normalisation: Normalisation | None = None

    def inputs(self, pixels: np.ndarray) -> np.ndarray:
        """Return the input of the network for pixels (N, C, H, W) in [0, 1]."""
        return pixels if self.normalisation is None else self.normalisation.apply(pixels)

    def scores(self, pixels: Array) -> np.ndarray:
        """Return the outputs (N, classes) for pixels, so that pixels are flipped before they are normalised."""
        return to_numpy(self.net.forward(self.inputs(to_numpy(pixels))))

    def scorer(self) -> Callable[[Array], np.ndarray]:
        """Return a function like `scores` for many small batches, on the prepared network if it can be prepared."""
        if not can_prepare(self.net):
            return self.scores
        fast = prepare(self.net, "zero")  # the forward pass is the same under every rule

        def scores(pixels: Array) -> np.ndarray:
            return to_numpy(fast.forward(self.inputs(to_numpy(pixels))))

        return scores

    def answers(self, pixels: np.ndarray) -> np.ndarray:
        """Return the class of the largest output for each picture, (N,)."""
        found = [self.scores(pixels[k : k + 20]).argmax(axis=1) for k in range(0, len(pixels), 20)]
        return np.concatenate(found)


def load(name: str, folder: str | os.PathLike[str] | None = None) -> Trained:
    """Return a network from the file that `path_of` finds; raises UnknownNameError."""
    path = path_of(name, folder)
    found = path if path is not None else name
    return Trained(weights.load(found), Normalisation.of(weights.metadata(found)))
