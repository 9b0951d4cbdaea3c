"""The rule by which exemplar people and test pictures are chosen: a function of a seed and the IDs, and nothing else.

The released script draws both at random without a seed; here `lmms_manu.benchmarks.draw_by_rule` says how.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence

from lmms_manu import variables
from lmms_manu.benchmarks.draw_by_rule import first_by_rule, rank
from lmms_manu.benchmarks.mllmu.names import SPLITS
from lmms_manu.errors import SettingError, one_of
from lmms_manu.settings import Settings, parse_arguments, setting

AUTO = "auto"
ONE_CLOZE_EXEMPLAR = ("idefics2",)
"""The families of models, by the `model_type` of their configuration, that the released script shows one cloze exemplar
person, and not two."""

_TASKS = ("classification", "cloze")
_NAMES = (*_TASKS, *(f"{split}.{task}" for split in SPLITS for task in _TASKS))


@dataclasses.dataclass(frozen=True)
class ProtocolSettings(Settings):
    """How many people are shown as exemplars, and the seed of the rule that chooses them.

    A number for a task holds in the forget, test and retain splits, one for a task of a split there alone. As the
    released script looks exemplars up among the fictitious people, it has none for celebrities.
    """

    classification: int = setting(1, "Exemplar people of classification; 0 shows none.", minimum=0)
    cloze: int | None = setting(
        None, "Exemplar people of cloze; 0 shows none. None: one for Idefics2, two for every other model.", minimum=0
    )
    splits: tuple[tuple[str, int], ...] = setting((), "Exemplar people of a task in one split, by `split.task`.")
    family: str | None = setting(None, "The `model_type` of the model that is asked, None if it is not known.")
    seed: int = setting(0, "Seed of the rule that chooses exemplar people and test pictures.", minimum=0)

    @classmethod
    def from_environment(cls, family: str | None = None) -> ProtocolSettings:
        """The settings that LMMS_MANU_EXEMPLARS (`classification=1,cloze=2,celebrity.cloze=2`) and LMMS_MANU_SEED give.

        Args:
            family: the `model_type` of the model that is asked, None if it is not known.

        Raises:
            SettingError: a task or split that has no exemplars, or a value that is no count.
        """
        counts = _counts(os.environ.get(variables.EXEMPLARS) or "")
        of_tasks = {name: count for name, count in counts.items() if name in _TASKS}
        of_splits = tuple(sorted((name, count) for name, count in counts.items() if name not in _TASKS))
        seed = os.environ.get(variables.SEED) or 0
        try:
            return cls(**of_tasks, splits=of_splits, family=family, seed=seed)  # type: ignore[arg-type]
        except SettingError as error:
            raise SettingError(f"{variables.SEED}: {error}") from None

    @property
    def exemplars(self) -> str:
        """The numbers of exemplar people as LMMS_MANU_EXEMPLARS would give them, in one form."""
        cloze = AUTO if self.cloze is None else self.cloze
        parts = (("classification", self.classification), ("cloze", cloze), *self.splits)
        return ",".join(f"{name}={count}" for name, count in parts)

    def exemplar_people(self, split: str, task: str, people: int) -> int:
        """How many exemplar people a split of so many `people` gets.

        None for generation. A split with few people gives at most a third of them, or nothing would be left to score.
        """
        if task == "generation":
            return 0
        return min(dict(self.splits).get(f"{split}.{task}", self._of_task(split, task)), people // 3)

    def _of_task(self, split: str, task: str) -> int:
        if split == "celebrity":
            return 0
        if task == "classification":
            return self.classification
        by_family = 1 if self.family in ONE_CLOZE_EXEMPLAR else 2
        return by_family if self.cloze is None else self.cloze


def _counts(text: str) -> dict[str, int]:
    """What LMMS_MANU_EXEMPLARS says, without what it leaves to the rule.

    Raises:
        SettingError: see `ProtocolSettings.from_environment`.
    """
    counts = {}
    for name, value in parse_arguments(text).items():
        if name not in _NAMES:
            raise one_of(f"name in {variables.EXEMPLARS}", name, _NAMES)
        if value.lower() == AUTO:
            continue
        if not (value.isascii() and value.isdigit()):
            raise SettingError(
                f"{variables.EXEMPLARS}: {name}={value!r} is no number of people: use a whole number from 0, or {AUTO}."
            )
        counts[name] = int(value)
    return counts


def choose_exemplars(people: Iterable[str], task: str, count: int, seed: int) -> tuple[str, ...]:
    """The IDs of the exemplar people of a task in the order of the rule; the same for both modalities."""
    return first_by_rule(people, count, seed, f"{task} exemplar")


def choose_picture(person: str, pictures: Sequence[int], seed: int) -> int:
    """Which of a person's `pictures` (their numbers, at least one) is shown in the Test set."""
    return min(pictures, key=lambda index: (rank(seed, "test picture", f"{person}/{index}"), index))
