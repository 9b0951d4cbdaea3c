"""Settings of the methods that train, each with what its loss adds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from lmms_manu.errors import SettingError
from lmms_manu.methods.trained.config import ForgettingSettings
from lmms_manu.settings import setting

VANILLA = "vanilla"

_RETAIN_WEIGHT = "What a sample to retain counts beside one to forget."


@dataclasses.dataclass(frozen=True)
class AscentSettings(ForgettingSettings):
    """Gradient ascent."""


@dataclasses.dataclass(frozen=True)
class RetainSettings(ForgettingSettings):
    """A loss on the samples to forget beside one on those to retain."""

    retain_weight: float = setting(1.0, _RETAIN_WEIGHT, minimum=0)


@dataclasses.dataclass(frozen=True)
class NpoSettings(ForgettingSettings):
    """Negative preference optimisation."""

    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {**ForgettingSettings.recipes["paper"], "beta": 0.9},
        "released": {**ForgettingSettings.recipes["released"], "beta": 0.4},
    }

    beta: float | None = setting(
        None,
        "How soon a sample that has become less likely stops to count; the recipe's own if left out.",
        minimum=1e-6,
    )
    reference: str = setting(
        VANILLA,
        "What the likelihoods are compared with: `vanilla`, the model before the edit, or the folder or hub name of "
        "another one, such as one that was fine-tuned on the people to retain alone.",
    )
    retain_weight: float = setting(0.0, f"{_RETAIN_WEIGHT} 0 is NPO by itself.", minimum=0)


@dataclasses.dataclass(frozen=True)
class SimNpoSettings(RetainSettings):
    """NPO without a reference."""

    beta: float = setting(4.5, "How soon a sample that has become less likely stops to count.", minimum=1e-6)
    margin: float = setting(0.0, "How much less likely than even a sample is to become: the paper's gamma.")
    forget_weight: float = setting(0.125, "What a sample to forget counts.", minimum=0)


@dataclasses.dataclass(frozen=True)
class IdkSettings(RetainSettings):
    """Refusals in the place of the answers to forget."""

    refusal: str = setting("I don't know.", "What the model learns to answer about those to forget.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.refusal.strip():
            raise SettingError("refusal='' is no answer: leave it out for the usual one.")


@dataclasses.dataclass(frozen=True)
class RmuSettings(RetainSettings):
    """Misdirection of hidden states."""

    steered_layer: int | None = setting(
        None, "The language layer whose output is steered, from 0; one at a fifth of the depth if left out.", minimum=0
    )
    steering: float = setting(5.0, "How long the random direction is, in lengths of the hidden states.", minimum=0)


@dataclasses.dataclass(frozen=True)
class UndialSettings(ForgettingSettings):
    """Self-distillation with lowered logits."""

    lowering: float = setting(10.0, "How much the logit of the true token is lowered.", minimum=0)
    retain_weight: float = setting(0.0, f"{_RETAIN_WEIGHT} 0 is UNDIAL by itself.", minimum=0)
