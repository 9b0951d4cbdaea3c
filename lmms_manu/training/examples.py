"""From rendered questions and answers to batches in which every trained token is known."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature

from lmms_manu.errors import DataError
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.models.inputs import PromptEncoder, TokenizedPrompt, answer_start
from lmms_manu.models.loading import Checkpoint
from lmms_manu.training.order import Item

_AT_ONCE = 64
logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TokenizedExample:
    """A question with its answer as tokens.

    Args:
        rendered: the texts, and the way to the pictures.
        prompt: the tokens of both, without the end token.
        start: the place of the first trained token.
        place: its own among the examples of its set and modality.
    """

    rendered: RenderedExample
    prompt: TokenizedPrompt
    start: int
    place: int

    @property
    def item(self) -> Item:
        return Item(self.rendered.label, len(self.prompt))


@dataclasses.dataclass(frozen=True)
class Batch:
    """A model's inputs, and where the tokens stand whose probabilities count.

    Args:
        inputs: `input_ids` and `attention_mask` `[sequences, columns]`, padded on the right, so that positions are
            counted as they are for one sequence alone, and whatever belongs to the pictures.
        rows, columns: int `[tokens]`, where the logits stand that predict each trained token, sequence by sequence.
        tokens: int `[tokens]`, the ids of these tokens.
        lengths: int `[sequences]`, how many there are of each sequence.
        names: of the sequences, the same in every batch.
        weight: what each sequence counts; with several processes, each has a part of a batch.
    """

    inputs: Mapping[str, Any]
    rows: Tensor
    columns: Tensor
    tokens: Tensor
    lengths: Tensor
    names: tuple[str, ...]
    weight: float


class Examples:
    """The examples of one set, by modality.

    Args:
        checkpoint: the model; only its tokenizer and sizes are used.
        encoder: makes inputs; it prepares each picture once.
        samples: by modality.
        trained_tokens: `answer` or `all`.
        what: names the set in errors.

    Raises:
        DataError: there is no example, one has no answer, or one does not fit into the model's context.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        encoder: PromptEncoder,
        samples: Mapping[str, Sequence[RenderedExample]],
        trained_tokens: str,
        what: str,
    ) -> None:
        self._encoder = encoder
        self._what = what
        self._whole = trained_tokens == "all"
        self._end = end_token(checkpoint)
        self._longest = checkpoint.context_length
        self.by_modality = {modality: self._read(modality, part) for modality, part in samples.items() if part}
        if not self.by_modality:
            raise DataError(f"There is no sample of {what} to train on.")

    @property
    def items(self) -> dict[str, list[Item]]:
        return {modality: [example.item for example in own] for modality, own in self.by_modality.items()}

    def __len__(self) -> int:
        return sum(map(len, self.by_modality.values()))

    def batch(self, modality: str, places: Sequence[int], rank: int = 0, world: int = 1) -> Batch:
        """The share of a batch that process `rank` of `world` takes.

        A process whose share would be empty takes the first sequence with a weight of 0, so that all do the same work.
        """
        own = places[rank::world]
        chosen = [self.by_modality[modality][place] for place in own or places[:1]]
        names = tuple(f"{self._what} {modality} {example.place}" for example in chosen)
        # Gradients are averaged over the processes, and each sequence counts the same.
        weight = world / len(places) if own else 0.0
        return collate(self._encode(chosen), [example.start for example in chosen], self._end, names, weight)

    def _encode(self, examples: Sequence[TokenizedExample]) -> BatchFeature:
        prompts = [example.prompt for example in examples]
        if all(prompt.separable for prompt in prompts):
            pictures = [self._encoder.prepared(each.prompt, each.rendered.pictures) for each in examples]
            if (joined := self._encoder.join(prompts, pictures)) is not None:
                return joined
        texts = [example.rendered.text for example in examples]
        return self._encoder.process(texts, [example.rendered.pictures() for example in examples])

    def _read(self, modality: str, samples: Sequence[RenderedExample]) -> list[TokenizedExample]:
        examples: list[TokenizedExample] = []
        for start in range(0, len(samples), _AT_ONCE):
            readable = [
                (each, pictures) for each in samples[start : start + _AT_ONCE] if (pictures := _open(each)) is not None
            ]
            pictures = [own for _, own in readable]
            whole = self._encoder.tokenize([rendered.text for rendered, _ in readable], pictures)
            asked = self._encoder.tokenize([rendered.question for rendered, _ in readable], pictures)
            for (rendered, _), prompt, question in zip(readable, whole, asked, strict=True):
                examples.append(self._example(rendered, prompt, question, len(examples)))
        if not examples:
            raise DataError(f"No {modality} sample of {self._what} can be read.")
        return examples

    def _example(
        self, rendered: RenderedExample, prompt: TokenizedPrompt, question: TokenizedPrompt, place: int
    ) -> TokenizedExample:
        if not rendered.answer.strip():
            raise DataError(
                f"{rendered.label} of {self._what} has no answer, and there is nothing to train on without one."
            )
        if self._longest is not None and len(prompt) >= self._longest:
            raise DataError(
                f"{rendered.label} of {self._what} has {len(prompt)} tokens with its answer and its end, and the model "
                f"takes {self._longest}: leave the sample out of the data."
            )
        # No token predicts the first one.
        start = 1 if self._whole else max(1, answer_start(question.ids, prompt.ids))
        return TokenizedExample(rendered, prompt, start, place)


def collate(inputs: Mapping[str, Any], starts: Sequence[int], end: int, names: tuple[str, ...], weight: float) -> Batch:
    """A batch of inputs that are padded on the left, with the end token behind each sequence.

    Args:
        inputs: as a processor gives them.
        starts: the place of each sequence's first trained token, counted without padding.
        end: the end token.
        names: of the sequences.
        weight: of each sequence.
    """
    ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
    counts = mask.sum(1).tolist()
    # A tokenizer may end texts itself.
    ended = [int(row[own][-1]) == end for row, own in zip(ids, mask, strict=True)]
    totals = [count + (not done) for count, done in zip(counts, ended, strict=True)]
    # Cross-attention has further axes: which pictures each token sees.
    shaped = {
        name: value for name, value in inputs.items() if isinstance(value, Tensor) and value.shape[:2] == ids.shape
    }
    padded = {name: value.new_zeros(len(counts), max(totals), *value.shape[2:]) for name, value in shaped.items()}
    for row, (count, total) in enumerate(zip(counts, totals, strict=True)):
        for name, value in shaped.items():
            padded[name][row, :count] = value[row, mask[row]]
            if value.ndim > 2:
                padded[name][row, count:total] = padded[name][row, count - 1]
        padded["input_ids"][row, count:] = end
        padded["attention_mask"][row, count:total] = 1
    spans = [torch.arange(start, total) for start, total in zip(starts, totals, strict=True)]
    rows = torch.repeat_interleave(torch.arange(len(spans)), torch.tensor([len(span) for span in spans]))
    places = torch.cat(spans)
    return Batch(
        {**inputs, **padded},
        rows,
        places - 1,
        padded["input_ids"][rows, places],
        torch.tensor([len(span) for span in spans]),
        names,
        weight,
    )


def end_token(checkpoint: Checkpoint) -> int:
    """The id of the token that ends an answer.

    Raises:
        DataError: neither the tokenizer nor the model names one.
    """
    configured = getattr(checkpoint.model.generation_config, "eos_token_id", None)
    ends = configured if isinstance(configured, list) else [configured]
    own = checkpoint.tokenizer.eos_token_id
    found = own if own is not None and (own in ends or ends == [None]) else next(iter(ends), own)
    if found is None:
        raise DataError(f"Neither the tokenizer nor the settings of {checkpoint.name} say which token ends an answer.")
    return int(found)


def _open(rendered: RenderedExample) -> list[Any] | None:
    """The pictures, decoded; None where one cannot be, with a warning."""
    try:
        return rendered.pictures()
    except DataError as error:
        logger.warning("The training goes on without %s: %s", rendered.label, error)
        return None
