"""Relative LRP (R-LRP), as reconstructed by this project.

The abstract of Nyiri and Gibaru 2025 (arXiv 2501.14322) promises a rule whose conservation holds up to a multiplicative
factor, which divides by no small values except at skip connections, and which has no hyperparameter. It does not print
the formula. What follows is our reconstruction; every property claimed here is tested, and nothing is claimed about the
authors' own formula.

    "up to a multiplicative factor"                  per unit: (|z_j| - sgn(z_j) b_j) / n, below
    "without divisions by small values"              n is a number of inputs; kappa divides by the size of all messages
    "except for Resnet skip connection"              the Add is under LRP-0: R_a = a / (a + b) R
    "doesn't need any hyperparameters"               there is no epsilon, and any constant for n gives the same map

Several formulas satisfy these sentences. `READINGS` names five of them. On a chain of layers, all readings with one
constant per layer give the same map, up to a factor; a constant per unit ("unit-norm") gives another one. On a network
with skip connections all five differ, because branches of different depth collect different factors.

One program by others has a mode of this name: theoOmathimatikos/Simple_LRP (commit 097fc9c; LRP/lrp.py), for fully
connected layers. Its messages have no sign and are not rescaled. Its divisor is the first dimension after the batch of
the products a_i w_ij: the number of inputs for a batch, but the number of *outputs* for a single sample, which has no
batch dimension. (At this commit the mode stops with a TypeError, because it compares this number as if it were a
tensor.) Its README says that the divisor has been eliminated. This is evidence for the reading, not proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from .arithmetic import check_choice, check_flag, full, is_exact, ones_like
from .backend import Array, array_namespace, as_tuple, spread, sum_per_sample
from .engine import Rule, divide, magnitude
from .ledger import Flow

READINGS = ("rescaled", "bare", "unsigned", "no-divisor", "unit-norm")
"""The readings of the abstract; see `Relative`."""


@dataclass(frozen=True, init=False)
class Relative(Rule):
    """Relative LRP: each share is relative to the *number* of inputs, never to a value that may be small.

        R[i<-j] = sgn(z_j) (a_i w_ij / n) R_j
        sum_i R[i<-j] = ((|z_j| - sgn(z_j) b_j) / n) R_j

    n is the fan-in (taps times channels per group; 1 for a diagonal layer) and sgn(0) = +1. With rescaling, a layer
    passes on, for each sample, the total absolute relevance that it received:

        R_i = kappa sum_j R[i<-j]
        kappa = (sum_j |R_j|) / (sum_i |sum_k R[i<-k]|)

    where kappa = 0 if its denominator is zero. The ledger records

        factor = sum_j R_j (1 - kappa |z_j| / n)          bias = sum_j kappa sgn(z_j) b_j R_j / n

    (with kappa = 1 for messages that are not rescaled), log(kappa), and the part of the messages that survives their
    mutual cancellation.

    Parameters
    ----------
    reading : {"rescaled", "bare", "unsigned", "no-divisor", "unit-norm"}
        Which formula. Each one but "rescaled" is linear in R, and its messages grow or shrink with depth.
    rescale : bool, default True
        False is short for "bare".

    Notes
    -----
    The formula is reconstructed from the abstract, and the readings are ways to complete it:

    - "rescaled": as above. Rescaling is ours. It has a precedent, which we know second-hand: Vukadin et al. 2024 (ACM
      TIST, `doi:10.1145/3649458`) normalise relevance to a sum of magnitudes of 1 at every layer.
    - "bare": without kappa. For these messages "conserved up to a multiplicative factor" is true.
    - "unsigned": without kappa and without sgn(z_j).
    - "no-divisor": without kappa and with 1 in place of n.
    - "unit-norm": without kappa and with the unit's own sum_i |w_ij| in place of n. (Padding has no weight in it.)

    Two other formulas were set aside: propagating R / a instead of R, which conserves exactly and leaves no
    multiplicative factor; and dividing by the sum of |a w|, which is `Absolute`.

    At a skip connection, relevance is split in proportion to the inputs: `Zero` on the Add, the only division.
    `composites.Relative` does so, and requires that BatchNorm is fused first.

    References
    ----------
    Reconstructed from the abstract of Nyiri and Gibaru 2025, arXiv 2501.14322, which prints no formula.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> layer, a, R = Dense([[2.0, -1.0]]), np.array([[1.0, 1.0]]), np.array([[3.0]])
    >>> layer.relevance(a, R, Relative("bare")), layer.relevance(a, R, Relative())
    (array([[ 3. , -1.5]]), array([[ 2., -1.]]))
    >>> layer.relevance(a, R, Relative("no-divisor")), layer.relevance(a, R, Relative("unit-norm"))
    (array([[ 6., -3.]]), array([[ 2., -1.]]))
    """

    name: ClassVar[str] = "relative"
    equation: ClassVar[str] = "R_i = kappa sum_j sgn(z_j) (a_i w_ij / n) R_j"
    when: ClassVar[str] = "networks without BatchNorm, where small denominators are the problem"
    source: ClassVar[str] = "reconstructed from the abstract of Nyiri and Gibaru 2025"
    conserves: ClassVar[bool] = False

    reading: str = "rescaled"

    def __init__(self, reading: str = "rescaled", *, rescale: bool = True) -> None:
        check_choice(reading, "Relative: reading", READINGS)
        check_flag(rescale, "Relative: rescale")
        object.__setattr__(self, "reading", reading if rescale or reading != "rescaled" else "bare")

    @property
    def rescale(self) -> bool:
        """Whether a layer passes on the total absolute relevance that it received."""
        return self.reading == "rescaled"

    @property
    def linear(self) -> bool:  # type: ignore[override]
        """Whether R_i is linear in R_j; rescaling divides by a norm."""
        return not self.rescale

    def divisor(self, layer: Any, w: Array, inputs: tuple[Array, ...]) -> Any:
        """Return n: one number for all units of a layer, or for "unit-norm" an array shaped like its output."""
        if self.reading == "unit-norm":
            return layer.linear(magnitude(w), *map(ones_like, inputs))
        return 1 if self.reading == "no-divisor" else layer.fan_in(*(tuple(a.shape) for a in inputs))

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """Sum and rescale the relative messages; return them with the losses and facts for the ledger.

        Inputs are scaled by a power of two, and R by its own norm, before they are multiplied, so that nothing
        overflows here that did not overflow forward.
        """
        w, b = layer.parameters(*inputs)
        shapes = [tuple(a.shape) for a in inputs]
        n = self.divisor(layer, w, inputs)
        z = layer.forward(*inputs)
        power = _power_of_two(inputs)
        received = sum_per_sample(magnitude(R))
        R_unit = divide(R, spread(received, R)) if self.rescale else R
        s = R_unit if self.reading == "unsigned" else _sgn(z) * R_unit
        s = divide(s, n) if self.reading == "unit-norm" else s / n
        m = [a / spread(power, a) * c for a, c in zip(inputs, as_tuple(layer.adjoint(w, s, *shapes)), strict=True)]
        size = _size(m)
        grow = divide(received, size) if self.rescale else power
        factor = sum_per_sample(R) - grow * (sum_per_sample(s * z) / power)
        bias = 0 * grow if b is None else grow * (sum_per_sample(s * b) / power)
        facts = {} if is_exact(R) else self._facts(layer, inputs, w, s, size, power)
        return Flow(tuple(m_i * spread(grow, m_i) for m_i in m), {"bias": bias, "factor": factor}, facts)

    def _facts(
        self, layer: Any, inputs: tuple[Array, ...], w: Array, s: Array, size: Array, power: Array
    ) -> dict[str, Array]:
        """log(kappa), and sum_i |sum_j m_ij| / sum_ij |m_ij|: near 0, the direction of the map is rounding noise."""
        shapes = [tuple(a.shape) for a in inputs]
        c = as_tuple(layer.adjoint(magnitude(w), magnitude(s), *shapes))
        apart = _size([a / spread(power, a) * c_i for a, c_i in zip(inputs, c, strict=True)])
        survived = {"survived": divide(size, apart)}
        if not self.rescale:
            return survived
        xp = array_namespace(s)
        flowing = xp.where(size > 0, size, ones_like(size))
        return {"log(kappa)": -xp.log(flowing) - xp.log(power), **survived}


def _sgn(z: Array) -> Array:
    """-1 where z < 0, else 1; NaN stays NaN."""
    where, one = array_namespace(z).where, ones_like(z)
    return where(z < 0, -one, where(z >= 0, one, z))


def _size(parts: Sequence[Array]) -> Array:
    """The sum of magnitudes per sample, over all parts: (N,)."""
    first, *more = [sum_per_sample(magnitude(part)) for part in parts]
    return sum(more, start=first)


def _power_of_two(inputs: tuple[Array, ...]) -> Array:
    """Per sample, the power of two just below the largest magnitude, so that division is exact; 1 for zeros."""
    peaks = [array_namespace(a).max(magnitude(a), axis=tuple(range(1, a.ndim))) for a in inputs]
    if is_exact(peaks[0]):
        return ones_like(peaks[0])
    xp = array_namespace(peaks[0])
    peak = xp.max(xp.stack(peaks), axis=0)
    exponent = xp.floor(xp.log2(xp.where(peak > 0, peak, ones_like(peak))))
    return xp.pow(full(peak.shape, 2, like=peak), exponent)
