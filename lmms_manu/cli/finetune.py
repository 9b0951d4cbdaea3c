"""Fine-tunes a base model on the people, all of them or those to retain alone, and writes the result as a checkpoint.

A model to make forget (`--set full`) and the one that never met those to forget (`--set retain`) go through the same
batches, but for the samples of these people: what an edited model still knows can be held against the second. A
training that was stopped goes on where it was when it is started again. A short exam at the end says whether the model
has learned what it was taught. The harness trains the same models by `--model_args method=finetune,set=...`.

examples:
  lmms-manu finetune --pretrained BASE --set full --output vanilla
  lmms-manu finetune --pretrained BASE --set retain --forget-ratio 5 --output gold
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmms_manu.cli.arguments import add_settings, given_settings, join_processes
from lmms_manu.cli.tracking import add_tracking_argument, log_edit, tracker_of
from lmms_manu.files import new_folder
from lmms_manu.methods.registry import method_class
from lmms_manu.methods.settings import UnlearningSettings
from lmms_manu.models.settings import ModelSettings

METHOD = "finetune"
_NOT_HERE = ("method", "edit", "retain_budget", "strengths")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the folder to write; must be new")
    add_tracking_argument(parser)
    add_settings(parser, "the model", ModelSettings)
    add_settings(parser, "the data", UnlearningSettings, without=_NOT_HERE)
    add_settings(parser, "the training", method_class(METHOD).config_class)


def run(arguments: argparse.Namespace) -> int:
    output = new_folder("output", arguments.output)
    tracker = tracker_of(arguments)
    given = given_settings(arguments, ModelSettings, UnlearningSettings, method_class(METHOD).config_class)
    # Imported here, after the arguments are known to be right: torch takes seconds.
    from lmms_manu.measuring.processes import Processes
    from lmms_manu.methods.export import write_checkpoint
    from lmms_manu.methods.unlearn import plan
    from lmms_manu.models.loading import load_checkpoint

    request = plan({**given, "method": METHOD}, export=True)
    join_processes()
    checkpoint = load_checkpoint(request.model)
    change, found = request.find(checkpoint, export=True)
    checkpoint, record = request.apply(checkpoint, change, found)
    if Processes.current().first:
        write_checkpoint(checkpoint, record, change, output)
        print(record.summary())
        if exam := record.details.get("exam"):
            print("\n".join(_exam(exam, taught_all=request.method.config.set == "full")))
        print(f"wrote {output}")
        log_edit(tracker, record, output.name)
    return 0


def _exam(exam: Mapping[str, Any], *, taught_all: bool) -> list[str]:
    """The exam as a table: the share of answer tokens that the model finds likeliest."""
    lines = [f"{'answer tokens found likeliest':32}{'before':>10}{'after':>10}"]
    for part, after in exam["after"].items():
        taught = "" if taught_all or part.startswith("retain") else " (not taught)"
        lines.append(f"{part + taught:32}{exam['before'][part]['right']:8.1f} %{after['right']:8.1f} %")
    return [*lines, exam["verdict"]]
