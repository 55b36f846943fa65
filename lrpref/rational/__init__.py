"""Exact rational arithmetic: networks on fractions, and the number of correct digits of a floating-point heatmap."""

from .conversion import exact, to_float
from .correct_digits import Digits, Summary, digits

__all__ = ["Digits", "Summary", "digits", "exact", "to_float"]
