"""Solutions to the exercises of step 8d."""

import numpy as np

# The contributions are 2 and -6, and the output is -4. R = 2 becomes -1 and 3, and each of them is halved.
halves = {"weights": ["-1/2", "3/2"], "values": ["-1/2", "3/2"]}

# Ten times the inputs: 1000 times the product, 100 times the square, the same quotient, ten times the ReLU.
how_often = {"three": 3, "square": 2, "quotient": 0, "relu": 1}

# The last product gives a half to a; of the other half, b c and d e get a quarter each.
order = ("a", (("b", "c"), ("d", "e")))


def effects(net, x, unknown):
    hidden = np.repeat(x, x.shape[1], axis=0)
    np.fill_diagonal(hidden, unknown)
    before, after = net.forward(x), net.forward(hidden)
    return (before[:, 1] - before[:, 0]) - (after[:, 1] - after[:, 0])
