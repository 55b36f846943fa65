"""Networks people know, data sets they were trained on, and a few real inputs to try them on."""

from . import datasets, inputs, models, samples

__all__ = ["datasets", "inputs", "models", "samples"]
