"""Loading a checkpoint: processor, weights, adapter, device."""

from __future__ import annotations

import dataclasses
import inspect
import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedConfig,
    PreTrainedModel,
)

from lmms_manu.errors import ModelError
from lmms_manu.models.adapters import MergedAdapter, base_and_adapter, merge_adapter
from lmms_manu.models.blocks import MlpBlock, find_mlp_blocks
from lmms_manu.models.completeness import refuse_incomplete
from lmms_manu.models.devices import resolve_device
from lmms_manu.models.processors import Processor, load_processor
from lmms_manu.models.rendering import takes_pictures, tokenizer_of
from lmms_manu.models.repository import check_source, has_file, reason_of
from lmms_manu.models.settings import CHECKPOINT_CONFIGS, HeldModelSettings, ModelSettings

logger = logging.getLogger(__name__)

_OPTIONS = ("attn_implementation", "device_map", "offload_folder")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A loaded model with everything that is needed to ask it.

    Args:
        model: the model, in evaluation mode, adapters merged.
        processor: tokenizer and image processor, or the tokenizer of a text-only model; pads on the left.
        device: where inputs have to be put.
        settings: what it was loaded with.
        system_prompt: the system prompt before every conversation; empty for none.
        adapter: what was merged into the weights, None for nothing.
        narrowed: whether weights that are stored in float32 were loaded in bfloat16 without being asked for in it.
    """

    model: PreTrainedModel
    processor: Processor
    device: torch.device
    settings: ModelSettings
    system_prompt: str = ""
    adapter: MergedAdapter | None = None
    narrowed: bool = False

    @property
    def name(self) -> str:
        """The name or folder that the weights come from."""
        return self.settings.checkpoint

    @property
    def is_held(self) -> bool:
        """Whether it is a model that the user loaded or made, of whose weights no file tells."""
        return isinstance(self.settings, HeldModelSettings)

    @property
    def tokenizer(self) -> Any:
        return tokenizer_of(self.processor)

    @property
    def takes_pictures(self) -> bool:
        """Whether the model sees pictures; a text-only one does not."""
        return takes_pictures(self.processor)

    @property
    def context_length(self) -> int | None:
        """The number of tokens that prompt and answer may have together; None if the model states none."""
        length = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return length if isinstance(length, int) and length > 0 else None

    @cached_property
    def mlp_blocks(self) -> tuple[MlpBlock, ...]:
        """The MLP blocks of both towers, found once; errors as in `find_mlp_blocks`."""
        return find_mlp_blocks(self.model, self.settings.mlp_blocks)

    def accepts(self, argument: str) -> bool:
        """Whether the model's forward pass declares this argument, such as `logits_to_keep`."""
        return argument in inspect.signature(self.model.forward).parameters


def is_text_only(settings: ModelSettings) -> bool:
    """Whether the configuration is one of a model without pictures; False where it cannot be read."""
    config = configuration_of(settings)
    return config is not None and _loader(config) is AutoModelForCausalLM


def configuration_of(settings: ModelSettings) -> PreTrainedConfig | None:
    """The configuration of a checkpoint, of an adapter that of its base; None where it cannot be read."""
    if isinstance(settings, HeldModelSettings):  # its name is that of no file; what it is shows once it is asked
        return None
    try:
        base, _ = base_and_adapter(settings)
        revision = settings.revision if base == settings.checkpoint else None
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            base, revision=revision, trust_remote_code=settings.trust_remote_code
        )
    except Exception:  # loading will say what is wrong with it
        return None
    return config


def model_without_weights(settings: ModelSettings) -> PreTrainedModel | None:
    """The modules and shapes of a checkpoint's model, on the meta device; None where they cannot be told beforehand."""
    config = configuration_of(settings)
    if config is None:
        return None
    try:
        with torch.device("meta"):
            made: PreTrainedModel = _loader(config).from_config(config, trust_remote_code=settings.trust_remote_code)
    except Exception:  # loading will say what is wrong with it
        return None
    return made


def stored_dtype(config: PreTrainedConfig) -> torch.dtype | None:
    """The type that a configuration says its weights are stored in; None where it says none."""
    stored = getattr(config, "dtype", None)
    return getattr(torch, stored.removeprefix("torch.")) if isinstance(stored, str) else stored


def is_narrowed(settings: ModelSettings, config: PreTrainedConfig, device: torch.device) -> bool:
    """Whether weights that are stored in float32 are loaded in bfloat16, because nobody asked for another type.

    A GPU computes several times slower in float32, and holds half as much of it.
    """
    return settings.dtype == "auto" and device.type == "cuda" and stored_dtype(config) == torch.float32


def dtype_on_card(settings: ModelSettings, config: PreTrainedConfig) -> torch.dtype:
    """The type that weights are loaded in on a GPU; bfloat16 where neither settings nor configuration say any."""
    if settings.dtype != "auto":
        return getattr(torch, settings.dtype)  # type: ignore[no-any-return]
    if is_narrowed(settings, config, torch.device("cuda")):
        return torch.bfloat16
    return stored_dtype(config) or torch.bfloat16


def load_checkpoint(settings: ModelSettings) -> Checkpoint:
    """Loads processor, weights (safetensors only) and adapter.

    A model that takes pictures is loaded as one of image-text-to-text, another one as a causal language model.

    Raises:
        ModelError: there is no such checkpoint, it has no processor, its weights are pickled, or they or an adapter's
            do not fit the model.
        SettingError: the device does not exist here.
    """
    device = resolve_device(settings)
    base, adapter, source, config = _find(settings)
    loader = _loader(config)
    processor = load_processor(settings, config, pictures=loader is AutoModelForImageTextToText)
    options = {name: value for name in _OPTIONS if (value := getattr(settings, name)) is not None}
    narrowed = is_narrowed(settings, config, device)
    if narrowed:
        logger.warning(
            "%s is stored in float32 and loaded in bfloat16 on %s, with half the memory: give dtype=float32 to compare "
            "with runs in it.",
            base,
            device,
        )
    dtype = torch.bfloat16 if narrowed else settings.dtype
    model = _load_weights(loader, base, {**source, **options, "config": config, "dtype": dtype})
    merged = None
    if adapter is not None:
        model, merged = merge_adapter(model, adapter)
    if settings.device_map is None:
        if model.device != device:
            model.to(device)  # type: ignore[arg-type]  # declared for modules, not for their subclass
    elif model.device.type != "meta":
        # Where even the first weights are offloaded, inputs go to the device that computes, which is `device`.
        device = model.device
    # transformers' own classes come so; code that comes with a checkpoint may not.
    if model.training:
        model.eval()
    return Checkpoint(model, processor, device, settings, adapter=merged, narrowed=narrowed)


def check_files(folder: Path) -> None:
    """Raises unless a folder's weights have the names and shapes that its configuration alone demands; reads no values.

    Raises:
        ModelError: naming the weights that are missing, superfluous or of another shape.
    """
    config: PreTrainedConfig = AutoConfig.from_pretrained(folder)
    _load_weights(_loader(config), str(folder), {"config": config, "device_map": "meta"})


def checkpoint_without_weights(settings: ModelSettings) -> Checkpoint:
    """A checkpoint of whose weights nothing is read, for whoever only makes prompts for it.

    Raises:
        ModelError: there is no such checkpoint, or it has no processor.
    """
    _, _, _, config = _find(settings)
    processor = load_processor(settings, config, pictures=_loader(config) is AutoModelForImageTextToText)
    model = model_without_weights(settings)
    if model is None:
        raise ModelError(f"pretrained={settings.checkpoint!r} is of a model that cannot be made without its weights.")
    return Checkpoint(model, processor, torch.device("cpu"), settings)


def _find(settings: ModelSettings) -> tuple[str, str | None, dict[str, Any], PreTrainedConfig]:
    """The checkpoint to load, the adapter to merge, how to read the checkpoint's files, and its configuration.

    Raises:
        ModelError: there is no such checkpoint, or none of its configuration.
    """
    check_sources(settings)
    base, adapter = base_and_adapter(settings)
    source: dict[str, Any] = {
        "revision": settings.revision if base == settings.checkpoint else None,
        "trust_remote_code": settings.trust_remote_code,
    }
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(base, **source)
    except Exception as error:  # every type checks its fields in its own way
        raise ModelError(f"pretrained={base!r} cannot be loaded: {reason_of(error)}") from error
    return base, adapter, source, config


def _loader(config: PreTrainedConfig) -> Any:
    """The class of transformers that loads a model of this configuration."""
    own_code = getattr(config, "auto_map", None) or {}
    for loader, mapping in (
        (AutoModelForImageTextToText, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING),
        (AutoModelForCausalLM, MODEL_FOR_CAUSAL_LM_MAPPING),
    ):
        if loader.__name__ in own_code or type(config) in mapping:
            return loader
    # Of a type that is neither, it says which types it knows.
    return AutoModelForImageTextToText


def _load_weights(loader: Any, source: str, options: Mapping[str, Any]) -> PreTrainedModel:
    """The model with all of its weights.

    Raises:
        ModelError: they cannot be read, or are not those of the model.
    """
    try:
        model: PreTrainedModel
        # Weights of another shape come into the report instead of an error that does not name them.
        model, report = loader.from_pretrained(
            source, use_safetensors=True, ignore_mismatched_sizes=True, output_loading_info=True, **options
        )
    except ImportError as error:
        raise ModelError(
            f"{_load_failure(source, error)} Install what is missing, or leave attn_implementation and device_map out."
        ) from error
    except Exception as error:  # of the files, the kernels, the devices or the memory
        raise ModelError(_load_failure(source, error)) from error
    refuse_incomplete(source, model, report)
    return model


def check_sources(settings: ModelSettings) -> None:
    """Looks for what the arguments name.

    Raises:
        ModelError: a name is neither a folder's nor known to the hub or its local cache, or the checkpoint's is that of
            a folder without one.
    """
    checkpoint, processor = settings.checkpoint, settings.processor_source
    check_source("pretrained", checkpoint, settings.revision)
    if Path(checkpoint).is_dir() and not any(has_file(checkpoint, name) for name in CHECKPOINT_CONFIGS):
        raise ModelError(
            f"pretrained={checkpoint!r} is a folder without a checkpoint: it has no {' or '.join(CHECKPOINT_CONFIGS)}. "
            "Name the folder that holds these files."
        )
    if processor != checkpoint:
        check_source("processor", processor)
    if settings.adapter is not None:
        check_source("adapter", settings.adapter)


def _load_failure(source: str, error: Exception) -> str:
    if Path(source).is_dir() and not list(Path(source).glob("*.safetensors")):
        pickled = [path.name for path in Path(source).glob("*.bin")]
        if pickled:
            return f"pretrained={source!r} has only pickled weights ({pickled[0]}): store them as safetensors first."
        return f"pretrained={source!r} has no weights (*.safetensors)."
    return f"pretrained={source!r} cannot be loaded: {reason_of(error)}"
