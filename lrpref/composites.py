"""Composites: which layer gets which rule.

A composite is a list of (selector, rule); the first selector that matches a layer decides. Selectors are

    "conv1", "block2.*"    a node's name, wildcards allowed
    Conv2D, (Dense, Add)   a layer type, or several
    0, -1                  a position among the weighted layers (Dense, convolutions), in order
    a function             of a `Place`, returning True or False

Only linear layers take a rule; all others treat relevance the same way with every rule. Joins (Add, Subtract), matrix
products, sums, means, average pooling, BatchNorm, Scale, Affine and the norms of `layers.SampleNorm` use Epsilon(1e-6)
if no selector matches them; a weighted layer that none matches is an error. Print the assignment before anything runs:

    print(composites.EpsilonPlusFlat().assign(net))

A composite may also decide what is held constant in layers that are not linear: `split` for the products, and `mean`
for the norms. It then reads the network with these parameters in place of the layers' own (`Composite.read`).

The presets have zennit's names and defaults (Anders et al., PLOS ONE, doi 10.1371/journal.pone.0336683; the
recommendations behind them: Montavon et al. 2019, LNCS 11700, sec. 10.3, and Kohlbrenner et al. 2020, arXiv
1910.09840). They give their rule for convolutions to every `layers.Convolution`, a convolution of your own included.
`joins=` chooses how they divide relevance between the branches of a join (docs/skips.md). AttnLRP and CPLRP are for
transformers.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from ._support.calls import UNPARSABLE, parameters
from ._support.tables import aligned
from .arithmetic import check_choice
from .errors import LrprefError, RuleError, UnknownNameError, is_one_of, shown, unknown
from .layers import (
    Add,
    Affine,
    BatchNorm,
    Convolution,
    Dense,
    Elementwise,
    Layer,
    LinearLayer,
    MatMul,
    Multiply,
    Routing,
    SampleNorm,
    Scale,
    Subtract,
    WeightedLayer,
)
from .network import Network, check_network
from .rules import RULES, Absolute, AlphaBeta, Epsilon, Flat, Gamma, Pass, Rule, ZBox, Zero, ZPlus
from .rules import Relative as RelativeRule

__all__ = [
    "JOINS",
    "PRESETS",
    "Assignment",
    "AttnLRP",
    "CPLRP",
    "Composite",
    "EpsilonAlpha2Beta1",
    "EpsilonAlpha2Beta1Flat",
    "EpsilonGammaBox",
    "EpsilonPlus",
    "EpsilonPlusFlat",
    "Place",
    "Relative",
    "diagonal_norms",
    "first",
    "first_convolution",
    "joins_and_pooling",
    "parse",
    "places",
    "resolve",
]

Selector = str | int | type[Layer] | tuple[type[Layer], ...] | Callable[["Place"], bool]


@dataclass(frozen=True)
class Place:
    """The place of a layer in the network, which a selector judges.

    Parameters
    ----------
    name : str
        The node.
    layer : Layer
        Its layer.
    position : int or None
        The position among the weighted layers, from 0; None for other layers.
    weighted : int
        How many weighted layers the network has.
    first : bool
        Whether it is a weighted layer that is reached from the inputs through routing and activation layers only. Each
        of several inputs has first layers of its own.
    """

    name: str
    layer: Layer
    position: int | None
    weighted: int
    first: bool


def places(net: Network) -> Iterator[Place]:
    """Yield the place of every linear layer, in the order of the network."""
    check_network(net)
    weighted = [name for name, layer, _ in net.nodes if isinstance(layer, WeightedLayer)]
    first = _first_layers(net)
    for name, layer, _ in net.nodes:
        if isinstance(layer, LinearLayer):
            position = weighted.index(name) if name in weighted else None
            yield Place(name, layer, position, len(weighted), name in first)


def _first_layers(net: Network) -> set[str]:
    """The weighted layers that are reached from the inputs through routing and activation layers only."""
    return {name for name in _first_linear(net) if isinstance(net[name], WeightedLayer)}


def _first_linear(net: Network) -> dict[str, frozenset[str]]:
    """The linear layers that are reached through routing and activation layers only, each with the inputs it reads."""
    clear = {name: frozenset([name]) for name in net.inputs}
    found: dict[str, frozenset[str]] = {}
    for name, layer, inputs in net.nodes:
        if clear.keys() >= set(inputs):
            sources: frozenset[str] = frozenset().union(*(clear[i] for i in inputs))
            (clear if isinstance(layer, Routing | Elementwise) else found)[name] = sources
    return found


def matches(selector: Selector, place: Place, names: Collection[str] = ()) -> bool:
    """Whether a selector matches a place; a selector that is one of `names` is not a pattern."""
    if isinstance(selector, str):
        return place.name == selector if selector in names else fnmatchcase(place.name, selector)
    if isinstance(selector, int):
        return place.position is not None and place.position == selector % max(place.weighted, 1)
    if isinstance(selector, type | tuple):
        return isinstance(place.layer, selector)
    return selector(place)


def first(place: Place) -> bool:
    """Select the first layer."""
    return place.first


@dataclass(frozen=True)
class Assignment(Mapping[str, Rule]):
    """Node name -> rule, for every linear layer of a network; prints as a table.

    Parameters
    ----------
    rows : tuple of (Place, Rule, str)
        The place of a layer, its rule, and the reason.
    composite : Composite or None
        The composite that assigned them, if it was one.
    """

    rows: tuple[tuple[Place, Rule, str], ...]
    composite: Composite | None = field(default=None, repr=False, compare=False)

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
        return aligned(table)


@dataclass(frozen=True)
class Composite:
    """A list of (selector, rule); the first match wins.

    Parameters
    ----------
    pairs : sequence of (selector, rule)
        See the module's docstring for the kinds of selector.
    name : str, default "Composite"
        The name in printed tables and error messages.
    split : {None, "half", "signal"}
        How the factors of every `Multiply` and `MatMul` share relevance; None for the `split` of each layer.
    mean : {None, "linear", "constant", "centred"}
        How the mean is treated in every norm of `layers.SampleNorm` that has one; None for the `mean` of each layer.

    Raises
    ------
    RuleError, ParameterError
        If a pair is not a selector and a rule, or a parameter is none of these.

    Examples
    --------
    >>> from lrpref import Network, Dense, ReLU, rules
    >>> net = Network.sequential(Dense([[1.0, 2.0]]), ReLU(), Dense([[3.0]]))
    >>> print(Composite([(-1, rules.Zero()), (Dense, rules.Epsilon(0.1))]).assign(net))
    node    layer  rule                  because
    dense1  Dense  epsilon(epsilon=0.1)  type Dense
    dense2  Dense  zero                  position -1
    """

    pairs: Sequence[tuple[Selector, Rule]]
    name: str = "Composite"
    split: str | None = None
    mean: str | None = None

    def __post_init__(self) -> None:
        check_choice(self.split, "Composite: split", (None, "half", "signal"))
        check_choice(self.mean, "Composite: mean", (None, "linear", "constant", "centred"))
        given: object = self.pairs
        if not isinstance(given, list | tuple):
            raise RuleError(f"a composite is a list of (selector, rule) pairs, got {shown(given)}")
        for pair in given:
            if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Rule)):
                raise RuleError(
                    f"a composite is a list of (selector, rule) pairs, got {shown(pair)}{_forgotten_call(pair)}"
                )
            selector: object = pair[0]
            types = isinstance(selector, tuple) and all(isinstance(kind, type) for kind in selector)
            position = isinstance(selector, int) and not isinstance(selector, bool)
            if not (isinstance(selector, str) or position or callable(selector) or types):
                raise RuleError(f"a selector must be a name, a type, a position or a function, got {shown(selector)}")
        object.__setattr__(self, "pairs", tuple(self.pairs))

    def read(self, net: Network) -> Network:
        """Return the network with the parameters `split` and `mean` of this composite in its products and norms.

        Parameters
        ----------
        net : Network
            Left untouched.

        Returns
        -------
        Network
            Computes the same outputs; only the relevance of these layers differs.

        Examples
        --------
        >>> from lrpref import Multiply
        >>> net = Network([("gated", Multiply(), ["input", "input"])])
        >>> Composite([], split="signal").read(net)["gated"]
        Multiply(split='signal', signal=0)
        """
        return net if self.split is None and self.mean is None else net.map_layers(self._reading)

    def _reading(self, layer: Layer) -> Layer:
        """The layer with this composite's `split` or `mean`."""
        if self.split is not None and isinstance(layer, Multiply | MatMul):
            return replace(layer, split=self.split)
        has_mean = isinstance(layer, SampleNorm) and "mean" in {f.name for f in fields(layer)}
        return replace(layer, **{"mean": self.mean}) if self.mean is not None and has_mean else layer

    def assign(self, net: Network) -> Assignment:
        """Assign a rule to every linear layer of `net`.

        Parameters
        ----------
        net : Network
            The network.

        Returns
        -------
        Assignment
            Node name -> rule; prints as a table.

        Raises
        ------
        RuleError
            If no selector matches a weighted layer, a selector names a node or a position that does not exist, or the
            bounds of a z-box are not used because the network has no first layer (see `EpsilonPlusFlat`).
        """
        net = self.read(net)
        found = list(places(net))
        names = {place.name for place in found}
        for selector, _ in self.pairs:
            if isinstance(selector, str) and not any(matches(selector, place, names) for place in found):
                raise RuleError(
                    f"no linear layer is called {selector!r}, and only linear layers take rules: {_names(found)}"
                )
            if isinstance(selector, int) and not -len(weighted := _weighted(found)) <= selector < len(weighted):
                valid = f"{-len(weighted)} to {len(weighted) - 1}" if weighted else "none"
                raise RuleError(f"there is no weighted layer at position {selector} (valid: {valid})")
        assigned = Assignment(tuple((place, *self._rule(place, names)) for place in found), self)
        self._require_boxes(net, found, list(assigned.values()))
        return assigned

    def _require_boxes(self, net: Network, found: Sequence[Place], used: Sequence[Rule]) -> None:
        """Raise RuleError for bounds that no layer uses because, for some input, no weighted layer reads it."""
        boxes = [rule for _, rule in self.pairs if isinstance(rule, ZBox)]
        if not boxes or not _weighted(found) or any(isinstance(rule, ZBox) for rule in used):
            return
        reached = _first_linear(net)
        covered: frozenset[str] = frozenset().union(*(reached[place.name] for place in found if place.first))
        for name in (name for name, sources in reached.items() if not sources <= covered):
            raise RuleError(
                f"{self.name}: no layer uses {boxes[0]}, because {name!r} ({type(net[name]).__name__}) "
                "comes before the first weighted layer. Apply that layer to the inputs and the bounds, and remove it "
                "with net.remove(...); or assign a box by the name of a layer, with bounds for that layer's input"
            )

    def _rule(self, place: Place, names: Collection[str]) -> tuple[Rule, str]:
        """The rule for one place, and why."""
        for selector, rule in self.pairs:
            if matches(selector, place, names):
                return rule, _because(selector)
        if isinstance(place.layer, WeightedLayer):
            raise RuleError(
                f"{self.name} has no rule for node {place.name!r} ({type(place.layer).__name__}); add the pair "
                f"({type(place.layer).__name__}, rules.Epsilon()), or derive a convolution from layers.Convolution"
            )
        return Epsilon(), "default for joins, pooling and diagonal layers"

    def __str__(self) -> str:
        reasons = [_because(selector) for selector, _ in self.pairs]
        width = max([22, *map(len, reasons)]) + 2
        lines = [f"  {why:{width}}{rule}" for why, (_, rule) in zip(reasons, self.pairs, strict=True)]
        return "\n".join([self.name, *lines])


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
    """Select the first layer, if it is a convolution."""
    return place.first and isinstance(place.layer, Convolution)


def diagonal_norms(place: Place) -> bool:
    """Select GroupNorm, InstanceNorm and LayerNorm whose mean is held constant, and RMSNorm: one input per unit."""
    return isinstance(place.layer, SampleNorm) and place.layer.diagonal


def joins_and_pooling(place: Place) -> bool:
    """Select every linear layer that is not a WeightedLayer: joins, sums, means, average pools, norms."""
    return not isinstance(place.layer, WeightedLayer)


JOINS: Mapping[str, Callable[[float], Rule]] = {
    "signed": Epsilon,
    "gamma": lambda stabilizer: Gamma(1, generalised=True, stabilizer=stabilizer),
    "magnitude": Absolute,
    "equal": Flat,
}
"""Names for the division of relevance between the branches of a join -> the rule, made with the given stabilizer.

"signed" divides in proportion to the branches, "gamma" likewise with the branches that have the sign of the sum counted
twice, "magnitude" in proportion to their magnitudes, and "equal" equally. docs/skips.md compares them.
"""


def _preset(name: str, convolution: Rule, epsilon: float, stabilizer: float, joins: str | Rule) -> Composite:
    """What zennit's presets share: a rule for convolutions and joins; epsilon for Dense and pooling; BatchNorm passes.

    Norms by the sample's own statistics pass too if each unit has one input; otherwise they take epsilon, like pooling.
    A weighted layer that is neither a Dense nor a Convolution matches none of these, so it is an error.
    """
    if not isinstance(joins, Rule):
        if not is_one_of(joins, JOINS):
            raise unknown("split at a join", joins, JOINS)
        joins = JOINS[joins](stabilizer)
    pairs: list[tuple[Selector, Rule]] = [(Convolution, convolution), (Dense, Epsilon(epsilon))]
    pairs += [((BatchNorm, Scale, Affine), Pass()), (diagonal_norms, Pass())]
    pairs += [((Add, Subtract), joins), (joins_and_pooling, Epsilon(stabilizer))]
    return Composite(pairs, name)


def _with_first(name: str, selector: Selector, rule: Rule, rest: Composite) -> Composite:
    """A preset with a rule of its own for the first layer."""
    return Composite([(selector, rule), *rest.pairs], name)


def EpsilonPlus(  # noqa: N802
    epsilon: float = 1e-6, stabilizer: float = 1e-6, joins: str | Rule = "signed"
) -> Composite:
    """z-plus on convolutions, epsilon on fully connected layers.

    Parameters
    ----------
    epsilon : float, default 1e-06
        Epsilon on fully connected layers.
    stabilizer : float, default 1e-06
        Added to the denominators of all other rules, with their sign.
    joins : {"signed", "gamma", "magnitude", "equal"} or Rule, default "signed"
        How Add and Subtract divide relevance between their branches: a name in `JOINS`, or a rule.

    Returns
    -------
    Composite
        The preset.
    """
    return _preset("EpsilonPlus", ZPlus(stabilizer), epsilon, stabilizer, joins)


def EpsilonPlusFlat(  # noqa: N802
    epsilon: float = 1e-6, stabilizer: float = 1e-6, joins: str | Rule = "signed"
) -> Composite:
    """EpsilonPlus, with the flat rule on the first layer.

    First layers are the weighted layers that are reached from the input through activations and routing layers only. If
    a BatchNorm or a Scale precedes them, there are none, and no layer uses the flat rule.

    Parameters
    ----------
    epsilon : float, default 1e-06
        Epsilon on fully connected layers.
    stabilizer : float, default 1e-06
        Added to the denominators of all other rules, with their sign.
    joins : {"signed", "gamma", "magnitude", "equal"} or Rule, default "signed"
        How Add and Subtract divide relevance between their branches: a name in `JOINS`, or a rule.

    Returns
    -------
    Composite
        The preset.
    """
    return _with_first("EpsilonPlusFlat", first, Flat(stabilizer), EpsilonPlus(epsilon, stabilizer, joins))


def EpsilonGammaBox(  # noqa: N802
    low: Any,
    high: Any,
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    stabilizer: float = 1e-6,
    joins: str | Rule = "signed",
) -> Composite:
    """Generalised gamma on convolutions, epsilon on fully connected layers, z-box on a first convolution.

    Parameters
    ----------
    low, high : float or array
        The bounds of the input, for `rules.ZBox`.
    epsilon : float, default 1e-06
        Epsilon on fully connected layers.
    gamma : float, default 0.25
        Gamma on convolutions.
    stabilizer : float, default 1e-06
        Added to the denominators of all other rules, with their sign.
    joins : {"signed", "gamma", "magnitude", "equal"} or Rule, default "signed"
        How Add and Subtract divide relevance between their branches: a name in `JOINS`, or a rule.

    Returns
    -------
    Composite
        The preset.
    """
    gamma_rule = Gamma(gamma, generalised=True, stabilizer=stabilizer)
    rest = _preset("EpsilonGamma", gamma_rule, epsilon, stabilizer, joins)
    return _with_first("EpsilonGammaBox", first_convolution, ZBox(low, high, stabilizer), rest)


def EpsilonAlpha2Beta1(  # noqa: N802
    epsilon: float = 1e-6, stabilizer: float = 1e-6, joins: str | Rule = "signed"
) -> Composite:
    """alpha-beta with alpha = 2, beta = 1 on convolutions, epsilon on fully connected layers.

    Parameters
    ----------
    epsilon : float, default 1e-06
        Epsilon on fully connected layers.
    stabilizer : float, default 1e-06
        Added to the denominators of all other rules, with their sign.
    joins : {"signed", "gamma", "magnitude", "equal"} or Rule, default "signed"
        How Add and Subtract divide relevance between their branches: a name in `JOINS`, or a rule.

    Returns
    -------
    Composite
        The preset.
    """
    return _preset("EpsilonAlpha2Beta1", AlphaBeta(2, 1, stabilizer=stabilizer), epsilon, stabilizer, joins)


def EpsilonAlpha2Beta1Flat(  # noqa: N802
    epsilon: float = 1e-6, stabilizer: float = 1e-6, joins: str | Rule = "signed"
) -> Composite:
    """EpsilonAlpha2Beta1, with the flat rule on the first layers (see `EpsilonPlusFlat`).

    Parameters
    ----------
    epsilon : float, default 1e-06
        Epsilon on fully connected layers.
    stabilizer : float, default 1e-06
        Added to the denominators of all other rules, with their sign.
    joins : {"signed", "gamma", "magnitude", "equal"} or Rule, default "signed"
        How Add and Subtract divide relevance between their branches: a name in `JOINS`, or a rule.

    Returns
    -------
    Composite
        The preset.
    """
    rest = EpsilonAlpha2Beta1(epsilon, stabilizer, joins)
    return _with_first("EpsilonAlpha2Beta1Flat", first, Flat(stabilizer), rest)


def Relative(reading: str = "rescaled", *, rescale: bool = True) -> Composite:  # noqa: N802
    """Relative LRP on all linear layers, a signed split at skip connections; BatchNorm must be fused first.

    Parameters
    ----------
    reading : {"rescaled", "bare", "unsigned", "no-divisor", "unit-norm"}
        The formula of the messages; see `rules.Relative`.
    rescale : bool, default True
        False is short for "bare".

    Returns
    -------
    Composite
        The composite.
    """
    return _relative(RelativeRule(reading, rescale=rescale))


def _relative(rule: RelativeRule) -> Composite:
    return Composite([(unfused, Zero()), ((Add, Subtract), Zero()), (LinearLayer, rule)], "Relative")


def AttnLRP(epsilon: float = 1e-6, gamma: float | None = None, mean: str | None = "linear") -> Composite:  # noqa: N802
    """AttnLRP, for transformers (Achtibat et al. 2024, arXiv 2402.05602).

    The factors of every product share relevance equally (prop. 3.2 and 3.3), Softmax is expanded (prop. 3.1),
    activations and RMSNorm pass relevance unchanged (eq. 9 and prop. 3.4), and all other layers use epsilon.

    Parameters
    ----------
    epsilon : float, default 1e-06
        Epsilon on every linear layer; on products it counts twice, as 2 epsilon beside 2 O.
    gamma : float, optional
        The generalised gamma rule on weighted layers, as in the paper's vision transformers; None for epsilon.
    mean : {"linear", "constant", "centred", None}, default "linear"
        How the mean of LayerNorm is treated. "linear": the deviation is constant, and the rest uses epsilon.
        "constant": relevance passes unchanged. None: as the `mean` of each layer says.

    Returns
    -------
    Composite
        The preset.
    """
    return _transformer("AttnLRP", epsilon, gamma, "half", mean)


def CPLRP(epsilon: float = 1e-6, gamma: float | None = None) -> Composite:  # noqa: N802
    """The conservative propagation of Ali et al. 2022 (arXiv 2202.07304), which AttnLRP calls CP-LRP.

    The weights of attention are constants, so the values receive all relevance, and queries and keys receive none. The
    deviation of LayerNorm is a constant, and its mean is centred. In every other product, too, one factor receives all
    relevance: the `signal` of the layer. All linear layers use epsilon; RMSNorm passes relevance unchanged.

    Parameters
    ----------
    epsilon : float, default 1e-06
        Epsilon on every linear layer.
    gamma : float, optional
        The generalised gamma rule on weighted layers; None for epsilon.

    Returns
    -------
    Composite
        The preset.
    """
    return _transformer("CPLRP", epsilon, gamma, "signal", "centred")


def _transformer(name: str, epsilon: float, gamma: float | None, split: str, mean: str | None) -> Composite:
    """What both have in common: gamma or epsilon on weighted layers, epsilon elsewhere; BatchNorm and RMSNorm pass."""
    weighted: Rule = Epsilon(epsilon) if gamma is None else Gamma(gamma, generalised=True, stabilizer=epsilon)
    pairs: list[tuple[Selector, Rule]] = [((Convolution, Dense), weighted), ((BatchNorm, Scale), Pass())]
    pairs += [(diagonal_norms, Pass()), (joins_and_pooling, Epsilon(epsilon))]
    return Composite(pairs, name, split, mean)


def unfused(place: Place) -> bool:
    """Raise RuleError for a BatchNorm; select nothing."""
    if isinstance(place.layer, BatchNorm):
        raise RuleError(
            f"Relative LRP needs BatchNorm folded away, but node {place.name!r} is a BatchNorm: use lrpref.fuse(net)"
        )
    return False


PRESETS: Mapping[str, Callable[..., Composite]] = {
    "epsilon-plus": EpsilonPlus,
    "epsilon-plus-flat": EpsilonPlusFlat,
    "epsilon-gamma-box": EpsilonGammaBox,
    "epsilon-alpha2-beta1": EpsilonAlpha2Beta1,
    "epsilon-alpha2-beta1-flat": EpsilonAlpha2Beta1Flat,
    "relative": Relative,
    "attn-lrp": AttnLRP,
    "cp-lrp": CPLRP,
}
"""The presets by the names under which `explain` and the command line know them."""


def resolve(rule: str | Rule | Composite) -> Composite:
    """Resolve a rule, a composite or a name to a composite.

    Parameters
    ----------
    rule : str, Rule or Composite
        A single `Zero` or `Epsilon` is applied to all linear layers, so that LRP-0 is gradient times input on a network
        of ReLUs (Shrikumar et al. 2016, arXiv 1605.01713). Any other single rule is applied to all weighted layers, and
        Epsilon(1e-6) to all other linear layers; `Relative` expands to `composites.Relative`. A name may carry
        parameters, as in "gamma(gamma=0.5)" or "epsilon-gamma-box(low=0, high=1)".

    Returns
    -------
    Composite
        The composite.

    Raises
    ------
    UnknownNameError
        If there is no rule or composite of that name.
    RuleError
        If `rule` is anything else.

    Examples
    --------
    >>> print(resolve("gamma(gamma=0.5)"))
    gamma(gamma=0.5)
      type WeightedLayer      gamma(gamma=0.5)
    """
    if isinstance(rule, str):
        rule = parse(rule)
    if isinstance(rule, Composite):
        return rule
    if isinstance(rule, RelativeRule):
        return _relative(rule)
    if isinstance(rule, Rule):
        return Composite([(LinearLayer if type(rule) in (Zero, Epsilon) else WeightedLayer, rule)], str(rule))
    raise RuleError(f"expected a rule, a composite or the name of one, got {shown(rule)}{_forgotten_call((rule,))}")


def _forgotten_call(given: Any) -> str:
    """A hint where a class was given in place of a rule."""
    parts = given if isinstance(given, tuple) else ()
    classes = [part for part in parts if isinstance(part, type) and issubclass(part, Rule)]
    return f"; did you mean {classes[0].__name__}()?" if classes else ""


def parse(text: str) -> Rule | Composite:
    """Return the rule or composite that `text` names: "name" or "name(key=value, ...)".

    Parameters
    ----------
    text : str
        A key of `RULES` or `PRESETS`, with parameters or without.

    Returns
    -------
    Rule or Composite
        As named.

    Raises
    ------
    UnknownNameError
        If there is no rule or composite of that name.
    RuleError
        If the parameters cannot be used.

    Examples
    --------
    >>> parse("alpha-beta(alpha=1, beta=0)")
    AlphaBeta(alpha=1, beta=0, bias='keep', empty='literal', stabilizer=0.0)
    """
    known: Mapping[str, Callable[..., Rule | Composite]] = {**RULES, **PRESETS}
    given: object = text
    if not isinstance(given, str):
        raise unknown("rule", given, known)
    name, _, _ = text.strip().partition("(")
    if name not in known:
        raise unknown_rule(name)
    taken = list(inspect.signature(known[name]).parameters)
    try:
        return known[name](**parameters(text, taken))
    except UNPARSABLE as error:
        if isinstance(error, LrprefError):
            raise
        hint = f"{name}(low=0, high=1)" if "low" in taken else f"{name}({taken[0]}=...)" if taken else name
        raise RuleError(f"{text!r} is not a valid rule: {error}; write it as {hint}") from error


OTHER_NAMES = {
    **dict.fromkeys(("0", "z", "zrule"), "zero"),
    **dict.fromkeys(("z+", "zplusrule"), "z-plus"),
    **dict.fromkeys(("w2", "wsquared"), "w-square"),
    **dict.fromkeys(("zb", "zbeta", "box"), "z-box"),
    **dict.fromkeys(("ab", "alpha1beta0", "alpha2beta1"), "alpha-beta"),
    "identity": "pass",
}
"""Names of rules in papers and other libraries -> names in lrpref; only letters, digits and +, without "LRP"."""

LETTERS = str.maketrans({"α": "alpha", "β": "beta", "γ": "gamma", "ε": "epsilon", "²": "2", "⁺": "+"})


def unknown_rule(name: str) -> UnknownNameError:
    """Return the error for an unknown rule or composite; it suggests the name that lrpref has for it.

    Examples
    --------
    >>> print(str(unknown_rule("LRP-0")).partition(" Known")[0])
    no rule is called 'LRP-0'; did you mean 'zero'?
    """
    known = [*RULES, *PRESETS]
    bare = re.sub(r"[^a-z0-9+]|lrp", "", name.lower().translate(LETTERS))
    names = {re.sub("[^a-z0-9]", "", each): each for each in known}
    return unknown("rule", name, known, OTHER_NAMES.get(bare) or names.get(bare))
