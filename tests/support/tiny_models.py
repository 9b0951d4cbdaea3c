"""Tiny image-text-to-text models with random weights, and inputs for them."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedModel,
)

Model = TypeVar("Model", bound=PreTrainedModel)

IMAGE_TOKEN = 5
VOCABULARY = 99


def tiny_llava(seed: int = 0, **overrides: object) -> LlavaForConditionalGeneration:
    """A LLaVA whose language MLPs are gated and whose vision MLPs are plain with biases, all weights random."""
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
        projection_dim=16,
    )
    text = LlamaConfig(
        hidden_size=16,
        intermediate_size=40,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=2,
        vocab_size=VOCABULARY,
        mlp_bias=True,
        max_position_embeddings=128,
    )
    settings: dict[str, Any] = {
        "image_token_id": IMAGE_TOKEN,
        "vision_feature_layer": -2,
        "image_seq_length": 4,
    } | overrides
    config = LlavaConfig(vision_config=vision, text_config=text, **settings)
    torch.manual_seed(seed)
    return randomised(LlavaForConditionalGeneration(config), seed)


def randomised(model: Model, seed: int = 0, scale: float = 0.2) -> Model:
    """`model` in evaluation mode with every weight drawn anew, so that no bias is zero and no norm is one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                drawn = torch.randn(parameter.shape, generator=generator) * scale
                parameter.copy_(1 + drawn if parameter.dim() == 1 and bool((parameter == 1).all()) else drawn)
    return model.eval()


def llava_inputs(batch: int = 2, picture: bool = True, seed: int = 0) -> dict[str, torch.Tensor]:
    """Inputs of `tiny_llava`: a picture of four tokens and some text, or text only."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(6, VOCABULARY, (batch, 9), generator=generator)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if picture:
        ids[:, 1:5] = IMAGE_TOKEN
        inputs["pixel_values"] = torch.randn(batch, 3, 16, 16, generator=generator)
    return inputs
