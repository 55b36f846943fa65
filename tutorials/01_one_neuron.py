# %% [markdown]
# # 1. Who gets the credit?
#
# A neuron takes three numbers and returns one. **How much did each of the three contribute to the result?**
#
# Layer-wise Relevance Propagation (LRP) asks this of every neuron in a network, from the output back to the input. One
# neuron is therefore half of the method, and the other half adds up what several neurons send; in [step
# 0](00_sixty_lines.md) it is the division in `propagate`. We compute in exact fractions, so there are no rounding
# errors, and `==` means equal.

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
# *The largest weight gets the credit.* But a weight does not depend on this input. If the second input were 0, it would
# add 0, whatever its weight.
#
# *Every input gets a third.* But the third input made the output **smaller**.
#
# Each input added its contribution, $a_i w_i$, to the sum, and nothing else entered the sum. So we distribute the
# credit in proportion to the contributions.

# %% [markdown]
# ## LRP-0
#
# The credit to be distributed is $R$, the *relevance* of the neuron. For now, it is the output itself.
#
# $$R_i = \frac{a_i w_i}{z} R \qquad z = \sum_i a_i w_i + b$$
#
# This is LRP-0 for one neuron (Bach et al. 2015, PLoS ONE 10(7):e0130140, eq. 56). With several neurons, an input adds
# up what it receives from each of them, as the next step shows. $b$ is the bias, which is 0 so far.


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
# - **Relevance can be negative.** The third input lowered the output, so its share is negative.
# - **Shares can exceed the total.** The first two inputs get 4 together, although the output was 3. This is not a
#   mistake: they had to outweigh the third input.
#
# ## Why the sum changes with a bias
#
# Almost every neuron has a bias, so we add one.

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
# The bias is part of the sum $z$, so it has a share like every other part: $b/z$ of the relevance. But a bias is not an
# input. No pixel can receive its share, so the shares of the inputs no longer add up to $R$.
#
# - $b = 1$: the bias helped. It *took* 1, and the inputs together get 1 too little.
# - $b = -2$: the bias held the neuron back. Its share is $-2$, and the inputs together get 2 **too much**: they had to
#   outweigh the bias as well.
#
# So a relevance map does not usually sum to the output. If you have run into this and wondered whether your library
# was broken, look at the biases first. Step 3 records the losses systematically.

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
# Above, $R$ was $z$ itself, so $z$ cancelled. Inside a network, $R$ comes from the layers above, and it need not be
# small where $z$ is small. Let $R$ be 1, and choose biases that bring $z$ closer and closer to zero.

# %%
print("      z   relevance of the inputs")
for z in [Fraction(1), Fraction(1, 10), Fraction(1, 100), Fraction(1, 1000), Fraction(-1, 1000)]:
    R_i = lrp_0(a, w, b=z - 3, R=1)
    print(f"{z!s:>7}   {' '.join(f'{R!s:>5}' for R in R_i)}")
    assert R_i == [1 / z, 3 / z, -1 / z]

# %% [markdown]
# The neuron receives one unit of relevance and passes on thousands, and a tiny change of $z$ flips every sign. The
# inputs are the same throughout. A map made of such numbers mainly shows where denominators were small.
#
# ## Epsilon
#
# The remedy is to keep the denominator away from zero:
#
# $$R_i = \frac{a_i w_i}{z + \varepsilon \cdot \mathrm{sign}(z)} R$$
#
# (LRP-epsilon: Bach et al. 2015, eq. 58.) The sign is necessary because adding $\varepsilon$ to a *negative* $z$ would
# move it towards zero, and could make it zero.


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
# Now no share can exceed $|a_i w_i R| / \varepsilon$. But epsilon takes a part of the relevance: 1/11 at $z = 1$, and
# 100/101 at $z = 1/1000$. This is its purpose: where the sum of a neuron is close to zero, almost nothing is passed on.
# (Individual shares there still reach about 30. They cancel with the share of the bias.) The signs still flip where $z$
# crosses zero. Epsilon bounds this jump, but does not remove it.

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
# If $z$ is exactly zero, our LRP-0 divides by zero. Epsilon does not help by itself: in NumPy, `sign(0)` is 0, so the
# denominator `z + epsilon * sign(z)` is still zero in the one place where it matters most.

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
# A library has to decide what to do here. lrpref makes two decisions. In a stabilizer, the sign of zero is $+1$.
# Without a stabilizer, a denominator of zero passes nothing on. Here is its code:

# %%
print(inspect.getsource(engine.stabilize))
print(inspect.getsource(engine.divide))

# %% [markdown]
# ## The same neuron in the library
#
# A neuron is a `Dense` layer with one output. A rule is a list of *ratios*, each of which divides the parts of a sum by
# their total. LRP-0 needs a single ratio: inputs times weights, plus the bias as it is. (A `Term` is such a sum; step 2
# explains it.) One engine, which the next step prints, does the rest for every rule. Epsilon has the same ratio and its
# own `stabilize`. (With `scale="rms"`, its epsilon is relative to the size of $z$; we do not use this here.)

# %%
print(inspect.getsource(rules.Zero.ratios))
print(inspect.getsource(rules.Epsilon.stabilize))

# %% [markdown]
# The library is plain NumPy, so it accepts arrays of fractions too. Its results must then be *equal* to ours.
#
# (`Epsilon(0.1)` holds a float, and no float is exactly 1/10. In a calculation with fractions, the library reads the
# parameter of a rule as the decimal that you wrote, so here 0.1 means 1/10.)


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
# In floating point, the results agree up to rounding. `flow` returns the complete account of the neuron: what the
# inputs got, what the bias took, what epsilon took, and what was passed to nobody because the denominator was zero
# (called *dropped*). The four always add up to $R$.

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
# In the last line, $b = -3$ makes the sum zero, so LRP-0 is not defined. All of the relevance is recorded as *dropped*.
#
# ## What you know now
#
# - A neuron distributes its relevance in proportion to the contributions $a_i w_i$. A contribution whose sign is
#   opposite to that of the sum gets a share whose sign is opposite to that of $R$.
# - The bias has a share too, which no input receives.
# - Shares become very large where $z$ is small. Epsilon bounds them, and takes a part of the relevance.
# - In this library, $\mathrm{sign}(0) = +1$, and a denominator of zero passes nothing on. Other libraries decide
#   differently.
#
# The next step is about a layer of such neurons, and about rules that distribute relevance in other ways.
