"""The steps of a prepared network: each computes one layer forward (and the ReLU after it), and its relevance back.

A step is made once, by `lrpref.prepare`, and is frozen. What it must remember of a forward pass it returns from
`forward` and receives again as `kept`. Images are (N, H, W, C) here, channels last; vectors are (N, features). The two
forms of the messages between steps are defined in `step.py`.
"""

from __future__ import annotations

from .flat_rule import FlatRuleStep
from .joins import AddStep, GlobalAvgPoolStep
from .nearly_empty import NearlyEmptyStep
from .one_row import OneRowStep, of_one_row
from .plain import PlainStep
from .routing import DropoutStep, FlattenStep, MaxPoolStep
from .step import CARRIED, EXPLICIT, Step, channels_first, channels_last, sum_of_messages
from .weighted import Products, WeightedStep

__all__ = [
    "CARRIED",
    "EXPLICIT",
    "AddStep",
    "DropoutStep",
    "FlatRuleStep",
    "FlattenStep",
    "GlobalAvgPoolStep",
    "MaxPoolStep",
    "NearlyEmptyStep",
    "OneRowStep",
    "PlainStep",
    "Products",
    "Step",
    "WeightedStep",
    "channels_first",
    "channels_last",
    "of_one_row",
    "sum_of_messages",
]
