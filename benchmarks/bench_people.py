"""Reading the samples of the people to forget and to retain: as a benchmark's, as a user's own tables, and decoded.

    python benchmarks/bench_people.py [--people 500] [--forget-ratio 5] [--rounds 5] [--clock cpu]

Every start does this, also one whose statistics are known. The dataset is of real size: its pictures are JPEGs of
1024 x 1024 and about 0.4 MB that compress as photographs do. The user's own tables are two CSV files that hold the same
questions and answers, beside a folder with the same pictures. What both are held against is the benchmark's with each
picture decoded one after the other. The ways take turns, each time in a process of its own that has imported everything
and read nothing; what `datasets` converts lies in its cache by then.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow
from PIL import Image
from pyarrow import parquet

from lmms_manu import variables
from lmms_manu.benchmarks.mllmu.fine_tuning_samples import forget_ids, load_samples, retain_ids
from lmms_manu.benchmarks.mllmu.names import FINE_TUNING_SET
from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.benchmarks.mllmu.synthetic import make_dataset
from lmms_manu.names import MODALITIES

SIDE = 1024
WAYS = ("read through", "own tables", "decoded in turn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--forget-ratio", type=int, choices=(5, 10, 15), default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="what is measured (default wall)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = make_dataset(Path(scratch) / "data", people=arguments.people, seed=0)
        size = put_photographs(data / FINE_TUNING_SET / "train-00000-of-00001.parquet")
        surroundings = {**os.environ, variables.DATASET: str(data), "HF_DATASETS_CACHE": f"{scratch}/cache"}
        own = put_tables(DatasetSource.resolve(str(data)), Path(scratch), arguments.forget_ratio)
        settings = {way: own if way == "own tables" else {"forget_ratio": arguments.forget_ratio} for way in WAYS}
        for way in WAYS:
            seconds(way, settings[way], surroundings, arguments.clock)
        rounds = [
            {way: seconds(way, settings[way], surroundings, arguments.clock) for way in WAYS}
            for _ in range(arguments.rounds)
        ]
    medians = {way: statistics.median(one[way] for one in rounds) for way in WAYS}
    ratios = {
        "to decoding": statistics.median(one["read through"] / one["decoded in turn"] for one in rounds),
        "own tables to the benchmark's": statistics.median(one["own tables"] / one["read through"] for one in rounds),
    }
    print(f"{arguments.people} people, forget ratio {arguments.forget_ratio}, pictures of {size / 1e6:.2f} MB")
    for way, median in medians.items():
        print(f"{way:<16} {median:.3f} s")
    for what, ratio in ratios.items():
        print(f"{what:<30} {ratio:.2f}")
    print(json.dumps({"benchmark": "people", "seconds": medians, "ratios": ratios, "cores": os.cpu_count()}))


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


def put_tables(source: DatasetSource, folder: Path, forget_ratio: int) -> dict[str, str]:
    """Writes the samples to forget and to retain as tables of a user's own; returns their names as settings."""
    written = {}
    for name, people in (("forget", forget_ids(source, forget_ratio)), ("retain", retain_ids(source, forget_ratio))):
        written[name] = str(folder / f"{name}.csv")
        with open(written[name], "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["subject", "question", "answer", "image"])
            for sample in (one for modality in MODALITIES for one in load_samples(source, people, modality)):
                picture = folder / f"{sample.row}.jpg" if sample.modality == "multimodal" else None
                if picture is not None and not picture.exists():
                    picture.write_bytes(source.stored_picture(FINE_TUNING_SET, sample.row))
                table.writerow([sample.person_id, sample.question, sample.answer, picture.name if picture else ""])
    return written


def seconds(way: str, settings: Mapping[str, object], surroundings: dict[str, str], clock: str) -> float:
    """What one way takes in a fresh process, by the clock or of the cores in all threads."""
    timed = f"""
        from time import {"process_time" if clock == "cpu" else "perf_counter"} as seconds
        from lmms_manu.methods.data import load_data
        from lmms_manu.methods.settings import UnlearningSettings
        from lmms_manu.benchmarks.mllmu.source import DatasetSource
        settings = UnlearningSettings(**{dict(settings)})
        started = seconds()
        if {way == "decoded in turn"}:
            DatasetSource.rows_that_decode = lambda self, config, rows: [row for row in rows if self.image(config, row)]
        data = load_data(settings)
        print(seconds() - started, sum(len(some) for part in (data.forget, data.retain) for some in part.values()))
    """
    command = [sys.executable, "-c", textwrap.dedent(timed)]
    done = subprocess.run(command, env=surroundings, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    taken, samples = done.stdout.split()
    print(f"{way}: {int(samples)} samples in {float(taken):.3f} s", file=sys.stderr)
    return float(taken)


if __name__ == "__main__":
    main()
