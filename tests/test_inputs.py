"""Inputs of the command line: samples, images and arrays."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import lrpref
from lrpref import inputs
from lrpref.errors import DTypeError, InputError, LrprefError, UnknownNameError, WeightsError

DIGIT = (1, 28, 28)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in its own empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", lrpref.samples.names(DIGIT))
def test_a_sample_by_its_name(name: str) -> None:
    assert_array_equal(inputs.read(name, DIGIT), lrpref.samples.load(name))


@pytest.mark.parametrize("shape", [(3, 32, 32), [3, 224, 224]])
def test_a_sample_comes_in_the_size_that_the_network_takes(shape: Sequence[int]) -> None:
    assert_array_equal(inputs.read("chelsea", shape), lrpref.samples.load("chelsea", shape))


@pytest.mark.parametrize("name", ["beat-wide", "brain"])
def test_signals_and_volumes_are_samples_too(name: str) -> None:
    x = lrpref.samples.load(name)
    said: list[str] = []
    assert_array_equal(inputs.read(name, x.shape[1:], report=said.append), x)
    assert said == []


def test_invert_turns_light_into_dark() -> None:
    assert_array_equal(inputs.read("digit-4", DIGIT, invert=True), 1 - lrpref.samples.load("digit-4"))


# ---- normalisation ---------------------------------------------------------------------------------------------

CIFAR = inputs.Normalisation([0.5, 0.25, 0.0], [0.25, 0.5, 2.0])


def test_samples_and_images_are_normalised() -> None:
    pixels = lrpref.samples.load("chelsea")
    red, green, blue = np.moveaxis(pixels, 1, 0)
    expected = np.stack([(red - 0.5) / 0.25, (green - 0.25) / 0.5, blue / 2], axis=1)
    found = inputs.read("chelsea", (3, 32, 32), normalisation=CIFAR)
    assert found.dtype == np.float32
    assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert_allclose(CIFAR.undo(found), pixels, rtol=0, atol=1e-6)
    Image.fromarray(np.moveaxis(np.round(pixels[0] * 255).astype(np.uint8), 0, -1)).save("x.png")
    assert_allclose(inputs.read("x.png", (3, 32, 32), normalisation=CIFAR), expected, rtol=0, atol=1e-6)


def test_inverting_comes_before_normalising() -> None:
    found = inputs.read("chelsea", (3, 32, 32), invert=True, normalisation=CIFAR)
    assert_allclose(CIFAR.undo(found), 1 - lrpref.samples.load("chelsea"), rtol=0, atol=1e-6)


def test_an_array_is_taken_as_it_is() -> None:
    x = np.random.default_rng(0).normal(size=(3, 32, 32))
    np.save("x.npy", x)
    assert_array_equal(inputs.read("x.npy", (3, 32, 32), normalisation=CIFAR)[0], x)


def test_integers_are_not_cut_off_by_a_normalisation() -> None:
    """In lrpref 0.2, pixels of 8 bits became whole numbers of 8 bits."""
    normalisation = inputs.Normalisation([0.5], [0.25])
    for dtype in (int, np.uint8, bool):
        assert_array_equal(normalisation.apply(np.array([[[[0, 1]]]], dtype)), [[[[-2.0, 2.0]]]])
    assert_array_equal(normalisation.undo(np.array([[[[-1, 2]]]])), [[[[0.25, 1.0]]]])
    with pytest.raises(InputError, match="the picture holds 8-bit pixels up to 200"):
        normalisation.apply(np.array([[[[0, 200]]]], np.uint8))


def test_the_box_is_what_black_and_white_become() -> None:
    low, high = CIFAR.box()
    assert low.shape == high.shape == (1, 3, 1, 1)
    assert_allclose(low.ravel(), [-2, -0.5, 0])
    assert_allclose(high.ravel(), [2, 1.5, 0.5])
    x = inputs.read("chelsea", (3, 32, 32), normalisation=CIFAR)
    lrpref.rules.ZBox(low, high)  # accepts bounds per channel
    assert (low <= x).all()
    assert (x <= high).all()


def test_normalisation_comes_from_the_metadata() -> None:
    assert inputs.Normalisation.of({}) is None
    assert inputs.Normalisation.of({"input": {"shape": [1, 28, 28]}}) is None
    found = inputs.Normalisation.of({"input": {"mean": [0.5], "std": [0.25]}})
    assert found is not None
    assert_array_equal(found.apply(np.full((1, 1, 1, 1), 1.0)), [[[[2.0]]]])


@pytest.mark.parametrize(
    "told",
    [
        {"mean": [0.5]},
        {"mean": [0.5], "std": [0.0]},
        {"mean": [0.5], "std": [1, 1]},
        {"mean": "x", "std": None},
        {"mean": 0.5, "std": 1.0},
        {"mean": [float("nan")], "std": [1.0]},
    ],
)
def test_metadata_that_cannot_be_used_are_refused(told: dict[str, object]) -> None:
    with pytest.raises(WeightsError, match="mean and std of the input cannot be used"):
        inputs.Normalisation.of({"input": told})


def test_normalisation_of_other_channels_is_refused() -> None:
    with pytest.raises(InputError, match=r"for images \(N, 3, H, W\), got \(1, 1, 28, 28\)"):
        CIFAR.apply(lrpref.samples.load("digit-4"))


# ---- arrays ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 2, 3, 4)], ids=["one sample", "a batch of one"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_array_as_it_is(shape: tuple[int, ...], dtype: type) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    np.save("x.npy", x)
    found = inputs.read("x.npy", (2, 3, 4))
    assert found.dtype == dtype
    assert_array_equal(found, x.reshape(1, 2, 3, 4))


def test_features_without_rows_and_columns() -> None:
    np.save("x.npy", np.arange(3.0))
    assert_array_equal(inputs.read("x.npy", [3]), [[0.0, 1.0, 2.0]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_integers_become_floats_before_they_are_inverted(dtype: type) -> None:
    np.save("x.npy", np.array([[[0, 1]]], dtype=dtype))
    assert_array_equal(inputs.read("x.npy", (1, 1, 2), invert=True), [[[[1.0, 0.0]]]])
    np.save("x.npy", np.array([[[100, 0]]], dtype=np.int8))
    assert_array_equal(inputs.read("x.npy", (1, 1, 2), invert=True), [[[[-99.0, 1.0]]]])  # integers do not wrap around


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (">u2", 65535)])
def test_an_array_of_pixels_is_refused_with_the_number_to_divide_by(dtype: Any, white: int) -> None:
    np.save("x.npy", np.array([[[200, 0]]], dtype=dtype))
    with pytest.raises(InputError, match=rf"x\.npy holds .*-bit pixels up to 200; use x / {white}"):
        inputs.read("x.npy", (1, 1, 2))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_array_that_is_not_finite_is_refused_by_its_name(bad: float) -> None:
    np.save("x.npy", np.full(DIGIT, bad))
    with pytest.raises(InputError, match=r"x\.npy holds 784 NaN or infinite values"):
        inputs.read("x.npy", DIGIT)


@pytest.mark.parametrize("shape", [(28, 28), (2, 1, 28, 28), (1, 28, 27), ()])
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    np.save("x.npy", np.zeros(shape))
    with pytest.raises(InputError, match=r"x.npy has shape .*, the network takes \(1, 1, 28, 28\)"):
        inputs.read("x.npy", DIGIT)


@pytest.mark.parametrize("value", ["a", 1j])
def test_an_array_of_what_is_no_number_is_refused(value: object) -> None:
    np.save("x.npy", np.full(DIGIT, value))
    with pytest.raises(DTypeError, match=r"x\.npy has dtype"):
        inputs.read("x.npy", DIGIT)


def test_objects_are_never_unpickled() -> None:
    np.save("x.npy", np.full(DIGIT, None), allow_pickle=True)
    with pytest.raises(InputError, match=r"x\.npy is not a readable \.npy file: Object arrays cannot be loaded"):
        inputs.read("x.npy", DIGIT)


@pytest.mark.parametrize("kept", [0, 5, 20, 127, 130, 2000])
def test_an_array_cut_short_is_refused(kept: int) -> None:
    np.save("x.npy", np.zeros(DIGIT))
    Path("x.npy").write_bytes(Path("x.npy").read_bytes()[:kept])
    with pytest.raises(InputError, match=r"x\.npy is not a readable \.npy file"):
        inputs.read("x.npy", DIGIT)


def test_a_header_that_promises_more_than_there_is_is_refused() -> None:
    np.save("x.npy", np.zeros(DIGIT))
    Path("x.npy").write_bytes(Path("x.npy").read_bytes().replace(b"(1, 28, 28)", b"(99999, 9**9", 1))
    with pytest.raises(InputError, match=r"x\.npy is not a readable \.npy file"):
        inputs.read("x.npy", DIGIT)


def test_an_npz_under_the_name_of_an_npy_is_refused() -> None:
    np.savez("x.npz", x=np.zeros(DIGIT))
    Path("x.npz").rename("x.npy")
    with pytest.raises(InputError, match=r"x\.npy is not a readable \.npy file"):
        inputs.read("x.npy", DIGIT)


@pytest.mark.parametrize("name", ["x.npy", "folder.npy"])
def test_an_array_that_is_not_there_is_refused(name: str) -> None:
    Path("folder.npy").mkdir()
    with pytest.raises(InputError, match=f"{name} is not a readable .npy file"):
        inputs.read(name, DIGIT)


# ---- images ----------------------------------------------------------------------------------------------------


def test_a_grey_image_of_the_right_size_keeps_its_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(pixels).save("x.png")
    found = inputs.read("x.png", DIGIT)
    assert found.dtype == np.float32
    assert_array_equal(found, pixels[None, None].astype(np.float32) / 255)


def test_a_colour_image_comes_channels_first() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(pixels).save("x.png")
    assert_array_equal(inputs.read("x.png", (3, 5, 7))[0], np.moveaxis(pixels, -1, 0).astype(np.float32) / 255)


def test_colours_turn_grey_for_a_grey_network() -> None:
    Image.new("RGB", (28, 28), (255, 0, 0)).save("x.png")
    # Pillow computes ITU-R 601-2 luma: 0.299 of red, rounded to a step of 1/255.
    assert_allclose(inputs.read("x.png", DIGIT), 0.299, atol=0.5 / 255)


def test_a_large_image_is_averaged_down() -> None:
    pixels = np.zeros((4, 4), np.uint8)
    pixels[:2, :2] = [[100, 200], [40, 60]]
    Image.fromarray(pixels).save("x.png")
    assert_allclose(inputs.read("x.png", (1, 2, 2)), [[[[100 / 255, 0], [0, 0]]]])


def test_rows_are_rows_and_columns_are_columns() -> None:
    pixels = np.zeros((6, 3), np.uint8)
    pixels[4, 0] = 255
    Image.fromarray(pixels).save("x.png")
    found = inputs.read("x.png", (1, 6, 3))
    assert found.shape == (1, 1, 6, 3)
    assert found[0, 0, 4, 0] == 1


@pytest.mark.filterwarnings("ignore::UserWarning")  # pillow may warn before it raises
@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.bmp", "x.gif", "x.tiff"])
def test_damaged_images_are_refused_whatever_pillow_raises(name: str) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (9, 9), np.uint8)).save(name)
    whole = Path(name).read_bytes()
    outcomes = []
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), size=3):
            damaged[place] = rng.integers(0, 256)
        Path(name).write_bytes(damaged[: rng.integers(1, len(whole) + 1)])
        outcomes.append(reads(name))
    assert not all(outcomes)


def reads(name: str) -> bool:
    """Whether the image can be read."""
    try:
        return inputs.read(name, DIGIT).shape == (1, *DIGIT)
    except InputError:
        return False


@pytest.mark.parametrize("name", ["nowhere.png", "folder.png", "text.png", "folder/", "head.ppm"])
def test_what_is_no_image_is_refused(name: str) -> None:
    Path("folder.png").mkdir()
    Path("folder").mkdir()
    Path("text.png").write_text("hello")
    Path("head.ppm").write_bytes(b"P5\n4J 4\n255\n")  # pillow raises a bare ValueError
    with pytest.raises((InputError, UnknownNameError), match=name.strip("/")):
        inputs.read(name, DIGIT)


@pytest.mark.parametrize("shape", [(2, 4, 4), (5, 4, 4), (16,)])
def test_a_network_that_takes_no_image_says_so(shape: tuple[int, ...]) -> None:
    Image.new("L", (4, 4)).save("x.png")
    with pytest.raises(InputError, match=r"an image has 1 or 3 channels, the network takes .*; use a \.npy file"):
        inputs.read("x.png", shape)


def test_without_pillow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (4, 4)).save("x.png")
    monkeypatch.setitem(sys.modules, "PIL", None)  # as if it were not installed
    with pytest.raises(LrprefError, match=r"pip install pillow"):
        inputs.read("x.png", (1, 4, 4))


# ---- names -----------------------------------------------------------------------------------------------------


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no sample is called 'digit-44'; did you mean 'digit-4'"):
        inputs.read("digit-44", DIGIT)


def test_a_sample_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"sample 'digit-4' has shape \(1, 28, 28\), the network takes \(3, 32, 32\)"):
        inputs.read("digit-4", (3, 32, 32))
