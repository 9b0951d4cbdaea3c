"""The shapes of released models, from their public configurations; no weights, no download."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from random_llava import byte_tokenizer
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaNextConfig,
    LlavaProcessor,
    PreTrainedConfig,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

_QWEN_MARKS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_IMAGE_TOKEN = 3


@dataclasses.dataclass(frozen=True)
class Shape:
    """A model's shape.

    Args:
        config: makes its configuration.
        tiny: makes one of the same type that any machine can run.
        processor: makes a processor for the tiny one or the other; one token a byte.
        placeholder: what stands for a picture in a prompt.
    """

    config: Callable[[], PreTrainedConfig]
    tiny: Callable[[], PreTrainedConfig]
    processor: Callable[[bool], ProcessorMixin]
    placeholder: str


def _llava_processor(tiny: bool) -> ProcessorMixin:
    side = 28 if tiny else 336
    size = {"height": side, "width": side}
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(size=size, crop_size=size),
        tokenizer=byte_tokenizer(),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )


def _llava(width: int, inside: int, layers: int, heads: int, *, tiny: bool = False) -> PreTrainedConfig:
    text = LlamaConfig(
        vocab_size=320 if tiny else 32064,
        hidden_size=width,
        intermediate_size=inside,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=4096,
        **_TOKENS,
    )
    return LlavaConfig(text_config=text, vision_config=_clip(tiny), image_token_index=_IMAGE_TOKEN)


def _llava_next_34b() -> PreTrainedConfig:
    text = LlamaConfig(
        vocab_size=64064,
        hidden_size=7168,
        intermediate_size=20480,
        num_hidden_layers=60,
        num_attention_heads=56,
        num_key_value_heads=8,
        max_position_embeddings=4096,
        **_TOKENS,
    )
    return LlavaNextConfig(text_config=text, vision_config=_clip(tiny=False), image_token_index=_IMAGE_TOKEN)


def _clip(tiny: bool) -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=32 if tiny else 1024,
        intermediate_size=64 if tiny else 4096,
        num_hidden_layers=3 if tiny else 24,
        num_attention_heads=2 if tiny else 16,
        image_size=28 if tiny else 336,
        patch_size=14,
        projection_dim=32 if tiny else 768,
    )


def _qwen_processor(tiny: bool) -> ProcessorMixin:
    size: dict[str, Any] = {"size": {"shortest_edge": 28 * 28, "longest_edge": (56 if tiny else 1008) ** 2}}
    tokenizer = byte_tokenizer(*_QWEN_MARKS)
    return Qwen2_5_VLProcessor(Qwen2VLImageProcessor(**size), tokenizer, Qwen2VLVideoProcessor(**size))


def _qwen(
    width: int, inside: int, layers: int, heads: int, groups: int, *, vocabulary: int = 152064, tiny: bool = False
) -> PreTrainedConfig:
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    marks = dict(zip(names, byte_tokenizer(*_QWEN_MARKS).convert_tokens_to_ids(list(_QWEN_MARKS)), strict=True))
    halves = width // heads // 2
    sections = [halves // 4, 3 * halves // 8, halves - halves // 4 - 3 * halves // 8]
    text: dict[str, Any] = {
        "vocab_size": 320 if tiny else vocabulary,
        "hidden_size": width,
        "intermediate_size": inside,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "max_position_embeddings": 32768,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections},
        **_TOKENS,
    }
    vision: dict[str, Any] = {
        "depth": 2 if tiny else 32,
        "hidden_size": 32 if tiny else 1280,
        "intermediate_size": 48 if tiny else 3420,
        "num_heads": 2 if tiny else 16,
        "out_hidden_size": width,
        "fullatt_block_indexes": [1] if tiny else [7, 15, 23, 31],
    }
    return Qwen2_5_VLConfig(text_config=text, vision_config=vision, **marks)


def _tiny_llava() -> PreTrainedConfig:
    return _llava(32, 48, 2, 2, tiny=True)


def _tiny_qwen() -> PreTrainedConfig:
    return _qwen(32, 48, 2, 2, 1, tiny=True)


_QWEN_PLACEHOLDER = "<|vision_start|><|image_pad|><|vision_end|>"

SHAPES = {
    "LLaVA-1.5-7B": Shape(lambda: _llava(4096, 11008, 32, 32), _tiny_llava, _llava_processor, "<image>"),
    "Qwen2.5-VL-7B": Shape(
        lambda: _qwen(3584, 18944, 28, 28, 4), _tiny_qwen, _qwen_processor, _QWEN_PLACEHOLDER
    ),
    "LLaVA-1.5-13B": Shape(lambda: _llava(5120, 13824, 40, 40), _tiny_llava, _llava_processor, "<image>"),
    "LLaVA-NeXT-34B": Shape(_llava_next_34b, _tiny_llava, _llava_processor, "<image>"),
    "Qwen2.5-VL-72B": Shape(
        lambda: _qwen(8192, 29568, 80, 64, 8), _tiny_qwen, _qwen_processor, _QWEN_PLACEHOLDER
    ),
}  # fmt: skip
"""Shapes by the names of the models that have them."""
