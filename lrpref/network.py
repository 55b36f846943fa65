"""A network: a graph of named layers. It runs forward, and can be rebuilt with other layers.

Nodes may be given in any order; they are sorted once, here, and checked: every name known, no cycle, one sink.
A layer may be used at several nodes (shared weights), and a node may feed several others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple, Self

from .arithmetic import as_dtype, as_floating, check_finite, check_still_exact, is_real_floating
from .backend import Array, DType, array_namespace, asarray, backend_name, is_array, load_backend
from .errors import DTypeError, GraphError, InputError, at_node
from .layers import Layer, Softmax
from .layers.base import Shape, check_size

INPUT = "input"
"""The name of the network's input, for nodes to refer to."""


class Node(NamedTuple):
    """A node: its name, its layer, and the names of the nodes that it reads."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


class Network:
    """A graph of layers with one input, called "input", and one sink.

    Networks are not changed after construction: every method that edits the graph returns a new one.

    Parameters
    ----------
    nodes : sequence of (name, layer, inputs)
        The nodes in any order; `inputs` lists the names of the nodes that a node reads.

    Attributes
    ----------
    nodes : tuple of Node
        The same triples, sorted so that each node comes after those that it reads.

    Raises
    ------
    GraphError
        If the nodes do not form a network; the message names them.

    Examples
    --------
    >>> from lrpref import Add, Dense, ReLU
    >>> net = Network([("double", Dense([[2.0]]), ["input"]), ("sum", Add(), ["input", "double"])])
    >>> import numpy as np
    >>> net.forward(np.array([[1.5]]))
    array([[4.5]])
    """

    def __init__(self, nodes: Sequence[tuple[str, Layer, Sequence[str]]]) -> None:
        listed = [Node(name, layer, tuple(_names(inputs))) for name, layer, inputs in nodes]
        _check(listed)
        self.nodes: tuple[Node, ...] = tuple(_sorted(listed))

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
        names = _count_by_type(layers) if names is None else list(names)
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
        """The name of the sink."""
        return self.nodes[-1].name

    @property
    def logits(self) -> str:
        """The name of the node that holds the logits: the input of a final Softmax, else the sink.

        Explanations start there unless another node is named.
        """
        last = self.nodes[-1]
        return last.inputs[0] if isinstance(last.layer, Softmax) else last.name

    def node(self, name: str) -> Node:
        """Return the node of a name; raise GraphError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise GraphError(f"no node is called {name!r}. Nodes: {', '.join(self.names)}")

    def readers(self, name: str) -> list[str]:
        """Return the names of the nodes that read `name`, in order."""
        return [node.name for node in self.nodes if name in node.inputs]

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
        """The dtype of the parameters (the widest, if they differ); None if there are none."""
        arrays = [array for array in self.parameters.values() if is_real_floating(array)]  # not masks
        return array_namespace(arrays[0]).result_type(*arrays) if arrays else None

    @property
    def backend(self) -> str | None:
        """Where the parameters live: "numpy", "cupy", ...; None if there are none."""
        homes = {backend_name(array) for array in self.parameters.values()}
        if len(homes) > 1:
            raise GraphError(f"the parameters are on several backends: {', '.join(sorted(homes))}; use net.to(...)")
        return homes.pop() if homes else None

    def shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return the shape of every node's output, and of "input"; a ShapeError names the node."""
        shapes = {INPUT: tuple(input_shape)}
        for name, layer, inputs in self.nodes:
            with at_node(name, layer):
                shapes[name] = layer.output_shape(*(shapes[i] for i in inputs))
                check_size(shapes[name])
        return shapes

    # ---- what it does ------------------------------------------------------------------------------------------

    def forward(self, x: Array) -> Array:
        """Return the network's output.

        Parameters
        ----------
        x : array, shape (N, ...)
            A batch, cast to the network's dtype.

        Returns
        -------
        array, shape (N, ...)
            The output of the sink.

        Raises
        ------
        ShapeError
            If a layer cannot take its inputs; the message names the node.
        InputError, DTypeError
            If `x` is not a batch of finite numbers on the network's backend.
        """
        return self.activations(x)[self.output]

    __call__ = forward

    def activations(self, x: Array, before: Callable[[str], None] | None = None) -> dict[str, Array]:
        """Return the output of every node, and the cast input as "input".

        Parameters
        ----------
        x : array, shape (N, ...)
            A batch, cast to the network's dtype.
        before : callable, optional
            Called with the name of each node before its layer is computed; may raise to stop.

        Returns
        -------
        dict of str to array
            Node name -> output.
        """
        x = self.cast(x)
        self.shapes(tuple(x.shape))
        outputs = {INPUT: x}
        for name, layer, inputs in self.nodes:
            if before is not None:
                before(name)
            with at_node(name, layer):
                outputs[name] = layer.forward(*(outputs[i] for i in inputs))
                check_still_exact(outputs[name], like=outputs[inputs[0]], what="the layer")
        return outputs

    def cast(self, x: Any) -> Array:
        """Return `x` in the network's dtype; raise InputError or DTypeError if it cannot be computed with."""
        x = as_floating(x, "the input")
        if x.ndim < 2:
            raise InputError(f"the input must be a batch (N, ...), got shape {tuple(x.shape)}; use x[None]")
        home = self.backend or backend_name(x)
        if home != backend_name(x):
            raise InputError(
                f"the network is on {home}, the input on {backend_name(x)}; use lrpref.asarray(x, {home!r})"
            )
        check_finite(x, "the input")
        dtype = x.dtype if self.dtype is None else self.dtype
        return as_dtype(x, dtype)

    # ---- the same graph with other layers --------------------------------------------------------------------------

    def replace(self, name: str, layer: Layer) -> Network:
        """Return the network with another layer at `name`; other nodes that share the old layer keep it."""
        self.node(name)
        return Network([node._replace(layer=layer) if node.name == name else node for node in self.nodes])

    def remove(self, name: str) -> Network:
        """Return the network without `name`, a node of one input, which its readers then read themselves."""
        layer, inputs = self.node(name)[1:]
        if len(inputs) != 1:
            raise GraphError(f"node {name!r} ({type(layer).__name__}) reads {len(inputs)} nodes and cannot be removed")
        (source,) = inputs
        return Network([_reading(node, name, source) for node in self.nodes if node.name != name])

    def insert_after(self, name: str, new_name: str, layer: Layer) -> Network:
        """Return the network with a new node that reads `name`; the former readers of `name` read the new node.

        `name` may be "input".
        """
        if name != INPUT:
            self.node(name)
        return Network([*(_reading(node, name, new_name) for node in self.nodes), Node(new_name, layer, (name,))])

    def map_layers(self, convert: Callable[[Layer], Layer]) -> Network:
        """Return the network with `convert` applied to every layer; a shared layer stays shared."""
        done = {id(layer): convert(layer) for _, layer, _ in self.nodes}
        return Network([(name, done[id(layer)], inputs) for name, layer, inputs in self.nodes])

    def up_to(self, name: str) -> Network:
        """Return the part of the network that computes `name`, which becomes its output."""
        needed = {self.node(name).name}
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
        return Network([node for node in self.nodes if node.name in needed])

    # ---- the same network elsewhere ----------------------------------------------------------------------------

    def to(self, backend: str) -> Network:
        """Return the network with its arrays on "numpy", "cupy" or "array-api-strict"."""
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
        name = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", str(dtype))
        if name == "object":
            raise DTypeError("dtype object is reserved for exact numbers; use lrpref.exact(net)")

        refused = DTypeError(f"networks compute in float32, float64 or longer, not in {name}")

        def convert(array: Array) -> Array:
            if not is_real_floating(array):
                return array
            xp = array_namespace(array)
            try:
                converted = as_dtype(array, getattr(xp, name, dtype))  # by name: numpy.float64 serves every backend
            except (TypeError, ValueError) as error:
                raise refused from error
            if not is_real_floating(converted):
                raise refused
            return converted

        return self.map_arrays(convert)

    def map_arrays(self, convert: Callable[[Array], Array]) -> Network:
        """Return the network with `convert` applied to every array; a shared layer stays shared."""
        return self.map_layers(lambda layer: layer.map_arrays(convert))

    def __repr__(self) -> str:
        lines = [f"  {name}: {type(layer).__name__} <- {', '.join(inputs)}" for name, layer, inputs in self.nodes]
        return "\n".join(["Network", *lines])


def _reading(node: Node, old: str, new: str) -> Node:
    """The node with `new` in place of `old` among its inputs."""
    return node._replace(inputs=tuple(new if i == old else i for i in node.inputs))


def _names(inputs: Sequence[str]) -> Sequence[str]:
    """The names of a node's inputs; a single string is one name."""
    return [inputs] if isinstance(inputs, str) else inputs


def _count_by_type(layers: Sequence[Layer]) -> list[str]:
    """conv2d1, relu1, conv2d2, ..."""
    types = [type(layer).__name__.lower() for layer in layers]
    return [f"{kind}{types[: i + 1].count(kind)}" for i, kind in enumerate(types)]


def _check(nodes: Sequence[Node]) -> None:
    """Raise GraphError unless names are unique and known, and each layer has the number of inputs that it takes."""
    if not nodes:
        raise GraphError("a network needs at least one node")
    for name in (name for node in nodes for name in (node.name, *node.inputs)):
        if not isinstance(name, str):
            raise GraphError(f"the names of nodes must be strings, got {name!r}")
    names = Counter(node.name for node in nodes)
    if INPUT in names:
        raise GraphError(f"{INPUT!r} is the name of the network's input; call the node something else")
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise GraphError(f"node names must be unique; used more than once: {', '.join(twice)}")
    for name, layer, inputs in nodes:
        if not isinstance(layer, Layer):
            raise GraphError(f"node {name!r}: expected a layer, got {type(layer).__name__}")
        if missing := [i for i in inputs if i != INPUT and i not in names]:
            raise GraphError(f"node {name!r} reads {missing[0]!r}, which is neither a node nor {INPUT!r}")
        most = layer.max_inputs if layer.max_inputs is not None else len(inputs)
        if not layer.min_inputs <= len(inputs) <= most:
            more = "" if layer.max_inputs == layer.min_inputs else " or more"
            noun = "input" if layer.min_inputs == 1 and not more else "inputs"
            wanted = f"{layer.min_inputs}{more} {noun}"
            raise GraphError(f"node {name!r} ({type(layer).__name__}) takes {wanted}, got {len(inputs)}")
    read = {i for node in nodes for i in node.inputs}
    if len(sinks := [name for name in names if name not in read]) > 1:
        raise GraphError(
            f"a network has one output, but no other node reads these: {', '.join(sinks)}; remove all but one, or join "
            "them with Add or Concat"
        )


def _sorted(nodes: Sequence[Node]) -> list[Node]:
    """The nodes, each after those that it reads, otherwise in the given order; raises GraphError on a cycle."""
    unread = [set(node.inputs) - {INPUT} for node in nodes]
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
