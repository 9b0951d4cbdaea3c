"""A file of runs for a sweep: models of several methods and checkpoints, for one table."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lmms_manu.errors import SettingError, one_of
from lmms_manu.yaml_files import read_yaml

_KEYS = ("runs", "model_args", "control")


@dataclasses.dataclass(frozen=True)
class RunsFile:
    """What a file asks for.

    Args:
        runs: by name the values of each setting; one with several is swept.
        model_args: settings that all runs share.
        control: random controls of each run that has such; None for none.
    """

    runs: Mapping[str, Mapping[str, tuple[str, ...]]]
    model_args: Mapping[str, str] = dataclasses.field(default_factory=dict)
    control: int | None = None


def read_runs_file(path: str | Path) -> RunsFile:
    """Reads such a file.

    Raises:
        DataError: it cannot be read, or is not YAML.
        SettingError: it holds something else.
    """
    content = read_yaml(path)
    if not isinstance(content, Mapping) or not isinstance(content.get("runs"), Mapping) or not content["runs"]:
        raise SettingError(f"{path} holds no runs: it needs a table `runs` with the settings of each by its name.")
    for key in content:
        if key not in _KEYS:
            raise one_of(f"{path}: key", key, _KEYS)
    control = content.get("control")
    if control is not None and (not isinstance(control, int) or isinstance(control, bool)):
        raise SettingError(f"{path}: control={control!r} is no number of random controls, such as 3.")
    runs = {str(name): _settings(settings, f"{path}: runs.{name}") for name, settings in content["runs"].items()}
    shared = _settings(content.get("model_args") or {}, f"{path}: model_args")
    if several := [name for name, values in shared.items() if len(values) > 1]:
        raise SettingError(f"{path}: model_args.{several[0]} has several values: only a run's settings are swept.")
    return RunsFile(runs, {name: value for name, (value,) in shared.items()}, control)


def _settings(table: Any, what: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(table, Mapping):
        raise SettingError(f"{what} is no table of settings, such as {{method: npo, epochs: 3}}.")
    return {str(name): tuple(_values(value, f"{what}.{name}")) for name, value in table.items()}


def _values(value: Any, what: str) -> Iterable[str]:
    listed = value if isinstance(value, list) else [value]
    if not listed or any(isinstance(each, Mapping | list) for each in listed):
        raise SettingError(f"{what}={value!r} is neither a value nor a list of values.")
    return map(str, listed)
