"""YAML files that a user writes, read with errors that name the file."""

from __future__ import annotations

import os
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from lmms_manu.errors import DataError

_MERGE = "tag:yaml.org,2002:merge"


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """What a YAML file holds.

    Raises:
        DataError: there is no such file, or it cannot be read or is not YAML, or a table has the same key twice.
    """
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read as YAML: {error}") from None


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """YAML without the same key twice in a table, of which PyYAML takes the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key!r} stands twice in one table: leave out one of the two",
                    problem_mark=key_node.start_mark,
                )
            seen.add(key if isinstance(key, Hashable) else repr(key))
        table: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return table
