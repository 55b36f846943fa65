"""`explain`: the relevance of any number of samples, by the form that was asked for.

"plain" is the walk of `lrpref.walk`; every other form is a network prepared by `lrpref.fast`. Data sets larger than
memory are explained in blocks (`lrpref.scale.blocks`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import layers as layer_types
from ..arithmetic import all_finite
from ..backend import Array
from ..composites import Assignment, Composite, resolve
from ..fast import can_prepare, prepare
from ..network import Network
from ..rules import RULES, Rule
from ..seeds import check
from ..walk import DEFAULT_RULE, trace
from .blocks import map_blocks


def explain(
    net: Network,
    x: Array,
    target: int | Array | None = None,
    rule: str | Rule | Composite = DEFAULT_RULE,
    seed: str | float | Array = "logit",
    node: str | None = None,
    batch_size: int | None = None,
    progress: bool | None = None,
    out: Any = None,
    form: str = "direct",
) -> Array:
    """The relevance of each value of `x` for one output of `net`: an array shaped like `x`.

    net     the network
    x       a batch (N, ...), cast to the network's number type
    target  which output: an index, one index per sample, or None for the largest
    rule    a composite, a rule, or the name of one ("epsilon-plus-flat", "epsilon", "z-plus", ...); a bare rule
            is for the weighted layers, joins and pools are then under Epsilon(1e-6)
    seed    the relevance to start with: "logit" (the output's value), "one", "probability" (its softmax), a
            number, or an array of relevance shaped like the output
    node    the node whose output is explained; None for the network's (before a final Softmax)

    form    how it is computed. "plain" reads as the papers do, keeps the books (see `trace`) and takes any numbers;
            the others are forms of the fast engine, for float32 and float64 on NumPy and CuPy (`lrpref.fast.prepare`
            lists them). "direct", the default, needs the least preparation and loses no digit; under it other numbers
            than those, and layers and rules of your own, are computed plainly, so that their books are checked. To
            explain many batches prepare once: `lrpref.prepare(net, rule).explain(x)`

    A data set that is larger than memory is explained in blocks. `x`, and a seed array, may then be anything that has
    a shape and gives an array for a slice, such as a `numpy.memmap`; each block goes to where the network lives, and
    its relevance to where `x` does:

    batch_size  how many samples are explained at a time; None for all
    progress    a bar on stderr where this takes longer than two seconds; None: if stderr is a terminal
    out         an array to write to, or the path of a .npy file, written whole or not at all, which is then returned
                as a read-only `numpy.memmap`

    Raises ShapeError, InputError, TargetError, RuleError, UnknownNameError before anything is computed; in blocks,
    a value that is not finite is found when its block is reached.

    >>> import numpy as np
    >>> from lrpref import Dense, Network
    >>> net = Network.sequential(Dense([[2.0, -1.0], [0.0, 1.0]]))
    >>> explain(net, np.array([[3.0, 1.0]]), rule="zero")
    array([[ 6., -1.]])
    """
    x = x if hasattr(x, "shape") else np.asarray(x)
    work = _explainer(net, tuple(x.shape), rule, node, form)
    if batch_size is None and out is None:
        return work(x, target, seed)
    check(net, tuple(x.shape), target, seed, node)
    return map_blocks(work, net, x, (target, seed), batch_size, out, progress)


def _explainer(
    net: Network, shape: tuple[int, ...], rule: str | Rule | Composite, node: str | None, form: str
) -> Callable[[Array, Any, Any], Array]:
    """What makes relevance of (x, target, seed): the plain walk, or a network prepared once for all blocks."""

    def plain(x: Array, target: Any, seed: Any) -> Array:
        return trace(net, x, target, rule, seed, node).relevance

    rules = resolve(rule).assign(net)
    if form == "plain" or (form == "direct" and not (can_prepare(net) and _all_ours(net, rules))):
        return plain
    prepared = prepare(net, rule, form, node, shape[1:] if len(shape) == 4 else None)

    def fast(x: Array, target: Any, seed: Any) -> Array:
        R = prepared.explain(x, target, seed)
        return R if all_finite(R) else plain(x, target, seed)  # which says at what node it went wrong

    return fast


def _all_ours(net: Network, rules: Assignment) -> bool:
    """Whether all layers and rules are lrpref's: the books of others are kept, and checked, at every explanation."""
    ours = [getattr(layer_types, type(layer).__name__, None) is type(layer) for _, layer, _ in net.nodes]
    return all(ours) and all(type(rule) in RULES.values() for rule in rules.values())
