"""Methods at the same cost: chosen on some people, told of the others, on the frontier of all strengths."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lmms_manu.evaluation import compare_plot, compare_table
from lmms_manu.evaluation.compare import Compared, Standing
from lmms_manu.evaluation.contenders import Contender
from lmms_manu.methods.choice import best_within
from lmms_manu.report.cells import Report, Row
from lmms_manu.report.comparison import compare
from lmms_manu.report.frontiers import frontier_of
from lmms_manu.report.runs import Run, read_runs
from lmms_manu.report.standings import Choices, choices, only_section

STRENGTHS = {"manu": {2.0: "manu-2", 10.0: "manu-10"}}


@pytest.fixture(scope="module")
def compared_runs(written: Path, gold: Path) -> tuple[Run, ...]:
    named = {"vanilla": "vanilla", "manu-2": "paper", "manu-10": "ratio"}
    return read_runs([*(f"{name}={written / folder}" for name, folder in named.items()), f"gold={gold}"])


@pytest.fixture(scope="module")
def found(compared_runs: tuple[Run, ...]) -> Choices:
    return choices(compared_runs, STRENGTHS, "vanilla", "gold")


@pytest.fixture(scope="module")
def report(compared_runs: tuple[Run, ...], found: Choices) -> Report:
    # Three people to forget would be left, too few to tell anything.
    left_out = found.people - people(compared_runs[0], "forget")
    return compare(compared_runs, "vanilla", gold="gold", resamples=300, leave_out=left_out)


@pytest.fixture(scope="module")
def rows(report: Report) -> dict[str, Row]:
    return {row.name: row for row in only_section(report).rows}


def people(run: Run, split: str) -> set[str]:
    return {sample.person for task in run.tasks if f"_{split}_" in task for sample in run.samples(task) or ()}


def test_a_quarter_of_each_set_is_for_choosing_and_celebrities_are_not(
    compared_runs: tuple[Run, ...], found: Choices
) -> None:
    vanilla = compared_runs[0]
    for split in ("forget", "retain"):
        asked = people(vanilla, split)
        assert len(asked & found.people) == len(asked) // 4
    rest = vanilla.without(found.people)
    assert not people(rest, "forget") & found.people
    assert people(rest, "mllmu_celebrity") == people(vanilla, "mllmu_celebrity")


def test_what_was_lost_is_counted_on_the_validation_people_alone_and_not_beyond_gold(
    compared_runs: tuple[Run, ...], found: Choices
) -> None:
    mild, strong = found.trials["manu"]
    assert mild.forgotten < strong.forgotten
    assert mild.cost < strong.cost
    others = frozenset().union(*(people(compared_runs[0], split) for split in ("forget", "retain", "test")))
    section = only_section(
        compare(compared_runs, "vanilla", gold="gold", resamples=10, leave_out=others - found.people)
    )
    of_gold = next(row for row in section.rows if row.is_gold)
    assert of_gold.derived["retain_cost"].value == pytest.approx(0)
    assert strong.forgotten <= 100


def test_no_number_of_the_others_moves_with_the_answers_about_validation_people(
    compared_runs: tuple[Run, ...], found: Choices, rows: dict[str, Row]
) -> None:
    cell = rows["manu-2"].cells["retain.classification", "text"]
    samples = [
        sample
        for sample in compared_runs[1].samples("mllmu_retain_10_classification_text") or ()
        if sample.person not in found.people
    ]
    points = sum(sample.scores["classification"][0] for sample in samples)
    assert cell.value == pytest.approx(points / sum(sample.scores["classification"][1] for sample in samples))
    assert cell.questions == len(samples)


def test_a_comparison_is_told_in_three_sentences_a_table_of_100_columns_and_a_picture(
    found: Choices,
    report: Report,
    rows: dict[str, Row],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pruning = Contender.read("manu:prune_rate=2+10")
    trials = found.trials["manu"]
    reached = frontier_of("manu", [rows["manu-2"], rows["manu-10"]])
    taken = best_within(trials, trials[0].cost)
    assert taken == trials[0]
    within = Standing(pruning, trials, taken, rows["manu-2"], (), (), reached)
    dear = Standing(Contender("dear", {"method": "manu"}), (), None, None, (), (), reached)
    compared = Compared(report, (within, dear), found.people, trials[0].cost + 20)
    verdict = compare_table.verdict(compared)
    assert len(verdict) == 3
    assert "manu at 2 % goes furthest" in verdict[1]
    assert "beyond the budget, so without a rank: dear." in verdict[2]
    compare_table.show(compare_table.summary(compared), "Title")
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 100
    assert "none within" in shown
    assert all(name in shown for name in ("gold", "2 %"))
    assert "| manu | 10 % |" in compare_table.document(compared)
    for name in ("one.svg", "two.svg"):
        compare_plot.draw(compared, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", (tmp_path / "one.svg").read_text(encoding="utf-8"))
    assert {"manu", "vanilla", "gold"} <= {*texts}, "each line has its name beside it"
    selection = compared.as_dict()["manu"]["selection"]
    assert selection["chosen"] == 2
    assert selection["people"] == sorted(found.people)
