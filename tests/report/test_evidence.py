"""What a report's main numbers stand on: gold, guessing, controls; and golds that are none."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmms_manu.cli import main as cli
from lmms_manu.errors import DataError
from lmms_manu.report.cells import Report, Row
from lmms_manu.report.comparison import compare
from lmms_manu.report.runs import read_runs
from lmms_manu.report.verdict import verdict


@pytest.fixture(scope="module")
def report(written: Path, gold: Path) -> Report:
    places = [f"{name}={written / name}" for name in ("vanilla", "paper", "ratio")]
    return compare(read_runs([*places, f"gold={gold}"]), resamples=500)


def row(report: Report, name: str) -> Row:
    return next(row for row in report.sections[0].rows if row.name == name)


def value(report: Report, name: str, number: str) -> float:
    found = row(report, name).derived[number].value
    assert found is not None
    return found


def score(report: Report, name: str, column: str, view: str = "mean") -> float:
    found = row(report, name).cell(column, view).value
    assert found is not None
    return found


def test_a_run_that_is_called_gold_is_gold_and_no_candidate(report: Report) -> None:
    assert report.baseline == "vanilla"
    assert row(report, "gold").is_gold
    assert {name: row(report, name).is_candidate for name in ("vanilla", "gold", "paper")} == {
        "vanilla": False,
        "gold": False,
        "paper": True,
    }
    assert all(cell.rank == 0 for cell in row(report, "gold").cells.values())


def test_without_a_run_to_judge_the_verdict_says_so(written: Path, gold: Path) -> None:
    both = read_runs([str(written / "vanilla"), str(gold)])
    assert [run.name for run in both] == ["vanilla", "gold"]
    (said,) = verdict(compare(both, resamples=10).sections[0])
    assert said.startswith("No verdict: no run here is to be judged")


def test_gold_forgot_everything_at_no_cost_and_is_no_distance_from_itself(report: Report) -> None:
    assert value(report, "gold", "share_forgotten") == 100
    assert value(report, "gold", "damage") == 0
    assert value(report, "gold", "distance_to_gold") == 0
    assert value(report, "gold", "retain_cost") == 0


def test_the_share_forgotten_is_the_mean_way_from_vanilla_to_gold(report: Report) -> None:
    # Of the other metrics the data has three people only, which is too few.
    shares = []
    for modality in ("multimodal", "text"):
        before, after, mine = (score(report, name, "forget.rouge_l", modality) for name in ("vanilla", "gold", "paper"))
        shares.append(min(100 * (before - mine) / (before - after), 100))
    assert value(report, "paper", "share_forgotten") == pytest.approx(sum(shares) / 2)
    assert value(report, "paper", "share_forgotten_text") == pytest.approx(shares[1])
    bounds = row(report, "paper").derived["share_forgotten"].interval
    assert bounds is not None
    assert bounds[0] < value(report, "paper", "share_forgotten") < bounds[1]
    lost = [
        score(report, "vanilla", f"retain.{metric}") - score(report, "paper", f"retain.{metric}")
        for metric in ("classification", "cloze", "rouge_l", "factuality")
    ]
    points = [lost[0], lost[1], 100 * lost[2], 10 * lost[3]]
    assert value(report, "paper", "retain_cost") == pytest.approx(sum(points) / 4)


def test_an_untouched_model_forgot_nothing(written: Path, gold: Path) -> None:
    again = gold.parent / "untouched"
    shutil.copytree(written / "vanilla", again)
    places = [f"vanilla={written / 'vanilla'}", f"untouched={again}", f"gold={gold}"]
    untouched = compare(read_runs(places), "vanilla", resamples=200)
    for number in ("share_forgotten", "damage", "retain_cost", "celebrity_cost"):
        assert value(untouched, "untouched", number) == 0
        assert row(untouched, "untouched").derived[number].interval == (0, 0)


def test_without_gold_the_floor_is_what_answers_about_others_score(written: Path) -> None:
    guessed = compare(read_runs([str(written / "vanilla"), str(written / "ratio")]), resamples=200).sections[0]
    assert guessed.evidence is not None
    assert (guessed.evidence.reference, guessed.evidence.is_gold) == ("guessing", False)
    cells = guessed.evidence.cells
    assert cells["forget.classification", "text"].value == 25
    rouge = cells["forget.rouge_l", "text"].value
    assert rouge is not None
    assert 0 < rouge < 0.9
    edited = guessed.rows[1]
    assert edited.derived["share_forgotten"].value is not None
    assert edited.derived["distance_to_gold"].value is None


def test_what_vanilla_does_not_know_is_named_greyed_and_in_no_mean(written: Path, gold: Path) -> None:
    """Gold in the place of vanilla: neither knows anything about the people to forget."""
    twin = gold.parent / "twin"
    shutil.copytree(gold, twin, dirs_exist_ok=True)
    places = [f"ignorant={gold}", f"gold={twin}", f"ratio={written / 'ratio'}"]
    report = compare(read_runs(places), "ignorant", gold="gold", resamples=200)
    (section,) = report.sections
    assert section.evidence is not None
    assert section.evidence.is_mute("forget.rouge_l", "text")
    assert row(report, "ratio").derived["share_forgotten"].value is None
    assert "ROUGE-L" not in row(report, "ratio").derived["forgetting_rate"].note
    assert row(report, "ratio").derived["retain_cost"].value is not None


def test_the_command_says_whether_the_model_knows_anything(
    written: Path, gold: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--resamples", "200"]
    assert cli.main(["validity", f"vanilla={written / 'vanilla'}", f"gold={gold}", *options]) == 0
    assert "8 of 20 numbers can tell" in " ".join(capsys.readouterr().out.split())
    assert cli.main(["validity", f"vanilla={written / 'vanilla'}", *options]) == 0
    assert "than guessing" in " ".join(capsys.readouterr().out.split())
    assert cli.main(["validity", f"a={written / 'vanilla'}", f"b={gold}", "--baseline", "b", "--gold", "a"]) == 2
    assert "a knows the people to forget better than b does" in capsys.readouterr().err


def family(name: str) -> Callable[[dict[str, Any]], None]:
    def write(content: dict[str, Any]) -> None:
        for config in content["configs"].values():
            if "run" in config.get("metadata", {}):
                config["metadata"]["run"]["family"] = name

    return write


def question(text: str) -> Callable[[dict[str, Any]], None]:
    return lambda line: line["scored"].update(question=text)


def prompt_tokens(count: int) -> Callable[[dict[str, Any]], None]:
    return lambda line: line.update(token_counts=[{"input_tokens": count}])


Change = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize(
    ("files", "of_vanilla", "of_gold", "told"),
    [
        ("*_results.json", family("llava"), family("idefics2"), "is of another architecture (idefics2 and llava)"),
        ("*_forget_10_cloze_text.jsonl", question("What?"), question("Who?"), "was asked other questions in"),
        ("*_forget_10_cloze_text.jsonl", prompt_tokens(7), prompt_tokens(9), "has another tokenizer or form of prompt"),
    ],
)
def test_a_gold_that_is_none_is_named_and_gives_no_number(
    written: Path, gold: Path, tmp_path: Path, files: str, of_vanilla: Change, of_gold: Change, told: str
) -> None:
    places = [f"ratio={written / 'ratio'}"]
    for name, folder, change in (("vanilla", written / "vanilla", of_vanilla), ("gold", gold, of_gold)):
        shutil.copytree(folder, tmp_path / name)
        rewrite(next((tmp_path / name).glob(f"**/{files}")), change)
        places.append(f"{name}={tmp_path / name}")
    report = compare(read_runs(places), resamples=50)
    messages = " ".join(problem.message for problem in report.problems if problem.kind == "gold")
    assert told in messages
    assert "no share forgotten is computed" in messages
    assert report.sections[0].evidence is None
    assert row(report, "ratio").derived["share_forgotten"].value is None


def rewrite(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in (lines if file.suffix == ".jsonl" else ["\n".join(lines)])]
    for entry in entries:
        change(entry)
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")


def test_an_edited_run_is_not_taken_for_gold(written: Path) -> None:
    runs = read_runs([f"{name}={written / name}" for name in ("vanilla", "paper")])
    with pytest.raises(DataError, match="gold='paper' was edited by manu paper 2 %"):
        compare(runs, gold="paper", resamples=10)
    with pytest.raises(DataError, match="gold='golden' is none of the runs"):
        compare(runs, gold="golden", resamples=10)


def test_a_gold_of_another_benchmark_is_named_and_gives_no_number(written: Path, gold: Path) -> None:
    vanilla, ratio, never = read_runs([*(str(written / name) for name in ("vanilla", "ratio")), f"gold={gold}"])
    name = "clear_forget_10_generation_text"
    result = dataclasses.replace(next(iter(never.tasks.values())), name=name, samples=None)
    elsewhere = dataclasses.replace(never, tasks={name: result})
    report = compare([vanilla, ratio, elsewhere], "vanilla", gold="gold", resamples=50)
    (told,) = (problem.message for problem in report.problems if problem.kind == "gold")
    assert told == (
        "gold was not asked about those to forget of MLLMU-Bench at 10 %: evaluate the same tasks with it as with "
        "vanilla; no share forgotten is computed."
    )
    assert row(report, ratio.name).derived["share_forgotten"].value is None
