"""Which runs are controls, and of which: the method of an edit says it of its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lmms_manu.errors import SettingError
from lmms_manu.methods.record import Value
from lmms_manu.methods.registry import method_class
from lmms_manu.report.runs import Run


def is_control(run: Run) -> bool:
    """Whether a run's edit is a control."""
    return controlled(run) is not None


def controls_of(run: Run, runs: Sequence[Run]) -> tuple[str, ...]:
    """The names of the runs that are controls of this one: of its method and checkpoint, and like its variant."""
    if run.edit is None or is_control(run):
        return ()
    mine = (run.edit.method, run.edit.checkpoint, dict(run.edit.variant))
    return tuple(
        other.name
        for other in runs
        if other.edit
        and (like := controlled(other)) is not None
        and (other.edit.method, other.edit.checkpoint, dict(like)) == mine
    )


def controlled(run: Run) -> Mapping[str, Value] | None:
    """The variant that a run is a control of; None for one that is none."""
    if run.edit is None or not run.edit.edited:
        return None
    try:
        return method_class(run.edit.method).controlled(run.edit)
    except SettingError:  # a method that is not installed here
        return None
