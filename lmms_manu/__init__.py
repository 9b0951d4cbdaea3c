"""Modality-aware neuron unlearning for multimodal models, measured with MLLMU-Bench in lmms-eval.

Importing the package is light: a name is imported when it is asked for. What type checkers see is in `__init__.pyi`.
Every unlearning method is offered under the name of its class; they are found in the registry, not named here.
"""

from __future__ import annotations

from typing import Any

from lmms_manu._version import __version__ as __version__

_PLACES = {
    "Checkpoint": "models.loading",
    "EditRecord": "methods.record",
    "Example": "benchmarks.example",
    "UnlearningData": "methods.data",
    "answer": "public",
    "load": "public",
    "people": "public",
    "read_results": "report.notebook",
    "save": "public",
    "unlearn": "public",
    "wrap": "models.wrapping",
}


def _methods() -> dict[str, str]:
    from lmms_manu.methods.registry import class_names  # what the methods need, which the version needs none of

    return {name: method for name, method in class_names().items() if name not in _PLACES}


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted(["__version__", *_PLACES, *_methods()])
    if name in _PLACES:
        import importlib  # not needed by who only wants the version

        return getattr(importlib.import_module(f"lmms_manu.{_PLACES[name]}"), name)
    # Modules are asked for here too, before they are imported; only a class can be a method's.
    if name[0].isupper() and name in (known := _methods()):
        from lmms_manu.methods.registry import method_class  # as above

        return method_class(known[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(["__all__", "__version__", *_PLACES, *_methods()])
