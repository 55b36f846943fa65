"""Hypothesis strategies for layers, inputs, relevances, rules and networks.

The strategies follow the style of `hypothesis.extra.numpy`: the main argument comes first, options are keywords, and
every argument is a value or a strategy to draw it from.

    numbers         arrays, nonnegative, generic: arrays of a shape
    shapes          vectors, images, samples, ...: shapes
    linear, pools, norms, activations, axes, products
                    dense, conv, max_pool, ...: a layer for an input of a shape
    kinds           layers, layer_cases, relevances: a layer of any kind; a layer with inputs and relevance
    rule_modes      rules, rule_cases: a rule in any of its modes; a rule with a `LayerCase`
    graphs          networks, dense_networks, two_inputs: a network with a batch

All names are imported from here: `from lrpref.testing.strategies import layer_cases`.

Shapes are drawn first, then a layer that fits them, then the numbers. Numbers are *dyadic*: multiples of 1/8 between -4
and 4. Products and sums of a few such numbers are exact in floating point. A denominator z = 0 is therefore exactly 0,
any two orders of summation agree to the last bit, and tests can demand equality instead of a tolerance. The geometry
preserves this: average pools have 1, 2, 4, 8 or 16 cells, BatchNorms have standard deviations of 1/2, 1 or 2, and
the groups of norms by the sample's own statistics have deviations of 1/2, 1 or 2.

Everything shrinks towards one sample, one channel, one cell, no padding, stride 1, and zeros: the smallest network is
Flatten followed by a Dense layer with one weight.

Needs Hypothesis (in the extra "testing").
"""

from .activations import clip, leaky_relu, prelu, softmax, threshold_relu
from .axes import (
    channel_shuffle,
    maxima,
    means,
    pad,
    permute,
    pixel_shuffle,
    pixel_unshuffle,
    prepend_tokens,
    reshape,
    slices,
    sums,
)
from .graphs import BLOCKS, dense_networks, networks, two_inputs
from .kinds import ELEMENTWISE, LAYERS, LINEAR, OTHERS, PRODUCTS, ROUTING, SMOOTH, Kind, layer_cases, layers, relevances
from .linear import affine, conv, conv_transpose, dense, scale, token_dense
from .norms import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm
from .numbers import arrays, generic, nonnegative
from .pools import adaptive_avg_pool, adaptive_max_pool, avg_pool, global_avg_pool, global_max_pool, max_pool, upsample
from .products import embedding, mat_mul, multiply
from .rule_modes import RULES, kinds_for, rule_cases, rules, z_box
from .shapes import images, samples, signals, spatial, vectors, volumes

__all__ = [
    "BLOCKS",
    "ELEMENTWISE",
    "LAYERS",
    "LINEAR",
    "OTHERS",
    "PRODUCTS",
    "ROUTING",
    "RULES",
    "SMOOTH",
    "Kind",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "affine",
    "arrays",
    "avg_pool",
    "batch_norm",
    "conv",
    "conv_transpose",
    "channel_shuffle",
    "dense",
    "dense_networks",
    "embedding",
    "generic",
    "global_avg_pool",
    "global_max_pool",
    "group_norm",
    "images",
    "instance_norm",
    "kinds_for",
    "layer_cases",
    "layer_norm",
    "layers",
    "leaky_relu",
    "local_response_norm",
    "prelu",
    "clip",
    "mat_mul",
    "max_pool",
    "maxima",
    "means",
    "multiply",
    "networks",
    "nonnegative",
    "pad",
    "permute",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prepend_tokens",
    "relevances",
    "reshape",
    "rms_norm",
    "rule_cases",
    "rules",
    "samples",
    "scale",
    "signals",
    "spatial",
    "slices",
    "softmax",
    "sums",
    "threshold_relu",
    "token_dense",
    "two_inputs",
    "upsample",
    "vectors",
    "volumes",
    "z_box",
]
