"""What is measured at a time: the examples of one set in one modality. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lmms_manu.errors import DataError
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.names import MODALITIES

SETS = ("forget", "retain")


class Part(NamedTuple):
    """A part of the data.

    Args:
        set: one of `SETS`.
        modality: one of `MODALITIES`.
    """

    set: str
    modality: str

    def __str__(self) -> str:
        """Its name in files, records and messages, such as `forget/text`."""
        return f"{self.set}/{self.modality}"

    @classmethod
    def named(cls, name: str) -> Part:
        """The part that `str` gives this name."""
        return cls(*name.split("/"))


PARTS = tuple(Part(group, modality) for group in SETS for modality in MODALITIES)

Parts = Mapping[Part, Sequence[RenderedExample]]
"""What a model reads of each part."""


def parts_with_examples(parts: Parts) -> tuple[Part, ...]:
    """The parts that can be measured, in the order of `PARTS`: those of each modality that there are examples of.

    Raises:
        DataError: one set has examples of a modality and the other has none, or there are none at all.
    """
    there = [part for part in PARTS if parts.get(part)]
    modalities = [modality for modality in MODALITIES if any(part.modality == modality for part in there)]
    for part in PARTS:
        if part not in there and (part.modality in modalities or not modalities):
            raise DataError(f"There is no {part.modality} sample of the {part.set} set to measure neurons on.")
    return tuple(there)
