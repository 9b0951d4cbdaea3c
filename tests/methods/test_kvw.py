"""Knowledge vector weakening: gates by hand, the method on a tiny real model."""

import pytest
import torch
from support.families import save_family
from support.models import save_llava

from lmms_manu.editing.columns import down_columns, down_projections
from lmms_manu.errors import SettingError
from lmms_manu.measuring.parts import Part
from lmms_manu.methods.kvw.config import KvwSettings
from lmms_manu.methods.kvw.gates import coefficients, dealt, excess, gates, weakened
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.models.watch import watch


def test_gates_by_hand():
    forget = coefficients(torch.tensor([8.0, 3.0, 1.0, 0.0]), torch.tensor([4.0, 3.0, 2.0, 0.0]))
    retain = coefficients(torch.tensor([1.0, 1.0, 1.0, 1.0]), torch.tensor([1.0, 2.0, 1.0, 1.0]))
    assert forget.tolist() == [2.0, 1.0, 0.5, 0.0]
    found = gates(excess(forget, retain), 1.0)
    torch.testing.assert_close(found, torch.tensor([0.5, 0.5, 1.0, 1.0]))
    torch.testing.assert_close(gates(excess(forget, retain), 0.5), found.sqrt())


def test_many_small_gates_do_in_bfloat16_what_they_do_in_float32():
    columns = torch.ones(1, 3, dtype=torch.bfloat16)
    small = torch.full((1,), 0.05, dtype=torch.float64)
    assert torch.equal(weakened(columns, gates(small, 0.02).bfloat16()), columns), "one alone is rounded away"
    together = weakened(columns, gates(500 * small, 0.02))
    torch.testing.assert_close(together.float(), torch.full((1, 3), 0.6065), atol=2e-3, rtol=0)


def test_a_control_deals_the_same_gates():
    values = torch.rand(50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(dealt(values, 1).sort().values, values.sort().values)
    assert not torch.equal(dealt(values, 1), values)
    assert not torch.equal(dealt(values, 1), dealt(values, 2))


@pytest.fixture(scope="module")
def deep_folder(tmp_path_factory):
    return save_llava(tmp_path_factory.mktemp("deep"), layers=4)


@pytest.fixture
def weakening(arguments, deep_folder):
    return {**arguments, "pretrained": str(deep_folder), "method": "kvw", "max_samples": 3, "retain_samples": "match"}


def unedited(arguments):
    return load_checkpoint(ModelSettings(pretrained=arguments["pretrained"], device="cpu"))


def plain_coefficients(checkpoint, block, passages):
    """The mean of |z| over the positions before each token of the answer, one passage after the other."""
    kept, encoder = [], PromptEncoder(checkpoint)
    for passage in passages:
        lengths = [
            encoder.encode([text], [passage.pictures()])["input_ids"].shape[1]
            for text in (passage.question, passage.text)
        ]
        inputs = encoder.encode([passage.text], [passage.pictures()])

        def keep(_, z, rows, columns, first=lengths[0] - 1, last=lengths[1] - 1):
            kept.append(z[first:last].abs())

        with torch.no_grad(), watch(checkpoint.model, [block], keep):
            checkpoint.model(**inputs)
    return torch.cat(kept).mean(0)


def test_the_paper_form_is_a_plain_computation(weakening):
    todo = plan({**weakening, "strength": 0.7})
    plain = unedited(weakening)
    edited, record = todo.load()
    parts = todo.data.rendered(PromptEncoder(plain))
    assert list(record.details["mean_gates"]) == [f"model.language_model.layers.{n}.mlp" for n in (1, 2, 3)]
    block = down_projections(plain)[2]
    both = {
        group: torch.stack(
            [plain_coefficients(plain, block, parts[Part(group, own)]) for own in ("multimodal", "text")]
        )
        for group in ("forget", "retain")
    }
    ratio = both["forget"].mean(0) / both["retain"].mean(0)
    name = block.slots[0].parameter
    wanted = plain.model.get_parameter(name) * ratio.clamp(min=1) ** -0.7
    torch.testing.assert_close(edited.model.get_parameter(name), wanted, rtol=1e-3, atol=1e-5)
    first = "model.language_model.layers.0.mlp.down_proj.weight"
    assert torch.equal(edited.model.get_parameter(first), plain.model.get_parameter(first))
    assert record.label == "kvw paper strength 0.7"


def test_repeated_samples_change_the_released_form_alone(weakening):
    def fingerprints(recipe):
        once = plan({**weakening, "recipe": recipe, "statistics_cache": False})
        forget = {modality: [*own, *own] for modality, own in once.data.forget.items()}
        twice = plan({**weakening, "recipe": recipe, "statistics_cache": False})
        object.__setattr__(twice.data, "forget", forget)
        return [todo.load()[1].details["mean_gates"] for todo in (once, twice)]

    once, twice = fingerprints("paper")
    assert twice == pytest.approx(once, abs=1e-5)
    once, twice = fingerprints("released")
    assert all(twice[name] < once[name] < 1 for name in once)


def test_the_released_form_weakens_what_the_samples_before_have_left(weakening):
    small, large = (
        plan({**weakening, "recipe": "released", "strength": strength}).load()[1] for strength in (0.02, 0.2)
    )
    assert small.label == "kvw released strength 0.02"
    gate = "model.language_model.layers.2.mlp"
    assert large.details["mean_gates"][gate] < small.details["mean_gates"][gate] < 1
    # The vectors of the first edited layer see the same inputs whatever was weakened behind them.
    first = "model.language_model.layers.1.mlp"
    assert large.details["mean_gates"][first] < small.details["mean_gates"][first]


def test_a_control_is_as_large_and_elsewhere(weakening):
    found, control = (plan({**weakening, "random_control": own}).load()[1] for own in (False, True))
    assert control.details["mean_gates"] == pytest.approx(found.details["mean_gates"])
    assert control.fingerprint != found.fingerprint
    assert control.label == "kvw paper strength 1 control"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"from_depth": 0.5, "to_depth": 0.5}, "leave no layer"),
        ({"strength": -1}, "strength"),
        ({"recipe": "own"}, "recipe"),
        ({"seed": 1}, "random_control=True"),
    ],
)
def test_wrong_settings_are_refused(wrong, named):
    with pytest.raises(SettingError, match=named):
        KvwSettings(**wrong)


def test_a_range_without_a_layer_is_refused_before_anything_is_measured(weakening):
    with pytest.raises(SettingError, match="of the language model's 4"):
        plan({**weakening, "from_depth": 0.3, "to_depth": 0.4}).load()


def test_gates_of_experts_lie_on_their_own_columns(weakening, tmp_path):
    folder = save_family("qwen3_vl_moe", tmp_path / "experts")
    given = {**weakening, "pretrained": str(folder), "from_depth": 0}
    plain = unedited(given)
    edited, record = plan(given).load()
    blocks = [block for block in down_projections(plain) if block.experts]
    for block in blocks:
        name = block.slots[0].parameter
        before, after = (
            torch.cat(down_columns(each.model.get_parameter(name).detach(), block)) for each in (plain, edited)
        )
        gates_found = after.norm(dim=1) / before.norm(dim=1)
        assert float(gates_found.mean()) == pytest.approx(record.details["mean_gates"][block.name], abs=1e-5)
        torch.testing.assert_close(after, before * gates_found.unsqueeze(1))
