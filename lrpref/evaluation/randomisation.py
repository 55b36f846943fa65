"""Parameter randomisation: a map of what the network learned must change when the network forgets it.

The parameters of some layers are replaced by random ones, and the map is compared with the original
(Adebayo et al. 2018, arXiv 1810.03292):

    cascading    from the output downwards, layer after layer; randomised layers stay random
    independent  one layer at a time, all others as trained

A map that hardly changes does not show what the network learned. (The converse does not hold: a map may change for
bad reasons.) The relevance starts at 1, not at the logit: the logit of a randomised network may have either sign, and
under rules that are linear in relevance a negative one would flip the sign of the whole map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arithmetic import check_choice, check_integer
from ..backend import Array, asarray, backend_name, to_numpy
from ..composites import Composite
from ..errors import GraphError, InputError, RuleError, is_one_of, shown, unknown
from ..layers import Layer
from ..network import Network, check_network, check_one_input
from ..rules import Rule
from ..scale.explanation import explain, signature
from ..walk import DEFAULT_RULE, trace
from .flipping import mean
from .maps import SIMILARITIES

FIELDS = ("weight", "bias", "bias_taps")
"""The learned parameters of a layer; the running statistics of a BatchNorm are not among them."""

Explainer = Callable[[Network, Array, Array], Array]
"""Maps (network, batch, target) to relevance."""


@dataclass(frozen=True, eq=False)
class Randomisation:
    """The similarity of the maps, layer by layer; prints as a table.

    Parameters
    ----------
    layers : tuple of str
        The nodes in the order in which they were randomised, from the output down.
    similarity : numpy.ndarray, shape (layers + 1, N)
        Row 0 compares the map of the trained network with itself. NaN where a map is not finite and, for Spearman's,
        where one is constant.
    mode : {"cascading", "independent"}
        Whether randomised layers stay random.
    measure : str
        The name of the similarity.
    how : {"normal", "permute"}
        How parameters were drawn.
    seed : int
        The seed of the draws.
    signature : str
        The signature of the maps of the trained network; empty for an explainer of your own.
    """

    layers: tuple[str, ...]
    similarity: np.ndarray
    mode: str
    measure: str
    how: str
    seed: int
    signature: str = ""

    def __str__(self) -> str:
        head = f"parameter randomisation, {self.mode}, by {self.how}, seed {self.seed}: {self.measure}"
        width = max(map(len, ("as trained", *self.layers)))
        names = ("as trained", *self.layers)
        lines = [f"{name:{width}}  {mean(row):8.4f}" for name, row in zip(names, self.similarity, strict=True)]
        maps = [f"maps: {self.signature}"] if self.signature else []
        return "\n".join([f"{head} over {self.similarity.shape[1]} samples", *maps, *lines])


def parameter_randomisation(
    net: Network,
    x: Array,
    explainer: str | Rule | Composite | Explainer = DEFAULT_RULE,
    target: int | Array | None = None,
    mode: str = "cascading",
    similarity: str = "spearman",
    how: str = "normal",
    seed: int = 0,
) -> Randomisation:
    """Compare the map of the trained network with the maps of partly randomised ones.

    Parameters
    ----------
    net : Network
        The network. Fuse its BatchNorms first (`lrpref.fuse`); otherwise each of them counts as a layer.
    x : array, shape (N, ...)
        A batch.
    explainer : str, Rule, Composite or callable
        A rule or composite as in `explain`, started at relevance 1; or a callable that maps (network, batch, target)
        to relevance.
    target : int, array of int, or None
        As in `explain`; None explains the trained network's largest output. It stays the same throughout.
    mode : {"cascading", "independent"}, default "cascading"
        Whether randomised layers stay random.
    similarity : {"spearman", "spearman-magnitude", "cosine"}, default "spearman"
        The similarity (`lrpref.evaluation.maps`). Adebayo et al. also use structural similarity and histograms of
        gradients, which are not implemented.
    how : {"normal", "permute"}, default "normal"
        "normal" draws normal noise with mean 0 and the parameter's own standard deviation (its magnitude, if it is
        constant); "permute" shuffles the parameter's own values.
    seed : int, default 0
        The seed of the draws. The draw of a layer depends on its position in the network, not on the mode.

    Returns
    -------
    Randomisation
        The similarity per layer and sample.

    Raises
    ------
    ParameterError
        If `mode` or `how` is invalid.
    UnknownNameError
        If the similarity is unknown.
    GraphError
        If the network has no parameters.
    LrprefError
        As in `explain`.

    References
    ----------
    Adebayo et al. 2018, arXiv 1810.03292.
    """
    check_choice(mode, "mode", ("cascading", "independent"))
    check_choice(how, "how", ("normal", "permute"))
    check_integer(seed, "seed", least=0)
    if not is_one_of(similarity, SIMILARITIES):
        raise unknown("similarity", similarity, SIMILARITIES)
    check_network(net)
    check_one_input(net, "lrpref.evaluation")
    chosen = trace(net, x, target).target
    assert chosen is not None  # only a seed array leaves the target open
    if not chosen.shape[0]:
        raise InputError("expected at least one sample")
    given: object = explainer
    if isinstance(given, type):
        raise RuleError(f"expected a rule, a composite or a function, got the class {given.__name__}")
    explained = explainer if callable(explainer) else _by_rule(explainer)
    original = explained(net, x, chosen)
    layers = learned(net)
    if not layers:
        raise GraphError("the network has no parameters to randomise")
    rows = [SIMILARITIES[similarity](original, original)]
    for k, name in enumerate(layers):
        names = layers[: k + 1] if mode == "cascading" else [name]
        map_ = explained(randomised(net, names, how, seed), x, chosen)
        rows.append(SIMILARITIES[similarity](original, map_))
    signed = "" if callable(explainer) else str(signature(net, explainer, "one"))
    return Randomisation(tuple(layers), np.stack(rows), mode, similarity, how, seed, signed)


def learned(net: Network) -> list[str]:
    """Return the nodes with learned parameters, from the output down."""
    return [name for name, layer, _ in reversed(net.nodes) if any(_held(layer))]


def randomised(net: Network, names: Sequence[str], how: str = "normal", seed: int = 0) -> Network:
    """Return the network with random parameters at some nodes.

    Parameters
    ----------
    net : Network
        The trained network; it is not changed.
    names : sequence of str
        The nodes to randomise.
    how : {"normal", "permute"}, default "normal"
        As in `parameter_randomisation`.
    seed : int, default 0
        The seed of the draws.

    Returns
    -------
    Network

    Raises
    ------
    GraphError
        If a name is not that of a node with learned parameters.
    ParameterError
        If `how` is invalid.
    """
    check_network(net)
    check_choice(how, "how", ("normal", "permute"))
    check_integer(seed, "seed", least=0)
    given: object = names
    if not isinstance(given, list | tuple):
        raise GraphError(f"names must be a list of nodes, got {shown(given)}")
    places = {name: k for k, name in enumerate(net.names)}
    if strange := [shown(name) for name in names if not is_one_of(name, learned(net))]:
        raise GraphError(f"{strange[0]} is not a node with parameters; those are: {', '.join(learned(net))}")
    drawn = {name: _random_layer(net[name], how, np.random.default_rng([seed, places[name]])) for name in names}
    return net.with_nodes([(name, drawn.get(name, layer), inputs) for name, layer, inputs in net.nodes])


def _held(layer: Layer) -> list[str]:
    """The names of a layer's learned parameters."""
    return [name for name in FIELDS if getattr(layer, name, None) is not None]


def _random_layer(layer: Layer, how: str, rng: np.random.Generator) -> Layer:
    """The layer with random numbers in place of its learned parameters."""
    return replace(layer, **{name: _random(getattr(layer, name), how, rng) for name in _held(layer)})


def _random(parameter: Array, how: str, rng: np.random.Generator) -> Array:
    """Random numbers with the parameter's own standard deviation, or its own values in random order."""
    values = to_numpy(parameter)
    if how == "permute":
        drawn = rng.permutation(values.reshape(-1)).reshape(values.shape)
    else:
        spread = values.std() or abs(values).max(initial=0.0)
        drawn = rng.normal(size=values.shape) * spread
    return asarray(drawn.astype(values.dtype), backend_name(parameter))


def _by_rule(rule: str | Rule | Composite) -> Explainer:
    """An explainer by a rule, started at relevance 1."""

    def explained(net: Network, x: Array, target: Any) -> Array:
        return explain(net, x, target, rule, seed="one")

    return explained
