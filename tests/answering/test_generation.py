from __future__ import annotations

import copy
import logging
import re

import pytest
from transformers import GenerationConfig

from lmms_manu.answering.generation import Generation
from lmms_manu.answering.stopping import before_stop
from lmms_manu.errors import SettingError


@pytest.mark.parametrize(
    ("arguments", "samples"),
    [
        ({}, False),
        ({"temperature": 0}, False),
        ({"temperature": 0.2}, True),
        ({"temperature": 0.2, "do_sample": False}, False),
        ({"temperature": 0, "do_sample": True}, False),
        ({"temperature": 1.0, "do_sample": "true"}, True),
    ],
)
def test_tokens_are_drawn_only_where_the_task_says_so(arguments, samples):
    assert Generation.from_arguments(arguments).do_sample is samples


def test_a_tasks_settings_are_honoured_and_left_as_they_are():
    arguments = {"max_new_tokens": 7, "temperature": 0.5, "top_p": 0.9, "num_beams": 2, "until": ["x"], "top_k": 3}
    before = copy.deepcopy(arguments)
    generation = Generation.from_arguments(arguments, stop=["x"])
    assert arguments == before
    assert generation.stop == ("x",)
    config = GenerationConfig(max_new_tokens=generation.max_new_tokens, **generation.options())
    wanted = {"max_new_tokens": 7, "do_sample": True, "temperature": 0.5, "top_p": 0.9, "num_beams": 2, "top_k": 3}
    assert {name: getattr(config, name) for name in wanted} == wanted


@pytest.mark.parametrize("name", ["temperature", "max_new_tokens", "top_k", "repetition_penalty"])
@pytest.mark.parametrize("value", [[1], "many"])
def test_a_setting_that_is_no_number_is_named(name, value):
    with pytest.raises(SettingError, match=re.escape(f"{name}={value!r} is not a number")):
        Generation.from_arguments({name: value})


def test_what_no_model_knows_is_named_once_and_ignored(caplog):
    with caplog.at_level(logging.DEBUG):
        generations = {Generation.from_arguments({"image_aspect_ratio": "once-only"}) for _ in range(3)}
    assert generations == {Generation()}
    assert [record.getMessage() for record in caplog.records] == [
        "generation setting image_aspect_ratio=once-only has no meaning here and is ignored"
    ]


@pytest.mark.parametrize(
    ("text", "stop", "wanted"),
    [("one two", ["two"], "one "), ("a b c", ["c", "b"], "a "), ("nothing", ["x"], "nothing"), ("x", [], "x")],
)
def test_an_answer_ends_before_the_first_stop_text(text, stop, wanted):
    assert before_stop(text, stop) == wanted
