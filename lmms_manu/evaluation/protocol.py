"""What environment variables say of how a model is asked and judged; results of different ones are not one run's."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterable
from typing import Any

from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, get_benchmark
from lmms_manu.evaluation.suites import SuitePart


def protocol(parts: Iterable[SuitePart] = ()) -> dict[str, Any]:
    """How the questions of the first benchmark and of those of `parts` are asked; a default is the same as its value.

    Raises:
        SettingError: a variable has a value that it cannot have.
    """
    names = dict.fromkeys([DEFAULT_BENCHMARK, *(part.benchmark for part in parts if part.benchmark)])
    return {variable: value for name in names for variable, value in get_benchmark(name).protocol().items()}


def judge_of(part: SuitePart) -> dict[str, Any] | None:
    """The judge that a part's answers are put to, by variable; None for none. Never a key."""
    is_judged = get_benchmark(part.benchmark).has_judge() if part.benchmark else part.judge_url is not None
    if not is_judged:
        return None
    return {
        "MODEL_VERSION": os.environ.get("MODEL_VERSION") or None,
        "OPENAI_API_URL": _address(os.environ.get("OPENAI_API_URL") or ""),
    }


def _address(url: str) -> str | None:
    """An endpoint in one form, without a password before its host or a key behind its path."""
    split = urllib.parse.urlsplit(url)
    public = split._replace(netloc=split.netloc.rpartition("@")[2], query="", fragment="")
    return public.geturl().rstrip("/").removesuffix("/chat/completions") or None
