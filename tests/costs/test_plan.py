"""What is calculated of memory and operations is what a tiny real model takes, and a plan says what fits."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import pytest
import torch
from support.models import llava_model, llava_processor, save_llava
from torch.utils.flop_counter import FlopCounterMode

from lmms_manu.cli.main import main
from lmms_manu.costs.demands import Demands, SampleCounts, measuring, trained_part
from lmms_manu.costs.plan import Assumptions, Cards, operations_of, plan_of
from lmms_manu.costs.sizes import sizes_of
from lmms_manu.errors import SettingError
from lmms_manu.measuring.gathering import PerNeuron
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.methods.registry import METHODS
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.wrapping import wrap
from lmms_manu.training.answers import Asker
from lmms_manu.training.examples import Examples
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.tuning import make_tuning

LARGE: dict[str, Any] = {"hidden": 192, "neurons": 384, "layers": 3}
LENGTH, ANSWER = 80, 30


@pytest.fixture(scope="module")
def sizes():
    with torch.device("meta"):
        model = llava_model(**LARGE)
    return sizes_of(model, torch.float32)


def text_batch(checkpoint, samples):
    """Samples of exactly `LENGTH` tokens, the answer's `ANSWER` with its end included; one token a byte."""
    question = "q" * (LENGTH - ANSWER)
    made = [RenderedExample(f"{number}", question, "a" * (ANSWER - 1)) for number in range(samples)]
    own = Examples(checkpoint, PromptEncoder(checkpoint), {"text": made}, "answer", "samples")
    return own.batch("text", range(samples))


def kept_bytes(tuning, batch):
    """Bytes that a pass keeps for its gradients, those of the weights themselves apart."""
    own = {parameter.untyped_storage().data_ptr() for parameter in tuning.model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    half = torch.autocast("cpu", torch.bfloat16) if tuning.half else contextlib.nullcontext()
    tuning.model.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), half:
        Asker(tuning.model, torch.device("cpu"))(batch).log_probs.sum()
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("settings", [{"tuning": "lora"}, {"tuning": "full"}, {"gradient_checkpointing": True}])
def test_what_gradients_keep_is_what_a_model_keeps(sizes, dtype, settings):
    chosen = TrainingSettings(train_batch_size=2, **settings)
    checkpoint = wrap(llava_model(**LARGE).to(dtype), llava_processor())
    tuning = make_tuning(checkpoint, chosen)
    measured = kept_bytes(tuning, text_batch(checkpoint, 2))
    own = dataclasses.replace(sizes, dtype=dtype, picture_tokens=0, vision=None)
    part = trained_part(own, chosen)
    assumed = Assumptions(question_tokens=LENGTH, answer_tokens=ANSWER)
    plan = plan_of(own, Demands(backward=1, at_once=2, trained=part), Cards(1, 80), assumed)
    if not chosen.gradient_checkpointing:
        # A pass in half precision also keeps a copy of the weights that are trained, counted among these.
        copies = 2 * sum(each.numel() for each in tuning.trained.values()) if (tuning.half and not part.adapters) else 0
        assert measured - copies == pytest.approx(plan.activations, rel=0.15)
    else:
        # At the worst moment one layer is there as well, which is gone before and after.
        whole = dataclasses.replace(part, checkpointing=False)
        without = plan_of(own, Demands(backward=1, at_once=2, trained=whole), Cards(1, 80), assumed)
        assert measured < plan.activations < 0.6 * without.activations


@pytest.mark.parametrize(
    "settings", [{"tuning": "lora", "lora_rank": 3}, {"tuning": "full", "parts": "language+vision"}]
)
def test_what_is_trained_is_counted_to_the_number(sizes, settings):
    checkpoint = wrap(llava_model(**LARGE), llava_processor())
    chosen = TrainingSettings(**settings)
    numbers = sum(each.numel() for each in make_tuning(checkpoint, chosen).trained.values())
    assert trained_part(sizes, chosen).bytes == 16 * numbers


def test_operations_are_those_that_are_counted_while_a_model_runs(sizes):
    checkpoint = wrap(llava_model(**LARGE), llava_processor())
    own = dataclasses.replace(sizes, picture_tokens=0, vision=None)
    assumed = Assumptions(question_tokens=LENGTH)
    batch = text_batch(checkpoint, 4)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        checkpoint.model(**batch.inputs, logits_to_keep=1)
    # Attention to what comes before counts half, and is computed whole here.
    assert counter.get_total_flops() == pytest.approx(operations_of(own, Demands(forward=4), assumed), rel=0.1)
    for settings in ({"tuning": "full"}, {"tuning": "lora", "lora_rank": 1}):
        held = wrap(llava_model(**LARGE), llava_processor())
        chosen = TrainingSettings(**settings)
        made = make_tuning(held, chosen)
        with FlopCounterMode(display=False) as counter:
            Asker(made.model, held.device)(batch).log_probs.sum().backward()
        demands = Demands(backward=4, trained=trained_part(own, chosen))
        assert counter.get_total_flops() == pytest.approx(operations_of(own, demands, assumed), rel=0.15)


def test_statistics_are_as_large_as_those_that_are_gathered(sizes):
    gathering = PerNeuron(NeuronLayout.of(sizes.blocks))
    values = [gathering.empty(number) for number in range(len(sizes.blocks))]
    each = sum(value.nbytes for value in values)
    assert measuring(sizes, 1, 1).kept == 2 * each


def test_a_model_is_copied_spread_or_refused_by_the_memory_of_the_cards(sizes):
    one = dataclasses.replace(Assumptions(), overhead=0, usable=1.0)
    forward = Demands(forward=100)
    gigabytes = sizes.weights / 1e9
    copied, spread, refused = (plan_of(sizes, forward, Cards(4, share * gigabytes), one) for share in (3, 0.9, 0.3))
    assert copied.placing == "one model on each card"
    assert spread.placing == "one model over all cards"
    assert copied.hours == pytest.approx(spread.hours / 4)
    assert refused.placing == "nothing fits" or refused.needed < 0.3e9 * gigabytes
    part = trained_part(sizes, TrainingSettings())
    trained = dataclasses.replace(forward, backward=1, at_once=4, trained=part)
    assert plan_of(sizes, trained, Cards(4, 0.9 * gigabytes), one).placing == "nothing fits"


def test_what_is_trained_lies_in_shards_where_a_card_is_too_small_for_all_of_it(sizes):
    one = dataclasses.replace(Assumptions(), overhead=0, usable=1.0)
    full = dataclasses.replace(trained_part(sizes, TrainingSettings(tuning="full")), sharded=True)
    demands = Demands(backward=8, at_once=4, trained=full)
    alone = plan_of(sizes, demands, Cards(1, 80), one)
    together = plan_of(sizes, demands, Cards(4, 80), one)
    assert together.placing == "one model on each card"
    # Four processes take a sample of each batch of four.
    assert together.needed - sizes.weights - full.bytes == pytest.approx(alone.activations / 4)
    shards = plan_of(sizes, demands, Cards(4, 0.9e-9 * together.needed), one)
    assert shards.placing == "one model in shards"
    assert shards.hours == pytest.approx(together.hours)
    assert (sizes.weights + full.bytes) / 4 + alone.activations / 4 < shards.needed < 0.9 * together.needed
    assert shards.host == 4 * sizes.weights, "each process keeps the model as it was"
    small = plan_of(sizes, demands, Cards(2, 0.9e-9 * shards.needed), one)
    assert small.placing == "nothing fits"
    assert small.fewest is not None
    assert small.fewest > 2


@pytest.mark.parametrize("text", ["", "4x", "0x80GB", "many", "4x80GB,2x24GB"])
def test_cards_that_are_none_are_refused(text):
    with pytest.raises(SettingError, match="4x80GB"):
        Cards.of(text)


def test_cards_are_read_as_they_are_written():
    assert [Cards.of(text) for text in ("4x80GB", "24gb", " 2 X 141 ")] == [Cards(4, 80), Cards(1, 24), Cards(2, 141)]


@pytest.fixture(scope="module")
def configuration(tmp_path_factory):
    """A folder with a configuration and no weight."""
    folder = save_llava(tmp_path_factory.mktemp("llava"), processor=False)
    (folder / "model.safetensors").unlink()
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_plan_from_a_configuration_alone(method, configuration, capsys):
    assert main(["plan", "--pretrained", str(configuration), "--method", method, "--cards", "2x24GB"]) == 0
    shown = capsys.readouterr().out
    assert "fits on each card: 2 processes" in shown
    assert method in shown
    assert ("samples at once" in shown) == (method not in ("none", "prompting"))


def test_what_does_not_fit_ends_with_1_and_says_what_would(configuration, capsys):
    words = ["plan", "--pretrained", str(configuration), "--method", "ga", "--cards", "1GB"]
    assert main(words) == 1
    assert "gradient_checkpointing=True" in capsys.readouterr().out
    assert main([*words[:-1], "none"]) == 2
    assert main(["plan", "--pretrained", str(configuration), "--tflops", "0"]) == 2
    assert main(["plan", "--pretrained", str(configuration / "nowhere")]) == 2


def test_more_samples_take_longer_in_proportion(sizes):
    hours = [plan_of(sizes, measuring(sizes, samples.all, 4), Cards(1, 80)).hours for samples in
             (SampleCounts(10, 90), SampleCounts(20, 180))]  # fmt: skip
    assert hours[1] == pytest.approx(2 * hours[0])
