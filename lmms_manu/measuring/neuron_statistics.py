"""The result of a measurement: statistics of every neuron, by part and name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmms_manu.errors import DataError
from lmms_manu.measuring.checked_tensors import DamagedFileError, load_tensors, store_tensors
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.parts import PARTS, Part
from lmms_manu.measuring.statistics import MOMENTS

KIND = "activation statistics"


@dataclasses.dataclass(frozen=True)
class NeuronStatistics:
    """Statistics of every neuron on each part of the data that was measured.

    Args:
        names: of the statistics.
        parts: by part `[statistics, neurons]`, float64, in the order of `names`.
        layout: which neuron is which.
        about: what they were measured on and with, for people and for records.
        measured: how many of the parts were measured now; the others were known from before.
        seconds: what that took.

    Example:
        >>> layout = NeuronLayout((BlockEntry("mlp", "language", 0, 2),))
        >>> found = NeuronStatistics(("count", "absolute"), {Part("forget", "text"): torch.ones(2, 2)}, layout)
        >>> found(Part("forget", "text"), "absolute")
        tensor([1., 1.])
    """

    names: tuple[str, ...]
    parts: Mapping[Part, Tensor]
    layout: NeuronLayout
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    measured: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        wanted = (len(self.names), self.layout.neurons)
        for part, values in self.parts.items():
            if values.shape != wanted:
                raise ValueError(f"The statistics of {part} have the shape {tuple(values.shape)}: {wanted} is needed.")

    def __call__(self, part: Part, name: str) -> Tensor:
        """One statistic of a part, `[neurons]`."""
        return self.parts[part][self.names.index(name)]

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those that were measured."""
        return tuple(dict.fromkeys(part.modality for part in self.parts))

    def save(self, path: str | Path) -> None:
        """Writes them into one safetensors file."""
        about = {"kind": KIND, "names": self.names, "layout": self.layout.as_json(), "about": dict(self.about)}
        store_tensors(Path(path), {str(part): values for part, values in self.parts.items()}, about)

    @classmethod
    def load(cls, path: str | Path) -> NeuronStatistics:
        """Reads what `save` wrote, or version 0.1.

        Raises:
            DataError: the file is missing, damaged, or holds something else.
        """
        try:
            tensors, written = load_tensors(Path(path))
        except (FileNotFoundError, DamagedFileError) as error:
            raise DataError(f"{path} holds no statistics that can be read: {error}") from error
        if written.get("kind") != KIND:
            raise DataError(f"{path} holds no activation statistics: write some with lmms-manu measure --output.")
        if "names" in written:
            parts = {part: tensors[str(part)].to(torch.float64) for part in PARTS if str(part) in tensors}
        else:  # of version 0.1: [sets, modalities, statistics, neurons]
            parts = dict(zip(PARTS, tensors["sums"].to(torch.float64).flatten(0, 1), strict=True))
        names = tuple(written.get("names", [statistic.name for statistic in MOMENTS]))
        return cls(names, parts, NeuronLayout.from_json(written["layout"]), written["about"])
