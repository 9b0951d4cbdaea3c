"""Statistics and runners that the package does not have use all of it: shards, processes, resuming and cache."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.rendered import make_examples
from support.statistics import stacked

from lmms_manu.errors import DataError
from lmms_manu.measuring import pairs
from lmms_manu.measuring.gathering import PerNeuron
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.measure import determinants_of_parts, measure, measure_parts
from lmms_manu.measuring.neuron_statistics import NeuronStatistics
from lmms_manu.measuring.pairs import groups_within, measure_second_moments
from lmms_manu.measuring.parts import PARTS, Part
from lmms_manu.measuring.runner import BatchRunner
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.measuring.statistics import COUNT, Statistic
from lmms_manu.measuring.statistics_cache import StatisticsCache
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder, to_device
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.models.watch import watch

HIGHEST = Statistic("highest", "max", lambda z, tau: z.abs().amax(0))
ATTRIBUTION = (COUNT, Statistic("attribution", "sum"))
SETTINGS = MeasureSettings(statistics_batch_size=2)


class GradientRunner(BatchRunner):
    """Gathers |activation x gradient| of the loss on the answer, in passes that take gradients."""

    needs_question_lengths = True

    def observe(self, batch, dtype):
        model = self.checkpoint.model
        inputs = to_device(batch.inputs, self.checkpoint.device)
        labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
        position = inputs["attention_mask"].cumsum(1) - 1
        labels[position < torch.tensor(batch.question_lengths).unsqueeze(1)] = -100
        seen = {}

        def keep(index, activations, rows, columns):
            activations.retain_grad()
            seen[index] = activations
            # In the place of what the projection was to see, so that the gradient comes by.
            return activations

        with torch.enable_grad(), watch(model, self.blocks, keep):
            model(**inputs, labels=labels).loss.backward()
        values = [self.gathering.empty(block) for block in range(len(self.blocks))]
        for index, activations in seen.items():
            product = (activations * activations.grad).detach().abs().sum(0)
            values[index] = torch.stack([torch.full_like(product, len(activations)), product]).double()
        model.zero_grad()
        return values


def measure_attributions(folder, stop_at=None, parts=None):
    """The attributions of the tiny model's language neurons on text; ends at batch `stop_at` as Ctrl-C would."""
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))
    blocks = [block for block in find_mlp_blocks(checkpoint.model) if block.tower == "language"]
    parts = parts or {part: make_examples(*part, 9) for part in PARTS if part.modality == "text"}
    gathering = PerNeuron(NeuronLayout.of(blocks), ATTRIBUTION)
    determinants = determinants_of_parts(
        checkpoint, blocks, parts, SETTINGS, statistics=gathering.about(), runner="gradients"
    )
    batches: list[Any] = []

    def count(*_):
        batches.append(1)
        interrupt()

    def runner():
        made = GradientRunner(checkpoint, PromptEncoder(checkpoint), blocks, gathering)
        checkpoint.model.register_forward_pre_hook(count)
        return made

    def interrupt():
        if len(batches) == stop_at:
            raise KeyboardInterrupt

    found = measure_parts(runner, parts, determinants, SETTINGS, name="tiny", progress=False)
    statistics = NeuronStatistics(("count", "attribution"), found.values, gathering.layout, measured=found.measured)
    return statistics, len(batches)


def measure_highest(folder):
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))
    parts = {part: make_examples(*part, 9) for part in PARTS}
    blocks = find_mlp_blocks(checkpoint.model)
    return measure(checkpoint, blocks, parts, SETTINGS, statistics=(COUNT, HIGHEST), progress=False)


WORKER = """
import sys
import torch
import torch.distributed as dist

sys.path.insert(0, {tests!r})
from measuring.test_runners import measure_attributions, measure_highest

torch.set_num_threads(1)
dist.init_process_group("gloo")
measure_highest({folder!r}).save(f"{out}/highest-{{dist.get_rank()}}.safetensors")
measure_attributions({folder!r})[0].save(f"{out}/attribution-{{dist.get_rank()}}.safetensors")
"""


@pytest.fixture(scope="module")
def two_processes(llava_folder, in_two_processes, tmp_path_factory):
    """The folder that two processes, started as torchrun does, have written their results into."""
    out = tmp_path_factory.mktemp("two")
    script = out / "worker.py"
    script.write_text(WORKER.format(tests=str(Path(__file__).parents[1]), folder=str(llava_folder), out=out))
    in_two_processes(script, LMMS_MANU_CACHE=str(out / "cache"))
    return out


def test_a_statistic_declared_elsewhere_is_the_same_from_one_process_and_two(llava_folder, two_processes):
    alone = measure_highest(llava_folder)
    for rank in (0, 1):
        together = NeuronStatistics.load(two_processes / f"highest-{rank}.safetensors")
        assert together.names == alone.names == ("count", "highest")
        assert torch.equal(stacked(together), stacked(alone))


def test_a_maximum_is_that_of_all_batches_and_has_no_value_where_nothing_ran(load, parts):
    checkpoint = load()
    blocks = find_mlp_blocks(checkpoint.model)
    in_batches, at_once = (
        measure(
            checkpoint,
            blocks,
            parts,
            MeasureSettings(statistics_batch_size=size, statistics_cache=False),
            statistics=(HIGHEST,),
            progress=False,
        )
        for size in (2, 19)
    )
    torch.testing.assert_close(stacked(in_batches), stacked(at_once), rtol=1e-4, atol=1e-4)
    vision = in_batches.layout.vision
    assert (in_batches(Part("forget", "multimodal"), "highest") > 0).all()
    assert (in_batches(Part("forget", "text"), "highest")[vision] == -torch.inf).all()


def test_other_statistics_are_kept_apart(llava_folder):
    assert [measure_highest(llava_folder).measured for _ in range(2)] == [4, 0]
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(llava_folder), device="cpu"))
    parts = {part: make_examples(*part, 9) for part in PARTS}
    assert measure(checkpoint, find_mlp_blocks(checkpoint.model), parts, SETTINGS, progress=False).measured == 4


def test_a_runner_that_takes_gradients_gives_the_same_bits_in_one_process_and_two(llava_folder, two_processes):
    alone, _ = measure_attributions(llava_folder)
    assert (alone(Part("forget", "text"), "attribution") > 0).any()
    for rank in (0, 1):
        together = NeuronStatistics.load(two_processes / f"attribution-{rank}.safetensors")
        assert torch.equal(stacked(together), stacked(alone))


def test_a_runner_that_takes_gradients_is_resumed_and_cached(llava_folder, tmp_path, monkeypatch):
    undisturbed, batches = measure_attributions(llava_folder)
    assert batches == 10
    assert measure_attributions(llava_folder)[1] == 0
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "another"))
    with pytest.raises(KeyboardInterrupt):
        measure_attributions(llava_folder, stop_at=4)
    resumed, batches = measure_attributions(llava_folder)
    assert batches == 10 - 3
    assert torch.equal(stacked(resumed), stacked(undisturbed))


def plain_second_moments(checkpoint, block, examples):
    """By the book: all activations kept, float64."""
    kept, encoder = [], PromptEncoder(checkpoint)
    for example in examples:
        inputs = encoder.encode([example.text], [example.pictures()])
        with torch.no_grad(), watch(checkpoint.model, [block], lambda _, z, rows, columns: kept.append(z.double())):
            checkpoint.model(**inputs)
    z = torch.cat(kept)
    return z.T @ z / len(z), z.mean(0), len(z)


def test_second_moments_equal_a_plain_computation_a_few_blocks_at_a_time(load, parts):
    checkpoint = load()
    blocks = find_mlp_blocks(checkpoint.model)
    assert len(list(groups_within(blocks, 1, 4))) == len(blocks)
    assert list(groups_within(blocks, 2**40, 4)) == [blocks]
    found = list(measure_second_moments(checkpoint, blocks, parts, SETTINGS, budget=1, progress=False))
    assert [one.block for one in found] == list(blocks)
    for one in (found[0], found[-1]):
        for part, moments in one.parts.items():
            plain, mean, count = plain_second_moments(checkpoint, one.block, parts[part])
            assert one.counts[part] == count
            torch.testing.assert_close(moments, plain, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(one.means[part], mean, rtol=1e-4, atol=1e-4)
    assert {part.modality for part in found[-1].parts} == {"multimodal"}, "the vision tower never runs for text"
    assert not StatisticsCache.default().unfinished()


def test_second_moments_are_kept_where_they_are_small(load, parts, monkeypatch):
    checkpoint = load()
    block = find_mlp_blocks(checkpoint.model)[:1]
    monkeypatch.setattr(pairs, "KEPT", 0)
    list(measure_second_moments(checkpoint, block, parts, SETTINGS, progress=False))
    assert not StatisticsCache.default().parts()
    monkeypatch.setattr(pairs, "KEPT", 2**30)
    (first,) = measure_second_moments(checkpoint, block, parts, SETTINGS, progress=False)
    assert len(StatisticsCache.default().parts()) == len(parts)
    (again,) = measure_second_moments(checkpoint, block, parts, SETTINGS, progress=False)
    assert all(torch.equal(again.parts[part], own) for part, own in first.parts.items())


def test_data_without_pictures_is_measured_as_text(load, parts):
    text = {part: own for part, own in parts.items() if part.modality == "text"}
    checkpoint = load()
    blocks = find_mlp_blocks(checkpoint.model)
    alone, both = (measure(checkpoint, blocks, some, SETTINGS, progress=False) for some in (text, parts))
    assert alone.modalities == ("text",)
    assert both.measured == 2
    for part in text:
        assert torch.equal(alone.parts[part], both.parts[part])


def test_pictures_in_one_set_alone_are_an_error(load, parts):
    checkpoint = load()
    parts[Part("retain", "multimodal")] = []
    with pytest.raises(DataError, match="no multimodal sample of the retain set"):
        measure(checkpoint, find_mlp_blocks(checkpoint.model), parts, SETTINGS, progress=False)
