"""Processes that hold different models or data end before they mix their results."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.models import byte_tokenizer, llava_processor, save_llava

from lmms_manu.errors import ModelError
from lmms_manu.measuring.processes import Processes

WORKER = """
import dataclasses, json, os, sys
from pathlib import Path

import torch
import torch.distributed as dist

from lmms_manu.errors import ModelError
from lmms_manu.measuring.agreement import check_agreement
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings

folder = Path(sys.argv[1])
torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()


def load(name, **settings):
    return load_checkpoint(ModelSettings(pretrained=str(folder / name), device="cpu", **settings))


def parts(answer):
    return {("forget", "text"): [RenderedExample("Ann", "Who?", answer)]}


same = load("one")
mine = str(rank)
cases = {
    "copy": (load("one" if rank else "copy-of-one"), parts(" Ann"), {"forget_ratio": 5}),
    "weights": (load("other" if rank else "one"), None, {}),
    "processor": (load("one", processor=str(folder / ("words" if rank else "one"))), None, {}),
    "dtype": (load("one", dtype="bfloat16" if rank else "auto"), None, {}),
    "data": (same, parts(" Ann" if rank else " Bob"), {}),
    "setting": (same, None, {"seed": rank}),
}
outcomes = {}
for name, case in cases.items():
    try:
        check_agreement(*case)
        outcomes[name] = None
    except ModelError as error:
        outcomes[name] = str(error)
(folder / f"{rank}.json").write_text(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def outcomes(in_two_processes, tmp_path_factory) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """What each of two processes says to each case."""
    folder = tmp_path_factory.mktemp("processes")
    save_llava(folder / "one")
    save_llava(folder / "copy-of-one")
    save_llava(folder / "other", seed=1)
    words = llava_processor()
    words.tokenizer = byte_tokenizer("<word>")
    words.save_pretrained(folder / "words")
    (folder / "worker.py").write_text(WORKER)
    in_two_processes(folder / "worker.py", str(folder), LMMS_MANU_CACHE=str(folder / "cache"))
    first, second = (json.loads(Path(folder, f"{rank}.json").read_text()) for rank in (0, 1))
    return first, second


def test_copies_of_one_checkpoint_in_different_places_agree(outcomes):
    assert [own["copy"] for own in outcomes] == [None, None]


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("weights", r"the weights \([0-9a-f]{64} in process 0; [0-9a-f]{64} in process 1\)"),
        ("processor", r"the processor \([0-9a-f]{64} in process 0; [0-9a-f]{64} in process 1\)"),
        ("dtype", r"the type of the weights \(torch\.float32 in process 0; torch\.bfloat16 in process 1\)"),
        ("data", r"the data \('forget', 'text'\) \([0-9a-f]{64} in process 0; [0-9a-f]{64} in process 1\)"),
        ("setting", r"the setting seed \(0 in process 0; 1 in process 1\)"),
    ],
)
def test_a_difference_is_told_with_both_values_in_every_process(outcomes, case, told):
    for own in outcomes:
        assert re.match(f"The processes differ in {told}", own[case])


def test_one_process_agrees_with_itself():
    Processes().agree({"the weights": "a"})


def test_what_only_some_have_is_a_difference(monkeypatch):
    held = [{"a": "1"}, {"a": "1", "b": "2"}, {"a": "1"}]
    monkeypatch.setattr(Processes, "gather", lambda self, value: held)
    with pytest.raises(ModelError, match=r"differ in b \(nothing in process 0, 2; 2 in process 1\)"):
        Processes(0, 3).agree(held[0])
