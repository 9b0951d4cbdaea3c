"""Tiny models with random weights of many architectures, built from their configurations, and inputs for them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from support.tiny_models import IMAGE_TOKEN, randomised

BATCH = 2
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "moe_intermediate_size": 20,
    "shared_expert_intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 99,
    "max_position_embeddings": 256,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "embed_dim": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "depth": 3,
    "num_heads": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
    "out_hidden_size": 32,
    "projection_dim": 32,
}

Pictures = Callable[[], dict[str, torch.Tensor]]


@dataclasses.dataclass(frozen=True)
class Architecture:
    """How to build a tiny model of one type, and what a picture is to it.

    Args:
        pictures: makes the tensors of one picture a sample.
        text: what differs from `TEXT` in the configuration of the language tower.
        vision: what differs from `VISION` in that of the vision tower.
        settings: the model's own settings.
        counted: whether the pictures stand in the text as image tokens, whose number the model tells.
    """

    pictures: Pictures
    text: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    vision: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    counted: bool = True


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def _one(size: int = 28) -> Pictures:
    return lambda: {"pixel_values": _random(BATCH, 3, size, size)}


def _tiles() -> dict[str, torch.Tensor]:
    return {"pixel_values": _random(BATCH, 2, 3, 28, 28), "image_sizes": torch.tensor([[28, 28]] * BATCH)}


def _list_of_one() -> dict[str, torch.Tensor]:
    return {"pixel_values": _random(BATCH, 1, 3, 28, 28)}


def _sized() -> dict[str, torch.Tensor]:
    return {"pixel_values": _random(BATCH, 3, 28, 28), "image_sizes": torch.tensor([[28, 28]] * BATCH)}


def _grid() -> dict[str, torch.Tensor]:
    return {"pixel_values": _random(BATCH * 16, 3 * 2 * 14 * 14), "image_grid_thw": torch.tensor([[1, 4, 4]] * BATCH)}


def _mllama_pictures() -> dict[str, torch.Tensor]:
    return {
        "pixel_values": _random(BATCH, 1, 2, 3, 28, 28),
        "aspect_ratio_ids": torch.full((BATCH, 1), 2),
        "aspect_ratio_mask": torch.ones(BATCH, 1, 2, dtype=torch.long),
        "cross_attention_mask": torch.ones(BATCH, 9, 1, 2, dtype=torch.long),
    }


_ROPE = {
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 1e4,
        "mrope_section": [2, 3, 3],
        "partial_rotary_factor": 1.0,
    }
}
_PINPOINTS = {"image_grid_pinpoints": [[28, 28]]}
_DEEPSTACK = {"deepstack_visual_indexes": [0, 1]}
_PER_LAYER_ROPE = {
    "rope_parameters": {
        kind: {"rope_type": "default", "rope_theta": 1e4} for kind in ("full_attention", "sliding_attention")
    }
}

ARCHITECTURES: dict[str, Architecture] = {
    "aria": Architecture(_one(), settings={"projector_patch_to_query_dict": {4: 4}}),
    "aya_vision": Architecture(_one(), vision={"model_type": "siglip_vision_model", "patch_size": 7}),
    "cohere2_vision": Architecture(_one(), vision={"patch_size": 7}),
    "cohere_compass": Architecture(_grid, text=_PER_LAYER_ROPE),
    "cosmos3_omni": Architecture(_grid, text=_ROPE),
    "deepseek_vl": Architecture(_one()),
    "gemma3": Architecture(_one(), settings={"mm_tokens_per_image": 4}),
    "glm46v": Architecture(_grid, text=_ROPE),
    "glm4v": Architecture(_grid, text=_ROPE),
    "glm_ocr": Architecture(_grid, text=_ROPE),
    "got_ocr2": Architecture(_one(256), vision={"image_size": 256, "patch_size": 16}),
    "hyperclovax_vision_v2": Architecture(_grid, vision={"fullatt_block_indexes": [1]}),
    "idefics2": Architecture(_list_of_one),
    "idefics3": Architecture(_list_of_one, settings={"scale_factor": 2}),
    "internvl": Architecture(_one(), vision={"image_size": [28, 28], "patch_size": [7, 7]}),
    "lighton_ocr": Architecture(_sized),
    "llava": Architecture(_one()),
    "llava_next": Architecture(_tiles, settings=_PINPOINTS),
    "llava_next_video": Architecture(_tiles, settings=_PINPOINTS),
    "llava_onevision": Architecture(_tiles, settings=_PINPOINTS),
    "minimax_m3_vl": Architecture(_grid),
    "mistral3": Architecture(_sized),
    "mistral_large4": Architecture(_sized),
    "mllama": Architecture(
        _mllama_pictures,
        text={"cross_attention_layers": [1]},
        vision={
            "vision_output_dim": 64,
            "num_global_layers": 1,
            "max_num_tiles": 2,
            "supported_aspect_ratios": [[1, 1], [1, 2]],
            "intermediate_layers_indices": [0],
            "attention_heads": 2,
        },
        counted=False,
    ),
    "paligemma": Architecture(_one(), settings={"projection_dim": 32}),
    "qianfan_ocr": Architecture(_one()),
    "qwen2_5_vl": Architecture(_grid, text=_ROPE, vision={"fullatt_block_indexes": [1]}),
    "qwen2_vl": Architecture(_grid, text=_ROPE),
    "qwen3_5": Architecture(_grid, text=_ROPE | {"num_hidden_layers": 4}),
    "qwen3_5_moe": Architecture(_grid, text=_ROPE | {"num_hidden_layers": 4}),
    "qwen3_vl": Architecture(_grid, text=_ROPE, vision=_DEEPSTACK),
    "qwen3_vl_moe": Architecture(_grid, text=_ROPE, vision=_DEEPSTACK),
    "smolvlm": Architecture(_list_of_one, settings={"scale_factor": 2}),
    "step3p7": Architecture(_one(), text={"sliding_window": 16}),
    "video_llava": Architecture(lambda: {"pixel_values_images": _random(BATCH, 3, 28, 28)}),
    "vipllava": Architecture(_one(), settings={"vision_feature_layer": [-2, -3, 1]}),
}


def build(model_type: str, **overrides: Any) -> PreTrainedModel:
    """A tiny model of this type with every weight random, in evaluation mode."""
    architecture = ARCHITECTURES[model_type]
    kind: type[Any] = CONFIG_MAPPING[model_type]
    config = kind(
        **architecture.settings,
        **overrides,
        text_config=TEXT | dict(architecture.text),
        vision_config=VISION | dict(architecture.vision),
    )
    for name in ("image_token_id", "image_token_index"):
        if hasattr(config, name):
            setattr(config, name, IMAGE_TOKEN)
    model = getattr(transformers, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES[model_type])(config)
    return randomised(model)


def inputs_of(model_type: str, model: PreTrainedModel, picture: bool) -> dict[str, torch.Tensor]:
    """Two samples: a picture and some text each, or text only."""
    architecture = ARCHITECTURES[model_type]
    ids = torch.randint(10, 99, (BATCH, 9), generator=torch.Generator().manual_seed(0))
    pictures = architecture.pictures() if picture else {}
    if picture and architecture.counted:
        placeholders = torch.full((BATCH, _image_tokens(model, pictures)), IMAGE_TOKEN)
        ids = torch.cat([ids[:, :1], placeholders, ids[:, 1:]], dim=1)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **pictures}
    for name in ("mm_token_type_ids", "token_type_ids"):
        if name in inspect.signature(model.forward).parameters:
            inputs[name] = (ids == IMAGE_TOKEN).long()
    return inputs


def _image_tokens(model: PreTrainedModel, pictures: dict[str, torch.Tensor]) -> int:
    """How many image tokens one picture takes."""
    get_features = getattr(model, "get_image_features", None) or model.model.get_image_features
    with torch.no_grad():
        features = get_features(**pictures)
    features = getattr(features, "pooler_output", features)
    parts = [features] if isinstance(features, torch.Tensor) else features
    return sum(part.numel() // part.shape[-1] for part in parts) // BATCH
