"""What a report can show: the benchmark's metrics by split and modality, and the general benchmarks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from lmms_manu.mllmu.names import DEFAULT_RATIO, MODALITIES, SPLITS, leaf_name, leaves

MEAN = "mean"
VIEWS = (MEAN, *MODALITIES)
UTILITY = "utility"
FORGOTTEN_SPLITS = ("forget", "test")
KEPT_SPLITS = ("retain", "celebrity")


@dataclasses.dataclass(frozen=True)
class Metric:
    """One score.

    Args:
        name: its name in reports, gates and leaderboards.
        label: its heading.
        task: the harness's task that reports it; for MLLMU-Bench the kind of task.
        key: its name in the harness's results.
        scale: what a value of the harness is multiplied with to be shown.
        digits: decimals shown.
        unit: `%` for shares, empty for scores.
        per: the harness's metric that it is divided by, for counts; empty for the others.
        proof: the metric without which a count of zero says nothing; empty for the others.
    """

    name: str
    label: str
    task: str
    key: str
    scale: float = 1.0
    digits: int = 2
    unit: str = "%"
    per: str = ""
    proof: str = ""

    def read(self, values: Mapping[str, float]) -> float | None:
        """The value to show, from a task's results; None if it was not measured."""
        value = values.get(self.key)
        if value is None or not self.per:
            return None if value is None else value * self.scale
        if value == 0 and self.proof and self.proof not in values:
            return None
        total = values.get(self.per)
        return self.scale * value / total if total else None


MLLMU_METRICS = (
    Metric("classification", "Classification", "classification", "classification_accuracy"),
    Metric("rouge_l", "ROUGE-L", "generation", "rouge_l", digits=3, unit=""),
    Metric("factuality", "Factuality", "generation", "factuality", unit=""),
    Metric("cloze", "Cloze", "cloze", "cloze_accuracy"),
)

QUALITY_METRICS = (
    Metric("unparsed", "Unparsed", "classification", "unparsed", scale=100.0, per="scored"),
    Metric("not_judged", "Not judged", "generation", "not_judged", scale=100.0, per="scored", proof="factuality"),
)

UTILITY_METRICS = (
    Metric("mmmu", "MMMU", "mmmu_val", "mmmu_acc", scale=100.0),
    Metric("llava_bench", "LLaVA-Bench", "llava_in_the_wild", "gpt_eval_llava_all", unit=""),
    Metric("mm_vet", "MM-Vet", "mmvet", "gpt_eval_score", unit=""),
    Metric("mmstar", "MMStar", "mmstar", "average", scale=100.0),
    Metric("mia_bench", "MIA-Bench", "mia_bench", "gpt_eval_score", scale=100.0, unit=""),
)


@dataclasses.dataclass(frozen=True)
class Column:
    """A metric on a split; `split` is `utility` for the general benchmarks."""

    split: str
    metric: Metric

    @property
    def name(self) -> str:
        """The name that gates and files use, such as `forget.cloze`."""
        return f"{self.split}.{self.metric.name}"

    @property
    def higher_is_better(self) -> bool:
        """Forgetting shows as low scores on the people to forget; everything else should stay high."""
        return self.split not in FORGOTTEN_SPLITS and self.metric not in QUALITY_METRICS

    @property
    def arrow(self) -> str:
        return "↑" if self.higher_is_better else "↓"

    def tasks(self, ratio: int | None) -> dict[str, str]:
        """The harness's tasks behind the column, by modality; a utility benchmark has one, under `mean`."""
        if self.split == UTILITY:
            return {MEAN: self.metric.task}
        return {
            modality: leaf_name(self.split, ratio or DEFAULT_RATIO, self.metric.task, modality)
            for modality in MODALITIES
        }


COLUMNS = (
    *(Column(split, metric) for split in SPLITS for metric in MLLMU_METRICS),
    *(Column(UTILITY, metric) for metric in UTILITY_METRICS),
)
QUALITY_COLUMNS = tuple(Column(split, metric) for split in SPLITS for metric in QUALITY_METRICS)
COLUMNS_BY_NAME = {column.name: column for column in (*COLUMNS, *QUALITY_COLUMNS)}

LEAVES = {leaf.name: leaf for leaf in leaves()}
UTILITY_TASKS = {metric.task: metric for metric in UTILITY_METRICS}
