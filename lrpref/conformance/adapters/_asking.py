"""Functions that adapters share: relevance at the output, quotations, commits, and denominators of zero."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ... import layers, rules
from ...backend import to_numpy
from ...network import Network, Node
from ...rules import Rule
from ...seeds import seed_relevance, start_at
from ..adapter import Adapter, NotOffered
from ..case import Case


def is_shared(net: Network) -> bool:
    """Whether several nodes share a linear layer."""
    places = [id(layer) for _, layer, _ in net.nodes if isinstance(layer, layers.LinearLayer)]
    return len(set(places)) < len(places)


def start(case: Case) -> np.ndarray:
    """The relevance at the output, shaped like the logits."""
    net = case.network
    logits = to_numpy(net.without_head().forward(case.input))
    if isinstance(case.seed, np.ndarray):
        return np.broadcast_to(case.seed, logits.shape)
    target = np.full(len(logits), case.target)
    return to_numpy(seed_relevance(start_at(net, None), logits, target, case.seed))


def scaled(case: Case, explain_output: Callable[[tuple[int, ...]], np.ndarray]) -> np.ndarray:
    """Relevance by a library that starts with the value of one output: its maps, scaled to the relevance of the case.

    `explain_output` returns the library's map for the output with this index. Raises NotOffered if the value of an
    output is 0, but its relevance is not.
    """
    wanted, value = start(case), to_numpy(case.network.forward(case.input))
    if np.any((wanted != 0) & (value == 0)):
        raise NotOffered("the library multiplies by the value of the output, which is 0 here")
    factors = np.where(wanted == 0, 0, wanted / np.where(wanted == 0, 1, value))
    relevance = np.zeros(case.input.shape)
    for index in np.ndindex(*wanted.shape[1:]):
        factor = factors[:, *index].reshape(-1, *(1,) * (case.input.ndim - 1))
        if factor.any():
            relevance += np.where(factor == 0, 0, factor * explain_output(index))
    return relevance


def quotations(case: Case, quote: Callable[[Case, Node], str | None]) -> str | None:
    """The quotations for all linear nodes of a case with expected relevance; None if one node is not covered.

    `quote` returns the quotation for a node, "" if none is needed, or None if the documentation does not cover it. A
    norm by the sample's own statistics is not linear, so a rule for linear layers does not cover it, whoever states it.
    """
    if case.kind != "relevance":
        return None
    linear = [node for node in case.network.nodes if isinstance(node.layer, layers.LinearLayer)]
    found = {None if _normalises(case, node) else quote(case, node) for node in linear}
    return None if None in found else "; ".join(sorted(words for words in found if words)) or None


def _normalises(case: Case, node: Node) -> bool:
    """Whether a rule divides up a norm by the sample's own statistics."""
    return isinstance(node.layer, layers.SampleNorm) and not isinstance(case.rules[node.name], rules.Pass)


def commit(folder: Path, known: Mapping[str, str]) -> str:
    """The commit of a library without a version number, where its files are known.

    `known` has the commit by the beginning of the SHA-256 of the Python files in the folder, sorted by name.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    start = digest.hexdigest()[:12]
    return known.get(start, f"unknown-{start}")


# ---- stabilizers of zero ---------------------------------------------------------------------------------------


class Stabilized:
    """An adapter that replaces a stabilizer of 0 by the smallest possible one, which changes only denominators of 0.

    It allows asking a library that answers NaN for 0/0.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self.library, self.version = f"{adapter.library} (stabilized)", adapter.version

    def explain(self, case: Case) -> np.ndarray:
        """The library's relevance."""
        return self._adapter.explain(self._changed(case))

    def promise(self, case: Case) -> str | None:
        """The library's promise."""
        return self._adapter.promise(self._changed(case))

    def _changed(self, case: Case) -> Case:
        least = tiny(case.network)
        return replace(case, rules={node: _with(rule, least) for node, rule in case.rules.items()})


def tiny(net: Network) -> float:
    """A stabilizer that changes no number of a network's type except 0, and has a finite reciprocal."""
    return 1e-35 if net.dtype == np.float32 else 1e-290


def divides_by_zero(case: Case, idle: bool = False) -> bool:
    """Whether a rule of the case has a denominator of 0, or `tiny`, for which no documentation defines a result.

    With `idle`, ratios with the coefficient 0 count too, such as the negative part of alpha = 1, beta = 0.
    """
    z = case.network.activations(case.input)
    for name, layer, inputs in case.network.nodes:
        if isinstance(layer, layers.LinearLayer) and not isinstance(case.rules[name], rules.Pass | rules.Relative):
            rule, arrays = case.rules[name], tuple(z[i] for i in inputs)
            w, b = layer.parameters(*arrays)
            for ratio in (ratio for ratio in rule.ratios() if idle or ratio.coefficient):
                denominator = rule.stabilize(ratio.sums(layer, arrays, w, b)[2])
                if np.any(np.abs(to_numpy(denominator)) < 1e-30):
                    return True
    return False


def _with(rule: Rule, least: float) -> Rule:
    """The rule with this stabilizer instead of 0."""
    if isinstance(rule, rules.Zero):
        return rules.Epsilon(least)
    if isinstance(rule, rules.Epsilon):
        return replace(rule, epsilon=rule.epsilon or least)
    changes: dict[str, Any] = {} if getattr(rule, "stabilizer", 1) else {"stabilizer": least}
    return replace(rule, **changes)
