"""Runs of a model over batches, each of which leaves something behind for every block."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import torch

from lmms_manu.errors import ModelError
from lmms_manu.measuring.collector import BatchCollector
from lmms_manu.measuring.encoding import EncodedBatch, ExampleEncoder
from lmms_manu.measuring.gathering import Gathering, Values
from lmms_manu.measuring.observations import UnknownRowsError, token_rows
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.measuring.settings import Tokens
from lmms_manu.memory import within_memory
from lmms_manu.models.blocks import VISION, MlpBlock
from lmms_manu.models.inputs import PromptEncoder, to_device
from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.watch import watch

# The logits of a measurement are never read: one position, where a model can limit them.
_UNREAD = {"use_cache": False, "logits_to_keep": 1}

Batch = TypeVar("Batch")


class Runner(Protocol[Batch]):
    """What a measurement asks of whoever runs the model: any may use its shards, processes, resuming and cache."""

    @property
    def gathering(self) -> Gathering:
        """What a run leaves behind."""

    def encode(self, examples: Sequence[RenderedExample]) -> Batch:
        """A batch of examples, made ready in another thread while the batch before it runs."""

    def run(self, batch: Batch) -> Values:
        """What a batch leaves behind, for each block; the same for the same batch, whatever ran before."""


class BatchRunner(ABC):
    """Runs a model over batches, as large as memory allows. A subclass says what happens in a run: `observe`.

    Life cycle of a batch:
        - `encode`, which may run in another thread
        - `run`
            - `observe`: what the batch leaves behind, computed in float32
            - values that are not finite: once more in float64, then one example after the other to name the culprit
            - out of memory, or rows not distinguishable from padding: the two halves of the batch, and no batch is as
              large again

    Args:
        checkpoint: the model.
        encoder: makes its inputs.
        blocks: the blocks to measure.
        gathering: what is measured of them.
        tokens: which tokens count; a setting of `MeasureSettings`.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        encoder: PromptEncoder,
        blocks: Sequence[MlpBlock],
        gathering: Gathering,
        tokens: Tokens = "all",
    ) -> None:
        self.checkpoint = checkpoint
        self.blocks = tuple(blocks)
        self.gathering = gathering
        self.tokens = tokens
        self._examples = ExampleEncoder(encoder, question_lengths=self.needs_question_lengths)
        self._largest: int | None = None

    @property
    def needs_question_lengths(self) -> bool:
        """Whether batches have to say where the answers begin."""
        return self.tokens != "all"

    @abstractmethod
    def observe(self, batch: EncodedBatch, dtype: torch.dtype) -> Values:
        """What one run over a batch of at least one example leaves behind, for each block, on the block's device.

        Args:
            batch: the inputs.
            dtype: the type to compute in.

        Raises:
            UnknownRowsError: rows cannot be distinguished from padding, but could be in a smaller batch.
        """

    def encode(self, examples: Sequence[RenderedExample]) -> EncodedBatch:
        """The examples as inputs, pictures decoded."""
        return self._examples.encode(examples)

    def run(self, batch: EncodedBatch) -> Values:
        """What a batch leaves behind, for each block, on the block's device.

        Raises:
            ModelError: a value is NaN or infinite, a single example does not fit into memory, or `tokens` cannot be
                told apart in this model.
        """
        size = len(batch.examples)
        if not size:
            return [self.gathering.empty(block) for block in range(len(self.blocks))]
        if self._largest is None or size <= self._largest:
            alone = f"Out of memory while measuring {batch.examples[0].label} alone ({{error}})." if size == 1 else None
            try:
                values = within_memory(functools.partial(self._finite, batch), alone)
                if values is not None:
                    return values
                self._largest = max(1, size // 2)
            except UnknownRowsError:
                if size == 1:
                    raise ModelError(_unknown_rows(self.tokens)) from None
                self._largest = 1
        half = size // 2
        first, second = (self.run(self.encode(part)) for part in (batch.examples[:half], batch.examples[half:]))
        return [self.gathering.merge(one, other) for one, other in zip(first, second, strict=True)]

    def _finite(self, batch: EncodedBatch) -> Values:
        values = self.observe(batch, torch.float32)
        if self._first_not_finite(values) is None:
            return values
        # The square of a large but finite bfloat16 or float32 does not fit into float32.
        values = self.observe(batch, torch.float64)
        bad = self._first_not_finite(values)
        if bad is None:
            return values
        label = " or ".join(example.label for example in batch.examples)
        for example in batch.examples if len(batch.examples) > 1 else ():
            alone = self._first_not_finite(self.observe(self.encode([example]), torch.float64))
            if alone is not None:
                bad, label = alone, example.label
                break
        block = self.blocks[bad]
        raise ModelError(
            f"An activation of {block.name} ({block.tower} layer {block.layer}) is NaN or infinite on {label}. "
            "The weights or the input are broken, or the dtype is too narrow for this model (try dtype=bfloat16 or "
            "float32)."
        )

    def _first_not_finite(self, values: Values) -> int | None:
        """The first block, in the order in which a model computes them, whose values are not finite."""
        flags = [self.gathering.is_finite(own) for own in values]
        wrong = [number for number, finite in enumerate(flags) if not finite]
        # What a vision tower sees goes on into the language tower, whose blocks come first here.
        return min(wrong, key=lambda number: (self.blocks[number].tower != VISION, number), default=None)


class ActivationRunner(BatchRunner):
    """Forward passes whose activations are gathered; arguments as of `BatchRunner`."""

    def observe(self, batch: EncodedBatch, dtype: torch.dtype) -> Values:
        model = self.checkpoint.model
        inputs = to_device(batch.inputs, self.checkpoint.device, model.dtype)
        counted = token_rows(batch.inputs["attention_mask"], self.tokens, batch.question_lengths)
        collector = BatchCollector(self.blocks, batch.inputs, counted, self.gathering, _patch_size(model), dtype)
        with torch.inference_mode(), watch(model, self.blocks, collector):
            model(**with_decoder_inputs(model, inputs), **self._unread)
        return collector.values()

    @property
    def _unread(self) -> dict[str, Any]:
        return {name: value for name, value in _UNREAD.items() if self.checkpoint.accepts(name)}


def with_decoder_inputs(model: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs with the text given to the decoder as well, where a model has one of its own."""
    if not getattr(model.config, "is_encoder_decoder", False):
        return inputs
    decoder = {"decoder_input_ids": inputs["input_ids"], "decoder_attention_mask": inputs["attention_mask"]}
    return {**inputs, **decoder}


def _patch_size(model: Any) -> int | None:
    """The side of a patch of the vision tower in pixels, where the configuration states it."""
    size = getattr(getattr(model.config, "vision_config", None), "patch_size", None)
    return size if isinstance(size, int) else None


def _unknown_rows(tokens: Tokens) -> str:
    return (
        f"tokens={tokens!r} cannot be told apart in this model: its MLP blocks do not see one row per token. "
        "Use tokens=all."
    )
