"""The versions of lrpref and of its table of cases, in a place that every module may import."""

__version__ = "0.2.0"

CASES = "1.4"
"""The major and minor version of the table of cases (cases/) that this version agrees with."""
