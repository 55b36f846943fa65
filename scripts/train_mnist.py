"""Train one of the four MNIST networks with PyTorch, then export it as an lrpref network.

``train`` trains a network and writes a checkpoint of plain NumPy arrays; ``export`` converts that
checkpoint to an lrpref weights file, with PyTorch's logits for the embedded digits.

    python scripts/train_mnist.py train mnist-cnn --data mnist.npz --checkpoints checkpoints
    python scripts/train_mnist.py export mnist-cnn --checkpoints checkpoints

``mnist.npz`` holds the official arrays ``x_train``, ``y_train``, ``x_test`` and ``y_test``. The
network's input is ``x / 255`` with shape (N, 1, 28, 28). The exported weights are those of the
last epoch; the test images are used once, after training.
"""

import argparse
import json
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Recipe:
    """How one network is built and trained."""

    title: str
    convolutional: bool
    batch_norm: bool
    epochs: int
    shift: int  # largest random shift of a training image, in pixels
    learning_rate: float  # peak of the one-cycle schedule
    batch_size: int = 128
    weight_decay: float = 1e-4


RECIPES: dict[str, Recipe] = {
    "mnist-cnn": Recipe("MNIST convolutional network", True, False, 12, 2, 3e-3),
    "mnist-cnn-bn": Recipe("MNIST convolutional network with batch norm", True, True, 12, 2, 5e-3),
    "mnist-mlp": Recipe("MNIST fully connected network", False, False, 20, 1, 2e-3),
    "mnist-mlp-bn": Recipe("MNIST fully connected network, batch norm", False, True, 20, 1, 4e-3),
}


# ---------------------------------------------------------------------------------------- models


def build_cnn(batch_norm: bool) -> nn.Sequential:
    """Three 3x3 convolutions, two of them followed by max pooling, then two dense layers."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (inputs, outputs) in enumerate([(1, 16), (16, 32), (32, 32)], start=1):
        layers[f"conv{i}"] = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
        if batch_norm:
            layers[f"bn{i}"] = nn.BatchNorm2d(outputs)
        layers[f"relu{i}"] = nn.ReLU()
        if i < 3:
            layers[f"pool{i}"] = nn.MaxPool2d(2)
    layers["flatten"] = nn.Flatten()
    layers["fc1"] = nn.Linear(32 * 7 * 7, 64)
    layers["relu4"] = nn.ReLU()
    layers["fc2"] = nn.Linear(64, 10)
    return nn.Sequential(layers)


def build_mlp(batch_norm: bool) -> nn.Sequential:
    """Two hidden dense layers of 256 and 128 units."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for i, (inputs, outputs) in enumerate([(784, 256), (256, 128)], start=1):
        layers[f"fc{i}"] = nn.Linear(inputs, outputs)
        if batch_norm:
            layers[f"bn{i}"] = nn.BatchNorm1d(outputs)
        layers[f"relu{i}"] = nn.ReLU()
    layers["fc3"] = nn.Linear(128, 10)
    return nn.Sequential(layers)


def build_model(name: str) -> nn.Sequential:
    """Build the untrained PyTorch network of that name."""
    recipe = RECIPES[name]
    return (build_cnn if recipe.convolutional else build_mlp)(recipe.batch_norm)


# -------------------------------------------------------------------------------------- training


def load_split(data: Path, split: str) -> tuple[Tensor, Tensor]:
    """Load the ``train`` or ``test`` images, scaled to [0, 1], and their labels."""
    with np.load(data) as mnist:
        images, labels = mnist[f"x_{split}"], mnist[f"y_{split}"]
    x = torch.from_numpy(images[:, None].astype(np.float32) / np.float32(255))
    return x, torch.from_numpy(labels.astype(np.int64))


def leave_out_samples(x: Tensor, y: Tensor, samples: Path) -> tuple[Tensor, Tensor]:
    """Drop the training images listed under ``train_index`` in the samples file."""
    with np.load(samples) as archive:
        left_out = archive["train_index"]
    keep = torch.ones(len(x), dtype=torch.bool)
    keep[torch.from_numpy(left_out)] = False
    return x[keep], y[keep]


def random_shift(x: Tensor, largest: int) -> Tensor:
    """Shift every image by its own random offset of at most ``largest`` pixels, filling with 0."""
    size = x.shape[-1]
    padded = F.pad(x, (largest,) * 4)
    offsets = torch.randint(0, 2 * largest + 1, (2, len(x), 1))
    rows, columns = offsets + torch.arange(size)
    image = torch.arange(len(x))[:, None, None]
    return padded[image, 0, rows[:, :, None], columns[:, None, :]][:, None]


def fit(model: nn.Sequential, x: Tensor, y: Tensor, recipe: Recipe) -> None:
    """Train with AdamW on a one-cycle schedule for the recipe's number of epochs."""
    steps = -(-len(x) // recipe.batch_size)
    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        max_lr=recipe.learning_rate,
        epochs=recipe.epochs,
        steps_per_epoch=steps,
    )
    model.train()
    for epoch in range(1, recipe.epochs + 1):
        total = 0.0
        for batch in torch.randperm(len(x)).split(recipe.batch_size):
            loss = F.cross_entropy(model(random_shift(x[batch], recipe.shift)), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(batch)
        print(f"epoch {epoch:2d}/{recipe.epochs}  training loss {total / len(x):.4f}", flush=True)


@torch.no_grad()
def accuracy(model: nn.Sequential, x: Tensor, y: Tensor) -> float:
    """Fraction of images whose largest logit is that of their label."""
    model.eval()
    predicted = torch.cat([model(part).argmax(dim=1) for part in x.split(1000)])
    return (predicted == y).sum().item() / len(y)


# ----------------------------------------------------------------------------------- checkpoints


def save_checkpoint(path: Path, model: nn.Sequential, meta: dict) -> None:
    """Write the state dict as plain arrays, and ``meta`` as a JSON string."""
    state = model.state_dict()
    kept = [key for key in state if not key.endswith("num_batches_tracked")]
    arrays = {key: state[key].numpy() for key in kept}
    path.parent.mkdir(parents=True, exist_ok=True)
    from lrpref._support.files import whole

    with whole(path) as part:
        np.savez(part, meta=np.array(json.dumps(meta)), **arrays)


def load_checkpoint(path: Path, name: str) -> tuple[nn.Sequential, dict]:
    """Rebuild the trained PyTorch network, in eval mode, and read its metadata."""
    with np.load(path) as archive:
        meta = json.loads(archive["meta"].item())
        state = {key: torch.from_numpy(archive[key]) for key in archive.files if key != "meta"}
    model = build_model(name)
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any(not key.endswith("num_batches_tracked") for key in missing):
        raise ValueError(f"{path} does not fit {name}: missing {missing}, extra {unexpected}")
    return model.eval(), meta


def train_command(args: argparse.Namespace) -> str:
    """Return the command line of this run, with the folders of this machine left out."""
    command = f"python scripts/train_mnist.py train {args.name} --data mnist.npz"
    command += f" --checkpoints checkpoints --seed {args.seed}"
    if args.leave_out:
        command += " --leave-out lrpref/zoo/samples/digits.npz"
    return command


def train(args: argparse.Namespace) -> None:
    """Train one network from its seed, test it once and write its checkpoint."""
    recipe = RECIPES[args.name]
    torch.manual_seed(args.seed)
    torch.use_deterministic_algorithms(True)
    x, y = load_split(args.data, "train")
    if args.leave_out:
        x, y = leave_out_samples(x, y, args.leave_out)
    model = build_model(args.name)
    start = time.perf_counter()
    fit(model, x, y, recipe)
    seconds = time.perf_counter() - start
    x_test, y_test = load_split(args.data, "test")
    meta = {
        "accuracy": {"test": accuracy(model, x_test, y_test), "images": len(y_test)},
        "seed": args.seed,
        "epochs": recipe.epochs,
        "train_images": len(x),
        "seconds": round(seconds, 1),
        "torch": torch.__version__.split("+")[0],
        "command": train_command(args),
    }
    save_checkpoint(args.checkpoints / f"{args.name}.npz", model, meta)
    print(f"{args.name}: test accuracy {meta['accuracy']['test']:.4f} after {seconds:.0f} s")


# ---------------------------------------------------------------------------------------- export


def to_lrpref(model: nn.Sequential):
    """Build the lrpref network with the same layers, names and weights."""
    import lrpref

    def layer(module: nn.Module):
        array = {key: value.detach().numpy() for key, value in module.state_dict().items()}
        match module:
            case nn.Linear():
                return lrpref.Dense(array["weight"], array["bias"])
            case nn.Conv2d():
                return lrpref.Conv2D(array["weight"], array["bias"], stride=1, padding=1)
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                mean, var = array["running_mean"], array["running_var"]
                return lrpref.BatchNorm(array["weight"], array["bias"], mean, var, eps=module.eps)
            case nn.ReLU():
                return lrpref.ReLU()
            case nn.MaxPool2d():
                return lrpref.MaxPool2D(module.kernel_size)
            case nn.Flatten():
                return lrpref.Flatten()
        raise TypeError(f"no lrpref layer for {type(module).__name__}")

    names, modules = zip(*model.named_children(), strict=True)
    return lrpref.Network.sequential(*map(layer, modules), names=list(names))


@torch.no_grad()
def sample_logits(model: nn.Sequential) -> dict[str, list[float]]:
    """Compute PyTorch's float32 logits for each embedded digit, one image at a time."""
    from lrpref import samples

    return {
        name: model(torch.from_numpy(np.asarray(samples.load(name), np.float32)))[0].tolist()
        for name in samples.names((1, 28, 28))
    }


def export(args: argparse.Namespace) -> None:
    """Write one checkpoint as an lrpref weights file."""
    import lrpref

    model, meta = load_checkpoint(args.checkpoints / f"{args.name}.npz", args.name)
    metadata = {
        "name": args.name,
        "title": RECIPES[args.name].title,
        "task": "handwritten digit classification",
        "input": {"range": "[0, 1]", "shape": [1, 28, 28], "layout": "NCHW"},
        "classes": [str(digit) for digit in range(10)],
        "accuracy": meta["accuracy"],
        "seed": meta["seed"],
        "epochs": meta["epochs"],
        "framework": f"torch {meta['torch']}",
        "script": "scripts/train_mnist.py",
        "command": meta["command"],
        "data": f"MNIST, {meta['train_images']:,} training images",
        "licence": "weights: as lrpref; MNIST by LeCun, Cortes and Burges, CC BY-SA 3.0",
        "expected_logits": sample_logits(model),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{args.name}.npz"
    lrpref.save(to_lrpref(model), str(path), metadata=metadata)
    print(f"{path}: {path.stat().st_size} bytes")


def main() -> None:
    """Parse the arguments and run the chosen stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    stages = parser.add_subparsers(required=True, metavar="train|export")

    stage = stages.add_parser("train", help="train a network and write its checkpoint")
    stage.add_argument("name", choices=RECIPES)
    stage.add_argument("--data", type=Path, required=True, help="mnist.npz")
    stage.add_argument("--checkpoints", type=Path, required=True, help="folder to write to")
    stage.add_argument("--seed", type=int, default=0)
    stage.add_argument(
        "--leave-out",
        type=Path,
        metavar="SAMPLES",
        help="samples file (digits.npz) with images to exclude from training",
    )
    stage.set_defaults(run=train)

    stage = stages.add_parser("export", help="write a checkpoint as an lrpref weights file")
    stage.add_argument("name", choices=RECIPES)
    stage.add_argument("--checkpoints", type=Path, required=True, help="folder to read from")
    stage.add_argument("--out", type=Path, default=Path("weights"), help="default: weights")
    stage.set_defaults(run=export)

    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
