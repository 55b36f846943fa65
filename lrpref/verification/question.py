"""A question to an implementation of LRP: what is the relevance of this input, in this network, from this seed?

A question is a case of the conformance suite without the answer, so its format is that of the cases
(`lrpref/conformance/fixtures/README.md`). Its numbers are text in JSON, and float64 arrays for a Python function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from ..arithmetic import as_fraction
from ..backend import is_array, to_numpy
from ..layers import Layer
from ..network import Network
from ..rules import Rule


@dataclass(frozen=True, eq=False)
class Question:
    """What an implementation is asked.

    Parameters
    ----------
    network : Network
        A network of one input.
    input : array, shape (N, ...)
        The explained input.
    seed : array, shape of the output
        The relevance at the output.
    rules : mapping of str to Rule
        The rule of each linear layer, by node; empty if nothing is said about rules.

    Attributes
    ----------
    plain : dict
        The network in the format of the cases, with copies of its arrays, which can be written on.
    """

    network: Network
    input: np.ndarray
    seed: np.ndarray
    rules: Mapping[str, Rule] = field(default_factory=dict)
    plain: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", described(self.network, lambda array: np.array(array)))

    def copy(self) -> Question:
        """Return the question with copies of its arrays; those of the network itself cannot be written on."""
        return Question(self.network, np.array(self.input), np.array(self.seed), self.rules)

    def plain_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of `plain`, by layer and name."""
        layers = self.plain["layers"].items()
        return {f"{key}.{name}": array for key, layer in layers for name, array in layer["arrays"].items()}

    def as_data(self) -> dict[str, Any]:
        """Return the question in the format of the cases, with every number as text.

        Returns
        -------
        dict
            The keys "network", "input" and "seed", and "rules" if there are any.

        Examples
        --------
        >>> from lrpref import Dense
        >>> net = Network.sequential(Dense([[0.5, -2.0]]), names=["fc"])
        >>> found = Question(net, np.ones((1, 2)), np.ones((1, 1))).as_data()
        >>> found["network"]["layers"]["fc"]
        {'type': 'Dense', 'config': {}, 'arrays': {'weight': [['1/2', '-2']]}}
        >>> found["network"]["nodes"], found["input"], found["seed"]
        ([['fc', 'fc', ['input']]], [['1', '1']], [['1']])
        """
        found = {"network": described(self.network, as_text), "input": as_text(self.input), "seed": as_text(self.seed)}
        rules = {name: described_rule(rule) for name, rule in self.rules.items()}
        return found | ({"rules": rules} if rules else {})


def described(net: Network, array: Callable[[np.ndarray], Any]) -> dict[str, Any]:
    """Return a network in the format of the cases; `array` converts its arrays. Nodes may share a layer.

    Examples
    --------
    >>> from lrpref import Dense, ReLU
    >>> net = Network.sequential(Dense([[1.0]]), ReLU(), names=["fc", "relu"])
    >>> described(net, as_text)["nodes"]
    [['fc', 'fc', ['input']], ['relu', 'relu', ['fc']]]
    """
    keys: dict[int, str] = {}
    for name, layer, _ in net.nodes:
        keys.setdefault(id(layer), name)
    layers = {keys[id(layer)]: _described_layer(layer, array) for _, layer, _ in net.nodes}
    return {"layers": layers, "nodes": [[name, keys[id(layer)], list(inputs)] for name, layer, inputs in net.nodes]}


def _described_layer(layer: Layer, array: Callable[[np.ndarray], Any]) -> dict[str, Any]:
    """Return the type of a layer, and all its parameters and arrays except those that are None."""
    held = _held(layer)
    arrays = {name: array(to_numpy(value)) for name, value in held.items() if is_array(value)}
    config = {name: _plain(value) for name, value in held.items() if not is_array(value)}
    return {"type": type(layer).__name__, "config": config, "arrays": arrays}


def described_rule(rule: Rule) -> dict[str, Any]:
    """Return a rule in the format of the cases, with all its parameters except those that are None.

    Examples
    --------
    >>> from lrpref import rules
    >>> described_rule(rules.Gamma(0.5))
    {'type': 'Gamma', 'gamma': 0.5, 'generalised': False, 'stabilizer': 0.0}
    """
    held = {name: as_text(to_numpy(v)) if is_array(v) else _plain(v) for name, v in _held(rule).items()}
    return {"type": type(rule).__name__} | held


def _held(described: Any) -> dict[str, Any]:
    """Return the fields of a layer or a rule that are not None."""
    held = {f.name: getattr(described, f.name) for f in fields(described) if f.init}
    return {name: value for name, value in held.items() if value is not None}


def as_text(array: np.ndarray) -> Any:
    """Return an array as nested lists of integers and fractions, as text. A float is the binary fraction that it is.

    Examples
    --------
    >>> as_text(np.array([[0.5, -3.0]]))
    [['1/2', '-3']]
    """
    texts = np.empty(array.shape, dtype=object)
    for index, value in np.ndenumerate(array):
        texts[index] = str(as_fraction(value))
    return texts.tolist()


def _plain(value: Any) -> Any:
    """Return a parameter as JSON represents it."""
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value
