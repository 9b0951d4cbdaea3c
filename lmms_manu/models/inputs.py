"""From prompts with pictures to the tensors that a model takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from transformers import BatchFeature, ProcessorMixin

from lmms_manu.errors import ModelError
from lmms_manu.models.loading import Checkpoint

MARKER = "<image>"
"""Where a picture belongs in a released prompt; each model has a placeholder of its own for it."""


class PromptEncoder:
    """Renders prompts with a model's own placeholders and encodes them, text-only and pictured ones mixed.

    Args:
        checkpoint: the model's processor is used; its weights are not touched.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.processor: ProcessorMixin = checkpoint.processor
        self.tokenizer = checkpoint.tokenizer
        self.tokenizer.padding_side = "left"
        self._nested_pictures = False

    @cached_property
    def image_token(self) -> str:
        """The token that stands for a picture in a text given to the processor.

        Raises:
            ModelError: the processor names none.
        """
        # Gemma's processors expand the begin-of-image token; their image token is what it is expanded to.
        for name in ("boi_token", "image_token"):
            for owner in (self.processor, self.tokenizer):
                token = getattr(owner, name, None)
                if token is not None:
                    return str(token)
        raise ModelError(f"{type(self.processor).__name__} does not say which token stands for a picture.")

    @cached_property
    def placeholder(self) -> str:
        """What a chat template writes for a picture: the image token with whatever belongs around it."""
        if not self.has_chat_template:
            return self.image_token
        before, after = "picture-from-here", "picture-to-here"
        content = [{"type": "text", "text": before}, {"type": "image"}, {"type": "text", "text": after}]
        rendered = self._apply_template([{"role": "user", "content": content}])
        between = rendered.partition(before)[2].partition(after)[0].strip()
        # Templates that put all pictures first have nothing between the two texts.
        return between if self.image_token in between else self.image_token

    @property
    def has_chat_template(self) -> bool:
        return bool(getattr(self.processor, "chat_template", None) or getattr(self.tokenizer, "chat_template", None))

    def released_text(self, text: str) -> str:
        """`text` with the model's own placeholder for every `<image>` marker."""
        return text.replace(MARKER, self.placeholder)

    def chat_text(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Messages as one prompt that ends where the model's answer starts.

        Args:
            messages: turns with "role" and "content", a text or a list of {"type": "text", "text": ...} and
                {"type": "image", ...} parts.

        Returns:
            The chat template's rendering; `USER: ...\\nASSISTANT:` turns where the processor has no template.
        """
        turns = [{"role": message["role"], "content": self._parts(message["content"])} for message in messages]
        if self.has_chat_template:
            return self._apply_template(turns)
        lines = [f"{turn['role'].upper()}: {self._plain(turn['content'])}" for turn in turns]
        return "\n".join([*lines, "ASSISTANT:"])

    def encode(self, texts: Sequence[str], pictures: Sequence[Sequence[Image.Image]]) -> BatchFeature:
        """Encodes a batch on the CPU.

        Args:
            texts: rendered prompts, one placeholder for each picture.
            pictures: the pictures of each prompt, in the order of the placeholders; empty for text only.

        Returns:
            The model's inputs, padded on the left: `input_ids` and `attention_mask` `[batch, tokens]`, and whatever
            the processor makes of the pictures.

        Raises:
            ModelError: a prompt has another number of placeholders than pictures.
        """
        for text, own in zip(texts, pictures, strict=True):
            if text.count(self.image_token) != len(own):
                raise ModelError(
                    f"A prompt has {text.count(self.image_token)} placeholders {self.image_token!r} "
                    f"for {len(own)} pictures: {text[:200]!r}"
                )
        texts = [self._without_bos(text) for text in texts]
        options: dict[str, Any] = {"text": texts, "padding": True, "padding_side": "left", "return_tensors": "pt"}
        if not any(pictures):
            return self.processor(**options)
        if not self._nested_pictures:
            try:
                return self.processor(images=[picture for own in pictures for picture in own], **options)
            except (ValueError, TypeError, IndexError):
                # Some processors want a list for each prompt; one that fails on both raises its own error below.
                self._nested_pictures = True
        return self.processor(images=[list(own) for own in pictures], **options)

    def token_count(self, text: str, pictures: Sequence[Image.Image]) -> int:
        """The number of tokens of one prompt, pictures included."""
        return int(self.encode([text], [pictures])["attention_mask"].sum())

    def text_ids(self, text: str) -> list[int]:
        """The token ids of a piece of text, such as an answer, without any special token added."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    @cached_property
    def _adds_bos(self) -> bool:
        ids = self.tokenizer("a")["input_ids"]
        return bool(ids) and self.tokenizer.bos_token_id is not None and ids[0] == self.tokenizer.bos_token_id

    def _without_bos(self, text: str) -> str:
        """Templates may write the begin-of-text token that the tokenizer then adds a second time."""
        return text.removeprefix(self.tokenizer.bos_token) if self._adds_bos else text

    def _parts(self, content: Any) -> list[dict[str, str]]:
        """Content without the pictures themselves; a literal placeholder in a text would be taken for a picture."""
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        return [
            {"type": "image"}
            if part["type"] == "image"
            else {"type": "text", "text": part["text"].replace(self.image_token, "")}
            for part in content
        ]

    def _plain(self, parts: Sequence[Mapping[str, str]]) -> str:
        return "\n".join(self.placeholder if part["type"] == "image" else part["text"] for part in parts)

    def _apply_template(self, turns: Sequence[Mapping[str, Any]]) -> str:
        owner: Any = self.processor if getattr(self.processor, "chat_template", None) else self.tokenizer
        return str(owner.apply_chat_template(list(turns), add_generation_prompt=True, tokenize=False))


def to_device(inputs: Mapping[str, Any], device: torch.device, dtype: torch.dtype | None = None) -> dict[str, Any]:
    """Inputs on `device`; floating-point ones (pictures) as `dtype` if one is given."""

    def move(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return value.to(device, dtype) if dtype is not None and value.is_floating_point() else value.to(device)

    return {name: move(value) for name, value in inputs.items()}
