# %% [markdown]
# # 5. Does a convolution need an LRP of its own?
#
# Steps 0 to 3 were about fully connected layers: the forward pass was `a @ w`, and the backward pass `w @ s`. Step 4
# used convolutions without explaining them. With kernels, strides and padding, **how does relevance get back to the
# right pixel?**
#
# A convolution *is* a fully connected layer, in which most weights are zero and the others repeat. To see this, we
# write this layer down.

# %%
# %matplotlib inline
import inspect
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import AvgPool2D, Conv2D, Dense, MaxPool2D, Pad2D, messages, oracle, plot, rules
from lrpref.layers.conv import gather, scatter

kernel = np.array([[1.0, 2, -1], [0, 3, 1], [-2, 1, 1]])
conv = Conv2D(kernel[None, None], [1.0], stride=2, padding=1)
x = np.array([[1.0, 2, 3, 4], [5, 6, 0, 1], [2, 3, 4, 5], [6, 0, 1, 2]])[None, None]
z = conv.forward(x)
print(z[0, 0].astype(int))
assert_array_equal(z[0, 0], [[17, 3], [20, 26]])

# %% [markdown]
# The picture has one channel of 4 x 4 pixels. The kernel moves in steps of 2 over the picture and a border of zeros,
# which gives 2 x 2 outputs.
#
# ## First try: flip the kernel
#
# We want LRP-0. The first two of the four steps give $s_j = R_j / z_j$. The third step goes backwards, $c_i = \sum_j
# w_{ij} s_j$. It is often said that the backward pass of a convolution is a convolution with the kernel rotated by 180
# degrees. With enough padding, this gives 4 x 4 pixels again, and looks right.

# %%
R = np.array([[17.0, 6], [20, 52]])[None, None]
s = R / z
flipped = Conv2D(kernel[None, None, ::-1, ::-1].copy(), padding=2)
first_try = x * flipped.forward(s)
print(first_try[0, 0].astype(int))
print(f"came in {R.sum():g}, the bias took {s.sum():g}, the pixels get {first_try.sum():g}")
assert_array_equal(s.ravel(), [1, 2, 1, 2])
assert first_try.shape == x.shape
assert (R.sum(), s.sum(), first_try.sum()) == (95, 6, 108)

# %% [markdown]
# The shape is right, and there is no error message. But 95 - 6 is not 108, so the sums show that something went wrong.
#
# ## The matrix
#
# Every output is a sum of pixels times weights, which is the product with a row of a matrix: $z = W a + b$, with the
# pixels in one long column (Dumoulin and Visin 2016, arXiv 1603.07285, sec. 4.1). `lrpref.oracle` builds this sparse
# matrix from the geometry alone, entry by entry. The figure shows all of it.

# %%
(W,) = oracle.matrix(conv, (1, 4, 4))
b = oracle.bias(conv, (1, 4, 4))
W = W.toarray()
assert_array_equal((W @ x.ravel() + b).reshape(2, 2), z[0, 0])
print(f"{W.size} weights, {np.count_nonzero(W)} of them nonzero")
assert W.size == 64
assert np.count_nonzero(W) == 23

# %% alt="A 4 by 16 matrix, one row per output, one column per pixel; each row holds the kernel, cut off by the border"
figure = Figure(figsize=(9.0, 2.7), layout="constrained")
ax = figure.subplots()
ax.imshow(W, cmap="RdBu_r", vmin=-5, vmax=5)
for (j, i), weight in np.ndenumerate(W):
    ax.text(i, j, f"{weight:g}", ha="center", va="center", color="black" if weight else "0.75")
for edge in (3.5, 7.5, 11.5):
    ax.axvline(edge, color="0.5", linewidth=0.8)
ax.set_xticks(range(16), [f"{row},{column}" for row in range(4) for column in range(4)], fontsize=8)
ax.set_yticks(range(4), [f"output {row},{column}" for row in range(2) for column in range(2)], fontsize=9)
ax.set_xlabel("pixel (row, column)")
ax.tick_params(length=0)
figure

# %% [markdown]
# Each row holds the weights of the kernel. The first output is in the corner, so five of its nine weights fall on the
# border, and have no column. For the next output, the kernel is two pixels further to the right.
#
# ## The backward pass is the transpose
#
# For a fully connected layer, the third step is $c = W^\top s$. A convolution is such a layer, so the same holds here.

# %%
c = (W.T @ s.ravel()).reshape(4, 4)
share = x[0, 0] * c
print(share.astype(int))
print(f"came in {R.sum():g}, the bias took {s.sum():g}, the pixels get {share.sum():g}")
assert_array_equal(conv.relevance(x, R, rules.Zero())[0, 0], share)
assert (R.sum(), s.sum(), share.sum()) == (95, 6, 89)

# %% [markdown]
# The mistake in the first try was the stride. In the forward pass, the outputs were 2 pixels apart. In the backward
# pass, they have to be placed 2 pixels apart again, with zeros between them, and the border has to be cut off.

# %%
apart = np.zeros((1, 1, 3, 3))
apart[:, :, ::2, ::2] = s
assert_array_equal(flipped.forward(apart)[0, 0, 1:, 1:], c)

# %% [markdown]
# The library does not flip kernels. It processes one weight of the kernel (one *tap*) at a time. In the forward pass,
# it gathers the pixels that meet this tap. In the backward pass, it scatters the values to the same pixels. Both use
# the same `cells`, so strides, borders and dilations cannot differ. Nothing here depends on the number of axes: these
# two functions implement the convolutions of signals, images and volumes, and, in exchanged roles, the transposed
# convolutions.

# %%
print(inspect.getsource(gather))
print(inspect.getsource(scatter))

# %% [markdown]
# ## Every rule works on a convolution
#
# If a convolution is the `Dense` layer with this matrix, then every rule must give the same result on both.

# %%
dense = Dense(W, b)
maps = {}
five = [rules.Zero(), rules.Epsilon(0.5), rules.ZPlus(), rules.AlphaBeta(2, 1), rules.WSquare()]
for rule in [*five, rules.Flat()]:
    maps[rule.name] = conv.relevance(x, R, rule)[0, 0]
    on_dense = dense.relevance(x.reshape(1, 16), R.reshape(1, 4), rule).reshape(4, 4)
    difference = abs(maps[rule.name] - on_dense).max()
    print(f"{rule.name:10} largest difference {difference:.2f}")
    assert difference < 1e-12 or rule.name == "flat"
assert_allclose(difference, 8.42, atol=0.005)

# %% [markdown]
# All rules but one do. Flat gives every *connected* input the same, whatever its weight. The `Dense` layer is connected
# to all 16 pixels, although most of its weights are zero. The convolution is connected only to the pixels under its
# kernel. So a weight of zero is not the same as no connection. With the right connections, flat agrees too:

# %%
ones = Conv2D(np.ones((1, 1, 3, 3)), stride=2, padding=1)
connected = oracle.matrix(ones, (1, 4, 4))[0].toarray()
by_hand = (R.reshape(4) / connected.sum(axis=1)) @ connected
assert_allclose(maps["flat"].ravel(), by_hand, rtol=1e-14)

# %% [markdown]
# One convolution is only an example, so we try twenty random ones, with groups, strides, borders and dilations.

# %%
random = np.random.default_rng(0)
agreed = 0
for _ in range(20):
    groups, stride, padding, dilation = (int(n) for n in random.integers([1, 1, 0, 1], [3, 4, 3, 3]))
    weight, bias = random.integers(-8, 9, (2 * groups, 2, 2, 3)) / 8, random.normal(size=2 * groups)
    some = Conv2D(weight, bias, stride, padding, dilation, groups)
    picture = random.integers(-8, 9, (1, 2 * groups, 6, 7)) / 8
    relevance = random.normal(size=some.forward(picture).shape)
    matrix = oracle.matrix(some, picture.shape[1:])[0].toarray()
    as_dense = Dense(matrix, oracle.bias(some, picture.shape[1:]))
    for rule in (rules.Epsilon(0.5), rules.Gamma(generalised=True), rules.AlphaBeta(2, 1), rules.ZBox(-1, 1)):
        expected = as_dense.relevance(picture.reshape(1, -1), relevance.reshape(1, -1), rule)
        assert_allclose(some.relevance(picture, relevance, rule).reshape(1, -1), expected, atol=1e-9)
        agreed += 1
print(f"{agreed} of 80 agree")
assert agreed == 80

# %% [markdown]
# ## Relevance and the border
#
# Padding cells are zero, so under LRP-0 they get $0 \cdot w = 0$. But flat does not depend on the input. Does the
# border take relevance away from the pixels? lrpref offers both. The padding of a convolution never receives relevance.
# A border added by a separate layer, `Pad2D`, is part of the output of this layer and does receive relevance, which the
# ledger records under *bias*.

# %%
bordered = Pad2D(1)
alone = Conv2D(kernel[None, None], [1.0], stride=2)
on_border = alone.relevance(bordered.forward(x), R, rules.Flat())
flow = bordered.flow((x,), on_border, None)
inside, pixels, border = maps["flat"].sum(), flow.inputs[0].sum(), flow.losses["bias"][0]
print(f"the convolution's own padding:  the pixels get {inside:.1f} of {R.sum():g}")
print(f"a border from a separate layer: the pixels get {pixels:.1f}, the border {border:.1f}")
assert_allclose([inside, pixels, border], [95, 76.9, 18.1], atol=0.05)

# %% [markdown]
# ## Pooling
#
# An average pool is a convolution with equal weights. So it is a linear layer with a matrix, and every rule applies to
# it.

# %%
pool = AvgPool2D(2)
P = oracle.matrix(pool, (1, 4, 4))[0].toarray()
print("average pool, first output:", *P[0])
for rule in (rules.Zero(), rules.ZPlus(), rules.WSquare()):
    on_dense = Dense(P).relevance(x.reshape(1, 16), R.reshape(1, 4), rule)
    assert_allclose(pool.relevance(x, R, rule).reshape(1, 16), on_dense, rtol=1e-14)
assert_array_equal(P[0], [0.25, 0.25, 0, 0, 0.25, 0.25, *[0] * 10])

# %% [markdown]
# A max-pool is different. It computes no sum, but passes one pixel on. So all of the relevance goes back to this pixel
# (Montavon et al. 2019, LNCS 11700, sec. 10.3). For a given picture, its matrix has a single 1 in each row, and the
# place of this 1 depends on the picture.

# %%
max_pool = MaxPool2D(2)
route = messages(max_pool, x, np.ones_like(R), rules.Zero()).reshape(16, 4).T  # any rule: it plays no part here
assert_array_equal(route @ x.ravel(), max_pool.forward(x).ravel())
assert_array_equal(route.T @ R.ravel(), max_pool.relevance(x, R, rules.Zero()).ravel())
assert (route.sum(axis=1) == 1).all()

equal = np.ones((1, 1, 2, 2))
for ties, expected in [("first", [8, 0, 0, 0]), ("equal", [2, 2, 2, 2])]:
    shares = MaxPool2D(2, ties=ties).relevance(equal, np.array([[[[8.0]]]]), None).ravel()
    print(f'four equal pixels, ties="{ties}":', *shares)
    assert_array_equal(shares, expected)

# %% alt="4 by 4 relevance maps of the wrong first try, the convolution, the average pool, and the max-pool"
figure = Figure(figsize=(9.2, 2.6), layout="constrained")
shown = {"the first try (wrong)": first_try[0, 0], "convolution": share}
shown |= {"average pool": pool.relevance(x, R, rules.Zero())[0, 0], "max-pool": max_pool.relevance(x, R, None)[0, 0]}
for ax, (name, shares) in zip(figure.subplots(1, 4), shown.items(), strict=True):
    ax.imshow(shares, cmap="RdBu_r", vmin=-60, vmax=60)
    for (row, column), value in np.ndenumerate(shares + 0.0):
        ax.text(column, row, f"{value:.3g}", ha="center", va="center", color="white" if value > 50 else "black")
    ax.set_title(f"{name}: sum {shares.sum():g}", fontsize=10)
    ax.set_axis_off()
figure

# %% [markdown]
# Ties are common. In the empty part of a digit all pixels are equal, so every window there is a tie, and "first" sends
# all relevance to its upper left pixel. This could explain the faint grid in the maps of step 4, which is clearest
# under flat. If so, the grid must disappear when ties are shared.

# %% alt="The open nine of step 4 under flat: a grid if the first pixel wins ties, faint clouds if ties are shared"
net = lrpref.fuse(lrpref.load("mnist-cnn-bn").astype(np.float64))
shared = lrpref.Network(
    [(name, replace(at, ties="equal") if isinstance(at, MaxPool2D) else at, read) for name, at, read in net.nodes]
)
nine = lrpref.samples.load("hard-1")
maps = {"ties to the first": lrpref.explain(net, nine, rule="flat")}
maps |= {"ties shared": lrpref.explain(shared, nine, rule="flat")}
for (name, flat), ratio in zip(maps.items(), [5.65, 1.39], strict=True):
    corner = flat[0, 0, 2:6, 2:6]  # a piece of empty paper
    print(f"{name}: in an empty corner, the largest relevance is {corner.max() / corner.min():.2f} times the smallest")
    assert_allclose(corner.max() / corner.min(), ratio, atol=0.006)
plot.grid(nine, maps)

# %% [markdown]
# (The colour bar ends at 0.03. In the last figure of step 4 it ended at 0.2, so the same grid was faint.)
#
# It does disappear. The small differences that remain under flat have two causes: at the strokes, the max-pools still
# select pixels, and fewer kernels cover the edge.
#
# ## What you know now
#
# - A convolution or an average pool is a fully connected layer with a sparse matrix $W$. The forward pass uses $W$, the
#   backward pass uses $W^\top$, and every rule works as before.
# - A backward pass of the right shape may still be wrong. Check that the relevance adds up.
# - Flat counts connections, not weights. A convolution's own padding never gets relevance.
# - A max-pool passes all relevance to the largest pixel, and in a tie to the first of the largest.
#
# The next steps are about difficulties: small denominators, batch normalisation and skip connections.
