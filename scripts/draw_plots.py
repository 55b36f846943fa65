"""Draw the pictures of docs/plot.md: run its code, and save the figure that comes before each picture.

    python scripts/draw_plots.py

Needs matplotlib: pip install -e ".[plot]".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib

from lrpref import plot

PAGE = Path(__file__).parent.parent / "docs" / "plot.md"


def main() -> None:
    """Draw every picture that follows a block of Python."""
    blocks = re.findall(r"```python\n(.*?)```\n+(?:!\[[^\]]*\]\((\S+)\))?", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    scope: dict[str, Any] = {"__name__": PAGE.stem}
    with matplotlib.rc_context(plot.ANY_PAGE):
        for code, picture in blocks:
            exec(compile(code, str(PAGE), "exec"), scope)
            if picture:
                plot.save(scope["figure"], PAGE.parent / picture)
                print(f"wrote docs/{picture}")


if __name__ == "__main__":
    main()
