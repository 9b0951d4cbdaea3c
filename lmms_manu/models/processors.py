"""Loading what turns questions into a model's inputs: its processor, or the tokenizer of a text-only model."""

from __future__ import annotations

from typing import Any

from transformers import AutoProcessor, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase, ProcessorMixin

from lmms_manu.errors import ModelError
from lmms_manu.models.rendering import PromptRenderer, tokenizer_of
from lmms_manu.models.repository import reason_of
from lmms_manu.models.settings import DEFAULT_PROCESSOR, ModelSettings

Processor = ProcessorMixin | PreTrainedTokenizerBase

_CHAT_NEEDS = ("tokenizer", "image_processor")


def load_processor(settings: ModelSettings, config: PreTrainedConfig, *, pictures: bool) -> Processor:
    """The processor of a checkpoint, or of a text-only one the tokenizer, padding on the left; reads no weights.

    Args:
        settings: names it.
        config: the model's configuration.
        pictures: whether the model takes pictures.

    Raises:
        ModelError: there is none, it lacks a part, its chat template cannot be used, or it has no token to pad with.
    """
    source = settings.processor_source
    loader: Any = AutoProcessor if pictures else AutoTokenizer
    try:
        processor: Processor = loader.from_pretrained(
            source,
            revision=settings.revision if source == settings.checkpoint else None,
            trust_remote_code=settings.trust_remote_code,
        )
    except Exception as error:  # each of its files is read by a library that fails in its own way
        raise ModelError(_none_usable(source, reason_of(error), pictures)) from error
    if pictures:
        for part in _CHAT_NEEDS:
            # Where a checkpoint has no processor, AutoProcessor may give a bare tokenizer or image processor instead.
            if getattr(processor, part, None) is None:
                raise ModelError(_none_usable(source, f"what is there has no {part.replace('_', ' ')}", pictures))
    return prepare_processor(processor, config, source)


def prepare_processor(processor: Processor, config: PreTrainedConfig, source: str) -> Processor:
    """The same processor, padding on the left with a token that the model knows.

    Args:
        processor: is changed.
        config: the model's configuration.
        source: where the processor comes from, for messages.

    Raises:
        ModelError: it has no token to pad with, or its chat template cannot be used.
    """
    tokenizer = tokenizer_of(processor)
    tokenizer.padding_side = "left"
    _choose_padding(tokenizer, config, source)
    # Rendered once to no use: a template that cannot be is found before the weights are read.
    PromptRenderer(processor).chat_text([{"role": "user", "content": "Who is this?"}])
    return processor


def _choose_padding(tokenizer: Any, config: PreTrainedConfig, source: str) -> None:
    """Gives the tokenizer a padding token that the model has an embedding for; what it is plays no part in answers."""
    embeddings = getattr(config.get_text_config(), "vocab_size", None)

    def fits(number: int | None) -> bool:
        return number is not None and (embeddings is None or 0 <= number < embeddings)

    if fits(tokenizer.pad_token_id):
        return
    for name in ("eos_token", "bos_token", "unk_token"):
        if fits(getattr(tokenizer, f"{name}_id")):
            tokenizer.pad_token = getattr(tokenizer, name)
            return
    raise ModelError(
        f"The tokenizer of {source!r} has no token to pad with: its padding token is {tokenizer.pad_token!r} "
        f"(number {tokenizer.pad_token_id}), the model has embeddings for {embeddings} tokens, and there is no usable "
        "token that ends, begins or stands for unknown text. Set pad_token in its tokenizer_config.json."
    )


def _none_usable(source: str, reason: str, pictures: bool) -> str:
    if not pictures:
        return f"No usable tokenizer in {source!r} ({reason}). Name one with the argument processor."
    return (
        f"No usable processor in {source!r} ({reason}). Name one with the argument processor, "
        f"such as processor={DEFAULT_PROCESSOR}."
    )
