# %% [markdown]
# # 2. Same layer, ten answers: what does a rule decide?
#
# A layer consists of many neurons with the same inputs. Each of them distributes its relevance as in step 1. But there
# are many rules for doing so, and on the same layer they disagree, even about signs. **What exactly does a rule
# decide?**
#
# To find out, we write every message from every neuron to every input into a matrix.

# %%
# %matplotlib inline
import inspect
from fractions import Fraction

import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

from lrpref import Dense, engine, messages, plot, rules


def exact(values):
    """An array of fractions."""
    return np.vectorize(Fraction, otypes=[object])(np.array(values))


a = exact([[2, -1, 1]])  # one sample, three inputs, one of them negative
layer = Dense(exact([[1, -2, -1], [-1, -1, 3]]), exact([1, -1]))  # two neurons, with biases 1 and -1
z = layer.forward(a)
R = z  # the relevance to distribute: here, the outputs themselves
print("outputs", *z[0])
assert list(z[0]) == [4, 1]

# %% [markdown]
# ## The message matrix
#
# Neuron $j$ sends input $i$ the message $R_{i \leftarrow j}$. The relevance of an input is the sum of all the messages
# it receives:
#
# $$R_i = \sum_j R_{i \leftarrow j} \qquad R_{i \leftarrow j} = \frac{a_i w_{ij}}{z_j} R_j$$
#
# The formula on the right is LRP-0 again (Bach et al. 2015, PLoS ONE 10(7):e0130140, eqs. 8 and 56). `lrpref.messages`
# returns the matrix, with a row for each input and a column for each neuron. It is a second, slow implementation of
# every rule that follows the formulas literally, and the engine is tested against it.


# %%
def table(matrix):
    """A message matrix with the sums of its rows and columns."""
    for i, row in enumerate(matrix, start=1):
        print(f"input {i}", *(f"{message!s:>6}" for message in row), f"  | relevance {row.sum()!s:>3}")
    print("sent   ", *(f"{column.sum()!s:>6}" for column in matrix.T))
    print("had    ", *(f"{R_j!s:>6}" for R_j in R[0]))


matrix = messages(layer, a, R, rules.Zero())[0]
table(matrix)
by_hand = a[0][:, None] * layer.weight.T / z * R  # rows i, columns j
assert (matrix == by_hand).all()
assert (matrix == [[2, -2], [2, 1], [-1, 3]]).all()
assert (matrix.sum(axis=1) == layer.relevance(a, R, rules.Zero())[0]).all()

# %% [markdown]
# You can read the matrix in two ways.
#
# - **A row** belongs to one input. Input 1 gets +2 from the first neuron and -2 from the second, so its relevance is 0.
#   This does not mean that the input is irrelevant: its two messages cancel.
# - **A column** belongs to one neuron. The first had 4 and sent 3, because its bias of 1 took a share. The second had 1
#   and sent 2, because its inputs had to outweigh its bias of -1.
#
# The figure shows the same six messages as bands, from the neurons on the right to the inputs on the left:

# %% alt="Bands from two neurons to three inputs, as wide as the messages; input 1 gets equal bands of red and blue"
plot.flow(matrix, title="what the neurons send to the inputs under LRP-0")

# %% [markdown]
# ## A rule that goes wrong
#
# Suppose we want to see only evidence *for* the output. Setting the negative weights to zero sounds right, and
# published code has done exactly this (step 12). Here is a neuron with two negative inputs.

# %%
x, w = np.array([1.0, -1.0, -1.0]), np.array([1.0, -2.0, 2.0])
clamped = np.maximum(w, 0)
wrong = x * clamped / (x @ clamped)
print("contributions    ", x * w)
print("weights clamped  ", wrong)
assert_array_equal(x * w, [1, 2, -2])
assert_array_equal(wrong, [-1, 0, 2])

# %% [markdown]
# The first input has a positive contribution, and gets a negative share. The second has the largest positive
# contribution, and gets nothing. The third has a *negative* contribution, and gets the only positive share. For a
# negative input, a negative weight is evidence for the output. So we must split the **products** by sign, and not the
# weights:
#
# $$(a w)^+ = a^+ w^+ + a^- w^-$$
#
# where $x^+ = \max(x, 0)$ and $x^- = \min(x, 0)$. The z-plus rule distributes relevance by these products (Montavon et
# al. 2017, Pattern Recognition 65:211, for $a \ge 0$; for both signs after Bach et al. 2015, eq. 60).

# %%
positive = np.maximum(x * w, 0)
right = Dense([w]).relevance(x[None], np.array([[1.0]]), rules.ZPlus())[0]
print("products clamped ", right.round(4))
assert_allclose(right, positive / positive.sum(), rtol=1e-12)
assert_allclose(right, [1 / 3, 2 / 3, 0], rtol=1e-12)

# %% [markdown]
# In the library, this rule is two *terms*, one for each product on the right-hand side, over a common denominator: a
# *ratio*. `Term(a, w, b)` holds three functions, applied to the inputs, the weights and the bias, in that order.
# Inputs and weights without a function stay as they are; a bias without one is left out.

# %%
print(inspect.getsource(rules.ZPlus.ratios))

# %% [markdown]
# ## One engine
#
# Every rule runs on the same four steps, which are those of `propagate` in step 0 (Montavon et al. 2019, LNCS 11700,
# sec. 10.2.2):
#
# $$z_j = \sum_i a_i w_{ij} + b_j \qquad s_j = \frac{R_j}{z_j} \qquad c_i = \sum_j w_{ij} s_j \qquad R_i = a_i c_i$$
#
# If you have that chapter at hand, translate its letters as follows. (We had the tutorial that its authors wrote for
# it, with its section numbers, but not the text of the chapter.)
#
# | in the chapter | here | |
# |---|---|---|
# | $j$ and $k$ | $i$ and $j$ | an input of the layer, and one of its neurons |
# | $R_j = \sum_k \dots R_k$ | $R_i = \sum_j \dots R_j$ | relevance goes from the later letter to the earlier one |
# | $\sum_{0,j}$, with $a_0 = 1$ and $w_{0k}$ | $\sum_i \dots + b_j$ | a zeroth neuron stands for the bias |
# | $R_0$, which no neuron receives | *bias* in the ledger | the share of the bias |
# | $\rho(w_{jk})$, also of $w_{0k}$ | $w'_{ij}$ and $b'_j$ of a term | what a rule makes of weights and bias |
# | $\epsilon$, added to $z_k$ | `stabilize` | here with the sign of $z_j$ (Bach et al. 2015, eq. 58) |
#
# A rule only decides what takes the place of $a$, $w$ and $b$; a term supplies it (`of_input`, `of_weight`, `of_bias`).
# The layer supplies three methods: `parameters` returns its $w$ and $b$, `linear` is $\sum_i a_i w_{ij}$, the sum in
# the first step, for any $w$; and `adjoint` is $\sum_j w_{ij} s_j$, the third step, with the same matrix transposed.
# `shares` is how much of $R_j$ each ratio has to distribute: its coefficient times $R_j$, unless a rule overrides it.
# The engine takes the four steps once per ratio, and records the losses. Apart from small helpers, this is the whole
# engine:

# %%
for part in (engine.Ratio.sums, engine._sum, engine.Rule.shares, engine.Rule.flow):
    print(inspect.getsource(part))

# %% [markdown]
# You know *bias*, *stabilizer* and *dropped* from step 1. The line `factor` is for rules whose parts do not sum to one
# because a ratio has a `denominator` of its own. None of the rules below has one.
#
# ## Ten rules, one pattern
#
# Every rule sends input $i$ the fraction $n_{ij} / (\sum_i n_{ij} + \beta_j)$ of $R_j$. The rules differ in the
# numerator $n_{ij}$, and in what they add to the denominator. Write $z_{ij} = a_i w_{ij}$.
#
# | rule | numerator $n_{ij}$ | added $\beta_j$ | source |
# |---|---|---|---|
# | LRP-0 | $z_{ij}$ | $b_j$ | Bach et al. 2015, eq. 56 |
# | epsilon | $z_{ij}$ | $b_j + \varepsilon \cdot \mathrm{sign}(z_j)$ | Bach et al. 2015, eq. 58 |
# | gamma | $a_i (w_{ij} + \gamma w_{ij}^+)$ | $b_j + \gamma b_j^+$ | Montavon et al. 2019, sec. 10.2.1 |
# | gamma, generalised | $z_{ij} + \gamma z_{ij}^+$ | $b_j + \gamma b_j^+$ | Andéol et al. 2021 |
# | z-plus | $z_{ij}^+$ | $b_j^+$ | Montavon et al. 2017 |
# | z-box | $z_{ij} - l_i w_{ij}^+ - h_i w_{ij}^-$ | nothing | Montavon et al. 2017 |
# | w-square | $w_{ij}^2$ | nothing | Montavon et al. 2017 |
# | flat | 1 | nothing | Lapuschkin et al. 2019, Nature Communications 10:1096 |
# | absolute | $\lvert z_{ij} \rvert$ | $\lvert b_j \rvert$ | third-party code after Hui and Binder 2019 |
#
# Where $z_j < 0$, the generalised gamma takes negative parts instead of positive ones. $l$ and $h$ are the smallest
# and the largest value that an input can take. The tenth rule, alpha-beta, is two in one: $\alpha$ times the fraction
# of z-plus, minus $\beta$ times the same fraction made of negative parts, with $\alpha - \beta = 1$ (Bach et al. 2015,
# eq. 60).
#
# Here is the library's code for six of them (a second argument of `Ratio` is its coefficient):

# %%
for rule in (rules.Gamma, rules.AlphaBeta, rules.ZBox, rules.WSquare, rules.Flat, rules.Absolute):
    print(f"# {rule.__name__}\n{inspect.getsource(rule.ratios)}")

# %% [markdown]
# The figure shows our layer under all ten rules. Red cells are positive messages, and blue ones are negative.

# %%
ten = {"LRP-0": rules.Zero(), "epsilon, 1": rules.Epsilon(1), "gamma, 1": rules.Gamma(1)}
ten |= {"generalised gamma, 1": rules.Gamma(1, generalised=True)}
ten |= {"alpha-beta, 2 and 1": rules.AlphaBeta(2, 1), "z-plus": rules.ZPlus()}
ten |= {"z-box, -2 to 2": rules.ZBox(-2, 2), "w-square": rules.WSquare()}
ten |= {"flat": rules.Flat(), "absolute": rules.Absolute()}
lower_left = [messages(layer, a, R, rule)[0][2, 0] for rule in ten.values()]
assert [str(message) for message in lower_left if message < 0] == ["-1", "-4/5", "-4/7", "-4/9", "-4"]
assert [str(message) for message in lower_left if message > 0] == ["4/11", "2/3", "4/3", "2/3"]

# %% alt="Ten 3 by 2 message matrices with their sums; only LRP-0, epsilon, gamma and alpha-beta have blue cells"
figure = Figure(figsize=(11.0, 5.2), layout="constrained")
figure.get_layout_engine().set(wspace=0.06, hspace=0.08)
for ax, (name, rule) in zip(figure.subplots(2, 5, sharey=True).reshape(-1), ten.items(), strict=True):
    matrix = messages(layer, a, R, rule)[0]
    assert (matrix.sum(axis=1) == layer.relevance(a, R, rule)[0]).all()
    ax.imshow(matrix.astype(float), cmap="RdBu_r", vmin=-5, vmax=5)
    for (i, j), message in np.ndenumerate(matrix):
        ax.text(j, i, message, ha="center", va="center", color="white" if abs(message) > 3 else "black")
    for i, R_i in enumerate(matrix.sum(axis=1)):
        ax.text(1.6, i, f"= {R_i}", va="center", fontsize=8, in_layout=True)
    ax.set_title(name, fontsize=9.5)
    neurons = enumerate(matrix.sum(axis=0), start=1)
    ax.set_xticks([0, 1], [f"neuron {j}\nsent {sent}" for j, sent in neurons], fontsize=8)
    ax.set_yticks([0, 1, 2], ["input 1", "input 2", "input 3"], fontsize=8.5)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
figure

# %% [markdown]
# Neurons, inputs and relevance are the same in all ten panels. Look at the message from the first neuron to input 3
# (lower left), whose contribution is -1. Five rules send a negative message, from -4/9 to -4. z-plus sends 0. z-box,
# w-square, flat and absolute send a *positive* message, because they ignore the sign of the contribution.
#
# ## What a rule does to signs
#
# One layer is only an example, so we try 200 random neurons. Where $z_j > 0$ and $R_j > 0$, which signs can a message
# have if the contribution is positive, and which if it is negative? Does the message depend on the input at all?


# %%
def signs(sent):
    """The signs that occur, as a string."""
    occur = {"+": (sent > 0).any(), "0": (sent == 0).any(), "-": (sent < 0).any()}
    return "".join(sign for sign, there in occur.items() if there)


def behaviour(rule, neurons=200):
    """The signs of messages, for contributions for and against; and whether the input matters."""
    random = np.random.default_rng(0)
    w, b, x, other = (random.integers(-8, 9, (neurons, *size)) / 8 for size in [(1, 4), (1,), (4,), (4,)])
    z = np.sum(w[:, 0] * x, axis=1) + b[:, 0]
    R = np.array([[1.0]])
    sent, sent_other = (
        np.array([messages(Dense(w[n], b[n]), each[n : n + 1], R, rule)[0, :, 0] for n in range(neurons)])
        for each in (x, other)
    )
    part = np.where(z[:, None] > 0, w[:, 0] * x, 0)
    looks = "no" if np.array_equal(sent, sent_other) else "yes"
    return signs(sent[part > 0]), signs(sent[part < 0]), looks


print("rule                   for   against   looks at the input")
expected = {"LRP-0": "+ - yes", "epsilon, 1": "+ - yes", "gamma, 1": "+- +- yes"}
expected |= {"generalised gamma, 1": "+ - yes", "alpha-beta, 2 and 1": "+ - yes", "z-plus": "+ 0 yes"}
expected |= {"z-box, -2 to 2": "+ + yes", "w-square": "+ + no", "flat": "+ + no", "absolute": "+ + yes"}
for name, rule in ten.items():
    found = behaviour(rule)
    print(f"{name:20} {found[0]:>5} {found[1]:>9}   {found[2]}")
    assert " ".join(found) == expected[name]

# %% [markdown]
# There are three families of rules, and one exception.
#
# - **Signed** rules (LRP-0, epsilon, generalised gamma, alpha-beta) distinguish evidence for and against.
# - **One-sided** rules (z-plus, z-box, absolute) pass on the sign of $R_j$ and never flip it. Where all relevance is
#   positive, their maps are red everywhere. This is a property of the rule, and not of the picture.
# - **Blind** rules (w-square, flat) do not depend on the input. They are used in the first layer, where they smooth the
#   map, but they cannot show which inputs of their layer mattered.
# - **Plain gamma** can send messages of either sign in both cases. The next section shows why.
#
# ## Gamma, and the inputs it was made for
#
# Gamma is meant to make contributions *for* the output count more. It does so by enlarging positive weights, which is
# wrong for a negative input, as we have seen.

# %%
x, w = np.array([[1.0, -1.0, -1.0]]), np.array([[1.0, 1.0, -1.0]])
R = np.array([[1.0]])
plain = Dense(w).relevance(x, R, rules.Gamma(1))[0]
general = Dense(w).relevance(x, R, rules.Gamma(1, generalised=True))[0]
print("contributions     ", (x * w)[0])
print("gamma             ", plain)
print("generalised gamma ", general.round(4))
assert_array_equal(plain, [2, -2, 1])
assert_allclose(general, [2 / 3, -1 / 3, 2 / 3], rtol=1e-12)
assert rules.Gamma().needs_nonnegative
assert not rules.Gamma(generalised=True).needs_nonnegative

# %% [markdown]
# Plain gamma doubled the evidence *against*: it sends -2, where the contribution was -1. The generalised form uses the
# products, and doubles the evidence for. After a ReLU, all inputs are positive or zero, and the two forms agree
# wherever the neuron's output is positive too. In a first layer, whose inputs may be negative, they can differ. A rule
# that needs inputs $\ge 0$ declares this with `needs_nonnegative`.
#
# ## Maps of z-plus can be negative
#
# "z-plus maps are positive" is true only if the relevance that z-plus receives is positive.

# %%
blue = Dense([[1.0, 2.0]]).relevance(np.array([[1.0, 1.0]]), np.array([[-3.0]]), rules.ZPlus())[0]
print("z-plus, given R = -3:", blue)
assert_array_equal(blue, [-1, -2])

# %% [markdown]
# If you explain a class whose output is negative, the whole map may be blue. Such pixels contribute positively to a
# neuron whose own relevance is negative.
#
# ## What you know now
#
# - A layer's relevance is a matrix of messages. Its rows sum to the relevance of the inputs; its columns show what
#   each neuron sent.
# - A rule decides only the numerators, and what is added to the denominators.
# - A rule that separates signs must separate the signs of the products $a_i w_{ij}$, and not those of the weights.
# - Some rules can show evidence against the output, some cannot, and some do not depend on the input at all.
#
# Where do z-plus and z-box come from? [Step 2b](02b_deep_taylor.md) derives them; you may skip it. The neurons did not
# always send as much as they had. [Step 3](03_the_ledger.md) keeps account of the difference.
