"""Do the contestants compute the same heatmaps? Relative distances, image by image.

Speed only counts if the result is right. In float64 every form of lrpref must agree with zennit up to rounding; in
float32 each contestant is compared with the plain form in float64. In any library, a max-pool whose winner leads by
only 1e-7 may choose another one in float32, so float32 is judged by the median and the worst of several images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

import numpy as np

from .contestants import OURS, ZENNIT, Case, contestant, heatmap
from .peers import NotRunError


def distances(
    network: str, composite: str, images: int, names: Sequence[str], quick: bool = False, threads: int | None = None
) -> Iterator[dict[str, Any]]:
    """The relative L2 distances of `images` heatmaps to the plain form in float64, per contestant and number type."""
    double = Case.of(network, images, composite, quick, "float64", threads=threads)
    single = Case.of(network, images, composite, quick, "float32", threads=threads)
    reference = heatmap(OURS[0], contestant(OURS[0], double))
    for dtype, case in (("float64", double), ("float32", single)):
        for name in names:
            if name not in (*OURS, ZENNIT) or (dtype, name) == ("float64", OURS[0]):
                continue
            try:
                found = heatmap(name, contestant(name, case))
            except NotRunError:
                continue
            apart = relative_l2(found, reference)
            row = {"network": network, "composite": composite, "dtype": dtype, "contestant": name, "images": images}
            yield {**row, "median": median(apart), "worst": max(apart)}


def relative_l2(R: np.ndarray, reference: np.ndarray) -> list[float]:
    """|R - reference| / |reference|, Euclidean, for each image.

    >>> relative_l2(np.array([[3.0, 4.0], [0.0, 2.0]]), np.array([[3.0, 5.0], [0.0, 2.0]]))[1]
    0.0
    """
    R, reference = (v.reshape(len(v), -1).astype(np.float64) for v in (R, reference))
    return [float(d) for d in np.linalg.norm(R - reference, axis=1) / np.linalg.norm(reference, axis=1)]
