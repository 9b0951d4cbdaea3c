"""Edits a checkpoint by any method and writes the result as an ordinary Hugging Face checkpoint.

The folder holds weights, processor, a model card and the record of the edit, and in its folder `edit` what was changed
where that is small, such as the mask of pruned neurons. It loads with plain `from_pretrained`, so that any program can
use it without this package; evaluated as `--model manu_pruned --model_args pretrained=DIR,method=none` it gives the
answers that editing in memory gives. The options are those of the chosen method: `lmms-manu edit --method NAME -h`.

examples:
  lmms-manu edit --method manu --pretrained MODEL --prune-rate 2 --output edited
  lmms-manu edit --pretrained MODEL --edit kept-edit --output edited
  lmms-manu edit --method manu --pretrained MODEL --prune-mode remove --uniform true --for vllm --output smaller
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lmms_manu.cli.arguments import add_method_settings, given_settings, join_processes
from lmms_manu.cli.tracking import add_tracking_argument, log_edit, tracker_of
from lmms_manu.errors import SettingError
from lmms_manu.files import new_folder, refuse_unwritable
from lmms_manu.methods.registry import method_class
from lmms_manu.methods.settings import UnlearningSettings
from lmms_manu.models.settings import ModelSettings

SERVERS = {"sglang": "python -m sglang.launch_server --model-path", "vllm": "vllm serve"}
"""The command of each server that checkpoints can be written for, up to the checkpoint's folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the folder to write; must be new")
    parser.add_argument(
        "--for",
        dest="server",
        choices=sorted(SERVERS),
        help="read back the names and shapes of what was written, as this server demands them from the configuration",
    )
    add_tracking_argument(parser)
    add_method_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    output = new_folder("output", arguments.output)
    tracker = tracker_of(arguments)
    config = method_class(arguments.chosen_method).config_class
    given = given_settings(arguments, ModelSettings, UnlearningSettings, config)
    for name in sorted({"save_mask", "save_edit"} & given.keys()):
        place = Path(given[name]).expanduser()
        if place.resolve().is_relative_to(output):
            raise SettingError(f"{name}={given[name]!r} lies in --output, which is written whole: leave it out.")
        refuse_unwritable(name, given[name], place.parent if place.suffix == ".safetensors" else place)
    # Imported here, after the arguments are known to be right: torch takes seconds.
    from lmms_manu.measuring.processes import Processes
    from lmms_manu.methods.export import write_checkpoint
    from lmms_manu.methods.unlearn import plan
    from lmms_manu.models.loading import load_checkpoint

    request = plan(given, export=True)
    join_processes()
    checkpoint = load_checkpoint(request.model)
    change, found = request.find(checkpoint, export=True)
    checkpoint, record = request.apply(checkpoint, change, found)
    if Processes.current().first:
        write_checkpoint(checkpoint, record, change, output, read_back=arguments.server is not None)
        print(record.summary())
        print(f"wrote {output}")
        log_edit(tracker, record, output.name)
        if arguments.server is not None:
            print(f"names and shapes are those that its configuration demands: {SERVERS[arguments.server]} {output}")
    return 0
