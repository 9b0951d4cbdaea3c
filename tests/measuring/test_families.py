"""Padding never counts, whatever a family's processor pads."""

import functools

import numpy as np
import pytest
import torch
from PIL import Image
from support.families import SEVERAL_PICTURES, save_family
from support.statistics import stacked

from lmms_manu.errors import ModelError
from lmms_manu.measuring.measure import measure
from lmms_manu.measuring.parts import PARTS, Part
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder

SHAPES = ((40, 28), (28, 56), (33, 33), (20, 60), (60, 24))


@functools.lru_cache
def picture(number):
    height, width = SHAPES[number % len(SHAPES)]
    pixels = np.random.default_rng(number).integers(1, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def examples(encoder, group, modality):
    pictured = modality == "multimodal"
    return [
        RenderedExample(
            f"{group} {number}",
            encoder.released_text(f"USER: {'<image>' if pictured else ''}{group} {'why ' * number}?\nASSISTANT:"),
            f" because{'.' * (2 * number)}",
            functools.partial(lambda number: [picture(number)], number) if pictured else list,
            str(number) if pictured else "",
        )
        for number in range(5)
    ]


def measured(checkpoint, **settings):
    encoder = PromptEncoder(checkpoint)
    parts = {part: examples(encoder, *part) for part in PARTS}
    blocks = find_mlp_blocks(checkpoint.model)
    return measure(checkpoint, blocks, parts, MeasureSettings(statistics_cache=False, **settings), progress=False)


@pytest.mark.parametrize("tokens", ["all", "answer"])
@pytest.mark.parametrize("family", SEVERAL_PICTURES)
def test_a_batch_of_all_gives_the_statistics_of_one_after_the_other(load, tmp_path, family, tokens):
    checkpoint = load(save_family(family, tmp_path / family))
    together = measured(checkpoint, tokens=tokens, statistics_batch_size=5)
    alone = measured(checkpoint, tokens=tokens, statistics_batch_size=1)
    for part in PARTS:
        assert torch.equal(together(part, "count"), alone(part, "count"))
        assert part.modality == "text" or (together(part, "count") > 0).all()
    torch.testing.assert_close(stacked(together), stacked(alone), rtol=1e-3, atol=1e-3)


def test_patches_that_only_fill_a_picture_up_do_not_count(load, tmp_path):
    checkpoint = load(save_family("gemma4", tmp_path))
    found = measured(checkpoint)
    encoder = PromptEncoder(checkpoint)
    shown = examples(encoder, "forget", "multimodal")
    places = encoder.encode([one.text for one in shown], [one.pictures() for one in shown])["image_position_ids"]
    real = int((places >= 0).all(-1).sum())
    assert 0 < real < places.shape[:-1].numel()
    assert (found(Part("forget", "multimodal"), "count")[found.layout.vision] == real).all()


def test_a_model_that_takes_no_text_alone_is_refused(load, tmp_path):
    with pytest.raises(ModelError, match="takes no text without a picture"):
        measured(load(save_family("blip-2", tmp_path)))
