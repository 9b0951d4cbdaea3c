"""Reads what the harness wrote and turns it into a decision: tables, plots, a page, a leaderboard, a gate."""

from lmms_manu.report.cells import Report
from lmms_manu.report.comparison import compare
from lmms_manu.report.runs import Run, read_runs

__all__ = ["Report", "Run", "compare", "read_runs"]
