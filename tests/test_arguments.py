"""Bad arguments: every parameter of every public constructor and function refuses them by an error of lrpref's.

Each parameter is given every value of `BAD`, while the other arguments stay valid. The call must raise an LrprefError,
unless `ACCEPTED` lists the value for the parameter's kind. A raw TypeError of NumPy, a hang, and a silent acceptance
all fail.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import lrpref
from lrpref import composites, datasets, evaluation, layers, models, plot, rules, samples, weights
from lrpref.errors import LrprefError

ZERO = rules.Zero()
W, B = np.asarray([[1.0, -2.0], [0.5, 1.0]]), np.asarray([0.1, -0.1])
BYTES = np.full((1, 1, 2, 2), 255, dtype=np.uint8)
KERNEL = np.ones((2, 1, 2, 2))
CONVOLUTIONS = (
    (KERNEL[..., 0], lrpref.Conv1D, lrpref.ConvTranspose1D),
    (KERNEL, lrpref.Conv2D, lrpref.ConvTranspose2D),
    (KERNEL[..., None], lrpref.Conv3D, lrpref.ConvTranspose3D),
)
NET = lrpref.Network.sequential(lrpref.Dense(W, B), lrpref.ReLU(), lrpref.Dense(W))
X = np.asarray([[1.0, 2.0], [0.5, -1.0]])
IMAGES = np.linspace(0, 1, 18).reshape(1, 2, 3, 3)
TWO = lrpref.Network([("sum", lrpref.Add(), ["a", "b"]), ("dense1", lrpref.Dense(W), "sum")], inputs=["a", "b"])
ENDS = lrpref.Network([(name, lrpref.Dense(W), "input") for name in ("left", "right")], outputs=["left", "right"])
TRACE = lrpref.trace(NET, X)
OF_IMAGES = lrpref.trace(lrpref.Network.sequential(lrpref.ReLU()), IMAGES)
PREPARED = lrpref.prepare(NET)


class Foreign:
    """An object that no function takes."""


with warnings.catch_warnings():
    warnings.simplefilter("ignore", PendingDeprecationWarning)
    MATRIX = np.matrix([[1.0, -2.0], [0.5, 1.0]])

BAD: dict[str, Any] = {
    "None": None,
    "a duration": np.timedelta64(1, "s"),
    "True": True,
    "an object": Foreign(),
    "a class": Foreign,
    "a text": "no",
    "an empty text": "",
    "bytes": b"no",
    "a dict": {},
    "a set": {1},
    "a function": len,
    "-1": -1,
    "0": 0,
    "1": 1,
    "0.5": 0.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "1j": 1j,
    "2**70": 2**70,
    "10**400": 10**400,
    "10**5000": 10**5000,
    "Fraction(10**400)": Fraction(10**400),
    "1e300": 1e300,
    "a datetime": datetime(2000, 1, 1),
    "no list": [],
    "a ragged list": [[1.0], [1.0, 2.0]],
    "a list of None": [None, None],
    "a list of texts": ["x", "y"],
    "a list of a masked array": [np.ma.masked_invalid([1.0, np.nan])],
    "a matrix": MATRIX,
    "a masked array": np.ma.masked_invalid([[1.0, np.nan], [1.0, 1.0]]),
    "a mask of nothing": np.ma.MaskedArray(X),
    "complex numbers": X + 0j,
    "NaN": np.asarray([[1.0, np.nan], [1.0, 1.0]]),
    "infinities": np.asarray([[1.0, np.inf], [1.0, 1.0]]),
    "half precision": X.astype(np.float16),
    "texts": np.asarray([["a", "b"], ["c", "d"]]),
    "objects": np.asarray([[None, Foreign()], [1, 2]], dtype=object),
    "numbers as text": np.asarray([["1", "2"], ["3", "4"]], dtype=object),
    "dates": np.asarray([["2000-01-01"] * 2] * 2, dtype="datetime64[D]"),
    "records": np.zeros((2, 2), dtype=[("a", float), ("b", float)]),
    "an empty array": np.zeros((0, 2)),
    "empty rows": np.zeros((2, 0)),
    "one number as an array": np.asarray(1.0),
    "another shape": np.ones((2, 3, 5)),
}

POSITIVE = {"1", "0.5", "1e300", "2**70"}
COUNTS = {"1"}
ACCEPTED: dict[str, set[str]] = {
    "array": set(),
    "kernels of signals": {"another shape"},
    "cells": {"another shape"},
    "cells or None": {"another shape", "None"},
    "name": {"a text"},
    "name or None": {"a text", "None"},
    "batch": {"an empty array"},
    "drawn for": {"no list", "NaN", "infinities", "an empty array", "empty rows", "another shape"},
    "any batch": {"an empty array", "another shape"},
    "batch or None": {"an empty array", "None"},
    "array or None": {"None"},
    "values": {"NaN", "infinities"},
    "drawn": {"half precision"},
    "bound": POSITIVE | {"-1", "0", "one number as an array", "another shape"},
    "map": {"a function", "a class"},
    "map or None": {"a function", "a class", "None"},
    "sign": {"1", "-1"},
    "beta": {"1"},
    "number": POSITIVE | {"0", "-1"},
    "number >= 0": POSITIVE | {"0"},
    "number or None": POSITIVE | {"0", "-1", "None"},
    "one per channel": {"True", "1", "0.5", "0", "-1", "2**70", "one number as an array"},
    "factor": {"1", "0.5"},
    "count": COUNTS,
    "count or None": COUNTS | {"None"},
    "index": COUNTS | {"0"},
    "index or None": COUNTS | {"0", "None"},
    "width": COUNTS | {"0"},
    "zero": {"0"},
    "place or None": COUNTS | {"0", "-1", "None"},
    "place": COUNTS | {"0", "-1"},
    "unused": set(BAD),
    "flag": {"True"},
    "flag or None": {"True", "None"},
    "choice": set(),
    "choice or None": {"None"},
    "anything": set(BAD),
    "text": {"a text", "an empty text"},
    "pairs": {"no list"},
    "object": set(),
    "object or None": {"None"},
    "shape or None": {"None", "no list"},
    "sizes or None": {"None", "a list of None"},
    "output or None": {"None", "NaN", "infinities"},
    "budget": POSITIVE | {"0", "inf"},
    "budget or None": POSITIVE | {"0", "inf", "None"},
    "seed": POSITIVE | {"0", "-1"},
    "seed of any shape": POSITIVE
    | {"0", "-1", "no list", "an empty array", "empty rows", "one number as an array", "another shape"},
    "fill": POSITIVE | {"0", "-1", "one number as an array"},
    "share": {"1", "0.5"},
    "number > 0": POSITIVE,
    "mapping": {"a dict"},
    "axis": {"1", "-1"},
    "one per output": {"None", "a dict", "a list of None"},
}
"""For each kind of parameter, the values of `BAD` that are good ones."""

KINDS: dict[str, str] = {
    "weight": "array",
    "bias": "array or None",
    "bias_taps": "array or None",
    "mean": "array",
    "var": "array",
    "eps": "number >= 0",
    "stride": "count",
    "dilation": "count",
    "padding": "width",
    "groups": "count",
    "kernel_size": "count",
    "ceil_mode": "flag",
    "divisor": "count or None",
    "output_padding": "zero",
    "output_size": "count",
    "scale_factor": "number > 0",
    "coordinates": "choice",
    "rounding": "choice",
    "count_include_pad": "flag",
    "ties": "choice",
    "axis": "axis",
    "axes": "axis",
    "keepdims": "flag",
    "start": "place or None",
    "stop": "place or None",
    "split": "choice",
    "signal": "index",
    "upscale_factor": "count",
    "downscale_factor": "count",
    "p": "number >= 0",
    "value": "number",
    "negative_slope": "number",
    "below": "array or None",
    "epsilon": "number >= 0",
    "stabilizer": "number >= 0",
    "gamma": "number >= 0",
    "finite": "flag",
    "generalised": "flag",
    "reading": "choice",
    "rescale": "flag",
    "scale": "choice or None",
    "empty": "choice",
    "low": "bound",
    "high": "bound",
    "alpha": "object",
    "beta": "beta",
    "a": "map",
    "w": "map",
    "b": "map or None",
    "coefficient": "number",
    "terms": "object",
    "denominator": "object or None",
    "sign": "sign",
    "nodes": "object",
    "fixed_by": "text",
    "net": "object",
    "names": "object or None",
    "text": "choice",
    "path": "choice",
    "layer": "object",
    "x": "batch",
    "R": "array",
    "R1": "array",
    "R2": "array",
    "R_other": "array",
    "target": "index or None",
    "rule": "choice",
    "seed": "seed",
    "node": "choice or None",
    "form": "choice",
    "batch_size": "count or None",
    "progress": "flag or None",
    "out": "output or None",
    "threads": "count or None",
    "shape": "object or None",
    "budget": "budget or None",
    "verify": "batch or None",
    "threshold_relu": "flag",
    "digits": "count",
    "precision": "object",
    "dtypes": "object",
    "reference": "choice",
    "k": "index",
    "tolerance": "budget",
    "pairs": "flag",
    "backend": "choice",
    "dtype": "choice",
    "name": "choice",
    "inputs": "array",
    "entries": "object",
    "num_classes": "count",
    "width": "factor",
    "state": "object or None",
    "channels": "object",
    "hidden": "count",
    "shortcut": "choice",
    "stem_pool": "flag or None",
    "batch_norm": "flag",
    "input_shape": "object",
    "title": "text",
    "columns": "count",
    "sample": "place",
    "maps": "object",
    "output": "choice",
    "region": "count",
    "step": "count",
    "by": "choice",
    "normalise": "choice",
    "repeats": "count",
    "scorer": "object",
    "conventions": "object",
    "order": "choice",
    "mode": "choice",
    "similarity": "choice",
    "how": "choice",
    "signature": "text",
    "fused": "flag",
    "overlay": "flag",
    "figure": "object or None",
    "trace": "object",
    "messages": "drawn",
    "joins": "choice",
    "against": "index or None",
    "kind": "choice",
}
"""The kind of a parameter by its name; `CALLS` overrides it where a name means something else."""


CALLED = {"before", "explainer"}
"""Parameters that are functions of the caller's, whose errors are the caller's."""


class Call:
    """A public callable, valid arguments, and the kinds of parameters that differ from `KINDS`."""

    def __init__(self, function: Callable[..., Any], kinds: dict[str, str] | None = None, /, **valid: Any) -> None:
        self.function, self.kinds, self.valid = function, kinds or {}, valid

    @property
    def parameters(self) -> list[str]:
        """The parameters that can be given by name."""
        found = inspect.signature(self.function).parameters.values()
        return [p.name for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name not in CALLED]

    def __call__(self, **changed: Any) -> Any:
        return self.function(**self.valid | changed)


def _relevance(layer: lrpref.Layer) -> Callable[..., Any]:
    return lambda inputs, R, rule=ZERO: layer.relevance(inputs, R, rule)


def _flow(messages: Any, names: Any = None, title: Any = "", figure: Any = None) -> Any:
    return plot.flow(messages, names=names, title=title, figure=figure)


def _forward(layer: lrpref.Layer, *more: np.ndarray) -> Callable[..., Any]:
    return lambda x: layer.forward(x, *more)


UNUSED = {"seed": "unused", "net": "unused", "target": "unused"}
NORM = {"weight": "array or None", "bias": "array or None", "mean": "choice"}
SCORED = {"batch_size": "count", "x": "array"}

PROJECTION = lrpref.TokenDense(W)

CALLS: dict[str, Call] = {
    "Dense": Call(lrpref.Dense, weight=W),
    "TokenDense": Call(lrpref.TokenDense, weight=W),
    "Affine": Call(lrpref.Affine, {"weight": "cells", "bias": "cells or None"}, weight=W),
    "Embedding": Call(lrpref.Embedding, weight=W),
    "PrependTokens": Call(lrpref.PrependTokens, {"tokens": "array"}, tokens=W),
    "MatMul": Call(lrpref.MatMul, {"transpose": "flag", "scale": "number"}),
    "Softmax": Call(lrpref.Softmax),
    "attention": Call(
        lrpref.attention,
        {"name": "name", "source": "name", "heads": "count", "query": "object", "key": "object", "value": "object"}
        | {"output": "object or None", "memory": "name or None", "mask": "cells or None"},
        name="a",
        source="input",
        heads=1,
        query=PROJECTION,
        key=PROJECTION,
        value=PROJECTION,
    ),
    "lstm": Call(
        lrpref.lstm,
        {"name": "name", "source": "name", "steps": "count", "weight_ih": "object", "weight_hh": "object"}
        | {"bias": "object or None"},
        name="a",
        source="input",
        steps=2,
        weight_ih=np.ones((4, 2)),
        weight_hh=np.ones((4, 1)),
    ),
    **{
        kind.__name__: Call(kind, {"weight": "kernels of signals"} if kind.axes == 1 else None, weight=kernel)
        for kernel, *kinds in CONVOLUTIONS
        for kind in kinds
    },
    "Scale": Call(lrpref.Scale, weight=B),
    "BatchNorm": Call(lrpref.BatchNorm, {"weight": "array or None"}, weight=B, bias=B, mean=B, var=B * B),
    **{
        f"{kind}{d}D": Call(
            getattr(lrpref, f"{kind}{d}D"),
            {"stride": "count or None", "padding": "index"},
            kernel_size=2,
        )
        for kind in ("MaxPool", "AvgPool")
        for d in (1, 2, 3)
    },
    **{
        f"Adaptive{kind}Pool{d}D": Call(getattr(lrpref, f"Adaptive{kind}Pool{d}D"), output_size=2)
        for kind in ("Avg", "Max")
        for d in (1, 2, 3)
    },
    **{f"GlobalMaxPool{d}D": Call(getattr(lrpref, f"GlobalMaxPool{d}D")) for d in (1, 2, 3)},
    **{f"Pad{d}D": Call(getattr(lrpref, f"Pad{d}D"), padding=1) for d in (1, 2, 3)},
    **{
        kind.__name__: Call(kind, {"size": "object or None"}, scale_factor=2)
        for kind in (lrpref.UpsampleNearest, lrpref.UpsampleLinear)
    },
    "GroupNorm": Call(lrpref.GroupNorm, NORM | {"num_groups": "count"}, num_groups=1),
    "InstanceNorm": Call(lrpref.InstanceNorm, NORM),
    "LayerNorm": Call(lrpref.LayerNorm, NORM | {"normalized_shape": "count"}, normalized_shape=2),
    "RMSNorm": Call(lrpref.RMSNorm, NORM | {"normalized_shape": "count"}, normalized_shape=2),
    "Dropout": Call(lrpref.Dropout),
    "Sum": Call(lrpref.Sum, axes=1),
    "Mean": Call(lrpref.Mean, axes=(1, -1)),
    "Max": Call(lrpref.Max, axes=1),
    "Concat": Call(lrpref.Concat),
    "Maximum": Call(lrpref.Maximum),
    "Minimum": Call(lrpref.Minimum),
    "Multiply": Call(lrpref.Multiply),
    "Reshape": Call(lrpref.Reshape, {"shape": "pairs"}, shape=(2, -1)),
    "Permute": Call(lrpref.Permute, {"axes": "object"}, axes=(0, 2, 1)),
    "Slice": Call(lrpref.Slice, {"step": "sign"}, axis=1),
    "PixelShuffle": Call(lrpref.PixelShuffle, upscale_factor=2),
    "PixelUnshuffle": Call(lrpref.PixelUnshuffle, downscale_factor=2),
    "ChannelShuffle": Call(lrpref.ChannelShuffle, groups=2),
    "LeakyReLU": Call(lrpref.LeakyReLU),
    "LocalResponseNorm": Call(
        lrpref.LocalResponseNorm,
        {"size": "count", "alpha": "number >= 0", "beta": "number", "k": "number > 0"},
        size=3,
    ),
    "CELU": Call(lrpref.CELU, {"alpha": "number > 0"}),
    "Clip": Call(lrpref.Clip, {"low": "number", "high": "number or None"}, low=-2.0),
    "ELU": Call(lrpref.ELU, {"alpha": "number"}),
    "GELU": Call(lrpref.GELU, {"approximate": "choice"}),
    "HardSigmoid": Call(lrpref.HardSigmoid, {"shift": "number", "width": "number > 0"}),
    "HardSwish": Call(lrpref.HardSwish, {"shift": "number", "width": "number > 0"}),
    "HardTanh": Call(lrpref.HardTanh, {"min_val": "number", "max_val": "number"}, min_val=-2.0, max_val=2e300),
    "PReLU": Call(lrpref.PReLU, {"weight": "number"}),
    "SELU": Call(lrpref.SELU, {"alpha": "number", "scale": "number > 0"}),
    "Softplus": Call(lrpref.Softplus, {"beta": "number > 0", "threshold": "number"}),
    "Threshold": Call(lrpref.Threshold, {"threshold": "number"}, threshold=0.5, value=-1.0),
    "ThreshReLU": Call(lrpref.ThreshReLU, {"threshold": "number"}),
    "Network": Call(
        lrpref.Network,
        {"input_shape": "sizes or None", "inputs": "object", "outputs": "object or None"},
        nodes=NET.nodes,
    ),
    "Network of two inputs": Call(
        lrpref.Network,
        {"input_shape": "sizes or None", "inputs": "object", "outputs": "object or None"},
        nodes=TWO.nodes,
        inputs=["a", "b"],
    ),
    "Network of two outputs": Call(
        lrpref.Network,
        {"input_shape": "sizes or None", "inputs": "object", "outputs": "object"},
        nodes=ENDS.nodes,
        outputs=["left", "right"],
    ),
    "Ledger": Call(  # made by `trace`
        lrpref.Ledger, {"entries": "anything", "starts": "anything"}, entries=TRACE.ledger.entries
    ),
    "frozen": Call(lrpref.frozen, {"x": "object"}, net=NET, x=X[:1]),
    "Network.forward": Call(NET.forward, x=X),
    "Network.activations": Call(NET.activations, x=X),
    "Network.astype": Call(NET.astype, dtype="float32"),
    "Network.to": Call(NET.to, backend="numpy"),
    "Network.sequential": Call(lambda names=None: lrpref.Network.sequential(lrpref.ReLU(), names=names)),
    "Network.shapes": Call(NET.shapes, {"input_shape": "object"}, input_shape=X.shape),
    "Network.readers": Call(NET.readers, {"name": "anything"}, name="input"),
    "Network.cast": Call(NET.cast, {"x": "any batch"}, x=X),
    "Network.node": Call(NET.node, name="dense1"),
    "Network.remove": Call(NET.remove, name="relu1"),
    "Network.up_to": Call(NET.up_to, name="dense1"),
    "Network.replace": Call(NET.replace, name="relu1", layer=lrpref.Tanh()),
    "Network.insert_after": Call(
        NET.insert_after, {"new_name": "text"}, name="relu1", new_name="a", layer=lrpref.Tanh()
    ),
    "explain": Call(lrpref.explain, net=NET, x=X),
    "explain in blocks": Call(lrpref.explain, net=NET, x=X, batch_size=1),
    "explain plainly": Call(lrpref.explain, net=NET, x=X, form="plain"),
    "trace": Call(lrpref.trace, net=NET, x=X),
    "condition": Call(
        lrpref.condition, {"node": "choice", "channels": "index"}, trace=TRACE, node="dense1", channels=0
    ),
    "contrast": Call(lrpref.contrast, net=NET, x=X),
    "prepare": Call(lrpref.prepare, net=NET),
    "Prepared.explain": Call(PREPARED.explain, x=X),
    "Prepared.forward": Call(PREPARED.forward, x=X),
    "Prepared.trace": Call(PREPARED.trace, x=X),
    "Prepared.run": Call(PREPARED.run, x=X),
    "ForwardPass.explain": Call(PREPARED.run(X).explain),
    **{
        f"{name} of two inputs": Call(function, {"x": "object", "out": "sizes or None"}, x=(X, X))
        for name, function in {
            "Network.forward": TWO.forward,
            "Network.cast": TWO.cast,
            "explain": lambda x, out=None: lrpref.explain(TWO, x, out=out),
            "trace": lambda x: lrpref.trace(TWO, x),
            "Prepared.explain": lrpref.prepare(TWO).explain,
        }.items()
    },
    "prepare for two inputs": Call(lambda shape=None: lrpref.prepare(TWO, shape=shape), {"shape": "object or None"}),
    "explain two outputs": Call(
        lambda seed, target=None: lrpref.explain(ENDS, X, target, seed=seed),
        {"seed": "object", "target": "one per output"},
        seed=("one", None),
    ),
    "signature": Call(lrpref.signature, {"seed": "seed of any shape"}, net=NET),
    "fuse": Call(lrpref.fuse, net=NET),
    "fusion_plan": Call(lrpref.fusion_plan, net=NET),
    "exact": Call(lrpref.exact, {"x": "anything"}, x=NET),
    "digits": Call(lrpref.digits, {"budget": "budget"}, net=NET, x=X),
    "compare": Call(lrpref.compare, R1=X, R2=X),
    "explain_difference": Call(
        lrpref.explain_difference,
        {"conventions": "pairs", "groups": "flag"},
        net=NET,
        x=X,
        R_other=TRACE.relevance,
        conventions=(),
    ),
    "messages": Call(
        lrpref.messages, {"inputs": "values", "R": "values"}, layer=NET["dense1"], inputs=X, R=X, rule=rules.Zero()
    ),
    "asarray": Call(lrpref.asarray, {"x": "anything"}, x=X),
    "to_numpy": Call(lrpref.to_numpy, {"x": "anything"}, x=X),
    "parse": Call(composites.parse, text="zero"),
    "places": Call(lambda net: list(composites.places(net)), net=NET),
    "Composite.assign": Call(composites.EpsilonPlus().assign, net=NET),
    "Ledger.table": Call(TRACE.ledger.table, {"sample": "place or None"}),
    "from_state_dict": Call(weights.from_state_dict, net=NET, state=NET.parameters),
    "save": Call(
        lambda net=NET, path="no.txt", dtype=None: lrpref.save(net, path, None, dtype), {"dtype": "choice or None"}
    ),
    "load": Call(lambda name: lrpref.load(name), name="mnist-mlp"),
    "metadata": Call(weights.metadata, name="mnist-mlp"),
    "samples.load": Call(samples.load, {"shape": "object or None"}, name="digit-4"),
    "samples.names": Call(samples.names, {"shape": "shape or None"}),
    "samples.label": Call(samples.label, name="digit-4"),
    "scaled": Call(
        datasets.scaled,
        {"mean": "one per channel", "std": "one per channel"},
        x=BYTES,
    ),
    "resolve": Call(composites.resolve, rule="zero"),
    "Composite": Call(
        composites.Composite,
        {"pairs": "pairs", "name": "anything", "split": "choice or None", "mean": "choice or None"},
        pairs=[(lrpref.Dense, rules.Zero())],
    ),
    **{
        f"models.{name}": Call(getattr(models, name), {"seed": "index or None"}, width=0.02, num_classes=2, seed=None)
        for name in models.__all__
    },
    "plot.explanation": Call(plot.explanation, x=IMAGES, R=IMAGES),
    "plot.grid": Call(plot.grid, {"scale": "choice"}, x=IMAGES, maps={"a": IMAGES}),
    "plot.waterfall": Call(plot.waterfall, {"ledger": "object"}, ledger=TRACE.ledger),
    "plot.layers": Call(plot.layers, {"nodes": "object or None"}, trace=OF_IMAGES),
    "plot.flow": Call(_flow, messages=W),
    **{
        name: Call(getattr(rules, name))
        for name in rules.__all__
        if name in {kind.__name__ for kind in rules.RULES.values()} - {"ZBox"}
    },
    "ZBox": Call(rules.ZBox, low=-1.0, high=1.0),
    "Term": Call(rules.Term),
    "Ratio": Call(rules.Ratio, terms=(rules.Term(),)),
    **{kind.__name__: Call(kind) for kind in composites.PRESETS.values() if kind is not composites.EpsilonGammaBox},
    "Conventions": Call(
        evaluation.Conventions,
        {"channels": "choice", "fill": "fill", "seed": "index", "steps": "count or None"},
    ),
    "pixel_flipping": Call(evaluation.pixel_flipping, SCORED, scorer=NET, x=X, R=X),
    "abpc": Call(evaluation.abpc, SCORED, scorer=NET, x=X, R=X),
    "deletion": Call(evaluation.deletion, SCORED, scorer=NET, x=X, R=X),
    "insertion": Call(
        evaluation.insertion, SCORED, scorer=NET, x=X, R=X, conventions=evaluation.Conventions(output="probability")
    ),
    "parameter_randomisation": Call(evaluation.parameter_randomisation, {"x": "array", "seed": "index"}, net=NET, x=X),
    "randomised": Call(evaluation.randomised, {"names": "pairs", "seed": "index"}, net=NET, names=["dense1"]),
    "fills.Value": Call(evaluation.fills.Value, {"value": "fill"}),
    "fills.Uniform": Call(evaluation.fills.Uniform, {"low": "number", "high": "number"}, low=-1.0, high=1e301),
    "fills.Neighbours": Call(evaluation.fills.Neighbours, {"size": "object"}),
    "fills.Flip": Call(evaluation.fills.Flip, {"low": "number", "high": "number"}),
    "baselines.gradient_x_input": Call(evaluation.baselines.gradient_x_input, {"seed": "unused"}, net=NET, x=X),
    "baselines.random": Call(
        evaluation.baselines.random,
        UNUSED | {"seed": "index", "x": "drawn for"},
        net=NET,
        x=X,
    ),
    "baselines.sobel": Call(
        evaluation.baselines.sobel,
        UNUSED | {"x": "array"},
        net=NET,
        x=IMAGES,
    ),
    "EpsilonGammaBox": Call(composites.EpsilonGammaBox, low=-1.0, high=1.0),
    "AttnLRP": Call(composites.AttnLRP, {"gamma": "number or None", "mean": "choice or None"}),
    "CPLRP": Call(composites.CPLRP, {"gamma": "number or None"}),
}
POOLS = {
    f"{kind}{d}D": getattr(lrpref, f"{kind}{d}D")
    for kind in ("AvgPool", "MaxPool", "Pad", "AdaptiveAvgPool", "AdaptiveMaxPool")
    for d in (1, 2, 3)
}
GLOBAL_POOLS = {
    f"{kind}{d}D": getattr(lrpref, f"{kind}{d}D") for kind in ("GlobalAvgPool", "GlobalMaxPool") for d in (1, 2, 3)
}
LAYERS: dict[str, tuple[lrpref.Layer, str]] = {
    "Dense": (NET["dense1"], "features"),
    "Conv2D": (lrpref.Conv2D(KERNEL), "features"),
    "Scale": (lrpref.Scale(B), "features"),
    "BatchNorm": (lrpref.BatchNorm(None, None, B, B * B), "features"),
    **{name: (example(1), "features") for name, example in POOLS.items()},
    **{name: (example(), "features") for name, example in GLOBAL_POOLS.items()},
    "ConvTranspose2D": (lrpref.ConvTranspose2D(KERNEL), "features"),
    "UpsampleLinear": (lrpref.UpsampleLinear(scale_factor=2), "features"),
    "UpsampleNearest": (lrpref.UpsampleNearest(scale_factor=2), "features"),
    "GroupNorm": (lrpref.GroupNorm(1, B, B), "features"),
    "InstanceNorm": (lrpref.InstanceNorm(B, B), "features"),
    "LayerNorm": (lrpref.LayerNorm(2, B, B), "features"),
    "RMSNorm": (lrpref.RMSNorm(2, B), "features"),
    "Flatten": (lrpref.Flatten(), "features"),
    "Sum": (lrpref.Sum(1), "features"),
    "Mean": (lrpref.Mean(-1, keepdims=True), "features"),
    "Max": (lrpref.Max(1), "features"),
    "Reshape": (lrpref.Reshape((1, -1)), "features"),
    "Permute": (lrpref.Permute((0, 1)), "features"),
    "Slice": (lrpref.Slice(1, 1), "features"),
    "PixelShuffle": (lrpref.PixelShuffle(1), "features"),
    "PixelUnshuffle": (lrpref.PixelUnshuffle(2), "features"),
    "ChannelShuffle": (lrpref.ChannelShuffle(2), "features"),
    "Softmax": (lrpref.Softmax(), "features"),
    "LogSoftmax": (layers.LogSoftmax(), "features"),
    "ThreshReLU": (lrpref.ThreshReLU(B), "features"),
    "ReLU": (lrpref.ReLU(), "numbers"),
    "ReLU6": (lrpref.ReLU6(), "numbers"),
    "LeakyReLU": (lrpref.LeakyReLU(), "numbers"),
    "LocalResponseNorm": (lrpref.LocalResponseNorm(3), "features"),
    "Sigmoid": (lrpref.Sigmoid(), "numbers"),
    "Tanh": (lrpref.Tanh(), "numbers"),
    "Dropout": (lrpref.Dropout(), "numbers"),
    "CELU": (lrpref.CELU(), "numbers"),
    "Clip": (lrpref.Clip(-1.0, 1.0), "numbers"),
    "ELU": (lrpref.ELU(), "numbers"),
    "GELU": (lrpref.GELU(), "numbers"),
    "HardSigmoid": (lrpref.HardSigmoid(), "numbers"),
    "HardSwish": (lrpref.HardSwish(), "numbers"),
    "HardTanh": (lrpref.HardTanh(), "numbers"),
    "Mish": (lrpref.Mish(), "numbers"),
    "PReLU": (lrpref.PReLU(B), "features"),
    "SELU": (lrpref.SELU(), "numbers"),
    "SiLU": (lrpref.SiLU(), "numbers"),
    "Softplus": (lrpref.Softplus(), "numbers"),
    "Softsign": (lrpref.Softsign(), "numbers"),
    "Threshold": (lrpref.Threshold(0.5, -1.0), "numbers"),
}
ACCEPTED["features"] = {"NaN", "infinities", "an empty array", "empty rows", "another shape", "no list"}
ACCEPTED["numbers"] = ACCEPTED["features"] | {
    "-1",
    "0",
    "1",
    "0.5",
    "nan",
    "inf",
    "2**70",
    "1e300",
    "10**400",
    "10**5000",
    "Fraction(10**400)",
    "one number as an array",
    "True",
}
CALLS |= {f"{name}.forward": Call(_forward(layer), {"x": kind}) for name, (layer, kind) in LAYERS.items()}
CALLS |= {
    f"{name}.relevance": Call(
        _relevance(layer),
        {"R": kind, "inputs": kind} | ({} if isinstance(layer, lrpref.LinearLayer) else {"rule": "unused"}),
        inputs=X,
        R=X,
    )
    for name, (layer, kind) in LAYERS.items()
    if not isinstance(layer, layers.Head)
}

PAIRS = [(name, parameter) for name, call in CALLS.items() for parameter in call.parameters]


@pytest.mark.parametrize(("name", "parameter"), PAIRS, ids=[f"{name}-{parameter}" for name, parameter in PAIRS])
def test_a_bad_argument_is_refused_by_name(name: str, parameter: str) -> None:
    call = CALLS[name]
    kind = call.kinds.get(parameter) or KINDS[parameter]
    wrong = []
    for what, value in BAD.items():
        try:
            with np.errstate(all="ignore"):
                call(**{parameter: copy.deepcopy(value)})  # `out` is written to
        except LrprefError as error:
            if len(str(error)) > 10_000:
                wrong.append(f"{what}: a message of {len(str(error))} characters")
        except Exception as error:
            wrong.append(f"{what}: {type(error).__name__}: {str(error)[:200]}")
        else:
            if what not in ACCEPTED[kind]:
                wrong.append(f"{what}: accepted")
    assert not wrong, "\n".join(wrong)


def test_valid_arguments_are_accepted() -> None:
    """Otherwise the test above would see nothing but errors."""
    for name, call in CALLS.items():
        if not name.endswith((".forward", ".relevance", "save")):
            call()


EXEMPT = {
    "crosscheck": "takes a PyTorch module; checked by explain_difference",
    "from_onnx": "reads a file",
    "from_keras": "takes a model of Keras",
    "from_sklearn": "takes an estimator of scikit-learn",
    "from_torch": "takes a PyTorch module",
    "Map": "a type",
    "Trace": "made by trace",
    "Assignment": "made by a composite",
    "Place": "made by places",
    "first": "takes a place",
    "first_convolution": "takes a place",
    "diagonal_norms": "takes a place",
    "joins_and_pooling": "takes a place",
    "constant": "computes inside a rule",
    "divide": "computes inside a rule",
    "identity": "computes inside a rule",
    "magnitude": "computes inside a rule",
    "negative": "computes inside a rule",
    "one": "computes inside a rule",
    "positive": "computes inside a rule",
    "square": "computes inside a rule",
    "stabilize": "computes inside a rule",
    "Rule": "a base class",
    "Layer": "a base class",
    "LinearLayer": "a base class",
    "BetweenCurves": "made by abpc",
    "Curve": "made by pixel_flipping",
    "Signature": "made by signature",
    "Randomisation": "made by parameter_randomisation",
}
"""Public names with parameters that no entry of `CALLS` gives bad values, and why."""


def test_every_public_name_is_given_bad_arguments() -> None:
    """A new class or function needs an entry in `CALLS`."""
    called = {name.partition(" ")[0].rpartition(".")[2] for name in CALLS} | {"Relative"}
    missing = []
    for module in (lrpref, rules, composites, evaluation, models):
        for name in module.__all__:
            thing = getattr(module, name)
            defined = inspect.isclass(thing) or inspect.isfunction(thing)
            if defined and name not in called and name not in EXEMPT and inspect.signature(thing).parameters:
                missing.append(f"{module.__name__}.{name}")
    assert missing == []
