"""Picture files as people have them: read right, or refused by name."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import lrpref
from lrpref import Dense, Flatten, Network, cli, inputs
from lrpref.errors import InputError
from lrpref.zoo import pictures

GRADIENT = np.arange(256).reshape(16, 16) / 255
"""Grey values 0, 1/255, ... 1, whose mean is one half."""

SHAPE = (1, 16, 16)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in its own empty folder."""
    monkeypatch.chdir(tmp_path)


def said_of(name: str, shape: tuple[int, ...] = SHAPE, **how: Any) -> tuple[np.ndarray, list[str]]:
    """The picture as a network gets it, and the sentences about it."""
    said: list[str] = []
    return inputs.read(name, shape, report=said.append, **how), said


def bits(values: np.ndarray, white: int, dtype: type = np.uint8) -> np.ndarray:
    """Values in [0, 1] as integers."""
    return np.round(values * white).astype(dtype)


def patched(name: str, tag: int, old: int, new: int) -> None:
    """Change the value of a tag in a little-endian TIFF file, where it is a short number."""

    def entry(value: int) -> bytes:
        return tag.to_bytes(2, "little") + b"\3\0\1\0\0\0" + value.to_bytes(4, "little")

    whole = Path(name).read_bytes()
    assert whole.count(entry(old)) == 1
    Path(name).write_bytes(whole.replace(entry(old), entry(new)))


def write_png(width: int, height: int, depth: int, kind: int, rows: bytes, *more: tuple[bytes, bytes]) -> None:
    """Write x.png from its parts; `rows` are the bytes of the pixels, `more` are further chunks."""
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = [(b"IHDR", head), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    Path("x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


# ---- more than 8 bits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.png", "x.tiff", "x.pgm"])
def test_sixteen_bits(name: str) -> None:
    """In lrpref 0.2, where 16 bits were cut off at 255, the mean was 0.96."""
    Image.fromarray(bits(GRADIENT, 65535, np.uint16)).save(name)
    found, said = said_of(name)
    assert (found.dtype, said) == (np.float32, [])
    assert_allclose(found[0, 0], GRADIENT, atol=1e-6)
    assert_allclose(found.mean(), 0.5, atol=1e-6)
    assert_allclose(inputs.read(name, (3, 16, 16)), np.repeat(found, 3, axis=1))
    assert_allclose(inputs.read(name, (1, 1, 1)).item(), 0.5, atol=1e-6)  # resized as numbers, not as integers


def test_a_portable_greymap_may_have_another_white() -> None:
    Path("x.pgm").write_bytes(b"P5\n3 1\n1000\n" + np.array([0, 500, 1000], ">u2").tobytes())
    assert_allclose(inputs.read("x.pgm", (1, 1, 3)).ravel(), [0, 0.5, 1], atol=1e-4)


def test_twelve_bits() -> None:
    """White is 4095: two grey values are three bytes."""
    Image.fromarray(np.zeros((1, 4), np.uint16)).save("x.tiff")
    patched("x.tiff", 258, 16, 12)
    whole = Path("x.tiff").read_bytes()
    with Image.open("x.tiff") as image:
        (start,) = image.tag_v2[273]
    packed = bytes([0x00, 0x0F, 0xFF, 0x80, 0x08, 0x00])  # 0x000, 0xfff, 0x800, 0x800
    Path("x.tiff").write_bytes(whole[:start] + packed + whole[start + 6 :])
    assert_allclose(inputs.read("x.tiff", (1, 1, 4)).ravel(), np.array([0, 4095, 2048, 2048]) / 4095, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_tiff_whose_zero_is_white(dtype: type) -> None:
    values = GRADIENT.astype(dtype) if dtype == np.float32 else bits(GRADIENT, np.iinfo(dtype).max, dtype)
    Image.fromarray(values).save("x.tiff")
    patched("x.tiff", 262, 1, 0)
    assert_allclose(inputs.read("x.tiff", SHAPE)[0, 0], 1 - GRADIENT, atol=1e-6)


def test_floating_point_pixels_are_kept() -> None:
    """In lrpref 0.2 they were cut to integers: the mean was 0.00014."""
    Image.fromarray(GRADIENT.astype(np.float32)).save("x.tiff")
    found, said = said_of("x.tiff")
    assert said == []
    assert_array_equal(found[0, 0], GRADIENT.astype(np.float32))
    Path("x.pfm").write_bytes(b"Pf\n2 1\n-1.0\n" + np.array([0.25, 0.5], "<f4").tobytes())
    assert_array_equal(inputs.read("x.pfm", (1, 1, 2)).ravel(), [0.25, 0.5])


@pytest.mark.parametrize("worst", [1.001, -0.001, 255.0, np.nan, np.inf])
def test_floating_point_pixels_out_of_range_are_refused(worst: float) -> None:
    values = GRADIENT.astype(np.float32)
    values[3, 4] = worst
    Image.fromarray(values).save("x.tiff")
    with pytest.raises(InputError, match=r"x\.tiff holds floating-point numbers from .* in \[0, 1\]\. Divide them by"):
        inputs.read("x.tiff", SHAPE)


def test_integers_without_an_agreed_white_are_refused() -> None:
    Image.fromarray(np.full((16, 16), 2**30, np.int32)).save("x.tiff")
    with pytest.raises(InputError, match=r"x\.tiff holds signed integers, so the value of white is unknown"):
        inputs.read("x.tiff", SHAPE)
    patched("x.tiff", 339, 2, 1)
    with pytest.raises(InputError, match=r"x\.tiff holds 32-bit integers, so the value of white is unknown"):
        inputs.read("x.tiff", SHAPE)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_fewer_than_8_bits(depth: int) -> None:
    """Grey values, and a palette of as many."""
    white = 2**depth - 1
    values = np.arange(16) % (white + 1)
    row = np.packbits((values[:, None] >> np.arange(depth)[::-1]) & 1).tobytes()
    palette = b"".join(bytes([round(255 * k / white)] * 3) for k in range(white + 1))
    for kind, more in ((0, []), (3, [(b"PLTE", palette)])):
        write_png(16, 1, depth, kind, b"\0" + row, *more)
        assert_allclose(inputs.read("x.png", (1, 1, 16)).ravel(), values / white, atol=0.5 / 255)


def test_sixteen_bits_per_colour_are_read_to_eight() -> None:
    """Pillow keeps the upper eight bits."""
    values = np.array([[[0, 32768, 65535], [65535, 0, 257]]], ">u2")
    Path("x.ppm").write_bytes(b"P6\n2 1\n65535\n" + values.tobytes())
    assert_allclose(inputs.read("x.ppm", (3, 1, 2))[0], np.moveaxis(values, -1, 0) / 65535, atol=1 / 255)


# ---- colours -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.jpg", "x.tiff"])
def test_cmyk(name: str) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(name)
    found, said = said_of(name, (3, 16, 16))
    assert said == [f"{name}: converted from CMYK to RGB"]
    assert_allclose(found[0, :, 8, 8], [1, 0, 0], atol=3 / 255)  # red
    grey, said = said_of(name)
    assert said == [f"{name}: converted from CMYK to grey"]
    assert_allclose(grey, 0.299, atol=3 / 255)


def test_a_palette() -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 10, 20, 30])
    for name in ("x.png", "x.gif", "x.bmp"):
        image.save(name)
        found, said = said_of(name, (3, 2, 2))
        assert_array_equal(
            np.round(found[0] * 255).reshape(3, 4).T, [[255, 0, 0], [0, 255, 0], [10, 20, 30], [0, 255, 0]]
        )
        assert said == [f"{name}: converted from a palette to RGB"]


def test_a_colour_space_that_pillow_cannot_convert_is_refused() -> None:
    Image.new("LAB", (16, 16)).save("x.tiff")
    with pytest.raises(InputError, match=r"x\.tiff is not a readable image .*LAB"):
        inputs.read("x.tiff", SHAPE)


# ---- transparency ------------------------------------------------------------------------------------------------


def transparent(kind: str) -> str:
    """Write a picture of which the left half is opaque black and the right half transparent; return its name."""
    name, right = "x.png", np.arange(16) >= 8
    alpha = Image.fromarray(np.broadcast_to(np.where(right, 0, 255).astype(np.uint8), (16, 16)).copy())
    black, marked = Image.new("L", (16, 16)), Image.fromarray(np.broadcast_to(right, (16, 16)).astype(np.uint8) * 77)
    palette = Image.fromarray(np.broadcast_to(right, (16, 16)).astype(np.uint8), "P")
    palette.putpalette([0, 0, 0, 9, 9, 9])
    match kind:
        case "grey and alpha":
            Image.merge("LA", [black, alpha]).save(name)
        case "colour and alpha":
            Image.merge("RGBA", [black, black, black, alpha]).save(name)
        case "a transparent grey value":
            marked.save(name, transparency=77)
        case "a transparent colour":
            Image.merge("RGB", [marked] * 3).save(name, transparency=(77, 77, 77))
        case "a transparent bit":
            Image.fromarray(np.broadcast_to(right, (16, 16)).copy()).save(name, transparency=1)
        case "a palette":
            palette.save(name, transparency=1)
        case "a palette of alphas":
            palette.save(name, transparency=bytes([255, 0]))
        case "gif":
            palette.save(name := "x.gif", transparency=1)
        case "webp":
            Image.merge("RGBA", [black, black, black, alpha]).save(name := "x.webp", lossless=True)
        case "tiff":
            Image.merge("RGBA", [black, black, black, alpha]).save(name := "x.tiff")
    return name


KINDS = [
    *("grey and alpha", "colour and alpha", "a transparent grey value", "a transparent colour", "a transparent bit"),
    *("a palette", "a palette of alphas", "gif", "webp", "tiff"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_transparent_picture_needs_a_background(kind: str) -> None:
    name = transparent(kind)
    with pytest.raises(InputError, match=rf"{name} has transparent pixels.*--background white"):
        inputs.read(name, SHAPE)
    for background, below in {"white": 1, "#3c3c3c": 60 / 255, 0.2: 0.2, "0.2": 0.2, 0: 0}.items():
        found, said = said_of(name, background=background)
        assert_allclose(found[0, 0], np.broadcast_to(np.where(np.arange(16) < 8, 0, below), (16, 16)), atol=1e-6)
        assert "laid on the background" in said[0]
    assert_allclose(inputs.read(name, (3, 16, 16), background="red")[0, :, 0, 15], [1, 0, 0])


def test_half_transparent_pixels_are_mixed() -> None:
    Image.new("LA", (16, 16), (255, 51)).save("x.png")
    with pytest.raises(InputError, match="transparent"):
        inputs.read("x.png", SHAPE)
    assert_allclose(inputs.read("x.png", SHAPE, background="black"), 0.2)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_opaque_picture_with_an_alpha_channel_needs_none(mode: str) -> None:
    image = Image.fromarray(bits(GRADIENT, 255)).convert(mode)
    image.save("x.png")
    for background in (None, "red"):
        assert_allclose(inputs.read("x.png", SHAPE, background=background)[0, 0], GRADIENT, atol=1e-6)


def test_inverting_comes_after_the_background() -> None:
    name = transparent("grey and alpha")
    assert_allclose(inputs.read(name, SHAPE, invert=True, background="white")[0, 0, 0, [0, 15]], [1, 0])


@pytest.mark.parametrize(("depth", "colours"), [(2, 1), (4, 1), (16, 1), (16, 3)])
def test_a_transparent_value_of_another_depth_is_refused(depth: int, colours: int) -> None:
    """Pillow compares it with pixels of 8 bits: the wrong ones would be transparent, or none."""
    row = bytes(-(-4 * depth * colours // 8))
    for transparent, message in (
        (False, None),
        (True, r"x\.png marks a value as transparent and is not of 8 bits; save it with"),
    ):
        value = [(b"tRNS", b"\0\1" * colours)] * transparent
        write_png(4, 1, depth, 0 if colours == 1 else 2, b"\0" + row, *value)
        if message is None:
            assert_array_equal(inputs.read("x.png", (1, 1, 4)), np.zeros((1, 1, 1, 4)))
            continue
        with pytest.raises(InputError, match=message):
            inputs.read("x.png", (1, 1, 4), background="white")


@pytest.mark.parametrize(
    "background", ["wite", "", "#12345", "#ffffff80", "255", 255, -0.1, float("nan"), (1, 2, 3), []]
)
def test_what_is_not_a_background_is_refused(background: Any) -> None:
    Image.new("L", (16, 16)).save("x.png")
    with pytest.raises(InputError, match="a background is an opaque colour such as white or #ffcc00, or a grey value"):
        inputs.read("x.png", SHAPE, background=background)


# ---- orientation, frames, sizes ----------------------------------------------------------------------------------

ORIENTED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a, -1),
}
"""How a camera stores an upright picture under each EXIF orientation."""


EIGHT, SIXTEEN = np.uint8, np.uint16


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, EIGHT) for name in ("x.jpg", "x.png", "x.tiff", "x.webp")), ("x.png", SIXTEEN), ("x.tiff", SIXTEEN)],
)
@pytest.mark.parametrize("orientation", ORIENTED)
def test_the_orientation_is_applied(name: str, orientation: int, dtype: type) -> None:
    upright = np.zeros((32, 16))
    upright[:8, :8] = 1  # the upper left quarter of the upper half is white
    upright[:8, 8:] = 0.5
    exif = Image.Exif()
    exif[274] = orientation
    stored = bits(ORIENTED[orientation](upright), np.iinfo(dtype).max, dtype)
    Image.fromarray(stored).save(name, exif=exif.tobytes(), **({"quality": 95} if dtype == np.uint8 else {}))
    found, said = said_of(name, (1, 4, 2))
    assert_allclose(found[0, 0], [[1, 0.5], [0, 0], [0, 0], [0, 0]], atol=0.02)
    turned = [f"turned upright (EXIF orientation {orientation})"] * (orientation > 1)
    grey = ["converted from RGB to grey"] * (name == "x.webp")
    assert said == [f"{name}: {'; '.join([*turned, *grey, 'resized from 16 x 32 to 2 x 4'])}"]


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.webp", "x.tiff"])
def test_the_first_of_several_frames(name: str) -> None:
    frames = [Image.new("L", (16, 16), value) for value in (255, 100, 0)]
    frames[0].save(name, save_all=True, append_images=frames[1:])
    found, said = said_of(name)
    assert_allclose(found, 1)
    assert said[0].startswith(f"{name}: only the first of its frames used")


def test_a_photograph_with_a_second_picture_inside() -> None:
    """As phones write them: a JPEG file with further frames, such as a depth map."""
    Image.new("L", (16, 16), 200).save("x.jpg", "MPO", save_all=True, append_images=[Image.new("L", (16, 16))])
    found, said = said_of("x.jpg")
    assert_allclose(found, 200 / 255, atol=1 / 255)
    assert said == ["x.jpg: only the first of its frames used"]


def test_what_was_done_is_said_in_one_line() -> None:
    Image.new("RGB", (640, 480)).save("x.png")
    assert said_of("x.png", (3, 32, 32))[1] == [
        "x.png: resized from 640 x 480 to 32 x 32, which changes its proportions"
    ]
    assert said_of("x.png", (1, 48, 64))[1] == ["x.png: converted from RGB to grey; resized from 640 x 480 to 64 x 48"]


def test_a_picture_that_is_used_as_it_is_needs_no_words() -> None:
    Image.fromarray(bits(GRADIENT, 255)).save("x.png")
    assert said_of("x.png")[1] == []
    assert said_of("digit-4", (1, 28, 28))[1] == []


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (8193, 8192)).save("x.png")
    with pytest.raises(InputError, match=r"x\.png has 8193 x 8192 pixels; at most 67108864 are read"):
        inputs.read("x.png", SHAPE)
    for size in (12_000, 30_000):  # Pillow warns of the first and refuses the second
        write_png(size, size, 8, 0, b"")
        with pytest.raises(InputError, match=rf"x\.png .*{size}|x\.png .*exceeds limit"):
            inputs.read("x.png", SHAPE)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 256)
    Image.new("L", (16, 16)).save("x.png")
    inputs.read("x.png", SHAPE)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tiff", "x.gif", "x.bmp", "x.webp", "x.ppm"])
def test_a_picture_cut_short_is_refused(name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(name)
    whole = Path(name).read_bytes()
    Path(name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=f"{name} is not a readable image"):
        inputs.read(name, (3, 64, 64))


def test_a_format_that_is_not_on_the_list_is_refused() -> None:
    """Whatever the file is called."""
    for form in ("ICO", "PCX", "SGI", "TGA", "EPS"):
        stream = io.BytesIO()
        Image.new("RGB", (16, 16)).save(stream, form)
        Path("x.png").write_bytes(stream.getvalue())
        with pytest.raises(
            InputError, match=r"x\.png is not a readable image \(PNG, JPEG, TIFF, BMP, GIF, WEBP, PPM\)"
        ):
            inputs.read("x.png", SHAPE)


# ---- dark ink on light paper -------------------------------------------------------------------------------------

DIGIT = (1, 28, 28)


def test_dark_ink_on_light_paper_is_pointed_out() -> None:
    ink = lrpref.samples.load("digit-4")[0, 0]
    Image.fromarray(bits(ink, 255)).save("light.png")
    Image.fromarray(bits(1 - ink, 255)).save("dark.png")
    Image.new("L", DIGIT[1:], 255).save("blank.png")
    hint = "looks like dark ink on light paper; for a network trained on light ink on dark, as MNIST's is, "
    assert said_of("dark.png", DIGIT)[1] == [f"dark.png: {hint}use --invert"]
    assert said_of("light.png", DIGIT, invert=True)[1] == [f"light.png: {hint}leave out --invert"]
    for name, invert in (("dark.png", True), ("light.png", False), ("blank.png", False)):
        assert said_of(name, DIGIT, invert=invert)[1] == []
    assert said_of("dark.png", (3, 28, 28))[1] == ["dark.png: converted from grey to RGB"]


def test_a_network_trained_on_light_pictures_needs_no_hint() -> None:
    Image.fromarray(bits(1 - lrpref.samples.load("digit-4")[0, 0], 255)).save("dark.png")
    for mean, told in {0.1307: 1, 0.9: 0}.items():
        assert len(said_of("dark.png", DIGIT, normalisation=inputs.Normalisation([mean], [0.3]))[1]) == told


def test_the_paper_is_what_lies_at_the_border() -> None:
    """The median of the outermost pixels is above one half, and the mean of all pixels below that median."""
    picture = np.zeros((1, 1, 9, 9))
    assert not pictures.looks_dark_on_light(picture)
    picture[..., [0, -1], :] = picture[..., [0, -1]] = 0.6
    assert pictures.looks_dark_on_light(picture)
    assert not pictures.looks_dark_on_light(picture * 0.8)
    picture[..., 1:-1, 1:-1] = 0.7
    assert not pictures.looks_dark_on_light(picture)


@pytest.mark.slow
def test_the_command_line_says_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    ink = Image.fromarray(bits(lrpref.samples.load("digit-4")[0, 0], 255))
    Image.merge("LA", [Image.new("L", (28, 28)), ink]).resize((56, 56)).save("ink.png")
    command = ["explain", "mnist-cnn", "ink.png"]
    assert cli.main(command) == 2
    assert "ink.png has transparent pixels" in capsys.readouterr().err
    for arguments, done in {
        (
            "--background",
            "white",
        ): "dark ink on light paper; for a network trained on light ink on dark, as MNIST's is, "
        "use --invert\nmnist-cnn says",
        ("--background", "white", "--invert"): "56 x 56 to 28 x 28\nmnist-cnn says that ink.png is 4 (",
    }.items():
        assert cli.main([*command, *arguments]) == 0
        out = capsys.readouterr().out
        assert out.startswith("ink.png: laid on the background; resized from 56 x 56 to 28 x 28\n")
        assert done in out


# ---- arrays of pixels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (">u2", 65535)])
def test_an_array_of_pixels_is_refused_wherever_a_network_takes_an_input(dtype: Any, white: int) -> None:
    net = Network.sequential(Flatten(), Dense(np.ones((2, 4))))
    x = np.array([[[[0, 200], [7, 1]]]], dtype=dtype)
    calls = {
        "forward": net.forward,
        "explain": lambda x: lrpref.explain(net, x),
        "trace": lambda x: lrpref.trace(net, x),
        "prepare": lambda x: lrpref.prepare(net).explain(x),
        "a list": lambda x: net.forward(list(x)),
        "exact": lrpref.exact,
        "verify": lambda x: lrpref.fuse(net, verify=x),
    }
    for name, call in calls.items():
        with pytest.raises(InputError, match=rf"-bit pixels up to 200; use x / {white}.* x\.astype\('float64'\)"):
            call(x)
        assert call(x / white) is not None, name


@pytest.mark.parametrize("x", [[[2, 1]], np.array([[2, 1]]), np.array([[1, 0]], np.uint8), np.array([[True, False]])])
def test_other_integers_are_numbers(x: Any) -> None:
    net = Network.sequential(Dense([[1.0, 10.0]]))
    assert_array_equal(net.forward(x), np.asarray(x) @ [[1.0], [10.0]])
