"""Whether a GPU computes what NumPy computes, and whether it computes the same twice."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import lrpref
from lrpref import Network, asarray, composites, rules, to_numpy
from lrpref.composites import Composite
from lrpref.errors import RelevanceWarning, RuleError
from lrpref.fast import FORMS
from lrpref.rules import Rule

NETWORKS = ("mnist-cnn-bn", "resnet20", "cifar-cnn-bn", "vgg16-bn")
ALLOWED = 1e-9
"""The largest distance in float64. In float32 the winner of a max-pool may change, in any library."""

SUBJECTS: Mapping[str, Rule | Composite] = {
    **{name: kind() for name, kind in rules.RULES.items() if name not in ("z-box", "pass")},
    "epsilon-rms": rules.Epsilon(0.1, scale="rms"),
    "gamma-generalised": rules.Gamma(0.25, generalised=True, stabilizer=1e-6),
    "EpsilonPlus": composites.EpsilonPlus(),
    "EpsilonPlusFlat": composites.EpsilonPlusFlat(),
    "EpsilonGammaBox": composites.EpsilonGammaBox(0.0, 1.0),
    "EpsilonAlpha2Beta1": composites.EpsilonAlpha2Beta1(),
}
"""Every rule, and the composites."""


def distance(R: np.ndarray, reference: np.ndarray) -> float:
    """|R - reference| / |reference|, Euclidean, over the whole batch.

    >>> distance(np.array([3.0, 4.5]), np.array([3.0, 4.0]))
    0.1
    """
    return float(np.linalg.norm(R - reference) / (np.linalg.norm(reference) or 1))


def subject(network: str, dtype: str) -> tuple[Network, np.ndarray]:
    """A trained network, BatchNorm folded, and two random images."""
    net = lrpref.fuse(lrpref.load(network)).astype(dtype)
    shape = (1, 28, 28) if network.startswith("mnist") else (3, 32, 32)
    return net, np.random.default_rng(0).random((2, *shape)).astype(dtype)


def cases(networks: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Number type, network and rule, float64 first."""
    for dtype in ("float64", "float32"):
        for network in networks:
            for rule in SUBJECTS:
                yield dtype, network, rule


def agreement(networks: Sequence[str], until: float) -> dict[str, Any]:
    """Compare every rule in every form with the walk on NumPy, two calls each, until that time of `time.monotonic`.

    Returns
    -------
    dict
        "rows": per number type, network and form, the number of rules, the largest relative L2 distance and its rule,
        and the largest difference between the two calls. "failures": what differs by more than `ALLOWED` in float64,
        or raised an error. "left_out": the cases for which there was no time.
    """
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    failures, left_out, held = [], 0, ("", "")
    for dtype, network, rule in cases(networks):
        if time.monotonic() > until:
            left_out += 1
            continue
        if held != (dtype, network):
            held, (net, x) = (dtype, network), subject(network, dtype)
            there, x_there = net.to("cupy"), asarray(x, "cupy")
        for form, found in _compared(net, x, there, x_there, SUBJECTS[rule]).items():
            row = rows.setdefault(
                (dtype, network, form),
                {"dtype": dtype, "network": network, "form": form, "rules": 0, "worst": 0.0, "rule": "", "twice": 0.0},
            )
            if isinstance(found, str):
                failures.append(f"{network} {dtype} {form} {rule}: {found}")
                continue
            apart, twice = found
            row["rules"] += 1
            row["twice"] = max(row["twice"], twice)
            if not apart <= row["worst"]:
                row["worst"], row["rule"] = apart, rule
            if dtype == "float64" and not apart <= ALLOWED:
                failures.append(f"{network} {dtype} {form} {rule}: {apart:.1e} from NumPy")
    return {"rows": list(rows.values()), "failures": failures, "left_out": left_out}


def _compared(
    net: Network, x: np.ndarray, there: Network, x_there: Any, rule: Rule | Composite
) -> dict[str, tuple[float, float] | str]:
    """Form -> the distance to NumPy and that between two calls, or an error; nothing for a rule that does not fit."""
    found: dict[str, tuple[float, float] | str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelevanceWarning)  # of random inputs: LRP-0 divides by small numbers
        try:
            expected = lrpref.trace(net, x, 0, rule).relevance
        except RuleError:
            return {}
        for form in ("plain", *FORMS):
            try:
                one, two = (to_numpy(lrpref.explain(there, x_there, 0, rule, form=form)) for _ in range(2))
                found[form] = distance(one, expected), float(np.abs(one - two).max())
            except Exception as error:  # the other cases are worth having
                found[form] = f"{type(error).__name__}: {str(error)[:200]}"
    return found


def repeatability(network: str, calls: int) -> list[dict[str, Any]]:
    """Prepare a network in every form and explain one batch often: how many of the maps differ, and by how much.

    A sample alone is compared with the same sample in a batch, too, which may differ by rounding.
    """
    rows = []
    for dtype in ("float32", "float64"):
        net, x = subject(network, dtype)
        there, batch = net.to("cupy"), asarray(x, "cupy")
        for form in FORMS:
            prepared = lrpref.prepare(there, form=form, shape=x.shape[1:])
            maps = [to_numpy(prepared.explain(batch, target=0)) for _ in range(calls)]
            alone = to_numpy(prepared.explain(batch[:1], target=0))
            rows.append({
                "network": network, "dtype": dtype, "form": form, "calls": calls,
                "different": sum(not np.array_equal(maps[0], R) for R in maps[1:]),
                "apart": max(float(np.abs(maps[0] - R).max()) for R in maps),
                "alone": distance(alone, maps[0][:1]),
            })  # fmt: skip
    return rows
