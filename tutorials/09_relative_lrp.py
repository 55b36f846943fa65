# %% [markdown]
# # 9. Can one do without an epsilon?
#
# Epsilon has to be chosen, and step 6 showed that the choice can be narrow. Nyiri and Gibaru (2025, arXiv 2501.14322)
# announce a rule that has nothing to choose: *Relative LRP*. By their abstract it keeps the conservation law up to a
# factor, divides by no small values, skip connections excepted, and has no hyperparameter. **What rule could that be,
# and what does one pay for it?**
#
# The abstract does not print the formula, and we could not get at the paper's text. So what follows is **our reading**,
# and nothing here is a verdict on theirs.

# %%
# %matplotlib inline
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.testing import assert_allclose

import lrpref
from lrpref import Dense, Network, plot, rules
from lrpref.composites import Composite
from lrpref.evaluation import maps

# %% [markdown]
# ## A denominator that is never small
#
# LRP-0 divides each contribution by the sum of them all, $z$. The trouble is that $z$ may be anything. What number
# belongs to a neuron, cannot be small, and needs no choice? The *number of its inputs*, $n$.
#
# $$R_{i \leftarrow j} = \mathrm{sgn}(z_j)\,\frac{a_i w_{ij}}{n} R_j$$
#
# We ask the neuron of step 1 again: contributions 1, 3 and -1, and a bias that brings $z$ closer and closer to zero.


# %%
def exact(values):
    """An array of fractions."""
    return np.array(values, dtype=object)


a = exact([[Fraction(1), Fraction(2), Fraction(2)]])
w = exact([[Fraction(1), Fraction(3, 2), Fraction(-1, 2)]])
bare, one = rules.Relative(rescale=False), exact([[Fraction(1)]])
print("      z   LRP-0              relative           its sum")
for z in [Fraction(1), Fraction(1, 10), Fraction(1, 1000), Fraction(-1, 1000)]:
    neuron = Dense(w, exact([z - 3]))
    zero, relative = (neuron.relevance(a, one, rule)[0] for rule in (rules.Zero(), bare))
    told = [" ".join(map(str, shares)) for shares in (zero, relative)]
    print(f"{z!s:>7}   {told[0]:18} {told[1]:18} {sum(relative)}")
    sign = -1 if z < 0 else 1
    assert sum(relative) == (abs(z) - sign * (z - 3)) / 3
    assert list(relative) == [Fraction(sign * c, 3) for c in (1, 3, -1)]

# %% [markdown]
# The explosion is gone. What came in is no longer what goes out: per neuron, the sum is
# $(|z| - \mathrm{sgn}(z)\,b)/n$ times $R$. That is "conservation up to a factor", if the factor may differ from neuron
# to neuron. (Where the bias outweighs the inputs, it is even negative: the last line.)
#
# Why the sign? Take a neuron at $z = -1$ that holds relevance $-1$: evidence against. Its second input, $-2$, made it
# so. Without the sign that input would come out *in favour*.

# %%
neuron = Dense(exact([[Fraction(1), Fraction(-2)]]))
pair, against = exact([[Fraction(1), Fraction(1)]]), exact([[Fraction(-1)]])
unsigned = pair * neuron.weight / 2 * against
signed, zero = (neuron.relevance(pair, against, rule)[0] for rule in (bare, rules.Zero()))
print("without the sign:", *unsigned[0])
print("with the sign:   ", *signed)
print("LRP-0:           ", *zero)
assert list(map(str, unsigned[0])) == ["-1/2", "1"]
assert list(map(str, signed)) == ["1/2", "-1"]
assert list(zero) == [1, -2]

# %% [markdown]
# (Behind a ReLU $z$ is positive and the sign is not needed. Before a skip connection, at a negative logit, or under a
# Tanh it is.)
#
# ## It fades away
#
# Now a real network. The ledger has a column for what the rule holds back, *factor*.

# %%
net = lrpref.load("mnist-cnn").astype(np.float64)
x = lrpref.samples.load("digit-4").astype(np.float64)
faded = lrpref.trace(net, x, rule=bare)
print(faded.ledger)
assert_allclose(faded.relevance.sum(), 2.8623e-06, rtol=1e-4)

# %% [markdown]
# Of 24.9, three millionths are left at the pixels. Each layer divides by its number of inputs, which is 1568 in `fc1`
# and 288 in `conv3`. With nineteen layers, what is left can be less than single precision can hold. The map's pattern
# is unharmed by that, as long as there is one path. But two branches that meet again at a fork have been divided by
# different numbers, and then it is not.
#
# So the library's rule hands on as much as it got: each layer rescales what it sends, for each sample, to the total
# $|R|$ that it received.
#
# $$R_i = \kappa \sum_j R_{i \leftarrow j} \qquad \kappa = \frac{\sum_j |R_j|}{\sum_i |\sum_j R_{i \leftarrow j}|}$$

# %%
tr = lrpref.trace(net, x, rule="relative")
print(tr.ledger)
assert_allclose(abs(tr.relevance).sum(), tr.logits.max())
assert_allclose(tr.relevance / tr.relevance.sum(), faded.relevance / faded.relevance.sum(), atol=1e-12)

# %% [markdown]
# The same pattern, now of the size of the logit. And the odd constant $n$ has lost its importance: had we divided by 7
# instead, $\kappa$ would make up for it. So there is really nothing to choose.
#
# $\kappa$ is a division too. By what? By the size of everything that a layer sends, added up over all units, and not by
# one unit's $z$. It is small only if messages cancel almost everywhere. The ledger watches that: *survived* is what is
# left of the messages after those to the same input have cancelled. Half, here. Were it $10^{-6}$, the map would be
# rounding noise blown up to full size, and the ledger would tell.
#
# ## Does it help?
#
# On the network of step 6, with its normalisation passed by, LRP-0 was beyond repair, and epsilon had one good decade.

# %%
normalised = lrpref.load("mnist-mlp-bn").astype(np.float64)


def left_in(rule):
    """The rule everywhere; BatchNorm is passed by."""
    return Composite([(lrpref.BatchNorm, rules.Pass()), (lrpref.LinearLayer, rule)])


ask = {"zero": rules.Zero(), "epsilon, 0.1": rules.Epsilon(0.1), "relative": rules.Relative()}
shown = {f"{name}, passed by": lrpref.explain(normalised, x, rule=left_in(rule)) for name, rule in ask.items()}
fused = lrpref.fuse(normalised)
shown |= {f"{name}, folded": lrpref.explain(fused, x, rule=rule) for name, rule in ask.items()}
sizes = {name: abs(R).sum() / fused.forward(x).max() for name, R in shown.items()}
for name, size in sizes.items():
    print(f"{name:24} sum of |R| / logit {size:6.2f}")
assert_allclose(list(sizes.values()), [22.68, 3.11, 1.0, 1.48, 1.12, 1.0], atol=0.006)

# %% alt="The four: passed by, zero is blocks, epsilon rough, relative clear; folded, all three are calm"
plot.grid(x, shown)

# %% [markdown]
# It does: without any choice, in a place where LRP-0 fails. But look at the second row. Once the normalisation is
# folded, LRP-0 does not fail either. The remedy for that disease was folding.
#
# ## Is it more robust?
#
# The paper's title says so. One meaning of the word can be tried in a few lines: change the picture by noise that
# nobody would see, a thousandth of the range from black to white. By how much does the map change?

# %%
names = lrpref.samples.names((1, 28, 28))
digits = np.concatenate([lrpref.samples.load(name) for name in names]).astype(np.float64)
noise = 1e-3 * np.random.default_rng(0).normal(size=digits.shape)
expected = {
    "zero": [0.059, 0.094, 0.024],
    "epsilon(epsilon=0.1)": [0.054, 0.070, 0.005],
    "relative": [0.056, 0.049, 0.006],
    "gamma": [0.051, 0.054, 0.003],
    "absolute": [0.032, 0.032, 0.006],
    "z-plus": [0.039, 0.036, 0.004],
}
trained = ("mnist-cnn", "mnist-cnn-bn", "mnist-mlp")
networks = {name: lrpref.fuse(lrpref.load(name).astype(np.float64)) for name in trained}
print(f"{'change of the map':22}" + "".join(f"{name:>14}" for name in networks))
for rule, changes in expected.items():
    told = []
    for each in networks.values():
        target = each.forward(digits).argmax(axis=1)
        before, after = (lrpref.explain(each, image, target, rule) for image in (digits, digits + noise))
        told.append(maps.relative_l2(after, before).mean())
    print(f"{rule:22}" + "".join(f"{value:14.1%}" for value in told))
    assert_allclose(told, changes, atol=0.0006)

# %% [markdown]
# More robust than LRP-0 on all three, by little or by much. About as robust as an epsilon that was chosen well, or
# gamma. Less robust than the rules that let nothing cancel.
#
# ## What it costs
#
# Step 7 said that a map should tell about the function and not about how it was written down. How does this rule fare?
# Two rewritings that change no output: *scale* a hidden unit by $c$ and what it feeds by $1/c$; and *insert* a layer
# that does nothing.


# %%
def rescaled(net, c):
    """The same function: the units of fc1 times c, one number each, and fc2's weights divided by it."""
    first, second = net["fc1"], net["fc2"]
    swapped = {"fc1": replace(first, weight=first.weight * c[:, None], bias=first.bias * c)}
    swapped["fc2"] = replace(second, weight=second.weight / c)
    return Network([(name, swapped.get(name, layer), inputs) for name, layer, inputs in net.nodes])


mlp = networks["mnist-mlp"]
factors = 2.0 ** np.random.default_rng(1).integers(-3, 4, size=256)
twin = rescaled(mlp, factors)
doing_nothing = ("nothing", Dense(np.eye(256)), ["relu1"])
longer = [(name, layer, ["nothing"] if inputs == ("relu1",) else inputs) for name, layer, inputs in mlp.nodes]
longer = Network([*longer, doing_nothing])
assert_allclose(twin.forward(digits), mlp.forward(digits), atol=1e-9)
assert_allclose(longer.forward(digits), mlp.forward(digits), atol=1e-9)
target = mlp.forward(digits).argmax(axis=1)
expected = {"zero": [0.0, 0.0], "z-plus": [0.0, 0.0], "relative": [0.586, 0.237]}
print("change of the map     units scaled   an identity inserted")
for rule, changes in expected.items():
    before, *after = (lrpref.explain(each, digits, target, rule) for each in (mlp, twin, longer))
    told = [maps.relative_l2(R, before).mean() for R in after]
    print(f"{rule:22}{told[0]:12.1%} {told[1]:22.1%}")
    assert_allclose(told, changes, atol=0.006)

# %% alt="The four under relative: as trained, with units scaled, with an identity inserted: three different maps"
same_function = {"as trained": mlp, "units scaled": twin, "an identity inserted": longer}
plot.grid(x, {name: lrpref.explain(each, x, 4, "relative") for name, each in same_function.items()})

# %% [markdown]
# One function, three maps. LRP-0 and z-plus do not see the rewriting at all: their denominators change along with the
# weights. A number of inputs does not change along with anything, and large activations get more at every layer. **That
# is the price of a denominator that has nothing to do with the neuron**, and it is not a small one.
#
# ## Which sentence is which
#
# | the abstract says | here it is |
# |---|---|
# | conservation up to a multiplicative factor | the sum per neuron; after rescaling, the sum of magnitudes is kept |
# | no division by small values | $n$ is a count; $\kappa$ divides by the size of all messages |
# | except for skip connections | the `Add` is under LRP-0 (step 8) |
# | no hyperparameter | nothing to set; any constant in the place of $n$ gives the same map |
#
# Two other readings were set aside. *Carrying $R/a$* from layer to layer conserves exactly, and then there would be no
# factor. *Dividing by $\sum |a w|$* is the rule `Absolute`, which has no factor either.
#
# ## What you know now
#
# - A denominator that is a count cannot explode, and needs no epsilon.
# - Relevance must then be rescaled, or it fades. What survives cancellation is on the books.
# - The map depends on how the function is written down. It is not additive in relevance, and its sum means nothing.
# - More robust than LRP-0, less than z-plus. Whether it is *right* is the last question.
