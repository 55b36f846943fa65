r"""Train two small transformers with PyTorch, and store both as lrpref networks.

``mnist-vit`` is a vision transformer that reads digits; ``review-transformer`` says whether a sentence of a film review
is favourable. Each takes minutes on one core:

    pip install torch
    python scripts/train_transformers.py train mnist-vit --data mnist.npz --checkpoints checkpoints
    pip download --no-deps vaderSentiment==0.5
    python scripts/train_transformers.py train review-transformer --data vaderSentiment-0.5.zip \
        --checkpoints checkpoints

``train`` writes a checkpoint of plain NumPy arrays, and then ``export NAME --checkpoints checkpoints`` imports the
trained module with `lrpref.from_torch` and writes weights/NAME.npz. The test images and sentences are used once, after
training. ``train_mnist.py`` describes ``mnist.npz``; weights/README.md says where the sentences come from.
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lrpref
from lrpref._support.files import whole
from lrpref.zoo import text

SAMPLES = Path(lrpref.samples.__file__).parent
Batch = tuple[Tensor, Tensor]


# ---- the models ------------------------------------------------------------------------------------------------


def encoder(width: int, blocks: int, dropout: float) -> nn.Sequential:
    """Transformer blocks whose norms come first, with four heads and twice as many hidden units as features."""
    return nn.Sequential(
        *(
            nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, "gelu", batch_first=True, norm_first=True)
            for _ in range(blocks)
        )
    )


class VisionTransformer(nn.Module):
    """A vision transformer (Dosovitskiy et al. 2021, arXiv 2010.11929) of 16 patches and a class token."""

    def __init__(self, width: int = 48, blocks: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 7, stride=7)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.position = nn.Parameter(0.02 * torch.randn(17, width))
        self.blocks = encoder(width, blocks, dropout=0.0)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images (N, 1, 28, 28)."""
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.position
        return self.head(self.norm(self.blocks(x)[:, 0]))


class SentenceTransformer(nn.Module):
    """A transformer for sentences of any length: a convolution over three neighbours tells it the order of the words.

    That needs no table of positions (Chu et al. 2021, arXiv 2102.10882). In training, shorter sentences are padded with
    index 0 to a common length, which a mask hides; afterwards, every sentence is read at its own length.
    """

    def __init__(self, words: int, width: int = 32, blocks: int = 2, dropout: float = 0.3) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width, padding_idx=0)
        nn.init.normal_(self.words.weight[1:], std=0.5)
        self.dropout = nn.Dropout(dropout)
        self.order = nn.Conv1d(width, width, 3, padding=1, groups=width)
        self.blocks = encoder(width, blocks, dropout)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 2)

    def forward(self, index: Tensor) -> Tensor:
        """Return the logits of sentences of one length, as indices (N, T)."""
        x = self.dropout(self.words(index))
        x = x + self.order(x.transpose(1, 2)).transpose(1, 2)
        return self.head(self.norm(self.blocks(x)).mean(1))

    def padded(self, index: Tensor) -> Tensor:
        """Return the logits of sentences that are padded with 0, as if each were read at its own length."""
        hidden = index == 0
        x = self.dropout(self.words(index))
        x = x + self.order(x.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x, src_key_padding_mask=hidden)
        x = self.norm(x).masked_fill(hidden[..., None], 0)
        return self.head(x.sum(1) / (~hidden).sum(1, keepdim=True))


# ---- the data --------------------------------------------------------------------------------------------------


@dataclass
class Task:
    """What `fit` needs: a model, its forward pass in training, the batches of one epoch, and how to test it."""

    model: nn.Module
    forward: Callable[[Any], Tensor]
    batches: Callable[[], Iterator[Batch]]
    steps: int
    epochs: int
    rate: float
    decay: float
    smoothing: float
    correct: Callable[[], np.ndarray]
    tested: str
    about: dict[str, Any]


def digits(data: Path) -> Task:
    """MNIST without the embedded digits, shifted at random by up to two pixels; the test images are as they are."""
    from train_mnist import leave_out_samples, load_split, random_shift

    x, y = leave_out_samples(*load_split(data, "train"), SAMPLES / "digits.npz")
    model = VisionTransformer()

    def batches() -> Iterator[Batch]:
        for part in torch.randperm(len(x)).split(128):
            yield random_shift(x[part], 2), y[part]

    def correct() -> np.ndarray:
        images, labels = load_split(data, "test")
        return torch.cat([model(part).argmax(1) for part in images.split(500)]).numpy() == labels.numpy()

    about = {"classes": [str(digit) for digit in range(10)], "train": len(x)}
    return Task(model, model, batches, -(-len(x) // 128), 10, 3e-3, 1e-2, 0.0, correct, "images", about)


RATED = (
    "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz",
    ("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"),
)
"""The member of the package, and the member of that member, with a sentence and its mean rating in every row."""

CLEAR = 1.0
"""Sentences whose mean rating, from -4 to 4, is closer to 0 than this are left out: people do not agree on them."""


def rated_sentences(data: Path) -> tuple[list[str], np.ndarray]:
    """The sentences with a clear rating, and 1 for each favourable one."""
    with zipfile.ZipFile(data) as package:
        inner = io.BytesIO(package.read(RATED[0]))
    with tarfile.open(fileobj=inner) as archive:
        found = archive.extractfile(RATED[1])
        assert found is not None
        rows = [row.split("\t") for row in found.read().decode("latin-1").splitlines()]
    clear = [(sentence, float(rating)) for _, rating, sentence in rows if abs(float(rating)) > CLEAR]
    return [sentence for sentence, _ in clear], np.array([rating > 0 for _, rating in clear], np.int64)


def split(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The indices of the training, validation and test sentences: three quarters, a tenth, and the rest."""
    order = np.random.default_rng(0).permutation(count)
    test, validation = count * 15 // 100, count * 10 // 100
    return order[test + validation :], order[test : test + validation], order[:test]


def sentences(data: Path) -> Task:
    """Sentences of film reviews; of the words in training, a tenth is replaced at random by "unknown"."""
    written, labels = rated_sentences(data)
    training, _, test = split(len(written))
    counts = Counter(word for i in training for word in text.words(written[i]))
    vocabulary = ["", text.UNKNOWN, *sorted(word for word, count in counts.items() if count >= 3)]
    read = [text.indices(sentence, vocabulary)[0].astype(np.int64)[:60] for sentence in written]
    model = SentenceTransformer(len(vocabulary))

    def padded(part: np.ndarray) -> Tensor:
        longest = max(len(read[i]) for i in part)
        return torch.from_numpy(np.stack([np.pad(read[i], (0, longest - len(read[i]))) for i in part]))

    def batches() -> Iterator[Batch]:
        for part in torch.randperm(len(training)).split(64):
            index = padded(training[part.numpy()])
            index[(torch.rand(index.shape) < 0.1) & (index != 0)] = 1
            yield index, torch.from_numpy(labels[training[part.numpy()]])

    def correct() -> np.ndarray:
        return np.array([model(torch.from_numpy(read[i])[None]).argmax(1).item() == labels[i] for i in test])

    about = {"classes": ["unfavourable", "favourable"], "train": len(training), "words": vocabulary}
    return Task(model, model.padded, batches, -(-len(training) // 64), 10, 3e-3, 0.5, 0.1, correct, "sentences", about)


TASKS = {"mnist-vit": digits, "review-transformer": sentences}


# ---- training --------------------------------------------------------------------------------------------------


def fit(task: Task) -> None:
    """Train with AdamW on a one-cycle schedule."""
    optimiser = torch.optim.AdamW(task.model.parameters(), lr=task.rate, weight_decay=task.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, task.rate, total_steps=task.epochs * task.steps)
    task.model.train()
    for epoch in range(1, task.epochs + 1):
        losses = []
        for x, y in task.batches():
            loss = F.cross_entropy(task.forward(x), y, label_smoothing=task.smoothing)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch:2d}/{task.epochs}  training loss {np.mean(losses):.4f}", flush=True)
    task.model.eval()


def train(name: str, data: Path, checkpoints: Path, seed: int) -> None:
    """Train one network from its seed, test it once, and write its checkpoint."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    task = TASKS[name](data)
    start = time.perf_counter()
    fit(task)
    with torch.no_grad():
        correct = task.correct()
    about = task.about | {
        "accuracy": {"test": float(correct.mean()), task.tested: len(correct)},
        "seed": seed,
        "epochs": task.epochs,
        "framework": f"torch {torch.__version__.split('+')[0]}",
        "command": f"python scripts/train_transformers.py train {name} --data {data.name} --checkpoints checkpoints"
        + (f" --seed {seed}" if seed else ""),
    }
    checkpoints.mkdir(parents=True, exist_ok=True)
    state = {key: value.numpy() for key, value in task.model.state_dict().items()}
    with whole(checkpoints / f"{name}.npz") as part:
        np.savez(part, about=np.array(json.dumps(about)), **state)
    print(f"{name}: test accuracy {correct.mean():.4f} after {time.perf_counter() - start:.0f} s")


# ---- export ----------------------------------------------------------------------------------------------------

ABOUT: dict[str, dict[str, Any]] = {
    "mnist-vit": {
        "title": "MNIST vision transformer",
        "task": "handwritten digit classification",
        "input": {"range": "[0, 1]", "shape": [1, 28, 28], "layout": "NCHW"},
        "data": "MNIST, {train:,} training images",
        "licence": "weights: as lrpref; MNIST by LeCun, Cortes and Burges, CC BY-SA 3.0",
    },
    "review-transformer": {
        "title": "transformer for sentences of film reviews",
        "task": "whether a sentence of a film review is favourable",
        "input": {"range": "indices of words", "shape": [12], "layout": "NT"},
        "data": "{train:,} sentences of film reviews with the mean of 20 ratings (Hutto and Gilbert 2014)",
        "licence": "weights: as lrpref; sentences from vaderSentiment 0.5 by C. J. Hutto, MIT licence",
    },
}


def built(name: str, state: dict[str, Tensor]) -> nn.Module:
    """Build the module of that name with trained parameters, in eval mode."""
    model = VisionTransformer() if name == "mnist-vit" else SentenceTransformer(len(state["words.weight"]))
    model.load_state_dict(state)
    return model.eval()


def export(name: str, checkpoints: Path, out: Path) -> None:
    """Import a trained module, and write it as an lrpref network with PyTorch's logits for the embedded samples."""
    with np.load(checkpoints / f"{name}.npz") as archive:
        found = json.loads(archive["about"].item())
        state = {key: torch.from_numpy(archive[key]) for key in archive.files if key != "about"}
    model = built(name, state)
    about = {"name": name, **ABOUT[name], "script": "scripts/train_transformers.py"}
    about["data"] = about["data"].format(**found)
    about |= {key: found[key] for key in ("classes", "accuracy", "seed", "epochs", "framework", "command")}
    if "words" in found:
        about["input"] = {**about["input"], "words": found["words"]}
        inputs = {which: text.indices(which, found["words"]) for which in text.SENTENCES}
        example = torch.tensor([[2, 3, 4, 5]])
    else:
        inputs = {which: lrpref.samples.load(which) for which in lrpref.samples.names((1, 28, 28))}
        example = torch.zeros(1, 1, 28, 28)
    with torch.no_grad():
        as_read = {which: torch.from_numpy(x) for which, x in inputs.items()}
        if "words" in found:
            as_read = {which: x.long() for which, x in as_read.items()}
        about["expected_logits"] = {which: model(x)[0].tolist() for which, x in as_read.items()}
    path = out / f"{name}.npz"
    lrpref.save(lrpref.from_torch(model, example), path, metadata=about)
    print(f"{path}: {path.stat().st_size} bytes")


def main() -> None:
    """Parse the arguments and run the chosen stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    stages = parser.add_subparsers(required=True, metavar="train|export")
    stage = stages.add_parser("train", help="train a network and write its checkpoint")
    stage.add_argument("name", choices=TASKS)
    stage.add_argument("--data", type=Path, required=True, help="mnist.npz or vaderSentiment-0.5.zip")
    stage.add_argument("--checkpoints", type=Path, required=True, help="folder to write to")
    stage.add_argument("--seed", type=int, default=0)
    stage.set_defaults(run=train)
    stage = stages.add_parser("export", help="write a checkpoint as an lrpref weights file")
    stage.add_argument("name", choices=TASKS)
    stage.add_argument("--checkpoints", type=Path, required=True, help="folder to read from")
    stage.add_argument("--out", type=Path, default=Path("weights"), help="default: weights")
    stage.set_defaults(run=export)
    args = vars(parser.parse_args())
    args.pop("run")(**args)


if __name__ == "__main__":
    main()
