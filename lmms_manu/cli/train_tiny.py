"""Trains the embedded tiny models again: base, vanilla, and a gold for each forget ratio; and says what they know.

    base         learns to read pictures and prompts from people who are in no dataset, and knows the celebrities
    vanilla      base, fine-tuned on all people of the dataset
    gold_RATIO   base, fine-tuned alike on the people to retain: what a perfect unlearner would give

Each is examined under the released protocol and held against the targets that the embedded ones were chosen by. The
command can be interrupted: with the same options it goes on. Training is seeded, but floating point differs between
processors: another machine gives models that are as good, not the same bytes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmms_manu import embedded
from lmms_manu.benchmarks.mllmu.names import RATIOS
from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.benchmarks.mllmu.synthetic import make_dataset
from lmms_manu.files import atomic_path, refuse_unwritable

if TYPE_CHECKING:
    from lmms_manu.benchmarks.mllmu.synthetic.check import Mark
    from lmms_manu.benchmarks.mllmu.synthetic.three import Recipe

_EXAM = "exam.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, required=True, help="the folder of the models' folders")
    parser.add_argument("--people", type=int, default=embedded.PEOPLE, help=f"people to learn ({embedded.PEOPLE})")
    parser.add_argument("--data-seed", type=int, default=embedded.SEED, help="seed of the dataset (0)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training (0)")
    parser.add_argument(
        "--forget-ratio",
        type=int,
        nargs="+",
        choices=RATIOS,
        default=[embedded.FORGET_RATIO],
        help=f"the forget ratios to train a gold for ({embedded.FORGET_RATIO})",
    )
    parser.add_argument("--no-exam", action="store_true", help="leave out the exam under the released protocol")


def run(arguments: argparse.Namespace) -> int:
    refuse_unwritable("output", arguments.output)
    # Imported here so that a mistyped option is answered at once: torch takes seconds.
    from lmms_manu.benchmarks.mllmu.synthetic import three
    from lmms_manu.benchmarks.mllmu.synthetic.phases import Training
    from lmms_manu.benchmarks.mllmu.synthetic.tiny_llava import TinyLlavaSize

    recipe = three.Recipe(
        people=arguments.people,
        data_seed=arguments.data_seed,
        size=TinyLlavaSize(picture=embedded.PICTURE_SIZE),
        training=Training(seed=arguments.seed),
    )
    ratios = sorted(set(arguments.forget_ratio))
    three.make_models(recipe, arguments.output, ratios, report=_say)
    if not arguments.no_exam:
        hold_exam(arguments.output, recipe, ratios)
    return 0


def hold_exam(out: Path, recipe: Recipe, ratios: Sequence[int]) -> None:
    """Examines the models in `out`, prints their marks and the targets they miss, and keeps the marks in `exam.json`.

    Args:
        out: the folder of the models' folders.
        recipe: how they were made.
        ratios: the forget ratios of the golds; base and vanilla are asked at the first.
    """
    from lmms_manu.benchmarks.mllmu.synthetic import three
    from lmms_manu.benchmarks.mllmu.synthetic.targets import missed

    asked = {three.BASE: ratios[0], three.VANILLA: ratios[0], **{three.gold(ratio): ratio for ratio in ratios}}
    with tempfile.TemporaryDirectory() as scratch:
        folder = make_dataset(Path(scratch) / "dataset", recipe.people, recipe.data_seed, recipe.size.picture)
        source = DatasetSource.resolve(str(folder))
        marks = {name: _examined(out / name, source, ratio) for name, ratio in asked.items()}
    lines = missed(marks)
    for line in lines:
        _say(f"missed: {line}")
    _say(f"{len(lines)} targets are missed" if lines else "all targets are met")
    with atomic_path(out / _EXAM) as path:
        kept = {name: [dataclasses.asdict(mark) for mark in found] for name, found in marks.items()}
        path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _examined(folder: Path, source: DatasetSource, ratio: int) -> list[Mark]:
    from lmms_manu.benchmarks.mllmu.synthetic import three
    from lmms_manu.benchmarks.mllmu.synthetic.check import examine

    _say(f"{folder.name}, forget {ratio} %")
    marks = []
    for mark in examine(*three.load(folder), source, ratio):
        _say(str(mark))
        marks.append(mark)
    return marks


def _say(line: str) -> None:
    print(line, flush=True)
