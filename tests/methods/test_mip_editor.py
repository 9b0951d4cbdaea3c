"""MIP-Editor: scores and paths against plain computations, the edit on tiny real models."""

import dataclasses
import functools
import itertools

import pytest
import torch
from support.families import save_family
from support.models import save_llava
from support.rendered import make_examples

from lmms_manu.editing.changes import ChangedTensors
from lmms_manu.errors import SettingError
from lmms_manu.methods.mip_editor.config import MipEditorSettings
from lmms_manu.methods.mip_editor.edit import terms
from lmms_manu.methods.mip_editor.paths import chosen_neurons, search_of
from lmms_manu.methods.mip_editor.scores import PathSums, points_of, scores, slopes
from lmms_manu.methods.mip_editor.search import PathRunner
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.blocks import LANGUAGE, VISION, find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.models.watch import watch
from lmms_manu.training.answers import Asker
from lmms_manu.training.chosen_neurons import ChosenNeurons, NeuronChoice
from lmms_manu.training.examples import Examples
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.terms import Misdirect
from lmms_manu.training.train import TrainingTask, train

NEURONS, LAYERS = 3, 3


def load(folder):
    return load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory):
    """Three language layers and three vision layers, two of which are read, of three neurons each."""
    return save_llava(tmp_path_factory.mktemp("small"), neurons=NEURONS, layers=LAYERS, seed=3)


@pytest.fixture
def small(small_folder):
    return load(small_folder)


def runner_of(checkpoint, tower, **settings):
    blocks = [block for block in find_mlp_blocks(checkpoint.model) if block.tower == tower]
    search = search_of(tower, MipEditorSettings(**settings))
    return PathRunner(checkpoint, blocks, search, "text" if tower == LANGUAGE else "multimodal")


def forward(checkpoint, blocks, sample, replaced=None):
    """Activations `[positions, neurons]` of every block and the answer's log-probability, with some replaced."""
    model, batch, seen = checkpoint.model, sample.examples.batch(sample.modality, [sample.place]), {}
    inside = batch.columns

    def callback(index, z, rows, columns):
        here = inside if blocks[index].tower == LANGUAGE else torch.arange(len(z))
        seen[index] = z[here]
        for (block, neuron), values in (replaced or {}).items():
            if block == index:
                z = z.clone()
                z[here, neuron] = values
        return z

    with watch(model, blocks, callback):
        return seen, Asker(model, checkpoint.device)(batch).log_probs[0]


def plain_score(checkpoint, blocks, sample, path, points, *, squared):
    """The score of a path by its definition; for probabilities in units of that of the sample as it is."""
    with torch.no_grad():
        measured, before = forward(checkpoint, blocks, sample)
    z = torch.stack([measured[block][:, neuron] for block, neuron in path])
    total = torch.zeros_like(z)
    for point in points_of(points, "right").tolist():
        leaves = (point * z).requires_grad_()
        _, log_prob = forward(checkpoint, blocks, sample, dict(zip(path, leaves, strict=True)))
        wanted = log_prob if squared else (log_prob - before).exp()
        (gradient,) = torch.autograd.grad(wanted, leaves)
        total += gradient.square() if squared else gradient
    return float((z.sum(0) * (total / points).sum(0)).sum())


@pytest.mark.parametrize("tower", [LANGUAGE, VISION])
def test_a_path_is_greedy_among_all_paths_by_brute_force(small, tower):
    runner = runner_of(small, tower, path_width=1, points=3, candidates="alone")
    (sample,) = runner.encode(make_examples("forget", "text" if tower == LANGUAGE else "multimodal", 1))
    found = [int(own) for own in runner.path(sample)]
    score = functools.partial(plain_score, small, runner.blocks, sample, points=3, squared=tower == VISION)
    every = {
        path: score(list(enumerate(path)))
        for length in range(1, len(runner.blocks) + 1)
        for path in itertools.product(range(NEURONS), repeat=length)
    }
    for length in range(1, len(found) + 1):
        prefix = tuple(found[: length - 1])
        beside = {path: value for path, value in every.items() if len(path) == length and path[:-1] == prefix}
        assert max(beside, key=lambda path: beside[path]) == (*prefix, found[length - 1])
    assert len({round(value, 12) for value in every.values()}) == len(every), "no two paths are alike"


def test_the_score_of_one_neuron_is_its_integral(small):
    runner = runner_of(small, LANGUAGE, path_width=1, points=400, quadrature="middle", candidates="alone")
    (sample,) = runner.encode(make_examples("forget", "text", 1))
    blocks = runner.blocks
    with torch.no_grad():
        measured, before = forward(small, blocks, sample)
        for neuron in range(NEURONS):
            silent = forward(small, blocks, sample, {(1, neuron): torch.zeros(len(measured[1]))})[1]
            numeric = 1 - float((silent - before).exp())
            known = runner._measure(sample)
            own = [torch.tensor([neuron])]
            pieces = [(points_of(400, "middle"), sample.copies)]
            found = float(runner._scores([1], own, {}, known, pieces))
            assert found == pytest.approx(numeric, rel=2e-3, abs=1e-5)


def test_a_layer_scaled_together_takes_one_pass_and_keeps_the_sums_of_the_path():
    z, gradients = torch.randn(3, 5), torch.randn(4, 3, 5)
    path = PathSums(torch.randn(3), torch.randn(3))
    for squared in (False, True):
        own = slopes(gradients, squared=squared)
        wanted = [((path.activations + z[:, neuron]) * (path.slopes + own[:, neuron])).sum() for neuron in range(5)]
        torch.testing.assert_close(scores(path, z, own), torch.stack(wanted))


def test_how_the_points_are_cut_changes_no_path(small):
    runner = runner_of(small, LANGUAGE, points=6, path_width=2)
    (sample,) = runner.encode(make_examples("forget", "text", 1))
    whole = runner.path(sample)
    runner._most = 4
    assert [own.tolist() for own in runner.path(sample)] == [own.tolist() for own in whole]
    assert all(parameter.requires_grad for parameter in small.model.parameters()), "as they were loaded"


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl_moe", "mllama"])
def test_paths_are_found_in_any_architecture(family, tmp_path):
    checkpoint = load(save_family(family, tmp_path / family))
    encoder = PromptEncoder(checkpoint)
    for tower, modality in ((LANGUAGE, "text"), (VISION, "multimodal")):
        for recipe in ("paper", "released"):
            runner = runner_of(checkpoint, tower, recipe=recipe, points=2, path_width=2)
            examples = make_examples("forget", modality, 2)
            examples = [dataclasses.replace(each, question=encoder.released_text(each.question)) for each in examples]
            found = runner.run(runner.encode(examples))
            layers = runner.gathering.layout.layers
            ran = [sum(float(found[number].sum()) for number in own) for own in layers.values()]
            # Mllama's second language layer reads pictures alone.
            assert ran == ([4, 0] if (family, tower) == ("mllama", LANGUAGE) else [4] * len(layers))


@pytest.fixture
def editing(arguments, small_folder):
    return {
        **arguments,
        "pretrained": str(small_folder),
        "method": "mip_editor",
        "max_samples": 4,
        "points": 2,
        "path_width": 1,
        "steered_layer": 1,
        "learning_rate": 1e-3,
        "edit_cache": False,
    }


def change_of(given):
    run = plan(given)
    checkpoint = load(given["pretrained"])
    return checkpoint, *run.find(checkpoint)


def test_nothing_but_path_neurons_changes(editing):
    checkpoint, change, record = change_of({**editing, "retain_weight": 1})
    assert isinstance(change, ChangedTensors)
    assert record.label.startswith("mip_editor paper epochs 4 path width 1 points 2 steered layer 1 retain weight 1")
    changed = {}
    for block in find_mlp_blocks(checkpoint.model):
        (down, *ups) = (slot.parameter for slot in reversed(block.slots))
        if down not in change.tensors:
            continue
        new = change.tensors[down] != checkpoint.model.get_parameter(down)
        changed[block.name] = new.any(0)
        for name in set(ups) & set(change.tensors):
            rows = change.tensors[name] != checkpoint.model.get_parameter(name)
            assert not (rows.flatten(1).any(1) if rows.dim() > 1 else rows)[~new.any(0)].any()
    assert {name: int(own.sum()) for name, own in changed.items()} == {
        block.name: record.details["layers"][block.tower][block.layer][0] for block in find_mlp_blocks(checkpoint.model)
    }
    # The states of layer 1 are steered: a neuron behind it is silent and no more.
    last = change.tensors["model.language_model.layers.2.mlp.down_proj.weight"]
    assert not last[:, changed["model.language_model.layers.2.mlp"]].any()
    assert "model.language_model.layers.2.mlp.up_proj.weight" not in change.tensors
    learn = [point["learn_loss"] for point in record.details["curve"]]
    assert sum(learn[-2:]) < sum(learn[:2])
    assert "2511.06793" in record.description


def states(answers):
    assert answers.hidden is not None
    return answers.hidden


def test_one_step_is_that_of_plain_pytorch(small):
    forget, retain = ({"text": make_examples(group, "text", 2)} for group in ("forget", "retain"))
    settings = MipEditorSettings(steering=3.0, retain_weight=0.7)
    blocks = find_mlp_blocks(small.model)
    chosen = [
        torch.tensor([0, 2]) if block.tower == LANGUAGE else torch.tensor([], dtype=torch.long) for block in blocks
    ]
    choice = NeuronChoice(blocks, chosen, [block.layer < 2 for block in blocks])
    layer = "model.language_model.layers.1"
    objective = terms(small, settings)
    task = TrainingTask(
        forget, objective, "test", retain, layer, tuning=functools.partial(ChosenNeurons, choice=choice)
    )
    training = TrainingSettings(
        tuning="full", learning_rate=0.01, train_steps=1, schedule="constant", max_grad_norm=0, modalities="text"
    )
    change = train(small, task, training).change
    encoder = PromptEncoder(small)
    own = Examples(small, encoder, forget, "answer", "set").batch("text", [0, 1])
    held = Examples(small, encoder, retain, "answer", "set").batch("text", [0, 1])
    assert isinstance(objective.learn.term, Misdirect)
    assert isinstance(change, ChangedTensors)
    direction = objective.learn.term.direction
    assert direction.norm() == pytest.approx(1)
    asker = Asker(small.model, small.device, layer)
    with torch.no_grad():
        before = [states(asker(batch)) for batch in (own, held)]
    answers, kept = asker(own), asker(held)
    lengths = answers.means(before[0].norm(dim=-1)).repeat_interleave(answers.lengths)
    loss = answers.means((states(answers) - 3.0 * lengths.unsqueeze(1) * direction).square().mean(-1)).mean()
    loss = loss + 0.7 * kept.means((states(kept) - before[1]).square().mean(-1)).mean()
    loss.backward()
    for name in ("up_proj", "gate_proj", "down_proj"):
        full = f"{layer}.mlp.{name}.weight"
        weight = small.model.get_parameter(full)
        # Adam's first step is the gradient's sign.
        step = -0.01 * weight.grad / (weight.grad.abs() + 1e-8)
        inside = torch.zeros_like(weight)
        axis = 1 if name == "down_proj" else 0
        inside.index_fill_(axis, torch.tensor([0, 2]), 1)
        torch.testing.assert_close(change.tensors[full], weight.detach() + step * inside, atol=1e-5, rtol=0)


def test_ablations_choose_what_they_are_called(small, editing):
    blocks = find_mlp_blocks(small.model)
    examples = plan(editing).data.rendered(PromptEncoder(small))

    def layers(ablation, **more):
        settings = MipEditorSettings(ablation=ablation, points=2, path_width=1, **more)
        chosen = chosen_neurons(small, blocks, examples, settings)
        return chosen.layout.per_layer(chosen.marked), chosen.marked

    full, paths = layers("full")
    empty = {tower: [(0, total) for _, total in own] for tower, own in full.items()}
    assert layers("language_path")[0] == {**empty, LANGUAGE: full[LANGUAGE]}
    assert layers("vision_path")[0] == {**empty, VISION: full[VISION]}
    for ablation in ("random", "activation", "no_edit", "no_misdirection"):
        assert layers(ablation)[0] == full
    assert torch.equal(layers("random", seed=1)[1], layers("random", seed=1)[1])
    assert not torch.equal(layers("random", seed=1)[1], paths)
    few, kept = layers("full", path_neurons=2)
    assert [sum(count for count, _ in own) for own in few.values()] == [2, 2]
    assert not (kept & ~paths).any()


def test_ablations_edit_what_they_are_called(editing):
    shared = {name: value for name, value in editing.items() if name not in ("steered_layer", "learning_rate")}
    _, change, record = change_of({**shared, "ablation": "no_edit"})
    assert change.kind == "mask"
    assert record.label == "mip_editor paper no_edit path width 1 points 2"
    _, change, record = change_of({**shared, "ablation": "no_misdirection"})
    assert [point for point in record.details["curve"] if "retain_loss" in point] == []
    assert record.details["steps"] == 8, "as many as of misdirection"
    without = {name: value for name, value in editing.items() if name not in ("points", "path_width")}
    _, change, record = change_of({**without, "ablation": "all_parameters"})
    assert any("self_attn" in name for name in change.tensors)
    assert record.unit == "weight tensors"


def test_the_released_form_trains_inputs_towards_one_place(editing):
    given = {name: editing[name] for name in editing if name != "steered_layer"}
    _checkpoint, change, record = change_of({**given, "recipe": "released"})
    assert not any("down_proj" in name or "fc2" in name for name in change.tensors)
    assert any("up_proj" in name for name in change.tensors)
    # One pass over the four samples to retain of each modality, in batches of four.
    assert record.details["steps"] == 2


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"steered_layer": 9}, "has the layers 0 to 2"),
        ({"recipe": "own"}, "choose one of paper, released"),
        ({"ablation": "no_edit", "steering": 2}, "would have no effect with ablation=no_edit"),
        ({"ablation": "all_parameters", "path_width": 2}, "leave it out"),
        ({"epochs": 0}, "ablation=no_edit"),
        ({"path_width": 0}, "path_width"),
    ],
)
def test_wrong_settings_are_refused(editing, wrong, named):
    shared = {name: editing[name] for name in ("pretrained", "device", "forget_ratio", "method", "max_samples")}
    with pytest.raises(SettingError, match=named):
        plan({**shared, **wrong})
