"""The record of the model that this process evaluates, for the tasks to write into their results."""

from __future__ import annotations

from lmms_manu.methods.record import EditRecord

_evaluated: EditRecord | None = None


def note_evaluated(record: EditRecord | None) -> None:
    """Makes the record of the model that this process evaluates known to the tasks; None for no model of ours."""
    global _evaluated
    _evaluated = record


def evaluated() -> EditRecord | None:
    """The record of the model that this process evaluates, None if it published none."""
    return _evaluated
