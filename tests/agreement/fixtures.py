"""Access to the fixtures that make_fixtures.py wrote."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import lrpref
from lrpref import Network

from .pairs import Pair, on_weighted

HERE = Path(__file__).parent
STORED = HERE / "stored"
ARRAYS = HERE / "zennit.npz"
SETTINGS = HERE / "zennit.json"
DOCUMENT = HERE / "DIFFERENCES.md"

SEEDS = ["logit", "one"]
"""The seeds of the relevance: the second axis of the stored relevances."""


@cache
def settings() -> dict[str, Any]:
    """Versions, pairs, runs and differences."""
    return json.loads(SETTINGS.read_text(encoding="utf-8"))


@cache
def arrays(run: str) -> dict[str, np.ndarray]:
    """The input x, the output and the relevance, shape (pairs, seeds, *x.shape), of a run."""
    with np.load(ARRAYS, allow_pickle=False) as data:
        return {name: data[f"{run}/{name}"] for name in ("x", "output", "relevance")}


@cache
def network(name: str) -> Network:
    """A stored network."""
    return lrpref.load(STORED / f"{name}.npz")


def describe(pair: Pair) -> dict[str, Any]:
    """zennit's side of a pair, as stored in JSON."""
    return {"zennit": pair.zennit, "arguments": dict(pair.arguments)}


def lrpref_relevance(run: str, pair: Pair) -> np.ndarray:
    """lrpref's relevance in a run, shape (seeds, *x.shape)."""
    about, x = settings()["runs"][run], arrays(run)["x"]
    net = network(about["network"])
    net = lrpref.fuse(net, verify=x) if about["merged"] else net
    return np.stack([lrpref.explain(net, x, about["target"], on_weighted(pair.lrpref), seed) for seed in SEEDS])


def zennit_relevance(run: str, pair: Pair) -> np.ndarray:
    """zennit's stored relevance in a run, shape (seeds, *x.shape)."""
    return arrays(run)["relevance"][settings()["runs"][run]["pairs"].index(pair.name)]


def distance(R: np.ndarray, expected: np.ndarray) -> float:
    """The relative L2 distance of one heatmap from another."""
    return float(np.linalg.norm(R - expected) / np.linalg.norm(expected))


def distances(run: str, pair: Pair, expected: np.ndarray | None = None) -> list[float]:
    """The distance of lrpref from `expected` (default: zennit as stored), for each seed and sample of a run."""
    expected = zennit_relevance(run, pair) if expected is None else expected
    ours = lrpref_relevance(run, pair)
    return [distance(ours[i], expected[i]) for i in np.ndindex(*ours.shape[:2])]
