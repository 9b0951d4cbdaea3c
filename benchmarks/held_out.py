"""How settings of a method do on people whom nobody reports, so that settings can be chosen on them.

The embedded model forgets as many people as are to be forgotten, drawn from those to retain (`random_control=True`);
those to forget are in neither set. With `--unseen` a quarter of the others are in neither set as well, as all the world
is that no edit measures. Printed is, for each set of settings, the share of answer tokens that the edited model finds
likeliest, in percent.

    python benchmarks/held_out.py [--unseen] METHOD name=value,name=value [name=value ...]
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
from pathlib import Path

from lmms_manu.embedded import FORGET_RATIO, make_embedded_dataset, model_folder
from lmms_manu.measuring.parts import Part
from lmms_manu.methods.choice import validation_people
from lmms_manu.methods.control import retained_people_as_forgotten
from lmms_manu.methods.data import UnlearningData
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.settings import parse_arguments
from lmms_manu.training.answers import Asker
from lmms_manu.training.exam import examine


def right(method: str, arguments: dict[str, str], unseen: bool) -> dict[str, float]:
    """The share of right answer tokens of each part after an edit, in percent."""
    own = {"pretrained": str(model_folder()), "forget_ratio": FORGET_RATIO, "device": "cpu", "edit_cache": False}
    run = plan({**own, "random_control": True, **arguments, "method": method})
    assert run.data is not None
    encoder = PromptEncoder(load_checkpoint(run.model))
    parts = run.data.rendered(encoder)
    left_out = validation_people({one.subject for one in parts[Part("retain", "text")]}) if unseen else frozenset()
    retain = {
        modality: [one for one in examples if one.subject not in left_out]
        for modality, examples in run.data.retain.items()
    }
    run = dataclasses.replace(run, data=UnlearningData(run.data.forget, retain, run.data.settings))
    checkpoint, _ = run.load()
    assert run.data is not None
    asked = retained_people_as_forgotten(run.data.rendered(encoder), int(arguments.get("seed", 0)))
    others = {
        Part("unseen", part.modality): [one for one in own if one.subject in left_out]
        for part, own in parts.items()
        if part.set == "retain"
    }
    marks = examine(Asker(checkpoint.model, checkpoint.device), checkpoint, {**asked, **others})
    return {part: own["right"] for part, own in marks.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", help="one that has a control")
    parser.add_argument("settings", nargs="+", help="name=value,name=value")
    parser.add_argument("--unseen", action="store_true", help="keep a quarter of those to retain out of the edit")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LMMS_MANU_DATASET"] = str(make_embedded_dataset(Path(folder, "data")))
        for settings in arguments.settings:
            marks = right(arguments.method, dict(parse_arguments(settings)), arguments.unseen)
            print(settings, ", ".join(f"{part} {value:.1f}" for part, value in marks.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
