"""Puts the embedded models, their data and stand-ins of the stock benchmarks into a folder, under the real names.

In that folder every command runs as it would with the real checkpoint and dataset, `lmms-eval --model manu_pruned
--tasks mllmu_forget` among them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lmms_manu.files import refuse_unwritable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, required=True, help="the folder; what it holds under those names is kept"
    )


def run(arguments: argparse.Namespace) -> int:
    refuse_unwritable("output", arguments.output)
    # Imported here: `--help` needs neither pyarrow nor Pillow.
    from lmms_manu import embedded

    embedded.lay_out(arguments.output)
    print(f"{arguments.output} holds the embedded models, their data and stand-ins of the stock benchmarks.")
    print("In there: lmms-eval --model manu_pruned --tasks mllmu_forget,mmmu")
    return 0
