"""How large a model is, read off its modules on the meta device."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from lmms_manu.models.blocks import MlpBlock, find_mlp_blocks
from lmms_manu.models.tower_names import LANGUAGE, TOWERS, VISION
from lmms_manu.training.trained_weights import parameters_by_part

_EXPERTS = ("num_experts_per_tok", "top_k_experts", "moe_topk", "moe_k")
_UNKNOWN_PICTURE = 1024


@dataclasses.dataclass(frozen=True)
class TowerSizes:
    """A tower, as far as passes through it cost something.

    Args:
        layers: its transformer layers.
        width: features of a hidden state.
        inside: neurons of a layer that one token goes through.
        multiplied: weights that one token is multiplied with.
    """

    layers: int
    width: int
    inside: int
    multiplied: int


@dataclasses.dataclass(frozen=True)
class ModelSizes:
    """A model.

    Args:
        model: its modules, without weights.
        dtype: of the weights as they are loaded.
        parameters: all of them.
        blocks: its MLP blocks.
        language: the language tower.
        vision: the vision tower; None where there is none.
        vocabulary: entries of the output layer.
        picture_tokens: what a picture takes in a prompt.
        patches: rows of the vision tower for one picture.
    """

    model: PreTrainedModel
    dtype: torch.dtype
    parameters: int
    blocks: tuple[MlpBlock, ...]
    language: TowerSizes
    vision: TowerSizes | None
    vocabulary: int
    picture_tokens: int
    patches: int

    @property
    def neurons(self) -> int:
        return sum(block.neurons for block in self.blocks)

    @property
    def weights(self) -> int:
        """Bytes of the weights."""
        return self.parameters * self.dtype.itemsize


def sizes_of(
    model: PreTrainedModel, dtype: torch.dtype, patterns: str | None = None, picture_tokens: int | None = None
) -> ModelSizes:
    """The sizes of a model on the meta device.

    Args:
        model: the model; no weight is looked at.
        dtype: of the weights as they will be loaded.
        patterns: that name its MLP blocks where they are not recognised.
        picture_tokens: what a picture takes in a prompt; by the configuration if None.

    Raises:
        ModelError: no MLP block is recognised.
    """
    blocks = find_mlp_blocks(model, patterns)
    parts = parameters_by_part(model)
    config = model.config.get_text_config()
    towers = {tower: _tower(model, tower, blocks, parts) for tower in TOWERS}
    vision = towers[VISION] if towers[VISION].layers else None
    settings = getattr(model.config, "vision_config", None)
    merged = int(getattr(settings, "spatial_merge_size", None) or 1) ** 2
    tokens = picture_tokens if picture_tokens is not None else _picture_tokens(settings)
    return ModelSizes(
        model=model,
        dtype=dtype,
        parameters=model.num_parameters(),
        blocks=blocks,
        language=dataclasses.replace(towers[LANGUAGE], width=int(config.hidden_size)),
        vision=vision,
        vocabulary=int(config.vocab_size),
        picture_tokens=tokens if vision else 0,
        patches=tokens * merged if vision else 0,
    )


def _tower(model: PreTrainedModel, tower: str, blocks: Sequence[MlpBlock], parts: dict[str, str]) -> TowerSizes:
    own = [block for block in blocks if block.tower == tower]
    layers = 1 + max((block.layer for block in own), default=-1)
    seen = _seen_experts(model)
    shares = {slot.parameter: min(1.0, seen / block.experts) for block in own if block.experts for slot in block.slots}
    embeddings = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Embedding)} | {
        f"{name}.weight" for name, module in model.named_modules() if module is model.get_output_embeddings()
    }
    multiplied = sum(
        round(parameter.numel() * shares.get(name, 1.0))
        for name, parameter in model.named_parameters()
        if parts[name] == tower and parameter.dim() > 1 and name not in embeddings
    )
    inside = sum(
        block.neurons_per_expert * min(seen, block.experts) if block.experts else block.neurons for block in own
    )
    widths = [model.get_parameter(block.slots[-1].parameter) for block in own[:1]]
    width = next((min(weight.shape[-2:]) for weight in widths), 0)
    return TowerSizes(layers, int(width), inside // max(layers, 1), multiplied)


def _seen_experts(model: PreTrainedModel) -> int:
    """How many experts one token is routed to."""
    config = model.config.get_text_config()
    return next((int(found) for name in _EXPERTS if (found := getattr(config, name, None))), 1)


def _picture_tokens(settings: Any) -> int:
    """As many as there are patches in a picture of the configuration's size; a guess where it states none."""
    image, patch = getattr(settings, "image_size", None), getattr(settings, "patch_size", None)
    if isinstance(image, int) and isinstance(patch, int):
        return (image // patch) ** 2
    return _UNKNOWN_PICTURE
