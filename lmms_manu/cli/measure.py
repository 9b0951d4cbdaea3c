"""Measures what each neuron does on the people to forget and on the others, as picture and text and as text alone.

The statistics are kept in the cache, where `lmms-manu prune` and the model `manu_pruned` find them; with --output they
are also written into a file that `lmms-manu inspect` shows. Interrupted, the same command goes on where it was. Under
torchrun the processes share the work.

examples:
  lmms-manu measure --pretrained MLLMMU/LLaVA_Vanilla --processor llava-hf/llava-1.5-7b-hf --forget_ratio 5
  torchrun --nproc-per-node 4 -m lmms_manu.cli.main measure --pretrained MODEL --output statistics.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lmms_manu.cli.arguments import add_settings, given_settings, join_processes
from lmms_manu.files import refuse_existing
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.methods.settings import UnlearningSettings
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import from_arguments

_CLASSES = (ModelSettings, UnlearningSettings, MeasureSettings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write the statistics into this new safetensors file"
    )
    add_settings(parser, "the model", ModelSettings)
    add_settings(parser, "the people", UnlearningSettings, without=("method", "edit", "save_edit", "edit_cache"))
    add_settings(parser, "the measurement", MeasureSettings)


def run(arguments: argparse.Namespace) -> int:
    model, people, measuring = from_arguments(given_settings(arguments, *_CLASSES), *_CLASSES)
    if arguments.output is not None:
        refuse_existing("output", arguments.output)
    # Imported here, after the arguments are known to be right: torch takes seconds.
    from lmms_manu.measuring.measure import measure
    from lmms_manu.measuring.processes import Processes
    from lmms_manu.methods.data import load_data
    from lmms_manu.models.inputs import PromptEncoder
    from lmms_manu.models.loading import load_checkpoint

    join_processes()
    data = load_data(people)
    checkpoint = load_checkpoint(model)
    statistics = measure(checkpoint, checkpoint.mlp_blocks, data.rendered(PromptEncoder(checkpoint)), measuring)
    if not Processes.current().first:
        return 0
    samples = ", ".join(f"{count} {part}" for part, count in statistics.about["samples"].items())
    print(f"{statistics.layout.neurons} neurons of {checkpoint.name} on {samples} samples: {statistics.seconds:.1f} s")
    parts, now = len(statistics.parts), statistics.measured
    print(f"{now} of {parts} parts measured now, {parts - now} read from the cache")
    if arguments.output is not None:
        statistics.save(arguments.output)
        print(f"wrote {arguments.output}")
    return 0
