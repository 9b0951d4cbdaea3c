"""Shows what is understood of your own people's tables, or writes a small example.

examples:
  lmms-manu data check forget=people.jsonl retain=others.jsonl
  lmms-manu data example --output example
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lmms_manu.benchmarks.own.check import describe
from lmms_manu.benchmarks.own.example_data import write_example
from lmms_manu.benchmarks.own.files import Files
from lmms_manu.benchmarks.own.people import read_people
from lmms_manu.files import new_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="show what is understood of tables")
    check.add_argument("tables", nargs="+", metavar="FILE", help="a table, as SET=FILE; without SET, the one to forget")
    check.add_argument("--columns", help="what the tables call the columns, such as 'subject:name;answer:text'")
    check.add_argument("--images", help="the folder that relative paths of pictures start at")
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
    lines, is_usable = describe(read_people(Files.parse(",".join(words))))
    print("\n".join(lines))
    return 0 if is_usable else 2
