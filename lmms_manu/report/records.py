"""Finds what a run recorded about its model and its protocol.

Every leaf of MLLMU-Bench carries it in the results file, as `configs`, LEAF, `metadata`, `run`: the dataset, the seed,
the exemplars, the judge and the edit. Runs of `lmms-manu evaluate` keep the edit in `edit.json` above the results too,
which is what tells for parts that consist of other benchmarks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lmms_manu.report.results import ResultsFile, TaskResult

EDIT_FILE = "edit.json"
_LEVELS = 3


def protocol_of(task: TaskResult) -> Mapping[str, Any]:
    """What a leaf recorded about its run; empty for other tasks."""
    metadata = task.config.get("metadata")
    run = metadata.get("run") if isinstance(metadata, Mapping) else None
    return run if isinstance(run, Mapping) else {}


def edit_of(results: ResultsFile) -> dict[str, Any]:
    """The record of how the model was edited; empty if the run left none, or the model was not edited."""
    for task in results.tasks:
        edit = protocol_of(task).get("edit")
        if isinstance(edit, Mapping):
            return dict(edit)
    if any(protocol_of(task) for task in results.tasks):
        return {}
    for folder in list(results.path.parents)[:_LEVELS]:
        edit = _read(folder / EDIT_FILE)
        if edit:
            return edit
    return {}


def _read(path: Any) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
