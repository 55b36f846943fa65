"""Wrong answers to the exercises of step 0, and a part of what the learner is told."""

import numpy as np


def forward(weights, biases, x):
    activations = [x]
    for k, (w, b) in enumerate(zip(weights, biases, strict=True), start=1):
        z = activations[-1] @ w + b
        activations.append(z if k == len(weights) else np.maximum(z, 0))
    return activations


def backward(weights, biases, activations, R):
    for w, b, a in zip(weights[::-1], biases[::-1], activations[::-1], strict=True):
        z = a @ w + b
        R = a * (w @ np.where(z == 0, 0, R / np.where(z == 0, 1, z)))
    return R


def from_one(weights, biases, x):
    *below, top = forward(weights, biases, x)
    return backward(weights, biases, below, (np.arange(len(top)) == top.argmax()).astype(float))


def all_outputs(weights, biases, x):
    *below, top = forward(weights, biases, x)
    return backward(weights, biases, below, top)


def without_biases(weights, biases, x):
    *below, top = forward(weights, biases, x)
    R = np.where(np.arange(len(top)) == top.argmax(), top, 0)
    return backward(weights, [0 * b for b in biases], below, R)


def gradient(weights, biases, x):
    *below, top = forward(weights, biases, x)
    R = np.where(np.arange(len(top)) == top.argmax(), top, 0)
    R = backward(weights, biases, below, R)
    return np.divide(R, x, out=np.zeros_like(x), where=x != 0)


def magnitudes(weights, biases, x):
    *below, top = forward(weights, biases, x)
    return abs(backward(weights, biases, below, np.where(np.arange(len(top)) == top.argmax(), top, 0)))


def divides_by_zero(weights, biases, x):
    return np.full_like(x, np.nan)


def shape_of_the_top(weights, biases, x):
    return forward(weights, biases, x)[-1]


WRONG = {
    "two_layers": [
        ({"hidden": [2, 4, 10], "input": [9, -3]}, "what does the ReLU make of it"),
        ({"hidden": [2, 1, 0], "input": [9, -3]}, "sum to 3"),
        ({"hidden": [3, 3, 0], "input": [9, -3]}, "in proportion"),
        ({"hidden": [2, 4, 0], "input": [18, 0]}, "inputs 18"),
        ({"hidden": [2, 4, 0], "input": [4, 2]}, "contributes -2 to the first"),
        ({"hidden": [2, 4, 0], "input": [10, -4]}, "sums of their messages"),
        ([2, 4, 0], "must be a dictionary"),
    ],
    "ink_doubled": [(1, "would then sum to"), (4, "would then sum to"), ("two", "must be a number")],
    "lrp_zero": [
        (from_one, "starts at 1"),
        (all_outputs, "all outputs at once"),
        (without_biases, "Are they part of your z"),
        (gradient, "the gradient"),
        (magnitudes, "where LRP-0 gives"),
        (divides_by_zero, "divides by zero"),
        (shape_of_the_top, "must have the shape"),
    ],
}
