"""A method that trains: what its subclasses need not say; torch is imported when an edit is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from lmms_manu.errors import SettingError
from lmms_manu.files import new_folder
from lmms_manu.methods.base import Edit, Method
from lmms_manu.methods.control import CONTROL, retained_people_as_forgotten
from lmms_manu.methods.record import Value
from lmms_manu.methods.trained.checks import check_checkpoint, check_samples
from lmms_manu.models.settings import ModelSettings
from lmms_manu.training.settings import TrainingSettings

if TYPE_CHECKING:
    from lmms_manu.costs.demands import Demands, SampleCounts
    from lmms_manu.costs.sizes import ModelSizes
    from lmms_manu.editing.changes import Change
    from lmms_manu.measuring.parts import Parts
    from lmms_manu.methods.data import UnlearningData
    from lmms_manu.models.loading import Checkpoint
    from lmms_manu.training.objective import Terms
    from lmms_manu.training.train import Trained, TrainingTask

S = TypeVar("S", bound=TrainingSettings)


class Trains(Method[S]):
    """A method that trains; a subclass says what is minimised.

    Life cycle of an edit:
        - `task`: the terms, and the samples to forget and to retain
        - `lmms_manu.training.train`
        - `keep`: the edits along the way, where they are asked for
    """

    label_fields: ClassVar[tuple[str, ...]] = ("recipe", "epochs")
    strength = "epochs"
    strengths = (1, 2, 4)

    learnt: ClassVar[tuple[str, ...]] = ("forget",)
    """The sets that an epoch goes through; what is retained stands beside them."""

    asks_reference: ClassVar[bool] = False
    """Whether the loss needs what the model said before it was trained."""

    idea: ClassVar[str]
    """What the weights were trained for, with the citation."""

    def __init__(self, config: S | None = None, **settings: Any) -> None:
        super().__init__(config, **settings)
        self._trained: Trained | None = None

    def variant(self) -> dict[str, Value]:
        """Recipe and epochs, and each setting that differs from the recipe's."""
        others = {name: value for name, value in self.config.deviations().items() if name not in self.label_fields}
        shown = {name: Path(value).name if name == "reference" else value for name, value in others.items()}
        # A text speaks for itself in a label only where nobody has to ask what it is about.
        named = {name: f"{name}={value}" if isinstance(value, str) else value for name, value in shown.items()}
        return {**super().variant(), **named, **(CONTROL if self._is_control else {})}

    def description(self) -> str:
        drawn = " The people to forget were drawn at random from those to retain, as a control."
        return f"{self.idea}{drawn if self._is_control else ''} {self.what_was_trained()}"

    def what_was_trained(self) -> str:
        """A sentence for people."""
        how = "adapters (LoRA), which were merged" if self.config.tuning == "lora" else "the weights themselves"
        return f"What was trained: {how}, in {self.config.parts.replace('+', ' and ')}."

    @property
    def _is_control(self) -> bool:
        return bool(getattr(self.config, "random_control", False))

    def changes_nothing(self) -> bool:
        return self.config.epochs == 0

    def check(self, model: ModelSettings, *, export: bool) -> None:
        # Torch, which a refusal of arguments needs none of.
        from lmms_manu.training.loggers import logging_callbacks
        from lmms_manu.training.sharded import check_launch

        check_launch()
        logging_callbacks(self.config)
        check_checkpoint(model, self.config)
        if self.config.keep_in is not None:
            new_folder("keep_in", self.config.keep_in)

    def needs_retain(self) -> bool:
        return bool(getattr(self.config, "retain_weight", 0))

    def check_data(self, data: UnlearningData) -> None:
        super().check_data(data)
        check_samples(self.config, data, self.learnt)

    def demands(self, sizes: ModelSizes, samples: SampleCounts) -> Demands:
        from lmms_manu.costs.demands import training

        learn = sum(getattr(samples, name) for name in self.learnt)
        return training(sizes, self.config, learn, retain=self.needs_retain(), reference=self.asks_reference)

    def task(self, checkpoint: Checkpoint, examples: Parts) -> TrainingTask:
        """What is trained, and on what."""
        from lmms_manu.training.train import TrainingTask

        terms = self.terms(checkpoint)
        retain = _of(examples, "retain") if terms.retain is not None else {}
        return TrainingTask(_of(examples, "forget"), terms, self.name, retain, about=self.config.deviations())

    def terms(self, checkpoint: Checkpoint) -> Terms:
        """What is minimised."""
        raise NotImplementedError

    def edit(self, checkpoint: Checkpoint, examples: Parts | None) -> Edit:
        from lmms_manu.training.train import divergence, train  # torch, which checking arguments needs none of

        assert examples is not None
        if self._is_control:
            examples = retained_people_as_forgotten(examples, self.config.seed)
        trained = self._trained = train(checkpoint, self.task(checkpoint, examples), self.config)
        diverged = divergence(trained.curve, checkpoint.model.config.get_text_config().vocab_size)
        details: dict[str, Any] = {"steps": trained.steps, "learnt": list(self.learnt), "curve": list(trained.curve)}
        if diverged is not None:
            details["diverged"] = diverged
        return Edit(trained.change, trained.counts, unit="weight tensors", seconds=trained.seconds, details=details)

    def keep(self, change: Change, about: Mapping[str, Any]) -> None:
        if self.config.keep_in is None:
            return
        if self._trained is None:
            raise SettingError(
                f"keep_in={self.config.keep_in!r}: this training is among the finished edits, without those along the "
                "way. Give edit_cache=False to train again."
            )
        from lmms_manu.methods.trained.curve import keep_along

        keep_along(new_folder("keep_in", self.config.keep_in), self._trained, self.config.epochs, about)


def _of(examples: Parts, group: str) -> dict[str, Any]:
    return {modality: passages for (own, modality), passages in examples.items() if own == group}
