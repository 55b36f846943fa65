"""Running a study unit by unit; each result is written atomically, so that a run can be interrupted and resumed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .._support.files import sweep, write_text
from .._support.progress import on_terminal
from .._support.untrusted import MAX_JSON, UNREADABLE, parse_json, reason
from .._support.version import __version__
from ..errors import InputError
from .images import Images
from .study import Rows, Study, Unit

FORMAT = "lrpref-reproduce/1"


def run(study: Study, images: Mapping[str, Images], out: Path, progress: bool | None = None) -> dict[Unit, Rows]:
    """Measure the units that have no results yet, and return the results of all units.

    Parameters
    ----------
    study : Study
        The design.
    images : mapping of str to Images
        Data set -> its test images. Units of other data sets are skipped.
    out : Path
        A folder. Its subfolder `units` holds one file of JSON lines per unit: a header, then one line per image.
    progress : bool, optional
        Whether to show a progress line on stderr; None shows it on a terminal.

    Returns
    -------
    dict of Unit to Rows
        The measures of each unit.

    Raises
    ------
    InputError
        If `out` holds damaged results, or results of another protocol or of other images.
    """
    folder = out / "units"
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    units = [unit for unit in study.units if unit.dataset in images]
    found: dict[Unit, Rows] = {}
    waiting = []
    for unit in units:
        path = folder / f"{unit.name}.jsonl"
        if path.is_file():
            found[unit] = read(path, _about(study, unit, images[unit.dataset]))
        else:
            waiting.append(unit)
    started = time.perf_counter()
    line = _Line(on_terminal() if progress is None else progress)
    try:
        for done, unit in enumerate(waiting):
            line.show(_progress(unit, done, len(waiting), time.perf_counter() - started))
            start = time.process_time()
            rows = study.measure(unit, images[unit.dataset], study.protocol)
            about = _about(study, unit, images[unit.dataset])
            seconds = round(time.process_time() - start, 2)
            path = folder / f"{unit.name}.jsonl"
            write(path, {**about, "signature": study.signature(unit), "seconds": seconds, **versions()}, rows)
            found[unit] = read(path, about)  # with the digits that a resumed run will read
    finally:
        line.wipe()
    return {unit: found[unit] for unit in units}


def versions() -> dict[str, str]:
    """Return the versions of lrpref, NumPy and Python."""
    return {"lrpref": __version__, "numpy": np.__version__, "python": sys.version.split()[0]}


def _about(study: Study, unit: Unit, images: Images) -> dict[str, Any]:
    """Return the part of the header that must be equal for results to be combined."""
    return {
        "format": FORMAT,
        "paper": study.paper,
        "unit": asdict(unit),
        "protocol": study.protocol.as_dict(),
        "images": images.source,
    }


def write(path: Path, about: Mapping[str, Any], rows: Rows) -> None:
    """Write the file of a unit atomically: a header, then a line per image."""
    count = len(next(iter(rows.values())))
    lines = [json.dumps(about)]
    lines += [json.dumps({name: _plain(values[n]) for name, values in rows.items()}) for n in range(count)]
    write_text(path, "\n".join([*lines, ""]))


def _plain(value: Any) -> float | None:
    """Return a value with seven digits; None if it is not finite."""
    return float(f"{value:.7g}") if np.isfinite(value) else None


def read(path: Path, about: Mapping[str, Any]) -> Rows:
    """Return the measures in the file of a unit; raises InputError if it is damaged or was measured differently."""
    try:
        first, *rest = _lines(path)
        names = list(rest[0])
        rows = {name: np.asarray([np.nan if row[name] is None else row[name] for row in rest]) for name in names}
        if strange := [name for name, values in rows.items() if values.dtype.kind not in "fi" or values.ndim != 1]:
            raise ValueError(f"{strange[0]} is not a number in every row")
    except UNREADABLE as error:
        raise InputError(f"{path} is damaged ({reason(error)}); delete it to measure this unit again") from error
    different = [key for key, value in about.items() if not isinstance(first, dict) or first.get(key) != value]
    if different:
        raise InputError(
            f"{path} was measured with different settings ({', '.join(different)}); "
            "choose another folder with --out, or delete this one"
        )
    return rows


def headers(out: Path, units: Iterable[Unit]) -> list[dict[str, Any]]:
    """Return the headers of the files of these units."""
    return [next(_lines(out / "units" / f"{unit.name}.jsonl")) for unit in units]


def _lines(path: Path) -> Iterator[Any]:
    """Yield the JSON of each line of a file; raises ValueError for one that is damaged, or a file that is too large."""
    if path.stat().st_size > MAX_JSON:
        raise ValueError(f"it has more than {MAX_JSON} bytes")
    with path.open(encoding="utf-8") as stream:
        yield from map(parse_json, stream)


# ---- progress ----------------------------------------------------------------------------------------------------


def _progress(unit: Unit, done: int, total: int, seconds: float) -> str:
    """Return the progress line: how many units are done, the current one, and the time left."""
    left = f", about {seconds / done * (total - done) / 60:.0f} min left" if done else ""
    return f"{done}/{total} {unit.network} {unit.treatment} {unit.rule}{left}"


class _Line:
    """A progress line on stderr that overwrites itself."""

    def __init__(self, shown: bool) -> None:
        self.shown, self.width = shown, 0

    def show(self, text: str) -> None:
        """Replace the line by `text`."""
        if self.shown:
            text = text[:110]
            print(f"\r{text:{self.width}}", end="", file=sys.stderr, flush=True)
            self.width = len(text)

    def wipe(self) -> None:
        """Clear the line."""
        if self.shown and self.width:
            print("\r" + " " * self.width, end="\r", file=sys.stderr, flush=True)
