"""Tiny checkpoints of other families, whose processors treat pictures each in a way of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CONFIG_MAPPING,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessor,
    Gemma3Processor,
    Idefics2ForConditionalGeneration,
    Idefics2ImageProcessor,
    Idefics2Processor,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaNextProcessor,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from support.models import byte_tokenizer

_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 2048,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_VISION = {
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
    "initializer_range": 0.3,
}


def save_idefics2(folder: Path) -> Path:
    """A picture is a run of tokens between two marks, of which two that meet become one."""
    tokenizer = byte_tokenizer("<fake_token_around_image>", "<end_of_utterance>")
    pictures = Idefics2ImageProcessor(
        do_image_splitting=False, size={"shortest_edge": 20, "longest_edge": 28}, do_resize=True
    )
    processor = Idefics2Processor(pictures, tokenizer, image_seq_len=4)
    config = _config(
        "idefics2",
        processor,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        perceiver_config={
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 16,
            "num_key_value_heads": 2,
            "hidden_size": 32,
        },
    )
    return _save(folder, Idefics2ForConditionalGeneration, config, processor)


def save_qwen2_vl(folder: Path) -> Path:
    """Positions have three dimensions, and pictures of any size take tokens by their size."""
    marks = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokenizer = byte_tokenizer(*marks)
    start, end, image, video = tokenizer.convert_tokens_to_ids(list(marks))
    sizes = {"size": {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}}
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(**sizes),
        tokenizer,
        Qwen2VLVideoProcessor(**sizes),
        chat_template=(
            "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
            "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
            "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{{ '\n' }}{% endfor %}"
            "{% if add_generation_prompt %}assistant:{% endif %}"
        ),
    )
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
    config = _config(
        "qwen2_vl",
        processor,
        text={"rope_parameters": rope},
        vision={"depth": 2, "embed_dim": 32, "num_heads": 2, "hidden_size": 32, "mlp_ratio": 2},
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    return _save(folder, Qwen2VLForConditionalGeneration, config, processor)


def save_llava_next(folder: Path) -> Path:
    """A picture is cut into tiles, as many as its shape takes."""
    tokenizer = byte_tokenizer()
    pinpoints = [[28, 28], [28, 56], [56, 28]]
    pictures = LlavaNextImageProcessor(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=pinpoints
    )
    processor = LlavaNextProcessor(
        pictures, tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1
    )
    config = _config(
        "llava_next",
        processor,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=pinpoints,
    )
    return _save(folder, LlavaNextForConditionalGeneration, config, processor)


def save_gemma3(folder: Path) -> Path:
    """The pictures' tokens see each other in both directions, and every other layer sees a window only."""
    marks = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer = byte_tokenizer(**marks)
    start, end, soft = tokenizer.convert_tokens_to_ids(list(marks.values()))
    processor = Gemma3Processor(Gemma3ImageProcessor(size={"height": 28, "width": 28}), tokenizer, image_seq_length=4)
    config = _config(
        "gemma3",
        processor,
        text={
            "sliding_window": 24,
            "layer_types": ["sliding_attention", "full_attention"],
            "query_pre_attn_scalar": 16,
        },
        image_token_index=soft,
        boi_token_index=start,
        eoi_token_index=end,
        mm_tokens_per_image=4,
    )
    return _save(folder, Gemma3ForConditionalGeneration, config, processor)


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "idefics2": save_idefics2,
    "qwen2_vl": save_qwen2_vl,
    "llava_next": save_llava_next,
    "gemma3": save_gemma3,
}


def _config(kind: str, processor: Any, text: dict[str, Any] | None = None, vision: Any = None, **settings: Any) -> Any:
    words = {**_TEXT, "vocab_size": len(processor.tokenizer), **(text or {})}
    return CONFIG_MAPPING[kind](text_config=words, vision_config={**_VISION, **(vision or {})}, **settings)


def _save(folder: Path, model_class: Any, config: Any, processor: Any) -> Path:
    torch.manual_seed(0)
    model = model_class(config).eval()
    model.generation_config.update(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
