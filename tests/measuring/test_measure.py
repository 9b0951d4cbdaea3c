import pytest
import torch
from support.statistics import stacked

from lmms_manu.errors import DataError, ModelError
from lmms_manu.measuring.measure import measure
from lmms_manu.measuring.parts import PARTS
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder, to_device
from lmms_manu.models.watch import watch


def run(checkpoint, parts, **settings):
    blocks = find_mlp_blocks(checkpoint.model)
    return measure(checkpoint, blocks, parts, MeasureSettings(**settings), progress=False)


def plain_sums(checkpoint, examples, tau=0.1, rows_of=lambda activations, tower, example: activations):
    """The five sums by the book: one example at a time, all activations kept, float64."""
    blocks = find_mlp_blocks(checkpoint.model)
    kept = [[torch.zeros(0, block.neurons, dtype=torch.float64)] for block in blocks]
    encoder = PromptEncoder(checkpoint)
    for example in examples:

        def keep(index, activations, rows, columns, example=example):
            kept[index].append(rows_of(activations, blocks[index].tower, example).double())

        inputs = to_device(encoder.encode([example.text], [example.pictures()]), checkpoint.device)
        with torch.no_grad(), watch(checkpoint.model, blocks, keep):
            checkpoint.model(**inputs)
    columns = []
    for activations in map(torch.cat, kept):
        count = torch.full((activations.shape[1],), len(activations), dtype=torch.float64)
        magnitude = activations.abs()
        squared = activations.square().sum(0)
        active = (magnitude > tau).double().sum(0)
        columns.append(torch.stack([count, magnitude.sum(0), activations.sum(0), squared, active]))
    return torch.cat(columns, dim=1)


def all_plain_sums(checkpoint, parts, **options):
    return torch.stack([plain_sums(checkpoint, parts[part], **options) for part in PARTS])


def test_the_five_sums_equal_a_plain_float64_computation(load, parts):
    checkpoint = load()
    torch.testing.assert_close(
        stacked(run(checkpoint, parts)), all_plain_sums(checkpoint, parts), rtol=1e-4, atol=1e-4, check_stride=False
    )


def test_text_leaves_the_vision_tower_without_observations(load, parts):
    statistics = run(load(), parts)
    vision = statistics.layout.vision
    for part, values in statistics.parts.items():
        assert bool(values[:, vision].any()) == (part.modality == "multimodal")


def test_padding_never_counts(load, parts):
    statistics = run(load(), parts, statistics_batch_size=19)
    encoder = PromptEncoder(load())
    for part in PARTS:
        tokens = sum(encoder.token_count(one.text, one.pictures()) for one in parts[part])
        assert set(statistics(part, "count")[~statistics.layout.vision].tolist()) == {tokens}


def answer_rows(encoder, tokens):
    def rows_of(activations, tower, example):
        if tower == "vision":
            return activations
        length = encoder.token_count(example.question, example.pictures())
        inside = {"last": slice(length - 1, length), "answer": slice(length, None), "predicting": slice(length - 1, -1)}
        return activations[inside[tokens]]

    return rows_of


@pytest.mark.parametrize("tokens", ["last", "answer", "predicting"])
def test_tokens_may_be_the_last_of_the_question_the_answers_or_those_that_predict_them(load, parts, tokens):
    checkpoint = load()
    plain = all_plain_sums(checkpoint, parts, rows_of=answer_rows(PromptEncoder(checkpoint), tokens))
    torch.testing.assert_close(stacked(run(checkpoint, parts, tokens=tokens)), plain, rtol=1e-4, atol=1e-4)


def test_an_activation_that_is_nan_names_layer_and_sample(load, parts):
    checkpoint = load()
    layer = checkpoint.model.get_submodule(find_mlp_blocks(checkpoint.model)[1].name)
    marker = PromptEncoder(checkpoint).text_ids("!")[0]
    with torch.no_grad():
        checkpoint.model.get_input_embeddings().weight[marker] = float("inf")
    parts["retain", "text"][7] = parts["retain", "text"][7].__class__("the broken one", "USER: oh!\nASSISTANT:", " no")
    with pytest.raises(ModelError, match=r"language layer 0\) is NaN or infinite on the broken one\."):
        run(checkpoint, parts)
    assert layer is not None


def test_a_broken_picture_tower_is_named_and_not_the_language_layers_behind_it(load, parts):
    checkpoint = load()
    vision = [block for block in find_mlp_blocks(checkpoint.model) if block.tower == "vision"]
    with torch.no_grad():
        checkpoint.model.get_parameter(vision[1].slots[0].parameter)[0] = float("inf")
    with pytest.raises(ModelError, match=r"\(vision layer 1\) is NaN or infinite"):
        run(checkpoint, parts)


def test_an_empty_part_is_an_error_that_names_it(load, parts):
    with pytest.raises(DataError, match="no text sample of the forget set"):
        run(load(), {**parts, ("forget", "text"): []})
