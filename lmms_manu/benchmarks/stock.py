"""The general benchmarks of lmms-eval that show what unlearning cost: their tasks, scores and judges, and their traps.

The harness scores a failed judgement instead of leaving it out: MM-Vet and MIA-Bench as 0, LLaVA-Bench as -1 for both
sides, which makes 100 if all of them failed. Such numbers are recognised here and left out of reports.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from lmms_manu.benchmarks.base import Metric
from lmms_manu.benchmarks.sample import Sample, Score, text_of

UrlForm = Literal["base", "full"]

Reading = tuple[Score | None, bool]
"""The points of an answer, None without any, and whether its judge failed."""


def _no_score(entry: Mapping[str, Any]) -> Reading:
    return None, False


@dataclasses.dataclass(frozen=True)
class StockBenchmark:
    """A benchmark of the harness with one number.

    Args:
        name: its name in suites, and of its folder of results.
        task: the harness's task.
        metric: its number.
        judge_url: the form in which its judge reads `OPENAI_API_URL`, None if it needs no judge.
        read: reads what the samples file holds under the metric's key.
        failed: the number, as the harness writes it, that is what remains if every judgement failed.
        fails_like_worst: whether an answer of no worth leaves the same traces as a failed judgement.
    """

    name: str
    task: str
    metric: Metric
    judge_url: UrlForm | None = None
    read: Callable[[Mapping[str, Any]], Reading] = _no_score
    failed: float = 0.0
    fails_like_worst: bool = False

    def read_sample(self, line: Mapping[str, Any]) -> Sample:
        """A line of its samples file; raises as `Benchmark.read_sample`."""
        key, entry = str(line["doc_id"]), line.get(self.metric.key)
        score, unjudged = self.read(entry if isinstance(entry, Mapping) else {})
        return plain_sample(line, key, {self.metric.name: score} if score else {}, unjudged)

    def distrust(self, values: Mapping[str, float], samples: Sequence[Sample] | None) -> str:
        """Why its number cannot be believed; empty if it can.

        Args:
            values: the harness's results.
            samples: its samples, None where the evaluation kept none.
        """
        if self.judge_url is None:
            return ""
        if samples:
            failed = sum(sample.unjudged for sample in samples)
            believed = failed == 0 or (self.fails_like_worst and failed < len(samples))
            return "" if believed else f"the judge gave no score for {failed} of {len(samples)} answers"
        judged = [value for name, value in values.items() if name.startswith("gpt_eval")]
        if not judged or any(value != self.failed for value in judged):
            return ""
        where = " everywhere" if len(judged) > 1 else ""
        return f"exactly {self.failed:g}{where} is what {self.metric.label} reports when its judge fails"


def plain_sample(
    line: Mapping[str, Any], key: str, scores: Mapping[str, Score] | None = None, unjudged: bool = False
) -> Sample:
    """A sample of a task that knows no people: each question stands for itself."""
    return Sample(
        key=key,
        person=key,
        question=text_of(line.get("input")),
        target=text_of(line.get("target")),
        response=text_of(line.get("filtered_resps")),
        scores=scores or {},
        unjudged=unjudged,
    )


def _llava_bench(entry: Mapping[str, Any]) -> Reading:
    if "scores" not in entry:
        return None, False
    # The benchmark's number is the ratio of the sums of both scores, the model's to the reference's.
    reference, model = entry["scores"]
    return (100.0 * model, float(reference)), min(reference, model) < 0


def _mm_vet(entry: Mapping[str, Any]) -> Reading:
    return ((100.0 * entry["score"], 1.0), not entry.get("eval_model")) if "score" in entry else (None, False)


def _mmstar(entry: Mapping[str, Any]) -> Reading:
    return ((100.0 * entry["score"], 1.0), False) if "score" in entry else (None, False)


def _mia_bench(entry: Mapping[str, Any]) -> Reading:
    if "total_score" not in entry:
        return None, False
    return (100.0 * entry["total_score"], 1.0), not any(entry.values())


STOCK_BENCHMARKS = (
    StockBenchmark("mmmu", "mmmu_val", Metric("mmmu", "MMMU", "mmmu", "mmmu_acc", scale=100.0)),
    StockBenchmark(
        "llava_bench",
        "llava_in_the_wild",
        Metric("llava_bench", "LLaVA-Bench", "llava_bench", "gpt_eval_llava_all", unit=""),
        judge_url="base",
        read=_llava_bench,
        failed=100.0,
    ),
    StockBenchmark(
        "mmvet",
        "mmvet",
        Metric("mm_vet", "MM-Vet", "mm_vet", "gpt_eval_score", unit=""),
        judge_url="base",
        read=_mm_vet,
    ),
    StockBenchmark(
        "mmstar",
        "mmstar",
        Metric("mmstar", "MMStar", "mmstar", "average", scale=100.0, floor=25.0),
        read=_mmstar,
    ),
    StockBenchmark(
        "mia_bench",
        "mia_bench",
        Metric("mia_bench", "MIA-Bench", "mia_bench", "gpt_eval_score", scale=100.0, unit=""),
        judge_url="full",
        read=_mia_bench,
        fails_like_worst=True,
    ),
)
"""In the order of a table's columns."""

STOCK_BY_TASK = {stock.task: stock for stock in STOCK_BENCHMARKS}
