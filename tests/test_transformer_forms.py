"""Transformers as people write them in PyTorch: imported and right for any number of samples, or refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import lrpref
from lrpref import from_torch
from lrpref.errors import ConversionError, ShapeError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[torch]'")
nn, F = torch.nn, torch.nn.functional

from torch_forms import Forward, parameter, random  # noqa: E402
from transformer_forms import (  # noqa: E402
    FORMS,
    WORDS,
    Block,
    E,
    Encoder,
    H,
    TutorialModel,
    kept_behind,
    square,
    unpacked,
    upper,
)

from lrpref.importers.torch._trace import Doubles  # noqa: E402

Module = Any


def made(name: str) -> Module:
    torch.manual_seed(0)
    return FORMS[name][0]().double().eval()


def given(shape: tuple[int, ...], samples: int, seed: int = 0) -> Any:
    """Random numbers, or indices of words for a shape of one axis."""
    generator = torch.Generator().manual_seed(seed)
    if len(shape) == 1:
        return torch.randint(WORDS, (samples, *shape), generator=generator)
    return torch.randn(samples, *shape, generator=generator, dtype=torch.float64)


def check(net: lrpref.Network, module: Module, shape: tuple[int, ...]) -> None:
    """The network computes what the module does for several numbers of samples, and its books close."""
    for samples in (1, 2, 3, 5):
        x = given(shape, samples, seed=samples)
        with torch.no_grad(), Doubles():
            expected = module(x).numpy()
        # some dozens of roundings of 1e-16, on numbers near the largest
        assert_allclose(net.forward(x.numpy()), expected, rtol=0, atol=1e-12 * abs(expected).max())
    for rule in ("attn-lrp", "cp-lrp"):
        tr = lrpref.trace(net, x.numpy(), rule=rule)
        assert abs(tr.ledger.residual()).max() <= 1e-10 * max(1.0, *(abs(at).max() for at in tr.at.values()))


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("name", FORMS)
def test_a_transformer_is_right_for_any_number_of_samples(name: str, samples: int) -> None:
    module, shape = made(name), FORMS[name][1]
    check(from_torch(module, given(shape, samples)), module, shape)


EXPORTED = (
    *("encoder", "encoder, norm first", "encoder, gelu", "multi_head", "around_attention", "around_by_hand"),
    *("unpacked", "merged_heads", "causal_by_tril", "hidden_shape", "GPT", "first, last", "with_alpha", "grouped"),
)
"""Some of those that torch.export takes; it refuses masks that are built in forward for nn.TransformerEncoder."""


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("name", EXPORTED)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_program_of_torch_export_is_right_too(name: str, samples: int) -> None:
    """The program itself takes only as many samples as there were; the network takes any number."""
    module, shape = made(name), FORMS[name][1]
    x = given(shape, samples)
    check(from_torch(torch.export.export(module, (x,)), x), module, shape)


def test_relevance_does_not_depend_on_how_the_axes_are_moved() -> None:
    """qkv.permute(2, 0, 3, 1, 4) against qkv.unbind(2), with the same weights."""
    torch.manual_seed(0)
    moved, plain = (Block(attend).double().eval() for attend in (unpacked, kept_behind))
    plain.load_state_dict(moved.state_dict())
    x = given((6, E), 3)
    seed = given((6, E), 3, seed=1).numpy()
    maps = [lrpref.explain(from_torch(m, x), x.numpy(), seed=seed, rule="attn-lrp") for m in (moved, plain)]
    assert_allclose(*maps, rtol=1e-10, atol=1e-12)


def test_a_pair_of_transpositions_needs_no_layer() -> None:
    module = Forward(
        lambda m, x: m.att(*3 * [x.transpose(0, 1)])[0].transpose(0, 1), att=nn.MultiheadAttention(E, H)
    ).double()
    net = from_torch(module, given((6, E), 2))
    assert not any(isinstance(net[name], lrpref.Permute) for name in net.names if "att" not in name)
    assert net.input_shape == (None, E)
    x = given((9, E), 4)
    assert_allclose(net.forward(x.numpy()), module(x).detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mask", [square, upper])
@pytest.mark.parametrize("first", [False, True])
def test_a_mask_that_is_built_in_forward_holds_for_its_number_of_tokens(mask: Callable[..., Any], first: bool) -> None:
    torch.manual_seed(0)
    net = from_torch(TutorialModel(first, mask, lambda x: x.mean(0 if first else 1)), given((6,), 2))
    assert net.input_shape == (6,)
    with pytest.raises(
        ShapeError, match=r"transformer_forms\.py:\d+.*import again with an example of the size that you need"
    ):
        net.forward(given((7,), 2).numpy())


def test_a_later_token_has_no_influence_under_a_mask_that_is_built_in_forward() -> None:
    torch.manual_seed(0)
    net = from_torch(TutorialModel(True, square, lambda x: x.transpose(0, 1)), given((6,), 2))
    seed = np.zeros((1, 6, 3))
    seed[0, 2, 0] = 1.0
    R = lrpref.explain(net, given((6,), 1).numpy(), seed=seed, rule="attn-lrp")
    assert np.all(R[:, 3:] == 0)
    assert np.all(R[:, :3] != 0)


def test_constants_of_sizes_are_tensors_that_python_may_read() -> None:
    """A mask that is computed from sizes is no activation, so forward may decide by it, and write into it."""

    def run(m: Any, x: Any) -> Any:
        mask = torch.ones(1, x.size(1)).cumsum(1)
        mask[:, 0] = 7.0
        return torch.tanh(x) * mask if mask.sum() > 2 else x

    x = given((4, 1), 2)[..., 0]
    net = from_torch(Forward(run), x)
    assert_allclose(net.forward(x.numpy()), run(None, x).numpy(), rtol=1e-6)


LENGTHS: dict[str, Callable[[Any], Any]] = {
    "len, sequences first": lambda x: (lambda y: F.relu(y) if len(y) < 12 else torch.tanh(y))(x.transpose(0, 1)),
    "size, sequences first": lambda x: (lambda y: F.relu(y) if y.size(0) < 12 else -y)(torch.tanh(x.permute(1, 0, 2))),
    "after x.mT": lambda x: (lambda y: F.relu(y) if y.shape[0] < 12 else -y)(x.permute(1, 2, 0).mT).transpose(0, 1),
    "ones of that length": lambda x: F.relu(x) if torch.ones_like(x[:1, :, 0]).sum() < 12 else torch.tanh(x),
    "merged with the samples": lambda x: (lambda y: F.relu(y) if len(y) < 25 else -y)(x.reshape(-1, E)).view(x.shape),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_decisions_by_the_number_of_tokens_hold_for_it(name: str) -> None:
    def run(m: Any, x: Any) -> Any:
        y = LENGTHS[name](x)
        return y.transpose(0, 1) if "first" in name else y

    net = from_torch(Forward(run).double(), given((5, E), 2))
    with pytest.raises(ShapeError, match=r"accepts inputs of shape \(N, 5.*import again with an example"):
        net.forward(given((7, E), 2).numpy())


def test_the_number_of_samples_may_be_on_any_axis() -> None:
    """It holds nothing but is checked, as on the first axis."""
    run = lambda m, x: (lambda y: F.relu(y) if y.size(1) > 0 else y)(x.transpose(0, 1)).transpose(0, 1)  # noqa: E731
    assert from_torch(Forward(run).double(), given((5, E), 2)).input_shape is None


# ---- copies, choices and sums ------------------------------------------------------------------------------------


def gate(m: Any, x: Any) -> Any:
    """The mean of each channel, as one cell."""
    return torch.sigmoid(x.mean((2, 3), keepdim=True))


IMAGES: dict[str, tuple[Callable[[Any, Any], Any], list[str]]] = {
    "x * y.expand_as(x)": (lambda m, x: x * gate(m, x).expand_as(x), ["Multiply"]),
    "y.expand(...) * x": (lambda m, x: gate(m, x).expand(-1, -1, x.size(2), x.size(3)).mul(x), ["Multiply"]),
    "x + y.expand_as(x)": (lambda m, x: x + gate(m, x).expand_as(x), ["Concat", "Concat", "Add"]),
    "expand, read twice": (
        lambda m, x: (lambda y: x * y + y)(gate(m, x).expand_as(x)),
        ["Concat", "Concat", "Multiply", "Add"],
    ),
    "a square of expand": (
        lambda m, x: (lambda y: y * y)(gate(m, x).expand(-1, -1, 3, 1)),
        ["Concat", "Multiply"],
    ),
    "broadcast_to": (lambda m, x: x - torch.broadcast_to(gate(m, x), x.shape), ["Concat", "Concat", "Subtract"]),
    "repeat": (lambda m, x: x.repeat(1, 2, 1, 3), ["Concat", "Concat"]),
    "tile": (lambda m, x: torch.tile(x, (1, 2, 1, 1)), ["Concat"]),
    "repeat_interleave": (lambda m, x: x.repeat_interleave(3, 1), ["Concat", "Reshape", "Permute", "Reshape"]),
    "repeat_interleave of one": (lambda m, x: torch.repeat_interleave(x[:, :1], 3, dim=1), ["Slice", "Concat"]),
    "stack": (lambda m, x: torch.stack([x, F.relu(x), -x], 2), ["ReLU", "Scale", "Concat", "Reshape"]),
    "stack, last": (lambda m, x: torch.stack((x, F.relu(x)), dim=-1), ["ReLU", "Concat", "Reshape", "Permute"]),
    "where": (lambda m, x: torch.where(m.grid > 0, x, 2.0), ["Affine"]),
    "where, the constant first": (lambda m, x: torch.where(m.grid > 0, m.grid, x), ["Affine"]),
    "x.where": (lambda m, x: x.where(m.grid[0] > 0, torch.tensor(-1.0)), ["Affine"]),
    "torch.add of a multiple": (lambda m, x: torch.add(x, F.relu(x), alpha=0.5), ["ReLU", "Scale", "Add"]),
    "torch.sub of a multiple": (lambda m, x: torch.sub(F.relu(x), x, alpha=3), ["ReLU", "Scale", "Subtract"]),
    "x.add of a multiple": (lambda m, x: x.add(F.relu(x), alpha=-2), ["ReLU", "Scale", "Add"]),
    "x.add_ of a multiple": (lambda m, x: x.clone().add_(x, alpha=2), ["Scale", "Add"]),
    "alpha of 1": (lambda m, x: torch.add(x, F.relu(x), alpha=1), ["ReLU", "Add"]),
    "x.mT": (lambda m, x: x.mT, ["Permute"]),
    "x.mH": (lambda m, x: x.mH @ x, ["Permute", "MatMul"]),
    "torch.adjoint": (lambda m, x: torch.adjoint(x), ["Permute"]),
    "reshape_as": (lambda m, x: x.view_as(F.relu(x)), []),
    "a constant of ones for each sample": (lambda m, x: x * torch.full_like(x[:, :1], 2.0), ["Scale"]),
    "a root of a number": (lambda m, x: x / torch.sqrt(torch.tensor(x.size(1), dtype=torch.float32)), ["Scale"]),
}


@pytest.mark.parametrize("name", IMAGES)
def test_what_copies_choices_and_sums_become(name: str) -> None:
    run, expected = IMAGES[name]
    torch.manual_seed(0)
    grid = torch.tensor([[1.0, -1.0], [0.0, 2.0]]).repeat(2, 2)
    module = Forward(lambda m, x: run(m, m.conv(x)), conv=nn.Conv2d(3, 4, 3), grid=grid).double().eval()
    net = from_torch(module, given((3, 6, 6), 2))
    kinds = [type(layer).__name__ for _, layer, _ in net.nodes if "Avg" not in type(layer).__name__]
    assert [kind for kind in kinds if kind != "Sigmoid"] == ["Conv2D", *expected]
    for samples in (1, 3):
        x = given((3, 6, 6), samples, 1)
        with Doubles():
            wanted = module(x).detach().numpy()
        assert_allclose(net.forward(x.numpy()), wanted, rtol=1e-10, atol=1e-13)
    tr = lrpref.trace(net, x.numpy(), seed=np.ones(wanted.shape), rule="epsilon")
    assert abs(tr.ledger.residual()).max() < 1e-12


# ---- functions in pieces ------------------------------------------------------------------------------------------


def centred(x: Any) -> Any:
    return x - x.mean(-1, keepdim=True)


def root(x: Any, eps: float = 1e-6) -> Any:
    return torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


PIECES: dict[str, tuple[Callable[[Any, Any], Any], list[str]]] = {
    "GELU by erf": (lambda m, x: x * 0.5 * (1.0 + torch.erf(x / 2.0**0.5)), ["GELU"]),
    "GELU by x.erf": (lambda m, x: 0.5 * x * (1.0 + (x * 0.5**0.5).erf()), ["GELU"]),
    "GELU by a cube": (
        lambda m, x: 0.5 * x * (1.0 + torch.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * torch.pow(x, 3.0)))),
        ["GELU"],
    ),
    "GELU by **": (lambda m, x: 0.5 * x * (1 + ((x + 0.044715 * x**3) * (2 / np.pi) ** 0.5).tanh()), ["GELU"]),
    "RMSNorm": (lambda m, x: m.g * (x * root(x)), ["RMSNorm", "Affine"]),
    "RMSNorm in float32": (lambda m, x: m.g * (lambda y: y * root(y))(x.to(torch.float32)).type_as(x),
                           ["RMSNorm", "Affine"]),
    "RMSNorm with eps in a tensor": (lambda m, x: x * root(x, m.eps), ["RMSNorm"]),
    "RMSNorm by a root": (lambda m, x: x / torch.sqrt((x * x).mean(2, True) + 1e-5), ["RMSNorm"]),
    "RMSNorm, sequences first": (lambda m, x: (lambda y: y * root(y))(x.transpose(0, 1)).transpose(0, 1), ["RMSNorm"]),
    "LayerNorm by var": (
        lambda m, x: centred(x) / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-5) * m.g,
        ["LayerNorm", "Affine"],
    ),
    "LayerNorm by squares": (lambda m, x: (lambda u: u * root(u, 1e-12))(centred(x)), ["LayerNorm"]),
}  # fmt: skip


@pytest.mark.parametrize("name", PIECES)
def test_a_function_in_pieces_becomes_one_layer(name: str) -> None:
    run, expected = PIECES[name]
    torch.manual_seed(0)
    module = Forward(lambda m, x: run(m, m.fc(x)), fc=nn.Linear(E, E), g=parameter(E), eps=torch.tensor(1e-6)).double()
    net = from_torch(module, given((6, E), 2))
    assert [type(layer).__name__ for _, layer, _ in net.nodes] == ["TokenDense", *expected]
    x = given((6, E), 3, 1)
    with Doubles():
        wanted = module(x).detach().numpy()
    assert_allclose(net.forward(x.numpy()), wanted, rtol=1e-10, atol=1e-12)


# ---- refusals ----------------------------------------------------------------------------------------------------


def tokens(run: Callable[[Any, Any], Any], **parts: Any) -> Callable[[], Module]:
    return lambda: Forward(lambda m, x: run(m, m.fc(x)), fc=nn.Linear(E, E), **parts)


REFUSED: dict[str, tuple[Callable[[], Module], str]] = {
    "attention over samples": (
        tokens(lambda m, x: m.att(*3 * [x.transpose(0, 1)])[0].transpose(0, 1),
               att=nn.MultiheadAttention(E, H, batch_first=True)),
        r"node 'att' .*it takes \(N, T, E\), but the first axis of its input is not the batch axis; leave",
    ),
    "sequences first in forward": (
        tokens(lambda m, x: m.att(x, x, x)[0], att=nn.MultiheadAttention(E, H)),
        r"it takes \(T, N, E\), .*batch_first=True, for \(N, T, E\), or import a module whose forward takes",
    ),
    "the samples last": (
        tokens(lambda m, x: m.att(*3 * [x.permute(1, 2, 0)])[0], att=nn.MultiheadAttention(2, 1)),
        r"axis 1 of its input, \(T, N, E\), is not the batch axis",
    ),
    "an output with the samples on axis 1": (
        tokens(lambda m, x: F.relu(x.transpose(0, 1))),
        r"returns a tensor of shape \(6, 2, 8\) whose batch axis is not the first one; move it there",
    ),
    "an output with merged samples": (
        tokens(lambda m, x: F.relu(x.reshape(-1, E))),
        r"returns a tensor of shape \(12, 8\) whose batch axis is not the first one",
    ),
    "a softmax over samples": (
        tokens(lambda m, x: x.transpose(0, 1).softmax(1).transpose(0, 1)),
        r"\(x\.softmax\): it is along axis 1, the batch axis",
    ),
    "a softmax over merged samples": (
        tokens(lambda m, x: x.reshape(-1, E).softmax(0).view(x.shape)),
        r"along axis 0, the batch axis",
    ),
    "a softmax without an axis": (
        tokens(lambda m, x: F.softmax(x.transpose(0, 1), None).transpose(0, 1)),
        r"it does not say along which axis",
    ),
    "a mean over samples": (
        tokens(lambda m, x: x.transpose(0, 1).mean(1)), r"along axis 1, the batch axis"
    ),
    "a mean over all": (tokens(lambda m, x: x.transpose(0, 1).mean()), r"over all axes, including the batch axis"),
    "a product along the samples": (
        tokens(lambda m, x: (x.permute(1, 2, 0) @ m.w).permute(2, 0, 1), w=random(2, 2)),
        r"it works along axis 2 of its input, the batch axis; move the batch axis to the front",
    ),
    "products of samples": (
        tokens(lambda m, x: x.transpose(0, 1) @ x.permute(1, 2, 0)), r"the batch axis is another one in each of"
    ),
    "a sum of tokens in two orders": (
        tokens(lambda m, x: x.transpose(0, 1)[:2] + x[:, :2]), r"the batch axis is another one in each of"
    ),
    "a sample of the second axis": (
        tokens(lambda m, x: x.transpose(0, 1)[:, 0]), r"along axis 1, the batch axis"
    ),
    "half of the samples": (
        tokens(lambda m, x: x.transpose(0, 1)[:, :1].transpose(0, 1)), r"along axis 1, the batch axis"
    ),
    "samples side by side": (
        tokens(lambda m, x: torch.cat([x.transpose(0, 1)] * 2, 1).transpose(0, 1)),
        r"along axis 1, the batch axis",
    ),
    "a view for a transposition": (
        tokens(lambda m, x: x.transpose(0, 1)[1:].reshape(x.size(0), x.size(1) - 1, E)),
        r"reshaping from \(5, 2, 8\) to \(2, 5, 8\) is not supported: it would move values from one sample to another",
    ),
    "samples in another order": (
        tokens(lambda m, x: F.relu(x.repeat(2, 1, 1))[:2]), r"from \(2, 6, 8\) to \(4, 6, 8\), it repeats the samples"
    ),
    "a norm of channels": (
        tokens(lambda m, x: m.bn(x.permute(1, 2, 0)).permute(2, 0, 1), bn=nn.BatchNorm1d(E)),
        r"node 'bn' .*: the first axis of its input, of shape \(6, 8, 2\), is not the batch axis; move",
    ),
    "a slope for each sample": (
        tokens(lambda m, x: m.act(x.transpose(0, 1)).transpose(0, 1), act=nn.PReLU(2)),
        r"the first axis of its .* is not the batch axis"
    ),
    "a constant for each sample": (
        tokens(lambda m, x: (x.transpose(0, 1) + m.c).transpose(0, 1), c=random(1, 2, 1)),
        r"a constant of shape \(1, 2, 1\) has one number per sample",
    ),
    "an index that adds an axis": (
        tokens(lambda m, x: x.transpose(0, 1)[None].squeeze(0).transpose(0, 1)), r"it adds an axis, and the first axis"
    ),
    "two ranks": (
        tokens(lambda m, x: (x.transpose(0, 1) * x.transpose(0, 1)[:1].unsqueeze(0))), r"differ in rank|another one in"
    ),
    "constants between tokens": (
        tokens(lambda m, x: torch.cat([x, m.c.expand(len(x), -1, -1)], 1), c=parameter(1, 1, E)),
        r"concatenation with constants is supported for tokens before those of one activation only",
    ),
    "stacked in front": (tokens(lambda m, x: torch.stack([x, x])), r"torch\.stack along axis 0 .*use dim=1"),
    "stacked constants": (
        tokens(lambda m, x: torch.stack([x, m.c], 1), c=random(2, 6, E)), r"constants cannot be stacked"
    ),
    "uneven copies": (
        tokens(lambda m, x: x.repeat_interleave(torch.arange(1, 7), 1)), r"it repeats each cell another number of"
    ),
    "copies of all": (tokens(lambda m, x: x.repeat_interleave(2)), r"from \(2, 6, 8\) to \(192,\), it adds axes"),
    "a choice between activations": (
        tokens(lambda m, x: torch.where(m.c > 1, x, F.relu(x)), c=random(6, E)), r"a choice between two activations"
    ),
    "a choice by activations": (
        tokens(lambda m, x: torch.where(x > 0, x, 0.0)), r"it compares activations, and no layer depends on"
    ),
    "activations in a new tensor": (
        tokens(lambda m, x: filled(x)), r"writes activations into a tensor that it has created, .*torch\.cat"
    ),
    "a cube": (tokens(lambda m, x: x**3), r"it is supported only within a GELU, and within a LayerNorm or an RMSNorm"),
    "a norm over tokens": (
        tokens(lambda m, x: x * torch.rsqrt(x.pow(2).mean((1, 2), keepdim=True) + 1e-6)), r"only within a GELU"
    ),
    "a norm by the unbiased deviation": (
        tokens(lambda m, x: (x - x.mean(-1, keepdim=True)) * torch.rsqrt(x.var(-1, keepdim=True) + 1e-6)),
        r"only within a GELU|does not broadcast",
    ),
    "a root that is read once more": (
        tokens(lambda m, x: (lambda s: x * torch.rsqrt(s + 1e-6) + s)(x.pow(2).mean(-1, True))), r"only within a GELU"
    ),
    "shared keys without heads": (
        tokens(lambda m, x: F.scaled_dot_product_attention(x, x, x, enable_gqa=True)), r"enable_gqa needs \(N, heads, T"
    ),
    "a mask for each sample": (
        tokens(lambda m, x: F.scaled_dot_product_attention(x, x, x, attn_mask=m.c), c=random(2, 6, 6)),
        r"its mask has shape \(2, 6, 6\); only one for all samples is supported",
    ),
}  # fmt: skip


def filled(x: Any) -> Any:
    y = torch.zeros(1, 6, E)
    y[:, 0] = x[0, 0]
    return F.relu(x) + y


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_come_with_a_remedy(name: str) -> None:
    make, message = REFUSED[name]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about softmax without an axis
        with pytest.raises(ConversionError, match=f"(?s){message}"):
            from_torch(make().double().eval(), given((6, E), 2))


MIXED: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "a view for a transposition": (1, lambda x: x.transpose(0, 1).reshape(x.size(0), x.size(1), -1)),
    "the samples among the heads": (1, lambda x: x.view(x.size(1), x.size(0), -1).transpose(0, 1)),
    "an axis in front of one sample": (1, lambda x: x.unsqueeze(0).mean(1)),
    "an axis that two samples fill": (2, lambda x: x.unflatten(0, (2, -1)).mean(1)),
    "a view that two samples fill": (2, lambda x: x.view(2, -1, 6, E).mean(1)),
}


@pytest.mark.parametrize("name", MIXED)
def test_a_mixture_of_samples_that_the_example_hides_is_found_with_other_numbers_of_samples(name: str) -> None:
    samples, run = MIXED[name]
    module = Forward(lambda m, x: F.relu(run(m.fc(x))), fc=nn.Linear(E, E)).double()
    with pytest.raises(
        ConversionError, match=r"computes with the number of samples, or moves the batch axis.* (differs|has shape)"
    ):
        from_torch(module, given((6, E), samples))


def test_a_program_with_all_operations_taken_apart_is_refused_with_a_remedy() -> None:
    x = given((6, 5), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(Encoder().double().eval(), (x,)).run_decompositions()
        with pytest.raises(
            ConversionError, match=r"run_decompositions\(\), import it without that call, or import the"
        ):
            from_torch(program, x)


def test_an_operation_in_place_changes_no_other_part_of_its_memory() -> None:
    """q, k and v share the memory of their product, and have the same shape."""
    module, x = made("in_place"), given((6, E), 2)
    assert_allclose(from_torch(module, x).forward(x.numpy()), module(x).detach().numpy(), rtol=1e-10, atol=1e-12)
