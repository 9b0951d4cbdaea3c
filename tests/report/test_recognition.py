"""From the real model through the real harness to the report."""

from __future__ import annotations

import pytest
from support.harness_results import evaluate

from lmms_manu.embedded import lay_out
from lmms_manu.report.comparison import compare
from lmms_manu.report.page.plots import plots_of
from lmms_manu.report.runs import Run, problems_of, read_runs

TASK = "mllmu_forget_10_cloze_text"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, ...]:
    """The embedded model as it is, and pruned by two recipes, each on one leaf."""
    root = tmp_path_factory.mktemp("real")
    arguments = (
        "prune_rate=0,batch_size=8",
        "forget_ratio=10,recipe=ratio,prune_rate=10",
        "prune_rate=2,forget_ratio=10",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(lay_out(root / "work"))
        patch.setenv("LMMS_MANU_CACHE", str(root / "cache"))
        patch.delenv("OPENAI_API_KEY", raising=False)
        patch.delenv("LMMS_MANU_DATASET", raising=False)
        for number, model_args in enumerate(arguments):
            evaluate(root / "results" / str(number), [TASK], None, model_args=model_args)
    return read_runs([str(root / "results")])


def test_runs_of_the_real_model_are_recognised(real: tuple[Run, ...]) -> None:
    assert [run.name for run in real] == ["vanilla", "manu ratio 10 %", "manu paper 2 %"]
    masks = [run.mask for run in real]
    assert masks[0] is None
    assert all(mask and len(mask) == 64 for mask in masks[1:])
    assert masks[1] != masks[2]
    assert real[1].identity.forget_ratio == 10


def test_the_samples_of_the_real_model_give_the_numbers_of_its_results(real: tuple[Run, ...]) -> None:
    section = compare(real, resamples=200).sections[0]
    for row in section.rows:
        assert row.run is not None
        cell = row.cell("forget.cloze", "text")
        assert cell.value == pytest.approx(row.run.tasks[TASK].values["cloze_accuracy"])
        assert cell.interval is not None
    assert section.rows[1].cell("forget.cloze", "text").change_interval is not None


def test_pruned_neurons_per_layer_are_drawn_from_the_record(real: tuple[Run, ...]) -> None:
    plots = {plot.title: plot for plot in plots_of(compare(real, resamples=10).sections[0])}
    language = plots["Neurons pruned in each layer, language tower"]
    layers = real[1].edit["details"]["layers"]["language"]
    mine = [record["pruned %"] for record in language.records if record["run"] == "manu ratio 10 %"]
    assert mine == [pytest.approx(100 * pruned / total) for pruned, total in layers]


def test_runs_with_the_same_versions_have_no_complaint_about_versions(real: tuple[Run, ...]) -> None:
    assert not [problem for problem in problems_of(real) if problem.kind in ("versions", "mixed-version")]
