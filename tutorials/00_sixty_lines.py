# %% [markdown]
# # 0. What is LRP, in sixty lines?
#
# A network looks at a picture and says *four*. **Which pixels made it say so?**
#
# This page answers the question for one network and one picture, with NumPy and nothing else. It contains all of
# Layer-wise Relevance Propagation (LRP), in the notation of the chapter from which most people learn it (Montavon et
# al. 2019, LNCS 11700, secs. 10.2 and 10.3). Read it once, quickly, and do not stop at what you do not understand. The
# later steps explain it in detail, and a table at the end of this page shows which step explains which line.

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
# A neuron $k$ multiplies the activation of each neuron $j$ below it by a weight, and adds up the products and a bias. A
# negative sum becomes zero.
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
# The logit of the four is 18.9, and the other nine are all negative.
#
# ## Backward
#
# This 18.9 is the *relevance* of the neuron at the top. We pass it down, layer by layer. Neuron $k$ divides its
# relevance $R_k$ among the neurons $j$ below it, in proportion to what each of them contributed to its sum:
#
# $$R_j = \sum_k \frac{a_j \, \rho(w_{jk})}{\epsilon + \sum_{0,j} a_j \, \rho(w_{jk})} R_k$$
#
# With $\rho(w) = w$ and $\epsilon = 0$, this is the rule LRP-0. With a small $\epsilon$ it is LRP-epsilon, and with
# $\rho(w) = w + \gamma w^+$, where $w^+ = \max(0, w)$, it is LRP-gamma, which favours contributions *for* the neuron.
# The chapter computes all of them in four steps, which are the four numbered lines below.
#
# Pixels need a rule of their own. A white pixel is 0, so under the rules above it would never get any relevance, even
# where the answer depends on the paper being blank. The rule $z^\mathcal{B}$ compares a pixel with the smallest and the
# largest value, $l$ and $h$, that it could have had.


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
# This is the complete method.

# %%
whole = (forward, divide, propagate, propagate_to_pixels, lrp_0, gamma, explain)
count = sum(len(inspect.getsourcelines(part)[0]) + 2 for part in whole)
print(count, "lines, with the blank ones in between")
assert 50 < count <= 60

# %% [markdown]
# ## Two maps
#
# **Before you look:** which parts of the four do you expect to count for it? Will any ink count *against* it? Will
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
# Red pixels count for the four, and blue ones count against it.
#
# - Under **LRP-0**, a fifth of the ink's relevance counts against the answer, and red and blue pixels lie side by side.
#   Blank paper gets exactly 0.
# - Under the **second recipe**, no pixel counts against the answer, and most of the relevance is on blank paper. By
#   this account, the answer depends more on where the paper is blank than on the ink.
#
# The two recipes give very different accounts of the same answer, and neither is the only correct one. Most of the
# following steps are about this choice.
#
# ## Is anything lost on the way?
#
# We started with a relevance of 18.9. Does all of it arrive at the pixels?

# %%
for name, (R, lost) in found.items():
    print(f"{name:17}", " -> ".join(f"{each.sum():.2f}" for each in reversed(R)))
    taken = [loss["biases"] for loss in reversed(lost)]
    print(f"{'to the biases':17}      ", "    ".join(f"{share:5.2f}" for share in taken))
    assert_allclose(R[0].sum() + sum(taken), logits[4], rtol=1e-12)
assert_allclose([R[0].sum() for R, _ in found.values()], [17.85, 18.55], atol=0.006)

# %% [markdown]
# It does not. The second line of each pair shows where the rest went: to the biases. The zeroth neuron has a share like
# every other neuron, but there is no pixel to show it on. Pixels and biases together add up to 18.9.
#
# ## Compare with the library
#
# All other steps use lrpref, which does this for other networks, rules and shapes, and records where relevance is lost.
# Does it agree with our sixty lines?

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
# | `rho`, `epsilon` | what does a rule determine? | [2](02_a_layer.md) |
# | `propagate_to_pixels` | where does such a formula come from? | [2b](02b_deep_taylor.md) |
# | `"biases"` | must a map sum to the output? | [3](03_the_ledger.md) |
# | `recipe` | which rule for which layer, and what may we conclude? | [4](04_a_real_digit.md) |
# | `a @ w` | how do convolutions and pooling work? | [5](05_a_convolution.md) |
# | `zip(W, B)` | what about normalisation? and skips? | [7](07_batch_normalisation.md), [8](08_skip_connections.md) |
# | `digit` | does it work for a photograph? | [8b](08b_a_photograph.md) |
# | `found` | which of the two maps is better? | [10](10_is_it_any_good.md) |
#
# From step 1 on, the pages use $i$ and $j$ where the chapter uses $j$ and $k$. A table in step 2 translates the other
# letters.
#
# The next step works out one neuron by hand.
