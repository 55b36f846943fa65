"""Whether a map is what its signature says: lrpref's own map under the conventions that the signature names."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ..backend import Array, to_numpy
from ..errors import InputError
from ..fusion import fuse
from ..layers import BatchNorm
from ..network import Network
from ..rational.conversion import to_float
from ..scale.explanation import explain
from ..signatures import Signature, node_name
from .comparison import as_map, worst_distance


def distance_as_signed(
    net: Network, x: Array, R_other: Array, signature: Signature, target: int | Array | None = None
) -> float:
    """Return the distance of a map from lrpref's under the signature of the map.

    Parameters
    ----------
    net : Network
        The network, before its BatchNorm was folded away if the signature says so.
    x : array, shape (N, ...)
        The input.
    R_other : array
        The map.
    signature : Signature
        Its signature.
    target : int, array of int, or None
        The explained output, which a signature does not record.

    Returns
    -------
    float
        Relative L2 in the worst sample, lrpref's map being computed in float64; infinite if the shapes differ.

    Raises
    ------
    RuleError, UnknownNameError, InputError
        If the signature does not hold everything: a rule of your own, a digest in place of an array, the seeds of
        several outputs; or if it does not fit the network.

    Examples
    --------
    >>> from lrpref import Dense, trace
    >>> net = Network.sequential(Dense([[2.0, -1.0]], [1.0]))
    >>> tr = trace(net, [[3.0, 1.0]], rule="epsilon(epsilon=0.5)", seed="one")
    >>> distance_as_signed(net, [[3.0, 1.0]], tr.relevance, tr.signature)
    0.0
    """
    theirs = as_map(R_other, "the other map")
    has_norm = any(isinstance(layer, BatchNorm) for _, layer, _ in net.nodes)
    if has_norm != (signature.bn != "none"):
        said = {"none": "no BatchNorm", "kept": "BatchNorm", "fused": "BatchNorm that was folded away"}[signature.bn]
        raise InputError(
            f"the signature says that the network has {said}, but this one has {'some' if has_norm else 'none'}"
        )
    net = fuse(net) if signature.bn == "fused" else net
    net = net.to("numpy")
    net = net if net.dtype == object else net.astype("float64")
    ours = explain(
        net, net.cast(to_numpy(x)), target, signature.composite(net), _seed(signature), node_name(signature.node)
    )
    return worst_distance(theirs, to_float(to_numpy(ours)))


def _seed(signature: Signature) -> Any:
    """The seed that a signature names; raises InputError for a digest, or for the seeds of several outputs."""
    if signature.seed in ("logit", "one", "probability"):
        return signature.seed
    try:
        value = Fraction(signature.seed)
    except ValueError:
        raise InputError(f"the signature does not hold the seed itself, only {signature.seed}") from None
    return float(value)
