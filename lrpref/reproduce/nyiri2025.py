"""Nyiri and Gibaru 2025, arXiv 2501.14322: Relative LRP.

The abstract's claims, in our words: the rule needs no hyperparameter; it divides by no small values (skips excepted),
which is the main trouble of other rules; it was compared on image classification with a simple CNN, VGG16, VGG19 and
ResNet50. (The title calls it more robust.)

The text of the paper was not available; the rule is our reading of the abstract (`lrpref.rules.Relative`), and the
protocol is ours. To see the value of "no hyperparameter", we compare with epsilon over six decades; to see that of "no
small denominators", we measure the effect of tiny noise and of single precision. Whether the maps are faithful is a
separate question, measured by pixel flipping.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from .. import composites, relative
from ..evaluation import maps
from ..fusion import fuse
from . import networks
from .images import Images
from .measures import BASELINES, Explained, amplification, faithfulness, has_norm, relevance, signed, stability
from .networks import Trained
from .report import cells, per_seed
from .statistics import as_text, p_value, verdict
from .study import Claim, Means, Protocol, Rows, Study, Unit

PAPER = "2501.14322"
TITLE = "Nyiri and Gibaru 2025: Relative LRP"

NETWORKS = {
    "mnist-cnn": "mnist",
    "mnist-mlp": "mnist",
    "cifar-cnn": "cifar10",
    "cifar-cnn-bn": "cifar10",
    "vgg16-bn": "cifar10",
    "vgg19-bn": "cifar10",
    "resnet20": "cifar10",
    "resnet50": "cifar10",
    "mnist-conv": "mnist",
    "mnist-dense": "mnist",
    "cifar10-conv": "cifar10",
    "cifar10-conv-bn-relu": "cifar10",
}
"""Network -> data set: the simple CNN, and the deep networks that are available."""

REPEATED = ("mnist-conv", "mnist-dense", "cifar10-conv", "cifar10-conv-bn-relu")
"""Small networks of the other study, trained from several seeds; measured also with more fills, insertion, deletion."""

RESIDUAL = ("resnet20", "resnet50")
"""The networks with skip connections, on which the readings of Relative LRP differ."""

READINGS = {f"relative(reading={reading!r})": reading for reading in relative.READINGS[1:]}
"""The readings other than the default, measured on `RESIDUAL`. Not rescaled, they may leave the range of float32."""

GAMMA_BOX = "epsilon-gamma-box"
DECADES = tuple(f"epsilon(epsilon=1e{k:+d})" if k else "epsilon(epsilon=1)" for k in range(-6, 1))
RULES = (
    "relative",
    "absolute",
    "zero",
    *DECADES,
    "gamma(gamma=0.25)",
    "gamma(gamma=0.25, generalised=True)",
    "alpha-beta",
    "z-plus",
    "epsilon-plus",
    "epsilon-plus-flat",
    GAMMA_BOX,
    "epsilon-alpha2-beta1-flat",
)
FILLS = Protocol().fills
COLUMNS = (
    "abpc_mean",
    "span_mean",
    "abpc_zero",
    "span_zero",
    "noise_l2",
    "noise_sign",
    "precision_l2",
    "top1",
    "peak",
    "peak_input",
    "finite",
)


def study(protocol: Protocol, seeds: Sequence[int] = (0,), folder: str | os.PathLike[str] | None = None) -> Study:
    """Return the design for the networks that are available; seed 0 is the network that comes with lrpref."""
    units: list[Unit] = []
    missing: list[str] = []
    for network, dataset in NETWORKS.items():
        for seed in seeds:
            if networks.path_of(file_of(network, seed), folder) is None:
                missing.append(file_of(network, seed))
                continue
            readings = READINGS if network in RESIDUAL else ()
            units += [Unit(dataset, network, seed, "", rule) for rule in (*RULES, *readings, *BASELINES)]

    def measure(unit: Unit, images: Images, protocol: Protocol) -> Rows:
        return measured(networks.load(file_of(unit.network, unit.seed), folder), unit, images, protocol)

    def signature(unit: Unit) -> str:
        given = networks.load(file_of(unit.network, unit.seed), folder)
        fused = replace(given, net=fuse(given.net))
        return signed(fused.net, boxed(unit.rule, fused), fused=has_norm(given.net))

    return Study(PAPER, TITLE, units, tuple(missing), protocol, measure, COLUMNS, answer, signature)


def file_of(network: str, seed: int) -> str:
    """Return the name of a network's file; that of a network trained only once has no seed in it."""
    return networks.seeded(network, seed) if seed or network in REPEATED else network


def measured(trained: Trained, unit: Unit, images: Images, protocol: Protocol) -> Rows:
    """Measure how faithful and how stable the maps of the fused network are.

    Readings of Relative LRP that are not rescaled are explained in float64, and compared with the default reading.
    """
    fused = replace(trained, net=fuse(trained.net, verify=trained.inputs(images.x[:2])))
    target = fused.answers(images.x)
    rule = boxed(unit.rule, fused)
    explained = replace(fused, net=fused.net.astype(np.float64)) if unit.rule in READINGS else fused
    R = relevance(explained, images.x, target, rule, protocol.seed)
    more = protocol.more and unit.seed == 0 and unit.network in REPEATED
    rows = faithfulness(fused, images.x, R, target, protocol, more)
    if unit.rule not in BASELINES:
        rows |= stability(explained, images.x, R, target, rule, protocol)
        rows |= amplification(explained, images.x, target, rule)
    if unit.rule in READINGS:
        rows |= {"cosine_rescaled": maps.cosine(R, relevance(explained, images.x, target, "relative"))}
    return {**rows, "right": (target == images.labels).astype(float)}


def boxed(rule: str, trained: Trained) -> Explained:
    """Return the rule; a box is set to black and white as the network receives them."""
    if rule != GAMMA_BOX:
        return rule
    return composites.EpsilonGammaBox(*((0.0, 1.0) if trained.normalisation is None else trained.normalisation.box()))


# ---- the answers -------------------------------------------------------------------------------------------------


def compared(means: Mapping[Unit, Means], measure: str, rule: str, other: str, network: str) -> list[float]:
    """Return a measure under one rule minus that under another, for each seed of a network."""
    values = []
    for unit in means:
        against = Unit(unit.dataset, unit.network, unit.seed, "", other)
        if unit.network == network and unit.rule == rule and against in means:
            values.append(means[unit][measure] - means[against][measure])
    return values


def claim(means: Mapping[Unit, Means], network: str, other: str, measure: str, words: str, sign: int) -> Claim:
    """Return the claim that a measure is larger (sign 1) or smaller (-1) under Relative LRP than under another rule."""
    values = [sign * value for value in compared(means, measure, "relative", other, network)]
    difference = f"relative minus {other}" if sign > 0 else f"{other} minus relative"
    figure = f"{NAMES[measure]}, {difference}: {as_text(values)}"
    return Claim(f"{network}: relative {words} {other}", figure, verdict(values), {"": p_value(values)})


NAMES = {
    "noise_l2": "change under noise",
    "precision_l2": "error of float32",
    "abpc_mean": "ABPC, fill mean",
    "abpc_zero": "ABPC, fill zero",
}
"""The measures in words."""


def answer(means: Mapping[Unit, Means]) -> list[Claim]:
    """Return all claims with their answers, network by network."""
    claims = []
    for network in dict.fromkeys(unit.network for unit in means):
        for other in ("zero", DECADES[0]):
            claims.append(claim(means, network, other, "noise_l2", "moves less under tiny noise than", -1))
            claims.append(claim(means, network, other, "precision_l2", "loses less in single precision than", -1))
        for other in ("zero", DECADES[0], "absolute", "z-plus", "random"):
            for fill in FILLS:
                claims.append(claim(means, network, other, f"abpc_{fill}", f"is more faithful (fill {fill}) than", 1))
        claims += [worth_of_a_choice(means, network, fill) for fill in FILLS]
        claims += [same_map(means, unit) for unit in means if unit.network == network and unit.rule in READINGS]
    return claims


def worth_of_a_choice(means: Mapping[Unit, Means], network: str, fill: str) -> Claim:
    """Return the range of ABPC, averaged over seeds, over the decades of epsilon."""
    units = cells(unit for unit in means if unit.network == network and unit.rule in DECADES).values()
    areas = [float(np.mean(per_seed(means, seeds, f"abpc_{fill}"))) for seeds in units]
    sentence = f"{network}: without a hyperparameter there is nothing to choose wrongly (fill {fill})"
    figure = f"over six decades of epsilon, ABPC varies by {np.ptp(areas) if areas else np.nan:.3g}"
    return Claim(sentence, figure, "by construction; what the choice is worth is the figure")


def same_map(means: Mapping[Unit, Means], unit: Unit) -> Claim:
    """Return the cosine of the map of another reading with that of the default."""
    sentence = f"{unit.network}: {unit.rule} gives the map of relative"
    figure = f"cosine {means[unit]['cosine_rescaled']:.3g}, mean over images, seed {unit.seed}"
    return Claim(sentence, figure, "not determined by the abstract; the figure is that of this network")
