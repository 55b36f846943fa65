"""Agreement with Quantus (Hedstroem et al. 2023, JMLR 24(34)) where its definitions match those of `lrpref.evaluation`.

The metrics are called through `evaluate_batch`, which bypasses the default rescaling of maps and the softmax. Two
differences remain: Quantus' curves begin after the first change, ours at k = 0; and its sort is unstable, so the maps
used here have no ties. Areas are not compared: its trapezoid has a width of 1 per step, and Quantus 0.6.0 computes it
with a function that NumPy 2.4 removed.

    pip install quantus        (requires opencv, scikit-image and pandas; no deep learning library is needed here)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import lrpref
from lrpref import Conv2D, Dense, Flatten, Network, ReLU
from lrpref.evaluation import pixel_flipping

quantus = pytest.importorskip("quantus", reason="compares with Quantus: pip install quantus")


class Model:
    """A network with the interface that Quantus' metrics expect."""

    def __init__(self, net: Network) -> None:
        self.net = net

    def shape_input(self, x: np.ndarray, shape: tuple[int, ...], **_: Any) -> np.ndarray:
        return x.reshape(len(x), *shape[1:])

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.net.forward(x)


@pytest.fixture(scope="module")
def asked() -> dict[str, Any]:
    """Six images, a network, its predicted classes, and maps without ties."""
    rng = np.random.default_rng(0)
    layers = [Conv2D(rng.normal(size=(4, 1, 3, 3)), rng.normal(size=4), padding=1), ReLU(), Flatten()]
    net = Network.sequential(*layers, Dense(rng.normal(size=(5, 4 * 64))))
    x = rng.random((6, 1, 8, 8))
    return {
        "model": Model(net),
        "x_batch": x,
        "y_batch": net.forward(x).argmax(axis=1),
        "a_batch": rng.normal(size=x.shape),
    }


@pytest.mark.parametrize("fill", [0.0, 0.5])
@pytest.mark.parametrize("step", [1, 8, 16])
def test_pixel_flipping(asked: dict[str, Any], step: int, fill: float) -> None:
    metric = quantus.PixelFlipping(features_in_step=step, perturb_baseline=fill, disable_warnings=True)
    theirs = np.asarray(metric.evaluate_batch(**asked))
    ours = pixel_flipping(asked["model"].net, asked["x_batch"], asked["a_batch"], step=step, fill=fill)
    assert_allclose(ours.scores[:, 1:], theirs, rtol=1e-12)


@pytest.mark.parametrize("order", ["morf", "lerf"])
@pytest.mark.parametrize("region", [2, 4])
def test_region_perturbation(asked: dict[str, Any], order: str, region: int) -> None:
    metric = quantus.RegionPerturbation(
        patch_size=region, regions_evaluation=1000, order=order, perturb_baseline=0.0, disable_warnings=True
    )
    theirs = np.asarray(metric.evaluate_batch(**asked))
    ours = pixel_flipping(asked["model"].net, asked["x_batch"], asked["a_batch"], order=order, region=region)
    assert_allclose(ours.scores[:, :1] - ours.scores[:, 1:], theirs, rtol=1e-10, atol=1e-12)
    assert_allclose(ours.aopc, theirs.sum(axis=1) / (theirs.shape[1] + 1), rtol=1e-10)


def test_its_own_lrp_map_too() -> None:
    """On a digit the background has tied relevance, where the two may differ; a tiny perturbation removes the ties."""
    net, x = lrpref.load("mnist-cnn"), lrpref.samples.load("digit-4")
    R = lrpref.explain(net, x).astype(np.float64) + 1e-9 * np.random.default_rng(0).normal(size=x.shape)
    metric = quantus.PixelFlipping(features_in_step=28, perturb_baseline=0.0, disable_warnings=True)
    theirs = np.asarray(metric.evaluate_batch(Model(net), x, np.array([4]), R))
    assert_allclose(pixel_flipping(net, x, R, step=28).scores[:, 1:], theirs, rtol=1e-4, atol=1e-4)
