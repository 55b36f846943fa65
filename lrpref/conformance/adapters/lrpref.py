"""lrpref itself, held to its own table: in float64, and in exact arithmetic, where equality is demanded."""

from __future__ import annotations

import warnings

import numpy as np

import lrpref

from ...composites import Composite
from ...errors import RelevanceWarning
from ...rational.conversion import to_float
from ..adapter import NotOffered
from ..case import Case

INSTALL = "lrpref"


class Lrpref:
    """lrpref in the number type of the case's network."""

    library = "lrpref"
    version = lrpref.__version__

    def explain(self, case: Case) -> np.ndarray:
        """Relevance of the input, after a look at the books."""
        return to_float(self._trace(case).relevance)

    def promise(self, case: Case) -> str | None:
        """The equation in the rule's docstring; lrpref promises every case of its table."""
        told = {f"{rule.equation} [{rule.source}]" for rule in case.rules.values()}
        return "; ".join(sorted(told)) or case.title

    def details(self, case: Case) -> dict[str, np.ndarray]:
        """What else the table may know of a case: see `suite.details`."""
        return {name: to_float(value) for name, value in self._details(case).items()}

    def _trace(self, case: Case) -> lrpref.Trace:
        """The explanation, whose books must close."""
        with warnings.catch_warnings():
            warnings.simplefilter("error", RelevanceWarning)
            by = Composite(list(case.rules.items()))
            return lrpref.trace(case.network, case.input, case.target, by, case.seed)

    def _details(self, case: Case) -> dict[str, np.ndarray]:
        tr = self._trace(case)
        found = {"output": case.network.forward(case.input)}
        found |= {f"at {node}": tr.at[node] for node in case.at}
        return found | {f"ledger {column}": tr.ledger[column].sum(axis=0) for column in case.ledger}


class Exact(Lrpref):
    """lrpref in fractions: it answers in fractions, and so is held to `==`."""

    library = "lrpref (exact)"

    def explain(self, case: Case) -> np.ndarray:
        """Relevance of the input as an object array of fractions."""
        return np.asarray(self._trace(self._rational(case)).relevance)

    def details(self, case: Case) -> dict[str, np.ndarray]:
        """As for float64, in fractions."""
        found = self._details(self._rational(case))
        return found

    def _rational(self, case: Case) -> Case:
        if case.exact is None:
            raise NotOffered("no exact value: the case needs an exponential, or is about floating point")
        return case.in_fractions()


def adapter() -> Lrpref:
    """lrpref in float64."""
    return Lrpref()


def exact() -> Exact:
    """lrpref in exact arithmetic."""
    return Exact()
