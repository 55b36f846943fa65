# %% [markdown]
# # 10. Is a heatmap any good?
#
# There are a dozen rules, and each gives a different map of the same digit. Which one should you believe? Looking good
# is not enough: in step 4, the map that was hardest to read found the most important pixels, and in step 8b the
# clearest map was the same for two answers. **How can you measure how good a map is?**
#
# We explain one measure, beginning with four pixels. Then we vary the choices on which it depends, one at a time.
# Finally, we use a test of a different kind.

# %%
# %matplotlib inline
from itertools import combinations, product

import numpy as np
import on_mnist  # tutorials/on_mnist.py: what was measured on the MNIST test set
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import lrpref
from lrpref import evaluation, plot
from lrpref.evaluation import baselines
from lrpref.evaluation.maps import cosine

net = lrpref.fuse(lrpref.load("mnist-cnn-bn").astype(np.float64))
names = lrpref.samples.names((1, 28, 28))
x = np.concatenate([lrpref.samples.load(name) for name in names]).astype(np.float64)
target = net.forward(x).argmax(axis=1)

# %% [markdown]
# ## Remove the most relevant pixels
#
# A map claims that the answer depends on certain pixels. So we remove pixels, the most relevant ones first, and compute
# the logit again after each step. If the claim is right, the logit falls fast. This is *pixel flipping* (Bach et al.
# 2015, PLoS ONE 10(7):e0130140).
#
# We begin by hand, with four pixels and a linear network: $f = 8 x_1 + 4 x_2 + 2 x_3 - 2 x_4$, and the value of
# all four pixels is 1. **Before you read on:** in which order does a perfect map remove them, and how does $f$ change?

# %%
four = np.array([8.0, 4.0, 2.0, -2.0])  # the contributions, which LRP-0 gives, and which are exact for a linear network


def falls(order):
    """f after removing no pixel, the first, the first two, ... of an order."""
    return [float(four.sum())] + [float(np.delete(four, order[: k + 1]).sum()) for k in range(4)]


orders = {"perfect": [0, 1, 2, 3], "1 and 2 exchanged": [1, 0, 2, 3], "backwards": [3, 2, 1, 0]}
for name, order in orders.items():
    curve = falls(order)
    drop = np.mean(curve[0] - np.array(curve))
    print(f"{name:18}", *(f"{score:5.0f}" for score in curve), f"   mean drop {drop:.1f}")
assert falls([0, 1, 2, 3]) == [12, 4, 0, -2, 0]
assert_allclose([np.mean(12 - np.array(falls(order))) for order in orders.values()], [9.2, 8.4, 2.8])

# %% [markdown]
# The better the order, the faster $f$ falls. The mean drop over all points of the curve, including the unchanged
# picture, is the AOPC (Samek et al. 2017, IEEE TNNLS 28(11):2660). It is 9.2 for the perfect order. The example already
# shows three properties.
#
# - Only the *order* counts. A map that is twice as large, or any other map with the same order, gets the same score.
# - The last point is the same for every map, because all pixels are removed.
# - Even the worst possible order has a mean drop of 2.8. The number has to be compared with something.
#
# Here is the same on a real digit, with 28 pixels removed in each step:

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
# ## Two orders, and the area between two curves
#
# But the logit falls for *any* picture with holes in it, whichever pixels are removed. So we also remove pixels in the
# opposite order, the least relevant first, and measure the area between the two curves. A random map scores about 0,
# because its two curves fall equally fast.
#
# This area is known as ABPC, "area between perturbation curves" (Samek et al. 2017). But the formula with this name
# does not compute an area. Like the AOPC, it is a *mean over the points* of the curves (MoRF: most relevant first,
# LeRF: least relevant first),
#
# $$\mathrm{ABPC} = \frac{1}{L+1} \sum_{k=0}^{L} \left( f(x_\mathrm{LeRF}^{(k)}) - f(x_\mathrm{MoRF}^{(k)}) \right)$$
#
# and the two curves agree at the first point, where nothing is removed, and at the last, where everything is. So two of
# the $L + 1$ numbers are zero, and they have more weight if there are fewer steps. For our four pixels, the differences
# of the curves are 0, 10, 12, 10 and 0. Their mean is 32/5. The area, by trapezoids over a width of 1, is 32/4.

# %%
apart = np.array(falls([3, 2, 1, 0])) - np.array(falls([0, 1, 2, 3]))
print(
    "apart by",
    *(f"{gap:.0f}" for gap in apart),
    f"  ABPC {apart.mean():.1f}   area {np.trapezoid(apart, dx=1 / 4):.1f}",
)
assert_allclose([apart.mean(), np.trapezoid(apart, dx=1 / 4)], [32 / 5, 32 / 4])

# %% [markdown]
# On the digits:

# %%
# in the library LRP-0 is called "zero"
rules = {"LRP-0": "zero", "epsilon-plus": "epsilon-plus", "z-plus": "z-plus", "relative": "relative"}
maps = {name: lrpref.explain(net, x, target, rule) for name, rule in rules.items()}
print("pixels per step   ABPC    area")
expected = {7: [15.9, 16.1], 28: [15.5, 16.0], 56: [14.8, 15.9], 112: [13.4, 15.3], 196: [11.2, 14.0], 392: [6.2, 9.3]}
for step, scores in expected.items():
    both = evaluation.abpc(net, x, maps["epsilon-plus"], target, step=step)
    print(f"{step:15} {both.abpc.mean():6.1f} {both.area.mean():7.1f}")
    assert_allclose([both.abpc.mean(), both.area.mean()], scores, atol=0.06)

# %% [markdown]
# Up to 56 pixels per step, the area stays within two percent of its value for the smallest steps, while the ABPC falls
# by seven percent. (With steps of half a picture, the trapezoids are too coarse, too.) From here on we use the area,
# with 56 pixels per step. If you compare ABPCs from the literature, make sure that they have the same number of steps.
# `evaluation.abpc` returns both, as `.area` and `.abpc`.

# %%
fine = evaluation.abpc(net, x, maps["epsilon-plus"], target, step=7)
found = {name: evaluation.abpc(net, x, R, target, step=56) for name, R in maps.items()}
both = found["epsilon-plus"]
assert abs(both.area.mean() / fine.area.mean() - 1) < 0.02
assert_allclose(1 - both.abpc.mean() / fine.abpc.mean(), 0.07, atol=0.005)

# %% [markdown]
# ## Baselines
#
# A score of 16 is good or bad only in comparison with others. We add two maps that do not depend on the network:
# *random* numbers, and *sobel*, an edge filter, which marks the places where the picture changes.
#
# **Before you look:** epsilon-plus has a score of 15.9, and random numbers have about 0. What will the edge filter
# score?

# %%
maps |= {name: baselines.baseline(name, net, x, target) for name in ("sobel", "random")}
found |= {name: evaluation.abpc(net, x, maps[name], target, step=56) for name in ("sobel", "random")}
key = {**rules, "sobel": "sobel", "random": "random"}  # the names in the record
count, test = on_mnist.recorded(10, {f"0, {key[name]}": both.area for name, both in found.items()})
print(f"map             area on thirteen digits   on {count} test digits")
for name, both in found.items():
    ours = on_mnist.mean(on_mnist.spread(both.area), 13, 1, "")
    theirs = on_mnist.mean(test[f"0, {key[name]}"], count, 1, "")
    print(f"{name:13} {ours:>25} {theirs:>20}")

# %% alt="Mean logit against the share of pixels removed, two curves per map: far apart, except for random numbers"
figure = Figure(figsize=(9.0, 3.1), layout="constrained")
for ax, name in zip(figure.subplots(1, 4, sharey=True), ["LRP-0", "epsilon-plus", "sobel", "random"], strict=True):
    both = found[name]
    ax.plot(both.morf.changed, both.morf.scores.mean(axis=0), color="#d6604d", label="most relevant first")
    ax.plot(both.lerf.changed, both.lerf.scores.mean(axis=0), "--", color="#4393c3", label="least relevant first")
    ax.fill_between(
        both.morf.changed, both.morf.scores.mean(axis=0), both.lerf.scores.mean(axis=0), color="0.5", alpha=0.15
    )
    ax.set_title(f"{name}: area {both.area.mean():.1f}", fontsize=10)
    ax.set_xlabel("share of pixels removed", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
figure.axes[0].set_ylabel("mean logit")
figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
figure

# %% [markdown]
# (The numbers after +- are standard errors of the mean. The test digits are a part of the MNIST test set;
# [on_mnist.py](../on_mnist.py) computed their scores.)
#
# The last two rows, the **baselines**, are the most important ones, and are often missing. *Random* shows the score of
# a map without any information. *Sobel* does not use the network, and still reaches more than six tenths of the best
# score. So most of the score of a map here comes from marking the ink.

# %%
edges = [found["sobel"].area.mean() / max(both.area.mean() for both in found.values())]
edges += [test["0, sobel"]["mean"] / max(test[f"0, {name}"]["mean"] for name in key.values())]
print(f"the edge filter has {edges[0]:.2f} of the best score on the thirteen digits, {edges[1]:.2f} on the test digits")
assert min(edges) > 0.6

# %% [markdown]
# ## The same test, another fill
#
# To "remove" a pixel, we set it to 0, the value of the background, which is drawn white on these pages. This is a
# choice. Three other choices are the picture's own mean, a blurred copy, and random grey ("uniform").
#
# **Before you look:** which of the six maps will have the highest score under each fill? Will it ever be the edge
# filter?

# %%
ways = {"0": "zero", "mean": "mean", "blur": evaluation.fills.Blur(sigma=2, size=7), "uniform": "uniform"}
areas = {f"0, {key[name]}": both.area for name, both in found.items()}
for way in ("mean", "blur", "uniform"):
    for name, R in maps.items():
        areas[f"{way}, {key[name]}"] = evaluation.abpc(net, x, R, target, step=56, fill=ways[way]).area
for way, (one, other) in product(ways, combinations(key.values(), 2)):
    areas[f"{way}, {one} minus {other}"] = areas[f"{way}, {one}"] - areas[f"{way}, {other}"]
count, test = on_mnist.recorded(10, areas)
thirteen = {name: on_mnist.spread(area) for name, area in areas.items()}
for where, of in {"thirteen digits": thirteen, f"{count} test digits": test}.items():
    print(f"{where:18}" + "".join(f"{way:>9}" for way in ways))
    for name in maps:
        print(f"{name:18}" + "".join(f"{round(of[f'{way}, {key[name]}']['mean'], 1) + 0.0:9.1f}" for way in ways))

# %% [markdown]
# On the thirteen digits, a different map has the highest score in each column. Could this be chance? A digit that gives
# one map a high score gives all maps a high score, so we compare the maps digit by digit, as in a paired test: we
# compute the mean of the difference between the first and the second map, and its standard error.


# %%
def lead(of, n, way):
    """The first and the second map under a fill, by how much the first leads, and the standard error of that."""
    first, second = sorted(maps, key=lambda name: -of[f"{way}, {key[name]}"]["mean"])[:2]
    pair = of.get(f"{way}, {key[first]} minus {key[second]}") or of[f"{way}, {key[second]} minus {key[first]}"]
    return first, second, abs(pair["mean"]), pair["sd"] / n**0.5


leads = {}
for where, (of, n) in {"thirteen": (thirteen, 13), "test": (test, count)}.items():
    for way in ways:
        first, second, difference, error = lead(of, n, way)
        leads[where, way] = first, difference / error
        print(f"{where:9} {way:8} {first:>13} minus {second:13} {difference:6.2f} +- {error:.2f}")
assert [leads["thirteen", way][0] for way in ways] == ["epsilon-plus", "relative", "sobel", "LRP-0"]
assert [leads["test", way][0] for way in ("0", "blur")] == ["epsilon-plus", "sobel"]
assert max(leads["thirteen", way][1] for way in ways) < 2
assert (
    max(leads["test", way][1] for way in ("mean", "uniform")) < 2 < min(leads["test", way][1] for way in ("0", "blur"))
)

# %% [markdown]
# A difference of less than two standard errors may well be chance. On the thirteen digits, this is the case under every
# fill: with thirteen other digits, other maps might have the highest score. On the test digits, the best map is still
# uncertain under the mean and under uniform grey. Under the other two fills it is not: epsilon-plus leads by a little
# where pixels are set to 0, and **with blur, the edge filter has a higher score than every map of the network**.
#
# So the ranking depends on the fill. None of these fills is neutral, because each makes pictures unlike those that the
# network was trained on. A result under one fill need not hold under another.
#
# ## Other choices
#
# Pixel flipping involves five more choices. Mistakes have been made in each of them.
#
# **Sorting by magnitude.** If pixels are sorted by $|R|$, strong evidence *against* the class is also removed early.
# This answers a different question.

# %%
how = {"step": 112}
curves = {
    by: evaluation.pixel_flipping(net, x, maps["LRP-0"], target, by=by, **how) for by in ("relevance", "magnitude")
}
after = {by: curve.scores[:, 1].mean() for by, curve in curves.items()}
print(f"LRP-0: mean logit {curves['relevance'].scores[:, 0].mean():.1f}; after taking away the first 112 pixels")
print(f"  by relevance {after['relevance']:.1f}, by magnitude {after['magnitude']:.1f}")
assert_allclose(list(after.values()), [-0.3, 1.7], atol=0.06)

# %% [markdown]
# **Ties.** On a fully connected network, *flat* in the first layer gives every pixel the same relevance. Such a map
# carries no information, so the area between the curves must be zero. It is zero, because ties are broken by position
# in *both* orders. If the second order were the first one reversed, the upper half of the picture would seem to be
# important.

# %%
mlp = lrpref.load("mnist-mlp").astype(np.float64)
predicted = mlp.forward(x).argmax(axis=1)
level = lrpref.explain(mlp, x, predicted, "epsilon-plus-flat")
spread = np.ptp(level, axis=(1, 2, 3)).max()
by_position = evaluation.abpc(mlp, x, level, predicted, step=56)
rows = np.broadcast_to(np.arange(784.0).reshape(28, 28), x.shape)  # from the upper left to the lower right
forth, back = (evaluation.pixel_flipping(mlp, x, R, predicted, step=56).scores for R in (-rows, rows))
backwards = (back - forth).mean()
print(f"largest minus smallest relevance {spread:.1f}; area {by_position.area.mean():.1f}")
print(f"with the order read backwards, the ABPC would be {backwards:.1f}")
assert spread == abs(by_position.area).max() == abs(by_position.abpc).max() == 0
assert_allclose(backwards, 0.4, atol=0.06)

# %% [markdown]
# **Which output.** The logit, its softmax, and its lead over the next class fall at different rates. A softmax near 1
# hardly changes for the first pixels. The softmax of a softmax is nearly constant, because no class can have more than
# e times the value of another, so `evaluation` raises an error for it.

# %%
for output, expected in {"logit": 1.24, "probability": 1.02, "margin": 1.39}.items():
    mean = {
        n: evaluation.abpc(net, x, maps[n], target, step=56, output=output).area.mean() for n in ("LRP-0", "z-plus")
    }
    print(f"{output:12} z-plus has {mean['z-plus'] / mean['LRP-0']:.2f} times the area of LRP-0")
    assert_allclose(mean["z-plus"] / mean["LRP-0"], expected, atol=0.006)

# %% [markdown]
# **The first point and the width.** A curve starts with the unchanged picture, and its area is computed over the share
# of removed pixels, from 0 to 1. A mean over points (AOPC, ABPC), or an area in steps, depends on the number of steps.
#
# **Channels.** A map of a colour picture has one value per channel. Remove whole pixels, or state that you do not.
#
# In this library, each of these choices is a named argument, and a result prints all of them:

# %%
print(evaluation.abpc(net, x, maps["relative"], target, step=112, fill="mean"))

# %% [markdown]
# ## Randomise the network
#
# The second test is very different. We replace the weights of the network by random ones, layer by layer, from the top
# down. A map that shows what the network *learned* must then change (Adebayo et al. 2018, arXiv 1810.03292). **Which of
# our maps should change most, and which one cannot change at all?**
#
# We measure by the cosine how similar the maps stay as more layers are randomised. The last column, for comparison, is
# the cosine between the *trained* network's map and the picture itself, which was made without any network.

# %%
explainers = {**rules, "sobel": baselines.sobel}
forgotten = {
    name: evaluation.parameter_randomisation(net, x, how, target, similarity="cosine")
    for name, how in explainers.items()
}
layers = next(iter(forgotten.values())).layers
expected = {"LRP-0": [0.01, 0.34], "epsilon-plus": [0.39, 0.80], "z-plus": [0.87, 0.85], "relative": [0.17, 0.63]}
print("randomised from top down to: " + "".join(f"{layer:>8}" for layer in layers) + "   picture")
cosines = {}
for name, each in forgotten.items():
    measured, picture = each.similarity.mean(axis=1), cosine(maps[name], x)
    print(f"{name:29}" + "".join(f"{value:8.2f}" for value in measured[1:]) + f"{picture.mean():10.2f}")
    if name != "sobel":
        assert_allclose([measured[-1], picture.mean()], expected[name], atol=0.006)
        cosines |= {f"cosine, {key[name]}, randomised": each.similarity[-1], f"cosine, {key[name]}, picture": picture}
assert_allclose(forgotten["sobel"].similarity, 1)

count, test = on_mnist.recorded(10, cosines)
print(f"\non {count} test digits       all randomised           picture")
for name, rule in rules.items():
    row = [on_mnist.median(test[f"cosine, {rule}, {what}"]) for what in ("randomised", "picture")]
    print(f"{name:18}" + "".join(f"{each:>22}" for each in row))

# %% alt="A three under LRP-0 and z-plus, from the trained and the random network: LRP-0 turns to noise, z-plus stays"
three = names.index("digit-3")
random_net = evaluation.randomised(net, layers)
shown = {f"{name}, trained": maps[name][three] for name in ("LRP-0", "z-plus")}
shown |= {
    f"{name}, random network": lrpref.explain(random_net, x, target, rules[name], seed="one")[three]
    for name in ("LRP-0", "z-plus")
}
plot.grid(x[three], shown, columns=5, scale="each")

# %% [markdown]
# The edge filter does not change at all, because it does not use the network. But **z-plus hardly changes either**: its
# map of a completely randomised network has a cosine of 0.87 with that of the trained one. The last column helps to
# interpret this number: the trained network's map has almost the same cosine, 0.85, with the picture itself. Both maps
# mark the ink, and they need not have anything else in common. (Epsilon-plus has a cosine of 0.80 with the picture and
# only 0.39 after randomisation, so the ink alone does not explain its map.)
#
# Yet z-plus had an excellent score in the first test. The two results do not contradict each other. z-plus marks the
# ink, which the trained network uses, and for a random network it marks the ink as well. Each test alone would have
# been misleading.
#
# ## What to report
#
# - The output, the fill, the order, how ties are broken, the step size, and whether a score is an area or a mean over
#   points; or print the result, which lists them all.
# - A mean and its spread over images, and for a comparison of two maps the spread of their *difference*. Thirteen
#   digits are only an illustration. If the claim is about a *kind* of network, train several: more images do not
#   replace more networks.
# - The baselines: random, an edge filter, gradient times input.
# - More than one fill, and one test that changes the network.
# - What you did *not* try.
#
# ## What you know now
#
# - Pixel flipping scores the order of a map, under one fill, one output and one step size. The score is meaningful only
#   next to a baseline.
# - Another fill may rank the maps differently. An ABPC is a mean over points, and depends on their number.
# - A difference smaller than two standard errors of the *paired* difference is not a result.
# - A map may mark the right pixels and still not depend on what the network learned. Randomise the network, and compare
#   with the picture itself.
#
# `lrpref reproduce` tests the claims of two papers in this way. The results are in
# [docs/papers.md](../../docs/papers.md).
