"""Memory of devices: how much is free, what running out of it looks like, and giving it back."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import psutil
import torch

from lmms_manu.errors import ModelError, first_line

Result = TypeVar("Result")

# How libraries below torch say it, in errors that have no type of their own.
_WORDS = (
    "out of memory",
    "can't allocate memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cudnn_status_not_supported",
)


def free_memory(device: torch.device) -> int:
    """Bytes that are free on `device`."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free) + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(psutil.virtual_memory().available)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less work at once may succeed where this error came up."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in words for word in _WORDS)


def release_memory() -> None:
    """Gives back what nothing refers to any more, cycles of objects included."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def within_memory(work: Callable[[], Result], too_large: str | None = None) -> Result | None:
    """What `work` gives, or None where it ran out of memory, which has been given back: try again with less at once.

    Args:
        work: gives a result that is not None.
        too_large: what to say where there is no less to try; it may hold `{error}`.

    Raises:
        ModelError: `too_large`, out of memory.
    """
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if too_large is not None:
            raise ModelError(too_large.format(error=first_line(error))) from error
    # Behind the except block, or the error would keep the tensors of what failed alive.
    release_memory()
    return None
