# %% [markdown]
# # 11. Is it true of every network?
#
# Here is a rule that we wrote ourselves, after step 2: z-plus, evidence *for* and nothing else. It drops the negative
# weights. **Is it z-plus?** On the digits it seems to be. But a digit is one example, and a statement about a rule is a
# statement about all of them.
#
# So we write the statement down as a law, and let a machine try to break it.

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
# A trained network, a real digit, our rule and the library's on every convolution and every fully connected layer.

# %%
net = lrpref.load("mnist-cnn").astype(np.float64)
x = lrpref.samples.load("digit-4").astype(np.float64)
ours, theirs = (lrpref.explain(net, x, rule=Composite([(WeightedLayer, rule)])) for rule in (Clamped(), rules.ZPlus()))
difference = abs(ours - theirs).max() / abs(theirs).max()
print(f"largest difference: {'none beyond rounding' if difference < 1e-12 else difference}")
assert difference < 1e-12

# %% [markdown]
# Equal. Thirteen digits would be equal, too, and so would ten thousand. It looks like proof.
#
# It is not, because all of these examples have something in common that we did not choose. We will see in a moment what
# it is. The trouble with examples is that they come from where we are used to looking.
#
# ## A law
#
# What does it mean for a rule to *be* z-plus? That on **every** layer, for **every** input and **every** relevance
# above it, each input gets the sum of the messages that the paper's formula sends:
#
# $$R_i=\sum_j R_{i \leftarrow j} \quad R_{i \leftarrow j} = \frac{(a_i w_{ij})^+}{\sum_i (a_i w_{ij})^+ + b_j^+} R_j$$
#
# (Bach et al. 2015, eqs. 8 and 60.) Written as a function, the law takes a layer, an input and relevance, and returns
# true or false.


# %%
def is_z_plus(case):
    """Whether our rule sends what the formula prescribes for this layer and these numbers."""
    layer, inputs, R = case
    sent = lrpref.messages(layer, inputs, R, rules.ZPlus())[0]
    return np.allclose(layer.relevance(inputs, R, Clamped())[0], sent.sum(axis=-1))


# %% [markdown]
# "Every" is exactly what we cannot try. But a machine can make up layers, and it does not share our habits.
# [Hypothesis](https://hypothesis.readthedocs.io) draws values from *strategies*. `lrpref.testing.strategies` has one
# that draws a layer together with inputs and relevance for it. Let it look for a case that breaks the law.

# %%
law_broken = settings(max_examples=100, database=None, phases=[Phase.generate], derandomize=True)
first = find(strategies.layer_cases("dense"), lambda case: not is_z_plus(case), settings=law_broken)
print("broken:", not is_z_plus(first), "  more than ten numbers:", testing.numbers(first) > 10)
assert not is_z_plus(first)
assert testing.numbers(first) > 10

# %% [markdown]
# Broken. But a layer with so many numbers is hard to read (you can see it in the figure below). Which of them matter?
#
# ## The smallest counterexample
#
# Hypothesis does not stop there. It takes away whatever is not needed to keep the law broken: samples, units, inputs,
# digits. This is called shrinking. (`testing.smallest` is Hypothesis's `find`, followed by one more attempt to do
# without some of the samples, outputs and inputs.)

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
# Now we can read it. One weight of 1, one input of -1. The product is -1: evidence *against*. z-plus has nothing to
# send there. Our rule looks at the weight, finds it positive, and gives the input all the credit.
#
# **And now we know what the digits had in common**: no pixel is negative, and after a ReLU no activation is. On such
# inputs the sign of the weight *is* the sign of the product. Feed the network a digit whose background was normalised
# to a negative number, as PyTorch's MNIST example does, and the two maps part company:

# %%
normalised = (x - 0.1307) / 0.3081
ours, theirs = (
    lrpref.explain(net, normalised, rule=Composite([(WeightedLayer, rule)])) for rule in (Clamped(), rules.ZPlus())
)
apart = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
print(f"the same digit, normalised: the maps differ by {apart:.0%} of their size")
assert apart > 0.2

# %% [markdown]
# We did not make this up. captum 0.9.0 has this rule (the next step finds it there).
#
# ## A law that claims too much
#
# Laws can be wrong as well, and then the counterexample is about the law. Suppose we believe: *without biases, z-plus
# passes on all it gets.* The sum of the map is the relevance above, always.


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
# A weight of zero. Relevance 1 comes in, and there is nobody to give it to: 0/0. We had forgotten that. The rule is
# right, and it is the law that must say what happens then. The ledger of step 3 knows: such relevance is booked as
# *dropped*. So the law is that what arrives **and what was dropped** add up to what came in.


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
# Hundreds of layers, and none breaks it. That is not a proof either. But the law has withstood something that does its
# best to break it, and that starts with zeros, ones and ties, which is where rules break.
#
# ## All laws at once
#
# `lrpref.testing` provides these laws and others, each with its equation and its source. Here is one of them.

# %%
print(inspect.getsource(testing.check_linear_in_R.pairs))

# %% [markdown]
# A rule's tags declare which laws it promises to obey: `conserves`, `linear`, `exact`, `needs_nonnegative`.
# `check_rule` tries all that apply, in exact fractions where the rule is made of rational operations, so that a law
# holds with `==` or not at all. `like` names the rule that it claims to be.

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
# The same three numbers. There is one way to make our rule right, too: say what it is for. On inputs that are not
# negative, it *is* z-plus.


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
# - An example shows that something can be true. It cannot show that nothing else can happen, and examples are alike in
#   ways that nobody chose.
# - A law is a sentence with "every" in it. Write it as a function, and a machine can try to break it.
# - Read the counterexample: shrunk to three numbers, it shows what is wrong, with the rule or with the law.
# - `check_rule`, `check_layer` and `check_explainer` try all laws on a rule, a layer, or a whole explainer of your own
#   ([docs/testing.md](../../docs/testing.md)).
#
# Next: other people's code.
