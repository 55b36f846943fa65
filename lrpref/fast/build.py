"""Which step computes which layer: decided once, from the graph, the rules and the weights, never from the input.

The nodes are visited from the explained output down, because what a step may leave out depends on the form in which
relevance arrives at it: CARRIED or EXPLICIT (`lrpref.fast.steps.step`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from .. import layers
from ..backend import Array, array_namespace
from ..engine import Rule, Term, one
from ..errors import at_node
from ..layers import Add, Conv1D, Conv2D, Dense, Dropout, Flatten, GlobalAvgPool2D, Layer, MaxPool2D, ReLU
from ..layers.window import Window
from ..network import Network, Node
from ..rules import RULES
from .algebra import OWN, Recipe, Surroundings, bias_of, nonnegative_nodes, recipe, unitwise, weights_of
from .kernels import FEW_CHANNELS, Direct, ForwardKernel, Kernel, Scatter, Stacked, StackedAdjoint
from .steps import (
    CARRIED,
    EXPLICIT,
    AddStep,
    DropoutStep,
    FlatRuleStep,
    FlattenStep,
    GlobalAvgPoolStep,
    MaxPoolStep,
    NearlyEmptyStep,
    OneRowStep,
    PlainStep,
    Products,
    Step,
    WeightedStep,
    of_one_row,
)
from .winograd import Winograd

WINOGRAD_CHANNELS = 64
"""Channels below which passes over the tiles cost more than the multiplications that they save."""

SMALL_IMAGE = 14
"""Rows up to which tiles of four would reach too far over the border; tiles of two are used there."""

TINY_IMAGE = 7
"""Rows up to which reading the transformed weights takes longer than the multiplications that they save."""


@dataclass(frozen=True, eq=False)
class PlacedStep:
    """A step and its place in the network.

    Parameters
    ----------
    nodes : tuple of str
        The nodes that it computes: a layer's, and that of the ReLU after it.
    layer : Layer
        The layer of the first of them.
    inputs : tuple of str
        The nodes that it reads.
    step : Step
        What computes them.
    arrives : str
        The form, CARRIED or EXPLICIT, in which relevance arrives at the last of `nodes`.
    sends : str
        The form in which it is sent to the inputs.
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
    """Everything that decides about a layer's step.

    Parameters
    ----------
    rule : Rule or None
        The layer's rule; None for layers that take none.
    at : Surroundings
        What is certain of its inputs and of the relevance that arrives.
    form : str
        The requested form of convolutions.
    rows : int
        The rows of its input image; 0 where they are unknown.
    """

    rule: Rule | None
    at: Surroundings
    form: str
    rows: int

    @property
    def arrives(self) -> str:
        """The form in which relevance arrives."""
        return CARRIED if self.at.carried else EXPLICIT


def build(
    net: Network, rules: Mapping[str, Rule], start: str, form: str, shapes: Mapping[str, tuple[int, ...]]
) -> list[PlacedStep]:
    """The steps that compute `start`, in the order of the network; `shapes` holds those that are known, by name."""
    graph = Graph(net, start, shapes)
    wanted: dict[str, list[str]] = {start: [EXPLICIT]}
    placed: list[PlacedStep] = []
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
    """A network's nodes by name, their readers, which of them are never negative, and their shapes where known."""

    def __init__(self, net: Network, start: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.start = start
        self.nodes = {node.name: node for node in net.nodes}
        self.readers: dict[str, list[str]] = defaultdict(list)
        for node in net.nodes:
            for read in node.inputs:
                self.readers[read].append(node.name)
        self.nonnegative = nonnegative_nodes(net.nodes)
        self.shapes = shapes

    def situation(self, node: Node, rule: Rule | None, rectified: bool, arrives: str, form: str) -> Situation:
        """The situation of a node."""
        shape = self.shapes.get(node.inputs[0], ())
        at = Surroundings(self.nonnegative.issuperset(node.inputs), rectified, arrives == CARRIED)
        return Situation(rule, at, form, shape[2] if len(shape) == 4 else 0)


def _alone(graph: Graph, rules: Mapping[str, Rule], node: Node, arrives: str, form: str) -> PlacedStep:
    """The step for one layer; its own plain code, which takes R itself, where there is no faster one."""
    rule = rules.get(node.name)
    made = _make_step(node, graph.situation(node, rule, False, arrives, form))
    if made is None:
        step = PlainStep(node, rule, checked=not _is_ours(node.layer, rule))
        return PlacedStep((node.name,), node.layer, node.inputs, step, EXPLICIT, EXPLICIT)
    return PlacedStep((node.name,), node.layer, node.inputs, made[0], arrives, made[1])


def _is_ours(layer: Layer, rule: Rule | None) -> bool:
    """Whether a layer and its rule are exactly lrpref's; a subclass is not."""
    return type(layer) in vars(layers).values() and (rule is None or type(rule) in RULES.values())


def _with_relu(graph: Graph, rules: Mapping[str, Rule], relu: Node, arrives: str, form: str) -> PlacedStep | None:
    """One step for a ReLU and the layer before it, if no other node reads that layer and there is such a step."""
    if type(relu.layer) is not ReLU or relu.inputs[0] == graph.start or relu.inputs[0] not in graph.nodes:
        return None
    node = graph.nodes[relu.inputs[0]]
    if graph.readers[node.name] != [relu.name] or type(node.layer) not in (Dense, Conv1D, Conv2D, Add):
        return None
    made = _make_step(node, graph.situation(node, rules.get(node.name), True, arrives, form))
    return PlacedStep((node.name, relu.name), node.layer, node.inputs, made[0], arrives, made[1]) if made else None


def arrivals(placed: Sequence[PlacedStep]) -> dict[str, str]:
    """The form in which relevance arrives at every node and input: CARRIED only if all steps that send it carry it."""
    sent: dict[str, set[str]] = defaultdict(set)
    for step in placed:
        for read in step.inputs:
            sent[read].add(step.sends)
    found = {read: CARRIED if forms == {CARRIED} else EXPLICIT for read, forms in sent.items()}
    return {**found, **{step.output: step.arrives for step in placed}}


# ---- the step for a layer --------------------------------------------------------------------------------------


def _make_step(node: Node, situation: Situation) -> tuple[Step, str] | None:
    """The step for a layer and the form of the relevance that it sends; None where only its plain code will do.

    Types are compared exactly: a subclass may compute anything, so its own code is used. So is a rule's whose steps
    are not lrpref's.
    """
    layer, rule = node.layer, situation.rule
    if (flat := of_one_row(layer)) is not None:
        made = _make_step(node._replace(layer=flat), situation)
        return made and (OneRowStep(made[0]), made[1])
    if type(layer) is MaxPool2D and _is_simple(layer):
        return MaxPoolStep(layer), situation.arrives
    if type(layer) is Flatten:
        return FlattenStep(layer), situation.arrives
    if type(layer) is Dropout:
        return DropoutStep(), situation.arrives
    with at_node(node.name, layer):
        if rule is None or not unitwise(rule):
            return None
        if type(layer) is Dense or (type(layer) is Conv2D and layer.groups == 1):
            return _weighted(layer, rule, situation)
        if type(layer) in (Add, GlobalAvgPool2D):
            return _unit_weights(layer, rule, situation)
    return None


MOST_TAPS = 256
"""As many cells as a byte can number."""


def _is_simple(layer: MaxPool2D) -> bool:
    """Whether `MaxPoolStep` computes a pool: the first maximum takes all, of whole windows without gaps."""
    window = layer.window
    whole = window.dilation == (1, 1) and not window.ceil_mode
    return layer.ties == "first" and whole and prod(window.kernel) <= MOST_TAPS


def _unit_weights(layer: Layer, rule: Rule, situation: Situation) -> tuple[Step, str] | None:
    """Add and GlobalAvgPool2D under a rule with R_i = a_i c, c being the same for all inputs; None for other rules."""
    reduced = recipe(rule, np.ones((1, 1)), None, situation.at)
    if reduced.parts != ((OWN,),) or len(reduced.quotients) != 1:
        return None
    if isinstance(layer, Add):
        return AddStep(reduced, situation.at.rectified, situation.at.carried), CARRIED
    return GlobalAvgPoolStep(reduced, situation.at.carried), CARRIED


def _weighted(layer: Dense | Conv2D, rule: Rule, situation: Situation) -> tuple[Step, str]:
    """Dense or Conv2D: relevance as a factor of the input where the rule allows it."""
    w, b, at = layer.weight, layer.bias, situation.at
    varies = isinstance(layer, Conv2D) and layer.bias_taps is not None
    if [ratio.terms for ratio in rule.ratios()] == [(Term(one, one),)] and not varies:
        own, count = _forward_kernel(layer, [w], "direct", 0), _count(layer)
        gain = _gain([w])
        return FlatRuleStep(layer, rule, own, count, b, at.rectified, at.carried, gain), EXPLICIT
    reduced = recipe(rule, w, b, replace(at, bias_varies=varies))
    precise = varies or not (reduced.bounded or reduced.separable)
    step = _weighted_step(layer, reduced, "direct" if precise else situation.form, situation)
    sends = CARRIED if reduced.on_input else EXPLICIT
    if reduced.bounded or step.form == step.products.back.form == "direct":
        return step, sends
    return NearlyEmptyStep(step, lambda: _weighted_step(layer, reduced, "direct", situation)), sends


def _weighted_step(layer: Dense | Conv2D, reduced: Recipe, form: str, situation: Situation) -> WeightedStep:
    """The step for a rule made of terms."""
    weights = [weights_of(terms, reduced.maps, layer.weight) for terms in reduced.parts]
    forward = _forward_kernel(layer, weights, form, situation.rows)
    back = _back_kernel(layer, [weights[quotient.part] for quotient in reduced.quotients], form, situation.rows)
    varies = isinstance(layer, Conv2D) and layer.bias_taps is not None
    biases = None if varies else tuple(_bias(layer, terms) for terms in reduced.parts)
    at, gain = situation.at, _gain(weights)
    return WeightedStep(layer, reduced, Products(forward, back), biases, at.rectified, at.carried, gain)


def _gain(weights: Sequence[Array]) -> float:
    """The largest sum of magnitudes of one unit's weights."""
    xp = array_namespace(weights[0])
    sums = [xp.max(xp.sum(xp.abs(w), axis=tuple(range(1, w.ndim)))) for w in weights]
    return max(map(float, sums))


def _bias(layer: Dense | Conv2D, terms: Sequence[Term]) -> Array | None:
    """The bias of a sum of terms, (O,); maps see the layer's bias in the shape in which the walk gives it to them."""
    _, b = layer.parameters()
    mapped = bias_of(terms, b)
    return None if mapped is None else array_namespace(mapped).reshape(mapped, (-1,))


# ---- the kernels of a layer ------------------------------------------------------------------------------------


def _count(layer: Dense | Conv2D) -> Products | None:
    """A kernel of ones with one channel, which counts the cells of the image under a kernel; None for Dense."""
    if isinstance(layer, Dense):
        return None
    ones = array_namespace(layer.weight).ones((1, 1, *layer.window.kernel), dtype=layer.weight.dtype)
    return Products(_forward_kernel(layer, [ones], "direct", 0), _back_kernel(layer, [ones], "direct", 0))


def _forward_kernel(layer: Dense | Conv2D, weights: Sequence[Array], form: str, rows: int) -> ForwardKernel:
    """The products with `weights`."""
    if isinstance(layer, Dense):
        return Stacked(tuple(weights))
    return _convolution(weights, layer.window, form, rows)


def _back_kernel(layer: Dense | Conv2D, weights: Sequence[Array], form: str, rows: int) -> Kernel:
    """The sum of the adjoints of `weights`: for a kernel of stride one, a convolution with the kernel flipped.

    With few input channels that would be a product of few columns, which is slow in BLAS.
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
    flipped = xp.flip(xp.permute_dims(stacked, (1, 0, 2, 3)), axis=(2, 3))
    return _convolution([flipped], replace(window, padding=padding), form, rows)


def _convolution(weights: Sequence[Array], window: Window, form: str, rows: int) -> ForwardKernel:
    """The kernel in the requested form, or "direct" where that form does not apply."""
    O, C = weights[0].shape[:2]
    m = _tile(window, form, rows, str(weights[0].dtype))
    if m and min(O, C) >= WINOGRAD_CHANNELS:
        return Winograd.of(weights, window, m)
    return Direct.of(weights, window)


def _tile(window: Window, form: str, rows: int, dtype: str) -> int:
    """The side of Winograd's tiles: 2, 4, or 0 for none."""
    if window.kernel != (3, 3) or window.stride != (1, 1) or window.dilation != (1, 1):
        return 0
    if 0 < rows <= TINY_IMAGE and form in ("winograd", "fastest"):
        return 0
    if form == "fastest":
        return 2 if 0 < rows <= SMALL_IMAGE else 4
    return {"winograd2": 2, "winograd4": 4, "winograd": 2 if dtype == "float32" else 0}.get(form, 0)
