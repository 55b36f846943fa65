"""The results of `benchmarks.gpu` as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import report
from .contestants import PREFIX, ZENNIT
from .timing import Spread, ratio

LIMIT = "products alone"
"""The products that the composite needs, at the rate of a large one in the same rounds."""


def render(results: Mapping[str, Any]) -> str:
    """The whole report, of the sections that have run so far."""
    parts = [conditions(results)]
    for section, found in results["sections"].items():
        parts.append(f"## {section.capitalize()} ({found['seconds']:.0f} s)")
        if "error" in found:
            parts.append(f"Ended by an error: {found['error']}")
        if set(found) - {"error", "seconds"}:
            parts.append(TABLES[section](found))
    return "\n\n".join(parts)


def failures(results: Mapping[str, Any]) -> list[str]:
    """What makes the whole run a failure: tests, disagreement with NumPy in float64, and sections that broke off."""
    sections = results["sections"]
    failed = [f"{name}: {found['error']}" for name, found in sections.items() if "error" in found]
    return [*failed, *sections.get("suite", {}).get("failed", []), *sections.get("agreement", {}).get("failures", [])]


def conditions(results: Mapping[str, Any]) -> str:
    """The card and the libraries."""
    found = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in found["libraries"].items())
    card = (
        f"{found['card']}, {found['card_memory_gib']} GiB, driver {found['driver']}, CUDA {found['cuda_runtime']} "
        f"(driver API {found['cuda_driver']}), TF32 off"
    )
    warning = (
        "**Not on a GPU**: a rehearsal on the stand-in, whose times mean nothing.\n\n" if results["standin"] else ""
    )
    return (
        f"{warning}{card}\n\n{found['date']}, {found['processor']}, {found['processors']} cores, "
        f"{found['system']}, Python {found['python']}, lrpref {found['lrpref']} ({found['commit']}), {versions}"
    )


def suite(found: Mapping[str, Any]) -> str:
    """The last line of pytest, and what failed."""
    if "command" not in found:
        return f"Not run: {found['not_run']}."
    lines = [f"`{found['command']}`: {found['last_line']}", found.get("not_run", "")]
    if found["not_imported"]:
        lines.append(f"For lack of {', '.join(found['missing'])} not run: {', '.join(found['not_imported'])}.")
    return "\n\n".join(filter(None, [*lines, *(f"- {name}" for name in found["failed"])]))


def costs(found: Mapping[str, Any]) -> str:
    """Calls and rates."""
    calls = [
        [row["what"], f"{row['host_us']:.1f}", f"{row['done_us']:.1f}"] for row in found["rows"] if "host_us" in row
    ]
    rates = [[row["what"], f"{row['rate']:.4g} {row['unit']}"] for row in found["rows"] if "rate" in row]
    return "\n\n".join([
        report.table("One call, in microseconds", ["call", "of the host", "until done"], calls),
        report.table("Rates", ["what", "rate"], rates),
    ])  # fmt: skip


def agreement(found: Mapping[str, Any]) -> str:
    """The largest distances."""
    head = ["numbers", "network", "form", "rules", "largest distance to NumPy", "of", "between two calls"]
    rows = [
        [row["dtype"], row["network"], row["form"], str(row["rules"]), f"{row['worst']:.1e}", row["rule"],
         f"{row['twice']:.1e}"] for row in found["rows"]
    ]  # fmt: skip
    notes = [f"Left out for lack of time: {found['left_out']} rules."] if found["left_out"] else []
    title = "Relative L2 distance to the walk on NumPy in the same numbers"
    return "\n\n".join([report.table(title, head, rows), *notes, *(f"- {failure}" for failure in found["failures"])])


def repeatability(found: Mapping[str, Any]) -> str:
    """How many calls differ."""
    head = ["network", "numbers", "form", "calls", "different", "largest difference", "one sample alone"]
    rows = [
        [row["network"], row["dtype"], row["form"], str(row["calls"]), str(row["different"]), f"{row['apart']:.1e}",
         f"{row['alone']:.1e}"] for row in found["rows"]
    ]  # fmt: skip
    return report.table("The same explanation many times", head, rows)


def speed(found: Mapping[str, Any]) -> str:
    """Milliseconds, their ratio to zennit's in the same rounds, and memory."""
    head = ["network", "numbers", "batch", "", "ms", "zennit / it", "first call, ms", "peak MiB", "products alone, ms"]
    rows, absent, left_out, emptied = [], [], [], []
    for case in found["rows"]:
        place = f"{case['network']} in {case['dtype']} at batch {case['batch']}"
        if "left_out" in case:
            left_out.append(place)
            continue
        absent += list(case["not_run"].items())
        emptied += [place] * case["pools_emptied"]
        zennit = case["ms"].get(ZENNIT)
        for name, times in case["ms"].items():
            rows.append([
                case["network"], case["dtype"], str(case["batch"]), name, report.spread(Spread.of(times), 3),
                report.spread(ratio(zennit, times), 2) if zennit and name.startswith(PREFIX) else "",
                f"{case['first_ms'][name]:.3g}", f"{case['peak_mib'][name]:.0f}", f"{case['limit_ms']:.3g}",
            ])  # fmt: skip
    notes = [f"Left out for lack of time: {'; '.join(left_out)}."] if left_out else []
    notes += [f"Memory pools emptied after every measurement: {'; '.join(emptied)}."] if emptied else []
    return "\n\n".join([report.table("Speed and memory", head, rows) + report.notes(absent), *notes])


TABLES = {
    "suite": suite, "costs": costs, "agreement": agreement, "repeatability": repeatability, "speed": speed,
}  # fmt: skip
