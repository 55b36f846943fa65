"""Import the models of the onnx package's own tests, and write docs/onnx-models.md: what imports, what is right.

python scripts/onnx_models.py            # run them, print the table, write the page
python scripts/onnx_models.py --list     # choose the models again, and write tests/onnx-models.txt
python scripts/onnx_models.py NAME ...   # run some of them, and print what happens to each

The models are those with a float input, a stored answer, and only operators of `OPERATORS`, which networks for images,
signals and tables use at inference. The nine architectures named light_* have constants for weights.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx.backend.test.loader import load_model_tests

import lrpref
from lrpref._support.files import write_text
from lrpref.errors import LrprefError

ROOT = Path(__file__).parent.parent
NAMES = ROOT / "tests" / "onnx-models.txt"
PAGE = ROOT / "docs" / "onnx-models.md"

OPERATORS = {
    "with weights": ("Conv", "ConvTranspose", "Gemm", "MatMul"),
    "norms": (
        *("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LRN", "LayerNormalization"),
        *("LpNormalization", "MeanVarianceNormalization", "RMSNormalization"),
    ),
    "pools": ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "MaxPool"),
    "activations": (
        *("Celu", "Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "LogSoftmax", "Mish", "PRelu"),
        *("Relu", "Selu", "Sigmoid", "Softmax", "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu"),
    ),
    "arithmetic": ("Add", "Div", "Max", "Mean", "Min", "Mul", "Neg", "Sub", "Sum"),
    "reductions": ("ReduceMax", "ReduceMean", "ReduceSum"),
    "shapes": (
        *("Cast", "Concat", "DepthToSpace", "Dropout", "Flatten", "Identity", "Pad", "Reshape", "Resize", "Slice"),
        *("SpaceToDepth", "Split", "Squeeze", "Transpose", "Unsqueeze", "Upsample"),
    ),
    "recurrent": ("GRU", "LSTM", "RNN"),
}
"""The operators. Left out: operators on integers, text, sequences and sparse arrays; comparisons and logic; losses and
optimisers; quantisation; random numbers; windows and Fourier transforms; detection (boxes, regions); mathematical
functions (Exp, Sin, ...); indexing by data (Gather, Scatter, ...); and the operators of language models (Attention,
RotaryEmbedding, ...)."""

KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted")
FLOATS = ("float16", "bfloat16", "float32", "float64")

SEVERAL = ("Add", "Concat", "Div", "Max", "Mean", "Min", "Mul", "Sub", "Sum")
"""Operators all of whose inputs are activations; of any other operator, the first is, and the others are weights."""

ANY_AXES = {*OPERATORS["activations"], *SEVERAL, "Dropout", "Neg"} - {"Concat", "LogSoftmax", "Softmax"}
"""Operators on numbers one by one: inputs of one axis, which networks do not take, become one sample."""


class Case(NamedTuple):
    """A model, its inputs and its first answer."""

    name: str
    model: Any
    inputs: list[np.ndarray]
    answer: np.ndarray


# ---- the models --------------------------------------------------------------------------------------------------


def candidates() -> Iterator[Case]:
    """Yield every model of the package's tests with inputs and answers that are arrays."""
    for kind in KINDS:
        for test in load_model_tests(kind=kind):
            model = test.model or onnx.load(Path(test.model_dir) / "model.onnx")
            if test.data_sets is None:
                folder = Path(test.model_dir) / "test_data_set_0"
                told = [
                    [onnx.load_tensor(folder / f"{side}_{i}.pb") for i in range(len(list(folder.glob(f"{side}_*.pb"))))]
                    for side in ("input", "output")
                ]
            else:
                told = list(test.data_sets[0]) if test.data_sets else [[], []]
            inputs, answers = ([_array(value) for value in side] for side in told)
            if inputs and answers and all(isinstance(each, np.ndarray) for each in [*inputs, answers[0]]):
                yield Case(test.name, model, inputs, answers[0])


def _array(value: Any) -> Any:
    """Return a stored tensor as an array, and anything else as it is."""
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def wanted(case: Case) -> bool:
    """Whether a model is in the list: float input and answer, inference, only operators of `OPERATORS`."""
    known = {name for names in OPERATORS.values() for name in names}
    nodes = case.model.graph.node
    training = any(a.name == "training_mode" and a.i for node in nodes for a in node.attribute) or (
        nodes[0].op_type == "Dropout" and len(case.inputs) > 2 and bool(case.inputs[2])
    )
    return (
        not training
        and case.inputs[0].dtype.name in FLOATS
        and case.answer.dtype.name in FLOATS
        and all(node.op_type in {*known, "Constant"} and node.domain in ("", "ai.onnx") for node in nodes)
        and (len(nodes) == 1 or not case.name.endswith(("_expanded", "_expanded_ver18")))
    )


def chosen() -> list[Case]:
    """Return the models in tests/onnx-models.txt."""
    names = set(NAMES.read_text().split())
    return [case for case in candidates() if case.name in names]


# ---- running one -------------------------------------------------------------------------------------------------


def with_weights(case: Case) -> tuple[Any, list[np.ndarray]]:
    """Return the model with its parameters as weights, with its first output only, and the activations."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    given = [value.name for value in graph.input if value.name not in stored]
    several = all(node.op_type in (*SEVERAL, "Constant") for node in graph.node)
    count = len(case.inputs) if several else 1
    for name, value in list(zip(given, case.inputs, strict=False))[count:]:
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    keep = [value for value in graph.input if value.name in given[:count]]
    del graph.input[:]
    graph.input.extend(keep)
    del graph.output[1:]
    return model, case.inputs[:count]


def outcome(case: Case) -> tuple[str, str]:
    """Return "right", "wrong" or "refused", and the reason."""
    model, inputs = with_weights(case)
    alone = {x.ndim for x in inputs} == {1} and {node.op_type for node in model.graph.node} <= {*ANY_AXES, "Constant"}
    if alone:
        for value in model.graph.input:
            value.type.tensor_type.shape.dim.insert(0, onnx.TensorShapeProto.Dimension(dim_value=1))
        inputs = [x[None] for x in inputs]
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "model.onnx"
        part.write_bytes(model.SerializeToString())
        inputs = [x.astype(np.float32) if x.dtype.name != "float64" else x for x in inputs]
        example = inputs[0] if len(inputs) == 1 else tuple(inputs)
        try:
            net = lrpref.from_onnx(part, example)
            found = np.asarray(net.forward(example))
        except LrprefError as error:
            return "refused", str(error).removeprefix(f"{part}: ")
    expected = case.answer.astype(np.float64)[None] if alone else case.answer.astype(np.float64)
    if found.shape != expected.shape:
        return "wrong", f"shape {found.shape}, expected {expected.shape}"
    half = case.answer.dtype.name in ("float16", "bfloat16")
    off = abs(found - expected) / (abs(expected) + abs(expected).max(initial=0.0) + 1e-30)
    worst = float(np.nanmax(off, initial=0.0))
    same = np.array_equal(np.isfinite(found), np.isfinite(expected)) and worst < (1e-2 if half else 1e-3)
    return ("right", "") if same else ("wrong", f"off by {worst:.2g}")


def light() -> Iterator[tuple[str, str, str]]:
    """Yield the name of each architecture, and its outcome on the input of the package's own test."""
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    for path in sorted(folder.glob("*.onnx")):
        answer = onnx.numpy_helper.to_array(onnx.load_tensor(str(path).replace(".onnx", "_output_0.pb")))
        x = (np.arange(3 * 224 * 224).reshape(1, 3, 224, 224) / (3 * 224 * 224)).astype(np.float32)
        try:
            found = np.asarray(lrpref.from_onnx(path, x).forward(x))
        except LrprefError as error:
            yield path.stem, "refused", str(error).removeprefix(f"{path}: ")
            continue
        same = found.shape == answer.shape and np.allclose(found, answer, rtol=1e-3, atol=1e-7)
        yield path.stem, "right" if same else "wrong", ""


# ---- the page ----------------------------------------------------------------------------------------------------

HEAD = """# The models of the onnx package

This page is generated by `scripts/onnx_models.py`, with onnx {version}. It imports the models of the onnx package's own
tests (`onnx.backend.test`) with `from_onnx`, and compares the outputs of the imported networks with the stored answers.
It includes the models that have a float input and a float answer, and use only operators that are common at inference
in networks for images, signals and tables. `scripts/onnx_models.py` lists these operators and those that are left out;
`tests/onnx-models.txt` lists the models. This list was fixed before any of the models was tried.

If a model takes parameters as inputs, they are stored as weights. If it has several outputs, the first is compared. If
an operator works element by element, an input of one axis becomes one sample; otherwise, its first axis is the batch.
"""


def page(found: list[tuple[Case, str, str]], architectures: list[tuple[str, str, str]]) -> str:
    """Return the page."""
    lines = [HEAD.format(version=onnx.__version__)]
    count = Counter(result for _, result, _ in found)
    lines += [
        f"Of {len(found)} models, {count['right'] + count['wrong']} are imported, {count['right']} of them with the "
        f"stored answer; {count['refused']} are refused by name.",
        "",
        "| operators | models | right | wrong | refused | reasons |",
        "|---|---|---|---|---|---|",
    ]
    groups: dict[str, list[tuple[str, str]]] = {}
    for case, result, why in found:
        key = ", ".join(sorted({f"`{node.op_type}`" for node in case.model.graph.node if node.op_type != "Constant"}))
        groups.setdefault(key, []).append((result, why))
    for key in sorted(groups):
        results = Counter(result for result, _ in groups[key])
        reasons = sorted({brief(why) for _, why in groups[key] if why})
        lines.append(
            f"| {key} | {len(groups[key])} | {results['right']} | {results['wrong']} | {results['refused']} | "
            f"{'; '.join(reasons)} |"
        )
    lines += ["", "## The light architectures", "", "| architecture | result | reason |", "|---|---|---|"]
    lines += [f"| `{name}` | {result} | {brief(why)} |" for name, result, why in architectures]
    return "\n".join(lines) + "\n"


def brief(why: str) -> str:
    """Return a reason without the node's name, in at most 120 characters, and without shapes."""
    text = why.split("): ", 1)[-1].split(". Supported")[0].replace("|", "\\|").replace("\n", " ")
    text = re.sub(r"(?<=the file has )(\d+): .*", r"\1", re.sub(r" \(it computes .*", "", text))
    text = re.sub(r"(shapes?|arrays of|by|dilation) \(\d[^)]*\)", r"\1 (...)", text)
    return text if len(text) <= 120 else text[:117] + "..."


def main() -> int:
    """Run the models; return 1 if one of them imports as something else."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="models to run; all by default")
    parser.add_argument("--list", action="store_true", help="choose the models again")
    told = parser.parse_args()
    warnings.filterwarnings("ignore")
    if told.list:
        names = sorted(case.name for case in candidates() if wanted(case))
        write_text(NAMES, "\n".join(names) + "\n")
        print(f"{len(names)} models")
        return 0
    cases = [case for case in chosen() if not told.names or case.name in told.names]
    found = []
    for case in cases:
        found.append((case, *outcome(case)))
        print(f"{found[-1][1]:8} {case.name:60} {found[-1][2][:300]}", flush=True)
    if told.names:
        return 0
    architectures = []
    for name, result, why in light():
        architectures.append((name, result, why))
        print(f"{result:8} {name:60} {why[:300]}  ({time.process_time():.0f} s)", flush=True)
    write_text(PAGE, page(found, architectures))
    print(Counter(result for _, result, _ in found), Counter(result for _, result, _ in architectures))
    return int(any(result == "wrong" for _, result, _ in (*found, *architectures)))


if __name__ == "__main__":
    sys.exit(main())
