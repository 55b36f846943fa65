"""Deletion and insertion (Petsiuk et al. 2018, arXiv 1806.07421).

    deletion   pixels become 0, the most relevant first:              a good map has a *small* area under the curve
    insertion  pixels come back onto a blurred picture, in that order: a good map has a *large* area

The curve is the probability of the class over the share of pixels, both in [0, 1]; the area is `Curve.area`, by
trapezoids from k = 0 to the end. Deletion is pixel flipping under those conventions. Neither is better than the other
without the baselines next to it: a digit's background is zero already, so deleting it changes nothing.
"""

from __future__ import annotations

from typing import Any

from ..backend import Array
from .conventions import DELETION2018, INSERTION2018, Conventions
from .flipping import Curve, curves
from .scores import Scorer


def deletion(
    scorer: Scorer,
    x: Array,
    R: Array,
    target: int | Array | None = None,
    conventions: Conventions = DELETION2018,
    batch_size: int = 64,
    **changes: Any,
) -> Curve:
    """The probability while pixels become 0, the most relevant first: see `pixel_flipping` for the arguments."""
    return curves(scorer, x, R, target, ("morf",), conventions, batch_size, changes)[0]


def insertion(
    scorer: Scorer,
    x: Array,
    R: Array,
    target: int | Array | None = None,
    conventions: Conventions = INSERTION2018,
    batch_size: int = 64,
    **changes: Any,
) -> Curve:
    """The probability while pixels come back onto a blurred picture: see `pixel_flipping` for the arguments."""
    return curves(scorer, x, R, target, ("insertion",), conventions, batch_size, changes)[0]
