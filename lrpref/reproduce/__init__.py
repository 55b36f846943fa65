"""Measure published claims about LRP again: `lrpref reproduce PAPER`.

    2002.11018   Guillemot et al. 2020: fuse batch normalisation before LRP            `guillemot2020`
    2501.14322   Nyiri and Gibaru 2025: Relative LRP                                   `nyiri2025`

Only the abstracts of both papers were available. The protocols are therefore ours, and the answers concern the
sentences of the abstracts, not the authors' experiments. The answers are in `docs/papers.md`.

A study is a list of units; a unit is one network under one rule. Each unit is measured separately and written
atomically to its own file, so that a run can be interrupted and resumed. The unit of replication is the training seed:
images are nested within the seed of a network, and intervals are computed over seeds only.
"""

from collections.abc import Callable, Mapping

from . import guillemot2020, nyiri2025
from .images import Images
from .runner import run
from .study import Claim, Protocol, Study, Unit

STUDIES: Mapping[str, Callable[..., Study]] = {
    guillemot2020.PAPER: guillemot2020.study,
    nyiri2025.PAPER: nyiri2025.study,
}
"""The studies by the arXiv numbers of the papers."""

__all__ = ["Claim", "Images", "Protocol", "STUDIES", "Study", "Unit", "run"]
