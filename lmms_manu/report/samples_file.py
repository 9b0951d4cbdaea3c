"""Reads the harness's samples files: what was asked, about whom, what was answered, what it scored."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lmms_manu.benchmarks.registry import find_task, get_benchmark
from lmms_manu.benchmarks.sample import Sample
from lmms_manu.benchmarks.stock import STOCK_BY_TASK, plain_sample
from lmms_manu.errors import DataError


def read_samples(path: Path, task: str) -> list[Sample]:
    """The samples of one task, in the order of the file.

    Raises:
        DataError: a line is damaged or a question stands in the file twice.
    """
    samples: list[Sample] = []
    seen: set[str] = set()
    for number, sample in enumerate(_samples(path, task), 1):
        if sample.key in seen:
            raise DataError(f"{path}, line {number}: question {sample.key} stands in the file twice.")
        seen.add(sample.key)
        samples.append(sample)
    return samples


def first_scored(path: Path, task: str) -> Sample | None:
    """The first sample of a file that was scored, None if none was; raises as `read_samples` does."""
    return next((sample for sample in _samples(path, task) if sample.is_scored), None)


def _samples(path: Path, task: str) -> Iterator[Sample]:
    # In bytes, so that a line that is not UTF-8 is reported with its number, as other damage is.
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            yield _parsed(line, task, f"{path}, line {number}")


def _parsed(line: bytes, task: str, where: str) -> Sample:
    try:
        sample = _sample(json.loads(line), task)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise DataError(f"{where}: not a sample of {task} ({error!r}).") from None
    for metric, score in sample.scores.items():
        if not all(map(math.isfinite, score)):
            raise DataError(f"{where}: {metric} is {score[0]}, which is no score: evaluate {task} again.")
    return sample


def _sample(line: Mapping[str, Any], task: str) -> Sample:
    """A line as its benchmark reads it, or the stock benchmark; as it stands where a task belongs to neither."""
    known = find_task(task)
    if known is not None:
        return get_benchmark(known.benchmark).read_sample(line, known)
    stock = STOCK_BY_TASK.get(task)
    return stock.read_sample(line) if stock else plain_sample(line, str(line["doc_id"]))
