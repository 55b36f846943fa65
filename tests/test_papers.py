"""Every printed figure of docs/papers.md and docs/reproduce/*.md, computed again from the committed rows.

Means, intervals and verdicts are computed here, as a reader would; only Holm's correction is that of the library.
Tolerances are those of the printed digits.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from functools import cache
from math import isclose, sqrt
from pathlib import Path

import numpy as np
import pytest

from lrpref.reproduce.statistics import holm, two_sided

DOCS = Path(__file__).parent.parent / "docs"
PAPERS = (DOCS / "papers.md").read_text(encoding="utf-8")
PAGES = ("2002.11018", "2002.11018-mnist", "2002.11018-cifar10", "2501.14322")
T = {2: 4.303, 3: 3.182, 4: 2.776}
"""The 97.5 % quantiles of Student's t by degrees of freedom."""

DECADES = [f"epsilon(epsilon={e})" for e in ("1e-6", "1e-5", "1e-4", "1e-3", "1e-2", "1e-1", "1")]
FILLS = ("mean", "zero")
MORE = {f"{what}_{fill}" for what in ("abpc", "span") for fill in ("mean", "zero", "blur", "uniform")}
MORE |= {"insertion", "deletion"}
Row = dict[str, str]
Interval = tuple[float, float, float]


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


def interval(text: str) -> Interval:
    """ "0.2 [0.1, 0.3] over ..." -> (0.2, 0.1, 0.3)."""
    found = re.match(r"(\S+) \[(\S+), (\S+)\]", text)
    assert found, text
    mean, low, high = map(float, found.groups())
    return mean, low, high


def by_fill(figure: str) -> dict[str, Interval]:
    """The intervals of a claim of the first study."""
    parts = figure.removeprefix("relative ABPC, ").split("; ")
    return {fill: interval(text) for fill, text in (part.removeprefix("fill ").split(": ") for part in parts)}


def student(values: list[float]) -> Interval:
    """The mean over seeds and its interval by Student's t."""
    mean, half = float(np.mean(values)), T[len(values) - 1] * float(np.std(values, ddof=1)) / sqrt(len(values))
    return mean, mean - half, mean + half


def verdict(low: float, high: float) -> str:
    return "held" if low > 0 else "did not hold" if high < 0 else "cannot say: the interval over seeds holds 0"


def verdict_on_both(both: Interval, *alone: Interval) -> str:
    """The verdict on two data sets together, which one of them must give alone."""
    found, *others = (verdict(low, high) for _, low, high in (both, *alone))
    return found if found.startswith("cannot say") or found in others else "cannot say: no single data set shows it"


def agreed(verdicts: dict[str, str]) -> str:
    first, *others = verdicts.values()
    if set(others) <= {first}:
        return first
    return "cannot say: " + "; ".join(f"{name}: {found}" for name, found in verdicts.items())


def printed(value: float, text: str, digits: int = 3) -> bool:
    """Whether a value is what is printed, which may be off by one in its last digit if the value was rounded before."""
    shown = float(text)
    size = max(abs(shown), abs(value))
    return isclose(value, shown, rel_tol=0, abs_tol=1.01 * 10 ** (np.floor(np.log10(size)) - digits + 1) if size else 0)


# ---- the pages of numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("paper", ["2002.11018", "2501.14322"])
def test_means_and_intervals_come_from_the_rows_of_the_seeds(paper: str) -> None:
    """Student's t over the seeds of each cell; one seed has no interval."""
    cell = ("dataset", "network", "treatment", "rule")
    per_seed: dict[tuple[str, ...], list[Row]] = {}
    for row in rows(f"{paper}-seeds.csv"):
        per_seed.setdefault(tuple(row[key] for key in cell), []).append(row)
    for row in rows(f"{paper}.csv"):
        seeds = per_seed[tuple(row[key] for key in cell)]
        values = [float(seed[row["measure"]]) for seed in seeds if seed[row["measure"]]]
        assert len(values) == int(row["seeds"])
        assert {seed["images"] for seed in seeds} == {row["images"]}
        near = 3e-5 * max(map(abs, values))  # all have six digits
        assert float(np.mean(values)) == pytest.approx(float(row["mean"]), abs=near)
        if len(values) == 1:
            assert (row["low"], row["high"]) == ("", "")
        else:
            assert [float(row[name]) for name in ("mean", "low", "high")] == pytest.approx(student(values), abs=near)
    assert len(rows(f"{paper}.csv")) > 2000


@pytest.mark.parametrize("name", PAGES)
def test_the_tables_of_the_pages(name: str) -> None:
    """Every number of the large table is the mean of the CSV file."""
    head = next(lines[0] for lines in tables(page(name)) if lines[0][:3] == ["network", "treatment", "rule"])
    found = means(name[:10])
    for network, treatment, rule, *values in table(page(name), "network", "treatment", "rule"):
        for measure, text in zip(head[3:], values, strict=True):
            key = (network, treatment.strip("-"), rule.strip("`"), measure)
            assert (text == "-" and key not in found) or printed(found[key], text), (key, text)


def test_the_claims_of_the_second_study() -> None:
    """The mean of each difference from the CSV file; the verdict from the printed interval."""
    measures = {"change under noise": "noise_l2", "error of float32": "precision_l2"}
    measures |= {f"ABPC, fill {fill}": f"abpc_{fill}" for fill in ("mean", "zero")}
    found = means("2501.14322")
    for sentence, (figure, answer) in claims("2501.14322").items():
        network, _, claim = sentence.partition(": ")
        if claim.startswith("without a hyperparameter"):
            measure = "abpc_mean" if "fill mean" in claim else "abpc_zero"
            areas = [found[network, "", rule, measure] for rule in DECADES]
            assert printed(max(areas) - min(areas), figure.rpartition(" ")[2]), sentence
        elif claim.endswith("gives the map of relative"):
            rule = claim.removesuffix(" gives the map of relative")
            assert printed(found[network, "", rule, "cosine_rescaled"], figure.split()[1].rstrip(",")), sentence
        else:
            what, difference, value = re.fullmatch(r"(.+), (.+ minus .+): (\S+ .*)", figure).groups()  # type: ignore[union-attr]
            one, other = (found[network, "", rule, measures[what]] for rule in difference.split(" minus "))
            error = 0.006 * abs(float(value.split()[0])) + 1e-6 * (abs(one) + abs(other))
            assert isclose(one - other, float(value.split()[0]), rel_tol=0, abs_tol=error), sentence
            seeds = per_seed(network, difference.split(" minus "), measures[what])
            if len(seeds) == 3:
                assert answer == verdict(*interval(value)[1:]), sentence
                assert interval(value) == pytest.approx(student(seeds), rel=0.006, abs=0.006 * max(map(abs, seeds)))
            else:
                assert answer == "cannot say: 1 training seed, at least 3 are needed", sentence


def per_seed(network: str, pair: list[str], measure: str) -> list[float]:
    """The difference of two rules for every seed, from the rows of the seeds."""
    found = {
        (row["seed"], row["rule"]): row[measure] for row in rows("2501.14322-seeds.csv") if row["network"] == network
    }
    one, other = pair
    return [float(found[seed, one]) - float(found[seed, other]) for seed, rule in found if rule == one]


def welch(*groups: Interval) -> Interval:
    """The mean of two means over three seeds each, and its interval: the groups are independent."""
    errors = [((high - low) / 2 / T[2]) ** 2 for _, low, high in groups]
    mean = sum(group[0] for group in groups) / 2
    if sum(errors) == 0:
        return mean, mean, mean
    df = sum(errors) ** 2 / sum(error**2 / 2 for error in errors)
    half = T[int(df + 1e-9)] * sqrt(sum(errors)) / 2
    return mean, mean - half, mean + half


def test_the_claims_of_the_first_study() -> None:
    """Each figure for both data sets from those of the two, as independent groups; each verdict from its intervals."""
    mnist, cifar, both = (claims(name) for name in ("2002.11018-mnist", "2002.11018-cifar10", "2002.11018"))
    for sentence, (figure, answer) in both.items():
        parts = [by_fill(each[sentence][0]) for each in (mnist, cifar)]
        found = by_fill(figure)
        for fill, values in found.items():
            expected = welch(*(part[fill] for part in parts))
            size = max(abs(v) for part in parts for v in part[fill])
            np.testing.assert_allclose(values, expected, rtol=0.011, atol=0.011 * size, err_msg=sentence)
        of_both = {fill: verdict_on_both(values, *(part[fill] for part in parts)) for fill, values in found.items()}
        of_mnist = {fill: verdict(low, high) for fill, (_, low, high) in parts[0].items()}
        for judged, printed_answer in ((of_both, answer), (of_mnist, mnist[sentence][1])):
            assert printed_answer in (agreed(judged), "the same map, by theorem: True"), sentence


@pytest.mark.parametrize("name", PAGES)
def test_how_many_intervals_exclude_0(name: str) -> None:
    """The numbers of the paragraph above the claims; p from the printed mean and interval."""
    stated = re.search(
        r"rest on (\d+) intervals over seeds.* about (\d+) of them.* by chance\. (\d+) do; .* number, (\d+)", page(name)
    )
    assert stated
    intervals: list[Interval] = []
    for figure, answer in claims(name).values():
        if "[" in figure and "by theorem" not in answer:
            intervals += (
                [interval(figure.rpartition(": ")[2])] if name == "2501.14322" else list(by_fill(figure).values())
            )
    excluded = sum(low > 0 or high < 0 for _, low, high in intervals)
    assert [int(text) for text in stated.groups()[:3]] == [len(intervals), round(0.05 * len(intervals)), excluded]
    if name != "2002.11018":  # whose intervals have several degrees of freedom
        p = [two_sided(mean / ((high - low) / 2 / T[2]), 2) if high > low else 1.0 for mean, low, high in intervals]
        assert abs(sum(holm(p)) - int(stated[4])) <= 1  # from rounded figures


# ---- docs/papers.md ----------------------------------------------------------------------------------------------


def section(start: str, end: str) -> str:
    return PAPERS[PAPERS.index(start) : PAPERS.index(end, PAPERS.index(start) + 1)]


def answer_for(verdict: str) -> str:
    """An answer of the pages as docs/papers.md writes it."""
    short = re.sub(": (the interval over seeds holds 0|no single data set shows it)", "", verdict)
    short = short.replace("cannot say: mean: cannot say; zero: cannot say", "cannot say")
    found = re.fullmatch(r"cannot say: mean: (.+); zero: (.+)", short)
    return f"cannot say (mean: {found[1]}; black: {found[2]})" if found else short.replace(": True", "")


def close(text: str, values: Interval) -> None:
    """ "+0.46 [+0.35, +0.56]" is these values, to a digit more than is printed."""
    for shown, value in zip(interval(text), values, strict=True):
        assert isclose(shown, value, rel_tol=0, abs_tol=0.0056), (text, values)


def test_the_table_of_the_first_section() -> None:
    where = ""
    number = 0
    for rule, left, *cells in table(section("### 1.", "### 2."), "rule", "left in, under"):
        if rule.startswith("*"):
            where = "before them all" if "before the first" in rule else "behind convolutions"
            continue
        named = {"LRP-0": "zero", "epsilon 0.01": "epsilon(epsilon=0.01)"}.get(rule, rule)
        sentence = f"1. BatchNorm {where}, fused: more accurate than under {left} ({named})"
        figures = [by_fill(claims(f"2002.11018-{name}")[sentence][0]) for name in ("mnist", "cifar10")]
        for text, values in zip(cells[:4], [each for found in figures for each in found.values()], strict=True):
            close(text, values)
        assert cells[4] == answer_for(claims("2002.11018")[sentence][1]), sentence
        number += 1
    assert number == 24


def test_the_table_of_the_second_section() -> None:
    found = table(section("### 2.", "## Nyiri"), "maps of the fused network ...")
    assert len(found) == 12
    for words, rule, *cells in found:
        named = {"LRP-0": "zero", "epsilon 0.01": "epsilon(epsilon=0.01)"}.get(rule, rule)
        start = f"2. where fully connected and normalization layers meet, maps {words.removeprefix('maps ')} ({named})"
        figures = [by_fill(claims(f"2002.11018-{name}")[start][0]) for name in ("mnist", "cifar10")]
        for text, values in zip(cells[:4], [each for found in figures for each in found.values()], strict=True):
            close(text, values)
        assert cells[4] == answer_for(claims("2002.11018")[start][1])


FIRST = re.sub(r"\s+", " ", section("### 1.", "## Nyiri"))


def gained(dataset: str, left: str, rule: str, where: str = "behind convolutions") -> tuple[float, float]:
    """What fusing gains over BatchNorm left in, with the mean fill and with the black one."""
    sentence = f"1. BatchNorm {where}, fused: more accurate than under {left} ({rule})"
    mean, black = (values[0] for values in by_fill(claims(f"2002.11018-{dataset}")[sentence][0]).values())
    return mean, black


def test_the_sentences_of_the_first_section() -> None:
    epsilon = "epsilon(epsilon=0.01)"
    mnist = [value for rule in ("zero", epsilon) for value in gained("mnist", "pass", rule)]
    assert f"On MNIST, fusing gains {min(mnist):.2f} to {max(mnist):.2f} of the span" in FIRST
    black = [gained("cifar10", "pass", rule)[1] for rule in ("zero", epsilon)]
    assert f"On CIFAR-10 it gains {min(black):.2f} to {max(black):.2f} with the black fill" in FIRST
    small = [value for rule in ("z-plus", "epsilon-plus") for value in gained("cifar10", "pass", rule)]
    assert f"against `Pass`: at most {max(map(abs, small)):.2f} on CIFAR-10" in FIRST
    cost = gained("cifar10", "zero", "epsilon-plus")
    assert f"costs {min(cost):.2f} to {max(cost):.2f} there: **held** over both" in FIRST
    black = [gained("cifar10", "absolute", rule)[1] for rule in ("zero", epsilon)]
    assert f"fusing gains {min(black):.2f} to {max(black):.2f} with the black fill on CIFAR-10" in FIRST
    by_both = "1. BatchNorm behind convolutions, fused: more accurate than under absolute"
    means = [by_fill(claims("2002.11018")[f"{by_both} ({rule})"][0])["mean"] for rule in ("zero", epsilon)]
    assert f"excludes 0 (by a mean of {means[1][0]:.2f} to {means[0][0]:.2f})" in FIRST
    assert min(low for _, low, _ in means) > 0
    loss, won = gained("cifar10", "pass", "zero", "before them all")
    assert f"therefore loses {-loss:.2f} of the span with the mean fill and gains {won:.2f} with the black" in FIRST
    stated = re.search(r"chance\. (\d+) do; .* number, (\d+)", page("2002.11018"))
    assert stated
    assert f"by chance and {stated[1]} do. After Holm's correction, {stated[2]} are left" in FIRST


def test_the_sentences_on_other_fills() -> None:
    """Seed 0: the gain over `Pass`, averaged over both networks, from the rows of the seeds."""
    found = {
        (row["network"], row["treatment"], row["rule"]): {name: float(value or "nan") for name, value in measured}
        for row in rows("2002.11018-seeds.csv")
        if row["seed"] == "0" and (measured := [item for item in row.items() if item[0] in MORE])
    }

    def over(dataset: str, rule: str, *measure: str) -> float:
        def of(network: str, treatment: str) -> float:
            area, *span = (found[f"{dataset}-{network}", treatment, rule][name] for name in measure)
            return area / span[0] if span else area

        return float(np.mean([of(n, "fused") - of(n, "pass") for n in ("conv-bn-relu", "conv-relu-bn")]))

    mnist, cifar = (
        [over(dataset, "zero", f"abpc_{fill}", f"span_{fill}") for fill in ("blur", "mean", "zero")]
        for dataset in ("mnist", "cifar10")
    )
    assert "fill ({:.2f}) agrees with the mean ({:.2f}) and with black ({:.2f})".format(*mnist) in FIRST
    assert f"with black ({cifar[0]:.2f} and {cifar[2]:.2f}) and not with the mean ({cifar[1]:.2f})" in FIRST
    rules = ("zero", "epsilon(epsilon=0.01)", "z-plus", "epsilon-plus")
    random = [over(d, rule, "abpc_uniform", "span_uniform") for d in ("mnist", "cifar10") for rule in rules]
    assert f"With a uniform random fill, the largest gain of any rule is {max(random):.2f}" in FIRST
    other = [over(d, "zero", measure) for d in ("mnist", "cifar10") for measure in ("insertion", "deletion")]
    assert (
        "on MNIST ({:.2f} and {:.2f}), and show almost nothing on CIFAR-10 ({:.2f} and {:.2f})".format(*other) in FIRST
    )


def test_the_sentences_of_the_second_section() -> None:
    worse = "2. where fully connected and normalization layers meet, maps are worse than the twin's"
    mnist = [by_fill(claims("2002.11018-mnist")[f"{worse} ({rule})"][0]) for rule in ("zero", "epsilon(epsilon=0.01)")]
    losses = [mean for each in mnist for mean, _, _ in each.values()]
    assert f"by {min(losses):.2f} to {max(losses):.2f} of the span: **held** with the black fill" in FIRST
    assert mnist[0]["mean"][1] < 0 < mnist[1]["mean"][1]
    assert min(each["zero"][1] for each in mnist) > 0
    found = means("2002.11018")
    names = [f"{d}-{n}" for d in ("mnist", "cifar10") for n in ("dense-bn-relu", "dense-relu-bn", "both")]
    areas = [
        found[n, "pass", "zero", f"abpc_{f}"] / found[n, "pass", "zero", f"span_{f}"] for n in names for f in FILLS
    ]
    assert f"(relative ABPC of {min(areas):.2f} to {max(areas):.2f}, see the figure)" in FIRST
    for network in ("conv-bn-relu", "conv-relu-bn", "bn-first", "both"):
        edges, *maps = (
            found[f"cifar10-{network}", "fused", rule, "abpc_mean"]
            for rule in ("sobel", "zero", "epsilon(epsilon=0.01)")
        )
        assert max(maps) < edges, network


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
                assert printed(means("2501.14322")[network, "", rule.strip("`"), measure], mean), (key, cell)
                assert (not half and key not in widths) or printed(widths[key], half, 2), (key, cell)


def value(network: str, rule: str, measure: str) -> float:
    return means("2501.14322")[network, "", rule, measure]


def spread(network: str, measure: str) -> float:
    areas = [value(network, rule, measure) for rule in DECADES]
    return max(areas) - min(areas)


def test_the_sentences_on_the_four_small_networks() -> None:
    networks = ["mnist-conv", "mnist-dense", "cifar10-conv", "cifar10-conv-bn-relu"]
    text = re.sub(r"\s+", " ", SMALL)
    conv, dense, *cifar = (
        round(100 * (1 - value(name, "relative", "noise_l2") / value(name, "zero", "noise_l2"))) for name in networks
    )
    assert f"by {min(conv, *cifar)} to {max(conv, *cifar)} % of these on average" in text
    assert f"by {dense} % on average" in text
    both = ("abpc_mean", "abpc_zero")
    widest = [spread("mnist-conv", measure) for measure in both]
    assert f"changes the mean ABPC over seeds by {min(widest):.1f} to {max(widest):.1f} of 12 on mnist-conv" in text
    others = [spread(name, measure) for name in networks[1:] for measure in both]
    assert f"and by {min(others):.2f} to {max(others):.2f} elsewhere" in SMALL
    of_ones = [value("cifar10-conv-bn-relu", rule, "abpc_zero") for rule in (DECADES[-1], "relative")]
    assert "({:.2f} against {:.2f})".format(*of_ones) in SMALL
    loss = [value(name, "zero", "precision_l2") - value(name, "relative", "precision_l2") for name in networks]
    assert f"On mnist-dense LRP-0 loses less, by {-loss[1]:.0e}." in text
    assert f"LRP-0 loses {loss[2]:.3f} to {loss[3]:.3f} more" in text
    gains = [value("mnist-conv", "relative", measure) - value("mnist-conv", "zero", measure) for measure in both]
    assert "({:+.1f} and {:+.1f} in the logit)".format(*gains) in SMALL
    losses = [value("mnist-dense", "relative", measure) - value("mnist-dense", "zero", measure) for measure in both]
    assert "({:+.1f} and {:+.1f})".format(*losses) in SMALL
    better = [value(name, DECADES[-1], m) > value(name, "relative", m) for name in networks for m in both]
    assert better == [True] * 7 + [False]
    answers = {sentence: answer.partition(":")[0] for sentence, (_, answer) in claims("2501.14322").items()}
    for other in ("zero", DECADES[0]):
        moves = [answers[f"{name}: relative moves less under tiny noise than {other}"] for name in networks]
        assert moves == ["held", "cannot say", "held", "held"]
    faithful = {
        (name, other): [answers[f"{name}: relative is more faithful (fill {fill}) than {other}"] for fill in FILLS]
        for name in networks
        for other in ("zero", "absolute", "z-plus")
    }
    yes, no, open_ = "held", "did not hold", "cannot say"
    assert [faithful[name, "zero"] for name in networks] == [[yes, yes], [no, no], [open_, open_], [no, yes]]
    for other in ("absolute", "z-plus"):
        assert [faithful[name, other] for name in networks] == [[yes, yes], [yes, yes], [no, yes], [no, yes]]
    for rule, count in (("z-plus", 4), ("absolute", 3), ("epsilon-plus", 3)):
        assert sum(value(name, rule, "noise_l2") < value(name, "relative", "noise_l2") for name in networks) == count


ALL = ["mnist-cnn", "mnist-mlp", "cifar-cnn", "cifar-cnn-bn", "resnet20", "vgg16-bn", "vgg19-bn", "resnet50"]
DENSE = "mnist-mlp"
RESIDUAL = ("resnet20", "resnet50")


def test_the_sentences_on_the_eight_networks() -> None:
    """The numbers of each sentence, and the networks on which it holds."""
    text = re.sub(r"\s+", " ", EIGHT)

    def noise(rule: str, *networks: str) -> list[float]:
        return [value(name, rule, "noise_l2") / value(name, "relative", "noise_l2") for name in networks]

    def between(values: list[float], form: str = ".1f") -> str:
        return f"{min(values):{form}} to {max(values):{form}}"

    others = [name for name in ALL if name != DENSE]
    chains = [name for name in others if name not in RESIDUAL]
    gamma = "gamma(gamma=0.25, generalised=True)"
    assert f"on all eight networks, by a factor of {between(noise('zero', *ALL))}." in text
    assert f"they change {between(noise(gamma, *others))} times as much" in text
    assert f"fully connected network ({noise(gamma, DENSE)[0]:.1f} times)" in text
    assert f"more on the five chains with convolutions ({between(noise(DECADES[-1], *chains))} times)" in text
    assert f"on both ResNets ({between(noise(DECADES[-1], DENSE, *RESIDUAL))} times)" in text
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
    assert min(value(name, DECADES[-1], "abpc_mean") - value(name, "relative", "abpc_mean") for name in ALL) > 0
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
                assert printed(value(network, rule, measure), cell), (network, rule, measure)
    apart = [f"relative(reading={name!r})" for name in ("bare", "unsigned", "unit-norm")]
    areas = [value("resnet20", rule, "abpc_mean") for rule in apart]
    assert f"their ABPC is {min(areas):.2f} to {max(areas):.2f}" in text
    of = [value("resnet20", rule, "abpc_mean") for rule in ("relative", "sobel")]
    assert "rescaled map has {:.2f} and the edge filter {:.2f}".format(*of) in re.sub(r"\s+", " ", text)
    assert min(value("resnet20", rule, "abpc_zero") for rule in apart) > value("resnet20", "relative", "abpc_zero")
