"""Unlearning methods: each a folder with its settings, its arithmetic, and a class that edits a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmms_manu.lazy import lazily

if TYPE_CHECKING:
    from lmms_manu.methods.base import Edit, Method
    from lmms_manu.methods.data import BenchmarkData, UnlearningData, load_data
    from lmms_manu.methods.export import write_checkpoint
    from lmms_manu.methods.given_edits import load_edit
    from lmms_manu.methods.record import EditRecord
    from lmms_manu.methods.registry import make_method, method_class, method_names
    from lmms_manu.methods.settings import UnlearningSettings
    from lmms_manu.methods.unlearn import UnlearningRun, plan

__all__ = [
    "BenchmarkData",
    "Edit",
    "EditRecord",
    "Method",
    "UnlearningData",
    "UnlearningRun",
    "UnlearningSettings",
    "load_data",
    "load_edit",
    "make_method",
    "method_class",
    "method_names",
    "plan",
    "write_checkpoint",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "BenchmarkData": "lmms_manu.methods.data",
        "Edit": "lmms_manu.methods.base",
        "EditRecord": "lmms_manu.methods.record",
        "Method": "lmms_manu.methods.base",
        "UnlearningRun": "lmms_manu.methods.unlearn",
        "UnlearningData": "lmms_manu.methods.data",
        "UnlearningSettings": "lmms_manu.methods.settings",
        "load_data": "lmms_manu.methods.data",
        "load_edit": "lmms_manu.methods.given_edits",
        "make_method": "lmms_manu.methods.registry",
        "method_class": "lmms_manu.methods.registry",
        "method_names": "lmms_manu.methods.registry",
        "plan": "lmms_manu.methods.unlearn",
        "write_checkpoint": "lmms_manu.methods.export",
    },
)
