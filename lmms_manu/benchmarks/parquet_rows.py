"""Rows written as the hub keeps them: a parquet file that tells `datasets` its columns."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import datasets
import pyarrow
from pyarrow import parquet

_ROWS_IN_A_GROUP = 32


def write_rows(path: Path, features: datasets.Features, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes a parquet file, and the folders above it.

    The bytes are the same for the same rows with the same version of pyarrow, which writes its version into them.

    Args:
        path: the file.
        features: the columns.
        rows: values by column; a picture is an object of Pillow's, or its file as `{"bytes": ..., "path": ...}`. They
            are taken a few at a time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    schema, source = features.arrow_schema, iter(rows)
    # Uncompressed, because compressors change their output from version to version.
    with parquet.ParquetWriter(path, schema, compression="none", store_schema=True) as writer:
        while group := [features.encode_example(dict(row)) for row in itertools.islice(source, _ROWS_IN_A_GROUP)]:
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))
