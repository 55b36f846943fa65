"""Import ONNX files: read, folded, compared with the reference evaluator, and converted operation by operation."""

from .importer import from_onnx

__all__ = ["from_onnx"]
