"""How many prompts go into one batch, and what happens when it does not fit into memory."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psutil
import torch

from lmms_manu.errors import ModelError
from lmms_manu.models.loading import Checkpoint

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

LARGEST = 64
_CPU_TOKENS = 16384
"""Tokens beyond which a larger batch gains nothing on a CPU."""
_MEMORY_SHARE = 0.5
_ACTIVATION_COPIES = 24
"""Hidden states that one token takes at the worst moment of a forward pass, in units of the model's width."""


@dataclass(frozen=True)
class Footprint:
    """Memory that one token takes while a batch is answered.

    Args:
        cache: bytes in the key-value cache, for each token of prompt and answer.
        activations: bytes while the prompt is read, for each token that is not shared.
    """

    cache: int
    activations: int

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Footprint:
        config = checkpoint.model.config.get_text_config()
        width = int(config.hidden_size)
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        head_width = getattr(config, "head_dim", None) or width // config.num_attention_heads
        size = checkpoint.model.dtype.itemsize
        return cls(2 * config.num_hidden_layers * heads * head_width * size, _ACTIVATION_COPIES * width * size)


def automatic_batch_size(footprint: Footprint, device: torch.device, shared: int, own: int, new: int) -> int:
    """The number of prompts to answer at once.

    Args:
        footprint: of the model.
        device: where it runs.
        shared: tokens of the prompt that are computed once for all.
        own: tokens of the longest prompt that are not.
        new: the most tokens that an answer may have.
    """
    row = footprint.cache * (shared + own + new) + footprint.activations * own
    fitting = int(_MEMORY_SHARE * free_memory(device)) // max(row, 1)
    if device.type == "cpu":
        fitting = min(fitting, _CPU_TOKENS // max(own, 1))
    return max(1, min(LARGEST, fitting))


def free_memory(device: torch.device) -> int:
    """Bytes that are free on `device`."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free) + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(psutil.virtual_memory().available)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may succeed where this error came up."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in words or "can't allocate memory" in words)


class BatchRunner:
    """Runs items batch by batch; out of memory halves the batch for good and tries again."""

    def __init__(self) -> None:
        self._fitting: int | None = None

    def run(
        self,
        items: Sequence[Item],
        size: Callable[[Item], int],
        work: Callable[[Sequence[Item]], Sequence[Result]],
        label: Callable[[Item], str],
    ) -> Iterator[Sequence[Result]]:
        """Yields the results of one batch after the other.

        Args:
            items: what to work on, the largest first.
            size: the number of items to take at once, by the largest one of them.
            work: gives a result for each item of a batch.
            label: names an item in a message.

        Raises:
            ModelError: a single item does not fit into memory.
        """
        begin = 0
        while begin < len(items):
            count = size(items[begin])
            batch = items[begin : begin + (count if self._fitting is None else min(count, self._fitting))]
            results = None
            try:
                results = work(batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(batch) == 1:
                    raise ModelError(
                        f"{label(batch[0])}: out of memory with this one prompt. Use a smaller dtype (dtype=bfloat16), "
                        "a device with more memory, or device_map=auto."
                    ) from error
            if results is None:
                # Behind the except block, or the error would keep the failed batch's tensors alive.
                self._fitting = len(batch) // 2
                logger.warning("out of memory with %d prompts at once: going on with %d", len(batch), self._fitting)
                release_memory()
                continue
            yield results
            begin += len(batch)


def release_memory() -> None:
    """Gives back what a failed batch left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
