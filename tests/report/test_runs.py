"""Reading results folders: what belongs together, what each run is, and what is wrong with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.harness_results import evaluate

from lmms_manu.errors import DataError, SettingError
from lmms_manu.report.runs import Run, problems_of, read_runs

PAPER_MASK = "5eed" * 16


def change_results(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    file = next(folder.glob("**/*_results.json"))
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def samples_file(folder: Path, task: str) -> Path:
    return next(folder.glob(f"**/*_samples_{task}.jsonl"))


@pytest.mark.parametrize(
    ("zone", "told"),
    [("Asia/Singapore", "2026-01-01T04:00Z"), ("UTC", "2026-01-01T12:00Z"), ("No/Where", "20260101_120000")],
)
def test_the_time_of_an_evaluation_is_told_in_utc(results: Path, zone: str, told: str) -> None:
    change_results(results / "vanilla", lambda content: content["config"].update(resolved_cli_args={"timezone": zone}))
    (run,) = read_runs([str(results / "vanilla")])
    assert [file.evaluated for file in run.files] == [told]


def test_runs_are_recognised_by_what_they_recorded(runs: tuple[Run, ...]) -> None:
    vanilla, paper, ratio = runs
    assert [run.name for run in runs] == ["vanilla", "manu paper 2 %", "manu ratio 10 %"]
    assert vanilla.identity.is_vanilla
    assert vanilla.fingerprint is None
    assert (paper.identity.label, paper.identity.forget_ratio) == ("manu paper 2 %", 10)
    assert paper.fingerprint == PAPER_MASK
    assert paper.edit.counts == {"language": (3, 40), "vision": (2, 20)}
    assert ratio.identity.settings == ()


def test_a_folder_of_many_runs_is_told_apart(written: Path) -> None:
    assert {run.name for run in read_runs([str(written)])} == {"vanilla", "manu paper 2 %", "manu ratio 10 %"}


def test_users_name_runs(written: Path) -> None:
    named = read_runs([f"before={written / 'vanilla'}", f"after={written / 'paper'}"])
    assert [run.name for run in named] == ["before", "after"]


def test_a_run_may_be_spread_over_folders(results: Path) -> None:
    whole = read_runs([str(results / "vanilla")])[0]
    shutil.copytree(results / "vanilla", results / "rest")
    is_forget = "mllmu_forget_10".__contains__

    def keep(wanted: bool) -> Callable[[dict[str, Any]], None]:
        def change(content: dict[str, Any]) -> None:
            content["configs"] = {
                name: config
                for name, config in content["configs"].items()
                if is_forget(name[: len("mllmu_forget_10")]) == wanted
            }

        return change

    change_results(results / "vanilla", keep(True))
    change_results(results / "rest", keep(False))
    (run,) = read_runs([f"vanilla={results / 'vanilla'}", f"vanilla={results / 'rest'}"])
    assert set(run.tasks) == set(whole.tasks)
    (unnamed,) = read_runs([str(results / "vanilla"), str(results / "rest")])
    assert set(unnamed.tasks) == set(whole.tasks)


def test_the_same_folder_given_twice_counts_once(written: Path) -> None:
    assert len(read_runs([str(written / "paper"), str(written / "paper")])) == 1


def test_one_name_for_two_models_is_refused(written: Path) -> None:
    with pytest.raises(DataError, match=r"x: its folders hold results of 2 different models .*paper 2 %.*ratio 10 %"):
        read_runs([f"x={written / 'paper'}", f"x={written / 'ratio'}"])


def test_runs_that_differ_in_a_setting_are_named_by_it(results: Path) -> None:
    shutil.copytree(results / "ratio", results / "other")
    change_results(results / "other", lambda content: content["config"].update(model_args="recipe=ratio,seed=3"))
    names = [run.name for run in read_runs([str(results / "ratio"), str(results / "other")])]
    assert names == ["manu ratio 10 %", "manu ratio 10 % (seed=3)"]


def test_a_folder_without_results_says_that_the_harness_hides_failures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \*_results\.json.*exits with 0"):
        read_runs([str(tmp_path)])
    with pytest.raises(DataError, match="no such folder"):
        read_runs([str(tmp_path / "nowhere")])


@pytest.mark.parametrize("content", ["", '{"results": {', "[1]", '{"other": 1}'])
def test_a_damaged_results_file_is_named(results: Path, content: str) -> None:
    file = next((results / "paper").glob("**/*_results.json"))
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=file.name):
        read_runs([str(results / "paper")])


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"configs": ["mmstar"]}, r"'configs' is \['mmstar'\], not a table"),
        ({"configs": {"mmstar": "x"}}, "'configs', 'mmstar' is 'x', not a table"),
        ({"config": "x"}, "'config' is 'x', not a table"),
        ({"n-samples": [1]}, r"'n-samples' is \[1\], not a table"),
        ({"n-samples": {"mmstar": {"original": "6"}}}, "original is '6', not a number of questions"),
        ({"results": {"mmstar": 1}}, "'results', 'mmstar' is 1, not a table"),
        ({"config": {"model": "manu_pruned", "model_args": "forget_ratio=nan"}}, "forget_ratio='nan'"),
        ({"config": {"model": "manu_pruned", "model_args": "prune_rate=much"}}, "prune_rate='much'"),
    ],
)
def test_a_results_file_of_another_shape_is_named(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    file = tmp_path / "20260101_120000_results.json"
    content = {"results": {"mmstar": {"average,none": 0.5}}, "configs": {"mmstar": {}}, "config": {}, **changed}
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=rf"{file.name}.*{told}"):
        read_runs([str(tmp_path)])


def test_a_task_that_was_evaluated_twice_is_refused_unless_allowed(results: Path) -> None:
    first = next((results / "paper").glob("**/*_results.json"))
    later = first.with_name(first.name.replace("20260101", "20260202"))
    content = json.loads(first.read_text(encoding="utf-8"))
    content["date"] = "20260202_120000"
    content["results"]["mllmu_forget_10_cloze_text"]["cloze_accuracy,none"] = 12.5
    later.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=r"evaluated twice .*20260101.*20260202(.|\n)*--allow duplicate"):
        read_runs([str(results / "paper")])
    (run,) = read_runs([str(results / "paper")], allow=["duplicate"])
    assert run.tasks["mllmu_forget_10_cloze_text"].values["cloze_accuracy"] == 12.5
    assert any(problem.kind == "duplicate" for problem in problems_of([run]))


def test_results_cut_short_by_a_limit_are_refused_unless_allowed(
    tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMMS_MANU_DATASET", str(dataset))
    evaluate(tmp_path, ["mllmu_retain_10_cloze_text"], lambda document: "x", model_args="prune_rate=0", limit=3)
    with pytest.raises(DataError, match=r"mllmu_retain_10_cloze_text has 3 of \d+ questions(.|\n)*--allow partial"):
        read_runs([str(tmp_path)])
    (run,) = read_runs([str(tmp_path)], allow=["partial"])
    assert run.tasks["mllmu_retain_10_cloze_text"].is_partial


@pytest.mark.parametrize(("cut", "told"), [(4, "1 more task was cut short"), (5, "2 more tasks were cut short")])
def test_tasks_beyond_those_that_are_named_are_counted(results: Path, cut: int, told: str) -> None:
    def shorten(content: dict[str, Any]) -> None:
        for count in list(content["n-samples"].values())[:cut]:
            count["original"] = count["effective"] + 1

    change_results(results / "paper", shorten)
    (run,) = read_runs([str(results / "paper")], allow=["partial"])
    (problem,) = (problem for problem in run.problems if problem.kind == "partial")
    assert problem.message.endswith(f", {told}.")


def test_different_versions_of_a_task_are_refused_unless_allowed(results: Path) -> None:
    change_results(results / "paper", lambda content: content["versions"].update(mllmu_retain_10_cloze_text=1.0))
    places = [str(results / "vanilla"), str(results / "paper")]
    with pytest.raises(DataError, match=r"mllmu_retain_10_cloze_text has different versions: 2\.0 in vanilla, 1\.0 in"):
        read_runs(places)
    assert len(read_runs(places, allow=["mixed-version"])) == 2
    with pytest.raises(DataError, match=r"leaves are of different task versions: 2\.0 in \w+, 1\.0 in \w+_cloze_text"):
        read_runs(places[1:])


def test_different_judges_are_refused(results: Path) -> None:
    def other_judge(content: dict[str, Any]) -> None:
        content["configs"]["mllmu_forget_10_generation_text"]["metadata"]["run"]["judge"] = "another"

    change_results(results / "paper", other_judge)
    with pytest.raises(DataError, match="factuality of mllmu_forget_10_generation_text was judged by different models"):
        read_runs([str(results / "vanilla"), str(results / "paper")])


def test_leaves_that_were_not_run_are_told(results: Path) -> None:
    change_results(results / "paper", lambda content: content["configs"].pop("mllmu_forget_10_cloze_text"))
    (run,) = read_runs([str(results / "paper")])
    told = "manu paper 2 %: mllmu_forget_10 was run without mllmu_forget_10_cloze_text."
    assert told in [problem.message for problem in run.problems]


def test_results_of_different_masks_are_not_one_run(results: Path) -> None:
    file = samples_file(results / "paper", "mllmu_retain_10_cloze_text")
    file.write_text(file.read_text(encoding="utf-8").replace(PAPER_MASK, "0" * 64), encoding="utf-8")
    with pytest.raises(DataError, match="different edits"):
        read_runs([str(results / "paper")])


def test_a_question_that_was_left_out_says_nothing_about_the_mask(results: Path) -> None:
    file = samples_file(results / "paper", "mllmu_retain_10_cloze_text")
    first, *rest = file.read_text(encoding="utf-8").splitlines(keepends=True)
    left_out = {key: value for key, value in json.loads(first).items() if key in ("doc_id", "target")}
    file.write_text("".join([json.dumps(left_out) + "\n", *rest]), encoding="utf-8")
    (run,) = read_runs([str(results / "paper")])
    assert run.fingerprint == PAPER_MASK


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"dataset": "/other"}, r"leaves were read from different datasets: .* in mllmu_\w+, /other in \w+_cloze_text"),
        ({"seed": 9}, r"leaves were made with different seeds: 0 in mllmu_\w+, 9 in mllmu_retain_10_cloze_text"),
        ({"exemplars": []}, r"the cloze of mllmu_retain_10 .* different exemplars: .* none in \w+_cloze_text"),
    ],
)
def test_leaves_of_one_run_that_were_asked_differently_are_refused_unless_allowed(
    results: Path, changed: dict[str, Any], told: str
) -> None:
    def change(content: dict[str, Any]) -> None:
        content["configs"]["mllmu_retain_10_cloze_text"]["metadata"]["run"].update(changed)

    change_results(results / "paper", change)
    with pytest.raises(DataError, match=told):
        read_runs([str(results / "paper")])
    assert read_runs([str(results / "paper")], allow=["mixed-version"])


def test_the_seed_of_a_leaf_that_draws_nothing_is_no_difference(results: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["configs"]["mllmu_retain_10_generation_text"]["metadata"]["run"]["seed"] = 9

    change_results(results / "paper", change)
    assert read_runs([str(results / "paper")])


def test_a_samples_file_that_was_cut_short_is_refused(results: Path) -> None:
    file = samples_file(results / "paper", "mllmu_retain_10_cloze_text")
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-2]), encoding="utf-8")
    (run,) = read_runs([str(results / "paper")])
    with pytest.raises(DataError, match=rf"holds {len(lines) - 2} of {len(lines)} questions: it was cut"):
        run.samples("mllmu_retain_10_cloze_text")
    file.write_text("".join(lines[:-1]) + lines[-1][:40], encoding="utf-8")
    with pytest.raises(DataError, match=rf"holds {len(lines) - 1} of {len(lines)} questions: it was cut"):
        run.samples("mllmu_retain_10_cloze_text")
    file.write_text("".join([*lines[:-1], lines[0]]), encoding="utf-8")
    with pytest.raises(DataError, match="stands in the file twice"):
        run.samples("mllmu_retain_10_cloze_text")
    file.write_bytes("".join(lines[:-1]).encode() + '{"doc_id": 1, "target": "é"}\n'.encode("latin-1"))
    with pytest.raises(DataError, match=f"line {len(lines)}: not a sample"):
        run.samples("mllmu_retain_10_cloze_text")


def test_what_may_be_allowed_is_a_closed_list(written: Path) -> None:
    with pytest.raises(SettingError, match="Did you mean 'duplicate'"):
        read_runs([str(written / "paper")], allow=["duplicates"])


def test_an_exported_checkpoint_is_known_by_its_record_whichever_model_loads_it(results: Path, tmp_path: Path) -> None:
    exported = tmp_path / "exported"
    exported.mkdir()
    record = {"method": "manu", "recipe": "ratio", "prune_rate": 5.0, "forget_ratio": 10, "mask": "ab" * 32}
    (exported / "edit.json").write_text(json.dumps(record), encoding="utf-8")
    for model, argument in (("manu_pruned", "prune_rate=0,pretrained"), ("vllm", "model")):

        def change(content: dict[str, Any], model: str = model, argument: str = argument) -> None:
            content["config"].update(model=model, model_args=f"{argument}={exported}")

        change_results(results / "vanilla", change)
        (run,) = read_runs([str(results / "vanilla")])
        assert run.name == "manu ratio 5 %"
        assert run.fingerprint == "ab" * 32


def test_stock_benchmarks_of_an_edited_model_belong_to_its_run(results: Path) -> None:
    shutil.copytree(results / "paper", results / "stock")

    def only(wanted: str) -> Callable[[dict[str, Any]], None]:
        def change(content: dict[str, Any]) -> None:
            content["config"]["model_args"] = "forget_ratio=10,recipe=random,prune_rate=2"
            for name in [name for name in content["configs"] if (name == "mmstar") != (wanted == "mmstar")]:
                del content["configs"][name]
            for name in set(content["configs"]) - {"mmstar"}:
                content["configs"][name]["metadata"]["run"]["edit"].update(
                    variant={"recipe": "random", "prune_rate": 2.0}, forgotten={}
                )

        return change

    change_results(results / "paper", only("mllmu"))
    change_results(results / "stock", only("mmstar"))
    (run,) = read_runs([str(results / "paper"), str(results / "stock")])
    assert run.name == "manu random 2 %"
    assert "mmstar" in run.tasks
    assert "mllmu_forget_10_cloze_text" in run.tasks


@pytest.mark.parametrize(
    ("model", "manifest", "method"),
    [("manu_pruned", "parts/run.json", "manu"), ("manu_pruned", "run.json", ""), ("qwen2_5_vl", "parts/run.json", "")],
)
def test_the_record_above_results_is_of_the_model_that_was_evaluated_there(
    tmp_path: Path, model: str, manifest: str, method: str
) -> None:
    file = tmp_path / "parts" / "mmstar" / "20260101_120000_results.json"
    file.parent.mkdir(parents=True)
    config = {"model": model, "model_args": "pretrained=somebody/model,prune_rate=5"}
    content = {"results": {"mmstar": {"average,none": 0.5}}, "configs": {"mmstar": {}}, "config": config}
    file.write_text(json.dumps(content), encoding="utf-8")
    record = {"method": "manu", "recipe": "ratio", "prune_rate": 5.0, "forget_ratio": 10, "mask": "ab" * 32}
    (tmp_path / "parts" / "edit.json").write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / manifest).write_text("{}", encoding="utf-8")
    (run,) = read_runs([str(tmp_path)])
    assert (run.edit.method if run.edit is not None else "") == method
