"""The causes of a difference between two heatmaps of one input.

compare.py      measures the difference of two maps, and finds the convention that turns one into the other
choices.py      the choices that implementations make differently, as a table of changes to apply
conventions.py  the rules and layers of other implementations that are not a mode of lrpref's own
"""

from .comparison import TOLERANCE, Comparison, compare, crosscheck, explain_difference

__all__ = ["TOLERANCE", "Comparison", "compare", "crosscheck", "explain_difference"]
