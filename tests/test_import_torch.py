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
from lrpref.conformance.adapter import NotOffered
from lrpref.conformance.adapters._torch_twin import twin
from lrpref.errors import ConversionError, LrprefError, ShapeError
from lrpref.importers.torch.importer import _by_position
from lrpref.importers.torch.operations import OPERATIONS, PARAMETERS, SUPPORTED
from lrpref.layers import WeightedLayer
from lrpref.weights.state_dict import as_array

torch = pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[torch]'")
nn, F = torch.nn, torch.nn.functional

from torch_forms import FORMS, Forward, Gates, Lists, Optional, Tutorial, images, seeded, small  # noqa: E402
from torch_forms import REFUSED as REFUSED_FORMS  # noqa: E402

Module = Any


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


def channelwise(prelu: Module) -> Module:
    """The module with another weight in every channel."""
    prelu.weight.data = torch.linspace(-0.5, 1.0, prelu.num_parameters)
    return prelu


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
    "features in rows": on(lambda: nn.Linear(6, 2)),
    "without bias": lambda: nn.Sequential(nn.Conv2d(3, 2, 8, bias=False), nn.Flatten(), nn.Linear(2, 2, bias=False)),
    "batch norm without weights": on(lambda: nn.BatchNorm2d(4, eps=1e-2, affine=False)),
    "relu6": on(nn.ReLU6),
    "leaky": on(lambda: nn.LeakyReLU(0.2, inplace=True)),
    "local response norm": on(lambda: nn.LocalResponseNorm(3, 0.5, 0.6, 2.0)),
    "sigmoid": on(nn.Sigmoid),
    "tanh": on(nn.Tanh),
    "celu": on(lambda: nn.CELU(0.5)),
    "elu": on(lambda: nn.ELU(0.5, inplace=True)),
    "gelu": on(nn.GELU),
    "gelu by tanh": on(lambda: nn.GELU("tanh")),
    "hard sigmoid": on(nn.Hardsigmoid),
    "hard swish": on(nn.Hardswish),
    "hard tanh": on(lambda: nn.Hardtanh(-0.25, 0.5)),
    "mish": on(nn.Mish),
    "prelu": on(lambda: nn.PReLU(init=0.125)),
    "prelu per channel": on(lambda: channelwise(nn.PReLU(4))),
    "rrelu": on(nn.RReLU),
    "rrelu with bounds": on(lambda: nn.RReLU(0.25, 0.5)),
    "selu": on(nn.SELU),
    "silu": on(nn.SiLU),
    "softplus": on(nn.Softplus),
    "softplus, bent early": on(lambda: nn.Softplus(2, 0.5)),
    "softsign": on(nn.Softsign),
    "threshold": on(lambda: nn.Threshold(0.25, 1)),
    "F.celu": on(None, lambda m, x: F.celu(x, 0.5) + torch.celu(x) + F.celu_(x, alpha=2.0)),
    "F.elu": on(None, lambda m, x: F.elu(x, alpha=0.5) + F.elu(x)),
    "F.gelu": on(None, lambda m, x: F.gelu(x, approximate="tanh") + F.gelu(x)),
    "F.hardsigmoid": on(None, lambda m, x: F.hardsigmoid(x)),
    "F.hardswish": on(None, lambda m, x: F.hardswish(x)),
    "F.hardtanh": on(None, lambda m, x: F.hardtanh(x) + F.hardtanh(x, max_val=0.5)),
    "F.mish": on(None, lambda m, x: F.mish(x)),
    "F.rrelu": on(None, lambda m, x: F.rrelu(x)),
    "F.selu": on(None, lambda m, x: F.selu(x) + torch.selu(x)),
    "F.silu": on(None, lambda m, x: F.silu(x, inplace=True)),
    "F.softplus": on(None, lambda m, x: F.softplus(x) + F.softplus(x, 2.0, 0.25)),
    "F.softsign": on(None, lambda m, x: F.softsign(x)),
    "F.threshold": on(None, lambda m, x: F.threshold(x, 0.5, -1.0)),
    "torch.clamp": on(None, lambda m, x: torch.clamp(x, -0.25, 0.5) + torch.clip(x, max=0.25)),
    "x.clamp": on(None, lambda m, x: x.clamp(min=-0.25) + x.clip(-1, 1)),
    "x.clamp_min": on(None, lambda m, x: x.clamp_min(0.125) + torch.clamp_max(x, 0.25) + x.clamp_(0, float("inf"))),
    "max pool": on(lambda: nn.MaxPool2d((3, 2), (2, 1), (1, 0))),
    "max pool up": on(lambda: nn.MaxPool2d(2, ceil_mode=True)),  # 6 is divisible by 2, so ceil_mode has no effect
    "max pool with a rest": on(lambda: nn.MaxPool2d(4, 4, ceil_mode=True)),
    "max pool with dilation": on(lambda: nn.MaxPool2d(2, dilation=2)),
    "average pool": on(lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
    "average pool by another divisor": on(lambda: nn.AvgPool2d(2, divisor_override=3)),
    "average pool with padding": on(lambda: nn.AvgPool2d(3, 2, 1)),
    "zero pad": on(lambda: nn.ZeroPad2d((1, 2, 0, 3))),
    "reflection": on(None, lambda m, x: F.pad(x, (1, 0, 2, 1), "reflect")),
    "reflection in a convolution": on(lambda: nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect")),
    "transposed": on(lambda: nn.ConvTranspose2d(4, 2, 3, 2, 1, output_padding=1)),
    "constant pad": on(lambda: nn.ConstantPad2d((1, 0, 2, 1), 0.5)),
    "adaptive pool to 4": on(lambda: nn.AdaptiveAvgPool2d(4)),
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


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.filterwarnings("ignore:.*")
def test_the_network_computes_what_the_module_does_however_it_is_written(name: str) -> None:
    module = seeded(FORMS[name])
    net = from_torch(module, images())
    other = images(5, 3, 8, 8)
    with torch.no_grad():
        expected = module.eval()(other.clone()).numpy()
    assert_allclose(net.forward(other.numpy()), expected, rtol=2e-4, atol=2e-5)


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


def test_a_buffer_in_float64_does_not_widen_the_network() -> None:
    """As encodings of positions that NumPy computed; the module casts them, since torch would refuse to mix them."""

    class Encoded(nn.Module):
        def __init__(self, parameters: bool) -> None:
            super().__init__()
            self.register_buffer("encoding", torch.linspace(0, 1, 6, dtype=torch.float64).reshape(2, 3))
            self.fc = nn.Linear(3, 2) if parameters else nn.Identity()

        def forward(self, x: Any) -> Any:
            return self.fc(x + self.encoding.to(x.dtype))

    module, x = Encoded(True), images(1, 2, 3)
    for program in (module, torch.export.export(module.eval(), (x,))):
        net = from_torch(program, x)
        assert net.dtype == net.forward(x.numpy()).dtype == np.float32
        assert lrpref.explain(net, x.numpy()).dtype == np.float32
    assert from_torch(Encoded(False), x).dtype == np.float64


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
    "adaptive pooling to its own size": (
        pooled(lambda m, x: m.pool(x), pool=nn.AdaptiveAvgPool2d(4)),
        r"node 'pool' \(AdaptiveAvgPool2d\): its windows have one cell each at that size; import again",
    ),
    "a kernel as large as the image": (
        pooled(lambda m, x: F.avg_pool2d(x, x.size()[2:])), r"forward computes with the sizes of images \(.*\.py:\d+\)",
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
    "ceil_mode": pooled(lambda m, x: m.pool(x), pool=nn.MaxPool2d(2, ceil_mode=True)),
    "ceil_mode of a function": pooled(lambda m, x: F.avg_pool2d(x, 2, ceil_mode=True)),
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


def test_an_assignment_in_place_changes_what_shares_the_memory() -> None:
    def run(m: Any, x: Any) -> Any:
        z = y = m.fc(x)
        z += x
        return z + y

    module, x = in_place(run)
    assert_allclose(from_torch(module, x).forward(x.numpy()), module(x).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_the_proof_refuses_what_the_trace_cannot_see() -> None:
    """A view shares the memory that is overwritten, and has another shape."""
    module, x = in_place(lambda m, x: (lambda z: (lambda y: m.relu(z) + y.view(4, 3))(z.view(4, 1, 3)))(m.fc(x)))
    with pytest.raises(ConversionError, match=r"is not supported|differs from the module by .* hooks"):
        from_torch(module, x)

    hooked = small().eval()
    hooked[2].register_forward_hook(lambda part, x, y: y * 2)
    with pytest.raises(ConversionError, match=r"differs from the module by .* hooks"):
        from_torch(hooked, images())


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


REFUSED: dict[str, tuple[Callable[[], Module], str]] = REFUSED_FORMS | {
    "random rrelu": (on(None, lambda m, x: F.rrelu(x, training=True)), "this rrelu is random in eval mode"),
    "hardshrink": (
        on(nn.Hardshrink),
        r"node 'part' \(Hardshrink\): unsupported operation\. Supported: Linear, Conv1d.*torch\.cat",
    ),
    "lstm": (
        lambda: Forward(lambda m, x: m.lstm(x.flatten(1))[0], lstm=nn.LSTM(192, 2)),
        r"node 'lstm' \(LSTM\): unsupported operation",
    ),
    "norm of a length": (functional(lambda x: F.normalize(x, dim=1)), "unsupported operation"),
    "log of anything else": (functional(lambda x: torch.log(F.relu(x) + x)), r"node 'log' \(log\): a logarithm is"),
    "log of a softmax that is read twice": (
        functional(lambda x: (lambda p: torch.log(p) + p)(F.softmax(x, 1))),
        r"node 'log' \(log\): a logarithm is",
    ),
    "broadcast": (functional(lambda x: x + x.mean((2, 3), keepdim=True)), r"activations of shapes .*6, 6.* and .*1, 1"),
    "cat of samples": (functional(lambda x: torch.cat([x, x])), r"torch\.cat along axis 0, the batch axis"),
    "softmax over samples": (functional(lambda x: F.softmax(x, dim=0)), "a softmax over axis 0 mixes the samples"),
    "bicubic": (functional(lambda x: F.interpolate(x, scale_factor=2, mode="bicubic")), "in mode 'bicubic' is not"),
    "cropping": (functional(lambda x: F.pad(x, (-1, 0, 0, 0))), r"negative padding"),
    "no statistics": (on(lambda: nn.BatchNorm2d(4, track_running_stats=False)), "no running statistics"),
    "dropout for ever": (functional(lambda x: F.dropout(x)), "this dropout is active in eval mode"),
    "its input among others": (lambda: Forward(lambda m, x: (F.relu(x), x)), "returns its input"),
    "its input": (lambda: Forward(lambda m, x: x), "returns its input"),
    "control flow": (Branching, r"test_import_torch\.py:\d+: forward depends on the values of activations"),
    "a sum of sizes": (
        functional(lambda x: sum(x.shape) + x),
        "computes with the number of samples, .* random numbers of shape .* differs",
    ),
    "scripted": (lambda: torch.jit.script(nn.Sequential(nn.ReLU())), "TorchScript modules cannot be traced"),
    "a scripted part": (lambda: nn.Sequential(torch.jit.script(nn.ReLU())), "TorchScript modules cannot be traced"),
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


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Two(), "does not run on the example: .*'y'"),
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


@pytest.mark.parametrize("make", [small, Lists, Tutorial, Gates, Residual, Functional, Dense2])
@pytest.mark.filterwarnings("ignore:.*")
def test_a_program_of_torch_export_is_a_module(make: Callable[[], Module]) -> None:
    module = seeded(make)
    program = torch.export.export(module, (images(),))
    expected = from_torch(module, images()).forward(images().numpy())
    for given in (program, program.module(), program.run_decompositions()):
        assert_allclose(from_torch(given, images()).forward(images().numpy()), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "run",
    [
        lambda m, x: (lambda a, b: torch.cat([b, a], 1))(*x.chunk(2, 1)),
        lambda m, x: torch.cat(torch.chunk(x, 2, dim=1)[::-1], 1),
        lambda m, x: torch.cat(x.chunk(2, dim=-3), 1),
        lambda m, x: x.chunk(2, 1)[-1],
    ],
)
def test_operations_that_return_several_tensors(
    run: Callable[[Any, Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One layer for each part that is used."""

    def cut(call: Any) -> list[lrpref.layers.Layer]:
        half = np.eye(4)[2 * call.part : 2 * call.part + 2]
        return [lrpref.Conv2D(half[:, :, None, None])]

    monkeypatch.setitem(OPERATIONS, "chunk", cut)
    monkeypatch.setitem(PARAMETERS, "chunk", "input chunks dim")
    module, x = Forward(run), images(2, 4, 3, 3)
    assert_allclose(from_torch(module, x).forward(x.numpy()), module(x).numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("names", "given", "told"),
    [
        ("input dim", ("x", 1), {"input": "x", "dim": 1}),
        ("input dim keepdim", ("x",), {"input": "x"}),
        ("input", ("x", 2, 3), {"input": "x"}),
        ("input *dims", ("x", 0, 2, 1), {"input": "x", "dims": (0, 2, 1)}),
        ("input *dims", ("x", [0, 2, 1]), {"input": "x", "dims": [0, 2, 1]}),
        ("input *dims", ("x", 2), {"input": "x", "dims": (2,)}),
        ("input *dims", ("x",), {"input": "x"}),
    ],
)
def test_positional_arguments_get_their_names(names: str, given: tuple[Any, ...], told: dict[str, Any]) -> None:
    assert _by_position(names.split(), given) == told


def test_a_module_that_is_used_twice_may_differ_in_its_layers() -> None:
    pool = nn.AdaptiveAvgPool2d((4, 4))
    module = Forward(lambda m, x: m.pool(F.relu(m.pool(x))) + m.pool(x), pool=pool)
    assert from_torch(module, images(2, 3, 4, 4)).names == ["relu", "add"]
    norm = Forward(lambda m, x: m.drop(F.relu(m.drop(x))), drop=nn.Dropout(0.25))
    net = from_torch(norm, images(2, 3))
    assert net.names == ["drop", "relu", "drop_1"]


def test_stochastic_depth_of_torchvision_is_a_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the module of that name, whose function torch.fx does not follow."""

    class StochasticDepth(nn.Module):
        p = 0.25

        def forward(self, x: Any) -> Any:
            assert not isinstance(x, torch.fx.Proxy)
            return x

    for part in (StochasticDepth, StochasticDepth.forward):
        monkeypatch.setattr(part, "__module__", "torchvision.ops.stochastic_depth")
    (layer,) = [layer for _, layer, _ in from_torch(nn.Sequential(StochasticDepth()), images()).nodes]
    assert isinstance(layer, lrpref.Dropout)
    assert layer.p == 0.25


def test_layers_have_the_names_of_their_weights() -> None:
    module = Forward(lambda m, x: F.linear(m.mine(x), m.mine.weight), mine=torch.nn.Linear(3, 3))
    assert from_torch(module, images(2, 3)).names == ["mine", "linear"]


def test_a_constant_added_to_a_product_becomes_its_bias() -> None:
    net = from_torch(seeded(FORMS["matrix product"]), images())
    assert [type(layer) for _, layer, _ in net.nodes] == [lrpref.Flatten, lrpref.Dense, lrpref.Dense]
    assert net["matmul"].bias is not None


def test_a_product_that_is_read_twice_stays_without_bias() -> None:
    run = lambda m, x: (lambda z: (z.clone() + m.b) + z)(x @ m.w)  # noqa: E731
    module = Forward(run, w=images(3, 3), b=images(3))
    net = from_torch(module, images(2, 3))
    assert net["matmul"].bias is None
    assert_allclose(net.forward(images(2, 3).numpy()), module(images(2, 3)).numpy(), rtol=1e-5, atol=1e-6)


def test_a_squeeze_that_removes_the_samples_is_named() -> None:
    module = Forward(lambda m, x: F.adaptive_avg_pool2d(x, 1).squeeze())
    with pytest.raises(ConversionError, match=r"removes the batch axis when there is one sample; use x\.flat"):
        from_torch(module, images(1, 3, 8, 8))


def test_decisions_by_sizes_hold_at_that_size_only() -> None:
    net = from_torch(seeded(Gates), images())
    assert net.input_shape == (3, 8, 8)
    assert "torch_forms.py:" in net.fixed_by


def test_assertions_hold_at_every_size_and_decisions_by_channels_for_their_number() -> None:
    """The layers of these modules take any number of channels."""

    def run(m: Any, x: Any) -> Any:
        assert x.shape[2] > 1
        if x.dim() != 4 or x.ndim != 4 or len(x.shape) != 4:
            return F.relu(x)
        return torch.tanh(x)

    assert from_torch(Forward(run), images()).input_shape is None
    net = from_torch(Forward(lambda m, x: torch.tanh(x) if x.size(1) == 3 else F.relu(x)), images())
    assert (net.names, net.input_shape) == (["tanh"], (3, None, None))


# ---- the number of tokens ----------------------------------------------------------------------------------------

TOKENS, OTHERS = images(2, 5, 4), images(3, 7, 4)


def embedded(step: Callable[[Any, Any], Any]) -> Callable[[], Module]:
    """A module for indices of words: a function, with an embedding of nine words as m.words."""
    return lambda: Forward(step, words=nn.Embedding(9, 4))


OF_ANY_LENGTH: dict[str, tuple[Callable[[], Module], Any, Any]] = {
    "attention": (
        lambda: Forward(lambda m, x: m.att(x, x, x)[0], att=nn.MultiheadAttention(4, 2, batch_first=True)),
        TOKENS,
        OTHERS,
    ),
    "attention of one token": (
        lambda: Forward(lambda m, x: m.att(x, x, x)[0], att=nn.MultiheadAttention(4, 2, batch_first=True)),
        TOKENS[:, :1],
        OTHERS,
    ),
    "products": (lambda: Forward(lambda m, x: torch.bmm(x, x.transpose(1, 2))), TOKENS, OTHERS),
    "an embedding of a slice": (embedded(lambda m, x: m.words(x[:, 1:])), torch.tensor([[3, 1, 2]]), torch.ones(2, 6)),
}


@pytest.mark.parametrize("name", OF_ANY_LENGTH)
def test_sequences_of_another_length_are_right_where_that_is_proven(name: str) -> None:
    make, example, other = OF_ANY_LENGTH[name]
    module = seeded(make)
    found = from_torch(module, example).forward(as_array(other).astype(np.float32))
    expected = module(other.long() if "embedding" in name else other).detach().numpy()
    assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


HELD: dict[str, Callable[[], Module]] = {
    "a number in the code": lambda: Forward(lambda m, x: x.sum(1, keepdim=True) / x.size(1)),
    "a decision": lambda: Forward(lambda m, x: F.relu(x) if x.size(1) < 12 else torch.tanh(x)),
    "a loop": lambda: Forward(lambda m, x: sum(F.relu(step) for step in x.unbind(1))),
    "a half": lambda: Forward(lambda m, x: F.relu(x.chunk(2, 1)[0])),
    "the last one": lambda: Forward(lambda m, x: F.relu(x[:, x.size(1) - 1 :])),
    "an embedding": embedded(lambda m, x: m.words(x) if x.size(1) < 12 else 2 * m.words(x)),
    "an embedding of a part": embedded(lambda m, x: m.words(x[:, : min(12, x.size(1))])),
}


@pytest.mark.parametrize("name", HELD)
def test_sequences_of_another_length_are_refused_where_the_code_depends_on_it(name: str) -> None:
    """Axis 1 holds channels or features, whose number the layers fix, or tokens, whose number they do not."""
    example = torch.tensor([[3, 1, 2, 0, 8]]) if "embedding" in name else TOKENS
    net = from_torch(seeded(HELD[name]), example)
    with pytest.raises(
        ShapeError, match=r"accepts inputs of shape \(N, 5.*\), got \(3, 7.*import again|check on inputs"
    ):
        net.forward(np.ones((3, 7) if "embedding" in name else (3, 7, 4)))


def test_the_mask_of_a_single_token_holds_for_one() -> None:
    """It hides nothing there, so it vanishes; torch's own hides what comes later."""
    module = Forward(
        lambda m, x: torch.bmm(x, x.transpose(1, 2)).masked_fill(torch.ones(x.size(1), x.size(1)).triu(1) > 0, -1e9)
    )
    with pytest.raises(ShapeError, match=r"accepts inputs of shape \(N, 1, any\)"):
        from_torch(module, TOKENS[:, :1]).forward(as_array(TOKENS))


def test_sequences_among_several_inputs_are_held_to_the_length_of_the_example() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.table = nn.Embedding(9, 4), nn.Linear(3, 4)

        def forward(self, words: Any, table: Any) -> Any:
            return self.words(words).sum(1) / words.size(1) + self.table(table)

    net = from_torch(seeded(Two), (torch.tensor([[1, 2, 3]]), torch.ones(1, 3)))
    assert net.input_shape == ((3,), None)


MASKS: dict[str, Any] = {"infinity": -np.inf, "float32": torch.finfo(torch.float32).min, "own": None}
"""What hides a score; None for the least number of the dtype that forward sees."""


@pytest.mark.parametrize("name", MASKS)
def test_the_least_number_of_a_dtype_hides_as_infinity_does(name: str) -> None:
    def run(m: Any, x: Any) -> Any:
        hidden = torch.ones(5, 5).triu(1) > 0
        low = torch.finfo(x.dtype).min if MASKS[name] is None else MASKS[name]
        mask = torch.zeros(5, 5).masked_fill(hidden, low)
        filled = torch.bmm(x, x.transpose(1, 2)).masked_fill(hidden, low).softmax(-1) @ x
        return F.scaled_dot_product_attention(x, x, x, attn_mask=mask) + filled

    net = from_torch(Forward(run), TOKENS)
    assert net.dtype == np.float32
    assert_allclose(net.forward(as_array(TOKENS)), run(None, TOKENS).numpy(), rtol=1e-4, atol=1e-6)


def test_the_function_of_an_embedding_and_a_class_of_ones_own() -> None:
    class Scaled(nn.Embedding):
        def forward(self, x: Any) -> Any:
            return 2 * super().forward(x)

    x = torch.tensor([[3, 1, 2]])
    net = from_torch(seeded(lambda: Scaled(9, 4)), x)
    assert [type(layer).__name__ for _, layer, _ in net.nodes][:1] == ["Embedding"]
    assert_allclose(net.forward(as_array(x)), seeded(lambda: Scaled(9, 4))(x).detach().numpy(), rtol=1e-6)


LEARNED = r"its queries, keys or values are constants, such as learned tokens; all three must depend on"


@pytest.mark.parametrize(
    "run",
    [
        lambda m, x: m.att(m.probe.expand(len(x), -1, -1), x, x)[0],
        lambda m, x: m.att(x, *2 * [m.probe.expand(len(x), -1, -1)])[0],
        lambda m, x: F.scaled_dot_product_attention(m.probe.expand(len(x), -1, -1), x, x),
        lambda m, x: F.scaled_dot_product_attention(x, *2 * [m.probe.expand(len(x), -1, -1)]),
    ],
)
def test_attention_of_learned_tokens_is_refused(run: Callable[[Any, Any], Any]) -> None:
    module = Forward(run, att=nn.MultiheadAttention(4, 2, batch_first=True), probe=nn.Parameter(images(1, 1, 4)))
    with pytest.raises(ConversionError, match=LEARNED):
        from_torch(module, TOKENS)


def test_decisions_by_the_number_of_samples_are_tried_with_another_number() -> None:
    harmless = Forward(lambda m, x: F.relu(x if len(x) > 1 else x.clone()))
    assert from_torch(harmless, images()).names == ["relu"]
    harmful = Forward(lambda m, x: F.relu(x) if x.shape[0] > 1 else torch.tanh(x))
    with pytest.raises(
        ConversionError, match=r"computes with the number of samples, .* random numbers of shape .* differs"
    ):
        from_torch(harmful, images())


def test_the_wrong_kind_of_thing_comes_with_its_remedy() -> None:
    with pytest.raises(ConversionError, match="got OrderedDict; a state dict has no graph: build the module"):
        from_torch(small().state_dict(), images())
    with pytest.raises(ConversionError, match="got type; make an instance of the class"):
        from_torch(Optional, images())


def test_what_happens_to_be_right_on_the_example_is_tried_on_random_numbers() -> None:
    whole = torch.arange(12.0).view(2, 6)
    with pytest.raises(ConversionError, match=r"node 'to' \(x\.to\): its result has the dtype torch\.int32"):
        from_torch(Forward(lambda m, x: F.relu(x.to(torch.int32).float())), whole)
    with pytest.raises(ConversionError, match=r"on random numbers of shape \(2, 6\), .* differs from the module"):
        from_torch(Forward(lambda m, x: F.relu(x if isinstance(x, torch.fx.Proxy) else x.abs())), whole)


def test_half_precision_is_computed_in_float64() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        module = seeded(small).to(dtype)
        net = from_torch(module, images().to(dtype))
        assert net.dtype == np.float32
        expected = copy.deepcopy(module).float()(images()).detach().numpy()
        assert_allclose(net.forward(images().numpy()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("example", ["one", None])
def test_the_example_is_one_tensor(example: Any) -> None:
    with pytest.raises(ConversionError, match="the example must be one tensor or array"):
        from_torch(nn.ReLU(), example)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(LrprefError, match=r"pip install torch"):
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


# ---- and back ----------------------------------------------------------------------------------------------------

ACTIVATIONS = [
    *(lrpref.CELU(0.5), lrpref.Clip(-0.5, 1.0), lrpref.Clip(-0.5), lrpref.Clip(None, 0.5), lrpref.ELU(0.5)),
    *(lrpref.GELU(), lrpref.GELU("tanh"), lrpref.HardSigmoid(), lrpref.HardSwish(), lrpref.HardTanh(-0.5, 1.0)),
    *(lrpref.LeakyReLU(0.3), lrpref.Mish(), lrpref.PReLU(0.5), lrpref.PReLU([0.5, -0.25, 1.0]), lrpref.ReLU()),
    *(lrpref.ReLU6(), lrpref.SELU(), lrpref.SiLU(), lrpref.Sigmoid(), lrpref.Softplus(2.0, 1.0), lrpref.Softsign()),
    *(lrpref.Tanh(), lrpref.Threshold(0.5, -1.0)),
]


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=repr)
def test_an_activation_has_torchs_values(layer: lrpref.Layer) -> None:
    """Its module computes the same on either side of every bend, and is imported as the same layer."""
    net = lrpref.Network([("act", layer, ["input"])])
    module, x = twin(net).double(), np.linspace(-25, 25, 303).reshape(-1, 3)
    assert_allclose(net.forward(x), module(torch.tensor(x)).detach().numpy(), rtol=1e-14, atol=2e-15)
    (node,) = from_torch(module, x).nodes
    assert type(node.layer) is (lrpref.HardTanh if layer is ACTIVATIONS[1] else type(layer))  # of two bounds


@pytest.mark.parametrize("layer", [lrpref.HardSwish(2.0), lrpref.HardSigmoid(width=5.0), lrpref.SELU(1.5)], ids=repr)
def test_torch_has_no_parameters_for_these(layer: lrpref.Layer) -> None:
    with pytest.raises(NotOffered, match="has no parameters"):
        twin(lrpref.Network([("act", layer, ["input"])]))


# ---- several inputs ----------------------------------------------------------------------------------------------


class ImageAndTable(nn.Module):
    """Features of an image beside those of a table; the submodule and the argument are both called "table"."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.table = nn.Linear(5, 6)
        self.fc = nn.Linear(10, 3)

    def forward(self, image: Any, table: Any, scale: float = 2.0) -> Any:
        features = F.adaptive_avg_pool2d(torch.relu(self.conv(image)), 1).flatten(1)
        return self.fc(torch.cat([features, F.relu(self.table(table))], 1))


def test_several_tensors_become_several_inputs() -> None:
    """They have the names that forward gives them; images are held to the size of the example."""
    torch.manual_seed(0)
    module, x = ImageAndTable().double().eval(), (torch.randn(2, 3, 8, 8).double(), torch.randn(2, 5).double())
    net = from_torch(module, x)
    assert (net.inputs, net.input_shape) == (("image", "table"), ((3, 8, 8), None))
    assert net.node("table_1").inputs == ("table",)
    given = tuple(as_array(part) for part in x)
    assert_allclose(net(given), as_array(module(*x)), rtol=1e-9)
    R = lrpref.explain(net, given, 1, rule="zero")
    gradients = torch.autograd.grad(module(*(part.requires_grad_() for part in x))[:, 1].sum(), x)
    for part, relevance, gradient in zip(given, R, gradients, strict=True):
        assert_allclose(relevance, part * as_array(gradient), rtol=1e-7, atol=1e-12)
    with pytest.raises(ShapeError, match=r"input 'image' of shape .* checked at one size"):
        net((np.zeros((2, 3, 9, 9)), given[1]))


def test_a_tuple_of_one_tensor_is_one_input() -> None:
    assert from_torch(nn.Linear(3, 2), (torch.ones(2, 3),)).inputs == ("input",)


def test_a_wrong_number_of_tensors_is_refused() -> None:
    x = torch.randn(2, 3, 8, 8), torch.randn(2, 5)
    for example in (x[0], x[:1], (*x, x[1], x[1])):
        with pytest.raises(ConversionError, match="does not run on the example"):
            from_torch(ImageAndTable(), example)


def test_an_exported_program_of_several_inputs() -> None:
    x = torch.randn(2, 3, 8, 8), torch.randn(2, 5)
    program = torch.export.export(ImageAndTable().eval(), x)
    assert from_torch(program, x).inputs == ("image", "table")


# ---- several outputs, and sizes of signals -------------------------------------------------------------------------


RETURNED: dict[str, Callable[[Any, Any], Any]] = {
    "tuple": lambda a, b: (a, b),
    "list in a tuple": lambda a, b: (a, [b]),
    "dict": lambda a, b: {"box": a, "class": b},
    "twice": lambda a, b: (a, b, a),
    "one after the other": lambda a, b: (a, F.relu(a)),
    "chunks": lambda a, b: torch.chunk(a, 2, dim=1),
}


@pytest.mark.parametrize("name", RETURNED)
def test_several_results_become_several_outputs(name: str) -> None:
    run = RETURNED[name]
    module = seeded(
        lambda: Forward(
            lambda m, x: run(m.a(F.relu(m.fc(x))), m.b(F.relu(m.fc(x)))),
            fc=nn.Linear(5, 6), a=nn.Linear(6, 4), b=nn.Linear(6, 3),
        )
    )  # fmt: skip
    x = torch.randn(4, 5)
    net, twin = from_torch(module, x).astype(np.float64), copy.deepcopy(module).double()
    returned = twin(x.double())
    flat = (
        returned.values()
        if isinstance(returned, dict)
        else [*returned[:1], *returned[1]]
        if "list" in name
        else returned
    )
    expected = [as_array(each) for each in dict.fromkeys(flat)]
    found = net(as_array(x))
    assert len(found) == len(expected) == 2
    for a, b in zip(found, expected, strict=True):
        assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_result_that_is_one_tensor_in_a_tuple_is_one_output() -> None:
    net = from_torch(Forward(lambda m, x: (m.fc(x),), fc=nn.Linear(5, 2)), torch.randn(3, 5))
    assert net.outputs == ("fc",)
    assert net(np.ones((3, 5))).shape == (3, 2)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_several_outputs_and_sizes(axes: int) -> None:
    """A kernel that is computed from the size holds for that size only, however many axes and outputs there are."""
    pool = (None, F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[axes]
    conv = (None, nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes]
    x = torch.randn(2, 3, *(6,) * axes)
    fixed = Forward(lambda m, x: (pool(m.conv(x), x.shape[2:]), m.conv(x)), conv=conv(3, 4, 3, padding=1))
    net = from_torch(fixed, x)
    assert net.input_shape == (3, *(6,) * axes)
    with pytest.raises(ShapeError, match="at that size; import again"):
        net(np.ones((1, 3, *(12,) * axes)))
    free = Forward(lambda m, x: (m.conv(x).mean(tuple(range(2, 2 + axes))), m.conv(x)), conv=conv(3, 4, 3, padding=1))
    net = from_torch(free, x)
    assert net.input_shape is None
    assert net(np.ones((1, 3, *(7,) * axes)))[1].shape == (1, 4, *(7,) * axes)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_a_softmax_along_any_axis(axis: int) -> None:
    """Along axis 1, it is the head of the network; along another one, the axes move, and there is none."""
    module = Forward(lambda m, x: F.log_softmax(m.conv(x), dim=axis), conv=nn.Conv2d(3, 4, 3))
    net = from_torch(module, torch.randn(2, 3, 6, 6))
    assert (net.head is not None) == (axis == 1)
    assert "conv" in net.names
