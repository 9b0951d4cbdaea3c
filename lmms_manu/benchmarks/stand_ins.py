"""Small data sets under the names and in the columns of the stock benchmarks; the harness's own tasks read them.

Nothing in them is of the real benchmarks: every question says that it is a stand-in's, and every picture is drawn
here. What a model scores on them says that its tasks run, and nothing about the model.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Features, Image, List, Value
from PIL import Image as Pictures

from lmms_manu.benchmarks.parquet_rows import write_rows

DOCUMENTS = 8
"""Rows of each data set, unless somebody wants another number."""

_TEXT, _NUMBER = Value("string"), Value("int64")
_LETTERS = "ABCD"
_MARK = "(stand-in)"
_NOTICE = """\
# A stand-in for {title}

Made by a program in the columns of {title}, so that its tasks run without the real data. No question and no picture of
{title} is in it, and a score on it says nothing about a model.
"""


@dataclasses.dataclass(frozen=True)
class StandIn:
    """A data set to be made.

    Args:
        title: the benchmark that it stands in for.
        folder: where the harness looks for that one's data, from the current directory.
        splits: the splits that it has.
        features: the columns.
        row: makes a row from the split and the row's number.
    """

    title: str
    folder: str
    splits: tuple[str, ...]
    features: Features
    row: Callable[[str, int], Mapping[str, Any]]

    def write(self, root: str | os.PathLike[str], documents: int = DOCUMENTS) -> Path:
        """Writes the data set below `root` and returns its folder."""
        folder = Path(root) / self.folder
        for split in self.splits:
            rows = (self.row(split, number) for number in range(documents))
            write_rows(folder / "data" / f"{split}-00000-of-00001.parquet", self.features, rows)
        # The hub's loader finds a split of another name than train, test and validation by this header alone.
        files = "".join(f"  - split: {split}\n    path: data/{split}-*\n" for split in self.splits)
        header = f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n\n"
        (folder / "README.md").write_text(header + _NOTICE.format(title=self.title), encoding="utf-8")
        return folder


def write_stand_ins(root: str | os.PathLike[str], documents: int = DOCUMENTS) -> None:
    """Writes all of `STAND_INS` below `root`, which is to be the working directory of the harness.

    Args:
        root: the folder.
        documents: rows of each split.
    """
    for stand_in in STAND_INS:
        stand_in.write(root, documents)


def picture(seed: int, size: tuple[int, int] = (48, 40)) -> Pictures.Image:
    """A picture of coloured blocks, different for every seed."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Pictures.fromarray(blocks).resize(size, Pictures.Resampling.NEAREST)


def _mmmu(split: str, index: int) -> Mapping[str, Any]:
    """Questions with one and two pictures, with options, which are text, and open."""
    has_two, is_open = index % 2 == 1, index % 4 == 3
    shown = "<image 1> and <image 2>" if has_two else "<image 1>"
    pictures = {f"image_{number}": picture(10 * index + number) for number in range(1, 3 if has_two else 2)}
    return {
        **dict.fromkeys(_MMMU_PICTURES),
        **pictures,
        "id": f"{split}_Art_{index + 1}",
        "question": f"{_MARK} Which of these does {shown} show, number {index}?",
        "options": "[]" if is_open else "['red', 'green', 'blue', 'yellow']",
        "explanation": "",
        "img_type": "['Paintings']",
        "answer": "blue" if is_open else _LETTERS[index % 4],
        "topic_difficulty": "Easy",
        "question_type": "open" if is_open else "multiple-choice",
        "subfield": "Art",
    }


def _mmstar(split: str, index: int) -> Mapping[str, Any]:
    return {
        "index": index,
        "question": f"{_MARK} What is it, number {index}?\nOptions: A: cat, B: dog, C: bird, D: fish",
        "image": picture(100 + index),
        "answer": _LETTERS[index % 4],
        "category": ("coarse perception", "math", "logical reasoning", "science & technology")[index % 4],
        "l2_category": "image emotion",
    }


def _mm_vet(split: str, index: int) -> Mapping[str, Any]:
    return {
        "question_id": f"v1_{index}",
        "image": picture(200 + index),
        "question": f"{_MARK} What is x in picture {index}?",
        "answer": "-1<AND>-5",
        "image_source": "stand-in",
        "capability": ("rec,ocr", "know", "math,ocr", "rec")[index % 4],
    }


def _mia_bench(split: str, index: int) -> Mapping[str, Any]:
    return {
        "instruction": f"{_MARK} Describe picture {index} in two sentences and name one colour.",
        "type": "basic",
        "num_of_component": 2,
        "components": ["Use two sentences.", "Name one colour."],
        "component_weight": [5, 5],
        "component_type": ["length", "describe"],
        "image": picture(300 + index),
    }


def _llava_bench(split: str, index: int) -> Mapping[str, Any]:
    return {
        "question_id": index,
        "question": f"{_MARK} What happens in picture {index}?",
        "image": picture(400 + index),
        "caption": "A picture of coloured blocks.",
        "gpt_answer": "Coloured blocks stand side by side.",
        "category": ("conv", "detail", "complex")[index % 3],
        "image_id": f"{index:03}.jpg",
    }


def _columns(texts: str, **others: Any) -> Features:
    """The columns of a data set: those of `texts` hold text."""
    return Features({**dict.fromkeys(texts.split(), _TEXT), **others})


_MMMU_PICTURES = tuple(f"image_{number}" for number in range(1, 8))
_MMMU_TEXTS = "id question options explanation img_type answer topic_difficulty question_type subfield"

MMSTAR = StandIn(
    "MMStar",
    "Lin-Chen/MMStar",
    ("val",),
    _columns("question answer category l2_category", index=_NUMBER, image=Image()),
    _mmstar,
)

STAND_INS = (
    StandIn(
        "MMMU",
        "lmms-lab-encoder/MMMU",
        ("validation", "test"),
        _columns(_MMMU_TEXTS, **dict.fromkeys(_MMMU_PICTURES, Image())),
        _mmmu,
    ),
    MMSTAR,
    StandIn(
        "MM-Vet",
        "lmms-lab-encoder/MMVet",
        ("test",),
        _columns("question_id question answer image_source capability", image=Image()),
        _mm_vet,
    ),
    StandIn(
        "MIA-Bench",
        "lmms-lab-encoder/MIA-Bench",
        ("test",),
        _columns(
            "instruction type",
            num_of_component=_NUMBER,
            components=List(_TEXT),
            component_weight=List(_NUMBER),
            component_type=List(_TEXT),
            image=Image(),
        ),
        _mia_bench,
    ),
    StandIn(
        "LLaVA-Bench",
        "lmms-lab-encoder/llava-bench-in-the-wild",
        ("train",),
        _columns("question caption gpt_answer category image_id", question_id=_NUMBER, image=Image()),
        _llava_bench,
    ),
)
