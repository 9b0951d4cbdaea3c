"""Tiny checkpoints of text alone, with random weights and a tokenizer of bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from support.models import byte_tokenizer

TEXT_TEMPLATE = (
    "{% for message in messages %}{{ '[' + message['role'] + '] ' + message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)
TEXT_FAMILIES = ("llama", "qwen2")


def text_model(family: str) -> PreTrainedModel:
    """A gated language model of two layers with 48 neurons each; Qwen2's output head is its embeddings."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": len(byte_tokenizer()),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "initializer_range": 0.3,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if family == "llama":
        return LlamaForCausalLM(LlamaConfig(**sizes)).eval()
    return Qwen2ForCausalLM(Qwen2Config(**sizes, tie_word_embeddings=True)).eval()


def save_text_model(family: str, folder: Path, *, chat_template: str | None = TEXT_TEMPLATE) -> Path:
    """Writes a tiny text-only checkpoint."""
    text_model(family).save_pretrained(folder)
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(folder)
    return folder
