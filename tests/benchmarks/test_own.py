"""The user's own people: what is understood of a table, whatever it is stored as, and what is refused."""

import contextlib
import csv
import json

import datasets
import pytest
from PIL import Image
from support.hub_server import hub
from support.models import save_llava

from lmms_manu.benchmarks import get_benchmark
from lmms_manu.benchmarks.own.files import Files
from lmms_manu.benchmarks.own.names import TASKS
from lmms_manu.benchmarks.own.people import load_people
from lmms_manu.benchmarks.own.questions import documents
from lmms_manu.cli.main import main
from lmms_manu.errors import DataError
from lmms_manu.methods.data import load_data
from lmms_manu.methods.settings import UnlearningSettings
from lmms_manu.methods.unlearn import plan

OWN = {"subject": "Anna", "question": "Who is this?", "answer": "Anna", "image": "anna.jpg"}


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_ten_people_in_a_spreadsheet_with_pictures_in_a_folder_become_examples_of_both_modalities(tmp_path):
    with (tmp_path / "people.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["subject", "question", "answer", "image", "text_question"])
        for number in range(10):
            Image.new("RGB", (32, 32), (20 * number, 0, 0)).save(tmp_path / f"{number}.jpg")
            writer.writerow([f"P{number}", "Where does she live?", "Oslo", f"{number}.jpg", f"Where is P{number}?"])
    data = load_data(UnlearningSettings(forget=str(tmp_path / "people.csv")))
    assert {modality: len(some) for modality, some in data.forget.items()} == {"multimodal": 10, "text": 10}
    assert data.forget["multimodal"][3].pictures()[0].size == (32, 32)
    assert data.retain == {}
    assert data.forgotten()["benchmark"] == "own"


def test_a_row_is_asked_as_what_it_holds(tmp_path):
    rows = [
        {"subject": "Bert", "question": "What is Bert?", "answer": "B", "options": ["cook", "judge", "smith"]},
        {"subject": "Bert", "question": "Bert lives in ___.", "answer": "Rome"},
    ]
    people = load_people(Files(forget=lines(tmp_path / "people.jsonl", *rows)))
    (chosen,) = documents(TASKS["own_forget_classification_text"], people)
    assert chosen["options"][ord(chosen["answer"]) - ord("A")] == "judge"
    assert [row["answer"] for row in documents(TASKS["own_forget_cloze_text"], people)] == ["Rome"]
    with pytest.raises(DataError, match="own_forget_generation_multimodal has nothing to ask"):
        documents(TASKS["own_forget_generation_multimodal"], people)


def test_misnamed_columns_are_named_with_the_way_out_and_can_be_mapped(tmp_path):
    file = lines(tmp_path / "people.jsonl", {"subject": "Anna", "frage": "Where does Anna live?", "antwort": "Oslo"})
    with pytest.raises(DataError, match=r"no column 'question', 'answer'.*columns='question:NAME;answer:NAME'"):
        load_people(Files(forget=file))
    people = load_people(Files(forget=file, columns="question:frage;answer:antwort"))
    assert people.rows("forget")[0].answer == "Oslo"
    (tmp_path / "people.columns.yaml").write_text("question: frage\nanswer: antwort\n")
    assert load_people(Files(forget=file)).rows("forget")[0].question == "Where does Anna live?"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ({"set": "forgte"}, "column set: 'forgte' is no set: write one of forget, test, retain, control, or nothing"),
        ({"options": '["cook"'}, "column options: '[\"cook\"' is not JSON"),
        ({"options": 3}, "column options: 3 is no list: write a list, or texts between |"),
        ({"image": 3}, "column image: 3 is not the path of a file"),
    ],
)
def test_a_bad_cell_is_named_by_file_line_column_and_value_with_what_is_allowed(tmp_path, capsys, cell, said):
    row = {"subject": "Anna", "question": "Where does Anna live?", "answer": "Oslo"}
    file = lines(tmp_path / "people.jsonl", row, {**row, **cell})
    assert main(["data", "check", file]) == 2
    assert f"{file}, line 2, {said}" in capsys.readouterr().err


def test_the_check_lists_sets_by_column_what_is_left_out_and_what_is_there_twice(tmp_path, capsys):
    rows = [
        {"subject": "Anna", "question": "Where does Anna live?", "answer": "Oslo"},
        {"subject": "Anna", "question": "Where does Anna live?", "answer": "Oslo"},
        {"subject": "Bert", "question": "", "answer": "Rome"},
        {"subject": "Cleo", "question": "Who is this?", "answer": "Cleo", "image": "no.jpg"},
        {"subject": "Dora", "question": "What is Dora?", "answer": "judge", "options": "cook|smith", "set": "control"},
    ]
    file = lines(tmp_path / "people.jsonl", *rows)
    assert main(["data", "check", file]) == 0
    told = capsys.readouterr().out
    assert "forget: 2 people, 3 rows" in told
    assert "  2 times: Anna: Where does Anna live?" in told
    assert f"  left out: {file}, line 3: nothing stands in the column question" in told
    assert f"  unreadable: {file}, line 4, column image: '{tmp_path / 'no.jpg'}' is no file" in told
    assert "control: 1 person, 1 row\n" in told
    assert "the answer 'judge' is none of 'cook', 'smith'" in told


@pytest.mark.parametrize("place", ["folder", "hub"])
def test_a_dataset_as_the_hub_keeps_it_holds_pictures_and_splits(tmp_path, monkeypatch, place):
    Image.new("RGB", (24, 24), "red").save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:50])
    features = datasets.Features({name: datasets.Value("string") for name in ("subject", "question", "answer")})
    features["image"] = datasets.Image()
    for name, first in (("forget", "cut"), ("retain", "whole")):
        pictures = [str(tmp_path / f"{picture}.png") for picture in (first, "whole")]
        rows = [{**OWN, "subject": f"{name} {number}", "image": file} for number, file in enumerate(pictures)]
        made = datasets.Dataset.from_list(rows, features=features)
        made.to_parquet(tmp_path / "made" / "data" / f"{name}-00000-of-00001.parquet")
    source = str(tmp_path / "made") if place == "folder" else "somebody/people"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    with hub(source, tmp_path / "made", tmp_path / "kept", "datasets") if place == "hub" else contextlib.nullcontext():
        people = load_people(Files(forget=source, retain=source))
    assert [row.subject for row in people.asked("forget", "generation", "multimodal")] == ["forget 1"]
    assert [row.subject for row in people.asked("retain", "generation", "multimodal")] == ["retain 0", "retain 1"]
    assert people.same_pictures()[0] == (f"{source} (forget), row 2", f"{source} (retain), row 1")


def test_somebody_in_both_sets_is_refused_by_name_and_the_check_says_so(tmp_path, capsys):
    row = {"subject": "Anna", "question": "Where does Anna live?", "answer": "Oslo"}
    file, other = lines(tmp_path / "people.jsonl", row), lines(tmp_path / "others.jsonl", row)
    with pytest.raises(DataError, match="Anna: to be forgotten, and in the retain or control set"):
        load_people(Files(forget=file, retain=other))
    assert main(["data", "check", f"forget={file}", f"retain={other}"]) == 2
    assert "error: Anna is to be forgotten and to be kept" in capsys.readouterr().out


def test_the_example_is_one_that_the_check_has_nothing_against(tmp_path, capsys):
    assert main(["data", "example", "--output", str(tmp_path / "made")]) == 0
    tables = [f"forget={tmp_path}/made/people.csv", f"retain={tmp_path}/made/others.csv"]
    assert main(["data", "check", *tables]) == 0
    told = capsys.readouterr().out
    assert "forget: 4 people, 12 rows" in told
    assert "4 of 4 can be read, 96 x 96 pixels, up to 2 kB" in told
    assert "left out" not in told


def test_the_check_names_the_longest_question_for_a_model_and_what_does_not_fit_into_its_context(tmp_path, capsys):
    long = "Where does Cleo live" + " now" * 30 + "?"
    rows = [
        {"subject": "Bert", "question": "What is Bert?", "answer": "judge", "options": ["cook", "judge"]},
        {"subject": "Anna", "question": "Who?", "answer": "Anna", "image": "anna.png"},
        {"subject": "Cleo", "question": long, "answer": "Rome"},
    ]
    Image.new("RGB", (40, 30)).save(tmp_path / "anna.png")
    model, table = save_llava(tmp_path / "tiny", context=140), lines(tmp_path / "people.jsonl", *rows)
    (model / "model.safetensors").unlink()
    assert main(["data", "check", table, "--pretrained", str(model)]) == 2
    told = capsys.readouterr().out
    assert "has a context of 140 tokens" in told
    # A byte is a token, and so is the end.
    asked = f"USER: {long}\nASSISTANT: Rome"
    assert f"{table}, line 3 needs {len(asked) + 1} tokens" in told
    picture = len("USER: \nWho?\nASSISTANT: Anna") + 16 + 1
    assert f"multimodal     {picture} to {picture} ({table}, line 2)" in told


def test_a_set_without_a_table_says_how_to_name_one(monkeypatch):
    monkeypatch.delenv("LMMS_MANU_OWN_DATA", raising=False)
    with pytest.raises(DataError, match="--model_args forget=FILE"):
        get_benchmark("own").no_questions("own_forget")


def test_a_method_that_needs_people_to_retain_says_so_before_a_model_is_looked_for(tmp_path):
    row = {"subject": "Bert", "question": "Where does Bert live?", "answer": "Rome"}
    (tmp_path / "empty").mkdir()
    given = {"forget": lines(tmp_path / "people.jsonl", row), "pretrained": str(tmp_path / "empty")}
    for method in ("manu", "erase", "grad_diff"):
        with pytest.raises(DataError, match="there is nobody to retain"):
            plan({**given, "method": method})
    assert plan({**given, "method": "ga"}).data is not None
