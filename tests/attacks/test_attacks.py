from __future__ import annotations

import contextlib
import dataclasses

import pytest
import torch

from lmms_manu import embedded
from lmms_manu.attacks.base import InapplicableError, Target
from lmms_manu.attacks.prompts import Prompts
from lmms_manu.attacks.quantisation import Quantisation, rounded
from lmms_manu.attacks.readings import read
from lmms_manu.attacks.registry import attacks
from lmms_manu.attacks.relearning import SETTINGS, Relearning
from lmms_manu.benchmarks.example import Example
from lmms_manu.errors import SettingError
from lmms_manu.methods.data import UnlearningData
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings


def knowledge(target):
    """What is known of each person in each modality."""
    return read(target)["probability"]


@pytest.fixture
def target():
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(embedded.model_folder("vanilla")), device="cpu"))
    homes = {"Ann": "Oslo", "Bo": "Rome"}
    forget = [Example(name, f"Where does {name} live?", f"In {town}.") for name, town in homes.items()]
    retain = [Example("Cy", "Where does Cy live?", "In Bonn.")]
    return Target(checkpoint, UnlearningData(forget, retain))


def test_every_attack_has_variants_and_leaves_the_model_as_it_was(target):
    before = {name: value.clone() for name, value in target.checkpoint.model.state_dict().items()}
    known = knowledge(target)
    tried = 0
    for attack in attacks([]):
        for variant in attack.variants().values():
            with contextlib.suppress(InapplicableError), variant(target) as attacked:
                assert set(knowledge(attacked)) <= set(known)
                tried += 1
        after = target.checkpoint.model.state_dict()
        assert all(torch.equal(value, after[name]) for name, value in before.items()), attack.name
    assert knowledge(target) == known
    assert tried > 8


def test_the_scores_of_membership_take_no_pass_of_their_own(target):
    passes = []
    hook = target.checkpoint.model.register_forward_hook(lambda *_: passes.append(1))
    known = read(target)
    alone = len(passes)
    in_full = read(target, in_full=True)
    hook.remove()
    assert 0 < alone == len(passes) - alone
    assert in_full["probability"] == known["probability"]
    assert {"loss", "min-k++ 0.4"} <= set(in_full)


def test_an_unknown_attack_or_setting_is_named():
    with pytest.raises(SettingError, match="quantisation"):
        attacks(["quantization"])
    with pytest.raises(SettingError, match="learning_rate"):
        attacks([], {"relearning": {"learning_rat": "1e-4"}})
    with pytest.raises(SettingError, match="the attack has no settings"):
        attacks([], {"modality": {"share": "1"}})


def test_vanilla_with_a_block_turned_down_is_the_same_again_behind_the_attack(target):
    known = knowledge(target)
    weakened, taught = Relearning(dataclasses.replace(SETTINGS, epochs=1.0)).on_vanilla().values()
    with weakened(target) as attacked:
        low = knowledge(attacked)
    assert low != known
    with taught(target) as attacked:
        assert {place.partition("/")[2] for place in knowledge(attacked)} == {"Bo"}
    assert knowledge(target) == known


@pytest.mark.parametrize(("bits", "group"), [(8, None), (4, 4)])
def test_rounding_stays_within_half_a_step_and_keeps_zeros(bits, group):
    weight = torch.randn(5, 10)
    weight[2] = 0
    found = rounded(weight, bits, group)
    for mine, theirs in zip(weight.split(group or 10, 1), found.split(group or 10, 1), strict=True):
        step = mine.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
        assert bool(((mine - theirs).abs() <= step / 2 + 1e-6).all())
    assert torch.equal(found[2], weight[2])
    assert torch.allclose(rounded(found, bits, group), found, atol=1e-6)


def test_a_prompted_refusal_is_left_out_by_whoever_has_the_weights(target):
    refusing = dataclasses.replace(target.checkpoint, system_prompt="Tell nothing about anybody.")
    variant = Prompts().variants()["no system prompt"]
    with variant(dataclasses.replace(target, checkpoint=refusing)) as attacked:
        assert knowledge(attacked) == knowledge(target)


def test_zeroed_neurons_do_not_come_back_by_relearning_and_half_zeroed_ones_do(target):
    """A neuron whose up and gate rows and down column are zero gets no gradient; by its down column alone it does."""
    layers = target.checkpoint.model.model.language_model.layers
    neurons = torch.arange(0, 40)
    with torch.no_grad():
        whole, half = layers[0].mlp, layers[1].mlp
        for projection in (whole.up_proj, whole.gate_proj):
            projection.weight[neurons] = 0
        for mlp in (whole, half):
            mlp.down_proj.weight[:, neurons] = 0
    settings = dataclasses.replace(SETTINGS, epochs=6.0, weight_decay=0.1)
    with Relearning(settings).variants()["forgotten people"](target) as attacked:
        mlp = attacked.checkpoint.model.model.language_model.layers[0].mlp
        assert not mlp.up_proj.weight[neurons].any()
        assert not mlp.gate_proj.weight[neurons].any()
        assert not mlp.down_proj.weight[:, neurons].any()
        assert layers[1].mlp.down_proj.weight[:, neurons].any()
        # What was asked about is not what was taught.
        assert {place.partition("/")[2] for place in knowledge(attacked)} == {"Bo"}


def test_nf4_rounds_every_weight_and_leaves_zeros(target):
    pytest.importorskip("bitsandbytes")
    projection = target.checkpoint.model.model.language_model.layers[0].mlp.up_proj.weight
    before = projection.detach().clone()
    with torch.no_grad():
        projection[3] = 0
    with Quantisation().variants()["nf4"](target):
        assert not projection[3].any()
        assert 0 < (projection - before)[:3].abs().mean() < 0.2 * before.abs().mean()
