"""The attacks by name. Adding one is adding a file and a line here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence

from lmms_manu.attacks.base import Attack
from lmms_manu.errors import one_of

ATTACKS: Mapping[str, str] = {
    "quantisation": "lmms_manu.attacks.quantisation:Quantisation",
    "prompts": "lmms_manu.attacks.prompts:Prompts",
    "pictures": "lmms_manu.attacks.pictures:Pictures",
    "modality": "lmms_manu.attacks.modality:ModalitySwap",
    "membership": "lmms_manu.attacks.membership:Membership",
    "projector": "lmms_manu.attacks.projector:Projector",
    "relearning": "lmms_manu.attacks.relearning:Relearning",
}
"""Module and class of each attack."""


def attacks(names: Sequence[str]) -> list[Attack]:
    """The attacks of these names, all of them if there are none.

    Raises:
        SettingError: there is no attack of a name.
    """
    for name in names:
        if name not in ATTACKS:
            raise one_of("suite", name, ATTACKS)
    found = []
    for name in names or ATTACKS:
        module, _, attribute = ATTACKS[name].partition(":")
        found.append(getattr(importlib.import_module(module), attribute)())
    return found
