"""The result does not depend on how the work is split."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.models import save_llava
from support.rendered import make_examples
from support.statistics import stacked

from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.measure import measure
from lmms_manu.measuring.neuron_statistics import NeuronStatistics
from lmms_manu.measuring.parts import PARTS, Part
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.methods.manu.config import RECIPES, ManuSettings
from lmms_manu.methods.manu.scope import choose, score
from lmms_manu.methods.manu.scores import MEASURED_SCORES
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings

NEAR_TIE = 1e-5


def test_the_settings_name_the_recipes_that_there_are():
    assert set(RECIPES) == {*MEASURED_SCORES, "random"}


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory):
    """A model with enough neurons for some to lie near the threshold."""
    return save_llava(tmp_path_factory.mktemp("wide"), neurons=256, layers=3, vision_layers=4)


@pytest.mark.parametrize("recipe", MEASURED_SCORES)
def test_the_mask_is_the_same_for_any_batch_size_but_for_near_ties(load, wide_folder, parts, recipe):
    checkpoint = load(wide_folder)
    blocks = find_mlp_blocks(checkpoint.model)
    layout = NeuronLayout.of(blocks)
    settings = ManuSettings(recipe=recipe, prune_rate=10, scope="global")
    choices = []
    for size in (1, 3, 8):
        found = measure(checkpoint, blocks, parts, MeasureSettings(statistics_batch_size=size), progress=False)
        choices.append(choose(layout, score(found, settings), settings))
    reference = choices[0]
    threshold = float(reference.scores[reference.marked].min())
    near = (reference.scores - threshold).abs() <= NEAR_TIE * abs(threshold)
    for other in choices[1:]:
        assert not ((reference.marked != other.marked) & ~near).any()
        assert other.marked.sum() == reference.marked.sum()


WORKER = """
import json, sys
from pathlib import Path

import torch
import torch.distributed as dist

sys.path.insert(0, {tests!r})
from measuring.test_splits import measure_in_batches_of_two

from lmms_manu.errors import ModelError
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.methods.manu.scope import choose, score
from lmms_manu.methods.manu.config import ManuSettings

out = Path({out!r})
torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
statistics = measure_in_batches_of_two({folder!r})
statistics.save(out / f"{{rank}}.safetensors")
settings = ManuSettings(prune_rate=10)
marked = choose(statistics.layout, score(statistics, settings), settings).marked
(out / f"{{rank}}.json").write_text(json.dumps(marked.nonzero().flatten().tolist()))
try:
    measure_in_batches_of_two({folder!r}, broken="!")
except ModelError as error:
    (out / f"{{rank}}.error").write_text(str(error))
"""


def measure_in_batches_of_two(folder, broken=None):
    """The statistics of the tiny model; a text with the character `broken` gives infinite activations."""
    checkpoint = load_checkpoint(ModelSettings(pretrained=folder, device="cpu"))
    parts = {part: make_examples(*part, 19) for part in PARTS}
    if broken:
        encoder = PromptEncoder(checkpoint)
        with torch.no_grad():
            embeddings: Any = checkpoint.model.get_input_embeddings()
            embeddings.weight[encoder.text_ids(broken)] = float("inf")
        parts[Part("forget", "text")].insert(0, RenderedExample("the broken one", f"USER: {broken}\nASSISTANT:", " no"))
    settings = MeasureSettings(statistics_batch_size=2)
    return measure(checkpoint, find_mlp_blocks(checkpoint.model), parts, settings, progress=False)


@pytest.fixture(scope="module")
def two_processes(llava_folder, in_two_processes, tmp_path_factory):
    """The folder that two processes, started as torchrun does, have written their results into."""
    out = tmp_path_factory.mktemp("two")
    script = out / "worker.py"
    script.write_text(WORKER.format(tests=str(Path(__file__).parents[1]), folder=str(llava_folder), out=str(out)))
    in_two_processes(script, LMMS_MANU_CACHE=str(out / "cache"))
    return out


@pytest.fixture
def _one_thread():
    """How many threads share a product of matrices decides the order in which it is added up."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_one_thread")
def test_two_processes_give_the_same_bits_as_one(llava_folder, two_processes):
    alone = measure_in_batches_of_two(str(llava_folder))
    together = [NeuronStatistics.load(two_processes / f"{rank}.safetensors") for rank in (0, 1)]
    assert alone.measured == 4
    assert torch.equal(stacked(together[0]), stacked(alone))
    assert torch.equal(stacked(together[1]), stacked(alone))


def test_two_processes_choose_the_same_neurons(two_processes):
    masks = [json.loads((two_processes / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert masks[0] == masks[1] != []


def test_what_fails_in_one_process_is_an_error_in_both(two_processes):
    errors = [(two_processes / f"{rank}.error").read_text() for rank in (0, 1)]
    assert all("the broken one" in error for error in errors)
    assert sum(error.startswith("Process ") for error in errors) == 1
