"""A package beside this one that brings a benchmark, as an installation of it would be found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmms_manu.benchmarks import registry
from lmms_manu.methods.registry import ENTRY_POINTS, _of_packages, method_class


def forget_installed() -> None:
    registry.forget_installed()
    _of_packages.cache_clear()
    method_class.cache_clear()


TOWNS = Path(__file__).parent / "towns"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Makes entry points of benchmarks known, by name, in this process and in those that it starts."""

    def known(folder: Path, groups: dict[str, dict[str, str]]) -> None:
        metadata = tmp_path / "installed" / "guests-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: guests\nVersion: 1.0\n")
        lines = []
        for group, entries in groups.items():
            lines += [f"[{group}]", *(f"{name} = {place}" for name, place in entries.items())]
        (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for place in (str(folder), str(metadata.parent)):
            monkeypatch.syspath_prepend(place)
            monkeypatch.setenv("PYTHONPATH", place, prepend=":")
        forget_installed()

    before = set(sys.modules)
    yield known
    monkeypatch.undo()
    forget_installed()
    for name in set(sys.modules) - before:
        if name.startswith(("towns", "ascent")):
            del sys.modules[name]


@pytest.fixture
def towns(install) -> None:
    """The benchmark of the towns, and a method that trains."""
    benchmarks, methods = {"towns": "towns_benchmark:Towns"}, {"ascent": "ascent_method:Ascent"}
    install(TOWNS, {registry.GROUP: benchmarks, ENTRY_POINTS: methods})
