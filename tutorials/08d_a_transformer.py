# %% [markdown]
# # 8d. And a transformer?
#
# So far, every layer had weights that were fixed after training. A neuron computed a sum of inputs times weights, and a
# rule determined how to divide the sum. A transformer multiplies *activations by activations*: how much one word takes
# from another is computed from both of them. **How should LRP divide a product of two factors that both depend on the
# input?**
#
# We first look at the product of two numbers, and then explain a network that reads film reviews.

# %%
# %matplotlib inline
from fractions import Fraction

import numpy as np
from numpy.testing import assert_allclose

import lrpref
from lrpref import LayerNorm, MatMul, Multiply, Network, Slice, Softmax, composites, plot, rules
from lrpref.zoo import text

# %% [markdown]
# ## Two factors
#
# The output is 2 times 3, so there is a relevance of 6 to divide. The gradient for the first factor is 3, and for the
# second it is 2. **What does gradient times input give to the two factors, and what is the sum?**

# %%
x1, x2 = 2, 3
gradient_times_input = (x1 * x2, x2 * x1)
print("gradient x input:", gradient_times_input, "sum", sum(gradient_times_input), "for an output of", x1 * x2)
assert sum(gradient_times_input) == 2 * x1 * x2

# %% [markdown]
# Each factor gets all of the output, so the sum is twice the output. Two proposals conserve relevance:
#
# - **Half each.** This is AttnLRP (Achtibat et al. 2024, arXiv 2402.05602): 3 and 3.
# - **All to one.** One factor is treated as the *signal*, and the other one as a constant weight: 6 and 0. This is
#   CP-LRP (Ali et al. 2022, arXiv 2202.07304); for gates it is older (Arras et al. 2017, arXiv 1706.07206).
#
# Neither follows from the product. A product does not change if its factors are exchanged, which is an argument for
# halves. But if the first factor is only a switch that lets the second one through, there is little reason to give
# relevance to the switch.
#
# In attention, the switches are the *attention weights*, and the signal is called the *values*. Suppose that one word
# reads two others, with the weights 1/4 and 3/4, and that their values are 8 and 4. In exact fractions:

# %%
weights, values = lrpref.exact([[[Fraction(1, 4), Fraction(3, 4)]]]), lrpref.exact([[[8], [4]]])
mixed = MatMul().forward(weights, values)
print("output", mixed[0, 0, 0])
shares = {}
for split in ("half", "signal"):
    to_weights, to_values = MatMul(split=split).relevance((weights, values), mixed, rules.Zero())
    shares[split] = [*to_weights.ravel(), *to_values.ravel()]
    print(f"{split:6}  weights", *to_weights.ravel(), "  values", *to_values.ravel())
assert shares["half"] == [1, Fraction(3, 2), 1, Fraction(3, 2)]
assert shares["signal"] == [0, 0, 2, 3]

# %% [markdown]
# The contributions are $\frac14 \cdot 8 = 2$ and $\frac34 \cdot 4 = 3$. CP-LRP gives them to the values. AttnLRP gives
# half of each to the value, and the other half to the weight.
#
# ## Softmax
#
# The relevance of the weights must be passed on, through the softmax, to the scores from which they were computed. Here
# the scores were 0 and $\ln 3$. AttnLRP expands the softmax into its Taylor series at the scores, and each score gets
#
# $$R_i = x_i \left( R_i^{\text{weight}} - s_i \sum_j R_j^{\text{weight}} \right)$$
#
# **The second weight is 3/4, and received 3/2 of a total of 5/2. Is the relevance of its score positive or negative?**

# %%
scores = np.log([[1.0, 3.0]])
flow = Softmax().flow((scores,), np.array([[1.0, 1.5]]), None)
print("scores receive", flow.inputs[0].round(3), "  the constant term keeps", flow.losses["bias"].round(3))
assert_allclose(flow.inputs[0], [[0, np.log(3) * (3 / 2 - 3 / 4 * 5 / 2)]])
assert_allclose(flow.inputs[0].sum() + flow.losses["bias"], 2.5)

# %% [markdown]
# It is slightly negative: the weight received three fifths of the relevance, which is less than its three quarters of
# the attention. All relevance is accounted for, but the constant term of the series takes more than all of it, which
# the ledger records as *bias*. Under CP-LRP, no relevance arrives at a softmax, so the question does not arise.
#
# ## LayerNorm
#
# The third new layer subtracts the mean of its inputs and divides by their standard deviation. **Multiply all inputs by
# ten. What happens to the outputs? So what is the sum of gradient times input?**

# %%
norm, a = LayerNorm(2, eps=0.0), np.array([[[1.0, 3.0]]])
print("of (1, 3):", norm.forward(a)[0, 0], "  of (10, 30):", norm.forward(10 * a)[0, 0])
assert_allclose(norm.forward(10 * a), norm.forward(a))
R = norm.relevance(a, np.array([[[0.0, 1.0]]]), rules.Zero())
print("LRP-0, for an output of 1 at the second place:", R[0, 0], "  sum", R.sum())
assert_allclose(R, [[[-0.5, 1.5]]])

# %% [markdown]
# The outputs do not change. So the derivative in the direction of the input is zero, and gradient times input sums to
# exactly **0**. Euler's theorem covers all of these cases: if multiplying all inputs by a factor multiplies the
# function by the $k$-th power of this factor, gradient times input sums to $k$ times the function. A weighted sum
# without a bias has $k = 1$, and there LRP-0 and gradient times input are the same. A product has $k = 2$, and a
# normalisation $k = 0$.
#
# LRP treats the standard deviation as a constant. Then the layer is linear, and the usual LRP-0 applies. Here the
# standard deviation is 1, and the second output is $-\frac12 \cdot 1 + \frac12 \cdot 3$.
#
# ## The order of multiplication
#
# Halves have a disadvantage. A map should depend on the function and not on how it is written, but $2 \cdot 3 \cdot 4$
# can be multiplied from the left or from the right. **What do the three factors get?**

# %%
cut = [(f"x{k}", Slice(1, k - 1, k), ["input"]) for k in (1, 2, 3)]
written = {
    "(x1 x2) x3": [("pair", Multiply(), ["x1", "x2"]), ("out", Multiply(), ["pair", "x3"])],
    "x1 (x2 x3)": [("pair", Multiply(), ["x2", "x3"]), ("out", Multiply(), ["x1", "pair"])],
}
factors, found = lrpref.exact([[2, 3, 4]]), {}
for how, products in written.items():
    net = Network([*cut, *products])
    found[how] = [int(R) for R in lrpref.explain(net, factors, rule="zero")[0]]
    print(f"{how}  =  {net.forward(factors)[0, 0]}:", *found[how])
assert found == {"(x1 x2) x3": [6, 6, 12], "x1 (x2 x3)": [12, 6, 6]}

# %% [markdown]
# The same function has two maps, each with a sum of 24. To give each factor a third, a rule would have to take into
# account that one of its factors is itself a product (You et al. 2025, arXiv 2510.18810). The other proposal depends on
# which factor is called the signal. In attention there is a customary choice, but a custom is not an argument.
#
# ## A sentence
#
# `review-transformer` has two blocks of attention and answers *unfavourable* or *favourable*. We explain by how much
# *favourable* leads (a contrast, as in step 4), so red words count for *favourable* and blue ones against it.
#
# **"A great idea becomes a not great movie." Before you look: which word decides?**

# %%
about = lrpref.weights.metadata("review-transformer")
words, net = about["input"]["words"], lrpref.load("review-transformer").astype(np.float64)
sentence, x = text.words("review-bad"), text.indices("review-bad", words)
GOOD, BAD = about["classes"].index("favourable"), about["classes"].index("unfavourable")


def lead(x):
    """By how much "favourable" leads, for each sentence."""
    logits = net.forward(x)
    return logits[:, GOOD] - logits[:, BAD]


names = {"AttnLRP": "attn-lrp", "CP-LRP": "cp-lrp"}
traces = {name: lrpref.contrast(net, x, GOOD, BAD, rule=rule) for name, rule in names.items()}
print(f"favourable leads by {lead(x)[0]:.2f}: the network says {about['classes'][net.forward(x).argmax()]}")
assert lead(x)[0] < 0

# %% [markdown]
# For comparison, we also compute gradient times input, with the gradient for the word vectors from central differences.

# %%
rest = Network([(name, layer, ["input" if i == "words" else i for i in ins]) for name, layer, ins in net.nodes[1:]])
vectors = net.activations(x)["words"]
steps = 1e-5 * np.eye(vectors.size).reshape(-1, *vectors.shape[1:])
ahead, behind = (rest.forward(vectors + sign * steps) for sign in (1, -1))
slopes = (ahead - behind)[:, [GOOD, BAD]] @ [1, -1] / 2e-5
by_gradient = (slopes.reshape(vectors.shape) * vectors).sum(axis=2)
maps = {"gradient\nx input": by_gradient} | {name: tr.relevance for name, tr in traces.items()}

# %% alt="The words of the sentence in three rows of colours: both great are red, idea is the darkest blue, not is blue"
plot.words(sentence, maps, "favourable (red) or unfavourable (blue)?")

# %%
for name, R in maps.items():
    print(
        f"{' '.join(name.split()):16} sum {R.sum():5.2f} =",
        " ".join(f"{w} {r:+.2f}" for w, r in zip(sentence, R[0], strict=True)),
    )
IDEA, NOT, GREAT = sentence.index("idea"), sentence.index("not"), sentence.index("great")
assert by_gradient.sum() > 1
for R in (tr.relevance[0] for tr in traces.values()):
    assert R.argmin() == IDEA
    assert R[NOT] < 0 < R[GREAT]

# %% [markdown]
# It is not the word "not". In both LRP maps it is **"idea"**. Perhaps reviewers who concede that a film was a good
# *idea* do not like the film. This is a result that we did not expect, and below we test it.
#
# ## Where the relevance went
#
# Gradient times input sums to 1.65 for a lead of -1.98. It counts products twice and normalisations not at all, and
# here even the sign of the sum is wrong. The words do not sum to the lead under AttnLRP either; under CP-LRP they
# nearly do. **Where is the rest under AttnLRP?**

# %%
for name, tr in traces.items():
    kept = {}
    for entry in tr.ledger.entries:
        kept[entry.layer] = kept.get(entry.layer, 0) + entry.columns["bias"][0]
    most = sorted(kept.items(), key=lambda item: -abs(item[1]))[:3]
    print(f"{name:8} lead {lead(x)[0]:.2f}, words {tr.relevance.sum():.2f}; kept by", end=" ")
    print(*(f"{layer} {bias:.2f}" for layer, bias in most), sep=", ")
    assert abs(tr.ledger.residual()).max() < 1e-12
    if name == "AttnLRP":
        assert most[0][0] == "Softmax"
        assert most[0][1] / lead(x)[0] > 0.5

# %% [markdown]
# More than half of it went to the constant terms of the softmaxes, as in our example above. Under both composites, all
# relevance is accounted for. This does not mean that both maps are good (step 3), as the next example shows: the same
# composites, and AttnLRP with gamma on the layers with weights, on a vision transformer. It cuts a digit into sixteen
# patches, its *tokens*, and reads them like words.

# %% alt="A four and three maps: red and blue pixels on its strokes under AttnLRP and CP-LRP, mostly red under gamma"
vit, four = lrpref.load("mnist-vit").astype(np.float64), lrpref.samples.load("digit-4").astype(np.float64)
recipes = {"AttnLRP": composites.AttnLRP(), "AttnLRP, gamma": composites.AttnLRP(gamma=0.25)}
recipes |= {"CP-LRP": composites.CPLRP()}
digits = {name: lrpref.trace(vit, four, 4, rule) for name, rule in recipes.items()}
plot.grid(four, {name: tr.relevance for name, tr in digits.items()}, "mnist-vit: why a four?", scale="each")

# %%
for name, tr in digits.items():
    residual = abs(tr.ledger.residual()).max() / max(abs(R).max() for R in tr.at.values())
    print(f"{name:15} logit {tr.logits[0, 4]:.2f}, pixels {tr.relevance.sum():8.2f}   relative residual {residual:.1e}")
    assert residual < 1e-13  # relative to the largest relevance anywhere
    assert (abs(tr.relevance.sum()) > 100 * tr.logits[0, 4]) == (name == "CP-LRP")

# %% [markdown]
# Under CP-LRP, the pixels get six hundred times the logit, and the biases get a negative amount of nearly the same
# size. **In which layer does this happen?** The table lists the sum of magnitudes above and below every norm.

# %%
norms = [name for name, layer, _ in vit.nodes if isinstance(layer, LayerNorm)]
below = {name: vit.node(name).inputs[0] for name in norms}
grew = {}
for name, tr in digits.items():
    grew[name] = {n: (abs(tr.at[n]).sum(), abs(tr.at[below[n]]).sum()) for n in norms}
    backward = [(n.removeprefix("blocks."), *grew[name][n]) for n in reversed(norms)]
    print(f"{name:15}", *(f"{n} {up:.0f} > {down:.0f}" for n, up, down in backward))
above, under = grew["CP-LRP"]["blocks.0.norm2"]
assert under > 200 * above
arriving = vit.activations(four)[below["blocks.0.norm2"]]
closest = abs(arriving - arriving.mean(axis=-1, keepdims=True)).min()
print(f"the smallest distance of an activation from the mean of its token: {closest:.1e}")
assert closest < 1e-6

# %% [markdown]
# Read each line from left to right, from the output towards the pixels. The first jump is in one LayerNorm, `0.norm2`,
# and the attention between it and `0.norm1` makes it seven times larger again. In `0.norm2`, CP-LRP divides by the
# distance of an activation from the mean, which for one activation is less than a millionth: a small denominator (step
# 6), for which an epsilon of $10^{-6}$ is not enough. On other inputs, other rules may have this problem. The figure
# does not show it, because each map is drawn on its own scale. So look at the sums first.
#
# ## Test the maps on the network
#
# In training, a tenth of the words were hidden at random, that is, replaced by "unknown". So the network knows hidden
# words, and hiding is a fairer test here than painting over a photograph was (step 8b). By how much does each word
# raise the lead? Many people look at attention weights instead. So we also ask how much **attention** each word
# receives, on average over the words that read it and over the heads (an attention layer consists of several heads,
# which work in parallel, each with weights of its own).

# %%
UNKNOWN = words.index(text.UNKNOWN)
hidden = np.repeat(x, len(sentence), axis=0)
np.fill_diagonal(hidden, UNKNOWN)
effect = lead(x) - lead(hidden)
seen = net.activations(x)
attention = {k: seen[f"blocks.{k}.self_attn.weights"][0].mean(axis=(0, 1)) for k in (0, 1)}
columns = {"gradient x in.": by_gradient[0]} | {name: tr.relevance[0] for name, tr in traces.items()}
columns |= {"attention 1": attention[0], "attention 2": attention[1], "by hiding it": effect}
print(f"{'':12}" + "".join(f"{name:>15}" for name in columns))
for k, word in enumerate(sentence):
    print(f"{word:12}" + "".join(f"{column[k]:15.2f}" for column in columns.values()))
correlation = {name: np.corrcoef(column, effect)[0, 1] for name, column in columns.items()}
print(f"{'correlation':12}" + "".join(f"{r:15.2f}" for r in correlation.values()))
unsigned = [np.corrcoef(each, abs(effect))[0, 1] for each in attention.values()]
print("correlation of attention with the size of the effect:", *np.round(unsigned, 2))
assert effect.argmin() == IDEA
assert lead(hidden)[IDEA] > 0  # the answer turns over
assert min(correlation[name] for name in ("gradient x in.", *names)) > 0.8
assert max(correlation["attention 1"], correlation["attention 2"]) < 0
assert min(unsigned) > 0.6
assert lead(hidden)[NOT] < 0
assert abs(attention[0][GREAT] - attention[0][IDEA]) < 0.005
assert_allclose(effect[[GREAT, IDEA]], [1.17, -4.92], atol=0.01)

# %% [markdown]
# Without "idea", *favourable* leads: the maps were right about a word that we would not have chosen. Without "not", the
# answer stays *unfavourable*. Gradient times input orders the words nearly as well, but its sum has no meaning. (This
# is one sentence, and nine words are few for a correlation.)
#
# **Attention weights are not an explanation.** In the first block, the first "great" and "idea" receive practically the
# same attention. If we hide "great", the lead falls by 1.2. If we hide "idea", it *rises* by 4.9. Attention shows from
# where something was read. It is correlated with the size of the effects, but it has no sign, and it shows neither what
# was read nor how it was used.
#
# Here is one more prediction. For "Witty, touching and well paced.", *favourable* leads by 3.3. **By how much does the
# lead fall if we hide "witty", and if we hide "touching"?**

# %%
praise = text.indices("review-good", words)
one_hidden = np.repeat(praise, praise.size, axis=0)
np.fill_diagonal(one_hidden, UNKNOWN)
R = lrpref.explain(net, praise, GOOD, "cp-lrp") - lrpref.explain(net, praise, BAD, "cp-lrp")
falls = lead(praise) - lead(one_hidden)
for word, r, fall in zip(text.words("review-good"), R[0], falls, strict=True):
    print(f"{word:9} CP-LRP {r:5.2f}   the lead falls by {fall:5.2f}")
all_hidden = np.full_like(praise, UNKNOWN)
print(f"lead {lead(praise)[0]:.2f}; with all words hidden {lead(all_hidden)[0]:.2f}")
assert lead(praise)[0] > 3
assert abs(falls).max() < 0.02
assert R.max() > 1

# %% [markdown]
# It hardly falls at all. The other words are enough for the answer, so no single word is necessary. A map that gives
# each word a share is not wrong about this sentence, and neither is the test. They answer different questions: which
# words contributed, and which words are necessary.
#
# ## What you know now
#
# - LRP must decide how to divide a product. AttnLRP gives half to each factor. CP-LRP gives everything to the values,
#   and its map does not show why a word was read.
# - Gradient times input counts a product twice and a normalisation not at all.
# - Halves depend on the order of multiplication: (6, 6, 12) or (12, 6, 6).
# - The constant term of softmax can take much of the relevance. The ledger shows how much. A map whose residual is zero
#   may still hold very large positive and negative amounts.
# - Attention weights have no sign. A word can receive much attention and count against the answer.
#
# [docs/transformers.md](../../docs/transformers.md) has the rules for every layer, and LSTMs.
#
# The next step is about a rule that was designed never to divide by small numbers, except at skip connections.
