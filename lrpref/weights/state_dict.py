"""A network's parameters from arrays by name: what PyTorch calls a state dict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backend import is_array, to_numpy
from ..errors import LrprefError, WeightsError
from ..layers import Layer
from ..network import Network

STATISTICS = {"mean": "running_mean", "var": "running_var"}
"""Fields of a layer that PyTorch calls otherwise."""

Problems = dict[str, list[str]]
"""What does not fit: kind -> entries."""

IGNORED = "num_batches_tracked"
"""A counter that BatchNorm keeps while it is trained."""


def from_state_dict(net: Network, state: Mapping[str, Any]) -> Network:
    """The same graph with the parameters that `state` holds, found by name.

    net    a network whose nodes are called as the modules were, such as one of `lrpref.models`
    state  any mapping of names to arrays or tensors; each is asked for once, so that it may be read lazily

    "<node>.weight" and "<node>.bias", for BatchNorm also "<node>.running_mean" and "<node>.running_var"; any other
    array of a layer under the name of its field. A layer that stands at several nodes may be given under the name of
    any of them. "num_batches_tracked" is passed over. Half precision becomes float32, other number types stay.

    Raises WeightsError that lists every entry that is missing, unexpected, of another shape, or cannot be used.

    >>> from lrpref import Dense
    >>> net = Network.sequential(Dense([[0.0, 0.0]]), names=["fc"])
    >>> from_state_dict(net, {"fc.weight": np.array([[1.0, 2.0]])})["fc"].weight
    array([[1., 2.]])
    >>> from_state_dict(net, {"fc.weigth": np.array([[1.0, 2.0]])})
    Traceback (most recent call last):
    ...
    lrpref.errors.WeightsError: the arrays do not fit the network: missing: fc.weight (1, 2); unexpected: fc.weigth
    """
    entries = list(_entries(net))
    known = {key for entry in entries for key in entry.keys}
    problems: Problems = defaultdict(list)
    arrays: dict[int, dict[str, np.ndarray]] = defaultdict(dict)
    for entry in entries:
        arrays[id(entry.layer)] |= _take(entry, state, problems)
    problems["unexpected"] += [key for key in state if key not in known and key.rpartition(".")[2] != IGNORED]
    named = {id(layer): (name, layer) for name, layer, _ in net.nodes}
    layers = {key: _replaced(name, layer, arrays[key], problems) for key, (name, layer) in named.items()}
    if found := "; ".join(f"{kind}: {', '.join(keys)}" for kind, keys in problems.items() if keys):
        raise WeightsError(f"the arrays do not fit the network: {found}")
    return Network([(name, layers[id(layer)], inputs) for name, layer, inputs in net.nodes])


def as_array(x: Any) -> np.ndarray:
    """A tensor, wherever it lives and whatever its gradient, or an array, as a NumPy array; half becomes float32.

    >>> as_array(np.float16([0.5])).dtype.name
    'float32'
    """
    if hasattr(x, "detach"):  # PyTorch's; its bfloat16 has no NumPy type
        x = x.detach().cpu().resolve_conj().resolve_neg()
        x = x.float() if str(x.dtype) == "torch.bfloat16" else x
        x = np.array(x.numpy())
    array: np.ndarray = to_numpy(x) if is_array(x) else np.asarray(x)
    return array.astype(np.float32) if str(array.dtype) in ("float16", "bfloat16") else array


# ---- entries ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    """One array of one layer, and the names under which it may be given: one for each node of the layer."""

    layer: Layer
    field: str
    keys: tuple[str, ...]

    @property
    def current(self) -> Any:
        """What the network holds now."""
        return getattr(self.layer, self.field)


def _entries(net: Network) -> Iterator[_Entry]:
    layers: dict[int, tuple[Layer, list[str]]] = {}
    for name, layer, _ in net.nodes:
        layers.setdefault(id(layer), (layer, []))[1].append(name)
    for layer, nodes in layers.values():
        for held, value in vars(layer).items():
            if is_array(value):
                yield _Entry(layer, held, tuple(f"{node}.{STATISTICS.get(held, held)}" for node in nodes))


def _take(entry: _Entry, state: Mapping[str, Any], problems: Problems) -> dict[str, np.ndarray]:
    """The array of one entry, by its field; {} and a problem where there is none that can be used."""
    shape, dtype = tuple(entry.current.shape), str(entry.current.dtype)
    try:
        arrays = {key: as_array(state[key]) for key in entry.keys if key in state}
    except (TypeError, ValueError, RuntimeError) as error:  # quantised or sparse tensors, lists that are no array
        problems["unusable"].append(f"{entry.keys[0]}: {error}")
        return {}
    if not arrays:
        problems["missing"].append(f"{entry.keys[0]} {shape}")
        return {}
    first, array = next(iter(arrays.items()))
    other = next((key for key, a in arrays.items() if not np.array_equal(a, array, equal_nan=True)), None)
    if wrong := [f"{key} is {a.shape}, the network's {shape}" for key, a in arrays.items() if a.shape != shape]:
        problems["of another shape"] += wrong
    elif array.dtype.kind != ("b" if dtype == "bool" else "f"):
        problems["of another type"].append(f"{first} holds {array.dtype}, the network {dtype}")
    elif other:
        problems["unusable"].append(f"{first} and {other} are one layer in the network, but differ")
    else:
        return {entry.field: array}
    return {}


def _replaced(name: str, layer: Layer, arrays: Mapping[str, np.ndarray], problems: Problems) -> Layer:
    """The layer with its new arrays; as it is, and a problem, where it cannot be made."""
    try:
        return replace(layer, **arrays)
    except LrprefError as error:
        problems["unusable"].append(f"{name}: {error}")
        return layer
