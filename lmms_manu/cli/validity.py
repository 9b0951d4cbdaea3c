"""Says whether a model knows the people to forget, and which metrics can tell, before anything is unlearned.

Give the results of the vanilla model, and those of gold if there is one: a model trained alike without the people to
forget. Without gold the vanilla model is held against guessing: chance for choices, and for texts the answers about
other people to the same question.

The exit code is 0 if some metric can tell on the people to forget and 1 if none can; 2 if an option or the results are
wrong.
"""

from __future__ import annotations

import argparse

from rich.text import Text

from lmms_manu.benchmarks.base import MODALITIES
from lmms_manu.cli.report import add_reading_arguments, check_reading_arguments
from lmms_manu.errors import DataError
from lmms_manu.report.cells import Report, Section
from lmms_manu.report.comparison import compare
from lmms_manu.report.formats.tables import notes_of, validity
from lmms_manu.report.formats.terminal import show_table
from lmms_manu.report.runs import read_runs
from lmms_manu.terminal import table_console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_reading_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    check_reading_arguments(arguments)
    runs = read_runs(arguments.runs, arguments.allow)
    report = compare(runs, arguments.baseline, gold=arguments.gold, resamples=arguments.resamples, seed=arguments.seed)
    _check(report)
    console = table_console()
    for section in report.sections:
        table = validity(section)
        if table is not None:
            show_table(table, console)
            console.print(Text(table.caption))
        console.print(Text(_sentence(section), style="bold"))
    for note in notes_of(report):
        console.print(Text(f"note: {note}", style="yellow"))
    return 0 if any(_telling(section)[0] for section in report.sections) else 1


def _check(report: Report) -> None:
    """Refuses results without a model to judge, or with a gold that is none.

    Raises:
        DataError: that is the case.
    """
    if report.baseline is None:
        raise DataError(
            "there is no vanilla model among the results, or several: name it with --baseline, and gold with --gold."
        )
    unfit = [problem.message for problem in report.problems if problem.kind == "gold"]
    if unfit and not any(section.evidence for section in report.sections):
        raise DataError(" ".join(unfit))


def _telling(section: Section) -> tuple[int, int]:
    """How many numbers about whom was to be forgotten can tell, and how many there are."""
    verdicts = section.evidence.verdicts if section.evidence else {}
    about = [
        verdict.tells
        for column in section.columns
        for view in MODALITIES
        if column.is_forgotten and (verdict := verdicts.get((column.name, view)))
    ]
    return sum(about), len(about)


def _sentence(section: Section) -> str:
    telling, there_are = _telling(section)
    if section.evidence is None or section.baseline is None:
        return f"{section.title}: nothing was held against anything."
    who, reference = section.baseline.name, section.evidence.reference
    if not telling:
        return (
            f"{section.title}: none of {there_are} numbers shows that {who} knows the people to forget better than "
            f"{reference}. Nothing that is measured with them says anything about forgetting."
        )
    return (
        f"{section.title}: {telling} of {there_are} numbers can tell: there {who} knows the people to forget better "
        f"than {reference}."
    )
