"""What an unlearning method is, and the record it leaves; imports no torch, so that tasks can read the record."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lmms_manu.names import RECORD_FILE
from lmms_manu.settings import Settings

if TYPE_CHECKING:  # torch and transformers, which a record needs none of
    from lmms_manu.methods.data import UnlearningData
    from lmms_manu.models.loading import Checkpoint


BEFORE = "before"
"""The entry of a record's details with the record of an edit that the weights had when they were loaded."""

LOADED_FROM = "loaded_from"
"""The entry of a record's details with the checkpoint that was loaded edited as the record says."""


@dataclass(frozen=True)
class EditRecord:
    """How a model was edited, as JSON can hold it; it goes into results files, model cards and masks.

    Args:
        method: the name in the registry, such as "manu".
        checkpoint: the name or folder of the unedited weights.
        recipe: the variant of the method, None where there is none or nothing was edited.
        prune_rate: the share of neurons that was to be pruned, in percent; None for a method that prunes none, 0 for
            a model as it was.
        forget_ratio: the ratio of the people forgotten, in percent; None if it is not known or nobody was.
        mask_fingerprint: of the pruned neurons, None if there are none.
        pruned: for each tower how many neurons were pruned and how many it has.
        seconds: what each stage took.
        settings: every setting of the method and the data.
        versions: of the libraries.
        details: what else the method has to tell.
    """

    method: str
    checkpoint: str
    recipe: str | None = None
    prune_rate: float | None = None
    forget_ratio: int | None = None
    mask_fingerprint: str | None = None
    pruned: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The record for JSON; the fingerprint is called `mask` there."""
        entries = dataclasses.asdict(self)
        entries["mask"] = entries.pop("mask_fingerprint")
        entries["pruned"] = {tower: list(counts) for tower, counts in self.pruned.items()}
        return entries

    @classmethod
    def of_checkpoint(cls, folder: str | os.PathLike[str]) -> EditRecord | None:
        """The record that an edited checkpoint was written with; None where there is none, or nothing was edited."""
        try:
            entries = json.loads(Path(folder, RECORD_FILE).read_text(encoding="utf-8"))
            entries["mask_fingerprint"] = entries.pop("mask")
            known = {field.name for field in dataclasses.fields(cls)}
            record = cls(**{name: value for name, value in entries.items() if name in known})
            pruned = {tower: (int(count), int(total)) for tower, (count, total) in record.pruned.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return dataclasses.replace(record, pruned=pruned) if record.is_edited else None

    @property
    def is_edited(self) -> bool:
        """Whether any weight was changed; a method that prunes nothing always changes some."""
        return self.mask_fingerprint is not None or self.prune_rate is None

    def summary(self) -> str:
        """One sentence for people: what was pruned per tower, of how many, in how many seconds."""
        if not self.is_edited:
            why = f"{self.prune_rate:g} % is less than one neuron" if self.prune_rate else "nothing was edited"
            return f"{self.checkpoint} as it is: {why}."
        towers = ", ".join(f"{count} of {total} {tower} neurons" for tower, (count, total) in self.pruned.items())
        stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in self.seconds.items())
        name = " ".join(filter(None, (self.method, self.recipe)))
        rate = "" if self.prune_rate is None else f" at {self.prune_rate:g} %"
        done = "edited" if self.mask_fingerprint is None else f"pruned {towers}"
        mask = "" if self.mask_fingerprint is None else f"; mask {self.mask_fingerprint[:12]}"
        earlier = f"{self.details[LOADED_FROM]}, edited before by " if LOADED_FROM in self.details else ""
        return f"{earlier}{name}{rate}: {done} ({stages}{mask})."


class Method(Protocol):
    """A way of unlearning: a folder with settings, arithmetic, and a class of this form, named in the registry.

    A method may measure, take gradients, and change weights as it likes; it is given all it may need, and nothing
    outside its folder knows how it works.
    """

    name: str
    settings: tuple[type[Settings], ...]
    """The classes of settings that the method takes besides those of the data."""

    def needs_data(self, settings: tuple[Any, ...]) -> bool:
        """Whether the people's data is read at all: not to apply a finished edit, or to leave the model as it is."""

    def edit(self, checkpoint: Checkpoint, data: UnlearningData | None, settings: tuple[Any, ...]) -> EditRecord:
        """Edits the model in place.

        Args:
            checkpoint: the loaded model.
            data: the people to forget and to retain, None where `needs_data` says no.
            settings: an instance of each of the classes in `settings`, in their order.

        Raises:
            ModelError: the weights cannot be edited; raised before anything is measured.
        """


_published: EditRecord | None = None


def publish(record: EditRecord | None) -> None:
    """Makes the record of the model that this process evaluates known to the tasks; None for no model of ours."""
    global _published
    _published = record


def published() -> EditRecord | None:
    """The record of the model that this process evaluates, None if it published none."""
    return _published
