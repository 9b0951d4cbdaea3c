"""Writes the task files of this folder: `python tasks/clear/generate.py`; with `--check` it only compares them."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from lmms_manu.benchmarks import generated
from lmms_manu.benchmarks.clear.names import (
    COLUMNS,
    LEAVES,
    LIKELIHOOD,
    METRICS,
    RATIOS,
    TASKS,
    config_of,
    everything_name,
    group_name,
    ratios_of,
)
from lmms_manu.benchmarks.generated import COLUMN, GROUP, HEADER, METRIC

FOLDER = Path(__file__).parent
VERSION = 1.0

BASE = """\
# What all leaves share. The dataset is where LMMS_MANU_CLEAR_DATASET says.
dataset_path: !function utils.DATASET_PATH
test_split: train
output_type: generate_until
doc_to_text: !function utils.doc_to_text
doc_to_visual: !function utils.doc_to_visual
doc_to_messages: !function utils.doc_to_messages
doc_to_target: !function utils.doc_to_target
process_results: !function utils.process_results
cluster_key: person
"""

GENERATION = """\
generation_kwargs:
  max_new_tokens: {tokens}
  do_sample: false
  temperature: 0
  until: []
metric_list:
"""

LEAF = """\
include: _{kind}{forgotten}_yaml
task: {name}
metadata:
  version: {version}
  run: !function utils.run_of_{name}
dataset_name: {config}
dataset_kwargs: !function utils.files_of_{name}
process_docs: !function utils.questions_of_{name}
"""

TOKENS = {"generation": 300, "recognition": 300, "classification": 10, LIKELIHOOD: 1}

AGGREGATIONS = {
    "harmonic_mean": "!function utils.harmonic_mean",
    "unparsed": "!function utils.total",
    "clustered_score": "!function utils.mean_score",
    "scored": "!function utils.count",
    "skipped": "!function utils.skipped",
}
"""How a metric is made of the samples' values; the others are means."""

DIRECTIONS = {
    "caption_truth_ratio": True,
    "choice_truth_ratio": True,
    "unparsed": False,
    "scored": True,
    "skipped": False,
}
"""Whether more is better, where that is the same for those to forget; of every other metric it is not."""

FORGOTTEN = "_forgotten"

ACCOUNTS = ("answer_score", "clustered_score", "scored", "skipped")
"""What a leaf reports beside its metrics; one of likelihoods has no answers, and the last two alone."""


def files() -> dict[str, str]:
    """The text of every generated file by its name."""
    found = {"_base_yaml": BASE}
    for (kind, metrics), forgotten in itertools.product(METRICS.items(), ("", FORGOTTEN)):
        accounts = ACCOUNTS[2:] if kind == LIKELIHOOD else ACCOUNTS
        listed = "".join(_metric(name, forgotten) for name in (*metrics, *accounts))
        found[f"_{kind}{forgotten}_yaml"] = "include: _base_yaml\n" + GENERATION.format(tokens=TOKENS[kind]) + listed
    for task in TASKS.values():
        found[f"{task.name}.yaml"] = LEAF.format(
            kind=task.kind,
            forgotten=FORGOTTEN if task.split == "forget" else "",
            name=task.name,
            config=config_of(task),
            version=VERSION,
        )
    for name in dict.fromkeys(task.group for task in TASKS.values()):
        members = [task for task in TASKS.values() if task.group == name]
        shown = [metric for metric in COLUMNS if any(metric in METRICS[task.kind] for task in members)]
        found[f"{name}.yaml"] = _group(name, [task.name for task in members], shown)
    for ratio, kind in itertools.product(RATIOS, ("", LIKELIHOOD)):
        groups = [group_name(split, ratio if ratio in ratios_of(split) else None, kind) for split in LEAVES]
        name = everything_name(ratio, kind)
        found[f"{name}.yaml"] = _group(name, groups, ())
    return {name: HEADER + text for name, text in found.items()}


def drift() -> list[str]:
    """The names of files that are missing, differ from what would be written, or are not generated at all."""
    return generated.drift(FOLDER, files())


def main(arguments: list[str] | None = None) -> int:
    return generated.main(FOLDER, files(), __doc__, arguments)


def _metric(name: str, forgotten: str) -> str:
    higher = DIRECTIONS.get(name, not forgotten)
    return METRIC.format(metric=name, aggregation=AGGREGATIONS.get(name, "mean"), higher=str(higher).lower())


def _group(name: str, members: list[str], shown: tuple[str, ...] | list[str]) -> str:
    tasks = "\n".join(f"  - {member}" for member in members)
    columns = "".join(COLUMN.format(metric=metric) for metric in shown)
    return GROUP.format(
        name=name, tasks=tasks, columns=f"aggregate_metric_list:\n{columns}" if columns else "", version=VERSION
    )


if __name__ == "__main__":
    sys.exit(main())
