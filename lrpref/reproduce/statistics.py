"""Means over training seeds, with intervals. Images are nested within seeds: only the mean of each seed is used.

Values of different data sets are independent groups: seed 0 of one has nothing to do with seed 0 of the other. The mean
of several groups is the mean of their means, and its variance is the sum of theirs (Welch 1947, Biometrika 34:28):

    se^2 = sum_g s_g^2 / n_g / G^2
    df = (sum_g s_g^2 / n_g)^2 / sum_g ((s_g^2 / n_g)^2 / (n_g - 1))        rounded down

For one group this is Student's t with n - 1 degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import atan, cos, nan, pi, sin, sqrt

import numpy as np

T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""The 97.5 % quantiles of Student's t for 1, 2, ... 10 degrees of freedom. The last serves for more: it is wider."""


def interval(*groups: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean over groups of seeds and its 95 % interval; NaN for fewer than two seeds or values not finite.

    >>> interval([1.0, 2.0, 3.0])[0], interval([1.0, 2.0, 3.0], [5.0, 6.0])[0]
    (2.0, 3.75)
    """
    mean, error, df = _estimate(*groups)
    half = T_975[df - 1] * error if df else nan
    return mean, mean - half, mean + half


def p_value(*groups: Sequence[float], least: int = 3) -> float:
    """Return the probability of a mean at least as far from 0, either way, if the true mean is 0.

    It is NaN where `verdict` says nothing: for fewer than `least` seeds, and for values that are not finite.

    >>> round(p_value([1.0, 2.0, 3.0]), 4)
    0.0742
    """
    mean, error, df = _estimate(*groups)
    if not df or min(map(len, groups)) < least:
        return nan
    return two_sided(mean / error, df) if error > 0 else float(mean == 0)


def _estimate(*groups: Sequence[float]) -> tuple[float, float, int]:
    """The mean of the groups' means, its standard error, and its degrees of freedom: 0 if they cannot be computed."""
    values = [np.asarray(group, dtype=float) for group in groups]
    if not groups or min(v.size for v in values) == 0:
        return nan, nan, 0
    mean = float(np.mean([v.mean() for v in values]))
    if min(v.size for v in values) < 2 or not np.isfinite(mean):
        return mean, nan, 0
    parts = [float(v.var(ddof=1)) / v.size for v in values]
    squares = sum(part**2 / (v.size - 1) for part, v in zip(parts, values, strict=True))
    df = sum(parts) ** 2 / squares if squares > 0 else min(v.size for v in values) - 1
    return mean, sqrt(sum(parts)) / len(values), min(int(df + 1e-9), len(T_975))


def two_sided(t: float, df: int) -> float:
    """Return the probability that |T| > |t| for Student's t with `df` degrees of freedom.

    Abramowitz and Stegun 1964, 26.7.3 and 26.7.4, with theta = arctan(t / sqrt(df)).

    >>> round(two_sided(4.303, 2), 3)
    0.05
    """
    theta = atan(abs(t) / sqrt(df))
    term, total = (cos(theta), cos(theta)) if df % 2 else (1.0, 1.0)
    for k in range(3 if df % 2 else 2, df - 1, 2):
        term *= cos(theta) ** 2 * (k - 1) / k
        total += term
    if df % 2:
        return 1 - 2 / pi * (theta + sin(theta) * (total if df > 1 else 0))
    return 1 - sin(theta) * total


def holm(p_values: Sequence[float], level: float = 0.05) -> list[bool]:
    """Return which differences stand after correction for their number (Holm 1979, Scand. J. Statist. 6:65).

    The smallest of m values is compared with level / m, the next with level / (m - 1), up to the first that exceeds its
    bound. The probability that any true null hypothesis is among those that stand is at most `level`.

    >>> holm([0.04, 0.01, 0.03])
    [False, True, False]
    """
    stands = [False] * len(p_values)
    for rank, k in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        if not p_values[k] <= level / (len(p_values) - rank):
            break
        stands[k] = True
    return stands


def verdict(*groups: Sequence[float], least: int = 3) -> str:
    """Judge the claim that a difference is positive: "held", "did not hold", or "cannot say" with the reason.

    The mean of several groups may be far from 0 although each of them is too uncertain. A verdict on all of them is
    therefore one that at least one of them gives alone.

    >>> verdict([0.1, 0.11, 0.12]), verdict([0.1])
    ('held', 'cannot say: 1 training seed, at least 3 are needed')
    >>> verdict([0.0, 0.1, 0.2], [0.1, 0.2, 0.3])
    'cannot say: no single data set shows it'
    """
    mean, low, high = interval(*groups)
    seeds = min((len(group) for group in groups), default=0)
    if not seeds:
        return "cannot say: nothing was measured"
    if not np.isfinite(mean):
        return "cannot say: the measure is not finite"
    if seeds < least:
        return f"cannot say: {seeds} training seed{'s'[: seeds != 1]}, at least {least} are needed"
    if not (low > 0 or high < 0):
        return "cannot say: the interval over seeds holds 0"
    found = "held" if low > 0 else "did not hold"
    if len(groups) > 1 and found not in [verdict(group, least=least) for group in groups]:
        return "cannot say: no single data set shows it"
    return found


def agreed(verdicts: Mapping[str, str]) -> str:
    """Return the common verdict of all conditions, or "cannot say" with the verdict of each.

    >>> agreed({"mean": "held", "zero": "held"}), agreed({"mean": "held", "zero": "did not hold"})
    ('held', 'cannot say: mean: held; zero: did not hold')
    """
    if len(set(verdicts.values())) == 1:
        return next(iter(verdicts.values()))
    return "cannot say: " + "; ".join(f"{name}: {verdict}" for name, verdict in verdicts.items())


def as_text(*groups: Sequence[float]) -> str:
    """Return the mean, its interval and the number of seeds as text: "0.12 [0.10, 0.14] over 3 seeds"."""
    mean, low, high = interval(*groups)
    spread = f" [{low:.3g}, {high:.3g}]" if np.isfinite(low) else ""
    seeds = " + ".join(str(len(group)) for group in groups) or "0"
    return f"{mean:.3g}{spread} over {seeds} seed{'s'[: seeds != '1']}"
