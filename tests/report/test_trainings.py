"""How the models were trained stands on the page: a small plot for each edit that was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lmms_manu.methods.record import EditRecord
from lmms_manu.report.comparison import compare
from lmms_manu.report.page.build import render
from lmms_manu.report.page.trainings import trainings_of
from lmms_manu.report.runs import Run, read_runs


def record(method: str, *, control: bool = False) -> EditRecord:
    curve = [{"step": step, "loss": -1.0, "learn_cross_entropy": 1.0 + step} for step in range(1, 121)]
    if method == "grad_diff":
        curve = [{**point, "retain_cross_entropy": 0.1} for point in curve]
    return EditRecord(
        method=method,
        checkpoint="MLLMMU/LLaVA_Vanilla",
        change="tensors",
        variant={"recipe": "paper", **({"control": "control"} if control else {})},
        forgotten={"benchmark": "mllmu", "forget_ratio": 10},
        details={"learnt": ["retain"] if method == "finetune" else ["forget"], "curve": curve},
    )


def runs_of(written: Path) -> list[Run]:
    vanilla, edited = read_runs([str(written / "vanilla"), str(written / "paper")])
    made = {
        "first": record("grad_diff"),
        "second": record("grad_diff"),
        "drawn": record("grad_diff", control=True),
        "npo": record("npo"),
        "taught": record("finetune"),
    }
    return [vanilla, *(dataclasses.replace(edited, name=name, edit=edit) for name, edit in made.items())]


def test_seeds_and_controls_of_an_edit_are_lines_of_one_plot_and_each_set_is_named(written: Path) -> None:
    plots = {plot.title: plot for plot in trainings_of(runs_of(written))}
    assert list(plots) == ["grad_diff paper", "npo paper", "finetune paper"]
    difference = plots["grad_diff paper"].records
    assert {(each["run"], each["control"]) for each in difference} == {
        ("first", "no"),
        ("second", "no"),
        ("drawn", "yes"),
    }
    assert {each["set"] for each in difference} == {"to forget", "to retain"}
    assert {each["set"] for each in plots["npo paper"].records} == {"to forget"}, "nothing was retained"
    assert {each["set"] for each in plots["finetune paper"].records} == {"to learn"}
    assert [each["step"] for each in plots["npo paper"].records] == [*range(5, 121, 5)]
    assert plots["npo paper"].records[0]["cross-entropy"] == 4, "the mean of the first five"


def test_the_page_shows_them(written: Path) -> None:
    trained = runs_of(written)[:2]
    page = render(compare(trained, resamples=20))
    assert "How the models were trained" in page
    assert '<div class="plot" id="training-1"' in page
    assert '"training-1":{"data":' in page
    assert "How the models were trained" not in render(compare(trained[:1], resamples=20))
