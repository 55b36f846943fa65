"""`lrpref play`: write an interactive page for a network, and open it in a browser."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path
from typing import Any

from .. import play
from .._support.files import check_writable, write_text
from .common import add_network, check_files, command, input_shape, read_network


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = command(commands, "play", run, "write an interactive page that works offline, and open it in a browser")
    add_network(parser, nargs="?", default=f"; default: {' and '.join(play.STANDARD)}")
    parser.add_argument("--out", default="play.html", help="the file to write (default: play.html)")
    parser.add_argument("--no-open", action="store_true", help="write the file, but open no browser")


def run(chosen: argparse.Namespace) -> int:
    """Write the page, and open it."""
    path = Path(chosen.out)
    check_writable(path)
    check_files([chosen.out], [chosen.network or ""])
    networks = []
    if chosen.network is not None:
        net, about = read_network(chosen, "play")
        play.check_offered(net, chosen.network)
        networks.append(play.embedded(net, Path(chosen.network).name, about, tuple(input_shape(about))))
    html = play.page(networks)
    write_text(path, html)
    print(f"wrote {path}: {len(html.encode()) / 1e6:.1f} MB, works offline")
    if not chosen.no_open and not webbrowser.open(path.resolve().as_uri()):
        print("no browser was found; open the file yourself")
    return 0
