"""The main numbers of a report are made of metrics that can tell who knows, as docs/evidence.md prints it."""

import re
from pathlib import Path

from lmms_manu.benchmarks.registry import get_benchmark

PAGE = Path(__file__).parents[1] / "docs" / "evidence.md"
JUDGED = "Factuality"
"""Needs a judge, and was not tried."""

MODELS = 12
"""That know, and as many that do not."""


def test_no_headline_number_is_made_of_a_metric_that_cannot_tell():
    found = dict(re.findall(r"^\| ([^|]+) \| ([01]\.\d{3}) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert len(found) > 15
    # 1.96 standard errors of the AUC of a coin.
    coin = 0.5 + 1.96 * ((2 * MODELS + 1) / (12 * MODELS**2)) ** 0.5
    headline = [metric.label for metric in get_benchmark("mllmu").metrics if metric.in_rates]
    assert set(headline) - set(found) == {JUDGED}
    for label in headline:
        assert label == JUDGED or float(found[label]) > coin, f"{label} cannot tell"
