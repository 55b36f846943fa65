"""The laws of a whole explainer, explain(net, x) -> R, on random networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..backend import Array, to_numpy
from ..layers import BatchNorm, Layer, Scale
from ..network import Network
from ..scale.explanation import explain as explain_by_lrpref
from .laws import (
    Explain,
    Pair,
    check_batch_independence,
    check_conservation,
    check_finite,
    check_fold,
    check_no_mutation,
    check_scale_covariance,
    check_shape,
    near,
)
from .search import ChecksFailed, Pairs, search


def check_explainer(
    explain: Callable[[Network, Array], Array],
    *,
    like: Any = None,
    conserves: bool = False,
    covariant: bool = False,
    folds: bool = False,
    networks: Any = None,
    tolerance: float | None = None,
    max_examples: int = 20,
    seed: int = 0,
) -> None:
    """Try the laws of a whole explainer, explain(net, x) -> R, on random small networks, residual ones among them.

    explain    relevance of x for the largest output of a network of lrpref's layers, float64, batch first
    like       a rule or composite of lrpref, or its name: the map must be `lrpref.explain`'s
    conserves  it starts from the logit and loses nothing where there are no biases
    covariant  it starts from the logit and has no stabilizer
    folds      it folds BatchNorm itself, or is LRP-0 everywhere
    networks   a strategy for (network, x), where lrpref's random networks will not do
    tolerance  see `lrpref.testing.laws`

    Raises ChecksFailed, an AssertionError.

    >>> import lrpref
    >>> check_explainer(lambda net, x: lrpref.explain(net, x, rule="z-plus"), like="z-plus", max_examples=3)
    """
    tags = {"like": like, "conserves": conserves, "covariant": covariant, "folds": folds, "tolerance": tolerance}
    levels = small_networks() if networks is None else [networks]
    failures = search(levels, explainer_laws(explain, **tags), max_examples, seed)
    if failures:
        raise ChecksFailed(getattr(explain, "__name__", str(explain)), failures)


def small_networks() -> list[Any]:
    """One or two Dense layers, and every kind of network.

    Their numbers are in general position: ties, and denominators of zero, are conventions.
    """
    from .strategies import generic, networks

    return [networks(blocks=[], numbers=generic), networks(numbers=generic)]


def explainer_laws(
    explain: Callable[[Network, Array], Array],
    *,
    like: Any = None,
    conserves: bool = False,
    covariant: bool = False,
    folds: bool = False,
    tolerance: float | None = None,
) -> dict[str, Pairs]:
    """The laws of an explainer, by name, each to be put to a network and its input."""
    found: dict[str, Pairs] = {
        "check_finite": lambda case: check_finite.pairs(partial(explain, case[0]), case[1]),
        "check_shape": lambda case: check_shape.pairs(partial(explain, case[0]), case[1]),
        "check_no_mutation": lambda case: check_no_mutation.pairs(
            partial(explain, case[0]), case[1], watched=case[0].parameters
        ),
        "check_batch_independence": lambda case: check_batch_independence.pairs(
            partial(explain, case[0]), case[1], tolerance=tolerance
        ),
    }
    if like is not None:
        found["check_oracle"] = lambda case: _like(explain, like, tolerance, *case)
    if conserves:
        found["check_conservation"] = lambda case: _logit(explain, tolerance, *case)
    if covariant:
        found["check_scale_covariance"] = lambda case: _last_layer(explain, tolerance, *case)
    if folds:
        found["check_fold"] = lambda case: check_fold.pairs(explain, *case, tolerance=tolerance)
    return found


def _like(explain: Explain, like: Any, tolerance: float | None, net: Network, x: Array) -> Iterator[Pair]:
    """The map against lrpref's."""
    expected = explain_by_lrpref(net, x, rule=like)
    yield near("relevance", explain(net, x), expected, 1e-8 if tolerance is None else tolerance)


def _logit(explain: Explain, tolerance: float | None, net: Network, x: Array) -> Iterator[Pair]:
    """The sum of the map is the largest output, in the network without its biases and borders."""
    nodes = [(name, _without_bias(layer), inputs) for name, layer, inputs in net.nodes]
    bare = Network(nodes)
    logits = to_numpy(bare.forward(x))
    chosen = np.where(np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None], logits, 0)
    yield from check_conservation.pairs(lambda x, R: explain(bare, x), x, chosen, tolerance=tolerance)


def _without_bias(layer: Layer) -> Layer:
    """The layer without what adds a constant."""
    if isinstance(layer, BatchNorm):
        return Scale(layer.scale_and_shift()[0])
    changes: dict[str, Any] = {name: None for name in ("bias", "bias_taps") if getattr(layer, name, None) is not None}
    if hasattr(layer, "value"):
        changes["value"] = 0.0
    return replace(layer, **changes) if changes else layer


def _last_layer(explain: Explain, tolerance: float | None, net: Network, x: Array) -> Iterator[Pair]:
    """The last layer's weights and bias times 2: the logit and the map are doubled."""
    *nodes, (name, layer, inputs) = net.nodes
    doubled = Network([*nodes, (name, layer.map_arrays(lambda array: 2 * array), inputs)])
    yield from check_scale_covariance.pairs(
        partial(explain, net), partial(explain, doubled), x, factor=2, tolerance=tolerance
    )
