"""Loading a checkpoint: processor, weights, adapter, device."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import model_info, try_to_load_from_cache
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    PreTrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.utils import cached_file

from lmms_manu.environment import rank_and_world
from lmms_manu.errors import ModelError, SettingError, first_line
from lmms_manu.models.settings import (
    ADAPTER_CONFIG,
    CHECKPOINT_CONFIGS,
    DEFAULT_PROCESSOR,
    ModelSettings,
    nearest_folder,
)

_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_PROCESSOR_CONFIG = "processor_config.json"
_CONFIGURATIONS = (*CHECKPOINT_CONFIGS, _PROCESSOR_CONFIG, "preprocessor_config.json")
_HUB_SECONDS = 10.0
_CHAT_NEEDS = ("tokenizer", "image_processor")


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model with everything that is needed to ask it.

    Args:
        model: the model, in evaluation mode, adapters merged.
        processor: tokenizer and image processor; pads on the left.
        device: where inputs have to be put.
        settings: what it was loaded with.
        system_prompt: what it is told before every conversation; empty for nothing.
    """

    model: PreTrainedModel
    processor: ProcessorMixin
    device: torch.device
    settings: ModelSettings
    system_prompt: str = ""

    @property
    def name(self) -> str:
        """The name or folder that the weights come from."""
        return self.settings.checkpoint

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    @property
    def context_length(self) -> int | None:
        """The number of tokens that prompt and answer may have together; None if the model states none."""
        length = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return length if isinstance(length, int) and length > 0 else None


def load_checkpoint(settings: ModelSettings) -> Checkpoint:
    """Loads processor, weights (safetensors only) and adapter.

    Raises:
        ModelError: there is no such checkpoint, it has no processor, its weights are pickled, or an adapter cannot be
            merged into them.
        SettingError: the device does not exist here.
    """
    device = resolve_device(settings)
    _check_sources(settings)
    base, adapter = _base_and_adapter(settings)
    if adapter is not None and not _has_file(adapter, _ADAPTER_WEIGHTS):
        raise ModelError(f"adapter={adapter!r} has no {_ADAPTER_WEIGHTS}: pickled weights are not loaded.")
    source: dict[str, Any] = {
        "revision": settings.revision if base == settings.checkpoint else None,
        "trust_remote_code": settings.trust_remote_code,
    }
    try:
        config = AutoConfig.from_pretrained(base, **source)
    except Exception as error:  # every type checks its fields in its own way
        raise ModelError(f"pretrained={base!r} cannot be loaded: {_reason(error)}") from error
    processor = load_processor(settings, config if settings.processor_source == base else None)
    options: dict[str, Any] = {**source, "config": config, "dtype": settings.dtype, "use_safetensors": True}
    for name in ("attn_implementation", "device_map", "offload_folder"):
        if (value := getattr(settings, name)) is not None:
            options[name] = value
    try:
        model: Any = AutoModelForImageTextToText.from_pretrained(base, **options)
    except ImportError as error:
        raise ModelError(
            f"{_load_failure(base, error)} Install what is missing, or leave attn_implementation and device_map out."
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(_load_failure(base, error)) from error
    if adapter is not None:
        model = merge_adapter(model, adapter)
    if settings.device_map is None:
        model = model if model.device == device else model.to(device)
    elif model.device.type != "meta":
        # Where even the first weights are offloaded, inputs go to the device that computes, which is `device`.
        device = model.device
    # transformers' own classes come so; code that comes with a checkpoint may not.
    if model.training:
        model.eval()
    return Checkpoint(model, processor, device, settings)


def load_processor(settings: ModelSettings, config: PreTrainedConfig | None = None) -> ProcessorMixin:
    """The processor of a checkpoint, padding on the left; reads no weights.

    Args:
        settings: names it.
        config: the configuration of the model at the same place, which need not be read again.

    Raises:
        ModelError: there is none, or it lacks a tokenizer or an image processor.
    """
    source = settings.processor_source
    options: dict[str, Any] = {
        "revision": settings.revision if source == settings.checkpoint else None,
        "trust_remote_code": settings.trust_remote_code,
    }
    try:
        named = None if config is None else _named_processor(source, options["revision"])
        if named is None:
            processor = AutoProcessor.from_pretrained(source, **options)
        else:
            processor = named.from_pretrained(source, config=config, **options)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise ModelError(_no_processor(settings, _reason(error))) from error
    for part in _CHAT_NEEDS:
        # Where a checkpoint has no processor, AutoProcessor may give a bare tokenizer or image processor instead.
        if getattr(processor, part, None) is None:
            raise ModelError(_no_processor(settings, f"what is there has no {part.replace('_', ' ')}"))
    tokenizer = processor.tokenizer
    if isinstance(tokenizer.init_kwargs.get("config"), PreTrainedConfig):
        # A processor that names its tokenizer's class passes all on to it, which would be saved with it.
        del tokenizer.init_kwargs["config"]
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return processor


def _named_processor(source: str, revision: str | None) -> type[ProcessorMixin] | None:
    """The class of transformers that AutoProcessor would find, where a configuration matters to its tokenizer alone.

    AutoProcessor drops a configuration that it is given, so that the tokenizer reads it once more; the class hands it
    on to all its parts. Those that their own settings leave unnamed, or that bring code, must not get their class from
    it.
    """
    file = _file(source, _PROCESSOR_CONFIG, revision)
    text = Path(file).read_text(encoding="utf-8") if file else "{}"
    try:
        said = json.loads(text)
        named = getattr(transformers, said["processor_class"])
        if "auto_map" in text or not issubclass(named, ProcessorMixin):
            return None
        parts = [part for part in named.get_attributes() if part != "tokenizer"]
        known = all(hasattr(transformers, said[part][f"{part}_type"]) for part in parts)
    except (KeyError, ValueError, TypeError, AttributeError):
        # Whatever is wrong with it, AutoProcessor knows what else there is or says what is missing.
        return None
    return named if known else None


def resolve_device(settings: ModelSettings) -> torch.device:
    """The device that `settings.device` means in this process; with several processes each has its own GPU.

    Raises:
        SettingError: there is no such device here, or it belongs to another process.
    """
    name = settings.device
    if name == "auto":
        name = _best_device()
    if name == "cuda":
        name = _own_gpu()
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingError(
            f"device={settings.device!r} is not a device: use auto, cpu, mps, cuda or cuda:0."
        ) from error
    world = rank_and_world()[1]
    if world > 1 and device.type == "cuda" and str(device) != _own_gpu():
        raise SettingError(
            f"device={settings.device!r} is one GPU for {world} processes, of which each has one of its own (this one "
            f"{_own_gpu()}): leave device out."
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SettingError(
            f"device={str(device)!r} is not there: this machine has {torch.cuda.device_count()} CUDA devices. "
            "Start at most one process per device, or use device=cpu."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SettingError("device='mps' is not there: this machine has no Metal device. Use device=cpu.")
    return device


def _own_gpu() -> str:
    """The GPU of this process among those that it sees."""
    # Launchers other than torchrun and accelerate may show each process no GPU but its own.
    if "LOCAL_WORLD_SIZE" not in os.environ and torch.cuda.device_count() == 1:
        return "cuda:0"
    return f"cuda:{int(os.environ.get('LOCAL_RANK') or 0)}"


def _best_device() -> str:
    # The variable by which accelerate is told to leave the GPUs alone.
    if os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes"):
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_sources(settings: ModelSettings) -> None:
    """Looks for what the arguments name.

    Raises:
        ModelError: a name is neither a folder's nor known to the hub or its local cache, or the checkpoint's is that of
            a folder without one.
    """
    checkpoint, processor = settings.checkpoint, settings.processor_source
    _check_source("pretrained", checkpoint, settings.revision)
    if Path(checkpoint).is_dir() and not any(_has_file(checkpoint, name) for name in CHECKPOINT_CONFIGS):
        raise ModelError(
            f"pretrained={checkpoint!r} is a folder without a checkpoint: it has no {' or '.join(CHECKPOINT_CONFIGS)}. "
            "Name the folder that holds these files."
        )
    if processor != checkpoint:
        _check_source("processor", processor)
    if settings.adapter is not None:
        _check_source("adapter", settings.adapter)


def _check_source(argument: str, source: str, revision: str | None = None) -> None:
    """Asks once for a name: left to themselves, the loaders try every file that they may need, several times.

    Raises:
        ModelError: it is neither a folder's nor known to the hub or its local cache.
    """
    if Path(source).is_dir():
        return
    try:
        if not _is_cached(source, revision):
            model_info(source, revision=revision, timeout=_HUB_SECONDS)
    except Exception as error:  # whatever the reason: of the name, the network, the token or the hub
        raise ModelError(
            f"{argument}={source!r} is neither a folder here nor reachable on the hub ({first_line(error)})."
            f"{nearest_folder(source)}"
        ) from error


def _is_cached(source: str, revision: str | None) -> bool:
    return any(isinstance(try_to_load_from_cache(source, name, revision=revision), str) for name in _CONFIGURATIONS)


def _base_and_adapter(settings: ModelSettings) -> tuple[str, str | None]:
    """The checkpoint to load and the adapter to merge; `pretrained` may itself be an adapter."""
    if not _has_file(settings.checkpoint, ADAPTER_CONFIG, settings.revision):
        return settings.checkpoint, settings.adapter
    if settings.adapter:
        raise SettingError(f"pretrained={settings.checkpoint!r} is itself an adapter: leave adapter= out.")
    base = _peft().PeftConfig.from_pretrained(settings.checkpoint).base_model_name_or_path
    if not base:
        raise ModelError(
            f"The adapter {settings.checkpoint!r} does not say which checkpoint it belongs to: "
            "give that one as pretrained= and this one as adapter=."
        )
    _check_source("the adapter's base_model_name_or_path", base)
    if _has_file(base, ADAPTER_CONFIG) and not _has_file(base, "config.json"):
        raise ModelError(
            f"The adapter {settings.checkpoint!r} belongs to {base!r}, which is an adapter itself: merge that one into "
            "its checkpoint first (peft's merge_and_unload), give what is saved there as pretrained= and this one as "
            "adapter=."
        )
    return base, settings.checkpoint


def merge_adapter(model: PreTrainedModel, adapter: str) -> PreTrainedModel:
    """The model with the weights of a peft adapter added to its own.

    Args:
        model: the model; its weights are changed.
        adapter: folder or hub name of the adapter.

    Raises:
        ModelError: weights are offloaded, so that there is no place for the sum.
    """
    if any(parameter.device.type == "meta" for parameter in model.parameters()):
        raise ModelError(
            f"adapter={adapter!r} cannot be merged: the devices have no room for all weights, so that some of them are "
            "offloaded. Merge the adapter where they fit (peft's merge_and_unload) and give what is saved there as "
            "pretrained=."
        )
    merged: PreTrainedModel = _peft().PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return merged


def _peft() -> Any:
    try:
        import peft  # optional: only checkpoints that come as adapters need it
    except ImportError as error:
        raise ModelError("This checkpoint is a peft adapter: pip install peft.") from error
    return peft


def _has_file(source: str, name: str, revision: str | None = None) -> bool:
    return _file(source, name, revision) is not None


def _file(source: str, name: str, revision: str | None = None) -> str | None:
    """Where a file of a checkpoint lies on this machine, fetched if need be; None if the checkpoint has none."""
    if Path(source).is_dir():
        path = Path(source) / name
        return str(path) if path.is_file() else None
    try:
        return cached_file(source, name, revision=revision)
    except OSError:
        return None


def _load_failure(source: str, error: Exception) -> str:
    if Path(source).is_dir() and not list(Path(source).glob("*.safetensors")):
        pickled = [path.name for path in Path(source).glob("*.bin")]
        if pickled:
            return f"pretrained={source!r} has only pickled weights ({pickled[0]}): store them as safetensors first."
        return f"pretrained={source!r} has no weights (*.safetensors)."
    return f"pretrained={source!r} cannot be loaded: {_reason(error)}"


def _reason(error: Exception) -> str:
    if "trust_remote_code" not in str(error):
        return first_line(error)
    return f"{first_line(error)} Read that code, and if you trust it give trust_remote_code=True."


def _no_processor(settings: ModelSettings, reason: str) -> str:
    return (
        f"No usable processor in {settings.processor_source!r} ({reason}). Name one with the argument processor, "
        f"such as processor={DEFAULT_PROCESSOR}."
    )
