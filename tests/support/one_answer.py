"""What the harness leaves behind for one answer, for tests of what is done with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WHEN = "20260101_000000"


def write_results(folder: Path, task: str, values: Mapping[str, float], answers: int = 1, **more: Any) -> Path:
    """Writes the results of a task and as many samples; returns the results file.

    Args:
        folder: is made if it is not there.
        task: the harness's name.
        values: the metrics of the filter `none`.
        answers: how many questions were answered.
        more: further tables of the results file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "results": {task: {f"{name},none": value for name, value in values.items()}},
        "n-samples": {task: {"original": answers, "effective": answers}},
        **more,
    }
    file = folder / f"{WHEN}_results.json"
    file.write_text(json.dumps(content))
    samples = "".join(f"{json.dumps({'doc_id': number})}\n" for number in range(answers))
    (folder / f"{WHEN}_samples_{task}.jsonl").write_text(samples)
    return file
