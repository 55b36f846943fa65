"""The adapters of lrpref itself: in float64, and in exact arithmetic, where answers must be equal."""

from __future__ import annotations

import warnings

import numpy as np

from ..._support.version import __version__
from ...backend import to_numpy
from ...composites import Composite
from ...errors import RelevanceWarning
from ...rational.conversion import to_float
from ...walk import Trace, trace
from ..adapter import NotOffered
from ..case import Case

INSTALL = "lrpref"


class Lrpref:
    """lrpref in the number type of the case's network."""

    library = "lrpref"
    version = __version__

    def explain(self, case: Case) -> np.ndarray:
        """Relevance of the input; a RelevanceWarning is an error."""
        return to_float(self._trace(case).relevance)

    def promise(self, case: Case) -> str | None:
        """The equations of the rules; lrpref promises every case of its table."""
        equations = {f"{rule.equation} [{rule.source}]" for rule in case.rules.values()}
        return "; ".join(sorted(equations)) or case.title

    def details(self, case: Case) -> dict[str, np.ndarray]:
        """Everything that the table may know beyond the map: see `Case.details`."""
        return {name: to_float(value) for name, value in self._details(case).items()}

    def _trace(self, case: Case) -> Trace:
        """The explanation; raises RelevanceWarning if the ledger has a residual."""
        with warnings.catch_warnings():
            warnings.simplefilter("error", RelevanceWarning)
            by = Composite(list(case.rules.items()))
            return trace(case.network, case.input, case.target, by, case.seed)

    def _details(self, case: Case) -> dict[str, np.ndarray]:
        tr = self._trace(case)
        found = {"output": to_numpy(case.network.forward(case.input))}
        found |= {f"at {node}": to_numpy(tr.at[node]) for node in case.at}
        return found | {f"ledger {column}": to_numpy(tr.ledger[column]).sum(axis=0) for column in case.ledger}


class Exact(Lrpref):
    """lrpref in fractions. Its answers are fractions too, and must be equal to the expected ones."""

    library = "lrpref (exact)"

    def explain(self, case: Case) -> np.ndarray:
        """Relevance of the input as an object array of fractions."""
        return np.asarray(self._trace(self._rational(case)).relevance)

    def details(self, case: Case) -> dict[str, np.ndarray]:
        """The details of `Lrpref`, in fractions."""
        return self._details(self._rational(case))

    def _rational(self, case: Case) -> Case:
        if case.exact is None:
            raise NotOffered("there is no exact value: the case needs an exponential, or is about floating point")
        return case.in_fractions()


def adapter() -> Lrpref:
    """Make the adapter for float64."""
    return Lrpref()


def exact() -> Exact:
    """Make the adapter for exact arithmetic."""
    return Exact()
