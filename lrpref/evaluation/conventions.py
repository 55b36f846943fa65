"""The conventions of a test that changes the input: everything that a result depends on besides the map.

Published scores differ more by these choices than by the methods that they compare. Each is a field with a default,
and every result prints all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..arithmetic import check_choice, check_integer
from ..errors import ParameterError
from . import fills
from .fills import Fill

CHOICES = {
    "output": ("logit", "probability", "margin"),
    "channels": ("sum", "max", "magnitude", "separate"),
    "by": ("relevance", "magnitude"),
    "ties": ("first", "random"),
    "normalise": ("none", "start"),
}
"""The values that a convention may take, if there are few."""


@dataclass(frozen=True)
class Conventions:
    """How an input is changed, and what is measured.

    Parameters
    ----------
    output : {"logit", "probability", "margin"}, default "logit"
        What is measured of the explained class: "logit", the network's output as it is (the score f of Bach et al.
        2015 and Samek et al. 2017); "probability", its softmax (Petsiuk et al. 2018); "margin", the output minus the
        largest other output.
    fill : str, float, sequence of float, or Fill, default "zero"
        What replaces a pixel: a name of `fills.FILLS`, a number, one number per channel, or a `fills.Fill`.
    region : int, default 1
        The side in pixels of the square regions that are changed at once, 1 in Bach et al. 2015, 9 in Samek et al.
        2017. Regions start at the upper left; those at the right and lower edge may be smaller.
    step : int, default 1
        The number of regions between two points of the curve.
    steps : int or None
        The number of steps after which to stop (100 in Samek et al. 2017); None changes the whole input.
    channels : {"sum", "max", "magnitude", "separate"}, default "sum"
        How the relevance of a pixel follows from its channels, which are changed together: their sum, their maximum,
        or the sum of their magnitudes. "separate" treats each channel of each pixel as a feature.
    by : {"relevance", "magnitude"}, default "relevance"
        "relevance" ranks by signed relevance: evidence against the class comes last. "magnitude" ranks by |relevance|,
        which answers another question, because the strongest evidence against comes first.
    ties : {"first", "random"}, default "first"
        The order of features with equal relevance. "first" goes by position (row by row, from the upper left) in
        *both* orders, so that the curves of a constant map coincide; "random" shuffles, with one
        generator per sample.
    normalise : {"none", "start"}, default "none"
        "start" divides each curve by its value at k = 0, which must be positive.
    repeats : int, default 1
        The number of draws of a random fill or of random ties over which to average.
    seed : int, default 0
        The seed of those draws. The generator of a sample is seeded by this and by its values, so its batch does not
        matter.

    Raises
    ------
    ParameterError
        If a convention is out of its range, or two of them contradict each other.
    UnknownNameError
        If no fill has this name.

    Examples
    --------
    >>> print(Conventions(region=2))
    output logit, fill Value(value=0.0), region 2, step 1, steps None, channels sum, by relevance, ties first, \
normalise none, repeats 1, seed 0
    """

    output: str = "logit"
    fill: str | float | Sequence[float] | Fill = "zero"
    region: int = 1
    step: int = 1
    steps: int | None = None
    channels: str = "sum"
    by: str = "relevance"
    ties: str = "first"
    normalise: str = "none"
    repeats: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            check_choice(getattr(self, name), name, allowed)
        for name, least in {"region": 1, "step": 1, "steps": 1, "repeats": 1, "seed": 0}.items():
            if name != "steps" or self.steps is not None:
                check_integer(getattr(self, name), name, least)
        object.__setattr__(self, "fill", fills.resolve(self.fill))
        if self.region > 1 and self.channels == "separate":
            raise ParameterError(
                'channels="separate" needs region=1, because a region holds whole pixels; or use channels="sum"'
            )
        if self.repeats > 1 and not self.random:
            raise ParameterError("repeats > 1 needs a random fill or random ties; these conventions are not random")

    @property
    def random(self) -> bool:
        """Whether the fill or the ties are random."""
        return self.filled.random or self.ties == "random"

    @property
    def filled(self) -> Fill:
        """The fill as a `fills.Fill`."""
        assert isinstance(self.fill, Fill)
        return self.fill

    def __str__(self) -> str:
        return ", ".join(f"{f.name} {getattr(self, f.name)}" for f in fields(self))

    def as_dict(self) -> dict[str, Any]:
        """Return the conventions by name, the fill as text, for JSON."""
        return {f.name: str(self.fill) if f.name == "fill" else getattr(self, f.name) for f in fields(self)}


BACH2015 = Conventions()
"""Single pixels, the network's output, the whole input (Bach et al. 2015, PLoS ONE 10(7):e0130140, "pixel-flipping").

They flipped their digits (`fill="flip"`); zero is the default here because it makes sense for other inputs too.
"""

SAMEK2017 = Conventions(fill="uniform", region=9, steps=100, repeats=10)
"""Regions of 9 x 9, 100 steps, a uniform random fill, the mean over draws (Samek et al. 2017, IEEE TNNLS 28(11):2660).

The number of draws is our choice.
"""

DELETION2018 = Conventions(output="probability")
"""Probability; pixels are set to 0 (Petsiuk et al. 2018, arXiv 1806.07421, "deletion")."""

INSERTION2018 = Conventions(output="probability", fill="blur")
"""Probability; pixels are restored on a blurred image (Petsiuk et al. 2018, arXiv 1806.07421, "insertion")."""
