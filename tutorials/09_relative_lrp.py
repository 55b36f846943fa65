# %% [markdown]
# # 9. Can we do without an epsilon?
#
# Epsilon has to be chosen, and step 6 showed how narrow the choice can be. Nyiri and Gibaru (2025, arXiv 2501.14322)
# announce a rule that leaves nothing to choose: *Relative LRP*. According to their abstract it conserves relevance up
# to a factor, divides by no small values, skip connections excepted, and has no hyperparameter. **What rule could that
# be, and what does it cost?**
#
# The abstract does not print the formula, and we could not obtain the paper's text. So what follows is **our reading**,
# and nothing here is a verdict on theirs.

# %%
# %matplotlib inline
from dataclasses import replace
from fractions import Fraction

import numpy as np
import on_mnist  # tutorials/on_mnist.py: what was measured on the MNIST test set
from numpy.testing import assert_allclose

import lrpref
from lrpref import Dense, Network, plot, rules
from lrpref.composites import Composite
from lrpref.evaluation import maps

# %% [markdown]
# ## A denominator that is never small
#
# LRP-0 divides each contribution by the sum of them all, $z$. The trouble is that $z$ can be anything. Which number
# belongs to a neuron, cannot be small, and leaves nothing to choose? The *number of its inputs*, $n$.
#
# $$R_{i \leftarrow j} = \mathrm{sgn}(z_j)\,\frac{a_i w_{ij}}{n} R_j$$
#
# We return to the neuron of step 1: contributions 1, 3 and -1, and a bias that brings $z$ closer and closer to zero.


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
    columns = [" ".join(map(str, shares)) for shares in (zero, relative)]
    print(f"{z!s:>7}   {columns[0]:18} {columns[1]:18} {sum(relative)}")
    sign = -1 if z < 0 else 1
    assert sum(relative) == (abs(z) - sign * (z - 3)) / 3
    assert list(relative) == [Fraction(sign * c, 3) for c in (1, 3, -1)]

# %% [markdown]
# The explosion is gone. But what goes out no longer equals what came in: per neuron, the messages sum to
# $(|z| - \mathrm{sgn}(z)\,b)/n$ times $R$. That is "conservation up to a factor", if the factor may differ from neuron
# to neuron. (Where the bias outweighs the inputs, it is even negative: the last line.)
#
# Why the sign? Take a neuron at $z = -1$ that holds relevance $-1$: evidence against. Its second contribution, $-2$,
# made it so. Without the sign, that input would come out *in favour*.

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
# (Behind a ReLU, $z$ is positive and the sign makes no difference. Before a skip connection, at a negative logit, or
# under a Tanh, it does.)
#
# ## Relevance fades away
#
# Now a real network. The ledger has a column for what the rule holds back, *factor*.

# %%
net = lrpref.load("mnist-cnn").astype(np.float64)
x = lrpref.samples.load("digit-4").astype(np.float64)
faded = lrpref.trace(net, x, rule=bare)
print(faded.ledger)
assert_allclose(faded.relevance.sum(), 2.8623e-06, rtol=1e-4)
assert (net["fc1"].weight.shape[1], net["conv3"].weight[0].size) == (1568, 288)

# %% [markdown]
# Of 24.9, three millionths reach the pixels. Each layer divides by its number of inputs, which is 1568 in `fc1` and 288
# in `conv3`. With nineteen layers, too little may be left for single precision to hold. As long as there is only one
# path, the pattern of the map is unharmed. But two branches that meet again at a fork have been divided by different
# numbers, and then it is not.
#
# So the library's rule passes on as much as it received: each layer rescales what it sends, sample by sample, to the
# total $|R|$ that came in.
#
# $$R_i = \kappa \sum_j R_{i \leftarrow j} \qquad \kappa = \frac{\sum_j |R_j|}{\sum_i |\sum_j R_{i \leftarrow j}|}$$

# %%
tr = lrpref.trace(net, x, rule="relative")
print(tr.ledger)
assert_allclose(abs(tr.relevance).sum(), tr.logits.max())
assert_allclose(tr.relevance / tr.relevance.sum(), faded.relevance / faded.relevance.sum(), atol=1e-12)
survived = {entry.node: float(entry.facts["survived"][0]) for entry in tr.ledger.entries if "survived" in entry.facts}
assert survived.pop("fc2") == 1
assert all(0.48 < fraction < 0.64 for fraction in survived.values())

# %% [markdown]
# The same pattern, now the size of the logit. And the odd constant $n$ no longer matters: had we divided by 7 instead,
# $\kappa$ would have made up for it. So there really is nothing to choose.
#
# $\kappa$ is a division too. By what? By the magnitude of everything a layer sends, added up over all its inputs, and
# not by one unit's $z$. It is small only if messages cancel almost everywhere. The ledger watches for that: *survived*
# is the fraction of their magnitude that is left once messages to the same input have cancelled. Here it is a half to
# two thirds in every layer but the last, where only one output sends anything. Were it
# $10^{-6}$, the map would be rounding noise blown up to full size, and the ledger would show it.
#
# ## Does it help?
#
# On the network of step 6, with relevance passed straight through its normalisation, LRP-0 was beyond repair, and
# epsilon had one good decade.

# %%
normalised = lrpref.load("mnist-mlp-bn").astype(np.float64)


def left_in(rule):
    """The rule on every linear layer; relevance passes unchanged through BatchNorm."""
    return Composite([(lrpref.BatchNorm, rules.Pass()), (lrpref.LinearLayer, rule)])


chosen = {"zero": rules.Zero(), "epsilon, 0.1": rules.Epsilon(0.1), "relative": rules.Relative()}
shown = {f"{name}, bypassed": lrpref.explain(normalised, x, rule=left_in(rule)) for name, rule in chosen.items()}
fused = lrpref.fuse(normalised)
shown |= {f"{name}, folded": lrpref.explain(fused, x, rule=rule) for name, rule in chosen.items()}
sizes = {name: abs(R).sum() / fused.forward(x).max() for name, R in shown.items()}
for name, size in sizes.items():
    print(f"{name:24} sum of |R| / logit {size:6.2f}")
assert_allclose(list(sizes.values()), [22.68, 3.11, 1.0, 1.48, 1.12, 1.0], atol=0.006)

# %% alt="Maps of the four: BatchNorm bypassed, zero is blocks, epsilon rough, relative clear; folded, all are calm"
plot.grid(x, shown)

# %% [markdown]
# It does: with nothing to choose, in a place where LRP-0 fails. But look at the second row. Once the normalisation is
# folded, LRP-0 does not fail either. The cure for that disease was folding.
#
# ## Is it more robust?
#
# The paper's title says so. One meaning of the word can be tested in a few lines: add noise that nobody would see, a
# thousandth of the range from empty paper to full ink. By how much does the map change, relative to its size? The
# tables hold medians and, in brackets, quartiles: of the thirteen digits, and of a part of the MNIST test set
# ([on_mnist.py](../on_mnist.py)).

# %%
names = lrpref.samples.names((1, 28, 28))
digits = np.concatenate([lrpref.samples.load(name) for name in names]).astype(np.float64)
noise = 1e-3 * np.random.default_rng(0).normal(size=digits.shape)
tried = ("zero", "epsilon(epsilon=0.1)", "relative", "gamma", "absolute", "z-plus")
trained = ("mnist-cnn", "mnist-cnn-bn", "mnist-mlp")
networks = {name: lrpref.fuse(lrpref.load(name).astype(np.float64)) for name in trained}
found = {}
for name, each in networks.items():
    target = each.forward(digits).argmax(axis=1)
    for rule in tried:
        before, after = (lrpref.explain(each, image, target, rule) for image in (digits, digits + noise))
        found[f"{rule}, {name}"] = maps.relative_l2(after, before)
count, test = on_mnist.recorded(9, found)
thirteen = {name: on_mnist.spread(values) for name, values in found.items()}
for where, of in {"thirteen digits": thirteen, f"{count} test digits": test}.items():
    print(f"{where:22}" + "".join(f"{name:>24}" for name in networks))
    for rule in tried:
        print(f"{rule:22}" + "".join(f"{on_mnist.median(of[f'{rule}, {name}'], 3):>24}" for name in networks))

# %% [markdown]
# On the convolutional networks the spread between digits is larger than that between rules. So compare digit by digit:
# how much *more* do the maps of another rule change than those of Relative LRP? Here are the means of these differences
# over the test digits, with their standard errors.

# %%
print(f"{'more than relative':22}" + "".join(f"{name:>20}" for name in networks))
apart = {}
for rule in tried:
    if rule != "relative":
        row = [test[f"{rule} minus relative, {name}"] for name in networks]
        print(f"{rule:22}" + "".join(f"{on_mnist.mean(each, count, 4):>20}" for each in row))
        apart[rule] = [each["mean"] / each["sd"] * count**0.5 for each in row]  # in standard errors
middle = {name: of["quantiles"][3] for name, of in test.items()}
for name in ("mnist-cnn", "mnist-cnn-bn"):
    low, high = (test[f"zero, {name}"]["quantiles"][k] for k in (2, 4))
    assert high - low > np.ptp([middle[f"{rule}, {name}"] for rule in tried])
for k in (0, 1):  # the convolutional networks
    assert apart["zero"][k] > 5
    assert apart["epsilon(epsilon=0.1)"][k] > 5
    assert abs(apart["gamma"][k]) < 3
    assert apart["absolute"][k] < -5
    assert apart["z-plus"][k] < -5
assert sorted(tried, key=lambda rule: middle[f"{rule}, mnist-mlp"])[:2] == ["gamma", "zero"]
assert middle["relative, mnist-mlp"] > 1.5 * middle["zero, mnist-mlp"]
assert max(tried, key=lambda rule: test[f"{rule}, mnist-mlp"]["mean"]) == "zero"
assert test["zero, mnist-mlp"]["quantiles"][5] > 10 * middle["zero, mnist-mlp"]  # the 95 % quantile

# %% [markdown]
# - **On the two convolutional networks** the maps of Relative LRP change less than those of LRP-0 and of epsilon 0.1,
#   about as much as those of gamma, and more than those of the rules that let nothing cancel.
# - **On the fully connected network** it depends on what you ask. The map of a typical digit changes less under LRP-0
#   than under Relative LRP; only gamma changes even less. But on one digit in twenty, the map of LRP-0 changes by more
#   than ten times as much as on a typical one, and so its *mean* is the largest of all. In a network of ReLUs, LRP-0 is
#   gradient times input. The gradient does not change at all until the noise switches a unit on or off, and then it
#   jumps.
#
# ## What it costs
#
# Step 7 argued that a map should describe the function and not how it was written down. How does this rule fare? Here
# are two rewritings that change no output: *scale* a hidden unit by $c$ and the weights it feeds by $1/c$; and *insert*
# a layer that does nothing.


# %%
def rescaled(net, c):
    """The same function: each unit of fc1 times its own factor in c, and fc2's weights divided by it."""
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
print(f"{'change of the map':22}{'units scaled':>22}{'identity inserted':>22}")
for rule, changes in expected.items():
    before, *after = (lrpref.explain(each, digits, target, rule) for each in (mlp, twin, longer))
    measured = [maps.relative_l2(R, before) for R in after]
    print(f"{rule:22}" + "".join(f"{on_mnist.median(on_mnist.spread(values)):>22}" for values in measured))
    assert_allclose(np.mean(measured, axis=1), changes, atol=0.006)
    assert rule == "relative" or np.max(measured) < 1e-9

# %% alt="Maps of the four under relative: as trained, with units scaled, with an identity inserted; all three differ"
same_function = {"as trained": mlp, "units scaled": twin, "identity inserted": longer}
plot.grid(x, {name: lrpref.explain(each, x, 4, "relative") for name, each in same_function.items()})

# %% [markdown]
# (Medians of the thirteen digits, with quartiles.) One function, three maps. LRP-0 and z-plus do not notice the
# rewriting at all: their denominators change along with
# the weights. A number of inputs does not change along with anything, and large activations get more at every layer.
# **That is the price of a denominator that has nothing to do with what the neuron computes**, and it is not a small
# one.
#
# ## The abstract, sentence by sentence
#
# | the abstract says | in our reading |
# |---|---|
# | conservation up to a multiplicative factor | per neuron, for the sum; after rescaling, for the sum of magnitudes |
# | no division by small values | $n$ is a count; $\kappa$ divides by the total magnitude of all messages |
# | except for skip connections | `Add` is under LRP-0 (step 8) |
# | no hyperparameter | nothing to set; any constant in place of $n$ gives the same map |
#
# We discarded two other readings. *Carrying $R/a$* from layer to layer conserves relevance exactly, and then there
# would be no factor. *Dividing by $\sum |a w|$* is the rule `Absolute`, which has no factor either.
#
# ## What you know now
#
# - A denominator that is a count cannot explode, and needs no epsilon.
# - Relevance must then be rescaled, or it fades. How much survives cancellation is on the books.
# - The map depends on how the function is written down. It is not additive in relevance, and its sum means nothing.
# - On convolutional networks it is more robust than LRP-0 against a little noise, and less robust than z-plus; on a
#   fully connected one the answer depends on whether you ask for the mean or the median. Whether it is *right* is the
#   next question.
