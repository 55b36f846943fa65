"""Read the table of cases, and check it: a file is understood as a whole, or refused with a message.

Reading neither unpickles nor evaluates anything. Text is parsed into fractions, and what a file may cost is bounded.
"""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable, Mapping

from .errors import CasesError, UnknownNameError, shortened

DATA = Path(__file__).parent / "data"
"""The folder of the table."""

FORMAT = "lrp-cases/1"
KINDS = ("relevance", "relation", "not-offered")

MAX_BYTES = 2**24
"""The most bytes of a file: 16 Mi."""

MAX_DEPTH = 64
"""The deepest nesting of lists and objects in a file."""

MAX_DIGITS = 300
"""The most digits of an integer, and the largest power of ten of a fraction; both are within the range of float64."""

NUMBER = re.compile(r"-?[0-9]{1,1000}(/[0-9]{1,1000})?")
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
CLAUSE = re.compile(r"[1-9][0-9]?\.[1-9][0-9]?[a-z]?")

ABOUT = ("id", "number", "title", "citation", "kind", "derivation", "revision")
"""The fields that every case has, besides its format."""

FIELDS = {
    "format", *ABOUT, "clauses", "network", "input", "seed", "target", "rules", "expected", "exact", "tolerance",
    "output", "at", "ledger", "check", "arguments", "questions", "comparisons", "adapters_only", "reason", "absent",
}  # fmt: skip
"""All fields of a case."""

ARRAYS = ("input", "expected", "output")
"""The fields whose values are arrays; a seed may also be a name or a number."""

CHANGES = {"network", "input", "seed", "target", "rules", "precision", "optional"}
"""What a question of a relation may change in the case, its number type, and whether the law holds without it."""

BOUNDS = ("tolerance", "of_largest", "unlike")
"""The bounds of a comparison: each has one of them."""

Case = Mapping[str, Any]
"""A case, as its file holds it."""


def load(folder: str | Path | None = None, only: str | None = None, profile: str | None = None) -> list[Case]:
    """Read the cases of a table.

    Parameters
    ----------
    folder : path, optional
        The folder of the table; by default the table of this package.
    only : str, optional
        A pattern that ids must match ("ab-*"), or the number of a question ("40").
    profile : str, optional
        The name of a profile.

    Returns
    -------
    list of mapping
        The content of the cases' files, in the order of the index, checked.

    Raises
    ------
    CasesError
        If a file is damaged, inconsistent, too large, or in another format.
    UnknownNameError
        If no case matches, or there is no such profile.

    Examples
    --------
    >>> [case["id"] for case in load(only="gamma-linear*")]
    ['gamma-linear', 'gamma-linear-generalised']
    """
    folder = DATA if folder is None else Path(folder)
    ids = load_index(folder)["cases"]
    members = set(ids) if profile is None else set(members_of(profile, folder))
    cases = []
    for name in ids:
        if name in members and (only is None or only.isdecimal() or fnmatchcase(name, only)):
            case = _load(folder, name)
            if only is None or fnmatchcase(name, only) or str(case["number"]) == only:
                cases.append(case)
    if not cases and only is not None:
        raise UnknownNameError("case", only, [name for name in ids if name in members])
    return cases


def load_index(folder: str | Path | None = None) -> Mapping[str, Any]:
    """Read the index of a table: its format, its version, and the ids in order.

    Parameters
    ----------
    folder : path, optional
        The folder of the table; by default the table of this package.

    Returns
    -------
    mapping
        The content of index.json, checked.

    Raises
    ------
    CasesError
        If the file is damaged or in another format.
    """
    folder = DATA if folder is None else Path(folder)
    index = read_object(folder / "index.json")
    if index.get("format") != FORMAT:
        got = shortened(index.get("format"))
        raise CasesError(f"{folder}: the index has format {got!r}; this version reads {FORMAT!r}")
    ids = index.get("cases")
    if not isinstance(ids, list) or not all(isinstance(i, str) and ID.fullmatch(i) for i in ids):
        raise CasesError(f"{folder}: 'cases' must be a list of ids")
    if len(set(ids)) != len(ids) or not isinstance(index.get("version"), str):
        raise CasesError(f"{folder}: the index contains an id twice, or no version")
    return index


def load_profiles(folder: str | Path | None = None) -> dict[str, Mapping[str, Any]]:
    """Read the profiles of a table: each has a title and the ids of its cases.

    Parameters
    ----------
    folder : path, optional
        The folder of the table; by default the table of this package.

    Returns
    -------
    dict of str to mapping
        Profiles by name; empty if the table has none.

    Raises
    ------
    CasesError
        If the file is damaged, or names a case that the table lacks.

    Examples
    --------
    >>> "core" in load_profiles()
    True
    """
    folder = DATA if folder is None else Path(folder)
    path = folder / "profiles.json"
    if not path.exists():
        return {}
    found, ids = read_object(path), set(load_index(folder)["cases"])
    profiles = found.get("profiles")
    if found.get("format") != FORMAT or not isinstance(profiles, dict):
        raise CasesError(f"{path}: expected the format {FORMAT!r} and 'profiles'")
    for name, profile in profiles.items():
        if not (isinstance(profile, dict) and set(profile) == {"title", "cases"} and _texts(profile["cases"])):
            raise CasesError(f"{path}: profile {shortened(name)!r} must have a title and a list of cases")
        strange = [case for case in profile["cases"] if case not in ids]
        if strange:
            raise CasesError(f"{path}: profile {name!r} names the unknown case {shortened(strange[0])!r}")
    return profiles


def members_of(profile: str, folder: str | Path | None = None) -> list[str]:
    """Return the ids of the cases of a profile; raises UnknownNameError."""
    profiles = load_profiles(folder)
    if profile not in profiles:
        raise UnknownNameError("profile", profile, profiles)
    found: list[str] = profiles[profile]["cases"]
    return found


# ---- numbers ---------------------------------------------------------------------------------------------------


def numbers(data: Any, kind: Callable[[Fraction], Any] = float) -> Any:
    """Return nested lists of text such as "-1/3" as nested lists of numbers.

    Parameters
    ----------
    data : list
        Nested lists of integers and fractions as text, not ragged.
    kind : callable, default float
        Converts a fraction; `Fraction` keeps it exact.

    Returns
    -------
    list
        The same nested lists, of numbers. Floats are rounded once.

    Raises
    ------
    CasesError
        If the data is anything else.

    Examples
    --------
    >>> numbers([["1/2", "-3"]])
    [[0.5, -3.0]]
    >>> numbers([["1/0"]])
    Traceback (most recent call last):
        ...
    lrp_cases.errors.CasesError: a fraction must not have the denominator zero, got 1/0
    """
    check_array(data)
    return _converted(data, kind)


def _converted(data: Any, kind: Callable[[Fraction], Any]) -> Any:
    """The numbers of an array that has been checked."""
    if isinstance(data, list):
        return [_converted(part, kind) for part in data]
    numerator, _, denominator = data.partition("/")
    return kind(Fraction(int(numerator), int(denominator or 1)))


def check_array(data: Any) -> None:
    """Raise CasesError unless the data consists of nested lists of one shape, of integers and fractions as text."""
    if not isinstance(data, list):
        raise CasesError(f"expected nested lists of numbers as text, got {shortened(data)!r}")
    shape_of(data)
    for value in flat(data):
        if not (isinstance(value, str) and NUMBER.fullmatch(value)):
            raise CasesError(f'expected integers and fractions as text, such as "-1/3", got {shortened(value)!r}')
        numerator, _, denominator = value.partition("/")
        if denominator and not denominator.strip("0"):
            raise CasesError(f"a fraction must not have the denominator zero, got {shortened(value)}")
        if len(numerator.lstrip("-0")) - len(denominator.lstrip("0")) > MAX_DIGITS:
            raise CasesError(f"a number is too large for a float: it starts with {shortened(value)}")


def shape_of(data: Any) -> tuple[int, ...]:
    """Return the shape of nested lists; raises CasesError if they are ragged.

    Examples
    --------
    >>> shape_of([[1, 2, 3], [4, 5, 6]]), shape_of(7)
    ((2, 3), ())
    """
    if not isinstance(data, list):
        return ()
    shapes = {shape_of(part) for part in data}
    if len(shapes) > 1:
        raise CasesError("expected nested lists of one shape, of numbers as text; got lists of different lengths")
    return (len(data), *(shapes.pop() if shapes else ()))


def flat(data: Any) -> list[Any]:
    """Return the entries of nested lists in order.

    Examples
    --------
    >>> flat([[1, 2], [3]])
    [1, 2, 3]
    """
    return [entry for part in data for entry in flat(part)] if isinstance(data, list) else [data]


# ---- checks of a case ------------------------------------------------------------------------------------------


def check_case(data: Case) -> None:
    """Raise CasesError unless the data is a consistent case of this format.

    Layers and rules are not checked here, but where they are computed: data/schema.json describes them.

    Parameters
    ----------
    data : mapping
        The content of a case's file.

    Raises
    ------
    CasesError
        If a field is missing, unknown, or of the wrong type.
    """
    _check_about(data)
    if "tolerance" in data and not _number(data["tolerance"]):
        raise CasesError("case {!r}: tolerance must be a number".format(data["id"]))
    for key in (*ARRAYS, *(["seed"] if isinstance(data.get("seed"), list) else [])):
        if key in data:
            if not isinstance(data[key], list):
                got = shortened(data[key])
                raise CasesError("case {!r}: {} must be a list of numbers, got {!r}".format(data["id"], key, got))
            check_array(data[key])
    {"relevance": _check_relevance, "relation": _check_relation}.get(data["kind"], _check_reason)(data)
    if ("network" in data) is not ("input" in data):
        raise CasesError("case {!r} needs a network and an input, and one of these is missing".format(data["id"]))


def _check_about(data: Case) -> None:
    """Raise CasesError unless all required fields are there and valid, and no field is unknown."""
    who = "case {!r}".format(shortened(data.get("id")))
    strange = set(data) - FIELDS
    if strange:
        raise CasesError(f"{who} has unknown fields: {sorted(map(shortened, strange))}")
    if data.get("format") != FORMAT:
        raise CasesError("{} has format {!r}; this version reads {!r}".format(who, data.get("format"), FORMAT))
    missing = [key for key in ABOUT if key not in data]
    if missing:
        raise CasesError("{} lacks {}".format(who, ", ".join(missing)))
    for key, kind in (("title", str), ("citation", str), ("number", int), ("revision", int)):
        if not isinstance(data[key], kind) or isinstance(data[key], bool):
            raise CasesError(f"{who}: {key} must be {kind.__name__}, got {shortened(data[key])!r}")
    if not (isinstance(data["id"], str) and ID.fullmatch(data["id"])):
        raise CasesError("an id must consist of letters, digits and hyphens, got {!r}".format(shortened(data["id"])))
    clauses = data.get("clauses", [])
    if not (isinstance(clauses, list) and all(isinstance(c, str) and CLAUSE.fullmatch(c) for c in clauses)):
        raise CasesError(f"{who}: clauses must be a list of numbers such as '6.5a', got {shortened(clauses)!r}")
    if data["kind"] not in KINDS:
        raise CasesError("{} has kind {!r}; expected one of {}".format(who, shortened(data["kind"]), ", ".join(KINDS)))


def _check_relevance(data: Case) -> None:
    """Raise CasesError unless a map is asked for, and its expected value is there."""
    if not {"network", "input", "expected"} <= set(data):
        raise CasesError(
            "case {!r} needs a network, an input and the expected relevance ('expected')".format(data["id"])
        )
    shapes = shape_of(data["input"]), shape_of(data["expected"])
    if shapes[0] != shapes[1]:
        told = "an input of shape {} but relevance of shape {}".format(*shapes)
        raise CasesError("case {!r} has {}".format(data["id"], told))
    if isinstance(data.get("seed"), list) is not (data.get("target") is None):
        raise CasesError("case {!r}: a seed array excludes a target, every other seed needs one".format(data["id"]))


def _check_relation(data: Case) -> None:
    """Raise CasesError unless a law is named, and its questions and comparisons fit together."""
    who = "case {!r}".format(data["id"])
    if not isinstance(data.get("check"), str) or not data["check"]:
        raise CasesError(f"{who} is a relation and needs a check")
    if "adapters_only" in data:
        if not isinstance(data["adapters_only"], str) or "questions" in data or "comparisons" in data:
            raise CasesError(f"{who}: adapters_only must be the reason why there are no questions")
        return
    questions, comparisons = data.get("questions"), data.get("comparisons")
    if not (isinstance(questions, dict) and isinstance(comparisons, list) and questions and comparisons):
        raise CasesError(f"{who} is a relation and needs questions and comparisons, or adapters_only")
    if not ("network" in data and "input" in data):
        raise CasesError(f"{who}: its questions change its network and input, and one of these is missing")
    for name, changes in questions.items():
        if not (ID.fullmatch(name) and isinstance(changes, dict) and set(changes) <= CHANGES):
            raise CasesError("{}: question {!r} may change {}".format(who, shortened(name), ", ".join(sorted(CHANGES))))
        if "input" in changes:
            check_array(changes["input"])
    for comparison in comparisons:
        _check_comparison(who, comparison, questions)


def _check_comparison(who: str, comparison: Any, questions: Mapping[str, Any]) -> None:
    """Raise CasesError unless a comparison has two sides and one bound."""
    if not (isinstance(comparison, dict) and {"what", "got", "expected"} <= set(comparison)):
        raise CasesError(f"{who}: a comparison needs what, got and expected")
    bound = [key for key in comparison if key not in ("what", "got", "expected")]
    if len(bound) != 1 or bound[0] not in BOUNDS or not _number(comparison[bound[0]]):
        raise CasesError("{}: a comparison needs one bound, one of {}".format(who, ", ".join(BOUNDS)))
    for side in (comparison["got"], comparison["expected"]):
        known = isinstance(side, dict) and ({"numbers"} == set(side) or _answer(side, questions))
        if not known:
            raise CasesError(f"{who}: a side of a comparison must be numbers, or the answer of a question")
        for key in ("numbers", "times"):
            if key in side:
                check_array(side[key])


def _answer(side: Mapping[str, Any], questions: Mapping[str, Any]) -> bool:
    """Whether a side of a comparison is made of the answer to one of the questions."""
    sample = side.get("sample", 0)
    return (
        {"answer"} <= set(side) <= {"answer", "sample", "times", "sum"}
        and isinstance(side["answer"], str)
        and side["answer"] in questions
        and isinstance(sample, int)
        and sample >= 0
        and side.get("sum", True) is True
    )


def _check_reason(data: Case) -> None:
    """Raise CasesError unless a case without an answer says why."""
    if not isinstance(data.get("reason"), str):
        raise CasesError("case {!r} must say for which reason there is nothing to compute".format(data["id"]))


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


# ---- files -----------------------------------------------------------------------------------------------------


def _load(folder: Path, name: str) -> Case:
    """Read one case."""
    path = folder / "cases" / (name + ".json")
    data = read_object(path)
    try:
        check_case(data)
    except CasesError as error:
        raise CasesError(f"{path}: {error}") from error
    if data["id"] != name:
        raise CasesError("{} contains the case {!r}".format(path, data["id"]))
    return data


def read_object(path: str | Path) -> dict[str, Any]:
    """Read a JSON object from a file of bounded size and depth.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict
        The object.

    Raises
    ------
    CasesError
        If the file does not exist, is no JSON, too large or too deep, has a key twice, or holds anything else.
    """
    try:
        with open(str(path), "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        data = parse(content.decode("utf-8"))
    except (OSError, ValueError) as error:
        raise CasesError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(data, dict):
        raise CasesError(f"{path} contains a {type(data).__name__}; expected a JSON object")
    return data


def parse(text: str) -> Any:
    """Parse JSON of bounded depth and digits, in which no key occurs twice; raises ValueError."""
    try:
        found = json.loads(text, parse_int=_integer, object_pairs_hook=_unique)
    except RecursionError as error:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from error
    level = [found]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
    if any(isinstance(value, (dict, list)) for value in level):
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; raises ValueError if a key occurs twice, since the second value would replace the first unnoticed."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{shortened(twice)!r} occurs twice")
    return found


def _integer(digits: str) -> int:
    """Convert the digits of an integer; raises ValueError if there are too many."""
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits; at most {MAX_DIGITS} are supported")
    return int(digits)


def _children(value: Any) -> Any:
    """What a list or an object contains."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
