"""What attacks brought back of what a run forgot, in every form of the report."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lmms_manu.attacks.outcomes import Outcome, Share
from lmms_manu.attacks.results import FILE, AttackResults
from lmms_manu.errors import DataError
from lmms_manu.report.attacked import attacks_on
from lmms_manu.report.comparison import compare
from lmms_manu.report.formats import json_report, latex, markdown, terminal
from lmms_manu.report.page.build import render
from lmms_manu.report.runs import read_runs

PAPER_MASK = "5eed" * 16
BACK = Outcome(
    "prompts: no system prompt",
    "hidden, not gone: it came back",
    {"before": 0.125, "after": 0.875},
    Share(0.9, (0.8, 0.97)),
    Share(0.04, (0.01, 0.08)),
)
NOTHING = Outcome("pictures: blurred by 2%", "nothing is asked with a picture")


def attacked(**changed: Any) -> AttackResults:
    about = {"checkpoint": "MLLMMU/LLaVA_Vanilla", "fingerprint": PAPER_MASK, "benchmark": "mllmu", "forget_ratio": 10}
    fields: dict[str, Any] = {**about, **changed}
    return AttackResults({}, outcomes=[BACK, NOTHING], **fields)


def test_every_form_of_the_report_tells_what_came_back(results: Path) -> None:
    attacked().save(results / "paper" / FILE)
    report = compare(read_runs([f"{name}={results / name}" for name in ("vanilla", "paper", "ratio")]), resamples=50)
    console = Console(file=io.StringIO(), width=200)
    terminal.show(report, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    page = render(report)
    for shown in (printed, page, markdown.render(report), latex.render(report)):
        for part in ("gone or hidden?", "no system prompt", "hidden, not gone: it came back", "0.875"):
            assert part in shown
    assert "90" in printed
    assert "[80, 97]" in printed
    assert "[1, 8]" in printed
    assert "paper: hidden, not gone (prompts: no system prompt)." in page
    rows = {row["name"]: row for row in json_report.build(report)["sections"][0]["rows"]}
    assert "attacks" not in rows["ratio"]
    first, second = json.loads(json.dumps(rows["paper"]["attacks"]))
    assert first["found"] == {"value": 0.9, "interval": [0.8, 0.97]}
    assert (second["verdict"], second["found"]) == (NOTHING.verdict, None)


def test_attacks_on_another_model_or_about_others_are_not_the_runs(results: Path) -> None:
    (run,) = read_runs([str(results / "paper")])
    about = (run, 10, "mllmu")
    attacked().save(results / "paper" / FILE)
    assert attacks_on(*about) == (BACK, NOTHING)
    for changed in ({"fingerprint": "f00d" * 16}, {"forget_ratio": 5}, {"benchmark": "clear"}, {"checkpoint": "other"}):
        attacked(**changed).save(results / "paper" / FILE)
        assert attacks_on(*about) == ()
    (results / "paper" / FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"attacks\.json cannot be read as results of attacks"):
        attacks_on(*about)
