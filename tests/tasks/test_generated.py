"""The task files are what generate.py writes, and the harness knows every name."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

from lmms_manu.benchmarks.mllmu.names import (
    ACCOUNTS,
    COLUMNS,
    LIKELIHOODS,
    METRICS,
    RATIOS,
    Leaf,
    everything_name,
    group_name,
    leaves,
    likelihood_leaves,
)
from lmms_manu.plugins.registration import tasks_folder

FOLDER = Path(tasks_folder()) / "mllmu"


def script(folder: Path) -> Any:
    spec: Any = importlib.util.spec_from_file_location(f"generate_{folder.name}", folder / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generate():
    return script(FOLDER)


@pytest.mark.parametrize("folder", sorted(FOLDER.parent.glob("*/generate.py")), ids=lambda file: file.parent.name)
def test_nothing_has_drifted_from_the_templates(folder, capsys):
    generate = script(folder.parent)
    assert generate.drift() == []
    assert generate.main(["--check"]) == 0


def test_a_file_that_was_edited_added_or_lost_is_seen_and_mended(generate, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    assert generate.main([]) == 0
    assert generate.drift() == []
    (tmp_path / "mllmu_forget.yaml").write_text("group: mine\n")
    (tmp_path / "mllmu_retain.yaml").unlink()
    (tmp_path / "old.yaml").write_text("group: old\n")
    assert generate.drift() == ["mllmu_forget.yaml", "mllmu_retain.yaml", "old.yaml"]
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    assert generate.drift() == []


def test_the_harness_knows_every_leaf_and_group(task_manager):
    known = {name for name in task_manager.all_tasks if name.startswith("mllmu")}
    every = [*leaves(), *likelihood_leaves()]
    everything = {everything_name(ratio) + ending for ratio in RATIOS for ending in ("", "_likelihood")}
    assert known == {leaf.name for leaf in every} | {leaf.group for leaf in every} | everything


def test_every_leaf_and_group_carries_a_version():
    for path in FOLDER.glob("*.yaml"):
        content = yaml.load(path.read_text(), Loader=TagIgnorer)
        assert content["metadata"]["version"] == 2.0, path


def test_the_readme_names_every_metric_split_and_group():
    readme = (FOLDER / "README.md").read_text()
    names = {*ACCOUNTS, *COLUMNS, *LIKELIHOODS, *(metric for metrics in METRICS.values() for metric in metrics)}
    names |= {group_name(leaf.split, leaf.ratio) for leaf in leaves()} | {everything_name(ratio) for ratio in RATIOS}
    names.add(Leaf("forget", 10, "cloze", "text").name)
    assert [name for name in sorted(names) if f"`{name}`" not in readme] == []


class TagIgnorer(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Reads `!function` as nothing."""


TagIgnorer.add_constructor("!function", lambda loader, node: None)
