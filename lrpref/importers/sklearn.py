"""Import scikit-learn estimators.

`from_sklearn` converts multi-layer perceptrons and linear models, alone or at the end of a Pipeline of scalers, and
checks on an example that network and estimator compute the same. It reads the attributes of a fitted estimator;
scikit-learn is imported when `from_sklearn` is called.

Names: each step of a Pipeline keeps its name. The layers of a perceptron are called "layer1", "layer2", and so on, a
linear model is "layer1", and the function after a layer is called after both, such as "layer1_relu".
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .._support.extras import library
from ..errors import ConversionError, LrprefError
from ..layers import Concat, Dense, Layer, ReLU, Scale, Sigmoid, Softmax, Tanh
from ..network import INPUT, Network
from .graph import Graph, require, verify

ACTIVATIONS: Mapping[str, Callable[[], Layer] | None] = {
    "identity": None,
    "logistic": Sigmoid,
    "relu": ReLU,
    "softmax": Softmax,
    "tanh": Tanh,
}
"""The functions that scikit-learn's perceptrons may have after a layer, and their layers."""

SUPPORTED = (
    "LinearRegression, LogisticRegression, MLPClassifier, MLPRegressor, and Pipelines of MaxAbsScaler, MinMaxScaler "
    "and StandardScaler before one of these"
)


def from_sklearn(estimator: Any, example: Any) -> Network:
    """Import a scikit-learn estimator.

    The network computes `predict_proba` for classifiers, and `predict` for regressors, always of shape (N, outputs).
    Both must agree on an example in float64, to 1e-9 of the largest output.

    Parameters
    ----------
    estimator : object
        A fitted estimator: MLPClassifier, MLPRegressor, LogisticRegression, LinearRegression, or a Pipeline of scalers
        before one of these. It is left unchanged.
    example : array, shape (N, features)
        Inputs, on which the network is checked.

    Returns
    -------
    Network
        The network, in float64 if any of its parameters is, otherwise in float32. A classifier ends with its
        probabilities, and explanations start at the logits before them.

    Raises
    ------
    ConversionError
        If the estimator is not supported or not fitted, or the network does not compute the same function. The message
        names the step.
    LrprefError
        If scikit-learn is not installed.
    """
    sklearn = library("sklearn", "sklearn", "scikit-learn estimators")
    steps = list(_steps(estimator))
    model = steps[-1][1]
    converted = [_converted(sklearn, name, step, step is model) for name, step in steps]
    x, expected = _example(example), _computed(estimator, example)
    graph, at = Graph(tuple(x.shape)), INPUT
    for (name, step), chain in zip(steps, converted, strict=True):
        try:
            for names, layers in chain:
                at = graph.add(layers, [at], names or [name], _once)
        except LrprefError as error:
            raise ConversionError(f"{_label(name, step)}: {error}") from error
    if _is_binary(model):
        one = np.ones(1, np.float32)  # exact, and no wider than the other parameters
        one_minus = graph.add([Scale(-one, one)], [at], ["one_minus"], _once)
        at = graph.add([Concat()], [one_minus, at], ["probabilities"], _once)
    net = graph.network(at)
    verify(net.astype(np.float64), x, expected, "the estimator", _hint(model))
    return net.astype(net.dtype)


Chain = list[tuple[list[str], list[Layer]]]
"""Lists of layers with their preferred names."""


def _steps(estimator: Any, name: str = "estimator") -> Iterator[tuple[str, Any]]:
    """Yield the names and estimators of a Pipeline, also of one inside another; or the estimator alone."""
    if type(estimator).__name__ != "Pipeline":
        yield name, estimator
        return
    for step, part in estimator.steps:
        if part is not None and part != "passthrough":
            yield from _steps(part, step)


def _converted(sklearn: Any, name: str, step: Any, last: bool) -> Chain:
    """Return the layers of one step."""
    kind = type(step).__name__
    convert = (MODELS if last else SCALERS).get(kind)
    if convert is None or not type(step).__module__.startswith("sklearn."):
        where = "at the end" if last else "before the model"
        raise ConversionError(f"{_label(name, step)}: not supported {where}. Supported: {SUPPORTED}")
    try:
        library("sklearn.utils.validation", "sklearn", "scikit-learn estimators").check_is_fitted(step)
    except sklearn.exceptions.NotFittedError as error:
        raise ConversionError(f"{_label(name, step)}: it is not fitted; call its fit method first") from error
    try:
        return convert(step)
    except LrprefError as error:
        raise ConversionError(f"{_label(name, step)}: {error}") from error


def _once(name: str) -> int:
    """Return how many layers read a node: the steps form a chain."""
    return 1


def _label(name: str, step: Any) -> str:
    """Return a step's name and type as text."""
    return f"step {name!r} ({type(step).__name__})"


def _example(example: Any) -> np.ndarray:
    """Return the example in float64."""
    try:
        x = np.asarray(example, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConversionError(f"the example must be an array of numbers (N, features): {error}") from error
    require(x.ndim == 2, f"the example must have shape (N, features), got {x.shape}")
    return x


def _computed(estimator: Any, example: Any) -> np.ndarray:
    """Return what the estimator computes, as (N, outputs)."""
    if isinstance(example, np.ndarray | list | tuple):  # not a DataFrame, whose columns have names
        example = _example(example)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the names of columns
            called = estimator.predict_proba if hasattr(estimator, "predict_proba") else estimator.predict
            y = np.asarray(called(example), dtype=np.float64)
    except Exception as error:
        raise ConversionError(f"the estimator does not run on the example: {error}") from error
    return y[:, None] if y.ndim == 1 else y


# ---- scalers ---------------------------------------------------------------------------------------------------


def _standard(step: Any) -> Chain:
    """StandardScaler: (x - mean) / scale."""
    scale = np.asarray(step.scale_) if step.with_std else np.ones(step.n_features_in_)
    shift = -np.asarray(step.mean_) / scale if step.with_mean else None  # mean_ is there in any case
    return [([], [Scale(1 / scale, shift)])]


def _min_max(step: Any) -> Chain:
    """MinMaxScaler: x scale + min."""
    require(not step.clip, "clip=True is not supported; fit it with clip=False")
    return [([], [Scale(step.scale_, step.min_)])]


def _max_abs(step: Any) -> Chain:
    """MaxAbsScaler: x / scale."""
    require(not getattr(step, "clip", False), "clip=True is not supported; fit it with clip=False")
    return [([], [Scale(1 / np.asarray(step.scale_))])]


SCALERS: Mapping[str, Callable[[Any], Chain]] = {
    "MaxAbsScaler": _max_abs,
    "MinMaxScaler": _min_max,
    "StandardScaler": _standard,
}
"""The estimators that may come before the model."""


# ---- models ----------------------------------------------------------------------------------------------------


def _perceptron(step: Any) -> Chain:
    """MLPClassifier and MLPRegressor: layers, with an activation after each and another one after the last."""
    functions = [step.activation] * (len(step.coefs_) - 1) + [step.out_activation_]
    chain = []
    for k, (w, b, function) in enumerate(zip(step.coefs_, step.intercepts_, functions, strict=True), 1):
        require(function in ACTIVATIONS, f"its function {function!r} is not supported: {', '.join(ACTIVATIONS)} are")
        chain.append(([f"layer{k}"], [Dense(w.T, b), *_layers(function)]))
    return chain


def _linear(step: Any) -> Chain:
    """LinearRegression."""
    w = np.atleast_2d(step.coef_)
    return [(["layer1"], [Dense(w, np.broadcast_to(step.intercept_, len(w)))])]


def _logistic(step: Any) -> Chain:
    """LogisticRegression: one logit for two classes, otherwise one for each class."""
    require(isinstance(step.coef_, np.ndarray), "its coefficients are sparse; call its densify method first")
    w = step.coef_
    head = "softmax" if len(w) > 1 else "logistic"
    return [(["layer1"], [Dense(w, np.broadcast_to(step.intercept_, len(w))), *_layers(head)])]


MODELS: Mapping[str, Callable[[Any], Chain]] = {
    "LinearRegression": _linear,
    "LogisticRegression": _logistic,
    "MLPClassifier": _perceptron,
    "MLPRegressor": _perceptron,
}
"""The estimators that may come last."""


def _layers(function: str) -> list[Layer]:
    """Return the layers of a function's name."""
    layer = ACTIVATIONS[function]
    return [] if layer is None else [layer()]


def _is_binary(model: Any) -> bool:
    """Whether a classifier computes one probability p and returns [1 - p, p]."""
    return hasattr(model, "predict_proba") and len(model.classes_) == 2


def _hint(model: Any) -> str:
    """Return a possible cause of a difference."""
    if type(model).__name__ != "LogisticRegression":
        return ""
    return "a possible cause is a model of one class against the rest, or multi_class='multinomial' with two classes"
