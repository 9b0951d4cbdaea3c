"""The functions that the task files of the user's own data name; they hand on to `lmms_manu.benchmarks.own`.

As in the folder of MLLMU-Bench, some names are made on demand: `run_of_LEAF` is the record of what this process will
ask, and says whatever is wrong with the tables before the harness goes on; `questions_of_LEAF` gives the documents of
a leaf. The library reads the tables itself, so that the harness is given one placeholder row (`FILES`) to open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from lmms_manu.benchmarks import aggregations, given_answers
from lmms_manu.benchmarks.own import questions, results
from lmms_manu.benchmarks.own.files import current
from lmms_manu.benchmarks.own.names import TASKS
from lmms_manu.benchmarks.own.people import load_people
from lmms_manu.errors import DataError
from lmms_manu.methods.evaluated import evaluated
from lmms_manu.plugins.options import run_description

FILES = {"data_files": {"train": str(Path(__file__).with_name("placeholder.jsonl"))}}

count = aggregations.count
mean_of_modalities = aggregations.mean_of_modalities
mean_score = aggregations.mean_score
skipped = aggregations.skipped
total = aggregations.total


def __getattr__(name: str) -> Any:
    if name.startswith("questions_of_"):
        return _questions_of(name.removeprefix("questions_of_"))
    if name.startswith("run_of_"):
        return _run_of(name.removeprefix("run_of_"))
    raise AttributeError(f"utils has no {name!r}")


def doc_to_text(doc: Mapping[str, Any]) -> str:
    """The question with its options."""
    return questions.question_text(doc)


def doc_to_visual(doc: Mapping[str, Any]) -> given_answers.Asked:
    """The picture, decoded now; none where a question is asked as text."""
    task = TASKS[doc["leaf"]]
    if task.modality == "text":
        return given_answers.Asked([], doc["answers"])
    row = load_people(current()).rows(task.split)[doc["position"]]
    if row.picture is None:
        raise DataError(f"{row.place} has lost its picture since the questions were read.")
    return given_answers.Asked([row.picture.decode(f"the picture of {row.place}")], doc["answers"])


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


def _questions_of(leaf: str) -> Callable[[Dataset], Dataset]:
    def documents(rows: Dataset) -> Dataset:
        return questions.documents(TASKS[leaf], load_people(current()))

    return documents


def _run_of(leaf: str) -> dict[str, Any]:
    """What the results file says of a leaf's run, under `configs`, `metadata`, `run`."""
    files = current()
    load_people(files).rows(TASKS[leaf].split)
    return run_description(str(files))
