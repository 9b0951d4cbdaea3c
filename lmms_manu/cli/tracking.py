"""The option of commands that make or evaluate models: to which tracker of experiments these are logged."""

from __future__ import annotations

import argparse

from lmms_manu.methods.record import EditRecord
from lmms_manu.report.cells import Report
from lmms_manu.report.tracked import tracked_edit, tracked_runs
from lmms_manu.tracking import PROJECT, TRACKERS, Tracker


def add_tracking_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log-to",
        metavar="TRACKER",
        help=f"log settings, scores and training curves to {' or '.join(TRACKERS)} when all is done; TRACKER:PROJECT "
        f"for another project than {PROJECT}",
    )


def tracker_of(arguments: argparse.Namespace) -> Tracker | None:
    """The tracker that was asked for; None for none.

    Raises:
        SettingError: it cannot be used.
    """
    return None if arguments.log_to is None else Tracker.named(arguments.log_to)


def log_report(tracker: Tracker | None, report: Report, group: str) -> None:
    """Logs a report's runs, where a tracker was asked for, and says so."""
    if tracker is not None:
        print(tracker.log(tracked_runs(report, group)))


def log_edit(tracker: Tracker | None, record: EditRecord, name: str) -> None:
    """Logs an edit that was made, where a tracker was asked for, and says so."""
    if tracker is not None:
        print(tracker.log([tracked_edit(record, name, "edit")]))
