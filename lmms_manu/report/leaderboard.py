"""A file that collects runs over time and places: append-only, mergeable, rendered as a ranked table."""

from __future__ import annotations

import copy
import datetime
import getpass
import hashlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock

from lmms_manu.benchmarks.base import MODALITIES
from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, get_benchmark, names
from lmms_manu.errors import DataError, SettingError, nearest
from lmms_manu.files import write_json
from lmms_manu.methods.record import PARAMETERS
from lmms_manu.report.cells import Cell, Report, Row, Section
from lmms_manu.report.derived import derived_by_name, derived_of
from lmms_manu.report.formats.json_report import number_entry, numbers, run_entry
from lmms_manu.report.formats.markdown import escape
from lmms_manu.report.formats.numbers import DASH, on_scale, value_digits, value_text
from lmms_manu.report.frontiers import NOT_REACHED, not_reached
from lmms_manu.report.leaderboard_published import PARTS, Published, together
from lmms_manu.report.leaderboard_published import render as render_published
from lmms_manu.report.metrics import MEAN, columns_by_name
from lmms_manu.report.naming import with_size
from lmms_manu.report.provenance import different
from lmms_manu.versions import installed_version

SCHEMA = "lmms-manu/leaderboard"
VERSION = 1
DEFAULT_SCORE = "share_forgotten"
BUDGET = 5.0
"""Points of 100 that may be lost on what is to be kept; who loses more has no rank."""

_HEADING = "# Leaderboard\n\nRanked by "
_PACKAGES = ("lmms-manu", "lmms-eval", "torch", "transformers")
# What tells who appended a result and under which name says nothing about the result itself.
_ABOUT_APPENDING = ("id", "who", "added", "name", "reported_with")

Entry = dict[str, Any]


def entries_of(report: Report, who: str | None = None) -> list[Entry]:
    """The runs of a report as entries, one for each run and forget ratio.

    Args:
        report: the report.
        who: whose results they are; the user's login name by default.
    """
    author = who or _login()
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    versions = {name: _version(name) for name in _PACKAGES} | {"python": platform.python_version()}
    return [
        _entry(section, row, {"who": author, "added": now, "reported_with": versions})
        for section in report.sections
        for row in section.rows
        if row.run is not None
    ]


def append(
    path: str | Path, entries: Iterable[Entry], merge: Iterable[str | Path] = (), published: Iterable[Published] = ()
) -> list[Entry]:
    """Adds entries to a leaderboard file, and all that other files hold; makes the file if there is none.

    What stands in the file is never changed; an entry that it already holds is not added again. Several processes may
    append at the same time.

    Args:
        path: the leaderboard's JSON file.
        entries: the new entries.
        merge: other leaderboard files.
        published: rows of publications, which are shown and not ranked.

    Returns:
        All entries of the file.

    Raises:
        DataError: one of the files is not a leaderboard of a known version.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    others = [(read(other), read_published(other)) for other in merge]
    with filelock.FileLock(f"{target}.lock"):
        known = [(read(target), read_published(target))] if target.exists() else []
        own, shown = zip(*known, *others, (list(entries), list(published)), strict=True)
        combined, rows = union(*own), together(*shown)
        content = {"schema": SCHEMA, "version": VERSION, "entries": combined}
        write_json(target, content | ({"published": rows} if rows else {}))
    return combined


def union(*lists: Sequence[Entry]) -> list[Entry]:
    """All entries of several lists, each once, the first one found of those that agree, in order."""
    found: dict[str, Entry] = {}
    for entry in (entry for entries in lists for entry in entries):
        found.setdefault(entry["id"], entry)
    return list(found.values())


def read(path: str | Path) -> list[Entry]:
    """The entries of a leaderboard file.

    Raises:
        DataError: it cannot be read, is of another schema or version, or an entry is damaged or was changed.
    """
    entries = _content(path).get("entries")
    if not isinstance(entries, list):
        raise DataError(f"{path} is damaged: its `entries` are no list. Take an earlier copy of the file.")
    for number, entry in enumerate(entries, 1):
        if not _is_whole(entry):
            raise DataError(f"{path} is damaged: its entry {number} is incomplete. Take an earlier copy of the file.")
        if entry["id"] != identifier(entry):
            raise DataError(f"{path}: the entry {entry['id']!r} was changed after it was added.")
    return entries


def read_published(path: str | Path) -> list[Published]:
    """The published rows of a leaderboard file.

    Raises:
        DataError: it is not one.
    """
    rows = _content(path).get("published", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.keys() >= PARTS for row in rows):
        raise DataError(f"{path} is damaged: its `published` are no rows. Take an earlier copy of the file.")
    return rows


def _content(path: str | Path) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a leaderboard: {error}") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise DataError(f"{path} is not a leaderboard: its `schema` is not {SCHEMA!r}.")
    if content.get("version") != VERSION:
        raise DataError(f"{path} has version {content.get('version')!r}; this package reads version {VERSION}.")
    return content


def check_score(score: str) -> None:
    """Refuses what entries cannot be ranked by.

    Raises:
        SettingError: there is no such score.
    """
    scores = (*derived_by_name(), *columns_by_name())
    if score not in scores:
        raise SettingError(f"rank_by={score!r} is not known.{nearest(score, scores)} Scores are {', '.join(scores)}.")


def ranking_file(path: str | Path) -> Path:
    """Where the ranking of a leaderboard file is written: beside it, as its `.md`.

    Raises:
        SettingError: that would write over the leaderboard itself, or over a file that is no ranking.
    """
    file = Path(path)
    if file.is_dir():
        raise SettingError(f"append={str(path)!r} is a folder: name a file, such as {file / 'leaderboard.json'}.")
    target = file.with_suffix(".md")
    if file.suffix.lower() == ".md":
        raise SettingError(
            f"append={str(path)!r} ends in .md, which is where the ranking goes: name the file that holds the "
            f"entries, such as {file.with_suffix('.json')}."
        )
    if target.exists() and not target.read_bytes().startswith(_HEADING.encode()):
        raise SettingError(
            f"append={str(path)!r}: the ranking would go to {target}, which is no ranking of lmms-manu: "
            "name another file, or move that one."
        )
    return target


def render(
    entries: Sequence[Entry],
    score: str = DEFAULT_SCORE,
    budget: float = BUDGET,
    published: Sequence[Published] = (),
) -> str:
    """The leaderboard as Markdown, one ranking for each base model and forget ratio of each benchmark, best first.

    Models of different sizes never stand in one ranking: the checkpoint that was edited, and its size where that was
    recorded, is a ranking's heading.

    Args:
        entries: the entries.
        score: what to rank by: a derived number, or a column such as `retain.cloze`.
        budget: points of 100 that may be lost on what is to be kept; an entry that lost more has no rank.
        published: rows of publications, which come last and have none.

    Raises:
        SettingError: there is no such score.
    """
    check_score(score)
    parts = [
        f"{_HEADING}{_title(score)}. An entry that lost more than {budget:g} points of 100 on what is to be kept, or "
        "whose score nothing can tell, has no rank; nor has one that forgot at a cost which nobody knows. "
        "Shares and rates are percent, costs and damage points of 100."
    ]
    groups: dict[tuple[str, int, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((_benchmark(entry), entry["forget_ratio"] or 0, _base_model(entry)), []).append(entry)
    for benchmark, ratio, base in sorted(groups, key=lambda people: (people[0] != DEFAULT_BENCHMARK, people)):
        group = groups[benchmark, ratio, base]
        parts += [f"## {_heading(benchmark, ratio, base)}", _ranking(group, score, benchmark, budget)]
        if differing := _different_versions(group):
            parts.append(differing)
    return "\n\n".join([*parts, *render_published(published, _heading)]) + "\n"


def _heading(benchmark: str, ratio: int, base: str) -> str:
    title = f"Forget {ratio} %" if ratio else "Without a forget ratio"
    if benchmark != DEFAULT_BENCHMARK:
        name = get_benchmark(benchmark).title if benchmark in names() else benchmark
        title = f"{name}, {title.lower()}" if ratio else name
    return f"{title}, {escape(base)}"


def _different_versions(entries: Sequence[Entry]) -> str:
    """What makes numbers of one ranking hard to compare: versions of packages and of tasks; empty for none."""
    runs = {entry["name"]: entry["run"] for entry in entries}
    found = {
        "packages": different({name: run.get("versions") or {} for name, run in runs.items()}),
        "tasks": different({name: run.get("task_versions") or {} for name, run in runs.items()}),
    }
    return " ".join(f"Different versions of {what}: {differing}." for what, differing in found.items() if differing)


def identifier(entry: Mapping[str, Any]) -> str:
    """The fingerprint of what an entry says about a run, whoever appended it under whatever name."""
    content = {key: value for key, value in copy.deepcopy(dict(entry)).items() if key not in _ABOUT_APPENDING}
    content["run"].pop("name", None)
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _is_whole(entry: Any) -> bool:
    """Whether an entry has the parts of which its fingerprint does not tell, and those that it is made from."""
    if not isinstance(entry, dict) or not isinstance(entry.get("run"), dict):
        return False
    return all(isinstance(entry.get(name), str) for name in ("id", "name", "who", "added"))


def _entry(section: Section, row: Row, about: Mapping[str, Any]) -> Entry:
    assert row.run is not None
    baseline = section.baseline
    content: Entry = {
        "forget_ratio": section.forget_ratio,
        "run": run_entry(row.run),
        "is_baseline": row.is_baseline,
        "baseline": run_entry(baseline.run) if baseline and baseline.run and not row.is_baseline else None,
        "numbers": numbers(row),
        "derived": {name: number_entry(cell) for name, cell in row.derived.items() if cell.value is not None},
    }
    if missed := not_reached(row):
        content["not_reached"] = missed
    # Entries of the first benchmark do not name it, so that the same result made earlier has the same fingerprint.
    if section.benchmark != DEFAULT_BENCHMARK:
        content["benchmark"] = section.benchmark
    # Through JSON, so that the fingerprint is that of what is read back.
    entry: Entry = json.loads(json.dumps(content, allow_nan=False))
    return {"id": identifier(entry), "name": row.name, **about, **entry}


def _benchmark(entry: Entry) -> str:
    return str(entry.get("benchmark", DEFAULT_BENCHMARK))


def _base_model(entry: Entry) -> str:
    """The checkpoint that was edited, the baseline's where there was one: its name's last part, and its size."""
    run = entry.get("baseline") or entry["run"]
    edit = run.get("edit") or {}
    name = str(edit.get("checkpoint") or run.get("checkpoint") or "default model").rstrip("/").rpartition("/")[2]
    size = (edit.get("details") or {}).get(PARAMETERS)
    return with_size(name, size if isinstance(size, int) else None)


def lost(entry: Entry, benchmark: str) -> float | None:
    """The most that an entry lost on a split that is to be kept, in points of 100; None where that is not known.

    Entries of earlier versions hold no costs, but the changes that costs are means of.
    """
    costs = [found["value"] for name, found in entry["derived"].items() if name.endswith("_cost")]
    if not costs:
        changes: dict[str, list[float]] = {}
        for name, views in entry["numbers"].items():
            column = columns_by_name().get(name)
            if column is None or column.benchmark != benchmark or column.is_forgotten:
                continue
            own = [views[view] for view in MODALITIES if view in views] or [views.get(MEAN, {})]
            if column.metric.higher_is_better and all("change" in view for view in own):
                points = [-view["change"] * 100 / column.metric.maximum for view in own]
                changes.setdefault(column.split, []).append(sum(points) / len(points))
        costs = [sum(points) / len(points) for points in changes.values()]
    return max(costs, default=None)


def _ranking(entries: Sequence[Entry], score: str, benchmark: str, budget: float) -> str:
    sign = -1.0 if _higher_is_better(score) else 1.0
    scored = [(entry, _score(entry, score)) for entry in entries]
    within = {entry["id"]: _is_within(entry, score, benchmark, budget) for entry in entries}

    def order(pair: tuple[Entry, float | None]) -> tuple[bool, bool, float, str]:
        entry, value = pair
        return value is None, not within[entry["id"]], sign * (value or 0.0), entry["added"]

    ranked = sorted(scored, key=order)
    shown = [derived for derived in derived_of(benchmark) if derived.name != score]
    heads = ["#", "run", _label(score), *(derived.label for derived in shown), "checkpoint", "edit", "who", "when"]
    lines = ["| " + " | ".join(map(escape, heads)) + " |", "|---:|---|" + "---:|" * (1 + len(shown)) + "---|" * 4]
    for place, (entry, value) in enumerate(ranked, 1):
        run = entry["run"]
        texts = [
            str(place) if value is not None and within[entry["id"]] else DASH,
            entry["name"],
            _text(entry, score),
            *(_text(entry, derived.name) for derived in shown),
            run["checkpoint"] or "default",
            (_edit(run) or DASH)[:12],
            entry["who"],
            ", ".join(run["evaluated"][-1:]),
        ]
        lines.append("| " + " | ".join(escape(text) for text in texts) + " |")
    return "\n".join(lines)


def _is_within(entry: Entry, score: str, benchmark: str, budget: float) -> bool:
    """Whether an entry may have a rank: a model that forgot everything wins any score of forgetting."""
    cost = lost(entry, benchmark)
    if cost is not None:
        return cost <= budget
    rewards_forgetting = score in derived_by_name() or columns_by_name()[score].is_forgotten
    return entry["is_baseline"] or not rewards_forgetting


def _edit(run: Mapping[str, Any]) -> str | None:
    """The fingerprint of what was edited; entries of version 0.1 call it the mask."""
    found: str | None = run.get("fingerprint", run.get("mask"))
    return found


def _score(entry: Entry, score: str) -> float | None:
    is_derived = score in derived_by_name()
    found = entry["derived"].get(score) if is_derived else entry["numbers"].get(score, {}).get(MEAN)
    return None if found is None else float(found["value"])


def _text(entry: Entry, score: str) -> str:
    value = _score(entry, score)
    if value is None and score in entry.get("not_reached", {}):
        return NOT_REACHED
    if score in derived_by_name():
        return value_text(Cell(value), 1)
    metric = columns_by_name()[score].metric
    return value_text(on_scale(Cell(value), metric), value_digits(metric))


def _label(score: str) -> str:
    return derived_by_name()[score].label if score in derived_by_name() else score


def _title(score: str) -> str:
    order = "higher is better" if _higher_is_better(score) else "lower is better"
    if score in derived_by_name():
        return f"{_label(score)} ({derived_by_name()[score].meaning}; {order})"
    return f"{score} (mean of both modalities; {order})"


def _higher_is_better(score: str) -> bool:
    if score in derived_by_name():
        return derived_by_name()[score].higher_is_better
    return columns_by_name()[score].higher_is_better


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _version(package: str) -> str:
    return installed_version(package) or "not installed"
