"""Edits that were kept along a training, so that one training gives a whole curve of strengths."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmms_manu.files import atomic_folder
from lmms_manu.methods.finished import write_edit
from lmms_manu.methods.record import EditRecord
from lmms_manu.training.train import Trained


def keep_along(folder: Path, trained: Trained, epochs: float, about: Mapping[str, Any]) -> None:
    """Writes the edits along the way, each into a folder such as `step-00020`, that `edit=` takes.

    Args:
        folder: is made.
        trained: the training that left them.
        epochs: those of the whole training.
        about: the record of the edit at its end.
    """
    last = EditRecord.from_dict(about)
    with atomic_folder("keep_in", folder) as scratch:
        for step, change in trained.along.items():
            reached = round(epochs * step / trained.steps, 6)
            curve = [point for point in trained.curve if point["step"] <= step]
            record = dataclasses.replace(
                last,
                fingerprint=change.fingerprint,
                variant={**last.variant, "epochs": reached},
                details={**last.details, "steps": step, "of_steps": trained.steps, "curve": curve},
            )
            place = scratch / f"step-{step:05}"
            place.mkdir()
            write_edit(place, change, record)
