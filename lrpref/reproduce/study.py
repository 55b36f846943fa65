"""The parts of a study: units, a protocol, and claims to answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .images import Images

Rows = Mapping[str, np.ndarray]
"""The results of one unit: measure -> one number per image."""

Means = Mapping[str, float]
"""The results of one unit: measure -> its mean over the images; NaN if an image has no value."""


@dataclass(frozen=True)
class Unit:
    """One cell of a design: a network under a rule.

    Parameters
    ----------
    dataset : {"mnist", "cifar10"}
        The data set of the test images.
    network : str
        The name of the network without its seed, as in "mnist-conv-bn-relu".
    seed : int
        The training seed of the network.
    treatment : str
        How its BatchNorm is treated; "" in a study without treatments.
    rule : str
        The name of the rule, composite or baseline.
    """

    dataset: str
    network: str
    seed: int
    treatment: str
    rule: str

    @property
    def name(self) -> str:
        """The name of the unit, valid as a file name."""
        parts = (self.network, f"s{self.seed}", self.treatment, self.rule)
        return "--".join(re.sub(r"[^A-Za-z0-9.=_-]+", "_", part).strip("_") for part in parts if part)


@dataclass(frozen=True)
class Protocol:
    """How every unit is measured.

    Parameters
    ----------
    images : int, default 200
        The number of test images: the first of the data set.
    points : int, default 28
        The number of steps of pixel flipping.
    fills : tuple of str, default ("mean", "zero")
        The values that replace a pixel. There are two because the ranking of maps may depend on the fill: a map under
        LRP-0 distributes the difference to a black picture, a map with a BatchNorm under `Pass` that to a grey one.
    output : str, default "logit"
        The output that is recorded while pixels are flipped; see `lrpref.evaluation.Conventions`.
    noise : float, default 1e-3
        The standard deviation of the noise in the stability measures, for pixels in [0, 1].
    more : bool, default True
        Whether to measure more fills, insertion and deletion on training seed 0.
    seed : int, default 0
        The seed of all random numbers.
    """

    images: int = 200
    points: int = 28
    fills: tuple[str, ...] = ("mean", "zero")
    output: str = "logit"
    noise: float = 1e-3
    more: bool = True
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the protocol as a dictionary of JSON values."""
        return {**asdict(self), "fills": list(self.fills)}


@dataclass(frozen=True)
class Claim:
    """A published claim and its answer.

    Parameters
    ----------
    sentence : str
        The claim, in our words.
    figure : str
        The measured figure, in one line.
    verdict : str
        "held", "did not hold", or "cannot say" with the reason.
    p : mapping of str to float
        The p-value of each of its intervals over seeds, by what distinguishes them, as "fill mean"; "" if there is one.
    """

    sentence: str
    figure: str
    verdict: str
    p: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.sentence}\n    {self.figure}\n    {self.verdict}"


def _unsigned(unit: Unit) -> str:
    """Return the signature of baselines, which have none."""
    return ""


@dataclass(frozen=True)
class Study:
    """The claims of a paper, and the units and measures that answer them.

    Parameters
    ----------
    paper : str
        The arXiv number of the paper.
    title : str
        Its authors and subject.
    units : sequence of Unit
        The units, in the order of measurement.
    missing : sequence of str
        Networks of the full design that are not available.
    protocol : Protocol
        How each unit is measured.
    measure : callable
        measure(unit, images, protocol) returns the results of a unit.
    columns : sequence of str
        The measures shown in the summary.
    answer : callable
        answer(means) returns the claims with their answers, from the means of all units.
    signature : callable
        signature(unit) returns the signature of the unit's maps as text, "" for baselines.
    """

    paper: str
    title: str
    units: Sequence[Unit]
    missing: Sequence[str]
    protocol: Protocol
    measure: Callable[[Unit, Images, Protocol], Rows]
    columns: Sequence[str]
    answer: Callable[[Mapping[Unit, Means]], Sequence[Claim]]
    signature: Callable[[Unit], str] = _unsigned
