"""The rule by which exemplar people and test pictures are chosen: a function of a seed and the IDs, and nothing else.

The released script draws both at random without a seed; here `lmms_manu.benchmarks.drawing` says how.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence

from lmms_manu import environment
from lmms_manu.benchmarks.drawing import first_by_rule, rank
from lmms_manu.errors import SettingError, one_of
from lmms_manu.settings import Settings, parse_arguments, setting


@dataclasses.dataclass(frozen=True)
class ProtocolSettings(Settings):
    """How many people are shown as exemplars, and the seed of the rule that chooses them."""

    classification: int = setting(1, "Exemplar people of classification; 0 shows none.", minimum=0)
    cloze: int = setting(2, "Exemplar people of cloze; 0 shows none.", minimum=0)
    seed: int = setting(0, "Seed of the rule that chooses exemplar people and test pictures.", minimum=0)

    @classmethod
    def from_environment(cls) -> ProtocolSettings:
        """The settings that LMMS_MANU_EXEMPLARS (`classification=1,cloze=2`) and LMMS_MANU_SEED give.

        Raises:
            SettingError: a task that has no exemplars, or a value that is no count.
        """
        counts = parse_arguments(os.environ.get(environment.EXEMPLARS) or "")
        for task in counts:
            if task not in ("classification", "cloze"):
                raise one_of(f"task in {environment.EXEMPLARS}", task, ("classification", "cloze"))
        found = cls()
        seed = {"seed": os.environ.get(environment.SEED) or 0}
        for variable, values in ((environment.EXEMPLARS, counts), (environment.SEED, seed)):
            try:
                found = dataclasses.replace(found, **values)
            except SettingError as error:
                raise SettingError(f"{variable}: {error}") from None
        return found

    def exemplar_people(self, split: str, task: str, people: int) -> int:
        """How many exemplar people a split of so many `people` gets.

        As released: none for generation, none for the classification of celebrities. A split with few people gives at
        most a third of them, or nothing would be left to score.
        """
        if task == "generation" or (task == "classification" and split == "celebrity"):
            return 0
        wanted = self.classification if task == "classification" else self.cloze
        return min(wanted, people // 3)


def choose_exemplars(people: Iterable[str], task: str, count: int, seed: int) -> tuple[str, ...]:
    """The IDs of the exemplar people of a task; the same for both modalities."""
    return first_by_rule(people, count, seed, f"{task} exemplar")


def choose_picture(person: str, pictures: Sequence[int], seed: int) -> int:
    """Which of a person's `pictures` (their numbers, at least one) is shown in the Test set."""
    return min(pictures, key=lambda index: (rank(seed, "test picture", f"{person}/{index}"), index))
