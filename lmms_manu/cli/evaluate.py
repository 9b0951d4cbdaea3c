"""Runs a suite of benchmarks on a model through lmms-eval: one start and one load, one call a part.

A part that has its results is not run again, so the same command resumes after a crash. The exit code is 1 when a
part failed or its judge gave no verdict. Judged parts (MM-Vet, MIA-Bench, LLaVA-Bench, factuality) read
OPENAI_API_KEY, OPENAI_API_URL in its base or full form, and MODEL_VERSION. The results of controls (--control) go
beside those of the model: of results/paper-2 to results/paper-2-control0 and so on.

example:
  lmms-manu evaluate --suite all --model-args recipe=paper,prune_rate=2 --output results/paper-2
"""

from __future__ import annotations

import argparse

from lmms_manu.cli.running import add_running_arguments, check, evaluate_all, evaluation_of
from lmms_manu.cli.tracking import log_report, tracker_of
from lmms_manu.evaluation.evaluate import check_arguments
from lmms_manu.evaluation.sweep import Point, at, with_controls
from lmms_manu.report.comparison import compare
from lmms_manu.report.runs import read_runs
from lmms_manu.settings import parse_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model_args", default="", help="arguments of manu_pruned, as for lmms-eval")
    add_running_arguments(parser, suite="all")


def run(arguments: argparse.Namespace) -> int:
    tracker = tracker_of(arguments)
    model_args = parse_arguments(arguments.model_args)
    check_arguments(model_args)
    evaluation = evaluation_of(arguments, model_args)
    own = Point(evaluation.output.name, model_args)
    points = (own,) if arguments.control is None else with_controls([own], arguments.control)
    evaluations = [at(point, evaluation, evaluation.output.parent) for point in points]
    check(evaluations, show=arguments.dry_run)
    if arguments.dry_run:
        return 0
    if not evaluate_all(arguments, evaluations):
        return 1
    if tracker is not None:
        runs = read_runs([f"{one.output.name}={one.output}" for one in evaluations], allow=["partial"])
        log_report(tracker, compare(runs), evaluation.output.name)
    return 0
