"""LLaVA checkpoints with random weights, large enough to time, and samples to measure them on."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from lmms_manu.measuring.rendered import RenderedExample

PICTURE_SIZE = 224
PATCH_SIZE = 16
_SPECIAL = ("<pad>", "<s>", "</s>", "<image>")


def save_random_llava(folder: Path, *, hidden: int = 768, neurons: int = 2048, layers: int = 16) -> Path:
    """Writes a LLaVA with a gated language tower and a plain vision tower; about 125 M parameters by default."""
    torch.manual_seed(0)
    tokenizer = byte_tokenizer()
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=neurons,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 64,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    vision = CLIPVisionConfig(
        hidden_size=hidden // 2,
        intermediate_size=2 * hidden,
        num_hidden_layers=8,
        num_attention_heads=hidden // 128,
        image_size=PICTURE_SIZE,
        patch_size=PATCH_SIZE,
    )
    config = LlavaConfig(text_config=text, vision_config=vision, image_token_index=_SPECIAL.index("<image>"))
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    size = {"height": PICTURE_SIZE, "width": PICTURE_SIZE}
    LlavaProcessor(
        image_processor=CLIPImageProcessor(size=size, crop_size=size),
        tokenizer=tokenizer,
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)
    return folder


def rendered_examples(
    number: int, *, pictured: bool = True, placeholder: str = "<image>", size: int = PICTURE_SIZE
) -> list[RenderedExample]:
    """Questions of about 40 tokens with answers of about 60, each with a picture of its own if `pictured`."""
    return [
        RenderedExample(
            label=f"sample {index}",
            question=f"USER: {placeholder if pictured else ''}What is known of person {index}?\nASSISTANT:",
            answer=" A person who was made up for this benchmark" + "." * (index % 20),
            pictures=functools.partial(noise_pictures, index, size) if pictured else list,
            picture_digest=str(index) if pictured else "",
        )
        for index in range(number)
    ]


def noise_pictures(seed: int, size: int = PICTURE_SIZE) -> list[Image.Image]:
    """One square picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return [Image.fromarray(pixels)]


def byte_tokenizer(*more: str) -> PreTrainedTokenizerFast:
    """One token a byte, and the special tokens `more` at the end of the vocabulary."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*_SPECIAL, *alphabet, *more])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=["<image>", *more],
    )
