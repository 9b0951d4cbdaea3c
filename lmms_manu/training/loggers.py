"""Where the curves of a training go beside the record: what transformers' `report_to` knows, by name."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from lmms_manu.errors import SettingError, one_of
from lmms_manu.training.settings import TrainingSettings


def logging_callbacks(settings: TrainingSettings) -> list[TrainerCallback]:
    """A callback for each logger that the settings name.

    Raises:
        SettingError: one is unknown, or its package is not installed.
    """
    return [_callback(name) for name in settings.named_loggers]


def _callback(name: str) -> TrainerCallback:
    if name not in INTEGRATION_TO_CALLBACK:
        raise one_of("loggers", name, ("none", *INTEGRATION_TO_CALLBACK))
    kind: type[TrainerCallback] = INTEGRATION_TO_CALLBACK[name]

    class Begins(kind):  # type: ignore[misc, valid-type]  # which of the classes it is nobody knows beforehand
        """The same, with an error of ours where it cannot begin: each package has its own, as for a lacking key."""

        def on_train_begin(self, *words: Any, **more: Any) -> None:
            try:
                super().on_train_begin(*words, **more)
            except Exception as error:
                raise _unusable(name, error) from error

    try:
        return Begins()
    except Exception as error:
        raise _unusable(name, error) from error


def _unusable(name: str, error: Exception) -> SettingError:
    return SettingError(f"loggers={name} cannot be used: {str(error).rstrip('.')}. Set it up, or leave it out.")
