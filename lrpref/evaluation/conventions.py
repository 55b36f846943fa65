"""The conventions of a test that changes the input: everything that a result depends on besides the map.

Published numbers differ by these choices more than by the methods that they compare. Each is a field here, with a
default, and every result prints all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any

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
"""The values that a convention may take, where there are few."""


@dataclass(frozen=True)
class Conventions:
    """How an input is taken apart, and what is measured meanwhile.

    output     what is measured, of the class explained:
                 "logit"        the network's output as it is (Bach et al. 2015, Samek et al. 2017: the score f)
                 "probability"  its softmax (Petsiuk et al. 2018)
                 "margin"       the output minus the largest other output
    fill       what takes the place of a pixel: a name, a number, one number per channel, or a `fills.Fill`
    region     side of the square tiles that are taken away at once; tiles start at the upper left, those at the
               right and lower edge may be smaller. 1: single pixels (Bach et al. 2015); 9: Samek et al. 2017
    step       how many regions between two points of the curve
    steps      stop after so many points (Samek et al. 2017: 100); None: until all is changed
    channels   the relevance of a pixel from that of its channels:
                 "sum"        the sum; the pixel's channels are changed together
                 "max"        the largest
                 "magnitude"  the sum of magnitudes
                 "separate"   none: each value of each channel is a feature of its own
    by         "relevance": signed, evidence against comes last. "magnitude": |relevance|, another question, because
               it puts the strongest evidence against first
    ties       equal relevance: "first" goes by position (row by row, from the upper left) in *both* orders, so that a
               constant map has no area between its curves; "random" shuffles, for each sample with its own generator
    normalise  "none", or "start": each curve divided by its value at k = 0, which must be positive
    repeats    the mean over so many draws of a random fill or of random ties
    seed       of those draws. A sample's generator is seeded by this and by its values, so its batch does not matter

    Raises ParameterError, UnknownNameError.

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
            if getattr(self, name) not in allowed:
                told = ", ".join(map(repr, allowed))
                raise ParameterError(f"{name} is one of {told}, got {getattr(self, name)!r}")
        for name, least in {"region": 1, "step": 1, "steps": 1, "repeats": 1, "seed": 0}.items():
            value = getattr(self, name)
            if name == "steps" and value is None:
                continue
            if not isinstance(value, Integral) or int(value) < least:
                raise ParameterError(f"{name} is a whole number >= {least}, got {value!r}")
        object.__setattr__(self, "fill", fills.resolve(self.fill))
        if self.region > 1 and self.channels == "separate":
            raise ParameterError('regions hold whole pixels: use channels="sum" with region > 1')
        if self.repeats > 1 and not self.random:
            raise ParameterError("repeats are for a random fill or random ties; these conventions draw nothing")

    @property
    def random(self) -> bool:
        """Whether anything is drawn."""
        return self.filled.random or self.ties == "random"

    @property
    def filled(self) -> Fill:
        """The fill, as a `fills.Fill`."""
        assert isinstance(self.fill, Fill)
        return self.fill

    def __str__(self) -> str:
        return ", ".join(f"{f.name} {getattr(self, f.name)}" for f in fields(self))

    def as_dict(self) -> dict[str, Any]:
        """Name -> value, the fill as text: what JSON can hold."""
        return {f.name: str(self.fill) if f.name == "fill" else getattr(self, f.name) for f in fields(self)}


BACH2015 = Conventions()
"""Pixel by pixel, the network's own output, all the way (Bach et al. 2015, PLoS ONE 10(7):e0130140, "pixel-flipping").

Their digits were flipped (`fill="flip"`); zero is the default here because it has a sense for other inputs too.
"""

SAMEK2017 = Conventions(fill="uniform", region=9, steps=100, repeats=10)
"""Regions of 9 x 9, 100 steps, a uniform random fill, the mean over draws (Samek et al. 2017, IEEE TNNLS 28(11):2660).

The number of draws is ours.
"""

DELETION2018 = Conventions(output="probability")
"""Probability, pixels become 0 (Petsiuk et al. 2018, arXiv 1806.07421, "deletion")."""

INSERTION2018 = Conventions(output="probability", fill="blur")
"""Probability, pixels come back onto a blurred picture (Petsiuk et al. 2018, arXiv 1806.07421, "insertion")."""
