"""The reference for imported networks: onnx's reference evaluator, with some of its operations replaced.

The evaluator's own pooling (onnx 1.23) fails on padding that differs from side to side, uses negative padding if
auto_pad is SAME and the stride exceeds the kernel, and takes seconds for one layer of a large network. Its
GroupNormalization computes in float32. In old opsets, its softmax is that of opset 13, over one axis, the last by
default, and its BatchNormalization uses the statistics of the batch. The functions below follow the ONNX specification
and share no code with lrpref's layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .._support.extras import library
from ..errors import ConversionError


def evaluated(twin: Any, feeds: Mapping[str, np.ndarray], output: str) -> np.ndarray:
    """Return the output of an ONNX model for its inputs; raises ConversionError if it cannot be run."""
    reference = library("onnx.reference", "onnx", "ONNX files")
    base = library("onnx.reference.op_run", "onnx", "ONNX files").OpRun

    class MaxPool(base):  # type: ignore[misc, valid-type]
        """Replaces the evaluator's own class of the same name."""

        def _run(self, x: np.ndarray, **attributes: Any) -> tuple[np.ndarray]:
            return (max_pool(x, **{key: value for key, value in attributes.items() if value is not None}),)

    class AveragePool(base):  # type: ignore[misc, valid-type]
        """Replaces the evaluator's own class of the same name, too."""

        def _run(self, x: np.ndarray, **attributes: Any) -> tuple[np.ndarray]:
            return (average_pool(x, **{key: value for key, value in attributes.items() if value is not None}),)

    class Softmax(base):  # type: ignore[misc, valid-type]
        """Replaces the evaluator's own class in opsets below 13."""

        def _run(self, x: np.ndarray, axis: int) -> tuple[np.ndarray]:
            given = any(attribute.name == "axis" for attribute in self.onnx_node.attribute)
            return (softmax(x, axis if given else 1),)

    class LogSoftmax(Softmax):
        """Replaces the evaluator's own class in opsets below 13, too."""

        def _run(self, x: np.ndarray, axis: int) -> tuple[np.ndarray]:
            return (np.log(super()._run(x, axis)[0]),)

    class BatchNormalization(base):  # type: ignore[misc, valid-type]
        """Replaces the evaluator's own class in opsets below 14."""

        def _run(
            self, x: np.ndarray, *parameters: np.ndarray, epsilon: float, is_test: int = 0, **_: Any
        ) -> tuple[np.ndarray]:
            if sum(map(bool, self.onnx_node.output)) > 1 or (opset < 7 and not is_test):
                raise ValueError("BatchNormalization is in training mode")
            scale, bias, mean, var = (p.reshape(-1, *(1,) * (x.ndim - 2)) for p in parameters)
            return (scale * (x - mean) / np.sqrt(var + epsilon) + bias,)

    class GroupNormalization(base):  # type: ignore[misc, valid-type]
        """Replaces the evaluator's own function."""

        def _run(
            self, x: np.ndarray, scale: np.ndarray, bias: np.ndarray, num_groups: int, epsilon: float, **_: Any
        ) -> tuple[np.ndarray]:
            groups = x.reshape(len(x), num_groups, -1)
            centred = groups - groups.mean(axis=2, keepdims=True)
            normal = centred / np.sqrt((centred * centred).mean(axis=2, keepdims=True) + epsilon)
            g, beta = (v.reshape(-1, *(1,) * (x.ndim - 2)) for v in (scale, bias))
            return (g * normal.reshape(x.shape) + beta,)

    opset = max(entry.version for entry in twin.opset_import)
    replaced = [MaxPool, AveragePool, GroupNormalization]
    replaced += [Softmax, LogSoftmax] if opset < 13 else []
    replaced += [BatchNormalization] if opset < 14 else []
    try:
        with np.errstate(all="ignore"):
            session = reference.ReferenceEvaluator(twin, new_ops=replaced)
            (found,) = session.run([output], dict(feeds))
    except Exception as error:  # the evaluator of an operation may raise anything
        raise ConversionError(f"onnx's reference evaluator fails on the example: {error}") from error
    return np.asarray(found)


def max_pool(x: np.ndarray, **geometry: Any) -> np.ndarray:
    """Return the maximum of each window; padding is ignored.

    >>> max_pool(np.array([[[[1.0, 3.0, 2.0]]]]), kernel_shape=(1, 2), pads=(0, 1, 0, 0)).ravel()
    array([1., 3., 3.])
    """
    largest: np.ndarray = _windows(x, -np.inf, **geometry).max(axis=(-2, -1))
    return largest


def average_pool(x: np.ndarray, count_include_pad: int = 0, **geometry: Any) -> np.ndarray:
    """Return the mean of each window, over the cells of the image, or with `count_include_pad` over all.

    >>> average_pool(np.array([[[[1.0, 3.0, 2.0]]]]), kernel_shape=(1, 2), pads=(0, 1, 0, 0)).ravel()
    array([1. , 2. , 2.5])
    """
    cells = _windows(np.ones_like(x[:1, :1]), float(count_include_pad), **geometry).sum(axis=(-2, -1))
    mean: np.ndarray = _windows(x, 0.0, **geometry).sum(axis=(-2, -1)) / cells
    return mean


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """Return the softmax of opsets below 13, which normalises over `axis` and all later axes together.

    >>> softmax(np.zeros((1, 2, 2)), 1)
    array([[[0.25, 0.25],
            [0.25, 0.25]]])
    """
    over = tuple(range(axis % x.ndim, x.ndim))
    e = np.exp(x - x.max(axis=over, keepdims=True))
    normalised: np.ndarray = e / e.sum(axis=over, keepdims=True)
    return normalised


def _windows(
    x: np.ndarray,
    fill: float,
    kernel_shape: Sequence[int],
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    auto_pad: str = "NOTSET",
    **_: Any,
) -> np.ndarray:
    """Return the cells of every window, shape (N, C, H', W', rows, columns), with `fill` for padding."""
    around = [(pads[0], pads[2]), (pads[1], pads[3])] if auto_pad == "NOTSET" else [(0, 0), (0, 0)]
    if auto_pad.startswith("SAME"):
        for k, (n, size, stride) in enumerate(zip(x.shape[2:], kernel_shape, strides, strict=True)):
            needed = max(size - (n % stride or stride), 0)  # so that the last window ends with the image
            half = (needed // 2, needed - needed // 2)
            around[k] = half if auto_pad == "SAME_UPPER" else half[::-1]
    padded = np.pad(x, [(0, 0), (0, 0), *around], constant_values=fill)
    return sliding_window_view(padded, tuple(kernel_shape), axis=(2, 3))[:, :, :: strides[0], :: strides[1]]
