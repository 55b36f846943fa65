"""Convert PyTorch's norms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...errors import ConversionError
from ...layers import BatchNorm, GroupNorm, InstanceNorm, Layer, LayerNorm, RMSNorm
from ..graph import Shape, require
from .call import Call


def _batch_norm(call: Call) -> list[Layer]:
    require(not call["training"], "it is in training mode, so a sample's output depends on its batch")
    require(call["running_mean"] is not None, "it has no running statistics, so a sample's output depends on its batch")
    return _by_running_statistics(call)


def _by_running_statistics(call: Call) -> list[Layer]:
    """Return the layer for a norm by the statistics that it learned."""
    weight, bias = call.constant("weight"), call.constant("bias")
    return [BatchNorm(weight, bias, call.weight("running_mean"), call.weight("running_var"), _eps(call))]


def _group_norm(call: Call) -> list[Layer]:
    require(not call.part, "the statistics of the groups are not activations; only the normalised values are supported")
    return [GroupNorm(call["num_groups"], call.constant("weight"), call.constant("bias"), _eps(call))]


def _instance_norm(call: Call) -> list[Layer]:
    """Convert a norm of each channel; as a module, it uses the running statistics at inference if it has any."""
    own = call["running_mean"] is None if call.module is not None else call["use_input_stats"] is not False
    if not own:
        return _by_running_statistics(call)
    axes = call.module._get_no_batch_dim() if call.module is not None else 2
    require(len(call.shapes[0]) > axes, f"its input {call.shapes[0]} has no batch axis; give it one")
    return [InstanceNorm(call.constant("weight"), call.constant("bias"), _eps(call))]


def _layer_norm(call: Call) -> list[Layer]:
    require(not call.part, "the mean and the deviation are not activations; only the normalised values are supported")
    return [LayerNorm(_shape(call), call.constant("weight"), call.constant("bias"), _eps(call))]


def _rms_norm(call: Call) -> list[Layer]:
    if call["eps"] is None:
        raise ConversionError(
            "it has no eps, so torch uses that of the dtype, which is another one in the check in float64; pass eps=, "
            "or use torch.nn.RMSNorm"
        )
    return [RMSNorm(_shape(call), call.constant("weight"), _eps(call))]


def _shape(call: Call) -> Shape:
    """Return the sizes of the last axes that are normalised."""
    told = call["normalized_shape"]
    return tuple(told) if isinstance(told, Sequence) else (told,)


def _eps(call: Call) -> float:
    """Return what is added under the root."""
    return 1e-5 if call["eps"] is None else float(call["eps"])


PARAMETERS: Mapping[str, str] = {
    "batch_norm": "input running_mean running_var weight bias training momentum eps",
    "group_norm": "input num_groups weight bias eps",
    "instance_norm": "input running_mean running_var weight bias use_input_stats momentum eps",
    "layer_norm": "input normalized_shape weight bias eps",
    "rms_norm": "input normalized_shape weight eps",
}

MODULES: Mapping[str, str] = {
    "BatchNorm1d": "batch_norm",
    "BatchNorm2d": "batch_norm",
    "BatchNorm3d": "batch_norm",
    "GroupNorm": "group_norm",
    "InstanceNorm1d": "instance_norm",
    "InstanceNorm2d": "instance_norm",
    "InstanceNorm3d": "instance_norm",
    "LayerNorm": "layer_norm",
    "RMSNorm": "rms_norm",
    "SyncBatchNorm": "batch_norm",
}

SPELLINGS: Mapping[str, str] = {
    "_native_batch_norm_legit_no_training": "batch_norm",
    "native_group_norm": "group_norm",
    "native_layer_norm": "layer_norm",
}

RENAMED: Mapping[str, str] = {"group": "num_groups"}

OPERATIONS: Mapping[str, Callable[[Call], list[Layer]]] = {
    "batch_norm": _batch_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
}
