"""Guillemot et al. 2020, arXiv 2002.11018: fuse batch normalisation, then run LRP.

The abstract's two claims, in our words:

    1. fused, heatmaps are more accurate for convolutional layers (than with the normalization left in)
    2. LRP should not be used on networks that combine fully connected and normalization layers

The text of the paper was not at hand, so neither its networks nor its measure are known to us. Ours: small networks
with BatchNorm in each place that the claims touch, each with a twin without it, and pixel flipping.

    conv-bn-relu    Conv2D, BatchNorm, ReLU, pool        (three times, then two Dense layers)
    conv-relu-bn    Conv2D, ReLU, pool, BatchNorm
    bn-first        BatchNorm before the first Conv2D, none elsewhere
    both            BatchNorm after each Conv2D and after the hidden Dense layer
    conv            the twin of these four
    dense-bn-relu   Dense, BatchNorm, ReLU               (twice, then a Dense layer)
    dense-relu-bn   Dense, ReLU, BatchNorm
    dense           the twin of these two

Treatments: fused; left in and passed through, under LRP-0, under epsilon, or under `Absolute`. (Absolute is the
|z|-rule that third-party code attributes to Hui and Binder 2019 for batch normalisation; that paper's own formula has
not been checked.) Under LRP-0 everywhere, fused and "zero" are the same map: that is a theorem, and a check of the run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..composites import Composite, resolve
from ..evaluation import maps
from ..fusion import fuse
from ..layers import BatchNorm, Scale
from ..network import Network
from ..rules import Absolute, Epsilon, Pass, Rule, Zero
from . import networks
from .images import Images
from .measures import BASELINES, Explained, faithfulness, relevance
from .networks import Trained
from .report import per_seed
from .statistics import told, verdict
from .study import Claim, Protocol, Rows, Study, Unit

PAPER = "2002.11018"
TITLE = "Guillemot et al. 2020: batch normalisation fused before LRP"

TWINS = {
    "conv-bn-relu": "conv",
    "conv-relu-bn": "conv",
    "bn-first": "conv",
    "both": "conv",
    "dense-bn-relu": "dense",
    "dense-relu-bn": "dense",
}
"""Network with BatchNorm -> the same without."""

CONVOLUTIONAL = ("conv-bn-relu", "conv-relu-bn", "bn-first")
COMBINED = ("dense-bn-relu", "dense-relu-bn", "both")
"""Those that combine fully connected layers with normalization next to them."""

LEFT_IN: Mapping[str, Rule] = {"pass": Pass(), "zero": Zero(), "epsilon": Epsilon(), "absolute": Absolute()}
"""What may be done with a BatchNorm that is left in."""

RULES = ("zero", "epsilon(epsilon=0.01)", "z-plus", "epsilon-plus")
DATASETS = ("mnist", "cifar10")


def study(protocol: Protocol, seeds: Sequence[int] = (0, 1, 2), folder: str | os.PathLike[str] | None = None) -> Study:
    """The design, as far as its networks are at hand (in `folder`, or among those that come with lrpref)."""
    units: list[Unit] = []
    missing: list[str] = []
    for dataset in DATASETS:
        for position in (*TWINS, *dict.fromkeys(TWINS.values())):
            network = f"{dataset}-{position}"
            treatments = ("fused", *LEFT_IN) if position in TWINS else ("twin",)
            for seed in seeds:
                if networks.path_of(networks.seeded(network, seed), folder) is None:
                    missing.append(networks.seeded(network, seed))
                    continue
                units += [Unit(dataset, network, seed, treatment, rule) for treatment in treatments for rule in RULES]
                units += [Unit(dataset, network, seed, treatments[0], name) for name in BASELINES]

    def measure(unit: Unit, images: Images, protocol: Protocol) -> Rows:
        return measured(networks.load(networks.seeded(unit.network, unit.seed), folder), unit, images, protocol)

    return Study(
        PAPER, TITLE, units, tuple(missing), protocol, measure, ("abpc", "aopc", "span", "cosine_fused"), answer
    )


def treated(net: Network, treatment: str, rule: str) -> tuple[Network, Explained]:
    """The network and the rule that a treatment means."""
    if treatment in ("fused", "twin") or rule in BASELINES:
        return fuse(net), rule
    pairs = [((BatchNorm, Scale), LEFT_IN[treatment]), *resolve(rule).pairs]
    return net, Composite(pairs, f"{rule}, BatchNorm under {treatment}")


def measured(trained: Trained, unit: Unit, images: Images, protocol: Protocol) -> Rows:
    """Faithfulness of the treated network's maps, and how alike they are to those of the fused one.

    Pictures are taken apart in front of the fused network, which computes the same as the other, and faster.
    """
    fused = replace(trained, net=fuse(trained.net, verify=trained.inputs(images.x[:2])))
    target = fused.answers(images.x)
    network, rule = treated(trained.net, unit.treatment, unit.rule)
    R = relevance(replace(trained, net=network), images.x, target, rule, protocol.seed)
    rows = faithfulness(fused, images.x, R, target, protocol, more=protocol.more and unit.seed == 0)
    same = relevance(fused, images.x, target, unit.rule, protocol.seed)
    with np.errstate(all="ignore"):
        return {**rows, "cosine_fused": maps.cosine(R, same), "right": (target == images.labels).astype(float)}


# ---- the answers -------------------------------------------------------------------------------------------------


def relative_abpc(found: Mapping[Unit, Rows], unit: Unit) -> float:
    """ABPC over the span: 0 for a map that knows nothing; comparable from one network to another."""
    (area,), (span,) = (per_seed(found, [unit], measure) for measure in ("abpc", "span"))
    return area / span


def differences(
    found: Mapping[Unit, Rows], positions: Sequence[str], treatment: str, rule: str, against: str, other: str
) -> tuple[list[float], int]:
    """Relative ABPC of one treatment and rule minus that of another: for each seed the mean over networks; how many.

    against  a treatment; "twin" for the network without BatchNorm
    """
    per: dict[int, list[float]] = {}
    for unit in found:
        dataset, _, position = unit.network.partition("-")
        if position not in positions or unit.treatment != treatment or unit.rule != rule:
            continue
        network = f"{dataset}-{TWINS[position]}" if against == "twin" else unit.network
        opposite = Unit(dataset, network, unit.seed, against, other)
        if opposite in found:
            per.setdefault(unit.seed, []).append(relative_abpc(found, unit) - relative_abpc(found, opposite))
    return [float(np.mean(per[seed])) for seed in sorted(per)], max(map(len, per.values()), default=0)


def answer(found: Mapping[Unit, Rows]) -> list[Claim]:
    """Both claims, rule by rule and treatment by treatment."""
    return [*_first(found), *_second(found)]


def _first(found: Mapping[Unit, Rows]) -> list[Claim]:
    claims = []
    for rule in RULES:
        for treatment in LEFT_IN:
            values, count = differences(found, CONVOLUTIONAL, "fused", rule, treatment, rule)
            sentence = f"1. on convolutional networks, fused is more accurate than BatchNorm under {treatment} ({rule})"
            answered = verdict(values)
            if rule == treatment == "zero":
                answered = f"the same map, by theorem: {bool(values) and max(map(abs, values)) < 1e-2}"
            claims.append(Claim(sentence, _figure("fused minus left in", values, count), answered))
    return claims


def _second(found: Mapping[Unit, Rows]) -> list[Claim]:
    claims = []
    for rule in RULES:
        lost, count = differences(found, COMBINED, "fused", rule, "twin", rule)
        lost = [-value for value in lost]
        sentence = f"2. where fully connected and normalization layers meet, maps are worse than the twin's ({rule})"
        claims.append(Claim(sentence, _figure("twin minus fused", lost, count), verdict(lost)))
        plain, _ = differences(found, CONVOLUTIONAL, "fused", rule, "twin", rule)
        more = [a + b for a, b in zip(lost, plain, strict=False)]
        sentence = f"2. and they lose more than those of convolutional networks do ({rule})"
        claims.append(Claim(sentence, _figure("loss there minus loss here", more, count), verdict(more)))
        edges, count = differences(found, COMBINED, "fused", "sobel", "fused", rule)
        sentence = f"2. so that LRP should not be used: an edge filter is better ({rule})"
        claims.append(Claim(sentence, _figure("sobel minus fused", edges, count), verdict(edges)))
    return claims


def _figure(what: str, values: Sequence[float], count: int) -> str:
    return f"relative ABPC, {what}: {told(values)}, {count} network{'s'[: count != 1]} each"
