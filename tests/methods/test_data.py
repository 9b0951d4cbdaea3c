from typing import Any

import pytest
from support.models import llava_processor
from support.tiny import make_dataset

from lmms_manu.benchmarks.mllmu.fine_tuning_samples import forget_ids, retain_ids
from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.measuring.rendered import digest_of_examples
from lmms_manu.methods.data import load_data
from lmms_manu.methods.settings import UnlearningSettings
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.settings import ModelSettings


@pytest.fixture
def encoder():
    absent: Any = None
    return PromptEncoder(Checkpoint(absent, llava_processor(), absent, ModelSettings()))


def load(source, **settings):
    return load_data(UnlearningSettings(forget_ratio=10, **settings), dataset=str(source))


def people(samples):
    return {sample.subject for sample in samples}


def test_the_forget_set_is_that_of_the_ratio_in_both_modalities(source):
    data = load(source)
    for modality in ("multimodal", "text"):
        assert people(data.forget[modality]) == set(forget_ids(source, 10))
        assert people(data.retain[modality]) <= set(retain_ids(source, 10))


def test_the_retain_set_matches_the_forget_set_in_whole_people(source):
    data = load(source, retain_samples="match")
    everyone = load(source)
    kept = people(data.retain["text"])
    assert len(data.retain["text"]) >= len(data.forget["text"])
    assert len(kept) == len(people(data.forget["text"]))
    whole = [sample for sample in everyone.retain["text"] if sample.subject in kept]
    assert len(data.retain["text"]) == len(whole)


def test_the_retain_people_are_drawn_by_their_seed(source):
    draws = [people(load(source, retain_samples="match", data_seed=seed).retain["text"]) for seed in (0, 0, 1, 2, 3)]
    assert draws[0] == draws[1]
    assert len({frozenset(draw) for draw in draws}) > 1


def test_all_people_may_be_retained(source):
    assert people(load(source, retain_samples="all").retain["text"]) == set(retain_ids(source, 10))


def test_a_number_of_retain_samples_is_reached_with_whole_people(source):
    one_person = len(load(source, retain_samples="1").retain["text"])
    more = load(source, retain_samples=str(one_person + 1)).retain["text"]
    assert len(people(more)) == 2


def test_few_samples_are_spread_over_the_people(source):
    data = load(source, max_samples=4)
    assert len(data.forget["text"]) == len(data.retain["multimodal"]) == 4
    assert len(people(data.forget["text"])) == 2


def test_passages_are_the_fine_tuning_prompt_with_the_answer(source, encoder):
    rendered = load(source).rendered(encoder)
    multimodal, text = rendered["forget", "multimodal"][0], rendered["forget", "text"][0]
    assert multimodal.question.startswith("USER: <image>\n")
    assert multimodal.question.endswith("\nASSISTANT:")
    assert multimodal.answer.startswith(" ")
    assert len(multimodal.pictures()) == 1
    assert text.question.startswith("USER: ")
    assert "<image>" not in text.question
    assert text.pictures() == []


def test_passages_can_follow_the_chat_template(source, encoder):
    example = load(source, prompt="chat").rendered(encoder)["forget", "multimodal"][0]
    assert example.question.startswith("USER: <image>\n")
    assert example.question.endswith("ASSISTANT:")


def test_a_copy_of_the_data_has_the_same_digest_and_other_data_another(encoder, tmp_path, source):
    copy = DatasetSource.resolve(str(make_dataset(tmp_path / "copy", people=20)))
    other = DatasetSource.resolve(str(make_dataset(tmp_path / "other", people=20, seed=1)))
    digests = [
        [digest_of_examples(part) for part in load(one).rendered(encoder).values()] for one in (source, copy, other)
    ]
    assert digests[0] == digests[1]
    assert not set(digests[0]) & set(digests[2])
