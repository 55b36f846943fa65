"""What a study consists of: units, a protocol, and claims to answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .images import Images

Rows = Mapping[str, np.ndarray]
"""What was measured of one unit: measure -> one number per image."""


@dataclass(frozen=True)
class Unit:
    """One cell of a design: a network under a rule.

    dataset    "mnist" or "cifar10"
    network    the network's name without its seed, as in "mnist-conv-bn-relu"
    seed       that it was trained from
    treatment  what is done about its BatchNorm; "" where that is no question
    rule       the rule, composite or baseline by name
    """

    dataset: str
    network: str
    seed: int
    treatment: str
    rule: str

    @property
    def name(self) -> str:
        """The unit's name, fit for a file."""
        parts = (self.network, f"s{self.seed}", self.treatment, self.rule)
        return "--".join(re.sub(r"[^A-Za-z0-9.=_-]+", "_", part).strip("_") for part in parts if part)


@dataclass(frozen=True)
class Protocol:
    """How every unit is measured.

    images  how many test images, the first ones of the data set in its order
    points  into how many steps a picture is taken apart
    fills   what takes the place of a pixel. Two, because which map is better may hang on it: a map under LRP-0 shares
            out the difference to a black picture, and one that passed a normalisation by that to a grey one
    output  what is measured meanwhile: see `lrpref.evaluation.Conventions`
    noise   standard deviation of the noise that stability is tried with, in units of the input's range [0, 1]
    more    on training seed 0, more fills, and insertion and deletion
    seed    of everything drawn
    """

    images: int = 200
    points: int = 28
    fills: tuple[str, ...] = ("mean", "zero")
    output: str = "logit"
    noise: float = 1e-3
    more: bool = True
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Name -> value, as JSON holds it."""
        return {**asdict(self), "fills": list(self.fills)}


@dataclass(frozen=True)
class Claim:
    """A published sentence and what became of it.

    sentence  what was claimed, in our words
    figure    what was measured, in a line
    verdict   "held", "did not hold" or "cannot say", with the reason
    """

    sentence: str
    figure: str
    verdict: str

    def __str__(self) -> str:
        return f"{self.sentence}\n    {self.figure}\n    {self.verdict}"


@dataclass(frozen=True)
class Study:
    """A paper's claims, and the units and measures that answer them.

    paper     its arXiv number
    title     who claimed what
    units     in the order in which they are measured
    missing   networks of the full design that are not at hand
    protocol  how each unit is measured
    measure   a unit and images -> its rows
    columns   the measures that the summary shows
    answer    what was measured -> the claims, answered
    """

    paper: str
    title: str
    units: Sequence[Unit]
    missing: Sequence[str]
    protocol: Protocol
    measure: Callable[[Unit, Images, Protocol], Rows]
    columns: Sequence[str]
    answer: Callable[[Mapping[Unit, Rows]], Sequence[Claim]]
