# %% [markdown]
# # 8c. And a signal?
#
# A heartbeat is a list of 128 numbers. A small network with convolutions along time classifies it as *narrow*, like a
# normal beat, or *wide*, like a beat that begins in the wrong place of the heart. **Which part of the curve does it
# use?**
#
# Nothing in the method depends on pictures, so nothing has to change. A signal even has an advantage: we can exchange a
# part of it for the same part of another signal, and so test a map without erasing anything.

# %%
# %matplotlib inline
import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import lrpref
from lrpref.evaluation.maps import cosine

net = lrpref.fuse(lrpref.load("ecg-cnn").astype(np.float64))
names = ("beat-narrow", "beat-wide", "beat-between")
x = np.concatenate([lrpref.samples.load(name) for name in names]).astype(np.float64)
logits = net.forward(x)
target = logits.argmax(axis=1)
print("shape", x.shape)
for name, each in zip(names, logits, strict=True):
    print(f"{name:13} narrow {each[0]:6.2f}   wide {each[1]:6.2f}")
assert list(target) == [0, 1, 0]

# %% [markdown]
# The large peak of a beat is called the R wave; the slower one after it is the T wave. In these data, wide beats have a
# broad R wave *and* a T wave that points down. **Before you look:** the network was trained only on the labels "narrow"
# and "wide". Will it use the width, the T wave, or both?

# %% alt="Three heartbeats over bands of relevance: red at the R wave; in the wide beat the T wave is reddish, too"
seconds = (np.arange(128) - 48) / 180  # from the peak of the R wave
tr = lrpref.trace(net, x, target, rule="epsilon-plus")
figure = Figure(figsize=(9.2, 2.8), layout="constrained")
panels = figure.subplots(1, 3, sharey=True)
for ax, name, beat, R in zip(panels, names, x[:, 0], tr.relevance[:, 0], strict=True):
    ends = (seconds[0], seconds[-1], -1.1, 2.6)
    drawn = ax.imshow(R[None] / abs(R).max(), cmap="RdBu_r", aspect="auto", vmin=-1, vmax=1, extent=ends)
    ax.plot(seconds, beat, color="black", linewidth=1.2)
    ax.set_title(name, fontsize=10)
    ax.set_xlabel("seconds from the R wave", fontsize=9)
panels[0].set_ylabel("mV")
figure.colorbar(drawn, ax=list(panels), label="relevance / its largest\n(red: for, blue: against)")
figure

# %%
waves = {"R wave": abs(seconds) < 0.1, "T wave": seconds >= 0.1}
share = {
    wave: abs(tr.relevance[:, 0, part]).sum(axis=1) / abs(tr.relevance).sum(axis=(1, 2)) for wave, part in waves.items()
}
for k, name in enumerate(names[:2]):
    print(f"{name:13} R wave {share['R wave'][k]:.0%}, T wave {share['T wave'][k]:.0%} of the map")
assert_allclose([share["R wave"][:2], share["T wave"][:2]], [[0.85, 0.74], [0.09, 0.21]], atol=0.01)

# %% [markdown]
# Most of the relevance is on the R wave, and in the wide beat a fifth is on the T wave. (The rest is on the baseline
# before the R wave. The third beat, `beat-between`, has two negative logits that are close together: the network
# considers it neither clearly narrow nor clearly wide.) This gives a claim that we can
# test: if we exchange the T waves of the two beats, the answers should stay the same, and if we exchange the R waves,
# they should change. What do you expect?

# %%
two, answers = x[:2], {}
for wave, part in waves.items():
    mixed = two.copy()
    mixed[:, :, part] = two[::-1][:, :, part]
    answers[wave] = net.forward(mixed)
    margins = (answers[wave] @ [-1, 1]) * [-1, 1]  # by how much the old answer leads
    found = [("narrow", "wide")[k] for k in answers[wave].argmax(axis=1)]
    print(f"{wave}s exchanged: narrow -> {found[0]}, wide -> {found[1]}; the old answers lead by", *margins.round(1))
before = (logits[:2] @ [-1, 1]) * [-1, 1]
print("before, they led by", *before.round(1))
assert list(answers["T wave"].argmax(axis=1)) == [0, 1]
assert list(answers["R wave"].argmax(axis=1)) == [1, 0]
leads = (answers["T wave"] @ [-1, 1]) * [-1, 1]
assert_allclose([before, leads], [[8.9, 5.4], [5.5, 1.1]], atol=0.06)

# %% [markdown]
# The answer follows the R wave, as the map suggests. The map also suggests that the T wave matters *a little* for the
# wide beat. In fact it matters more than that: with the other T wave, the lead falls from 5.4 to 1.1. As in step 4, the
# map marks the right parts, but its amounts are not the changes of the output.
# ([docs/signals.md](../../docs/signals.md) repeats the exchange on all 190 beats that were held out, and goes on to
# volumes.)
#
# One more check comes from step 8b: does the map depend on the *answer*?

# %%
other = lrpref.explain(net, x, 1 - target, "epsilon-plus")
alike = cosine(tr.relevance, other)
print("cosine between the maps for the answer and for the other one:", *alike.round(2))
assert alike.max() < -0.9

# %% [markdown]
# The map for the other answer is nearly the same with opposite signs. With two classes, this is to be expected:
# evidence for narrow is evidence against wide. But a map that does not depend on the answer would look the same, as in
# `resnet20`. So this check is not conclusive here, while the exchange of waves was.
#
# ## What you know now
#
# - Rules, ledger and composites work for inputs with any number of axes.
# - If parts of two inputs can be exchanged, a map can be tested on inputs that look natural.
# - With two classes, the map for one is often the negative of the map for the other. This alone proves nothing.
#
# The next step is about a transformer, which multiplies activations by activations.
