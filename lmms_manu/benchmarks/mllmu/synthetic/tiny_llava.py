"""The tiny LLaVA that is the subject of demonstrations and tests: its processor and its untrained model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

IMAGE_TOKEN = "<image>"
END_TOKEN = "</s>"
_PAD_TOKEN = "<pad>"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ message['role'].upper() + ': ' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] }}{% endfor %}"
    "{% endif %}"
    "{{ '\n' if message['role'] != 'assistant' else '</s>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


@dataclasses.dataclass(frozen=True)
class TinyLlavaSize:
    """The sizes of a tiny LLaVA.

    Args:
        picture: width and height of the pictures that it reads.
        patch: width and height of a patch.
        vocabulary: the most tokens that the tokenizer may have.
        hidden: width of both towers.
        vision_neurons, vision_layers: neurons of an MLP block and blocks of the vision tower; the last is not read.
        language_neurons, language_layers: the same of the language model, all of whose blocks are read.
        heads: attention heads of the language model.
        head_width: width of each of them.
        context: the longest sequence, in tokens.
    """

    picture: int = 48
    patch: int = 16
    vocabulary: int = 1800
    hidden: int = 64
    vision_neurons: int = 256
    vision_layers: int = 3
    language_neurons: int = 512
    language_layers: int = 2
    heads: int = 2
    head_width: int = 16
    context: int = 4096


def build_processor(texts: Iterable[str], size: TinyLlavaSize) -> LlavaProcessor:
    """A processor whose byte-level BPE tokenizer is trained on `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size.vocabulary,
        special_tokens=[_PAD_TOKEN, END_TOKEN, IMAGE_TOKEN],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    square = {"height": size.picture, "width": size.picture}
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": size.picture}, crop_size=square),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token=_PAD_TOKEN,
            eos_token=END_TOKEN,
            additional_special_tokens=[IMAGE_TOKEN],
            model_max_length=size.context,
            padding_side="left",
        ),
        patch_size=size.patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token=IMAGE_TOKEN,
        chat_template=CHAT_TEMPLATE,
    )


def build_model(processor: LlavaProcessor, size: TinyLlavaSize, seed: int) -> LlavaForConditionalGeneration:
    """An untrained model for `processor`, drawn by `seed`, in float32."""
    tokenizer = processor.tokenizer
    end, pad = tokenizer.convert_tokens_to_ids([END_TOKEN, _PAD_TOKEN])
    vision = CLIPVisionConfig(
        hidden_size=size.hidden,
        intermediate_size=size.vision_neurons,
        num_hidden_layers=size.vision_layers,
        num_attention_heads=4,
        image_size=size.picture,
        patch_size=size.patch,
        projection_dim=size.hidden,
    )
    # ReLU, narrow attention and a wide start: what lets so small a model memorise quickly.
    language = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=size.language_neurons,
        num_hidden_layers=size.language_layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        head_dim=size.head_width,
        hidden_act="relu",
        initializer_range=0.08,
        max_position_embeddings=size.context,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
        tie_word_embeddings=True,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=language,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
        image_seq_length=(size.picture // size.patch) ** 2,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(config)
    model.generation_config.update(bos_token_id=None, eos_token_id=end, pad_token_id=pad)
    return model
