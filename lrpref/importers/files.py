"""One way in: the network in a file, whatever made the file. The suffix says which importer reads it."""

from __future__ import annotations

import ast
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConversionError, LrprefError, UnknownNameError, unknown
from ..network import Network
from ..weights import find, load, metadata, read_arrays
from ..weights.state_dict import from_state_dict
from ..zoo import models
from .onnx import imported
from .safetensors import read_safetensors

Architecture = Network | Callable[..., Network] | str

PICKLE = (
    "it is a pickle, and whoever reads a pickle runs what its author put there. Load it where you trust it, and save "
    'the weights with safetensors.torch.save_file(module.state_dict(), "weights.safetensors"), or the whole network '
    "with torch.onnx.export"
)
KERAS = 'lrpref reads no Keras files; in Keras, model.export("network.onnx", format="onnx")'

REFUSED: Mapping[str, str] = {
    **dict.fromkeys((".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib"), PICKLE),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), KERAS),
}
"""Suffixes that are known and not read, and why."""

READ = (".onnx", ".safetensors", ".npz")


class Found(NamedTuple):
    """A network, and what is known about it: metadata as `lrpref.save` takes it."""

    net: Network
    about: dict[str, Any]


def read(
    path: str | os.PathLike[str],
    example: Any = None,
    architecture: Architecture | None = None,
    output: str | None = None,
) -> Network:
    """The network in a file: .onnx, .safetensors, or .npz.

    example       an input as the file takes it, for the proof that an .onnx file was taken over rightly; None for a
                  random one
    architecture  for files that hold weights alone (.safetensors, and .npz that `lrpref.save` did not write): a
                  network whose nodes are called as the weights are; a builder of lrpref.models, or its name, as in
                  "vgg16" or "resnet20(shortcut='A')"
    output        which of an .onnx file's outputs, where there are several

    Raises WeightsError for damaged files and weights that do not fit; ConversionError for files that lrpref does not
    read, with the reason and what to do; UnknownNameError; LrprefError where a library is not installed.
    """
    return find_network(path, example, architecture, output).net


def find_network(
    path: str | os.PathLike[str],
    example: Any = None,
    architecture: Architecture | None = None,
    output: str | None = None,
    input_shape: Sequence[int] | None = None,
) -> Found:
    """`read`, with what is known about the network.

    input_shape  of one input as the file takes it, where there is no example; for an architecture by name, its own
    """
    path = Path(path)
    if path.suffix in REFUSED:
        raise ConversionError(f"{path} is not read: {REFUSED[path.suffix]}")
    if path.suffix not in READ:
        raise ConversionError(f"{path}: lrpref reads {', '.join(READ)}, not {path.suffix or 'files without a suffix'}")
    if path.suffix == ".onnx":
        net, shape = imported(path, example, output, shape=None if input_shape is None else tuple(input_shape))
        return Found(net, _about(shape))
    state: Mapping[str, Any] = read_safetensors(path) if path.suffix == ".safetensors" else read_arrays(find(path))
    if path.suffix == ".npz" and "architecture" in state:
        return Found(load(path), metadata(path))
    if architecture is None:
        raise ConversionError(f"{path} holds weights and no graph; say which network they are of: architecture=")
    try:
        return _built(architecture, state, {} if input_shape is None else {"input_shape": tuple(input_shape)})
    except UnknownNameError:
        raise
    except LrprefError as error:
        raise type(error)(f"{path}: {error}") from error


def _about(shape: Sequence[int] | None) -> dict[str, Any]:
    """Metadata that says the shape of one input."""
    return {} if shape is None else {"input": {"shape": [int(n) for n in shape]}}


def _built(architecture: Architecture, state: Mapping[str, Any], settings: dict[str, Any]) -> Found:
    """A network of this architecture with the weights that `state` holds."""
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
        raise ConversionError(f"the network cannot be built: {error}") from error


def _builder(text: str) -> tuple[Callable[..., Network], dict[str, Any]]:
    """A builder of lrpref.models and its settings, from text such as "vgg16(width=0.25)"."""
    name, bracket, rest = text.partition("(")
    if name not in models.__all__:
        raise unknown("network", name, models.__all__)
    try:
        call = ast.parse(f"f({rest}" if bracket else "f()", mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)) or call.args:
            raise ValueError("settings are given by name")
        if any(keyword.arg is None for keyword in call.keywords):
            raise ValueError("settings are given one by one")
        settings = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConversionError(f'{text!r}: expected something like "{name}(width=0.5)": {error}') from error
    return getattr(models, name), settings
