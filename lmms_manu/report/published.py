"""Rows that somebody published, to be shown beside one's own: those of the MANU paper, and of files in its form."""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lmms_manu.benchmarks.base import MODALITIES
from lmms_manu.errors import one_of
from lmms_manu.models.settings import DEFAULT_CHECKPOINT
from lmms_manu.report.cells import Cell, CellKey, Published, Report, Row, Section
from lmms_manu.report.derived import derive
from lmms_manu.report.metrics import MEAN, columns
from lmms_manu.report.naming import with_size
from lmms_manu.report.problems import Problem
from lmms_manu.report.published_file import Number, read_published
from lmms_manu.report.runs import Run

PAPER = "Liu et al., ACL 2025 (arXiv 2502.15910)"
MODELS = ("llava-1.5-7b", "llava-1.5-13b", "idefics2-8b")
_VANILLA = "vanilla"
_METHODS = {
    "vanilla": "Vanilla",
    "manu": "MANU",
    "gradient_ascent": "Gradient ascent",
    "gradient_difference": "Gradient difference",
    "kl_minimisation": "KL minimisation",
    "prompting": "Prompting",
    "npo": "NPO",
    "ablation_no_abs": "MANU without I_abs",
    "ablation_no_freq": "MANU without I_freq",
    "ablation_no_var": "MANU without I_var",
    "ablation_no_rms": "MANU without I_rms",
}
_NEAR = 1.34
"""A model called 7B has so many times fewer or more parameters at most."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A publication.

    Args:
        name: the rows' mark beside `published`; empty for the paper.
        title: what people know it by.
        numbers: of one model or several, in order.
    """

    name: str
    title: str
    numbers: tuple[Number, ...]

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(number.model for number in self.numbers))

    def of(self, models: Iterable[str]) -> Source:
        """Only what it says of these models."""
        chosen = frozenset(models)
        return dataclasses.replace(self, numbers=tuple(one for one in self.numbers if one.model in chosen))


def paper(model: str) -> Source:
    """The MANU paper's tables of one model.

    Raises:
        SettingError: an unknown model.
    """
    if model not in MODELS:
        raise one_of("reference", model, MODELS)
    return _paper().of([model])


def published_file(path: str | Path, runs: Sequence[Run] = ()) -> Source:
    """The tables of a file: those of the models that `runs` are of, where it has any of them, else all.

    Raises:
        DataError: it is not one of published numbers.
    """
    source = Source(Path(path).stem, Path(path).name, read_published(path))
    return source.of([model for model in source.models if _is_evaluated(model, runs)] or source.models)


@functools.cache
def _paper() -> Source:
    with importlib.resources.as_file(importlib.resources.files(__package__) / "published.csv") as file:
        return Source("", PAPER, tuple(sorted(read_published(file), key=lambda number: int(number.table))))


def rows_of(source: Source, benchmark: str, forget_ratio: int | None) -> tuple[Row, ...]:
    """The rows of a publication for the people of a benchmark, as they stand in its tables.

    Where two tables give different values for the same entry the one that comes first is shown, and the row's note
    says so; errata of the tables stand in the cells' notes.
    """
    found: dict[tuple[str, str, str], dict[CellKey, Cell]] = {}
    conflicts: dict[tuple[str, str, str], set[str]] = {}
    for number in source.numbers:
        if (number.benchmark, number.forget_ratio) == (benchmark, forget_ratio):
            key = (number.model, number.method, number.prune_rate)
            known = found.setdefault(key, {}).setdefault(number.place, number.cell)
            if known.value != number.cell.value:
                conflicts.setdefault(key, set()).add(number.table)
    models = list(dict.fromkeys(model for model, _, _ in found))
    rows = []
    for key in sorted(found, key=lambda key: (models.index(key[0]), *_order(*key[1:]))):
        cells, vanilla = (_with_means(found.get(one, {})) for one in (key, (key[0], _VANILLA, "")))
        rows.append(_row(source, key, cells, vanilla, benchmark, many=len(models) > 1))
        if tables := sorted(conflicts.get(key, ())):
            where = f"table {', '.join(tables)} of the paper gives" if not source.name else f"{source.title} gives"
            rows[-1] = dataclasses.replace(rows[-1], note=f"{where} other values for some entries")
    return tuple(rows)


def with_published(report: Report, sources: Sequence[Source]) -> Report:
    """A report with published rows below its own, and a warning for each model that is none of those evaluated."""
    sections = tuple(_with_rows(section, sources) for section in report.sections)
    problems = list(report.problems)
    told = dict.fromkeys(row.published for section in sections for row in section.rows if row.published)
    here = ", ".join(dict.fromkeys(with_size(_base(run), _size(run)) for run in _sized(report.runs)))
    for published in told:
        if not _is_evaluated(published.model, report.runs):
            message = (
                f"the rows of {published.source} are of {published.model}, which no model here is ({here}): "
                "compare methods within a model, not these numbers with those."
            )
            problems.append(Problem("published", message))
    return dataclasses.replace(report, sections=sections, problems=tuple(problems))


def guess_model(checkpoints: Iterable[str]) -> str:
    """The model of the paper that checkpoints of these names are; LLaVA-1.5-7B if none is recognised."""
    names = " ".join(checkpoints).lower()
    if "idefics2" in names:
        return "idefics2-8b"
    return "llava-1.5-13b" if "13b" in names else "llava-1.5-7b"


def _with_rows(section: Section, sources: Sequence[Source]) -> Section:
    rows = [row for source in sources for row in rows_of(source, section.benchmark, section.forget_ratio)]
    published = {column for row in rows for column, _ in row.cells}
    shown = {column.name for column in section.columns} | published
    together = tuple(column for column in columns() if column.name in shown)
    return dataclasses.replace(section, columns=together, rows=(*section.rows, *rows))


def _is_evaluated(model: str, runs: Sequence[Run]) -> bool:
    """Whether any of the runs may be of a published model; those that tell their size are asked first."""
    return any(_is_of(model, run) for run in _sized(runs))


def _sized(runs: Sequence[Run]) -> Sequence[Run]:
    """The runs that tell how large their model is; all where none does."""
    return [run for run in runs if _size(run) is not None] or runs


def _size(run: Run) -> int | None:
    return run.edit.parameters if run.edit is not None else None


def _is_of(model: str, run: Run) -> bool:
    """Whether a run may be of a published model, by the checkpoint's name, and by its size where that was recorded."""
    words = re.findall(r"[a-z0-9.]+", model.lower())
    named = next((float(word[:-1]) for word in words if re.fullmatch(r"\d+(\.\d+)?b", word)), None)
    recorded = _size(run)
    checkpoint = _base(run).lower()
    if recorded is not None and named is not None:
        alike = 1 / _NEAR < recorded / (1e9 * named) < _NEAR
    else:
        sizes = re.findall(r"(?<![a-z0-9.])\d+(?:\.\d+)?b(?![a-z0-9])", checkpoint)
        alike = not sizes or any(size in words for size in sizes)
    return alike and words[0] in checkpoint


def _base(run: Run) -> str:
    """The checkpoint that was edited."""
    return (run.edit.checkpoint if run.edit is not None else "") or run.identity.checkpoint or DEFAULT_CHECKPOINT


def _row(
    source: Source,
    key: tuple[str, str, str],
    cells: dict[CellKey, Cell],
    vanilla: dict[CellKey, Cell],
    benchmark: str,
    *,
    many: bool,
) -> Row:
    model, method, rate = key
    is_vanilla = method == _VANILLA
    if not is_vanilla:
        cells = {place: _changed(cell, vanilla.get(place)) for place, cell in cells.items()}
    name = " ".join(part for part in (_METHODS.get(method, method), f"{rate} %" if rate else "") if part)
    mark = ", ".join(filter(None, ("published", source.name, model if many else "")))
    return Row(
        name=f"{name} ({mark})",
        cells=cells,
        derived={} if is_vanilla else derive(cells, vanilla, benchmark),
        is_baseline=is_vanilla,
        published=Published(source.title, model),
    )


def _with_means(cells: dict[CellKey, Cell]) -> dict[CellKey, Cell]:
    """The cells with the mean of both modalities, where these alone were published."""
    means = {}
    for name in {name for name, _ in cells}:
        values = [cells[name, modality].value for modality in MODALITIES if (name, modality) in cells]
        measured = [value for value in values if value is not None]
        if len(measured) == len(MODALITIES):
            means[name, MEAN] = Cell(value=sum(measured) / len(measured))
    return {**means, **cells}


def _changed(cell: Cell, vanilla: Cell | None) -> Cell:
    if cell.value is None or vanilla is None or vanilla.value is None:
        return cell
    return Cell(value=cell.value, change=cell.value - vanilla.value, note=cell.note)


def _order(method: str, rate: str) -> tuple[int, float]:
    known = list(_METHODS)
    return (known.index(method) if method in known else len(known)), float(rate or 0)
