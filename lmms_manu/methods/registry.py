"""The unlearning methods by name. Adding one is adding a folder and a line here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, get_benchmark
from lmms_manu.errors import one_of
from lmms_manu.methods.base import Method
from lmms_manu.methods.settings import DEFAULT_METHOD, UnlearningSettings
from lmms_manu.settings import Settings

METHODS: Mapping[str, str] = {"manu": "lmms_manu.methods.manu.method:Manu"}
"""Module and class of each method; the module is imported when the method is asked for."""


def get_method(name: str) -> Method:
    """The method of this name.

    Raises:
        SettingError: there is none.
    """
    if name not in METHODS:
        raise one_of("method", name, METHODS)
    module, _, attribute = METHODS[name].partition(":")
    method: Method = getattr(importlib.import_module(module), attribute)()
    return method


def settings_classes(arguments: Mapping[str, Any]) -> tuple[type[Settings], ...]:
    """The settings of the data and of the method that `arguments` choose, for `lmms_manu.settings.from_arguments`.

    Raises:
        SettingError: there is no such method or benchmark.
    """
    data = get_benchmark(str(arguments.get("benchmark", DEFAULT_BENCHMARK))).settings or UnlearningSettings
    return (data, *get_method(str(arguments.get("method", DEFAULT_METHOD))).settings)
