"""The steps of a prepared network: each computes one layer forward (with the ReLU after it), and relevance back.

A step is made once, by `lrpref.fast.prepare`, and is frozen; what it must remember of one forward pass it returns, and
gets back as `kept`. Images are (N, H, W, C) here, channels last; vectors (N, features). Relevance arrives at a node in
one of two forms, which is settled when the network is prepared:

    carried   c, with R = y c for the node's output y
    explicit  R itself
"""

from __future__ import annotations

from .by_terms import WeightedByTerms
from .joins import Join, Mean
from .plain import Plain
from .routing import Flat, Largest, Same
from .step import Step, added, channels_first, channels_last
from .uniform import Uniform
from .weak import WeakApart
from .weighted import Products, Weighted

__all__ = [
    "Flat",
    "Join",
    "Largest",
    "Mean",
    "Plain",
    "Products",
    "Same",
    "Step",
    "Uniform",
    "WeakApart",
    "Weighted",
    "WeightedByTerms",
    "added",
    "channels_first",
    "channels_last",
]
