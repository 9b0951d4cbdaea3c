"""Publishes an edited checkpoint, or an edit by itself, on the Hugging Face hub.

The folder is what `lmms-manu edit --output` or `save_edit` wrote. Its card says what was done, and with --results what
was measured, with which commands and versions; the numbers stand in `.eval_results/` too, where the hub reads them. A
published edit shows an attacker where to look: the card says so. Log in first with `hf auth login`.

examples:
  lmms-manu push edited --repo me/forgetful --results results/ --dataset owner/benchmark
  lmms-manu push edited --repo me/forgetful --dry-run
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lmms_manu.errors import DataError, SettingError
from lmms_manu.methods.record import EditRecord
from lmms_manu.names import RECORD_FILE
from lmms_manu.sources import is_only_a_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="an edited checkpoint or a saved edit")
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME", help="the repository, made if there is none")
    parser.add_argument(
        "--results", nargs="*", default=[], metavar="RUN", help="folders of results, as for `lmms-manu report`"
    )
    parser.add_argument(
        "--dataset", metavar="OWNER/NAME", help="the benchmark on the hub, to whose page the results belong"
    )
    parser.add_argument("--license", metavar="NAME", help="of the base model (default: what the hub says of it)")
    parser.add_argument("--public", action="store_true", help="for everybody to see (default: private)")
    parser.add_argument("--dry-run", action="store_true", help="print the card and the files, and publish nothing")


def run(arguments: argparse.Namespace) -> int:
    record = EditRecord.read(arguments.folder / RECORD_FILE)
    if record is None or not record.edited:
        raise DataError(f"{arguments.folder} holds no edit: there is no {RECORD_FILE} that tells of one.")
    for name in ("repo", "dataset"):
        value = getattr(arguments, name)
        if value is not None and is_only_a_path(value):
            raise SettingError(f"{name}={value!r} is not of the form OWNER/NAME.")
    # Imported here, after the arguments are known to be right: it takes seconds.
    from lmms_manu.evaluation.publishing import card_of, publication, publish

    files = publication(
        arguments.folder, record, results=arguments.results, dataset=arguments.dataset, license=arguments.license
    )
    if arguments.dry_run:
        print(card_of(files))
        print("\n".join(["files:", *(f"  {name}" for name in sorted(files))]))
        return 0
    print(f"published as {publish(arguments.repo, files, is_public=arguments.public)}")
    return 0
