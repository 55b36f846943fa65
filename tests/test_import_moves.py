"""Import of layers that move, sum and multiply activations: the layers that PyTorch's and ONNX's operations become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import lrpref
from lrpref.errors import ConversionError
from lrpref.importers.onnx import moves as onnx_moves
from lrpref.importers.torch import moves as torch_moves

# ---- PyTorch -----------------------------------------------------------------------------------------------------


def behind_a_convolution(forward: Callable[..., Any]) -> Any:
    """A module that computes `forward(torch, F, x)` of 8 channels."""
    import torch
    from torch import nn

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv = nn.Conv2d(3, 8, 3, padding=1)
            self.shuffles = nn.ModuleDict(
                {"up": nn.PixelShuffle(2), "down": nn.PixelUnshuffle(3), "channels": nn.ChannelShuffle(4)}
            )
            self.gamma = nn.Parameter(torch.randn(8, 1, 1))

        def forward(self, x: Any) -> Any:
            return forward(self, torch, nn.functional, self.conv(x))

    return Module()


Forward = Callable[[Any, Any, Any, Any], Any]

TORCH: dict[str, tuple[Forward, list[str]]] = {
    "x[:, a:b]": (lambda m, torch, F, x: x[:, 1:-1], ["Slice"]),
    "x[:, ::2, :, 1:]": (lambda m, torch, F, x: x[:, ::2, :, 1:], ["Slice", "Slice"]),
    "x[..., -2:]": (lambda m, torch, F, x: x[..., -2:], ["Slice"]),
    "x[:, 3]": (lambda m, torch, F, x: x[:, 3], ["Slice", "Reshape"]),
    "x[:, -1, 2:]": (lambda m, torch, F, x: x[:, -1, 2:], ["Slice", "Slice", "Reshape"]),
    "x[:, :, None]": (lambda m, torch, F, x: x[:, :, None], ["Reshape"]),
    "x[:, [2, 1, 0]]": (lambda m, torch, F, x: x[:, [2, 1, 0]], ["Slice"]),
    "select": (lambda m, torch, F, x: x.select(1, -1), ["Slice", "Reshape"]),
    "narrow": (lambda m, torch, F, x: x.narrow(1, -3, 2), ["Slice"]),
    "index_select": (lambda m, torch, F, x: torch.index_select(x, 1, torch.tensor([1, 3, 5])), ["Slice"]),
    "flip": (lambda m, torch, F, x: x.flip(2, 3), ["Slice", "Slice"]),
    "torch.flip": (lambda m, torch, F, x: torch.flip(x, (3,)), ["Slice"]),
    "chunk": (lambda m, torch, F, x: torch.chunk(x, 3, dim=1)[2], ["Slice"]),
    "both chunks": (lambda m, torch, F, x: torch.cat([*x.chunk(2, 1)][::-1], 1), ["Slice", "Slice", "Concat"]),
    "all chunks": (lambda m, torch, F, x: torch.cat(x.chunk(2, 1), 1), ["Slice", "Slice", "Concat"]),
    "split": (lambda m, torch, F, x: x.split([2, 5, 1], 1)[1], ["Slice"]),
    "torch.split": (lambda m, torch, F, x: torch.split(tensor=x, split_size_or_sections=3, dim=1)[2], ["Slice"]),
    "unbind": (lambda m, torch, F, x: x.unbind(1)[2], ["Slice", "Reshape"]),
    "permute": (lambda m, torch, F, x: x.permute(0, 2, 3, 1), ["Permute"]),
    "torch.permute": (lambda m, torch, F, x: torch.permute(x, (0, 3, -3, 2)), ["Permute"]),
    "transpose": (lambda m, torch, F, x: x.transpose(1, -1), ["Permute"]),
    "movedim": (lambda m, torch, F, x: x.movedim((1, 2), (3, 1)), ["Permute"]),
    "flatten(2)": (lambda m, torch, F, x: x.flatten(2), ["Reshape"]),
    "unsqueeze": (lambda m, torch, F, x: x.unsqueeze(-1), ["Reshape"]),
    "view": (lambda m, torch, F, x: x.view(x.size(0), 2, 4, 6, 6), ["Reshape"]),
    "sum": (lambda m, torch, F, x: x.sum(1), ["Sum"]),
    "torch.sum": (lambda m, torch, F, x: torch.sum(x, (2, -1), keepdim=True), ["Sum"]),
    "mean": (lambda m, torch, F, x: x.mean(-1, keepdim=True), ["Mean"]),
    "mean of images": (lambda m, torch, F, x: x.mean((2, 3)), ["GlobalAvgPool2D", "Flatten"]),
    "amax": (lambda m, torch, F, x: x.amax((2, 3)), ["Max"]),
    "max": (lambda m, torch, F, x: torch.max(x, 1)[0], ["Max"]),
    "x * y": (lambda m, torch, F, x: x * torch.sigmoid(x), ["Sigmoid", "Multiply"]),
    "x.mul_(y)": (lambda m, torch, F, x: x.mul_(torch.sigmoid(x)), ["Sigmoid", "Multiply"]),
    "x * x": (lambda m, torch, F, x: x * x, ["Multiply"]),
    "a gate per channel": (
        lambda m, torch, F, x: torch.sigmoid(x.mean((2, 3), keepdim=True)) * x,
        ["GlobalAvgPool2D", "Sigmoid", "Multiply"],
    ),
    "x - y": (lambda m, torch, F, x: x - F.relu(x), ["ReLU", "Subtract"]),
    "torch.sub": (lambda m, torch, F, x: torch.sub(F.relu(x), x), ["ReLU", "Subtract"]),
    "pixel_shuffle": (lambda m, torch, F, x: F.pixel_shuffle(x, 2), ["PixelShuffle"]),
    "pixel_unshuffle": (lambda m, torch, F, x: F.pixel_unshuffle(x, 3), ["PixelUnshuffle"]),
    "channel_shuffle": (lambda m, torch, F, x: F.channel_shuffle(x, 2), ["ChannelShuffle"]),
    "PixelShuffle": (lambda m, torch, F, x: m.shuffles["up"](x), ["PixelShuffle"]),
    "PixelUnshuffle": (lambda m, torch, F, x: m.shuffles["down"](x), ["PixelUnshuffle"]),
    "ChannelShuffle": (lambda m, torch, F, x: m.shuffles["channels"](x), ["ChannelShuffle"]),
    "layer scale": (lambda m, torch, F, x: x * m.gamma, ["Scale"]),
    "times a number": (lambda m, torch, F, x: 0.5 * x, ["Scale"]),
}


@pytest.mark.parametrize("name", TORCH)
def test_what_an_operation_of_torch_becomes(name: str) -> None:
    """The import itself proves that the numbers are equal."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    forward, expected = TORCH[name]
    net = lrpref.from_torch(behind_a_convolution(forward), torch.randn(2, 3, 6, 6))
    assert [type(layer).__name__ for _, layer, _ in net.nodes] == ["Conv2D", *expected]


def test_every_operation_of_torch_is_tried() -> None:
    here = Path(__file__)
    text = here.read_text() + (here.parent / "test_transformer_forms.py").read_text()
    spellings = {*torch_moves.OPERATIONS, *torch_moves.MODULES} - {"getitem", "slice", "reshape"}
    assert [name for name in sorted(spellings) if name not in text] == []


def test_an_exported_program_slices_too() -> None:
    """torch.export writes x[:, 1:] as two slices, the first of which takes all samples."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    module = behind_a_convolution(
        lambda m, torch, F, x: x[:, 1:].permute(0, 2, 3, 1).sum((1, 2)) * x[:, 1:].amax((2, 3))
    )
    x = torch.randn(2, 3, 6, 6)
    net = lrpref.from_torch(torch.export.export(module.eval(), (x,)), x)
    kinds = [type(layer).__name__ for _, layer, _ in net.nodes if type(layer).__name__ != "Slice"]
    assert kinds == ["Conv2D", "Permute", "Sum", "Max", "Multiply"]


def test_an_image_of_any_size_is_sliced_and_multiplied() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    module = behind_a_convolution(lambda m, torch, F, x: (lambda a, b: a * torch.sigmoid(b))(*x.chunk(2, 1))[..., 1:])
    net = lrpref.from_torch(module, torch.randn(1, 3, 6, 6))
    assert net.input_shape is None
    x = torch.randn(2, 3, 9, 7)
    assert_allclose(net.forward(x.numpy()), module(x).detach().numpy(), rtol=1e-4, atol=1e-5)


TORCH_REFUSED: dict[str, tuple[Forward, str]] = {
    "samples": (lambda m, torch, F, x: x[1:], "it takes samples out of the batch"),
    "a sample": (lambda m, torch, F, x: x[0], "it takes a sample out of the batch"),
    "a mask": (lambda m, torch, F, x: x[:, torch.tensor([True] * 8)], "masks, and indices with several axes"),
    "uneven": (lambda m, torch, F, x: x[:, [0, 1, 5]], r"cells \[0, 1, 5\] along axis 1; only evenly spaced"),
    "all summed": (lambda m, torch, F, x: x.sum(), "over all axes, including the batch axis"),
    "samples summed": (lambda m, torch, F, x: x.sum((0, 1)), "include the batch axis"),
    "samples split": (lambda m, torch, F, x: x.chunk(2)[0], "along axis 0, the batch axis"),
    "samples moved": (lambda m, torch, F, x: x.permute(1, 0, 2, 3), r"\(8, 2, 6, 6\) whose batch axis is not"),
    "samples mixed": (lambda m, torch, F, x: x.view(3, -1), "it would move values from one sample to another"),
    "two ranks": (lambda m, torch, F, x: x[:, :2] * x.sum(1), "both need the same number of axes"),
    "rsub": (lambda m, torch, F, x: torch.rsub(x, F.relu(x)), "write other - input"),
    "broadcast": (lambda m, torch, F, x: x - x.mean(1, True), "cannot subtract activations of shapes"),
    "quotient": (lambda m, torch, F, x: x / x.sum(1, True), "division by an activation is not supported"),
    "positions": (lambda m, torch, F, x: x.max(1)[1].double(), "the indices of the maxima are not activations"),
}


@pytest.mark.parametrize("name", TORCH_REFUSED)
def test_what_is_refused_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    forward, message = TORCH_REFUSED[name]
    with pytest.raises(ConversionError, match=message):
        lrpref.from_torch(behind_a_convolution(forward), torch.randn(2, 3, 6, 6))


# ---- ONNX --------------------------------------------------------------------------------------------------------

Node = tuple[str, list[str], list[str], dict[str, Any]]


def saved(nodes: list[Node], constants: Mapping[str, Any], path: Path) -> Path:
    """A file with a convolution to x (N, 4, h, w), and the nodes behind it, of which the last one is the output."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    kinds = onnx.helper
    weight = np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype(np.float32)
    made = [kinds.make_node("Conv", ["in", "c.weight"], ["x"])]
    made += [kinds.make_node(op, read, results, **told) for op, read, results, told in nodes]
    graph = kinds.make_graph(
        made,
        "moves",
        [kinds.make_tensor_value_info("in", 1, ("N", 3, "h", "w"))],
        [kinds.make_tensor_value_info(made[-1].output[0], 1, None)],
        [onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in {"c.weight": weight, **constants}.items()],
    )
    model = kinds.make_model(graph, opset_imports=[kinds.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path / "net.onnx")
    return path / "net.onnx"


def ints(*numbers: int) -> np.ndarray:
    return np.asarray(numbers, dtype=np.int64)


END = 2**63 - 1
LAST: Node = ("Transpose", ["x"], ["t"], {"perm": [0, 2, 3, 1]})
ONNX: dict[str, tuple[list[Node], Mapping[str, Any], list[str]]] = {
    "Slice": (
        [("Slice", ["x", "s", "e", "a", "st"], ["y"], {})],
        {"s": ints(1, -1), "e": ints(END, -END), "a": ints(1, 3), "st": ints(1, -2)},
        ["Slice", "Slice"],
    ),
    "Slice of all axes": ([("Slice", ["x", "s", "e"], ["y"], {})], {"s": ints(0, 1), "e": ints(END, 3)}, ["Slice"]),
    "Split": (
        [("Split", ["x", "s"], ["a", "b"], {"axis": 1}), ("Relu", ["b"], ["y"], {})],
        {"s": ints(1, 3)},
        ["Slice", "ReLU"],
    ),
    "Split in halves": (
        [("Split", ["x"], ["a", "b"], {"axis": 1}), ("Sub", ["b", "a"], ["y"], {})],
        {},
        ["Slice", "Slice", "Subtract"],
    ),
    "Gather": ([("Gather", ["x", "k"], ["y"], {"axis": 1})], {"k": ints(3, 2, 1)}, ["Slice"]),
    "Gather of one": ([("Gather", ["x", "k"], ["y"], {"axis": 3})], {"k": np.int64(-1)}, ["Slice", "Reshape"]),
    "ReduceSum": ([("ReduceSum", ["x", "k"], ["y"], {"keepdims": 0})], {"k": ints(1)}, ["Sum"]),
    "ReduceMean": ([("ReduceMean", ["x"], ["y"], {"axes": [1, 2]})], {}, ["Mean"]),
    "ReduceMax": ([("ReduceMax", ["x"], ["y"], {"axes": [-1], "keepdims": 0})], {}, ["Max"]),
    "Mul": (
        [
            ("GlobalAveragePool", ["x"], ["p"], {}),
            ("Sigmoid", ["p"], ["g"], {}),
            ("Mul", ["g", "x"], ["y"], {}),
        ],
        {},
        ["GlobalAvgPool2D", "Sigmoid", "Multiply"],
    ),
    "Sub": ([("Relu", ["x"], ["r"], {}), ("Sub", ["x", "r"], ["y"], {})], {}, ["ReLU", "Subtract"]),
    "DepthToSpace": ([("DepthToSpace", ["x"], ["y"], {"blocksize": 2})], {}, ["ChannelShuffle", "PixelShuffle"]),
    "DepthToSpace CRD": ([("DepthToSpace", ["x"], ["y"], {"blocksize": 2, "mode": "CRD"})], {}, ["PixelShuffle"]),
    "SpaceToDepth": ([("SpaceToDepth", ["x"], ["y"], {"blocksize": 2})], {}, ["PixelUnshuffle", "ChannelShuffle"]),
    "Unsqueeze": ([("Unsqueeze", ["x", "k"], ["y"], {})], {"k": ints(2)}, ["Reshape"]),
    "Reshape": ([("Reshape", ["x", "k"], ["y"], {})], {"k": ints(0, 4, -1)}, ["Reshape"]),
    # where the file has the channels last, lrpref has them on axis 1, but returns what the file returns
    "channels last, Slice": (
        [LAST, ("Slice", ["t", "s", "e", "a"], ["y"], {})],
        {"s": ints(1), "e": ints(3), "a": ints(3)},
        ["Slice", "Permute"],
    ),
    "channels last, ReduceSum": (
        [LAST, ("ReduceSum", ["t", "k"], ["y"], {"keepdims": 0})],
        {"k": ints(1)},
        ["Sum", "Permute"],
    ),
    "channels last, Gather": (
        [LAST, ("Gather", ["t", "k"], ["y"], {"axis": 1})],
        {"k": np.int64(2)},
        ["Slice", "Reshape", "Permute"],
    ),
    "channels last, Reshape": (
        [LAST, ("Reshape", ["t", "k"], ["y"], {})],
        {"k": ints(0, 24, 4)},
        ["Permute", "Reshape"],
    ),
}


@pytest.mark.parametrize("name", ONNX)
def test_what_an_operation_of_onnx_becomes(name: str, tmp_path: Path) -> None:
    nodes, constants, expected = ONNX[name]
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 6))
    net = lrpref.from_onnx(saved(nodes, constants, tmp_path), example=x)
    assert [type(layer).__name__ for _, layer, _ in net.nodes] == ["Conv2D", *expected]


def test_every_operation_of_onnx_is_tried() -> None:
    assert set(onnx_moves.OPERATIONS) <= {node[0] for nodes, _, _ in ONNX.values() for node in nodes}


ONNX_REFUSED: dict[str, tuple[list[Node], Mapping[str, Any], str]] = {
    "samples": (
        [("Slice", ["x", "s", "e", "a"], ["y"], {})],
        {"s": ints(1), "e": ints(2), "a": ints(0)},
        "along axis 0, the batch axis",
    ),
    "nothing": (
        [("Slice", ["x", "s", "e", "a"], ["y"], {})],
        {"s": ints(END), "e": ints(2), "a": ints(1)},
        "it reads nothing",
    ),
    "all": ([("ReduceSum", ["x"], ["y"], {})], {}, "over all axes, including the batch axis"),
    "uneven": ([("Gather", ["x", "k"], ["y"], {"axis": 1})], {"k": ints(0, 1, 3)}, "only evenly spaced cells"),
    "mixed samples": ([("Reshape", ["x", "k"], ["y"], {})], {"k": ints(4, 2, 4, 6)}, "from one sample to another"),
    "two ranks": (
        [("ReduceSum", ["x", "k"], ["r"], {"keepdims": 0}), ("Mul", ["x", "r"], ["y"], {})],
        {"k": ints(2, 3)},
        "both need as many axes",
    ),
}


@pytest.mark.parametrize("name", ONNX_REFUSED)
def test_what_is_refused_of_onnx(name: str, tmp_path: Path) -> None:
    nodes, constants, message = ONNX_REFUSED[name]
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 4))
    with pytest.raises(ConversionError, match=message):
        lrpref.from_onnx(saved(nodes, constants, tmp_path), example=x)
