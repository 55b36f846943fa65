"""Plots: what they show, on which colour scale, and that files are written atomically."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
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


# ---- over the input, through the layers, from neuron to neuron ---------------------------------------------------


def test_an_overlay_covers_the_input_where_there_is_relevance() -> None:
    R = np.zeros((3, 6, 6))
    R[0, 0, :4] = [4.0, -1.0, 0.25, 0.0]
    for ax in (panels(plot.grid(sample(3), {"map": R}, overlay=True))["map"],
               panels(plot.explanation(sample(3), R, overlay=True))["relevance"]):  # fmt: skip
        below, above = ax.images
        assert not ax.collections  # no outline: the input itself is there
        paper = below.get_array()
        assert paper.min() == pytest.approx(0.35)  # pale, so that it is not taken for relevance
        assert paper[1, 2] > paper[0, 0]  # the light part of the photograph is light
        assert_array_equal(above.get_array(), R[0])
        assert_allclose(above.get_alpha()[0, :4], [1, 1, 0.5, 0])
    with pytest.raises(ParameterError, match="overlay must be True or False"):
        plot.grid(sample(), {"map": relevance(1.0)}, overlay=1)  # type: ignore[arg-type]


def test_ink_is_dark_under_an_overlay() -> None:
    below, _ = panels(plot.grid(sample(), {"map": relevance(1.0)}, overlay=True))["map"].images
    assert below.get_array()[1, 2] < below.get_array()[0, 0]


@pytest.fixture
def trace() -> lrpref.Trace:
    """Two samples, explained through a convolution, a ReLU, a pool and a fully connected layer."""
    rng = np.random.default_rng(0)
    conv, dense = Conv2D(rng.normal(size=(2, 1, 3, 3)), padding=1), lrpref.Dense(rng.normal(size=(3, 8)))
    layers = [conv, ReLU(), lrpref.MaxPool2D(2), Flatten(), dense]
    net = Network.sequential(*layers, names=["conv", "relu", "pool", "flat", "fc"])
    return lrpref.trace(net, rng.normal(size=(2, 1, 4, 4)), rule="epsilon")


def test_maps_through_the_layers(trace: lrpref.Trace) -> None:
    for n in (0, 1):
        shown = panels(plot.layers(trace, sample=n, title="up"))
        peaks = {name: abs(trace.at[name][n].sum(axis=0)).max() for name in ("input", "conv", "pool")}
        sizes = {"input": "1 x 4 x 4", "conv": "2 x 4 x 4", "pool": "2 x 2 x 2"}
        assert list(shown) == [f"{name}\n{sizes[name]}, up to {peak:.2g}" for name, peak in peaks.items()]
        for ax, (name, peak) in zip(shown.values(), peaks.items(), strict=True):
            assert_allclose(ax.images[0].get_array(), trace.at[name][n].sum(axis=0) / peak)
            assert ax.images[0].get_clim() == (-1, 1)
    assert [title.partition("\n")[0] for title in panels(plot.layers(trace, ["relu", "input"]))] == ["relu", "input"]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (["fc"], r"the relevance of fc must have shape \(N, C, H, W\), got \(2, 3\)"),
        (["cnv"], r"nodes must be a list of names out of input, conv, relu, pool, flat, fc; got \['cnv'\]"),
        ("conv", "nodes must be a list of names out of input"),
        ([], "no node of this network has relevance of shape"),
    ],
)
def test_layers_without_a_picture_are_refused(nodes: Any, message: str, trace: lrpref.Trace) -> None:
    with pytest.raises(LrprefError, match=message):
        plot.layers(trace, nodes)
    with pytest.raises(ParameterError, match=r"expected the result of lrpref\.trace"):
        plot.layers(trace.ledger)  # type: ignore[arg-type]


def test_bands_are_as_wide_as_messages() -> None:
    lower, upper = np.array([[2.0, -2.0], [1.0, 0.0], [0.5, -4.0]]), np.array([[3.0], [-1.0]])
    (ax,) = plot.flow(lower, upper, title="messages").axes
    bands = [line for line in ax.lines if line.get_linestyle() == "-"]
    sent = [*lower.ravel(), *upper.ravel()]
    assert_allclose([band.get_linewidth() for band in bands], 2.5 * np.abs(sent))
    assert [band.get_color() for band in bands if band.get_linewidth()] == [
        plot.FOR if message > 0 else plot.AGAINST for message in sent if message
    ]
    assert [text.get_text() for text in ax.texts[:6]] == [
        "input 1\nholds 0", "input 2\nholds 1", "input 3\nholds -3.5",
        "neuron 1\nholds 3", "neuron 2\nholds -1", "neuron 1\nsent 2",
    ]  # fmt: skip
    named = plot.flow(upper, names=[["bowl", "stem"], ["nine"]]).axes[0].texts
    assert [text.get_text().partition("\n")[0] for text in named[:3]] == ["bowl", "stem", "nine"]


@pytest.mark.parametrize(
    ("messages", "options", "message"),
    [
        ([], {}, "there are no messages to draw"),
        ([np.ones((1, 2, 3))], {}, r"messages form a matrix .*select one sample with \[0\]"),
        ([np.ones((3, 2)), np.ones((3, 1))], {}, r"\(3, 2\) and \(3, 1\) do not belong to successive layers"),
        ([np.full((1, 1), np.nan)], {}, "NaN or infinities"),
        ([np.ones((2, 1))], {"names": [["a"], ["b"]]}, r"names must have \[2, 1\] entries per column, got \[1, 1\]"),
    ],
)
def test_messages_that_do_not_fit_are_refused(messages: Any, options: Any, message: str) -> None:
    with pytest.raises(LrprefError, match=message):
        plot.flow(*messages, **options)


# ---- where to draw, and on which page ----------------------------------------------------------------------------


def test_a_figure_of_pyplot_is_drawn_in_and_stays_known_to_it(ledger: Ledger, trace: lrpref.Trace) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    draw = {
        "grid": lambda figure: plot.grid(sample(), {"map": relevance(1.0)}, figure=figure),
        "explanation": lambda figure: plot.explanation(sample(), relevance(1.0), figure=figure),
        "waterfall": lambda figure: plot.waterfall(ledger, figure=figure),
        "layers": lambda figure: plot.layers(trace, figure=figure),
        "flow": lambda figure: plot.flow(np.ones((2, 2)), figure=figure),
    }
    for name, each in draw.items():
        given, alone = pyplot.figure(), each(None)
        assert each(given) is given, name
        assert pyplot.fignum_exists(given.number)
        assert not pyplot.fignum_exists(getattr(alone, "number", -1))
        assert_array_equal(given.get_size_inches(), alone.get_size_inches())
        assert len(given.axes) == len(alone.axes) > 0
        pyplot.close(given)
    with pytest.raises(ParameterError, match=r"figure must be a figure of matplotlib, such as pyplot\.figure\(\)"):
        plot.explanation(sample(), relevance(1.0), figure=3)  # type: ignore[arg-type]


def test_a_part_of_a_figure_keeps_its_size() -> None:
    whole = Figure(figsize=(9, 3), layout="constrained")
    left, right = whole.subfigures(1, 2)
    assert plot.explanation(sample(), relevance(1.0), figure=left) is left
    plot.grid(sample(), {"map": relevance(1.0)}, figure=right)
    assert_array_equal(whole.get_size_inches(), [9, 3])
    assert len(whole.axes) == 6


def test_a_figure_for_any_page_is_transparent_and_its_words_stand_out() -> None:
    with matplotlib.rc_context(plot.ANY_PAGE):
        figure = plot.explanation(sample(), relevance(1.0), "why?")
        figure.draw_without_rendering()
    assert figure.get_facecolor()[3] == 0
    ink = [text.get_color() for text in figure.findobj(Text) if text.get_text()]
    assert len(ink) > 5
    for page in ("white", "#0d1117"):
        assert min(contrast(colour, page) for colour in ink) > 4
        assert min(contrast(colour, page) for colour in (plot.FOR, plot.AGAINST)) > 3


def contrast(one: Any, other: Any) -> float:
    """The contrast ratio of two colours by WCAG 2.1: (L1 + 0.05) / (L2 + 0.05)."""
    light = [luminance(np.array(to_rgb(colour))) for colour in (one, other)]
    return float((max(light) + 0.05) / (min(light) + 0.05))


def luminance(rgb: np.ndarray) -> float:
    """The relative luminance of a colour by WCAG 2.1."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


# ---- files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def figure() -> Figure:
    """Any picture."""
    return plot.explanation(sample(), relevance(1.0))


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["png", "svg", "pdf", "eps"])
def test_a_description_is_in_the_metadata(ending: str, figure: Figure, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    plot.save(figure, path, "lrpref:0.2.0|zero")
    assert (b"lrpref:0.2.0|zero" in path.read_bytes()) == (ending != "eps")
    plot.save(figure, path)
    assert b"lrpref:0.2.0|zero" not in path.read_bytes()
    with pytest.raises(ParameterError, match="description must be a string"):
        plot.save(figure, path, 3)  # type: ignore[arg-type]
