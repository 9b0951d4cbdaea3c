"""Examples as a model's inputs, with the places of the answers."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Sequence

from PIL import Image
from transformers import BatchFeature

from lmms_manu.errors import DataError
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.models.inputs import PromptEncoder, answer_start

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class EncodedBatch:
    """Examples as a model's inputs, on the CPU.

    Args:
        examples: what was encoded.
        inputs: padded on the left.
        question_lengths: the tokens of each question, where they were asked for.
    """

    examples: tuple[RenderedExample, ...]
    inputs: BatchFeature
    question_lengths: tuple[int, ...] | None


class ExampleEncoder:
    """Encodes examples; may be called in another thread than the model runs in.

    Args:
        encoder: makes a model's inputs.
        question_lengths: whether it is to be known where the answers begin.
    """

    def __init__(self, encoder: PromptEncoder, *, question_lengths: bool) -> None:
        self._encoder = encoder
        self._with_lengths = question_lengths
        # Fast tokenizers refuse to be used by two threads at once.
        self._encoding = threading.Lock()

    def encode(self, examples: Sequence[RenderedExample]) -> EncodedBatch:
        """The examples as inputs, pictures decoded; one whose picture cannot be read is left out with a warning."""
        with self._encoding:
            return self._encode(examples)

    def _encode(self, examples: Sequence[RenderedExample]) -> EncodedBatch:
        kept, pictures = _readable(examples)
        if not kept:
            return EncodedBatch((), BatchFeature(), None)
        inputs = self._encoder.encode([example.text for example in kept], pictures)
        if not self._with_lengths:
            return EncodedBatch(kept, inputs, None)
        questions = self._encoder.encode([example.question for example in kept], pictures)
        lengths = tuple(
            answer_start(_attended(questions, number), _attended(inputs, number)) for number in range(len(kept))
        )
        return EncodedBatch(kept, inputs, lengths)


def _readable(examples: Sequence[RenderedExample]) -> tuple[tuple[RenderedExample, ...], list[list[Image.Image]]]:
    """The examples whose pictures decode, and the pictures."""
    kept, pictures = [], []
    for example in examples:
        try:
            pictures.append(example.pictures())
            kept.append(example)
        except DataError as error:
            logger.warning("Neurons are measured without %s: %s", example.label, error)
    return tuple(kept), pictures


def _attended(inputs: BatchFeature, number: int) -> list[int]:
    """The token ids of one row without its padding."""
    ids: list[int] = inputs["input_ids"][number][inputs["attention_mask"][number].bool()].tolist()
    return ids
