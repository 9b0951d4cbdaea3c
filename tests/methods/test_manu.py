import gc
import json
import logging
import weakref

import pytest
import torch
from support.models import save_llava

from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.editing.mask import NeuronMask
from lmms_manu.errors import DataError, SettingError
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.blocks import find_mlp_blocks

# The tiny LLaVA: 2 language layers and 2 of its 3 vision layers, 48 neurons each.
TOTAL = 4 * 48


def edit(arguments, **more):
    return plan({**arguments, **more}).load()


def zeroed(checkpoint):
    """The neurons whose column of the down projection is zero, by block."""
    found = {}
    for block in find_mlp_blocks(checkpoint.model):
        weight = checkpoint.model.get_parameter(f"{block.down}.weight")
        found[block.name] = (weight == 0).all(0).nonzero().flatten().tolist()
    return found


def neurons_of(mask):
    return {name: mask.indices(name).tolist() for name in mask.sizes}


@pytest.mark.parametrize("recipe", ["paper", "released", "ratio", "invariant", "random"])
def test_every_recipe_prunes_exactly_the_floor_of_its_share(arguments, recipe):
    checkpoint, record = edit(arguments, recipe=recipe, prune_rate=10)
    # `released` takes its share of each tower: 9 of 96, twice.
    expected = 18 if recipe == "released" else 19
    assert sum(len(indices) for indices in zeroed(checkpoint).values()) == expected
    assert sum(count for count, _ in record.counts.values()) == expected
    assert sum(total for _, total in record.counts.values()) == TOTAL
    assert dict(record.variant) == {"recipe": recipe, "prune_rate": 10}
    assert record.label == f"manu {recipe} 10 %"


@pytest.mark.parametrize(("scope", "per_block"), [("tower", None), ("layer", 4)])
def test_a_scope_gives_each_tower_or_layer_its_own_share(arguments, scope, per_block):
    checkpoint, record = edit(arguments, scope=scope, prune_rate=10)
    assert record.counts == {
        "language": (9 if scope == "tower" else 8, 96),
        "vision": (9 if scope == "tower" else 8, 96),
    }
    if per_block:
        assert {len(indices) for indices in zeroed(checkpoint).values()} == {per_block}


def test_towers_and_layers_limit_what_may_be_pruned(arguments):
    checkpoint, record = edit(arguments, towers="language", layers="last1", prune_rate=50)
    assert record.counts == {"language": (24, 96), "vision": (0, 96)}
    assert [len(indices) for indices in zeroed(checkpoint).values()] == [0, 24, 0, 0]


def test_layers_that_the_model_has_not_are_an_error(arguments):
    with pytest.raises(SettingError, match="a language tower of 2 layers"):
        edit(arguments, layers="7-9")


def test_prune_rate_0_leaves_every_weight_as_it_was(arguments):
    checkpoint, record = edit(arguments, prune_rate=0)
    assert not any(zeroed(checkpoint).values())
    assert (record.method, record.edited, record.fingerprint, record.forgotten) == ("none", False, None, {})


def test_prune_rate_100_zeroes_everything(arguments):
    checkpoint, _ = edit(arguments, prune_rate=100)
    assert all(len(indices) == 48 for indices in zeroed(checkpoint).values())


def test_dropping_terms_changes_what_is_pruned(arguments):
    fingerprints = {
        edit(arguments, prune_rate=10, **weights)[1].fingerprint
        for weights in ({}, {"w_abs": 0}, {"w_freq": 0}, {"w_var": 0}, {"w_rms": 0})
    }
    assert len(fingerprints) > 3


def test_other_rates_and_recipes_measure_nothing_again(arguments):
    first = edit(arguments, prune_rate=2)[1]
    others = [edit(arguments, prune_rate=rate, recipe=recipe)[1] for rate in (5, 10) for recipe in ("paper", "ratio")]
    assert [step["measured_parts"] for step in first.details["rounds"]] == [4]
    assert [step["measured_parts"] for record in others for step in record.details["rounds"]] == [0] * 4


def test_pruning_in_steps_ends_with_the_whole_share_and_measures_each_time(arguments):
    checkpoint, record = edit(arguments, prune_rate=10, steps=3)
    assert sum(len(indices) for indices in zeroed(checkpoint).values()) == 19
    assert [step["pruned"] for step in record.details["rounds"]] == [6, 12, 19]
    assert [step["measured_parts"] for step in record.details["rounds"]] == [4, 4, 4]
    assert record.fingerprint != edit(arguments, prune_rate=10)[1].fingerprint


def test_the_random_control_can_prune_as_many_per_layer_as_a_recipe(arguments):
    recipe = zeroed(edit(arguments, prune_rate=10)[0])
    controls = [
        zeroed(edit(arguments, recipe="random", random_like="paper", seed=seed, prune_rate=10)[0]) for seed in (0, 1)
    ]
    for control in controls:
        assert {name: len(pruned) for name, pruned in control.items()} == {
            name: len(pruned) for name, pruned in recipe.items()
        }
    assert controls[0] != controls[1]


def test_a_saved_mask_prunes_the_same_without_data_or_measuring(arguments, tmp_path, monkeypatch):
    checkpoint, record = edit(arguments, prune_rate=10, save_mask=str(tmp_path / "kept"))
    monkeypatch.setenv("LMMS_MANU_DATASET", "/nowhere")
    again, applied = edit(arguments, mask=str(tmp_path / "kept"))
    assert zeroed(again) == zeroed(checkpoint) == neurons_of(NeuronMask.load(tmp_path / "kept"))
    assert applied.fingerprint == record.fingerprint
    assert (applied.label, applied.forgotten) == (record.label, {"benchmark": "mllmu", "forget_ratio": 10})


def test_record_and_mask_say_what_was_loaded_measured_and_pruned(arguments, tmp_path):
    record = edit(arguments, prune_rate=10, dtype="bfloat16", save_mask=str(tmp_path / "kept"))[1]
    kept = NeuronMask.load(tmp_path / "kept").details["record"]
    assert record.settings["dtype"] == kept["settings"]["dtype"] == "bfloat16"
    assert record.settings["adapter"] is None
    assert kept["counts"] == {tower: list(counts) for tower, counts in record.counts.items()}
    assert kept["versions"] == record.versions
    assert set(kept["details"]["data"]) == {"forget/multimodal", "forget/text", "retain/multimodal", "retain/text"}


def test_a_mask_for_other_weights_of_the_same_shape_warns(arguments, tmp_path, caplog):
    edit(arguments, prune_rate=10, save_mask=str(tmp_path / "kept"))
    other = save_llava(tmp_path / "other", seed=1)
    with caplog.at_level(logging.WARNING):
        edit(arguments, pretrained=str(other), mask=str(tmp_path / "kept"))
    assert "from other weight files" in caplog.text


def test_a_record_can_be_written_as_json(arguments):
    record = edit(arguments, prune_rate=10)[1]
    written = json.loads(json.dumps(record.as_dict()))
    assert written["fingerprint"] == record.fingerprint
    assert written["settings"]["recipe"] == "paper"
    assert "of 96 language neurons" in record.summary()


def test_the_record_tells_how_activations_are_distributed_and_which_were_pruned(arguments):
    record = edit(arguments, prune_rate=10)[1]
    told = json.loads(json.dumps(record.details["activations"]))
    assert set(told["language"]["neurons"]) == {
        f"{group}/{modality}" for group in ("forget", "retain") for modality in ("multimodal", "text")
    }
    assert set(told["vision"]["neurons"]) == {"forget/multimodal", "retain/multimodal"}
    for tower, distribution in told.items():
        for part, counts in distribution["neurons"].items():
            assert sum(counts) == 96
            assert sum(distribution["pruned"][part]) == record.counts[tower][0]


def test_pruning_in_steps_tells_the_activations_of_the_model_as_it_was(arguments):
    once, stepwise = (edit(arguments, prune_rate=10, steps=steps)[1].details["activations"] for steps in (1, 3))
    assert {tower: told["neurons"] for tower, told in stepwise.items()} == {
        tower: told["neurons"] for tower, told in once.items()
    }
    assert sum(sum(told["pruned"]["forget/multimodal"]) for told in stepwise.values()) == 19


def test_without_a_measurement_the_record_tells_no_activations(arguments, tmp_path):
    assert "activations" not in edit(arguments, recipe="random", prune_rate=10)[1].details
    edit(arguments, prune_rate=10, save_mask=str(tmp_path / "kept"))
    applied = edit(arguments, mask=str(tmp_path / "kept"))[1]
    assert "activations" not in applied.details


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"prune_rate": 120}, "prune_rate=120.0 is out of range"),
        ({"forget_ratio": 7}, "forget_ratio=7 is not allowed: choose one of 5, 10, 15"),
        ({"recipe": "papr"}, "Did you mean 'paper'"),
        ({"layers": "first"}, "layers='first'"),
        ({"method": "mana"}, "Did you mean 'manu'"),
        ({"w_abs": 0, "w_freq": 0, "w_var": 0, "w_rms": 0}, "at least one term"),
        ({"random_like": "paper"}, "needs recipe=random"),
        ({"random_like": "paper", "recipe": "random", "steps": 2}, "Use steps=1"),
        ({"save_mask": __file__}, "name a folder, or a file that ends in .safetensors"),
        ({"save_mask": "kept", "prune_rate": 0}, "nothing is pruned, so there is no mask"),
        ({"mask": "somebody/mask", "prune_rate": 5, "towers": "vision"}, "prune_rate=5.0, towers=vision would have no"),
        ({"retain_samples": "some"}, "retain_samples='some'"),
        ({"mlp_blocks": "foo"}, "mlp_blocks='foo' is not of the form"),
        ({"prune_ratio": 2}, "Did you mean 'prune_rate'"),
    ],
)
def test_wrong_arguments_fail_before_a_weight_is_read(wrong, message):
    with pytest.raises(SettingError, match=message):
        plan({"pretrained": "no/such-checkpoint", **wrong})


def test_an_empty_forget_set_fails_before_a_weight_is_read(monkeypatch, tmp_path):
    monkeypatch.setenv("LMMS_MANU_DATASET", str(tmp_path))
    with pytest.raises(DataError):
        plan({"pretrained": "no/such-checkpoint"})


def test_random_neurons_need_no_data(monkeypatch, arguments):
    monkeypatch.setattr(DatasetSource, "resolve", None)
    assert edit(arguments, recipe="random", prune_rate=10)[1].forgotten == {}


def test_removed_neurons_leave_the_logits_of_zeroed_ones_and_smaller_matrices(arguments):
    inputs = {"input_ids": torch.arange(5, 25).unsqueeze(0)}
    zeroed, removed = (edit(arguments, prune_rate=30, prune_mode=mode)[0].model for mode in ("zero", "remove"))
    torch.testing.assert_close(removed(**inputs).logits, zeroed(**inputs).logits, rtol=1e-4, atol=1e-4)
    assert removed.num_parameters() < zeroed.num_parameters()


def test_pruned_logits_differ_from_those_of_the_model_as_it_was(arguments):
    inputs = {"input_ids": torch.arange(5, 25).unsqueeze(0)}
    logits = [edit(arguments, prune_rate=rate)[0].model(**inputs).logits for rate in (0, 20)]
    assert not torch.allclose(*logits)


@pytest.mark.parametrize("more", [{}, {"steps": 2}, {"prune_mode": "remove", "scope": "layer"}])
def test_the_weights_go_with_the_last_who_asks_for_them(arguments, more):
    # What only the collector of cycles frees stays until it happens to run: on a GPU, a second model finds no room.
    gc.collect()
    gc.disable()
    try:
        for _ in range(2):  # measured, and known
            checkpoint, _ = edit(arguments, prune_rate=10, **more)
            model = weakref.ref(checkpoint.model)
            del checkpoint
            assert model() is None
    finally:
        gc.enable()
