"""A reader of pickles that hold plain data, which runs none of what they name.

A pickle is a program for a small stack machine. Python's own reader imports whatever a program names and calls it.
This one has the opcodes in which dictionaries, lists, text, numbers and arrays of bytes are written, and nothing
else: `pickletools` takes the program apart, a name is a pair of words that is compared with a short list, and no
module is ever imported.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...errors import DataError

RECONSTRUCT, NDARRAY, DTYPE, ENCODE = "reconstruct", "ndarray", "dtype", "encode"

NAMES: Mapping[tuple[str, str], str] = {
    ("numpy.core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy", "ndarray"): NDARRAY,
    ("numpy", "dtype"): DTYPE,
    ("_codecs", "encode"): ENCODE,
}
"""The names that a pickle may hold: what NumPy writes for an array. All others are refused."""


@dataclass
class _Name:
    """A name of the list above; nothing stands behind it."""

    what: str


@dataclass
class _Array:
    """An array of bytes, empty until its state is set."""

    shape: tuple[int, ...] = ()
    data: bytes = b""


class _Dtype:
    """The type of an array's numbers: bytes."""


class _Mark:
    """A place on the stack."""


def read_pickled(data: bytes) -> Any:
    """The plain data in a pickle; arrays of uint8 as such, text of Python 2 as str.

    Raises DataError for a damaged pickle, and for one that holds anything else.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return _finished(machine.only())
            machine.step(opcode.name, argument)
    except DataError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, RecursionError, MemoryError) as error:
        raise DataError(f"not a readable pickle: {error}") from error
    raise DataError("not a readable pickle: it does not end")


def _finished(value: Any) -> Any:
    """The value with its arrays made; only those directly in a dictionary are."""
    if isinstance(value, dict):
        return {key: _as_numpy(held) if isinstance(held, _Array) else held for key, held in value.items()}
    return _as_numpy(value) if isinstance(value, _Array) else value


def _as_numpy(array: _Array) -> np.ndarray:
    if prod(array.shape) != len(array.data) or min(array.shape, default=0) < 0:
        raise DataError(f"an array that says it is {array.shape}, but has {len(array.data)} bytes")
    return np.frombuffer(array.data, np.uint8).reshape(array.shape)


class _Machine:
    """The stack, and the memo: values that the program keeps under a number."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def only(self) -> Any:
        """What is left at the end."""
        if len(self.stack) != 1:
            raise DataError(f"not a readable pickle: it leaves {len(self.stack)} values")
        return self.stack.pop()

    def step(self, name: str, argument: Any) -> None:
        """One opcode."""
        if name in ("PROTO", "FRAME"):
            return
        if name in VALUES:
            self.stack.append(argument)
        elif name in BYTES:  # pickletools gives the bytes of Python 2's text as Latin-1
            self.stack.append(argument.encode("latin-1") if isinstance(argument, str) else bytes(argument))
        elif name in STEPS:
            STEPS[name](self, argument)
        else:
            raise DataError(f"a pickle with the opcode {name}, which plain data does not need; it is not read")

    def above_mark(self) -> list[Any]:
        """Everything down to the last mark."""
        for i in range(len(self.stack) - 1, -1, -1):
            if isinstance(self.stack[i], _Mark):
                values = self.stack[i + 1 :]
                del self.stack[i:]
                return values
        raise DataError("not a readable pickle: it has no mark where it needs one")

    def items(self, pairs: list[Any]) -> None:
        """Put keys and values into the dictionary on top."""
        held = self.top(dict)
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, str | bytes):  # the hash of nested tuples can take for ever
                raise DataError(f"a pickle with a {type(key).__name__} as a key; only text is read")
            held[key.decode("latin-1") if isinstance(key, bytes) else key] = value

    def top(self, kind: type) -> Any:
        """The topmost value, which must be of this kind."""
        if not isinstance(self.stack[-1], kind):
            raise DataError(f"not a readable pickle: a {type(self.stack[-1]).__name__}, where a {kind.__name__} is due")
        return self.stack[-1]

    def remember(self, number: int | None) -> None:
        """Keep the topmost value."""
        self.memo[len(self.memo) if number is None else number] = self.stack[-1]

    def name(self, module: Any, name: Any) -> None:
        """A name, if it is on the list."""
        if not (isinstance(module, str) and isinstance(name, str)) or (module, name) not in NAMES:
            raise DataError(f"a pickle that asks for {module}.{name}; it is not read, since that could run code")
        self.stack.append(_Name(NAMES[module, name]))

    def call(self) -> None:
        """What the names of the list would do with plain arguments."""
        given, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, _Name) or not isinstance(given, tuple):
            raise DataError("not a readable pickle: it calls what is no function")
        if name.what == RECONSTRUCT and len(given) == 3 and given[0] == _Name(NDARRAY):
            self.stack.append(_Array())
        elif name.what == DTYPE and _text(given[:1]) in (("u1",), ("|u1",)):
            self.stack.append(_Dtype())
        elif name.what == ENCODE and len(given) == 2 and isinstance(given[0], str) and _text(given[1:]) == ("latin1",):
            self.stack.append(given[0].encode("latin-1"))
        else:
            raise DataError(f"a pickle that makes something else than an array of uint8 with {name.what}")

    def build(self) -> None:
        """The state of an array or of its type."""
        state, held = self.stack.pop(), self.stack[-1]
        if isinstance(held, _Dtype) and isinstance(state, tuple):
            return  # byte order, fields and alignment, which bytes do not have
        if not isinstance(held, _Array) or not isinstance(state, tuple) or len(state) != 5:
            raise DataError("a pickle that sets the state of something else than an array; it is not read")
        _, shape, dtype, columns_first, data = state
        sizes = isinstance(shape, tuple) and all(type(n) is int for n in shape)
        if not (sizes and isinstance(dtype, _Dtype) and isinstance(data, bytes)) or columns_first:
            raise DataError("a pickled array that is not of uint8, row after row; it is not read")
        held.shape, held.data = shape, data


def _text(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Text of Python 2 as text."""
    return tuple(v.decode("latin-1") if isinstance(v, bytes) else v for v in values)


VALUES = {
    *("BINFLOAT", "BININT", "BININT1", "BININT2", "BINUNICODE", "BINUNICODE8", "FLOAT", "INT", "LONG", "LONG1"),
    *("SHORT_BINUNICODE", "UNICODE"),
}
"""Opcodes that put down their argument."""

BYTES = {"BINBYTES", "BINBYTES8", "BINSTRING", "SHORT_BINBYTES", "SHORT_BINSTRING", "STRING"}
"""Opcodes that put down bytes, Python 2's text among them."""


def _pop(machine: _Machine, count: int) -> tuple[Any, ...]:
    if len(machine.stack) < count:
        raise DataError("not a readable pickle: it takes more from the stack than there is")
    values = tuple(machine.stack[-count:])
    del machine.stack[-count:]
    return values


STEPS: Mapping[str, Callable[[_Machine, Any], Any]] = {
    "NONE": lambda m, _: m.stack.append(None),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "MARK": lambda m, _: m.stack.append(_Mark()),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "TUPLE1": lambda m, _: m.stack.append(_pop(m, 1)),
    "TUPLE2": lambda m, _: m.stack.append(_pop(m, 2)),
    "TUPLE3": lambda m, _: m.stack.append(_pop(m, 3)),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.above_mark())),
    "APPEND": lambda m, _: (lambda value: m.top(list).append(value))(m.stack.pop()),
    "APPENDS": lambda m, _: (lambda values: m.top(list).extend(values))(m.above_mark()),
    "SETITEM": lambda m, _: m.items(list(_pop(m, 2))),
    "SETITEMS": lambda m, _: m.items(m.above_mark()),
    "PUT": lambda m, number: m.remember(number),
    "BINPUT": lambda m, number: m.remember(number),
    "LONG_BINPUT": lambda m, number: m.remember(number),
    "MEMOIZE": lambda m, _: m.remember(None),
    "GET": lambda m, number: m.stack.append(m.memo[number]),
    "BINGET": lambda m, number: m.stack.append(m.memo[number]),
    "LONG_BINGET": lambda m, number: m.stack.append(m.memo[number]),
    "GLOBAL": lambda m, both: m.name(*both.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.name(*_pop(m, 2)),
    "REDUCE": lambda m, _: m.call(),
    "BUILD": lambda m, _: m.build(),
}
"""What each other opcode does to the machine."""
