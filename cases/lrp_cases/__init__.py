"""Conformance cases for Layer-wise Relevance Propagation, and the judge of answers to them; standard library only.

    data/          the cases, as JSON with exact fractions; data/README.md describes the format

lrpref includes this package; `pip install lrp-cases` installs it alone, for Python 3.8 and later.
"""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parent / "data"
"""The folder of the table."""
