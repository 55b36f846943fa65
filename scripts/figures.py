"""The figures that README.md and docs/paper/paper.md quote, each read from where it was measured.

`scripts/make_docs.py` writes them between `<!-- figure NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from lrpref import layers
from lrpref.cli.rules import rule_table
from lrpref.rules import RULES

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def figures() -> dict[str, str]:
    """Every figure by its name, as a page prints it."""
    made = [kind for name in layers.__all__ if (kind := getattr(layers, name)) not in layers.BASES]
    fuzzed = json.loads((DOCS / "trust.json").read_text(encoding="utf-8"))["fuzzers"]["files"]
    return {
        "differences": found(DOCS / "scoreboard.md", r"^# Scoreboard: (\d+ differences in \d+ of \d+ libraries)$"),
        "cases": found(DOCS / "adapters.md", r"None of these libraries offers \d+ of the (\d+) cases"),
        "rules": str(len(RULES)),
        "layers": str(len(made)),
        "mutants": found(DOCS / "mutants.txt", r"^(\d+) mutants$"),
        "reach": found(DOCS / "reach.md", r"(\d+ of \d+) by from_torch"),
        "agreement": found(ROOT / "tests/agreement/README.md", r"relative L2 distance of at most (1e-\d+) for each"),
        "fuzzed files": f"{fuzzed['cases']:,}",
        "fuzz failures": str(sum(fuzzed["failures"].values())),
        "digits accuracy": found(ROOT / "weights/README.md", r"\[`mnist-cnn-bn\.npz`\].*?\| ([\d.]+ %) \|"),
        **speed("vgg16", "VGG16"),
        **speed("resnet50", "ResNet50"),
    }


def found(page: Path, pattern: str) -> str:
    """What the only group of a pattern matches on a page; raises ValueError unless it matches once."""
    matches = re.findall(pattern, page.read_text(encoding="utf-8"), re.MULTILINE)
    if len(set(matches)) != 1:
        raise ValueError(f"{page.relative_to(ROOT)}: {pattern!r} matches {matches}, expected one figure")
    return str(matches[0])


def speed(network: str, name: str) -> dict[str, str]:
    """Seconds of one image, prepared and not, and how many times as long zennit and captum take."""
    lines = [line for line in (DOCS / "performance.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    head = next(row for row in cells if row[:3] == ["network", "batch", "composite"])
    row = dict(zip(head, next(row for row in cells if row[:3] == [network, "1", "epsilon-plus-flat"]), strict=True))
    return {f"{name} {column}": row[column].partition(" [")[0] for column in COLUMNS}


COLUMNS = ("call", "direct", "zennit / call", "zennit / direct", "captum / call", "captum / direct")
"""The columns of the table of docs/performance.md that are quoted."""


def rules_by_layers() -> str:
    """Which rule is meant for what, and which kinds of layers it is applied to."""
    (head, *rows), uses = rule_table(), {name: rule.when for name, rule in RULES.items()}
    lines = [(head[0], "meant for", *head[1:5]), ("---",) * 6]
    lines += [(f"[{row[0]}](docs/rules.md#{row[0]})", uses[row[0]], *row[1:5]) for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
