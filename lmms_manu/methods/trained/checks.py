"""What can be refused before any weight is read: by configurations, shapes and the number of samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmms_manu.errors import DataError, SettingError
from lmms_manu.models.settings import ModelSettings
from lmms_manu.training.settings import TrainingSettings

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from lmms_manu.methods.data import UnlearningData

_SAME = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers")


def check_checkpoint(model: ModelSettings, config: TrainingSettings) -> None:
    """Refuses a checkpoint that cannot be trained so.

    Raises:
        ModelError: it has no such parts.
        SettingError: it is quantised and its weights themselves are to be trained, or no layer of it takes an adapter.
    """
    # Torch, which a refusal of arguments needs none of.
    from lmms_manu.models.loading import configuration_of, model_without_weights
    from lmms_manu.training.trained_weights import adapted_layers, chosen_parameters

    quantised = _quantisation(configuration_of(model))
    if quantised and config.tuning == "full":
        raise SettingError(
            f"tuning=full cannot train pretrained={model.checkpoint!r}: its weights are quantised "
            f"({quantised.get('quant_method', 'of an unnamed kind')}). Use tuning=lora, or the checkpoint in bfloat16."
        )
    if model.device_map is not None and config.tuning == "full" and model.offload_folder is not None:
        raise SettingError(
            f"offload_folder={model.offload_folder!r} with tuning=full: no weight on disk can be trained. Leave it out."
        )
    if (shapes := model_without_weights(model)) is not None:
        (adapted_layers if config.tuning == "lora" else chosen_parameters)(shapes, config)


def check_samples(config: TrainingSettings, data: UnlearningData, sets: Iterable[str]) -> None:
    """Refuses samples that cannot be trained on so.

    Args:
        config: the training.
        data: the samples.
        sets: the sets of it that are learnt from, of `forget` and `retain`.

    Raises:
        DataError: there is none of the modalities, or one has no answer.
        SettingError: there are fewer than `train_steps` needs.
    """
    by_modality: dict[str, int] = {}
    for name in sets:
        for modality, examples in getattr(data, name).items():
            if modality not in config.trained_modalities:
                continue
            by_modality[modality] = by_modality.get(modality, 0) + len(examples)
            for example in examples:
                if not example.answer.strip():
                    raise DataError(
                        f"{example.label} of the set to {name} has no answer: there is nothing to train. Give it one, "
                        "or leave it out."
                    )
    if not by_modality:
        raise DataError(
            f"modalities={config.modalities}: there is no such sample to learn from. Give other modalities, or samples "
            "of these."
        )
    config.check_steps(by_modality)


def check_reference(reference: str, model: ModelSettings) -> None:
    """Refuses a reference that is not there or of another architecture, as far as configurations can tell.

    Raises:
        ModelError: it is nowhere.
        SettingError: naming what differs.
    """
    # Torch, which a refusal of arguments needs none of.
    from lmms_manu.models.loading import configuration_of
    from lmms_manu.models.repository import check_source

    if reference.startswith((".", "/", "~")) and not Path(reference).expanduser().is_dir():
        raise SettingError(f"reference={reference!r}: there is no such folder.")
    check_source("reference", reference)
    own, other = configuration_of(model), configuration_of(ModelSettings(pretrained=reference))
    if own is None or other is None:
        return
    mine, theirs = _shape(own), _shape(other)
    if differing := [f"{name} {theirs[name]} in place of {mine[name]}" for name in mine if mine[name] != theirs[name]]:
        raise SettingError(
            f"reference={reference!r} is of another architecture than pretrained={model.checkpoint!r} "
            f"({', '.join(differing)}): name one that was made from the same base model, or vanilla."
        )


def _quantisation(configuration: PreTrainedConfig | None) -> Mapping[str, Any]:
    """The settings of a checkpoint's quantisation; empty if it has none."""
    found = getattr(configuration, "quantization_config", None) or {}
    return found if isinstance(found, Mapping) else dict(found.to_dict())


def _shape(configuration: PreTrainedConfig) -> dict[str, Any]:
    text = configuration.get_text_config()
    return {name: getattr(configuration if name == "model_type" else text, name, None) for name in _SAME}
