# %% [markdown]
# # 13. How many digits of a heatmap are correct?
#
# In a heatmap in single precision, a pixel has a relevance of 0.0213874. Another library gives 0.0213871. **Is one of
# them wrong?** And would the picture look different if we computed with twice as many digits?
#
# Floating-point numbers are rounded. To find out how rounding changes a heatmap, we need the same heatmap without
# rounding.

# %%
# %matplotlib inline
from fractions import Fraction
from math import floor

import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import lrpref
from lrpref import Dense, rules

# %% [markdown]
# ## First try: compare two precisions
#
# We explain a real digit with a trained network under LRP-0, once in single precision (`float32`, about 7 digits) and
# once in double precision (`float64`, about 16).

# %%
net = lrpref.load("mnist-mlp")
x = lrpref.samples.load("digit-4")
single = lrpref.explain(net, x, rule="zero")
double = lrpref.explain(net.astype(np.float64), x, rule="zero")
ink = double != 0
relative = abs(single - double)[ink] / abs(double)[ink]
print(f"the largest relative difference is about 10^{np.log10(relative.max()):.0f}", end=", ")
print(f"the median about 10^{np.log10(np.median(relative)):.0f}")
assert relative.max() > 1e-6 > np.median(relative)

# %% [markdown]
# So at the worst pixel, one or two of the seven digits are wrong. We assume that the map with more digits is right
# there, but nothing checks that one.
#
# ## The exact map
#
# We can check it with exact arithmetic. The weights and the pixels are binary fractions, and LRP-0 only adds,
# multiplies and divides. So the true map is a list of fractions, which a computer can calculate exactly.

# %%
exact = lrpref.exact(net)
tr = lrpref.trace(exact, x, rule="zero")
pixel = max(tr.relevance.flat)
print("one relevance:", str(pixel.numerator)[:20], "... over", str(pixel.denominator)[:20], "...")
print("digits in the numerator:", len(str(pixel.numerator)), "  in the denominator:", len(str(pixel.denominator)))
print("the ledger's residual, exactly:", *{str(residual) for residual in tr.ledger.residual().flat})
assert (tr.ledger.residual() == 0).all()
assert (len(str(pixel.numerator)), len(str(pixel.denominator))) == (36, 36)
assert Fraction(int(pixel.numerator), int(pixel.denominator)) == pixel

# %% [markdown]
# Numerator and denominator have 36 digits each, and nothing is rounded: the residual of the ledger is exactly 0, and
# not `1e-16`. The code is the same as before; only the numbers are of another type.
#
# Now we can define the number of correct digits. If $R^*$ is the fraction and $R$ is the result in floating point, then
#
# $$\text{digits} = -\log_{10} \frac{|R - R^*|}{|R^*|}$$
#
# are correct, but at most as many as the number type holds. `lrpref.digits` computes this number for every pixel.

# %%
found = lrpref.digits(net, x, "zero", dtypes=(np.float32, np.float64), reference="exact")
for name, summary in found.summary.items():
    print(f"{name}: holds {summary.holds:.0f} digits; correct at the median pixel about {summary.median:.0f}", end=", ")
    print(f"at the worst pixel about {summary.holds - summary.worst:.0f} fewer than it holds")
assert_allclose([found.summary["float32"].median, found.summary["float64"].median], [6.9, 15.6], atol=0.3)
for summary in found.summary.values():  # the worst pixel depends on the order of additions, and so on the machine
    assert 1.5 < summary.holds - summary.worst < 2.5

# %% [markdown]
# For LRP-0 on this network, about seven digits are correct at a typical pixel in single precision, and sixteen in
# double precision. At the worst pixel, it is about two digits fewer in both.
#
# ## Why digits are lost
#
# Two digits are lost in single *and* in double precision, so the precision is not the cause. One neuron shows what the
# cause is. Its two contributions are $1/3$ and $-(1 - d)/3$, which almost cancel. The exact share of the first input is
# $1/d$.

# %%
layer = Dense(np.array([[1, -1]], np.float32))
print("correct digits, of the 7.2 that a float32 holds")
for power, expected in [(0, 7.2), (5, 5.7), (10, 4.5), (15, 2.7), (20, 1.5)]:
    d = Fraction(1, 2**power)
    a = np.array([[float(Fraction(1, 3)), float((1 - d) / 3)]], np.float32)  # rounded in the eighth digit
    R = layer.relevance(a, np.ones((1, 1), np.float32), rules.Zero())[0, 0]
    error = abs(Fraction(float(R)) - 1 / d) * d
    digits = min(7.2, -np.log10(float(error))) if error else 7.2
    print(f"d = 1/2^{power:<2}  relevance {R:12.1f}, the truth {float(1 / d):9.1f}: {digits:.1f} correct")
    assert abs(digits - expected) < 0.05

# %% [markdown]
# The inputs are rounded in the eighth digit. The sum $z$ has the same *absolute* error, but it is small, so its
# *relative* error is large, and relevance is divided by it. **If a denominator is a hundred times smaller than its
# summands, two digits are lost**, in any precision. Double precision loses just as many; it only begins with more.
#
# Conversely, a rule that only adds up numbers of the same sign has no cancellation, so it cannot lose digits in this
# way.

# %%
table = {"zero": found}
for rule in ("gamma", "z-plus"):
    table[rule] = lrpref.digits(net, x, rule, dtypes=(np.float32, np.float64), reference="mpmath")
everywhere = {"zero": (4, 13), "gamma": (3, 12), "z-plus": (6, 14)}
print("correct digits: about, at the median pixel; and more than, at every pixel")
print("rule      float32: median, every     float64: median, every")
for rule, each in table.items():
    cells = list(zip([each.summary[name] for name in ("float32", "float64")], everywhere[rule], strict=True))
    print(f"{rule:8}" + "".join(f"{s.median:16.0f} {least:6}" for s, least in cells))
    assert all(s.worst > least for s, least in cells)
worst = {rule: each.summary["float32"].worst for rule, each in table.items()}
assert_allclose(list(worst.values()), [5.2, 4.0, 6.6], atol=0.4)

# %% [markdown]
# (For the last two, the reference is not a fraction but was computed with 60 digits by mpmath, because fractions grow
# with every denominator and would take a minute. [docs/exact.md](../../docs/exact.md) covers all rules, and shows which
# sizes are feasible.)

# %% alt="Correct digits for the four: under LRP-0 and gamma a few dark pixels among light ones, under z-plus all light"
figure = Figure(figsize=(9.4, 3.1), layout="constrained")
axes = figure.subplots(1, 3)
for ax, (rule, each) in zip(axes, table.items(), strict=True):
    digits = np.where(x[0, 0] > 0, each["float32"][0, 0], np.nan)
    image = ax.imshow(digits, cmap="viridis", vmin=4, vmax=7.2)
    ax.set_title(f"{rule}: at least {floor(10 * np.nanmin(digits)) / 10:.1f}", fontsize=10)
    ax.set_axis_off()
figure.colorbar(image, ax=axes, label="correct digits in float32", shrink=0.85)
figure

# %% [markdown]
# The dark pixels are those where contributions cancelled. All of them have little relevance:

# %% alt="Scatter: pixels with much relevance have 6 to 7 correct digits, those with a thousandth of it down to 4 or 5"
figure = Figure(figsize=(6.4, 3.4), layout="constrained")
ax = figure.subplots()
rows = []
for rule, marker in (("gamma", "."), ("z-plus", "x")):
    R = abs(lrpref.explain(net.astype(np.float64), x, rule=rule)[0, 0])
    drawn = R > 0
    share, digits = R[drawn] / R.max(), table[rule]["float32"][0, 0][drawn]
    ax.semilogx(share, digits, marker, markersize=4, label=rule)
    rows.append((rule, digits[share > 0.1].min(), digits[share < 0.01].min()))
ax.set(xlabel="relevance as a fraction of the largest", ylabel="correct digits in float32")
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
figure

# %%
for rule, large, small in rows:
    print(f"{rule:7} at least {large:.1f} digits where relevance is large, and {small:.1f} where it is small")
assert rows[0][1] > rows[0][2] + 1
assert min(large for _, large, _ in rows) >= 6

# %% [markdown]
# Under gamma, a pixel with at least a tenth of the largest relevance keeps six digits, and the others are pale in any
# picture. So:
#
# - **The picture is the same in single precision.** The fourth digit of a pale pixel is not visible.
# - **The relative difference per pixel is not a good measure.** 0.0213874 and 0.0213871 differ in the sixth digit,
#   which rounding can explain. Compare maps by the size of their difference relative to the size of the map, as
#   `lrpref.compare` does, and allow a hundred times the precision of the number type.
# - **A large difference is not due to rounding.** In this network, rounding cannot explain an error of a thousandth of
#   the map. Then find out which convention is different (step 12).

# %%
size = {rule: each.summary["float32"].relative_l2 for rule, each in table.items()}
print("error relative to the map, in float32, below one millionth:", {rule: l2 < 1e-6 for rule, l2 in size.items()})
assert max(size.values()) < 1e-6

# %% [markdown]
# ## What you know now
#
# - The true heatmap of a network of ReLUs is a list of fractions. `lrpref.exact` computes it with the same code, and
#   the residual is exactly 0.
# - In any precision, a digit is lost for each power of ten by which a denominator is smaller than its summands. Rules
#   without cancellation lose almost no digits.
# - Digits are lost mainly where relevance is small. Compare two maps by their difference as a whole.
#
# In the last step, you explain one digit from the beginning, and defend the explanation.
