"""Writes the tables that the code knows better into the README and the docs.

They stand between `<!-- NAME -->` and `<!-- end -->`.

    python scripts/fill_docs.py [--check]

With `--check` nothing is written; the exit code is 1 where a file would change.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lmms_manu import variables
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.cli.main import COMMANDS
from lmms_manu.methods.registry import METHODS, method_class
from lmms_manu.methods.settings import UnlearningSettings
from lmms_manu.methods.trained.config import ForgettingSettings
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import markdown_table
from lmms_manu.training.settings import TrainingSettings

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import gpu_table  # noqa: E402  # of that folder, which is no package
import large_models  # noqa: E402

SECTION = re.compile(r"(<!-- (?P<name>[\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def own_arguments() -> str:
    """The arguments that single methods add to those of every training."""

    def row(whose: str, field: dataclasses.Field[Any]) -> str:
        default = "" if field.default is None else f"`{field.default}`"
        return f"| {whose} | `{field.name}` | {default} | {field.metadata['help']} |"

    shared, every = TrainingSettings.names(), ForgettingSettings.names()
    rows = ["| method | argument | default | meaning |", "|---|---|---|---|"]
    rows += [
        row("all that forget", field) for field in dataclasses.fields(ForgettingSettings) if field.name not in shared
    ]
    for name in METHODS:
        config = method_class(name).config_class
        if issubclass(config, TrainingSettings):
            rows += [row(f"`{name}`", field) for field in dataclasses.fields(config) if field.name not in every]
    return "\n".join(rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "model arguments": lambda: markdown_table(ModelSettings, UnlearningSettings, AnsweringSettings),
    **{
        f"arguments of {name}": functools.partial(markdown_table, method_class(name).config_class)
        for name in METHODS
        if method_class(name).config_class.names()
    },
    "training arguments": lambda: markdown_table(TrainingSettings),
    "arguments of methods that train": own_arguments,
    "environment variables": lambda: "\n".join(
        ["| variable | meaning |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in variables.HELP.items())]
    ),
    "large models": lambda: "\n".join(large_models.rows()),
    "gpu figures": lambda: gpu_table.table(ROOT / "benchmarks" / "gpu.json"),
    "commands": lambda: "\n".join(
        [
            "| command | what for |",
            "|---|---|",
            *(f"| `lmms-manu {name}` | {text} |" for name, text in COMMANDS.items()),
        ]
    ),
}


def filled(text: str) -> str:
    """`text` with every section that the code knows written anew; other sections stay."""

    def section(match: re.Match[str]) -> str:
        table = TABLES.get(match["name"])
        return f"{match[1]}\n{table()}\n\n{match[3]}" if table else match[0]

    return SECTION.sub(section, text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where something would change")
    check = parser.parse_args().check
    stale = False
    for file in [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        before = file.read_text(encoding="utf-8")
        after = filled(before)
        if before == after:
            continue
        stale = True
        print(f"{file.relative_to(ROOT)} {'is stale: run scripts/fill_docs.py' if check else 'written'}")
        if not check:
            file.write_text(after, encoding="utf-8")
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main())
