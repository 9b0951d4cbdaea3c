"""Tiny models with random weights, of the real classes and with real processors."""

from __future__ import annotations

from pathlib import Path

import torch
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

SPECIAL = ("<pad>", "<s>", "</s>", "<image>")
PICTURE_SIZE = 32
PATCH_SIZE = 8

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() }}: "
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}<image>{{ '\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] }}{% endfor %}"
    "{{ '\n' }}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def byte_tokenizer(*more: str, **named: str) -> PreTrainedTokenizerFast:
    """One token a byte, so that every text can be encoded without any training.

    Args:
        more: special tokens at the end of the vocabulary.
        named: instead of `more`, special tokens that the tokenizer has as attributes.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *alphabet, *more, *named.values()])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        # A table of names and a list of tokens are two forms of one setting.
        extra_special_tokens=named or ["<image>", *more],
    )


def llava_processor(chat_template: str | None = CHAT_TEMPLATE) -> LlavaProcessor:
    size = {"height": PICTURE_SIZE, "width": PICTURE_SIZE}
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(size=size, crop_size=size),
        tokenizer=byte_tokenizer(),
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat_template,
    )


def llava_model(
    *,
    seed: int = 0,
    hidden: int = 32,
    neurons: int = 48,
    layers: int = 2,
    vision_layers: int = 3,
    context: int = 2048,
    activation: str = "silu",
    mlp_bias: bool = False,
) -> LlavaForConditionalGeneration:
    """A gated language tower and a plain vision tower, random weights large enough to give varied answers."""
    torch.manual_seed(seed)
    text = LlamaConfig(
        vocab_size=len(byte_tokenizer()),
        hidden_size=hidden,
        intermediate_size=neurons,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=context,
        hidden_act=activation,
        mlp_bias=mlp_bias,
        initializer_range=0.3,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    vision = CLIPVisionConfig(
        hidden_size=hidden,
        intermediate_size=neurons,
        num_hidden_layers=vision_layers,
        num_attention_heads=2,
        image_size=PICTURE_SIZE,
        patch_size=PATCH_SIZE,
        initializer_range=0.3,
    )
    config = LlavaConfig(text_config=text, vision_config=vision, image_token_index=SPECIAL.index("<image>"))
    model = LlavaForConditionalGeneration(config)
    model.generation_config.pad_token_id = 0
    model.generation_config.bos_token_id = 1
    model.generation_config.eos_token_id = 2
    return model.eval()


def save_llava(folder: str | Path, *, processor: bool = True, **options) -> Path:
    """Writes a tiny LLaVA checkpoint; `options` are those of `llava_model`."""
    llava_model(**options).save_pretrained(folder)
    if processor:
        llava_processor().save_pretrained(folder)
    return Path(folder)
