"""Evaluations one after the other in one process, each as the harness's command line would run it.

Reads them from standard input, a line of JSON each: `words` of the command line and `environment`, the variables that
hold for this one alone. Behind the output of each stands a line that begins with `DONE`. Starting the harness takes
longer than many an evaluation: it is done once, its index of tasks is made once, and a model is loaded once for as many
evaluations with the same arguments as follow each other.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from lmms_manu.evaluation.jobs import DONE
from lmms_manu.plugins.kept_model import keep_models
from lmms_manu.variables import rank_and_world


def main() -> None:
    # Imported here, so that a failure of the harness is told where its output is expected.
    from lmms_eval.__main__ import cli_evaluate

    _index_tasks_once()
    keep_models()
    for job in _jobs():
        with _variables(job["environment"]):
            sys.argv = ["lmms-eval", *job["words"]]
            try:
                cli_evaluate()
            except SystemExit as end:  # by a word of the command line that it does not know
                print(f"lmms-eval ended with {end.code}", file=sys.stderr)
            except Exception:
                traceback.print_exc()
        sys.stderr.flush()
        if rank_and_world()[0] == 0:
            # Other output may have left its last line open.
            print(f"\n{DONE}", flush=True)


def _jobs() -> Iterator[dict[str, Any]]:
    """The evaluations that are asked for; the first of several processes reads them and tells the others."""
    rank, world = rank_and_world()
    if world == 1:
        yield from map(json.loads, sys.stdin)
        return
    import torch
    from accelerate import Accelerator
    from accelerate.utils import InitProcessGroupKwargs

    from lmms_manu.measuring.processes import LONGEST_WAIT

    Accelerator(kwargs_handlers=[InitProcessGroupKwargs(timeout=LONGEST_WAIT)])
    while True:
        told = [sys.stdin.readline() if rank == 0 else ""]
        torch.distributed.broadcast_object_list(told)
        if not told[0]:
            return
        yield json.loads(told[0])


@contextlib.contextmanager
def _variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _index_tasks_once() -> None:
    """Has the harness look through its task files once, and not for each evaluation anew."""
    from lmms_eval.tasks import TaskManager

    original = TaskManager.initialize_tasks
    known: dict[str, dict[str, Any]] = {}

    @functools.wraps(original)
    def initialize_tasks(self: object, *arguments: Any, **named: Any) -> dict[str, Any]:
        asked = json.dumps([arguments, named], sort_keys=True)
        if asked not in known:
            known[asked] = original(self, *arguments, **named)
        return {name: dict(entry) for name, entry in known[asked].items()}

    TaskManager.initialize_tasks = initialize_tasks


if __name__ == "__main__":
    main()
