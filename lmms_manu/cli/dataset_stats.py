"""Counts people, questions and pictures of a copy of MLLMU-Bench, beside the published ones (the paper's Table 3)."""

from __future__ import annotations

import argparse
import dataclasses
import json

from lmms_manu import variables
from lmms_manu.benchmarks.mllmu.counts import Count, DatasetStatistics, dataset_statistics
from lmms_manu.benchmarks.mllmu.source import HUB_NAME, DatasetSource


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dataset",
        help=f"folder of a copy, or its name on the hub (default: {variables.DATASET}, else {HUB_NAME})",
    )
    parser.add_argument("--skipped", action="store_true", help="list everything that cannot be used, and why")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a count differs from the published one")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")


def run(arguments: argparse.Namespace) -> int:
    source = DatasetSource.resolve(arguments.dataset)
    statistics = dataset_statistics(source)
    if arguments.json:
        print(json.dumps(_as_json(source, statistics), indent=2, ensure_ascii=False))
    else:
        _print(source, statistics, arguments.skipped)
    return int(arguments.check and any(count.differs for count in statistics.counts))


def _print(source: DatasetSource, statistics: DatasetStatistics, list_skipped: bool) -> None:
    print(f"{source}\n")
    print(f"{'':<30}{'this copy':>10}{'published':>11}")
    for count in statistics.counts:
        print(f"{count.label:<30}{count.found:>10,}{_published(count):>11}{'  differs' if count.differs else ''}")
    if not statistics.skipped:
        print("\nEverything in it can be used.")
        return
    print(f"\n{len(statistics.skipped)} thing(s) in it cannot be used and are not counted", end="")
    print(":" if list_skipped else "; --skipped lists them.")
    if list_skipped:
        for item in statistics.skipped:
            print(f"  {item}")


def _published(count: Count) -> str:
    return "" if count.published is None else f"{count.published:,}"


def _as_json(source: DatasetSource, statistics: DatasetStatistics) -> dict[str, object]:
    return {
        "dataset": source.path,
        "counts": [{**dataclasses.asdict(count), "label": count.label.strip()} for count in statistics.counts],
        "skipped": [dataclasses.asdict(item) for item in statistics.skipped],
    }
