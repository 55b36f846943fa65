"""Measure the cost of single precision: float32 maps of trained networks, in each form, against plain float64 maps.

    python scripts/measure_float32.py --data FOLDER

Print the table of docs/performance.md: relative L2 distance, median and worst over the first test images. Digits have
many equal patches, whose ties in max pooling are the subject of the last rows.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np

import lrpref
from lrpref.evaluation import maps
from lrpref.reproduce import images, networks

IMAGES = {"cifar10": 10, "mnist": 200}
PRESETS = ("epsilon-plus-flat", "epsilon-gamma-box(low=-3, high=3)", "epsilon-alpha2-beta1")
MEASURED = {
    "cifar10": [(network, composite) for network in ("vgg16-bn", "cifar-cnn", "resnet20") for composite in PRESETS],
    "mnist": [("mnist-cnn", composite) for composite in ("epsilon-plus-flat", "zero")],
}
FORMS = ("direct", "winograd")
CHANGED = 1e-4
"""The relative L2 distance from which on a map counts as changed."""


def distances(network: str, composite: str, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Form -> relative L2 distance of each image's map from the float64 map."""
    trained = networks.load(network)
    net, x = lrpref.fuse(trained.net), trained.inputs(pixels)
    single, target = net.astype(np.float32), net.forward(x).argmax(axis=1)
    truth = lrpref.explain(net.astype(np.float64), x.astype(np.float64), target, composite, form="plain")
    found = {"plain": lrpref.explain(single, x, target, composite, form="plain")}
    found |= {form: lrpref.prepare(single, composite, form=form).explain(x, target) for form in FORMS}
    return {form: maps.relative_l2(R, truth) for form, R in found.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, metavar="FOLDER", help="folder with cifar10_eval.npz and mnist.npz")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", lrpref.errors.RelevanceWarning)
    print(f"| network | composite | {' | '.join(('plain', *FORMS))} |")
    print("|---|---|---|---|---|")
    changed = []
    for dataset, pairs in MEASURED.items():
        pixels = images.load(dataset, IMAGES[dataset], chosen.data).x
        for network, composite in pairs:
            measured = distances(network, composite, pixels)
            cells = " | ".join(f"{np.median(d):.0e}, {d.max():.0e}" for d in measured.values())
            print(f"| {network} | {composite} | {cells} |", flush=True)
            counts = ", ".join(f"{form} {(d > CHANGED).sum()}" for form, d in measured.items())
            changed.append(f"{network}, {composite}, of {len(pixels)} maps: {counts}")
    print(f"\nMaps that differ by more than {CHANGED:.0e}:", *changed, sep="\n")


if __name__ == "__main__":
    main()
