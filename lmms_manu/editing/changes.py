"""What an edit changes in a model, as a thing of its own: applied, kept, found again, published.

Each kind knows how to apply itself to a loaded checkpoint, how to write itself into a folder and how to read itself
back; `read_change` finds the kind by name. Applying a change twice does what applying it once does.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from lmms_manu.editing.mask import FILE_NAME, NeuronMask
from lmms_manu.editing.remove import check_removable, remove_neurons
from lmms_manu.editing.weights import edit_weight, read_weight
from lmms_manu.editing.zero import check_editable, verify_zeros, zero_neurons
from lmms_manu.errors import DataError, ModelError
from lmms_manu.files import write_json
from lmms_manu.measuring.checked_tensors import DamagedFileError, load_tensors, store_tensors
from lmms_manu.models.adapters import merge_adapter
from lmms_manu.models.loading import Checkpoint
from lmms_manu.names import CHANGE_FOLDER


class Change(abc.ABC):
    """What an edit changes in a model."""

    kind: ClassVar[str]
    """Its name in records."""

    files: ClassVar[tuple[str, ...]]
    """The names of what `save` writes, some of which may be missing."""

    is_small: ClassVar[bool]
    """Whether these files are small beside a checkpoint's weights."""

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Changes whenever what is done to a model does."""

    @abc.abstractmethod
    def apply(self, checkpoint: Checkpoint) -> Checkpoint:
        """Changes the model in place and returns the checkpoint to go on with.

        Raises:
            DataError: it was made for another model.
            ModelError: the weights cannot be edited.
        """

    @abc.abstractmethod
    def save(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Writes it into a folder that exists, with the record of the edit where the file has a place for it."""

    @classmethod
    @abc.abstractmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            DataError: it is missing or damaged.
        """


@dataclasses.dataclass(frozen=True)
class PrunedNeurons(Change):
    """Neurons whose weights are set to zero, or taken out of the matrices.

    Args:
        mask: which neurons.
        mode: `zero` or `remove`; both have the same effect on answers.
    """

    kind = "mask"
    is_small = True
    files = (FILE_NAME,)

    mask: NeuronMask
    mode: Literal["zero", "remove"] = "zero"

    @property
    def fingerprint(self) -> str:
        return self.mask.fingerprint

    def apply(self, checkpoint: Checkpoint) -> Checkpoint:
        blocks = checkpoint.mlp_blocks
        check_editable(checkpoint.model, blocks)
        if self.mode == "remove":
            check_removable(checkpoint.model, blocks)
        zero_neurons(checkpoint.model, blocks, self.mask)
        verify_zeros(checkpoint.model, blocks, self.mask)
        if self.mode == "remove":
            remove_neurons(checkpoint.model, blocks, self.mask)
            vars(checkpoint).pop("mlp_blocks")  # they have fewer neurons than those that were found
        return checkpoint

    def save(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.with_record(about).mask.save(folder)

    def with_record(self, about: Mapping[str, Any]) -> PrunedNeurons:
        """The same with a mask that holds the record of the edit, for whoever gets the mask alone."""
        details = {**self.mask.details, "record": dict(about), "mode": self.mode}
        return dataclasses.replace(self, mask=dataclasses.replace(self.mask, details=details))

    @classmethod
    def load(cls, folder: Path) -> Self:
        mask = NeuronMask.load(folder)
        return cls(mask, "remove" if mask.details.get("mode") == "remove" else "zero")


@dataclasses.dataclass(frozen=True)
class ChangedTensors(Change):
    """New values of some of a model's parameters.

    Args:
        tensors: by the parameters' names, on the CPU, of the parameters' own shapes and types.
    """

    kind = "tensors"
    is_small = False
    files = ("tensors.safetensors",)

    tensors: Mapping[str, Tensor]

    @classmethod
    def of(cls, model: torch.nn.Module, names: tuple[str, ...]) -> ChangedTensors:
        """The present values of these parameters of `model`."""
        return cls({name: read_weight(model, name).to("cpu", copy=True).contiguous() for name in names})

    @functools.cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in sorted(self.tensors):
            tensor = self.tensors[name]
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def apply(self, checkpoint: Checkpoint) -> Checkpoint:
        known = dict(checkpoint.model.named_parameters(remove_duplicate=False))
        for name, tensor in self.tensors.items():
            if name not in known:
                raise DataError(
                    f"The edit changes {name}, which {checkpoint.name} does not have: it is of another model."
                )
            if known[name].shape != tensor.shape:
                raise DataError(
                    f"The edit changes {name} of the shape {tuple(tensor.shape)}, which has the shape "
                    f"{tuple(known[name].shape)} in {checkpoint.name}: it is of another model."
                )
            if not known[name].is_floating_point():
                raise ModelError(f"{name} cannot be edited: its values are {known[name].dtype}.")
            edit_weight(checkpoint.model, name, functools.partial(_copy, new=tensor))
        return checkpoint

    def save(self, folder: Path, about: Mapping[str, Any]) -> None:
        store_tensors(folder / self.files[0], self.tensors, {"record": dict(about)})

    @classmethod
    def load(cls, folder: Path) -> Self:
        try:
            return cls(load_tensors(folder / cls.files[0])[0])
        except (FileNotFoundError, DamagedFileError) as error:
            raise DataError(f"The changed weights in {folder} cannot be read: {error}") from error


@dataclasses.dataclass(frozen=True)
class TrainedAdapter(Change):
    """A peft adapter that is merged into the weights.

    Args:
        folder: where `adapter_config.json` and `adapter_model.safetensors` are; they must stay there.
    """

    kind = "adapter"
    is_small = False
    files = ("adapter_config.json", "adapter_model.safetensors")

    folder: Path

    @functools.cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in self.files:
            content = (self.folder / name).read_bytes()
            digest.update(f"{name} {len(content)}\n".encode() + content)
        return digest.hexdigest()

    def apply(self, checkpoint: Checkpoint) -> Checkpoint:
        model, merged = merge_adapter(checkpoint.model, str(self.folder))
        return dataclasses.replace(checkpoint, model=model, adapter=merged)

    def save(self, folder: Path, about: Mapping[str, Any]) -> None:
        for name in self.files:
            shutil.copyfile(self.folder / name, folder / name)

    @classmethod
    def load(cls, folder: Path) -> Self:
        for name in cls.files:
            if not (folder / name).is_file():
                raise DataError(f"The adapter in {folder} has no {name}.")
        return cls(folder)


@dataclasses.dataclass(frozen=True)
class SystemPrompt(Change):
    """A text in front of every conversation; no weight is changed.

    Args:
        text: the system prompt.
    """

    kind = "system_prompt"
    is_small = True
    files = ("system_prompt.json",)

    text: str

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def apply(self, checkpoint: Checkpoint) -> Checkpoint:
        return dataclasses.replace(checkpoint, system_prompt=self.text)

    def save(self, folder: Path, about: Mapping[str, Any]) -> None:
        write_json(folder / self.files[0], {"system_prompt": self.text})

    @classmethod
    def load(cls, folder: Path) -> Self:
        try:
            return cls(json.loads((folder / cls.files[0]).read_text(encoding="utf-8"))["system_prompt"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"The system prompt in {folder} cannot be read: {error}") from error


def _copy(weight: Tensor, new: Tensor) -> None:
    weight.copy_(new)


KINDS: Mapping[str, type[Change]] = {
    kind.kind: kind for kind in (PrunedNeurons, ChangedTensors, TrainedAdapter, SystemPrompt)
}


def read_change(kind: str, folder: Path) -> Change:
    """The change of this kind in a folder, or in that of an exported checkpoint.

    Raises:
        DataError: there is no such kind, or its files are missing or damaged.
    """
    if kind not in KINDS:
        raise DataError(f"The edit in {folder} is of the kind {kind!r}; known are {', '.join(KINDS)}.")
    below = folder / CHANGE_FOLDER
    is_below = any((below / name).is_file() for name in KINDS[kind].files)
    return KINDS[kind].load(below if is_below else folder)
