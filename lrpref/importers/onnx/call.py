"""What a conversion of one of ONNX's operations is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import ConversionError
from ...layers import Layer
from ..graph import require
from ..layout import Activation

SPATIAL = {1: "signals (N, C, L)", 2: "images (N, C, H, W)", 3: "volumes (N, C, D, H, W)"}
"""What an array with each number of spatial axes is called in messages."""


@dataclass(frozen=True)
class Call:
    """One operation of the file.

    Parameters
    ----------
    op : str
        Its type.
    attributes : mapping of str to value
        Its attributes as Python values.
    inputs : tuple of Activation, array or None
        Activations and constants; None for an optional input that is omitted.
    opset : int
        The version of ONNX's operators.
    before : Layer or None
        The layer that computes the first activation; None for the network's input.
    part, parts : int
        Which of the operation's results is converted, and how many it has.
    merged : bool
        Whether samples share an axis of the file's arrays with others, and have their own in the shapes given here.
    bound : list of str
        What the conversion computes for the size of the example.
    """

    op: str
    attributes: Mapping[str, Any]
    inputs: tuple[Activation | np.ndarray | None, ...]
    opset: int
    before: Layer | None = None
    part: int = 0
    parts: int = 1
    merged: bool = False
    bound: list[str] = field(default_factory=list)

    @property
    def x(self) -> Activation:
        """The first input, which must be an activation."""
        if not self.inputs or not isinstance(self.inputs[0], Activation):
            raise ConversionError("the first input must be an activation, not a constant")
        return self.inputs[0]

    @property
    def activations(self) -> list[Activation]:
        """All inputs that are activations."""
        return [value for value in self.inputs if isinstance(value, Activation)]

    def constant(self, index: int, what: str) -> np.ndarray | None:
        """Return an optional input that must be a constant; None if it is omitted. `what` names it in the message."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(value, Activation):
            raise ConversionError(f"its {what} depends on the network's input; it must be a constant")
        return value

    def weight(self, index: int, what: str) -> np.ndarray:
        """Return a required input that must be a constant."""
        value = self.constant(index, what)
        if value is None:
            raise ConversionError(f"the input for its {what} is missing")
        return value

    def setting(self, name: str, index: int) -> Any:
        """Return an attribute, which later versions of ONNX pass as an input, as Python numbers; None if omitted."""
        if name in self.attributes:
            return self.attributes[name]
        value = self.constant(index, name)
        return None if value is None else value.tolist()

    def image(self, ranks: Collection[int] = (2,)) -> Activation:
        """Return the first input, which must be (N, C, ...) with as many further axes as one of `ranks` says."""
        expected, rank = " or ".join(SPATIAL[rank] for rank in sorted(ranks)), len(self.x.shape) - 2
        require(rank in ranks, f"expected {expected}, got shape {self.x.foreign}")
        return self.x

    def layer(self, by_rank: Mapping[int, type[Layer]]) -> Callable[..., Layer]:
        """Return the class for the number of spatial axes of the first input, which must be (N, C, ...)."""
        return by_rank[len(self.image(by_rank).shape) - 2]


def single(value: float) -> float:
    """Round a number to float32, as a file stores it."""
    return float(np.float32(value))
