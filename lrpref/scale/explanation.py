"""`explain`: the relevance of any number of samples, in the requested form.

"plain" is the walk of `lrpref.walk`; every other form is a network prepared by `lrpref.fast`. Data sets larger than
memory are explained in blocks (`lrpref.scale.blocks`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._support.budget import Budget
from ..arithmetic import check_flag
from ..backend import numbers
from ..composites import Composite, resolve
from ..errors import ParameterError, is_one_of, unknown
from ..fast import FORMS, can_prepare, prepare
from ..layers import BatchNorm
from ..network import Network, called, check_network
from ..rules import Rule
from ..seeds import check, check_alone, of_outputs, per_output, start_at, starts_at
from ..signatures import Signature, node_text, of_explanation, seed_text
from ..walk import DEFAULT_RULE, trace
from .blocks import map_blocks


def explain(
    net: Network,
    x: Any,
    target: Any = None,
    rule: str | Rule | Composite = DEFAULT_RULE,
    seed: Any = "logit",
    node: str | None = None,
    batch_size: int | None = None,
    progress: bool | None = None,
    out: Any = None,
    form: str = "direct",
    budget: float | Budget | None = None,
) -> Any:
    """Return the relevance of each value of `x` for one output of a network.

    For a network of several inputs, `x` is a tuple of batches in the order of `net.inputs`, or a dict by their names,
    and relevance is returned in the same form. The relevance of all inputs together is conserved, and an input that the
    output does not depend on gets zeros.

    With `batch_size`, a data set is explained in blocks, so that it may be larger than memory: `x`, and a seed array,
    may then be any object that has a shape and returns an array for a slice, such as a `numpy.memmap`. Each block is
    moved to the network's backend, and its relevance back to that of `x`. Without it, `x` must be an array on the
    network's backend.

    A `RelevanceWarning` is issued if the output of a node or its relevance is not finite, or if the relevance and the
    recorded losses of a layer do not add up; it names the node and the samples. With form="plain", the sums of every
    layer are checked; otherwise only those of layers that are computed in the form "plain" even so, because the layer
    or its rule is your own (docs/own-rule.md says which).

    Parameters
    ----------
    net : Network
        The network.
    x : array, shape (N, ...), or tuple or dict of arrays
        A batch, cast to the network's number type; for several inputs, one batch for each, in order or by name.
    target : int, array of int with shape (N,), or None
        The output to explain: one index, or one per sample; None for the largest. Ignored if `seed` is an array. With
        one seed per output, a tuple or dict of these, or None.
    rule : str, Rule or Composite
        A composite, a rule, or the name of one ("epsilon-plus-flat", "epsilon", "z-plus", ...). A single `Zero`
        or `Epsilon` is applied to all linear layers; any other single rule to all weighted layers, and Epsilon(1e-6) to
        all other linear layers (Add, average pooling, BatchNorm, Scale).
    seed : str, float or array, default "logit"
        The relevance to start with: "logit" (the output's value), "one", "probability" (what the network's Softmax,
        LogSoftmax or Sigmoid gives for it; without one, its softmax), a number, or an array of relevance shaped like
        the output. For a network of several outputs, a tuple with one of these for each, or a dict by their names,
        starts from all of them at once; None starts with nothing at that output.
    node : str or None
        The node whose output is explained; None for the one that holds the logits (`Network.logits`). The last node of
        a network with a Softmax, LogSoftmax or Sigmoid at its end explains the probability itself, whose relevance
        passes to the logit unchanged.
    batch_size : int or None
        How many samples are explained at a time; None for all.
    progress : bool or None
        Whether to show a progress bar on stderr if this takes longer than two seconds; None for terminals only.
    out : array, path or None
        An array to write to, or the path of a .npy file, which is written atomically; None for a new array. For
        several inputs, a tuple or dict of these.
    form : str, default "direct"
        How relevance is computed. "plain" is the readable engine: the walk of `lrpref.trace`, for numbers of any kind.
        The other forms are those of the fast engine, for float32 and float64 on NumPy and CuPy; `lrpref.prepare` lists
        them. With "direct", the default, other dtypes and backends, and one seed per output, fall back to "plain". To
        explain many batches, prepare once: `lrpref.prepare(net, rule).explain(x)`.
    budget : float, Budget or None
        Seconds that the whole call may take, checked at every layer, forward and back, in every form. None: no limit
        for floating-point numbers, 600 seconds per block for exact ones.

    Returns
    -------
    array, shape (N, ...), or tuple or dict of arrays
        The relevance, shaped like `x`. If `out` is given, that array; for a path, the file as a read-only
        `numpy.memmap`.

    Raises
    ------
    ShapeError, InputError, DTypeError
        If `x` or `seed` does not fit the network. In blocks, values that are not finite are found when their block is
        reached; everything else is checked before anything is computed.
    TargetError
        If `target` is out of range.
    RuleError, UnknownNameError, ParameterError
        If the rule or the form is unknown, the rule does not fit the network, or a parameter is out of range.
    GraphError
        If there is no node called `node`.
    BudgetError
        If the budget is spent.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense, Network
    >>> net = Network.sequential(Dense([[2.0, -1.0], [0.0, 1.0]]))
    >>> explain(net, np.array([[3.0, 1.0]]), rule="zero")
    array([[ 6., -1.]])
    """
    check_network(net)
    if progress is not None:
        check_flag(progress, "progress")
    x = net.as_given({name: _shaped(part, called(net, name)) for name, part in net.by_name(x).items()}, like=x)
    if budget is not None and not isinstance(budget, Budget):
        budget = Budget(budget)  # one clock for all blocks
    if several := per_output(net, node, seed):
        seed, target = of_outputs(net, seed, "the seed"), of_outputs(net, target, "the target")
    work = _explainer(net, net.shape_of(x), rule, node, form, budget, several)
    if batch_size is None and out is None:
        return work(x, target, seed)
    if several:
        for name, start in starts_at(net, seed).items():
            check(start, net.shape_of(x), target[name], seed[name])
    else:
        check(start_at(net, node), net.shape_of(x), target, seed)
    return map_blocks(work, net, x, (target, seed), batch_size, out, progress)


def signature(
    net: Network,
    rule: str | Rule | Composite = DEFAULT_RULE,
    seed: Any = "logit",
    form: str = "direct",
    node: str | None = None,
    fused: bool = False,
) -> Signature:
    """Return the signature of the map that `explain` computes with these arguments: its conventions in one line.

    Parameters
    ----------
    net : Network
        The network that is explained.
    rule, seed, form, node
        As in `explain`.
    fused : bool, default False
        Whether BatchNorm was folded away before (`lrpref.fuse`), which a network does not record.

    Returns
    -------
    Signature
        Prints as one line; see docs/signature.md.

    Raises
    ------
    RuleError, UnknownNameError, ParameterError, InputError, GraphError
        As `explain` does; ParameterError also if `fused` is True although the network has BatchNorm layers.

    Examples
    --------
    >>> from lrpref import Dense, Network
    >>> net = Network.sequential(Dense([[2.0, -1.0]]))
    >>> print(signature(net, "gamma(gamma=0.5)", seed="one").rule)
    gamma(gamma=0.5)
    """
    check_network(net)
    check_flag(fused, "fused")
    if not is_one_of(form, ("plain", *FORMS)):
        raise unknown("form", form, ("plain", *FORMS))
    kept = [name for name, layer, _ in net.nodes if isinstance(layer, BatchNorm)]
    if fused and kept:
        raise ParameterError(f"the network is not fused: node {kept[0]!r} is a BatchNorm; give lrpref.fuse(net)")
    several = per_output(net, node, seed)
    if several:
        starts = starts_at(net, seed := of_outputs(net, seed, "the seed"))
        for name, start in starts.items():
            check_alone(start, seed[name])
    else:
        check_alone(start := start_at(net, node), seed)
    plain = form == "direct" and (several or not can_prepare(net))
    where = "" if several else node_text(start)
    return of_explanation(resolve(rule).assign(net), seed_text(seed), "plain" if plain else form, where, fused)


def _shaped(x: Any, what: str) -> Any:
    """Nested lists as an array; anything that has a shape as it is."""
    return x if hasattr(x, "shape") else numbers(x, what)


def _explainer(
    net: Network,
    shape: Any,
    rule: str | Rule | Composite,
    node: str | None,
    form: str,
    budget: Budget | None,
    several: bool,
) -> Callable[[Any, Any, Any], Any]:
    """The function from (x, target, seed) to relevance: the walk, or a network prepared once for all blocks.

    `several` is whether there is one seed per output.
    """

    def plain(x: Any, target: Any, seed: Any) -> Any:
        return trace(net, x, target, rule, seed, node, budget).relevance

    if not is_one_of(form, ("plain", *FORMS)):
        raise unknown("form", form, ("plain", *FORMS))
    rule = resolve(rule)
    if form == "plain" or (form == "direct" and (several or not can_prepare(net))):
        rule.assign(net)  # raises before any block is computed
        return plain
    if several:
        raise ParameterError(f"the form {form!r} starts at one output; with one seed per output use form='plain'")
    prepared = prepare(net, rule, form, node, _sample_shape(net, shape))

    def fast(x: Any, target: Any, seed: Any) -> Any:
        return prepared.explain(x, target, seed, budget)

    return fast


def _sample_shape(net: Network, shape: Any) -> Any:
    """The shape of one sample, if it tells how large an image is; else None."""
    shapes = net.by_name(shape, "shape")
    if not any(len(one) == 4 for one in shapes.values()) or not all(map(len, shapes.values())):
        return None
    return net.as_given({name: one[1:] for name, one in shapes.items()}, like=shape)
