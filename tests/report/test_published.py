"""Numbers that somebody published beside one's own: the paper's, and those of a file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lmms_manu.cli import main as cli
from lmms_manu.errors import DataError, SettingError
from lmms_manu.report.cells import Report, Row
from lmms_manu.report.comparison import compare
from lmms_manu.report.published import guess_model, paper, published_file, rows_of, with_published
from lmms_manu.report.runs import Run

RIVAL = """model,method,forget_ratio,split,modality,metric,scale,value
somebody-7b,vanilla,10,forget,multimodal,cloze,1,0.8
somebody-7b,vanilla,10,forget,text,cloze,1,0.6
somebody-7b,Careful,10,forget,multimodal,cloze,1,0.4
somebody-7b,Careful,10,forget,text,cloze,1,0.3
somebody-7b,Careful,10,retain,,rougeL,100,55
"""


def row(name: str, model: str = "llava-1.5-7b", ratio: int = 5) -> Row:
    rows = rows_of(paper(model), "mllmu", ratio)
    return next(row for row in rows if row.name == f"{name} (published)")


def test_the_main_table_is_as_printed() -> None:
    metrics = ("classification", "rouge_l", "factuality", "cloze")
    vanilla, manu = row("Vanilla"), row("MANU 2 %")
    assert [vanilla.cell(f"forget.{metric}").value for metric in metrics] == [51.70, 0.645, 6.78, 25.81]
    assert [manu.cell(f"celebrity.{metric}").value for metric in metrics] == [49.57, 0.448, 4.67, 16.01]
    assert [manu.cell(f"utility.{metric}").value for metric in ("mia_bench", "mm_vet", "mmstar")] == [
        64.02,
        32.76,
        32.41,
    ]
    assert [row("MANU 10 %").cell(f"test.{metric}").value for metric in metrics] == [33.40, 0.262, 3.35, 13.25]


def test_changes_are_against_the_published_vanilla() -> None:
    assert row("NPO").cell("forget.classification").change == pytest.approx(45.61 - 51.70)
    assert row("MANU 2 %").derived["forgetting_rate"].value == pytest.approx(
        100 - 25 * (41.25 / 51.70 + 0.491 / 0.645 + 3.21 / 6.78 + 17.08 / 25.81)
    )


def test_errata_stand_beside_the_numbers() -> None:
    assert "3.27 in tables 5 and 7" in row("MANU 2 %").cell("forget.factuality").note


def test_every_published_setting_has_rows() -> None:
    for model, ratio in (("llava-1.5-7b", 10), ("llava-1.5-7b", 15), ("idefics2-8b", 5), ("llava-1.5-13b", 5)):
        assert any(entry.is_baseline for entry in rows_of(paper(model), "mllmu", ratio)), (model, ratio)
    with pytest.raises(SettingError, match="Did you mean 'idefics2-8b'"):
        paper("idefics2")


def test_the_model_is_guessed_from_the_checkpoint() -> None:
    assert guess_model(["MLLMMU/Idefics2_Vanilla"]) == "idefics2-8b"
    assert guess_model(["/models/llava-1.5-13b"]) == "llava-1.5-13b"
    assert guess_model([""]) == "llava-1.5-7b"


@pytest.fixture(scope="module")
def report(runs: tuple[Run, ...]) -> Report:
    return compare(runs, resamples=10)


def of_size(report: Report, parameters: int) -> Report:
    """The report as if its edited runs had recorded how large their models are."""
    runs = []
    for run in report.runs:
        edit = run.edit and dataclasses.replace(run.edit, details={**run.edit.details, "parameters": parameters})
        runs.append(dataclasses.replace(run, edit=edit))
    return dataclasses.replace(report, runs=tuple(runs))


def test_published_rows_come_last_and_take_no_part_in_the_ranking(report: Report, tmp_path: Path) -> None:
    (tmp_path / "rival.csv").write_text(RIVAL, encoding="utf-8")
    sources = [paper("llava-1.5-7b"), published_file(tmp_path / "rival.csv", report.runs)]
    section = with_published(report, sources).sections[0]
    published = [row.is_published for row in section.rows]
    assert published == sorted(published)
    assert [row.name for row in section.rows][-2:] == ["Vanilla (published, rival)", "Careful (published, rival)"]
    assert all(cell.rank == 0 for row in section.rows if row.is_published for cell in row.cells.values())
    careful = section.rows[-1]
    assert careful.cell("forget.cloze").value == pytest.approx(35), "the mean of both modalities, on our scale"
    assert careful.cell("forget.cloze", "text").change == pytest.approx(-30)
    assert careful.cell("retain.rouge_l").value == 0.55
    assert careful.derived["forgetting_rate"].value == pytest.approx(50)


@pytest.mark.parametrize(("parameters", "warned"), [(7_063_427_072, False), (513_000, True), (13_350_000_000, True)])
def test_rows_of_another_model_are_shown_with_a_warning(report: Report, parameters: int, warned: bool) -> None:
    shown = with_published(of_size(report, parameters), [paper("llava-1.5-7b")])
    told = [problem.message for problem in shown.problems if problem.kind == "published"]
    assert bool(told) == warned
    if warned:
        here = f"MLLMMU/LLaVA_Vanilla ({parameters / 1e6:,.1f} million parameters)"
        assert f"are of llava-1.5-7b, which no model here is ({here})" in told[0]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("method,", "methods,", "lacks the column method and has a column methods"),
        (",cloze,", ",clozes,", "line 2: a report has no forget.clozes. Did you mean 'forget.cloze'"),
        ("text,cloze,1,0.6", "txt,cloze,1,0.6", "line 3: modality='txt' is none of mean, multimodal, text"),
        ("rougeL,100,55", "rougeL,1,55", "line 6: 55 is beyond the 1 that retain.rouge_l goes up to: say in `scale`"),
        ("0.4", "O.4", "line 4: value='O.4' is no number"),
        (",55", "", "line 6: it has not as many values as the file has columns"),
    ],
)
def test_a_file_that_says_something_else_is_refused_by_its_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    file = tmp_path / "rival.csv"
    file.write_text(RIVAL.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=rf"rival\.csv.*{told}"):
        published_file(file)


def test_a_leaderboard_shows_published_rows_without_a_rank_and_keeps_them(written: Path, tmp_path: Path) -> None:
    (tmp_path / "rival.csv").write_text(RIVAL, encoding="utf-8")
    board, runs = tmp_path / "board.json", [str(written / "vanilla"), str(written / "paper")]
    options = ["--resamples", "20", "--append", str(board)]
    assert cli.main(["report", *runs, *options, "--published", str(tmp_path / "rival.csv")]) == 0
    assert cli.main(["report", *runs, *options]) == 0
    ranked, _, published = (tmp_path / "board.md").read_text(encoding="utf-8").partition("# Published\n")
    assert "Careful" not in ranked
    assert "## Published: Forget 10 %, somebody-7b" in published
    assert "| Careful (published, rival) | " in published
    assert "They have no rank" in published
