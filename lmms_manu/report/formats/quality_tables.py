"""The table of forget quality: each run's truth ratios against gold's."""

from __future__ import annotations

from lmms_manu.report.cells import Section
from lmms_manu.report.forget_quality import QualityCell
from lmms_manu.report.formats.numbers import DASH, plain
from lmms_manu.report.formats.table import Entry, Head, Line, Table

_CAPTION = (
    "The largest distance between the distribution functions of a run's truth ratios and gold's (Kolmogorov-Smirnov); "
    "p is that of the permutation test over people, behind it the one that takes questions for independent. A small p "
    "says that it is not like gold; a large one that no difference was found."
)


def forget_quality(section: Section) -> Table | None:
    """Each run against gold, by split and modality; None where no likelihoods of both were read."""
    rows = [row for row in section.rows if row.quality]
    if not rows:
        return None
    places = list(dict.fromkeys((cell.split, cell.modality) for row in rows for cell in row.quality))
    lines = []
    for row in rows:
        own = {(cell.split, cell.modality): cell for cell in row.quality}
        entries = tuple(_entry(own[place]) if place in own else Entry(DASH) for place in places)
        lines.append(Line(row.name, entries, is_baseline=row.is_baseline, is_reference=row.is_control))
    heads = tuple(Head(modality, group=split) for split, modality in places)
    return Table(f"{section.title}, truth ratios against gold's", heads, tuple(lines), _CAPTION)


def _entry(cell: QualityCell) -> Entry:
    if cell.test is None:
        return Entry(cell.reason)
    test = cell.test
    told = f"p {plain(test.p_people, 3)} ({plain(test.p_questions, 3)}), n {test.questions} of {test.people}"
    return Entry(plain(test.statistic, 3), interval=told, number=test.statistic)
