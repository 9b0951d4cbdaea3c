"""A report in a notebook: the verdict, data frames and figures."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmms_manu.report.cells import Report
from lmms_manu.report.comparison import compare
from lmms_manu.report.formats import csv_report, markdown
from lmms_manu.report.formats.table import Table
from lmms_manu.report.formats.tables import main_numbers, tables_of
from lmms_manu.report.runs import read_runs
from lmms_manu.report.verdict import verdict

if TYPE_CHECKING:
    import altair
    import pandas


@dataclasses.dataclass(frozen=True)
class NotebookReport:
    """What a notebook shows of results, beginning with the verdict.

    Args:
        report: the runs, compared.

    Example:
        >>> found = manu.read_results("results", gold="gold")  # doctest: +SKIP
        >>> found.numbers().query("split == 'forget' and modality == 'text'")  # doctest: +SKIP
        >>> found.figures()["Forget 10 %: what was forgotten, and what it cost"]  # doctest: +SKIP
    """

    report: Report

    def verdict(self) -> list[str]:
        """The verdict of each section in words."""
        return [f"{section.title}: {said}" for section in self.report.sections for said in verdict(section)]

    def numbers(self) -> pandas.DataFrame:
        """Every number with its interval, one a row, in the metrics' own units: what `report.csv` holds."""
        # An optional dependency.
        import pandas

        return pandas.read_csv(io.StringIO(csv_report.render(self.report)), keep_default_na=False, na_values=[""])

    def tables(self) -> dict[str, pandas.DataFrame]:
        """The tables of the report by title, as people read them."""
        return {table.title: _frame(table) for section in self.report.sections for table in tables_of(section)}

    def figures(self) -> dict[str, altair.Chart]:
        """The figures of the report by title."""
        # Optional dependencies.
        import altair

        from lmms_manu.report.page.figures import figures_of, specification

        return {plot.title: altair.Chart.from_dict(specification(plot)) for plot in figures_of(self.report)}

    def _repr_markdown_(self) -> str:
        said = [f"- {markdown.escape(sentence)}" for sentence in self.verdict()]
        main = [table for section in self.report.sections if (table := main_numbers(section))]
        return "\n\n".join(["\n".join(said), *map(markdown.render_table, main)])


def read_results(
    *results: str | os.PathLike[str], baseline: str | None = None, gold: str | None = None, allow: Sequence[str] = ()
) -> NotebookReport:
    """Compares runs: a notebook shows the verdict, and gets data frames and figures.

    Args:
        results: folders of results, or `NAME=FOLDER`, as for `lmms-manu report`.
        baseline: the run that the others are compared with; the one vanilla run if None.
        gold: the run of a model that never met the people to forget; one that is called so if None.
        allow: problems in spite of which to go on.

    Raises:
        DataError: there is nothing to read, or problems that are not allowed.
    """
    runs = read_runs([os.fspath(place) for place in results], allow)
    return NotebookReport(compare(runs, baseline, gold=gold))


def _frame(table: Table) -> pandas.DataFrame:
    # An optional dependency.
    import pandas

    heads = [" ".join(filter(None, [head.group, head.label])) for head in table.heads]
    rows = [[entry.text if entry.number is None else entry.number for entry in line.entries] for line in table.lines]
    return pandas.DataFrame(rows, index=[line.name for line in table.lines], columns=heads)
