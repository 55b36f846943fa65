"""The error of the default form, component by component, on weights and inputs of very different sizes.

A dot product of n terms has an error of at most g_n = n u / (1 - n u) times the sum of the terms' magnitudes, in any
order of summation, where u is the unit roundoff (Higham 2002, "Accuracy and Stability of Numerical Algorithms", 2nd
ed., sec. 3.1, eq. 3.5). The forms "direct" and "plain" are such sums; Winograd's are not, since they add and subtract
the values of a tile before they multiply.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_less

import lrpref
from lrpref import Conv2D, Dense, Flatten, Network, rules
from lrpref.fast.build import _adjoint
from lrpref.fast.kernels import Direct, Kernel, Store
from lrpref.fast.memory import Memory
from lrpref.fast.program import Program, run
from lrpref.fast.winograd import Winograd

U = float(np.finfo(np.float32).eps) / 2
TINY = float(np.finfo(np.float32).tiny)


def gamma(n: int) -> float:
    return n * U / (1 - n * U)


@st.composite
def sizes(draw: st.DrawFn, length: int) -> np.ndarray:
    """Powers of two, by which scaling rounds nothing; over eight axes they span 128 binary orders."""
    return 2.0 ** np.random.default_rng(draw(st.integers(0, 2**32))).integers(-8, 9, length)


@st.composite
def adversarial(draw: st.DrawFn) -> tuple[Conv2D, np.ndarray]:
    """A convolution with large rows, columns and channels, and an image with the same that is never negative."""
    C, O = draw(st.sampled_from([(64, 64), (64, 64), (3, 64), (64, 4), (3, 4)]))
    k, stride, padding = draw(st.sampled_from([(3, 1, 1), (3, 1, 1), (3, 1, 0), (3, 2, 1), (1, 1, 0), (5, 1, 2)]))
    rows = draw(st.integers(k, 9))
    values = np.random.default_rng(draw(st.integers(0, 2**32))).normal
    weight, image = values(size=(O, C, k, k)), abs(values(size=(2, C, rows, 8)))
    for array in (weight, image):
        for axis, length in enumerate(array.shape):
            array *= draw(sizes(length)).reshape([-1 if a == axis else 1 for a in range(4)])
    return Conv2D(weight.astype(np.float32), None, stride, padding), image.astype(np.float32)


def applied(kernel: Kernel, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The products of a kernel, with channels first, in float64."""
    (N, C, H, W), memory = values.shape, Memory(np)
    image = memory.image((N, H, W, C), values.dtype, kernel.border((N, H, W, C)))
    image.cells[...] = np.moveaxis(values, 1, -1)
    out = np.zeros((shape[0], *shape[2:], shape[1]), np.float32)
    program = Program(memory, 1, {})
    kernel.record(program, image, Store(), (out,))
    run(program.taken(), None)
    return np.moveaxis(out, -1, 1).astype(np.float64)


@given(adversarial())
def test_a_convolution_is_right_to_rounding_in_every_component(case: tuple[Conv2D, np.ndarray]) -> None:
    """|z' - z| <= g_n sum |a_i w_ij|, with the true z in float64."""
    layer, a = case
    wide, exact = layer.weight.astype(np.float64), a.astype(np.float64)
    found = applied(Direct.of([layer.weight], layer.window), a, layer.output_shape(a.shape))
    bound = gamma(layer.fan_in(a.shape)) * layer.linear(abs(wide), exact)
    assert_array_less(abs(found - layer.linear(wide, exact)), bound + TINY)


@given(adversarial(), st.integers(0, 2**32))
def test_its_adjoint_is_right_to_rounding_in_every_component(case: tuple[Conv2D, np.ndarray], seed: int) -> None:
    """|c' - c| <= g_n sum |w_ij s_j|; n counts the outputs that one input has."""
    layer, a = case
    s = np.random.default_rng(seed).normal(size=layer.output_shape(a.shape)).astype(np.float32)
    wide, exact = layer.weight.astype(np.float64), s.astype(np.float64)
    found = applied(_adjoint([layer.weight], layer.window), s, a.shape)
    bound = gamma(layer.weight[:, 0].size) * layer.adjoint(abs(wide), abs(exact), a.shape)
    assert_array_less(abs(found - layer.adjoint(wide, exact, a.shape)), bound + TINY)


@given(adversarial())
def test_winograds_error_is_bounded_by_the_largest_values(case: tuple[Conv2D, np.ndarray]) -> None:
    """|Y' - Y| <= 10 n u max |d| max |g|, forward and back, with the true values in float64."""
    layer, a = case
    if layer.window.kernel != (3, 3) or layer.window.stride != (1, 1):
        return
    form, wide, exact = Winograd.of([layer.weight], layer.window), layer.weight.astype(np.float64), a.astype(np.float64)
    shape = layer.output_shape(a.shape)
    bound = 10 * layer.fan_in(a.shape) * U * a.max() * abs(wide).max()
    assert abs(applied(form, a, shape) - layer.linear(wide, exact)).max() <= bound
    s = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    bound = 10 * layer.weight[:, 0].size * U * abs(s).max() * abs(wide).max()
    found = applied(form.turned(slice(None)), s, a.shape)
    assert abs(found - layer.adjoint(wide, s.astype(np.float64), a.shape)).max() <= bound


@given(adversarial())
def test_positive_messages_keep_every_digit(case: tuple[Conv2D, np.ndarray]) -> None:
    """Under z-plus nothing cancels, so every component of the map is right to rounding, however small it is."""
    layer, a = case
    net = Network.sequential(layer)
    R = np.random.default_rng(1).uniform(1, 2, net.forward(a).shape).astype(np.float32)
    found = lrpref.prepare(net, rules.ZPlus()).explain(a, seed=R).astype(np.float64)
    true = lrpref.explain(net.astype(np.float64), a.astype(np.float64), rule=rules.ZPlus(), seed=R)
    terms = layer.fan_in(a.shape) + layer.weight[:, 0].size + 6
    assert_array_less(abs(found - true), gamma(terms) * true + TINY)


def columns(big: float) -> tuple[Network, np.ndarray]:
    """Large first and third kernel columns, which meet zeros only: tiles add them to the small middle column."""
    draw = np.random.default_rng(0).normal
    weight = abs(draw(size=(64, 64, 3, 3)))
    weight[..., [0, 2]] *= big
    image = np.zeros((1, 64, 12, 12))
    image[..., ::2] = abs(draw(size=(1, 64, 12, 6)))
    dense = np.zeros((3, 64, 12, 12))
    dense[..., ::2] = draw(size=(3, 64, 12, 6))
    layers = (Conv2D(weight, padding=1), Flatten(), Dense(dense.reshape(3, -1)))
    return Network.sequential(*layers).astype(np.float32), image.astype(np.float32)


@pytest.mark.parametrize("big", [1e2, 1e4, 1e6])
def test_the_default_form_keeps_the_digits_that_winograd_loses(big: float) -> None:
    net, x = columns(big)
    true = lrpref.explain(net.astype(np.float64), x, 0, "epsilon", form="plain")

    def error(form: str | None) -> Any:
        found = lrpref.explain(net, x, 0, "epsilon", **({} if form is None else {"form": form}))
        return np.linalg.norm(found - true) / np.linalg.norm(true)

    assert error(None) < 1e-6
    assert error("plain") < 1e-6
    assert error("winograd") > big * 1e-8  # the norm-wise bound of its docstring is reached
