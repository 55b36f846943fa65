"""Follow a PyTorch module on an example, and record its operations.

torch.fx replaces the tensors in the module's forward pass by proxies, which record what is done to them. Here every
proxy also knows its value on the example. Python code that computes with sizes, loops over them or decides by them
therefore runs as it does without tracing. What it decided holds for that size only, so it is noted. Decisions by the
values of activations are refused, since they differ from input to input.

This file imports torch, unlike all others of the package, and is itself imported when `from_torch` is called.
"""

from __future__ import annotations

import linecache
import math
import operator
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import BuiltinMethodType, MethodType, TracebackType
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from ...errors import ConversionError
from .call import spelled
from .moves import ORDERS
from .operations import operation

Kinds = frozenset[str]
"""What a number depends on: "samples" and "channels" (their number), "sizes" (of the image), "values" (of activations).

Channels are what is on axis 1; in a sequence, these are the tokens.
"""

NOTHING: Kinds = frozenset()
ALL_SIZES: tuple[Kinds, ...] = tuple(frozenset([kind]) for kind in ("samples", "channels", "sizes"))

READ_SIZES = ("shape", "size", "numel", "nelement", "stride", "storage_offset")
"""The attributes and methods of tensors whose result depends on the tensor's shape only."""

CREATE_LIKE = ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "new_tensor")
"""The functions and methods that create a tensor of another one's size, whatever its values."""

LIKE_ANOTHER = ("expand_as", "reshape_as", "view_as")
"""The methods that give a tensor the shape of another one, whatever that one's values."""

FACTORIES = ("as_tensor", "empty", "ones", "rand", "randn", "tensor", "zeros")
"""The functions of torch that create tensors and do not take the numbers of a trace by themselves."""

READ_STRUCTURE = ("dim", "ndimension", "is_floating_point", "is_complex", "is_contiguous", "get_device")
"""The methods of tensors whose result is the same for all inputs."""

OPERATORS = ("torch.nn.", "torchvision.transforms.", "torchvision.ops.stochastic_depth")
"""The packages and files whose modules are single operations."""

CASTS = ("half", "float", "bfloat16", "double", "to", "type", "type_as")

EMBEDDINGS = {torch.nn.functional.embedding: 0, torch.ops.aten.embedding.default: 1}
"""The functions that look up embeddings, and which of their arguments holds the indices."""

OWN = tuple(f"{Path(file).parent}{os.sep}" for file in (torch.__file__, np.__file__, __file__))
"""The folders whose files are no place in the user's code."""

PYTHON = f"{Path(os.__file__).parent}{os.sep}"
"""The folder of Python's own library, which may hold those of installed packages."""

HERE = str(Path(__file__))


class Doubles(TorchFunctionMode):  # type: ignore[misc]
    """Compute in float64, also where the module casts to another floating dtype or creates tensors of one.

    Indices of embeddings, which are in float64 like every input, become integers where they are looked up.
    """

    def __enter__(self) -> Doubles:
        self.before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        super().__enter__()
        return self

    def __exit__(self, *told: Any) -> None:
        super().__exit__(*told)
        torch.set_default_dtype(self.before)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, and return its result in float64."""
        args = tuple(map(_in_double, args))
        kwargs = {name: _in_double(value) for name, value in (kwargs or {}).items()}
        at = EMBEDDINGS.get(func)
        if at is not None and _is_floating(args[at]):
            args = (*args[:at], args[at].long(), *args[at + 1 :])
        result = func(*args, **kwargs)
        if not _is_floating(result):
            return result
        cast = getattr(func, "__name__", "") in CASTS and args[0].is_floating_point()
        result = args[0] if cast else result
        return result if result.dtype == torch.float64 else result.double()


def _in_double(value: Any) -> Any:
    """Return float64 for another floating dtype, as in F.softmax(x, dtype=torch.float32); anything else as it is."""
    return torch.float64 if isinstance(value, torch.dtype) and value.is_floating_point else value


def _is_floating(value: Any) -> bool:
    """Whether a value is a tensor of floating-point numbers."""
    return isinstance(value, torch.Tensor) and value.is_floating_point()


class Value(torch.fx.Proxy):  # type: ignore[misc]
    """A tensor, or several values, in the traced forward pass."""

    @property
    def value(self) -> Any:
        """The value on the example."""
        return self.tracer.values[self.node]

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.value, name)
        if isinstance(self.value, tuple) and isinstance(value, torch.Tensor):  # such as x.max(1).values
            return self[next(i for i, part in enumerate(self.value) if part is value)]
        if isinstance(value, torch.Tensor | torch.Size):
            return self.tracer.create_proxy("call_function", getattr, (self, name), {})
        return torch.fx.proxy.Attribute(self, name) if isinstance(value, MethodType | BuiltinMethodType) else value

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.value, tuple | list) and isinstance(index, slice) and _holds_tensors(self.value):
            return [self[i] for i in range(len(self.value))[index]]
        return self.tracer.create_proxy("call_function", operator.getitem, (self, index), {})

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(len(self))])

    def __len__(self) -> int:
        if isinstance(self.value, torch.Tensor):
            self.tracer.decide(self.tracer.axes_of(self.node)[0])
        return len(self.value)

    def __bool__(self) -> bool:
        return bool(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __float__(self) -> float:
        return float(self._number())

    def _number(self) -> Any:
        self.tracer.decide(self.tracer.whole(self.node))
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    def __iadd__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})

    def __isub__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.isub, (self, other), {})

    def __imul__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.imul, (self, other), {})

    def __itruediv__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.itruediv, (self, other), {})

    def __setitem__(self, where: Any, what: Any) -> None:
        raise ConversionError("forward writes into a part of a tensor, as in x[:, 0] = y, which no layer does")


class Number(Value):
    """A number, or several, in the traced forward pass; Python code that needs the number itself gets it."""

    def __index__(self) -> int:
        return operator.index(self._number())

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._number(), digits)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return np.asarray(self._number(), *args)


class Tracer(torch.fx.Tracer):  # type: ignore[misc]
    """Records the operations of a module on an example.

    Attributes
    ----------
    values : dict of fx.Node to value
        The value of every node on the example; all are kept alive, so that their addresses differ.
    kinds : dict of fx.Node to Kinds or list of Kinds
        What every number depends on; for several numbers, one entry each.
    axes : dict of fx.Node to list of Kinds
        What the length of each axis depends on, for tensors whose first axis may not be the batch axis.
    overwritten : dict of fx.Node to list of fx.Node
        The nodes whose values an operation overwrites.
    places : dict of fx.Node to str
        The file and line of the user's code where the operation was called, or "".
    decisions : list of (Kinds, str)
        The decisions that Python took by a number: what it depends on, and the place.
    """

    def __init__(self, examples: Mapping[str, torch.Tensor]) -> None:
        super().__init__(autowrap_modules=(math,))
        self.examples = examples
        self.values: dict[Any, Any] = {}
        self.kinds: dict[Any, Any] = {}
        self.axes: dict[Any, list[Kinds]] = {}
        self.overwritten: dict[Any, list[Any]] = {}
        self.places: dict[Any, str] = {}
        self.decisions: list[tuple[Kinds, str]] = []
        self.evaluating = False

    # ---- what torch.fx asks for ----------------------------------------------------------------------------------

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> Any:
        """Pass one activation for each example to forward; further arguments keep their default values."""
        return root_fn, [self.root, *(self.create_proxy("placeholder", name, (), {}) for name in self.examples)]

    def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
        """Whether a module is one operation."""
        return is_one_operation(m)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: Any) -> Any:
        """Return an attribute of a module; parameters are tensors, so what is computed from them alone is computed."""
        return attr_val

    def path_of_module(self, mod: Any) -> str:
        """Return the path of a module; one that forward creates gets a path."""
        try:
            return super().path_of_module(mod)
        except NameError:
            kind, known = type(mod).__name__, set(self.root.parameters())
            if any(parameter not in known for parameter in mod.parameters()):
                raise ConversionError(
                    f"forward creates a {kind} with new parameters in every call; create it in __init__"
                ) from None
            taken = dict(self.root.named_children())
            name = next(name for i in range(len(taken) + 1) if (name := f"{kind.lower()}_{i}") not in taken)
            self.root.add_module(name, mod)
            found = {part: f"{name}.{path}".rstrip(".") for path, part in mod.named_modules()}
            self.submodule_paths: dict[Any, str] = {**found, **(self.submodule_paths or {})}
            return name

    def call_module(self, m: Any, forward: Any, args: Any, kwargs: Any) -> Any:
        """Record the call of a module, unless a recorded operation is being computed."""
        return forward(*args, **kwargs) if self.evaluating else super().call_module(m, forward, args, kwargs)

    def create_arg(self, a: Any) -> Any:
        """Return an argument as torch.fx takes it; it does not take the numbers of NumPy."""
        return super().create_arg(a.item() if isinstance(a, np.generic) else a)

    def create_node(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **named: Any) -> Any:
        """Record an operation with its value, and the place in the user's code."""
        node = super().create_node(kind, target, args, kwargs, *rest, **named)
        self.places[node] = place(sys._getframe())
        if kind != "output":
            before = self._versions(node)
            self.values[node] = self._evaluate(node)
            self._follow_axes(node)
            self.kinds[node] = self._depends_on(node)
            self.overwritten[node] = [i for i, version in self._versions(node).items() if version != before[i]]
            self._check_written(node)
        return node

    def _check_written(self, node: Any) -> None:
        """Refuse to write activations into a tensor that was a constant so far, as in y = torch.zeros(3); y[:] = x.

        Norms write running statistics, which they do not read.
        """
        written = self.overwritten[node]
        if (
            not spelled(node.target).endswith("norm")
            and any("values" not in self.whole(i) for i in written)
            and "values" in self.whole(node)
        ):
            raise ConversionError(
                "forward writes activations into a tensor that it has created, which no layer does; build the tensor "
                "with torch.cat or torch.stack instead"
            )

    def _versions(self, node: Any) -> dict[Any, int]:
        """Return the version of each tensor that an operation reads; operations in place change it."""
        read = ((i, self.values[i]) for i in node.all_input_nodes)
        return {i: value._version for i, value in read if isinstance(value, torch.Tensor)}

    def proxy(self, node: Any) -> Any:
        """Return what stands for the value of a node in forward; the value itself if all inputs have the same.

        A tensor that depends on sizes only, such as a causal mask, is the same for all inputs of the example's size.
        """
        value = self.values[node]
        if _holds_tensors(value):
            kinds = self.whole(node)
            if "values" in kinds:
                return Value(node, self)
            self.decide(kinds)
            return value
        structure = node.op == "call_method" and node.target in READ_STRUCTURE
        return value if structure or value is None else Number(node, self)

    # ---- values --------------------------------------------------------------------------------------------------

    def _evaluate(self, node: Any) -> Any:
        """Compute the value of a node on the example."""
        if node.op == "placeholder":
            return self.examples[node.target].clone()
        if node.op == "get_attr":
            return operator.attrgetter(node.target)(self.root)
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), self.values.__getitem__)
        before, self.evaluating = self.evaluating, True
        try:
            with Doubles():
                if node.op == "call_method":
                    return getattr(args[0], node.target)(*args[1:], **kwargs)
                called = self.root.get_submodule(node.target) if node.op == "call_module" else node.target
                return called(*args, **kwargs)
        finally:
            self.evaluating = before

    def computed(self, parts: Sequence[Any], variable: Any, x: np.ndarray) -> np.ndarray | None:
        """Return what operations compute in order for another value of one node; None if they do not take it."""
        values = {**self.values, variable: torch.from_numpy(x)}
        try:
            with Doubles():
                for part in parts:
                    args, kwargs = torch.fx.node.map_arg((part.args, part.kwargs), values.__getitem__)
                    called = (
                        getattr(args[0], part.target) if part.op == "call_method" else partial(part.target, args[0])
                    )
                    values[part] = called(*args[1:], **kwargs)
        except Exception:  # such as a mean over an axis that x does not have
            return None
        return np.asarray(values[parts[-1]].numpy())

    def reshaped(self, node: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the shape that a reshape gives a tensor of this shape, for twice as many samples; None if it fails."""
        args, kwargs = torch.fx.node.map_arg((node.args[1:], node.kwargs), self._doubled)
        other = torch.empty(shape)
        try:
            called = self.root.get_submodule(node.target) if node.op == "call_module" else node.target
            function = getattr(other, called) if node.op == "call_method" else partial(called, other)
            return tuple(function(*args, **kwargs).shape)
        except Exception:  # such as a view to the shape of the example
            return None

    def _doubled(self, node: Any) -> Any:
        """Return a number, or several, where those that depend on the number of samples are doubled."""
        value, kinds = self.values[node], self.kinds[node]
        if isinstance(kinds, list):
            return tuple(2 * n if "samples" in kind else n for n, kind in zip(value, kinds, strict=True))
        return 2 * value if isinstance(value, int) and "samples" in kinds else value

    # ---- numbers -------------------------------------------------------------------------------------------------

    def whole(self, node: Any) -> Kinds:
        """Return what the number, or any of the numbers, at a node depends on."""
        kinds = self.kinds[node]
        return frozenset().union(*kinds) if isinstance(kinds, list) else kinds

    def axes_of(self, node: Any) -> list[Kinds]:
        """Return what the length of each axis of a tensor depends on."""
        return self.axes.get(node, _in_order(self.values[node].ndim))

    def _follow_axes(self, node: Any) -> None:
        """Note what the lengths of axes depend on where the first one is not, or may not be, the batch axis."""
        source = next((i for i in node.all_input_nodes if i in self.axes), None)
        called = node.args[1] if node.target is getattr else node.target
        name, value = operation(spelled(called)), self.values[node]
        if source is None and name in (*ORDERS, "reshape"):
            source = node.args[0] if node.args else None
        if not isinstance(source, torch.fx.Node) or not _holds_tensors(value):
            return
        if not isinstance(value, torch.Tensor):
            self.axes[node] = self.axes[source]
            return
        anything = [frozenset().union(*ALL_SIZES)] * value.ndim
        if name in ORDERS:
            before = self.axes_of(source)
            kinds = [before[axis] for axis in self._order(node)]
        elif name == "reshape":
            stays = source not in self.axes and value.shape[:1] == self.values[source].shape[:1]
            kinds = _in_order(value.ndim) if stays else anything
        else:
            kinds = self.axes[source] if len(self.axes[source]) == value.ndim else anything
        if kinds[:1] != _in_order(1) or (source in self.axes and kinds != _in_order(value.ndim)):
            self.axes[node] = kinds

    def _order(self, node: Any) -> list[int]:
        """Return the axes of its input in the order in which an operation puts them."""
        rank = self.values[node].ndim
        of_each_size = torch.empty(tuple(range(rank)))  # of no cells, so there is nothing to compute
        if node.target is getattr:
            return list(getattr(of_each_size, node.args[1]).shape)
        args, kwargs = torch.fx.node.map_arg((node.args[1:], node.kwargs), self.values.__getitem__)
        called = getattr(of_each_size, node.target) if node.op == "call_method" else partial(node.target, of_each_size)
        return list(called(*args, **kwargs).shape)

    def _depends_on(self, node: Any) -> Kinds | list[Kinds]:
        """Return what the numbers at a node depend on."""
        if node.op == "placeholder" or node.op == "get_attr":
            return frozenset(["values"] if node.op == "placeholder" else [])
        source = node.args[0] if node.args and isinstance(node.args[0], torch.fx.Node) else None
        name = node.args[1] if node.target is getattr else node.target
        if source is not None and name in READ_SIZES and isinstance(self.values[source], torch.Tensor):
            sizes = self.axes_of(source)
            axis = node.args[1] if name == "size" and len(node.args) > 1 else node.kwargs.get("dim")
            if name in ("shape", "size"):
                return sizes[axis] if isinstance(axis, int) else sizes
            return frozenset().union(*sizes)
        if spelled(name) in CREATE_LIKE:
            others = [each for each in node.all_input_nodes if each is not source]
            like = self.axes_of(source) if "like" in spelled(name) else []
            return frozenset().union(*like, *map(self.whole, others))
        if spelled(name) in LIKE_ANOTHER:
            given, other = node.args
            own = self.whole(given) if isinstance(given, torch.fx.Node) else NOTHING
            return own.union(*self.axes_of(other))
        if source is not None and node.target is operator.getitem and isinstance(self.kinds[source], list):
            index = node.args[1]
            if isinstance(index, int | slice):
                return self.kinds[source][index]
        return frozenset().union(*(self.whole(each) for each in node.all_input_nodes))

    def decide(self, kinds: Kinds) -> None:
        """Note a decision by numbers; refuse it if they depend on the values of activations."""
        where = place(sys._getframe())
        if _asserts(where):
            return
        if "values" in kinds:
            raise ConversionError(
                "forward depends on the values of activations, through if, int(), float() or the like, so it may "
                "compute something else for another input"
            )
        if kinds:
            self.decisions.append((kinds, where))


def _in_order(rank: int) -> list[Kinds]:
    """Return what the length of each axis depends on, where the first one is the batch axis."""
    return [ALL_SIZES[min(axis, 2)] for axis in range(rank)]


def _holds_tensors(value: Any) -> bool:
    """Whether a value is a tensor, or a tuple or list of some; sizes and other numbers are not."""
    return isinstance(value, torch.Tensor) or (
        isinstance(value, tuple | list) and any(_holds_tensors(each) for each in value)
    )


def is_one_operation(module: Any) -> bool:
    """Whether a module is one operation: its forward is that of a class in `OPERATORS`, other than one of modules."""
    home = getattr(type(module).forward, "__module__", None) or ""
    return home.startswith(OPERATORS) and not home.endswith((".container", ".transformer"))


# ---- places in the user's code -------------------------------------------------------------------------------------


def place(frame: Any) -> str:
    """Return the innermost place in the user's code as "file:line"; "" if forward is not the user's."""
    while frame is not None and not (frame.f_code.co_filename == HERE and frame.f_code.co_name == "traced"):
        if _is_theirs(frame.f_code.co_filename):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def place_of(error: BaseException) -> str:
    """Return the innermost place in the user's code where an error was raised; "" if there is none."""
    found, step = "", error.__traceback__
    while isinstance(step, TracebackType):
        if _is_theirs(step.tb_frame.f_code.co_filename):
            found = f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"
        step = step.tb_next
    return found


def _is_theirs(file: str) -> bool:
    """Whether a file belongs to the user, or to a library of models."""
    own = file.startswith(("<", *OWN)) or (file.startswith(PYTHON) and "site-packages" not in file)
    return not own


def _asserts(where: str) -> bool:
    """Whether the line at a place is an assertion, which has no influence on the result."""
    file, _, line = where.rpartition(":")
    return bool(file) and linecache.getline(file, int(line)).lstrip().startswith("assert ")


# ---- the trace -----------------------------------------------------------------------------------------------------


@contextmanager
def _numbers_are_taken() -> Iterator[None]:
    """Let torch take the numbers of a trace as sizes, as in torch.ones(len(x), 3) and token.expand(len(x), -1, -1)."""
    functions = {name: getattr(torch, name) for name in FACTORIES}
    expand = torch.Tensor.expand

    def expanded(self: torch.Tensor, *sizes: Any) -> torch.Tensor:
        return expand(self, sizes[0] if len(sizes) == 1 else sizes)

    expanded.__name__ = "expand"  # which torch.fx records
    try:
        torch.Tensor.expand = expanded
        for name, function in functions.items():
            setattr(torch, name, partial(_called_with_numbers, function))
        yield
    finally:
        torch.Tensor.expand = expand
        for name, function in functions.items():
            setattr(torch, name, function)


def _called_with_numbers(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function with the numbers themselves in place of those of a trace."""
    return function(*map(_plain, args), **{name: _plain(value) for name, value in kwargs.items()})


def _plain(value: Any) -> Any:
    """Return a value with the numbers themselves in place of those of a trace; that they are used is a decision."""
    if isinstance(value, Number):
        return value._number()
    return type(value)(map(_plain, value)) if type(value) in (tuple, list) else value


def traced(module: Any, examples: Mapping[str, torch.Tensor]) -> tuple[Tracer, Sequence[Any]]:
    """Trace a module on the example of each input; return the tracer and the nodes in order. Raises ConversionError."""
    tracer = Tracer(examples)
    try:
        with Doubles(), _numbers_are_taken(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch issued them when the module ran
            return tracer, list(tracer.trace(module).nodes)
    except ConversionError as error:
        raise ConversionError(located(place_of(error), str(error))) from error
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        why = (
            f"torch.fx could not trace the module: {said}. Functions that are not torch's, such as those of NumPy or "
            "torch.jit.script, cannot be traced where they take tensors; call torch's instead, or import "
            "torch.export.export(module.eval(), (example,)) instead of the module"
        )
        raise ConversionError(located(place_of(error), why)) from error


def located(where: str, message: str) -> str:
    """Return a message that begins with a place in the user's code, if there is one."""
    return f"at {where}: {message}" if where else message
