"""How much there is in a copy of MLLMU-Bench, beside the published counts (the paper's Table 3)."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Sequence

from lmms_manu.benchmarks.mllmu.names import CELEBRITY_SET, FULL_SET, TASKS, TEST_SET
from lmms_manu.benchmarks.mllmu.people import people_of, readings_of
from lmms_manu.benchmarks.mllmu.profiles import Skipped
from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.names import MODALITIES

_COUNTED = (FULL_SET, TEST_SET, CELEBRITY_SET)
_KINDS = {"classification": "multiple-choice", "generation": "generation", "cloze": "cloze"}


@dataclasses.dataclass(frozen=True)
class Count:
    """A line of the statistics.

    Args:
        label: what is counted.
        found: how many there are in this copy.
        published: how many the paper gives, None where it gives none.
    """

    label: str
    found: int
    published: int | None = None

    @property
    def differs(self) -> bool:
        """Whether the copy differs from what was published."""
        return self.published not in (None, self.found)


@dataclasses.dataclass(frozen=True)
class DatasetStatistics:
    """The counts of a copy, and what in it cannot be used and is not counted."""

    counts: tuple[Count, ...]
    skipped: tuple[Skipped, ...]


def dataset_statistics(source: DatasetSource) -> DatasetStatistics:
    """Counts people, usable questions and usable pictures of the full set, the Test set and the celebrities.

    The forget and retain sets are parts of the full set and are not counted again. Every picture is read through: one
    that is cut off is none.
    """
    questions: collections.Counter[tuple[str, str]] = collections.Counter()
    pictures = 0
    skipped: list[Skipped] = []
    for config in _COUNTED:
        people = people_of(source, config)
        skipped += people.skipped
        for person, row in people.rows.items():
            whole = [source.decodes(config, row, index) for index in range(source.pictures(config, row))]
            pictures += sum(whole)
            skipped += _unusable(config, row, person, whole)
        for task, modality in itertools.product(TASKS, MODALITIES):
            by_row = readings_of(source, config, task, modality)
            for reading in itertools.chain.from_iterable(by_row[row] for row in people.rows.values()):
                if isinstance(reading, Skipped):
                    skipped.append(dataclasses.replace(reading, reason=f"{modality} {task}: {reading.reason}"))
                else:
                    questions[task, modality] += 1
    return DatasetStatistics(_counts(source, questions, pictures), tuple(skipped))


def _unusable(config: str, row: int, person: str, whole: Sequence[bool]) -> Iterator[Skipped]:
    """The pictures of a row that are cut off or none; `whole` says of each whether it decodes."""
    for index, is_whole in enumerate(whole):
        if not is_whole:
            yield Skipped(config, row, person, f"picture {index + 1} is missing or does not decode", questions=0)
    if not whole:
        yield Skipped(config, row, person, "there is no picture", questions=0)


def _counts(source: DatasetSource, questions: collections.Counter[tuple[str, str]], pictures: int) -> tuple[Count, ...]:
    fictitious, celebrities = (len(people_of(source, config).rows) for config in (FULL_SET, CELEBRITY_SET))
    published = {"classification": 11_530, "generation": 4_612, "cloze": 4_612}
    by_modality = {modality: sum(questions[task, modality] for task in TASKS) for modality in MODALITIES}
    by_task = {task: sum(questions[task, modality] for modality in MODALITIES) for task in TASKS}
    return (
        Count("people", fictitious + celebrities, 653),
        Count("  fictitious", fictitious, 500),
        Count("  celebrities", celebrities, 153),
        Count("pictures", pictures),
        Count("questions", questions.total(), 20_754),
        Count("  with the picture", by_modality["multimodal"], 10_377),
        Count("  as text only", by_modality["text"], 10_377),
        *(Count(f"  {_KINDS[task]} questions", by_task[task], published[task]) for task in TASKS),
    )
