"""Runs a suite of benchmarks on a model through lmms-eval, one call a part.

A part that has its results is not run again, so the same command resumes after a crash. The exit code is 1 when a
part failed. Judged parts (MM-Vet, MIA-Bench, LLaVA-Bench, factuality) read OPENAI_API_KEY, OPENAI_API_URL in its base
or full form, and MODEL_VERSION.

example:
  lmms-manu evaluate --suite all --model_args recipe=paper,prune_rate=2 --output results/paper-2
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lmms_manu.evaluation import suites
from lmms_manu.evaluation.evaluate import Evaluation, check_arguments, evaluate
from lmms_manu.settings import parse_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--suite", default="all", help=f"which benchmarks: {', '.join(suites.SUITES)} (default all)")
    parser.add_argument("--model_args", default="", help="arguments of manu_pruned, as for lmms-eval")
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")
    parser.add_argument("--skip", default="", help="parts to leave out, separated by commas")
    parser.add_argument(
        "--processes", type=int, default=1, help="processes on this machine, each with a copy of the model"
    )
    parser.add_argument("--limit", type=int, help="ask only so many questions of each task, for a quick try")
    parser.add_argument("--quiet", action="store_true", help="keep lmms-eval's output in its log files")


def run(arguments: argparse.Namespace) -> int:
    model_args = parse_arguments(arguments.model_args)
    check_arguments(model_args)
    skip = tuple(filter(None, arguments.skip.split(",")))
    parts = suites.parts(arguments.suite, int(model_args.get("forget_ratio", "5")), skip)
    suites.check_judge(parts, os.environ)
    evaluation = Evaluation(
        parts,
        model_args,
        arguments.output,
        folder=Path.cwd(),
        variables=os.environ,
        processes=arguments.processes,
        limit=arguments.limit,
    )
    return 0 if evaluate(evaluation, echo=not arguments.quiet) else 1
