"""The names of the user's own data: its sets, columns, and the leaves and groups under which it is evaluated."""

from __future__ import annotations

from collections.abc import Iterator

from lmms_manu.benchmarks.base import MODALITIES, Split, Task

BENCHMARK = "own"

SPLITS = (
    Split("forget", "Forget set", "forget"),
    Split("test", "Test set", "forget"),
    Split("retain", "Retain set", "retain"),
    Split("control", "Control set", "control"),
)
"""`test` holds further questions about those to forget, `control` others whom unlearning is not about."""

SETS = tuple(split.name for split in SPLITS)
REQUIRED = ("subject", "question", "answer")
OPTIONAL = ("image", "options", "text_question", "set")
COLUMNS = (*REQUIRED, *OPTIONAL)
KINDS = ("generation", "classification", "cloze")

METRICS = {
    "generation": ("rouge_l", "answer_recall"),
    "classification": ("classification_accuracy", "unparsed"),
    "cloze": ("cloze_accuracy",),
}
"""The metrics of each kind. No name is part of another, because the harness matches group metrics by substring."""

SHOWN = ("rouge_l", "answer_recall", "classification_accuracy", "cloze_accuracy")
"""What a group's row shows."""


def group_name(split: str) -> str:
    """The group of a set's leaves, such as `own_forget`."""
    return f"{BENCHMARK}_{split}"


def _leaves() -> Iterator[Task]:
    for split in SETS:
        group = group_name(split)
        for kind in KINDS:
            for modality in MODALITIES:
                yield Task(BENCHMARK, f"{group}_{kind}_{modality}", split, kind, modality, None, group)


TASKS = {task.name: task for task in _leaves()}
"""Every leaf by its name in the harness, in a fixed order."""
