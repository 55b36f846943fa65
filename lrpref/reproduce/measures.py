"""Measures of a map, per image: how faithful and how stable it is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..composites import Composite
from ..errors import RelevanceWarning
from ..evaluation import abpc, baselines, deletion, insertion, maps
from ..layers import BatchNorm
from ..network import Network
from ..rules import Rule
from ..scale.explanation import explain, signature
from ..walk import trace
from .networks import Trained
from .study import Protocol

MORE_FILLS = ("blur", "uniform")
BASELINES = ("random", "sobel")
"""The baselines; gradient x input is not among them, because it equals LRP-0."""

BATCH = 20
"""How many images are explained at once."""

Explained = str | Rule | Composite


def relevance(trained: Trained, pixels: np.ndarray, target: np.ndarray, rule: Explained, seed: int = 0) -> np.ndarray:
    """Return a map for each picture, under a rule, a composite, or a baseline ("random", "sobel")."""
    if isinstance(rule, str) and rule in BASELINES:
        return np.broadcast_to(to_numpy(baselines.baseline(rule, trained.net, pixels, target, seed)), pixels.shape)
    with warnings_ignored():
        maps = [to_numpy(explain(trained.net, trained.inputs(part), t, rule)) for part, t in _batches(pixels, target)]
    return np.concatenate(maps)


def has_norm(net: Network) -> bool:
    """Return whether a network has BatchNorm layers."""
    return any(isinstance(layer, BatchNorm) for _, layer, _ in net.nodes)


def signed(net: Network, rule: Explained, fused: bool) -> str:
    """Return the signature of the maps that `relevance` computes; "" for a baseline.

    `fused` is whether the network had BatchNorm that was folded away.
    """
    return "" if isinstance(rule, str) and rule in BASELINES else str(signature(net, rule, fused=fused))


def amplification(trained: Trained, pixels: np.ndarray, target: np.ndarray, rule: Explained) -> dict[str, np.ndarray]:
    """Return max |R| / |logit|: `peak` over all nodes, and `peak_input` at the input."""
    found: dict[str, list[np.ndarray]] = {"peak": [], "peak_input": []}
    for part, chosen in _batches(pixels, target):
        with warnings_ignored():
            tr = trace(trained.net, trained.inputs(part), chosen, rule)
        logit = abs(to_numpy(tr.logits)[np.arange(len(part)), chosen]).astype(np.float64)
        peaks = [abs(to_numpy(R)).reshape(len(part), -1).max(axis=1).astype(np.float64) for R in tr.at.values()]
        found["peak"].append(np.max(peaks, axis=0) / logit)
        found["peak_input"].append(peaks[-1] / logit)
    return {name: np.concatenate(parts) for name, parts in found.items()}


@contextmanager
def warnings_ignored() -> Iterator[None]:
    """Ignore warnings, because these functions measure the very effects that they warn of."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RelevanceWarning)
        yield


def _batches(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    for k in range(0, len(arrays[0]), BATCH):
        yield tuple(array[k : k + BATCH] for array in arrays)


def faithfulness(
    trained: Trained, pixels: np.ndarray, R: np.ndarray, target: np.ndarray, protocol: Protocol, more: bool
) -> dict[str, np.ndarray]:
    """Measure abpc, aopc and span for each fill; with `more`, also for more fills, and deletion and insertion.

    The span is f(original) - f(all pixels replaced); it makes networks comparable. The pixels of a map that is not
    finite cannot be ranked: its measures are NaN, and `finite` is 0.
    """
    sound = np.isfinite(R).reshape(len(R), -1).all(axis=1)
    R = np.where(sound.reshape(-1, *(1,) * (R.ndim - 1)), R, 0)
    score, step = trained.scorer(), -(-int(np.prod(pixels.shape[2:])) // protocol.points)
    how: dict[str, Any] = {"step": step, "output": protocol.output, "seed": protocol.seed}
    found = {}
    for fill in (*protocol.fills, *(MORE_FILLS if more else ())):
        both = abpc(score, pixels, R, target, fill=fill, **how)
        found[f"abpc_{fill}"], found[f"aopc_{fill}"] = both.abpc, both.morf.aopc
        found[f"span_{fill}"] = both.morf.scores[:, 0] - both.morf.scores[:, -1]
    if more:
        found["deletion"] = deletion(score, pixels, R, target, step=step).area
        found["insertion"] = insertion(score, pixels, R, target, step=step).area
    return {name: np.where(sound, values, np.nan) for name, values in found.items()} | {"finite": sound.astype(float)}


def stability(
    trained: Trained, pixels: np.ndarray, R: np.ndarray, target: np.ndarray, rule: Explained, protocol: Protocol
) -> dict[str, np.ndarray]:
    """Measure how much tiny noise and single precision change the map, and how concentrated it is.

    noise_l2, noise_sign      |R(x + noise) - R(x)| / |R(x)|, and the fraction of |R(x)| that keeps its sign
    precision_l2              |R in float32 - R in float64| / |R in float64|
    top1                      the fraction of |R| in the largest 1 % of the values

    A map that is not finite is not stable: its measures are NaN.
    """
    noise = np.random.default_rng([protocol.seed, 1]).normal(size=pixels.shape).astype(pixels.dtype)
    moved = relevance(trained, pixels + np.float32(protocol.noise) * noise, target, rule)
    short, wide = (
        R
        if trained.net.dtype == kind
        else relevance(replace(trained, net=trained.net.astype(kind)), pixels, target, rule)
        for kind in (np.float32, np.float64)
    )
    with np.errstate(all="ignore"):
        return {
            "noise_l2": maps.relative_l2(moved, R),
            "noise_sign": maps.sign_agreement(R, moved),
            "precision_l2": maps.relative_l2(short, wide),
            "top1": maps.top_share(R, 0.01),
        }
