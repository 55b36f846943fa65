"""Composites: which layer gets which rule.

A composite is a list of (selector, rule); the first selector that matches a layer decides. Selectors are

    "conv1", "block2.*"    a node's name, wildcards allowed
    Conv2D, (Dense, Add)   a layer type, or several
    0, -1                  a position among the weighted layers (Dense, Conv2D), in order
    a function             of a `Place`, returning True or False

Only linear layers take a rule; activations and routing layers treat relevance alike under every rule. Joins,
pools and diagonal layers that no selector matches are under Epsilon(1e-6); a weighted layer that none matches
is an error. What a composite decides can be printed before anything runs:

    print(composites.EpsilonPlusFlat().assign(net))

The presets have zennit's names and defaults (Anders et al. 2021, arXiv 2106.13200; the advice behind them:
Montavon et al. 2019, LNCS 11700, sec. 10.2, and Kohlbrenner et al. 2020, arXiv 1910.09840).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from .errors import LrprefError, RuleError, unknown
from .layers import Add, BatchNorm, Conv2D, Dense, Elementwise, Layer, LinearLayer, Routing, Scale, WeightedLayer
from .network import Network
from .rules import RULES, AlphaBeta, Epsilon, Flat, Gamma, Pass, Rule, ZBox, Zero, ZPlus
from .rules import Relative as RelativeRule

Selector = str | int | type[Layer] | tuple[type[Layer], ...] | Callable[["Place"], bool]


@dataclass(frozen=True)
class Place:
    """Where a layer stands, for a selector to judge.

    name      the node
    layer     its layer
    position  among the weighted layers, from 0; None for others
    weighted  how many weighted layers there are
    first     whether it is a weighted layer reached from the input through routing and activations only
    """

    name: str
    layer: Layer
    position: int | None
    weighted: int
    first: bool


def places(net: Network) -> Iterator[Place]:
    """The place of every linear layer, in the order of the network."""
    weighted = [name for name, layer, _ in net.nodes if isinstance(layer, WeightedLayer)]
    first = _first_layers(net)
    for name, layer, _ in net.nodes:
        if isinstance(layer, LinearLayer):
            position = weighted.index(name) if name in weighted else None
            yield Place(name, layer, position, len(weighted), name in first)


def _first_layers(net: Network) -> set[str]:
    """The weighted layers that see the input through routing and activation layers only."""
    clear, first = {"input"}, set()
    for name, layer, inputs in net.nodes:
        if clear.issuperset(inputs):
            if isinstance(layer, Routing | Elementwise):
                clear.add(name)
            elif isinstance(layer, WeightedLayer):
                first.add(name)
    return first


def matches(selector: Selector, place: Place) -> bool:
    """Whether a selector matches a place."""
    if isinstance(selector, str):
        return fnmatchcase(place.name, selector)
    if isinstance(selector, int):
        return place.position is not None and place.position == selector % max(place.weighted, 1)
    if isinstance(selector, type | tuple):
        return isinstance(place.layer, selector)
    return selector(place)


def first(place: Place) -> bool:
    """The selector of the first layer."""
    return place.first


@dataclass(frozen=True)
class Assignment(Mapping[str, Rule]):
    """Node name -> rule, for every linear layer of a network; prints as a table."""

    rows: tuple[tuple[Place, Rule, str], ...]

    def __getitem__(self, name: str) -> Rule:
        for place, rule, _ in self.rows:
            if place.name == name:
                return rule
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (place.name for place, _, _ in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        table = [("node", "layer", "rule", "because")]
        table += [(p.name, type(p.layer).__name__, str(rule), because) for p, rule, because in self.rows]
        widths = [max(len(row[i]) for row in table) for i in range(4)]
        return "\n".join(
            "  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in table
        )


@dataclass(frozen=True)
class Composite:
    """A list of (selector, rule); the first match wins.

    >>> from lrpref import Network, Dense, ReLU, rules
    >>> net = Network.sequential(Dense([[1.0, 2.0]]), ReLU(), Dense([[3.0]]))
    >>> print(Composite([(-1, rules.Zero()), (Dense, rules.Epsilon(0.1))]).assign(net))
    node    layer  rule                  because
    dense1  Dense  epsilon(epsilon=0.1)  type Dense
    dense2  Dense  zero                  position -1
    """

    pairs: Sequence[tuple[Selector, Rule]]
    name: str = "Composite"

    def __post_init__(self) -> None:
        given: Sequence[object] = self.pairs
        for pair in given:
            if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Rule)):
                raise RuleError(f"a composite is a list of (selector, rule), got {pair!r}")
            selector: object = pair[0]
            types = isinstance(selector, tuple) and all(isinstance(kind, type) for kind in selector)
            if not (isinstance(selector, str | int) or callable(selector) or types):
                raise RuleError(f"a selector is a name, type, position or function, got {selector!r}")
        object.__setattr__(self, "pairs", tuple(self.pairs))

    def assign(self, net: Network) -> Assignment:
        """The rule of every linear layer of `net`.

        Raises RuleError for a weighted layer that no selector matches, and for a name or a position in a
        selector that the network does not have.
        """
        found = list(places(net))
        for selector, _ in self.pairs:
            if isinstance(selector, str) and not any(matches(selector, place) for place in found):
                raise RuleError(f"no linear layer is called {selector!r}; there are: {_names(found)}")
            if isinstance(selector, int) and not -len(weighted := _weighted(found)) <= selector < len(weighted):
                raise RuleError(f"no weighted layer at position {selector}; there are {len(weighted)}")
        return Assignment(tuple((place, *self._rule(place)) for place in found))

    def _rule(self, place: Place) -> tuple[Rule, str]:
        """The rule for one place, and why."""
        for selector, rule in self.pairs:
            if matches(selector, place):
                return rule, _because(selector)
        if isinstance(place.layer, WeightedLayer):
            raise RuleError(
                f"{self.name} gives node {place.name!r} ({type(place.layer).__name__}) no rule; "
                f"add ({type(place.layer).__name__}, rules.Epsilon())"
            )
        return Epsilon(), "default for joins, pools and diagonal layers"

    def __str__(self) -> str:
        lines = [f"{_because(selector):24}{rule}" for selector, rule in self.pairs]
        return "\n".join([self.name, *(f"  {line}" for line in lines)])


def _weighted(found: Sequence[Place]) -> list[Place]:
    return [place for place in found if place.position is not None]


def _names(found: Sequence[Place]) -> str:
    return ", ".join(place.name for place in found)


def _because(selector: Selector) -> str:
    """A selector in words."""
    if isinstance(selector, str):
        return f"name {selector}"
    if isinstance(selector, int):
        return f"position {selector}"
    if isinstance(selector, type):
        return f"type {selector.__name__}"
    if isinstance(selector, tuple):
        return f"type {' or '.join(t.__name__ for t in selector)}"
    return str(getattr(selector, "__name__", type(selector).__name__)).replace("_", " ")


# ---- the presets -----------------------------------------------------------------------------------------------


def first_convolution(place: Place) -> bool:
    """The selector of the first layer, if it is a convolution."""
    return place.first and isinstance(place.layer, Conv2D)


def _preset(name: str, convolution: Rule, epsilon: float, stabilizer: float) -> Composite:
    """What all presets share: a rule for convolutions, epsilon for Dense, joins and pools; BatchNorm passes."""
    pairs: list[tuple[Selector, Rule]] = [(Conv2D, convolution), (Dense, Epsilon(epsilon))]
    return Composite([*pairs, ((BatchNorm, Scale), Pass()), (LinearLayer, Epsilon(stabilizer))], name)


def _with_first(name: str, selector: Selector, rule: Rule, rest: Composite) -> Composite:
    """A preset with a rule of its own for the first layer."""
    return Composite([(selector, rule), *rest.pairs], name)


def EpsilonPlus(epsilon: float = 1e-6, stabilizer: float = 1e-6) -> Composite:  # noqa: N802
    """z-plus on convolutions, epsilon on fully connected layers."""
    return _preset("EpsilonPlus", ZPlus(stabilizer), epsilon, stabilizer)


def EpsilonPlusFlat(epsilon: float = 1e-6, stabilizer: float = 1e-6) -> Composite:  # noqa: N802
    """EpsilonPlus, with the flat rule on the first layer."""
    return _with_first("EpsilonPlusFlat", first, Flat(stabilizer), EpsilonPlus(epsilon, stabilizer))


def EpsilonGammaBox(  # noqa: N802
    low: Any, high: Any, epsilon: float = 1e-6, gamma: float = 0.25, stabilizer: float = 1e-6
) -> Composite:
    """Generalised gamma on convolutions, epsilon on fully connected layers, z-box on a first convolution."""
    gamma_rule = Gamma(gamma, generalised=True, stabilizer=stabilizer)
    rest = _preset("EpsilonGamma", gamma_rule, epsilon, stabilizer)
    return _with_first("EpsilonGammaBox", first_convolution, ZBox(low, high, stabilizer), rest)


def EpsilonAlpha2Beta1(epsilon: float = 1e-6, stabilizer: float = 1e-6) -> Composite:  # noqa: N802
    """alpha-beta with alpha = 2, beta = 1 on convolutions, epsilon on fully connected layers."""
    return _preset("EpsilonAlpha2Beta1", AlphaBeta(2, 1, stabilizer=stabilizer), epsilon, stabilizer)


def EpsilonAlpha2Beta1Flat(epsilon: float = 1e-6, stabilizer: float = 1e-6) -> Composite:  # noqa: N802
    """EpsilonAlpha2Beta1, with the flat rule on the first layer."""
    rest = EpsilonAlpha2Beta1(epsilon, stabilizer)
    return _with_first("EpsilonAlpha2Beta1Flat", first, Flat(stabilizer), rest)


def Relative(rescale: bool = True) -> Composite:  # noqa: N802
    """Relative LRP everywhere, a signed split at skip connections; BatchNorm must be fused first."""
    pairs: list[tuple[Selector, Rule]] = [(unfused, Zero()), (Add, Zero()), (LinearLayer, RelativeRule(rescale))]
    return Composite(pairs, "Relative")


def unfused(place: Place) -> bool:
    """The selector that refuses a BatchNorm: raises RuleError."""
    if isinstance(place.layer, BatchNorm):
        raise RuleError(f"Relative LRP needs BatchNorm folded away, {place.name!r} is one: use lrpref.fuse(net)")
    return False


PRESETS: Mapping[str, Callable[..., Composite]] = {
    "epsilon-plus": EpsilonPlus,
    "epsilon-plus-flat": EpsilonPlusFlat,
    "epsilon-gamma-box": EpsilonGammaBox,
    "epsilon-alpha2-beta1": EpsilonAlpha2Beta1,
    "epsilon-alpha2-beta1-flat": EpsilonAlpha2Beta1Flat,
    "relative": Relative,
}
"""The presets by the names that `explain` and the command line know them by."""


def resolve(rule: str | Rule | Composite) -> Composite:
    """What a user may give as `rule`, as a composite.

    A bare rule is short for: weighted layers under it, everything else under Epsilon(1e-6); only Relative is short
    for its own composite. A name may carry
    parameters, as in "gamma(gamma=0.5)" or "epsilon-gamma-box(low=0, high=1)".

    Raises UnknownNameError for an unknown name, RuleError for anything else that is no rule.

    >>> print(resolve("gamma(gamma=0.5)"))
    gamma(gamma=0.5)
      type WeightedLayer      gamma(gamma=0.5)
    """
    if isinstance(rule, str):
        rule = parse(rule)
    if isinstance(rule, Composite):
        return rule
    if isinstance(rule, RelativeRule):
        return Relative(rule.rescale)
    if isinstance(rule, Rule):
        return Composite([(WeightedLayer, rule)], str(rule))
    raise RuleError(f"expected a rule, a composite or the name of one, got {rule!r}")


def parse(text: str) -> Rule | Composite:
    """The rule or composite that `text` names, with its parameters if it gives any: "name" or "name(key=value)".

    >>> parse("alpha-beta(alpha=1, beta=0)")
    AlphaBeta(alpha=1, beta=0, bias='keep', empty='literal', stabilizer=0.0)
    """
    name, bracket, rest = text.strip().partition("(")
    known: Mapping[str, Callable[..., Rule | Composite]] = {**RULES, **PRESETS}
    if name not in known:
        raise unknown("rule", name, known)
    try:
        call = ast.parse(f"f({rest}" if bracket else "f()", mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)) or call.args:
            raise ValueError("write parameters as key=value")
        values = {str(keyword.arg): _literal(keyword.value) for keyword in call.keywords}
        return known[name](**values)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        if isinstance(error, LrprefError):
            raise
        hint = f"{name}(low=0, high=1)" if "low" in str(error) else f"{name}(key=value)"
        raise RuleError(f"cannot make a rule of {text!r}: {error}; write it as {hint}") from error


def _literal(value: ast.expr) -> Any:
    """A number, list or text as written; raises ValueError for anything else."""
    try:
        return ast.literal_eval(value)
    except ValueError:
        raise ValueError(f"{ast.unparse(value)} is no number, list or quoted text") from None
