"""Reads off each layer how well a model still knows the answers about the people to forget and about the others.

Each layer's hidden state goes through the model's final norm and output head; what is written is the probability of
the gold answer's tokens. Put the file beside the results of the same model (the default name in the results' folder),
and `lmms-manu report` draws it relative to the baseline's.

examples:
  lmms-manu residual --method none --forget-ratio 10 --output results/vanilla/residual.json
  lmms-manu residual --recipe ratio --prune-rate 10 --forget-ratio 10 --output results/ratio-10/residual.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lmms_manu.cli.arguments import add_method_settings, given_settings
from lmms_manu.files import refuse_existing
from lmms_manu.methods.registry import method_class
from lmms_manu.methods.settings import UnlearningSettings
from lmms_manu.models.settings import ModelSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the file to write; must be new")
    add_method_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    config = method_class(arguments.chosen_method).config_class
    given = given_settings(arguments, ModelSettings, UnlearningSettings, config)
    refuse_existing("output", arguments.output)
    # Imported here, after the arguments are known to be right: torch takes seconds.
    from lmms_manu.methods.data import load_data
    from lmms_manu.methods.unlearn import plan
    from lmms_manu.probing.logit_lens import measure_residual

    request = plan(given)
    data = request.data or load_data(request.unlearning)
    checkpoint, record = request.load()
    measure_residual(checkpoint, data, record).save(arguments.output)
    print(record.summary())
    print(f"wrote {arguments.output}")
    return 0
