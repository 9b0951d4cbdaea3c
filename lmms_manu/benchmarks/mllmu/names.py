"""The names of MLLMU-Bench: its configurations, and the leaves, groups and metrics under which it is evaluated."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

from lmms_manu.errors import one_of
from lmms_manu.names import MODALITIES

SPLITS = ("forget", "test", "retain", "celebrity")
RATIOS = (5, 10, 15)
TASKS = ("classification", "generation", "cloze")
LIKELIHOOD = "likelihood"
"""The task that asks nothing: it reads off how likely a model finds the answers to the questions of `TASKS`."""

DEFAULT_RATIO = 5

FULL_SET = "Full_Set"
TEST_SET = "Test_Set"
CELEBRITY_SET = "Retain_Set"  # its name in the dataset; it holds the real celebrities
FINE_TUNING_SET = "ft_Data"

CONFIGS = (
    FULL_SET,
    *(f"forget_{ratio}" for ratio in RATIOS),
    *(f"retain_{100 - ratio}" for ratio in RATIOS),
    TEST_SET,
    CELEBRITY_SET,
    FINE_TUNING_SET,
)

QUESTIONS_PER_PERSON = {"classification": 5, "generation": 2, "cloze": 2}
"""How many questions of one modality a complete profile has."""

COLUMNS = {
    "classification_accuracy": "classification",
    "rouge_l": "generation",
    "factuality": "generation",
    "cloze_accuracy": "cloze",
}
"""The four columns of the paper's tables, and the task that measures each."""

METRICS = {
    "classification": ("classification_accuracy", "unparsed"),
    "generation": ("rouge_l", "rouge_1", "rouge_2", "bleu", "factuality", "not_judged"),
    "cloze": ("cloze_accuracy",),
}
"""The metrics of each task. No name is part of another, because the harness matches group metrics by substring."""

LIKELIHOODS = (
    "answer_probability",
    "cloze_probability",
    "truth_ratio",
    "prob_mean",
    "exact_memorisation",
    "extraction_strength",
)
"""The metrics of `LIKELIHOOD`: see `lmms_manu.likelihood_metrics`. As above, none is part of another."""

ACCOUNTS = ("answer_score", "clustered_score", "scored", "skipped")
"""What every leaf reports beside its metrics: see `lmms_manu.benchmarks.mllmu.results`."""


def config_name(split: str, ratio: int = DEFAULT_RATIO) -> str:
    """The dataset configuration that holds the people of a split, such as `retain_95` for retain and 5.

    Raises:
        SettingError: an unknown split or ratio.
    """
    _check(split, ratio)
    if split == "celebrity":
        return CELEBRITY_SET
    if split == "test":
        return TEST_SET
    return f"forget_{ratio}" if split == "forget" else f"retain_{100 - ratio}"


@dataclasses.dataclass(frozen=True, order=True)
class Leaf:
    """One task of the harness: a split at a forget ratio, asked in one way.

    Args:
        split: one of `SPLITS`.
        ratio: one of `RATIOS`, in percent; None for the celebrity split, which has none.
        task: one of `TASKS`, or `LIKELIHOOD`.
        modality: one of `MODALITIES`.
    """

    split: str
    ratio: int | None
    task: str
    modality: str

    def __post_init__(self) -> None:
        _check(self.split, DEFAULT_RATIO if self.ratio is None else self.ratio)
        if self.task not in (*TASKS, LIKELIHOOD):
            raise one_of("task", self.task, (*TASKS, LIKELIHOOD))
        if self.modality not in MODALITIES:
            raise one_of("modality", self.modality, MODALITIES)
        if (self.ratio is None) != (self.split == "celebrity"):
            raise one_of(f"ratio of the {self.split} split", self.ratio, _ratios(self.split))

    @property
    def name(self) -> str:
        """The name of the task in the harness."""
        return f"{group_name(self.split, self.ratio)}_{self.task}_{self.modality}"

    @property
    def group(self) -> str:
        """The group that this one belongs to: of six leaves, or of the two of likelihoods."""
        group = group_name(self.split, self.ratio)
        return f"{group}_{LIKELIHOOD}" if self.task == LIKELIHOOD else group


def likelihood_leaves() -> Iterator[Leaf]:
    """The leaves that read likelihoods, in a fixed order."""
    for split in SPLITS:
        for ratio, modality in itertools.product(_ratios(split), MODALITIES):
            yield Leaf(split, ratio, LIKELIHOOD, modality)


def leaves() -> Iterator[Leaf]:
    """Every leaf of the benchmark that asks and scores answers, in a fixed order."""
    for split in SPLITS:
        for ratio in _ratios(split):
            for task, modality in itertools.product(TASKS, MODALITIES):
                yield Leaf(split, ratio, task, modality)


def leaf_name(split: str, ratio: int | None, task: str, modality: str) -> str:
    """The harness's name of a leaf: `mllmu_forget_cloze_text` at 5 %, `mllmu_forget_10_cloze_text` at 10 %."""
    return Leaf(split, None if split == "celebrity" else ratio, task, modality).name


def group_name(split: str, ratio: int | None = DEFAULT_RATIO) -> str:
    """The group of a split's six leaves: `mllmu_forget` at 5 %, `mllmu_forget_10` at 10 %, `mllmu_celebrity`."""
    _check(split, DEFAULT_RATIO if ratio is None else ratio)
    if split == "celebrity" or ratio in (None, DEFAULT_RATIO):
        return f"mllmu_{split}"
    return f"mllmu_{split}_{ratio}"


def everything_name(ratio: int = DEFAULT_RATIO) -> str:
    """The group of all four splits at a forget ratio: `mllmu`, `mllmu_10`, `mllmu_15`."""
    _check("forget", ratio)
    return "mllmu" if ratio == DEFAULT_RATIO else f"mllmu_{ratio}"


def _ratios(split: str) -> tuple[int | None, ...]:
    return (None,) if split == "celebrity" else RATIOS


def _check(split: str, ratio: int) -> None:
    if split not in SPLITS:
        raise one_of("split", split, SPLITS)
    if ratio not in RATIOS:
        raise one_of("forget_ratio", ratio, RATIOS)
