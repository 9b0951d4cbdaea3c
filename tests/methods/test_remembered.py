"""What was chosen once is not chosen again, and nothing that it depends on changes unnoticed."""

import inspect
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError
from support.models import llava_model, save_llava

from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.zero import zero_neurons
from lmms_manu.measuring.cache import StatisticsCache
from lmms_manu.measuring.fingerprints import weights_fingerprint
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.sums import sum_activations
from lmms_manu.methods.manu import edit as editing
from lmms_manu.methods.manu import remembered
from lmms_manu.methods.manu.choice import choose
from lmms_manu.methods.manu.config import ManuSettings
from lmms_manu.methods.manu.distributions import distributions
from lmms_manu.methods.manu.scores import measured_scores
from lmms_manu.methods.manu.selection import select
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.blocks import find_mlp_blocks


@pytest.fixture
def start(arguments):
    def run(**more):
        return plan({**arguments, "prune_rate": 10, **more}).load()[1]

    return run


@pytest.fixture
def chosen(monkeypatch):
    """One entry for each time that neurons are chosen by their scores."""
    calls = []
    choose = editing.choose
    monkeypatch.setattr(editing, "choose", lambda *given: calls.append(given) or choose(*given))
    return calls


def kept_choices():
    return [part for part in StatisticsCache.default().parts() if part.about()["part"].startswith("choice")]


def without_times(record):
    told = record.as_dict()
    told["details"]["rounds"] = [{**step, "measured_parts": None} for step in told["details"]["rounds"]]
    return {**told, "seconds": None}


@pytest.mark.parametrize("settings", [{}, {"recipe": "random", "random_like": "paper"}, {"steps": 2}])
def test_the_same_start_chooses_once_and_tells_the_same(start, chosen, settings):
    first = start(**settings)
    rounds = len(chosen)
    second = start(**settings)
    assert rounds == len(chosen) == settings.get("steps", 1)
    assert without_times(second) == without_times(first)
    assert {step["measured_parts"] for step in second.details["rounds"]} == {0}


def test_no_statistics_are_needed_for_it(start, chosen):
    first = start()
    for part in StatisticsCache.default().parts():
        if not part.about()["part"].startswith("choice"):
            part.path.unlink()
    assert start().mask_fingerprint == first.mask_fingerprint
    assert len(chosen) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"prune_rate": 5},
        {"recipe": "ratio"},
        {"w_var": 0},
        {"scope": "layer"},
        {"towers": "vision"},
        {"layers": "last1"},
        {"tau": 0.2},
        {"forget_ratio": 5},
        {"tokens": "last"},
        {"steps": 2},
        {"statistics_cache": False},
    ],
)
def test_whatever_it_depends_on_is_chosen_anew(start, chosen, change):
    start()
    assert start(**change).mask_fingerprint is not None
    assert len(chosen) == 1 + change.get("steps", 1)


def test_how_neurons_are_pruned_and_where_the_mask_goes_change_nothing(start, chosen, tmp_path):
    plain = start()
    kept = start(save_mask=str(tmp_path / "mask"), prune_mode="remove")
    assert (kept.mask_fingerprint, len(chosen)) == (plain.mask_fingerprint, 1)
    assert NeuronMask.load(tmp_path / "mask").fingerprint == plain.mask_fingerprint


def test_every_setting_counts_but_those_that_do_not_choose():
    assert set(ManuSettings.names()) - set(ManuSettings().choosing()) == {"prune_mode", "save_mask", "mask"}


def test_the_code_that_a_choice_runs_through_belongs_to_its_key():
    runs = (
        choose,
        select,
        measured_scores,
        distributions,
        NeuronLayout,
        sum_activations,
        find_mlp_blocks,
        zero_neurons,
    )
    assert {Path(inspect.getfile(each)) for each in runs} <= set(remembered.code_files())


def test_other_weights_in_the_same_folder_are_chosen_from_anew(start, chosen, tmp_path):
    folder = save_llava(tmp_path / "model")
    start(pretrained=str(folder))
    llava_model(seed=1).save_pretrained(folder)
    start(pretrained=str(folder))
    assert len(chosen) == 2


def test_a_remembered_edit_leaves_the_same_weights_under_the_same_fingerprint(arguments):
    loads = [plan({**arguments, "prune_rate": 10, "steps": 2}).load()[0] for _ in range(2)]
    assert len({weights_fingerprint(checkpoint) for checkpoint in loads}) == 1


def test_using_a_choice_counts_as_a_use_of_its_statistics(start):
    start()
    for part in StatisticsCache.default().parts():
        os.utime(part.path, (1000.0, 1000.0))
    start()
    assert all(part.used > 2000 for part in StatisticsCache.default().parts())


def test_other_code_never_gets_what_was_chosen_before(start, chosen, monkeypatch):
    start()
    monkeypatch.setattr(remembered, "_code", lambda: "another score")
    start()
    assert len(chosen) == 2


def test_a_damaged_choice_is_made_again_with_a_word(start, chosen, caplog):
    first = start()
    (kept,) = kept_choices()
    content = kept.path.read_bytes()
    kept.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert start().mask_fingerprint == first.mask_fingerprint
    assert len(chosen) == 2
    assert "made again" in caplog.text
    start()
    assert len(chosen) == 2


@pytest.mark.parametrize("error", [PermissionError("read-only"), SafetensorError("no space left")])
def test_a_cache_that_takes_nothing_serves_and_stays_as_it_is(start, monkeypatch, error):
    start()

    def refuse(*given, **named):
        raise error

    monkeypatch.setattr(StatisticsCache, "store_entry", refuse)
    assert start().mask_fingerprint is not None
    assert start(prune_rate=5).mask_fingerprint is not None
    assert len(kept_choices()) == 1


def test_what_processes_disagree_about_is_not_kept(start, monkeypatch):
    def disagree(self, value, what):
        raise RuntimeError(f"The processes disagree about {what}.")

    monkeypatch.setattr(Processes, "check_same", disagree)
    with pytest.raises(RuntimeError, match="disagree"):
        start()
    assert kept_choices() == []


def test_drawn_neurons_need_no_memory(start):
    start(recipe="random")
    assert StatisticsCache.default().parts() == []
