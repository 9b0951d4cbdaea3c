"""The figures of a report as files: SVG, PNG and PDF for papers and slides, and the numbers that each shows as CSV."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

from lmms_manu.errors import ManuError
from lmms_manu.files import atomic_path, write_text
from lmms_manu.report.cells import Report

try:
    import altair
    import vl_convert

    from lmms_manu.report.page.charts import FITTING, Plot
    from lmms_manu.report.page.frontier import frontier
    from lmms_manu.report.page.plots import charts_of, plots_of
except ImportError as error:  # the optional dependencies
    raise ManuError(f"Figures need {error.name}: install lmms-manu with its extra `report`.") from error

FOLDER = "figures"
_WIDTH = 640
_CONFIG = {"background": "#ffffff", "font": "sans-serif", "text": {"fill": "#1c2530"}}
_PNG_SCALE = 2.0
_OURS = ("frontier-", "plot-")


def figures_of(report: Report) -> list[Plot]:
    """Every figure of a report: for each section the frontier, then its plots."""
    found = []
    for section in report.sections:
        large = frontier(section, charts_of(section))
        found += [plot for plot in (large, *plots_of(section)) if plot is not None]
    return found


def specification(plot: Plot) -> dict[str, Any]:
    """A figure by itself, in Vega-Lite: its widest drawing, light, on white, with its title.

    Example:
        >>> altair.Chart.from_dict(specification(plot))  # shows it in a notebook  # doctest: +SKIP
    """
    width = max(plot.drawings)
    drawing = plot.drawings[width]
    sized = {"width": _WIDTH} if width == FITTING else {}
    return {**drawing, **sized, "title": {"text": plot.title, "anchor": "start"}, "config": _CONFIG}


def write_figures(report: Report, folder: Path) -> list[Path]:
    """Writes every figure with its numbers; returns the files.

    Args:
        report: the report.
        folder: where `figures/` is made; one of an earlier report is written over.
    """
    written = []
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    for old in place.glob("*-*"):
        if old.name.startswith(_OURS):
            old.unlink()
    version = ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    for plot in figures_of(report):
        name = file_name(plot)
        drawn = specification(plot)
        svg, png, pdf = (place / f"{name}.{ending}" for ending in ("svg", "png", "pdf"))
        write_text(svg, vl_convert.vegalite_to_svg(drawn, vl_version=version))
        _write(png, vl_convert.vegalite_to_png(drawn, vl_version=version, scale=_PNG_SCALE))
        _write(pdf, vl_convert.vegalite_to_pdf(drawn, vl_version=version))
        numbers = place / f"{name}.csv"
        write_text(numbers, _csv(plot))
        written += [svg, png, pdf, numbers]
    return written


def file_name(plot: Plot) -> str:
    """A name that says what it is and is unique in a report, such as `plot-10-1-forget-set`."""
    words = re.sub(r"[^a-z0-9]+", "-", plot.title.partition(":")[0].partition(",")[0].lower()).strip("-")
    return f"{plot.id}-{words}"


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(content)


def _csv(plot: Plot) -> str:
    out = io.StringIO()
    table = csv.DictWriter(out, list(plot.records[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(plot.records)
    return out.getvalue()
