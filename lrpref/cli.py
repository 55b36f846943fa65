"""The command line: explain, compare, fuse, show, rules, conform.

Exit codes: 0 done; 1 a check did not hold; 2 a mistake in what was asked for, told in one line.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__, inputs, plot, samples, weights
from .compare import TOLERANCE, explain_difference
from .composites import PRESETS, resolve
from .conformance import known_adapters, load_adapter, load_cases, report
from .conformance import run as run_suite
from .errors import FusionError, InputError, LrprefError, unknown
from .explain import DEFAULT_RULE, trace
from .fusion import forward_difference, fuse, fusion_plan
from .layers import BatchNorm, Softmax
from .network import Network
from .rules import RULES

EXAMPLES = """examples:
  lrpref explain mnist-cnn-bn digit-4                       a digit, explained; writes heatmap.png
  lrpref explain mnist-cnn hard-1 --target 4                why might it be a four?
  lrpref explain mnist-cnn digit-8 --rule zero gamma z-plus one picture, three rules
  lrpref compare mnist-cnn digit-4 --against mine.npy       somebody else's heatmap: equal, or which convention is it?
  lrpref show mnist-cnn                                     the network, and the rule each layer would get
  lrpref fuse mnist-cnn-bn -o fused.npz                     fold batch normalisation away
  lrpref rules z-plus                                       a rule's equation, source and use
  lrpref conform zennit                                     where an installed library computes something else
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
    _add_explain(commands)
    _add_compare(commands)
    _add_fuse(commands)
    _add_show(commands)
    _add_rules(commands)
    _add_conform(commands)
    return parser


def _command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    return parser


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", help=f"a .npz file, or one of: {', '.join(weights.names())}")


def _add_input(parser: argparse.ArgumentParser, name: str, **more: Any) -> None:
    parser.add_argument(name, help=f"an image, a .npy file, or a sample: {', '.join(samples.names())}", **more)
    parser.add_argument("--invert", action="store_true", help="1 - x, for dark ink on a light ground")


# ---- explain ---------------------------------------------------------------------------------------------------


def _add_explain(commands: Any) -> None:
    parser = _command(commands, "explain", _explain, "explain a network's answer to one input, and draw it")
    _add_network(parser)
    _add_input(parser, "input")
    parser.add_argument(
        "--rule",
        nargs="+",
        default=[DEFAULT_RULE],
        help='rules or composites by name, parameters as in "gamma(gamma=0.5)"; several are drawn side by side '
        f"(default {DEFAULT_RULE}; `lrpref rules` lists them)",
    )
    parser.add_argument("--target", type=int, help="the output to explain (default: the largest)")
    parser.add_argument("--seed", default="logit", help='"logit" (default), "one", "probability" or a number')
    parser.add_argument("--no-fuse", action="store_true", help="leave batch normalisation where it is")
    parser.add_argument("--out", default="heatmap.png", help="the picture to write (default heatmap.png)")
    parser.add_argument("--waterfall", metavar="FILE", help="also draw the books")


def _explain(chosen: argparse.Namespace) -> int:
    net, about = weights.load(chosen.network), weights.metadata(chosen.network)
    x = inputs.read(chosen.input, _input_shape(about), chosen.invert)
    if not chosen.no_fuse:
        net = _fused(net, x)
    traces = {name: trace(net, x, chosen.target, name, _number(chosen.seed)) for name in chosen.rule}
    first = next(iter(traces.values()))
    said = _prediction(net, x, about)
    print(f"{chosen.network} says that {chosen.input} is {said}")
    print(f"explained: {_class(about, int(first.target[0]))}, starting from {chosen.seed}")  # type: ignore[index]
    for name, found in traces.items():
        print(f"\n{name}: {found.ledger}")
    title = f"{chosen.network}: {said}; why {_class(about, int(first.target[0]))}?"  # type: ignore[index]
    maps = {name: found.relevance for name, found in traces.items()}
    plot.save(plot.grid(x, maps, title), chosen.out)
    print(f"\nwrote {chosen.out}")
    if chosen.waterfall:
        plot.save(plot.waterfall(first.ledger), chosen.waterfall)
        print(f"wrote {chosen.waterfall}")
    return 0


def _fused(net: Network, x: np.ndarray) -> Network:
    """The network without BatchNorm, if it had any, with one line about it."""
    if not any(isinstance(layer, BatchNorm) for _, layer, _ in net.nodes):
        return net
    fused = fuse(net, verify=x)
    plan = fusion_plan(net)
    folded = len(plan.decisions) - len(plan.kept)
    print(
        f"fused {folded} of {len(plan.decisions)} BatchNorm layers; "
        f"the output changed by {forward_difference(net, fused, x):.1e} of its largest value"
    )
    return fused


def _prediction(net: Network, x: np.ndarray, about: dict[str, Any]) -> str:
    """The largest output in words."""
    logits = net.forward(x)
    probabilities = logits if isinstance(net.nodes[-1].layer, Softmax) else Softmax().forward(logits)
    best = int(np.argmax(logits[0]))
    output, probability = (float(np.ravel(y[0])[best]) for y in (logits, probabilities))
    return f"{_class(about, best)} (output {output:.3f}, probability {probability:.3f})"


def _class(about: dict[str, Any], index: int) -> str:
    classes = about.get("classes")
    return str(classes[index]) if isinstance(classes, list) and index < len(classes) else f"output {index}"


def _input_shape(about: dict[str, Any]) -> list[int]:
    told = about.get("input")
    shape = told.get("shape") if isinstance(told, dict) else None
    if not (isinstance(shape, list) and shape and all(isinstance(n, int) and n > 0 for n in shape)):
        raise LrprefError("the file does not say its input's shape; save it with metadata={'input': {'shape': [...]}}")
    return shape


def _number(text: str) -> str | float:
    """A seed given as text."""
    try:
        return float(text)
    except ValueError:
        return text


# ---- compare ---------------------------------------------------------------------------------------------------


def _add_compare(commands: Any) -> None:
    parser = _command(commands, "compare", _compare, "compare a heatmap with lrpref's, and name what explains it")
    _add_network(parser)
    _add_input(parser, "input")
    parser.add_argument("--against", metavar="FILE", required=True, help="the other heatmap, a .npy file")
    parser.add_argument("--rule", default=DEFAULT_RULE, help=f"what it is thought to be (default {DEFAULT_RULE})")
    parser.add_argument("--target", type=int, help="the output that it explains (default: the largest)")
    parser.add_argument("--seed", default="logit", help='"logit" (default), "one", "probability" or a number')
    parser.add_argument("--fuse", action="store_true", help="fold batch normalisation away first")
    parser.add_argument("--no-pairs", action="store_true", help="try conventions singly only")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help=f"the relative L2 distance up to which maps are equal (default {TOLERANCE})",
    )


def _compare(chosen: argparse.Namespace) -> int:
    net, about = weights.load(chosen.network), weights.metadata(chosen.network)
    x = inputs.read(chosen.input, _input_shape(about), chosen.invert)
    theirs = _heatmap(chosen.against)
    net = _fused(net, x) if chosen.fuse else net
    print(f"{chosen.against}, against {chosen.rule} on {chosen.network} and {chosen.input}")
    seed, pairs = _number(chosen.seed), not chosen.no_pairs
    found = explain_difference(net, x, theirs, chosen.rule, chosen.target, seed, chosen.tolerance, pairs)
    print(found)
    return 0 if found.equal else 1


def _heatmap(path: str) -> np.ndarray:
    """An array in a .npy file; raises InputError."""
    try:
        with open(path, "rb") as stream:
            found: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
    except weights.UNREADABLE as error:
        raise InputError(f"{path} is not a readable .npy file: {error}") from error
    return found


# ---- fuse ------------------------------------------------------------------------------------------------------


def _add_fuse(commands: Any) -> None:
    parser = _command(commands, "fuse", _fuse, "fold batch normalisation into its neighbours, and prove it")
    _add_network(parser)
    _add_input(parser, "--input", default="digit-4")
    parser.add_argument("--rule", default=DEFAULT_RULE, help="the rule whose heatmaps are compared")
    parser.add_argument("--threshold-relu", action="store_true", help="turn BatchNorm, ReLU into ThreshReLU, BatchNorm")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the fused network (.npz)")


def _fuse(chosen: argparse.Namespace) -> int:
    net, about = weights.load(chosen.network), weights.metadata(chosen.network)
    x = inputs.read(chosen.input, _input_shape(about), chosen.invert)
    print(fusion_plan(net, chosen.threshold_relu))
    fused = fuse(net, verify=x, threshold_relu=chosen.threshold_relu)
    print(f"\nforward difference on {chosen.input}: {forward_difference(net, fused, x):.1e} of the largest output")
    before, after = (trace(each, x, rule=chosen.rule).relevance for each in (net, fused))
    size = float(np.linalg.norm(before))
    change = float(np.linalg.norm(after - before)) / (size or 1)
    print(f"the heatmap under {chosen.rule} changed by {change:.1%} (relative L2): explaining the unfused network is")
    print("another question. Its BatchNorm was left to the rule that `lrpref show --rule` prints.")
    if chosen.output:
        weights.save(fused, chosen.output, {**about, "fused_from": chosen.network})
        print(f"wrote {chosen.output}")
    return 0


# ---- show ------------------------------------------------------------------------------------------------------


def _add_show(commands: Any) -> None:
    parser = _command(commands, "show", _show, "show a network: shapes, parameters, and the rule each layer would get")
    _add_network(parser)
    parser.add_argument("--rule", default=DEFAULT_RULE, help=f"rule or composite (default {DEFAULT_RULE})")


def _show(chosen: argparse.Namespace) -> int:
    net, about = weights.load(chosen.network), weights.metadata(chosen.network)
    rules = resolve(chosen.rule).assign(net)
    shapes = net.shapes((1, *_input_shape(about)))
    rows = [("node", "layer", "reads", "output", "parameters", f"rule ({chosen.rule})")]
    for name, layer, read in net.nodes:
        held = sum(int(np.prod(a.shape)) for key, a in net.parameters.items() if key.rpartition(".")[0] == name)
        shape = " x ".join(map(str, shapes[name][1:]))
        rule = str(rules[name]) if name in rules else "-"
        rows.append((name, type(layer).__name__, ", ".join(read), shape, f"{held:,}" if held else "-", rule))
    print(_table(rows))
    print(f"\n{sum(int(np.prod(a.shape)) for a in net.parameters.values()):,} parameters, {net.dtype}")
    for key in ("title", "task", "accuracy", "seed", "framework", "data", "licence"):
        if key in about:
            print(f"{key}: {about[key]}")
    return 0


# ---- rules -----------------------------------------------------------------------------------------------------


def _add_rules(commands: Any) -> None:
    parser = _command(commands, "rules", _rules, "list the rules: equations, when to use which, what holds for each")
    parser.add_argument("name", nargs="?", help="one rule, in full")


def _rules(chosen: argparse.Namespace) -> int:
    if chosen.name:
        known: dict[str, Any] = {**PRESETS, **RULES}
        if chosen.name not in known:
            raise unknown("rule", chosen.name, known)
        print((known[chosen.name].__doc__ or "").split(">>>")[0].rstrip())
        return 0
    for name, kind in RULES.items():
        print(f"{name:12}{kind.equation}\n{'':12}{kind.when}  [{kind.source}]")
    print(f"\n{_table(rule_table())}")
    print("conserves: without biases, stabilizer and zero denominators. exact: rational, so lrpref.exact carries it.")
    print("Activations pass relevance, MaxPool2D, Flatten, Concat, Pad2D and Dropout route it, under every rule.")
    print("\ncomposites (a rule for each kind of layer): " + ", ".join(PRESETS))
    print("`lrpref rules NAME` prints one in full; `lrpref show NETWORK --rule NAME` what each layer would get")
    return 0


TAGS = {"needs_nonnegative": "needs a >= 0", "conserves": "conserves", "linear": "linear in R", "exact": "exact"}
KINDS = ("Dense, Conv2D", "average pools", "BatchNorm, Scale", "Add")


def rule_table() -> list[tuple[str, ...]]:
    """Rule x layer, and what holds for each rule: from the rules' own tags."""
    rows: list[tuple[str, ...]] = [("rule", *KINDS, *TAGS.values())]
    for name, kind in RULES.items():
        rule: Any = kind(0.0, 1.0) if name == "z-box" else kind()  # type: ignore[call-arg]
        layers = ("yes" if not rule.diagonal_only or layer == "BatchNorm, Scale" else "-" for layer in KINDS)
        rows.append((name, *layers, *("yes" if getattr(rule, tag) else "no" for tag in TAGS)))
    return rows


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, a rule under the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


# ---- conform ---------------------------------------------------------------------------------------------------


def _add_conform(commands: Any) -> None:
    parser = _command(
        commands, "conform", _conform, "hold an installed library against the cases that LRP must get right"
    )
    parser.add_argument("name", nargs="?", help=f"a library: {', '.join(known_adapters())}; or what to call your own")
    parser.add_argument("--adapter", metavar="MODULE:FUNCTION", help="a function of yours that returns an adapter")
    parser.add_argument(
        "--only", metavar="PATTERN", help='cases whose id matches, as in "gamma-*", or a question\'s number'
    )
    parser.add_argument("--list", action="store_true", help="list the cases, ask nobody")
    for form in report.FORMS:
        parser.add_argument(f"--{form}", metavar="FILE", help=f"also write the report as {form}")


def _conform(chosen: argparse.Namespace) -> int:
    cases = load_cases(only=chosen.only)
    if chosen.list:
        print(report.as_list(cases))
        return 0
    if not (chosen.adapter or chosen.name):
        raise LrprefError(f"whom to ask? Name a library ({', '.join(known_adapters())}), or give --adapter")
    if chosen.adapter:
        sys.path.insert(0, os.getcwd())
    found = run_suite(load_adapter(chosen.adapter or chosen.name), cases, report.progress)
    found = replace(found, library=chosen.name) if chosen.adapter and chosen.name else found
    print(report.as_text(found))
    for form, write in report.FORMS.items():
        if path := getattr(chosen, form):
            Path(path).write_text(write(found), encoding="utf-8")
            print(f"wrote {path}")
    return 0 if found.passed else 1


if __name__ == "__main__":
    sys.exit(main())
