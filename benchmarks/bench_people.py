"""Reading the samples of the people to forget and to retain, to the same with each picture decoded one after the other.

    python benchmarks/bench_people.py [--people 500] [--forget-ratio 5] [--rounds 5]

Every start does this, also one whose statistics are known. The dataset is of real size: its pictures are JPEGs of
1024 x 1024 and about 0.4 MB that compress as photographs do. Both ways take turns, each time in a process of its own
that has imported everything and read nothing; what `datasets` converts lies in its cache by then.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pyarrow
from PIL import Image
from pyarrow import parquet

from lmms_manu import variables
from lmms_manu.benchmarks.mllmu.names import FINE_TUNING_SET
from lmms_manu.benchmarks.mllmu.synthetic import make_dataset

SIDE = 1024
WAYS = ("read through", "decoded in turn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--forget-ratio", type=int, choices=(5, 10, 15), default=5)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = make_dataset(Path(scratch) / "data", people=arguments.people, seed=0)
        size = put_photographs(data / FINE_TUNING_SET / "train-00000-of-00001.parquet")
        surroundings = {**os.environ, variables.DATASET: str(data), "HF_DATASETS_CACHE": f"{scratch}/cache"}
        for way in WAYS:
            seconds(way, arguments.forget_ratio, surroundings)
        rounds = [
            {way: seconds(way, arguments.forget_ratio, surroundings) for way in WAYS} for _ in range(arguments.rounds)
        ]
    medians = {way: statistics.median(one[way] for one in rounds) for way in WAYS}
    ratio = statistics.median(one[WAYS[0]] / one[WAYS[1]] for one in rounds)
    print(f"{arguments.people} people, forget ratio {arguments.forget_ratio}, pictures of {size / 1e6:.2f} MB")
    for way, median in medians.items():
        print(f"{way:<16} {median:.3f} s")
    print(json.dumps({"benchmark": "people", "seconds": medians, "ratio": round(ratio, 3), "cores": os.cpu_count()}))


def put_photographs(file: Path) -> float:
    """Gives every row of a file a photograph of its own; returns their mean size in bytes."""
    table = parquet.read_table(file)
    place = table.column_names.index("image")
    photographs = [{"bytes": photograph(row), "path": f"{row}.jpg"} for row in range(len(table))]
    field = table.schema.field(place)
    parquet.write_table(table.set_column(place, field, pyarrow.array(photographs, type=field.type)), file)
    return statistics.mean(len(one["bytes"]) for one in photographs)


def photograph(seed: int) -> bytes:
    """A JPEG of smooth colours with grain."""
    draws = np.random.default_rng(seed)
    colours = Image.fromarray(draws.integers(0, 256, (64, 64, 3), dtype=np.uint8)).resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC
    )
    grain = draws.normal(0, 6, (SIDE, SIDE, 1)).astype(np.float32)
    content = io.BytesIO()
    Image.fromarray((np.asarray(colours) + grain).clip(0, 255).astype(np.uint8)).save(content, "JPEG", quality=93)
    return content.getvalue()


def seconds(way: str, forget_ratio: int, surroundings: dict[str, str]) -> float:
    """What one way takes in a fresh process."""
    timed = f"""
        from time import perf_counter
        from lmms_manu.methods.data import load_data
        from lmms_manu.methods.settings import UnlearningSettings
        from lmms_manu.benchmarks.mllmu.source import DatasetSource
        started = perf_counter()
        if {way == WAYS[1]}:
            DatasetSource.rows_that_decode = lambda self, config, rows: [row for row in rows if self.image(config, row)]
        load_data(UnlearningSettings(forget_ratio={forget_ratio}))
        print(perf_counter() - started)
    """
    command = [sys.executable, "-c", textwrap.dedent(timed)]
    done = subprocess.run(command, env=surroundings, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return float(done.stdout)


if __name__ == "__main__":
    main()
