"""Files are written whole or not at all."""

import json
import os
import stat

import pytest

from lmms_manu.files import atomic_path, write_json, write_text


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
