"""What loading an edited model costs once its statistics are known, and what further prune rates cost.

`plain` is from_pretrained of model and processor, and pruning the same neurons; `cached` is all that the model
`manu_pruned` does at its start: arguments, the people's data, loading, statistics from the cache, scores, pruning, and
reading the zeros back. They take turns in one process.

    python benchmarks/bench_loading.py [--rounds 7] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from random_llava import save_random_llava
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForImageTextToText, AutoProcessor

from lmms_manu import environment
from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.zero import zero_neurons
from lmms_manu.methods.base import EditRecord
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.synthetic import make_dataset

RATES = (2, 5, 10, 20)
TARGET = 1.05


def plain(folder: Path, mask: NeuronMask) -> None:
    model = AutoModelForImageTextToText.from_pretrained(folder)
    AutoProcessor.from_pretrained(folder)
    zero_neurons(model, find_mlp_blocks(model), mask)


def edited(folder: Path, rate: float, **more: object) -> EditRecord:
    return plan({"pretrained": str(folder), "device": "cpu", "forget_ratio": 10, "prune_rate": rate, **more}).load()[1]


def seconds(function, *arguments, **options) -> tuple[float, object]:
    started = time.perf_counter()
    result = function(*arguments, **options)
    return time.perf_counter() - started, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--people", type=int, default=20, help="one in ten is to be forgotten")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = run(Path(scratch), arguments.rounds, arguments.people)
    table = Table(title="loading")
    table.add_column("what")
    table.add_column("value", justify="right")
    for name, value in result.items():
        table.add_row(name, str(value))
    Console().print(table)
    print(json.dumps(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def run(scratch: Path, rounds: int, people: int) -> dict[str, object]:
    os.environ[environment.CACHE] = str(scratch / "cache")
    os.environ[environment.DATASET] = str(make_dataset(scratch / "data", people=people, seed=0, picture_size=400))
    folder = save_random_llava(scratch / "model")
    # The digest of a file is remembered once its last change lies some seconds back.
    time.sleep(3)
    by_rate = {}
    measured = []
    for rate in RATES:
        by_rate[rate], record = seconds(edited, folder, rate, save_mask=str(scratch / "mask"))
        measured.append(sum(step["measured_parts"] for step in record.details["rounds"]))
    mask = NeuronMask.load(scratch / "mask")
    plain(folder, mask)
    pairs = [(seconds(plain, folder, mask)[0], seconds(edited, folder, RATES[-1])[0]) for _ in range(rounds)]
    plain_s, cached_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "benchmark": "loading",
        "target_ratio": TARGET,
        "plain_s": round(plain_s, 3),
        "cached_s": round(cached_s, 3),
        "ratio": round(statistics.median(cached / bare for bare, cached in pairs), 3),
        "seconds_by_prune_rate": {str(rate): round(value, 2) for rate, value in by_rate.items()},
        "parts_measured_by_prune_rate": dict(zip(map(str, RATES), measured, strict=True)),
        "four_rates_against_one": round(sum(by_rate.values()) / by_rate[RATES[0]], 3),
    }


if __name__ == "__main__":
    main()
