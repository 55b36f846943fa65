"""Convert PyTorch's attention, which becomes a graph of layers, and what surrounds it: embeddings and masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np

from ...graphs import attention
from ...layers import Affine, Embedding, Layer, MatMul, Softmax, TokenDense
from ...weights.state_dict import as_array
from ..graph import HIDDEN, Nodes, affine, hidden, require
from .call import Call
from .moves import repeated

LEARNED = (
    "its queries, keys or values are constants, such as learned tokens; all three must depend on the network's input"
)


def _multi_head(call: Call, read: Sequence[str], name: str) -> Nodes:
    """Convert nn.MultiheadAttention."""
    module = call.module
    require(
        module.batch_first or call.moved,
        "it takes (T, N, E), with the samples on axis 1; build it with batch_first=True, for (N, T, E), or import a "
        "module whose forward takes (N, T, E), calls this one on x.transpose(0, 1), and transposes the result back",
    )
    require(
        not (module.batch_first and call.moved),
        "it takes (N, T, E), but the first axis of its input is not the batch axis; leave out the transposition before "
        "it, or build it with batch_first=False, for (T, N, E)",
    )
    require(
        not call.part,
        "the weights of its heads are not supported as a result; they are the node that ends in '.weights'",
    )
    require(len(read) == 3, LEARNED)
    require(module.bias_k is None and not module.add_zero_attn, "add_bias_kv and add_zero_attn are not supported")
    require(read[1] == read[2], "its keys and its values come from different activations")
    queries, keys, values = (TokenDense(*parameters) for parameters in zip(*_projections(module), strict=True))
    output = TokenDense(*_pair(module.out_proj.weight, module.out_proj.bias))
    heads, memory = module.num_heads, None if read[1] == read[0] else read[1]
    return attention(name, read[0], heads, queries, keys, values, output, memory, _mask(call, true_hides=True))


def _projections(module: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return the weights and the biases of queries, keys and values."""
    if module._qkv_same_embed_dim:
        weights = np.split(as_array(module.in_proj_weight), 3)
    else:
        weights = [as_array(getattr(module, f"{part}_proj_weight")) for part in "qkv"]
    biased = module.in_proj_bias is not None
    return weights, np.split(as_array(module.in_proj_bias), 3) if biased else [None] * 3


def _pair(weight: Any, bias: Any) -> tuple[Any, Any]:
    """Return a weight and a bias as arrays; None stays None."""
    return as_array(weight), None if bias is None else as_array(bias)


def _scaled_dot_product(call: Call, read: Sequence[str], name: str) -> Nodes:
    """Convert F.scaled_dot_product_attention: softmax(scale Q K^T + mask) V."""
    require(call["dropout_p"] in (None, 0), "its dropout is active in eval mode; pass dropout_p=0 there")
    require(len(read) == 3, LEARNED)
    shared: list[Nodes] = [[], []]
    if call["enable_gqa"]:
        shared = [_for_all_heads(call, k, read[k], f"{name}.{part}") for k, part in ((1, "keys"), (2, "values"))]
        read = [read[0], *(nodes[-1][0] if nodes else own for nodes, own in zip(shared, read[1:], strict=True))]
    queries, keys, _ = call.shapes
    scale = 1 / sqrt(queries[-1]) if call["scale"] is None else float(call["scale"])
    mask = _mask(call, true_hides=False)
    if call["is_causal"]:
        require(mask is None, "a mask and is_causal together are not supported")
        mask = np.where(np.tri(queries[-2], keys[-2], dtype=bool), 0.0, HIDDEN)
        call.bound.append("its mask is made")
    scores = f"{name}.masked" if mask is not None else f"{name}.scores"
    masked: Nodes = [] if mask is None else [(scores, Affine(bias=mask), [f"{name}.scores"])]
    return [
        *shared[0],
        *shared[1],
        (f"{name}.scores", MatMul(transpose=True, scale=scale), [read[0], read[1]]),
        *masked,
        (f"{name}.weights", Softmax(axis=-1), [scores]),
        (name, MatMul(), [f"{name}.weights", read[2]]),
    ]


def _for_all_heads(call: Call, k: int, read: str, name: str) -> Nodes:
    """Return the nodes that repeat keys or values, the k-th argument, for as many heads as the queries have."""
    queries, own = call.shapes[0], call.shapes[k]
    require(len(own) == 4, f"enable_gqa needs (N, heads, T, D), got {own}")
    after, copies = (*own[:1], queries[1], *own[2:]), queries[1] // own[1]
    told = replace(call, name="repeat_interleave", arguments={"repeats": copies}, shapes=(own,), result=after)
    nodes: Nodes = []
    for count, layers in repeated(told):
        names = [f"{name}.{i}" for i in range(len(layers) - 1)] + [name]
        reads = [[read] * count, *([each] for each in names)]
        nodes = list(zip(names, layers, reads, strict=False))
    return nodes


def _mask(call: Call, true_hides: bool) -> np.ndarray | None:
    """Return what a mask adds to the scores; in one of booleans, True hides a score, or it shows one."""
    require(call["key_padding_mask"] is None, "key_padding_mask is not supported; leave the padding out of the input")
    mask = call.constant("attn_mask")
    if mask is None:
        return None
    shape = mask.shape
    while mask.ndim > 2 and len(mask) == 1:
        mask = mask[0]
    require(
        mask.ndim == 2 or (mask.ndim == 3 and len(call.shapes[0]) == 4 and mask.shape[0] == call.shapes[0][1]),
        f"its mask has shape {shape}; only one for all samples is supported",
    )
    if mask.dtype == bool:
        return np.where(mask == true_hides, HIDDEN, 0.0)
    return hidden(mask)


def _embedding(call: Call) -> list[Layer]:
    require(call["max_norm"] is None, "max_norm changes the weights in the forward pass, which no layer does")
    return [Embedding(call.weight("weight"))]


def _masked_fill(call: Call) -> list[Layer]:
    masked, value = call.weight("mask").astype(bool), float(call.weight("value"))
    return affine(np.where(masked, 0.0, 1.0), np.where(masked, value, 0.0), call.shapes[0])


PARAMETERS: Mapping[str, str] = {
    "embedding": "input weight padding_idx max_norm",
    "masked_fill": "input mask value",
    "multi_head_attention": "query key value key_padding_mask need_weights attn_mask average_attn_weights is_causal",
    "scaled_dot_product_attention": "query key value attn_mask dropout_p is_causal scale enable_gqa",
}

MODULES: Mapping[str, str] = {"Embedding": "embedding", "MultiheadAttention": "multi_head_attention"}

OPERATIONS: Mapping[str, Callable[[Call], list[Layer]]] = {"embedding": _embedding, "masked_fill": _masked_fill}

GRAPHS: Mapping[str, Callable[[Call, Sequence[str], str], Nodes]] = {
    "multi_head_attention": _multi_head,
    "scaled_dot_product_attention": _scaled_dot_product,
}
"""The conversion of each operation to several nodes, given the nodes that it reads, and the name of its last one."""
