"""Importing scikit-learn's estimators: same function, logits of classifiers, and refusals that suggest a fix."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import from_sklearn
from lrpref.errors import ConversionError

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install -e '.[sklearn]'")

from sklearn import preprocessing  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import Pipeline, make_pipeline  # noqa: E402
from sklearn.svm import SVC  # noqa: E402

RNG = np.random.default_rng(5)
X = RNG.normal(size=(40, 4)) * [1, 10, 0.1, 3] + [0, 5, 0, -2]
CLASSES = np.arange(40) % 3


def fitted(estimator: Any, y: np.ndarray = CLASSES, x: np.ndarray = X) -> Any:
    """The estimator after a few steps of training; it need not be good."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about convergence
        return estimator.fit(x, y)


def small(kind: Callable[..., Any] = MLPClassifier, **settings: Any) -> Any:
    return kind(**{"hidden_layer_sizes": (5, 3), "max_iter": 3, "random_state": 0, **settings})


ESTIMATORS = {
    **{f"classifier, {f}": fitted(small(activation=f)) for f in ("identity", "logistic", "relu", "tanh")},
    "binary classifier": fitted(small(), CLASSES > 0),
    "multi-label classifier": fitted(small(), np.eye(4)[np.arange(40) % 4] + np.eye(4)[(np.arange(40) + 1) % 4]),
    "classifier of two labels": fitted(small(), np.eye(3)[CLASSES][:, :2]),
    "no hidden layer": fitted(small(hidden_layer_sizes=())),
    "regressor": fitted(small(MLPRegressor), X[:, 0]),
    "regressor of several targets": fitted(small(MLPRegressor), X[:, :2]),
    "logistic regression": fitted(LogisticRegression()),
    "logistic regression without intercept": fitted(LogisticRegression(fit_intercept=False)),
    "logistic regression of two classes": fitted(LogisticRegression(), CLASSES > 0),
    "linear regression": fitted(LinearRegression(), X[:, 0] * X[:, 1]),
    "linear regression of several targets": fitted(LinearRegression(fit_intercept=False), X[:, :2] ** 2),
    "standard": fitted(make_pipeline(preprocessing.StandardScaler(), small())),
    "standard without mean": fitted(make_pipeline(preprocessing.StandardScaler(with_mean=False), small())),
    "standard without scale": fitted(make_pipeline(preprocessing.StandardScaler(with_std=False), small())),
    "min-max": fitted(make_pipeline(preprocessing.MinMaxScaler((-1, 2)), small())),
    "max-abs": fitted(make_pipeline(preprocessing.MaxAbsScaler(), small(MLPRegressor)), X[:, 0]),
    "nested": fitted(
        make_pipeline(
            make_pipeline(preprocessing.StandardScaler(), "passthrough"), preprocessing.MaxAbsScaler(), small()
        )
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_network_computes_what_the_estimator_does(name: str) -> None:
    estimator = ESTIMATORS[name]
    net = from_sklearn(estimator, X[:3])
    assert net.dtype == np.float64
    x = RNG.normal(size=(7, 4)) * 10
    predicted = estimator.predict_proba(x) if hasattr(estimator, "predict_proba") else estimator.predict(x)
    assert_allclose(net(x), predicted.reshape(7, -1), rtol=1e-9, atol=1e-12)
    assert (net.head is not None) == hasattr(estimator, "predict_proba")


def test_an_estimator_trained_in_float32_becomes_a_network_in_float32() -> None:
    estimator = fitted(small(), CLASSES > 0, X.astype(np.float32))
    assert from_sklearn(estimator, X).dtype == np.float32


def test_the_two_classes_of_a_binary_classifier_have_opposite_logits() -> None:
    """p = sigmoid(2 x - 1), so the logits at x = 2 are -3 and 3, and LRP-0 gives 4 of the 3 to x and -1 to the bias."""
    estimator = fitted(LogisticRegression(), np.arange(4) > 1, np.arange(4.0)[:, None])
    estimator.coef_, estimator.intercept_ = np.array([[2.0]]), np.array([-1.0])
    net, x = from_sklearn(estimator, X[:, :1]), np.array([[2.0]])
    assert net.names == ["layer1", "layer1_sigmoid", "one_minus", "probabilities"]
    assert_array_equal(net.without_head()(x), [[-3, 3]])
    assert_allclose(lrpref.explain(net, x, rule="zero", target=1), [[4]])
    assert_allclose(lrpref.explain(net, x, rule="zero", target=0), [[-4]])


def test_steps_keep_their_names() -> None:
    estimator = fitted(Pipeline([("centre", preprocessing.StandardScaler()), ("mlp", small(hidden_layer_sizes=(2,)))]))
    assert from_sklearn(estimator, X).names == ["centre", "layer1", "layer1_relu", "layer2", "layer2_softmax"]


def test_columns_with_names() -> None:
    """The estimator gets the table itself, so that it finds its columns, and the network gets the numbers."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    table = pandas.DataFrame(X, columns=list("abcd"))
    net = from_sklearn(fitted(small(), CLASSES, table), table)
    assert net(X).shape == (40, 3)


REFUSED = {
    "another model": (fitted(SVC()), r"step 'estimator' \(SVC\): not supported at the end. Supported: Lin"),
    "a similar model": (fitted(Ridge(), X[:, 0]), r"\(Ridge\): not supported"),
    "another scaler": (
        fitted(make_pipeline(preprocessing.QuantileTransformer(n_quantiles=5), small())),
        r"step 'quantiletransformer' \(QuantileTransformer\): not supported before the model",
    ),
    "a scaler alone": (fitted(preprocessing.StandardScaler()), r"\(StandardScaler\): not supported at the end"),
    "not fitted": (small(), r"step 'estimator' \(MLPClassifier\): it is not fitted; call its fit method"),
    "a pipeline that is not fitted": (make_pipeline(preprocessing.StandardScaler(), small()), "it is not fitted"),
    "clip": (
        fitted(make_pipeline(preprocessing.MinMaxScaler(clip=True), small())),
        r"step 'minmaxscaler' \(MinMaxScaler\): clip=True is not supported; fit it with clip=False",
    ),
    "sparse": (fitted(LogisticRegression()).sparsify(), "densify"),
    "not an estimator": (3, r"\(int\): not supported"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_rest_is_refused_by_name(name: str) -> None:
    estimator, message = REFUSED[name]
    with pytest.raises(ConversionError, match=message):
        from_sklearn(estimator, X)


def test_an_estimator_that_computes_something_else_is_refused() -> None:
    class Doubled(MLPRegressor):
        def predict(self, x: Any) -> Any:
            return 2 * super().predict(x)

    Doubled.__name__, Doubled.__module__ = "MLPRegressor", MLPRegressor.__module__
    with pytest.raises(ConversionError, match=r"differs from the estimator by 0\.5 of the largest output"):
        from_sklearn(fitted(small(Doubled), X[:, 0]), X)


@pytest.mark.parametrize(
    ("example", "message"),
    [(X[0], r"must have shape \(N, features\)"), (X[:, :2], "does not run on the example"), ("x", "array of numbers")],
)
def test_examples_that_do_not_fit(example: Any, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        from_sklearn(ESTIMATORS["regressor"], example)
