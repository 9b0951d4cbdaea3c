"""Prompts as text, with a model's own placeholder for every picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from transformers import PreTrainedTokenizerBase, ProcessorMixin

from lmms_manu.errors import ModelError, first_line

MARKER = "<image>"
"""Where a picture belongs in a released prompt; each model has a placeholder of its own for it."""

_PLACE = "picture-belongs-here"
"""Stands in a text for a picture while a chat template is applied."""


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
        system_prompt: the system prompt before every conversation; empty for none.
    """

    def __init__(self, processor: ProcessorMixin | PreTrainedTokenizerBase, system_prompt: str = "") -> None:
        self.processor: Any = processor
        self.tokenizer: Any = tokenizer_of(processor)
        self.takes_pictures = takes_pictures(processor)
        self.system_prompt = system_prompt

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
        """`text` with the model's own placeholder for every `<image>` marker, after the system prompt if there is one.

        Vicuna's conversations, whose form the released prompts have, put a blank between the two.
        """
        system = f"{self.system_prompt} " if self.system_prompt else ""
        return system + (text.replace(MARKER, self.placeholder) if MARKER in text else text)

    def chat_text(self, messages: Sequence[Mapping[str, Any]], *, in_place: bool = False) -> str:
        """Messages as one prompt that ends where the model's answer starts.

        Args:
            messages: turns with "role" and "content", a text or a list of {"type": "text", "text": ...} and
                {"type": "image", ...} parts.
            in_place: pictures behind a text stay where they are, also where the chat template puts all of them first.

        Returns:
            The chat template's rendering; `USER: ...\\nASSISTANT:` turns where the processor has no template.
        """
        turns = [{"role": message["role"], "content": self._parts(message["content"])} for message in messages]
        if self.system_prompt:
            turns = self._with_system_prompt(turns)
        if in_place:
            turns = [{**turn, "content": _within_text(turn["content"])} for turn in turns]
        if self.has_chat_template:
            text = self._apply_template(turns)
        else:
            lines = [f"{turn['role'].upper()}: {self._plain(turn['content'])}" for turn in turns]
            text = "\n".join([*lines, "ASSISTANT:"])
        return text.replace(_PLACE, self.placeholder) if _PLACE in text else text

    def _with_system_prompt(self, turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The turns after the system prompt, which adds to a system turn of the task's own.

        A template that knows no system turn gets it at the start of the first turn.
        """
        text = {"type": "text", "text": self.system_prompt}
        first = turns[0] if turns else {"role": "user", "content": []}
        if first["role"] == "system":
            return [{"role": "system", "content": [*first["content"], text]}, *turns[1:]]
        if self._knows_system_turns:
            return [{"role": "system", "content": [text]}, *turns]
        return [{"role": first["role"], "content": [text, *first["content"]]}, *turns[1:]]

    @cached_property
    def _knows_system_turns(self) -> bool:
        if not self.has_chat_template:
            return True
        probe, user = ([{"type": "text", "text": text}] for text in ("system-turn", "user-turn"))
        try:
            rendered = self._apply_template([{"role": "system", "content": probe}, {"role": "user", "content": user}])
        except ModelError:
            return False
        return "system-turn" in rendered

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


def _within_text(parts: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Parts with everything from the first text on as one text."""
    first = next((number for number, part in enumerate(parts) if part["type"] == "text"), len(parts))
    text = "".join(_PLACE if part["type"] == "image" else part["text"] for part in parts[first:])
    return [*parts[:first], {"type": "text", "text": text}]
