"""Import PyTorch modules: traced, and converted operation by operation."""

from .importer import from_torch

__all__ = ["from_torch"]
