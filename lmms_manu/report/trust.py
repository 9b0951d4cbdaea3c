"""Recognises numbers of judged benchmarks that no judge stands behind."""

from __future__ import annotations

from collections.abc import Sequence

from lmms_manu.report.results import TaskResult
from lmms_manu.report.samples import Sample


def distrust(result: TaskResult, samples: Sequence[Sample] | None) -> str:
    """Why the number of a judged benchmark cannot be believed; empty if it can.

    The stock tasks score a failed judgement instead of leaving it out: MM-Vet and MIA-Bench as 0, LLaVA-Bench as -1
    for both sides, which makes 100 if all of them failed.

    Args:
        result: the result of a utility benchmark.
        samples: its samples, None where the evaluation kept none.
    """
    if result.name not in _JUDGED:
        return ""
    if samples:
        failed = sum(sample.unjudged for sample in samples)
        # An answer that MIA-Bench's judge found worthless looks the same as one that was not judged.
        believed = failed == 0 or (result.name == "mia_bench" and failed < len(samples))
        return "" if believed else f"the judge gave no score for {failed} of {len(samples)} answers"
    values = [value for name, value in result.values.items() if name.startswith("gpt_eval")]
    if result.name == "llava_in_the_wild" and values and all(value == 100.0 for value in values):
        return "exactly 100 everywhere is what LLaVA-Bench reports when its judge fails"
    if result.name != "llava_in_the_wild" and values and not any(values):
        return "exactly 0 is what this benchmark reports when its judge fails"
    return ""


_JUDGED = frozenset({"llava_in_the_wild", "mmvet", "mia_bench"})
