"""Runs a suite of benchmarks on a model through lmms-eval, one call a part.

A part that has its results is not run again, so the same command resumes after a crash. The exit code is 1 when a
part failed or its judge gave no verdict. Judged parts (MM-Vet, MIA-Bench, LLaVA-Bench, factuality) read
OPENAI_API_KEY, OPENAI_API_URL in its base or full form, and MODEL_VERSION.

example:
  lmms-manu evaluate --suite all --model-args recipe=paper,prune_rate=2 --output results/paper-2
"""

from __future__ import annotations

import argparse

from lmms_manu.cli.running import add_running_arguments, check, evaluation_of, say
from lmms_manu.evaluation.evaluate import check_arguments, evaluate
from lmms_manu.settings import parse_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model_args", default="", help="arguments of manu_pruned, as for lmms-eval")
    add_running_arguments(parser, suite="all")


def run(arguments: argparse.Namespace) -> int:
    model_args = parse_arguments(arguments.model_args)
    check_arguments(model_args)
    evaluation = evaluation_of(arguments, model_args)
    check([evaluation], show=arguments.dry_run)
    if arguments.dry_run:
        return 0
    return 0 if evaluate(evaluation, say, echo=not arguments.quiet) else 1
