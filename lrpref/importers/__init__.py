"""Models of other libraries, taken over as networks of lrpref. Nothing here imports those libraries until asked."""

from .onnx import from_onnx
from .torch import from_torch

__all__ = ["from_onnx", "from_torch"]
