"""Import models of other libraries as networks of lrpref. Those libraries are loaded only when an importer runs."""

from .files import read
from .keras import from_keras
from .onnx import from_onnx
from .safetensors import read_safetensors
from .sklearn import from_sklearn
from .torch import from_torch

__all__ = ["from_keras", "from_onnx", "from_sklearn", "from_torch", "read", "read_safetensors"]
