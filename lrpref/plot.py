"""Pictures of relevance: red is evidence for the output, blue evidence against it, white is zero.

The colour scale is centred on zero. By default all panels of a comparison share it; it ends at the median of the maps'
largest magnitudes, and larger values are clipped. Readers with colour-vision
deficiency can distinguish the red and blue of matplotlib's "RdBu". Each function returns a matplotlib `Figure`, which
`save` writes.

Needs matplotlib (in the extra "plot").
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._support.extras import check_installed, library
from ._support.files import check_writable, is_stream, whole
from .arithmetic import check_choice, check_integer
from .backend import Array, to_numpy
from .errors import InputError, LrprefError, ParameterError, ShapeError, shown
from .ledger import LOSSES, Ledger

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")
"""The formats that every matplotlib writes; it may know more."""

COLOURS = "RdBu_r"
COLOUR_OF = dict(zip(LOSSES, ("#d95f02", "#7570b3", "#1b9e77", "#e7298a"), strict=True))


def explanation(x: Array, R: Array, title: str = "") -> Figure:
    """Draw the input and its relevance side by side.

    Parameters
    ----------
    x, R : array, shape (C, H, W) or (1, C, H, W)
        One sample and its relevance, which is summed over the channels.
    title : str
        A line above both.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    return grid(x, {"relevance": R}, title)


def grid(x: Array, maps: Mapping[str, Array], title: str = "", columns: int = 4, scale: str = "one") -> Figure:
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
    columns = min(columns, panels)
    rows = -(-panels // columns)
    figure = _figure(2.9 * columns + 0.9, 2.9 * rows + (0.9 if title else 0.5))
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for ax in axes:
        ax.set_axis_off()
    _draw_input(axes[0], x)
    for ax, (caption, image) in zip(axes[1:], images.items(), strict=False):
        drawn = _draw_map(ax, image, limit)
        _draw_outline(ax, x)
        ax.set_title(caption, fontsize=9)
    extend = "both" if max(peaks) > limit else "neither"
    label = "relevance" if scale == "one" else "relevance / its largest"
    figure.colorbar(drawn, ax=list(axes), shrink=0.75, extend=extend, label=f"{label} (red: for, blue: against)")
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def waterfall(ledger: Ledger, sample: int = 0, title: str = "where the relevance went") -> Figure:
    """Draw the ledger of one sample as a waterfall: the relevance at each layer, and what was lost there.

    Parameters
    ----------
    ledger : Ledger
        The ledger of a trace.
    sample : int, default 0
        The index of the sample.
    title : str, default "where the relevance went"
        A line above the figure.

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
    figure = _figure(7.0, 0.32 * len(out) + 1.6)
    ax = figure.subplots()
    places = np.arange(len(out) + 1)
    ax.barh(places, [*out, end], color="0.8", label="relevance at the output of")
    lost = {loss: to_numpy(ledger[loss])[:, sample].astype(float) for loss in LOSSES}
    used = [loss for loss in LOSSES if np.any(lost[loss] != 0)]
    left, lane = out.copy(), 0.7 / max(len(used), 1)  # one lane each: losses of opposite sign would hide one another
    for k, loss in enumerate(used):
        left = left - lost[loss]
        y = places[:-1] + (k - (len(used) - 1) / 2) * lane
        ax.barh(y, lost[loss], left=left, height=0.9 * lane, color=COLOUR_OF[loss], label=f"went to {loss}")
    ax.set_yticks(places, [*ledger.nodes, "input"])
    ax.invert_yaxis()
    ax.axvline(0, color="0.2", linewidth=0.8)
    ax.set_xlabel("relevance")
    ax.set_title(title, fontsize=10)
    ax.set_xlim(min(ax.get_xlim()[0], 0.0), 1.04 * ax.get_xlim()[1])
    figure.legend(fontsize=8, loc="outside lower center", ncols=3)
    return figure


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
        raise ParameterError(f"description must be a text, got {shown(description)}")
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
        raise ParameterError(f"title must be a text, got {shown(title)}")


def _figure(width: float, height: float) -> Figure:
    """A figure without a window."""
    return library("matplotlib.figure", "plot", "pictures").Figure(figsize=(width, height), layout="constrained")


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


def _draw_map(ax: Axes, image: np.ndarray, limit: float) -> Any:
    return ax.imshow(image, cmap=COLOURS, vmin=-limit, vmax=limit)
