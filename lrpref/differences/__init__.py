"""The causes of a difference between two heatmaps of one input.

comparison.py   measures the difference of two maps
search.py       finds the conventions that turn one map into the other: single ones, then groups
groups.py       the search for groups
bench.py        one explanation, computed under any conventions
choices.py      the choices that implementations make differently, as a table of changes to apply
conventions.py  the rules and layers of other implementations that are not a mode of lrpref's own
signed.py       whether a map is what its signature says
"""

from .comparison import TOLERANCE, Comparison, compare
from .search import crosscheck, explain_difference
from .signed import distance_as_signed

__all__ = ["TOLERANCE", "Comparison", "compare", "crosscheck", "distance_as_signed", "explain_difference"]
