"""What environment variables say of how a model is asked and judged; results of different ones are not one run's."""

from __future__ import annotations

import os
import urllib.parse
from typing import Any

from lmms_manu import environment
from lmms_manu.evaluation.suites import UTILITY, Part
from lmms_manu.mllmu.exemplars import ProtocolSettings
from lmms_manu.mllmu.judge_settings import JudgeSettings
from lmms_manu.mllmu.source import HUB_NAME


def protocol() -> dict[str, Any]:
    """The data and the exemplars that are asked about, by variable; a default is the same as its value.

    Raises:
        SettingError: a variable has a value that it cannot have.
    """
    chosen = ProtocolSettings.from_environment()
    return {
        environment.DATASET: os.environ.get(environment.DATASET) or HUB_NAME,
        environment.EXEMPLARS: chosen.exemplars,
        environment.SEED: chosen.seed,
    }


def judge_of(part: Part) -> dict[str, Any] | None:
    """The judge that a part's answers are put to, by variable; None for none. Never a key."""
    is_judged = JudgeSettings.from_environment() is not None if part not in UTILITY else part.judge_url is not None
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
    return JudgeSettings(url=public.geturl()).base_url
