"""A judge's reply is read strictly: one score from 1 to 10, or none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmms_manu.benchmarks.mllmu.rubric import Verdict, judge_prompt, read_verdict


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ('{"score": 8, "reason": "Mostly right."}', 8),
        ('```json\n{"score": 8, "reason": ""}\n```', 8),
        ('{"score": 7.5}', 7.5),
        ('{"Factuality Score": 8, "Justification": "Mostly right."}', 8),
        ('```json\n{"factuality_score": 8}\n```', 8),
        ("Factuality Score: 8\nJustification: Mostly right.", 8),
        ("9", 9),
        ("Score: 8", 8),
        ("**Score:** 8\nThe answer gives 1990, which is right.", 8),
        ("Rating = 8/10", 8),
        ("On a scale of 1 to 10, 8", 8),
        ("I rate it 8 out of 10.", 8),
        ("8 (on a scale from 1-10)", 8),
        ("Score: 8 - a minor detail is missing", 8),
        ("Score: 8, or very nearly so.", 8),
    ],
)
def test_one_score_is_read(reply, score):
    verdict = read_verdict(reply)
    assert isinstance(verdict, Verdict)
    assert verdict.score == score


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("", "empty"),
        ("Certainly!", "no numbers"),
        ("Somewhere between 7 and 8.", "2 numbers"),
        ("Score: 7. On reflection, score: 8.", "2 numbers"),
        ('{"score": 11, "reason": ""}', "11 is not between 1 and 10"),
        ('{"score": 0}', "0 is not between"),
        ("Score: -3", "-3 is not between"),
        ('{"score": "8"}', "no score"),
        ('{"score": true}', "no score"),
        ('{"score": 8, "Factuality Score": 7}', "no score"),
        ('{"Factuality Score": 11}', "11 is not between 1 and 10"),
        ('{"reason": "fine"}', "no score"),
        ("[8]", "no score"),
        ("On a scale of 1 to 10", "no numbers"),
        ("Score: 9-10", "several ways"),
        ("Score: 7 or 8", "several ways"),
        ("Score: 4/5", "several ways"),
        ("Score: 3 out of 5", "several ways"),
        ("Score: 8,5", "several ways"),
        ("8 %", "several ways"),
    ],
)
def test_anything_else_is_not_judged_and_says_why(reply, why):
    assert why in str(read_verdict(reply))


@given(st.text())
def test_no_reply_stops_the_reading(reply):
    read_verdict(reply)
    read_verdict(json.dumps({"score": reply}))


@given(st.integers(1, 10), st.text())
def test_the_reply_asked_for_is_read(score, reason):
    assert read_verdict(json.dumps({"score": score, "reason": reason})) == Verdict(score, reason.strip())


def test_the_judge_sees_question_reference_and_answer_as_they_are():
    prompt = judge_prompt("Where {x}?", "In {Oslo}.", "In Rome %s.")
    assert all(text in prompt for text in ("Where {x}?", "In {Oslo}.", "In Rome %s."))


def test_the_reason_is_kept_under_the_scripts_name_too():
    assert read_verdict('{"Factuality Score": 8, "Justification": " Mostly right. "}') == Verdict(8, "Mostly right.")
