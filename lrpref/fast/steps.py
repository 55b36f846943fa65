"""The steps of a prepared network: each computes one layer forward (with the ReLU after it), and relevance back.

A step is made once, by `lrpref.fast.prepare`, and is frozen; what it must remember of one forward pass it returns, and
gets back as `kept`. Images are (N, H, W, C) here, channels last; vectors (N, features). Relevance arrives at a node in
one of two forms, which is settled when the network is prepared:

    carried   c, with R = y c for the node's output y
    explicit  R itself
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple, Protocol

from ..backend import Array, array_namespace
from ..engine import Pool, Rule, Term
from ..layers import Flatten, Layer, LinearLayer, MaxPool2D
from .algebra import Recipe, plain_quotient, quotient
from .kernels import ALL, BLOCK_BYTES, Block, Kernel, Source, blocks, keep
from .workers import Scratch, Workers


class Step(Protocol):
    """One layer, or one and the ReLU after it, prepared."""

    @property
    def form(self) -> str:
        """How it computes: see `Prepared.forms`."""

    @property
    def needs_inputs(self) -> bool:
        """Whether `backward` wants the values of the inputs."""

    def forward(self, inputs: tuple[Array, ...], workers: Workers) -> tuple[Array, Any]:
        """The node's output, and what `backward` will want to know."""

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """A message for each input, given the message that arrived."""


def channels_last(x: Array) -> Array:
    """(N, C, H, W) -> (N, H, W, C), in a new array; vectors stay as they are."""
    xp = array_namespace(x)
    return xp.ascontiguousarray(xp.permute_dims(x, (0, 2, 3, 1))) if x.ndim == 4 else x


def channels_first(x: Array) -> Array:
    """The inverse of `channels_last`."""
    xp = array_namespace(x)
    return xp.ascontiguousarray(xp.permute_dims(x, (0, 3, 1, 2))) if x.ndim == 4 else x


def _rectify(z: Array, out: Array) -> None:
    """max(z, 0) to `out`."""
    array_namespace(z).maximum(z, 0, out=out)


# ---- weighted layers -------------------------------------------------------------------------------------------


class Products(NamedTuple):
    """The two kernels of a weighted layer's stacked weights: forward, and its adjoint."""

    onward: Kernel
    back: Kernel


@dataclass(frozen=True, eq=False)
class Weighted:
    """Dense or Conv2D under a rule whose terms are all on the input itself: R_i = a_i c_i.

    layer      the layer, for its shapes
    recipe     its rule, reduced
    products   the recipe's terms forward; the pools' terms back
    biases     a bias for every term of the recipe, or None; shaped (O,)
    rest       the layer's bias, where no term of its output holds it
    rectified  whether the ReLU that follows is computed here
    carried    whether relevance arrives as a factor of the output
    """

    layer: LinearLayer
    recipe: Recipe
    products: Products
    biases: tuple[Array | None, ...]
    rest: Array | None
    rectified: bool
    carried: bool

    needs_inputs = False

    @property
    def form(self) -> str:
        """The form of the forward product."""
        return self.products.onward.form

    def forward(self, inputs: tuple[Array, ...], workers: Workers) -> tuple[Array, tuple[Array, ...]]:
        """y, and (q of every pool, the shape of the input)."""
        (a,) = inputs
        xp, shape = array_namespace(a), _output_shape(self.layer, a)
        y, *qs = outs = tuple(xp.empty(shape, dtype=a.dtype) for _ in range(1 + len(self.recipe.shares)))
        self.products.onward.apply(Source(a), self._finish, outs, workers)
        return y, (tuple(qs), a.shape)

    def _finish(self, parts: Sequence[Array], outs: tuple[Array, ...], channels: slice) -> None:
        """From a block of every term's product to y and the q's."""
        y, *qs = outs
        xp = array_namespace(y)
        for part, b in zip(parts, self.biases, strict=True):
            if b is not None:
                part += b[channels]
        z = sum((parts[k] for k in self.recipe.output[1:]), start=parts[self.recipe.output[0]])
        if self.rest is not None:
            z = z + self.rest[channels]
        if self.rectified:
            _rectify(z, y)
        else:
            y[...] = z
        explained = y if self.carried else xp.ones((1,) * y.ndim, dtype=y.dtype)
        for k, q in enumerate(qs):
            quotient(self.recipe, k, parts, z, explained, q)

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """c_i = sum over pools and j of w'_ij s_j, with s = (what arrived) q."""
        qs, shape = kept
        c = array_namespace(message).empty((message.shape[0], *shape[1:]), dtype=message.dtype)
        self.products.back.apply(Source(message, qs), keep, (c,), workers)
        return (c,)


@dataclass(frozen=True, eq=False)
class Group:
    """The terms of a rule that read one map of the input: (pool, term), and their products."""

    terms: tuple[tuple[int, Term], ...]
    products: Products


@dataclass(frozen=True, eq=False)
class WeightedByTerms:
    """Dense or Conv2D under a rule with terms on other maps of the input: relevance is formed, R_i = sum a'_i c_i.

    This is how a first layer is computed, whose input may have both signs or whose rule looks at bounds.

    own     the layer's own product
    groups  the rule's terms by what they read
    """

    layer: LinearLayer
    rule: Rule
    own: Products
    groups: tuple[Group, ...]
    rectified: bool
    carried: bool

    needs_inputs = True

    @property
    def form(self) -> str:
        """The form of the forward product."""
        return self.own.onward.form

    def forward(self, inputs: tuple[Array, ...], workers: Workers) -> tuple[Array, tuple[Array, ...]]:
        """y, and q of every pool."""
        (a,) = inputs
        xp, pools = array_namespace(a), self.rule.pools()
        _, b = self.layer.parameters(xp.permute_dims(a, (0, 3, 1, 2)) if a.ndim == 4 else a)
        b = None if b is None else channels_last(b)
        z = self._product(self.own.onward, a, 1, workers)[0]
        z = z if b is None else z + b
        zs: list[Array] = [_biases(pool, b, z) for pool in pools]
        for group in self.groups:
            made = self._product(group.products.onward, _mapped(group.terms[0][1], a), len(group.terms), workers)
            for (k, term), part in zip(group.terms, made, strict=True):
                zs[k] = zs[k] + term.sign * part
        y = xp.maximum(z, 0) if self.rectified else z
        explained = y if self.carried else xp.ones_like(y)
        return y, tuple(plain_quotient(self.rule, k, zs, z, explained) for k in range(len(pools)))

    def _product(self, kernel: Kernel, a: Array, count: int, workers: Workers) -> list[Array]:
        """`count` products of one input."""
        shape = _output_shape(self.layer, a)
        outs = tuple(array_namespace(a).empty(shape, dtype=a.dtype) for _ in range(count))
        kernel.apply(Source(a), keep, outs, workers)
        return list(outs)

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """R_i = sum over the terms of sign a'_i sum_j w'_ij s_j."""
        (a,) = inputs
        xp = array_namespace(a)
        R = xp.zeros((message.shape[0], *a.shape[1:]), dtype=a.dtype)
        for group in self.groups:
            c = xp.empty(R.shape, dtype=a.dtype)
            factors = tuple(term.sign * kept[k] for k, term in group.terms)
            group.products.back.apply(Source(message, factors), keep, (c,), workers)
            R += _mapped(group.terms[0][1], a) * c
        return (R,)


def _mapped(term: Term, a: Array) -> Array:
    """The map of the input that a term reads. Maps are written for channels first: bounds may be given per channel."""
    return channels_last(term.a(array_namespace(a).permute_dims(a, (0, 3, 1, 2)))) if a.ndim == 4 else term.a(a)


def _biases(pool: Pool, b: Array | None, like: Array) -> Array:
    """The biases of a pool's terms; zero where it has none."""
    held = [term.sign * term.b(b) for term in pool.terms if term.b is not None and b is not None]
    return sum(held, start=array_namespace(like).zeros((1,) * like.ndim, dtype=like.dtype))


@dataclass(frozen=True, eq=False)
class Uniform:
    """Dense or Conv2D under the flat rule, whose weights are all 1: sum the channels first, then count.

        s_j = c_j q_j,  R_i = sum of s over all units j that see cell i

    All output channels share their inputs, so their s are added before they are sent back, through a kernel with one
    channel.

    own    the layer's own product
    count  the products of a kernel of ones with one channel; None for a Dense layer, where every unit sees every input
    """

    layer: LinearLayer
    rule: Rule
    own: Products
    count: Products | None
    bias: Array | None
    rectified: bool
    carried: bool

    needs_inputs = False

    @property
    def form(self) -> str:
        """The form of the forward product."""
        return self.own.onward.form

    def forward(self, inputs: tuple[Array, ...], workers: Workers) -> tuple[Array, Any]:
        """y, and (y or None, one over the stabilized number of inputs, the input's shape)."""
        (a,) = inputs
        xp = array_namespace(a)
        y = xp.empty(_output_shape(self.layer, a), dtype=a.dtype)
        self.own.onward.apply(Source(a), self._finish, (y,), workers)
        if self.count is None:
            n = xp.full((1, 1), a.shape[-1], dtype=a.dtype)
        else:
            n = xp.empty((1, *y.shape[1:3], 1), dtype=a.dtype)
            cells = xp.ones((1, *a.shape[1:3], 1), dtype=a.dtype)
            self.count.onward.apply(Source(cells), keep, (n,), workers)
            n *= a.shape[-1]
        q = plain_quotient(self.rule, 0, [n], n, xp.ones_like(n))
        return y, (y if self.carried else None, q, a.shape)

    def _finish(self, parts: Sequence[Array], outs: tuple[Array, ...], channels: slice) -> None:
        """Bias and ReLU."""
        (z,), (y,) = parts, outs
        if self.bias is not None:
            z += self.bias[channels]
        if self.rectified:
            _rectify(z, y)
        else:
            y[...] = z

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The sum of s over channels, through the kernel of ones; the same for every channel of the input."""
        y, q, shape = kept
        xp = array_namespace(message)
        s = xp.empty((*message.shape[:-1], 1), dtype=message.dtype)

        def add(n: int, scratch: Scratch) -> None:
            if y is None:
                xp.sum(message[n], axis=-1, keepdims=True, out=s[n])
            else:
                s[n] = xp.einsum("...o,...o->...", message[n], y[n if y.shape[0] > 1 else 0])[..., None]

        workers.run(range(message.shape[0]), add)
        s *= q
        R = s
        if self.count is not None:
            R = xp.empty((message.shape[0], *shape[1:3], 1), dtype=message.dtype)
            self.count.back.apply(Source(s), keep, (R,), workers)
        return (xp.broadcast_to(R, (message.shape[0], *shape[1:])),)


def _pieces(array: Array, workers: Workers) -> Iterator[Block]:
    """An array of images cut so that everyone has work, in pieces that fit a cache."""
    if array.ndim != 4:
        return iter([Block(slice(0, array.shape[0]), ALL)])
    N, H, W, C = array.shape
    cached = BLOCK_BYTES // (4 * max(W * C, 1) * array.dtype.itemsize)
    return blocks(N, H, max(1, min(cached, -(-N * H // workers.count))))


def _output_shape(layer: Layer, a: Array) -> tuple[int, ...]:
    """A layer's output shape for an input with channels last."""
    if a.ndim == 2:
        return layer.output_shape(a.shape)
    N, H, W, C = a.shape
    N, C, H, W = layer.output_shape((N, C, H, W))
    return (N, H, W, C)


# ---- joins and pools -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Join:
    """Add under a rule whose terms are on the inputs themselves: every branch gets the same c = (what arrived) q."""

    recipe: Recipe
    rectified: bool
    carried: bool

    form = "direct"
    needs_inputs = False

    def forward(self, inputs: tuple[Array, ...], workers: Workers) -> tuple[Array, Array]:
        """y, and q."""
        xp, shape = array_namespace(inputs[0]), inputs[0].shape
        y, q = (xp.empty(shape, dtype=inputs[0].dtype) for _ in range(2))

        def work(piece: Block, scratch: Scratch) -> None:
            y_here, q_here, first, second, *more = map(piece.part, (y, q, *inputs))
            z = scratch.array("z", y_here.shape, y.dtype)
            xp.add(first, second, out=z)
            for a in more:
                z += a
            if self.rectified:
                _rectify(z, y_here)
            else:
                y_here[...] = z
            explained = y_here if self.carried else xp.ones((1,) * z.ndim, dtype=z.dtype)
            quotient(self.recipe, 0, [z], z, explained, q_here)

        workers.run(_pieces(y, workers), work)
        return y, (q, len(inputs))

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The same to every branch."""
        q, branches = kept
        xp = array_namespace(message)
        c = xp.empty(message.shape, dtype=message.dtype)

        def work(piece: Block, scratch: Scratch) -> None:
            q_here = piece.part(q) if q.shape[0] > 1 else q[:, piece.rows]
            xp.multiply(piece.part(message), q_here, out=piece.part(c))

        workers.run(_pieces(c, workers), work)
        return [c] * branches


@dataclass(frozen=True, eq=False)
class Mean:
    """GlobalAvgPool2D under a rule whose terms are on the input itself."""

    recipe: Recipe
    carried: bool

    form = "direct"
    needs_inputs = False

    def forward(self, inputs: tuple[Array, ...], workers: Workers) -> tuple[Array, Any]:
        """y, and (q / (H W), the shape of the input)."""
        (a,) = inputs
        xp = array_namespace(a)
        y = xp.mean(a, axis=(1, 2), keepdims=True)
        q = xp.empty(y.shape, dtype=y.dtype)
        quotient(self.recipe, 0, [y.copy()], y, y if self.carried else xp.ones_like(y), q)
        return y, (q / (a.shape[1] * a.shape[2]), a.shape)

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The same for every cell."""
        q, shape = kept
        return (array_namespace(message).broadcast_to(message * q, (message.shape[0], *shape[1:])),)


# ---- routing ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Largest:
    """MaxPool2D, ties to the first: whatever arrives goes to the cell that won, be it R or the factor of y = a."""

    layer: MaxPool2D

    form = "direct"
    needs_inputs = False

    def forward(self, inputs: tuple[Array, ...], workers: Workers) -> tuple[Array, Any]:
        """y, and (which tap won each window, the shape of the input)."""
        (a,) = inputs
        xp, shape = array_namespace(a), _output_shape(self.layer, a)
        y, winner = xp.empty(shape, dtype=a.dtype), xp.zeros(shape, dtype=xp.uint8)
        cells = self._cells(self._padded(a), shape)

        def work(piece: Block, scratch: Scratch) -> None:
            best, won = piece.part(y), piece.part(winner)
            best[...] = piece.part(cells[0])
            higher = scratch.array("higher", best.shape, xp.bool)
            for tap, value in enumerate(map(piece.part, cells[1:]), start=1):
                xp.greater(value, best, out=higher)
                xp.putmask(won, higher, tap)
                xp.maximum(best, value, out=best)

        workers.run(_pieces(y, workers), work)
        return y, (winner, a.shape)

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """To the winner; a cell that won several windows gets the sum."""
        winner, (_, H, W, C) = kept
        xp, (top, bottom, left, right) = array_namespace(message), self.layer.window.padding
        kernel, stride = self.layer.window.kernel, self.layer.window.stride
        apart = kernel[0] <= stride[0] and kernel[1] <= stride[1]  # no cell is in two windows
        shape = (message.shape[0], top + H + bottom, left + W + right, C)
        covered = kernel == stride and shape[1:3] == (message.shape[1] * stride[0], message.shape[2] * stride[1])
        padded = (xp.empty if covered else xp.zeros)(shape, dtype=message.dtype)
        cells = self._cells(padded, message.shape)

        def work(piece: Block, scratch: Scratch) -> None:
            sent = piece.part(message)
            won = piece.part(winner) if winner.shape[0] > 1 else winner[:, piece.rows]
            for tap, target in enumerate(map(piece.part, cells)):
                if apart:
                    xp.multiply(sent, won == tap, out=target)
                else:
                    target += sent * (won == tap)

        whole_images = blocks(message.shape[0], message.shape[1], message.shape[1])
        workers.run(_pieces(message, workers) if apart else whole_images, work)
        return (padded[:, top : top + H, left : left + W],)

    def _padded(self, a: Array) -> Array:
        """The images with a border that never wins."""
        (top, bottom, left, right), (N, H, W, C) = self.layer.window.padding, a.shape
        if not top + bottom + left + right:
            return a
        xp = array_namespace(a)
        padded = xp.full((N, top + H + bottom, left + W + right, C), -xp.inf, dtype=a.dtype)
        padded[:, top : top + H, left : left + W] = a
        return padded

    def _cells(self, images: Array, size: tuple[int, ...]) -> list[Array]:
        """For each tap, in reading order, the cells that meet it, one per window."""
        return [images[:, cells[2], cells[3]] for _, _, cells in self.layer.window.taps((size[1], size[2]))]


@dataclass(frozen=True, eq=False)
class Flat:
    """Flatten: features in the order of (C, H, W), as everywhere in lrpref."""

    layer: Flatten

    form = "direct"
    needs_inputs = False

    def forward(self, inputs: tuple[Array, ...], workers: Workers) -> tuple[Array, Any]:
        """The features, and the shape of the input."""
        (a,) = inputs
        return channels_first(a).reshape((a.shape[0], prod(a.shape[1:]))), a.shape

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The same numbers in the input's shape."""
        if len(kept) != 4:
            return (message.reshape((message.shape[0], *kept[1:])),)
        _, H, W, C = kept
        return (channels_last(message.reshape((message.shape[0], C, H, W))),)


@dataclass(frozen=True, eq=False)
class Same:
    """Dropout, which does nothing here."""

    form = "direct"
    needs_inputs = False

    def forward(self, inputs: tuple[Array, ...], workers: Workers) -> tuple[Array, None]:
        """The input."""
        return inputs[0], None

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """What arrived."""
        return (message,)


# ---- everything else -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Plain:
    """Any layer under any rule, by the layer's own plain code. Relevance arrives and leaves as R."""

    layer: Layer
    rule: Rule | None

    form = "plain"
    needs_inputs = True

    def forward(self, inputs: tuple[Array, ...], workers: Workers) -> tuple[Array, None]:
        """The layer's output."""
        return channels_last(self.layer.forward(*map(channels_first, inputs))), None

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The layer's flow."""
        values = tuple(map(channels_first, inputs))
        return tuple(map(channels_last, self.layer.flow(values, channels_first(message), self.rule).inputs))
