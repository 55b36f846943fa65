"""What adapters have in common: where an explanation starts, and what is asked where a denominator is 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ... import layers, rules
from ...network import Network
from ...rules import Rule
from ..adapter import Adapter, NotOffered
from ..case import Case


def is_shared(net: Network) -> bool:
    """Whether a layer with parameters stands at several nodes."""
    places = [id(layer) for _, layer, _ in net.nodes if isinstance(layer, layers.LinearLayer)]
    return len(set(places)) < len(places)


def start(case: Case) -> np.ndarray:
    """The relevance that an explanation starts with, shaped like the output (before a final Softmax, its input)."""
    net = case.network
    *_, (name, layer, inputs) = net.nodes
    logits = net.activations(case.input)[inputs[0] if isinstance(layer, layers.Softmax) else name]
    if isinstance(case.seed, np.ndarray):
        return np.broadcast_to(case.seed, logits.shape)
    flat = logits.reshape(len(logits), -1)
    named = {"logit": flat, "one": np.ones_like(flat), "probability": layers.Softmax().forward(flat)}
    values = named[case.seed] if isinstance(case.seed, str) else np.full_like(flat, case.seed)
    return np.where(np.arange(flat.shape[1]) == case.target, values, 0).reshape(logits.shape)


def scaled(case: Case, explain_output: Callable[[tuple[int, ...]], np.ndarray]) -> np.ndarray:
    """Relevance by a library that starts with the value of one output: its maps, scaled to the start of the case.

    explain_output  the library's map for the output of that index

    Raises NotOffered where the value to start with is 0, and the start of the case is not.
    """
    wanted, value = start(case), case.network.forward(case.input)
    if np.any((wanted != 0) & (value == 0)):
        raise NotOffered("the library starts with an output's value and multiplies by it; here that is 0")
    factors = np.where(wanted == 0, 0, wanted / np.where(wanted == 0, 1, value))
    relevance = np.zeros(case.input.shape)
    for index in np.ndindex(*wanted.shape[1:]):
        factor = factors[:, *index].reshape(-1, *(1,) * (case.input.ndim - 1))
        if factor.any():
            relevance += np.where(factor == 0, 0, factor * explain_output(index))
    return relevance


# ---- stabilizers of zero ---------------------------------------------------------------------------------------


class Stabilized:
    """An adapter that asks with the least stabilizer where a case has none: every denominator but 0 stays what it is.

    Libraries that answer 0/0 with NaN can be asked all the rest so.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self.library, self.version = f"{adapter.library} (stabilized)", adapter.version

    def explain(self, case: Case) -> np.ndarray:
        """What the library gives."""
        return self._adapter.explain(self._changed(case))

    def promise(self, case: Case) -> str | None:
        """What the library promises."""
        return self._adapter.promise(self._changed(case))

    def _changed(self, case: Case) -> Case:
        least = tiny(case.network)
        return replace(case, rules={node: _with(rule, least) for node, rule in case.rules.items()})


def tiny(net: Network) -> float:
    """A stabilizer that disappears in every number of a network's type but 0, and whose reciprocal is finite."""
    return 1e-35 if net.dtype == np.float32 else 1e-290


def divides_by_zero(case: Case, idle: bool = False) -> bool:
    """Whether a rule of the case has a denominator of 0, or `tiny`, somewhere: no documentation says what is sent then.

    idle  whether a ratio that takes no part, such as the negative one of alpha 1 and beta 0, counts too
    """
    z = case.network.activations(case.input)
    for name, layer, inputs in case.network.nodes:
        if isinstance(layer, layers.LinearLayer) and not isinstance(case.rules[name], rules.Pass | rules.Relative):
            rule, arrays = case.rules[name], tuple(z[i] for i in inputs)
            w, b = layer.parameters(*arrays)
            for ratio in (ratio for ratio in rule.ratios() if idle or ratio.coefficient):
                denominator = rule.stabilize(ratio.sums(layer, arrays, w, b)[2])
                if np.any(np.abs(denominator) < 1e-30):
                    return True
    return False


def _with(rule: Rule, least: float) -> Rule:
    """The rule with that stabilizer in the place of 0."""
    if isinstance(rule, rules.Zero):
        return rules.Epsilon(least)
    if isinstance(rule, rules.Epsilon):
        return replace(rule, epsilon=rule.epsilon or least)
    changes: dict[str, Any] = {} if getattr(rule, "stabilizer", 1) else {"stabilizer": least}
    return replace(rule, **changes)
