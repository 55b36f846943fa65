"""MNIST and CIFAR-10 in their published formats: read from a folder, verified, and downloaded on request.

    data = lrpref.datasets.load("mnist", split="test", folder="~/data")
    x = lrpref.datasets.scaled(data.x)

Nothing is unpickled: of CIFAR-10 the binary batches are read, not the Python ones.
"""

from .dataset import Dataset, scaled
from .loading import load, names

__all__ = ["Dataset", "load", "names", "scaled"]
