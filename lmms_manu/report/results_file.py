"""Reads what lmms-eval leaves on disk: `*_results.json` and, beside it, `*_samples_TASK.jsonl`."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmms_manu.errors import DataError, NoResultsError

RESULTS_SUFFIX = "_results.json"
_STAMP = "%Y%m%d_%H%M%S"
_LEVELS = 3


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """What one results file says about one task.

    Args:
        name: the task.
        values: metrics of the harness's filter `none`, and those of other filters as `metric,filter`.
        unusable: the metrics whose value is no finite number, as the file has it.
        version: the task's version.
        original: number of questions of the task, None where the file does not say.
        effective: number of questions answered, less where the harness's `--limit` was given.
        config: the task's configuration as the harness dumped it.
        samples: the samples file, None where there is none.
    """

    name: str
    values: Mapping[str, float]
    unusable: Mapping[str, str]
    version: str
    original: int | None
    effective: int | None
    config: Mapping[str, Any]
    samples: Path | None

    @property
    def is_partial(self) -> bool:
        return self.original is not None and self.effective is not None and self.effective < self.original

    @property
    def is_unscored(self) -> bool:
        """Whether the answers were only kept, as the harness's `--predict_only` does."""
        return "bypass" in self.values or not (self.values or self.unusable)


@dataclasses.dataclass(frozen=True)
class ResultsFile:
    """One results file of the harness.

    Args:
        path: the file.
        when: the harness's time stamp, which sorts by time.
        model: the harness's name of the model.
        arguments: the model's arguments.
        tasks: the leaf tasks in it.
        harness_version: of lmms-eval.
        config: the harness's own record of the run.
    """

    path: Path
    when: str
    model: str
    arguments: Mapping[str, str]
    tasks: tuple[TaskResult, ...]
    harness_version: str
    config: Mapping[str, Any]

    @property
    def evaluated(self) -> str:
        """When, in UTC, such as `2026-11-20T19:24Z`; the harness's stamp where its time zone is not known."""
        arguments = self.config.get("resolved_cli_args")
        zone = arguments.get("timezone") if isinstance(arguments, Mapping) else None
        try:
            local = datetime.strptime(self.when, _STAMP).replace(tzinfo=zoneinfo.ZoneInfo(str(zone)))
        except (ValueError, zoneinfo.ZoneInfoNotFoundError):
            return self.when
        return f"{local.astimezone(UTC):%Y-%m-%dT%H:%MZ}"

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folder of the file and the next ones above it, up to that of all parts of an evaluation."""
        return tuple(self.path.parents)[:_LEVELS]

    @property
    def checkpoint(self) -> str:
        """The folder or hub name of the weights; empty if the model's default was taken."""
        return self.arguments.get("pretrained") or self.arguments.get("model") or ""


def find_results_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The results files anywhere below `folder`, oldest first; `folder` may be one such file.

    Raises:
        DataError: there is no such folder.
        NoResultsError: it holds none.
    """
    place = Path(folder)
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DataError(f"{place}: there is no such folder of results.")
    files = sorted(place.glob(f"**/*{RESULTS_SUFFIX}"), key=lambda file: (file.name, str(file)))
    if not files:
        older = next(place.glob("**/results.json"), None)
        if older is not None:
            raise NoResultsError(
                f"{place} holds results of an old lmms-eval ({older}), which names its files otherwise and cannot be "
                "compared with what today's gives: evaluate the model again."
            )
        raise NoResultsError(
            f"{place} holds no *{RESULTS_SUFFIX}: the harness writes one at the end of an evaluation, if it was given "
            "--output_path. It exits with 0 even when an evaluation fails, so look at the end of its log."
        )
    return files


def read_results_file(path: str | os.PathLike[str]) -> ResultsFile:
    """Reads one `*_results.json` of the harness.

    Raises:
        DataError: the file is damaged or is not one of the harness's.
    """
    file = Path(path)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as JSON ({error}): was the evaluation stopped while writing?") from None
    if not isinstance(content, dict) or not isinstance(content.get("results"), dict):
        raise DataError(f"{file} is not a results file of lmms-eval: it has no table 'results'.")
    config = _table(file, content, "config")
    tasks = tuple(_task(file, name, content) for name in _table(file, content, "configs") or content["results"])
    return ResultsFile(
        path=file,
        when=str(content.get("date") or file.name.removesuffix(RESULTS_SUFFIX)),
        model=str(config.get("model") or content.get("model_source") or ""),
        arguments=_arguments(config.get("model_args")),
        tasks=tasks,
        harness_version=str(content.get("lmms_eval_version") or "unknown"),
        config=config,
    )


def _task(file: Path, name: str, content: Mapping[str, Any]) -> TaskResult:
    counts = _table(file, content, "n-samples", name)
    values, unusable = _values(_table(file, content, "results", name))
    return TaskResult(
        name=name,
        values=values,
        unusable=unusable,
        version=str(_table(file, content, "versions").get(name, "unknown")),
        original=_count(file, counts, "original"),
        effective=_count(file, counts, "effective"),
        config=_table(file, content, "configs", name),
        samples=_samples_file(file, name),
    )


def _table(file: Path, content: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The table within tables that `names` lead to; empty where the file does not have it.

    Raises:
        DataError: something else is in its place.
    """
    for depth, name in enumerate(names, 1):
        found = content.get(name)
        if found is not None and not isinstance(found, dict):
            place = ", ".join(map(repr, names[:depth]))
            raise DataError(f"{file} is not a results file of lmms-eval: {place} is {found!r:.60}, not a table.")
        content = found or {}
    return content


def _count(file: Path, counts: Mapping[str, Any], name: str) -> int | None:
    count = counts.get(name)
    if count is not None and not isinstance(count, int):
        raise DataError(
            f"{file} is not a results file of lmms-eval: {name} is {count!r:.60}, not a number of questions."
        )
    return count


def _values(table: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics of a task, and those whose value is no finite number."""
    values: dict[str, float] = {}
    unusable: dict[str, str] = {}
    for key, value in table.items():
        metric, _, filtered = key.partition(",")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or "_stderr" in metric:
            continue
        name = metric if filtered in ("", "none") else key
        number = finite(value)
        if number is None:
            unusable[name] = f"{value!s:.20}"
        else:
            values[name] = number
    return values, unusable


def finite(value: float) -> float | None:
    """A number as a float; None for NaN, for infinity, and for a whole number that no float can hold."""
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _samples_file(results: Path, task: str) -> Path | None:
    file = results.with_name(f"{results.name.removesuffix(RESULTS_SUFFIX)}_samples_{task}.jsonl")
    return file if file.is_file() else None


def _arguments(given: Any) -> dict[str, str]:
    """The model's arguments, which the harness records as they were typed or as a table."""
    if isinstance(given, Mapping):
        return {str(name): str(value) for name, value in given.items()}
    parts = (part.partition("=") for part in str(given or "").split(",") if part.strip())
    return {name.strip(): value.strip() for name, _, value in parts}
