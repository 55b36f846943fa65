"""Pixel flipping (Samek et al. 2017, arXiv 1509.06321) of a batch, by the same loop for lrpref and for torch.

Pixels are replaced in the order of their relevance, a fraction of them in each step, and the network's output is read
after every step. The loop is timed: its forward passes and the replacements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from lrpref.composites import resolve
from lrpref.conformance.adapters._torch_twin import twin

from .contestants import OURS, PREFIX, Case, contestant, heatmap
from .ours import FORMS
from .peers import as_numpy, installed
from .timing import paired

Tensor = Any
"""A NumPy array or a torch tensor: the loop uses only operations that both support."""

IMAGES, STEPS = 100, 32


def flip(forward: Callable[[Tensor], Tensor], x: Tensor, rank: Tensor, steps: int) -> list[Tensor]:
    """Output 0 with 0, 1/steps, ..., all of the pixels replaced by zero, as a list of (N,) arrays.

    `rank` (N, 1, H, W) is the position, from 0, of each pixel in the order of replacement.
    """
    pixels = rank.shape[-1] * rank.shape[-2]
    return [forward(x * (rank >= pixels * step // steps))[:, 0] for step in range(steps + 1)]


def ranks(R: np.ndarray) -> np.ndarray:
    """The rank of each pixel, (N, 1, H, W), by its relevance summed over channels; the most relevant has rank 0."""
    N, _, H, W = R.shape
    order = np.argsort(-R.sum(axis=1).reshape(N, -1), axis=1, kind="stable")
    return np.argsort(order, axis=1).reshape(N, 1, H, W)


def measure(
    rounds: int,
    quick: bool = False,
    images: int = IMAGES,
    steps: int = STEPS,
    threads: int | None = None,
    done: Callable[[], object] | None = None,
    wanted: Sequence[str] = OURS,
) -> dict[str, Any]:
    """Seconds of the loop for each contestant, and the largest difference between their outputs.

    `wanted` are forms of lrpref; torch takes part wherever it is installed. The forms are prepared for the epsilon
    rule, which needs no products but those of the forward pass.
    """
    case = Case.of("resnet20", images, "epsilon-plus-flat", quick, threads=threads)
    rank = ranks(heatmap(OURS[0], contestant(OURS[0], case)))
    rule = resolve("epsilon(epsilon=1e-6)")
    makers = {f"{PREFIX}{name}": make for name, make in FORMS.items() if f"{PREFIX}{name}" in wanted}
    forms = {name: make(case.net, rule, case.subject.shape, threads) for name, make in makers.items()}
    runs = {name: _loop(form.forward, case.x, rank, steps) for name, form in forms.items()}
    if installed("torch"):
        runs["torch"] = _torch_loop(case, rank, steps)
    curves = {name: np.stack([_plain(v) for v in run()]) for name, run in runs.items()}
    first = next(iter(curves.values()))
    apart = {name: float(abs(curve - first).max() / abs(first).max()) for name, curve in curves.items()}
    return {"images": images, "steps": steps, "seconds": paired(runs, rounds, done=done), "apart": apart}


def _loop(forward: Callable[[Tensor], Tensor], x: Tensor, rank: Tensor, steps: int) -> Callable[[], list[Tensor]]:
    return lambda: flip(forward, x, rank, steps)


def _torch_loop(case: Case, rank: np.ndarray, steps: int) -> Callable[[], list[Tensor]]:
    """The same loop on torch's tensors."""
    torch = import_module("torch")
    module, x, places = twin(case.net), torch.from_numpy(case.x), torch.from_numpy(rank)

    def run() -> list[Tensor]:
        with torch.no_grad():
            return flip(module, x, places, steps)

    return run


def _plain(values: Tensor) -> np.ndarray:
    return np.asarray(values) if isinstance(values, np.ndarray) else as_numpy(values)
