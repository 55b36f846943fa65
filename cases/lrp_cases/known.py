"""Known differences: a list of what a library is known to answer otherwise, held to strictly. And the exit codes.

    {"library": "zennit", "versions": ["1.0.0"],
     "known": [{"id": "gamma-z-zero", "reason": "z = 0 belongs to neither branch", "link": "https://..."}]}

Whatever differs must be listed, as an error or as a convention, and whatever is listed must differ. So a library with
known differences is green today, and turns red on any change, for the better too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Collection, Mapping, Sequence

from .errors import CasesError, UnknownNameError, shortened
from .reader import read_object

GREEN, RED, UNUSABLE, NOTHING = 0, 1, 2, 3
"""The exit codes: nothing differs beyond what is known; something does; a file or a command cannot be used; and nothing
differs, but no case was answered either."""

OTHERWISE = ("differs", "convention", "error")
"""The verdicts on an answer that is not the expected one."""


@dataclass(frozen=True)
class Known:
    """The known differences of a library.

    Parameters
    ----------
    library : str
        The name of the library.
    versions : sequence of str
        The versions for which the list was written.
    known : mapping of str to mapping
        The reason and the link of each difference, by the id of its case.
    """

    library: str
    versions: Sequence[str]
    known: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Settled:
    """Verdicts held against known differences.

    Parameters
    ----------
    kept : list of str
        The ids that are listed, and differ.
    new : list of str
        The ids that differ, and are not listed.
    fixed : list of str
        The ids that are listed, and agree.
    silent : list of str
        The ids that are listed, and have no answer.
    """

    kept: list[str]
    new: list[str]
    fixed: list[str]
    silent: list[str]

    @property
    def green(self) -> bool:
        """Whether the list says exactly what differs."""
        return not (self.new or self.fixed or self.silent)


def read_known(path: str | Path, ids: Collection[str], library: str = "") -> Known:
    """Read a file of known differences.

    Parameters
    ----------
    path : path
        The file.
    ids : collection of str
        The ids of all cases of the table.
    library : str
        The library that is judged; "" if its name is not known.

    Returns
    -------
    Known
        The content of the file.

    Raises
    ------
    CasesError
        If the file is damaged, incomplete, lists an id twice, or is about another library.
    UnknownNameError
        If it lists an id that the table lacks.
    """
    data = read_object(path)
    if set(data) != {"library", "versions", "known"}:
        got = ", ".join(sorted(map(shortened, data))) or "nothing"
        raise CasesError(f"{path}: expected library, versions and known, got {got}")
    if not isinstance(data["library"], str) or not _texts(data["versions"]):
        raise CasesError(f"{path}: library must be text, and versions a list of text")
    if library and data["library"] != library:
        raise CasesError("{} is about {}, but {} is judged".format(path, shortened(data["library"]), library))
    if not isinstance(data["known"], list):
        raise CasesError(f"{path}: known must be a list")
    found: dict[str, Mapping[str, str]] = {}
    for entry in data["known"]:
        if not (isinstance(entry, dict) and set(entry) == {"id", "reason", "link"} and _texts(list(entry.values()))):
            told = "a known difference needs an id, a reason and a link, all text"
            raise CasesError(f"{path}: {told}; got {shortened(entry)!r}")
        if not entry["reason"].strip():
            raise CasesError("{}: {} has no reason".format(path, shortened(entry["id"])))
        if entry["id"] not in ids:
            raise UnknownNameError("case", entry["id"], ids)
        if entry["id"] in found:
            raise CasesError("{} lists {} twice".format(path, entry["id"]))
        found[entry["id"]] = {"reason": entry["reason"], "link": entry["link"]}
    return Known(data["library"], data["versions"], found)


def settle(verdicts: Mapping[str, str], known: Known) -> Settled:
    """Hold verdicts against known differences; entries about other cases than these are left out.

    Parameters
    ----------
    verdicts : mapping of str to str
        The verdict on each case that was judged, by id.
    known : Known
        The known differences.

    Returns
    -------
    Settled
        The ids, by what became of them.

    Examples
    --------
    >>> known = Known("mine", [], {"a": {"reason": "r", "link": ""}, "b": {"reason": "r", "link": ""}})
    >>> settled = settle({"a": "differs", "b": "agrees", "c": "differs"}, known)
    >>> settled.kept, settled.fixed, settled.new, settled.green
    (['a'], ['b'], ['c'], False)
    """
    otherwise = [id_ for id_, verdict in verdicts.items() if verdict in OTHERWISE]
    return Settled(
        [id_ for id_ in otherwise if id_ in known.known],
        [id_ for id_ in otherwise if id_ not in known.known],
        [id_ for id_, verdict in verdicts.items() if verdict == "agrees" and id_ in known.known],
        [id_ for id_, verdict in verdicts.items() if verdict == "not-offered" and id_ in known.known],
    )


def exit_code(verdicts: Mapping[str, str], known: Known | None = None) -> int:
    """Return the exit code for verdicts: GREEN, RED or NOTHING.

    Parameters
    ----------
    verdicts : mapping of str to str
        The verdict on each case, by id.
    known : Known, optional
        The known differences. Without them, a convention is not red.

    Returns
    -------
    int
        The exit code.

    Examples
    --------
    >>> exit_code({"a": "agrees", "b": "convention"}), exit_code({"a": "differs"}), exit_code({"a": "not-offered"})
    (0, 1, 3)
    """
    if not (settle(verdicts, known).green if known else {"differs", "error"}.isdisjoint(verdicts.values())):
        return RED
    return GREEN if set(verdicts.values()) - {"not-offered"} else NOTHING


def draft(library: str, version: str, reasons: Mapping[str, str], link: str = "") -> dict[str, Any]:
    """Return the content of a file of known differences, to be completed by hand.

    Parameters
    ----------
    library, version : str
        The library.
    reasons : mapping of str to str
        The reason for each difference, by the id of its case.
    link : str
        Where more is said about all of them.

    Returns
    -------
    dict
        What `read_known` reads, as JSON.
    """
    known = [{"id": id_, "reason": reason or "to be explained", "link": link} for id_, reason in reasons.items()]
    return {"library": library, "versions": [version], "known": known}


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)
