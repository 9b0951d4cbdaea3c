"""How likely given continuations of prompts are, for multiple-choice and perplexity tasks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from tqdm import tqdm
from transformers import BatchFeature

from lmms_manu.answering.batching import Footprint, HalvingBatches, automatic_batch_size
from lmms_manu.answering.prompt_reading import PromptReader
from lmms_manu.answering.requests import ContinuationRequest, Likelihood
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.errors import DataError
from lmms_manu.models.inputs import PromptEncoder, answer_start, to_device
from lmms_manu.models.loading import Checkpoint

# The logits of one token and word: as they come, in single precision, and normalised.
_LOGIT_BYTES = 12


@dataclasses.dataclass(frozen=True)
class _Scored:
    """A request, its place, its length, the number of tokens at its end that are the continuation, and its pictures."""

    request: ContinuationRequest
    place: int
    length: int
    new_tokens: int
    picture_bytes: int


class LikelihoodScorer:
    """Scores continuations in batches.

    Args:
        checkpoint: the model that scores.
        encoder: its prompts' way to tensors.
        settings: the batch size.
        progress: shows a progress bar.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        encoder: PromptEncoder,
        settings: AnsweringSettings | None = None,
        *,
        progress: bool = False,
    ) -> None:
        self._checkpoint = checkpoint
        self._encoder = encoder
        self._settings = settings or AnsweringSettings()
        self._progress = progress
        self._reader = PromptReader(checkpoint, encoder)
        self._footprint = Footprint.of(checkpoint)
        self._batches = HalvingBatches()
        self._keeps_logits = checkpoint.accepts("logits_to_keep")

    def score(self, requests: Iterable[ContinuationRequest]) -> list[Likelihood]:
        """Scores `requests`; every one is read and checked before the first one is scored.

        Args:
            requests: what to score; made as they are read, their pictures need not all lie in memory.

        Returns:
            The likelihoods in the order of the requests.

        Raises:
            ModelError: a prompt with its continuation does not fit into the model's context or into memory.
            DataError: a picture cannot be read, or a continuation has no token.
        """
        scored = [self._read(request, place) for place, request in enumerate(requests)]
        scored.sort(key=lambda one: -one.length)
        results: list[Likelihood | None] = [None] * len(scored)
        with tqdm(total=len(scored), desc="Scoring", unit=" continuations", disable=not self._progress) as bar:
            # Not every model takes texts with and without pictures at once.
            for alike in ([one for one in scored if bool(one.picture_bytes) is pictured] for pictured in (True, False)):
                done = 0
                for some in self._batches.run(alike, self._batch_size, self._score, lambda one: one.request.label):
                    for one, likelihood in zip(alike[done:], some, strict=False):
                        results[one.place] = likelihood
                    done += len(some)
                    bar.update(len(some))
        return [likelihood for likelihood in results if likelihood is not None]

    def _read(self, request: ContinuationRequest, place: int) -> _Scored:
        pictures = self._reader.open(request)
        prompt, whole = self._encoder.tokenize([request.text, request.text + request.continuation], [pictures] * 2)
        new_tokens = len(whole) - answer_start(prompt.ids, whole.ids)
        if new_tokens < 1:
            raise DataError(f"{request.label}: the continuation {request.continuation!r} has no token of its own.")
        self._reader.check_length(request, len(whole))
        return _Scored(request, place, len(whole), new_tokens, sum(whole.picture_bytes))

    def _score(self, batch: Sequence[_Scored]) -> list[Likelihood]:
        inputs = self._encoder.encode(
            [one.request.text + one.request.continuation for one in batch],
            [self._reader.open(one.request) for one in batch],
        )
        longest = max(one.new_tokens for one in batch)
        logits = self._logits(inputs, longest + 1)[:, -longest - 1 : -1].float()
        wanted = inputs["input_ids"][:, -longest:].to(logits.device)
        chosen = logits.log_softmax(-1).gather(-1, wanted.unsqueeze(-1)).squeeze(-1)
        likeliest = logits.argmax(-1) == wanted
        return [
            Likelihood(float(chosen[row, -count:].sum()), count, bool(likeliest[row, -count:].all()))
            for row, count in enumerate(one.new_tokens for one in batch)
        ]

    def _logits(self, inputs: BatchFeature, count: int) -> torch.Tensor:
        """The logits of the last `count` columns (or of more): `[batch, columns, vocabulary]`."""
        model: Any = self._checkpoint.model
        placed = to_device(inputs, self._checkpoint.device, model.dtype)
        if not hasattr(model.base_model, "get_rope_index"):
            # Models with positions of their own kind find them themselves; others would count the padding.
            placed["position_ids"] = (placed["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        options = {"logits_to_keep": count} if self._keeps_logits else {}
        with torch.inference_mode():
            logits: torch.Tensor = model(**placed, **options, use_cache=False).logits
        return logits

    def _batch_size(self, following: Sequence[_Scored]) -> int:
        if self._settings.fixed_batch_size is not None:
            return self._settings.fixed_batch_size
        longest = following[0].length
        tokens = max(one.new_tokens for one in following) + 1 if self._keeps_logits else longest
        return automatic_batch_size(
            self._footprint,
            self._checkpoint.device,
            own=longest,
            new=0,
            pictures=[one.picture_bytes for one in following],
            beside=_LOGIT_BYTES * tokens * len(self._checkpoint.tokenizer),
        )
