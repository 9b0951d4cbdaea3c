"""Compares runs with a baseline: every number with its change and an interval by a bootstrap over people."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, find_task, get_benchmark, names, tasks
from lmms_manu.benchmarks.sample import Sample
from lmms_manu.benchmarks.stock import STOCK_BY_TASK
from lmms_manu.errors import DataError, nearest
from lmms_manu.evidence.bootstrap import RESAMPLES, Draws, PeopleBootstrap, interval
from lmms_manu.methods.record import UNEDITED
from lmms_manu.report.attacked import attacks_on
from lmms_manu.report.cells import NOT_MEASURED, Cell, CellKey, Evidence, Report, Row, Section
from lmms_manu.report.controls import controls_of, is_control
from lmms_manu.report.derived import derive
from lmms_manu.report.forget_quality import QualityCell, against_gold
from lmms_manu.report.frontiers import with_frontiers
from lmms_manu.report.metrics import MEAN, Column, columns, columns_by_name, quality_columns
from lmms_manu.report.not_asked import asked_tasks, not_asked
from lmms_manu.report.problems import Problem
from lmms_manu.report.ranking import ranked
from lmms_manu.report.runs import Run, chosen_on, problems_of
from lmms_manu.report.seeds import with_seed_summaries
from lmms_manu.report.validity import gold_of, judge, unfit

_TOLERANCE = 1e-4
_FORGOTTEN = "forgotten"

People = tuple[str, int | None]
"""A benchmark and a forget ratio of it, None where no task has one."""


def compare(
    runs: Sequence[Run],
    baseline: str | None = None,
    *,
    gold: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    leave_out: Iterable[str] = (),
) -> Report:
    """Builds a report.

    People on whom the strength of any run was chosen, by its record, stand in no number of any run.

    Args:
        runs: the runs, in the order to show them.
        baseline: the name of the run that the others are compared with; by default the vanilla one if there is just
            one beside gold, which then comes first.
        gold: the name of the run that never met the people to forget; by default an unedited one that is called so.
        resamples: draws of the bootstrap.
        seed: of the bootstrap.
        leave_out: the IDs of further people who are to stand in no number.

    Raises:
        DataError: there is no run of the baseline's or gold's name, or a samples file is damaged.
    """
    left_out = frozenset(leave_out).union(*map(chosen_on, runs))
    runs = [run.without(left_out) for run in runs]
    never = gold_of([run for run in runs if gold is not None or run.name != baseline], gold)
    base = _baseline(runs, baseline, never)
    if base is not None and base is never:
        raise DataError(f"{base.name} is both the baseline and gold: name two runs with --baseline and --gold.")
    ordered = sorted(runs, key=lambda run: (run is not base, run is not never))
    problems = problems_of(runs)
    if left_out:
        told = f"{len(left_out)} people on whom a strength was chosen stand in no number."
        problems.append(Problem("selection", told))
    parts = {people: _taking_part(ordered, people) for people in _people(runs)}
    # A gold that stands in no table with vanilla is not gold for anybody else either.
    is_used = any(base in part and never in part for part in parts.values())
    builders = [
        _Builder(people, part, base, never, resamples, seed, problems, has_gold_elsewhere=is_used)
        for people, part in parts.items()
    ]
    sections = tuple(with_frontiers(with_seed_summaries(builder.section())) for builder in builders)
    problems += _misplaced(runs, sections)
    return Report(sections, tuple(ordered), base.name if base else None, tuple(dict.fromkeys(problems)))


def _misplaced(runs: Sequence[Run], sections: Sequence[Section]) -> list[Problem]:
    """One problem for each run that stands in no section.

    Raises:
        DataError: that is all of them.
    """
    shown = {row.name for section in sections for row in section.rows if row.run}
    problems = []
    for run in runs:
        benchmark, ratio = _forgotten(run)
        if run.name not in shown and benchmark in names() and ratio in (get_benchmark(benchmark).ratios or (None,)):
            whose = get_benchmark(benchmark).title if ratio is None else f"{ratio} %"
            message = (
                f"{run.name} forgot the people of {whose} and was asked about others, so that it stands in no table: "
                f"evaluate the tasks of {whose}, such as {get_benchmark(benchmark).everything(ratio)}."
            )
            problems.append(Problem("misplaced", message))
    if problems and not shown:
        raise DataError(" ".join(problem.message for problem in problems))
    return problems


def _baseline(runs: Sequence[Run], name: str | None, gold: Run | None) -> Run | None:
    if name is None:
        vanilla = [run for run in runs if run.identity.is_vanilla and run is not gold]
        return vanilla[0] if len(vanilla) == 1 else None
    for run in runs:
        if run.name == name:
            return run
    names = [run.name for run in runs]
    raise DataError(f"baseline={name!r} is none of the runs ({', '.join(names)}).{nearest(name, names)}")


def _people(runs: Iterable[Run]) -> tuple[People, ...]:
    """The people of each section: each ratio of each benchmark that was asked."""
    asked = {(task.benchmark, task.ratio) for run in runs for task in map(find_task, run.tasks) if task}
    found: list[People] = []
    for benchmark in names():
        ratios = {ratio for name, ratio in asked if name == benchmark}
        found += [(benchmark, ratio) for ratio in sorted(filter(None, ratios))]
        if ratios == {None}:
            found.append((benchmark, None))
    return tuple(found) or ((DEFAULT_BENCHMARK, None),)


def _taking_part(runs: Sequence[Run], people: People) -> list[Run]:
    """The runs that belong to a section: all but those that forgot, or were asked about, other people."""
    return [run for run in runs if _belongs(run, people)]


def _belongs(run: Run, people: People) -> bool:
    benchmark, ratio = people
    known = [task for task in map(find_task, run.tasks) if task]
    asked = {task.ratio for task in known if task.benchmark == benchmark}
    if known and not asked:
        return False
    forgot, forgotten_ratio = _forgotten(run)
    if run.identity.is_vanilla or forgot not in ("", benchmark):
        return run.identity.is_vanilla
    ratios = asked - {None}
    return ratio is None or (forgotten_ratio in (None, ratio) and (not ratios or ratio in ratios))


def _forgotten(run: Run) -> tuple[str, int | None]:
    """The benchmark and the ratio of the people whom a run forgot; an empty name if it is not known or nobody was."""
    forgotten = run.edit.forgotten if run.edit else {}
    ratio = run.identity.forget_ratio
    return str(forgotten.get("benchmark") or (DEFAULT_BENCHMARK if ratio is not None else "")), ratio


class _Builder:
    """Builds one section; adds to `problems` what it finds."""

    def __init__(
        self,
        people: People,
        runs: list[Run],
        baseline: Run | None,
        gold: Run | None,
        resamples: int,
        seed: int,
        problems: list[Problem],
        *,
        has_gold_elsewhere: bool,
    ) -> None:
        self._benchmark, self._ratio = people
        self._runs = runs
        self._baseline = baseline
        self._gold = gold if gold in runs else None
        self._absent_gold = gold if gold not in runs else None
        self._resamples = resamples
        self._seed = seed
        self._problems = problems
        self._has_gold_elsewhere = has_gold_elsewhere
        self._bootstraps: dict[str, PeopleBootstrap] = {}
        self._columns = self._measured_columns()

    def section(self) -> Section:
        self._problems += not_asked(self._benchmark, self._ratio, self._runs)
        levels = {run.name: self._levels(run) for run in self._runs}
        base = levels.get(self._baseline.name) if self._baseline else None
        evidence = self._evidence(levels, base)
        rows = []
        for run in self._runs:
            cells = levels[run.name]
            is_baseline = run is self._baseline
            if base is not None and not is_baseline:
                cells = {key: self._with_change(run, key, cell, base[key]) for key, cell in cells.items()}
            compared = base is not None and not is_baseline
            rows.append(
                Row(
                    name=run.name,
                    cells=cells,
                    derived=derive(cells, base, self._benchmark, evidence) if base is not None and compared else {},
                    run=run,
                    is_baseline=is_baseline,
                    is_gold=run is self._gold,
                    is_control=is_control(run),
                    controls=controls_of(run, self._runs),
                    attacks=attacks_on(run, self._ratio, self._benchmark),
                    quality=self._quality(run, evidence),
                )
            )
        shown = tuple(ranked(rows, self._columns, evidence))
        return Section(self._ratio, self._columns, shown, self._benchmark, evidence)

    def _quality(self, run: Run, evidence: Evidence | None) -> tuple[QualityCell, ...]:
        """The run's forget quality, where there is a gold that is one."""
        if self._gold is None or run is self._gold or evidence is None or not evidence.is_gold:
            return ()
        return against_gold(run, self._gold, self._benchmark, self._ratio)

    def _evidence(self, levels: Mapping[str, dict[CellKey, Cell]], base: dict[CellKey, Cell] | None) -> Evidence | None:
        """What the numbers stand on; None without a model before unlearning, or with a gold that is none."""
        if self._baseline is None or base is None or (self._baseline.identity.method not in ("", UNEDITED)):
            return None
        if self._absent_gold is not None:
            reason = unfit(self._absent_gold, self._baseline, self._benchmark, self._ratio)
            told = "they are held against guessing" if self._has_gold_elsewhere else "no share forgotten is computed"
            self._problems.append(Problem("gold", f"{self._absent_gold.name} {reason}; {told}."))
            if not self._has_gold_elsewhere:
                return None
        gold_cells = levels[self._gold.name] if self._gold else {}
        judged = judge(self._baseline, base, self._gold, gold_cells, self._benchmark, self._ratio, self._bootstrap)
        if judged.problem:
            self._problems.append(Problem("gold", judged.problem))
        return judged.evidence

    def _measured_columns(self) -> tuple[Column, ...]:
        """The columns of each group of tasks that any run has, and the utility benchmarks that any run has."""
        present = {task for run in self._runs for task in run.tasks}
        groups = {task.group for task in map(find_task, present) if task and task.benchmark == self._benchmark}
        return tuple(
            column
            for column in columns()
            if column.task in present
            or (
                column.benchmark == self._benchmark
                and any(task.group in groups for task in column.members)
                and asked_tasks(column, self._ratio, self._runs)
            )
        )

    def _levels(self, run: Run) -> dict[CellKey, Cell]:
        cells: dict[CellKey, Cell] = {}
        own = [column for column in quality_columns() if column.benchmark == self._benchmark]
        for column in (*self._columns, *own):
            by_view = {
                view: self._cell(run, column, task)
                for view, task in asked_tasks(column, self._ratio, self._runs).items()
            }
            if MEAN not in by_view:
                by_view[MEAN] = _mean(list(by_view.values()))
            for view, cell in by_view.items():
                cells[column.name, view] = cell
        return cells

    def _cell(self, run: Run, column: Column, task: str) -> Cell:
        result = run.tasks.get(task)
        value = column.metric.read(result.values) if result else None
        if result is None or value is None:
            return NOT_MEASURED
        samples, stock = run.samples(task), STOCK_BY_TASK.get(task)
        reason = stock.distrust(result.values, samples) if stock else ""
        if reason:
            self._problems.append(Problem("unjudged", f"{run.name}: {task} is left out, {reason}."))
            return Cell(note=reason)
        note = f"only {result.effective} of {result.original} questions" if result.is_partial else ""
        if run.left_out and find_task(task):
            return self._of_the_others(column, task, samples or (), note)
        if samples is None:
            message = (
                f"{run.name}: {task} has no samples file (--log_samples), so its numbers come without an interval."
            )
            self._problems.append(Problem("no-samples", message))
            return Cell(value=value, questions=result.effective, note=note)
        scored = [sample for sample in samples if column.metric.name in sample.scores]
        draws = self._draws(run, column, task, scored, value)
        return Cell(
            value=value,
            interval=interval(draws),
            questions=len(scored) or result.effective,
            people=len({sample.person for sample in scored}) or None,
            note=note,
            draws=draws,
        )

    def _of_the_others(self, column: Column, task: str, samples: Sequence[Sample], note: str) -> Cell:
        """The number of those who are not left out, computed from their questions."""
        scored = [sample for sample in samples if column.metric.name in sample.scores]
        points = [sample.scores[column.metric.name][0] for sample in scored]
        possible = [sample.scores[column.metric.name][1] for sample in scored]
        if not sum(possible):
            return NOT_MEASURED
        draws = self._bootstrap(column, task).ratio([sample.person for sample in scored], points, possible)
        return Cell(
            value=sum(points) / sum(possible),
            interval=interval(draws),
            questions=len(scored),
            people=len({sample.person for sample in scored}),
            note=note,
            draws=draws,
        )

    def _draws(self, run: Run, column: Column, task: str, scored: Sequence[Sample], value: float) -> Draws | None:
        if not scored:
            return None
        points = [sample.scores[column.metric.name][0] for sample in scored]
        possible = [sample.scores[column.metric.name][1] for sample in scored]
        recomputed = sum(points) / sum(possible) if sum(possible) else float("nan")
        if not np.isclose(recomputed, value, rtol=_TOLERANCE, atol=_TOLERANCE):
            if find_task(task):
                raise DataError(
                    f"{run.name}: the samples of {task} give {column.metric.name} {recomputed:.4f}, its results say "
                    f"{value:.4f}: the two files are not of the same evaluation."
                )
            # A benchmark with another way of averaging than over questions: no interval can be had from the questions.
            return None
        return self._bootstrap(column, task).ratio([sample.person for sample in scored], points, possible)

    def _bootstrap(self, column: Column, task: str) -> PeopleBootstrap:
        """The draws of the people of a split, the same for every run, task and modality of it.

        The splits that ask about what was to be forgotten ask about the same people.
        """
        pool = column.task or (_FORGOTTEN if column.is_forgotten else column.split)
        if pool not in self._bootstraps:
            asked = (
                sample for run in self._runs for name in self._pool(column, task) for sample in run.samples(name) or ()
            )
            people = {sample.person for sample in asked if sample.is_scored}
            self._bootstraps[pool] = PeopleBootstrap(sorted(people), self._resamples, self._seed)
        return self._bootstraps[pool]

    def _pool(self, column: Column, task: str) -> list[str]:
        """The tasks that ask about the people of a column."""
        if column.task:
            return [task]
        together = [
            split.name
            for split in get_benchmark(self._benchmark).splits
            if split.name == column.split or (split.is_forgotten and column.is_forgotten)
        ]
        return [
            name
            for name, known in tasks().items()
            if known.benchmark == self._benchmark and known.split in together and known.ratio in (None, self._ratio)
        ]

    def _with_change(self, run: Run, key: CellKey, cell: Cell, base: Cell) -> Cell:
        if cell.value is None or base.value is None:
            return cell
        change = cell.value - base.value
        if cell.draws is None or base.draws is None:
            return dataclasses.replace(cell, change=change)
        if not self._same_questions(run, key):
            return dataclasses.replace(cell, change=change, note="other questions than the baseline's")
        return dataclasses.replace(cell, change=change, change_interval=interval(cell.draws - base.draws))

    def _same_questions(self, run: Run, key: CellKey) -> bool:
        assert self._baseline is not None
        by_view = columns_by_name()[key[0]].tasks(self._ratio)
        same = True
        for task in by_view.values() if key[1] == MEAN else [by_view[key[1]]]:
            if _questions(run.samples(task)) != _questions(self._baseline.samples(task)):
                same = False
                message = (
                    f"{run.name} and {self._baseline.name} were asked different questions in {task} "
                    "(another dataset, seed or number of exemplars?): changes are shown without an interval."
                )
                self._problems.append(Problem("questions", message))
        return same


def _questions(samples: Sequence[Sample] | None) -> set[tuple[str, str, str]]:
    return {(sample.key, sample.person, sample.target) for sample in samples or ()}


def _mean(cells: Sequence[Cell]) -> Cell:
    """The paper's mean of both modalities, or the one that there is; not measured if one of them is missing."""
    if not cells:
        return NOT_MEASURED
    missing = next((cell for cell in cells if cell.value is None), None)
    if missing is not None:
        return missing
    draws: Draws | None = None
    if all(cell.draws is not None for cell in cells):
        draws = np.mean([cell.draws for cell in cells if cell.draws is not None], axis=0)
    values = [cell.value for cell in cells if cell.value is not None]
    questions = [cell.questions for cell in cells if cell.questions is not None]
    people = [cell.people for cell in cells if cell.people is not None]
    return Cell(
        value=sum(values) / len(values),
        interval=interval(draws),
        questions=sum(questions) if questions else None,
        people=max(people, default=None),
        note="; ".join(dict.fromkeys(cell.note for cell in cells if cell.note)),
        draws=draws,
    )
