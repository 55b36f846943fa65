"""Answer the questions of lrp-cases that are about chains of Dense and ReLU layers: plain Python, in fractions.

    lrp-cases ask --profile core | python plain_lrp.py > answers.json

This program imports neither lrpref nor NumPy. `--wrong` adds 1 to the first number of the last answer.
"""

import json
import sys
from fractions import Fraction

OFFERED = {"Zero", "Epsilon", "Gamma", "ZPlus", "AlphaBeta"}


class NotOffered(Exception):  # noqa: N818
    """A layer, a rule or a seed that this program lacks."""


def numbers(data):
    """Nested lists of text as nested lists of fractions."""
    return [numbers(part) for part in data] if isinstance(data, list) else Fraction(data)


def texts(data):
    """Nested lists of fractions as nested lists of text."""
    return [texts(part) for part in data] if isinstance(data, list) else str(data)


def up(x):
    """The positive part."""
    return max(x, Fraction(0))


def down(x):
    """The negative part."""
    return min(x, Fraction(0))


def over(parts, whole):
    """Each part divided by the whole; zeros if the whole is zero."""
    return [part / whole if whole else Fraction(0) for part in parts]


def portions(rule, a, w, b):
    """The part of R_j that each input of a unit receives."""
    z = [x * y for x, y in zip(a, w)]
    if rule["type"] == "Zero":
        return over(z, sum(z, b))
    if rule["type"] == "Epsilon":
        total, epsilon = sum(z, b), Fraction(str(rule["epsilon"]))
        return over(z, total + epsilon if total >= 0 else total - epsilon)
    if rule["type"] == "Gamma":
        gamma = Fraction(str(rule["gamma"]))
        z = [x * (y + gamma * up(y)) for x, y in zip(a, w)]
        return over(z, sum(z, b + gamma * up(b)))
    alpha, beta = Fraction(str(rule.get("alpha", 1))), Fraction(str(rule.get("beta", 0)))
    positive = over([up(v) for v in z], sum(map(up, z), up(b)))
    negative = over([down(v) for v in z], sum(map(down, z), down(b)))
    return [alpha * p - beta * n for p, n in zip(positive, negative)]


def chain(question):
    """The layers of a chain, in order, with their rules."""
    network, before, found = question["network"], "input", []
    for node, key, inputs in network["nodes"]:
        layer = network["layers"][key]
        if inputs != [before] or layer["type"] not in ("Dense", "ReLU", "Softmax"):
            raise NotOffered("only chains of Dense and ReLU layers")
        rule, before = question["rules"].get(node), node
        if layer["type"] == "Dense":
            if not (rule["type"] in OFFERED and set(rule) <= {"type", "epsilon", "gamma", "alpha", "beta"}):
                raise NotOffered(f"no rule {json.dumps(rule)}")
            weight = numbers(layer["arrays"]["weight"])
            found.append((weight, numbers(layer["arrays"].get("bias", ["0"] * len(weight))), rule))
        elif layer["type"] == "ReLU":
            found.append(None)
        elif node != network["nodes"][-1][0]:
            raise NotOffered("a softmax inside the network")
    return found


def explain(layers, x, seed, target, sample):
    """The relevance of one input."""
    at = [x]
    for layer in layers:
        a = at[-1]
        if layer is None:
            at.append([up(v) for v in a])
        else:
            at.append([sum((v * w for v, w in zip(a, row)), b) for row, b in zip(layer[0], layer[1])])
    if isinstance(seed, list):
        R = numbers(seed[sample])
    elif seed == "probability":
        raise NotOffered("no exponential in fractions")
    else:
        R = [Fraction(0)] * len(at[-1])
        R[target] = at[-1][target] if seed == "logit" else Fraction(1) if seed == "one" else Fraction(seed)
    for layer, a in zip(reversed(layers), reversed(at[:-1])):
        if layer is not None:
            below = [Fraction(0)] * len(a)
            for row, b, R_j in zip(layer[0], layer[1], R):
                below = [R_i + part * R_j for R_i, part in zip(below, portions(layer[2], a, row, b))]
            R = below
    return R


def answer(question):
    """The answer to one question."""
    try:
        if question["precision"] != "float64":
            raise NotOffered("fractions have no precision")
        layers, x = chain(question), numbers(question["input"])
        if not all(isinstance(v, Fraction) for sample in x for v in sample):
            raise NotOffered("only inputs that are vectors")
        maps = [explain(layers, a, question["seed"], question.get("target"), n) for n, a in enumerate(x)]
    except NotOffered as reason:
        return {"not_offered": str(reason)}
    return texts(maps)


def main():
    """Read the questions, and write the answers."""
    answers = {question["id"]: answer(question) for question in json.load(sys.stdin)["questions"]}
    if "--wrong" in sys.argv:
        last = [given for given in answers.values() if isinstance(given, list)][-1]
        last[0][0] = str(Fraction(last[0][0]) + 1)
    json.dump({"library": "plain", "version": "1", **answers}, sys.stdout)


if __name__ == "__main__":
    main()
