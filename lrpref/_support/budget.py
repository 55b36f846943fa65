"""A time budget: a computation of unknown length stops before the next layer once its seconds are spent.

Fractions grow in exact arithmetic, and the size of a network does not predict how much, so time is not estimated but
limited.
"""

from __future__ import annotations

from numbers import Real
from time import monotonic
from typing import Any

from ..errors import BudgetError, ParameterError, shown

EXACT_SECONDS = 600.0
"""The default budget of an explanation in exact arithmetic."""


class Budget:
    """Seconds that a computation may take, counted from the creation of the budget.

    One budget may cover several computations. It is checked before each layer; a layer that has begun is finished.

    Parameters
    ----------
    seconds : float
        At least 0; `math.inf` for no limit.
    remedy : str
        What else to do when the time is spent; appended to the error message.

    Raises
    ------
    ParameterError
        If `seconds` is not a number >= 0.

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
        if not _is_duration(seconds):
            raise ParameterError(f"budget must be a number of seconds >= 0, got {shown(seconds)}")
        self.seconds = float(seconds)
        self.remedy = remedy
        self.start = monotonic()

    def check(self, node: str, work: str) -> None:
        """Raise BudgetError if the time is spent; call this before `work` on a node begins."""
        if monotonic() - self.start < self.seconds:
            return
        larger = max(60, round(10 * self.seconds))
        raise BudgetError(
            f"the time budget of {self.seconds:g} seconds was spent before node {node!r} ({work}); "
            f"use fewer samples or a smaller network, or pass a larger budget, as in budget={larger}{self.remedy}"
        )


def _is_duration(seconds: Any) -> bool:
    """Whether `seconds` is a real number >= 0; infinity is one, but an integer beyond every float is not."""
    try:
        return not isinstance(seconds, bool) and isinstance(seconds, Real) and float(seconds) >= 0
    except (OverflowError, TypeError):  # Python counts NumPy's durations among the integers
        return False
