"""A fair comparison: every method at several strengths, one chosen on validation people, held against its controls.

points
    vanilla, gold where there is one, every strength of every method      (evaluated; resumed if interrupted)
choice
    on a quarter of the people, the strength that forgets most within the budget
controls
    of each chosen strength, as many as asked for                         (evaluated)
report
    of the other people: the chosen rows, and the frontier of all strengths
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmms_manu.evaluation.contenders import Contender
from lmms_manu.evaluation.evaluate import Evaluation
from lmms_manu.evaluation.sweep import BASELINE, Point, at, control_of
from lmms_manu.methods.choice import SELECTION, Trial, best_within, selection_of
from lmms_manu.methods.record import UNEDITED
from lmms_manu.report.cells import Frontier, Report, Row, Section
from lmms_manu.report.comparison import compare
from lmms_manu.report.frontiers import frontier_of
from lmms_manu.report.runs import Run, read_runs
from lmms_manu.report.standings import Choices, choices, only_section

GOLD = "gold"

HOW = "scores of the benchmark's own questions, mean over metrics and modalities"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is compared.

    Args:
        contenders: the methods.
        common: arguments of the model that all share: the checkpoint, whom to forget.
        budget: points that may be lost on the validation people to retain.
        gold: arguments that name the model that never met those to forget; None where there is none.
        controls: how many random controls each chosen strength gets.
        own_controls: other numbers of them, by the contender's name.
        repeats: how often each chosen strength is made again, by further seeds, where the method draws by one.
    """

    contenders: tuple[Contender, ...]
    common: Mapping[str, object]
    budget: float
    gold: Mapping[str, object] | None = None
    controls: int = 0
    own_controls: Mapping[str, int] = dataclasses.field(default_factory=dict)
    repeats: int = 0

    def points(self) -> tuple[Point, ...]:
        """Everything that is evaluated before strengths are chosen."""
        unedited = {**self.common, "method": UNEDITED}
        found = [Point(BASELINE, unedited)]
        if self.gold is not None:
            found.append(Point(GOLD, {**unedited, **self.gold}))
        return (*found, *(point for one in self.contenders for point in one.points(self.common).values()))

    def controls_of(self, contender: Contender, strength: float | None) -> tuple[Point, ...]:
        """The controls of a strength of a method; none where it has no control."""
        point = contender.points(self.common)[strength]
        count = self.own_controls.get(contender.name, self.controls)
        drawn = (control_of(point, seed) for seed in range(count))
        return tuple(control for control in drawn if control is not None)

    def repeats_of(self, contender: Contender, strength: float | None) -> tuple[Point, ...]:
        """The same strength of a method that trains, by further seeds; none of other methods, who draw nothing."""
        point = contender.points(self.common)[strength]
        seeds = range(1, self.repeats + 1) if contender.is_trained else ()
        return tuple(Point(f"{point.name}-seed{seed}", {**point.model_args, "seed": seed}) for seed in seeds)


@dataclasses.dataclass(frozen=True)
class Standing:
    """A method in the comparison.

    Args:
        contender: the method.
        trials: what its strengths did to the validation people.
        chosen: the strength that was taken; None where none is within the budget, or the method has none.
        row: what it did to the other people; None where no strength is within the budget.
        controls: the rows of its controls.
        repeats: the rows of the same by further seeds.
        frontier: the share forgotten at any cost, from all strengths, seeds summed up.
    """

    contender: Contender
    trials: tuple[Trial, ...]
    chosen: Trial | None
    row: Row | None
    controls: tuple[Row, ...]
    repeats: tuple[Row, ...]
    frontier: Frontier

    def selection(self, budget: float, people: frozenset[str]) -> dict[str, Any]:
        """How the strength was chosen, for JSON."""
        return selection_of(self.contender.axis or "", self.trials, self.chosen, budget, people, HOW)


@dataclasses.dataclass(frozen=True)
class Compared:
    """What a comparison came to.

    Args:
        report: of everything that was evaluated, the validation people left out.
        standings: the methods, in the order of the plan.
        people: the validation people.
        budget: points that might be lost on those of them to retain.
    """

    report: Report
    standings: tuple[Standing, ...]
    people: frozenset[str]
    budget: float

    @property
    def section(self) -> Section:
        return only_section(self.report)

    def as_dict(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The choices, for JSON."""
        return {one.contender.name: {SELECTION: one.selection(self.budget, self.people)} for one in self.standings}


def compare_methods(
    plan: Plan, pattern: Evaluation, evaluate_all: Callable[[Sequence[Evaluation]], bool]
) -> tuple[Compared | None, bool]:
    """Evaluates what the plan names, chooses, and evaluates the controls of what was chosen.

    Args:
        plan: what is compared.
        pattern: an evaluation in everything but the model's arguments; its output is the folder of all.
        evaluate_all: runs evaluations and says whether all have their results.

    Returns:
        What it came to, None where vanilla or gold has no results; and whether everything was evaluated.

    Raises:
        DataError: nothing can be chosen, or results cannot be compared.
    """
    points = plan.points()
    complete = evaluate_all([at(point, pattern, pattern.output) for point in points])
    done = {point.name: pattern.output / point.name for point in points}
    done = {name: folder for name, folder in done.items() if _has_results(folder)}
    if BASELINE not in done or (plan.gold is not None and GOLD not in done):
        return None, False
    allow = () if pattern.limit is None else ("partial",)
    runs = _read(done, allow)
    found = _chosen(plan, runs)
    chosen = {
        contender.name: taken.strength if (taken := best_within(found.trials[contender.name], plan.budget)) else None
        for contender in plan.contenders
    }
    shown = [one for one in plan.contenders if chosen[one.name] is not None or one.axis is None]
    controls = {one.name: plan.controls_of(one, chosen[one.name]) for one in shown}
    repeats = {one.name: plan.repeats_of(one, chosen[one.name]) for one in shown}
    if drawn := [point for added in (controls, repeats) for own in added.values() for point in own]:
        complete &= evaluate_all([at(point, pattern, pattern.output) for point in drawn])
        own = {point.name: pattern.output / point.name for point in drawn}
        runs += _read({name: folder for name, folder in own.items() if _has_results(folder)}, allow)
    report = compare(runs, BASELINE, gold=_gold(plan), leave_out=found.people)
    rows = {row.name: row for row in only_section(report).rows}
    standings = tuple(
        _standing(plan, one, found, rows, controls.get(one.name, ()), repeats.get(one.name, ()))
        for one in plan.contenders
    )
    return Compared(report, standings, found.people, plan.budget), complete


def _chosen(plan: Plan, runs: Sequence[Run]) -> Choices:
    strengths = {
        contender.name: {
            value: point.name for value, point in contender.points(plan.common).items() if value is not None
        }
        for contender in plan.contenders
    }
    return choices(runs, strengths, BASELINE, _gold(plan))


def _standing(
    plan: Plan,
    contender: Contender,
    found: Choices,
    rows: Mapping[str, Row],
    controls: Sequence[Point],
    repeats: Sequence[Point],
) -> Standing:
    trials = found.trials[contender.name]
    taken = best_within(trials, plan.budget)
    points = contender.points(plan.common)
    means = {member: row for row in rows.values() for member in row.members}
    own = [means.get(point.name, rows[point.name]) for point in points.values() if point.name in rows]
    name = points[taken.strength].name if taken else points[None].name if None in points else None
    return Standing(
        contender,
        trials,
        taken,
        rows.get(name) if name else None,
        tuple(rows[point.name] for point in controls if point.name in rows),
        tuple(rows[point.name] for point in repeats if point.name in rows),
        frontier_of(contender.name, own),
    )


def _gold(plan: Plan) -> str | None:
    return None if plan.gold is None else GOLD


def _has_results(folder: Path) -> bool:
    return any(folder.rglob("*_results.json"))


def _read(folders: Mapping[str, Path], allow: Sequence[str]) -> tuple[Run, ...]:
    return read_runs([f"{name}={folder}" for name, folder in folders.items()], allow) if folders else ()
