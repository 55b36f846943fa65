"""Pictures of relevance: red is evidence for the output, blue evidence against it, white is zero.

The colour scale is centred on zero. By default all panels of a comparison share it; it ends at the median of the maps'
largest magnitudes, and larger values are clipped. Readers with colour-vision deficiency can distinguish the red and
blue of matplotlib's "RdBu".

Each function returns a matplotlib `Figure`, whose `axes` hold the panels; `save` writes it. A new figure has no
window. To show it, in a script or a notebook, pass a figure of pyplot:

    plot.grid(x, maps, figure=pyplot.figure())
    pyplot.show()

docs/plot.md shows every kind of figure. Needs matplotlib (in the extra "plot").
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._support.extras import check_installed, library
from ._support.files import check_writable, is_stream, whole
from .arithmetic import check_choice, check_flag, check_integer
from .backend import Array, to_numpy
from .errors import InputError, LrprefError, ParameterError, ShapeError, shown
from .ledger import LOSSES, Ledger
from .walk import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

FORMATS = ("png", "pdf", "svg")
"""The formats that every matplotlib writes; it may know more."""

COLOURS = "RdBu_r"
FOR, AGAINST = "#d6604d", "#4393c3"
"""Red and blue for lines and bars; both stand out from white and from nearly black paper (at least 3 : 1)."""
COLOUR_OF = dict(zip(LOSSES, ("#e66101", "#8073ac", "#5aae61", "#c51b7d"), strict=True))
HATCH_OF = dict(zip(LOSSES, ("", "////", "....", "xxxx"), strict=True))

_INK = "#787878"
ANY_PAGE: dict[Any, Any] = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.framealpha": 0.0,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
}
"""Settings for `matplotlib.rc_context` under which a figure can be read on white and on dark pages.

The ground is transparent, and words are of a grey that has a contrast of about 4.4 : 1 to white and to nearly black.
"""


def explanation(
    x: Array, R: Array, title: str = "", overlay: bool = False, figure: Figure | SubFigure | None = None
) -> Figure:
    """Draw the input and its relevance side by side.

    Parameters
    ----------
    x, R : array, shape (C, H, W) or (1, C, H, W)
        One sample and its relevance, which is summed over the channels.
    title : str
        A line above both.
    overlay : bool, default False
        Whether to lay the map over the input, as in `grid`.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Where to draw, as in `grid`.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    return grid(x, {"relevance": R}, title, overlay=overlay, figure=figure)


def grid(
    x: Array,
    maps: Mapping[str, Array],
    title: str = "",
    columns: int = 4,
    scale: str = "one",
    overlay: bool = False,
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """Draw the input and several relevance maps of it.

    Parameters
    ----------
    x : array, shape (C, H, W) or (1, C, H, W)
        One sample.
    maps : mapping of str to array
        Caption -> relevance shaped like `x`.
    title : str
        A line above all panels.
    columns : int, default 4
        The largest number of panels in a row.
    scale : {"one", "each"}, default "one"
        "one" colour scale for all maps, the median of their largest magnitudes, to compare their sizes (larger values
        are clipped); "each" map divided by its own largest magnitude, to compare their shapes where rules give maps of
        very different sizes.
    overlay : bool, default False
        Whether to lay the maps over a pale grey copy of the input: the larger the relevance of a pixel, the more of its
        colour covers the input, and where relevance is zero, the input shows through.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Where to draw. A figure, such as one of `pyplot.figure()`, is given the size that its panels need; a part of a
        figure keeps its size. By default, a new figure that no window knows.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    ShapeError, InputError, ParameterError, LrprefError
        If a map does not fit the sample or is not finite, `scale` is unknown, or there are no maps.
    """
    check_choice(scale, "scale", ("one", "each"))
    check_flag(overlay, "overlay")
    check_integer(columns, "columns", least=1)
    _check_title(title)
    if not isinstance(maps, Mapping):
        raise ParameterError(f"maps must be a mapping from captions to relevance, got {shown(maps)}")
    images = {caption: _summed(R, x) for caption, R in maps.items()}
    if not images:
        raise LrprefError("there is no relevance to draw")
    if scale == "each":
        images = {caption: image / (np.abs(image).max(initial=0.0) or 1) for caption, image in images.items()}
    peaks = [float(np.abs(image).max(initial=0.0)) for image in images.values()]
    # the median map fills the scale, so that one extreme map does not bleach the others; empty maps do not count
    limit = float(np.median([peak for peak in peaks if peak] or [1.0]))
    panels = len(images) + 1
    rows = -(-panels // columns)
    columns = -(-panels // rows)  # no panel stays alone in the last row if the others can make room
    page: Figure = _figure(2.9 * columns + 0.9, 2.8 * rows + (0.7 if title else 0.4), figure)
    axes = page.subplots(rows, columns, squeeze=False).reshape(-1)
    for ax in axes:
        ax.set_axis_off()
    _draw_input(axes[0], x)
    for ax, (caption, image) in zip(axes[1:], images.items(), strict=False):
        if overlay:
            drawn = _draw_over(ax, image, limit, x)
        else:
            drawn = _draw_map(ax, image, limit)
            _draw_outline(ax, x)
        ax.set_title(caption, fontsize=9)
    extend = "both" if max(peaks) > limit else "neither"
    label = "relevance" if scale == "one" else "relevance / its largest"
    page.colorbar(drawn, ax=list(axes), shrink=0.75, extend=extend, label=f"{label}\n(red: for, blue: against)")
    if title:
        page.suptitle(title, fontsize=10, parse_math=False)
    return page


def words(
    sentence: Sequence[str], maps: Mapping[str, Array], title: str = "", figure: Figure | SubFigure | None = None
) -> Figure:
    """Draw the words of a sentence, each on the colour of its relevance; one row for every map.

    All rows share one colour scale, which ends at the largest magnitude.

    Parameters
    ----------
    sentence : sequence of str
        The words.
    maps : mapping of str to array, shape (T,) or (1, T)
        Caption -> relevance of the words.
    title : str
        A line above all rows.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Where to draw, as in `grid`.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    ShapeError, InputError
        If a map does not have one number for each word, or is not finite.
    """
    _check_title(title)
    rows = {caption: to_numpy(R).astype(float).reshape(-1) for caption, R in maps.items()}
    for caption, row in rows.items():
        if len(row) != len(sentence):
            raise ShapeError(f"{caption}: there are {len(sentence)} words, but {len(row)} numbers of relevance")
        if not np.isfinite(row).all():
            raise InputError("the relevance holds NaN or infinities, which cannot be drawn")
    limit = max((float(np.abs(row).max(initial=0.0)) for row in rows.values()), default=0.0) or 1.0
    ends = np.cumsum([0, *(len(word) + 1.5 for word in sentence)])  # a word is as wide as its letters
    page: Figure = _figure(0.115 * ends[-1] + 2.6, 0.62 * len(rows) + (0.9 if title else 0.6), figure)
    axes = page.subplots(len(rows), 1, squeeze=False)[:, 0]
    for ax, (caption, row) in zip(axes, rows.items(), strict=True):
        drawn = ax.pcolormesh(ends, [0, 1], row[None], cmap=COLOURS, vmin=-limit, vmax=limit, edgecolors="white")
        for word, value, left, right in zip(sentence, row, ends, ends[1:], strict=False):
            colour = "white" if abs(value) > 0.6 * limit else "black"
            ax.text((left + right) / 2, 0.5, word, ha="center", va="center", color=colour, parse_math=False)
        ax.set_ylabel(caption, fontsize=9, rotation=0, ha="right", va="center")
        ax.set(xticks=[], yticks=[])
        ax.set_frame_on(False)
    page.colorbar(drawn, ax=list(axes), label="relevance", aspect=6 * len(rows))
    if title:
        page.suptitle(title, fontsize=10, parse_math=False)
    return page


def layers(
    trace: Trace,
    nodes: Sequence[str] | None = None,
    sample: int = 0,
    title: str = "",
    columns: int = 5,
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """Draw the relevance at several layers of a network, from the input up.

    Every panel is summed over the channels and divided by its own largest magnitude, which its caption gives.

    Parameters
    ----------
    trace : Trace
        What `lrpref.trace` returned.
    nodes : list or tuple of str, optional
        Names of nodes whose relevance has the shape (N, C, H, W). By default, all that have, except those that only
        pass on what they received, such as a ReLU.
    sample : int, default 0
        The index of the sample.
    title : str
        A line above all panels.
    columns : int, default 5
        The largest number of panels in a row.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Where to draw, as in `grid`.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    ParameterError, ShapeError, LrprefError, TargetError
        If a node is unknown or holds no picture, no node does, or there is no such sample.
    """
    if not isinstance(trace, Trace):
        raise ParameterError(f"expected the result of lrpref.trace, got {shown(trace)}")
    check_integer(columns, "columns", least=1)
    _check_title(title)
    sample = trace.ledger.checked(sample)
    images = _through_the_layers(trace, nodes, sample)
    rows = -(-len(images) // columns)
    columns = -(-len(images) // rows)
    page: Figure = _figure(2.2 * columns + 0.9, 2.6 * rows + (0.7 if title else 0.3), figure)
    axes = page.subplots(rows, columns, squeeze=False).reshape(-1)
    for ax in axes:
        ax.set_axis_off()
    for ax, (name, R) in zip(axes, images.items(), strict=False):
        image = R.sum(axis=0)
        peak = float(np.abs(image).max(initial=0.0))
        drawn = _draw_map(ax, image / (peak or 1.0), 1.0)
        size = " x ".join(str(length) for length in R.shape)
        ax.set_title(f"{name}\n{size}, up to {peak:.2g}", fontsize=9)
    page.colorbar(drawn, ax=list(axes), shrink=0.75, label="relevance / its largest\n(red: for, blue: against)")
    if title:
        page.suptitle(title, fontsize=10, parse_math=False)
    return page


def _through_the_layers(trace: Trace, nodes: Sequence[str] | None, sample: int) -> dict[str, np.ndarray]:
    """Node -> the relevance of one sample, (C, H, W), from the input up."""
    walked = trace.ledger.nodes
    upwards = [*(name for name in trace.at if name not in walked), *reversed(walked)]
    if nodes is not None and not (
        isinstance(nodes, (list, tuple)) and all(isinstance(n, str) and n in upwards for n in nodes)
    ):
        raise ParameterError(f"nodes must be a list of names out of {', '.join(upwards)}; got {shown(nodes)}")
    if nodes is None:
        passing = {entry.node for entry in trace.ledger.entries if entry.rule == "passes"}
        nodes = [name for name in upwards if name not in passing and trace.at[name].ndim == 4]
    if not nodes:
        raise LrprefError("no node of this network has relevance of shape (N, C, H, W), which is drawn as a picture")
    for name in nodes:
        if trace.at[name].ndim != 4:
            raise ShapeError(f"the relevance of {name} must have shape (N, C, H, W), got {trace.at[name].shape}")
    return {name: to_numpy(trace.at[name])[sample].astype(float) for name in nodes}


def flow(
    *messages: Array,
    names: Sequence[Sequence[str]] | None = None,
    title: str = "",
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """Draw the messages of a small network as bands from the neurons, on the right, to the inputs, on the left.

    The width of a band is the size of its message. Beside every unit stands the sum of the messages that it received;
    beside those on the right, what they sent, which lacks the shares of biases and stabilizers.

    Parameters
    ----------
    *messages : array, shape (inputs, outputs)
        One message matrix per layer, from the input up, as `lrpref.messages` returns it for one sample. A layer has as
        many outputs as the next one has inputs.
    names : list of lists of str, optional
        The names of the units, column by column from the inputs to the outputs.
    title : str
        A line above the figure.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Where to draw, as in `grid`.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    ShapeError, InputError, ParameterError
        If the matrices do not fit together, are not finite, or there are none, or the names do not fit.
    """
    _check_title(title)
    matrices = [_matrix(message) for message in messages]
    _check_messages(matrices)
    sizes = [len(matrices[0]), *(matrix.shape[1] for matrix in matrices)]
    names = _unit_names(names, sizes)
    page: Figure = _figure(2.6 * len(matrices) + 2.0, 0.75 * max(sizes) + 1.2, figure)
    ax = page.subplots()
    places = [(np.arange(n) - (n - 1) / 2) * (max(sizes) / n) for n in sizes]
    _draw_bands(ax, matrices, places)
    held = [matrix.sum(axis=1) for matrix in matrices] + [matrices[-1].sum(axis=0)]
    for k, (column, relevance) in enumerate(zip(names, held, strict=True)):
        ax.plot([k] * sizes[k], places[k], "o", markersize=9, color="0.6", zorder=3)
        word = "sent" if k == len(matrices) else "holds"
        for y, name, R in zip(places[k], column, relevance, strict=True):
            _label(ax, (k, y), f"{name}\n{word} {R:.3g}", first=k == 0, last=k == len(matrices))
    key = "width: size of a message; red: for, blue: against"
    ax.text(0.5, 0, key, transform=ax.transAxes, ha="center", va="top", fontsize=8)
    ax.set(xlim=(-0.6, len(matrices) + 0.6), ylim=(max(sizes) / 2, -max(sizes) / 2))
    ax.set_title(title, fontsize=10, parse_math=False)
    ax.set_axis_off()
    return page


def _draw_bands(ax: Axes, matrices: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> None:
    """Draw every message from its neuron at column k + 1 to its input at column k."""
    largest = max(float(np.abs(matrix).max()) for matrix in matrices) or 1.0
    for k, matrix in enumerate(matrices):
        for (i, j), message in np.ndenumerate(matrix):
            colour = FOR if message > 0 else AGAINST
            ends, width = [places[k + 1][j], places[k][i]], 10 * abs(message) / largest
            ax.plot([k + 1, k], ends, color=colour, linewidth=width, alpha=0.6, solid_capstyle="butt")


def _label(ax: Axes, place: tuple[float, float], text: str, first: bool, last: bool) -> None:
    """Write beside a unit: outside of the first and the last column, above or below in the others."""
    if first or last:
        where: dict[str, Any] = {
            "xytext": (-10 if first else 10, 0),
            "ha": "right" if first else "left",
            "va": "center",
        }
    else:
        up = place[1] <= 0  # the axis points down
        where = {"xytext": (0, 11 if up else -11), "ha": "center", "va": "bottom" if up else "top"}
    ax.annotate(text, place, textcoords="offset points", fontsize=9, parse_math=False, **where)


def _unit_names(names: Any, sizes: Sequence[int]) -> Sequence[Sequence[str]]:
    """The names of the units per column; by default, they are counted."""
    if names is None:
        return [[f"{'neuron' if k else 'input'} {i + 1}" for i in range(n)] for k, n in enumerate(sizes)]
    columns = names if isinstance(names, (list, tuple)) else [names]
    if not all(isinstance(column, (list, tuple)) and all(isinstance(n, str) for n in column) for column in columns):
        raise ParameterError(f"names must be a list of names per column of units, got {shown(names)}")
    if [len(column) for column in columns] != list(sizes):
        raise ShapeError(f"names must have {list(sizes)} entries per column, got {[len(column) for column in columns]}")
    return columns


def _matrix(messages: Any) -> np.ndarray:
    """Messages as a finite matrix of floats, (inputs, outputs)."""
    given = to_numpy(messages)
    if given.dtype.kind not in "fiuO" or (given.dtype == object and not all(isinstance(m, Real) for m in given.flat)):
        raise InputError(f"messages must be an array of real numbers, got {shown(messages)}")
    if given.ndim != 2 or not given.size:
        raise ShapeError(f"messages form a matrix (inputs, outputs), got {given.shape}; select one sample with [0]")
    try:
        matrix: np.ndarray = given.astype(float)
    except OverflowError as error:
        raise InputError("the messages are too large for floats, so they cannot be drawn") from error
    if not np.isfinite(matrix).all():
        raise InputError("the messages hold NaN or infinities, which cannot be drawn")
    return matrix


def _check_messages(matrices: Sequence[np.ndarray]) -> None:
    """Raise an error unless each matrix has as many columns as the next one has rows."""
    if not matrices:
        raise ShapeError("there are no messages to draw")
    for below, above in pairwise(matrices):
        if below.shape[1] != len(above):
            raise ShapeError(f"messages of shapes {below.shape} and {above.shape} do not belong to successive layers")


def waterfall(
    ledger: Ledger,
    sample: int = 0,
    title: str = "where the relevance went",
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """Draw the ledger of one sample as a waterfall: the relevance at each layer, and what was lost there.

    Parameters
    ----------
    ledger : Ledger
        The ledger of a trace.
    sample : int, default 0
        The index of the sample.
    title : str, default "where the relevance went"
        A line above the figure.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Where to draw, as in `grid`.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    if not isinstance(ledger, Ledger):
        raise ParameterError(f"expected the ledger of a trace, got {shown(ledger)}")
    _check_title(title)
    sample = ledger.checked(sample)
    out = to_numpy(ledger["out"])[:, sample].astype(float)
    end = float(to_numpy(ledger.arrived())[sample])
    page: Figure = _figure(7.0, 0.32 * len(out) + 1.6, figure)
    ax = page.subplots()
    places = np.arange(len(out) + 1)
    ax.barh(places, [*out, end], color="0.65", label="relevance at the output of")
    lost = {loss: to_numpy(ledger[loss])[:, sample].astype(float) for loss in LOSSES}
    used = [loss for loss in LOSSES if np.any(lost[loss] != 0)]
    left, lane = out.copy(), 0.7 / max(len(used), 1)  # one lane each: losses of opposite sign would hide one another
    for k, loss in enumerate(used):
        left = left - lost[loss]
        y = places[:-1] + (k - (len(used) - 1) / 2) * lane
        looks: dict[str, Any] = {"color": COLOUR_OF[loss], "hatch": HATCH_OF[loss], "edgecolor": "white"}
        ax.barh(y, lost[loss], left=left, height=0.9 * lane, linewidth=0, label=f"went to {loss}", **looks)
    ax.set_yticks(places, [*ledger.nodes, "input"])
    ax.invert_yaxis()
    ax.axvline(0, color="0.5", linewidth=0.8)
    ax.set_xlabel("relevance")
    ax.set_title(title, fontsize=10)
    ax.set_xlim(min(ax.get_xlim()[0], 0.0), 1.04 * ax.get_xlim()[1])
    page.legend(fontsize=8, loc="outside lower center", ncols=3)
    return page


DESCRIBED_AS = {"png": "Description", "svg": "Description", "svgz": "Description", "pdf": "Subject"}
"""Format -> the entry of its metadata that holds a description."""


def save(figure: Figure, path: str | os.PathLike[str], description: str = "") -> None:
    """Write a figure to a file, atomically.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : path-like
        The suffix determines the format: .png, .pdf, .svg or another format of matplotlib. A pipe or a device without
        such a suffix, such as /dev/stdout, receives a PNG.
    description : str, optional
        A text for the metadata of the file, such as the signature of a map: "Description" in a PNG or SVG, "Subject" in
        a PDF. Other formats do not keep it.

    Raises
    ------
    LrprefError
        If the format is unknown.
    OutputError
        If the file cannot be written: `path` is a folder, its folder does not exist, or it is read-only.
    """
    path = Path(path)
    check_path(path)
    if not isinstance(description, str):
        raise ParameterError(f"description must be a string, got {shown(description)}")
    kind = _format(path) or "png"
    metadata = {DESCRIBED_AS[kind]: description} if description and kind in DESCRIBED_AS else None
    try:
        with whole(path) as part:
            figure.savefig(part, dpi=150, format=kind, metadata=metadata)
    except ValueError as error:
        raise LrprefError(f"cannot write {path}: {error}") from error


def check_path(path: str | os.PathLike[str]) -> None:
    """Raise the error that `save` would raise for this path. Call this before the work whose picture it will hold.

    Parameters
    ----------
    path : path-like
        The file to write.

    Raises
    ------
    LrprefError
        If the format is unknown.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    check_installed("matplotlib", "plot", "pictures")
    if _format(path) is None and not is_stream(path):
        raise LrprefError(f"cannot write {path}: its format is unknown; use the suffix .png, .pdf or .svg")
    check_writable(path)


def _format(path: Path) -> str | None:
    """The format that the suffix names, or None. Matplotlib is slow to import, so it is asked about rare ones only."""
    name = path.suffix[1:].lower()
    if name in FORMATS:
        return name
    canvas = library("matplotlib.backend_bases", "plot", "pictures").FigureCanvasBase
    return name if name in canvas.get_supported_filetypes() else None


def _check_title(title: object) -> None:
    if not isinstance(title, str):
        raise ParameterError(f"title must be a string, got {shown(title)}")


def _figure(width: float, height: float, given: Figure | SubFigure | None) -> Any:
    """The figure that was given, in this size unless it is part of another one; or a new figure without a window."""
    module = library("matplotlib.figure", "plot", "pictures")
    if given is None:
        return module.Figure(figsize=(width, height), layout="constrained")
    if not isinstance(given, module.FigureBase):
        raise ParameterError(f"figure must be a figure of matplotlib, such as pyplot.figure(), got {shown(given)}")
    if isinstance(given, module.Figure):
        given.set_size_inches(width, height)
        given.set_layout_engine("constrained")
    return given


def _image(x: Array) -> np.ndarray:
    """One sample as (C, H, W)."""
    image = to_numpy(x)
    image = image[0] if image.ndim == 4 and len(image) == 1 else image
    if image.ndim != 3:
        hints = {2: "add the channel axis with x[None]", 5: "draw the planes of a volume, such as x[:, :, 0]"}
        hint = hints.get(image.ndim, "select one with x[0]")
        raise ShapeError(f"a picture shows one sample of shape (C, H, W), got {image.shape}; {hint}")
    return image


def _summed(R: Array, x: Array) -> np.ndarray:
    """Relevance per pixel of `x`: the sum over the channels."""
    image = _image(R).astype(float)
    if image.shape != _image(x).shape:
        raise ShapeError(f"relevance of shape {image.shape} does not fit an input of shape {_image(x).shape}")
    if not np.isfinite(image).all():
        raise InputError("the relevance holds NaN or infinities, which cannot be drawn")
    summed: np.ndarray = image.sum(axis=0)
    return summed


def _ink(x: Array) -> np.ndarray:
    """The sample as a single channel scaled to [0, 1], for its outline."""
    grey = _image(x).astype(float).mean(axis=0)
    span = float(grey.max() - grey.min())
    scaled: np.ndarray = (grey - grey.min()) / span if span else grey * 0
    return scaled


def _draw_input(ax: Axes, x: Array) -> None:
    image = _image(x).astype(float)
    if len(image) == 3:
        span = float(image.max() - image.min()) or 1.0
        ax.imshow(np.moveaxis((image - image.min()) / span, 0, -1))
    else:
        ax.imshow(image.mean(axis=0), cmap="gray_r")
    ax.set_title("input", fontsize=9)


def _draw_outline(ax: Axes, x: Array) -> None:
    """Draw the edge of the ink, if there is any."""
    ink = _ink(x)
    if min(ink.shape) > 1 and ink.any():
        ax.contour(ink, levels=[0.5], colors="0.35", linewidths=0.6)


def _draw_over(ax: Axes, image: np.ndarray, limit: float, x: Array) -> Any:
    """Draw a map over a pale copy of the input, opaque from a quarter of the limit."""
    paper = _ink(x) if len(_image(x)) == 3 else 1 - _ink(x)
    ax.imshow(0.35 + 0.65 * paper, cmap="gray", vmin=0, vmax=1)
    return ax.imshow(image, COLOURS, vmin=-limit, vmax=limit, alpha=np.minimum(1, 2 * np.sqrt(np.abs(image) / limit)))


def _draw_map(ax: Axes, image: np.ndarray, limit: float) -> Any:
    return ax.imshow(image, cmap=COLOURS, vmin=-limit, vmax=limit)
