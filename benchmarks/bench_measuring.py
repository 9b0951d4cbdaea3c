"""What measuring costs: time against bare forward passes, and memory against the number of samples.

Three ways to go over the same batches are compared: `bare`, the forward passes alone; `measured`, this package; and
`straightforward`, which keeps the activations of every batch, concatenates them and computes the statistics at the
end, as the released research code does. Times are of one process, the ways in turn, so that a busy machine slows all
alike; memory is the peak of a process of its own for each way and number of samples.

    python benchmarks/bench_measuring.py [--rounds 5] [--batches 4] [--clock cpu] [--json FILE]

On a machine that has other work, `OMP_NUM_THREADS=1 ... --clock cpu` counts the process's own seconds.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from random_llava import rendered_examples, save_random_llava
from rich.console import Console
from rich.table import Table

from lmms_manu import embedded
from lmms_manu.measuring.encoding import EncodedBatch
from lmms_manu.measuring.gathering import PerNeuron
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.runner import ActivationRunner
from lmms_manu.models.blocks import MlpBlock, find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder, to_device
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.models.watch import watch

WAYS = ("bare", "measured", "straightforward")
TARGET = 1.10


class Subject:
    """A loaded model and the ways to go over batches with it."""

    def __init__(self, folder: Path) -> None:
        self.checkpoint: Checkpoint = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))
        self.blocks: tuple[MlpBlock, ...] = find_mlp_blocks(self.checkpoint.model)
        self.gathering = PerNeuron(NeuronLayout.of(self.blocks))
        self.runner = ActivationRunner(self.checkpoint, PromptEncoder(self.checkpoint), self.blocks, self.gathering)

    @property
    def parameters(self) -> int:
        return self.checkpoint.model.num_parameters()

    def encode(self, batches: int, *, pictured: bool = True) -> list[EncodedBatch]:
        every = rendered_examples(4 * batches, pictured=pictured)
        return [self.runner.encode(every[start : start + 4]) for start in range(0, len(every), 4)]

    def bare(self, batches: Sequence[EncodedBatch]) -> None:
        for batch in batches:
            self._forward(batch)

    def measured(self, batches: Sequence[EncodedBatch]) -> None:
        totals = None
        for batch in batches:
            values = self.runner.run(batch)
            totals = values if totals is None else list(map(self.gathering.merge, totals, values))

    def straightforward(self, batches: Sequence[EncodedBatch]) -> None:
        kept: list[list[torch.Tensor]] = [[] for _ in self.blocks]

        def keep(index: int, activations: torch.Tensor, rows: torch.Tensor | None, columns: slice) -> None:
            kept[index].append(activations.detach().cpu().clone())

        with watch(self.checkpoint.model, self.blocks, keep):
            self.bare(batches)
        for parts in kept:
            if not parts:
                continue
            z = torch.cat(parts).clamp(-1000, 1000)
            z.abs().mean(0), (z.abs() > 0.1).float().mean(0), z.std(0), z.square().mean(0).sqrt()

    def _forward(self, batch: EncodedBatch) -> None:
        inputs = to_device(batch.inputs, self.checkpoint.device, self.checkpoint.model.dtype)
        with torch.inference_mode():
            self.checkpoint.model(**inputs, use_cache=False, logits_to_keep=1)


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def times(
    subject: Subject, batches: Sequence[EncodedBatch], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Seconds of each way, the median over rounds, and the ratios to `bare`, each the median of the rounds' ratios."""
    ways: dict[str, Callable[[Sequence[EncodedBatch]], None]] = {way: getattr(subject, way) for way in WAYS}
    for way in ways.values():
        way(batches[:1])
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for name, way in ways.items():
            started = clock()
            way(batches)
            taken[name].append(clock() - started)
    result = {f"{name}_s": round(statistics.median(seconds), 3) for name, seconds in taken.items()}
    for name in WAYS[1:]:
        pairs = zip(taken[name], taken["bare"], strict=True)
        result[f"{name}_ratio"] = round(statistics.median(one / bare for one, bare in pairs), 3)
    return result


def peak_memory(folder: Path, way: str, batches: int) -> float:
    """The peak memory in MB above that of the loaded model, of a process that goes this way over so many batches."""
    command = [sys.executable, __file__, "--peak", way, "--folder", str(folder), "--batches", str(batches)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])


def print_peak(folder: Path, way: str, batches: int) -> None:
    subject = Subject(folder)
    getattr(subject, way)(subject.encode(1))
    before = _peak_mb()
    getattr(subject, way)(subject.encode(batches))
    print(_peak_mb() - before)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=4, help="of four samples each")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu on a busy machine")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    parser.add_argument("--peak", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print_peak(arguments.folder, arguments.peak, arguments.batches)
        return
    with tempfile.TemporaryDirectory() as scratch:
        result = run(Path(scratch), arguments.rounds, arguments.batches, arguments.clock)
    show(result)
    print(json.dumps(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def run(scratch: Path, rounds: int, batches: int, clock: str) -> dict[str, object]:
    large = save_random_llava(scratch / "large")
    timed = {}
    for name, folder, more in (("large", large, 1), ("embedded", embedded.model_folder(), 4)):
        subject = Subject(folder)
        for modality in ("multimodal", "text"):
            encoded = subject.encode(batches * more, pictured=modality == "multimodal")
            timed[f"{name} {modality}"] = {
                "parameters": subject.parameters,
                **times(subject, encoded, rounds * more, CLOCKS[clock]),
            }
    memory = {
        f"{way} {number * 4} samples": round(peak_memory(large, way, number), 1)
        for way in WAYS
        for number in (batches, 4 * batches)
    }
    return {
        "benchmark": "measuring",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "clock": clock,
        "target_ratio": TARGET,
        "times": timed,
        "peak_memory_mb": memory,
    }


def show(result: dict) -> None:
    table = Table(title="seconds, and ratios to the bare forward passes")
    for head in ("model", "parameters", *(f"{way} s" for way in WAYS), *(f"{way} ratio" for way in WAYS[1:])):
        table.add_column(head, justify="left" if head == "model" else "right")
    for name, row in result["times"].items():
        values = (*(row[f"{way}_s"] for way in WAYS), *(row[f"{way}_ratio"] for way in WAYS[1:]))
        table.add_row(name, f"{row['parameters'] / 1e6:.1f} M", *map(str, values))
    memory = Table(title="peak memory above the loaded model, MB")
    memory.add_column("way")
    memory.add_column("MB", justify="right")
    for name, value in result["peak_memory_mb"].items():
        memory.add_row(name, str(value))
    console = Console()
    console.print(table)
    console.print(memory)


if __name__ == "__main__":
    main()
