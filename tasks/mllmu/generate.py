"""Writes the task files of this folder: `python tasks/mllmu/generate.py`; with `--check` it only compares them."""

from __future__ import annotations

import sys
from pathlib import Path

from lmms_manu.benchmarks import generated
from lmms_manu.benchmarks.generated import COLUMN, HEADER
from lmms_manu.benchmarks.mllmu.names import (
    COLUMNS,
    DEFAULT_RATIO,
    LIKELIHOOD,
    LIKELIHOODS,
    RATIOS,
    SPLITS,
    TASKS,
    Leaf,
    config_name,
    everything_name,
    group_name,
    leaves,
    likelihood_leaves,
)

FOLDER = Path(__file__).parent
VERSION = 2.0

FORGOTTEN_SPLITS = ("forget", "test")
FORGOTTEN = "_forgotten"
"""In the names of what leaves about people to forget share: of their scores lower is better."""

BASE = """\
# What all leaves share. The dataset is where LMMS_MANU_DATASET says.
dataset_path: !function utils.DATASET_PATH
test_split: train
output_type: generate_until
doc_to_text: !function utils.doc_to_text
doc_to_visual: !function utils.doc_to_visual
doc_to_messages: !function utils.doc_to_messages
doc_to_target: !function utils.doc_to_target
process_results: !function utils.process_results
cluster_key: person
generation_kwargs:
  max_new_tokens: 50
  do_sample: false
  temperature: 0
  until: []
"""

LIKELIHOOD_BASE = """\
include: _base_yaml
doc_to_text: !function utils.likelihood_text
doc_to_visual: !function utils.likelihood_pictures
doc_to_messages: !function utils.likelihood_messages
doc_to_target: !function utils.likelihood_target
process_results: !function utils.likelihood_results
metric_list:
{metrics}
  - metric: scored
    aggregation: !function utils.count
    higher_is_better: true
  - metric: skipped
    aggregation: !function utils.skipped
    higher_is_better: false
"""

LIKELIHOOD_METRIC = """\
  - metric: {metric}
    aggregation: mean
    higher_is_better: {higher}"""

ACCOUNTS = """\
  - metric: answer_score
    aggregation: mean
    higher_is_better: {kept}
  - metric: clustered_score
    aggregation: !function utils.mean_score
    higher_is_better: {kept}
  - metric: scored
    aggregation: !function utils.count
    higher_is_better: true
  - metric: skipped
    aggregation: !function utils.skipped
    higher_is_better: false
"""

METRICS = {
    "classification": """\
metric_list:
  - metric: classification_accuracy
    aggregation: mean
    higher_is_better: {kept}
  - metric: unparsed
    aggregation: !function utils.total
    higher_is_better: false
""",
    "generation": """\
metric_list:
  - metric: rouge_l
    aggregation: mean
    higher_is_better: {kept}
  - metric: rouge_1
    aggregation: mean
    higher_is_better: {kept}
  - metric: rouge_2
    aggregation: mean
    higher_is_better: {kept}
  - metric: bleu
    aggregation: mean
    higher_is_better: {kept}
  - metric: factuality
    aggregation: !function utils.mean_of_judged
    higher_is_better: {kept}
  - metric: not_judged
    aggregation: !function utils.count_not_judged
    higher_is_better: false
""",
    "cloze": """\
metric_list:
  - metric: cloze_accuracy
    aggregation: mean
    higher_is_better: {kept}
""",
}

LEAF = """\
include: _{task}{forgotten}_yaml
task: {name}
metadata:
  version: {version}
  run: !function utils.run_of_{name}
dataset_name: {config}
dataset_kwargs: !function utils.files_of_{config}
process_docs: !function utils.questions_of_{name}
"""

GROUP = """\
group: {name}
task:
{tasks}
aggregate_metric_list:
{columns}
metadata:
  version: {version}
"""

EVERYTHING = """\
group: {name}
task:
{tasks}
metadata:
  version: {version}
"""


def files() -> dict[str, str]:
    """The text of every generated file by its name."""
    texts = {"_base_yaml": HEADER + BASE}
    # The truth ratio says itself how little is known where that is good, so that higher is better everywhere.
    likelihoods = "\n".join(
        LIKELIHOOD_METRIC.format(metric=metric, higher="true" if metric == "truth_ratio" else "KEPT")
        for metric in LIKELIHOODS
    )
    for forgotten in ("", FORGOTTEN):
        kept = "false" if forgotten else "true"
        for task in TASKS:
            metrics = (METRICS[task] + ACCOUNTS).format(kept=kept)
            texts[f"_{task}{forgotten}_yaml"] = HEADER + "include: _base_yaml\n" + metrics
        base = LIKELIHOOD_BASE.format(metrics=likelihoods.replace("KEPT", kept))
        texts[f"_{LIKELIHOOD}{forgotten}_yaml"] = HEADER + base
    every = [*leaves(), *likelihood_leaves()]
    for leaf in every:
        texts[f"{leaf.name}.yaml"] = HEADER + _leaf(leaf)
    for name in dict.fromkeys(leaf.group for leaf in every):
        members = [leaf for leaf in every if leaf.group == name]
        texts[f"{name}.yaml"] = HEADER + _group(name, members)
    for ratio in RATIOS:
        for ending in ("", f"_{LIKELIHOOD}"):
            groups = [f"{group_name(split, ratio)}{ending}" for split in SPLITS]
            name = f"{everything_name(ratio)}{ending}"
            texts[f"{name}.yaml"] = HEADER + EVERYTHING.format(name=name, tasks=_items(groups), version=VERSION)
    return texts


def drift() -> list[str]:
    """The names of files that are missing, differ from what would be written, or are not generated at all."""
    return generated.drift(FOLDER, files())


def main(arguments: list[str] | None = None) -> int:
    return generated.main(FOLDER, files(), __doc__, arguments)


def _leaf(leaf: Leaf) -> str:
    config = config_name(leaf.split, leaf.ratio or DEFAULT_RATIO)
    forgotten = FORGOTTEN if leaf.split in FORGOTTEN_SPLITS else ""
    return LEAF.format(task=leaf.task, forgotten=forgotten, name=leaf.name, config=config, version=VERSION)


def _group(name: str, members: list[Leaf]) -> str:
    metrics = LIKELIHOODS if members[0].task == LIKELIHOOD else COLUMNS
    columns = "".join(COLUMN.format(metric=metric) for metric in metrics).rstrip("\n")
    return GROUP.format(name=name, tasks=_items([leaf.name for leaf in members]), columns=columns, version=VERSION)


def _items(names: list[str]) -> str:
    return "\n".join(f"  - {name}" for name in names)


if __name__ == "__main__":
    sys.exit(main())
