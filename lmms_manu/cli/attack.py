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

from lmms_manu.errors import SettingError
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import parse_arguments

_PEOPLE = ("benchmark", "forget_ratio", "max_samples", "prompt")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model_args", default="", help="arguments of the edited model, as for lmms-eval")
    parser.add_argument("--gold", default="", help="arguments of the model that never met the people, added to these")
    parser.add_argument("--control", default="", help="arguments of a control of the same size, in place of these")
    parser.add_argument("--suite", default="", help="attacks, separated by commas; all if left out")
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")


def run(arguments: argparse.Namespace) -> int:
    edited = parse_arguments(arguments.model_args)
    shared = {name: value for name, value in edited.items() if name in (*ModelSettings.names(), *_PEOPLE)}
    models = {"vanilla": {**shared, "method": "none"}, "edited": edited}
    if arguments.gold:
        models["gold"] = {**shared, "method": "none", **parse_arguments(arguments.gold)}
    if arguments.control:
        models["control"] = parse_arguments(arguments.control)
    if edited.get("method") == "none":
        raise SettingError("method=none forgets nobody, so that there is nothing to bring back: name a method.")
    # Imported here, after the arguments are known to be right: torch takes seconds.
    from lmms_manu.attacks.registry import attacks
    from lmms_manu.attacks.run import run as attack

    suite = attacks([name for name in arguments.suite.split(",") if name])
    for one in attack(models, suite, arguments.output, print):
        parts = (("back", one.recovered), ("base", one.base))
        shares = " ".join(f"{label} {value:.2f}" for label, value in parts if value is not None)
        print(f"{one.attack:32} {one.before:.3f} -> {one.after:.3f}  {shares}  {one.verdict}")
    return 0
