"""From arguments to an edited model: the frame around every method, for the harness, the command line and Python.

plan
    check the arguments, read the people's data         (before any weight is read)
load, edit
    render the examples for the model
    with a budget: try the method's strengths on validation people, and take one
    an edit that was finished before, under the same determinants: read it
    else the method finds the change; all processes must have found the same; keep it
    apply the change, note that the weights are others, write the record
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping
from typing import Any

from lmms_manu.editing.changes import Change
from lmms_manu.errors import SettingError
from lmms_manu.files import new_folder
from lmms_manu.measuring.agreement import check_agreement
from lmms_manu.measuring.fingerprints import edits, note_edits
from lmms_manu.measuring.parts import Parts
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.rendered import digest_of_examples
from lmms_manu.methods.base import Edit, Method
from lmms_manu.methods.budget import candidates, check_people, choose
from lmms_manu.methods.data import BenchmarkData, UnlearningData, load_data
from lmms_manu.methods.determinants import answer_determinants
from lmms_manu.methods.edited_before import refuse_silent_edit
from lmms_manu.methods.export import record_beside
from lmms_manu.methods.finished import FinishedEdits, save_edit
from lmms_manu.methods.given_edits import load_edit
from lmms_manu.methods.record import BEFORE, LOADED_FROM, PARAMETERS, UNEDITED, EditRecord
from lmms_manu.methods.registry import make_method, settings_classes
from lmms_manu.methods.settings import UnlearningSettings
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import Settings, from_arguments
from lmms_manu.versions import library_versions


@dataclasses.dataclass(frozen=True)
class UnlearningRun:
    """A checked request for an edited model; no weight is read yet.

    Args:
        model: which checkpoint.
        unlearning: who is to be forgotten.
        method: how, with its settings.
        data: the samples, None where the method reads none.
        others: an instance for each further settings class that was asked for.
    """

    model: ModelSettings
    unlearning: UnlearningSettings
    method: Method[Any]
    data: UnlearningData | None
    others: tuple[Any, ...] = ()

    def load(self) -> tuple[Checkpoint, EditRecord]:
        """Loads the checkpoint and edits it.

        Raises:
            ModelError: it cannot be loaded, measured or edited.
        """
        return self.edit(load_checkpoint(self.model))

    def edit(self, checkpoint: Checkpoint, *, export: bool = False) -> tuple[Checkpoint, EditRecord]:
        """Edits a checkpoint that was loaded by the same settings.

        Args:
            checkpoint: the model; its weights are changed in place.
            export: whether it will be written as a checkpoint, which some edits do not allow.

        Returns:
            The checkpoint to go on with, and the record of the edit; that of an earlier one where the checkpoint was
            written edited and stays as it is.

        Raises:
            ModelError: it cannot be measured or edited.
        """
        return self.apply(checkpoint, *self.find(checkpoint, export=export))

    def apply(self, checkpoint: Checkpoint, change: Change | None, record: EditRecord) -> tuple[Checkpoint, EditRecord]:
        """Makes a change that `find` has found; returns as `edit` does."""
        before = record_beside(checkpoint)
        if change is not None:
            earlier = edits(checkpoint.model)
            checkpoint = change.apply(checkpoint)
            note_edits(checkpoint.model, *earlier, change.fingerprint)
        if before is None:
            return checkpoint, record
        if record.edited:
            details = {**record.details, BEFORE: before.as_dict()}
            return checkpoint, dataclasses.replace(record, details=details)
        return checkpoint, dataclasses.replace(before, details={**before.details, LOADED_FROM: checkpoint.name})

    def find(self, checkpoint: Checkpoint, *, export: bool = False) -> tuple[Change | None, EditRecord]:
        """The change that the method makes in this checkpoint, not applied yet, and its record."""
        examples = self.data.rendered(PromptEncoder(checkpoint)) if self.data is not None else None
        check_agreement(checkpoint, examples, {**self.unlearning.as_dict(), **self.method.config.as_dict()})
        if self.unlearning.edit is not None:
            return load_edit(self.unlearning.edit, checkpoint)
        if self.method.changes_nothing():
            details = _of_loading(checkpoint)
            return None, EditRecord(UNEDITED, checkpoint.name, versions=library_versions(), details=details)
        chosen: dict[str, Any] = {}
        run = self
        if self.unlearning.retain_budget is not None and examples is not None:
            method, chosen = choose(
                self.method,
                self.unlearning,
                examples,
                checkpoint,
                lambda one: self._with(one)._made(checkpoint, examples, export=export),
            )
            run = self._with(method)
        change, record = run._made(checkpoint, examples, export=export)
        record = dataclasses.replace(record, details={**record.details, **chosen})
        if change is not None and Processes.current().first:
            run.method.keep(change, record.as_dict())
            if self.unlearning.save_edit is not None:
                save_edit(new_folder("save_edit", self.unlearning.save_edit), change, record)
        return change, record

    def _with(self, method: Method[Any]) -> UnlearningRun:
        return dataclasses.replace(self, method=method)

    def _made(
        self, checkpoint: Checkpoint, examples: Parts | None, *, export: bool
    ) -> tuple[Change | None, EditRecord]:
        """The change, found by the method or read from what was kept, and its record."""
        self.method.check_loaded(checkpoint, export=export)
        processes = Processes.current()
        before = edits(checkpoint.model)
        determinants = self._determinants(checkpoint, examples) if self.unlearning.edit_cache else None
        known = FinishedEdits.default().load(determinants) if determinants is not None else None
        # Nodes may have caches of their own: what is not everywhere is made anew everywhere.
        if all(processes.gather(known is not None)) and known is not None:
            change, record = known
            record = dataclasses.replace(record, checkpoint=checkpoint.name)
        else:
            made = self.method.edit(checkpoint, examples)
            # Rounds of a method may have noted edits of their own, all of which are in what it returns.
            note_edits(checkpoint.model, *before)
            processes.check_same(made.change.fingerprint if made.change else "nothing", "the edit")
            record = self._record(checkpoint, made, examples)
            if made.change is None:
                return None, record
            change = made.change
            if determinants is not None and int(os.environ.get("LOCAL_RANK") or 0) == 0:
                FinishedEdits.default().store(determinants, change, record)
        return change, record

    def _record(self, checkpoint: Checkpoint, made: Edit, examples: Parts | None) -> EditRecord:
        return EditRecord(
            method=self.method.name,
            checkpoint=checkpoint.name,
            change=made.change.kind if made.change is not None else None,
            variant=self.method.variant() if made.variant is None else made.variant,
            units=self.method.units,
            strength=self.method.strength,
            fingerprint=made.change.fingerprint if made.change is not None else None,
            forgotten=self._forgotten() if made.forgotten is None else made.forgotten,
            samples={str(part): len(own) for part, own in (examples or {}).items()},
            description=self.method.description(),
            counts=made.counts,
            unit=made.unit,
            seconds={stage: round(seconds, 3) for stage, seconds in made.seconds.items()},
            settings=self._settings(checkpoint),
            versions=library_versions(),
            details={
                **made.details,
                **_of_loading(checkpoint),
                "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            },
        )

    def _forgotten(self) -> dict[str, str | int]:
        return self.data.forgotten() if self.data is not None else {}

    def _settings(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Every setting that the edit may depend on, by name."""
        config = self.method.config
        nothing = {*config.names_with("nothing"), *self.unlearning.names_with("nothing")}
        given = {**checkpoint.settings.as_dict(), **config.as_dict()}
        if self.data is not None and self.data.settings is not None:
            given = {**checkpoint.settings.as_dict(), **self.unlearning.as_dict(), **config.as_dict()}
        return {name: value for name, value in given.items() if name not in nothing}

    def _determinants(self, checkpoint: Checkpoint, examples: Parts | None) -> dict[str, Any] | None:
        """Everything that the edit depends on; None where the weights cannot be told."""
        of_model = answer_determinants(checkpoint)
        if of_model is None:
            return None
        config = self.method.config
        nothing = config.names_with("nothing")
        return {
            "method": self.method.name,
            "settings": {name: value for name, value in config.as_dict().items() if name not in nothing},
            "blocks": checkpoint.settings.as_dict().get("mlp_blocks"),
            "examples": {str(part): digest_of_examples(own) for part, own in (examples or {}).items()},
            **of_model,
        }


def plan(arguments: Mapping[str, Any], *others: type[Settings], export: bool = False) -> UnlearningRun:
    """Checks arguments and reads the people's data.

    Args:
        arguments: names and values of the settings of model, data and method.
        others: further settings classes that take arguments from the same table.
        export: whether the edited model is to be written as a checkpoint.

    Raises:
        SettingError: an unknown argument or a value that is not allowed.
        DataError: the dataset cannot be read, or lacks the people asked for.
    """
    of_data, of_method = settings_classes(arguments)
    model, unlearning, config, *made = from_arguments(arguments, ModelSettings, of_data, of_method, *others)
    method = make_method(unlearning.method, config)
    if unlearning.save_edit is not None:
        new_folder("save_edit", unlearning.save_edit)
    if unlearning.edit is not None:
        _check_alone(arguments, unlearning, of_method)
        return UnlearningRun(model, unlearning, method, None, tuple(made))
    refuse_silent_edit(arguments, model, of_method)
    method.check(model, export=export)
    if unlearning.retain_budget is not None:
        given = method.strength in {name.strip() for name in arguments}
        for one in candidates(method, unlearning, given=given).values():
            one.check(model, export=export)
    data = load_data(unlearning, method.retain_samples()) if method.needs_data() else None
    if data is not None:
        method.check_data(data)
    if unlearning.retain_budget is not None:
        check_people(data)
    return UnlearningRun(model, unlearning, method, data, tuple(made))


def plan_for(
    checkpoint: Checkpoint,
    data: UnlearningData | BenchmarkData | None,
    method: Method[Any],
    *,
    edit_cache: bool = True,
) -> UnlearningRun:
    """Checks a request for the edit of a model that is loaded, and reads the people's data.

    Raises:
        SettingError: settings that cannot work, or a method that needs data without any.
        DataError: the dataset cannot be read, or lacks the people asked for.
    """
    method.check(checkpoint.settings, export=False)
    if method.needs_data() and data is None:
        raise SettingError(
            f"method={method.name}: data=None names nobody to forget; give the data of a benchmark or own."
        )
    if not method.needs_data() or data is None:
        settings = UnlearningSettings(method=method.name, edit_cache=edit_cache)
        return UnlearningRun(checkpoint.settings, settings, method, None)
    read = data.load(method.retain_samples()) if isinstance(data, BenchmarkData) else data
    method.check_data(read)
    chosen = read.settings or UnlearningSettings()
    if chosen.retain_budget is not None:
        check_people(read)
    settings = dataclasses.replace(chosen, method=method.name, edit_cache=edit_cache and chosen.edit_cache)
    return UnlearningRun(checkpoint.settings, settings, method, read)


def _of_loading(checkpoint: Checkpoint) -> dict[str, Any]:
    """What is worth recording of how the checkpoint was loaded: its size, an adapter, a type that nobody asked for."""
    adapter = {} if checkpoint.adapter is None else {"adapter": dataclasses.asdict(checkpoint.adapter)}
    dtype = {"dtype": "stored as float32, loaded as bfloat16"} if checkpoint.narrowed else {}
    return {PARAMETERS: checkpoint.model.num_parameters(), **adapter, **dtype}


def _check_alone(arguments: Mapping[str, Any], unlearning: UnlearningSettings, config: type[Settings]) -> None:
    """Refuses settings of a method beside a finished edit, which says all of it."""
    names = {name.strip() for name in arguments}
    if idle := sorted(names & {*config.names(), "method"}):
        raise SettingError(
            f"{', '.join(idle)} would have no effect beside edit={unlearning.edit!r}, which is finished: leave "
            f"{'them' if len(idle) > 1 else 'it'} out, or the edit."
        )
