"""The networks for a signal and a volume: what they compute, how often they are right, and what the pages say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import lrpref
from lrpref import BatchNorm, LinearLayer, Network

ROOT = Path(__file__).parent.parent
README = (ROOT / "weights" / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "signals.md").read_text(encoding="utf-8")
SAMPLES = Path(lrpref.samples.__file__).parent
NAMES = ("ecg-cnn", "brain-unet")
SECONDS = (np.arange(128) - 48) / 180  # of a beat, from its R peak


def flat(page: str) -> str:
    """A page as one line."""
    return " ".join(page.split())


def held_out(name: str) -> dict[str, np.ndarray]:
    """The arrays of a file of held-out data."""
    with np.load(SAMPLES / f"{name}.npz") as data:
        return dict(data)


@pytest.fixture(scope="module")
def ecg() -> tuple[Network, np.ndarray, np.ndarray]:
    """The folded network, the held-out beats and their labels."""
    data = held_out("beats")
    return lrpref.fuse(lrpref.load("ecg-cnn")), data["beats"] * np.float32(0.00125), data["labels"]


@pytest.fixture(scope="module")
def brain() -> tuple[Network, np.ndarray, dict[str, np.ndarray]]:
    """The folded network, the tissue that it finds in the held-out volume, and the file."""
    net = lrpref.fuse(lrpref.load("brain-unet"))
    return net, net.forward(lrpref.samples.load("brain"))[0].argmax(axis=0), held_out("brain")


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_small_and_holds_a_network_with_batch_norm(name: str) -> None:
    assert lrpref.weights.find(name).stat().st_size < 500_000
    net = lrpref.load(name)
    assert net.dtype == np.float32
    assert any(isinstance(layer, BatchNorm) for _, layer, _ in net.nodes)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_pytorch_also_when_folded(name: str) -> None:
    net, about = lrpref.load(name), lrpref.weights.metadata(name)
    folded = lrpref.fuse(net)
    assert not any(isinstance(layer, BatchNorm) for _, layer, _ in folded.nodes)
    assert list(about["expected_logits"]) == lrpref.samples.names(about["input"]["shape"])
    for which, expected in about["expected_logits"].items():
        x = lrpref.samples.load(which)
        shapes = net.shapes(x.shape)
        fans = [layer.fan_in(shapes[read[0]]) for _, layer, read in net.nodes if isinstance(layer, LinearLayer)]
        for tried in (net, folded):
            logits = tried.forward(x)[0]
            logits = logits[:, 24, 20] if logits.ndim == 4 else logits
            # float32: about sqrt(n) roundings in each sum of n products; twice as many after folding
            atol = 2 * float(np.sqrt(fans).sum()) * 2.0**-24 * float(np.abs(expected).max())
            assert_allclose(logits, expected, rtol=0, atol=atol)


# ---- the electrocardiogram -------------------------------------------------------------------------------------


def wilson(right: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson 1927, J. Am. Stat. Assoc. 22:209)."""
    z, p = 1.96, right / of
    middle, half = p + z**2 / (2 * of), z * np.sqrt(p * (1 - p) / of + z**2 / (4 * of**2))
    return (middle - half) / (1 + z**2 / of), (middle + half) / (1 + z**2 / of)


def test_the_labels_of_the_beats_are_their_widths() -> None:
    data = held_out("beats")
    assert (data["labels"] == (data["milliseconds"] > 60)).all()
    assert (np.diff(data["seconds"]) > 0).all()
    assert data["seconds"].min() > 180  # the training beats end a second earlier


def test_the_accuracy_on_beats_is_what_the_file_and_the_pages_say(
    ecg: tuple[Network, np.ndarray, np.ndarray],
) -> None:
    net, x, labels = ecg
    right = int((net.forward(x).argmax(axis=1) == labels).sum())
    told = lrpref.weights.metadata("ecg-cnn")["accuracy"]
    assert (right / len(labels), len(labels)) == (told["test"], told["images"])
    low, high = wilson(right, len(labels))
    interval = f"{100 * right / len(labels):.1f} % ({100 * low:.1f} to {100 * high:.1f} %)"
    narrow = f"{100 * (labels == 0).mean():.1f} %"
    for page in map(flat, (README, PAGE)):
        assert interval in page
        assert narrow in page  # the baseline: every beat is narrow


def test_the_books_of_a_beat_close(ecg: tuple[Network, np.ndarray, np.ndarray]) -> None:
    net, x, labels = ecg
    tr = lrpref.trace(net, x[::10], target=labels[::10], rule="epsilon-plus")
    assert abs(tr.ledger.residual()).max() < 1e-5 * abs(tr.ledger["out"]).max()  # float32, a few roundings of 6e-8


def test_the_network_reads_the_qrs_complex_more_than_the_t_wave(
    ecg: tuple[Network, np.ndarray, np.ndarray],
) -> None:
    net, x, labels = ecg
    R = abs(lrpref.explain(net, x, rule="epsilon-plus", target=labels)[:, 0])
    share = R / R.sum(axis=1, keepdims=True)
    for label, (least_qrs, most_t) in enumerate([(0.8, 0.15), (0.65, 0.3)]):
        mean = share[labels == label].mean(axis=0)
        assert mean[abs(SECONDS) < 0.1].sum() > least_qrs
        assert mean[SECONDS >= 0.1].sum() < most_t


def test_beats_with_the_t_wave_of_the_other_class_keep_theirs_but_not_with_its_r_wave(
    ecg: tuple[Network, np.ndarray, np.ndarray],
) -> None:
    net, x, labels = ecg
    mean = np.stack([x[labels == label].mean(axis=0) for label in (1, 0)])  # of the other class
    kept = {}
    for wave, part in {"T": SECONDS >= 0.1, "R": abs(SECONDS) < 0.1}.items():
        mixed = np.where(part, mean[labels], x)
        same = net.forward(mixed).argmax(axis=1) == labels
        kept[wave] = [float(same[labels == label].mean()) for label in (0, 1)]
    assert kept["R"] == [0, 0]
    assert kept["T"][0] == 1
    assert f"{100 * kept['T'][1]:.0f} % of the wide beats" in flat(PAGE)


# ---- the volume ------------------------------------------------------------------------------------------------


def by_cubes(right: np.ndarray, inside: np.ndarray, side: int = 8) -> tuple[float, float]:
    """The share of voxels that are right, and its standard error if cubes of voxels, not voxels, are independent."""

    def sums(voxels: np.ndarray) -> np.ndarray:
        cubes = [n // side for n in voxels.shape]
        return voxels.reshape(cubes[0], side, cubes[1], side, cubes[2], side).sum(axis=(1, 3, 5)).ravel()

    hits, sizes = sums(right & inside), sums(inside)
    share, used = hits.sum() / sizes.sum(), (sizes > 0).sum()
    residual = hits - share * sizes  # of the ratio estimator (Cochran 1977, Sampling Techniques, eq. 6.13)
    return share, float(np.sqrt(used / (used - 1) * (residual**2).sum()) / sizes.sum())


def best_thresholds(scan: np.ndarray, tissue: np.ndarray) -> float:
    """The accuracy of the best two thresholds on brightness, chosen on the same voxels."""
    counts = np.zeros((3, 257), int)
    for k in range(3):
        counts[k, 1:] = np.cumsum(np.bincount(scan[tissue == k], minlength=256))
    other, grey, white = counts
    low, high = np.triu_indices(257)
    return float((other[low] + grey[high] - grey[low] + white[-1] - white[high]).max() / len(scan))


@pytest.mark.slow
def test_the_accuracy_on_the_brain_is_what_the_file_and_the_pages_say(
    brain: tuple[Network, np.ndarray, dict[str, np.ndarray]],
) -> None:
    net, found, data = brain
    inside = data["t1"] > 0
    share, error = by_cubes(found == data["tissue"], inside)
    told = lrpref.weights.metadata("brain-unet")["accuracy"]
    assert int(inside.sum()) == told["voxels"]
    assert abs(share - told["test"]) < 5 / inside.sum()  # rounding may change a few borderline voxels
    low, high = 100 * (share - 1.96 * error), 100 * (share + 1.96 * error)
    interval = f"{100 * share:.1f} % ({low:.1f} to {high:.1f} %)"
    thresholds = f"{100 * best_thresholds(data['scan'][inside], data['tissue'][inside]):.1f} %"
    clean = f"{100 * best_thresholds(data['t1'][inside], data['tissue'][inside]):.1f} %"
    found = net.forward(data["t1"][None, None].astype(np.float32) / np.float32(1.3 * 255))[0].argmax(axis=0)
    without_faults = f"{100 * (found == data['tissue'])[inside].mean():.1f} %"  # brightness as the scans have it
    for page in map(flat, (README, PAGE)):
        assert f"network {without_faults}" in page
        assert interval in page
        assert thresholds in page
        assert clean in page


@pytest.mark.slow
def test_a_region_is_explained_and_the_books_close(
    brain: tuple[Network, np.ndarray, dict[str, np.ndarray]],
) -> None:
    net, found, data = brain
    around = np.s_[24:, :16, 16:64]
    x = lrpref.samples.load("brain")[0, 0][around][None, None]
    region = np.zeros(x.shape[2:], bool)
    region[14:23, 0:12, 14:30] = True  # a box around the ventricle
    region &= (found[around] == 0) & (data["t1"][around] > 0)
    assert (data["tissue"][around][region] == 0).mean() > 0.8  # the atlas agrees
    seed = np.zeros((1, 3, *region.shape), np.float32)
    seed[0, 0][region] = 1
    tr = lrpref.trace(net, x, rule="epsilon-plus", seed=seed)
    assert abs(tr.ledger.residual()).max() < 1e-4 * abs(tr.ledger["out"]).max()  # float32, sums over a volume
    share = abs(tr.relevance[0, 0]) / abs(tr.relevance).sum()
    assert share[region].sum() < 0.3  # a dark voxel has little to give
    assert share[12:24, 0:14, 12:32].sum() > 0.9  # two voxels around the box
    box = [("down1.conv1", lrpref.rules.ZBox(0, 1)), *lrpref.composites.EpsilonPlus().pairs]
    R = abs(lrpref.explain(net, x, rule=lrpref.composites.Composite(box), seed=seed)[0, 0])
    assert R[region].sum() / R.sum() > 1.5 * share[region].sum()  # to z-box, darkness is evidence too


# ---- weights/README.md -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_the_weights_tells_the_truth(name: str) -> None:
    net, about, file = lrpref.load(name), lrpref.weights.metadata(name), lrpref.weights.find(name)
    numbers = sum(array.size for array in net.parameters.values())
    assert f"| {numbers:,} | {file.stat().st_size / 1000:.0f} kB | {about['seed']} | {about['epochs']} |" in README
    kinds = [type(layer).__name__ for _, layer, _ in net.nodes]
    if name == "brain-unet":
        words = f"{kinds.count('Conv3D')} conv, {kinds.count('ConvTranspose3D')} transposed conv, "
        assert words + f"{kinds.count('BatchNorm')} BN" in README
    assert f"\n{about['command']}\n" in README
    assert f"\n### {name}\n" in README
    assert (ROOT / about["script"]).is_file()
    assert about["framework"] in README.replace("PyTorch (2", "torch 2")
    assert ", ".join(about["classes"]) in README
    owner = {"ecg-cnn": "ODC-By) 1.0", "brain-unet": "Louis Collins, McConnell Brain Imaging Centre"}[name]
    assert owner in flat(README)
    assert owner.replace(")", "") in about["licence"]
