"""One batch through the model's own `generate`, with or without a shared start that is already computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import BatchFeature, GenerationConfig, StoppingCriteriaList

from lmms_manu.answering.generation import Generation
from lmms_manu.answering.prefix import CACHE, PrefixCache
from lmms_manu.answering.stopping import RowStop, before_stop
from lmms_manu.models.inputs import to_device
from lmms_manu.models.loading import Checkpoint

_CHECKED_TOKENS = 8


@dataclass(frozen=True)
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
        rows = output[:, width:].tolist()
        texts = self._tokenizer.batch_decode(rows, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Decoded(
            tuple(before_stop(text, generation.stop) for text in texts), tuple(self._count(row) for row in rows)
        )

    def agrees(
        self,
        plain: BatchFeature,
        shared: BatchFeature,
        lengths: Sequence[int],
        generation: Generation,
        prefix: PrefixCache,
    ) -> bool:
        """Whether a shared start leaves the answers as they are, judged by the logits of the first tokens.

        Args:
            plain: a batch as it is without the shared start.
            shared: the same prompts as the rest behind the shared start.
            lengths: the number of tokens of each prompt.
            generation: how answers are generated.
            prefix: the shared start.
        """
        short = replace(generation, max_new_tokens=min(_CHECKED_TOKENS, generation.max_new_tokens))
        results = [
            self._generate(inputs, lengths, short, cache, with_logits=True)
            for inputs, cache in ((plain, None), (shared, prefix))
        ]
        tokens = [result.sequences[:, -len(result.logits) :] for result in results]
        logits = [torch.stack(result.logits, dim=1).float() for result in results]
        steps = min(len(result.logits) for result in results)
        tolerance = 1e-3 if self._checkpoint.model.dtype == torch.float32 else 5e-2
        for row in range(len(lengths)):
            for step in range(steps):
                one, other = (values[row, step] for values in logits)
                finite = torch.isfinite(one)
                scale = one[finite].abs().max()
                if not torch.all((one - other)[finite].abs() <= tolerance * scale):
                    return False
                token = int(tokens[0][row, step])
                # From a token on that differs (a tie, or a draw) the rows can no longer be compared.
                if token != int(tokens[1][row, step]) or token in self._ends:
                    break
        return True

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
        with torch.inference_mode():
            return model.generate(**placed, generation_config=config, **options)

    def _count(self, row: Sequence[int]) -> int:
        for place, token in enumerate(row):
            if token in self._ends:
                return place + 1
            if token == self._pad:
                return place
        return len(row)
