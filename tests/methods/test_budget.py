"""A strength is chosen on people whom no number is about, within a budget, and the record says how."""

import dataclasses

import pytest
import torch

from lmms_manu.errors import DataError, ModelError, SettingError
from lmms_manu.methods import budget
from lmms_manu.methods.choice import Trial, best_within, validation_people
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.loading import load_checkpoint

TRIALS = [Trial(2, 3.0, 0.5), Trial(5, 9.0, 2.0), Trial(10, 9.0, 4.0), Trial(20, 30.0, 12.0)]


def test_the_strength_that_forgets_most_within_the_budget_is_taken_and_of_equal_ones_the_cheapest():
    assert best_within(TRIALS, 5) == TRIALS[1]
    assert best_within(TRIALS, 12) == TRIALS[3]
    assert best_within(TRIALS, 0.1) is None
    assert best_within([Trial(1, 5.0, float("nan"))], 5) is None, "what was not measured is not within"


def test_a_quarter_of_the_people_is_for_choosing_the_same_for_everybody_and_never_all():
    people = [str(number) for number in range(20)]
    chosen = validation_people(people)
    assert len(chosen) == 5
    assert chosen == validation_people(reversed(people))
    assert chosen != validation_people(people, seed=1)
    assert len(validation_people(["a", "b"])) == 1
    with pytest.raises(ValueError, match="1 people cannot be divided"):
        validation_people(["a"])


def with_budget(model, **more):
    return {"pretrained": str(model), "device": "cpu", "forget_ratio": 10, "retain_budget": 100, **more}


@pytest.mark.parametrize(
    "method",
    [
        {"method": "manu", "recipe": "ratio", "prune_mode": "remove", "strengths": "10+60"},
        {"method": "npo", "tuning": "full", "learning_rate": 1e-2, "strengths": "1+2"},
        {"method": "npo", "tuning": "lora", "learning_rate": 1e-2, "strengths": "1+2"},
    ],
    ids=("neurons", "tensors", "adapter"),
)
def test_the_chosen_edit_is_the_one_that_its_strength_alone_would_make(llava_folder, method):
    edited, record = plan(with_budget(llava_folder, max_samples=8, **method)).load()
    selection = record.details["selection"]
    assert [trial["strength"] for trial in selection["trials"]] == [
        float(one) for one in method["strengths"].split("+")
    ]
    assert selection["budget"] == 100
    axis, chosen = selection["setting"], selection["chosen"]
    assert record.variant[axis] == chosen
    alone = {name: value for name, value in method.items() if name != "strengths"}
    plain = {**with_budget(llava_folder, max_samples=8, **alone), axis: chosen, "edit_cache": False}
    del plain["retain_budget"]
    again, other = plan(plain).load()
    assert other.fingerprint == record.fingerprint
    for name, weight in again.model.state_dict().items():
        assert torch.equal(weight, edited.model.state_dict()[name]), name
    assert "selection" not in other.details


def test_every_try_is_taken_back_before_the_next_one(llava_folder):
    run = plan(with_budget(llava_folder, recipe="ratio", strengths="20+60", max_samples=8))
    checkpoint = load_checkpoint(run.model)
    before = {name: weight.clone() for name, weight in checkpoint.model.state_dict().items()}
    run.find(checkpoint)
    assert all(torch.equal(weight, before[name]) for name, weight in checkpoint.model.state_dict().items())


def test_a_budget_that_nothing_keeps_says_what_each_strength_costs(llava_folder, monkeypatch):
    # A model of random weights has nothing to lose; that one was taken for losing is what stands in for a model's cost.
    run = plan(with_budget(llava_folder, recipe="ratio", strengths="60", max_samples=8))
    costs = iter(({"forget": 9.0, "retain": 9.0}, {"forget": 1.0, "retain": 2.0}))
    monkeypatch.setattr(budget, "_known", lambda *_: next(costs))
    run = dataclasses.replace(run, unlearning=dataclasses.replace(run.unlearning, retain_budget=5))
    with pytest.raises(ModelError, match=r"no prune_rate keeps the people to retain within it \(60 costs 7\.0\)"):
        run.find(load_checkpoint(run.model))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"prune_rate": 2}, "prune_rate says the strength that retain_budget=100 is to choose"),
        ({"method": "prompting"}, "method=prompting has no strength to choose"),
        ({"strengths": "2,5"}, "no numbers joined by"),
        ({"strengths": "200"}, "prune_rate=200.0 is out of range"),
        ({"retain_budget": None, "strengths": "2"}, "has no effect without retain_budget"),
        ({"recipe": "random"}, "this edit reads none"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused_before_a_model_is_loaded(llava_folder, given, told):
    with pytest.raises(SettingError, match=told):
        plan(with_budget(llava_folder, **given))


def test_one_person_to_forget_leaves_nobody_to_report(llava_folder):
    with pytest.raises(DataError, match="there are 1 to forget, and it takes two"):
        plan(with_budget(llava_folder) | {"forget_ratio": 5})
