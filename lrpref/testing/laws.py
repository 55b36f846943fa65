"""The laws of relevance, as functions that anyone may call on a layer, a rule, or a whole explainer.

Each law states an equation and where it is from. Called, it raises `LawBroken`, an AssertionError, where the equation
does not hold; `law.pairs(...)` yields the two sides of it instead, which is how the conformance suite asks.

What is judged is a *callable*: `explain(x, R)` gives the relevance of the input `x` for the relevance `R` of the
output, `explain(net, x)` that of the input of a network. A layer of several inputs takes and gives tuples. So a rule of
lrpref, a function of one's own, and a library behind an adapter are judged alike:

    check_linear_in_R(lambda x, R: layer.relevance(x, R, rule), x, R)

Exact numbers (fractions, see `lrpref.exact`) must be equal. Floats may differ by `tolerance`, absolute, a number or an
array; None stands for half of the digits of their type, next to the largest value on the right-hand side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar, cast

import numpy as np

from ..backend import Array, as_tuple, is_array, sum_per_sample, to_numpy
from ..fusion import fuse
from ..network import Network
from ..oracle import messages

P = ParamSpec("P")
P_co = TypeVar("P_co", covariant=True)
Explain = Callable[..., Any]
"""explain(x, R) or explain(net, x): relevance, shaped like x."""


class LawBroken(AssertionError):  # noqa: N818
    """An equation that does not hold. `law` is its name, `pair` its two sides."""

    def __init__(self, message: str, law: str = "", pair: Pair | None = None) -> None:
        super().__init__(message)
        self.law, self.pair = law, pair


@dataclass(frozen=True, eq=False)
class Pair:
    """Two arrays that must agree: what was found, what it must equal, and how far apart they may lie.

    condition  whether `what` is a statement, and the arrays say whether it is true
    """

    what: str
    got: Any
    expected: Any
    allowed: Any = 0
    condition: bool = False

    @property
    def agrees(self) -> bool:
        """Whether they do. Another shape, and a NaN on either side, do not."""
        got, expected = (np.asarray(to_numpy(v) if is_array(v) else v) for v in (self.got, self.expected))
        if got.shape != expected.shape:
            return False
        with np.errstate(all="ignore"):
            return bool(np.all((got == expected) | (abs(got - expected) <= self.allowed)))

    def __str__(self) -> str:
        if self.condition:
            return f"it is not so that {self.what}"
        return f"{self.what}: got {brief(self.got)}, expected {brief(self.expected)}"


def near(what: str, got: Any, expected: Any, tolerance: Any = 0.0) -> Pair:
    """A pair that must agree to a tolerance, absolute and relative."""
    array = np.asarray(expected)
    return Pair(what, got, expected, 0 if array.dtype == object else tolerance * (1 + abs(array)))


def holds(what: str, condition: object) -> Pair:
    """A condition as a pair: 1 for true."""
    return Pair(what, np.asarray(float(bool(condition))), np.asarray(1.0), condition=True)


def brief(value: Any) -> str:
    """An array as a person would write it, fractions without their type; of a long one, where it begins and ends."""
    array = np.asarray(to_numpy(value) if is_array(value) else value)
    if array.size == 0:
        return f"no values, shape {array.shape}"
    text = str if array.dtype == object else lambda v: f"{v:.6g}"
    return np.array2string(array, separator=", ", threshold=40, formatter={"all": text}).replace("\n", "")


# ---- a law is a generator of pairs, and a function that raises ---------------------------------------------------


class Law(Protocol[P]):
    """A law: called, it raises `LawBroken`; `pairs` gives its two sides, `statement` its equation."""

    __name__: str
    __doc__: str | None
    pairs: Callable[P, Iterator[Pair]]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Raise LawBroken where it does not hold."""


def law(pairs: Callable[P, Iterator[Pair]]) -> Law[P]:
    """Make a function that yields pairs into a law."""

    @wraps(pairs)
    def check(*args: P.args, **kwargs: P.kwargs) -> None:
        for pair in pairs(*args, **kwargs):
            if not pair.agrees:
                raise LawBroken(f"{check.__name__}: {statement(check)}\n    {pair}", check.__name__, pair)

    check.pairs = pairs  # type: ignore[attr-defined]
    return cast(Law[P], check)


def statement(check: Any) -> str:
    """The first line of a law's docstring, which says it in words."""
    return (check.__doc__ or "").strip().partition("\n")[0]


def _allowed(expected: Any, tolerance: Any) -> Any:
    """How far floats may lie from what is expected."""
    if tolerance is not None:
        return tolerance
    array = np.asarray(to_numpy(expected))
    if array.dtype == object or array.dtype.kind not in "f" or not array.size:
        return 0
    largest = abs(array[np.isfinite(array)]).max(initial=0)
    return float(np.finfo(array.dtype).eps) ** 0.5 * max(1.0, float(largest))


def _each(what: str, got: Any, expected: Any, tolerance: Any = None) -> Iterator[Pair]:
    """A pair per array of two tuples, or of two arrays."""
    left, right = as_tuple(got), as_tuple(expected)
    yield holds(f"{what} is {len(right)} arrays, and not {len(left)}", len(left) == len(right))
    limits = tolerance if isinstance(tolerance, list | tuple) else [tolerance] * len(right)
    for k, (one, other, limit) in enumerate(zip(left, right, limits, strict=True)):
        yield Pair(f"{what}, input {k + 1}" if len(right) > 1 else what, one, other, _allowed(other, limit))


def _listed(shapes: list[tuple[int, ...]]) -> str:
    """Shapes as text."""
    return ", ".join(map(str, shapes))


def _combined(numbers: tuple[Any, ...], *of: Any) -> Any:
    """A linear combination of arrays, or of tuples of arrays part by part; numbers that are 1 are left out."""
    parts = [as_tuple(x) for x in of]
    found = [sum(c * x for c, x in zip(numbers, xs, strict=True)) for xs in zip(*parts, strict=True)]
    return tuple(found) if isinstance(of[0], tuple) else found[0]


# ---- laws of explain(x, R) ---------------------------------------------------------------------------------------


@law
def check_conservation(explain: Explain, x: Any, R: Array, lost: Any = 0, *, tolerance: Any = None) -> Iterator[Pair]:
    """Relevance is conserved: sum_i R_i + lost = sum_j R_j, per sample.

    Bach et al. 2015, PLoS ONE 10(7):e0130140, eq. 2, with its leaks written out.

    lost  (N,) what biases, a stabilizer and zero denominators took (the columns of lrpref's ledger); 0 where there is
          none of them

    >>> from lrpref import Dense, rules
    >>> layer, x, R = Dense([[2.0, -1.0]], [1.0]), np.array([[1.0, 1.0]]), np.array([[1.0]])
    >>> explain = lambda x, R: layer.relevance(x, R, rules.Zero())
    >>> check_conservation(explain, x, R, lost=0.5)
    >>> check_conservation(explain, x, R)
    Traceback (most recent call last):
        ...
    lrpref.testing.laws.LawBroken: check_conservation: Relevance is conserved: sum_i R_i + lost = sum_j R_j, per sample.
        sum over the inputs, and what was lost: got [0.5], expected [1]
    """
    total = sum(sum_per_sample(R_i) for R_i in as_tuple(explain(x, R)))
    sent = sum_per_sample(R)
    yield Pair("sum over the inputs, and what was lost", total + lost, sent, _allowed(sent, tolerance))


@law
def check_linear_in_R(  # noqa: N802
    explain: Explain, x: Any, R: Array, S: Array | None = None, *, tolerance: Any = None
) -> Iterator[Pair]:
    """Relevance is linear in what comes from above: R_i(3 R + S) = 3 R_i(R) + R_i(S).

    Every message of Bach et al. 2015, eqs. 56 to 60, is a fraction of R_j that does not depend on R_j.

    S  a second relevance; None for ones
    """
    S = 0 * R + 1 if S is None else S
    apart = _combined((3, 1), explain(x, R), explain(x, S))
    yield from _each("relevance of 3 R + S", explain(x, 3 * R + S), apart, tolerance)


@law
def check_batch_independence(explain: Explain, *arrays: Any, tolerance: Any = None) -> Iterator[Pair]:
    """A sample does not depend on its batch: R(batch)[n] = R(sample n).

    Bach et al. 2015 define relevance for one input; a batch is a matter of computing (innvestigate#91).

    arrays  whatever `explain` takes, batch first: explain(x), or explain(x, R); a tuple is taken part by part
    """
    together, size = explain(*arrays), len(as_tuple(arrays[0])[0])
    for n in range(size):
        alone = explain(*(_sample(a, n) for a in arrays))
        limit = tolerance if tolerance is None or np.isscalar(tolerance) else _sample(tolerance, n)
        yield from _each(f"sample {n + 1} of {size}, in its batch against alone", _sample(together, n), alone, limit)


def _sample(x: Any, n: int) -> Any:
    """Sample n of an array, or of a tuple or list of arrays, as a batch of one."""
    return type(x)(part[n : n + 1] for part in x) if isinstance(x, tuple | list) else x[n : n + 1]


@law
def check_scale_covariance(
    explain: Explain, scaled: Explain, *arrays: Any, factor: Any = 1, tolerance: Any = None
) -> Iterator[Pair]:
    """Shares have no unit: with all weights and biases multiplied by c > 0, R_i' = R_i for the same R_j.

    From a_i c w_ij / (c z_j) = a_i w_ij / z_j in Bach et al. 2015, eq. 56. It holds for rules without a stabilizer,
    which has the unit of z.

    scaled  as `explain`, of the layer or network with its weights and biases multiplied
    factor  what the relevance at the output was multiplied by on the way: c, where `scaled` starts from the logit of a
            network whose last layer was multiplied by c
    """
    expected = _combined((factor,), explain(*arrays))
    yield from _each("relevance after scaling the weights", scaled(*arrays), expected, tolerance)


@law
def check_no_mutation(
    explain: Explain, *arrays: Any, watched: Mapping[str, Array] | None = None, between: Explain | None = None
) -> Iterator[Pair]:
    """A call leaves no trace: what was given is as it was, and a second call equals the first.

    An explanation is a function of its arguments (captum PRs #911 and #1035 mended what was left on a model).

    watched  more arrays that must not change, such as weights, by name
    between  another question, of the same arrays, asked between the two calls; what it raises is no matter
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
    """Relevance is finite where its arguments are: a denominator of zero sends nothing.

    No paper says what a denominator of zero sends; NaN is what it must not send (lrp_toolbox#19).
    """
    for R in map(to_numpy, as_tuple(explain(*arrays))):
        finite = np.ones(R.shape) if R.dtype == object else np.isfinite(R).astype(float)
        yield Pair("values that are finite", finite, np.ones(R.shape))


@law
def check_shape(explain: Explain, x: Any, *more: Any) -> Iterator[Pair]:
    """Relevance is shaped like the input, an array for an array, a tuple for a tuple.

    A value of relevance belongs to one value of the input (Bach et al. 2015: "pixel-wise").
    """
    found = explain(x, *more)
    yield holds("a tuple is given for a tuple, an array for an array", isinstance(found, tuple) == isinstance(x, tuple))
    shapes = [[tuple(a.shape) for a in as_tuple(each)] for each in (found, x)]
    yield holds(
        f"relevance of shape {_listed(shapes[0])} is shaped like the input, {_listed(shapes[1])}",
        shapes[0] == shapes[1],
    )


@law
def check_number_type(explain: Explain, x: Any, *more: Any) -> Iterator[Pair]:
    """Relevance is of the number type that it is computed from: no float among fractions, no float64 from float32.

    A Python float makes floats of fractions; `lrpref.arithmetic.constant(value, like=x)` takes the number type of x.
    """
    for R, a in zip(map(to_numpy, as_tuple(explain(x, *more))), map(to_numpy, as_tuple(x)), strict=True):
        yield holds(f"relevance computed from {a.dtype} is {a.dtype}, and not {R.dtype}", R.dtype == a.dtype)
        kinds = {type(v) for v in a.flat} | {int}
        strange = {type(v).__name__ for v in R.flat if a.dtype == object and type(v) not in kinds}
        yield holds(f"exact numbers stay exact, and do not become {', '.join(sorted(strange))}", not strange)


@law
def check_oracle(explain: Explain, layer: Any, x: Any, R: Array, rule: Any, *, tolerance: Any = None) -> Iterator[Pair]:
    """Relevance is the sum of the messages: R_i = sum_j R[i<-j], as the rule's paper prints them.

    Bach et al. 2015, eq. 8, with the messages of `lrpref.messages`: the rule's equation on the layer's explicit matrix.

    layer, rule  a layer and a rule of lrpref that `explain` claims to compute
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

    The steps 1 and 3 of Montavon et al. 2019, LNCS 11700, sec. 10.3.1, share one matrix.

    linear   x -> W x, without the bias; several inputs are several arguments
    adjoint  s -> W^T s, one array, or a tuple of one per input

    >>> W = np.array([[1.0, 2.0]])
    >>> check_adjoint(lambda x: x @ W.T, lambda s: s @ W, np.array([[3.0, 4.0]]), np.array([[5.0]]))
    """
    up, down = to_numpy(linear(*as_tuple(x))), [to_numpy(c) for c in as_tuple(adjoint(s))]
    shapes = [[a.shape for a in each] for each in (down, map(to_numpy, as_tuple(x)))]
    yield holds(
        f"W^T s of shape {_listed(shapes[0])} is shaped like the input, {_listed(shapes[1])}", shapes[0] == shapes[1]
    )
    yield holds(f"W x of shape {up.shape} is shaped like s, {tuple(s.shape)}", up.shape == tuple(s.shape))
    other = sum(np.sum(to_numpy(a) * c) for a, c in zip(as_tuple(x), down, strict=True))
    one = np.asarray(np.sum(up * to_numpy(s)))
    yield Pair("<x, W^T s> against <W x, s>", np.asarray(other), one, _allowed(one, tolerance))


@law
def check_weights(linear: Explain, w: Array, *, tolerance: Any = None) -> Iterator[Pair]:
    """A layer computes with the weights it is handed: linear(3 w) = 3 linear(w).

    Rules put w+, w squared or 1 in the place of w; a layer that takes its own weights instead knows only LRP-0.

    linear  w -> W x, or w -> W^T s, for a fixed x or s
    """
    thrice = _combined((3,), linear(w))
    yield from _each("result for 3 w", linear(3 * w), thrice, tolerance)


# ---- laws of explain(net, x) -------------------------------------------------------------------------------------


@law
def check_fold(explain: Explain, net: Network, x: Array, *, tolerance: Any = None) -> Iterator[Pair]:
    """Folding BatchNorm first changes nothing: f'(x) = f(x), and explain(fuse(net), x) = explain(net, x).

    For explainers that fold it themselves, and for LRP-0 everywhere, BatchNorm included: it is gradient x input
    (Bach et al. 2015, eq. 56), a property of the function and not of the network that computes it. Any other rule
    gives another map where a BatchNorm stands, which is the point of Guillemot et al. 2020 (arXiv 2002.11018).

    explain  (net, x) -> relevance of x
    """
    fused = fuse(net)
    forward = to_numpy(net.forward(x))
    yield Pair("output of the folded network", to_numpy(fused.forward(x)), forward, _allowed(forward, None))
    yield from _each("relevance in the folded network", explain(fused, x), explain(net, x), tolerance)


LAWS: Mapping[str, Law[...]] = {
    check.__name__: check
    for check in (
        check_shape, check_finite, check_number_type, check_no_mutation, check_batch_independence, check_linear_in_R,
        check_conservation, check_scale_covariance, check_oracle, check_adjoint, check_weights, check_fold,
    )
}  # fmt: skip
"""Every law by its name."""
