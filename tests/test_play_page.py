"""The page to play with in headless Chromium: pointer, keyboard, colours, and no error in the console.

Needs Selenium (the extra `browser`), and Chromium with its driver (Debian: chromium, chromium-driver).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lrpref
from lrpref import Conv2D, Dense, Flatten, MaxPool2D, Network, ReLU, play, rules

webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="Chromium or its driver is missing (Debian: chromium, chromium-driver)"
)

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1100,1000"),
)
SECTIONS = ("neuron", "matrix", "digit", "epsilon", "batchnorm", "flipping")
CONTROLS = "button, input, select, canvas[tabindex]"


class Browser:
    """A driver, and what the tests do with it."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self.driver, self.folder = driver, folder

    def open(self, html: str) -> None:
        """Show a page on a screen of the usual size and colours, whatever the test before emulated."""
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
        path = self.folder / "page.html"
        path.write_text(html, encoding="utf-8")
        self.driver.get(path.as_uri())
        self.until(lambda: self.js("return document.body.classList.contains('ready')"))

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: Callable[[], Any]) -> Any:
        return WebDriverWait(self.driver, 60, 0.05).until(lambda _: condition())

    def show(self, section: str) -> None:
        """Scroll to a section, and wait until it has drawn itself."""
        self.js(f"document.getElementById('{section}').scrollIntoView({{behavior: 'instant'}})")
        self.settle()

    def settle(self) -> None:
        """Wait for two frames, after which everything that was due has been drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => setTimeout(() => requestAnimationFrame(() => setTimeout(done, 30)), 30));"
        )

    def find(self, selector: str, within: str = "body") -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, f"{within} {selector}")

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found

    def button(self, text: str, section: str) -> Any:
        return next(found for found in self.all(f"#{section} button") if found.text == text)

    def choose(self, label: str, section: str, value: str) -> None:
        """Choose an option of the menu with this label."""
        menu = next(found for found in self.all(f"#{section} .menu") if found.text.startswith(label))
        self.js("arguments[0].value = arguments[1]", select := menu.find_element(By.TAG_NAME, "select"), value)
        self.js("arguments[0].dispatchEvent(new Event('change', {bubbles: true}))", select)
        self.settle()

    def text(self, selector: str) -> str:
        return str(self.js("return document.querySelector(arguments[0]).textContent", selector))

    def state(self, section: str) -> str:
        """All that a section shows: its text, its pictures, and the values of its controls."""
        return str(
            self.js(
                "const root = document.querySelector('#' + arguments[0] + ' .play');"
                "const pictures = [...root.querySelectorAll('canvas')].map((c) => c.toDataURL());"
                "const bars = [...root.querySelectorAll('.bar, svg path, svg line')].map((b) => b.outerHTML);"
                "return [root.textContent, ...pictures, ...bars].join('|')",
                section,
            )
        )

    def picture(self, selector: str) -> str:
        return str(self.js("return document.querySelector(arguments[0]).toDataURL()", selector))

    def press(self, element: Any, *keys: str) -> None:
        """Give an element the focus as the Tab key does, which selects the text of a field, and press keys."""
        self.js("arguments[0].focus(); if (arguments[0].select) arguments[0].select()", element)
        ActionChains(self.driver).send_keys(*keys).perform()
        self.settle()

    def drag(self, element: Any, *points: tuple[float, float]) -> None:
        """Draw a line through points, given as parts of the element's sides."""
        self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        size = element.size
        at = [(round((x - 0.5) * size["width"]), round((y - 0.5) * size["height"])) for x, y in points]
        chain = ActionChains(self.driver, duration=20).move_to_element_with_offset(element, *at[0]).click_and_hold()
        for x, y in at[1:]:
            chain = chain.move_to_element_with_offset(element, x, y)
        chain.release().perform()
        self.settle()

    def errors(self) -> list[Any]:
        """What the console says; each message is given once."""
        return list(self.driver.get_log("browser"))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    folder = tmp_path_factory.mktemp("browser")
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(60)
    yield Browser(driver, folder)
    driver.quit()


@pytest.fixture
def browser(started: Browser) -> Iterator[Browser]:
    """The standard page, freshly opened; the console must stay empty."""
    started.open(play.page([]))
    yield started
    assert started.errors() == []


def test_an_error_would_be_noticed(started: Browser) -> None:
    """Without this, an empty console would prove nothing."""
    started.open(play.page([]))
    started.errors()
    started.js("setTimeout(() => { throw new Error('planted'); })")
    started.settle()
    assert "planted" in str(started.errors())


# ---- drawing -----------------------------------------------------------------------------------------------------


def test_a_drawn_stroke_changes_the_map_and_can_be_undone(browser: Browser) -> None:
    browser.show("digit")
    before = browser.picture("#pad"), browser.picture("#digit .map"), browser.text("#digit .logits")
    browser.drag(browser.find("#pad"), (0.2, 0.2), (0.5, 0.25), (0.8, 0.2))
    after = browser.picture("#pad"), browser.picture("#digit .map"), browser.text("#digit .logits")
    assert all(old != new for old, new in zip(before, after, strict=True))
    browser.press(browser.button("Undo", "digit"), Keys.ENTER)
    assert (browser.picture("#digit .map"), browser.text("#digit .logits")) == before[1:]


def test_the_keyboard_draws(browser: Browser) -> None:
    browser.show("digit")
    pad = browser.find("#pad")
    maps = [browser.picture("#digit .map")]
    browser.press(pad, *[Keys.ARROW_UP] * 10)
    assert browser.picture("#digit .map") == maps[0]  # moving the cursor draws nothing
    assert re.match(r"Row 5, column 15: ink 0, relevance", browser.text("#digit .note"))
    browser.press(pad, Keys.SPACE)
    maps.append(browser.picture("#digit .map"))
    browser.press(pad, Keys.ENTER, *[Keys.ARROW_RIGHT] * 6, Keys.ENTER)
    maps.append(browser.picture("#digit .map"))
    assert len(set(maps)) == 3
    assert re.match(r"Row 5, column 21: ink 1, relevance", browser.text("#digit .note"))
    browser.press(browser.button("Undo", "digit"), Keys.ENTER)  # a line by the pen is one stroke
    assert browser.picture("#digit .map") == maps[1]


def logit(browser: Browser, name: str) -> float:
    """The logit of a class as the page shows it."""
    [row] = [row for row in browser.all("#digit .logit") if row.text.split()[0] == name]
    return number(row.text.split()[1])


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_rubbing_out_compares_the_predicted_with_the_true_change(browser: Browser) -> None:
    browser.show("digit")
    browser.choose("Rule", "digit", "zero")
    nine = logit(browser, "9")
    browser.press(browser.find("input[value=rub]", "#digit"), Keys.SPACE)
    browser.drag(browser.find("#pad"), (0.55, 0.8), (0.65, 0.9))
    [row] = browser.all("#digit .strokes tbody tr")
    stroke, pixels, of, predicted, true = [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
    assert (stroke, of) == ("1", "9")
    assert 5 < int(pixels) < 60
    assert number(true) == pytest.approx(logit(browser, "9") - nine, abs=0.06)  # three digits are shown
    assert abs(number(predicted)) > 0.1
    assert number(predicted) != number(true)


def test_nine_rather_than_four(browser: Browser) -> None:
    browser.show("digit")
    browser.choose("Rule", "digit", "zero")
    browser.press(browser.find("input[name=target][value='9']", "#digit"), Keys.SPACE)
    browser.choose("rather than", "digit", "4")
    net, x = lrpref.load("mnist-cnn").astype(np.float64), lrpref.samples.load("hard-1").astype(np.float64)
    logits = net.forward(x)
    seed = np.zeros_like(logits)
    seed[0, 9], seed[0, 4] = logits[0, 9], -logits[0, 4]
    total = float(lrpref.explain(net, x, rule=rules.Zero(), seed=seed).sum())
    said = browser.text("#digit .map ~ figcaption")
    assert number(re.search(r"sum ([−\d.]+)", said)[1]) == pytest.approx(total, rel=5e-3)  # type: ignore[index]
    assert "why 9 rather than 4? difference of the logits 3.14" in said


def shown_sum(browser: Browser) -> float:
    return number(re.search(r"sum ([−\d.]+)", browser.text("#digit .map ~ figcaption"))[1])  # type: ignore[index]


def test_relative_lrp(browser: Browser) -> None:
    browser.show("digit")
    browser.choose("Rule", "digit", "relative")
    net, x = lrpref.load("mnist-cnn").astype(np.float64), lrpref.samples.load("hard-1").astype(np.float64)
    tr = lrpref.trace(net, x, rule=rules.Relative())
    assert shown_sum(browser) == pytest.approx(tr.relevance.sum(), rel=5e-3)
    books = {row.text.split()[0]: row.text.split()[-1] for row in browser.all("#digit .bars tr")}
    assert number(books["factor"]) == pytest.approx(float(tr.ledger["factor"].sum()), rel=5e-3)


def test_relative_lrp_needs_batchnorm_folded(browser: Browser) -> None:
    browser.show("digit")
    browser.choose("Rule", "digit", "relative")
    browser.choose("Network", "digit", "1")
    assert "Relative LRP on a BatchNorm (node bn1), which must be folded first" in browser.text("#digit .warning")
    assert "stale" in browser.find("figure:has(.map)", "#digit").get_attribute("class")
    assert logit(browser, "9") == pytest.approx(10.94)  # the logits are those of the network that was chosen
    browser.choose("Network", "digit", "2")
    assert browser.text("#digit .warning") == ""
    net, x = lrpref.load("mnist-cnn-bn").astype(np.float64), lrpref.samples.load("hard-1").astype(np.float64)
    expected = lrpref.explain(lrpref.fuse(net), x, rule=rules.Relative()).sum()
    assert shown_sum(browser) == pytest.approx(expected, rel=5e-3)


def test_what_is_read_of_a_pixel_is_that_of_the_present_map(browser: Browser) -> None:
    browser.show("digit")
    browser.press(browser.find("#pad"), Keys.ARROW_DOWN)
    first = browser.text("#digit .note")
    browser.choose("Rule", "digit", "zero")
    assert browser.text("#digit .note") != first
    browser.press(browser.button("Clear", "digit"), Keys.ENTER)
    assert browser.text("#digit .note") == "Row 16, column 15: ink 0, relevance 0."
    assert "0 everywhere" in browser.text("#digit .map ~ .ends")


# ---- the other sections ------------------------------------------------------------------------------------------


def test_a_neuron_at_zero_drops_its_relevance(browser: Browser) -> None:
    browser.press(browser.button("Set z = 0", "neuron"), Keys.ENTER)
    books = {row.text.split()[0]: row.text.split()[-1] for row in browser.all("#neuron .bars:last-child tr")}
    assert (books["R₁"], books["R₂"], books["dropped"]) == ("0", "0", "1")
    browser.press(browser.button("Set z = 0.01", "neuron"), Keys.ENTER)
    books = {row.text.split()[0]: row.text.split()[-1] for row in browser.all("#neuron .bars:last-child tr")}
    assert (books["R₁"], books["R₂"], books["bias"]) == ("200", "−200", "1")


def test_a_message_shows_its_working(browser: Browser) -> None:
    browser.show("matrix")
    browser.choose("Rule", "matrix", "Epsilon")
    browser.press(browser.find("button[data-cell='22']", "#matrix"))
    assert browser.text("#matrix .working") == "R2←2 = 2 / (3/2) · 1 = 4/3"  # z = 1, epsilon = 1/2
    ActionChains(browser.driver).move_to_element(browser.find("button[data-cell='11']", "#matrix")).perform()
    assert browser.text("#matrix .working") == "R1←1 = 2 / (5/2) · 1 = 4/5"
    browser.choose("Rule", "matrix", "Relative")
    browser.press(browser.find("button[data-cell='21']", "#matrix"))
    assert browser.text("#matrix .working") == "R2←1 = (−1) / 3 · 1 = −1/3"
    assert browser.text("#matrix .note").endswith("κ = Σⱼ |Rⱼ| / Σᵢ |Rᵢ| =\u00a03/2.")  # 2 / (1/3 + 1/3 + 2/3)


def test_what_is_no_number_is_marked(browser: Browser) -> None:
    field = browser.find(".fraction", "#matrix")
    browser.press(field, "1/0")
    assert field.get_attribute("aria-invalid") == "true"
    assert "no number" in browser.text("#matrix .warning")
    browser.press(field, "1/3")
    assert field.get_attribute("aria-invalid") == "false"
    assert browser.text("#matrix .warning") == ""
    browser.choose("Rule", "matrix", "AlphaBeta")
    browser.press(browser.find(".parameters input", "#matrix"), "3")
    assert browser.text("#matrix .warning") == "α − β must be 1."


def test_a_number_that_the_neuron_cannot_take_is_marked(browser: Browser) -> None:
    field = browser.find("input[aria-label='ε, exact value']", "#neuron")
    browser.press(field, "-1")
    assert field.get_attribute("aria-invalid") == "true"
    assert "ε = 0 is used" in browser.text("#neuron .warning")
    browser.press(field, "1e6")
    assert field.get_attribute("aria-invalid") == "false"
    assert browser.text("#neuron .warning") == ""
    assert "1 / 10⁶ = 10⁻⁶" in browser.text("#neuron .steps")
    browser.press(field, "1e7")
    assert field.get_attribute("aria-invalid") == "true"


def test_a_large_epsilon_absorbs_the_map(browser: Browser) -> None:
    browser.show("epsilon")
    slider = browser.find("input[type=range]", "#epsilon")
    browser.press(slider, Keys.HOME)
    assert "sum 14.5; 109 % of the logit of 9" in browser.text("#epsilon figcaption")
    browser.press(slider, Keys.END)
    assert "sum 2.1·10⁻⁶;" in browser.text("#epsilon figcaption")


def test_batchnorm_three_ways(browser: Browser) -> None:
    browser.show("batchnorm")
    logits, _, cosines = (
        [cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in browser.all("#batchnorm tbody tr")
    )
    assert len(set(logits)) == 1
    assert (cosines[0], cosines[2]) == ("1", "1")
    assert number(cosines[1]) < 0.5
    browser.choose("Rule", "batchnorm", "z-plus")
    *_, cosines = (
        [cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in browser.all("#batchnorm tbody tr")
    )
    assert number(cosines[0]) < number(cosines[1]) < 1


def test_flipping_measures_what_the_page_says(browser: Browser) -> None:
    browser.show("flipping")
    browser.choose("Pixels", "flipping", "98")
    browser.press(browser.button("Measure", "flipping"), Keys.ENTER)
    browser.until(lambda: browser.all("#flipping .result"))
    assert browser.text("#flipping .result").endswith("over 9 points: 13.66")


def test_an_answer_waits_for_a_prediction(browser: Browser) -> None:
    for section in SECTIONS:
        answer = browser.find(".answer", f"#{section}")
        assert not answer.is_displayed()
        wrong, right = "input:not([data-right])", "input[data-right]"
        browser.press(browser.find(f".predict {wrong}", f"#{section}"), Keys.SPACE)
        assert answer.text.startswith("Look again. ")
        browser.press(browser.find(f".predict {right}", f"#{section}"), Keys.SPACE)
        assert answer.text.startswith("Yes. ")


# ---- the keyboard ------------------------------------------------------------------------------------------------


def test_tab_reaches_every_control(browser: Browser) -> None:
    """Of a group of radio buttons, one; arrow keys reach the others."""
    numbered = (
        f"const all = [...document.querySelectorAll('a[href], {CONTROLS}')].filter((e) => !e.disabled);"
        "all.forEach((e, k) => (e.dataset.stop = e.name || k)); return all.map((e) => e.dataset.stop)"
    )
    wanted = browser.js(numbered)
    reached = set()
    for _ in wanted:
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(browser.js("return document.activeElement.dataset.stop"))
    assert set(wanted) <= reached


@pytest.mark.parametrize("section", SECTIONS)
def test_every_control_works_from_the_keyboard(browser: Browser, section: str) -> None:
    """A key on each control changes what its section shows."""
    browser.show(section)
    tried = 0
    for k in range(len(browser.all(f"#{section} .play :is({CONTROLS})"))):
        control = browser.all(f"#{section} .play :is({CONTROLS})")[k]
        name, kind = control.tag_name, control.get_attribute("type")
        if control.get_attribute("value") in ("draw", "rub") or control.get_attribute("data-cell"):
            continue  # the pen and the messages have tests of their own
        if not control.is_enabled():  # there is nothing to undo yet
            browser.press(browser.find("#pad"), Keys.SPACE)
        before = browser.state(section) + str(control.get_attribute("value"))
        keys = {"select": Keys.ARROW_DOWN, "button": Keys.ENTER, "canvas": Keys.SPACE}.get(name, "")
        keys = keys or {"range": Keys.ARROW_RIGHT, "radio": Keys.SPACE, "number": "1.5"}.get(kind, "5")
        chosen = kind == "radio" and control.is_selected()
        browser.press(control, keys)
        [current] = [browser.all(f"#{section} .play :is({CONTROLS})")[k]]
        assert chosen or browser.state(section) + str(current.get_attribute("value")) != before, control.get_attribute(
            "outerHTML"
        )
        tried += 1
    assert tried >= {"epsilon": 1, "batchnorm": 1, "flipping": 4}.get(section, 12)


# ---- how it looks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, 390, 800, 1400])
def test_nothing_is_wider_than_the_screen(browser: Browser, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for section in SECTIONS:
        browser.show(section)
    assert browser.js("return document.documentElement.scrollWidth") <= width


def test_dark_and_light_have_colours_of_their_own_and_paper_is_light(browser: Browser) -> None:
    browser.show("digit")
    seen = {}
    for medium, scheme in (("", "light"), ("", "dark"), ("print", "dark")):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": features})
        browser.settle()
        page = browser.js("return getComputedStyle(document.body).backgroundColor")
        seen[medium, scheme] = (page, browser.picture("#digit .map"), browser.picture("#pad"))
    light, dark, printed = seen.values()
    assert all(one != other for one, other in zip(light, dark, strict=True))
    assert printed == light


def test_it_prints(browser: Browser) -> None:
    pdf = browser.driver.execute_cdp_cmd("Page.printToPDF", {})["data"]
    assert len(pdf) > 100_000


# ---- a network of one's own --------------------------------------------------------------------------------------


def test_a_colour_network_of_ones_own(started: Browser) -> None:
    rng = np.random.default_rng(0)
    layers = (
        Conv2D(rng.normal(size=(4, 3, 3, 3)), padding=1),
        ReLU(),
        MaxPool2D(2),
        Flatten(),
        Dense(rng.normal(size=(3, 64))),
    )
    about = {"input": {"mean": [0.5] * 3, "std": [0.25] * 3}, "classes": ["a", "b", "</b>"]}
    started.open(play.page([play.embedded(Network.sequential(*layers), "mine", about, (3, 8, 8))]))
    started.show("digit")
    before = started.picture("#digit .map")
    started.drag(started.find("#pad"), (0.3, 0.3), (0.7, 0.7))
    assert started.picture("#digit .map") != before
    assert [row.text.split()[0] for row in started.all("#digit .logit")[:3]] == ["a", "b", "</b>"]
    started.show("batchnorm")
    assert "needs a picture of 28 x 28" in started.text("#batchnorm .play")
    started.choose("Network", "digit", "2")
    started.show("batchnorm")
    assert "One logit" in started.text("#batchnorm .play")
    assert started.errors() == []


def test_what_lrp_js_lacks_is_said(started: Browser) -> None:
    """A network that begins with a BatchNorm has no first layer for a z-box."""
    norm = lrpref.BatchNorm([1.0], [0.0], [0.0], [1.0])
    net = Network.sequential(norm, Flatten(), Dense(np.arange(8.0).reshape(2, 4) - 3))
    started.open(play.page([play.embedded(net, "mine", {}, (1, 2, 2))]))
    started.show("digit")
    networks = [option.text for option in started.all("#digit .menu:first-child option")]
    assert networks == ["mine", "mnist-cnn", "mnist-cnn-bn", "mnist-cnn-bn, folded"]  # in "mine", nothing can be folded
    started.drag(started.find("#pad"), (0.3, 0.3), (0.6, 0.3))
    for section in ("digit", "flipping"):
        started.choose("Rule" if section == "digit" else "Order by", section, "epsilon-gamma-box")
        if section == "flipping":
            started.press(started.button("Measure", section), Keys.ENTER)
        assert "lrp.js does not offer epsilon-gamma-box on a network without" in started.text(f"#{section} .warning")
    started.choose("Rule", "digit", "zero")
    assert started.text("#digit .warning") == ""
    assert started.errors() == []
