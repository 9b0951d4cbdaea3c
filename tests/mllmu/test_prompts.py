"""Every form of the released prompts, to the byte."""

import copy
import pickle

import pytest

from lmms_manu.benchmarks.mllmu.prompts import (
    Conversation,
    Pictures,
    Prompt,
    fine_tuning_prompt,
    released_question,
    released_shot,
    user_turn,
)
from lmms_manu.errors import SettingError

OPTIONS = {"A": "red", "B": "green", "C": "blue", "D": "grey"}

SHOTS = {
    ("classification", "multimodal"): (
        "USER: <image>\nQuestion: Which?\nA: red\nB: green\nC: blue\nD: grey\nCorrect Answer: C\n"
    ),
    ("classification", "text"): "USER:\nQuestion: Which?\nA: red\nB: green\nC: blue\nD: grey\nCorrect Answer: C\n",
    ("cloze", "multimodal"): (
        "USER:<image>\nLives in [Blank].\n"
        "Please **ONLY** provide the correct answer that should replace the [Blank].\nCorrect Answer: Oslo\n"
    ),
    ("cloze", "text"): (
        "USER:\nLives in [Blank].\n"
        "Please **ONLY** provide the correct answer that should replace the [Blank].\nCorrect Answer: Oslo\n"
    ),
}

QUESTIONS = {
    ("classification", "multimodal"): (
        "USER: <image>\nWhich?\nA: red\nB: green\nC: blue\nD: grey\n"
        "Just give ONE letter representing the answer directly.\nASSISTANT:"
    ),
    ("classification", "text"): (
        "USER:\nWhich?\nA: red\nB: green\nC: blue\nD: grey\n"
        "Just give ONE letter representing the answer directly.\nASSISTANT:"
    ),
    ("cloze", "multimodal"): (
        "USER: <image>\nLives in [Blank].\n"
        "Please **ONLY** provide the correct answer that should replace the [Blank].\nASSISTANT:"
    ),
    ("cloze", "text"): (
        "USER:\nLives in [Blank].\n"
        "Please **ONLY** provide the correct answer that should replace the [Blank].\nASSISTANT:"
    ),
    ("generation", "multimodal"): (
        "USER: <image>\nWhere?\n"
        "Answer the question based on your trained knowledge in one sentence accurately in ENGLISH.\nASSISTANT: "
    ),
    ("generation", "text"): (
        "USER: Where?\nAnswer the question based on your trained knowledge in one sentence in ENGLISH.\nASSISTANT:"
    ),
}

ASKED = {"classification": ("Which?", "C", OPTIONS), "cloze": ("Lives in __.", "Oslo", None)}


@pytest.mark.parametrize(("task", "modality"), SHOTS)
def test_a_shot_is_the_released_one(task, modality):
    question, answer, options = ASKED[task]
    assert released_shot(task, modality, question, answer, options) == SHOTS[task, modality]


@pytest.mark.parametrize(("task", "modality"), QUESTIONS)
def test_a_question_is_the_released_one(task, modality):
    question, _, options = ASKED.get(task, ("Where?", "", None))
    assert released_question(task, modality, question, options) == QUESTIONS[task, modality]


def test_the_fine_tuning_prompt_is_the_released_one():
    assert fine_tuning_prompt("Where?", "multimodal") == "USER: <image>\nWhere?\nASSISTANT:"
    assert fine_tuning_prompt("Where?", "text") == "USER: Where?\nASSISTANT:"


def test_generation_has_no_shots():
    with pytest.raises(SettingError, match="generation"):
        released_shot("generation", "text", "Where?", "There.")


@pytest.mark.parametrize("kind", [Conversation, Pictures])
def test_what_the_harness_hands_on_is_a_plain_list_with_the_prompt_in_its_attributes(kind):
    prompt = Prompt("USER: Where?", shared_prefix="USER:", forget_ratio=5, first_character_only=True)
    given = kind([user_turn("Where?")], prompt)
    for same in (given, copy.deepcopy(given), pickle.loads(pickle.dumps(given))):
        assert list(same) == [{"role": "user", "content": [{"type": "text", "text": "Where?"}]}]
        assert (same.released, same.shared_prefix, same.forget_ratio) == ("USER: Where?", "USER:", 5)
        assert same.first_character_only
    with pytest.raises(AttributeError):
        _ = given.nothing
