"""What a search of paths costs: time against bare passes and against the released scheme, and memory.

Three ways to go over the same samples are compared, in each a forward and a backward pass a layer over m copies of a
sample: `bare`, these passes alone, with a gradient at the first layer's activations; `searched`, this package; and
`straightforward`, which takes gradients of all weights as well and keeps every score of every sample, as the released
code does. Times are of one process, the ways in turn, so that a busy machine slows all alike; memory is the peak of a
process of its own for each way, above the loaded model. Ends with 1 if the search takes more than 1.15 of bare.

    python benchmarks/bench_mip_editor.py [--hidden 768] [--layers 16] [--samples 1] [--points 4] [--rounds 3]
        [--tower language] [--skip-memory]

On a machine that has other work, `OMP_NUM_THREADS=1 ... --clock cpu` counts the process's own seconds.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from random_llava import rendered_examples, save_random_llava
from torch import Tensor

from lmms_manu.methods.mip_editor.config import MipEditorSettings
from lmms_manu.methods.mip_editor.paths import search_of
from lmms_manu.methods.mip_editor.scores import points_of
from lmms_manu.methods.mip_editor.search import PathRunner, Prepared
from lmms_manu.models.blocks import LANGUAGE, VISION, find_mlp_blocks
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.models.watch import watch
from lmms_manu.training.answers import Asker

WAYS = ("bare", "searched", "straightforward")
TARGET = 1.15
SAMPLES = {LANGUAGE: "text", VISION: "multimodal"}


class Subject:
    """A tower of a loaded model, samples for it, and the ways to go over them."""

    def __init__(self, checkpoint: Checkpoint, tower: str, samples: int, points: int) -> None:
        self.model = checkpoint.model
        self.blocks = [block for block in find_mlp_blocks(checkpoint.model) if block.tower == tower]
        self.search = search_of(tower, MipEditorSettings(recipe="released", points=points))
        self.runner = PathRunner(checkpoint, self.blocks, self.search, SAMPLES[tower])
        self.asker = Asker(checkpoint.model, checkpoint.device)
        self.samples: list[Prepared] = self.runner.encode(rendered_examples(samples, pictured=tower == VISION))

    def bare(self) -> None:
        self.model.requires_grad_(False)
        for sample in self.samples:
            for _ in self.blocks:
                leaves: list[Tensor] = []

                with watch(self.model, self.blocks[:1], functools.partial(_keep, leaves)):
                    wanted = self.asker(sample.copies).log_probs.sum()
                torch.autograd.grad(wanted, leaves)

    def searched(self) -> None:
        self.runner.run(self.samples)

    def straightforward(self) -> None:
        self.model.requires_grad_(True)
        every = []
        for sample in self.samples:
            known = self.runner._measure(sample).activations
            points = points_of(self.search.points, self.search.quadrature)
            path: dict[int, Tensor | None] = {}
            for number in range(len(self.blocks)):
                scaled = known.scaled(points, sample.copies, {**path, number: None})
                with watch(self.model, self.blocks, scaled):
                    loss = -self.asker(sample.copies).log_probs.mean()
                loss.backward()
                gradient = scaled.leaves[number].grad
                assert gradient is not None
                score = (gradient.sum(0) * known.of(number)).sum(0)
                path[number] = score.topk(self.search.width).indices.sort().values
                every.append(score.tolist())
            self.model.zero_grad()
        torch.tensor(every[: len(self.blocks)]).topk(self.search.width)


def _keep(leaves: list[Tensor], index: int, z: Tensor, rows: Tensor | None, columns: slice) -> Tensor:
    leaves.append(z.detach().requires_grad_())
    return leaves[-1]


def peak(arguments: argparse.Namespace, way: str, tower: str) -> float:
    """The peak memory in MiB of a process of its own, above the loaded model."""
    command = [sys.executable, __file__, "--folder", str(arguments.folder), "--only", way, "--tower", tower]
    command += ["--samples", str(arguments.samples), "--points", str(arguments.points)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def only(arguments: argparse.Namespace) -> int:
    """Goes one way once and prints the peak of memory."""
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(arguments.folder), device="cpu"))
    subject = Subject(checkpoint, arguments.tower, arguments.samples, arguments.points)
    # Forgets the peak of loading (Linux).
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = _kib("VmRSS")
    getattr(subject, arguments.only)()
    print((_kib("VmHWM") - before) / 1024)
    return 0


def _kib(name: str) -> int:
    """A number of this process's memory."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:"))


def timed(subject: Subject, rounds: int, clock: str) -> dict[str, list[float]]:
    """Seconds of each way in each round."""
    now = time.process_time if clock == "cpu" else time.perf_counter
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            started = now()
            getattr(subject, way)()
            seconds[way].append(now() - started)
    return seconds


def ratios(seconds: dict[str, list[float]], way: str) -> Sequence[float]:
    return [own / bare for own, bare in zip(seconds[way], seconds["bare"], strict=True)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--points", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--tower", choices=tuple(SAMPLES), help="one of the towers alone")
    parser.add_argument("--skip-memory", action="store_true", help="measure time alone")
    arguments = parser.parse_args()
    if arguments.only:
        return only(arguments)
    with tempfile.TemporaryDirectory() as folder:
        arguments.folder = save_random_llava(
            Path(folder), hidden=arguments.hidden, neurons=arguments.hidden * 8 // 3, layers=arguments.layers
        )
        checkpoint = load_checkpoint(ModelSettings(pretrained=folder, device="cpu"))
        print(f"{checkpoint.model.num_parameters() / 1e6:.0f} M parameters, {arguments.points} points")
        slowest = 0.0
        for tower in (arguments.tower,) if arguments.tower else SAMPLES:
            subject = Subject(checkpoint, tower, arguments.samples, arguments.points)
            seconds = timed(subject, arguments.rounds, arguments.clock)
            memory = {} if arguments.skip_memory else {way: peak(arguments, way, tower) for way in WAYS}
            for way in WAYS:
                found = ratios(seconds, way)
                middle = statistics.median(found)
                print(
                    f"{tower}, {way}: {statistics.median(seconds[way]):.2f} s, {middle:.2f} of bare "
                    f"({min(found):.2f} to {max(found):.2f})" + (f"; {memory[way]:.0f} MiB" if memory else "")
                )
                slowest = max(slowest, middle if way == "searched" else 0.0)
    return int(slowest > TARGET)


if __name__ == "__main__":
    sys.exit(main())
