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
FORGOTTEN = tuple(split.name for split in SPLITS if split.is_forgotten)
REQUIRED = ("subject", "question", "answer")
OPTIONAL = ("image", "options", "text_question", "set")
COLUMNS = (*REQUIRED, *OPTIONAL)
KINDS = ("generation", "classification", "cloze")
LIKELIHOOD = "likelihood"
"""The kind that asks nothing: it reads off how likely a model finds the answers and the options."""

METRICS = {
    "generation": ("rouge_l", "answer_recall"),
    "classification": ("classification_accuracy", "unparsed"),
    "cloze": ("cloze_accuracy",),
    LIKELIHOOD: ("answer_probability", "option_probability", "truth_ratio"),
}
"""The metrics of each kind. No name is part of another, because the harness matches group metrics by substring."""

SHOWN = ("rouge_l", "answer_recall", "classification_accuracy", "cloze_accuracy", *METRICS[LIKELIHOOD])
"""What a group's row shows, as far as its leaves report it."""


def group_name(split: str, kind: str = "") -> str:
    """The group of a set's leaves: `own_forget`, or `own_forget_likelihood`."""
    return f"{BENCHMARK}_{split}" + (f"_{LIKELIHOOD}" if kind == LIKELIHOOD else "")


def everything_name(kind: str = "") -> str:
    """The group of all sets: `own`, or `own_likelihood`."""
    return BENCHMARK + (f"_{LIKELIHOOD}" if kind == LIKELIHOOD else "")


def _leaves() -> Iterator[Task]:
    for split in SETS:
        for kind in (*KINDS, LIKELIHOOD):
            for modality in MODALITIES:
                name, group = f"{group_name(split)}_{kind}_{modality}", group_name(split, kind)
                yield Task(BENCHMARK, name, split, kind, modality, None, group, reads_likelihoods=kind == LIKELIHOOD)


TASKS = {task.name: task for task in _leaves()}
"""Every leaf by its name in the harness, in a fixed order."""
