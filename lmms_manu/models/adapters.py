"""Adapters of peft: which checkpoint one belongs to, and merging it so that all of it takes effect."""

from __future__ import annotations

import dataclasses
from typing import Any

from transformers import PreTrainedModel

from lmms_manu.errors import ModelError, SettingError, first_line
from lmms_manu.models.completeness import listed
from lmms_manu.models.repository import check_source, has_file
from lmms_manu.models.settings import ADAPTER_CONFIG, ModelSettings

_WEIGHTS = "adapter_model.safetensors"


@dataclasses.dataclass(frozen=True)
class MergedAdapter:
    """An adapter that was merged into the weights.

    Args:
        source: its folder or name on the hub.
        tensors: how many tensors it has, each of which found its place.
        modules: how many modules of the model they belong to.
    """

    source: str
    tensors: int
    modules: int


def base_and_adapter(settings: ModelSettings) -> tuple[str, str | None]:
    """The checkpoint to load and the adapter to merge; `pretrained` may itself be an adapter.

    Raises:
        SettingError: an adapter is named beside one.
        ModelError: the checkpoint below an adapter is not known, or is an adapter too; or an adapter's weights are
            pickled.
    """
    base, adapter = settings.checkpoint, settings.adapter
    if has_file(settings.checkpoint, ADAPTER_CONFIG, settings.revision):
        if settings.adapter:
            raise SettingError(f"pretrained={settings.checkpoint!r} is itself an adapter: leave adapter= out.")
        base, adapter = _base_of(settings.checkpoint), settings.checkpoint
    if adapter is not None and not has_file(adapter, _WEIGHTS):
        raise ModelError(f"adapter={adapter!r} has no {_WEIGHTS}: pickled weights are not loaded.")
    return base, adapter


def merge_adapter(model: PreTrainedModel, adapter: str) -> tuple[PreTrainedModel, MergedAdapter]:
    """The model with an adapter merged into its weights, and what of the adapter found its place.

    Raises:
        ModelError: some of the adapter's weights have no place in the model, it lacks some, or it cannot be merged.
    """
    if any(parameter.device.type == "meta" for parameter in model.parameters()):
        raise ModelError(
            f"adapter={adapter!r} cannot be merged: the devices have no room for all weights, so that some of them are "
            "offloaded. Merge the adapter where they fit (peft's merge_and_unload) and give what is saved there as "
            "pretrained=."
        )
    peft = _peft()
    try:
        wrapped = peft.PeftModel.from_pretrained(model, adapter)
        # from_pretrained keeps the report of what fitted to itself; weights loaded a second time are the same.
        report = wrapped.load_adapter(adapter, wrapped.active_adapter)
        merged = MergedAdapter(adapter, len(peft.get_peft_model_state_dict(wrapped)), _modules(wrapped))
    except Exception as error:  # every kind of adapter fails in its own way
        raise ModelError(f"adapter={adapter!r} cannot be loaded: {first_line(error)}") from error
    found = [
        f"{listed(sorted(report.unexpected_keys))} found no place in the {type(model).__name__}"
        if report.unexpected_keys
        else "",
        f"it lacks {listed(sorted(report.missing_keys))}" if report.missing_keys else "",
        "" if merged.tensors and merged.modules else "it changes nothing",
    ]
    if faults := "; ".join(filter(None, found)):
        raise ModelError(
            f"adapter={adapter!r} does not fit the checkpoint: {faults}. An adapter belongs to the whole model that it "
            "was trained on: name that one as pretrained=, or wrap the whole model when training."
        )
    try:
        return wrapped.merge_and_unload(), merged
    except Exception as error:  # such as those that add tokens to a prompt instead of changing weights
        raise ModelError(f"adapter={adapter!r} cannot be merged into the weights: {first_line(error)}") from error


def _base_of(adapter: str) -> str:
    """The checkpoint that an adapter says it belongs to."""
    try:
        base = _peft().PeftConfig.from_pretrained(adapter).base_model_name_or_path
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"The adapter {adapter!r} cannot be loaded: {first_line(error)}") from error
    if not base:
        raise ModelError(
            f"The adapter {adapter!r} does not say which checkpoint it belongs to: "
            "give that one as pretrained= and this one as adapter=."
        )
    check_source("the adapter's base_model_name_or_path", base)
    if has_file(base, ADAPTER_CONFIG) and not has_file(base, "config.json"):
        raise ModelError(
            f"The adapter {adapter!r} belongs to {base!r}, which is an adapter itself: merge that one into "
            "its checkpoint first (peft's merge_and_unload), give what is saved there as pretrained= and this one as "
            "adapter=."
        )
    return str(base)


def _modules(wrapped: Any) -> int:
    """How many modules of the model the adapter changes or takes the place of."""
    from peft.tuners.tuners_utils import BaseTunerLayer  # optional, like peft itself
    from peft.utils.other import AuxiliaryTrainingWrapper

    return sum(isinstance(module, (BaseTunerLayer, AuxiliaryTrainingWrapper)) for module in wrapped.modules())


def _peft() -> Any:
    try:
        import peft  # optional: only checkpoints that come as adapters need it
    except ImportError as error:
        raise ModelError("This checkpoint is a peft adapter: pip install peft.") from error
    return peft
