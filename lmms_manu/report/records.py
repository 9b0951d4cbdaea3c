"""Finds what a run recorded about its model and its protocol.

Every leaf of MLLMU-Bench carries it in the results file, as `configs`, LEAF, `metadata`, `run`: the dataset, the seed,
the exemplars, the judge and the edit. Runs of `lmms-manu evaluate` keep the edit in `edit.json` above the results too,
beside their `run.json`, which is what tells for parts that consist of other benchmarks; a checkpoint that `lmms-manu
prune` wrote, which any model of the harness may have evaluated, holds a file of that name as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmms_manu.methods.record import EditRecord
from lmms_manu.names import MANIFEST_FILE, MODELS, RECORD_FILE
from lmms_manu.report.results_file import ResultsFile, TaskResult


def protocol_of(task: TaskResult) -> Mapping[str, Any]:
    """What a leaf recorded about its run; empty for other tasks."""
    metadata = task.config.get("metadata")
    run = metadata.get("run") if isinstance(metadata, Mapping) else None
    return run if isinstance(run, Mapping) else {}


def edit_of(results: ResultsFile) -> EditRecord | None:
    """The record of how the model was edited; None if the run left none."""
    edits = (protocol_of(task).get("edit") for task in results.tasks)
    first = next((record for edit in edits if isinstance(edit, Mapping) and (record := _record(edit))), None)
    # Only `lmms-manu evaluate` puts the record of the model that it evaluated above the results.
    if first is None and results.model in MODELS and not any(protocol_of(task) for task in results.tasks):
        evaluated = next((folder for folder in results.folders if (folder / MANIFEST_FILE).is_file()), None)
        first = EditRecord.read(evaluated / RECORD_FILE) if evaluated else None
    if first is not None and first.edited:
        return first
    # Other models of the harness record no edit; the checkpoint does, if it is still there.
    written = EditRecord.of_checkpoint(results.checkpoint) if results.checkpoint else None
    return written or first


def _record(entries: Mapping[str, Any]) -> EditRecord | None:
    try:
        return EditRecord.from_dict(entries)
    except ValueError:
        return None
