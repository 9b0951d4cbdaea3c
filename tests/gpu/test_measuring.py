"""Statistics, and which neurons they choose, on a device."""

from __future__ import annotations

import pytest
import torch
from support.rendered import make_examples
from support.statistics import stacked

from lmms_manu.measuring.gathering import PerNeuron
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.measure import measure
from lmms_manu.measuring.pairs import measure_second_moments
from lmms_manu.measuring.runner import ActivationRunner
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.methods.manu.config import ManuSettings
from lmms_manu.methods.manu.scope import choose, score
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder

QUICK = MeasureSettings(statistics_batch_size=4, statistics_cache=False)


def measured(checkpoint, parts, settings=QUICK):
    return measure(checkpoint, find_mlp_blocks(checkpoint.model), parts, settings, progress=False)


@pytest.fixture(scope="module")
def expected(exact, parts):
    return measured(exact, parts)


@pytest.mark.parametrize(("dtype", "most", "mean"), [("float32", 1e-5, 1e-6), ("bfloat16", 0.1, 0.01)])
def test_statistics_and_the_choice_of_neurons_are_those_of_exact_arithmetic(load, parts, expected, dtype, most, mean):
    found = measured(load(dtype), parts)
    gaps = (stacked(found) - stacked(expected)).abs() / stacked(expected).abs().amax(-1, keepdim=True)
    assert gaps.max() < most
    assert gaps.mean() < mean
    for recipe in ("paper", "released", "ratio"):
        settings = ManuSettings(recipe=recipe, prune_rate=20)
        own, right = (choose(one.layout, score(one, settings), settings).marked for one in (found, expected))
        assert int((own & right).sum()) >= (1.0 if dtype == "float32" else 0.8) * int(right.sum()) > 0


def test_second_moments_are_those_of_exact_arithmetic(load, parts, exact):
    of_device, of_exact = (
        list(measure_second_moments(one, find_mlp_blocks(one.model), parts, QUICK, progress=False))
        for one in (load(), exact)
    )
    for own, right in zip(of_device, of_exact, strict=True):
        assert own.counts == right.counts
        for part, second in right.parts.items():
            torch.testing.assert_close(own.parts[part], second, rtol=1e-4, atol=1e-5 * float(second.abs().max()))


def allocate_beyond(batch, device):
    """A hook that asks for more memory than any device has where a batch is larger than `batch`."""

    def hook(module, arguments, named):
        if len(named["input_ids"]) > batch:
            torch.empty(2**50, dtype=torch.uint8, device=device)

    return hook


def test_out_of_memory_halves_the_batch_and_changes_nothing_else(load, device):
    examples = make_examples("forget", "text", 8)
    values, sizes = [], []
    for limit in (8, 2):
        checkpoint = load()
        blocks = find_mlp_blocks(checkpoint.model)
        gathering = PerNeuron(NeuronLayout.of(blocks))
        runner = ActivationRunner(checkpoint, PromptEncoder(checkpoint), blocks, gathering)
        model = checkpoint.model
        model.register_forward_pre_hook(allocate_beyond(limit, device), with_kwargs=True)
        model.register_forward_hook(lambda _, __, named, ___: sizes.append(len(named["input_ids"])), with_kwargs=True)
        values.append(gathering.join(runner.run(runner.encode(examples))))
    assert sizes == [8, 2, 2, 2, 2]
    torch.testing.assert_close(values[1], values[0], rtol=1e-4, atol=1e-4)
