"""Parameter randomisation: a map of what the network learned must change when the network forgets it.

The parameters of some layers are replaced by random ones, and the map is compared with the original
(Adebayo et al. 2018, arXiv 1810.03292):

    cascading    from the output downwards, layer after layer, the random ones stay random
    independent  one layer at a time, all others as trained

A map that hardly changes does not show what the network learned. (The reverse does not follow: a map may change for
bad reasons.) The relevance starts at 1, not at the logit: the logit of a network that has forgotten has any sign, and
under rules that are linear in relevance its sign would turn the whole map round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backend import Array, asarray, backend_name, to_numpy
from ..composites import Composite
from ..errors import GraphError, ParameterError, unknown
from ..layers import Layer
from ..network import Network
from ..rules import Rule
from ..scale.explanation import explain
from ..walk import DEFAULT_RULE, trace
from .flipping import mean
from .maps import SIMILARITIES

FIELDS = ("weight", "bias", "bias_taps")
"""What is learned. Running statistics of a BatchNorm are not."""

Explainer = Callable[[Network, Array, Array], Array]
"""(network, batch, target) -> relevance."""


@dataclass(frozen=True, eq=False)
class Randomisation:
    """How alike the maps are, layer by layer; prints as a table.

    layers      the nodes in the order in which they were randomised, from the output down
    similarity  (layers + 1, N): row 0 is the trained network against itself
    mode        "cascading" or "independent"
    measure     which similarity
    how         how parameters were drawn
    seed        of the draws
    """

    layers: tuple[str, ...]
    similarity: np.ndarray
    mode: str
    measure: str
    how: str
    seed: int

    def __str__(self) -> str:
        head = f"parameter randomisation, {self.mode}, by {self.how}, seed {self.seed}: {self.measure}"
        width = max(map(len, ("as trained", *self.layers)))
        names = ("as trained", *self.layers)
        lines = [f"{name:{width}}  {mean(row):8.4f}" for name, row in zip(names, self.similarity, strict=True)]
        return "\n".join([f"{head} over {self.similarity.shape[1]} samples", *lines])


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
    """How alike maps of the trained network and of partly random ones are.

    net         the network; fold its BatchNorm first (`lrpref.fuse`), or its scale is a layer of its own here
    x           a batch (N, ...)
    explainer   a rule or composite as in `explain`, started at 1; or a callable (network, batch, target) -> relevance
    target      as in `explain`; None for the trained network's largest output. It stays the same throughout
    mode        "cascading" (default) or "independent"
    similarity  "spearman" (default), "spearman-magnitude" or "cosine" (`lrpref.evaluation.maps`). Adebayo et al. also
                use structural similarity and histograms of gradients, which are not here
    how         "normal": normal noise with the parameter's own standard deviation and no mean (a constant parameter
                keeps its size); "permute": the parameter's own values, shuffled
    seed        of the draws; a layer's draw depends on its place in the network, not on the mode

    Raises ParameterError, UnknownNameError, and what `explain` raises.
    """
    if mode not in ("cascading", "independent"):
        raise ParameterError(f'mode is "cascading" or "independent", got {mode!r}')
    if similarity not in SIMILARITIES:
        raise unknown("similarity", similarity, SIMILARITIES)
    target = trace(net, x, target).target
    explained = explainer if callable(explainer) else _by_rule(explainer)
    original = explained(net, x, target)
    layers = learned(net)
    if not layers:
        raise GraphError("the network has no parameters to randomise")
    rows = [SIMILARITIES[similarity](original, original)]
    for k, name in enumerate(layers):
        names = layers[: k + 1] if mode == "cascading" else [name]
        map_ = explained(randomised(net, names, how, seed), x, target)
        rows.append(SIMILARITIES[similarity](original, map_))
    return Randomisation(tuple(layers), np.stack(rows), mode, similarity, how, seed)


def learned(net: Network) -> list[str]:
    """The nodes that hold learned parameters, from the output down."""
    return [name for name, layer, _ in reversed(net.nodes) if any(_held(layer))]


def randomised(net: Network, names: Sequence[str], how: str = "normal", seed: int = 0) -> Network:
    """The network with random parameters at these nodes; the one given is left untouched.

    how  "normal" or "permute": see `parameter_randomisation`

    Raises GraphError for a name that is no node with parameters, ParameterError.
    """
    if how not in ("normal", "permute"):
        raise ParameterError(f'how is "normal" or "permute", got {how!r}')
    places = {name: k for k, name in enumerate(net.names)}
    if strange := [name for name in names if name not in learned(net)]:
        raise GraphError(f"{strange[0]!r} is no node with parameters; there are: {', '.join(learned(net))}")
    drawn = {name: _random_layer(net[name], how, np.random.default_rng([seed, places[name]])) for name in names}
    return Network([(name, drawn.get(name, layer), inputs) for name, layer, inputs in net.nodes])


def _held(layer: Layer) -> list[str]:
    """The fields of a layer that hold learned parameters."""
    return [name for name in FIELDS if getattr(layer, name, None) is not None]


def _random_layer(layer: Layer, how: str, rng: np.random.Generator) -> Layer:
    """The layer with random numbers in place of what it learned."""
    return replace(layer, **{name: _random(getattr(layer, name), how, rng) for name in _held(layer)})


def _random(parameter: Array, how: str, rng: np.random.Generator) -> Array:
    """Numbers of the parameter's own size, or its own numbers in another order."""
    values = to_numpy(parameter)
    if how == "permute":
        drawn = rng.permutation(values.reshape(-1)).reshape(values.shape)
    else:
        spread = values.std() or abs(values).max(initial=0.0)
        drawn = rng.normal(size=values.shape) * spread
    return asarray(drawn.astype(values.dtype), backend_name(parameter))


def _by_rule(rule: str | Rule | Composite) -> Explainer:
    """The explanation by a rule, started at 1."""

    def explained(net: Network, x: Array, target: Any) -> Array:
        return explain(net, x, target, rule, seed="one")

    return explained
