"""When an answer ends, for each row of a batch by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import StoppingCriteria

_HALF_A_CHARACTER = "\ufffd"


class RowStop(StoppingCriteria):
    """Ends a row at a stop text, after its first character, or at the end of its context.

    Args:
        tokenizer: decodes what has been generated.
        prompt_width: the number of columns before the first generated one.
        limits: the most tokens that each row may have generated.
        stop: texts that end a row.
        first_character_only: ends a row once it has written a character that is not blank.
    """

    def __init__(
        self,
        tokenizer: Any,
        prompt_width: int,
        limits: Sequence[int],
        stop: Sequence[str] = (),
        first_character_only: bool = False,
    ) -> None:
        self._tokenizer = tokenizer
        self._width = prompt_width
        self._limits = torch.tensor(limits)
        self._stop = tuple(stop)
        self._first_character_only = first_character_only
        # Every token writes at least a byte, but for special ones; the slack is for those and for split characters.
        self._tail = max((len(text.encode()) for text in stop), default=0) + 8

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        new = input_ids[:, self._width :]
        # Beam search asks about every beam of a row.
        limits = self._limits.to(new.device).repeat_interleave(new.shape[0] // len(self._limits))
        done = new.shape[1] >= limits
        if self._stop:
            tails = self._decode(new[:, -self._tail :])
            done |= torch.tensor([any(text in tail for text in self._stop) for tail in tails], device=new.device)
        if self._first_character_only:
            done |= torch.tensor([_has_character(text) for text in self._decode(new)], device=new.device)
        return done  # type: ignore[return-value]

    def _decode(self, ids: torch.Tensor) -> list[str]:
        return list(self._tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def before_stop(text: str, stop: Sequence[str]) -> str:
    """`text` up to the first of the `stop` texts in it."""
    places = [place for place in (text.find(word) for word in stop) if place >= 0]
    return text[: min(places)] if places else text


def _has_character(text: str) -> bool:
    written = text.lstrip()
    return bool(written) and written[0] != _HALF_A_CHARACTER
