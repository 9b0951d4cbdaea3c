"""Shows what a mask prunes, or what statistics hold, by layer and tower.

FILE is a mask (mask.safetensors, the folder of a pruned checkpoint, or a hub repository) or the statistics that
`lmms-manu measure --output` wrote. For statistics, the method's settings say which neurons would be pruned.

examples:
  lmms-manu inspect pruned
  lmms-manu inspect statistics.safetensors --recipe released --prune-rate 10 --plot plots
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lmms_manu.cli.arguments import add_settings, chosen_method, given_settings
from lmms_manu.errors import SettingError
from lmms_manu.files import refuse_unwritable
from lmms_manu.methods.registry import method_class
from lmms_manu.methods.settings import DEFAULT_METHOD
from lmms_manu.settings import from_arguments
from lmms_manu.terminal import print_table, table_console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a mask or statistics")
    parser.add_argument(
        "--plot", type=Path, metavar="DIR", help="draw activation distributions, shares per layer and scores there"
    )
    parser.add_argument("--format", choices=("png", "svg", "pdf"), default="png", help="of the drawings (default png)")
    method = chosen_method(parser)
    parser.add_argument("--method", help=f"whose file it is (default {DEFAULT_METHOD})")
    add_settings(parser, f"what {method.name} would choose (for statistics)", method.config_class)


def run(arguments: argparse.Namespace) -> int:
    method = method_class(arguments.chosen_method)
    given = given_settings(arguments, method.config_class)
    (config,) = from_arguments(given, method.config_class)
    if arguments.plot is not None:
        refuse_unwritable("plot", arguments.plot)
    asked = method(config)
    inspection = asked.inspect(arguments.file)
    if given and inspection.is_decided:
        raise SettingError(
            f"{arguments.file} is a mask, whose neurons are chosen already: leave --{' and --'.join(given)} out, or "
            "name statistics."
        )
    console = table_console(200)
    for table in inspection.tables():
        print_table(table, console)
    if arguments.plot is not None:
        for path in asked.draw(inspection, arguments.plot, arguments.format):
            print(f"wrote {path}")
    return 0
