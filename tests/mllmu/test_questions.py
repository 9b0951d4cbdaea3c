"""What a leaf asks: as many questions as published, no exemplar's, none that is unusable, and no pictures."""

import logging

import pytest
from support.rows import altered

from lmms_manu.benchmarks.mllmu import DatasetSource, Leaf, ProtocolSettings, prompt_building
from lmms_manu.benchmarks.mllmu.questions import DOCUMENT_FEATURES, load_questions
from lmms_manu.errors import DataError

SETTINGS = ProtocolSettings()


def load(source, split, task, modality="text", ratio=5, settings=SETTINGS):
    return load_questions(Leaf(split, None if split == "celebrity" else ratio, task, modality), source, settings)


def shown(questions):
    """Which picture is shown of whom."""
    return dict(zip(questions.documents["person"], questions.documents["picture"], strict=True))


@pytest.mark.parametrize("modality", ["multimodal", "text"])
@pytest.mark.parametrize(
    ("split", "counts"),
    [
        ("forget", {"classification": 120, "generation": 50, "cloze": 46}),
        ("test", {"classification": 120, "generation": 50, "cloze": 46}),
        ("retain", {"classification": 474 * 5, "generation": 950, "cloze": 473 * 2}),
        ("celebrity", {"classification": 765, "generation": 306, "cloze": 306}),
    ],
)
def test_the_leaves_ask_as_many_questions_as_the_released_script(real_sizes, split, counts, modality):
    source = DatasetSource.resolve(str(real_sizes))
    assert {task: len(load(source, split, task, modality).documents) for task in counts} == counts


def test_exemplars_are_not_asked_about_and_are_the_same_for_both_modalities(source):
    by_modality = [load(source, "forget", "cloze", modality, ratio=15) for modality in ("multimodal", "text")]
    assert by_modality[0].exemplars == by_modality[1].exemplars
    for questions in by_modality:
        assert not set(questions.exemplars) & set(questions.documents["person"])


def test_few_people_give_fewer_exemplars(source):
    assert len(load(source, "forget", "cloze", ratio=15).exemplars) == 1
    assert load(source, "forget", "cloze", ratio=5).exemplars == ()


def test_exemplars_can_be_switched_off(source):
    none = ProtocolSettings(classification=0, cloze=0)
    assert load(source, "retain", "cloze", settings=none).exemplars == ()
    assert len(load(source, "retain", "cloze", settings=none).documents) == 19 * 2


def test_no_order_of_rows_changes_who_the_exemplars_are_but_the_order_that_they_stand_in(tmp_path, folder, source):
    changes = dict.fromkeys(("retain_95", "Test_Set", "Full_Set"), lambda rows: rows[::-1])
    ids = source.texts("Full_Set")["ID"]
    turned = DatasetSource.resolve(str(altered(folder, tmp_path / "data", **changes)))
    for split in ("retain", "test"):
        one, other = (load(given, split, "cloze", "multimodal", 15) for given in (source, turned))
        assert one.exemplars == other.exemplars[::-1] == tuple(sorted(one.exemplars, key=ids.index))
        assert shown(one) == shown(other)


def test_documents_hold_no_pictures_and_text_ones_point_to_none(source):
    documents = load(source, "test", "classification", "text", 15).documents
    assert documents.features == DOCUMENT_FEATURES
    assert set(documents["picture"]) == {-1}
    assert len(documents.data.cache_files if hasattr(documents.data, "cache_files") else []) == 0


def test_the_test_split_shows_a_test_picture_and_exemplars_of_the_full_set(source):
    questions = load(source, "test", "cloze", "multimodal", 15)
    document = questions.documents[0]
    prompt = prompt_building.conversation(document)
    row = source.texts("Full_Set")["ID"].index(questions.exemplars[0])
    assert prompt.pictures[0] is source.image("Full_Set", row)
    assert prompt.pictures[-1] is source.image("Test_Set", document["row"], document["picture"])
    assert 0 <= document["picture"] < 3


def test_celebrity_exemplars_are_none_but_those_asked_for_which_come_from_the_celebrities(source):
    assert load(source, "celebrity", "cloze", settings=ProtocolSettings(cloze=2)).exemplars == ()
    wanted = ProtocolSettings(splits=(("celebrity.cloze", 2),))
    questions = load(source, "celebrity", "cloze", "multimodal", settings=wanted)
    assert len(questions.exemplars) == 2
    assert set(questions.exemplars) <= set(source.texts("Retain_Set")["ID"])
    assert len(questions.documents) == (6 - 2) * 2


def test_unusable_rows_and_questions_are_skipped_counted_and_named(tmp_path, folder, caplog):
    def dirty(rows):
        rows[0]["Classification_Task"]["Pure_Text_Questions"][1]["Correct_Answer"] = "X"
        rows[1]["Classification_Task"] = None
        rows[2]["ID"] = None
        return [*rows, dict(rows[3])]

    source = DatasetSource.resolve(str(altered(folder, tmp_path / "data", retain_95=dirty)))
    with caplog.at_level(logging.WARNING):
        questions = load(source, "retain", "classification", "text")
    # One question, all five of the second row, of the third, and of the last.
    assert questions.skipped_questions == 16
    assert set(questions.documents["skipped"]) == {16}
    for part in (
        "16 question(s)",
        "row 0",
        "'X' is none",
        "row 1",
        "no text questions",
        "row 2",
        "no ID",
        "row 19",
        "in row 3",
    ):
        assert part in caplog.text


def test_people_missing_from_the_test_set_are_named(tmp_path, folder, source):
    lost = source.texts("forget_15")["ID"][1]
    changes = {"Test_Set": lambda rows: [row for row in rows if row["ID"] != lost]}
    incomplete = DatasetSource.resolve(str(altered(folder, tmp_path / "data", **changes)))
    questions = load(incomplete, "test", "cloze", ratio=15)
    assert [(item.person, item.questions) for item in questions.skipped] == [(lost, 2)]


def test_missing_pictures_cost_only_the_multimodal_questions(tmp_path, folder):
    def dirty(rows):
        rows[0]["image"] = None

    source = DatasetSource.resolve(str(altered(folder, tmp_path / "data", forget_15=dirty)))
    assert load(source, "forget", "generation", "multimodal", 15).skipped_questions == 2
    assert load(source, "forget", "generation", "text", 15).skipped_questions == 0


def test_a_test_picture_that_is_broken_is_not_chosen(tmp_path, folder):
    def dirty(rows):
        for row in rows:
            row["images"][0] = row["images"][2] = {"bytes": b"no picture", "path": None}

    source = DatasetSource.resolve(str(altered(folder, tmp_path / "data", Test_Set=dirty)))
    assert set(load(source, "test", "generation", "multimodal", 15).documents["picture"]) == {1}


def test_a_person_whose_picture_is_cut_off_is_no_exemplar(tmp_path, folder, source):
    chosen = load(source, "retain", "cloze", "multimodal").exemplars[0]

    def dirty(rows):
        for row in rows:
            if row["ID"] == chosen:
                row["image"] = {"bytes": row["image"]["bytes"][:200], "path": None}

    dirty_source = DatasetSource.resolve(str(altered(folder, tmp_path / "data", Full_Set=dirty)))
    assert chosen not in load(dirty_source, "retain", "cloze", "multimodal").exemplars


@pytest.mark.parametrize("nothing", [lambda rows: [], lambda rows: [{**row, "Generation_Task": None} for row in rows]])
def test_a_split_that_is_left_empty_is_an_error(tmp_path, folder, nothing):
    source = DatasetSource.resolve(str(altered(folder, tmp_path / "data", forget_5=nothing)))
    with pytest.raises(DataError, match="forget_5"):
        load(source, "forget", "generation")
