"""Run zennit on every network under every pair and write the results. Needs torch and zennit (see README.md):

    python -m tests.agreement.make_fixtures

Writes stored/*.npz (the networks), zennit.npz (inputs, outputs, relevances), zennit.json (versions, settings, the
cases of differences.py) and DIFFERENCES.md, and prints the distance between lrpref and zennit for each pair.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np

import lrpref
from lrpref import Network

from . import zennit_side
from .differences import AGREEMENTS, DIFFERENCES, Case, encode, lrpref_outcome, page, zennit_outcome
from .fixtures import ARRAYS, DOCUMENT, SEEDS, SETTINGS, STORED, describe, distances, settings
from .networks import NETWORKS
from .pairs import PAIRS

MERGED = ("residual", "signals", "volumes")
"""Networks also compared with their BatchNorm merged, by `lrpref.fuse` here and by a canonizer in zennit."""


def runs() -> Iterator[tuple[str, str, bool]]:
    """Yield the name of each run, its network, and whether BatchNorm is merged."""
    for network in NETWORKS:
        yield network, network, False
        if network in MERGED:
            yield f"{network} merged", network, True


def record(net: Network, x: np.ndarray, merged: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The JSON entry and the arrays of one run; the relevance has shape (pairs, seeds, *x.shape)."""
    pairs = [pair for pair in PAIRS.values() if pair.applies_to(net)]
    target = net.forward(x).argmax(axis=1)
    twin = zennit_side.Twin(net)
    relevance = np.empty((len(pairs), len(SEEDS), *x.shape))
    for p, pair in enumerate(pairs):
        for s, seed in enumerate(SEEDS):
            composite = zennit_side.make(pair.zennit, pair.arguments, merged)
            output, relevance[p, s] = zennit_side.relevance(twin, composite, x, target, seed)
    return (
        {"target": target.tolist(), "pairs": [pair.name for pair in pairs]},
        {"x": x, "output": output, "relevance": relevance},
    )


def outcomes(case: Case) -> dict[str, Any]:
    """The results of both libraries on a case, and that of zennit with the remedy applied."""
    found = {"zennit": zennit_outcome(case, zennit_side), "lrpref": lrpref_outcome(case)}
    if case.remedy:
        found["zennit remedied"] = zennit_outcome(case.remedied(), zennit_side)
    return {side: encode(outcome) for side, outcome in found.items()}


def table() -> str:
    """The largest relative L2 distance of each pair, over all runs and samples."""
    worst: dict[str, float] = {}
    for run, about in settings()["runs"].items():
        for name in about["pairs"]:
            worst[name] = max(worst.get(name, 0.0), *distances(run, PAIRS[name]))
    return "\n".join(f"{name:36}{distance:.1e}" for name, distance in worst.items())


def main() -> None:
    """Write all fixtures."""
    STORED.mkdir(exist_ok=True)
    document: dict[str, Any] = {
        "versions": {name: version(name) for name in ("zennit", "torch", "numpy")}
        | {"lrpref": lrpref.__version__, "python": platform.python_version()},
        "seeds": SEEDS,
        "pairs": {pair.name: describe(pair) for pair in PAIRS.values()},
        "runs": {},
    }
    arrays = {}
    for run, network, merged in runs():
        net, x = NETWORKS[network]()
        lrpref.save(net, STORED / f"{network}.npz")
        about, found = record(net, x, merged)
        document["runs"][run] = {"network": network, "merged": merged, **about}
        arrays |= {f"{run}/{name}": array for name, array in found.items()}
    document["cases"] = {case.name: outcomes(case) for case in DIFFERENCES + AGREEMENTS}
    np.savez_compressed(ARRAYS, **arrays)
    SETTINGS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    DOCUMENT.write_text(page(document["cases"], document["versions"]), encoding="utf-8")
    print(table())


if __name__ == "__main__":
    main()
