"""Small transformers and attentions, written in the many ways in which people write them in PyTorch.

`FORMS` holds each with the shape of its input; integers (N, T) are indices of words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

F = nn.functional
Module = Any
E, H, WORDS, LONGEST = 8, 2, 9, 12
"""The features of a token, the heads, the words that are known, and the longest sequence."""


class Block(nn.Module):
    """A block that norms first, with an attention of one's own as `attend(self, x)`."""

    def __init__(self, attend: Callable[[Any, Any], Any], **parts: Any) -> None:
        super().__init__()
        self.attend = attend
        self.norm1, self.norm2 = nn.LayerNorm(E), nn.LayerNorm(E)
        self.qkv, self.proj = nn.Linear(E, 3 * E), nn.Linear(E, E)
        self.query, self.key, self.value = (nn.Linear(E, E) for _ in range(3))
        self.mlp = nn.Sequential(nn.Linear(E, 2 * E), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * E, E))
        self.scale, self.heads, self.head_dim = (E // H) ** -0.5, H, E // H
        self.drop = nn.Dropout(0.1)
        self.register_buffer("causal", torch.tril(torch.ones(LONGEST, LONGEST)).view(1, 1, LONGEST, LONGEST))
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Any) -> Any:
        x = x + self.attend(self, self.norm1(x))
        return x + self.mlp(self.norm2(x))


def by_hand(m: Any, q: Any, k: Any, v: Any) -> Any:
    """Attention in two products."""
    attn = (q * m.scale) @ k.transpose(-2, -1)
    return m.drop(attn.softmax(dim=-1)) @ v


# ---- queries, keys and values of one Linear -----------------------------------------------------------------------


def unpacked(m: Any, x: Any) -> Any:
    B, T, C = x.shape
    q, k, v = m.qkv(x).reshape(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
    return m.proj(by_hand(m, q, k, v).transpose(1, 2).reshape(B, T, C))


def unbound(m: Any, x: Any) -> Any:
    B, N, C = x.shape
    qkv = m.qkv(x).reshape(B, N, 3, m.heads, m.head_dim).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.unbind(0)
    x = F.scaled_dot_product_attention(q, k, v, dropout_p=m.drop.p if m.training else 0.0)
    return m.drop(m.proj(x.transpose(1, 2).reshape(B, N, C)))


def indexed(m: Any, x: Any) -> Any:
    B, N, C = x.shape
    qkv = m.qkv(x).reshape(B, N, 3, H, C // H).permute(2, 0, 3, 1, 4).contiguous()
    q, k, v = qkv[0], qkv[1], qkv[2]
    return m.proj(by_hand(m, q, k, v).transpose(1, 2).flatten(2))


def indexed_by_minus(m: Any, x: Any) -> Any:
    qkv = m.qkv(x).view(x.size(0), -1, 3, H, E // H).permute(2, 0, 3, 1, 4)
    return m.proj(by_hand(m, qkv[-3], qkv[-2], qkv[-1]).transpose(1, 2).flatten(2))


def selected(m: Any, x: Any) -> Any:
    qkv = m.qkv(x).unflatten(-1, (3, H, E // H)).movedim(2, 0).transpose(2, 3)
    q, k, v = qkv.select(0, 0), torch.select(qkv, 0, 1), qkv[2, :]
    return m.proj(by_hand(m, q, k, v).transpose(1, 2).flatten(2))


def query_apart(m: Any, x: Any) -> Any:
    """Queries first, then keys and values together."""
    B, T, C = x.shape
    qkv = m.qkv(x).reshape(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
    q, kv = qkv[0] * m.scale, qkv[1:]
    k, v = kv[0], kv[1]
    return m.proj(((q @ k.mT).softmax(-1) @ v).transpose(1, 2).reshape(B, T, C))


def chunked_in_front(m: Any, x: Any) -> Any:
    B, T, C = x.shape
    qkv = m.qkv(x).reshape(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
    q, k, v = (part.squeeze(0) for part in qkv.chunk(3))
    return m.proj(by_hand(m, q, k, v).transpose(1, 2).reshape(B, T, C))


def scaled_together(m: Any, x: Any) -> Any:
    """All three at once pass functions of each number before they are taken apart."""
    B, T, C = x.shape
    qkv = torch.tanh(m.drop(0.5 * m.qkv(x).reshape(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)))
    return m.proj(by_hand(m, *qkv).transpose(1, 2).reshape(B, T, C))


def heads_in_front(m: Any, x: Any) -> Any:
    """A loop over the heads, which are moved to the front."""
    B, T, C = x.shape
    qkv = m.qkv(x).reshape(B, T, 3, H, C // H).permute(3, 2, 0, 1, 4)
    return m.proj(torch.cat([by_hand(m, *head) for head in qkv], dim=-1))


def normed(m: Any, x: Any) -> Any:
    """Norms of queries and keys, as in later vision transformers."""
    B, T, C = x.shape
    q, k, v = m.qkv(x).reshape(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4).unbind(0)
    q, k = m.q_norm(q), m.k_norm(k)
    return m.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, T, C))


def kept_behind(m: Any, x: Any) -> Any:
    B, T, C = x.shape
    q, k, v = m.qkv(x).view(B, T, 3, H, C // H).unbind(2)
    q, k, v = (z.transpose(1, 2) for z in (q, k, v))
    return m.proj(by_hand(m, q, k, v).transpose(1, 2).reshape(B, T, C))


def chunked(m: Any, x: Any) -> Any:
    B, T, C = x.size()
    q, k, v = (z.view(B, T, H, C // H).transpose(1, 2) for z in m.qkv(x).chunk(3, dim=-1))
    return m.proj(by_hand(m, q, k, v).transpose(1, 2).contiguous().view(B, T, C))


# ---- causal attention ----------------------------------------------------------------------------------------------


def causal(m: Any, x: Any) -> Any:
    """With a buffer of ones below the diagonal, as in small GPTs."""
    B, T, C = x.size()
    q, k, v = m.qkv(x).split(E, dim=2)
    k = k.view(B, T, m.heads, C // m.heads).transpose(1, 2)
    q = q.view(B, T, m.heads, C // m.heads).transpose(1, 2)
    v = v.view(B, T, m.heads, C // m.heads).transpose(1, 2)
    att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
    att = att.masked_fill(m.causal[:, :, :T, :T] == 0, float("-inf"))
    att = m.drop(F.softmax(att, dim=-1))
    y = (att @ v).transpose(1, 2).contiguous().view(B, T, C)
    return m.drop(m.proj(y))


def causal_fused(m: Any, x: Any) -> Any:
    B, T, C = x.size()
    q, k, v = (z.view(B, T, H, C // H).transpose(1, 2) for z in m.qkv(x).split(E, dim=2))
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=0, is_causal=True)
    return m.proj(y.transpose(1, 2).contiguous().view(B, T, C))


def causal_by_triu(m: Any, x: Any) -> Any:
    B, T, C = x.shape
    q, k, v = m.qkv(x).reshape(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(-2, -1) / math.sqrt(C // H)
    mask = torch.triu(torch.ones(T, T, device=x.device, dtype=torch.bool), diagonal=1)
    scores = scores.masked_fill(mask, float("-inf"))
    return m.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, C))


def causal_by_full(m: Any, x: Any) -> Any:
    B, T, C = x.shape
    q, k, v = m.qkv(x).reshape(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
    mask = torch.full((T, T), float("-inf"), device=x.device)
    mask = torch.triu(mask, diagonal=1)
    return m.proj((((q @ k.mT) * m.scale + mask).softmax(-1) @ v).transpose(1, 2).reshape(B, T, C))


def causal_by_where(m: Any, x: Any) -> Any:
    B, T, C = x.shape
    q, k, v = m.qkv(x).reshape(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
    scores = q @ k.mT * m.scale
    seen = torch.arange(T)[:, None] >= torch.arange(T)[None, :]
    scores = torch.where(seen, scores, torch.finfo(scores.dtype).min)
    return m.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, C))


def causal_by_tril(m: Any, x: Any) -> Any:
    B, T, C = x.shape
    q, k, v = m.qkv(x).reshape(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
    mask = x.new_ones(T, T).tril().bool()
    return m.proj(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(B, T, C))


# ---- heads merged with the samples ----------------------------------------------------------------------------------


def merged_heads(m: Any, x: Any) -> Any:
    """(N * H, T, D) and bmm, as in sequence-to-sequence models."""
    B, T, C = x.size()

    def shaped(z: Any) -> Any:
        return z.view(B, -1, H, C // H).transpose(1, 2).contiguous()

    size = (B * H, -1, C // H)
    q, k, v = shaped(m.query(x) * m.scale).view(*size), shaped(m.key(x)).view(*size), shaped(m.value(x)).view(*size)
    weights = torch.bmm(q, k.transpose(1, 2))
    weights = F.dropout(F.softmax(weights, dim=-1), p=0.1, training=m.training)
    out = torch.bmm(weights, v).view(B, H, T, C // H).transpose(1, 2)
    return m.proj(out.reshape(B, T, C))


def merged_heads_masked(m: Any, x: Any) -> Any:
    """The mask is added to the scores (N, H, T, T)."""
    B, T, C = x.size()
    q, k, v = (f(x).view(B, T, H, C // H).transpose(1, 2).reshape(B * H, T, C // H) for f in (m.query, m.key, m.value))
    weights = torch.bmm(q * m.scale, k.transpose(1, 2))
    mask = torch.full((T, T), torch.finfo(weights.dtype).min, dtype=weights.dtype).triu(1)
    weights = (weights.view(B, H, T, T) + mask[None, None]).view(B * H, T, T)
    out = torch.bmm(weights.softmax(-1), v).view(B, H, T, C // H).transpose(1, 2).reshape(B, T, C)
    return m.proj(out)


def flattened_tokens(m: Any, x: Any) -> Any:
    """Linear layers on (N * T, E)."""
    B, T, C = x.shape
    flat = x.reshape(-1, C)
    q, k, v = (f(flat).view(B, T, H, C // H).transpose(1, 2) for f in (m.query, m.key, m.value))
    y = by_hand(m, q, k, v).transpose(1, 2).reshape(B * T, C)
    return m.proj(F.relu(y)).view(B, T, C)


# ---- as in the library of HuggingFace ------------------------------------------------------------------------------


def for_scores(m: Any, x: Any) -> Any:
    def transpose_for_scores(z: Any) -> Any:
        new_shape = z.size()[:-1] + (m.heads, m.head_dim)  # noqa: RUF005
        return z.view(new_shape).permute(0, 2, 1, 3)

    q, k, v = (transpose_for_scores(f(x)) for f in (m.query, m.key, m.value))
    scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(m.head_dim)
    probabilities = m.drop(nn.functional.softmax(scores, dim=-1))
    context = torch.matmul(probabilities, v).permute(0, 2, 1, 3).contiguous()
    return m.proj(context.view(context.size()[:-2] + (E,)))  # noqa: RUF005


def for_scores_unpacked(m: Any, x: Any) -> Any:
    def transpose_for_scores(z: Any) -> Any:
        return z.view(*z.size()[:-1], m.heads, m.head_dim).permute(0, 2, 1, 3)

    q, k, v = (transpose_for_scores(f(x)) for f in (m.query, m.key, m.value))
    context = (q @ k.transpose(-1, -2) / m.head_dim**0.5).softmax(-1) @ v
    context = context.permute(0, 2, 1, 3).contiguous()
    new_shape = context.size()[:-2] + (E,)  # noqa: RUF005
    return m.proj(context.view(*new_shape))


def hidden_shape(m: Any, x: Any) -> Any:
    input_shape = x.shape[:-1]
    shape = (*input_shape, -1, m.head_dim)
    q, k, v = (f(x).view(shape).transpose(1, 2) for f in (m.query, m.key, m.value))
    weights = torch.matmul(q, k.transpose(2, 3)) * m.scale
    weights = nn.functional.softmax(weights, dim=-1, dtype=torch.float32).to(q.dtype)
    weights = nn.functional.dropout(weights, p=0.0 if not m.training else 0.1, training=m.training)
    out = torch.matmul(weights, v).transpose(1, 2).contiguous()
    return m.proj(out.reshape(*input_shape, -1).contiguous())


def rotated(m: Any, x: Any) -> Any:
    """Rotary embeddings of positions, and keys and values that several heads share."""
    B, T, C = x.shape

    def rotate_half(z: Any) -> Any:
        a, b = z[..., : z.shape[-1] // 2], z[..., z.shape[-1] // 2 :]
        return torch.cat((-b, a), dim=-1)

    frequencies = 1.0 / (100.0 ** (torch.arange(0, m.head_dim, 2).float() / m.head_dim))
    angles = torch.outer(torch.arange(T).float(), frequencies)
    emb = torch.cat((angles, angles), dim=-1)
    cos, sin = emb.cos()[None, None], emb.sin()[None, None]
    q, k, v = (f(x).view(B, T, H, C // H).transpose(1, 2) for f in (m.query, m.key, m.value))
    q, k = (q * cos) + (rotate_half(q) * sin), (k * cos) + (rotate_half(k) * sin)
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return m.proj(y.transpose(1, 2).reshape(B, T, C))


def shared_keys(m: Any, x: Any) -> Any:
    """One head of keys and values for all heads of queries, repeated by expand."""
    B, T, C = x.shape
    q = m.query(x).view(B, T, H, C // H).transpose(1, 2)
    k, v = (z.view(B, T, 1, C // H).transpose(1, 2) for z in m.narrow(x).chunk(2, -1))
    k, v = (z[:, :, None, :, :].expand(B, 1, H, T, C // H).reshape(B, H, T, C // H) for z in (k, v))
    return m.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, T, C))


def biased(m: Any, x: Any) -> Any:
    """A learned bias of relative positions, looked up in a table."""
    B, T, C = x.shape
    q, k, v = m.qkv(x).reshape(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
    where = torch.arange(T)[:, None] - torch.arange(T)[None] + LONGEST
    attn = (q * m.scale) @ k.transpose(-2, -1)
    attn = attn + m.table[where.view(-1)].view(T, T, -1).permute(2, 0, 1).contiguous().unsqueeze(0)
    return m.proj((attn.softmax(-1) @ v).transpose(1, 2).reshape(B, T, C))


def multi_head(m: Any, x: Any) -> Any:
    return m.att(x, x, x, need_weights=False)[0]


def with_a_bias(m: Any, x: Any) -> Any:
    """A learned bias for each head as the mask of F.scaled_dot_product_attention."""
    B, T, C = x.shape
    q, k, v = m.qkv(x).reshape(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=m.table[None, :, :T, :T])
    return m.proj(y.transpose(1, 2).reshape(B, T, C))


def in_place(m: Any, x: Any) -> Any:
    B, T, C = x.shape
    qkv = m.qkv(x).reshape(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
    q, k, v = qkv[0], qkv[1], qkv[2]
    q *= m.scale
    attn = q.matmul(k.transpose(2, 3)).softmax(dim=-1)
    return m.proj(attn.matmul(v).transpose(1, 2).reshape(B, T, C))


def extended_mask(m: Any, x: Any) -> Any:
    """A mask of ones for every sample, as where no padding is told."""
    B, T, C = x.shape
    mask = torch.ones((B, T), device=x.device)[:, None, None, :]
    mask = (1.0 - mask) * torch.finfo(x.dtype).min
    q, k, v = (f(x).view(B, T, H, C // H).permute(0, 2, 1, 3) for f in (m.query, m.key, m.value))
    scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(C // H) + mask
    return m.proj((scores.softmax(-1) @ v).permute(0, 2, 1, 3).reshape(B, T, C))


def interleaved(m: Any, x: Any) -> Any:
    """Rotary embeddings of neighbours, and repeated keys and values."""
    B, T, C = x.shape
    angles = torch.arange(T)[:, None] * torch.tensor([1.0, 0.1])
    cos, sin = (f(angles).repeat_interleave(2, dim=-1) for f in (torch.cos, torch.sin))

    def rotate(z: Any) -> Any:
        return torch.stack((-z[..., 1::2], z[..., ::2]), dim=-1).flatten(-2)

    q = m.query(x).view(B, T, H, C // H).transpose(1, 2)
    k, v = (z.view(B, T, 1, C // H).transpose(1, 2) for z in m.narrow(x).chunk(2, -1))
    q, k = q * cos + rotate(q) * sin, k * cos + rotate(k) * sin
    k, v = k.repeat_interleave(H, dim=1), v.repeat(1, H, 1, 1)
    return m.proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, C))


def grouped(m: Any, x: Any) -> Any:
    """Two heads of queries for each of the two heads of keys and values."""
    B, T, C = x.shape
    q = m.query(x).view(B, T, 4, C // 4).transpose(1, 2)
    k, v = (z.view(B, T, 2, C // 4).transpose(1, 2) for z in m.narrow(x).chunk(2, -1))
    k = k.repeat_interleave(2, dim=1)
    v = v[:, :, None].expand(-1, -1, 2, -1, -1).reshape(B, 4, T, C // 4)
    return m.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, T, C))


def grouped_fused(m: Any, x: Any) -> Any:
    """The same, by F.scaled_dot_product_attention."""
    B, T, C = x.shape
    q = m.query(x).view(B, T, 4, C // 4).transpose(1, 2)
    k, v = (z.view(B, T, 2, C // 4).transpose(1, 2) for z in m.narrow(x).chunk(2, -1))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    return m.proj(y.transpose(1, 2).reshape(B, T, C))


def reduced(m: Any, x: Any) -> Any:
    """Keys and values of an image that a convolution has made smaller, as in pyramid vision transformers."""
    B, T, C = x.shape
    q = m.query(x).reshape(B, T, H, C // H).permute(0, 2, 1, 3)
    small = m.sr(x.permute(0, 2, 1).reshape(B, C, 2, 3)).reshape(B, C, -1).permute(0, 2, 1)
    k, v = m.kv(small).reshape(B, -1, 2, H, C // H).permute(2, 0, 3, 1, 4)
    attn = ((q @ k.transpose(-2, -1)) * m.scale).softmax(dim=-1)
    return m.proj((attn @ v).transpose(1, 2).reshape(B, T, C))


def with_alpha(m: Any, x: Any) -> Any:
    a, b = m.query(x), m.key(x)
    return torch.add(a, b, alpha=0.5) + torch.sub(a, b, alpha=2) - a.add(b, alpha=-1) + a.sub(b, alpha=0.25)


# ---- sequences first ---------------------------------------------------------------------------------------------


def around_attention(m: Any, x: Any) -> Any:
    x = x.transpose(0, 1)
    return m.att(x, x, x)[0].transpose(0, 1)


def around_attention_masked(m: Any, x: Any) -> Any:
    T = x.shape[1]
    y = x.permute(1, 0, 2)
    mask = nn.Transformer.generate_square_subsequent_mask(T)
    y, _ = m.att(y, y, y, attn_mask=mask, need_weights=False)
    return y.permute(1, 0, 2)


def around_by_hand(m: Any, x: Any) -> Any:
    """(T, N, E) to (N * H, T, D), as torch's own function has it."""
    x = x.transpose(0, 1)
    T, B, C = x.shape
    q, k, v = (f(x).contiguous().view(T, B * H, C // H).transpose(0, 1) for f in (m.query, m.key, m.value))
    weights = torch.bmm(q * m.scale, k.transpose(1, 2)).softmax(-1)
    y = torch.bmm(weights, v).transpose(0, 1).contiguous().view(T, B, C)
    return m.proj(y).transpose(0, 1)


BLOCKS: dict[str, Callable[[], Module]] = {
    f.__name__: (lambda f=f: Block(f))
    for f in (
        unpacked, unbound, indexed, indexed_by_minus, selected, query_apart, chunked_in_front, scaled_together,
        heads_in_front, kept_behind, chunked, causal, causal_fused, causal_by_triu, causal_by_full, causal_by_where,
        causal_by_tril, merged_heads, merged_heads_masked, flattened_tokens, for_scores, for_scores_unpacked,
        hidden_shape, rotated, around_by_hand, in_place, extended_mask, with_alpha,
    )
}  # fmt: skip
BLOCKS |= {
    "normed": lambda: Block(normed, q_norm=nn.LayerNorm(E // H), k_norm=nn.LayerNorm(E // H)),
    "shared_keys": lambda: Block(shared_keys, narrow=nn.Linear(E, 2 * E // H)),
    "with_a_bias": lambda: Block(with_a_bias, table=nn.Parameter(torch.randn(H, LONGEST, LONGEST))),
    "interleaved": lambda: Block(interleaved, narrow=nn.Linear(E, 2 * E // H)),
    "grouped": lambda: Block(grouped, narrow=nn.Linear(E, E)),
    "grouped_fused": lambda: Block(grouped_fused, narrow=nn.Linear(E, E)),
    "reduced": lambda: Block(reduced, sr=nn.Conv2d(E, E, (2, 1)), kv=nn.Linear(E, 2 * E)),
    "biased": lambda: Block(biased, table=nn.Parameter(torch.randn(2 * LONGEST, H))),
    "multi_head": lambda: Block(multi_head, att=nn.MultiheadAttention(E, H, batch_first=True)),
    "around_attention": lambda: Block(around_attention, att=nn.MultiheadAttention(E, H)),
    "around_attention_masked": lambda: Block(around_attention_masked, att=nn.MultiheadAttention(E, H)),
}


# ---- whole networks ----------------------------------------------------------------------------------------------


class VisionTransformer(nn.Module):
    """Patches by a convolution, a class token, learned positions, two blocks, and a head."""

    def __init__(self, attend: Callable[[Any, Any], Any] = unbound) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, E, 4, stride=4)
        self.cls_token, self.dist_token = nn.Parameter(torch.randn(1, 1, E)), nn.Parameter(torch.randn(1, 1, E))
        self.pos_embed = nn.Parameter(torch.randn(1, 6, E))
        self.blocks = nn.Sequential(Block(attend), Block(attend))
        self.norm, self.head = nn.LayerNorm(E, eps=1e-6), nn.Linear(E, 3)

    def forward(self, x: Any) -> Any:
        B, _, height, width = x.shape
        assert (height, width) == (8, 8)
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(B, -1, -1), self.dist_token.expand(B, -1, -1), x), dim=1)
        x = self.norm(self.blocks(x + self.pos_embed))
        return self.head(x[:, 0])


class SequenceFirstVision(nn.Module):
    """Tokens (T, N, E) for nn.MultiheadAttention, as in CLIP."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, E, 4, stride=4, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(E))
        self.positional_embedding = nn.Parameter(torch.randn(5, E))
        self.ln_pre, self.ln_post = nn.LayerNorm(E), nn.LayerNorm(E)
        self.norms = nn.ModuleList([nn.LayerNorm(E) for _ in range(4)])
        self.attentions = nn.ModuleList([nn.MultiheadAttention(E, H) for _ in range(2)])
        self.mlps = nn.ModuleList([nn.Sequential(nn.Linear(E, 12), nn.GELU(), nn.Linear(12, E)) for _ in range(2)])
        self.proj = nn.Parameter(torch.randn(E, 4))

    def forward(self, x: Any) -> Any:
        x = self.conv(x)
        x = x.reshape(x.shape[0], x.shape[1], -1).permute(0, 2, 1)
        cls = self.class_embedding.to(x.dtype) + torch.zeros(x.shape[0], 1, x.shape[-1], dtype=x.dtype, device=x.device)
        x = torch.cat([cls, x], dim=1)
        x = self.ln_pre(x + self.positional_embedding.to(x.dtype))
        x = x.permute(1, 0, 2)
        for i, attention in enumerate(self.attentions):
            y = self.norms[2 * i](x)
            x = x + attention(y, y, y, need_weights=False, attn_mask=None)[0]
            x = x + self.mlps[i](self.norms[2 * i + 1](x))
        x = x.permute(1, 0, 2)
        return self.ln_post(x[:, 0, :]) @ self.proj


class GPT(nn.Module):
    """Words and positions, causal blocks, and the scores of the next word."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(WORDS, E),
                "wpe": nn.Embedding(LONGEST, E),
                "drop": nn.Dropout(0.1),
                "h": nn.ModuleList([Block(causal), Block(causal_fused)]),
                "ln_f": nn.LayerNorm(E),
            }
        )
        self.lm_head = nn.Linear(E, WORDS, bias=False)
        self.lm_head.weight = self.transformer.wte.weight

    def forward(self, idx: Any) -> Any:
        device = idx.device
        _, t = idx.size()
        assert t <= LONGEST, f"a sequence of {t} words is too long"
        pos = torch.arange(0, t, dtype=torch.long, device=device)
        x = self.transformer.drop(self.transformer.wte(idx) + self.transformer.wpe(pos))
        for block in self.transformer.h:
            x = block(x)
        logits = self.lm_head(self.transformer.ln_f(x)[:, [-1], :])
        return logits[:, -1]


class PositionalEncoding(nn.Module):
    """Sines and cosines of the positions, as in PyTorch's tutorial: for (T, N, E)."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        position = torch.arange(LONGEST).unsqueeze(1)
        scale = torch.exp(torch.arange(0, E, 2) * (-math.log(10000.0) / E))
        pe = torch.zeros(LONGEST, 1, E)
        pe[:, 0, 0::2], pe[:, 0, 1::2] = torch.sin(position * scale), torch.cos(position * scale)
        self.register_buffer("pe", pe if first else pe.transpose(0, 1))
        self.first = first

    def forward(self, x: Any) -> Any:
        return x + (self.pe[: x.size(0)] if self.first else self.pe[:, : x.size(1)])


class TutorialModel(nn.Module):
    """Embedding, positions and nn.TransformerEncoder with a causal mask that is built in forward."""

    def __init__(self, first: bool, mask: Callable[[int], Any], read: Callable[[Any], Any]) -> None:
        super().__init__()
        self.first, self.mask, self.read = first, mask, read
        self.words, self.positions = nn.Embedding(WORDS, E), PositionalEncoding(first)
        layer = nn.TransformerEncoderLayer(E, H, 12, 0.1, batch_first=not first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(E, 3)

    def forward(self, src: Any) -> Any:
        x = self.words(src) * math.sqrt(E)
        x = x.transpose(0, 1) if self.first else x
        x = self.positions(x)
        x = self.encoder(x, mask=self.mask(len(x) if self.first else x.size(1)))
        return self.head(self.read(x))


def square(T: Any) -> Any:
    return nn.Transformer.generate_square_subsequent_mask(T)


def upper(T: Any) -> Any:
    return torch.triu(torch.ones(T, T) * float("-inf"), diagonal=1)


def old_square(T: Any) -> Any:
    mask = (torch.triu(torch.ones(T, T)) == 1).transpose(0, 1)
    return mask.float().masked_fill(mask == 0, float("-inf")).masked_fill(mask == 1, 0.0)


def hidden(T: Any) -> Any:
    return torch.triu(torch.ones(T, T, dtype=torch.bool), diagonal=1)


class Encoder(nn.Module):
    """Features to tokens, nn.TransformerEncoder, and a mean."""

    def __init__(self, **told: Any) -> None:
        super().__init__()
        self.embed = nn.Linear(5, E)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(E, H, 12, batch_first=True, **told), 2)
        self.head = nn.Linear(E, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.encoder(self.embed(x)).mean(dim=1))


NETWORKS: dict[str, tuple[Callable[[], Module], tuple[int, ...]]] = {
    "vision": (VisionTransformer, (3, 8, 8)),
    "vision, unpacked": (lambda: VisionTransformer(unpacked), (3, 8, 8)),
    "CLIP": (SequenceFirstVision, (3, 8, 8)),
    "GPT": (GPT, (6,)),
    "tutorial": (lambda: TutorialModel(False, square, lambda x: x.mean(1)), (6,)),
    "tutorial, no mask": (lambda: TutorialModel(False, lambda T: None, lambda x: x[:, 0]), (6,)),
    "tutorial, upper": (lambda: TutorialModel(False, upper, lambda x: x[:, -1]), (6,)),
    "tutorial, old square": (lambda: TutorialModel(False, old_square, lambda x: x[:, -1]), (6,)),
    "tutorial, hidden": (lambda: TutorialModel(False, hidden, lambda x: x), (6,)),
    "first": (lambda: TutorialModel(True, square, lambda x: x.transpose(0, 1)), (6,)),
    "first, mean": (lambda: TutorialModel(True, upper, lambda x: x.mean(dim=0)), (6,)),
    "first, last": (lambda: TutorialModel(True, lambda T: None, lambda x: x[-1]), (6,)),
    "first, max": (lambda: TutorialModel(True, hidden, lambda x: x.max(0).values), (6,)),
    "encoder": (Encoder, (6, 5)),
    "encoder, norm first": (lambda: Encoder(norm_first=True), (6, 5)),
    "encoder, gelu": (lambda: Encoder(activation="gelu"), (6, 5)),
}

FORMS: dict[str, tuple[Callable[[], Module], tuple[int, ...]]] = {
    **{name: (make, (6, E)) for name, make in BLOCKS.items()},
    **NETWORKS,
}
