"""The laws that cases of kind "relation" name under `check`.

A law asks an adapter several questions, which are cases that differ in their network, input, seed or rules, and yields
pairs of an answer and the value that it must equal. The laws of any explainer are defined in `lrpref.testing.laws`, and
applied to an adapter here. lrpref rewrites the networks and runs them forward; only the adapter's relevance is judged.
Laws about lrpref itself are not offered by any other library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..composites import Relative
from ..errors import ParameterError, RuleError
from ..fusion import fuse, fusion_plan
from ..layers import BatchNorm, Dense, DiagonalLayer, Scale, Softmax
from ..network import Network
from ..rules import Flat, Pass
from ..testing import laws as testing
from ..testing.laws import Pair, holds, near
from .adapter import Adapter, NotOffered
from .case import Case, floats, make_rule


def question(case: Case, **changes: Any) -> Case:
    """Return the case with a changed question, and without an expected value."""
    return replace(case, **{"expected": None, "exact": None, "data": {}, **changes})


def _of_input(adapter: Adapter, case: Case, **changes: Any) -> Callable[[np.ndarray], np.ndarray]:
    """The adapter as a function explain(x), with everything else as in the case."""
    return lambda x: adapter.explain(question(case, input=x, **changes))


# ---- laws of any library ---------------------------------------------------------------------------------------


def batch_independence(adapter: Adapter, case: Case) -> Iterator[Pair]:
    """The map of a batch consists of the maps of its samples."""
    limit = case.tolerance * (1 + abs(adapter.explain(question(case))))
    yield from testing.check_batch_independence.pairs(_of_input(adapter, case), case.input, tolerance=limit)


def seeds_are_factors(adapter: Adapter, case: Case) -> Iterator[Pair]:
    """Maps with the seeds "one", "logit", "probability" and -1 differ by that factor, among the seeds offered."""
    logits = to_numpy(case.network.without_head().forward(case.input))
    probability = to_numpy((case.network.head or Softmax()).forward(logits))[:, case.target]
    factors: dict[str | float, np.ndarray] = {
        "one": np.ones(len(logits)), "logit": logits[:, case.target], "probability": probability,
        -1: -np.ones(len(logits)),
    }  # fmt: skip
    maps: dict[str | float, np.ndarray] = {}
    refused = []
    for seed in factors:
        try:
            maps[seed] = adapter.explain(question(case, seed=seed))
        except NotOffered as reason:
            refused.append(f"seed {seed}: {reason}")
    if len(maps) < 2:
        raise NotOffered(refused[0])
    (base, first), *others = maps.items()
    for seed, found in others:
        factor = (factors[seed] / factors[base]).reshape(-1, *(1,) * (first.ndim - 1))
        yield near(f"seed {seed} against seed {base}", found, factor * first, case.tolerance)


def leaves_no_trace(adapter: Adapter, case: Case) -> Iterator[Pair]:
    """A second call equals the first, after another call in between; input, weights and attributes are unchanged."""
    attributes = [sorted(vars(layer)) for _, layer, _ in case.network.nodes]
    parameters = set(case.network.parameters)

    def other_rules(x: np.ndarray) -> np.ndarray:
        return adapter.explain(question(case, input=x, rules=dict.fromkeys(case.rules, Flat())))

    yield from testing.check_no_mutation.pairs(
        _of_input(adapter, case), case.input, watched=case.network.parameters, between=other_rules
    )
    yield holds("the network has the same parameters", parameters == set(case.network.parameters))
    now = [sorted(vars(layer)) for _, layer, _ in case.network.nodes]
    yield holds("every layer has the same attributes", now == attributes)


def epsilon_absorption(adapter: Adapter, case: Case, epsilon: float) -> Iterator[Pair]:
    """sum_i R_i = sum_j R_j (z_j - b_j) / (z_j + epsilon sgn z_j), at every Dense layer of a chain.

    The relevance inside the network is that of the input of the rest of the chain, explained as a separate network.
    """
    z = {node: to_numpy(array) for node, array in case.network.activations(case.input).items()}
    for place, (node, layer, (source,)) in enumerate(case.network.nodes):
        if isinstance(layer, Dense):
            below = _explain_rest(adapter, case, place, z[source])
            above = _explain_rest(adapter, case, place + 1, z[node])
            kept = (z[node] - layer.bias) / (z[node] + epsilon * np.where(z[node] >= 0, 1, -1))
            yield near(node, below.sum(axis=1), (above * kept).sum(axis=1), case.tolerance)


def _explain_rest(adapter: Adapter, case: Case, place: int, x: np.ndarray) -> np.ndarray:
    """Relevance of the input of the chain from a place on; past the end, the relevance at the output."""
    rest = case.network.nodes[place:]
    if not rest:
        return np.where(np.arange(x.shape[1]) == case.target, x, 0.0)
    chain = Network.sequential(*(node.layer for node in rest), names=[node.name for node in rest])
    rules = {name: rule for name, rule in case.rules.items() if name in chain.names}
    return adapter.explain(question(case, network=chain, input=x, rules=rules))


def float32_precision(adapter: Adapter, case: Case, bound: float) -> Iterator[Pair]:
    """A map in float32 equals the map in float64, to `bound` times its largest entry."""
    low = question(case, network=case.network.astype(np.float32), input=case.input.astype(np.float32))
    high = adapter.explain(question(case))
    largest = np.abs(high).max()
    yield near("float32 against float64", adapter.explain(low) / largest, high / largest, bound)


def constants_cancel(adapter: Adapter, case: Case, node: str, constant: str) -> Iterator[Pair]:
    """A positive factor on all weights of a layer of a chain without biases does not change the rescaled map."""
    (factor,) = floats([constant])
    scaled = case.network.replace(node, case.network[node].map_arrays(lambda a: factor * a))
    limit = case.tolerance * (1 + abs(adapter.explain(question(case))))
    yield from testing.check_scale_covariance.pairs(
        _of_input(adapter, case), _of_input(adapter, case, network=scaled), case.input, tolerance=limit
    )


# ---- laws of fusion, for any library -----------------------------------------------------------------------------


def identity_passed(adapter: Adapter, case: Case) -> Iterator[Pair]:
    """The map of a fused network does not change with an identity under Pass after the folded convolution."""
    fused = fuse(case.network)
    channels = fused["conv"].weight.shape[0]  # type: ignore[attr-defined]
    longer = fused.insert_after("conv", "one", Scale(np.ones(channels)))
    one = adapter.explain(question(case, network=fused))
    other = adapter.explain(question(case, network=longer, rules={**case.rules, "one": Pass()}))
    yield near("with an identity instead of the BatchNorm", other, one, case.tolerance)


def zero_rule_unfused(adapter: Adapter, case: Case) -> Iterator[Pair]:
    """LRP-0 on the fused network equals LRP-0 on the unfused one with the BatchNorm under LRP-0."""

    def explain(net: Network, x: np.ndarray) -> np.ndarray:
        rules = {name: rule for name, rule in case.rules.items() if name in net.names}
        return adapter.explain(question(case, network=net, input=x, rules=rules))

    limit = case.tolerance * (1 + abs(explain(case.network, case.input)))
    yield from testing.check_fold.pairs(explain, case.network, case.input, tolerance=limit)


def differs_from_passed(adapter: Adapter, case: Case) -> Iterator[Pair]:
    """A fused map differs from the map with BatchNorm under Pass, by more than 1% of its largest entry."""
    fused = adapter.explain(question(case, network=fuse(case.network)))
    passed = adapter.explain(question(case, rules={**case.rules, "bn": Pass()}))
    yield holds("the fused map differs from the passed one", np.abs(fused - passed).max() > 0.01 * np.abs(fused).max())


# ---- laws about lrpref itself -------------------------------------------------------------------------------------


def rule_is_refused(adapter: Adapter, case: Case, rule: Mapping[str, Any]) -> Iterator[Pair]:
    """Contradictory parameters are rejected."""
    _only_lrpref(adapter, "adapters do not report what the constructors of a library reject")
    yield holds(f"{rule} is rejected", _raises(ParameterError, lambda: make_rule(rule)))


def relative_refuses_batchnorm(adapter: Adapter, case: Case) -> Iterator[Pair]:
    """Relative LRP rejects a network with a BatchNorm, and accepts it once it is fused."""
    _only_lrpref(adapter, "adapters do not report what a library rejects")
    yield holds("rejected with BatchNorm", _raises(RuleError, lambda: Relative().assign(case.network)))
    yield holds("accepted after fusion", not _raises(RuleError, lambda: Relative().assign(fuse(case.network))))


def fused_forward(
    adapter: Adapter,
    case: Case,
    gone: Sequence[str],
    kept: Sequence[str],
    options: Mapping[str, bool],
    weight: Any = None,
    bias: Any = None,
) -> Iterator[Pair]:
    """The fused network computes the output of the table; the original is unchanged; the plan names every BatchNorm."""
    _only_lrpref(adapter, "about the forward pass of lrpref.fuse; adapters are asked for relevance only")
    assert case.output is not None
    types = [type(layer) for _, layer, _ in case.network.nodes]
    fused = fuse(case.network, **dict[str, Any](options))
    size = max(1.0, float(np.abs(case.output).max()))
    for what, net in (("the original", case.network), ("the fused network", fused)):
        yield near(f"output of {what}", to_numpy(net.forward(case.input)) / size, case.output / size, case.tolerance)
    yield holds("the original network is unchanged", types == [type(layer) for _, layer, _ in case.network.nodes])
    names = {type(layer).__name__ for _, layer, _ in fused.nodes}
    yield holds(f"fused away: {', '.join(gone)}", names.isdisjoint(gone))
    yield holds(f"still present: {', '.join(kept)}", names.issuperset(kept))
    plan = str(fusion_plan(case.network, **options))
    yield holds("the plan names every BatchNorm", all(n in plan for n, t in zip(case.network.names, types, strict=True)
                                                      if t is BatchNorm))  # fmt: skip
    for name, expected in (("weight", weight), ("bias", bias)):
        if expected is not None:
            yield near(f"fused {name}", getattr(fused.nodes[0].layer, name), floats(expected), case.tolerance)


def convolution_unchanged(adapter: Adapter, case: Case, node: str, **arguments: Any) -> Iterator[Pair]:
    """The layer before the activation keeps its weights, and a diagonal layer remains after the activation."""
    yield from fused_forward(adapter, case, **arguments)
    fused = fuse(case.network)
    for name in ("weight", "bias"):
        yield near(f"{name} of {node}", getattr(fused[node], name), getattr(case.network[node], name))
    yield holds("a diagonal layer remains", any(isinstance(layer, DiagonalLayer) for _, layer, _ in fused.nodes))


def _only_lrpref(adapter: Adapter, reason: str) -> None:
    if adapter.library != "lrpref":
        raise NotOffered(reason)


def _raises(kind: type[Exception], call: Callable[[], object]) -> bool:
    try:
        call()
    except kind:
        return True
    return False


Law = Callable[..., Iterator[Pair]]
LAWS: Mapping[str, Law] = {
    law.__name__: law
    for law in (
        batch_independence, seeds_are_factors, leaves_no_trace, epsilon_absorption, float32_precision,
        constants_cancel, identity_passed, zero_rule_unfused, differs_from_passed, rule_is_refused,
        relative_refuses_batchnorm, fused_forward, convolution_unchanged,
    )
}  # fmt: skip
"""Every law by the name that cases use."""
