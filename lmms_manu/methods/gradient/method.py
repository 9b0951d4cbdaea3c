"""The methods that train, as the registry knows them; torch is imported when an edit is made."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from lmms_manu.errors import SettingError
from lmms_manu.methods.gradient.config import (
    VANILLA,
    AscentSettings,
    IdkSettings,
    NpoSettings,
    RetainSettings,
    RmuSettings,
    SimNpoSettings,
    UndialSettings,
)
from lmms_manu.methods.trained.base import Trains
from lmms_manu.methods.trained.checks import check_reference
from lmms_manu.models.settings import ModelSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lmms_manu.measuring.parts import Parts
    from lmms_manu.models.loading import Checkpoint
    from lmms_manu.training.objective import Terms
    from lmms_manu.training.terms import Term
    from lmms_manu.training.train import TrainingTask


class GradientAscent(Trains[AscentSettings]):
    """`ga`: makes the answers to forget less likely, and nothing else."""

    name = "ga"
    config_class = AscentSettings
    idea = (
        "The model was trained to make the answers about the people to forget less likely, by gradient ascent (Thudi "
        "et al., 2022, arXiv 2109.13398), which has no bound and harms what was to be kept when it is continued."
    )

    def terms(self, checkpoint: Checkpoint) -> Terms:
        from lmms_manu.training import terms

        return _terms(terms.Ascent())


class GradientDifference(Trains[RetainSettings]):
    """`grad_diff`: gradient ascent on what to forget, descent on what to retain, in one step."""

    name = "grad_diff"
    config_class = RetainSettings
    idea = (
        "The model was trained to make the answers about the people to forget less likely and those about the others "
        "likelier, by gradient difference (Liu et al., 2022, arXiv 2203.12817)."
    )

    def terms(self, checkpoint: Checkpoint) -> Terms:
        from lmms_manu.training import terms

        return _terms(terms.Ascent(), terms.CrossEntropy(), self.config.retain_weight)


class KlMinimisation(Trains[RetainSettings]):
    """`kl`: gradient ascent on what to forget, and the distributions on what to retain held where they were."""

    name = "kl"
    config_class = RetainSettings
    asks_reference = True
    idea = (
        "The model was trained to make the answers about the people to forget less likely, and to keep its "
        "distribution over tokens in the answers about the others (KL minimisation, as in Maini et al., 2024, arXiv "
        "2401.06121)."
    )

    def terms(self, checkpoint: Checkpoint) -> Terms:
        from lmms_manu.training import terms

        return _terms(terms.Ascent(), terms.Closeness(), self.config.retain_weight)


class Npo(Trains[NpoSettings]):
    """`npo`: makes the answers to forget less likely than a reference has them, with a bound."""

    name = "npo"
    config_class = NpoSettings
    asks_reference = True
    idea = (
        "The model was trained to find the answers about the people to forget less likely than a reference does, by "
        "negative preference optimisation (Zhang et al., 2024, arXiv 2404.05868)."
    )

    def check(self, model: ModelSettings, *, export: bool) -> None:
        super().check(model, export=export)
        if self.config.reference != VANILLA:
            check_reference(self.config.reference, model)

    def task(self, checkpoint: Checkpoint, examples: Parts) -> TrainingTask:
        task = super().task(checkpoint, examples)
        if self.config.reference == VANILLA:
            return task
        from lmms_manu.methods.gradient.oracle import log_probs_of

        return dataclasses.replace(
            task, reference=lambda learn, turns: log_probs_of(self.config.reference, checkpoint, learn, turns)
        )

    def terms(self, checkpoint: Checkpoint) -> Terms:
        from lmms_manu.training import terms

        assert self.config.beta is not None
        return _terms(terms.NpoTerm(self.config.beta), terms.CrossEntropy(), self.config.retain_weight)


class SimNpo(Trains[SimNpoSettings]):
    """`simnpo`: NPO by the mean over tokens, without a reference."""

    name = "simnpo"
    config_class = SimNpoSettings
    idea = (
        "The model was trained to find the answers about the people to forget unlikely, by negative preference "
        "optimisation without a reference (SimNPO, Fan et al., 2024, arXiv 2410.07163)."
    )

    def terms(self, checkpoint: Checkpoint) -> Terms:
        from lmms_manu.training import terms

        own = terms.SimNpoTerm(self.config.beta, self.config.margin)
        return _terms(own, terms.CrossEntropy(), self.config.retain_weight, self.config.forget_weight)


class Idk(Trains[IdkSettings]):
    """`idk`: teaches a refusal in the place of each answer to forget."""

    name = "idk"
    config_class = IdkSettings
    idea = (
        "The model was trained to refuse in the place of answers about the people to forget (Maini et al., 2024, arXiv "
        "2401.06121), which hides knowledge more than it removes it."
    )

    def task(self, checkpoint: Checkpoint, examples: Parts) -> TrainingTask:
        task = super().task(checkpoint, examples)
        refusing = {
            modality: [
                dataclasses.replace(example, answer=f"{_blank(example.answer)}{self.config.refusal}")
                for example in rendered
            ]
            for modality, rendered in task.learn.items()
        }
        return dataclasses.replace(task, learn=refusing)

    def terms(self, checkpoint: Checkpoint) -> Terms:
        from lmms_manu.training import terms

        return _terms(terms.CrossEntropy(), terms.CrossEntropy(), self.config.retain_weight)


class Undial(Trains[UndialSettings]):
    """`undial`: teaches the model its own distribution with the true tokens lowered."""

    name = "undial"
    config_class = UndialSettings
    asks_reference = True
    idea = (
        "The model was trained towards its own distributions with the true tokens of the answers to forget lowered "
        "(UNDIAL, Dong et al., 2024, arXiv 2402.10052)."
    )

    def terms(self, checkpoint: Checkpoint) -> Terms:
        from lmms_manu.training import terms

        return _terms(terms.UndialTerm(self.config.lowering), terms.CrossEntropy(), self.config.retain_weight)


class Rmu(Trains[RmuSettings]):
    """`rmu`: drives a layer's hidden states on what to forget to a random direction."""

    name = "rmu"
    config_class = RmuSettings
    asks_reference = True
    idea = (
        "A layer's hidden states in answers about the people to forget were driven to a random direction, as long as "
        "a multiple of their own length, and those in answers about the others held (RMU, Li et al., 2024, arXiv "
        "2403.03218; the length adapts as in Dang et al., 2024, arXiv 2408.06223)."
    )

    def check(self, model: ModelSettings, *, export: bool) -> None:
        super().check(model, export=export)
        from lmms_manu.models.loading import model_without_weights

        if (shapes := model_without_weights(model)) is not None:
            self._layer(shapes)

    def check_loaded(self, checkpoint: Checkpoint, *, export: bool) -> None:
        self._layer(checkpoint.model)

    def task(self, checkpoint: Checkpoint, examples: Parts) -> TrainingTask:
        return dataclasses.replace(super().task(checkpoint, examples), layer=self._layer(checkpoint.model))

    def terms(self, checkpoint: Checkpoint) -> Terms:
        import torch

        from lmms_manu.training import terms

        features = checkpoint.model.config.get_text_config().hidden_size
        direction = torch.rand(features, generator=torch.Generator().manual_seed(self.config.seed))
        own = terms.Misdirect(direction / direction.norm(), self.config.steering)
        return _terms(own, terms.Hold(), self.config.retain_weight)

    def _layer(self, model: PreTrainedModel) -> str:
        from lmms_manu.training.trained_weights import language_layers

        layers = language_layers(model)
        place = len(layers) // 5 if self.config.steered_layer is None else self.config.steered_layer
        if place >= len(layers):
            raise SettingError(f"steered_layer={place}: the language model has the layers 0 to {len(layers) - 1}.")
        return layers[place]


def _terms(forget: Term, retain: Term | None = None, weight: float = 0, forget_weight: float = 1) -> Terms:
    """Terms over the samples to forget, and over those to retain where these count."""
    from lmms_manu.training.objective import Terms, Weighted

    return Terms(Weighted(forget, forget_weight), Weighted(retain, weight) if retain is not None and weight else None)


def _blank(answer: str) -> str:
    """The blanks that an answer starts with."""
    return answer[: len(answer) - len(answer.lstrip())]
