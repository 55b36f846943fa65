"""Train one of the CIFAR-10 networks with PyTorch, then export it as an lrpref network.

``train`` trains a network and writes a checkpoint after every epoch, from which an interrupted run resumes;
``export`` converts the last checkpoint to an lrpref weights file, with PyTorch's logits for the embedded photograph.

    python scripts/train_cifar.py train resnet20 --data FOLDER --checkpoints checkpoints
    python scripts/train_cifar.py export resnet20 --checkpoints checkpoints --data FOLDER

The folder holds half of CIFAR-10: ``cifar10_train_1.npz`` to ``_3.npz`` with ``x`` (N, 32, 32, 3) uint8 and ``y``,
the first 2,500 training images of each class; and ``cifar10_eval.npz`` with ``x_val``, ``y_val`` (the last 500 of
each class), which are monitored during training, and ``x_test``, ``y_test`` (the first 1,000 test images), which are
used once, at export. Modules are named as in torchvision.
"""

import argparse
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Per channel, of CIFAR-10's pixels scaled to [0, 1]: the networks take (pixel / 255 - mean) / std."""


@dataclass(frozen=True)
class Recipe:
    """How one network is built and trained."""

    title: str
    epochs: int
    learning_rate: float  # peak of the one-cycle schedule
    width: float = 1.0
    batch_size: int = 128
    weight_decay: float = 5e-4
    smoothing: float = 0.1  # label smoothing
    shift: int = 4  # largest random shift of a training image, in pixels


RECIPES: dict[str, Recipe] = {
    "cifar-cnn": Recipe("CIFAR-10 convolutional network", epochs=16, learning_rate=0.05),
    "cifar-cnn-bn": Recipe("CIFAR-10 convolutional network with batch norm", epochs=16, learning_rate=0.1),
    "resnet20": Recipe("ResNet-20 for CIFAR-10", epochs=36, learning_rate=0.2),
    "vgg16-bn": Recipe("VGG16 with batch norm, a quarter as wide", epochs=20, learning_rate=0.1, width=0.25),
    "vgg19-bn": Recipe("VGG19 with batch norm, a quarter as wide", epochs=12, learning_rate=0.1, width=0.25),
    "resnet50": Recipe("ResNet-50, a quarter as wide", epochs=14, learning_rate=0.1, width=0.25),
}

# ---------------------------------------------------------------------------------------- models

VGG = {"vgg16-bn": (2, 2, 3, 3, 3), "vgg19-bn": (2, 2, 4, 4, 4)}
"""Simonyan and Zisserman 2015, table 1, D and E: convolutions in each of five stages."""


def build_cnn(batch_norm: bool) -> nn.Sequential:
    """Four 3x3 convolutions, all but the last followed by max pooling, then two dense layers."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (inputs, outputs) in enumerate([(3, 32), (32, 64), (64, 128), (128, 128)], start=1):
        layers[f"conv{i}"] = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
        if batch_norm:
            layers[f"bn{i}"] = nn.BatchNorm2d(outputs)
        layers[f"relu{i}"] = nn.ReLU()
        if i < 4:
            layers[f"pool{i}"] = nn.MaxPool2d(2)
    layers["flatten"] = nn.Flatten()
    layers["fc1"] = nn.Linear(128 * 4 * 4, 64)
    layers["relu5"] = nn.ReLU()
    layers["fc2"] = nn.Linear(64, 10)
    return nn.Sequential(layers)


class VGGNet(nn.Module):
    """VGG for 32x32 images: the classifier sees a single cell, and is 512 wide instead of 4096."""

    def __init__(self, stages: tuple[int, ...], width: float, batch_norm: bool = True) -> None:
        super().__init__()
        layers, channels = [], 3
        for base, depth in zip((64, 128, 256, 512, 512), stages, strict=True):
            for _ in range(depth):
                layers.append(nn.Conv2d(channels, int(base * width), 3, padding=1))
                channels = int(base * width)
                layers += [nn.BatchNorm2d(channels), nn.ReLU()] if batch_norm else [nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        hidden = [nn.Linear(channels, channels), nn.ReLU(), nn.Dropout(0.2)]
        hidden += [nn.Linear(channels, channels), nn.ReLU(), nn.Dropout(0.2)]
        self.classifier = nn.Sequential(*hidden, nn.Linear(channels, 10))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits."""
        return self.classifier(self.features(x).flatten(1))


class Block(nn.Module):
    """A residual block: two 3x3 convolutions, or a bottleneck (1x1, 3x3, 1x1)."""

    def __init__(self, channels: int, inner: int, out: int, stride: int) -> None:
        super().__init__()
        self.bottleneck = out != inner
        if self.bottleneck:
            self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
            self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
            self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(out)
            nn.init.zeros_(self.bn3.weight)  # a block starts as its shortcut (Goyal et al. 2017, arXiv 1706.02677)
        else:
            self.conv1 = nn.Conv2d(channels, inner, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(inner, out, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(inner), nn.BatchNorm2d(inner)
        self.downsample = None
        if channels != out or stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the residual branch plus the shortcut."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            y = self.bn3(self.conv3(F.relu(y)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Stages of residual blocks for 32x32 images; each stage but the first halves the image, and so does the pool."""

    def __init__(self, depths: tuple[int, ...], base: int, expansion: int, pool: bool) -> None:
        super().__init__()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if pool else nn.Identity()
        self.conv1 = nn.Conv2d(3, base, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        channels, self.stages = base, len(depths)
        for stage, depth in enumerate(depths):
            inner, blocks = base * 2**stage, []
            for i in range(depth):
                blocks.append(Block(channels, inner, inner * expansion, 2 if stage and not i else 1))
                channels = inner * expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean((2, 3)))


def build_model(name: str) -> nn.Module:
    """Build the untrained PyTorch network of that name."""
    recipe = RECIPES[name]
    if name in VGG:
        return VGGNet(VGG[name], recipe.width)
    if name == "resnet20":
        return ResNet((3, 3, 3), 16, 1, pool=False)
    if name == "resnet50":
        return ResNet((3, 4, 6, 3), int(64 * recipe.width), 4, pool=True)
    return build_cnn(batch_norm=name.endswith("-bn"))


# -------------------------------------------------------------------------------------- training


def load_split(data: Path, split: str) -> tuple[Tensor, Tensor]:
    """Load the ``train``, ``val`` or ``test`` images, uint8 (N, 32, 32, 3), and their labels."""
    if split == "train":
        parts = [np.load(data / f"cifar10_train_{i}.npz") for i in (1, 2, 3)]
        images, labels = (np.concatenate([part[key] for part in parts]) for key in ("x", "y"))
    else:
        with np.load(data / "cifar10_eval.npz") as archive:
            images, labels = archive[f"x_{split}"], archive[f"y_{split}"]
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))


def normalised(pixels: Tensor) -> Tensor:
    """(pixel / 255 - mean) / std, as (N, 3, 32, 32) float32; channels stay last in memory, which is faster."""
    x = (pixels.to(torch.float32) / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    return x.permute(0, 3, 1, 2)


def augmented(pixels: Tensor, largest: int) -> Tensor:
    """Shift every image by its own random offset of at most ``largest`` pixels, filling with black; mirror half."""
    count, size = pixels.shape[:2]
    padded = F.pad(pixels, (0, 0, *(largest,) * 4))
    offsets = torch.randint(0, 2 * largest + 1, (2, count, 1))
    rows, columns = offsets + torch.arange(size)
    mirror = torch.rand(count, 1) < 0.5
    columns = torch.where(mirror, columns.flip(1), columns)
    image = torch.arange(count)[:, None, None]
    return padded[image, rows[:, :, None], columns[:, None, :]]


class Run:
    """A training run that can resume from its last checkpoint."""

    def __init__(self, name: str, seed: int, images: int) -> None:
        self.recipe = recipe = RECIPES[name]
        torch.manual_seed(seed)
        self.model = build_model(name).to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.SGD(
            self.model.parameters(),
            lr=recipe.learning_rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=recipe.weight_decay,
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            max_lr=recipe.learning_rate,
            epochs=recipe.epochs,
            steps_per_epoch=images // recipe.batch_size,
        )
        self.epoch, self.seconds, self.cpu_seconds = 0, 0.0, 0.0

    def save(self, path: Path) -> None:
        """Write everything that the rest of the run depends on, atomically."""
        from lrpref._support.files import whole

        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": torch.get_rng_state(),
            "progress": [self.epoch, self.seconds, self.cpu_seconds],
        }
        with whole(path) as part:
            torch.save(state, part)

    def load(self, path: Path) -> None:
        """Restore the state saved in a checkpoint."""
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        self.epoch, self.seconds, self.cpu_seconds = state["progress"]

    def train_epoch(self, pixels: Tensor, labels: Tensor) -> float:
        """Train for one epoch, with products in bfloat16; return the mean loss."""
        recipe, total = self.recipe, 0.0
        wall, cpu = time.perf_counter(), time.process_time()
        self.model.train()
        steps = len(pixels) // recipe.batch_size
        batches = torch.randperm(len(pixels))[: steps * recipe.batch_size].split(recipe.batch_size)
        for batch in batches:
            x = normalised(augmented(pixels[batch], recipe.shift))
            with torch.autocast("cpu", torch.bfloat16):
                logits = self.model(x)
            loss = F.cross_entropy(logits.float(), labels[batch], label_smoothing=recipe.smoothing)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            self.schedule.step()
            total += loss.item() / steps
        self.epoch += 1
        self.seconds += time.perf_counter() - wall
        self.cpu_seconds += time.process_time() - cpu
        return total


@torch.no_grad()
def accuracy(model: nn.Module, pixels: Tensor, labels: Tensor) -> float:
    """Fraction of images whose largest logit, in float32, is that of their label."""
    model.eval()
    predicted = torch.cat([model(normalised(part)).argmax(dim=1) for part in pixels.split(250)])
    return (predicted == labels).sum().item() / len(labels)


def train(args: argparse.Namespace) -> None:
    """Train one network from its seed, or resume it, and write a checkpoint after every epoch."""
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(args.threads)
    pixels, labels = load_split(args.data, "train")
    x_val, y_val = (part[::5] for part in load_split(args.data, "val"))
    run, path = Run(args.name, args.seed, len(pixels)), args.checkpoints / f"{args.name}.pt"
    if path.is_file():
        run.load(path)
        print(f"{args.name}: resuming after epoch {run.epoch}", flush=True)
    while run.epoch < run.recipe.epochs:
        loss = run.train_epoch(pixels, labels)
        run.save(path)
        seen = accuracy(run.model, x_val, y_val)
        times = f"{run.seconds:6.0f} s, {run.cpu_seconds:6.0f} s of CPU"
        print(f"{args.name} epoch {run.epoch:2d}  loss {loss:.4f}  val {seen:.4f}  {times}", flush=True)


# ---------------------------------------------------------------------------------------- export

HALF = ("vgg16-bn", "vgg19-bn", "resnet50")
"""Stored in float16, so that each file stays below 5 MB."""


def to_lrpref(name: str, state: dict[str, np.ndarray]):
    """Build the lrpref network of that name with these weights."""
    from lrpref import models

    width = RECIPES.get(name, RECIPES.get(f"{name}-bn")).width
    batch_norm = name.endswith("-bn")
    common = {"num_classes": 10, "input_shape": (3, 32, 32), "state": state}
    match name.removesuffix("-bn"):
        case "cifar-cnn":
            return models.simple_cnn((32, 64, 128, 128), batch_norm=batch_norm, **common)
        case "vgg16":
            return models.vgg16(width=width, batch_norm=batch_norm, **common)
        case "vgg19":
            return models.vgg19(width=width, batch_norm=batch_norm, **common)
        case "resnet20":
            return models.resnet20("B", **common)
        case "resnet50":
            return models.resnet50(width=width, stem_pool=True, **common)
    raise ValueError(f"no builder for {name}")


def state_of(model: nn.Module, half: bool) -> dict[str, np.ndarray]:
    """The state dict as float32 arrays, rounded to float16 values if `half`."""
    arrays = {key: value.numpy() for key, value in model.state_dict().items() if value.is_floating_point()}
    return {key: a.astype(np.float16).astype(np.float32) if half else a for key, a in arrays.items()}


def filled(model: nn.Module, state: dict[str, np.ndarray]) -> nn.Module:
    """Load these weights into the module and set it to eval mode."""
    missing, unexpected = model.load_state_dict({k: torch.from_numpy(a) for k, a in state.items()}, strict=False)
    if unexpected or any(not key.endswith("num_batches_tracked") for key in missing):
        raise ValueError(f"the weights do not fit: missing {missing}, extra {unexpected}")
    return model.eval()


def fused_state(name: str, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights after lrpref has folded the batch norm, under the names of the network without it."""
    import lrpref

    net, plain = lrpref.fuse(to_lrpref(name, state)), VGGNet(VGG[name], RECIPES[name].width, batch_norm=False)
    held = [array for key, array in net.parameters.items()]  # weight and bias of each layer in turn, in the same order
    folded = {key: torch.from_numpy(array.copy()) for key, array in zip(plain.state_dict(), held, strict=True)}
    plain.load_state_dict(folded)
    return state_of(plain, half=name in HALF)


def write(name: str, model: nn.Module, run: Run, args: argparse.Namespace, more: dict) -> None:
    """Write one weights file, with the accuracies and logits that PyTorch computes from the stored weights."""
    import lrpref
    from lrpref import inputs

    trained, state = args.name, state_of(model, half=args.name in HALF)
    normalisation = inputs.Normalisation(MEAN, STD)
    x = torch.from_numpy(inputs.read("chelsea", (3, 32, 32), normalisation=normalisation))
    test, val = load_split(args.data, "test"), load_split(args.data, "val")
    with torch.no_grad():
        logits = model(x)[0].tolist()
    metadata = {
        "name": name,
        "title": RECIPES[trained].title,
        "task": "classification of small colour images",
        "input": {"range": "[0, 1]", "shape": [3, 32, 32], "layout": "NCHW", "mean": list(MEAN), "std": list(STD)},
        "classes": list(CLASSES),
        "accuracy": {
            "test": accuracy(model, *test),
            "images": len(test[1]),
            "val": accuracy(model, *val),
            "val_images": len(val[1]),
        },
        "seed": args.seed,
        "epochs": run.epoch,
        "hours": round(run.seconds / 3600, 2),
        "cpu_hours": round(run.cpu_seconds / 3600, 2),
        "framework": f"torch {torch.__version__.split('+')[0]}",
        "script": "scripts/train_cifar.py",
        "command": f"python scripts/train_cifar.py train {trained} --data data --checkpoints checkpoints"
        f" --seed {args.seed}",
        "data": "CIFAR-10, 25,000 training images",
        "licence": "weights: as lrpref; CIFAR-10 by Krizhevsky 2009",
        "expected_logits": {"chelsea": logits},
        **more,
    }
    path = args.out / f"{name}.npz"
    dtype = np.float16 if trained in HALF else None
    lrpref.save(to_lrpref(name, state), path, metadata=metadata, dtype=dtype)
    prediction = f"{CLASSES[int(np.argmax(logits))]} ({torch.tensor(logits).softmax(0).max():.3f})"
    print(f"{path}: {path.stat().st_size} bytes; test {metadata['accuracy']['test']:.4f}; chelsea is a {prediction}")


def export(args: argparse.Namespace) -> None:
    """Write the last checkpoint as an lrpref weights file, and for a VGG also its twin without batch norm."""
    torch.set_num_threads(args.threads)
    run = Run(args.name, args.seed, 25_000)
    run.load(args.checkpoints / f"{args.name}.pt")
    if run.epoch != run.recipe.epochs:
        raise SystemExit(f"{args.name} has been trained for {run.epoch} of {run.recipe.epochs} epochs")
    args.out.mkdir(parents=True, exist_ok=True)
    state = state_of(run.model, half=args.name in HALF)
    write(args.name, filled(build_model(args.name), state), run, args, {})
    if args.name in VGG:
        plain = VGGNet(VGG[args.name], run.recipe.width, batch_norm=False)
        more = {"title": run.recipe.title.replace("with", "without"), "fused_from": args.name}
        write(args.name.removesuffix("-bn"), filled(plain, fused_state(args.name, state)), run, args, more)


def main() -> None:
    """Parse the arguments and run the chosen stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    stages = parser.add_subparsers(required=True, metavar="train|export")

    stage = stages.add_parser("train", help="train a network, or resume it, and write checkpoints")
    stage.add_argument("name", choices=RECIPES)
    stage.add_argument("--data", type=Path, required=True, help="folder of the cifar10_*.npz files")
    stage.add_argument("--checkpoints", type=Path, required=True, help="folder to write to")
    stage.add_argument("--seed", type=int, default=0)
    stage.add_argument("--threads", type=int, default=1, help="default: 1, best on a busy machine")
    stage.set_defaults(run=train)

    stage = stages.add_parser("export", help="write a checkpoint as an lrpref weights file")
    stage.add_argument("name", choices=RECIPES)
    stage.add_argument("--data", type=Path, required=True, help="folder of cifar10_eval.npz")
    stage.add_argument("--checkpoints", type=Path, required=True, help="folder to read from")
    stage.add_argument("--out", type=Path, default=Path("weights"), help="default: weights")
    stage.add_argument("--seed", type=int, default=0, help="seed of the training run")
    stage.add_argument("--threads", type=int, default=1)
    stage.set_defaults(run=export)

    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
