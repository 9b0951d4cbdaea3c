"""The attacks by name. Adding one is adding a file and a line here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from lmms_manu.attacks.base import Attack
from lmms_manu.errors import one_of

ATTACKS: Mapping[str, str] = {
    "quantisation": "lmms_manu.attacks.quantisation:Quantisation",
    "prompts": "lmms_manu.attacks.prompts:Prompts",
    "choices": "lmms_manu.attacks.choices:Choices",
    "pictures": "lmms_manu.attacks.pictures:Pictures",
    "modality": "lmms_manu.attacks.modality:ModalitySwap",
    "membership": "lmms_manu.attacks.membership:Membership",
    "projector": "lmms_manu.attacks.projector:Projector",
    "relearning": "lmms_manu.attacks.relearning:Relearning",
}
"""Module and class of each attack."""


def attacks(names: Sequence[str], settings: Mapping[str, Mapping[str, Any]] | None = None) -> list[Attack]:
    """The attacks of these names, all of them if there are none.

    Args:
        names: of the attacks.
        settings: by attack, settings of its own.

    Raises:
        SettingError: there is no attack of a name, or it has no such setting.
    """
    given = settings or {}
    for name in (*names, *given):
        if name not in ATTACKS:
            raise one_of("suite", name, ATTACKS)
    found = []
    for name in names or ATTACKS:
        module, _, attribute = ATTACKS[name].partition(":")
        attack: Attack = getattr(importlib.import_module(module), attribute)()
        found.append(attack.configured(given[name]) if name in given else attack)
    return found
