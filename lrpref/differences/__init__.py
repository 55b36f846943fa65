"""What makes two heatmaps of one input differ: how far apart they are, and which known convention explains it.

compare.py      measures two maps, and looks for the convention that turns one into the other
choices.py      the choices that implementations make differently, as a table that can be tried
conventions.py  the rules and layers of other implementations, where they are no mode of lrpref's own
"""

from .compare import TOLERANCE, Comparison, compare, crosscheck, explain_difference

__all__ = ["TOLERANCE", "Comparison", "compare", "crosscheck", "explain_difference"]
