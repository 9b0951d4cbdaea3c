"""Settings of erase."""

from __future__ import annotations

import dataclasses
from typing import Literal

from lmms_manu.errors import SettingError
from lmms_manu.measuring.settings import PassSettings
from lmms_manu.methods.control import CONTROL_HELP
from lmms_manu.methods.places import Towers, layers_chosen
from lmms_manu.settings import setting

NAME = "erase"

# Above it nothing is left of the change in any of the types that weights have.
_LARGEST_KEEP = 1e9


@dataclasses.dataclass(frozen=True)
class EraseSettings(PassSettings):
    """What is erased, and what it may cost the others.

    Raises:
        SettingError: a value that its field does not allow, or two that exclude each other.
    """

    keep: float = setting(
        4.0,
        "What the outputs for those to retain count beside those to forget; the less, the more is forgotten.",
        minimum=0,
        maximum=_LARGEST_KEEP,
    )
    ridge: float = setting(
        0.01,
        "What the change itself counts, as a share of the neurons' mean square on the retain set; keeps the solution "
        "stable where there are fewer observations than neurons.",
        minimum=0,
        maximum=_LARGEST_KEEP,
    )
    directions: int = setting(
        0,
        "Along how many directions of a block's inputs is erased at most: those in which those to forget stand out "
        "most from the others; 0 for all.",
        minimum=0,
    )
    target: Literal["zero", "retain_mean"] = setting(
        "zero", "What the outputs for those to forget become: nothing, or the mean output for those to retain."
    )
    towers: Towers = setting("both", "The towers that are edited.")
    layers: str = setting("all", "The layers of each tower that are edited: `all`, `last4`, or such as `0-3+8`.")
    memory_gib: float = setting(
        16.0,
        "Memory for the statistics of the layers that are measured at a time; a single layer may exceed it.",
        minimum=0.01,
        effect="rounding",
    )
    random_control: bool = setting(False, CONTROL_HELP)
    seed: int = setting(0, "Seed of the control's draw.", minimum=-(2**63), maximum=2**63 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        layers_chosen(self.layers, depth=0)
        if self.seed and not self.random_control:
            raise SettingError(f"seed={self.seed} has no effect without random_control=True: nothing else is drawn.")
