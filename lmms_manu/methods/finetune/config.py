"""Settings of fine-tuning."""

from __future__ import annotations

import dataclasses
from typing import Literal

from lmms_manu.settings import setting
from lmms_manu.training.settings import TrainingSettings

FULL, RETAIN = "full", "retain"


@dataclasses.dataclass(frozen=True)
class FinetuneSettings(TrainingSettings):
    """Whom the model learns about.

    With `retain`, it goes through the same batches as with `full`, but for the samples of the people to forget.
    """

    set: Literal["full", "retain"] = setting(
        FULL,
        "The people to learn about: all of them, or those to `retain` alone, for a model that never met the others.",
    )
    epochs: float = setting(5.0, "Passes over the samples to learn from; 0.5 is half of them.", minimum=0)
