"""What a report consists of: sections of rows of cells, without a word on how they look."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from lmms_manu.attacks.outcomes import Outcome
from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, get_benchmark
from lmms_manu.evidence.bootstrap import Draws
from lmms_manu.evidence.validity import Verdict
from lmms_manu.report.forget_quality import QualityCell
from lmms_manu.report.metrics import MEAN, Column
from lmms_manu.report.problems import Problem
from lmms_manu.report.runs import Run

CellKey = tuple[str, str]
"""The name of a column, such as `forget.cloze`, and a view: `mean`, `multimodal` or `text`."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One number of a report.

    Args:
        value: in the unit of its metric; None if it was not measured.
        interval: 95 % interval of the value, None where the questions are not at hand.
        spread: the lowest and the highest value, where the value is a mean over seeds.
        change: the value minus the baseline's, in the unit of the metric.
        change_interval: 95 % interval of the change, paired by person.
        questions: how many questions it averages.
        people: how many people they are about; for a benchmark without people the questions.
        note: why something is missing, or what to bear in mind.
        rank: 1 for the best of its column, 2 for the second, 0 for the others.
        draws: the value in every draw of people, `[resamples]`.
    """

    value: float | None = None
    interval: tuple[float, float] | None = None
    spread: tuple[float, float] | None = None
    change: float | None = None
    change_interval: tuple[float, float] | None = None
    questions: int | None = None
    people: int | None = None
    note: str = ""
    rank: int = 0
    draws: Draws | None = dataclasses.field(default=None, repr=False, compare=False)


NOT_MEASURED = Cell(note="not measured")


@dataclasses.dataclass(frozen=True)
class Published:
    """Where a row comes from that nobody here measured.

    Args:
        source: the publication.
        model: what was edited there.
    """

    source: str
    model: str


@dataclasses.dataclass(frozen=True)
class Row:
    """One model of a section.

    Args:
        name: the run's name, or the published method's.
        cells: the numbers by column and view.
        derived: the derived numbers by name: see `lmms_manu.report.derived`.
        run: the run, None for a row that is not one: published, or a mean over seeds.
        is_baseline: whether the others are compared with it.
        published: where its numbers were published; None for those of a run.
        is_gold: whether it is the model that never met the people to forget.
        is_control: whether it is a control: the same edit of what was drawn.
        controls: the names of the rows that are controls of this one.
        members: the names of the rows that it is the mean of.
        note: what to bear in mind about the whole row.
        attacks: what came of the attacks on the run's model.
        quality: its forget quality against gold.
    """

    name: str
    cells: Mapping[CellKey, Cell]
    derived: Mapping[str, Cell] = dataclasses.field(default_factory=dict)
    run: Run | None = None
    is_baseline: bool = False
    published: Published | None = None
    is_gold: bool = False
    is_control: bool = False
    controls: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    note: str = ""
    attacks: tuple[Outcome, ...] = ()
    quality: tuple[QualityCell, ...] = ()

    @property
    def is_published(self) -> bool:
        """Whether its numbers were published elsewhere."""
        return self.published is not None

    @property
    def is_candidate(self) -> bool:
        """Whether it is one of the models that are to be judged, and none that they are held against."""
        return not (self.is_baseline or self.is_gold or self.is_control or self.is_published)

    def cell(self, column: Column | str, view: str = MEAN) -> Cell:
        name = column if isinstance(column, str) else column.name
        return self.cells.get((name, view), NOT_MEASURED)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What the numbers of a section stand on.

    Args:
        reference: the name of gold's row, or `guessing` where there is no gold.
        is_gold: whether the reference is a model that never met the people.
        cells: the reference's numbers by column and view, of splits that were to be forgotten.
        verdicts: what each column can tell, by column and view.
    """

    reference: str
    is_gold: bool
    cells: Mapping[CellKey, Cell]
    verdicts: Mapping[CellKey, Verdict]

    def tells(self, column: Column | str, view: str = MEAN) -> bool:
        """Whether a column's numbers may go into a mean; so may those on which there is no verdict."""
        name = column if isinstance(column, str) else column.name
        verdict = self.verdicts.get((name, view))
        return verdict is None or verdict.tells

    def is_mute(self, column: Column | str, view: str = MEAN) -> bool:
        """Whether an interval shows that a column cannot tell."""
        name = column if isinstance(column, str) else column.name
        verdict = self.verdicts.get((name, view))
        return verdict is not None and not verdict.tells and verdict.interval is not None


@dataclasses.dataclass(frozen=True)
class Frontier:
    """What a method forgot over what it cost, from all of its strengths.

    Args:
        name: of the method, without its strength.
        members: the names of the rows of its strengths, the cheapest first.
        at: the share forgotten in percent at retain costs that methods are compared at; where no strength costs so
            much the value is None, and the note tells the most that was forgotten for less.
        curve: the whole frontier: even retain costs, each with the share forgotten.
    """

    name: str
    members: tuple[str, ...]
    at: Mapping[float, Cell]
    curve: tuple[tuple[float, Cell], ...]


@dataclasses.dataclass(frozen=True)
class Section:
    """The models that are compared at one forget ratio of one benchmark.

    Args:
        forget_ratio: percent of the people; None if no result belongs to a ratio.
        columns: what any of the rows measured, with the gaps of a split that was run.
        rows: the runs, then the published rows.
        benchmark: whose people were to be forgotten.
        evidence: what the numbers stand on; None without a vanilla model to start from, or with a gold that is none.
        frontiers: of the methods that ran at several strengths.
    """

    forget_ratio: int | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    benchmark: str = DEFAULT_BENCHMARK
    evidence: Evidence | None = None
    frontiers: tuple[Frontier, ...] = ()

    @property
    def key(self) -> str:
        """What tells it apart from the other sections, for addresses: `10`, `all`, `other-10`."""
        ratio = str(self.forget_ratio or "all")
        return ratio if self.benchmark == DEFAULT_BENCHMARK else f"{self.benchmark}-{ratio}"

    @property
    def title(self) -> str:
        title = "All people" if self.forget_ratio is None else f"Forget {self.forget_ratio} %"
        if self.benchmark == DEFAULT_BENCHMARK:
            return title
        name = get_benchmark(self.benchmark).title
        return name if self.forget_ratio is None else f"{name}, {title.lower()}"

    @property
    def baseline(self) -> Row | None:
        return next((row for row in self.rows if row.is_baseline and not row.is_published), None)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the benchmark that have columns."""
        return tuple(dict.fromkeys(column.split for column in self.columns if column.benchmark))

    def columns_of(self, split: str) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.split == split)


@dataclasses.dataclass(frozen=True)
class Report:
    """Everything that an output shows.

    Args:
        sections: one for each forget ratio of each benchmark.
        runs: the runs, in the user's order.
        baseline: the name of the run that the others are compared with, None without one.
        problems: what a reader of the numbers has to know.
    """

    sections: tuple[Section, ...]
    runs: tuple[Run, ...]
    baseline: str | None
    problems: tuple[Problem, ...]
