"""The laws of `lrpref.testing`, put to an implementation that takes a network, an input, and a seed.

Each law takes a random network with an input. Its questions start from the value of the largest output of each sample.
A law says nothing about some networks: those in which the answer is a convention of each library, because a denominator
is zero or two cells tie for a maximum. It then raises `Unsaid`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..composites import Composite, resolve
from ..errors import RuleError
from ..fusion import fuse
from ..layers import BatchNorm, Layer, LinearLayer, Subtract
from ..layers.base import Routing
from ..network import Network
from ..rules import Pass, Relative, Rule, Zero
from ..scale.explanation import explain as explain_by_lrpref
from ..testing.cases import NetworkCase, doubled, without_bias
from ..testing.laws import (
    Pair,
    check_batch_independence,
    check_conservation,
    check_finite,
    check_fold,
    check_linear_in_R,
    check_no_mutation,
    check_scale_covariance,
    check_shape,
    near,
)
from .question import Question

Ask = Callable[[Question], np.ndarray]
Law = Callable[[NetworkCase], Iterator[Pair]]

CANCELS = 0.01
"""A denominator smaller than this share of its summands' magnitudes counts as zero."""

LAWS: Mapping[str, str] = {
    "check_shape": "",
    "check_finite": "a zero denominator must not become NaN",
    "check_no_mutation": "the second of two equal questions must have the same answer",
    "check_batch_independence": "no sum or maximum may run over the batch",
    "check_linear_in_R": "holds for every rule of Bach et al. 2015",
    "check_conservation": "checked with positive numbers and without biases; a stabilizer, or alpha = 2, breaks it",
    "check_scale_covariance": "holds for rules without a stabilizer",
    "check_fold": "holds for LRP-0 on every layer, and for implementations that fold BatchNorm themselves",
    "check_oracle": "the relevance is that of lrpref",
}
"""The laws that are checked, in order, each with a remark on when it holds."""


class Unsaid(Exception):  # noqa: N818
    """A law says nothing about this network."""


class Laws:
    """The laws of one implementation.

    Parameters
    ----------
    ask : callable
        Returns the relevance for a question.
    like : str, Rule, Composite or None
        What the implementation claims to compute, in the words of lrpref; questions then name the rule of each layer.
    tolerance : float or None
        The absolute difference allowed; see `lrpref.testing.laws`.
    """

    def __init__(self, ask: Ask, like: str | Rule | Composite | None = None, tolerance: float | None = None) -> None:
        self._ask, self.tolerance = ask, tolerance
        self.like = None if like is None else resolve(like)
        laws: dict[str, Law] = {
            "check_shape": lambda case: check_shape.pairs(self._explain(case.net), case.x, start(case)),
            "check_finite": lambda case: check_finite.pairs(self._explain(case.net), case.x, start(case)),
            "check_no_mutation": self._no_mutation,
            "check_batch_independence": lambda case: check_batch_independence.pairs(
                self._explain(case.net), case.x, start(case), tolerance=tolerance
            ),
            "check_linear_in_R": lambda case: check_linear_in_R.pairs(
                self._explain(case.net), case.x, start(case), tolerance=tolerance
            ),
            "check_conservation": self._conservation,
            "check_scale_covariance": self._last_layer,
            "check_fold": self._fold,
        }
        self.laws = laws | ({} if self.like is None else {"check_oracle": self._oracle})

    def prepared(self, law: str, case: NetworkCase) -> NetworkCase:
        """Return the network about which a law asks; raises Unsaid if it says nothing about this one.

        Conservation is checked where nothing can be lost: all numbers become positive, and nothing adds a constant.
        """
        return _positive_case(case) if law == "check_conservation" else case

    def question(self, net: Network, x: np.ndarray, R: np.ndarray) -> Question:
        """Return a question with the rules of `like`; raises Unsaid if they do not suit the network."""
        try:
            rules = {} if self.like is None else dict(self.like.assign(net))
        except RuleError as error:
            raise Unsaid(str(error)) from error
        return Question(net, x, R, rules)

    def answers(self, law: str, case: NetworkCase) -> list[tuple[Question, np.ndarray | None]]:
        """Return the questions of a law, each with its answer; None for one that raised an exception."""
        asked: list[tuple[Question, np.ndarray | None]] = []

        def ask(question: Question) -> np.ndarray:
            kept = question.copy()
            asked.append((kept, None))
            answer = self._ask(question)
            asked[-1] = kept, np.array(answer)
            return answer

        with np.errstate(all="ignore"), suppress(Exception):
            list(Laws(ask, self.like, self.tolerance).laws[law](case))
        return asked

    def _explain(self, net: Network) -> Callable[[Any, Any], np.ndarray]:
        """Return explain(x, R) on a network. The implementation gets copies, which it may modify."""

        def explain(x: np.ndarray, R: np.ndarray) -> np.ndarray:
            return self._ask(self.question(net, x, R).copy())

        return explain

    def _no_mutation(self, case: NetworkCase) -> Iterator[Pair]:
        """Ask twice, with the same arrays."""
        same = self.question(case.net, case.x, start(case)).copy()
        yield from check_no_mutation.pairs(
            lambda x, R: self._ask(same), same.input, same.seed, watched=same.plain_arrays()
        )

    def _conservation(self, case: NetworkCase) -> Iterator[Pair]:
        """Ask about a network in which nothing can be lost: see `prepared`."""
        yield from check_conservation.pairs(self._explain(case.net), case.x, start(case), tolerance=self.tolerance)

    def _last_layer(self, case: NetworkCase) -> Iterator[Pair]:
        """Double the weights and the bias of the last layer, and start from the same relevance."""
        *nodes, (name, layer, inputs) = case.net.nodes
        scaled = case.net.with_nodes([*nodes, (name, doubled(layer), inputs)])
        yield from check_scale_covariance.pairs(
            self._explain(case.net), self._explain(scaled), case.x, start(case), tolerance=self.tolerance
        )

    def _fold(self, case: NetworkCase) -> Iterator[Pair]:
        """Ask about a network with BatchNorm, and about the same network with BatchNorm folded away."""
        if not any(isinstance(layer, BatchNorm) for _, layer, _ in case.net.nodes):
            raise Unsaid("there is no BatchNorm")
        fused, R = fuse(case.net), start(case)
        for net in (case.net, fused):
            demand_clear(net, case.x, resolve(Zero()).assign(net))
        demand_clear(fused, case.x, self.question(fused, case.x, R).rules)
        yield from check_fold.pairs(lambda net, x: self._explain(net)(x, R), case.net, case.x, tolerance=self.tolerance)

    def _oracle(self, case: NetworkCase) -> Iterator[Pair]:
        """Compare the relevance with that of lrpref."""
        R = start(case)
        demand_clear(case.net, case.x, self.question(case.net, case.x, R).rules)
        expected = explain_by_lrpref(case.net, case.x, rule=self.like, seed=R)  # type: ignore[arg-type]
        tolerance = 1e-8 if self.tolerance is None else self.tolerance
        yield near("relevance", self._explain(case.net)(case.x, R), expected, tolerance)


def start(case: NetworkCase) -> np.ndarray:
    """Return the relevance at the output that is explained: the value of the largest output of each sample.

    Examples
    --------
    >>> from lrpref import Dense
    >>> start(NetworkCase(Network.sequential(Dense([[1.0], [2.0]])), np.array([[3.0]])))
    array([[0., 6.]])
    """
    logits = to_numpy(case.net.forward(case.x))
    largest = logits.argmax(axis=1)[:, None]
    return np.where(np.arange(logits.shape[1]) == largest, logits, 0.0)


def _positive_case(case: NetworkCase) -> NetworkCase:
    """Return the case with positive numbers, and without anything that adds a constant; raises Unsaid."""
    if any(isinstance(layer, Subtract) for _, layer, _ in case.net.nodes):
        raise Unsaid("a difference of positive numbers has a negative part")
    nodes = [(name, _without_constant(layer.map_arrays(_positive)), inputs) for name, layer, inputs in case.net.nodes]
    plain = NetworkCase(case.net.with_nodes(nodes), _positive(case.x))
    if any((to_numpy(a) == 0).any() for a in plain.net.activations(plain.x).values()):
        raise Unsaid("a window sees only padding")
    return plain


def _positive(x: Any) -> Any:
    """Return |x|, and 1 for 0."""
    return np.where(x == 0, 1.0, abs(x))


def _without_constant(layer: Layer) -> Layer:
    """Return the layer without biases and borders. A BatchNorm stays one, for those who do not know Scale."""
    if isinstance(layer, BatchNorm):
        return replace(layer, bias=None, mean=0 * layer.mean)
    return without_bias(layer)


# ---- networks about which a law says something ---------------------------------------------------------------------


def demand_clear(net: Network, x: np.ndarray, rules: Mapping[str, Rule]) -> None:
    """Raise Unsaid if a denominator of the rules cancels, or two cells tie for a maximum.

    Papers do not define what a zero denominator redistributes, or which of two equal cells is the maximum. Near such a
    point, two correct implementations differ by more than rounding in one layer explains.
    """
    at = net.activations(x)
    for name, layer, inputs in net.nodes:
        arrays = tuple(to_numpy(at[i]) for i in inputs)
        if isinstance(layer, Routing) and _ties(layer, arrays):
            raise Unsaid(f"two cells tie at {name}")
        if name in rules and isinstance(layer, LinearLayer) and _cancels(layer, arrays, rules[name]):
            raise Unsaid(f"a denominator cancels at {name}")


def _cancels(layer: LinearLayer, inputs: tuple[np.ndarray, ...], rule: Rule) -> bool:
    """Return whether a denominator is much smaller than its summands. Where all summands are zero, nobody differs."""
    if isinstance(rule, Pass | Relative):
        return False
    w, b = layer.parameters(*inputs)
    for ratio in rule.ratios():
        d = to_numpy(ratio.sums(layer, inputs, w, b)[2])
        magnitude = sum(
            to_numpy(layer.linear(abs(term.of_weight(w)), *(abs(term.of_input(a)) for a in inputs)))
            + abs(term.of_bias(b))
            for term in ratio.denominator or ratio.terms
        )
        if (abs(d) < CANCELS * magnitude).any():
            return True
    return False


def _ties(layer: Routing, inputs: tuple[np.ndarray, ...]) -> bool:
    """Return whether tiny changes of the inputs, one way and the other, send relevance elsewhere."""
    changes = [1e-9 * np.random.default_rng(k).normal(size=a.shape) for k, a in enumerate(inputs)]
    R = np.ones_like(to_numpy(layer.forward(*inputs)))
    ways = [
        layer.route(tuple(a + sign * change for a, change in zip(inputs, changes, strict=True)), R) for sign in (1, -1)
    ]
    return any(not np.array_equal(to_numpy(one), to_numpy(other)) for one, other in zip(*ways, strict=True))
