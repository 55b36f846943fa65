"""Import sixty networks on three routes, check each, and write docs/reach.md.

    python scripts/imported_networks.py                 all of them; writes the page
    python scripts/imported_networks.py resnet lenet    these; prints their rows

The networks are those of tests/written_networks.py. The routes are `lrpref.from_torch`, and `lrpref.from_onnx` on the
files of PyTorch's two exporters. On each route, the script compares the forward pass with PyTorch's, the relevance of
LRP-0 with gradient times input where the two are equal, and asks whether the books close. Needs torch, onnx and
onnxscript.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import lrpref  # noqa: E402
from lrpref import Network  # noqa: E402
from lrpref._support.files import write_text  # noqa: E402
from lrpref.errors import LrprefError  # noqa: E402
from tests.written_networks import NETWORKS, lasting, made  # noqa: E402

PAGE = ROOT / "docs" / "reach.md"
FORWARD = {"torch": 1e-9, "TorchScript": 1e-5, "dynamo": 1e-5}
GRADIENT = {"torch": 1e-10, "TorchScript": 1e-4, "dynamo": 1e-4}
BOOKS = 1e-9
"""The largest differences, relative to the largest number. The exporters round the weights that they combine to
float32; `from_onnx` itself requires 1e-9 between the network and the file."""


class Outcome(NamedTuple):
    """What came of one import: an error, of lrpref or of the exporter, or how far numbers are off (None: not asked)."""

    error: str = ""
    exporter: bool = False
    forward: float = 0.0
    gradient: float | None = None
    books: float = 0.0

    def right(self, route: str) -> bool:
        """Whether the network was imported, and all numbers agree."""
        near = self.gradient is None or self.gradient <= GRADIENT[route]
        return not self.error and self.forward <= FORWARD[route] and near and self.books <= BOOKS

    def text(self, route: str) -> str:
        """The cell of the table."""
        if self.error:
            return "not exported" if self.exporter else "refused"
        if self.right(route):
            return "✓"
        gradient = "" if self.gradient is None else f", LRP-0 {self.gradient:.0e}"
        return f"**wrong: forward {self.forward:.0e}{gradient}, books {self.books:.0e}**"


# ---- routes ------------------------------------------------------------------------------------------------------


def by_torch(module: torch.nn.Module, x: Sequence[torch.Tensor]) -> Network:
    """Import a module with `from_torch`, in float64: weights that forward computes are not rounded then."""
    return lrpref.from_torch(module.double(), x[0] if len(x) == 1 else tuple(x))


def by_onnx(module: torch.nn.Module, x: Sequence[torch.Tensor], dynamo: bool) -> Network:
    """Export a module to ONNX, and import the file."""
    with tempfile.TemporaryDirectory() as folder, quietly():
        path = Path(folder) / "network.onnx"
        torch.onnx.export(lasting(module), tuple(x), str(path), dynamo=dynamo)
        return lrpref.from_onnx(path, x[0].numpy() if len(x) == 1 else tuple(each.numpy() for each in x))


ROUTES: dict[str, Callable[..., Network]] = {
    "torch": by_torch,
    "TorchScript": lambda module, x: by_onnx(module, x, dynamo=False),
    "dynamo": lambda module, x: by_onnx(module, x, dynamo=True),
}


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep off the terminal what the exporters print, also from C++, and what they log and warn of."""
    disabled, kept = logging.root.manager.disable, [os.dup(1), os.dup(2)]
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), open(os.devnull, "w") as nowhere:
            warnings.simplefilter("ignore")
            sys.stdout.flush()
            for number in (1, 2):
                os.dup2(nowhere.fileno(), number)
            yield
    finally:
        sys.stdout.flush()
        for number, terminal in enumerate(kept, 1):
            os.dup2(terminal, number)
            os.close(terminal)
        logging.disable(disabled)


# ---- checks ------------------------------------------------------------------------------------------------------


def outcome(name: str, route: str) -> Outcome:
    """Import one network on one route, and check it."""
    module, x = made(name)
    try:
        net = ROUTES[route](module, x).astype(np.float64)
    except LrprefError as error:
        return Outcome(str(error))
    except Exception as error:
        return Outcome(f"{type(error).__name__}: {error}", exporter=True)
    module, x = module.double(), tuple(each.double().requires_grad_() for each in x)
    y = lasting(module)(*x)
    expected = y if isinstance(y, tuple) else (y,)
    given = [each.detach().numpy() for each in x]
    batch = given[0] if len(given) == 1 else tuple(given)
    found = net(batch) if len(expected) > 1 else (net(batch),)
    pairs = zip(found, expected, strict=True)
    forward = max(relative(a.reshape(b.shape), b.detach().numpy()) for a, b in pairs)
    gradient, books = relevance(net, batch, x, expected)
    return Outcome(forward=forward, gradient=None if NETWORKS[name].law else gradient, books=books)


def relevance(net: Network, batch: Any, x: Sequence[torch.Tensor], y: Sequence[torch.Tensor]) -> tuple[float, float]:
    """Return how far LRP-0 is from gradient times input, and the residual of the books.

    A random combination of the logits, sum_k c_k z_k, is explained, so R_k = c_k z_k at the logits. With a Softmax, its
    gradient is that of sum_k c_k log p_k if the c_k sum to zero.
    """
    at, rng = net.activations(batch), np.random.default_rng(20)
    seeds, nodes, combined = [], [], torch.zeros(())
    for output, tensor in zip(net.outputs, y, strict=True):
        node, head = logits(net, output)
        c = rng.normal(size=at[node].shape)
        if head is not None:
            c -= c.mean(axis=1, keepdims=True)
            tensor = tensor if isinstance(head, lrpref.LogSoftmax) else tensor.log()
        seeds.append(c * at[node])
        nodes.append(node)
        combined = combined + (torch.from_numpy(c).reshape(tensor.shape) * tensor).sum()
    several = {"seed": tuple(seeds)} if len(seeds) > 1 else {"seed": seeds[0], "node": nodes[0]}
    tr = lrpref.trace(net, batch, rule="zero", **several)
    found = tr.relevance if isinstance(tr.relevance, tuple) else (tr.relevance,)
    books = float(abs(tr.ledger.residual()).max()) / sum(float(abs(seed).sum()) for seed in seeds)
    expected = [(a * g).detach().numpy() for a, g in zip(x, torch.autograd.grad(combined, x), strict=True)]
    largest = max(float(abs(R).max()) for R in expected)
    return max(float(abs(R - E).max()) for R, E in zip(found, expected, strict=True)) / largest, books


def logits(net: Network, output: str) -> tuple[str, lrpref.Layer | None]:
    """Return the node with the logits of an output, and the head after them; axes of length one may move behind it."""
    name = output
    while isinstance(net[name], lrpref.Flatten | lrpref.Permute | lrpref.Reshape):
        (name,) = net.node(name).inputs
        if isinstance(net[name], lrpref.Softmax | lrpref.LogSoftmax):
            output = name
    head = net[output] if isinstance(net[output], lrpref.Softmax | lrpref.LogSoftmax) else None
    return (output, None) if head is None else (net.node(output).inputs[0], head)


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference of two arrays, relative to the largest number of the second."""
    return float(abs(a - b).max()) / float(abs(b).max())


# ---- the page ----------------------------------------------------------------------------------------------------

HEADER = """# Which networks can be imported

This page lists sixty small networks in common styles of PyTorch code
([`tests/written_networks.py`](../tests/written_networks.py)). Each was imported on three routes: with
`lrpref.from_torch`, and with `lrpref.from_onnx` from the files of PyTorch's two exporters, the older one, which uses
TorchScript (`dynamo=False`), and the newer one (`dynamo=True`).

- **✓** means that the network was imported, and that all checks hold: the forward pass equals PyTorch's in float64; the
  relevance of LRP-0, started from a random combination of all outputs, equals gradient times input by PyTorch's
  autograd; and the residual of the ledger is zero. The tolerances are relative to the largest number. For `from_torch`,
  they are 1e-9, 1e-10 and 1e-9. The exporters round weights to float32, so for ONNX files the first two are 1e-5 and
  1e-4; the import itself verifies that the network agrees with the file to 1e-9.
- **LRP-0 = gradient times input** holds for networks whose functions are linear, or have a constant slope around the
  input and pass through zero. If it does not hold, the column gives the reason, and only the forward pass and the
  ledger are checked.
- **refused** means that lrpref returned no network, and **not exported** that PyTorch could not write the file. The
  [messages](#refusals) are below.

Transformers can be written in many ways; [more of these](transformers.md#a-transformer-of-your-own) are tested for
`from_torch`.

`python scripts/imported_networks.py` writes this page. {date}, lrpref {version}, torch {torch}, onnx {onnx}: {counts}.

| network | LRP-0 = gradient times input | `from_torch` | ONNX, TorchScript | ONNX, dynamo |
|---|---|---|---|---|
"""

REFUSALS = """
## Refusals

"""


def row(name: str, outcomes: dict[str, Outcome]) -> str:
    """Return a line of the table."""
    law = f"no: {NETWORKS[name].law}" if NETWORKS[name].law else "yes"
    cells = [outcomes[route].text(route) for route in ROUTES]
    return f"| {NETWORKS[name].what} | {' | '.join([law, *cells])} |"


def refusals(name: str, outcomes: dict[str, Outcome]) -> Iterator[str]:
    """Yield the messages of one network; a message that several routes share is given once."""
    by_message: dict[str, list[str]] = {}
    for route, each in outcomes.items():
        if each.error:
            by_message.setdefault(portable(each.error), []).append(route)
    for message, routes in by_message.items():
        yield f"- **{NETWORKS[name].what}** ({', '.join(routes)}): {message}"


def portable(message: str) -> str:
    """Return a message on one line, without folders, line numbers, and the list of what is supported."""
    text = re.sub(r"\x1b\[\d*m", "", " ".join(message.split()))  # colours
    text = re.sub(r"\S*/(\w+\.py)", r"\1", text)
    text = re.sub(r"(\.py)[:\"]?,? ?(?:line )?\d+", r"\1", text)
    text = re.sub(r"/\S+/network\.onnx", "network.onnx", text)
    text = text.partition(" Supported: ")[0]
    return text if len(text) <= 300 else f"{text[:300]} ..."


def main(names: Sequence[str]) -> int:
    """Check the networks of these names, or all; return 1 if anything is wrong."""
    import onnx

    warnings.simplefilter("ignore", FutureWarning)  # about the old weight_norm
    table, messages, right = [], [], dict.fromkeys(ROUTES, 0)
    wrong = False
    for name in names or NETWORKS:
        outcomes = {route: outcome(name, route) for route in ROUTES}
        for route, each in outcomes.items():
            right[route] += each.right(route)
            wrong |= not (each.right(route) or each.error)
        table.append(row(name, outcomes))
        messages += refusals(name, outcomes)
        print(table[-1], flush=True)
    print("\n".join(["", *messages, "", str(right)]))
    if not names:
        told = {"torch": "from_torch", "TorchScript": "ONNX with TorchScript", "dynamo": "ONNX with dynamo"}
        counts = ", ".join(f"{count} of {len(NETWORKS)} by {told[route]}" for route, count in right.items())
        versions = {
            "version": lrpref.__version__,
            "torch": torch.__version__.partition("+")[0],
            "onnx": onnx.__version__,
        }
        header = HEADER.format(date=datetime.date.today().isoformat(), counts=counts, **versions)
        write_text(PAGE, header + "\n".join(table) + "\n" + REFUSALS + "\n".join(messages) + "\n")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
