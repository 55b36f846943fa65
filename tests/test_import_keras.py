"""Importing Keras models: every layer computes the same, channels move, sizes are held to, and the rest is refused."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import from_keras
from lrpref.cli import main
from lrpref.errors import ConversionError, ShapeError
from lrpref.importers.keras.layers import ACTIVATIONS, LAYERS, OPERATIONS

if importlib.util.find_spec("torch") is not None:
    os.environ.setdefault("KERAS_BACKEND", "torch")  # otherwise TensorFlow
keras = pytest.importorskip("keras", reason="keras is not installed: pip install -e '.[keras]'", exc_type=ImportError)
L = keras.layers
Build = Callable[[Any], Any]

SIGNAL, IMAGE, VOLUME, ROW = (9, 4), (8, 9, 4), (5, 6, 4, 4), (6,)


def built(build: Build, *shapes: tuple[int | None, ...]) -> Any:
    """A functional model with random weights; BatchNorm has learned something."""
    keras.utils.set_random_seed(3)
    inputs = [L.Input(shape, name=f"in{k}") for k, shape in enumerate(shapes)]
    model = keras.Model(inputs, build(*inputs))
    rng = np.random.default_rng(3)
    model.set_weights([rng.uniform(0.2, 1.2, w.shape) * np.sign(rng.normal(size=w.shape) + 0.5) ** (w.ndim > 1)
                       for w in map(np.asarray, model.get_weights())])  # fmt: skip
    return model


def first(x: np.ndarray) -> np.ndarray:
    """An array with its channels first."""
    return np.moveaxis(x, -1, 1) if x.ndim > 2 else x


CASES: dict[str, tuple[Build, tuple[tuple[int | None, ...], ...]]] = {
    "Dense": (L.Dense(3, activation="relu"), (ROW,)),
    "Dense of images": (L.Dense(3, use_bias=False), (IMAGE,)),
    "Dense of signals": (L.Dense(3), (SIGNAL,)),
    **{
        f"Conv{k}D {padding}": (getattr(L, f"Conv{k}D")(3, 3, padding=padding, activation="tanh"), (shape,))
        for k, shape in enumerate((SIGNAL, IMAGE, VOLUME), 1)
        for padding in ("valid", "same")
    },
    "Conv1D causal": (L.Conv1D(3, 3, padding="causal", dilation_rate=2), (SIGNAL,)),
    "Conv2D even": (L.Conv2D(3, (2, 4), padding="same", use_bias=False), (IMAGE,)),
    "Conv2D with strides": (L.Conv2D(3, 4, strides=(2, 3), padding="same"), (IMAGE,)),
    "Conv2D with dilation and groups": (L.Conv2D(4, 3, dilation_rate=(1, 2), groups=2), (IMAGE,)),
    "Conv1DTranspose": (L.Conv1DTranspose(3, 4, strides=2), (SIGNAL,)),
    "Conv2DTranspose": (L.Conv2DTranspose(3, 4, strides=2, padding="same"), (IMAGE,)),
    "Conv2DTranspose, small kernel": (L.Conv2DTranspose(3, 2, strides=3), (IMAGE,)),
    "Conv3DTranspose": (L.Conv3DTranspose(2, 2, strides=2, padding="same"), (VOLUME,)),
    "DepthwiseConv1D": (L.DepthwiseConv1D(3, depth_multiplier=2), (SIGNAL,)),
    "DepthwiseConv2D": (L.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), (IMAGE,)),
    "SeparableConv1D": (L.SeparableConv1D(5, 3, depth_multiplier=2), (SIGNAL,)),
    "SeparableConv2D": (L.SeparableConv2D(5, 3, activation="relu"), (IMAGE,)),
    "BatchNormalization": (L.BatchNormalization(), (IMAGE,)),
    "BatchNormalization of features": (L.BatchNormalization(scale=False), (ROW,)),
    "BatchNormalization bare": (L.BatchNormalization(center=False, scale=False, epsilon=0.1), (SIGNAL,)),
    "LayerNormalization": (L.LayerNormalization(), (ROW,)),
    "LayerNormalization of images": (L.LayerNormalization(epsilon=0.1), (IMAGE,)),
    "GroupNormalization": (L.GroupNormalization(2), (IMAGE,)),
    "Normalization": (L.Normalization(mean=[1.0, 2, 3, 4], variance=[1.0, 4, 9, 16]), (IMAGE,)),
    "Normalization inverted": (L.Normalization(mean=2.0, variance=4.0, invert=True), (IMAGE,)),
    "Rescaling": (L.Rescaling(1 / 255, offset=-1), (IMAGE,)),
    "Rescaling per channel": (L.Rescaling([1.0, 2, 3, 4]), (IMAGE,)),
    **{f"activation {name}": (L.Activation(name), (ROW,)) for name in ACTIVATIONS if name != "linear"},
    "Activation of a layer": (L.Activation("relu"), (IMAGE,)),
    "ReLU": (L.ReLU(), (IMAGE,)),
    "ReLU up to 6": (L.ReLU(6.0), (IMAGE,)),
    "ReLU up to 1": (L.ReLU(1.0), (IMAGE,)),
    "ReLU with a slope": (L.ReLU(negative_slope=0.3), (IMAGE,)),
    "LeakyReLU": (L.LeakyReLU(0.1), (IMAGE,)),
    "ELU": (L.ELU(0.7), (IMAGE,)),
    "PReLU": (L.PReLU(shared_axes=[1, 2]), (IMAGE,)),
    "PReLU of features": (L.PReLU(), (ROW,)),
    "Softmax": (L.Softmax(), (ROW,)),
    "Softmax of images": (L.Softmax(), (IMAGE,)),
    **{
        f"{kind}Pooling{k}D {padding}": (getattr(L, f"{kind}Pooling{k}D")(2, padding=padding), (shape,))
        for kind in ("Max", "Average")
        for k, shape in enumerate((SIGNAL, IMAGE, VOLUME), 1)
        for padding in ("valid", "same")
    },
    "MaxPooling2D that overlaps": (L.MaxPooling2D(3, 1, padding="same"), (IMAGE,)),
    **{
        f"Global{kind}Pooling{k}D {keep}": (getattr(L, f"Global{kind}Pooling{k}D")(keepdims=keep), (shape,))
        for kind in ("Max", "Average")
        for k, shape in enumerate((SIGNAL, IMAGE, VOLUME), 1)
        for keep in (True, False)
    },
    "UpSampling1D": (L.UpSampling1D(2), (SIGNAL,)),
    "UpSampling2D": (L.UpSampling2D((2, 3)), (IMAGE,)),
    "UpSampling2D bilinear": (L.UpSampling2D(2, interpolation="bilinear"), (IMAGE,)),
    "UpSampling3D": (L.UpSampling3D(2), (VOLUME,)),
    "ZeroPadding1D": (L.ZeroPadding1D((1, 2)), (SIGNAL,)),
    "ZeroPadding2D": (L.ZeroPadding2D(((1, 0), (2, 3))), (IMAGE,)),
    "ZeroPadding3D": (L.ZeroPadding3D(1), (VOLUME,)),
    "Cropping1D": (L.Cropping1D((1, 0)), (SIGNAL,)),
    "Cropping2D": (L.Cropping2D(((1, 2), (0, 3))), (IMAGE,)),
    "Cropping3D": (L.Cropping3D(1), (VOLUME,)),
    "Flatten": (L.Flatten(), (IMAGE,)),
    "Flatten and Dense": (lambda x: L.Dense(3)(L.Flatten()(x)), (IMAGE,)),
    "Reshape to an image": (L.Reshape((2, 1, 3)), (ROW,)),
    "Reshape to features": (L.Reshape((-1,)), (IMAGE,)),
    "Reshape of an image": (L.Reshape((9, -1, 2)), (IMAGE,)),
    "Reshape to one cell": (L.Reshape((1, 1, 6)), (ROW,)),
    "Permute": (L.Permute((3, 1, 2)), (IMAGE,)),
    "Permute of a signal": (L.Permute((2, 1)), (SIGNAL,)),
    "Add": (lambda a, b: L.Add()([a, b, a]), (IMAGE, IMAGE)),
    "Subtract": (lambda a, b: L.Subtract()([a, b]), (IMAGE, IMAGE)),
    "Multiply": (lambda a, b: L.Multiply()([a, b]), (IMAGE, (1, 1, 4))),
    "Concatenate": (lambda a, b: L.Concatenate()([a, b]), (IMAGE, (8, 9, 2))),
    "Concatenate of rows": (lambda a, b: L.Concatenate(axis=1)([a, b]), (IMAGE, (3, 9, 4))),
    "operators": (lambda a, b: (a + b) * a - b, (IMAGE, IMAGE)),
    "operators with numbers": (lambda x: 2.0 - (x + 3.0) * 0.5 / 4.0 - 1.0, (IMAGE,)),
    "operators with arrays": (lambda x: x * np.array([1.0, 2, 3, 4], "float32"), (IMAGE,)),
    "nothing at inference": (
        lambda x: L.Dense(2)(
            L.Identity()(L.GaussianNoise(1.0)(L.GaussianDropout(0.5)(L.AlphaDropout(0.5)(L.Dropout(0.5)(x)))))
        ),
        (ROW,),
    ),
    "nothing for images": (
        lambda x: L.ReLU()(L.SpatialDropout2D(0.5)(L.ActivityRegularization(l2=0.1)(L.ReLU()(x)))),
        (IMAGE,),
    ),
    "spatial dropout": (lambda x: L.ReLU()(L.SpatialDropout1D(0.5)(x)), (SIGNAL,)),
    "spatial dropout of volumes": (lambda x: L.ReLU()(L.SpatialDropout3D(0.5)(x)), (VOLUME,)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_layer_computes_the_same(name: str) -> None:
    build, shapes = CASES[name]
    model = built(build, *shapes)
    x = [np.random.default_rng(1).normal(size=(3, *shape)).astype("float32") for shape in shapes]
    net = from_keras(model, x[0] if len(x) == 1 else tuple(x))
    expected = keras.ops.convert_to_numpy(model(x if len(x) > 1 else x[0], training=False))
    found = net(first(x[0]) if len(x) == 1 else tuple(map(first, x)))
    assert net.dtype in (np.float32, None)
    assert_allclose(found, first(expected), rtol=1e-4, atol=1e-4 * abs(expected).max())


def test_every_layer_is_tried() -> None:
    tried = {
        type(operation).__name__ for build, shapes in CASES.values() for operation in built(build, *shapes).operations
    }
    assert tried >= {*LAYERS} - {"LayerScale"} | {*OPERATIONS}


def test_names_and_the_order_of_a_flattened_image() -> None:
    """The feature that a Dense reads is that of the cell in Keras's order, row 1, column 0, channel 2 of (2, 2, 3)."""
    model = built(lambda x: L.Dense(1, activation="softmax", name="fc")(L.Flatten(name="flat")(x)), (2, 2, 3))
    w = np.zeros((12, 1))
    w[2 * 3 + 2] = 1
    model.set_weights([w, np.zeros(1)])
    net = from_keras(model)
    assert net.names[-2:] == ["fc", "fc_softmax"]
    assert all(name.startswith("flat") for name in net.names[:-2])
    x = np.arange(12.0).reshape(1, 3, 2, 2)
    R = lrpref.explain(net, x, rule="zero")
    assert_array_equal(np.argwhere(R[0]), [[2, 1, 0]])


def test_models_inside_models_and_layers_used_twice() -> None:
    shared = L.Dense(4, activation="relu", name="shared")
    inner = built(lambda x: L.Dense(4, name="inside")(x), (4,))
    sequential = keras.Sequential([L.Input((4,)), L.Dense(3, name="last")])
    model = keras.Model((a := L.Input((4,))), sequential(inner(shared(a)) + inner(shared(shared(a)))))
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    net = from_keras(model, x)
    assert_allclose(net(x), keras.ops.convert_to_numpy(model(x)), rtol=1e-5, atol=1e-6)
    dense = [layer for name, layer, _ in net.nodes if name.startswith("shared") and isinstance(layer, lrpref.Dense)]
    assert len({id(layer) for layer in dense}) == 1
    assert sum(name.startswith("inside") for name in net.names) == 2


def test_several_inputs_and_outputs() -> None:
    image, table = L.Input((4, 4, 3), name="image"), L.Input((5,), name="table")
    both = L.Concatenate()([L.GlobalAveragePooling2D()(L.Conv2D(2, 3)(image)), L.Dense(3)(table)])
    model = keras.Model([image, table], [L.Dense(1, name="age")(both), L.Dense(2, name="sex")(both)])
    net = from_keras(model)
    assert net.inputs == ("image", "table")
    assert net.outputs == ("age", "sex")


def test_padding_that_depends_on_the_size_holds_for_that_size() -> None:
    free = from_keras(
        built(lambda x: L.GlobalMaxPooling2D()(L.Conv2D(2, 3)(x)), (None, None, 3)), np.ones((1, 9, 9, 3))
    )
    assert free.input_shape is None
    strided = built(lambda x: L.Conv2D(2, 3, strides=2, padding="same")(x), (None, None, 3))
    fixed = from_keras(strided, np.ones((1, 9, 9, 3)))
    assert fixed.input_shape == (3, 9, 9)
    with pytest.raises(ShapeError, match="its padding is computed at that size"):
        fixed(np.ones((1, 3, 8, 8)))
    with pytest.raises(ConversionError, match="does not fix the size of its input 'in0'"):
        from_keras(strided)


class Own(L.Layer):
    """A layer of the user's."""

    def call(self, x: Any) -> Any:
        return 2 * x


class Subclassed(keras.Model):
    """A model without a graph."""

    def call(self, x: Any) -> Any:
        return x


def mean_of(x: Any) -> Any:
    """A function of the user's."""
    return x - keras.ops.mean(x)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "recurrent": (lambda: built(L.LSTM(3, name="lstm"), (5, 4)), r"layer 'lstm' \(LSTM\): unsupported .* recurrent"),
    "attention": (lambda: built(lambda x: L.MultiHeadAttention(2, 2)(x, x), (5, 4)), "attention is not imported"),
    "words": (lambda: built(L.Embedding(9, 3), (5,)), "layers for indices, such as words, are not"),
    "own": (lambda: built(lambda x: L.Dense(2)(Own(name="own")(x)), (4,)), "layer 'own' .*custom code"),
    "own activation": (lambda: built(L.Dense(2, activation=mean_of), (4,)), "its activation function 'mean_of' is not"),
    "channels first": (
        lambda: built(L.GlobalAveragePooling2D(data_format="channels_first"), (3, 4, 4)),
        "data_format='channels_first' is not supported",
    ),
    "another axis": (lambda: built(L.Softmax(axis=1), IMAGE), "axis=1 is not supported, only the last"),
    "bicubic": (lambda: built(L.UpSampling2D(2, interpolation="bicubic"), IMAGE), "interpolation='bicubic'"),
    "slope per position": (lambda: built(L.PReLU(), IMAGE), "shared_axes"),
    "threshold": (lambda: built(L.ReLU(threshold=1.0), ROW), "a threshold of 1"),
    "slope and bound": (lambda: built(L.ReLU(6.0, negative_slope=0.1), ROW), "together"),
    "three factors": (lambda: built(lambda a, b: L.Multiply()([a, b, a]), ROW, ROW), "3 factors"),
    "constant per position": (
        lambda: built(lambda x: x + np.ones((9, 4), "float32"), IMAGE),
        r"constant of shape \(9, 4\)",
    ),
    "a quotient": (lambda: built(lambda a, b: a / b, ROW, ROW), "division by an activation"),
    "no graph": (lambda: Subclassed(name="mine"), "Subclassed 'mine' has no graph"),
    "unbuilt": (lambda: keras.Sequential([L.Dense(2)]), "needs an Input or a first call"),
    "its input": (lambda: built(L.Identity(), ROW), "returns its input"),
    "not a model": (lambda: 3, "expected a keras.Model or its file, got int"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_rest_is_refused_by_name(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ConversionError, match=message):
        from_keras(make())


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (np.ones((2, 5)), r"takes inputs of shape \(None, 6\), the example has shape \(2, 5\)"),
        ("words", "the example must be an array of numbers"),
    ],
)
def test_examples_that_do_not_fit(example: Any, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        from_keras(built(L.Dense(2), ROW), example)


def test_a_model_that_computes_something_else_is_refused() -> None:
    class Twice(keras.Model):
        def call(self, x: Any, training: Any = None) -> Any:
            return 2 * super().call(x, training=training)

    inputs = L.Input((4,))
    with pytest.raises(ConversionError, match=r"differs from the model by 0\.5"):
        from_keras(Twice(inputs, L.Dense(2)(inputs)))


# ---- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_files(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("h5py", reason="h5py is not installed")
    model, path = built(lambda x: L.Dense(3)(L.Flatten()(L.Conv2D(2, 3)(x))), (6, 5, 3)), tmp_path / f"net{suffix}"
    model.save(path)
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 3))
    net = lrpref.importers.read(path, x)
    assert_allclose(net(first(x)), keras.ops.convert_to_numpy(model(x)), rtol=1e-4, atol=1e-5)
    assert main(["convert", str(path), "-o", str(tmp_path / "net.npz")]) == 0
    assert "parameters, float32" in capsys.readouterr().out
    assert lrpref.weights.metadata(tmp_path / "net.npz")["input"] == {"shape": [3, 6, 5]}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "net.keras").write_text("hello")
    with pytest.raises(ConversionError, match=r"net\.keras: Keras cannot read the model"):
        from_keras(tmp_path / "net.keras")
    with pytest.raises(ConversionError, match="does not exist"):
        from_keras(tmp_path / "none.keras")
    with pytest.raises(ConversionError, match=r"Keras reads \.keras"):
        from_keras(tmp_path / "net.pkl")


def test_a_file_with_code_is_refused(tmp_path: Path) -> None:
    model = keras.Sequential([L.Input((3,)), L.Lambda(lambda x: 2 * x), L.Dense(2)])
    model.save(tmp_path / "net.keras")
    with pytest.raises(ConversionError, match="Keras cannot read the model"):
        from_keras(tmp_path / "net.keras")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["EfficientNetB0", "MobileNetV3Small", "VGG16", "ResNet50V2", "ConvNeXtTiny"])
def test_applications(name: str) -> None:
    """keras.applications with random weights; the import itself compares both in float64."""
    model = getattr(keras.applications, name)(weights=None, classes=10, input_shape=(64, 64, 3))
    net = from_keras(model)
    assert net.shapes((1, 3, 64, 64))[net.output] == (1, 10)
    assert net.head is not None
