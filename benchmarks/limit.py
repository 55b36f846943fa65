"""The lower limit for forms that multiply matrices: the products that a composite needs, at this machine's rate.

A product is a pass over all multiply-adds of a layer, W a or its transpose. Winograd's transforms need fewer
multiplications for the same product, so only a form that uses them can be faster than this limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from lrpref import Network, rules
from lrpref.backend import asarray, load_backend
from lrpref.composites import Composite
from lrpref.layers import WeightedLayer
from lrpref.layers.base import Shape

PRODUCTS: Mapping[type[rules.Rule], int] = {
    rules.Zero: 2,  # forward, adjoint
    rules.Epsilon: 2,  # the same: z comes from the forward pass
    rules.ZPlus: 3,  # forward, with W+, adjoint of W+
    rules.Gamma: 3,  # forward, with W+, adjoint of W + gamma W+
    rules.AlphaBeta: 4,  # forward, with W+ (the product with W- is the difference), two adjoints
    rules.ZBox: 2,  # forward, adjoint of W, W+ and W- in one; the products with l and h do not depend on the input
    rules.Flat: 1,  # forward; everything else is sums over channels and windows
    rules.WSquare: 1,
}
"""Rule -> the products it needs on nonnegative inputs, including the forward pass."""


def multiply_adds(net: Network, shape: Shape) -> dict[str, int]:
    """Node -> the multiply-adds of one forward pass of a batch of this shape, for Dense and Conv2D layers.

    >>> from lrpref import Dense
    >>> multiply_adds(Network.sequential(Dense(np.ones((3, 2)))), (5, 2))
    {'dense1': 30}
    """
    shapes = net.shapes(shape)
    return {
        name: prod(shapes[name]) * layer.fan_in(*(shapes[i] for i in inputs))
        for name, layer, inputs in net.nodes
        if isinstance(layer, WeightedLayer)
    }


def needed(net: Network, shape: Shape, composite: Composite) -> int:
    """The multiply-adds of an explanation: those of each layer times the products of its rule."""
    assigned = composite.assign(net)
    return sum(n * PRODUCTS[type(assigned[name])] for name, n in multiply_adds(net, shape).items())


def sgemm(n: int, dtype: str = "float32", backend: str = "numpy") -> Callable[[], object]:
    """A product of two n x n matrices, ready to be timed: 2 n^3 operations."""
    xp = load_backend(backend)
    a, b = (asarray(np.random.default_rng(i).random((n, n)).astype(dtype), backend) for i in range(2))
    return lambda: xp.matmul(a, b)


def seconds_at(rate_of: float, n: int, multiply_adds: int) -> float:
    """The seconds for `multiply_adds`, given that a product of n x n matrices takes `rate_of` seconds."""
    return rate_of * multiply_adds / n**3
