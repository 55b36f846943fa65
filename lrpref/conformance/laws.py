"""The laws that only an adapter can be asked about: what a call leaves behind, what is refused, what `fuse` returns.

The other laws that cases of kind "relation" name under `check` are data: questions, and comparisons of their answers,
which `lrp_cases.relations` evaluates. A law here yields pairs of a value and what it must equal. Laws about lrpref
itself are not offered by any other library.
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
from ..layers import BatchNorm, DiagonalLayer
from ..rules import Flat
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


# ---- a law of any library -------------------------------------------------------------------------------------


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
    for law in (leaves_no_trace, rule_is_refused, relative_refuses_batchnorm, fused_forward, convolution_unchanged)
}
"""Every law by the name that cases use."""
