"""The inputs that come with lrpref: digits, a photograph, heartbeats, and a brain."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrpref
from lrpref import samples
from lrpref.errors import ShapeError, UnknownNameError

LABELS = {f"digit-{k}": k for k in range(10)} | {"hard-1": 9, "hard-2": 1, "hard-3": 3}


DIGIT, SMALL, LARGE = (1, 28, 28), (3, 32, 32), (3, 224, 224)
BEATS, BRAIN = {"beat-narrow": "narrow", "beat-wide": "wide", "beat-between": "wide"}, (1, 48, 40, 96)


def test_names_and_labels() -> None:
    assert samples.names() == [*LABELS, "chelsea", *BEATS, "brain"]
    assert samples.names(DIGIT) == list(LABELS)
    assert samples.names([3, 32, 32]) == samples.names(LARGE) == ["chelsea"]
    assert samples.names((3, 28, 28)) == []
    assert {name: samples.label(name) for name in LABELS} == LABELS
    assert samples.label("chelsea") == "cat"
    assert samples.names((1, 128)) == list(BEATS)
    assert {name: samples.label(name) for name in BEATS} == BEATS
    assert samples.names(BRAIN) == [samples.label("brain")] == ["brain"]


@pytest.mark.parametrize("name", LABELS)
def test_a_sample_is_a_batch_of_one_image(name: str) -> None:
    x = samples.load(name)
    assert (x.shape, x.dtype) == ((1, 1, 28, 28), np.float32)
    assert x.min() == 0  # the background
    assert 0.9 < x.max() <= 1  # the ink
    grey = x * 255
    assert_array_equal(np.round(grey), grey.astype(np.float32).round())
    assert abs(grey - np.round(grey)).max() < 1e-4  # whole steps of 1/255, to float32 rounding
    assert 0.05 < (x > 0).mean() < 0.4  # a few strokes


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_the_photograph_has_the_size_that_is_asked_for(shape: tuple[int, ...]) -> None:
    x = samples.load("chelsea", shape)
    assert (x.shape, x.dtype) == ((1, *shape), np.float32)
    assert x.min() >= 0
    assert 0.75 < x.max() <= 1
    grey = x * 255
    assert abs(grey - np.round(grey)).max() < 1e-4  # whole steps of 1/255, to float32 rounding
    red, green, blue = x[0].mean(axis=(1, 2))
    assert red > green > blue  # ginger


def test_both_sizes_of_the_photograph_show_the_same() -> None:
    small, large = (samples.load("chelsea", shape)[0] for shape in (SMALL, LARGE))
    assert_array_equal(samples.load("chelsea")[0], small)
    shrunk = large.reshape(3, 32, 7, 32, 7).mean(axis=(2, 4))
    # Both average the same 300 x 300 pixels; the large one is rounded to 1/255 and divided into other cells.
    assert abs(shrunk - small).mean() < 1 / 255
    assert abs(shrunk - small).max() < 10 / 255


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        (
            "chelsea",
            (3, 64, 64),
            r"'chelsea' is available in shape \(3, 32, 32\) and \(3, 224, 224\), not in \(3, 64, 64\)",
        ),
        ("digit-4", SMALL, r"'digit-4' is available in shape \(1, 28, 28\), not in \(3, 32, 32\)"),
    ],
)
def test_a_shape_that_there_is_not_is_refused(name: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        samples.load(name, shape)


@pytest.mark.parametrize("name", BEATS)
def test_a_beat_has_its_peak_in_place_and_its_median_at_zero(name: str) -> None:
    x = samples.load(name)
    assert (x.shape, x.dtype) == ((1, 1, 128), np.float32)
    assert abs(int(x.argmax()) - 48) <= 1
    assert 1 < x.max() < 3  # mV
    assert abs(np.median(x)) < 0.002  # a step and a half of the stored unit


def test_the_brain_is_in_an_empty_box() -> None:
    x = samples.load("brain")
    assert (x.shape, x.dtype) == ((1, *BRAIN), np.float32)
    assert x.min() == 0
    assert 0.8 < x.max() <= 1
    assert 0.1 < (x > 0).mean() < 0.15


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


@pytest.mark.parametrize("network", [name for name in lrpref.weights.names() if name.startswith("mnist")])
@pytest.mark.parametrize("name", LABELS)
def test_the_networks_are_right_about_all_but_one(network: str, name: str) -> None:
    predicted = int(lrpref.load(network).forward(samples.load(name)).argmax())
    assert predicted == (7 if name == "hard-2" else LABELS[name])  # hard-2 is a 1 with a long upstroke
