"""Forward passes that leave five sums per neuron behind."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from transformers import BatchFeature

from lmms_manu.errors import DataError, ModelError, first_line
from lmms_manu.measuring.collector import BatchSums
from lmms_manu.measuring.observations import UnknownRowsError, token_rows
from lmms_manu.measuring.passages import Passage
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.measuring.sums import ActivationSums
from lmms_manu.memory import is_out_of_memory, release_memory
from lmms_manu.models.blocks import VISION, MlpBlock
from lmms_manu.models.inputs import PromptEncoder, to_device
from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.watch import watch

# The logits of a measurement are never read: one position, where a model can limit them.
_UNREAD = {"use_cache": False, "logits_to_keep": 1}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncodedBatch:
    """Passages as a model's inputs, on the CPU.

    Args:
        passages: what was encoded.
        inputs: padded on the left.
        question_lengths: the tokens of each question, where the setting `tokens` needs them.
    """

    passages: tuple[Passage, ...]
    inputs: BatchFeature
    question_lengths: tuple[int, ...] | None


class BatchRunner:
    """Measures one batch at a time.

    Life cycle of a batch:
        - `encode`, which may run in another thread
        - `run`
            - forward pass, watched: sums of each block over the rows that count
            - sums that are not finite: once more in float64, then one passage after the other to name the culprit
            - out of memory, or rows that cannot be told from padding: the two halves of the batch, and no batch is as
              large again

    Args:
        checkpoint: the model.
        encoder: makes its inputs.
        blocks: the blocks to measure.
        settings: which tokens count, and the threshold.
    """

    def __init__(
        self, checkpoint: Checkpoint, encoder: PromptEncoder, blocks: Sequence[MlpBlock], settings: MeasureSettings
    ) -> None:
        self._checkpoint = checkpoint
        self._encoder = encoder
        self._blocks = tuple(blocks)
        self._settings = settings
        self._largest: int | None = None
        # Fast tokenizers refuse to be used by two threads at once.
        self._encoding = threading.Lock()
        self._options: dict[str, Any] = {name: value for name, value in _UNREAD.items() if checkpoint.accepts(name)}
        vision = getattr(checkpoint.model.config, "vision_config", None)
        patch_size = getattr(vision, "patch_size", None)
        self._patch_size = patch_size if isinstance(patch_size, int) else None

    def encode(self, passages: Sequence[Passage]) -> EncodedBatch:
        """The passages as inputs, pictures decoded."""
        with self._encoding:
            return self._encode(tuple(passages))

    def _encode(self, passages: tuple[Passage, ...]) -> EncodedBatch:
        passages, pictures = _readable(passages)
        if not passages:
            return EncodedBatch((), BatchFeature(), None)
        inputs = self._encoder.encode([passage.text for passage in passages], pictures)
        if self._settings.tokens == "all":
            return EncodedBatch(passages, inputs, None)
        questions = self._encoder.encode([passage.question for passage in passages], pictures)
        lengths = tuple(
            _common_prefix(_attended(inputs, number), _attended(questions, number)) for number in range(len(passages))
        )
        return EncodedBatch(passages, inputs, lengths)

    def run(self, batch: EncodedBatch) -> list[ActivationSums]:
        """The sums over a batch, one for each block, on the block's device.

        Raises:
            ModelError: an activation is NaN or infinite, a single passage does not fit into memory, or `tokens`
                cannot be told apart in this model.
        """
        size = len(batch.passages)
        if not size:
            return [ActivationSums.zeros(block.neurons) for block in self._blocks]
        if self._largest is None or size <= self._largest:
            try:
                return self._finite_sums(batch)
            except UnknownRowsError:
                if size == 1:
                    raise ModelError(_unknown_rows(self._settings.tokens)) from None
                self._largest = 1
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    raise ModelError(
                        f"Out of memory while measuring {batch.passages[0].label} alone ({first_line(error)})."
                    ) from error
                self._largest = max(1, size // 2)
            # Outside of the handlers, whose traceback would keep the tensors of the failed pass alive.
            release_memory()
        half = size // 2
        first, second = (self.run(self.encode(part)) for part in (batch.passages[:half], batch.passages[half:]))
        return [one.merge(other) for one, other in zip(first, second, strict=True)]

    def _finite_sums(self, batch: EncodedBatch) -> list[ActivationSums]:
        sums = self._pass(batch, torch.float32)
        if _first_not_finite(sums, self._blocks) is None:
            return sums
        # The square of a large but finite bfloat16 or float32 does not fit into float32.
        sums = self._pass(batch, torch.float64)
        bad = _first_not_finite(sums, self._blocks)
        if bad is None:
            return sums
        label = " or ".join(passage.label for passage in batch.passages)
        for passage in batch.passages if len(batch.passages) > 1 else ():
            alone = _first_not_finite(self._pass(self.encode([passage]), torch.float64), self._blocks)
            if alone is not None:
                bad, label = alone, passage.label
                break
        block = self._blocks[bad]
        raise ModelError(
            f"An activation of {block.name} ({block.tower} layer {block.layer}) is NaN or infinite on {label}. "
            "The weights or the input are broken, or the dtype is too narrow for this model (try dtype=bfloat16 or "
            "float32)."
        )

    def _pass(self, batch: EncodedBatch, dtype: torch.dtype) -> list[ActivationSums]:
        """One watched forward pass."""
        model = self._checkpoint.model
        inputs = to_device(batch.inputs, self._checkpoint.device, model.dtype)
        counted = token_rows(batch.inputs["attention_mask"], self._settings.tokens, batch.question_lengths)
        sums = BatchSums(self._blocks, batch.inputs, counted, self._settings.tau, self._patch_size, dtype)
        with torch.inference_mode(), watch(model, self._blocks, sums):
            model(**_with_decoder_inputs(model, inputs), **self._options)
        return sums.per_block()


def _readable(passages: Sequence[Passage]) -> tuple[tuple[Passage, ...], list[list[Image.Image]]]:
    """The passages whose pictures decode, and the pictures; the others are left out with a warning."""
    kept, pictures = [], []
    for passage in passages:
        try:
            pictures.append(passage.pictures())
            kept.append(passage)
        except DataError as error:
            _logger.warning("Neurons are measured without %s: %s", passage.label, error)
    return tuple(kept), pictures


def _with_decoder_inputs(model: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs with the text given to the decoder as well, where a model has one of its own."""
    if not getattr(model.config, "is_encoder_decoder", False):
        return inputs
    decoder = {"decoder_input_ids": inputs["input_ids"], "decoder_attention_mask": inputs["attention_mask"]}
    return {**inputs, **decoder}


def _attended(inputs: BatchFeature, number: int) -> list[int]:
    """The token ids of one row without its padding."""
    ids: list[int] = inputs["input_ids"][number][inputs["attention_mask"][number].bool()].tolist()
    return ids


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids both start with: the question's tokens, but for one that the answer's first letters changed."""
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return length


def _first_not_finite(sums: Sequence[ActivationSums], blocks: Sequence[MlpBlock]) -> int | None:
    """The first block, in the order in which a model computes them, whose sums are not finite."""
    flags = [entry.values.isfinite().all() for entry in sums]
    wrong = [number for number, finite in enumerate(flags) if not finite]
    # What a vision tower sees goes on into the language tower, whose blocks come first here.
    return min(wrong, key=lambda number: (blocks[number].tower != VISION, number), default=None)


def _unknown_rows(tokens: str) -> str:
    return (
        f"tokens={tokens!r} cannot be told apart in this model: its MLP blocks do not see one row per token. "
        "Use tokens=all."
    )
