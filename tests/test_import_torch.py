"""Importing PyTorch modules: same function, same gradient, node names, and refusals that suggest a fix."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import from_torch
from lrpref.errors import ConversionError, LrprefError, ShapeError
from lrpref.importers.torch_operations import OPERATIONS, SUPPORTED
from lrpref.layers import WeightedLayer
from lrpref.weights.state_dict import as_array

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'lrpref[torch]'")
nn, F = torch.nn, torch.nn.functional

Module = Any


def seeded(make: Callable[[], Module], seed: int = 0) -> Module:
    """The module in eval mode, with random weights and BatchNorm statistics that differ from their initial values."""
    torch.manual_seed(seed)
    module = make()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and part.running_mean is not None:
            part.running_mean.normal_()
            part.running_var.uniform_(0.2, 2.0)
            if part.affine:
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
        if isinstance(part, nn.GroupNorm | nn.LayerNorm | nn.InstanceNorm2d):
            for parameter in part.parameters():
                nn.init.normal_(parameter)
    return module.eval()


def images(*shape: int) -> Any:
    return torch.randn(*(shape or (2, 3, 8, 8)), generator=torch.Generator().manual_seed(7))


class Forward(nn.Module):
    """A module with the given parts, whose forward pass is a function of the parts and x."""

    def __init__(self, run: Callable[[Any, Any], Any], **parts: Module) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Any) -> Any:
        return self.run(self, x)


class Block(nn.Module):
    """A residual block as in torchvision, including in-place operations."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Any) -> Any:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Residual(nn.Module):
    """A small ResNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(4, 4, 1), Block(4, 6, 2))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Any) -> Any:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layer1(x))
        return self.fc(torch.flatten(x, 1))


class Functional(nn.Module):
    """LeNet as in tutorials: activations, pooling, dropout and flattening are function calls."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(20, 6), nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2, 1)
        x = F.avg_pool2d(torch.relu(self.conv2(x)), (2, 2))
        x = x.view(x.size(0), -1)
        x = F.dropout(x, 0.3, self.training)
        return self.fc2(F.relu(self.fc1(x), inplace=True))


class Dense2(nn.Module):
    """Two DenseNet layers: concatenation, and BatchNorm before the convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(3), nn.Conv2d(3, 2, 3, padding=1)
        self.norm2, self.conv2 = nn.BatchNorm2d(5), nn.Conv2d(5, 2, 1)
        self.classifier = nn.Linear(7, 4)

    def forward(self, x: Any) -> Any:
        y = self.conv1(F.relu(self.norm1(x)))
        x = torch.cat([x, y], dim=1)
        y = self.conv2(F.relu(self.norm2(x), inplace=True))
        return self.classifier(torch.cat((x, y), -3).mean((2, 3)))


def on(part: Module | Callable[[], Module], run: Callable[[Any, Any], Any] | None = None) -> Callable[[], Module]:
    """An operation between a convolution and a Linear layer of matching size."""

    def make() -> Module:
        torch.manual_seed(1)
        middle = part() if run is None else None
        step = run or (lambda m, x: m.part(x))
        parts = {"part": middle} if middle is not None else {}
        size = step(Forward(step, **parts).eval(), torch.zeros(1, 4, 6, 6)).reshape(1, -1).shape[1]
        parts = {"conv": nn.Conv2d(3, 4, 3), **parts, "fc": nn.Linear(size, 3)}
        return Forward(lambda m, x: m.fc(torch.flatten(step(m, m.conv(x)), 1)), **parts)

    return make


MODULES: dict[str, Callable[[], Module]] = {
    "residual": Residual,
    "functional": Functional,
    "concat": Dense2,
    "sequential": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Dropout2d(), nn.Flatten(), nn.Linear(64, 3), nn.Softmax(dim=1)
    ),
    "geometry": lambda: nn.Sequential(
        nn.Conv2d(3, 6, (3, 2), (2, 1), (1, 2), (1, 2), groups=3), nn.Identity(), nn.Flatten(), nn.Linear(6 * 4 * 10, 2)
    ),
    "same padding": lambda: nn.Sequential(nn.Conv2d(3, 2, (4, 3), padding="same"), nn.Flatten(), nn.Linear(128, 2)),
    "valid padding": lambda: nn.Sequential(nn.Conv2d(3, 2, 3, padding="valid"), nn.Flatten(), nn.Linear(72, 2)),
    "without bias": lambda: nn.Sequential(nn.Conv2d(3, 2, 8, bias=False), nn.Flatten(), nn.Linear(2, 2, bias=False)),
    "batch norm without weights": on(lambda: nn.BatchNorm2d(4, eps=1e-2, affine=False)),
    "group norm": on(lambda: nn.GroupNorm(2, 4, eps=1e-2)),
    "instance norm": on(lambda: nn.InstanceNorm2d(4, affine=True)),
    "instance norm without weights": on(lambda: nn.InstanceNorm2d(4)),
    "layer norm": on(lambda: nn.LayerNorm(6)),
    "layer norm of images": on(lambda: nn.LayerNorm((4, 6, 6), bias=False)),
    "relu6": on(nn.ReLU6),
    "leaky": on(lambda: nn.LeakyReLU(0.2, inplace=True)),
    "sigmoid": on(nn.Sigmoid),
    "tanh": on(nn.Tanh),
    "max pool": on(lambda: nn.MaxPool2d((3, 2), (2, 1), (1, 0))),
    "max pool up": on(lambda: nn.MaxPool2d(2, ceil_mode=True)),  # 6 is divisible by 2, so ceil_mode has no effect
    "average pool": on(lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
    "average pool with padding": on(lambda: nn.AvgPool2d(3, 2, 1)),
    "zero pad": on(lambda: nn.ZeroPad2d((1, 2, 0, 3))),
    "constant pad": on(lambda: nn.ConstantPad2d((1, 0, 2, 1), 0.5)),
    "adaptive pool to its own size": on(lambda: nn.AdaptiveAvgPool2d(6)),
    "spectral norm": on(lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 2, 3))),
    "F.relu6": on(None, lambda m, x: F.relu6(x)),
    "F.leaky_relu": on(None, lambda m, x: F.leaky_relu(x, 0.3)),
    "torch.sigmoid": on(None, lambda m, x: torch.sigmoid(x)),
    "x.tanh()": on(None, lambda m, x: x.tanh()),
    "x.relu_()": on(None, lambda m, x: x.relu_()),
    "F.log_softmax": on(None, lambda m, x: F.log_softmax(x, dim=1) + x),
    "F.softmax": on(None, lambda m, x: F.softmax(x, dim=1) + x),
    "log of a softmax": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(192, 3), Forward(lambda m, x: torch.log(F.softmax(x, dim=1)))
    ),
    "x.log()": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 3), Forward(lambda m, x: x.softmax(1).log())),
    "F.pad": on(None, lambda m, x: F.pad(x, (1, 2), "constant", 1.5)),
    "F.pad of four": on(None, lambda m, x: F.pad(x, (1, 2, 3, 0))),
    "F.adaptive_avg_pool2d": on(None, lambda m, x: F.adaptive_avg_pool2d(x, (1, 1))),
    "F.max_pool2d": on(None, lambda m, x: F.max_pool2d(x, kernel_size=3, stride=1, padding=1)),
    "mean keeping dimensions": on(None, lambda m, x: torch.mean(x, dim=[-2, -1], keepdim=True)),
    "torch.add": on(None, lambda m, x: torch.add(x, F.relu(x))),
    "x.add": on(None, lambda m, x: F.relu(x).add(x)),
    "an activation twice": on(None, lambda m, x: x + x),
    "flatten twice": on(None, lambda m, x: torch.flatten(x.flatten(1), 1).reshape(x.shape[0], -1)),
    "dead ends": on(None, lambda m, x: (torch.tanh(F.relu(x)), F.relu(x))[1]),
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.filterwarnings("ignore::UserWarning:torch", "ignore::DeprecationWarning")
def test_the_network_computes_what_the_module_does(name: str) -> None:
    """On inputs other than the example, with a different batch size."""
    module = seeded(MODULES[name])
    net = from_torch(module, images())
    assert net.dtype == np.float32
    other = images(5, 3, 8, 8)
    with torch.no_grad():
        expected = module(other.clone()).numpy()
    assert_allclose(net.forward(other.numpy()), expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", ["residual", "functional", "concat", "max pool", "average pool", "zero pad", "x.add"])
def test_lrp_0_is_gradient_times_input(name: str) -> None:
    """Compared with torch's gradient, which also checks the graph in the backward pass."""
    module = seeded(MODULES[name]).double()
    x = images().double().requires_grad_()
    y = module(x)
    y[torch.arange(2), y.argmax(dim=1)].sum().backward()
    net = from_torch(module, x)
    rule = lrpref.composites.Composite([(lrpref.LinearLayer, lrpref.rules.Zero())])
    assert_allclose(lrpref.explain(net, as_array(x), rule=rule), as_array(x) * as_array(x.grad), rtol=1e-8, atol=1e-10)


def test_features_through_batch_norm_1d() -> None:
    module = seeded(lambda: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2)))
    x = images(3, 4)
    assert_allclose(from_torch(module, x).forward(x.numpy()), module(x).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_an_instance_norm_with_running_statistics_is_a_batch_norm() -> None:
    module = nn.Sequential(nn.InstanceNorm2d(3, affine=True, track_running_stats=True))
    module[0].running_mean.normal_()
    module[0].running_var.uniform_(0.2, 2.0)
    net = from_torch(module.eval(), images())
    assert [type(layer) for _, layer, _ in net.nodes] == [lrpref.BatchNorm]
    assert_allclose(net.forward(images().numpy()), module(images()).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_norms_of_sequences() -> None:
    """(N, L, D) for a LayerNorm, (N, C, L) and (N, C, D, H, W) for an InstanceNorm; an axis for the batch is needed."""
    for module, shape in (
        (nn.LayerNorm(4), (2, 3, 4)),
        (nn.InstanceNorm1d(3), (2, 3, 4)),
        (nn.InstanceNorm3d(3), (2, 3, 2, 2, 2)),
    ):
        net, x = from_torch(module, images(*shape)), images(*shape)
        assert_allclose(net.forward(x.numpy()), module(x).detach().numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(ConversionError, match=r"its input \(3, 4\) has no batch axis; give it one"):
        from_torch(nn.InstanceNorm1d(3), images(3, 4))


@pytest.mark.skipif(not hasattr(nn, "RMSNorm"), reason="this torch has no RMSNorm")
@pytest.mark.parametrize(("dtype", "eps"), [(torch.float32, 2.0**-23), (torch.float64, 2.0**-52)])
def test_an_rms_norm_without_eps_has_that_of_its_dtype(dtype: Any, eps: float) -> None:
    """Also for inputs so small that it matters."""
    module, x = nn.RMSNorm(4).to(dtype), (1e-4 * images(2, 3, 4)).to(dtype)
    net = from_torch(module, images(2, 3, 4))
    assert net.nodes[0].layer.eps == eps
    assert module.eps is None
    assert_allclose(net.forward(x.numpy()), module(x).detach().numpy(), rtol=1e-5)


def test_one_layer_alone_is_a_network() -> None:
    net = from_torch(nn.Linear(3, 2), images(1, 3))
    assert [type(layer) for _, layer, _ in net.nodes] == [lrpref.Dense]


def test_names_are_paths_in_the_module() -> None:
    net = from_torch(seeded(Residual), images())
    assert net.names[:4] == ["conv1", "bn1", "relu", "maxpool"]
    assert "layer1.1.downsample.0" in net.names
    assert net.names[-2:] == ["flatten", "fc"]
    assert "layer1.0.relu" in net.names
    assert "layer1_0_relu_1" in net.names  # torch.fx names the second use of a module


def test_a_parameter_called_input_does_no_harm() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.input = nn.Linear(3, 2)

        def forward(self, input: Any) -> Any:
            return F.relu(self.input(input))

    module = seeded(Named)
    assert_allclose(from_torch(module, images(2, 3)).forward(images(2, 3).numpy()), module(images(2, 3)).detach())


def test_parameters_are_taken_over_to_the_bit() -> None:
    module = seeded(Residual)
    net = from_torch(module, images())
    assert_array_equal(net["layer1.0.conv1"].weight, module.layer1[0].conv1.weight.detach().numpy())
    assert_array_equal(net["bn1"].var, module.bn1.running_var.numpy())
    assert net["bn1"].eps == module.bn1.eps


def test_the_network_has_the_modules_number_type() -> None:
    assert from_torch(nn.Linear(3, 2).double(), images(1, 3)).dtype == np.float64
    assert from_torch(nn.Linear(3, 2), images(1, 3).double()).dtype == np.float32


def test_the_module_is_left_as_it_was() -> None:
    """Including training mode, weights, statistics and the example."""
    module = seeded(Residual).train()
    before, x = copy.deepcopy(module.state_dict()), images()
    kept = x.clone()
    net = from_torch(module, x)
    assert all(part.training for part in module.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert torch.equal(x, kept)
    assert net.names == from_torch(module.eval(), x).names


def test_the_example_may_be_an_array_or_need_a_gradient() -> None:
    module, x = seeded(Functional), images()
    for example in (x.numpy(), x.clone().requires_grad_()):
        assert from_torch(module, example).names == from_torch(module, x).names


def test_a_module_that_is_used_twice_stays_one_layer() -> None:
    module = Forward(lambda m, x: m.fc(F.relu(m.fc(x))), fc=nn.Linear(3, 3))
    net = from_torch(module, images(2, 3))
    dense = [layer for _, layer, _ in net.nodes if isinstance(layer, WeightedLayer)]
    assert len(dense) == 2
    assert dense[0] is dense[1]


def test_what_nobody_reads_is_left_out() -> None:
    net = from_torch(seeded(MODULES["dead ends"]), images())
    assert not any(isinstance(layer, lrpref.Tanh) for _, layer, _ in net.nodes)


# ---- sizes -------------------------------------------------------------------------------------------------------


def pooled(step: Callable[[Any, Any], Any], **parts: Module) -> Callable[[], Module]:
    """A module for images of every size: a function after a convolution, then the mean of each channel."""
    return lambda: Forward(
        lambda m, x: m.fc(step(m, m.conv(x)).mean((2, 3))), conv=nn.Conv2d(3, 4, 3, 2, 1), fc=nn.Linear(4, 2), **parts
    )


BOUND: dict[str, tuple[Callable[[], Module], str]] = {
    "ceil_mode": (
        pooled(lambda m, x: m.pool(x), pool=nn.MaxPool2d(2, ceil_mode=True)),
        r"node 'pool' \(MaxPool2d\): its last windows are whole, in spite of ceil_mode=True, at that size",
    ),
    "adaptive pooling to its own size": (
        pooled(lambda m, x: m.pool(x), pool=nn.AdaptiveAvgPool2d(4)),
        r"node 'pool' \(AdaptiveAvgPool2d\): its windows have one cell each at that size; import again",
    ),
    "ceil_mode of a function": (
        pooled(lambda m, x: F.avg_pool2d(x, 2, ceil_mode=True)), r"node 'avg_pool2d' \(avg_pool2d\): its last windows",
    ),
    "a kernel as large as the image": (
        pooled(lambda m, x: F.avg_pool2d(x, x.size()[2:])), r"\(avg_pool2d\): its arguments are computed at that size",
    ),
    "padding to even sizes": (
        pooled(lambda m, x: F.pad(x, (0, x.shape[3] % 2))), r"node 'pad' \(pad\): its arguments are computed at that",
    ),
    "features": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 2)),
        r"a check on inputs of shape \(3, 17, 10\) failed: the module does not run on the example: mat1 and mat2",
    ),
    "samples made of cells": (
        lambda: Forward(lambda m, x: m.fc(F.avg_pool2d(x, 8).view(-1, 3)), fc=nn.Linear(3, 2)),
        r"\(3, 17, 10\) failed: the imported network does not run on the example: node 'fc'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUND)
def test_a_network_is_held_to_the_size_that_it_was_computed_for(name: str) -> None:
    make, reason = BOUND[name]
    module, x = seeded(make), images()
    net = from_torch(module, x)
    assert net.input_shape == (3, 8, 8)
    assert_allclose(net.forward(x.numpy()), module(x).detach().numpy(), rtol=1e-4, atol=1e-6)
    with pytest.raises(
        ShapeError, match=rf"accepts inputs of shape \(N, 3, 8, 8\), got \(2, 3, 9, 9\): .*(?:{reason})"
    ):
        net.forward(images(2, 3, 9, 9).numpy())


UNBOUND: dict[str, Callable[[], Module]] = {
    "residual": Residual,
    "sizes in a reshape": lambda: Forward(
        lambda m, x: m.fc(F.adaptive_avg_pool2d(x, 1).view(x.size(0), x.shape[1])), fc=nn.Linear(3, 2)
    ),
    "adaptive pooling of one cell": pooled(lambda m, x: F.adaptive_avg_pool2d(F.max_pool2d(x, 4), (1, 1))),
    "adaptive pooling to no size": pooled(lambda m, x: F.adaptive_avg_pool2d(x, (None, None))),
    "ceil_mode without stride": pooled(lambda m, x: F.max_pool2d(x, 2, 1, ceil_mode=True)),
}


@pytest.mark.parametrize("name", UNBOUND)
@pytest.mark.parametrize("size", [(8, 8), (9, 15), (32, 31)])
def test_a_network_is_right_at_every_size_where_it_keeps_the_rule(name: str, size: tuple[int, int]) -> None:
    module, x = seeded(UNBOUND[name]), images(2, 3, *size)
    net = from_torch(module, images())
    assert net.input_shape is None
    assert_allclose(net.forward(x.numpy()), module(x).detach().numpy(), rtol=1e-4, atol=1e-6)


def test_numbers_may_be_passed_by_default_arguments() -> None:
    class Default(nn.Module):
        def forward(self, x: Any, size: int = 2) -> Any:
            return F.max_pool2d(x, size)

    assert from_torch(Default(), images())["max_pool2d"].kernel_size == (2, 2)


def test_a_variance_a_little_below_zero() -> None:
    module = seeded(lambda: nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2)))
    module[1].running_var[1] = -1e-7
    net = from_torch(module, images())
    assert_allclose(net.forward(images().numpy()), module(images()).detach().numpy(), rtol=1e-4, atol=1e-4)


# ---- in-place operations -----------------------------------------------------------------------------------------


def in_place(run: Callable[[Any, Any], Any]) -> tuple[Module, Any]:
    return Forward(run, fc=nn.Linear(3, 3), relu=nn.ReLU(inplace=True), drop=nn.Dropout()).eval(), images(4, 3)


@pytest.mark.parametrize(
    "run",
    [
        lambda m, x: (lambda z: m.relu(z) + z)(m.fc(x)),  # both branches read the new value
        lambda m, x: (lambda z: z + m.relu(z))(m.fc(x)),
        lambda m, x: (lambda z: F.relu_(z) + m.fc(z))(m.fc(x)),
        lambda m, x: (lambda z: z.relu_() + z)(m.fc(x)),
        lambda m, x: (lambda z: F.relu(z, inplace=True) + torch.tanh(z))(m.fc(x)),
        lambda m, x: (lambda z: m.relu(m.drop(z)) + z)(m.fc(x)),  # in eval mode dropout returns the same memory
        lambda m, x: (lambda z: z.add_(x) + z)(m.fc(x)),
        lambda m, x: m.fc(m.relu(x)) + x,  # the input itself
    ],
)
def test_whoever_reads_the_memory_afterwards_sees_the_new_value(run: Callable[[Any, Any], Any]) -> None:
    module, x = in_place(run)
    with torch.no_grad():
        expected = module(x.clone()).numpy()
    assert_allclose(from_torch(module, x).forward(x.numpy()), expected, rtol=1e-5, atol=1e-6)


def test_a_module_that_writes_over_its_input_does_not_spoil_the_example() -> None:
    """The input is float64, so no cast makes a copy, and the operation is not idempotent."""
    module = Forward(lambda m, x: m.fc(x.add_(x)), fc=nn.Linear(3, 3)).double()
    x = images(4, 3).double()
    kept = x.clone()
    net = from_torch(module, x)
    assert torch.equal(x, kept)
    assert_allclose(net.forward(kept.numpy()), module(x).detach().numpy(), rtol=1e-12)


def test_the_proof_refuses_what_the_trace_cannot_see() -> None:
    """torch.fx records `z += x` as an addition, so `y`, which shares its memory, keeps the old value in the trace."""

    def run(m: Any, x: Any) -> Any:
        z = y = m.fc(x)
        z += x
        return z + y

    module, x = in_place(run)
    with pytest.raises(ConversionError, match=r"differs from the module by .* in-place operation"):
        from_torch(module, x)


def test_the_proof_refuses_a_network_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATIONS, "relu", lambda call: [lrpref.Tanh()])
    with pytest.raises(ConversionError, match="differs from the module by"):
        from_torch(seeded(Functional), images())


# ---- refusals ----------------------------------------------------------------------------------------------------


class Branching(nn.Module):
    def forward(self, x: Any) -> Any:
        return x if x.sum() > 0 else -x


def functional(run: Callable[[Any], Any]) -> Callable[[], Module]:
    """A module that applies a function after a convolution named "conv"."""
    return lambda: Forward(lambda m, x: run(m.conv(x)), conv=nn.Conv2d(3, 4, 3))


REFUSED: dict[str, tuple[Callable[[], Module], str]] = {
    "gelu": (on(nn.GELU), r"node 'part' \(GELU\): unsupported operation\. Supported: Linear, Conv2d, .*torch\.cat"),
    "lstm": (
        lambda: Forward(lambda m, x: m.lstm(x.flatten(1))[0], lstm=nn.LSTM(192, 2)),
        r"node 'lstm' \(LSTM\): unsupported operation",
    ),
    "indices": (
        functional(lambda x: F.max_pool2d(x, 2, return_indices=True)[0]),
        r"\(max_pool2d_with_indices\): unsupported operation",
    ),
    "local response norm": (on(lambda: nn.LocalResponseNorm(2)), "unsupported operation"),
    "transposed": (on(lambda: nn.ConvTranspose2d(4, 2, 3)), r"\(ConvTranspose2d\): unsupported operation"),
    "product": (functional(lambda x: x * x), r"node 'mul' \(mul\): unsupported operation"),
    "subtraction": (functional(lambda x: x - F.relu(x)), r"node 'sub' \(sub\)"),
    "log of anything else": (functional(lambda x: torch.log(F.relu(x) + x)), r"node 'log' \(log\): a logarithm is"),
    "log of a softmax that is read twice": (
        functional(lambda x: (lambda p: torch.log(p) + p)(F.softmax(x, 1))),
        r"node 'log' \(log\): a logarithm is",
    ),
    "a constant": (
        functional(lambda x: x + 1),
        r"node 'add' \(add\): both operands of an addition must be activations",
    ),
    "alpha": (functional(lambda x: torch.add(x, F.relu(x), alpha=2)), r"alpha = 2"),
    "broadcast": (functional(lambda x: x + x.mean((2, 3), keepdim=True)), r"activations of shapes .*6, 6.* and .*1, 1"),
    "cut": (functional(lambda x: x[:, :2]), r"node 'getitem' \(getitem\)"),
    "chunks": (functional(lambda x: torch.chunk(x, 2, 1)[0]), r"node 'chunk' \(chunk\): unsupported operation"),
    "permuted": (functional(lambda x: x.permute(0, 2, 3, 1)), r"\(x\.permute\)"),
    "square": (functional(lambda x: x.view(x.size(0), 2, 2, 36)), r"from \(2, 4, 6, 6\) to \(2, 2, 2, 36\)"),
    "mean of channels": (functional(lambda x: x.mean(1)), r"a mean over 1 is not supported; only over \(2, 3\)"),
    "cat of rows": (functional(lambda x: torch.cat([x, x], 2)), r"torch\.cat along axis 2"),
    "softmax over rows": (functional(lambda x: F.softmax(x, dim=-1)), r"softmax over axis -1"),
    "reflection": (functional(lambda x: F.pad(x, (1, 1, 1, 1), "reflect")), r"mode 'reflect'"),
    "cropping": (functional(lambda x: F.pad(x, (-1, 0, 0, 0))), r"negative padding"),
    "reflection in a convolution": (
        lambda: nn.Sequential(nn.Conv2d(3, 2, 3, padding=1, padding_mode="reflect")),
        "zeros",
    ),
    "pool to 2": (on(lambda: nn.AdaptiveAvgPool2d(2)), r"adaptive pooling to size \(2, 2\)"),
    "pool with a rest": (
        on(lambda: nn.MaxPool2d(4, 4, ceil_mode=True)),
        r"its output has shape .*2, 2\), that of lrpref's layer has .*1, 1\)",
    ),
    "pool with dilation": (on(lambda: nn.MaxPool2d(2, dilation=2)), "dilation"),
    "divisor": (on(lambda: nn.AvgPool2d(2, divisor_override=3)), "divisor_override"),
    "no statistics": (on(lambda: nn.BatchNorm2d(4, track_running_stats=False)), "no running statistics"),
    "dropout for ever": (functional(lambda x: F.dropout(x)), "this dropout is active in eval mode"),
    "a function with weights": (
        lambda: Forward(lambda m, x: F.conv2d(x, m.conv.weight), conv=nn.Conv2d(3, 2, 3)),
        r"node 'conv2d' \(conv2d\): unsupported operation",
    ),
    "two outputs": (functional(lambda x: (x, F.relu(x))), "must return one tensor"),
    "its input": (lambda: Forward(lambda m, x: x), "returns its input"),
    "control flow": (Branching, r"torch\.fx could not trace the module: .*control flow"),
    "a loop over sizes": (functional(lambda x: sum(x.shape) + x), r"could not trace the module: .*if, for, int\(\)"),
    "a module made in forward": (functional(lambda x: nn.ReLU()(x)), r"modules that forward creates, as in nn\.ReLU"),
    "compiled": (lambda: torch.compile(nn.Sequential(nn.ReLU())), r"compiled by torch\.compile; import .*_orig_mod"),
    "scripted": (lambda: torch.jit.script(nn.Sequential(nn.ReLU())), "TorchScript modules cannot be traced"),
    "a scripted part": (lambda: nn.Sequential(torch.jit.script(nn.ReLU())), "TorchScript modules cannot be traced"),
    "features in rows": (lambda: nn.Linear(8, 2), r"node '0' \(Linear\): expected \(N, 8\), got \(2, 3, 8, 8\)"),
    "another shape": (lambda: nn.Linear(5, 2), "the module does not run on the example"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore::UserWarning:torch", "ignore::DeprecationWarning")
def test_refusals_name_the_node_and_the_reason(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ConversionError, match=f"(?s){message}"):
        from_torch(make().eval(), images())


class Two(nn.Module):
    def forward(self, x: Any, y: Any) -> Any:
        return x + y


class Default(nn.Module):
    def forward(self, x: Any, y: float = 2.0, z: Any = None) -> Any:
        return F.relu(x) + y


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Two(), "does not run on the example: .*'y'"),
        (Default(), r"node 'add' \(add\): both operands of an addition must be activations"),
    ],
)
def test_a_network_has_one_input(module: Module, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        from_torch(module, images())


def test_a_second_argument_that_is_not_used_does_no_harm() -> None:
    class Unused(nn.Module):
        def forward(self, x: Any, scale: float = 2.0) -> Any:
            return F.relu(x)

    assert from_torch(Unused(), images()).names == ["relu"]


@pytest.mark.parametrize("given", [np.ones(3), "resnet50", nn.ReLU])
def test_only_modules_are_taken_over(given: Any) -> None:
    with pytest.raises(ConversionError, match=r"expected a torch\.nn\.Module"):
        from_torch(given, images())


@pytest.mark.filterwarnings("ignore::UserWarning:torch")
def test_a_lazy_module_is_asked_to_run_first() -> None:
    with pytest.raises(ConversionError, match="lazy parameters; run it once before the import"):
        from_torch(nn.LazyLinear(2), images(1, 3))


@pytest.mark.filterwarnings("ignore:.*")
def test_an_exported_program_is_refused_by_name() -> None:
    program = torch.export.export(nn.Sequential(nn.Conv2d(3, 2, 3)), (images(),))
    with pytest.raises(ConversionError, match=r"programs of torch\.export are not supported; import the module before"):
        from_torch(program.module(), images())
    with pytest.raises(ConversionError, match=r"expected a torch\.nn\.Module, got ExportedProgram"):
        from_torch(program, images())


@pytest.mark.parametrize("example", ["one", (images(), images()), None])
def test_the_example_is_one_tensor(example: Any) -> None:
    with pytest.raises(ConversionError, match="the example must be one tensor or array"):
        from_torch(nn.ReLU(), example)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(LrprefError, match=r'pip install "lrpref\[torch\]"'):
        from_torch(None, np.ones((1, 3)))


def test_arrays_of_any_tensor() -> None:
    x = torch.ones(2, requires_grad=True)
    assert_array_equal(as_array(x), [1, 1])
    assert as_array(x.bfloat16()).dtype == np.float32
    assert as_array(x.double()).dtype == np.float64
    assert_array_equal(as_array([1, 2]), [1, 2])


def test_the_page_lists_what_is_supported() -> None:
    page = (Path(__file__).parent.parent / "docs" / "import.md").read_text()
    assert SUPPORTED in " ".join(page.split())


@pytest.mark.parametrize("example", [(1.0, [2.0, 3.0]), "x", None])
def test_an_example_that_is_not_a_tensor(example: Any) -> None:
    with pytest.raises(ConversionError, match="the example must be one tensor or array"):
        from_torch(nn.ReLU(), example)
