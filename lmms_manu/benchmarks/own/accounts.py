"""What the samples file says of a question, beside its scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmms_manu.benchmarks.own.names import TASKS
from lmms_manu.benchmarks.own.questions import question_text


def account(document: Mapping[str, Any], response: str, edit: str | None) -> dict[str, Any]:
    """What was asked and answered, and of whom; `edit` is the fingerprint of the model's edit."""
    task = TASKS[document["leaf"]]
    return {
        "person": document["person"],
        "label": document["label"],
        "question": question_text(document),
        "response": response,
        "target": document["answer"],
        "picture": f"{task.split}/{document['position']}" if task.modality == "multimodal" else "",
        "edit": edit,
    }
