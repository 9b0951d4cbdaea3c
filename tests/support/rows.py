"""Datasets with rows as a test wants them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyarrow import Table, parquet

from lmms_manu.benchmarks.mllmu.schema import FEATURES

Rows = list[dict[str, Any]]


def rewrite(folder: Path, config: str, change: Callable[[Rows], Rows | None]) -> None:
    """Has `change` edit the rows of a configuration in place, or return others."""
    path = next((folder / config).glob("*.parquet"))
    rows = parquet.read_table(path).to_pylist()
    changed = change(rows)
    schema = FEATURES[config].arrow_schema
    parquet.write_table(Table.from_pylist(rows if changed is None else changed, schema=schema), path)


def altered(folder: Path, copy: Path, **changes: Callable[[Rows], Rows | None]) -> Path:
    """A copy of the dataset at `folder` with the configurations named by `changes` rewritten."""
    shutil.copytree(folder, copy)
    for config, change in changes.items():
        rewrite(copy, config, change)
    return copy
