"""`lrpref rules`: the rules, their equations, and what holds for each."""

from __future__ import annotations

import argparse
from typing import Any

from ..composites import PRESETS
from ..errors import unknown
from ..rules import RULES
from .common import as_table, command


def add(commands: Any) -> None:
    """Its arguments."""
    parser = command(commands, "rules", run, "list the rules: equations, when to use which, what holds for each")
    parser.add_argument("name", nargs="?", help="one rule, in full")


def run(chosen: argparse.Namespace) -> int:
    """Print all rules, or one in full."""
    if chosen.name:
        known: dict[str, Any] = {**PRESETS, **RULES}
        if chosen.name not in known:
            raise unknown("rule", chosen.name, known)
        print((known[chosen.name].__doc__ or "").split(">>>")[0].rstrip())
        return 0
    for name, kind in RULES.items():
        print(f"{name:12}{kind.equation}\n{'':12}{kind.when}  [{kind.source}]")
    print(f"\n{as_table(rule_table())}")
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
