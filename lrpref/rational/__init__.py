"""Exact numbers: networks on fractions, and how many digits of a floating-point map are right."""

from .conversion import check, exact, to_float
from .true_digits import Digits, Summary, digits

__all__ = ["Digits", "Summary", "check", "digits", "exact", "to_float"]
