# %% [markdown]
# # 10. Is a heatmap any good?
#
# Nine steps, a dozen rules, and each draws a different map of the same digit. Which one should you believe? Not the one
# that looks best: in step 4, the map that nobody could read named the more harmful pixels. **How do you measure a
# map?**

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
# A map makes a claim: these pixels carried the answer. So take them away, the most relevant first, and watch the logit.
# If the claim is right, the logit falls fast. That is *pixel flipping* (Bach et al. 2015, PLoS ONE 10(7):e0130140). By
# hand, on one digit, 28 pixels at a time:

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
print(f"its mean drop, AOPC: {curve.aopc[0]:.2f}")
assert_allclose(curve.aopc[0], np.mean(by_hand[0] - np.array(by_hand)), atol=1e-4)

# %% [markdown]
# The mean drop over all steps, the untouched picture included, is the AOPC (Samek et al. 2017, IEEE TNNLS 28(11):2660).
#
# But *any* picture with holes in it confuses a network. So we also take pixels away in the opposite order, the least
# relevant first, and measure the area between the two curves: the ABPC. A map that knows nothing scores 0.

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

# %% alt="Mean logit against the share of pixels removed, two curves per map: far apart, except for random numbers"
figure = Figure(figsize=(9.0, 2.9), layout="constrained")
for ax, name in zip(figure.subplots(1, 4, sharey=True), ["zero", "epsilon-plus", "sobel", "random"], strict=True):
    both = found[name]
    ax.plot(both.morf.changed, both.morf.scores.mean(axis=0), color="#b2182b", label="most relevant first")
    ax.plot(both.lerf.changed, both.lerf.scores.mean(axis=0), color="#2166ac", label="least relevant first")
    ax.fill_between(both.morf.changed, both.morf.scores.mean(axis=0), both.lerf.scores.mean(axis=0), color="0.92")
    ax.set(title=f"{name}: {both.abpc.mean():.1f}", xlabel="share of pixels removed")
    ax.spines[["top", "right"]].set_visible(False)
figure.axes[0].set_ylabel("mean logit")
figure.axes[0].legend(fontsize=7, loc="upper right")
figure

# %% [markdown]
# Two rows of this table matter most, and are often missing: the **baselines**. *Random* numbers show what knowing
# nothing is worth. *Sobel* is an edge filter; it has never heard of the network, and still reaches two thirds of the
# best score. Most of what a map earns here, it earns for knowing where the ink is.
#
# ## The same test, another fill
#
# What did we do when we "took a pixel away"? We painted it black, the colour of the background. That is a choice. Here
# are three others: the picture's own mean, a blurred copy, and random grey.

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
assert_allclose([table[way]["sobel"] for way in table], [8.74, 6.01, 6.63, 1.03], atol=0.006)

# %% [markdown]
# The ranking of the maps changes with the fill, and with blur the edge filter beats them all. None of these fills is
# neutral: each makes pictures that the network has never seen. So a result under one fill is a result about that fill.
#
# ## Traps
#
# Five more choices hide in "sort the pixels and measure". Every one of them has been got wrong somewhere.
#
# **Sorting by size.** Sorted by $|R|$, the strongest evidence *against* the class goes first, too. That answers a
# different question.

# %%
how = {"step": 112}
curves = {
    by: evaluation.pixel_flipping(net, x, maps["zero"], target, by=by, **how) for by in ("relevance", "magnitude")
}
after = {by: curve.scores[:, 1].mean() for by, curve in curves.items()}
print(f"LRP-0: mean logit {curves['relevance'].scores[:, 0].mean():.1f}; after taking away the first 112 pixels")
print(f"  by relevance {after['relevance']:.1f}, by magnitude {after['magnitude']:.1f}")
assert_allclose(list(after.values()), [-0.3, 1.7], atol=0.06)

# %% [markdown]
# **Ties.** On a fully connected network, *flat* in the first layer gives every pixel the same relevance. Such a map
# says nothing, so the area between the curves must be zero. It is, because ties are broken by position in *both*
# orders. Had we simply read the first order backwards, the upper half of the picture would have come out as important.

# %%
mlp = lrpref.load("mnist-mlp")
predicted = mlp.forward(x).argmax(axis=1)
level = lrpref.explain(mlp, x, predicted, "epsilon-plus-flat")
spread = np.ptp(level, axis=(1, 2, 3)).max()
by_position = evaluation.abpc(mlp, x, level, predicted, step=56)
rows = np.broadcast_to(np.arange(784.0).reshape(28, 28), x.shape)  # from the upper left to the lower right
forth, back = (evaluation.pixel_flipping(mlp, x, R, predicted, step=56).scores for R in (-rows, rows))
backwards = (back - forth).mean()
print(f"largest minus smallest relevance {spread:.1f}; ABPC {by_position.abpc.mean():.1f}")
print(f"with the order read backwards, the ABPC would be {backwards:.1f}")
assert spread == by_position.abpc.mean() == 0
assert_allclose(backwards, 0.4, atol=0.06)

# %% [markdown]
# **Which output.** The logit, its softmax, and its lead over the next class fall at different speeds. A softmax near 1
# hardly moves for the first pixels. And the softmax of a softmax is always nearly flat; `evaluation` refuses it.

# %%
for output, expected in {"logit": 1.24, "probability": 1.02, "margin": 1.39}.items():
    mean = {n: evaluation.abpc(net, x, maps[n], target, step=56, output=output).abpc.mean() for n in ("zero", "z-plus")}
    print(f"{output:12} z-plus has {mean['z-plus'] / mean['zero']:.2f} times the ABPC of zero")
    assert_allclose(mean["z-plus"] / mean["zero"], expected, atol=0.006)

# %% [markdown]
# **The first point and the width.** A curve starts with the untouched picture, and its area is taken over the share of
# pixels, from 0 to 1. Otherwise the numbers depend on how many steps you take.
#
# **Channels.** A map of a colour picture has one value per channel; take away whole pixels, or say that you do not.
#
# In this library each of these is an argument with a name, and a result prints them all:

# %%
print(evaluation.abpc(net, x, maps["relative"], target, step=112, fill="mean"))

# %% [markdown]
# ## Take away what the network knows
#
# Now for a very different question. Suppose the network forgets what it learned: its weights are made random, layer by
# layer, from the top down. A map that shows what the network *learned* must then change (Adebayo et al. 2018, arXiv
# 1810.03292). How similar do the maps stay, by cosine, as the forgetting proceeds?

# %%
explainers = {"zero": "zero", "epsilon-plus": "epsilon-plus", "relative": "relative", "z-plus": "z-plus"}
explainers |= {"sobel": baselines.sobel}
forgotten = {
    name: evaluation.parameter_randomisation(net, x, how, target, similarity="cosine")
    for name, how in explainers.items()
}
layers = next(iter(forgotten.values())).layers
expected = {"zero": 0.01, "epsilon-plus": 0.39, "relative": 0.17, "z-plus": 0.87, "sobel": 1.0}
print("randomised from top down to: " + "".join(f"{layer:>8}" for layer in layers))
for name, each in forgotten.items():
    measured = each.similarity.mean(axis=1)
    print(f"{name:29}" + "".join(f"{value:8.2f}" for value in measured[1:]))
    assert_allclose(measured[-1], expected[name], atol=0.006)

# %% alt="A three under zero and z-plus, from the trained and the random network: zero turns to noise, z-plus stays"
three = names.index("digit-3")
random_net = evaluation.randomised(net, layers)
shown = {f"{rule}, trained": maps[rule][three] for rule in ("zero", "z-plus")}
for rule in ("zero", "z-plus"):
    R = lrpref.explain(random_net, x, target, rule, seed="one")[three]
    shown[f"{rule}, random network"] = R / abs(R).max() * abs(maps[rule][three]).max()
plot.grid(x[three], shown, columns=5)

# %% [markdown]
# The edge filter does not change at all; how could it? But **z-plus hardly changes either**: for a network that has
# forgotten everything, it draws nearly the same map. And it had an excellent ABPC. Both are true. z-plus finds the ink,
# the ink is what the network looks at, and a network that looks at nothing in particular looks at the ink as well.
# Either test alone would have told half the story.
#
# ## What to report
#
# - The output, the fill, the order, how ties are broken, the step size; or print the result, which lists them all.
# - A mean and its spread over images. Thirteen digits, as here, are an illustration. And if the claim is about a *kind*
#   of network, train several: more images are not more networks.
# - The baselines: random, an edge filter, gradient times input.
# - More than one fill, and one test that changes the network.
# - What you did *not* try.
#
# `lrpref reproduce` follows this list for the claims of two papers. The results are in
# [docs/papers.md](../../docs/papers.md).
