"""Import PyTorch modules.

`from_torch` traces a copy of the module with torch.fx, converts its operations in order, and refuses the first
unsupported one by name. It then checks on an example that network and module compute the same in float64. The module
is left unchanged, including its training mode. torch is imported when `from_torch` is called.

Names: the node of a submodule has its path in the module, such as "layer1.0.conv1"; other nodes have the names that
torch.fx gives them.
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
from .graph import Graph, Shape, fixed_where_unproven, require, verify
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

RETURNS = "the module must return one tensor that depends on its input"
IN_PLACE = "a possible cause is an in-place operation on a value that is used again"


def from_torch(module: Any, example: Any) -> Network:
    """Import a PyTorch module.

    The two forward passes must agree on an example in float64, to 1e-9 of the largest output.

    Parameters
    ----------
    module : torch.nn.Module
        The module, imported in eval mode; it is left unchanged.
    example : tensor or array, shape (N, ...)
        An input, on which the network is checked.

    Returns
    -------
    Network
        The network, in float64 if any parameter or buffer of the module is, otherwise in float32.

    Raises
    ------
    ConversionError
        If torch.fx cannot trace the module, an operation is not supported, or the network does not compute the same
        function. The message names the node.
    LrprefError
        If torch is not installed.
    """
    torch = library("torch", "torch", "PyTorch modules")
    twin, x = _twin(torch, module), _example(torch, example)
    with torch.no_grad():
        expected = _computed(twin, x)
        graph_module = _trace(torch, twin)
        importer = _Importer(torch, graph_module, _run(torch, graph_module, x), tuple(x.shape))
        net = importer.network()
        require(isinstance(expected, torch.Tensor), RETURNS)
        verify(net, as_array(x), as_array(expected), "the module", IN_PLACE)

        def prove(shape: Shape) -> None:
            z = torch.randn((1, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
            verify(net, as_array(z), as_array(_computed(twin, z)), "the module", IN_PLACE)

        net = fixed_where_unproven(net, tuple(x.shape), (2, 3), importer.graph.bound, prove)
    double = any(tensor.dtype == torch.float64 for tensor in module.state_dict().values())
    return net if double else net.astype(np.float32)


# ---- the module, traced ----------------------------------------------------------------------------------------


def _example(torch: Any, example: Any) -> Any:
    """Return the example as a tensor in float64."""
    try:
        return torch.as_tensor(example).detach().cpu().double()
    except Exception as error:
        raise ConversionError(
            f"the example must be one tensor or array, not {type(example).__name__}: {error}"
        ) from error


def _twin(torch: Any, module: Any) -> Any:
    """Return a copy of the module in eval mode, on the CPU, in float64."""
    if not isinstance(module, torch.nn.Module):
        raise ConversionError(f"expected a torch.nn.Module, got {type(module).__name__}")
    for part in module.modules():
        require(
            not hasattr(part, "_orig_mod"), "the module was compiled by torch.compile; import the original, ._orig_mod"
        )
        require(
            not isinstance(part, torch.jit.ScriptModule),
            "TorchScript modules cannot be traced; import the module before torch.jit, or export it with torch.onnx",
        )
    try:
        twin = copy.deepcopy(module)
    except Exception as error:
        raise ConversionError(f"the module cannot be copied: {error}") from error
    if any(isinstance(tensor, torch.nn.UninitializedParameter) for tensor in twin.parameters()):
        raise ConversionError("the module has lazy parameters; run it once before the import")
    _fix_eps(torch, twin)
    twin = twin.eval().cpu().double()
    return torch.nn.Sequential(twin) if torch.fx.Tracer().is_leaf_module(twin, "") else twin


def _fix_eps(torch: Any, twin: Any) -> None:
    """Give every RMSNorm with eps=None the number that torch uses in its place: the eps of the module's dtype."""
    double = any(tensor.dtype == torch.float64 for tensor in twin.state_dict().values())
    for part in twin.modules():
        if type(part).__name__ == "RMSNorm" and part.eps is None:
            part.eps = torch.finfo(torch.float64 if double else torch.float32).eps


def _computed(twin: Any, x: Any) -> Any:
    """Return what the module computes."""
    try:
        return twin(x.clone())
    except Exception as error:
        raise ConversionError(f"the module does not run on the example: {error}") from error


def _trace(torch: Any, twin: Any) -> Any:
    """Trace the module with torch.fx."""
    try:
        return torch.fx.symbolic_trace(twin)
    except NameError as error:  # as torch.fx reports it; also a misspelt name in forward
        raise ConversionError(
            f"torch.fx could not trace the module: {error}; modules that forward creates, as in nn.ReLU()(x), cannot "
            "be traced. Create them in __init__, or call functions such as F.relu(x)"
        ) from error
    except Exception as error:
        raise ConversionError(
            f"torch.fx could not trace the module: {error}. Python's if, for, int() and len(), and NumPy functions, "
            "cannot be traced where they are applied to tensors or their sizes; import the part of the module without "
            "them, or export the module with torch.onnx"
        ) from error


def _run(torch: Any, graph_module: Any, x: Any) -> dict[Any, Any]:
    """Return the value of every fx node on the example; all are kept alive, so that their addresses differ."""
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
    """Converts the traced graph in order; `at` maps each fx node to the node of the network with its value."""

    def __init__(self, torch: Any, graph_module: Any, values: Mapping[Any, Any], shape: tuple[int, ...]) -> None:
        self.torch, self.values = torch, values
        self.modules = dict(graph_module.named_modules())
        self.functions = functions(torch)
        self.fx_nodes = graph_module.graph.nodes
        self.graph = Graph(shape)
        self.layers: dict[str, list[Layer]] = {}
        self.at: dict[Any, str] = {}

    def network(self) -> Network:
        """Return the network; raises ConversionError."""
        output = None
        for node in self.fx_nodes:
            if node.op == "placeholder":
                # only the first argument is an activation; any further one has a default value
                self.at |= {} if self.at else {node: INPUT}
            elif node.op == "output":
                output = self._output(node)
            elif node.op != "get_attr" and self._holds_tensors(self.values[node]):
                self._operation(node)
        assert output is not None
        return self.graph.network(output)

    def _output(self, node: Any) -> str:
        """Return the name of the network's output."""
        value = node.args[0]
        require(isinstance(value, self.torch.fx.Node) and value in self.at, RETURNS)
        require(self.at[value] != INPUT, "the module returns its input; there is no layer to import")
        return self.at[value]

    def _operation(self, node: Any) -> None:
        """Convert one operation: add its layers, and record the node that has its value."""
        try:
            call, inputs = self._call(node)
            if call.name == "log":
                self.graph.take_logarithm(self.at[inputs[0]], len(inputs[0].users) == 1)
            name = self.graph.add(self._layers(node, call), [self.at[i] for i in inputs], _names(node))
            shape = self.graph.shapes[name]
            require(shape == call.result, f"its output has shape {call.result}, that of lrpref's layer has {shape}")
        except LrprefError as error:
            raise ConversionError(f"{self._label(node)}: {error}") from error
        self.graph.bound += [f"{self._label(node)}: {note}" for note in call.bound]
        self.at[node] = name
        if _in_place(node, call):
            self._overwrite(inputs[0], name)

    def _holds_tensors(self, value: Any) -> bool:
        """Whether a value is a tensor, or a tuple or list of some; sizes and other numbers are not."""
        if isinstance(value, tuple | list):
            return any(map(self._holds_tensors, value))
        return isinstance(value, self.torch.Tensor)

    def _label(self, node: Any) -> str:
        """Return the node's name and operation as text."""
        called = node.target if node.op == "call_module" else node.name
        return f"node {called!r} ({_what(node, self.modules)})"

    def _layers(self, node: Any, call: Call) -> list[Layer]:
        """Return the layers of one operation; a module that is used twice has the same layers."""
        layers = OPERATIONS[call.name](call)
        return self.layers.setdefault(node.target, layers) if call.name in WEIGHTED else layers

    def _call(self, node: Any) -> tuple[Call, list[Any]]:
        """Return the operation with its arguments, and the fx nodes of the activations that it reads."""
        name, module = self._known(node)
        if module is not None:
            arguments = {"input": node.args[0] if node.args else node.kwargs["input"]}
            arguments |= {key: getattr(module, key) for key in ATTRIBUTES if hasattr(module, key)}
        else:
            arguments = dict(zip(PARAMETERS[name].split(), node.args, strict=False)) | dict(node.kwargs)
        told, arguments = arguments, self._with_numbers(arguments)
        read = arguments["tensors"] if name == "cat" else [arguments.get("input"), arguments.get("other")]
        inputs = [i for i in read if isinstance(i, self.torch.fx.Node)]
        for i in inputs:
            require(
                i in self.at, f"its input {i.name!r} is not an activation but a parameter, a constant or a part of one"
            )
        shapes = tuple(tuple(self.values[i].shape) for i in inputs)
        computed = ["its arguments are computed"] if told != arguments and name != "flatten" else []
        return Call(name, arguments, module, shapes, tuple(getattr(self.values[node], "shape", ())), computed), inputs

    def _with_numbers(self, arguments: Any) -> Any:
        """Replace fx nodes that are numbers, such as the sizes of an image, by their values on the example."""
        return self.torch.fx.node.map_arg(
            arguments, lambda node: node if isinstance(self.values[node], self.torch.Tensor) else self.values[node]
        )

    def _known(self, node: Any) -> tuple[str, Any]:
        """Return the name of the operation, and the submodule if it is one."""
        if node.op == "call_module":
            module = self.modules[node.target]
            for kind in type(module).__mro__:
                if kind.__module__.startswith("torch.nn.modules.") and kind.__name__ in MODULES:
                    return MODULES[kind.__name__], module
        elif node.op == "call_method" and (name := node.target.removesuffix("_")) in METHODS:
            return RESHAPES.get(name, name), None
        elif node.op == "call_function" and node.target in self.functions:
            return self.functions[node.target], None
        if isinstance(node.target, self.torch._ops.OpOverload):
            raise ConversionError("programs of torch.export are not supported; import the module before torch.export")
        raise ConversionError(f"unsupported operation. Supported: {SUPPORTED}")

    def _overwrite(self, node: Any, name: str) -> None:
        """After an in-place operation, give the new value to every node that shares the memory of `node`."""
        old = self.values[node]
        for other in self.at:
            value = self.values[other]
            same = value.untyped_storage().data_ptr() == old.untyped_storage().data_ptr()
            if same and value.shape == old.shape:
                self.at[other] = name


def _names(node: Any) -> list[str]:
    """Return the preferred names of an operation's layers, best first."""
    return [str(node.target), str(node.name)] if node.op == "call_module" else [str(node.name)]


def _in_place(node: Any, call: Call) -> bool:
    """Whether the operation overwrites its first input."""
    called = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    marked = node.op != "call_module" and (called == "iadd" or called.endswith("_"))
    return call.name != "dropout" and (bool(call["inplace"]) or marked)


def _what(node: Any, modules: Mapping[str, Any]) -> str:
    """Return the operation as text."""
    if node.op == "call_module":
        return type(modules[node.target]).__name__
    return f"x.{node.target}" if node.op == "call_method" else getattr(node.target, "__name__", str(node.target))
