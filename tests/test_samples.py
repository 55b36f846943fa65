"""The digits that come with lrpref."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrpref
from lrpref import samples
from lrpref.errors import UnknownNameError

LABELS = {f"digit-{k}": k for k in range(10)} | {"hard-1": 9, "hard-2": 1, "hard-3": 3}


def test_names_and_labels() -> None:
    assert samples.names() == list(LABELS)
    assert {name: samples.label(name) for name in samples.names()} == LABELS


@pytest.mark.parametrize("name", LABELS)
def test_a_sample_is_a_batch_of_one_image(name: str) -> None:
    x = samples.load(name)
    assert (x.shape, x.dtype) == ((1, 1, 28, 28), np.float32)
    assert x.min() == 0  # the ground
    assert 0.9 < x.max() <= 1  # the ink
    grey = x * 255
    assert_array_equal(np.round(grey), grey.astype(np.float32).round())
    assert abs(grey - np.round(grey)).max() < 1e-4  # whole steps of 1/255, to float32 rounding
    assert 0.05 < (x > 0).mean() < 0.4  # a few strokes


def test_samples_differ_and_each_is_loaded_anew() -> None:
    images = [samples.load(name).tobytes() for name in samples.names()]
    assert len(set(images)) == len(images)
    x = samples.load("digit-4")
    x[:] = 7
    assert samples.load("digit-4").max() <= 1


@pytest.mark.parametrize("ask", [samples.load, samples.label])
def test_an_unknown_name_is_told_the_nearest(ask: object) -> None:
    with pytest.raises(UnknownNameError, match="no sample is called 'digit-10'; did you mean 'digit-1'"):
        ask("digit-10")  # type: ignore[operator]


@pytest.mark.parametrize("network", lrpref.weights.names())
@pytest.mark.parametrize("name", LABELS)
def test_the_networks_are_right_about_all_but_one(network: str, name: str) -> None:
    predicted = int(lrpref.load(network).forward(samples.load(name)).argmax())
    assert predicted == (7 if name == "hard-2" else LABELS[name])  # hard-2 is a one with a long upstroke
