"""The versions of libraries that results were made with, and what is said where different ones meet.

`lmms-manu evaluate` records them for each of its parts in `run.json`, every leaf of MLLMU-Bench in the results file
itself. The harness records its own version too, but not where it was installed from a package index.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmms_manu.benchmarks.registry import find_task
from lmms_manu.names import MANIFEST_FILE
from lmms_manu.report.problems import Problem
from lmms_manu.report.records import edit_of, protocol_of
from lmms_manu.report.results_file import ResultsFile

_UNKNOWN = ("", "unknown", "unknown@unknown")


def versions_of_file(results: ResultsFile) -> dict[str, str]:
    """The versions that a results file was made with, by package, as far as anything tells."""
    leaves = (protocol_of(task).get("versions") for task in results.tasks)
    leaf = next((versions for versions in leaves if isinstance(versions, Mapping)), {})
    harness = {} if results.harness_version in _UNKNOWN else {"lmms-eval": results.harness_version}
    edit = edit_of(results)
    # The record of an edit may be older than the evaluation: it counts where nothing else tells.
    listed = {**(edit.versions if edit is not None else {}), **leaf, **_of_part(results), **harness}
    return {str(name): str(version) for name, version in listed.items()}


def versions_of_files(files: Iterable[ResultsFile]) -> dict[str, str]:
    """The versions that the files of a run were made with; of several, all of them."""
    found: dict[str, set[str]] = collections.defaultdict(set)
    for file in files:
        for name, version in versions_of_file(file).items():
            found[name].add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def mixed_within(name: str, files: Sequence[ResultsFile]) -> list[Problem]:
    """One problem where the results of one run were made with different versions."""
    listed = different({_title(file): versions_of_file(file) for file in files})
    return (
        [Problem("versions", f"{name}: its results were made with different versions of {listed}.")] if listed else []
    )


def mixed_between(versions: Mapping[str, Mapping[str, str]]) -> list[Problem]:
    """One problem where runs, given by name, were made with different versions."""
    listed = different(versions)
    return [Problem("versions", f"the runs used different versions of {listed}.")] if listed else []


def different(versions: Mapping[str, Mapping[str, str]]) -> str:
    """The packages whose versions differ, with who has which: `torch (2.9 in a, 2.10 in b)`; empty if none does."""
    listed = []
    for package in dict.fromkeys(package for table in versions.values() for package in table):
        found: dict[str, list[str]] = collections.defaultdict(list)
        for name, table in versions.items():
            if package in table:
                found[table[package]].append(name)
        if len(found) > 1:
            listed.append(f"{package} ({'; '.join(f'{version} in {_few(names)}' for version, names in found.items())})")
    return ", ".join(listed)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _title(file: ResultsFile) -> str:
    """What a results file is about: the group of its first task."""
    first = next((task.name for task in file.tasks), file.path.name)
    known = find_task(first)
    return known.group if known else first


def _of_part(results: ResultsFile) -> Mapping[str, Any]:
    """What `run.json` above a results file says of the part that it is of."""
    for folder in results.folders:
        manifest = _read(folder / MANIFEST_FILE)
        parts = manifest.get("parts")
        for entry in parts.values() if isinstance(parts, Mapping) else ():
            if isinstance(entry, Mapping) and (folder / str(entry.get("results"))).resolve() == results.path.resolve():
                versions = entry.get("versions") or manifest.get("versions")
                return versions if isinstance(versions, Mapping) else {}
    return {}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
