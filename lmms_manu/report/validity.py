"""What the numbers of a section can tell: vanilla against gold, or against guessing where there is no gold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from lmms_manu.benchmarks.base import MODALITIES
from lmms_manu.benchmarks.registry import find_task, get_benchmark
from lmms_manu.benchmarks.sample import Sample
from lmms_manu.errors import DataError, nearest
from lmms_manu.evidence.bootstrap import Draws, PeopleBootstrap
from lmms_manu.evidence.validity import Verdict, can_drop, knows_more
from lmms_manu.report.cells import NOT_MEASURED, Cell, CellKey, Evidence
from lmms_manu.report.identity import GOLD
from lmms_manu.report.metrics import MEAN, VIEWS, Column, columns
from lmms_manu.report.records import protocol_of
from lmms_manu.report.runs import Run
from lmms_manu.report.splits import first

GUESSING = "guessing"

Cells = Mapping[CellKey, Cell]
Bootstraps = Callable[[Column, str], PeopleBootstrap]


def gold_of(runs: Sequence[Run], name: str | None) -> Run | None:
    """The model that never met the people to forget: the run of this name, by default an unedited one called gold.

    Raises:
        DataError: there is no run of the name, or it is an edited one.
    """
    if name is None:
        return next((run for run in runs if run.identity.is_vanilla and _is_called_gold(run)), None)
    for run in runs:
        if run.name == name:
            if run.identity.is_vanilla or not run.identity.method:
                return run
            raise DataError(
                f"gold={name!r} was edited by {run.identity.label}: gold is a model that was trained without the "
                "people to forget, such as `lmms-manu finetune --people retain` makes."
            )
    known = [run.name for run in runs]
    raise DataError(f"gold={name!r} is none of the runs ({', '.join(known)}).{nearest(name, known)}")


def _is_called_gold(run: Run) -> bool:
    return run.name.lower() == GOLD or run.identity.is_called_gold


def unfit(gold: Run, vanilla: Run, benchmark: str, ratio: int | None) -> str:
    """Why a run cannot be gold for a vanilla model, in words with the way out; empty if it can."""
    common = [name for name in vanilla.tasks if name in gold.tasks]
    own = [known for known in map(find_task, common) if known and known.benchmark == benchmark]
    forgotten = {split.name for split in get_benchmark(benchmark).splits if split.is_forgotten}
    asked = [known.name for known in own if known.split in forgotten and known.ratio in (None, ratio)]
    if not asked:
        title = get_benchmark(benchmark).title
        whom = title if ratio is None else f"{title} at {ratio} %"
        return f"was not asked about those to forget of {whom}: evaluate the same tasks with it as with {vanilla.name}"
    families = {protocol_of(run.tasks[asked[0]]).get("family") for run in (gold, vanilla)} - {None}
    if len(families) > 1:
        return (
            f"is of another architecture ({' and '.join(sorted(map(str, families)))}): take gold of the same base model"
        )
    for task in asked:
        mine, theirs = gold.samples(task), vanilla.samples(task)
        if mine is None or theirs is None:
            continue
        questions = {sample.key: (sample.question, sample.target) for sample in mine}
        if any(questions.get(sample.key) != (sample.question, sample.target) for sample in theirs):
            return f"was asked other questions in {task}: evaluate both with the same dataset, seed and exemplars"
        lengths = {sample.key: sample.prompt_tokens for sample in mine}
        pairs = [(lengths.get(sample.key), sample.prompt_tokens) for sample in theirs]
        if any(one is not None and other is not None and one != other for one, other in pairs):
            return (
                f"has another tokenizer or form of prompt (prompts of {task} differ in length): take gold of the same "
                "base model, and evaluate both alike"
            )
    return ""


@dataclasses.dataclass(frozen=True)
class Judged:
    """The evidence of a section, and what a reader has to know about it; no evidence where gold is none."""

    evidence: Evidence | None
    problem: str = ""


def judge(
    vanilla: Run, cells: Cells, gold: Run | None, gold_cells: Cells, benchmark: str, ratio: int | None, of: Bootstraps
) -> Judged:
    """Holds vanilla against gold, or against guessing.

    Args:
        vanilla: the model before unlearning.
        cells: its numbers.
        gold: the model that never met the people, None without one.
        gold_cells: its numbers.
        benchmark: whose people were to be forgotten.
        ratio: of them.
        of: the draws of the people of a column and task.
    """
    nothing = "; no share forgotten is computed."
    if gold is not None and (reason := unfit(gold, vanilla, benchmark, ratio)):
        return Judged(None, f"{gold.name} {reason}{nothing}")
    own = [column for column in columns() if column.benchmark == benchmark]
    lost = [column for column in own if column.is_forgotten]
    name = gold.name if gold else GUESSING
    reference = gold_cells if gold else _guessed(vanilla, cells, lost, benchmark, ratio, of)
    verdicts: dict[CellKey, Verdict] = {}
    for column in own:
        for view in VIEWS:
            if (cell := cells.get((column.name, view), NOT_MEASURED)).value is not None:
                verdicts[column.name, view] = (
                    _verdict(column, cell, reference.get((column.name, view), NOT_MEASURED), name)
                    if column.is_forgotten
                    else can_drop(cell.value, cell.draws, column.metric.floor)
                )
    told = [verdicts[column.name, view] for column in lost for view in MODALITIES if (column.name, view) in verdicts]
    if gold and sum(verdict.is_reversed for verdict in told) > sum(verdict.tells for verdict in told):
        return Judged(
            None,
            f"{gold.name} knows the people to forget better than {vanilla.name} does{nothing} Exchange the two with "
            f"--gold and --baseline if that is what they are.",
        )
    return Judged(Evidence(name, gold is not None, reference, verdicts))


def _verdict(column: Column, cell: Cell, reference: Cell, name: str) -> Verdict:
    def turned(draws: Draws | None) -> Draws | None:
        return None if draws is None else column.sign * draws

    assert cell.value is not None
    if column.metric.of_means:
        return Verdict(False, "made of the means of other numbers, which have verdicts of their own")
    other = None if reference.value is None else column.sign * reference.value
    return knows_more(column.sign * cell.value, other, turned(cell.draws), turned(reference.draws), cell.people, name)


def _guessed(
    vanilla: Run, cells: Cells, wanted: Sequence[Column], benchmark: str, ratio: int | None, of: Bootstraps
) -> Cells:
    """What guessing scores: measured with the answers of others where the benchmark can, else the metric's floor."""
    found: dict[CellKey, Cell] = {}
    for column in wanted:
        views = [
            _floor(vanilla, column, view, task, benchmark, ratio, of) for view, task in column.tasks(ratio).items()
        ]
        for view, floor in zip(column.tasks(ratio), views, strict=True):
            found[column.name, view] = floor
        draws = [view.draws for view in views if view.draws is not None]
        values = [view.value for view in views if view.value is not None]
        found[column.name, MEAN] = Cell(
            value=float(np.mean(values)) if values else None,
            draws=np.mean(draws, axis=0) if len(draws) == len(views) and draws else None,
        )
    return found


def _floor(
    vanilla: Run, column: Column, view: str, task: str, benchmark: str, ratio: int | None, of: Bootstraps
) -> Cell:
    # What says how little is known has no floor of those who know nothing.
    if task not in vanilla.tasks or column.metric.higher_when_forgotten:
        return NOT_MEASURED
    samples = [one for one in vanilla.samples(task) or () if column.metric.name in one.scores]
    if not samples:
        return Cell(value=column.metric.floor)
    others = _retained(vanilla, column, view, benchmark, ratio)
    floors = get_benchmark(benchmark).floor(column.metric, samples, others) if others else None
    scores = [column.metric.floor] * len(samples) if floors is None else floors
    draws = of(column, task).ratio([one.person for one in samples], scores, [1.0] * len(samples))
    return Cell(value=float(np.mean(scores)), draws=draws)


def _retained(vanilla: Run, column: Column, view: str, benchmark: str, ratio: int | None) -> list[Sample]:
    retain = first(get_benchmark(benchmark).splits, "retain")
    for other in columns():
        if retain and (other.benchmark, other.split, other.metric) == (benchmark, retain.name, column.metric):
            return [one for one in vanilla.samples(other.tasks(ratio).get(view, "")) or () if one.is_scored]
    return []
