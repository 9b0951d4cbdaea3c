"""What a benchmark of unlearning says about itself: methods, reports and the harness's plugin ask it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, get_args

from PIL import Image

from lmms_manu.benchmarks.example import Example
from lmms_manu.benchmarks.sample import Sample
from lmms_manu.errors import one_of
from lmms_manu.settings import Settings

MODALITIES = ("multimodal", "text")

Role = Literal["forget", "retain", "control"]
"""Whom a split asks about: those to be forgotten, those to be kept, or others whom unlearning is not about at all."""


class DataChoice(Protocol):
    """What a benchmark reads of the settings of unlearning; its own arguments come in a class derived from them."""

    @property
    def forget_ratio(self) -> int | None:
        """How many people are to be forgotten, in percent; None where there is one forget set only."""


@dataclasses.dataclass(frozen=True)
class Split:
    """Some of a benchmark's questions, by whom they are about.

    Args:
        name: its name in columns and tasks, such as `forget`.
        title: its heading, such as `Forget set`.
        role: what is to happen to what it asks about.
    """

    name: str
    title: str
    role: Role

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise one_of(f"role of the split {self.name}", self.role, get_args(Role))

    @property
    def is_forgotten(self) -> bool:
        """Whether low scores are good: it asks about what was to be forgotten."""
        return self.role == "forget"


@dataclasses.dataclass(frozen=True)
class Metric:
    """One score.

    Args:
        name: its name in reports, gates and leaderboards.
        label: its heading.
        kind: the kind of task that reports it, such as `cloze`; a stock benchmark is a kind of its own.
        key: its name in the harness's results.
        scale: what a value of the harness is multiplied with to be shown.
        digits: decimals shown.
        unit: `%` for shares, empty for scores.
        per: the harness's metric that it is divided by, for counts; empty for the others.
        proof: the metric without which a count of zero says nothing; empty for the others.
        higher_is_better: for what is to be kept; on a forget split it is the other way round.
        floor: what a model that knows nothing scores, as shown: 25 for a choice of four.
        maximum: the highest score, as shown.
        is_right_or_wrong: whether an answer is either right or wrong, and not something between.
        higher_when_forgotten: whether higher is better on a split that is to be forgotten, as of a score that says
            itself how little is known.
        in_rates: whether the rates of forgetting and retention are made of it.
        of_means: whether it is made of the means of other metrics, so that no question has a value of it.
    """

    name: str
    label: str
    kind: str
    key: str
    scale: float = 1.0
    digits: int = 2
    unit: str = "%"
    per: str = ""
    proof: str = ""
    higher_is_better: bool = True
    floor: float = 0.0
    maximum: float = 100.0
    is_right_or_wrong: bool = False
    higher_when_forgotten: bool = False
    in_rates: bool = True
    of_means: bool = False

    def read(self, values: Mapping[str, float]) -> float | None:
        """The value to show, from a task's results; None if it was not measured."""
        value = values.get(self.key)
        if value is None or not self.per:
            return None if value is None else value * self.scale
        if value == 0 and self.proof and self.proof not in values:
            return None
        total = values.get(self.per)
        return self.scale * value / total if total else None


@dataclasses.dataclass(frozen=True)
class Aggregate:
    """The harmonic mean of one metric over several splits, which a benchmark's paper reports.

    Args:
        name: its name in reports and gates.
        label: its heading.
        meaning: what it is made of, in words.
        metric: the metric's name.
        splits: the names of the splits, none of which is to be forgotten.
    """

    name: str
    label: str
    meaning: str
    metric: str
    splits: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Task:
    """A task of the harness that belongs to a benchmark.

    Args:
        benchmark: the benchmark's name.
        name: the harness's name of the task.
        split: the name of the split that it asks about.
        kind: what is asked; `Metric.kind` says which metrics it reports.
        modality: one of `MODALITIES`.
        ratio: the forget ratio whose people it asks about, in percent; None where it is the same at every ratio.
        group: the harness's group of tasks of its split and ratio that are run together.
        reads_likelihoods: whether the model is to score given continuations, and not to answer.
    """

    benchmark: str
    name: str
    split: str
    kind: str
    modality: str
    ratio: int | None
    group: str
    reads_likelihoods: bool = False

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise one_of(f"modality of {self.name}", self.modality, MODALITIES)


class Benchmark(Protocol):
    """A benchmark. Derive from this class, and name yours in the registry: docs/adding-a-benchmark.md.

    Attributes:
        name: its name in arguments and records, such as `mllmu`.
        title: its name for people.
        splits: whom it asks about. The first one of role `forget` and the first of role `retain` are what rates of
            forgetting and retention are made of; every other one has a rate of its own.
        metrics: its scores, in the order of a table's columns.
        quality: counts of answers that could not be used; less is better.
        aggregates: numbers over several splits, in the order of a table's columns.
        ratios: the forget ratios that it offers, in percent; empty if there is one forget set only.
        settings: its own arguments, a class derived from `UnlearningSettings`; None if it has no further ones.
        asks_what_there_is: whether its data decides which of its tasks there are; the others are no gap of a run, and
            a mean is over the modalities that were asked.
        tasks_folder: the folder of its task files, None for tasks that the package brings or the user includes.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    splits: ClassVar[tuple[Split, ...]]
    metrics: ClassVar[tuple[Metric, ...]]
    quality: ClassVar[tuple[Metric, ...]] = ()
    aggregates: ClassVar[tuple[Aggregate, ...]] = ()
    ratios: ClassVar[tuple[int, ...]] = ()
    settings: ClassVar[type[Settings] | None] = None
    asks_what_there_is: ClassVar[bool] = False
    tasks_folder: ClassVar[Path | None] = None

    def tasks(self) -> Sequence[Task]:
        """All of its tasks, in the order in which they are listed."""
        ...

    def everything(self, ratio: int | None) -> str:
        """The harness's task or group that asks all that there is to ask at a forget ratio."""
        return self.name

    def people(self, role: Role, settings: DataChoice, dataset: str | None = None) -> Sequence[str]:
        """The IDs of those to forget or to retain, in the order of the data; empty where nobody is known.

        Args:
            role: `forget` or `retain`.
            settings: what chooses them, above all `forget_ratio`.
            dataset: the folder or hub name of the data; the one that the tasks ask about if None.

        Raises:
            DataError: the data cannot be read, or has nobody where there should be somebody.
        """
        ...

    def examples(
        self, people: Sequence[str], modality: str, settings: DataChoice, dataset: str | None = None
    ) -> Sequence[Example]:
        """What the model learned about `people` in one modality, in their order; empty without that modality."""
        ...

    def read_sample(self, line: Mapping[str, Any], task: Task) -> Sample:
        """A line of the samples file that the harness wrote for a task, as a report uses it.

        Raises:
            ValueError, KeyError, TypeError, IndexError, AttributeError: the line is none of the task's.
        """
        ...

    def floor(self, metric: Metric, asked: Sequence[Sample], others: Sequence[Sample]) -> Sequence[float] | None:
        """What answers about others score on questions about whom was to be forgotten: the floor without gold.

        Args:
            metric: the metric.
            asked: the questions about whom was to be forgotten.
            others: questions of the same kind and modality about those to retain.

        Returns:
            For each of `asked` the mean score of right answers about others to the same question, as shown; None where
            guessing scores what `metric.floor` says.
        """
        return None

    def another_picture(self, person: str, dataset: str | None = None) -> Callable[[], Image.Image] | None:
        """Opens another picture of a person than that of `examples`; None where there is none."""
        return None

    def new_people(self, modality: str, settings: DataChoice, dataset: str | None = None) -> Sequence[Example]:
        """Examples about people of the same hand whom no model has met, as `examples` gives them; empty without such.

        Only who made the people can make more of them.
        """
        return ()

    def choices(
        self, people: Sequence[str], modality: str, settings: DataChoice, dataset: str | None = None, *, turned: bool
    ) -> Sequence[Example]:
        """Its own multiple-choice questions about people to forget, the right letter for an answer; empty without.

        Args:
            people: whom to ask about.
            modality: of the questions.
            settings: who is to be forgotten.
            dataset: the folder or hub name of the data; the one that the tasks ask about if None.
            turned: whether the options stand in the reverse order.
        """
        return ()

    def conditions(self, task: Task, recorded: Mapping[str, Any]) -> Mapping[str, str]:
        """What has to be the same for all tasks of a run that a row puts side by side.

        Args:
            task: the task.
            recorded: what it left in the results file under `metadata`, `run`.

        Returns:
            By a sentence for the case that it differs ("its tasks were read from different datasets"), the value.
        """
        return {"its tasks were read from different datasets": str(recorded.get("dataset"))}

    def pictures(self, references: Sequence[str], dataset: str) -> Iterator[tuple[str, Image.Image]]:
        """Pictures that a `Sample` refers to, for the page, each with its reference; what does not decode is left out.

        Raises:
            DataError: the dataset, or a part of it that is referred to, cannot be opened.
        """
        return iter(())

    def is_at_hand(self, dataset: str) -> bool:
        """Whether the data that a run names lies on this machine, so that a page may show its pictures unasked."""
        return Path(dataset).is_dir()

    def protocol(self) -> Mapping[str, Any]:
        """What the environment says of how its questions are asked, by variable, defaults included.

        Raises:
            SettingError: a variable has a value that it cannot have.
        """
        return {}

    def files(self) -> Sequence[Path]:
        """The local files that its tasks ask about; none where the data comes from the hub or is missing."""
        return ()

    def meet(self, model_type: str | None) -> None:
        """Is told the `model_type` of the model that its questions go to next, None if it is not known.

        The harness makes the model before it loads the tasks, and hands the tasks nothing of it.
        """
        return

    def choose(self, settings: DataChoice | None) -> None:
        """Is told whom the model that its questions go to next was to forget, None if it is not known.

        For a benchmark whose data the settings name; the harness hands its tasks nothing of the model's arguments.
        """
        return

    def no_questions(self, task: str) -> str:
        """Why the data has no question for a task or a group, which is left out of its group then; empty if it has.

        Raises:
            DataError: the data cannot be read.
        """
        return ""

    def has_judge(self) -> bool:
        """Whether a judge is configured to score answers of its tasks."""
        return False
