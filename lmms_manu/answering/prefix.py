"""What the prompts of one task begin with, computed once and reused as a key-value cache."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, Cache, DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer
from transformers.modeling_outputs import CausalLMOutputWithPast

from lmms_manu.models.inputs import PromptEncoder, TokenizedPrompt, to_device
from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.prepared_pictures import PreparedPicture

WORTHWHILE = 16
"""Shared tokens below which a cache of its own costs more than it saves."""

CACHE = (
    "cache" if "cache" in {field.name for field in dataclasses.fields(CausalLMOutputWithPast)} else "past_key_values"
)
"""What transformers calls a key-value cache: `cache` from 5.24 on."""

_EXPANDABLE = (DynamicLayer, DynamicSlidingWindowLayer)


@dataclasses.dataclass(frozen=True)
class SharedStart:
    """How much several prompts have in common at their beginning.

    Args:
        tokens: the number of tokens; never all of a prompt's.
        pictures: the number of pictures among them, each of them whole.
    """

    tokens: int
    pictures: int


def shared_start(prompts: Sequence[TokenizedPrompt]) -> SharedStart:
    """The longest common start of `prompts`, cut where a picture would be split or differs; zero if not separable."""
    first = prompts[0]
    if not all(prompt.separable for prompt in prompts):
        return SharedStart(0, 0)
    tokens = min(len(prompt) for prompt in prompts) - 1
    for prompt in prompts[1:]:
        different = np.flatnonzero(first.ids[:tokens] != prompt.ids[:tokens])
        if len(different):
            tokens = int(different[0])
    pictures = 0
    for number, (start, end) in enumerate(first.spans):
        if start >= tokens:
            break
        same = all(
            len(prompt.spans) > number
            and prompt.spans[number] == (start, end)
            and prompt.digests[number] == first.digests[number]
            for prompt in prompts
        )
        if end > tokens or not same:
            tokens = start
            break
        pictures += 1
    return SharedStart(tokens, pictures)


class PrefixCache:
    """The key-value cache of a shared start, handed out for batches of any size.

    Args:
        checkpoint: the model that computes it.
        inputs: the shared tokens and pictures as a batch of one.
        longest: the number of tokens that the longest prompt may have with its answer.

    Raises:
        NotReusableError: the model keeps a cache that cannot be handed out so.
    """

    def __init__(self, checkpoint: Checkpoint, inputs: BatchFeature, longest: int) -> None:
        model = checkpoint.model
        options = {"logits_to_keep": 1} if checkpoint.accepts("logits_to_keep") else {}
        placed = to_device(inputs, checkpoint.device, model.dtype)
        with torch.inference_mode():
            cache = model(**placed, **options, use_cache=True).get(CACHE)
        if not isinstance(cache, DynamicCache) or not all(type(layer) in _EXPANDABLE for layer in cache.layers):
            raise NotReusableError(f"{type(model).__name__} keeps a {type(cache).__name__}")
        # A sliding window counts the padding behind the start, so that shorter prompts would see less of it.
        if any(getattr(layer, "sliding_window", longest) < longest for layer in cache.layers):
            raise NotReusableError(f"{longest} tokens are more than its attention sees at a time")
        self._cache = cache
        # Models with positions in three dimensions remember how far those of the last batch ran ahead of its tokens.
        self._deltas = [(part, part.rope_deltas) for part in model.modules() if hasattr(part, "rope_deltas")]

    def for_batch(self, size: int) -> Cache:
        """A cache for the next batch, of `size` rows.

        All of them look at the one copy of the start, and grow apart from there.
        """
        for part, deltas in self._deltas:
            part.rope_deltas = deltas
        cache = copy.copy(self._cache)
        layers: list[Any] = [copy.copy(layer) for layer in self._cache.layers]
        cache.layers = layers
        for layer in layers:
            layer.keys = layer.keys.expand(size, *layer.keys.shape[1:])
            layer.values = layer.values.expand(size, *layer.values.shape[1:])
        return cache

    def options(self, size: int) -> dict[str, Any]:
        """What a forward pass of `size` rows behind the start takes beside its inputs."""
        return {CACHE: self.for_batch(size)}


class Fork:
    """The cache of a batch whose rows are gone on from several times each, for one forward pass.

    Args:
        cache: as the model gave it for the batch.
        owners: int `[rows]`, the row of the batch that each row goes on from.

    Raises:
        NotReusableError: the model keeps a cache that cannot be handed out so.
    """

    def __init__(self, cache: Any, owners: torch.Tensor) -> None:
        if not isinstance(cache, DynamicCache) or not all(type(layer) is DynamicLayer for layer in cache.layers):
            raise NotReusableError(f"it keeps a {type(cache).__name__} that cannot be read twice")
        cache.batch_select_indices(owners)
        self._cache = cache

    def options(self, size: int) -> dict[str, Any]:
        """What the forward pass takes beside its inputs."""
        return {CACHE: self._cache}


class NotReusableError(Exception):
    """A model's cache cannot be shared between prompts."""


def prefix_inputs(
    encoder: PromptEncoder, prompt: TokenizedPrompt, pictures: Sequence[PreparedPicture], start: SharedStart
) -> BatchFeature:
    """The shared start of `prompt` as a batch of one.

    Raises:
        NotReusableError: the pictures cannot be joined without the processor.
    """
    head = TokenizedPrompt(prompt.ids[: start.tokens])
    inputs = encoder.join([head], [pictures[: start.pictures]])
    if inputs is None:
        raise NotReusableError("its pictures have different shapes")
    return inputs
