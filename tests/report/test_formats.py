"""Terminal, Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from lmms_manu.cli import main as cli
from lmms_manu.report.cells import Report
from lmms_manu.report.comparison import compare
from lmms_manu.report.formats import csv_report, every_eval_ever, json_report, latex, markdown, terminal
from lmms_manu.report.formats.numbers import DASH, on_scale, plain, value_digits, value_text
from lmms_manu.report.formats.tables import overview, tables_of
from lmms_manu.report.notebook import NotebookReport
from lmms_manu.report.runs import Run, read_runs


@pytest.fixture(scope="module")
def report(runs: tuple[Run, ...]) -> Report:
    return compare(runs, resamples=200)


def test_numbers_have_true_minus_signs_and_no_negative_zero() -> None:
    assert plain(-1.25, 2) == "−1.25"
    assert plain(1.25, 1, sign=True) == "+1.2"
    assert plain(-0.001, 1) == "0.0"
    assert plain(-0.001, 1, sign=True) == "0.0"


def test_the_overview_has_the_papers_form(report: Report) -> None:
    table = overview(report.sections[0])
    assert list(dict.fromkeys(head.group for head in table.heads))[:4] == [
        "Forget set",
        "Test set",
        "Retain set",
        "Celebrity set",
    ]
    labels = [(head.label, head.arrow) for head in table.heads]
    assert labels[:4] == [("Classification", "↓"), ("ROUGE-L", "↓"), ("Factuality", "↓"), ("Cloze", "↓")]
    assert labels[10:14] == [("Classification", "↑"), ("ROUGE-L", "↑"), ("Factuality", "↑"), ("Cloze", "↑")]
    assert [line.name for line in table.lines] == ["vanilla", "manu paper 2 %", "manu ratio 10 %"]


def test_there_is_a_table_for_each_modality(report: Report) -> None:
    titles = [table.title for table in tables_of(report.sections[0])]
    for words in ("mean of both modalities", "with the picture", "text only"):
        assert f"Forget 10 %, {words}" in titles


def test_what_was_not_measured_is_a_dash_everywhere(report: Report) -> None:
    ratio = overview(report.sections[0]).lines[2]
    assert ratio.entries[2].text == DASH
    assert "| – |" in markdown.render(report)
    assert "& -- &" in latex.render(report)
    lines = list(csv.DictReader(io.StringIO(csv_report.render(report))))
    assert not [line for line in lines if line["run"] == "manu ratio 10 %" and line["metric"] == "factuality"]


def test_best_is_bold_and_second_underlined(report: Report) -> None:
    text = markdown.render(report)
    assert "**" in text
    assert "<u>" in text
    assert r"\textbf{" in latex.render(report)
    assert r"\underline{" in latex.render(report)


def test_the_terminal_shows_change_and_interval(report: Report) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    terminal.show(report, console)
    text = console.export_text()
    paper = report.sections[0].rows[1].cell("forget.classification")
    assert paper.change is not None
    assert plain(paper.change, 1, sign=True) in text
    assert "Forgetting" in text


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_the_terminal_shows_every_digit_at_any_width(report: Report, width: int) -> None:
    console = Console(width=width, record=True, file=io.StringIO())
    terminal.show(report, console)
    shown = set(console.export_text().split())
    cells = [row.cell(column) for row in report.sections[0].rows for column in report.sections[0].columns]
    assert sum(cell.value is not None for cell in cells) > 20
    for row in report.sections[0].rows:
        for column in report.sections[0].columns:
            cell = on_scale(row.cell(column), column.metric)
            assert cell.value is None or value_text(cell, value_digits(column.metric)) in shown, column.name


def test_csv_lines_are_the_numbers_of_the_report(report: Report) -> None:
    lines = list(csv.DictReader(io.StringIO(csv_report.render(report))))
    assert tuple(lines[0]) == csv_report.FIELDS
    found = next(
        line
        for line in lines
        if (line["run"], line["split"], line["metric"], line["modality"])
        == ("manu paper 2 %", "forget", "cloze", "text")
    )
    cell = report.sections[0].rows[1].cell("forget.cloze", "text")
    assert float(found["value"]) == pytest.approx(cell.value, rel=1e-5)
    assert float(found["change"]) == pytest.approx(cell.change, rel=1e-5)


def test_json_has_a_versioned_schema_and_survives_a_round_trip(report: Report) -> None:
    content = json.loads(json.dumps(json_report.build(report), allow_nan=False))
    assert (content["schema"], content["version"]) == ("lmms-manu/report", 1)
    (section,) = content["sections"]
    numbers = section["rows"][1]["numbers"]["forget.cloze"]["text"]
    assert set(numbers) >= {"value", "interval", "change", "change_interval", "questions", "people"}
    assert content["runs"][1]["fingerprint"] == "5eed" * 16


@given(st.text())
def test_any_name_fits_a_markdown_cell(name: str) -> None:
    escaped = markdown.escape(name)
    assert "\n" not in escaped
    assert "|" not in escaped.replace("\\|", "")
    assert "<" not in escaped.replace("\\<", "")


@given(st.text())
def test_any_name_fits_latex(name: str) -> None:
    escaped = latex.escape(name)
    for character in "&%#_":
        assert escaped.count(character) == escaped.count(f"\\{character}")


def test_hostile_names_are_text_in_every_output(written: Path) -> None:
    name = "<b>|$x_1$ & \\evil{%}"
    report = compare(read_runs([f"{name}={written / 'paper'}"]), resamples=10)
    assert "<b>" not in markdown.render(report).replace("\\<b", "")
    assert r"\textless{}b\textgreater{}|\$x\_1\$ \& \textbackslash{}evil\{\%\}" in latex.render(report)
    formula = compare(read_runs([f"@SUM={written / 'paper'}"]), resamples=10)
    assert "\n10,'@SUM," in csv_report.render(formula)


def test_the_command_writes_every_output(written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["report", str(written), "--out", str(tmp_path / "out"), "--reference", "paper", "--resamples", "50"]
    assert cli.main(command) == 0
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {
        "report.html",
        "report.md",
        "report.tex",
        "report.csv",
        "report.json",
        "figures",
        "every_eval_ever",
    }
    assert "(published)" in capsys.readouterr().out
    figures = tmp_path / "out" / "figures"
    kinds = {ending: {file.stem for file in figures.glob(f"*.{ending}")} for ending in ("svg", "png", "pdf", "csv")}
    assert {"frontier-10-forget-10", "plot-10-1-forget-set"} <= kinds["svg"]
    assert all(names == kinds["svg"] for names in kinds.values())
    drawn = ElementTree.parse(figures / "frontier-10-forget-10.svg").getroot()
    assert "manu paper 2 %" in list(drawn.itertext())
    with Image.open(figures / "frontier-10-forget-10.png") as picture:
        assert picture.width > 2000
    lines = list(csv.DictReader((figures / "plot-10-1-forget-set.csv").open(encoding="utf-8")))
    assert {line["metric"] for line in lines} >= {"Classification", "ROUGE-L", "Cloze"}


def test_results_are_shared_as_records_of_every_eval_ever(report: Report) -> None:
    found = every_eval_ever.records(report)
    assert list(found) == ["vanilla", "manu paper 2 %", "manu ratio 10 %"]
    paper = found["manu paper 2 %"]
    # The fields that version 0.3 of the schema requires.
    required = {"schema_version", "evaluation_id", "retrieved_timestamp", "source_metadata", "model_info"}
    assert paper.keys() >= required | {"eval_library", "evaluation_results"}
    assert paper["model_info"].keys() >= {"name", "id", "additional_details"}
    assert paper["model_info"]["additional_details"].keys() >= {"deployment_type", "model_availability"}
    assert all(isinstance(told, str) for told in paper["model_info"]["additional_details"].values())
    (cloze,) = [
        entry for entry in paper["evaluation_results"] if entry["evaluation_name"] == "mllmu_forget_10_cloze_text"
    ]
    cell = report.sections[0].rows[1].cell("forget.cloze", "text")
    assert cell.interval is not None
    assert cloze["score_details"]["score"] == cell.value
    interval = cloze["score_details"]["uncertainty"]["confidence_interval"]
    assert (interval["lower"], interval["upper"]) == cell.interval
    assert cloze["metric_config"]["lower_is_better"]
    assert cloze["metric_config"].keys() >= {"score_type", "min_score", "max_score"}
    assert cloze["source_data"].keys() >= {"dataset_name", "source_type"}


def test_a_latex_table_fits_a_column_and_its_caption_stands_alone(report: Report) -> None:
    tables = latex.render(report).split("\n\n")
    main = next(table for table in tables if "percent of the way" in table)
    assert main.startswith(r"\begin{table}[t]")
    assert r"\resizebox{\columnwidth}" in main
    for words in ("Changes are against vanilla", r"brackets hold 95 \% intervals", "Best bold"):
        assert words in main
    assert any(table.startswith(r"\begin{table*}[t]") for table in tables)


def test_a_notebook_gets_the_verdict_data_frames_and_figures(report: Report) -> None:
    found = NotebookReport(report)
    assert found.verdict()[0].startswith("Forget 10 %: ")
    numbers = found.numbers()
    paper = numbers.query("run == 'manu paper 2 %' and split == 'forget' and metric == 'cloze' and modality == 'text'")
    assert paper["value"].item() == pytest.approx(
        report.sections[0].rows[1].cell("forget.cloze", "text").value, rel=1e-4
    )
    shown = found.tables()["Forget 10 %, forget set, mean of both modalities"]
    assert shown.loc["manu paper 2 %", "Cloze"] == report.sections[0].rows[1].cell("forget.cloze").value
    assert "Forget 10 %: what was forgotten, and what it cost" in found.figures()
    assert "| method |" in found._repr_markdown_()


@pytest.mark.parametrize("content", ["{}", "[]", "mine", '{"schema": "lmms-manu/leaderboard"}'])
def test_only_a_report_is_written_over(
    written: Path, tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.json").write_text(content, encoding="utf-8")
    assert cli.main(["report", str(written / "paper"), "--out", str(tmp_path)]) == 2
    assert "holds a report.json that is no report of lmms-manu" in capsys.readouterr().err
    assert (tmp_path / "report.json").read_text(encoding="utf-8") == content


def test_a_dataset_that_nobody_named_and_that_lacks_a_part_costs_the_thumbnails_only(
    results: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = tmp_path / "MLLMU-Bench"
    shutil.copytree(dataset, partial, ignore=shutil.ignore_patterns("Test_Set"))
    file = next((results / "paper").glob("**/*_results.json"))
    file.write_text(file.read_text(encoding="utf-8").replace(str(dataset), str(partial)), encoding="utf-8")
    command = ["report", str(results / "paper"), "--resamples", "10", "--out"]
    assert cli.main([*command, str(tmp_path / "out")]) == 0
    assert "the page has no thumbnails" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.html").exists()
    assert cli.main([*command, str(tmp_path / "named"), "--dataset", str(partial)]) == 2
    assert not (tmp_path / "named").exists()


def test_mistakes_on_the_command_line_are_told(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report"]) == 2
    assert cli.main(["report", str(written), "--reference", "papers"]) == 2
    assert cli.main(["report", str(written), "--baseline", "vanile"]) == 2
    assert cli.main(["report", str(written), "--merge", "x.json"]) == 2
    assert "Did you mean 'vanilla'" in capsys.readouterr().err
