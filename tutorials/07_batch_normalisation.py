# %% [markdown]
# # 7. Why does batch normalisation break it?
#
# Many modern networks normalise. In step 6, relevance bypassed the normalisation, and the map was ruined. Step 4
# folded it away without giving a reason. **What is wrong with leaving it in, and is folding it away allowed?**
#
# Here is what is at stake: one digit, one network, one rule. The first map lets relevance bypass the normalisation; the
# second is drawn after folding. Not a single output of the network differs between the two.

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
# (Each map is divided by its own largest value; the first is about ten times as large as the second.) We go down to two
# inputs and one neuron to see why.
#
# ## One function, three maps
#
# Once trained, a `BatchNorm` is a simple thing: it multiplies each channel by one number and shifts it by another,
#
# $$z = w a + b \qquad w = \frac{g}{s} \quad b = \beta - \frac{g \mu}{s} \quad s = \sqrt{\mathrm{var} + \mathrm{eps}}$$
#
# (Ioffe and Szegedy 2015, arXiv 1502.03167). Take a neuron with two inputs, followed by such a layer with $w = 2$ and
# $b = -2$. Or write both as *one* neuron, with weights twice as large and the bias -2. Nobody who sees only inputs and
# outputs can tell which of the two it is.
#
# **Before you read on:** both inputs are 1, so the output is 4. Under LRP-0, the one neuron gives its inputs 4 and 2,
# which is more than it has, because the bias of -2 had to be outweighed (step 1). Now relevance comes down through two
# layers. What will the inputs get if the normalisation just passes on what it holds?


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
# Same function, same input, same output, and three different answers to "who deserves the 4?". The shift $b = -2$ is a
# bias: the one neuron counts it as evidence against, which the inputs had to outweigh, and so they get 6. *Pass* does
# not see it. *Absolute* counts it as one more share, and gives it away.
#
# A map should tell us about the function. These tell us how the function was written down.
#
# With LRP-0 on both layers, the answer agrees with the one neuron's. That is no accident: in
# $\frac{a w}{z} \cdot \frac{z w'}{z'} = \frac{a w w'}{z'}$ the inner $z$ cancels. Under other rules it does not.
#
# ## Folding it away
#
# So always write it down the same way: with as few layers as possible. Guillemot et al. (2020, arXiv 2002.11018) build
# such an equivalent network before they run LRP. The algebra is elementary. Here it is in the library's words, and the
# code for its first line.

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
# `verify=x` makes `fuse` compare both networks on `x` before it returns anything. So folding is allowed: it changes no
# output. What does it change in the maps?
#
# ## How much it matters
#
# **Before you look:** for which rule should it matter most how BatchNorm is treated, for LRP-0 or for z-plus? Step 6
# has a hint.
#
# Thirteen digits, three rules. (LRP-0 is called `zero` in the library.) For each rule we leave the BatchNorm layers in,
# under four rules of their own, and compare the maps with those of the folded network: how large is the difference, as
# a multiple of the folded map? First, LRP-0 with BatchNorm bypassed, digit by digit.

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
# Two digits are off by a factor in the thousands, and they alone make the mean. So we look at medians, with quartiles
# in brackets. And thirteen digits are few for a general claim. The script [on_mnist.py](../on_mnist.py) has measured
# the same on digits of the MNIST test set. Its record comes with this page, which asserts that the script and the page
# find the same for the thirteen.

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
# The table shows three things.
#
# - **LRP-0 with BatchNorm bypassed is lost**: half of its maps differ from the folded ones by more than 50 times their
#   size. These are the small denominators of step 6, and a few of them are much smaller than the rest.
# - **LRP-0 with BatchNorm under LRP-0 is the folded map**, exactly. (Epsilon at $10^{-6}$ gives the numbers of LRP-0 to
#   three digits, so the table leaves it out.)
# - **Under z-plus it is the other way round.** Bypassed is a tenth of a map away, LRP-0 in the normalisation half a
#   map: z-plus on the folded layer sees shifted biases and weights with flipped signs, and a signed rule in between
#   does not.
#
# Here are the maps of the open nine. On this digit, LRP-0 with BatchNorm bypassed is off by a factor of only five.

# %% alt="The open nine under LRP-0: folded and zero are the same map, pass is blocks of red and blue"
treated = ("folded", "pass", "zero", "absolute")
plot.grid(x[nine], {f"LRP-0, {name}": found["zero"][name][nine] for name in treated}, columns=5)

# %% alt="The open nine under z-plus: four maps, red along the strokes, that differ in strength"
plot.grid(x[nine], {f"z-plus, {name}": found["z-plus"][name][nine] for name in treated}, columns=5)

# %% [markdown]
# (The colour scale of a figure ends at the middle one of its maps' largest values. In the first figure, *pass* reaches
# ten times beyond it.)
#
# ## Which of them is right?
#
# The folded network is the only one with no choice left to make. That is a reason, not a proof. As in step 4, we ask
# the network: erase the twenty pixels that a map calls most relevant. How much of the logit is left? (The less, the
# better for the map.) All maps are tested on the same network. **Will folding win, and under which rules?**


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
# The second column is the mean logit that the folded network's map leaves; the others say how much *more* is left by a
# map with BatchNorm left in, digit by digit: the mean of these differences and its standard error. A positive number
# speaks for folding.

# %%
gains = {rule: [test[f"{rule}, {name}, more left"]["mean"] for name in treatments] for rule in found}
small = [gain for rule in ("z-plus", "epsilon-plus") for gain in gains[rule]]
print(f"LRP-0, pass: {gains['zero'][0]:.1f} of {test['logit']['mean']:.1f}", end="; ")
print(f"under z-plus and epsilon-plus: from {min(small):+.2f} to {max(small):+.2f}")
assert gains["zero"][0] > 4
assert gains["zero"][3] > 1
assert -0.5 < min(small) < 0 < max(small) < 0.5

# %% [markdown]
# Under LRP-0, folding is far better than bypassing, and better than `absolute`. Under z-plus and the composite the
# differences are less than half a logit and go in both directions: with many digits one can tell some from zero, but
# they matter little. So the published claim, that fused maps are more accurate, holds here for one rule, and for the
# others folding neither helps nor harms by much.
#
# `lrpref reproduce 2002.11018` asks on more networks and images ([docs/papers.md](../../docs/papers.md)).
#
# The paper's other claim is a warning: no LRP where *fully connected* layers meet normalisation. The network of step 6
# is just such a network. Which part of its logit is lost when twenty pixels are erased, and how does that compare with
# its twin, which never had a normalisation?

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
# Once folded, its maps cost the logit a larger part than those of its twin: on most digits they name the pixels that
# matter at least as well. (The two networks were trained apart, and one pair of networks is one pair of networks.) In
# this pair we see no reason for the warning.
#
# ## The border
#
# One trap remains for those who fold by hand. If BatchNorm comes *before* a padded convolution, its shift is added to
# every pixel, but not to the border of zeros, which is put around the picture afterwards. A bias with one number per
# channel is right inside and wrong at the edge.

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
# The folded convolution remembers what each of its taps adds, and leaves out those that fall on the border
# (`Conv2D.bias_taps`).
#
# ## What cannot be folded
#
# Between a ReLU and a max-pool there is nothing to fold into. Then a `Scale` stays, the plan says so, and the choice
# we began with is back: you have to name a rule for it. A BatchNorm in front of a ReLU can be moved behind it, if the
# ReLU gets thresholds of its own; `fuse(net, threshold_relu=True)` does that on request.

# %%
norm = BatchNorm([2.0], [1.0], [0.0], [1.0])
kept = Network.sequential(Conv2D(np.ones((1, 1, 3, 3))), lrpref.ReLU(), norm, lrpref.MaxPool2D(2))
print(lrpref.fusion_plan(kept))
assert [decision.action for decision in lrpref.fusion_plan(kept).kept] == ["stays, as a Scale"]

# %% [markdown]
# ## What you know now
#
# - A BatchNorm is one weight and one bias per channel. Left in, it is one more layer, and a map depends on how the
#   function is written down.
# - Folded, it is gone, and no output changes. `fuse(net, verify=x)` checks that; at padded borders it takes more than
#   one bias per channel.
# - Bypassing it ruins LRP-0 and changes z-plus by a tenth. LRP-0 on it is the same as folding, if everything else is
#   under LRP-0 too.
# - Better maps through folding: plainly under LRP-0; under z-plus and the composite by less than half a logit, in
#   either direction. A reason against LRP on fully connected layers with normalisation: not found here.
#
# Next: layers with two inputs.
