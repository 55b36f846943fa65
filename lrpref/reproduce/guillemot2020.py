"""Guillemot et al. 2020, arXiv 2002.11018: fuse batch normalisation, then run LRP.

The abstract's two claims, in our words:

    1. fused, heatmaps are more accurate for convolutional layers (than with the normalization left in)
    2. LRP should not be used on networks that combine fully connected and normalization layers

The text of the paper was not available, so we know neither its networks nor its measure. We use pixel flipping, and
small networks with BatchNorm in each of the positions that the claims concern, each with a twin without BatchNorm.

    conv-bn-relu    Conv2D, BatchNorm, ReLU, pool        (three times, then two Dense layers)
    conv-relu-bn    Conv2D, ReLU, pool, BatchNorm
    bn-first        BatchNorm before the first Conv2D, none elsewhere
    both            BatchNorm after each Conv2D and after the hidden Dense layer
    conv            the twin of these four
    dense-bn-relu   Dense, BatchNorm, ReLU               (twice, then a Dense layer)
    dense-relu-bn   Dense, ReLU, BatchNorm
    dense           the twin of these two

Treatments: BatchNorm is fused, or left in under one of the rules pass, LRP-0, epsilon and `Absolute`. (Absolute is the
|z|-rule that third-party code attributes to Hui and Binder 2019 for batch normalisation; we have not checked that
paper's own formula.) With LRP-0 on every layer, "fused" and "zero" give the same map. That is a theorem, and a check of
the run.
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
from .measures import BASELINES, Explained, faithfulness, has_norm, relevance, signed
from .networks import Trained
from .statistics import agreed, as_text, p_value, verdict
from .study import Claim, Means, Protocol, Rows, Study, Unit

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
"""Network with BatchNorm -> its twin without."""

CONVOLUTIONAL = ("conv-bn-relu", "conv-relu-bn")
BEFORE_ALL = ("bn-first",)
"""Reported separately: a normalisation of the input moves the reference point of a map from black to the mean."""

COMBINED = ("dense-bn-relu", "dense-relu-bn", "both")
"""The networks with normalization next to fully connected layers."""

LEFT_IN: Mapping[str, Rule] = {"pass": Pass(), "zero": Zero(), "epsilon": Epsilon(), "absolute": Absolute()}
"""The rules for a BatchNorm that is left in."""

RULES = ("zero", "epsilon(epsilon=0.01)", "z-plus", "epsilon-plus")
DATASETS = ("mnist", "cifar10")
COLUMNS = ("abpc_mean", "span_mean", "abpc_zero", "span_zero", "cosine_fused")


def study(protocol: Protocol, seeds: Sequence[int] = (0, 1, 2), folder: str | os.PathLike[str] | None = None) -> Study:
    """Return the design for the networks that are available, in `folder` or among those that come with lrpref."""
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

    def signature(unit: Unit) -> str:
        given = networks.load(networks.seeded(unit.network, unit.seed), folder).net
        net, rule = treated(given, unit.treatment, unit.rule)
        return signed(net, rule, fused=has_norm(given) and not has_norm(net))

    return Study(PAPER, TITLE, units, tuple(missing), protocol, measure, COLUMNS, answer, signature)


def treated(net: Network, treatment: str, rule: str) -> tuple[Network, Explained]:
    """Return the network and the rule of a treatment."""
    if treatment in ("fused", "twin") or rule in BASELINES:
        return fuse(net), rule
    pairs = [((BatchNorm, Scale), LEFT_IN[treatment]), *resolve(rule).pairs]
    return net, Composite(pairs, f"{rule}, BatchNorm under {treatment}")


def measured(trained: Trained, unit: Unit, images: Images, protocol: Protocol) -> Rows:
    """Measure how faithful the maps of the treated network are, and how similar to those of the fused network.

    Pixels are flipped on the fused network, which computes the same function faster.
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


def relative_abpc(means: Mapping[Unit, Means], unit: Unit, fill: str) -> float:
    """Return ABPC divided by the span: 0 for an uninformative map, and comparable between networks."""
    return means[unit][f"abpc_{fill}"] / means[unit][f"span_{fill}"]


Groups = Sequence[Sequence[float]]
"""A number per training seed, for each data set."""


def differences(
    means: Mapping[Unit, Means], positions: Sequence[str], rule: str, against: str, other: str, fill: str
) -> Groups:
    """Return the difference of relative ABPC for each seed of each data set, averaged over networks.

    It is that of the fused network under `rule` minus that under the treatment `against` and the rule `other`. The
    treatment "twin" is the network without BatchNorm. Data sets are kept apart: their networks share no seed.
    """
    per: dict[tuple[str, int], list[float]] = {}
    for unit in means:
        dataset, _, position = unit.network.partition("-")
        if position not in positions or unit.treatment != "fused" or unit.rule != rule:
            continue
        network = f"{dataset}-{TWINS[position]}" if against == "twin" else unit.network
        opposite = Unit(dataset, network, unit.seed, against, other)
        if opposite in means:
            difference = relative_abpc(means, unit, fill) - relative_abpc(means, opposite, fill)
            per.setdefault((dataset, unit.seed), []).append(difference)
    datasets = dict.fromkeys(dataset for dataset, _ in per)
    return [[float(np.mean(per[key])) for key in sorted(per) if key[0] == dataset] for dataset in datasets]


def answer(found: Mapping[Unit, Means]) -> list[Claim]:
    """Return both claims with their answers, for each rule and treatment."""
    return [*_first(found), *_second(found)]


def _first(found: Mapping[Unit, Means]) -> list[Claim]:
    claims = []
    for where, positions in (("behind convolutions", CONVOLUTIONAL), ("before them all", BEFORE_ALL)):
        for rule in RULES:
            for treatment in LEFT_IN:
                by_fill = {fill: differences(found, positions, rule, treatment, rule, fill) for fill in FILLS}
                sentence = f"1. BatchNorm {where}, fused: more accurate than under {treatment} ({rule})"
                claims.append(_claim(sentence, by_fill))
                if rule == treatment == "zero":
                    every = [[v for group in groups for v in group] for groups in by_fill.values()]
                    same = all(values and all(abs(v) < 1e-2 for v in values) for values in every)
                    claims[-1] = replace(claims[-1], verdict=f"the same map, by theorem: {same}", p={})
    return claims


def _second(found: Mapping[Unit, Means]) -> list[Claim]:
    claims = []
    for rule in RULES:
        twin, plain, edges = ({fill: ask(fill) for fill in FILLS} for ask in _questions(found, rule))
        where = "2. where fully connected and normalization layers meet, maps"
        claims.append(_claim(f"{where} are worse than the twin's ({rule})", _negated(twin)))
        more = {fill: _sums(_negated(twin)[fill], plain[fill]) for fill in FILLS}
        claims.append(_claim(f"{where} lose more than those of convolutional networks ({rule})", more))
        claims.append(_claim(f"{where} are worse than an edge filter ({rule})", _negated(edges)))
    return claims


def _negated(by_fill: Mapping[str, Groups]) -> dict[str, Groups]:
    return {fill: [[-value for value in group] for group in groups] for fill, groups in by_fill.items()}


def _sums(groups: Groups, others: Groups) -> Groups:
    """The sums seed by seed; nothing unless both have the same seeds of the same data sets."""
    both = list(zip(groups, others, strict=False))
    if [len(group) for group in groups] != [len(group) for group in others]:
        return []
    return [[a + b for a, b in zip(group, other, strict=True)] for group, other in both]


def _questions(found: Mapping[Unit, Means], rule: str) -> tuple[Callable[[str], Groups], ...]:
    """Return functions of the fill: fused minus twin on COMBINED and on CONVOLUTIONAL, and fused minus edge filter."""
    return (
        lambda fill: differences(found, COMBINED, rule, "twin", rule, fill),
        lambda fill: differences(found, CONVOLUTIONAL, rule, "twin", rule, fill),
        lambda fill: differences(found, COMBINED, rule, "fused", "sobel", fill),
    )


FILLS = Protocol().fills


def _claim(sentence: str, by_fill: Mapping[str, Groups]) -> Claim:
    """Return the claim that a difference of relative ABPC is positive under each fill."""
    figure = "; ".join(f"fill {fill}: {as_text(*groups)}" for fill, groups in by_fill.items())
    answered = agreed({fill: verdict(*groups) for fill, groups in by_fill.items()})
    p_values = {f"fill {fill}": p_value(*groups) for fill, groups in by_fill.items()}
    return Claim(sentence, f"relative ABPC, {figure}", answered, p_values)
