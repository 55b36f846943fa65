"""Write the page to play with, docs/play/index.html, from lrpref/play. `--check` compares instead.

python scripts/make_play.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from lrpref import play
from lrpref._support.files import write_text

PAGE = Path(__file__).parent.parent / "docs" / "play" / "index.html"

if __name__ == "__main__":
    html = play.page([], base="../../")
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != html and "run python scripts/make_play.py")
    PAGE.parent.mkdir(exist_ok=True)
    write_text(PAGE, html)
