"""Pictures are read from where they lie, and told from what only begins like one."""

import io
import json
import logging
import re
import shutil

import datasets
import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from lmms_manu import images
from lmms_manu.benchmarks.pictures import EncodedPicture, pictures_of
from lmms_manu.cli.main import main
from lmms_manu.errors import DataError


def encoded(content):
    return EncodedPicture(pyarrow.py_buffer(content), None)


def decodes(picture):
    try:
        picture.decode()
    except Exception:
        return False
    return True


@pytest.mark.parametrize(
    ("form", "options"),
    [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {}), ("GIF", {}), ("BMP", {}), ("TIFF", {})],
)
def test_a_picture_is_whole_where_it_decodes_wherever_it_is_cut_off(form, options):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    content = file.getvalue()
    assert encoded(content).is_whole()
    cuts = {*range(0, len(content), len(content) // 40), *range(len(content) - 12, len(content))}
    verdicts = {cut: (encoded(content[:cut]).is_whole(), decodes(encoded(content[:cut]))) for cut in cuts}
    assert all(whole == decoded for whole, decoded in verdicts.values()), verdicts
    assert not all(whole for whole, _ in verdicts.values())


def test_a_picture_that_is_nowhere_is_not_whole():
    assert not EncodedPicture(None, None).is_whole()
    assert not EncodedPicture(None, "/no/where.png").is_whole()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_is_stored_turned_is_shown_as_datasets_shows_it(form, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, form, exif=exif)
    wanted = datasets.Image().decode_example({"bytes": file.getvalue(), "path": None})
    picture = encoded(file.getvalue()).decode()
    assert picture.size == ((32, 48) if orientation > 4 else (48, 32))
    assert picture.tobytes() == wanted.convert("RGB").tobytes()


def test_pictures_of_more_than_eight_bits_are_shown_as_datasets_shows_them_with_a_warning(caplog, monkeypatch):
    monkeypatch.setattr(images, "_warned", set())
    values = np.linspace(0, 65535, 48 * 32).reshape(32, 48)
    for kind, form in ((np.uint16, "PNG"), (np.float32, "TIFF")):
        file = io.BytesIO()
        Image.fromarray(values.astype(kind)).save(file, form)
        wanted = datasets.Image().decode_example({"bytes": file.getvalue(), "path": None})
        with caplog.at_level(logging.WARNING):
            pictures = [encoded(file.getvalue()).decode("the picture of row 7") for _ in range(2)]
        assert all(picture.tobytes() == wanted.convert("RGB").tobytes() for picture in pictures)
    messages = [record.getMessage() for record in caplog.records]
    assert [message.partition(" a channel")[0] for message in messages] == [
        "The picture of row 7 has more than 8 bits",
        "The picture of row 7 has floating-point numbers",
    ]


def column_of(table, name, content, kind):
    """`table` with its pictures under `name` as an array of another type; `content` makes a value of a picture's."""
    values = [
        [content(picture) for picture in value] if isinstance(value, list) else content(value)
        for value in table.column(name).to_pylist()
    ]
    kind = pyarrow.list_(kind) if name == "images" else kind
    place = table.column_names.index(name)
    return table.replace_schema_metadata(None).set_column(place, name, pyarrow.array(values, kind))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (pyarrow.binary(), lambda picture: picture["bytes"]),
        (pyarrow.large_binary(), lambda picture: picture["bytes"]),
        (pyarrow.binary_view(), lambda picture: picture["bytes"]),
        (pyarrow.struct({"bytes": pyarrow.binary()}), lambda picture: {"bytes": picture["bytes"]}),
        (pyarrow.struct({"path": pyarrow.string(), "bytes": pyarrow.large_binary()}), lambda picture: picture),
    ],
)
def test_pictures_are_read_from_every_column_that_datasets_takes_for_pictures(folder, kind, content):
    for config, name in (("forget_15", "image"), ("Test_Set", "images")):
        table = parquet.read_table(next((folder / config).glob("*.parquet")))
        other = column_of(table, name, content, kind)
        for row in range(3):
            wanted = [picture.decode().tobytes() for picture in pictures_of(table, row)]
            assert [picture.decode().tobytes() for picture in pictures_of(other, row)] == wanted
            assert wanted


def test_pictures_are_read_from_a_column_of_paths(tmp_path):
    Image.new("RGB", (3, 2), "red").save(tmp_path / "one.png")
    table = pyarrow.table({"image": [str(tmp_path / "one.png"), None]})
    assert pictures_of(table, 0)[0].decode().size == (3, 2)
    assert pictures_of(table, 1) == []


@pytest.mark.parametrize(
    "kind", [pyarrow.int64(), pyarrow.list_(pyarrow.uint8()), pyarrow.struct({"x": pyarrow.int8()})]
)
def test_a_column_without_pictures_is_one_sentence(kind):
    table = pyarrow.table({"image": pyarrow.array([None], kind)})
    with pytest.raises(DataError, match=re.escape(f"The column image is of type {kind}")):
        pictures_of(table, 0)


def test_a_dataset_whose_pictures_are_bytes_alone_is_counted_and_another_refused(folder, tmp_path, capsys):
    copy = tmp_path / "data"
    shutil.copytree(folder, copy)
    for path in copy.glob("*/*.parquet"):
        table = parquet.read_table(path)
        name = "images" if "images" in table.column_names else "image"
        parquet.write_table(column_of(table, name, lambda picture: picture["bytes"], pyarrow.binary()), path)
    assert main(["dataset-stats", "--dataset", str(copy), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert next(one["found"] for one in printed["counts"] if one["label"] == "pictures") == 20 + 3 * 20 + 6
    other = copy.rename(tmp_path / "numbers")
    path = next((other / "Full_Set").glob("*.parquet"))
    table = parquet.read_table(path)
    place = table.column_names.index("image")
    parquet.write_table(table.set_column(place, "image", pyarrow.array(range(len(table)))), path)
    assert main(["dataset-stats", "--dataset", str(other)]) == 2
    assert "The column image is of type int64" in capsys.readouterr().err
