# %% [markdown]
# # 9. Can we do without an epsilon?
#
# You have to choose an epsilon, and step 6 showed how narrow the range of useful values can be. Nyiri and Gibaru (2025,
# arXiv 2501.14322) announce a rule without such a choice: *Relative LRP*. According to their abstract, it conserves
# relevance up to a factor, does not divide by small values except at skip connections, and has no hyperparameter.
#
# The abstract does not print the formula, and we could not obtain the paper's text. This is a common situation, and
# this step is also about how to handle it. Do not guess one formula and defend it. **Write down every formula that fits
# what is known, and find out where they differ.** What they have in common is determined by the abstract, and the rest
# is not. Nothing here is a judgement of the authors' own formula.

# %%
# %matplotlib inline
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import on_mnist  # tutorials/on_mnist.py: what was measured on the MNIST test set
from numpy.testing import assert_allclose

import lrpref
from lrpref import Dense, Network, plot, rules
from lrpref.composites import Composite
from lrpref.evaluation import maps
from lrpref.layers import WeightedLayer
from lrpref.ledger import Flow

# %% [markdown]
# ## A denominator that is never small
#
# LRP-0 divides each contribution by the sum of all of them, $z$, which can be close to zero. A number that belongs to
# the neuron, cannot be small, and need not be chosen is the *number of its inputs*, $n$.
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
bare, one = rules.Relative("bare"), exact([[Fraction(1)]])
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
# The shares no longer explode. But they no longer sum to $R$: the messages of a neuron sum to $(|z| -
# \mathrm{sgn}(z)\,b)/n$ times $R$. This is "conservation up to a factor" if the factor may differ from neuron to
# neuron. (Where the bias outweighs the inputs, the factor is even negative, as in the last line.)
#
# Why is the sign necessary? Take a neuron with $z = -1$ and relevance $-1$, which counts against the answer because of
# its second contribution, $-2$. Without the sign, this input would get *positive* relevance.

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
# (With a ReLU after the layer, $z$ is positive wherever there is relevance, so the sign makes no difference. Before a
# skip connection, at a negative logit, or before a Tanh, it does.)
#
# ## On a chain, the divisor does not matter
#
# The number of inputs is only one possible divisor. One could also divide by another constant of the layer, or not
# divide at all: $a_i w_{ij} R_j$ has no small divisor either, conserves relevance up to *some* factor, and has no
# parameter. The following rule covers all of these cases, with the sign, the product, and any divisor.


# %%
@dataclass(frozen=True)
class Divided(rules.Rule):
    """R[i<-j] = sgn(z_j) a_i w_ij / d_j R_j, where d is made of the weights."""

    divisor: Callable

    def flow(self, layer, inputs, R):
        (a,), (w, _) = inputs, layer.parameters(*inputs)
        d = np.reshape(self.divisor(w), (-1,) + (1,) * (R.ndim - 2))
        s = np.where(layer.forward(a) < 0, -1, 1) * R / d
        return Flow((a * layer.adjoint(w, s, a.shape),), attributed=False)


def everywhere(rule):
    """The rule on all layers with weights; joins and pools under LRP-0."""
    return Composite([(WeightedLayer, rule), (lrpref.LinearLayer, rules.Zero())])


readings = {"number of inputs": everywhere(Divided(lambda w: w[0].size))}
readings |= {"seven": everywhere(Divided(lambda w: 7.0)), "no divisor": everywhere(Divided(lambda w: 1.0))}

# %% [markdown]
# **Before you look:** we compare three divisors: the number of inputs, the number seven, and none. How different will
# the three maps of a digit be? And those of a photograph, in a network of sixteen layers? We measure the similarity by
# the cosine, which does not depend on how *large* a map is.

# %%
names = lrpref.samples.names((1, 28, 28))
digits = np.concatenate([lrpref.samples.load(name) for name in names]).astype(np.float64)
scaling = lrpref.inputs.Normalisation.of(lrpref.weights.metadata("vgg16"))
photograph = scaling.apply(lrpref.samples.load("chelsea").astype(np.float64))
chains = {name: digits if name.startswith("mnist") else photograph for name in ("mnist-mlp", "mnist-cnn", "vgg16")}


def drawn(net, x, composites):
    """The maps of the answer under each composite."""
    target = net.forward(x).argmax(axis=1)
    return {name: lrpref.explain(net, x, target, composite) for name, composite in composites.items()}


print("least cosine with the number of inputs" + "".join(f"{name:>14}" for name in list(readings)[1:]))
for name, x in chains.items():
    found = drawn(lrpref.load(name).astype(np.float64), x, readings)
    least = [maps.cosine(found[each], found["number of inputs"]).min() for each in list(readings)[1:]]
    print(f"{name:38}" + "".join(f"{value:14.6f}" for value in least))
    assert min(least) > 1 - 1e-9

mine, theirs = readings["no divisor"], everywhere(rules.Relative("no-divisor"))
assert_allclose(*drawn(lrpref.load("mnist-cnn").astype(np.float64), digits, {"": mine, "library": theirs}).values())

# %% [markdown]
# The maps are the same up to a factor. The rules are linear, so a constant for a whole layer passes through all layers
# below, and multiplies the whole map. **On a chain, all rules that divide each layer by a constant are the same rule up
# to a factor.** If the numerator is the product $a_i w_{ij}$, as in LRP-0, and the divisor belongs to the layer, then
# the abstract determines the map except for its size. (The library calls each formula that fits the abstract a
# *reading*. Its readings "bare" and "no-divisor" are our first and third.)
#
# ## One constant per layer is an assumption
#
# That there is one constant per layer is our assumption, and not a statement of the abstract. A constant per *neuron*
# fits the abstract just as well, for example the sum of the magnitudes of the neuron's weights, $\sum_i |w_{ij}|$. It
# is small only if all weights are, and nobody has to choose it.

# %%
per_neuron = everywhere(Divided(lambda w: abs(w).reshape(len(w), -1).sum(axis=1)))
between = {}
for name, x in chains.items():
    found = drawn(
        lrpref.load(name).astype(np.float64), x, {"layer": readings["number of inputs"], "neuron": per_neuron}
    )
    between[name] = maps.cosine(found["neuron"], found["layer"])
    print(f"{name:10} constant per neuron and per layer: median cosine {np.median(between[name]):.3f}")
assert_allclose([np.median(each) for each in between.values()], [0.998, 0.991, 0.935], atol=0.001)

# %% [markdown]
# The maps differ a little on digits, and clearly in a network of sixteen layers. So from here on, one constant per
# layer is an explicit assumption.
#
# ## Where paths meet
#
# In a residual network, relevance is passed on along two paths: past the block without any division, and through the
# block with two divisions. **Do the constants matter here?**

# %%
resnet = lrpref.fuse(lrpref.load("resnet20").astype(np.float64))
rescaled = everywhere(rules.Relative())  # explained below
every = {**readings, "per neuron": per_neuron, "rescaled": rescaled}
found = drawn(resnet, photograph, every)
print(f"{'cosine':18}" + "".join(f"{name:>18}" for name in every))
table = {name: [float(maps.cosine(R, other)[0]) for other in found.values()] for name, R in found.items()}
for name, row in table.items():
    print(f"{name:18}" + "".join(f"{value:18.3f}" for value in row))
assert abs(table["number of inputs"][2]) < 0.1
assert abs(table["number of inputs"][4]) < 0.1
assert min(abs(value) for row in table.values() for value in row) < 0.1

# %% [markdown]
# They matter a lot. With and without the divisor $n$, the two maps have nothing in common, although both fit every
# sentence of the abstract. To see why, we look at the last block but one: how much relevance leaves its bottom along
# each path, for one unit that arrives at its top?

# %%
values, block = resnet.activations(photograph), "layer3.1"
below, first = resnet.node(f"{block}.conv1").inputs[0], resnet[f"{block}.conv1"]


def paths(composite):
    """What leaves the bottom of the block by the branch and past it, per unit that arrived at its top."""
    tr = lrpref.trace(resnet, photograph, rule=composite)
    top, into = tr.at[f"{block}.add"], tr.at[f"{block}.conv1"]
    through = first.relevance(values[below], into, composite.assign(resnet)[f"{block}.conv1"])
    past, _ = resnet[f"{block}.add"].relevance((values[below], values[f"{block}.conv2"]), top, rules.Zero())
    return [abs(R).sum() / abs(top).sum() for R in (through, past)]


sent = {}
print(f"{'':18}   by the branch     past it     ratio")
for name in ("no divisor", "number of inputs", "rescaled"):
    through, past = paths(every[name])
    sent[name] = through / past
    print(f"{name:18}{through:16.2g}{past:12.2g}{sent[name]:10.2g}")
assert first.weight[0].size == resnet[f"{block}.conv2"].weight[0].size == 576
assert 4e-6 < sent["number of inputs"] < 6e-6
assert 0.5 < sent["no divisor"] < 1.5
assert 0.5 < sent["rescaled"] < 1.5

# %% [markdown]
# With the divisor $n$, each of the two convolutions of the branch divides by 576, so the relevance that goes through
# the block is five millionths of the relevance that goes past it. Such a map ignores the branches of the network.
# Without a divisor, the amount that goes through the block depends on how large its weights happen to be. The abstract
# excludes neither of these, so a result for Relative LRP on a residual network is meaningless without the name of the
# reading. (This is a single photograph; [docs/papers.md](../../docs/papers.md) has more.)
#
# ## Rescaling
#
# On a chain, relevance fades in the same way, although this does not change the pattern there. The ledger has a column
# for the relevance that a rule does not pass on, *factor*. Here is the ledger for the number of inputs, on a digit:

# %%
net = lrpref.load("mnist-cnn").astype(np.float64)
x = lrpref.samples.load("digit-4").astype(np.float64)
faded = lrpref.trace(net, x, rule=bare)
print(faded.ledger)
assert_allclose(faded.relevance.sum(), 2.8623e-06, rtol=1e-4)
assert (net["fc1"].weight.shape[1], net["conv3"].weight[0].size) == (1568, 288)

# %% [markdown]
# Of a relevance of 24.9, only 3 millionths reach the pixels: `fc1` alone divides by 1568.
#
# **Our solution**, which is not the paper's, is that each layer passes on as much as it received. For each sample, it
# rescales what it sends to the total $|R|$ that it received. (There is a precedent, which we know second-hand: Vukadin
# et al. 2024, doi 10.1145/3649458, normalise relevance to a total of 1 at every layer.) Then both branches of a block
# pass on as much as they received, as the last line of the table above shows.
#
# $$R_i = \kappa \sum_j R_{i \leftarrow j} \qquad \kappa = \frac{\sum_j |R_j|}{\sum_i |\sum_j R_{i \leftarrow j}|}$$
#
# The constants no longer matter: if we divided by 7, $\kappa$ would compensate for it. In the ledger below, *survived*
# is the fraction of the magnitude that is left after messages to the same input have cancelled.

# %%
tr = lrpref.trace(net, x, rule="relative")
print(tr.ledger)
assert_allclose(abs(tr.relevance).sum(), tr.logits.max())
assert_allclose(tr.relevance / tr.relevance.sum(), faded.relevance / faded.relevance.sum(), atol=1e-12)
survived = {entry.node: float(entry.facts["survived"][0]) for entry in tr.ledger.entries if "survived" in entry.facts}
assert survived.pop("fc2") == 1
assert all(0.48 < fraction < 0.64 for fraction in survived.values())

# %% [markdown]
# The pattern is the same, and the map is now as large as the logit. From here on, "relative" means this reading, which
# is the library's default.
#
# $\kappa$ contains a division too. But its denominator is not the $z$ of a single unit: it is the magnitude of
# everything that the layer sends, added up over all inputs. This is small only if messages cancel almost everywhere.
# The column *survived* shows whether they do. Here it is a half to two thirds in every layer but `fc2`, where only one
# output sends anything. If it were $10^{-6}$, the map would be amplified rounding noise, and the ledger would show
# this.
#
# ## Does it help?
#
# On the network of step 6, with BatchNorm bypassed, LRP-0 failed, and only one decade of epsilon was useful.

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
# It helps where LRP-0 fails, and there is no parameter to choose. But the second row shows that LRP-0 does not fail
# either once BatchNorm is folded. Folding also solves this problem.
#
# ## Is it more robust?
#
# The paper's title claims robustness. One meaning of the word can be tested in a few lines: we add invisible noise of a
# thousandth of the range from empty paper to full ink. By how much does the map change, relative to its size? The
# tables show medians and, in brackets, quartiles: of the thirteen digits, and of a part of the MNIST test set
# ([on_mnist.py](../on_mnist.py)).

# %%
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
# On the convolutional networks, the differences between digits are larger than those between rules. So we compare digit
# by digit: how much *more* do the maps of another rule change than those of Relative LRP? The table shows the means of
# these differences over the test digits, with their standard errors.

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
# - **On the two convolutional networks**, the maps of Relative LRP change less than those of LRP-0 and of epsilon 0.1,
#   about as much as those of gamma, and more than those of the rules without cancellation.
# - **On the fully connected network**, the answer depends on the statistic. The map of a typical digit changes less
#   under LRP-0 than under Relative LRP; only under gamma does it change even less. But on one digit in twenty, the map
#   of LRP-0 changes by more than ten times as much as on a typical one, so its *mean* is the largest of all. In a
#   network of ReLUs, LRP-0 is gradient times input. The gradient does not change at all until the noise switches a unit
#   on or off, and then it jumps.
#
# ## What it costs
#
# Step 7 argued that a map should depend on the function and not on how it is written. Does the map of this rule do so?
# We test two changes of the network that change no output: to *scale* each hidden unit by a factor $c$ and the weights
# after it by $1/c$, and to *insert* an identity layer.


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
# (The table shows medians of the thirteen digits, with quartiles.) The same function has three different maps. Under
# LRP-0 and z-plus, these changes make no difference, because the denominators change together with the weights. The
# number of inputs does not change with them, and larger activations get more relevance at every layer. **This is the
# disadvantage of a denominator that does not depend on what the neuron computes**, and the table shows that it is a
# large one.
#
# ## What is determined, and what is not
#
# | the abstract says | on a chain | where paths meet |
# |---|---|---|
# | conservation up to a multiplicative factor | any constant per layer; all draw the same map | not determined |
# | no division by small values | true of all these readings | and of all these |
# | except for skip connections | there are none | LRP-0 on `Add` (step 8), as we read it |
# | no hyperparameter | nothing to set | nothing to set, and readings that differ |
#
# The constant per layer is our assumption, and so is the rescaling. We discarded two other ideas. *Passing on $R/a$*
# from layer to layer conserves relevance exactly, so there would be no factor. *Dividing by $\sum |a w|$* is the rule
# `Absolute`, which has no factor either.
#
# ## What you know now
#
# - If a formula is not printed, collect all formulas that fit the words, and measure where they differ. Claim only what
#   they have in common.
# - On a chain, all divisors that are constant per layer give the same map up to its size. In a residual network this
#   does not hold, and a result needs the name of its reading.
# - With a count as the denominator, relevance cannot explode, and no epsilon is needed. But relevance fades unless it
#   is rescaled.
# - The disadvantages are that the map depends on how the function is written, that it is not additive in relevance, and
#   that its sum has no meaning.
# - On convolutional networks it is more robust than LRP-0 against a little noise, and less robust than z-plus. On a
#   fully connected network the answer depends on whether you use the mean or the median. The next step asks how *good*
#   maps are.
