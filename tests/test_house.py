"""Who may know whom: a method is a folder and a line, and nothing else in the package knows its name or terms."""

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
