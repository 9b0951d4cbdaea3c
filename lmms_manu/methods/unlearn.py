"""From arguments to an edited model: what the harness's model and the command line share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lmms_manu.measuring.agreement import check_agreement
from lmms_manu.methods.base import BEFORE, LOADED_FROM, EditRecord, Method
from lmms_manu.methods.data import UnlearningData, load_data
from lmms_manu.methods.export import record_beside
from lmms_manu.methods.registry import get_method, settings_classes
from lmms_manu.methods.settings import UnlearningSettings
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import Settings, from_arguments


@dataclass(frozen=True)
class Plan:
    """A checked request for an edited model; no weight is read yet.

    Args:
        model: which checkpoint.
        unlearning: who is to be forgotten.
        method: how.
        method_settings: one instance for each of the method's settings classes.
        data: the samples, None where the method reads none.
        others: an instance for each further settings class that was asked for.
    """

    model: ModelSettings
    unlearning: UnlearningSettings
    method: Method
    method_settings: tuple[Any, ...]
    data: UnlearningData | None
    others: tuple[Any, ...] = ()

    def load(self) -> tuple[Checkpoint, EditRecord]:
        """Loads the checkpoint and edits it.

        Raises:
            ModelError: it cannot be loaded, measured or edited.
        """
        checkpoint = load_checkpoint(self.model)
        return checkpoint, self.edit(checkpoint)

    def edit(self, checkpoint: Checkpoint) -> EditRecord:
        """Edits a checkpoint that was loaded by the same settings.

        Returns:
            The record of the edit; that of an earlier one where the checkpoint was written edited and stays as it is.

        Raises:
            ModelError: it cannot be measured or edited.
        """
        self._agree(checkpoint)
        record = self.method.edit(checkpoint, self.data, self.method_settings)
        before = record_beside(checkpoint)
        if before is None:
            return record
        if record.is_edited:
            return replace(record, details={**record.details, BEFORE: before.as_dict()})
        return replace(before, details={**before.details, LOADED_FROM: checkpoint.name})

    def _agree(self, checkpoint: Checkpoint) -> None:
        """Ends the run where the processes would not make the same edit, of the same model."""
        parts = self.data.passages(PromptEncoder(checkpoint)) if self.data is not None else None
        made = (self.unlearning, *self.method_settings)
        check_agreement(checkpoint, parts, {name: value for one in made for name, value in one.as_dict().items()})


def plan(arguments: Mapping[str, Any], *others: type[Settings]) -> Plan:
    """Checks arguments and reads the people's data.

    Args:
        arguments: names and values of the settings of model, data and method.
        others: further settings classes that take arguments from the same table.

    Raises:
        SettingError: an unknown argument or a value that is not allowed.
        DataError: the dataset cannot be read, or lacks the people asked for.
    """
    of_data_and_method = settings_classes(arguments)
    made = from_arguments(arguments, ModelSettings, *of_data_and_method, *others)
    model, unlearning = made[0], made[1]
    first_other = 1 + len(of_data_and_method)
    method, method_settings = get_method(unlearning.method), made[2:first_other]
    data = load_data(unlearning) if method.needs_data(method_settings) else None
    return Plan(model, unlearning, method, method_settings, data, made[first_other:])
