"""What the commands that start the harness have in common."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lmms_manu.benchmarks.registry import announce_choice
from lmms_manu.cli.tracking import add_tracking_argument
from lmms_manu.errors import SettingError
from lmms_manu.evaluation import suites
from lmms_manu.evaluation.evaluate import Evaluation, evaluate, outline
from lmms_manu.evaluation.harness import Harness
from lmms_manu.evaluation.progress import Progress
from lmms_manu.evaluation.side_by_side import environments, models_at_once, side_by_side
from lmms_manu.methods.record import EditRecord
from lmms_manu.methods.registry import method_class, settings_classes
from lmms_manu.methods.settings import DEFAULT_METHOD
from lmms_manu.models.settings import DEFAULT_CHECKPOINT, ModelSettings
from lmms_manu.settings import from_arguments


def add_running_arguments(parser: argparse.ArgumentParser, suite: str | None = None) -> None:
    """The arguments that say what is run, where the results go, and how.

    Args:
        parser: gets them.
        suite: the default one; the benchmark whose people are to be forgotten if None.
    """
    default = suite or "the benchmark whose people are to be forgotten"
    parser.add_argument(
        "--suite", default=suite, help=f"which benchmarks: {', '.join(suites.suites())} (default {default})"
    )
    parser.add_argument("--skip", default="", help="parts of the suite to leave out, separated by commas")
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")
    parser.add_argument(
        "--processes", type=int, default=1, help="processes on this machine, each with a copy of the model"
    )
    parser.add_argument(
        "--at-once",
        type=int,
        help="models evaluated at the same time (default: one a GPU; without one, what cores and memory allow)",
    )
    parser.add_argument(
        "--control", type=int, metavar="N", help="evaluate N random controls of the same size too, with seeds from 0"
    )
    parser.add_argument("--limit", type=int, help="ask only so many questions of each task, for a quick try")
    add_tracking_argument(parser)
    parser.add_argument("--quiet", action="store_true", help="keep lmms-eval's output in its log files")
    parser.add_argument("--dry-run", action="store_true", help="check everything and say what would be run")


def say(line: str) -> None:
    """Prints a line at once, also into a file that somebody watches during a long evaluation."""
    print(line, flush=True)


def evaluation_of(arguments: argparse.Namespace, model_args: Mapping[str, object]) -> Evaluation:
    """The evaluation that the arguments ask for.

    Raises:
        SettingError: an unknown suite or part, or a number that is not allowed.
    """
    if arguments.at_once is not None and arguments.at_once < 1:
        raise SettingError(f"at_once={arguments.at_once} is out of range: allowed is at least 1.")
    skip = tuple(filter(None, arguments.skip.split(",")))
    benchmark, ratio = _forgotten(model_args)
    parts = suites.parts(arguments.suite or benchmark, ratio, skip, benchmark)
    return Evaluation(
        parts,
        model_args,
        arguments.output,
        folder=Path.cwd(),
        variables=os.environ,
        processes=arguments.processes,
        limit=arguments.limit,
    )


def evaluate_all(
    arguments: argparse.Namespace, evaluations: Sequence[Evaluation], say: Callable[[str], None] = say
) -> bool:
    """Runs evaluations, several at once where there is room; returns whether every part of each has its results."""
    first = evaluations[0]
    checkpoints = {str(one.model_args.get("pretrained") or DEFAULT_CHECKPOINT) for one in evaluations}
    count = arguments.at_once or models_at_once(len(evaluations), checkpoints, first.folder, first.processes)
    variables = environments(min(count, len(evaluations)))
    echo = not arguments.quiet
    harnesses = [Harness(first.folder, {**first.variables, **own}, echo=echo) for own in variables]
    progress = Progress(sum(len(one.parts) for one in evaluations), say, bar=not echo)
    return all(side_by_side(lambda one, harness: evaluate(one, harness, progress), evaluations, harnesses))


def _forgotten(model_args: Mapping[str, object]) -> tuple[str, int | None]:
    """The benchmark and the ratio of the people that the model will have forgotten."""
    method = method_class(str(model_args.get("method", DEFAULT_METHOD)))
    classes = (ModelSettings, *settings_classes(model_args))
    names = [name for settings in classes for name in settings.names()]
    told = {name: value for name, value in model_args.items() if name in names}
    model, people, config = from_arguments(told, *classes)
    announce_choice(people)
    if "forget_ratio" not in model_args and method(config).changes_nothing() and people.edit is None:
        record = EditRecord.of_checkpoint(model.checkpoint)
        known = {} if record is None else record.forgotten
        if known.get("benchmark") == people.benchmark and "forget_ratio" in known:
            return people.benchmark, int(known["forget_ratio"])
    return people.benchmark, people.forget_ratio


def check(evaluations: Sequence[Evaluation], *, show: bool) -> None:
    """Checks evaluations of the same parts before the first is started, the judge last; `show` prints what they run.

    Raises:
        SettingError: a folder holds results of other arguments, or a part needs a judge where none is configured.
    """
    plan = "\n".join(map(outline, evaluations))
    if show:
        say(plan)
    suites.check_judge(evaluations[0].parts, evaluations[0].variables)
