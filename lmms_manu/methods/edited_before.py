"""A checkpoint that was written edited is not edited once more because nobody thought of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmms_manu.errors import SettingError
from lmms_manu.methods.record import UNEDITED, EditRecord
from lmms_manu.methods.settings import DEFAULT_METHOD
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import Settings


def refuse_silent_edit(arguments: Mapping[str, Any], model: ModelSettings, config: type[Settings]) -> None:
    """Refuses to edit an edited checkpoint by a method, in settings, that nobody named.

    Args:
        arguments: what was given.
        model: the checkpoint.
        config: the settings of the method.

    Raises:
        SettingError: neither a method, nor a setting of it, nor a finished edit was given.
    """
    if {name.strip() for name in arguments} & {"method", "edit", *config.names()}:
        return
    written = EditRecord.of_checkpoint(model.checkpoint)
    if written is not None:
        raise SettingError(
            f"pretrained={model.checkpoint!r} was written edited ({written.label}), and nothing says what to do with "
            f"it: method={UNEDITED} takes it as it is, method={DEFAULT_METHOD} (or another) edits it once more."
        )
