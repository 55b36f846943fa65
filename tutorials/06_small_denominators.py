# %% [markdown]
# # 6. What do small denominators do to a map?
#
# In step 1, LRP-0 divided 1 by a $z$ of 1/1000, and the shares were in the thousands. Nyiri and Gibaru (2025, arXiv
# 2501.14322) call this division by small values the main drawback of the LRP rules. A network has thousands of units,
# and some of their sums are close to zero. **So does every map contain such explosions?**
#
# (In step 0, the quotient in `divide` is the one that could be huge.) **Before you read on:** the network of step 0 has
# ReLUs, and its map under LRP-0 was noisy. Do you expect quotients of a hundred, or of a million? We look for the
# largest.

# %%
# %matplotlib inline
import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import lrpref
from lrpref import BatchNorm, LinearLayer, plot, rules
from lrpref.composites import Composite

net = lrpref.load("mnist-mlp").astype(np.float64)
x = lrpref.samples.load("digit-4").astype(np.float64)


def denominators(net, x, rule, layers):
    """For each layer, the z and the R of the units that hold relevance."""
    tr, values = lrpref.trace(net, x, rule=rule), net.activations(x)
    found = {}
    for name in layers:
        z, R = values[name][0], tr.at[name][0]
        found[name] = z[R != 0], R[R != 0]
    return tr, found


zero = Composite([(LinearLayer, rules.Zero())])
plain, found = denominators(net, x, zero, ["fc2", "fc1"])
print("layer   units   smallest |z|   its R    largest |R / z|")
expected = {"fc2": [56, 0.222, 0.019, 0.28], "fc1": [76, 0.037, 0.011, 0.69]}
for name, (z, R) in found.items():
    least = abs(z).argmin()
    row = [len(z), abs(z[least]), R[least], abs(R / z).max()]
    print(f"{name:7} {row[0]:5} {row[1]:14.3f} {row[2]:7.3f} {row[3]:18.2f}")
    assert_allclose(row, expected[name], atol=0.0051)

# %% [markdown]
# There are small denominators, such as a $z$ of 0.037. But its $R$ is small as well, and no quotient exceeds 1, so
# nothing explodes. Is this a coincidence?
#
# ## Why nothing explodes
#
# What LRP-0 sends to a unit is always the unit's activation times a factor, which step 2 called $c$:
#
# $$R_i = a_i \sum_j w_{ij} \frac{R_j}{z_j} = a_i c_i$$
#
# In the layer below, this unit is one of the outputs, with the sum $z_j$. If it is active, the ReLU passes its positive
# value on unchanged, so $a_j = z_j$. Then
#
# $$\frac{R_j}{z_j} = \frac{a_j c_j}{z_j} = c_j$$
#
# **The small number cancels.** What remains, $c_j$, is the derivative of the output with respect to the unit. This is
# why LRP-0 is gradient times input in such a network (step 4). Its maps are noisy because gradients are noisy, and not
# because of a division.
#
# For other rules, the argument is weaker. z-plus and gamma also send $a_i$ times a factor, but they divide by sums of
# their own. Where inputs are positive or zero and $z_j > 0$, this sum is at least $z_j$, so their quotient is at most
# $c_j$. For these rules, the argument gives only a bound.

# %%
at_fc1, (z, R) = net.activations(x), found["fc1"]
units = np.flatnonzero(plain.at["fc1"][0])
h, slopes = 1e-5, []
for unit in units:
    nudged = at_fc1["fc1"].copy()
    nudged[0, unit] += h
    top = net["fc2"].forward(np.maximum(nudged, 0))
    slopes.append((net["fc3"].forward(np.maximum(top, 0))[0, 4] - plain.logits[0, 4]) / h)
print(f"largest difference between R / z and the slope: {abs(R / z - slopes).max():.1e}")
assert_allclose(R / z, slopes, atol=1e-8)

# %% [markdown]
# ## Where it does explode
#
# The cancellation requires that $R_j$ is proportional to the same $z_j$ by which it is divided. This fails in three
# cases.
#
# **1. The relevance you start with.** Start at 1 instead of the logit, and the first denominator is the logit itself.
# Of this picture's ten logits, that of the seven is nearest to zero.

# %%
print("class   logit   sum of |R|, starting at 1")
for target in (4, 1, 7):
    logit = plain.logits[0, target]
    total = abs(lrpref.explain(net, x, target, zero, seed="one")).sum()
    print(f"{target:5} {logit:7.2f} {total:15.1f}")
    assert_allclose([logit, total], {4: [18.91, 1.6], 1: [-2.20, 18.2], 7: [-0.81, 44.2]}[target], atol=0.06)

# %% [markdown]
# One unit of relevance becomes 44. (If you start at the logit, as this library does by default, the logit cancels.)
#
# **2. Activations that do not map 0 to 0.** A sigmoid maps $z = 0$ to 1/2. The unit then holds relevance like any
# other, but LRP-0 in the layer below divides by a $z$ close to zero.

# %%
unit = lrpref.Network.sequential(lrpref.Dense([[1.0, -0.999]]), lrpref.Sigmoid(), lrpref.Dense([[1.0]]))
shares = lrpref.explain(unit, np.ones((1, 2)), rule="zero", seed="one")[0]
print("z = 0.001 under a sigmoid: 1 becomes", *(f"{share:.0f}" for share in shares))
assert_allclose(shares, [1000, -999])

# %% [markdown]
# **3. Rules that bypass a layer.** This case is common in practice. Here is the same kind of network with batch
# normalisation: `fc`, `bn`, `relu`. Step 7 explains this layer; for now it is enough that it shifts and scales each
# unit. It is common to pass relevance through it unchanged (zennit's composites do). So $R_j$ is proportional to the
# *output* of the normalisation, and is divided by its *input*.

# %%
normalised = lrpref.load("mnist-mlp-bn").astype(np.float64)


def left_in(rule):
    """The rule everywhere, except that BatchNorm is bypassed."""
    return Composite([(BatchNorm, rules.Pass()), (LinearLayer, rule)])


bypassed, found_bn = denominators(normalised, x, left_in(rules.Zero()), ["fc2", "fc1"])
for name, (z, R) in found_bn.items():
    assert abs(z).min() > 1e-6
    least = abs(z).argmin()
    row = [z[least], R[least], abs(R / z).max()]
    print(f"{name}: the z nearest to zero is {row[0]:.3f}, its R is {row[1]:.3f}; the largest |R / z| is {row[2]:.1f}")
    assert_allclose(row, {"fc2": [-0.014, 0.166, 11.5], "fc1": [-0.060, 0.386, 13.5]}[name], atol=0.06)
sums = [abs(tr.relevance).sum() / abs(tr.logits).max() for tr in (plain, bypassed)]
print(f"sum of |R| at the pixels over the logit: {sums[0]:.1f} without BatchNorm, {sums[1]:.1f} with it bypassed")
assert_allclose(sums, [1.6, 22.7], atol=0.05)

# %% alt="Scatter plots of R against z: left a fan through the origin, right no order, with large R where z is near 0"
figure = Figure(figsize=(8.4, 3.1), layout="constrained")
panels = {"no BatchNorm: R goes to 0 with z": found, "BatchNorm bypassed: it does not": found_bn}
for ax, (title, data) in zip(figure.subplots(1, 2), panels.items(), strict=True):
    for (name, (z, R)), colour in zip(data.items(), ["#d6604d", "#4393c3"], strict=True):
        ax.scatter(z, R, s=12, color=colour, label=name, alpha=0.8)
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.set(title=title, xlabel="z, the denominator", ylabel="R, the numerator")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8)
figure

# %% [markdown]
# On the left, the points approach the origin: where $z$ is close to zero, so is $R$. On the right, units with a $z$
# close to zero hold as much relevance as others, and some of them have a negative $z$. There, the quotient is large.
#
# ## How other rules behave
#
# Other rules avoid the problem in different ways. We try them on the network with BatchNorm bypassed. How large is the
# sum of the magnitudes at the pixels, relative to the logit? And how much does the stabilizer take?

# %%
answers = {
    "zero": [rules.Zero(), 22.7, 0],
    "epsilon, 1e-6": [rules.Epsilon(1e-6), 22.7, 0],
    "epsilon, 0.01": [rules.Epsilon(0.01), 13.8, 0.01],
    "epsilon, 0.1": [rules.Epsilon(0.1), 3.1, 0.08],
    "epsilon, 1": [rules.Epsilon(1.0), 0.7, 0.47],
    "epsilon, 10": [rules.Epsilon(10.0), 0.05, 0.96],
    "gamma": [rules.Gamma(0.25, generalised=True), 1.1, 0],
    "alpha 2, beta 1": [rules.AlphaBeta(2, 1), 2.1, 0],
    "z-plus": [rules.ZPlus(), 1.0, 0],
    "absolute": [rules.Absolute(), 1.0, 0],
    "relative": [rules.Relative(), 1.0, 0],
}
maps = {}
print("rule              sum of |R| / logit   taken by the stabilizer")
for name, (rule, size, taken) in answers.items():
    tr = lrpref.trace(normalised, x, rule=left_in(rule))
    logit = tr.logits.max()
    row = [abs(tr.relevance).sum() / logit, tr.ledger["stabilizer"].sum() / logit]
    print(f"{name:17} {row[0]:18.2f} {row[1]:25.1%}")
    assert_allclose(row, [size, taken], atol=0.055)
    maps[name] = tr.relevance

# %% alt="Seven maps of the four: zero and epsilon 0.1 are red and blue blocks beyond the scale, the others are calmer"
shown = ["zero", "epsilon, 0.1", "epsilon, 1", "gamma", "alpha 2, beta 1", "z-plus", "relative"]
plot.grid(x, {name: maps[name] for name in shown}, "BatchNorm bypassed: seven rules")

# %% [markdown]
# (Zero, epsilon 0.1 and alpha-beta go beyond the colour scale, which ends at the median of the seven maps' largest
# values.)
#
# - **Epsilon** keeps denominators away from zero, but you have to choose how far. At $10^{-6}$, the default here and in
#   zennit (iNNvestigate has $10^{-7}$, captum $10^{-9}$), it has no effect, because no $z$ is that small. At 0.1 it
#   helps. At 10 the stabilizer takes 96 %, and very little arrives. The right value is about the size of the $z$ that
#   occur, which differs between layers and between networks.
# - **Gamma** makes contributions of one sign count more, so that sums cancel less.
# - **Alpha-beta** separates the two signs: each part has a sum of its own, in which nothing cancels. It still sends
#   $\alpha R$ to one part and $-\beta R$ to the other.
# - **z-plus and absolute** have sums of one sign, in which nothing can cancel, and they lose the signs of
#   contributions. The map is as large as the logit.
# - **Relative** divides by the *number* of inputs. Step 9 is about it.
#
# ## Choosing an epsilon
#
# How wide is the range of useful values? We vary epsilon over ten decades (powers of ten) and compute the same two
# numbers.

# %% alt="Against epsilon from 1e-6 to 1e4: sum of |R| falls from 23 to 0, the stabilizer's share rises from 0 to 1"
epsilons = 10.0 ** np.arange(-6, 4.01, 0.5)
traces = [lrpref.trace(normalised, x, rule=left_in(rules.Epsilon(e))) for e in epsilons]
sizes = [abs(tr.relevance).sum() / tr.logits.max() for tr in traces]
taken = [tr.ledger["stabilizer"].sum() / tr.logits.max() for tr in traces]
figure = Figure(figsize=(6.6, 3.0), layout="constrained")
ax = figure.subplots()
ax.loglog(epsilons, sizes, color="#d6604d", label="sum of |R| / logit")
ax.set(xlabel="epsilon", ylabel="sum of |R| / logit", ylim=(1e-3, 100))
ax.axhline(1, color="0.7", linewidth=0.8)
right = ax.twinx()
right.semilogx(epsilons, taken, color="#8073ac", linestyle="--", label="taken by the stabilizer")
right.set(ylabel="share taken", ylim=(-0.02, 1.02))
figure.legend(loc="outside lower center", ncols=2, fontsize=8)
figure

# %%
usable = epsilons[(np.array(sizes) < 5) & (np.array(taken) < 0.5)]
print(f"less than 5 times the logit, and less than half taken: epsilon from {usable.min():.2g} to {usable.max():.2g}")
typical = {name: np.median(abs(z)) for name, (z, R) in found_bn.items()}
print("median |z| of the units that hold relevance:", *(f"{name} {z:.2f}" for name, z in typical.items()))
assert_allclose([usable.min(), usable.max()], [0.1, 1.0], rtol=1e-6)
assert_allclose(list(typical.values()), [1.75, 1.91], atol=0.006)

# %% [markdown]
# Only one decade of the ten is useful, a little below the size of a typical $z$. On the network *without* BatchNorm,
# there is no need for an epsilon, because LRP-0 itself stays small.
#
# ## What you know now
#
# - In a network of ReLUs, relevance under LRP-0 is proportional to the $z$ by which it is divided, and small
#   denominators cancel. The noise of LRP-0 there is the noise of the gradient.
# - They do not cancel where relevance does not come from this $z$: if you start at 1, after an activation that does not
#   map 0 to 0, or if a layer is bypassed.
# - Epsilon bounds the quotients and takes a part of the relevance; its value must fit the network. Gamma and alpha-beta
#   reduce cancellation. z-plus and absolute exclude it, but lose the signs.
# - If a map looks wrong, look at the denominators first. `Network.activations` returns the $z$, and `trace` the $R$.
#
# The next step explains why one should not bypass BatchNorm, and what to do instead.
