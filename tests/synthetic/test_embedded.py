"""The embedded model knows the embedded people, and lies in the folders that the harness asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from lmms_manu import embedded
from lmms_manu.errors import DataError
from lmms_manu.mllmu.source import DatasetSource
from lmms_manu.synthetic.exam import examine


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedded.lay_out(tmp_path_factory.mktemp("laid-out"))


@pytest.fixture(scope="module")
def model(laid_out: Path) -> torch.nn.Module:
    return AutoModelForImageTextToText.from_pretrained(laid_out / embedded.WEIGHTS_NAME).eval()


@pytest.fixture(scope="module")
def processor(laid_out: Path) -> object:
    return AutoProcessor.from_pretrained(laid_out / embedded.PROCESSOR_NAME)


def test_weights_and_processor_lie_apart_as_those_of_the_released_models_do(laid_out: Path) -> None:
    weights, processor = (laid_out / name for name in (embedded.WEIGHTS_NAME, embedded.PROCESSOR_NAME))
    assert {path.name for path in weights.iterdir()} == {"config.json", "generation_config.json", "model.safetensors"}
    assert not (processor / "model.safetensors").exists()
    assert (processor / "config.json").exists()
    assert (laid_out / embedded.DATASET_NAME / "Full_Set").is_dir()


def test_the_checkpoint_is_small() -> None:
    assert sum(path.stat().st_size for path in embedded.model_folder().iterdir()) < 5_000_000


def test_a_folder_that_is_laid_out_is_not_overwritten(laid_out: Path) -> None:
    before = sorted(path.stat().st_mtime_ns for path in laid_out.rglob("*"))
    with pytest.raises(DataError, match="exists"):
        embedded.lay_out(laid_out)
    assert sorted(path.stat().st_mtime_ns for path in laid_out.rglob("*")) == before


def test_it_knows_its_people_under_the_released_protocol(laid_out: Path, model: Any, processor: Any) -> None:
    source = DatasetSource.resolve(str(laid_out / embedded.DATASET_NAME))
    for mark in examine(model, processor, source, ratio=10, splits=("forget", "celebrity")):
        least = 0.95 if mark.task == "generation" else 90
        assert mark.score >= least, mark


def test_other_pictures_and_phrasings_are_answered_far_better_than_by_chance(
    laid_out: Path, model: Any, processor: Any
) -> None:
    source = DatasetSource.resolve(str(laid_out / embedded.DATASET_NAME))
    for mark in examine(model, processor, source, ratio=10, splits=("test",)):
        least = {"classification": 65, "cloze": 50, "generation": 0.8}[mark.task]
        assert mark.score >= least, mark


@pytest.mark.parametrize("pictures", [0, 1, 3])
def test_ordinary_prompts_are_answered_with_something(model: Any, processor: Any, pictures: int) -> None:
    shown = [Image.new("RGB", (90, 60), color) for color in ("red", "green", "blue")[:pictures]]
    content = [{"type": "image"} for _ in shown] + [{"type": "text", "text": "What is shown here: a cat or a dog?"}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    images = {"images": shown} if shown else {}
    inputs = processor(text=[prompt], return_tensors="pt", **images)
    written = model.generate(**inputs, max_new_tokens=16, do_sample=False)
    assert written.shape[1] > inputs["input_ids"].shape[1]
