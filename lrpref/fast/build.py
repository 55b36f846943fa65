"""Which step computes which layer: decided once, from the graph, the rules and the weights, never from the input.

The nodes are taken from the explained output down, because what a step may leave out depends on how relevance
arrives at it: as R itself, or carried as a factor of the node's output (see `lrpref.fast.steps`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..backend import Array, array_namespace
from ..engine import Map, Rule, Term, identity, negative, one, positive
from ..layers import Add, Conv2D, Dense, Dropout, Flatten, GlobalAvgPool2D, Layer, MaxPool2D, ReLU
from ..layers.window import Window
from ..network import INPUT, Network, Node
from .algebra import OWN, Recipe, Share, nonnegative_nodes, ratio_bias, recipe, unitwise, way_of_terms
from .kernels import FEW_CHANNELS, ByRows, Direct, Kernel, Onward, Scatter, Stacked, StackedAdjoint
from .steps import Flat, Join, Largest, Mean, Plain, Products, Same, Step, Uniform, WeakApart, Weighted, WeightedByTerms
from .winograd import Winograd

CARRIED, EXPLICIT = "carried", "explicit"

WINOGRAD_CHANNELS = 64
"""Channels below which passes over the tiles cost more than the multiplications that they save."""

BY_ROWS = range(16, 64)
"""Channels where gathering takes as long as multiplying. Fewer make too thin a product of a kernel's row."""

SMALL_IMAGE = 14
"""Rows up to which tiles of four would hang over the border too far; tiles of two serve there."""

TINY_IMAGE = 7
"""Rows up to which reading the transformed weights takes longer than the multiplications that they save."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A step in its place.

    nodes    the nodes that it computes: a layer's, and that of the ReLU after it
    layer    the layer of the first of them
    inputs   the nodes that it reads
    step     what computes them
    arrives  the form in which relevance arrives at the last of `nodes`
    sends    the form in which it is sent to the inputs
    """

    nodes: tuple[str, ...]
    layer: Layer
    inputs: tuple[str, ...]
    step: Step
    arrives: str
    sends: str

    @property
    def output(self) -> str:
        """The node whose value the step returns."""
        return self.nodes[-1]


@dataclass(frozen=True)
class Situation:
    """What is known of a layer's surroundings.

    rule         its rule; None for layers that take none
    nonnegative  whether none of its inputs can be negative
    rectified    whether a ReLU alone follows, and is computed with it
    arrives      how relevance arrives at the output
    form         which form of a convolution was asked for
    rows         the rows of its input image; 0 where they are not known
    """

    rule: Rule | None
    nonnegative: bool
    rectified: bool
    arrives: str
    form: str
    rows: int

    @property
    def carried(self) -> bool:
        """Whether relevance arrives as a factor of the output."""
        return self.arrives == CARRIED


def build(
    net: Network, rules: Mapping[str, Rule], start: str, form: str, shape: tuple[int, ...] | None
) -> list[Placed]:
    """The steps that compute `start`, in the order of the network."""
    graph = Graph(net, start, shape)
    wanted: dict[str, list[str]] = {start: [EXPLICIT]}
    placed: list[Placed] = []
    done: set[str] = set()
    for node in reversed(net.nodes):
        if node.name in done or node.name not in wanted:
            continue
        arrives = CARRIED if set(wanted[node.name]) == {CARRIED} else EXPLICIT
        here = _with_relu(graph, rules, node, arrives, form) or _alone(graph, rules, node, arrives, form)
        placed.append(here)
        done.update(here.nodes)
        for read in here.inputs:
            wanted.setdefault(read, []).append(here.sends)
    return placed[::-1]


class Graph:
    """A network's nodes by name, who reads them, which can never be negative, and their shapes where known."""

    def __init__(self, net: Network, start: str, shape: tuple[int, ...] | None) -> None:
        self.start = start
        self.nodes = {node.name: node for node in net.nodes}
        self.readers: dict[str, list[str]] = defaultdict(list)
        for node in net.nodes:
            for read in node.inputs:
                self.readers[read].append(node.name)
        self.nonnegative = nonnegative_nodes(net.nodes)
        self.shapes = {} if shape is None else net.shapes((1, *shape))

    def situation(self, node: Node, rule: Rule | None, rectified: bool, arrives: str, form: str) -> Situation:
        """What is known of a node's surroundings."""
        shape = self.shapes.get(node.inputs[0], ())
        rows = shape[2] if len(shape) == 4 else 0
        return Situation(rule, self.nonnegative.issuperset(node.inputs), rectified, arrives, form, rows)


def _alone(graph: Graph, rules: Mapping[str, Rule], node: Node, arrives: str, form: str) -> Placed:
    """The step for one layer; its own plain code, which wants R itself, where there is no faster one."""
    rule = rules.get(node.name)
    made = make_step(node.layer, graph.situation(node, rule, False, arrives, form))
    if made is None:
        return Placed((node.name,), node.layer, node.inputs, Plain(node.layer, rule), EXPLICIT, EXPLICIT)
    return Placed((node.name,), node.layer, node.inputs, made[0], arrives, made[1])


def _with_relu(graph: Graph, rules: Mapping[str, Rule], relu: Node, arrives: str, form: str) -> Placed | None:
    """One step for a ReLU and the layer before it, if nobody else reads that layer and there is such a step."""
    if type(relu.layer) is not ReLU or relu.inputs[0] in (INPUT, graph.start):
        return None
    node = graph.nodes[relu.inputs[0]]
    if graph.readers[node.name] != [relu.name] or type(node.layer) not in (Dense, Conv2D, Add):
        return None
    made = make_step(node.layer, graph.situation(node, rules.get(node.name), True, arrives, form))
    return Placed((node.name, relu.name), node.layer, node.inputs, made[0], arrives, made[1]) if made else None


def arrivals(placed: Sequence[Placed]) -> dict[str, str]:
    """The form in which relevance arrives at every node: carried only where all who send it there carry it."""
    sent: dict[str, set[str]] = defaultdict(set)
    for step in placed:
        for read in step.inputs:
            sent[read].add(step.sends)
    found = {step.output: step.arrives for step in placed}
    return {**found, INPUT: CARRIED if sent[INPUT] == {CARRIED} else EXPLICIT}


# ---- the step for a layer --------------------------------------------------------------------------------------


def make_step(layer: Layer, situation: Situation) -> tuple[Step, str] | None:
    """The step for a layer and the form of the relevance that it sends; None where only its plain code will do.

    A subclass may compute anything: its own code it is.
    """
    rule = situation.rule
    if type(layer) is MaxPool2D and layer.ties == "first" and _cells(layer.window) <= MOST_TAPS:
        return Largest(layer), situation.arrives
    if type(layer) is Flatten:
        return Flat(layer), situation.arrives
    if type(layer) is Dropout:
        return Same(), situation.arrives
    if rule is None or not unitwise(rule):
        return None
    if type(layer) is Dense or (type(layer) is Conv2D and layer.groups == 1):
        return _weighted(layer, rule, situation)
    if type(layer) in (Add, GlobalAvgPool2D):
        return _unit_weights(layer, rule, situation)
    return None


MOST_TAPS = 256
"""As many cells as a byte can number."""


def _cells(window: Window) -> int:
    return window.kernel[0] * window.kernel[1]


def _unit_weights(layer: Layer, rule: Rule, situation: Situation) -> tuple[Step, str] | None:
    """Add and the global mean, where each input's relevance is a_i c with one c for all."""
    reduced = recipe(rule, np.ones(1), None, situation.nonnegative, situation.rectified, situation.carried)
    if reduced is None or reduced.terms != (OWN,):
        return None
    if isinstance(layer, Add):
        return Join(reduced, situation.rectified, situation.carried), CARRIED
    return Mean(reduced, situation.carried), CARRIED


def _weighted(layer: Dense | Conv2D, rule: Rule, situation: Situation) -> tuple[Step, str]:
    """Dense or Conv2D: relevance as a factor of the input where the rule allows it, else term by term."""
    w, b, rectified, carried = layer.weight, layer.bias, situation.rectified, situation.carried
    taps = isinstance(layer, Conv2D) and layer.bias_taps is not None
    reduced = None if taps else recipe(rule, w, b, situation.nonnegative, rectified, carried)
    if reduced is not None:
        form = situation.form if reduced.bounded or reduced.apart else "direct"
        step = _on_the_input(layer, reduced, form, situation)
        if reduced.bounded or step.form == "direct":
            return step, CARRIED
        return WeakApart(step, lambda: _on_the_input(layer, reduced, "direct", situation)), CARRIED
    ratios = rule.ratios()
    terms = [term for ratio in ratios for term in ratio.terms]
    if len(terms) == 1 and terms[0] == Term(one, one) and not taps:
        own = Products(_onward(layer, [w], "direct", 0), _back(layer, [w], "direct", 0))
        return Uniform(layer, rule, own, _count(layer), b, rectified, carried), EXPLICIT
    return _by_terms(layer, rule, rectified, carried), EXPLICIT


def _on_the_input(layer: Dense | Conv2D, reduced: Recipe, form: str, situation: Situation) -> Weighted:
    """The step for a rule whose terms are all on the input itself."""
    w, b = layer.weight, layer.bias
    onward = _onward(layer, [term.w(w) for term in reduced.terms], form, situation.rows)
    back = _back(layer, [reduced.terms[s.index].w(w) for s in reduced.shares], form, situation.rows)
    biases = tuple(None if b is None or term.b is None else term.b(b) for term in reduced.terms)
    rest = b if reduced.terms[reduced.output[0]].b is None else None
    products = Products(onward, back)
    return Weighted(layer, reduced, products, biases, rest, situation.rectified, situation.carried)


def _by_terms(layer: Dense | Conv2D, rule: Rule, rectified: bool, carried: bool) -> WeightedByTerms:
    """The step for a rule with terms on other maps of the input. Where its ratios add up to z, z needs no product."""
    w, b, ratios = layer.weight, layer.bias, rule.ratios()
    maps = maps_read([term for ratio in ratios for term in ratio.terms])
    own, sent = beside(w, own_terms(maps), maps), [beside(w, ratio.terms, maps) for ratio in ratios]
    biases = [ratio_bias(ratio, b) for ratio in ratios]
    xp = array_namespace(w)
    taps = isinstance(layer, Conv2D) and layer.bias_taps is not None  # then the bias differs from place to place
    whole = not taps and bool(xp.all(sum(sent[1:], start=sent[0]) == own)) and _add_up(biases, b)
    first = 0 if whole else 1
    ways = ["as it is" if taps else way_of_terms(rule, ratio.terms, w, b) for ratio in ratios]
    shares = tuple(Share(first + k, ratio.coefficient, ways[k]) for k, ratio in enumerate(ratios))
    reduced = Recipe((), tuple(range(len(ratios))) if whole else (0,), shares, rule, False, False)
    rows = sent if whole else [own, *sent]
    products = Products(_onward(layer, rows, "direct", 0), _back(layer, sent, "direct", 0))
    return WeightedByTerms(layer, reduced, maps, products, rectified, carried)


def _add_up(biases: Sequence[Array | None], b: Array | None) -> bool:
    """Whether the ratios' biases add up to the layer's own."""
    held = [bias for bias in biases if bias is not None]
    if b is None or not held:
        return b is None and not held
    return bool(array_namespace(b).all(sum(held[1:], start=held[0]) == b))


def maps_read(terms: Sequence[Term]) -> tuple[Map, ...]:
    """The maps of the input that the terms read, and those that z itself is made of."""
    maps = tuple(dict.fromkeys(term.a for term in terms))
    return maps if identity in maps or {positive, negative} <= set(maps) else (identity, *maps)


def own_terms(maps: Sequence[Map]) -> tuple[Term, ...]:
    """z = sum a w, or sum a+ w + sum a- w."""
    return (Term(),) if identity in maps else (Term(positive), Term(negative))


def beside(w: Array, terms: Sequence[Term], maps: Sequence[Map]) -> Array:
    """The weights of terms that are added, (O, M C, ...): for each of the M maps those of the terms that read it."""
    xp, blocks = array_namespace(w), []
    for m in maps:
        mine = [term.sign * term.w(w) for term in terms if term.a is m]
        blocks.append(sum(mine[1:], start=mine[0]) if mine else xp.zeros_like(w))
    return xp.concatenate(blocks, axis=1)


# ---- the kernels of a layer ------------------------------------------------------------------------------------


def _count(layer: Dense | Conv2D) -> Products | None:
    """A kernel of ones with one channel, which counts the cells of the image under a kernel."""
    if isinstance(layer, Dense):
        return None
    ones = array_namespace(layer.weight).ones((1, 1, *layer.window.kernel), dtype=layer.weight.dtype)
    return Products(_onward(layer, [ones], "direct", 0), _back(layer, [ones], "direct", 0))


def _onward(layer: Dense | Conv2D, weights: Sequence[Array], form: str, rows: int) -> Onward:
    """The products with `weights`."""
    if isinstance(layer, Dense):
        return Stacked(tuple(weights))
    return _convolution(weights, layer.window, form, rows)


def _back(layer: Dense | Conv2D, weights: Sequence[Array], form: str, rows: int) -> Kernel:
    """The sum of the adjoints of `weights`: where a kernel moves by one, a convolution with it turned round.

    To few channels that would be a product of few columns, which the BLAS does slowly.
    """
    if isinstance(layer, Dense):
        return StackedAdjoint(tuple(weights))
    xp, window = array_namespace(weights[0]), layer.window
    stacked = xp.concatenate(list(weights), axis=0)
    reach = [d * (k - 1) for k, d in zip(window.kernel, window.dilation, strict=True)]
    top, bottom, left, right = window.padding
    padding = (reach[0] - top, reach[0] - bottom, reach[1] - left, reach[1] - right)
    few = stacked.shape[1] < FEW_CHANNELS and window.kernel != (1, 1)
    if window.stride != (1, 1) or min(padding) < 0 or few:
        return Scatter.of(stacked, window)
    turned = xp.flip(xp.permute_dims(stacked, (1, 0, 2, 3)), axis=(2, 3))
    return _convolution([turned], replace(window, padding=padding), form, rows)


def _convolution(weights: Sequence[Array], window: Window, form: str, rows: int) -> Onward:
    """The kernel in the form that was asked for, where there is one of that form."""
    O, C = weights[0].shape[:2]
    m = _tile(window, form, rows, str(weights[0].dtype))
    if m and min(O, C) >= WINOGRAD_CHANNELS:
        return Winograd.of(weights, window, m)
    by_rows = C in BY_ROWS and window.kernel[0] > 1 and window.stride[0] == 1
    return (ByRows if by_rows else Direct).of(weights, window)


def _tile(window: Window, form: str, rows: int, dtype: str) -> int:
    """The side of Winograd's tiles: 2, 4, or 0 for none."""
    if window.kernel != (3, 3) or window.stride != (1, 1) or window.dilation != (1, 1):
        return 0
    if 0 < rows <= TINY_IMAGE and form in ("fast", "fastest"):
        return 0
    if form == "fastest":
        return 2 if 0 < rows <= SMALL_IMAGE else 4
    return {"winograd2": 2, "winograd4": 4, "fast": 2 if dtype == "float32" else 0}.get(form, 0)
