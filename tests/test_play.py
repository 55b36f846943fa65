"""The page to play with as a file: what is in it, what `lrpref play` writes, and what it refuses."""

from __future__ import annotations

import base64
import json
import re
import webbrowser
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrpref
from lrpref import AvgPool2D, Conv1D, Conv2D, Dense, Flatten, MaxPool2D, Network, ReLU, Sigmoid, cli, play
from lrpref.errors import ConversionError, GraphError

ROOT = Path(__file__).parent.parent
COMMITTED = ROOT / "docs" / "play" / "index.html"
LARGEST = 2_000_000
"""The most bytes that the page may have."""


class Read(HTMLParser):
    """The elements of a page with their attributes, and the text of its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data

    def values(self, attribute: str, *tags: str) -> list[str]:
        """Every value of an attribute of these tags, or of all."""
        found = [given.get(attribute) for tag, given in self.found if not tags or tag in tags]
        return [value for value in found if value is not None]

    @property
    def data(self) -> dict[str, Any]:
        """The data of the page."""
        [index] = [k for k, (_, given) in enumerate(self.scripts_found()) if given.get("id") == "data"]
        data: dict[str, Any] = json.loads(self.scripts[index])
        return data

    def scripts_found(self) -> list[tuple[str, dict[str, str | None]]]:
        return [element for element in self.found if element[0] == "script"]


@pytest.fixture(scope="module")
def html() -> str:
    return play.page([], base="../../")


@pytest.fixture(scope="module")
def plain() -> str:
    """The page as the command writes it."""
    return play.page([])


def test_the_page_loads_nothing(html: str) -> None:
    """No address but those of links, and a policy that forbids everything from elsewhere."""
    page = Read(html)
    assert page.values("src") == []
    assert page.values("href", "link") == []
    [policy] = [given["content"] for tag, given in page.found if given.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in str(policy)
    assert "connect-src" not in str(policy)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket", html)


def test_the_page_is_small(html: str) -> None:
    assert 10_000 < len(html.encode()) <= LARGEST


def test_the_committed_page_is_this_one(html: str) -> None:
    assert COMMITTED.read_text(encoding="utf-8") == html, "run python scripts/make_play.py"


def test_every_link_into_the_project_leads_somewhere(html: str) -> None:
    links = [href for href in Read(html).values("href", "a") if not href.startswith(("https://", "#"))]
    assert len(links) > 15
    for link in links:
        path, _, anchor = link.partition("#")
        target = COMMITTED.parent / path
        assert target.is_file(), link
        assert not anchor or f'<a id="{anchor}">' in target.read_text(), link


def test_every_section_has_a_stable_anchor_a_question_and_an_answer(html: str) -> None:
    page = Read(html)
    sections = page.values("id", "section")
    assert sections == ["neuron", "matrix", "digit", "epsilon", "batchnorm", "flipping"]
    assert set(page.values("href", "a")) >= {f"#{name}" for name in sections}
    right = [given.get("name") for tag, given in page.found if tag == "input" and "data-right" in given]
    assert right == [f"predict-{name}" for name in sections]
    assert html.count('<p class="answer" hidden>') == len(sections)


def test_the_numbers_of_the_first_answer() -> None:
    """What the page says of the neuron next to z = 0."""
    layer, a, R = Dense([[2.0, -2.0]], [0.01]), np.ones((1, 2)), np.ones((1, 1))
    assert_array_equal(np.round(layer.relevance(a, R, lrpref.rules.Epsilon(0.0)), 9), [[200.0, -200.0]])
    assert_array_equal(np.round(layer.relevance(a, R, lrpref.rules.Epsilon(1.0)), 2), [[1.98, -1.98]])


def test_without_a_base_there_are_no_links_into_the_project(plain: str) -> None:
    assert all(href.startswith(("https://", "#")) for href in Read(plain).values("href", "a"))
    assert "data-source" not in plain
    assert "the rules (<code>lrpref/rules.py</code>)" in plain


def decoded(array: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(array["float32"]), dtype="<f4").reshape(array["shape"])


def test_the_weights_are_those_of_the_files(html: str) -> None:
    data = Read(html).data
    assert tuple(network["name"] for network in data["networks"]) == play.STANDARD
    for network in data["networks"]:
        net = lrpref.load(network["name"])
        assert [(n, i) for n, _, i in network["nodes"]] == [(n, list(i)) for n, _, i in net.nodes]
        for name, held in net.parameters.items():
            node, _, field = name.rpartition(".")
            assert_array_equal(decoded(network["layers"][node]["arrays"][field]), held)
    assert_array_equal(decoded(data["samples"]["hard-1"]), lrpref.samples.load("hard-1")[0])
    assert data["samples"]["hard-1"]["label"] == "9"


def test_a_shared_layer_is_embedded_once() -> None:
    dense = Dense(np.ones((4, 4), dtype=np.float32))
    nodes = [("flat", Flatten(), ["input"]), ("a", dense, ["flat"]), ("b", dense, ["a"])]
    found = play.embedded(Network(nodes), "shared", {}, (1, 2, 2))
    assert found["nodes"][1:] == [["a", "a", ["flat"]], ["b", "a", ["a"]]]
    assert set(found["layers"]) == {"flat", "a"}
    assert found["classes"] == ["0", "1", "2", "3"]


def test_what_a_name_holds_ends_no_script(plain: str) -> None:
    about = {"classes": ["</script><script>alert(1)</script>", "<!--<script>"]}
    net = Network.sequential(Flatten(), Dense(np.ones((2, 4))))
    page = Read(play.page([play.embedded(net, "</script>", about, (1, 2, 2))]))
    assert page.data["networks"][0]["name"] == "</script>"
    assert page.data["networks"][0]["classes"] == about["classes"]
    assert len(page.scripts) == len(Read(plain).scripts)


# ---- what is refused ---------------------------------------------------------------------------------------------

KERNEL = np.ones((1, 1, 2, 2))


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Network.sequential(Conv1D(np.ones((1, 1, 2)))), r"mine: .*lacks the layer Conv1D \(node 'conv1d1'\)"),
        (
            Network.sequential(Flatten(), Dense(np.ones((1, 4))), Sigmoid()),
            r"lacks the layer Sigmoid \(node 'sigmoid1'\)",
        ),
        (
            Network.sequential(MaxPool2D(2, ceil_mode=True)),
            r"lacks the parameter ceil_mode of MaxPool2D \(node 'maxpool",
        ),
        (Network.sequential(AvgPool2D(2, divisor=3)), r"lacks the parameter divisor of AvgPool2D"),
    ],
)
def test_a_layer_that_lrp_js_lacks_is_refused_by_name(net: Network, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        play.check_offered(net, "mine")


def test_a_softmax_is_taken_at_the_end_only() -> None:
    last = Network.sequential(Flatten(), Dense(np.ones((2, 4))), lrpref.Softmax())
    play.check_offered(last, "mine")
    inside = Network.sequential(Flatten(), Dense(np.ones((2, 4))), lrpref.Softmax(), ReLU())
    with pytest.raises(ConversionError, match="lacks the layer Softmax"):
        play.check_offered(inside, "mine")


def test_a_network_folded_behind_padding_is_refused() -> None:
    norm = lrpref.BatchNorm([1.0], [1.0], [0.0], [1.0])
    net = lrpref.fuse(Network.sequential(norm, Conv2D(np.ones((1, 1, 3, 3)), padding=1)))
    with pytest.raises(ConversionError, match="lacks the parameter bias_taps of Conv2D"):
        play.check_offered(net, "mine")


def test_what_cannot_be_drawn_is_refused() -> None:
    net = Network.sequential(Conv2D(np.ones((1, 2, 2, 2))))
    with pytest.raises(
        ConversionError, match=r"images of one or three channels; the input of mine has shape \(2, 4, 4\)"
    ):
        play.embedded(net, "mine", {}, (2, 4, 4))


def test_a_network_of_several_inputs_is_refused() -> None:
    net = Network([("sum", lrpref.Add(), ["a", "b"])], inputs=("a", "b"))
    with pytest.raises(GraphError, match="the interactive page takes networks with one input"):
        play.check_offered(net, "mine")


def test_the_documentation_lists_the_layers() -> None:
    page = (ROOT / "docs" / "play.md").read_text()
    listed = page.partition("<!-- the layers of lrp.js -->")[2].partition("<!-- end -->")[0]
    assert re.findall(r"`(\w+)`", listed) == [*play.FIELDS, *play.HEADS]


# ---- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Work in an empty folder, and collect the addresses that a browser would open."""
    monkeypatch.chdir(tmp_path)
    addresses: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: addresses.append(address) or True)
    return addresses


def test_the_command_writes_and_opens_the_page(
    opened: list[str], plain: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["play"]) == 0
    assert opened == [Path("play.html").resolve().as_uri()]
    assert Path("play.html").read_text(encoding="utf-8") == plain
    assert capsys.readouterr().out == "wrote play.html: 1.4 MB, works offline\n"


def test_a_network_of_ones_own_comes_first(opened: list[str]) -> None:
    net = Network.sequential(Conv2D(np.ones((2, 3, 2, 2))), ReLU(), Flatten(), Dense(np.ones((2, 18))))
    about = {"input": {"shape": [3, 4, 4], "mean": [0.5] * 3, "std": [0.25] * 3}, "classes": ["no", "yes"]}
    lrpref.save(net, "mine.npz", about)
    assert cli.main(["play", "mine.npz", "--out", "mine.html", "--no-open"]) == 0
    assert opened == []
    first, *others = Read(Path("mine.html").read_text(encoding="utf-8")).data["networks"]
    assert tuple(network["name"] for network in others) == play.STANDARD
    assert {key: first[key] for key in ("name", "shape", "mean", "std", "classes")} == {
        "name": "mine.npz",
        "shape": [3, 4, 4],
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
        "classes": ["no", "yes"],
    }


def test_the_command_refuses_by_name(opened: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["play", "ecg-cnn"]) == 2
    assert capsys.readouterr().err.startswith("lrpref: ecg-cnn: lrp.js, the engine of the page, lacks the layer Conv1D")
    assert cli.main(["play", "--out", "nowhere/play.html"]) == 2
    assert opened == []
    assert not Path("play.html").exists()


def test_a_machine_without_a_browser_is_told(
    opened: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    assert cli.main(["play"]) == 0
    assert capsys.readouterr().out.endswith("no browser was found; open the file yourself\n")
