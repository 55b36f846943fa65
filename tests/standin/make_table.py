"""Write the table of an installed CuPy's public names and parameters, which needs no GPU.

    pip install "cupy-cuda12x==14.*"
    python tests/standin/make_table.py > tests/standin/cupy/cupy-14.txt

One line per name: `add ufunc 2 1 at` (inputs, outputs, and whether `at` exists), `sum function (a, axis=, ...)` with
an equals sign after a parameter that has a default, `float32 type`, `inf value`, `linalg module`. Methods and
attributes of the array begin with `ndarray.`.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

import cupy

MARKS = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


def described(thing: Any) -> str:
    """What a name stands for."""
    if isinstance(thing, cupy.ufunc):
        at = " at" if thing._scatter_op is not None else ""
        return f"ufunc {thing.nin} {thing.nout}{at}"
    if inspect.ismodule(thing):
        return "module"
    if isinstance(thing, type):
        return "type"
    return f"function ({parameters(thing)})" if callable(thing) else "value"


def parameters(function: Any) -> str:
    """The parameters of a function, without the values of defaults."""
    try:
        found = inspect.signature(function if inspect.isroutine(function) else type(function).__call__)
    except (TypeError, ValueError):
        return compiled(function.__doc__ or "")
    listed = [p for name, p in found.parameters.items() if inspect.isroutine(function) or name != "self"]
    kinds = [p.kind for p in listed]
    texts = [MARKS.get(p.kind, "") + p.name + ("" if p.default is p.empty else "=") for p in listed]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        texts.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    if inspect.Parameter.POSITIONAL_ONLY in kinds:
        texts.insert(kinds.count(inspect.Parameter.POSITIONAL_ONLY), "/")
    return ", ".join(texts)


def compiled(doc: str) -> str:
    """The parameters of a compiled function, which Cython writes into the first line of the docstring, with types."""
    told = re.match(r"[\w.]+\((.*?)\)(?: ->.*)?$", doc.partition("\n")[0])
    if told is None:
        return "*args, **kwargs"
    parts = (re.match(r"(.*?)(=.*)?$", part) for part in told[1].split(", ") if part)
    return ", ".join(part[1].split()[-1] + ("=" if part[2] else "") for part in parts if part)


def lines() -> Iterator[str]:
    """Every line of the table."""
    yield f"# The public names of CuPy {cupy.__version__}, written by tests/standin/make_table.py"
    for prefix, home in (("", cupy), ("lib.stride_tricks.", cupy.lib.stride_tricks), ("linalg.", cupy.linalg)):
        yield from (f"{prefix}{name} {described(getattr(home, name))}" for name in dir(home) if name[0] != "_")
    for name in dir(cupy.ndarray):
        if name[0] != "_":
            held = getattr(cupy.ndarray, name)
            yield f"ndarray.{name} {described(held) if callable(held) else 'value'}"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lines())
