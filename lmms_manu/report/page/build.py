"""Builds the page: everything it needs stands in the one file, and text from models and data can only be text."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import itertools
import json
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmms_manu._version import __version__
from lmms_manu.errors import ManuError
from lmms_manu.report.cells import Report, Section
from lmms_manu.report.formats.attack_tables import attacks
from lmms_manu.report.formats.numbers import plain
from lmms_manu.report.formats.quality_tables import forget_quality
from lmms_manu.report.formats.table import Head, Table
from lmms_manu.report.formats.tables import (
    VIEW_TITLES,
    at_costs,
    changes,
    derived,
    main_numbers,
    notes_of,
    quality,
    reading_notes,
    validity,
)
from lmms_manu.report.metrics import UTILITY, VIEWS
from lmms_manu.report.page.question_data import pictures_of, selection_id, selections, task_data
from lmms_manu.report.page.thumbnails import thumbnails
from lmms_manu.report.runs import versions_of
from lmms_manu.report.verdict import verdict

try:
    import itables
    import jinja2
    import vl_convert
    from markupsafe import Markup

    from lmms_manu.report.page.charts import Plot
    from lmms_manu.report.page.frontier import frontier
    from lmms_manu.report.page.plots import charts_of, plots_of
    from lmms_manu.report.page.trainings import trainings_of
except ImportError as error:  # the optional dependencies
    raise ManuError(f"The page needs {error.name}: install lmms-manu with its extra `report`.") from error


def render(report: Report, datasets: Mapping[str, str] | None = None) -> str:
    """The page as HTML.

    Args:
        report: what to show.
        datasets: the folder or hub name of each benchmark whose pictures are to be shown small.

    Raises:
        DataError: the dataset cannot be opened.
    """
    chosen = selections(report)
    tasks = list(dict.fromkeys(task for selection in chosen for task in selection.tasks))
    linked = {selection.id for selection in chosen}
    pictures = thumbnails(pictures_of(tasks, report.runs), datasets or {})
    sections = [_section(section, linked) for section in report.sections]
    trainings = trainings_of(report.runs)
    script = _asset("page.js")
    index = {
        "baseline": report.baseline,
        "runs": [run.name for run in report.runs],
        "selections": [
            {
                "id": entry.id,
                "label": entry.label,
                "metric": entry.metric,
                "tasks": entry.tasks,
                "isRightOrWrong": entry.is_right_or_wrong,
                "factor": entry.factor,
            }
            for entry in chosen
        ],
        "plots": {
            plot.id: _drawings(plot) for plot in (*trainings, *(plot for entry in sections for plot in entry["drawn"]))
        },
    }
    data = {f"task-{task}": _json(task_data(task, report.runs)) for task in tasks}
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["groups"] = _groups
    # Jinja's own `urlencode` leaves the slash, which separates the segments of an address.
    environment.filters["segment"] = lambda name: urllib.parse.quote(name, safe="")
    environment.filters["number"] = lambda value: plain(value, 2) if isinstance(value, float) else value
    return environment.from_string(_asset("page.html.j2")).render(
        version=__version__,
        report=report,
        runs=report.runs,
        sections=sections,
        trainings=trainings,
        notes=notes_of(report),
        reading=reading_notes(report),
        selections=chosen,
        view_titles=VIEW_TITLES,
        versions_of=versions_of,
        policy=_policy(script),
        styles=Markup(_style(_datatables(".css")) + _style(_asset("page.css"))),
        libraries={"datatables": _code(_datatables(".js")), "vega": _code(_vega())},
        data={"index": _json(index), "pictures": _json(pictures), **data},
        script=Markup(script),
    )


def _section(section: Section, linked: set[str]) -> dict[str, Any]:
    views = VIEWS if section.splits else ()
    tables = {view: [changes(section, split, view) for split in section.splits] for view in views}
    large = frontier(section, charts_of(section))
    plots = plots_of(section)
    utility = changes(section, UTILITY)
    return {
        "key": section.key,
        "title": section.title,
        "tables": {view: [_linked(one, section, linked) for one in found if one] for view, found in tables.items()},
        "utility": utility and _linked(utility, section, linked),
        "verdict": verdict(section),
        "frontier": large,
        "main": main_numbers(section),
        "at_costs": at_costs(section),
        "validity": validity(section),
        "attacks": attacks(section),
        "forget_quality": forget_quality(section),
        "derived": derived(section),
        "quality": quality(section),
        "plots": plots,
        "drawn": [plot for plot in (large, *plots) if plot],
    }


def _drawings(plot: Plot) -> dict[str, Any]:
    """A plot's drawings by width, and their numbers once where all draw the same."""
    data = [drawing.get("data") for drawing in plot.drawings.values()]
    shared = data[0] if all(one == data[0] for one in data) else None
    drawings = [
        {
            "width": width,
            "specification": {name: part for name, part in drawing.items() if shared is None or name != "data"},
        }
        for width, drawing in sorted(plot.drawings.items())
    ]
    return {"data": shared, "drawings": drawings}


def _linked(table: Table, section: Section, linked: set[str]) -> tuple[Table, list[str]]:
    """A table of numbers with, for each column, the address of its questions; empty where there are none."""
    first = table.lines[0].entries if table.lines else ()
    ids = [selection_id(section, *entry.source) if entry.source else "" for entry in first]
    return table, [identifier if identifier in linked else "" for identifier in ids]


def _groups(heads: Sequence[Head]) -> list[dict[str, Any]]:
    """Neighbouring headings of the same group, with their number."""
    runs = [(name, len(list(members))) for name, members in itertools.groupby(heads, key=lambda head: head.group)]
    return [{"name": name, "span": span} for name, span in runs]


def _policy(script: str) -> str:
    """A content security policy under which only the page's own script runs, whatever text the page holds."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # The libraries are run from blobs that the script makes; Vega compiles its expressions.
    return (
        f"default-src 'none'; script-src 'sha256-{digest}' blob: 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _json(value: Any) -> Markup:
    """JSON that cannot end the script element that holds it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _code(text: str) -> Markup:
    """JavaScript that cannot end the script element that holds it; what is replaced stands in strings only."""
    return Markup(text.replace("</script", "<\\/script").replace("<!--", "<\\!--"))


def _style(text: str) -> str:
    return f"<style>{text.replace('</style', '')}</style>"


def _asset(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed; the package's type stub asks for an argument that is optional."""
    return str(vl_convert.javascript_bundle())  # type: ignore[call-arg]


def _datatables(suffix: str) -> str:
    folder = Path(str(importlib.resources.files(itables))) / "html"
    return (folder / f"dt_bundle{suffix}").read_text(encoding="utf-8")
