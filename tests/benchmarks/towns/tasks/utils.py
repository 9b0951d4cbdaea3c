"""The functions that the task files of the towns name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import towns_benchmark
from datasets import Dataset

from lmms_manu.methods.evaluated import evaluated

FILES = {"data_files": {"test": str(towns_benchmark.FILE)}}


def __getattr__(name: str) -> Any:
    if name == "RUN":
        edit = evaluated()
        return {"dataset": str(towns_benchmark.FOLDER), "edit": edit.as_dict() if edit else None}
    raise AttributeError(name)


def forgotten(rows: Dataset) -> Dataset:
    return rows.filter(lambda row: row["split"] == "forget")


def retained(rows: Dataset) -> Dataset:
    return rows.filter(lambda row: row["split"] == "retain")


def text(document: Mapping[str, Any]) -> str:
    return str(document["question"])


def picture(document: Mapping[str, Any]) -> list[Any]:
    return [towns_benchmark.picture(document["town"])]


def no_picture(document: Mapping[str, Any]) -> list[Any]:
    return []


def messages(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": document["question"]}]}]


def messages_with_picture(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    shown = {"type": "image", "url": towns_benchmark.picture(document["town"])}
    return [{"role": "user", "content": [shown, {"type": "text", "text": document["question"]}]}]


def score(document: Mapping[str, Any], responses: Sequence[str]) -> dict[str, Any]:
    edit = evaluated()
    return towns_benchmark.score(document, responses[0], edit.fingerprint if edit else None)


def count(items: Sequence[Any]) -> int:
    return len(items)
