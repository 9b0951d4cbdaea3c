"""What an interrupted measurement had reached, so that the next one goes on from there."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from torch import Tensor

from lmms_manu.measuring.checked_tensors import DamagedFileError, load_tensors, store_tensors

_VALUES = "values"


@dataclasses.dataclass(frozen=True)
class PartialValues:
    """The sum of the shards of a part that are done, and those that are measured in part, each in a file of its own.

    Args:
        folder: where they are; its name holds the key of the part, so that nothing of another one is ever read.
    """

    folder: Path

    def load(self, shard: int) -> tuple[Tensor, int] | None:
        """The joined values of a shard and the number of its batches that they hold; None if there are none."""
        try:
            tensors, about = load_tensors(self._path(shard))
        except (FileNotFoundError, DamagedFileError):
            return None
        return tensors[_VALUES], int(about["batches"])

    def save(self, shard: int, joined: Tensor, batches: int) -> None:
        """Keeps the joined values of a shard after `batches` of its batches."""
        store_tensors(self._path(shard), {_VALUES: joined}, {"batches": batches})

    def load_sum(self) -> tuple[Tensor, int] | None:
        """The joined values of the first shards together and how many they are; None if there are none."""
        try:
            tensors, about = load_tensors(self._sum)
        except (FileNotFoundError, DamagedFileError):
            return None
        return tensors[_VALUES], int(about["shards"])

    def save_sum(self, joined: Tensor, shards: int) -> None:
        """Keeps the joined values of the first `shards` shards together; what each left alone goes."""
        store_tensors(self._sum, {_VALUES: joined}, {"shards": shards})
        for shard in range(shards):
            self._path(shard).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forgets all shards, once their part is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _sum(self) -> Path:
        return self.folder / "sum.safetensors"

    def _path(self, shard: int) -> Path:
        return self.folder / f"shard-{shard:02d}.safetensors"
