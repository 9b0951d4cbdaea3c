"""The dataset is found, memory-mapped, and its pictures are opened when they are asked for."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageFile
from support.rows import altered

from lmms_manu.benchmarks.mllmu import DatasetSource
from lmms_manu.errors import DataError


def test_the_environment_names_the_dataset_and_an_argument_comes_first(monkeypatch, folder):
    monkeypatch.setenv("LMMS_MANU_DATASET", str(folder))
    assert DatasetSource.resolve().path == str(folder)
    assert DatasetSource.resolve("someone/else").path == "someone/else"


def test_a_folder_in_the_current_directory_stands_in_for_the_hub(monkeypatch, tmp_path, folder):
    monkeypatch.delenv("LMMS_MANU_DATASET", raising=False)
    monkeypatch.chdir(tmp_path)
    assert DatasetSource.resolve().path == "MLLMMU/MLLMU-Bench"
    (tmp_path / "MLLMMU").mkdir()
    (tmp_path / "MLLMMU" / "MLLMU-Bench").symlink_to(folder)
    assert DatasetSource.resolve().path == str(folder)


def test_a_hub_name_is_opened_by_name_and_a_copy_by_its_files(folder):
    hub = DatasetSource.resolve("MLLMMU/MLLMU-Bench")
    assert (hub.loader, hub.loader_arguments("forget_5")) == ("MLLMMU/MLLMU-Bench", {})
    copy = DatasetSource.resolve(str(folder))
    assert copy.loader == "parquet"
    assert copy.loader_arguments("forget_5")["data_files"]["train"] == [
        str(folder / "forget_5" / "train-00000-of-00001.parquet")
    ]


@pytest.mark.parametrize("missing", ["./nowhere", "/no/where", "~/nowhere", "nowhere"])
def test_a_folder_that_is_not_there_is_named(missing):
    with pytest.raises(DataError, match=f"no folder '{missing}'.*LMMS_MANU_DATASET"):
        DatasetSource.resolve(missing)


def test_a_copy_that_lacks_a_configuration_says_what_it_has(tmp_path):
    (tmp_path / "forget_10").mkdir()
    with pytest.raises(DataError, match=r"no files forget_5/\*.parquet: its folders are forget_10"):
        DatasetSource.resolve(str(tmp_path)).load("forget_5")


def test_a_damaged_file_is_an_error_that_names_the_configuration(tmp_path):
    (tmp_path / "forget_5").mkdir()
    (tmp_path / "forget_5" / "train-00000-of-00001.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match=r"forget_5 of .* cannot be opened"):
        DatasetSource.resolve(str(tmp_path)).load("forget_5")


def test_an_unknown_configuration_is_named(source):
    with pytest.raises(DataError, match="forget_7"):
        source.load("forget_7")


def test_texts_hold_no_pictures(source):
    assert "image" not in source.texts("forget_15").column_names
    assert "images" not in source.texts("Test_Set").column_names


def test_pictures_are_decoded_to_rgb_and_stay_the_same_object(source):
    picture = source.image("Full_Set", 3)
    assert (picture.mode, picture.size) == ("RGB", (48, 48))
    assert source.image("Full_Set", 3) is picture
    assert source.pictures("Test_Set", 0) == 3
    assert source.image("Test_Set", 0, 2).tobytes() != source.image("Test_Set", 0, 1).tobytes()
    with pytest.raises(DataError, match="no number 3"):
        source.image("Test_Set", 0, 3)


def test_broken_pictures_are_told_from_good_ones(tmp_path, folder):
    def break_some(rows):
        whole = rows[0]["image"]["bytes"]
        rows[1]["image"] = {"bytes": b"no picture", "path": None}
        rows[2]["image"] = None
        rows[3]["image"] = {"bytes": whole[: len(whole) // 2], "path": None}
        rows[4]["image"] = {"bytes": None, "path": None}

    source = DatasetSource.resolve(str(altered(folder, tmp_path / "data", Full_Set=break_some)))
    assert [source.has_picture("Full_Set", row) for row in range(6)] == [True, False, False, True, False, True]
    # Only decoding can tell that a file has been cut off.
    assert [source.decodes("Full_Set", row) for row in range(6)] == [True, False, False, False, False, True]
    with pytest.raises(DataError, match="row 3 of Full_Set"):
        source.image("Full_Set", 3)


def test_pictures_that_are_cut_off_are_refused_whatever_pillow_is_told_elsewhere(tmp_path, folder, monkeypatch):
    def cut_off(rows):
        rows[0]["image"] = {"bytes": rows[0]["image"]["bytes"][:-200], "path": None}

    source = DatasetSource.resolve(str(altered(folder, tmp_path / "data", Full_Set=cut_off)))
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with ThreadPoolExecutor(4) as threads:
        decoded = list(threads.map(lambda row: source.decodes("Full_Set", row), [0, 1, 2, 3] * 5))
    assert decoded == [False, True, True, True] * 5
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_fingerprints_follow_the_data(tmp_path, source, folder):
    other = DatasetSource.resolve(str(altered(folder, tmp_path / "data", forget_5=lambda rows: rows[:1] * 2)))
    assert source.fingerprint("forget_5") == source.fingerprint("forget_5") != other.fingerprint("forget_5")


def test_pictures_of_any_mode_come_out_in_rgb(tmp_path, folder):
    def make_gray(rows):
        path = tmp_path / "gray.png"
        Image.new("LA", (5, 7)).save(path)
        rows[0]["image"] = {"bytes": path.read_bytes(), "path": None}

    source = DatasetSource.resolve(str(altered(folder, tmp_path / "data", Full_Set=make_gray)))
    assert (source.image("Full_Set", 0).mode, source.image("Full_Set", 0).size) == ("RGB", (5, 7))
