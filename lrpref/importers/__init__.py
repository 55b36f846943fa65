"""Models of other libraries, taken over as networks of lrpref. Nothing here imports those libraries until asked."""

from .files import read
from .onnx import from_onnx
from .safetensors import read_safetensors
from .torch import from_torch

__all__ = ["from_onnx", "from_torch", "read", "read_safetensors"]
