"""What is published beside an edited model: its card with what was measured, and the results in the hub's own form."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import yaml

from lmms_manu.errors import DataError
from lmms_manu.methods.record import EditRecord
from lmms_manu.report.cells import Report, Row, Section
from lmms_manu.report.formats.markdown import escape, render_table
from lmms_manu.report.formats.tables import main_numbers, notes_of, overview, reading_notes
from lmms_manu.report.metrics import MEAN
from lmms_manu.report.runs import versions_of
from lmms_manu.report.verdict import verdict

RESULTS_FOLDER = ".eval_results"

NOT_PROVEN = (
    "Low scores show that these questions, asked in this way, are not answered as before. They do not prove that the "
    "knowledge is gone: fine-tuning, quantisation or other prompts may bring it back, and other people may be harmed "
    "whom nobody asked about. `lmms-manu attack` tries what is known."
)
POINTS_THE_WAY = (
    "An edit that is published by itself shows an attacker which weights were changed, and so where to look for what "
    "was to be forgotten: who has the base model can undo it. Publish it where the method is to be studied, not where "
    "people are to be protected."
)


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """The section and the row of a report that an edit was evaluated in."""

    section: Section
    row: Row


def evaluated(report: Report, record: EditRecord) -> Evaluated:
    """Where a report holds the numbers of an edit, which its fingerprint tells.

    Raises:
        DataError: no run is of this edit.
    """
    for section in report.sections:
        for row in section.rows:
            if row.run is not None and record.fingerprint is not None and row.run.fingerprint == record.fingerprint:
                return Evaluated(section, row)
    names = ", ".join(run.name for run in report.runs)
    raise DataError(
        f"none of the results ({names}) is of this edit, {str(record.fingerprint)[:12]}: evaluate it, as its card "
        "says, and name the folder of these results."
    )


def sections(report: Report | None, record: EditRecord, *, is_whole: bool, license: str | None) -> str:
    """The part of a card that follows after how the model was made.

    Args:
        report: with the numbers of the edit; None where it was not evaluated.
        record: of the edit.
        is_whole: whether a checkpoint is published, and not an edit of one.
        license: of the base model; None where it is not known.
    """
    parts = ["## Evaluation", *(_measured(report, evaluated(report, record)) if report else ["Nothing was measured."])]
    parts += ["## What this does not prove", NOT_PROVEN, *([] if is_whole else [POINTS_THE_WAY])]
    base = f"The licence of the base model, {record.checkpoint}, holds for this too"
    parts += ["## Licence", f"{base}: {license}." if license else f"{base}; look it up there, it could not be read."]
    return "\n\n".join(parts) + "\n"


def results_file(report: Report, record: EditRecord, dataset: str) -> str:
    """The numbers of an edit as the hub reads them, with the harness's tasks as tasks of the benchmark.

    Args:
        report: with the numbers of the edit.
        record: of the edit.
        dataset: the benchmark's name on the hub.
    """
    found = evaluated(report, record)
    return str(yaml.safe_dump(list(_entries(found, dataset)), sort_keys=False, allow_unicode=True))


def _measured(report: Report, found: Evaluated) -> list[str]:
    section = found.section
    tables = [table for table in (main_numbers(section), overview(section)) if table is not None]
    run = found.row.run
    assert run is not None
    versions = ", ".join(f"{name} {version}" for name, version in versions_of(run).items())
    arguments = ",".join(f"{name}={value}" for name, value in run.files[0].arguments.items())
    command = f"lmms-eval --model {run.identity.model} --model_args {arguments} --tasks {','.join(run.tasks)}"
    return [
        f"This is *{escape(found.row.name)}* below. " + " ".join(map(escape, verdict(section))),
        *(render_table(table).replace("## ", "### ", 1) for table in tables),
        " ".join(map(escape, [*reading_notes(report), *notes_of(report)])),
        f"The numbers are of this command:\n\n```\n{command}\n```",
        f"Made with {versions}." if versions else "The versions of the libraries are not known.",
    ]


def _entries(found: Evaluated, dataset: str) -> Iterator[dict[str, Any]]:
    run, section = found.row.run, found.section
    assert run is not None
    for column in section.columns:
        for view, task in column.tasks(section.forget_ratio).items():
            cell = found.row.cell(column, view)
            if column.benchmark != section.benchmark or cell.value is None or view == MEAN:
                continue
            better = "higher" if column.higher_is_better else "lower"
            yield {
                "dataset": {"id": dataset, "task_id": task},
                "value": round(cell.value, 4),
                "notes": f"{column.title}, {column.metric.label}; {better} is better",
            }
