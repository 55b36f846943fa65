"""A few real inputs that come with lrpref: handwritten digits. Origin and licence: README.md beside this file.

>>> names()[:3]
['digit-0', 'digit-1', 'digit-2']
>>> load("digit-4").shape
(1, 1, 28, 28)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import unknown

_FILE = Path(__file__).parent / "digits.npz"


def names() -> list[str]:
    """The samples that `load` knows."""
    with np.load(_FILE, allow_pickle=False) as data:
        return [str(name) for name in data["names"]]


def load(name: str) -> np.ndarray:
    """A sample as a batch of one, float32 in [0, 1]: (1, 1, 28, 28).

    Raises UnknownNameError.
    """
    with np.load(_FILE, allow_pickle=False) as data:
        image: np.ndarray = data["images"][_index(name)].astype(np.float32) / 255
    return image[None, None]


def label(name: str) -> int:
    """What the sample shows, according to MNIST."""
    with np.load(_FILE, allow_pickle=False) as data:
        return int(data["labels"][_index(name)])


def _index(name: str) -> int:
    known = names()
    if name not in known:
        raise unknown("sample", name, known)
    return known.index(name)
