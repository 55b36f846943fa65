"""Write docs/rules.md from the rules themselves: their equations, sources, tags and docstrings.

python scripts/make_docs.py            # write
python scripts/make_docs.py --check    # fail if the page is not what the code says
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from lrpref.cli.rules import rule_table
from lrpref.composites import PRESETS
from lrpref.rules import RULES

PAGE = Path(__file__).parent.parent / "docs" / "rules.md"

HEAD = """# The rules

Written by `scripts/make_docs.py` from the code; edit the docstrings in [`lrpref/rules.py`](../lrpref/rules.py) and
[`lrpref/relative.py`](../lrpref/relative.py), not this page.

Notation: a_i input, w_ij weight, b_j bias, z_j = sum_i a_i w_ij + b_j, R relevance; (.)+ and (.)- are the positive and
the negative part, so that x = x+ + x-; sign(0) = +1.
"""

LAWS = """*needs a >= 0*: meant for inputs that are not negative. *conserves*: without biases, stabilizer and zero
denominators, sum_i R_i = sum_j R_j. *exact*: made of rational operations, so that `lrpref.exact` carries it.
Activations pass relevance unchanged, and MaxPool2D, Flatten, Concat, Pad2D and Dropout route it, under every rule.
"""

COMPOSITES = """## Composites

A composite gives each kind of layer its rule; `print(composite.assign(net))` shows the result before anything runs.
A bare rule is short for: weighted layers under it, everything else under Epsilon(1e-6).
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, markdown_table(rule_table()), LAWS]
    for name, rule in RULES.items():
        text = inspect.getdoc(rule) or ""
        parts.append(f"## {name}\n\n*{rule.when}*\n\n```text\n{text.split('>>>')[0].rstrip()}\n```\n")
    rows = [(f"`{name}`", (inspect.getdoc(make) or "").split("\n\n")[0]) for name, make in PRESETS.items()]
    parts += [COMPOSITES, markdown_table([("name", "what it does"), *rows])]
    return "\n".join(parts)


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows, the head first, as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:], ""])


def main() -> int:
    """Write or check the page."""
    if "--check" in sys.argv[1:]:
        if PAGE.read_text() != page():
            print(f"{PAGE.name} is not what the code says; run python scripts/make_docs.py")
            return 1
        return 0
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
