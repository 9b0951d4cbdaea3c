"""Shows what is understood of your own people's tables, or writes a small example.

examples:
  lmms-manu data check forget=people.jsonl retain=others.jsonl
  lmms-manu data check people.csv --pretrained llava-hf/llava-1.5-7b-hf
  lmms-manu data example --output example
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lmms_manu.benchmarks.own.check import describe
from lmms_manu.benchmarks.own.example_data import write_example
from lmms_manu.benchmarks.own.files import Files
from lmms_manu.benchmarks.own.people import read_people
from lmms_manu.cli.arguments import add_settings, given_settings
from lmms_manu.files import new_folder
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import from_arguments

_OF_THE_MODEL = ("pretrained", "processor", "revision", "trust_remote_code")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="show what is understood of tables")
    check.add_argument("tables", nargs="+", metavar="FILE", help="a table, as SET=FILE; without SET, the one to forget")
    check.add_argument("--columns", help="what the tables call the columns, such as 'subject:name;answer:text'")
    check.add_argument("--images", help="the folder that relative paths of pictures start at")
    without = set(ModelSettings.names()) - set(_OF_THE_MODEL)
    add_settings(check, "a model whose context the questions have to fit into", ModelSettings, without)
    example = actions.add_parser("example", help="write a small example")
    example.add_argument("--output", type=Path, required=True, help="the folder to make")


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "example":
        folder = write_example(new_folder("output", arguments.output))
        print(f"wrote {folder}: people.csv, others.csv and their pictures")
        return 0
    first, *others = arguments.tables
    words = [first if "=" in first else f"forget={first}", *others]
    words += [f"{name}={value}" for name in ("columns", "images") if (value := getattr(arguments, name))]
    given = given_settings(arguments, ModelSettings)
    (model,) = from_arguments(given, ModelSettings)
    people = read_people(Files.parse(",".join(words)))
    lines, is_usable = describe(people)
    print("\n".join(lines))
    if not given:
        return 0 if is_usable else 2
    # Imported here: torch takes seconds, and is needed for this alone.
    from lmms_manu.benchmarks.own.lengths import describe_lengths

    lines, fits = describe_lengths(people, model)
    print("\n".join(lines))
    return 0 if is_usable and fits else 2
