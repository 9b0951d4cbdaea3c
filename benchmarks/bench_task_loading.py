"""Loading the six leaves of a split against `datasets.load_dataset` of its configuration alone: time and peak memory.

    python benchmarks/bench_task_loading.py [--people 500] [--picture-size 400] [--rounds 3]

Makes a dataset of real size, then loads it in fresh processes, both ways in turn, from the same converted files.
Memory is what a process has of its own at its peak above what it had after its imports: pages of mapped files that
merely lie in the page cache belong to nobody and are not in it. `total` counts them too. Prints a table and the
ratios of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MEASURED = """
import json, resource, sys, time
import datasets
import lmms_manu.benchmarks.mllmu.questions, lmms_manu.benchmarks.mllmu.source
from lmms_manu.benchmarks.mllmu import DatasetSource, ProtocolSettings
from lmms_manu.benchmarks.mllmu.names import leaves
from lmms_manu.benchmarks.mllmu.questions import load_questions

def own():
    with open('/proc/self/status') as lines:
        fields = dict(line.split(':', 1) for line in lines)
    return int(fields['RssAnon'].split()[0]) / 1024

before, peak = own(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
source, started = DatasetSource.resolve(sys.argv[2]), time.perf_counter()
if sys.argv[1] == 'alone':
    kept = datasets.load_dataset(source.loader, 'retain_95', split='train', **source.loader_arguments('retain_95'))
else:
    settings = ProtocolSettings()
    kept = [load_questions(leaf, source, settings) for leaf in leaves() if leaf.group == 'mllmu_retain']
seconds = time.perf_counter() - started
total = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({'seconds': seconds, 'own': own() - before, 'total': total - peak}))
"""


def measure(how: str, folder: Path, environment: dict[str, str]) -> dict[str, float]:
    """One load in a process of its own: seconds, and mebibytes gained."""
    command = [sys.executable, "-c", MEASURED, how, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--picture-size", type=int, default=400, help="400 makes pictures of 0.48 MB, as the real ones")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        command = [sys.executable, "-m", "lmms_manu.cli.main", "make-dataset", "--out", str(folder)]
        command += ["--people", str(arguments.people), "--picture-size", str(arguments.picture_size)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        size = sum(path.stat().st_size for path in (folder / "retain_95").iterdir()) / 2**20
        environment = {**os.environ, "HF_DATASETS_CACHE": f"{scratch}/cache", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
        first = {how: measure(how, folder, environment) for how in ("alone", "leaves")}
        rounds = [
            {how: measure(how, folder, environment) for how in ("alone", "leaves")} for _ in range(arguments.rounds)
        ]
    print(f"retain_95 of {arguments.people} people: {size:.0f} MiB of files; {arguments.rounds} rounds, medians\n")
    print(f"{'':<34}{'seconds':>9}{'own MiB':>9}{'total MiB':>11}{'first time, s':>15}")
    medians = {
        how: {key: statistics.median(one[how][key] for one in rounds) for key in ("seconds", "own", "total")}
        for how in ("alone", "leaves")
    }
    for how, label in (("alone", "load_dataset of retain_95 alone"), ("leaves", "the six leaves of mllmu_retain")):
        one = medians[how]
        seconds = f"{one['seconds']:>9.2f}{one['own']:>9.1f}{one['total']:>11.1f}{first[how]['seconds']:>15.2f}"
        print(f"{label:<34}{seconds}")
    ratios = {key: medians["leaves"][key] / max(medians["alone"][key], 1e-9) for key in ("seconds", "own", "total")}
    print("\nratio: " + ", ".join(f"{key} {ratio:.2f}" for key, ratio in ratios.items()))
    print(f"\nfirst time: what `datasets` converts lies in its cache afterwards. {os.cpu_count()} cores.")


if __name__ == "__main__":
    main()
