"""What the settings of every training that forgets have in common."""

from __future__ import annotations

import dataclasses
from typing import Any

from lmms_manu.methods.control import CONTROL_HELP
from lmms_manu.settings import setting
from lmms_manu.training.settings import TrainingSettings

_CONTROL = "random_control"


@dataclasses.dataclass(frozen=True)
class ForgettingSettings(TrainingSettings):
    """A training that forgets people, or in a control as many others."""

    random_control: bool = setting(False, CONTROL_HELP)

    def deviations(self) -> dict[str, Any]:
        """As of every training; that it is a control stands elsewhere."""
        return {name: value for name, value in super().deviations().items() if name != _CONTROL}
