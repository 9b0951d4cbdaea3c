"""Holds results against conditions.

The conditions stand in a YAML file; each names a metric, such as forget.classification, retain.cloze, utility.mmstar,
forgetting_rate or unparsed, and one bound: at_least, at_most, drop_at_least, drop_at_most (points below the baseline),
percent_of_baseline_at_least or percent_of_baseline_at_most. `modality: [multimodal, text]` asks it of both modalities,
`interval: true` of the whole 95 % interval. What was not measured fails.

The exit code is 0 if every condition held and 1 if not; 2 if an option or the file of conditions is wrong, or results
are damaged; 3 if there is nothing to judge: no results, or none but the baseline's.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lmms_manu.cli.report import add_reading_arguments, check_reading_arguments
from lmms_manu.errors import NoResultsError
from lmms_manu.files import refuse_unwritable_file, write_text, writing
from lmms_manu.report.comparison import compare
from lmms_manu.report.gate.config import read_config
from lmms_manu.report.gate.outcomes import check_conditions
from lmms_manu.report.gate.outputs import junit, markdown, show
from lmms_manu.report.runs import read_runs
from lmms_manu.terminal import table_console

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file with the conditions")
    add_reading_arguments(parser)
    parser.add_argument("--junit", metavar="FILE", help="write the outcomes as JUnit XML")
    parser.add_argument(
        "--summary", metavar="FILE", help=f"append the outcomes as Markdown (default: what {STEP_SUMMARY} names)"
    )


def run(arguments: argparse.Namespace) -> int:
    check_reading_arguments(arguments)
    summary = arguments.summary or os.environ.get(STEP_SUMMARY)
    if arguments.junit:
        refuse_unwritable_file("junit", arguments.junit)
    # What is there is written on; its folder need not be writable, as that of /dev/stdout.
    if summary and not os.path.lexists(summary):
        refuse_unwritable_file("summary", summary)
    config = read_config(arguments.config)
    runs = read_runs(arguments.runs, arguments.allow)
    baseline = arguments.baseline or config.baseline
    gold = arguments.gold or config.gold
    report = compare(runs, baseline, gold=gold, resamples=arguments.resamples, seed=arguments.seed)
    outcomes = check_conditions(report, config.conditions)
    show(outcomes, table_console())
    if arguments.junit:
        write_text(arguments.junit, junit(outcomes))
    if summary:
        with writing(summary), Path(summary).open("a", encoding="utf-8") as opened:
            opened.write(markdown(outcomes))
    if all(outcome.run is None for outcome in outcomes):
        return NoResultsError.exit_code
    return 0 if all(outcome.held for outcome in outcomes) else 1
