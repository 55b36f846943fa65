"""The results as Markdown tables, made from the data that `--json` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .contestants import OURS
from .timing import Spread, ratio

LIMIT = "GEMM limit"


def render(results: Mapping[str, Any]) -> str:
    """The whole report."""
    parts = [machine(results["machine"], results["arguments"])]
    parts += [speed(results["speed"])] if results.get("speed") else []
    parts += [equality(results["equality"])] if results.get("equality") else []
    parts += [memory(results["memory"])] if results.get("memory") else []
    parts += [growth(results["growth"])] if results.get("growth") else []
    parts += [flipping(results["flipping"])] if results.get("flipping") else []
    return "\n\n".join(parts)


def machine(found: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """The machine and the settings."""
    versions = ", ".join(f"{name} {version}" for name, version in found["libraries"].items())
    lines = [
        f"{found['date']}, {found['processor']}, {found['processors']} cores, {found['memory_gib']} GiB",
        f"{found['system']}, Python {found['python']}, lrpref {found['lrpref']} ({found['commit']}), {versions}",
        f"BLAS: {'; '.join(found['blas'])}",
        f"{found['threads']} threads; {arguments['rounds']} paired rounds, medians, [least, largest]",
    ]
    return "\n".join(lines)


def speed(cases: Sequence[Mapping[str, Any]]) -> str:
    """Seconds, and their ratio to those of each of lrpref's forms in the same rounds."""
    forms = [name for name in OURS if any(name in case["seconds"] for case in cases)]
    head = ["network", "batch", "composite", "contestant", "seconds", *(f"/ {form}" for form in forms), "prepared in"]
    rows = []
    for case in cases:
        place = [case["network"], str(case["batch"]), case["composite"]]
        for name, times in case["seconds"].items():
            ratios = [spread(ratio(times, case["seconds"][form]), 2) for form in forms if form in case["seconds"]]
            rows.append([*place, name, spread(Spread.of(times), 4), *ratios, prepared(case, name)])
    absent = [(name, why) for case in cases for name, why in case["not_run"].items()]
    return table("Speed", head, rows) + notes(absent)


def prepared(case: Mapping[str, Any], name: str) -> str:
    """The seconds of preparation."""
    return f"{case['preparation'][name]:.3g} s" if name in case["preparation"] else ""


def equality(rows: Sequence[Mapping[str, Any]]) -> str:
    """Distances to the plain form in float64."""
    head = ["network", "composite", "numbers", "contestant", "images", "median", "worst"]
    names = ("network", "composite", "dtype", "contestant", "images")
    found = [[*(str(row[name]) for name in names), f"{row['median']:.1e}", f"{row['worst']:.1e}"] for row in rows]
    return table("Relative L2 distance of heatmaps to the plain form in float64", head, found)


def memory(rows: Sequence[Mapping[str, Any]]) -> str:
    """Resident memory in MiB, each contestant in its own process."""
    head = ["network", "batch", "composite", "contestant", "ready", "peak, preparing", "peak, two calls"]
    found, absent = [], []
    for row in rows:
        if "not_run" in row:
            absent.append((row["contestant"], row["not_run"]))
            continue
        sizes = [f"{row[key]:.0f}" if key in row else "" for key in ("ready", "preparing", "calls")]
        found.append([row["network"], str(row["batch"]), row["composite"], row["contestant"], *sizes])
    return table("Resident memory in MiB, each in its own process", head, found) + notes(absent)


def notes(absent: Sequence[tuple[str, str]]) -> str:
    """The contestants that did not run, one line for each reason."""
    reasons = list(dict.fromkeys(why for _, why in absent))
    who = {why: list(dict.fromkeys(name for name, reason in absent if reason == why)) for why in reasons}
    return "".join(f"\n\nNot run: {', '.join(names)}: {why}." for why, names in who.items())


def growth(rows: Sequence[Mapping[str, Any]]) -> str:
    """The exponents with which time and memory grow."""
    head = ["form", "grows", "sizes", "seconds", "power of time", "peak MiB", "power of memory"]
    found = [
        [
            row["form"],
            row["grows"],
            ", ".join(map(str, row["sizes"])),
            ", ".join(f"{s:.3g}" for s in row["seconds"]),
            f"{row['time_slope']:.2f}",
            ", ".join(f"{m:.3g}" for m in row["peak_mib"]),
            f"{row['memory_slope']:.2f}",
        ]
        for row in rows
    ]
    return table("Growth: slopes of log-log lines", head, found)


def flipping(found: Mapping[str, Any]) -> str:
    """Seconds of the whole loop."""
    times = found["seconds"]
    forms = [name for name in OURS if name in times]
    head = ["contestant", "seconds", *(f"/ {form}" for form in forms), "difference of outputs"]
    rows = [
        [
            name,
            spread(Spread.of(seconds), 4),
            *(spread(ratio(seconds, times[f]), 2) for f in forms),
            f"{found['apart'][name]:.1e}",
        ]
        for name, seconds in times.items()
    ]
    return table(f"Pixel flipping: {found['images']} images on resnet20 in {found['steps']} steps", head, rows)


def spread(found: Spread, digits: int) -> str:
    """A median and its range.

    >>> spread(Spread(1.2345, 1.0, 2.0), 2)
    '1.2 [1, 2]'
    """
    return f"{found.median:.{digits}g} [{found.low:.{digits}g}, {found.high:.{digits}g}]"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are aligned in a terminal."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [[f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)] for row in [head, *rows]]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join([f"**{title}**", "", *("| " + " | ".join(line) + " |" for line in lines)])
