"""PyTorch modules as networks of lrpref.

`from_torch` traces a copy of the module with torch.fx, takes over every operation that it knows, refuses the first
that it does not, by name, and proves in float64 that the network computes on the example what the module does. The
module itself is left as it was, training mode included; torch is imported when `from_torch` is called.

Names: a submodule's node has its path in the module ("layer1.0.conv1"), anything else torch.fx's name for it.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..errors import ConversionError, LrprefError
from ..layers import (
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    LeakyReLU,
    MaxPool2D,
    Pad2D,
    ReLU,
    ReLU6,
    Sigmoid,
    Softmax,
    Tanh,
)
from ..network import INPUT, Network

Shape = tuple[int, ...]

PROOF = 1e-9
"""How far, relative to the largest output, the network may be from the module in float64."""

SUPPORTED = (
    "Linear, Conv2d, BatchNorm1d/2d, ReLU, ReLU6, LeakyReLU, Sigmoid, Tanh, Softmax over axis 1, MaxPool2d, AvgPool2d, "
    "AdaptiveAvgPool2d(1), Flatten, Dropout, Identity, ZeroPad2d/ConstantPad2d; functions of those without weights; "
    "+ and torch.add of two activations, torch.cat along axis 1, x.mean((2, 3)), x.view/reshape to (N, features)"
)


def from_torch(module: Any, example: Any) -> Network:
    """A PyTorch module as a network of lrpref, in float64 if any of its parameters are, else in float32.

    module   a `torch.nn.Module`, taken as it is in eval mode; it is not changed
    example  an input (N, ...), tensor or array, on which the two forward passes must agree in float64

    Raises ConversionError, naming the node, for an operation that lrpref has no layer for, a module that torch.fx
    cannot trace, or a network that does not compute the same; LrprefError where torch is not installed.
    """
    torch = _torch()
    twin, x = _twin(torch, module), torch.as_tensor(example).detach().cpu().double()
    with torch.no_grad():
        try:
            expected = twin(x.clone())
        except Exception as error:
            raise ConversionError(f"the module does not run on the example: {error}") from error
        graph_module = _trace(torch, twin)
        net = _Importer(torch, graph_module, _run(torch, graph_module, x)).network()
    _prove(net, as_array(x), expected)
    double = any(tensor.dtype == torch.float64 for tensor in module.state_dict().values())
    return net if double else net.astype(np.float32)


def as_array(x: Any) -> np.ndarray:
    """A tensor, wherever it lives and whatever its gradient, or an array, as a NumPy array."""
    if hasattr(x, "detach"):
        x = x.detach().cpu().resolve_conj().resolve_neg()
        x = x.float() if str(x.dtype) in ("torch.bfloat16", "torch.float16") else x
        return np.array(x.numpy())
    return np.asarray(x)


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise LrprefError('PyTorch modules need torch: pip install "lrpref[torch]"') from error


# ---- the module, traced ----------------------------------------------------------------------------------------


def _twin(torch: Any, module: Any) -> Any:
    """A copy of the module in eval mode, on the CPU, in float64."""
    if not isinstance(module, torch.nn.Module):
        raise ConversionError(f"expected a torch.nn.Module, got {type(module).__name__}")
    try:
        twin = copy.deepcopy(module)
    except Exception as error:
        raise ConversionError(f"the module cannot be copied: {error}") from error
    if any(isinstance(tensor, torch.nn.UninitializedParameter) for tensor in twin.parameters()):
        raise ConversionError("the module has lazy parameters; run it once first")
    twin = twin.eval().cpu().double()
    return torch.nn.Sequential(twin) if torch.fx.Tracer().is_leaf_module(twin, "") else twin


def _trace(torch: Any, twin: Any) -> Any:
    try:
        return torch.fx.symbolic_trace(twin)
    except Exception as error:
        raise ConversionError(
            f"torch.fx cannot trace the module: {error}. Control flow that depends on values has no graph; "
            "give the part without it"
        ) from error


def _run(torch: Any, graph_module: Any, x: Any) -> dict[Any, Any]:
    """The value of every fx node on the example; all are kept, so that addresses tell them apart."""
    values: dict[Any, Any] = {}

    class Recorder(torch.fx.Interpreter):  # type: ignore[misc]
        def run_node(self, node: Any) -> Any:
            values[node] = super().run_node(node)
            return values[node]

    try:
        Recorder(graph_module).run(x.clone())
    except Exception as error:
        raise ConversionError(f"the traced module does not run on the example: {error}") from error
    return values


def _prove(net: Network, x: np.ndarray, expected: Any) -> None:
    """Raise ConversionError unless the network computes `expected` on `x`."""
    try:
        y = net.forward(x)
    except LrprefError as error:
        raise ConversionError(f"the network does not run on the example: {error}") from error
    wanted = as_array(expected)
    if y.shape != wanted.shape:
        raise ConversionError(f"the network's output has shape {y.shape}, the module's {wanted.shape}")
    largest = float(abs(wanted).max(initial=0.0)) or 1.0
    difference = float(abs(y - wanted).max(initial=0.0)) / largest
    if not difference <= PROOF:  # so that NaN is refused
        raise ConversionError(
            f"the network differs from the module by {difference:.3g} of its largest output on the example; "
            "an operation in place, on a value that is used again, may be the reason"
        )


# ---- calls -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One operation of the traced module.

    name       the operation, under PyTorch's name for the function
    arguments  by name; tensors are fx nodes
    module     the submodule, where it is one
    shapes     of the tensors that it reads
    result     the shape of what it returns
    """

    name: str
    arguments: Mapping[str, Any]
    module: Any
    shapes: tuple[Shape, ...]
    result: Shape

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)


_PARAMETERS: Mapping[str, str] = {
    "linear": "input",
    "conv2d": "input",
    "batch_norm": "input",
    "relu": "input inplace",
    "relu6": "input inplace",
    "leaky_relu": "input negative_slope inplace",
    "sigmoid": "input",
    "tanh": "input",
    "softmax": "input dim",
    "max_pool2d": "input kernel_size stride padding dilation ceil_mode return_indices",
    "avg_pool2d": "input kernel_size stride padding ceil_mode count_include_pad divisor_override",
    "adaptive_avg_pool2d": "input output_size",
    "mean": "input dim keepdim",
    "flatten": "input start_dim end_dim",
    "dropout": "input p training inplace",
    "identity": "input",
    "pad": "input pad mode value",
    "add": "input other",
    "cat": "tensors dim",
}
"""The operations, and the names of their arguments in order."""

_ATTRIBUTES = {name for names in _PARAMETERS.values() for name in names.split()} - {"training"}
"""Which of a module's attributes are arguments."""

_MODULES: Mapping[str, str] = {
    "Linear": "linear",
    "Conv2d": "conv2d",
    "BatchNorm1d": "batch_norm",
    "BatchNorm2d": "batch_norm",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "LeakyReLU": "leaky_relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softmax": "softmax",
    "MaxPool2d": "max_pool2d",
    "AvgPool2d": "avg_pool2d",
    "AdaptiveAvgPool2d": "adaptive_avg_pool2d",
    "Flatten": "flatten",
    "Dropout": "dropout",
    "Dropout2d": "dropout",
    "Identity": "identity",
    "ZeroPad2d": "pad",
    "ConstantPad2d": "pad",
}
"""torch.nn's classes, and the operation that each is; its attributes are the arguments."""

_WEIGHTED = ("linear", "conv2d", "batch_norm")
"""The operations that are taken over from modules only."""

_METHODS = {"relu", "sigmoid", "tanh", "softmax", "mean", "add", "flatten", "view", "reshape", "contiguous"}
_RESHAPES = {"view": "flatten", "reshape": "flatten", "contiguous": "identity"}


def _functions(torch: Any) -> dict[Any, str]:
    """The functions that torch.fx may put down, and the operation that each is."""
    import operator

    F = torch.nn.functional
    known = {operator.add: "add", operator.iadd: "add", torch.reshape: "flatten"}
    known |= {getattr(F, name): name for name in _PARAMETERS if hasattr(F, name)}
    known |= {getattr(torch, name): name for name in ("relu", "sigmoid", "tanh", "softmax", "mean", "flatten", "add")}
    known |= {torch.cat: "cat", torch.concat: "cat", torch.concatenate: "cat", torch.relu_: "relu", F.relu_: "relu"}
    known |= {F.dropout2d: "dropout"}
    return {function: name for function, name in known.items() if name not in _WEIGHTED}


# ---- operations ------------------------------------------------------------------------------------------------


def _require(condition: bool, why: str) -> None:
    if not condition:
        raise ConversionError(why)


def _linear(call: Call) -> list[Layer]:
    return [Dense(as_array(call.module.weight), _optional(call.module.bias))]


def _conv2d(call: Call) -> list[Layer]:
    m = call.module
    _require(m.padding_mode == "zeros", f"padding_mode {m.padding_mode!r}; only zeros")
    return [Conv2D(as_array(m.weight), _optional(m.bias), m.stride, _conv_padding(m), m.dilation, m.groups)]


def _conv_padding(module: Any) -> tuple[int, int, int, int]:
    """(top, bottom, left, right); "same" puts the odd cell at the end."""
    if module.padding == "valid":
        return (0, 0, 0, 0)
    if module.padding == "same":
        totals = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        (top, bottom), (left, right) = ((total // 2, total - total // 2) for total in totals)
        return (top, bottom, left, right)
    rows, columns = module.padding
    return (rows, rows, columns, columns)


def _batch_norm(call: Call) -> list[Layer]:
    m = call.module
    _require(m.running_mean is not None, "it keeps no running statistics, so that a sample depends on its batch")
    return [BatchNorm(_optional(m.weight), _optional(m.bias), as_array(m.running_mean), as_array(m.running_var), m.eps)]


def _optional(tensor: Any) -> np.ndarray | None:
    return None if tensor is None else as_array(tensor)


def _leaky_relu(call: Call) -> list[Layer]:
    return [LeakyReLU(0.01 if call["negative_slope"] is None else float(call["negative_slope"]))]


def _softmax(call: Call) -> list[Layer]:
    rank = len(call.shapes[0])
    dim = call["dim"] if call["dim"] is not None else 1 if rank in (2, 4) else None
    _require(dim is not None and dim % rank == 1, f"softmax over axis {dim}; only axis 1, the classes")
    return [Softmax()]


def _max_pool(call: Call) -> list[Layer]:
    _require(call["dilation"] in (None, 1, (1, 1), [1, 1]), "a max-pool with dilation")
    _require(not call["return_indices"], "a max-pool that returns indices")
    return [MaxPool2D(call["kernel_size"], call["stride"] or None, call["padding"] or 0)]


def _avg_pool(call: Call) -> list[Layer]:
    _require(call["divisor_override"] is None, "divisor_override")
    counted = call["count_include_pad"]
    return [AvgPool2D(call["kernel_size"], call["stride"] or None, call["padding"] or 0, counted is not False)]


def _adaptive_pool(call: Call) -> list[Layer]:
    if call.shapes[0] == call.result:  # one cell per window
        return []
    _require(call.result[-2:] == (1, 1), f"an adaptive pool to {call.result[-2:]}; only to 1")
    return [GlobalAvgPool2D()]


def _mean(call: Call) -> list[Layer]:
    rank = len(call.shapes[0])
    dims = call["dim"] if isinstance(call["dim"], Sequence) else [call["dim"]]
    over = {d % rank for d in dims if isinstance(d, int)}
    _require(rank == 4 and over == {2, 3}, f"a mean over {call['dim']}; only over (2, 3), of images")
    return [GlobalAvgPool2D()] if call["keepdim"] else [GlobalAvgPool2D(), Flatten()]


def _reshape(call: Call) -> list[Layer]:
    (before,) = call.shapes
    if call.result == before:
        return []
    _require(
        call.result == (before[0], prod(before[1:])),
        f"a change of shape from {before} to {call.result}; only to (N, features)",
    )
    return [Flatten()]


def _dropout(call: Call) -> list[Layer]:
    _require(call.module is not None or call["training"] is False, "dropout that is on in eval mode, too")
    return [Dropout(0.5 if call["p"] is None else float(call["p"]))]


def _pad(call: Call) -> list[Layer]:
    _require(call["mode"] in (None, "constant"), f"padding in mode {call['mode']!r}; only constant")
    given = call["padding" if call.module is not None else "pad"]
    _require(len(given) in (2, 4), f"padding of {len(given) // 2} axes; only of the last two")
    left, right, top, bottom = (*given, 0, 0)[:4]
    _require(min(left, right, top, bottom) >= 0, "negative padding")
    return [Pad2D((top, bottom, left, right), float(call["value"] or 0.0))]


def _add(call: Call) -> list[Layer]:
    _require(call["alpha"] in (None, 1), f"an addition with alpha = {call['alpha']}")
    _require(len(call.shapes) == 2, "an addition of something that is no activation")
    _require(call.shapes[0] == call.shapes[1], f"an addition of shapes {call.shapes[0]} and {call.shapes[1]}")
    return [Add()]


def _cat(call: Call) -> list[Layer]:
    _require((call["dim"] or 0) % len(call.result) == 1, f"torch.cat along axis {call['dim'] or 0}; only along 1")
    return [Concat()] if len(call.shapes) > 1 else []


_OPERATIONS: Mapping[str, Callable[[Call], list[Layer]]] = {
    "linear": _linear,
    "conv2d": _conv2d,
    "batch_norm": _batch_norm,
    "relu": lambda call: [ReLU()],
    "relu6": lambda call: [ReLU6()],
    "leaky_relu": _leaky_relu,
    "sigmoid": lambda call: [Sigmoid()],
    "tanh": lambda call: [Tanh()],
    "softmax": _softmax,
    "max_pool2d": _max_pool,
    "avg_pool2d": _avg_pool,
    "adaptive_avg_pool2d": _adaptive_pool,
    "mean": _mean,
    "flatten": _reshape,
    "dropout": _dropout,
    "identity": lambda call: [],
    "pad": _pad,
    "add": _add,
    "cat": _cat,
}
"""What each operation is here: a chain of layers, empty for one that does nothing."""


# ---- the graph -------------------------------------------------------------------------------------------------


class _Importer:
    """Goes through the traced graph in order; `at` says under which name here each fx node's value stands."""

    def __init__(self, torch: Any, graph_module: Any, values: Mapping[Any, Any]) -> None:
        self.torch, self.values = torch, values
        self.modules = dict(graph_module.named_modules())
        self.functions = _functions(torch)
        self.graph = graph_module.graph
        self.nodes: list[tuple[str, Layer, list[str]]] = []
        self.layers: dict[str, list[Layer]] = {}
        self.at: dict[Any, str] = {}

    def network(self) -> Network:
        """The network; raises ConversionError."""
        output = None
        for node in self.graph.nodes:
            if node.op == "placeholder":
                self.at |= {} if self.at else {node: INPUT}  # any further one has a default, and is no activation
            elif node.op == "output":
                output = self._output(node)
            elif node.op != "get_attr" and isinstance(self.values[node], self.torch.Tensor):
                self._operation(node)
        assert output is not None
        try:
            return Network(_reaching(self.nodes, output))
        except LrprefError as error:
            raise ConversionError(f"the operations form no network: {error}") from error

    def _output(self, node: Any) -> str:
        value = node.args[0]
        if value not in self.at if isinstance(value, self.torch.fx.Node) else True:
            raise ConversionError("the module returns something else than one tensor of activations")
        if self.at[value] == INPUT:
            raise ConversionError("the module returns its input")
        return self.at[value]

    def _operation(self, node: Any) -> None:
        """Take one operation over: its layers, and the name under which its value stands."""
        try:
            call, inputs = self._call(node)
            names = [self.at[i] for i in inputs]
            layers = self._layers(node, call)
        except LrprefError as error:
            name = node.target if node.op == "call_module" else node.name
            raise ConversionError(f"node {name!r} ({_what(node, self.modules)}): {error}") from error
        for layer in layers:
            name = self._name(node, layer)
            self.nodes.append((name, layer, names))
            names = [name]
        self.at[node] = names[0]
        if _in_place(node, call):
            self._overwrite(inputs[0], names[0])

    def _layers(self, node: Any, call: Call) -> list[Layer]:
        """The layers of one operation, those of a module used again the same; their shapes are checked."""
        layers = _OPERATIONS[call.name](call)
        if call.name in _WEIGHTED:
            layers = self.layers.setdefault(node.target, layers)
        shapes = call.shapes
        for layer in layers:
            shapes = (layer.output_shape(*shapes),)
        _require(not layers or shapes[0] == call.result, f"its output is {call.result}, lrpref's would be {shapes[0]}")
        return layers

    def _call(self, node: Any) -> tuple[Call, list[Any]]:
        """The operation with its arguments, and the fx nodes of the activations that it reads."""
        name, module = self._known(node)
        if module is not None:
            arguments = {"input": node.args[0] if node.args else node.kwargs["input"]}
            arguments |= {key: getattr(module, key) for key in _ATTRIBUTES if hasattr(module, key)}
        else:
            arguments = dict(zip(_PARAMETERS[name].split(), node.args, strict=False)) | dict(node.kwargs)
        read = arguments["tensors"] if name == "cat" else [arguments.get("input"), arguments.get("other")]
        inputs = [i for i in read if isinstance(i, self.torch.fx.Node)]
        for i in inputs:
            _require(i in self.at, f"it reads {i.name!r}, which is no activation but a parameter, a constant or a part")
        shapes = tuple(tuple(self.values[i].shape) for i in inputs)
        return Call(name, arguments, module, shapes, tuple(self.values[node].shape)), inputs

    def _known(self, node: Any) -> tuple[str, Any]:
        """The operation's name, and the submodule if it is one."""
        if node.op == "call_module":
            module = self.modules[node.target]
            for kind in type(module).__mro__:
                if kind.__module__.startswith("torch.nn.modules.") and kind.__name__ in _MODULES:
                    return _MODULES[kind.__name__], module
        elif node.op == "call_method" and (name := node.target.removesuffix("_")) in _METHODS:
            return _RESHAPES.get(name, name), None
        elif node.op == "call_function" and node.target in self.functions:
            return self.functions[node.target], None
        raise ConversionError(f"there is no layer for it. Supported: {SUPPORTED}")

    def _name(self, node: Any, layer: Layer) -> str:
        """A name that no node has."""
        taken = {INPUT, *(name for name, _, _ in self.nodes)}
        name = str(node.target) if node.op == "call_module" else str(node.name)
        for candidate in (name, str(node.name), f"{node.name}_{type(layer).__name__.lower()}"):
            if candidate not in taken:
                return candidate
        return next(f"{node.name}_{i}" for i in range(2, len(taken) + 3) if f"{node.name}_{i}" not in taken)

    def _overwrite(self, node: Any, name: str) -> None:
        """After an operation in place, whatever shares the memory of `node` holds the new value."""
        old = self.values[node]
        for other in self.at:
            value = self.values[other]
            same = value.untyped_storage().data_ptr() == old.untyped_storage().data_ptr()
            if same and value.shape == old.shape:
                self.at[other] = name


def _in_place(node: Any, call: Call) -> bool:
    """Whether the operation writes over its first input."""
    called = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    marked = node.op != "call_module" and (called == "iadd" or called.endswith("_"))
    return call.name != "dropout" and (bool(call["inplace"]) or marked)


def _what(node: Any, modules: Mapping[str, Any]) -> str:
    """An operation in words."""
    if node.op == "call_module":
        return type(modules[node.target]).__name__
    return f"x.{node.target}" if node.op == "call_method" else getattr(node.target, "__name__", str(node.target))


def _reaching(nodes: Sequence[tuple[str, Layer, list[str]]], output: str) -> list[tuple[str, Layer, list[str]]]:
    """The nodes that the output depends on."""
    wanted = {output}
    for name, _, inputs in reversed(nodes):
        if name in wanted:
            wanted.update(inputs)
    return [node for node in nodes if node[0] in wanted]
