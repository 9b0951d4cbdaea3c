"""Small data sets under the names and with the columns of the harness's own benchmarks, read by their own code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Features, Image, Value
from datasets import Sequence as ListOf
from PIL import Image as Pictures

from support.judge_server import Reply, completion

TEXT, NUMBER = Value("string"), Value("int64")
STOCK_TASKS = ("mmmu_val", "mmstar", "mmvet", "mia_bench", "llava_in_the_wild")
MMMU_PICTURES = 7
LETTERS = "ABCD"


def picture(seed: int, size: tuple[int, int] = (48, 40)) -> Pictures.Image:
    """A picture of random blocks, different for every seed."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Pictures.fromarray(blocks).resize(size, Pictures.Resampling.NEAREST)


def write_stock_data(folder: str | Path, documents: int = 4) -> Path:
    """Writes all of them below `folder`, which is to be the working directory of the run.

    Args:
        folder: where.
        documents: rows of each data set.
    """
    root = Path(folder)
    write_mmmu(root, documents)
    write_mmstar(root, documents)
    write_mmvet(root, documents)
    write_mia_bench(root, documents)
    write_llava_bench(root, documents)
    return root


def write_mmmu(root: Path, documents: int) -> None:
    """Questions with one and two pictures, with options (a string) and open."""
    names = ("id", "question", "options", "explanation", "img_type", "answer", "topic_difficulty", "question_type")
    features: dict[str, Any] = dict.fromkeys((*names, "subfield"), TEXT)
    features |= {f"image_{number}": Image() for number in range(1, MMMU_PICTURES + 1)}
    for split in ("validation", "test"):
        rows = []
        for index in range(documents):
            two = index % 2 == 1
            pictures: dict[str, Any] = {f"image_{number}": None for number in range(1, MMMU_PICTURES + 1)}
            pictures |= {f"image_{number}": picture(10 * index + number) for number in range(1, 3 if two else 2)}
            shown = "<image 1> and <image 2>" if two else "<image 1>"
            is_open = index % 4 == 3
            rows.append(
                {
                    "id": f"{split}_Art_{index + 1}",
                    "question": f"Which of these does {shown} show, number {index}?",
                    "options": "[]" if is_open else "['red', 'green', 'blue', 'yellow']",
                    "explanation": "",
                    "img_type": "['Paintings']",
                    "answer": "blue" if is_open else LETTERS[index % 4],
                    "topic_difficulty": "Easy",
                    "question_type": "open" if is_open else "multiple-choice",
                    "subfield": "Art",
                    **pictures,
                }
            )
        _write(root / "lmms-lab-encoder" / "MMMU", split, features, rows)


def write_mmstar(root: Path, documents: int) -> None:
    """A split named `val`, which the hub's loader finds by the README only."""
    categories = ("coarse perception", "math", "logical reasoning", "science & technology")
    features = {"index": NUMBER, "question": TEXT, "image": Image(), "answer": TEXT, "category": TEXT}
    features |= {"l2_category": TEXT}
    rows = [
        {
            "index": index,
            "question": f"What is it, number {index}?\nOptions: A: cat, B: dog, C: bird, D: fish",
            "image": picture(100 + index),
            "answer": LETTERS[index % 4],
            "category": categories[index % 4],
            "l2_category": "image emotion",
        }
        for index in range(documents)
    ]
    folder = root / "Lin-Chen" / "MMStar"
    _write(folder, "val", features, rows)
    readme = "---\nconfigs:\n- config_name: val\n  data_files:\n  - split: val\n    path: data/val-*\n---\n"
    (folder / "README.md").write_text(readme, encoding="utf-8")


def write_mmvet(root: Path, documents: int) -> None:
    features = {"question_id": TEXT, "image": Image(), "question": TEXT, "answer": TEXT, "image_source": TEXT}
    features |= {"capability": TEXT}
    rows = [
        {
            "question_id": f"v1_{index}",
            "image": picture(200 + index),
            "question": f"What is x in picture {index}?",
            "answer": "-1<AND>-5",
            "image_source": "test",
            "capability": ("rec,ocr", "know", "math,ocr", "rec")[index % 4],
        }
        for index in range(documents)
    ]
    _write(root / "lmms-lab-encoder" / "MMVet", "test", features, rows)


def write_mia_bench(root: Path, documents: int) -> None:
    features = {"instruction": TEXT, "type": TEXT, "num_of_component": NUMBER, "components": ListOf(TEXT)}
    features |= {"component_weight": ListOf(NUMBER), "component_type": ListOf(TEXT), "image": Image()}
    rows = [
        {
            "instruction": f"Describe picture {index} in two sentences and name one colour.",
            "type": "basic",
            "num_of_component": 2,
            "components": ["Use two sentences.", "Name one colour."],
            "component_weight": [5, 5],
            "component_type": ["length", "describe"],
            "image": picture(300 + index),
        }
        for index in range(documents)
    ]
    _write(root / "lmms-lab-encoder" / "MIA-Bench", "test", features, rows)


def write_llava_bench(root: Path, documents: int) -> None:
    features = {"question_id": NUMBER, "question": TEXT, "image": Image(), "caption": TEXT, "gpt_answer": TEXT}
    features |= {"category": TEXT, "image_id": TEXT}
    rows = [
        {
            "question_id": index,
            "question": f"What happens in picture {index}?",
            "image": picture(400 + index),
            "caption": "A picture of coloured blocks.",
            "gpt_answer": "Coloured blocks stand side by side.",
            "category": ("conv", "detail", "complex")[index % 3],
            "image_id": f"{index:03}.jpg",
        }
        for index in range(documents)
    ]
    _write(root / "lmms-lab-encoder" / "llava-bench-in-the-wild", "train", features, rows)


def write_multiple_choice(root: Path, documents: int = 4) -> None:
    """ARC-Easy as its task `arc_easy` reads it: text only, scored by likelihood."""
    features = {"id": TEXT, "question": TEXT, "choices": {"text": ListOf(TEXT), "label": ListOf(TEXT)}}
    features |= {"answerKey": TEXT}
    rows = [
        {
            "id": f"q{index}",
            "question": f"Which is number {index}?",
            "choices": {"text": ["one", "two and more", "three", "four"], "label": list(LETTERS)},
            "answerKey": LETTERS[index % 4],
        }
        for index in range(documents)
    ]
    folder = root / "allenai" / "ai2_arc"
    for split in ("train", "validation", "test"):
        _write(folder / "ARC-Easy", split, features, rows, data="")
    readme = "---\nconfigs:\n- config_name: ARC-Easy\n  data_files:\n" + "".join(
        f"  - split: {split}\n    path: ARC-Easy/{split}-*\n" for split in ("train", "validation", "test")
    )
    (folder / "README.md").write_text(readme + "---\n", encoding="utf-8")


def write_seed_bench(root: Path, documents: int = 4) -> None:
    """SEED-Bench as its task `seedbench_ppl` reads it: pictures, scored by likelihood."""
    features: dict[str, Any] = {"question": TEXT, "answer": TEXT, "question_id": TEXT, "data_type": TEXT}
    features |= {f"choice_{letter.lower()}": TEXT for letter in LETTERS} | {"image": ListOf(Image())}
    rows = [
        {
            "question": f"What does picture {index} show?",
            "answer": LETTERS[index % 4],
            "question_id": f"s{index}",
            "data_type": "image",
            **{f"choice_{letter.lower()}": f"a {word}" for letter, word in zip(LETTERS, _WORDS, strict=True)},
            "image": [picture(500 + index)],
        }
        for index in range(documents)
    ]
    _write(root / "lmms-lab-encoder" / "SEED-Bench", "test", features, rows)


def judge_of_stock_tasks(number: int, body: Mapping[str, Any]) -> Reply:
    """What the judges of MM-Vet (0.5), MIA-Bench (8 of 10) and LLaVA-Bench (8 against 6) are expected to say."""
    prompt = str(body["messages"])
    if "gpt_query_prompt" in prompt:
        return completion("0.5")
    if "[End of " in prompt:
        return completion("8 6\nThe second answer is shorter.")
    return completion("score of component 1: 4/5, score of component 2: 4/5, total score: 8/10")


def judge_variables(url: str) -> dict[str, str]:
    """The variables that lead the stock tasks to a judge; MIA-Bench wants the full URL, all others the base."""
    return {"OPENAI_API_KEY": "test", "OPENAI_API_URL": url, "MODEL_VERSION": "test-judge"}


_WORDS = ("cat", "big dog", "bird", "fish in the sea")


def _write(
    folder: Path, split: str, features: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], data: str = "data"
) -> None:
    target = folder / data
    target.mkdir(parents=True, exist_ok=True)
    table = Dataset.from_list([dict(row) for row in rows], features=Features(features))
    table.to_parquet(str(target / f"{split}-00000-of-00001.parquet"))
