"""What every figure of a card is taken with: a clock that waits for the device, memory, arithmetic, and an end."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from lmms_manu.errors import first_line
from lmms_manu.memory import release_memory

GIB = 2**30
Figures = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Timer:
    """Seconds of work on a device.

    Args:
        device: where it runs.
        box: seconds to repeat it for; at least one repetition is timed.
    """

    device: torch.device
    box: float

    def once(self, work: Callable[[], object]) -> float:
        """Seconds of one call."""
        self._wait()
        started = time.perf_counter()
        work()
        self._wait()
        return time.perf_counter() - started

    def each(self, works: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
        """Seconds of each of the works in each round; they are called in turn, and once before to warm up."""
        for work in works.values():
            work()
        taken: dict[str, list[float]] = {name: [] for name in works}
        started = time.perf_counter()
        while not taken[next(iter(works))] or time.perf_counter() - started < self.box:
            for name, work in works.items():
                taken[name].append(self.once(work))
        return taken

    def median(self, work: Callable[[], object]) -> float:
        """The median of the seconds of a call."""
        return statistics.median(self.each({"work": work})["work"])

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def operations(work: Callable[[], object]) -> float:
    """The floating-point operations of the products in `work`."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def product_rate(device: torch.device, size: int) -> float:
    """Operations per second that a product of two random bfloat16 matrices reaches: what the card can do."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = Timer(device, 0.5).median(lambda: left @ right)
    return 2 * size**3 / seconds


@dataclasses.dataclass
class Sheet:
    """The figures so far; written after each section, so that whatever is finished is there.

    Args:
        file: where they are written; None for nowhere.
        about: the card, the versions, the date.
        ends: when no further section begins, by `time.monotonic`.
        device: whose memory is watched.
    """

    file: Path | None
    about: Mapping[str, Any]
    ends: float
    device: torch.device
    models: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds until no further section begins."""
        return self.ends - time.monotonic()

    def section(self, model: str, name: str, work: Callable[[], Figures]) -> None:
        """Takes the figures of one section; what fails or comes too late is written down as that."""
        if self.left <= 0:
            self._note(model, name, {"not_measured": "no time was left"})
            return
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        started = time.perf_counter()
        try:
            figures: dict[str, Any] = {key: float(f"{value:.4g}") for key, value in work().items()}
        except Exception as error:  # one section's failure is no reason to lose the others
            figures = {"failed": f"{type(error).__name__}: {first_line(error)}"}
        if self.device.type == "cuda":
            figures["peak_gib"] = round(torch.cuda.max_memory_allocated(self.device) / GIB, 2)
        figures["took_s"] = round(time.perf_counter() - started, 1)
        self._note(model, name, figures)
        release_memory()

    def _note(self, model: str, name: str, figures: dict[str, Any]) -> None:
        self.models.setdefault(model, {})[name] = figures
        print(f"{model}, {name}: {figures}", flush=True)
        if self.file is not None:
            self.file.write_text(json.dumps(self.as_dict(), indent=1) + "\n", encoding="utf-8")

    def as_dict(self) -> dict[str, Any]:
        return {**self.about, "models": self.models}

    @property
    def failures(self) -> list[str]:
        return [
            f"{model}, {name}: {figures['failed']}"
            for model, sections in self.models.items()
            for name, figures in sections.items()
            if "failed" in figures
        ]
