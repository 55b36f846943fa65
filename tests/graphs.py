"""Random networks with BatchNorm in every possible position, and networks that look trained.

Hypothesis draws the structure (positions and geometry) and shrinks it; the numbers come from a drawn seed. They cover
the magnitudes that fusion must handle: standard deviations from 1e-3 to 3, much larger means, and gammas of both
signs and exactly zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lrpref import (
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    LinearLayer,
    MaxPool2D,
    Network,
    ReLU,
    Scale,
)
from lrpref.network import Node

Shape = tuple[int, ...]
Draw = Callable[[st.SearchStrategy[Any]], Any]


class Sketch:
    """A network under construction: nodes are added one by one, and the shape of each is recorded."""

    def __init__(self, shape: Shape, rng: np.random.Generator) -> None:
        self.rng = rng
        self.shapes: dict[str, Shape] = {"input": shape}
        self.nodes: list[tuple[str, Layer, list[str]]] = []

    def put(self, layer: Layer, *inputs: str) -> str:
        """Add a node for `layer`; return its name, made of the layer's type and a count."""
        kind = type(layer).__name__.lower()
        name = f"{kind}{1 + sum(type(other) is type(layer) for _, other, _ in self.nodes)}"
        self.nodes.append((name, layer, list(inputs)))
        self.shapes[name] = layer.output_shape(*(self.shapes[i] for i in inputs))
        return name

    def channels(self, at: str) -> int:
        """The length of axis 1 at a node."""
        return self.shapes[at][1]

    def norm(self, at: str) -> str:
        """Add a BatchNorm."""
        return self.put(batch_norm(self.rng, self.channels(at)), at)

    def relu(self, at: str) -> str:
        """Add a ReLU."""
        return self.put(ReLU(), at)

    def conv(self, draw: Draw, at: str) -> str:
        """Add a convolution of any geometry."""
        return self.put(draw(convolutions(self.rng, self.shapes[at])), at)

    def same(self, at: str, channels: int | None = None) -> str:
        """Add a padded convolution that keeps the image's size."""
        return self.put(convolution(self.rng, self.channels(at), channels or self.channels(at), 3, padding=1), at)

    def dense(self, at: str, out: int = 3) -> str:
        """Add a Dense layer after images or features."""
        at = self.put(Flatten(), at) if len(self.shapes[at]) == 4 else at
        features = self.channels(at)
        return self.put(Dense(self.rng.normal(size=(out, features)) / features**0.5, self.rng.normal(size=out)), at)


# ---- layers --------------------------------------------------------------------------------------------------------


def batch_norm(rng: np.random.Generator, channels: int) -> BatchNorm:
    """A BatchNorm with variances from 1e-6 to 10, gammas of both signs (a fifth of them zero), sometimes not affine."""
    gamma = rng.normal(size=channels) * (rng.random(channels) > 0.2)
    affine = rng.random()
    return BatchNorm(
        gamma if affine > 0.2 else None,
        rng.normal(size=channels) if affine > 0.1 else None,
        rng.normal(size=channels),
        10 ** rng.uniform(-6, 1, size=channels),
        eps=float(rng.choice([0.0, 1e-5, 1e-3])),
    )


def convolution(
    rng: np.random.Generator, channels: int, out: int, kernel: int | tuple[int, int], bias: bool = True, **geometry: Any
) -> Conv2D:
    """A convolution whose output is about as large as its input."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    per_group = channels // geometry.get("groups", 1)
    weight = rng.normal(size=(out, per_group, *sides)) * (2 / (per_group * sides[0] * sides[1])) ** 0.5
    return Conv2D(weight, rng.normal(size=out) if bias else None, **geometry)


@st.composite
def convolutions(draw: Draw, rng: np.random.Generator, shape: Shape) -> Conv2D:
    """A convolution of any geometry for images of `shape`: stride, asymmetric padding, dilation, groups."""
    channels, *sides = shape[1:]
    padding = draw(st.sampled_from([(0, 0, 0, 0), (1, 1, 1, 1), (2, 0, 1, 0), (0, 1, 2, 2)]))
    stride, dilation = (draw(st.tuples(*[st.integers(1, 2)] * 2)) for _ in range(2))
    padded = (sides[0] + sum(padding[:2]), sides[1] + sum(padding[2:]))
    kernel = tuple(draw(st.integers(1, min(3, (p - 1) // d + 1))) for p, d in zip(padded, dilation, strict=True))
    groups = draw(st.sampled_from([g for g in (1, 2, 4) if channels % g == 0]))
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return convolution(rng, channels, 4, kernel, bias=draw(st.booleans()), **geometry)


# ---- positions of a BatchNorm in the convolutional part ------------------------------------------------------------


def after_linear(draw: Draw, s: Sketch, at: str) -> str:
    """Convolution, BN."""
    return s.relu(s.norm(s.conv(draw, at)))


def before_linear(draw: Draw, s: Sketch, at: str) -> str:
    """BN, convolution: at the start of the network or after a ReLU, so BN has nothing to fold into before it."""
    return s.relu(s.conv(draw, s.norm(at)))


def chain(draw: Draw, s: Sketch, at: str) -> str:
    """BN, BN, convolution, BN, BN."""
    return s.relu(s.norm(s.norm(s.conv(draw, s.norm(s.norm(at))))))


def through_dropout(draw: Draw, s: Sketch, at: str) -> str:
    """BN, Dropout, convolution, Dropout, BN."""
    before = s.put(Dropout(), s.norm(at))
    return s.relu(s.norm(s.put(Dropout(), s.conv(draw, before))))


def before_relu(draw: Draw, s: Sketch, at: str) -> str:
    """Pooling, BN, ReLU, convolution: BN stays as a Scale, or becomes a ThreshReLU and a folded Scale."""
    return s.relu(s.conv(draw, s.relu(s.norm(s.put(MaxPool2D(2, stride=1, padding=1), at)))))


def between_pools(draw: Draw, s: Sketch, at: str) -> str:
    """Max-pool, BN, average pool: BN stays."""
    return s.put(AvgPool2D(2, stride=1, padding=1), s.norm(s.put(MaxPool2D(2, stride=1, padding=1), at)))


def residual(draw: Draw, s: Sketch, at: str) -> str:
    """He et al. 2016: convolution, BN, ReLU, convolution, BN in parallel to a skip, then ReLU."""
    body = s.norm(s.same(s.relu(s.norm(s.same(at)))))
    return s.relu(s.put(Add(), body, at))


def preactivation(draw: Draw, s: Sketch, at: str) -> str:
    """He et al. 2016b: BN, ReLU, convolution, BN, ReLU, convolution in parallel to a skip."""
    body = s.same(s.relu(s.norm(s.same(s.relu(s.norm(at))))))
    return s.put(Add(), at, body)


def norm_read_by_many(draw: Draw, s: Sketch, at: str) -> str:
    """Three convolutions read one BN: it folds into each."""
    norm = s.norm(at)
    return s.relu(s.put(Add(), s.same(norm), s.same(s.put(Dropout(), norm)), s.same(norm)))


def norm_read_by_a_skip(draw: Draw, s: Sketch, at: str) -> str:
    """A convolution and an Add read one BN: it stays."""
    norm = s.norm(s.relu(at))
    return s.relu(s.put(Add(), norm, s.same(norm)))


def linear_read_by_many(draw: Draw, s: Sketch, at: str) -> str:
    """A BN and an Add read one convolution: the BN folds neither backward nor forward."""
    linear = s.same(at)
    return s.relu(s.put(Add(), linear, s.norm(linear)))


def shared_convolution(draw: Draw, s: Sketch, at: str) -> str:
    """One convolution at two nodes, each followed by its own BN."""
    C = s.channels(at)
    shared = convolution(s.rng, C, C, 3, padding=1)
    return s.relu(s.norm(s.put(shared, s.relu(s.norm(s.put(shared, at))))))


def shared_norm(draw: Draw, s: Sketch, at: str) -> str:
    """One BN at two nodes: after a convolution and before one."""
    C = s.channels(at)
    shared = batch_norm(s.rng, C)
    return s.same(s.put(shared, s.relu(s.put(shared, s.same(at)))))


def side_by_side(draw: Draw, s: Sketch, at: str) -> str:
    """A BN in each branch of a Concat: one after a convolution, one without adjacent linear layers."""
    branches = s.norm(s.same(at, 2)), s.norm(s.put(MaxPool2D(3, stride=1, padding=1), at))
    return s.same(s.put(Concat(), *branches), 4)


Position = Callable[[Draw, Sketch, str], str]

POSITIONS: dict[str, Position] = {
    position.__name__: position
    for position in (
        after_linear,
        before_linear,
        chain,
        through_dropout,
        before_relu,
        between_pools,
        residual,
        preactivation,
        norm_read_by_many,
        norm_read_by_a_skip,
        linear_read_by_many,
        shared_convolution,
        shared_norm,
        side_by_side,
    )
}
"""Positions of a BatchNorm in the convolutional part of a network."""


# ---- positions of a BatchNorm at the end ---------------------------------------------------------------------------


def plain(draw: Draw, s: Sketch, at: str) -> str:
    """Flatten, Dense."""
    return s.dense(at)


def through_flatten(draw: Draw, s: Sketch, at: str) -> str:
    """BN on channels, Flatten, Dense: each channel becomes several features."""
    return s.dense(s.norm(at))


def flattened_chain(draw: Draw, s: Sketch, at: str) -> str:
    """BN on channels, Flatten, BN on features, Dropout, Dense."""
    return s.dense(s.put(Dropout(), s.norm(s.put(Flatten(), s.norm(at)))))


def between_dense(draw: Draw, s: Sketch, at: str) -> str:
    """Dense, Dropout, BN, ReLU, BN, Dense."""
    return s.dense(s.norm(s.relu(s.norm(s.put(Dropout(), s.dense(at, 5))))))


def norm_last(draw: Draw, s: Sketch, at: str) -> str:
    """Dense, BN at the output."""
    return s.norm(s.dense(at))


def kept_norm_last(draw: Draw, s: Sketch, at: str) -> str:
    """Global average pool, BN at the output: BN has nothing to fold into."""
    return s.norm(s.put(GlobalAvgPool2D(), at))


ENDS: dict[str, Position] = {
    end.__name__: end for end in (plain, through_flatten, flattened_chain, between_dense, norm_last, kept_norm_last)
}
"""Positions of a BatchNorm at the end of a network."""


@st.composite
def graphs(
    draw: Draw, positions: Sequence[str] | None = None, end: str | None = None, shape: Shape = (2, 4, 6, 5)
) -> tuple[Network, np.ndarray]:
    """Draw a float64 network and a batch for it.

    Parameters
    ----------
    positions : sequence of str or None
        Keys of `POSITIONS`, in order; None draws up to three.
    end : str or None
        A key of `ENDS`; None draws one.
    shape : tuple of int
        The shape of the batch.
    """
    if positions is None:
        positions = draw(st.lists(st.sampled_from(list(POSITIONS)), max_size=3))
    end = draw(st.sampled_from(list(ENDS))) if end is None else end
    sketch = Sketch(shape, np.random.default_rng(draw(st.integers(0, 2**16))))
    at = "input"
    for position in positions:
        at = POSITIONS[position](draw, sketch, at)
    ENDS[end](draw, sketch, at)
    return Network(sketch.nodes), sketch.rng.normal(size=shape)


# ---- bounds on rounding errors -------------------------------------------------------------------------------------


def magnitudes(net: Network, x: np.ndarray) -> np.ndarray:
    """A bound on the output without cancellation: |w| |a| + |b| at every linear layer."""
    sizes = {"input": abs(net.cast(x))}
    for name, layer, inputs in net.nodes:
        sizes[name] = _magnitude(layer, *(sizes[i] for i in inputs))
    return sizes[net.output]


def _magnitude(layer: Layer, *a: np.ndarray) -> np.ndarray:
    if isinstance(layer, BatchNorm):  # b = beta - w mu is a difference that may itself cancel
        w = abs(layer.scale_and_shift()[0])
        beta = 0 if layer.bias is None else abs(layer.bias)
        return Scale(w, w * abs(layer.mean) + beta).forward(*a)
    if isinstance(layer, LinearLayer):
        w, b = layer.parameters(*a)
        return layer.linear(abs(w), *a) + (0 if b is None else abs(b))
    return layer.forward(*a)


def rounding(net: Network, x: np.ndarray) -> np.ndarray:
    """A bound, for each output, on the difference of two networks that are equal up to rounding.

    A linear layer with fan-in n computes n products, n sums, and a few more steps for the BatchNorm parameters: its
    error is at most (n + 8) u |w| |a| (Higham, Accuracy and Stability of Numerical Algorithms, sec. 3.1; u is half
    of eps). Errors from earlier layers grow like |w|, as `magnitudes` does, and activations and max-pools do not
    increase them. So the error of the output is at most the sum of n + 8 over the layers, times u, times
    `magnitudes`, and two networks differ by at most twice that.
    """
    shapes = net.shapes(x.shape)
    linear = [(layer, inputs) for _, layer, inputs in net.nodes if isinstance(layer, LinearLayer)]
    steps = sum(layer.fan_in(*(shapes[i] for i in inputs)) + 8 for layer, inputs in linear)
    return steps * np.finfo(net.dtype).eps * magnitudes(net, x)


# ---- networks that look trained --------------------------------------------------------------------------------------


def trained_like(net: Network, rng: np.random.Generator) -> Network:
    """A network of `lrpref.models` in float64, with BatchNorm parameters and biases as after training."""
    nodes: list[Node] = []
    for node in net.astype(np.float64).nodes:
        layer = node.layer
        if isinstance(layer, BatchNorm):
            layer = _realistic_norm(layer.channels, rng)
        elif isinstance(layer, Conv2D | Dense) and layer.bias is not None:
            layer = replace(layer, bias=rng.normal(0, 0.3, size=layer.bias.shape))
        nodes.append(node._replace(layer=layer))
    return Network(nodes)


def _realistic_norm(C: int, rng: np.random.Generator) -> BatchNorm:
    """A BatchNorm with statistics near those of its input and gammas near 1, some negative."""
    gamma = rng.normal(1, 0.3, size=C) * rng.choice([1, 1, 1, -1], size=C)
    return BatchNorm(gamma, rng.normal(0, 0.3, size=C), rng.normal(0, 0.5, size=C), rng.uniform(0.5, 2, C))
