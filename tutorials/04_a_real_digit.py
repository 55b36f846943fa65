# %% [markdown]
# # 4. Is this a nine or a four?
#
# Somebody wrote a nine and did not close the loop. A human reader hesitates. A trained network says nine, with a
# probability of 0.76, and gives the rest to four. **Which strokes made it say nine? And why not four?**

# %%
# %matplotlib inline
import inspect

import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import lrpref
from lrpref import composites, plot
from lrpref.fusion import forward_difference

trained = lrpref.load("mnist-cnn-bn").astype(np.float64)  # double precision
x = lrpref.samples.load("hard-1").astype(np.float64)
print(trained)
print("accuracy on the MNIST test set:", lrpref.weights.metadata("mnist-cnn-bn")["accuracy"]["test"])
assert lrpref.weights.metadata("mnist-cnn-bn")["accuracy"]["test"] == 0.9957

# %% [markdown]
# A small convolutional network, which has never seen this digit. It contains three batch normalisation layers
# (`BatchNorm`). LRP has no rule of its own for those, so we fold them into the convolutions first. That changes no
# output. Step 7 will show what it does change.

# %%
net = lrpref.fuse(trained, verify=x)
print(lrpref.fusion_plan(trained))
assert forward_difference(trained, net, x) < 1e-12

logits = net.forward(x)[0]
probabilities = lrpref.Softmax().forward(logits[None])[0]
print()
for digit in np.argsort(-logits)[:3]:
    print(f"{digit}: logit {logits[digit]:6.2f}, probability {probabilities[digit]:.3f}")
assert_allclose(logits[[9, 4, 8]], [10.94, 9.78, -1.33], atol=0.005)
assert_allclose(probabilities[[9, 4, 8]], [0.760, 0.240, 0.000], atol=0.0005)

# %% alt="Left: an open nine. Right: a bar chart of the ten logits; nine leads, four is close behind, the rest negative"
figure = Figure(figsize=(6.6, 2.5), layout="constrained")
left, right = figure.subplots(1, 2, width_ratios=[1, 1.7])
left.imshow(x[0, 0], cmap="gray_r")
left.set_axis_off()
right.bar(range(10), logits, color=["#d6604d" if logit > 0 else "#4393c3" for logit in logits])
right.set(xticks=range(10), xlabel="digit", ylabel="logit")
right.axhline(0, color="0.5", linewidth=0.8)
right.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# ## First try: LRP-0 everywhere
#
# We start at the logit of the nine, 10.94, and walk back to the pixels with the rule of step 1.

# %%
zero = lrpref.explain(net, x, target=9, rule="zero")
print(f"the map sums to {zero.sum():.2f}, its magnitudes to {abs(zero).sum():.2f}")
assert_allclose([zero.sum(), abs(zero).sum()], [9.15, 34.86], atol=0.005)
assert_allclose(1 - zero.sum() / abs(zero).sum(), 0.74, atol=0.005)

# %% alt="The open nine and its LRP-0 map: red and blue pixels side by side all over the strokes"
plot.grid(x, {"LRP-0 everywhere": zero}, "why nine?")

# %% [markdown]
# Red speaks for the nine, blue against it. But every stroke is both. Three quarters of all that relevance cancels (9
# of 35 remain), and nobody can read the map.
#
# The reason is known. In a network of ReLUs and max-pools, LRP-0 everywhere is nothing but
#
# $$R_i = x_i \frac{\partial f}{\partial x_i}$$
#
# gradient times input (Shrikumar et al. 2016, arXiv 1605.01713), and the gradient of a deep network is noisy. We can
# hold the library to that. The sum of the map must be $\sum_i x_i \partial f / \partial x_i$, which is the slope of
# the logit as all the ink gets darker together.

# %%
h = 1e-4
slope = (net.forward((1 + h) * x)[0, 9] - net.forward((1 - h) * x)[0, 9]) / (2 * h)
print(f"slope {slope:.2f}, sum of the LRP-0 map {zero.sum():.2f}")
assert_allclose(slope, zero.sum(), rtol=1e-4)

# %% [markdown]
# ## A rule for each kind of layer
#
# The usual remedy is to use different rules at different depths (Montavon et al. 2019, LNCS 11700, sec. 10.3;
# Kohlbrenner et al. 2020, arXiv 1910.09840). Such a list of rules is a *composite*; step 0 called it a recipe. Look at
# it before you use it: the table shows which rule every layer will get, and why, before anything runs.
#
# **Before you look at its maps:** the four and the nine share most of their strokes. Which strokes would *you* point at
# to say "nine, not four"?

# %%
print(composites.EpsilonPlusFlat().assign(net))

# %% [markdown]
# The top layers take epsilon, which passes on evidence for and against. The convolutions in the middle take z-plus,
# which distributes by positive contributions alone, so that nothing cancels. The first layer takes flat: it spreads
# relevance evenly over the pixels that a unit sees.
#
# Behind the table is a list of selectors and rules, and the first selector that matches a layer decides. Write your
# own with `Composite([(selector, rule), ...])`.

# %%
print(composites.EpsilonPlusFlat())

# %%
print(inspect.getsource(composites.matches))

# %%
tr = lrpref.trace(net, x, target=9, rule="epsilon-plus-flat")
nine = tr.relevance
print(f"the map sums to {nine.sum():.2f}, its magnitudes to {abs(nine).sum():.2f}")
bias = tr.ledger["bias"].sum()
print(f"the biases took {bias:.2f}; together {nine.sum() + bias:.2f}, the logit")
assert_allclose([nine.sum(), abs(nine).sum(), bias], [9.97, 13.11, 0.97], atol=0.005)
assert_allclose(nine.sum() + bias, logits[9], atol=2e-5)  # the rest is what epsilon took

# %% [markdown]
# ## Why not four?
#
# Any class can be explained, not only the winner. And because these rules are linear in the relevance they receive,
# two classes can be *compared*: start with the nine's logit at the nine and minus the four's logit at the four, and
# the walk back gives the difference of the two maps.

# %%
four = lrpref.trace(net, x, target=4, rule="epsilon-plus-flat").relevance
seed = np.zeros((1, 10))
seed[0, 9], seed[0, 4] = logits[9], -logits[4]
contrast = lrpref.trace(net, x, seed=seed, rule="epsilon-plus-flat").relevance
assert_allclose(contrast, nine - four, atol=1e-12)

# %% alt="Maps for nine, for four, and nine minus four: the stem is red in the last, the tip at the upper right blue"
assert abs(zero).max() > 8 * abs(nine).max()
plot.grid(x, {"why nine?": nine, "why four?": four, "why nine rather than four?": contrast})

# %% [markdown]
# (The library has a call for contrasts, and one for the relevance that passes through chosen channels:
# [docs/concepts.md](../../docs/concepts.md).)
#
# (Look at the colour bar: it ends at 0.1, where that of the LRP-0 map ended at 1. The same relevance, less of which
# cancels, is spread over many more pixels.)
#
# Now there is something to read. Both answers live on the bowl, on the left: it speaks for a nine *and* for a four,
# and so decides little. The last map shows where they part. The stem, at the lower right, speaks for the nine. The
# tip, at the upper right, speaks for the four: it rises above the bowl, as the stroke of an open four does.
#
# Let us put numbers on the three parts.

# %%
parts = {"bowl": np.s_[:, :15], "tip": np.s_[:14, 15:], "stem": np.s_[14:, 15:]}  # rows, columns
found = {name: [R[0, 0][part].sum() for R in (nine, four, contrast)] for name, part in parts.items()}
print("part   for nine   for four   nine rather than four")
for name, sums in found.items():
    print(f"{name:5} {sums[0]:9.2f} {sums[1]:10.2f} {sums[2]:14.2f}")
assert_allclose(found["bowl"], [7.47, 6.06, 1.42], atol=0.006)
assert_allclose(found["tip"], [-1.51, 1.60, -3.10], atol=0.006)
assert_allclose(found["stem"], [4.00, 1.29, 2.71], atol=0.006)

# %% [markdown]
# ## Do not believe it yet
#
# So far we have a story. A story can be tested. If the tip speaks for the four, then without it the nine should lead
# by *more*; without the stem, by less. Right now it leads by 1.15.


# %%
def lead(image):
    """By how much the nine leads the four."""
    nine_, four_ = net.forward(image)[0, [9, 4]]
    return nine_ - four_


print(f"as written: the nine leads by {lead(x):.2f}")
measured = {"bowl": [-2.97, 1], "tip": [3.92, 9], "stem": [-3.12, 4]}
for name, part in parts.items():
    erased = x.copy()
    erased[0, 0][part] = 0
    change, answer = lead(erased) - lead(x), int(net.forward(erased).argmax())
    print(f"no {name}: the map suggests {-found[name][2]:+.2f}, the lead changes by {change:+.2f}; now a {answer}")
    assert_allclose([change, answer], measured[name], atol=0.006)
    assert np.sign(change) == -np.sign(found[name][2])

# %% [markdown]
# All three signs are right, and without the stem the network does say four. The amounts are not right, and they cannot
# be: relevance divides up *this* output; it does not predict another one. And without the bowl the network sees a one,
# which no map of nines and fours could have told us.
#
# ## What the map does not show
#
# Why do *you* hesitate? Because the loop is open. Where is that on the map? Let us close the loop, and look.

# %%
gap = np.s_[7:9, 12:17]
closed = x.copy()
closed[0, 0][gap] = 1
under_zero = lrpref.explain(net, x, seed=seed, rule="zero")[0, 0][gap].sum()
in_gap = contrast[0, 0][gap].sum()
print(f"the gap holds {in_gap:+.2f} of the relevance, and {under_zero} under LRP-0")
print(f"with the loop closed, the nine leads by {lead(closed):.2f}; before, by {lead(x):.2f}")
assert_allclose([in_gap, lead(closed), lead(x)], [-0.25, 12.34, 1.15], atol=0.006)
assert under_zero == 0

# %% [markdown]
# Ten pixels of ink decide the matter, and the map says next to nothing about them. A pixel that is 0 adds nothing to
# any sum, so LRP-0 gives it exactly nothing; flat spreads a little there, merely because it is near. Relevance is
# about what *is* in the picture. What is missing has to be found by other means.
#
# ## One answer, many maps
#
# Finally, the same question under seven rules: why nine?

# %%
names = ["zero", "epsilon-plus", "epsilon-plus-flat", "epsilon-gamma-box(low=0, high=1)"]
names += ["epsilon-alpha2-beta1-flat", "z-plus", "flat"]
maps = {name: lrpref.explain(net, x, target=9, rule=name) for name in names}
print("                                   bowl     tip    stem")
agree = []
for name, R in maps.items():
    sums = [R[0, 0][part].sum() for part in parts.values()]
    print(f"{name:32}" + "".join(f"{total:+8.2f}" for total in sums))
    agree += [name] if (np.sign(sums) == [1, -1, 1]).all() else []
print("for, against, for:", len(agree), "of", len(maps))
assert agree == names[:5]
assert (maps["z-plus"] >= 0).all()

# %% alt="Seven maps of why nine: LRP-0 is noisy, z-plus all red, flat a faint grid without a digit, the rest alike"
plot.grid(x, maps)

# %% [markdown]
# All maps share one colour scale, which now ends at 0.2. (LRP-0 goes beyond it; that is what the arrows on the colour
# bar mean.) Five of the seven agree: the bowl and the stem for, the tip against. Two do not. *z-plus* on every layer
# knows no evidence against, and is red all over. And *flat* on every layer hardly looks at the digit at all. What it
# draws is the footprint of the max-pools; step 5 explains the grid.
#
# So, is a prettier map a better map? A map claims: these pixels carried the answer. If so, erasing its top twenty
# pixels of ink should hurt the nine more than erasing twenty at random. We try it on two digits.


# %%
def after_erasing(image, order, digit, count=20):
    """The digit's logit after erasing the first `count` pixels of an order."""
    erased = image.copy()
    erased.reshape(-1)[order[:count]] = 0
    return net.forward(erased)[0, digit]


print("the logit after erasing 20 pixels        open nine   clear four")
expected = {"zero": [0.47, 14.31], "epsilon-plus": [1.59, 17.02], "epsilon-plus-flat": [2.46, 19.46]}
expected |= {
    "epsilon-gamma-box(low=0, high=1)": [1.21, 18.99],
    "at random": [6.9, 20.3],
    "nothing erased": [10.94, 24.95],
}
random = np.random.default_rng(0)
results = {name: [] for name in expected}
for image, digit in [(x, 9), (lrpref.samples.load("digit-4"), 4)]:
    ink = np.flatnonzero(image)
    for name in list(expected)[:4]:
        R = lrpref.explain(net, image, target=digit, rule=name).reshape(-1)
        results[name].append(after_erasing(image, ink[np.argsort(-R[ink])], digit))
    at_random = [after_erasing(image, random.permutation(ink), digit) for _ in range(100)]
    results["at random"].append(np.mean(at_random))
    results["nothing erased"].append(net.forward(image)[0, digit])
for name, values in results.items():
    print(f"{name:38} {values[0]:11.1f} {values[1]:12.1f}")
    assert_allclose(values, expected[name], atol=0.1)
left = np.array([results[name] for name in list(expected)[:4]])  # the four maps, on the two digits
assert (left[:, 0] < results["at random"][0]).all()
assert (left.argmin(axis=0) == list(expected).index("zero")).all()
assert results["at random"][1] - results["epsilon-plus-flat"][1] < 1

# %% [markdown]
# On the open nine, every map beats chance. On the clear four the smoothest of them, epsilon-plus-flat, hardly does.
# And the map that nobody could read, LRP-0, finds the most harmful pixels on both. Two digits and one way of erasing
# prove nothing in general. They do show that beauty is not evidence. Step 10 measures it properly.
#
# One more trap before we conclude. Does the class with the larger sum win?

# %%
sums = [lrpref.explain(net, x, target=digit, rule="zero").sum() for digit in (9, 4)]
print(f"LRP-0: the nine's map sums to {sums[0]:.2f}, the four's to {sums[1]:.2f}")
assert_allclose(sums, [9.15, 13.32], atol=0.006)

# %% [markdown]
# It does not. The four's map sums to more, and the network says nine. A sum lacks what the biases took (step 3), and
# that differs from class to class.
#
# ## What you may conclude
#
# - *From a map:* which parts of this picture this network's answer was made of, as one rule divides it up.
# - *From a contrast of two classes:* where the two answers part.
# - *After testing it on the network:* that these strokes matter, and in which direction.
#
# ## What you may not conclude
#
# - That the answer would change by this or that much without a stroke. (Right sign here, wrong amount.)
# - That nothing is missing. (The open loop is not on the map.)
# - That the class with the larger sum wins. (It did not.)
# - That a map without blue means no evidence against. (z-plus cannot show any.)
# - That a clear map is a true one.
