"""Writes a gate's verdicts: in the terminal, as JUnit XML, as Markdown for a step summary."""

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
from lmms_manu.report.gate.verdicts import Verdict
from lmms_manu.terminal import print_table

_HEADS = ("", "condition", "what", "value", "95 % interval", "limit")
# What XML 1.0 cannot hold.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def summary(verdicts: Sequence[Verdict]) -> str:
    """One sentence: how many checks held."""
    held = sum(verdict.held for verdict in verdicts)
    state = "passed" if held == len(verdicts) else "failed"
    return f"Gate {state}: {held} of {len(verdicts)} checks held."


def show(verdicts: Sequence[Verdict], console: Console) -> None:
    """Prints the table, failures in red, and the sentence."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in _HEADS:
        table.add_column(head, justify="right" if head in ("value", "95 % interval") else "left", overflow="fold")
    for verdict in verdicts:
        style = "" if verdict.held else "red"
        table.add_row(*(Text(text, style=style) for text in _row(verdict)))
        if verdict.reason:
            table.add_row("", Text(verdict.reason, style="red"))
    print_table(table, console)
    console.print(Text(summary(verdicts), style="bold green" if all(v.held for v in verdicts) else "bold red"))


def markdown(verdicts: Sequence[Verdict]) -> str:
    """The table as Markdown, for `GITHUB_STEP_SUMMARY`."""
    lines = [f"### {summary(verdicts)}", "", "|" + "|".join([*_HEADS, "reason"]) + "|", "|---" * 7 + "|"]
    lines += ["|" + "|".join(escape(text) for text in [*_row(verdict), verdict.reason]) + "|" for verdict in verdicts]
    return "\n".join(lines) + "\n"


def junit(verdicts: Sequence[Verdict]) -> str:
    """JUnit XML: one test case a verdict, in the class of its condition."""
    failures = sum(not verdict.held for verdict in verdicts)
    counts = {"tests": str(len(verdicts)), "failures": str(failures), "errors": "0"}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "lmms-manu gate", **counts, "skipped": "0"})
    for verdict in verdicts:
        names = {"classname": _xml(verdict.condition.name), "name": _xml(verdict.subject), "time": "0"}
        case = ElementTree.SubElement(suite, "testcase", names)
        if not verdict.held:
            failure = ElementTree.SubElement(case, "failure", {"message": _xml(verdict.reason)})
            failure.text = _xml(" ".join(filter(None, _row(verdict)[1:])))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _row(verdict: Verdict) -> tuple[str, ...]:
    return (
        "✓" if verdict.held else "✗",
        verdict.condition.name,
        verdict.subject,
        DASH if verdict.value is None else plain(verdict.value, 2),
        interval_text(verdict.interval, 2),
        _limit(verdict.condition),
    )


def _limit(condition: Condition) -> str:
    words = condition.bound.replace("_", " ").replace("percent of baseline", "% of baseline")
    return f"{words} {condition.limit:g}" + (", with its interval" if condition.interval else "")


def _xml(text: str) -> str:
    return _NOT_XML.sub("�", text)
