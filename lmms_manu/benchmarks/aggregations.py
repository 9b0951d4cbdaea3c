"""How the accounts of a leaf's answers become its numbers, and those of its modalities a group's.

Every key that `process_results` gives is a metric with an aggregation, because the harness lists a key without one as
an empty metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Account(int):
    """A count for the results file alone: the harness's table, which is of scores, leaves out what is empty."""

    def __len__(self) -> int:
        return 0


def count(items: Sequence[Any]) -> int:
    """How many answers count."""
    return Account(len(items))


def mean_score(items: Sequence[Mapping[str, Any]]) -> float:
    """The mean of the points of answers."""
    return sum(item["score"] for item in items) / len(items) if items else float("nan")


def total(items: Sequence[int]) -> int:
    """The sum of counts, such as `unparsed`."""
    return Account(sum(items))


def skipped(items: Sequence[Mapping[str, int]]) -> int:
    """The questions that a leaf lost when it was loaded, and those whose picture broke later."""
    return Account(items[0]["leaf"] + sum(item["here"] for item in items) if items else 0)


def mean_of_modalities(metrics: Sequence[float | None], sizes: Sequence[int], weight_by_size: bool) -> float | None:
    """A group's column as in the paper's tables: the plain mean of both modalities; None if one was not measured.

    Args:
        metrics: the leaves' values.
        sizes, weight_by_size: given by the harness, and not used: the paper weighs both modalities alike.
    """
    measured = [metric for metric in metrics if metric is not None]
    return sum(measured) / len(measured) if measured and len(measured) == len(metrics) else None
