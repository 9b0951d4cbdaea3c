from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lmms_manu import embedded
from lmms_manu.attacks.base import InapplicableError, Target
from lmms_manu.attacks.pictures import ASK_FOR_IT, DISTURBANCES, Pictures, with_text
from lmms_manu.benchmarks.example import Example
from lmms_manu.methods.data import UnlearningData
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings


@pytest.fixture(scope="module")
def picture():
    values = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    return Image.fromarray(np.kron(values[:6, :8], np.ones((10, 10, 1), dtype=np.uint8)))


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_disturbed_picture_is_another_one_of_the_same_size_and_the_same_each_time(name, picture):
    first, again = (DISTURBANCES[name](picture) for _ in range(2))
    assert (first.size, first.mode) == (picture.size, "RGB")
    assert first.tobytes() == again.tobytes() != picture.tobytes()
    change = np.abs(np.asarray(first, float) - np.asarray(picture, float)).mean()
    assert 1 < change < 80


def test_a_question_is_set_below_the_picture(picture):
    shown = with_text(picture, "Where does this person live?")
    assert shown.width == picture.width
    assert shown.crop((0, 0, *picture.size)).tobytes() == picture.tobytes()
    below = np.asarray(shown)[picture.height :]
    assert (below.max(), below.min() < 128) == (255, True)


def target(*examples):
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(embedded.model_folder("base")), device="cpu"))
    return Target(checkpoint, UnlearningData(examples))


def test_only_questions_with_a_picture_are_asked_and_one_is_asked_by_the_picture_alone(picture):
    seen = Example("ann", "Where does this person live?", "In Oslo.", image=picture)
    told = Example("ann", "Where does Ann live?", "In Oslo.")
    asking = target(seen, told)
    for name, variant in Pictures().variants().items():
        if name == "another picture":
            continue
        with variant(asking) as attacked:
            ((modality, (example,)),) = attacked.data.forget.items()
            (shown,) = example.pictures()
            assert modality == "multimodal"
            assert shown.tobytes() != picture.tobytes()
            assert example.question == (ASK_FOR_IT if name == "question in the picture" else seen.question)


def test_what_cannot_be_asked_is_said(picture):
    variants = Pictures().variants()
    with (
        pytest.raises(InapplicableError, match="nothing is asked with a picture"),
        variants["blurred by 2%"](target(Example("ann", "Where does Ann live?", "In Oslo."))),
    ):
        pass
    seen = target(Example("ann", "Where does this person live?", "In Oslo.", image=picture))
    with pytest.raises(InapplicableError, match="no other picture"), variants["another picture"](seen):
        pass
