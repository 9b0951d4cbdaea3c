"""Files are written whole or not at all."""

import json
import os
import stat

import pytest
import torch
from safetensors.torch import save_file
from support.quota import files_of_at_most

from lmms_manu.errors import SettingError
from lmms_manu.files import (
    atomic_folder,
    atomic_path,
    refuse_existing,
    refuse_unwritable,
    refuse_unwritable_file,
    write_json,
    write_text,
)


def test_a_failure_while_writing_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "folder" / "file.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_a_new_file_has_the_permissions_of_an_ordinary_one(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    write_json(tmp_path / "new.json", {"name": "Zoë"})
    assert json.loads((tmp_path / "new.json").read_text(encoding="utf-8")) == {"name": "Zoë"}
    assert stat.S_IMODE(os.stat(tmp_path / "new.json").st_mode) == stat.S_IMODE(os.stat(ordinary).st_mode)


def test_what_can_be_made_is_not_refused_nor_made(tmp_path):
    refuse_unwritable("out", tmp_path)
    refuse_unwritable("out", tmp_path / "new" / "below")
    refuse_unwritable_file("out", tmp_path / "new" / "file.txt")
    refuse_existing("out", tmp_path / "new" / "file.txt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("refuse", [refuse_unwritable, refuse_unwritable_file, refuse_existing])
@pytest.mark.parametrize("place", ["file/below", "file/far/below", "broken/below"])
def test_what_lies_below_a_file_is_refused_by_the_name_of_the_setting(tmp_path, monkeypatch, refuse, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    in_the_way = tmp_path / place.partition("/")[0]
    with pytest.raises(SettingError, match=f"out='{place}' cannot be written: '{in_the_way}' is no folder"):
        refuse("out", place)


@pytest.mark.parametrize("refuse", [refuse_unwritable_file, refuse_existing])
def test_a_folder_is_no_file(tmp_path, refuse):
    with pytest.raises(SettingError, match=f"out='{tmp_path}' is a folder: name a file"):
        refuse("out", tmp_path)


@pytest.fixture
def closed(tmp_path):
    """A folder that this process may not write into; root, who may anywhere, is asked as an ordinary user."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    is_root = os.getuid() == 0
    if is_root:
        os.setresuid(65534, 0, 0)
    yield folder
    if is_root:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize("refuse", [refuse_unwritable, refuse_unwritable_file, refuse_existing])
def test_a_folder_that_is_closed_to_writing_is_named(closed, refuse):
    with pytest.raises(SettingError, match=f"out='{closed}/new/file' .* may not write into the folder '{closed}'"):
        refuse("out", closed / "new" / "file")


def test_the_error_of_a_full_disk_names_the_file_whatever_wrote_it(tmp_path):
    with files_of_at_most(4096):
        for name, write in {
            "a.txt": lambda path: path.write_text("x" * 8192),
            "a.safetensors": lambda path: save_file({"a": torch.zeros(4096)}, path),
        }.items():
            with pytest.raises(OSError, match=rf"File too large: '.*/{name}'"), atomic_path(tmp_path / name) as file:
                write(file)
    assert not any(tmp_path.iterdir())


def test_folders_inside_a_new_folder_can_be_entered_and_their_files_read(tmp_path):
    with atomic_folder("output", tmp_path / "new") as scratch:
        (scratch / "inner").mkdir()
        (scratch / "inner" / "file").write_text("content")
        (scratch / "inner" / "file").chmod(0o600)
    ordinary = tmp_path / "ordinary"
    ordinary.mkdir()
    (ordinary / "file").touch()
    assert (tmp_path / "new" / "inner").stat().st_mode == ordinary.stat().st_mode
    assert (tmp_path / "new" / "inner" / "file").stat().st_mode == (ordinary / "file").stat().st_mode
