"""Memory of devices: how much is free, what running out of it looks like, and giving it back."""

from __future__ import annotations

import gc

import psutil
import torch

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
