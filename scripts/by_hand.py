"""A case of the conformance suite, worked by hand: every number of the calculation as a fraction, in Markdown.

`worked(case)` takes the network apart from the output to the input. A layer with weights is written out unit by unit,
in tables with one column for each input: the contributions, their sum, the denominator of the rule and the relevance.
The formulas are those of the papers and share no code with the engine of lrpref. The relevance that results must be
the expected one, or ValueError is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np

from lrpref import layers, oracle, rules
from lrpref.composites import Composite
from lrpref.conformance import Case
from lrpref.errors import LrprefError
from lrpref.walk import trace

MOST_UNITS, MOST_INPUTS = 4, 9
"""The largest layer that is written out."""

Numbers = Sequence[Fraction]
Row = tuple[str, Numbers, Fraction | None, Fraction | None]
"""A line of a table: what it shows, its value for each input, for the bias, and the sum."""


@dataclass(frozen=True)
class Unit:
    """One neuron: inputs a, weights w, which of the inputs it reads, bias b, and the relevance R of its output."""

    a: Numbers
    w: Numbers
    connected: Sequence[bool]
    b: Fraction
    R: Fraction


# ---- the rules, as the papers print them -----------------------------------------------------------------------


def _positive(x: Fraction) -> Fraction:
    return max(x, Fraction(0))


def _negative(x: Fraction) -> Fraction:
    return min(x, Fraction(0))


def _exact(x: Any) -> Fraction:
    """A number as a fraction; a decimal such as 0.1 means the fraction as written."""
    return Fraction(str(x)) if isinstance(x, float) else Fraction(x)


def _over(x: Fraction, z: Fraction) -> Fraction:
    """x / z; a denominator of zero sends nothing."""
    return x / z if z else Fraction(0)


def _away(z: Fraction, epsilon: Any) -> Fraction:
    """z + epsilon sign(z) with sign(0) = +1."""
    return z + (_exact(epsilon) if z >= 0 else -_exact(epsilon))


def _proportional(rows: list[Row], shares: Numbers, z: Fraction, u: Unit) -> list[Row]:
    """The rows, and the relevance R share / z."""
    found = [_over(share, z) * u.R for share in shares]
    return [*rows, (f"$R_i$ for $R$ = {u.R}, with the denominator {z}", found, None, sum(found, Fraction(0)))]


def _contributions(u: Unit) -> tuple[list[Fraction], Row]:
    parts = [a * w for a, w in zip(u.a, u.w, strict=True)]
    return parts, ("$a_i w_i$", parts, u.b, sum(parts, u.b))


def _zero(rule: rules.Zero, u: Unit) -> list[Row]:
    parts, row = _contributions(u)
    return _proportional([row], parts, sum(parts, u.b), u)


def _epsilon(rule: rules.Epsilon, u: Unit) -> list[Row]:
    if rule.scale is not None:
        raise NotImplementedError("an epsilon in units of a root")
    parts, row = _contributions(u)
    return _proportional([row], parts, _away(sum(parts, u.b), rule.epsilon), u)


def _gamma(rule: rules.Gamma, u: Unit) -> list[Row]:
    """Plain: w + gamma w+. Generalised: the contributions with the sign of z count 1 + gamma times."""
    parts, row = _contributions(u)
    gamma, z = _exact(rule.gamma), sum(parts, u.b)
    if rule.generalised:
        part, mark = (_positive, "+") if z >= 0 else (_negative, "-")
        shares = [x + gamma * part(x) for x in parts]
        b, label = u.b + gamma * part(u.b), rf"$a_i w_i + \gamma (a_i w_i)^{mark}$"
    else:
        shares = [a * (w + gamma * _positive(w)) for a, w in zip(u.a, u.w, strict=True)]
        b, label = u.b + gamma * _positive(u.b), r"$a_i (w_i + \gamma w_i^+)$"
    total = sum(shares, b)
    return _proportional([row, (label, shares, b, total)], shares, _away(total, rule.stabilizer), u)


def _alpha_beta(rule: rules.AlphaBeta, u: Unit) -> list[Row]:
    if rule.empty != "literal":
        raise NotImplementedError("the mode that renormalises")
    parts, row = _contributions(u)
    b = u.b if rule.bias == "keep" else Fraction(0)
    up, down = [_positive(x) for x in parts], [_negative(x) for x in parts]
    z_up, z_down = sum(up, _positive(b)), sum(down, _negative(b))
    lines: list[Row] = [row, ("$(a_i w_i)^+$", up, _positive(b), z_up), ("$(a_i w_i)^-$", down, _negative(b), z_down)]
    z_up, z_down = _away(z_up, rule.stabilizer), z_down - _exact(rule.stabilizer)
    alpha, beta = _exact(rule.alpha), _exact(rule.beta)
    found = [(alpha * _over(p, z_up) - beta * _over(n, z_down)) * u.R for p, n in zip(up, down, strict=True)]
    label = rf"$R_i$ for $R$ = {u.R}, with $\alpha$ = {alpha} over {z_up} and $\beta$ = {beta} over {z_down}"
    return [*lines, (label, found, None, sum(found, Fraction(0)))]


def _z_plus(rule: rules.ZPlus, u: Unit) -> list[Row]:
    parts, row = _contributions(u)
    up, b = [_positive(x) for x in parts], _positive(u.b)
    total = sum(up, b)
    return _proportional([row, ("$(a_i w_i)^+$", up, b, total)], up, _away(total, rule.stabilizer), u)


def _z_box(rule: rules.ZBox, u: Unit) -> list[Row]:
    if not isinstance(rule.low, int | float) or not isinstance(rule.high, int | float):
        raise NotImplementedError("bounds that are arrays")
    low, high = _exact(rule.low), _exact(rule.high)
    shares = [a * w - low * _positive(w) - high * _negative(w) for a, w in zip(u.a, u.w, strict=True)]
    total = sum(shares, Fraction(0))
    row: Row = ("$a_i w_i - l_i w_i^+ - h_i w_i^-$", shares, None, total)
    return _proportional([_contributions(u)[1], row], shares, _away(total, rule.stabilizer), u)


def _w_square(rule: rules.WSquare, u: Unit) -> list[Row]:
    shares = [w * w for w in u.w]
    total = sum(shares, Fraction(0))
    return _proportional([("$w_i^2$", shares, None, total)], shares, _away(total, rule.stabilizer), u)


def _flat(rule: rules.Flat, u: Unit) -> list[Row]:
    shares = [Fraction(bool(read)) for read in u.connected]
    total = sum(shares, Fraction(0))
    return _proportional([("1 for each input", shares, None, total)], shares, _away(total, rule.stabilizer), u)


RULES: dict[type, Callable[[Any, Unit], list[Row]]] = {
    rules.Zero: _zero,
    rules.Epsilon: _epsilon,
    rules.Gamma: _gamma,
    rules.AlphaBeta: _alpha_beta,
    rules.ZPlus: _z_plus,
    rules.ZBox: _z_box,
    rules.WSquare: _w_square,
    rules.Flat: _flat,
}
FIXED = (
    *(layers.Dense, layers.Conv2D, layers.ConvTranspose2D, layers.AvgPool2D, layers.GlobalAvgPool2D),
    *(layers.BatchNorm, layers.Scale, layers.Add, layers.Mean),
)
"""Linear layers whose weights do not depend on the input."""


# ---- a case ----------------------------------------------------------------------------------------------------


def can_be_worked(case: Case) -> bool:
    """Whether `worked` can write out this case."""
    try:
        worked(case)
    except (NotImplementedError, LrprefError):
        return False
    return True


def worked(case: Case) -> list[str]:
    """The calculation of a case, in Markdown.

    Parameters
    ----------
    case : Case
        A case with expected relevance.

    Returns
    -------
    list of str
        Lines.

    Raises
    ------
    NotImplementedError
        If the case is a law, too large to read, not rational, or has a mode that is not written out here.
    ValueError
        If the calculation does not give the expected relevance.
    """
    if case.kind != "relevance" or len(case.input) > 1 or case.input.size > MOST_INPUTS:
        raise NotImplementedError("a law, several samples, or too large to read")
    exact = case.in_fractions()
    by = Composite(list(exact.rules.items()))
    kept = trace(exact.network, exact.input, exact.target, by, exact.seed)
    values = exact.network.activations(exact.input)
    lines: list[str] = []
    relevance = {exact.network.output: kept.at[exact.network.output]}
    for name, layer, inputs in reversed(exact.network.nodes):
        arrays = tuple(values[i] for i in inputs)
        shares, text = _layer(described(case, name), layer, arrays, relevance[name], exact.rules.get(name))
        lines += text
        for i, share in zip(inputs, shares, strict=True):
            relevance[i] = relevance.get(i, 0) + share
    found, expected = relevance["input"], exact.expected
    if not np.allclose(found.astype(float), expected.astype(float), rtol=1e-12, atol=0) or (
        case.exact is not None and (found != case.exact).any()
    ):
        raise ValueError(f"{case.id}: worked by hand {listed(found)}, but the table expects {listed(expected)}")
    return [*lines, f"Expected relevance of the input: {listed(found)}."]


def one_neuron(case: Case) -> list[str]:
    """One neuron of a case that consists of one layer and is too large to be written out, in Markdown.

    All units are computed, and their sum must be the expected relevance.

    Parameters
    ----------
    case : Case
        A case with expected relevance.

    Returns
    -------
    list of str
        Lines.

    Raises
    ------
    NotImplementedError
        If the case has several layers, or its layer or rule is not written out here.
    ValueError
        If the calculation does not give the expected relevance.
    """
    if case.kind != "relevance" or case.exact is None or len(case.network.nodes) != 1:
        raise NotImplementedError("a law, or several layers")
    exact = case.in_fractions()
    [(name, layer, _)] = exact.network.nodes
    rule = exact.rules.get(name)
    if not isinstance(layer, FIXED) or type(rule) not in RULES:
        raise NotImplementedError("a layer or a rule that is not written out")
    found = np.zeros_like(exact.input) + Fraction(0)
    units: list[tuple[int, Unit]] = []
    for n in range(len(exact.input)):
        for number, unit in _units(layer, (exact.input[n : n + 1],), exact.seed[n : n + 1]):
            found[n] += np.reshape(np.array(RULES[type(rule)](rule, unit)[-1][1], dtype=object), found[n].shape)
            units += [(number, unit)] * (n == 0)
    if (found != case.exact).any():
        raise ValueError(f"{case.id}: worked by hand, the relevance is not the expected one")
    number, unit = max(units, key=lambda at: sum(bool(a * w) for a, w in zip(at[1].a, at[1].w, strict=True)))
    keep = [i for i, read in enumerate(unit.connected) if read]
    unit = replace(unit, **{key: [getattr(unit, key)[i] for i in keep] for key in ("a", "w", "connected")})
    if len(keep) > 2 * MOST_INPUTS:
        raise NotImplementedError("too large to read")
    text = f"The case has {case.input.size} numbers. This is unit {number} of its first sample, with the inputs that it"
    return [f"{text} reads: {described(case, name)}", "", *_table(unit, RULES[type(rule)](rule, unit))]


def equal_logits(case: Case) -> list[str]:
    """A softmax within a network whose logits are equal, in Markdown: each output is 1/n, a fraction.

        R_i = x_i (R_i^out - s_i sum_j R_j^out)          Achtibat et al. 2024, prop. 3.1

    Parameters
    ----------
    case : Case
        A case with expected relevance.

    Returns
    -------
    list of str
        Lines.

    Raises
    ------
    NotImplementedError
        If the case is not a softmax and a Flatten of one sample, or its logits are not equal.
    ValueError
        If the calculation does not give the expected relevance.
    """
    kinds = [] if case.kind != "relevance" else [type(node.layer) for node in case.network.nodes]
    if kinds != [layers.Softmax, layers.Flatten] or len(case.input) > 1:
        raise NotImplementedError("another network, or several samples")
    axis, name = case.network.nodes[0].layer.axis, case.network.nodes[0].name
    arrays = (case.input, np.reshape(case.seed, case.input.shape), case.expected)
    rows = np.stack([np.moveaxis(array, axis, -1).reshape(-1, case.input.shape[axis]) for array in arrays], axis=1)
    lines: list[str] = []
    for k, row in enumerate(rows.tolist(), start=1):
        x, R, expected = ([_exact(number) for number in numbers] for numbers in row)
        if len(set(x)) > 1:
            raise NotImplementedError("logits that are not equal")
        s, total = Fraction(1, len(x)), sum(R, Fraction(0))
        found = [x_i * (R_i - s * total) for x_i, R_i in zip(x, R, strict=True)]
        if found != expected:
            raise ValueError(f"{case.id}: worked by hand {listed(found)}, but the table expects {listed(expected)}")
        title = described(case, name) + f", row {k}" * (len(rows) > 1)
        lines += [f"{title}:", "", *_lines(len(x), False, [
            ("$x_i$", x, None, None),
            ("$s_i$", [s] * len(x), None, Fraction(1)),
            (r"$R_i^\text{out}$", R, None, total),
            (rf"$R_i$ for $\sum_j R_j^\text{{out}}$ = {total}", found, None, sum(found, Fraction(0))),
        ]), ""]  # fmt: skip
    return lines[:-1]


def listed(numbers: Any) -> str:
    """Numbers on one line, flattened: "(1/3, 2/3, 0)"; floating point numbers to four digits."""
    flat = np.asarray(numbers, dtype=object).reshape(-1)
    return "(" + ", ".join(f"{x:.4g}" if isinstance(x, float) else str(x) for x in flat) + ")"


def _layer(title: str, layer: Any, arrays: tuple[Any, ...], R: Any, rule: Any) -> tuple[list[Any], list[str]]:
    """The relevance of the inputs of a layer, and the text about it."""
    if isinstance(layer, FIXED) and type(rule) in RULES:
        return _unit_by_unit(title, layer, arrays, R, rule)
    if sum(a.size for a in arrays) > MOST_INPUTS:
        raise NotImplementedError("too large to read")
    sent = oracle.messages(layer, arrays, R, rule)
    shares = [s.reshape(*a.shape, -1).sum(axis=-1) for s, a in zip(sent, arrays, strict=True)]
    to = " and ".join(map(listed, shares))
    return shares, [f"{title}: the relevance {listed(R)} of its output {_output(layer, arrays)} becomes {to}.", ""]


def _output(layer: Any, arrays: tuple[Any, ...]) -> str:
    return listed(layer.forward(*arrays))


def described(case: Case, name: str) -> str:
    """A node and its rule, as the file of the case has them: "Dense `fc` under `Gamma(gamma=0.25)`"."""
    text = f"{type(case.network[name]).__name__} `{name}`"
    if name not in case.rules:
        return text
    spec = case.data["rules"][name]
    parts = ", ".join(f"{key}={value!r}" for key, value in spec.items() if key != "type")
    return f"{text} under `{spec['type']}({parts})`"


def _unit_by_unit(title: str, layer: Any, arrays: tuple[Any, ...], R: Any, rule: Any) -> tuple[list[Any], list[str]]:
    """A layer with fixed weights: one table for each unit that has relevance."""
    units = list(_units(layer, arrays, R))
    if len(units) > MOST_UNITS or sum(a.size for a in arrays) > MOST_INPUTS:
        raise NotImplementedError("too large to read")
    total = np.array([Fraction(0)] * sum(a.size for a in arrays), dtype=object)
    lines: list[str] = []
    for number, unit in units:
        rows = RULES[type(rule)](rule, unit)
        total = total + np.array(rows[-1][1], dtype=object)
        lines += [title + f", unit {number}" * (R.size > 1) + ":", "", *_table(unit, rows), ""]
    bounds = np.cumsum([a.size for a in arrays])[:-1]
    shares = [part.reshape(a.shape) for part, a in zip(np.split(total, bounds), arrays, strict=True)]
    if len(units) > 1:
        lines += [f"The sum over the units: {' and '.join(map(listed, shares))}.", ""]
    return shares, lines


def _units(layer: Any, arrays: tuple[Any, ...], R: Any) -> Iterator[tuple[int, Unit]]:
    """The neurons that have relevance, numbered from 1."""
    w, b = _matrix(layer, arrays)
    weighted = isinstance(layer, layers.Dense | layers.Conv2D | layers.ConvTranspose2D)
    ones = replace(layer, weight=0 * layer.weight + Fraction(1)) if weighted else layer  # a weight of 0 connects, too
    connected = _matrix(ones, arrays)[0] != 0
    a = np.concatenate([x.reshape(-1) for x in arrays])
    for j, relevance in enumerate(R.reshape(-1)):
        if relevance:
            yield j + 1, Unit(tuple(a), tuple(w[j]), tuple(connected[j]), Fraction(b[j]), Fraction(relevance))


def _matrix(layer: Any, arrays: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A layer as a matrix (outputs, inputs) and a bias: what it makes of zeros, and of each unit vector."""
    sizes = [prod(a.shape) for a in arrays]

    def forward(flat: np.ndarray) -> np.ndarray:
        parts = np.split(flat, np.cumsum(sizes)[:-1])
        made = layer.forward(*(part.reshape(a.shape) for part, a in zip(parts, arrays, strict=True)))
        return np.asarray(made, dtype=object).reshape(-1)

    nothing = np.array([Fraction(0)] * sum(sizes), dtype=object)
    b = forward(nothing)
    columns = []
    for i in range(len(nothing)):
        one = nothing.copy()
        one[i] = Fraction(1)
        columns.append(forward(one) - b)
    return np.stack(columns, axis=1), b


def _table(unit: Unit, rows: Sequence[Row]) -> list[str]:
    """A neuron as a table."""
    first: list[Row] = [("$a_i$", unit.a, None, None), ("$w_i$", unit.w, None, None)]
    return _lines(len(unit.a), bool(unit.b), [*first, *rows])


def _lines(inputs: int, with_bias: bool, rows: Sequence[Row]) -> list[str]:
    """Rows as a table: one column for each input, one for the bias, and one for the sum."""
    heads = ["", *(f"input {i + 1}" for i in range(inputs)), *["bias"] * with_bias, "sum"]
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    for label, numbers, b, total in rows:
        bias = [] if not with_bias else ["" if b is None else str(b)]
        cells = [label, *map(str, numbers), *bias, "" if total is None else str(total)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
