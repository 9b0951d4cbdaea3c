"""What a request says about how its answer is generated."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from lmms_manu.errors import SettingError

logger = logging.getLogger(__name__)

Number = TypeVar("Number", int, float)

DEFAULT_MAX_NEW_TOKENS = 1024
_FEW_TOKENS = 4
_PASSED_ON: dict[str, type[int] | type[float]] = {
    "top_k": int,
    "min_p": float,
    "min_new_tokens": int,
    "repetition_penalty": float,
    "length_penalty": float,
    "no_repeat_ngram_size": int,
}
_KNOWN = frozenset({"max_new_tokens", "do_sample", "temperature", "top_p", "num_beams", "until", *_PASSED_ON})


@dataclasses.dataclass(frozen=True)
class Generation:
    """How one answer is generated; requests with equal values can share a batch.

    Args:
        max_new_tokens: the most tokens an answer may have; fewer where the model's context ends before.
        do_sample: draws tokens instead of taking the likeliest.
        temperature: of the draw.
        top_p: of the draw.
        num_beams: beams of a beam search, 1 for none.
        stop: texts that end an answer; the answer ends before the first of them.
        first_character_only: the answer may end with its first character that is not blank.
        more: further settings of transformers' `GenerationConfig`, by name.
    """

    max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS
    do_sample: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    num_beams: int = 1
    stop: tuple[str, ...] = ()
    first_character_only: bool = False
    more: tuple[tuple[str, Any], ...] = dataclasses.field(default=())

    @classmethod
    def from_arguments(
        cls, arguments: Mapping[str, Any], *, stop: Sequence[str] = (), first_character_only: bool = False
    ) -> Generation:
        """Reads a task's `generation_kwargs`, which stay as they are.

        A temperature of 0 means greedy, and so does none at all. What no model here knows is left out and named in
        one debug line.

        Args:
            arguments: the task's settings; `until` is not read.
            stop: the texts that end an answer.
            first_character_only: as above.

        Raises:
            SettingError: a setting that is a number has another value.
        """
        temperature = _number("temperature", arguments.get("temperature") or 0, float)
        do_sample = arguments.get("do_sample")
        sample = temperature > 0 and (do_sample is None or _truth(do_sample))
        for name in sorted(arguments.keys() - _KNOWN):
            _say_ignored(name, str(arguments[name]))
        return cls(
            max_new_tokens=_number("max_new_tokens", arguments.get("max_new_tokens") or DEFAULT_MAX_NEW_TOKENS, int),
            do_sample=sample,
            temperature=temperature if sample else 1.0,
            top_p=_number("top_p", arguments.get("top_p") or 1, float) if sample else 1.0,
            num_beams=_number("num_beams", arguments.get("num_beams") or 1, int),
            stop=tuple(text for text in stop if text),
            first_character_only=first_character_only,
            more=tuple(
                (name, _number(name, arguments[name], kind))
                for name, kind in _PASSED_ON.items()
                if arguments.get(name) is not None
            ),
        )

    @property
    def is_short(self) -> bool:
        """Whether reading the prompt is nearly all of the work: an answer takes a few tokens."""
        return self.first_character_only or self.max_new_tokens <= _FEW_TOKENS

    def options(self) -> dict[str, Any]:
        """The values as keyword arguments of transformers' `GenerationConfig`."""
        options: dict[str, Any] = {"do_sample": self.do_sample, "num_beams": self.num_beams, **dict(self.more)}
        if self.do_sample:
            options |= {"temperature": self.temperature, "top_p": self.top_p}
        return options


def _number(name: str, value: Any, kind: type[Number]) -> Number:
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        raise SettingError(
            f"generation setting {name}={value!r} is not a number: correct the task's YAML or --gen_kwargs."
        ) from None


def _truth(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).strip().lower() in ("true", "1", "yes")


@functools.cache
def _say_ignored(name: str, value: str) -> None:
    logger.debug("generation setting %s=%s has no meaning here and is ignored", name, value)
