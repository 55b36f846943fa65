"""How far a long computation has come: a bar for a person who waits, and nothing for anyone else."""

from __future__ import annotations

import sys
import time
from typing import Self

PATIENCE = 2.0
"""How many seconds a person waits before there is a bar."""


class Bar:
    """A bar on stderr, drawn once a person has waited for `PATIENCE` seconds, and wiped at the end of a `with` block.

    label  what is being computed
    shown  None: where stderr is a terminal
    """

    def __init__(self, label: str, shown: bool | None = None) -> None:
        self.shown = sys.stderr.isatty() if shown is None else shown
        self.label, self.start, self.done, self.width = label, time.monotonic(), 0.0, 0

    def tick(self, share: float) -> None:
        """Another share of the work is done; the shares of all work add up to 1."""
        self.done = min(1.0, self.done + share)
        if self.shown and time.monotonic() - self.start > PATIENCE:
            filled = round(30 * self.done)
            line = f"{self.label} [{'#' * filled}{'-' * (30 - filled)}] {self.done:4.0%}"
            self.width = len(line)
            print(f"\r{line}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Wipe the line."""
        if self.width:
            print("\r" + " " * self.width, end="\r", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
