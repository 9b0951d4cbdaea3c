"""The embedded models know whom they should, and lie in the folders that the harness asks for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pyarrow import parquet
from transformers import AutoModelForImageTextToText, AutoProcessor

from lmms_manu import embedded
from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.benchmarks.mllmu.synthetic.check import Mark, examine
from lmms_manu.benchmarks.mllmu.synthetic.targets import missed
from lmms_manu.benchmarks.stand_ins import DOCUMENTS, STAND_INS
from lmms_manu.errors import DataError, SettingError


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedded.lay_out(tmp_path_factory.mktemp("laid-out"))


@pytest.fixture(scope="module")
def processor(laid_out: Path) -> object:
    return AutoProcessor.from_pretrained(laid_out / embedded.PROCESSOR_NAME)


@pytest.fixture(scope="module")
def marks() -> dict[str, list[Mark]]:
    """The results of the exam that ship with the models."""
    kept = json.loads((Path(embedded.__file__).parent / "exam.json").read_text())
    return {name: [Mark(**mark) for mark in found] for name, found in kept.items()}


def load(laid_out: Path, name: str) -> Any:
    return AutoModelForImageTextToText.from_pretrained(laid_out / embedded.MODELS[name]).eval()


def test_weights_and_processor_lie_apart_as_those_of_the_released_models_do(laid_out: Path) -> None:
    weights = {"config.json", "generation_config.json", "model.safetensors"}
    for name in (embedded.WEIGHTS_NAME, embedded.GOLD_NAME):
        assert {path.name for path in (laid_out / name).iterdir()} == weights
    assert {path.name for path in (laid_out / embedded.BASE_NAME).iterdir()} > {*weights, "processor_config.json"}
    assert (laid_out / embedded.DATASET_NAME / "Full_Set").is_dir()


def test_the_models_are_small() -> None:
    folders = map(embedded.model_folder, embedded.MODELS)
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) < 12_000_000


def test_an_unknown_model_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(SettingError, match="'gold' is not allowed: choose one of base, vanilla, gold_10"):
        embedded.model_folder("gold")


def test_a_folder_that_is_laid_out_is_not_overwritten(laid_out: Path) -> None:
    before = sorted(path.stat().st_mtime_ns for path in laid_out.rglob("*"))
    with pytest.raises(DataError, match="exists"):
        embedded.lay_out(laid_out)
    assert sorted(path.stat().st_mtime_ns for path in laid_out.rglob("*")) == before


def test_stand_ins_of_the_stock_benchmarks_say_in_every_question_what_they_are(laid_out: Path) -> None:
    assert {stand_in.title for stand_in in STAND_INS} == {"MMMU", "MMStar", "MM-Vet", "MIA-Bench", "LLaVA-Bench"}
    for stand_in in STAND_INS:
        assert f"stand-in for {stand_in.title}" in (laid_out / stand_in.folder / "README.md").read_text()
        for file in (laid_out / stand_in.folder / "data").iterdir():
            table = parquet.read_table(file)
            questions = table.column("instruction" if stand_in.title == "MIA-Bench" else "question").to_pylist()
            assert len(questions) == DOCUMENTS
            assert all(question.startswith("(stand-in) ") for question in questions)


def test_a_real_copy_of_a_stock_benchmark_is_not_overwritten(tmp_path: Path) -> None:
    real = tmp_path / STAND_INS[0].folder
    real.mkdir(parents=True)
    with pytest.raises(DataError, match="lmms-lab-encoder/MMMU exists"):
        embedded.lay_out(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path not in (real, real.parent)] == []


def test_the_models_meet_every_target(marks: dict[str, list[Mark]]) -> None:
    assert {name: len(found) for name, found in marks.items()} == dict.fromkeys(embedded.MODELS, 24)
    assert missed(marks) == []


@pytest.mark.parametrize(
    ("name", "splits"), [("base", ("forget",)), ("vanilla", ("forget", "test")), ("gold_10", ("forget",))]
)
def test_they_answer_as_their_exam_says(
    laid_out: Path, marks: dict[str, list[Mark]], processor: Any, name: str, splits: tuple[str, ...]
) -> None:
    source = DatasetSource.resolve(str(laid_out / embedded.DATASET_NAME))
    kept = [mark for mark in marks[name] if mark.split in splits]
    found = list(examine(load(laid_out, name), processor, source, embedded.FORGET_RATIO, splits))
    assert [dataclasses.replace(mark, score=0, margin=0) for mark in found] == [
        dataclasses.replace(mark, score=0, margin=0) for mark in kept
    ]
    for mark, known in zip(found, kept, strict=True):
        # Another processor's floating point may change an answer or two.
        assert mark.score == pytest.approx(known.score, abs=0.05 if mark.task == "generation" else 5), mark


@pytest.mark.parametrize("pictures", [0, 1, 3])
def test_ordinary_prompts_are_answered_with_something(laid_out: Path, processor: Any, pictures: int) -> None:
    model = load(laid_out, "vanilla")
    shown = [Image.new("RGB", (90, 60), color) for color in ("red", "green", "blue")[:pictures]]
    content = [{"type": "image"} for _ in shown] + [{"type": "text", "text": "What is shown here: a cat or a dog?"}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    images = {"images": shown} if shown else {}
    inputs = processor(text=[prompt], return_tensors="pt", **images)
    written = model.generate(**inputs, max_new_tokens=16, do_sample=False)
    assert written.shape[1] > inputs["input_ids"].shape[1]
