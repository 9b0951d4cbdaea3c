"""The benchmark of a card goes through all of its code on the CPU, and its table says what there is."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    """Imports a module of the folder `benchmarks`, which is no package."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (BENCHMARKS / f"{name}.py").is_file():
            del sys.modules[name]


def test_every_section_gives_its_figures_and_the_table_has_them(module, tmp_path, capsys):
    file = tmp_path / "gpu.json"
    assert module("bench_gpu").main(["--tiny", "--models", "LLaVA-1.5-7B", "--json", str(file)]) == 0
    sections = json.loads(file.read_text())["models"]["LLaVA-1.5-7B"]
    assert list(sections) == ["making", *module("gpu_sections").SECTIONS]
    assert not [name for name, figures in sections.items() if "failed" in figures or "not_measured" in figures]
    printed = capsys.readouterr().out
    assert "| measuring to bare forward passes: with pictures; text |" in printed
    rows = [row for row in printed.splitlines() if row.startswith("|")]
    # The CPU has no counter of its memory.
    assert all(("not measured" in row) == ("peak memory" in row) for row in rows)


def test_a_section_that_fails_or_comes_too_late_costs_no_other(module, tmp_path):
    timing, gpu_table = module("gpu_timing"), module("gpu_table")
    file = tmp_path / "gpu.json"
    about = {"date": "2026-01-01", "card": "none", "product_tflops": 1, "versions": {"torch": "1", "transformers": "2"}}
    sheet = timing.Sheet(file, about, float("inf"), torch.device("cpu"))

    def fails():
        raise RuntimeError("no such kernel\nmore")

    sheet.section("a model", "measuring", fails)
    sheet.section("a model", "making", lambda: {"making_s": 2.34567})
    sheet.ends = 0
    sheet.section("a model", "training", lambda: {"npo_steps_per_s": 1.0})
    assert sheet.failures == ["a model, measuring: RuntimeError: no such kernel"]
    rows = dict(row.strip("| ").split(" | ") for row in gpu_table.table(file).splitlines()[4:])
    assert rows["made on the card, s"] == "2.3"
    assert rows["measured whole, samples/s"] == "failed"
    assert rows["LoRA, 4 pictured samples, steps/s: NPO; KL"] == "not measured"
    assert "Not measured yet" in gpu_table.table(tmp_path / "missing.json")


def test_the_other_shape_is_asked_in_its_own_way(module):
    sections, shapes = module("gpu_sections"), module("shapes")
    device = torch.device("cpu")
    stand = sections.Stand("Qwen2.5-VL-7B", shapes.SHAPES["Qwen2.5-VL-7B"], device, tiny=True, box=0.0, rate=1.0)
    assert sections.simple_loop(stand, stand.requests(1, 2, exemplars=1)) > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card to measure on")
def test_without_a_card_nothing_is_measured_or_written(module, tmp_path, capsys):
    file = tmp_path / "gpu.json"
    assert module("bench_gpu").main(["--json", str(file)]) == 0
    assert "no CUDA device" in capsys.readouterr().out
    assert not file.exists()
