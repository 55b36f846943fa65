# %% [markdown]
# # 11. Is it true of every network?
#
# Here is a rule that we wrote after step 2. It is meant to be z-plus, which distributes only to evidence *for* the
# output, and it sets the negative weights to zero. **Is it z-plus?** On the digits it seems to be. But a digit is only
# one example, while a statement about a rule is about all layers and inputs.
#
# So we write the statement as a law, and let a program search for a case that breaks it.

# %%
# %matplotlib inline
import inspect
from dataclasses import dataclass

import numpy as np
from hypothesis import Phase, find, settings
from matplotlib.figure import Figure
from numpy.testing import assert_array_equal

import lrpref
from lrpref import Dense, rules, testing
from lrpref.composites import Composite
from lrpref.layers import WeightedLayer
from lrpref.rules import Ratio, Rule, Term, identity, positive
from lrpref.testing import strategies


@dataclass(frozen=True)
class Clamped(Rule):
    """R_i = sum_j a_i w_ij+ / (sum_i a_i w_ij+ + b_j+) R_j."""

    def ratios(self):
        return (Ratio((Term(identity, positive, positive),)),)


# %% [markdown]
# ## First try: look at an example
#
# We take a trained network and a real digit, and use our rule and the library's rule on every convolution and every
# fully connected layer.

# %%
net = lrpref.load("mnist-cnn").astype(np.float64)
x = lrpref.samples.load("digit-4").astype(np.float64)
ours, theirs = (lrpref.explain(net, x, rule=Composite([(WeightedLayer, rule)])) for rule in (Clamped(), rules.ZPlus()))
difference = abs(ours - theirs).max() / abs(theirs).max()
print(f"largest difference: {'none beyond rounding' if difference < 1e-12 else difference}")
assert difference < 1e-12

# %% [markdown]
# The maps are equal. They would also be equal for thirteen digits, and for ten thousand. This looks like a proof.
#
# It is not a proof, because all of these examples have a property in common that we did not choose on purpose. We will
# see below what it is. Examples usually come from a small, familiar part of all possible cases.
#
# ## A law
#
# A rule *is* z-plus if on **every** layer, for **every** input and **every** relevance of the output, each input gets
# the sum of the messages of the paper's formula:
#
# $$R_i=\sum_j R_{i \leftarrow j} \quad R_{i \leftarrow j} = \frac{(a_i w_{ij})^+}{\sum_i (a_i w_{ij})^+ + b_j^+} R_j$$
#
# (Bach et al. 2015, eqs. 8 and 60.) As a function, the law takes a layer, an input and relevance, and returns true or
# false.


# %%
def is_z_plus(case):
    """Whether our rule sends what the formula prescribes for this layer and these numbers."""
    layer, inputs, R = case
    sent = lrpref.messages(layer, inputs, R, rules.ZPlus())[0]
    return np.allclose(layer.relevance(inputs, R, Clamped())[0], sent.sum(axis=-1))


# %% [markdown]
# We cannot try every case. But a program can generate layers that we would not think of.
# [Hypothesis](https://hypothesis.readthedocs.io) draws values from *strategies*. `lrpref.testing.strategies` has one
# that draws a layer together with inputs and relevance for it. We search for a case that breaks the law.

# %%
law_broken = settings(max_examples=100, database=None, phases=[Phase.generate], derandomize=True)
first = find(strategies.layer_cases("dense"), lambda case: not is_z_plus(case), settings=law_broken)
print("broken:", not is_z_plus(first), "  more than ten numbers:", testing.numbers(first) > 10)
assert not is_z_plus(first)
assert testing.numbers(first) > 10

# %% [markdown]
# The law is broken. But a layer with so many numbers, which the figure below shows, is hard to read. Which of them
# matter?
#
# ## The smallest counterexample
#
# Hypothesis does not stop there. It removes everything that is not needed to break the law: samples, units, inputs,
# digits. This is called shrinking. (`testing.smallest` is Hypothesis's `find`, followed by one more attempt to remove
# some of the samples, outputs and inputs.)

# %%
smallest = testing.smallest(strategies.layer_cases("dense"), lambda case: not is_z_plus(case))
print(testing.describe(smallest))
print(f"\n{testing.numbers(smallest)} numbers")
print("the formula sends", lrpref.messages(smallest.layer, smallest.inputs, smallest.R, rules.ZPlus())[0].sum())
print("our rule sends   ", smallest.layer.relevance(smallest.inputs, smallest.R, Clamped())[0].sum())
assert testing.numbers(smallest) == 3
assert_array_equal(smallest.layer.weight, [[1.0]])
assert_array_equal(smallest.inputs[0], [[-1.0]])

# %% alt="Two rows of matrices: the first case with many coloured cells, the smallest with one cell each"
figure = Figure(figsize=(8.6, 4.2), layout="constrained")
rows, columns = np.max([part.shape for part in (first.layer.weight, first.inputs[0], first.R)], axis=0)
for row, (name, case) in zip(figure.subplots(2, 3), {"as found": first, "as shrunk": smallest}.items(), strict=True):
    parts = {"weights (biases not shown)": case.layer.weight, "inputs": case.inputs[0], "relevance": case.R}
    for ax, (title, part) in zip(row, parts.items(), strict=True):
        ax.imshow(part, cmap="RdBu_r", vmin=-4, vmax=4)
        for (i, j), value in np.ndenumerate(part):
            ax.text(j, i, f"{value:g}", ha="center", va="center", fontsize=9, color="w" if abs(value) > 2.5 else "k")
        ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))  # cells of one size in all panels
        ax.set(title=title if case is first else "", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    row[0].set_ylabel(name)
figure

# %% [markdown]
# This case is easy to read: it has one weight of 1 and one input of -1. The product is -1, which is evidence *against*
# the output, so z-plus sends nothing. Our rule looks only at the weight, which is positive, and gives all of the
# relevance to the input.
#
# **This shows what the digits have in common**: no pixel is negative, and after a ReLU no activation is. For such
# inputs, the sign of the weight *is* the sign of the product. If the background of the digit is normalised to a
# negative number, as in PyTorch's MNIST example, the two maps differ:

# %%
normalised = (x - 0.1307) / 0.3081
ours, theirs = (
    lrpref.explain(net, normalised, rule=Composite([(WeightedLayer, rule)])) for rule in (Clamped(), rules.ZPlus())
)
apart = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
print(f"the same digit, normalised: the maps differ by {apart:.0%} of their size")
assert apart > 0.2

# %% [markdown]
# This is a real mistake: captum 0.9.0 has this rule, as the next step shows.
#
# ## A law that claims too much
#
# A law can also be wrong, and then the counterexample shows this. Suppose we believe that *without biases, z-plus
# passes on all relevance that it receives*, so that the relevance of the inputs always sums to that of the outputs.


# %%
def all_arrives(case):
    """Whether the relevance of the inputs sums to the relevance above, per sample."""
    return np.allclose(case.layer.relevance(case.inputs, case.R, rules.ZPlus())[0].sum(axis=1), case.R.sum(axis=1))


def without_bias(case):
    return case._replace(layer=Dense(case.layer.weight))


cases = strategies.layer_cases("dense").map(without_bias)
exception = testing.smallest(cases, lambda case: not all_arrives(case))
print(testing.describe(exception))
assert_array_equal(exception.layer.weight, [[0.0]])
assert_array_equal(exception.R, [[1.0]])

# %% [markdown]
# The weight is zero, so no input can receive the relevance of 1: the quotient is 0/0. We had forgotten this case. The
# rule is right, and the law must state what happens here. The ledger of step 3 records such relevance as *dropped*. So
# the law is that the relevance of the inputs **and the dropped relevance** add up to the relevance of the outputs.


# %%
def all_is_accounted_for(case):
    """As before, but counting what was dropped at denominators of zero."""
    flow = case.layer.flow(case.inputs, case.R, rules.ZPlus())
    return np.allclose(flow.inputs[0].sum(axis=1) + flow.losses["dropped"], case.R.sum(axis=1))


tried = []


def broken(case):
    tried.append(case)
    return not all_is_accounted_for(case)


print("counterexample:", testing.smallest(cases, broken, max_examples=300))
print("enough cases were tried:", len(tried) >= 200)
assert len(tried) >= 200

# %% [markdown]
# None of hundreds of layers breaks the law. This is not a proof either. But the search is designed to break laws: it
# begins with zeros, ones and ties, where rules often fail.
#
# ## All laws at once
#
# `lrpref.testing` contains these laws and others, each with its equation and its source. Here is one of them.

# %%
print(inspect.getsource(testing.check_linear_in_R.pairs))

# %% [markdown]
# A rule's tags declare which laws it obeys: `conserves`, `linear`, `exact`, `needs_nonnegative`. `check_rule` tests all
# laws that apply. If the rule uses only rational operations, it does so in exact fractions and compares with `==`.
# `like` is the rule to which it should be equal.

# %%
testing.check_rule(rules.ZPlus())
print("z-plus obeys every law")
caught = None
try:
    testing.check_rule(Clamped(), like=rules.ZPlus())
except testing.ChecksFailed as error:
    caught = error
print(caught)
assert [failure.law for failure in caught.failures] == ["check_oracle"]
assert testing.numbers(caught.failures[0].case) == 3

# %% [markdown]
# `check_rule` finds the same three numbers. We can also make our rule correct by declaring for which inputs it is
# meant. On inputs that are not negative, it *is* z-plus.


# %%
@dataclass(frozen=True)
class ForPixels(Clamped):
    """The same rule, declared for inputs that are not negative."""

    needs_nonnegative = True


testing.check_rule(ForPixels(), like=rules.ZPlus())
print("obeys every law, on the inputs that it is for")

# %% [markdown]
# ## What you know now
#
# - An example shows that something can be true, but not that it always is. Examples often have properties in common
#   that nobody chose on purpose.
# - A law is a statement about every case. If you write it as a function, a program can try to break it.
# - Read the counterexample. Shrunk to three numbers, it shows what is wrong with the rule or with the law.
# - `check_rule`, `check_layer` and `check_explainer` test all laws on a rule, a layer, or a whole explainer of your own
#   ([docs/testing.md](../../docs/testing.md)).
#
# The next step tests other people's code.
