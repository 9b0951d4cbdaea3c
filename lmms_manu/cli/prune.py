"""Prunes a checkpoint and writes the result as an ordinary Hugging Face checkpoint.

The folder holds weights, processor, a model card that records the edit, and the mask of pruned neurons. It loads with
plain `from_pretrained`, so that any program can use it without this package; evaluated as `--model manu_pruned
--model_args pretrained=DIR,prune_rate=0` it gives the answers that pruning in memory gives.

examples:
  lmms-manu prune --pretrained MLLMMU/LLaVA_Vanilla --processor llava-hf/llava-1.5-7b-hf --prune_rate 2 --out pruned
  lmms-manu prune --pretrained MODEL --mask mask.safetensors --out pruned
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lmms_manu.cli.arguments import add_settings, given_settings, join_processes
from lmms_manu.errors import SettingError
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.methods.manu.config import ManuSettings
from lmms_manu.methods.settings import UnlearningSettings
from lmms_manu.models.settings import ModelSettings

_CLASSES = (ModelSettings, UnlearningSettings, ManuSettings, MeasureSettings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write; must be new")
    add_settings(parser, "the model", ModelSettings)
    add_settings(parser, "the people", UnlearningSettings)
    add_settings(parser, "the neurons", ManuSettings)
    add_settings(parser, "the measurement", MeasureSettings)


def run(arguments: argparse.Namespace) -> int:
    out: Path = arguments.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingError(f"out={str(out)!r} exists: name a new folder, nothing is overwritten.")
    # Imported here so that a mistyped option is answered at once: torch takes seconds.
    from lmms_manu.measuring.processes import Processes
    from lmms_manu.methods.export import write_checkpoint
    from lmms_manu.methods.unlearn import plan

    request = plan(given_settings(arguments, *_CLASSES))
    join_processes()
    checkpoint, record = request.load()
    if Processes.current().first:
        write_checkpoint(checkpoint, record, out)
        print(record.summary())
        print(f"wrote {out}")
    return 0
