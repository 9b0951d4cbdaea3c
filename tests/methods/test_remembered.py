"""What was scored once is not scored again, and nothing that scores depend on changes unnoticed."""

import inspect
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError
from support.models import llava_model, save_llava

from lmms_manu import environment
from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.zero import zero_neurons
from lmms_manu.measuring import stored
from lmms_manu.measuring.cache import StatisticsCache
from lmms_manu.measuring.fingerprints import weights_fingerprint
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.sums import sum_activations
from lmms_manu.methods.manu import edit as editing
from lmms_manu.methods.manu import remembered
from lmms_manu.methods.manu.choice import score
from lmms_manu.methods.manu.config import WEIGHTS, ManuSettings
from lmms_manu.methods.manu.distributions import Levels
from lmms_manu.methods.manu.scores import measured_scores
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.blocks import find_mlp_blocks


@pytest.fixture
def start(arguments):
    def run(**more):
        return plan({**arguments, "prune_rate": 10, **more}).load()[1]

    return run


@pytest.fixture
def scored(monkeypatch):
    """One entry for each time that neurons are scored."""
    calls = []
    monkeypatch.setattr(remembered, "score", lambda *given: calls.append(given) or score(*given))
    return calls


def kept(kind):
    """The files of one kind, `scores` or `levels`."""
    return [part for part in StatisticsCache.default().parts() if part.about()["part"].startswith(kind)]


def without_times(record):
    told = record.as_dict()
    told["details"]["rounds"] = [{**step, "measured_parts": None} for step in told["details"]["rounds"]]
    return {**told, "seconds": None}


@pytest.mark.parametrize("settings", [{}, {"recipe": "random", "random_like": "paper"}, {"steps": 2}])
def test_the_same_start_scores_once_and_tells_the_same(start, scored, settings):
    first = start(**settings)
    rounds = len(scored)
    second = start(**settings)
    assert rounds == len(scored) == settings.get("steps", 1)
    assert without_times(second) == without_times(first)
    assert {step["measured_parts"] for step in second.details["rounds"]} == {0}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"prune_rate": 5},
        {"prune_rate": 100},
        {"scope": "layer"},
        {"towers": "vision"},
        {"layers": "last1"},
        {"seed": 3},
        {"recipe": "random", "random_like": "paper"},
    ],
)
def test_what_is_pruned_by_the_same_scores_needs_neither_statistics_nor_scoring(start, scored, change):
    start()
    for part in set(StatisticsCache.default().parts()) - {*kept("scores"), *kept("levels")}:
        part.path.unlink()
    known = start(**change)
    assert len(scored) == 1
    assert {step["measured_parts"] for step in known.details["rounds"]} == {0}
    assert without_times(start(**change, statistics_cache=False)) == {
        **without_times(known),
        "settings": {**known.settings, "statistics_cache": False},
    }


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": "ratio"},
        *({name: 0.5} for name in WEIGHTS),
        {"tau": 0.2},
        {"forget_ratio": 5},
        {"tokens": "last"},
        {"steps": 2},
        {"statistics_cache": False},
    ],
)
def test_whatever_scores_depend_on_makes_new_ones(start, scored, change):
    start()
    assert start(**change).mask_fingerprint is not None
    # The first of several rounds is known.
    assert len(scored) == 2


def test_how_neurons_are_pruned_and_where_the_mask_goes_change_nothing(start, scored, tmp_path):
    plain = start()
    kept = start(save_mask=str(tmp_path / "mask"), prune_mode="remove")
    assert (kept.mask_fingerprint, len(scored)) == (plain.mask_fingerprint, 1)
    assert NeuronMask.load(tmp_path / "mask").fingerprint == plain.mask_fingerprint


def test_only_what_is_pruned_by_scores_and_how_is_left_out_of_their_key():
    by_and_how = {"prune_rate", "scope", "towers", "layers", "steps", "seed", "prune_mode", "save_mask", "mask"}
    # The recipe that is scored is `recipe` or `random_like`.
    assert set(ManuSettings.names()) - set(ManuSettings().scoring()) == {*by_and_how, "random_like"}


def test_the_code_that_scores_run_through_belongs_to_their_key():
    runs = (
        score,
        measured_scores,
        Levels,
        NeuronLayout,
        sum_activations,
        find_mlp_blocks,
        zero_neurons,
    )
    assert {Path(inspect.getfile(each)) for each in runs} <= set(remembered.code_files())


def test_other_weights_in_the_same_folder_are_scored_anew(start, scored, tmp_path):
    folder = save_llava(tmp_path / "model")
    start(pretrained=str(folder))
    llava_model(seed=1).save_pretrained(folder)
    start(pretrained=str(folder))
    assert len(scored) == 2


def test_a_remembered_edit_leaves_the_same_weights_under_the_same_fingerprint(arguments):
    loads = [plan({**arguments, "prune_rate": 10, "steps": 2}).load()[0] for _ in range(2)]
    assert len({weights_fingerprint(checkpoint) for checkpoint in loads}) == 1


def test_using_scores_counts_as_a_use_of_their_statistics(start, monkeypatch):
    start()
    for part in StatisticsCache.default().parts():
        os.utime(part.path, (1000.0, 1000.0))
    monkeypatch.delattr(editing, "measure")
    start()
    assert all(part.used > 2000 for part in StatisticsCache.default().parts())


@pytest.mark.parametrize("lost", ["", "scores", "levels"])
def test_statistics_give_way_after_what_was_made_of_them(start, lost):
    start()
    for part in kept(lost) if lost else []:
        part.path.unlink()
    start()
    in_order = [part.about()["part"].split(":")[0] for part in StatisticsCache.default().parts()]
    assert sorted(in_order[-2:]) == ["levels of activation", "scores"]
    assert len(in_order) == 6


def test_levels_are_kept_of_the_model_before_its_edit_alone(start):
    start(steps=3)
    assert (len(kept("scores")), len(kept("levels"))) == (3, 1)


def test_levels_serve_another_recipe(start, monkeypatch):
    start()
    monkeypatch.delattr(Levels, "of")
    assert start(recipe="ratio").details["activations"]


def test_other_code_never_gets_what_was_scored_before(start, scored, monkeypatch):
    start()
    monkeypatch.setattr(remembered, "_code", lambda: "another score")
    start()
    assert len(scored) == 2


@pytest.mark.parametrize("kind", ["scores", "levels"])
def test_what_is_damaged_is_made_again_with_a_word(start, scored, caplog, kind):
    first = start()
    (damaged,) = kept(kind)
    content = damaged.path.read_bytes()
    damaged.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert start().mask_fingerprint == first.mask_fingerprint
    computed = len(scored)
    assert computed == (2 if kind == "scores" else 1)
    assert "made again" in caplog.text
    assert without_times(start()) == without_times(first)
    assert len(scored) == computed
    assert len(kept(kind)) == 1


@pytest.mark.parametrize("error", [PermissionError("read-only"), SafetensorError("no space left")])
def test_a_cache_that_takes_nothing_serves_and_stays_as_it_is(start, monkeypatch, caplog, error):
    start()

    def refuse(*given, **named):
        raise error

    monkeypatch.setattr(stored, "save_file", refuse)
    assert start().mask_fingerprint is not None
    assert start(recipe="ratio").mask_fingerprint is not None
    assert len(kept("scores")) == 1
    assert str(error) in caplog.text


def test_no_place_for_a_cache_costs_no_start(start, monkeypatch, tmp_path):
    known = start()
    (tmp_path / "a file").touch()
    monkeypatch.setenv(environment.CACHE, str(tmp_path / "a file"))
    assert without_times(start()) == without_times(known)


def test_what_processes_disagree_about_is_not_kept(start, monkeypatch):
    def disagree(self, value, what):
        raise RuntimeError(f"The processes disagree about {what}.")

    monkeypatch.setattr(Processes, "check_same", disagree)
    with pytest.raises(RuntimeError, match="disagree"):
        start()
    assert kept("scores") == []


def test_drawn_neurons_need_no_memory(start):
    start(recipe="random")
    assert StatisticsCache.default().parts() == []
