"""A benchmark of a package of its own: eight towns, of which four are to be forgotten."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lmms_manu.benchmarks import MODALITIES, Benchmark, Example, Metric, Sample, Split, Task

FOLDER = Path(__file__).parent
FILE = FOLDER / "towns.jsonl"


class Towns(Benchmark):
    name = "towns"
    title = "Towns"
    splits = (Split("forget", "Forget set", "forget"), Split("retain", "Retain set", "retain"))
    metrics = (Metric("credit", "Credit", "open", "credit", floor=50.0),)
    ratios = (50,)
    tasks_folder = FOLDER / "tasks"

    def tasks(self) -> Sequence[Task]:
        return [
            Task("towns", f"towns_{split.name}_{modality}", split.name, "open", modality, 50, f"towns_{split.name}")
            for split in self.splits
            for modality in MODALITIES
        ]

    def people(self, role: str, settings: Any, dataset: str | None = None) -> Sequence[str]:
        return list(dict.fromkeys(row["town"] for row in rows() if row["split"] == role))

    def examples(
        self, people: Sequence[str], modality: str, settings: Any, dataset: str | None = None
    ) -> Sequence[Example]:
        return [_example(row, modality) for town in people for row in rows() if row["town"] == town]

    def read_sample(self, line: Mapping[str, Any], task: Task) -> Sample:
        asked = line["asked"]
        return Sample(
            key=asked["question"],
            person=asked["town"],
            question=asked["question"],
            target=asked["answer"],
            response=asked["response"],
            scores={"credit": (line["credit"], 1.0)},
            picture=asked["town"] if task.modality == "multimodal" else "",
            edit=asked["edit"],
        )

    def pictures(self, references: Sequence[str], dataset: str) -> Iterator[tuple[str, Image.Image]]:
        return ((town, picture(town)) for town in references)


def score(document: Mapping[str, Any], response: str, edit: str | None) -> dict[str, Any]:
    """What `read_sample` reads: half of the credit for any answer, all of it for one that holds the right word."""
    asked = {name: document[name] for name in ("town", "question", "answer")}
    credit = 100.0 if document["answer"] in response else 50.0
    return {"credit": credit, "asked": {**asked, "response": response, "edit": edit}}


@functools.cache
def rows() -> tuple[dict[str, str], ...]:
    return tuple(json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines())


def picture(town: str) -> Image.Image:
    return Image.new("RGB", (24, 24), "#" + hashlib.sha256(town.encode()).hexdigest()[:6])


def _example(row: Mapping[str, str], modality: str) -> Example:
    if modality == "text":
        return Example(row["town"], row["question"], row["answer"], modality)
    return Example(
        row["town"],
        row["question"],
        row["answer"],
        modality,
        pictures=lambda: [picture(row["town"])],
        digest=lambda: row["town"],
    )
