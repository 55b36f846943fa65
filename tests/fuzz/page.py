"""The figures of docs/trust.md, from docs/trust.json: `python -m tests.fuzz.page` writes them into the page."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
DATA, PAGE = DOCS / "trust.json", DOCS / "trust.md"


def update(section: str, found: Mapping[str, Any]) -> None:
    """Store what was measured, and write the page."""
    data = json.loads(DATA.read_text()) if DATA.is_file() else {}
    DATA.write_text(json.dumps({**data, section: found}, indent=1) + "\n")
    PAGE.write_text(written(PAGE.read_text(), json.loads(DATA.read_text())))


def record_fuzzer(name: str, found: Mapping[str, Any]) -> None:
    """Store what one fuzzer found in place of what it found before."""
    before = json.loads(DATA.read_text())["fuzzers"] if DATA.is_file() else {}
    update("fuzzers", {**before, name: found})


def written(page: str, data: Mapping[str, Any]) -> str:
    """The page with every block between <!-- name --> and <!-- end --> made anew."""
    return re.sub(
        r"(<!-- ([a-z]+) -->\n).*?(<!-- end -->)",
        lambda found: found[1] + "\n".join([*BLOCKS[found[2]](data.get(found[2])), ""]) + found[3],
        page,
        flags=re.DOTALL,
    )


def _fuzzers(data: Any) -> list[str]:
    if data is None:
        return ["Not run yet."]
    rows = ["| fuzzer | cases | seconds | failures | slowest case, s | largest growth of memory, MiB | version |"]
    rows += ["|---|---:|---:|---:|---:|---:|---|"]
    for name, each in data.items():
        failures = sum(each["failures"].values())
        bounds = f"{each['slowest']['seconds']:.2f} | {each['largest']['mebibytes']:.0f}"
        version = f"{each['commit'] or each['lrpref']}, {each['date']}"
        rows.append(f"| {name} | {each['cases']:,} | {each['seconds']:,} | {failures} | {bounds} | {version} |")
    return [*rows, "", *_highlights(data), *_conditions(data)]


def _conditions(data: Mapping[str, Any]) -> list[str]:
    """One line for each set of conditions, with the fuzzers that ran under it."""
    under: dict[str, list[str]] = {}
    for name, each in data.items():
        seeds = f"seeds from {each['seed']}, {each['processes']} processes"
        under.setdefault(f"{seeds}, NumPy {each['numpy']}, Python {each['python']}", []).append(name)
    return [f"- {', '.join(names)}: {conditions}." for conditions, names in under.items()]


def _highlights(found: Mapping[str, Any]) -> list[str]:
    """The outcomes that the text speaks of."""
    lines = []
    if "files" in found:
        outcomes = found["files"]["outcomes"]
        read = sum(count for name, count in outcomes.items() if name.endswith(": read"))
        kinds = len({name.partition(":")[0] for name in outcomes})
        lines.append(f"- {sum(outcomes.values()):,} mutated files of {kinds} kinds: {read:,} read, all others refused.")
    if "graphs" in found:
        outcomes = found["graphs"]["outcomes"]
        nets = sum(count for name, count in outcomes.items() if name.startswith("network: "))
        compared, undecided = (outcomes.get(name, 0) for name in ("comparisons", "undecided"))
        lines.append(f"- {compared:,} maps compared, of {nets:,} networks; {undecided:,} more were undecided.")
    if "kills" in found:
        outcomes = found["kills"]["outcomes"]
        random, aimed = (outcomes.get(f"survived: {how}", 0) for how in ("random", "aimed"))
        lines.append(f"- {random} kills at random moments and {aimed} while a part file existed survived.")
    return lines


def _measures(data: Any) -> list[str]:
    if data is None:
        return ["Not measured yet."]
    rows = [
        f"- `{name}`: {each['early']} MiB after a tenth of {each['explanations']:,} explanations, {each['end']} MiB at "
        "the end."
        for name, each in data["memory"].items()
    ]
    bits = dict(data["bits"])
    rows.append(f"- The same maps in new processes: {bits.pop('runs')} agree in every bit.")
    names = list(dict.fromkeys(name for changes in bits.values() for name in changes))
    rows += ["", f"| network, engine | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for name, changes in bits.items():
        shown = ("-" if n not in changes else f"{changes[n]:.0e}" if changes[n] else "0" for n in names)
        rows.append(f"| {name} | {' | '.join(shown)} |")
    return rows


def _coverage(data: Any) -> list[str]:
    if data is None:
        return ["Not measured yet."]
    return [
        f"{data['percent']:.1f} % of the lines and branches of `lrpref/` together ({data['lines']:,} lines, "
        f"{data['branches']:,} branches)."
    ]


BLOCKS = {"fuzzers": _fuzzers, "measures": _measures, "coverage": _coverage}


def coverage(report: Path) -> None:
    """Store the totals of a report of `coverage json`."""
    totals = json.loads(report.read_text())["totals"]
    percent = round(totals["percent_covered"], 1)
    update("coverage", {"percent": percent, "lines": totals["num_statements"], "branches": totals["num_branches"]})


if __name__ == "__main__":
    if sys.argv[1:2] == ["coverage"]:
        coverage(Path(sys.argv[2]))
    else:
        PAGE.write_text(written(PAGE.read_text(), json.loads(DATA.read_text())))
