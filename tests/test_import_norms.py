"""Import of norms by the sample's own statistics, and of products and constants along the last axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref.errors import ConversionError, WeightsError
from lrpref.importers.graph import Graph, along
from lrpref.importers.layout import Layout
from lrpref.importers.torch import norms as torch_norms

RNG = np.random.default_rng(7)


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def kinds(net: lrpref.Network) -> list[str]:
    return [type(layer).__name__ for _, layer, _ in net.nodes]


# ---- the graph ---------------------------------------------------------------------------------------------------


def grown(*chains: Sequence[lrpref.layers.Layer], readers: int = 1) -> Graph:
    """A graph of these chains of layers, called a, b, and so on, each of which reads the one before."""
    graph, at = Graph((2, 3, 4, 5)), "input"
    for name, chain in zip("abc", chains, strict=False):
        at = graph.add(chain, [at], [name], lambda _: readers)
    return graph


@pytest.mark.parametrize(("axis", "rank"), [(1, 2), (1, 4), (2, 3), (2, 4), (3, 4), (4, 5)])
def test_layers_along_another_axis(axis: int, rank: int) -> None:
    x, w = numbers(*range(2, 2 + rank)), numbers(2 + axis)
    y = x
    for layer in along(axis, rank, [lrpref.Scale(w)]):
        y = layer.forward(y)
    assert_array_equal(y, x * w.reshape(-1, *(1,) * (rank - axis - 1)))


def test_permutations_that_undo_each_other_are_left_out() -> None:
    first, second = (along(3, 4, [lrpref.Scale(np.arange(5.0))]) for _ in range(2))
    assert list(grown(first, second).nodes) == ["a_permute", "a", "a_2", "b", "b_permute"]
    turned = lrpref.Permute((0, 2, 3, 1))
    assert list(grown([turned], [turned]).nodes) == ["a", "b"]


def test_a_bias_along_another_axis_is_merged_where_nothing_else_reads_the_product() -> None:
    product = along(3, 4, [lrpref.Conv2D(numbers(6, 5, 1, 1))])
    shift = along(3, 4, [lrpref.Scale(np.ones(6), np.arange(6.0))])
    (conv,) = [layer for layer, _ in grown(product, shift).nodes.values() if isinstance(layer, lrpref.Conv2D)]
    assert_array_equal(conv.bias, np.arange(6.0))
    (conv,) = [
        layer for layer, _ in grown(product, shift, readers=2).nodes.values() if isinstance(layer, lrpref.Conv2D)
    ]
    assert conv.bias is None


def test_a_constant_in_the_layout_of_the_file() -> None:
    """(N, H, W, C) with H = 2, W = 3 and C = 4; lrpref's array is (N, C, H, W)."""
    layout, shape = Layout((0, 2, 3, 1)), (1, 4, 2, 3)
    for told, axis in (((4,), 1), ((3, 1), 3), ((1, 2, 1, 1), 2), ((), 1)):
        constant = numbers(*told)
        found, cells = layout.one_axis(constant, shape)
        assert found == axis
        assert_array_equal(cells, np.broadcast_to(constant.ravel(), (shape[axis],)))
    for told, message in (
        ((3, 4), "is not supported; it must be one number"),
        ((5,), "changes the activation's shape"),
    ):
        with pytest.raises(ConversionError, match=message):
            layout.one_axis(numbers(*told), shape)


# ---- PyTorch -----------------------------------------------------------------------------------------------------


def module_of(run: Callable[[Any, Any, Any], Any], shape: Sequence[int] = (2, 4, 6, 5), **parts: Any) -> Any:
    """A module that computes `run(m, F, x)`, whose parameters are drawn at random, and an example."""
    import torch

    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, torch.nn.Parameter(torch.zeros(part)) if isinstance(part, tuple) else part)

        def forward(self, x: Any) -> Any:
            return run(self, torch.nn.functional, x)

    torch.manual_seed(0)
    module, x = Module().eval(), torch.randn(*shape)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module, x


def agrees(module: Any, x: Any) -> lrpref.Network:
    """The imported network, which computes what the module does on another input."""
    import torch

    net = lrpref.from_torch(module, x)
    other = torch.randn(3, *x.shape[1:])
    with torch.no_grad():
        assert_allclose(net.forward(other.numpy()), module(other.clone()).numpy(), rtol=1e-4, atol=1e-4)
    return net


Make = Callable[[Any], Any]
MODULES: dict[str, tuple[Make, tuple[int, ...], str]] = {
    "GroupNorm": (lambda nn: nn.GroupNorm(2, 4, eps=1e-2), (2, 4, 6, 5), "GroupNorm"),
    "GroupNorm of features": (lambda nn: nn.GroupNorm(2, 4, affine=False), (2, 4), "GroupNorm"),
    "InstanceNorm1d": (lambda nn: nn.InstanceNorm1d(3), (2, 3, 4), "InstanceNorm"),
    "InstanceNorm2d": (lambda nn: nn.InstanceNorm2d(4, affine=True), (2, 4, 6, 5), "InstanceNorm"),
    "InstanceNorm3d": (lambda nn: nn.InstanceNorm3d(3, eps=0.5), (2, 3, 2, 2, 2), "InstanceNorm"),
    "LayerNorm": (lambda nn: nn.LayerNorm(5), (2, 4, 6, 5), "LayerNorm"),
    "LayerNorm of features": (lambda nn: nn.LayerNorm(5), (2, 5), "LayerNorm"),
    "LayerNorm of images": (lambda nn: nn.LayerNorm((4, 6, 5), bias=False), (2, 4, 6, 5), "LayerNorm"),
    "RMSNorm": (lambda nn: nn.RMSNorm((6, 5), eps=0.25), (2, 4, 6, 5), "RMSNorm"),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_becomes_one_layer(name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    make, shape, kind = MODULES[name]
    module, x = module_of(lambda m, F, x: m.part(x), shape, part=make(torch.nn))
    assert kinds(agrees(module, x)) == [kind]


FUNCTIONS: dict[str, tuple[Callable[[Any, Any, Any], Any], str]] = {
    "group_norm": (lambda m, F, x: F.group_norm(x, 2, m.g, bias=m.b, eps=0.5), "GroupNorm"),
    "group_norm as usual": (lambda m, F, x: F.group_norm(x, 4), "GroupNorm"),
    "instance_norm": (lambda m, F, x: F.instance_norm(x, None, None, m.g, m.b), "InstanceNorm"),
    "instance_norm in spite of statistics": (
        lambda m, F, x: F.instance_norm(x, m.b.detach(), m.g.detach() ** 2, momentum=0.0), "InstanceNorm",
    ),
    "instance_norm by statistics": (
        lambda m, F, x: F.instance_norm(x, m.b.detach(), m.g.detach() ** 2, use_input_stats=False), "BatchNorm",
    ),
    "batch_norm": (lambda m, F, x: F.batch_norm(x, m.b.detach(), m.g.detach() ** 2, m.g, eps=1e-3), "BatchNorm"),
    "layer_norm": (lambda m, F, x: F.layer_norm(x, (5,), m.last, m.last), "LayerNorm"),
    "layer_norm of all axes": (lambda m, F, x: F.layer_norm(x, x.shape[1:], eps=0.5), "LayerNorm"),
    "rms_norm": (lambda m, F, x: F.rms_norm(x, [5], m.last, 0.5), "RMSNorm"),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_becomes_one_layer(name: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    run, kind = FUNCTIONS[name]
    module, x = module_of(run, g=(4,), b=(4,), last=(5,))
    assert kinds(agrees(module, x)) == [kind]


def test_every_norm_of_torch_is_tried() -> None:
    text = Path(__file__).read_text()
    elsewhere = {"BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"}
    assert [each for each in {*torch_norms.OPERATIONS, *torch_norms.MODULES} - elsewhere if each not in text] == []


@pytest.mark.filterwarnings("ignore:.*")
def test_norms_of_an_exported_program() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    module, x = module_of(
        lambda m, F, x: m.layer(m.group(x)), group=torch.nn.GroupNorm(2, 4), layer=torch.nn.LayerNorm(5)
    )
    program = torch.export.export(module, (x,))
    for given in (program, program.run_decompositions()):
        net = lrpref.from_torch(given, x)
        assert kinds(net) == ["GroupNorm", "LayerNorm"]
        assert_allclose(net.forward(x.numpy()), module(x).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_an_instance_norm_with_running_statistics_is_a_batch_norm() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    part = torch.nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    part.running_mean.normal_()
    part.running_var.uniform_(0.2, 2.0)
    assert kinds(agrees(*module_of(lambda m, F, x: m.part(x), part=part))) == ["BatchNorm"]


@pytest.mark.parametrize(("dtype", "eps"), [("float32", 2.0**-23), ("float64", 2.0**-52)])
def test_an_rms_norm_without_eps_has_that_of_its_dtype(dtype: str, eps: float) -> None:
    """Also for inputs so small that it matters."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    module = torch.nn.RMSNorm(4).to(getattr(torch, dtype))
    x = (1e-4 * torch.randn(2, 3, 4)).to(module.weight.dtype)
    net = lrpref.from_torch(module, torch.randn(2, 3, 4))
    assert net.nodes[0].layer.eps == eps  # type: ignore[attr-defined]
    assert module.eps is None
    assert_allclose(net.forward(x.numpy()), module(x).detach().numpy(), rtol=1e-5)


TORCH_REFUSED: dict[str, tuple[Callable[[Any, Any, Any], Any], tuple[int, ...], str]] = {
    "rms_norm without eps": (lambda m, F, x: F.rms_norm(x, (5,)), (2, 4, 5), "it has no eps, .*; pass eps="),
    "no batch": (lambda m, F, x: m.part(x), (3, 4), r"its input \(3, 4\) has no batch axis; give it one"),
    "the batch": (lambda m, F, x: F.layer_norm(x, x.shape), (2, 4, 5), r"expected \(N, ..., 2, 4, 5\)"),
    "statistics of the batch": (
        lambda m, F, x: F.batch_norm(x, None, None, training=True), (2, 4, 5), "it is in training mode",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TORCH_REFUSED)
def test_what_is_refused_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    run, shape, message = TORCH_REFUSED[name]
    parts = {"part": torch.nn.InstanceNorm1d(3), "fc": torch.nn.Linear(3, 2)}
    with pytest.raises(ConversionError, match=f"(?s){message}"):
        lrpref.from_torch(*module_of(run, shape, **parts))


ALONG: dict[str, tuple[Callable[[Any, Any, Any], Any], tuple[int, ...], list[str]]] = {
    "Linear of tokens": (lambda m, F, x: m.fc(x), (2, 3, 5), ["TokenDense"]),
    "F.linear of images": (lambda m, F, x: F.linear(x, m.w), (2, 3, 4, 5), ["TokenDense"]),
    "Linear of volumes": (lambda m, F, x: m.fc(x), (2, 3, 4, 2, 5), ["TokenDense"]),
    "x @ w + b": (lambda m, F, x: x @ m.w.T + m.b, (2, 3, 4, 5), ["TokenDense"]),
    "constant of the last axis": (lambda m, F, x: x * m.g, (2, 3, 4, 5), ["Affine"]),
    "constant of rows": (lambda m, F, x: x - m.w[:, :1], (2, 3, 6, 5), ["Affine"]),
    "constant of tokens": (lambda m, F, x: (1 - x) * m.g, (2, 3, 5), ["Scale", "Affine"]),
    "constant of cells": (lambda m, F, x: x + m.w, (2, 3, 6, 5), ["Affine"]),
    "token mixing": (
        lambda m, F, x: x + m.fc(F.relu(x.transpose(1, 2))).transpose(1, 2)[:, :5],
        (2, 5, 4),
        ["Permute", "ReLU", "TokenDense", "Permute", "Slice", "Add"],
    ),
}


@pytest.mark.parametrize("name", ALONG)
def test_products_and_constants_along_another_axis(name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    run, shape, expected = ALONG[name]
    module, x = module_of(run, shape, fc=torch.nn.Linear(5, 6), w=(6, 5), b=(6,), g=(5,))
    net = agrees(module, x)
    assert kinds(net) == expected
    if "Linear" in name:
        assert_array_equal(net["fc"].weight, module.fc.weight.detach().numpy())


def convnext(torch: Any) -> Any:
    """A block of ConvNeXt (Liu et al. 2022, arXiv 2201.03545), between a stem and a head, and an example."""
    nn = torch.nn

    def run(m: Any, F: Any, x: Any) -> Any:
        x = m.stem(x)
        y = m.norm(m.depthwise(x).permute(0, 2, 3, 1))
        y = m.narrow(F.gelu(m.wide(y)))
        x = x + (m.gamma * y).permute(0, 3, 1, 2)
        return m.head(m.last(x.mean((2, 3))))

    return module_of(
        run,
        (2, 3, 8, 8),
        stem=nn.Conv2d(3, 4, 2, 2),
        depthwise=nn.Conv2d(4, 4, 3, padding=1, groups=4),
        norm=nn.LayerNorm(4, eps=1e-6),
        wide=nn.Linear(4, 8),
        narrow=nn.Linear(8, 4),
        gamma=(4,),
        last=nn.LayerNorm(4),
        head=nn.Linear(4, 3),
    )


def test_a_block_of_convnext() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    module, x = convnext(torch)
    net = agrees(module, x)
    assert net.input_shape is None
    assert kinds(net).count("Permute") == 2
    assert {name: read for name, _, read in net.nodes}["mul"] == ("narrow",)


@pytest.mark.parametrize("opset", [13, 17])
@pytest.mark.filterwarnings("ignore:.*")
def test_a_block_of_convnext_through_onnx(opset: int, tmp_path: Path) -> None:
    """The same network as without the detour; below opset 17, a LayerNorm is written in parts."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    module, x = convnext(torch)
    torch.onnx.export(module, (x,), tmp_path / "net.onnx", dynamo=False, opset_version=opset)
    net, direct = lrpref.from_onnx(tmp_path / "net.onnx"), lrpref.from_torch(module, x)
    assert sorted({*kinds(net)}) == sorted({*kinds(direct)})
    rule = lrpref.composites.EpsilonPlus()
    expected = lrpref.explain(direct.astype(np.float64), x.double().numpy(), rule=rule)
    assert_allclose(
        lrpref.explain(net.astype(np.float64), x.double().numpy(), rule=rule), expected, rtol=1e-5, atol=1e-6
    )


# ---- ONNX --------------------------------------------------------------------------------------------------------


def proto(nodes: Sequence[tuple[Any, ...]], constants: dict[str, Any], shape: Sequence[Any], opset: int = 20) -> Any:
    """A float64 model with input "x" of operations (op, inputs, result, attributes), ending with its output."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper, double = onnx.helper, onnx.TensorProto.DOUBLE
    made = [helper.make_node(op, read.split(), [result], **told) for op, read, result, told in nodes]
    graph = helper.make_graph(
        made,
        "norms",
        [helper.make_tensor_value_info("x", double, shape)],
        [helper.make_tensor_value_info(made[-1].output[0], double, None)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def imported(model: Any, folder: Path, x: np.ndarray | None = None) -> lrpref.Network:
    """The network in a model; its import proves that it computes what onnx says."""
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    return lrpref.from_onnx(folder / "net.onnx", x)


def own_norm(model: Any, folder: Path, x: np.ndarray | None = None) -> Any:
    """The only layer of the imported network."""
    (node,) = imported(model, folder, x).nodes
    return node.layer


G, B = numbers(4), numbers(4)


def test_instance_normalization(tmp_path: Path) -> None:
    nodes = [("InstanceNormalization", "x g b", "y", {"epsilon": 0.5})]
    layer = own_norm(proto(nodes, {"g": G, "b": B}, ("N", 4, 3, 5)), tmp_path, numbers(2, 4, 3, 5))
    assert (type(layer), layer.eps) == (lrpref.InstanceNorm, 0.5)
    assert_array_equal(layer.weight, G)


@pytest.mark.parametrize(("axis", "g"), [(-1, (4,)), (2, (3, 4)), (1, (2, 3, 4)), (1, (4,)), (-2, (1, 1, 4))])
def test_layer_normalization(axis: int, g: tuple[int, ...], tmp_path: Path) -> None:
    """The scale is broadcast, also from further axes, along which it must not vary."""
    weight = numbers(*g)
    nodes = [("LayerNormalization", "x g b", "y", {"axis": axis})]
    layer = own_norm(proto(nodes, {"g": weight, "b": B}, (2, 2, 3, 4)), tmp_path)
    assert (type(layer), layer.normalized_shape) == (lrpref.LayerNorm, (2, 3, 4)[axis % 4 - 1 :])
    assert_array_equal(
        layer.weight, np.broadcast_to(weight.reshape(g[-axis:] if axis < -1 else g), layer.normalized_shape)
    )


@pytest.mark.parametrize("shape", [(6,), (1, 4, 6), (2, 4, 6)])
def test_rms_normalization(shape: tuple[int, ...], tmp_path: Path) -> None:
    """The scale may have further axes, along which it must not vary."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    if onnx.defs.onnx_opset_version() < 23:
        pytest.skip("this onnx has no RMSNormalization")
    nodes = [("RMSNormalization", "x g", "y", {"epsilon": 0.5})]
    scale = np.broadcast_to(numbers(6), shape)
    layer = own_norm(proto(nodes, {"g": scale}, (2, 4, 6), opset=23), tmp_path)
    assert (type(layer), layer.normalized_shape, layer.eps) == (lrpref.RMSNorm, (6,), 0.5)
    with pytest.raises(
        ConversionError, match=r"its scale of shape \(2, 4, 6\) varies along axes that are not normalis"
    ):
        imported(proto(nodes, {"g": numbers(2, 4, 6)}, (2, 4, 6), opset=23), tmp_path)


def test_group_normalization(tmp_path: Path) -> None:
    """With a factor per channel; the version with one per group, before opset 21, is withdrawn by onnx itself."""
    nodes = [("GroupNormalization", "x g b", "y", {"num_groups": 2})]
    layer = own_norm(proto(nodes, {"g": G, "b": B}, ("N", 4, 3), opset=21), tmp_path, numbers(2, 4, 3))
    assert (type(layer), layer.num_groups) == (lrpref.GroupNorm, 2)
    assert_array_equal(layer.weight, G)
    with pytest.raises(WeightsError, match="GroupNormalization is deprecated"):
        imported(proto(nodes, {"g": G[:2], "b": B[:2]}, (2, 4, 3), opset=18), tmp_path)


GROUPED = [
    ("Reshape", "x groups", "r", {}),
    ("InstanceNormalization", "r ones zeros", "i", {"epsilon": 0.25}),
    ("Shape", "x", "s", {}),
    ("Reshape", "i s", "y", {}),
    ("Mul", "y g", "m", {}),
    ("Add", "b m", "z", {}),
]
GROUPS = {"groups": np.array([0, 2, -1]), "ones": np.ones(2), "zeros": np.zeros(2)}


@pytest.mark.parametrize("affine", [True, False])
def test_a_group_norm_in_parts(affine: bool, tmp_path: Path) -> None:
    """As torch.onnx writes it below opset 21."""
    told = {**GROUPS, "g": G.reshape(4, 1, 1), "b": B.reshape(4, 1, 1)}
    model = proto(GROUPED if affine else GROUPED[:4], told, ("N", 4, 3, 5), 17)
    layer = own_norm(model, tmp_path, numbers(2, 4, 3, 5))
    assert (type(layer), layer.num_groups, layer.eps) == (lrpref.GroupNorm, 2, 0.25)
    assert (layer.weight is None) == (not affine)


def test_a_factor_along_rows_is_none_of_the_channels(tmp_path: Path) -> None:
    """Of as many numbers as there are channels."""
    with pytest.raises(ConversionError, match="it must be one number, or one per channel"):
        imported(proto(GROUPED, {**GROUPS, "g": G, "b": B}, (2, 4, 3, 4), 17), tmp_path)


def parts_of_layer_norm(axes: list[int], square: str = "Pow", affine: bool = False) -> list[tuple[Any, ...]]:
    """A LayerNorm as torch.onnx writes it below opset 17."""
    nodes = [
        ("ReduceMean", "x", "mean", {"axes": axes}),
        ("Sub", "x mean", "c", {}),
        (square, "c two" if square == "Pow" else "c c", "q", {}),
        ("ReduceMean", "q", "var", {"axes": axes}),
        ("Add", "var eps", "v", {}),
        ("Sqrt", "v", "s", {}),
        ("Div", "c s", "y", {}),
        ("Mul", "y g", "m", {}),
        ("Add", "m b", "z", {}),
    ]
    return nodes if affine else nodes[:7]


PARTS = {"two": np.array(2.0), "eps": np.array(0.25), "g": numbers(4), "b": numbers(4)}


@pytest.mark.parametrize(("axes", "last"), [([-1], (4,)), ([2], (4,)), ([-2, -1], (3, 4)), ([1, 2], (3, 4))])
@pytest.mark.parametrize("square", ["Pow", "Mul"])
@pytest.mark.parametrize("affine", [True, False])
def test_a_layer_norm_in_parts(
    axes: list[int], last: tuple[int, ...], square: str, affine: bool, tmp_path: Path
) -> None:
    model = proto(parts_of_layer_norm(axes, square, affine), PARTS, ("N", 3, 4), 13)
    layer = own_norm(model, tmp_path, numbers(2, 3, 4))
    assert (type(layer), layer.normalized_shape, layer.eps) == (lrpref.LayerNorm, last, 0.25)


def test_a_layer_norm_over_channels_in_parts(tmp_path: Path) -> None:
    """As the authors of ConvNeXt write it for (N, C, H, W), with a factor per channel."""
    told = {**PARTS, "g": G.reshape(4, 1, 1), "b": B.reshape(4, 1, 1)}
    net = imported(proto(parts_of_layer_norm([1], affine=True), told, (2, 4, 3, 5), 13), tmp_path)
    assert kinds(net) == ["Permute", "LayerNorm", "Permute"]
    assert_array_equal(net["z"].weight, G)  # type: ignore[attr-defined]


@pytest.mark.parametrize("inverse", ["Reciprocal", "Div"])
def test_an_rms_norm_in_parts(inverse: str, tmp_path: Path) -> None:
    """As torch.onnx writes it below opset 23."""
    divided = [("Reciprocal", "s", "r", {}), ("Mul", "x r", "y", {})] if inverse == "Reciprocal" else []
    nodes = [
        ("Pow", "x two", "q", {}),
        ("ReduceMean", "q axes", "var", {}),
        ("Add", "var eps", "v", {}),
        ("Sqrt", "v", "s", {}),
        *(divided or [("Div", "x s", "y", {})]),
        ("Mul", "g y", "z", {}),
    ]
    layer = own_norm(proto(nodes, {**PARTS, "axes": np.array([2])}, (2, 3, 4), 18), tmp_path)
    assert (type(layer), layer.normalized_shape, layer.eps) == (lrpref.RMSNorm, (4,), 0.25)


def test_what_only_resembles_a_norm_is_refused_by_name(tmp_path: Path) -> None:
    """The square of something else, a part that something else reads, and samples that are normalised."""
    nodes = parts_of_layer_norm([-1])
    other = [*nodes[:2], ("Pow", "x two", "q", {}), *nodes[3:]]
    with pytest.raises(ConversionError, match=r"node 'c' \(Sub\): cannot subtract arrays of different shapes"):
        imported(proto(other, PARTS, (2, 3, 4), 13), tmp_path)
    with pytest.raises(ConversionError, match=r"\(Pow\): unsupported operation .* a part of GELU.* or of LayerNorm or"):
        imported(proto(other[2:3], PARTS, (2, 3, 4), 13), tmp_path)
    with pytest.raises(ConversionError, match=r"node 'c' \(Sub\): cannot subtract arrays of different shapes"):
        imported(proto([*nodes, ("Sub", "y q", "z", {})], PARTS, (2, 3, 4), 13), tmp_path)
    with pytest.raises(ConversionError, match="it normalises over the batch axis"):
        imported(proto(parts_of_layer_norm([0]), PARTS, (2, 3, 4), 13), tmp_path)


def test_a_norm_of_weights_is_computed(tmp_path: Path) -> None:
    """As weight standardisation writes it (Qiao et al. 2019, arXiv 1903.10520)."""
    nodes = [(op, read.replace("x", "w"), out, told) for op, read, out, told in parts_of_layer_norm([1])]
    w = numbers(3, 4)
    net = imported(proto([*nodes, ("Gemm", "x y", "z", {"transB": 1})], {**PARTS, "w": w}, (2, 4), 13), tmp_path)
    centred = w - w.mean(1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 0.25)
    assert_allclose(net.nodes[0].layer.weight, expected)  # type: ignore[attr-defined]


LAST = ("Transpose", "x", "t", {"perm": [0, 2, 3, 1]})
FIRST = ("Transpose", "n", "y", {"perm": [0, 3, 1, 2]})
CHANNELS_LAST: dict[str, tuple[list[tuple[Any, ...]], list[str]]] = {
    "LayerNormalization": (
        [LAST, ("LayerNormalization", "t g b", "n", {}), FIRST], ["Permute", "LayerNorm", "Permute"],
    ),
    "LayerNormalization of images": (
        [LAST, ("LayerNormalization", "t images", "n", {"axis": 1}), FIRST], ["LayerNorm"],
    ),
    "MatMul and Mul": (
        [LAST, ("MatMul", "t w", "p", {}), ("Mul", "p g", "n", {}), FIRST],
        ["Permute", "TokenDense", "Affine", "Permute"],
    ),
    "flattened": (
        [LAST, ("Flatten", "t", "f", {}), ("LayerNormalization", "f many", "n", {}), ("Gemm", "n v", "y", {})],
        ["Flatten", "LayerNorm", "Dense"],
    ),
    "rows and columns exchanged": (
        [
            ("Transpose", "x", "t", {"perm": [0, 1, 3, 2]}),
            ("InstanceNormalization", "t g b", "n", {}),
            ("Transpose", "n", "y", {"perm": [0, 1, 3, 2]}),
        ],
        ["InstanceNorm"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANNELS_LAST)
def test_channels_last(name: str, tmp_path: Path) -> None:
    nodes, expected = CHANNELS_LAST[name]
    told = {"g": G, "b": B, "w": numbers(4, 4), "images": numbers(3, 5, 4), "many": numbers(60), "v": numbers(60, 2)}
    net = imported(proto(nodes, told, (2, 4, 3, 5)), tmp_path)
    assert kinds(net) == expected
    if name != "flattened":
        assert net.shapes((2, 4, 3, 5))[net.outputs[0]] == (2, 4, 3, 5)  # the order of the file


@pytest.mark.parametrize("op", ["InstanceNormalization", "BatchNormalization"])
def test_channels_are_moved_where_the_operation_expects_them(op: str, tmp_path: Path) -> None:
    """Its channels are the rows of the image, which the file puts on axis 1."""
    read = "t g b" if op == "InstanceNormalization" else "t g b b v"
    nodes = [LAST, (op, read, "n", {})]
    told = {"g": numbers(3), "b": numbers(3), "v": numbers(3) ** 2}
    net = imported(proto(nodes, told, (2, 4, 3, 5)), tmp_path)
    assert kinds(net) == ["Permute", op.replace("Normalization", "Norm").replace("BatchNormal", "BatchNorm")]


def test_tokens_through_a_perceptron(tmp_path: Path) -> None:
    """(N, T, F), as in MLP-Mixer (Tolstikhin et al. 2021, arXiv 2105.01601): each bias is merged."""
    nodes = [
        ("LayerNormalization", "x g b", "n", {}),
        ("MatMul", "n w", "p", {}),
        ("Add", "p c", "q", {}),
        ("Relu", "q", "r", {}),
        ("Transpose", "r", "t", {"perm": [0, 2, 1]}),
        ("MatMul", "t v", "y", {}),
    ]
    told = {"g": G, "b": B, "w": numbers(4, 6), "c": numbers(6), "v": numbers(3, 2)}
    net = imported(proto(nodes, told, (2, 3, 4)), tmp_path)
    assert kinds(net) == ["LayerNorm", "TokenDense", "ReLU", "Permute", "TokenDense"]
    assert_array_equal(net["p"].bias, told["c"])  # type: ignore[attr-defined]
