"""The functions that the task files of MLLMU-Bench name; all of them hand on to `lmms_manu.benchmarks.mllmu`.

The harness resolves `!function utils.NAME` by executing this file and taking the attribute NAME, after it has built
the model and before it loads a dataset. Some names are made on demand, and not all of them are functions:

- `run_of_LEAF` is the record of what this process will ask and of whom, for the results file. It is made first:
  whatever is wrong with the dataset or a setting is said here, in one sentence, because in the places below the
  harness tries five times and hides it.
- `DATASET_PATH` and `files_of_CONFIG` are what the harness passes to `datasets.load_dataset`.
- `questions_of_LEAF` gives the documents of a leaf in the place of the rows that were so loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import Dataset

from lmms_manu.benchmarks import aggregations
from lmms_manu.benchmarks.mllmu import (
    Conversation,
    DatasetSource,
    Pictures,
    ProtocolSettings,
    likelihoods,
    prompt_building,
    results,
)
from lmms_manu.benchmarks.mllmu.family import announced_family
from lmms_manu.benchmarks.mllmu.judge_settings import JudgeSettings
from lmms_manu.benchmarks.mllmu.questions import LEAVES, LeafQuestions, load_questions
from lmms_manu.methods.evaluated import evaluated
from lmms_manu.plugins.options import run_description

count = aggregations.count
count_not_judged = results.count_not_judged
mean_of_judged = results.mean_of_judged
mean_score = aggregations.mean_score
mean_of_modalities = aggregations.mean_of_modalities
skipped = aggregations.skipped
total = aggregations.total


def __getattr__(name: str) -> Any:
    if name == "DATASET_PATH":
        return DatasetSource.resolve().loader
    if name.startswith("files_of_"):
        return DatasetSource.resolve().loader_arguments(name.removeprefix("files_of_"))
    if name.startswith("questions_of_"):
        return _questions_of(name.removeprefix("questions_of_"))
    if name.startswith("run_of_"):
        return _run_of(name.removeprefix("run_of_"))
    raise AttributeError(f"utils has no {name!r}")


def doc_to_text(doc: Mapping[str, Any]) -> str:
    """The released prompt to the byte, exemplars included; `<image>` stands for a picture."""
    return prompt_building.released_text(doc)


def doc_to_visual(doc: Mapping[str, Any]) -> Pictures:
    """The pictures of the prompt in order, the exemplars' first."""
    return prompt_building.pictures(doc)


def doc_to_messages(doc: Mapping[str, Any]) -> Conversation:
    """The question as chat messages, the exemplars as turns."""
    return prompt_building.conversation(doc)


def doc_to_target(doc: Mapping[str, Any]) -> str:
    """The correct letter, or the text that is right."""
    return str(doc["answer"])


def process_results(doc: Mapping[str, Any], responses: Sequence[str]) -> dict[str, Any]:
    """The scores of an answer and what a reader of the samples file needs to check them."""
    edit = evaluated()
    return results.score_answer(doc, responses[0], edit=edit.fingerprint if edit else None)


likelihood_text = likelihoods.text
likelihood_pictures = likelihoods.pictures
likelihood_messages = likelihoods.conversation


def likelihood_target(doc: Mapping[str, Any]) -> str:
    """The text that is right."""
    return likelihoods.answers(doc)[0]


def likelihood_results(doc: Mapping[str, Any], responses: Sequence[str]) -> dict[str, Any]:
    """What the likelihoods of the answers say of a model's knowledge."""
    edit = evaluated()
    return likelihoods.score(doc, responses[0], edit=edit.fingerprint if edit else None)


def _load(leaf: str) -> LeafQuestions:
    source, settings = DatasetSource.resolve(), ProtocolSettings.from_environment(announced_family())
    if leaf in likelihoods.LEAVES_OF_LIKELIHOODS:
        return likelihoods.load_likelihoods(likelihoods.LEAVES_OF_LIKELIHOODS[leaf], source, settings)
    return load_questions(LEAVES[leaf], source, settings)


def _questions_of(leaf: str) -> Callable[[Dataset], Dataset]:
    def questions(rows: Dataset) -> Dataset:
        return _load(leaf).documents

    return questions


def _run_of(leaf: str) -> dict[str, Any]:
    """What the results file says of a leaf's run, under `configs`, `metadata`, `run`."""
    questions = _load(leaf)
    judge = JudgeSettings.announced() if questions.leaf.task == "generation" else None
    return run_description(
        questions.source.path,
        seed=questions.settings.seed,
        family=questions.settings.family,
        exemplar_people=questions.settings.exemplars,
        exemplars=list(questions.exemplars),
        judge=judge.model if judge else None,
    )
