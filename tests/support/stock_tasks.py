"""Small data sets under the names and with the columns of the harness's own benchmarks, read by their own code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Image, List, Value

from lmms_manu.benchmarks.stand_ins import MMSTAR, picture, write_stand_ins
from support.judge_server import Reply, completion

TEXT, NUMBER = Value("string"), Value("int64")
STOCK_TASKS = ("mmmu_val", "mmstar", "mmvet", "mia_bench", "llava_in_the_wild")
LETTERS = "ABCD"


def write_stock_data(folder: str | Path, documents: int = 4) -> Path:
    """The library's stand-ins below `folder`, which is to be the working directory of the run."""
    write_stand_ins(folder, documents)
    return Path(folder)


def write_mmstar(root: Path, documents: int) -> None:
    MMSTAR.write(root, documents)


def write_multiple_choice(root: Path, documents: int = 4) -> None:
    """ARC-Easy as its task `arc_easy` reads it: text only, scored by likelihood."""
    features = {"id": TEXT, "question": TEXT, "choices": {"text": List(TEXT), "label": List(TEXT)}}
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
    features |= {f"choice_{letter.lower()}": TEXT for letter in LETTERS} | {"image": List(Image())}
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
