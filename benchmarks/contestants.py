"""The contestants: every form of lrpref and every peer, as functions without arguments that explain one case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrpref import Network, to_numpy
from lrpref.backend import asarray
from lrpref.composites import Composite

from .ours import FORMS, Form
from .peers import COMPOSITES, NotRunError, TorchSide, as_numpy, installed
from .subjects import QUICK, SUBJECTS, Subject

Run = Callable[[], Any]

FORWARD, GRADIENT, ZENNIT, CAPTUM = "torch forward", "torch forward + gradient", "zennit", "captum"
PEERS = (ZENNIT, CAPTUM, FORWARD, GRADIENT)
PREFIX = "lrpref "
OURS = tuple(PREFIX + form for form in FORMS)
EVERYONE = (*OURS, *PEERS)


@dataclass(frozen=True)
class Case:
    """One network, one batch and one composite, in one number type, on one backend.

    Parameters
    ----------
    network, batch, composite
        Their names and the batch size.
    net : Network
        The network.
    subject : Subject
        Its description.
    x : array, shape (batch, C, H, W)
        The input.
    backend : str
        Where lrpref computes.
    threads : int or None
        The number of threads; None for one per core.
    """

    network: str
    batch: int
    composite: str
    net: Network
    subject: Subject
    x: np.ndarray
    backend: str = "numpy"
    threads: int | None = None

    @classmethod
    def of(
        cls, network: str, batch: int, composite: str, quick: bool = False, dtype: str = "float32", **place: Any
    ) -> Case:
        """The case of these names."""
        subject = (QUICK if quick else SUBJECTS)[network]
        net, x = subject.build().astype(dtype), subject.input(batch).astype(dtype)
        return cls(network, batch, composite, net, subject, x, **place)

    @property
    def rule(self) -> Composite:
        """lrpref's composite."""
        return COMPOSITES[self.composite][0](self.subject)


def contestant(name: str, case: Case, device: str = "cpu") -> Run:
    """A contestant, prepared before the clock starts; raises NotRunError if it cannot take part."""
    if name in OURS:
        return _ours(form(name.removeprefix(PREFIX), case), asarray(case.x, case.backend))
    if not installed("torch"):
        raise NotRunError("torch is not installed")
    side = TorchSide(case.net, case.subject, case.x, device)
    if name == ZENNIT:
        return side.zennit(case.composite)
    if name == CAPTUM:
        return side.captum(case.composite)
    return side.forward() if name == FORWARD else side.gradient()


def form(name: str, case: Case) -> Form:
    """One of lrpref's forms, prepared for a case, on the case's backend."""
    return FORMS[name](case.net.to(case.backend), case.rule, case.subject.shape, case.threads)


def _ours(prepared: Form, x: Any) -> Run:
    return lambda: prepared.explain(x, target=0, seed="one")


def heatmap(name: str, run: Run) -> np.ndarray:
    """A contestant's relevance as a NumPy array."""
    return to_numpy(run()) if name in OURS else as_numpy(run())
