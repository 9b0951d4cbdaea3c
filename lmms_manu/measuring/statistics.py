"""The result of a measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmms_manu.errors import DataError
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.stored import DamagedFileError, load_tensors, store_tensors
from lmms_manu.measuring.sums import MODALITIES, SETS, SUMS

KIND = "activation statistics"


@dataclass(frozen=True)
class Statistics:
    """Five sums per neuron, set and modality.

    Args:
        sums: `[2, 2, 5, neurons]`, float64, in the orders of `SETS`, `MODALITIES` and `SUMS`.
        layout: which neuron is which.
        about: what they were measured on and with, for people and for records.
        measured: how many of the four parts were measured now; the others were known from before.
        seconds: what that took.
    """

    sums: Tensor
    layout: NeuronLayout
    about: Mapping[str, Any] = field(default_factory=dict)
    measured: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        wanted = (len(SETS), len(MODALITIES), len(SUMS), self.layout.neurons)
        if self.sums.shape != wanted:
            raise ValueError(f"The sums have the shape {tuple(self.sums.shape)}: {wanted} is needed.")

    def save(self, path: str | Path) -> None:
        """Writes them into one safetensors file."""
        about = {"kind": KIND, "layout": self.layout.as_json(), "about": dict(self.about)}
        store_tensors(Path(path), {"sums": self.sums}, about)

    @classmethod
    def load(cls, path: str | Path) -> Statistics:
        """Reads what `save` wrote.

        Raises:
            DataError: the file is missing, damaged, or holds something else.
        """
        try:
            tensors, written = load_tensors(Path(path))
        except (FileNotFoundError, DamagedFileError) as error:
            raise DataError(f"{path} holds no statistics that can be read: {error}") from error
        if written.get("kind") != KIND:
            raise DataError(f"{path} holds no activation statistics: write some with lmms-manu measure --out.")
        return cls(tensors["sums"].to(torch.float64), NeuronLayout.from_json(written["layout"]), written["about"])
