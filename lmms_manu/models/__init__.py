"""Models of any architecture: loaded or wrapped, their MLP blocks, and their way from prompts to tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmms_manu.lazy import lazily

if TYPE_CHECKING:
    from lmms_manu.models.blocks import MlpBlock, find_mlp_blocks
    from lmms_manu.models.inputs import PromptEncoder
    from lmms_manu.models.loading import Checkpoint, load_checkpoint
    from lmms_manu.models.rendering import PromptRenderer
    from lmms_manu.models.settings import ModelSettings
    from lmms_manu.models.wrapping import wrap

__all__ = [
    "Checkpoint",
    "MlpBlock",
    "ModelSettings",
    "PromptEncoder",
    "PromptRenderer",
    "find_mlp_blocks",
    "load_checkpoint",
    "wrap",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Checkpoint": "lmms_manu.models.loading",
        "MlpBlock": "lmms_manu.models.blocks",
        "ModelSettings": "lmms_manu.models.settings",
        "PromptEncoder": "lmms_manu.models.inputs",
        "PromptRenderer": "lmms_manu.models.rendering",
        "find_mlp_blocks": "lmms_manu.models.blocks",
        "load_checkpoint": "lmms_manu.models.loading",
        "wrap": "lmms_manu.models.wrapping",
    },
)
