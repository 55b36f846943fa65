# %% [markdown]
# # 14. What can you say now?
#
# Somebody asks you why a network gave a certain answer for an input. **What sentence will you write, and can you defend
# every word of it?**
#
# This last step contains nothing new. It explains one digit from the beginning, with all checks of the earlier steps,
# and ends with the sentence. Use it as a template.

# %%
# %matplotlib inline
import numpy as np
from numpy.testing import assert_allclose

import lrpref
from lrpref import evaluation, plot, rules
from lrpref.evaluation import baselines
from lrpref.evaluation.maps import cosine

x = lrpref.samples.load("hard-3").astype(np.float64)
trained = lrpref.load("mnist-cnn-bn").astype(np.float64)

# %% [markdown]
# ## 1. Know the network (steps 7 and 8)
#
# Which layers does it have, and what has to be folded? Every layer that remains must have a rule.

# %%
net = lrpref.fuse(trained, verify=x)  # an error, if folding changed any output
print(net)
print("accuracy on test digits:", lrpref.weights.metadata("mnist-cnn-bn")["accuracy"]["test"])
assert not lrpref.fusion_plan(trained).kept

# %% [markdown]
# ## 2. Ask a precise question (step 4)
#
# Do not just ask "why?", but "why *this* output rather than another one?", and say which other one.

# %%
logits = net.forward(x)[0]
answer, second = (int(k) for k in np.argsort(-logits)[:2])
print(f"the network's answer is {answer} ({logits[answer]:.2f}); the second answer is {second} ({logits[second]:.2f})")
assert (answer, second) == (3, 8)

# %% [markdown]
# ## 3. Choose the rules, and say which (steps 2, 2b and 6)

# %%
recipe = lrpref.composites.EpsilonPlus()
print(recipe.assign(net))

# %% [markdown]
# ## 4. Account for all relevance (step 3)
#
# How much arrived at the pixels, how much went to biases and stabilizers, and is the residual only rounding noise?

# %%
tr = lrpref.trace(net, x, answer, recipe)
share = {name: tr.ledger[name].sum() / logits[answer] for name in ("bias", "stabilizer", "dropped")}
share["pixels"] = tr.relevance.sum() / logits[answer]
print(", ".join(f"{name} {part:.1%}" for name, part in share.items()))
print("residual below 1e-12:", abs(tr.ledger.residual()).max() < 1e-12)
assert abs(tr.ledger.residual()).max() < 1e-12
assert_allclose([share["pixels"], share["bias"]], [0.648, 0.352], atol=0.001)

# %% [markdown]
# ## 5. Was it computed correctly? (steps 0, 12 and 13)
#
# Compare with a second implementation, and with another precision. Step 0 is a second implementation for fully
# connected layers. For all layers, the library has another one, which is slow, follows the formulas literally, and
# shares no code with the first. Here we use it on the last layer; the tests use it on all layers.

# %%
top = np.where(np.arange(10) == answer, logits, 0)[None]
hidden = net.activations(x)[net.node("fc2").inputs[0]]
by_matrix = lrpref.messages(net["fc2"], hidden, top, rules.Epsilon())[0].sum(axis=-1)
assert_allclose(tr.at[net.node("fc2").inputs[0]][0], by_matrix, rtol=1e-9, atol=1e-12)
in_single = lrpref.explain(lrpref.fuse(lrpref.load("mnist-cnn-bn")), x.astype(np.float32), answer, recipe)
error = np.linalg.norm(in_single - tr.relevance) / np.linalg.norm(tr.relevance)
print("single precision changes less than a millionth of the map:", error < 1e-6)
assert error < 1e-6

# %% [markdown]
# ## 6. Does it depend on the answer? (steps 8b and 10)
#
# Compare it with the map for the second answer, with the picture itself, and with the map of a network with random
# weights.

# %%
other = lrpref.explain(net, x, second, recipe)
randomised = evaluation.parameter_randomisation(net, x, recipe, answer, similarity="cosine").similarity[-1, 0]
alike = {
    "the map for the second answer": cosine(tr.relevance, other)[0],
    "the picture itself": cosine(tr.relevance, x)[0],
}
alike["the map after all weights were made random"] = randomised
for what, value in alike.items():
    print(f"cosine with {what:43} {value:5.2f}")

# %% [markdown]
# ## 7. Is it any good? (step 10)
#
# We use pixel flipping, with baselines, under two fills.

# %%
maps = {"epsilon-plus": tr.relevance, "sobel": baselines.baseline("sobel", net, x, [answer])}
maps["random"] = baselines.baseline("random", net, x, [answer])
scores = {}
for fill in ("zero", "mean"):
    scores[fill] = {name: evaluation.abpc(net, x, R, [answer], step=14, fill=fill).area[0] for name, R in maps.items()}
    print(f"fill {fill:5}", "   ".join(f"{name} {score:.1f}" for name, score in scores[fill].items()))

# %% [markdown]
# ## 8. Test the sentence itself (step 4)
#
# Here are the map and the contrast with the second answer:

# %% alt="A three with a closed lower loop, its map, and three rather than eight: red on the lower right arc"
contrast = tr.relevance - other
plot.grid(x, {"why three?": tr.relevance, "why three rather than eight?": contrast}, "hard-3 under epsilon-plus")

# %% [markdown]
# A three whose lower loop is closed could be an eight with an open upper loop. The contrast is red on the lower right
# arc. So the sentence might be: *the network's answer is three rather than eight because of the arc at the lower
# right.* If this is true, the lead of the three over the eight should fall if we erase this arc, and by more than if we
# erase another part of similar size. **Do you expect this?**

# %%
parts = {"lower right arc": np.s_[..., 12:22, 17:], "lower left arc": np.s_[..., 13:23, :11], "top": np.s_[..., :8, :]}


def lead(image):
    """By how much the three leads the eight."""
    logits = net.forward(image)[0]
    return logits[answer] - logits[second]


changes = {}
print(f"as written, the three leads by {lead(x):.2f}; of this, {contrast.sum():.2f} are on pixels")
for name, part in parts.items():
    erased = x.copy()
    erased[part] = 0
    changes[name] = lead(erased) - lead(x)
    print(
        f"{name:16} holds {contrast[part].sum():5.2f} of the contrast; erased, the lead changes by {changes[name]:+.2f}"
    )
rest = contrast.sum() - sum(contrast[part].sum() for part in parts.values())
print(f"all other pixels hold {rest:.2f}")
assert_allclose(list(changes.values()), [-5.48, 8.19, -0.16], atol=0.01)
assert contrast[parts["lower right arc"]].sum() > max(rest, contrast[parts["lower left arc"]].sum())
assert contrast[parts["lower left arc"]].sum() > 1

# %% [markdown]
# The arc at the lower right passes the test: without it, most of the lead is gone. But the test also shows a mistake of
# the map. The map counts the arc at the lower *left* in favour of the three, too. If we erase this arc, the three leads
# by *more*, because this stroke closes the loop, which is characteristic of an eight. Here, the sign of the map is
# wrong.
#
# ## The sentence
#
# > Under epsilon-plus, with BatchNorm folded, 65 % of the logit of 9.80 is attributed to pixels and 35 % to biases. The
# > picture alone does not explain the map (cosine 0.72), and the map changes when the weights are made random (0.29).
# > Of the lead of 6.7 of the three over the eight, 4.1 are attributed to pixels. The arc at the lower right holds the
# > largest part of that, 1.7, and erasing it takes away 5.5. For the arc at the lower left, the map and the test
# > disagree. This is a result for one digit, one rule and one way of erasing.

# %%
print(f"{share['pixels']:.0%}, {share['bias']:.0%}, logit {logits[answer]:.2f}; cosines", end=" ")
print(f"{alike['the picture itself']:.2f}, {randomised:.2f}; of {lead(x):.1f}, {contrast.sum():.1f} are on pixels")
arc = contrast[parts["lower right arc"]].sum()
print(f"the lower right arc holds {arc:.1f}; erasing it takes away {-changes['lower right arc']:.1f}")
assert_allclose([contrast.sum(), arc], [4.06, 1.68], atol=0.01)
assert_allclose([alike["the picture itself"], randomised], [0.72, 0.29], atol=0.005)
assert_allclose([logits[answer], lead(x)], [9.80, 6.67], atol=0.005)
assert scores["zero"]["epsilon-plus"] > 2 * scores["zero"]["sobel"]
assert scores["mean"]["epsilon-plus"] > 2 * scores["mean"]["sobel"]

# %% [markdown]
# This is longer than "the network looked here", but every word of it can be checked.
#
# ## The whole course in ten lines
#
# 1. A neuron divides its relevance in proportion to contributions; biases take a share (steps 0 and 1).
# 2. A rule decides only the numerators and what is added to the denominators (step 2).
# 3. Arguments for a rule rest on assumptions, which you should know (step 2b).
# 4. A map need not sum to the output, and the ledger shows why (step 3).
# 5. A map divides up *this* output. It does not predict another one, and it does not show what is missing (step 4).
# 6. Convolutions of pictures, signals and volumes are sparse matrices; max-pools only route relevance (steps 5 and 8c).
# 7. Small denominators cancel if the relevance is proportional to them, and only then (step 6).
# 8. Write the function with as few layers as possible; divide relevance at joins, and do not copy it (steps 7 and 8).
# 9. In a deep chain, the map of a one-sided rule hardly depends on the class (step 8b); a rule without a printed
#    formula can be many rules (step 9).
# 10. Measure maps against baselines and under more than one fill, and test the sentence on the network (step 10).
#
# If you write such programs, test laws and not only examples (step 11), compare with cases worked out by hand and not
# only with another library (step 12), and use exact fractions to find out how many digits are correct (step 13).
#
# ## Where to go from here
#
# - **Explain your own network**: [from PyTorch, ONNX, Keras or scikit-learn](../../docs/import.md); signals and volumes
#   in [docs/signals.md](../../docs/signals.md); pictures in [docs/plot.md](../../docs/plot.md).
# - **Write a rule or a layer of your own**, and test it: [docs/own-rule.md](../../docs/own-rule.md),
#   [docs/own-layer.md](../../docs/own-layer.md), [docs/testing.md](../../docs/testing.md).
# - **Read the code**: [lrpref/README.md](../../lrpref/README.md) gives the order.
# - **See which published claims we could reproduce**: [docs/papers.md](../../docs/papers.md).
# - **Read the papers**: Bach et al. 2015 for the idea, Montavon et al. 2017 for a derivation of some rules, Montavon et
#   al. 2019 for the choice of rules by layer, and Adebayo et al. 2018 and Sixt et al. 2020 for objections that you
#   should know.
