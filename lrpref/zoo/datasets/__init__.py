"""Data sets in their published formats: MNIST and CIFAR-10, from a folder, checked, and fetched if one asks for it.

    data = lrpref.datasets.load("mnist", split="test", folder="~/data")
    x = lrpref.datasets.scaled(data.x)

Nothing is unpickled: CIFAR-10's Python batches are read by an interpreter of their own few opcodes (`pickled.py`).
"""

from .dataset import Dataset, scaled
from .load import load, names

__all__ = ["Dataset", "load", "names", "scaled"]
