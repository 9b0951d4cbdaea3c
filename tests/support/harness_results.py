"""Results folders as lmms-eval writes them: its own evaluator and tracker, around any model."""

from __future__ import annotations

import argparse
import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from lmms_eval.api.model import lmms
from lmms_eval.api.task import _resolve_hf_datasets_cache_dir
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.loggers import EvaluationTracker
from lmms_eval.tasks import TaskManager

from lmms_manu.methods.evaluated import note_evaluated
from lmms_manu.methods.record import EditRecord

MODEL = "manu_pruned"

Document = Mapping[str, Any]
Answerer = Callable[[Document], str]


@functools.cache
def _task_manager() -> TaskManager:
    return TaskManager("ERROR")


class ReadyAnswers(lmms):  # type: ignore[misc]  # lmms-eval has no types
    """A model of the harness that answers by a function of the document."""

    is_simple = False

    def __init__(self, answer: Answerer) -> None:
        super().__init__()
        self._answer = answer

    def generate_until(self, requests: list[Any]) -> list[str]:
        answers = []
        for request in requests:
            _, _, _, number, task, split = request.args
            answers.append(self._answer(self.task_dict[task][split][number]))
        return answers

    def generate_until_multi_round(self, requests: list[Any]) -> list[str]:
        raise NotImplementedError

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        raise NotImplementedError


def _evaluated(**options: Any) -> dict[str, Any]:
    # Without a hub, datasets takes another folder of the same name from its cache.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_DATASETS_CACHE", str(Path.cwd() / ".datasets"))
        # The harness reads the variable once in a process.
        _resolve_hf_datasets_cache_dir.cache_clear()
        found: dict[str, Any] = simple_evaluate(**options)
    _resolve_hf_datasets_cache_dir.cache_clear()
    return found


def evaluate(
    output: Path,
    tasks: Iterable[str],
    answer: Answerer | None,
    *,
    model_args: str = "",
    edit: EditRecord | None = None,
    when: str = "20260101_120000",
    limit: int | None = None,
    log_samples: bool = True,
    predict_only: bool = False,
    keep: contextlib.AbstractContextManager[None] | None = None,
) -> Path:
    """Runs the harness on `tasks` and saves as its command line does; returns the results file.

    Args:
        output: the folder to write to.
        tasks: the harness's names.
        answer: gives the answer to a document; None to ask the model `manu_pruned` itself.
        model_args: the arguments of `manu_pruned`, which are only recorded where answers are given.
        edit: the record that is published in its place.
        when: the time stamp of the files.
        limit: the harness's `--limit`.
        log_samples: the harness's `--log_samples`.
        predict_only: the harness's `--predict_only`.
        keep: what holds while the files are written.
    """
    tracker = EvaluationTracker(output_path=str(output))
    note_evaluated(edit)
    try:
        results = _evaluated(
            model=MODEL if answer is None else ReadyAnswers(answer),
            model_args=model_args,
            tasks=list(tasks),
            limit=limit,
            predict_only=predict_only,
            log_samples=True,
            evaluation_tracker=tracker,
            datetime_str=when,
            bootstrap_iters=0,
            task_manager=_task_manager(),
            cli_args=argparse.Namespace(process_with_media=False),
        )
    finally:
        note_evaluated(None)
    # The command line is given the model's name; here the evaluator may have been given the model itself.
    results["config"]["model"] = MODEL
    samples = results.pop("samples")
    with keep or contextlib.nullcontext():
        tracker.save_results_aggregated(results=results, samples=samples, datetime_str=when)
        if log_samples:
            for task in results["configs"]:
                tracker.save_results_samples(task_name=task, samples=samples[task])
    return next(output.glob(f"**/{when}_results.json"))
