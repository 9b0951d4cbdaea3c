"""Benchmarks are found by name, whoever brings them, and nothing that is not theirs knows one of them."""

import ast
from pathlib import Path

import pytest

import lmms_manu
from lmms_manu.benchmarks import Benchmark, Metric, Split, Task, benchmarks, get_benchmark, register
from lmms_manu.benchmarks.registry import GROUP, unregister
from lmms_manu.errors import SettingError

ROOT = Path(lmms_manu.__file__).parent
GENERAL = ("methods", "evaluation", "report", "answering", "measuring", "editing", "models", "cli", "benchmarks")
KNOWING = {
    "mllmu": {
        "benchmarks/clear/new_people.py",
        "benchmarks/clear/synthetic.py",
        "cli/dataset_stats.py",
        "cli/make_dataset.py",
        "cli/train_tiny.py",
        "evaluation/demo.py",
    },
    "clear": {"cli/make_dataset.py"},
    "own": {"cli/data.py"},
}
"""What is about a benchmark by its name: its commands, the demonstration, made-up data that shows its people."""
BUILT_IN = list(KNOWING)


class Rivers(Benchmark):
    name = "rivers"
    title = "Rivers"
    splits = (Split("forget", "Forget set", "forget"),)
    metrics = (Metric("right", "Right", "open", "right"),)

    def tasks(self):
        return [Task("rivers", "rivers_forget", "forget", "open", "text", None, "rivers")]


class Contradicting(Rivers):
    def tasks(self):
        return [Task("rivers", "rivers_keep", "keep", "open", "text", None, "rivers")]


@pytest.fixture
def rivers():
    register("rivers", Rivers)
    yield
    unregister("rivers")


def imports(file: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{name.name}" for name in node.names)}
    return found


@pytest.mark.parametrize("name", BUILT_IN)
def test_nothing_general_imports_a_benchmark(name):
    own = f"lmms_manu.benchmarks.{name}"
    files = [file for folder in GENERAL for file in (ROOT / folder).rglob("*.py")]
    files = [file for file in files if not file.is_relative_to(ROOT / "benchmarks" / name)]
    files += (ROOT.parent / "plugins").glob("*.py")
    knowing = {
        str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else file.name
        for file in files
        if any(module == own or module.startswith(f"{own}.") for module in imports(file))
    }
    assert knowing <= KNOWING[name]


def test_a_program_registers_its_own_benchmark(rivers):
    assert [benchmark.name for benchmark in benchmarks()] == [*BUILT_IN, "rivers"]
    assert get_benchmark("rivers").everything(None) == "rivers"


def test_an_unknown_benchmark_is_named_with_those_that_there_are(rivers):
    with pytest.raises(
        SettingError, match=r"benchmark='river' is not allowed: .*mllmu, .*rivers.* Did you mean 'rivers'"
    ):
        get_benchmark("river")


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(SettingError, match="benchmark='mllmu' is taken"):
        register("mllmu", Rivers)


def test_a_benchmark_that_contradicts_itself_is_refused_by_name_and_left_out_elsewhere(caplog):
    register("rivers", Contradicting)
    try:
        with pytest.raises(SettingError, match="split of rivers_keep='keep' is not allowed: choose one of forget"):
            get_benchmark("rivers")
        assert [benchmark.name for benchmark in benchmarks()] == BUILT_IN
        assert "rivers" in caplog.text
    finally:
        unregister("rivers")


def test_an_installed_benchmark_that_cannot_be_imported_costs_nobody_else_anything(install, tmp_path):
    install(tmp_path, {GROUP: {"lost": "no_such_module:Lost"}})
    assert [benchmark.name for benchmark in benchmarks()] == BUILT_IN
    with pytest.raises(SettingError, match=r"benchmark='lost' .* cannot be used: No module named 'no_such_module'"):
        get_benchmark("lost")
