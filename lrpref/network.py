"""A network: a graph of named layers. It runs forward, and can be rebuilt with other layers.

Nodes may be given in any order; they are sorted once, here, and checked: every name known, no cycle, one sink.
A layer may be used at several nodes (shared weights), and a node may feed several others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from typing import Any, NamedTuple, Self

import numpy as np

from .arithmetic import (
    all_finite,
    as_dtype,
    as_floating,
    check_finite,
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
from .backend import Array, DType, array_namespace, asarray, backend_name, is_array, load_backend, to_numpy
from .errors import DTypeError, GraphError, InputError, ShapeError, at_node, is_one_of, listed, shown, warn
from .layers import Concat, Dropout, Flatten, Head, Layer, LogSoftmax, Scale, Sigmoid, Softmax
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
    input_shape : sequence of int or None, optional
        The only shape of one input, such as (3, 32, 32), that the network is valid for; None along an axis for any
        size. Importers set it. None, the default, accepts whatever the layers accept.
    fixed_by : str, default ""
        Why the input shape is fixed, for the error message.

    Attributes
    ----------
    nodes : tuple of Node
        The same triples, sorted so that each node comes after those that it reads.
    input_shape : tuple of int or None, or None
        As given. Every method that edits the graph keeps it; `Network(net.nodes)` lifts it.
    fixed_by : str
        As given.

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
    """

    def __init__(
        self,
        nodes: Sequence[tuple[str, Layer, Sequence[str]]],
        input_shape: Sequence[int | None] | None = None,
        fixed_by: str = "",
    ) -> None:
        listed = [_node(given) for given in _listed(nodes, "nodes must be a sequence of (name, layer, inputs)")]
        _check(listed)
        self.nodes: tuple[Node, ...] = tuple(_sorted(listed))
        self.input_shape = None if input_shape is None else _fixed_shape(input_shape)
        if not isinstance(fixed_by, str):
            raise GraphError(f"fixed_by must be a text, got {shown(fixed_by)}")
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
        """The name of the sink."""
        return self.nodes[-1].name

    @property
    def logits(self) -> str:
        """The name of the node that holds the logits, the sink of `without_head()`.

        Explanations start there unless another node is named.
        """
        return self.without_head().output

    @property
    def head(self) -> Layer | None:
        """The function that turns the logits into probabilities; None if the network ends with its logits."""
        found = _split(self.nodes)
        return None if found is None else found.head

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
        """Return the shape of every node's output, and of "input"; a ShapeError names the node or the reason."""
        if not is_shape(input_shape):
            raise ShapeError(f"expected the shape of a batch, such as (1, 3, 224, 224), got {shown(input_shape)}")
        self._check_size(input_shape)
        shapes = {INPUT: tuple(input_shape)}
        for name, layer, inputs in self.nodes:
            with at_node(name, layer):
                shapes[name] = layer.output_shape(*(shapes[i] for i in inputs))
                check_size(shapes[name])
        return shapes

    def _check_size(self, shape: Shape) -> None:
        """Raise ShapeError if the network is not valid for inputs of this shape."""
        fixed = self.input_shape
        if fixed is None or (
            len(shape) == 1 + len(fixed) and all(n in (None, m) for n, m in zip(fixed, shape[1:], strict=True))
        ):
            return
        wanted = ", ".join("any" if n is None else str(n) for n in fixed)
        raise ShapeError(f"the network accepts inputs of shape (N, {wanted}), got {tuple(shape)}: {self.fixed_by}")

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
        return outputs[self.output]

    __call__ = forward

    def activations(self, x: Array, before: Callable[[str], None] | None = None) -> dict[str, Array]:
        """Return the output of every node, and the cast input as "input".

        NaN and infinities, which occur where numbers are too large for the dtype, are passed on.

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

    def cast(self, x: Any) -> Array:
        """Return `x` in the network's dtype; raise InputError or DTypeError if it cannot be computed with."""
        given, x = x, as_floating(x, "the input")
        check_not_pixels(given, "the input")
        if x.ndim < 2:
            raise InputError(f"the input must be a batch (N, ...), got shape {tuple(x.shape)}; use x[None]")
        if x.shape[0] and 0 in x.shape[1:]:
            raise InputError(f"the samples of the input are empty: its shape is {tuple(x.shape)}")
        home = self.backend or backend_name(x)
        if home != backend_name(x):
            raise InputError(
                f"the network is on {home}, the input on {backend_name(x)}; use lrpref.asarray(x, {home!r})"
            )
        check_finite(x, "the input")
        dtype = x.dtype if self.dtype is None else self.dtype
        x = as_dtype(x, dtype)
        check_in_range(x, "the input")
        return x

    # ---- the same graph with other layers --------------------------------------------------------------------------

    def with_nodes(self, nodes: Sequence[tuple[str, Layer, Sequence[str]]]) -> Network:
        """Return a network of these nodes that is valid for the same input shape."""
        return Network(nodes, self.input_shape, self.fixed_by)

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
        return self.with_nodes([_reading(node, name, source) for node in self.nodes if node.name != name])

    def insert_after(self, name: str, new_name: str, layer: Layer) -> Network:
        """Return the network with a new node that reads `name`; the former readers of `name` read the new node.

        `name` may be "input".
        """
        if not is_one_of(name, [INPUT]):
            self.node(name)
        return self.with_nodes(
            [*(_reading(node, name, new_name) for node in self.nodes), Node(new_name, layer, (name,))]
        )

    def map_layers(self, convert: Callable[[Layer], Layer]) -> Network:
        """Return the network with `convert` applied to every layer; a shared layer stays shared."""
        done = {id(layer): convert(layer) for _, layer, _ in self.nodes}
        return self.with_nodes([(name, done[id(layer)], inputs) for name, layer, inputs in self.nodes])

    def up_to(self, name: str) -> Network:
        """Return the part of the network that computes `name`, which becomes its output."""
        return self.with_nodes(_needed(self.nodes, self.node(name).name))

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
        found = _split(self.nodes)
        return self if found is None else self.with_nodes(_needed(found.nodes, found.logits))

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
        fixed = "" if self.input_shape is None else f" for inputs of shape {self.input_shape}"
        return "\n".join([f"Network{fixed}", *lines])


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
    if type(node.layer) is Sigmoid:
        return node.inputs[0] if node.inputs[0] in nodes else None
    found = [logits for i in node.inputs if (logits := _logits(i, nodes, changed)) is not None]
    if len(found) < len(node.inputs):
        return None
    if type(node.layer) in (Concat, Flatten, Dropout):
        layer: Layer = node.layer
    elif type(node.layer) is Scale and _is_one_minus(node.layer):
        layer = replace(node.layer, bias=None)
    else:
        return None
    changed[name] = node._replace(layer=layer, inputs=tuple(found))
    return name


def _is_one_minus(scale: Scale) -> bool:
    """Whether a Scale computes 1 - p."""
    weight, bias = scale.scale_and_shift()
    return bias is not None and bool(np.all(to_numpy(weight) == -1) and np.all(to_numpy(bias) == 1))


# ---- what is checked at construction ------------------------------------------------------------------------------
def _fixed_shape(shape: Sequence[int | None]) -> tuple[int | None, ...]:
    """The shape of one input as a tuple; raises GraphError unless each size is None or a positive integer."""
    sizes = tuple(shape) if isinstance(shape, list | tuple) else ()
    if not sizes or not all(n is None or (type(n) is int and n > 0) for n in sizes):
        raise GraphError(f"input_shape must list positive integers, or None for any size, got {shown(shape)}")
    return sizes


def check_network(net: object) -> None:
    """Raise GraphError unless `net` is a Network."""
    if not isinstance(net, Network):
        hint = "; read one from a file with lrpref.load(...)" if isinstance(net, str) else ""
        raise GraphError(f"expected a Network, got {shown(net)}{hint}")


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
        raise GraphError(f"the name of a node must be a text, got {shown(name)}")
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


def _check(nodes: Sequence[Node]) -> None:
    """Raise GraphError unless names are unique and known, and each layer has the number of inputs that it takes."""
    if not nodes:
        raise GraphError("a network needs at least one node")
    names = Counter(node.name for node in nodes)
    if INPUT in names:
        raise GraphError(f"{INPUT!r} is the name of the network's input; call the node something else")
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise GraphError(f"node names must be unique; used more than once: {', '.join(twice)}")
    for name, layer, inputs in nodes:
        if missing := [i for i in inputs if i != INPUT and i not in names]:
            raise GraphError(f"node {name!r} reads {missing[0]!r}, which is neither a node nor {INPUT!r}")
        if problem := layer.takes(len(inputs)):
            raise GraphError(f"node {name!r} ({type(layer).__name__}) {problem}")
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
