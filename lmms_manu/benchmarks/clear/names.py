"""The names of CLEAR: its configurations, and the leaves and groups under which it is evaluated."""

from __future__ import annotations

from collections.abc import Iterator

from lmms_manu.benchmarks.base import Split, Task
from lmms_manu.errors import one_of

BENCHMARK = "clear"
RATIOS = (1, 5, 10)
DEFAULT_RATIO = 5
QUESTIONS_PER_AUTHOR = 20

SPLITS = (
    Split("forget", "Forget set", "forget"),
    Split("retain", "Retain set", "retain"),
    Split("real_faces", "Real faces", "control"),
    Split("real_world", "Real world", "control"),
)

_OF_AUTHORS = (
    ("generation", "multimodal"),
    ("generation", "text"),
    ("recognition", "multimodal"),
    ("classification", "multimodal"),
)
LEAVES = {
    "forget": _OF_AUTHORS,
    "retain": _OF_AUTHORS,
    "real_faces": (("recognition", "multimodal"), ("classification", "multimodal")),
    "real_world": (("generation", "multimodal"), ("classification", "multimodal")),
}
"""The kinds of questions about each split, with their modality."""

REAL_FACES, REAL_WORLD, RETAIN_PERTURBED = "real_faces", "real_world", "retain_perturbed"

CONFIGS = (
    "default",
    "full+tofu",
    *(f"forget{ratio:02}{form}" for ratio in RATIOS for form in ("", "+tofu", "_perturbed")),
    *(f"retain{100 - ratio}{form}" for ratio in reversed(RATIOS) for form in ("", "+tofu")),
    RETAIN_PERTURBED,
    REAL_FACES,
    REAL_WORLD,
)

METRICS = {
    "generation": ("rouge_recall", "rouge_l"),
    "recognition": ("name_recall",),
    "classification": ("classification_accuracy", "unparsed"),
}
"""The metrics of each kind. No name is part of another, because the harness matches group metrics by substring."""

COLUMNS = ("rouge_recall", "rouge_l", "name_recall", "classification_accuracy")
"""What a group's row shows."""


def authors_config(role: str, ratio: int) -> str:
    """The configuration of pictures, captions and names: `forget05`, or `retain95` for those to retain at 5.

    Raises:
        SettingError: an unknown ratio.
    """
    if ratio not in RATIOS:
        raise one_of("forget_ratio", ratio, RATIOS)
    return f"forget{ratio:02}" if role == "forget" else f"retain{100 - ratio}"


def perturbed_config(role: str, ratio: int) -> str:
    """The configuration of captions with wrong ones; those to retain have one for all ratios."""
    return f"{authors_config(role, ratio)}_perturbed" if role == "forget" else RETAIN_PERTURBED


def text_config(role: str, ratio: int) -> str:
    """The configuration in which the questions as text stand, below the pictures."""
    return f"{authors_config(role, ratio)}+tofu"


def group_name(split: str, ratio: int | None) -> str:
    """The group of a split's leaves: `clear_forget_05`, `clear_real_faces`."""
    return f"{BENCHMARK}_{split}" if ratio is None else f"{BENCHMARK}_{split}_{ratio:02}"


def everything_name(ratio: int = DEFAULT_RATIO) -> str:
    """The group of all splits at a forget ratio: `clear_01`, `clear` at 5 %, `clear_10`."""
    return BENCHMARK if ratio == DEFAULT_RATIO else f"{BENCHMARK}_{ratio:02}"


def ratios_of(split: str) -> tuple[int | None, ...]:
    """The ratios that a split has leaves for."""
    return RATIOS if split in ("forget", "retain") else (None,)


def config_of(task: Task) -> str:
    """The configuration that a leaf's questions stand in."""
    if task.ratio is None:
        return task.split
    name = text_config if task.modality == "text" else perturbed_config
    return name(task.split, task.ratio)


def _leaves() -> Iterator[Task]:
    for split in LEAVES:
        for ratio in ratios_of(split):
            group = group_name(split, ratio)
            for kind, modality in LEAVES[split]:
                yield Task(BENCHMARK, f"{group}_{kind}_{modality}", split, kind, modality, ratio, group)


TASKS = {task.name: task for task in _leaves()}
"""Every leaf by its name in the harness, in a fixed order."""
