# %% [markdown]
# # 8. Which branch of a skip connection gets the credit?
#
# A residual network (He et al. 2016, arXiv 1512.03385) carries a layer's input past the layer and adds it to the
# output:
#
# $$y = x + F(x)$$
#
# Relevance arrives at $y$. **How much of it goes through the layer, and how much past it?** Neither a gradient nor a
# picture answers this question: it has to be decided. We try three candidates on two numbers. Then we build a residual
# network whose map we know in advance, and see which of them gives this map.

# %%
# %matplotlib inline
from dataclasses import replace
from fractions import Fraction

import numpy as np
import on_mnist  # tutorials/on_mnist.py: what was measured on the MNIST test set
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import lrpref
from lrpref import Add, Network, plot, rules
from lrpref.composites import Composite, resolve
from lrpref.evaluation.maps import relative_l2

# %% [markdown]
# ## Everything to both?
#
# It is tempting to do the same as the chain rule, which passes the whole gradient of a sum to both of its terms. We try
# this. The input is 1, the layer doubles it, and the sum has one unit of relevance. **How much will there be after
# twenty such blocks?**

# %%
x, W = 1.0, 2.0
y = x + W * x
R = 1.0
through = past = R  # as a gradient would have it
print(f"y = {y:g}, R = {R:g}: through the layer {through:g}, past it {past:g}, together {through + past:g}")
for _ in range(20):
    R = R + R  # what leaves the bottom of a block arrives at the top of the next
print(f"after twenty blocks: {R:,.0f}")
assert through + past == 2
assert R == 1_048_576

# %% [markdown]
# One unit of relevance became a million. Relevance is an amount and not a slope, so it has to be *divided*. (A library
# that uses hooks on layers cannot see a `+` written in plain Python, and then exactly this happens without a warning.
# In lrpref, a sum is a layer, `Add`, which every residual network must contain.)
#
# ## Three ways to divide
#
# The sum is a linear layer whose weights are all 1, so any rule can be applied to it. Three of them give three kinds of
# split:
#
# $$R_a = \frac{a}{a+b} R \qquad R_a = \frac{|a|}{|a|+|b|} R \qquad R_a = \frac{1}{2} R$$
#
# signed (`Zero`, which is LRP-0), by magnitude (`Absolute`), and equal (`Flat`). For $R_b$, swap $a$ and $b$.
#
# **Before you look:** in the last cases of the table, $a$ is 1 and $b$ is negative, and they almost cancel. What will
# each split give to $a$?


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

# %% alt="The share of a = 1 against b: signed has a pole at b = -1, by magnitude peaks where b is 0, equal is flat"
figure = Figure(figsize=(6.6, 3.0), layout="constrained")
ax = figure.subplots()
b = np.linspace(-2.5, 2.5, 1001)
with np.errstate(divide="ignore"):
    curves = {"signed": 1 / (1 + b), "by magnitude": 1 / (1 + abs(b)), "equal": np.full_like(b, 0.5)}
curves["signed"][abs(1 + b) < 0.05] = np.nan  # a gap at the pole
for (name, curve), style in zip(curves.items(), [("#d6604d", "-"), ("#4393c3", "--"), ("#808080", ":")], strict=True):
    ax.plot(b, curve, style[1], color=style[0], label=name)
ax.axhspan(0, 1, color="0.5", alpha=0.15, linewidth=0)
ax.set(xlabel="b, with a = 1", ylabel="share of a", ylim=(-4, 5))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(fontsize=8, frameon=False)
figure

# %% [markdown]
# (The grey band marks shares between 0 and 1.)
#
# All three conserve relevance: the two shares add up to 1. The signed split shows that $a$ contributes to the sum and
# $b$ works against it. But when the two almost cancel, it passes on shares of 1000 and -999. The other two splits are
# bounded, but they do not show the signs. (At exactly $1 - 1$ the denominator is zero. Then nothing is passed on, and
# the ledger records this.)
#
# This is the small denominator of step 6 again. It is also the only place where Relative LRP (step 9) still has one.
#
# ## A residual network that we understand
#
# To see what a split does, we need a residual network whose map we know in advance. The third convolution of our digit
# network has as many output channels as input channels, so it can be written as
#
# $$\mathrm{conv}(x) = x + (\mathrm{conv}(x) - x)$$
#
# that is, as a skip and a branch, with the identity subtracted at the centre of the branch's kernel. The function and
# all other layers stay the same.

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
# **Make a guess:** under LRP-0 on all other layers, which split will give the map of the plain network? Is there one
# that does so under z-plus?
#
# We explain the plain network, and the residual one under each split. How large is the difference between the maps,
# relative to the map of the plain network? How large is the sum of the magnitudes, relative to the logit? And how much
# relevance goes through the branch? (As before, `zero` is LRP-0.)


# %%
def total(R):
    """The sum of magnitudes of each sample."""
    return abs(R).reshape(len(R), -1).sum(axis=1)


maps, found = {}, {}
logits = net.forward(digits).max(axis=1)
for rule in ("zero", "z-plus", "epsilon-plus"):
    plain = maps[f"{rule}, no skip"] = lrpref.explain(net, digits, target, rule)
    for name, split_rule in splits.items():
        tr = lrpref.trace(residual, digits, target, Composite([(Add, split_rule), *resolve(rule).pairs]))
        R = maps[f"{rule}, {name}"] = tr.relevance
        found[f"{rule}, {name}, distance"] = relative_l2(R, plain)
        found[f"{rule}, {name}, size"] = total(R) / logits
        found[f"{rule}, {name}, branch"] = total(tr.at["branch"]) / total(tr.at["sum"])
distance = found["zero, equal, distance"]
print("LRP-0, equal, distance:", *(f"{each:.0f}" for each in distance))
print(f"mean {distance.mean():.1f}, median {np.median(distance):.1f}")
assert_allclose([distance.mean(), np.median(distance)], [27.97, 2.68], atol=0.01)

# %% [markdown]
# Again, a single digit determines the mean. So the tables show medians and, in brackets, quartiles: of the thirteen
# digits, and of digits of the MNIST test set, as recorded by [on_mnist.py](../on_mnist.py).

# %%
count, test = on_mnist.recorded(8, found)
thirteen = {name: on_mnist.spread(values) for name, values in found.items()}
for where, of in {"thirteen digits": thirteen, f"{count} test digits": test}.items():
    print(f"{where:28}{'distance':>22}{'size':>22}{'share of the branch':>22}")
    for rule in ("zero", "z-plus", "epsilon-plus"):
        for name in splits:
            row = [on_mnist.median(of[f"{rule}, {name}, {what}"]) for what in ("distance", "size", "branch")]
            print(f"{rule:13} {name:14}" + "".join(f"{each:>22}" for each in row))
assert max(found["zero, signed, distance"]) < 1e-12
assert test["zero, signed, distance"]["quantiles"][-1] < 1e-12
middle = {name: of["quantiles"][3] for name, of in test.items()}
assert test["zero, equal, distance"]["quantiles"][5] > 40  # the 95 % quantile
assert middle["zero, equal, distance"] > 3
assert middle["zero, equal, size"] > 2 * middle["zero, signed, size"]
for rule in ("z-plus", "epsilon-plus"):
    assert 0 < middle[f"{rule}, by magnitude, distance"] < middle[f"{rule}, signed, distance"] < 0.15
    assert 0.15 < middle[f"{rule}, equal, distance"] < 0.3

# %% [markdown]
# - Under **LRP-0** with the signed split, the map is the same: the distance is 0. The $z$ of the sum and the $z$ of the
#   branch cancel as in step 7, so the map does not depend on how the function is written.
# - Under LRP-0 with an **equal** split, the map is useless: on half of the test digits it differs by more than three
#   times the size of the plain map, and on one in twenty by more than forty. Half of the relevance went to the branch,
#   whatever the branch had contributed, and was then divided by the branch's own $z$. Step 6 showed that relevance
#   explodes if it is divided by a $z$ to which it is not proportional.
# - Under **z-plus** and the composite, the signed split and the split by magnitude come close, and the equal split
#   differs by about a quarter. None is exact, because z-plus takes the positive part of each product, and the positive
#   part of $(w - 1) a$ differs from that of $w a$.

# %% alt="Maps of a three under LRP-0, without a skip and with three splits; signed is the same, equal is wild"
three = names.index("digit-3")
shown = [f"zero, {name}" for name in ("no skip", *splits)]
plot.grid(digits[three], {name: maps[name][three] for name in shown}, columns=5)

# %% [markdown]
# (The equal split goes far beyond the colour scale.) Under z-plus the four maps look the same, so the next figure shows
# only the *differences* from the plain map: red pixels get more than without a skip, and blue ones less. (The equal
# split goes beyond the scale here, too.)

# %% alt="Changes of the z-plus map under three splits: faint under two of them, along all strokes under the equal one"
plain = maps["z-plus, no skip"][three]
changes = {f"{name}: change of the map": maps[f"z-plus, {name}"][three] - plain for name in splits}
largest = [abs(R).max() / plain.max() for R in changes.values()]
print("largest change over the largest relevance:", *(f"{each:.0%}" for each in largest))
assert largest[2] > 2 * max(largest[:2])
figure = plot.grid(digits[three], changes)
figure.axes[-1].set_ylabel("change (red: more, blue: less)")
figure

# %% [markdown]
# ## How often do branches cancel?
#
# The signed split is dangerous where $a + b$ is small compared with $a$ and $b$. How often does this happen? We count
# the units of the sum that hold any relevance on the thirteen digits, and compare with the mean over digits of the test
# set.

# %%
values = residual.activations(digits)
tr = lrpref.trace(residual, digits, target, "epsilon-plus")
a, b, R = values["branch"], values["pool2"], tr.at["sum"]
on = R != 0
amplification = (np.maximum(abs(a), abs(b)) / abs(a + b))[on]
weight = abs(R[on])
print(f"{on.sum()} units hold relevance")
print("the larger share is   of the units   of the relevance   on the test set: units   relevance")
for limit, expected in {1.01: [0.098, 0.037], 2: [0.053, 0.012], 10: [0.012, 0.001]}.items():
    measured = [(amplification > limit).mean(), weight[amplification > limit].sum() / weight.sum()]
    measured += [test[f"{what} beyond {limit}"]["mean"] for what in ("units", "relevance")]
    print(
        f"more than {limit:4} times R {measured[0]:13.1%} {measured[1]:17.2%} {measured[2]:23.1%} {measured[3]:11.2%}"
    )
    assert_allclose(measured, expected * 2, atol=0.006)

# %% alt="Histogram of the larger share over R, log-log: nearly all between 0.5 and 1, and a tail to several hundred"
figure = Figure(figsize=(6.4, 2.8), layout="constrained")
ax = figure.subplots()
bins = np.geomspace(0.5, 1000, 40)
each = np.full(len(weight), 1 / len(weight))
ax.hist(amplification, bins, weights=each, color="0.75", label="of the units")
ax.hist(amplification, bins, weights=weight / weight.sum(), color="#d6604d", histtype="step", label="of |R|")
ax.set(xscale="log", yscale="log", xlabel="larger share / R (signed split)", ylabel="fraction in a bin")
ax.legend(fontsize=8)
figure

# %% [markdown]
# In about one unit out of ninety, the larger share is more than ten times the relevance being divided. But these units
# hold less than a thousandth of the relevance: where a sum is small, the output of the ReLU after it is small, and so
# is its relevance. In this network, the signed split is harmless.
#
# ## A trained residual network
#
# We constructed this network by hand. `resnet20`, which has nine joins (sums), was trained on photographs. **Before you
# look:** will the signed split be harmless there, too? The magnitude of relevance can grow at each join, and the nine
# factors multiply.

# %%
resnet = lrpref.fuse(lrpref.load("resnet20").astype(np.float64))
scaling = lrpref.inputs.Normalisation.of(lrpref.weights.metadata("resnet20"))
cat = scaling.apply(lrpref.samples.load("chelsea").astype(np.float64))
tr, values = lrpref.trace(resnet, cat, rule="epsilon-plus"), resnet.activations(cat)
growth, beyond = [], []
print("join            opposite signs   relevance beyond 10 times   magnitude grows by")
for name, layer, inputs in resnet.nodes:
    if isinstance(layer, Add):
        a, b, R = *(values[each] for each in inputs), tr.at[name]
        on = R != 0
        larger = np.maximum(abs(a), abs(b))[on] / abs(a + b)[on]
        beyond.append(abs(R[on])[larger > 10].sum() / abs(R).sum())
        growth.append(sum(abs(part).sum() for part in layer.relevance((a, b), R, rules.Zero())) / abs(R).sum())
        print(f"{name:14} {(a * b < 0)[on].mean():15.0%} {beyond[-1]:27.3%} {growth[-1]:20.2f}")
print(f"all nine together: {np.prod(growth):.1f}")
assert max(beyond) < 0.002
assert min(growth) > 1
assert max(growth) < 1.4
assert_allclose(np.prod(growth), 3.0, atol=0.15)

# %% [markdown]
# No single join is dangerous: hardly any relevance is at units where the branches almost cancel. But at each join some
# branches have opposite signs, and the magnitude grows by a few percent up to a third. The nine factors multiply to
# about three: if nothing else changed it, one unit of relevance at the top would become three units in magnitude. These
# have to cancel in the map, and make it noisier than that of a network without skips. You can check your own network in
# the same way, by comparing the magnitude of `trace.at` above and below a join.
#
# ## Rules of thumb
#
# - Divide relevance at a sum, and never copy it. If your map doubles with every block, look for a `+`.
# - With LRP-0 or epsilon on the layers, use the **signed** split, the only one that does not depend on how the block is
#   written. By default, this library uses epsilon ($10^{-6}$) at joins, which is the signed split with a stabilizer.
# - With z-plus and similar rules, both the signed split and the split by magnitude work. Where branches cancel, choose
#   the split **by magnitude**.
# - An **equal** split ignores what the branches contributed, and may give a layer relevance that is not proportional to
#   its $z$.
#
# Otsuki et al. (2024, arXiv 2407.09115) compare splitting in proportion to magnitudes with splitting in halves. More
# splits, with their bounds, are in [docs/skips.md](../../docs/skips.md).
#
# The next step explains a photograph, with networks that are three to four times as deep.
