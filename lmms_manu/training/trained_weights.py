"""Which weights of a model belong to which of its parts, and which linear layers take an adapter."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import PreTrainedModel

from lmms_manu.errors import ModelError, SettingError, nearest
from lmms_manu.models.tower_names import LANGUAGE
from lmms_manu.models.towers import TowerMap
from lmms_manu.training.settings import PROJECTOR, TrainingSettings


def parameters_by_part(model: PreTrainedModel) -> dict[str, str]:
    """The part (language, projector, vision) of every parameter, by its name."""
    towers = _towers(model)
    return {name: _part(towers, name.rpartition(".")[0], parameter) for name, parameter in model.named_parameters()}


def chosen_parameters(model: PreTrainedModel, settings: TrainingSettings) -> list[str]:
    """The parameters that full training changes.

    Raises:
        ModelError: there are none, or they are quantised.
    """
    parts = parameters_by_part(model)
    chosen = [name for name, part in parts.items() if part in settings.trained_parts]
    if not chosen:
        raise ModelError(
            f"parts={settings.parts!r}: the model has no such part, only {', '.join(sorted(set(parts.values())))}."
        )
    for name in chosen:
        if not model.get_parameter(name).is_floating_point():
            raise ModelError(
                f"tuning=full cannot train {name}, whose values are {model.get_parameter(name).dtype}: the checkpoint "
                "is quantised. Use tuning=lora, or the checkpoint in bfloat16."
            )
    return chosen


def adapted_layers(model: PreTrainedModel, settings: TrainingSettings) -> list[str]:
    """The linear layers that get an adapter.

    Raises:
        SettingError: `lora_targets` and `parts` match none.
    """
    towers = _towers(model)
    output = model.get_output_embeddings()
    linear = {
        name: _part(towers, name, module.weight)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not output
    }
    in_parts = [name for name, part in linear.items() if part in settings.trained_parts]
    wanted = settings.targets
    chosen = [name for name in in_parts if wanted is None or name.rpartition(".")[2] in wanted]
    known = sorted({name.rpartition(".")[2] for name in in_parts})
    missing = [target for target in wanted or () if target not in known]
    if missing or not chosen:
        raise SettingError(
            f"lora_targets={settings.lora_targets!r} with parts={settings.parts!r}: no linear layer is called "
            f"{' or '.join(missing) or 'so'}.{nearest(missing[0], known) if missing else ''} There are "
            f"{', '.join(known) or 'none in these parts'}."
        )
    return chosen


def _towers(model: PreTrainedModel) -> TowerMap | None:
    """What tells the parts of a model; None where it is a language model and nothing else."""
    return TowerMap(model, ()) if model.config.get_text_config() is not model.config else None


def _part(towers: TowerMap | None, holder: str, weight: Tensor) -> str:
    if towers is None:
        return LANGUAGE
    return towers.tower_of(holder, weight.shape[-1]) or PROJECTOR


def language_layers(model: PreTrainedModel) -> list[str]:
    """The names of the language model's transformer layers, from the first to the last."""
    towers, parts = TowerMap(model, ()), _towers(model)
    found: dict[str, None] = {}
    for name, parameter in model.named_parameters():
        holder = name.rpartition(".")[0]
        layer = towers.layer_of(holder)
        if layer is not None and _part(parts, holder, parameter) == LANGUAGE:
            found[f"{layer.stack}.{layer.index}"] = None
    return list(found)
