"""Published claims about LRP, measured again: `lrpref reproduce PAPER`.

    2002.11018   Guillemot et al. 2020: fuse batch normalisation before LRP            `guillemot2020`
    2501.14322   Nyiri and Gibaru 2025: Relative LRP                                   `nyiri2025`

Of both papers only the abstracts were at hand. So the protocols are ours, and what is answered is the abstract's
sentences as they stand. `docs/papers.md` holds the answers.

A study is a list of units, one network under one rule. Each is measured by itself and written to a file of its own,
whole or not at all, so that a run can be stopped and taken up again. Networks trained from different seeds are what is
repeated; the images of one network are nested in its seed, and intervals say so.
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
"""The studies by the papers' arXiv numbers."""

__all__ = ["Claim", "Images", "Protocol", "STUDIES", "Study", "Unit", "run"]
