"""Who was stopped in the middle goes on with the next question, and never with another's answer."""

import dataclasses

import pytest
from support.mixed_requests import mixed_requests

from lmms_manu.answering.engine import AnsweringEngine
from lmms_manu.answering.kept_answers import KeptAnswers
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.models.inputs import PromptEncoder

MODEL = {"weights": "a"}


@pytest.fixture(scope="module")
def requests(checkpoint):
    return mixed_requests(PromptEncoder(checkpoint), count=9)


@pytest.fixture
def engine(checkpoint):
    return AnsweringEngine(checkpoint, PromptEncoder(checkpoint), AnsweringSettings(batch_size="1"))


class Stopped(KeptAnswers):
    """Is stopped as the sixth answer comes."""

    count = 0

    def keep(self, *answered):
        self.count += 1
        if self.count == 6:
            raise KeyboardInterrupt
        super().keep(*answered)


def test_a_stopped_run_goes_on_with_the_next_question(engine, requests, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        engine.answer(requests, kept=Stopped(tmp_path, MODEL))
    (file,) = tmp_path.rglob("*.jsonl")
    with file.open("a") as cut:
        cut.write('["half a li')
    before = engine.work.prompts
    answers = engine.answer(requests, kept=KeptAnswers(tmp_path, MODEL))
    assert engine.work.prompts - before == len(requests) - 5
    assert answers == engine.answer(requests)
    before = engine.work.prompts
    assert engine.answer(requests, kept=KeptAnswers(tmp_path, MODEL, process=1)) == answers
    assert engine.work.prompts == before, "what came after the cut is kept, too, for whichever process"


def test_another_model_prompt_picture_or_length_is_asked_anew(engine, requests, tmp_path):
    pictured = next(request for request in requests if request.pictures())
    kept = KeptAnswers(tmp_path, MODEL)
    engine.answer([pictured], kept=kept)
    turned = [picture.transpose(1) for picture in pictured.pictures()]
    longer = dataclasses.replace(pictured.generation, max_new_tokens=pictured.generation.max_new_tokens + 1)
    others = [
        ({"weights": "b"}, pictured),
        (MODEL, dataclasses.replace(pictured, text=f"{pictured.text} ")),
        (MODEL, dataclasses.replace(pictured, pictures=lambda: turned)),
        (MODEL, dataclasses.replace(pictured, generation=longer)),
    ]
    for model, request in others:
        before = engine.work.prompts
        engine.answer([request], kept=KeptAnswers(tmp_path, model))
        assert engine.work.prompts == before + 1


def test_answers_that_are_drawn_are_not_kept(engine, requests, tmp_path):
    drawn = dataclasses.replace(requests[0], generation=dataclasses.replace(requests[0].generation, do_sample=True))
    engine.answer([drawn], kept=KeptAnswers(tmp_path, MODEL))
    assert not list(tmp_path.iterdir())
