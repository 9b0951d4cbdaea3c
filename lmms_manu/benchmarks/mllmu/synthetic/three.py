"""The three models of an unlearning experiment, made as the real ones are: base, vanilla, gold.

base      a new model, trained on background people and the celebrities: it reads pictures and prompts, and has
          never met the people of the dataset
vanilla   base, fine-tuned on all people of the dataset, the celebrities rehearsed
gold      base, fine-tuned alike on the people to retain alone: what a perfect unlearner would make of vanilla
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from transformers import LlavaForConditionalGeneration, LlavaProcessor

from lmms_manu.benchmarks.mllmu.synthetic.curriculum import Curriculum
from lmms_manu.benchmarks.mllmu.synthetic.new_people import BACKGROUND
from lmms_manu.benchmarks.mllmu.synthetic.phases import Phase, Training
from lmms_manu.benchmarks.mllmu.synthetic.population import Person, Population, make_background, make_population
from lmms_manu.benchmarks.mllmu.synthetic.random_stream import RandomStream
from lmms_manu.benchmarks.mllmu.synthetic.tiny_llava import END_TOKEN, TinyLlavaSize, build_model, build_processor
from lmms_manu.benchmarks.mllmu.synthetic.training import train
from lmms_manu.errors import DataError

BASE, VANILLA = "base", "vanilla"

_MIXED = (0.22, 0.18, 0.14, 0.12, 0.18, 0.16)
_CLASSIFYING = (0.40, 0.25, 0.11, 0.08, 0.08, 0.08)
_BALANCED = (0.34, 0.20, 0.12, 0.10, 0.14, 0.10)

PRETRAINING = (
    Phase(2200, 5e-3, _MIXED, 0.45, (60, 120, 240, 400), 1e-3),
    Phase(900, 3e-3, _CLASSIFYING, 0.0, (60, 300, 420), 1e-2),
)
FINE_TUNING = (
    Phase(1200, 3e-3, _CLASSIFYING, 0.4, (60, 240, 420), 1e-2),
    Phase(600, 2.5e-3, _BALANCED, 0.0, (60, 300, 420), 1e-2, pictures=0.7),
)

_RECIPE = "recipe.json"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How the three models are made.

    Args:
        people: how many fictitious people the dataset has.
        background: how many people base learns from; nobody of them is in the dataset.
        data_seed: the seed of the dataset; the background people are drawn by the next one.
        size: the models' sizes.
        pretraining, fine_tuning: the phases of base, and of vanilla and gold.
        training: what all phases have in common; its seed also draws base's first weights.
    """

    people: int = 200
    background: int = BACKGROUND
    data_seed: int = 0
    size: TinyLlavaSize = dataclasses.field(default_factory=TinyLlavaSize)
    pretraining: tuple[Phase, ...] = PRETRAINING
    fine_tuning: tuple[Phase, ...] = FINE_TUNING
    training: Training = dataclasses.field(default_factory=Training)


def gold(ratio: int) -> str:
    """The name of the folder of the model that has never met the people to forget at `ratio` percent."""
    return f"gold_{ratio}"


def make_models(
    recipe: Recipe,
    out: str | os.PathLike[str],
    ratios: Sequence[int],
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Trains base, vanilla and a gold for each of `ratios`, into a folder each, with the processor in each.

    A folder that is there is kept, and a training that was interrupted goes on.

    Args:
        recipe: how they are made.
        out: the folder of the folders.
        ratios: the forget ratios to make a gold for.
        report: is given a line on the progress now and then.

    Raises:
        DataError: `out` holds models by another recipe.
    """
    root = Path(out)
    _keep_recipe(recipe, root)
    population = make_population(recipe.people, recipe.data_seed)
    background = make_background(population, recipe.background, recipe.data_seed + 1)
    if not (root / BASE).exists():
        report(BASE)
        first = (*background, *population.celebrities)
        _make(root / BASE, *_new(first, recipe), first, recipe.pretraining, recipe, report)
    for name, ratio in ((VANILLA, None), *((gold(ratio), ratio) for ratio in ratios)):
        if not (root / name).exists():
            report(name)
            known = (*_kept(population, ratio), *population.celebrities)
            _make(root / name, *load(root / BASE), known, recipe.fine_tuning, recipe, report)


def _kept(population: Population, ratio: int | None) -> tuple[Person, ...]:
    forgotten = population.forget[ratio] if ratio is not None else frozenset()
    return tuple(person for person in population.people if person.id not in forgotten)


def _new(people: Sequence[Person], recipe: Recipe) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    lessons = Curriculum(people, recipe.data_seed, END_TOKEN, RandomStream(recipe.training.seed, "lessons"))
    processor = build_processor(lessons.texts(), recipe.size)
    return build_model(processor, recipe.size, recipe.training.seed), processor


def load(folder: Path) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """A model that `make_models` made, in float32 and evaluation mode, and its processor."""
    return LlavaForConditionalGeneration.from_pretrained(folder), LlavaProcessor.from_pretrained(folder)


def _make(
    folder: Path,
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    people: Sequence[Person],
    phases: Sequence[Phase],
    recipe: Recipe,
    report: Callable[[str], None],
) -> None:
    state = folder.with_name(f"{folder.name}.unfinished.pt")
    train(model, processor, people, recipe.data_seed, phases, recipe.training, state, report)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    processor.save_pretrained(partial)
    partial.rename(folder)
    state.unlink(missing_ok=True)


def _keep_recipe(recipe: Recipe, root: Path) -> None:
    """Writes the recipe down, or compares it with the one that stands there."""
    path, text = root / _RECIPE, json.dumps(dataclasses.asdict(recipe), indent=2) + "\n"
    if not path.exists():
        root.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        raise DataError(f"{root} holds models by another recipe (see {path}): name another folder.")
