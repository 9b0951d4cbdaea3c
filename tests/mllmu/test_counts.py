"""`dataset-stats` counts a copy of MLLMU-Bench beside the published numbers."""

import json

from support.rows import altered

from lmms_manu.cli.main import main


def counts(capsys):
    printed = json.loads(capsys.readouterr().out)
    return {count["label"]: count["found"] for count in printed["counts"]}, printed


def test_people_questions_and_pictures_are_counted(folder, capsys):
    assert main(["dataset-stats", "--dataset", str(folder), "--json"]) == 0
    found, printed = counts(capsys)
    # 20 people in the full set and in the Test set, 6 celebrities; 18 questions each; 3 poses in the Test set.
    assert found == {
        "people": 26,
        "fictitious": 20,
        "celebrities": 6,
        "pictures": 20 + 3 * 20 + 6,
        "questions": 46 * 18,
        "with the picture": 46 * 9,
        "as text only": 46 * 9,
        "multiple-choice questions": 46 * 10,
        "generation questions": 46 * 4,
        "cloze questions": 46 * 4,
    }
    assert printed["skipped"] == []


def test_a_copy_that_differs_fails_the_check(folder, capsys):
    assert main(["dataset-stats", "--dataset", str(folder), "--check"]) == 1
    assert "differs" in capsys.readouterr().out


def test_what_cannot_be_used_is_listed(folder, tmp_path, capsys):
    def dirty(rows):
        rows[0]["Mask_Task"][0]["Question"] = "No blank."
        rows[1]["image"] = None
        rows[2]["image"]["bytes"] = rows[2]["image"]["bytes"][:-100]

    copy = altered(folder, tmp_path / "data", Full_Set=dirty)
    assert main(["dataset-stats", "--dataset", str(copy), "--skipped"]) == 0
    printed = capsys.readouterr().out
    assert "multimodal cloze: the question has no blank" in printed
    assert "Full_Set row 1" in printed
    assert "there is no picture" in printed
    assert "Full_Set row 2" in printed
    assert "picture 1 is missing or does not decode" in printed
    pictures = next(line for line in printed.splitlines() if line.startswith("pictures"))
    assert pictures.split()[1] == str(20 - 2 + 3 * 20 + 6)


def test_a_dataset_that_is_not_there_is_one_sentence(capsys, tmp_path):
    assert main(["dataset-stats", "--dataset", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
