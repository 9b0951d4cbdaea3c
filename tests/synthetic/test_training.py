"""A model trained from scratch learns its people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lmms_manu.mllmu.names import TASKS
from lmms_manu.mllmu.source import DatasetSource
from lmms_manu.names import MODALITIES
from lmms_manu.synthetic import Population
from lmms_manu.synthetic.exam import examine
from lmms_manu.synthetic.subject import SubjectSize
from lmms_manu.synthetic.training import LEARNING, Term, Training, train

# Smaller in every way than the embedded model and its training.
SIZE = SubjectSize(language_neurons=256, vision_neurons=128)
TERM = Term(300, 5e-3, LEARNING.shares, alone=0.6, chain_tokens=(60, 240), sparsity=0.0)
TRAINING = Training(terms=(TERM,), batch_tokens=2048)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """So small a model gains little from a second thread, and waits for it where the processor is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_a_model_trained_from_scratch_learns_well_above_chance(folder: Path, population: Population) -> None:
    lines: list[str] = []
    model, processor = train(population, 0, SIZE, TRAINING, report=lines.append)
    marks = examine(model, processor, DatasetSource.resolve(str(folder)), ratio=10, splits=("retain",))
    scores: dict[str, float] = dict.fromkeys(TASKS, 0.0)
    for mark in marks:
        scores[mark.task] += mark.score / len(MODALITIES)
    assert lines[-1].startswith("step 300 of 300")
    assert scores["classification"] > 40, scores  # by chance 25
    assert scores["cloze"] > 15, scores  # by chance 6
    assert scores["generation"] > 0.6, scores
