"""Scores equal the libraries' and follow the released script."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_score.rouge_scorer import RougeScorer

from lmms_manu.benchmarks.answer_scores import (
    bleu,
    chosen_letter,
    classification_is_right,
    cloze_is_right,
    first_turn,
    rouge,
    rouge_l_recall,
)

LETTERS = "ABCD"

sentences = st.lists(
    st.sampled_from(["the", "a", "born", "borne", "in", "lives", "living", "Oslo", "Rome", "1990", ",", "."]),
    max_size=15,
).map(" ".join)


@pytest.mark.parametrize(
    ("response", "letter"),
    [("B", "B"), ("  \n b) green", "B"), ("D: grey", "D"), ("E", None), ("", None), ("  ", None), ("The answer", None)],
)
def test_the_first_character_that_is_not_blank_chooses(response, letter):
    assert chosen_letter(response, LETTERS) == letter
    assert classification_is_right(response, "B") == (letter == "B")


@given(st.text(alphabet=string.printable, max_size=30))
def test_the_letter_needs_nothing_after_the_first_character(response):
    assert chosen_letter(response, LETTERS) == chosen_letter(
        response[: len(response) - len(response.lstrip()) + 1], LETTERS
    )


@given(response=sentences, answer=sentences)
def test_the_recall_of_rouge_l_is_the_librarys_and_never_falls_when_more_is_said(response, answer):
    expected = RougeScorer(["rougeL"], use_stemmer=True).score(answer, response)["rougeL"].recall
    assert rouge_l_recall(response, answer) == expected
    assert rouge_l_recall(f"{response} {answer}", answer) >= expected


def test_cloze_looks_for_the_answer_anywhere_in_any_case():
    assert cloze_is_right("It is OSLO, I think.", "Oslo")
    assert not cloze_is_right("Os lo", "Oslo")


@given(sentences, sentences)
def test_rouge_and_bleu_equal_the_libraries_called_directly(response, answer):
    expected = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True).score(answer, response)
    found = rouge(response, answer)
    for name, theirs in (("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")):
        assert found[name] == pytest.approx(expected[theirs].fmeasure, abs=1e-9)
    direct = sentence_bleu([answer.split()], response.split(), smoothing_function=SmoothingFunction().method1)
    assert bleu(response, answer) == pytest.approx(direct, abs=1e-9)


@pytest.mark.parametrize(
    ("response", "scored"),
    [
        ("Oslo", "Oslo"),
        ("Oslo USER: Where? ASSISTANT: Rome", "Oslo USER: Where? "),
        (" Oslo.\nASSISTANT: Rome\nASSISTANT: Bonn", " Oslo.\n"),
        ("ASSISTANT: Oslo", ""),
        ("Oslo<end_of_utterance>\nUser: Where?", "Oslo"),
        ("Oslo\nAssistant: Rome", "Oslo\n"),
        ("Oslo<|im_end|>\n<|im_start|>assistant\nRome", "Oslo"),
        ("Oslo<|eot_id|><|start_header_id|>user", "Oslo"),
        ("Oslo [INST] Where? [/INST] Rome", "Oslo "),
        ("Oslo<end_of_turn>", "Oslo"),
        ("Her Assistant: <b>Ada</b>, a shop assistant: Oslo", "Her Assistant: <b>Ada</b>, a shop assistant: Oslo"),
    ],
)
def test_an_answer_ends_where_the_next_turn_begins(response, scored):
    assert first_turn(response) == scored
