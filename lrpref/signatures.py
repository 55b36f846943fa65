"""Signatures: one line of text that records the conventions under which a map was computed.

    lrpref:0.2.0|epsilon-plus-flat|seed:logit|bn:none|form:plain|cases:1.4

Two maps of the same network and input should be equal up to rounding if their signatures are equal. If the signatures
differ, `Signature.differences` names the conventions that differ. The idea is that of sacreBLEU (Post 2018, arXiv
1804.08771), which prints such a line for BLEU scores. docs/signature.md documents the format.

A signature is lossless for lrpref's own rules: their parameters are written exactly, and `Signature.composite`
reconstructs the composite. Arrays of more than sixteen numbers, and seeds that are arrays, are represented by a digest.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from importlib import import_module
from itertools import groupby
from numbers import Integral, Real
from typing import Any

import numpy as np

from ._support.version import CASES, __version__
from .backend import is_array, to_numpy
from .composites import JOINS, PRESETS, Assignment, Composite, Place, places, resolve
from .errors import InputError, LrprefError, ParameterError, RuleError, shown
from .layers import Add, BatchNorm, Subtract
from .network import Network
from .rules import RULES, Rule
from .seeds import Start

WRITTEN_OUT = 16
"""The most numbers of an array that are written out; of longer ones, and of more than one axis, a digest is written."""

MAX_LENGTH = 2**16
"""The most characters of a signature."""

BATCH_NORM = ("none", "kept", "fused")
"""What a signature says about BatchNorm."""


# ---- the grammar -------------------------------------------------------------------------------------------------

_NUMBER = r"-?[0-9]+(?:/[0-9]+|(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
_TEXT = r"[\w.~%-]+"
_ARRAY = r"array\([0-9,]*\)#[0-9a-f]{12}"
_NAME = rf"(?:own\.{_TEXT}|[a-z][a-z0-9-]*)"


def _calls(depth: int) -> str:
    """The pattern of a rule with parameters, among which may be rules, `depth` deep."""
    value = rf"True|False|None|\?|'{_TEXT}'|''|\[{_NUMBER}(?:,{_NUMBER})*\]|{_NUMBER}|{_ARRAY}"
    value = value if depth == 0 else f"{value}|{_calls(depth - 1)}"
    return rf"{_NAME}(?:\([a-z_]\w*=(?:{value})(?:,[a-z_]\w*=(?:{value}))*\))?"


_RULE = _calls(3)
_GROUP = rf"{_TEXT}=(?:[0-9]+\*)?{_RULE}(?:\+(?:[0-9]+\*)?{_RULE})*"
_SEED = rf"(?:logit|one|probability|{_NUMBER}|{_ARRAY})"

PATTERNS = {
    "version": r"[0-9A-Za-z][0-9A-Za-z.+]*",
    "rule": rf"layers\((?:{_GROUP}(?:;{_GROUP})*)?\)|{_RULE}",
    "seed": rf"{_SEED}|{_TEXT}={_SEED}(?:;{_TEXT}={_SEED})*",
    "bn": "|".join(BATCH_NORM),
    "form": r"[a-z0-9]+(?:\+[a-z0-9]+)*",
    "node": rf"(?:{_TEXT})?",
    "cases": r"[0-9]+\.[0-9]+",
}
"""Field -> the regular expression that its text matches as a whole."""

EXAMPLE = f"lrpref:{__version__}|epsilon-plus-flat|seed:logit|bn:none|form:plain|cases:{CASES}"


@dataclass(frozen=True)
class Signature:
    """The conventions under which a map was computed; prints as one line.

    Parameters
    ----------
    rule : str
        The rule or composite with the parameters that differ from their defaults, as `explain` takes it:
        "gamma(gamma=0.5)". A composite of your own is listed layer by layer, for each type of layer in the order of the
        network: "layers(Conv2D=flat+2*z-plus;Dense=epsilon)", after its `split` and `mean` if it has them:
        "layers(split=half;Dense=epsilon)". A rule of your own is written with "own." before its name.
    seed : str, default "logit"
        The relevance at the output: "logit", "one", "probability", a number, or the shape and a digest of an array. For
        several outputs, "name=seed" for each one that has a seed.
    bn : {"none", "kept", "fused"}, default "none"
        Whether the network that was explained has BatchNorm layers. "fused": it had some, which `lrpref.fuse` folded
        away.
    form : str, default "plain"
        The form in which the relevance was computed, as in `lrpref.explain`. A prepared network lists the forms that it
        chose: "direct+winograd".
    node : str, default ""
        The node that was explained, percent-encoded; empty for the logits.
    version : str
        The version of lrpref.
    cases : str
        The version of the table of cases that this version of lrpref agrees with (major and minor number).

    Raises
    ------
    ParameterError
        If a field is not written as documented.

    Examples
    --------
    >>> print(Signature("gamma(gamma=0.5)", seed="one", version="0.2.0", cases="1.4"))
    lrpref:0.2.0|gamma(gamma=0.5)|seed:one|bn:none|form:plain|cases:1.4
    """

    rule: str
    seed: str = "logit"
    bn: str = "none"
    form: str = "plain"
    node: str = ""
    version: str = __version__
    cases: str = CASES

    def __post_init__(self) -> None:
        for name, pattern in PATTERNS.items():
            value: object = getattr(self, name)
            if not isinstance(value, str) or len(value) > MAX_LENGTH or not re.fullmatch(pattern, value, re.ASCII):
                raise ParameterError(f"{shown(value)} is not the {_WORDS[name]} of a signature such as {EXAMPLE}")

    def __str__(self) -> str:
        node = [f"node:{self.node}"] if self.node else []
        keyed = (f"seed:{self.seed}", f"bn:{self.bn}", f"form:{self.form}", *node, f"cases:{self.cases}")
        return "|".join((f"lrpref:{self.version}", self.rule, *keyed))

    @classmethod
    def parse(cls, text: str) -> Signature:
        """Return the signature that `text` holds.

        Parameters
        ----------
        text : str
            A signature as it is printed.

        Returns
        -------
        Signature
            Prints as `text`, apart from white space at its ends.

        Raises
        ------
        InputError
            If the text is damaged; the message names the part.

        Examples
        --------
        >>> Signature.parse("lrpref:0.2.0|z-plus|seed:one|bn:kept|form:direct|cases:1.4").seed
        'one'
        >>> Signature.parse("lrpref:0.2.0|z-plus|seed:one|bn:kept|form:dir")
        Traceback (most recent call last):
        ...
        lrpref.errors.InputError: not a signature: its last part must be cases:..., got 'form:dir'
        """
        given: object = text
        if not isinstance(given, str) or len(given) > MAX_LENGTH:
            raise InputError(f"not a signature: expected a string such as {EXAMPLE}, got {shown(given)}")
        head, *parts = text.strip().split("|")
        if not head.startswith("lrpref:") or not parts:
            raise InputError(f"not a signature: expected a string such as {EXAMPLE}, got {shown(text)}")
        rule, *keyed = parts
        names = ["seed", "bn", "form", *(["node"] if len(keyed) > 4 else []), "cases"]
        if not keyed or not keyed[-1].startswith("cases:"):
            raise InputError(f"not a signature: its last part must be cases:..., got {shown(parts[-1])}")
        if len(keyed) not in (4, 5):
            raise InputError(f"not a signature: expected seed, bn, form, perhaps node, and cases, got {shown(text)}")
        values = {"version": head.removeprefix("lrpref:"), "rule": rule}
        for name, part in zip(names, keyed, strict=True):
            if not part.startswith(f"{name}:"):
                raise InputError(f"not a signature: expected {name}:..., got {shown(part)}")
            values[name] = part.removeprefix(f"{name}:")
        if values.get("node") == "":
            raise InputError("not a signature: no name follows node:")
        try:
            return cls(**values)
        except ParameterError as error:
            raise InputError(f"not a signature: {error}") from error

    def differences(self, other: Signature) -> dict[str, tuple[str, str]]:
        """Return the conventions in which two signatures differ.

        Parameters
        ----------
        other : Signature
            The signature to compare with.

        Returns
        -------
        dict of str to (str, str)
            The field's name in words -> its text here and there.

        Examples
        --------
        >>> Signature("z-plus", seed="one").differences(Signature("z-plus", form="direct"))
        {'seed': ('one', 'logit'), 'form': ('plain', 'direct')}
        """
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in ("rule", *PATTERNS)}
        return {_WORDS[name]: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def composite(self, net: Network) -> Composite:
        """Return the composite that the signature describes.

        Parameters
        ----------
        net : Network
            The network whose map has this signature. Layers that are listed are counted in its order.

        Returns
        -------
        Composite
            Assigns the same rules to `net`.

        Raises
        ------
        RuleError, UnknownNameError
            If the signature holds a rule of your own, a digest in place of an array, or other layers than `net` has.
        """
        if lost := re.search(rf"own\.{_TEXT}|{_ARRAY}|=\?", self.rule):
            raise RuleError(f"the signature only names {lost[0].removeprefix('=')}; pass the rule itself: {self.rule}")
        if not self.rule.startswith("layers("):
            return resolve(self.rule)
        listed = dict(_listed(self.rule))
        reading = {name: listed.pop(name)[0] for name in READING if name in listed}
        kinds = _by_kind(list(places(net)))
        for kind in (*listed, *kinds):
            there, here = len(listed.get(kind, ())), len(kinds.get(kind, ()))
            if there != here:
                raise RuleError(f"the signature lists rules for {there} layers of type {kind}; the network has {here}")
        pairs = [
            (place.name, _single(text))
            for kind, found in kinds.items()
            for place, text in zip(found, listed[kind], strict=True)
        ]
        return Composite(pairs, "the composite of a signature", **reading)


_WORDS = {
    "version": "version of lrpref",
    "rule": "rule",
    "seed": "seed",
    "bn": "BatchNorm",
    "form": "form",
    "node": "node",
    "cases": "version of the cases",
}
"""Field -> what messages and `Signature.differences` call it."""


def _single(text: str) -> Rule:
    """The rule that a text names."""
    [(_, rule)] = resolve(text).pairs
    return rule


# ---- writing -----------------------------------------------------------------------------------------------------


def of_explanation(
    rules: Assignment, seed: str = "logit", form: str = "plain", node: str = "", fused: bool = False
) -> Signature:
    """Return the signature of an explanation.

    Parameters
    ----------
    rules : Assignment
        The rules of the network's layers.
    seed, node : str
        As `seed_text` and `node_text` write them.
    form : str
        The form of the computation.
    fused : bool, default False
        Whether BatchNorm was folded away before.

    Returns
    -------
    Signature
        The signature.
    """
    kept = any(isinstance(place.layer, BatchNorm) for place, _, _ in rules.rows)
    return Signature(rules_text(rules), seed, "kept" if kept else "fused" if fused else "none", form, node)


def node_text(start: Start) -> str:
    """Return how a signature writes the node where an explanation starts; "" for the logits."""
    logits = start.net.logits if len(start.net.outputs) == 1 else None  # of several outputs, one was named
    return "" if start.node == logits and not start.is_head else _quoted(start.node)


def seed_text(seed: Any) -> str:
    """Return how a signature writes a seed; a mapping holds one for each of several outputs, or None.

    Examples
    --------
    >>> seed_text("logit"), seed_text(2.5), seed_text({"a": 1.0, "b": None})
    ('logit', '2.5', 'a=one')
    """
    if isinstance(seed, Mapping):
        return ";".join(f"{_quoted(name)}={seed_text(one)}" for name, one in seed.items() if one is not None)
    if isinstance(seed, str):
        return seed
    if isinstance(seed, Real):
        return "one" if seed == 1 else _number(seed)
    return _digest(np.asarray(to_numpy(seed)))


def rules_text(rules: Assignment) -> str:
    """Return how a signature writes the rules of a network: by name if they have one, otherwise layer by layer.

    Examples
    --------
    >>> from lrpref import Dense, Network, composites, rules
    >>> net = Network.sequential(*(Dense([[1.0]]) for _ in range(3)))
    >>> rules_text(composites.EpsilonPlus(epsilon=0.1).assign(net))
    'epsilon-plus(epsilon=0.1)'
    >>> rules_text(Composite([(0, rules.Flat()), (Dense, rules.Epsilon(0.1))]).assign(net))
    'layers(Dense=flat+2*epsilon(epsilon=0.1))'
    """
    named = None if rules.composite is None else composite_text(rules.composite)
    if named is not None:
        return named
    kinds = _by_kind([(place, rule_text(rule)) for place, rule, _ in rules.rows])
    groups = [f"{kind}={'+'.join(_runs(text for _, text in found))}" for kind, found in kinds.items()]
    reading = {name: getattr(rules.composite, name, None) for name in READING}
    groups = [*(f"{name}={value}" for name, value in reading.items() if value is not None), *groups]
    return f"layers({';'.join(groups)})"


READING = ("split", "mean")
"""The parameters of a composite that say how it reads products and norms; listed before the types of layers."""


def composite_text(composite: Composite) -> str | None:
    """Return the name under which `composites.resolve` knows a composite, with its parameters; None if it has none.

    The parameters are read from the rules, and count only if the preset makes the same pairs of them.
    """
    for name, preset in PRESETS.items():
        parameters = inspect.signature(preset).parameters
        found = {key: value for key in parameters for value in _values(composite, key)}
        needed = {key for key, parameter in parameters.items() if parameter.default is parameter.empty}
        if needed <= found.keys() and _makes(partial(preset, **found), composite):
            changed = {key: value for key, value in found.items() if _differs(value, parameters[key].default)}
            return _call(name, changed)
    if len(composite.pairs) == 1 and _makes(partial(resolve, composite.pairs[0][1]), composite):
        return rule_text(composite.pairs[0][1])
    return None


def rule_text(rule: Rule) -> str:
    """Return how a signature writes a rule: its name, and the parameters that differ from their defaults.

    Examples
    --------
    >>> from lrpref import rules
    >>> rule_text(rules.Epsilon(0.1)), rule_text(rules.ZBox(0.0, 1.0)), rule_text(rules.AlphaBeta(bias="ignore"))
    ('epsilon(epsilon=0.1)', 'z-box(low=0,high=1)', "alpha-beta(bias='ignore')")
    """
    known = RULES.get(rule.name) is type(rule)
    name = rule.name if known else f"own.{_quoted(type(rule).__name__)}"
    values = {field.name: (getattr(rule, field.name), field.default) for field in fields(rule)}
    return _call(name, {key: value for key, (value, default) in values.items() if _differs(value, default)})


def _call(name: str, parameters: Mapping[str, Any]) -> str:
    """A name, with its parameters in parentheses if there are any."""
    written = ",".join(f"{key}={_value(value)}" for key, value in parameters.items())
    return f"{name}({written})" if written else name


def _value(value: Any) -> str:
    """A parameter; "?" for what a signature does not represent, such as a function."""
    if value is None or isinstance(value, bool | np.bool_):
        return str(value)
    if isinstance(value, Real):
        return _number(value)
    if isinstance(value, str):
        return f"'{_quoted(value)}'"
    if isinstance(value, Rule):
        return rule_text(value)
    return _array(np.asarray(to_numpy(value))) if is_array(value) else "?"


def _number(value: Any) -> str:
    """The shortest decimal that is this number; a fraction that is no float as numerator/denominator."""
    if isinstance(value, Integral):
        return str(int(value))
    try:
        number = float(value)
    except OverflowError:
        return str(value)
    if number != value:
        return str(value)
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)


def _array(array: np.ndarray) -> str:
    """A number, a short list of numbers, or a digest."""
    if array.ndim == 0:
        return _number(array[()])
    short = array.ndim == 1 and 0 < array.size <= WRITTEN_OUT and array.dtype in (np.float32, np.float64)
    return f"[{','.join(_number(float(value)) for value in array)}]" if short else _digest(array)


def _quoted(text: str) -> str:
    """Text without the characters that separate the parts of a signature, as in a URL."""
    return str(import_module("urllib.parse").quote(text, safe=""))  # imported here: `import lrpref` has no use for it


def _digest(array: np.ndarray) -> str:
    """The shape of an array, and the first twelve hexadecimal digits of the SHA-256 of its numbers in float64."""
    values = np.ascontiguousarray(array, dtype="<f8") + 0.0  # so that -0 and 0 are one number
    shape = ",".join(map(str, array.shape))
    return f"array({shape})#{import_module('hashlib').sha256(values.tobytes()).hexdigest()[:12]}"


# ---- names of composites -----------------------------------------------------------------------------------------


def _values(composite: Composite, key: str) -> Iterator[Any]:
    """The value of a parameter of this name: the composite's own, or the first among its rules; nothing if none."""
    if key == "joins":
        yield from _joins(composite)
    if key in READING and getattr(composite, key) is not None:
        yield getattr(composite, key)
        return
    for _, rule in composite.pairs:
        if any(field.name == key for field in fields(rule)):
            yield getattr(rule, key)
            return


def _joins(composite: Composite) -> Iterator[str]:
    """The name in `JOINS` of the rule for joins, if it has one."""
    for selector, rule in composite.pairs:
        if selector == (Add, Subtract):
            stabilizer = getattr(rule, "epsilon", getattr(rule, "stabilizer", 0.0))
            yield from [name for name, make in JOINS.items() if _same_rule(make(stabilizer), rule)]


def _makes(make: Callable[[], Composite], composite: Composite) -> bool:
    """Whether `make` returns a composite of the same pairs that reads networks alike."""
    try:
        made = make()
    except LrprefError:
        return False
    if len(made.pairs) != len(composite.pairs) or any(getattr(made, k) != getattr(composite, k) for k in READING):
        return False
    return all(a[0] == b[0] and _same_rule(a[1], b[1]) for a, b in zip(made.pairs, composite.pairs, strict=True))


def _same_rule(rule: Rule, other: Rule) -> bool:
    """Whether two rules are of one type and have equal parameters, arrays included."""
    same = type(rule) is type(other)
    return same and not any(_differs(getattr(rule, f.name), getattr(other, f.name)) for f in fields(rule))


def _differs(value: Any, other: Any) -> bool:
    """Whether two parameters differ."""
    if is_array(value) or is_array(other):
        same_kind = is_array(value) and is_array(other)
        return not same_kind or not np.array_equal(to_numpy(value), to_numpy(other))
    if isinstance(value, Rule) and isinstance(other, Rule):
        return not _same_rule(value, other)
    return bool(value != other)


# ---- rules by layer ----------------------------------------------------------------------------------------------


def _by_kind(found: Sequence[Any]) -> dict[str, list[Any]]:
    """Places, or tuples that begin with one, by the type of their layer."""
    kinds: dict[str, list[Any]] = {}
    for one in found:
        place = one if isinstance(one, Place) else one[0]
        kinds.setdefault(_quoted(type(place.layer).__name__), []).append(one)
    return kinds


def _runs(texts: Iterator[str]) -> Iterator[str]:
    """Equal neighbours as "count*text"."""
    for text, run in groupby(texts):
        count = len(list(run))
        yield text if count == 1 else f"{count}*{text}"


def _listed(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each type of layer in "layers(...)" with the rules of its layers."""
    for group in _split(text.removeprefix("layers(").removesuffix(")"), ";"):
        kind, _, runs = group.partition("=")
        rules: list[str] = []
        for run in _split(runs, "+"):
            counted = re.fullmatch(r"([0-9]{1,6})\*(.*)", run)
            rules += [counted[2]] * int(counted[1]) if counted else [run]
        yield kind, rules


def _split(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that are outside parentheses and brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part for part in parts if part]


def node_name(text: str) -> str | None:
    """Return the name of the node that a signature writes as `text`; None for the logits."""
    return import_module("urllib.parse").unquote(text) or None
