"""Convert ONNX's norms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ...layers import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from ..graph import Shape, permuted, require
from ..layout import Step
from .call import Call, single

# ---- channels ----------------------------------------------------------------------------------------------------


def _batch_norm(call: Call) -> Step:
    """BatchNorm at inference"""
    require(not call.attributes.get("training_mode", 0), "training_mode=1; export the model in inference mode")
    require(call.attributes.get("spatial", 1) == 1, "spatial=0, statistics per pixel, is not supported")
    x = call.x
    weight, bias, mean, var = (
        x.layout.channels(call.weight(i, name).reshape(-1, *(1,) * (len(x.shape) - 2)), x.shape)
        for i, name in enumerate(("scale", "bias", "mean", "variance"), 1)
    )
    return [BatchNorm(weight, bias, mean, var, _epsilon(call))], x.layout


def _group_norm(call: Call) -> Step:
    """GroupNorm, from opset 21 on"""
    x, groups = call.x, int(call.attributes["num_groups"])
    require(x.layout.order is None, "it takes apart a flattened (N, H, W, C) image, which is not supported")
    weight, bias = (call.constant(i, name) for i, name in enumerate(("scale", "bias"), 1))
    if call.attributes.get("broadcast", 0):  # a factor and a shift of any shape (`onnx_norm_patterns.py`)
        weight, bias = (None if v is None else x.layout.channels(v, x.shape) for v in (weight, bias))
    return [GroupNorm(groups, weight, bias, _epsilon(call))], x.layout


def _instance_norm(call: Call) -> Step:
    """InstanceNorm"""
    return [InstanceNorm(call.weight(1, "scale"), call.weight(2, "bias"), _epsilon(call))], call.x.layout


# ---- axes --------------------------------------------------------------------------------------------------------


def _layer_norm(call: Call) -> Step:
    """LayerNorm, over the last axes; elsewhere between two Permute"""
    over = _axes(call)
    weight, bias = (over.spread(call, i, name) for i, name in enumerate(("scale", "bias"), 1))
    return permuted(over.order, [LayerNorm(over.sizes, weight, bias, _epsilon(call))]), call.x.layout


def _rms_norm(call: Call) -> Step:
    """RMSNorm, over the last axes; elsewhere between two Permute"""
    over = _axes(call)
    return permuted(over.order, [RMSNorm(over.sizes, over.spread(call, 1, "scale"), _epsilon(call))]), call.x.layout


class Axes(NamedTuple):
    """The axes that are normalised.

    Attributes
    ----------
    order : tuple of int
        All of lrpref's axes; those that are normalised come last.
    sizes : tuple of int
        The sizes of these.
    """

    order: Shape
    sizes: Shape

    def spread(self, call: Call, index: int, what: str) -> np.ndarray | None:
        """Return a factor or a shift for every cell of the last axes; None if it is omitted."""
        given = call.constant(index, what)
        if given is None:
            return None
        v = np.transpose(call.x.layout.aligned(given, call.x.shape), self.order)
        own = v[(0,) * (v.ndim - len(self.sizes))]
        require(bool(np.all(v == own)), f"its {what} of shape {given.shape} varies along axes that are not normalised")
        return np.broadcast_to(own, self.sizes).copy()


def _axes(call: Call) -> Axes:
    """Return the axes that are normalised.

    The file names the first of them, or all of them where the norm was recognised (`onnx_norm_patterns.py`).
    """
    x, rank = call.x, len(call.x.shape)
    first = int(call.attributes.get("axis", -1))
    told = call.attributes.get("axes", range(first % rank, rank))
    over = sorted({x.layout.own_axis(axis) for axis in told})
    require(bool(over) and over[0] > 0, "it normalises over the batch axis")
    order = (*(axis for axis in range(rank) if axis not in over), *over)
    return Axes(order, tuple(x.shape[axis] for axis in over))


def _epsilon(call: Call) -> float:
    """Return what is added under the root."""
    return float(call.attributes.get("epsilon", single(1e-5)))


OPERATIONS: Mapping[str, Callable[[Call], Step]] = {
    "BatchNormalization": _batch_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
}
