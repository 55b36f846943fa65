"""Arrays of an imported model whose samples are not alone on the first axis.

PyTorch computes multi-head attention on tokens (T, N, E), with the batch axis behind the tokens, and then merges it
with the heads, (T, N H, D); modules are often written in this way, and it is also what PyTorch exports. In lrpref the
samples stay first. This module tracks where each axis of lrpref's array is in the array of the model. Every layer works
on each sample by itself, and an operation that cannot be written with such layers is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from ..errors import ConversionError
from ..layers import Layer, Permute, Reshape, Slice
from .graph import Shape, require
from .layout import Activation, Layout, Step


@dataclass(frozen=True, eq=False)
class Mixed(Layout):
    """The axes of the model's array in terms of those of lrpref's, where the samples are not alone on the first one.

    Parameters
    ----------
    groups : tuple of tuple of int
        For each axis of the model's array, the axes of lrpref's that are merged in it, in order; none if its size is
        1.

    Examples
    --------
    >>> Mixed(groups=((1, 0), (2,))).shape((2, 5, 8))
    (10, 8)
    """

    axes: tuple[int, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()

    @property
    def plain(self) -> bool:
        """False."""
        return False

    def shape(self, shape: Shape) -> Shape:
        """Return the shape of the model's array, given that of lrpref's."""
        return tuple(prod(shape[axis] for axis in group) for group in self.groups)

    def own_axis(self, axis: int) -> int:
        """Raise ConversionError."""
        raise ConversionError("axis 0 of its input holds more than the samples")


def simplest(groups: Sequence[Sequence[int]]) -> Layout:
    """Return a Layout if each axis of the model is one of lrpref's, the first the batch axis; a Mixed otherwise."""
    alone = [0] if not groups[0] and not any(0 in group for group in groups) else groups[0]  # one sample is anywhere
    if list(alone) == [0] and all(len(group) == 1 for group in groups[1:]):
        return Layout((0, *(group[0] for group in groups[1:])))
    return Mixed(groups=tuple(tuple(group) for group in groups))


def groups_of(x: Activation) -> tuple[tuple[int, ...], ...]:
    """Return the groups of an array in any layout; the axis of a single sample, which may be anywhere, is in none."""
    if isinstance(x.layout, Mixed):
        groups = x.layout.groups
    else:
        require(x.layout.order is None, "it takes apart a flattened (N, H, W, C) image, which is not supported")
        groups = tuple((axis,) for axis in x.layout.axes)
    return tuple(tuple(axis for axis in group if axis) for group in groups) if x.shape[0] == 1 else groups


def transposed(x: Activation, axes: Sequence[int]) -> Step:
    """Convert a transposition, which needs no layer."""
    return [], simplest([groups_of(x)[axis] for axis in axes])


def reshaped(x: Activation, target: Shape) -> Step:
    """Convert a change of shape: axes of the model are merged, without a layer, or split, which needs a Reshape."""
    why = f"reshaping from {x.foreign} to {target} is not supported: it would move values from one sample to another"
    require(0 not in x.shape, f"its input has shape {x.foreign}, which holds no numbers")
    left = [(axis, x.shape[axis]) for group in groups_of(x) for axis in group]
    pieces: dict[int, list[int]] = {axis: [] for axis in range(len(x.shape))}
    pieces[0] = [1] if x.shape[0] == 1 else []
    found: list[list[tuple[int, int]]] = []
    for size in target:
        found.append([])
        while left and (size > 1 or (left[0][1] == 1 and not found[-1])):
            axis, n = left.pop(0)
            taken = n if size % n == 0 else size
            require(n % taken == 0 and (taken == n or axis != 0), why)
            left = left if taken == n else [(axis, n // taken), *left]
            found[-1].append((axis, len(pieces[axis])))
            pieces[axis].append(taken)
            size //= taken
        require(size == 1, why)
    for axis, n in left:  # of size 1
        require(n == 1, why)
        found[-1].append((axis, len(pieces[axis])))
        pieces[axis].append(n)
    place = {piece: i for i, piece in enumerate((axis, k) for axis in pieces for k in range(len(pieces[axis])))}
    sizes = tuple(n for axis in pieces for n in pieces[axis])
    layers: list[Layer] = [] if sizes == x.shape else [Reshape(sizes[1:])]
    return layers, simplest([[place[piece] for piece in group] for group in found])


def gathered(x: Activation, axis: int, index: int) -> Step:
    """Convert the choice of one cell along an axis of the model's array, which is then removed."""
    groups = groups_of(x)
    require(len(groups[axis]) == 1 and groups[axis] != (0,), f"it selects along axis {axis}, which holds the samples")
    [own] = groups[axis]
    sizes = tuple(n for k, n in enumerate(x.shape) if k != own)
    left = [group for k, group in enumerate(groups) if k != axis % len(groups)]
    layers: list[Layer] = [Slice(own, index, index + 1), Reshape(sizes[1:])]
    return layers, simplest([[k - (k > own) for k in group] for group in left])


def settled(x: Activation) -> tuple[list[Layer], Shape, Layout]:
    """Return the layers that put the axes into the order of the model, with the samples first; shape and layout after.

    Axes that are merged in the model without the samples are merged, too.
    """
    groups = groups_of(x)
    order = (0, *(axis for group in groups for axis in group if axis))
    sizes, found = [x.shape[0]], []
    for group in groups:
        if 0 in group:
            found.append([0 if axis == 0 else len(sizes) + [a for a in group if a].index(axis) for axis in group])
            sizes += [x.shape[axis] for axis in group if axis]
        elif not group and x.shape[0] == 1 and [] not in found:
            found.append([])
        else:
            found.append([len(sizes)])
            sizes.append(prod(x.shape[axis] for axis in group))
    layers: list[Layer] = [] if order == tuple(range(len(order))) else [Permute(order)]
    if tuple(sizes) != tuple(x.shape[axis] for axis in order):
        layers.append(Reshape(tuple(sizes[1:])))
    return layers, tuple(sizes), simplest(found)
