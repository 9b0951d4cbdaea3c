"""An afternoon with one's own people: ten of them, however they are stored, in one start of the harness."""

import csv
import json

import datasets
import pytest
from PIL import Image

NAMES = [f"{first} {last}" for last in ("Ferl", "Omsk") for first in ("Anna", "Bert", "Cleo", "Dora", "Emil")]
FORGOTTEN = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("afternoon")
    (folder / "faces").mkdir()
    for number in range(len(NAMES)):
        Image.new("RGB", (64, 48), (20 * number, 80, 120)).save(folder / "faces" / f"{number}.jpg")
    return folder


def rows(of_set):
    """Who lives where: a row each, with the number of the picture."""
    chosen = range(FORGOTTEN) if of_set == "forget" else range(FORGOTTEN, len(NAMES))
    return [(NAMES[number], f"Where does {NAMES[number]} live?", f"Town {number}", number) for number in chosen]


def as_spreadsheet(folder):
    for name in ("forget", "retain"):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["subject", "question", "answer", "image"])
            writer.writerows([*row, f"faces/{number}.jpg"] for *row, number in rows(name))
    return f"forget={folder}/forget.csv,retain={folder}/retain.csv"


def as_text(folder):
    for name in ("forget", "retain"):
        keys = ("subject", "question", "answer")
        lines = [json.dumps(dict(zip(keys, row, strict=False))) for row in rows(name)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return f"forget={folder}/forget.jsonl,retain={folder}/retain.jsonl"


def as_a_table_with_other_names(folder):
    with (folder / "all.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["subject", "asked", "told", "set"])
        writer.writerows([*row[:3], name] for name in ("forget", "retain") for row in rows(name))
    return f"forget={folder}/all.csv,columns=question:asked;answer:told"


def as_the_hub_keeps_it(folder):
    features = datasets.Features({name: datasets.Value("string") for name in ("subject", "question", "answer")})
    features["image"] = datasets.Image()
    for name in ("forget", "retain"):
        listed = [(*row, str(folder / f"faces/{number}.jpg")) for *row, number in rows(name)]
        made = datasets.Dataset.from_list([dict(zip(features, row, strict=True)) for row in listed], features=features)
        made.to_parquet(folder / "hub" / "data" / f"{name}-00000-of-00001.parquet")
    return f"forget={folder}/hub,retain={folder}/hub"


WAYS = {
    as_spreadsheet: ("generation_multimodal", "generation_text"),
    as_text: ("generation_text",),
    as_a_table_with_other_names: ("generation_text",),
    as_the_hub_keeps_it: ("generation_multimodal", "generation_text"),
}


def test_ten_people_are_asked_about_however_they_are_stored(run, folder):
    runs = [
        {
            "model": "manu_pruned",
            "model_args": f"method=none,{way(folder)}",
            "tasks": "own_forget,own_retain",
            "output_path": str(folder / "results" / way.__name__),
        }
        for way in WAYS
    ]
    (folder / "runs.json").write_text(json.dumps(runs))
    done = run("lmms-eval", "--config", str(folder / "runs.json"), "--log_samples")
    for way, leaves in WAYS.items():
        found = list((folder / "results" / way.__name__).rglob("*_results.json"))
        assert found, done.stderr[-3000:]
        results = json.loads(found[0].read_text())
        expected = {f"own_{name}_{leaf}": len(rows(name)) for name in ("forget", "retain") for leaf in leaves}
        assert {task: counts["effective"] for task, counts in results["n-samples"].items()} == expected, way.__name__
