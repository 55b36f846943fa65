"""Models of other libraries, taken over as networks of lrpref. Nothing here imports those libraries until asked."""

from .onnx import from_onnx
from .read import read
from .safetensors import read_safetensors
from .torch import from_torch

__all__ = ["from_onnx", "from_torch", "read", "read_safetensors"]
