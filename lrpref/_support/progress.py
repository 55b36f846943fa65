"""A progress bar for long computations in a terminal."""

from __future__ import annotations

import sys
import time
from typing import Self

PATIENCE = 2.0
"""Seconds before a bar appears."""


def on_terminal() -> bool:
    """Return whether stderr is a terminal; it is None if the shell has closed it."""
    return sys.stderr is not None and sys.stderr.isatty()


class Bar:
    """A progress bar on stderr that appears after `PATIENCE` seconds and is wiped at the end of a `with` block.

    Parameters
    ----------
    label : str
        What is being computed.
    shown : bool or None
        Whether to draw the bar; None draws it if stderr is a terminal.
    """

    def __init__(self, label: str, shown: bool | None = None) -> None:
        self.shown = on_terminal() if shown is None else shown
        self.label, self.start, self.done, self.width = label, time.monotonic(), 0.0, 0

    def tick(self, share: float) -> None:
        """Advance by a fraction of the work; the fractions of all work add up to 1."""
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
