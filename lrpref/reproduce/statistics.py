"""Means over training seeds, with intervals. Images are nested within seeds: only the mean of each seed is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""The 97.5 % quantiles of Student's t for 1, 2, ... 10 degrees of freedom. The last serves for more: it is wider."""


def interval(per_seed: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean over seeds and its 95 % interval by Student's t, which is NaN for one seed or values not finite.

    >>> interval([1.0, 2.0, 3.0])[0]
    2.0
    """
    values = np.asarray(per_seed, dtype=float)
    mean = float(values.mean()) if values.size else float("nan")
    if values.size < 2 or not np.isfinite(values).all():
        return mean, float("nan"), float("nan")
    half = T_975[min(values.size - 1, len(T_975)) - 1] * float(values.std(ddof=1)) / values.size**0.5
    return mean, mean - half, mean + half


def verdict(per_seed: Sequence[float], least: int = 3) -> str:
    """Judge the claim that a difference is positive: "held", "did not hold", or "cannot say" with the reason.

    >>> verdict([0.1, 0.11, 0.12]), verdict([0.1])
    ('held', 'cannot say: 1 training seed, at least 3 are needed')
    """
    mean, low, high = interval(per_seed)
    if not len(per_seed):
        return "cannot say: nothing was measured"
    if not np.isfinite(mean):
        return "cannot say: the measure is not finite"
    if len(per_seed) < least:
        return f"cannot say: {len(per_seed)} training seed{'s'[: len(per_seed) != 1]}, at least {least} are needed"
    if low > 0:
        return "held"
    return "did not hold" if high < 0 else "cannot say: the interval over seeds holds 0"


def agreed(verdicts: Mapping[str, str]) -> str:
    """Return the common verdict of all conditions, or "cannot say" with the verdict of each.

    >>> agreed({"mean": "held", "zero": "held"}), agreed({"mean": "held", "zero": "did not hold"})
    ('held', 'cannot say: mean: held; zero: did not hold')
    """
    if len(set(verdicts.values())) == 1:
        return next(iter(verdicts.values()))
    return "cannot say: " + "; ".join(f"{name}: {verdict}" for name, verdict in verdicts.items())


def as_text(per_seed: Sequence[float]) -> str:
    """Return the mean, its interval and the number of seeds as text: "0.12 [0.10, 0.14] over 3 seeds"."""
    mean, low, high = interval(per_seed)
    spread = f" [{low:.3g}, {high:.3g}]" if np.isfinite(low) else ""
    return f"{mean:.3g}{spread} over {len(per_seed)} seed{'s'[: len(per_seed) != 1]}"
