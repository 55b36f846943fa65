"""Files in the formats of other libraries, and what to do with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PICKLE = (
    "it is a pickle, and reading a pickle runs code chosen by its author. If you trust the file, load it in PyTorch, "
    'and save the weights with safetensors.torch.save_file(module.state_dict(), "weights.safetensors"), or the network '
    "with torch.onnx.export; for an estimator of scikit-learn, load it there and call lrpref.from_sklearn(estimator, "
    "example)"
)
REFUSED: Mapping[str, str] = {
    **dict.fromkeys((".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib"), PICKLE),
}
"""Suffixes of files that lrpref does not read, and the reason."""

CONVERTED: Mapping[str, str] = {
    **dict.fromkeys((".keras", ".h5", ".hdf5"), "lrpref convert {path} -o {path.stem}.npz"),
    ".onnx": "lrpref convert {path} -o {path.stem}.npz",
    ".safetensors": "lrpref convert {path} --architecture NAME -o {path.stem}.npz",
}
"""Suffixes of files that lrpref converts to its own format, and the command that does it."""


def what_to_do(path: Path) -> str | None:
    """Say what to do with an existing file or folder that is not an .npz file; None for files of unknown formats."""
    suffix = path.suffix.lower()
    if path.is_dir():
        held = sorted(p.name for p in path.iterdir() if p.suffix.lower() in (".npz", *CONVERTED))
        there = f" in it: {', '.join(held[:20])}" if held else ", such as network.npz"
        return f"{path} is a folder; give a file{there}"
    if suffix in REFUSED:
        return f"{path} cannot be imported: {REFUSED[suffix]}"
    if suffix in CONVERTED:
        command = CONVERTED[suffix].format(path=path)
        return f"{path} must be converted first: {command} (in Python, lrpref.importers.read)"
    return None
