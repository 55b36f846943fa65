# %% [markdown]
# # 8. Which branch of a skip connection gets the credit?
#
# In a residual network (He et al. 2016, arXiv 1512.03385) a layer's input is carried past it and added to its output:
#
# $$y = x + F(x)$$
#
# Relevance comes down to $y$. **How much of it goes through the layer, and how much past it?**

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
# ## Both get all of it?
#
# A tempting answer is that of the chain rule: the gradient of a sum flows undiminished into both of its terms. Let us
# try it. The input is 1, the layer doubles it, and one unit of relevance stands at the sum.

# %%
x, W = 1.0, 2.0
y = x + W * x
R = 1.0
through = past = R  # as a gradient would do it
print(f"y = {y:g}, R = {R:g}: through the layer {through:g}, past it {past:g}, together {through + past:g}")
assert through + past == 2

# %% [markdown]
# One unit came down and two went on. After twenty blocks it is a million. Relevance is an amount and not a slope; it
# has to be *divided*. (Where a library hooks into layers, and the `+` is written in Python, it sees no layer there.
# Then this is what happens, silently. Here a sum is a layer, `Add`, and a network cannot be written without it.)
#
# ## Three ways to divide
#
# The sum is a linear layer with weights of 1, so any rule can be put on it. Three of them make three kinds of split.
#
# $$R_a = \frac{a}{a+b} R \qquad R_a = \frac{|a|}{|a|+|b|} R \qquad R_a = \frac{1}{2} R$$
#
# signed (`Zero`: LRP-0), by magnitude (`Absolute`), equal (`Flat`). And $b$ the other way round.


# %%
def exact(value):
    """One sample with one fraction."""
    return np.array([[Fraction(value)]], dtype=object)


splits = {"signed": rules.Zero(), "by magnitude": rules.Absolute(), "equal": rules.Flat()}


def split(a, b, R=1):
    """The shares of both branches, for each way."""
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
# All three conserve: both shares add up to 1. But look down the columns. The signed split says what is true, that $a$
# spoke for the sum and $b$ against it. If the two almost cancel, it hands on a thousand and minus a thousand. The other
# two are bounded and have nothing to say about sides. (Exactly $1 - 1$ is a denominator of zero: nothing is sent, and
# the ledger books it.)
#
# This is the small denominator of step 6 once more, and the one place where Relative LRP (step 9) has kept it.
#
# ## A residual network that we understand
#
# To see what a split does, we want a residual network and know in advance what its map should be. Here is a way to get
# one. The third convolution of our digit network has as many channels going in as coming out. So it can be written as
#
# $$\mathrm{conv}(x) = x + (\mathrm{conv}(x) - x)$$
#
# a skip, and a branch whose kernel is one less in its centre. The function stays the same, and so does every other
# layer.

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
print(f"largest difference of any output: {difference:.1e}")
assert difference < 1e-12

# %% [markdown]
# Now we explain both networks: the plain one, and the residual one with each way to split. How far apart are the maps?
# How large are they, in magnitudes, for each unit of the logit? And how much went through the branch?

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
        told = [distance.mean(), (total(R) / logits).mean(), branch.mean()]
        print(f"{rule:13} {name:14} {told[0]:9.2f} {told[1]:6.2f} {told[2]:15.2f}")
        assert_allclose(told, numbers, rtol=1e-3, atol=0.006)

# %% [markdown]
# - Under **LRP-0** with the signed split the map is the same: distance 0. The sum's $z$ and the branch's $z$ cancel one
#   another as in step 7, and the way the function is written down leaves no trace.
# - Under LRP-0 with an **equal** split the map is lost: 38 times the logit. Half of the relevance went to the branch,
#   whatever the branch had said, and was there divided by the branch's own $z$. What is not made of $z$ must not be
#   divided by $z$: step 6.
# - Under **z-plus** every split is close, and none is exact. z-plus asks for the positive part of each product, and
#   $(w - 1) a$ has not the same as $w a$.

# %% alt="A three under LRP-0 and z-plus, without a skip and with three splits; only LRP-0 with an equal split is wild"
three = names.index("digit-3")
shown = [f"{rule}, {name}" for rule in ("zero", "z-plus") for name in ("no skip", *splits)]
plot.grid(digits[three], {name: maps[name][three] for name in shown}, columns=5)

# %% [markdown]
# ## How often do branches cancel?
#
# The signed split is dangerous where $a + b$ is small next to $a$ and $b$. Is that rare? We look at all units of the
# sum, on all digits, that hold any relevance.

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
    told = [(amplification > limit).mean(), weight[amplification > limit].sum() / weight.sum()]
    print(f"more than {limit:4} times R {told[0]:13.1%} {told[1]:17.2%}")
    assert_allclose(told, expected, atol=0.0011)

# %% alt="Histogram of the larger share over R, logarithmic: most between 0.5 and 1, a tail to several hundred"
figure = Figure(figsize=(6.4, 2.8), layout="constrained")
ax = figure.subplots()
bins = np.geomspace(0.5, 1000, 40)
ax.hist(amplification, bins, color="0.75", label="units")
by_relevance = weight / weight.mean()
ax.hist(amplification, bins, weights=by_relevance, color="#b2182b", histtype="step", label="weighted by |R|")
ax.set(xscale="log", yscale="log", xlabel="the larger share / R, signed split", ylabel="units")
ax.legend(fontsize=8)
figure

# %% [markdown]
# In one unit of eighty the larger share is more than ten times what is shared out. But those units hold next to no
# relevance: where a sum is small, the ReLU behind it passes little on, and so little comes back. In this network the
# signed split is harmless. It is not bound to be. The trace tells: compare `abs(tr.at["branch"])` with
# `abs(tr.at["sum"])`, as we did.
#
# ## Rules of thumb
#
# - Divide; never copy. If your map is twice as large for each block, look for a `+`.
# - LRP-0 and epsilon on the layers want the **signed** split; it is the only one that does not depend on how the block
#   is written. In this library joins are under epsilon ($10^{-6}$) unless you say otherwise, which is the signed split
#   with a guard.
# - z-plus and its like bear any split. Where branches cancel, choose **by magnitude**.
# - An **equal** split says nothing about the branches, and may feed a layer what it cannot divide.
#
# The signed split is in most of the literature; splits by ratio of magnitudes and in halves were compared by Otsuki et
# al. (2024, arXiv 2407.09115).
#
# Next: a rule that was made to divide by nothing small, skips excepted.
