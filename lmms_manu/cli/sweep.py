"""Evaluates every combination of the given settings, after the vanilla model, and ends in the report.

The neurons are measured once: the statistics are cached and shared by all points. Points and parts that have their
results are not run again, so the same command resumes after a crash. The exit code is 1 when a part failed.

example:
  lmms-manu sweep --prune_rate 2,5,10 --recipe paper,released --suite mllmu --output sweep
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lmms_manu.evaluation import suites
from lmms_manu.evaluation.evaluate import Evaluation, check_arguments
from lmms_manu.evaluation.sweep import BASELINE, points, sweep
from lmms_manu.settings import parse_arguments

SWEPT = (
    "recipe",
    "prune_rate",
    "scope",
    "towers",
    "layers",
    "tokens",
    "steps",
    "seed",
    "w_abs",
    "w_freq",
    "w_var",
    "w_rms",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for name in SWEPT:
        parser.add_argument(f"--{name}", metavar="A,B,...", help=f"values of {name}")
    parser.add_argument("--model_args", default="", help="arguments of manu_pruned that all points share")
    parser.add_argument(
        "--suite", default="mllmu", help=f"which benchmarks: {', '.join(suites.SUITES)} (default mllmu)"
    )
    parser.add_argument("--skip", default="", help="parts to leave out, separated by commas")
    parser.add_argument("--output", type=Path, required=True, help="folder of the results and the report")
    parser.add_argument(
        "--processes", type=int, default=1, help="processes on this machine, each with a copy of the model"
    )
    parser.add_argument("--limit", type=int, help="ask only so many questions of each task, for a quick try")
    parser.add_argument("--quiet", action="store_true", help="keep lmms-eval's output in its log files")


def run(arguments: argparse.Namespace) -> int:
    common = parse_arguments(arguments.model_args)
    given = {name: getattr(arguments, name) for name in SWEPT if getattr(arguments, name)}
    grid = {name: [value.strip() for value in values.split(",")] for name, values in given.items()}
    every = points(grid, common)
    for point in every:
        check_arguments(point.model_args)
    skip = tuple(filter(None, arguments.skip.split(",")))
    parts = suites.parts(arguments.suite, int(common.get("forget_ratio", "5")), skip)
    suites.check_judge(parts, os.environ)
    evaluation = Evaluation(
        parts,
        common,
        arguments.output,
        folder=Path.cwd(),
        variables=os.environ,
        processes=arguments.processes,
        limit=arguments.limit,
    )
    complete = sweep(every, evaluation, print, echo=not arguments.quiet)
    return _report(arguments.output, [point.name for point in every]) or (0 if complete else 1)


def _report(output: Path, names: list[str]) -> int:
    from lmms_manu.cli import main  # the report is a command of its own; loaded only when there is something to report

    runs = [f"{name}={output / name}" for name in names if (output / name).is_dir()]
    return main.main(["report", *runs, "--baseline", BASELINE, "--out", str(output / "report")])
