"""Wrong answers to the exercises of step 6, and a part of what the learner is told."""

WRONG = {
    "explodes": [
        ({"A", "B", "C"}, "A: the inputs get no more than"),
        ({"C"}, "they are not all"),
        ({"B", "C", "D"}, "D: the inputs get"),
        ({"B", "C", "E"}, "E: the inputs get"),
        ({"F"}, "is not among"),
    ],
    "loud": [
        ({"W": [[1000, -999], [1, 0]], "v": [1, 1]}, "larger than 10"),
        ({"W": [["1/1000", 0], [0, 1]], "v": [1, 1]}, "both should be at least 1"),
        ({"W": [[10, -9], [1, 1]], "v": [1, 1]}, "times as large"),
        ({"W": [[10, 0], [0, 10]], "v": [10, -10]}, "y is 0"),
    ],
    "price": [
        ({"epsilon": "27/100", "taken": "27/29"}, "towards zero"),
        ({"epsilon": "1/50", "taken": "1/2"}, "is still 25/2"),
        ({"epsilon": "23/100", "taken": "2/25"}, "is what the inputs get"),
        ({"epsilon": "23/100", "taken": "23/50"}, "is the amount"),
        ({"epsilon": "23/100", "taken": "23/100"}, "cannot be right"),
        ({"epsilon": "-23/100", "taken": "23/25"}, "must be positive"),
        ({"epsilon": 1 / 4 - 1 / 50, "taken": 2 / 3}, "is rounded"),
    ],
    "good_epsilon": [
        (1e-6, "too small an epsilon"),
        (0.1, "too small an epsilon"),
        (1.0, "the stabilizer takes"),
        (-0.2, "must be positive"),
    ],
}
