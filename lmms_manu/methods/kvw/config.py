"""Settings of knowledge vector weakening."""

from __future__ import annotations

import dataclasses
from typing import Literal

from lmms_manu.errors import SettingError
from lmms_manu.measuring.settings import PassSettings, Tokens
from lmms_manu.settings import setting

NAME = "kvw"
Recipe = Literal["paper", "released"]
STRENGTHS = {"paper": 1.0, "released": 0.02}
"""Each recipe's own strength: of the whole forget set, and of each of its samples."""


@dataclasses.dataclass(frozen=True)
class KvwSettings(PassSettings):
    """Which value vectors are weakened, and how much.

    Raises:
        SettingError: a value that its field does not allow, or two that exclude each other.
    """

    tokens: Tokens = setting(
        "predicting",
        "Which tokens of question and answer are observed: `all`, the question's `last`, those of the `answer`, or "
        "those `predicting` one of the answer, as the method has it.",
    )
    recipe: Recipe = setting(
        "paper",
        "`paper` measures the forget set once; `released` one sample after the other, each on the weights that the "
        "samples before it have left, so that its strength grows with their number.",
    )
    strength: float | None = setting(
        None,
        "The exponent of the gates, the paper's gamma: 1 takes a vector that the forget set calls on twice as much as "
        "the retain set to a half. The recipe's own if left out: 1 for `paper`, 0.02 a sample for `released`.",
        minimum=0,
        maximum=1e6,
    )
    from_depth: float = setting(
        0.03, "The first layer that is edited, as a share of the language model's depth.", minimum=0, maximum=1
    )
    to_depth: float = setting(0.92, "Where the edited layers end, as a share of the depth.", minimum=0, maximum=1)
    modalities: Literal["both", "multimodal", "text"] = setting("both", "The samples that are measured.")
    random_control: bool = setting(
        False, "A control of the same size: the gates of each block are dealt to its neurons at random."
    )
    seed: int = setting(0, "Seed of the control's deal.", minimum=-(2**63), maximum=2**63 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.from_depth >= self.to_depth:
            raise SettingError(
                f"from_depth={self.from_depth:g} and to_depth={self.to_depth:g} leave no layer: the first has to be "
                "the smaller one."
            )
        if self.seed and not self.random_control:
            raise SettingError(f"seed={self.seed} has no effect without random_control=True: nothing else is drawn.")

    @property
    def own_strength(self) -> float:
        """The strength, the recipe's own where none is given."""
        return STRENGTHS[self.recipe] if self.strength is None else self.strength

    def covers(self, layer: int, depth: int) -> bool:
        """Whether a layer of so many is edited."""
        return self.from_depth * depth <= layer < self.to_depth * depth
