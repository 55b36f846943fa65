"""A time budget: a computation of unknown length stops at the next layer once its seconds are spent.

Exact fractions grow as they are divided, and their size says little about the time they take, so nothing is estimated
beforehand.
"""

from __future__ import annotations

from math import isnan
from numbers import Real
from time import monotonic
from typing import Any

from ..errors import BudgetError, ParameterError

EXACT_SECONDS = 600.0
"""The budget of an explanation in exact arithmetic, unless another one is given."""


class Budget:
    """Seconds that a computation may take, counted from the moment the budget is made.

    Parameters
    ----------
    seconds : float
        At least 0; `math.inf` for no limit.
    remedy : str
        What to do when the time is spent; the end of the error message.

    Raises
    ------
    ParameterError
        For anything that is not a number of seconds.

    Examples
    --------
    >>> budget = Budget(0.0)
    >>> budget.check("conv1", "backward pass, z-plus")
    Traceback (most recent call last):
    ...
    lrpref.errors.BudgetError: the time budget of 0 seconds was spent before node 'conv1' (backward pass, z-plus); \
use fewer samples or a smaller network, or pass a larger budget, as in budget=60
    """

    def __init__(self, seconds: float, remedy: str = "") -> None:
        given: Any = seconds
        if isinstance(given, bool) or not isinstance(given, Real) or isnan(given) or given < 0:
            raise ParameterError(f"budget must be a number of seconds >= 0, got {seconds!r}")
        self.seconds = float(seconds)
        self.remedy = remedy
        self.start = monotonic()

    def check(self, node: str, work: str) -> None:
        """Raise BudgetError if the time is spent; called before `work` on a node begins."""
        if monotonic() - self.start < self.seconds:
            return
        larger = max(60, round(10 * self.seconds))
        raise BudgetError(
            f"the time budget of {self.seconds:g} seconds was spent before node {node!r} ({work}); "
            f"use fewer samples or a smaller network, or pass a larger budget, as in budget={larger}{self.remedy}"
        )
