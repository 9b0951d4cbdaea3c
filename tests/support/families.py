"""Tiny checkpoints of other families, whose processors treat pictures each in a way of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from transformers import CONFIG_MAPPING, ProcessorMixin
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from support.models import byte_tokenizer

_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "moe_intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_VISION = {
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
    "initializer_range": 0.3,
}
_SIZE = {"height": 28, "width": 28}
_BY_AREA: dict[str, Any] = {"size": {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}}
_PINPOINTS = [[28, 28], [28, 56], [56, 28]]
_ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}}
_DEEPSTACK = {"deepstack_visual_indexes": [0, 1]}
_SIGLIP = {"model_type": "siglip_vision_model"}


@dataclasses.dataclass(frozen=True)
class Family:
    """A tiny model of one type with its processor.

    Args:
        processor: makes the processor.
        image_token: what stands for a picture's features in the processor's output.
        text: what differs from `_TEXT` in the configuration of the language tower.
        vision: what differs from `_VISION` in that of the vision tower.
        settings: the model's own settings.
        tokens: further settings that name tokens.
    """

    processor: Callable[[], ProcessorMixin]
    image_token: str = "<image>"
    text: dict[str, Any] = dataclasses.field(default_factory=dict)
    vision: dict[str, Any] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    tokens: dict[str, str] = dataclasses.field(default_factory=dict)


def _template(picture: str) -> str:
    """A chat template that writes `picture` for each picture, in its place."""
    return (
        "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
        f"{{% if part['type'] == 'image' %}}{picture}"
        "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{{ '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )


def _llava_like(kind: type[ProcessorMixin], *processors: Any, tokenizer: Any = None, **settings: Any) -> ProcessorMixin:
    return kind(
        *processors,
        tokenizer or byte_tokenizer(),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        **settings,
    )


def _aya_vision() -> ProcessorMixin:
    marks = ("<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "<|IMG_LINE_BREAK|>", "TILE", "TILE_GLOBAL")
    pictures = hf.GotOcr2ImageProcessor(size=_SIZE, crop_to_patches=True, max_patches=2)
    return hf.AyaVisionProcessor(pictures, byte_tokenizer(*marks), patch_size=7, img_size=28, downsample_factor=2)


def _blip2() -> ProcessorMixin:
    return hf.Blip2Processor(hf.BlipImageProcessor(size=_SIZE), byte_tokenizer(), num_query_tokens=4)


def _cohere2_vision() -> ProcessorMixin:
    names = {
        "boi_token": "<|START_OF_IMG|>",
        "eoi_token": "<|END_OF_IMG|>",
        "image_token": "<|IMG_PATCH|>",
        "img_line_break_token": "<|IMG_LINE_BREAK|>",
    }
    # What it calls the size of a patch is how many tokens a tile has along each side.
    pictures = hf.Cohere2VisionImageProcessor(size=_SIZE, patch_size=2)  # type: ignore[call-arg]  # not in its signature
    return hf.Cohere2VisionProcessor(pictures, byte_tokenizer(**names))


def _deepseek_vl() -> ProcessorMixin:
    tokenizer = byte_tokenizer(image_token="<image_placeholder>")
    return hf.DeepseekVLProcessor(hf.DeepseekVLImageProcessor(size=_SIZE), tokenizer, num_image_tokens=4)


def _gemma3() -> ProcessorMixin:
    marks = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    return hf.Gemma3Processor(hf.Gemma3ImageProcessor(size=_SIZE), byte_tokenizer(**marks), image_seq_length=4)


def _gemma4() -> ProcessorMixin:
    names = {
        "boi_token": "<|image>",
        "eoi_token": "<image|>",
        "image_token": "<|image|>",
        "audio_token": "<|audio|>",
        "boa_token": "<|audio>",
        "eoa_token": "<audio|>",
    }
    return hf.Gemma4Processor(
        hf.Gemma4AudioFeatureExtractor(),
        hf.Gemma4ImageProcessor(patch_size=14, max_soft_tokens=70),
        byte_tokenizer(**names),
        hf.Gemma4VideoProcessor(),
        chat_template=_template("<|image|>"),
    )


def _glm4v() -> ProcessorMixin:
    marks = (
        "<|begin_of_image|>",
        "<|end_of_image|>",
        "<|image|>",
        "<|video|>",
        "<|begin_of_video|>",
        "<|end_of_video|>",
    )
    pictures, videos = hf.Glm4vImageProcessor(**_BY_AREA), hf.Glm4vVideoProcessor(**_BY_AREA)
    return hf.Glm4vProcessor(pictures, byte_tokenizer(*marks), videos)


def _idefics2() -> ProcessorMixin:
    tokenizer = byte_tokenizer("<fake_token_around_image>", "<end_of_utterance>")
    pictures = hf.Idefics2ImageProcessor(
        do_image_splitting=False, size={"shortest_edge": 20, "longest_edge": 28}, do_resize=True
    )
    return hf.Idefics2Processor(pictures, tokenizer, image_seq_len=4)


def _idefics3() -> ProcessorMixin:
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 4) for column in range(1, 4)]
    tokenizer = byte_tokenizer("<fake_token_around_image>", "<end_of_utterance>", "<global-img>", *tiles)
    pictures = hf.Idefics3ImageProcessor(size={"longest_edge": 56}, max_image_size={"longest_edge": 28})
    return hf.Idefics3Processor(pictures, tokenizer, image_seq_len=1)


def _internvl() -> ProcessorMixin:
    names = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    pictures = hf.GotOcr2ImageProcessor(size=_SIZE, crop_to_patches=True, max_patches=2)
    videos = hf.InternVLVideoProcessor(size=_SIZE)
    return hf.InternVLProcessor(
        pictures, byte_tokenizer(**names), videos, image_seq_length=4, chat_template=_template("<IMG_CONTEXT>\n")
    )


def _llava_next() -> ProcessorMixin:
    pictures = hf.LlavaNextImageProcessor(size={"shortest_edge": 28}, crop_size=_SIZE, image_grid_pinpoints=_PINPOINTS)
    return _llava_like(hf.LlavaNextProcessor, pictures)


def _llava_onevision() -> ProcessorMixin:
    pictures = hf.LlavaOnevisionImageProcessor(size=_SIZE, image_grid_pinpoints=_PINPOINTS)
    videos = hf.LlavaOnevisionVideoProcessor(size=_SIZE)
    return hf.LlavaOnevisionProcessor(
        pictures,
        byte_tokenizer("<video>"),
        videos,
        num_image_tokens=4,
        vision_feature_select_strategy="full",
        chat_template=_template("<image>\n"),
    )


def _mistral3() -> ProcessorMixin:
    pictures = hf.PixtralImageProcessor(size={"longest_edge": 56}, patch_size={"height": 14, "width": 14})
    tokenizer = byte_tokenizer("[IMG]", "[IMG_BREAK]", "[IMG_END]")
    return hf.PixtralProcessor(
        pictures, tokenizer, patch_size=14, spatial_merge_size=2, chat_template=_template("[IMG]")
    )


def _mllama() -> ProcessorMixin:
    return hf.MllamaProcessor(
        hf.MllamaImageProcessor(size=_SIZE, max_image_tiles=2), byte_tokenizer(image_token="<|image|>")
    )


def _paligemma() -> ProcessorMixin:
    pictures = hf.SiglipImageProcessor(size=_SIZE)
    pictures.image_seq_length = 4  # type: ignore[attr-defined]  # which PaliGemma reads
    return hf.PaliGemmaProcessor(pictures, byte_tokenizer())


def _qwen(kind: type[ProcessorMixin], videos: type[Any]) -> ProcessorMixin:
    marks = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    template = _template("<|vision_start|><|image_pad|><|vision_end|>")
    return kind(
        hf.Qwen2VLImageProcessor(**_BY_AREA), byte_tokenizer(*marks), videos(**_BY_AREA), chat_template=template
    )


def _smolvlm() -> ProcessorMixin:
    names = {
        "fake_image_token": "<fake_token_around_image>",
        "end_of_utterance_token": "<end_of_utterance>",
        "global_image_token": "<global-img>",
        "image_token": "<picture>",
    }
    sizes: dict[str, Any] = {"size": {"longest_edge": 56}, "max_image_size": {"longest_edge": 28}}
    return hf.SmolVLMProcessor(
        hf.SmolVLMImageProcessor(**sizes),
        byte_tokenizer(**names),
        hf.SmolVLMVideoProcessor(**sizes),
        image_seq_len=1,
        chat_template=_template("<picture>"),
    )


def _video_llava() -> ProcessorMixin:
    sizes: dict[str, Any] = {"size": _SIZE, "crop_size": _SIZE}
    pictures, videos = hf.VideoLlavaImageProcessor(**sizes), hf.VideoLlavaVideoProcessor(**sizes)
    return _llava_like(hf.VideoLlavaProcessor, pictures, videos, tokenizer=byte_tokenizer("<video>"))


def _vipllava() -> ProcessorMixin:
    return _llava_like(hf.LlavaProcessor, hf.CLIPImageProcessor(size=_SIZE, crop_size=_SIZE))


_QWEN: dict[str, Any] = {
    "image_token": "<|image_pad|>",
    "text": _ROPE,
    "tokens": {
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    },
}

FAMILIES: dict[str, Family] = {
    "aya_vision": Family(
        _aya_vision, "<|IMG_PATCH|>", text={"model_type": "cohere2"}, vision={**_SIGLIP, "patch_size": 7}
    ),
    "blip-2": Family(
        _blip2,
        text={"model_type": "opt", "ffn_dim": 48, "word_embed_proj_dim": 32},
        settings={
            "num_query_tokens": 4,
            "qformer_config": {
                "hidden_size": 32,
                "intermediate_size": 40,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "encoder_hidden_size": 32,
            },
        },
    ),
    "cohere2_vision": Family(_cohere2_vision, "<|IMG_PATCH|>", vision={"patch_size": 7}),
    "deepseek_vl": Family(_deepseek_vl, "<image_placeholder>"),
    "gemma3": Family(
        _gemma3,
        "<image_soft_token>",
        text={
            "sliding_window": 24,
            "layer_types": ["sliding_attention", "full_attention"],
            "query_pre_attn_scalar": 16,
        },
        settings={"mm_tokens_per_image": 4},
        tokens={"boi_token_index": "<start_of_image>", "eoi_token_index": "<end_of_image>"},
    ),
    "gemma4": Family(
        _gemma4,
        "<|image|>",
        text={
            "hidden_size_per_layer_input": 0,
            "global_head_dim": 32,
            "layer_types": ["sliding_attention", "full_attention"],
        },
        vision={"head_dim": 16, "num_key_value_heads": 2, "position_embedding_size": 100},
        tokens={"boi_token_id": "<|image>", "eoi_token_id": "<image|>"},
    ),
    "glm4v": Family(
        _glm4v,
        "<|image|>",
        text=_ROPE,
        tokens={
            "video_token_id": "<|video|>",
            "image_start_token_id": "<|begin_of_image|>",
            "image_end_token_id": "<|end_of_image|>",
            "video_start_token_id": "<|begin_of_video|>",
            "video_end_token_id": "<|end_of_video|>",
        },
    ),
    "idefics2": Family(
        _idefics2,
        settings={
            "perceiver_config": {
                "resampler_n_latents": 4,
                "resampler_depth": 1,
                "resampler_n_heads": 2,
                "resampler_head_dim": 16,
                "num_key_value_heads": 2,
                "hidden_size": 32,
            }
        },
    ),
    "idefics3": Family(_idefics3, text={"model_type": "llama"}, settings={"scale_factor": 2}),
    "internvl": Family(
        _internvl, "<IMG_CONTEXT>", text={"model_type": "qwen2"}, vision={"image_size": [28, 28], "patch_size": [7, 7]}
    ),
    "llava_next": Family(_llava_next, settings={"image_grid_pinpoints": _PINPOINTS}),
    "llava_onevision": Family(
        _llava_onevision,
        text={"model_type": "qwen2"},
        vision=_SIGLIP,
        settings={
            "image_grid_pinpoints": _PINPOINTS,
            "vision_feature_select_strategy": "full",
            "vision_feature_layer": -1,
        },
        tokens={"video_token_id": "<video>"},
    ),
    "mistral3": Family(
        _mistral3,
        "[IMG]",
        text={"model_type": "mistral"},
        vision={"model_type": "pixtral", "image_size": 56},
        settings={"spatial_merge_size": 2},
    ),
    "mllama": Family(
        _mllama,
        "<|image|>",
        text={"cross_attention_layers": [1]},
        vision={
            "vision_output_dim": 64,
            "num_global_layers": 1,
            "max_num_tiles": 2,
            "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]],
            "intermediate_layers_indices": [0],
            "attention_heads": 2,
        },
    ),
    "paligemma": Family(_paligemma, text={"model_type": "gemma"}, vision=_SIGLIP, settings={"projection_dim": 32}),
    "qwen2_5_vl": Family(
        lambda: _qwen(hf.Qwen2_5_VLProcessor, hf.Qwen2VLVideoProcessor),
        vision={"fullatt_block_indexes": [1]},
        **_QWEN,
    ),
    "qwen2_vl": Family(
        lambda: _qwen(hf.Qwen2VLProcessor, hf.Qwen2VLVideoProcessor), vision={"depth": 2, "mlp_ratio": 2}, **_QWEN
    ),
    "qwen3_vl": Family(lambda: _qwen(hf.Qwen3VLProcessor, hf.Qwen3VLVideoProcessor), vision=_DEEPSTACK, **_QWEN),
    "qwen3_vl_moe": Family(lambda: _qwen(hf.Qwen3VLProcessor, hf.Qwen3VLVideoProcessor), vision=_DEEPSTACK, **_QWEN),
    "smolvlm": Family(_smolvlm, "<picture>", settings={"scale_factor": 2}),
    "video_llava": Family(_video_llava, tokens={"video_token_index": "<video>"}),
    "vipllava": Family(_vipllava, settings={"vision_feature_layers": [-2, -3, 1]}),
}
"""Families by model type."""

SEVERAL_PICTURES = [model_type for model_type in FAMILIES if model_type != "blip-2"]
"""Those that take more than one picture in a prompt."""


def save_family(model_type: str, folder: Path) -> Path:
    """Writes a tiny checkpoint of a type with its processor."""
    family = FAMILIES[model_type]
    processor = family.processor()
    tokenizer = processor.tokenizer
    kind: type[Any] = CONFIG_MAPPING[model_type]
    config = kind(
        text_config={**_TEXT, "vocab_size": len(tokenizer), **family.text},
        vision_config={**_VISION, **family.vision},
        **family.settings,
        **{name: tokenizer.convert_tokens_to_ids(token) for name, token in family.tokens.items()},
    )
    for name in ("image_token_id", "image_token_index"):
        if hasattr(config, name):
            setattr(config, name, tokenizer.convert_tokens_to_ids(family.image_token))
    torch.manual_seed(0)
    model = getattr(hf, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES[model_type])(config).eval()
    model.generation_config.update(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
