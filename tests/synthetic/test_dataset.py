"""The dataset of fictitious people is MLLMU-Bench in everything but its contents."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest

from lmms_manu.benchmarks.mllmu.fine_tuning_samples import name_the_person
from lmms_manu.benchmarks.mllmu.names import CONFIGS, RATIOS
from lmms_manu.benchmarks.mllmu.schema import FEATURES
from lmms_manu.benchmarks.mllmu.synthetic import Population, make_dataset
from lmms_manu.benchmarks.mllmu.synthetic.dataset import LARGEST_PICTURE, SMALLEST_PICTURE
from lmms_manu.benchmarks.mllmu.synthetic.population import LARGEST_NUMBER, SMALLEST_NUMBER
from lmms_manu.cli.main import main
from lmms_manu.errors import DataError

PEOPLE = 20
PROFILES = [config for config in CONFIGS if config != "ft_Data"]

# Of the rows of 20 people at seed 0: the same with every version of every library.
ROWS_DIGEST = "c4f14f7d9c3350f0cd44b5e2a80566d94fbbcc97b513e76af52fec5de229e0bb"


def rows(folder: Path, config: str) -> list[dict]:
    """The rows of a configuration by the ordinary way, their pictures as they are stored."""
    loaded = datasets.load_dataset(str(folder), config, split="train")
    if config == "Test_Set":
        return loaded.cast_column("images", datasets.List(datasets.Image(decode=False))).to_list()
    return loaded.cast_column("image", datasets.Image(decode=False)).to_list()


def ids(folder: Path, config: str) -> list[str]:
    return [row["ID"] for row in rows(folder, config)]


@pytest.mark.parametrize("config", CONFIGS)
def test_every_configuration_loads_with_the_columns_of_the_real_one(folder: Path, config: str) -> None:
    loaded = datasets.load_dataset(str(folder), config, split="train")
    assert loaded.features == FEATURES[config]
    assert (folder / config / "train-00000-of-00001.parquet").is_file()


def test_numbers_of_people_keep_the_ratios_of_the_real_dataset(folder: Path) -> None:
    counts = {config: len(ids(folder, config)) for config in CONFIGS}
    assert counts == {
        "Full_Set": 20,
        "forget_5": 1,
        "forget_10": 2,
        "forget_15": 3,
        "retain_95": 19,
        "retain_90": 18,
        "retain_85": 17,
        "Test_Set": 20,
        "Retain_Set": 6,
        "ft_Data": 20,
    }


def test_forget_sets_nest_and_retain_sets_hold_the_rest(folder: Path) -> None:
    everyone = set(ids(folder, "Full_Set"))
    forget = [set(ids(folder, f"forget_{ratio}")) for ratio in RATIOS]
    assert forget[0] < forget[1] < forget[2] < everyone
    assert [everyone - members for members in forget] == [set(ids(folder, f"retain_{100 - r}")) for r in RATIOS]


def test_celebrities_are_other_people(folder: Path) -> None:
    names = {config: {json.loads(row["biography"])["Name"] for row in rows(folder, config)} for config in PROFILES}
    assert not names["Retain_Set"] & names["Full_Set"]
    assert not set(ids(folder, "Retain_Set")) & set(ids(folder, "Full_Set"))
    assert len(names["Full_Set"]) == PEOPLE


@pytest.mark.parametrize("config", PROFILES)
def test_every_profile_has_all_its_questions(folder: Path, config: str) -> None:
    for row in rows(folder, config):
        for kind in ("Image_Textual_Questions", "Pure_Text_Questions"):
            questions = row["Classification_Task"][kind]
            assert len(questions) == 5
            assert all(question["Correct_Answer"] in question["Options"] for question in questions)
            assert all(len(set(question["Options"].values())) == 4 for question in questions)
        for task in ("Generation_Task", "Mask_Task"):
            assert [question["Type"] for question in row[task]] == ["Image_Textual"] * 2 + ["Pure_Text"] * 2
        assert all(question["Question"].count("__") == 1 for question in row["Mask_Task"])


def test_only_questions_without_a_picture_name_the_person(folder: Path) -> None:
    for row in rows(folder, "Full_Set"):
        name = json.loads(row["biography"])["Name"]
        for kind, is_named in (("Image_Textual", False), ("Pure_Text", True)):
            asked = [q["Question"] for q in row["Classification_Task"][f"{kind}_Questions"]]
            asked += [q["Question"] for q in row["Generation_Task"] + row["Mask_Task"] if q["Type"] == kind]
            assert all((name in question) == is_named for question in asked)


def test_answers_agree_with_the_biography(folder: Path) -> None:
    for row in rows(folder, "Full_Set"):
        facts = set(json.loads(row["biography"]).values())
        for kind in row["Classification_Task"].values():
            assert {question["Options"][question["Correct_Answer"]] for question in kind} <= facts
        assert {question["Ground_Truth"] for question in row["Mask_Task"]} <= facts


def test_fine_tuning_questions_can_be_asked_by_name(folder: Path) -> None:
    for row in rows(folder, "ft_Data"):
        for pair in json.loads(row["metadata"]):
            assert "this person" in pair["Question"]
            assert "Ada Smith" in name_the_person(pair["Question"], "Ada Smith")
            assert pair["Answer"].endswith(".")


def test_the_test_set_asks_about_the_same_facts_in_other_words_and_poses(folder: Path) -> None:
    for profile, test in zip(rows(folder, "Full_Set"), rows(folder, "Test_Set"), strict=True):
        assert profile["ID"] == test["ID"]
        for task in ("Generation_Task", "Mask_Task"):
            for asked, paraphrased in zip(profile[task], test[task], strict=True):
                assert asked["Ground_Truth"] == paraphrased["Ground_Truth"]
                assert asked["Question"] != paraphrased["Question"]
        assert len(test["images"]) == 3
        assert profile["image"]["bytes"] not in {picture["bytes"] for picture in test["images"]}


def test_no_two_pictures_are_equal(folder: Path) -> None:
    pictures = [row["image"]["bytes"] for config in ("Full_Set", "Retain_Set") for row in rows(folder, config)]
    pictures += [picture["bytes"] for row in rows(folder, "Test_Set") for picture in row["images"]]
    assert len(set(pictures)) == len(pictures) == 26 + 60


def test_a_person_has_the_same_picture_everywhere(folder: Path, population: Population) -> None:
    pictures = {row["ID"]: row["image"]["bytes"] for row in rows(folder, "Full_Set")}
    for config in ("forget_15", "retain_95", "ft_Data"):
        assert all(pictures[row["ID"]] == row["image"]["bytes"] for row in rows(folder, config))


def test_the_same_arguments_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = make_dataset(tmp_path / "again", people=PEOPLE)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((folder / file).read_bytes() == (again / file).read_bytes() for file in files)


def test_rows_are_the_same_on_every_machine(folder: Path) -> None:
    digest = hashlib.sha256()
    for config in CONFIGS:
        digest.update(repr(rows(folder, config)).encode())
    assert digest.hexdigest() == ROWS_DIGEST


def test_another_seed_gives_other_people(folder: Path, tmp_path: Path) -> None:
    other = make_dataset(tmp_path / "other", people=PEOPLE, seed=1)
    biographies = {row["biography"] for row in rows(folder, "Full_Set")}
    assert biographies.isdisjoint(row["biography"] for row in rows(other, "Full_Set"))


def test_as_many_people_as_the_real_dataset_has_can_be_made(tmp_path: Path) -> None:
    made = make_dataset(tmp_path / "large", people=500, picture_size=16)
    assert len(ids(made, "Full_Set")) == 500
    assert len(ids(made, "Retain_Set")) == 153
    assert len(ids(made, "forget_5")) == 25


def test_large_pictures_take_as_much_room_as_the_real_ones(tmp_path: Path) -> None:
    made = make_dataset(tmp_path / "heavy", people=20, picture_size=400)
    sizes = {len(row["image"]["bytes"]) for row in rows(made, "Full_Set")}
    assert all(470_000 < size < 490_000 for size in sizes)


def test_an_existing_folder_is_kept_unless_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "kept"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="exists"):
        make_dataset(target, people=PEOPLE)
    assert [path.name for path in tmp_path.rglob("*")] == ["kept", "mine.txt"]
    (target / "mine.txt").unlink()
    for seed in (0, 1):
        make_dataset(target, people=PEOPLE, seed=seed, overwrite=True)
        assert f"--seed {seed}`" in (target / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("name", ["mine.txt", "mine/below.txt", "Full_Set/mine.txt", "Full_Set/train-00001.parquet"])
def test_a_folder_that_holds_anything_else_is_not_replaced(folder: Path, tmp_path: Path, name: str) -> None:
    target = shutil.copytree(folder, tmp_path / "kept")
    (target / name).parent.mkdir(exist_ok=True)
    (target / name).write_text("mine")
    before = sorted(target.rglob("*"))
    foreign = "mine" if name.startswith("mine/") else name
    with pytest.raises(DataError, match=f"holds '{foreign}', which make-dataset did not write"):
        make_dataset(target, people=PEOPLE, overwrite=True)
    assert sorted(target.rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_real_copy_with_the_same_names_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    target = shutil.copytree(folder, tmp_path / "kept")
    (target / "README.md").write_text("# MLLMU-Bench", encoding="utf-8")
    with pytest.raises(DataError, match="which make-dataset did not write"):
        make_dataset(target, people=PEOPLE, overwrite=True)
    assert (target / "Full_Set" / "train-00000-of-00001.parquet").is_file()


def test_only_a_folder_that_is_not_in_use_is_replaced(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = shutil.copytree(folder, tmp_path / "kept")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "file").write_text("mine")
    for name in ("link", "file"):
        with pytest.raises(DataError, match=f"{name} is no folder that make-dataset wrote"):
            make_dataset(tmp_path / name, people=PEOPLE, overwrite=True)
    monkeypatch.chdir(target)
    with pytest.raises(DataError, match="You are in the folder"):
        make_dataset(".", people=PEOPLE, overwrite=True)
    assert (target / "README.md").is_file()


@pytest.mark.parametrize("arguments", [{"people": 19}, {"people": 10**6}, {"picture_size": 4}])
def test_numbers_out_of_range_are_refused(tmp_path: Path, arguments: dict[str, Any]) -> None:
    name, value = next(iter(arguments.items()))
    with pytest.raises(DataError, match=f"{name}={value}.*allowed is"):
        make_dataset(tmp_path / "none", **arguments)
    assert not list(tmp_path.iterdir())


def test_the_command_makes_the_same_dataset(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "by-command"
    assert main(["make-dataset", "--people", str(PEOPLE), "--out", str(out)]) == 0
    parquet = Path("Full_Set") / "train-00000-of-00001.parquet"
    assert (out / parquet).read_bytes() == (folder / parquet).read_bytes()
    assert main(["make-dataset", "--people", str(PEOPLE), "--out", str(out)]) == 2


def test_the_commands_help_names_its_limits(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["make-dataset", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"fictitious people, {SMALLEST_NUMBER} to {LARGEST_NUMBER}," in shown
    assert f"pictures, {SMALLEST_PICTURE} to {LARGEST_PICTURE} (48)" in shown
