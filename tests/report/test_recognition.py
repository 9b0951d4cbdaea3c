"""From the real model through the real harness to the report."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from support.harness_results import evaluate

from lmms_manu.cli import main as cli
from lmms_manu.embedded import lay_out, model_folder
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.probing.logit_lens import LogitLens
from lmms_manu.probing.residual import FILE, Residual
from lmms_manu.report.comparison import compare
from lmms_manu.report.page.plots import plots_of
from lmms_manu.report.residuals import residual_of
from lmms_manu.report.runs import Run, problems_of, read_runs

TASK = "mllmu_forget_10_cloze_text"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, ...]:
    """The embedded model as it is, and pruned by two recipes, each on one leaf."""
    root = tmp_path_factory.mktemp("real")
    arguments = (
        "prune_rate=0,batch_size=8",
        "forget_ratio=10,recipe=ratio,prune_rate=10,retain_samples=20",
        "prune_rate=2,forget_ratio=10,retain_samples=20",
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
    masks = [run.fingerprint for run in real]
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
    layers = real[1].edit.details["layers"]["language"]
    mine = [record["pruned %"] for record in language.records if record["run"] == "manu ratio 10 %"]
    assert mine == [pytest.approx(100 * pruned / total) for pruned, total in layers]


def test_activations_are_drawn_from_the_record_and_once_where_they_were_measured_once(real: tuple[Run, ...]) -> None:
    plots = {plot.title: plot for plot in plots_of(compare(real, resamples=10).sections[0])}
    told = real[1].edit.details["activations"]["language"]
    every = plots["Activations of the neurons, language tower"].records
    assert {record["run"] for record in every} == {"manu ratio 10 %"}
    counts = [record["neurons"] for record in every if (record["set"], record["modality"]) == ("forget", "text only")]
    assert counts == told["neurons"]["forget/text"]
    pruned = plots["Activations of the pruned neurons, language tower, text only"].records
    assert {record["run"] for record in pruned} == {"manu ratio 10 %", "manu paper 2 %"}
    mine = [record for record in pruned if (record["run"], record["set"]) == ("manu ratio 10 %", "retain")]
    assert [record["neurons"] for record in mine] == told["pruned"]["retain/text"]
    # No text ever reaches the vision tower.
    assert {record["modality"] for record in plots["Activations of the neurons, vision tower"].records} == {
        "with the picture"
    }
    assert "Activations of the pruned neurons, vision tower, text only" not in plots


def test_activations_that_no_record_tells_are_not_drawn(real: tuple[Run, ...]) -> None:
    edit = real[1].edit
    assert edit is not None
    details = {"layers": edit.details["layers"]}
    silent = dataclasses.replace(real[1], edit=dataclasses.replace(edit, details=details))
    titles = [plot.title for plot in plots_of(compare((real[0], silent), resamples=10).sections[0])]
    assert any(title.startswith("Neurons pruned in each layer") for title in titles)
    assert not any(title.startswith("Activations") for title in titles)


def test_runs_with_the_same_versions_have_no_complaint_about_versions(real: tuple[Run, ...]) -> None:
    assert not [problem for problem in problems_of(real) if problem.kind in ("versions", "mixed-version")]


def test_the_knowledge_residual_is_drawn_relative_to_the_baseline(
    real: tuple[Run, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = real[0].files[0].path.parents[2]
    monkeypatch.chdir(root / "work")
    monkeypatch.setenv("LMMS_MANU_CACHE", str(root / "cache"))
    monkeypatch.delenv("LMMS_MANU_DATASET", raising=False)
    people = ["--forget_ratio", "10", "--retain_samples", "20"]
    pruned = ["--recipe", "ratio", "--prune_rate", "10"]
    assert cli.main(["residual", "--prune_rate", "0", *people, "--out", str(real[0].files[0].path.parent / FILE)]) == 0
    assert cli.main(["residual", *pruned, *people, "--out", str(real[1].files[0].path.parent / FILE)]) == 0
    vanilla, edited = (residual_of(run, 10) for run in real[:2])
    assert vanilla is not None
    assert edited is not None
    assert edited.mask == real[1].fingerprint
    assert set(vanilla.layers) == {f"{part}/{mode}" for part in ("forget", "retain") for mode in ("multimodal", "text")}
    # The model knows the answers, and the last layer knows them best.
    assert all(layers[-1] > 0.9 and layers[-1] > layers[0] for layers in vanilla.layers.values())
    plots = {plot.title: plot for plot in plots_of(compare(real, resamples=10).sections[0])}
    records = plots["Knowledge residual by layer, forget set, text only"].records
    assert {record["run"] for record in records} == {"manu ratio 10 %"}
    first = edited.layers["forget/text"][0] / vanilla.layers["forget/text"][0]
    assert records[0]["percent"] == pytest.approx(100 * first)


@pytest.mark.parametrize("folder", ["vanilla", "paper"])
def test_a_residual_of_other_weights_is_not_the_runs(
    results: Path, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = read_runs([str(results / folder)])
    own = Residual("MLLMMU/LLaVA_Vanilla", run.fingerprint, 10, {"forget/text": (0.1,)}, {"forget/text": 1})
    own.save(results / folder / FILE)
    assert residual_of(run, 10) == own
    # A folder of that relative path stands for the model, however it is written.
    monkeypatch.chdir(tmp_path)
    checkpoint = tmp_path / "MLLMMU" / "LLaVA_Vanilla"
    checkpoint.mkdir(parents=True)
    dataclasses.replace(own, checkpoint=str(checkpoint)).save(results / folder / FILE)
    assert residual_of(run, 10) is not None
    dataclasses.replace(own, checkpoint="another/model").save(results / folder / FILE)
    assert residual_of(run, 10) is None


def test_the_residual_is_the_probability_of_the_answer_and_knows_no_padding() -> None:
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(model_folder()), device="cpu", dtype="float32"))
    encoder = PromptEncoder(checkpoint)
    examples = [
        RenderedExample(name, f"USER: {name}\nASSISTANT:", " a short answer.") for name in ("A", "A much longer one?")
    ]
    lens = LogitLens(checkpoint)
    together = lens.read(encoder, examples)
    for example, row in zip(examples, together, strict=True):
        torch.testing.assert_close(lens.read(encoder, [example])[0], row, rtol=1e-4, atol=1e-7)
        inputs = encoder.encode([example.text], [[]])
        answer = len(inputs["input_ids"][0]) - len(encoder.encode([example.question], [[]])["input_ids"][0])
        with torch.inference_mode():
            chances = checkpoint.model(**inputs).logits[0].softmax(-1)
        tokens = inputs["input_ids"][0]
        expected = [chances[place - 1, tokens[place]].item() for place in range(len(tokens) - answer, len(tokens))]
        assert row[-1].item() == pytest.approx(sum(expected) / answer, rel=1e-4)
