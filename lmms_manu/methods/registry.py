"""The unlearning methods by name. Adding one is adding a folder and a line here.

A package of its own adds one through the entry-point group `lmms_manu.methods`, whose entries are of the same form.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, get_benchmark
from lmms_manu.errors import one_of
from lmms_manu.methods.base import Method
from lmms_manu.methods.settings import DEFAULT_METHOD, UnlearningSettings
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import Settings

ENTRY_POINTS = "lmms_manu.methods"

METHODS: Mapping[str, str] = {
    "none": "lmms_manu.methods.unedited:Unedited",
    "manu": "lmms_manu.methods.manu.method:Manu",
    "erase": "lmms_manu.methods.erase.method:Erase",
    "kvw": "lmms_manu.methods.kvw.method:Kvw",
    "mip_editor": "lmms_manu.methods.mip_editor.method:MipEditor",
    "prompting": "lmms_manu.methods.prompting.method:Prompting",
    "finetune": "lmms_manu.methods.finetune.method:Finetune",
    "ga": "lmms_manu.methods.gradient.method:GradientAscent",
    "grad_diff": "lmms_manu.methods.gradient.method:GradientDifference",
    "kl": "lmms_manu.methods.gradient.method:KlMinimisation",
    "npo": "lmms_manu.methods.gradient.method:Npo",
    "simnpo": "lmms_manu.methods.gradient.method:SimNpo",
    "idk": "lmms_manu.methods.gradient.method:Idk",
    "rmu": "lmms_manu.methods.gradient.method:Rmu",
    "mmunlearner": "lmms_manu.methods.mmunlearner.method:MMUnlearner",
    "undial": "lmms_manu.methods.gradient.method:Undial",
}
"""Module and class of each method; the module is imported when the method is asked for."""

SHARED: tuple[type[Settings], ...] = (ModelSettings, UnlearningSettings, AnsweringSettings)
"""Settings that every method shares an argument table with; no method may declare a field of theirs."""


def method_names() -> tuple[str, ...]:
    """The names of all methods, those of other packages included."""
    return (*METHODS, *(name for name in _of_packages() if name not in METHODS))


@functools.cache
def method_class(name: str) -> type[Method[Any]]:
    """The class of the method of this name.

    Raises:
        SettingError: there is none.
        ValueError: it declares an argument that is taken, or calls itself otherwise.
    """
    place = METHODS.get(name) or _of_packages().get(name)
    if place is None:
        raise one_of("method", name, method_names())
    module, _, attribute = place.partition(":")
    found: type[Method[Any]] = getattr(importlib.import_module(module), attribute)
    if found.name != name:
        raise ValueError(f"The method {name!r} ({place}) calls itself {found.name!r}.")
    check_arguments_of(found)
    return found


def class_names() -> Mapping[str, str]:
    """The names of all methods by the names of their classes; none of them is imported."""
    places = {name: METHODS.get(name) or _of_packages()[name] for name in method_names()}
    return {place.partition(":")[2]: name for name, place in places.items()}


def make_method(name: str, config: Settings) -> Method[Any]:
    """The method of this name with its settings."""
    return method_class(name)(config)


def check_arguments_of(method: type[Method[Any]]) -> None:
    """Refuses a method whose settings would take arguments that mean something else.

    Raises:
        ValueError: naming the fields and whose they are.
    """
    for shared in SHARED:
        if taken := sorted({*method.config_class.names()} & {*shared.names()}):
            raise ValueError(
                f"The method {method.name!r} declares {', '.join(taken)}, which {shared.__name__} declares already: "
                "an argument means one thing. Name the method's own otherwise."
            )


def settings_classes(arguments: Mapping[str, Any]) -> tuple[type[Settings], type[Settings]]:
    """The settings of the data and of the method that `arguments` choose, for `lmms_manu.settings.from_arguments`.

    Raises:
        SettingError: there is no such method or benchmark.
    """
    data = get_benchmark(str(arguments.get("benchmark", DEFAULT_BENCHMARK)).strip()).settings or UnlearningSettings
    return data, method_class(str(arguments.get("method", DEFAULT_METHOD)).strip()).config_class


@functools.cache
def _of_packages() -> dict[str, str]:
    """The methods that other packages have installed."""
    return {entry.name: entry.value for entry in metadata.entry_points(group=ENTRY_POINTS)}
