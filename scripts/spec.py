"""Read cases/SPEC.md: its clauses, the answers to its questions, and its profiles.

It imports nothing from lrpref, so that `make_cases.py` may use it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SPEC = Path(__file__).parent.parent / "cases" / "SPEC.md"

CLAUSE = re.compile(r'^### <a id="(?P<number>\d+\.\d+)"></a>(?P=number) (?P<title>.+)\n(?P<text>(?:(?!##).*\n)*)', re.M)
ANSWER = re.compile(
    r"^- \*\*(?P<number>\d+\.\d+)(?P<letter>[a-z])\*\* `(?P<name>[a-z0-9-]+)`: (?P<text>.+(?:\n  .+)*)", re.M
)
RESTS = "Every case rests on this clause; none cites it."
UNTESTED = re.compile(r"No\s+case\s+tests\s+this\s+clause")


@dataclass(frozen=True)
class Answer:
    """An answer to the question that a clause asks: its name, and its text on one line."""

    name: str
    text: str


@dataclass(frozen=True)
class Clause:
    """A clause of the specification.

    Parameters
    ----------
    number, title, text : str
        The number ("3.2"), the title, and everything below it up to the next heading, in Markdown.
    answers : mapping of str to Answer
        Letter -> answer; empty for a clause that asks nothing.
    """

    number: str
    title: str
    text: str
    answers: Mapping[str, Answer]

    @property
    def question(self) -> str:
        """The first question of the text, on one line; empty for a clause that asks nothing."""
        found = re.search(r"(?:^|(?<=[.] )|(?<=[.]\n))[A-Z][^.?]*\?", self.text)
        return " ".join(found[0].split()) if found else ""

    @property
    def summary(self) -> str:
        """The first paragraph of the text, on one line and without its full stop."""
        return " ".join(self.text.split("\n\n")[0].split()).rstrip(".")

    @property
    def uncited(self) -> bool:
        """Whether the clause says that no case cites it."""
        return RESTS in self.text or UNTESTED.search(self.text) is not None


def read(page: str | None = None) -> dict[str, Clause]:
    """Read the clauses of the specification by number, in its order.

    Parameters
    ----------
    page : str, optional
        The text of the specification; None for cases/SPEC.md.

    Raises
    ------
    ValueError
        If a number or a letter is given twice, or an answer stands under another clause.
    """
    page = SPEC.read_text(encoding="utf-8") if page is None else page
    found: dict[str, Clause] = {}
    for match in CLAUSE.finditer(page):
        number = match["number"]
        answers: dict[str, Answer] = {}
        for answer in ANSWER.finditer(match["text"]):
            if answer["number"] != number or answer["letter"] != chr(ord("a") + len(answers)):
                raise ValueError(f"clause {number} lists the answer {answer['number']}{answer['letter']}")
            answers[answer["letter"]] = Answer(answer["name"], " ".join(answer["text"].split()))
        if number in found:
            raise ValueError(f"clause {number} is defined twice")
        found[number] = Clause(number, match["title"], match["text"].strip(), answers)
    return found


def version(page: str | None = None) -> str:
    """Return the version that the specification states."""
    page = SPEC.read_text(encoding="utf-8") if page is None else page
    found = re.search(r"^Version (\d+\.\d+(?:\.\d+)?)$", page, re.M)
    if found is None:
        raise ValueError("the specification states no version")
    return found[1]


def profiles(clauses: Mapping[str, Clause]) -> dict[str, tuple[str, ...]]:
    """Return the profiles in their order: name -> the clauses, and the answers, that it lists."""
    listed = {
        c.title: re.search(r"^Clauses: ((?:[\d.]+[a-z]?,\s+)*[\d.]+[a-z]?)$", c.text, re.M) for c in clauses.values()
    }
    return {title.strip("`"): tuple(re.split(r",\s+", found[1])) for title, found in listed.items() if found}


def number_of(citation: str) -> str:
    """Return the number of the clause that a citation such as "3.2a" belongs to."""
    return citation.rstrip("abcdefghijklmnopqrstuvwxyz")


def order(citation: str) -> tuple[int, int, str]:
    """Return a key that sorts citations in the order of the specification."""
    section, _, rest = number_of(citation).partition(".")
    return int(section), int(rest), citation
