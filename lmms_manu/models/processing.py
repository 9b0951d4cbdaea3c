"""A model's processor, called in the form that it wants, text-only prompts included."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch.nn.utils.rnn import pad_sequence
from transformers import BatchFeature

from lmms_manu.errors import ModelError
from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.rendering import PromptRenderer


class PromptProcessing(PromptRenderer):
    """Renders prompts with a model's own placeholders and has its processor encode them.

    Args:
        checkpoint: the model's processor is used; its weights are not touched.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint.processor, checkpoint.system_prompt)
        self.tokenizer.padding_side = "left"
        # Only the class: who keeps an encoder does not keep the weights.
        self._model_class = type(checkpoint.model)

    def process(self, texts: Sequence[str], pictures: Sequence[Sequence[Image.Image]]) -> BatchFeature:
        """Encodes a batch on the CPU.

        Args:
            texts: rendered prompts, one placeholder for each picture.
            pictures: the pictures of each prompt, in the order of the placeholders; empty for text only.

        Returns:
            The model's inputs: `input_ids` and `attention_mask` `[batch, tokens]`, padded on the left of the text, and
            whatever the processor makes of the pictures.

        Raises:
            ModelError: a prompt has another number of placeholders than pictures, or a number that the model does not
                take.
            ValueError: some prompts have pictures and some have none, which few processors take at once.
        """
        self._check_placeholders(texts, pictures)
        if not any(pictures):
            return self._process_texts(texts)
        if not all(pictures):
            raise ValueError("Prompts with pictures and prompts without cannot be processed at once.")
        if self._writes_pictures:
            if any(len(own) > 1 for own in pictures):
                raise ModelError(f"{type(self.processor).__name__} shows one picture at a time: {texts[0][:200]!r}")
            texts = [text.replace(self.image_token, "") for text in texts]
        # A list for each prompt tells whose pictures are whose.
        return self._call(texts, images=[list(own) for own in pictures])

    def _process_texts(self, texts: Sequence[str]) -> BatchFeature:
        if self._needs_picture:
            raise ModelError(f"This model takes no text without a picture: {texts[0][:200]!r}")
        try:
            return self._call(texts)
        except ValueError:
            # Processors that refuse a text alone get a picture beside it, whose tokens are taken out again.
            rows = [self._without_picture(text) for text in texts]
        padding = {name: self.tokenizer.pad_token_id if name == "input_ids" else 0 for name in rows[0]}
        return BatchFeature(
            {
                name: pad_sequence(
                    [row[name] for row in rows], batch_first=True, padding_value=value, padding_side="left"
                )
                for name, value in padding.items()
            }
        )

    def _without_picture(self, text: str) -> dict[str, torch.Tensor]:
        """The inputs that belong to the tokens of one text, each `[tokens]`."""
        inputs = self._call([self.image_token + text], images=[[Image.new("RGB", (64, 64))]])
        ids = inputs["input_ids"]
        kept = ids[0] != self._image_token_id
        return {name: value[0][kept] for name, value in inputs.items() if value.shape == ids.shape}

    def _call(self, texts: Sequence[str], **images: Any) -> BatchFeature:
        inputs: BatchFeature = self.processor(
            text=[self._without_bos(text) for text in texts],
            padding=True,
            padding_side="left",
            return_tensors="pt",
            **images,
        )
        # What a model is trained with; given it, a model computes a loss.
        inputs.pop("labels", None)
        if self.takes_pictures:
            return inputs
        # Tokenizers give token types to models that know none.
        taken = inspect.signature(self._model_class.forward).parameters
        return BatchFeature({name: value for name, value in inputs.items() if name in taken})

    def _check_placeholders(self, texts: Sequence[str], pictures: Sequence[Sequence[Image.Image]]) -> None:
        if not self.takes_pictures:
            if any(pictures):
                shown = next(text for text, own in zip(texts, pictures, strict=True) if own)
                raise ModelError(f"A picture is to be shown to a text-only model: {shown[:200]!r}")
            return
        for text, own in zip(texts, pictures, strict=True):
            if text.count(self.image_token) != len(own):
                raise ModelError(
                    f"A prompt has {text.count(self.image_token)} placeholders {self.image_token!r} "
                    f"for {len(own)} pictures: {text[:200]!r}"
                )

    @cached_property
    def _needs_picture(self) -> bool:
        """Whether the model requires a picture with every text."""
        pixels = inspect.signature(self._model_class.forward).parameters.get("pixel_values")
        return pixels is not None and pixels.default is pixels.empty

    @cached_property
    def _writes_pictures(self) -> bool:
        """Whether the processor puts a picture's tokens before the text by itself, as those with a Q-Former do."""
        return getattr(self.processor, "num_query_tokens", None) is not None

    @cached_property
    def _image_token_id(self) -> int:
        return int(self.tokenizer.convert_tokens_to_ids(self.image_token))

    @cached_property
    def _adds_bos(self) -> bool:
        ids = self.tokenizer("a")["input_ids"]
        return bool(ids) and self.tokenizer.bos_token_id is not None and ids[0] == self.tokenizer.bos_token_id

    def _without_bos(self, text: str) -> str:
        """Templates may write the begin-of-text token that the tokenizer then adds a second time."""
        return text.removeprefix(self.tokenizer.bos_token) if self._adds_bos else text
