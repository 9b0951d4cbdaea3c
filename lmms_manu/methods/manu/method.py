"""MANU as the registry knows it: its settings, which need no torch, and the edit, which is imported when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.methods.base import EditRecord
from lmms_manu.methods.manu.config import NAME, ManuSettings

if TYPE_CHECKING:
    from lmms_manu.methods.data import UnlearningData
    from lmms_manu.models.loading import Checkpoint


class Manu:
    """The method `manu` of the registry."""

    name = NAME
    settings = (ManuSettings, MeasureSettings)

    def needs_data(self, settings: tuple[Any, ...]) -> bool:
        manu: ManuSettings = settings[0]
        return manu.mask is None and manu.prune_rate > 0 and manu.measured_recipe is not None

    def edit(self, checkpoint: Checkpoint, data: UnlearningData | None, settings: tuple[Any, ...]) -> EditRecord:
        # Imported here: commands that only check arguments would wait seconds for torch and transformers.
        from lmms_manu.methods.manu.edit import edit

        return edit(checkpoint, data, *settings)
