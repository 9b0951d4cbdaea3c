"""Results in the form of Every Eval Ever, a shared schema of evaluations, version 0.3: a record for each run."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from lmms_manu.benchmarks.registry import get_benchmark
from lmms_manu.report.cells import Cell, Report, Section
from lmms_manu.report.metrics import Column
from lmms_manu.report.records import protocol_of
from lmms_manu.report.runs import Run, versions_of
from lmms_manu.sources import is_hub_name

SCHEMA_VERSION = "0.3.0"
_HARNESS = "lmms-eval"


def records(report: Report) -> dict[str, dict[str, Any]]:
    """A record for each run that has numbers, by its name."""
    found: dict[str, dict[str, Any]] = {}
    for run in report.runs:
        results = [entry for section in report.sections for entry in _results(section, run)]
        if results:
            found[run.name] = _record(run, results)
    return found


def _record(run: Run, results: list[dict[str, Any]]) -> dict[str, Any]:
    when = max(file.when for file in run.files)
    seconds = f"{_seconds(when):.0f}"
    checkpoint = run.identity.checkpoint or (run.edit.checkpoint if run.edit else "") or "default"
    told: dict[str, Any] = {
        "method": run.identity.method,
        "fingerprint": run.fingerprint,
        "forget_ratio": run.identity.forget_ratio,
    }
    told |= {
        "deployment_type": "self_deployed",
        "model_availability": _availability(checkpoint),
        **dict(run.identity.variant),
        **dict(run.identity.settings),
    }
    versions = versions_of(run)
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"unlearning/{checkpoint}/{run.name}/{seconds}",
        "evaluation_timestamp": run.files[-1].evaluated,
        "retrieved_timestamp": seconds,
        "source_metadata": {
            "source_name": "lmms-manu",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
        },
        "eval_library": {
            "name": _HARNESS,
            "version": versions.get(_HARNESS, "unknown"),
            "additional_details": versions,
        },
        "model_info": {
            "name": run.name,
            "id": checkpoint,
            "additional_details": {name: str(value) for name, value in told.items() if value not in (None, "")},
        },
        "evaluation_results": results,
    }


def _availability(checkpoint: str) -> str:
    return "open_weights" if is_hub_name(checkpoint) else "unknown"


def _results(section: Section, run: Run) -> Iterator[dict[str, Any]]:
    row = next((row for row in section.rows if row.run is run), None)
    for column in section.columns if row else ():
        for view, task in column.tasks(section.forget_ratio).items():
            cell = row.cell(column, view) if row else Cell()
            if cell.value is not None and task in run.tasks:
                yield _result(section, column, task, cell, run)


def _result(section: Section, column: Column, task: str, cell: Cell, run: Run) -> dict[str, Any]:
    metric = column.metric
    score: dict[str, Any] = {"score": cell.value}
    if cell.interval is not None:
        low, high = cell.interval
        interval = {"lower": low, "upper": high, "confidence_level": 0.95, "method": "bootstrap over people"}
        score["uncertainty"] = {"confidence_interval": interval, "num_samples": cell.questions}
    dataset = str(protocol_of(run.tasks[task]).get("dataset") or "")
    title = get_benchmark(section.benchmark).title if column.benchmark else metric.label
    source = {"source_type": "hf_dataset", "hf_repo": dataset} if is_hub_name(dataset) else {"source_type": "other"}
    return {
        "evaluation_name": task,
        "source_data": {"dataset_name": title, **source},
        "metric_config": {
            "evaluation_description": f"{column.title}, {metric.label}",
            "metric_id": metric.name,
            "metric_name": metric.label,
            "lower_is_better": not column.higher_is_better,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": metric.maximum,
        },
        "score_details": score,
    }


def _seconds(when: str) -> float:
    """The harness's time stamp as seconds since 1970; its clock is taken for that of the world."""
    return datetime.datetime.strptime(when[:15], "%Y%m%d_%H%M%S").replace(tzinfo=datetime.UTC).timestamp()


def file_name(record: dict[str, Any]) -> str:
    """A file's name that no other record has."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16] + ".json"
