"""Runs and edits in trackers of experiments, each through its own library and without a network."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmms_manu.cli import main as cli
from lmms_manu.errors import SettingError
from lmms_manu.methods.record import EditRecord
from lmms_manu.report.tracked import tracked_edit
from lmms_manu.tracking import Tracker

TRAINED = EditRecord(
    method="npo",
    checkpoint="MLLMMU/LLaVA_Vanilla",
    change="adapter",
    variant={"epochs": 2},
    details={"steps": 2, "curve": [{"step": step, "loss": 1.0 / step} for step in (1, 2)], "layers": {"language": []}},
)


def report_to(tracker: str, written: Path) -> None:
    runs = [f"{name}={written / name}" for name in ("vanilla", "paper")]
    assert cli.main(["report", *runs, "--resamples", "20", "--log-to", tracker, "--group", "sweep"]) == 0
    print(Tracker.named(tracker).log([tracked_edit(TRAINED, "edited", "edit")]))


def wandb_records(folder: Path) -> Iterator[Any]:
    """The records of all runs below a folder, in order."""
    import wandb

    wandb.teardown()  # a process that ends waits for what is still written
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    for file in sorted(folder.rglob("*.wandb"), key=lambda file: file.stat().st_mtime):
        store = DataStore()
        store.open_for_scan(str(file))
        while (data := store.scan_data()) is not None:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            yield record


def test_wandb_keeps_settings_scores_and_curves_offline(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    report_to("wandb:people", written)
    assert "logged vanilla, paper to wandb, project people" in " ".join(capsys.readouterr().out.split())
    records = list(wandb_records(tmp_path))
    starts = [record.run for record in records if record.HasField("run")]
    assert [(run.display_name, run.run_group, run.project) for run in starts] == [
        ("vanilla", "sweep", "people"),
        ("paper", "sweep", "people"),
        ("edited", "edit", "people"),
    ]
    settings = {item.key: json.loads(item.value_json) for item in starts[1].config.update}
    assert settings["variant"] == {"recipe": "paper", "prune_rate": 2.0}
    assert not settings["is_baseline"]
    logged = [
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.HasField("history")
    ]
    vanilla, paper, first, second = logged
    assert vanilla["forget/rouge_l"] > 90 > paper["forget/rouge_l"] > 1, "percent of the highest there is"
    assert paper["utility/mmstar"] == 100
    assert paper["summary/share_forgotten_low"] <= paper["summary/share_forgotten"]
    assert [(point["_step"], point["training/loss"]) for point in (first, second)] == [(1, 1.0), (2, 0.5)]


@pytest.mark.skipif(importlib.util.find_spec("trackio") is None, reason="trackio is not installed")
def test_trackio_keeps_the_same_in_a_folder(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Read once, when it is imported, which nothing but this test does.
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    report_to("trackio:people", written)
    query = "select run_name, step, metrics from metrics order by id"
    with sqlite3.connect(tmp_path / "people.db") as kept:
        rows = [(name, step, json.loads(text)) for name, step, text in kept.execute(query)]
    assert [(name, step) for name, step, _ in rows] == [("vanilla", 0), ("paper", 0), ("edited", 1), ("edited", 2)]
    assert rows[0][2]["forget/rouge_l"] > 90 > rows[1][2]["forget/rouge_l"] > 1
    assert [values["training/loss"] for _, _, values in rows[2:]] == [1.0, 0.5]


def test_a_tracker_that_is_not_at_hand_is_refused_before_anything_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingError, match=r"log_to='wandbb' is not allowed.* Did you mean 'wandb'"):
        Tracker.named("wandbb:people")
    if importlib.util.find_spec("trackio") is None:
        assert cli.main(["sweep", "--prune-rate", "2", "--output", "new", "--log-to", "trackio"]) == 2
        assert "log_to='trackio' needs the package trackio: `pip install trackio`" in capsys.readouterr().err
