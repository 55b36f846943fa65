# %% [markdown]
# # 10. Is a heatmap any good?
#
# Nine steps, a dozen rules, and each draws another map of the same digit. Which shall one believe? Not the one that
# looks best: step 4 found that the map nobody could read named the more harmful pixels. **How does one measure a map?**

# %%
# %matplotlib inline
import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import lrpref
from lrpref import evaluation, plot
from lrpref.evaluation import baselines

net = lrpref.fuse(lrpref.load("mnist-cnn-bn"))
names = lrpref.samples.names((1, 28, 28))
x = np.concatenate([lrpref.samples.load(name) for name in names])
target = net.forward(x).argmax(axis=1)

# %% [markdown]
# ## Take away what it calls important
#
# A map claims: these pixels carried the answer. So take them away, the most relevant first, and watch the logit. If the
# claim is right, it falls fast. That is *pixel flipping* (Bach et al. 2015, PLoS ONE 10(7):e0130140). By hand, on one
# digit, 28 pixels at a time:

# %%
R = lrpref.explain(net, x[:1], target[0], "epsilon-plus")
order = np.argsort(-R.reshape(-1), kind="stable")
by_hand = []
for k in range(0, 28 * 28 + 1, 28):
    changed = x[0].reshape(-1).copy()
    changed[order[:k]] = 0
    by_hand.append(net.forward(changed.reshape(1, 1, 28, 28))[0, target[0]])
curve = evaluation.pixel_flipping(net, x[:1], R, target[:1], step=28)
assert_allclose(curve.scores[0], by_hand, atol=1e-4)
print("the logit:", *(f"{score:.1f}" for score in by_hand[:8]), "...")
print(f"its mean fall, AOPC: {curve.aopc[0]:.2f}")
assert_allclose(curve.aopc[0], np.mean(by_hand[0] - np.array(by_hand)), atol=1e-4)

# %% [markdown]
# The mean fall over all steps, the untouched picture included, is the AOPC (Samek et al. 2017, IEEE TNNLS 28(11):2660).
#
# But *any* picture with holes confuses a network. So one takes the same number of pixels away in the opposite order,
# the least relevant first, and the area between the two curves counts: ABPC. A map that knows nothing has 0.

# %%
maps = {rule: lrpref.explain(net, x, target, rule) for rule in ("zero", "epsilon-plus", "z-plus", "relative")}
maps |= {name: baselines.baseline(name, net, x, target) for name in ("sobel", "random")}
found = {name: evaluation.abpc(net, x, R, target, step=56) for name, R in maps.items()}
expected = {"zero": 11.6, "epsilon-plus": 14.8, "z-plus": 14.4, "relative": 14.6, "sobel": 9.5, "random": -0.4}
print("map             ABPC   standard error")
for name, both in found.items():
    error = both.abpc.std(ddof=1) / len(x) ** 0.5
    print(f"{name:13} {both.abpc.mean():6.1f} {error:16.1f}")
    assert_allclose(both.abpc.mean(), expected[name], atol=0.06)

# %% alt="Mean logit against the share of pixels taken, two curves a map: far apart but for random numbers"
figure = Figure(figsize=(9.0, 2.9), layout="constrained")
for ax, name in zip(figure.subplots(1, 4, sharey=True), ["zero", "epsilon-plus", "sobel", "random"], strict=True):
    both = found[name]
    ax.plot(both.morf.changed, both.morf.scores.mean(axis=0), color="#b2182b", label="most relevant first")
    ax.plot(both.lerf.changed, both.lerf.scores.mean(axis=0), color="#2166ac", label="least relevant first")
    ax.fill_between(both.morf.changed, both.morf.scores.mean(axis=0), both.lerf.scores.mean(axis=0), color="0.92")
    ax.set(title=f"{name}: {both.abpc.mean():.1f}", xlabel="share of pixels taken")
    ax.spines[["top", "right"]].set_visible(False)
figure.axes[0].set_ylabel("mean logit")
figure.axes[0].legend(fontsize=7, loc="upper right")
figure

# %% [markdown]
# Two rows of this table are the most important ones, and often missing: the **baselines**. *Random* numbers show what
# no knowledge is worth. *Sobel* is an edge filter; it has never heard of the network, and reaches two thirds of the
# best. Most of what a map earns here, it earns for knowing where the ink is.
#
# ## The same test, another fill
#
# What did we do when we "took a pixel away"? We painted it black, the colour of the ground. That is a choice. Here are
# three others: the picture's own mean, a blurred copy, random grey.

# %%
ways = {"zero": "zero", "mean": "mean", "blur": evaluation.fills.Blur(sigma=2, size=7), "uniform": "uniform"}
table = {}
for way, fill in ways.items():
    table[way] = {n: evaluation.abpc(net, x, R, target, step=112, fill=fill).abpc.mean() for n, R in maps.items()}
print("map          " + "".join(f"{way:>9}" for way in table))
for name in maps:
    print(f"{name:13}" + "".join(f"{table[way][name]:9.1f}" for way in table))
first = [max(maps, key=lambda name: table[way][name]) for way in table]
print("first:  ", *first)
assert first == ["epsilon-plus", "relative", "sobel", "zero"]
assert_allclose([table[way]["sobel"] for way in table], [8.74, 6.01, 6.53, 1.03], atol=0.006)

# %% [markdown]
# The order of the maps changes with the fill, and with blur the edge filter beats most of them. None of these fills is
# neutral: each makes pictures that the network has never seen. So a result under one fill is a result about that fill.
#
# ## Traps
#
# Five more choices hide in "sort the pixels and measure". Each has been got wrong somewhere.
#
# **Sorting by size.** By $|R|$, the strongest evidence *against* the class goes first. That is another question.

# %%
how = {"step": 112}
falls = {by: evaluation.pixel_flipping(net, x, maps["zero"], target, by=by, **how) for by in ("relevance", "magnitude")}
after = {by: curve.scores[:, 1].mean() for by, curve in falls.items()}
print(f"LRP-0: mean logit {falls['relevance'].scores[:, 0].mean():.1f}; after the first 112 pixels")
print(f"  by relevance {after['relevance']:.1f}, by magnitude {after['magnitude']:.1f}")
assert_allclose(list(after.values()), [-0.3, 1.7], atol=0.06)

# %% [markdown]
# **Ties.** On a fully connected network, *flat* in the first layer gives every pixel the same. Nothing is said, and so
# the area between the curves must be nothing. It is, because ties go by position in *both* orders. If one simply read
# the first order backwards, the upper half of the picture would come out as important.

# %%
mlp = lrpref.load("mnist-mlp")
says = mlp.forward(x).argmax(axis=1)
level = lrpref.explain(mlp, x, says, "epsilon-plus-flat")
spread = np.ptp(level, axis=(1, 2, 3)).max()
by_position = evaluation.abpc(mlp, x, level, says, step=56)
rows = np.broadcast_to(np.arange(784.0).reshape(28, 28), x.shape)  # from the upper left to the lower right
forth, back = (evaluation.pixel_flipping(mlp, x, R, says, step=56).scores for R in (-rows, rows))
backwards = (back - forth).mean()
print(f"largest minus smallest relevance {spread:.1f}; ABPC {by_position.abpc.mean():.1f}")
print(f"with the order read backwards it would be {backwards:.1f}")
assert spread == by_position.abpc.mean() == 0
assert_allclose(backwards, 0.4, atol=0.06)

# %% [markdown]
# **Which output.** The logit, its softmax, or its lead over the next class fall at different speeds. A softmax near 1
# hardly moves for the first pixels. And a softmax of a softmax is always nearly level; `evaluation` refuses it.

# %%
for output, expected in {"logit": 1.24, "probability": 1.02, "margin": 1.39}.items():
    mean = {n: evaluation.abpc(net, x, maps[n], target, step=56, output=output).abpc.mean() for n in ("zero", "z-plus")}
    print(f"{output:12} z-plus has {mean['z-plus'] / mean['zero']:.2f} times the ABPC of zero")
    assert_allclose(mean["z-plus"] / mean["zero"], expected, atol=0.006)

# %% [markdown]
# **The first point and the width.** A curve begins with the untouched picture; and an area is over a share of pixels,
# from 0 to 1. Otherwise numbers depend on how many steps one took.
#
# **Channels.** A map for colour pictures has one value per channel; take away whole pixels, or say that you do not.
#
# In this library each of these is an argument with a name, and a result prints them all:

# %%
print(evaluation.abpc(net, x, maps["relative"], target, step=112, fill="mean"))

# %% [markdown]
# ## Take away what the network knows
#
# Here is a quite different question. Suppose the network forgets what it learned: its weights become random, layer by
# layer, from the top. A map that shows what it *learned* must then change (Adebayo et al. 2018, arXiv 1810.03292). How
# alike are the maps, by cosine, as forgetting goes down?

# %%
asked = {"zero": "zero", "epsilon-plus": "epsilon-plus", "relative": "relative", "z-plus": "z-plus"}
asked |= {"sobel": baselines.sobel}
forgotten = {
    name: evaluation.parameter_randomisation(net, x, how, target, similarity="cosine") for name, how in asked.items()
}
layers = next(iter(forgotten.values())).layers
expected = {"zero": 0.01, "epsilon-plus": 0.39, "relative": 0.17, "z-plus": 0.87, "sobel": 1.0}
print("random from the top down to: " + "".join(f"{layer:>8}" for layer in layers))
for name, each in forgotten.items():
    told = each.similarity.mean(axis=1)
    print(f"{name:29}" + "".join(f"{value:8.2f}" for value in told[1:]))
    assert_allclose(told[-1], expected[name], atol=0.006)

# %% alt="Maps of a three by zero and z-plus from the trained and the random network: zero turns to noise, z-plus stays"
three = names.index("digit-3")
random_net = evaluation.randomised(net, layers)
shown = {f"{rule}, trained": maps[rule][three] for rule in ("zero", "z-plus")}
for rule in ("zero", "z-plus"):
    R = lrpref.explain(random_net, x, target, rule, seed="one")[three]
    shown[f"{rule}, random network"] = R / abs(R).max() * abs(maps[rule][three]).max()
plot.grid(x[three], shown, columns=5)

# %% [markdown]
# The edge filter does not change at all, as it must. And **z-plus hardly changes either**: of a network that has
# forgotten everything it draws nearly the same map. It had an excellent ABPC. Both are true. z-plus finds the ink, the
# ink is what the network looks at, and a network that looks at nothing in particular looks at the ink as well. A single
# test would have told half of this.
#
# ## What to report
#
# - The output, the fill, the order, how ties are broken, the size of a step; or print the result, which says so.
# - A mean and its spread over images. Thirteen digits, as here, are an illustration. And if the claim is about a *kind*
#   of network, train several: images of one network are not repeats of it.
# - The baselines: random, an edge filter, gradient times input.
# - More than one fill, and one test that changes the network.
# - What you did *not* try.
#
# `lrpref reproduce` follows this list for the claims of two papers. What came out stands in
# [docs/papers.md](../../docs/papers.md).
