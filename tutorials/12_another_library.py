# %% [markdown]
# # 12. Whose heatmap is right?
#
# Two libraries explain the same picture with the same network, under a rule of the same name, and the heatmaps differ.
# **Which of the two is wrong, or is neither?**
#
# The heatmaps alone do not answer this. We need networks so small that we can work out the right answer by hand, and a
# way to try them with any library.

# %%
# %matplotlib inline
import inspect
import json
from importlib.resources import files

import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from lrpref import Dense, ReLU, conformance, rules
from lrpref.conformance import NotOffered

# %% [markdown]
# ## A library
#
# To avoid installing anything, we write a library ourselves, in ten lines, for fully connected layers. It has epsilon,
# and alpha-beta with $\alpha = 1, \beta = 0$. It looks like typical code, and contains three mistakes.


# %%
def epsilon_rule(a, w, b, R, epsilon):
    z = a @ w.T + b
    return a * ((R / (z + epsilon)) @ w)


def alpha1_beta0(a, w, b, R):
    w = np.maximum(w, 0)
    z = a @ w.T + b
    return a * ((R / (z + 1e-9)) @ w)


# %% [markdown]
# ## First try: compare with somebody else's heatmap
#
# We use a layer with random weights and inputs like those after a ReLU, and compare with lrpref.

# %%
random = np.random.default_rng(0)
w, a, R = random.normal(size=(3, 4)), abs(random.normal(size=(1, 4))), np.ones((1, 3))
for name, ours, rule in [
    ("epsilon", epsilon_rule(a, w, np.zeros(3), R, 0.01), rules.Epsilon(0.01)),
    ("alpha 1, beta 0", alpha1_beta0(a, w, np.zeros(3), R), rules.AlphaBeta(1, 0)),
]:
    theirs = Dense(w).relevance(a, R, rule)
    apart = abs(ours - theirs).max() / abs(theirs).max()
    print(f"{name:16} differs by {apart:.1%}")
    assert apart < 0.05

# %% [markdown]
# One rule differs a little, and the other does not differ. Is the small difference a mistake, another convention, or
# rounding? Does agreement prove anything? And is lrpref right? A comparison of two programs cannot answer these
# questions.
#
# ## Cases
#
# A calculation by hand can. lrpref contains a table of small cases with known answers, under 42 questions on which
# implementations are known to disagree: negative inputs, biases, zero denominators, padding, skips, and so on. Each
# answer was worked out by hand, or in fractions from the rule's equation by a script that uses no LRP library, not even
# lrpref. Here is one.

# %%
cases = conformance.load_cases()
case = next(case for case in cases if case.id == "ab-neg-input")
print(f"{len(cases)} cases under {len({each.number for each in cases})} questions. One of them:\n")
print(case.title)
for name, layer, _ in case.network.nodes:
    print(f"{name}: weights {layer.weight}, input {case.input[0]}, relevance {case.seed[0]}, rule {case.rules[name]}")
print("expected", *case.exact[0])
print("known to differ:", case.citation)
assert len(cases) == 401
assert len({each.number for each in cases}) == 42
assert [str(v) for v in case.exact[0]] == ["1/3", "2/3", "0"]

# %% [markdown]
# You can check it in your head: the contributions are (1, 2, -2), and the positive ones sum to 3, so the answer is
# (1/3, 2/3, 0).
#
# ## An adapter
#
# Other libraries do not use lrpref's networks and rules. An *adapter* translates: it takes a case and returns the
# library's relevance of the input. If the library does not offer the rule or the layer, the adapter raises
# `NotOffered`, which **does not count as an error**. The adapter also quotes what the library's documentation promises,
# because a value can only be wrong if the library has promised another one.


# %%
class TwoRules:
    """Our library, as the suite sees it."""

    library, version = "two-rules", "0.1"

    def explain(self, case):
        if any(type(layer) not in (Dense, ReLU) for _, layer, _ in case.network.nodes):
            raise NotOffered("layers other than Dense and ReLU")
        if not hasattr(case.seed, "shape"):
            raise NotOffered("seeds other than an array of relevance")
        at, R = case.network.activations(case.input), case.seed
        for name, layer, (source,) in reversed(case.network.nodes):
            if isinstance(layer, Dense):
                R = self.rule(case.rules[name], at[source], layer, R)
        return R

    def rule(self, rule, a, layer, R):
        b = np.zeros(len(layer.weight)) if layer.bias is None else layer.bias
        if type(rule) is rules.Epsilon and rule.scale is None:
            return epsilon_rule(a, layer.weight, b, R, rule.epsilon)
        if type(rule) is rules.AlphaBeta and (rule.alpha, rule.bias, rule.empty) == (1, "keep", "literal"):
            return alpha1_beta0(a, layer.weight, b, R)
        raise NotOffered(f"the rule {rule}")

    def promise(self, case):
        return 'README: "epsilon and alpha-beta, as in Bach et al. 2015"'


report = conformance.run(TwoRules(), cases)
print(report.counts)
assert report.counts["differs"] == 10
assert report.counts["agrees"] == 6

# %% [markdown]
# Most cases are about layers and rules that our library does not have. But ten differ. We print them, the largest error
# first.

# %%
for result in sorted(report.of("differs"), key=lambda result: -result.error):
    print(f"{result.case.id}: error {result.error:.0e}")
    print(f"    expected {np.round(result.expected.ravel(), 4)}, got {np.round(result.got.ravel(), 4) + 0.0}")
errors = {result.case.id: result.error for result in report.of("differs")}
assert {"ab-neg-input", "ab-neg-bias", "eps-negative-z-below"} <= {
    name for name, error in errors.items() if error > 0.1
}
assert {"ab-signed-R", "ab-bias-mode-keep"} <= {name for name, error in errors.items() if error < 1e-8}

# %% [markdown]
# There are three groups.
#
# - Those that begin with *eps* have $z < 0$. The paper's denominator is $z + \varepsilon \, \mathrm{sign}(z)$ (Bach et
#   al. 2015, eq. 58), which moves away from zero on both sides. Our denominator moves towards zero, and at $z =
#   -\varepsilon$ we divide by zero. This was the small difference in the first try.
# - Those that begin with *ab* and have a large error have negative inputs or biases. Our alpha-beta clamps the weights,
#   where the paper splits the *products* (eq. 60), and it leaves a negative bias in the denominator of the positive
#   part. The first try had neither negative inputs nor biases, so it showed no difference.
# - The rest differ in the tenth digit. The cause is the 1e-9 that we added to the denominator to avoid a division by
#   zero. It is not part of the formula. Mostly it does no harm, but where the wrong denominator was exactly zero, it is
#   what produced the largest error of the table. The size of an error shows what to look for.
#
# ## Correct the mistakes


# %%
def epsilon_rule(a, w, b, R, epsilon):
    z = a @ w.T + b
    return a * ((R / (z + epsilon * np.where(z >= 0, 1, -1))) @ w)


def alpha1_beta0(a, w, b, R):
    parts = [(np.maximum(a, 0), np.maximum(w, 0)), (np.minimum(a, 0), np.minimum(w, 0))]
    z = sum(a_part @ w_part.T for a_part, w_part in parts) + np.maximum(b, 0)
    s = np.where(z == 0, 0, R / np.where(z == 0, 1, z))
    return sum(a_part * (s @ w_part) for a_part, w_part in parts)


fixed = conformance.run(TwoRules(), cases)
print(fixed.counts)
assert fixed.passed
assert fixed.counts["agrees"] == 16

# %% [markdown]
# No case differs any more, and all ten that differed now agree.
#
# ## Results of other libraries
#
# `lrpref conform zennit` does the same with an installed library. We ran it on several libraries. The recorded results
# are part of the package, so you need not install anything to see them.

# %%
folder = files("lrpref.conformance.adapters") / "recorded"
records = [json.loads(path.read_text()) for path in sorted(folder.iterdir(), key=lambda path: path.name)]
names = [f"{record['library']} {record['version']}" for record in records]
shown = ("agrees", "differs", "convention")
print(f"{'':20}" + "".join(f"{verdict:>12}" for verdict in (*shown, "not-offered")))
for name, record in zip(names, records, strict=True):
    print(f"{name:20}" + "".join(f"{record['verdicts'][verdict]:12}" for verdict in (*shown, "not-offered")))
assert {record["library"] for record in records} >= {"zennit", "captum", "innvestigate", "lxt", "torchlrp"}
most = {verdict: max(records, key=lambda record: record["verdicts"][verdict]) for verdict in ("differs", "convention")}
print("most that differ:", most["differs"]["library"], most["differs"]["verdicts"]["differs"], end="; ")
print("most conventions:", most["convention"]["library"], most["convention"]["verdicts"]["convention"])
assert all(record["verdicts"]["error"] == 0 for record in records)

# %% alt="Bars per library, blue, orange and hatched, grey: mostly agreement, some conventions, a few differences"
figure = Figure(figsize=(8.4, 2.9), layout="constrained")
ax, left = figure.subplots(), np.zeros(len(records))
looks = {"agrees": ("#4393c3", ""), "differs": ("#e66101", "////"), "convention": ("#bdbdbd", "")}
for verdict in shown:  # told apart by brightness and hatching, too, not by colour alone
    counts = np.array([record["verdicts"][verdict] for record in records])
    colour, hatch = looks[verdict]
    ax.barh(names, counts, left=left, color=colour, hatch=hatch, edgecolor="white", linewidth=0.5, label=verdict)
    left += counts
ax.invert_yaxis()
ax.set_xlabel("cases that apply to the library")
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# The figure shows three verdicts.
#
# - **differs** (orange): the library returns another value, although its documentation, or the paper that it cites,
#   promises the expected one. This is an error, and the report quotes the promise.
# - **convention** (grey): the library returns another value, but has not promised any. For example, the papers do not
#   state what becomes of a bias under w-square, or which pixel wins a tie, so each library has to decide.
# - **agrees** (blue): the library returns the expected value. The number of cases that apply to a library shows what it
#   was designed for, and not how good it is.
#
# Here are the results for the case from above.

# %%
for name, record in zip(names, records, strict=True):
    answer = next(each for each in record["cases"] if each["id"] == "ab-neg-input")
    values = "" if answer["got"] is None else np.round(np.array(answer["got"], dtype=float).ravel(), 3)
    print(f"{name:20} {answer['verdict']:12} {values}")
captum = next(record for record in records if record["library"] == "captum")
answer = next(each for each in captum["cases"] if each["id"] == "ab-neg-input")
assert answer["verdict"] == "differs"
assert_allclose(np.array(answer["got"], dtype=float).ravel(), [-1, 0, 2])

# %% [markdown]
# captum, which many people use, answers (-1, 0, 2), the result of clamped weights. The input with the largest positive
# contribution gets nothing, and the one with the negative contribution gets the most. The report quotes the library's
# documentation:

# %%
print(answer["reason"])
assert "Only positive relevance is propagated" in answer["reason"]

# %% [markdown]
# ## Before you write to anyone
#
# An adapter is code too, and may contain mistakes. So before you report a difference, reproduce it with the library's
# own functions and defaults. lrpref's tests do so for each error described in
# [docs/adapters.md](../../docs/adapters.md). Here is the function that gives the verdict:

# %%
print(inspect.getsource(conformance.table.lrp_cases.judge))

# %% [markdown]
# ## What you know now
#
# - Two programs that agree may share a mistake, and if two differ you do not know which one is wrong. Small cases with
#   an answer worked out by hand show it.
# - An adapter calls a library on a case. If the library lacks the rule or layer, the verdict is *not offered*. If it
#   has promised no value, another value is a *convention*.
# - `lrpref conform --adapter module:function` runs all cases on your own code, with a report as text, Markdown, JSON or
#   HTML, and an exit code for CI ([docs/conformance.md](../../docs/conformance.md)).
#
# The next step is about two programs that are both right, and still differ in the seventh digit.
