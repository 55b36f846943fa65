"""What a conversion of one of PyTorch's operations is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import ConversionError
from ...weights.state_dict import as_array
from ..graph import Shape, require
from ..mixed import Mixed


@dataclass(frozen=True)
class Activation:
    """An argument that depends on the network's input.

    Parameters
    ----------
    node : str
        The node of the network with its value.
    shape : tuple of int
        Its shape in PyTorch.
    layout : Mixed or None
        Its axes in terms of those of the node, if the first one is not the batch axis.
    """

    node: str
    shape: Shape
    layout: Mixed | None = None


@dataclass(frozen=True)
class Call:
    """One operation of the traced module.

    Parameters
    ----------
    name : str
        The name of the operation in `OPERATIONS`.
    arguments : mapping of str to value
        Its arguments by name: `Activation` for what depends on the network's input, tensors for constants, numbers.
    module : torch.nn.Module or None
        The submodule, if the operation is one.
    shapes : tuple of tuple of int
        The shapes of the activations that it reads.
    result : tuple of int
        The shape of the tensor that it returns, or of its part.
    part : int or None
        For an operation that returns several tensors, which of them is converted.
    bound : list of str
        What the conversion computes for the size of the example.
    moved : bool
        Whether the first axis in PyTorch was not the batch axis; shapes and axes are those of lrpref's arrays.
    """

    name: str
    arguments: Mapping[str, Any]
    module: Any
    shapes: tuple[Shape, ...]
    result: Shape
    part: int | None = None
    bound: list[str] = field(default_factory=list)
    moved: bool = False

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)

    def reads(self, name: str) -> bool:
        """Whether an argument is an activation."""
        return isinstance(self[name], Activation)

    def constant(self, name: str) -> np.ndarray | None:
        """Return an argument that is a tensor or a number as an array; None stays None."""
        require(not self.reads(name), f"its {name} depends on the network's input; it must be a constant")
        return None if self[name] is None else as_array(self[name])

    def weight(self, name: str) -> np.ndarray:
        """Return an argument that must be a constant tensor as an array."""
        value = self.constant(name)
        if value is None:
            raise ConversionError(f"its {name} is missing")
        return value


def spelled(target: Any) -> str:
    """Return the name under which a function or method is called."""
    if hasattr(target, "_schema"):  # an operation of torch.export, such as "aten::relu"
        return str(target._schema.name.rpartition("::")[2])
    return str(getattr(target, "__name__", target))
