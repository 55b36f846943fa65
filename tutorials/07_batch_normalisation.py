# %% [markdown]
# # 7. Why does batch normalisation break it?
#
# Most modern networks normalise. In step 6, relevance bypassed the normalisation, and the map was ruined. Step 4
# folded it away without giving a reason. **What is wrong with leaving it in, and is folding it away allowed?**

# %%
# %matplotlib inline
import inspect
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import BatchNorm, Conv2D, Dense, Network, Scale, fusion, plot, rules
from lrpref.composites import Composite, resolve
from lrpref.fusion import forward_difference

# %% [markdown]
# ## One function, three maps
#
# Once trained, a `BatchNorm` is a simple thing: it multiplies each channel by one number and shifts it by another,
#
# $$z = w a + b \qquad w = \frac{g}{s} \quad b = \beta - \frac{g \mu}{s} \quad s = \sqrt{\mathrm{var} + \mathrm{eps}}$$
#
# (Ioffe and Szegedy 2015, arXiv 1502.03167). Take a neuron with two inputs, followed by such a layer with $w = 2$ and
# $b = -2$. Or write both as *one* neuron, with weights twice as large and the bias -2. Nobody who sees only inputs and
# outputs can tell which of the two it is.


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
print(next(part for part in fusion.__doc__.split("\n\n") if "W' =" in part))
print(inspect.getsource(fusion._after))

# %%
trained = lrpref.load("mnist-cnn-bn").astype(np.float64)
names = lrpref.samples.names((1, 28, 28))
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
# Thirteen digits, three rules. For each rule we leave the BatchNorm layers in, under four rules of their own, and
# compare the maps with those of the folded network.

# %%
treatments = {"pass": rules.Pass(), "zero": rules.Zero(), "epsilon": rules.Epsilon(), "absolute": rules.Absolute()}
target = net.forward(x).argmax(axis=1)


def left_in(treatment, rule):
    """The maps of the network as trained, with its BatchNorm layers under a rule of their own."""
    pairs = [(BatchNorm, treatments[treatment]), *resolve(rule).pairs]
    return lrpref.explain(trained, x, target, Composite(pairs))


def distance(R, reference):
    """|R - reference| / |reference|, the mean over samples."""
    axes = (1, 2, 3)
    return np.mean(np.sqrt(((R - reference) ** 2).sum(axis=axes) / (reference**2).sum(axis=axes)))


expected = {
    "zero": [2821, 0, 0, 0.83],
    "z-plus": [0.10, 0.50, 0.50, 0.61],
    "epsilon-plus": [0.10, 0.55, 0.55, 0.60],
}
found = {}
print("distance from the folded network's maps")
print("rule           BatchNorm under " + " ".join(f"{name:>10}" for name in treatments))
for rule, distances in expected.items():
    folded = lrpref.explain(net, x, target, rule)
    found[rule] = {"folded": folded, **{name: left_in(name, rule) for name in treatments}}
    row = [distance(R, folded) for name, R in found[rule].items() if name != "folded"]
    print(f"{rule:30} " + " ".join(f"{value:10.2f}" for value in row))
    assert_allclose(row, distances, rtol=1e-3, atol=0.006)

# %% [markdown]
# The table shows three things.
#
# - **LRP-0 with BatchNorm bypassed is lost**: on average, its maps are off by thousands of times the size of the
#   folded ones. These are the small denominators of step 6.
# - **LRP-0 with BatchNorm under LRP-0 is the folded map**, exactly. (Epsilon at $10^{-6}$ is as good as that.)
# - **Under z-plus it is the other way round.** Bypassed is a tenth of a map away, LRP-0 in the normalisation half a
#   map: z-plus on the folded layer sees shifted biases and weights with flipped signs, and a signed rule in between
#   does not.

# %% alt="The open nine under LRP-0: folded and zero are the same map, pass is blocks of red and blue"
nine = names.index("hard-1")
treated = ("folded", "pass", "zero", "absolute")
plot.grid(x[nine], {f"LRP-0, {name}": found["zero"][name][nine] for name in treated}, columns=5)

# %% alt="The open nine under z-plus: four maps, red along the strokes, that differ in strength"
plot.grid(x[nine], {f"z-plus, {name}": found["z-plus"][name][nine] for name in treated}, columns=5)

# %% [markdown]
# ## Which of them is right?
#
# The folded network is the only one with no choice left to make. That is a reason, not a proof. As in step 4, we ask
# the network: erase the twenty pixels that a map calls most relevant. How much of the logit is left? (The less, the
# better for the map.) All maps are tested on the same network.


# %%
def after_erasing(net, R, target, count=20):
    """The mean logit after erasing the most relevant pixels of each map."""
    erased = x.reshape(len(x), -1).copy()
    order = np.argsort(-R.reshape(len(x), -1), axis=1, kind="stable")[:, :count]
    np.put_along_axis(erased, order, 0, axis=1)
    return net.forward(erased.reshape(x.shape))[np.arange(len(x)), target].mean()


expected = {
    "zero": [7.1, 11.8, 7.1, 7.1, 8.8],
    "z-plus": [10.9, 11.2, 10.7, 10.7, 11.2],
    "epsilon-plus": [11.6, 11.0, 11.1, 11.1, 11.0],
}
print(f"mean logit: {net.forward(x).max(axis=1).mean():.1f}; after erasing twenty pixels:")
print("rule          " + " ".join(f"{name:>10}" for name in ("folded", *treatments)))
for rule, logits in expected.items():
    row = [after_erasing(net, R, target) for R in found[rule].values()]
    print(f"{rule:13} " + " ".join(f"{value:10.1f}" for value in row))
    assert_allclose(row, logits, atol=0.06)

# %% [markdown]
# Under LRP-0, folding is far better than bypassing. Under z-plus and the composite the five are within a unit of each
# other, and on thirteen digits that is nothing. So the published claim, that fused maps are more accurate, holds here
# for one rule and remains undecided for the others. `lrpref reproduce 2002.11018` asks on more networks and images
# ([docs/papers.md](../../docs/papers.md)).
#
# The paper's other claim is a warning: no LRP where *fully connected* layers meet normalisation. The network of step 6
# is just such a network.

# %%
expected = {"mnist-mlp-bn": [2.8, 13.0], "mnist-mlp": [5.0, 15.7]}
for name, logits in expected.items():
    dense = lrpref.fuse(lrpref.load(name).astype(np.float64), verify=x)
    answer = dense.forward(x).argmax(axis=1)
    row = [after_erasing(dense, lrpref.explain(dense, x, answer, "zero"), answer), dense.forward(x).max(axis=1).mean()]
    print(f"{name:12}  LRP-0, folded: {row[0]:.1f} of {row[1]:.1f} is left")
    assert_allclose(row, logits, atol=0.06)

# %% [markdown]
# Once folded, its maps find the pixels that matter at least as well as those of its twin, which never had a
# normalisation. On these digits we see no reason for the warning.
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
# - Bypassing it ruins LRP-0 and hardly touches z-plus. LRP-0 on it is the same as folding, if everything else is under
#   LRP-0 too.
# - Better maps through folding: plainly under LRP-0, not detectably under z-plus. A reason against LRP on fully
#   connected layers with normalisation: not found here.
#
# Next: layers with two inputs.
