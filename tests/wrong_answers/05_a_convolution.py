"""Wrong answers to the exercises of step 5, and a part of what the learner is told."""

import numpy as np

from lrpref import Conv2D


def rotated_kernel(kernel, s, shape, stride):
    return right(kernel[::-1, ::-1], s, shape, stride)


def right(kernel, s, shape, stride):
    c, k = np.zeros(shape), len(kernel)
    for r, column in np.ndindex(*s.shape):
        c[r * stride : r * stride + k, column * stride : column * stride + k] += s[r, column] * kernel
    return c


def without_stride(kernel, s, shape, stride):
    return right(kernel, s, shape, 1)


def one_read_forward(kernel, s, shape, stride):
    return Conv2D(kernel[None, None]).forward(s[None, None])[0, 0]


def overwrites(kernel, s, shape, stride):
    c, k = np.zeros(shape), len(kernel)
    for r, column in np.ndindex(*s.shape):
        c[r * stride : r * stride + k, column * stride : column * stride + k] = s[r, column] * kernel
    return c


WRONG = {
    "row": [
        ([0, 2, 1, 0, 0, 0], "is rotated"),
        ([0, 1, 2, 0, 3, 4], "output (1, 2)"),
        ([3, 4, 0, 0, 0, 0], "output (0, 1)"),
        ([0, 1, 2, 0, 0, 0], "reads the pixels (0, 1), (0, 2)"),
        ([0, 0, 3, 0, 0, 4], "reads the pixels (0, 2), (1, 2)"),
        ([0, 3, 4], "6 numbers"),
    ],
    "flat": [
        ({"corner": "4/9", "middle": 1}, "cells of the border"),
        ({"corner": 1, "middle": 1}, "Not every pixel"),
        ({"corner": "1/4", "middle": 1}, "Together they do not send 1/4"),
        ({"corner": "25/36", "middle": "25/9"}, "each of them sends it 25/81"),
    ],
    "adjoint": [
        (rotated_kernel, "rotated the wrong way"),
        (without_stride, "stride 2"),
        (one_read_forward, "must have the shape"),
        (overwrites, "against <W x, s>"),
        (lambda kernel, s, shape, stride: np.ones(shape) * s.sum(), "Kernel 2 x 2"),
    ],
    "not_linear": [
        (([[1, 0], [0, 0]], [[2, 0], [0, 0]]), "too"),
        (([[1, 0], [0, 0]], [[0, 0], [0, 0]]), "too"),
        (([[1, 0]], [[0, 1]]), "2 by 2 numbers"),
        ([[[1, 0], [0, 0]]], "a pair of pictures"),
    ],
}
