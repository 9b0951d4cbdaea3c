"""Turns folders of results into tables, plots and a page.

Give the folders that lmms-eval wrote to (--output_path), several if you like: runs are told apart by what they
recorded. NAME=FOLDER names a run; the same name again adds a folder to it.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, find_task, get_benchmark, names
from lmms_manu.cli.tracking import add_tracking_argument, log_report, tracker_of
from lmms_manu.errors import DataError, SettingError
from lmms_manu.evidence.bootstrap import RESAMPLES
from lmms_manu.files import refuse_unwritable, write_json, write_text
from lmms_manu.report import leaderboard
from lmms_manu.report.cells import Report
from lmms_manu.report.comparison import compare
from lmms_manu.report.formats import csv_report, every_eval_ever, json_report, latex, markdown, terminal
from lmms_manu.report.leaderboard_published import published_entries
from lmms_manu.report.problems import ALLOWANCES
from lmms_manu.report.published import MODELS, guess_model, paper, published_file, with_published
from lmms_manu.report.records import protocol_of
from lmms_manu.report.runs import read_runs
from lmms_manu.terminal import table_console

_SHARED = "every_eval_ever"
_FILES = ("report.html", "report.md", "report.tex", "report.csv", "report.json")


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which results to read and what to compare them with."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help="a folder of results, or NAME=FOLDER")
    parser.add_argument(
        "--baseline", metavar="NAME", help="the run that the others are compared with (default: the one vanilla run)"
    )
    parser.add_argument(
        "--gold",
        metavar="NAME",
        help="the run of a model that never met the people to forget (default: an unedited run that is called gold)",
    )
    ways = "; ".join(f"{kind}: {meaning}" for kind, meaning in ALLOWANCES.items())
    parser.add_argument(
        "--allow", action="append", default=[], metavar="PROBLEM", help=f"go on in spite of a problem ({ways})"
    )
    parser.add_argument(
        "--resamples", type=int, default=RESAMPLES, help=f"draws of people for the intervals (default {RESAMPLES})"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws (default 0)")


def check_reading_arguments(arguments: argparse.Namespace) -> None:
    """Refuses numbers that `add_reading_arguments` has no use for.

    Raises:
        SettingError: there are no draws, or a seed below zero.
    """
    for name, minimum in (("resamples", 1), ("seed", 0)):
        value = getattr(arguments, name)
        if value < minimum:
            raise SettingError(f"{name}={value} is out of range: allowed is at least {minimum}.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_reading_arguments(parser)
    parser.add_argument(
        "--output",
        metavar="DIR",
        help=f"write {', '.join(_FILES)}, figures/ and {_SHARED}/ there, in the place of an earlier report",
    )
    parser.add_argument(
        "--reference",
        metavar="paper",
        help="show the MANU paper's rows too; paper:MODEL for another model than the checkpoint's name suggests "
        f"({', '.join(MODELS)})",
    )
    parser.add_argument(
        "--published",
        action="append",
        default=[],
        metavar="FILE",
        help="show the rows of a CSV file of published numbers too (docs/reading-the-report.md has its columns)",
    )
    parser.add_argument(
        "--dataset",
        metavar="PATH",
        help="MLLMU-Bench, or NAME=PATH for another benchmark's data, for thumbnails of the pictures on the page; none "
        "for a page without (default: the folders that the runs used, if they are still there)",
    )
    add_tracking_argument(parser)
    parser.add_argument("--group", metavar="NAME", help="with --log-to: what the runs belong to (default: report)")
    parser.add_argument("--append", metavar="FILE", help="add the runs to this leaderboard and rank it in FILE's .md")
    parser.add_argument(
        "--merge", action="append", default=[], metavar="FILE", help="with --append: add another leaderboard's entries"
    )
    parser.add_argument("--who", metavar="NAME", help="with --append: whose results these are (default: your login)")
    parser.add_argument(
        "--rank-by",
        default=leaderboard.DEFAULT_SCORE,
        metavar="SCORE",
        help=f"with --append: what to rank by (default {leaderboard.DEFAULT_SCORE})",
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=leaderboard.BUDGET,
        metavar="POINTS",
        help="points of 100 that a run may lose on what is to be kept; one that loses more has no rank (default "
        f"{leaderboard.BUDGET:g})",
    )


def run(arguments: argparse.Namespace) -> int:
    console = table_console()
    check_reading_arguments(arguments)
    tracker = tracker_of(arguments)
    if arguments.merge and not arguments.append:
        raise SettingError("--merge needs --append FILE, the leaderboard that the entries are added to.")
    leaderboard.check_score(arguments.rank_by)
    if arguments.budget < 0:
        raise SettingError(f"budget={arguments.budget:g} is out of range: allowed is at least 0.")
    if arguments.rank_by != leaderboard.DEFAULT_SCORE and not arguments.append:
        raise SettingError("--rank-by needs --append FILE, the leaderboard that is ranked.")
    if arguments.output:
        _refuse_foreign(Path(arguments.output))
    if arguments.append:
        leaderboard.ranking_file(arguments.append)
        refuse_unwritable("append", arguments.append, Path(arguments.append).parent)
    if not arguments.runs and not arguments.merge:
        raise DataError("no runs were given: name at least one folder of results.")
    if arguments.runs:
        runs = read_runs(arguments.runs, arguments.allow)
        report = compare(
            runs, arguments.baseline, gold=arguments.gold, resamples=arguments.resamples, seed=arguments.seed
        )
        shown = _with_published(report, arguments.reference, arguments.published)
        terminal.show(shown, console)
        if arguments.output:
            write_report(shown, Path(arguments.output), arguments.dataset, console)
            console.print(f"wrote {Path(arguments.output) / 'report.html'} with its tables and figures", markup=False)
    if arguments.runs:
        log_report(tracker, report, arguments.group or "report")
    if arguments.append:
        entries = leaderboard.entries_of(report, arguments.who) if arguments.runs else []
        published = published_entries(shown) if arguments.runs else []
        ranked = leaderboard.append(arguments.append, entries, arguments.merge, published)
        target = leaderboard.ranking_file(arguments.append)
        published = leaderboard.read_published(arguments.append)
        write_text(target, leaderboard.render(ranked, arguments.rank_by, arguments.budget, published))
        console.print(f"{arguments.append} holds {len(ranked)} entries, ranked in {target}", markup=False)
    return 0


def _with_published(report: Report, reference: str | None, files: Sequence[str]) -> Report:
    sources = [published_file(file, report.runs) for file in files]
    if reference is not None:
        source, _, model = reference.partition(":")
        if source != "paper":
            raise SettingError(
                f"reference={reference!r} is not allowed: choose paper, or paper:MODEL; --published takes a file."
            )
        sources.insert(0, paper(model or guess_model(run.identity.checkpoint for run in report.runs)))
    return with_published(report, sources)


def _refuse_foreign(folder: Path) -> None:
    """Refuses a folder whose files would be written over, unless they are an earlier report, which can be made again.

    Raises:
        SettingError: `folder` is a file or cannot be written, or holds a file of a report's name without a report's own
            record.
    """
    if folder.exists() and not folder.is_dir():
        raise SettingError(f"output={str(folder)!r} is a file: name a folder.")
    refuse_unwritable("output", folder)
    found = [name for name in (*_FILES, "figures", _SHARED) if (folder / name).exists()]
    if found and not json_report.is_report(folder / "report.json"):
        raise SettingError(
            f"out={str(folder)!r} holds a {found[0]} that is no report of lmms-manu: name another folder."
        )


def write_report(report: Report, folder: Path, dataset: str | None, console: Console) -> None:
    """Writes a report's page and tables into a folder; pictures are those of `dataset`, or of the runs' own."""
    page = _page(report, dataset, console)
    folder.mkdir(parents=True, exist_ok=True)
    # First, because it is what tells a report, even one that was cut off here, from somebody else's files.
    write_json(folder / "report.json", json_report.build(report))
    write_text(folder / "report.md", markdown.render(report))
    write_text(folder / "report.tex", latex.render(report))
    write_text(folder / "report.csv", csv_report.render(report))
    write_text(folder / "report.html", page)
    # The page's libraries are an optional dependency.
    from lmms_manu.report.page.figures import write_figures

    write_figures(report, folder)
    shared = folder / _SHARED
    shutil.rmtree(shared, ignore_errors=True)
    shared.mkdir()
    for record in every_eval_ever.records(report).values():
        write_json(shared / every_eval_ever.file_name(record), record)


def _page(report: Report, dataset: str | None, console: Console) -> str:
    # The page's libraries are an optional dependency.
    from lmms_manu.report.page.build import render

    if dataset is not None:
        return render(report, None if dataset == "none" else _named_dataset(dataset))
    try:
        return render(report, _used_datasets(report))
    except DataError as error:
        # Nobody asked for these pictures.
        console.print(f"note: the page has no thumbnails: {error}", markup=False)
        return render(report)


def _named_dataset(dataset: str) -> dict[str, str]:
    name, separator, path = dataset.partition("=")
    return {name: path} if separator and name in names() else {DEFAULT_BENCHMARK: dataset}


def _used_datasets(report: Report) -> dict[str, str]:
    """For each benchmark the data that all runs took their questions from; left out if it is not there."""
    used: dict[str, set[str]] = {}
    for run in report.runs:
        for task in run.tasks.values():
            known, dataset = find_task(task.name), protocol_of(task).get("dataset")
            if known and dataset:
                used.setdefault(known.benchmark, set()).add(str(dataset))
    only = {benchmark: next(iter(found)) for benchmark, found in used.items() if len(found) == 1}
    return {name: dataset for name, dataset in only.items() if get_benchmark(name).is_at_hand(dataset)}
