"""Train the small networks of `lrpref reproduce 2002.11018` with PyTorch and export them as lrpref networks.

BatchNorm is in a different position in each; `conv` and `dense` have none and are the twins of the others. All are
exported in half precision, and their test accuracy is that of the rounded weights.

    python scripts/train_bn_networks.py --data FOLDER --out weights/bn                       # seed 0, all of them
    python scripts/train_bn_networks.py --data FOLDER --out FOLDER --seeds 1 2               # for the full study
    python scripts/train_bn_networks.py --data FOLDER --out FOLDER --only mnist-both         # one

The folder holds ``mnist.npz`` (``x_train``, ``y_train``, ``x_test``, ``y_test``, uint8) and half of CIFAR-10 as
``cifar10_train_1.npz`` to ``_3.npz`` (``x``, ``y``) and ``cifar10_eval.npz`` (``x_test``, ``y_test``: the first 1,000
test images). Inputs are ``pixel / 255``. Networks already in the output folder are left alone.
"""

from __future__ import annotations

import argparse
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from train_mnist import to_lrpref

POSITIONS = ("conv-bn-relu", "conv-relu-bn", "bn-first", "both", "conv", "dense-bn-relu", "dense-relu-bn", "dense")
"""Positions of BatchNorm; "conv" and "dense" have none."""


@dataclass(frozen=True)
class Data:
    """A data set, and how networks are built and trained for it."""

    channels: int
    size: int
    convolutions: tuple[int, ...]  # channels of the three convolutions
    hidden: tuple[int, ...]  # of the fully connected networks
    head: int  # hidden units above the convolutions
    epochs: int
    shift: int  # largest random shift of a training image, in pixels
    flip: bool  # mirror images at random
    learning_rate: float = 5e-3  # peak of the one-cycle schedule
    batch_size: int = 128
    weight_decay: float = 1e-2


DATASETS = {
    "mnist": Data(1, 28, (8, 16, 24), (64, 32), 32, epochs=6, shift=1, flip=False),
    "cifar10": Data(3, 32, (16, 24, 32), (24, 24), 48, epochs=10, shift=2, flip=True),
}


# ---------------------------------------------------------------------------------------- models


def build(position: str, data: Data) -> nn.Sequential:
    """Build the untrained network with BatchNorm in this position."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if position.startswith("dense"):
        layers["flatten"] = nn.Flatten()
        widths = (data.channels * data.size**2, *data.hidden)
        for i, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            layers[f"fc{i}"] = nn.Linear(inputs, outputs)
            if position == "dense-bn-relu":
                layers[f"bn{i}"] = nn.BatchNorm1d(outputs)
            layers[f"relu{i}"] = nn.ReLU()
            if position == "dense-relu-bn":
                layers[f"bn{i}"] = nn.BatchNorm1d(outputs)
        layers[f"fc{len(widths)}"] = nn.Linear(widths[-1], 10)
        return nn.Sequential(layers)
    if position == "bn-first":
        layers["bn0"] = nn.BatchNorm2d(data.channels)
    widths = (data.channels, *data.convolutions)
    size = data.size
    for i, (inputs, outputs) in enumerate(pairwise(widths), start=1):
        layers[f"conv{i}"] = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
        if position in ("conv-bn-relu", "both"):
            layers[f"bn{i}"] = nn.BatchNorm2d(outputs)
        layers[f"relu{i}"] = nn.ReLU()
        layers[f"pool{i}"] = nn.MaxPool2d(2)
        if position == "conv-relu-bn":  # after the pool, so that a linear layer follows
            layers[f"bn{i}"] = nn.BatchNorm2d(outputs)
        size //= 2
    layers["flatten"] = nn.Flatten()
    layers["fc1"] = nn.Linear(widths[-1] * size**2, data.head)
    if position == "both":
        layers["bn4"] = nn.BatchNorm1d(data.head)
    layers["relu4"] = nn.ReLU()
    layers["fc2"] = nn.Linear(data.head, 10)
    return nn.Sequential(layers)


# -------------------------------------------------------------------------------------- training


def load(dataset: str, folder: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Load training images and labels, then test images and labels; images are (N, C, H, W) in [0, 1]."""
    if dataset == "mnist":
        with np.load(folder / "mnist.npz") as held:
            arrays = [held[name] for name in ("x_train", "y_train", "x_test", "y_test")]
        arrays[0], arrays[2] = (x[..., None] for x in (arrays[0], arrays[2]))
    else:
        parts = [np.load(folder / f"cifar10_train_{k}.npz") for k in (1, 2, 3)]
        test = np.load(folder / "cifar10_eval.npz")
        train = [np.concatenate([part[name] for part in parts]) for name in ("x", "y")]
        arrays = [*train, test["x_test"], test["y_test"]]
    images = [torch.from_numpy(np.moveaxis(x, -1, 1).astype(np.float32) / np.float32(255)) for x in arrays[::2]]
    labels = [torch.from_numpy(y.astype(np.int64)) for y in arrays[1::2]]
    return images[0], labels[0], images[1], labels[1]


def varied(x: Tensor, data: Data) -> Tensor:
    """Shift each image by its own random offset, filling with 0, and mirror it at random if the data set allows."""
    padded = F.pad(x, (data.shift,) * 4)
    offsets = torch.randint(0, 2 * data.shift + 1, (2, len(x), 1))
    rows, columns = offsets + torch.arange(data.size)
    if data.flip:
        columns = torch.where(torch.rand(len(x), 1) < 0.5, columns.flip(1), columns)
    image = torch.arange(len(x))[:, None, None]
    return padded[image, :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def fit(model: nn.Sequential, x: Tensor, y: Tensor, data: Data) -> float:
    """Train with AdamW on a one-cycle schedule; return the last epoch's loss."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=data.learning_rate, weight_decay=data.weight_decay)
    steps = -(-len(x) // data.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=data.learning_rate, epochs=data.epochs, steps_per_epoch=steps
    )
    model.train()
    for _ in range(data.epochs):
        total = 0.0
        for batch in torch.randperm(len(x)).split(data.batch_size):
            loss = F.cross_entropy(model(varied(x[batch], data)), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(batch)
    return total / len(x)


@torch.no_grad()
def halve(model: nn.Sequential) -> None:
    """Round everything that will be stored to half precision."""
    for value in (*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())):
        value.copy_(value.half().float())


@torch.no_grad()
def accuracy(model: nn.Sequential, x: Tensor, y: Tensor) -> float:
    """Fraction of images whose largest logit is that of their label."""
    model.eval()
    predicted = torch.cat([model(part).argmax(dim=1) for part in x.split(1000)])
    return (predicted == y).sum().item() / len(y)


# ---------------------------------------------------------------------------------------- export


def wanted(args: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Yield data set, position and seed of each requested network that does not exist yet."""
    for dataset in DATASETS:
        for seed in args.seeds:
            for position in POSITIONS:
                name = f"{dataset}-{position}-seed{seed}"
                if (not args.only or args.only in name) and not (args.out / f"{name}.npz").exists():
                    yield dataset, position, seed


def train(dataset: str, position: str, seed: int, arrays: tuple[Tensor, ...], out: Path, epochs: int | None) -> None:
    """Train one network from its seed, test it once, and write it."""
    import lrpref

    recipe = DATASETS[dataset]
    data = recipe if epochs is None else Data(**{**vars(recipe), "epochs": epochs})
    x, y, x_test, y_test = arrays
    torch.manual_seed(seed)
    start = time.perf_counter()
    model = build(position, data)
    loss = fit(model, x, y, data)
    halve(model)
    test = accuracy(model, x_test, y_test)
    metadata = {
        "name": f"{dataset}-{position}",
        "title": f"{dataset}, BatchNorm: {position}",
        "input": {"range": "[0, 1]", "shape": [data.channels, data.size, data.size], "layout": "NCHW"},
        "accuracy": {"test": test, "images": len(y_test)},
        "seed": seed,
        "epochs": data.epochs,
        "framework": f"torch {torch.__version__.split('+')[0]}",
        "script": "scripts/train_bn_networks.py",
        "data": f"{dataset}, {len(y):,} training images",
        "licence": "weights: as lrpref",
    }
    path = out / f"{dataset}-{position}-seed{seed}.npz"
    lrpref.save(to_lrpref(model), path, metadata=metadata, dtype=np.float16)
    seconds = time.perf_counter() - start
    print(f"{path.name}: loss {loss:.3f}, test {test:.4f}, {path.stat().st_size:,} bytes, {seconds:.0f} s", flush=True)


def main() -> None:
    """Parse the arguments and train the missing networks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with mnist.npz and the CIFAR-10 files")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="default: 0")
    parser.add_argument("--only", metavar="TEXT", help="only networks whose name contains this text")
    parser.add_argument("--epochs", type=int, help="override the number of epochs, to try the script")
    parser.add_argument("--threads", type=int, default=1, help="default: 1, so that sums are rounded in one order")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    args.out.mkdir(parents=True, exist_ok=True)
    held: dict[str, tuple[Tensor, ...]] = {}
    for dataset, position, seed in wanted(args):
        if dataset not in held:
            held = {dataset: load(dataset, args.data)}
        train(dataset, position, seed, held[dataset], args.out, args.epochs)


if __name__ == "__main__":
    main()
