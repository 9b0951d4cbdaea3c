"""What the samples file says of a question, beside its scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmms_manu.benchmarks.clear.prompts import question_text


def account(document: Mapping[str, Any], response: str, edit: str | None) -> dict[str, Any]:
    """What was asked and answered, and of whom; `edit` is the fingerprint of the model's edit."""
    return {
        "person": document["person"],
        "config": document["config"],
        "row": document["row"],
        "about": document["about"],
        "question": question_text(document),
        "response": response,
        "target": document["answer"],
        "edit": edit,
    }
