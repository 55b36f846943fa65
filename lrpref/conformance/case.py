"""The cases: small networks whose relevance is known, as data.

They lie in `fixtures/`, one JSON file each, every number an integer or a fraction written as text; the format is
described in `fixtures/README.md` and, for machines, in `fixtures/schema.json`. Nothing is ever unpickled or
evaluated: text becomes fractions, names are looked up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .. import layers as layer_types
from .. import rules as rule_types
from ..errors import LrprefError, WeightsError, unknown
from ..layers import BatchNorm, Layer, Softmax
from ..network import Network
from ..rational.conversion import exact
from ..rules import Rule

FIXTURES = Path(__file__).parent / "fixtures"
FORMAT = "lrp-cases/1"
KINDS = ("relevance", "relation", "not-offered")

_NUMBER = re.compile(r"-?[0-9]{1,1000}(/[0-9]{1,1000})?")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_ABOUT = ("id", "number", "title", "citation", "kind", "derivation", "revision")
_MORE = ("target", "tolerance", "check", "arguments", "reason", "absent")


class CaseError(WeightsError):
    """A table of cases that is damaged, of another format, or lies about its content."""


@dataclass(frozen=True, eq=False)
class Case:
    """One case. Arrays are float64, each number the fraction in the file rounded once; batch first.

    id, number, title   a stable name; the question of the table that it belongs to; the statement
    citation            who is known to answer otherwise
    kind                "relevance": `expected` is the relevance of the input. "relation": the law `check` must hold
                        (see `laws`). "not-offered": there is nothing to run, and `reason` says why
    network, input      what is explained (None where there is nothing to run: an adapter never sees such a case)
    seed, target        as `lrpref.explain` takes them: an array of output relevance, "logit", "one", "probability"
                        or a number; the index of the explained output, None with an array
    rules               node -> rule, for every linear layer
    expected, exact     relevance of the input; the same as fractions where exact arithmetic must give `==`
    tolerance           absolute and relative, for float64
    output, at, ledger  more that is known, where it is: the forward pass; relevance at nodes; what the columns of
                        the ledger sum to, per sample
    derivation          where `expected` comes from: "hand", or "matrix" for explicit matrices in fractions
    revision, table     raised when a correction changes the case; the version of its table (see ERRATA.md)
    """

    id: str
    number: int
    title: str
    citation: str
    kind: str
    network: Network = None  # type: ignore[assignment]
    input: np.ndarray = None  # type: ignore[assignment]
    seed: np.ndarray | str | float = "logit"
    target: int | None = None
    rules: Mapping[str, Rule] = field(default_factory=dict)
    expected: np.ndarray | None = None
    exact: np.ndarray | None = None
    tolerance: float = 0.0
    output: np.ndarray | None = None
    at: Mapping[str, np.ndarray] = field(default_factory=dict)
    ledger: Mapping[str, np.ndarray] = field(default_factory=dict)
    check: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    absent: Mapping[str, Any] = field(default_factory=dict)
    derivation: str = "hand"
    revision: int = 1
    table: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_data(cls, data: Mapping[str, Any], table: str = "") -> Case:
        """A case from the content of its file; raises CaseError."""
        try:
            return replace(cls._built(data, floats), table=table)
        except CaseError:
            raise
        except (LrprefError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CaseError(f"case {str(data.get('id'))!r} cannot be built: {error!r}") from error

    def in_fractions(self) -> Case:
        """The same case with every number exact, for `lrpref.explain` to run on; without a final Softmax."""
        case = self._built(self.data, fractions)
        nodes = case.network.nodes
        rational = nodes[:-1] if isinstance(nodes[-1].layer, Softmax) else nodes
        return replace(case, network=exact(Network(rational)))

    def details(self) -> dict[str, np.ndarray]:
        """What else is known, by name: "output", "at conv1", "ledger bias"."""
        found = {} if self.output is None else {"output": self.output}
        found |= {f"at {node}": array for node, array in self.at.items()}
        return found | {f"ledger {column}": array for column, array in self.ledger.items()}

    @classmethod
    def _built(cls, data: Mapping[str, Any], numbers: Any) -> Case:
        """The case with its arrays made by `numbers`."""
        found: dict[str, Any] = {key: data[key] for key in (*_ABOUT, *_MORE) if key in data}
        _check_about(data)
        if "network" in data:
            found["network"] = _network(data["network"], numbers)
        for key in ("input", "expected", "output", "seed"):
            if key in data:
                found[key] = numbers(data[key]) if isinstance(data[key], list) else data[key]
        for key in ("at", "ledger"):
            found[key] = {_COLUMNS.get(name, name): numbers(array) for name, array in data.get(key, {}).items()}
        found["rules"] = {node: make_rule(spec, numbers) for node, spec in data.get("rules", {}).items()}
        if data.get("exact"):
            found["exact"] = fractions(data["expected"])
        case = cls(**found, data=data)
        _check(case)
        return case


_COLUMNS = {"policy": "dropped"}
"""Columns of the ledger that format lrp-cases/1 knows by another name."""


# ---- numbers ---------------------------------------------------------------------------------------------------


def fractions(data: Any) -> np.ndarray:
    """Nested lists of text such as "-1/3" as an object array of fractions; raises CaseError for anything else."""
    if not isinstance(data, list):
        raise CaseError(f"expected nested lists of numbers as text, got {data!r}")
    listed = np.asarray(data, dtype=object)
    values = np.empty(listed.shape, dtype=object)
    for index, value in np.ndenumerate(listed):
        if not (isinstance(value, str) and _NUMBER.fullmatch(value)):
            raise CaseError(f'expected integers and fractions as text, such as "-1/3", got {str(value)[:40]!r}')
        numerator, _, denominator = value.partition("/")
        if denominator and int(denominator) == 0:
            raise CaseError(f"a fraction over zero: {value[:40]!r}")
        values[index] = Fraction(int(numerator), int(denominator or 1))
    return values


def floats(data: Any) -> np.ndarray:
    """As `fractions`, each rounded once to float64."""
    found = fractions(data)
    return np.array([float(v) for v in found.reshape(-1)]).reshape(found.shape)


# ---- networks and rules ----------------------------------------------------------------------------------------


def _network(data: Mapping[str, Any], numbers: Any) -> Network:
    """A network from its description; a layer under two nodes is shared."""
    built = {key: _layer(spec, numbers) for key, spec in data["layers"].items()}
    return Network([(node, built[key], inputs) for node, key, inputs in data["nodes"]])


def _layer(spec: Mapping[str, Any], numbers: Any) -> Layer:
    """A layer from its description. A BatchNorm's weight and bias, where absent, are 1 and 0."""
    kind = getattr(layer_types, spec["type"], None) if spec["type"] in layer_types.__all__ else None
    if not (isinstance(kind, type) and issubclass(kind, Layer)):
        raise CaseError(f"no layer is called {spec['type']!r}")
    arrays = {name: numbers(array) for name, array in spec["arrays"].items()}
    if kind is BatchNorm:
        arrays = {"weight": None, "bias": None} | arrays
    config = {key: tuple(v) if isinstance(v, list) else v for key, v in spec["config"].items()}
    return kind(**arrays, **config)


def make_rule(spec: Mapping[str, Any], numbers: Any = floats) -> Rule:
    """A rule from its description: {"type": name of a class of lrpref.rules, parameter: value}."""
    kinds = {kind.__name__: kind for kind in rule_types.RULES.values()}
    if spec["type"] not in kinds:
        raise unknown("rule", spec["type"], kinds)
    values = {k: numbers(v) if isinstance(v, list) else v for k, v in spec.items() if k != "type"}
    return kinds[spec["type"]](**values)


# ---- is it a case ----------------------------------------------------------------------------------------------


def _check_about(data: Mapping[str, Any]) -> None:
    """Raise CaseError unless the fields that every case has are there, and no field is unheard of."""
    known = {f.name for f in fields(Case)} - {"table", "data"} | {"format"}
    if strange := set(data) - known:
        raise CaseError(f"case {data.get('id')!r} has fields that this version does not know: {sorted(strange)}")
    if data.get("format") != FORMAT:
        raise CaseError(f"case {data.get('id')!r} is of format {data.get('format')!r}, this version reads {FORMAT!r}")
    if missing := [key for key in _ABOUT if key not in data]:
        raise CaseError(f"case {data.get('id')!r} lacks {', '.join(missing)}")
    types = {"title": str, "citation": str, "number": int, "revision": int}
    if wrong := [key for key, kind in types.items() if not isinstance(data[key], kind)]:
        raise CaseError(f"case {data['id']!r}: {wrong[0]} must be {types[wrong[0]].__name__}, got {data[wrong[0]]!r}")
    if not (isinstance(data["id"], str) and _ID.fullmatch(data["id"])):
        raise CaseError(f"an id is letters, digits and hyphens, got {data['id']!r}")
    if data["kind"] not in KINDS:
        raise CaseError(f"case {data['id']!r} is of kind {data['kind']!r}; kinds are {', '.join(KINDS)}")


def _check(case: Case) -> None:
    """Raise CaseError where a case contradicts itself."""
    if case.kind == "relation" and not case.check:
        raise CaseError(f"case {case.id!r} is a relation and names no check")
    if case.kind != "relevance":
        return
    if not {"network", "input", "expected"} <= set(case.data):
        raise CaseError(f"case {case.id!r} needs a network, an input and the expected relevance")
    if case.expected is not None and case.input.shape != case.expected.shape:
        raise CaseError(f"case {case.id!r} has an input {case.input.shape}, but relevance {case.expected.shape}")
    if isinstance(case.seed, np.ndarray) is not (case.target is None):
        raise CaseError(f"case {case.id!r}: a seed array has no target, every other seed has one")
    if strange := {*case.rules, *case.at} - {*case.network.names, "input"}:
        raise CaseError(f"case {case.id!r} speaks of nodes that its network lacks: {sorted(strange)}")


# ---- files -----------------------------------------------------------------------------------------------------


def load_cases(folder: str | Path | None = None, only: str | None = None) -> list[Case]:
    """The cases of a folder, in the order of its index; None for those that come with lrpref.

    only  a pattern that ids must match ("ab-*"), or the number of a question ("40")

    Raises CaseError for files that are damaged or of another format, UnknownNameError if `only` matches nothing.

    >>> [case.id for case in load_cases(only="gamma-linear*")]
    ['gamma-linear', 'gamma-linear-generalised']
    """
    folder = FIXTURES if folder is None else Path(folder)
    index = _index(folder)
    wanted = [name for name in index["cases"] if only is None or only.isdecimal() or fnmatchcase(name, only)]
    cases = [_load(folder, name, index["version"]) for name in wanted]
    chosen = [case for case in cases if only is None or fnmatchcase(case.id, only) or str(case.number) == only]
    if only is not None and not chosen:
        raise unknown("case", only, index["cases"])
    return chosen


def _index(folder: Path) -> Mapping[str, Any]:
    """The table's index: format, version, and the ids in order."""
    index = _json(folder / "index.json")
    if index.get("format") != FORMAT:
        raise CaseError(f"{folder}: format {index.get('format')!r}, this version reads {FORMAT!r}")
    ids = index.get("cases")
    if not isinstance(ids, list) or not all(isinstance(i, str) and _ID.fullmatch(i) for i in ids):
        raise CaseError(f"{folder}: the index lists no ids")
    if len(set(ids)) != len(ids) or not isinstance(index.get("version"), str):
        raise CaseError(f"{folder}: the index lists an id twice, or has no version")
    return index


def _load(folder: Path, name: str, version: str) -> Case:
    path = folder / "cases" / f"{name}.json"
    try:
        case = Case.from_data(_json(path), version)
    except CaseError as error:
        raise CaseError(f"{path}: {error}") from error
    if case.id != name:
        raise CaseError(f"{path} holds the case {case.id!r}")
    return case


def _json(path: Path) -> Mapping[str, Any]:
    """A JSON object in a file; raises CaseError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CaseError(f"{path} is no readable JSON: {error}") from error
    if not isinstance(data, dict):
        raise CaseError(f"{path} holds {type(data).__name__}, not an object")
    return data
