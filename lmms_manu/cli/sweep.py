"""Evaluates every combination of the given settings, after the vanilla model, and ends in the report.

The neurons are measured once: the statistics are cached and shared by all points. Points and parts that have their
results are not run again, so the same command resumes after a crash. The exit code is 1 when a part failed.

example:
  lmms-manu sweep --prune_rate 2,5,10 --recipe paper,released --suite mllmu --output sweep
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lmms_manu.cli.running import add_running_arguments, check, evaluation_of, say
from lmms_manu.evaluation.evaluate import check_arguments
from lmms_manu.evaluation.sweep import BASELINE, at, points, sweep
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
    add_running_arguments(parser, suite="mllmu")


def run(arguments: argparse.Namespace) -> int:
    common = parse_arguments(arguments.model_args)
    given = {name: getattr(arguments, name) for name in SWEPT if getattr(arguments, name)}
    grid = {name: [value.strip() for value in values.split(",")] for name, values in given.items()}
    every = points(grid, common)
    for point in every:
        check_arguments(point.model_args)
    # By a point's arguments: some of the shared ones are right only beside those that are swept.
    evaluation = evaluation_of(arguments, every[-1].model_args)
    check([at(point, evaluation) for point in every], show=arguments.dry_run)
    if arguments.dry_run:
        return 0
    complete = sweep(every, evaluation, say, echo=not arguments.quiet)
    reported = _report(arguments.output, [point.name for point in every], is_partial=arguments.limit is not None)
    return reported if complete else 1


def _report(output: Path, names: list[str], *, is_partial: bool) -> int:
    from lmms_manu.cli import main  # the report is a command of its own; loaded only when there is something to report

    # At any depth: the harness makes a folder of the checkpoint's name where one is given.
    runs = [f"{name}={output / name}" for name in names if any((output / name).rglob("*_results.json"))]
    allowed = ["--allow", "partial"] if is_partial else []
    return main.main(["report", *runs, "--baseline", BASELINE, "--out", str(output / "report"), *allowed])
