"""Evaluates every combination of the given settings, after the vanilla model, and ends in the report.

What the points share is computed once and kept: measured statistics, finished edits. Points and parts that have their
results are not run again, so the same command resumes after a crash. The exit code is 1 when a part failed.

With --config, the models stand in a YAML file in the place of options: by name the settings of each run, of any method
and checkpoint, those with a list of values swept.

examples:
  lmms-manu sweep --prune-rate 2,5,10 --recipe paper,released --suite mllmu --output sweep
  lmms-manu sweep --config table.yaml --suite mllmu --output table
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from lmms_manu.cli.arguments import add_swept_settings, chosen_method
from lmms_manu.cli.running import add_running_arguments, check, evaluate_all, evaluation_of
from lmms_manu.cli.tracking import tracker_of
from lmms_manu.errors import SettingError
from lmms_manu.evaluation.evaluate import check_arguments
from lmms_manu.evaluation.runs_file import read_runs_file
from lmms_manu.evaluation.shared_baseline import shared_baseline
from lmms_manu.evaluation.sweep import BASELINE, Point, at, points, points_of_runs, with_controls
from lmms_manu.methods.registry import method_class
from lmms_manu.methods.settings import DEFAULT_METHOD, UnlearningSettings
from lmms_manu.settings import parse_arguments

_SWEPT_DATA = ("retain_samples", "data_seed", "prompt", "max_samples")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    method = chosen_method(parser)
    parser.add_argument("--method", help=f"how to unlearn (default {DEFAULT_METHOD}); its settings are the ones below")
    parser.add_argument("--model_args", default="", help="arguments of manu_pruned that all points share")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML file with the runs: `runs`, `model_args` and `control`"
    )
    add_running_arguments(parser)
    parser.add_argument(
        "--baseline-from", type=Path, metavar="FOLDER", help="another sweep whose results of the vanilla model to take"
    )
    add_swept_settings(parser, f"settings of {method.name} that are swept", method.config_class)
    others = [name for name in UnlearningSettings.names() if name not in _SWEPT_DATA]
    add_swept_settings(parser, "settings of the data that are swept", UnlearningSettings, without=others)


def run(arguments: argparse.Namespace) -> int:
    tracker_of(arguments)  # before anything is run
    every = _points(arguments)
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
    log_to = arguments.log_to if complete else None
    reported = _report(arguments.output, folders, log_to, is_partial=arguments.limit is not None)
    return reported if complete else 1


def _points(arguments: argparse.Namespace) -> tuple[Point, ...]:
    """What is evaluated, the vanilla model first."""
    method = method_class(arguments.chosen_method)
    shared, control = parse_arguments(arguments.model_args), arguments.control
    swept = (*method.config_class.names_with("answers"), *_SWEPT_DATA)
    given = {name: values for name in swept if (values := getattr(arguments, name))}
    if arguments.config is None:
        grid = {name: [value.strip() for value in values.split(",")] for name, values in given.items()}
        every = points(grid, {**shared, "method": method.name})
    else:
        idle = [f"--{name.replace('_', '-')}" for name in (*(["method"] if arguments.method else []), *given)]
        if idle:
            raise SettingError(f"{', '.join(idle)} beside --config: the file says what is run. Leave it out.")
        asked = read_runs_file(arguments.config)
        every = points_of_runs(asked.runs, {**asked.model_args, **shared})
        control = asked.control if control is None else control
    return every if control is None else with_controls(every, control)


def _report(output: Path, folders: Mapping[str, Path], log_to: str | None, *, is_partial: bool) -> int:
    from lmms_manu.cli import main  # the report is a command of its own; loaded only when there is something to report

    # At any depth: the harness makes a folder of the checkpoint's name where one is given.
    runs = [f"{name}={folder}" for name, folder in folders.items() if any(folder.rglob("*_results.json"))]
    further = ["--allow", "partial"] if is_partial else []
    further += [] if log_to is None else ["--log-to", log_to, "--group", output.name]
    return main.main(["report", *runs, "--baseline", BASELINE, "--output", str(output / "report"), *further])
