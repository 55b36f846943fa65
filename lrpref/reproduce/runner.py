"""Running a study: unit by unit, each written whole or not at all, so that a run can be stopped and taken up again."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .._support.files import whole
from ..errors import InputError
from .images import Images
from .study import Rows, Study, Unit

FORMAT = "lrpref-reproduce/1"


def run(study: Study, images: Mapping[str, Images], out: Path, progress: bool | None = None) -> dict[Unit, Rows]:
    """Measure what is not measured yet, and return everything.

    study     the design
    images    data set -> its test images; units of a data set without images are left out
    out       a folder; each unit is a file of JSON lines in its `units`: one line about it, then one per image
    progress  a line on stderr; None: if it is a terminal

    Raises InputError where `out` holds results of another protocol, or of other images.
    """
    folder = out / "units"
    folder.mkdir(parents=True, exist_ok=True)
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
    line = _Line(sys.stderr.isatty() if progress is None else progress)
    try:
        for done, unit in enumerate(waiting):
            line.show(_told(unit, done, len(waiting), time.perf_counter() - started))
            start = time.process_time()
            rows = study.measure(unit, images[unit.dataset], study.protocol)
            about = _about(study, unit, images[unit.dataset])
            seconds = round(time.process_time() - start, 2)
            write(folder / f"{unit.name}.jsonl", {**about, "seconds": seconds, **versions()}, rows)
            found[unit] = rows
    finally:
        line.wipe()
    return {unit: found[unit] for unit in units}


def versions() -> dict[str, str]:
    """What computed it."""
    from .. import __version__

    return {"lrpref": __version__, "numpy": np.__version__, "python": sys.version.split()[0]}


def _about(study: Study, unit: Unit, images: Images) -> dict[str, Any]:
    """What must be the same for two results to belong together."""
    return {
        "format": FORMAT,
        "paper": study.paper,
        "unit": asdict(unit),
        "protocol": study.protocol.as_dict(),
        "images": images.source,
    }


def write(path: Path, about: Mapping[str, Any], rows: Rows) -> None:
    """A unit's file: a line about it, then a line per image; whole or not at all."""
    count = len(next(iter(rows.values())))
    lines = [json.dumps(about)]
    lines += [json.dumps({name: _plain(values[n]) for name, values in rows.items()}) for n in range(count)]
    with whole(path) as part:
        part.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _plain(value: Any) -> float | None:
    """Seven digits; None for what is no number."""
    return float(f"{value:.7g}") if np.isfinite(value) else None


def read(path: Path, about: Mapping[str, Any]) -> Rows:
    """What a unit's file holds; raises InputError where it is damaged or about something else."""
    try:
        first, *rest = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        names = list(rest[0])
        rows = {name: np.asarray([np.nan if row[name] is None else row[name] for row in rest]) for name in names}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged: {error}; delete it, and it is measured again") from error
    different = [key for key, value in about.items() if not isinstance(first, dict) or first.get(key) != value]
    if different:
        raise InputError(
            f"{path} was measured with another {', '.join(different)}; "
            "give another folder with --out, or delete this one"
        )
    return rows


def files(out: Path) -> Iterator[dict[str, Any]]:
    """What each unit's file says of itself."""
    for path in sorted((out / "units").glob("*.jsonl")):
        with path.open(encoding="utf-8") as stream:
            yield json.loads(stream.readline())


# ---- progress ----------------------------------------------------------------------------------------------------


def _told(unit: Unit, done: int, total: int, seconds: float) -> str:
    left = f", about {seconds / done * (total - done) / 60:.0f} min left" if done else ""
    return f"{done}/{total} {unit.network} {unit.treatment} {unit.rule}{left}"


class _Line:
    """A line on stderr that is written over."""

    def __init__(self, shown: bool) -> None:
        self.shown, self.width = shown, 0

    def show(self, text: str) -> None:
        """Put `text` in the place of what stood there."""
        if self.shown:
            text = text[:110]
            print(f"\r{text:{self.width}}", end="", file=sys.stderr, flush=True)
            self.width = len(text)

    def wipe(self) -> None:
        """Wipe the line."""
        if self.shown and self.width:
            print("\r" + " " * self.width, end="\r", file=sys.stderr, flush=True)
