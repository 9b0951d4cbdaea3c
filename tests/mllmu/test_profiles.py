"""Rows are read whatever they hold; what is unusable is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmms_manu.benchmarks.mllmu.names import TASKS
from lmms_manu.benchmarks.mllmu.profiles import Question, Skipped, read_id, read_name, read_pairs, read_questions
from lmms_manu.names import MODALITIES

OPTIONS = {"A": "red", "B": "green", "C": "blue", "D": "grey"}
CHOICE = {"Question": "Which?", "Options": OPTIONS, "Correct_Answer": "C"}
CLOZE = {"Type": "Pure_Text", "Question": "Lives in __.", "Ground_Truth": "Oslo"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def read(row, task, modality="text"):
    return list(read_questions({"ID": "7", **row}, task, modality, "forget_5", 3))


def choices(*records):
    return read({"Classification_Task": {"Pure_Text_Questions": list(records)}}, "classification")


def test_a_clean_question_is_read():
    assert choices(CHOICE) == [Question(0, "Which?", "C", OPTIONS)]
    assert read({"Mask_Task": [CLOZE]}, "cloze") == [Question(0, "Lives in __.", "Oslo")]


def test_lists_of_records_may_be_stored_as_records_of_lists():
    columns = {key: [CLOZE[key], CLOZE[key]] for key in CLOZE}
    assert [question.number for question in read({"Mask_Task": columns}, "cloze")] == [0, 1]


def test_a_record_of_lists_of_different_lengths_loses_no_question_silently():
    columns = {"Type": ["Pure_Text"] * 2, "Question": ["Lives in __.", "Likes __."], "Ground_Truth": ["Oslo"]}
    good, lost = read({"Mask_Task": columns}, "cloze")
    assert isinstance(good, Question)
    assert "ground truth is missing" in lost.reason


def test_blanks_around_letters_and_types_do_not_matter():
    assert choices({**CHOICE, "Correct_Answer": "c "})[0].answer == "C"
    assert read({"Mask_Task": [{**CLOZE, "Type": "Pure_Text "}]}, "cloze")[0].answer == "Oslo"


@pytest.mark.parametrize("correct", ["B", "b", "B.", "(b)", "B: green", "B. green", "b) Green ", "green", "GREEN"])
def test_the_correct_answer_may_be_written_with_its_option_or_as_its_text(correct):
    (question,) = choices({**CHOICE, "Correct_Answer": correct})
    assert question.answer == "B"


def test_an_option_that_looks_like_a_labelled_one_is_taken_as_it_stands():
    (question,) = choices({**CHOICE, "Options": {**OPTIONS, "D": "A. Byron"}, "Correct_Answer": "A. Byron"})
    assert question.answer == "D"


def test_json_that_is_nested_too_deeply_stops_no_reading():
    assert "no JSON" in read_pairs("[" * 100_000)
    assert read_name("[" * 100_000) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Question": None}, "missing or empty"),
        ({"Question": "  "}, "missing or empty"),
        ({"Options": None}, "no options"),
        ({"Options": {**OPTIONS, "B": None, "D": ""}}, "option B, D"),
        ({"Correct_Answer": "E"}, "'E' is none of the options"),
        ({"Correct_Answer": "B. blue"}, "'B. blue' is none of the options"),
        ({"Correct_Answer": "green", "Options": {**OPTIONS, "D": "green"}}, "'green' is none of the options"),
        ({"Correct_Answer": None}, "None is none of the options"),
        ({"Question": "Who is <image>?"}, "stands for a picture"),
    ],
)
def test_an_unusable_choice_is_named_with_its_row_and_reason(change, reason):
    good, bad = choices(CHOICE, {**CHOICE, **change})
    assert isinstance(good, Question)
    assert reason in bad.reason
    assert str(bad).startswith("forget_5 row 3 (ID 7), question 2:")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Question": "Lives in Oslo."}, "no blank"),
        ({"Ground_Truth": None}, "ground truth"),
        ({"Question": None}, "question is missing"),
    ],
)
def test_an_unusable_cloze_question_is_named(change, reason):
    (skipped,) = read({"Mask_Task": [{**CLOZE, **change}]}, "cloze")
    assert reason in skipped.reason


def test_a_question_of_no_known_type_is_named_in_both_modalities():
    for modality in MODALITIES:
        (skipped, empty) = read({"Mask_Task": [{**CLOZE, "Type": "Text"}, None]}, "cloze", modality)
        assert "'Text' is none of Image_Textual, Pure_Text" in skipped.reason
        assert "empty" in empty.reason


@pytest.mark.parametrize("task", TASKS)
def test_a_row_without_its_list_of_questions_loses_them_all(task):
    (skipped,) = read({}, task)
    assert read({"Generation_Task": [], "Mask_Task": [], "Classification_Task": {"Pure_Text_Questions": []}}, task) == [
        skipped
    ]
    assert skipped.number is None
    assert skipped.questions == {"classification": 5, "generation": 2, "cloze": 2}[task]


@given(json_values, json_values, st.sampled_from(TASKS), st.sampled_from(MODALITIES))
def test_no_row_stops_the_reading(records, inner, task, modality):
    row: dict[str, Any] = {"Classification_Task": {"Pure_Text_Questions": records, "Image_Textual_Questions": inner}}
    row |= {"Generation_Task": records, "Mask_Task": [records, inner]}
    assert all(isinstance(reading, (Question, Skipped)) for reading in read(row, task, modality))


@given(json_values)
def test_no_metadata_or_biography_stops_the_reading(value):
    assert isinstance(read_pairs(json.dumps(value)), (list, str))
    assert isinstance(read_name(json.dumps(value)), str)
    assert isinstance(read_name(value), str)


def test_names_are_found_in_broken_biographies_and_under_untidy_keys():
    assert read_name('{"Name": "Ada Byron", "Heights": }') == "Ada Byron"
    assert read_name('{"name:": "Ada Byron"}') == "Ada Byron"
    assert read_name("no JSON at all") == ""


def test_metadata_that_is_no_list_says_so():
    assert "no JSON" in read_pairs("[{")
    assert "no list" in read_pairs('{"Question": "Who?"}')
    assert read_pairs('[{"Question": "Who?", "Answer": "Ada."}, {"Question": null}, 3]') == [
        ("Who?", "Ada."),
        ("", ""),
        ("", ""),
    ]


def test_ids_are_text_without_blanks_around():
    assert [read_id(value) for value in (" 7", 7, None)] == ["7", "7", ""]
