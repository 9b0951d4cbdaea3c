"""The method `none`: the model as it is, on the same path as every edited one; the baseline of every comparison."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from lmms_manu.methods.base import Edit, Method
from lmms_manu.methods.record import UNEDITED
from lmms_manu.settings import Settings

if TYPE_CHECKING:
    from lmms_manu.measuring.parts import Parts
    from lmms_manu.models.loading import Checkpoint


@dataclasses.dataclass(frozen=True)
class UneditedSettings(Settings):
    """The model as it is has no settings."""


class Unedited(Method[UneditedSettings]):
    """The method `none` of the registry."""

    name = UNEDITED
    config_class = UneditedSettings

    def changes_nothing(self) -> bool:
        return True

    def edit(self, checkpoint: Checkpoint, examples: Parts | None) -> Edit:
        return Edit(None)
