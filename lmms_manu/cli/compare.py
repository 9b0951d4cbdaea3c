"""Compares methods at the same cost: each at the strength that forgets most within a budget.

Every method is evaluated at several strengths. On a quarter of the people (of those to forget and of those to retain)
the strength is chosen that forgets most and costs those to retain no more than --budget points; what is told is of the
other people: each method at its strength, beside its random controls, and the share forgotten at a retain cost of 2
and of 5 points on the frontier of all its strengths, or "not reached". What has its results is not run again, so the
same command resumes. The exit code is 1 when an evaluation failed.

A method may have settings and strengths of its own: METHOD:setting=value:strength=1+2+4. Without any, the method's own
default strengths are tried.

example:
  lmms-manu compare --methods manu:recipe=ratio:prune_rate=2+5+10,erase,npo --budget 5 --control 3 \\
      --gold MLLMMU/LLaVA_Gold_10 --model-args forget_ratio=10 --output compared
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lmms_manu.cli.report import write_report
from lmms_manu.cli.running import add_running_arguments, check, evaluate_all, evaluation_of, say
from lmms_manu.cli.tracking import log_report, tracker_of
from lmms_manu.errors import SettingError
from lmms_manu.evaluation.contenders import FORM, check_strengths, read_contenders
from lmms_manu.evaluation.evaluate import check_arguments
from lmms_manu.evaluation.sweep import at
from lmms_manu.files import write_json, write_text
from lmms_manu.methods.record import UNEDITED
from lmms_manu.models.settings import DEFAULT_PROCESSOR
from lmms_manu.settings import parse_arguments
from lmms_manu.terminal import table_console

BUDGET = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", required=True, metavar="A,B,...", help=f"what to compare: {FORM}")
    parser.add_argument(
        "--budget",
        type=float,
        default=BUDGET,
        metavar="POINTS",
        help=f"points of 100 that a method may cost those to retain (default {BUDGET:g})",
    )
    parser.add_argument("--pretrained", help="the checkpoint that all methods edit")
    parser.add_argument("--gold", metavar="CHECKPOINT", help="a model that never met the people to forget")
    parser.add_argument("--model_args", default="", help="arguments of manu_pruned that all share")
    add_running_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    # Imported here, since the help of the command needs none of it.
    from lmms_manu.evaluation import compare_table
    from lmms_manu.evaluation.compare import Plan, compare_methods

    if not arguments.budget >= 0:
        raise SettingError(f"budget={arguments.budget:g} is out of range: allowed is at least 0.")
    tracker = tracker_of(arguments)
    contenders = read_contenders(arguments.methods)
    check_strengths(contenders)
    common: dict[str, object] = dict(parse_arguments(arguments.model_args))
    if arguments.pretrained is not None:
        common["pretrained"] = arguments.pretrained
    gold = None if arguments.gold is None else {"pretrained": arguments.gold}
    if gold is not None and not {"pretrained", "processor"} & {*common}:
        # As vanilla has it where nobody names a checkpoint.
        gold["processor"] = DEFAULT_PROCESSOR
    plan = Plan(contenders, common, arguments.budget, gold, arguments.control or 0)
    points = plan.points()
    for point in points:
        check_arguments(point.model_args)
    pattern = evaluation_of(arguments, {**common, "method": UNEDITED})
    check([at(point, pattern, arguments.output) for point in points], show=arguments.dry_run)
    if arguments.dry_run:
        return 0
    compared, complete = compare_methods(plan, pattern, lambda evaluations: evaluate_all(arguments, evaluations))
    if compared is None:
        say("nothing can be compared without the vanilla model and gold: see their logs above")
        return 1
    folder = arguments.output
    write_report(compared.report, folder / "report", None, table_console())
    write_json(folder / "compare.json", compared.as_dict())
    write_text(folder / "compare.md", compare_table.document(compared))
    say("\n".join(["", *compare_table.verdict(compared), ""]))
    compare_table.show(compare_table.summary(compared), "Percent of the way to gold, and points lost.")
    compare_table.show(compare_table.frontier(compared), "On the frontier of all strengths.")
    say(f"{Path(folder, 'report', 'report.html')} is the page, {folder / 'compare.md'} has every strength")
    if complete:
        log_report(tracker, compared.report, folder.name)
    return 0 if complete else 1
