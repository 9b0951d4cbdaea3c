"""A checkpoint of text alone in the harness's evaluator."""

from __future__ import annotations

import pytest
from lmms_eval import evaluator
from lmms_eval.tasks import TaskManager
from support.text_models import save_text_model

from lmms_manu.errors import ModelError
from lmms_manu.plugins.manu_pruned import ManuPruned


def test_a_text_only_model_is_pruned_and_asked_in_text_and_refuses_pictures_naming_the_document(here, tmp_path):
    folder = save_text_model("llama", tmp_path / "text")
    told = {"pretrained": str(folder), "device": "cpu", "forget_ratio": 10}
    models = [ManuPruned(**told, prune_rate=0), ManuPruned(**told, recipe="random", prune_rate=20)]
    manager, answers = TaskManager(), []
    leaf = "mllmu_forget_10_cloze_text"
    for model in models:
        options = {"task_manager": manager, "limit": 2, "bootstrap_iters": 0}
        results = evaluator.simple_evaluate(model=model, tasks=[leaf], **options)
        answers.append([sample["resps"] for sample in results["samples"][leaf]])
    assert answers[0] != answers[1]
    with pytest.raises(ModelError, match=r"multimodal, document 0 shows a picture, but the checkpoint is of text"):
        evaluator.simple_evaluate(model=models[0], tasks=["mllmu_forget_10_cloze_multimodal"], **options)
