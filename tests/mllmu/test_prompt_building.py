"""From a document to the prompt: the same bytes, pictures and turns for every model."""

import pytest

from lmms_manu.benchmarks.mllmu import Leaf, ProtocolSettings, prompt_building
from lmms_manu.benchmarks.mllmu.names import SPLITS, TASKS
from lmms_manu.benchmarks.mllmu.people import people_of, questions_of
from lmms_manu.benchmarks.mllmu.prompts import released_question, released_shot
from lmms_manu.benchmarks.mllmu.questions import load_questions
from lmms_manu.names import MODALITIES


@pytest.fixture(params=[(split, task, modality) for split in SPLITS for task in TASKS for modality in MODALITIES])
def questions(request, source):
    split, task, modality = request.param
    return load_questions(Leaf(split, None if split == "celebrity" else 15, task, modality), source, ProtocolSettings())


def shots_of(questions, source):
    leaf = questions.leaf
    config = "Retain_Set" if leaf.split == "celebrity" else "Full_Set"
    rows = people_of(source, config).rows
    for person in questions.exemplars:
        yield from questions_of(source, config, rows[person], leaf.task, leaf.modality)


def test_the_prompt_is_the_shots_of_every_exemplar_question_and_the_question(questions, source):
    leaf, document = questions.leaf, questions.documents[-1]
    shots = [
        released_shot(leaf.task, leaf.modality, shot.text, shot.answer, shot.options)
        for shot in shots_of(questions, source)
    ]
    options = dict(zip("ABCD", document["options"], strict=False))
    asked = released_question(leaf.task, leaf.modality, document["question"], options)
    prompt = prompt_building.conversation(document)
    assert prompt_building.released_text(document) == prompt.released == "".join(shots) + asked
    assert prompt.shared_prefix == "".join(shots)


def test_there_is_a_picture_for_every_marker_in_order(questions):
    document = questions.documents[-1]
    text, pictures, prompt = (
        prompt_building.released_text(document),
        prompt_building.pictures(document),
        prompt_building.conversation(document),
    )
    assert text.count("<image>") == len(pictures) == len(prompt.pictures)
    in_turns = [part["url"] for turn in prompt for part in turn["content"] if part["type"] == "image"]
    assert all(one is other for one, other in zip(in_turns, pictures, strict=True))


def test_exemplars_are_turns_of_the_conversation(questions, source):
    leaf, document = questions.leaf, questions.documents[0]
    prompt = prompt_building.conversation(document)
    shots = list(shots_of(questions, source))
    assert [turn["role"] for turn in prompt] == ["user", "assistant"] * len(shots) + ["user"]
    assert [turn["content"][-1]["text"] for turn in prompt[1::2]] == [shot.answer for shot in shots]
    assert document["question"].replace("__", "[Blank]") in prompt[-1]["content"][-1]["text"]
    assert prompt.forget_ratio == leaf.ratio
    assert prompt.first_character_only == (leaf.task == "classification")


def test_a_prompt_that_is_too_long_has_advice_that_names_the_setting(source):
    settings = ProtocolSettings()
    cloze = load_questions(Leaf("retain", 5, "cloze", "text"), source, settings).documents[0]
    assert "LMMS_MANU_EXEMPLARS=cloze=1" in prompt_building.conversation(cloze).advice
    generation = load_questions(Leaf("retain", 5, "generation", "text"), source, settings).documents[0]
    assert prompt_building.conversation(generation).advice == ""
