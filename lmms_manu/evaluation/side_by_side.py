"""Several models at the same time: one harness on each GPU, or where there is none on each core."""

from __future__ import annotations

import concurrent.futures
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

from lmms_manu.evaluation.children import ended_together
from lmms_manu.evaluation.harness import Harness

Item = TypeVar("Item")
Result = TypeVar("Result")

_OF_A_HARNESS = 2 << 30
"""Bytes that the harness's libraries and what it reads take beside a model."""

_TIMES_WEIGHTS = 4
"""A model takes at most so much of its files' size: widened to float32, edited in a copy, with room to answer."""


def side_by_side(
    work: Callable[[Item, Harness], Result], items: Sequence[Item], harnesses: Sequence[Harness]
) -> list[Result]:
    """Has each item done by whichever harness is free, the first ones first; returns the results in their order.

    An error of one ends all.
    """
    waiting, results, lock = iter(enumerate(items)), dict[int, Result](), threading.Lock()

    def take(harness: Harness) -> None:
        with harness:
            while True:
                with lock:
                    number, item = next(waiting, (None, None))
                if number is None or item is None:
                    return
                results[number] = work(item, harness)

    if len(harnesses) == 1:
        # In the main thread, where an interrupt arrives.
        take(harnesses[0])
    else:
        with concurrent.futures.ThreadPoolExecutor(len(harnesses)) as pool, ended_together():
            for done in concurrent.futures.as_completed([pool.submit(take, harness) for harness in harnesses]):
                done.result()
    return [results[number] for number in range(len(items))]


def models_at_once(models: int, checkpoints: Iterable[str], folder: Path, processes: int = 1) -> int:
    """How many of `models` fit beside each other: one a GPU, or one a core as far as the memory goes.

    Args:
        models: how many there are to evaluate.
        checkpoints: what they are loaded from. Without a GPU, one that is not below `folder` or at an absolute path
            has an unknown size, and is loaded alone.
        folder: the harness's working directory.
        processes: how many processes each takes; several take all there is.
    """
    if models < 2 or processes > 1:
        return 1
    if gpus := visible_gpus():
        return min(models, len(gpus))
    sizes = [_weights(folder / checkpoint) for checkpoint in checkpoints]
    if not all(sizes):
        return 1
    needed = _OF_A_HARNESS + _TIMES_WEIGHTS * max(sizes)
    return max(1, min(models, _cores(), int(psutil.virtual_memory().available // needed)))


def environments(count: int) -> list[dict[str, str]]:
    """The variables of `count` harnesses side by side: each sees a GPU of its own, or takes its share of the cores."""
    if count == 1:
        return [{}]
    if gpus := visible_gpus():
        return [{"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} for number in range(count)]
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, _cores() // count))
    return [{"OMP_NUM_THREADS": threads} for _ in range(count)]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch  # takes seconds, and a single model does not ask

    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return [name.strip() for name in chosen.split(",")][:count] if chosen else [str(number) for number in range(count)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _weights(checkpoint: Path) -> int:
    """Bytes of the weights in a folder; 0 where there are none."""
    return sum(file.stat().st_size for pattern in ("*.safetensors", "*.bin") for file in checkpoint.glob(pattern))
