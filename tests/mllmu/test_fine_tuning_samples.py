"""Measuring samples are the fine-tuning questions, with the picture or with the name."""

import json
import logging

import pytest
from support.rows import altered

from lmms_manu.benchmarks.mllmu import DatasetSource, forget_ids, load_samples, retain_ids
from lmms_manu.benchmarks.mllmu.fine_tuning_samples import mentions, name_the_person, person_names
from lmms_manu.errors import DataError


def test_forget_and_retain_people_are_all_people(source):
    forget, retain = forget_ids(source, 15), retain_ids(source, 15)
    assert (len(forget), len(retain)) == (3, 17)
    assert set(forget) | set(retain) == set(source.texts("Full_Set")["ID"])


def test_with_the_picture_the_question_stands_as_it_is(source):
    person = forget_ids(source, 5)[0]
    samples = load_samples(source, [person], "multimodal")
    row = source.texts("ft_Data")["ID"].index(person)
    pairs = json.loads(source.texts("ft_Data")["metadata"][row])
    assert [(sample.question, sample.answer) for sample in samples] == [(p["Question"], p["Answer"]) for p in pairs]
    assert samples[0].released == f"USER: <image>\n{samples[0].question}\nASSISTANT:"
    assert samples[0].released_with_answer == f"{samples[0].released} {samples[0].answer}"
    assert samples[0].pictures() == [source.image("ft_Data", row)]
    assert [turn["role"] for turn in samples[0].messages()] == ["user", "assistant"]
    assert [part["type"] for part in samples[0].messages(with_answer=False)[0]["content"]] == ["image", "text"]


def test_as_text_the_name_takes_the_place_of_the_picture(source):
    person = forget_ids(source, 5)[0]
    name = person_names(source)[person]
    samples = load_samples(source, [person], "text")
    assert len(samples) == len(load_samples(source, [person], "multimodal"))
    for sample in samples:
        assert name in sample.question
        assert "this person" not in sample.question.lower()
        assert "<image>" not in sample.released
        assert sample.pictures() == []


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("Where does this person live?", "Where does Ada Byron live?"),
        ("This person's birthplace?", "Ada Byron's birthplace?"),
        ("Who is the person shown in the image?", "Who is Ada Byron?"),
        ("Who is this individual in the picture?", "Who is Ada Byron?"),
        ("What does the man in this photo do?", "What does Ada Byron do?"),
        ("What does this young woman do?", "What does Ada Byron do?"),
        ("Who is the person that Ada met?", "Who is the person that Ada met?"),
        ("Where does the person live?", "Where does Ada Byron live?"),
        ("What is the individual's job?", "What is Ada Byron's job?"),
        ("What is the person/individual known for?", "What is Ada Byron known for?"),
        ("Where does the person/individual in this profile live?", "Where does Ada Byron live?"),
        ("Who is the individual described in this biography?", "Who is Ada Byron?"),
        ("What did the subject of the description study?", "What did Ada Byron study?"),
        ("Where did this person in the bio study?", "Where did Ada Byron study?"),
        ("What subject did the person's parents teach?", "What subject did Ada Byron's parents teach?"),
    ],
)
def test_words_that_point_at_the_picture_become_the_name(question, named):
    assert name_the_person(question, "Ada Byron") == named


def test_what_cannot_be_a_sample_is_skipped_and_named(tmp_path, folder, caplog):
    ids: list[str] = []

    def dirty(rows):
        ids.extend(row["ID"] for row in rows[:4])
        rows[0]["metadata"] = "[{"
        rows[1]["metadata"] = json.dumps([{"Question": "", "Answer": "x"}, {"Question": "Who?", "Answer": "Ada."}])
        rows[2]["image"] = {"bytes": rows[2]["image"]["bytes"][:300], "path": None}
        rows[3]["image"] = None
        return rows + rows[1:2]

    source = DatasetSource.resolve(str(altered(folder, tmp_path / "data", ft_Data=dirty)))
    with caplog.at_level(logging.WARNING):
        samples = load_samples(source, [*ids, "nobody"], "multimodal")
    assert [(sample.person_id, sample.question) for sample in samples] == [(ids[1], "Who?")]
    assert "5 question(s) skipped" in caplog.text
    for part in ("no JSON", "question 1", "picture is missing", "ID nobody"):
        assert part in caplog.text


def test_a_text_sample_names_whom_it_is_about_or_is_left_out_and_counted(tmp_path, folder, caplog):
    asked = (
        "Who is this person?",
        "What does the individual do?",
        "Capital?",
        "What is his job?",
        "Where is {name} from?",
    )

    def nameless(rows):
        rows[0]["biography"] = "{"

    def questions(rows):
        for row in rows[:2]:
            first_name = names[row["ID"]].split()[0]
            pairs = [{"Question": question.format(name=first_name), "Answer": "So."} for question in asked]
            row["metadata"] = json.dumps(pairs)

    names = person_names(DatasetSource.resolve(str(folder)))
    source = DatasetSource.resolve(str(altered(folder, tmp_path / "data", Full_Set=nameless, ft_Data=questions)))
    nobody, somebody = source.texts("ft_Data")["ID"][:2]
    name = names[somebody]
    with caplog.at_level(logging.WARNING):
        samples = load_samples(source, [nobody, somebody], "text")
    assert [sample.question for sample in samples] == [
        f"Who is {name}?",
        f"What does {name} do?",
        f"Where is {name.split()[0]} from?",
    ]
    assert "7 question(s) skipped" in caplog.text
    assert "it names nobody" in caplog.text
    assert "name is not known" in caplog.text
    assert len(load_samples(source, [nobody, somebody], "multimodal")) == 10


@pytest.mark.parametrize(
    ("question", "mentioned"),
    [
        ("Where does Byron live?", True),
        ("What will they do?", False),
        ("Who drives a van?", False),
        ("Where is Byronton?", False),
    ],
)
def test_a_person_is_mentioned_by_a_word_of_the_name_that_is_written_as_one(question, mentioned):
    assert mentions(question, "Will van Byron") == mentioned


def test_nothing_usable_is_an_error(source):
    with pytest.raises(DataError, match="no usable text sample"):
        load_samples(source, ["nobody"], "text")


def test_an_empty_forget_set_is_an_error(tmp_path, folder):
    source = DatasetSource.resolve(str(altered(folder, tmp_path / "data", forget_5=lambda rows: [])))
    with pytest.raises(DataError, match="forget_5"):
        forget_ids(source, 5)
