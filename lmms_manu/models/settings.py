"""Settings of the checkpoint that is loaded and of the device that it runs on."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, Literal

from lmms_manu import sources
from lmms_manu.errors import SettingError
from lmms_manu.models.patterns import parse_patterns
from lmms_manu.settings import Settings, setting

DEFAULT_CHECKPOINT = "MLLMMU/LLaVA_Vanilla"
DEFAULT_PROCESSOR = "llava-hf/llava-1.5-7b-hf"

ADAPTER_CONFIG = "adapter_config.json"
CHECKPOINT_CONFIGS = ("config.json", ADAPTER_CONFIG)
"""A folder that holds a checkpoint has one of these files."""

SOURCES = ("pretrained", "processor", "adapter")
"""The settings that name a checkpoint or a part of one, which machines may keep in different places."""


@dataclasses.dataclass(frozen=True)
class ModelSettings(Settings):
    """Which checkpoint to load, and how.

    Raises:
        SettingError: a value that its field does not allow, two values that exclude each other, or a path at which
            there is no folder.
    """

    pretrained: str | None = setting(
        None,
        f"Folder or hub name of a checkpoint, of pictures and text or of text alone, or of a peft adapter of one; "
        f"`{DEFAULT_CHECKPOINT}` if left out.",
    )
    processor: str | None = setting(
        None,
        f"Folder or hub name of the processor, for a checkpoint that has none of its own "
        f"(for `{DEFAULT_CHECKPOINT}`: `{DEFAULT_PROCESSOR}`); of a text-only checkpoint the tokenizer.",
    )
    adapter: str | None = setting(None, "Folder or hub name of a peft adapter that is merged into the checkpoint.")
    revision: str | None = setting(None, "Branch, tag or commit of the checkpoint on the hub.")
    device: str = setting("auto", "Device to run on; `auto` takes cuda, mps or cpu, in this order.", effect="rounding")
    device_map: dict[str, Any] | str | None = setting(
        None, "Spreads one model over several devices: `auto`, `balanced` or `sequential`.", effect="rounding"
    )
    offload_folder: str | None = setting(
        None, "Folder for the weights that `device_map` puts on disk.", effect="nothing"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = setting(
        "auto",
        "Type of the weights; `auto` is the type they are stored in, but bfloat16 on a GPU where that is float32.",
    )
    attn_implementation: str | None = setting(
        None, "Attention kernel, such as `sdpa`, `eager` or `flash_attention_2`; transformers' choice if left out."
    )
    trust_remote_code: bool = setting(False, "Runs code that comes with the checkpoint; off unless you trust it.")
    mlp_blocks: str | None = setting(
        None, "Patterns that name the MLP blocks of a model whose structure is not recognised."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_patterns(self.mlp_blocks or "")
        for name in SOURCES:
            source = getattr(self, name)
            if source is not None and sources.is_only_a_path(source):
                folder = sources.expanded(source)
                if not Path(folder).is_dir():
                    hub = "" if "/" in source else " A name on the hub has the form owner/name."
                    raise SettingError(f"{name}={source!r}: there is no such folder.{hub}{nearest_checkpoint(folder)}")
                object.__setattr__(self, name, folder)
        if self.revision is not None and Path(self.checkpoint).is_dir():
            raise SettingError(
                f"revision={self.revision!r} has no effect: pretrained={self.checkpoint!r} is a folder here, and "
                "revisions are the hub's. Leave it out."
            )
        if self.device_map is not None and self.device != "auto":
            raise SettingError(
                f"device={self.device!r} and device_map={self.device_map!r} exclude each other: "
                "device puts the whole model on one device, device_map spreads it."
            )
        if self.offload_folder is not None and self.device_map is None:
            raise SettingError(f"offload_folder={self.offload_folder!r} has no effect without device_map.")

    @property
    def checkpoint(self) -> str:
        """The name or folder that the weights come from."""
        return self.pretrained or DEFAULT_CHECKPOINT

    @property
    def processor_source(self) -> str:
        """The name or folder that the processor comes from."""
        if self.processor:
            return self.processor
        return DEFAULT_PROCESSOR if self.checkpoint == DEFAULT_CHECKPOINT else self.checkpoint


@dataclasses.dataclass(frozen=True)
class HeldModelSettings(ModelSettings):
    """What there is to say of a model that the user loaded or made, so that no file speaks for its weights."""

    name: str = setting("", "What records call the model.")

    @property
    def checkpoint(self) -> str:
        return self.name


def nearest_checkpoint(source: str) -> str:
    """A hint at the checkpoint's folder beside `source` that has the most similar name; empty if nothing is near."""
    return sources.nearest_folder(source, _may_be_checkpoint)


def _may_be_checkpoint(folder: Path) -> bool:
    # Not by Path.is_file, which stops where a folder may not be looked into.
    return any(os.path.isfile(folder / name) for name in CHECKPOINT_CONFIGS) or any(folder.glob("*.safetensors"))
