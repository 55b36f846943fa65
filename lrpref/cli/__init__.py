"""The command line, one module per command. Each defines `add`, which declares its arguments, and `run`.

Only the module of the command that is called is imported; for help, all are.

Exit codes: 0 success; 1 a check failed; 2 invalid input, reported in one line; 130 interrupted by Ctrl-C; 141 if the
reader of the output has closed the pipe, as in `lrpref rules | head`.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from .._support.extras import library
from .._support.version import __version__
from ..errors import FusionError, LrprefError

COMMANDS = (
    *("explain", "compare", "fuse", "show", "convert"),
    *("networks", "samples", "rules", "conform", "verify", "reproduce", "play"),
)
"""The commands, each named as its module."""

EXAMPLES = """examples:
  lrpref explain mnist-cnn-bn digit-4                       explain a digit, and write heatmap.png
  lrpref explain mnist-cnn hard-1 --target 4                why might it be a four?
  lrpref explain mnist-cnn digit-8 --rule zero gamma z-plus one picture, three rules
  lrpref explain resnet20 chelsea                           explain a photograph of a cat
  lrpref explain resnet20 chelsea --target cat dog --overlay two classes, drawn over the photograph
  lrpref explain mnist-cnn digit-4 --out mine.npy           write the relevance itself instead of a picture
  lrpref compare mnist-cnn digit-4 --against mine.npy       is this heatmap lrpref's, or which convention differs?
  lrpref networks                                           the networks that come with lrpref
  lrpref show mnist-cnn                                     the network, and the rule of each layer
  lrpref fuse mnist-cnn-bn -o fused.npz                     fold batch normalisation into its neighbours
  lrpref convert network.onnx -o network.npz                import a network, and check it on an example
  lrpref rules z-plus                                       the equation, source and use of a rule
  lrpref conform zennit                                     where an installed library differs from the published cases
  lrpref verify mylrp:explain --like z-plus                 which laws your own implementation satisfies
  lrpref reproduce 2002.11018 --quick                       measure a paper's claims about LRP again
  lrpref play mnist-mlp --no-open                           write an interactive page for a browser
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for names that the terminal cannot show
    try:
        try:
            return _run(arguments)
        finally:
            _flush()
    except BrokenPipeError:
        return 141
    except KeyboardInterrupt:
        _report("interrupted")
        return 130
    except (LrprefError, OSError) as error:
        _report(str(error))
        return 1 if isinstance(error, FusionError) else 2


def _run(arguments: Sequence[str] | None) -> int:
    """Run one command, or print the help if there is none."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser(words[:1] if words and words[0] in COMMANDS else COMMANDS)
    if "_ARGCOMPLETE" in os.environ:  # the shell asks for completions: docs/command-line.md
        library("argcomplete", "completion", "completions").autocomplete(parser)
    chosen = parser.parse_args(words)
    if not hasattr(chosen, "run"):
        parser.print_help()
        return 0
    code: int = chosen.run(chosen)
    return code


def _flush() -> None:
    """Write out what has been printed. If that fails, drop it: the interpreter would fail again at its end."""
    if sys.stdout is None:  # closed by the shell, as in `lrpref rules >&-`
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _report(message: str) -> None:
    """Print a message on stderr, if anybody can still read it."""
    with suppress(OSError):
        print(f"lrpref: {message}", file=sys.stderr)


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    """Return a parser of these commands."""
    parser = argparse.ArgumentParser(
        prog="lrpref",
        description="Explain the outputs of neural networks with Layer-wise Relevance Propagation (LRP).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lrpref {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in names:
        import_module(f".{name}", __name__).add(commands)
    return parser
