"""`explain`: the relevance of any number of samples, in the requested form.

"plain" is the walk of `lrpref.walk`; every other form is a network prepared by `lrpref.fast`. Data sets larger than
memory are explained in blocks (`lrpref.scale.blocks`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._support.budget import Budget
from ..arithmetic import check_flag
from ..backend import Array, numbers
from ..composites import Composite, resolve
from ..errors import is_one_of, unknown
from ..fast import FORMS, can_prepare, prepare
from ..network import Network, check_network
from ..rules import Rule
from ..seeds import check, start_at
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
    budget: float | Budget | None = None,
) -> Array:
    """Return the relevance of each value of `x` for one output of a network.

    With `batch_size`, a data set is explained in blocks, so that it may be larger than memory: `x`, and a seed array,
    may then be any object that has a shape and returns an array for a slice, such as a `numpy.memmap`. Each block is
    moved to the network's backend, and its relevance back to that of `x`. Without it, `x` must be an array on the
    network's backend.

    A `RelevanceWarning` is issued if the output of a node or relevance is not finite, or if the ledger of a layer does
    not close; it names the node and the samples. With form="plain" every layer is checked, otherwise only layers of
    your own, and rules of your own with steps of their own or with ratios that redistribute more or less than R.

    Parameters
    ----------
    net : Network
        The network.
    x : array, shape (N, ...)
        A batch, cast to the network's number type.
    target : int, array of int with shape (N,), or None
        The output to explain: one index, or one per sample; None for the largest. Ignored if `seed` is an array.
    rule : str, Rule or Composite
        A composite, a rule, or the name of one ("epsilon-plus-flat", "epsilon", "z-plus", ...). A single `Zero`
        or `Epsilon` is applied to all linear layers; any other single rule to all weighted layers, and Epsilon(1e-6) to
        all other linear layers (Add, average pooling, BatchNorm, Scale).
    seed : str, float or array, default "logit"
        The relevance to start with: "logit" (the output's value), "one", "probability" (what the network's Softmax,
        LogSoftmax or Sigmoid gives for it; without one, its softmax), a number, or an array of relevance shaped like
        the output.
    node : str or None
        The node whose output is explained; None for the one that holds the logits (`Network.logits`). The last node of
        a network with a Softmax, LogSoftmax or Sigmoid at its end explains the probability itself, whose relevance
        passes to the logit unchanged.
    batch_size : int or None
        How many samples are explained at a time; None for all.
    progress : bool or None
        Whether to show a progress bar on stderr if this takes longer than two seconds; None for terminals only.
    out : array, path or None
        An array to write to, or the path of a .npy file, which is written atomically; None for a new array.
    form : str, default "direct"
        How relevance is computed. "plain" is the readable engine: the walk of `lrpref.trace`, for numbers of any kind.
        The other forms are those of the fast engine, for float32 and float64 on NumPy and CuPy; `lrpref.prepare` lists
        them. With "direct", the default, other dtypes and backends fall back to "plain". To explain many batches,
        prepare once: `lrpref.prepare(net, rule).explain(x)`.
    budget : float, Budget or None
        Seconds that the whole call may take, checked at every layer, forward and back, in every form. None: no limit
        for floating-point numbers, 600 seconds per block for exact ones.

    Returns
    -------
    array, shape (N, ...)
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
    x = x if hasattr(x, "shape") else numbers(x, "the input")
    if budget is not None and not isinstance(budget, Budget):
        budget = Budget(budget)  # one clock for all blocks
    work = _explainer(net, tuple(x.shape), rule, node, form, budget)
    if batch_size is None and out is None:
        return work(x, target, seed)
    check(start_at(net, node), tuple(x.shape), target, seed)
    return map_blocks(work, net, x, (target, seed), batch_size, out, progress)


def _explainer(
    net: Network,
    shape: tuple[int, ...],
    rule: str | Rule | Composite,
    node: str | None,
    form: str,
    budget: Budget | None,
) -> Callable[[Array, Any, Any], Array]:
    """The function from (x, target, seed) to relevance: the walk, or a network prepared once for all blocks."""

    def plain(x: Array, target: Any, seed: Any) -> Array:
        return trace(net, x, target, rule, seed, node, budget).relevance

    if not is_one_of(form, ("plain", *FORMS)):
        raise unknown("form", form, ("plain", *FORMS))
    resolve(rule).assign(net)  # raises before any block is computed
    if form == "plain" or (form == "direct" and not can_prepare(net)):
        return plain
    prepared = prepare(net, rule, form, node, shape[1:] if len(shape) == 4 else None)

    def fast(x: Array, target: Any, seed: Any) -> Array:
        return prepared.explain(x, target, seed, budget)

    return fast
