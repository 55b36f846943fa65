"""The laws of relevance, as functions that can be called on a layer, a rule, or a whole explainer.

Each law states an equation and its source. A call raises `LawBroken`, an AssertionError, if the equation does not
hold; `law.pairs(...)` yields the two sides of the equation instead, which is what the conformance suite uses.

The subject of a law is a *callable*: `explain(x, R)` returns the relevance of the input `x` given the relevance `R` of
the output, `explain(net, x)` the relevance of the input of a network. A layer with several inputs takes and returns
tuples. A rule of lrpref, your own function, and a library behind an adapter are therefore all checked the same way:

    check_linear_in_R(lambda x, R: layer.relevance(x, R, rule), x, R)

Exact numbers (fractions, see `lrpref.exact`) must be equal. Floats may differ by `tolerance`, which is absolute: a
number, an array, or, for several inputs, a list with one entry per input. The default, None, allows half of the digits
of the number type, relative to the largest value on the right-hand side (or to 1 if that is larger).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, Protocol, cast

import numpy as np

from ..backend import Array, as_tuple, is_array, sum_per_sample, to_numpy
from ..fusion import fuse
from ..network import Network
from ..oracle import messages

P = ParamSpec("P")
Explain = Callable[..., Any]
"""explain(x, R) or explain(net, x): relevance, shaped like x."""


class LawBroken(AssertionError):  # noqa: N818
    """An equation that does not hold.

    Parameters
    ----------
    message : str
        The law, its equation, and the two sides.
    law : str, optional
        The name of the law, as in `LAWS`.
    pair : Pair, optional
        The two sides that differ.
    """

    def __init__(self, message: str, law: str = "", pair: Pair | None = None) -> None:
        super().__init__(message)
        self.law, self.pair = law, pair


@dataclass(frozen=True, eq=False)
class Pair:
    """Two arrays that must agree.

    Parameters
    ----------
    what : str
        What is compared; with `condition`, the statement that must be true.
    got, expected : array
        The value found and the value required.
    allowed : float or array, default 0
        The largest absolute difference.
    condition : bool, default False
        True if `what` is a statement and the arrays hold its truth value (1 for true).
    """

    what: str
    got: Any
    expected: Any
    allowed: Any = 0
    condition: bool = False

    @property
    def agrees(self) -> bool:
        """Whether both sides agree. Different shapes never do, and neither does a NaN on either side."""
        got, expected = (_numbers(v) for v in (self.got, self.expected))
        if got.shape != expected.shape:
            return False
        with np.errstate(all="ignore"):
            return bool(np.all((got == expected) | (abs(got - expected) <= self.allowed)))

    def __str__(self) -> str:
        if self.condition:
            return f"expected: {self.what}"
        got, expected = brief(self.got), brief(self.expected)
        if got == expected:  # they differ in later digits
            got, expected = brief(self.got, 17), brief(self.expected, 17)
        return f"{self.what}: got {got}, expected {expected}"


def _numbers(value: Any) -> np.ndarray:
    """Return a value as a NumPy array; masks as 0 and 1, which can be subtracted."""
    array = np.asarray(to_numpy(value) if is_array(value) else value)
    return array.astype(np.int8) if array.dtype == bool else array


def near(what: str, got: Any, expected: Any, tolerance: Any = 0.0) -> Pair:
    """Return a pair that must agree up to `tolerance` * (1 + |expected|)."""
    array = np.asarray(expected)
    return Pair(what, got, expected, 0 if array.dtype == object else tolerance * (1 + abs(array)))


def holds(what: str, condition: object) -> Pair:
    """Return a condition as a pair: 1 for true."""
    return Pair(what, np.asarray(float(bool(condition))), np.asarray(1.0), condition=True)


def brief(value: Any, digits: int = 6) -> str:
    """Return an array as text on one line: fractions without their type, a long array abbreviated."""
    array = _numbers(value)
    if array.size == 0:
        return f"no values, shape {array.shape}"
    text = str if array.dtype == object else lambda v: f"{v + 0:.{digits}g}"  # + 0: no minus zero
    return np.array2string(array, separator=", ", threshold=40, formatter={"all": text}).replace("\n", "")


# ---- a law is a generator of pairs, and a function that raises ---------------------------------------------------


class Law(Protocol[P]):
    """A law: a call raises `LawBroken` if the equation does not hold, `pairs` yields the two sides of the equation."""

    __name__: str
    __doc__: str | None
    pairs: Callable[P, Iterator[Pair]]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Raise LawBroken if the equation does not hold."""


def law(pairs: Callable[P, Iterator[Pair]]) -> Law[P]:
    """Turn a function that yields pairs into a law."""

    @wraps(pairs)
    def check(*args: P.args, **kwargs: P.kwargs) -> None:
        for pair in pairs(*args, **kwargs):
            if not pair.agrees:
                raise LawBroken(f"{check.__name__}: {statement(check)}\n    {pair}", check.__name__, pair)

    check.pairs = pairs  # type: ignore[attr-defined]
    check.__signature__ = inspect.signature(pairs).replace(return_annotation=None)  # type: ignore[attr-defined]
    return cast(Law[P], check)


def statement(check: Any) -> str:
    """Return the first line of a law's docstring, which states the law in words."""
    return (check.__doc__ or "").strip().partition("\n")[0]


def _allowed(expected: Any, tolerance: Any) -> Any:
    """Return the absolute difference that is allowed from the expected floats."""
    if tolerance is not None:
        return tolerance
    array = np.asarray(to_numpy(expected))
    if array.dtype == object or array.dtype.kind not in "f" or not array.size:
        return 0
    largest = abs(array[np.isfinite(array)]).max(initial=0)
    return float(np.finfo(array.dtype).eps) ** 0.5 * max(1.0, float(largest))


def _each(what: str, got: Any, expected: Any, tolerance: Any = None) -> Iterator[Pair]:
    """Yield a pair for each array of two tuples, or for two arrays."""
    left, right = as_tuple(got), as_tuple(expected)
    yield holds(f"{len(right)} arrays for {what}, got {len(left)}", len(left) == len(right))
    limits = tolerance if isinstance(tolerance, list | tuple) else [tolerance] * len(right)
    for k, (one, other, limit) in enumerate(zip(left, right, limits, strict=True)):
        yield Pair(f"{what}, input {k + 1}" if len(right) > 1 else what, one, other, _allowed(other, limit))


def _listed(shapes: list[tuple[int, ...]]) -> str:
    """Return shapes as text."""
    return ", ".join(map(str, shapes))


def _combined(numbers: tuple[Any, ...], *of: Any) -> Any:
    """Return a linear combination of arrays, or of tuples of arrays element by element."""
    parts = [as_tuple(x) for x in of]
    found = [sum(c * x for c, x in zip(numbers, xs, strict=True)) for xs in zip(*parts, strict=True)]
    return tuple(found) if isinstance(of[0], tuple) else found[0]


# ---- laws of explain(x, R) ---------------------------------------------------------------------------------------


@law
def check_conservation(explain: Explain, x: Any, R: Array, lost: Any = 0, *, tolerance: Any = None) -> Iterator[Pair]:
    """Relevance is conserved: sum_i R_i + lost = sum_j R_j, per sample.

    Parameters
    ----------
    explain : callable
        explain(x, R) returns the relevance of `x`.
    x : array or tuple of arrays, shape (N, ...)
        The input.
    R : array, shape (N, ...)
        The relevance of the output.
    lost : array, shape (N,), default 0
        The relevance taken by biases, a stabilizer and zero denominators (the columns of lrpref's ledger).
    tolerance : float or array, optional
        The absolute difference allowed; see the module.

    Raises
    ------
    LawBroken
        If the two sides differ.

    References
    ----------
    Bach et al. 2015, PLoS ONE 10(7):e0130140, eq. 2, with the losses written out.

    Examples
    --------
    >>> from lrpref import Dense, rules
    >>> layer, x, R = Dense([[2.0, -1.0]], [1.0]), np.array([[1.0, 1.0]]), np.array([[1.0]])
    >>> explain = lambda x, R: layer.relevance(x, R, rules.Zero())
    >>> check_conservation(explain, x, R, lost=0.5)
    >>> check_conservation(explain, x, R)
    Traceback (most recent call last):
        ...
    lrpref.testing.laws.LawBroken: check_conservation: Relevance is conserved: sum_i R_i + lost = sum_j R_j, per sample.
        sum over the inputs plus what was lost: got [0.5], expected [1]
    """
    total = sum(sum_per_sample(R_i) for R_i in as_tuple(explain(x, R)))
    sent = sum_per_sample(R)
    yield Pair("sum over the inputs plus what was lost", total + lost, sent, _allowed(sent, tolerance))


@law
def check_linear_in_R(  # noqa: N802
    explain: Explain, x: Any, R: Array, S: Array | None = None, *, tolerance: Any = None
) -> Iterator[Pair]:
    """Relevance is linear in the relevance of the output: R_i(3 R + S) = 3 R_i(R) + R_i(S).

    Every message of Bach et al. is a fraction of R_j that does not depend on R_j.

    Parameters
    ----------
    explain : callable
        explain(x, R) returns the relevance of `x`.
    x : array or tuple of arrays, shape (N, ...)
        The input.
    R : array, shape (N, ...)
        The relevance of the output.
    S : array, shape (N, ...), optional
        A second relevance of the output; ones if None.
    tolerance : float or array, optional
        The absolute difference allowed; see the module.

    Raises
    ------
    LawBroken
        If the two sides differ.

    References
    ----------
    Bach et al. 2015, PLoS ONE 10(7):e0130140, eqs. 56 to 60.
    """
    S = 0 * R + 1 if S is None else S
    apart = _combined((3, 1), explain(x, R), explain(x, S))
    yield from _each("relevance of 3 R + S", explain(x, 3 * R + S), apart, tolerance)


@law
def check_batch_independence(explain: Explain, *arrays: Any, tolerance: Any = None) -> Iterator[Pair]:
    """A sample does not depend on its batch: R(batch)[n] = R(sample n).

    Bach et al. 2015 define relevance for a single input; a batch is only a way to compute several (innvestigate#91).

    Parameters
    ----------
    explain : callable
        explain(x) or explain(x, R) returns relevance.
    *arrays : array or tuple of arrays, shape (N, ...)
        The arguments of `explain`.
    tolerance : float or array, optional
        The absolute difference allowed; see the module.

    Raises
    ------
    LawBroken
        If a sample of the batch differs from the sample alone.
    """
    together, size = explain(*arrays), len(as_tuple(arrays[0])[0])
    for n in range(size):
        alone = explain(*(_sample(a, n) for a in arrays))
        limit = tolerance if tolerance is None or np.isscalar(tolerance) else _sample(tolerance, n)
        yield from _each(f"sample {n + 1} of {size}, in its batch against alone", _sample(together, n), alone, limit)


def _sample(x: Any, n: int) -> Any:
    """Return sample n of an array, or of a tuple or list of arrays, as a batch of one."""
    return type(x)(part[n : n + 1] for part in x) if isinstance(x, tuple | list) else x[n : n + 1]


@law
def check_scale_covariance(
    explain: Explain, scaled: Explain, *arrays: Any, factor: Any = 1, tolerance: Any = None
) -> Iterator[Pair]:
    """The scale of the weights does not matter: with weights and biases times c > 0, R_i' = R_i for the same R_j.

    This follows from a_i c w_ij / (c z_j) = a_i w_ij / z_j. It holds for rules without a stabilizer, which has the unit
    of z.

    Parameters
    ----------
    explain : callable
        explain(x) or explain(x, R) returns relevance.
    scaled : callable
        The same function for the layer or network whose weights and biases are multiplied by c.
    *arrays : array or tuple of arrays, shape (N, ...)
        The arguments of both functions.
    factor : float, default 1
        The factor between the two relevances at the output: c if `scaled` starts from the logit of a network whose last
        layer is multiplied by c.
    tolerance : float or array, optional
        The absolute difference allowed; see the module.

    Raises
    ------
    LawBroken
        If the two sides differ.

    References
    ----------
    Bach et al. 2015, PLoS ONE 10(7):e0130140, eq. 56.
    """
    expected = _combined((factor,), explain(*arrays))
    yield from _each("relevance after scaling the weights", scaled(*arrays), expected, tolerance)


@law
def check_no_mutation(
    explain: Explain, *arrays: Any, watched: Mapping[str, Array] | None = None, between: Explain | None = None
) -> Iterator[Pair]:
    """A call has no side effects: its arguments are unchanged, and a second call equals the first.

    An explanation is a function of its arguments (captum PRs #911 and #1035 fixed state that was left on a model).

    Parameters
    ----------
    explain : callable
        explain(x) or explain(x, R) returns relevance.
    *arrays : array or tuple of arrays, shape (N, ...)
        The arguments of `explain`.
    watched : mapping of str to array, optional
        More arrays that must not change, such as weights, by name.
    between : callable, optional
        Another function that is called with the same arguments between the two calls. Its exceptions are ignored.

    Raises
    ------
    LawBroken
        If an array has changed, or the two calls differ.
    """
    given = {f"argument {k + 1}": a for k, a in enumerate(part for x in arrays for part in as_tuple(x)) if is_array(a)}
    kept = {name: np.array(to_numpy(a)) for name, a in (given | dict(watched or {})).items()}
    first = tuple(np.array(to_numpy(R)) for R in as_tuple(explain(*arrays)))
    if between is not None:
        with suppress(Exception):
            between(*arrays)
    second = tuple(to_numpy(R) for R in as_tuple(explain(*arrays)))
    yield from _each("a second call against the first", second, first, 0)
    for name, before in kept.items():
        yield Pair(f"{name}, afterwards", to_numpy((given | dict(watched or {}))[name]), before)


@law
def check_finite(explain: Explain, *arrays: Any) -> Iterator[Pair]:
    """Relevance is finite if its arguments are: a zero denominator sends no relevance on.

    No paper defines what a zero denominator sends, but it must not be NaN (lrp_toolbox#19).

    Parameters
    ----------
    explain : callable
        explain(x) or explain(x, R) returns relevance.
    *arrays : array or tuple of arrays, shape (N, ...)
        The arguments of `explain`.

    Raises
    ------
    LawBroken
        If a value is NaN or infinite.
    """
    for R in map(to_numpy, as_tuple(explain(*arrays))):
        finite = np.ones(R.shape) if R.dtype == object else np.isfinite(R).astype(float)
        yield Pair("values that are finite", finite, np.ones(R.shape))


@law
def check_shape(explain: Explain, x: Any, *more: Any) -> Iterator[Pair]:
    """Relevance is shaped like the input: an array for an array, a tuple for a tuple.

    A value of relevance belongs to one value of the input (Bach et al. 2015: "pixel-wise").

    Parameters
    ----------
    explain : callable
        explain(x) or explain(x, R) returns the relevance of `x`.
    x : array or tuple of arrays, shape (N, ...)
        The input.
    *more : array
        Further arguments of `explain`, such as R.

    Raises
    ------
    LawBroken
        If the shapes differ.
    """
    found = explain(x, *more)
    kind, other = ("a tuple", "an array") if isinstance(x, tuple) else ("an array", "a tuple")
    yield holds(
        f"{kind} of relevance for {kind} of inputs, got {other}", isinstance(found, tuple) == isinstance(x, tuple)
    )
    got, wanted = ([tuple(a.shape) for a in as_tuple(each)] for each in (found, x))
    yield holds(f"relevance shaped like the input, {_listed(wanted)}, got {_listed(got)}", got == wanted)


@law
def check_number_type(explain: Explain, x: Any, *more: Any) -> Iterator[Pair]:
    """Relevance has the number type of the input: no float among fractions, no float64 from float32.

    A Python float turns fractions into floats; `lrpref.arithmetic.constant(value, like=x)` has the number type of x.

    Parameters
    ----------
    explain : callable
        explain(x) or explain(x, R) returns the relevance of `x`.
    x : array or tuple of arrays, shape (N, ...)
        The input.
    *more : array
        Further arguments of `explain`, such as R.

    Raises
    ------
    LawBroken
        If the number types differ.
    """
    for R, a in zip(map(to_numpy, as_tuple(explain(x, *more))), map(to_numpy, as_tuple(x)), strict=True):
        yield holds(f"relevance of the input's type, {a.dtype}, got {R.dtype}", R.dtype == a.dtype)
        kinds = {type(v) for v in a.flat} | {int}
        strange = {type(v).__name__ for v in R.flat if a.dtype == object and type(v) not in kinds}
        yield holds(f"exact numbers throughout, got {', '.join(sorted(strange))}", not strange)


@law
def check_oracle(explain: Explain, layer: Any, x: Any, R: Array, rule: Any, *, tolerance: Any = None) -> Iterator[Pair]:
    """Relevance is the sum of the messages: R_i = sum_j R[i<-j], as the rule's paper prints them.

    The messages are those of `lrpref.messages`: the rule's equation on the layer's explicit matrix.

    Parameters
    ----------
    explain : callable
        explain(x, R) returns the relevance of `x`.
    layer : Layer
        The layer of lrpref that `explain` propagates through.
    x : array or tuple of arrays, shape (N, ...)
        The input.
    R : array, shape (N, ...)
        The relevance of the output.
    rule : Rule
        The rule of lrpref that `explain` claims to compute.
    tolerance : float or array, optional
        The absolute difference allowed; see the module.

    Raises
    ------
    LawBroken
        If the two sides differ.

    References
    ----------
    Bach et al. 2015, PLoS ONE 10(7):e0130140, eq. 8.
    """
    sent = messages(layer, x, R, rule)
    summed = [
        m.sum(axis=tuple(range(to_numpy(a).ndim, m.ndim))) for m, a in zip(as_tuple(sent), as_tuple(x), strict=True)
    ]
    yield from _each("relevance", explain(x, R), tuple(summed) if isinstance(x, tuple) else summed[0], tolerance)


# ---- laws of layers ----------------------------------------------------------------------------------------------


@law
def check_adjoint(linear: Explain, adjoint: Explain, x: Any, s: Array, *, tolerance: Any = None) -> Iterator[Pair]:
    """The backward pass is the transpose: <W x, s> = <x, W^T s>.

    Steps 1 and 3 of Montavon et al. use the same matrix.

    Parameters
    ----------
    linear : callable
        x -> W x, without the bias; several inputs are several arguments.
    adjoint : callable
        s -> W^T s: an array, or a tuple with one array per input.
    x : array or tuple of arrays, shape (N, ...)
        The input.
    s : array, shape (N, ...)
        Any array shaped like W x.
    tolerance : float, optional
        The absolute difference allowed; see the module.

    Raises
    ------
    LawBroken
        If the two sides differ.

    References
    ----------
    Montavon et al. 2019, LNCS 11700, sec. 10.2.2: the third step is the transpose of the first.

    Examples
    --------
    >>> W = np.array([[1.0, 2.0]])
    >>> check_adjoint(lambda x: x @ W.T, lambda s: s @ W, np.array([[3.0, 4.0]]), np.array([[5.0]]))
    """
    up, down = to_numpy(linear(*as_tuple(x))), [to_numpy(c) for c in as_tuple(adjoint(s))]
    got, wanted = [c.shape for c in down], [to_numpy(a).shape for a in as_tuple(x)]
    yield holds(f"W^T s shaped like the input, {_listed(wanted)}, got {_listed(got)}", got == wanted)
    yield holds(f"W x shaped like s, {tuple(s.shape)}, got {up.shape}", up.shape == tuple(s.shape))
    other = sum(np.sum(to_numpy(a) * c) for a, c in zip(as_tuple(x), down, strict=True))
    one = np.asarray(np.sum(up * to_numpy(s)))
    yield Pair("<x, W^T s> against <W x, s>", np.asarray(other), one, _allowed(one, tolerance))


@law
def check_forward(
    forward: Explain, linear: Explain, x: Any, b: Array | None = None, *, tolerance: Any = None
) -> Iterator[Pair]:
    """The forward pass is the linear map plus the bias: f(x) = W x + b.

    Rules compute z_j from W and b, so a layer that computes anything else is explained as another function.

    Parameters
    ----------
    forward : callable
        x -> f(x), the layer's output; several inputs are several arguments.
    linear : callable
        x -> W x, without the bias.
    x : array or tuple of arrays, shape (N, ...)
        The input.
    b : array, optional
        The bias, which broadcasts to the output; None for none.
    tolerance : float or array, optional
        The absolute difference allowed; see the module.

    Raises
    ------
    LawBroken
        If the two sides differ.

    References
    ----------
    Bach et al. 2015, PLoS ONE 10(7):e0130140, eqs. 50 and 51.

    Examples
    --------
    >>> W = np.array([[1.0, 2.0]])
    >>> check_forward(lambda x: x @ W.T + 1, lambda x: x @ W.T, np.array([[3.0, 4.0]]), np.array([1.0]))
    """
    expected = linear(*as_tuple(x))
    expected = expected if b is None else expected + b
    yield from _each("forward pass against W x + b", forward(*as_tuple(x)), expected, tolerance)


@law
def check_routes(explain: Explain, forward: Explain, x: Any, *, tolerance: Any = None) -> Iterator[Pair]:
    """A routing layer returns relevance to where a value came from: R_i(z) = a_i R_i(1).

    A cell receives one share for each output that holds its value, so if the relevance of every output is its value,
    the relevance of the cell is a multiple of its own value. Give distinct values, so that each has one origin.

    Parameters
    ----------
    explain : callable
        explain(x, R) returns the relevance of `x`.
    forward : callable
        x -> z, the layer's output; several inputs are several arguments.
    x : array or tuple of arrays, shape (N, ...)
        The input.
    tolerance : float or array, optional
        The absolute difference allowed; see the module.

    Raises
    ------
    LawBroken
        If the two sides differ.

    References
    ----------
    Montavon et al. 2019, LNCS 11700, sec. 10.3, for max-pooling.

    Examples
    --------
    >>> x = np.array([[3.0, 4.0]])
    >>> check_routes(lambda x, R: R[:, ::-1], lambda x: x[:, ::-1], x)
    """
    z = forward(*as_tuple(x))
    shares = as_tuple(explain(x, 0 * z + 1))
    expected = tuple(a * R for a, R in zip(as_tuple(x), shares, strict=True))
    yield from _each("relevance that starts as the output", explain(x, z), expected, tolerance)


@law
def check_weights(linear: Explain, w: Array, *, tolerance: Any = None) -> Iterator[Pair]:
    """A layer computes with the weights it is given: linear(3 w) = 3 linear(w).

    Rules replace w by w+, w squared or 1. A layer that uses its own weights instead supports only LRP-0.

    Parameters
    ----------
    linear : callable
        w -> W x, or w -> W^T s, for a fixed x or s.
    w : array
        The weights.
    tolerance : float or array, optional
        The absolute difference allowed; see the module.

    Raises
    ------
    LawBroken
        If the two sides differ.
    """
    thrice = _combined((3,), linear(w))
    yield from _each("result for 3 w", linear(3 * w), thrice, tolerance)


# ---- laws of explain(net, x) -------------------------------------------------------------------------------------


@law
def check_fold(explain: Explain, net: Network, x: Array, *, tolerance: Any = None) -> Iterator[Pair]:
    """Folding BatchNorm first changes nothing: f'(x) = f(x), and explain(fuse(net), x) = explain(net, x).

    This holds for explainers that fold BatchNorm themselves, and for LRP-0 on every layer, BatchNorm included: that is
    gradient x input (Bach et al. 2015, eq. 56), a property of the function and not of the network that computes it.
    Any other rule gives a different map on a network with BatchNorm, which is the point of Guillemot et al.

    Parameters
    ----------
    explain : callable
        explain(net, x) returns the relevance of `x`.
    net : Network
        A network with BatchNorm.
    x : array, shape (N, ...)
        The input.
    tolerance : float or array, optional
        The absolute difference allowed between the relevances; see the module.

    Raises
    ------
    LawBroken
        If the outputs or the relevances differ.

    References
    ----------
    Guillemot et al. 2020, arXiv 2002.11018.
    """
    fused = fuse(net)
    forward = to_numpy(net.forward(x))
    yield Pair("output of the folded network", to_numpy(fused.forward(x)), forward, _allowed(forward, None))
    yield from _each("relevance in the folded network", explain(fused, x), explain(net, x), tolerance)


LAWS: Mapping[str, Law[...]] = {
    check.__name__: check
    for check in (
        check_shape, check_finite, check_number_type, check_no_mutation, check_batch_independence, check_linear_in_R,
        check_conservation, check_scale_covariance, check_oracle, check_adjoint, check_weights, check_forward,
        check_routes, check_fold,
    )
}  # fmt: skip
"""All laws by name."""
