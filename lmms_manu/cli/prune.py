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
import tempfile
from pathlib import Path

from lmms_manu.cli.arguments import add_settings, given_settings, join_processes
from lmms_manu.errors import SettingError
from lmms_manu.files import refuse_unwritable
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.methods.manu.config import ManuSettings
from lmms_manu.methods.registry import METHODS, get_method
from lmms_manu.methods.settings import DEFAULT_METHOD, UnlearningSettings
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import Settings, from_arguments

_CLASSES = (ModelSettings, UnlearningSettings, ManuSettings, MeasureSettings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write; must be new")
    add_settings(parser, "the model", ModelSettings)
    add_settings(parser, "the people", UnlearningSettings)
    add_settings(parser, "the neurons", ManuSettings)
    add_settings(parser, "the measurement", MeasureSettings)
    for name, classes in _other_methods().items():
        for settings in classes:
            add_settings(parser, f"the method {name}", settings)


def run(arguments: argparse.Namespace) -> int:
    # Through links, for what is written whole takes the place of what is there.
    out: Path = arguments.out.expanduser().resolve()
    if out == Path.cwd():
        raise SettingError(f"out={str(arguments.out)!r} is the folder that you are in: name one to be made.")
    refuse_unwritable("out", arguments.out, out.parent)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingError(f"out={str(out)!r} exists: name a new folder, nothing is overwritten.")
    classes = [*_CLASSES, *(settings for own in _other_methods().values() for settings in own)]
    given = given_settings(arguments, *classes)
    manu = next(made for made in from_arguments(given, *classes) if isinstance(made, ManuSettings))
    if "save_mask" in given:
        place = Path(given["save_mask"]).expanduser()
        if place.resolve().is_relative_to(out):
            raise SettingError(
                f"save_mask={given['save_mask']!r} lies in --out, which gets the mask anyway: leave it out."
            )
        refuse_unwritable("save_mask", given["save_mask"], place.parent if place.suffix == ".safetensors" else place)
    removes = manu.prune_mode == "remove" and manu.mask is None and manu.prune_rate > 0
    if removes and manu.own_scope != "layer":
        raise SettingError(
            f"prune_mode=remove with scope={manu.own_scope} takes another number of neurons from each layer, and no "
            "checkpoint can hold layers of different widths: use scope=layer, or prune_mode=zero."
        )
    # Imported here, after the arguments are known to be right: torch takes seconds.
    from lmms_manu.editing.mask import FILE_NAME, NeuronMask
    from lmms_manu.measuring.processes import Processes
    from lmms_manu.methods.export import write_checkpoint
    from lmms_manu.methods.manu.edit import check_saveable_by_layer
    from lmms_manu.methods.unlearn import plan
    from lmms_manu.models.loading import load_checkpoint

    with tempfile.TemporaryDirectory() as scratch:
        mask, wanted = Path(scratch, FILE_NAME), given.get("save_mask")
        if given.get("method", DEFAULT_METHOD) == DEFAULT_METHOD and (manu.prune_rate > 0 or manu.mask is not None):
            given["save_mask"] = str(mask)
        request = plan(given)
        join_processes()
        checkpoint = load_checkpoint(request.model)
        if removes:
            check_saveable_by_layer(checkpoint, *request.method_settings)
        record = request.edit(checkpoint)
        if Processes.current().first:
            if wanted is not None and mask.is_file():
                NeuronMask.load(mask).save(wanted)
            write_checkpoint(checkpoint, record, out, [mask] if mask.is_file() else ())
            print(record.summary())
            print(f"wrote {out}")
    return 0


def _other_methods() -> dict[str, list[type[Settings]]]:
    """The settings that methods besides the default one add; only these have to be imported to be known."""
    others = (name for name in METHODS if name != DEFAULT_METHOD)
    return {name: [settings for settings in get_method(name).settings if settings not in _CLASSES] for name in others}
