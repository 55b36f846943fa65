"""Wrong answers to the exercises of step 8b, and a part of what the learner is told."""

import numpy as np


def repeated(R, size):
    k = size // R.shape[1]
    return np.tile(R.sum(axis=0), (k, k)) / k**2


def one_pixel_per_block(R, size):
    k = size // R.shape[1]
    got = np.zeros((size, size))
    got[::k, ::k] = R.sum(axis=0)
    return got


WRONG = {
    "bounds": [
        ({"low": [0, 0, 0], "high": [1, 1, 1]}, "bounds of pixels"),
        ({"low": [2, 3, "11/5"], "high": [-2, -2, "-9/5"]}, "low: (2, 3, 11/5) are pixels of (1, 1, 1)"),
        ({"low": [-1, -1, -1], "high": [1, 1, 1]}, "are pixels of (1/4, 1/5, 1/5)"),
        ({"low": [-2, -2, -0.45 / 0.25], "high": [2, 3, 1 / 3]}, "is rounded"),
    ],
    "per_pixel": [
        (lambda R: R.mean(axis=0), "the mean"),
        (lambda R: abs(R).sum(axis=0), "the sum of magnitudes"),
        (lambda R: R.max(axis=0), "the largest"),
        (lambda R: np.linalg.norm(R, axis=0), "their length"),
        (lambda R: R.sum(axis=2), "must have the shape"),
    ],
    "inner_map": [
        (lambda R, size: np.kron(R.sum(axis=0), np.ones((size // R.shape[1],) * 2)), "4 times its cell"),
        (repeated, "repeat the whole map"),
        (one_pixel_per_block, "the pixels of a block differ"),
        (lambda R, size: np.kron(R[0], np.full((size // R.shape[1],) * 2, (R.shape[1] / size) ** 2)), "its cell"),
        (lambda R, size: R.sum(axis=0), "must have the shape"),
    ],
    "blue": [
        ({"zero", "epsilon-alpha2-beta1"}, "they are not all"),
        (
            {"zero", "epsilon-plus", "epsilon-plus-flat", "epsilon-alpha2-beta1", "absolute"},
            "absolute: on three networks",
        ),
        ({"zero", "z-plus"}, "z-plus: on three networks"),
        ({"lrp-0"}, "is not among"),
    ],
    "forgets": [
        ({"a": [1, 1, 1], "W": [[1, 1, -1], [1, 1, -1]]}, "agree in a sign"),
        ({"a": [1, 1, 1], "W": [[1, 1, -1], [2, 1, -4]]}, "z-plus sends (1/2, 1/2, 0) and (2/3, 1/3, 0)"),
        ({"a": [1, -1, 1], "W": [[1, 1, -1], [1, 1, -3]]}, "none is negative"),
        ({"a": [1, 1, 1], "W": [[-1, -1, -1], [-1, -1, -2]]}, "no contribution is positive"),
        ({"a": [1, 1, 2], "W": [[1, 1, -1], [1, 1, -3]]}, "cannot divide at 0"),
    ],
}
