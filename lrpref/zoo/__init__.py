"""Well-known networks, the data sets they are trained on, and a few real inputs."""

from . import datasets, inputs, models, pictures, samples, text

__all__ = ["datasets", "inputs", "models", "pictures", "samples", "text"]
