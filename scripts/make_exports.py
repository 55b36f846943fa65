"""Write tests/exported: small networks as other libraries export them, with the outputs those libraries compute.

    python scripts/make_exports.py torch        needs torch and onnxscript
    python scripts/make_exports.py tokens       needs torch and onnxscript
    python scripts/make_exports.py keras        needs tensorflow and tf2onnx
    python scripts/make_exports.py sklearn      needs scikit-learn and skl2onnx

NAME.onnx holds the network; NAME.npz holds an input `x` in the layout of the file, the library's own output `y` and,
for the chain of ReLUs, `gradient`, the gradient of the sum of the outputs. The networks are random and small enough to
read: only the exported form matters.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent.parent / "tests" / "exported"
RNG = np.random.default_rng(20)


def keep(name: str, **arrays: np.ndarray) -> None:
    """Write the outputs next to the file, and strip from the file where and how it was made."""
    import onnx

    path = FOLDER / f"{name}.onnx"
    model = onnx.load_model(path, load_external_data=False)
    for node in model.graph.node:  # torch stores stack traces there
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        value.ClearField("metadata_props")
    for part in (model, model.graph):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    path.write_bytes(model.SerializeToString())
    np.savez_compressed(FOLDER / f"{name}.npz", **{key: np.asarray(a, np.float32) for key, a in arrays.items()})
    print(name, path.stat().st_size, "bytes")


# ---- PyTorch, both exporters -------------------------------------------------------------------------------------


def torch_networks() -> None:
    """Export a residual network with both exporters: dynamo, and the older TorchScript one."""
    import torch
    from torch import nn

    torch.manual_seed(20)

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
            self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.BatchNorm2d(4)
            self.pool, self.norm = nn.MaxPool2d(3, 2, 1), nn.BatchNorm2d(8)
            self.mean, self.pad = nn.AvgPool2d(2, count_include_pad=False), nn.ZeroPad2d((1, 0, 0, 1))
            self.drop, self.fc = nn.Dropout(0.3), nn.Linear(72, 5)

        def forward(self, x: Any) -> Any:
            x = self.pool(torch.relu(self.bn1(self.conv1(x))))
            x = nn.functional.relu6(self.bn2(self.conv2(x)) + x)
            x = nn.functional.leaky_relu(self.norm(torch.cat([x, torch.tanh(x)], 1)), 0.1)
            return self.fc(self.drop(torch.flatten(self.mean(self.pad(x)), 1)))

    net = Residual()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight)
            part.running_mean.normal_()
            part.running_var.uniform_(0.2, 2.0)
    net.eval()
    x = torch.randn(2, 3, 10, 10)
    for name, dynamo in (("torch-dynamo", True), ("torch-script", False)):
        torch.onnx.export(net, (x,), FOLDER / f"{name}.onnx", dynamo=dynamo)
        keep(name, x=x, y=net(x).detach())


def token_networks() -> None:
    """Export small vision and sentence transformers (`train_transformers.py`) with both exporters."""
    import torch
    from train_transformers import SentenceTransformer, VisionTransformer

    torch.manual_seed(20)
    vision, sentence = VisionTransformer(8, 1), SentenceTransformer(9, 8, 1)
    images, words = torch.randn(2, 1, 28, 28), torch.randint(0, 9, (2, 5))
    for net, x, name in ((vision, images, "vit"), (sentence, words, "text")):
        for part in net.parameters():
            torch.nn.init.normal_(part, std=0.3)
        net.eval()
        for exporter, dynamo in (("dynamo", True), ("script", False)):
            path = FOLDER / f"torch-{exporter}-{name}.onnx"
            torch.onnx.export(net, (x,), path, dynamo=dynamo, external_data=False)
            keep(path.stem, x=x, y=net(x).detach())


# ---- Keras -------------------------------------------------------------------------------------------------------


def keras_networks() -> None:
    """Export networks on images of shape (N, H, W, C): a graph, a chain on one channel, and a flattened input."""
    import keras
    import tensorflow as tf
    from keras import layers

    keras.utils.set_random_seed(20)

    def write(name: str, model: Any) -> None:
        x = RNG.normal(size=(2, *model.inputs[0].shape[1:])).astype(np.float32)
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization):
                weights = layer.get_weights()
                layer.set_weights(
                    [RNG.uniform(0.3, 2.0, w.shape) * (1 if i == 3 else -1) for i, w in enumerate(weights)]
                )
        with tf.GradientTape() as tape:
            given = tf.constant(x)
            tape.watch(given)
            y = model(given)
            total = tf.reduce_sum(y)
        extra = {"gradient": tape.gradient(total, given).numpy()} if name == "keras-sequential" else {}
        model.export(str(FOLDER / f"{name}.onnx"), format="onnx", verbose=False)
        keep(name, x=x, y=y.numpy(), **extra)

    inputs = layers.Input((12, 12, 3))
    x = layers.BatchNormalization()(layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(inputs))
    x = layers.ReLU()(x)
    y = layers.LeakyReLU(negative_slope=0.1)(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.ZeroPadding2D(((0, 1), (1, 0)))(layers.MaxPooling2D(3, 2, padding="same")(layers.Add()([x, y])))
    x = layers.Concatenate()([layers.Conv2D(4, 2, dilation_rate=2)(x), layers.AveragePooling2D(3, 1)(x)])
    x = layers.GlobalAveragePooling2D()(layers.ReLU(max_value=6)(x))
    x = layers.Dense(3)(layers.Dropout(0.5)(layers.Dense(5, activation="tanh")(x)))
    write("keras-functional", keras.Model(inputs, x))
    chain = [
        layers.Conv2D(4, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Conv2D(3, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(7, activation="relu"),
        layers.BatchNormalization(),
        layers.Dense(4),
    ]
    write("keras-sequential", keras.Sequential([layers.Input((12, 12, 1)), *chain]))
    plain = [
        layers.Flatten(),
        layers.Dense(6),
        layers.BatchNormalization(),
        layers.Activation("sigmoid"),
        layers.Dense(2),
    ]
    write("keras-flatten", keras.Sequential([layers.Input((4, 5, 3)), *plain]))


# ---- scikit-learn ------------------------------------------------------------------------------------------------


def sklearn_networks() -> None:
    """Export classifiers with two outputs: labels and probabilities. Those of two classes are [1 - p, p]."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    def write(name: str, images: np.ndarray, labels: np.ndarray, hidden: tuple[int, ...]) -> None:
        net = MLPClassifier(hidden, max_iter=30, random_state=20).fit(images, labels)
        model = to_onnx(net, images[:1], options={"zipmap": False})
        (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())
        keep(name, x=images[:6], y=net.predict_proba(images[:6]))

    images, labels = load_digits(return_X_y=True)
    images = images.astype(np.float32)
    write("sklearn-mlp", images, labels, (8, 6))
    write("sklearn-binary", images[:, 10:20], labels > 4, (5,))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    made = {"torch": torch_networks, "tokens": token_networks, "keras": keras_networks, "sklearn": sklearn_networks}
    for library in sys.argv[1:]:
        made[library]()
