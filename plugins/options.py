"""Options of the harness that would change nothing, or the wrong thing, refused before anything is loaded.

The harness tells a model its arguments, batch size and device. All else its evaluator keeps to itself and applies to
the tasks once the model is there, so it is read where it stands: in the evaluation that is going on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import Any

from lmms_manu.errors import SettingError
from lmms_manu.methods.evaluated import evaluated
from lmms_manu.names import MODEL
from lmms_manu.versions import installed

_EVALUATOR = "lmms_eval.evaluator"
_FUNCTIONS = ("evaluate", "simple_evaluate")

_REFUSED = {
    "system_instruction": "questions are asked as their tasks write them",
    "apply_chat_template": "the model applies its chat template itself",
    "num_fewshot": "questions are asked without the harness's examples, and MLLMU-Bench's own come from "
    "LMMS_MANU_EXEMPLARS",
    "fewshot_as_multiturn": "examples become turns as the task writes them",
    "max_batch_size": "batch_size=auto goes by the memory at hand, and batch_size=N is halved where it does not fit",
    "max_tokens": "it limits what is asked of an endpoint, and this model runs here; --limit takes fewer questions",
    "cache_requests": "the harness's cache of prompts keeps neither their pictures nor what the dataset was",
}
"""Options that are refused where they are set, and why."""


def refuse_options(options: Mapping[str, Any]) -> None:
    """Refuses options that would stand in the results and not be kept to.

    Args:
        options: those of `running_options`.

    Raises:
        SettingError: naming the first of them.
    """
    for name, reason in _REFUSED.items():
        if options.get(name):
            raise SettingError(f"--{name} is not for {MODEL}: {reason}. Leave the option out.")


def running_options() -> dict[str, Any]:
    """The arguments of the harness's evaluation that called, however indirectly; empty outside of one."""
    options: dict[str, Any] = {}
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == _EVALUATOR and frame.f_code.co_name in _FUNCTIONS:
            options |= {name: frame.f_locals[name] for name in _arguments(frame) if name in frame.f_locals}
        frame = frame.f_back
    return options


def run_description(dataset: str, **of_benchmark: Any) -> dict[str, Any]:
    """What the results file says of a leaf's run, under `configs`, `metadata`, `run`.

    Args:
        dataset: where its people are from.
        of_benchmark: what else the benchmark's questions depend on.
    """
    # The model that was made last need not be the one that is evaluated, where the harness is called from Python.
    edit = getattr(running_options().get("model"), "record", None) or evaluated()
    return {
        "dataset": dataset,
        **of_benchmark,
        "edit": edit.as_dict() if edit else None,
        "versions": installed(),
    }


def _arguments(frame: FrameType) -> Iterable[str]:
    code = frame.f_code
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
