"""Edits that somebody wrote, applied again: `edit=FOLDER`, a mask's file, or the name of a hub repository."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from lmms_manu.editing.changes import KINDS, Change, PrunedNeurons
from lmms_manu.editing.mask import NeuronMask
from lmms_manu.errors import DataError, ModelError
from lmms_manu.measuring.fingerprints import weights_fingerprint
from lmms_manu.methods.finished import read_edit
from lmms_manu.methods.record import EditRecord
from lmms_manu.models.loading import Checkpoint
from lmms_manu.names import CHANGE_FOLDER, RECORD_FILE

MADE_WITH = "made_with"
"""The entry of a record's details with the record of the edit as it was first made."""


def load_edit(source: str, checkpoint: Checkpoint) -> tuple[Change, EditRecord]:
    """The change that `source` holds, checked against the model, and its record.

    Args:
        source: a folder with an edit, the file of a mask, or the name of a hub repository with an edit.
        checkpoint: the model that it will be applied to.

    Raises:
        DataError: there is no edit there, it is damaged, or it belongs to another model.
    """
    place = Path(source).expanduser()
    if place.is_file():
        return of_mask(NeuronMask.load(place), checkpoint, source)
    folder = place if place.is_dir() else _downloaded(source)
    if not (folder / RECORD_FILE).is_file():
        return of_mask(NeuronMask.load(folder), checkpoint, source)
    change, made = read_edit(folder)
    if isinstance(change, PrunedNeurons):
        _check_mask(change.mask, checkpoint)
    return change, _again(made, checkpoint, source)


def of_mask(
    mask: NeuronMask, checkpoint: Checkpoint, source: str, change: PrunedNeurons | None = None
) -> tuple[Change, EditRecord]:
    """The edit that a mask alone says, with the record that the mask was written with, as far as it has one.

    Args:
        mask: the mask.
        checkpoint: the model that it will be applied to.
        source: where it was found, for the record.
        change: how to prune, where that is not by zeros.
    """
    _check_mask(mask, checkpoint)
    pruned = change or PrunedNeurons(mask)
    try:
        made = EditRecord.from_dict(mask.details.get("record", {}))
    except ValueError:
        share = 100 * mask.count / max(mask.total, 1)
        made = EditRecord("mask", checkpoint.name, variant={"pruned": share}, units={"pruned": "%"})
    made = dataclasses.replace(made, change=pruned.kind, fingerprint=mask.fingerprint)
    return pruned, _again(made, checkpoint, source)


def _again(made: EditRecord, checkpoint: Checkpoint, source: str) -> EditRecord:
    """The record of an edit that is applied again."""
    settings = {**checkpoint.settings.as_dict(), "edit": source}
    return dataclasses.replace(
        made,
        checkpoint=checkpoint.name,
        seconds={},
        settings=settings,
        details={**made.details, MADE_WITH: made.as_dict()},
    )


def _check_mask(mask: NeuronMask, checkpoint: Checkpoint) -> None:
    try:
        weights = weights_fingerprint(checkpoint)
    except ModelError:
        weights = ""
    mask.check_fits(checkpoint.mlp_blocks, weights)


def _downloaded(source: str) -> Path:
    of_changes = [name for kind in KINDS.values() for name in kind.files]
    files = [RECORD_FILE, *of_changes, *(f"{CHANGE_FOLDER}/{name}" for name in of_changes)]
    try:
        return Path(snapshot_download(source, allow_patterns=files))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise DataError(
            f"edit={source!r} holds no edit: there is no such file or folder here, and the hub answered: {error}"
        ) from error
