"""Layers of signals, computed as layers of images with one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import Array, array_namespace
from ...layers import Conv1D, Conv2D, GlobalAvgPool1D, GlobalAvgPool2D, Layer, MaxPool1D, MaxPool2D
from ..workers import Workers
from .step import Step


def of_one_row(layer: Layer) -> Layer | None:
    """Return the layer that computes the same on images with one row; None for other layers than those of signals."""
    if type(layer) is Conv1D:
        taps = None if layer.bias_taps is None else layer.bias_taps[:, None, :]
        w, (stride, dilation) = layer.window, ((1, *layer.window.stride), (1, *layer.window.dilation))
        weight = layer.weight[:, :, None, :]
        return Conv2D(weight, layer.bias, stride, (0, 0, *w.padding), dilation, layer.groups, taps)
    if type(layer) is MaxPool1D:
        w = layer.window
        sizes, dilation = ((1, *w.kernel), (1, *w.stride), (0, 0, *w.padding)), (1, *w.dilation)
        return MaxPool2D(*sizes, layer.ties, dilation=dilation, ceil_mode=layer.ceil_mode)
    return GlobalAvgPool2D() if type(layer) is GlobalAvgPool1D else None


@dataclass(frozen=True, eq=False)
class OneRowStep:
    """The step of a layer of images, for signals.

    Parameters
    ----------
    step : Step
        The step for images with one row.
    """

    step: Step

    @property
    def form(self) -> str:
        """How it computes: see `Prepared.forms`."""
        return self.step.form

    @property
    def needs_inputs(self) -> bool:
        """Whether `backward` needs the values of the inputs."""
        return self.step.needs_inputs

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """The node's output, and what `backward` will need."""
        y, kept = self.step.forward(tuple(map(_with_row, inputs)), workers, remember)
        return _without_row(y), kept

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """A message for each input, given the message that arrived."""
        sent = self.step.backward(_with_row(message), kept, tuple(map(_with_row, inputs)), workers)
        return tuple(map(_without_row, sent))


def _with_row(x: Array) -> Array:
    """(N, C, L) -> (N, 1, L, C), in a new array."""
    xp = array_namespace(x)
    return xp.ascontiguousarray(xp.permute_dims(x, (0, 2, 1)))[:, None, :, :]


def _without_row(x: Array) -> Array:
    """The inverse of `_with_row`."""
    xp = array_namespace(x)
    return xp.ascontiguousarray(xp.permute_dims(x[:, 0, :, :], (0, 2, 1)))
