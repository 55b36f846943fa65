"""PyTorch modules as networks of lrpref.

`from_torch` traces a copy of the module with torch.fx, takes over every operation that it knows, refuses the first
that it does not, by name, and proves in float64 that the network computes on the example what the module does. The
module itself is left as it was, training mode included; torch is imported when `from_torch` is called.

Names: a submodule's node has its path in the module ("layer1.0.conv1"), anything else torch.fx's name for it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._support.extras import library
from ..errors import ConversionError, LrprefError
from ..layers import Layer
from ..network import INPUT, Network
from ..weights.state_dict import as_array
from .graph import Graph, prove, require
from .torch_operations import (
    ATTRIBUTES,
    METHODS,
    MODULES,
    OPERATIONS,
    PARAMETERS,
    RESHAPES,
    SUPPORTED,
    WEIGHTED,
    Call,
    functions,
)

RETURNS = "the module returns something else than one tensor of activations"
IN_PLACE = "an operation in place, on a value that is used again, may be the reason"


def from_torch(module: Any, example: Any) -> Network:
    """A PyTorch module as a network of lrpref, in float64 if any of its parameters are, else in float32.

    module   a `torch.nn.Module`, taken as it is in eval mode; it is not changed
    example  an input (N, ...), tensor or array, on which the two forward passes must agree in float64

    Raises ConversionError, naming the node, for an operation that lrpref has no layer for, a module that torch.fx
    cannot trace, or a network that does not compute the same; LrprefError where torch is not installed.
    """
    torch = library("torch", "torch", "PyTorch modules")
    twin, x = _twin(torch, module), torch.as_tensor(example).detach().cpu().double()
    with torch.no_grad():
        try:
            expected = twin(x.clone())
        except Exception as error:
            raise ConversionError(f"the module does not run on the example: {error}") from error
        graph_module = _trace(torch, twin)
        net = _Importer(torch, graph_module, _run(torch, graph_module, x), tuple(x.shape)).network()
    require(isinstance(expected, torch.Tensor), RETURNS)
    prove(net, as_array(x), as_array(expected), "the module", IN_PLACE)
    double = any(tensor.dtype == torch.float64 for tensor in module.state_dict().values())
    return net if double else net.astype(np.float32)


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


# ---- the graph -------------------------------------------------------------------------------------------------


class _Importer:
    """Goes through the traced graph in order; `at` says under which name here each fx node's value stands."""

    def __init__(self, torch: Any, graph_module: Any, values: Mapping[Any, Any], shape: tuple[int, ...]) -> None:
        self.torch, self.values = torch, values
        self.modules = dict(graph_module.named_modules())
        self.functions = functions(torch)
        self.fx_nodes = graph_module.graph.nodes
        self.graph = Graph(shape)
        self.layers: dict[str, list[Layer]] = {}
        self.at: dict[Any, str] = {}

    def network(self) -> Network:
        """The network; raises ConversionError."""
        output = None
        for node in self.fx_nodes:
            if node.op == "placeholder":
                self.at |= {} if self.at else {node: INPUT}  # any further one has a default, and is no activation
            elif node.op == "output":
                output = self._output(node)
            elif node.op != "get_attr" and isinstance(self.values[node], self.torch.Tensor):
                self._operation(node)
        assert output is not None
        return self.graph.network(output)

    def _output(self, node: Any) -> str:
        value = node.args[0]
        require(isinstance(value, self.torch.fx.Node) and value in self.at, RETURNS)
        require(self.at[value] != INPUT, "the module returns its input")
        return self.at[value]

    def _operation(self, node: Any) -> None:
        """Take one operation over: its layers, and the name under which its value stands."""
        try:
            call, inputs = self._call(node)
            name = self.graph.add(self._layers(node, call), [self.at[i] for i in inputs], _names(node))
            shape = self.graph.shapes[name]
            require(shape == call.result, f"its output is {call.result}, lrpref's would be {shape}")
        except LrprefError as error:
            called = node.target if node.op == "call_module" else node.name
            raise ConversionError(f"node {called!r} ({_what(node, self.modules)}): {error}") from error
        self.at[node] = name
        if _in_place(node, call):
            self._overwrite(inputs[0], name)

    def _layers(self, node: Any, call: Call) -> list[Layer]:
        """The layers of one operation, those of a module used again the same."""
        layers = OPERATIONS[call.name](call)
        return self.layers.setdefault(node.target, layers) if call.name in WEIGHTED else layers

    def _call(self, node: Any) -> tuple[Call, list[Any]]:
        """The operation with its arguments, and the fx nodes of the activations that it reads."""
        name, module = self._known(node)
        if module is not None:
            arguments = {"input": node.args[0] if node.args else node.kwargs["input"]}
            arguments |= {key: getattr(module, key) for key in ATTRIBUTES if hasattr(module, key)}
        else:
            arguments = dict(zip(PARAMETERS[name].split(), node.args, strict=False)) | dict(node.kwargs)
        read = arguments["tensors"] if name == "cat" else [arguments.get("input"), arguments.get("other")]
        inputs = [i for i in read if isinstance(i, self.torch.fx.Node)]
        for i in inputs:
            require(i in self.at, f"it reads {i.name!r}, which is no activation but a parameter, a constant or a part")
        shapes = tuple(tuple(self.values[i].shape) for i in inputs)
        return Call(name, arguments, module, shapes, tuple(self.values[node].shape)), inputs

    def _known(self, node: Any) -> tuple[str, Any]:
        """The operation's name, and the submodule if it is one."""
        if node.op == "call_module":
            module = self.modules[node.target]
            for kind in type(module).__mro__:
                if kind.__module__.startswith("torch.nn.modules.") and kind.__name__ in MODULES:
                    return MODULES[kind.__name__], module
        elif node.op == "call_method" and (name := node.target.removesuffix("_")) in METHODS:
            return RESHAPES.get(name, name), None
        elif node.op == "call_function" and node.target in self.functions:
            return self.functions[node.target], None
        raise ConversionError(f"there is no layer for it. Supported: {SUPPORTED}")

    def _overwrite(self, node: Any, name: str) -> None:
        """After an operation in place, whatever shares the memory of `node` holds the new value."""
        old = self.values[node]
        for other in self.at:
            value = self.values[other]
            same = value.untyped_storage().data_ptr() == old.untyped_storage().data_ptr()
            if same and value.shape == old.shape:
                self.at[other] = name


def _names(node: Any) -> list[str]:
    """What to call the layers of an operation, best first."""
    return [str(node.target), str(node.name)] if node.op == "call_module" else [str(node.name)]


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
