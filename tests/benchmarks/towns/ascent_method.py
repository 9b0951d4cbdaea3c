"""A method of another package: steps up the loss on the text of those to forget, in the output head alone."""

from __future__ import annotations

import dataclasses

import torch

from lmms_manu.editing.changes import ChangedTensors
from lmms_manu.measuring.parts import Part, Parts
from lmms_manu.methods.base import Edit, Method
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint
from lmms_manu.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class AscentSettings(Settings):
    rounds: int = setting(1, "How many steps.", minimum=0)
    length: float = setting(0.05, "The length of each.", minimum=0)


class Ascent(Method[AscentSettings]):
    name = "ascent"
    config_class = AscentSettings
    label_fields = ("rounds",)
    strength = "rounds"

    def description(self) -> str:
        return "The output head was moved up the loss on the forget set's answers."

    def edit(self, checkpoint: Checkpoint, examples: Parts | None) -> Edit:
        assert examples is not None
        encoder, model = PromptEncoder(checkpoint), checkpoint.model
        rendered = examples[Part("forget", "text")]
        inputs = encoder.encode([one.text for one in rendered], [[] for _ in rendered])
        head = model.get_output_embeddings().weight
        name = next(name for name, parameter in model.named_parameters() if parameter is head)
        losses = []
        for _ in range(self.config.rounds):
            loss = model(**inputs, labels=inputs["input_ids"]).loss
            (gradient,) = torch.autograd.grad(loss, head)
            losses.append(float(loss))
            with torch.no_grad():
                head += self.config.length * gradient / gradient.norm()
        change = ChangedTensors.of(model, (name,)) if self.config.rounds else None
        return Edit(change, {"all": (1, len(list(model.parameters())))}, "tensors", details={"losses": losses})
