"""What a process that evaluates and whoever started it say to each other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

WORKER = "lmms_manu.plugins.worker"
"""The module that runs as that process."""

DONE = "@lmms-manu: this evaluation has ended"
"""The line behind an evaluation's output."""


def job(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """A line that asks for an evaluation.

    Args:
        words: of the harness's command line.
        environment: variables for this evaluation alone.
    """
    return json.dumps({"words": list(words), "environment": dict(environment)}) + "\n"
