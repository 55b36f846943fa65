"""Deletion and insertion (Petsiuk et al. 2018, arXiv 1806.07421).

    deletion   pixels are set to 0, most relevant first:              a good map has a *small* area under the curve
    insertion  pixels are restored on a blurred image, in that order: a good map has a *large* area

The curve is the probability of the class over the fraction of pixels, both in [0, 1]; the area is `Curve.area`, by
trapezoids from k = 0 to the end. Deletion is pixel flipping under those conventions. Both scores need the baselines
next to them: the background of a digit is zero already, so deleting it changes nothing.
"""

from __future__ import annotations

from typing import Any

from ..backend import Array
from ..signatures import Signature
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
    signature: Signature | str = "",
    **changes: Any,
) -> Curve:
    """Measure the probability while pixels are set to 0, most relevant first.

    Parameters
    ----------
    scorer, x, R, target, conventions, batch_size, signature, **changes
        As in `pixel_flipping`; the default conventions are `DELETION2018`.

    Returns
    -------
    Curve
        The curve of every sample.

    Raises
    ------
    LrprefError
        As in `pixel_flipping`.
    """
    return curves(scorer, x, R, target, ("morf",), conventions, batch_size, changes, signature)[0]


def insertion(
    scorer: Scorer,
    x: Array,
    R: Array,
    target: int | Array | None = None,
    conventions: Conventions = INSERTION2018,
    batch_size: int = 64,
    signature: Signature | str = "",
    **changes: Any,
) -> Curve:
    """Measure the probability while pixels are restored on a blurred image, most relevant first.

    Parameters
    ----------
    scorer, x, R, target, conventions, batch_size, signature, **changes
        As in `pixel_flipping`; the default conventions are `INSERTION2018`.

    Returns
    -------
    Curve
        The curve of every sample.

    Raises
    ------
    LrprefError
        As in `pixel_flipping`.
    """
    return curves(scorer, x, R, target, ("insertion",), conventions, batch_size, changes, signature)[0]
