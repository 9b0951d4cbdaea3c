"""Methods that are compared: each with fixed settings and several strengths, one of which will be chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from lmms_manu.errors import SettingError, nearest
from lmms_manu.evaluation.sweep import Point
from lmms_manu.methods.record import UNEDITED
from lmms_manu.methods.registry import method_class

FORM = "METHOD or METHOD:setting=value:..., several strengths joined by +, such as manu:recipe=ratio:prune_rate=2+5+10"


@dataclasses.dataclass(frozen=True)
class Contender:
    """A method in a comparison.

    Args:
        name: what it is called, such as `manu ratio`.
        settings: of the method, beside its strength; with `method`.
        axis: the setting that is its strength; None for a method that has none.
        strengths: the values of it to try, the mildest first; none where there is no such setting.
        units: what follows a strength, such as `%`.
    """

    name: str
    settings: Mapping[str, object]
    axis: str | None = None
    strengths: tuple[float, ...] = ()
    units: str = ""

    @classmethod
    def read(cls, text: str) -> Contender:
        """Reads one as it is typed.

        Raises:
            SettingError: no such method, a part that is no setting, or a value of the strength that is no number.
        """
        name, *parts = (part.strip() for part in text.split(":"))
        method = method_class(name)
        if name == UNEDITED:
            raise SettingError(f"methods={text!r}: {UNEDITED} changes nothing; the vanilla model is always there.")
        given: dict[str, object] = {}
        for part in parts:
            setting, separator, value = part.partition("=")
            if not separator or setting not in method.config_class.names():
                known = method.config_class.names()
                raise SettingError(
                    f"methods={text!r}: {part!r} is no setting of {name}.{nearest(setting, known)} The form is {FORM}."
                )
            given[setting] = value
        axis = method.strength
        tried = str(given.pop(axis)) if axis in given else ""
        words = " ".join(str(value) for setting, value in given.items() if setting in method.label_fields)
        return cls(
            f"{name} {words}".strip(),
            {"method": name, **given},
            axis,
            _numbers(text, tried) if tried else tuple(map(float, method.strengths)),
            method.units.get(axis or "", ""),
        )

    @property
    def is_trained(self) -> bool:
        """Whether the method trains, so that another seed gives another model."""
        return {"epochs", "seed"} <= {*method_class(str(self.settings["method"])).config_class.names()}

    def strength_text(self, value: float) -> str:
        """A strength in words, such as `keep 4`, or `10 %`: a number with a unit speaks for itself."""
        return f"{value:g} {self.units}" if self.units else f"{(self.axis or '').replace('_', ' ')} {value:g}"

    def points(self, common: Mapping[str, object]) -> dict[float | None, Point]:
        """What is evaluated, by strength; one without a strength where the method has none."""
        own, name = {**common, **self.settings}, self.name.replace(" ", "-")
        if self.axis is None or not self.strengths:
            return {None: Point(name, own)}
        return {value: Point(f"{name}-{value:g}", {**own, self.axis: f"{value:g}"}) for value in self.strengths}


def read_contenders(text: str) -> tuple[Contender, ...]:
    """Contenders separated by commas.

    Raises:
        SettingError: there is none, two have one name, or as for `Contender.read`.
    """
    found = tuple(Contender.read(part.strip()) for part in text.split(",") if part.strip())
    names = [contender.name for contender in found]
    if not found:
        raise SettingError(f"methods={text!r} names nothing to compare: {FORM}.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingError(
            f"methods={text!r} names {', '.join(twice)} twice: join its strengths by +, or compare in two calls."
        )
    return found


def _numbers(text: str, values: str) -> tuple[float, ...]:
    try:
        return tuple(dict.fromkeys(float(value) for value in values.split("+")))
    except ValueError:
        raise SettingError(f"methods={text!r}: {values!r} are no numbers joined by +.") from None


def check_strengths(contenders: Sequence[Contender]) -> None:
    """Refuses a comparison in which no strength could be chosen at all.

    Raises:
        SettingError: every method has one strength or none.
    """
    if not any(len(contender.strengths) > 1 for contender in contenders):
        names = ", ".join(contender.name for contender in contenders)
        raise SettingError(
            f"methods: {names} have no strengths to choose from: name several, such as manu:prune_rate=2+5+10, or use "
            "lmms-manu sweep."
        )
