"""Modality swap: what was forgotten with the picture, asked by name, and the reverse."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping

from lmms_manu.attacks.base import Attack, Target, Variant
from lmms_manu.methods.data import UnlearningData
from lmms_manu.names import MODALITIES


class ModalitySwap(Attack):
    """The attack `modality`: the questions of one modality alone; the difference is the modality gap."""

    name = "modality"

    def variants(self) -> Mapping[str, Variant]:
        return {modality: functools.partial(_alone, modality=modality) for modality in MODALITIES}


@contextlib.contextmanager
def _alone(target: Target, *, modality: str) -> Iterator[Target]:
    data = target.data
    forget, retain = (
        {name: some for name, some in part.items() if name == modality} for part in (data.forget, data.retain)
    )
    yield dataclasses.replace(target, data=UnlearningData(forget, retain, data.settings))
