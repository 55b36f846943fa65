# %% [markdown]
# # 10. Is a heatmap any good?
#
# A dozen rules, and each draws a different map of the same digit. Which one should you believe? Not the one that looks
# best: in step 4, the map that nobody could read named the most harmful pixels, and in step 8b the handsome one was the
# same for two answers. **How do you measure a map?**
#
# We build one measure, from four pixels up; then we change what it depends on, one thing at a time; and then we ask a
# different question altogether.

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
# ## Take away what it calls important
#
# A map makes a claim: these pixels carried the answer. So take them away, the most relevant first, and watch the
# answer. If the claim is right, it falls fast. That is *pixel flipping* (Bach et al. 2015, PLoS ONE 10(7):e0130140).
#
# First by hand, with four pixels and a network that only adds: $f = 8 x_1 + 4 x_2 + 2 x_3 - 2 x_4$, and all four pixels
# are 1. **Before you read on:** in which order does a perfect map remove them, and what does $f$ do?

# %%
four = np.array([8.0, 4.0, 2.0, -2.0])  # the contributions: what LRP-0 says, and here it is the whole truth


def falls(order):
    """f after removing no pixel, the first, the first two, ... of an order."""
    return [float(four.sum())] + [float(np.delete(four, order[: k + 1]).sum()) for k in range(4)]


orders = {"the truth": [0, 1, 2, 3], "1 and 2 exchanged": [1, 0, 2, 3], "backwards": [3, 2, 1, 0]}
for name, order in orders.items():
    curve = falls(order)
    drop = np.mean(curve[0] - np.array(curve))
    print(f"{name:18}", *(f"{score:5.0f}" for score in curve), f"   mean drop {drop:.1f}")
assert falls([0, 1, 2, 3]) == [12, 4, 0, -2, 0]
assert_allclose([np.mean(12 - np.array(falls(order))) for order in orders.values()], [9.2, 8.4, 2.8])

# %% [markdown]
# The better the order, the faster the fall. The mean drop over all points of the curve, the untouched picture included,
# is the AOPC (Samek et al. 2017, IEEE TNNLS 28(11):2660): 9.2 for the truth. Three things can be seen already.
#
# - Only the *order* counts. A map twice as large, or with all values squared, gets the same mark.
# - The last point is the same for every map: everything has gone.
# - Even the worst possible order has a mean drop of 2.8. The number needs something to be compared with.
#
# Now on a real digit, 28 pixels at a time:

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
# ## Holes confuse
#
# But *any* picture with holes in it confuses a network. So we also take pixels away in the opposite order, the least
# relevant first, and measure the area between the two curves. A map that knows nothing scores 0: both of its curves
# fall alike, for the same reason.
#
# This area is known as ABPC, "area between perturbation curves" (Samek et al. 2017). But the formula that goes by that
# name is no area. Like the AOPC, it is a *mean over the points* of the curves,
#
# $$\mathrm{ABPC} = \frac{1}{L+1} \sum_{k=0}^{L} \left( f(x_\mathrm{LeRF}^{(k)}) - f(x_\mathrm{MoRF}^{(k)}) \right)$$
#
# and at the first point, where nothing has been removed, and at the last, where everything has, both curves agree. Two
# zeros among $L + 1$ numbers: the fewer steps, the more they weigh. Our four pixels show it: the curves are 0, 10, 12,
# 10 and 0 apart. Their mean is 32/5. The area, by trapezoids over a width of 1, is 32/4.

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
# Up to 56 pixels per step the area stays within two percent of its finest value, while the ABPC falls by seven. (With
# steps of half a picture, the trapezoids are too coarse, too.) From here on we use the area, with 56 pixels per step;
# and in the literature, compare two ABPCs only if they have the same number of steps. `evaluation.abpc` returns both,
# as `.area` and `.abpc`.

# %%
fine = evaluation.abpc(net, x, maps["epsilon-plus"], target, step=7)
found = {name: evaluation.abpc(net, x, R, target, step=56) for name, R in maps.items()}
both = found["epsilon-plus"]
assert abs(both.area.mean() / fine.area.mean() - 1) < 0.02
assert_allclose(1 - both.abpc.mean() / fine.abpc.mean(), 0.07, atol=0.005)

# %% [markdown]
# ## Against what?
#
# A score of 16 is good or bad only compared with something. We add two maps that know nothing of the network: *random*
# numbers, and *sobel*, an edge filter, which marks the places where the picture changes.
#
# **Before you look:** what will the edge filter score, if epsilon-plus has 15.9 and random numbers about 0?

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
# (The numbers after +- are standard errors of the mean. The test digits are a part of the MNIST test set, and were
# measured by [on_mnist.py](../on_mnist.py).)
#
# These last two rows matter most, and are often missing: the **baselines**. *Random* numbers show what knowing nothing
# is worth. *Sobel* has never heard of the network, and still reaches more than six tenths of the best score. Most of
# what a map earns here, it earns for knowing where the ink is.

# %%
edges = [found["sobel"].area.mean() / max(both.area.mean() for both in found.values())]
edges += [test["0, sobel"]["mean"] / max(test[f"0, {name}"]["mean"] for name in key.values())]
print(f"the edge filter has {edges[0]:.2f} of the best score on the thirteen digits, {edges[1]:.2f} on the test digits")
assert min(edges) > 0.6

# %% [markdown]
# ## The same test, another fill
#
# What did we do when we "took a pixel away"? We set it to 0, the value of the background, which is drawn white on these
# pages. That is a choice. Here are three others: the picture's own mean, a blurred copy, and random grey ("uniform").
#
# **Before you look:** which of the six maps will come first under each fill? Will the edge filter ever win?

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
# On the thirteen digits, each column has another map at its head. But is that order more than chance? A digit that is
# easy for one map is easy for all, so compare the maps digit by digit, as in a paired test: the difference between the
# first and the second, its mean, and its standard error.


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
# A difference of less than two standard errors may well be chance. On the thirteen digits that is so under every fill:
# with thirteen others, other maps might come first. On the test digits the order at the top is still open under the
# mean and under uniform grey. Under the other two it is not: epsilon-plus leads by a little where pixels are set to 0,
# and **with blur the edge filter beats every map of the network**.
#
# So the ranking depends on the fill. None of these fills is neutral: each makes pictures that the network has never
# seen. A result under one fill is a result about that fill.
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
    by: evaluation.pixel_flipping(net, x, maps["LRP-0"], target, by=by, **how) for by in ("relevance", "magnitude")
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
# **Which output.** The logit, its softmax, and its lead over the next class fall at different speeds. A softmax near 1
# hardly moves for the first pixels. And the softmax of a softmax is nearly flat, because no class can have more than e
# times the value of another; `evaluation` refuses it.

# %%
for output, expected in {"logit": 1.24, "probability": 1.02, "margin": 1.39}.items():
    mean = {
        n: evaluation.abpc(net, x, maps[n], target, step=56, output=output).area.mean() for n in ("LRP-0", "z-plus")
    }
    print(f"{output:12} z-plus has {mean['z-plus'] / mean['LRP-0']:.2f} times the area of LRP-0")
    assert_allclose(mean["z-plus"] / mean["LRP-0"], expected, atol=0.006)

# %% [markdown]
# **The first point and the width.** A curve starts with the untouched picture, and its area is taken over the share of
# pixels, from 0 to 1. A mean over points (AOPC, ABPC), or an area in steps, depends on how many steps you take.
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
# 1810.03292). **Which of our maps should change most, and which one cannot change at all?**
#
# We measure by cosine how similar the maps stay as the forgetting proceeds. A cosine needs something to compare it
# with. So the last column is the cosine between the *trained* network's map and the picture itself: that similar is a
# map to one that was made without any network.

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
# The edge filter does not change at all; how could it? But **z-plus hardly changes either**: for a network that has
# forgotten everything, it draws a map with a cosine of 0.87 to that of the trained one. What does 0.87 mean? The last
# column says it: the trained network's map is just as similar, 0.85, to the bare picture. What both maps share is the
# ink, and beyond the ink they need not have anything in common. (Epsilon-plus has 0.80 with the picture and keeps only
# 0.39, so its map is not explained by the ink alone.)
#
# And yet z-plus had an excellent score in the first test. Both are true. z-plus finds the ink, the ink is what the
# network looks at, and a network that looks at nothing in particular looks at the ink as well. Either test alone would
# have told half the story.
#
# ## What to report
#
# - The output, the fill, the order, how ties are broken, the step size, and whether a score is an area or a mean over
#   points; or print the result, which lists them all.
# - A mean and its spread over images, and for a comparison of two maps the spread of their *difference*. Thirteen
#   digits are an illustration. And if the claim is about a *kind* of network, train several: more images are not more
#   networks.
# - The baselines: random, an edge filter, gradient times input.
# - More than one fill, and one test that changes the network.
# - What you did *not* try.
#
# ## What you know now
#
# - Pixel flipping marks the order of a map, under one fill, one output and one step size. Its number means something
#   beside a baseline, and little alone.
# - Change the fill, and the winner may change. An ABPC is a mean over points, and depends on their number.
# - A difference smaller than two standard errors of the *paired* difference is not a result.
# - A map may name the right pixels and still know nothing of what the network learned. Make the network forget, and
#   compare with the bare picture.
#
# `lrpref reproduce` follows this list for the claims of two papers. The results are in
# [docs/papers.md](../../docs/papers.md).
