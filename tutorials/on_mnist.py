"""Repeat the measurements of steps 7 to 10 on digits of the MNIST test set, and record them in `on_mnist.json`.

    python tutorials/on_mnist.py --data FOLDER          all steps
    python tutorials/on_mnist.py --data FOLDER 8 9      only these

A clone holds thirteen digits, which are enough to show an effect and too few for a general claim. The tutorials
therefore print both: what they measure on the thirteen, and what this script has recorded. The record also holds the
thirteen digits, measured by this script, and every tutorial asserts that it finds the same. FOLDER holds MNIST in one
of the forms that `lrpref.zoo.datasets` reads; `docs/import.md` describes them. All steps together take about ten
minutes of processor time; `--every 1` measures the whole test set, which takes hours.

For every quantity and every population the record has, over images, the mean, the standard deviation, and the
quantiles at QUANTILES.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

import lrpref
from lrpref import Add, BatchNorm, Network, evaluation, rules
from lrpref._support.files import write_text
from lrpref.composites import Composite, resolve
from lrpref.evaluation import baselines, maps
from lrpref.zoo import datasets

RECORD = Path(__file__).resolve().with_name("on_mnist.json")
QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
BATCH = 250
EVERY = {7: 10, 8: 10, 9: 20, 10: 100}
"""Of the 10,000 test digits, a step measures every N-th; step 10 needs 700 forward passes for each."""

Measured = dict[str, np.ndarray]
"""What is measured, and its values: one per image, or one per unit."""


def main() -> None:
    """Measure the steps and write the record, one step at a time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("steps", nargs="*", type=int, help="which steps: 7, 8, 9, 10 (default: all)")
    parser.add_argument("--data", help="the folder that holds MNIST")
    parser.add_argument("--every", type=int, help="measure every N-th test digit (default: see EVERY)")
    parser.add_argument("--out", type=Path, default=RECORD, help="the record (default: on_mnist.json beside this file)")
    chosen = parser.parse_args()
    test = datasets.load("mnist", "test", chosen.data)
    for step in chosen.steps or STEPS:
        images = test.x[:: chosen.every or EVERY[step]].astype(np.float32) / 255
        found = {"digits": len(images), "samples": summary(STEPS[step](samples()))}
        found["test"] = summary(measured(step, images))
        record = json.loads(chosen.out.read_text(encoding="utf-8")) if chosen.out.exists() else {}
        record = dict(sorted({**record, f"step {step}": found}.items()))
        write_text(chosen.out, json.dumps(record, indent=1) + "\n")
        print(f"step {step}: {len(images)} digits", flush=True)


def recorded(step: int, live: Measured) -> tuple[int, dict[str, dict]]:
    """Return how many test digits a step measured, and the spread of each quantity over them.

    `live` is what a tutorial has measured on the thirteen digits; AssertionError if this script had measured anything
    else on them, which shows that the record is not, or no longer, a record of the same measurement.
    """
    record = json.loads(RECORD.read_text(encoding="utf-8"))[f"step {step}"]
    for name, values in live.items():
        for key, value in spread(values).items():
            message = f"{name}: {key} is not what on_mnist.json has; run python tutorials/on_mnist.py {step}"
            np.testing.assert_allclose(value, record["samples"][name][key], rtol=2e-3, atol=2e-3, err_msg=message)
    return record["digits"], record["test"]


def median(of: dict, digits: int = 2) -> str:
    """A median and, in brackets, the quartiles."""
    low, middle, high = (of["quantiles"][QUANTILES.index(q)] for q in (0.25, 0.5, 0.75))
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def mean(of: dict, count: int, digits: int = 2, sign: str = "+") -> str:
    """A mean and its standard error over `count` images."""
    return f"{round(of['mean'], digits) + 0.0:{sign}.{digits}f} +- {of['sd'] / count**0.5:.{digits}f}"


def samples() -> np.ndarray:
    """The thirteen digits of the package, (13, 1, 28, 28)."""
    return np.concatenate([lrpref.samples.load(name) for name in lrpref.samples.names((1, 28, 28))])


def measured(step: int, x: np.ndarray) -> Measured:
    """Measure a step on many images, in batches."""
    parts = [STEPS[step](x[first : first + BATCH]) for first in range(0, len(x), BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def summary(values: Measured) -> dict[str, dict]:
    """The spread of each quantity, to six digits."""
    return {name: {key: _short(value) for key, value in spread(each).items()} for name, each in values.items()}


def spread(values: np.ndarray) -> dict:
    """The mean, the standard deviation and the quantiles of some values."""
    return {"mean": values.mean(), "sd": values.std(ddof=1), "quantiles": np.quantile(values, QUANTILES)}


def _short(value: np.ndarray) -> float | list[float]:
    """The value with six digits, as JSON has it."""
    return np.vectorize(lambda number: float(f"{number:.6g}"))(value).tolist()


# ---- step 7: BatchNorm left in, against folded -----------------------------------------------------------------


def batch_normalisation(x: np.ndarray) -> Measured:
    """The distance from the folded network's maps, and the logit after erasing twenty pixels."""
    x = x.astype(np.float64)
    trained = lrpref.load("mnist-cnn-bn").astype(np.float64)
    net = lrpref.fuse(trained)
    target = net.forward(x).argmax(axis=1)
    treatments = {"pass": rules.Pass(), "zero": rules.Zero(), "epsilon": rules.Epsilon(), "absolute": rules.Absolute()}
    found = {"logit": logits(net, x, target)}
    for rule in ("zero", "z-plus", "epsilon-plus"):
        folded = lrpref.explain(net, x, target, rule)
        found[f"{rule}, folded, left"] = after_erasing(net, x, folded, target)
        for name, on_norm in treatments.items():
            composite = Composite([(BatchNorm, on_norm), *resolve(rule).pairs])
            R = lrpref.explain(trained, x, target, composite)
            found[f"{rule}, {name}, distance"] = maps.relative_l2(R, folded)
            left = after_erasing(net, x, R, target)
            found[f"{rule}, {name}, left"] = left
            found[f"{rule}, {name}, more left"] = left - found[f"{rule}, folded, left"]
    for name in ("mnist-mlp-bn", "mnist-mlp"):
        dense = lrpref.fuse(lrpref.load(name).astype(np.float64))
        answer = dense.forward(x).argmax(axis=1)
        found[f"{name}, logit"] = logits(dense, x, answer)
        left = after_erasing(dense, x, lrpref.explain(dense, x, answer, "zero"), answer)
        found[f"{name}, left"] = left
        found[f"{name}, lost"] = 1 - left / found[f"{name}, logit"]
    found["mlp-bn minus mlp, lost"] = found["mnist-mlp-bn, lost"] - found["mnist-mlp, lost"]
    return found


def logits(net: Network, x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The logit of each image's target."""
    return net.forward(x)[np.arange(len(x)), target]


def after_erasing(net: Network, x: np.ndarray, R: np.ndarray, target: np.ndarray, count: int = 20) -> np.ndarray:
    """The logits after setting the most relevant pixels of each map to 0."""
    erased = x.reshape(len(x), -1).copy()
    order = np.argsort(-R.reshape(len(x), -1), axis=1, kind="stable")[:, :count]
    np.put_along_axis(erased, order, 0, axis=1)
    return logits(net, erased.reshape(x.shape), target)


# ---- step 8: a skip connection with three splits ---------------------------------------------------------------


def skip_connection(x: np.ndarray) -> Measured:
    """The distance from the plain network's maps, their size, the branch's share; and how far branches cancel."""
    x = x.astype(np.float64)
    net = lrpref.load("mnist-cnn").astype(np.float64)
    residual = with_a_skip(net)
    target = net.forward(x).argmax(axis=1)
    logit = logits(net, x, target)
    splits = {"signed": rules.Zero(), "by magnitude": rules.Absolute(), "equal": rules.Flat()}
    found = {}
    for rule in ("zero", "z-plus", "epsilon-plus"):
        plain = lrpref.explain(net, x, target, rule)
        for name, split in splits.items():
            tr = lrpref.trace(residual, x, target, Composite([(Add, split), *resolve(rule).pairs]))
            found[f"{rule}, {name}, distance"] = maps.relative_l2(tr.relevance, plain)
            found[f"{rule}, {name}, size"] = total(tr.relevance) / logit
            found[f"{rule}, {name}, branch"] = total(tr.at["branch"]) / total(tr.at["sum"])
    values = residual.activations(x)
    R = lrpref.trace(residual, x, target, "epsilon-plus").at["sum"]
    a, b = values["branch"], values["pool2"]
    with np.errstate(divide="ignore", invalid="ignore"):
        amplification = np.where(R != 0, np.maximum(abs(a), abs(b)) / abs(a + b), 0)
    axes = (1, 2, 3)
    for limit in (1.01, 2, 10):
        beyond = amplification > limit
        found[f"units beyond {limit}"] = beyond.sum(axis=axes) / (R != 0).sum(axis=axes)
        found[f"relevance beyond {limit}"] = (abs(R) * beyond).sum(axis=axes) / abs(R).sum(axis=axes)
    return found


def with_a_skip(net: Network) -> Network:
    """The same function, with conv3 written as x + (conv3(x) - x)."""
    conv = net["conv3"]
    identity = np.zeros_like(conv.weight)
    identity[np.arange(32), np.arange(32), 1, 1] = 1
    return Network([node for each in net.nodes for node in _split(*each, replace(conv, weight=conv.weight - identity))])


def _split(name: str, layer: object, inputs: tuple[str, ...], branch: object) -> Iterator[tuple]:
    """A node of the network with the skip: conv3 becomes the branch and the sum."""
    if name == "conv3":
        yield "branch", branch, inputs
        yield "sum", Add(), ["branch", *inputs]
    else:
        yield name, layer, ["sum" if each == "conv3" else each for each in inputs]


def total(R: np.ndarray) -> np.ndarray:
    """The sum of magnitudes of each image."""
    return abs(R).reshape(len(R), -1).sum(axis=1)


# ---- step 9: a little noise ------------------------------------------------------------------------------------


def noise(x: np.ndarray) -> Measured:
    """The change of the map when noise of a thousandth of the range is added."""
    x = x.astype(np.float64)
    noisy = x + 1e-3 * np.random.default_rng(0).normal(size=x.shape)
    found = {}
    for name in ("mnist-cnn", "mnist-cnn-bn", "mnist-mlp"):
        net = lrpref.fuse(lrpref.load(name).astype(np.float64))
        target = net.forward(x).argmax(axis=1)
        for rule in ("zero", "epsilon(epsilon=0.1)", "relative", "gamma", "absolute", "z-plus"):
            before, after = (lrpref.explain(net, image, target, rule) for image in (x, noisy))
            found[f"{rule}, {name}"] = maps.relative_l2(after, before)
        for rule in ("zero", "epsilon(epsilon=0.1)", "gamma", "absolute", "z-plus"):
            found[f"{rule} minus relative, {name}"] = found[f"{rule}, {name}"] - found[f"relative, {name}"]
    return found


# ---- step 10: pixel flipping and randomisation -----------------------------------------------------------------

FILLS = {"0": "zero", "mean": "mean", "blur": evaluation.fills.Blur(sigma=2, size=7), "uniform": "uniform"}


def flipping(x: np.ndarray) -> Measured:
    """The area between the curves under four fills, for every pair of maps too; and the cosines of randomisation."""
    x = x.astype(np.float64)  # in single precision, rounding orders nearly equal pixels differently on each machine
    net = lrpref.fuse(lrpref.load("mnist-cnn-bn").astype(np.float64))
    target = net.forward(x).argmax(axis=1)
    of = {rule: lrpref.explain(net, x, target, rule) for rule in ("zero", "epsilon-plus", "z-plus", "relative")}
    of |= {name: baselines.baseline(name, net, x, target) for name in ("sobel", "random")}
    found = {}
    for fill, how in FILLS.items():
        for name, R in of.items():
            both = evaluation.abpc(net, x, R, target, step=56, fill=how, batch_size=BATCH)
            found[f"{fill}, {name}"] = both.area
        for one, other in combinations(of, 2):
            found[f"{fill}, {one} minus {other}"] = found[f"{fill}, {one}"] - found[f"{fill}, {other}"]
    for name in ("zero", "epsilon-plus", "relative", "z-plus"):
        changed = evaluation.parameter_randomisation(net, x, name, target, similarity="cosine")
        found[f"cosine, {name}, randomised"] = changed.similarity[-1]
        found[f"cosine, {name}, picture"] = maps.cosine(of[name], x)
    return found


STEPS: dict[int, Callable[[np.ndarray], Measured]] = {
    7: batch_normalisation,
    8: skip_connection,
    9: noise,
    10: flipping,
}

if __name__ == "__main__":
    main()
