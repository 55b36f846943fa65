# %% [markdown]
# # 3. The map does not sum to the output. Is that a bug?
#
# "Relevance is conserved", says the literature: the relevance of the input is as large as that of the output. But if
# you add up a map, you often get another number. **Where did the rest go, and is it a problem?**
#
# From here on we work with trained networks and real digits.

# %%
# %matplotlib inline
import inspect
from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import Dense, plot, rules
from lrpref.engine import divide

net = lrpref.load("mnist-mlp").astype(np.float64)  # three fully connected layers with ReLUs between
# the library's name for LRP-0 is "zero"
print("digit    answer   output   sum of the map   missing")
expected = {"digit-4": [4, 18.91, 17.85], "digit-3": [3, 23.46, 23.98], "hard-3": [3, 9.52, 10.16]}
for name in expected:
    tr = lrpref.trace(net, lrpref.samples.load(name), rule="zero")
    answer, output, total = int(tr.target[0]), tr.logits.max(), tr.relevance.sum()
    print(f"{name:8} {answer:6} {output:8.2f} {total:16.2f} {output - total:9.2f}")
    assert_allclose([answer, output, total], expected[name], atol=0.006)

# %% [markdown]
# Once the sum is too small, and twice it is too large. A sum that is too large is more surprising, so we follow the
# last digit, a three with a closed lower loop.
#
# ## The ledger
#
# In step 0 we recorded the losses by hand. `lrpref.trace` does this for every network: it returns the map together with
# all intermediate results. One of them is a ledger. For every layer, it lists the relevance at its output, the
# relevance passed on to its inputs, and what became of the difference.

# %%
x = lrpref.samples.load("hard-3")
tr = lrpref.trace(net, x, rule="zero")
print(tr.ledger)
assert_allclose(tr.ledger["out"][:, 0], [9.516, 9.553, 9.553, 9.726, 9.726, 10.156], atol=0.0006)
assert_allclose(tr.ledger["bias"][:, 0], [-0.0375, 0, -0.1728, 0, -0.4302, 0], atol=0.0001)
assert abs(tr.ledger.residual()).max() < 1e-12

# %% [markdown]
# Read it from top to bottom, in the direction in which relevance is passed on. Activations pass on what they get, and
# so does `Flatten`. Each `Dense` layer (`fc3`, `fc2`, `fc1`) passes on *more* than it received, and has a negative
# entry in the column *bias*. The three entries sum to -0.64, which is the whole difference. So no relevance is
# unaccounted for.
#
# $$\sum_j R_j = \sum_i R_i + \text{bias} + \text{stabilizer} + \text{dropped} + \text{factor}$$
#
# This is the conservation law (Bach et al. 2015, PLoS ONE 10(7):e0130140, eq. 2) with all losses written out. (The
# printed ledger leaves out columns that are zero throughout.) Each column is computed independently from the layer's
# own numbers, and none is chosen to make the sum right. So the difference between the two sides, the column *residual*,
# is a real check: it must be rounding noise.

# %%
print(inspect.getsource(lrpref.Ledger.residual))

# %% [markdown]
# You know *bias*, *stabilizer* and *dropped* from step 1. *Factor* is for rules whose parts do not sum to one, such as
# Relative LRP, the subject of step 9.
#
# ## What a negative entry means
#
# A bias has a share like any other contribution: $b_j R_j / z_j$. We compute the entry of `fc1` by hand, and group its
# 256 neurons by the signs of their bias and of their relevance. Most of them are inactive and hold no relevance.

# %%
z, R, b = net.activations(x)["fc1"][0], tr.at["fc1"][0], net["fc1"].bias
share = divide(b * R, z)
print("bias     relevance   neurons   share of the bias")
four = [(1, 1, 18, 0.15), (1, -1, 12, -0.30), (-1, 1, 26, -0.30), (-1, -1, 9, 0.02)]
for bias_sign, R_sign, count, total in four:
    chosen = (np.sign(b) == bias_sign) & (np.sign(R) == R_sign)
    print(f"{bias_sign:+d}  {R_sign:+12d} {chosen.sum():12d} {share[chosen].sum():15.2f}")
    assert chosen.sum() == count
    assert_allclose(share[chosen].sum(), total, atol=0.006)
print(f"together {share.sum():36.2f}")
assert_allclose(share.sum(), tr.ledger["bias"][tr.ledger.nodes.index("fc1"), 0], rtol=1e-12)

# %% [markdown]
# So a negative entry has two possible causes. In the first, a neuron that counts for the three has a negative bias: its
# inputs had to outweigh the bias, and get correspondingly more relevance. In the second, a neuron that counts *against*
# the three has a positive bias. In both cases the bias works against the answer, its share is negative, and the inputs
# get more by the same amount.
#
# **If the entry is negative, the biases count against the answer, and the pixels get more than the output. If it is
# positive, the biases count for the answer, and the pixels get less.** Neither is an error. In the waterfall chart of
# the ledger, each negative entry is a step to the right.

# %% alt="Waterfall of the ledger: grey bars grow from 9.5 at the output to 10.2 at the input, in three orange steps"
figure = plot.waterfall(tr.ledger, title="hard-3 under LRP-0: the biases count against, so the sum grows")
figure.axes[0].set(xlim=(9, 10.3), xlabel="relevance (the axis begins at 9: only the ends of the bars are shown)")
figure

# %% [markdown]
# ## An empty picture
#
# The extreme case is an empty picture.

# %%
empty = lrpref.trace(net, np.zeros_like(x), rule="zero")
bias = empty.ledger["bias"].sum()
print(f"the network's answer is {empty.target[0]}, with an output of {empty.logits.max():.2f}")
print(f"all pixels together get {abs(empty.relevance).sum()}, the biases get {bias:.2f}")
assert empty.target[0] == 5
assert abs(empty.relevance).sum() == 0
assert_allclose(bias, empty.logits.max(), rtol=1e-12)
assert_allclose(bias, 1.64, atol=0.005)

# %% [markdown]
# The answer for an empty picture comes from the biases alone. No pixel contributed anything, so every pixel gets 0.
#
# ## Two bad ways to make the sum right
#
# *Scale the map* until it sums to the output. A map of zeros cannot be scaled, and a map that sums to 10.16 now appears
# to sum to 9.52. The picture stays the same, and the information about the biases is lost.
#
# *Set the biases to zero.* Then all relevance arrives at the pixels:

# %%
bare = [
    (name, replace(layer, bias=0 * layer.bias) if isinstance(layer, Dense) else layer, i)
    for name, layer, i in net.nodes
]
other = lrpref.trace(lrpref.Network(bare), x, rule="zero")
print(f"without biases: output {other.logits.max():.2f}, sum of the map {other.relevance.sum():.2f}")
assert_allclose(other.relevance.sum(), other.logits.max(), rtol=1e-12)
assert_allclose(other.logits.max(), 10.10, atol=0.005)

# %% [markdown]
# But this is another network: its output is 10.10 and not 9.52. You have explained the wrong network.
#
# ## Losses under other rules

# %%
print("rule                      map    bias   stabilizer   dropped      sum")
expected = {"zero": [10.16, -0.64, 0, 0], "epsilon(epsilon=0.5)": [6.86, -0.31, 2.96, 0]}
expected |= {"z-plus": [9.39, 0.13, 0, 0], "gamma": [9.64, -0.13, 0, 0]}
expected |= {"alpha-beta": [10.10, -0.58, 0, 0], "flat": [9.52, 0, 0, 0]}
for name, parts in expected.items():
    tr = lrpref.trace(net, x, rule=name)
    losses = [tr.ledger[column].sum() for column in ("bias", "stabilizer", "dropped")]
    found = [round(value, 9) + 0.0 for value in (tr.relevance.sum(), *losses)]
    print(f"{name:20} {found[0]:8.2f} {found[1]:7.2f} {found[2]:12.2f} {found[3]:8.2f}", end=" ")
    print(f"{sum(found):8.2f}")
    assert_allclose(found, parts, atol=0.006)
    assert_allclose(sum(found), tr.logits.max(), rtol=1e-6)

# %% [markdown]
# The six maps have six different sums, and each time the four columns add up to 9.52. An epsilon of 0.5 takes almost a
# third of the relevance. This is not a defect: its purpose is to weaken neurons whose sum is small. With z-plus, only
# *positive* biases are in the denominator, so its entries cannot be negative where the relevance is positive.
#
# *Dropped* is zero here. A rule drops relevance where there is no input that can receive it. Alpha-beta gives $\alpha =
# 2$ times the relevance to the positive contributions, and $-\beta = -1$ times the relevance to the negative ones. But
# what if there are no negative contributions?

# %%
flow = Dense([[1.0, 1.0]]).flow((np.array([[1.0, 1.0]]),), np.array([[1.0]]), rules.AlphaBeta(2, 1))
print("inputs", flow.inputs[0][0], "dropped", flow.losses["dropped"][0])
assert_array_equal(flow.inputs[0][0], [1, 1])
assert flow.losses["dropped"][0] == -1

# %% [markdown]
# The neuron received 1 and passed on 2. No input could receive the -1, which is recorded as dropped. (With
# `AlphaBeta(empty="renormalise")` the rule passes on 1 in this case.)
#
# ## What conservation does not mean
#
# In the last line of the table, flat conserves relevance exactly. Here is its map.

# %% alt="A three under three rules: LRP-0 and epsilon are red and blue, flat is one even tint"
maps = {name: lrpref.explain(net, x, rule=name) for name in ("zero", "epsilon(epsilon=0.5)", "flat")}
assert_allclose(maps["flat"], 9.5157 / 784, rtol=1e-4)  # every pixel the same, whatever the digit
assert_allclose([abs(R).sum() for R in maps.values()], [43.2, 21.7, 9.5], atol=0.06)
peaks = {name: abs(R).max() for name, R in maps.items()}
assert peaks["flat"] < peaks["epsilon(epsilon=0.5)"] < peaks["zero"]
plot.grid(x, maps)

# %% [markdown]
# (All maps of a figure share one colour scale, which ends at the median of the maps' largest magnitudes. Here that is
# epsilon's, and some pixels of LRP-0 go beyond it, as the arrowheads on the colour bar show. The tint of the map of
# flat is so pale that it is barely visible.)
#
# Under flat, every pixel gets the same, whatever the digit. All relevance is accounted for, and nothing is explained.
# LRP-0 "loses" very little, but only because most of its positive and negative relevance cancels: its magnitudes sum to
# 43.2, for an output of 9.5. Epsilon, which "loses" a third, draws similar strokes with 21.7. So:
#
# - A **residual of zero** means that the rule was applied as written, and that you know where all relevance went.
# - It does **not** mean that the map is right, or good, or the only possible one.
# - A map that does not sum to the output is usually not a bug. A *residual* that is not rounding noise is.
#
# ## What you know now
#
# - Relevance goes to the inputs, to the biases or to the stabilizer, or it is dropped. The ledger lists each amount.
# - A negative bias entry means that the biases count against the answer, and that the pixels get more than the output.
# - Scaling the map, or setting the biases to zero, hides the losses instead of explaining them.
# - Conservation only means that all relevance is accounted for. How good an explanation is has to be measured (step
#   10).
#
# The next step explains an ambiguous digit with a convolutional network, and shows what you can learn from a map.
