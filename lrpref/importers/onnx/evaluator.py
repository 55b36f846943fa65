"""The reference for imported networks: onnx's reference evaluator, with some of its operations replaced.

The evaluator's own pooling (onnx 1.23) fails on padding that differs from side to side, uses negative padding if
auto_pad is SAME and the stride exceeds the kernel, and takes seconds for one layer of a large network; its LRN takes
the number of samples for that of channels. Its GroupNormalization computes in float32. In old opsets, its softmax is
that of opset 13, over one axis, the last by default, and its BatchNormalization uses the statistics of the batch. The
functions below follow the ONNX specification and share no code with lrpref's layers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from math import pi, sqrt
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..._support.extras import library
from ...errors import ConversionError

MEANT = {
    float(np.float32(number)): number
    for number in (sqrt(2), 1 / sqrt(2), sqrt(2 / pi), 0.044715, 1 / 6, 1.6732632423543772, 1.0507009873554805)
}
"""Constants of activations, as files have them in float32, and the numbers that they stand for."""


def evaluated(twin: Any, feeds: Mapping[str, np.ndarray], output: str) -> np.ndarray:
    """Return an output of an ONNX model for its inputs; raises ConversionError if it cannot be run."""
    return evaluated_all(twin, feeds, [output])[0]


def evaluated_all(twin: Any, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
    """Return outputs of an ONNX model for its inputs; raises ConversionError if it cannot be run."""
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

    class LRN(base):  # type: ignore[misc, valid-type]
        """Replaces the evaluator's own class of the same name, too."""

        def _run(self, x: np.ndarray, alpha: float, beta: float, bias: float, size: int) -> tuple[np.ndarray]:
            return (local_response_norm(x, size, float(alpha), float(beta), float(bias)),)

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
        """Replaces the evaluator's own form of it."""

        def _run(
            self, x: np.ndarray, scale: np.ndarray, bias: np.ndarray, num_groups: int, epsilon: float, **_: Any
        ) -> tuple[np.ndarray]:
            groups = x.reshape(len(x), num_groups, -1)
            centred = groups - groups.mean(axis=2, keepdims=True)
            normal = centred / np.sqrt((centred * centred).mean(axis=2, keepdims=True) + epsilon)
            g, beta = (v.reshape(-1, *(1,) * (x.ndim - 2)) for v in (scale, bias))
            return (g * normal.reshape(x.shape) + beta,)

    class Erf(base):  # type: ignore[misc, valid-type]
        """Replaces the evaluator's own class, which rounds to float32."""

        def _run(self, x: np.ndarray) -> tuple[np.ndarray]:
            return (erf(x),)

    class Gelu(base):  # type: ignore[misc, valid-type]
        """Replaces the evaluator's own form of it, which is made of its Erf and of constants in float32."""

        def _run(self, x: np.ndarray, approximate: str) -> tuple[np.ndarray]:
            inner = sqrt(2 / pi) * (x + 0.044715 * x**3)
            return (x / 2 * (1 + (np.tanh(inner) if approximate == "tanh" else erf(x / sqrt(2)))),)

    class HardSigmoid(base):  # type: ignore[misc, valid-type]
        """Replaces the evaluator's own class, with a slope of one sixth as it is meant."""

        def _run(self, x: np.ndarray, alpha: float, beta: float) -> tuple[np.ndarray]:
            return (np.clip(meant(alpha) * x + beta, 0, 1),)

    class Selu(base):  # type: ignore[misc, valid-type]
        """Replaces the evaluator's own class, with the constants as they are meant."""

        def _run(self, x: np.ndarray, alpha: float, gamma: float) -> tuple[np.ndarray]:
            return (meant(gamma) * np.where(x > 0, x, meant(alpha) * np.expm1(x)),)

    class HardSwish(base):  # type: ignore[misc, valid-type]
        """Replaces the evaluator's own form of it, whose slope of one sixth is rounded to float32."""

        def _run(self, x: np.ndarray) -> tuple[np.ndarray]:
            return (x * np.clip(x / 6 + 0.5, 0, 1),)

    opset = max(entry.version for entry in twin.opset_import if not entry.domain)
    replaced = [MaxPool, AveragePool, LRN, GroupNormalization, Erf, Gelu, HardSigmoid, HardSwish, Selu]
    replaced += [Softmax, LogSoftmax] if opset < 13 else []
    replaced += [BatchNormalization] if opset < 14 else []
    try:
        with np.errstate(all="ignore"):
            session = reference.ReferenceEvaluator(twin, new_ops=replaced)
            found = session.run(list(outputs), dict(feeds))
    except Exception as error:  # the evaluator of an operation may raise anything
        raise ConversionError(f"onnx's reference evaluator fails on the example: {error}") from error
    return [np.asarray(value) for value in found]


def max_pool(x: np.ndarray, **geometry: Any) -> np.ndarray:
    """Return the maximum of each window; padding is ignored.

    >>> max_pool(np.array([[[1.0, 3.0, 2.0]]]), kernel_shape=(2,), pads=(1, 0)).ravel()
    array([1., 3., 3.])
    """
    windows, over = _windows(x, [-np.inf, -np.inf], **geometry)
    largest: np.ndarray = windows.max(axis=over)
    return largest


def average_pool(x: np.ndarray, count_include_pad: int = 0, **geometry: Any) -> np.ndarray:
    """Return the mean of each window, over the cells of the image, or with `count_include_pad` also of the padding.

    Cells that `ceil_mode` adds behind the padding never count.

    >>> average_pool(np.array([[[1.0, 3.0, 2.0]]]), kernel_shape=(2,), pads=(1, 0)).ravel()
    array([1. , 2. , 2.5])
    """
    ones, over = _windows(np.ones_like(x[:1, :1]), [float(count_include_pad), 0.0], **geometry)
    windows, _ = _windows(x, [0.0, 0.0], **geometry)
    mean: np.ndarray = windows.sum(axis=over) / ones.sum(axis=over)
    return mean


def local_response_norm(x: np.ndarray, size: int, alpha: float, beta: float, bias: float) -> np.ndarray:
    """Return x / (bias + alpha / size * the sum of squares over the `size` channels around each) ^ beta.

    >>> local_response_norm(np.array([[1.0, 2.0, 3.0]]), 3, 3.0, 1.0, 2.0)
    array([[0.14285714, 0.125     , 0.2       ]])
    """
    before, after = (size - 1) // 2, size // 2
    sums = [(x[:, max(c - before, 0) : c + after + 1] ** 2).sum(axis=1) for c in range(x.shape[1])]
    normalised: np.ndarray = x / (bias + alpha / size * np.stack(sums, axis=1)) ** beta
    return normalised


def meant(value: float) -> float:
    """Return the number that a constant in float32 stands for, if it is one of `MEANT`, else the constant.

    >>> meant(0.1666666716337204), meant(0.25)
    (0.16666666666666666, 0.25)
    """
    return MEANT.get(value, value)


def erf(x: np.ndarray) -> np.ndarray:
    """Return the error function in float64, number by number.

    >>> erf(np.array([0.0, np.inf]))
    array([0., 1.])
    """
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x))


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
    fill: Sequence[float],
    kernel_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    **_: Any,
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return the cells of every window, and their axes; `fill` holds the values of padding and of what lies behind it.

    The operator's specification, for any number of spatial axes. A window that ceil_mode adds must start before the
    padding behind the image does.
    """
    rank = len(kernel_shape)
    steps, apart = strides or (1,) * rank, dilations or (1,) * rank
    around, behind = [], []
    for k, (n, size, step, gap) in enumerate(zip(x.shape[2:], kernel_shape, steps, apart, strict=True)):
        extent = gap * (size - 1) + 1
        if auto_pad.startswith("SAME"):
            needed = max((-(-n // step) - 1) * step + extent - n, 0)
            half = (needed // 2, needed - needed // 2)
            pair = half if auto_pad == "SAME_UPPER" else half[::-1]
        else:
            pair = (0, 0) if pads is None or auto_pad == "VALID" else (pads[k], pads[rank + k])
        rest = n + sum(pair) - extent
        more = (-rest) % step if ceil_mode and (-(-rest // step)) * step < n + pair[0] else 0
        around.append(pair)
        behind.append((0, more))
    for pairs, value in zip((around, behind), fill, strict=True):
        x = np.pad(x, [(0, 0), (0, 0), *pairs], constant_values=value)
    extents = tuple(gap * (size - 1) + 1 for size, gap in zip(kernel_shape, apart, strict=True))
    seen = sliding_window_view(x, extents, axis=tuple(range(2, 2 + rank)))
    taken = (slice(None), slice(None), *(slice(None, None, n) for n in (*steps, *apart)))
    return seen[taken], tuple(range(2 + rank, 2 + 2 * rank))
