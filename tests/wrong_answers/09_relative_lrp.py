"""Wrong answers to the exercises of step 9, and a part of what the learner is told."""

WRONG = {
    "bare": [
        (["8/3", "-4/3", 2], "z is -1"),
        ([-8, 4, -6], "That is LRP-0"),
        ([-2, 1, "-3/2"], "not an input"),
        ([2, -1, "3/2"], "not an input"),
        (["-4/3", "2/3", -1], "The contributions are (4, -2, 3)"),
    ],
    "holds": [
        ({"A", "C"}, "A: this fails"),
        ({"B", "C", "D"}, "D: this fails"),
        ({"B"}, "they are not all"),
        ({"B", "C", "E"}, "E: this fails"),
    ],
    "factors": [
        ((1, 19), "gets 1/20"),
        ((20, 1), "gets 20/21"),
        ((-19, 1), "must be positive"),
        ((1, 1), "gets 1/2"),
    ],
}
