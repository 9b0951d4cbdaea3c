"""Shows what a mask prunes, or what statistics hold, by layer and tower.

FILE is a mask (mask.safetensors, the folder of a pruned checkpoint, or a hub repository) or the statistics that
`lmms-manu measure --output` wrote. For statistics, the recipe and the rate say which neurons would be pruned.

examples:
  lmms-manu inspect pruned/mask.safetensors
  lmms-manu inspect statistics.safetensors --recipe released --prune_rate 10 --plot plots
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lmms_manu.cli.arguments import add_settings, given_settings
from lmms_manu.errors import SettingError
from lmms_manu.files import refuse_unwritable
from lmms_manu.methods.manu.config import ManuSettings
from lmms_manu.settings import from_arguments
from lmms_manu.terminal import print_table, table_console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a mask or statistics")
    parser.add_argument(
        "--plot", type=Path, metavar="DIR", help="draw activation distributions, shares per layer and scores there"
    )
    parser.add_argument("--format", choices=("png", "svg", "pdf"), default="png", help="of the drawings (default png)")
    left_out = ("steps", "save_mask", "mask", "prune_mode")
    add_settings(parser, "the neurons that would be pruned (for statistics)", ManuSettings, without=left_out)


def run(arguments: argparse.Namespace) -> int:
    given = given_settings(arguments, ManuSettings)
    (settings,) = from_arguments(given, ManuSettings)
    if arguments.plot is not None:
        refuse_unwritable("plot", arguments.plot)
    # Imported here so that a mistyped option is answered at once: torch takes seconds.
    from lmms_manu.methods.manu.inspection import inspect_file

    inspection = inspect_file(arguments.file, settings)
    if given and inspection.choice is None:
        raise SettingError(
            f"{arguments.file} is a mask, whose neurons are chosen already: leave --{' and --'.join(given)} out, or "
            "name statistics."
        )
    console = table_console(200)
    for table in inspection.tables():
        print_table(table, console)
    if arguments.plot is not None:
        from lmms_manu.methods.manu.plots import draw

        for path in draw(inspection, arguments.plot, arguments.format):
            print(f"wrote {path}")
    return 0
