"""Settings of a training, whatever its loss; they need no torch."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from lmms_manu.errors import SettingError, one_of
from lmms_manu.models.tower_names import LANGUAGE, VISION
from lmms_manu.settings import Settings, setting
from lmms_manu.training.order import number_of_turns

MULTIMODAL, TEXT, BOTH = "multimodal", "text", "both"
PROJECTOR = "projector"
PARTS = (LANGUAGE, PROJECTOR, VISION)
ALL_TARGETS = "all"
NO_LOGGERS = "none"


@dataclasses.dataclass(frozen=True)
class TrainingSettings(Settings):
    """What is trained on which tokens, for how long, and how fast.

    Settings that are left out and are None by default take the value of the recipe.

    Raises:
        SettingError: a value that its field does not allow, or two that exclude each other.
    """

    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"trained_tokens": "answer", "modalities": BOTH},
        "released": {"trained_tokens": "all", "modalities": MULTIMODAL},
    }
    """The values of the settings that differ between the recipes, by their names."""

    recipe: Literal["paper", "released"] = setting(
        "paper",
        "Where settings that are left out come from: the `paper`s' definitions, or what the `released` code of "
        "MLLMU-Bench does, which trains on every token of pictured samples.",
    )
    epochs: float = setting(1.0, "Passes over the samples to learn from; 0.5 is half of them.", minimum=0)
    train_steps: int | None = setting(
        None, "Ends the training after so many optimiser steps, which must be within the epochs.", minimum=1
    )
    learning_rate: float = setting(2e-5, "The highest learning rate.", minimum=0)
    train_batch_size: int = setting(4, "Samples of each set in a batch, over all processes together.", minimum=1)
    gradient_accumulation: int = setting(1, "Batches in one optimiser step.", minimum=1)
    warmup: float = setting(0.0, "Share of the steps in which the learning rate rises.", minimum=0, maximum=1)
    schedule: Literal["linear", "cosine", "constant"] = setting(
        "linear", "How the learning rate falls to zero after that, or that it stays."
    )
    weight_decay: float = setting(0.0, "Weight decay of AdamW.", minimum=0)
    max_grad_norm: float = setting(1.0, "Longest gradient of a step, others are cut to it; 0 cuts none.", minimum=0)
    tuning: Literal["lora", "full"] = setting(
        "lora", "`lora` trains adapters that are merged at the end, `full` the weights themselves."
    )
    lora_rank: int = setting(16, "Rank of the adapters.", minimum=1)
    lora_alpha: float = setting(
        16.0, "Scale of the adapters: their product counts `lora_alpha / lora_rank`.", minimum=1e-6
    )
    lora_dropout: float = setting(
        0.05, "Share of the adapters' inputs that is dropped in training.", minimum=0, maximum=0.99
    )
    lora_targets: str = setting(
        ALL_TARGETS,
        "Linear layers that get an adapter, by the last part of their names, such as `q_proj+v_proj`; `all` but the "
        "output layer if left out.",
    )
    parts: str = setting(LANGUAGE, f"The parts of the model that are trained, of {', '.join(PARTS)}, joined by `+`.")
    modalities: Literal["multimodal", "text", "both"] | None = setting(
        None, "The samples that are trained on: with pictures, as text, or both; the recipe's own if left out."
    )
    trained_tokens: Literal["answer", "all"] | None = setting(
        None,
        "The tokens whose probabilities count: the `answer` with its end token, or `all` of question, pictures and "
        "answer; the recipe's own if left out.",
    )
    gradient_checkpointing: bool = setting(
        False, "Computes activations twice rather than to keep them: less memory, more time.", effect="rounding"
    )
    resume_every: int = setting(
        200,
        "Optimiser steps after which the state is kept, from which a training that was stopped goes on; 0 keeps none.",
        minimum=0,
        effect="nothing",
    )
    keep_every: int | None = setting(
        None, "Optimiser steps after which the edit so far is written into `keep_in`.", minimum=1, effect="nothing"
    )
    keep_in: str | None = setting(
        None, "New folder for the edits along the way, each of which `edit=` takes.", effect="nothing"
    )
    loggers: str = setting(
        NO_LOGGERS,
        "Where the curves go beside the record, joined by `+`: what transformers' `report_to` knows, such as "
        "`tensorboard`, `wandb` or `trackio`.",
        effect="nothing",
    )
    seed: int = setting(
        0, "Seed of the order of the samples, of the adapters' weights and of dropout.", minimum=0, maximum=2**32 - 1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in self.recipes[self.recipe].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        for part in self.trained_parts:
            if part not in PARTS:
                raise one_of("parts", part, PARTS)
        if (self.keep_every is None) != (self.keep_in is None):
            raise SettingError(
                f"keep_every={self.keep_every} and keep_in={self.keep_in!r} need each other: give both, or neither."
            )
        if self.keep_in is not None:
            object.__setattr__(self, "keep_in", os.path.expanduser(self.keep_in))
        if self.tuning == "full":
            defaults = {field.name: field.default for field in dataclasses.fields(self)}
            idle = [name for name in self.names() if name.startswith("lora_") and getattr(self, name) != defaults[name]]
            if idle:
                raise SettingError(
                    f"{', '.join(f'{name}={getattr(self, name)}' for name in idle)} would have no effect with "
                    "tuning=full, which trains the weights themselves: leave it out, or use tuning=lora."
                )

    @property
    def trained_parts(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.parts.split("+"))

    @property
    def targets(self) -> tuple[str, ...] | None:
        """The last parts of the names of the layers that get an adapter; None for all."""
        if self.lora_targets == ALL_TARGETS:
            return None
        return tuple(target.strip() for target in self.lora_targets.split("+"))

    @property
    def named_loggers(self) -> tuple[str, ...]:
        return () if self.loggers == NO_LOGGERS else tuple(name.strip() for name in self.loggers.split("+"))

    @property
    def trained_modalities(self) -> tuple[str, ...]:
        return (MULTIMODAL, TEXT) if self.modalities == BOTH else (str(self.modalities),)

    def check_steps(self, samples: Mapping[str, int]) -> None:
        """Refuses more steps than there are.

        Args:
            samples: to learn from, by modality.

        Raises:
            SettingError: `train_steps` is more than so many samples give in `epochs`.
        """
        if self.train_steps is None:
            return
        turns = number_of_turns(samples, batch_size=self.train_batch_size, epochs=self.epochs)
        steps = math.ceil(turns / self.gradient_accumulation)
        if self.train_steps > steps:
            needed = math.ceil(self.epochs * self.train_steps / max(steps, 1)) or 1
            raise SettingError(
                f"train_steps={self.train_steps} is more than the {steps} steps that epochs={self.epochs:g} over "
                f"{sum(samples.values())} samples has: give epochs={needed}, or fewer steps."
            )

    def deviations(self) -> dict[str, Any]:
        """The settings that change answers and differ from the recipe's, by name; without the seed."""
        usual = {field.name: field.default for field in dataclasses.fields(self)} | dict(self.recipes[self.recipe])
        return {
            name: getattr(self, name)
            for name in self.names_with("answers")
            if name not in ("recipe", "seed") and getattr(self, name) != usual[name]
        }
