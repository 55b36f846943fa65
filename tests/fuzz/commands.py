"""Random arguments for every command: an exit code of 0, 1 or 2, and a message with 2, never a traceback."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from random import Random

import numpy as np

import lrpref
from lrpref.cli import COMMANDS, main
from lrpref.errors import RelevanceWarning

from .files import npz_seeds, picture_seeds
from .runner import Fuzzer

NETWORKS = ["mnist-mlp", "mnist-cnn", "mnist-cnn-bn", "net.npz", "torn.npz", "missing.npz", "mnist", "", ".", "x.onnx"]
NETWORKS += ["x.pt", "folder", "net", "-", "é.npz", "../net.npz", "net.NPZ", "x.safetensors"]
INPUTS = [
    "digit-4",
    "digit-8",
    "hard-1",
    "chelsea",
    "x.npy",
    "wrong.npy",
    "torn.npy",
    "p.png",
    "torn.png",
    "missing.png",
]
INPUTS += ["digit", "", ".", "p.txt", "folder", "net.npz"]
RULES = [
    "epsilon",
    "zero",
    "gamma(gamma=0.5)",
    "gamma(gama=0.5)",
    "z-plus",
    "epsilon-plus-flat",
    "z-box(0, 1)",
    "epsilom",
]
RULES += [
    "alpha-beta(2, 1)",
    "alpha-beta(1, 1)",
    "gamma(",
    "gamma(x)",
    "gamma(gamma=-1)",
    "",
    "z-box",
    "relative",
    "pass",
]
RULES += ["epsilon(epsilon=1e400)", "epsilon(__import__('os'))", "epsilon(epsilon=[1])", "flat", "absolute", "w-square"]
NUMBERS = ["0", "4", "9", "10", "-1", "1e9", "x", "", "3.5", "99999999999999999999", "nan", "inf"]
SEEDS = ["logit", "one", "probability", "2.5", "nan", "inf", "-1", "0", "x", "1e400"]
MAPS = ["map.npy", "map.npy", "x.npy", *INPUTS]
TO_CONVERT = ["net.npz", "net.npz", "net.npz", *NETWORKS]
CONVERTED = ["out.npz", "new.npz", "folder/out.npz"]
OUTS = ["out.png", "out.pdf", "out.svg", "out.npy", "out", "", "folder", "folder/out.png", "missing/out.png", "out.npz"]
OUTS += ["out.xyz", ".", "/", "é.png"]
CASES = ["gamma-*", "ab-neg-input", "40", "", "x", "[", "*", "-1"]
FOLDERS = ["folder", "missing", "", ".", "net.npz"]

OPTIONS: dict[str, tuple[list[list[str]], dict[str, list[str] | None]]] = {
    "explain": (
        [NETWORKS, INPUTS],
        {"--rule": RULES, "--target": NUMBERS, "--seed": SEEDS, "--no-fuse": None, "--scale": ["one", "each", "x"],
         "--out": OUTS, "--waterfall": OUTS, "--invert": None, "--overlay": None, "--json": None, "--quiet": None,
         "--full": None, "--contrast": NUMBERS, "--architecture": ["vgg16", "x", "vgg16("]},
    ),
    "compare": (
        [NETWORKS, INPUTS],
        {"--against": MAPS, "--rule": RULES, "--target": NUMBERS, "--seed": SEEDS, "--fuse": None,
         "--no-groups": None, "--tolerance": NUMBERS, "--invert": None},
    ),
    "show": ([NETWORKS], {"--rule": RULES}),
    "networks": ([], {}),
    "samples": ([], {}),
    "fuse": ([NETWORKS], {"--input": INPUTS, "--rule": RULES, "--threshold-relu": None, "-o": OUTS, "--invert": None}),
    "convert": (
        [TO_CONVERT],
        {"-o": [*CONVERTED, *OUTS], "--input-shape": ["1,4,4", "3", "0", "x", "", "1,", "99999,99999"],
         "--architecture": ["vgg16", "resnet20(shortcut='A')", "x", "vgg16(", "vgg16(x=1)"], "--result": ["y", ""]},
    ),
    "rules": ([["z-plus", "gamma", "x", "", "epsilon-plus-flat"]], {}),
    "conform": ([["zennit", "captum", "x", "", "lxt"]], {"--only": CASES, "--list": None, "--json": OUTS,
                                                        "--adapter": ["x:y", "x", "os:getcwd", "", "a:b:c"],
                                                        "--profile": ["core", "x", ""], "--known": INPUTS,
                                                        "--badge": OUTS}),
    "verify": (
        [["right:explain", "right:explain", "os:getcwd", "x:y", "x", ""]],
        {"--like": RULES, "--only": ["check_shape", "check_finite", "check_linear_in_R", "x", ""],
         "--examples": ["1", "2", "0", "-1", "x"],
         "--tolerance": NUMBERS, "--expect": ["check_fold", "x", ""], "--cases": FOLDERS, "--replay": FOLDERS,
         "--timeout": ["1", "0", "x"], "--seed": ["1", "x"]},
    ),
    "reproduce": (
        [["2002.11018", "2501.14322", "x", ""]],
        {"--quick": None, "--only": ["x", "no such unit"], "--data": FOLDERS, "--networks": FOLDERS,
         "--images": NUMBERS, "--part": ["1/2", "0/1", "x", "2/1", "1/99999"], "--out": FOLDERS, "--seeds": NUMBERS},
    ),
    "play": ([NETWORKS], {"--out": OUTS, "--no-open": None}),
}  # fmt: skip
"""For every command the places of its arguments, and its options; None for a switch."""

assert set(COMMANDS) == set(OPTIONS)


def case(seed: int, folder: Path) -> Mapping[str, int]:
    """One list of arguments."""
    rng = Random(seed)
    words = arguments(rng)
    with _prepared(folder), _captured() as (out, err), warnings.catch_warnings():
        warnings.simplefilter("ignore", RelevanceWarning)  # documented
        try:
            code = main(words)
        except SystemExit as error:  # of argparse
            code = error.code if isinstance(error.code, int) else -1
    assert code in (0, 1, 2), f"{words}: exit code {code}"
    assert "Traceback" not in out.getvalue() + err.getvalue(), words
    assert code != 2 or err.getvalue().strip(), f"{words}: exit code 2 without a message"
    assert all("part" not in path.name for path in folder.rglob(".*")), f"{words}: a part file is left"
    return {f"{words[0] if words and words[0] in OPTIONS else 'other'}: exit {code}": 1}


def arguments(rng: Random) -> list[str]:
    """A command with most of its arguments, some options, and sometimes a word too many or too few."""
    if rng.random() < 0.03:
        return rng.choice([[], ["--help"], ["--version"], ["x"], [""], ["--x"], ["explain", "--help"]])
    name = rng.choice(list(OPTIONS))
    places, options = OPTIONS[name]
    likely = 3 if rng.random() < 0.6 else 99  # the first values are valid, and go together
    words = [rng.choice(values[:likely]) for values in places]
    chosen = rng.sample(list(options), min(len(options), rng.choice((0, 1, 1, 2, 3))))
    chosen += [name for name in ("--against", "-o") if name in options and name not in chosen and rng.random() < 0.8]
    if name == "reproduce" and "--only" not in chosen:  # measuring takes minutes
        chosen.append("--only")
    if name == "play" and "--no-open" not in chosen:
        chosen.append("--no-open")
    for option in chosen:
        values = options[option]
        words.append(option)
        if values is not None:
            words += [rng.choice(values[:likely]) for _ in range(2 if option == "--rule" and rng.random() < 0.2 else 1)]
    if rng.random() < 0.1:
        words.insert(rng.randrange(len(words) + 1), rng.choice(("x", "--x", "-o", "--", "")))
    return [name, *words]


@contextlib.contextmanager
def _prepared(folder: Path) -> Iterator[None]:
    """Work in a folder that holds a few files, good and torn."""
    here = os.getcwd()
    net, picture = npz_seeds()[0], picture_seeds("png")()[0]
    held = {"net.npz": net, "torn.npz": net[: len(net) // 2], "p.png": picture, "torn.png": picture[:60]}
    held |= {
        "p.txt": b"text",
        "x.pt": b"PK",
        "x.onnx": b"\x08",
        "right.py": b"def explain(network, x, seed): return 0 * x",
    }
    for name, content in {**held, **_arrays()}.items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir(exist_ok=True)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)


@cache
def _arrays() -> dict[str, bytes]:
    found = {}
    ramp = np.linspace(0, 1, 784, dtype=np.float32)
    right = lrpref.explain(lrpref.load("mnist-mlp"), lrpref.samples.load("digit-4"))
    arrays = {"x.npy": ramp.reshape(1, 1, 28, 28), "wrong.npy": ramp[:15].reshape(3, 5), "map.npy": right}
    for name, array in arrays.items():
        stream = io.BytesIO()
        np.save(stream, array)
        found[name] = stream.getvalue()
    return {**found, "torn.npy": found["x.npy"][:300]}


@contextlib.contextmanager
def _captured() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield out, err


FUZZER = Fuzzer(
    "commands",
    case,
    seconds=120,
    mebibytes=1024,
    demanded=frozenset(f"{name}: exit {code}" for name in OPTIONS for code in (0, 2) if name != "reproduce"),
)
