"""Solutions to the exercises of step 12."""

# E: (2, -4) over -3/2, times 3. A divides by -1/2, B by -5/2, C has w in place of a w, D is 3/4 of E.
suspects = {"A": "sign", "B": "bias", "C": "gradient", "D": "rescaled", "E": "none"}

# A negative input, contributions of both signs, and biases of both signs.
telling = {"a": [2, -1], "W": [[1, -1], [2, 1]], "b": [1, -1]}

# Positive: 2 and 3 over 2 + 3 + 1, times 6. Negative: all of -3. The bias takes 1.
referee = [2, -3, 3]
