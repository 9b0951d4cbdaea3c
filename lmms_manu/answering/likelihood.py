"""How likely given continuations of prompts are: for multiple choice, perplexity, and what a model knows.

What prompts share is computed once: the exemplars that all prompts of a group begin with, and the prompt that several
continuations follow. Where a model's cache does not allow that, every continuation is read with all of its prompt.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from tqdm import tqdm
from transformers import BatchFeature

from lmms_manu.answering.batching import Footprint, HalvingBatches, automatic_batch_size
from lmms_manu.answering.prefix import (
    CACHE,
    WORTHWHILE,
    Fork,
    NotReusableError,
    PrefixCache,
    SharedStart,
    prefix_inputs,
    shared_start,
)
from lmms_manu.answering.prompt_reading import PromptReader
from lmms_manu.answering.requests import ContinuationRequest, Likelihood
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.answering.teacher_forcing import likelihood, rows_agree
from lmms_manu.errors import DataError
from lmms_manu.memory import is_out_of_memory, release_memory
from lmms_manu.models.inputs import PromptEncoder, TokenizedPrompt, answer_start, to_device
from lmms_manu.models.loading import Checkpoint

logger = logging.getLogger(__name__)

_NOTHING = SharedStart(0, 0)
# The logits of one token and word: as they come, in single precision, and normalised.
_LOGIT_BYTES = 12
_READ_AT_ONCE = 8

Rows = list[Likelihood]


@dataclasses.dataclass(frozen=True)
class _Scored:
    """A request with the tokens of its prompt with each continuation.

    Args:
        request: the request.
        place: its place among the requests.
        wholes: the prompt with each continuation.
        starts: where each continuation starts.
    """

    request: ContinuationRequest
    place: int
    wholes: tuple[TokenizedPrompt, ...]
    starts: tuple[int, ...]

    @property
    def length(self) -> int:
        return max(map(len, self.wholes))

    @property
    def new_tokens(self) -> int:
        """The most tokens that a continuation has."""
        return max(len(whole) - start for whole, start in zip(self.wholes, self.starts, strict=True))

    @property
    def trunk(self) -> TokenizedPrompt:
        """What is the same in front of all continuations."""
        return dataclasses.replace(self.wholes[0], ids=self.wholes[0].ids[: min(self.starts)])


@dataclasses.dataclass(frozen=True)
class _Group:
    """Requests that can share batches, longest first, and the start that they share."""

    members: Sequence[_Scored]
    start: SharedStart = _NOTHING
    prefix: PrefixCache | None = dataclasses.field(default=None, repr=False)


class LikelihoodScorer:
    """Scores continuations in batches.

    Args:
        checkpoint: the model that scores.
        encoder: its prompts' way to tensors.
        settings: the batch size, and whether starts are shared.
        progress: shows a progress bar.
        with_spread: also gives the mean and the variance of the log-probabilities at each place.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        encoder: PromptEncoder,
        settings: AnsweringSettings | None = None,
        *,
        progress: bool = False,
        with_spread: bool = False,
    ) -> None:
        self._checkpoint = checkpoint
        self._encoder = encoder
        self._settings = settings or AnsweringSettings()
        self._progress = progress
        self._with_spread = with_spread
        self._reader = PromptReader(checkpoint, encoder)
        self._footprint = Footprint.of(checkpoint)
        self._batches = HalvingBatches()
        self._keeps_logits = checkpoint.accepts("logits_to_keep")
        # Models with positions of their own kind find them themselves; others would count the padding.
        self._own_positions = hasattr(checkpoint.model.base_model, "get_rope_index")
        # Whether sharing leaves likelihoods as they are, by what is shared; absent if untried.
        self._agrees: dict[tuple[str, bool], bool] = {}

    def score(self, requests: Iterable[ContinuationRequest]) -> list[tuple[Likelihood, ...]]:
        """Scores `requests`; every one is read and checked before the first one is scored.

        Args:
            requests: what to score; made as they are read, their pictures need not all lie in memory.

        Returns:
            The likelihoods of each request's continuations, in the order of the requests.

        Raises:
            ModelError: a prompt with its continuation does not fit into the model's context or into memory, or a
                likelihood is not a number.
            DataError: a picture cannot be read, or a continuation has no token.
        """
        scored = list(self._read(requests))
        results: list[tuple[Likelihood, ...]] = [()] * len(scored)
        total = sum(len(one.wholes) for one in scored)
        with tqdm(total=total, desc="Scoring", unit=" continuations", disable=not self._progress) as bar:
            for group in self._groups(scored):
                done = 0
                for some in self._batches.run(
                    group.members, self._batch_size(group), self._work(group), lambda one: one.request.label
                ):
                    for one, likelihoods in zip(group.members[done:], some, strict=False):
                        results[one.place] = likelihoods
                        bar.update(len(likelihoods))
                    done += len(some)
        return results

    def _read(self, requests: Iterable[ContinuationRequest]) -> Iterator[_Scored]:
        numbered = enumerate(requests)
        while some := list(itertools.islice(numbered, _READ_AT_ONCE)):
            opened = [self._reader.open(request) for _, request in some]
            texts = [[request.text, *(request.text + each for each in request.continuations)] for _, request in some]
            tokens = iter(
                self._encoder.tokenize(
                    [text for own in texts for text in own],
                    [pictures for own, pictures in zip(texts, opened, strict=True) for _ in own],
                )
            )
            # Or those of the next requests would be opened beside them.
            del opened
            for (place, request), own in zip(some, texts, strict=True):
                prompt, *wholes = itertools.islice(tokens, len(own))
                yield self._checked(request, place, prompt, wholes)

    def _checked(
        self, request: ContinuationRequest, place: int, prompt: TokenizedPrompt, wholes: Sequence[TokenizedPrompt]
    ) -> _Scored:
        starts = [answer_start(prompt.ids, whole.ids) for whole in wholes]
        for whole, start, continuation in zip(wholes, starts, request.continuations, strict=True):
            if len(whole) <= start:
                raise DataError(f"{request.label}: the continuation {continuation!r} has no token of its own.")
        self._reader.check_length(request, max(map(len, wholes)))
        return _Scored(request, place, tuple(wholes), tuple(starts))

    def _groups(self, scored: Sequence[_Scored]) -> Iterator[_Group]:
        """Requests of one group with the start that they share, and all the rest; never pictured with text alone.

        Not every model takes texts with and without pictures at once.
        """
        for pictured in (True, False):
            named: dict[str, list[_Scored]] = defaultdict(list)
            rest: list[_Scored] = []
            for one in scored:
                if bool(one.wholes[0].picture_bytes) is pictured:
                    (named[one.request.group] if one.request.group else rest).append(one)
            for members in named.values():
                group = self._with_prefix(members)
                if group is None:
                    rest += members
                else:
                    yield group
            yield _Group(_longest_first(rest))

    def _with_prefix(self, members: Sequence[_Scored]) -> _Group | None:
        """The group with its start computed; None where sharing does not pay or is not safe."""
        if not self._shares("start", members) or len(members) < 3:
            return None
        ordered = _longest_first(members)
        # Never all of a trunk, whose last token predicts the first one behind it.
        start = shared_start([one.trunk for one in ordered])
        if start.tokens < WORTHWHILE:
            return None
        first = ordered[0]

        def compute() -> _Group:
            pictures = self._pictures(first, skip=0)
            inputs = prefix_inputs(self._encoder, first.trunk, pictures, start)
            return _Group(ordered, start, PrefixCache(self._checkpoint, inputs, first.length))

        return self._tried("start", ordered, compute)

    def _shares(self, what: str, members: Sequence[_Scored]) -> bool:
        """Whether to try sharing: where the user allows it, and no try has shown that answers change."""
        if not self._settings.reuse_prefix or self._own_positions:
            return False
        separable = all(whole.separable for one in members for whole in one.wholes)
        return separable and self._agrees.get((what, bool(members[0].wholes[0].picture_bytes)), True)

    def _tried(self, what: str, members: Sequence[_Scored], compute: Callable[[], _Group]) -> _Group | None:
        """The group that `compute` makes, if the likelihoods of its first and last member are those without sharing."""
        kind = (what, bool(members[0].wholes[0].picture_bytes))
        try:
            group = compute()
            if kind not in self._agrees:
                tried = [members[0], members[-1]]
                forked = what == "trunk"
                shared = self._forked(tried, group) if forked else self._whole(tried, group)
                plain = self._whole(tried, _Group(members))
                self._agrees[kind] = rows_agree(plain, shared, single=self._checkpoint.model.dtype == torch.float32)
        except NotReusableError as reason:
            logger.debug("what prompts share is computed again for each: %s", reason)
            self._agrees[kind] = False
        except (ValueError, TypeError, LookupError, AttributeError, RuntimeError, StopIteration) as error:
            # A model that cannot go on from a cache says so in its own way; it is then asked without one.
            if is_out_of_memory(error):
                release_memory()
                return None
            logger.debug("what prompts share is computed again for each: %s", error)
            self._agrees[kind] = False
        return group if self._agrees[kind] else None

    def _work(self, group: _Group) -> Callable[[Sequence[_Scored]], list[tuple[Likelihood, ...]]]:
        """What scores a batch of the group."""
        several = [one for one in group.members if len(one.wholes) > 1]
        forks = bool(several) and self._shares("trunk", several)
        forks = forks and self._tried("trunk", several, lambda: group) is not None

        def work(batch: Sequence[_Scored]) -> list[tuple[Likelihood, ...]]:
            try:
                rows = iter(self._forked(batch, group) if forks else self._whole(batch, group))
            except NotReusableError:
                rows = iter(self._whole(batch, _Group(batch)))
            return [tuple(itertools.islice(rows, len(one.wholes))) for one in batch]

        return work

    def _whole(self, batch: Sequence[_Scored], group: _Group) -> Rows:
        """The likelihoods of all continuations of a batch, each read with its prompt."""
        own = [(one, whole, start) for one in batch for whole, start in zip(one.wholes, one.starts, strict=True)]
        counts = [len(whole) - start for _, whole, start in own]
        inputs, shared = self._inputs([(one, whole) for one, whole, _ in own], group)
        longest = max(counts)
        logits = self._forward(inputs, shared, group.prefix, longest + 1).logits[:, -longest - 1 : -1]
        wanted = inputs["input_ids"][:, -longest:].to(logits.device)
        return [
            likelihood(logits[row, -count:], wanted[row, -count:], own[row][0].request.label, spread=self._with_spread)
            for row, count in enumerate(counts)
        ]

    def _forked(self, batch: Sequence[_Scored], group: _Group) -> Rows:
        """The same, with each prompt read once: its continuations go on from one cache."""
        inputs, shared = self._inputs([(one, one.trunk) for one in batch], group, trunks=True)
        output = self._forward(inputs, shared, group.prefix, 1, use_cache=True)
        owners = torch.tensor([row for row, one in enumerate(batch) for _ in one.wholes])
        tails = [torch.from_numpy(whole.ids[min(one.starts) :]).long() for one in batch for whole in one.wholes]
        ids = torch.nn.utils.rnn.pad_sequence(tails, batch_first=True)
        first = output.logits[:, -1:][owners.to(output.logits.device)]
        logits = first
        if ids.shape[1] > 1:
            mask = torch.ones_like(ids[:, :-1])
            whole = BatchFeature(
                {
                    "input_ids": torch.cat([inputs["input_ids"][owners], ids[:, :-1]], 1),
                    "attention_mask": torch.cat([inputs["attention_mask"][owners], mask], 1),
                }
            )
            cache = Fork(output.get(CACHE), owners)
            behind = self._forward(whole, inputs["input_ids"].shape[1], cache, ids.shape[1] - 1).logits
            logits = torch.cat([first, behind], 1)
        wanted = ids.to(logits.device)
        spans = [
            (start - min(one.starts), len(whole) - min(one.starts), one.request.label)
            for one in batch
            for whole, start in zip(one.wholes, one.starts, strict=True)
        ]
        return [
            likelihood(logits[row, start:end], wanted[row, start:end], label, spread=self._with_spread)
            for row, (start, end, label) in enumerate(spans)
        ]

    def _inputs(
        self, prompts: Sequence[tuple[_Scored, TokenizedPrompt]], group: _Group, *, trunks: bool = False
    ) -> tuple[BatchFeature, int]:
        """A batch's inputs, and how many of its columns are in the group's start.

        Raises:
            NotReusableError: only the processor can put them together, and that from whole prompts alone.
        """
        if all(tokens.separable for _, tokens in prompts):
            joined = self._encoder.join(
                [tokens for _, tokens in prompts],
                [self._pictures(one, skip=group.start.pictures) for one, _ in prompts],
                shared_tokens=group.start.tokens,
            )
            if joined is not None:
                return joined, group.start.tokens
        if group.prefix is not None or trunks:
            raise NotReusableError("its pictures have different shapes")
        asked = list({one.place: one for one, _ in prompts}.values())
        texts = [one.request.text + each for one in asked for each in one.request.continuations]
        opened = [self._reader.open(one.request) for one in asked for _ in one.wholes]
        return self._encoder.process(texts, opened), 0

    def _pictures(self, one: _Scored, *, skip: int) -> list[Any]:
        return self._encoder.prepared(one.wholes[0], lambda: self._reader.open(one.request), skip=skip)

    def _forward(
        self,
        inputs: BatchFeature,
        shared: int,
        prefix: PrefixCache | Fork | None,
        count: int,
        *,
        use_cache: bool = False,
    ) -> Any:
        """The model's output with the logits of the last `count` columns, or of more.

        Args:
            inputs: of whole prompts, without the pictures of what is cached.
            shared: how many columns are cached.
            prefix: the cache of these; None if there are none.
            count: columns.
            use_cache: whether to keep a cache of all columns.
        """
        model: Any = self._checkpoint.model
        shape = inputs["input_ids"].shape
        placed = to_device(inputs, self._checkpoint.device, model.dtype)
        if not self._own_positions:
            placed["position_ids"] = (placed["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        options: dict[str, Any] = {"logits_to_keep": count} if self._keeps_logits else {}
        if shared and prefix is not None:
            options |= prefix.options(shape[0])
            placed = {
                name: value[:, shared:] if name != "attention_mask" and tuple(value.shape) == tuple(shape) else value
                for name, value in placed.items()
            }
        with torch.inference_mode():
            return model(**placed, **options, use_cache=use_cache or bool(shared))

    def _batch_size(self, group: _Group) -> Callable[[Sequence[_Scored]], int]:
        def size(following: Sequence[_Scored]) -> int:
            rows = max(len(one.wholes) for one in following)
            if self._settings.fixed_batch_size is not None:
                return max(1, self._settings.fixed_batch_size // rows)
            longest = following[0].length
            tokens = max(one.new_tokens for one in following) + 1 if self._keeps_logits else longest
            own = longest - group.start.tokens
            return max(
                1,
                automatic_batch_size(
                    self._footprint,
                    self._checkpoint.device,
                    shared=group.start.tokens,
                    own=own * rows,
                    new=0,
                    pictures=[rows * sum(one.wholes[0].picture_bytes) for one in following],
                    beside=_LOGIT_BYTES * rows * tokens * len(self._checkpoint.tokenizer),
                    only_read=True,
                ),
            )

        return size


def _longest_first(members: Iterable[_Scored]) -> list[_Scored]:
    return sorted(members, key=lambda one: -one.length)
