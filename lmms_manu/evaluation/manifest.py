"""The record of a folder of results, `run.json`: what was run, and what must not be mixed with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmms_manu.errors import DataError, SettingError
from lmms_manu.names import MANIFEST_FILE
from lmms_manu.report.results_file import read_results_file
from lmms_manu.report.unfinished_results import loss
from lmms_manu.versions import differences, installed

SCHEMA = 1


def new_manifest(asked: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a run that begins.

    Args:
        asked: `model_args`, `limit` and `protocol`.
        parts: entries of parts that an earlier call began and did not finish.
    """
    return {"schema": SCHEMA, **asked, "versions": installed(), "parts": parts}


def read_manifest(output: Path) -> dict[str, Any] | None:
    """The record in a folder of results, None if there is none.

    Raises:
        SettingError: a file of that name is something else, or damaged.
    """
    file = output / MANIFEST_FILE
    if not file.is_file():
        return None
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        known = None
    is_ours = isinstance(known, dict) and all(isinstance(known.get(name), dict) for name in ("model_args", "parts"))
    if not is_ours or known.get("schema") != SCHEMA:
        raise SettingError(
            f"output={str(output)!r} holds a {MANIFEST_FILE} that is damaged or none of this command's: "
            "name another folder; nothing is overwritten."
        )
    return dict(known)


def is_done(output: Path, part: str, manifest: Mapping[str, Any]) -> bool:
    """Whether the part ran to its end and all that it left is still there, and whole.

    A results file alone does not say so: its samples are written later, and may have been cut off.
    """
    entry = manifest["parts"].get(part, {})
    if entry.get("status") != "done":
        return False
    results = output / entry["results"]
    return results.is_file() and not losses(results)


def losses(results: Path) -> list[str]:
    """What is wrong with a results file and its samples, a sentence each; empty if they are there and whole."""
    try:
        return [reason for task in read_results_file(results).tasks if (reason := loss(task))]
    except DataError as error:
        return [str(error)]


def older_versions(part: str, manifest: Mapping[str, Any]) -> str:
    """How the versions that a part was run with differ from those installed; empty if they do not."""
    entry = manifest["parts"][part]
    return differences(entry.get("versions") or manifest.get("versions") or {}, installed())


def refuse_others(
    output: Path,
    what: str,
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    way_out: str = "name another folder, or remove this one",
) -> None:
    """Refuses to go on in a folder with other values than those its results have.

    Args:
        output: the folder.
        what: what the values are.
        before: those of the results, by name.
        now: those of this call.
        way_out: what to do about it.

    Raises:
        SettingError: they differ.
    """
    if before != now:
        raise SettingError(f"output={str(output)!r} holds results of {what} ({_differences(before, now)}): {way_out}.")


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    def shown(value: Any) -> str:
        return "unset" if value is None else str(value)

    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    return "; ".join(f"{name}={shown(before.get(name))} then, {shown(now.get(name))} now" for name in names)
