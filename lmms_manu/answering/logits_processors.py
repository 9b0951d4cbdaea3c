"""Logits processors that see every prompt as it is, without the padding that its batch puts into it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

_SETTINGS = (
    "sequence_bias",
    "encoder_repetition_penalty",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "bad_words_ids",
    "min_length",
    "min_new_tokens",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "remove_invalid_values",
    "exponential_decay_length_penalty",
    "suppress_tokens",
    "begin_suppress_tokens",
)
"""What makes processors of a prompt's tokens. Not all of these look at padding, but they are applied in order."""


class PromptProcessors(LogitsProcessor):
    """Gives the logits of each row what its prompt would give them in a batch of its own.

    `generate` shows a processor the whole batch. Most take padding for tokens of the prompt: it is penalised, counted
    towards a length, and stands between the parts of a sequence.

    Args:
        model: makes the processors, as `generate` has them made.
        settings: those of `take_settings`.
        inputs: the batch: `input_ids` and `attention_mask`, `[batch, tokens]`.
        limits: the most new tokens of each row.
        ends: the ids of the tokens that end an answer.
    """

    def __init__(
        self,
        model: Any,
        settings: Mapping[str, Any],
        inputs: Mapping[str, torch.Tensor],
        limits: Sequence[int],
        ends: Sequence[int],
    ) -> None:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        self._width = ids.shape[1]
        self._prompts = [row[seen.bool()] for row, seen in zip(ids, mask, strict=True)]
        self._processors: list[Any] = [
            _of_prompt(model, settings, prompt, limit, ends)
            for prompt, limit in zip(self._prompts, limits, strict=True)
        ]

    def __bool__(self) -> bool:
        """Whether there is anything to process: settings may be such that nothing changes."""
        return any(self._processors)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The processed scores, `[rows, vocabulary]`, of prompts with what they were continued with, `[rows, tokens]`.

        Beam search has several rows for each prompt, one after the other.
        """
        beams = len(input_ids) // len(self._prompts)
        new = input_ids[:, self._width :].split(beams)
        processed = [
            processors(torch.cat([prompt.expand(beams, -1), continued], dim=1), some)
            for prompt, processors, continued, some in zip(
                self._prompts, self._processors, new, scores.split(beams), strict=True
            )
        ]
        return torch.cat(processed)


def _of_prompt(
    model: Any, settings: Mapping[str, Any], prompt: torch.Tensor, limit: int, ends: Sequence[int]
) -> LogitsProcessorList:
    config = GenerationConfig(max_length=len(prompt) + limit, **settings)
    # `generate` puts the ends where the processors look for them.
    config._eos_token_tensor = torch.tensor(ends, device=prompt.device) if ends else None
    processors: LogitsProcessorList = model._get_logits_processor(
        config,
        input_ids_seq_length=len(prompt),
        encoder_input_ids=prompt.unsqueeze(0),
        device=prompt.device,
    )
    return processors


@contextmanager
def take_settings(model: Any, config: GenerationConfig) -> Iterator[dict[str, Any]]:
    """Takes the settings of processors out of `config` and of the model's own configuration, which gets them back.

    Yields:
        The settings that are set, those of `config` before those of the model.
    """
    own = model.generation_config
    settings = {
        name: value
        for name in _SETTINGS
        for value in [_first_set(getattr(config, name, None), getattr(own, name, None))]
        if value is not None
    }
    bare = copy.deepcopy(own)
    for name in settings:
        setattr(config, name, None)
        setattr(bare, name, None)
    model.generation_config = bare
    try:
        yield settings
    finally:
        model.generation_config = own


def _first_set(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
