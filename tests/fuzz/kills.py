"""Writers killed at any moment, and at the moment when a part file exists.

The writer is a process of its own that writes the same files again and again, each time with other content. After the
kill every file is whole, the old one or the new one; after the next run nothing else is left in the folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import lrpref
from lrpref import layers, reproduce
from lrpref._support.files import whole
from lrpref.cli import main
from lrpref.reproduce import report, runner
from lrpref.reproduce.images import Images
from lrpref.reproduce.study import Study, Unit

from .runner import Fuzzer

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Writer:
    """Something that writes files: what it writes the k-th time, the files, and a check that one is whole."""

    write: Callable[[Path, int], None]
    names: tuple[str, ...]
    check: Callable[[Path], None]


def case(seed: int, folder: Path) -> Mapping[str, int]:
    """One kill: every fifth is aimed at a part file, the others come at a random moment."""
    rng = Random(seed)
    name, number, aimed = rng.choice(list(WRITERS)), rng.choice(SIGNALS), seed % 5 == 0
    writer, here = WRITERS[name], folder / "written"
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir()
    writer.write(here, 0)
    seen = _killed(name, here, number, aimed, rng)
    for path in (here / each for each in writer.names):
        assert path.is_file(), f"{name}: {path.name} is lost"
        writer.check(path)
    left = _strange(here, writer)
    writer.write(here, 0)
    for path in (here / each for each in writer.names):
        writer.check(path)
    assert not _strange(here, writer), f"{name}, {number.name}: {_strange(here, writer)} left after the next run"
    how = "aimed" if aimed else "random"
    return {
        f"{how}: {name}, {number.name}": 1,
        f"survived: {how}": 1,
        f"part file seen: {how}": int(seen),
        f"part file until the next run: {number.name}": int(bool(left)),
    }


def _killed(name: str, here: Path, number: signal.Signals, aimed: bool, rng: Random) -> bool:
    """Start the writer, kill it, and say whether a part file existed."""
    command = [sys.executable, "-m", __name__, name, str(here)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    silent = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=silent, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        if aimed:
            deadline = time.monotonic() + 30
            while not _strange(here, WRITERS[name]) and time.monotonic() < deadline:
                pass
        else:
            time.sleep(rng.uniform(0, 0.5))
        seen = bool(_strange(here, WRITERS[name]))
        assert process.poll() is None, f"{name}: the writer ended by itself"
        _end(process, number, name)
    return seen


def _end(process: subprocess.Popen[bytes], number: signal.Signals, name: str) -> None:
    """Send the signal until the writer ends, at most three times.

    Python reports an interrupt that arrives while it runs a destructor or a callback of the garbage collector, and goes
    on; a person then presses Ctrl-C once more.
    """
    for _ in range(3):
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
            return
    process.kill()
    raise AssertionError(f"{name}: {number.name} does not end it")


def _strange(here: Path, writer: Writer) -> list[str]:
    """The files that are not among the results."""
    found = [str(path.relative_to(here)) for path in here.rglob("*") if not path.is_dir()]
    return sorted(set(found) - set(writer.names))


def _forever(name: str, here: Path) -> None:
    """Write until killed."""
    WRITERS[name].write(here, 0)
    print("ready", flush=True)
    for k in range(1, 10**6):
        WRITERS[name].write(here, k)


# ---- writers ---------------------------------------------------------------------------------------------------------


def _network(k: int) -> lrpref.Network:
    """A network all of whose numbers are k; large enough that writing it takes a while."""
    weight = np.full((300, 1000), k, np.float32) + np.arange(1000) % 7
    return lrpref.Network.sequential(layers.Dense(weight, np.full(300, k, np.float32)))


def _save(here: Path, k: int) -> None:
    lrpref.save(_network(k % 100), here / "net.npz", {"k": k % 100})


def _check_network(path: Path) -> None:
    dense: Any = lrpref.load(path).nodes[0].layer
    k = lrpref.weights.metadata(path)["k"]
    np.testing.assert_array_equal(dense.weight, _network(k).nodes[0].layer.weight)  # type: ignore[attr-defined]


def _explain(here: Path, k: int) -> None:
    with redirect_stdout(StringIO()):
        code = main(["explain", "mnist-mlp", "digit-4", "--target", str(k % 10), "--out", str(here / "map.png")])
    assert code == 0


def _check_picture(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        image.load()


UNITS = [Unit("mnist", "net", k, "", "epsilon") for k in range(3)]
IMAGES = {"mnist": Images("mnist", np.zeros((1, 1, 1, 1), np.float32), np.zeros(1, np.int64), "nothing")}
ROWS = {"value": np.arange(2000) / 3}


def _study() -> Study:
    """A study whose measures take no time, so that most of it is writing."""
    made = (reproduce.Protocol(), lambda unit, images, protocol: ROWS, ["value"], lambda found: [])
    return Study("none", "nobody", UNITS, [], *made)


def _reproduce(here: Path, k: int) -> None:
    """Resume the study; from the second time on, a unit is measured again."""
    units = here / "units"
    if k:
        (units / f"{UNITS[k % 3].name}.jsonl").touch()
        runner.write(units / f"{UNITS[k % 3].name}.jsonl", runner._about(_study(), UNITS[k % 3], IMAGES["mnist"]), ROWS)
    found = runner.run(_study(), IMAGES, here, progress=False)
    with whole(here / "summary.csv") as part:
        part.write_text(report.as_csv(report.means_of(found), dict.fromkeys(found, 2000)), encoding="utf-8")


def _check_text(path: Path) -> None:
    if path.suffix == ".csv":
        lines = path.read_text().splitlines()
        assert len({line.count(",") for line in lines}) == 1
        return
    unit = next(unit for unit in UNITS if unit.name == path.stem)
    rows = runner.read(path, runner._about(_study(), unit, IMAGES["mnist"]))
    assert len(rows["value"]) == len(ROWS["value"])


WRITERS = {
    "save": Writer(_save, ("net.npz",), _check_network),
    "explain": Writer(_explain, ("map.png",), _check_picture),
    "reproduce": Writer(_reproduce, (*(f"units/{unit.name}.jsonl" for unit in UNITS), "summary.csv"), _check_text),
}

FUZZER = Fuzzer(
    "kills",
    case,
    seconds=60,
    mebibytes=1024,
    demanded=frozenset(
        [f"{how}: {name}, {number.name}" for how in ("random", "aimed") for name in WRITERS for number in SIGNALS]
    ),
)

if __name__ == "__main__":
    _forever(sys.argv[1], Path(sys.argv[2]))
