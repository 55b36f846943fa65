"""Where an explanation starts: at which node, at which of its outputs, and with how much relevance.

It starts at one node, or, in a network of several outputs, at all of them at once, each with a seed of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from .arithmetic import (
    all_finite,
    as_floating,
    check_in_range,
    converted,
    full,
    is_number,
    ones_like,
    zeros_like,
)
from .backend import Array, array_namespace, numbers, to_numpy
from .errors import InputError, RuleError, ShapeError, TargetError, is_one_of, shown
from .layers import Elementwise, Head, Layer, Sigmoid, Softmax
from .layers.base import Shape
from .network import Network, check_network


@dataclass(frozen=True, eq=False)
class PassedHead(Elementwise):
    """A Softmax or LogSoftmax whose own output is explained: its relevance passes to the logit of the same class.

    Parameters
    ----------
    head : Head
        The layer that this one computes.
    """

    head: Head

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the head's output."""
        return self.head.output_shape(*shapes)

    def forward(self, *inputs: Array) -> Array:
        """The head's output."""
        return self.head.forward(*inputs)


@dataclass(frozen=True)
class Start:
    """Where an explanation starts.

    Parameters
    ----------
    net : Network
        The network that is explained; without its head if the logits are explained.
    node : str
        The node whose output is explained.
    head : Layer or None
        The function that turns this output into probabilities; None for outputs that are not logits.
    is_head : bool
        Whether this output is that of the head itself.
    """

    net: Network
    node: str
    head: Layer | None = None
    is_head: bool = False

    def probabilities(self, output: Array) -> Array:
        """Return what the seed "probability" starts with: the head's own output, or a softmax over all values."""
        if self.is_head:
            raise InputError(f'node {self.node!r} is the head of the network; its own output is the seed "logit"')
        return Softmax().forward(flat(output)) if self.head is None else self.head.forward(output)


def start_at(net: Network, node: str | None) -> Start:
    """Return where an explanation starts: at the output of `node`, or at the logits (`Network.logits`) for None."""
    check_network(net)
    if node is None:
        _check_layers(net, net.output)
        part = net.without_head()
        return Start(part, part.output, net.head)
    is_head = is_one_of(node, net.outputs) and net.up_to(node).head is not None
    if is_head and isinstance(head := net[node], Head):
        net = net.replace(node, PassedHead(head))
    return Start(net, net.node(node).name, is_head=is_head)


def _check_layers(net: Network, output: str) -> None:
    """Raise RuleError if an output is that of a Softmax or LogSoftmax of an input."""
    if isinstance(net[output], Head) and net.node(output).inputs[0] in net.inputs:
        raise RuleError(f"the network consists of a {type(net[output]).__name__} only, so there is no layer to explain")


# ---- several outputs ---------------------------------------------------------------------------------------------


def per_output(net: Network, node: str | None, seed: object) -> bool:
    """Whether the seed is a tuple or dict with one seed for each of several outputs."""
    check_network(net)
    return node is None and len(net.outputs) > 1 and isinstance(seed, tuple | list | Mapping)


def of_outputs(net: Network, given: Any, what: str) -> dict[str, Any]:
    """Return what was given for each output, a tuple in their order or a dict by their names, by name; None for None.

    Outputs that a dict leaves out have None. Raises InputError, which says `what` was given.
    """
    if given is None:
        return dict.fromkeys(net.outputs)
    if isinstance(given, Mapping):
        if strange := [name for name in given if not is_one_of(name, net.outputs)]:
            raise InputError(f"{what} names {shown(strange[0])}, which is not an output: {', '.join(net.outputs)}")
        return {name: given.get(name) for name in net.outputs}
    if not isinstance(given, tuple | list) or len(given) != len(net.outputs):
        raise InputError(
            f"{what} must be a tuple with one entry for each output, {', '.join(net.outputs)}, or a dict with these "
            f"names as keys; got {shown(given)}"
        )
    return dict(zip(net.outputs, given, strict=True))


def starts_at(net: Network, seeds: Mapping[str, Any]) -> dict[str, Start]:
    """Return where an explanation of several outputs at once starts, for each output that has a seed.

    An output of a Softmax, LogSoftmax or Sigmoid is explained from its logits, as in a network of one output.
    """
    if not any(seed is not None for seed in seeds.values()):
        raise InputError(f"at least one output needs a seed; {', '.join(seeds)} all have None")
    found = {}
    for output in (output for output, seed in seeds.items() if seed is not None):
        _check_layers(net, output)
        head = net.up_to(output).head
        if head is not None and isinstance(net[output], Head | Sigmoid):
            found[output] = Start(net, net.node(output).inputs[0], head)
        else:
            found[output] = Start(net, output, is_head=head is not None)
    return found


# ---- how much relevance ------------------------------------------------------------------------------------------


def check(start: Start, shape: Any, target: int | Array | None, seed: str | float | Array) -> None:
    """Raise what the functions below would raise for an input of this shape, from shapes alone.

    Examples
    --------
    >>> from lrpref import Dense
    >>> start = start_at(Network.sequential(Dense([[2.0, -1.0]])), node=None)
    >>> check(start, (100, 2), target=1, seed="logit")
    Traceback (most recent call last):
    ...
    lrpref.errors.TargetError: target 1 is out of range for 1 output (valid: 0)
    """
    check_at(start, start.net.shapes(shape)[start.node], target, seed)


def check_at(start: Start, logits: Shape, target: int | Array | None, seed: str | float | Array) -> None:
    """Do the same for an explained output of this shape."""
    if not isinstance(seed, str | Real):
        known: Any = seed if hasattr(seed, "shape") else numbers(seed, "the seed")  # values of a data set come later
        _check_seed(tuple(known.shape), logits)
        return
    seed_relevance(start, np.zeros((0, *logits[1:])), np.zeros(0, dtype=np.int64), seed)
    if target is not None:
        _indices(target, logits)


def check_alone(start: Start, seed: str | float | Array) -> None:
    """Raise what can be known to be wrong with a seed without an input."""
    if isinstance(seed, str | Real):
        seed_relevance(start, np.zeros((0, 1)), np.zeros(0, dtype=np.int64), seed)
        return
    array: Any = as_floating(seed, "the seed")
    seed_relevance(start, array, None, array)


def target_index(logits: Array, target: int | Array | None, seed: str | float | Array) -> Array | None:
    """Return the index of the explained output, one per sample, as integers (N,); None if the seed is an array.

    Raises TargetError for anything that is not the index of an output.
    """
    if not isinstance(seed, str | Real):
        return None
    xp = array_namespace(logits)
    if target is None:
        return xp.argmax(flat(logits), axis=1)
    return xp.asarray(_indices(target, tuple(logits.shape)))


def _indices(target: int | Array, shape: Shape) -> np.ndarray:
    """The index of the explained output for each sample, for logits of this shape."""
    N, outputs = shape[0], int(np.prod(shape[1:]))
    index = to_numpy(target)
    if index.dtype.kind not in "iu" or index.ndim > 1:
        raise TargetError(f"target must be an index, or one index per sample, got {shown(target)}")
    if index.ndim == 1 and index.shape[0] != N:
        raise TargetError(f"expected one target per sample ({_counted(N, 'sample')}), got {index.shape[0]}")
    if index.size and (index.min() < 0 or index.max() >= outputs):
        valid = "0" if outputs == 1 else f"0 to {outputs - 1}"
        raise TargetError(f"target {shown(target)} is out of range for {_counted(outputs, 'output')} (valid: {valid})")
    return np.broadcast_to(index, (N,)).astype(np.int64)


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def seed_relevance(start: Start, logits: Array, target: Array | None, seed: str | float | Array) -> Array:
    """Return the relevance at the explained output, shaped like `logits`, which are the values of that output.

    Raises ShapeError for a seed array of another shape, InputError for an unknown name or a seed that is not finite.
    """
    xp = array_namespace(logits)
    given: Any = seed
    if target is None:
        array = as_floating(given, "the seed")
        _check_seed(tuple(array.shape), tuple(logits.shape))
        if not all_finite(array):
            raise InputError("the seed holds NaN or infinities")
        check_in_range(R := converted(array, like=logits), "the seed")
        return xp.astype(R, R.dtype) if R is given else R  # the caller's array is not part of the result
    if given == "logit":
        values = logits
    elif given == "one":
        values = ones_like(logits)
    elif given == "probability":
        values = start.probabilities(logits)
    elif isinstance(given, str | bool):
        raise InputError(f'seed must be "logit", "one", "probability", a number or an array, got {given!r}')
    elif not is_number(given):
        raise InputError(f"the seed holds NaN or infinities, or is too large: {shown(given)}")
    else:
        values = full(logits.shape, given, like=logits)
    values = flat(values)
    chosen = xp.arange(values.shape[1])[None, :] == target[:, None]
    return xp.reshape(xp.where(chosen, values, zeros_like(values)), logits.shape)


def flat(values: Array) -> Array:
    """Return one row per sample."""
    return array_namespace(values).reshape(values, (values.shape[0], int(np.prod(values.shape[1:]))))


def _check_seed(shape: Shape, logits: Shape) -> None:
    """Raise ShapeError unless a seed array is shaped like the output that is explained."""
    if shape != logits:
        raise ShapeError(f"the seed must be shaped like the explained output, {logits}, got {shape}")
