"""What can be refused before any weight is read: by the configurations of checkpoints alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lmms_manu.errors import SettingError
from lmms_manu.models.settings import ADAPTER_CONFIG, ModelSettings
from lmms_manu.training.settings import TrainingSettings

_SAME = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers")


def check_checkpoint(model: ModelSettings, config: TrainingSettings) -> None:
    """Refuses a checkpoint that cannot be trained so.

    Raises:
        SettingError: it is quantised, and its weights themselves are to be trained.
    """
    quantised = (_configuration(model.checkpoint) or {}).get("quantization_config")
    if quantised and config.tuning == "full":
        raise SettingError(
            f"tuning=full cannot train pretrained={model.checkpoint!r}: its weights are quantised "
            f"({quantised.get('quant_method', 'of an unnamed kind')}). Use tuning=lora, or the checkpoint in bfloat16."
        )
    if model.device_map is not None and config.tuning == "full" and model.offload_folder is not None:
        raise SettingError(
            f"offload_folder={model.offload_folder!r} with tuning=full: no weight on disk can be trained. Leave it out."
        )


def check_reference(reference: str, model: ModelSettings) -> None:
    """Refuses a reference that is not there or of another architecture, as far as folders here can tell.

    Raises:
        SettingError: naming what differs.
    """
    if reference.startswith((".", "/", "~")) and not Path(reference).expanduser().is_dir():
        raise SettingError(f"reference={reference!r}: there is no such folder.")
    own, other = _configuration(model.checkpoint), _configuration(reference)
    if own is None or other is None:
        return
    mine, theirs = _shape(own), _shape(other)
    if differing := [f"{name} {theirs[name]} in place of {mine[name]}" for name in mine if mine[name] != theirs[name]]:
        raise SettingError(
            f"reference={reference!r} is of another architecture than pretrained={model.checkpoint!r} "
            f"({', '.join(differing)}): name one that was made from the same base model, or vanilla."
        )


def _configuration(source: str) -> dict[str, Any] | None:
    """The configuration of a checkpoint in a folder here, of an adapter that of its base; None if there is none."""
    folder = Path(source).expanduser()
    for name in ("config.json", ADAPTER_CONFIG):
        try:
            read: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return read if name == "config.json" else _configuration(str(read.get("base_model_name_or_path") or ""))
    return None


def _shape(configuration: dict[str, Any]) -> dict[str, Any]:
    text = configuration.get("text_config") or {}
    return {name: (configuration if name == "model_type" else {**configuration, **text}).get(name) for name in _SAME}
