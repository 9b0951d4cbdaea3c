"""Tries to get back what a model was made to forget: gone, or only hidden?

Each attack is made on the edited model and on gold, which never met the people; what gold gives is the base rate. What
is done is kept in the output folder, and the same command goes on. Name the folder of the model's results, and
`lmms-manu report` shows what came of it.

examples:
  lmms-manu attack --model-args method=prompting,forget_ratio=10 --output attacks \\
    --gold pretrained=MLLMMU/LLaVA_Gold_10,processor=llava-hf/llava-1.5-7b-hf
  lmms-manu attack --model-args pretrained=edited,method=none --vanilla pretrained=MLLMMU/LLaVA_Vanilla --output attacks
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmms_manu.errors import SettingError
from lmms_manu.files import refuse_unwritable
from lmms_manu.methods.record import UNEDITED
from lmms_manu.methods.registry import settings_classes
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import parse_arguments
from lmms_manu.terminal import table_console

_OF_EDITS = ("method", "edit", "save_edit", "edit_cache")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model_args", default="", help="arguments of the edited model, as for lmms-eval")
    parser.add_argument("--gold", default="", help="arguments of the model that never met the people, added to these")
    parser.add_argument("--control", default="", help="arguments of a control of the same size, in place of these")
    parser.add_argument(
        "--vanilla",
        default="",
        help="arguments of the model before unlearning, added to these, for an edited checkpoint (default: the "
        "checkpoint without the edit)",
    )
    parser.add_argument("--suite", default="", help="attacks, separated by commas; all if left out")
    parser.add_argument(
        "--settings",
        action="append",
        default=[],
        metavar="ATTACK:ARGUMENTS",
        help="settings of an attack, such as relearning:learning_rate=2e-5,tuning=lora (that of a training)",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")


def run(arguments: argparse.Namespace) -> int:
    models = _models(arguments)
    refuse_unwritable("output", arguments.output)
    # Imported here, after the arguments are known to be right: torch takes seconds.
    from lmms_manu.attacks.registry import attacks
    from lmms_manu.attacks.run import run as run_attacks
    from lmms_manu.report.formats.attack_tables import attack_table
    from lmms_manu.report.formats.terminal import show_table

    settings = {
        attack: parse_arguments(given) for attack, _, given in (one.partition(":") for one in arguments.settings)
    }
    suite = attacks([name for name in arguments.suite.split(",") if name], settings)
    results = run_attacks(models, suite, arguments.output, print)
    show_table(attack_table("gone or hidden?", {"edited": results.outcomes}), table_console())
    return 0


def _models(arguments: argparse.Namespace) -> dict[str, Mapping[str, Any]]:
    """The arguments of each model.

    Raises:
        SettingError: the edited model is an unedited one.
    """
    edited = parse_arguments(arguments.model_args)
    if edited.get("method") == UNEDITED and not arguments.vanilla:
        raise SettingError(
            f"method={UNEDITED} forgets nobody, so that there is nothing to bring back: name a method; for a "
            "checkpoint that was written edited name the one before by --vanilla pretrained=CHECKPOINT."
        )
    of_people = [name for name in settings_classes(edited)[0].names() if name not in _OF_EDITS]
    shared = {name: value for name, value in edited.items() if name in (*ModelSettings.names(), *of_people)}
    unedited = {**shared, "method": UNEDITED}
    models: dict[str, Mapping[str, Any]] = {
        "vanilla": {**unedited, **parse_arguments(arguments.vanilla)},
        "edited": edited,
    }
    if arguments.gold:
        models["gold"] = {**unedited, **parse_arguments(arguments.gold)}
    if arguments.control:
        models["control"] = parse_arguments(arguments.control)
    return models
