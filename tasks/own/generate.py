"""Writes the task files of this folder: `python tasks/own/generate.py`; with `--check` it only compares them."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from lmms_manu.benchmarks import generated
from lmms_manu.benchmarks.generated import COLUMN, GROUP, HEADER, METRIC
from lmms_manu.benchmarks.own.names import (
    FORGOTTEN,
    LIKELIHOOD,
    METRICS,
    SETS,
    SHOWN,
    TASKS,
    everything_name,
    group_name,
)

FOLDER = Path(__file__).parent
VERSION = 1.0

MARK = "_forgotten"
"""In the names of what leaves about people to forget share: of their scores lower is better."""

BASE = """\
# What all leaves share. The people are read from the tables that the model's arguments or LMMS_MANU_OWN_DATA name.
dataset_path: json
dataset_kwargs: !function utils.FILES
test_split: train
output_type: generate_until
doc_to_text: !function utils.doc_to_text
doc_to_visual: !function utils.doc_to_visual
doc_to_messages: !function utils.doc_to_messages
doc_to_target: !function utils.doc_to_target
process_results: !function utils.process_results
cluster_key: person
"""

KIND = """\
include: _base_yaml
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
process_docs: !function utils.questions_of_{name}
"""

TOKENS = {"generation": 300, "classification": 10, "cloze": 50, LIKELIHOOD: 1}

AGGREGATIONS = {
    "truth_ratio": ("mean", True),
    "unparsed": ("!function utils.total", False),
    "scored": ("!function utils.count", True),
    "skipped": ("!function utils.skipped", False),
}
"""How an account is made of the samples' values, and whether more is better; scores are means."""

ACCOUNTS = ("answer_score", "clustered_score", "scored", "skipped")
"""What a leaf reports beside its metrics; one of likelihoods has no answers, and the last two alone."""


def files() -> dict[str, str]:
    """The text of every generated file by its name."""
    found = {"_base_yaml": BASE}
    for (kind, metrics), forgotten in itertools.product(METRICS.items(), ("", MARK)):
        accounts = ACCOUNTS[2:] if kind == LIKELIHOOD else ACCOUNTS
        listed = "".join(_metric(name, kept=not forgotten) for name in (*metrics, *accounts))
        found[f"_{kind}{forgotten}_yaml"] = KIND.format(tokens=TOKENS[kind]) + listed
    for task in TASKS.values():
        forgotten = MARK if task.split in FORGOTTEN else ""
        found[f"{task.name}.yaml"] = LEAF.format(kind=task.kind, forgotten=forgotten, name=task.name, version=VERSION)
    for name in dict.fromkeys(task.group for task in TASKS.values()):
        members = [task for task in TASKS.values() if task.group == name]
        reported = {metric for task in members for metric in METRICS[task.kind]}
        shown = tuple(metric for metric in SHOWN if metric in reported)
        found[f"{name}.yaml"] = _group(name, [task.name for task in members], shown)
    for kind in ("", LIKELIHOOD):
        name = everything_name(kind)
        found[f"{name}.yaml"] = _group(name, [group_name(of, kind) for of in SETS], ())
    return {name: HEADER + text for name, text in found.items()}


def drift() -> list[str]:
    """The names of files that are missing, differ from what would be written, or are not generated at all."""
    return generated.drift(FOLDER, files())


def main(arguments: list[str] | None = None) -> int:
    return generated.main(FOLDER, files(), __doc__, arguments)


def _metric(name: str, *, kept: bool) -> str:
    usual = "!function utils.mean_score" if name == "clustered_score" else "mean"
    aggregation, higher = AGGREGATIONS.get(name, (usual, kept))
    return METRIC.format(metric=name, aggregation=aggregation, higher=str(higher).lower())


def _group(name: str, members: list[str], shown: tuple[str, ...]) -> str:
    tasks = "\n".join(f"  - {member}" for member in members)
    columns = "".join(COLUMN.format(metric=metric) for metric in shown)
    return GROUP.format(
        name=name, tasks=tasks, columns=f"aggregate_metric_list:\n{columns}" if columns else "", version=VERSION
    )


if __name__ == "__main__":
    sys.exit(main())
