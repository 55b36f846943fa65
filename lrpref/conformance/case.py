"""The cases: small networks whose relevance is known, as data.

`cases/lrp_cases/data` contains one JSON file per case, with every number as text: an integer or a fraction. Its
README.md describes the format, its schema.json does so for programs. Reading a case neither unpickles nor evaluates
anything: text is parsed into fractions, and names are looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .. import layers as layer_types
from .. import rules as rule_types
from .._support.untrusted import UNREADABLE, reason
from ..errors import LrprefError, WeightsError, unknown
from ..layers import BatchNorm, Layer
from ..network import Network
from ..rational.conversion import exact
from ..rules import Rule
from .table import lrp_cases

FIXTURES = lrp_cases.DATA
FORMAT = lrp_cases.FORMAT

_ABOUT = ("id", "number", "title", "citation", "kind", "derivation", "revision")
_MORE = ("clauses", "target", "tolerance", "check", "arguments", "reason", "absent")


class CaseError(WeightsError):
    """A table of cases that is damaged, inconsistent, or in another format."""


@dataclass(frozen=True, eq=False)
class Case:
    """One case. Arrays are float64, each number rounded once from the fraction in the file, with the batch first.

    Parameters
    ----------
    id : str
        A stable name.
    number : int
        The question of the table that the case belongs to.
    title : str
        The statement.
    citation : str
        Who is known to answer otherwise.
    kind : str
        "relevance": `expected` is the relevance of the input. "relation": the law `check` must hold between the
        answers to several questions, or for what a call does besides answering (see `laws`).
        "not-offered": there is nothing to compute, for the `reason` given.
    clauses : sequence of str
        The clauses of the specification that the case rests on: "9.1", or "6.5a" for an answer to a question.
    network : Network
        The network; None if there is nothing to compute. An adapter never receives such a case.
    input : array, shape (N, ...)
        The explained input.
    seed : array, str or float, default "logit"
        The relevance at the output, as `lrpref.explain` takes it.
    target : int or None
        The index of the explained output; None with a seed array.
    rules : mapping of str to Rule
        The rule of each linear layer, by node.
    expected : array, shape of `input`, or None
        The relevance of the input.
    exact : array of fractions or None
        The same, where exact arithmetic must be equal to it.
    tolerance : float, default 0.0
        Absolute and relative tolerance for float64.
    output : array or None
        The result of the forward pass, where known.
    at : mapping of str to array
        Relevance at nodes, where known.
    ledger : mapping of str to array, shape (N,)
        Sums of the ledger's columns over the layers, where known.
    check : str or None
        The name of the law.
    arguments : mapping
        The parameters of the law.
    reason : str
        Why nothing can be computed.
    absent : mapping
        The layer or the parameter that lrpref lacks.
    derivation : str, default "hand"
        The origin of `expected`: "hand", or "matrix" for explicit matrices in fractions.
    revision : int, default 1
        Increased by every correction of the case.
    table : str
        The version of the case's table (see ERRATA.md).
    data : mapping
        The content of the file.
    """

    id: str
    number: int
    title: str
    citation: str
    kind: str
    clauses: Sequence[str] = ()
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
        """Build a case from the content of its file.

        Parameters
        ----------
        data : mapping
            The parsed JSON.
        table : str
            The version of the table.

        Returns
        -------
        Case
            The case with float64 arrays.

        Raises
        ------
        CaseError
            If the data is not a consistent case of this format.
        """
        try:
            with reported():
                lrp_cases.check_case(data)
            return replace(cls._built(data, floats), table=table)
        except CaseError:
            raise
        except (LrprefError, *UNREADABLE) as error:
            raise CaseError(f"case {str(data.get('id'))[:40]!r} cannot be built: {reason(error)}") from error

    def question(self, name: str) -> Case:
        """Return a question of a relation, by its name: a case without an expected value."""
        data = lrp_cases.question(self.data, name)
        about = {key: self.data[key] for key in _ABOUT}
        asked = self._built(about | {key: data[key] for key in data if key not in ("id", "precision")}, floats)
        if data["precision"] == "float32":
            low = np.float32
            asked = replace(asked, network=asked.network.astype(low), input=asked.input.astype(low))
        return replace(asked, tolerance=self.tolerance, data={}, table=self.table)

    def in_fractions(self) -> Case:
        """Return the case in exact numbers, without the head, for `lrpref.explain`."""
        case = self._built(self.data, fractions)
        return replace(case, network=exact(case.network.without_head()))

    def details(self) -> dict[str, np.ndarray]:
        """Return everything else that is known, by name: "output", "at conv1", "ledger bias"."""
        found = {} if self.output is None else {"output": self.output}
        found |= {f"at {node}": array for node, array in self.at.items()}
        return found | {f"ledger {column}": array for column, array in self.ledger.items()}

    @classmethod
    def _built(cls, data: Mapping[str, Any], numbers: Any) -> Case:
        """The case, with its arrays built by `numbers`."""
        found: dict[str, Any] = {key: data[key] for key in (*_ABOUT, *_MORE) if key in data}
        if "network" in data:
            found["network"] = _network(data["network"], numbers)
        for key in (*_ARRAYS, "seed"):
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


_ARRAYS = ("input", "expected", "output")
"""The keys whose values are lists of numbers; a seed may also be a name or a number."""

_COLUMNS = {"policy": "dropped"}
"""Columns of the ledger that have another name in the format lrp-cases/1."""


# ---- numbers ---------------------------------------------------------------------------------------------------


def fractions(data: Any) -> np.ndarray:
    """Nested lists of text such as "-1/3", as an object array of fractions; raises CaseError for anything else."""
    return _array(data, Fraction, object)


def floats(data: Any) -> np.ndarray:
    """The numbers of `fractions`, each rounded once to float64."""
    return _array(data, float, np.float64)


def _array(data: Any, kind: Callable[[Fraction], Any], dtype: Any) -> np.ndarray:
    with reported():
        return np.array(lrp_cases.numbers(data, kind), dtype=dtype)


# ---- networks and rules ----------------------------------------------------------------------------------------


def _network(data: Mapping[str, Any], numbers: Any) -> Network:
    """Build a network from its description; nodes with the same layer key share the layer."""
    built = {key: _layer(spec, numbers) for key, spec in data["layers"].items()}
    return Network([(node, built[key], inputs) for node, key, inputs in data["nodes"]])


def _layer(spec: Mapping[str, Any], numbers: Any) -> Layer:
    """Build a layer from its description. The weight and bias of a BatchNorm default to 1 and 0."""
    kind = getattr(layer_types, spec["type"], None) if spec["type"] in layer_types.__all__ else None
    if not (isinstance(kind, type) and issubclass(kind, Layer)):
        raise CaseError(f"no layer is called {spec['type']!r}")
    arrays = {name: numbers(array) for name, array in spec["arrays"].items()}
    if kind is BatchNorm:
        arrays = {"weight": None, "bias": None} | arrays
    config = {key: tuple(v) if isinstance(v, list) else v for key, v in spec["config"].items()}
    return kind(**arrays, **config)


def make_rule(spec: Mapping[str, Any], numbers: Any = floats) -> Rule:
    """Build a rule from its description: {"type": name of a class of lrpref.rules, parameter: value}."""
    kinds = {kind.__name__: kind for kind in rule_types.RULES.values()}
    if spec["type"] not in kinds:
        raise unknown("rule", spec["type"], kinds)
    values = {k: numbers(v) if isinstance(v, list) else v for k, v in spec.items() if k != "type"}
    return kinds[spec["type"]](**values)


# ---- checks ----------------------------------------------------------------------------------------------------


def _check(case: Case) -> None:
    """Raise CaseError if rules or relevance belong to nodes that the network lacks."""
    nodes = {*case.network.names, "input"} if "network" in case.data else set()
    if nodes and (strange := {*case.rules, *case.at} - nodes):
        raise CaseError(f"case {case.id!r} refers to nodes that its network lacks: {sorted(strange)}")


# ---- files -----------------------------------------------------------------------------------------------------


def load_cases(folder: str | Path | None = None, only: str | None = None, *, profile: str | None = None) -> list[Case]:
    """Read a table of cases.

    Parameters
    ----------
    folder : path or None
        The folder of the table; None for the cases that come with lrpref.
    only : str or None
        A pattern that ids must match ("ab-*"), or the number of a question ("40"); None for all cases.
    profile : str or None
        The name of a profile ("core"); None for all cases.

    Returns
    -------
    list of Case
        The cases in the order of the table's index.

    Raises
    ------
    CaseError
        If a file is damaged or has another format.
    UnknownNameError
        If `only` matches no case, or there is no such profile.

    Examples
    --------
    >>> [case.id for case in load_cases(only="gamma-linear*")]
    ['gamma-linear', 'gamma-linear-generalised']
    """
    folder = FIXTURES if folder is None else Path(folder)
    with reported():
        table = lrp_cases.load_index(folder)["version"]
        found = lrp_cases.load(folder, only, profile)
    return [_load(folder, data, table) for data in found]


@contextmanager
def reported() -> Iterator[None]:
    """Raise the errors of lrp_cases as lrpref's own."""
    try:
        yield
    except lrp_cases.UnknownNameError as error:
        raise unknown(error.kind, error.name, error.known) from error
    except lrp_cases.CasesError as error:
        raise CaseError(str(error)) from error


def _load(folder: Path, data: Mapping[str, Any], table: str) -> Case:
    """Build a case; errors name its file."""
    try:
        return Case.from_data(data, table)
    except CaseError as error:
        raise CaseError(f"{folder / 'cases' / data['id']}.json: {error}") from error
