"""Settings of the measurement."""

from __future__ import annotations

import dataclasses
from typing import Literal

from lmms_manu.settings import Settings, setting

Tokens = Literal["all", "last", "answer", "predicting"]


@dataclasses.dataclass(frozen=True)
class PassSettings(Settings):
    """What counts as an observation of a neuron, and how the samples are worked through.

    Raises:
        SettingError: a value that its field does not allow.
    """

    tokens: Tokens = setting(
        "all",
        "Which tokens of question and answer are observed in the language model: `all`, the question's `last`, those "
        "of the `answer`, or those `predicting` one of the answer. In the vision tower every patch of the picture is.",
    )
    statistics_batch_size: int = setting(
        4, "Samples in one forward pass of the measurement.", minimum=1, effect="rounding"
    )
    statistics_cache: bool = setting(
        True,
        "Keeps the statistics for other settings of the method.",
        effect="nothing",
    )


@dataclasses.dataclass(frozen=True)
class MeasureSettings(PassSettings):
    """What is measured of each neuron alone.

    Raises:
        SettingError: a value that its field does not allow.
    """

    tau: float = setting(0.1, "A neuron is active where |z| exceeds this; the paper's tau.", minimum=0)
