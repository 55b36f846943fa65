"""The model builders: published parameter counts and names, and the same forward pass as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from graphs import trained_like
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import BatchNorm, Conv2D, Dense, MaxPool2D, Network, Scale, models
from lrpref.errors import ParameterError, WeightsError
from lrpref.zoo.models import blueprint

CIFAR = {"num_classes": 10, "input_shape": (3, 32, 32)}

Builder = Callable[..., Network]

SMALL: dict[str, Callable[..., Network]] = {
    "simple_cnn": lambda **more: models.simple_cnn(width=0.25, **more),
    "simple_cnn bn": lambda **more: models.simple_cnn(width=0.25, batch_norm=True, **more),
    "vgg16": lambda **more: models.vgg16(width=0.0625, **CIFAR, **more),
    "vgg19 bn": lambda **more: models.vgg19(width=0.0625, batch_norm=True, **CIFAR, **more),
    "resnet20 A": lambda **more: models.resnet20("A", width=0.25, **more),
    "resnet20 B": lambda **more: models.resnet20("B", width=0.25, **more),
    "resnet50": lambda **more: models.resnet50(width=0.0625, **CIFAR, **more),
}
"""A small network of every kind."""


def image_shape(net: Network) -> tuple[int, ...]:
    """The shape of a batch of one for a network of `SMALL`."""
    first = next(layer for _, layer, _ in net.nodes if isinstance(layer, Conv2D))
    return (1, 1, 28, 28) if first.weight.shape[1] == 1 else (1, 3, 32, 32)


def learned(net: Network) -> int:
    """The number of parameters as papers count them: without running statistics and the zeros of shortcut A."""
    kinds = (Conv2D, Dense, BatchNorm)
    layers = [layer for _, layer, _ in net.nodes if isinstance(layer, kinds)]
    return sum(a.size for layer in layers for a in (layer.weight, layer.bias) if a is not None)


# ---- sizes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "options", "count"),
    [
        (models.vgg16, {}, 138_357_544),
        (models.vgg16, {"batch_norm": True}, 138_365_992),
        (models.vgg19, {}, 143_667_240),
        (models.vgg19, {"batch_norm": True}, 143_678_248),
        (models.resnet50, {}, 25_557_032),
        (models.resnet20, {"shortcut": "A"}, 269_722),  # "0.27M" in He et al. 2016, table 6
        (models.resnet20, {"shortcut": "B"}, 272_474),
    ],
)
def test_parameters_are_as_many_as_published(build: Builder, options: dict[str, Any], count: int) -> None:
    assert learned(build(seed=None, **options)) == count


def test_a_graph_without_weights_takes_no_memory() -> None:
    held = models.vgg16(seed=None).parameters.values()
    assert all(not any(a.strides) for a in held)  # each is a view of a single number
    assert all(not a.any() for a in held)


def test_shapes_at_full_size() -> None:
    shapes = models.vgg16(seed=None).shapes((2, 3, 224, 224))
    assert shapes["features.30"] == (2, 512, 7, 7)
    assert shapes["classifier.0"] == (2, 4096)
    assert shapes["classifier.6"] == (2, 1000)
    shapes = models.resnet50(seed=None).shapes((2, 3, 224, 224))  # He et al. 2016, table 1
    found = {shapes[f"layer{stage}.{last}.relu3"] for stage, last in ((1, 2), (2, 3), (3, 5), (4, 2))}
    assert found == {(2, 256, 56, 56), (2, 512, 28, 28), (2, 1024, 14, 14), (2, 2048, 7, 7)}
    assert shapes["conv1"] == (2, 64, 112, 112)
    assert shapes["layer2.0.conv1"] == (2, 128, 56, 56)  # torchvision strides in the 3 x 3, the paper here
    assert shapes["maxpool"] == (2, 64, 56, 56)


def test_small_images_get_the_form_that_is_usual_for_them() -> None:
    net = models.resnet50(seed=None, **CIFAR)
    stem = net["conv1"]
    assert isinstance(stem, Conv2D)
    assert (stem.weight.shape, stem.stride, stem.padding) == ((64, 3, 3, 3), (1, 1), (1, 1, 1, 1))
    assert not any(isinstance(layer, MaxPool2D) for _, layer, _ in net.nodes)
    assert net.shapes((1, 3, 32, 32))["layer4.2.add"] == (1, 2048, 4, 4)
    shapes = models.vgg19(seed=None, **CIFAR).shapes((1, 3, 32, 32))
    assert shapes["features.36"] == (1, 512, 1, 1)
    assert shapes["classifier.0"] == (1, 512)
    pooled = models.resnet50(seed=None, stem_pool=True, **CIFAR).shapes((1, 3, 32, 32))
    assert (pooled["conv1"], pooled["layer1.0.conv1"]) == ((1, 64, 32, 32), (1, 64, 16, 16))
    large = models.resnet50(seed=None, input_shape=(3, 64, 64))["conv1"]
    assert isinstance(large, Conv2D)
    assert large.weight.shape == (64, 3, 7, 7)


@pytest.mark.parametrize("width", [0.25, 2.0])
def test_width_is_a_factor_for_all_channels(width: float) -> None:
    full, other = (models.resnet50(seed=None, width=w, **CIFAR) for w in (1.0, width))
    assert full.names == other.names
    for name, layer, _ in full.nodes:
        if isinstance(layer, Conv2D):
            inside = 1 if name == "conv1" else width
            out, channels, *kernel = layer.weight.shape
            assert other[name].weight.shape == (width * out, inside * channels, *kernel)  # type: ignore[attr-defined]


def test_the_narrowest_network_has_one_channel() -> None:
    net = models.vgg16(width=1e-9, **CIFAR)
    assert net.forward(np.ones((1, 3, 32, 32), np.float32)).shape == (1, 10)
    assert net.shapes((1, 3, 32, 32))["features.28"] == (1, 1, 2, 2)


def test_the_simple_cnn_is_what_mnist_cnn_is() -> None:
    for name in ("mnist-cnn", "mnist-cnn-bn"):
        known, built = lrpref.load(name), models.simple_cnn(batch_norm=name.endswith("bn"))
        kinds = [[(n, type(layer), inputs) for n, layer, inputs in net.nodes] for net in (known, built)]
        assert kinds[0] == kinds[1]
        assert {k: v.shape for k, v in known.parameters.items()} == {k: v.shape for k, v in built.parameters.items()}


# ---- names -----------------------------------------------------------------------------------------------------


def weighted(net: Network) -> list[str]:
    """The nodes with learned parameters, in order."""
    return [name for name, layer, _ in net.nodes if isinstance(layer, Conv2D | Dense | BatchNorm)]


@pytest.mark.parametrize(
    ("build", "batch_norm", "convolutions"),
    [
        (models.vgg16, False, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)),
        (models.vgg16, True, (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40)),
        (models.vgg19, False, (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)),
        (models.vgg19, True, (0, 3, 7, 10, 14, 17, 20, 23, 27, 30, 33, 36, 40, 43, 46, 49)),
    ],
)
def test_vgg_is_numbered_as_in_torchvision(build: Builder, batch_norm: bool, convolutions: Sequence[int]) -> None:
    features = [f"features.{i + k}" for i in convolutions for k in range(1 + batch_norm)]
    assert weighted(build(seed=None, batch_norm=batch_norm)) == [*features, *(f"classifier.{i}" for i in (0, 3, 6))]


def test_resnet50_is_named_as_in_torchvision() -> None:
    expected = ["conv1", "bn1", "fc"]
    for stage, depth in zip((1, 2, 3, 4), (3, 4, 6, 3), strict=True):
        for block in range(depth):
            expected += [f"layer{stage}.{block}.{kind}{i}" for i in (1, 2, 3) for kind in ("conv", "bn")]
        expected += [f"layer{stage}.0.downsample.{i}" for i in (0, 1)]
    assert set(weighted(models.resnet50(seed=None))) == set(expected)
    assert {name for name in weighted(models.resnet20(seed=None)) if "downsample" in name} == {
        f"layer{stage}.0.downsample.{i}" for stage in (2, 3) for i in (0, 1)
    }


# ---- weights ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_random_weights_follow_their_seed(name: str) -> None:
    one, same, other = (SMALL[name](seed=seed) for seed in (1, np.random.default_rng(1), 2))
    assert one.dtype == np.float32
    for key, value in one.parameters.items():
        assert_array_equal(same.parameters[key], value)
        if value.ndim > 1:
            assert abs(other.parameters[key] - value).max() > 0


def test_random_weights_have_the_variance_of_he_et_al() -> None:
    net = models.resnet20(seed=3)
    for name, layer, _ in net.nodes:
        if isinstance(layer, Conv2D | Dense):
            w, n = layer.weight, layer.fan_in()
            # the mean of w^2 over k draws of variance v has standard deviation v sqrt(2 / k); allow four of these
            assert_allclose((w.astype(float) ** 2).mean(), 2 / n, rtol=4 * (2 / w.size) ** 0.5, err_msg=name)
            assert abs(w.mean()) < 4 * (2 / n / w.size) ** 0.5
            assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize("name", SMALL)
def test_weights_come_from_a_state_by_name(name: str) -> None:
    net = trained_like(SMALL[name](), np.random.default_rng(0))
    state = state_of(net)
    built = SMALL[name](state=state)
    assert built.dtype == np.float64
    assert built.names == net.names
    for key, value in net.parameters.items():
        assert_array_equal(built.parameters[key], value)


def state_of(net: Network) -> dict[str, np.ndarray]:
    """The network's parameters under the names of a PyTorch state dict."""
    fixed = {name for name, layer, _ in net.nodes if isinstance(layer, Scale)}
    renamed = {".mean": ".running_mean", ".var": ".running_var"}
    state = {}
    for key, value in net.parameters.items():
        node, _, field = key.rpartition(".")
        if node not in fixed:
            state[node + renamed.get(f".{field}", f".{field}")] = value
    return state


def test_a_state_that_does_not_fit_is_refused_by_name() -> None:
    state = state_of(models.resnet20())
    del state["layer2.0.bn1.running_mean"]
    state["layer3.0.downsample.0.weight"] = np.zeros((64, 32, 3, 3), np.float32)
    with pytest.raises(WeightsError, match=r"layer2\.0\.bn1\.running_mean .*layer3\.0\.downsample\.0\.weight"):
        models.resnet20(state=state)
    with pytest.raises(WeightsError, match=r"unexpected: .*downsample"):
        models.resnet20("A", state=state_of(models.resnet20()))


# ---- fusion, conservation and refusals -------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_they_fuse_and_the_books_close(name: str) -> None:
    rng = np.random.default_rng(0)
    net = trained_like(SMALL[name](), rng)
    x = rng.normal(size=image_shape(net))
    fused = lrpref.fuse(net, verify=x)
    assert not any(isinstance(layer, BatchNorm) for _, layer, _ in fused.nodes)
    tr = lrpref.trace(fused, x, rule="epsilon-plus-flat")
    assert tr.relevance.shape == x.shape
    assert tr.relevance.any()
    # z-plus, flat and routing conserve sums; epsilon's terms may cancel, but are far from 1e9 times their sum here.
    assert abs(tr.ledger.residual()).max() < 1e-9 * abs(tr.ledger["out"]).max()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: models.vgg16(input_shape=(3, 31, 40)), r"needs at least 32 x 32 pixels, got \(31, 40\)"),
        (lambda: models.simple_cnn(input_shape=(1, 3, 28)), r"2 max-pools leave no pixel of an image of \(3, 28\)"),
        (lambda: models.simple_cnn(()), "each convolution, at least one, got"),
        (lambda: models.resnet20("C"), 'shortcut must be "A" or "B", got \'C\''),  # type: ignore[arg-type]
        (lambda: models.resnet50(width=0), "width must be a positive factor .*, got 0"),
        (lambda: models.resnet50(input_shape=(224, 224)), r"input_shape must be \(channels, rows, columns\)"),
    ],
)
def test_what_cannot_be_built_is_refused(wrong: Callable[[], Network], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        wrong()


def test_images_are_small_below_64_pixels() -> None:
    assert blueprint.SMALL == 64
    assert blueprint.Blueprint((3, 63, 64), 1.0).small
    assert not blueprint.Blueprint((3, 64, 64), 1.0).small


# ---- PyTorch ---------------------------------------------------------------------------------------------------


def torch_or_skip() -> Any:
    """PyTorch; skip the test if it is not installed."""
    return pytest.importorskip("torch", reason="compares with PyTorch")


def torch_vgg(stages: str, batch_norm: bool, width: int, hidden: int, cells: int, classes: int) -> Any:
    """VGG as a PyTorch module; `stages` gives the convolutions per stage, `width` the channels of the first."""
    from torch import nn

    layers: list[Any] = []
    before = 3
    for stage, depth in enumerate(map(int, stages)):
        out = min(width * 2**stage, 8 * width)
        for _ in range(depth):
            layers.append(nn.Conv2d(before, out, 3, padding=1))
            layers += [nn.BatchNorm2d(out)] if batch_norm else []
            layers.append(nn.ReLU())
            before = out
        layers.append(nn.MaxPool2d(2, 2))
    classifier: list[Any] = [nn.Linear(before * cells, hidden), nn.ReLU(), nn.Dropout()]
    classifier += [nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, classes)]
    net = nn.Sequential()
    net.add_module("features", nn.Sequential(*layers))
    net.add_module("flat", nn.Flatten())
    net.add_module("classifier", nn.Sequential(*classifier))
    return net


def torch_resnet(
    depths: Sequence[int], width: int, bottleneck: bool, stem: int, shortcut: str, classes: int, pool: bool = False
) -> Any:
    """A ResNet as a PyTorch module; `stem` is the size of the first kernel."""
    import torch
    from torch import nn
    from torch.nn import functional as F  # noqa: N812

    class Block(nn.Module):
        def __init__(self, before: int, inner: int, stride: int) -> None:
            super().__init__()
            out = 4 * inner if bottleneck else inner
            kernels, strides = ((1, 3, 1), (1, stride, 1)) if bottleneck else ((3, 3), (stride, 1))
            channels = [before, *[inner] * (len(kernels) - 1), out]
            self.depth, self.stride, self.grown = len(kernels), stride, out - before
            for i, (kernel, step) in enumerate(zip(kernels, strides, strict=True)):
                conv = nn.Conv2d(channels[i], channels[i + 1], kernel, step, kernel // 2, bias=False)
                self.add_module(f"conv{i + 1}", conv)
                self.add_module(f"bn{i + 1}", nn.BatchNorm2d(channels[i + 1]))
            if shortcut == "B" and (self.grown or stride > 1):
                project = nn.Conv2d(before, out, 1, stride, bias=False)
                self.downsample = nn.Sequential(project, nn.BatchNorm2d(out))

        def forward(self, x: Any) -> Any:
            y = x
            for i in range(1, self.depth + 1):
                y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
                y = F.relu(y) if i < self.depth else y
            if hasattr(self, "downsample"):
                x = self.downsample(x)
            elif self.stride > 1:
                x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.grown))
            return F.relu(x + y)

    class ResNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, width, stem, 2 if stem == 7 else 1, stem // 2, bias=False)
            self.bn1, before = nn.BatchNorm2d(width), width
            for stage, depth in enumerate(depths):
                blocks, inner = [], width * 2**stage
                for i in range(depth):
                    blocks.append(Block(before, inner, 2 if stage and i == 0 else 1))
                    before = 4 * inner if bottleneck else inner
                self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
            self.fc = nn.Linear(before, classes)

        def forward(self, x: Any) -> Any:
            x = F.relu(self.bn1(self.conv1(x)))
            x = F.max_pool2d(x, 3, 2, 1) if pool else x
            for stage in range(1, len(depths) + 1):
                x = getattr(self, f"layer{stage}")(x)
            return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))

    return ResNet()


def as_if_trained(module: Any) -> Any:
    """The module in eval mode, with random BatchNorm parameters and biases."""
    import torch

    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif tensor.ndim == 1:  # a bias, a mean, or BatchNorm's gamma
            tensor.normal_(0, 0.2)
            tensor += torch.ones(()) if name.endswith("weight") else 0
    return module.eval()


def forward_error(module: Any, build: Builder, x: np.ndarray) -> float:
    """The largest difference between PyTorch's logits and lrpref's, relative to the largest logit."""
    import torch

    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    found = build(state=module.state_dict()).forward(x)
    assert found.dtype == expected.dtype
    assert expected.std() > 0
    return float(abs(found - expected).max() / abs(expected).max())


IN_TORCH: dict[str, tuple[Callable[[], Any], Builder]] = {
    "vgg16": (lambda: torch_vgg("22333", False, 8, 64, 1, 10), lambda **s: models.vgg16(width=1 / 8, **CIFAR, **s)),
    "vgg19 bn": (
        lambda: torch_vgg("22444", True, 8, 64, 1, 10),
        lambda **s: models.vgg19(width=1 / 8, batch_norm=True, **CIFAR, **s),
    ),
    "resnet20 A": (lambda: torch_resnet((3, 3, 3), 16, False, 3, "A", 10), lambda **s: models.resnet20("A", **s)),
    "resnet20 B": (lambda: torch_resnet((3, 3, 3), 16, False, 3, "B", 10), lambda **s: models.resnet20("B", **s)),
    "resnet50": (
        lambda: torch_resnet((3, 4, 6, 3), 8, True, 3, "B", 10),
        lambda **s: models.resnet50(width=1 / 8, **CIFAR, **s),
    ),
    "resnet50 pooled": (
        lambda: torch_resnet((3, 4, 6, 3), 8, True, 3, "B", 10, pool=True),
        lambda **s: models.resnet50(width=1 / 8, stem_pool=True, **CIFAR, **s),
    ),
}


@pytest.mark.parametrize("name", IN_TORCH)
def test_small_images_give_the_logits_of_pytorch(name: str) -> None:
    torch = torch_or_skip()
    torch.manual_seed(0)
    module, build = IN_TORCH[name]
    x = np.random.default_rng(0).normal(size=(2, 3, 32, 32))
    # 53 layers with up to 4608 products: sqrt(53 * 4608) rounding errors of 1e-16 are below 1e-13.
    assert forward_error(as_if_trained(module().double()), build, x) < 1e-12


FULL_SIZE: dict[str, tuple[Callable[[], Any], Builder]] = {
    "vgg16": (lambda: torch_vgg("22333", False, 64, 4096, 49, 1000), models.vgg16),
    "vgg19 bn": (
        lambda: torch_vgg("22444", True, 64, 4096, 49, 1000),
        lambda **state: models.vgg19(batch_norm=True, **state),
    ),
    "resnet50": (lambda: torch_resnet((3, 4, 6, 3), 64, True, 7, "B", 1000, pool=True), models.resnet50),
}


@pytest.mark.parametrize("name", FULL_SIZE)
def test_full_size_gives_the_logits_of_pytorch(name: str) -> None:
    torch = torch_or_skip()
    torch.manual_seed(0)
    module, build = FULL_SIZE[name]
    x = lrpref.samples.load("chelsea", (3, 224, 224))
    # 53 layers with up to 25,088 products: sqrt(53 * 25088) rounding errors of 6e-8 are below 7e-5.
    assert forward_error(as_if_trained(module()), build, x) < 7e-5


@pytest.mark.parametrize("name", ["vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "resnet50"])
def test_torchvision_has_the_same_names_and_shapes(name: str) -> None:
    torch = torch_or_skip()
    torchvision = pytest.importorskip("torchvision", reason="compares with torchvision")
    if not hasattr(torchvision.models, name):
        pytest.skip("this torchvision is a stand-in without models")
    with torch.device("meta"):  # names and shapes only
        state = getattr(torchvision.models, name)().state_dict()
    kind, _, norm = name.partition("_")
    net = getattr(models, kind)(seed=None, **({"batch_norm": True} if norm else {}))
    theirs = {key: tuple(t.shape) for key, t in state.items() if not key.endswith("num_batches_tracked")}
    assert {key: value.shape for key, value in state_of(net).items()} == theirs
