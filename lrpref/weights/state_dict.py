"""Load the parameters of a network from arrays by name: what PyTorch calls a state dict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backend import is_array, to_numpy
from ..errors import LrprefError, WeightsError, shown
from ..layers import Layer
from ..network import Network, check_network

STATISTICS = {"mean": "running_mean", "var": "running_var"}
"""The fields of a layer that have another name in PyTorch, and that name."""

Problems = dict[str, list[str]]
"""The entries that do not fit, by kind of problem."""

IGNORED = "num_batches_tracked"
"""A counter that BatchNorm updates in training; inference does not need it."""


def from_state_dict(net: Network, state: Mapping[str, Any]) -> Network:
    """Return the same graph with the parameters of a state dict.

    Names are those of PyTorch: "<node>.weight" and "<node>.bias", for BatchNorm also "<node>.running_mean" and
    "<node>.running_var"; any other array has the name of the layer's field. The entry of a layer that several nodes
    share may have the name of any of them. "num_batches_tracked" is ignored. float16 and bfloat16 become float32, other
    types are kept.

    Parameters
    ----------
    net : Network
        A network whose nodes have the names of the modules, such as one of `lrpref.models`.
    state : mapping of str to array or tensor
        The parameters by name. Each entry is read once, so the mapping may load them lazily.

    Returns
    -------
    Network
        A new network; `net` is left unchanged.

    Raises
    ------
    WeightsError
        If an entry is missing, unexpected, unusable, or has the wrong shape or dtype. The message lists all of them.

    Examples
    --------
    >>> from lrpref import Dense
    >>> net = Network.sequential(Dense([[0.0, 0.0]]), names=["fc"])
    >>> from_state_dict(net, {"fc.weight": np.array([[1.0, 2.0]])})["fc"].weight
    array([[1., 2.]])
    >>> from_state_dict(net, {"fc.weigth": np.array([[1.0, 2.0]])})
    Traceback (most recent call last):
    ...
    lrpref.errors.WeightsError: the arrays do not fit the network: missing: fc.weight (1, 2); unexpected: fc.weigth
    """
    check_network(net)
    check_state(state)
    entries = list(_entries(net))
    known = {key for entry in entries for key in entry.keys}
    problems: Problems = defaultdict(list)
    arrays: dict[int, dict[str, np.ndarray]] = defaultdict(dict)
    for entry in entries:
        arrays[id(entry.layer)] |= _take(entry, state, problems)
    problems["unexpected"] += [key for key in state if key not in known and key.rpartition(".")[2] != IGNORED]
    named = {id(layer): (name, layer) for name, layer, _ in net.nodes}
    layers = {key: _replaced(name, layer, arrays.pop(key, {}), problems) for key, (name, layer) in named.items()}
    if found := "; ".join(f"{kind}: {', '.join(keys)}" for kind, keys in problems.items() if keys):
        raise WeightsError(f"the arrays do not fit the network: {found}")
    return net.with_nodes([(name, layers[id(layer)], inputs) for name, layer, inputs in net.nodes])


def check_state(state: object) -> None:
    """Raise WeightsError unless `state` is a mapping whose names are strings."""
    if not isinstance(state, Mapping):
        raise WeightsError(f"weights are given as a mapping from names to arrays, got {shown(state)}")
    if strange := [name for name in state if not isinstance(name, str)]:
        raise WeightsError(f"the names of arrays must be strings, got {shown(strange[0])}")


def as_array(x: Any) -> np.ndarray:
    """Convert an array, or a PyTorch tensor on any device, to NumPy; float16 and bfloat16 become float32.

    >>> as_array(np.float16([0.5])).dtype.name
    'float32'
    """
    if hasattr(x, "detach"):  # a PyTorch tensor; NumPy has no bfloat16
        x = x.detach().cpu().resolve_conj().resolve_neg()
        x = x.float() if str(x.dtype) == "torch.bfloat16" else x
        x = np.array(x.numpy())
    array: np.ndarray = to_numpy(x) if is_array(x) else np.asarray(x)
    return array.astype(np.float32) if str(array.dtype) in ("float16", "bfloat16") else array


# ---- entries ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    """One array of one layer, and the names that it may have in a state dict: one for each node of the layer."""

    layer: Layer
    field: str
    keys: tuple[str, ...]

    @property
    def current(self) -> Any:
        """The array that the network holds now."""
        return getattr(self.layer, self.field)


def _entries(net: Network) -> Iterator[_Entry]:
    """Yield every array of every layer, those of shared layers once."""
    layers: dict[int, tuple[Layer, list[str]]] = {}
    for name, layer, _ in net.nodes:
        layers.setdefault(id(layer), (layer, []))[1].append(name)
    for layer, nodes in layers.values():
        for held, value in vars(layer).items():
            if is_array(value):
                yield _Entry(layer, held, tuple(f"{node}.{STATISTICS.get(held, held)}" for node in nodes))


def _take(entry: _Entry, state: Mapping[str, Any], problems: Problems) -> dict[str, np.ndarray]:
    """Return the array of one entry by its field; if none can be used, record the problem and return {}."""
    shape, dtype = tuple(entry.current.shape), str(entry.current.dtype)
    try:
        arrays = {key: as_array(state[key]) for key in entry.keys if key in state}
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:  # quantised or sparse tensors, ragged lists
        problems["unusable"].append(f"{entry.keys[0]}: {error}")
        return {}
    if not arrays:
        problems["missing"].append(f"{entry.keys[0]} {shape}")
        return {}
    first, array = next(iter(arrays.items()))
    other = next((key for key, a in arrays.items() if not np.array_equal(a, array, equal_nan=True)), None)
    if wrong := [f"{key} is {a.shape}, expected {shape}" for key, a in arrays.items() if a.shape != shape]:
        problems["wrong shape"] += wrong
    elif array.dtype.kind != ("b" if dtype == "bool" else "f"):
        problems["wrong dtype"].append(f"{first} is {array.dtype}, expected {dtype}")
    elif other:
        problems["unusable"].append(f"{first} and {other} belong to one shared layer but differ")
    else:
        return {entry.field: array}
    return {}


def _replaced(name: str, layer: Layer, arrays: Mapping[str, np.ndarray], problems: Problems) -> Layer:
    """Return the layer with its new arrays; if they are invalid, record the problem and return the old layer."""
    try:
        return replace(layer, **arrays)
    except LrprefError as error:
        problems["unusable"].append(f"{name}: {error}")
        return layer
