"""Import PyTorch modules.

`from_torch` traces a copy of the module with torch.fx (`_trace.py`), converts its operations in order (`operations.py`,
and `moved.py` where the first axis is not the batch axis), and refuses the first unsupported one by name. It then
checks on an example that network and module compute the same in float64. The module is left unchanged, including its
training mode. torch is imported when `from_torch` is called.

Names: the node of a submodule has its path in the module, such as "layer1.0.conv1"; so has a function whose weight is
the parameter "layer1.0.conv1.weight". Other nodes have the names that torch.fx gives them.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..._support.extras import library
from ...errors import ConversionError, LrprefError
from ...layers import Embedding, Layer, Routing
from ...network import INPUT, Network
from ...weights.state_dict import as_array
from ..graph import Graph, Shape, fixed_for_several, fixed_where_unproven, require, verify
from ..layout import Activation as Placed
from ..mixed import Mixed
from . import moved, moves
from .call import Activation, Call, spelled
from .moved import placed
from .operations import (
    ACTIVATIONS,
    GRAPHS,
    MODULES,
    OPERATIONS,
    OVERLOADS,
    PARAMETERS,
    REASONS,
    RENAMED,
    SUPPORTED,
    operation,
    scaled_second,
)
from .patterns import recognised

RETURNS = "the module must return tensors that depend on its input: one, or several in a tuple, list or dict"
ORIGINAL = "the module"
INDEPENDENT = (
    "forward computes with the number of samples, or moves the batch axis, but each sample must be independent of the "
    "others; "
)
HINT = (
    "possible causes are hooks, modules that change from call to call, and isinstance(x, torch.Tensor), which is False "
    "in a trace. For the latter, import torch.export.export(module.eval(), (example,)) instead of the module"
)


def from_torch(module: Any, example: Any) -> Network:
    """Import a PyTorch module.

    The two forward passes must agree on an example in float64, to 1e-9 of the largest output.

    Parameters
    ----------
    module : torch.nn.Module or torch.export.ExportedProgram
        The module, imported in eval mode; it is left unchanged. Wrappers such as those of torch.compile and
        nn.DataParallel are removed.
    example : tensor or array, shape (N, ...), or tuple of them
        An input, on which the network is checked. For a forward of several tensors, a tuple of them, in order; the
        network then has an input for each, named as in forward.

    Returns
    -------
    Network
        The network, in float64 if any parameter of the module is, otherwise in float32. Buffers, such as masks and the
        encodings of positions, are converted; they decide only in a module without parameters.

    Raises
    ------
    ConversionError
        If torch.fx cannot trace the module, an operation is not supported, or the network does not compute the same
        function. The message names the node, and the line of code that calls it.
    LrprefError
        If torch is not installed.
    """
    torch = library("torch", "torch", "PyTorch modules")
    from ._trace import traced

    module = _module(torch, module)
    twin = _twin(torch, module)
    x = _examples(torch, twin, example)
    shapes = {name: tuple(part.shape) for name, part in x.items()}
    with torch.no_grad():
        expected = _computed(torch, twin, x)
        importer = _Importer(torch, *traced(twin, x))
        outputs = importer.outputs()
        net = importer.graph.network(*dict.fromkeys(outputs))
        _verify(net, outputs, x, expected)

        def prove(shapes: Mapping[str, Shape]) -> None:
            z = _random(torch, net, shapes)
            _verify(net, outputs, z, _computed(torch, twin, z))

        if len(x) > 1:
            proven = fixed_for_several(net, shapes)
        else:
            first = 1 if INPUT in _index_counts(net) else 2
            bound, held, free = importer.graph.bound, importer.held, range(1, x[INPUT].ndim)
            bound, held = ([*bound, *held], []) if first == 1 else (bound, held)
            proven = fixed_where_unproven(
                net, shapes[INPUT], free, bound, lambda shape: prove({INPUT: (1, *shape)}), first, held
            )
        of_any_size = any(len(shape) > 2 for shape in shapes.values()) or bool(_index_counts(net))
        if proven.input_shape is not None or not of_any_size or importer.depends_on_samples:
            _prove_again(torch, net, outputs, twin, x, importer.depends_on_samples)
        net = proven
    return net if _is_double(torch, module) else net.astype(np.float32)


def _is_double(torch: Any, module: Any) -> bool:
    """Whether a parameter of the module is in float64, or a buffer of one that has no parameters."""
    tensors = list(module.parameters()) or list(module.state_dict().values())
    return any(tensor.dtype == torch.float64 for tensor in tensors)


def _verify(net: Network, outputs: Sequence[str], x: Mapping[str, Any], expected: Sequence[Any]) -> None:
    """Raise ConversionError unless the network computes each of the expected tensors at the output of that name."""
    require(len(outputs) == len(expected), f"the module returns {len(expected)} tensors, its trace {len(outputs)}")
    for output, tensor in zip(outputs, expected, strict=True):
        part = net if len(net.outputs) == 1 else net.up_to(output)
        verify(part, _arrays(net, x), as_array(tensor), ORIGINAL, HINT)


def _prove_again(
    torch: Any, net: Network, outputs: Sequence[str], twin: Any, x: Mapping[str, Any], otherwise: bool
) -> None:
    """Compare the network and the module on random samples of the example's size, if the module runs on them.

    Their number differs from that of the example if forward may compute `otherwise` for another number. Raises
    ConversionError.
    """
    n = min(len(part) for part in x.values())
    for samples in ((2, 3) if n == 1 else (1, n + 1, 2 * n)) if otherwise else [None]:
        shapes = {name: (samples or len(part), *part.shape[1:]) for name, part in x.items()}
        z = _random(torch, net, shapes)
        try:
            expected = _computed(torch, twin, z)
        except ConversionError:
            continue
        if not all(tensor.isfinite().all() for tensor in expected):
            continue
        try:
            _verify(net, outputs, z, expected)
        except ConversionError as error:
            told = " and ".join(map(str, shapes.values()))
            why = f"on random numbers of shape {told}, instead of the example: {error}"
            raise ConversionError(f"{INDEPENDENT if otherwise else ''}{why}") from error


def _index_counts(net: Network) -> dict[str, int]:
    """Return the inputs of a network that are indices of embeddings, and how many indices each of these knows.

    Layers that move indices, such as slices, may come before the embedding.
    """
    counts: dict[str, int] = {}
    for name, layer, inputs in reversed(net.nodes):
        known = int(layer.weight.shape[0]) if isinstance(layer, Embedding) else counts.get(name)
        if known is not None and isinstance(layer, Embedding | Routing):
            counts.update({each: min(known, counts.get(each, known)) for each in inputs})
    return {name: counts[name] for name in net.inputs if name in counts}


def _random(torch: Any, net: Network, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Draw an input of each shape: normal numbers, or indices."""
    random, counts = torch.Generator().manual_seed(0), _index_counts(net)
    return {
        name: torch.randint(counts[name], shape, generator=random).double()
        if name in counts
        else torch.randn(shape, generator=random, dtype=torch.float64)
        for name, shape in shapes.items()
    }


# ---- the module --------------------------------------------------------------------------------------------------


def _examples(torch: Any, twin: Any, example: Any) -> dict[str, Any]:
    """Return the example of each input as a tensor in float64, by the name of the input."""
    if not (isinstance(example, tuple) and all(hasattr(part, "shape") for part in example)):
        return {INPUT: _example(torch, example)}
    if len(example) == 1:
        return {INPUT: _example(torch, example[0])}
    known = list(inspect.signature(twin.forward).parameters)
    names = known if len(known) >= len(example) else [f"input_{k + 1}" for k in range(len(example))]
    return {name: _example(torch, part) for name, part in zip(names, example, strict=False)}


def _example(torch: Any, example: Any) -> Any:
    """Return the example of one input as a tensor in float64."""
    try:
        return torch.as_tensor(example).detach().cpu().double()
    except Exception as error:
        raise ConversionError(
            f"the example must be one tensor or array, or a tuple of them, not {type(example).__name__}: {error}"
        ) from error


def _arrays(net: Network, x: Mapping[str, Any]) -> Any:
    """Return the tensors by name as the network takes them."""
    return net.as_given({name: as_array(part) for name, part in x.items()}, like=())


def _module(torch: Any, module: Any) -> Any:
    """Return the module of a program of torch.export; a module as it is."""
    if isinstance(module, torch.export.ExportedProgram):
        return module.module()
    if isinstance(module, torch.nn.Module):
        return module
    remedy = ""
    if isinstance(module, Mapping):
        remedy = "; a state dict has no graph: build the module, and call its load_state_dict"
    elif isinstance(module, type) and issubclass(module, torch.nn.Module):
        remedy = "; make an instance of the class"
    raise ConversionError(f"expected a torch.nn.Module, got {type(module).__name__}{remedy}")


def _twin(torch: Any, module: Any) -> Any:
    """Return a copy of the module in eval mode, on the CPU, in float64, without wrappers."""
    from ._trace import is_one_operation

    for name, part in module.named_modules():
        require(
            not isinstance(part, torch.nn.EmbeddingBag),
            f"node {name!r} (EmbeddingBag): {REASONS['EmbeddingBag']}",
        )
        require(
            not isinstance(part, torch.jit.ScriptModule),
            "TorchScript modules cannot be traced; import the module before torch.jit.script or torch.jit.trace. If "
            "you have only the TorchScript file, export it with torch.onnx.export(..., dynamo=False) and use "
            "lrpref.importers.read",
        )
    try:
        twin = _copy(torch, module)
    except Exception as error:
        raise ConversionError(f"the module cannot be copied: {error}{_about_hooks(module)}") from error
    if any(isinstance(tensor, torch.nn.UninitializedParameter) for tensor in twin.parameters()):
        raise ConversionError("the module has lazy parameters; run it once before the import")
    if not isinstance(twin, torch.fx.GraphModule):  # that of an exported program has no other mode
        twin.eval()
    _fix_eps(torch, twin)
    twin = twin.cpu().double()
    for part in twin.modules():
        tensors = {name: value for name, value in vars(part).items() if isinstance(value, torch.Tensor)}
        vars(part).update((name, t.cpu().double() if t.is_floating_point() else t.cpu()) for name, t in tensors.items())
    return torch.nn.Sequential(twin) if is_one_operation(twin) else twin


def _about_hooks(module: Any) -> str:
    """A remedy for hooks, which may hold tensors that were computed; torch does not copy these."""
    if not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules()):
        return ""
    return (
        "; the module has hooks, which may hold such tensors: remove them, or leave the `with` block of the library "
        "that attached them, before the import"
    )


def _fix_eps(torch: Any, twin: Any) -> None:
    """Give every RMSNorm without an eps the number that torch uses in its place: that of the module's dtype."""
    for part in twin.modules():
        if type(part).__name__ == "RMSNorm" and getattr(part, "eps", 0) is None:
            part.eps = torch.finfo(torch.float64 if _is_double(torch, twin) else torch.float32).eps


def _copy(torch: Any, module: Any) -> Any:
    """Copy a module without its wrappers; tensors that hooks computed lose their history, which forbids copies."""
    done: dict[int, Any] = {}
    parts = list(module.modules())
    for part in parts:
        computed = (t for t in vars(part).values() if isinstance(t, torch.Tensor) and not t.is_leaf)
        done.update((id(t), t.detach().clone()) for t in computed)
    for part in reversed(parts):
        inner = _inner(torch, part)
        if inner is not None:
            done[id(part)] = copy.deepcopy(inner, done)
    return copy.deepcopy(module, done)


def _inner(torch: Any, module: Any) -> Any:
    """Return the module in a wrapper of torch.compile, nn.DataParallel or their like; None if it is none."""
    parallel = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    inside = "module" if isinstance(module, parallel) else "_orig_mod"
    return dict(module.named_children()).get(inside)


def _computed(torch: Any, twin: Any, x: Mapping[str, Any]) -> list[Any]:
    """Return the tensors that the module computes of its inputs, which are in order."""
    from ._trace import Doubles, located, place_of

    try:
        with Doubles(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the code of the module
            returned = twin(*(part.clone() for part in x.values()))
    except Exception as error:
        why = f"the module does not run on the example: {error}"
        raise ConversionError(located(place_of(error), why)) from error
    tensors = _leaves(returned)
    strange = [each for each in tensors if not isinstance(each, torch.Tensor)] or ([] if tensors else [returned])
    require(not strange, f"{RETURNS}, not {type([*strange, None][0]).__name__}")
    return tensors


def _leaves(value: Any) -> list[Any]:
    """Return what is in a value: itself, or what is in a tuple, list or dict, in order."""
    if isinstance(value, Mapping):
        value = list(value.values())
    return [leaf for each in value for leaf in _leaves(each)] if isinstance(value, tuple | list) else [value]


# ---- the graph -------------------------------------------------------------------------------------------------


class _Importer:
    """Converts the traced nodes in order; `at` maps each fx node to the activation that it is in the network."""

    def __init__(self, torch: Any, tracer: Any, fx_nodes: Sequence[Any]) -> None:
        self.torch, self.tracer, self.values, self.fx_nodes = torch, tracer, tracer.values, fx_nodes
        self.modules = dict(tracer.root.named_modules())
        self.functions = _functions(torch)
        self.graph = Graph({name: tuple(x.shape) for name, x in tracer.examples.items()})
        self.layers: dict[str, list[Layer]] = {}
        self.at: dict[Any, Activation] = {}
        self.parts: dict[tuple[Any, int], Activation] = {}
        self.found = recognised(tracer, self.fx_nodes)
        self.graph.bound += self._decided("sizes", "the sizes of images")
        self.held = self._decided("channels", "the number of channels or tokens")
        self.depends_on_samples = any("samples" in kinds for kinds, _ in tracer.decisions)

    def _decided(self, kind: str, what: str) -> list[str]:
        """Return a note on each decision by numbers of a kind."""
        return [
            f"forward computes with {what}{f' ({where})' if where else ''}, and was traced"
            for kinds, where in self.tracer.decisions
            if kind in kinds
        ]

    def outputs(self) -> list[str]:
        """Convert all nodes, and return the names of the network's nodes that hold what the module returns."""
        found: list[str] = []
        needed = self._needed()
        for node in self.fx_nodes:
            if node.op == "placeholder":
                self.at[node] = Activation(node.target, self.graph.shapes[node.target])
            elif node.op == "output":
                found = [name for value in _leaves(node.args[0]) for name in self._output(value)]
            elif node in needed and self._is_activation(node) and (read := self._read(node)) is not None:
                self._convert(node, *read)
        return found

    def _needed(self) -> set[Any]:
        """Return the nodes that the output depends on, through tensors, and those that overwrite others."""
        needed: set[Any] = set()
        for node in reversed(self.fx_nodes):
            if node.op == "output" or node in needed or self.tracer.overwritten[node]:
                needed.add(node)
                read = [self.found[node][0]] if node in self.found else node.all_input_nodes
                needed.update(i for i in read if _tensors(self.torch, self.values[i]))
        return needed

    def _output(self, value: Any) -> list[str]:
        """Return the names of the nodes that hold one of the values that forward returns; several for a tuple."""
        if isinstance(value, self.torch.fx.Node) and isinstance(self.values[value], tuple | list):
            found = [self._part(value, i) for i in range(len(self.values[value]))]
        else:
            require(isinstance(value, self.torch.fx.Node) and value in self.at, RETURNS)
            found = [self.at[value]]
        for each in found:
            require(
                each.layout is None,
                f"the module returns a tensor of shape {each.shape} whose batch axis is not the first one; move it "
                "there, as in x.transpose(0, 1) for (T, N, E)",
            )
        names = [each.node for each in found]
        require(not {*names} & {*self.graph.inputs}, "the module returns its input; there is no layer to import")
        return names

    def _is_activation(self, node: Any) -> bool:
        """Whether a node is a tensor, or several, that may depend on the input; sizes and other numbers are not."""
        tensors = _tensors(self.torch, self.values[node])
        return bool(tensors) and "values" in self.tracer.whole(node)

    def _read(self, node: Any) -> tuple[Any, int | None] | None:
        """Return the operation whose result is converted at a node, and which part of it; None for several results.

        What an operation returns in several parts is converted where a part is taken.
        """
        import operator

        if node.target is operator.getitem:
            source, index = node.args
            if isinstance(self.values[source], tuple | list) and isinstance(index, int):
                return source, index % len(self.values[source])
        if isinstance(self.values[node], self.torch.Tensor):
            return node, None
        self._explained(node, self._known, node)
        return None

    def _convert(self, node: Any, source: Any, part: int | None) -> None:
        """Convert one operation: add its layers, and record the node that has its value."""
        self._explained(source, self._add, node, source, part)

    def _explained(self, node: Any, do: Any, *arguments: Any) -> None:
        """Do something, and let errors name a node, its operation and the line that calls it."""
        from ._trace import located

        try:
            do(*arguments)
        except LrprefError as error:
            why = located(self.tracer.places[node], f"{self._label(node)}: {error}")
            raise ConversionError(why) from error

    def _add(self, node: Any, source: Any, part: int | None) -> None:
        """Add the layers of the operation `source`, of which `node` is the result or a part."""
        self.at[node] = self._layered(source, self.values[node], part, self._names(node))
        for overwritten in self.tracer.overwritten[source]:
            self._overwrite(overwritten, self.at[node])

    def _layered(self, source: Any, result: Any, part: int | None, names: list[str]) -> Activation:
        """Return the result of an operation, or a part of it, as a new node of the network computes it."""
        if source in self.found:
            variable, name, told = self.found[source]
            read = [self.at[variable]]
            call = Call(name, {"input": read[0], **told}, None, (read[0].shape,), tuple(result.shape))
        else:
            call, read = self._call(source, result, part)
        if call.name == "expand" and self._broadcasts(source):
            return read[0]
        xs, layout = [placed(x.node, self.graph.shapes[x.node], x.layout) for x in read], None
        if moved.moves_samples(call, read):
            layers, layout = moved.moved(call, xs[0])
            name = self.graph.add(layers, [read[0].node], names, self._readers)
        else:
            if any(x.layout is not None for x in read):
                call, layout = moved.as_own(call, xs)
            name = self._added(source, call, [x.node for x in read], names)
            shape = self.graph.shapes[name]
            require(shape == call.result, f"its output has shape {call.result}, that of lrpref's layer has {shape}")
        require(
            result.is_floating_point(), f"its result has the dtype {result.dtype}; only floating point is supported"
        )
        self.graph.bound += [f"{self._label(source)}: {note}" for note in call.bound]
        self.depends_on_samples |= layout is not None or (
            call.name == "reshape"
            and not self._keeps_samples(source, xs[0], placed(name, self.graph.shapes[name], layout))
        )
        return Activation(name, tuple(result.shape), layout if isinstance(layout, Mixed) else None)

    def _keeps_samples(self, node: Any, before: Placed, after: Placed) -> bool:
        """Whether a reshape surely has the samples at the same place if there are twice as many."""
        twice = [x.layout.shape((2 * x.shape[0], *x.shape[1:])) for x in (before, after)]
        return bool(self.tracer.reshaped(node, twice[0]) == twice[1])

    def _added(self, source: Any, call: Call, inputs: list[str], names: list[str]) -> str:
        """Add the layers of an operation, and return the name of the last one."""
        if call.name == "log":
            self.graph.take_logarithm(inputs[0], self._readers(inputs[0]) == 1)
        if call.name in GRAPHS:
            return self.graph.add_nodes(partial(GRAPHS[call.name], call, inputs), self._names(source))
        if factor := scaled_second(call):
            inputs = [inputs[0], self.graph.add(factor, inputs[1:], [f"{names[-1]}_alpha"])]
        if call.name in moves.REPEATING:
            for copies, layers in moves.repeated(call):
                inputs = [self.graph.add(layers, inputs * copies, names, self._readers)]
            return inputs[0]
        return self.graph.add(self._layers(source, call), inputs, names, self._readers)

    def _broadcasts(self, node: Any) -> bool:
        """Whether nothing but products with activations of its shape reads a node; these need no expanded factor."""
        shape = self.values[node].shape
        return all(
            user.op != "call_module"
            and operation(spelled(user.target)) == "mul"
            and any(other in self.at and other is not node and self.at[other].shape == shape for other in user.args)
            for user in node.users
        )

    def _readers(self, name: str) -> int:
        """Return how many operations read the value of a node of the network."""
        same = [node for node, at in self.at.items() if at.node == name]
        return len({user for node in same for user in node.users if user not in same})

    def _label(self, node: Any) -> str:
        """Return the node's name and operation as text."""
        called = node.target if node.op == "call_module" else node.name
        return f"node {called!r} ({_what(node, self.modules)})"

    def _names(self, node: Any) -> list[str]:
        """Return the preferred names of an operation's layers, best first."""
        if node.op == "call_module":
            return [str(node.target), str(node.name)]
        weights = [i.target for i in node.all_input_nodes if i.op == "get_attr" and i.target.endswith(".weight")]
        return [*(target.removesuffix(".weight") for target in weights[:1]), str(node.name)]

    def _layers(self, node: Any, call: Call) -> list[Layer]:
        """Return the layers of one operation; a module that is used twice has the same layers."""
        layers = OPERATIONS[call.name](call)
        shared = node.op == "call_module" and "weight" in call.arguments
        return self.layers.setdefault(node.target, layers) if shared else layers

    def _call(self, node: Any, result: Any, part: int | None) -> tuple[Call, list[Activation]]:
        """Return the operation with its arguments, and the activations that it reads."""
        name, module = self._known(node)
        spelling = name if module is not None else spelled(node.target)
        method = f"x.{spelling}" if node.op == "call_method" else spelling
        names = PARAMETERS.get(method, PARAMETERS.get(spelling, PARAMETERS[name])).split()
        if isinstance(node.target, self.torch._ops.OpOverload):
            renamed = {**RENAMED, **OVERLOADS.get(name, {})}
            names = [renamed.get(each.name, each.name) for each in node.target._schema.arguments]
        told = _by_position(names, node.args) | {RENAMED.get(key, key): value for key, value in node.kwargs.items()}
        names = [each.removeprefix("*") for each in names]
        if module is not None and name not in GRAPHS:
            x = next(iter(told.values()))
            told = {key: getattr(module, key) for key in names if hasattr(module, key)} | {names[0]: x}
        told = {key: told[key] for key in [*names, *told] if key in told}  # in the order of the parameters
        computed = self._computed_arguments(node, told) if name != "reshape" else []
        arguments = self.torch.fx.node.map_arg(told, self._argument)
        for key, value in arguments.items():
            if key not in ACTIVATIONS:
                require(not _activations(value), f"its {key} depends on the network's input; it must be a constant")
        read = _activations(list(arguments.values()))
        require(bool(read), "none of its arguments depends on the network's input")
        shapes = tuple(each.shape for each in read)
        call = Call(name, arguments, module, shapes, tuple(result.shape), part, computed)
        return call, read

    def _argument(self, node: Any) -> Any:
        """Return what stands for an fx node in the arguments of an operation."""
        value = self.values[node]
        if node in self.at:
            return self.at[node]
        if isinstance(value, tuple | list) and _tensors(self.torch, value):
            return [self._part(node, i) for i in range(len(value))]
        require(
            "values" not in self.tracer.whole(node),
            f"its argument {node.name!r} is a number that depends on the network's input; it must be a constant",
        )
        return value

    def _part(self, node: Any, index: int) -> Activation:
        """Return one of the results of an operation that returns several, where all are passed on together."""
        if (node, index) not in self.parts:
            value = self.values[node][index]
            self.parts[node, index] = self._layered(node, value, index, [f"{node.name}_{index}"])
        return self.parts[node, index]

    def _computed_arguments(self, node: Any, told: Mapping[str, Any]) -> list[str]:
        """Return the note that the arguments of a node are computed from the sizes of images."""
        found: list[Any] = []
        self.torch.fx.node.map_arg(dict(told), found.append)
        kinds = [self.tracer.whole(node) for node in found if node not in self.at]
        self.depends_on_samples |= any("samples" in each for each in kinds)
        if any("channels" in each for each in kinds):
            self.held.append(f"{self._label(node)}: its arguments are computed")
        return ["its arguments are computed"] if any("sizes" in each for each in kinds) else []

    def _known(self, node: Any) -> tuple[str, Any]:
        """Return the name of the operation, and the submodule if it is one."""
        from ._trace import OPERATORS

        if node.op == "call_module":
            module = self.modules[node.target]
            for kind in type(module).__mro__:
                if kind.__module__.startswith(OPERATORS) and kind.__name__ in MODULES:
                    return MODULES[kind.__name__], module
        elif node.op == "call_method" or isinstance(node.target, self.torch._ops.OpOverload):
            if (name := operation(spelled(node.target))) is not None:
                return name, None
        elif node.target is getattr and (name := operation(node.args[1])) is not None:
            return name, None
        elif node.target in self.functions:
            return self.functions[node.target], None
        reason = REASONS.get(_what(node, self.modules).removeprefix("x."))
        raise ConversionError(f"unsupported operation{f': {reason}' if reason else ''}. Supported: {SUPPORTED}")

    def _overwrite(self, node: Any, new: Activation) -> None:
        """After an in-place operation, give the new value to every node that shares the memory of `node`."""
        for other in self.at:
            if _same_memory(self.values[other], self.values[node]):
                self.at[other] = new


def _same_memory(a: Any, b: Any) -> bool:
    """Whether two tensors hold the same numbers in the same memory, in the same order."""
    alike = (a.shape, a.stride(), a.data_ptr()) == (b.shape, b.stride(), b.data_ptr())
    return bool(alike and a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr())


def _functions(torch: Any) -> dict[Any, str]:
    """Return the functions and operators of PyTorch and Python that are supported, and the operation of each."""
    import operator

    known = {}
    for home in (operator, torch, torch.nn.functional):
        for spelling, function in vars(home).items():
            if callable(function) and (name := operation(spelling)) is not None:
                known[function] = name
    return known


def _tensors(torch: Any, value: Any) -> list[Any]:
    """Return the tensors in a value: itself, or those in a tuple or list."""
    if isinstance(value, tuple | list):
        return [tensor for each in value for tensor in _tensors(torch, each)]
    return [value] if isinstance(value, torch.Tensor) else []


def _by_position(names: Sequence[str], arguments: Sequence[Any]) -> dict[str, Any]:
    """Return positional arguments by name; a last name with a star, as in "*dims", takes all that are left."""
    told = {name: value for name, value in zip(names, arguments, strict=False) if not name.startswith("*")}
    left = tuple(arguments[len(told) :])
    if left and names[-1].startswith("*"):
        alone = len(left) == 1 and not isinstance(left[0], int)  # x.permute(dims) for x.permute(*dims)
        told[names[-1].removeprefix("*")] = left[0] if alone else left
    return told


def _activations(value: Any) -> list[Activation]:
    """Return the activations in an argument: itself, or those in a tuple or list."""
    if isinstance(value, tuple | list):
        return [activation for each in value for activation in _activations(each)]
    return [value] if isinstance(value, Activation) else []


def _what(node: Any, modules: Mapping[str, Any]) -> str:
    """Return the operation as text."""
    if node.op == "call_module":
        return type(modules[node.target]).__name__
    return f"x.{node.target}" if node.op == "call_method" else spelled(node.target)
