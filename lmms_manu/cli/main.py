"""The command `lmms-manu`: one module of this package for each subcommand, imported only when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from lmms_manu._version import __version__
from lmms_manu.cli.parser import OptionParser
from lmms_manu.errors import ManuError, nearest

WRONG_INPUT = 2

# The help texts stand here, not in the modules, so that `lmms-manu --help` imports none of them.
COMMANDS = {
    "demo": "make a tiny model forget people and print what it forgot and kept",
    "lay-out": "put the embedded models, their data and stand-ins into a folder, under the real names",
    "evaluate": "run a suite of benchmarks through lmms-eval, resuming what is missing",
    "sweep": "evaluate several prune rates and recipes from one measurement",
    "compare": "hold methods against each other at the same cost, each at its best strength",
    "report": "turn results into tables, plots and a page",
    "validity": "say whether a model knows the people to forget, and which metrics can tell",
    "gate": "check results against conditions; the exit code says whether they hold",
    "plan": "say what an edit takes of GPUs, memory and hours, from a configuration alone",
    "measure": "measure a model's neurons on forget and retain data",
    "edit": "write a checkpoint that was edited by any method and loads without this package",
    "push": "publish an edited checkpoint or an edit on the hub, with what its evaluation found",
    "prune": "the same by MANU: write a pruned checkpoint",
    "finetune": "teach a base model the people: all of them, or those to retain alone",
    "inspect": "show what a mask prunes or what statistics hold",
    "attack": "try to get back what a model was made to forget",
    "residual": "read off each layer how well a model still knows the answers",
    "cache": "list or clean the cached statistics and judgements",
    "data": "check tables of your own people, or write a small example",
    "dataset-stats": "count people, questions and pictures of an MLLMU-Bench copy",
    "make-dataset": "make a dataset of fictitious people in the layout of MLLMU-Bench or CLEAR",
    "train-tiny": "train the embedded tiny models again",
}


class Command(Protocol):
    """What the module of a subcommand offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `lmms-manu`; returns the exit code.

    0: done; 1: a condition or a part of an evaluation failed; 2: the command or its input is wrong; 3: there is nothing
    to report or judge; 130: interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["--version"], ["-V"]):
        print(f"lmms-manu {__version__}")
        return 0
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if words else 2
    name, *rest = words
    if name not in COMMANDS:
        print(f"lmms-manu: there is no command {name!r}.{nearest(name, COMMANDS)}\n\n{_overview()}", file=sys.stderr)
        return 2
    command = cast(Command, importlib.import_module(f"lmms_manu.cli.{name.replace('-', '_')}"))
    parser = OptionParser(
        prog=f"lmms-manu {name}",
        description=(command.__doc__ or COMMANDS[name]).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # What was typed decides which options there are: those of the method that it names.
    parser.words = rest
    try:
        command.add_arguments(parser)
        arguments = parser.parse_args(rest)
        return command.run(arguments)
    except (ManuError, OSError) as error:  # files that cannot be written or read name themselves
        print(f"lmms-manu {name}: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, ManuError) else WRONG_INPUT
    except KeyboardInterrupt:
        print(f"lmms-manu {name}: interrupted", file=sys.stderr)
        return 130


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        ["usage: lmms-manu COMMAND [-h] ...", "", *lines, "", "`lmms-manu COMMAND -h` explains a command."]
    )


if __name__ == "__main__":
    sys.exit(main())
