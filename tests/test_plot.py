"""Plots: what they show, on which colour scale, and that files are written atomically."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import lrpref
from lrpref import Conv2D, Flatten, Network, ReLU, plot, rules
from lrpref.errors import InputError, LrprefError, ParameterError, ShapeError
from lrpref.ledger import COLUMNS, LOSSES, Entry, Ledger


def sample(channels: int = 1, side: int = 6) -> np.ndarray:
    """An image with an edge in it."""
    x = np.zeros((channels, side, side))
    x[:, 1:4, 2:5] = np.arange(1, channels + 1).reshape(-1, 1, 1)
    return x


def relevance(peak: float, channels: int = 1, side: int = 6) -> np.ndarray:
    """Relevance whose largest magnitude, summed over the channels, is `peak`, at a negative cell."""
    R = np.linspace(-peak, peak / 2, side * side).reshape(1, side, side) / channels
    return np.repeat(R, channels, axis=0)


def panels(figure: Figure) -> dict[str, Axes]:
    """The panels of a figure, by title."""
    return {ax.get_title(): ax for ax in figure.axes if ax.get_title()}


def limits(ax: Axes) -> tuple[float, float]:
    """The values at the two ends of a panel's colour scale."""
    low, high = ax.images[0].get_clim()
    return low, high


def extend(figure: Figure) -> str:
    """Which ends of the colour bar are pointed to mark values beyond the scale."""
    (found,) = [ax._colorbar.extend for ax in figure.axes if hasattr(ax, "_colorbar")]
    return str(found)


# ---- maps ------------------------------------------------------------------------------------------------------


def test_an_explanation_shows_the_input_and_the_relevance() -> None:
    x, R = sample(), relevance(3.0)
    figure = plot.explanation(x, R, "why?")
    shown = panels(figure)
    assert list(shown) == ["input", "relevance"]
    assert figure.get_suptitle() == "why?"
    assert_array_equal(shown["input"].images[0].get_array(), x[0])
    assert_array_equal(shown["relevance"].images[0].get_array(), R[0])


def test_white_is_zero_and_red_speaks_for() -> None:
    image = panels(plot.explanation(sample(), relevance(3.0)))["relevance"].images[0]
    assert image.get_clim() == (-3.0, 3.0)
    red, green, blue, _ = image.cmap(image.norm(2.0))
    assert red > max(green, blue)
    red, green, blue, _ = image.cmap(image.norm(-2.0))
    assert blue > max(red, green)
    assert_allclose(image.cmap(image.norm(0.0))[:3], 1, atol=0.04)  # the centre of RdBu is #f7f7f7


@pytest.mark.parametrize(
    ("peaks", "limit", "beyond"),
    [
        ([2.0], 2.0, "neither"),
        ([2.0, 2.0, 2.0], 2.0, "neither"),
        ([1.0, 2.0, 50.0], 2.0, "both"),  # the median: one extreme map does not wash out the others
        ([0.0, 0.0, 5.0], 5.0, "neither"),  # maps of zeros are ignored
        ([0.0], 1.0, "neither"),
    ],
)
def test_one_scale_for_all_panels(peaks: list[float], limit: float, beyond: str) -> None:
    figure = plot.grid(sample(), {f"map {k}": relevance(peak) for k, peak in enumerate(peaks)})
    shown = panels(figure)
    assert list(shown) == ["input", *(f"map {k}" for k in range(len(peaks)))]
    assert {limits(shown[f"map {k}"]) for k in range(len(peaks))} == {(-limit, limit)}
    assert extend(figure) == beyond


def test_many_maps_go_over_several_rows() -> None:
    figure = plot.grid(sample(), {str(k): relevance(1.0) for k in range(5)}, columns=3)
    places = {title: ax.get_subplotspec() for title, ax in panels(figure).items()}
    assert [(p.rowspan.start, p.colspan.start) for p in places.values()] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2),
    ]  # fmt: skip
    assert not any(ax.axison for ax in places_of_maps(figure))


def places_of_maps(figure: Figure) -> Iterator[Axes]:
    """The axes that are not a colour bar."""
    return (ax for ax in figure.axes if not hasattr(ax, "_colorbar"))


def test_colours_are_summed_and_the_input_keeps_them() -> None:
    x, R = sample(3), relevance(6.0, channels=3)
    shown = panels(plot.explanation(x, R))
    assert_allclose(shown["relevance"].images[0].get_array(), R.sum(axis=0))
    assert limits(shown["relevance"]) == pytest.approx((-6.0, 6.0))
    picture = shown["input"].images[0].get_array()
    assert picture.shape == (6, 6, 3)
    assert_allclose(picture, np.moveaxis(x / 3, 0, -1))  # all channels are scaled to [0, 1] by one factor


def test_five_channels_are_shown_as_their_mean() -> None:
    x = sample(5)
    assert_allclose(panels(plot.explanation(x, relevance(1.0, 5)))["input"].images[0].get_array(), x.mean(axis=0))


def test_a_batch_of_one_is_a_sample(tmp_path: Path) -> None:
    x, R = sample(), relevance(1.0)
    one, other = (panels(plot.explanation(a, b)) for a, b in ((x, R), (x[None], R[None])))
    assert_array_equal(one["relevance"].images[0].get_array(), other["relevance"].images[0].get_array())


@pytest.mark.parametrize(
    "x",
    [np.zeros((1, 6, 6)), np.ones((3, 6, 6)), np.full((1, 1, 1), 2.0), np.arange(6.0).reshape(1, 1, 6)],
    ids=["blank", "white", "one pixel", "one row"],
)
def test_an_input_without_an_outline_is_drawn_without_one(x: np.ndarray, tmp_path: Path) -> None:
    plot.save(plot.explanation(x, np.ones(x.shape)), tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 0


def test_the_outline_is_that_of_the_ink() -> None:
    ax = panels(plot.explanation(sample(), relevance(1.0)))["relevance"]
    corners = np.concatenate([path.vertices for collection in ax.collections for path in collection.get_paths()])
    assert corners[:, 0].min() == pytest.approx(1.5)  # the ink begins at column 2, its edge half a cell earlier
    assert corners[:, 0].max() == pytest.approx(4.5)
    assert (corners[:, 1].min(), corners[:, 1].max()) == pytest.approx((0.5, 3.5))


def test_dollars_in_a_title_are_dollars(tmp_path: Path) -> None:
    plot.save(plot.explanation(sample(), relevance(1.0), r"$\oops$.npz"), tmp_path / "map.png")


@pytest.mark.parametrize(
    ("x", "R"),
    [
        (sample()[0], relevance(1.0)),
        (np.stack([sample(), sample()]), relevance(1.0)),
        (sample(), relevance(1.0)[0]),
        (sample(), relevance(1.0, side=5)),
        (sample(3), relevance(1.0)),
    ],
    ids=["x without channels", "x of two", "R without channels", "R of another size", "R of one channel for three"],
)
def test_shapes_that_do_not_fit_are_refused(x: np.ndarray, R: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"select one with x|with x\[None\]|does not fit an input"):
        plot.explanation(x, R)


def test_a_volume_is_drawn_by_its_planes() -> None:
    x = np.zeros((1, 1, 4, 5, 6))
    with pytest.raises(ShapeError, match=r"got \(1, 1, 4, 5, 6\); draw the planes of a volume"):
        plot.explanation(x, x)
    assert panels(plot.explanation(x[:, :, 0], x[:, :, 0]))["relevance"].images[0].get_array().shape == (5, 6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_relevance_without_a_colour_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="cannot be drawn"):
        plot.explanation(sample(), np.full((1, 6, 6), value))


def test_no_maps_are_no_picture() -> None:
    with pytest.raises(LrprefError, match="no relevance to draw"):
        plot.grid(sample(), {})


def test_arrays_of_every_backend_are_drawn(backend: Any) -> None:
    x, R = sample(), relevance(2.0)
    drawn = panels(plot.explanation(backend(x), backend(R)))["relevance"].images[0]
    assert_array_equal(drawn.get_array(), R[0])


# ---- the waterfall ---------------------------------------------------------------------------------------------


@pytest.fixture
def ledger() -> Ledger:
    """A ledger with losses to a bias, to a stabilizer and to padding."""
    rng = np.random.default_rng(0)
    net = Network.sequential(
        Conv2D(rng.normal(size=(2, 1, 3, 3)), rng.normal(size=2)), ReLU(), Flatten(), names=["conv", "relu", "flat"]
    )
    return lrpref.trace(net, rng.normal(size=(2, 1, 4, 4)), rule=rules.Epsilon(0.5)).ledger


@pytest.mark.parametrize("n", [0, 1])
def test_the_bars_are_the_books(n: int, ledger: Ledger) -> None:
    ax = plot.waterfall(ledger, sample=n).axes[0]
    bars = {c.get_label(): list(c.patches) for c in ax.containers}
    assert list(bars) == ["relevance at the output of", "went to bias", "went to stabilizer"]
    standing = [bar.get_width() for bar in bars.pop("relevance at the output of")]
    assert_array_equal(standing, [*ledger["out"][:, n], ledger["in"][-1, n]])
    for label, drawn in bars.items():  # matplotlib stores the two ends of a bar, so its width is rounded
        lost = ledger[label.removeprefix("went to ")][:, n]
        assert_allclose([bar.get_width() for bar in drawn], lost, rtol=0, atol=1e-14)


def test_losses_are_taken_off_the_end_of_what_stands(ledger: Ledger) -> None:
    ax = plot.waterfall(ledger).axes[0]
    *_, last = ax.containers
    remaining = [bar.get_x() for bar in last]
    assert_allclose(remaining, ledger["in"][:, 0], rtol=0, atol=1e-14)  # losses end at what is passed on


def test_the_layers_are_named_from_the_output_down(ledger: Ledger) -> None:
    ax = plot.waterfall(ledger, title="books").axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["flat", "relu", "conv", "input"]
    assert ax.yaxis_inverted()
    assert ax.get_title() == "books"


def test_every_kind_of_loss_has_a_bar() -> None:
    columns = {name: np.array([float(k + 1)]) for k, name in enumerate(COLUMNS)}
    entry = Entry("node", "Dense", "made up", columns, {})
    ax = plot.waterfall(Ledger([entry])).axes[0]
    assert [str(c.get_label()) for c in ax.containers][1:] == [f"went to {loss}" for loss in LOSSES]
    assert len({c.patches[0].get_facecolor() for c in ax.containers}) == 1 + len(LOSSES)


def test_lossless_books_have_no_legend_of_losses() -> None:
    net = Network.sequential(Flatten())
    ax = plot.waterfall(lrpref.trace(net, np.ones((1, 1, 2, 2))).ledger).axes[0]
    assert [c.get_label() for c in ax.containers] == ["relevance at the output of"]


# ---- files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def figure() -> Figure:
    """Any picture."""
    return plot.explanation(sample(), relevance(1.0))


def test_save_writes_the_format_that_the_ending_says(figure: Figure, tmp_path: Path) -> None:
    for name, start in (("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml")):
        plot.save(figure, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    with Image.open(tmp_path / "a.png") as image:
        image.load()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg"]


def test_save_takes_text_and_replaces(figure: Figure, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("old")
    plot.save(figure, str(path))
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), MemoryError()])
def test_a_broken_write_leaves_the_old_file_and_nothing_else(
    error: BaseException, figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_text("old")

    def breaks(part: Path, **options: Any) -> None:
        Path(part).write_text("half of a pict")
        raise error

    monkeypatch.setattr(figure, "savefig", breaks)
    with pytest.raises(type(error)):
        plot.save(figure, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_picture_takes_the_old_ones_place_in_one_step(
    figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_text("old")
    monkeypatch.setattr("os.replace", lambda part, path: pytest.fail("here it would be replaced"))
    with pytest.raises(pytest.fail.Exception, match="here it would be"):
        plot.save(figure, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere/a.png", "there is no folder .*nowhere to write a.png to"),
        ("a.docx", "cannot write .*a.docx: its format is unknown; use the suffix .png, .pdf or .svg"),
        ("a", "use the suffix .png, .pdf or .svg"),
        ("", "use the suffix .png, .pdf or .svg"),
    ],
)
def test_save_says_why_not(name: str, message: str, figure: Figure, tmp_path: Path) -> None:
    with pytest.raises(LrprefError, match=message):
        plot.save(figure, tmp_path / name if name else "")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, ledger: Ledger) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as if it were not installed
    for draw in (lambda: plot.explanation(sample(), relevance(1.0)), lambda: plot.waterfall(ledger)):
        with pytest.raises(LrprefError, match=r"pip install matplotlib"):
            draw()


def test_pictures_touch_no_window_system() -> None:
    # pyplot keeps every figure alive and may require a display.
    program = (
        "import sys, numpy, lrpref.plot; x = numpy.eye(4)[None]; lrpref.plot.explanation(x, x);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_each_map_on_its_own_scale_or_all_on_one() -> None:
    """A common scale compares magnitudes; individual scales show the pattern of each map."""
    x, R = np.zeros((1, 2, 2)), np.array([[[1.0, -2.0], [0.0, 4.0]]])
    for scale, expected in (("one", 100 * R[0]), ("each", R[0] / 4)):
        figure = plot.grid(x, {"a": R, "b": 100 * R, "none": 0 * R}, scale=scale)
        panels = {ax.get_title(): ax.images[0].get_array() for ax in figure.axes if ax.images}
        assert_array_equal(panels["b"], expected)
        assert_array_equal(panels["none"], 0 * R[0])
    with pytest.raises(ParameterError, match='scale must be "one" or "each"'):
        plot.grid(x, {"a": R}, scale="both")


@pytest.mark.parametrize("ending", ["png", "svg", "pdf", "eps"])
def test_a_description_is_in_the_metadata(ending: str, figure: Figure, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    plot.save(figure, path, "lrpref:0.2.0|zero")
    assert (b"lrpref:0.2.0|zero" in path.read_bytes()) == (ending != "eps")
    plot.save(figure, path)
    assert b"lrpref:0.2.0|zero" not in path.read_bytes()
    with pytest.raises(ParameterError, match="description must be a text"):
        plot.save(figure, path, 3)  # type: ignore[arg-type]
