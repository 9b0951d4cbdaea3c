"""Writes a gate's outcomes: in the terminal, as JUnit XML, as Markdown for a step summary."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lmms_manu.report.formats.markdown import escape
from lmms_manu.report.formats.numbers import DASH, interval_text, plain
from lmms_manu.report.gate.config import Condition
from lmms_manu.report.gate.outcomes import Outcome
from lmms_manu.terminal import print_table

_HEADS = ("", "condition", "what", "value", "95 % interval", "limit")
# What XML 1.0 cannot hold.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def summary(outcomes: Sequence[Outcome]) -> str:
    """One sentence: how many checks held."""
    held = sum(outcome.held for outcome in outcomes)
    state = "passed" if held == len(outcomes) else "failed"
    return f"Gate {state}: {held} of {len(outcomes)} checks held."


def show(outcomes: Sequence[Outcome], console: Console) -> None:
    """Prints the table, failures in red, and the sentence."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in _HEADS:
        table.add_column(head, justify="right" if head in ("value", "95 % interval") else "left", overflow="fold")
    for outcome in outcomes:
        style = "" if outcome.held else "red"
        table.add_row(*(Text(text, style=style) for text in _row(outcome)))
        if outcome.reason:
            table.add_row("", Text(outcome.reason, style="red"))
    print_table(table, console)
    console.print(Text(summary(outcomes), style="bold green" if all(v.held for v in outcomes) else "bold red"))


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The table as Markdown, for `GITHUB_STEP_SUMMARY`."""
    lines = [f"### {summary(outcomes)}", "", "|" + "|".join([*_HEADS, "reason"]) + "|", "|---" * 7 + "|"]
    lines += ["|" + "|".join(escape(text) for text in [*_row(outcome), outcome.reason]) + "|" for outcome in outcomes]
    return "\n".join(lines) + "\n"


def junit(outcomes: Sequence[Outcome]) -> str:
    """JUnit XML: one test case an outcome, in the class of its condition."""
    failures = sum(not outcome.held for outcome in outcomes)
    counts = {"tests": str(len(outcomes)), "failures": str(failures), "errors": "0"}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "lmms-manu gate", **counts, "skipped": "0"})
    for outcome in outcomes:
        names = {"classname": _xml(outcome.condition.name), "name": _xml(outcome.subject), "time": "0"}
        case = ElementTree.SubElement(suite, "testcase", names)
        if not outcome.held:
            failure = ElementTree.SubElement(case, "failure", {"message": _xml(outcome.reason)})
            failure.text = _xml(" ".join(filter(None, _row(outcome)[1:])))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _row(outcome: Outcome) -> tuple[str, ...]:
    return (
        "✓" if outcome.held else "✗",
        outcome.condition.name,
        outcome.subject,
        DASH if outcome.value is None else plain(outcome.value, 2),
        interval_text(outcome.interval, 2),
        _limit(outcome.condition),
    )


def _limit(condition: Condition) -> str:
    words = condition.bound.replace("_", " ").replace("percent of baseline", "% of baseline")
    return f"{words} {condition.limit:g}" + (", with its interval" if condition.interval else "")


def _xml(text: str) -> str:
    return _NOT_XML.sub("�", text)
