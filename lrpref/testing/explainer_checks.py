"""All laws of a whole explainer, explain(net, x) -> R, on random networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ..backend import Array, to_numpy
from ..network import Network
from ..scale.explanation import explain as explain_by_lrpref
from .cases import doubled, without_bias
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
from .search import Cases, Pairs, demand_none, search


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
    """Check the laws of a whole explainer, explain(net, x) -> R, on random small networks, residual ones included.

    Parameters
    ----------
    explain : callable
        explain(net, x) returns the relevance of `x` for the largest output of a network of lrpref's layers. `x` is
        float64, batch first.
    like : Rule, Composite or str, optional
        A rule or composite of lrpref, or its name: the relevance must be that of `lrpref.explain`.
    conserves : bool, default False
        Whether the explainer starts from the logit and loses nothing in a network without biases.
    covariant : bool, default False
        Whether the explainer starts from the logit and has no stabilizer.
    folds : bool, default False
        Whether the explainer folds BatchNorm itself, or is LRP-0 on every layer.
    networks : hypothesis.strategies.SearchStrategy, optional
        A strategy for `NetworkCase`, if lrpref's random networks do not suit the explainer; for networks of one input.
    tolerance : float, optional
        The absolute difference allowed; see `lrpref.testing.laws`.
    max_examples : int, default 20
        How many cases are tried, all laws on each.
    seed : int, default 0
        The seed of the search.

    Raises
    ------
    ChecksFailed
        If a law does not hold, with the smallest case for each law that is violated. It is an AssertionError.

    Examples
    --------
    >>> import lrpref
    >>> check_explainer(lambda net, x: lrpref.explain(net, x, rule="z-plus"), like="z-plus", max_examples=3)
    """
    tags = {"like": like, "conserves": conserves, "covariant": covariant, "folds": folds, "tolerance": tolerance}
    cases = small_networks() if networks is None else Cases([networks])
    demand_none(name_of(explain), search(cases, explainer_laws(explain, **tags), max_examples, seed))


def name_of(explain: Explain) -> str:
    """Return the name of a function, or the text of another callable."""
    return str(getattr(explain, "__name__", explain))


def small_networks() -> Cases:
    """Return strategies for networks of one or two Dense layers, and for every kind of network.

    Their numbers are in general position, because the treatment of ties and zero denominators is a convention.
    """
    from .strategies import generic, networks

    return Cases([networks(blocks=[], numbers=generic), networks(numbers=generic)])


def explainer_laws(
    explain: Callable[[Network, Array], Array],
    *,
    like: Any = None,
    conserves: bool = False,
    covariant: bool = False,
    folds: bool = False,
    tolerance: float | None = None,
) -> dict[str, Pairs]:
    """Return the laws of an explainer by name; each takes a network and its input."""
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
    """Compare the relevance with that of lrpref."""
    expected = explain_by_lrpref(net, x, rule=like)
    yield near("relevance", explain(net, x), expected, 1e-8 if tolerance is None else tolerance)


def _logit(explain: Explain, tolerance: float | None, net: Network, x: Array) -> Iterator[Pair]:
    """Check that the relevance sums to the largest output, in the network without biases and borders."""
    bare = net.with_nodes([(name, without_bias(layer), inputs) for name, layer, inputs in net.nodes])
    logits = to_numpy(bare.forward(x))
    chosen = np.where(np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None], logits, 0)
    yield from check_conservation.pairs(lambda x, R: explain(bare, x), x, chosen, tolerance=tolerance)


def _last_layer(explain: Explain, tolerance: float | None, net: Network, x: Array) -> Iterator[Pair]:
    """Double the weights and bias of the last layer: the logit and the relevance must double, too."""
    *nodes, (name, layer, inputs) = net.nodes
    scaled = partial(explain, net.with_nodes([*nodes, (name, doubled(layer), inputs)]))
    yield from check_scale_covariance.pairs(partial(explain, net), scaled, x, factor=2, tolerance=tolerance)
