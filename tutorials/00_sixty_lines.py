# %% [markdown]
# # 0. What is LRP, in sixty lines?
#
# A network looks at a picture and says *four*. **Which pixels made it say so?**
#
# This page answers the question for one network and one picture, with NumPy and nothing else. It holds all of
# Layer-wise Relevance Propagation (LRP), in the letters of the chapter from which most people learn it (Montavon et al.
# 2019, LNCS 11700, secs. 10.2 and 10.3). Read it once, quickly, and do not stop at what you do not understand: the
# thirteen steps after it take it apart, and each of them says to which of these lines it belongs.

# %%
# %matplotlib inline
import inspect

import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import lrpref
from lrpref import rules

digit = lrpref.samples.load("digit-4")[0, 0].astype(float)  # 28 x 28 pixels, 0 for paper and 1 for ink
trained = lrpref.load("mnist-mlp").astype(np.float64)  # three fully connected layers
W = [trained[name].weight.T for name in ("fc1", "fc2", "fc3")]  # w_jk: from neuron j to neuron k of the next layer
B = [trained[name].bias for name in ("fc1", "fc2", "fc3")]  # b_k
x = digit.reshape(-1)
print("a picture of", len(x), "pixels; weights", *(w.shape for w in W))

# %% [markdown]
# ## Forward
#
# A neuron $k$ adds up what the neurons $j$ below it send, times a weight, and a bias. What is negative becomes zero.
#
# $$a_k = \max\Big(0, \sum_{0,j} a_j w_{jk}\Big)$$
#
# (The chapter writes the bias as one more input: $a_0 = 1$ and $w_{0k} = b_k$. That is what the 0 under the sum means.)


# %%
def forward(x, W, B):
    """The activations of all layers, from the pixels to the scores of the ten digits (logits)."""
    a = [x]
    for w, b in zip(W[:-1], B[:-1], strict=True):
        a.append(np.maximum(0, a[-1] @ w + b))
    return [*a, a[-1] @ W[-1] + B[-1]]  # no maximum at the top


activations = forward(x, W, B)
logits = activations[-1]
print("logits:", *(f"{digit}: {logit:.1f}" for digit, logit in enumerate(logits)))
assert logits.argmax() == 4
assert_allclose(logits[4], 18.91, atol=0.005)

# %% [markdown]
# The four has 18.9; the other nine are far behind.
#
# ## Backward
#
# That 18.9 is the *relevance* of the neuron at the top. We hand it down, layer by layer. Neuron $k$ divides its
# relevance $R_k$ among the neurons $j$ that made it fire, in proportion to what each of them contributed:
#
# $$R_j = \sum_k \frac{a_j \, \rho(w_{jk})}{\epsilon + \sum_{0,j} a_j \, \rho(w_{jk})} R_k$$
#
# With $\rho(w) = w$ and $\epsilon = 0$, this is the rule LRP-0. With a small $\epsilon$ it is LRP-epsilon, and with
# $\rho(w) = w + \gamma w^+$ it is LRP-gamma, which favours contributions *for* the neuron. The chapter computes all of
# them in four steps; they are the four lines with a number below.
#
# Pixels are different from neurons. A white pixel is 0, so it would never get anything, however much the answer owes to
# the paper that was left blank. The rule $z^\mathcal{B}$ compares a pixel with the smallest and the largest value, $l$
# and $h$, that it could have had.


# %%
def divide(R, z):
    """R / z; nothing is sent through a denominator of zero."""
    return np.where(z == 0, 0, R / np.where(z == 0, 1, z))


def propagate(a, w, b, R, rho, epsilon):
    """From the relevance R_k of a layer's outputs to R_j of its inputs; also what biases and epsilon took."""
    z = a @ rho(w) + rho(b)  # step 1: z_k = sum_0,j a_j rho(w_jk)
    away = epsilon * np.where(z >= 0, 1, -1)
    s = divide(R, z + away)  # step 2: s_k = R_k / (z_k + epsilon)
    c = rho(w) @ s  # step 3: c_j = sum_k rho(w_jk) s_k
    return a * c, {"biases": (rho(b) * s).sum(), "epsilon": (away * s).sum()}  # step 4: R_j = a_j c_j


def propagate_to_pixels(x, w, R, low, high):
    """The rule z^B: x_i w_ij - l_i w_ij+ - h_i w_ij- takes the place of a_j rho(w_jk)."""
    up, down = np.maximum(0, w), np.minimum(0, w)
    z = x @ w - low @ up - high @ down
    s = divide(R, z)
    return x * (w @ s) - low * (up @ s) - high * (down @ s), {"biases": 0.0, "epsilon": 0.0}


def lrp_0(w):
    """rho of LRP-0 and of LRP-epsilon: the weight itself."""
    return w


def gamma(w):
    """rho of LRP-gamma, with gamma = 1/4."""
    return w + 0.25 * np.maximum(0, w)


def explain(a, W, B, target, recipe):
    """The relevance at every layer, from the pixels up, and what was lost; `recipe` has one entry per layer."""
    R, lost = [np.where(np.arange(len(a[-1])) == target, a[-1], 0)], []  # the top: one logit, and zeros
    for layer in reversed(range(len(W))):
        if recipe[layer] == "z^B":
            below, loss = propagate_to_pixels(a[0], W[0], R[0], np.zeros_like(a[0]), np.ones_like(a[0]))
        else:
            below, loss = propagate(a[layer], W[layer], B[layer], R[0], *recipe[layer])
        R.insert(0, below)
        lost.insert(0, loss)
    return R, lost


# %% [markdown]
# That is all of it.

# %%
whole = (forward, divide, propagate, propagate_to_pixels, lrp_0, gamma, explain)
count = sum(len(inspect.getsource(part).splitlines()) + 2 for part in whole)
print(count, "lines, with the blank ones in between")
assert 50 < count <= 60

# %% [markdown]
# ## Two maps
#
# **Before you look:** which parts of the four do you expect to speak for it? Will any ink speak *against* it? Will
# blank paper get any relevance?
#
# We try two recipes: LRP-0 in every layer, and a rule for each kind of layer, as the chapter recommends (sec. 10.3):
# LRP-0 at the top, gamma below, and $z^\mathcal{B}$ for the pixels.

# %% alt="A four and two maps of it: LRP-0 has red and blue specks on the ink, the other is red all around the strokes"
recipes = {"LRP-0 everywhere": [(lrp_0, 0.0)] * 3, "a rule per layer": ["z^B", (gamma, 0.0), (lrp_0, 0.0)]}
found = {name: explain(activations, W, B, 4, recipe) for name, recipe in recipes.items()}
figure = Figure(figsize=(8.2, 2.7), layout="constrained")
left, *panels = figure.subplots(1, 3)
left.imshow(digit, cmap="gray_r")
left.set_title("the picture", fontsize=10)
for ax, (name, (R, _)) in zip(panels, found.items(), strict=True):
    limit = abs(R[0]).max()
    drawn = ax.imshow(R[0].reshape(28, 28) / limit, cmap="RdBu_r", vmin=-1, vmax=1)
    ax.contour(digit, [0.5], colors="0.35", linewidths=0.6)
    ax.set_title(f"{name}\nlargest {limit:.2f}", fontsize=10)
for ax in figure.axes:
    ax.set_axis_off()
figure.colorbar(drawn, ax=panels, label="relevance / its largest\n(red: for, blue: against)")
figure

# %%
paper = x == 0
for name, (R, _) in found.items():
    pixels = R[0]
    print(f"{name:17} ink for {pixels[~paper & (pixels > 0)].sum():6.2f}, ink against", end=" ")
    print(f"{pixels[~paper & (pixels < 0)].sum() + 0.0:6.2f}, blank paper {pixels[paper].sum():6.2f}")
first, second = (R[0] for R, _ in found.values())
assert_allclose([first[~paper & (first > 0)].sum(), first[~paper & (first < 0)].sum()], [24.2, -6.35], atol=0.01)
assert_allclose(-first[first < 0].sum() / abs(first).sum(), 0.2, atol=0.01)  # a fifth
assert (first[paper] == 0).all()
assert (second > -1e-12).all()
assert second[paper].sum() > 3 * second[~paper].sum()

# %% [markdown]
# Red pixels speak for the four, blue ones against it.
#
# - Under **LRP-0**, a fifth of the ink's relevance is against the answer, and red and blue sit side by side. Blank
#   paper gets exactly nothing.
# - Under the **second recipe**, nothing speaks against. And most of the relevance is on blank paper: this four owes
#   more to the places where nobody wrote than to the ink.
#
# Two recipes, and two accounts of the same answer that could hardly be more different. Neither is *the* explanation.
# That is the first surprise of LRP, and most of what follows is about it.
#
# ## Is anything lost on the way?
#
# We handed down 18.9. Does it arrive?

# %%
for name, (R, lost) in found.items():
    print(f"{name:17}", " -> ".join(f"{each.sum():.2f}" for each in reversed(R)))
    taken = [loss["biases"] for loss in reversed(lost)]
    print(f"{'to the biases':17}      ", "    ".join(f"{share:5.2f}" for share in taken))
    assert_allclose(R[0].sum() + sum(taken), logits[4], rtol=1e-12)
assert_allclose([R[0].sum() for R, _ in found.values()], [17.85, 18.55], atol=0.006)

# %% [markdown]
# Not all of it, and the second line of each pair says where the rest went: to the biases. The zeroth neuron has a share
# like everybody else, and no pixel to show it on. The books close.
#
# ## The library says the same
#
# Everything else on these pages uses lrpref, which does this for any network, rule and shape, and keeps the books. Does
# it agree with our sixty lines?

# %%
per_layer = lrpref.composites.Composite([("fc1", rules.ZBox(0, 1)), ("fc2", rules.Gamma(0.25)), ("fc3", rules.Zero())])
for (name, (R, _)), rule in zip(found.items(), ("zero", per_layer), strict=True):
    tr = lrpref.trace(trained, digit[None, None], target=4, rule=rule)
    for node, ours in zip(("flatten", "relu1", "relu2"), R, strict=False):
        assert_allclose(tr.at[node][0], ours, rtol=1e-9, atol=1e-12)
    print(f"{name:17} agrees, at every pixel and every neuron")

# %% [markdown]
# ## What sixty lines leave open
#
# | these lines | what they leave open | step |
# |---|---|---|
# | `divide` | why in proportion? what if $z$ is small? | [1](01_one_neuron.md), [6](06_small_denominators.md) |
# | `rho`, `epsilon` | what does a rule decide? | [2](02_a_layer.md) |
# | `propagate_to_pixels` | where does such a formula come from? | [2b](02b_deep_taylor.md) |
# | `"biases"` | must a map sum to the output? | [3](03_the_ledger.md) |
# | `recipe` | which rule for which layer, and what may we conclude? | [4](04_a_real_digit.md) |
# | `a @ w` | what of convolutions and pooling? | [5](05_a_convolution.md) |
# | `zip(W, B)` | and of normalisation? of skips? | [7](07_batch_normalisation.md), [8](08_skip_connections.md) |
# | `digit` | and of a photograph? | [8b](08b_a_photograph.md) |
# | `found` | which of the two maps is better? | [10](10_is_it_any_good.md) |
#
# From step 1 on, the letters change: the pages use $i$ and $j$ where the chapter uses $j$ and $k$ (a table in step 2
# translates the rest).
#
# Next: one neuron, by hand.
