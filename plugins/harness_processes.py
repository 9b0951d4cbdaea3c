"""Several processes of one evaluation: joining them, and ending them together."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.compute as arrow
import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from datasets import Dataset, Image
from loguru import logger
from transformers.utils import logging as transformers_logging

from lmms_manu.benchmarks.registry import benchmarks
from lmms_manu.errors import ManuError, SettingError
from lmms_manu.measuring.fingerprints import file_digests
from lmms_manu.measuring.processes import LONGEST_WAIT, Processes
from lmms_manu.models.settings import ModelSettings
from lmms_manu.variables import rank_and_world

_MARK = "_lmms_manu_ends_together"


def join_launched_processes(device: torch.device, settings: ModelSettings) -> Accelerator:
    """Joins this process with the others that the launcher started.

    Raises:
        SettingError: the launcher started several processes that cannot find each other, or that would all use the
            same devices.
    """
    rank, world = rank_and_world()
    if world > 1 and settings.device_map is not None:
        raise SettingError(
            f"device_map={settings.device_map!r} spreads one model over all devices, but {world} processes would each "
            "do so: start one process, or leave device_map out."
        )
    accelerator = Accelerator(kwargs_handlers=[InitProcessGroupKwargs(timeout=LONGEST_WAIT)])
    if world > 1 and (accelerator.num_processes != world or accelerator.device.type != device.type):
        raise SettingError(
            f"{world} processes were started, but on {device.type} they do not work together: "
            "set ACCELERATE_USE_CPU=true for processes on the CPU, or leave device out for one GPU each."
        )
    if rank > 0:
        transformers_logging.disable_progress_bar()
    if world > 1:
        _end_evaluations_together()
    return accelerator


def _end_evaluations_together() -> None:
    """Has every error of an evaluation end this process, also one that comes up where the harness itself waits.

    A launcher takes its own processes down; those of another machine see the connection closed. The command line would
    catch that and end as if all were well, and the launcher there wait for the one that is gone.
    """
    evaluator: Any = sys.modules.get("lmms_eval.evaluator")
    if evaluator is None or hasattr(evaluator.evaluate, _MARK):
        return
    original = evaluator.evaluate

    @functools.wraps(original)
    def evaluate(*arguments: Any, **named: Any) -> Any:
        with take_down_on_failure():
            return original(*arguments, **named)

    setattr(evaluate, _MARK, True)
    evaluator.evaluate = evaluate


def check_same_questions() -> None:
    """Ends the run where the processes would ask a benchmark's questions of different data, or in other prompts.

    Raises:
        ModelError: they would; in every process, with both values.
    """
    processes = Processes.current()
    if processes.world > 1:
        asked: dict[str, str] = {}
        for benchmark in benchmarks():
            # A folder may be called otherwise for each process: what it holds is compared.
            protocol = {name: value for name, value in benchmark.protocol().items() if not Path(str(value)).is_dir()}
            asked |= {f"the variable {name}": str(value) for name, value in protocol.items()}
            digests = file_digests(benchmark.files())
            asked[f"the data of {benchmark.title}"] = hashlib.sha256("\n".join(digests).encode()).hexdigest()
        processes.agree(asked)


def check_same_documents(tasks: Mapping[str, Any]) -> None:
    """Ends the run where the processes have loaded different documents for a task of another package.

    Those of this one name the folder that they are from, which each process may call otherwise; `check_same_questions`
    compares what it holds.

    Args:
        tasks: the splits of each task's data, as the harness gives them to the model (`lm.task_dict`).

    Raises:
        ModelError: they have; in every process, naming the task.
    """
    processes = Processes.current()
    if processes.world > 1:
        processes.agree({f"the documents of {task}": _digest(splits) for task, splits in tasks.items()})


def _digest(splits: Mapping[str, Any]) -> str:
    """One digest of all documents. Of pictures only the sizes count, so that gigabytes need not be read for it."""
    digest = hashlib.sha256()
    for split, documents in sorted(splits.items()):
        digest.update(split.encode())
        if isinstance(documents, Dataset):  # streamed ones cannot be read twice
            pictures = {name for name, feature in documents.features.items() if isinstance(feature, Image)}
            for rows in documents.with_format("arrow").iter(batch_size=1000):
                for name in rows.column_names:
                    column = rows[name]
                    if name in pictures:
                        column = arrow.binary_length(arrow.struct_field(column, "bytes"))
                    digest.update(repr((name, column.to_pylist())).encode())
    return digest.hexdigest()[:16]


@contextmanager
def take_down_on_failure() -> Iterator[None]:
    """Ends this process at an error where others would wait for it.

    The harness's command line catches every error and goes on, and the other processes would wait for hours; a
    launcher that sees one process end takes the others down.
    """
    rank, world = rank_and_world()
    try:
        yield
    except Exception as error:
        if world == 1:
            raise
        if not isinstance(error, ManuError):
            traceback.print_exc()
        logger.error(f"Process {rank} of {world} failed: {type(error).__name__}: {error}")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
