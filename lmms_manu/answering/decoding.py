"""One batch through the model's own `generate`, with or without a shared start that is already computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from transformers import BatchFeature, GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from lmms_manu.answering.generation import Generation
from lmms_manu.answering.logits_processors import PromptProcessors, take_settings
from lmms_manu.answering.prefix import CACHE, PrefixCache
from lmms_manu.answering.stopping import RowStop, before_stop
from lmms_manu.models.inputs import to_device
from lmms_manu.models.loading import Checkpoint

_CHECKED_TOKENS = 8


@dataclasses.dataclass(frozen=True)
class Decoded:
    """What the rows of a batch were continued with.

    Args:
        texts: the answers.
        new_tokens: the number of tokens of each, the one that ended it included.
    """

    texts: tuple[str, ...]
    new_tokens: tuple[int, ...]


class Decoder:
    """Generates answers.

    Args:
        checkpoint: the model that answers.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._tokenizer = checkpoint.tokenizer
        config = checkpoint.model.generation_config
        ends = getattr(config, "eos_token_id", None)
        ends = self._tokenizer.eos_token_id if ends is None else ends
        self._ends: tuple[int, ...] = () if ends is None else tuple(ends) if isinstance(ends, list) else (ends,)
        self._pad: int = self._tokenizer.pad_token_id

    def decode(
        self, inputs: BatchFeature, lengths: Sequence[int], generation: Generation, prefix: PrefixCache | None = None
    ) -> Decoded:
        """Answers a batch.

        Args:
            inputs: the batch on the CPU, padded on the left; with `prefix` without the pictures of the shared start.
            lengths: the number of tokens of each prompt.
            generation: how answers are generated.
            prefix: the shared start, None if there is none.
        """
        width = inputs["input_ids"].shape[1]
        output = self._generate(inputs, lengths, generation, prefix)
        rows = [row[: self._count(row)] for row in output[:, width:].tolist()]
        texts = self._tokenizer.batch_decode(rows, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Decoded(tuple(before_stop(text, generation.stop) for text in texts), tuple(len(row) for row in rows))

    def agrees(
        self,
        plain: BatchFeature,
        shared: BatchFeature,
        lengths: Sequence[int],
        generation: Generation,
        prefix: PrefixCache,
    ) -> bool:
        """Whether a shared start leaves the answers as they are, judged by the first tokens of greedy ones.

        Logits are compared as the model gives them, and as the processors leave them, which the tokens are chosen by.

        Args:
            plain: a batch as it is without the shared start.
            shared: the same prompts as the rest behind the shared start.
            lengths: the number of tokens of each prompt.
            generation: how answers are generated.
            prefix: the shared start.
        """
        short = dataclasses.replace(
            generation, do_sample=False, max_new_tokens=min(_CHECKED_TOKENS, generation.max_new_tokens)
        )
        one, other = (
            self._generate(inputs, lengths, short, cache, with_logits=True)
            for inputs, cache in ((plain, None), (shared, prefix))
        )
        steps = min(len(one.logits), len(other.logits))
        tokens = [result.sequences[:, -len(result.logits) :][:, :steps].tolist() for result in (one, other)]
        compared = [self._compared_steps(*rows) for rows in zip(*tokens, strict=True)]
        return all(
            self._is_close(mine[step][row], theirs[step][row])
            for mine, theirs in ((one.logits, other.logits), (one.scores, other.scores))
            for row, count in enumerate(compared)
            for step in range(count)
        )

    def _compared_steps(self, one: Sequence[int], other: Sequence[int]) -> int:
        """The number of steps of two rows that can be compared: up to a token that differs (a tie), or ends them."""
        for step, (token, alike) in enumerate(zip(one, other, strict=True)):
            if token != alike or token in self._ends:
                return step + 1
        return len(one)

    def _is_close(self, one: torch.Tensor, other: torch.Tensor) -> bool:
        """Whether two rows of logits differ by rounding only."""
        one, other = one.float(), other.float()
        finite = torch.isfinite(one)
        if not torch.equal(finite, torch.isfinite(other)):
            return False
        tolerance = 1e-3 if self._checkpoint.model.dtype == torch.float32 else 5e-2
        return bool(torch.all((one - other)[finite].abs() <= tolerance * one[finite].abs().max()))

    def room(self, length: int, generation: Generation) -> int:
        """The most new tokens for a prompt of `length` tokens, so that the context is not exceeded."""
        context = self._checkpoint.context_length
        return generation.max_new_tokens if context is None else min(generation.max_new_tokens, context - length)

    def _generate(
        self,
        inputs: BatchFeature,
        lengths: Sequence[int],
        generation: Generation,
        prefix: PrefixCache | None,
        *,
        with_logits: bool = False,
    ) -> Any:
        width = inputs["input_ids"].shape[1]
        limits = [self.room(length, generation) for length in lengths]
        config = GenerationConfig(
            max_new_tokens=max(limits),
            pad_token_id=self._pad,
            eos_token_id=list(self._ends) or None,
            return_dict_in_generate=with_logits,
            output_logits=with_logits,
            output_scores=with_logits,
            **generation.options(),
        )
        options: dict[str, Any] = {}
        if generation.stop or generation.first_character_only or min(limits) < max(limits):
            stop = RowStop(self._tokenizer, width, limits, generation.stop, generation.first_character_only)
            options["stopping_criteria"] = StoppingCriteriaList([stop])
        if prefix is not None:
            options[CACHE] = prefix.for_batch(len(lengths))
        model: Any = self._checkpoint.model
        placed = to_device(inputs, self._checkpoint.device, model.dtype)
        with torch.inference_mode(), take_settings(model, config) as settings:
            if settings and (processors := PromptProcessors(model, settings, placed, limits, self._ends)):
                options["logits_processor"] = LogitsProcessorList([processors])
            return model.generate(**placed, generation_config=config, **options)

    def _count(self, row: Sequence[int]) -> int:
        """The number of tokens of a row without the padding behind it."""
        ends = (place + 1 for place, token in enumerate(row) if token in self._ends)
        last = (place for place in range(len(row), 0, -1) if row[place - 1] != self._pad)
        return next(ends, None) or next(last, 0)
