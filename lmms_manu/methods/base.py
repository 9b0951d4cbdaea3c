"""What an unlearning method is: a class that turns a loaded model and examples of two sets into a change of the model.

Whoever writes a method says what it does and nothing else. The frame around it (`lmms_manu.methods.unlearn`) reads the
data, checks that all processes agree, applies the change in each of them, keeps it for the next start, tells the caches
that the weights are others, and writes the record.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar

from rich.table import Table

from lmms_manu.errors import DataError
from lmms_manu.methods.record import EditRecord, Value
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import Settings, from_arguments

if TYPE_CHECKING:  # torch and transformers, which checking arguments needs none of
    from lmms_manu.costs.demands import Demands, SampleCounts
    from lmms_manu.costs.sizes import ModelSizes
    from lmms_manu.editing.changes import Change
    from lmms_manu.measuring.parts import Parts
    from lmms_manu.methods.data import UnlearningData
    from lmms_manu.models.loading import Checkpoint

S = TypeVar("S", bound=Settings)


class Inspection(Protocol):
    """What a method shows of a file of its own, such as a mask or statistics."""

    @property
    def is_decided(self) -> bool:
        """Whether the file says all, so that the method's settings have nothing to decide."""

    def tables(self) -> Iterator[Table]:
        """What there is to read."""


@dataclasses.dataclass(frozen=True)
class Edit:
    """What a method did.

    Args:
        change: what is to be changed in the model; None if nothing is. The frame applies it, also in models that the
            method never saw, so it has to say everything.
        counts: for each kind of part how many are changed and how many there are; for people.
        unit: what `counts` counts.
        seconds: what each stage took.
        variant: what tells the run apart, where the method's own `variant()` does not say it.
        forgotten: whom the model was made to forget, where that is not what the data says.
        details: what else there is to record, as far as JSON can hold it.
    """

    change: Change | None
    counts: Mapping[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    unit: str = "neurons"
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    variant: Mapping[str, Value] | None = None
    forgotten: Mapping[str, str | int] | None = None
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Method(Generic[S]):
    """A way of unlearning: a folder with settings, arithmetic and a subclass of this, named in the registry.

    Args:
        config: an instance of the class's own `config_class`; made of `settings` if None.
        settings: fields of that class, by name.

    Raises:
        SettingError: there is no such setting, or it has a value that is not allowed.

    Example:
        >>> import lmms_manu as manu
        >>> from lmms_manu.editing import ChangedTensors
        >>> from lmms_manu.embedded import model_folder
        >>> class Halve(Method[Settings]):
        ...     name, config_class = "halve", Settings
        ...     def needs_data(self):
        ...         return False
        ...     def edit(self, checkpoint, examples):
        ...         weight = checkpoint.model.get_output_embeddings().weight
        ...         return Edit(ChangedTensors({"lm_head.weight": weight.detach() / 2}))
        >>> model, record = manu.unlearn(manu.load(model_folder()), None, Halve())
        >>> record.method, record.change
        ('halve', 'tensors')
    """

    name: ClassVar[str]
    """The method's name in the registry, in labels and in records."""

    config_class: ClassVar[type[Settings]]
    """The method's own settings; its fields become arguments of the model and options of the command line."""

    outcome: ClassVar[str] = "edited to forget"
    """What a model is afterwards, for the title of its card."""

    label_fields: ClassVar[tuple[str, ...]] = ()
    """The settings that tell the method's runs apart, in the order of a label."""

    units: ClassVar[Mapping[str, str]] = {}
    """The units of those that are numbers and have one."""

    strength: ClassVar[str | None] = None
    """The setting among them that says how much is done; a curve has it as its axis."""

    strengths: ClassVar[tuple[float, ...]] = ()
    """The values of it that a comparison tries where nobody names others, the mildest first."""

    def __init__(self, config: S | None = None, **settings: Any) -> None:
        if config is not None and settings:
            raise TypeError(f"{type(self).__name__} takes its configuration or the settings by name, not both.")
        self.config: S = from_arguments(settings, self.config_class)[0] if config is None else config

    def variant(self) -> dict[str, Value]:
        """What tells this run apart from others of the method, in the order of a label."""
        values = {name: getattr(self.config, name) for name in self.label_fields}
        return {name: value for name, value in values.items() if value is not None}

    def control(self, seed: int) -> Mapping[str, Value] | None:
        """The settings that make this edit its random control, of the same size; None where there is none.

        A method whose settings have `random_control` and `seed` has one.

        Args:
            seed: of the draw.
        """
        has_one = {"random_control", "seed"} <= {*self.config.names()} and not getattr(
            self.config, "random_control", None
        )
        return {"random_control": True, "seed": seed} if has_one and not self.changes_nothing() else None

    @classmethod
    def controlled(cls, record: EditRecord) -> Mapping[str, Value] | None:
        """What an edit of this method is a control of: the same with people or neurons that were drawn.

        Args:
            record: of the edit.

        Returns:
            The variant that it is held against; None for an edit that is no control.
        """
        if "control" not in record.variant:
            return None
        return {name: value for name, value in record.variant.items() if name != "control"}

    def description(self) -> str:
        """A paragraph for model cards: what was done to the weights, what that does not prove, and the citation."""
        return ""

    def retain_samples(self) -> Literal["all", "match"]:
        """What the data's `retain_samples=auto` means for this method."""
        return "all"

    def changes_nothing(self) -> bool:
        """Whether the settings ask for the model as it is; known before anything is loaded."""
        return False

    def needs_data(self) -> bool:
        """Whether the people's data is read at all."""
        return not self.changes_nothing()

    def needs_retain(self) -> bool:
        """Whether the method cannot do without people to retain."""
        return True

    def check(self, model: ModelSettings, *, export: bool) -> None:
        """Refuses settings that cannot work, before anything is loaded.

        Args:
            model: the checkpoint that will be edited.
            export: whether the edited model is to be written as a checkpoint.

        Raises:
            SettingError: they cannot work.
        """

    def check_data(self, data: UnlearningData) -> None:
        """Refuses examples that the settings do not fit, before anything is loaded.

        Raises:
            DataError: the examples lack what the method reads.
            SettingError: a setting does not fit them.
        """
        if self.needs_retain() and not data.retain:
            raise DataError(
                f"method={self.name} holds those to forget against others, and there is nobody to retain: name a table "
                "by retain=FILE, or take a method that needs none (docs/methods.md)."
            )

    def check_loaded(self, checkpoint: Checkpoint, *, export: bool) -> None:
        """Refuses a model that the method cannot edit, before anything is measured; arguments as in `check`.

        Raises:
            ModelError: it cannot be edited, or not be written afterwards.
            SettingError: a setting does not fit the model.
        """

    def edit(self, checkpoint: Checkpoint, examples: Parts | None) -> Edit:
        """Finds the change; called in every process, with the same arguments.

        The model may be changed on the way, but only where the change that is returned sets it anew.

        Args:
            checkpoint: the loaded model.
            examples: questions with answers, rendered for the model, by set and modality; None where `needs_data`
                says no.

        Raises:
            ModelError: the weights cannot be edited; raised before anything is measured.
        """
        raise NotImplementedError

    def demands(self, sizes: ModelSizes, samples: SampleCounts) -> Demands:
        """What an edit takes of a machine, for `lmms-manu plan`; by default one pass over all samples.

        Args:
            sizes: of the model, without weights.
            samples: how many there are.

        Raises:
            SettingError: a setting does not fit the model.
        """
        from lmms_manu.costs.demands import Demands  # torch, which checking arguments needs none of

        return Demands(forward=samples.all) if self.needs_data() else Demands()

    def inspect(self, file: str) -> Inspection:
        """What `lmms-manu inspect` shows of a file that the method or its measuring has written.

        Raises:
            DataError: the file is none of the method's.
        """
        raise DataError(f"{file}: the method {self.name!r} has nothing to inspect.")

    def draw(self, inspection: Any, folder: Path, file_format: str) -> Iterator[Path]:
        """Draws what there is to see of what `inspect` gave into a folder; yields the files."""
        yield from ()

    def keep(self, change: Change, about: Mapping[str, Any]) -> None:
        """Called in the first process with the change and its record, whether it was made now or kept from before."""
