"""Truth ratios against gold's, from the harness's own results of a leaf of likelihoods."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from scipy.stats import ks_2samp
from support.harness_results import evaluate

from lmms_manu.answering.requests import Likelihood, written
from lmms_manu.methods.record import EditRecord
from lmms_manu.report import leaderboard
from lmms_manu.report.comparison import compare
from lmms_manu.report.formats import json_report, markdown, terminal
from lmms_manu.report.page.build import render
from lmms_manu.report.runs import read_runs

LEAF, KEPT = "mllmu_forget_10_likelihood_text", "mllmu_retain_10_likelihood_text"
FORGOTTEN: dict[str, str | int] = {"benchmark": "mllmu", "forget_ratio": 10}
EDIT = EditRecord("npo", "MLLMMU/LLaVA_Vanilla", change="tensors", fingerprint="beef", forgotten=FORGOTTEN)


Likely = Callable[[float], float]


def right_option(likely: Likely, kept: Likely | None = None) -> Callable[[Mapping[str, Any]], str]:
    """Finds the right option so likely, by a draw for each question, `kept` of those to keep; each wrong one 0.1."""

    def answer(document: Mapping[str, Any]) -> str:
        draw = zlib.crc32(f"{document['leaf']}/{document['person']}/{document['number']}".encode()) % 1000 / 1000
        count = 4 if document["options"] else 1
        own = kept if kept is not None and document["leaf"] == KEPT else likely
        probabilities = (own(draw), *[0.1] * (count - 1))
        return written([Likelihood((math.log(value),), (value > 0.5,)) for value in probabilities])

    return answer


def nothing(draw: float) -> float:
    """What a model finds likely that never met anybody."""
    return 0.05 + 0.1 * draw


@pytest.fixture(scope="module")
def report(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("likelihoods")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMMS_MANU_DATASET", str(dataset))
        patch.setenv("LMMS_MANU_EXEMPLARS", "classification=0")
        patch.setenv("LMMS_MANU_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        forget = [LEAF, LEAF.replace("text", "multimodal")]
        every = [*forget, KEPT]
        evaluate(folder / "vanilla", every, right_option(lambda draw: 0.9), model_args="prune_rate=0")
        never = right_option(nothing, kept=lambda draw: 0.9)
        evaluate(folder / "gold", every, never, model_args="prune_rate=0,pretrained=models/gold")
        evaluate(folder / "edited", forget, right_option(nothing), model_args="method=npo,forget_ratio=10", edit=EDIT)
        destroyed = dataclasses.replace(EDIT, method="ga", fingerprint="dead")
        arguments = "method=ga,forget_ratio=10"
        evaluate(folder / "destroyed", every, right_option(lambda draw: 1e-4), model_args=arguments, edit=destroyed)
    places = [f"{name}={folder / name}" for name in ("vanilla", "gold", "edited", "destroyed")]
    return compare(read_runs(places), resamples=200)


def rows(report: Any) -> dict[str, Any]:
    return {row["name"]: row for row in json.loads(json.dumps(json_report.build(report)))["sections"][0]["rows"]}


def test_a_run_like_gold_is_told_from_one_that_knows(report: Any) -> None:
    found = {name: row.get("forget_quality") for name, row in rows(report).items()}
    assert found["gold"] is None
    edited, vanilla = found["edited"][-1], found["vanilla"][-1]
    assert (edited["split"], edited["modality"]) == ("Forget set", "text")
    assert (edited["test"]["statistic"], edited["test"]["p_people"]) == (0, 1)
    assert vanilla["test"]["statistic"] == 1
    assert vanilla["test"]["people"] == 4
    # Of the sixteen exchanges of four people two are as extreme.
    assert vanilla["test"]["p_people"] == pytest.approx(1 / 8, abs=0.02)
    count = vanilla["test"]["questions"]
    assert vanilla["test"]["p_questions"] == pytest.approx(ks_2samp([0] * count, [1] * count).pvalue)


def test_every_form_of_the_report_shows_it(report: Any) -> None:
    console = Console(file=io.StringIO(), width=200)
    terminal.show(report, console)
    for shown in (console.file.getvalue(), markdown.render(report), render(report)):  # type: ignore[attr-defined]
        assert "truth ratios against gold" in " ".join(shown.split())
        assert "p 1.000 (1.000)" in shown


def test_a_truth_ratio_near_one_shows_that_little_is_known(report: Any) -> None:
    evidence = report.sections[0].evidence
    verdict = evidence.verdicts["forget.truth_ratio", "text"]
    assert verdict.tells
    assert verdict.difference > 0


def test_a_destroyed_model_has_no_rank_by_likelihoods_and_neither_has_one_whose_cost_nobody_knows(report: Any) -> None:
    """A destroyed model finds every answer least likely, and so wins any score of forgetting alone."""
    entries = leaderboard.entries_of(report, who="ada")
    of = {entry["name"]: entry for entry in entries}
    assert (leaderboard.lost(of["destroyed"], "mllmu") or 0) > 50
    assert leaderboard.lost(of["edited"], "mllmu") is None, "it was asked about nobody who is to be kept"
    text = leaderboard.render(entries, "forget.answer_probability")
    places = {line.split(" | ")[1]: line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")}
    assert places["destroyed"] == places["edited"] == "| –"
    assert places["vanilla"] == "| 1"
