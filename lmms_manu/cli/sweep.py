"""Evaluates every combination of the given settings, after the vanilla model, and ends in the report.

What the points share is computed once and kept: measured statistics, finished edits. Points and parts that have their
results are not run again, so the same command resumes after a crash. The exit code is 1 when a part failed.

example:
  lmms-manu sweep --prune-rate 2,5,10 --recipe paper,released --suite mllmu --output sweep
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from lmms_manu.cli.arguments import add_swept_settings, chosen_method
from lmms_manu.cli.running import add_running_arguments, check, evaluate_all, evaluation_of
from lmms_manu.evaluation.evaluate import check_arguments
from lmms_manu.evaluation.shared_baseline import shared_baseline
from lmms_manu.evaluation.sweep import BASELINE, at, points, with_controls
from lmms_manu.methods.registry import method_class
from lmms_manu.methods.settings import DEFAULT_METHOD, UnlearningSettings
from lmms_manu.settings import parse_arguments

_SWEPT_DATA = ("retain_samples", "data_seed", "prompt", "max_samples")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    method = chosen_method(parser)
    parser.add_argument("--method", help=f"how to unlearn (default {DEFAULT_METHOD}); its settings are the ones below")
    parser.add_argument("--model_args", default="", help="arguments of manu_pruned that all points share")
    add_running_arguments(parser, suite="mllmu")
    parser.add_argument(
        "--baseline-from", type=Path, metavar="FOLDER", help="another sweep whose results of the vanilla model to take"
    )
    add_swept_settings(parser, f"settings of {method.name} that are swept", method.config_class)
    others = [name for name in UnlearningSettings.names() if name not in _SWEPT_DATA]
    add_swept_settings(parser, "settings of the data that are swept", UnlearningSettings, without=others)


def run(arguments: argparse.Namespace) -> int:
    method = method_class(arguments.chosen_method)
    common = {**parse_arguments(arguments.model_args), "method": method.name}
    swept = (*method.config_class.names_with("answers"), *_SWEPT_DATA)
    given = {name: values for name in swept if (values := getattr(arguments, name))}
    grid = {name: [value.strip() for value in values.split(",")] for name, values in given.items()}
    every = points(grid, common)
    if arguments.control is not None:
        every = with_controls(every, arguments.control)
    for point in every:
        check_arguments(point.model_args)
    # By a point's arguments: some of the shared ones are right only beside those that are swept.
    evaluation = evaluation_of(arguments, every[-1].model_args)
    vanilla, *others = (at(point, evaluation, arguments.output) for point in every)
    shared = None if arguments.baseline_from is None else shared_baseline(arguments.baseline_from, vanilla)
    evaluations = [vanilla, *others] if shared is None else others
    check(evaluations or [vanilla], show=arguments.dry_run)
    if arguments.dry_run:
        return 0
    complete = not evaluations or evaluate_all(arguments, evaluations)
    folders = {BASELINE: shared or vanilla.output, **{one.output.name: one.output for one in others}}
    reported = _report(arguments.output, folders, is_partial=arguments.limit is not None)
    return reported if complete else 1


def _report(output: Path, folders: Mapping[str, Path], *, is_partial: bool) -> int:
    from lmms_manu.cli import main  # the report is a command of its own; loaded only when there is something to report

    # At any depth: the harness makes a folder of the checkpoint's name where one is given.
    runs = [f"{name}={folder}" for name, folder in folders.items() if any(folder.rglob("*_results.json"))]
    allowed = ["--allow", "partial"] if is_partial else []
    return main.main(["report", *runs, "--baseline", BASELINE, "--output", str(output / "report"), *allowed])
