"""A model that the user already holds, as the checkpoint that everything here works on."""

from __future__ import annotations

import copy

from transformers import PreTrainedModel

from lmms_manu.errors import ModelError
from lmms_manu.models.devices import resolve_device
from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.processors import Processor, prepare_processor
from lmms_manu.models.settings import HeldModelSettings


def wrap(
    model: PreTrainedModel, processor: Processor, *, name: str | None = None, mlp_blocks: str | None = None
) -> Checkpoint:
    """A model in memory as a checkpoint; its weights count as they are, whatever file they came from.

    The model itself is used: it is put into evaluation mode, and an edit changes its weights in place. Of the processor
    a copy is used, which pads on the left.

    Args:
        model: any model of transformers that takes text, or pictures and text.
        processor: its processor, or the tokenizer of a text-only model.
        name: what records call it; where it was loaded from if None, else its class.
        mlp_blocks: patterns that name the MLP blocks of a model whose structure is not recognised.

    Raises:
        ModelError: it is no model of transformers, or the processor has no token to pad with or no usable template.

    Example:
        >>> from transformers import AutoModelForImageTextToText, AutoProcessor
        >>> from lmms_manu.embedded import model_folder
        >>> model = AutoModelForImageTextToText.from_pretrained(model_folder())
        >>> checkpoint = wrap(model, AutoProcessor.from_pretrained(model_folder()), name="tiny")
        >>> checkpoint.name, checkpoint.takes_pictures
        ('tiny', True)
    """
    if not isinstance(model, PreTrainedModel):
        raise ModelError(
            f"A {type(model).__name__} is no model of transformers (PreTrainedModel). Of one that peft or another "
            "library holds, give the model inside, with its adapter merged (peft: model.merge_and_unload())."
        )
    called = name or model.config.name_or_path or type(model).__name__
    settings = HeldModelSettings(name=called, mlp_blocks=mlp_blocks)
    own = prepare_processor(copy.deepcopy(processor), model.config, called)
    model.eval()
    device = resolve_device(settings) if model.device.type == "meta" else model.device
    return Checkpoint(model, own, device, settings)
