# %% [markdown]
# # 4. Is this a nine or a four?
#
# Somebody wrote a nine and did not close the loop. A human reader hesitates. A trained network says nine with a
# probability of 0.76, and gives almost all of the rest to four. **Which strokes made it say nine, and why did it not
# say four?**

# %%
# %matplotlib inline

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
# This is a small convolutional network. The digit is not one of its training examples. It contains three batch
# normalisation layers (`BatchNorm`). LRP has no rule of its own for those, so we first fold them into the convolutions.
# This changes no output; step 7 shows what it does change.

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
# We start at the logit of the nine, 10.94, and propagate it back to the pixels with the rule of step 1.

# %%
zero = lrpref.explain(net, x, target=9, rule="zero")
print(f"the map sums to {zero.sum():.2f}, its magnitudes to {abs(zero).sum():.2f}")
assert_allclose([zero.sum(), abs(zero).sum()], [9.15, 34.86], atol=0.005)
assert_allclose(1 - zero.sum() / abs(zero).sum(), 0.74, atol=0.005)

# %% alt="The open nine and its LRP-0 map: red and blue pixels side by side all over the strokes"
plot.grid(x, {"LRP-0 everywhere": zero}, "why nine?")

# %% [markdown]
# Red pixels count for the nine, and blue ones against it. But every stroke has both colours. Three quarters of the
# relevance cancels (9 of 35 remain), and the map is hard to read.
#
# The reason is known. In a network of ReLUs and max-pools, LRP-0 in every layer is the same as
#
# $$R_i = x_i \frac{\partial f}{\partial x_i}$$
#
# gradient times input (Shrikumar et al. 2016, arXiv 1605.01713), and the gradient of a deep network is noisy. We can
# check this. The sum of the map must be $\sum_i x_i \partial f / \partial x_i$, which is the rate at which the logit
# changes if all of the ink gets darker by the same factor.

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
# the assignment before you use it: the table shows which rule each layer will get, and why.
#
# **Before you look at its maps:** a four and a nine have most strokes in common. Which strokes would *you* point at to
# explain that this is a nine and not a four?

# %%
print(composites.EpsilonPlusFlat().assign(net))

# %% [markdown]
# The top layers use epsilon, which passes on evidence for and against. The convolutions in the middle use z-plus, which
# distributes only to positive contributions, so that nothing cancels. The first layer uses flat, which spreads
# relevance evenly over the pixels that a unit sees.
#
# The table is made from a list of selectors and rules: each layer gets the rule of the first selector that matches it.
# You can write your own with `Composite([(selector, rule), ...])`.

# %%
print(composites.EpsilonPlusFlat())

# %% [markdown]
# (Some of these layers are not in this network. Normalisations are the subject of step 7, and joins of step 8.)

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
# We can explain any class, not only the one with the highest logit. These rules are linear in the relevance that they
# receive, so we can also *compare* two classes: if we start with the nine's logit at the nine and minus the four's
# logit at the four (the `seed`), the result is the difference of the two maps.

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
# (Why not start with 1 and -1? Then neither map would explain its own logit, and the two would be scaled differently.
# The library has a call for contrasts, whose map is `lrpref.contrast(...).relevance`, and one for the relevance that
# passes through chosen channels: [docs/concepts.md](../../docs/concepts.md).)
#
# (The colour bar ends at 0.1, while that of the LRP-0 map ended at 1. Less of the relevance cancels here, and it is
# spread over many more pixels.)
#
# These maps can be read. The bowl, on the left, counts strongly for a nine *and* for a four. The last map shows what
# distinguishes them. The stem, at the lower right, counts for the nine. The tip, at the upper right, counts for the
# four: it rises above the bowl, like the stroke of an open four.
#
# Here are the sums over the three parts.

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
# ## Test the map
#
# So far, this is only an interpretation, which we can test. If the tip counts for the four, then without the tip the
# nine should lead by *more*, and without the stem by less. Its lead is now 1.15.


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
# All three signs are right, and without the stem the network does say four. The amounts are wrong, and LRP does not
# claim that they are right: relevance divides up *this* output, and does not predict another one. Without the bowl, the
# network says one, which maps for nine and four cannot show.
#
# ## What the map does not show
#
# A human reader hesitates because the loop is open. Where is this on the map? We close the loop and compare.

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
# Ten pixels of ink raise the lead from 1.15 to 12.34, and the map shows almost nothing there. A pixel that is 0 adds
# nothing to any sum, so LRP-0 gives it exactly 0; flat gives the gap a little relevance only because it is near the
# strokes. Relevance describes what *is* in the picture. To find what is missing, you need other methods.
#
# ## One answer, many maps
#
# Finally, we explain the nine under seven rules and composites. (*epsilon-plus* is the composite above without flat.
# *epsilon-gamma-box* has gamma in the convolutions and z-box in the first layer, and *epsilon-alpha2-beta1-flat* has
# alpha-beta in the convolutions.)

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
# All maps share one colour scale, which now ends at 0.2. (LRP-0 goes beyond it, as the arrows on the colour bar show.)
# Five of the seven agree that the bowl and the stem count for the nine and the tip against it. The other two do not.
# *z-plus* on every layer cannot show evidence against the answer, so its map is red everywhere. *flat* on every layer
# hardly depends on the digit. Its grid comes from the max-pools, as step 5 explains.
#
# Is a clearer map a better map? A map claims that the answer depends on the pixels with high relevance. If so, erasing
# the twenty most relevant pixels of ink should lower the logit more than erasing twenty at random. We try this on two
# digits.


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
# On the open nine, every map is better than a random choice. On the clear four, epsilon-plus-flat, the smoothest of the
# maps, hardly is. LRP-0, whose map is hardest to read, finds the pixels whose removal lowers the logit most, on both
# digits. Two digits and one way of erasing prove nothing in general. But they do show that a map that looks clear need
# not be better. Step 10 measures this properly.
#
# Finally, does the class whose map has the larger sum have the larger logit?

# %%
sums = [lrpref.explain(net, x, target=digit, rule="zero").sum() for digit in (9, 4)]
print(f"LRP-0: the nine's map sums to {sums[0]:.2f}, the four's to {sums[1]:.2f}")
assert_allclose(sums, [9.15, 13.32], atol=0.006)

# %% [markdown]
# It does not. The map for four has the larger sum, although the network says nine. The sum of a map lacks the shares of
# the biases (step 3), which differ from class to class.
#
# ## What you may conclude
#
# - *From a map:* how one rule divides this network's answer among the parts of this picture.
# - *From a contrast of two classes:* where the evidence for the two answers differs.
# - *After testing it on the network:* that these strokes matter, and in which direction.
#
# ## What you may not conclude
#
# - That the answer would change by a certain amount without a stroke. (Here the signs were right, and the amounts were
#   wrong.)
# - That nothing is missing. (The open loop is not on the map.)
# - That the class whose map has the larger sum has the larger logit. (Here it did not.)
# - That there is no evidence against the answer if a map has no blue. (z-plus cannot show any.)
# - That a clear map is a correct one.
