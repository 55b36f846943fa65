# %% [markdown]
# # 2b. Where do the rules come from?
#
# Step 2 had ten rules, and each of them looks reasonable. **Is there a principle from which a rule *follows*, so that
# nobody has to choose?**
#
# The best-known attempt is *deep Taylor decomposition* (Montavon et al. 2017, Pattern Recognition 65:211, arXiv
# 1512.02479). z-plus, z-box and w-square come from it. We derive them here, by hand and in fractions, and then look at
# what does *not* follow. (We had access to the paper's abstract and to others' accounts of it, but not to its text. The
# derivations are ours, in our notation, so they refer to no equation numbers.)

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
# Why is the output of the neuron 4, and not 0? Look for a point $\tilde a$ near $a$ where the sum is just zero,
# $z(\tilde a) = 0$. This is a **root point**. The difference between $\tilde a$ and $a$ explains the output: each input
# changed by $a_i - \tilde a_i$, and each unit of this change added $w_i$. So
#
# $$R_i = \frac{\partial z}{\partial a_i} (a_i - \tilde a_i) = w_i (a_i - \tilde a_i)$$
#
# This is a Taylor expansion at the root point. A neuron is linear while it is active, so there are no terms of higher
# order, and the shares add up to $z$ for every root point. But the root point is not unique: it has to satisfy *one*
# equation in many inputs, so there are many.
#
# To select one, choose a direction $v$, and move from $a$ against this direction until the neuron becomes inactive:
#
# $$\tilde a = a - t v \quad\text{with}\quad t = \frac{z}{\sum_i v_i w_i} \qquad\Rightarrow\qquad
# R_i = \frac{v_i w_i}{\sum_i v_i w_i} z$$
#
# **A rule corresponds to a direction in which to look for a root.** (If the neuron holds $R$ instead of $z$, put $R$ in
# place of $z$ on the right. We discuss below whether this is justified.)


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
# **Before you read on:** guess which rule of step 2 follows from each of these directions.
#
# 1. *The shortest way*: the direction in which $z$ falls fastest is $v = w$.
# 2. *Towards zero*, all inputs alike: $v = a$.
# 3. *Towards zero, but only for inputs with positive weights.* Inputs that come from a ReLU are never negative, so the
#    root point should not have negative inputs either. Moving along $w$ may lead below zero. So move only the inputs
#    with a positive weight towards zero: $v_i = a_i$ where $w_i > 0$, and 0 elsewhere.
# 4. *Towards the bounds of a box.* A pixel lies between $l_i$ and $h_i$. To make the neuron inactive, move pixels with
#    positive weights down towards $l_i$, and those with negative weights up towards $h_i$: $v_i = a_i - l_i$ or $a_i -
#    h_i$.

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
# Each direction gives one of the rules. $v = w$ gives $w_i^2 / \sum w_i^2$, which is w-square; $v = a$ gives LRP-0; the
# third gives
#
# $$R_i = \frac{a_i w_i^+}{\sum_i a_i w_i^+} R$$
#
# which is z-plus for $a \ge 0$; and the fourth gives $a_i w_i - l_i w_i^+ - h_i w_i^-$, which is z-box. This explains
# the formula of z-box: it measures each pixel from the bound towards which the neuron's sum falls.

# %% alt="The plane of two inputs: the line where the neuron's sum is zero, and paths to it in four directions"
figure = Figure(figsize=(7.2, 3.9), layout="constrained")
ax = figure.subplots()
ax.fill([0, 4, 4, 0], [0, 0, 4, 4], color="0.5", alpha=0.15, label="the box, 0 to 4")
line = np.array([-0.6, 2.4])
ax.plot(line, 2 * line, color="0.5", label="z = 0: the neuron is inactive")
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
# Every point of the line is a root, and every rule ends somewhere on it. z-plus moves horizontally to the left: input 2
# has a negative weight, so it stays the same, and gets no relevance. This is why z-plus cannot show evidence against
# the output: it does not consider points where there is *less* of this evidence.
#
# ## What does not follow, 1: the direction
#
# Four directions gave four rules. Other directions give other rules. Suppose that somebody wants input 1 to have a
# third of the relevance and input 2 to have two thirds, for no particular reason.

# %%
wanted = exact(["1/3", "2/3"])
v = wanted / w  # the direction that does it
root, t, shares = decompose(a, w, v)
print("root point", *root, "  shares", *shares, "  as parts", *(shares / z))
assert list(shares / z) == list(wanted)

# %% [markdown]
# With $v_i = p_i / w_i$, the shares can be any parts $p$ that add up to one, on any neuron whose weights are not zero.
# So the Taylor expansion alone does *not* determine the shares. They follow from a requirement on the root point: that
# it be near, or lie in the box, or on a certain segment. These requirements are reasonable, but they are choices. (Sixt
# and Landgraf 2022, arXiv 2211.08425, show this for whole networks: if root points may depend on the input, any
# explanation can be justified; if they are locally constant, the result is gradient times input.)
#
# ## What does not follow, 2: biases
#
# Now the neuron gets a bias. At the root point, $\sum_i a_i w_i + b$ must be zero, and only the *inputs* can change to
# achieve this.

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
# - With $b \le 0$, the root lies between $a$ and 0, and z-plus follows. The derivation *assumes* this. (Networks can be
#   trained with this constraint, but ours were not.)
# - With a large enough **positive** bias, the search of z-plus finds no root among possible inputs: the neuron is
#   active even with input 1 at zero, so the search ends at a negative activation. (Raising input 2 would find one.) The
#   shares still add up to $z$, as if the bias contributed nothing. The rule z-plus of this library gives a positive
#   bias its share instead (Bach et al. 2015, eq. 60), and then differs from the rule that was derived.
# - With any $b \ne 0$, the shares of LRP-0 are not those of an expansion at a root. They belong to an expansion at
#   zero, where the sum of the neuron is $b$, and this is the share of the bias.
#
# How common is the case that the derivation excludes? In a trained network, we count the neurons that hold relevance,
# those of them with a positive bias, and those for which z-plus has no root point among non-negative activations ($t >
# 1$). (`lrpref.trace` runs LRP through a whole network, and keeps the relevance at the output of each layer in `at`.
# Step 3 is about it.)

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
    print(f"z-plus finds no root for {counts[layer][2]}")
for count, biased, without in counts.values():
    assert 0.5 < biased / count < 0.75
    assert without == 0

# %% [markdown]
# z-plus finds a root for all of them. But between a half and three quarters of them have a positive bias, and for these
# the rule that the library uses is not the rule that was derived.
#
# ## What does not follow, 3: the next layer
#
# So far we decomposed $z$, the neuron's own output. In a network, a neuron holds relevance $R_j$ that came from above,
# and *that* is what has to be expanded, as a function of the neuron's inputs. The derivation assumes
#
# $$R_j = c_j \, a_j \quad\text{with constant } c_j$$
#
# so that $R_j$ is zero exactly where the neuron becomes inactive, and the shares of $z$ are also the shares of $R_j$.
# Step 6 shows why such a relation holds at the point $a$. But is $c_j$ *constant* between $a$ and the root point? As an
# example, we take two neurons with our two inputs, and an output that weights the two neurons by 2 and -1.
#
# **Before you look:** neuron 1 holds 3 at the start. What will it hold halfway to its root point? The assumption says
# 3/2.

# %%
lower, upper = Dense(exact([[2, -1], [1, 1]])), Dense(exact([[2, -1]]))
start, root = exact([[3, 2]]), exact([[1, 2]])  # the root point of neuron 1 in the direction of z-plus
walk = []
print("   t   neurons   output   neuron 1 holds   assumed")
for t in exact(["0", "1/4", "1/2", "3/4", "99/100", "1"]):
    hidden = lower.forward(start + t * (root - start))
    output = upper.forward(hidden)
    R_1 = upper.relevance(hidden, output, rules.ZPlus())[0, 0]
    walk.append([t, R_1, 3 * (1 - t)])
    print(f"{t!s:>4}   {' '.join(map(str, hidden[0])):8} {output[0, 0]!s:>7} {R_1!s:>16} {3 * (1 - t)!s:>9}")
assert [str(R_1) for _, R_1, _ in walk] == ["3", "3/2", "0", "-3/2", "-147/50", "0"]

# %% [markdown]
# Halfway, its relevance is 0. After that it falls towards -3, and it jumps to 0 where the neuron becomes inactive. The
# reason is the *other* neuron. It has the same inputs and a negative weight to the output, and z-plus gives all of the
# output to neuron 1. So $R_1$ depends on neuron 2, and there is no constant $c_1$. The true root of $R_1$ is at $t =
# 1/2$, where neuron 1 is still active.
#
# Is this an exception? In the trained network, we take the neuron of the first layer that holds most relevance, and
# move halfway to its root point in the space of pixels. According to the assumption, it should then hold half of its
# relevance.

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
# It holds between a third and 0.56 of it. Here the assumption is a fair approximation, while in our network of two
# neurons it was wrong. It is not a theorem about networks, so it has to be checked in each case. (Others report that
# the paper calls such models of $R_j$ *relevance models*.)
#
# ## What the derivation is good for
#
# A derivation that rests on assumptions is still useful. It shows which assumptions a rule makes, and so *for which
# layers it is meant*:
#
# | the inputs of the layer | what is possible for a root point | rule |
# |---|---|---|
# | any real numbers | everything | w-square |
# | behind a ReLU | nothing negative | z-plus |
# | pixels | between black and white | z-box |
#
# This is why z-box is used in the first layer and z-plus in the others. "Deep Taylor" in the menus of other libraries
# means this combination. It is a good recipe, but the derivation does not *prove* that it is right.
#
# ## What you know now
#
# - A root point is a nearby input at which the sum of the neuron is zero. A rule is a direction in which to look for
#   one. Its shares are the changes of the inputs along this direction, times their weights.
# - z-plus comes from roots without negative inputs, z-box from roots in a box, and w-square from the nearest root.
# - The expansion does not determine the direction, does not allow for a positive bias, and assumes that the relevance
#   from above is a constant times the activation.
# - An argument for a rule tells you when to use it. How good the map is has to be measured (step 10).
#
# The next step is about the ledger, and about why a map need not sum to the output.
