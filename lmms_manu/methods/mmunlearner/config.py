"""Settings of MMUnlearner."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from lmms_manu.methods.trained.config import ForgettingSettings
from lmms_manu.settings import setting
from lmms_manu.training.settings import MULTIMODAL

NAME = "mmunlearner"
GOAL = "forget faces, keep text"


@dataclasses.dataclass(frozen=True)
class MMUnlearnerSettings(ForgettingSettings):
    """Gradient difference on pictured samples, with a mask over the weights that may forget.

    Raises:
        SettingError: a value that its field does not allow, or two that exclude each other.
    """

    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"trained_tokens": "answer", "modalities": MULTIMODAL},
        "released": {"trained_tokens": "all", "modalities": MULTIMODAL},
    }

    learning_rate: float = setting(1e-5, "The highest learning rate.", minimum=0)
    tuning: Literal["full"] = setting("full", "The weights themselves are trained: an adapter has no entries to mask.")
    modalities: Literal["multimodal"] | None = setting(None, "Samples with pictures are trained on.")
    parts: str = setting(
        "language+projector+vision", "The parts of the model that are trained, of language, projector, vision."
    )
    retain_weight: float = setting(1.0, "What a sample to retain counts beside one to forget.", minimum=0)
    saliency: float = setting(
        1.0,
        "How many times as much a weight has to matter for what is to be forgotten as for what is to be kept, to "
        "learn from the former; 0 masks nothing, which is gradient difference.",
        minimum=0,
    )
