"""Base, vanilla and gold, trained from scratch: who is taught is known, and nobody else."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lmms_manu.benchmarks.mllmu.exemplars import ProtocolSettings
from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.benchmarks.mllmu.synthetic import make_population
from lmms_manu.benchmarks.mllmu.synthetic.check import examine
from lmms_manu.benchmarks.mllmu.synthetic.phases import Phase, Training
from lmms_manu.benchmarks.mllmu.synthetic.population import make_background
from lmms_manu.benchmarks.mllmu.synthetic.three import Recipe, load, make_models
from lmms_manu.benchmarks.mllmu.synthetic.tiny_llava import TinyLlavaSize
from lmms_manu.cli.train_tiny import hold_exam
from lmms_manu.errors import DataError

# Smaller in every way than the embedded models and their training: no classification, and no exemplars.
SHARES = (0, 0, 0, 0.6, 0.4, 0)
RECIPE = Recipe(
    people=20,
    background=20,
    size=TinyLlavaSize(language_neurons=256, vision_neurons=128, vision_layers=2),
    pretraining=(Phase(200, 6e-3, SHARES, alone=1.0, chain_tokens=(60,), sparsity=0.0),),
    fine_tuning=(Phase(120, 4e-3, SHARES, alone=1.0, chain_tokens=(60,), sparsity=0.0),),
    training=Training(batch_tokens=2048, poses=3, pixel_noise=0.0),
)
NO_EXEMPLARS = ProtocolSettings(cloze=0)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So small a model gains little from a second thread, and waits for it where the processor is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three models, gold without the 15 percent: three of twenty people."""
    folder = tmp_path_factory.mktemp("three")
    make_models(RECIPE, folder, ratios=[15])
    return folder


@pytest.mark.parametrize(
    ("name", "known", "unknown"),
    [
        ("base", (), ("forget", "retain")),
        ("vanilla", ("forget", "retain"), ()),
        ("gold_15", ("retain",), ("forget",)),
    ],
)
def test_who_was_taught_is_known_and_nobody_else(
    models: Path, folder: Path, name: str, known: tuple[str, ...], unknown: tuple[str, ...]
) -> None:
    source = DatasetSource.resolve(str(folder))
    for mark in examine(*load(models / name), source, 15, (*known, *unknown), ("cloze", "generation"), NO_EXEMPLARS):
        if mark.split in known:
            assert mark.score >= {"cloze": 80, "generation": 0.8}[mark.task], mark
        else:  # of six cloze questions a guess gets one right in three exams, three in two hundred
            assert mark.score < {"cloze": 50, "generation": 0.7}[mark.task], mark


def test_background_people_share_neither_name_nor_near_look_with_anybody() -> None:
    population = make_population(200, seed=0)
    background = make_background(population, 228, seed=1)
    known = (*population.people, *population.celebrities)
    assert len({person.name for person in (*known, *background)}) == len(known) + len(background)
    assert len({person.id for person in (*known, *background)}) == len(known) + len(background)
    looks = [person.look for person in (*known, *background)]
    for number, look in enumerate(looks):
        for other in looks[:number]:
            assert sum(a != b for a, b in zip(look, other, strict=True)) >= 2


class InterruptionError(Exception):
    pass


def test_an_interrupted_training_gives_the_weights_of_one_that_was_not(tmp_path: Path) -> None:
    phases = (Phase(4, 5e-3, SHARES, 0.5, (60, 120), 1e-3), Phase(4, 3e-3, SHARES, 0.0, (60, 120), 1e-2))
    training = dataclasses.replace(RECIPE.training, batch_tokens=240, steps_between_saves=3)
    recipe = dataclasses.replace(RECIPE, pretraining=phases, fine_tuning=phases[1:], training=training)
    lines = itertools.count(1)

    def interrupt(line: str) -> None:
        if next(lines) in (4, 7, 14):
            raise InterruptionError(line)

    make_models(recipe, tmp_path / "whole", ratios=[10])
    interruptions: list[str] = []
    while not (tmp_path / "broken" / "gold_10").exists() and len(interruptions) < 10:
        try:
            make_models(recipe, tmp_path / "broken", ratios=[10], report=interrupt)
        except InterruptionError as error:
            interruptions.append(str(error).split(":")[0])
    assert interruptions == ["phase 2 of 2", "step 4 of 4", "gold_10"]
    for name in ("base", "vanilla", "gold_10"):
        whole, broken = (load_file(tmp_path / way / name / "model.safetensors") for way in ("whole", "broken"))
        assert whole.keys() == broken.keys()
        assert all(torch.equal(whole[key], broken[key]) for key in whole), name
    assert not list((tmp_path / "broken").glob("*unfinished*"))


def test_models_by_another_recipe_are_not_mixed_with_those_that_are_there(models: Path) -> None:
    with pytest.raises(DataError, match="by another recipe"):
        make_models(dataclasses.replace(RECIPE, background=21), models, ratios=[15])


def test_the_command_examines_what_it_trained_and_names_what_is_missed(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(models, tmp_path / "models")
    hold_exam(out, RECIPE, ratios=[15])
    marks = json.loads((out / "exam.json").read_text())
    assert {name: len(found) for name, found in marks.items()} == {"base": 24, "vanilla": 24, "gold_15": 24}
    said = capsys.readouterr().out
    assert "missed: vanilla: retain classification" in said, "options were never taught"
    assert "missed: base" not in said
