"""Answers many prompts in batches that fit, in the order in which they were asked."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tqdm import tqdm
from transformers import BatchFeature

from lmms_manu.answering.batching import Footprint, HalvingBatches, automatic_batch_size
from lmms_manu.answering.decoding import Decoder
from lmms_manu.answering.kept_answers import KeptAnswers
from lmms_manu.answering.prefix import (
    WORTHWHILE,
    NotReusableError,
    PrefixCache,
    SharedStart,
    prefix_inputs,
    shared_start,
)
from lmms_manu.answering.prompt_reading import PromptReader, ReadyPrompt
from lmms_manu.answering.requests import Answer, PromptRequest
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.memory import is_out_of_memory, release_memory
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint

logger = logging.getLogger(__name__)

_NOTHING = SharedStart(0, 0)


@dataclasses.dataclass
class Work:
    """What answering has cost so far.

    Args:
        prompts: the number of prompts answered.
        prompt_tokens: the sum of their lengths.
        computed_prompt_tokens: those of them that went through the model; the rest was shared.
        new_tokens: the number of tokens generated.
        seconds: wall-clock time, the reading of prompts included.
    """

    prompts: int = 0
    prompt_tokens: int = 0
    computed_prompt_tokens: int = 0
    new_tokens: int = 0
    seconds: float = 0.0

    @classmethod
    def side_by_side(cls, works: Iterable[Work]) -> Work:
        """The work of several processes at the same time: the sums, and the seconds of the slowest."""
        every = list(works)
        return cls(
            prompts=sum(work.prompts for work in every),
            prompt_tokens=sum(work.prompt_tokens for work in every),
            computed_prompt_tokens=sum(work.computed_prompt_tokens for work in every),
            new_tokens=sum(work.new_tokens for work in every),
            seconds=max(work.seconds for work in every),
        )


@dataclasses.dataclass(frozen=True)
class _Group:
    """Prompts that can share batches: positions of the requests, longest first, and their computed start."""

    members: tuple[int, ...]
    start: SharedStart = _NOTHING
    prefix: PrefixCache | None = dataclasses.field(default=None, repr=False)


class AnsweringEngine:
    """Answers prompts with one model.

    Prompts with equal generation settings, with pictures or without, are sorted by length and answered in batches;
    those of one task that begin alike share the computation of their start. Greedy answers do not depend on batch size
    or order, but for the rounding of floating-point sums, which differs with the shape of a batch.

    Args:
        checkpoint: the model that answers.
        encoder: its prompts' way to tensors.
        settings: batch size and sharing.
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
        self.work = Work()
        self._checkpoint = checkpoint
        self._encoder = encoder
        self._settings = settings or AnsweringSettings()
        self._progress = progress
        self._reader = PromptReader(checkpoint, encoder)
        self._decoder = Decoder(checkpoint)
        self._footprint = Footprint.of(checkpoint)
        self._batches = HalvingBatches()
        # Whether sharing leaves the answers as they are, by whether there are pictures in the start and behind it;
        # absent if untried.
        self._sharing_agrees: dict[tuple[bool, bool], bool] = {}

    def answer(
        self, requests: Iterable[PromptRequest], total: int | None = None, kept: KeptAnswers | None = None
    ) -> list[Answer]:
        """Answers `requests`; every prompt is read and checked before the first one is answered.

        Args:
            requests: what to answer; made as they are read, they need not all lie in memory.
            total: how many there are, for the progress bar.
            kept: answers of an earlier call that was stopped, which are not asked for again; the others are added.

        Returns:
            The answers in the order of the requests.

        Raises:
            ModelError: a prompt does not fit into the model's context, or a single one not into memory.
            DataError: a picture cannot be read.
        """
        started = time.perf_counter()
        ready = self._reader.read(requests, total, progress=self._progress)
        pictures = [self._reader.digests(prompt) if kept else () for prompt in ready]
        answers = [kept.find(one.request, own) if kept else None for one, own in zip(ready, pictures, strict=True)]
        known = len(answers) - answers.count(None)
        with tqdm(
            total=len(ready), initial=known, desc="Answering", unit=" questions", disable=not self._progress
        ) as bar:
            for members in _alike(ready, [position for position, answer in enumerate(answers) if answer is None]):
                for group in self._groups(ready, members):
                    done = 0
                    for some in self._answer_group(ready, group):
                        for position, answer in zip(group.members[done:], some, strict=False):
                            answers[position] = answer
                            if kept:
                                kept.keep(ready[position].request, pictures[position], answer)
                        done += len(some)
                        bar.update(len(some))
        self.work.seconds += time.perf_counter() - started
        return [answer for answer in answers if answer is not None]

    def _groups(self, ready: Sequence[ReadyPrompt], members: Sequence[int]) -> Iterator[_Group]:
        """Splits requests of equal settings into the groups that share a start, and one of all the rest.

        A start is computed when its group is asked for: those of all tasks together may not fit into memory.
        """
        tasks = defaultdict(list)
        for position in members:
            tasks[ready[position].request.group].append(position)
        rest: list[int] = []
        for task in tasks.values():
            group = self._with_prefix(ready, task)
            if group.prefix is None:
                rest += task
            else:
                yield group
        if rest:
            yield _Group(_longest_first(ready, rest))

    def _with_prefix(self, ready: Sequence[ReadyPrompt], members: Sequence[int]) -> _Group:
        """The group with its start computed, or without one where sharing does not pay or is not safe."""
        ordered = _longest_first(ready, members)
        first = ready[ordered[0]]
        plain = _Group(ordered)
        if not self._settings.reuse_prefix or len(members) < 3 or first.request.generation.num_beams > 1:
            return plain
        start = shared_start([ready[position].tokens for position in ordered])
        kind = (start.pictures > 0, any(len(ready[position].tokens.spans) > start.pictures for position in ordered))
        if start.tokens < WORTHWHILE or self._sharing_agrees.get(kind) is False:
            return plain
        length = len(first.tokens)
        try:
            inputs = prefix_inputs(self._encoder, first.tokens, self._reader.pictures(first), start)
            longest = length + self._decoder.room(length, first.request.generation)
            group = _Group(ordered, start, PrefixCache(self._checkpoint, inputs, longest))
            agrees = self._sharing_agrees.get(kind) or self._agrees(ready, group)
        except NotReusableError as reason:
            logger.debug("exemplars are computed again for every prompt: %s", reason)
            agrees = False
        except (ValueError, TypeError, LookupError, AttributeError, RuntimeError, StopIteration) as error:
            # A model that cannot go on from a cache says so in its own way; it is then asked without one.
            if is_out_of_memory(error):
                release_memory()
                return plain
            logger.debug("exemplars are computed again for every prompt: %s", error)
            agrees = False
        self._sharing_agrees[kind] = agrees
        if not agrees:
            return plain
        self.work.computed_prompt_tokens += start.tokens
        return group

    def _agrees(self, ready: Sequence[ReadyPrompt], group: _Group) -> bool:
        """Tries the longest and the shortest prompt, the second of them padded, both ways."""
        batch = [ready[group.members[0]], ready[group.members[-1]]]
        lengths = [len(prompt.tokens) for prompt in batch]
        plain, _ = self._inputs(batch, _Group(group.members))
        shared, prefix = self._inputs(batch, group)
        generation = batch[0].request.generation
        return prefix is not None and self._decoder.agrees(plain, shared, lengths, generation, prefix)

    def _answer_group(self, ready: Sequence[ReadyPrompt], group: _Group) -> Iterator[Sequence[Answer]]:
        return self._batches.run(
            [ready[position] for position in group.members],
            lambda following: self._batch_size(following, group.start),
            lambda batch: self._answer_batch(batch, group),
            lambda prompt: prompt.request.label,
        )

    def _answer_batch(self, batch: Sequence[ReadyPrompt], group: _Group) -> list[Answer]:
        lengths = [len(prompt.tokens) for prompt in batch]
        inputs, prefix = self._inputs(batch, group)
        decoded = self._decoder.decode(inputs, lengths, batch[0].request.generation, prefix)
        shared = group.start.tokens if prefix is not None else 0
        self.work.prompts += len(batch)
        self.work.prompt_tokens += sum(lengths)
        self.work.computed_prompt_tokens += sum(lengths) - shared * len(batch)
        self.work.new_tokens += sum(decoded.new_tokens)
        return [
            Answer(text, length, new)
            for text, length, new in zip(decoded.texts, lengths, decoded.new_tokens, strict=True)
        ]

    def _inputs(self, batch: Sequence[ReadyPrompt], group: _Group) -> tuple[BatchFeature, PrefixCache | None]:
        """A batch's inputs, and the shared start that has to go with them."""
        if all(prompt.tokens.separable for prompt in batch):
            joined = self._encoder.join(
                [prompt.tokens for prompt in batch],
                [self._reader.pictures(prompt, skip=group.start.pictures) for prompt in batch],
                shared_tokens=group.start.tokens,
            )
            if joined is not None:
                return joined, group.prefix
        texts = [prompt.request.text for prompt in batch]
        return self._encoder.process(texts, [self._reader.open(prompt.request) for prompt in batch]), None

    def _batch_size(self, following: Sequence[ReadyPrompt], start: SharedStart) -> int:
        if self._settings.fixed_batch_size is not None:
            return self._settings.fixed_batch_size
        longest = following[0]
        return automatic_batch_size(
            self._footprint,
            self._checkpoint.device,
            shared=start.tokens,
            own=len(longest.tokens) - start.tokens,
            new=self._decoder.room(len(longest.tokens), longest.request.generation),
            pictures=[sum(prompt.tokens.picture_bytes[start.pictures :]) for prompt in following],
            only_read=longest.request.generation.is_short,
        )


def _alike(ready: Sequence[ReadyPrompt], positions: Iterable[int]) -> list[list[int]]:
    """Those of the `positions` that may share a batch: by generation settings, and pictured or not.

    Not every processor takes texts with and without pictures at once, nor does every model.
    """
    groups = defaultdict(list)
    for position in positions:
        prompt = ready[position]
        groups[prompt.request.generation, bool(prompt.tokens.picture_bytes)].append(position)
    return list(groups.values())


def _longest_first(ready: Sequence[ReadyPrompt], members: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(members, key=lambda position: -len(ready[position].tokens)))
