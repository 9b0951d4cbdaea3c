"""Tries to get back what a model was made to forget: gone, or only hidden?

Each attack is made on the edited model and on gold, which never met the people; what gold gives is the base rate. What
is done is kept in the output folder, and the same command goes on.

example:
  lmms-manu attack --model-args method=prompting,forget_ratio=10 --output attacks \\
    --gold pretrained=MLLMMU/LLaVA_Gold_10,processor=llava-hf/llava-1.5-7b-hf
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lmms_manu.errors import SettingError
from lmms_manu.methods.registry import settings_classes
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import parse_arguments

_OF_THE_EDIT = ("method", "edit", "save_edit", "edit_cache")
"""What the arguments of the data say of the edit, and not of the people."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model_args", default="", help="arguments of the edited model, as for lmms-eval")
    parser.add_argument("--gold", default="", help="arguments of the model that never met the people, added to these")
    parser.add_argument("--control", default="", help="arguments of a control of the same size, in place of these")
    parser.add_argument("--suite", default="", help="attacks, separated by commas; all if left out")
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")


def run(arguments: argparse.Namespace) -> int:
    models = models_of(arguments.model_args, arguments.gold, arguments.control)
    # Imported here, after the arguments are known to be right: torch takes seconds.
    from lmms_manu.attacks.registry import attacks
    from lmms_manu.attacks.run import run as attack

    suite = attacks([name for name in arguments.suite.split(",") if name])
    for one in attack(models, suite, arguments.output, print):
        parts = (("back", one.recovered), ("base", one.base))
        shares = " ".join(f"{label} {value:.2f}" for label, value in parts if value is not None)
        print(f"{one.attack:32} {one.before:.3f} -> {one.after:.3f}  {shares}  {one.verdict}")
    return 0


def models_of(model_args: str, gold: str = "", control: str = "") -> dict[str, dict[str, Any]]:
    """The arguments of each model that is attacked: all of them were asked about the same people.

    Args:
        model_args: those of the edited model.
        gold: what differs in the model that never met the people; empty for none.
        control: those of a control; empty for none.

    Raises:
        SettingError: the edited model forgets nobody.
    """
    edited = parse_arguments(model_args)
    of_data, _ = settings_classes(edited)
    people = [name for name in of_data.names() if name not in _OF_THE_EDIT]
    shared = {name: value for name, value in edited.items() if name in (*ModelSettings.names(), *people)}
    models = {"vanilla": {**shared, "method": "none"}, "edited": edited}
    if gold:
        models["gold"] = {**shared, "method": "none", **parse_arguments(gold)}
    if control:
        models["control"] = parse_arguments(control)
    if edited.get("method") == "none":
        raise SettingError("method=none forgets nobody, so that there is nothing to bring back: name a method.")
    return models
