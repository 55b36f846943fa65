# %% [markdown]
# # 8. Which branch of a skip connection gets the credit?
#
# A residual network (He et al. 2016, arXiv 1512.03385) carries a layer's input past the layer and adds it to the
# output:
#
# $$y = x + F(x)$$
#
# Relevance arrives at $y$. **How much of it goes through the layer, and how much past it?**

# %%
# %matplotlib inline
from dataclasses import replace
from fractions import Fraction

import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import lrpref
from lrpref import Add, Network, plot, rules
from lrpref.composites import Composite, resolve

# %% [markdown]
# ## Everything to both?
#
# It is tempting to answer as the chain rule does: the gradient of a sum flows undiminished into both of its terms. Let
# us try that. The input is 1, the layer doubles it, and one unit of relevance sits at the sum.

# %%
x, W = 1.0, 2.0
y = x + W * x
R = 1.0
through = past = R  # as a gradient would have it
print(f"y = {y:g}, R = {R:g}: through the layer {through:g}, past it {past:g}, together {through + past:g}")
assert through + past == 2

# %% [markdown]
# One unit came in and two went out. After twenty blocks, that makes a million. Relevance is an amount, not a slope; it
# has to be *divided*. (A library that hooks into layers cannot see a `+` written in plain Python, and then exactly this
# happens, silently. Here a sum is a layer, `Add`, and a network cannot be written without it.)
#
# ## Three ways to divide
#
# The sum is a linear layer whose weights are all 1, so any rule can be applied to it. Three of them give three kinds of
# split:
#
# $$R_a = \frac{a}{a+b} R \qquad R_a = \frac{|a|}{|a|+|b|} R \qquad R_a = \frac{1}{2} R$$
#
# signed (`Zero`, which is LRP-0), by magnitude (`Absolute`), and equal (`Flat`). For $R_b$, swap $a$ and $b$.


# %%
def exact(value):
    """One sample with one fraction."""
    return np.array([[Fraction(value)]], dtype=object)


splits = {"signed": rules.Zero(), "by magnitude": rules.Absolute(), "equal": rules.Flat()}


def split(a, b, R=1):
    """The shares of both branches under each split."""
    shares = {name: Add().relevance((exact(a), exact(b)), exact(R), rule) for name, rule in splits.items()}
    return {name: (R_a[0, 0], R_b[0, 0]) for name, (R_a, R_b) in shares.items()}


print("    a         b " + "".join(f"{name:>20}" for name in splits))
cases = {("1", "2"): "1/3 2/3", ("2", "-1"): "2 -1", ("1", "-9/10"): "10 -9", ("1", "-999/1000"): "1000 -999"}
for (a, b), expected in cases.items():
    shares = split(a, b)
    print(f"{a:>5} {b:>9} " + "".join(f"{f'{R_a!s} {R_b!s}':>20}" for R_a, R_b in shares.values()))
    assert " ".join(map(str, shares["signed"])) == expected
    assert all(R_a + R_b == 1 for R_a, R_b in shares.values())
    assert shares["equal"] == (Fraction(1, 2), Fraction(1, 2))
assert split(1, -1)["signed"] == (0, 0)

# %% [markdown]
# All three conserve relevance: the two shares add up to 1. But look down the columns. The signed split tells the truth:
# $a$ argued for the sum and $b$ against it. When the two almost cancel, however, it passes on a thousand and minus a
# thousand. The other two are bounded, but they cannot tell for from against. (At exactly $1 - 1$ the denominator is
# zero: nothing is passed on, and the ledger records it.)
#
# This is the small denominator of step 6 once more, and the one place where Relative LRP (step 9) has kept it.
#
# ## A residual network that we understand
#
# To see what a split does, we want a residual network whose map we know in advance. Here is a way to get one. The third
# convolution of our digit network has as many output channels as input channels, so it can be written as
#
# $$\mathrm{conv}(x) = x + (\mathrm{conv}(x) - x)$$
#
# that is, a skip and a branch, with the identity subtracted at the centre of the branch's kernel. The function stays
# the same, and so does every other layer.

# %%
net = lrpref.load("mnist-cnn").astype(np.float64)
conv = net["conv3"]
identity = np.zeros_like(conv.weight)
identity[np.arange(32), np.arange(32), 1, 1] = 1
nodes = []
for name, layer, inputs in net.nodes:
    if name == "conv3":
        nodes.append(("branch", replace(conv, weight=conv.weight - identity), inputs))
        nodes.append(("sum", Add(), ["branch", *inputs]))
    else:
        nodes.append((name, layer, ["sum" if i == "conv3" else i for i in inputs]))
residual = Network(nodes)

names = lrpref.samples.names((1, 28, 28))
digits = np.concatenate([lrpref.samples.load(name) for name in names]).astype(np.float64)
target = net.forward(digits).argmax(axis=1)
difference = abs(residual.forward(digits) - net.forward(digits)).max()
for name, layer, inputs in residual.nodes[5:9]:
    print(f"{name}: {type(layer).__name__} <- {', '.join(inputs)}")
print(f"largest difference between outputs: {difference:.1e}")
assert difference < 1e-12

# %% [markdown]
# Now we explain both networks: the plain one, and the residual one under each split. How far apart are the maps? How
# large are they, in total magnitude per unit of the logit? And how much relevance went through the branch?

# %%
expected = {
    "zero": {"signed": [0.00, 2.65, 0.90], "by magnitude": [0.28, 2.44, 0.86], "equal": [27.97, 38.08, 0.5]},
    "z-plus": {"signed": [0.06, 0.96, 0.90], "by magnitude": [0.05, 0.96, 0.86], "equal": [0.23, 0.85, 0.5]},
    "epsilon-plus": {"signed": [0.11, 1.03, 0.90], "by magnitude": [0.08, 1.03, 0.86], "equal": [0.28, 0.94, 0.5]},
}


def total(R):
    """The sum of magnitudes of each sample."""
    return abs(R).reshape(len(R), -1).sum(axis=1)


maps = {}
logits = net.forward(digits).max(axis=1)
print("rule          split           distance   size   share of the branch")
for rule, of_rule in expected.items():
    plain = maps[f"{rule}, no skip"] = lrpref.explain(net, digits, target, rule)
    for name, numbers in of_rule.items():
        tr = lrpref.trace(residual, digits, target, Composite([(Add, splits[name]), *resolve(rule).pairs]))
        R = maps[f"{rule}, {name}"] = tr.relevance
        distance = np.linalg.norm((R - plain).reshape(13, -1), axis=1) / np.linalg.norm(plain.reshape(13, -1), axis=1)
        branch = total(tr.at["branch"]) / total(tr.at["sum"])
        measured = [distance.mean(), (total(R) / logits).mean(), branch.mean()]
        print(f"{rule:13} {name:14} {measured[0]:9.2f} {measured[1]:6.2f} {measured[2]:15.2f}")
        assert_allclose(measured, numbers, rtol=1e-3, atol=0.006)

# %% [markdown]
# - Under **LRP-0** with the signed split, the map is the same: distance 0. The $z$ of the sum and the $z$ of the branch
#   cancel as in step 7, and the way the function is written down leaves no trace.
# - Under LRP-0 with an **equal** split, the map is lost: its magnitudes add up to 38 times the logit. Half of the
#   relevance went to the branch, whatever the branch had contributed, and there it was divided by the branch's own $z$.
#   Relevance that is not proportional to $z$ must not be divided by $z$: step 6.
# - Under **z-plus** every split comes close, and none is exact. z-plus takes the positive part of each product, and
#   $(w - 1) a$ does not have the same positive part as $w a$.

# %% alt="Maps of a three under LRP-0 and z-plus, without a skip and with three splits; only LRP-0, equal, is wild"
three = names.index("digit-3")
shown = [f"{rule}, {name}" for rule in ("zero", "z-plus") for name in ("no skip", *splits)]
plot.grid(digits[three], {name: maps[name][three] for name in shown}, columns=5)

# %% [markdown]
# ## How often do branches cancel?
#
# The signed split is dangerous where $a + b$ is small compared with $a$ and $b$. Is that rare? We look at every unit of
# the sum, on all digits, that holds any relevance.

# %%
values = residual.activations(digits)
tr = lrpref.trace(residual, digits, target, "epsilon-plus")
a, b, R = values["branch"], values["pool2"], tr.at["sum"]
on = R != 0
amplification = (np.maximum(abs(a), abs(b)) / abs(a + b))[on]
weight = abs(R[on])
print(f"{on.sum()} units hold relevance")
print("the larger share is   of the units   of the relevance")
for limit, expected in {1.01: [0.098, 0.037], 2: [0.053, 0.012], 10: [0.012, 0.001]}.items():
    measured = [(amplification > limit).mean(), weight[amplification > limit].sum() / weight.sum()]
    print(f"more than {limit:4} times R {measured[0]:13.1%} {measured[1]:17.2%}")
    assert_allclose(measured, expected, atol=0.0011)

# %% alt="Histogram of the larger share over R, log-log: most units between 0.5 and 1, and a tail to several hundred"
figure = Figure(figsize=(6.4, 2.8), layout="constrained")
ax = figure.subplots()
bins = np.geomspace(0.5, 1000, 40)
ax.hist(amplification, bins, color="0.75", label="units")
by_relevance = weight / weight.mean()
ax.hist(amplification, bins, weights=by_relevance, color="#b2182b", histtype="step", label="weighted by |R|")
ax.set(xscale="log", yscale="log", xlabel="larger share / R (signed split)", ylabel="units")
ax.legend(fontsize=8)
figure

# %% [markdown]
# In one unit out of eighty, the larger share is more than ten times the relevance being divided. But those units hold
# next to no relevance: where a sum is small, the ReLU behind it passes little on, and so little comes back. In this
# network the signed split is harmless. In another it need not be. The trace will show you: compare
# `abs(tr.at["branch"])` with `abs(tr.at["sum"])`, as we did.
#
# ## Rules of thumb
#
# - Divide; never copy. If your map doubles with every block, look for a `+`.
# - LRP-0 and epsilon on the layers call for the **signed** split, the only one that does not depend on how the block is
#   written. In this library joins are under epsilon ($10^{-6}$) unless you say otherwise: the signed split with a
#   guard.
# - z-plus and its kin tolerate any split. Where branches cancel, choose **by magnitude**.
# - An **equal** split ignores what the branches contributed, and may hand a layer relevance that it cannot divide.
#
# Most of the literature uses the signed split; Otsuki et al. (2024, arXiv 2407.09115) compare splitting in proportion
# to magnitudes with splitting in halves.
#
# Next: a rule designed never to divide by anything small, skips excepted.
