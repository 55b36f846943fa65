# %% [markdown]
# # 2b. Where do the rules come from?
#
# Ten rules, and each looks reasonable. That is a little too easy. **Is there a principle from which a rule *follows*,
# so that nobody has to choose?**
#
# There is a famous attempt: *deep Taylor decomposition* (Montavon et al. 2017, Pattern Recognition 65:211, arXiv
# 1512.02479). z-plus, z-box and w-square come from it. We derive them here, by hand and in fractions, and then look at
# what does *not* follow. (We had the paper's abstract and others' accounts of it, but not its text. The derivations are
# ours, in our letters, and name no equation numbers.)

# %%
# %matplotlib inline
from fractions import Fraction

import numpy as np
from matplotlib.figure import Figure

import lrpref
from lrpref import Dense, rules


def exact(values):
    """An array of fractions."""
    return np.vectorize(Fraction, otypes=[object])(np.array(values))


a, w = exact([3, 2]), exact([2, -1])  # two inputs and their weights; no bias yet
z = a @ w
print("contributions", *(a * w), "  z =", z)
assert z == 4

# %% [markdown]
# ## One idea: compare with a point where there is nothing to explain
#
# Why did the neuron fire with 4, and not with 0? Look for a point $\tilde a$ near $a$ where it would just *not* have
# fired, $z(\tilde a) = 0$: a **root point**. The way from $\tilde a$ to $a$ is what made the difference. Along it, each
# input moved by $a_i - \tilde a_i$, and each unit of that was worth $w_i$. So
#
# $$R_i = \frac{\partial z}{\partial a_i} (a_i - \tilde a_i) = w_i (a_i - \tilde a_i)$$
#
# This is a Taylor expansion at the root point. A neuron is linear while it fires, so nothing of higher order is left
# over, and the shares add up to $z$ whichever root point we take. And there is our freedom: a root point is *one*
# equation for many inputs, so there are many.
#
# Say in which direction to look. Walk from $a$ against a direction $v$ until the neuron falls silent:
#
# $$\tilde a = a - t v \quad\text{with}\quad t = \frac{z}{\sum_i v_i w_i} \qquad\Rightarrow\qquad
# R_i = \frac{v_i w_i}{\sum_i v_i w_i} z$$
#
# **A rule is a direction in which to look for a root.** The rest is arithmetic. (If the neuron holds $R$ instead of
# $z$, put $R$ in place of $z$ on the right; we come back to whether one may.)


# %%
def decompose(a, w, v, b=0):
    """The root point in direction v, how far it is (t), and the shares of the inputs, which add up to z."""
    t = (a @ w + b) / (v @ w)
    root = a - t * v
    assert root @ w + b == 0
    return root, t, w * (a - root)


# %% [markdown]
# ## Four directions
#
# **Before you read on:** for each of these directions, say which rule of step 2 will come out.
#
# 1. *The shortest way*: the direction in which $z$ falls fastest is $v = w$.
# 2. *Towards zero*, all inputs alike: $v = a$.
# 3. *Towards zero, but only with those who spoke for it.* Inputs behind a ReLU are never negative, and the root point
#    should be possible, too. Walking along $w$ may lead below zero. So take only the inputs with a positive weight back
#    towards zero: $v_i = a_i$ where $w_i > 0$, and 0 elsewhere.
# 4. *Towards the walls of a box.* A pixel lies between $l_i$ and $h_i$. To silence the neuron, take pixels with
#    positive weights down to $l_i$, and those with negative weights up to $h_i$: $v_i = a_i - l_i$ or $a_i - h_i$.

# %%
low, high = exact([0, 0]), exact([4, 4])
directions = {
    "w-square": w,
    "LRP-0": a,
    "z-plus": np.where(w > 0, a, Fraction(0)),
    "z-box": a - np.where(w > 0, low, high),
}
by_name = {"w-square": rules.WSquare(), "LRP-0": rules.Zero(), "z-plus": rules.ZPlus(), "z-box": rules.ZBox(0, 4)}
neuron = Dense(w[None])
print("direction        root point      t     shares       the rule of that name")
roots = {}
for name, v in directions.items():
    roots[name], t, shares = decompose(a, w, v)
    theirs = neuron.relevance(a[None], exact([[z]]), by_name[name])[0]
    point = f"({', '.join(map(str, roots[name]))})"
    print(f"{name:10} {point:>16} {t!s:>6}   {' '.join(map(str, shares)):10}   {' '.join(map(str, theirs))}")
    assert list(shares) == list(theirs)
    assert shares.sum() == z

# %% [markdown]
# All four are there. $v = w$ gives $w_i^2 / \sum w_i^2$, which is w-square; $v = a$ gives LRP-0; the third gives
#
# $$R_i = \frac{a_i w_i^+}{\sum_i a_i w_i^+} R$$
#
# which is z-plus for $a \ge 0$; and the fourth gives $a_i w_i - l_i w_i^+ - h_i w_i^-$, which is z-box. So here is the
# origin of that strange formula: it measures each pixel from the wall that would have silenced the neuron.

# %% alt="The plane of two inputs: a line where the neuron falls silent, and arrows to it in four directions"
figure = Figure(figsize=(7.2, 3.9), layout="constrained")
ax = figure.subplots()
ax.fill([0, 4, 4, 0], [0, 0, 4, 4], color="0.5", alpha=0.15, label="the box, 0 to 4")
line = np.array([-0.6, 2.4])
ax.plot(line, 2 * line, color="0.5", label="z = 0: the neuron falls silent")
looks = {
    "w-square": ("#9970ab", "-"),
    "LRP-0": ("#4393c3", "--"),
    "z-plus": ("#d6604d", "-."),
    "z-box": ("#e66101", ":"),
}
for name, (colour, style) in looks.items():
    root = roots[name].astype(float)
    ax.plot([3, root[0]], [2, root[1]], style, color=colour, label=f"{name}: root at ({root[0]:.2g}, {root[1]:.2g})")
    ax.plot(*root, "o", color=colour)
ax.plot(3, 2, "s", color="0.5")
ax.annotate("a = (3, 2), z = 4", (3, 2), xytext=(6, 6), textcoords="offset points")
ax.set(xlabel="input 1 (weight 2)", ylabel="input 2 (weight -1)", xlim=(-1, 5), ylim=(-1, 5), aspect="equal")
figure.legend(fontsize=8, loc="outside right center", frameon=False)
ax.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# Every point of the line is a root, and every rule ends somewhere on it. z-plus walks straight to the left: input 2
# spoke against, it is left alone, and so it gets nothing, neither praise nor blame. Do you see why z-plus can show no
# evidence against? It never asks what would have happened had there been *less* of it.
#
# ## What does not follow, 1: the direction
#
# Four directions, four rules. Could others give more? Suppose somebody wants input 1 to have a third of the relevance
# and input 2 two thirds, for no reason at all.

# %%
wanted = exact(["1/3", "2/3"])
v = wanted / w  # the direction that does it
root, t, shares = decompose(a, w, v)
print("root point", *root, "  shares", *shares, "  as parts", *(shares / z))
assert list(shares / z) == list(wanted)

# %% [markdown]
# With $v_i = p_i / w_i$, any parts $p$ that add up to one come out, on any neuron whose weights are not zero. So the
# Taylor expansion decides *nothing* by itself. What decides is the demand on the root point: that it be near, or lie in
# the box, or on a certain segment. Those demands are reasonable, and they are choices. (Sixt and Landgraf 2022, arXiv
# 2211.08425, say so for whole networks: if root points may depend on the input, any explanation can be justified; if
# they are locally constant, what comes out is gradient times input.)
#
# ## What does not follow, 2: biases
#
# Give the neuron a bias. The root point must now silence $\sum_i a_i w_i + b$, and the *inputs* have to do all of it.

# %%
print("   b   z      t   root of z-plus   shares of the root   rule z-plus    rule LRP-0")
for b in (Fraction(-2), Fraction(0), Fraction(3)):
    total = a @ w + b
    root, t, shares = decompose(a, w, directions["z-plus"], b)
    with_bias = Dense(w[None], exact([b]))
    plus, zero = (with_bias.relevance(a[None], exact([[total]]), rule)[0] for rule in (rules.ZPlus(), rules.Zero()))
    row = [" ".join(map(str, each)) for each in (root, shares, plus, zero)]
    print(f"{b!s:>4} {total!s:>3} {t!s:>6}   {row[0]:16} {row[1]:20} {row[2]:14} {row[3]}")
    assert shares.sum() == total  # nothing for the bias, ever
    assert (list(shares) == list(plus)) == (b <= 0)
    assert (t > 1) == (root.min() < 0) == (b > 2)

# %% [markdown]
# - With $b \le 0$, everything is fine: the root lies between $a$ and 0, and z-plus is what follows. The derivation
#   *assumes* this. (Networks can be trained with that constraint; ours were not.)
# - With a **positive** bias large enough, there is no root among possible inputs: even with input 1 at zero the neuron
#   would fire, so the walk ends at a negative activation. And the shares add up to $z$, as if the bias had done
#   nothing. The rule z-plus of this library books a positive bias instead (Bach et al. 2015, eq. 60), and is then no
#   longer what was derived.
# - LRP-0 with a bias is not a Taylor share for any $b \ne 0$: it gives the bias its part.
#
# How common is the case that the derivation excludes? We count in a trained network: neurons that fire and hold
# relevance, and those of them whose root point of z-plus does not exist among non-negative activations ($t > 1$).

# %%
net = lrpref.load("mnist-mlp").astype(np.float64)
names = lrpref.samples.names((1, 28, 28))
digits = np.concatenate([lrpref.samples.load(name) for name in names]).astype(np.float64)
tr, values = lrpref.trace(net, digits, rule="z-plus"), net.activations(digits)
counts = {}
for layer, below in {"fc1": "flatten", "fc2": "relu1"}.items():
    weight, bias = net[layer].weight, net[layer].bias
    used = tr.at[layer] != 0
    t = values[layer] / (values[below] @ np.maximum(weight.T, 0))
    counts[layer] = [used.sum(), (used & (bias > 0)).sum(), (used & (t > 1)).sum()]
    print(
        f"{layer}: {counts[layer][0]} neurons hold relevance, {counts[layer][1]} of them have a positive bias", end=", "
    )
    print(f"{counts[layer][2]} have no root among possible inputs")
for count, biased, without in counts.values():
    assert 0.5 < biased / count < 0.75
    assert without == 0

# %% [markdown]
# A root exists for every one of them. But between a half and three quarters have a positive bias, and for those the
# rule that is used is not the rule that was derived.
#
# ## What does not follow, 3: the next layer
#
# So far we decomposed $z$, the neuron's own output. In a network, a neuron holds relevance $R_j$ that came from above,
# and *that* is what has to be expanded, as a function of the neuron's inputs. The derivation assumes
#
# $$R_j = c_j \, a_j \quad\text{with constant } c_j$$
#
# so that $R_j$ vanishes exactly where the neuron falls silent, and the shares of $z$ are the shares of $R_j$. Step 6
# will show why something of this kind holds at the point $a$. But is $c_j$ *constant* on the way to the root point?
# Here are two neurons that read our two inputs, and an output that reads the neurons with weights 2 and -1.
#
# **Before you look:** neuron 1 holds 3 at the start. What will it hold halfway to its root point? The assumption says
# 3/2.

# %%
lower, upper = Dense(exact([[2, -1], [1, 1]])), Dense(exact([[2, -1]]))
start, root = exact([[3, 2]]), exact([[1, 2]])  # the root point of neuron 1 in the direction of z-plus
walk = []
print("   t   neurons   output   neuron 1 holds   assumed")
for t in exact(["0", "1/4", "1/2", "3/4", "1"]):
    hidden = lower.forward(start + t * (root - start))
    output = upper.forward(hidden)
    R_1 = upper.relevance(hidden, output, rules.ZPlus())[0, 0]
    walk.append([t, R_1, 3 * (1 - t)])
    print(f"{t!s:>4}   {' '.join(map(str, hidden[0])):8} {output[0, 0]!s:>7} {R_1!s:>16} {3 * (1 - t)!s:>9}")
assert [str(R_1) for _, R_1, _ in walk] == ["3", "3/2", "0", "-3/2", "0"]

# %% [markdown]
# Halfway, it holds *nothing*; then it holds relevance against; and it jumps back to 0 where the neuron falls silent.
# The reason is the *other* neuron: it reads the same inputs, it speaks against the output, and z-plus gives all of the
# output to neuron 1. So $R_1$ depends on what neuron 2 does, and no constant $c_1$ exists. The true root of $R_1$ is at
# $t = 1/2$, where neuron 1 still fires.
#
# Is that a corner case? In the trained network, take the neuron of the first layer that holds most relevance, and walk
# halfway to its root point in the space of pixels. It ought to hold half of what it held.

# %%
halves = []
for k in range(len(digits)):
    x = digits[k : k + 1]
    target, j = tr.target[k], tr.at["relu1"][k].argmax()
    for_it = (net["fc1"].weight[j] > 0).reshape(1, 1, 28, 28)
    t = values["fc1"][k, j] / (x[for_it] @ net["fc1"].weight[j][for_it.ravel()])
    halfway = np.where(for_it, (1 - t / 2) * x, x)
    assert abs(net.activations(halfway)["fc1"][0, j] - values["fc1"][k, j] / 2) < 1e-9  # the neuron is halfway down
    halves.append(lrpref.trace(net, halfway, target, "z-plus").at["relu1"][0, j] / tr.at["relu1"][k, j])
halves = np.array(halves)
print("of its relevance, the neuron still holds:", *(f"{half:.2f}" for half in np.sort(halves)))
assert abs(halves - 0.5).max() < 0.2
assert (halves < 0.5).sum() == 12

# %% [markdown]
# Not a half, but not far from it either: between a third and 0.56. Here the assumption is a fair approximation, and in
# our network of two neurons it was absurd. It has to be checked, and it is not a theorem about networks. (The paper
# calls such models of $R_j$ *relevance models*, as others report.)
#
# ## What is left
#
# A derivation that rests on assumptions is not worthless. It tells you which assumptions a rule makes, and thereby
# *where it belongs*:
#
# | the inputs of the layer | what is possible for a root point | rule |
# |---|---|---|
# | any real numbers | everything | w-square |
# | behind a ReLU | nothing negative | z-plus |
# | pixels | between black and white | z-box |
#
# That is why z-box is for the first layer and z-plus for the others, and why "deep Taylor" in the menus of other
# libraries means just that: z-box on the pixels, z-plus above. It is a good recipe. It has not been *proved* right.
#
# ## What you know now
#
# - A root point is a nearby input at which the neuron has nothing to explain. A rule is a direction in which to look
#   for one; its shares are the steps along that direction, each worth its weight.
# - z-plus comes from roots that are not negative, z-box from roots in a box, w-square from the nearest root of all.
# - The expansion does not choose the direction, knows of no positive bias, and takes for granted that the relevance
#   from above is a constant times the activation.
# - An argument for a rule tells you when to use it. Whether the map is any good remains to be measured (step 10).
#
# Next: the books, and why a map need not sum to the output.
