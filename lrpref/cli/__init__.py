"""The command line: one file per command. Each has `add`, which says its arguments, and `run`, which does it.

Exit codes: 0 done; 1 a check did not hold; 2 a mistake in what was asked for, told in one line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import FusionError, LrprefError
from . import compare, conform, convert, explain, fuse, reproduce, rules, show

COMMANDS = (explain, compare, fuse, show, convert, rules, conform, reproduce)

EXAMPLES = """examples:
  lrpref explain mnist-cnn-bn digit-4                       a digit, explained; writes heatmap.png
  lrpref explain mnist-cnn hard-1 --target 4                why might it be a four?
  lrpref explain mnist-cnn digit-8 --rule zero gamma z-plus one picture, three rules
  lrpref explain resnet20 chelsea                           a photograph of a cat, explained
  lrpref compare mnist-cnn digit-4 --against mine.npy       somebody else's heatmap: equal, or which convention is it?
  lrpref show mnist-cnn                                     the network, and the rule each layer would get
  lrpref fuse mnist-cnn-bn -o fused.npz                     fold batch normalisation away
  lrpref convert network.onnx -o network.npz                a network of another library, proven equal
  lrpref rules z-plus                                       a rule's equation, source and use
  lrpref conform zennit                                     where an installed library computes something else
  lrpref reproduce 2002.11018 --quick                       what a paper claims about LRP, measured again
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if not hasattr(chosen, "run"):
        parser.print_help()
        return 0
    try:
        code: int = chosen.run(chosen)
        return code
    except (LrprefError, OSError) as error:
        print(f"lrpref: {error}", file=sys.stderr)
        return 1 if isinstance(error, FusionError) else 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lrpref",
        description="Layer-wise Relevance Propagation: why did the network say that?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lrpref {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser
