"""`lrpref rules`: list the rules, their equations, and their properties."""

from __future__ import annotations

import argparse
import inspect
from typing import Any

from .._support.tables import aligned
from ..composites import PRESETS, unknown_rule
from ..rules import RULES
from .common import as_table, command


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = command(commands, "rules", run, "list the rules: their equations, uses and properties")
    parser.add_argument("name", nargs="?", help="print the description of this rule or composite")


def run(chosen: argparse.Namespace) -> int:
    """Print all rules, or the description of one."""
    if chosen.name:
        known: dict[str, Any] = {**PRESETS, **RULES}
        if chosen.name not in known:
            raise unknown_rule(chosen.name)
        print(_description(known[chosen.name]))
        return 0
    listed = [((name, kind.equation), ("", f"{kind.when}  [{kind.source}]")) for name, kind in RULES.items()]
    print(aligned([row for rows in listed for row in rows]))
    print(f"\n{as_table(rule_table())}")
    print(
        "conserves: without biases, stabilizers and zero denominators. exact: rational, so it works with lrpref.exact."
    )
    print("Under every rule, activations pass relevance unchanged, Multiply shares it between its factors, Softmax")
    print("within a network distributes it by its Taylor series, and MaxPool, Flatten, ... route it.")
    print("\ncomposites (a rule for each kind of layer): " + ", ".join(PRESETS))
    print("`lrpref rules NAME` describes one; `lrpref show NETWORK --rule NAME` prints the rule of each layer")
    return 0


def _description(rule: Any) -> str:
    """Return the docstring of a rule or composite, without its examples."""
    text = inspect.getdoc(rule) or ""
    return text.partition("Examples\n---")[0].partition(">>>")[0].rstrip()


TAGS = {"needs_nonnegative": "needs a >= 0", "conserves": "conserves", "linear": "linear in R", "exact": "exact"}
KINDS = ("Dense, Conv", "average pools", "BatchNorm, Scale", "joins, sums")


def rule_table() -> list[tuple[str, ...]]:
    """Return the table of rules: the layers that each supports, and its properties, from the rules' own tags."""
    rows: list[tuple[str, ...]] = [("rule", *KINDS, *TAGS.values())]
    for name, kind in RULES.items():
        rule: Any = kind(0.0, 1.0) if name == "z-box" else kind()  # type: ignore[call-arg]
        layers = ("yes" if not rule.diagonal_only or layer == "BatchNorm, Scale" else "-" for layer in KINDS)
        rows.append((name, *layers, *("yes" if getattr(rule, tag) else "no" for tag in TAGS)))
    return rows
