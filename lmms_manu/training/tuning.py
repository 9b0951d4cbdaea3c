"""What is trained: adapters beside the weights, or the weights themselves, and the change that is left at the end."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmms_manu.editing.changes import Change, ChangedTensors, TrainedAdapter
from lmms_manu.errors import ModelError
from lmms_manu.files import write_json
from lmms_manu.models.loading import Checkpoint
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.trained_weights import adapted_layers, chosen_parameters, parameters_by_part

# How peft names the matrix of an adapter that starts at zero, and what it puts before the names of a model.
_OUT = ".lora_B."
_AROUND = "base_model.model."
_HALF = (torch.float16, torch.bfloat16)


class Tuning:
    """A model that is ready to be trained; `restore` gives back what was loaded.

    Args:
        checkpoint: the model; its structure or its values are changed until `restore`.
        settings: what is trained.
    """

    model: Any
    """What is run: the model itself, or the one with adapters around it."""

    originals: Mapping[str, Tensor] | None = None
    """The values before training of the parameters that are trained; None where they lie in an adapter."""

    def __init__(self, checkpoint: Checkpoint, settings: TrainingSettings) -> None:
        self._base: Any = checkpoint.model
        self._name = checkpoint.name
        self._graded = {name: parameter.requires_grad for name, parameter in self._base.named_parameters()}
        self._parts = parameters_by_part(self._base)
        self.half = self._base.dtype in _HALF
        """Whether the weights are of half precision, so that what is trained needs a wider type."""

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that the optimiser changes, by name."""
        return {name: each for name, each in self.model.named_parameters() if each.requires_grad}

    def counts(self, change: Change) -> dict[str, tuple[int, int]]:
        """For each part, how many of its weight tensors `change` changes, and how many it has."""
        touched = self._touched(change)
        parts = {part: [name for name, own in self._parts.items() if own == part] for part in self._parts.values()}
        return {part: (sum(name in touched for name in names), len(names)) for part, names in sorted(parts.items())}

    def change(self) -> Change:
        """What the training has changed so far.

        Raises:
            ModelError: nothing.
        """
        raise NotImplementedError

    def restore(self) -> None:
        """Takes out of the model what the training has put into it."""
        for name, parameter in self._base.named_parameters():
            parameter.requires_grad_(self._graded[name])
            parameter.grad = None
        self._base.eval()

    def _touched(self, change: Change) -> set[str]:
        """The names of the parameters that `change` changes."""
        raise NotImplementedError


class Adapters(Tuning):
    """Low-rank adapters of linear layers (LoRA, Hu et al., 2022), made by peft."""

    def __init__(self, checkpoint: Checkpoint, settings: TrainingSettings) -> None:
        super().__init__(checkpoint, settings)
        self._layers = adapted_layers(self._base, settings)
        peft = _peft()
        config = peft.LoraConfig(
            r=settings.lora_rank,
            lora_alpha=settings.lora_alpha,
            lora_dropout=settings.lora_dropout,
            target_modules=self._layers,
            init_lora_weights="gaussian",
        )
        self.model = peft.get_peft_model(self._base, config)

    def change(self) -> Change:
        if not any(each.any() for name, each in self.trained.items() if _OUT in name):
            raise ModelError(unchanged())
        folder = Path(tempfile.mkdtemp(prefix="lmms-manu-adapter-"))
        self.model.save_pretrained(str(folder), save_embedding_layers=False)
        # peft writes sets, whose order differs between processes.
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        config |= {"target_modules": sorted(self._layers), "base_model_name_or_path": self._name}
        write_json(folder / "adapter_config.json", dict(sorted(config.items())))
        change = TrainedAdapter(folder)
        weakref.finalize(change, shutil.rmtree, folder, ignore_errors=True)
        return change

    def restore(self) -> None:
        self.model.unload()
        super().restore()

    def _touched(self, change: Change) -> set[str]:
        moved = [name for name, each in self.trained.items() if _OUT in name and each.any()]
        return {f"{name.removeprefix(_AROUND).partition(_OUT)[0]}.weight" for name in moved}


class Weights(Tuning):
    """The weights themselves; those of half precision are trained in float32 and rounded at the end."""

    def __init__(self, checkpoint: Checkpoint, settings: TrainingSettings) -> None:
        super().__init__(checkpoint, settings)
        self.model = self._base
        names = chosen_parameters(self._base, settings)
        self._dtypes = {name: self._base.get_parameter(name).dtype for name in names}
        self.originals = {name: self._base.get_parameter(name).detach().clone() for name in names}
        for name, parameter in self._base.named_parameters():
            parameter.requires_grad_(name in self._dtypes)
            if name in self._dtypes and self.half:
                parameter.data = parameter.data.float()

    def change(self) -> Change:
        assert self.originals is not None
        tensors = {}
        for name, original in self.originals.items():
            trained = self._base.get_parameter(name).detach().to(original.dtype)
            if not torch.equal(trained, original):
                tensors[name] = trained.to("cpu", copy=True).contiguous()
        if not tensors:
            raise ModelError(unchanged())
        return ChangedTensors(tensors)

    def restore(self) -> None:
        assert self.originals is not None
        for name, original in self.originals.items():
            self._base.get_parameter(name).data = original
        self.originals = None
        super().restore()

    def _touched(self, change: Change) -> set[str]:
        assert isinstance(change, ChangedTensors)
        return set(change.tensors)


def make_tuning(checkpoint: Checkpoint, settings: TrainingSettings) -> Tuning:
    """Makes a checkpoint's model ready to be trained.

    Raises:
        ModelError: its weights cannot be trained where they are.
        SettingError: nothing matches what is to be trained.
    """
    model: Any = checkpoint.model
    if any(parameter.device.type == "meta" for parameter in model.parameters()):
        raise ModelError(
            f"{checkpoint.name} cannot be trained: some of its weights are offloaded, because the devices have no room "
            "for all. Use larger devices, a smaller dtype, or leave device_map out."
        )
    if getattr(model.config, "is_encoder_decoder", False):
        raise ModelError(f"{checkpoint.name} has an encoder and a decoder: only decoders can be trained.")
    tuning = Adapters(checkpoint, settings) if settings.tuning == "lora" else Weights(checkpoint, settings)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return tuning


def unchanged() -> str:
    """What is said of a training without an effect."""
    return (
        "The training changed no weight: its learning rate is too small for the weights' dtype, or its losses had no "
        "gradient. Raise learning_rate or epochs."
    )


def _peft() -> Any:
    try:
        import peft  # optional: only adapters need it
    except ImportError as error:
        raise ModelError("tuning=lora needs peft: pip install peft, or use tuning=full.") from error
    return peft
