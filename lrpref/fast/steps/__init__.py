"""The steps of a prepared network: each records one layer (and the ReLU after it) and the way of its relevance back.

A step is made once, by `lrpref.prepare`, and is frozen. What the way back must know of the forward pass it returns from
`forward` and receives again as `kept`. Arrays are images (N, H, W, C), channels last; vectors are images of one cell.
The two forms of the messages between steps are defined in `step.py`.
"""

from __future__ import annotations

from .flat_rule import FlatRuleStep
from .joins import AddStep, GlobalAvgPoolStep, SplitStep
from .plain import PlainStep
from .routing import DropoutStep, FlattenStep, MaxPoolStep
from .step import CARRIED, EXPLICIT, Step, given_back, laid_out, laid_out_shape, summed
from .weighted import WeightedStep

__all__ = [
    "CARRIED",
    "EXPLICIT",
    "AddStep",
    "DropoutStep",
    "FlatRuleStep",
    "FlattenStep",
    "GlobalAvgPoolStep",
    "MaxPoolStep",
    "PlainStep",
    "SplitStep",
    "Step",
    "WeightedStep",
    "given_back",
    "laid_out",
    "laid_out_shape",
    "summed",
]
