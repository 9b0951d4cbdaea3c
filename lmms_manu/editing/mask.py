"""Which neurons are pruned: a set of indices for each MLP block, and where it came from."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from lmms_manu.errors import DataError
from lmms_manu.measuring.checked_tensors import (
    DamagedFileError,
    load_description,
    load_tensors,
    metadata_of,
    store_tensors,
)
from lmms_manu.models.blocks import MlpBlock
from lmms_manu.names import CHANGE_FOLDER
from lmms_manu.sources import is_hub_name

FILE_NAME = "mask.safetensors"
_NAMES = (FILE_NAME, f"{CHANGE_FOLDER}/{FILE_NAME}")
_FIRST_FORMAT, _FORMAT = "lmms-manu mask 1", "lmms-manu mask 2"
logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class NeuronMask:
    """The neurons to prune.

    Args:
        neurons: for each block its pruned neurons, ascending indices without repetition, int64 `[pruned]` on the CPU.
            Blocks without any may be left out.
        sizes: for each block of the model how many neurons it has.
        weights: the fingerprint of the weights that the mask was made for; empty if unknown.
        details: what else there is to record, as far as JSON can hold it: method, settings, data, scores.

    Raises:
        DataError: an index lies outside its block, is repeated or out of order, or a block has no size.
    """

    neurons: Mapping[str, torch.Tensor]
    sizes: Mapping[str, int]
    weights: str = ""
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, indices in self.neurons.items():
            size = self.sizes.get(name)
            if size is None:
                raise DataError(f"The mask prunes {name!r}, of which it does not say how many neurons it has.")
            if indices.dtype != torch.int64 or indices.dim() != 1 or indices.device.type != "cpu":
                raise DataError(f"The mask's indices of {name!r} are not a list of whole numbers (int64, on the CPU).")
            ascending = indices.numpy()
            if len(ascending) and (
                ascending[0] < 0 or ascending[-1] >= size or (ascending[1:] <= ascending[:-1]).any()
            ):
                raise DataError(f"The mask's indices of {name!r} are not ascending numbers from 0 to {size - 1}.")

    @classmethod
    def of_blocks(
        cls,
        blocks: Sequence[MlpBlock],
        indices: Sequence[torch.Tensor],
        weights: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> NeuronMask:
        """The mask of `indices`, one tensor a block in any order and on any device.

        Raises:
            DataError: as the class.
        """
        neurons = {
            block.name: chosen.detach().to("cpu", torch.int64).unique(sorted=True)
            for block, chosen in zip(blocks, indices, strict=True)
            if chosen.numel()
        }
        return cls(neurons, {block.name: block.neurons for block in blocks}, weights, details or {})

    @property
    def count(self) -> int:
        """How many neurons are pruned."""
        return sum(indices.numel() for indices in self.neurons.values())

    @property
    def total(self) -> int:
        """How many neurons the model's blocks have."""
        return sum(self.sizes.values())

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of the blocks, their sizes and the pruned indices, and of nothing else."""
        digest = hashlib.sha256()
        for name in sorted(self.sizes):
            digest.update(f"{name}:{self.sizes[name]}:".encode())
            digest.update(self.indices(name).numpy().astype("<i8").tobytes())
        return digest.hexdigest()

    def indices(self, block: str) -> torch.Tensor:
        """The pruned neurons of the block of this name, int64 `[pruned]`; empty if there are none."""
        return self.neurons.get(block, torch.empty(0, dtype=torch.int64))

    def in_order(self, blocks: Sequence[MlpBlock]) -> list[torch.Tensor]:
        """The pruned neurons of each of `blocks`."""
        return [self.indices(block.name) for block in blocks]

    def check_fits(self, blocks: Sequence[MlpBlock], weights: str = "") -> None:
        """Checks that the mask was made for a model of these `blocks`; warns where its weight files were others.

        Args:
            blocks: the blocks of the model to prune.
            weights: the fingerprint of its weights, empty to leave them unchecked.

        Raises:
            DataError: the model has other blocks, or blocks of other sizes.
        """
        sizes = {block.name: block.neurons for block in blocks}
        missing = [name for name in self.sizes if name not in sizes]
        surplus = [name for name in sizes if name not in self.sizes]
        if missing or surplus:
            example = f"{missing[0]!r}, which the model has not" if missing else f"no {surplus[0]!r}"
            raise DataError(
                f"The mask was made for another architecture: it has {example} ({len(self.sizes)} blocks, "
                f"the model {len(sizes)})."
            )
        for name, size in sizes.items():
            if self.sizes[name] != size:
                raise DataError(
                    f"The mask was made for a model of other shapes: {name!r} has {self.sizes[name]} neurons there and "
                    f"{size} here."
                )
        if weights and self.weights and weights != self.weights:
            logger.warning(
                "The mask was made for a model of the same shape from other weight files (fingerprint %s, here %s): "
                "unless they hold the same weights, it prunes neurons that may do something else in this model.",
                self.weights[:12],
                weights[:12],
            )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the mask as one safetensors file, whole or not at all; a folder gets `mask.safetensors`.

        Raises:
            DataError: there is another mask or another file; one with the same neurons stays as it is.
        """
        target = Path(path)
        if target.suffix != ".safetensors":
            target = target / FILE_NAME
        if target.exists():
            if self.load(target).fingerprint != self.fingerprint:
                raise DataError(
                    f"{target} holds another mask: name another file, or remove it; nothing is overwritten."
                )
            return target
        about = {"format": _FORMAT, "sizes": self.sizes, "weights": self.weights, "details": self.details}
        # int32 halves the file; no block has that many neurons.
        store_tensors(target, {name: indices.to(torch.int32) for name, indices in self.neurons.items()}, about)
        return target

    @classmethod
    def load(cls, source: str | os.PathLike[str], revision: str | None = None) -> NeuronMask:
        """Reads a mask.

        Args:
            source: a file, a folder that holds `mask.safetensors`, also below `edit`, or the name of a hub repository
                that does.
            revision: branch, tag or commit of a hub repository.

        Raises:
            DataError: there is no such mask, or the file is damaged or something else.
        """
        path = _locate(source, revision)
        try:
            metadata = metadata_of(path)
            if metadata.get("format") == _FIRST_FORMAT:
                return cls._of_first_format(path, metadata)
            about = load_description(path) if "about" in metadata else {}
            if about.get("format") != _FORMAT:
                raise DataError(f"{path} is no mask of lmms-manu (format {about.get('format')!r}, not {_FORMAT!r}).")
            tensors, about = load_tensors(path)
        except (FileNotFoundError, DamagedFileError) as error:
            raise DataError(f"The mask {path} cannot be read: {error}") from error
        neurons = {name: indices.to(torch.int64) for name, indices in tensors.items()}
        return cls(neurons, about["sizes"], about["weights"], about["details"])

    @classmethod
    def _of_first_format(cls, path: Path, metadata: dict[str, str]) -> NeuronMask:
        """A mask of version 0.1, with checksums of its own."""
        checksum = metadata.pop("checksum", None)
        if checksum != hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest():
            raise DataError(f"The mask {path} is damaged: what it says of itself does not match its checksum.")
        neurons = {name: indices.to(torch.int64) for name, indices in load_file(path).items()}
        mask = cls(neurons, json.loads(metadata["sizes"]), metadata["weights"], json.loads(metadata["details"]))
        if mask.fingerprint != metadata["fingerprint"]:
            raise DataError(f"The mask {path} is damaged: its indices do not match its fingerprint.")
        return mask


def _locate(source: str | os.PathLike[str], revision: str | None) -> Path:
    path = Path(source)
    if path.is_dir():
        path = next((place for name in _NAMES if (place := path / name).is_file()), path / FILE_NAME)
    if path.is_file():
        return path
    if path.suffix == ".safetensors" or not is_hub_name(str(source)):
        raise DataError(f"There is no mask at {str(source)!r}: neither a file, nor a folder with {FILE_NAME}.")
    # Imported here because only masks from the hub need it.
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        try:
            return Path(hf_hub_download(str(source), _NAMES[1], revision=revision))
        except (EntryNotFoundError, LocalEntryNotFoundError):
            return Path(hf_hub_download(str(source), FILE_NAME, revision=revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise DataError(
            f"There is no mask at {str(source)!r}: no such file or folder here, and the hub answered: {error}"
        ) from error
