"""The functions that the task files of CLEAR name; all of them hand on to `lmms_manu.benchmarks.clear`.

As in the folder of MLLMU-Bench, some names are made on demand: `run_of_LEAF` is the record of what this process will
ask, and says whatever is wrong with the dataset before the harness loads it; `DATASET_PATH` and `files_of_LEAF` are
what the harness passes to `datasets.load_dataset`; `questions_of_LEAF` gives the documents of a leaf in the place of
the rows that were so loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import Dataset

from lmms_manu.benchmarks import aggregations, given_answers
from lmms_manu.benchmarks.clear import likelihoods, prompts, results
from lmms_manu.benchmarks.clear.names import TASKS, config_of
from lmms_manu.benchmarks.clear.questions import LeafQuestions, load_questions
from lmms_manu.benchmarks.clear.source import ClearSource
from lmms_manu.methods.evaluated import evaluated
from lmms_manu.plugins.options import run_description

count = aggregations.count
harmonic_mean = likelihoods.harmonic_mean
mean_of_modalities = aggregations.mean_of_modalities
mean_score = aggregations.mean_score
skipped = aggregations.skipped
total = aggregations.total


def __getattr__(name: str) -> Any:
    if name == "DATASET_PATH":
        return ClearSource.resolve().loader
    if name.startswith("files_of_"):
        return ClearSource.resolve().loader_arguments(config_of(TASKS[name.removeprefix("files_of_")]))
    if name.startswith("questions_of_"):
        return _questions_of(name.removeprefix("questions_of_"))
    if name.startswith("run_of_"):
        return _run_of(name.removeprefix("run_of_"))
    raise AttributeError(f"utils has no {name!r}")


def doc_to_text(doc: Mapping[str, Any]) -> str:
    """The question with its options."""
    return prompts.question_text(doc)


def doc_to_visual(doc: Mapping[str, Any]) -> given_answers.Asked:
    """The picture, decoded now; none where a question is asked as text."""
    if TASKS[doc["leaf"]].modality == "text":
        return given_answers.Asked([])
    return given_answers.Asked([ClearSource(doc["dataset"]).image(doc["config"], doc["row"])], doc["answers"])


def doc_to_messages(doc: Mapping[str, Any]) -> given_answers.Asked:
    """The question as a chat message."""
    return given_answers.messages(doc_to_text(doc), doc_to_visual(doc))


def doc_to_target(doc: Mapping[str, Any]) -> str:
    """The correct letter, or the text that is right."""
    return str(doc["answer"])


def process_results(doc: Mapping[str, Any], responses: Sequence[str]) -> dict[str, Any]:
    """The scores of an answer and what a reader of the samples file needs to check them."""
    edit = evaluated()
    return results.score_answer(doc, responses[0], edit=edit.fingerprint if edit else None)


def _load(leaf: str) -> LeafQuestions:
    return load_questions(TASKS[leaf], ClearSource.resolve())


def _questions_of(leaf: str) -> Callable[[Dataset], Dataset]:
    def questions(rows: Dataset) -> Dataset:
        return _load(leaf).documents

    return questions


def _run_of(leaf: str) -> dict[str, Any]:
    """What the results file says of a leaf's run, under `configs`, `metadata`, `run`."""
    return run_description(_load(leaf).source.path)
