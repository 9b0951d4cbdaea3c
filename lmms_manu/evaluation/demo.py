"""The demonstration: the embedded model forgets one in ten of the embedded people, by several methods, in the harness.

Everything is real but small: the checkpoint, the dataset and their names lie in a scratch folder just as a user's local
copies would, and every number comes out of an lmms-eval results file.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lmms_manu import variables
from lmms_manu.benchmarks.mllmu.names import SPLITS, group_name, leaf_name
from lmms_manu.embedded import GOLD_NAME
from lmms_manu.evaluation.harness import Harness, HarnessRun
from lmms_manu.evaluation.progress import Progress
from lmms_manu.evaluation.side_by_side import environments, models_at_once, side_by_side
from lmms_manu.evidence import shares
from lmms_manu.models.settings import DEFAULT_CHECKPOINT, DEFAULT_PROCESSOR
from lmms_manu.names import MODALITIES

FORGET_RATIO = 10
RECIPES = ("paper", "released", "ratio")
PRUNE_RATES = (2, 10)
CONTROL_SEEDS = (0, 1, 2)

TRAINING = {"tuning": "full", "learning_rate": 1e-4, "epochs": 3}
"""Of the methods that train: about 200 steps over the samples to forget, settled before any result was looked at."""

MISDIRECTION = {
    "path_neurons": 100,
    "points": 8,
    "steered_layer": 1,
    "learning_rate": 1e-2,
    "retain_weight": 40,
}
"""Of the edit along paths: chosen on as many people drawn from those to retain, with those to forget left out."""

VANILLA, GOLD = "vanilla", "gold"

SCORES = {"classification": "classification_accuracy", "generation": "rouge_l", "cloze": "cloze_accuracy"}
"""The score of each task that the table shows."""

Scores = dict[tuple[str, str, str], float]
"""A value, in percent, for each (split, task, modality)."""


@dataclasses.dataclass(frozen=True)
class DemoModel:
    """One edited model, or one that is shown as it is.

    Args:
        method: what it is called in the table; the draws of a control are one method.
        arguments: of `manu_pruned`, by name, beside the people.
        draw: for a control: which draw of as many neurons of each layer as the recipe prunes.
    """

    method: str
    arguments: tuple[tuple[str, object], ...]
    draw: int | None = None

    @property
    def name(self) -> str:
        """The name of its folder."""
        words = self.method.removesuffix(" %").replace(" ", "-")
        return words if self.draw is None else f"{words}-seed{self.draw}"

    def model_args(self) -> dict[str, object]:
        """The arguments of `manu_pruned` that make this subject."""
        return {"forget_ratio": FORGET_RATIO, **dict(self.arguments)}


def subjects() -> tuple[DemoModel, ...]:
    """Vanilla and gold, methods that prompt or train, and every recipe of MANU followed by its random controls."""
    vanilla = DemoModel(VANILLA, (("method", "none"),))
    gold = DemoModel(GOLD, (("method", "none"), ("pretrained", GOLD_NAME), ("processor", DEFAULT_PROCESSOR)))
    others = [DemoModel("prompting", (("method", "prompting"),))]
    others += [DemoModel(name, (("method", name), *TRAINING.items())) for name in ("grad_diff", "npo", "mmunlearner")]
    others += [DemoModel(name, (("method", name),)) for name in ("kvw", "erase")]
    others.append(DemoModel("mip_editor", (("method", "mip_editor"), *MISDIRECTION.items())))
    pruned = []
    for rate, recipe in itertools.product(PRUNE_RATES, RECIPES):
        arguments = (("recipe", recipe), ("prune_rate", rate))
        pruned.append(DemoModel(f"{recipe} {rate} %", arguments))
        for seed in CONTROL_SEEDS:
            control = (("recipe", "random"), ("random_like", recipe), ("prune_rate", rate), ("seed", seed))
            pruned.append(DemoModel(f"random like {recipe} {rate} %", control, seed))
    return (vanilla, gold, *others, *pruned)


def run_demo(folder: Path, say: Callable[[str], None]) -> dict[DemoModel, Scores]:
    """Evaluates every subject in `folder`, where the model and the data lie under the names that the harness asks for.

    Models are evaluated side by side where there is room for it.

    Returns:
        The scores of each subject, read from the results files.

    Raises:
        HarnessError: an evaluation left no complete results.
    """
    every = subjects()
    variables = _variables(folder)
    progress = Progress(len(every), say, unit="models")
    size = models_at_once(len(every), (DEFAULT_CHECKPOINT,), folder)
    harnesses = [Harness(folder, {**variables, **own}) for own in environments(size)]

    def evaluated(subject: DemoModel, harness: Harness) -> Path:
        progress.begin(subject.name)
        started = time.monotonic()
        results = harness.run(_harness_run(subject, folder))
        progress.end(subject.name, f"{time.monotonic() - started:.0f} s")
        return results

    results = side_by_side(evaluated, every, harnesses)
    return {subject: read_scores(file) for subject, file in zip(every, results, strict=True)}


def read_scores(results: Path) -> Scores:
    """The scores in a results file of the harness, in percent."""
    leaves = json.loads(results.read_text(encoding="utf-8"))["results"]
    scores = {}
    for split, (task, metric), modality in itertools.product(SPLITS, SCORES.items(), MODALITIES):
        value = leaves[leaf_name(split, FORGET_RATIO, task, modality)][f"{metric},none"]
        scores[split, task, modality] = value * 100 if metric == "rouge_l" else value
    return scores


def drop(scores: Scores, vanilla: Scores, split: str, modality: str) -> float:
    """How far a split fell from the vanilla model, in points, averaged over the three scores."""
    return sum(vanilla[split, task, modality] - scores[split, task, modality] for task in SCORES) / len(SCORES)


def share_forgotten(scores: Scores, vanilla: Scores, gold: Scores, modality: str) -> float:
    """How far the forget set went from vanilla to gold, in percent, averaged over the three scores."""
    sides = ([values["forget", task, modality] for task in SCORES] for values in (scores, vanilla, gold))
    return float(np.mean(shares.share_forgotten(*map(np.asarray, sides))))


def _variables(folder: Path) -> dict[str, str]:
    """The variables of the harness's calls: none of the user's that choose people, exemplars or a judge to pay."""
    return {
        **dict.fromkeys(variables.HELP, ""),
        variables.JUDGE: "off",
        variables.CACHE: str(folder / "cache"),
    }


def _harness_run(subject: DemoModel, folder: Path) -> HarnessRun:
    tasks = tuple(group_name(split, FORGET_RATIO) for split in SPLITS)
    return HarnessRun(tasks, subject.model_args(), folder / "results" / subject.name)
