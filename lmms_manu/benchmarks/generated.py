"""Task files that a script writes: one can see what drifted from the script, and have it written again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

HEADER = "# Written by generate.py: change that, not this.\n"


METRIC = """\
  - metric: {metric}
    aggregation: {aggregation}
    higher_is_better: {higher}
"""

COLUMN = """\
  - metric: {metric}
    aggregation: !function utils.mean_of_modalities
    weight_by_size: false
"""

GROUP = """\
group: {name}
task:
{tasks}
{columns}metadata:
  version: {version}
"""


def drift(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """The names of task files in `folder` that are missing, differ from what is `wanted`, or are not wanted at all.

    Args:
        folder: where they lie.
        wanted: the text of each file by its name.
    """
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*yaml")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def main(folder: Path, wanted: Mapping[str, str], description: str | None, arguments: Sequence[str] | None) -> int:
    """The command of a `generate.py`: writes the files, or says with `--check` which of them would change."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a file would change")
    drifted = drift(folder, wanted)
    if parser.parse_args(arguments).check:
        for name in drifted:
            print(f"{name} differs from what generate.py writes", file=sys.stderr)
        return 1 if drifted else 0
    for name in drifted:
        (folder / name).unlink(missing_ok=True)
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0
