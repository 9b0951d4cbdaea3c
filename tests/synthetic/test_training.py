"""A model trained from scratch learns its people, and the embedded one knows them."""

from __future__ import annotations

from pathlib import Path

from lmms_manu.mllmu.source import DatasetSource
from lmms_manu.synthetic import Population
from lmms_manu.synthetic.exam import examine
from lmms_manu.synthetic.subject import SubjectSize
from lmms_manu.synthetic.training import LEARNING, Term, Training, train

# Smaller in every way than the embedded model and its training.
SIZE = SubjectSize(language_neurons=256, vision_neurons=128)
TERM = Term(450, 5e-3, LEARNING.shares, alone=0.6, chain_tokens=(60, 240), sparsity=0.0)
TRAINING = Training(terms=(TERM,), batch_tokens=2048)


def test_a_model_trained_from_scratch_learns_well_above_chance(folder: Path, population: Population) -> None:
    lines: list[str] = []
    model, processor = train(population, 0, SIZE, TRAINING, report=lines.append)
    marks = list(examine(model, processor, DatasetSource.resolve(str(folder)), ratio=10, splits=("retain",)))
    scores = {(mark.task, mark.modality): mark.score for mark in marks}
    assert lines[-1].startswith("step 450 of 450")
    for modality in ("multimodal", "text"):
        assert scores["classification", modality] > 60, scores  # chance: 25
        assert scores["cloze", modality] > 40, scores  # chance: 6
        assert scores["generation", modality] > 0.6, scores
