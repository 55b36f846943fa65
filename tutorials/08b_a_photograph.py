# %% [markdown]
# # 8b. And a photograph?
#
# So far, all examples were digits, with one channel, black ink on white paper, and networks of few layers. Now we
# explain a colour photograph of a cat, with networks that are three to four times as deep. **What changes, and what do
# the maps of step 4 show here?**
#
# This is a single photograph. It can show what *may* happen, but it proves nothing about photographs in general.

# %%
# %matplotlib inline
import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import lrpref
from lrpref import composites, plot
from lrpref.evaluation.maps import cosine

about = lrpref.weights.metadata("vgg16")
classes, scaling = about["classes"], lrpref.inputs.Normalisation.of(about)
photograph = lrpref.samples.load("chelsea").astype(np.float64)  # 3 colours, 32 x 32 pixels, from 0 to 1
x = scaling.apply(photograph)  # what the networks were trained on: (pixel - mean) / spread, per colour
networks = {name: lrpref.fuse(lrpref.load(name).astype(np.float64)) for name in ("cifar-cnn", "vgg16", "resnet20")}
CAT, FROG = classes.index("cat"), classes.index("frog")
answers = {}
for name, net in networks.items():
    logits = net.forward(x)[0]
    probability = np.exp(logits - np.logaddexp.reduce(logits))
    best = np.argsort(-logits)[:3]
    answers[name] = classes[best[0]]
    print(f"{name:10}", ", ".join(f"{classes[k]} {logits[k]:.2f} (probability {probability[k]:.2f})" for k in best))
assert answers == {"cifar-cnn": "frog", "vgg16": "cat", "resnet20": "cat"}

# %% [markdown]
# The three networks were trained on the same 25,000 photographs. The smallest one says frog. We will mostly look at
# `vgg16`, a chain of thirteen convolutions and three fully connected layers, with its BatchNorm folded (step 7).
#
# ## What zero means
#
# For a digit, 0 was blank paper, and LRP-0 gave it nothing (step 4). Here, the pixels were shifted and scaled before
# the network saw them. **Which colour is 0 now, and what map will LRP-0 give for a picture that consists of this
# colour?**

# %%
low, high = scaling.box()
print("black is", *low.ravel().round(2), "  white is", *high.ravel().round(2))
grey = scaling.undo(np.zeros((1, 3, 1, 1))).ravel()
print("0 stands for the colour", *grey.round(2))
empty = lrpref.trace(networks["vgg16"], np.zeros_like(x), rule="zero")
print(f"a picture of that grey: {classes[empty.target[0]]}, {empty.logits.max():.2f}; its pixels hold", end=" ")
print(f"{abs(empty.relevance).sum():.0f}, the biases {empty.ledger['bias'].sum():.2f}")
assert abs(empty.relevance).sum() == 0
assert_allclose(empty.ledger["bias"].sum(), empty.logits.max(), rtol=1e-9)

# %% [markdown]
# Zero is now a medium grey, the average colour of the training pictures. Black is about as far from it as white. So
# LRP-0 gives no relevance to pixels of average colour, which is an accident of the normalisation. Inputs can also be
# negative, so plain gamma and clamped weights are wrong in the first layer (step 2). z-box was designed for this case:
# it compares every pixel with black and white, whatever 0 means (step 2b).
#
# ## Three colours
#
# The map has three values per pixel, one for each colour, and a figure shows their sum. What does the sum hide?

# %%
recipes = {"LRP-0": "zero", "epsilon-plus": "epsilon-plus", "epsilon-plus-flat": "epsilon-plus-flat"}
recipes |= {"epsilon-gamma-box": composites.EpsilonGammaBox(low, high)}
recipes |= {"epsilon-alpha2-beta1-flat": "epsilon-alpha2-beta1-flat", "z-plus": "z-plus"}
traces = {name: lrpref.trace(networks["vgg16"], x, CAT, rule) for name, rule in recipes.items()}
survives = {}
for name, tr in traces.items():
    survives[name] = abs(tr.relevance.sum(axis=1)).sum() / abs(tr.relevance).sum()
    print(f"{name:26} of the magnitude, {survives[name]:.0%} is left after adding up the colours")
assert_allclose(survives["LRP-0"], 0.67, atol=0.01)
assert min(each for name, each in survives.items() if name != "LRP-0") > 0.95

# %% [markdown]
# Under LRP-0, a third of the magnitude cancels *within* pixels, where one colour counts for the cat and another against
# it. Under the other recipes, the three colours of a pixel nearly always have the same sign.
#
# ## Six recipes
#
# **Before you look:** where do you expect red pixels? On the eyes, the nose, the fur? We draw each map over a pale copy
# of the photograph, and divide it by its own largest value, because the sizes of the maps differ a lot.

# %% alt="A cat and six maps laid over it: LRP-0 is noise, three mark both eyes and the nose, two only the right eye"
shown = {name: tr.relevance for name, tr in traces.items()}
plot.grid(x, shown, "vgg16: why a cat?", scale="each", overlay=True)

# %% [markdown]
# The map of LRP-0 cannot be read, after cancellation in sixteen layers. Three recipes mark both eyes, the nose, and a
# few stripes. People have such maps in mind when they say that a network knows what a cat is. The other two mark little
# but the eye on the right, and in one of them the left eye counts *against* the cat. Before we believe any of these
# maps, we ask three questions.
#
# ## First question: how much of the answer is this?
#
# The logit of the cat is 3.76. **What fraction of it arrives at the pixels?**

# %%
for name, tr in traces.items():
    part = tr.relevance.sum() / tr.logits[0, CAT]
    taken = tr.ledger["bias"].sum() / tr.logits[0, CAT]
    print(f"{name:26} pixels {part:7.1%}   biases {taken:7.1%}   residual {abs(tr.ledger.residual()).max():.1e}")
    assert abs(part) < 0.1
    assert taken > 0.9
assert_allclose(traces["epsilon-plus-flat"].relevance.sum() / 3.7645, 0.074, atol=0.001)

# %% [markdown]
# Very little arrives. More than nine tenths of the logit goes to biases, a little in every layer. This is not an error:
# the residual is rounding noise. One reason is folding, which turned the shifts of thirteen BatchNorms into biases
# (step 7). For comparison, `cifar-cnn` never had a BatchNorm:

# %%
for name, net in networks.items():
    books = lrpref.trace(net, x, CAT, "epsilon-plus-flat").ledger
    print(f"{name:10} biases {books['bias'].sum() / net.forward(x)[0, CAT]:.0%}")
    assert (books["bias"].sum() / net.forward(x)[0, CAT] < 0.5) == (name == "cifar-cnn")

# %% [markdown]
# The map shows only the rest, enlarged until it fills the colour scale. You cannot see this in the map, only in its
# ledger.
#
# ## Second question: in which layers does the pattern arise?
#
# `trace.at` holds the relevance at every layer, so we can draw it at several depths. Each panel is divided by its own
# largest value.

# %% alt="Relevance at five depths, from 2 x 2 to 32 x 32 cells: coarse blocks of red that turn into eyes and a nose"
tr = traces["epsilon-plus-flat"]
depths = ["features.23", "features.16", "features.9", "features.4", "input"]
plot.layers(tr, depths, title="vgg16 under epsilon-plus-flat, from the top down")

# %% [markdown]
# At the top there are 2 x 2 cells, and all four are red. The eyes appear between 8 x 8 and 16 x 16 cells. So the fine
# structure arises in the *lower* layers, whose neurons each see only a few pixels and so cannot recognise a cat. This
# is a reason for doubt.
#
# ## Third question: is it about the *cat*?
#
# The second answer of `vgg16` is the frog (0.84). **What would the map look like if we asked for the frog instead?** In
# step 4, the maps for nine and four differed where the strokes did.

# %% alt="Maps for cat and for frog under two recipes: the same under epsilon-plus-flat, not under epsilon-gamma-box"
why = {}
for name in ("epsilon-plus-flat", "epsilon-gamma-box"):
    for k in (CAT, FROG):
        why[f"{name}:\nwhy {classes[k]}?"] = lrpref.explain(networks["vgg16"], x, k, recipes[name])
plot.grid(x, why, columns=5, scale="each", overlay=True)

# %%
print("cosine between the maps for cat and for frog")
print(f"{'':26}" + "".join(f"{name:>11}" for name in networks))
alike = {}
for name, rule in recipes.items():
    pairs = [[lrpref.explain(net, x, k, rule) for k in (CAT, FROG)] for net in networks.values()]
    alike[name] = [float(cosine(cat, frog)[0]) for cat, frog in pairs]
    print(f"{name:26}" + "".join(f"{each:11.3f}" for each in alike[name]))
for name in ("epsilon-plus", "epsilon-plus-flat", "z-plus"):
    assert alike[name][1] > 0.999
    assert alike[name][2] < -0.9
assert abs(alike["epsilon-gamma-box"][1]) < 0.6

# %% [markdown]
# **The maps are the same.** Under z-plus, and under the composites that use it for convolutions, the maps of `vgg16`
# for cat and for frog have a cosine above 0.999. (A cosine of 1 means that two maps are equal up to their size, 0 that
# they have nothing in common, and -1 that all signs are opposite.) For `resnet20`, the two maps are nearly the same
# with opposite signs, because there the frog's logit is negative. Whatever such a map shows, it does not explain why
# this is a *cat*.
#
# At which layer do the two classes become indistinguishable? We compare their relevance from the top down.

# %% alt="Cosine of cat's and frog's relevance by depth: z-plus climbs from 0 to 1 in four layers, the others do not"
followed = ["flatten", *(f"features.{k}" for k in (28, 26, 24, 21, 19, 17, 14, 12, 10, 7, 5, 2, 0)), "input"]
figure = Figure(figsize=(7.6, 3.1), layout="constrained")
ax = figure.subplots()
looks = {"epsilon-plus-flat": ("#d6604d", "-"), "epsilon-gamma-box": ("#4393c3", "--")}
looks |= {"epsilon-alpha2-beta1-flat": ("#e66101", "-."), "LRP-0": ("#808080", ":")}
falls = {}
for name, (colour, style) in looks.items():
    frog = lrpref.trace(networks["vgg16"], x, FROG, recipes[name])
    falls[name] = [float(cosine(traces[name].at[node], frog.at[node])[0]) for node in followed]
    ax.plot(range(len(followed)), falls[name], style, marker=".", color=colour, label=name)
ax.axhline(0, color="0.6", linewidth=0.8)
ax.set_xticks(range(len(followed)), followed, rotation=60, fontsize=8)
ax.set(ylabel="cosine, cat and frog", ylim=(-1.05, 1.05))
ax.spines[["top", "right"]].set_visible(False)
figure.legend(loc="outside upper center", ncols=2, fontsize=8, frameon=False)
figure

# %%
print("epsilon-plus-flat:", *(f"{value:.3f}" for value in falls["epsilon-plus-flat"]))
assert abs(falls["epsilon-plus-flat"][0]) < 0.1
assert falls["epsilon-plus-flat"][5] > 0.99
assert falls["epsilon-plus-flat"][-1] > 0.999
assert max(falls["epsilon-gamma-box"]) < 0.8

# %% [markdown]
# Above the convolutions, where the rule is epsilon, the two have nothing in common. After four convolutions under
# z-plus, the cosine is 0.99, and it stays above that in all lower layers.
#
# The reason is mathematical. Under z-plus, each layer multiplies relevance by a matrix without negative entries. A
# product of many such matrices tends towards rank one: whatever the relevance at the top is, the pattern at the bottom
# is the same, only larger or smaller. Sixt, Granz and Landgraf (2020, arXiv 1912.09818; we read the abstract) found
# this, and conclude that such maps do not explain what the network decides. We can see the effect if we ignore the
# layers above `features.16`, spread relevance *evenly* over its 4 x 4 x 64 cells, and propagate it from there.

# %%
top = tr.at["features.16"]
evenly = np.full_like(top, top.sum() / top.size)
walked = lrpref.explain(networks["vgg16"], x, rule="epsilon-plus-flat", node="features.16", seed=evenly)
same = float(cosine(walked, tr.relevance)[0])
print(f"cosine with the map that started at the cat: {same:.3f}")
assert same > 0.97

# %% [markdown]
# Did this already happen in step 4, with three convolutions?

# %%
digit_net, nine = lrpref.fuse(lrpref.load("mnist-cnn-bn").astype(np.float64)), lrpref.samples.load("hard-1")
for rule in ("zero", "epsilon-plus-flat", "z-plus"):
    pair = [lrpref.explain(digit_net, nine.astype(np.float64), k, rule) for k in (9, 4)]
    print(f"open nine, {rule:18} cosine of the maps for nine and four {float(cosine(*pair)[0]):.2f}")
assert_allclose(float(cosine(*pair)[0]), 1, atol=0.005)

# %% [markdown]
# Under z-plus in every layer, it did. Under the composite, it did in part. **Be careful with clear maps of deep
# networks.** Rules that keep both signs (LRP-0, alpha-beta, gamma) are less affected, and their maps look less clear.
# This also shows the purpose of epsilon at the top of a composite: there, the maps still depend on the class. A
# *contrast* of two classes, as in step 4, does not help if both maps are the same.
#
# ## Test the maps on the network
#
# As in step 4, we test the maps. We paint over one part of the face with the average colour of the photograph, and look
# at the logit of the cat. A map that explains the cat should show which part lowers the logit most.

# %%
parts = {"left eye": np.s_[..., 8:16, 5:15], "right eye": np.s_[..., 10:18, 22:29], "nose": np.s_[..., 22:30, 14:24]}


def row(title, values, form):
    """One line of the table."""
    print(f"{title:46}" + "".join(f"{format(value, form):>11}" for value in values))


effects, shares = {}, {}
print(f"{'':46}" + "".join(f"{part:>11}" for part in parts))
for name, net in networks.items():
    effects[name] = []
    for part in parts.values():
        painted = x.copy()
        painted[part] = x.mean(axis=(2, 3), keepdims=True)
        effects[name].append(net.forward(painted)[0, CAT] - net.forward(x)[0, CAT])
    row(f"{name}: change of the cat's logit", effects[name], ".2f")
    for recipe in ("epsilon-plus-flat", "epsilon-gamma-box", "epsilon-alpha2-beta1-flat"):
        R = lrpref.explain(net, x, CAT, recipes[recipe])
        shares[name, recipe] = [R[part].sum() / abs(R).sum() for part in parts.values()]
        row(f"  share of the map, {recipe}", shares[name, recipe], ".0%")
left, right, nose = range(3)
assert abs(effects["vgg16"][left]) < 0.1
assert effects["vgg16"][right] < -1
assert shares["vgg16", "epsilon-plus-flat"][left] > shares["vgg16", "epsilon-plus-flat"][right]
for recipe in ("epsilon-gamma-box", "epsilon-alpha2-beta1-flat"):
    assert shares["vgg16", recipe][right] == max(shares["vgg16", recipe])
assert max(effects["resnet20"]) < -0.2
assert effects["resnet20"][right] == min(effects["resnet20"])
assert shares["resnet20", "epsilon-plus-flat"][right] == min(shares["resnet20", "epsilon-plus-flat"])
assert effects["cifar-cnn"][nose] > 0.3  # without the nose, more of a cat
assert all(shares["cifar-cnn", recipe][nose] == max(shares["cifar-cnn", recipe]) for recipe in list(recipes)[2:5])

# %% [markdown]
# - In **`vgg16`** the eye on the right matters by far the most, and removing the one on the left changes almost
#   nothing. Epsilon-plus-flat gives *more* to the left one. The two recipes whose maps still depend on the class give
#   most to the right one, so these less clear maps are right about it. (But the test does not confirm that the left eye
#   counts *against* the cat, as it does under alpha-beta.)
# - In **`resnet20`** the logit falls without any of the parts, as the first map suggests, but its order is wrong there,
#   too.
# - In **`cifar-cnn`** all three recipes give most to the nose. Without the nose, the logit of the cat *rises*.
#
# (Painting over a part makes a picture unlike any that the networks were trained on, so this test has faults of its
# own, which step 10 discusses.)
#
# ## What you know now
#
# - Find out what 0 means for your inputs. After normalisation it is the average colour. z-box does not depend on it.
# - Look at the ledger before you interpret a map. Here, the map held less than a tenth of the logit.
# - `trace.at` shows in which layers the pattern of a map arises. Here, the fine structure came from the lowest layers.
# - In a deep chain under z-plus, the map depends on the picture and hardly on the class. Compute the map of a second
#   class; if it is the same, the map does not explain the class.
# - Test a map on the network. Here, epsilon-gamma-box passed the test on one network, and no recipe passed it on all
#   three.
#
# The next step explains a heartbeat.
