"""Prompts as text, with a model's own placeholder for every picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from transformers import PreTrainedTokenizerBase, ProcessorMixin

from lmms_manu.errors import ModelError, first_line

MARKER = "<image>"
"""Where a picture belongs in a released prompt; each model has a placeholder of its own for it."""


def tokenizer_of(processor: ProcessorMixin | PreTrainedTokenizerBase) -> Any:
    """A processor's tokenizer; a tokenizer itself is its own."""
    return getattr(processor, "tokenizer", processor)


def takes_pictures(processor: ProcessorMixin | PreTrainedTokenizerBase) -> bool:
    """Whether a processor prepares pictures; the tokenizer of a text-only model does not."""
    return getattr(processor, "image_processor", None) is not None


class PromptRenderer:
    """Renders prompts for one processor.

    Args:
        processor: says what stands for a picture, and how a conversation is written; the tokenizer of a text-only
            model will do.
    """

    def __init__(self, processor: ProcessorMixin | PreTrainedTokenizerBase) -> None:
        self.processor: Any = processor
        self.tokenizer: Any = tokenizer_of(processor)
        self.takes_pictures = takes_pictures(processor)

    @cached_property
    def image_token(self) -> str:
        """The token that stands for a picture in a text given to the processor.

        Raises:
            ModelError: the model takes no pictures, or the processor names none.
        """
        if not self.takes_pictures:
            raise ModelError("A picture is to be shown to a text-only model.")
        # The processor's own comes first: Gemma 3's tokenizer calls by that name what the processor expands it to.
        for owner in (self.processor, self.tokenizer):
            token = getattr(owner, "image_token", None)
            if token is not None:
                return str(token)
        raise ModelError(f"{type(self.processor).__name__} does not say which token stands for a picture.")

    @cached_property
    def placeholder(self) -> str:
        """What a chat template writes for a picture: the image token with whatever belongs around it."""
        if not self.has_chat_template or not self.takes_pictures:
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
        return text.replace(MARKER, self.placeholder) if MARKER in text else text

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

    def _parts(self, content: Any) -> list[dict[str, str]]:
        """Content without the pictures themselves; a literal placeholder in a text would be taken for a picture."""
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        written = self.image_token if self.takes_pictures else None
        return [
            {"type": "image"}
            if part["type"] == "image"
            else {"type": "text", "text": part["text"].replace(written, "") if written else part["text"]}
            for part in content
        ]

    def _plain(self, parts: Sequence[Mapping[str, str]]) -> str:
        return "\n".join(self.placeholder if part["type"] == "image" else part["text"] for part in parts)

    def _apply_template(self, turns: Sequence[Mapping[str, Any]]) -> str:
        owner: Any = self.processor if getattr(self.processor, "chat_template", None) else self.tokenizer
        if not self.takes_pictures:
            # Templates of text-only models take a text where those with pictures take parts.
            turns = [{**turn, "content": self._plain(turn["content"])} for turn in turns]
        try:
            return str(owner.apply_chat_template(list(turns), add_generation_prompt=True, tokenize=False))
        except ModelError:
            raise
        except Exception as error:  # what a template says by itself, or jinja of it
            raise ModelError(
                f"The chat template of {self.tokenizer.name_or_path!r} cannot be used: {type(error).__name__}: "
                f"{first_line(error)}. Mend it, or name another processor."
            ) from error
