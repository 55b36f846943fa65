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
from collections.abc import Callable, Mapping, Sequence
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
from .statistics import agreed, told, verdict
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

CONVOLUTIONAL = ("conv-bn-relu", "conv-relu-bn")
BEFORE_ALL = ("bn-first",)
"""Apart, because a normalisation of the input moves what a map calls nothing: from black to the mean."""

COMBINED = ("dense-bn-relu", "dense-relu-bn", "both")
"""Those that combine fully connected layers with normalization next to them."""

LEFT_IN: Mapping[str, Rule] = {"pass": Pass(), "zero": Zero(), "epsilon": Epsilon(), "absolute": Absolute()}
"""What may be done with a BatchNorm that is left in."""

RULES = ("zero", "epsilon(epsilon=0.01)", "z-plus", "epsilon-plus")
DATASETS = ("mnist", "cifar10")
COLUMNS = ("abpc_mean", "span_mean", "abpc_zero", "span_zero", "cosine_fused")


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

    return Study(PAPER, TITLE, units, tuple(missing), protocol, measure, COLUMNS, answer)


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


def relative_abpc(found: Mapping[Unit, Rows], unit: Unit, fill: str) -> float:
    """ABPC over the span: 0 for a map that knows nothing; comparable from one network to another."""
    (area,), (span,) = (per_seed(found, [unit], f"{measure}_{fill}") for measure in ("abpc", "span"))
    return area / span


def differences(
    found: Mapping[Unit, Rows], positions: Sequence[str], rule: str, against: str, other: str, fill: str
) -> list[float]:
    """Relative ABPC of the fused network under a rule minus another's: for each seed, the mean over networks.

    against, other  a treatment ("twin": the network without BatchNorm) and a rule
    """
    per: dict[int, list[float]] = {}
    for unit in found:
        dataset, _, position = unit.network.partition("-")
        if position not in positions or unit.treatment != "fused" or unit.rule != rule:
            continue
        network = f"{dataset}-{TWINS[position]}" if against == "twin" else unit.network
        opposite = Unit(dataset, network, unit.seed, against, other)
        if opposite in found:
            difference = relative_abpc(found, unit, fill) - relative_abpc(found, opposite, fill)
            per.setdefault(unit.seed, []).append(difference)
    return [float(np.mean(per[seed])) for seed in sorted(per)]


def answer(found: Mapping[Unit, Rows]) -> list[Claim]:
    """Both claims, rule by rule and treatment by treatment."""
    return [*_first(found), *_second(found)]


def _first(found: Mapping[Unit, Rows]) -> list[Claim]:
    claims = []
    for where, positions in (("behind convolutions", CONVOLUTIONAL), ("before them all", BEFORE_ALL)):
        for rule in RULES:
            for treatment in LEFT_IN:
                by_fill = {fill: differences(found, positions, rule, treatment, rule, fill) for fill in FILLS}
                sentence = f"1. BatchNorm {where}, fused: more accurate than under {treatment} ({rule})"
                claims.append(_claim(sentence, by_fill))
                if rule == treatment == "zero":
                    same = all(values and max(map(abs, values)) < 1e-2 for values in by_fill.values())
                    claims[-1] = replace(claims[-1], verdict=f"the same map, by theorem: {same}")
    return claims


def _second(found: Mapping[Unit, Rows]) -> list[Claim]:
    claims = []
    for rule in RULES:
        twin, plain, edges = ({fill: ask(fill) for fill in FILLS} for ask in _questions(found, rule))
        lost = {fill: [-value for value in values] for fill, values in twin.items()}
        more = {fill: [a + b for a, b in zip(lost[fill], plain[fill], strict=False)] for fill in FILLS}
        where = "2. where fully connected and normalization layers meet, maps"
        claims.append(_claim(f"{where} are worse than the twin's ({rule})", lost))
        claims.append(_claim(f"{where} lose more than those of convolutional networks ({rule})", more))
        worse = {fill: [-value for value in values] for fill, values in edges.items()}
        claims.append(_claim(f"{where} are worse than an edge filter ({rule})", worse))
    return claims


def _questions(found: Mapping[Unit, Rows], rule: str) -> tuple[Callable[[str], list[float]], ...]:
    """Of a fill: fused minus twin, where the layers meet; the same on convolutional networks; fused minus edges."""
    return (
        lambda fill: differences(found, COMBINED, rule, "twin", rule, fill),
        lambda fill: differences(found, CONVOLUTIONAL, rule, "twin", rule, fill),
        lambda fill: differences(found, COMBINED, rule, "fused", "sobel", fill),
    )


FILLS = Protocol().fills


def _claim(sentence: str, by_fill: Mapping[str, Sequence[float]]) -> Claim:
    """A difference of relative ABPC that should be positive under each fill."""
    figure = "; ".join(f"fill {fill}: {told(values)}" for fill, values in by_fill.items())
    answered = agreed({fill: verdict(values) for fill, values in by_fill.items()})
    return Claim(sentence, f"relative ABPC, {figure}", answered)
