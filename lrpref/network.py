"""A network: a graph of named layers. It runs forward, and can be rebuilt with other layers.

Nodes may be given in any order. They are sorted and checked once: every name must be known, and there must be no cycle
and only one sink, unless several outputs are named. A layer may be used at several nodes (shared weights), and a node
may feed several others.

Internally, a batch is a dict from the names of the inputs to arrays. `Network.by_name` converts the batch of a caller
to a dict, and `Network.as_given` converts a result to the form of the batch: an array for a network of one input,
otherwise a tuple or a dict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from typing import Any, NamedTuple, Self

import numpy as np

from .arithmetic import (
    all_finite,
    as_dtype,
    as_floating,
    check_finite,
    check_flag,
    check_in_range,
    check_not_pixels,
    check_still_exact,
    given_up,
    is_exact,
    is_real_floating,
    is_shape,
    quiet,
    samples_not_finite,
    smaller,
)
from .backend import Array, DType, array_namespace, asarray, backend_name, is_array, load_backend, place, to_numpy
from .errors import DTypeError, GraphError, InputError, ShapeError, at_node, is_one_of, listed, shown, warn
from .layers import Concat, Dropout, Embedding, Flatten, Head, Layer, LogSoftmax, Scale, Sigmoid, Softmax
from .layers.base import Shape, check_size

INPUT = "input"
"""The name of a network's only input, for nodes to refer to, unless `inputs` names it otherwise."""


class Node(NamedTuple):
    """A node: its name, its layer, and the names of the nodes that it reads."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


class Network:
    """A graph of layers with one input, called "input", and one sink; or with several inputs and outputs, by name.

    Networks are not changed after construction: every method that edits the graph returns a new one.

    A network of several inputs takes a tuple of batches in the order of `inputs`, or a dict by their names, wherever a
    network of one input takes a batch; relevance comes back in the same form.

    Parameters
    ----------
    nodes : sequence of (name, layer, inputs)
        The nodes in any order; `inputs` lists the names of the nodes that a node reads. Parameters of several
        floating-point dtypes are converted to the widest of them.
    input_shape : sequence of int or None, optional
        The only shape of one sample, such as (3, 32, 32), that the network is valid for; None along an axis for any
        size. Importers set it. None, the default, accepts whatever the layers accept. For several inputs, a sequence of
        these, one for each.
    fixed_by : str, default ""
        Why the input shape is fixed, for the error message.
    inputs : sequence of str, default ("input",)
        The names of the inputs, for nodes to read.
    outputs : sequence of str, optional
        The names of the nodes whose outputs the network returns; by default the one node that no other node reads.
        Every node that no other node reads must be one of them.

    Attributes
    ----------
    nodes : tuple of Node
        The same triples, sorted so that each node comes after those that it reads.
    input_shape : tuple of int or None, or None
        As given. Every method that edits the graph keeps it; `Network(net.nodes)` lifts it. For several inputs, a tuple
        of these.
    fixed_by : str
        As given.
    inputs : tuple of str
        As given. Every method that edits the graph keeps them, even those that no node reads any more.
    outputs : tuple of str
        The names of the outputs.

    Raises
    ------
    GraphError
        If the nodes do not form a network, or `input_shape` is not a shape; the message names them.

    Examples
    --------
    >>> from lrpref import Add, Dense, ReLU
    >>> net = Network([("double", Dense([[2.0]]), ["input"]), ("sum", Add(), ["input", "double"])])
    >>> import numpy as np
    >>> net.forward(np.array([[1.5]]))
    array([[4.5]])

    Two inputs, which may differ in shape:

    >>> net = Network([("sum", Add(), ["left", "right"])], inputs=["left", "right"])
    >>> net.forward((np.array([[1.0]]), np.array([[2.0]])))
    array([[3.]])
    >>> net.forward({"right": np.array([[2.0]]), "left": np.array([[1.0]])})
    array([[3.]])
    """

    def __init__(
        self,
        nodes: Sequence[tuple[str, Layer, Sequence[str]]],
        input_shape: Sequence[Any] | None = None,
        fixed_by: str = "",
        inputs: Sequence[str] = (INPUT,),
        outputs: Sequence[str] | None = None,
    ) -> None:
        listed = [_node(given) for given in _listed(nodes, "nodes must be a sequence of (name, layer, inputs)")]
        self.inputs = _names(inputs, "inputs")
        sinks = _check(listed, self.inputs)
        self.nodes: tuple[Node, ...] = tuple(_of_one_dtype(_sorted(listed, self.inputs)))
        self.outputs = _only(sinks) if outputs is None else _names(outputs, "outputs")
        _check_outputs(self.outputs, listed, sinks)
        self.input_shape = None if input_shape is None else _fixed_shapes(input_shape, self.inputs)
        if not isinstance(fixed_by, str):
            raise GraphError(f"fixed_by must be a string, got {shown(fixed_by)}")
        self.fixed_by = fixed_by

    @classmethod
    def sequential(cls, *layers: Layer, names: Sequence[str] | None = None) -> Self:
        """Build a chain of layers.

        Parameters
        ----------
        *layers : Layer
            From the input to the output.
        names : sequence of str, optional
            One name per layer; by default type and count, as in "conv2d1".

        Returns
        -------
        Network
            The chain.

        Raises
        ------
        GraphError
            If the number of names differs from the number of layers.

        Examples
        --------
        >>> from lrpref import Dense, ReLU
        >>> Network.sequential(Dense([[1.0]]), ReLU(), Dense([[1.0]])).names
        ['dense1', 'relu1', 'dense2']
        """
        names = _count_by_type(layers) if names is None else _listed(names, "names must be a sequence of text")
        if len(names) != len(layers):
            raise GraphError(f"{len(layers)} layers need {len(layers)} names, got {len(names)}")
        return cls([(n, layer, [p]) for n, layer, p in zip(names, layers, [INPUT, *names], strict=False)])

    # ---- what it is --------------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """The nodes' names in order."""
        return [node.name for node in self.nodes]

    @property
    def output(self) -> str:
        """The name of the sink; raises GraphError if the network has several outputs."""
        if len(self.outputs) > 1:
            raise GraphError(
                f"the network has {len(self.outputs)} outputs: {', '.join(self.outputs)}. Explain one of them with "
                f"node={self.outputs[0]!r}, or all of them with one seed per output; net.up_to({self.outputs[0]!r}) "
                "has one output"
            )
        return self.outputs[0]

    @property
    def logits(self) -> str:
        """The name of the node that holds the logits, the sink of `without_head()`.

        Explanations start there unless another node is named.
        """
        return self.without_head().output

    @property
    def head(self) -> Layer | None:
        """The function that turns the logits into probabilities; None if the network ends with its logits.

        None for a network of several outputs; `net.up_to(output).head` is that of one of them.
        """
        found = self._split()
        return None if found is None else found.head

    def _split(self) -> _Split | None:
        """The head and the network without it; None if there is no head, or several outputs."""
        return None if len(self.outputs) > 1 else _split(self.nodes)

    def node(self, name: str) -> Node:
        """Return the node of a name; raise GraphError if there is none."""
        if is_one_of(name, names := self.names):
            return self.nodes[names.index(name)]
        raise GraphError(f"no node is called {shown(name)}. Nodes: {', '.join(self.names)}")

    def readers(self, name: str) -> list[str]:
        """Return the names of the nodes that read `name`, in order."""
        return [node.name for node in self.nodes if is_one_of(name, node.inputs)]

    def __getitem__(self, name: str) -> Layer:
        """The layer at a node."""
        return self.node(name).layer

    @property
    def parameters(self) -> dict[str, Array]:
        """Every array of every layer, as "node.field"."""
        return {
            f"{name}.{field}": value
            for name, layer, _ in self.nodes
            for field, value in vars(layer).items()
            if is_array(value)
        }

    @property
    def dtype(self) -> DType | None:
        """The dtype of the parameters; None if there are none."""
        arrays = [array for array in self.parameters.values() if is_real_floating(array)]  # not masks
        return array_namespace(arrays[0]).result_type(*arrays) if arrays else None

    @property
    def backend(self) -> str | None:
        """Where the parameters live: "numpy", "cupy", ...; None if there are none."""
        return None if self._place is None else self._place.partition(" ")[0]

    @property
    def _place(self) -> str | None:
        """The same, with the number of the GPU."""
        places = {place(array) for array in self.parameters.values()}
        if len(places) > 1:
            raise GraphError(f"the parameters are on several backends: {', '.join(sorted(places))}; use net.to(...)")
        return places.pop() if places else None

    def by_name(self, x: Any, each: str = "array") -> dict[str, Any]:
        """Return what was given for each input, by the name of the input.

        Parameters
        ----------
        x : any, or tuple or dict of them
            For a network of one input, what was given for it; for several, a tuple in the order of `inputs`, or a dict
            by their names.
        each : str, default "array"
            What is expected for each input, for the error message.

        Returns
        -------
        dict of str to any
            In the order of `inputs`.

        Raises
        ------
        InputError
            If `x` does not have one entry for each of several inputs; the message names them.
        """
        if len(self.inputs) == 1:
            return {self.inputs[0]: x}
        expected = (
            f"the network has {len(self.inputs)} inputs: expected a tuple with one {each} for each of "
            f"{', '.join(self.inputs)}, in this order, or a dict with these names; got"
        )
        if isinstance(x, Mapping):
            if strange := [name for name in x if not is_one_of(name, self.inputs)]:
                raise InputError(f"{expected} a dict with {shown(strange[0])}, which is not an input")
            if missing := [name for name in self.inputs if name not in x]:
                raise InputError(f"{expected} a dict without {missing[0]!r}")
            return {name: x[name] for name in self.inputs}
        if not isinstance(x, tuple | list):
            raise InputError(f"{expected} {type(x).__name__}")
        if len(x) != len(self.inputs):
            raise InputError(f"{expected} {len(x)}")
        return dict(zip(self.inputs, x, strict=True))

    def as_given(self, values: Mapping[str, Any], like: Any) -> Any:
        """Return one value per input in the form in which a batch was given: the inverse of `by_name`.

        Parameters
        ----------
        values : mapping of str to any
            A value for each input, by its name.
        like : any
            The batch: a dict, or else anything for which a tuple is returned.

        Returns
        -------
        any, or tuple or dict of them
            The value itself for a network of one input; for several, a dict if `like` is one, else a tuple.
        """
        if len(self.inputs) == 1:
            return values[self.inputs[0]]
        named = {name: values[name] for name in self.inputs}
        return named if isinstance(like, Mapping) else tuple(named.values())

    def shape_of(self, x: Any) -> Any:
        """Return the shape of a batch; of several inputs, their shapes in the form in which `x` was given."""
        return self.as_given({name: tuple(batch.shape) for name, batch in self.by_name(x).items()}, x)

    def shapes(self, input_shape: Any) -> dict[str, Shape]:
        """Return the shape of every node's output, and of every input, by name.

        Parameters
        ----------
        input_shape : tuple of int, or tuple or dict of them
            The shape of a batch; for several inputs, the shape of each.

        Returns
        -------
        dict of str to tuple of int
            The shapes of the inputs, then of the nodes in order.

        Raises
        ------
        ShapeError, InputError
            If it is not the shape of a batch that the network takes; the message names the node, or the reason.
        """
        shapes: dict[str, Shape] = {}
        for name, shape in self.by_name(input_shape, "shape").items():
            if not is_shape(shape):
                hint = "" if len(self.inputs) == 1 else f" for input {name!r}"
                raise ShapeError(f"expected the shape of a batch{hint}, such as (1, 3, 224, 224), got {shown(shape)}")
            shapes[name] = tuple(shape)
        if len({shape[:1] for shape in shapes.values()}) > 1:
            sizes = ", ".join(f"{name} has shape {shape}" for name, shape in shapes.items())
            raise ShapeError(f"the inputs hold different numbers of samples along their first axis: {sizes}")
        self._check_sizes(shapes)
        for name, layer, inputs in self.nodes:
            with at_node(name, layer):
                shapes[name] = layer.output_shape(*(shapes[i] for i in inputs))
                check_size(shapes[name])
        return shapes

    def _check_sizes(self, shapes: Mapping[str, Shape]) -> None:
        """Raise ShapeError if the network is not valid for inputs of these shapes."""
        if self.input_shape is None:
            return
        for (name, shape), fixed in zip(shapes.items(), self.by_name(self.input_shape).values(), strict=True):
            if fixed is None or (
                len(shape) == 1 + len(fixed) and all(n in (None, m) for n, m in zip(fixed, shape[1:], strict=True))
            ):
                continue
            wanted = ", ".join("any" if n is None else str(n) for n in fixed)
            what = "inputs" if len(self.inputs) == 1 else f"input {name!r}"
            raise ShapeError(f"the network accepts {what} of shape (N, {wanted}), got {shape}: {self.fixed_by}")

    # ---- what it does ------------------------------------------------------------------------------------------

    def forward(self, x: Any) -> Any:
        """Return the network's output.

        Parameters
        ----------
        x : array, shape (N, ...), or tuple or dict of arrays
            A batch, cast to the network's dtype; for several inputs, one batch for each, in order or by name.

        Returns
        -------
        array, shape (N, ...), or tuple of arrays
            The output of the sink; for several outputs, one array for each, in the order of `outputs`.

        Raises
        ------
        ShapeError
            If a layer cannot take its inputs; the message names the node.
        InputError, DTypeError
            If `x` is not a batch of finite numbers on the network's backend, is not finite in the network's dtype, or
            holds 8- or 16-bit pixels above 1.

        Warns
        -----
        RelevanceWarning
            If the output of a node is not finite, which happens where numbers are too large for the dtype.
        """
        outputs = self.activations(x)
        for problem in self.not_finite(outputs):
            warn(problem)
            break
        found = tuple(outputs[name] for name in self.outputs)
        return found[0] if len(found) == 1 else found

    __call__ = forward

    def activations(self, x: Any, before: Callable[[str], None] | None = None) -> dict[str, Array]:
        """Return the output of every node, and every cast input, by name.

        NaN and infinities, which occur where numbers are too large for the dtype, are passed on.

        Parameters
        ----------
        x : array, shape (N, ...), or tuple or dict of arrays
            As in `forward`.
        before : callable, optional
            Called with the name of each node before its layer is computed; may raise to stop.

        Returns
        -------
        dict of str to array
            Node name -> output.
        """
        x = self.cast(x)
        self.shapes(self.shape_of(x))
        outputs = self.by_name(x)
        for name, layer, inputs in self.nodes:
            if before is not None:
                before(name)
            with at_node(name, layer), quiet():
                outputs[name] = layer.forward(*(outputs[i] for i in inputs))
                check_still_exact(outputs[name], like=outputs[inputs[0]], what="the layer")
        return outputs

    def not_finite(self, outputs: Mapping[str, Array]) -> Iterator[str]:
        """Yield the warning for each node whose output, of those that `activations` returned, is not finite."""
        for name, layer, _ in self.nodes:
            if not all_finite(x := outputs[name]):
                where = listed("sample", samples_not_finite(x))
                yield (
                    f"the output of node {name!r} ({type(layer).__name__}) is not finite in {where}: {x.dtype} cannot "
                    f"represent its values; {smaller(x.dtype)}"
                )

    def cast(self, x: Any, finite: bool = True) -> Any:
        """Return a batch in the network's dtype, in the form in which it was given.

        Parameters
        ----------
        x : array-like, shape (N, ...), or tuple or dict of them
            A batch; for several inputs, one batch for each, in order or by name.
        finite : bool, default True
            Whether NaN and infinities are looked for, which waits for a GPU.

        Returns
        -------
        array, shape (N, ...), or tuple or dict of arrays
            The same numbers.

        Raises
        ------
        InputError, DTypeError
            If it cannot be computed with; the message names one of several inputs.
        """
        check_flag(finite, "finite")
        batches = {name: self._cast(batch, name, finite) for name, batch in self.by_name(x).items()}
        if len({(backend_name(batch), str(batch.dtype)) for batch in batches.values()}) > 1:  # nothing to cast to
            kinds = ", ".join(f"{name} is {v.dtype} on {backend_name(v)}" for name, v in batches.items())
            raise DTypeError(f"the network has no parameters, so its inputs must have one dtype and backend: {kinds}")
        return self.as_given(batches, x)

    def _cast(self, x: Any, name: str, finite: bool) -> Array:
        """The batch of one input in the network's dtype; raises InputError or DTypeError."""
        what = called(self, name)
        given, x = x, as_floating(x, what)
        if not all(isinstance(self[reader], Embedding) for reader in self.readers(name)):
            check_not_pixels(given, what)
        if x.ndim < 2:
            raise InputError(f"{what} must be a batch (N, ...), got shape {tuple(x.shape)}; use x[None]")
        if x.shape[0] and 0 in x.shape[1:]:
            raise InputError(f"the samples of {what} are empty: its shape is {tuple(x.shape)}")
        home, here, there = self._place or place(x), place(x), backend_name(x)
        if home != here:
            remedy = f"net.to({there!r})" if self.backend == there else f"lrpref.asarray(x, {self.backend!r})"
            raise InputError(f"the network is on {home}, {what} on {here}; use {remedy}")
        if finite:
            check_finite(x, what)
        cast = as_dtype(x, self.dtype or x.dtype)
        if finite and cast is not x:
            check_in_range(cast, what)
        return cast

    # ---- the same graph with other layers --------------------------------------------------------------------------

    def with_nodes(self, nodes: Sequence[tuple[str, Layer, Sequence[str]]]) -> Network:
        """Return a network of these nodes with the same inputs, and the same outputs if there are several.

        It is valid for the same input shape.
        """
        return self._with(nodes, self.outputs if len(self.outputs) > 1 else None)

    def _with(self, nodes: Sequence[tuple[str, Layer, Sequence[str]]], outputs: Sequence[str] | None) -> Network:
        """A network of these nodes and outputs with the same inputs."""
        return Network(nodes, self.input_shape, self.fixed_by, self.inputs, outputs)

    def replace(self, name: str, layer: Layer) -> Network:
        """Return the network with another layer at `name`; other nodes that share the old layer keep it."""
        self.node(name)
        return self.with_nodes([node._replace(layer=layer) if node.name == name else node for node in self.nodes])

    def remove(self, name: str) -> Network:
        """Return the network without `name`, a node of one input, which its readers then read themselves."""
        layer, inputs = self.node(name)[1:]
        if len(inputs) != 1:
            raise GraphError(f"node {name!r} ({type(layer).__name__}) reads {len(inputs)} nodes and cannot be removed")
        (source,) = inputs
        return self._with(
            [_reading(node, name, source) for node in self.nodes if node.name != name], self._outputs(name, source)
        )

    def insert_after(self, name: str, new_name: str, layer: Layer) -> Network:
        """Return the network with a new node that reads `name`; the former readers of `name` read the new node.

        `name` may be that of an input. If it is an output, the new node is the output in its place.
        """
        if not is_one_of(name, self.inputs):
            self.node(name)
        return self._with(
            [*(_reading(node, name, new_name) for node in self.nodes), Node(new_name, layer, (name,))],
            self._outputs(name, new_name),
        )

    def _outputs(self, old: str, new: str) -> tuple[str, ...] | None:
        """The outputs with `new` in place of `old`; None for a network of one output, which the graph tells."""
        renamed = tuple(dict.fromkeys(new if name == old else name for name in self.outputs))
        return renamed if len(self.outputs) > 1 else None

    def map_layers(self, convert: Callable[[Layer], Layer]) -> Network:
        """Return the network with `convert` applied to every layer; a shared layer stays shared."""
        return self.with_nodes(_map_layers(self.nodes, convert))

    def up_to(self, name: str) -> Network:
        """Return the part of the network that computes `name`, which becomes its output; all inputs stay."""
        return self._with(_needed(self.nodes, self.node(name).name), None)

    def without_head(self) -> Network:
        """Return the part of the network that computes the logits; the network itself if it has no head.

        The head is a Softmax, LogSoftmax or Sigmoid at the end. After a Sigmoid there may be Flatten, Dropout and
        Concat layers, and a Scale that computes 1 - p. It then computes the negative logit, so the output [1 - p, p]
        of a binary classifier becomes the logits [-z, z].

        Returns
        -------
        Network
            Its output has as many values as that of this network, in the same order.

        Examples
        --------
        >>> from lrpref import Dense, Softmax
        >>> Network.sequential(Dense([[1.0], [2.0]]), Softmax()).without_head()
        Network
          dense1: Dense <- input
        """
        found = self._split()
        return self if found is None else self.with_nodes(_needed(found.nodes, found.logits))

    # ---- the same network elsewhere ----------------------------------------------------------------------------

    def to(self, backend: str) -> Network:
        """Return the network with its arrays on "numpy", "cupy" or "array-api-strict"; with CuPy, on the current GPU.

        Returns
        -------
        Network
            The same graph with the same numbers.

        Raises
        ------
        UnknownNameError, LrprefError
            If the backend is unknown, not installed, or too old.
        DTypeError
            If the network is exact or in long doubles, which exist on NumPy only.
        """
        load_backend(backend)
        return self.map_arrays(lambda array: asarray(array, backend))

    def astype(self, dtype: DType) -> Network:
        """Return the network in another dtype; masks stay as they are.

        Parameters
        ----------
        dtype : dtype or str
            A floating-point type of at least 32 bits, such as numpy.float64 or "float64".

        Returns
        -------
        Network
            The same graph with converted parameters.

        Raises
        ------
        DTypeError
            If lrpref does not compute with that dtype.
        """
        named = getattr(dtype, "__name__", getattr(dtype, "name", None))
        name = dtype if isinstance(dtype, str) else named or shown(dtype)
        if name == "object":
            raise DTypeError("dtype object is reserved for exact numbers; use lrpref.exact(net)")

        refused = DTypeError(f"networks compute in float32, float64 or longer, not in {name}")

        def convert(array: Array) -> Array:
            if not is_real_floating(array):
                return array
            xp = array_namespace(array)
            if dtype is None:  # which NumPy takes for float64
                raise refused
            try:
                converted = as_dtype(array, getattr(xp, name, dtype))  # by name: numpy.float64 serves every backend
            except (TypeError, ValueError) as error:
                raise refused from error
            if is_exact(converted) or not is_real_floating(converted):
                raise refused
            return converted if converted is array else given_up(converted)

        return self.map_arrays(convert)

    def map_arrays(self, convert: Callable[[Array], Array]) -> Network:
        """Return the network with `convert` applied to every array; a shared layer stays shared."""
        return self.map_layers(lambda layer: layer.map_arrays(convert))

    def __repr__(self) -> str:
        lines = [f"  {name}: {type(layer).__name__} <- {', '.join(inputs)}" for name, layer, inputs in self.nodes]
        named = "" if self.inputs == (INPUT,) else f" of {', '.join(self.inputs)}"
        fixed = "" if self.input_shape is None else f" for inputs of shape {self.input_shape}"
        ends = "" if len(self.outputs) == 1 else f" with outputs {', '.join(self.outputs)}"
        return "\n".join([f"Network{named}{fixed}{ends}", *lines])


def _map_layers(nodes: Iterable[Node], convert: Callable[[Layer], Layer]) -> list[Node]:
    """The nodes with `convert` applied to every layer; a shared layer stays shared."""
    done: dict[int, Layer] = {}
    for node in nodes:
        if id(node.layer) not in done:
            done[id(node.layer)] = convert(node.layer)
    return [node._replace(layer=done[id(node.layer)]) for node in nodes]


def _of_one_dtype(nodes: Sequence[Node]) -> Sequence[Node]:
    """The nodes with all parameters in the widest of their dtypes, so that no layer computes in a narrower one.

    Exact numbers, and arrays of several backends, stay as they are: `Network.cast` and the layers refuse such mixtures.
    """
    arrays = [v for node in nodes for v in vars(node.layer).values() if is_array(v) and is_real_floating(v)]
    if len({str(v.dtype) for v in arrays}) < 2 or len({place(v) for v in arrays}) > 1 or any(map(is_exact, arrays)):
        return nodes
    dtype = array_namespace(arrays[0]).result_type(*arrays)

    def widened(array: Array) -> Array:
        return given_up(as_dtype(array, dtype)) if is_real_floating(array) and array.dtype != dtype else array

    return _map_layers(nodes, lambda layer: layer.map_arrays(widened))


def _reading(node: Node, old: str, new: str) -> Node:
    """The node with `new` in place of `old` among its inputs."""
    return node._replace(inputs=tuple(new if i == old else i for i in node.inputs))


def _needed(nodes: Sequence[Node], name: str) -> list[Node]:
    """The sorted nodes without those that `name` does not depend on."""
    needed = {name}
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return [node for node in nodes if node.name in needed]


# ---- the head ---------------------------------------------------------------------------------------------------


class _Split(NamedTuple):
    """A network with a head: the function, the node that holds the logits, and the nodes that compute them."""

    head: Layer
    logits: str
    nodes: list[Node]


def _split(nodes: Sequence[Node]) -> _Split | None:
    """Return a network's head and the network without it; None if it has no head, or nothing else.

    A head of Sigmoids may end with Flatten, Dropout and Concat layers, which move probabilities. Their nodes keep their
    names and move the logits instead.

    Parameters
    ----------
    nodes : sequence of Node
        The nodes of a network in order; the sink is the last.

    Returns
    -------
    _Split or None
        The head, the name of the node that holds the logits, and all nodes; some of them may no longer be read.
    """
    by_name, last = {node.name: node for node in nodes}, nodes[-1]
    if isinstance(last.layer, Head):
        head = Softmax() if isinstance(last.layer, LogSoftmax) else last.layer
        return _Split(head, last.inputs[0], list(nodes)) if last.inputs[0] in by_name else None
    changed: dict[str, Node] = {}
    logits = _logits(last.name, by_name, changed)
    if logits is None or any(changed.keys() & set(node.inputs) for node in nodes if node.name not in changed):
        return None
    return _Split(Sigmoid(), logits, [changed.get(node.name, node) for node in nodes])


def _logits(name: str, nodes: dict[str, Node], changed: dict[str, Node]) -> str | None:
    """The node that holds the logits of the probabilities at `name`; None if they are not the outputs of Sigmoids.

    `changed` receives the nodes that hold logits where they held probabilities.
    """
    if (node := nodes.get(name)) is None:
        return None
    if name in changed:
        return name
    if type(node.layer) is Sigmoid:
        return node.inputs[0] if node.inputs[0] in nodes else None
    if type(node.layer) in (Concat, Flatten, Dropout):
        layer: Layer = node.layer
    elif type(node.layer) is Scale and _is_one_minus(node.layer):
        layer = replace(node.layer, bias=None)
    else:
        return None
    found = []
    for read in node.inputs:
        if (logits := _logits(read, nodes, changed)) is None:  # there are many paths, so stop at the first
            return None
        found.append(logits)
    changed[name] = node._replace(layer=layer, inputs=tuple(found))
    return name


def _is_one_minus(scale: Scale) -> bool:
    """Whether a Scale computes 1 - p."""
    weight, bias = scale.scale_and_shift()
    return bias is not None and bool(np.all(to_numpy(weight) == -1) and np.all(to_numpy(bias) == 1))


# ---- what is checked at construction ------------------------------------------------------------------------------


def _names(given: Any, what: str) -> tuple[str, ...]:
    """Names of inputs or outputs as a tuple, a single one too; raises GraphError unless they are distinct texts."""
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, tuple | list) else ()
    if not names or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise GraphError(f"{what} must list different names, got {shown(given)}")
    return names


def _fixed_shapes(shape: Sequence[Any], inputs: Sequence[str]) -> tuple[Any, ...]:
    """The shape of one sample as a tuple; for several inputs, a tuple with the shape of each, or None."""
    if len(inputs) == 1:
        return _fixed_shape(shape, "input_shape")
    if not isinstance(shape, tuple | list) or len(shape) != len(inputs):
        raise GraphError(f"input_shape must list a shape, or None, for each of {', '.join(inputs)}; got {shown(shape)}")
    return tuple(
        None if one is None else _fixed_shape(one, f"input_shape of {name!r}")
        for name, one in zip(inputs, shape, strict=True)
    )


def _fixed_shape(shape: Any, what: str) -> tuple[int | None, ...]:
    """The shape of one sample as a tuple; raises GraphError unless each size is None or a positive integer."""
    sizes = tuple(shape) if isinstance(shape, list | tuple) else ()
    if not sizes or not all(n is None or (type(n) is int and n > 0) for n in sizes):
        raise GraphError(f"{what} must list positive integers, or None for any size, got {shown(shape)}")
    return sizes


def check_network(net: object) -> None:
    """Raise GraphError unless `net` is a Network."""
    if not isinstance(net, Network):
        hint = "; read one from a file with lrpref.load(...)" if isinstance(net, str) else ""
        raise GraphError(f"expected a Network, got {shown(net)}{hint}")


def called(net: Network, name: str) -> str:
    """What messages call an input: "the input", or its name if there are several."""
    return "the input" if len(net.inputs) == 1 else f"input {name!r}"


def check_one_input(net: Network, what: str) -> None:
    """Raise GraphError unless `net` has one input and one output; `what` needs that."""
    for kind, names in (("input", net.inputs), ("output", net.outputs)):
        if len(names) > 1:
            raise GraphError(
                f"{what} takes networks with one {kind}, but this one has the {kind}s {', '.join(names)}; "
                "lrpref.explain and lrpref.trace take networks with several"
            )


def _listed(given: Any, expected: str) -> list[Any]:
    """A sequence as a list; raises GraphError, saying what was expected, for anything else."""
    try:
        return list(given)
    except TypeError as error:
        raise GraphError(f"{expected}, got {shown(given)}") from error


def _node(given: Any) -> Node:
    """One node; a single string is one input. Raises GraphError unless names are texts and the layer is a Layer."""
    if not (isinstance(given, tuple | list) and len(given) == 3):
        raise GraphError(f"a node is (name, layer, inputs), got {shown(given)}")
    name, layer, inputs = given
    if not isinstance(name, str) or not name:
        raise GraphError(f"the name of a node must be a string, got {shown(name)}")
    if not isinstance(layer, Layer):
        hint = f"; did you mean {layer.__name__}(...)?" if isinstance(layer, type) and issubclass(layer, Layer) else ""
        raise GraphError(f"node {name!r}: expected a layer, got {type(layer).__name__}{hint}")
    inputs = [inputs] if isinstance(inputs, str) else inputs
    if not (isinstance(inputs, tuple | list) and all(isinstance(i, str) for i in inputs)):
        raise GraphError(f"node {name!r}: inputs must be a list of names, got {shown(inputs)}")
    return Node(name, layer, tuple(inputs))


def _count_by_type(layers: Sequence[Layer]) -> list[str]:
    """conv2d1, relu1, conv2d2, ..."""
    types = [type(layer).__name__.lower() for layer in layers]
    return [f"{kind}{types[: i + 1].count(kind)}" for i, kind in enumerate(types)]


def _check(nodes: Sequence[Node], network_inputs: Sequence[str]) -> list[str]:
    """Raise GraphError unless names are unique and known, and each layer has the number of inputs that it takes.

    Return the names of the sinks.
    """
    if not nodes:
        raise GraphError("a network needs at least one node")
    names = Counter(node.name for node in nodes)
    if taken := [name for name in network_inputs if name in names]:
        raise GraphError(f"{taken[0]!r} is the name of the network's input; call the node something else")
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise GraphError(f"node names must be unique; used more than once: {', '.join(twice)}")
    for name, layer, inputs in nodes:
        if missing := [i for i in inputs if i not in network_inputs and i not in names]:
            known = " nor ".join(map(repr, network_inputs))
            raise GraphError(f"node {name!r} reads {missing[0]!r}, which is neither a node nor {known}")
        if problem := layer.takes(len(inputs)):
            raise GraphError(f"node {name!r} ({type(layer).__name__}) {problem}")
    read = {i for node in nodes for i in node.inputs}
    return [name for name in names if name not in read]


def _only(sinks: Sequence[str]) -> tuple[str, ...]:
    """The output of a network that does not name its outputs; raises GraphError for several sinks."""
    if len(sinks) > 1:
        raise GraphError(
            f"a network has one output, but no other node reads these: {', '.join(sinks)}; remove all but one, join "
            f"them with Add or Concat, or name several outputs: Network(..., outputs={list(sinks)})"
        )
    return tuple(sinks)


def _check_outputs(outputs: Sequence[str], nodes: Sequence[Node], sinks: Sequence[str]) -> None:
    """Raise GraphError unless the outputs are nodes and all sinks are among them."""
    if strange := [name for name in outputs if name not in {node.name for node in nodes}]:
        raise GraphError(f"the output {strange[0]!r} is not a node. Nodes: {', '.join(node.name for node in nodes)}")
    if unread := [name for name in sinks if name not in outputs]:
        raise GraphError(f"node {unread[0]!r} is not read by any other; remove it, or name it in outputs")


def _sorted(nodes: Sequence[Node], network_inputs: Sequence[str]) -> list[Node]:
    """The nodes, each after those that it reads, otherwise in the given order; raises GraphError on a cycle."""
    unread = [set(node.inputs) - set(network_inputs) for node in nodes]
    readers: dict[str, list[int]] = {node.name: [] for node in nodes}
    for k, names in enumerate(unread):
        for name in names:
            readers[name].append(k)
    ready, order = [k for k, names in enumerate(unread) if not names], []
    while ready:
        node = nodes[heappop(ready)]
        order.append(node)
        for k in readers[node.name]:
            unread[k].remove(node.name)
            if not unread[k]:
                heappush(ready, k)
    if len(order) < len(nodes):
        waiting = [node for node, names in zip(nodes, unread, strict=True) if names]
        raise GraphError(f"the graph has a cycle: {' -> '.join(_cycle(waiting))}")
    return order


def _cycle(nodes: Sequence[Node]) -> list[str]:
    """The names along one cycle of nodes of which each reads another one of them; the first name is repeated."""
    inputs = {node.name: node.inputs for node in nodes}
    path = {nodes[0].name: 0}  # in order
    name = nodes[0].name
    while True:
        name = next(i for i in inputs[name] if i in inputs)
        if name in path:
            return [*list(path)[path[name] :], name][::-1]
        path[name] = len(path)
