"""Every printed figure of docs/papers.md and docs/reproduce/*.md, computed again from the committed rows.

Means, intervals and verdicts are computed here, as a reader would; only Holm's correction and the p-values are those of
the library. Each number must be printed as the value from the rows, rounded once: only the six digits of the rows leave
a choice, where a value is that near to the middle between two numbers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from math import pi, sqrt
from pathlib import Path

import numpy as np
import pytest

import lrpref
from lrpref import BatchNorm, LinearLayer, rules, samples, weights
from lrpref.composites import Composite
from lrpref.reproduce import guillemot2020, networks, nyiri2025, report
from lrpref.reproduce.statistics import holm, two_sided

DOCS = Path(__file__).parent.parent / "docs"
PAPERS = (DOCS / "papers.md").read_text(encoding="utf-8")
PAGES = ("2002.11018", "2002.11018-mnist", "2002.11018-cifar10", "2501.14322")
T = {2: 4.303, 3: 3.182, 4: 2.776}
"""The 97.5 % quantiles of Student's t by degrees of freedom."""

SIX_DIGITS = 3e-5
"""How far a difference of two values of size 1, or its interval, may move by the rounding of the rows to six digits.

Each value moves by 5e-6 of itself at most, a quotient of two by 1e-5, and the difference of two quotients by 2e-5. (An
interval may move more, but only if the errors of its seeds conspire.)
"""

DECADES = [f"epsilon(epsilon={e})" for e in ("1e-6", "1e-5", "1e-4", "1e-3", "1e-2", "1e-1", "1")]
ONE = DECADES[-1]
FILLS = ("mean", "zero")
DATASETS = ("mnist", "cifar10")
Row = dict[str, str]
Interval = tuple[float, float, float]
Groups = dict[str, list[float]]
"""Data set -> a value for each training seed."""


@cache
def rows(name: str) -> list[Row]:
    with (DOCS / "reproduce" / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@cache
def means(paper: str) -> dict[tuple[str, ...], float]:
    """(network, treatment, rule, measure) -> the mean of a table."""
    keys = ("network", "treatment", "rule", "measure")
    return {tuple(row[key] for key in keys): float(row["mean"]) for row in rows(f"{paper}.csv") if row["mean"]}


@cache
def seeds(paper: str) -> dict[tuple[str, ...], list[Row]]:
    """(network, treatment, rule) -> the rows of its training seeds, in their order."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in sorted(rows(f"{paper}-seeds.csv"), key=lambda row: int(row["seed"])):
        found.setdefault((row["network"], row["treatment"], row["rule"]), []).append(row)
    return found


@cache
def page(name: str) -> str:
    return (DOCS / "reproduce" / f"{name}.md").read_text(encoding="utf-8")


def tables(text: str) -> Iterator[list[list[str]]]:
    """The Markdown tables of a page, as rows of cells; the first row is the head."""
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in block.splitlines()]
        yield [lines[0], *lines[2:]]


def table(text: str, *head: str) -> list[list[str]]:
    """The rows of the only table whose head begins like this."""
    (found,) = [lines for lines in tables(text) if lines[0][: len(head)] == list(head)]
    return found[1:]


def claims(name: str) -> dict[str, tuple[str, str]]:
    return {sentence: (figure, answer) for sentence, figure, answer in table(page(name), "claim", "figure", "answer")}


def plain(text: str) -> str:
    """A text on one line."""
    return re.sub(r"\s+", " ", text)


def printed(text: str, value: float, form: str = ".3g", near: float = 0.0) -> bool:
    """Whether a number is printed as this value, rounded once; `near` is how far the value may be off."""
    low, high = sorted(float(format(value + side * near, form)) for side in (-1, 1))
    return low <= float(text) <= high


def all_printed(text: str, values: Interval, form: str = ".3g", near: float = SIX_DIGITS) -> bool:
    """Whether "0.2 [0.1, 0.3] over ..." is this mean and interval."""
    found = re.match(r"(\S+) \[(\S+), (\S+)\]", text)
    return bool(found) and all(printed(t, v, form, near) for t, v in zip(found.groups(), values, strict=True))


def by_fill(figure: str) -> dict[str, str]:
    """The figures of a claim of the first study, as text."""
    parts = figure.removeprefix("relative ABPC, ").split("; ")
    return dict(part.removeprefix("fill ").split(": ") for part in parts)  # type: ignore[arg-type]


def estimate(groups: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """The mean of the groups' means, its standard error, and the degrees of freedom of Welch 1947, not rounded."""
    parts = [float(np.var(group, ddof=1)) / len(group) for group in groups]
    mean = float(np.mean([np.mean(group) for group in groups]))
    squares = sum(part**2 / (len(group) - 1) for part, group in zip(parts, groups, strict=True))
    return mean, sqrt(sum(parts)) / len(groups), sum(parts) ** 2 / squares if squares else 2


def interval(*groups: Sequence[float]) -> Interval:
    """The mean over groups of seeds and its interval, with degrees of freedom rounded down."""
    mean, error, df = estimate(groups)
    half = T[int(df + 1e-9)] * error
    return mean, mean - half, mean + half


def p_value(*groups: Sequence[float]) -> float:
    mean, error, df = estimate(groups)
    return two_sided(mean / error, int(df + 1e-9)) if error else float(mean == 0)


def verdict(low: float, high: float) -> str:
    return "held" if low > 0 else "did not hold" if high < 0 else "cannot say: the interval over seeds holds 0"


def verdict_on(groups: Groups) -> str:
    """The verdict on one data set, or on two together, which one of them must give alone."""
    found, *others = (verdict(*interval(*each)[1:]) for each in (groups.values(), *([g] for g in groups.values())))
    return found if found.startswith("cannot say") or found in others else "cannot say: no single data set shows it"


def agreed(verdicts: dict[str, str]) -> str:
    first, *others = verdicts.values()
    if set(others) <= {first}:
        return first
    return "cannot say: " + "; ".join(f"{name}: {found}" for name, found in verdicts.items())


# ---- the first study, from its rows ------------------------------------------------------------------------------

BEHIND = {"conv-bn-relu": "conv", "conv-relu-bn": "conv"}
BEFORE = {"bn-first": "conv"}
COMBINED = {"dense-bn-relu": "dense", "dense-relu-bn": "dense", "both": "conv"}
"""Network -> its twin, for the networks of each group."""

NAMED = {"LRP-0": "zero", "epsilon 0.01": "epsilon(epsilon=0.01)", "z-plus": "z-plus", "epsilon-plus": "epsilon-plus"}
"""A rule in docs/papers.md -> its name in the tables."""

ZERO, EPSILON, Z_PLUS, EPSILON_PLUS = RULES = tuple(NAMED.values())
LEFT_IN = ("pass", "zero", "epsilon", "absolute")


def relative_abpc(network: str, treatment: str, rule: str, fill: str) -> np.ndarray:
    """ABPC divided by the span, for each seed of a network."""
    found = seeds("2002.11018")[network, treatment, rule]
    return np.array([float(row[f"abpc_{fill}"]) / float(row[f"span_{fill}"]) for row in found])


def gain(dataset: str, group: Mapping[str, str], rule: str, left_in: str, fill: str) -> list[float]:
    """What fusing gains over BatchNorm left in: for each seed, averaged over the networks of a group."""
    each = [
        relative_abpc(f"{dataset}-{name}", "fused", rule, fill)
        - relative_abpc(f"{dataset}-{name}", left_in, rule, fill)
        for name in group
    ]
    return list(np.mean(each, axis=0))


def loss(dataset: str, group: Mapping[str, str], rule: str, fill: str) -> list[float]:
    """What the fused networks of a group lose against their twins."""
    each = [
        relative_abpc(f"{dataset}-{twin}", "twin", rule, fill) - relative_abpc(f"{dataset}-{name}", "fused", rule, fill)
        for name, twin in group.items()
    ]
    return list(np.mean(each, axis=0))


def edges(dataset: str, group: Mapping[str, str], rule: str, fill: str) -> list[float]:
    """How much worse the maps of the fused networks of a group are than an edge filter."""
    each = [
        relative_abpc(f"{dataset}-{name}", "fused", "sobel", fill)
        - relative_abpc(f"{dataset}-{name}", "fused", rule, fill)
        for name in group
    ]
    return list(np.mean(each, axis=0))


def gains(where: str, left_in: str, rule: str) -> str:
    return f"1. BatchNorm {where}, fused: more accurate than under {left_in} ({rule})"


def meeting(words: str, rule: str) -> str:
    return f"2. where fully connected and normalization layers meet, maps {words} ({rule})"


WORSE, MORE, EDGES = (
    "are worse than the twin's",
    "lose more than those of convolutional networks",
    "are worse than an edge filter",
)


@cache
def first_study() -> dict[str, dict[str, Groups]]:
    """Claim -> fill -> data set -> its value for each seed."""
    found: dict[str, dict[str, Groups]] = {}
    for where, group in {"behind convolutions": BEHIND, "before them all": BEFORE}.items():
        for rule in RULES:
            for left in LEFT_IN:
                found[gains(where, left, rule)] = {
                    fill: {dataset: gain(dataset, group, rule, left, fill) for dataset in DATASETS} for fill in FILLS
                }
    for rule in RULES:
        of_twin = {fill: {dataset: loss(dataset, COMBINED, rule, fill) for dataset in DATASETS} for fill in FILLS}
        found[meeting(WORSE, rule)] = of_twin
        found[meeting(MORE, rule)] = {
            fill: {
                dataset: list(np.subtract(values, loss(dataset, BEHIND, rule, fill)))
                for dataset, values in of_twin[fill].items()
            }
            for fill in FILLS
        }
        found[meeting(EDGES, rule)] = {
            fill: {dataset: edges(dataset, COMBINED, rule, fill) for dataset in DATASETS} for fill in FILLS
        }
    return found


# ---- the second study, from its rows -----------------------------------------------------------------------------

SMALL_NETWORKS = ("mnist-conv", "mnist-dense", "cifar10-conv", "cifar10-conv-bn-relu")


def minus(network: str, one: str, other: str, measure: str) -> list[float]:
    """A measure under one rule minus that under another, for each seed of a network."""
    pairs = zip(*(seeds("2501.14322")[network, "", rule] for rule in (one, other)), strict=True)
    return [float(a[measure]) - float(b[measure]) for a, b in pairs]


@cache
def second_study() -> dict[str, tuple[str, str, str, str]]:
    """Claim that a difference is positive -> network, the rule of more and that of less, measure."""
    found = {}
    for network in dict.fromkeys(row["network"] for row in rows("2501.14322.csv")):
        for other in ("zero", DECADES[0]):
            start = f"{network}: relative"
            found[f"{start} moves less under tiny noise than {other}"] = (network, other, "relative", "noise_l2")
            found[f"{start} loses less in single precision than {other}"] = (network, other, "relative", "precision_l2")
        for other in ("zero", DECADES[0], "absolute", "z-plus", "random"):
            for fill in FILLS:
                claim = f"{network}: relative is more faithful (fill {fill}) than {other}"
                found[claim] = (network, "relative", other, f"abpc_{fill}")
    return found


def groups_of(name: str) -> dict[str, list[list[float]]]:
    """The groups of seeds of each interval on a page, by the names that the page gives to intervals."""
    if name == "2501.14322":
        found = {claim: [minus(*terms)] for claim, terms in second_study().items()}
        return {claim: groups for claim, groups in found.items() if len(groups[0]) >= 3}
    datasets = [dataset for dataset in DATASETS if name in ("2002.11018", f"2002.11018-{dataset}")]
    same = (gains("behind convolutions", "zero", "zero"), gains("before them all", "zero", "zero"))
    return {
        f"{claim}, fill {fill}": [groups[dataset] for dataset in datasets]
        for claim, fills in first_study().items()
        if claim not in same  # whose answer is a theorem
        for fill, groups in fills.items()
    }


@cache
def left_after_holm(name: str) -> list[str]:
    """The intervals of a page that exclude 0 after Holm's correction for their number."""
    found = {interval_: p_value(*groups) for interval_, groups in groups_of(name).items()}
    return [interval_ for interval_, stands in zip(found, holm(list(found.values())), strict=True) if stands]


# ---- the pages of numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("paper", ["2002.11018", "2501.14322"])
def test_means_and_intervals_come_from_the_rows_of_the_seeds(paper: str) -> None:
    """Student's t over the seeds of each cell; one seed has no interval."""
    for row in rows(f"{paper}.csv"):
        of_seeds = seeds(paper)[row["network"], row["treatment"], row["rule"]]
        values = [float(seed[row["measure"]]) for seed in of_seeds if seed[row["measure"]]]
        assert len(values) == int(row["seeds"])
        assert {(seed["images"], seed["dataset"]) for seed in of_seeds} == {(row["images"], row["dataset"])}
        near = 3e-5 * max(map(abs, values))  # all have six digits
        assert float(np.mean(values)) == pytest.approx(float(row["mean"]), abs=near)
        if len(values) == 1:
            assert (row["low"], row["high"]) == ("", "")
        else:
            assert [float(row[name]) for name in ("mean", "low", "high")] == pytest.approx(interval(values), abs=near)
    assert len(rows(f"{paper}.csv")) > 2000


@pytest.mark.parametrize("name", PAGES)
def test_the_tables_of_the_pages(name: str) -> None:
    """Every number of the large table is the mean of the CSV file."""
    head = next(lines[0] for lines in tables(page(name)) if lines[0][:3] == ["network", "treatment", "rule"])
    found = means(name[:10])
    for network, treatment, rule, *values in table(page(name), "network", "treatment", "rule"):
        for measure, text in zip(head[3:], values, strict=True):
            key = (network, treatment.strip("-"), rule.strip("`"), measure)
            assert (text == "-" and key not in found) or of_csv(text, found[key]), (key, text)


def of_csv(text: str, value: float) -> bool:
    """Whether a number with three digits is that of the CSV file, which has six."""
    return printed(text, value, near=5e-6 * abs(value))


def test_the_claims_of_the_second_study() -> None:
    measures = {"noise_l2": "change under noise", "precision_l2": "error of float32"}
    measures |= {f"abpc_{fill}": f"ABPC, fill {fill}" for fill in FILLS}
    found = means("2501.14322")
    compared = 0
    for sentence, (figure, answer) in claims("2501.14322").items():
        network, _, claim = sentence.partition(": ")
        if claim.startswith("without a hyperparameter"):
            measure = "abpc_mean" if "fill mean" in claim else "abpc_zero"
            areas = [found[network, "", rule, measure] for rule in DECADES]
            assert printed(figure.rpartition(" ")[2], np.ptp(areas), near=1e-5 * max(map(abs, areas))), sentence
        elif claim.endswith("gives the map of relative"):
            rule = claim.removesuffix(" gives the map of relative")
            assert of_csv(figure.split()[1].rstrip(","), found[network, "", rule, "cosine_rescaled"]), sentence
        else:
            _, more, less, measure = terms = second_study()[sentence]
            what, _, value = figure.rpartition(": ")
            assert what == f"{measures[measure]}, {more} minus {less}"
            values = minus(*terms)
            near = SIX_DIGITS * max(abs(found[network, "", rule, measure]) for rule in (more, less))
            if len(values) == 3:
                assert all_printed(value, interval(values), near=near), sentence
                assert answer == verdict(*interval(values)[1:]), sentence
            else:
                assert printed(value.split()[0], values[0], near=near), sentence
                assert answer == "cannot say: 1 training seed, at least 3 are needed", sentence
            compared += 1
    assert compared == len(second_study())


@pytest.mark.parametrize("name", PAGES[:3])
def test_the_claims_of_the_first_study(name: str) -> None:
    """Each figure from the rows of the seeds, two data sets as independent groups; each verdict from its intervals."""
    datasets = [dataset for dataset in DATASETS if name in ("2002.11018", f"2002.11018-{dataset}")]
    assert claims(name).keys() == first_study().keys()
    for sentence, (figure, answer) in claims(name).items():
        fills = {fill: {d: groups[d] for d in datasets} for fill, groups in first_study()[sentence].items()}
        for fill, text in by_fill(figure).items():
            assert all_printed(text, interval(*fills[fill].values())), (sentence, fill)
        judged = agreed({fill: verdict_on(groups) for fill, groups in fills.items()})
        assert answer in (judged, "the same map, by theorem: True"), sentence


@pytest.mark.parametrize("name", PAGES)
def test_how_many_intervals_exclude_0(name: str) -> None:
    """The paragraph above the claims: from the rows here, and word by word what the library writes for them."""
    groups = groups_of(name)
    excluded = [not verdict(*interval(*each)[1:]).startswith("cannot say") for each in groups.values()]
    stated = re.search(
        r"^The answers rest on (\d+) intervals over seeds\..* about (\d+) of them .* by chance\. (\d+) do; .*"
        r" number, (\d+), in these claims: (.*)\.$",
        page(name),
        re.MULTILINE,
    )
    assert stated
    left = left_after_holm(name)
    assert list(map(int, stated.groups()[:4])) == [len(groups), round(0.05 * len(groups)), sum(excluded), len(left)]
    assert stated[5].split("; ") == left
    study = nyiri2025 if name == "2501.14322" else guillemot2020
    measured, _ = report.read_seeds_csv((DOCS / "reproduce" / f"{name[:10]}-seeds.csv").read_text(encoding="utf-8"))
    here = {unit: found for unit, found in measured.items() if name[11:] in ("", unit.dataset)}
    assert report.by_chance(study.answer(here))[0] == stated[0]


# ---- docs/papers.md ----------------------------------------------------------------------------------------------


def section(start: str, end: str) -> str:
    return PAPERS[PAPERS.index(start) : PAPERS.index(end, PAPERS.index(start) + 1)]


def answer_for(verdict: str) -> str:
    """An answer of the pages as docs/papers.md writes it."""
    short = re.sub(": (the interval over seeds holds 0|no single data set shows it)", "", verdict)
    short = short.replace("cannot say: mean: cannot say; zero: cannot say", "cannot say")
    found = re.fullmatch(r"cannot say: mean: (.+); zero: (.+)", short)
    return f"cannot say (mean: {found[1]}; black: {found[2]})" if found else short.replace(": True", "")


def test_the_size_of_both_runs() -> None:
    """Units and images from the rows, hours from the pages."""
    first, second = (rows(f"{paper}-seeds.csv") for paper in ("2002.11018", "2501.14322"))
    hours = [re.search(r"(\S+) hours of processor time", page(paper)) for paper in ("2002.11018", "2501.14322")]
    assert hours[0]
    assert hours[1]
    assert (
        f"study has {len(first)} units (one network under one rule each) and took {hours[0][1]} hours" in INTRODUCTION
    )
    assert f"The second has {len(second)} units: four small networks from three seeds, and eight" in INTRODUCTION
    residual = [row for row in second if row["network"] in RESIDUAL]
    assert f"It took {hours[1][1]} hours without the {len(residual)} units of the two ResNets" in INTRODUCTION
    images = {row["images"] for row in residual}
    assert f"explained on the first {' '.join(images)} images only" in INTRODUCTION
    others = {row["images"] for row in (*first, *second) if row not in residual}
    assert f"on the first {' '.join(others)} test images of each data set" in INTRODUCTION
    assert {row["network"] for row in second if row["seed"] == "2"} == set(SMALL_NETWORKS)
    assert {row["network"] for row in second} == {*SMALL_NETWORKS, *ALL}


def test_a_number_is_rounded_once() -> None:
    """0.3455 is 0.35 with two digits, and 0.345 with three, which would be 0.34."""
    assert printed("+0.35", 0.3455, "+.2f")
    assert not printed("+0.34", 0.3455, "+.2f", near=SIX_DIGITS)
    assert printed("+0.34", 0.34501, "+.2f", near=SIX_DIGITS)  # the rows do not tell


def check_cells(sentence: str, cells: list[str]) -> None:
    """The cells of both data sets with both fills, with two decimals, and the answer."""
    fills = first_study()[sentence]
    groups = [fills[fill][dataset] for dataset in DATASETS for fill in FILLS]
    for text, values in zip(cells[:4], groups, strict=True):
        assert all_printed(text, interval(values), "+.2f"), (sentence, text, interval(values))
    assert cells[4:] == [answer_for(claims("2002.11018")[sentence][1])], sentence


def test_the_table_of_the_first_section() -> None:
    where = ""
    number = 0
    for rule, left, *cells in table(section("### 1.", "### 2."), "rule", "left in, under"):
        if rule.startswith("*"):
            where = "before them all" if "before the first" in rule else "behind convolutions"
            continue
        check_cells(gains(where, left, NAMED[rule]), cells)
        number += 1
    assert number == 24


def test_the_table_of_the_second_section() -> None:
    found = table(section("### 2.", "## Nyiri"), "maps of the fused network ...")
    assert len(found) == 12
    for words, rule, *cells in found:
        check_cells(meeting(words, NAMED[rule]), cells)


INTRODUCTION = plain(section("# Two papers", "## Guillemot"))
FIRST = plain(section("## Guillemot", "## Nyiri"))


NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)


def fractional_p(t: float, df: float) -> float:
    """P(|T| > |t|) for any degrees of freedom from 1: with t = sqrt(df) tan(theta), a part of the integral of
    cos(theta)^(df - 1) from 0 to pi / 2, by Gauss and Legendre."""

    def integral(low: float, high: float) -> float:
        theta = low + (high - low) * (NODES + 1) / 2
        return float(np.sum(WEIGHTS * np.cos(theta) ** (df - 1)) * (high - low) / 2)

    return integral(np.arctan(abs(t) / sqrt(df)), pi / 2) / integral(0, pi / 2)


def fractional_interval(*groups: Sequence[float]) -> Interval:
    mean, error, df = estimate(groups)
    low, high = 1.0, 20.0
    for _ in range(60):
        low, high = ((low + high) / 2, high) if fractional_p((low + high) / 2, df) > 0.05 else (low, (low + high) / 2)
    return mean, mean - low * error, mean + low * error


def test_degrees_of_freedom_are_rounded_down() -> None:
    """How many numbers and answers of the page for both data sets would differ otherwise."""
    for df, t in T.items():
        assert fractional_p(t, df) == pytest.approx(0.05, abs=1e-4)
        assert fractional_p(3 * t, df) == pytest.approx(two_sided(3 * t, df), rel=1e-9)
    fills = [groups for each in first_study().values() for groups in each.values()]
    pairs = [(interval(*g.values()), fractional_interval(*g.values())) for g in fills]
    different = [f"{a:.3g}" != f"{b:.3g}" for pair in pairs for a, b in zip(*pair, strict=True)]
    p = []
    for groups in groups_of("2002.11018").values():
        mean, error, df = estimate(groups)
        p.append(fractional_p(mean / error, df))
    assert sum(different) > len(different) / 2
    assert (
        f"With fractional degrees, more than half of the {len(different)} numbers printed for both data sets differ in "
        f"their three digits, {sum(holm(p))} intervals instead of {len(left_after_holm('2002.11018'))} are left after "
        "Holm's correction, and no answer changes." in INTRODUCTION
    )
    assert [verdict(*down[1:]) for down, _ in pairs] == [verdict(*exact[1:]) for _, exact in pairs]


def test_the_sentences_of_the_first_section() -> None:
    def gained(dataset: str, left: str, rule: str, group: Mapping[str, str] = BEHIND) -> list[float]:
        return [float(np.mean(gain(dataset, group, rule, left, fill))) for fill in FILLS]

    mnist = [value for rule in (ZERO, EPSILON) for value in gained("mnist", "pass", rule)]
    assert f"On MNIST, fusing gains {min(mnist):.2f} to {max(mnist):.2f} of the span" in FIRST
    black = [gained("cifar10", "pass", rule)[1] for rule in (ZERO, EPSILON)]
    assert f"On CIFAR-10 it gains {min(black):.2f} to {max(black):.2f} with the black fill" in FIRST
    small = [value for rule in (Z_PLUS, EPSILON_PLUS) for value in gained("cifar10", "pass", rule)]
    assert f"against `Pass`: at most {max(map(abs, small)):.2f} on CIFAR-10" in FIRST
    cost = gained("cifar10", "zero", EPSILON_PLUS)
    assert f"costs {min(cost):.2f} to {max(cost):.2f} there: **held** over both" in FIRST
    black = [gained("cifar10", "absolute", rule)[1] for rule in (ZERO, EPSILON)]
    assert f"fusing gains {min(black):.2f} to {max(black):.2f} with the black fill on CIFAR-10" in FIRST
    both = [
        interval(*first_study()[gains("behind convolutions", "absolute", rule)]["mean"].values())
        for rule in (ZERO, EPSILON)
    ]
    assert f"excludes 0 (by a mean of {both[1][0]:.2f} to {both[0][0]:.2f})" in FIRST
    assert min(low for _, low, _ in both) > 0
    lost, won = gained("cifar10", "pass", ZERO, BEFORE)
    assert f"therefore loses {-lost:.2f} of the span with the mean fill and gains {won:.2f} with the black" in FIRST
    apart = [
        relative_abpc(f"{dataset}-{name}", "epsilon", rule, fill)
        - relative_abpc(f"{dataset}-{name}", "zero", rule, fill)
        for dataset in DATASETS
        for name in (*BEHIND, *BEFORE, *COMBINED)
        for rule in RULES
        for fill in FILLS
    ]
    assert f"left in under LRP-0 by at most {np.max(np.abs(apart)):.4f}, for every network, rule, seed" in FIRST


def on_chance(name: str) -> tuple[str, ...]:
    """Of a page: its intervals, how many would exclude 0 by chance, how many do, and how many after correction."""
    stated = re.search(r"on (\d+) intervals .* about (\d+) .* chance\. (\d+) do; .* number, (\d+)", page(name))
    assert stated
    return stated.groups()


def test_what_holms_correction_leaves_of_the_first_study() -> None:
    """The intervals that are left, by name, and the answers that keep all of theirs."""
    intervals, by_chance, excluded, number = on_chance("2002.11018")
    assert (
        f"Of the {intervals} intervals over both data sets, about {by_chance} would exclude 0 by chance and {excluded} "
        f"do. After the correction, {number} are left." in FIRST
    )
    losses = [
        f"{gains('before them all', left, rule)}, fill mean"
        for rule in (ZERO, EPSILON)
        for left in ("pass", "absolute")
    ]
    with_pass = [gains("behind convolutions", "pass", rule) for rule in (ZERO, EPSILON)]
    filters = [f"{meeting(EDGES, Z_PLUS)}, fill {fill}" for fill in FILLS]
    assert left_after_holm("2002.11018") == [
        f"{with_pass[0]}, fill zero",
        *(f"{with_pass[1]}, fill {fill}" for fill in FILLS),
        *losses,
        filters[0],
    ]
    assert left_after_holm("2002.11018-cifar10") == losses
    assert left_after_holm("2002.11018-mnist") == filters
    assert f"The other {len(losses) + 1} are of the mean fill" in FIRST
    assert f"On CIFAR-10 alone, the {len(losses)} losses are left. On MNIST alone, {len(filters)} intervals" in FIRST
    answers = {claim: answer for claim, (_, answer) in claims("2002.11018").items()}
    given = [claim for claim, answer in answers.items() if answer in ("held", "did not hold")]
    both = [c for c in given if all(f"{c}, fill {fill}" in left_after_holm("2002.11018") for fill in FILLS)]
    assert len(given) > 1
    assert both == [with_pass[1]]
    p = p_value(*first_study()[with_pass[0]]["mean"].values())
    assert f"(with the mean fill, p is {p:.4f})" in FIRST
    for name in (*losses, filters[0]):
        assert verdict(*interval(*groups_of("2002.11018")[name])[1:]) == "did not hold"


def test_the_sentences_on_other_fills() -> None:
    """Seed 0: what fusing gains, averaged over the networks of a group."""

    def over(dataset: str, rule: str, *measure: str, left: str = "pass", group: Mapping[str, str] = BEHIND) -> float:
        def of(network: str, treatment: str) -> float:
            row = seeds("2002.11018")[f"{dataset}-{network}", treatment, rule][0]
            area, *span = (float(row[name]) for name in measure)
            return area / span[0] if span else area

        return float(np.mean([of(name, "fused") - of(name, left) for name in group]))

    mnist, cifar = (
        [over(dataset, ZERO, f"abpc_{fill}", f"span_{fill}") for fill in ("blur", "mean", "zero")]
        for dataset in DATASETS
    )
    assert "fill ({:.2f}) agrees with the mean ({:.2f}) and with black ({:.2f})".format(*mnist) in FIRST
    assert f"with black ({cifar[0]:.2f} and {cifar[2]:.2f}) and not with the mean ({cifar[1]:.2f})" in FIRST
    random = {
        (left, rule, dataset, first): over(
            dataset, rule, "abpc_uniform", "span_uniform", left=left, group=BEFORE if first else BEHIND
        )
        for left in ("pass", "zero")
        for rule in RULES
        for dataset in DATASETS
        for first in (False, True)
    }
    behind = {key: value for key, value in random.items() if not key[3]}
    largest = max(value for key, value in behind.items() if key[0] == "pass")
    assert f"With a uniform random fill, the largest gain over `Pass` under any rule is {largest:.2f};" in FIRST
    largest = max(behind.values())
    assert behind["zero", EPSILON_PLUS, "cifar10", False] == largest
    assert f"over BatchNorm under LRP-0 it is {largest:.2f} (epsilon-plus on CIFAR-10)" in FIRST
    first = {key: value for key, value in random.items() if key[0] == "pass" and key[3]}
    assert max(first.values()) < 0
    assert min(first, key=lambda key: first[key]) == ("pass", EPSILON, "cifar10", True)
    assert f"fusing loses against `Pass` with this fill, by up to {-min(first.values()):.2f} (epsilon on" in FIRST
    other = [over(d, ZERO, measure) for d in DATASETS for measure in ("insertion", "deletion")]
    assert (
        "on MNIST ({:.2f} and {:.2f}), and show almost nothing on CIFAR-10 ({:.2f} and {:.2f})".format(*other) in FIRST
    )


def test_the_sentences_of_the_second_section() -> None:
    worse = {
        (rule, fill): interval(first_study()[meeting(WORSE, rule)][fill]["mnist"]) for rule in RULES for fill in FILLS
    }
    held = [key for key, (_, low, _) in worse.items() if low > 0]
    black = [worse[rule, "zero"][0] for rule in (ZERO, EPSILON, EPSILON_PLUS)]
    assert held == [(ZERO, "zero"), (EPSILON, "mean"), (EPSILON, "zero"), (EPSILON_PLUS, "zero")]
    assert (
        f"by {min(black):.2f} to {max(black):.2f} of the span with LRP-0, epsilon and epsilon-plus: **held**" in FIRST
    )
    mean = [worse[rule, "mean"][0] for rule in (ZERO, EPSILON, EPSILON_PLUS)]
    assert f"With the mean fill, they are worse by {min(mean):.2f} to {max(mean):.2f};" in FIRST
    assert worse[ZERO, "mean"][1] < 0 < worse[EPSILON, "mean"][1]
    assert not [name for page in PAGES[:3] for name in left_after_holm(page) if WORSE in name or MORE in name]

    alone = {
        (rule, fill, dataset): interval(groups)
        for rule in RULES
        for fill in FILLS
        for dataset, groups in first_study()[meeting(MORE, rule)][fill].items()
    }
    apart = {key: mean for key, (mean, low, high) in alone.items() if low > 0 or high < 0}
    assert list(apart) == [
        (ZERO, "zero", "cifar10"),
        (EPSILON, "zero", "cifar10"),
        (EPSILON_PLUS, "mean", "cifar10"),
        (EPSILON_PLUS, "zero", "mnist"),
    ]
    less, least, *of_epsilon_plus = apart.values()
    assert f"they lose less (on CIFAR-10 by {-less:.2f} and {-least:.2f})" in FIRST
    assert (
        f"black fill ({of_epsilon_plus[1]:.2f}), on CIFAR-10 less with the mean fill ({-of_epsilon_plus[0]:.2f})"
        in FIRST
    )
    assert f"The other {len(alone) - len(apart)} of the table's {len(alone)} intervals contain 0" in FIRST
    for rule in RULES:
        on_both = {fill: verdict_on(groups) for fill, groups in first_study()[meeting(MORE, rule)].items()}
        assert on_both["mean"].startswith("cannot say")
        assert (on_both["zero"] == "did not hold") == (rule in (ZERO, EPSILON))

    areas = [
        float(np.mean(relative_abpc(f"{dataset}-{name}", "pass", ZERO, fill)))
        for dataset in DATASETS
        for name in COMBINED
        for fill in FILLS
    ]
    assert f"(relative ABPC of {min(areas):.2f} to {max(areas):.2f}, see the figure)" in FIRST


def test_where_an_edge_filter_is_better() -> None:
    """On average over seeds: on no data set over the networks that combine layers, but on some networks alone."""
    for rule in RULES:
        groups = first_study()[meeting(EDGES, rule)]
        assert max(interval(values)[2] for each in groups.values() for values in each.values()) < 0
    names = [*BEHIND, *BEFORE, *COMBINED, "conv", "dense"]
    better = {}
    for dataset in DATASETS:
        for name in names:
            treatment = "twin" if name in ("conv", "dense") else "fused"
            for rule in RULES:
                for fill in FILLS:
                    filters, maps = (relative_abpc(f"{dataset}-{name}", treatment, r, fill) for r in ("sobel", rule))
                    if np.mean(filters) > np.mean(maps):
                        better[dataset, fill, name, rule] = float(np.mean(filters - maps))
    convolutional = [name for name in names if "dense" not in name]
    cifar = {("cifar10", "mean", name, rule) for name in convolutional for rule in (ZERO, EPSILON)}
    mnist = {("mnist", "zero", "conv-relu-bn", rule) for rule in (ZERO, EPSILON)}
    assert better.keys() == cifar | mnist | {("cifar10", "mean", "both", Z_PLUS)}
    assert f"the z-plus maps of `both`, by {better['cifar10', 'mean', 'both', Z_PLUS]:.2f}." in FIRST
    assert f"maps of `conv-relu-bn` are, by up to {max(better[key] for key in mnist):.2f}.)" in FIRST


def test_the_accuracies_of_the_first_study() -> None:
    """Of seed 0, from the networks' files; of all seeds on the images of the study, from the rows."""
    recorded: dict[str, list[float]] = {}
    right: dict[str, list[float]] = {}
    for dataset in DATASETS:
        for name in (*BEHIND, *BEFORE, *COMBINED, "conv", "dense"):
            kind = dataset if dataset == "mnist" else f"{dataset} {'dense' if 'dense' in name else 'conv'}"
            path = networks.path_of(f"{dataset}-{name}-seed0")
            assert path
            recorded.setdefault(kind, []).append(100 * weights.metadata(path)["accuracy"]["test"])
            of_seeds = seeds("2002.11018")[f"{dataset}-{name}", "twin" if name in ("conv", "dense") else "fused", ZERO]
            assert len(of_seeds) == 3
            right.setdefault(kind, []).extend(100 * float(row["right"]) for row in of_seeds)
    mnist, conv, dense = (f"{min(values):.1f} to {max(values):.1f} %" for values in recorded.values())
    assert f"seed 0 (MNIST {mnist}, CIFAR-10 convolutional {conv}, fully connected {dense}) are recorded" in FIRST
    mnist, conv, dense = (f"{min(values):.1f} to {max(values):.1f} %" for values in right.values())
    assert (
        f"on MNIST {mnist}, on CIFAR-10 {conv} by the convolutional networks and {dense} by the fully connected ones."
        in FIRST
    )


def quotients(
    net: lrpref.Network, x: np.ndarray, rule: str | Composite = "zero"
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """R / z and z of the units that hold relevance, for each Dense and Conv2D layer below the logits."""
    tr, values = lrpref.trace(net, x, rule=rule), net.activations(x)
    weighted = [name for name in net.names if isinstance(net[name], lrpref.Dense | lrpref.Conv2D)]
    kept = {name: tr.at[name] != 0 for name in weighted[:-1]}
    return {name: ((tr.at[name] / values[name])[some], values[name][some]) for name, some in kept.items()}


def digit(name: str) -> np.ndarray:
    return samples.load(name, (1, 28, 28)).astype(np.float64)


@pytest.mark.parametrize("name", ["mnist-mlp", "mnist-cnn"])
def test_quotients_are_derivatives(name: str) -> None:
    """R / z under LRP-0 is the slope of the logit by z, and twice as large with twice the last weights."""
    net, x, step = lrpref.load(name).astype(np.float64), digit("digit-4"), 1e-6
    first, last = net["fc1"], net[net.names[-1]]
    assert isinstance(first, lrpref.Dense)
    assert isinstance(last, lrpref.Dense)
    assert first.bias is not None
    assert last.bias is not None
    before = quotients(net, x)
    units = np.flatnonzero(lrpref.trace(net, x, rule="zero").at["fc1"][0])
    slopes = [
        net.replace(
            "fc1", lrpref.Dense(first.weight, first.bias + step * (np.arange(len(first.bias)) == unit))
        ).forward(x)[0, 4]
        - net.forward(x)[0, 4]
        for unit in units[:5]
    ]
    np.testing.assert_allclose(before["fc1"][0][:5], np.array(slopes) / step, atol=1e-7)
    doubled = quotients(net.replace(net.names[-1], lrpref.Dense(2 * last.weight, 2 * last.bias)), x)
    for layer, (quotient, z) in before.items():
        np.testing.assert_array_equal(doubled[layer][1], z)
        np.testing.assert_allclose(doubled[layer][0], 2 * quotient, rtol=1e-9)


def test_the_largest_quotients() -> None:
    digits = np.concatenate([digit(name) for name in samples.names((1, 28, 28))])
    mlp, cnn = (quotients(lrpref.load(name).astype(np.float64), digits) for name in ("mnist-mlp", "mnist-cnn"))
    largest = [max(float(abs(quotient).max()) for quotient, _ in found.values()) for found in (mlp, cnn)]
    smallest = min(float(abs(z).min()) for _, z in cnn.values())
    text = plain(section("## Nyiri", "### Four small"))
    assert (
        f"Over {len(digits)} digits, $\\lvert R / z \\rvert$ is at most {largest[0]:.2f} on mnist-mlp and "
        f"{largest[1]:.2f} on mnist-cnn, where $\\lvert z \\rvert$ goes down to {smallest:.0e};" in text
    )
    passed = Composite([(BatchNorm, rules.Pass()), (LinearLayer, rules.Zero())])
    left_in = quotients(lrpref.load("mnist-mlp-bn").astype(np.float64), digit("digit-4"), passed)
    both = sorted(float(abs(quotient).max()) for quotient, _ in left_in.values())
    assert "{:.1f} and {:.1f} in the two layers of mnist-mlp-bn".format(*both) in text


SMALL = section("### Four small networks", "### Eight networks")
EIGHT = section("### Eight networks", "### What the abstract determines")


@pytest.mark.parametrize("text", [SMALL, EIGHT], ids=["three seeds", "one seed"])
def test_the_tables_of_the_second_study(text: str) -> None:
    """Change under noise, ABPC with the mean fill, then with the black one; with half of each interval there is."""
    widths = {
        (row["network"], row["rule"], row["measure"]): (float(row["high"]) - float(row["low"])) / 2
        for row in rows("2501.14322.csv")
        if row["low"]
    }
    of_rules = [lines for lines in tables(text) if lines[0][0] == "rule"]
    assert len(of_rules) == 3
    for measure, (head, *lines) in zip(("noise_l2", "abpc_mean", "abpc_zero"), of_rules, strict=True):
        assert len(lines) >= 11
        for rule, *cells in lines:
            for network, cell in zip(head[1:], cells, strict=True):
                mean, _, half = cell.partition(" ± ")
                key = (network, rule.strip("`"), measure)
                assert of_csv(mean, value(*key)), (key, cell)
                near = 1e-5 * abs(value(*key))
                assert (not half and key not in widths) or printed(half, widths[key], ".2g", near), (key, cell)


def value(network: str, rule: str, measure: str) -> float:
    return means("2501.14322")[network, "", rule, measure]


def spread(network: str, measure: str) -> float:
    areas = [value(network, rule, measure) for rule in DECADES]
    return max(areas) - min(areas)


def with_interval(values: list[float]) -> str:
    return "{:+.2f} [{:+.2f}, {:+.2f}]".format(*interval(values))


def test_what_holms_correction_leaves_of_the_second_study() -> None:
    intervals, by_chance, excluded, number = on_chance("2501.14322")
    text = plain(SMALL)
    assert f"Of the {intervals} intervals, about {by_chance} would exclude 0 by chance and {excluded} do. After" in text
    random = [(name, fill) for name in ("mnist-conv", "mnist-dense") for fill in FILLS]
    expected = {f"{name}: relative is more faithful (fill {fill}) than random" for name, fill in random}
    expected |= {f"mnist-dense: relative is more faithful (fill zero) than {other}" for other in ("absolute", "z-plus")}
    assert set(left_after_holm("2501.14322")) == expected
    assert (
        f"After the correction, {number} are left, all of faithfulness: {len(random)} against random maps, on both "
        f"networks of MNIST with both fills, and {len(expected) - len(random)} on mnist-dense with the black fill"
        in text
    )
    noise = {claim: p_value(*groups) for claim, groups in groups_of("2501.14322").items() if "tiny noise" in claim}
    smallest = min(noise, key=lambda claim: noise[claim])
    assert smallest.startswith("cifar10-conv: ")
    assert f"The smallest p of the noise is {noise[smallest]:.4f}, on cifar10-conv." in text


def test_an_epsilon_of_1_against_relative() -> None:
    """The eight intervals over seeds, and the eight networks of one seed under every epsilon."""
    found = {(n, fill): minus(n, "relative", ONE, f"abpc_{fill}") for n in SMALL_NETWORKS for fill in FILLS}
    judged = {key: verdict(*interval(values)[1:]) for key, values in found.items()}
    worse = {key: -float(np.mean(found[key])) for key, answer in judged.items() if answer == "did not hold"}
    text = plain(SMALL)
    assert f"not among the {on_chance('2501.14322')[0]} intervals, Relative LRP is worse in six of eight cases" in text
    open_ = [("cifar10-conv", "mean"), ("cifar10-conv-bn-relu", "zero")]
    assert [key for key in judged if key not in worse] == open_
    assert all(judged[key].startswith("cannot say") for key in open_)
    mnist = [mean for (name, _), mean in worse.items() if name.startswith("mnist")]
    assert len(mnist) == 4
    assert f"by {min(mnist):.2f} to {max(mnist):.2f} on MNIST with both fills" in text
    assert f"by {worse['cifar10-conv', 'zero']:.2f} on cifar10-conv with the black fill" in text
    assert f"by {worse['cifar10-conv-bn-relu', 'mean']:.2f} on cifar10-conv-bn-relu with the mean fill" in text
    intervals = [with_interval(found[key]) for key in open_]
    assert (
        f"Cannot say on cifar10-conv with the mean fill, {intervals[0]}, "
        f"and on cifar10-conv-bn-relu with the black fill, {intervals[1]}." in text
    )
    assert not [claim for claim in claims("2501.14322") if claim.endswith(f"than {ONE}")]
    of_ones = {fill: [n for n in ALL if minus(n, ONE, "relative", f"abpc_{fill}")[0] > 0] for fill in FILLS}
    assert of_ones["mean"] == ALL
    assert len(of_ones["zero"]) == 5
    rest = [name for name in ALL if name not in of_ones["zero"]]
    assert f"With the black fill it is on five; on {rest[0]}, {rest[1]} and {rest[2]}, Relative" in plain(EIGHT)
    assert min(minus(name, "relative", rule, "abpc_zero")[0] for name in rest for rule in DECADES) > 0


def test_the_fill_matters_on_cifar10() -> None:
    """The order of rules and baselines in the tables."""
    text = plain(SMALL)
    of_rules = [lines for lines in tables(SMALL) if lines[0][0] == "rule"]
    shown = [line[0].strip("`") for line in of_rules[1][1:]]
    assert shown == [line[0].strip("`") for line in of_rules[2][1:]]
    names = ("cifar10-conv", "cifar10-conv-bn-relu")
    for name, lower in zip(names, (["absolute", "random", "sobel"], ["random"]), strict=True):
        mean, black = ({rule: value(name, rule, measure) for rule in shown} for measure in ("abpc_mean", "abpc_zero"))
        assert max(mean, key=lambda rule: mean[rule]) == "epsilon-gamma-box"
        assert sorted(rule for rule in shown if black[rule] < black["epsilon-gamma-box"]) == lower
        cancelling = ("relative", "zero", *DECADES, "gamma(gamma=0.25)", GAMMA, "alpha-beta")
        assert max(value(name, rule, "abpc_mean") for rule in cancelling) < mean["sobel"]
    first, last = ([value(name, "epsilon-gamma-box", f"abpc_{fill}") for name in names] for fill in FILLS)
    assert "is first there ({:.2f} and {:.2f}).".format(*first) in text
    assert "With the black fill it has {:.2f} and {:.2f}:".format(*last) in text


def test_the_sentences_on_the_four_small_networks() -> None:
    text = plain(SMALL)
    for other in ("zero", DECADES[0]):
        conv, dense, *cifar = (
            round(100 * (1 - value(name, "relative", "noise_l2") / value(name, other, "noise_l2")))
            for name in SMALL_NETWORKS
        )
        assert f"by {min(conv, *cifar)} to {max(conv, *cifar)} % of these (from the means over seeds)" in text
        of_seeds = [
            1 - float(a["noise_l2"]) / float(b["noise_l2"])
            for a, b in zip(
                *(seeds("2501.14322")["mnist-dense", "", rule] for rule in ("relative", other)), strict=True
            )
        ]
        assert f"by {dense} % ({100 * np.mean(of_seeds):.0f} % as the mean of its seeds' own ratios)" in text
    both = ("abpc_mean", "abpc_zero")
    widest = [spread("mnist-conv", measure) for measure in both]
    assert f"changes the mean ABPC over seeds by {min(widest):.1f} to {max(widest):.1f} of 12 on mnist-conv" in text
    others = [spread(name, measure) for name in SMALL_NETWORKS[1:] for measure in both]
    assert f"and by {min(others):.2f} to {max(others):.2f} elsewhere" in SMALL
    loss = [value(name, "zero", "precision_l2") - value(name, "relative", "precision_l2") for name in SMALL_NETWORKS]
    assert f"On mnist-dense LRP-0 loses less, by {-loss[1]:.0e}." in text
    assert f"LRP-0 loses {loss[2]:.3f} to {loss[3]:.3f} more" in text
    gains = [value("mnist-conv", "relative", measure) - value("mnist-conv", "zero", measure) for measure in both]
    assert "({:+.1f} and {:+.1f} in the logit)".format(*gains) in SMALL
    losses = [value("mnist-dense", "relative", measure) - value("mnist-dense", "zero", measure) for measure in both]
    assert "({:+.1f} and {:+.1f})".format(*losses) in SMALL
    answers = {sentence: answer.partition(":")[0] for sentence, (_, answer) in claims("2501.14322").items()}
    for other in ("zero", DECADES[0]):
        moves = [answers[f"{name}: relative moves less under tiny noise than {other}"] for name in SMALL_NETWORKS]
        assert moves == ["held", "cannot say", "held", "held"]
    faithful = {
        (name, other): [answers[f"{name}: relative is more faithful (fill {fill}) than {other}"] for fill in FILLS]
        for name in SMALL_NETWORKS
        for other in ("zero", "absolute", "z-plus")
    }
    yes, no, open_ = "held", "did not hold", "cannot say"
    assert [faithful[name, "zero"] for name in SMALL_NETWORKS] == [[yes, yes], [no, no], [open_, open_], [no, yes]]
    for other in ("absolute", "z-plus"):
        assert [faithful[name, other] for name in SMALL_NETWORKS] == [[yes, yes], [yes, yes], [no, yes], [no, yes]]
    signs = [float(np.mean(minus("cifar10-conv-bn-relu", "relative", "zero", measure))) for measure in both]
    assert "the sign depends on the fill ({:+.1f} and {:+.1f})".format(*signs) in text
    random = {
        (name, fill): answers[f"{name}: relative is more faithful (fill {fill}) than random"]
        for name in SMALL_NETWORKS
        for fill in FILLS
    }
    assert [key for key, found in random.items() if found != yes] == [("cifar10-conv-bn-relu", "mean")]
    assert random["cifar10-conv-bn-relu", "mean"] == no
    worse = with_interval(minus("cifar10-conv-bn-relu", "relative", "random", "abpc_mean"))
    assert "held in seven of eight cases. On cifar10-conv-bn-relu with the mean fill it did not hold" in text
    assert f"worse than random, by a difference of {worse}." in text
    for rule, count in (("z-plus", 4), ("absolute", 3), ("epsilon-plus", 3)):
        assert (
            sum(value(name, rule, "noise_l2") < value(name, "relative", "noise_l2") for name in SMALL_NETWORKS) == count
        )


ALL = ["mnist-cnn", "mnist-mlp", "cifar-cnn", "cifar-cnn-bn", "resnet20", "vgg16-bn", "vgg19-bn", "resnet50"]
DENSE = "mnist-mlp"
GAMMA = "gamma(gamma=0.25, generalised=True)"
RESIDUAL = ("resnet20", "resnet50")


def test_the_sentences_on_the_eight_networks() -> None:
    """The numbers of each sentence, and the networks on which it holds."""
    text = plain(EIGHT)

    def noise(rule: str, *networks: str) -> list[float]:
        return [value(name, rule, "noise_l2") / value(name, "relative", "noise_l2") for name in networks]

    def between(values: list[float], form: str = ".1f") -> str:
        return f"{min(values):{form}} to {max(values):{form}}"

    others = [name for name in ALL if name != DENSE]
    chains = [name for name in others if name not in RESIDUAL]
    assert f"on all eight networks, by a factor of {between(noise('zero', *ALL))}." in text
    assert f"they change {between(noise(GAMMA, *others))} times as much" in text
    assert f"fully connected network ({noise(GAMMA, DENSE)[0]:.1f} times)" in text
    assert f"more on the five chains with convolutions ({between(noise(ONE, *chains))} times)" in text
    assert f"on both ResNets ({between(noise(ONE, DENSE, *RESIDUAL))} times)" in text
    assert max(noise("z-plus", *ALL)) < 1
    for rule in ("absolute", "epsilon-plus"):
        assert max(noise(rule, *others)) < 1 < noise(rule, DENSE)[0]

    loss = {name: value(name, "zero", "precision_l2") - value(name, "relative", "precision_l2") for name in ALL}
    more = [name for name, found in loss.items() if found > 0]
    assert sorted({*ALL} - {*more}) == ["mnist-mlp", "resnet20"]  # without max pooling
    assert f"less on two networks, by at most {-min(loss.values()):.0e}, and " in text
    assert f"{min(loss[n] for n in more):.3f} to {max(loss[n] for n in more):.3f} more on the six with max" in text

    def gain(other: str, network: str) -> float:
        return value(network, "relative", "abpc_mean") - value(network, other, "abpc_mean")

    assert [name for name in ALL if gain("zero", name) < 0] == [DENSE, "resnet50"]
    deep = [name for name in ALL if name.startswith(("vgg", "resnet"))]
    worse = [-gain(rule, name) for name in deep for rule in ("absolute", "z-plus")]
    assert f"on the four deep networks, by {between(worse)};" in text
    small = {(name, rule): gain(rule, name) for name in ALL if name not in deep for rule in ("absolute", "z-plus")}
    assert [key for key, found in small.items() if found < 0] == [("cifar-cnn-bn", "absolute")]
    assert f"(by {-small['cifar-cnn-bn', 'absolute']:.2f} worse)" in text

    both = ("abpc_mean", "abpc_zero")
    mean, black = (spread("mnist-cnn", measure) for measure in both)
    assert f"by {mean:.1f} (mean fill) and {black:.1f} (black) of 14 on mnist-cnn" in text
    rest = [spread(name, measure) for name in ALL if name != "mnist-cnn" for measure in both]
    assert f"and by {between(rest, '.2f')} elsewhere" in text
    chance = [value(name, "random", "abpc_mean") for name in RESIDUAL]
    assert "have {:.2f} and {:.2f} with the mean fill".format(*chance) in text


def test_the_table_of_readings() -> None:
    """Both ResNets under five readings: cosine with the default, change under noise, ABPC with both fills."""
    text = PAPERS[PAPERS.index("### What the abstract determines") :]
    measures = ("cosine_rescaled", "noise_l2", "abpc_mean", "abpc_zero")
    found = table(text, "reading", "ResNet-20: cosine")
    assert [row[0] for row in found] == ["rescaled", "bare", "unsigned", "no-divisor", "unit-norm"]
    for reading, *cells in found:
        rule = "relative" if reading == "rescaled" else f"relative(reading={reading!r})"
        for k, cell in enumerate(cells):
            network, measure = RESIDUAL[k // 4], measures[k % 4]
            if reading == "rescaled" and measure == "cosine_rescaled":
                assert cell == "1"
            else:
                assert of_csv(cell, value(network, rule, measure)), (network, rule, measure)
    apart = [f"relative(reading={name!r})" for name in ("bare", "unsigned", "unit-norm")]
    areas = [value("resnet20", rule, "abpc_mean") for rule in apart]
    assert f"their ABPC is {min(areas):.2f} to {max(areas):.2f}" in text
    of = [value("resnet20", rule, "abpc_mean") for rule in ("relative", "sobel")]
    assert "rescaled map has {:.2f} and the edge filter {:.2f}".format(*of) in plain(text)
    cosines = {
        (network, reading): value(network, f"relative(reading={reading!r})", "cosine_rescaled")
        for network in RESIDUAL
        for reading in ("bare", "unsigned", "no-divisor", "unit-norm")
    }
    far = [abs(cosines["resnet20", reading]) for reading in ("bare", "unsigned", "unit-norm")]
    assert f"with the rescaled one (cosines of at most {max(far):.2f})" in plain(text)
    near = [cosines[network, "no-divisor"] for network in RESIDUAL]
    assert "rescaled one: {:.2f} on ResNet-20 and {:.2f} on ResNet-50.".format(*near) in plain(text)
    assert near == [max(c for (name, _), c in cosines.items() if name == network) for network in RESIDUAL]
    assert min(value("resnet20", rule, "abpc_zero") for rule in apart) > value("resnet20", "relative", "abpc_zero")
