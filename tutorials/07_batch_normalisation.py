# %% [markdown]
# # 7. Why does batch normalisation break it?
#
# Many modern networks use batch normalisation. In step 6, relevance bypassed it, and the map became far too large. Step
# 4 folded it into the convolutions without giving a reason. **What is wrong with leaving it in, and is folding
# allowed?**
#
# The figure below shows two maps of the same digit, for the same network and under the same rule. In the first,
# relevance bypasses the normalisation; the second is computed after folding. The outputs of the network are the same in
# both cases.

# %%
# %matplotlib inline
import inspect
from dataclasses import replace
from fractions import Fraction

import numpy as np
import on_mnist  # tutorials/on_mnist.py: what was measured on the MNIST test set
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import BatchNorm, Conv2D, Dense, Network, Scale, fusion, plot, rules
from lrpref.composites import Composite, resolve
from lrpref.evaluation.maps import relative_l2
from lrpref.fusion import forward_difference

# %% alt="The open nine under LRP-0: with BatchNorm bypassed, a few extreme pixels; folded, red and blue on all strokes"
trained = lrpref.load("mnist-cnn-bn").astype(np.float64)
open_nine = lrpref.samples.load("hard-1").astype(np.float64)
bypass = Composite([(BatchNorm, rules.Pass()), *resolve("zero").pairs])
two = {"BatchNorm bypassed": lrpref.explain(trained, open_nine, 9, bypass)}
two |= {"BatchNorm folded": lrpref.explain(lrpref.fuse(trained), open_nine, 9, "zero")}
assert 8 < abs(two["BatchNorm bypassed"]).max() / abs(two["BatchNorm folded"]).max() < 12
plot.grid(open_nine, two, "LRP-0: why nine?", scale="each")

# %% [markdown]
# (Each map is divided by its own largest value; the first is about ten times as large as the second.) To see why they
# differ, we look at one neuron with two inputs.
#
# ## One function, three maps
#
# After training, a `BatchNorm` multiplies each channel by one number and adds another,
#
# $$z = w a + b \qquad w = \frac{g}{s} \quad b = \beta - \frac{g \mu}{s} \quad s = \sqrt{\mathrm{var} + \mathrm{eps}}$$
#
# (Ioffe and Szegedy 2015, arXiv 1502.03167). Take a neuron with two inputs, followed by such a layer with $w = 2$ and
# $b = -2$. (In the code this layer is a `Scale`, which holds $w$ and $b$ themselves.) We can also write both as *one*
# neuron, with weights twice as large and the bias -2. For every input, both versions have the same output.
#
# **Before you read on:** both inputs are 1, so the output is 4. Under LRP-0, the one neuron gives its inputs 4 and 2,
# which is more than it has, because they had to outweigh the bias of -2 (step 1). Now the relevance goes through two
# layers. What will the inputs get if the normalisation passes its relevance on unchanged?


# %%
def exact(values):
    """An array of fractions."""
    return np.array(values, dtype=object)


a, R = exact([[Fraction(1), Fraction(1)]]), exact([[Fraction(4)]])
neuron, norm = Dense(exact([[Fraction(2), Fraction(1)]])), Scale(exact([Fraction(2)]), exact([Fraction(-2)]))
as_one = Dense(exact([[Fraction(4), Fraction(2)]]), exact([Fraction(-2)]))
assert_array_equal(norm.forward(neuron.forward(a)), as_one.forward(a))
print("as one neuron, LRP-0:            ", *as_one.relevance(a, R, rules.Zero())[0])
expected = {"pass": ["8/3", "4/3"], "zero": ["4", "2"], "absolute": ["2", "1"]}
maps = {}
for rule in (rules.Pass(), rules.Zero(), rules.Absolute()):
    maps[rule.name] = neuron.relevance(a, norm.relevance(neuron.forward(a), R, rule), rules.Zero())[0]
    print(f"as two layers, norm under {rule.name + ':':10}", *maps[rule.name])
    assert list(map(str, maps[rule.name])) == expected[rule.name]
assert_array_equal(maps["zero"], as_one.relevance(a, R, rules.Zero())[0])

# %% alt="Bands: through two layers under pass, 8/3 and 4/3 arrive at the inputs; through one neuron, 4 and 2"
figure = Figure(figsize=(9.0, 2.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.3, 1])
names = [["input 1", "input 2"], ["neuron"], ["norm"]]
plot.flow(maps["pass"][:, None], np.array([[4.0]]), names=names, title="two layers, norm under pass", figure=left)
plot.flow(np.array([[4.0], [2.0]]), names=[names[0], ["one neuron"]], title="one neuron, LRP-0", figure=right)
figure

# %% [markdown]
# Function, input and output are the same, but there are three different ways to divide the 4. The shift $b = -2$ is a
# bias. The one neuron treats it as a negative contribution, which the inputs had to outweigh, so they get 6 together.
# *Pass* ignores it. *Absolute* gives it a positive share.
#
# A map should depend on the function. These maps depend on how the function is written as layers.
#
# With LRP-0 on both layers, the result is the same as for the one neuron. The reason is that in $\frac{a w}{z} \cdot
# \frac{z w'}{z'} = \frac{a w w'}{z'}$ the inner $z$ cancels (unless it is exactly 0). Under other rules it does not.
#
# ## Folding
#
# The remedy is to write the function always in the same way, with as few layers as possible. Guillemot et al. (2020,
# arXiv 2002.11018) build such an equivalent network before they run LRP. The algebra is elementary. Here it is as the
# library's docstring prints it, followed by the code for its first line.

# %%
parts = fusion.__doc__.split("\n\n")
k = next(k for k, part in enumerate(parts) if "W' =" in part)
print(*parts[k - 1 : k + 1], sep="\n\n")
print(inspect.getsource(fusion._after))

# %%
names = lrpref.samples.names((1, 28, 28))
nine = names.index("hard-1")
x = np.concatenate([lrpref.samples.load(name) for name in names]).astype(np.float64)
net = lrpref.fuse(trained, verify=x)
print(lrpref.fusion_plan(trained))
difference = forward_difference(trained, net, x)
print(f"\nlargest difference of any output on {len(x)} digits: {difference:.1e} of the largest")
assert difference < 1e-12
assert not any(isinstance(layer, BatchNorm | Scale) for _, layer, _ in net.nodes)

# %% [markdown]
# `verify=x` makes `fuse` compare both networks on `x`, and raise an error if any output differs. So folding is allowed:
# it changes no output. How does it change the maps?
#
# ## How much it matters
#
# **Before you look:** is the treatment of BatchNorm more important under LRP-0 or under z-plus? Step 6 has a hint.
#
# We use thirteen digits and three rules. (LRP-0 is called `zero` in the library.) For each rule we leave the BatchNorm
# layers in, with four different rules for them, and compare the maps with those of the folded network: how large is the
# difference, as a multiple of the folded map? We begin with LRP-0 with BatchNorm bypassed, digit by digit.

# %%
treatments = {"pass": rules.Pass(), "zero": rules.Zero(), "epsilon": rules.Epsilon(), "absolute": rules.Absolute()}
target = net.forward(x).argmax(axis=1)


def left_in(treatment, rule):
    """The maps of the network as trained, with its BatchNorm layers under a rule of their own."""
    pairs = [(BatchNorm, treatments[treatment]), *resolve(rule).pairs]
    return lrpref.explain(trained, x, target, Composite(pairs))


found, distances = {}, {}
for rule in ("zero", "z-plus", "epsilon-plus"):
    folded = lrpref.explain(net, x, target, rule)
    found[rule] = {"folded": folded, **{name: left_in(name, rule) for name in treatments}}
    distances |= {f"{rule}, {name}, distance": relative_l2(found[rule][name], folded) for name in treatments}
bypassed = distances["zero, pass, distance"]
print(*(f"{float(f'{distance:.2g}'):.0f}" for distance in bypassed))
print(f"mean {bypassed.mean():.2g}, median {np.median(bypassed):.2g}, the open nine {bypassed[nine]:.2g}")
assert_allclose([bypassed.mean(), np.median(bypassed), bypassed[nine]], [2821, 70, 5], rtol=2e-3, atol=0.5)

# %% [markdown]
# Two digits differ by a factor in the thousands, and they determine the mean. So we print medians, with quartiles in
# brackets. Thirteen digits are also too few for a general claim. The script [on_mnist.py](../on_mnist.py) has measured
# the same on digits of the MNIST test set, and this page reads its record. The page asserts that both give the same
# results for the thirteen digits.

# %%
count, test = on_mnist.recorded(7, distances)
thirteen = {name: on_mnist.spread(values) for name, values in distances.items()}
for where, of in {"thirteen digits": thirteen, f"{count} test digits": test}.items():
    print(f"{where:18} BatchNorm under " + "".join(f"{name:>22}" for name in ("pass", "zero", "absolute")))
    for rule in found:
        row = [on_mnist.median(of[f"{rule}, {name}, distance"]) for name in ("pass", "zero", "absolute")]
        print(f"{rule:34}" + "".join(f"{value:>22}" for value in row))
medians = {name: of["quantiles"][3] for name, of in test.items() if name.endswith("distance")}
assert medians["zero, pass, distance"] > 50
assert max(distances["zero, zero, distance"]) < 1e-12
assert test["zero, zero, distance"]["quantiles"][-1] < 1e-12
assert medians["zero, epsilon, distance"] < 1e-4
assert all(abs(medians[f"{rule}, epsilon, distance"] - medians[f"{rule}, zero, distance"]) < 1e-3 for rule in found)
for rule in ("z-plus", "epsilon-plus"):
    assert_allclose([medians[f"{rule}, {name}, distance"] for name in ("pass", "zero")], [0.1, 0.5], atol=0.05)

# %% [markdown]
# The table shows three results.
#
# - **LRP-0 with BatchNorm bypassed is useless**: half of its maps differ from the folded ones by more than 50 times
#   their size. The cause is the small denominators of step 6, a few of which are much smaller than the rest.
# - **LRP-0 with BatchNorm under LRP-0 gives the folded map** exactly. (Epsilon at $10^{-6}$ gives the numbers of LRP-0
#   to three digits, so the table leaves it out.)
# - **Under z-plus it is the other way round.** With BatchNorm bypassed, the map differs by a tenth of its size, and
#   with LRP-0 in the normalisation by half of its size. On the folded layer, z-plus divides by sums that contain the
#   shift of BatchNorm; a separate normalisation layer gives the shift a share of its own under a signed rule, and none
#   if it is bypassed. (A negative BatchNorm weight would also flip the signs of weights. This network has none.)
#
# Here are the maps of the open nine. On this digit, the map of LRP-0 with BatchNorm bypassed differs by only five times
# the size of the folded map.

# %% alt="The open nine under LRP-0: folded and zero are the same map, pass is blocks of red and blue"
treated = ("folded", "pass", "zero", "absolute")
plot.grid(x[nine], {f"LRP-0, {name}": found["zero"][name][nine] for name in treated}, columns=5)

# %% alt="The open nine under z-plus: four maps, red along the strokes, that differ in strength"
plot.grid(x[nine], {f"z-plus, {name}": found["z-plus"][name][nine] for name in treated}, columns=5)

# %% [markdown]
# (The colour scale of each of these figures ends at the median of its maps' largest values. In the first figure, *pass*
# reaches ten times as far.)
#
# ## Which map is right?
#
# Only the folded network needs no rule for BatchNorm. This is an argument for folding, but not a proof. As in step 4,
# we test the maps on the network: we erase the twenty pixels that a map gives most relevance. How much of the logit is
# left? (The less is left, the better the map.) All maps are tested on the same network. **Will folding be better, and
# under which rules?**


# %%
def after_erasing(net, R, target, count=20):
    """The logits after setting the most relevant pixels of each map to 0, the value of the background."""
    erased = x.reshape(len(x), -1).copy()
    order = np.argsort(-R.reshape(len(x), -1), axis=1, kind="stable")[:, :count]
    np.put_along_axis(erased, order, 0, axis=1)
    return net.forward(erased.reshape(x.shape))[np.arange(len(x)), target]


left = {}
for rule in found:
    left[f"{rule}, folded, left"] = after_erasing(net, found[rule]["folded"], target)
    for name in treatments:
        more = after_erasing(net, found[rule][name], target) - left[f"{rule}, folded, left"]
        left[f"{rule}, {name}, more left"] = more
logit = net.forward(x).max(axis=1)
count, test = on_mnist.recorded(7, {"logit": logit, **left})
thirteen = {name: on_mnist.spread(values) for name, values in {"logit": logit, **left}.items()}
for where, (of, n) in {"thirteen digits": (thirteen, 13), f"{count} test digits": (test, count)}.items():
    print(f"{where}: the mean logit is {of['logit']['mean']:.1f}; after erasing twenty pixels")
    print("rule           folded     left in under" + "".join(f"{name:>18}" for name in ("pass", "zero", "absolute")))
    for rule in found:
        row = [on_mnist.mean(of[f"{rule}, {name}, more left"], n) for name in ("pass", "zero", "absolute")]
        print(f"{rule:13} {of[f'{rule}, folded, left']['mean']:7.1f} {'':18}" + "".join(f"{each:>18}" for each in row))

# %% [markdown]
# The second column is the mean logit that is left with the folded network's map. The others show how much *more* is
# left with BatchNorm left in: the mean of the differences over the digits, and its standard error. A positive number
# means that folding is better.

# %%
gains = {rule: [test[f"{rule}, {name}, more left"]["mean"] for name in treatments] for rule in found}
small = [gain for rule in ("z-plus", "epsilon-plus") for gain in gains[rule]]
print(f"LRP-0, pass: {gains['zero'][0]:.1f} of {test['logit']['mean']:.1f}", end="; ")
print(f"under z-plus and epsilon-plus: from {min(small):+.2f} to {max(small):+.2f}")
assert gains["zero"][0] > 4
assert gains["zero"][3] > 1
assert -0.5 < min(small) < 0 < max(small) < 0.5

# %% [markdown]
# Under LRP-0, folding is far better than bypassing, and better than `absolute`. Under z-plus and the composite, the
# mean differences on the test digits are smaller than 0.5 and have both signs. With many digits, some of them are
# significant, but they are small. So the published claim that fused maps are more accurate holds here for one rule;
# under the others, folding makes little difference.
#
# `lrpref reproduce 2002.11018` tests the claim on more networks and images ([docs/papers.md](../../docs/papers.md)).
#
# The paper also warns against LRP in networks with *fully connected* layers and normalisation. The network of step 6 is
# of this kind. What fraction of its logit is lost when twenty pixels are erased, compared with a similar network
# without normalisation?

# %%
lost = {}
for name in ("mnist-mlp-bn", "mnist-mlp"):
    dense = lrpref.fuse(lrpref.load(name).astype(np.float64), verify=x)
    answer = dense.forward(x).argmax(axis=1)
    after = after_erasing(dense, lrpref.explain(dense, x, answer, "zero"), answer)
    lost[f"{name}, lost"] = 1 - after / dense.forward(x).max(axis=1)
lost["mlp-bn minus mlp, lost"] = lost["mnist-mlp-bn, lost"] - lost["mnist-mlp, lost"]
count, test = on_mnist.recorded(7, lost)
for name, values in lost.items():
    ours, theirs = on_mnist.median(on_mnist.spread(values)), on_mnist.median(test[name])
    print(f"{name:24} thirteen digits {ours:20}   {count} test digits {theirs}")
difference = test["mlp-bn minus mlp, lost"]
print("the difference, mean and standard error:", on_mnist.mean(difference, count, 3))
assert difference["mean"] > 10 * difference["sd"] / count**0.5
assert difference["quantiles"][3] > 0

# %% [markdown]
# With its maps after folding, this network loses a larger fraction of its logit than the other one: on most digits, the
# maps find the important pixels at least as well. (The two networks were trained separately, and this is only one
# pair.) This pair gives no reason for the warning.
#
# ## The border
#
# If you fold by hand, there is one more difficulty. If BatchNorm comes *before* a padded convolution, its shift is
# added to every pixel, but not to the border of zeros, which is added to the picture afterwards. So a bias with one
# number per channel is right inside and wrong at the edge.

# %%
random = np.random.default_rng(0)
bn = BatchNorm(random.normal(size=2), random.normal(size=2), random.normal(size=2), random.random(2) + 0.5)
conv = Conv2D(random.normal(size=(1, 2, 3, 3)), padding=1)
picture = random.normal(size=(1, 2, 5, 5))
truth = conv.forward(bn.forward(picture))
w, b = bn.scale_and_shift()
naive = replace(conv, weight=conv.weight * w[:, None, None], bias=(conv.weight * b[:, None, None]).sum(axis=(1, 2, 3)))
by_fuse = lrpref.fuse(Network.sequential(bn, conv))
wrong = abs(naive.forward(picture) - truth)[0, 0]
print("difference with one bias per channel:")
print(wrong.round(2))
print(f"difference with lrpref.fuse: {abs(by_fuse.forward(picture) - truth).max():.1e}")
assert wrong[1:-1, 1:-1].max() < 1e-12
assert wrong[0].max() > 0.5
assert abs(by_fuse.forward(picture) - truth).max() < 1e-12

# %% [markdown]
# The folded convolution stores what each of its taps adds, and leaves out the taps that fall on the border
# (`Conv2D.bias_taps`).
#
# ## What cannot be folded
#
# A BatchNorm between a ReLU and a max-pool cannot be folded into either of them. It stays in the network as a `Scale`,
# as the plan shows, and you have to choose a rule for it. A BatchNorm in front of a ReLU can be moved behind it if the
# ReLU gets thresholds of its own, which `fuse(net, threshold_relu=True)` does.

# %%
norm = BatchNorm([2.0], [1.0], [0.0], [1.0])
kept = Network.sequential(Conv2D(np.ones((1, 1, 3, 3))), lrpref.ReLU(), norm, lrpref.MaxPool2D(2))
print(lrpref.fusion_plan(kept))
assert [decision.action for decision in lrpref.fusion_plan(kept).kept] == ["stays, as a Scale"]

# %% [markdown]
# ## What you know now
#
# - A BatchNorm is one weight and one bias per channel. If it stays in the network as a layer, the map depends on how
#   the function is written.
# - Folding removes it and changes no output, as `fuse(net, verify=x)` checks. At padded borders this takes more than
#   one bias per channel.
# - Bypassing it makes LRP-0 useless and changes the maps of z-plus by a tenth. LRP-0 on it is the same as folding if
#   all other layers are under LRP-0 too.
# - Folding clearly improves the maps of LRP-0. Under z-plus and the composite, it makes a difference of less than 0.5
#   in either direction. We found no reason against LRP on fully connected layers with normalisation.
#
# The next step is about layers with two inputs.
