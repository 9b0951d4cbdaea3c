"""Puts results files together into runs, and says what is wrong with them instead of averaging it away."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmms_manu.benchmarks.registry import find_task, get_benchmark, tasks
from lmms_manu.benchmarks.sample import Sample
from lmms_manu.errors import DataError, NoResultsError, one_of
from lmms_manu.methods.choice import SELECTION
from lmms_manu.methods.record import EditRecord
from lmms_manu.report.identity import Identity, identify, same_call
from lmms_manu.report.naming import Key, check_names, name_and_folder, names_of
from lmms_manu.report.problems import ALLOWANCES, Problem, refusal
from lmms_manu.report.provenance import mixed_between, mixed_within, versions_of_files
from lmms_manu.report.records import edit_of, protocol_of
from lmms_manu.report.results_file import ResultsFile, TaskResult, find_results_files, read_results_file
from lmms_manu.report.samples_file import first_scored, read_samples
from lmms_manu.report.unfinished_results import loss, overwritten, unusable

_LISTED = 3
"""Tasks named in a message about many."""


@dataclasses.dataclass(frozen=True)
class Run:
    """All results of one model.

    Args:
        name: the user's name for it, or its identity's label.
        identity: what was evaluated.
        files: the results files, oldest first.
        tasks: the results by task.
        edit: the record of how the model was edited, None where it left none.
        fingerprint: of what was edited, None for a model as it was or where nothing tells it.
        problems: what is wrong with the results.
        left_out: the IDs of people whose questions do not count.
    """

    name: str
    identity: Identity
    files: tuple[ResultsFile, ...]
    tasks: Mapping[str, TaskResult]
    edit: EditRecord | None
    fingerprint: str | None
    problems: tuple[Problem, ...] = ()
    left_out: frozenset[str] = frozenset()
    _read: dict[str, tuple[Sample, ...]] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    def without(self, people: Iterable[str]) -> Run:
        """The same run without the questions about some people; samples files are read once for both."""
        return dataclasses.replace(self, left_out=self.left_out | frozenset(people))

    def samples(self, task: str) -> tuple[Sample, ...] | None:
        """The samples of a task that count, read once; None where the evaluation kept none.

        Raises:
            DataError: the file is damaged, or holds another number of questions than the results say.
        """
        result = self.tasks.get(task)
        if result is None or result.samples is None:
            return None
        if task not in self._read:
            if result.effective is not None and (reason := loss(result)):
                raise DataError(
                    f"{reason}. Evaluate the task again; `lmms-manu evaluate` does so when its command is repeated."
                )
            self._read[task] = tuple(read_samples(result.samples, task))
        if not self.left_out or not _asks_about_people(task):
            return self._read[task]
        return tuple(sample for sample in self._read[task] if sample.person not in self.left_out)


def read_runs(places: Sequence[str], allow: Iterable[str] = ()) -> tuple[Run, ...]:
    """Reads runs from folders of results.

    Args:
        places: folders or results files, `NAME=FOLDER` to name a run; the same name again adds a folder to the run.
            Results without a name belong together if they are of the same model.
        allow: kinds of problems that are reported instead of raised: see `ALLOWANCES`.

    Returns:
        The runs, in the order in which they were first named or found.

    Raises:
        DataError: nothing to read, damaged files, or problems that are not allowed, all of them in one message.
        SettingError: an unknown kind of problem.
    """
    allowed = frozenset(allow)
    for kind in allowed:
        if kind not in ALLOWANCES:
            raise one_of("allow", kind, ALLOWANCES)
    grouped = _grouped(places)
    check_names(list(grouped))
    names = names_of(list(grouped))
    runs = tuple(
        _run(names[key], key[1], tuple(sorted(files, key=lambda file: file.when))) for key, files in grouped.items()
    )
    problems = [problem for run in runs for problem in run.problems] + _across(runs)
    refused = [problem for problem in problems if problem.kind in ALLOWANCES and problem.kind not in allowed]
    if refused:
        raise DataError(refusal(refused))
    if not runs:
        raise DataError("no runs were given: name at least one folder of results.")
    return runs


def _grouped(places: Sequence[str]) -> dict[Key, list[ResultsFile]]:
    """The results files by the user's name and by what was evaluated."""
    calls: dict[tuple[str | None, Any], list[ResultsFile]] = collections.defaultdict(list)
    seen: set[Path] = set()
    for place in places:
        name, folder = name_and_folder(place)
        for path in find_results_files(folder):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                results = read_results_file(path)
                calls[name, same_call(results)].append(results)
    grouped: dict[Key, list[ResultsFile]] = collections.defaultdict(list)
    for (name, _), files in calls.items():
        # Files of stock benchmarks record no edit; another file of the same call may.
        edit = next(filter(None, map(edit_of, files)), None)
        grouped[name, identify(files[0], edit)] += files
    return grouped


def _run(name: str, identity: Identity, files: tuple[ResultsFile, ...]) -> Run:
    tasks: dict[str, TaskResult] = {}
    origin: dict[str, ResultsFile] = {}
    problems: list[Problem] = []
    for file in files:
        for task in file.tasks:
            if task.is_unscored:
                continue
            if task.name in tasks:
                if _says_the_same(tasks[task.name], task):
                    continue
                places = f"{origin[task.name].path} and {file.path}"
                problems.append(Problem("duplicate", f"{name}: {task.name} was evaluated twice ({places})."))
            tasks[task.name], origin[task.name] = task, file
    if not any(task.values for task in tasks.values()):
        raise NoResultsError(_without_scores(name, files))
    problems += [*unusable(name, files), *overwritten(name, files), *mixed_within(name, files)]
    problems += [*_cut_short(name, tasks), *_gaps(name, tasks), *_protocols(name, tasks)]
    edits = [edit for file in files if (edit := edit_of(file))]
    fingerprint = _fingerprint(name, tasks, edits)
    return Run(name, identity, files, tasks, edits[-1] if edits else None, fingerprint, tuple(problems))


def _says_the_same(one: TaskResult, other: TaskResult) -> bool:
    """Whether two results are equal, as those of a baseline that two sweeps have evaluated."""
    return dataclasses.replace(one, samples=None) == dataclasses.replace(other, samples=None)


def _without_scores(name: str, files: Sequence[ResultsFile]) -> str:
    if lost := unusable(name, files):
        return " ".join(problem.message for problem in lost)
    if any(task.samples is not None for file in files for task in file.tasks):
        return (
            f"{name}: {files[0].path} holds answers and no scores, as --predict_only leaves them: evaluate without it."
        )
    return f"{name}: {files[0].path} holds no scores."


def _fingerprint(name: str, tasks: Mapping[str, TaskResult], edits: Sequence[EditRecord]) -> str | None:
    """The one edit that all results of a run were made with."""
    asked: dict[str | None, str] = {}
    for task in tasks.values():
        if find_task(task.name) and task.samples is not None:
            sample = first_scored(task.samples, task.name)
            if sample is not None:
                asked.setdefault(sample.edit, task.name)
    recorded: dict[str | None, str] = {edit.fingerprint: "the edit's record" for edit in edits if edit.fingerprint}
    # A checkpoint that was edited before it was loaded shows no edit in its answers, only in its record.
    found = recorded if set(asked) <= {None} and recorded else {**recorded, **asked}
    if len(found) > 1:
        listed = "; ".join(f"{edit or 'no edit'} in {place}" for edit, place in found.items())
        raise DataError(
            f"{name}: its results were made with different edits ({listed}), though the arguments are the same: "
            "weights, data or versions changed in between. Report them as separate runs with NAME=FOLDER."
        )
    return next(iter(found), None)


def _cut_short(name: str, tasks: Mapping[str, TaskResult]) -> list[Problem]:
    """One problem for all tasks that were asked fewer questions than they have."""
    partial = [task for task in tasks.values() if task.is_partial]
    if not partial:
        return []
    listed = [f"{task.name} has {task.effective} of {task.original} questions" for task in partial[:_LISTED]]
    if len(partial) > _LISTED:
        more = len(partial) - _LISTED
        listed.append(f"{more} more {'task was' if more == 1 else 'tasks were'} cut short")
    return [Problem("partial", f"{name}: {', '.join(listed)}.")]


def _gaps(name: str, results: Mapping[str, TaskResult]) -> list[Problem]:
    """Tasks that are missing from a split that was run, and questions that were left out."""
    problems = []
    asked = [known for known in map(find_task, results) if known]
    whole = [known for known in asked if not get_benchmark(known.benchmark).asks_what_there_is]
    for group in dict.fromkeys(known.group for known in whole):
        missing = [known.name for known in tasks().values() if known.group == group and known.name not in results]
        if missing:
            problems.append(Problem("missing", f"{name}: {group} was run without {', '.join(missing)}."))
    for task in results.values():
        skipped = int(task.values.get("skipped", 0)) if find_task(task.name) else 0
        if skipped:
            questions, were = ("question", "was") if skipped == 1 else ("questions", "were")
            listed = f"{skipped} {questions} of {task.name} {were} unusable and left out"
            problems.append(Problem("skipped", f"{name}: {listed}."))
    return problems


def _protocols(name: str, results: Mapping[str, TaskResult]) -> list[Problem]:
    """Versions, datasets and the like that differ between a benchmark's tasks in a run, which a row puts together."""
    # What is compared, and in which task each value was found first.
    found: dict[tuple[str, str], dict[str, str]] = collections.defaultdict(dict)
    for task in results.values():
        known, recorded = find_task(task.name), protocol_of(task)
        if known is None or not recorded:
            continue
        conditions = get_benchmark(known.benchmark).conditions(known, recorded)
        for what, value in {"its leaves are of different task versions": task.version, **conditions}.items():
            found[known.benchmark, what].setdefault(value, task.name)
    return [
        problem
        for (_, what), places in found.items()
        for problem in _mixed(f"{name}: {what}", {task: value for value, task in places.items()})
    ]


def _across(runs: Sequence[Run]) -> list[Problem]:
    """Versions of tasks and judges that differ between the runs, which makes their numbers incomparable."""
    problems = []
    for task in dict.fromkeys(task for run in runs for task in run.tasks):
        results = {run.name: run.tasks[task] for run in runs if task in run.tasks}
        problems += _mixed(f"{task} has different versions", {name: one.version for name, one in results.items()})
        judged = {name: one for name, one in results.items() if "factuality" in one.values}
        judges = {name: str(protocol_of(one).get("judge")) for name, one in judged.items()}
        problems += _mixed(f"the factuality of {task} was judged by different models", judges)
    return problems


def _mixed(what: str, values: Mapping[str, str]) -> list[Problem]:
    if len(set(values.values())) < 2:
        return []
    listed = ", ".join(f"{value} in {name}" for name, value in values.items())
    return [Problem("mixed-version", f"{what}: {listed}.")]


def problems_of(runs: Sequence[Run]) -> list[Problem]:
    """Problems that were allowed and are reported with the results: see `Problem`."""
    problems = [problem for run in runs for problem in run.problems] + _across(runs)
    return problems + mixed_between({run.name: versions_of(run) for run in runs})


def versions_of(run: Run) -> dict[str, str]:
    """The versions of libraries that a run recorded."""
    return versions_of_files(run.files)


def _asks_about_people(task: str) -> bool:
    """Whether a task asks about those to forget or to retain: others may have IDs that are theirs, too."""
    known = find_task(task)
    splits = get_benchmark(known.benchmark).splits if known else ()
    return any(split.name == known.split and split.role != "control" for split in splits if known)


def chosen_on(run: Run) -> frozenset[str]:
    """The people on whom the strength of a run's edit was chosen while it was loaded."""
    selection = run.edit.details.get(SELECTION) if run.edit else None
    return frozenset(map(str, selection.get("people", ()))) if isinstance(selection, Mapping) else frozenset()
