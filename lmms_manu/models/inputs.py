"""From prompts with pictures to the tensors that a model takes."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature

from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.prepared_pictures import KEEP_BYTES, PictureCache, PreparedPicture, bytes_of, digest_of
from lmms_manu.models.processing import PromptProcessing

_TOKENS = ("input_ids", "attention_mask")

_Surroundings = frozenset[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class TokenizedPrompt:
    """A prompt's tokens, and which of them stand for which picture.

    Args:
        ids: int32 `[tokens]`, pictures included.
        spans: first and last-but-one column of each picture; empty where `separable` is false.
        digests: the digest of each picture, in order; empty where `separable` is false.
        picture_bytes: how much memory the inputs of each picture take, in order.
        separable: whether the tokens and the pictures can be joined to batches without the processor.
    """

    ids: np.ndarray
    spans: tuple[tuple[int, int], ...] = ()
    digests: tuple[bytes, ...] = ()
    picture_bytes: tuple[int, ...] = ()
    separable: bool = True

    def __len__(self) -> int:
        return len(self.ids)


class PromptEncoder(PromptProcessing):
    """Encodes prompts as the processor does, with less work.

    Processors prepare a picture again for each prompt. Where a model's picture is nothing but tokens of its own and
    a block of its inputs, prompts are put together from tokens and pictures that are prepared once; this is taken up
    only after it gave exactly what the processor gives for the first prompt whose pictures stand between the same
    kinds of characters.

    Args:
        checkpoint: the model's processor is used; its weights are not touched.
        keep_bytes: how much memory prepared pictures may take.
    """

    def __init__(self, checkpoint: Checkpoint, keep_bytes: int = KEEP_BYTES) -> None:
        super().__init__(checkpoint)
        self.pictures = PictureCache(keep_bytes)
        # Whether prompts are separable whose pictures stand between these kinds of characters; absent if untried.
        self._separable: dict[_Surroundings, bool] = {}
        # The dimension along which a prompt's pictures are joined, for each of their inputs.
        self._picture_axes: dict[str, int] = {}
        # The token ids that each of the processor's inputs beside the tokens marks with 1.
        self._marked_ids: dict[str, set[int]] = {}

    def encode(self, texts: Sequence[str], pictures: Sequence[Sequence[Image.Image]]) -> BatchFeature:
        """The same as `process`."""
        prompts = self.tokenize(texts, pictures)
        if all(prompt.separable for prompt in prompts):
            prepared = [
                self.prepared(prompt, functools.partial(list, own))
                for prompt, own in zip(prompts, pictures, strict=True)
            ]
            joined = self.join(prompts, prepared)
            if joined is not None:
                return joined
        return self.process(texts, pictures)

    def tokenize(self, texts: Sequence[str], pictures: Sequence[Sequence[Image.Image]]) -> list[TokenizedPrompt]:
        """The tokens of each prompt by itself; arguments and errors as in `process`."""
        self._check_placeholders(texts, pictures)
        quick = [self._is_separable(text, own) for text, own in zip(texts, pictures, strict=True)]
        ids = iter(self._tokenizer_ids([text for text, fits in zip(texts, quick, strict=True) if fits]))
        prompts = []
        for text, own, fits in zip(texts, pictures, quick, strict=True):
            try:
                prompts.append(self._with_pictures(next(ids), own) if fits else self._by_processor(text, own))
            except _NotSeparableError:
                prompts.append(self._by_processor(text, own))
        return prompts

    def prepared(
        self, prompt: TokenizedPrompt, pictures: Callable[[], Sequence[Image.Image]], *, skip: int = 0
    ) -> list[PreparedPicture]:
        """The prepared pictures of a separable prompt but for the first `skip` ones.

        Args:
            prompt: its tokens.
            pictures: opens its pictures, all of them; called only where one of them is no longer kept.
            skip: how many are not wanted.
        """
        kept = [self.pictures.find(digest) for digest in prompt.digests[skip:]]
        found = [picture for picture in kept if picture is not None]
        if len(found) == len(kept):
            return found
        return [self._prepared(picture) for picture in pictures()[skip:]]

    def join(
        self,
        prompts: Sequence[TokenizedPrompt],
        pictures: Sequence[Sequence[PreparedPicture]],
        *,
        shared_tokens: int = 0,
    ) -> BatchFeature | None:
        """Puts separable prompts into a batch, padded on the left.

        Args:
            prompts: the tokens of each prompt.
            pictures: the prepared pictures of each prompt, without those among its shared tokens.
            shared_tokens: the number of tokens that all prompts begin with; padding goes behind them.

        Returns:
            As `process`; None if the pictures are of shapes that only the processor can join.
        """
        rests = [prompt.ids[shared_tokens:] for prompt in prompts]
        width = max(len(rest) for rest in rests)
        ids = np.full((len(rests), shared_tokens + width), self.tokenizer.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        ids[:, :shared_tokens] = prompts[0].ids[:shared_tokens]
        mask[:, :shared_tokens] = 1
        for row, rest in enumerate(rests):
            start = shared_tokens + width - len(rest)
            ids[row, start:] = rest
            mask[row, start:] = 1
        data = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        for name, marked in self._marked_ids.items():
            data[name] = torch.from_numpy(np.isin(ids, list(marked)).astype(np.int64))
        for name, axis in self._picture_axes.items() if any(pictures) else ():
            rows = [[picture.inputs[name] for picture in own] for own in pictures]
            block = _row_by_row(rows) if axis else _one_after_another([tensor for row in rows for tensor in row])
            if block is None:
                return None
            data[name] = block
        return BatchFeature(data)

    def token_count(self, text: str, pictures: Sequence[Image.Image]) -> int:
        """The number of tokens of one prompt, pictures included."""
        return len(self.tokenize([text], [pictures])[0])

    def text_ids(self, text: str) -> list[int]:
        """The token ids of a piece of text, such as an answer, without any special token added."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _is_separable(self, text: str, pictures: Sequence[Image.Image]) -> bool:
        """Whether putting such a prompt together gives exactly what the processor gives."""
        if pictures and self._writes_pictures:
            return False
        surroundings = self._surroundings(text)
        if surroundings not in self._separable:
            self._separable[surroundings] = self._agrees(text, pictures)
        return self._separable[surroundings]

    def _agrees(self, text: str, pictures: Sequence[Image.Image]) -> bool:
        wanted = self.process([text], [pictures])
        try:
            prepared = [self._prepared(picture) for picture in pictures]
            self._learn(wanted)
        except _NotSeparableError:
            return False
        joined = self.join([self._with_pictures(self._tokenizer_ids([text])[0], pictures)], [prepared])
        return (
            joined is not None
            and joined.keys() == wanted.keys()
            and all(torch.equal(joined[name], wanted[name].to(joined[name].dtype)) for name in joined)
        )

    def _surroundings(self, text: str) -> _Surroundings:
        """What kinds of characters the pictures of a prompt stand between: it may decide how they become tokens."""
        parts = text.split(self.image_token) if self.takes_pictures else [text]
        last = len(parts) - 1
        return frozenset(
            (
                _kind(before[-1:] if before or number == 0 else self.image_token),
                _kind(after[:1] if after or number + 1 == last else self.image_token),
            )
            for number, (before, after) in enumerate(itertools.pairwise(parts))
        )

    def _prepared(self, picture: Image.Image) -> PreparedPicture:
        """The picture, prepared now if it is not kept."""
        digest = digest_of(picture)
        known = self.pictures.find(digest)
        if known is None:
            known = self._prepare(picture, digest)
            self.pictures.keep(known)
        return known

    def _prepare(self, picture: Image.Image, digest: bytes) -> PreparedPicture:
        inputs = self.process([self.image_token], [[picture]])
        ids = inputs["input_ids"][0].numpy().astype(np.int32)
        # What the tokenizer puts around a text, it puts around this one.
        plain = self._tokenizer_ids([self.image_token])[0]
        (places,) = np.nonzero(plain == self._image_token_id)
        if len(places) != 1:
            raise _NotSeparableError
        before, behind = int(places[0]), len(plain) - int(places[0]) - 1
        own = ids[before : len(ids) - behind]
        # Tokens of the vocabulary's own text could merge with the text around them.
        if not len(own) or not {int(own[0]), int(own[-1])} <= self._unmergeable:
            raise _NotSeparableError
        if not self._picture_axes:
            self._picture_axes = self._axes(picture, inputs)
        self._learn(inputs)
        prepared = {name: inputs[name] for name in inputs if name not in (*_TOKENS, *self._marked_ids)}
        if prepared.keys() != self._picture_axes.keys():
            raise _NotSeparableError
        return PreparedPicture(digest, own, prepared)

    def _learn(self, inputs: BatchFeature) -> None:
        """Notes which token ids the inputs of the tokens' own shape mark: those that stand for pictures."""
        ids = inputs["input_ids"]
        for name in inputs:
            # A picture's own inputs may happen to have the tokens' shape.
            if name not in (*_TOKENS, *self._picture_axes) and _has_shape_of(inputs[name], ids):
                value = inputs[name]
                self._marked_ids.setdefault(name, set()).update(ids[value == 1].tolist())

    def _axes(self, picture: Image.Image, single: BatchFeature) -> dict[str, int]:
        """The dimension of each of a picture's inputs that grows when a prompt shows it twice."""
        double = self.process([f"{self.image_token} {self.image_token}"], [[picture, picture]])
        axes = {}
        for name, tensor in single.items():
            if name in _TOKENS:
                continue
            if not isinstance(tensor, torch.Tensor) or name not in double:
                raise _NotSeparableError
            # What has the tokens' shape in a prompt of another length too belongs to them.
            if all(_has_shape_of(inputs[name], inputs["input_ids"]) for inputs in (single, double)):
                continue
            shape, grown = tuple(tensor.shape), tuple(double[name].shape)
            axes_there = range(min(2, len(shape)))
            fitting = [axis for axis in axes_there if grown == (*shape[:axis], 2 * shape[axis], *shape[axis + 1 :])]
            if not fitting:
                raise _NotSeparableError
            axes[name] = fitting[0]
        return axes

    def _with_pictures(self, ids: np.ndarray, pictures: Sequence[Image.Image]) -> TokenizedPrompt:
        """A prompt with its pictures' tokens in the place of the placeholders."""
        if not pictures:
            return TokenizedPrompt(ids)
        prepared = [self._prepared(picture) for picture in pictures]
        pieces: list[np.ndarray] = []
        spans: list[tuple[int, int]] = []
        length = last = 0
        for place, picture in zip(np.flatnonzero(ids == self._image_token_id).tolist(), prepared, strict=True):
            pieces += [ids[last:place], picture.ids]
            start = length + place - last
            length, last = start + len(picture.ids), place + 1
            spans.append((start, length))
        return TokenizedPrompt(
            np.concatenate([*pieces, ids[last:]]),
            tuple(spans),
            tuple(picture.digest for picture in prepared),
            tuple(picture.size for picture in prepared),
        )

    def _by_processor(self, text: str, pictures: Sequence[Image.Image]) -> TokenizedPrompt:
        inputs = self.process([text], [pictures])
        ids = inputs["input_ids"][0].numpy().astype(np.int32)
        size = bytes_of(value for name, value in inputs.items() if name not in _TOKENS)
        return TokenizedPrompt(ids, picture_bytes=tuple(size // len(pictures) for _ in pictures), separable=False)

    def _tokenizer_ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        if not texts:
            return []
        encoded = self.tokenizer([self._without_bos(text) for text in texts])["input_ids"]
        return [np.asarray(ids, dtype=np.int32) for ids in encoded]

    @cached_property
    def _unmergeable(self) -> set[int]:
        """The ids of tokens that the tokenizer cuts out before it looks at the text around them."""
        return set(self.tokenizer.added_tokens_decoder)


class _NotSeparableError(Exception):
    """A picture cannot be put into a prompt without the processor."""


def _has_shape_of(value: Any, ids: torch.Tensor) -> bool:
    return isinstance(value, torch.Tensor) and value.shape == ids.shape


def _kind(character: str) -> str:
    """The kind of a character beside a picture, or of what else stands there."""
    if len(character) == 1 and character.isspace():
        return "space"
    return "word" if len(character) == 1 and character.isalnum() else character


def _one_after_another(tensors: Sequence[torch.Tensor]) -> torch.Tensor | None:
    """Inputs that list the pictures of all prompts; None if their shapes differ."""
    return torch.cat(list(tensors)) if len({tensor.shape[1:] for tensor in tensors}) == 1 else None


def _row_by_row(rows: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
    """Inputs `[prompts, pictures, ...]` from those of each picture, `[1, 1, ...]`, filled up with zeros."""
    shown = [tensor for row in rows for tensor in row]
    places = max(sum(tensor.shape[1] for tensor in row) for row in rows)
    sizes = [max(size) for size in zip(*(tensor.shape[2:] for tensor in shown), strict=True)]
    block = shown[0].new_zeros(len(rows), places, *sizes)
    for number, row in enumerate(rows):
        place = 0
        for (own,) in row:
            corner = [slice(size) for size in own.shape[1:]]
            block[number, place : place + len(own)][(slice(None), *corner)] = own
            place += len(own)
    return block


def to_device(inputs: Mapping[str, Any], device: torch.device, dtype: torch.dtype | None = None) -> dict[str, Any]:
    """Inputs on `device`; floating-point ones (pictures) as `dtype` if one is given."""

    def move(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return value.to(device, dtype) if dtype is not None and value.is_floating_point() else value.to(device)

    return {name: move(value) for name, value in inputs.items()}


def answer_start(question: Sequence[int] | np.ndarray, whole: Sequence[int] | np.ndarray) -> int:
    """Where the answer begins in the tokens of a question with its answer.

    Tokenizers may join the end of a question with the start of its answer; that token belongs to the answer.

    Args:
        question: the token ids of the question alone.
        whole: those of question and answer.

    Returns:
        The number of ids that both start with.
    """
    shorter = min(len(question), len(whole))
    different = np.flatnonzero(np.asarray(question[:shorter]) != np.asarray(whole[:shorter]))
    return int(different[0]) if len(different) else shorter
