"""The command line: the output of each command, and user errors reported without a traceback."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import lrpref
from lrpref import (
    Add,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    MaxPool2D,
    Network,
    ReLU,
    Scale,
    Softmax,
    cli,
    plot,
    rules,
)
from lrpref.cli.common import class_index
from lrpref.cli.explain import _number
from lrpref.cli.rules import rule_table
from lrpref.errors import FusionError, RuleError, ShapeError, TargetError
from lrpref.zoo import text
from lrpref.zoo.inputs import Normalisation

ROOT = Path(__file__).parent.parent


class Said(NamedTuple):
    """The exit code and output of one run of the command line."""

    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Said:
        code = cli.main([str(argument) for argument in arguments])
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Collect the figures by file name instead of writing them to files."""
    figures: dict[str, Any] = {}
    monkeypatch.setattr(plot, "save", lambda figure, path, about="": figures.update({str(path): figure}))
    return figures


def network(channels: int = 1, *end: lrpref.Layer) -> Network:
    """Return a small network with a BatchNorm, for 4 x 4 images."""
    rng = np.random.default_rng(0)
    conv = Conv2D(rng.normal(size=(3, channels, 3, 3)), padding=1)
    norm = BatchNorm([1.0, -2.0, 0.5], [0.1, 0.2, 0.3], [0.5, 0.0, -0.5], [1.0, 2.0, 3.0])
    end = end or (Flatten(), Dense(rng.normal(size=(2, 48))))
    return Network.sequential(conv, norm, ReLU(), *end)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Save the small network with metadata, and an input for it."""
    lrpref.save(network(), tmp_path / "tiny.npz", {"input": {"shape": [1, 4, 4]}, "classes": ["left", "right"]})
    np.save(tmp_path / "x.npy", np.random.default_rng(1).random((1, 4, 4)))
    return tmp_path / "tiny.npz"


def is_png(path: Path) -> bool:
    """Return whether a file is a complete PNG image."""
    with Image.open(path) as image:
        image.load()
        return image.format == "PNG" and min(image.size) > 100


# ---- explain ---------------------------------------------------------------------------------------------------


def test_explain(run: Run, tmp_path: Path) -> None:
    code, out, err = run("explain", "mnist-cnn-bn", "digit-4", "--out", "four.png")
    assert (code, err) == (0, "")
    net = lrpref.fuse(lrpref.load("mnist-cnn-bn"))
    tr = lrpref.trace(net, lrpref.samples.load("digit-4"))
    output = float(tr.logits[0, 4])
    probability = float(Softmax().forward(tr.logits)[0, 4])
    assert "fused 3 of 3 BatchNorm layers; the output changed by " in out
    assert f"mnist-cnn-bn says that digit-4 is 4 (output {output:.3f}, probability {probability:.3f})\n" in out
    assert "explained: 4, starting from logit\n" in out
    assert f"epsilon-plus-flat: {tr.ledger}" in out
    assert out.endswith("\nwrote four.png\n")
    assert is_png(tmp_path / "four.png")
    assert [path.name for path in tmp_path.iterdir()] == ["four.png"]


def test_the_picture_is_called_heatmap_unless_told(run: Run, tiny: Path, tmp_path: Path) -> None:
    assert run("explain", tiny, "x.npy").out.endswith("wrote heatmap.png\n")
    assert is_png(tmp_path / "heatmap.png")


def test_unknown_words_are_named_and_files_are_no_sentences(run: Run) -> None:
    asked = ("explain", "review-transformer", "A great zzzqq movie.", "--rule", "cp-lrp")
    assert "the network does not know 'zzzqq', and reads " in run(*asked).out
    assert json.loads(run(*asked, "--json").out)["network"] == "review-transformer"
    for name in ("typo.npy", "digit-4"):
        assert f"the network reads sentences, and {name} is the name of a file" in run(*asked[:2], name).err


def test_explain_prints_the_words_of_a_sentence(run: Run) -> None:
    sentence = "It never fails to engage us."
    said = run("explain", "review-transformer", sentence, "--rule", "cp-lrp", "--out", "words.png")
    assert f"says that {sentence} is unfavourable" in said.out
    x = text.indices("review-hard", lrpref.weights.metadata("review-transformer")["input"]["words"])
    (R,) = lrpref.explain(lrpref.load("review-transformer"), x, rule="cp-lrp")
    for word, relevance in zip(text.words("review-hard"), R, strict=True):
        assert [word, f"{relevance:.3f}"] in [line.split() for line in said.out.splitlines()]
    assert Path("words.png").is_file()
    assert "has no words" in run("explain", "review-transformer", "(-)").err


def test_several_rules_are_drawn_side_by_side(run: Run, drawn: dict[str, Any]) -> None:
    said = run("explain", "mnist-cnn", "digit-8", "--rule", "zero", "gamma(gamma=0.5)", "z-plus")
    assert said.code == 0
    titles = [ax.get_title() for ax in drawn["heatmap.png"].axes if ax.get_title()]
    assert titles == ["input", "zero", "gamma(gamma=0.5)", "z-plus"]
    net, x = lrpref.load("mnist-cnn"), lrpref.samples.load("digit-8")
    for rule in titles[1:]:
        assert f"\n{rule}: {lrpref.trace(net, x, rule=rule).ledger}" in said.out


def test_the_picture_shows_the_relevance(run: Run, tiny: Path, drawn: dict[str, Any]) -> None:
    assert run("explain", tiny, "x.npy", "--rule", "zero", "--target", 1, "--out", "map.png").code == 0
    panel = {ax.get_title(): ax for ax in drawn["map.png"].axes}["zero"]
    R = lrpref.explain(lrpref.fuse(network()), np.load("x.npy")[None], target=1, rule="zero", form="plain")
    assert_array_equal(panel.images[0].get_array(), R[0, 0])
    assert drawn["map.png"].get_suptitle().endswith("; why right?")


@pytest.mark.slow
def test_the_relevance_itself_and_compare_reads_it(run: Run, tmp_path: Path) -> None:
    said = run("explain", "mnist-cnn", "digit-4", "--rule", "gamma(gamma=0.5)", "--out", "mine.npy")
    assert (said.code, said.err) == (0, "")
    assert said.out.endswith("\nwrote mine.npy\n")
    tr = lrpref.trace(lrpref.load("mnist-cnn"), lrpref.samples.load("digit-4"), rule="gamma(gamma=0.5)")
    assert_array_equal(np.load("mine.npy"), tr.relevance)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.npy", "mine.npy.json"]
    compared = run("compare", "mnist-cnn", "digit-4", "--against", "mine.npy", "--rule", "gamma(gamma=0.5)")
    assert compared.code == 0


def test_outputs_are_checked_before_the_work(run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is found to be unreadable was read; here, none is."""
    monkeypatch.setattr(lrpref.weights, "load", lambda name: pytest.fail("the network was read"))
    for command in (
        "explain tiny.npz x.npy --out map.docx",
        "explain tiny.npz x.npy --out nowhere/R.npy",
        "explain tiny.npz x.npy --waterfall nowhere/a.png",
        "fuse tiny.npz -o fused.txt",
        "fuse tiny.npz -o nowhere/fused.npz",
    ):
        assert run(*command.split()).code == 2, command


def test_each_map_on_its_own_scale(run: Run, tiny: Path, drawn: dict[str, Any]) -> None:
    assert run("explain", tiny, "x.npy", "--rule", "zero", "z-plus", "--scale", "each", "--out", "map.png").code == 0
    panels = {ax.get_title(): ax for ax in drawn["map.png"].axes}
    assert all(abs(panels[rule].images[0].get_array()).max() == 1 for rule in ("zero", "z-plus"))


def test_waterfall(run: Run, tiny: Path, tmp_path: Path) -> None:
    said = run("explain", tiny, "x.npy", "--waterfall", "books.png")
    assert said.out.endswith("wrote heatmap.png\nwrote books.png\n")
    assert is_png(tmp_path / "books.png")


def test_target(run: Run, drawn: dict[str, Any]) -> None:
    said = run("explain", "mnist-cnn", "hard-1", "--target", 4)
    assert "says that hard-1 is 9 " in said.out
    assert "explained: 4, " in said.out
    tr = lrpref.trace(lrpref.load("mnist-cnn"), lrpref.samples.load("hard-1"), target=4)
    assert str(tr.ledger) in said.out


def test_contrast(run: Run, drawn: dict[str, Any]) -> None:
    said = run("explain", "mnist-cnn", "digit-9", "--contrast", 3)
    assert said.code == 0
    assert "explained: 9 rather than 3, starting from logit\n" in said.out
    tr = lrpref.contrast(lrpref.load("mnist-cnn"), lrpref.samples.load("digit-9"), 9, 3)
    assert str(tr.ledger) in said.out
    assert drawn["heatmap.png"].get_suptitle().endswith("; why 9 rather than 3?")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((9,), "`against` must be another output than the target"),
        ((10,), "target 10 is out of range"),
        ((4, "--seed", "one"), "--contrast starts from the logits of both outputs; leave out --seed one"),
    ],
)
def test_what_is_no_contrast(more: tuple[Any, ...], message: str, run: Run) -> None:
    said = run("explain", "mnist-cnn", "digit-9", "--contrast", *more)
    assert said.code == 2
    assert message in said.err


@pytest.mark.parametrize(("seed", "came_in"), [("one", "1 started"), ("2.5", "2.5 started"), ("-1", "-1 started")])
def test_seed(seed: str, came_in: str, run: Run, tiny: Path, drawn: dict[str, Any]) -> None:
    said = run("explain", tiny, "x.npy", "--seed", seed)
    assert said.code == 0
    assert f"starting from {seed}\n" in said.out
    assert came_in in said.out


def test_no_fuse(run: Run, tiny: Path, drawn: dict[str, Any]) -> None:
    left = run("explain", tiny, "x.npy", "--no-fuse").out
    fused = run("explain", tiny, "x.npy").out
    assert "batchnorm1  pass" in left
    assert "fused" not in left
    assert "batchnorm1" not in fused
    assert "fused 1 of 1 BatchNorm layers" in fused


def test_a_network_without_batch_norm_is_not_said_to_be_fused(run: Run, drawn: dict[str, Any]) -> None:
    assert "fused" not in run("explain", "mnist-cnn", "digit-1").out


def test_explain_a_photograph(run: Run, drawn: dict[str, Any]) -> None:
    code, out, err = run("explain", "cifar-cnn-bn", "chelsea")
    assert (code, err) == (0, "")
    logits = lrpref.weights.metadata("cifar-cnn-bn")["expected_logits"]["chelsea"]
    assert f"cifar-cnn-bn says that chelsea is cat (output {max(logits):.3f}, " in out
    shown = drawn["heatmap.png"].axes[0].images[0].get_array()
    pixels = np.moveaxis(lrpref.samples.load("chelsea")[0], 0, -1)  # the photograph before normalisation
    stretched = (pixels - pixels.min()) / (pixels.max() - pixels.min())
    assert_allclose(shown, stretched, rtol=0, atol=1e-5)


# ---- inputs from files -----------------------------------------------------------------------------------------


def prediction(said: Said) -> str:
    """Return the line of the prediction, with its numbers."""
    return said.out.partition(" is ")[2].partition("\n")[0]


def test_an_array_is_explained_as_the_sample_that_it_is(run: Run, drawn: dict[str, Any]) -> None:
    np.save("four.npy", lrpref.samples.load("digit-4"))
    from_file, from_sample = run("explain", "mnist-cnn", "four.npy"), run("explain", "mnist-cnn", "digit-4")
    assert from_file.code == 0
    assert prediction(from_file) == prediction(from_sample)


def test_an_image_too_and_dark_ink_is_inverted(run: Run, drawn: dict[str, Any]) -> None:
    pixels = np.round(lrpref.samples.load("digit-4")[0, 0] * 255).astype(np.uint8)
    Image.fromarray(pixels).save("light.png")
    Image.fromarray(255 - pixels).save("dark.png")
    expected = prediction(run("explain", "mnist-cnn", "digit-4"))
    assert prediction(run("explain", "mnist-cnn", "light.png")) == expected
    assert prediction(run("explain", "mnist-cnn", "dark.png", "--invert")) == expected
    assert prediction(run("explain", "mnist-cnn", "dark.png")) != expected


def test_a_colour_network_takes_a_colour_image(run: Run, tmp_path: Path) -> None:
    lrpref.save(network(3), "rgb.npz", {"input": {"shape": [3, 4, 4]}})
    Image.new("RGB", (40, 30), (255, 128, 0)).save("orange.png")
    said = run("explain", "rgb.npz", "orange.png")
    assert said.code == 0
    assert " is output " in said.out  # the file names no classes
    assert is_png(tmp_path / "heatmap.png")


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["zero", "epsilon-plus-flat"])
def test_a_blank_image_is_explained_without_complaint(rule: str, run: Run, tmp_path: Path) -> None:
    np.save("blank.npy", np.zeros((1, 28, 28)))
    for arguments in (["explain", "mnist-cnn-bn", "blank.npy"], ["fuse", "mnist-cnn-bn", "--input", "blank.npy"]):
        code, out, err = run(*arguments, "--rule", rule)
        assert (code, err) == (0, "")
        assert "nan" not in out


def test_a_network_whose_output_is_an_image(run: Run) -> None:
    lrpref.save(network(1, Softmax()), "dense.npz", {"input": {"shape": [1, 4, 4]}})
    np.save("x.npy", np.random.default_rng(0).random((1, 4, 4)))
    said = run("explain", "dense.npz", "x.npy")
    assert said.code == 0
    assert " is output " in said.out


# ---- explain: several inputs, targets and files ------------------------------------------------------------------


@pytest.mark.slow
def test_several_inputs_targets_and_rules(run: Run, drawn: dict[str, Any]) -> None:
    said = run("explain", "mnist-cnn", "digit-4", "digit-9", "--target", 4, 9, "--rule", "zero", "z-plus")
    assert (said.code, said.err) == (0, "")
    assert [line.split(" (")[0] for line in said.out.splitlines() if " says that " in line] == [
        "mnist-cnn says that digit-4 is 4",
        "mnist-cnn says that digit-9 is 9",
    ]
    assert said.out.count("explained: 4, starting from logit\n") == said.out.count("explained: 9, ") == 2
    net, figure = lrpref.load("mnist-cnn"), drawn["heatmap.png"]
    for name, part in zip(("digit-4", "digit-9"), figure.subfigs, strict=True):
        panels = {ax.get_title(): ax for ax in part.axes if ax.get_title()}
        assert list(panels) == ["input", "zero: 4", "z-plus: 4", "zero: 9", "z-plus: 9"]
        tr = lrpref.trace(net, lrpref.samples.load(name), target=9, rule="z-plus")
        assert_array_equal(panels["z-plus: 9"].images[0].get_array(), tr.relevance[0, 0])
        assert str(tr.ledger) in said.out


@pytest.mark.slow
def test_a_class_by_name(run: Run, tmp_path: Path) -> None:
    said = run("explain", "cifar-cnn", "chelsea", "--target", "dog", "--contrast", "cat", "--out", "R.npy")
    assert "explained: dog rather than cat, starting from logit\n" in said.out
    about, net = lrpref.weights.metadata("cifar-cnn"), lrpref.load("cifar-cnn")
    dog, cat = (about["classes"].index(name) for name in ("dog", "cat"))
    x = Normalisation.of(about).apply(lrpref.samples.load("chelsea"))  # type: ignore[union-attr]
    assert_array_equal(np.load("R.npy"), lrpref.contrast(net, x, dog, cat).relevance)
    assert run("compare", "cifar-cnn", "chelsea", "--target", "cat", "--against", "R.npy", "--no-groups").code == 1


def test_the_name_of_a_class_goes_before_its_index() -> None:
    """Classes may be called by numbers, and two may have one name, as "crane" in ImageNet."""
    about = {"classes": ["7", "1", "crane", "0", "crane"]}
    assert [class_index(about, text) for text in ("7", "1", "0", "2", "4")] == [0, 1, 3, 2, 4]
    with pytest.raises(TargetError, match=r"^2 classes are called 'crane'; give the index: 2, 4$"):
        class_index(about, "crane")
    assert class_index({}, "3") == 3


def test_classes_of_one_name_have_maps_of_their_own(run: Run, drawn: dict[str, Any], tmp_path: Path) -> None:
    lrpref.save(network(), "twins.npz", {"input": {"shape": [1, 4, 4]}, "classes": ["crane", "crane"]})
    np.save("x.npy", np.random.default_rng(1).random((1, 4, 4)))
    said = run("explain", "twins.npz", "x.npy", "--rule", "zero", "--target", 0, 1)
    assert "explained: crane (output 1), starting from logit\n" in said.out
    titles = [ax.get_title() for ax in drawn["heatmap.png"].axes if ax.get_title()]
    assert titles == ["input", "zero: crane (output 0)", "zero: crane (output 1)"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("explain tiny.npz x.npy --out a.npy a.npy", "a.npy would be written twice"),
        ("explain tiny.npz x.npy --out a.npy ./a.npy", "./a.npy would be written twice"),
        ("explain tiny.npz x.npy --out a.png --waterfall a.png", "a.png would be written twice"),
        ("explain tiny.npz x.npy --out x.npy", "x.npy would be written over, but it is read here; choose another"),
        ("explain tiny.npz x.npy --out tiny.npz", "tiny.npz would be written over, but it is read here"),
        ("convert tiny.npz -o tiny.npz", "tiny.npz would be written over, but it is read here"),
        ("convert tiny.npz -o linked.npz", "linked.npz would be written over, but it is read here"),
        ("convert tiny.npz -o other.npz --result y", "tiny.npz is not an ONNX file with named outputs; leave out"),
        ("conform lrpref --json a.json --badge a.json", "a.json would be written twice"),
        ("conform lrpref --known tiny.npz --draft-known tiny.npz", "tiny.npz would be written over, but it is read"),
        ("play tiny.npz --out tiny.npz", "tiny.npz would be written over, but it is read here"),
        ("fuse tiny.npz --input x.npy -o tiny.npz", "tiny.npz would be written over, but it is read here"),
        ("explain tiny.npz x.npy --architecture vgg16", "tiny.npz holds a network with its graph; do not give"),
        ("explain tiny.npz x.npy --input-shape 1,4,4", "tiny.npz is complete; leave out --architecture and"),
        ("show mnist-mlp --architecture vgg16", "mnist-mlp is complete; leave out --architecture and"),
        ("show torch-script.onnx --architecture vgg16", "holds a network with its graph; do not give an architecture"),
    ],
)
def test_what_would_be_lost_or_ignored_is_refused(command: str, message: str, run: Run, tiny: Path) -> None:
    exported = Path(__file__).parent / "exported" / "torch-script.onnx"
    Path("linked.npz").symlink_to(tiny)
    kept = Path("tiny.npz").read_bytes(), Path("x.npy").read_bytes()
    code, out, err = run(*command.replace(exported.name, str(exported)).split())
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert kept == (Path("tiny.npz").read_bytes(), Path("x.npy").read_bytes())


def test_a_network_of_vectors_has_no_picture_and_is_told_so_before_the_work(run: Run) -> None:
    lrpref.save(Network.sequential(Dense([[1.0, 2.0]])), "vectors.npz", {"input": {"shape": [2]}})
    np.save("x.npy", np.ones(2))
    code, out, err = run("explain", "vectors.npz", "x.npy")
    assert (code, out) == (2, "")
    assert "heatmap.png cannot show inputs of shape (2,)" in err
    assert "write heatmap.npz" in err
    assert run("explain", "vectors.npz", "x.npy", "--out", "R.npz").code == 0


@pytest.mark.slow
def test_files_of_every_kind_at_once(run: Run, tmp_path: Path) -> None:
    said = run("explain", "mnist-mlp", "digit-4", "digit-9", "--out", "a.npy", "b.npz", "c.png", "d.svg")
    assert said.out.endswith("\n\nwrote a.npy\nwrote b.npz\nwrote c.png\nwrote d.svg\n")
    assert is_png(tmp_path / "c.png")
    assert b"<svg" in (tmp_path / "d.svg").read_bytes()
    net = lrpref.load("mnist-mlp")
    R = np.concatenate([lrpref.trace(net, lrpref.samples.load(name)).relevance for name in ("digit-4", "digit-9")])
    assert_array_equal(np.load("a.npy"), R)
    assert json.loads((tmp_path / "a.npy.json").read_text())["input"] == ["digit-4", "digit-9"]
    with np.load("b.npz", allow_pickle=False) as found:
        assert_array_equal(found["relevance"], R[:, None, None])


def test_an_archive_names_its_parts(run: Run) -> None:
    words = ("digit-4", "digit-9", "--target", 4, 9, 7, "--rule", "zero", "flat", "--out", "all.npz", "--quiet")
    assert run("explain", "mnist-mlp", *words) == (0, "", "")
    net = lrpref.load("mnist-mlp")
    with np.load("all.npz", allow_pickle=False) as found:
        held = dict(found)
    assert held["relevance"].shape == (2, 3, 2, 1, 28, 28)
    assert (list(held["input"]), list(held["rule"])) == (["digit-4", "digit-9"], ["zero", "flat"])
    assert_array_equal(held["target"], [[[4, 4], [9, 9], [7, 7]]] * 2)
    tr = lrpref.trace(net, lrpref.samples.load("digit-9"), target=7, rule="flat")
    assert_array_equal(held["relevance"][1, 2, 1], tr.relevance[0])
    assert held["signature"][1, 2, 1] == str(tr.signature)


def test_json_is_all_that_is_printed(run: Run, tmp_path: Path) -> None:
    said = run("explain", "mnist-cnn-bn", "digit-4", "hard-1", "--target", 4, 9, "--json", "--out", "a.npz")
    assert (said.code, said.err) == (0, "")
    told = json.loads(said.out)
    assert (told["network"], told["written"]) == ("mnist-cnn-bn", ["a.npz"])
    assert [each["input"] for each in told["inputs"]] == ["digit-4", "hard-1"]
    net, x = lrpref.fuse(lrpref.load("mnist-cnn-bn")), lrpref.samples.load("digit-4")
    tr = lrpref.trace(net, x, target=9)
    first = told["inputs"][0]
    assert first["answer"]["name"] == "4"
    assert first["answer"]["output"] == float(tr.logits[0, 4])
    nine = first["explained"][1]
    assert (nine["target"], nine["name"], nine["rule"]) == (9, "9", "epsilon-plus-flat")
    for column in ("out", "in", "bias", "stabilizer", "dropped", "factor"):
        assert [row[column] for row in nine["ledger"]] == tr.ledger[column][:, 0].tolist()
    assert nine["residual"] == float(abs(tr.ledger.residual()).max())


def test_json_knows_no_nan() -> None:
    """JSON has no such numbers; null says that there is none."""
    assert [_number(value) for value in (np.float32(0.5), np.nan, -np.inf, 3, "four")] == [0.5, None, None, 3, "four"]


def test_overlay(run: Run, drawn: dict[str, Any]) -> None:
    for more, images in (((), 1), (("--overlay",), 2)):  # the map alone; a copy of the input, and the map over it
        assert run("explain", "resnet20", "chelsea", "--rule", "flat", *more).code == 0
        panel = {ax.get_title(): ax for ax in drawn["heatmap.png"].axes}["flat"]
        assert len(panel.images) == images


@pytest.mark.slow
def test_a_long_ledger_is_folded(run: Run) -> None:
    short, full = (run("explain", "resnet20", "chelsea", "--out", "a.npy", *more).out for more in ((), ("--full",)))
    assert "\nlayer3.2               5 layers " in short
    assert "\n(52 layers in 16 lines; --full prints all)\n" in short
    assert "layer3.2.conv2" not in short
    assert len(full.splitlines()) == len(short.splitlines()) + 52 - 16 - 1
    assert "layer3.2.conv2" in full


# ---- networks in other files -------------------------------------------------------------------------------------


def test_an_onnx_file_is_a_network(run: Run) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    path = Path(__file__).parent / "exported" / "torch-script.onnx"
    net, about = lrpref.importers.files.find_network(path)
    x = np.random.default_rng(0).random(about["input"]["shape"]).astype(np.float32)
    np.save("x.npy", x)
    assert run("explain", path, "x.npy", "--out", "R.npy").code == 0
    fused = lrpref.fuse(net)
    assert_array_equal(np.load("R.npy"), lrpref.trace(fused, x[None]).relevance)
    assert run("show", path).code == 0


def test_weights_alone_are_a_network_with_an_architecture(run: Run) -> None:
    net = lrpref.models.simple_cnn()
    np.savez("weights.npz", **net.parameters)
    np.save("x.npy", np.random.default_rng(0).random((1, 28, 28)).astype(np.float32))
    assert run("explain", "weights.npz", "x.npy", "--architecture", "simple_cnn", "--out", "R.npy").code == 0
    assert_array_equal(np.load("R.npy"), lrpref.trace(net, np.load("x.npy")[None]).relevance)


# ---- what comes with lrpref --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_networks(run: Run) -> None:
    code, out, err = run("networks")
    assert (code, err) == (0, "")
    listed = dict(line.split(None, 1) for line in out.split("\n\n")[0].splitlines()[2:])
    assert list(listed) == lrpref.weights.names()
    assert listed["mnist-cnn"].split("  ")[0] == "1 x 28 x 28"
    assert "99.4%" in listed["mnist-cnn"]


def test_samples(run: Run) -> None:
    code, out, err = run("samples")
    assert (code, err) == (0, "")
    listed = {line.split()[0]: line.split()[1:] for line in out.splitlines()[2:]}
    assert list(listed) == lrpref.samples.names()
    assert listed["beat-wide"] == ["wide", "ecg-cnn"]
    assert "resnet20," in listed["chelsea"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("lrpref expl", ["explain"]),
        ("lrpref explain mnist-mlp", ["mnist-mlp", "mnist-mlp-bn"]),
        ("lrpref explain mnist-cnn chel", ["chelsea"]),
        ("lrpref explain mnist-cnn digit-4 --rule z-p", ["z-plus"]),
        ("lrpref explain mnist-cnn digit-4 --over", ["--overlay"]),
    ],
)
def test_the_shell_completes(line: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ask as the shell function of argcomplete does: with the line in the environment, for an answer in a file."""
    pytest.importorskip("argcomplete", reason="argcomplete is not installed")
    monkeypatch.chdir(tmp_path)
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    command = [sys.executable, "-m", "lrpref"]
    answer = tmp_path / "answer"
    env = {**os.environ, **asked, "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0
    assert [word.strip() for word in answer.read_text().split("\n")] == offered


# ---- fuse ------------------------------------------------------------------------------------------------------


def test_fuse(run: Run) -> None:
    code, out, err = run("fuse", "mnist-cnn-bn", "-o", "fused.npz", "--rule", "z-plus")
    assert (code, err) == (0, "")
    net, x = lrpref.load("mnist-cnn-bn"), lrpref.samples.load("digit-4")
    fused = lrpref.load("fused.npz")
    assert out.startswith(str(lrpref.fusion_plan(net)))
    assert fused.names == lrpref.fuse(net).names
    assert_array_equal(fused.forward(x), lrpref.fuse(net).forward(x))
    before, after = (lrpref.explain(n, x, rule="z-plus") for n in (net, fused))
    change = np.linalg.norm(after - before) / np.linalg.norm(before)
    assert f"the heatmap under z-plus changed by {change:.1%} (relative L2)" in out
    assert lrpref.weights.metadata("fused.npz") == {
        **lrpref.weights.metadata("mnist-cnn-bn"),
        "fused_from": "mnist-cnn-bn",
    }
    shown = run("show", "fused.npz")
    assert shown.code == 0
    assert "BatchNorm" not in shown.out.partition("\n\n")[0]


def test_fuse_with_nothing_to_fuse_says_no_more(run: Run, tmp_path: Path) -> None:
    said = run("fuse", "mnist-cnn", "-o", "same.npz")
    assert said.out == "nothing to fuse: the network has no BatchNorm and no Scale\nwrote same.npz\n"
    x = lrpref.samples.load("digit-4")
    assert_array_equal(lrpref.load("same.npz").forward(x), lrpref.load("mnist-cnn").forward(x))


def test_fuse_writes_nothing_unless_told(run: Run, tmp_path: Path) -> None:
    assert run("fuse", "mnist-mlp-bn").code == 0
    assert list(tmp_path.iterdir()) == []


def test_fuse_with_a_threshold(run: Run, tmp_path: Path) -> None:
    norm = BatchNorm([2.0], [1.0], [0.5], [1.0])
    net = Network.sequential(MaxPool2D(1), norm, ReLU(), Conv2D(np.ones((1, 1, 2, 2))), Flatten())
    lrpref.save(net, "pre.npz", {"input": {"shape": [1, 2, 2]}})
    np.save("x.npy", np.ones((1, 2, 2)))
    assert "stays, as a Scale" in run("fuse", "pre.npz", "--input", "x.npy").out
    said = run("fuse", "pre.npz", "--input", "x.npy", "--threshold-relu", "-o", "post.npz")
    assert "relu1 became a ThreshReLU" in said.out
    assert [type(layer).__name__ for _, layer, _ in lrpref.load("post.npz").nodes][1] == "ThreshReLU"


def test_a_fold_that_fails_its_check_is_told_by_the_exit_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def differs(*arguments: Any, **more: Any) -> Network:
        raise FusionError("the fused network differs")

    for module in ("fuse", "common"):
        monkeypatch.setattr(f"lrpref.cli.{module}.fuse", differs)
    assert run("fuse", "mnist-cnn-bn") == (1, run("fuse", "mnist-cnn-bn").out, "lrpref: the fused network differs\n")
    assert run("explain", "mnist-cnn-bn", "digit-4").code == 1


def test_fuse_takes_a_sample_that_fits(run: Run, tiny: Path) -> None:
    said = run("fuse", "cifar-cnn-bn")
    assert (said.code, said.err) == (0, "")
    assert "forward difference on chelsea: " in said.out
    said = run("fuse", tiny)
    assert said.code == 2
    assert (
        said.err == "lrpref: no embedded sample has the shape (1, 4, 4) of the network's input; give one with --input\n"
    )


# ---- show ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", lrpref.weights.names())
def test_show(name: str, run: Run) -> None:
    code, out, err = run("show", name, "--rule", "epsilon-plus")
    assert (code, err) == (0, "")
    net, about = lrpref.load(name), lrpref.weights.metadata(name)
    head, _, *rows = out.partition("\n\n")[0].splitlines()
    assert head.split() == ["node", "layer", "reads", "output", "parameters", "rule", "(epsilon-plus)"]
    told = [[n, type(layer).__name__, *", ".join(reads).split()] for n, layer, reads in net.nodes]
    assert [row.split()[: len(cells)] for row, cells in zip(rows, told, strict=True)] == told
    shapes = net.shapes((1, *about["input"]["shape"]))
    rules_given = composites_of(net)
    for (node, _, _), row in zip(net.nodes, rows, strict=True):
        held = sum(array.size for key, array in net.parameters.items() if key.rpartition(".")[0] == node)
        shape = " x ".join(map(str, shapes[node][1:]))
        assert f" {shape} " in row
        assert f" {held:,} " in row or not held
        assert row.endswith(rules_given.get(node, " -"))
    total = sum(array.size for array in net.parameters.values())
    assert f"\n{total:,} parameters, float32\n" in out
    assert f"\naccuracy: {about['accuracy']}\n" in out


def composites_of(net: Network) -> dict[str, str]:
    """Return the rule of each linear layer under epsilon-plus, as text."""
    assigned = lrpref.composites.EpsilonPlus().assign(net)
    return {name: str(rule) for name, rule in assigned.items()}


# ---- rules -----------------------------------------------------------------------------------------------------


def test_rules_lists_every_rule_with_what_it_says_of_itself(run: Run) -> None:
    code, out, err = run("rules")
    assert (code, err) == (0, "")
    for name, rule in rules.RULES.items():
        assert f"{name:12}{rule.equation}\n" in out
        assert rule.when in out
        assert f"[{rule.source}]" in out
    for name in lrpref.composites.PRESETS:
        assert name in out.partition("composites ")[2]


TAGS = {"needs a >= 0": "needs_nonnegative", "conserves": "conserves", "linear in R": "linear", "exact": "exact"}
LAYERS: dict[str, list[tuple[lrpref.Layer, int]]] = {
    "Dense, Conv": [(Conv2D(np.ones((1, 1, 2, 2))), 1)],
    "average pools": [(AvgPool2D(2), 1), (GlobalAvgPool2D(), 1)],
    "BatchNorm, Scale": [(Scale([2.0]), 1), (BatchNorm([1.0], [0.0], [0.0], [1.0]), 1)],
    "joins, sums": [(Add(), 2), (lrpref.Subtract(), 2), (lrpref.Sum(1), 1), (lrpref.Mean((2, 3)), 1)],
}


@pytest.mark.parametrize("name", rules.RULES)
def test_the_table_of_rules_tells_the_truth(name: str) -> None:
    head, *rows = rule_table()
    cells = dict(zip(head, next(row for row in rows if row[0] == name), strict=True))
    rule = rules.ZBox(0.0, 1.0) if name == "z-box" else rules.RULES[name]()
    assert {column: cells[column] for column in TAGS} == {
        column: "yes" if getattr(rule, tag) else "no" for column, tag in TAGS.items()
    }
    for column, layers in LAYERS.items():
        assert cells[column] == ("yes" if all(takes(layer, count, rule) for layer, count in layers) else "-"), column


def takes(layer: lrpref.Layer, count: int, rule: rules.Rule) -> bool:
    """Return whether a layer with `count` inputs supports a rule, by trying it."""
    inputs = (np.ones((1, 1, 2, 2)),) * count
    try:
        layer.relevance(inputs, layer.forward(*inputs), rule)
    except RuleError:
        return False
    return True


@pytest.mark.parametrize("name", rules.RULES)
def test_rules_prints_one_in_full(name: str, run: Run) -> None:
    code, out, err = run("rules", name)
    assert (code, err) == (0, "")
    assert "R_i = " in out
    assert ">>>" not in out
    assert "Examples\n---" not in out
    assert (rules.RULES[name].__doc__ or "").splitlines()[0] in out


@pytest.mark.parametrize("name", [name for name in lrpref.composites.PRESETS if name not in rules.RULES])
def test_and_a_composite(name: str, run: Run) -> None:
    told = inspect.getdoc(lrpref.composites.PRESETS[name]) or ""
    assert run("rules", name).out.rstrip() == told.partition("Examples\n---")[0].rstrip()


# ---- help ------------------------------------------------------------------------------------------------------


def test_without_a_command_it_helps(run: Run) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    for command in ("explain", "fuse", "show", "rules"):
        assert f"\n    {command} " in out


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("explain", ["--rule", "--target", "--contrast", "--seed", "--no-fuse", "--out", "--waterfall", "--invert"]),
        ("explain", ["--overlay", "--json", "--quiet", "--full", "--architecture", "`lrpref samples`"]),
        ("fuse", ["--input", "--rule", "--threshold-relu", "--output", "`lrpref networks`"]),
        ("show", ["--rule", "--input-shape"]),
        ("rules", ["name"]),
    ],
)
def test_help_names_every_option(command: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    for word in words:
        assert word in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"lrpref {lrpref.__version__}\n"


_, *LINES = cli.EXAMPLES.splitlines()
EXAMPLES = [line[: LINES[0].index("explain a digit, and")].strip() for line in LINES]


SLOW = [pytest.param(example, marks=pytest.mark.slow) for example in EXAMPLES if " reproduce " in example]


@pytest.mark.slow
@pytest.mark.parametrize(
    "example", [*(e for e in EXAMPLES if not {"conform", "reproduce", "verify"} & set(e.split())), *SLOW]
)
def test_the_examples_of_the_help_run(example: str, run: Run) -> None:
    np.save("mine.npy", lrpref.explain(lrpref.load("mnist-cnn"), lrpref.samples.load("digit-4")))
    if " convert " in example:
        pytest.importorskip("onnx", reason="onnx is not installed: pip install -e '.[onnx]'")
        shutil.copy(Path(__file__).parent / "exported" / "torch-script.onnx", "network.onnx")
    program, *arguments = shlex.split(example)
    assert program == "lrpref"
    code, _, err = run(*arguments)
    assert (code, err) == (0, "")


@pytest.mark.parametrize("example", EXAMPLES)  # including those that need an optional library
def test_the_examples_of_the_help_are_understood(example: str) -> None:
    assert callable(cli._parser(cli.COMMANDS).parse_args(shlex.split(example)[1:]).run)


def test_it_runs_as_a_module() -> None:
    said = subprocess.run(
        [sys.executable, "-W", "error", "-m", "lrpref", "rules", "zero"], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("LRP-0: ")


def test_a_mistake_ends_the_process_with_2() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "lrpref", "rules", "zerro"], capture_output=True, text=True, check=False
    )
    assert said.returncode == 2
    assert said.stderr.startswith("lrpref: no rule is called 'zerro'; did you mean 'zero'?")


# ---- user errors -----------------------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[str, str]] = {
    "unknown network": ("explain mnist-cn digit-4", "no network is called 'mnist-cn'; did you mean 'mnist-cnn'?"),
    "no such file": ("show nowhere.npz", "there is no file nowhere.npz"),
    "a folder": ("show folder/", "folder is a folder; give a file, such as network.npz"),
    "a folder of networks": ("show networks", "networks is a folder; give a file in it: a.npz, b.onnx"),
    "a folder to convert": ("convert networks -o x.npz", "networks is a folder; give a file in it: a.npz, b.onnx"),
    "an ONNX file without a graph": ("explain net.onnx digit-4", "net.onnx"),
    "weights alone": ("show weights.safetensors", "give the network that they belong to"),
    "weights of another network": ("show arrays.npz --architecture vgg16", "arrays.npz"),
    "a pickle": ("show net.pt", "net.pt cannot be imported: it is a pickle, and reading a pickle runs code"),
    "another pickle": ("fuse net.PTH", "net.PTH cannot be imported: it is a pickle"),
    "a damaged Keras file": ("show net.keras", "keras"),
    "another Keras file": ("compare net.h5 digit-4 --against x.npy", "keras"),
    "no such ONNX file": ("show nowhere.onnx", "there is no file nowhere.onnx"),
    "a file of another kind": ("show text.txt", "text.txt: not a readable .npz file"),
    "a folder in a folder": ("show folder/folder", "there is no file folder/folder"),
    "unknown sample": ("explain mnist-cnn digit4", "no sample is called 'digit4'; did you mean 'digit-4'?"),
    "unknown rule": ("explain mnist-cnn digit-4 --rule flot", "no rule is called 'flot'; did you mean 'flat'?"),
    "one unknown rule of two": ("explain mnist-cnn digit-4 --rule zero one", "no rule is called 'one'"),
    "the paper's name of a rule": ("show mnist-cnn --rule LRP-0", "called 'LRP-0'; did you mean 'zero'?"),
    "a Greek name of a rule": ("rules LRP-\u03b3", "did you mean 'gamma'?"),
    "parameter misspelt": (
        "explain mnist-cnn digit-4 --rule gamma(gama=0.5)",
        "gamma has no parameter 'gama'; did you mean 'gamma'? It takes gamma, generalised",
    ),
    "unknown rule to show": ("show mnist-cnn --rule nil", "no rule is called 'nil'"),
    "unknown rule to fuse": ("fuse mnist-cnn --rule nil", "no rule is called 'nil'"),
    "target too large": ("explain mnist-cnn digit-4 --target 10", "target 10 is out of range for 10 outputs"),
    "target of no class": ("explain mnist-cnn digit-4 --target four", "no class is called 'four'"),
    "target misspelt": ("explain resnet20 chelsea --target cats", "no class is called 'cats'; did you mean 'cat'?"),
    "contrast with no class": ("explain resnet20 chelsea --contrast dogs", "did you mean 'dog'?"),
    "one of two targets": ("explain mnist-cnn digit-4 --target 4 10", "target 10 is out of range for 10 outputs"),
    "target negative": ("explain mnist-cnn digit-4 --target -1", "target -1 is out of range"),
    "seed in words": ("explain mnist-cnn digit-4 --seed two", 'seed must be "logit", "one", "probability"'),
    "seed not a number": ("explain mnist-cnn digit-4 --seed nan", "the seed holds NaN or infinities"),
    "seed infinite": ("explain mnist-cnn digit-4 --seed inf", "the seed holds NaN or infinities"),
    "parameter out of range": ("explain mnist-cnn digit-4 --rule gamma(gamma=-1)", "must be a finite number >= 0"),
    "parameter not finite": ("explain mnist-cnn digit-4 --rule epsilon(epsilon=1e999)", "must be a finite number >= 0"),
    "parameter unknown": ("explain mnist-cnn digit-4 --rule zero(gamma=1)", "zero has no parameter 'gamma'"),
    "parameter without name": ("explain mnist-cnn digit-4 --rule gamma(1)", "write parameters as key=value"),
    "parameter missing": ("explain mnist-cnn digit-4 --rule z-box", "write it as z-box(low=0, high=1)"),
    "parameter of text": ("explain mnist-cnn digit-4 --rule gamma(gamma='a')", "must be a finite number >= 0"),
    "parameter unquoted": ("explain mnist-cnn digit-4 --rule gamma(gamma=a)", "a is not a number, a list"),
    "parameters unclosed": ("explain mnist-cnn digit-4 --rule gamma(", "'gamma(' is not a valid rule"),
    "parameters called twice": ("explain mnist-cnn digit-4 --rule gamma(gamma=1)()", "write parameters as key=value"),
    "parameters are code": ("explain mnist-cnn digit-4 --rule gamma(gamma=exit())", "exit() is not a number"),
    "parameters too deep": (f"explain mnist-cnn digit-4 --rule gamma(gamma={'-' * 9999}1)", "is not a valid rule"),
    "bounds crossed": ("explain mnist-cnn digit-4 --rule z-box(low=1,high=0)", "low must not exceed high"),
    "bounds of two channels": (
        "explain mnist-cnn digit-4 --rule z-box(low=[0,0],high=1)", "a bound of shape (2,) does not fit inputs",
    ),
    "alpha and beta": ("explain mnist-cnn digit-4 --rule alpha-beta(alpha=2,beta=2)", "alpha - beta must be 1"),
    "pass where it cannot": ("explain mnist-cnn digit-4 --rule pass", "Pass applies to layers with one weight"),
    "relative unfused": ("explain mnist-cnn-bn digit-4 --no-fuse --rule relative", "needs BatchNorm folded away"),
    "no folder to write to": ("explain mnist-cnn digit-4 --out nowhere/map.png", "there is no folder nowhere"),
    "no name to write to": ("explain mnist-cnn digit-4 --out ", "use the suffix .png, .pdf or .svg"),
    "a folder to write to": ("explain mnist-cnn digit-4 --out folder", "use the suffix .png, .pdf or .svg"),
    "a folder called .png": ("explain mnist-cnn digit-4 --out folder.png", "it is a folder; add a file name"),
    "a folder called .npy": ("explain mnist-cnn digit-4 --out folder.npy", "it is a folder; add a file name"),
    "a folder for the waterfall": ("explain mnist-cnn digit-4 --waterfall folder.png", "it is a folder"),
    "no folder for the array": ("explain mnist-cnn digit-4 --out nowhere/R.npy", "there is no folder nowhere"),
    "an array of two rules": (
        "explain mnist-cnn digit-4 --rule zero flat --out R.npy", "R.npy holds the relevance of one target under one",
    ),
    "an array of two targets": (
        "explain mnist-cnn digit-4 --target 4 9 --out R.npy", "write R.npz for several, or a picture",
    ),
    "one output of two": ("explain mnist-cnn digit-4 --out R.npy map.docx", "cannot write map.docx"),
    "no folder for the archive": ("explain mnist-cnn digit-4 --out nowhere/R.npz", "there is no folder nowhere"),
    "an array for the waterfall": ("explain mnist-cnn digit-4 --waterfall R.npy", "its format is unknown"),
    "a folder for the network": ("fuse mnist-cnn-bn -o folder.npz", "it is a folder; add a file name"),
    "a folder for the converted network": ("convert net.onnx -o folder.npz", "it is a folder; add a file name"),
    "no folder for the report": ("conform lrpref --json nowhere/a.json", "there is no folder nowhere"),
    "a folder for the report": ("conform lrpref --markdown folder", "it is a folder; add a file name"),
    "a file for the results": ("reproduce 2501.14322 --quick --out text.npz", "text.npz"),
    "an unknown architecture": (
        "convert arrays.npz -o x.npz --architecture vgg16(widht=1)", "did you mean 'width'? It takes width, num_",
    ),
    "an unknown format": ("explain mnist-cnn digit-4 --out map.docx", "cannot write map.docx"),
    "no folder for the waterfall": (
        "explain mnist-cnn digit-4 --waterfall nowhere/books.png", "there is no folder nowhere",
    ),
    "network not to .npz": ("fuse mnist-cnn-bn -o fused.txt", "use a file name that ends in .npz, got fused.txt"),
    "no folder for the network": ("fuse mnist-cnn-bn -o nowhere/fused.npz", "there is no folder nowhere"),
    "network of text": ("show text.npz", "not a readable .npz file"),
    "network of other arrays": ("show arrays.npz", "not written by lrpref.save"),
    "network cut short": ("show cut.npz", "not a readable .npz file"),
    "network with damaged bytes": ("show flipped.npz", "flipped.npz"),
    "network without the shape of its input": ("show shapeless.npz", "does not record the shape of its input"),
    "network with metadata that are text": ("explain words.npz digit-4", "does not record the shape of its input"),
    "network with a shape that is text": ("explain inwords.npz digit-4", "does not record the shape of its input"),
    "sample of another shape": ("explain rgb.npz digit-4", "sample 'digit-4' has shape (1, 28, 28), the network takes"),
    "image missing": ("explain mnist-cnn nowhere.png", "nowhere.png is not a readable image"),
    "image of text": ("explain mnist-cnn text.png", "text.png is not a readable image"),
    "image cut short": ("explain mnist-cnn cut.png", "cut.png is not a readable image"),
    "image is a folder": ("explain mnist-cnn folder.png", "folder.png is not a readable image"),
    "image for five channels": ("explain five.npz dot.png", "an image has 1 or 3 channels"),
    "array missing": ("explain mnist-cnn nowhere.npy", "nowhere.npy is not a readable .npy file"),
    "array empty": ("explain mnist-cnn empty.npy", "empty.npy is not a readable .npy file"),
    "array with a broken head": ("explain mnist-cnn head.npy", "head.npy is not a readable .npy file"),
    "array that is a zip": ("explain mnist-cnn zip.npy", "zip.npy is not a readable .npy file"),
    "array of objects": ("explain mnist-cnn objects.npy", "objects.npy is not a readable .npy file"),
    "array of text": ("explain mnist-cnn words.npy --invert", "words.npy has dtype <U1"),
    "array of complex numbers": ("explain mnist-cnn complex.npy", "complex.npy has dtype complex128"),
    "array of NaN": ("explain mnist-cnn nan.npy", "nan.npy holds 784 NaN or infinite values"),
    "array of another shape": ("explain mnist-cnn small.npy", "small.npy has shape (1, 4, 4), the network takes"),
    "unknown name of a rule": ("rules zerro", "no rule is called 'zerro'; did you mean 'zero'?"),
}  # fmt: skip


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of invalid files of every kind that a user may pass by mistake."""
    folder = tmp_path_factory.mktemp("spoiled")
    (folder / "folder").mkdir()
    for name in ("folder.png", "folder.npy", "folder.npz", "networks"):
        (folder / name).mkdir()
    for name in ("net.onnx", "net.pt", "net.PTH", "net.keras", "net.h5", "net.safetensors", "networks/a.npz"):
        (folder / name).touch()
    (folder / "networks" / "b.onnx").touch()
    for name in ("text.npz", "text.png", "text.txt"):
        (folder / name).write_text("hello\n")
    np.savez(folder / "arrays.npz", a=np.ones(3))
    (folder / "weights.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")  # no tensors
    whole = lrpref.weights.find("mnist-cnn").read_bytes()
    (folder / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (folder / "flipped.npz").write_bytes(whole[:5000] + bytes(64) + whole[5064:])
    net = network()
    lrpref.save(net, folder / "shapeless.npz")
    lrpref.save(net, folder / "words.npz", {"input": "small images"})
    lrpref.save(net, folder / "inwords.npz", {"input": {"shape": "4 x 4"}})
    for name, channels in (("rgb", 3), ("five", 5)):
        lrpref.save(network(channels), folder / f"{name}.npz", {"input": {"shape": [channels, 4, 4]}})
    Image.new("L", (8, 8)).save(folder / "dot.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(folder / "noise.png")
    (folder / "cut.png").write_bytes((folder / "noise.png").read_bytes()[:900])
    (folder / "empty.npy").touch()
    np.save(folder / "head.npy", np.zeros((1, 28, 28)))
    (folder / "head.npy").write_bytes((folder / "head.npy").read_bytes().replace(b"'shape': (1", b"'shape': ((", 1))
    (folder / "zip.npy").write_bytes((folder / "arrays.npz").read_bytes())
    np.save(folder / "objects.npy", np.full((1, 28, 28), None), allow_pickle=True)
    for name, value in (("words", "a"), ("complex", 1j), ("nan", np.nan)):
        np.save(folder / f"{name}.npy", np.full((1, 28, 28), value))
    np.save(folder / "small.npy", np.zeros((1, 4, 4)))
    return folder


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_line(mistake: str, run: Run, spoiled: Path, tmp_path: Path) -> None:
    command, message = MISTAKES[mistake]
    shutil.copytree(spoiled, tmp_path, dirs_exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    code, _, err = run(*command.split(" "))
    assert code == 2
    assert err.startswith("lrpref: ")
    assert message in err
    assert err.count("\n") == 1
    assert [p for p in sorted(tmp_path.rglob("*")) if p not in before and p.name != "heatmap.png"] == []


@pytest.mark.parametrize(
    "command",
    ["explain", "explain mnist-cnn", "nonsense", "show", "fuse --rulez z a"],
)
def test_a_malformed_command_shows_the_usage(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(shlex.split(command))
    assert end.value.code == 2
    assert "usage: lrpref" in capsys.readouterr().err


def test_bytes_flipped_at_random_never_end_in_a_traceback(run: Run, tiny: Path) -> None:
    rng = np.random.default_rng(0)
    image = Path("noise.png")
    Image.fromarray(rng.integers(0, 255, (6, 6, 3), np.uint8)).save(image)
    for path, command in ((tiny, "show {}"), (Path("x.npy"), "explain tiny.npz {}"), (image, "explain tiny.npz {}")):
        whole = path.read_bytes()
        for _ in range(40):
            damaged = bytearray(whole)
            for place in rng.integers(0, min(len(whole), 400), size=2):
                damaged[place] = rng.integers(0, 256)
            spoiled = Path("spoiled" + path.suffix)
            spoiled.write_bytes(damaged)
            shown = run(*command.format(spoiled).split(), *(["--out", "nowhere/x.png"] if "explain" in command else []))
            assert shown.code in (0, 2)


@pytest.mark.parametrize(
    ("module", "arguments"),
    [("matplotlib", ["digit-4"]), ("PIL", ["picture.png"])],
    ids=["matplotlib", "pillow"],
)
def test_a_missing_package_is_named_before_the_work(
    module: str, arguments: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (28, 28)).save("picture.png")
    monkeypatch.setitem(sys.modules, module, None)  # simulate a missing package
    code, out, err = run("explain", "mnist-cnn", *arguments)
    assert (code, out) == (2, "")
    assert re.search(r"pip install (matplotlib|pillow) \(in lrpref's extra", err)


# ---- pipes, interruptions, terminals ---------------------------------------------------------------------------


def process(*arguments: object, env: dict[str, str] | None = None, **more: Any) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(Path(lrpref.__file__).parent.parent), **(env or {})}
    command = [sys.executable, "-m", "lrpref", *map(str, arguments)]
    return subprocess.Popen(command, env=env, text=True, stderr=subprocess.PIPE, **more)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is another error on Windows")
@pytest.mark.parametrize("arguments", [["rules"], ["--help"], ["show", "resnet20"], ["conform", "--list"], ["rule"]])
def test_a_reader_who_leaves_ends_it_quietly(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As `head` does; 141 is what a shell reports for a program that SIGPIPE ended."""
    for name in ("stdout", "stderr"):
        reader, writer = os.pipe()
        os.close(reader)
        monkeypatch.setattr(sys, name, open(writer, "w"))  # noqa: SIM115
    try:
        code = cli.main(arguments)
    except SystemExit as error:  # argparse refuses "rule", and nobody reads why
        code = int(str(error.code))
    sys.stdout.close()  # as the interpreter does at its end
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.close()
    assert code == (2 if arguments == ["rule"] else 141)


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is another error on Windows")
def test_a_pipe_to_head(tmp_path: Path) -> None:
    buffered = {"PYTHONUNBUFFERED": ""}  # so that the little that is printed is written when the command is done
    started = process("rules", "zero", env=buffered, stdout=subprocess.PIPE)
    assert started.stdout is not None
    started.stdout.close()
    _, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (141, "")


def test_closed_and_full_outputs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # the shell's >&-
    assert run("rules").code == 0
    np.save("x.npy", lrpref.samples.load("digit-4"))
    with monkeypatch.context() as closed:
        closed.setattr(sys, "stderr", None)  # 2>&-
        assert cli.main(["explain", "mnist-cnn", "x.npy", "--out", "R.npy"]) == 0
        net = lrpref.load("mnist-cnn")
        assert lrpref.explain(net, np.load("x.npy"), batch_size=1).shape == (1, 1, 28, 28)
    if Path("/dev/full").exists():
        with contextlib.closing(open("/dev/full", "w")) as full:
            monkeypatch.setattr(sys, "stdout", full)
            assert run("rules")[::2] == (2, "lrpref: [Errno 28] No space left on device\n")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_an_interruption_is_one_line(name: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(chosen: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"lrpref.cli.{name}.run", interrupted)
    arguments: dict[str, str] = {
        "explain": "a b",
        "compare": "a b --against c",
        "convert": "a -o b",
        "fuse": "a",
        "show": "a",
    }
    words = arguments.get(name, "2501.14322" if name == "reproduce" else "")
    assert run(name, *words.split()) == (130, "", "lrpref: interrupted\n")


SLOW = """
import signal, sys, time
from matplotlib.figure import Figure
from lrpref.cli import main

def savefig(figure, part, **options):
    part.write_text("half of a pict")
    print("half", flush=True)
    time.sleep(60)

Figure.savefig = savefig
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(["explain", "mnist-cnn", "digit-4", "--out", "map.png"]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals to a process")
@pytest.mark.parametrize(("name", "code", "message"), [("SIGINT", 130, "lrpref: interrupted\n"), ("SIGTERM", -15, "")])
def test_a_signal_in_the_middle_of_a_picture(name: str, code: int, message: str, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(lrpref.__file__).parent.parent)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SLOW], cwd=tmp_path, env=env, **pipes) as started:
        assert started.stdout is not None
        while started.stdout.readline() != "half\n":
            assert started.poll() is None
        started.send_signal(getattr(signal, name))
        _, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (code, message)
    assert list(tmp_path.iterdir()) == []


def test_names_that_the_terminal_cannot_show(run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are escaped, in what is printed and in errors."""
    shutil.copy("x.npy", "\u00e9\u56db.npy")
    for arguments, code in (
        ("explain tiny.npz \u00e9\u56db.npy --out \u00e9.png", 0),
        ("explain tiny.npz \u56db.npy", 2),
    ):
        out, err = (
            io.TextIOWrapper(io.BytesIO(), "ascii", errors, write_through=True)
            for errors in ("strict", "backslashreplace")
        )
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        assert cli.main(arguments.split()) == code
        text = (out if code == 0 else err).buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
        assert "\\u56db.npy" in text
    assert is_png(Path("\u00e9.png"))


@pytest.mark.slow
def test_an_ascii_terminal(tmp_path: Path) -> None:
    started = process(
        *("explain", "mnist-cnn", "\u56db.npy"),
        env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    )
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out) == (2, "")
    assert err.startswith("lrpref: \\u56db.npy is not a readable .npy file: ")
    assert err.count("\n") == 1


def test_an_input_that_the_metadata_make_too_large() -> None:
    from lrpref.cli.common import input_shape

    with pytest.raises(
        ShapeError, match=r"one sample of shape \(3, 1000000, 1000000\) would have 3000000000000 numbers"
    ):
        input_shape({"input": {"shape": [3, 10**6, 10**6]}})
