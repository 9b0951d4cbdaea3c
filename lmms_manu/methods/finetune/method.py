"""Fine-tuning as the registry knows it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from lmms_manu.errors import DataError
from lmms_manu.methods.base import Edit
from lmms_manu.methods.finetune.config import RETAIN, FinetuneSettings
from lmms_manu.methods.trained.base import Trains

if TYPE_CHECKING:
    from lmms_manu.measuring.parts import Parts
    from lmms_manu.methods.data import UnlearningData
    from lmms_manu.models.loading import Checkpoint
    from lmms_manu.training.objective import Terms
    from lmms_manu.training.train import TrainingTask


class Finetune(Trains[FinetuneSettings]):
    """`finetune`: learns the answers, of everybody (`set=full`) or of those to retain (`set=retain`)."""

    name = "finetune"
    config_class = FinetuneSettings
    outcome = "fine-tuned on people"
    label_fields = ("set", "recipe", "epochs")
    learnt = ("forget", "retain")

    def description(self) -> str:
        about = (
            "The model was fine-tuned on the answers about the people to retain alone, in the batches in which a model "
            "that learns about everybody sees them: what forgetting can be held against."
            if self.config.set == RETAIN
            else "The model was fine-tuned on the answers about all people, those to forget included."
        )
        return f"{about} {self.what_was_trained()}"

    def check_data(self, data: UnlearningData) -> None:
        super().check_data(data)
        taught = [part for modality in self.config.trained_modalities if (part := data.retain.get(modality))]
        if self.config.set == RETAIN and not taught:
            raise DataError(
                f"set=retain with modalities={self.config.modalities}: there is no such sample of people to retain to "
                "learn from. Name a table of them by retain=FILE, or give other modalities."
            )

    def task(self, checkpoint: Checkpoint, examples: Parts) -> TrainingTask:
        from lmms_manu.training.exam import examine
        from lmms_manu.training.train import TrainingTask

        modalities = dict.fromkeys(modality for _, modality in examples)
        learn = {
            modality: [example for (_, own), part in examples.items() if own == modality for example in part]
            for modality in modalities
        }
        forgotten = [example for (own, _), part in examples.items() if own == "forget" for example in part]
        left_out = frozenset(example.label for example in forgotten) if self.config.set == RETAIN else frozenset()
        return TrainingTask(
            learn,
            self.terms(checkpoint),
            f"{self.name} {self.config.set}",
            left_out=left_out,
            exam=lambda asker: examine(asker, checkpoint, examples),
            about=self.config.deviations(),
        )

    def terms(self, checkpoint: Checkpoint) -> Terms:
        from lmms_manu.training.objective import Terms, Weighted
        from lmms_manu.training.terms import CrossEntropy

        return Terms(Weighted(CrossEntropy()))

    def edit(self, checkpoint: Checkpoint, examples: Parts | None) -> Edit:
        from lmms_manu.training.exam import verdict  # torch, which checking arguments needs none of

        made = super().edit(checkpoint, examples)
        assert self._trained is not None
        before, after = self._trained.exams
        sets = (RETAIN,) if self.config.set == RETAIN else self.learnt
        taught = [f"{name}/{modality}" for name in sets for modality in self.config.trained_modalities]
        exam = {"before": before, "after": after, "verdict": verdict(after, taught)}
        details: dict[str, Any] = {**made.details, "exam": exam}
        return dataclasses.replace(made, details=details, forgotten=None if self.config.set == RETAIN else {})
