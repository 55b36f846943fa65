"""Import models of Keras, layer by layer."""

from .importer import from_keras

__all__ = ["from_keras"]
