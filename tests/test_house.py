"""Who may know whom: a method is a folder and a line, and nothing else in the package knows its name or terms."""

import ast
import re
from pathlib import Path

import pytest

from lmms_manu.methods.registry import METHODS, method_class

PACKAGE = Path(__file__).parents[1]
FOLDERS = ("lmms_manu", "plugins", "tasks")

# The demonstration shows methods, and published tables name them; the default is the command that users type.
SHOWS_METHODS = ("lmms_manu/evaluation/demo", "lmms_manu/report/published.py")
KNOWS_NAMES = ("lmms_manu/methods/registry.py", "lmms_manu/methods/settings.py")


def code():
    """Every module of the package with its path and text, without docstrings, comments and examples of commands."""
    for folder in FOLDERS:
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            place = path.relative_to(PACKAGE).as_posix()
            if not place.startswith(SHOWS_METHODS):
                text = path.read_text(encoding="utf-8")
                yield place, re.sub(r'"""(?:.|\n)*?"""|#.*', "", text)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_only_its_folder_and_the_registry_know_a_method(name):
    module = METHODS[name].partition(":")[0]
    own = module.replace(".", "/").rpartition("/")[0] if module.endswith(".method") else module.replace(".", "/")
    package = own.replace("/", ".")
    for place, text in code():
        if place.startswith(own) or place in KNOWS_NAMES:
            continue
        assert not re.search(rf"\b{re.escape(package)}\b", text), f"{place} imports the method {name}"
        assert method_class(name).__name__ not in re.findall(r"\b[A-Z]\w+", text), f"{place} names the class of {name}"


def test_no_file_outside_manu_knows_its_settings_or_terms():
    terms = re.compile(r"ManuSettings|random_like|measured_recipe|\bRECIPES\b|\bw_(?:abs|freq|var|rms)\b")
    for place, text in code():
        if not place.startswith("lmms_manu/methods/manu/"):
            assert not terms.findall(text), f"{place} knows {terms.findall(text)}"


# From the roof down: a room imports what stands below it, never what stands above or beside it.
FLOORS = (
    "cli",
    "tasks",
    "plugins",
    "evaluation",
    "report",
    "attacks",
    "probing",
    "evidence",
    "public",
    "methods",
    "embedded",
    "benchmarks",
    "costs",
    "training",
    "editing",
    "answering",
    "measuring",
    "models",
    "ahead",
    "terminal",
    "images",
    "kept",
    "variables",
    "memory",
    "likelihood_metrics",
    "settings",
    "versions",
    "files",
    "yaml_files",
    "sources",
    "signals",
    "tracking",
    "names",
    "lazy",
    "errors",
    "_version",
)


def imports(path):
    """The modules of the package that a file imports, as far as their rooms."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".") for alias in node.names if alias.name.startswith("lmms_manu."))
        elif isinstance(node, ast.ImportFrom) and node.module == "lmms_manu":
            yield from (("lmms_manu", alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lmms_manu."):
            yield node.module.split(".")


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_knows_only_the_rooms_below_it(room):
    place = PACKAGE / (room if room in ("tasks", "plugins") else f"lmms_manu/{room}")
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    for path in files:
        for _, other, *_rest in imports(path):
            if other == room:
                continue
            assert other in FLOORS, f"{path} imports {other}, whose floor is not told in FLOORS"
            assert FLOORS.index(other) > FLOORS.index(room), f"{path} imports {other}, which stands above {room}"


def test_every_room_has_a_floor():
    found = {path.stem for path in (PACKAGE / "lmms_manu").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert found - {"__init__", "__main__", "__pycache__"} == {*FLOORS}
