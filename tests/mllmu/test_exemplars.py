"""Exemplars and test pictures are a function of the IDs and a seed."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmms_manu.benchmarks.mllmu.exemplars import ProtocolSettings, choose_exemplars, choose_picture
from lmms_manu.errors import SettingError

ids = st.sets(st.text(alphabet="0123456789", min_size=1, max_size=4), min_size=1, max_size=40)


@given(ids, st.integers(0, 5), st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_choice_depends_on_no_order(people, count, seed, random):
    shuffled = random.sample(sorted(people), len(people))
    chosen = choose_exemplars(shuffled, "cloze", count, seed)
    assert chosen == choose_exemplars(sorted(people), "cloze", count, seed)
    assert len(chosen) == min(count, len(people))
    assert set(chosen) <= people


@given(ids, st.integers(0, 5))
def test_more_exemplars_keep_the_ones_there_were(people, count):
    assert choose_exemplars(people, "cloze", count + 1, 0)[:count] == choose_exemplars(people, "cloze", count, 0)


def test_the_choice_is_the_same_in_another_process_and_stays_what_it_is():
    imported = "from lmms_manu.benchmarks.mllmu.exemplars import *\n"
    code = f"{imported}print(choose_exemplars(map(str, range(100)), 'cloze', 3, 0))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == str(choose_exemplars(map(str, range(100)), "cloze", 3, 0)) == "('63', '92', '44')"


def test_seeds_and_tasks_choose_differently():
    people = [str(number) for number in range(100)]
    choices = {choose_exemplars(people, task, 2, seed) for task in ("classification", "cloze") for seed in range(3)}
    assert len(choices) == 6


def test_the_test_picture_is_one_of_the_usable_ones():
    assert {choose_picture(str(person), [1, 4], 0) for person in range(50)} == {1, 4}


def test_exemplar_people_are_as_released_and_never_more_than_a_third():
    settings = ProtocolSettings()
    assert [settings.exemplar_people(split, "classification", 25) for split in ("forget", "celebrity")] == [1, 0]
    assert [settings.exemplar_people("forget", "cloze", people) for people in (25, 5, 2)] == [2, 1, 0]
    assert settings.exemplar_people("celebrity", "cloze", 153) == 0
    assert settings.exemplar_people("retain", "generation", 475) == 0


def test_idefics2_is_shown_one_cloze_exemplar_person_unless_a_number_is_set():
    people = {
        family: ProtocolSettings(family=family).exemplar_people("retain", "cloze", 475)
        for family in (None, "llava", "idefics2", "idefics3", "qwen2_vl")
    }
    assert people == {None: 2, "llava": 2, "idefics2": 1, "idefics3": 2, "qwen2_vl": 2}
    assert ProtocolSettings(family="idefics2", cloze=2).exemplar_people("retain", "cloze", 475) == 2


def test_the_environment_sets_exemplars_and_seed(monkeypatch):
    monkeypatch.setenv("LMMS_MANU_EXEMPLARS", "cloze=1, classification=0, celebrity.cloze=2, test.cloze=0")
    monkeypatch.setenv("LMMS_MANU_SEED", "7")
    settings = ProtocolSettings.from_environment("llava")
    assert (settings.classification, settings.cloze, settings.family, settings.seed) == (0, 1, "llava", 7)
    splits = ("forget", "test", "retain", "celebrity")
    assert [settings.exemplar_people(split, "cloze", 100) for split in splits] == [1, 0, 1, 2]
    assert settings.exemplars == "classification=0,cloze=1,celebrity.cloze=2,test.cloze=0"


def test_the_rule_of_the_family_can_be_named_and_is_the_default(monkeypatch):
    monkeypatch.setenv("LMMS_MANU_EXEMPLARS", "cloze=auto")
    assert ProtocolSettings.from_environment() == ProtocolSettings()
    assert ProtocolSettings().exemplars == "classification=1,cloze=auto"


@pytest.mark.parametrize(
    "wrong",
    ["generation=1", "cloze=-1", "cloze", "cloze=two", "test.generation=1", "celebrities.cloze=1", "test.cloze=x"],
)
def test_wrong_exemplar_settings_are_refused(monkeypatch, wrong):
    monkeypatch.setenv("LMMS_MANU_EXEMPLARS", wrong)
    with pytest.raises(SettingError, match=wrong.split("=", maxsplit=1)[0]):
        ProtocolSettings.from_environment()
