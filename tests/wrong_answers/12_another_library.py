"""Wrong answers to the exercises of step 12, and a part of what the learner is told."""

RIGHT = {"A": "sign", "B": "bias", "C": "gradient", "D": "rescaled", "E": "none"}

WRONG = {
    "suspects": [
        (RIGHT | {"A": "bias"}, 'with the mistake "bias" answers (-12/5, 24/5)'),
        (RIGHT | {"D": "none"}, "without a mistake answers (-4, 8)"),
        (RIGHT | {"C": "rescaled"}, 'with the mistake "rescaled" answers'),
        (RIGHT | {"B": "epsilon"}, "is not among"),
        ({"A": "sign"}, "A, B, C, D, E"),
    ],
    "telling": [
        ({"a": [2, 1], "W": [[1, -1], [2, 1]], "b": [1, -1]}, "'z-plus' and 'weights clamped'"),
        ({"a": [2, -1], "W": [[1, -1], [2, 1]], "b": [1, 1]}, "'z-plus' and 'bias of either sign'"),
        ({"a": [2, -1], "W": [[1, -1], [2, 1]], "b": [-1, -1]}, "'z-plus' and 'bias left out'"),
        ({"a": [2, -1], "W": [[1, -1], [2, 1]], "b": [0, 0]}, "both answer"),
        ({"a": [1, 1], "W": [[1, 1], [1, 1]], "b": [1, 1]}, "both answer"),
    ],
    "referee": [
        (["12/5", -3, 3], "Your inputs get 12/5"),
        ([4, "-12/1", 0], "Your inputs get -8"),
        (["12/5", -3, "18/5"], "left the bias out"),
        (["3/2", "-3/2", "9/4"], "That is LRP-0"),
        ([1, 0, "3/2"], "with alpha = 1"),
        ([2, 3, 3], "of the second input is negative"),
        ([4, 6, -9], "split the weights by sign"),
    ],
}
