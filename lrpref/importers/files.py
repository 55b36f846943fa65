"""Read a network from a file of any supported format; the suffix selects the importer."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._support.calls import UNPARSABLE, parameters
from ..errors import ConversionError, LrprefError, UnknownNameError, unknown
from ..network import Network
from ..weights import find, load, metadata, read_arrays
from ..weights.formats import REFUSED, what_to_do
from ..weights.state_dict import from_state_dict
from ..zoo import models
from .keras import importer as keras
from .onnx import importer as onnx
from .safetensors import read_safetensors

Architecture = Network | Callable[..., Network] | str

READ = (".onnx", *keras.SUFFIXES, ".safetensors", ".npz")
"""The suffixes of the files that `read` supports."""


class Found(NamedTuple):
    """A network, and its metadata as `lrpref.save` takes them."""

    net: Network
    about: dict[str, Any]


def read(
    path: str | os.PathLike[str],
    example: Any = None,
    architecture: Architecture | None = None,
    output: str | None = None,
) -> Network:
    """Read a network from an .onnx, .keras, .h5, .safetensors or .npz file.

    Parameters
    ----------
    path : str or path-like
        The file; its suffix determines the format.
    example : array or None
        For .onnx, .keras and .h5 files: an input in the file's layout, on which the network and the file must agree.
        None draws one at random.
    architecture : Network, callable, str or None
        For files that hold weights alone (.safetensors, and .npz not written by `lrpref.save`): a network whose nodes
        have the names of the weights, a builder of `lrpref.models`, or the name of one, such as "vgg16" or
        "resnet20(shortcut='A')".
    output : str or None
        For .onnx files with several outputs: the name of the one to import.

    Returns
    -------
    Network
        The network; images are (N, C, H, W).

    Raises
    ------
    ConversionError
        If the format is not supported, the architecture is missing or invalid, or the model cannot be imported. The
        message gives the reason and a remedy.
    WeightsError
        If the file is damaged, or the weights do not fit the architecture.
    UnknownNameError
        If `architecture` is not the name of a builder.
    LrprefError
        If the package that reads the format is not installed.
    """
    return find_network(path, example, architecture, output).net


HAS_A_GRAPH = "{} holds a network with its graph; do not give {}"
"""What is said of a file that needs no architecture, or no input shape either."""


def find_network(
    path: str | os.PathLike[str],
    example: Any = None,
    architecture: Architecture | None = None,
    output: str | None = None,
    input_shape: Sequence[int] | None = None,
) -> Found:
    """Read a network as `read` does, together with its metadata.

    `input_shape` is the shape of one input in the file's layout, for .onnx, .keras and .h5 files without an example.
    For a builder, it replaces the default input shape.
    """
    path = Path(path)
    if path.is_dir() or path.suffix in REFUSED:
        raise ConversionError(str(what_to_do(path)))
    if path.suffix not in READ:
        raise ConversionError(
            f"{path}: lrpref reads {', '.join(READ)} files, not {path.suffix or 'files without a suffix'}"
        )
    if architecture is not None and path.suffix in (".onnx", *keras.SUFFIXES):
        raise ConversionError(HAS_A_GRAPH.format(path, "an architecture"))
    if output is not None and path.suffix != ".onnx":
        raise ConversionError(f"{path} is not an ONNX file with named outputs; leave out output= (--result)")
    if path.suffix == ".onnx":
        net, shape = onnx.imported(path, example, output, shape=None if input_shape is None else tuple(input_shape))
        return Found(net, _about(shape))
    if path.suffix in keras.SUFFIXES:
        if example is None and input_shape is not None:
            example = np.random.default_rng(0).uniform(size=(2, *input_shape))
        net, shape = keras.imported(path, example)
        return Found(net, _about(shape))
    state: Mapping[str, Any] = read_safetensors(path) if path.suffix == ".safetensors" else read_arrays(find(path))
    if path.suffix == ".npz" and "architecture" in state:
        if architecture is not None or input_shape is not None:
            raise ConversionError(HAS_A_GRAPH.format(path, "an architecture or an input shape"))
        return Found(load(path), metadata(path))
    if architecture is None:
        raise ConversionError(
            f"{path} holds weights but no graph; give the network that they belong to as architecture= "
            "(--architecture of lrpref convert)"
        )
    try:
        return _built(architecture, state, {} if input_shape is None else {"input_shape": tuple(input_shape)})
    except UnknownNameError:
        raise
    except LrprefError as error:
        raise type(error)(f"{path}: {error}") from error


def _about(shape: Sequence[int] | None) -> dict[str, Any]:
    """Return metadata that record the shape of one input."""
    return {} if shape is None else {"input": {"shape": [int(n) for n in shape]}}


def _built(architecture: Architecture, state: Mapping[str, Any], settings: dict[str, Any]) -> Found:
    """Build a network of this architecture with the weights in `state`."""
    if isinstance(architecture, Network):
        return Found(from_state_dict(architecture, state), {})
    if isinstance(architecture, str):
        architecture, told = _builder(architecture)
        settings = settings | told
    usual = inspect.signature(architecture).parameters.get("input_shape")
    shape = settings.get("input_shape", None if usual is None else usual.default)
    try:
        return Found(architecture(**settings, state=state), _about(shape))
    except TypeError as error:
        raise ConversionError(f"the network cannot be built from this architecture: {error}") from error


def _builder(text: str) -> tuple[Callable[..., Network], dict[str, Any]]:
    """Parse text such as "vgg16(width=0.25)" into a builder of `lrpref.models` and its settings."""
    name, _, _ = text.strip().partition("(")
    if name not in models.__all__:
        raise unknown("network", name, models.__all__)
    builder = getattr(models, name)
    taken = [key for key in inspect.signature(builder).parameters if key != "state"]
    try:
        return builder, parameters(text, taken)
    except UNPARSABLE as error:
        raise ConversionError(
            f'{text!r} is not a valid architecture: {error}; write it as "{name}(width=0.5)"'
        ) from error
