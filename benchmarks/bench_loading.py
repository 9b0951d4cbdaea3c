"""What loading an edited model costs once its statistics are known, and what further prune rates cost.

`plain` is from_pretrained of model and processor and the pruning itself, of neurons that are given: finding the blocks,
refusing weights that cannot be edited, zeroing, reading the zeros back. `again` is all that the model `manu_pruned`
does at its start when it was started like this before: arguments, the people's data, loading, scores and choice by
statistics from the cache, the same pruning, and the record. `another` is its start at a prune rate that is new. `once
more` is plain again: how far its ratio is from 1 is what the machine's noise does. All take turns in one process, in an
order that is drawn, at the default prune rate and at a high one, whose pruning itself takes longer. The target is for
models of 100 M parameters and more. The people's data is read once in a process, by the first load; what that takes,
in a process of its own, is a line of its own.

    python benchmarks/bench_loading.py [--rounds 21] [--clock cpu] [--json FILE]

On a machine that has other work, `OMP_NUM_THREADS=1 ... --clock cpu` counts the process's own seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

from random_llava import save_random_llava
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForImageTextToText, AutoProcessor

from lmms_manu import variables
from lmms_manu.benchmarks.mllmu.synthetic import make_dataset
from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.zero import check_editable, verify_zeros, zero_neurons
from lmms_manu.embedded import model_folder
from lmms_manu.methods.record import EditRecord
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.blocks import find_mlp_blocks

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
RATES = (2, 5, 10, 20)
COMPARED = (2, 20)
ARMS = ("plain", "once more", "again", "another")
SHAPES = {"tiny": None, "smaller": {}, "larger": {"hidden": 1024, "neurons": 2816, "layers": 20}}
TARGET = 1.05
"""At most, for `again` and `another`; of models of 100 M parameters and more, beside which some milliseconds count."""

FROM_PARAMETERS = 100e6


def plain(folder: Path, mask: NeuronMask) -> None:
    model = AutoModelForImageTextToText.from_pretrained(folder)
    AutoProcessor.from_pretrained(folder)
    blocks = find_mlp_blocks(model)
    check_editable(model, blocks)
    zero_neurons(model, blocks, mask)
    verify_zeros(model, blocks, mask)


def edited(folder: Path, rate: float, **more: object) -> EditRecord:
    return plan({"pretrained": str(folder), "device": "cpu", "forget_ratio": 10, "prune_rate": rate, **more}).load()[1]


def seconds(clock, function, *arguments, **options) -> tuple[float, Any]:
    started = clock()
    result = function(*arguments, **options)
    return clock() - started, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--people", type=int, default=20, help="one in ten is to be forgotten")
    parser.add_argument("--samples", type=int, default=16, help="of each set in each modality")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu on a busy machine")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ[variables.CACHE] = str(Path(scratch) / "cache")
        data = make_dataset(Path(scratch) / "data", people=arguments.people, seed=0, picture_size=400)
        os.environ[variables.DATASET] = str(data)
        models = {
            name: run(Path(scratch) / name, shape, CLOCKS[arguments.clock], arguments.rounds, arguments.samples)
            for name, shape in SHAPES.items()
        }
        data_s = statistics.median(seconds_of_data(arguments.clock) for _ in range(5))
    result = {
        "benchmark": "loading",
        "clock": arguments.clock,
        "target_ratio": TARGET,
        "target_from_parameters": FROM_PARAMETERS,
        "people's data, first load of a process: seconds": round(data_s, 3),
        "models": models,
    }
    table = Table(title="loading with known statistics against plain loading and pruning")
    table.add_column("what")
    for name in models:
        table.add_column(name, justify="right")
    for row in next(iter(models.values())):
        table.add_row(row, *(str(values[row]) for values in models.values()))
    Console().print(table)
    Console().print(f"the people's data, read by the first load of a process: {data_s:.3f} s")
    print(json.dumps(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def run(scratch: Path, shape: dict[str, int] | None, clock, rounds: int, samples: int) -> dict[str, object]:
    folder = model_folder() if shape is None else save_random_llava(scratch / "model", **shape)
    # The digest of a file is remembered once its last change lies some seconds back.
    time.sleep(3)
    by_rate = {}
    measured = []
    for rate in RATES:
        options = {"max_samples": samples, "save_mask": str(scratch / f"mask-{rate}")}
        by_rate[rate], record = seconds(clock, edited, folder, rate, **options)
        measured.append(sum(step["measured_parts"] for step in record.details["rounds"]))
    parameters = load_parameters(folder)
    rows: dict[str, object] = {
        "parameters": f"{parameters / 1e6:.3g} M",
        "target": TARGET if parameters >= FROM_PARAMETERS else "none",
    }
    for rate in COMPARED:
        mask = NeuronMask.load(scratch / f"mask-{rate}")
        plain(folder, mask)
        turns = [take_turns(folder, mask, rate, turn, clock, samples) for turn in range(rounds)]
        times = {arm: [turn[arm] for turn in turns] for arm in ARMS}
        rows |= {f"{arm}, {rate} %: seconds": round(statistics.median(column), 3) for arm, column in times.items()}
        for arm in ARMS[1:]:
            ratios = [known / bare for bare, known in zip(times["plain"], times[arm], strict=True)]
            rows[f"{arm} / plain, {rate} %"] = round(statistics.median(ratios), 3)
    return rows | {
        "seconds at 2, 5, 10, 20 %": [round(value, 2) for value in by_rate.values()],
        "parts measured": measured,
        "four rates / one": round(sum(by_rate.values()) / by_rate[RATES[0]], 3),
    }


def take_turns(folder: Path, mask: NeuronMask, rate: float, turn: int, clock, samples: int) -> dict[str, float]:
    """The seconds of each of the `ARMS`, one after the other in an order drawn by `turn`."""
    # As good as the same rate, but none that was ever asked for.
    near = rate + (turn + 1) / 1e5
    ways = {
        "plain": lambda: plain(folder, mask),
        "once more": lambda: plain(folder, mask),
        "again": lambda: edited(folder, rate, max_samples=samples),
        "another": lambda: edited(folder, near, max_samples=samples),
    }
    # What one leaves behind in memory may slow the next.
    order = random.Random(turn).sample(ARMS, len(ARMS))
    return {arm: seconds(clock, ways[arm])[0] for arm in order}


def seconds_of_data(clock: str) -> float:
    """What reading the people's data takes in a process that has imported everything and read nothing."""
    timed = f"""
        from time import {CLOCKS[clock].__name__} as clock
        from lmms_manu.methods.data import load_data
        from lmms_manu.methods.settings import UnlearningSettings
        started = clock()
        load_data(UnlearningSettings(forget_ratio=10))
        print(clock() - started)
    """
    command = [sys.executable, "-c", textwrap.dedent(timed)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def load_parameters(folder: Path) -> int:
    return AutoModelForImageTextToText.from_pretrained(folder).num_parameters()


if __name__ == "__main__":
    main()
