"""Which step computes which layer: decided once, from the graph, the rules and the weights, never from the input.

The nodes are visited from the explained output down, because what a step may leave out depends on the form in which
relevance arrives at it: CARRIED or EXPLICIT (`lrpref.fast.steps.step`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from .. import layers
from ..arithmetic import quiet
from ..backend import Array, array_namespace
from ..engine import Rule, Term, one
from ..errors import ParameterError, at_node
from ..layers import (
    Add,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    Layer,
    MaxPool1D,
    MaxPool2D,
    ReLU,
    Scale,
)
from ..layers.window import Window
from ..network import Network, Node
from ..rules import RULES
from .algebra import (
    OWN,
    Denominator,
    Mapped,
    Recipe,
    Surroundings,
    bias_of,
    nonnegative_nodes,
    recipe,
    stabilizer_of,
    unitwise,
    weights_of_signs,
)
from .kernels import FEW_CHANNELS, Direct, Kernel, Scatter, turned
from .program import HEADROOM
from .steps import (
    CARRIED,
    EXPLICIT,
    AddStep,
    DropoutStep,
    FlatRuleStep,
    FlattenStep,
    GlobalAvgPoolStep,
    MaxPoolStep,
    PlainStep,
    SplitStep,
    Step,
    WeightedStep,
)
from .winograd import Winograd


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
        ours = _is_ours(node.layer, rule)
        step = PlainStep(_without_statistics(node) if ours else node, rule, checked=not ours)
        return PlacedStep((node.name,), node.layer, node.inputs, step, EXPLICIT, EXPLICIT)
    return PlacedStep((node.name,), node.layer, node.inputs, made[0], arrives, made[1])


def _without_statistics(node: Node) -> Node:
    """The same node, a BatchNorm's weight and bias computed once."""
    if type(node.layer) is not BatchNorm:
        return node
    try:
        with quiet():
            return node._replace(layer=Scale(*node.layer.scale_and_shift()))
    except ParameterError:  # they are not finite in the network's number type: the walk will name the node
        return node


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
    layer, rule, rank = of_images(node.layer), situation.rule, RANKS.get(type(node.layer), 4)
    if type(layer) is MaxPool2D and _is_simple(layer):
        return MaxPoolStep(layer), situation.arrives
    if type(layer) is Flatten:
        return FlattenStep(node.inputs[0]), situation.arrives
    if type(layer) is Dropout:
        return DropoutStep(), situation.arrives
    with at_node(node.name, layer):
        if rule is None or not unitwise(rule):
            return None
        if type(layer) is Dense or (type(layer) is Conv2D and layer.groups == 1):
            return _weighted(layer, rule, situation, rank)
        if type(layer) in (Add, GlobalAvgPool2D):
            return _unit_weights(layer, rule, situation)
    return None


RANKS: dict[type[Layer], int] = {Dense: 2, Conv1D: 3}
"""The axes of the input of weighted layers other than those of images."""


def of_images(layer: Layer) -> Layer:
    """The layer that computes the same on images with one row, for layers of signals; other layers as they are."""
    if type(layer) is Conv1D:
        taps = None if layer.bias_taps is None else layer.bias_taps[:, None, :]
        w, (stride, dilation) = layer.window, ((1, *layer.window.stride), (1, *layer.window.dilation))
        weight = layer.weight[:, :, None, :]
        return Conv2D(weight, layer.bias, stride, (0, 0, *w.padding), dilation, layer.groups, taps)
    if type(layer) is MaxPool1D:
        w = layer.window
        sizes, dilation = ((1, *w.kernel), (1, *w.stride), (0, 0, *w.padding)), (1, *w.dilation)
        return MaxPool2D(*sizes, layer.ties, dilation=dilation, ceil_mode=layer.ceil_mode)
    return GlobalAvgPool2D() if type(layer) is GlobalAvgPool1D else layer


MOST_TAPS = 256
"""As many cells as a byte can number."""


def _is_simple(layer: MaxPool2D) -> bool:
    """Whether `MaxPoolStep` computes a pool: the first maximum takes all, of whole windows without gaps."""
    window = layer.window
    whole = window.dilation == (1, 1) and not window.ceil_mode
    return layer.ties == "first" and whole and prod(window.kernel) <= MOST_TAPS


def _unit_weights(layer: Layer, rule: Rule, situation: Situation) -> tuple[Step, str] | None:
    """Add and GlobalAvgPool2D under a rule with R_i = a_i c; c differs between inputs in `SplitStep` only."""
    unit = Mapped(np.ones((1, 1)), None)
    if isinstance(layer, Add) and situation.at.rectified and situation.at.carried:
        weights, epsilon = weights_of_signs(rule), stabilizer_of(rule, unit.w)
        if weights is not None and epsilon > 0:
            return SplitStep(*weights, epsilon), CARRIED
    reduced = recipe(rule, unit, situation.at)
    if reduced.parts != ((OWN,),) or len(reduced.quotients) != 1:
        return None
    if isinstance(layer, Add):
        return AddStep(reduced, situation.at.rectified, situation.at.carried), CARRIED
    return GlobalAvgPoolStep(reduced, situation.at.carried), CARRIED


def _weighted(layer: Dense | Conv2D, rule: Rule, situation: Situation, rank: int) -> tuple[Step, str] | None:
    """Dense or Conv2D: relevance as a factor of the input where the rule allows it."""
    at, w, window = situation.at, _channels_last(layer.weight), _window(layer)
    varies = isinstance(layer, Conv2D) and layer.bias_taps is not None
    b = None if varies else layer.parameters()[1]
    if b is not None and not _is_moderate(b):
        return None
    if [ratio.terms for ratio in rule.ratios()] == [(Term(one, one),)] and not varies:
        return _flat(layer, rule, _as_kernel(w), at), EXPLICIT
    mapped = Mapped(w, b)
    reduced = recipe(rule, mapped, replace(at, bias_varies=varies))
    weights = [_as_kernel(mapped.weights_of(terms, reduced.maps)) for terms in reduced.parts]
    form = situation.form if reduced.bounded and not varies else "direct"
    kernels = _kernels(reduced, weights, window, form, situation.rows)
    lifted = frozenset(_lifted(reduced) if kernels[0].form == "direct" and not varies else ())
    parts = enumerate(reduced.parts)
    biases = None if varies else tuple(_bias(bias_of(terms, b), reduced, part in lifted) for part, terms in parts)
    gain = None if isinstance(layer, Dense) else _gain(weights)
    step = WeightedStep(layer, reduced, *kernels, biases, lifted, at.rectified, at.carried, at.nonnegative, gain, rank)
    return step, CARRIED if reduced.on_input else EXPLICIT


def _flat(layer: Dense | Conv2D, rule: Rule, w: Array, at: Surroundings) -> FlatRuleStep:
    """The step for the flat rule: a product forward, and a kernel of ones with one channel back."""
    window = _window(layer)
    ones = array_namespace(w).ones((1, 1, *window.kernel), dtype=w.dtype)
    own, back = Direct.of([w], window), Scatter.of(ones, window)
    return FlatRuleStep(layer, rule, own, back, layer.bias, at.rectified, at.carried, _gain([w]))


def _channels_last(w: Array) -> Array:
    """The same weight, with the channels of a kernel's tap next to each other in memory."""
    xp = array_namespace(w)
    return w if w.ndim == 2 else xp.permute_dims(xp.ascontiguousarray(xp.permute_dims(w, (0, 2, 3, 1))), (0, 3, 1, 2))


def _as_kernel(w: Array) -> Array:
    """A weight as that of a convolution, (O, C, rows, columns)."""
    return w[:, :, None, None] if w.ndim == 2 else w


ONE_CELL = Window((1, 1), (1, 1), (0, 0, 0, 0), (1, 1))
"""The window of a fully connected layer, which is a convolution of images of one cell."""


def _window(layer: Dense | Conv2D) -> Window:
    return ONE_CELL if isinstance(layer, Dense) else layer.window


def _lifted(reduced: Recipe) -> Iterator[int]:
    """The parts to whose bias epsilon is added: denominators that are certain to be >= 0, and not part of z."""
    for part in range(len(reduced.parts)):
        certain = {quotient.denominator for quotient in reduced.quotients if quotient.part == part}
        above_zero = certain and certain <= {Denominator.SUM_ABOVE_OUTPUT, Denominator.NONNEGATIVE}
        if above_zero and part not in reduced.output:
            yield part


def _bias(b: Array | None, reduced: Recipe, lifted: bool) -> Array | float | None:
    """The bias of a part, one number for each channel, with epsilon if it is lifted."""
    if b is not None:
        b = array_namespace(b).reshape(b, (-1,))
    if not lifted:
        return b
    return reduced.epsilon if b is None else b + reduced.epsilon


def _gain(weights: Sequence[Array]) -> float:
    """At least the largest sum of magnitudes of one unit's weights: sum |w_ij| <= sqrt(n sum w_ij^2) for n weights."""
    xp = array_namespace(weights[0])
    rows = [xp.permute_dims(w, (0, 2, 3, 1)).reshape((w.shape[0], -1)) for w in weights]
    with quiet():
        squares = [float(xp.max(xp.einsum("ij,ij->i", w, w))) for w in rows]
    return max((w.shape[1] * square) ** 0.5 for w, square in zip(rows, squares, strict=True))


def _is_moderate(b: Array) -> bool:
    """Whether adding a bias to a sum that is far from overflowing cannot overflow."""
    xp = array_namespace(b)
    return bool(xp.max(abs(b)) < xp.finfo(b.dtype).max / HEADROOM)


# ---- the kernels of a layer ------------------------------------------------------------------------------------


def _kernels(
    reduced: Recipe, weights: Sequence[Array], window: Window, form: str, rows: int
) -> tuple[Kernel, Kernel, Kernel]:
    """The products of every part, those whose sum is z, and the summed adjoint of the quotients' parts."""
    first, last = reduced.quotients[0].part, reduced.quotients[-1].part
    if form == "winograd" and Winograd.suits(weights[0], window, rows):
        products = Winograd.of(weights, window)
        outputs = products.part(slice(reduced.output[0], reduced.output[-1] + 1))
        return products, outputs, products.turned(slice(first, last + 1))
    direct = Direct.of(weights, window)
    output = Direct(tuple(direct.matrices[part] for part in reduced.output), window)
    return direct, output, _adjoint(weights[first : last + 1], window)


def _adjoint(weights: Sequence[Array], window: Window) -> Kernel:
    """The sum of the adjoints of `weights`: for a kernel of stride one, a convolution with the flipped kernel.

    With few input channels that would be a product of few columns, which is slow in BLAS.
    """
    xp = array_namespace(weights[0])
    top, bottom, left, right = window.padding
    high, wide = (extent - 1 for extent in window.extent)
    padding = (high - top, high - bottom, wide - left, wide - right)
    few = weights[0].shape[1] < FEW_CHANNELS and window.kernel != (1, 1)
    if window.stride != (1, 1) or min(padding) < 0 or few:
        return Scatter.of(xp.concatenate(list(weights), axis=0), window)
    return Direct((turned(weights),), replace(window, padding=padding))
