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

RULES = ("zero", "epsilon(epsilon=0.01)", "z-plus", "epsilon-plus-flat")
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

    return Study(PAPER, TITLE, units, missing, protocol, measure, ("abpc", "aopc", "span", "cosine_fused"), answer)


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
    found: Mapping[Unit, Rows], positions: Sequence[str], treatment: str, against: str, rule: str
) -> list[float]:
    """Relative ABPC under one treatment minus that under another, the mean over networks, for each seed."""
    per: dict[int, list[float]] = {}
    for unit in found:
        dataset, _, position = unit.network.partition("-")
        if position not in positions or unit.treatment != treatment or unit.rule != rule:
            continue
        network = f"{dataset}-{TWINS[position]}" if against == "twin" else unit.network
        other = Unit(dataset, network, unit.seed, against, rule)
        if other in found:
            per.setdefault(unit.seed, []).append(relative_abpc(found, unit) - relative_abpc(found, other))
    return [float(np.mean(values)) for _, values in sorted(per.items())]


def answer(found: Mapping[Unit, Rows]) -> list[Claim]:
    """Both claims, rule by rule and treatment by treatment."""
    claims = []
    for rule in RULES:
        for treatment in LEFT_IN:
            values = differences(found, CONVOLUTIONAL, "fused", treatment, rule)
            sentence = f"1. on convolutional networks, fused is more accurate than BatchNorm under {treatment} ({rule})"
            if rule == "zero" and treatment == "zero":
                same = bool(values) and max(map(abs, values)) < 1e-2
                claims.append(Claim(sentence, f"relative ABPC {told(values)}", f"the same map by theorem: {same}"))
                continue
            claims.append(Claim(sentence, f"relative ABPC {told(values)}", verdict(values)))
    for rule in RULES:
        values = [-v for v in differences(found, COMBINED, "fused", "twin", rule)]
        sentence = f"2. with fully connected and normalization layers together, LRP fails: below the twin ({rule})"
        claims.append(Claim(sentence, f"relative ABPC, twin minus fused {told(values)}", verdict(values)))
    for rule in RULES:
        worse = [-v for v in differences(found, COMBINED, "fused", "twin", rule)]
        plain = [-v for v in differences(found, CONVOLUTIONAL, "fused", "twin", rule)]
        values = [a - b for a, b in zip(worse, plain, strict=False)]
        sentence = f"2. and it loses more there than on convolutional networks ({rule})"
        claims.append(Claim(sentence, f"relative ABPC {told(values)}", verdict(values)))
    return claims
