# %% [markdown]
# # 1. Who gets the credit?
#
# A neuron takes three numbers and returns one. **How much of the result does it owe to each of the three?**
#
# Layer-wise Relevance Propagation (LRP) asks this of every neuron in a network, from the output back to the input. One
# neuron, taken slowly, is therefore half of the method; in [step 0](00_sixty_lines.md) it is the division in
# `propagate`. We compute in exact fractions, so nothing can hide in a rounding error, and `==` means equal.

# %%
# %matplotlib inline
import inspect
from fractions import Fraction

import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from lrpref import Dense, engine, rules

a = [Fraction(1), Fraction(2), Fraction(2)]  # what comes in: the activations
w = [Fraction(1), Fraction(3, 2), Fraction(-1, 2)]  # what each is worth to this neuron: the weights
contributions = [a_i * w_i for a_i, w_i in zip(a, w, strict=True)]
z = sum(contributions)

print("contributions  ", *contributions)
print("the output, z  ", z)
assert contributions == [1, 3, -1]
assert z == 3

# %% [markdown]
# ## Two ideas that do not work
#
# *The largest weight wins.* But a weight knows nothing of this input: had the second input been 0, it would have added
# 0, whatever its weight.
#
# *Everyone gets the same.* Three inputs, so a third each. But the third input pulled the output **down**.
#
# What did each input actually do? It added its contribution, $a_i w_i$. Nothing else entered the sum. So distribute
# the credit in proportion to the contributions.

# %% [markdown]
# ## LRP-0
#
# Call the credit to be distributed $R$, the *relevance* of the neuron. For now, let it be the output itself.
#
# $$R_i = \frac{a_i w_i}{z} R \qquad z = \sum_i a_i w_i + b$$
#
# This is LRP-0 for one neuron (Bach et al. 2015, PLoS ONE 10(7):e0130140, eq. 56). With several neurons, an input adds
# up what it receives from each of them; that is the next step. $b$ is the bias; so far it is 0.


# %%
def lrp_0(a, w, b, R):
    """The share of R that each input gets."""
    z = sum(a_i * w_i for a_i, w_i in zip(a, w, strict=True)) + b
    return [a_i * w_i / z * R for a_i, w_i in zip(a, w, strict=True)]


R_i = lrp_0(a, w, b=0, R=z)
print("relevance", *R_i, "  sum", sum(R_i))
assert R_i == [1, 3, -1]
assert sum(R_i) == z == 3

# %% [markdown]
# Two things to remember.
#
# - **Relevance can be negative.** The third input spoke against the output, and its share shows it.
# - **Then the others get more than there was to give.** The first two get 4 between them, although the output was 3.
#   That is not a mistake. They had to outweigh the third.
#
# ## The sum is off. Where is the rest?
#
# Now give the neuron a bias, as almost every neuron has one.

# %%
for b in [Fraction(1), Fraction(-2)]:
    z = sum(contributions) + b
    R = z
    R_i = lrp_0(a, w, b, R)
    bias_share = b / z * R
    print(f"b = {b!s:>2}   R = {R}   inputs get {' '.join(map(str, R_i))}, in total {sum(R_i)}")
    print(f"         missing: {R - sum(R_i)}   share of the bias: {bias_share}")
    assert R_i == [1, 3, -1]
    assert bias_share == b
    assert sum(R_i) + bias_share == R

# %% [markdown]
# The bias is part of the sum $z$, so it has a share like everybody else: $b/z$ of the relevance. But a bias is not an
# input. There is no pixel to receive its share, so the share leaves the picture.
#
# - $b = 1$: the bias helped. It *took* 1, and the inputs together get 1 too little.
# - $b = -2$: the bias held the neuron back. Its share is $-2$, and the inputs together get 2 **too much**: they had to
#   outweigh the bias as well.
#
# So a relevance map does not usually sum to the output. If you have run into this and wondered whether your library
# was broken, look at the biases first. Step 3 keeps the books.

# %% alt="Waterfall bars for two biases: the shares of three inputs and of the bias add up, step by step, to z"
figure = Figure(figsize=(7.4, 2.3), layout="constrained")
for ax, b in zip(figure.subplots(1, 2, sharex=True, sharey=True), [1, -2], strict=True):
    steps = np.array([*map(float, contributions), b])
    starts = np.cumsum(steps) - steps
    colours = ["#d6604d", "#d6604d", "#4393c3", "#e66101"]
    bars = ax.barh(["input 1", "input 2", "input 3", "bias"], steps, left=starts, color=colours)
    ax.bar_label(bars, [f"{step:+g}" for step in steps], label_type="center", color="white", fontsize=9)
    ax.axvline(steps.sum(), color="0.5", linestyle=":")
    ax.set(title=f"b = {b}, z = {steps.sum():g} (dotted)", xlabel="running sum", xlim=(0, 4.4))
    ax.spines[["top", "right"]].set_visible(False)
ax.invert_yaxis()
figure

# %% [markdown]
# ## A small sum, a large share
#
# Above, $R$ was $z$ itself, so $z$ cancelled. Inside a network $R$ comes from the layers above, and it need not be
# small where $z$ is small. Let $R$ be 1, and let the bias bring $z$ closer and closer to zero.

# %%
print("      z   relevance of the inputs")
for z in [Fraction(1), Fraction(1, 10), Fraction(1, 100), Fraction(1, 1000), Fraction(-1, 1000)]:
    R_i = lrp_0(a, w, b=z - 3, R=1)
    print(f"{z!s:>7}   {' '.join(f'{R!s:>5}' for R in R_i)}")
    assert R_i == [1 / z, 3 / z, -1 / z]

# %% [markdown]
# One unit of relevance comes in, thousands go out, and the tiniest change of $z$ flips every sign. The inputs are the
# same throughout. A map made of such numbers shows where denominators were small, and little else.
#
# ## Epsilon
#
# The remedy is to keep the denominator away from zero:
#
# $$R_i = \frac{a_i w_i}{z + \varepsilon \cdot \mathrm{sign}(z)} R$$
#
# (LRP-epsilon: Bach et al. 2015, eq. 58.) Why the sign? Because adding a plain $\varepsilon$ to a *negative* $z$ moves
# it towards zero, and may land on it.


# %%
def lrp_epsilon(a, w, b, R, epsilon):
    """The share of R that each input gets, with a denominator that stays away from zero."""
    z = sum(a_i * w_i for a_i, w_i in zip(a, w, strict=True)) + b
    sign = 1 if z >= 0 else -1
    return [a_i * w_i / (z + epsilon * sign) * R for a_i, w_i in zip(a, w, strict=True)]


epsilon = Fraction(1, 10)
assert Fraction(-1, 10) + epsilon == 0  # without the sign, z = -1/10 becomes the worst case

print("      z   relevance of the inputs          the bias took   epsilon took")
for z in [Fraction(1), Fraction(1, 10), Fraction(1, 1000), Fraction(-1, 1000)]:
    b = z - 3
    R_i = lrp_epsilon(a, w, b, R=1, epsilon=epsilon)
    away = epsilon if z >= 0 else -epsilon
    bias_took, epsilon_took = b / (z + away), away / (z + away)
    print(f"{z!s:>7}   {' '.join(f'{R!s:>9}' for R in R_i)}   {bias_took!s:>13}   {epsilon_took!s:>12}")
    assert sum(R_i) + bias_took + epsilon_took == 1
    assert all(abs(R) <= abs(c) / epsilon for R, c in zip(R_i, contributions, strict=True))
assert epsilon_took == Fraction(100, 101)

# %% [markdown]
# No share can exceed $|a_i w_i| / \varepsilon$ any more. But nothing is free. Epsilon keeps a part for itself: 1/11 at
# $z = 1$, and 100/101 at $z = 1/1000$. That is its purpose: where a neuron has next to nothing to say, next to nothing
# is passed on. (Individual shares there still reach 30 or so. They cancel with the bias.) And the signs still flip
# where $z$ crosses zero. Epsilon bounds the jump; it does not remove it.

# %% alt="Relevance of input 2 against z: LRP-0 diverges on both sides of zero, epsilon stays within 30"
figure = Figure(figsize=(6.2, 3.0), layout="constrained")
ax = figure.subplots()
up = np.linspace(1e-4, 1, 2000)
zs = np.concatenate([-up[::-1], [np.nan], up])  # a gap at zero
ax.plot(zs, 3 / zs, color="#d6604d", label="LRP-0")
ax.plot(zs, 3 / (zs + 0.1 * np.sign(zs)), color="#4393c3", label="epsilon = 1/10")
ax.axhline(0, color="0.7", linewidth=0.8)
ax.set(xlabel="z", ylabel="relevance of input 2", ylim=(-100, 100), title="R = 1 throughout")
ax.spines[["top", "right"]].set_visible(False)
ax.legend()
figure

# %% [markdown]
# ## Exactly zero
#
# What if $z$ *is* zero? Our LRP-0 then divides by zero. And epsilon? In NumPy, `sign(0)` is 0, so a denominator
# `z + epsilon * sign(z)` is still zero in the one place where it matters most.

# %%
try:
    lrp_0(a, w, b=-3, R=1)
except ZeroDivisionError:
    print("LRP-0 by hand:  division by zero")
naive = 0.0 + 0.1 * np.sign(0.0)
ours = engine.stabilize(np.array([0.0]), 0.1)[0]
print(f"naive epsilon:  the denominator is {naive}")
print(f"in the library: the denominator is {ours}")
assert naive == 0
assert ours == 0.1

# %% [markdown]
# Someone has to decide. This library made two decisions, and here they are in its own words: in a stabilizer, the sign
# of zero is $+1$; and without a stabilizer, a zero denominator passes nothing on.

# %%
print(inspect.getsource(engine.stabilize))
print(inspect.getsource(engine.divide))

# %% [markdown]
# ## The same neuron in the library
#
# A neuron is a `Dense` layer with one output. A rule is a list of *ratios*, each of which puts the parts of a sum over
# their total. LRP-0 needs a single ratio: "inputs times weights, and the bias as it is". One engine does the rest for
# every rule; the next step prints it. Epsilon has the same ratio and its own `stabilize`.

# %%
print(inspect.getsource(rules.Zero.ratios))
print(inspect.getsource(rules.Epsilon.stabilize))

# %% [markdown]
# The library is plain NumPy, so it accepts arrays of fractions too. Its results must then be *equal* to ours.
#
# (One conversion happens on the way. `Epsilon(0.1)` holds a float, and no float is exactly 1/10. In a calculation with
# fractions the library takes the parameter of a rule as the decimal that you wrote, so here 0.1 means 1/10.)


# %%
def exact(values):
    """An array of fractions, which NumPy keeps as they are."""
    return np.array(values, dtype=object)


x = exact([a])  # a batch of one sample
for b, R in [(1, 4), (-2, 1), (Fraction(-299, 100), 1)]:
    neuron = Dense(exact([w]), exact([Fraction(b)]))
    zero = neuron.relevance(x, exact([[Fraction(R)]]), rules.Zero())
    eps = neuron.relevance(x, exact([[Fraction(R)]]), rules.Epsilon(0.1))
    print(f"b = {b!s:>8}   LRP-0: {' '.join(map(str, zero[0])):12}", end="   ")
    print(f"epsilon 0.1: {' '.join(map(str, eps[0]))}")
    assert list(zero[0]) == lrp_0(a, w, b, R)
    assert list(eps[0]) == lrp_epsilon(a, w, b, R, Fraction(1, 10))
assert Fraction(0.1) != Fraction(1, 10)

# %% [markdown]
# In floating point, the results agree up to rounding. And `flow` returns the whole account of the neuron at once: what
# the inputs got, what the bias took, what epsilon took, and what went nowhere because the denominator was zero (the
# ledger calls that *dropped*). The four always add up to $R$.

# %%
in_floats = Dense(np.array([w], dtype=float), np.array([1.0]))
floats = in_floats.relevance(x.astype(float), np.array([[4.0]]), rules.Zero())
assert_allclose(floats, [[1, 3, -1]], rtol=1e-15)

print("  b   rule                   inputs   bias   stabilizer   dropped")
expected = [["3/4", "1/4", "0", "0"], ["3", "-2", "0", "0"], ["30/41", "10/41", "1/41", "0"], ["0", "0", "0", "1"]]
cases = [(1, rules.Zero()), (-2, rules.Zero()), (1, rules.Epsilon(0.1)), (-3, rules.Zero())]
for (b, rule), books in zip(cases, expected, strict=True):
    flow = Dense(exact([w]), exact([Fraction(b)])).flow((x,), exact([[Fraction(1)]]), rule)
    inputs = flow.inputs[0].sum()
    losses = [flow.losses[name][0] for name in ("bias", "stabilizer", "dropped")]
    print(f"{b:3}   {rule!s:20} {inputs!s:>8} {losses[0]!s:>6} {losses[1]!s:>12} {losses[2]!s:>8}")
    assert [str(entry) for entry in (inputs, *losses)] == books
    assert inputs + sum(losses) == 1

# %% [markdown]
# Look at the last line: with $b = -3$ the sum is zero, LRP-0 has no answer, and all of the relevance is booked under
# *dropped*. It is not lost, and not hidden. It is on the books.
#
# ## What you know now
#
# - A neuron's relevance is distributed in proportion to the contributions $a_i w_i$; a contribution against the output
#   gets a negative share.
# - The bias has a share too, and that share leaves the picture.
# - Shares explode where $z$ is small. Epsilon bounds them, and keeps a part for itself.
# - $\mathrm{sign}(0) = +1$, and a zero denominator passes nothing on. These are choices; other libraries choose
#   otherwise.
#
# Next: a layer of such neurons, and rules that distribute relevance in other ways.
