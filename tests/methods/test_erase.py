"""Closed-form erasure: the arithmetic by its properties, the method on a tiny real model."""

import dataclasses
import os

import pytest
import torch
from support.families import save_family
from support.models import save_llava
from support.rendered import make_examples
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.modules.module import register_module_forward_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForImageTextToText, LlavaForConditionalGeneration

from lmms_manu.cli.main import main
from lmms_manu.editing.columns import down_columns, down_projections
from lmms_manu.errors import DataError, ModelError, SettingError
from lmms_manu.measuring.pairs import bytes_of
from lmms_manu.measuring.parts import PARTS, Part
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.methods.control import retained_people_as_forgotten
from lmms_manu.methods.erase.config import EraseSettings
from lmms_manu.methods.erase.edit import chosen_blocks, edit
from lmms_manu.methods.erase.erasure import Moments, SingularError, erasure
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.blocks import MlpBlock, Slot
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.models.watch import watch

NEURONS, OUT = 12, 5


def moments(z):
    return Moments(z.T @ z / len(z), z.mean(0))


def draw(seed, observations=60, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(NEURONS, NEURONS, generator=generator, dtype=torch.float64)
    return torch.randn(observations, NEURONS, generator=generator, dtype=torch.float64) @ mix + shift


@pytest.fixture
def weight():
    return torch.randn(NEURONS, OUT, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


FORGET, RETAIN = draw(0), draw(1, shift=0.5)


def change(weight, forget=FORGET, retain=RETAIN, keep=2.0, penalty=0.01, **more):
    return erasure(weight, moments(forget), moments(retain), keep, penalty, **more).change


@pytest.mark.parametrize("to_mean", [False, True])
def test_no_other_change_costs_less(weight, to_mean):
    found = change(weight, to_mean=to_mean).requires_grad_()
    wanted = RETAIN.mean(0) @ weight if to_mean else 0
    erased = (FORGET @ (weight + found) - wanted).square().sum(1).mean()
    kept = (RETAIN @ found).square().sum(1).mean()
    (slope,) = torch.autograd.grad(erased + 2.0 * kept + 0.01 * found.square().sum(), found)
    assert slope.abs().max() < 1e-10


def test_the_more_is_kept_the_less_the_retained_outputs_change(weight):
    strengths = (0.0, 0.5, 1.0, 2.0, 4.0, 16.0)
    changes = [change(weight, keep=keep) for keep in strengths]
    retained = [float((RETAIN @ one).square().sum()) for one in changes]
    left = [float((FORGET @ (weight + one)).square().sum()) for one in changes]
    assert retained == sorted(retained, reverse=True)
    assert left == sorted(left)


@pytest.mark.parametrize("to_mean", [False, True])
def test_along_few_directions_no_other_change_that_reads_these_alone_costs_less(weight, to_mean):
    found = change(weight, to_mean=to_mean, directions=3)
    left, sizes, read = torch.linalg.svd(found)
    assert (sizes > 1e-9).tolist() == [True] * 3 + [False] * (OUT - 3)
    read = left[:, :3]
    free = (read.T @ found).requires_grad_()
    wanted = RETAIN.mean(0) @ weight if to_mean else 0
    erased = (FORGET @ (weight + read @ free) - wanted).square().sum(1).mean()
    kept = (RETAIN @ read @ free).square().sum(1).mean()
    (slope,) = torch.autograd.grad(erased + 2.0 * kept + 0.01 * free.square().sum(), free)
    assert slope.abs().max() < 1e-9


def test_along_more_directions_more_is_erased_and_along_all_what_the_whole_system_says(weight):
    changes = [change(weight, directions=directions) for directions in (1, 4, 8, NEURONS - 1, NEURONS, 0)]
    left = [float((FORGET @ (weight + one)).square().sum()) for one in changes]
    assert left[:5] == sorted(left[:5], reverse=True)
    assert torch.equal(changes[4], changes[5])
    assert left[3] < 1.1 * left[4] < 0.5 * left[0]


@pytest.mark.parametrize("directions", [0, 3])
def test_another_basis_of_the_neurons_gives_the_same_map(weight, directions):
    basis = draw(2)[:NEURONS]
    edited = weight + change(weight, penalty=0.0, directions=directions)
    turned = torch.linalg.solve(basis, weight)
    there = turned + change(turned, FORGET @ basis, RETAIN @ basis, penalty=0.0, directions=directions)
    torch.testing.assert_close(basis @ there, edited, rtol=1e-8, atol=1e-8)


def test_nothing_to_forget_changes_nothing(weight):
    assert not change(weight, torch.zeros_like(FORGET)).any()


def test_the_same_people_in_both_sets_lose_the_share_that_keep_says(weight):
    torch.testing.assert_close(change(weight, RETAIN, RETAIN, penalty=0.0), -weight / 3)


def test_a_singular_system_is_refused(weight):
    few = (draw(3, observations=2), draw(4, observations=3))
    for directions in (0, 3):
        with pytest.raises(SingularError, match="singular"):
            change(weight, *few, penalty=0.0, directions=directions)
        assert change(weight, *few, penalty=0.01, directions=directions).isfinite().all()


def test_the_condition_is_that_of_the_system(weight):
    solved = erasure(weight, moments(FORGET), moments(RETAIN), 2.0, 0.01)
    system = moments(FORGET).second + 2 * moments(RETAIN).second + 0.01 * torch.eye(NEURONS, dtype=torch.float64)
    assert solved.condition == pytest.approx(float(torch.linalg.cond(system)), rel=0.05)
    assert solved.residual < 1e-12
    assert erasure(weight, moments(FORGET), moments(RETAIN), 2.0, 0.01, directions=3).residual < 1e-12


@pytest.fixture
def erasing(arguments):
    return {**arguments, "method": "erase", "retain_samples": "match"}


def plain_inputs(checkpoint, block, passages):
    """The inputs of a block's down projection, all in memory, float64; empty where it does not run."""
    kept, encoder = [], PromptEncoder(checkpoint)
    with torch.no_grad(), watch(checkpoint.model, [block], lambda _, z, rows, columns: kept.append(z.double())):
        for passage in passages:
            checkpoint.model(**encoder.encode([passage.text], [passage.pictures()]))
    return kept


def plain_moments(checkpoint, block, parts, group):
    """E[z z^T] by the book, the modalities in which the block runs balanced."""
    ran = [plain_inputs(checkpoint, block, parts[group, modality]) for modality in ("multimodal", "text")]
    found = [torch.cat(kept) for kept in ran if kept]
    return sum(z.T @ z / len(z) for z in found) / len(found)


def test_both_towers_are_edited_as_a_plain_computation_says(erasing):
    todo = plan({**erasing, "keep": 3, "ridge": 0.1})
    plain = plan({**{name: erasing[name] for name in ("pretrained", "device")}, "method": "none"}).load()[0]
    edited, record = todo.load()
    assert record.counts == {"language": (2, 2), "vision": (2, 2)}
    assert record.label == "erase keep 3 ridge 0.1"
    assert "MEMIT" in record.description
    assert all(block["residual"] < 1e-9 for block in record.details["blocks"])
    parts = todo.data.rendered(PromptEncoder(plain))
    blocks = down_projections(plain)
    for block in (blocks[0], blocks[-1]):
        forget, retain = (plain_moments(plain, block, parts, group) for group in ("forget", "retain"))
        scale = 0.1 * retain.diagonal().mean() * torch.eye(len(retain), dtype=torch.float64)
        name = block.slots[0].parameter
        weight = plain.model.get_parameter(name).detach().double()
        wanted = weight - weight @ forget @ torch.linalg.inv(forget + 3 * retain + scale)
        torch.testing.assert_close(edited.model.get_parameter(name).double(), wanted, rtol=1e-3, atol=1e-4)


def test_one_tower_some_layers_and_a_control_are_settings(erasing):
    _, record = plan({**erasing, "towers": "language", "layers": "last1", "target": "retain_mean"}).load()
    assert record.counts == {"language": (1, 1)}
    _, control = plan({**erasing, "retain_samples": "all", "random_control": True, "seed": 1}).load()
    assert control.label == "erase keep 4 control"
    assert control.fingerprint != record.fingerprint
    assert "control" in control.description


def test_a_control_draws_whole_people_and_leaves_out_those_to_forget():
    def people(*names):
        return [RenderedExample(f"{name} {number}", "?", "!", subject=name) for name in names for number in range(2)]

    parts = {part: people("A", "B") if part.set == "forget" else people("C", "D", "E", "F") for part in PARTS}
    drawn = retained_people_as_forgotten(parts, seed=0)
    names = {part: {passage.subject for passage in own} for part, own in drawn.items()}
    assert names[Part("forget", "text")] == names[Part("forget", "multimodal")]
    assert len(names[Part("forget", "text")]) == 2
    assert names[Part("forget", "text")] | names[Part("retain", "text")] == {"C", "D", "E", "F"}
    assert not names[Part("forget", "text")] & names[Part("retain", "text")]
    with pytest.raises(DataError, match="retain"):
        retained_people_as_forgotten({**parts, Part("retain", "text"): [], Part("retain", "multimodal"): []}, seed=0)


def test_each_expert_forgets_what_was_routed_to_it(erasing, tmp_path):
    folder = save_family("qwen3_vl_moe", tmp_path / "experts")
    given = {**erasing, "pretrained": str(folder), "towers": "language", "layers": "0", "max_samples": 3}
    todo = plan(given)
    plain = plan({**{name: given[name] for name in ("pretrained", "device")}, "method": "none"}).load()[0]
    edited, record = todo.load()
    block = down_projections(plain)[0]
    assert record.counts == {"language": (1, 1)}
    assert (block.experts, block.neurons_per_expert) == (4, 24)
    parts = todo.data.rendered(PromptEncoder(plain))
    forget, retain = (routed_moments(plain, block, parts, group) for group in ("forget", "retain"))
    penalty = 0.01 * torch.cat([own.diagonal() for own in retain]).mean() * torch.eye(24, dtype=torch.float64)
    name = block.slots[0].parameter
    views = (down_columns(each.model.get_parameter(name).detach(), block) for each in (plain, edited))
    for before, after, own, others in zip(*views, forget, retain, strict=True):
        wanted = before.double() - torch.linalg.solve(own + 4 * others + penalty, own @ before.double())
        torch.testing.assert_close(after.double(), wanted, rtol=1e-3, atol=1e-4)


def routed_moments(checkpoint, block, parts, group):
    """E[z z^T] of each expert by the book, the modalities balanced."""
    found = torch.zeros(block.experts, block.neurons_per_expert, block.neurons_per_expert, dtype=torch.float64)
    encoder = PromptEncoder(checkpoint)
    for modality in ("multimodal", "text"):
        kept: list[list[torch.Tensor]] = [[] for _ in range(block.experts)]

        def keep(_, z, rows, columns, kept=kept):
            kept[columns.start // block.neurons_per_expert].append(z.double())

        with torch.no_grad(), watch(checkpoint.model, [block], keep):
            for passage in parts[group, modality]:
                checkpoint.model(**encoder.encode([passage.text], [passage.pictures()]))
        for number, own in enumerate(kept):
            z = torch.cat(own) if own else torch.zeros(1, block.neurons_per_expert, dtype=torch.float64)
            found[number] += z.T @ z / (2 * len(z))
    return found


def test_what_cannot_be_solved_is_refused_with_a_way_out(tmp_path, erasing):
    wide = save_llava(tmp_path / "wide", neurons=512)
    with pytest.raises(ModelError, match="larger ridge"):
        plan({**erasing, "pretrained": str(wide), "ridge": 0, "max_samples": 1, "tokens": "last"}).load()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"keep": -1}, "keep"), ({"layers": "some"}, "layers"), ({"seed": 3}, "seed"), ({"target": "mean"}, "target")],
)
def test_wrong_settings_are_refused(wrong, named):
    with pytest.raises(SettingError, match=named):
        EraseSettings(**wrong)


TWO = """
import sys
from lmms_manu.cli.arguments import join_processes
from lmms_manu.settings import parse_arguments
join_processes()
from lmms_manu.measuring.processes import Processes
from lmms_manu.methods.unlearn import plan
for method in ("erase", "kvw"):
    checkpoint, record = plan({**parse_arguments(sys.argv[1]), "method": method}).load()
    Processes.current().check_same(record.fingerprint, "the fingerprint")
    with open(f"{sys.argv[2]}/{Processes.current().rank}", "a") as told:
        print(record.fingerprint, file=told)
"""


def test_two_processes_make_the_same_edits_as_one(arguments, in_two_processes, tmp_path):
    (tmp_path / "two.py").write_text(TWO)
    given = {**arguments, "max_samples": 6, "statistics_cache": False, "edit_cache": False}
    line = ",".join(f"{name}={value}" for name, value in given.items())
    here = {name: os.environ[name] for name in ("LMMS_MANU_CACHE", "LMMS_MANU_DATASET")}
    in_two_processes(tmp_path / "two.py", line, str(tmp_path), **here)
    alone = [plan({**given, "method": method}).load()[1].fingerprint for method in ("erase", "kvw")]
    for rank in ("0", "1"):
        assert (tmp_path / rank).read_text().split() == alone


class Alive(TorchDispatchMode):
    """The largest sum of bytes, of tensors of at least so many each, that there are at a time."""

    def __init__(self, at_least):
        super().__init__()
        self.at_least, self.most = at_least, 0
        self._there: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().nbytes() >= self.at_least:
                storage = StorageWeakRef(tensor.untyped_storage())
                self._there.setdefault(storage.cdata, (storage, tensor.untyped_storage().nbytes()))
        self._there = {key: held for key, held in self._there.items() if not held[0].expired()}
        self.most = max(self.most, sum(size for _, size in self._there.values()))
        return made


@pytest.mark.parametrize("shards", [2, 16])
def test_an_edit_takes_the_memory_that_is_said_for_any_number_of_shards_and_blocks(tmp_path, shards):
    folder = save_llava(tmp_path / "wide", neurons=448)
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))
    settings = EraseSettings(
        towers="language", memory_gib=0.01, statistics_batch_size=1, statistics_cache=False, ridge=0.1
    )
    blocks = chosen_blocks(checkpoint, settings)
    moments = 8 * (448 + 2) * 448
    said = bytes_of(blocks[0], parts=4)
    assert said == 6 * moments
    assert said < settings.memory_gib * 1024**3 < 2 * said, "one block at a time"
    with Alive(at_least=moments // 3) as alive:
        edited = edit(checkpoint, {part: make_examples(*part, shards) for part in PARTS}, settings)
    assert edited.counts == {"language": (2, 2)}
    # A product in float32, before it is added up in float64.
    assert said - moments <= alive.most <= said + moments / 2


def passes_of(given):
    """The passes through the language model in which an edit is made, and its record."""
    passes = []

    def count(module, *_):
        if isinstance(module, LlavaForConditionalGeneration):
            passes.append(module)

    counting = register_module_forward_hook(count)
    try:
        _, record = plan(given).load()
    finally:
        counting.remove()
    return len(passes), record


def test_another_strength_needs_no_new_measurement(erasing):
    measured, _ = passes_of(erasing)
    assert measured > 4
    for strength in ({"keep": 1}, {"ridge": 0.1}, {"keep": 1, "target": "retain_mean"}):
        passes, record = passes_of({**erasing, **strength})
        assert passes == 0
        assert {name: value for name, value in record.settings.items() if name in strength} == strength
    assert passes_of({**erasing, "tokens": "answer"})[0] == measured


def test_the_edited_model_is_written_as_a_plain_checkpoint(erasing, tmp_path):
    given = {**erasing, "output": tmp_path / "edited"}
    words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    assert main(["edit", *words]) == 0
    written = AutoModelForImageTextToText.from_pretrained(tmp_path / "edited").state_dict()
    edited = plan(erasing).load()[0].model.state_dict()
    assert all(torch.equal(written[name], value) for name, value in edited.items())
    assert "UCE" in (tmp_path / "edited" / "README.md").read_text(encoding="utf-8")


def test_columns_are_views_of_dense_blocks_experts_and_convolutions():
    block = MlpBlock("mlp", "language", 0, 6, "gated", "down", (Slot("down", 1),))
    experts = dataclasses.replace(block, experts=2, slots=(Slot("down", 2, stacked=True),))
    for shape, chosen, pieces in (((5, 6), block, 1), ((5, 6, 1, 1), block, 1), ((2, 5, 3), experts, 2)):
        weight = torch.ones(shape)
        views = down_columns(weight, chosen)
        assert [view.shape for view in views] == [(6 // pieces, 5)] * pieces
        for view in views:
            view.zero_()
        assert not weight.any()
