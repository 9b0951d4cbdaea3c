"""A sweep of five models by `lmms-manu sweep`, to starts of lmms-eval for each part of each model in turn.

    python benchmarks/bench_sweep.py [--limit N]

Both evaluate the embedded model and four edits of it on the four splits of MLLMU-Bench, each with caches of its own
that are empty at first, and have to find the same scores. Prints both times and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lmms_manu import embedded
from lmms_manu.evaluation.harness import HarnessRun
from lmms_manu.evaluation.suites import parts
from lmms_manu.evaluation.sweep import points
from lmms_manu.variables import CACHE

GRID = {"recipe": ["paper", "ratio"], "prune_rate": ["2", "10"]}
COMMON = {"forget_ratio": "10"}


def start_for_each_part(world: Path, output: Path, variables: dict[str, str], limit: int | None) -> None:
    for point in points(GRID, COMMON):
        for part in parts("mllmu", int(COMMON["forget_ratio"])):
            run = HarnessRun(part.tasks, point.model_args, output / point.name / part.name, limit=limit)
            _run(run.command(), world, variables)


def sweep(world: Path, output: Path, variables: dict[str, str], limit: int | None) -> None:
    grid = [word for name, values in GRID.items() for word in (f"--{name}", ",".join(values))]
    common = ",".join(f"{name}={value}" for name, value in COMMON.items())
    limited = [] if limit is None else ["--limit", str(limit)]
    command = [sys.executable, "-m", "lmms_manu", "sweep", *grid, "--model_args", common, "--quiet", *limited]
    _run([*command, "--output", str(output)], world, variables)


def scores(output: Path) -> dict[str, float]:
    """Every mean that the results files hold, by model, task and metric."""
    found: dict[str, float] = {}
    for file in output.rglob("*_results.json"):
        model = file.relative_to(output).parts[0]
        for task, values in json.loads(file.read_text())["results"].items():
            found |= {f"{model} {task} {name}": value for name, value in values.items() if name.endswith(",none")}
    return {name: value for name, value in found.items() if "_stderr" not in name}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, help="ask only so many questions of each task")
    limit = parser.parse_args().limit
    seconds: dict[str, float] = {}
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        world = Path(scratch, "world")
        world.mkdir()
        embedded.lay_out(world)
        for way in (sweep, start_for_each_part):
            output = Path(scratch, way.__name__)
            caches = {CACHE: str(output / "cache"), "HF_DATASETS_CACHE": str(output / "datasets")}
            started = time.perf_counter()
            way(world, output / "results", {**os.environ, **caches}, limit)
            seconds[way.__name__] = round(time.perf_counter() - started, 1)
            found[way.__name__] = scores(output / "results")
    one, other = found.values()
    differing = [name for name in {*one, *other} if one.get(name) != other.get(name)]
    if differing or not one:
        raise SystemExit(f"{len(differing)} of {len(one)} scores differ: {sorted(differing)[:5]}")
    ratio = round(seconds["sweep"] / seconds["start_for_each_part"], 3)
    print(json.dumps({"benchmark": "sweep", "limit": limit, "scores": len(one), **seconds, "ratio": ratio}))


def _run(command: list[str], world: Path, variables: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=world, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


if __name__ == "__main__":
    main()
