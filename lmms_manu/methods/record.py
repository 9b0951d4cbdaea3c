"""The record that an edit leaves, of whatever method; imports no torch, so that tasks and reports can read it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmms_manu.names import RECORD_FILE

SCHEMA = 2
UNEDITED = "none"
"""The method of a model that nothing was changed in."""

BEFORE = "before"
"""The entry of a record's details with the record of an edit that the weights had when they were loaded."""

PARAMETERS = "parameters"
"""The entry of a record's details with how many parameters the model has that was loaded."""

LOADED_FROM = "loaded_from"
"""The entry of a record's details with the checkpoint that was loaded edited as the record says."""

Value = str | int | float | bool
"""What a variant holds for each of its names."""


@dataclasses.dataclass(frozen=True)
class EditRecord:
    """How a model was edited, as JSON can hold it; it goes into results files, model cards and masks.

    Args:
        method: the name in the registry, such as "manu"; "none" where nothing was edited.
        checkpoint: the name or folder of the unedited weights.
        change: the kind of what was changed, such as "mask" or "tensors"; None where nothing was.
        variant: what tells the method's runs apart, in the order of a label, such as {"recipe": "paper",
            "prune_rate": 2.0}.
        units: of the numbers in `variant`, such as {"prune_rate": "%"}.
        strength: the entry of `variant` that a curve has as its axis; None if there is none.
        fingerprint: of what was changed (mask, adapter or weights); None where nothing was.
        forgotten: whom it was to forget, such as {"benchmark": "mllmu", "forget_ratio": 5}; empty if that is unknown.
        samples: how many samples of each part of the data the method was given, such as {"forget/text": 60}.
        description: a paragraph for people and model cards, with the method's citation.
        counts: for each kind of part how many were changed and how many there are, such as {"language": (20, 1024)}.
        unit: what `counts` counts.
        seconds: what each stage took.
        settings: every setting of the model, the data and the method.
        versions: of the libraries.
        details: what else the method has to tell.

    Example:
        >>> variant, units = {"recipe": "paper", "prune_rate": 2.0}, {"prune_rate": "%"}
        >>> record = EditRecord("manu", "MLLMMU/LLaVA_Vanilla", change="mask", variant=variant, units=units)
        >>> record.label, record.edited
        ('manu paper 2 %', True)
        >>> EditRecord.from_dict(record.as_dict()) == record
        True
    """

    method: str
    checkpoint: str
    change: str | None = None
    variant: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)
    strength: str | None = None
    fingerprint: str | None = None
    forgotten: Mapping[str, str | int] = dataclasses.field(default_factory=dict)
    samples: Mapping[str, int] = dataclasses.field(default_factory=dict)
    description: str = ""
    counts: Mapping[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    unit: str = "neurons"
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def edited(self) -> bool:
        """Whether the model answers otherwise than the checkpoint does by itself."""
        return self.change is not None

    @property
    def parameters(self) -> int | None:
        """How many parameters the model has; None where that was not recorded."""
        found = self.details.get(PARAMETERS)
        return found if isinstance(found, int) else None

    @property
    def label(self) -> str:
        """A name for tables, such as `manu paper 2 %`."""
        return " ".join([self.method, *(self._word(name, value) for name, value in self.variant.items())])

    def _word(self, name: str, value: Value) -> str:
        """A part of the label: texts and numbers with a unit speak for themselves."""
        if isinstance(value, str):
            return value
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        unit = self.units.get(name)
        return f"{name.replace('_', ' ')} {shown}" if unit is None else f"{shown} {unit}"

    def summary(self) -> str:
        """One sentence for people: what was done, to how much of it, in how many seconds."""
        stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in self.seconds.items())
        if not self.edited:
            why = "nothing was edited" if self.method == UNEDITED else f"{self.label} changed nothing"
            return f"{self.checkpoint} as it is: {why}."
        counted = ", ".join(f"{count} of {total} {part} {self.unit}" for part, (count, total) in self.counts.items())
        mark = "" if self.fingerprint is None else f"{str(self.change).replace('_', ' ')} {self.fingerprint[:12]}"
        earlier = f"{self.details[LOADED_FROM]}, edited before by " if LOADED_FROM in self.details else ""
        told = "; ".join(filter(None, (stages, mark)))
        return f"{earlier}{self.label}: edited {counted}".rstrip() + (f" ({told})." if told else ".")

    def as_dict(self) -> dict[str, Any]:
        """The record for JSON; the variant as pairs, since whoever writes JSON may sort the names of a table."""
        counts = {part: list(numbers) for part, numbers in self.counts.items()}
        variant = [list(pair) for pair in self.variant.items()]
        return {"schema": SCHEMA, **dataclasses.asdict(self), "variant": variant, "counts": counts}

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> EditRecord:
        """The record that `as_dict` wrote, of this version or of 0.1.

        Raises:
            ValueError: the entries are none of a record.
        """
        try:
            known = dict(entries) if "schema" in entries else _of_first_schema(entries)
            names = {field.name for field in dataclasses.fields(cls)}
            record = cls(**{name: value for name, value in known.items() if name in names})
            counts = {part: (int(count), int(total)) for part, (count, total) in record.counts.items()}
            return dataclasses.replace(record, variant=dict(record.variant), counts=counts)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"this is no record of an edit: {error}") from error

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> EditRecord | None:
        """The record in a file; None where there is no such file, or it is something else."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None

    @classmethod
    def of_checkpoint(cls, folder: str | os.PathLike[str]) -> EditRecord | None:
        """The record that an edited checkpoint was written with; None where there is none, or nothing was edited."""
        record = cls.read(Path(folder, RECORD_FILE))
        return record if record is not None and record.edited else None


def _of_first_schema(entries: Mapping[str, Any]) -> dict[str, Any]:
    """A record of version 0.1, which knew one method: neurons that are pruned by a recipe at a rate."""
    known = {"checkpoint": "", **entries}
    mask, rate = known.pop("mask"), known.pop("prune_rate", None)
    recipe, ratio = known.pop("recipe", None), known.pop("forget_ratio", None)
    known["counts"] = known.pop("pruned", {})
    known["fingerprint"] = mask
    known["change"] = "mask" if mask is not None else ("tensors" if rate is None else None)
    if rate == 0:
        known["method"] = UNEDITED
    else:
        variant = {"recipe": recipe, "prune_rate": rate}
        known["variant"] = {name: value for name, value in variant.items() if value is not None}
        known |= {"units": {"prune_rate": "%"}, "strength": None if rate is None else "prune_rate"}
    known["forgotten"] = {} if ratio is None else {"benchmark": "mllmu", "forget_ratio": ratio}
    return known
