"""The adapter of iNNvestigate (Alber et al. 2019): its `LRP` analyzer with a rule for each layer.

It needs TensorFlow with Keras 2 (`pip install tensorflow-cpu tf-keras`). This module sets TF_USE_LEGACY_KERAS=1 before
it imports TensorFlow. Images are transposed to channels last, and relevance back.

iNNvestigate starts with the value of one output. Other relevance at the output is a sum of such maps, each scaled.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from ... import layers, rules
from ...backend import to_numpy
from ...layers import LinearLayer, WeightedLayer
from ...network import INPUT, Node
from ...rules import Rule
from ..adapter import NotOffered
from ..case import Case
from . import _asking as asking

INSTALL = "innvestigate==2.1.2 tensorflow-cpu==2.19.1 tf-keras==2.19.0"

Keras = Any
"""An object of Keras, or a rule class of iNNvestigate."""


class Innvestigate:
    """iNNvestigate in the number type of the case's network."""

    library = "innvestigate"

    def __init__(self) -> None:
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        import_module("tensorflow").compat.v1.disable_eager_execution()
        import_module("innvestigate")
        self.version = version("innvestigate")

    def explain(self, case: Case) -> np.ndarray:
        """Relevance of the input: `LRP.analyze` for every output with relevance."""
        for node in case.network.nodes:
            _check(case, node)
        if asking.is_shared(case.network):
            raise NotOffered("this adapter does not ask about layers shared by several nodes")
        analyzer = _analyzer(case)
        x = case.input.transpose(0, 2, 3, 1) if case.input.ndim == 4 else case.input
        shape = case.network.shapes(case.input.shape)[case.network.output][1:]

        def explain_output(index: tuple[int, ...]) -> np.ndarray:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                R = np.asarray(analyzer.analyze(x, int(np.ravel_multi_index(index, shape))), dtype=np.float64)
            return R.transpose(0, 3, 1, 2) if R.ndim == 4 else R

        return asking.scaled(case, explain_output)

    def promise(self, case: Case) -> str | None:
        """The docstrings of the rules, where they cover the layers. They do not cover denominators of 0."""
        words = asking.quotations(case, _quotation)
        return None if words is None or asking.divides_by_zero(case) else words


def _check(case: Case, node: Node) -> None:
    """Raise NotOffered for a node that iNNvestigate or this adapter does not support."""
    layer, rule = node.layer, case.rules.get(node.name)
    if type(layer) not in _LAYERS:
        raise NotOffered(f"iNNvestigate has no rule for {type(layer).__name__}, or this adapter does not ask about it")
    if getattr(layer, "padding", None) not in (None, (0, 0, 0, 0)):
        raise NotOffered("Keras has named paddings (valid, same), not numbers")
    if getattr(layer, "ties", "first") != "first":
        raise NotOffered("TensorFlow's max-pooling has one winner per window")
    if isinstance(layer, LinearLayer) and not isinstance(layer, WeightedLayer) and not isinstance(rule, rules.Zero):
        raise NotOffered(f"iNNvestigate has only LRP-0 for {type(layer).__name__}")
    if isinstance(layer, WeightedLayer):
        _rule(rule)


# ---- the model -------------------------------------------------------------------------------------------------


def _analyzer(case: Case) -> Keras:
    """The LRP analyzer of the network as a Keras model, with a rule for each node."""
    keras, net = import_module("tensorflow.keras"), case.network
    keras.backend.clear_session()
    keras.backend.set_floatx("float32" if net.dtype == np.float32 else "float64")
    shape = case.input.shape[1:]
    outputs = {INPUT: keras.layers.Input((*shape[1:], shape[0]) if len(shape) == 3 else shape)}
    for name, layer, inputs in net.nodes:
        branches = [outputs[i] for i in inputs]
        outputs[name] = _LAYERS[type(layer)](keras.layers, name, layer, branches[0] if len(branches) == 1 else branches)
    end = outputs[net.output]
    model = keras.Model(outputs[INPUT], _flat(keras.layers, "output", None, end) if len(end.shape) == 4 else end)
    for name, layer, _ in net.nodes:
        if isinstance(layer, layers.Dense | layers.Conv2D):
            w = to_numpy(layer.weight)
            weight = w.T if w.ndim == 2 else w.transpose(2, 3, 1, 0)
            model.get_layer(name).set_weights([weight] if layer.bias is None else [weight, layer.bias])
    chosen = [
        (lambda made, name=name: made.name == name, _rule(case.rules[name]))
        for name, layer, _ in net.nodes
        if isinstance(layer, WeightedLayer)
    ]
    lrp = import_module("innvestigate.analyzer.relevance_based.relevance_analyzer").LRP
    return lrp(model, rule=chosen or "Z", neuron_selection_mode="index")


def _flat(keras: Any, name: str, layer: Any, branch: Keras) -> Keras:
    """Flatten with channels first."""
    return keras.Flatten(name=name)(keras.Permute((3, 1, 2))(branch))


def _conv(keras: Any, name: str, layer: layers.Conv2D, branch: Keras) -> Keras:
    if layer.groups != 1 or layer.bias_taps is not None:
        raise NotOffered("this adapter does not ask about grouped convolutions")
    w = layer.window
    made = keras.Conv2D(
        len(layer.weight), w.kernel, w.stride, dilation_rate=w.dilation, use_bias=layer.bias is not None, name=name
    )
    return made(branch)


_LAYERS: Mapping[type, Callable[[Any, str, Any, Any], Keras]] = {
    layers.Dense: lambda keras, name, layer, branch: keras.Dense(
        len(layer.weight), use_bias=layer.bias is not None, name=name
    )(branch),
    layers.Conv2D: _conv,
    layers.ReLU: lambda keras, name, layer, branch: keras.Activation("relu", name=name)(branch),
    layers.Flatten: _flat,
    layers.Add: lambda keras, name, layer, branches: keras.Add(name=name)(branches),
    layers.MaxPool2D: lambda keras, name, layer, branch: keras.MaxPooling2D(
        layer.window.kernel, layer.window.stride, name=name
    )(branch),
    layers.AvgPool2D: lambda keras, name, layer, branch: keras.AveragePooling2D(
        layer.window.kernel, layer.window.stride, name=name
    )(branch),
}


# ---- rule by rule ----------------------------------------------------------------------------------------------


def _rule(rule: Rule | None) -> Keras:
    """A rule class with the parameters of the case."""
    if type(rule) not in _RULES:
        raise NotOffered(f"iNNvestigate has no rule like {type(rule).__name__}")
    if getattr(rule, "stabilizer", 0):
        raise NotOffered("iNNvestigate has a stabilizer only for its EpsilonRule")
    name, parameters = _RULES[type(rule)](rule)
    base = getattr(import_module("innvestigate.analyzer.relevance_based.relevance_rule"), name)
    return type(name, (base,), {"__init__": lambda self, layer, state: base.__init__(self, layer, state, **parameters)})


def _epsilon(rule: rules.Epsilon) -> tuple[str, dict[str, Any]]:
    if rule.scale is not None or not rule.epsilon:
        raise NotOffered("iNNvestigate needs a positive number as epsilon")
    return "EpsilonRule", {"epsilon": rule.epsilon}


def _alpha_beta(rule: rules.AlphaBeta) -> tuple[str, dict[str, Any]]:
    if rule.empty != "literal":
        raise NotOffered("iNNvestigate has no mode that renormalises where a part is empty")
    return "AlphaBetaRule", {"alpha": rule.alpha, "beta": rule.beta, "bias": rule.bias == "keep"}


def _z_box(rule: rules.ZBox) -> tuple[str, dict[str, Any]]:
    if not isinstance(rule.low, int | float) or not isinstance(rule.high, int | float):
        raise NotOffered("iNNvestigate's BoundedRule takes numbers")
    return "BoundedRule", {"low": rule.low, "high": rule.high}


_RULES: Mapping[type, Callable[[Any], tuple[str, dict[str, Any]]]] = {
    rules.Zero: lambda rule: ("ZRule", {}),
    rules.Epsilon: _epsilon,
    rules.AlphaBeta: _alpha_beta,
    rules.ZPlus: lambda rule: ("ZPlusRule", {}),
    rules.ZBox: _z_box,
    rules.WSquare: lambda rule: ("WSquareRule", {}),
    rules.Flat: lambda rule: ("FlatRule", {}),
}

_WORDS: Mapping[type, str] = {
    rules.Zero: 'ZRule: "considers the bias a constant input neuron"',
    rules.Epsilon: 'EpsilonRule: "0 is considered to be positive, ie sign(0) = 1"',
    rules.AlphaBeta: 'AlphaBetaRule: "handles the positive forward activations (x*w > 0) and negative forward '
    'activations (w * x < 0) independently"; it divides by zero only where "there are either no positive or no '
    'negative parts to the activation at all"',
    rules.WSquare: 'WSquareRule: "W**2 rule from Deep Taylor Decomposition"',
    rules.Flat: 'FlatRule: "sets all weights to ones"',
    rules.ZBox: 'BoundedRule: "Z_B rule from the Deep Taylor Decomposition"',
}
"""Short quotations from the docstrings of iNNvestigate 2.1.2. Its ZPlusRule "ignores the bias", and says so."""


def _quotation(case: Case, node: Node) -> str | None:
    """The quotation for the rule of a node; None if it does not cover the layer."""
    return _WORDS.get(type(case.rules[node.name])) if isinstance(node.layer, WeightedLayer) else None


def adapter() -> Innvestigate:
    """Make the adapter; iNNvestigate, TensorFlow and Keras 2 must be installed."""
    return Innvestigate()
