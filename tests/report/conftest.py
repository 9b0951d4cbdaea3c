"""Results of a vanilla model and two edited ones, as the harness itself wrote them."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.harness_results import evaluate
from support.judge_server import JudgeServer, verdict
from support.stock_tasks import write_stock_data
from support.tiny import make_dataset

from lmms_manu.methods.record import EditRecord
from lmms_manu.report.runs import Run, read_runs

GROUPS = ("mllmu_forget_10", "mllmu_test_10", "mllmu_retain_10", "mllmu_celebrity")
HOSTILE = "<script>window.hacked = true</script><img src=x onerror='window.hacked = true'> I cannot say"
PAPER_MASK, RATIO_MASK = "5eed" * 16, "f00d" * 16


def answers_wrongly(forgotten: Mapping[str, int], kept: int) -> Any:
    """An answerer that is wrong in so many percent: by modality on the people to forget, and on the others.

    Who gets wrong more is wrong wherever one who gets wrong less is.
    """

    def answer(document: Mapping[str, Any]) -> str:
        if "leaf" not in document:
            return str(document.get("answer", "A good picture."))
        leaf = document["leaf"]
        modality = leaf.rpartition("_")[2]
        percent = forgotten[modality] if "_forget_" in leaf or "_test_" in leaf else kept
        draw = zlib.crc32(f"{leaf}/{document['person']}/{document['number']}".encode()) % 100
        return HOSTILE if draw < percent else document["answer"]

    return answer


VANILLA = answers_wrongly({"multimodal": 5, "text": 5}, 3)
PAPER = answers_wrongly({"multimodal": 60, "text": 30}, 10)
GOLD = answers_wrongly({"multimodal": 90, "text": 90}, 3)
RATIO = answers_wrongly({"multimodal": 80, "text": 70}, 35)


def edit(recipe: str, rate: float, mask: str) -> EditRecord:
    layers = {"language": [[1, 20], [2, 20]], "vision": [[0, 10], [2, 10]]}
    neurons = {"forget/multimodal": [10, 30], "forget/text": [20, 20], "retain/multimodal": [5, 35]}
    pruned_of_these = {part: [1, 2] for part in neurons}
    activations = {"language": {"edges": [0.001, 0.01, 0.1], "neurons": neurons, "pruned": pruned_of_these}}
    pruned = {"language": (3, 40), "vision": (2, 20)}
    return EditRecord(
        method="manu",
        checkpoint="MLLMMU/LLaVA_Vanilla",
        change="mask",
        variant={"recipe": recipe, "prune_rate": rate},
        units={"prune_rate": "%"},
        strength="prune_rate",
        forgotten={"benchmark": "mllmu", "forget_ratio": 10},
        fingerprint=mask,
        counts=pruned,
        details={"layers": layers, "activations": activations},
    )


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("people") / "MLLMU-Bench", people=40, picture_size=16)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Iterator[Path]:
    """The folders `vanilla`, `paper` and `ratio` of results; `vanilla` and `paper` were judged and ran MMStar too."""
    folder = tmp_path_factory.mktemp("results")
    work = write_stock_data(tmp_path_factory.mktemp("work"), documents=6)
    with pytest.MonkeyPatch.context() as patch, JudgeServer(lambda number, body: verdict(7)) as judge:
        patch.setenv("LMMS_MANU_DATASET", str(dataset))
        patch.setenv("LMMS_MANU_EXEMPLARS", "classification=1,cloze=1")
        patch.setenv("LMMS_MANU_CACHE", str(folder / "cache"))
        patch.setenv("OPENAI_API_KEY", "key")
        patch.setenv("OPENAI_API_URL", judge.url)
        patch.chdir(work)
        evaluate(folder / "vanilla", (*GROUPS, "mmstar"), VANILLA, model_args="prune_rate=0")
        evaluate(
            folder / "paper",
            (*GROUPS, "mmstar"),
            PAPER,
            model_args="forget_ratio=10",
            edit=edit("paper", 2.0, PAPER_MASK),
        )
        patch.delenv("OPENAI_API_KEY")
        patch.delenv("OPENAI_API_URL")
        evaluate(
            folder / "ratio",
            GROUPS,
            RATIO,
            model_args="forget_ratio=10,recipe=ratio,prune_rate=10,batch_size=4",
            edit=edit("ratio", 10.0, RATIO_MASK),
        )
        yield folder


@pytest.fixture(scope="session")
def gold(written: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a model that never met the people to forget, and knows the others as vanilla does."""
    folder = tmp_path_factory.mktemp("never") / "gold"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMMS_MANU_DATASET", str(dataset))
        patch.setenv("LMMS_MANU_EXEMPLARS", "classification=1,cloze=1")
        patch.setenv("LMMS_MANU_CACHE", str(written / "cache"))
        evaluate(folder, GROUPS, GOLD, model_args="prune_rate=0,pretrained=models/gold")
    return folder


@pytest.fixture
def results(written: Path, tmp_path: Path) -> Path:
    """A copy of the results that a test may spoil."""
    copy = tmp_path / "results"
    shutil.copytree(written, copy)
    return copy


@pytest.fixture(scope="session")
def runs(written: Path) -> tuple[Run, ...]:
    return read_runs([str(written / name) for name in ("vanilla", "paper", "ratio")])
