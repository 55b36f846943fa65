"""Small PyTorch modules, written in the many ways in which people write them.

`FORMS` are imported, `REFUSED` are not: each of those comes with a pattern of the message.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

F = nn.functional
Module = Any
torch.set_num_threads(1)  # for tensors this small, threads cost more than they save
MEAN = torch.tensor([0.5, 0.4, 0.3])


def seeded(make: Callable[[], Module], seed: int = 0) -> Module:
    """The module in eval mode, with random weights and BatchNorm statistics that differ from their initial values."""
    torch.manual_seed(seed)
    module = make()
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is not None:
            part.running_mean.normal_()
            part.running_var.uniform_(0.2, 2.0)
            if part.affine:
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
    return module.eval()


def images(*shape: int) -> Any:
    return torch.randn(*(shape or (2, 3, 8, 8)), generator=torch.Generator().manual_seed(7))


class Forward(nn.Module):
    """A module with the given parts, whose forward pass is a function of the parts and x."""

    def __init__(self, run: Callable[[Any, Any], Any], **parts: Any) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, x: Any) -> Any:
        return self.run(self, x)


def images_of(run: Callable[[Any, Any], Any], **parts: Any) -> Callable[[], Module]:
    """A function of images (N, 4, 6, 6), between a convolution and a mean with a Linear layer."""
    return lambda: Forward(
        lambda m, x: m.fc(run(m, m.conv(x)).mean((2, 3))), conv=nn.Conv2d(3, 4, 3), fc=nn.Linear(4, 3), **parts
    )


def features_of(run: Callable[[Any, Any], Any], **parts: Any) -> Callable[[], Module]:
    """A function of features (N, 4), after a Linear layer."""
    return lambda: Forward(lambda m, x: run(m, m.fc(x.flatten(1))), fc=nn.Linear(192, 4), **parts)


def flattened(flat: Callable[[Any, Any], Any]) -> Callable[[], Module]:
    """A way of flattening (N, 4, 6, 6) before a Linear layer."""
    return lambda: Forward(lambda m, x: m.fc(flat(m, m.conv(x))), conv=nn.Conv2d(3, 4, 3), fc=nn.Linear(144, 3))


def random(*shape: int) -> Any:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3)) + 0.5


def parameter(*shape: int) -> Any:
    return nn.Parameter(random(*shape))


# ---- modules of more than a line -----------------------------------------------------------------------------------


class Tutorial(nn.Module):
    """LeNet as in PyTorch's first tutorial, with num_flat_features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 2)
        self.fc1, self.fc2 = nn.Linear(20, 6), nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.relu(self.conv2(x))
        x = x.view(-1, self.num_flat_features(x))
        return self.fc2(F.relu(self.fc1(x)))

    def num_flat_features(self, x: Any) -> Any:
        size = x.size()[1:]
        num_features = 1
        for s in size:
            num_features *= s
        return num_features


class Normalized(nn.Module):
    """Normalisation in forward, with buffers, before a network."""

    def __init__(self, inner: Module) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("mean", MEAN.view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.3, 0.4]).view(1, 3, 1, 1))

    def forward(self, x: Any) -> Any:
        return self.inner((x - self.mean) / self.std)


class MyLinear(nn.Module):
    """A layer of one's own with parameters called weight and bias."""

    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.weight, self.bias = parameter(m, n), parameter(m)

    def forward(self, x: Any) -> Any:
        return F.linear(x, self.weight, self.bias)


class Lists(nn.Module):
    """Parts in a ModuleList, a ModuleDict and a ParameterList, with loops and branches by settings."""

    def __init__(self, deep: bool = True) -> None:
        super().__init__()
        self.deep = deep
        self.convs = nn.ModuleList([nn.Conv2d(3 if i == 0 else 4, 4, 3, padding=1) for i in range(3)])
        self.acts = nn.ModuleDict({"relu": nn.ReLU(), "tanh": nn.Tanh()})
        self.scales = nn.ParameterList([parameter(4, 1, 1) for _ in range(3)])
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(256, 3))

    def forward(self, x: Any) -> Any:
        kept = []
        for i, conv in enumerate(self.convs):
            x = self.acts["relu" if i % 2 == 0 else "tanh"](conv(x)) * self.scales[i]
            kept.append(x)
        if self.deep and not torch.jit.is_scripting():
            x = functools.reduce(operator.add, kept)
        if self.training:
            x = x * torch.rand(1)
        return self.head[1](self.head[0](x))


class Gates(nn.Module):
    """What it does depends on its input's sizes, in assertions, branches and loops."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        assert x.shape[1] == 3, "three channels"
        assert x.dim() == 4
        if x.dim() == 3:
            x = x.unsqueeze(0)
        x = self.conv(x)
        while x.shape[-1] > 2:
            x = F.max_pool2d(F.relu(x), 2)
        n, c, h, w = x.shape
        if h != w or int(h * w) > 9:
            raise ValueError(f"{h} x {w}")
        return self.fc(F.avg_pool2d(x, (h, w)).view(n, c))


class Optional(nn.Module):
    """An argument that is None by default."""

    def forward(self, x: Any, skip: Any = None, *, scale: float = 2.0) -> Any:
        return F.relu(x) * scale if skip is None else F.relu(x) + skip


class Saved(nn.Module):
    """Parts of the forward pass under torch.utils.checkpoint."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.reentrant = reentrant
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 3))

    def forward(self, x: Any) -> Any:
        x = checkpoint(self.body[0], x, use_reentrant=self.reentrant)
        return checkpoint_sequential(self.body[1:], 2, x, use_reentrant=self.reentrant)


class Doubled(nn.Module):
    """A parametrization of one's own."""

    def forward(self, X: Any) -> Any:
        return 2 * X


class ConvBlock(nn.Conv2d):
    """A subclass with a forward pass of its own."""

    def forward(self, input: Any) -> Any:
        w = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)  # weight standardisation
        return F.conv2d(input, w, self.bias, self.stride, self.padding, self.dilation, self.groups)


def with_old_norms() -> Module:
    """The old forms of weight_norm and spectral_norm, which work by hooks."""
    return nn.Sequential(
        nn.utils.weight_norm(nn.Conv2d(3, 4, 3)), nn.ReLU(), nn.Flatten(), nn.utils.spectral_norm(nn.Linear(144, 3))
    )


def with_new_norms() -> Module:
    """The new forms, which are parametrizations."""
    conv, fc = parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), parametrizations.spectral_norm(nn.Linear(144, 3))
    return nn.Sequential(conv, nn.ReLU(), nn.Flatten(), parametrize.register_parametrization(fc, "bias", Doubled()))


def pruned() -> Module:
    """Masks of torch.nn.utils.prune, after a forward pass."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    prune.l1_unstructured(module[0], "weight", amount=0.4)
    prune.ln_structured(module[3], "weight", amount=0.3, n=2, dim=0)
    module(images())
    return module


def merged() -> Module:
    """A convolution whose parameters are shadowed by computed tensors, as zennit's canonizers leave it."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    for name in ("weight", "bias"):
        old = getattr(module[0], name)
        delattr(module[0], name)
        object.__setattr__(module[0], name, old * 1.5 + 0.1)
    return module


def small() -> Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(144, 3)
    )


def compiled_in_place() -> Module:
    module = small()
    module.compile(backend="eager")
    return module


def made_in_forward(m: Any, x: Any) -> Any:
    return nn.Sequential(nn.ReLU(inplace=True), nn.MaxPool2d(2))(x)


def looped(m: Any, x: Any) -> Any:
    for _ in range(x.shape[1] - 2):  # the same module twice
        x = torch.relu(m.mix(x))
    return x


FORMS: dict[str, Callable[[], Module]] = {
    # one operation, many spellings
    "F.relu(input=)": images_of(lambda m, x: F.relu(input=x, inplace=True)),
    "torch.relu_": images_of(lambda m, x: torch.relu_(x)),
    "F.relu_": images_of(lambda m, x: F.relu_(x)),
    "x.relu": images_of(lambda m, x: x.relu()),
    "clamp from 0": images_of(lambda m, x: x.clamp(min=0)),
    "clamp_min": images_of(lambda m, x: torch.clamp_min(x, 0.0)),
    "clamp in place": images_of(lambda m, x: x.clamp_(0)),
    "clip": images_of(lambda m, x: torch.clip(x, 0, 6)),
    "F.linear": features_of(lambda m, x: F.linear(x, m.w, m.b), w=parameter(3, 4), b=parameter(3)),
    "F.linear by name": features_of(lambda m, x: F.linear(input=x, bias=None, weight=m.w), w=parameter(3, 4)),
    "matrix product": features_of(lambda m, x: x @ m.w + m.b, w=parameter(4, 3), b=parameter(3)),
    "torch.matmul": features_of(lambda m, x: torch.matmul(x, m.w.t()), w=random(3, 4)),
    "torch.mm": features_of(lambda m, x: torch.mm(x, m.w).mm(m.w), w=parameter(4, 4)),
    "F.conv2d": images_of(
        lambda m, x: F.conv2d(x, m.w, m.b, stride=2, padding=(1, 0)), w=parameter(4, 4, 3, 3), b=parameter(4)
    ),
    "F.conv2d by position": images_of(lambda m, x: F.conv2d(x, m.w, None, 1, "same", 2, 2), w=parameter(4, 2, 3, 3)),
    "F.conv2d of a frozen kernel": lambda: Forward(
        lambda m, x: m.fc(F.conv2d(x, torch.ones(3, 1, 3, 3) / 9, groups=3).flatten(1)), fc=nn.Linear(108, 2)
    ),
    "F.batch_norm": images_of(
        lambda m, x: F.batch_norm(x, m.bn.running_mean, m.bn.running_var, m.bn.weight, m.bn.bias, False, 0.1, 1e-3),
        bn=nn.BatchNorm2d(4),
    ),
    "F.batch_norm by name": images_of(
        lambda m, x: F.batch_norm(x, running_mean=m.mu, running_var=m.var, training=m.training),
        mu=random(4),
        var=random(4),
    ),
    "F.dropout": features_of(lambda m, x: F.dropout(x, training=m.training)),
    "F.softmax without an axis": features_of(lambda m, x: F.softmax(x, dim=-1)),
    "x.softmax(dim=-1)": features_of(lambda m, x: x.softmax(dim=-1)),
    "torch.log_softmax": features_of(lambda m, x: torch.log_softmax(x, -1)),
    "torch.cat by name": images_of(lambda m, x: torch.cat(tensors=[x], axis=-3)),
    "max pool and its indices": images_of(lambda m, x: F.max_pool2d(x, 2, return_indices=True)[0]),
    "max pool, indices ignored": images_of(lambda m, x: (lambda y, i: y)(*F.max_pool2d(x, 2, return_indices=True))),
    "nn.MaxPool2d with indices": images_of(lambda m, x: m.pool(x)[0], pool=nn.MaxPool2d(2, return_indices=True)),
    "pools by keyword": images_of(
        lambda m, x: F.avg_pool2d(input=F.max_pool2d(x, kernel_size=2, stride=1), kernel_size=(2, 2))
    ),
    "a module by keyword": images_of(lambda m, x: m.act(input=x), act=nn.ReLU()),
    "no-ops": images_of(lambda m, x: x.contiguous().clone().detach()),
    "casts": images_of(lambda m, x: x.float().to(x.device, x.dtype).double().relu().to(torch.float32)),
    # constants
    "x / 255": lambda: Forward(lambda m, x: m.fc((x / 255).flatten(1)), fc=nn.Linear(192, 3)),
    "x.float().div(255)": lambda: Forward(lambda m, x: m.fc(x.float().div(255.0).flatten(1)), fc=nn.Linear(192, 3)),
    "normalised by buffers": lambda: Normalized(small()),
    "normalised by a global": lambda: Forward(
        lambda m, x: m.inner((x - MEAN[:, None, None]).div_(torch.tensor([0.2, 0.3, 0.4]).view(-1, 1, 1))),
        inner=small(),
    ),
    "normalised in place": lambda: Forward(
        lambda m, x: m.inner(
            x.clone().sub_(torch.as_tensor([0.5, 0.4, 0.3], dtype=x.dtype, device=x.device)[None, :, None, None])
        ),
        inner=small(),
    ),
    "2 x - 1": lambda: Forward(lambda m, x: m.inner(2 * x - 1), inner=small()),
    "scaled branch": images_of(lambda m, x: 0.3 * m.mix(x) + x, mix=nn.Conv2d(4, 4, 1)),
    "layer scale": images_of(
        lambda m, x: x + m.gamma.unsqueeze(-1).unsqueeze(-1) * m.mix(x), mix=nn.Conv2d(4, 4, 1), gamma=parameter(4)
    ),
    "scale of (1, C, 1, 1)": images_of(
        lambda m, x: x * m.scale + m.shift, scale=parameter(1, 4, 1, 1), shift=parameter(4, 1, 1)
    ),
    "one scale": images_of(lambda m, x: torch.mul(m.scale, x), scale=parameter(1)),
    "x + 1": images_of(lambda m, x: 1 + (x + 1)),
    "1 - x": images_of(lambda m, x: 1 - x),
    "rsub": images_of(lambda m, x: torch.rsub(x, 2)),
    "-x": images_of(lambda m, x: -x),
    "x.neg": images_of(lambda m, x: x.neg() + torch.negative(x)),
    "subtract": images_of(lambda m, x: torch.subtract(x, m.mu, alpha=2), mu=random(4, 1, 1)),
    "alpha": images_of(lambda m, x: torch.add(x, 3, alpha=2)),
    "true_divide": images_of(lambda m, x: torch.true_divide(x, m.s) + x.multiply(2.0), s=random(4, 1, 1)),
    "per feature": features_of(lambda m, x: (x - m.mu) / m.s, mu=random(4), s=random(1, 4)),
    "python's sum": images_of(lambda m, x: sum([F.relu(x), x, torch.tanh(x)])),
    "in place arithmetic": images_of(lambda m, x: operator.iadd(operator.imul(x, 2), 1)),
    # sizes
    "num_flat_features": Tutorial,
    "view by sizes": flattened(lambda m, x: x.view(x.size(0), x.size(1) * x.size(2) * x.size(3))),
    "view by one size": flattened(lambda m, x: x.view(-1, x.shape[1] * 36)),
    "reshape by length": flattened(lambda m, x: x.reshape(len(x), -1)),
    "view of all": flattened(lambda m, x: x.view(x.shape[0], -1)),
    "unpacked": flattened(lambda m, x: (lambda n, c, h, w: x.reshape(n, c * h * w))(*x.shape)),
    "np.prod": flattened(lambda m, x: x.view(-1, int(np.prod(x.size()[1:])))),
    "math.prod": flattened(lambda m, x: x.view(-1, math.prod(x.shape[1:]))),
    "numel": flattened(lambda m, x: x.view(x.shape[0], x.numel() // x.shape[0])),
    "nn.Flatten made in forward": flattened(lambda m, x: nn.Flatten()(x)),
    "flatten by negative axes": flattened(lambda m, x: torch.flatten(x, start_dim=-3, end_dim=-1)),
    "squeezed": lambda: Forward(
        lambda m, x: m.fc(m.pool(m.conv(x)).squeeze((2, 3))),
        conv=nn.Conv2d(3, 4, 3),
        pool=nn.AdaptiveAvgPool2d(1),
        fc=nn.Linear(4, 2),
    ),
    "squeezed everywhere": lambda: Forward(
        lambda m, x: m.fc(torch.squeeze(F.adaptive_avg_pool2d(m.conv(x), 1))),
        conv=nn.Conv2d(3, 4, 3),
        fc=nn.Linear(4, 2),
    ),
    "pool as large as the image": images_of(lambda m, x: F.avg_pool2d(x, kernel_size=x.size()[2:])),
    "pool of one size": images_of(lambda m, x: F.avg_pool2d(x, x.shape[-1])),
    "mean of negative axes": lambda: Forward(
        lambda m, x: m.fc(m.conv(x).mean(dim=(-1, -2), keepdim=True).flatten(1)),
        conv=nn.Conv2d(3, 4, 3),
        fc=nn.Linear(4, 2),
    ),
    "even padding": images_of(lambda m, x: F.pad(x, (0, x.shape[3] % 4, 0, x.shape[2] % 4))),
    "zeros of a size": images_of(lambda m, x: x + torch.zeros(1, x.shape[1], 1, 1)),
    # Python around it
    "lists of modules": Lists,
    "a shallow setting": lambda: Lists(deep=False),
    "assertions and loops": Gates,
    "a default of None": Optional,
    "checkpoints": lambda: Saved(False),
    "reentrant checkpoints": lambda: Saved(True),
    "modules made in forward": images_of(made_in_forward),
    "a module called twice": images_of(looped, mix=nn.Conv2d(4, 4, 1)),
    "no_grad": images_of(lambda m, x: torch.no_grad()(lambda: m.mix(x))(), mix=nn.Conv2d(4, 4, 1)),
    "a list of activations": images_of(lambda m, x: [x, F.relu(x)][-1]),
    "a formatted value": images_of(lambda m, x: F.relu(x) if f"{x.shape} {x.mean():.2f} {x}" else x),
    "an assertion on values": images_of(lambda m, x: asserted(x)),
    "an alias of what is overwritten": images_of(lambda m, x: aliased(x)),
    "a layer of one's own": features_of(lambda m, x: m.mine(x), mine=MyLinear(4, 3)),
    "weight standardisation": lambda: nn.Sequential(ConvBlock(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)),
    "a slice of a Sequential": lambda: Forward(lambda m, x: m.parts[2:](m.parts[:2](x)), parts=small()),
    "addmm": features_of(lambda m, x: torch.addmm(m.b, x, m.w), w=parameter(4, 3), b=parameter(3)),
    "NumPy's integers": flattened(lambda m, x: x.view(-1, np.prod(x.shape[1:]))),
    "divided by the number of channels": images_of(lambda m, x: x / math.sqrt(x.shape[1])),
    "a partial": images_of(functools.partial(lambda m, x, k: F.max_pool2d(x, k), k=2)),
    # wrappers and states
    "DataParallel": lambda: nn.DataParallel(small()),
    "DataParallel inside": lambda: nn.Sequential(nn.DataParallel(small()), nn.Softmax(dim=-1)),
    "torch.compile": lambda: torch.compile(small(), backend="eager"),
    "torch.compile inside": lambda: nn.Sequential(torch.compile(nn.DataParallel(small()), backend="eager"), nn.ReLU()),
    "compiled in place": compiled_in_place,
    "SyncBatchNorm": lambda: nn.SyncBatchNorm.convert_sync_batchnorm(small()),
    "traced by torch.fx": lambda: torch.fx.symbolic_trace(small()),
    "old norms": with_old_norms,
    "old norms, run once": lambda: (lambda m: (m(images()), m)[1])(with_old_norms()),
    "new norms": with_new_norms,
    "pruned": pruned,
    "merged by zennit": merged,
    "frozen": lambda: small().requires_grad_(False),
    "train mode": lambda: small().train(),
    "lazy, run once": lambda: (lambda m: (m(images()), m)[1])(
        nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(3))
    ),
}


def rectified(x: torch.Tensor) -> torch.Tensor:
    return torch.relu(x)


def with_a_script() -> Module:
    scripted = torch.jit.script(rectified)
    return images_of(lambda m, x: scripted(x))()


def asserted(x: Any) -> Any:
    assert torch.isfinite(x).all(), "not finite"
    return F.relu(x)


def aliased(x: Any) -> Any:
    z = y = x
    z += 1
    z *= 2
    return F.relu(z) + y


def by_maximum(m: Any, x: Any) -> Any:
    if x.max() > 1.0:
        x = x / 255
    return F.relu(x)


def written(m: Any, x: Any) -> Any:
    x[:, 0] = 0.0
    return x


REFUSED: dict[str, tuple[Callable[[], Module], str]] = {
    "LSTM": (
        lambda: Forward(lambda m, x: m.rnn(x.flatten(1))[0], rnn=nn.LSTM(192, 2)),
        r"at .*torch_forms\.py:\d+: node 'rnn' \(LSTM\): unsupported operation: recurrent layers are not .*Supp",
    ),
    "GRU": (
        lambda: Forward(lambda m, x: (lambda y, h: y)(*m.rnn(x.flatten(1))), rnn=nn.GRU(192, 2)),
        r"\(GRU\): .*recurrent",
    ),
    "attention over samples": (
        images_of(lambda m, x: x + m.att(*3 * [x[:, 0]])[0][:, None], att=nn.MultiheadAttention(6, 2)),
        r"\(MultiheadAttention\): it takes \(T, N, E\), .*batch_first=True",
    ),
    "the weights of attention": (
        images_of(
            lambda m, x: x + m.att(*3 * [x[:, 0]])[1][:, None], att=nn.MultiheadAttention(6, 2, batch_first=True)
        ),
        r"the weights of its heads are not supported as a result",
    ),
    "sums of embeddings": (
        lambda: Forward(lambda m, x: m.words(x.flatten(1).long()), words=nn.EmbeddingBag(9, 2)),
        r"node 'words' \(EmbeddingBag\): lrpref has no layer for sums of embeddings",
    ),
    "einsum": (images_of(lambda m, x: torch.einsum("nchw,ncvw->nchv", x, x)), "write it with matmul"),
    "torch.jit.script in forward": (
        with_a_script,
        r"could not trace the module: .* torch\.jit\.script, cannot be traced",
    ),
    "a branch by a maximum": (
        images_of(by_maximum),
        r"at .*torch_forms\.py:\d+: forward depends on the values of activations",
    ),
    "a number from values": (
        images_of(lambda m, x: x / x.mean().item()),
        "is a number that depends on the network's input",
    ),
    "a loop by values": (
        images_of(lambda m, x: next(F.relu(x) for _ in range(int(x.max()) + 1))),
        "depends on the values",
    ),
    "NumPy": (
        images_of(lambda m, x: torch.as_tensor(np.tanh(x.numpy()))),
        r"at .*torch_forms\.py:\d+: torch\.fx could not trace the module: .*those of NumPy",
    ),
    "writing into a part": (images_of(written), r"torch_forms\.py:\d+: forward writes into a part of a tensor"),
    "a constant per sample": (images_of(lambda m, x: x * m.map, map=random(2, 1, 1, 1)), "one number per sample"),
    "a constant that broadcasts": (
        features_of(lambda m, x: m.one(x) + m.b, one=nn.Linear(4, 1), b=parameter(3)),
        r"changes the activation's shape \(2, 1\)",
    ),
    "division by an activation": (
        features_of(lambda m, x: 1 / x),
        r"node 'truediv' \(truediv\): division by an activation",
    ),
    "a computed kernel": (
        features_of(lambda m, x: F.linear(x, m.w(x)), w=nn.Linear(4, 4)),
        r"\(linear\): its weight depends on the network's input",
    ),
    "weights times activations": (
        lambda: Forward(lambda m, x: m.w @ x.flatten(1), w=parameter(3, 2)),
        r"not \(constant\) @",
    ),
    "indices": (
        images_of(lambda m, x: F.max_pool2d(x, 2, return_indices=True)[1].float()),
        r"the indices of the maxima",
    ),
    "statistics of the batch": (
        images_of(lambda m, x: F.batch_norm(x, m.mu, m.var, training=True), mu=random(4), var=random(4)),
        r"\(batch_norm\): it is in training mode",
    ),
    "weights made in forward": (images_of(lambda m, x: nn.Conv2d(4, 4, 1)(x)), r"creates a Conv2d with new parameters"),
    "dropout made in forward": (images_of(lambda m, x: nn.Dropout()(x)), "active in eval mode"),
    "a number": (
        lambda: Forward(lambda m, x: {"out": F.relu(x), "scale": 3}),
        "must return tensors that depend on its input: one, or several in a tuple, list or dict, not int",
    ),
    "nothing": (lambda: Forward(lambda m, x: None), "must return tensors that depend on its input.*, not NoneType"),
    "scripted": (lambda: torch.jit.script(small()), r"before torch\.jit\.script .*torch\.onnx\.export"),
    "traced": (lambda: torch.jit.trace(small().eval(), images()), r"before torch\.jit\.script"),
}
